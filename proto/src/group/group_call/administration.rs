//! Administrators, in calls that have them (protocol text, `ParticipantToParticipant.Admin`).

use std::time::Instant;

use super::{AdminCommand, EndReason, Event, GroupCall, Refused};
use crate::group::id::ParticipantId;
use crate::group::key::AdministratorKey;
use crate::group::warning::WarningKind;
use crate::group::wire::{AdminMessage, Capture, Device, ForcedOff};

impl GroupCall {
    /// What an administrator said; that it is one was proven by GCAMK.
    pub(super) fn administered(&mut self, _now: Instant, id: ParticipantId, message: AdminMessage) {
        match message {
            AdminMessage::ReportAsAdmin => self.reported(id),
            AdminMessage::PromoteToAdmin(key) => self.promoted(id, key),
            AdminMessage::ForceLeave => self.end(EndReason::ForcedToLeave),
            AdminMessage::ForceCaptureStateOff(off) => self.forced_off(off),
            AdminMessage::ForceFocus(focus) => self.focused(focus),
            AdminMessage::Unknown => {}
        }
    }

    /// `ReportAsAdmin`: mark the sender as an administrator.
    fn reported(&mut self, id: ParticipantId) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut participant.administrator, true) {
            self.event(Event::Administrator(id));
        }
    }

    /// `PromoteToAdmin`:
    /// 1. If the user already is an administrator, abort.
    /// 2. Derive GCAMK; if its public key is not the known GCAMK.public, log a warning and abort.
    /// 3. Send `ReportAsAdmin` to all other participants, the sender included.
    /// 4. Notify the user.
    fn promoted(&mut self, sender: ParticipantId, key: AdministratorKey) {
        if self.administrator.is_some() {
            return;
        }
        let message_key = key.message_key(&self.local.hash);
        if Some(message_key.public()) != self.admission.administrators {
            return self.warn(Some(sender), WarningKind::WrongAdministratorKey);
        }
        self.administrator = Some((key, message_key));
        let ids: Vec<_> = self.roster.authenticated().map(|(id, _)| id).collect();
        for id in ids {
            self.report_as_administrator(id);
        }
        self.event(Event::Promoted);
    }

    /// `ForceCaptureStateOff`:
    /// 1. Look up the device; if none could be found, abort.
    /// 2. If it is off already, abort.
    /// 3. Send its `CaptureState`, following that message's creation steps.
    fn forced_off(&mut self, off: ForcedOff) {
        let devices: &[Device] = match &off {
            ForcedOff::All => &Device::ALL,
            ForcedOff::Device(device) => std::slice::from_ref(device),
            ForcedOff::Unknown => &[],
        };
        for &device in devices {
            if device == Device::Screen {
                // A screen about to be shared counts as one.
                self.timers.timestamp = None;
            }
            self.announce(Capture::off(device));
        }
    }

    /// `ForceFocus`: 1. look up the participant; if none could be found, abort. 2. Focus it in the UI, which
    /// then subscribes by its size. Ourselves can be found, too.
    fn focused(&mut self, focus: ParticipantId) {
        if focus == self.participant_id || self.roster.participants.contains_key(&focus) {
            self.event(Event::Focus(focus));
        }
    }

    pub(super) fn report_as_administrator(&mut self, id: ParticipantId) {
        if self.administrator.is_some() {
            self.send_admin(id, &AdminMessage::ReportAsAdmin);
        }
    }

    /// The user acts as administrator.
    pub(super) fn administer(&mut self, command: AdminCommand) {
        let Some((key, _)) = &self.administrator else {
            return self.event(Event::Refused(Refused::NotAnAdministrator));
        };
        let (to, message) = match command {
            AdminCommand::Promote(id) => (id, AdminMessage::PromoteToAdmin(key.clone())),
            AdminCommand::ForceLeave(id) => (id, AdminMessage::ForceLeave),
            AdminCommand::ForceCaptureStateOff(id, off) => {
                (id, AdminMessage::ForceCaptureStateOff(off))
            }
            AdminCommand::ForceFocus(focus) => return self.focus_everyone(focus),
        };
        if self.roster.authenticated().any(|(id, _)| id == to) {
            self.send_admin(to, &message);
        } else {
            self.event(Event::Refused(Refused::NoSuchParticipant));
        }
    }

    fn focus_everyone(&mut self, focus: ParticipantId) {
        if focus != self.participant_id && !self.roster.participants.contains_key(&focus) {
            return self.event(Event::Refused(Refused::NoSuchParticipant));
        }
        let ids: Vec<_> = self.roster.authenticated().map(|(id, _)| id).collect();
        for id in ids {
            self.send_admin(id, &AdminMessage::ForceFocus(focus));
        }
    }

    fn send_admin(&mut self, id: ParticipantId, message: &AdminMessage) {
        let Some((_, key)) = &self.administrator else {
            return;
        };
        let Some(peer) = self
            .roster
            .participants
            .get_mut(&id)
            .and_then(|participant| participant.peer())
        else {
            return;
        };
        match peer.seal_admin(message, key, &mut self.rng) {
            Ok(encrypted_data) => self.relay(id, encrypted_data),
            Err(_) => self.warn(Some(id), WarningKind::Unsealable),
        }
    }
}

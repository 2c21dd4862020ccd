//! Participants come and go: the SFU's announcements, the handshakes, the members of the group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{ALONE_MAX, EndReason, Event, GroupCall, LeftReason, MICROPHONE_OFF_FROM, Phase};
use crate::group::handshake::{
    Context, Handshake, Input as HandshakeInput, Output as HandshakeOutput, Role,
};
use crate::group::id::{Identity, ParticipantId};
use crate::group::key::PublicKey;
use crate::group::media_receiver::MediaReceiver;
use crate::group::peer::Peer;
use crate::group::roster::{Participant, Stage};
use crate::group::warning::WarningKind;
use crate::group::wire::{Capture, ParticipantName, PeerMessage, Relay, SentKey, Subscription};

impl GroupCall {
    /// `SfuToParticipant.Hello`, step 2: initiate the handshake with each participant listed.
    ///
    /// Join steps, step 6: with less than 4 others the microphone is on at first.
    pub(super) fn hello(&mut self, now: Instant, ids: Vec<ParticipantId>) {
        self.phase = Phase::Joined;
        self.event(Event::Joined);
        if ids.len() < MICROPHONE_OFF_FROM && !self.own.is_on_hold() && !self.own.is_muted {
            self.own.captures.microphone = true;
            self.event(Event::OwnCapture(Capture::Microphone(true)));
        }
        for id in ids {
            if id == self.participant_id || self.roster.knows(id) {
                self.warn(Some(id), WarningKind::JoinedTwice);
                continue;
            }
            let rng = ChaCha20Rng::from_rng(&mut self.rng);
            self.insert(id, Handshake::as_new_participant(rng));
            self.drive(now, id, HandshakeStep::Start);
        }
        self.participants_changed(now);
    }

    /// `ParticipantJoined`: 1. if it already exists, log a warning and abort. 2. Run the join steps
    /// (1 to 3 in the media sender; 4. set the handshake state to `await-np-hello`).
    pub(super) fn participant_joined(&mut self, now: Instant, id: ParticipantId) {
        if id == self.participant_id || self.roster.knows(id) {
            return self.warn(Some(id), WarningKind::JoinedTwice);
        }
        if self.sender.participant_joined().is_err() {
            return self.end(EndReason::RatchetExhausted);
        }
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        self.insert(id, Handshake::as_existing_participant(rng));
        self.participants_changed(now);
    }

    /// `ParticipantLeft`: 1. if it was never announced, log a warning and abort. 2. Run the leave steps.
    pub(super) fn participant_left(&mut self, now: Instant, id: ParticipantId) {
        if self.roster.removed.remove(&id) {
            // Treated as having left before; the SFU only follows.
            return;
        }
        if self.roster.participants.remove(&id).is_none() {
            return self.warn(Some(id), WarningKind::NeverJoined);
        }
        self.event(Event::ParticipantLeft(id, LeftReason::Left));
        self.rekey(now);
        self.participants_changed(now);
    }

    /// The group changed, or in a call by link more people are known: who was refused as a stranger is answered.
    ///
    /// In a group, who is no longer a member (or under another key) is treated as having left:
    /// gone from the roster before the new media key is sent, so it never gets that.
    pub(super) fn set_members(&mut self, now: Instant, members: BTreeMap<Identity, PublicKey>) {
        let before = std::mem::replace(&mut self.admission.members, members);
        if self.is_group && !self.remove_strangers(now, &before) {
            return;
        }
        let waiting: Vec<_> = self.roster.participants.keys().copied().collect();
        for id in waiting {
            self.drive(now, id, HandshakeStep::MembersChanged);
        }
    }

    /// False: we are one of them, and the call is over.
    fn remove_strangers(&mut self, now: Instant, before: &BTreeMap<Identity, PublicKey>) -> bool {
        let still_here = |identity: &Identity, members: &BTreeMap<Identity, PublicKey>| {
            members
                .get(identity)
                .is_some_and(|key| before.get(identity).is_none_or(|old| old == key))
        };
        if let Role::Normal { identity, .. } = &self.local.role
            && !still_here(identity, &self.admission.members)
        {
            self.end(EndReason::NotAMember);
            return false;
        }
        let gone: BTreeSet<_> = self
            .roster
            .participants
            .iter()
            .filter(|(_, participant)| match participant.name() {
                Some(ParticipantName::Normal(identity, _)) => {
                    !still_here(identity, &self.admission.members)
                }
                Some(ParticipantName::Guest(_)) | None => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for &id in &gone {
            self.remove(id);
        }
        if !gone.is_empty() {
            self.rekey(now);
            self.participants_changed(now);
        }
        true
    }

    fn remove(&mut self, id: ParticipantId) {
        let Some(participant) = self.roster.participants.remove(&id) else {
            return;
        };
        if participant.is_authenticated() {
            self.subscribe(id, Subscription::Microphone(false));
        }
        if participant.camera.subscribed.is_some() {
            self.subscribe(id, Subscription::Camera(None));
        }
        if participant.screen.subscribed.is_some() {
            self.subscribe(id, Subscription::Screen(None));
        }
        self.roster.removed.insert(id);
        self.event(Event::ParticipantLeft(id, LeftReason::Removed));
    }

    fn insert(&mut self, id: ParticipantId, handshake: Handshake) {
        let receiver = MediaReceiver::new(self.local.hash.clone());
        self.roster
            .participants
            .insert(id, Participant::new(handshake, receiver));
        self.event(Event::ParticipantJoined(id));
    }

    /// `ParticipantToParticipant.OuterEnvelope`:
    /// 1. If the `receiver` is not us, discard.
    /// 2. If the `sender` is unknown, discard.
    /// 3. Decrypt according to the handshake state and handle the inner envelope.
    pub(super) fn relayed(&mut self, now: Instant, relay: &Relay) {
        if relay.receiver != self.participant_id {
            return self.warn(Some(relay.sender), WarningKind::WrongReceiver);
        }
        match self
            .roster
            .participants
            .get_mut(&relay.sender)
            .map(|participant| &mut participant.stage)
        {
            // Treated as having left; what it goes on saying is no surprise.
            None if self.roster.removed.contains(&relay.sender) => {}
            None => self.warn(Some(relay.sender), WarningKind::UnknownSender),
            Some(Stage::Handshaking(_)) => self.drive(
                now,
                relay.sender,
                HandshakeStep::Relay(&relay.encrypted_data),
            ),
            Some(Stage::Authenticated(peer)) => {
                match peer.open(&relay.encrypted_data, self.administrators_shared.as_ref()) {
                    Ok(said) => self.heard(now, relay.sender, said),
                    Err(warning) => self.warn(Some(relay.sender), warning),
                }
            }
        }
    }

    /// Gives one input to a handshake and drains it.
    fn drive(&mut self, now: Instant, id: ParticipantId, step: HandshakeStep<'_>) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        let Stage::Handshaking(handshake) = &mut participant.stage else {
            return;
        };
        let media_keys = self.sender.keys();
        let context = Context {
            local: &self.local,
            admission: &self.admission,
            media_keys: &media_keys,
        };
        handshake.handle_input(now, step.input(context));
        let mut outputs = Vec::new();
        loop {
            match handshake.poll_output() {
                HandshakeOutput::Timeout(_) => break,
                output => outputs.push(output),
            }
        }
        for output in outputs {
            match output {
                HandshakeOutput::Transmit(encrypted_data) => self.relay(id, encrypted_data),
                HandshakeOutput::AuthSent => {
                    let newest = self.sender.newest_generation();
                    if let Some(participant) = self.roster.participants.get_mut(&id) {
                        participant.generation_sent = newest;
                    }
                }
                HandshakeOutput::Done(peer, keys) => self.authenticated(now, id, peer, keys),
                HandshakeOutput::Warning(warning) => self.warn(Some(id), warning),
                HandshakeOutput::Timeout(_) => {}
            }
        }
    }

    /// *Post-Handshake*, in the order running clients have: take the media keys, check who updates the
    /// call state, show the participant, then
    /// 1. subscribe to its microphone;
    /// 2. if we are an administrator, send `Admin.ReportAsAdmin`;
    /// 3. if hold is active, send `Hold`;
    /// 4. if not, send a `CaptureState` for each device that is on.
    fn authenticated(
        &mut self,
        now: Instant,
        id: ParticipantId,
        peer: Box<Peer>,
        keys: Vec<SentKey>,
    ) {
        let name = peer.name.clone();
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        participant.stage = Stage::Authenticated(peer);
        keys.into_iter()
            .for_each(|key| participant.receiver.add(key));
        let sent = participant.generation_sent;
        self.participants_changed(now);
        self.event(Event::Authenticated(id, name));
        // Keys made since our auth was sent: they went to authenticated participants only.
        for key in self.sender.keys_after(sent) {
            self.send_rekey_to(id, &key);
        }
        self.subscribe(id, Subscription::Microphone(true));
        self.report_as_administrator(id);
        if self.own.is_on_hold() {
            self.send(id, &PeerMessage::Hold);
        } else {
            for state in self.own.active() {
                self.send(id, &PeerMessage::Capture(state));
            }
        }
    }

    fn rekey(&mut self, now: Instant) {
        if let Some(key) = self.sender.participant_left(now) {
            self.send_rekey(&key);
        }
    }

    /// *Leave*, step 5: send the pending key to all authenticated participants.
    pub(super) fn send_rekey(&mut self, key: &SentKey) {
        let ids: Vec<_> = self.roster.authenticated().map(|(id, _)| id).collect();
        for id in ids {
            self.send_rekey_to(id, key);
        }
    }

    fn send_rekey_to(&mut self, id: ParticipantId, key: &SentKey) {
        self.send(id, &PeerMessage::Rekey(key.clone()));
        let newest = self.sender.newest_generation();
        if let Some(participant) = self.roster.participants.get_mut(&id) {
            participant.generation_sent = newest;
        }
    }

    /// After each change to the list of participants: who updates the call state, and are we alone?
    fn participants_changed(&mut self, now: Instant) {
        if self.phase != Phase::Joined {
            return;
        }
        self.update_state(now);
        self.timers.alone = match (self.roster.participants.is_empty(), self.timers.alone) {
            (true, running) => running.or(Some(now + ALONE_MAX)),
            (false, _) => None,
        };
    }
}

enum HandshakeStep<'a> {
    Start,
    Relay(&'a [u8]),
    MembersChanged,
}

impl<'a> HandshakeStep<'a> {
    fn input(self, context: Context<'a>) -> HandshakeInput<'a> {
        match self {
            Self::Start => HandshakeInput::Start(context),
            Self::Relay(sealed) => HandshakeInput::Relay(context, sealed),
            Self::MembersChanged => HandshakeInput::MembersChanged(context),
        }
    }
}

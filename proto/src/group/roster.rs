//! Who is in the call, how far the handshake with each is, and what each announced.

use std::collections::{BTreeMap, BTreeSet};

use super::handshake::Handshake;
use super::id::ParticipantId;
use super::media_receiver::MediaReceiver;
use super::peer::Peer;
use super::wire::{Capture, ParticipantName, View};

/// How far the handshake with a participant is.
pub(super) enum Stage {
    /// Not authenticated yet.
    Handshaking(Box<Handshake>),
    /// `done`.
    Authenticated(Box<Peer>),
}

/// Another participant.
pub(super) struct Participant {
    pub(super) stage: Stage,
    pub(super) receiver: MediaReceiver,
    pub(super) captures: Captures,
    pub(super) on_hold: bool,
    pub(super) administrator: bool,
    pub(super) camera: Feed,
    pub(super) screen: Feed,
    /// The newest of our media keys this participant was sent.
    pub(super) generation_sent: u64,
}

/// What a participant's devices do; all off until announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// Sound is sent.
    pub microphone: bool,
    /// Pictures are sent.
    pub camera: bool,
    /// The screen is shared since this SFU time, in milliseconds since 1970.
    pub screen: Option<u64>,
}

impl Captures {
    /// Takes over one announcement.
    pub fn set(&mut self, state: Capture) {
        match state {
            Capture::Microphone(on) => self.microphone = on,
            Capture::Camera(on) => self.camera = on,
            Capture::Screen(started_at_ms) => self.screen = started_at_ms,
        }
    }
}

/// One video feed of a participant.
#[derive(Clone, Copy, Default)]
pub(super) struct Feed {
    /// What the screen could show, if it shows it at all.
    pub(super) wanted: Option<View>,
    /// What the SFU was last asked for.
    pub(super) subscribed: Option<View>,
}

/// A participant as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub id: ParticipantId,
    /// Who it says to be; `None` before its hello.
    pub name: Option<ParticipantName>,
    /// The handshake is done: the name is proven (for members) and media can flow.
    pub authenticated: bool,
    /// What it sends.
    pub captures: Captures,
    /// Away.
    pub on_hold: bool,
    /// Proven administrator.
    pub administrator: bool,
}

/// All other participants, at most 789 by the range of their ids.
#[derive(Default)]
pub(super) struct Roster {
    pub(super) participants: BTreeMap<ParticipantId, Participant>,
    /// Treated as having left while the SFU still lists them.
    pub(super) removed: BTreeSet<ParticipantId>,
}

impl Participant {
    pub(super) fn new(handshake: Handshake, receiver: MediaReceiver) -> Self {
        Self {
            stage: Stage::Handshaking(Box::new(handshake)),
            receiver,
            captures: Captures::default(),
            on_hold: false,
            administrator: false,
            camera: Feed::default(),
            screen: Feed::default(),
            generation_sent: 0,
        }
    }

    pub(super) fn name(&self) -> Option<&ParticipantName> {
        match &self.stage {
            Stage::Handshaking(handshake) => handshake.claimed_name(),
            Stage::Authenticated(peer) => Some(&peer.name),
        }
    }

    pub(super) fn peer(&mut self) -> Option<&mut Peer> {
        match &mut self.stage {
            Stage::Handshaking(_) => None,
            Stage::Authenticated(peer) => Some(peer),
        }
    }

    pub(super) fn is_authenticated(&self) -> bool {
        matches!(self.stage, Stage::Authenticated(_))
    }
}

impl Roster {
    pub(super) fn knows(&self, id: ParticipantId) -> bool {
        self.participants.contains_key(&id) || self.removed.contains(&id)
    }

    pub(super) fn authenticated(&self) -> impl Iterator<Item = (ParticipantId, &ParticipantName)> {
        self.participants
            .iter()
            .filter_map(|(id, participant)| match &participant.stage {
                Stage::Authenticated(peer) => Some((*id, &peer.name)),
                Stage::Handshaking(_) => None,
            })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.participants.iter().map(|(id, participant)| Entry {
            id: *id,
            name: participant.name().cloned(),
            authenticated: participant.is_authenticated(),
            captures: participant.captures,
            on_hold: participant.on_hold,
            administrator: participant.administrator,
        })
    }
}

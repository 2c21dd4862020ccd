//! One call: who is in it, what they tell one another, and whose feeds they want.
//!
//! A pure machine of the steps *when receiving this message* on the SFU's side (protocol text, *Messages*). Connections and
//! media are [`crate::forward`]'s: it says who connected, spoke and left, and asks here who watches whom.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{
    FromSfu, Inspected, ParticipantId, PeekResponse, Subscription, ToSfu, View,
};
use rand_chacha::ChaCha20Rng;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::permit::Permit;
use crate::rate::{Bucket, Rate};
use ids::Ids;

pub mod ids;
#[cfg(test)]
mod tests;

/// From the Join response to a WebRTC connection (text, *Join*, step 7).
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// A call state that nobody refreshed is deleted (text, *UpdateCallState*, step 2).
pub const CALL_STATE_LIFE: Duration = Duration::from_secs(30);
/// A call with one participant is dropped (text, *SFU to Participant Flow*).
pub const ALONE_TIME_MAX: Duration = Duration::from_secs(300);
/// One message of a participant: the largest in use is a call state, some 20 kB for 100 people.
pub const MESSAGE_BYTES_MAX: usize = 65_536;

/// Messages of one participant: a newcomer says two things to each of 100 others at once, then little.
const MESSAGES: Rate = Rate {
    burst: 800,
    count: 50,
    per: Duration::from_secs(1),
};
/// Bytes of the same: less than a slow reader's buffer, so that nobody alone can fill somebody else's.
const MESSAGE_BYTES: Rate = Rate {
    burst: 262_144,
    count: 65_536,
    per: Duration::from_secs(1),
};

/// One change.
pub enum Input {
    /// The data channel of a reserved participant is open.
    Connected(ParticipantId),
    /// A participant said something.
    Message {
        /// Who, as the connection proves.
        from: ParticipantId,
        /// One message of the data channel.
        bytes: Vec<u8>,
    },
    /// The connection of a participant ended.
    Left(ParticipantId),
    /// The deadline passed.
    Timeout,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this on the data channel of `to`.
    Send {
        /// A connected participant.
        to: ParticipantId,
        /// One message.
        bytes: Vec<u8>,
        /// Whether another participant caused it; such a message may not take the room that the SFU's own need.
        relayed: bool,
    },
    /// What `viewer` wants of `publisher` changed: see [`Room::watched`].
    Watch {
        /// Who watches.
        viewer: ParticipantId,
        /// Whose feeds.
        publisher: ParticipantId,
    },
    /// End this connection; the participant is no longer in the room.
    Remove(ParticipantId),
    /// All is drained; give [`Input::Timeout`] then.
    Timeout(Option<Instant>),
}

/// Which feeds of one participant another wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The microphone.
    pub microphone: bool,
    /// The camera, with the size that can be shown.
    pub camera: Option<View>,
    /// The screen, with the size that can be shown.
    pub screen: Option<View>,
}

/// No more participants can join (status 503).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call is full")]
pub struct RoomFull;

struct Reservation {
    /// Held until connected or expired.
    _permit: Permit,
    expires_at: Instant,
}

struct Member {
    watches: BTreeMap<ParticipantId, Watched>,
    messages: Bucket,
    message_bytes: Bucket,
}

/// The machine of one call. It begins with the first reservation and is over when [`Room::is_over`].
pub struct Room {
    clock: Clock,
    rng: ChaCha20Rng,
    metrics: Arc<Metrics>,
    started_at_ms: u64,
    participants_max: usize,
    ids: Ids,
    reservations: BTreeMap<ParticipantId, Reservation>,
    members: BTreeMap<ParticipantId, Member>,
    call_state: Option<(Vec<u8>, Instant)>,
    alone_since: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Room {
    /// A call that starts `now`, for at most `participants_max` people.
    #[must_use]
    pub fn new(
        now: Instant,
        clock: Clock,
        participants_max: usize,
        metrics: Arc<Metrics>,
        rng: ChaCha20Rng,
    ) -> Self {
        Self {
            started_at_ms: clock.unix_ms(now),
            clock,
            rng,
            metrics,
            participants_max,
            ids: Ids::new(),
            reservations: BTreeMap::new(),
            members: BTreeMap::new(),
            call_state: None,
            alone_since: None,
            outputs: VecDeque::new(),
        }
    }

    /// *Join*, steps 5 and 6: an id for a newcomer, who has [`CONNECT_TIME_MAX`] to connect.
    ///
    /// # Errors
    /// Everybody who fits is here.
    pub fn reserve(&mut self, now: Instant, permit: Permit) -> Result<ParticipantId, RoomFull> {
        if self.members.len() + self.reservations.len() >= self.participants_max {
            return Err(RoomFull);
        }
        let id = self.ids.take(now).ok_or(RoomFull)?;
        let expires_at = now + CONNECT_TIME_MAX;
        self.reservations.insert(
            id,
            Reservation {
                _permit: permit,
                expires_at,
            },
        );
        Ok(id)
    }

    /// *Peek*, step 5.
    #[must_use]
    pub fn peek(&self, now: Instant) -> PeekResponse {
        let state = self
            .call_state
            .as_ref()
            .filter(|(_, expires_at)| now < *expires_at);
        PeekResponse {
            started_at_ms: self.started_at_ms,
            max_participants: u32::try_from(self.participants_max).unwrap_or(u32::MAX),
            encrypted_call_state: state.map(|(state, _)| state.clone()),
        }
    }

    /// When the call began, in milliseconds since 1970.
    #[must_use]
    pub fn started_at_ms(&self) -> u64 {
        self.started_at_ms
    }

    /// Nobody is here and nobody comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.is_empty() && self.reservations.is_empty()
    }

    /// How many are announced, and how many are still to connect.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.members.len(), self.reservations.len())
    }

    /// What `viewer` wants of `publisher`.
    #[must_use]
    pub fn watched(&self, viewer: ParticipantId, publisher: ParticipantId) -> Watched {
        let member = self.members.get(&viewer);
        member
            .and_then(|member| member.watches.get(&publisher))
            .copied()
            .unwrap_or_default()
    }

    /// Makes one change; drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Connected(id) => self.connected(now, id),
            Input::Message { from, bytes } => self.message(now, from, bytes),
            Input::Left(id) => self.left(now, id),
            Input::Timeout => self.timeout(now),
        }
    }

    /// Drains what the last input caused.
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    fn deadline(&self) -> Option<Instant> {
        let reservations = self
            .reservations
            .values()
            .map(|reservation| reservation.expires_at);
        let state = self.call_state.as_ref().map(|(_, expires_at)| *expires_at);
        let alone = self.alone_since.map(|since| since + ALONE_TIME_MAX);
        reservations.chain(state).chain(alone).min()
    }

    /// *Join*, step 7: the newcomer is told of the others first, the others of the newcomer before anything it says.
    fn connected(&mut self, now: Instant, id: ParticipantId) {
        if self.reservations.remove(&id).is_none() {
            return;
        }
        let others: Vec<_> = self.members.keys().copied().collect();
        self.send(id, &FromSfu::Hello(others.clone()));
        for other in others {
            self.send(other, &FromSfu::ParticipantJoined(id));
        }
        let member = Member {
            watches: BTreeMap::new(),
            messages: Bucket::new(now, MESSAGES),
            message_bytes: Bucket::new(now, MESSAGE_BYTES),
        };
        self.members.insert(id, member);
        self.notice_alone(now);
    }

    fn left(&mut self, now: Instant, id: ParticipantId) {
        if self.reservations.remove(&id).is_some() {
            self.ids.give_back_unannounced(id);
            return;
        }
        if self.members.remove(&id).is_none() {
            return;
        }
        self.ids.give_back_announced(now, id);
        let others: Vec<_> = self.members.keys().copied().collect();
        for other in others {
            if let Some(member) = self.members.get_mut(&other) {
                member.watches.remove(&id);
            }
            self.send(other, &FromSfu::ParticipantLeft(id));
        }
        self.notice_alone(now);
    }

    fn notice_alone(&mut self, now: Instant) {
        if self.members.len() == 1 {
            self.alone_since.get_or_insert(now);
        } else {
            self.alone_since = None;
        }
    }

    fn timeout(&mut self, now: Instant) {
        let expired: Vec<_> = self
            .reservations
            .iter()
            .filter(|(_, r)| r.expires_at <= now)
            .map(|(&id, _)| id)
            .collect();
        for id in expired {
            self.metrics.reservations_expired_total.add_one();
            self.outputs.push_back(Output::Remove(id));
            self.left(now, id);
        }
        self.call_state
            .take_if(|(_, expires_at)| *expires_at <= now);
        if self
            .alone_since
            .is_some_and(|since| since + ALONE_TIME_MAX <= now)
        {
            self.metrics.calls_ended_alone_total.add_one();
            let alone: Vec<_> = self.members.keys().copied().collect();
            for id in alone {
                self.outputs.push_back(Output::Remove(id));
                self.left(now, id);
            }
        }
    }

    fn message(&mut self, now: Instant, from: ParticipantId, bytes: Vec<u8>) {
        let Some(member) = self.members.get_mut(&from) else {
            return;
        };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let allowed = member.messages.take(now, MESSAGES, 1)
            && member.message_bytes.take(now, MESSAGE_BYTES, len);
        if !allowed {
            self.metrics.refused_flood_total.add_one();
            return;
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            self.metrics.refused_message_total.add_one();
            return;
        }
        match Inspected::of(&bytes) {
            Ok(Inspected::Relay { sender, receiver }) => self.relay(from, sender, receiver, bytes),
            Ok(Inspected::ForSfu) => self.own_message(now, from, &bytes),
            Err(_) => self.metrics.refused_message_total.add_one(),
        }
    }

    /// *Sender: checked by the SFU to be correct; receiver: must exist.* Forwarded as it came.
    fn relay(
        &mut self,
        from: ParticipantId,
        sender: ParticipantId,
        to: ParticipantId,
        bytes: Vec<u8>,
    ) {
        if sender != from || to == from || !self.members.contains_key(&to) {
            self.metrics.refused_relay_total.add_one();
            return;
        }
        self.metrics.relays_total.add_one();
        self.outputs.push_back(Output::Send {
            to,
            bytes,
            relayed: true,
        });
    }

    fn own_message(&mut self, now: Instant, from: ParticipantId, bytes: &[u8]) {
        match ToSfu::decode(bytes) {
            Ok(ToSfu::UpdateCallState(state)) => {
                self.call_state = Some((state, now + CALL_STATE_LIFE))
            }
            Ok(ToSfu::Subscribe(publisher, subscription)) => {
                self.subscribe(from, publisher, subscription)
            }
            Ok(ToSfu::RequestTimestamp) => {
                self.send(from, &FromSfu::Timestamp(self.clock.unix_ms(now)))
            }
            Ok(ToSfu::Unknown | ToSfu::Relay(_)) | Err(_) => {
                self.metrics.refused_message_total.add_one()
            }
        }
    }

    /// *If the participant id refers to the sender's participant id or an unknown one, discard the message.*
    fn subscribe(
        &mut self,
        viewer: ParticipantId,
        publisher: ParticipantId,
        subscription: Subscription,
    ) {
        if viewer == publisher || !self.members.contains_key(&publisher) {
            self.metrics.refused_subscription_total.add_one();
            return;
        }
        let Some(member) = self.members.get_mut(&viewer) else {
            return;
        };
        let watched = member.watches.entry(publisher).or_default();
        let before = *watched;
        match subscription {
            Subscription::Microphone(on) => watched.microphone = on,
            Subscription::Camera(view) => watched.camera = view,
            Subscription::Screen(view) => watched.screen = view,
        }
        if *watched != before {
            self.outputs.push_back(Output::Watch { viewer, publisher });
        }
    }

    fn send(&mut self, to: ParticipantId, message: &FromSfu) {
        let bytes = message.encode(&mut self.rng);
        self.outputs.push_back(Output::Send {
            to,
            bytes,
            relayed: false,
        });
    }
}

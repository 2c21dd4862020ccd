//! All calls of one shard: who a datagram is from, what the connections say to the rooms, and packets on their way from
//! publishers to viewers.
//!
//! A machine without I/O: datagrams, joins and time go in, datagrams come out. Several datagrams may be given before
//! [`Forwarder::poll_output`]; what they cause for one viewer then comes out in a row, which is what frame trains are made of.
//!
//! ```text
//! datagram ─ stun (whose?) ─ peer (SRTP off) ─ media (viewers, layers) ─ down (renumber) ─ peer (SRTP on) ─ datagram
//!                                   └─ rooms: messages of the data channel ─┘
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{
    CallId, JoinResponse, ParticipantId, PeekResponse, SupportedFeatures,
};
use rand::RngExt;
use rand::SeedableRng;
use rand::distr::Alphanumeric;
use rand_chacha::ChaCha20Rng;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::permit::Permit;
use crate::room::{Input as RoomInput, Room};
use peer::{ADDRESSES_MAX, Broken, Event, Peer, Sent};
use stack::Credentials;
use stun::{BindingRequest, Kind};

pub use stack::{Stack, StackError};

mod calls;
mod down;
mod keyframe;
mod layer;
mod line;
mod media;
mod peer;
mod rewrite;
mod source;
mod stack;
mod stun;
#[cfg(test)]
mod tests;

/// A participant from whom nothing at all came this long is gone: longer than a bad tunnel, short enough that all rosters
/// know within 35 s.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);

/// An address belongs to who proved it until it was silent this long; then somebody else may prove it.
const ADDRESS_HELD: Duration = Duration::from_secs(2);

/// How long the packets of a frame wait for its last, to leave as one train.
const TRAIN_WAIT: Duration = Duration::from_millis(2);

/// Timers of one connection fire at most this often: its shortest that matters is 20 ms, for missing packets.
const TIMER_GRAIN: Duration = Duration::from_millis(5);
/// The same while padding measures what a line carries: the stack sends a portion of it every 2 ms, and one that left late
/// would show a slower line.
const PROBE_GRAIN: Duration = Duration::from_millis(1);

/// How often slow things are looked after: silence, layers, key frames awaited, timers of rooms.
const TICK: Duration = Duration::from_millis(100);

/// How long a shard without a call sleeps: what comes wakes it.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// Characters of the SFU's username fragment: 95 bits that nobody guesses.
const FRAGMENT_LEN: usize = 16;
/// Characters of a password (RFC 8839 asks for 22 at least).
const PASSWORD_LEN: usize = 32;

/// What a shard announces and takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients reach this shard's port; one IPv4 address at least, one IPv6 address at most.
    pub addresses: Vec<SocketAddr>,
    /// People in one call.
    pub participants_max: usize,
    /// Calls at once.
    pub calls_max: usize,
    /// Participants and reservations of all calls.
    pub participants_total_max: usize,
}

/// One wish to join, its token checked.
#[derive(Debug)]
pub struct Join {
    /// Which call; created if it does not run.
    pub call_id: CallId,
    /// SHA-256 of the client's certificate.
    pub dtls_fingerprint: [u8; 32],
    /// Whether the client takes the channel of wanted layers.
    pub has_wanted_channel: bool,
    /// Counts against the client's token until it is connected.
    pub permit: Permit,
}

/// Why nobody can join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The call takes no more people (status 503).
    #[error("the call is full")]
    Full,
    /// This server takes no more calls, or is about to stop (status 502: 503 would say that the call is full).
    #[error("this server takes no more calls")]
    Unavailable,
}

/// One change.
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// From where.
        source: SocketAddr,
        /// Its contents.
        bytes: &'a [u8],
    },
    /// The deadline passed.
    Timeout,
    /// No more new calls.
    Drain,
    /// End every connection; clients hear of it at once.
    Close,
}

/// What is to be done.
pub enum Output {
    /// Send this.
    Transmit {
        /// Where to.
        destination: SocketAddr,
        /// One datagram.
        contents: Datagram,
    },
    /// All is drained; give [`Input::Timeout`] then.
    Timeout(Instant),
}

/// Contents of a datagram to send.
pub struct Datagram(str0m::net::DatagramSend);

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A place in a call, proved by what the Join answer said.
struct Seat {
    call: CallId,
    id: ParticipantId,
    password: String,
    fingerprint: [u8; 32],
    has_wanted_channel: bool,
    /// Its connection, from its first proved packet on.
    slot: Option<usize>,
}

struct Call {
    room: Room,
    /// Connections by participant.
    slots: BTreeMap<ParticipantId, usize>,
    /// Names of the seats by participant.
    fragments: BTreeMap<ParticipantId, String>,
    deadline: Option<Instant>,
}

/// See the module.
pub struct Forwarder {
    now: Instant,
    settings: Settings,
    stack: Arc<Stack>,
    clock: Clock,
    rng: ChaCha20Rng,
    metrics: Arc<Metrics>,
    calls: HashMap<CallId, Call>,
    /// By the SFU's username fragment.
    seats: HashMap<String, Seat>,
    addresses: HashMap<SocketAddr, usize>,
    peers: Vec<Option<Peer>>,
    /// Deadline of each peer, apart from it so that looking for the next is one run over a small array.
    deadlines: Vec<Option<Instant>>,
    free: Vec<usize>,
    dirty: VecDeque<usize>,
    doomed: Vec<(usize, Broken)>,
    sent: VecDeque<Sent>,
    next_tick: Instant,
    is_draining: bool,
}

impl Forwarder {
    /// `rng`: seeded from the operating system; names, passwords and stream numbers come of it.
    #[must_use]
    pub fn new(
        now: Instant,
        settings: Settings,
        stack: Arc<Stack>,
        clock: Clock,
        metrics: Arc<Metrics>,
        rng: ChaCha20Rng,
    ) -> Self {
        Self {
            now,
            settings,
            stack,
            clock,
            rng,
            metrics,
            calls: HashMap::new(),
            seats: HashMap::new(),
            addresses: HashMap::new(),
            peers: Vec::new(),
            deadlines: Vec::new(),
            free: Vec::new(),
            dirty: VecDeque::new(),
            doomed: Vec::new(),
            sent: VecDeque::new(),
            next_tick: now + TICK,
            is_draining: false,
        }
    }

    /// *Peek*, steps 4 and 5; `None`: no such call.
    #[must_use]
    pub fn peek(&self, now: Instant, call_id: &CallId) -> Option<PeekResponse> {
        self.calls.get(call_id).map(|call| call.room.peek(now))
    }

    /// *Join*, steps 5 and 6. Drain [`Self::poll_output`] after it.
    ///
    /// # Errors
    /// There is no room.
    pub fn join(&mut self, now: Instant, join: Join) -> Result<JoinResponse, JoinError> {
        self.now = self.now.max(now);
        if self.seats.len() >= self.settings.participants_total_max {
            return Err(JoinError::Unavailable);
        }
        let is_new = !self.calls.contains_key(&join.call_id);
        if is_new && (self.is_draining || self.calls.len() >= self.settings.calls_max) {
            return Err(JoinError::Unavailable);
        }
        let call = self.calls.entry(join.call_id).or_insert_with(|| {
            let rng = ChaCha20Rng::from_rng(&mut self.rng);
            let room = Room::new(
                now,
                self.clock,
                self.settings.participants_max,
                Arc::clone(&self.metrics),
                rng,
            );
            Call {
                room,
                slots: BTreeMap::new(),
                fragments: BTreeMap::new(),
                deadline: None,
            }
        });
        // A new room has places, so a refusal leaves no empty one behind.
        let id = call
            .room
            .reserve(now, join.permit)
            .map_err(|_full| JoinError::Full)?;
        let fragment = random_text(&mut self.rng, FRAGMENT_LEN);
        let password = random_text(&mut self.rng, PASSWORD_LEN);
        call.fragments.insert(id, fragment.clone());
        let response = JoinResponse {
            started_at_ms: call.room.started_at_ms(),
            max_participants: u32::try_from(self.settings.participants_max).unwrap_or(u32::MAX),
            participant_id: id,
            addresses: self.settings.addresses.clone(),
            ice_username_fragment: fragment.clone(),
            ice_password: password.clone(),
            dtls_fingerprint: self.stack.fingerprint(),
            supported_features: SupportedFeatures::SCREEN_SHARE,
            header_extension_ids: self.stack.header_extension_ids(),
        };
        let seat = Seat {
            call: join.call_id,
            id,
            password,
            fingerprint: join.dtls_fingerprint,
            has_wanted_channel: join.has_wanted_channel,
            slot: None,
        };
        self.seats.insert(fragment, seat);
        self.room_changed(&join.call_id);
        Ok(response)
    }

    /// Makes one change; drain [`Self::poll_output`] after it, or after a batch of datagrams.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Datagram { source, bytes } => self.datagram(source, bytes),
            Input::Timeout => self.timeout(),
            Input::Drain => self.say_ending(),
            Input::Close => {
                self.is_draining = true;
                for slot in 0..self.peers.len() {
                    self.detach(slot);
                }
                self.calls.clear();
                self.seats.clear();
            }
        }
    }

    /// Drains what the last inputs caused.
    pub fn poll_output(&mut self) -> Output {
        loop {
            // One connection after the other: a frame for all viewers at once would be copied for each before the first left.
            if let Some((destination, contents)) = self.sent.pop_front() {
                return Output::Transmit {
                    destination,
                    contents: Datagram(contents),
                };
            }
            // What a flush causes may touch others.
            self.bury();
            match self.dirty.pop_front() {
                Some(slot) => self.flush(slot),
                None if self.doomed.is_empty() => return Output::Timeout(self.deadline()),
                None => {}
            }
        }
    }

    /// Whether any call runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    fn deadline(&self) -> Instant {
        if self.is_idle() && self.peers.iter().all(Option::is_none) {
            return self.next_tick + IDLE_WAIT;
        }
        self.deadlines
            .iter()
            .flatten()
            .copied()
            .min()
            .map_or(self.next_tick, |at| at.min(self.next_tick))
    }

    fn datagram(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.metrics.datagrams_received_total.add_one();
        match Kind::of(bytes) {
            Kind::Nothing => self.metrics.refused_datagram_total.add_one(),
            Kind::Stun => self.binding_request(source, bytes),
            Kind::Sealed => match self.addresses.get(&source) {
                Some(&slot) => self.receive(slot, source, bytes),
                None => self.metrics.refused_stranger_total.add_one(),
            },
        }
    }

    fn binding_request(&mut self, source: SocketAddr, bytes: &[u8]) {
        if self.prove(source, bytes).is_none() {
            self.metrics.refused_stun_total.add_one();
        }
    }

    /// `None` if the request proves nothing.
    fn prove(&mut self, source: SocketAddr, bytes: &[u8]) -> Option<()> {
        let request = BindingRequest::parse(bytes)?;
        let seat = self.seats.get(&request.local)?;
        if !request.is_from_holder_of(&seat.password, &self.stack.provider) {
            return None;
        }
        let slot = match seat.slot {
            Some(slot) => slot,
            None => self.open(&request.local)?,
        };
        if !self.claim(slot, source) {
            return None;
        }
        self.peers[slot].as_mut()?.learn_remote(&request.remote);
        self.receive(slot, source, bytes);
        Some(())
    }

    /// Makes the connection of a seat at its first proved packet: a Join alone costs next to nothing.
    fn open(&mut self, fragment: &str) -> Option<usize> {
        let seat = self.seats.get_mut(fragment)?;
        let credentials = Credentials {
            fragment,
            password: &seat.password,
            client_fingerprint: seat.fingerprint,
            participant: seat.id,
            has_wanted_channel: seat.has_wanted_channel,
        };
        let connection = self
            .stack
            .connect(self.now, &credentials, &self.settings.addresses)?;
        let peer = Peer::new(
            self.now,
            connection,
            seat.call,
            seat.id,
            fragment.to_owned(),
        );
        let slot = self.free.pop().unwrap_or(self.peers.len());
        if slot == self.peers.len() {
            self.peers.push(None);
            self.deadlines.push(None);
        }
        self.peers[slot] = Some(peer);
        seat.slot = Some(slot);
        self.calls.get_mut(&seat.call)?.slots.insert(seat.id, slot);
        Some(slot)
    }

    /// Whether datagrams from `source` are those of `slot` from now on.
    fn claim(&mut self, slot: usize, source: SocketAddr) -> bool {
        let owner = self.addresses.get(&source).copied();
        if owner == Some(slot) {
            return true;
        }
        if let Some(other) = owner.and_then(|owner| self.peers[owner].as_mut()) {
            // A source address is easily forged: one in use is not taken away, whoever asks.
            if self.now.saturating_duration_since(other.last_heard_at) < ADDRESS_HELD {
                return false;
            }
            other.addresses.retain(|&address| address != source);
        }
        let Some(peer) = &mut self.peers[slot] else {
            return false;
        };
        if peer.addresses.len() == ADDRESSES_MAX {
            let oldest = peer.addresses.remove(0);
            self.addresses.remove(&oldest);
        }
        peer.addresses.push(source);
        self.addresses.insert(source, slot);
        true
    }

    fn receive(&mut self, slot: usize, source: SocketAddr, bytes: &[u8]) {
        let same_family = |address: &&SocketAddr| address.is_ipv4() == source.is_ipv4();
        let Some(&destination) = self.settings.addresses.iter().find(same_family) else {
            return;
        };
        let Some(peer) = &mut self.peers[slot] else {
            return;
        };
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        match peer.receive(
            self.now,
            (source, destination),
            bytes,
            &mut sent,
            &mut events,
        ) {
            Ok(Some(deadline)) => self.look_again(slot, deadline),
            Ok(None) => self.metrics.refused_datagram_total.add_one(),
            Err(broken) => self.doomed.push((slot, broken)),
        }
        self.sent.extend(sent);
        self.events(slot, events);
    }

    fn flush(&mut self, slot: usize) {
        let Some(peer) = &mut self.peers[slot] else {
            return;
        };
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        match peer.flush(self.now, &mut sent, &mut events) {
            Ok(deadline) => self.look_again(slot, deadline),
            Err(broken) => self.doomed.push((slot, broken)),
        }
        self.sent.extend(sent);
        self.events(slot, events);
    }

    /// When the connection itself wants to be looked after: its pacer asks for every microsecond it might fill.
    fn look_again(&mut self, slot: usize, deadline: Instant) {
        let is_probing = self.peers[slot].as_ref().is_some_and(Peer::is_probing);
        let grain = if is_probing { PROBE_GRAIN } else { TIMER_GRAIN };
        self.deadlines[slot] = Some(deadline.max(self.now + grain));
    }

    /// `slot` has something to flush, together with what soon follows.
    fn touch_soon(&mut self, slot: usize) {
        let due = self.now + TRAIN_WAIT;
        let deadline = &mut self.deadlines[slot];
        *deadline = Some(deadline.map_or(due, |at| at.min(due)));
    }

    /// `slot` has something to flush.
    fn touch(&mut self, slot: usize) {
        if let Some(peer) = &mut self.peers[slot]
            && !peer.is_dirty
        {
            peer.is_dirty = true;
            self.dirty.push_back(slot);
        }
    }

    fn events(&mut self, slot: usize, events: Vec<Event>) {
        for event in events {
            let Some(peer) = &mut self.peers[slot] else {
                return;
            };
            let (call, id) = (peer.call, peer.id);
            match event {
                Event::Connected => self.tell_room(&call, RoomInput::Connected(id)),
                Event::Message(bytes) => {
                    self.tell_room(&call, RoomInput::Message { from: id, bytes })
                }
                Event::Packet(stream, packet) if peer.is_connected => {
                    self.packet(slot, stream, &packet)
                }
                // Before its data channel is open nobody was told of it, and nobody hears it.
                Event::Packet(..) => {}
                Event::KeyframeWanted(mid) => self.key_frame_wanted(slot, mid),
            }
        }
    }

    fn timeout(&mut self) {
        for slot in 0..self.deadlines.len() {
            if self.deadlines[slot].is_some_and(|at| at <= self.now) {
                self.touch(slot);
            }
        }
        if self.now >= self.next_tick {
            self.next_tick = self.now + TICK;
            self.tick();
        }
    }

    fn tick(&mut self) {
        let due = |call: &Call| call.deadline.is_some_and(|at| at <= self.now);
        let due: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, call)| due(call))
            .map(|(&id, _)| id)
            .collect();
        for call in due {
            self.tell_room(&call, RoomInput::Timeout);
        }
        for slot in 0..self.peers.len() {
            let Some(peer) = &self.peers[slot] else {
                continue;
            };
            if self.now.saturating_duration_since(peer.last_heard_at) >= SILENCE_MAX {
                self.metrics.dropped_silent_total.add_one();
                self.leave(slot);
            } else {
                self.look_after_media(slot);
            }
        }
        let (mut members, mut reserved) = (0, 0);
        for call in self.calls.values() {
            let counts = call.room.counts();
            members += counts.0;
            reserved += counts.1;
        }
        self.metrics.calls.set(self.calls.len() as u64);
        self.metrics.participants.set(members as u64);
        self.metrics.reservations.set(reserved as u64);
    }

    /// Those whose connection broke leave.
    fn bury(&mut self) {
        for (slot, broken) in std::mem::take(&mut self.doomed) {
            if self.peers[slot].is_none() {
                continue;
            }
            match broken {
                Broken::Closed => {}
                Broken::Rule => self.metrics.dropped_broken_total.add_one(),
                Broken::Panic => self.metrics.panics_total.add_one(),
            }
            self.leave(slot);
        }
    }
}

fn random_text(rng: &mut ChaCha20Rng, len: usize) -> String {
    (0..len)
        .map(|_| char::from(rng.sample(Alphanumeric)))
        .collect()
}

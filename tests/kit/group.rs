//! A world of group-call participants, in a group or by link: real machines, a toy SFU, a virtual clock and a seeded network.
//!
//! One thread, no socket, no clock: `World::step` jumps to whatever is due next. The data
//! channel keeps order and loses nothing; media frames arrive late, out of order or not at all.
//! Monitors run at every step and panic; the message carries the seed.

mod actions;
mod checks;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use hullo_proto::group::group_call::{Config, EndReason, Event, GroupCall, Input, Output};
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::key::{ClientKey, GroupCallKey, PublicKey};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::mid::alphanumeric_ids;
use hullo_proto::group::wire::{FromSfu, Relay, SupportedFeatures, ToSfu};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use roles::{Demand, GCK, Kind};

/// The longest a packet takes.
pub const DELAY_MAX: Duration = Duration::from_millis(200);

/// How long after a leave somebody may still be heard: twice the rekey delay, and the news on its way.
const CATCH_UP_MAX: Duration = Duration::from_millis(4_000 + 2 * 200);

/// How long the members of a group take to hear of a change, at most.
const NEWS_DELAY_MAX_MS: u64 = 1_500;

/// A person, in the call or not.
struct Person {
    identity: Identity,
    key: ClientKey,
    is_member: bool,
    /// In a call by link: takes part under a name of its own choice.
    is_guest: bool,
    /// In a call by link: an administrator from the start.
    is_host: bool,
    session: Option<Session>,
    /// What this person believes the members are; news arrive in order.
    news: Vec<(Instant, BTreeMap<Identity, PublicKey>)>,
    members: BTreeMap<Identity, PublicKey>,
}

/// One stay in the call.
struct Session {
    id: ParticipantId,
    call: GroupCall,
    joined_at: Instant,
    frames_sealed: u32,
    position: (u8, u8),
    /// Removed from the group (or a guest where none are wanted), and does not care: it stays connected and listens.
    is_defiant: bool,
    /// When each other participant treated this one as having left.
    shut_out: BTreeMap<ParticipantId, Instant>,
}

/// Somebody who is gone, and still tries to listen.
struct Ghost {
    call: GroupCall,
    left_at: Instant,
}

/// Forwards; holds no key. What it does is what the text asks of an SFU.
#[derive(Default)]
struct ToySfu {
    connected: BTreeSet<ParticipantId>,
    call_state: Option<Vec<u8>>,
    ids_given: usize,
}

enum Packet {
    ToSfu(ParticipantId, Vec<u8>),
    FromSfu(ParticipantId, Vec<u8>),
    Frame {
        from: ParticipantId,
        to: ParticipantId,
        track: Track,
        sealed: Vec<u8>,
    },
}

struct RecordedFrame {
    from: ParticipantId,
    sealed_at: Instant,
    track: Track,
    sealed: Vec<u8>,
}

/// See the module.
pub struct World {
    seed: u64,
    kind: Kind,
    start: Instant,
    now: Instant,
    rng: ChaCha20Rng,
    people: Vec<Person>,
    ghosts: Vec<Ghost>,
    sfu: ToySfu,
    in_flight: BTreeMap<(Instant, u64), Packet>,
    sequence: u64,
    /// When the data channel's last packet arrives, per participant and direction.
    last_arrival: BTreeMap<(ParticipantId, bool), Instant>,
    /// The newest frames, to be tried on whoever joins later.
    recorded: Vec<RecordedFrame>,
    frame_numbers: BTreeSet<(ParticipantId, u32)>,
    /// Random nonces of hellos and call states.
    nonces: BTreeSet<Vec<u8>>,
    /// Pairs whose hello was sent, by sender and receiver.
    greeted: BTreeSet<(ParticipantId, ParticipantId)>,
    demands: Vec<Demand>,
    /// Whom administrators asked to look at, once per participant asked.
    focused: Vec<ParticipantId>,
    /// What happens now was caused by a message.
    is_from_outside: bool,
    trace: DefaultHasher,
    /// What happened, for a scenario to see that its world was not empty.
    pub counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// People who joined.
    pub joins: u32,
    /// People who left.
    pub leaves: u32,
    /// Members removed.
    pub removals: u32,
    /// Handshakes finished, one per side.
    pub authenticated: u32,
    /// Frames opened under way.
    pub frames_opened: u32,
    /// Frames tried on somebody who must not open them.
    pub frames_refused: u32,
    /// Handshakes by role pair: member and member, member and guest, guest and member, guest and guest;
    /// whoever was there first, then the newer one.
    pub handshakes: [u32; 4],
    /// What administrators commanded others, by role pair: the administrator, then the other.
    pub commands: [u32; 4],
    /// People who became administrators.
    pub promotions: u32,
    /// People who were made to leave.
    pub forced_leaves: u32,
    /// Devices turned off by an administrator.
    pub forced_off: u32,
}

impl Counts {
    /// Adds what happened in another world.
    pub fn add(&mut self, other: &Self) {
        let pairs = |own: &mut [u32; 4], other: &[u32; 4]| {
            own.iter_mut()
                .zip(other)
                .for_each(|(own, other)| *own += other);
        };
        self.joins += other.joins;
        self.leaves += other.leaves;
        self.removals += other.removals;
        self.authenticated += other.authenticated;
        self.frames_opened += other.frames_opened;
        self.frames_refused += other.frames_refused;
        pairs(&mut self.handshakes, &other.handshakes);
        pairs(&mut self.commands, &other.commands);
        self.promotions += other.promotions;
        self.forced_leaves += other.forced_leaves;
        self.forced_off += other.forced_off;
    }
}

impl World {
    /// A group of `count` members, none of them in the call yet.
    #[must_use]
    pub fn new(seed: u64, count: usize, start: Instant) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let keys: Vec<_> = (0..count)
            .map(|_| ClientKey::from_bytes(rng.random()))
            .collect();
        let identity =
            |index: usize| Identity::try_from(format!("PERSON{index:02}").as_str()).expect("valid");
        let members: BTreeMap<_, _> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| (identity(i), key.public()))
            .collect();
        let people = keys
            .into_iter()
            .enumerate()
            .map(|(index, key)| Person {
                identity: identity(index),
                key,
                is_member: true,
                is_guest: false,
                is_host: false,
                session: None,
                news: Vec::new(),
                members: members.clone(),
            })
            .collect();
        Self {
            seed,
            kind: Kind::Group,
            start,
            now: start,
            rng,
            people,
            ghosts: Vec::new(),
            sfu: ToySfu::default(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            last_arrival: BTreeMap::new(),
            recorded: Vec::new(),
            frame_numbers: BTreeSet::new(),
            nonces: BTreeSet::new(),
            greeted: BTreeSet::new(),
            demands: Vec::new(),
            focused: Vec::new(),
            is_from_outside: false,
            trace: DefaultHasher::new(),
            counts: Counts::default(),
        }
    }

    /// `count` people with a link to a call, some of them guests, the first an administrator; none in the call yet.
    /// In one world of five guests are not wanted, and try it all the same.
    #[must_use]
    pub fn by_link(seed: u64, count: usize, start: Instant) -> Self {
        let mut world = Self::new(seed, count, start);
        world.kind = Kind::Link {
            guests_allowed: world.rng.random_bool(0.8),
        };
        for (index, person) in world.people.iter_mut().enumerate() {
            person.is_host = index == 0;
            person.is_guest = world.rng.random_bool(0.5);
        }
        let members: BTreeMap<_, _> = world
            .people
            .iter()
            .filter(|person| !person.is_guest)
            .map(|person| (person.identity, person.key.public()))
            .collect();
        for person in &mut world.people {
            person.members = members.clone();
        }
        world
    }

    /// A digest of everything that was sent: equal for equal seeds.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Lets anything happen for `duration`: joins, leaves, removals, devices, holding, views, frames.
    pub fn live(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            let gap = Duration::from_millis(self.rng.random_range(1..400));
            self.run_until((self.now + gap).min(end));
            self.act();
        }
    }

    /// Lets everything settle, then demands agreement: all rosters, all devices, everyone hears everyone.
    pub fn settle(&mut self) {
        self.run_until(
            self.now + CATCH_UP_MAX + Duration::from_millis(NEWS_DELAY_MAX_MS) + 10 * DELAY_MAX,
        );
        self.check_rosters();
        self.check_hearing();
        self.check_newcomers();
        if self.is_by_link() {
            self.check_demands();
            self.check_administration();
            self.check_call_state();
        }
        self.recorded.clear();
    }

    /// Runs whatever is due until `end`, and stops the clock there.
    fn run_until(&mut self, end: Instant) {
        while self.step(end) {}
        self.now = end;
    }

    /// Does the next thing that is due; false: nothing is, up to `end`.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.in_flight.keys().next().map(|(at, _)| *at);
        let timeout = self
            .people
            .iter_mut()
            .enumerate()
            .filter_map(|(index, person)| {
                let session = person.session.as_mut()?;
                match session.call.poll_output() {
                    Output::Timeout(at) => Some((at?, index)),
                    Output::Transmit(_) | Output::Event(_) => panic!("a machine was not drained"),
                }
            });
        let timeout = timeout.min();
        let news = self
            .people
            .iter()
            .enumerate()
            .filter_map(|(i, p)| Some((p.news.first()?.0, i)))
            .min();
        let next = [packet, timeout.map(|(at, _)| at), news.map(|(at, _)| at)]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if packet == Some(next) {
            let (_, packet) = self.in_flight.pop_first().expect("just seen");
            self.arrive(packet);
        } else if let Some((_, index)) = timeout.filter(|(at, _)| *at == next) {
            self.input(index, Input::Timeout);
        } else if let Some((_, index)) = news {
            let (_, members) = self.people[index].news.remove(0);
            self.people[index].members = members.clone();
            self.input(index, Input::Members(members));
        }
        true
    }

    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::ToSfu(from, bytes) => self.sfu_receives(from, &bytes),
            Packet::FromSfu(to, bytes) => {
                if let Some(index) = self.index_of(to) {
                    self.input(index, Input::Received(&bytes));
                }
            }
            Packet::Frame {
                from,
                to,
                track,
                sealed,
            } => {
                let now = self.now;
                let Some(session) = self
                    .index_of(to)
                    .and_then(|index| self.people[index].session.as_mut())
                else {
                    return;
                };
                if session.call.open(now, from, track, &sealed).is_ok() {
                    self.counts.frames_opened += 1;
                    assert!(
                        session.call.open(now, from, track, &sealed).is_err() || sealed.is_empty(),
                        "seed {}: a frame opened twice",
                        self.seed
                    );
                }
            }
        }
    }

    fn index_of(&self, id: ParticipantId) -> Option<usize> {
        self.people.iter().position(|person| {
            person
                .session
                .as_ref()
                .is_some_and(|session| session.id == id)
        })
    }

    fn in_call(&self) -> Vec<usize> {
        (0..self.people.len())
            .filter(|&index| self.people[index].session.is_some())
            .collect()
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.now;
        let Some(session) = &mut self.people[index].session else {
            return;
        };
        let is_from_outside = matches!(input, Input::Received(_));
        session.call.handle_input(now, input);
        self.is_from_outside = is_from_outside;
        self.drain(index);
        self.is_from_outside = false;
    }

    fn drain(&mut self, index: usize) {
        loop {
            let Some(session) = &mut self.people[index].session else {
                return;
            };
            let id = session.id;
            match session.call.poll_output() {
                Output::Timeout(_) => break,
                Output::Transmit(bytes) => self.transmitted(id, bytes),
                Output::Event(event) => self.happened(index, event),
            }
        }
        self.check_position(index);
    }

    fn transmitted(&mut self, id: ParticipantId, bytes: Vec<u8>) {
        bytes.hash(&mut self.trace);
        if let Ok(ToSfu::Relay(relay)) = ToSfu::decode(&bytes) {
            self.check_hello_nonce(&relay);
        }
        self.send(Packet::ToSfu(id, bytes));
    }

    /// The first message to each other participant is a hello, and begins with its nonce.
    fn check_hello_nonce(&mut self, relay: &Relay) {
        if self.greeted.insert((relay.sender, relay.receiver)) {
            self.check_nonce(&relay.encrypted_data);
        }
    }

    fn check_nonce(&mut self, sealed: &[u8]) {
        assert!(
            self.nonces.insert(sealed[..24].to_vec()),
            "seed {}: a nonce was used twice",
            self.seed
        );
    }

    fn happened(&mut self, index: usize, event: Event) {
        self.check_event(index, &event);
        let own = self.people[index]
            .session
            .as_ref()
            .map(|session| session.id);
        match event {
            Event::Ended(reason) => {
                let seed = self.seed;
                let is_forced = own.is_some_and(|own| self.was_demanded_to_leave(own));
                let is_due = match reason {
                    EndReason::NotAMember => self.kind == Kind::Group,
                    EndReason::ForcedToLeave => is_forced,
                    _ => false,
                };
                assert!(is_due, "seed {seed}: a call ended: {reason}");
                self.counts.forced_leaves += u32::from(is_forced);
                self.disconnect(index);
            }
            Event::Authenticated(other, _) => {
                self.counts.authenticated += 1;
                if let Some(own) = own.filter(|own| *own > other) {
                    self.counts.handshakes[self.pair(other, own)] += 1;
                }
            }
            Event::ParticipantLeft(gone, _) => {
                let now = self.now;
                let gone = self
                    .index_of(gone)
                    .and_then(|index| self.people[index].session.as_mut());
                if let (Some(gone), Some(own)) = (gone, own) {
                    gone.shut_out.entry(own).or_insert(now);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, packet: Packet) {
        let delay = Duration::from_micros(
            self.rng
                .random_range(1_000..=u64::try_from(DELAY_MAX.as_micros()).expect("small")),
        );
        let mut at = self.now + delay;
        let lane = match &packet {
            Packet::ToSfu(id, _) => Some((*id, true)),
            Packet::FromSfu(id, _) => Some((*id, false)),
            Packet::Frame { .. } => None,
        };
        if let Some(lane) = lane {
            let last = self.last_arrival.entry(lane).or_insert(at);
            at = at.max(*last);
            *last = at;
        }
        self.sequence += 1;
        self.in_flight.insert((at, self.sequence), packet);
    }

    fn announce(&mut self, to: ParticipantId, message: &FromSfu) {
        let bytes = message.encode(&mut self.rng);
        self.send(Packet::FromSfu(to, bytes));
    }

    fn sfu_receives(&mut self, from: ParticipantId, bytes: &[u8]) {
        if !self.sfu.connected.contains(&from) {
            return;
        }
        match ToSfu::decode(bytes).expect("our own clients send what decodes") {
            ToSfu::Relay(relay) => {
                assert_eq!(relay.sender, from, "seed {}: a forged sender", self.seed);
                if self.sfu.connected.contains(&relay.receiver) {
                    // Forwarded as it came: the two envelopes are compatible.
                    self.send(Packet::FromSfu(relay.receiver, bytes.to_vec()));
                }
            }
            ToSfu::UpdateCallState(state) => {
                self.check_nonce(&state);
                self.sfu.call_state = Some(state);
            }
            ToSfu::RequestTimestamp => {
                let ms =
                    u64::try_from(self.now.duration_since(self.start).as_millis()).expect("short");
                self.announce(from, &FromSfu::Timestamp(ms));
            }
            ToSfu::Subscribe(..) | ToSfu::Unknown => {}
        }
    }

    fn connect(&mut self, index: usize) {
        let id = alphanumeric_ids()
            .nth(self.sfu.ids_given)
            .expect("a world has fewer stays than ids");
        self.sfu.ids_given += 1;
        let person = &self.people[index];
        let config = Config {
            participant_id: id,
            role: Self::role_of(person),
            key: GroupCallKey::from_bytes(GCK),
            scope: self.scope(person),
            administrator: person.is_host.then(Self::administrator_key),
            supported_features: SupportedFeatures::SCREEN_SHARE,
            unix_ms: 0,
        };
        let is_defiant = self.is_unwanted(person);
        let call = GroupCall::new(self.now, config, ChaCha20Rng::from_rng(&mut self.rng))
            .expect("usable keys");
        self.people[index].session = Some(Session {
            id,
            call,
            joined_at: self.now,
            frames_sealed: 0,
            position: (0, 0),
            is_defiant,
            shut_out: BTreeMap::new(),
        });
        let others: Vec<_> = self.sfu.connected.iter().copied().collect();
        for other in &others {
            self.announce(*other, &FromSfu::ParticipantJoined(id));
        }
        self.sfu.connected.insert(id);
        self.announce(id, &FromSfu::Hello(others));
        self.counts.joins += 1;
    }

    fn disconnect(&mut self, index: usize) {
        let Some(session) = self.people[index].session.take() else {
            return;
        };
        self.sfu.connected.remove(&session.id);
        self.forget_demands_of(session.id);
        for other in self.sfu.connected.iter().copied().collect::<Vec<_>>() {
            self.announce(other, &FromSfu::ParticipantLeft(session.id));
        }
        self.ghosts.push(Ghost {
            call: session.call,
            left_at: self.now,
        });
        self.counts.leaves += 1;
    }
}

//! A group call in virtual time: the SFU's forwarder, and people with the call's machine and a real WebRTC session each,
//! on a seeded network.
//!
//! Everything but str0m's own randomness follows from the seed, so a failure prints it; str0m's cannot be seeded, so
//! worlds are judged by what people would notice and by what must never happen. Monitors run at every step and panic.

mod content;
mod seat;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_media::group_session::{
    Certificate, GroupSession, GroupSessionConfig, Input as SessionInput,
};
use hullo_proto::group::group_call::{Config, GroupCall, Input, Scope};
use hullo_proto::group::handshake::Role;
use hullo_proto::group::id::{CallId, Identity, ParticipantId};
use hullo_proto::group::key::{ClientKey, GroupCallKey, PublicKey};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Device, Name, View};
use hullo_proto::service::token::TokenKey;
use hullo_sfu::clock::Clock;
use hullo_sfu::forward::{
    Forwarder, Input as SfuInput, Join, Output as SfuOutput, Settings, Stack,
};
use hullo_sfu::metrics::Metrics;
use hullo_sfu::permit::Permits;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use str0m_netem::{LossModel, NetemConfig, Probability, RandomLoss};

use seat::Arrived;
pub use seat::{Heard, Seat};

/// Pictures a second of every camera.
pub const RATE_FPS: u32 = 15;
/// Pixels of every camera.
pub const PICTURE_SIZE: (u32, u32) = (320, 180);
/// One block of sound.
pub const SOUND_INTERVAL: Duration = Duration::from_millis(20);

const GCK: [u8; 32] = [5; 32];
const CALL: [u8; 32] = [6; 32];
const UNIX_START: Duration = Duration::from_secs(1_790_000_000);
const PICTURE_INTERVAL: Duration = Duration::from_micros(66_667);
/// Steps are at least so long: pacers ask for every microsecond they might fill.
const GRAIN: Duration = Duration::from_micros(500);
/// How long after a departure somebody who listens on may still open something: twice the rekey delay, and the way.
const CATCH_UP_MAX: Duration = Duration::from_millis(4_500);
/// Of all frames every so many is tried on those who must not open it.
const TRY_EVERY: u64 = 16;
/// Those who went without a word, kept to listen on.
const GHOSTS_MAX: usize = 4;
/// The last words of a connection arrive within this.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// Connections of a person at once: the one in use and its successor.
const SEATS_MAX: usize = 2;

/// One datagram on its way.
#[derive(Clone)]
pub(crate) struct Datagram {
    source: SocketAddr,
    destination: SocketAddr,
    bytes: Vec<u8>,
}

impl str0m_netem::WithLen for Datagram {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// What a line does to datagrams, each way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// One way.
    pub delay: Duration,
    /// Spread around it.
    pub jitter: Duration,
    /// Share lost, 0..=1.
    pub loss: f32,
}

impl Line {
    fn netem(self, seed: u64) -> NetemConfig {
        let loss = if self.loss > 0.0 {
            LossModel::Random(RandomLoss::new(Probability::new(self.loss)))
        } else {
            LossModel::None
        };
        NetemConfig::new()
            .latency(self.delay)
            .jitter(self.jitter)
            .loss(loss)
            .seed(seed)
    }
}

/// A member of the group, in the call or not.
pub struct Person {
    identity: Identity,
    key: ClientKey,
    certificate: Certificate,
    line: Line,
    /// Connections, the newest last; the first is the one that sends.
    pub seats: Vec<Seat>,
    next_sound: Instant,
    next_picture: Instant,
}

/// Somebody who went without a word and listens on.
struct Ghost {
    id: ParticipantId,
    call: GroupCall,
    left_at: Instant,
}

/// How much happened: a world in which nothing does proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Seats taken.
    pub joins: u64,
    /// Seats given up.
    pub leaves: u64,
    /// Sound frames opened.
    pub sound: u64,
    /// Pictures that could be shown.
    pub pictures: u64,
    /// Frames tried on somebody who must not open them.
    pub refused: u64,
    /// Sound that was tried to be said while muted or away.
    pub muted: u64,
}

/// How well everybody heard and saw everybody else, in percent of what was sent. All zero: somebody was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Sound, of the pair for which it went worst.
    pub sound_least: u64,
    /// Pictures, of the pair for which it went worst.
    pub pictures_least: u64,
    /// Pictures, of all pairs.
    pub pictures_mean: u64,
}

impl Quality {
    /// Next to nothing is missing.
    #[must_use]
    pub fn is_perfect(self) -> bool {
        self.sound_least >= 98 && self.pictures_least >= 98
    }
}

impl Counts {
    /// Adds what happened in another world.
    pub fn add(&mut self, other: &Self) {
        self.joins += other.joins;
        self.leaves += other.leaves;
        self.sound += other.sound;
        self.pictures += other.pictures;
        self.refused += other.refused;
        self.muted += other.muted;
    }
}

/// How one person's sound reaches everybody else, whichever connection it comes by.
struct Watch {
    person: usize,
    since: Instant,
    /// By listener: when the last came, the longest silence, how many came.
    listeners: BTreeMap<usize, (Instant, Duration, u64)>,
}

/// See the module.
pub struct World {
    /// The virtual now.
    pub now: Instant,
    /// Everybody.
    pub people: Vec<Person>,
    /// What happened.
    pub counts: Counts,
    /// The SFU's figures.
    pub metrics: Arc<Metrics>,
    seed: u64,
    start: Instant,
    rng: ChaCha20Rng,
    forwarder: Forwarder,
    sfu_deadline: Instant,
    permits: Permits,
    ghosts: Vec<Ghost>,
    /// Whose each participant id is or was.
    owners: BTreeMap<ParticipantId, usize>,
    watch: Option<Watch>,
    addresses: u16,
    frames: u64,
}

/// Sound and pictures by whom they concern.
type Figures<K> = BTreeMap<K, (u64, u64)>;

fn sfu_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4_000))
}

impl World {
    /// A group of `count` members, each with a line of its own; nobody is in the call yet.
    #[must_use]
    pub fn new(seed: u64, count: usize, line: impl Fn(&mut ChaCha20Rng) -> Line) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary zero of the virtual clock"
        )]
        let now = Instant::now();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let metrics = Arc::new(Metrics::default());
        let settings = Settings {
            addresses: vec![sfu_address()],
            participants_max: 64,
            calls_max: 1,
            participants_total_max: 64,
        };
        let forwarder = Forwarder::new(
            now,
            settings,
            Arc::new(Stack::new().expect("a certificate")),
            Clock::new(now, UNIX_START),
            Arc::clone(&metrics),
            ChaCha20Rng::from_rng(&mut rng),
        );
        let people = (0..count)
            .map(|index| Person {
                identity: Identity::try_from(format!("PERSON{index:02}").as_str()).expect("valid"),
                key: ClientKey::from_bytes(rng.random()),
                certificate: Certificate::generate().expect("a certificate"),
                line: line(&mut rng),
                seats: Vec::new(),
                next_sound: now,
                next_picture: now,
            })
            .collect();
        Self {
            now,
            people,
            counts: Counts::default(),
            metrics,
            seed,
            start: now,
            rng,
            forwarder,
            sfu_deadline: now,
            permits: Permits::default(),
            ghosts: Vec::new(),
            owners: BTreeMap::new(),
            watch: None,
            addresses: 0,
            frames: 0,
        }
    }

    /// Joins, or joins again beside the connection in use.
    ///
    /// # Panics
    /// When the SFU has no place: these worlds are smaller than its calls.
    pub fn join(&mut self, index: usize) {
        if self.people[index].seats.len() >= SEATS_MAX {
            return;
        }
        let token_key = TokenKey::from_bytes([1; 32]);
        let token = token_key.issue(u64::MAX, &mut self.rng);
        let number = token_key.check(&token, 0).expect("our own");
        let join = Join {
            call_id: CallId::from_bytes(CALL),
            dtls_fingerprint: self.people[index].certificate.fingerprint(),
            has_wanted_channel: true,
            permit: self.permits.take(number).expect("a token of its own"),
        };
        let answer = self.forwarder.join(self.now, join).expect("a place");
        self.drain_sfu();
        let members: BTreeMap<Identity, PublicKey> = self
            .people
            .iter()
            .map(|person| (person.identity, person.key.public()))
            .collect();
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let unix = UNIX_START + (self.now - self.start);
        let person = &mut self.people[index];
        let config = Config {
            participant_id: answer.participant_id,
            role: Role::Normal {
                identity: person.identity,
                nickname: Name::new("somebody"),
                key: person.key.clone(),
            },
            key: GroupCallKey::from_bytes(GCK),
            scope: Scope::Group { members },
            administrator: None,
            supported_features: answer.supported_features,
            unix_ms: u64::try_from(unix.as_millis()).expect("this century"),
        };
        let call = GroupCall::new(self.now, config, rng).expect("no administrators");
        let session = GroupSession::new(
            self.now,
            &GroupSessionConfig {
                answer,
                certificate: person.certificate.clone(),
                has_wanted_channel: true,
                start_bitrate_bps: 600_000,
                desired_bitrate_bps: 1_500_000,
            },
        )
        .expect("our own SFU's answer");
        self.addresses += 1;
        let [high, low] = self.addresses.to_be_bytes();
        let address = SocketAddr::from(([10, 0, high, low], 5_000));
        let lines = [0xa, 0xb].map(|salt| {
            let seed = self.seed.wrapping_mul(31) ^ u64::from(self.addresses) << 8 ^ salt;
            person.line.netem(seed)
        });
        let seat = Seat::new(self.now, call, session, address, (lines[0], lines[1]));
        self.owners.insert(seat.id, index);
        person.seats.push(seat);
        self.counts.joins += 1;
    }

    /// The first connection ends: with a goodbye of both machines, or by closing it without one.
    pub fn leave(&mut self, index: usize, politely: bool) {
        let now = self.now;
        let person = &mut self.people[index];
        if person.seats.is_empty() {
            return;
        }
        let mut seat = person.seats.remove(0);
        self.counts.leaves += 1;
        if !seat.is_cut {
            // Its last words are not lost: what that costs is another test's.
            seat.up.set_config(NetemConfig::new());
        }
        if politely {
            seat.input(now, Input::Leave);
        }
        seat.close(now);
        deliver_up(&mut seat, &mut self.forwarder, (now, now + GOODBYE_MAX));
        self.drain_sfu();
        if !politely {
            self.ghosts.push(Ghost {
                id: seat.id,
                call: seat.call,
                left_at: now,
            });
            if self.ghosts.len() > GHOSTS_MAX {
                self.ghosts.remove(0);
            }
        }
    }

    /// The line of the newest connection carries nothing any more, in both directions.
    pub fn cut(&mut self, index: usize) {
        if let Some(seat) = self.people[index].seats.last_mut() {
            let nothing = || {
                let loss = LossModel::Random(RandomLoss::new(Probability::new(1.0)));
                NetemConfig::new().loss(loss)
            };
            seat.is_cut = true;
            seat.up.set_config(nothing());
            seat.down.set_config(nothing());
        }
    }

    /// Gives the person's sending connection something to do.
    pub fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.now;
        if let Some(seat) = self.people[index].seats.first_mut() {
            seat.input(now, input);
        }
    }

    /// The newest connection sends from now on; the one before is left.
    pub fn switch(&mut self, index: usize) {
        if self.people[index].seats.len() == SEATS_MAX {
            let was = (
                self.people[index].seats[0].muted,
                self.people[index].seats[0].on_hold,
            );
            self.leave(index, true);
            let now = self.now;
            let seat = &mut self.people[index].seats[0];
            seat.input(now, Input::Capture(Device::Microphone, !was.0));
            seat.input(now, Input::Capture(Device::Camera, true));
            seat.input(now, Input::Hold(was.1));
        }
    }

    /// Lets anything happen for `duration`.
    pub fn live(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            let gap = Duration::from_millis(self.rng.random_range(20..500));
            self.run_until((self.now + gap).min(end));
            self.act();
        }
    }

    /// Everybody in the call, everything on; then nothing happens for `duration`.
    pub fn settle(&mut self, duration: Duration) {
        for index in 0..self.people.len() {
            if self.people[index].seats.is_empty() {
                self.join(index);
            }
            self.switch(index);
            self.input(index, Input::Hold(false));
            self.input(index, Input::Capture(Device::Microphone, true));
            self.input(index, Input::Capture(Device::Camera, true));
            self.look(index, Some(0));
        }
        self.run(duration);
    }

    /// Lets time pass until `done`.
    ///
    /// # Panics
    /// When that takes longer than `limit`, with the seed.
    pub fn run_until_true(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "seed {}: not within {limit:?}", self.seed);
            self.run(Duration::from_millis(50));
        }
    }

    /// From now on it is noted how the sound of this person reaches everybody else.
    pub fn watch(&mut self, person: usize) {
        self.watch = Some(Watch {
            person,
            since: self.now,
            listeners: BTreeMap::new(),
        });
    }

    /// The longest silence that anybody had of the watched person, and the fewest blocks that anybody got.
    #[must_use]
    pub fn heard_of_watched(&self) -> (Duration, u64) {
        let Some(watch) = &self.watch else {
            return (Duration::MAX, 0);
        };
        let others = (0..self.people.len()).filter(|&index| index != watch.person);
        others.fold((Duration::ZERO, u64::MAX), |(gap, least), index| {
            let nothing = (watch.since, Duration::ZERO, 0);
            let (last, longest, count) = watch.listeners.get(&index).copied().unwrap_or(nothing);
            (gap.max(longest).max(self.now - last), least.min(count))
        })
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    fn act(&mut self) {
        let index = self.rng.random_range(0..self.people.len());
        let roll = self.rng.random_range(0..100);
        if self.people[index].seats.is_empty() {
            return self.join(index);
        }
        match roll {
            0..4 => self.leave(index, true),
            4..8 => self.leave(index, false),
            8..12 => self.join(index),
            12..16 => self.switch(index),
            16..46 => {
                let device = [Device::Microphone, Device::Camera][usize::from(roll % 2 == 0)];
                let on = self.rng.random_bool(0.6);
                self.input(index, Input::Capture(device, on));
            }
            46..54 => {
                let hold = self.rng.random_bool(0.4);
                self.input(index, Input::Hold(hold));
            }
            54..80 => {
                let size = [None, Some(0), Some(80), Some(160), Some(320)];
                let size = size[self.rng.random_range(0..size.len())];
                self.look(index, size);
            }
            _ => {}
        }
    }

    /// Shows everybody's camera so many pixels wide from now on; 0: at any size.
    fn look(&mut self, index: usize, width: Option<u32>) {
        let now = self.now;
        let Some(seat) = self.people[index].seats.first_mut() else {
            return;
        };
        let view = width.map(|width| View {
            width,
            height: width * 9 / 16,
            fps: RATE_FPS,
        });
        seat.view = view.unwrap_or(seat.view);
        for id in seat
            .call
            .participants()
            .map(|entry| entry.id)
            .collect::<Vec<_>>()
        {
            seat.input(now, Input::ViewCamera(id, view));
        }
    }

    fn run_until(&mut self, end: Instant) {
        while self.now < end {
            let mut next = end.min(self.sfu_deadline);
            for person in &self.people {
                for seat in &person.seats {
                    let own = seat.deadline().unwrap_or(end);
                    let lines = seat.up.poll_timeout().min(seat.down.poll_timeout());
                    next = next.min(own).min(lines);
                }
                if !person.seats.is_empty() {
                    next = next.min(person.next_sound).min(person.next_picture);
                }
            }
            self.now = next.max(self.now + GRAIN).min(end);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for index in 0..self.people.len() {
            self.publish(index);
            for seat in &mut self.people[index].seats {
                seat.time_passes(now);
                deliver_up(seat, &mut self.forwarder, (now, now));
            }
        }
        if self.sfu_deadline <= now {
            self.forwarder.handle_input(now, SfuInput::Timeout);
        }
        self.drain_sfu();
        for index in 0..self.people.len() {
            for seat in 0..self.people[index].seats.len() {
                self.deliver_down(index, seat);
            }
        }
        self.check();
    }

    fn publish(&mut self, index: usize) {
        let (now, since) = (self.now, self.now - self.start);
        let person = &mut self.people[index];
        let Some(seat) = person.seats.first_mut() else {
            return;
        };
        let mut sealed = Vec::new();
        if person.next_sound <= now {
            person.next_sound = now.max(person.next_sound + SOUND_INTERVAL);
            let said = seat.speak(now, since);
            self.counts.muted += u64::from(said.is_none() && (seat.muted || seat.on_hold));
            sealed.extend(said.map(|bytes| (Track::Microphone, bytes)));
        }
        if person.next_picture <= now {
            person.next_picture = now.max(person.next_picture + PICTURE_INTERVAL);
            sealed.extend(seat.show(now, since));
        }
        let from = seat.id;
        for (track, bytes) in sealed {
            self.frames += 1;
            if self.frames.is_multiple_of(TRY_EVERY) {
                self.try_on_others(index, from, track, &bytes);
            }
        }
    }

    /// No foreign key opens: not that of somebody who left, not that of another participant.
    fn try_on_others(&mut self, index: usize, from: ParticipantId, track: Track, sealed: &[u8]) {
        let now = self.now;
        for ghost in &mut self.ghosts {
            if now - ghost.left_at > CATCH_UP_MAX && ghost.id != from {
                let opened = ghost.call.open(now, from, track, sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: {} opened after it left",
                    self.seed,
                    ghost.id
                );
                self.counts.refused += 1;
            }
        }
        for (other, person) in self.people.iter_mut().enumerate() {
            let Some(seat) = person.seats.first_mut().filter(|_| other != index) else {
                continue;
            };
            let claimed = seat.roster().into_iter().find(|&id| id != from);
            if let Some(claimed) = claimed {
                let opened = seat.call.open(now, claimed, track, sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: a frame opened under another's name",
                    self.seed
                );
                self.counts.refused += 1;
            }
        }
    }

    fn drain_sfu(&mut self) {
        loop {
            match self.forwarder.poll_output() {
                SfuOutput::Timeout(at) => {
                    self.sfu_deadline = at;
                    return;
                }
                SfuOutput::Transmit {
                    destination,
                    contents,
                } => {
                    let datagram = Datagram {
                        source: sfu_address(),
                        destination,
                        bytes: contents.as_ref().to_vec(),
                    };
                    let mut seats = self.people.iter_mut().flat_map(|person| &mut person.seats);
                    if let Some(seat) = seats.find(|seat| seat.address == destination) {
                        let packet = str0m_netem::Input::Packet(self.now, datagram);
                        seat.down.handle_input(packet);
                    }
                }
            }
        }
    }

    fn deliver_down(&mut self, index: usize, seat_index: usize) {
        let now = self.now;
        let seat = &mut self.people[index].seats[seat_index];
        seat.down.handle_input(str0m_netem::Input::Timeout(now));
        while let Some(output) = seat.down.poll_output() {
            let str0m_netem::Output::Packet(datagram) = output else {
                break;
            };
            let input = SessionInput::Receive {
                source: datagram.source,
                destination: datagram.destination,
                bytes: &datagram.bytes,
            };
            seat.session(now, input);
        }
        let arrived = std::mem::take(&mut seat.arrived);
        for frame in arrived {
            let seat = &mut self.people[index].seats[seat_index];
            let Some(content) = seat.open(now, &frame) else {
                continue;
            };
            assert!(
                content.by == frame.participant.number() && content.is_of(frame.track),
                "seed {}: {content:?} came as {:?} of {}",
                self.seed,
                frame.track,
                frame.participant
            );
            self.note(index, &frame);
        }
    }

    /// Counts a frame that opened at person `to`.
    fn note(&mut self, to: usize, frame: &Arrived) {
        if frame.track != Track::Microphone {
            self.counts.pictures += 1;
            return;
        }
        self.counts.sound += 1;
        let Some(watch) = &mut self.watch else {
            return;
        };
        if self.owners.get(&frame.participant) == Some(&watch.person) && to != watch.person {
            let entry = watch
                .listeners
                .entry(to)
                .or_insert((watch.since, Duration::ZERO, 0));
            *entry = (self.now, entry.1.max(self.now - entry.0), entry.2 + 1);
        }
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        let seats_max = self.people.len() * SEATS_MAX;
        for person in &mut self.people {
            for seat in &person.seats {
                let others = seat.call.participants().count();
                // Those who went may be listed until the news is there; nobody rejoins that fast without end.
                assert!(
                    others
                        <= seats_max
                            + usize::from(u16::try_from(self.counts.joins).unwrap_or(u16::MAX)),
                    "seed {}: {others} people on a roster",
                    self.seed
                );
            }
            person.seats.retain(|seat| !seat.over);
        }
    }

    /// Whether everybody sees everybody, once each.
    #[must_use]
    pub fn rosters_agree(&self) -> bool {
        let ids: Vec<ParticipantId> = self
            .people
            .iter()
            .flat_map(|person| &person.seats)
            .map(|seat| seat.id)
            .collect();
        self.people
            .iter()
            .flat_map(|person| &person.seats)
            .all(|seat| {
                let mut roster = seat.roster();
                let mut others: Vec<_> = ids.iter().copied().filter(|&id| id != seat.id).collect();
                roster.sort_unstable();
                others.sort_unstable();
                roster == others
            })
    }

    /// What everybody heard and saw of everybody else in `duration`.
    pub fn measure(&mut self, duration: Duration) -> Quality {
        let before = self.figures();
        self.run(duration);
        let after = self.figures();
        let percent = |got: u64, of: u64| (got * 100).checked_div(of).unwrap_or(0);
        let mut pairs = Vec::new();
        for person in &self.people {
            // A second connection sends nothing.
            let Some(by) = person.seats.first().map(|seat| seat.id) else {
                return Quality::default();
            };
            let of = |figures: &Figures<_>| figures.get(&by).copied().unwrap_or_default();
            let (sent, sent_before) = (of(&after.1), of(&before.1));
            for other in self
                .people
                .iter()
                .filter(|other| other.identity != person.identity)
            {
                let Some(to) = other.seats.first().map(|seat| seat.id) else {
                    return Quality::default();
                };
                let of = |figures: &Figures<_>| figures.get(&(to, by)).copied().unwrap_or_default();
                let (was, is) = (of(&before.0), of(&after.0));
                pairs.push((
                    percent(is.0 - was.0, sent.0 - sent_before.0),
                    percent(is.1 - was.1, sent.1 - sent_before.1),
                ));
            }
        }
        let least = |of: fn(&(u64, u64)) -> u64| pairs.iter().map(of).min().unwrap_or(0);
        let sum: u64 = pairs.iter().map(|pair| pair.1).sum();
        Quality {
            sound_least: least(|pair| pair.0),
            pictures_least: least(|pair| pair.1),
            pictures_mean: sum.checked_div(pairs.len() as u64).unwrap_or(0),
        }
    }

    /// Who is where, for the message of a failed test.
    #[must_use]
    pub fn describe(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (index, person) in self.people.iter().enumerate() {
            for seat in &person.seats {
                let figures = seat.stats.as_ref();
                let _infallible = writeln!(
                    text,
                    "person {index} as {}: connected {} interrupted {}, sent {:?}, wanted {:?}, roster {:?}, heard {:?}, unsent and refused {:?}",
                    seat.id,
                    seat.connected,
                    seat.interrupted,
                    seat.sent,
                    seat.wanted.camera,
                    seat.roster(),
                    seat.heard,
                    figures.map(|stats| (stats.unsent_frames, stats.refused_datagrams)),
                );
            }
        }
        text
    }

    /// Heard and seen, by listener and speaker; sent, by speaker.
    fn figures(
        &self,
    ) -> (
        Figures<(ParticipantId, ParticipantId)>,
        Figures<ParticipantId>,
    ) {
        let (mut heard, mut sent) = (BTreeMap::new(), BTreeMap::new());
        for seat in self.people.iter().flat_map(|person| &person.seats) {
            sent.insert(seat.id, seat.sent);
            for (&by, figures) in &seat.heard {
                heard.insert((seat.id, by), (figures.sound, figures.pictures));
            }
        }
        (heard, sent)
    }
}

/// Brings the SFU what is due at `until`.
fn deliver_up(seat: &mut Seat, forwarder: &mut Forwarder, (now, until): (Instant, Instant)) {
    seat.up.handle_input(str0m_netem::Input::Timeout(until));
    while let Some(output) = seat.up.poll_output() {
        let str0m_netem::Output::Packet(datagram) = output else {
            break;
        };
        let input = SfuInput::Datagram {
            source: datagram.source,
            bytes: &datagram.bytes,
        };
        forwarder.handle_input(now, input);
    }
}

//! A group call in virtual time: the SFU's forwarder, and people with the call's machine and a real WebRTC session each,
//! on a seeded network.
//!
//! Everything but str0m's own randomness follows from the seed, so a failure prints it; str0m's cannot be seeded, so
//! worlds are judged by what people would notice and by what must never happen. Monitors run at every step and panic.

mod camera;
mod content;
mod drive;
mod judge;
mod lips;
mod seat;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_media::group_session::{Certificate, GroupSession, GroupSessionConfig};
use hullo_proto::group::group_call::{Config, GroupCall, Input, Scope};
use hullo_proto::group::handshake::Role;
use hullo_proto::group::id::{CallId, Identity, ParticipantId};
use hullo_proto::group::key::{ClientKey, GroupCallKey, PublicKey};
use hullo_proto::group::wire::{Device, Name};
use hullo_proto::service::token::TokenKey;
use hullo_sfu::clock::Clock;
use hullo_sfu::forward::{Forwarder, Join, Settings, Stack};
use hullo_sfu::metrics::Metrics;
use hullo_sfu::permit::Permits;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use str0m_netem::{LossModel, NetemConfig, Probability, RandomLoss};

pub use camera::Screen;
use drive::deliver_up;
pub use judge::Quality;
use judge::Watch;
pub use lips::Lips;
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

fn sfu_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4_000))
}

impl World {
    /// What everything but str0m's own randomness follows from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

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

    /// Everybody in the call has a real camera and a real screen from now on.
    pub fn open_cameras(&mut self) {
        for seat in self.people.iter_mut().flat_map(|person| &mut person.seats) {
            seat.camera = Some(camera::Camera::default());
        }
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

    /// The line of the newest connection carries everything again.
    pub fn mend(&mut self, index: usize) {
        let person = &mut self.people[index];
        let line = person.line;
        if let Some(seat) = person.seats.last_mut() {
            seat.is_cut = false;
            seat.up.set_config(line.netem(self.seed ^ 0xc));
            seat.down.set_config(line.netem(self.seed ^ 0xd));
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

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }
}

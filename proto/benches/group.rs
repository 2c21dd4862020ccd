//! What the group-call protocol costs: `cargo bench -p hullo-proto`. The limits are asserted, so a
//! run that gets slower than them fails.
//!
//! | what | limit |
//! |---|---|
//! | sealing or opening a frame of 5 kB | 10 µs |
//! | a pair of handshakes, both sides | 1 ms |
//! | a roster of 100, all authenticated | 1 MB of resident memory |

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, prints, and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use hullo_proto::group::group_call::{Config, GroupCall, Input, Output, Scope};
use hullo_proto::group::handshake::{self, Admission, Context, Handshake, Local, Role};
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::key::{ClientKey, GroupCallKey, MediaKey, ParticipantCallKey, PublicKey};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::media_receiver::MediaReceiver;
use hullo_proto::group::media_sender::MediaSender;
use hullo_proto::group::wire::{FromSfu, Name, Relay, SentKey, SupportedFeatures, ToSfu};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const FRAME_LEN: usize = 5_000;
const FRAME_LIMIT: Duration = Duration::from_micros(10);
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(1);
const ROSTER: u32 = 100;
const ROSTER_LIMIT_BYTES: usize = 1_000_000;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn key() -> GroupCallKey {
    GroupCallKey::from_bytes([7; 32])
}

fn identity(number: u32) -> Identity {
    format!("PERSO{number:03}").as_str().try_into().unwrap()
}

fn client_key(number: u32) -> ClientKey {
    ClientKey::from_bytes([u8::try_from(number % 200).unwrap() + 1; 32])
}

fn members() -> BTreeMap<Identity, PublicKey> {
    (0..=ROSTER)
        .map(|number| (identity(number), client_key(number).public()))
        .collect()
}

/// The fastest of some batches, per run: what the code costs, not what the machine was busy with.
fn fastest(mut run: impl FnMut(), runs: u32) -> Duration {
    let batch = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..runs).for_each(|_| run());
        start.elapsed() / runs
    };
    (0..20).map(|_| batch(&mut run)).min().unwrap()
}

fn frames(criterion: &mut Criterion) {
    let frame = vec![1_u8; FRAME_LEN];
    let mut sender = MediaSender::new(key().hash(), rng(1));
    let keys = sender.keys();
    let seal = fastest(
        || drop(black_box(sender.seal(Track::Camera, &frame).unwrap())),
        200,
    );
    let now = Instant::now();
    let mut receiver = MediaReceiver::new(key().hash());
    keys.iter().for_each(|key| receiver.add(key.clone()));
    let sealed: Vec<_> = (0..4_000)
        .map(|_| sender.seal(Track::Camera, &frame).unwrap())
        .collect();
    let mut next = sealed.iter();
    let open = fastest(
        || {
            drop(black_box(
                receiver
                    .open(now, Track::Camera, next.next().unwrap())
                    .unwrap(),
            ))
        },
        200,
    );
    println!("frame of {FRAME_LEN} B: seal {seal:?}, open {open:?} (limit {FRAME_LIMIT:?})");
    assert!(seal <= FRAME_LIMIT && open <= FRAME_LIMIT);
    criterion.bench_function("group/seal 5 kB", |b| {
        b.iter(|| sender.seal(Track::Camera, black_box(&frame)).unwrap())
    });
}

/// Two people who know each other, in one call.
struct Two {
    admission: Admission,
    locals: [Local; 2],
    media_keys: [SentKey; 1],
}

impl Two {
    fn new() -> Self {
        let local = |number: u32| {
            let role = Role::Normal {
                identity: identity(number),
                nickname: Name::default(),
                key: client_key(number),
            };
            Local::new(
                role,
                &key(),
                ParticipantCallKey::random(&mut rng(number.into())),
            )
        };
        Self {
            admission: Admission {
                members: members(),
                guests_allowed: false,
                administrators: None,
            },
            locals: [local(1), local(2)],
            media_keys: [SentKey {
                epoch: 0,
                ratchet_counter: 0,
                key: MediaKey::from_bytes([3; 32]),
            }],
        }
    }

    fn context(&self, side: usize) -> Context<'_> {
        Context {
            local: &self.locals[side],
            admission: &self.admission,
            media_keys: &self.media_keys,
        }
    }
}

/// Both sides, from the first hello to done.
fn handshake_pair(two: &Two) {
    let now = Instant::now();
    let mut machines = [
        Handshake::as_new_participant(rng(3)),
        Handshake::as_existing_participant(rng(4)),
    ];
    let mut done = 0;
    let mut queue = std::collections::VecDeque::new();
    machines[0].handle_input(now, handshake::Input::Start(two.context(0)));
    let mut side = 0;
    loop {
        loop {
            match machines[side].poll_output() {
                handshake::Output::Transmit(bytes) => queue.push_back((1 - side, bytes)),
                handshake::Output::Done(..) => done += 1,
                handshake::Output::AuthSent => {}
                handshake::Output::Warning(warning) => panic!("{warning}"),
                handshake::Output::Timeout(_) => break,
            }
        }
        let Some((to, bytes)) = queue.pop_front() else {
            break;
        };
        machines[to].handle_input(now, handshake::Input::Relay(two.context(to), &bytes));
        side = to;
    }
    assert_eq!(done, 2);
}

fn handshakes(criterion: &mut Criterion) {
    let two = Two::new();
    let pair = fastest(|| handshake_pair(&two), 20);
    println!("handshake pair: {pair:?} (limit {HANDSHAKE_LIMIT:?})");
    assert!(pair <= HANDSHAKE_LIMIT);
    criterion.bench_function("group/handshake pair", |b| b.iter(|| handshake_pair(&two)));
}

fn call(number: u32) -> GroupCall {
    let config = Config {
        participant_id: number.try_into().unwrap(),
        role: Role::Normal {
            identity: identity(number),
            nickname: Name::new("nickname"),
            key: client_key(number),
        },
        key: key(),
        scope: Scope::Group { members: members() },
        administrator: None,
        supported_features: SupportedFeatures::default(),
        unix_ms: 0,
    };
    GroupCall::new(Instant::now(), config, rng(number.into())).unwrap()
}

fn drain(call: &mut GroupCall) -> Vec<Relay> {
    let mut relays = Vec::new();
    loop {
        match call.poll_output() {
            Output::Timeout(_) => return relays,
            Output::Event(_) => {}
            Output::Transmit(bytes) => {
                if let Ok(ToSfu::Relay(relay)) = ToSfu::decode(&bytes) {
                    relays.push(relay);
                }
            }
        }
    }
}

/// Participant 0 with everyone else authenticated, each of whom it hears.
fn full_roster() -> GroupCall {
    let mut rng = rng(9);
    let now = Instant::now();
    let mut own = call(0);
    let mut tell = |call: &mut GroupCall, message: &FromSfu| {
        call.handle_input(now, Input::Received(&message.encode(&mut rng)));
        drain(call)
    };
    tell(&mut own, &FromSfu::Hello(Vec::new()));
    for number in 1..=ROSTER {
        let id: ParticipantId = number.try_into().unwrap();
        let mut other = call(number);
        tell(&mut own, &FromSfu::ParticipantJoined(id));
        let mut to_own = tell(&mut other, &FromSfu::Hello(vec![own.participant_id()]));
        while !to_own.is_empty() {
            let answers: Vec<_> = to_own
                .drain(..)
                .flat_map(|relay| tell(&mut own, &FromSfu::Relay(relay)))
                .collect();
            let to_other = answers.into_iter().filter(|relay| relay.receiver == id);
            to_own = to_other
                .flat_map(|relay| tell(&mut other, &FromSfu::Relay(relay)))
                .collect();
        }
        let sealed = other.seal(Track::Microphone, b"sound").unwrap();
        own.open(now, id, Track::Microphone, &sealed).unwrap();
    }
    assert_eq!(
        own.participants()
            .filter(|entry| entry.authenticated)
            .count(),
        ROSTER as usize
    );
    own
}

/// Resident memory of this process in bytes, where the system tells it.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<usize>()
        .ok()
        .map(|kib| kib * 1024)
}

fn roster() {
    const COPIES: usize = 10;
    // The first warms the allocator up.
    let mut kept = vec![full_roster()];
    let Some(before) = resident_bytes() else {
        return println!("roster of {ROSTER}: this system does not tell resident memory");
    };
    kept.extend((0..COPIES).map(|_| full_roster()));
    let each = resident_bytes().unwrap().saturating_sub(before) / COPIES;
    println!(
        "roster of {ROSTER}: {} kB (limit {} kB)",
        each / 1_000,
        ROSTER_LIMIT_BYTES / 1_000
    );
    assert!(each <= ROSTER_LIMIT_BYTES);
    drop(kept);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    roster();
    frames(&mut criterion);
    handshakes(&mut criterion);
    criterion.final_summary();
}

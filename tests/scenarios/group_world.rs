//! Group calls in a virtual world: two, three and sixteen people joining, leaving, being removed,
//! speaking and holding in any order, members, guests and administrators, judged by invariants at every step.

use std::time::{Duration, Instant};

use hullo_tests::group::{Counts, World};

/// Worlds in an ordinary run; `HULLO_SEEDS` asks for more (`just sim`), `HULLO_SEED` for one alone.
const SEEDS: u64 = 200;

/// Worlds that found a mistake once.
const FOUND: [u64; 1] = [216];

#[derive(Clone, Copy)]
enum Kind {
    Group,
    Link,
}

fn run(kind: Kind, seed: u64) -> (u64, Counts) {
    let people = [2, 3, 16][usize::try_from(seed % 3).expect("small")];
    #[allow(
        clippy::disallowed_methods,
        reason = "some instant to begin at; only differences matter"
    )]
    let now = Instant::now();
    let mut world = match kind {
        Kind::Group => World::new(seed, people, now),
        Kind::Link => World::by_link(seed, people, now),
    };
    for _ in 0..2 {
        world.live(Duration::from_secs(15));
        world.settle();
    }
    (world.trace(), world.counts)
}

/// Runs the worlds asked for; how many, and all that happened in them.
fn run_all(kind: Kind) -> (u32, Counts) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seeds: Vec<_> = match number("HULLO_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("HULLO_SEEDS").unwrap_or(SEEDS))
            .chain(FOUND)
            .collect(),
    };
    let mut total = Counts::default();
    for &seed in &seeds {
        total.add(&run(kind, seed).1);
    }
    let worlds = u32::try_from(seeds.len()).expect("a bearable number of worlds");
    // A world in which nothing happens proves nothing.
    let few = worlds / 2;
    assert!(
        total.joins > few && total.leaves > few && total.authenticated > few,
        "{total:?}"
    );
    assert!(total.frames_opened > few, "{total:?}");
    (worlds, total)
}

#[test]
fn group_worlds_agree_after_every_quiet_period() {
    let (worlds, total) = run_all(Kind::Group);
    assert!(
        worlds < 20 || (total.removals > 0 && total.frames_refused > 0),
        "{total:?}"
    );
}

#[test]
fn group_worlds_by_link_agree_whoever_is_guest_or_administrator() {
    let (worlds, total) = run_all(Kind::Link);
    let has_all = |pairs: [u32; 4]| pairs.iter().all(|&count| count > worlds / 2);
    assert!(
        worlds < 100 || (has_all(total.handshakes) && has_all(total.commands)),
        "{total:?}"
    );
    assert!(
        worlds < 100
            || (total.promotions > 20 && total.forced_leaves > 20 && total.forced_off > 20),
        "{total:?}"
    );
}

#[test]
fn group_worlds_replay_exactly() {
    for seed in [1, 2, 17] {
        for kind in [Kind::Group, Kind::Link] {
            assert_eq!(run(kind, seed), run(kind, seed), "seed {seed}");
        }
    }
}

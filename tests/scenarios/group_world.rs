//! Group calls in a virtual world: two, three and sixteen people joining, leaving, being removed,
//! speaking and holding in any order, judged by invariants at every step.

use std::time::{Duration, Instant};

use hullo_tests::group::{Counts, World};

/// Worlds in an ordinary run; `HULLO_SEEDS` asks for more (`just sim`), `HULLO_SEED` for one alone.
const SEEDS: u64 = 200;

/// Worlds that found a mistake once.
const FOUND: [u64; 1] = [216];

fn run(seed: u64) -> (u64, Counts) {
    let people = [2, 3, 16][usize::try_from(seed % 3).expect("small")];
    #[allow(
        clippy::disallowed_methods,
        reason = "some instant to begin at; only differences matter"
    )]
    let mut world = World::new(seed, people, Instant::now());
    for _ in 0..2 {
        world.live(Duration::from_secs(15));
        world.settle();
    }
    (world.trace(), world.counts)
}

#[test]
fn group_worlds_agree_after_every_quiet_period() {
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
    let worlds = seeds.len();
    let mut total = Counts::default();
    for seed in seeds {
        let (_, counts) = run(seed);
        total.joins += counts.joins;
        total.leaves += counts.leaves;
        total.removals += counts.removals;
        total.authenticated += counts.authenticated;
        total.frames_opened += counts.frames_opened;
        total.frames_refused += counts.frames_refused;
    }
    // A world in which nothing happens proves nothing.
    let few = u32::try_from(worlds / 2).expect("a bearable number of worlds");
    assert!(
        total.joins > few && total.leaves > few && total.authenticated > few,
        "{total:?}"
    );
    assert!(
        total.frames_opened > few
            && (worlds < 20 || (total.removals > 0 && total.frames_refused > 0)),
        "{total:?}"
    );
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 2, 17] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

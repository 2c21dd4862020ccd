//! Lines that carry little, and a way that changes in a call that fills its line.

use super::*;

/// Sound on a line of this rate, 20 s after it was found to be so thin: the share of blocks that were played as they were
/// said, what the line dropped of what was given to it, and how long the rest stood before it.
#[expect(
    clippy::print_stdout,
    reason = "figures for whoever asks the test for them"
)]
fn sound_on(rate_bps: u64) -> (World, f64) {
    let mut world = call(5, line(rate_bps));
    world.drive(seconds(10.0));
    let callee = &world.people[CALLEE];
    let before = (callee.blocks_played, callee.blocks_concealed);
    world.drive(seconds(30.0));
    print(&world, world.elapsed() - seconds(10.0));
    let callee = &world.people[CALLEE];
    let played = callee.blocks_played - before.0;
    let concealed = callee.blocks_concealed - before.1;
    let share = played as f64 / (played + concealed).max(1) as f64;
    let (from, to) = (world.elapsed() - seconds(30.0), world.elapsed());
    let queue = world.line(CALLER).wait(from, to, 0.95);
    println!(
        "{rate_bps}: {played} blocks as they were, {concealed} made up ({share:.3}), queue p95 {queue:?}, {} dropped",
        world.line(CALLER).dropped
    );
    (world, share)
}

#[test]
fn a_line_of_64_kbit_carries_sound_alone_and_says_so() {
    let (world, share) = sound_on(64_000);
    assert!(share >= 0.8, "{share}");
    is_sound_only(&world);
}

#[test]
fn a_line_of_32_kbit_carries_sound_alone_and_says_so() {
    let (world, share) = sound_on(32_000);
    assert!(share >= 0.7, "{share}");
    is_sound_only(&world);
}

/// Both were told that there is no room for pictures, and go on.
fn is_sound_only(world: &World) {
    for person in &world.people {
        let is_told = person.budgets.iter().any(|(_, budget)| budget.is_thin());
        assert!(is_told, "{:?}", person.budgets.last());
        assert!(!person.is_ended());
    }
}

#[test]
fn another_address_costs_a_call_that_fills_its_line_no_three_seconds() {
    for (seed, who) in [(6, CALLER), (7, CALLEE)] {
        let rate_bps = 500_000;
        let mut world = call(seed, line(rate_bps));
        world.drive(seconds(10.0));
        let (begin, now) = (world.elapsed(), world.now);
        world.move_to(who, [10, 0, 0, 77]);
        world.drive(seconds(10.0));
        print(&world, begin - seconds(0.5));
        for person in &world.people {
            let longest = |at: &[Duration]| {
                let gaps = at.windows(2).map(|pair| pair[1] - pair[0]);
                gaps.max().unwrap_or(Duration::MAX)
            };
            let heard: Vec<Duration> = (person.heard_at.iter().copied())
                .filter(|at| *at + seconds(0.1) >= begin)
                .collect();
            let seen: Vec<Duration> = (person.seen.at.iter())
                .filter(|at| **at + seconds(0.2) >= now)
                .map(|at| at.saturating_duration_since(now))
                .collect();
            let (sound, picture) = (longest(&heard), longest(&seen));
            println!("seed {seed}: longest gap in sound {sound:?}, in pictures {picture:?}");
            assert!(
                heard
                    .last()
                    .is_some_and(|at| *at + seconds(0.5) >= world.elapsed())
            );
            assert!(sound <= seconds(3.0), "seed {seed}: {sound:?}");
            assert!(picture <= seconds(3.0), "seed {seed}: {picture:?}");
        }
        let used = world
            .line(CALLER)
            .carried_bps(begin + seconds(8.0), world.elapsed())
            * 100
            / rate_bps;
        println!("seed {seed}: {used} % of the line 8 to 10 s later");
        assert!(used >= 80, "seed {seed}: {used} %");
    }
}

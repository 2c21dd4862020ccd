//! A call by sound over lines that carry hardly that: two whole ends in virtual time.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo_proto::call::{CallState, Media};
use hullo_tests::world::{Link, World};

const CALLER: usize = 0;
const CALLEE: usize = 1;

/// A line of this rate both ways, headers included, from five seconds after the call connected: before, it carries what
/// `at_first_bps` says.
fn call(rate_bps: u64, at_first_bps: u64) -> World {
    let line = |rate_bps| Link {
        delay: Duration::from_millis(40),
        rate_bps: Some(rate_bps),
        ..Link::default()
    };
    let link = line(at_first_bps);
    let mut world = World::new(7, link, Media::Audio);
    world.drive_until(Duration::from_secs(5), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.input(CALLEE, Input::Accept(Media::Audio));
    world.drive_until(Duration::from_secs(10), "connection", |world| {
        (world.people.iter()).all(|person| person.states.contains(&CallState::Connected))
    });
    world.drive(Duration::from_secs(5));
    world.set_link(line(rate_bps));
    world
}

#[test]
fn sound_fits_into_32_kbit_s_and_longer_packets_are_why() {
    let (rate_bps, blocks) = (32_000, 3);
    let mut world = call(rate_bps, 300_000);
    world.drive(Duration::from_secs(15));
    let from = world.elapsed();
    let before = world.people.each_ref().map(|person| person.blocks_played);
    world.drive(Duration::from_secs(20));
    for (index, before) in before.into_iter().enumerate() {
        let person = &world.people[index];
        let played = person.blocks_played - before;
        let line = world.line(index);
        let (carried, wait) = (
            line.carried_bps(from, world.elapsed()),
            line.wait(from, world.elapsed(), 0.5),
        );
        let settings = person.sound.last().map(|(_, settings)| *settings);
        let told = format!(
            "{rate_bps} bit/s, person {index}: {played} of 1000 blocks, {} made up in all, {carried} bit/s carried, queue p50 {wait:?}, {} dropped, {settings:?}, estimate {:?}, {:?}",
            person.blocks_concealed,
            line.dropped,
            person.budgets.last(),
            person.sound_stats()
        );
        println!("{told}");
        assert!(played >= 970, "{told}");
        assert!(carried <= rate_bps * 101 / 100, "{told}");
        assert!(wait <= Duration::from_millis(100), "{told}");
        let longest = person.sound.iter().map(|(_, settings)| settings.blocks);
        assert_eq!(longest.max(), Some(blocks), "{told}");
    }
}

#[test]
fn a_line_that_is_thin_from_the_first_moment_on_is_found() {
    for rate_bps in [32_000, 50_000] {
        let mut world = call(rate_bps, rate_bps);
        world.drive(Duration::from_secs(15));
        let from = world.elapsed();
        let before = world.people.each_ref().map(|person| person.blocks_played);
        world.drive(Duration::from_secs(20));
        for (index, before) in before.into_iter().enumerate() {
            let person = &world.people[index];
            let played = person.blocks_played - before;
            let wait = |share| world.line(index).wait(from, world.elapsed(), share);
            let told = format!(
                "{rate_bps} bit/s, person {index}: {played} of 1000 blocks, queue p50 {:?} p90 {:?}, {} made up in all, {:?}, estimate {:?}",
                wait(0.5),
                wait(0.9),
                person.blocks_concealed,
                person.sound.last(),
                person.budgets.last(),
            );
            println!("{told}");
            // 954 to 1,000 were seen in twelve runs; about 500 where nothing finds that the line is full.
            assert!(played >= 930, "{told}");
            assert!(wait(0.5) <= Duration::from_millis(100), "{told}");
        }
    }
}

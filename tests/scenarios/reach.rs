//! Reach and recovery of a call between two: silence, changed addresses and forgotten ways in virtual time, with the real
//! engines; NATs and relays with real programs in networks of this machine's own.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo_proto::call::{CallState, Media};
use hullo_tests::world::{Link, World};

mod namespaces;

const CALLER: usize = 0;
const CALLEE: usize = 1;
const LINK: Link = Link {
    delay: Duration::from_millis(20),
    jitter: Duration::ZERO,
    loss: 0.0,
    burst: 0.0,
    rate_bps: None,
    queue_max: Duration::ZERO,
};
const NOTHING: Link = Link {
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    loss: 1.0,
    burst: 0.0,
    rate_bps: None,
    queue_max: Duration::ZERO,
};

fn connected(seed: u64) -> World {
    let mut world = World::new(seed, LINK, Media::Video);
    world.drive_until(Duration::from_secs(2), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.input(CALLEE, Input::Accept(Media::Video));
    world.drive_until(Duration::from_secs(10), "sound and pictures", |world| {
        world.people.iter().all(|person| person.is_served())
    });
    world.drive(Duration::from_secs(2));
    world
}

/// How long until both hear each other again for a fifth of a second, and then see.
fn until_heard(world: &mut World, limit: Duration) -> (Duration, Duration) {
    let blocks = world.people.each_ref().map(|person| person.blocks_played);
    let pictures = world.people.each_ref().map(|person| person.pictures);
    let begin = world.now;
    world.drive_until(limit, "sound both ways", |world| {
        let people = world.people.iter().zip(blocks);
        people
            .into_iter()
            .all(|(person, before)| person.blocks_played > before + 10)
    });
    let heard = world.now - begin;
    world.drive_until(limit, "pictures both ways", |world| {
        let people = world.people.iter().zip(pictures);
        people
            .into_iter()
            .all(|(person, before)| person.pictures > before)
    });
    (heard, world.now - begin)
}

fn is_well(world: &World) {
    for person in &world.people {
        assert!(!person.is_ended(), "{:?}", person.states);
        assert_eq!(
            person.engine.undecryptable(),
            0,
            "keys and counters went on"
        );
    }
}

#[test]
fn a_blackout_of_five_seconds_is_over_half_a_second_after_it_and_one_of_ten_after_a_second() {
    for (seed, blackout_s, limit_ms) in [(1, 5, 700), (2, 10, 1_200)] {
        let mut world = connected(seed);
        world.set_link(NOTHING);
        world.relay_down = true;
        world.drive(Duration::from_secs(blackout_s));
        assert!(
            !world.people[CALLER].steps.is_empty(),
            "it is said what is tried"
        );
        world.set_link(LINK);
        // The message server takes longer to be back than the way between the two.
        // A fifth of a second of sound is part of what is measured.
        let (heard, seen) = until_heard(&mut world, Duration::from_secs(8));
        assert!(
            heard <= Duration::from_millis(limit_ms),
            "seed {seed}: heard after {heard:?}"
        );
        assert!(
            seen <= Duration::from_secs(3),
            "seed {seed}: seen after {seen:?}"
        );
        is_well(&world);
    }
}

#[test]
fn a_call_is_kept_through_twenty_seconds_of_silence() {
    let mut world = connected(3);
    world.set_link(NOTHING);
    world.relay_down = true;
    world.drive(Duration::from_secs(20));
    world.set_link(LINK);
    let (heard, _) = until_heard(&mut world, Duration::from_secs(8));
    assert!(heard <= Duration::from_secs(3), "heard after {heard:?}");
    is_well(&world);
}

#[test]
fn a_changed_address_costs_less_than_three_seconds_with_and_without_the_message_server() {
    for (seed, who, relay_down) in [
        (4, CALLER, false),
        (5, CALLEE, false),
        (6, CALLER, true),
        (7, CALLEE, true),
    ] {
        let mut world = connected(seed);
        world.relay_down = relay_down;
        world.move_to(who, [10, 0, 0, 77]);
        let (heard, _) = until_heard(&mut world, Duration::from_secs(8));
        assert!(
            heard <= Duration::from_secs(3),
            "seed {seed}: heard after {heard:?}"
        );
        is_well(&world);
        world.drive(Duration::from_secs(5));
        is_well(&world);
    }
}

#[test]
fn a_way_that_is_gone_for_good_is_replaced_by_a_new_session_under_the_same_keys() {
    for seed in [8, 9] {
        let mut world = connected(seed);
        // Both routers have forgotten the ports of the call; new ones would do.
        world.dead_ports.push(5_000);
        let sent = world
            .people
            .each_ref()
            .map(|person| person.engine.frames_sent().0);
        let (heard, _) = until_heard(&mut world, Duration::from_secs(12));
        assert!(
            heard <= Duration::from_secs(6),
            "seed {seed}: heard after {heard:?}"
        );
        is_well(&world);
        for (person, before) in world.people.iter().zip(sent) {
            assert!(
                person.engine.frames_sent().0 > before,
                "one counter for the whole call"
            );
            let said = person.steps.join("; ");
            assert!(said.contains("nothing comes from the other side"), "{said}");
        }
        let blocks = world.people[CALLEE].blocks_played;
        world.drive(Duration::from_secs(10));
        assert!(
            world.people[CALLEE].blocks_played > blocks + 450,
            "it stays"
        );
        is_well(&world);
        world.input(CALLER, Input::HangUp);
        world.drive_until(Duration::from_secs(2), "the end", |world| {
            world.people.iter().all(|person| person.is_ended())
        });
    }
}

#[test]
fn a_second_break_after_a_first_is_repaired_as_well() {
    let mut world = connected(10);
    for port in 5_000..5_003 {
        world.dead_ports.push(port);
        until_heard(&mut world, Duration::from_secs(15));
        world.drive(Duration::from_secs(4));
        is_well(&world);
    }
}

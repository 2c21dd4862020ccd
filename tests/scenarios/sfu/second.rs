//! A fresh connection beside an old one: how a call survives a network that changes or dies.

use std::time::{Duration, Instant};

use hullo_proto::group::group_call::Input;
use hullo_proto::group::wire::Device;
use hullo_tests::group_media::{Line, World};

fn three_people() -> World {
    let line = Line {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(3),
        loss: 0.0,
    };
    let mut world = World::new(3, 3, |_| line);
    (0..3).for_each(|index| world.join(index));
    world.settle(Duration::from_secs(2));
    assert!(world.rosters_agree());
    world
}

#[test]
fn a_second_connection_takes_over_while_the_first_still_works() {
    let mut world = three_people();
    world.join(0);
    // Both stand side by side: the old one sends until the new one knows everybody.
    world.run_until_true(Duration::from_secs(3), |world| world.rosters_agree());
    assert_eq!(world.people[0].seats.len(), 2);
    world.watch(0);
    world.run(Duration::from_millis(500));
    world.switch(0);
    world.run(Duration::from_secs(3));
    assert!(world.rosters_agree());
    let (gap, sound) = world.heard_of_watched();
    assert!(
        gap <= Duration::from_millis(150),
        "{gap:?} of silence at the takeover"
    );
    assert!(sound >= 165, "{sound} of 175 blocks came");
    let quality = world.measure(Duration::from_secs(2));
    assert!(quality.is_perfect(), "{quality:?}");
}

#[test]
fn a_second_connection_takes_over_from_a_dead_one_and_the_dead_one_leaves_all_rosters() {
    let mut world = three_people();
    world.watch(0);
    world.cut(0);
    // The driver notices (Interrupted) and joins again at once; its second connection has an address of its own.
    world.run_until_true(Duration::from_secs(20), |world| {
        world.people[0].seats[0].interrupted
    });
    world.join(0);
    world.run_until_true(Duration::from_secs(5), |world| {
        world.people[0]
            .seats
            .last()
            .is_some_and(|seat| seat.roster().len() >= 2)
    });
    world.switch(0);
    world.input(0, Input::Capture(Device::Camera, true));
    world.run(Duration::from_secs(2));
    let ids: Vec<_> = world.people[1].seats[0].roster();
    assert_eq!(ids.len(), 3, "the dead connection is still listed: {ids:?}");
    let quality = world.measure(Duration::from_secs(2));
    assert!(quality.is_perfect(), "{quality:?}");
    // The SFU hears nothing of the dead one for 20 s; the rekey takes 2 s more.
    let before = world.people[1].seats[0].call.sending_position();
    world.run_until_true(Duration::from_secs(35), |world| world.rosters_agree());
    world.run(Duration::from_secs(3));
    assert_ne!(
        before.0,
        world.people[1].seats[0].call.sending_position().0,
        "no rekey was seen"
    );
    let quality = world.measure(Duration::from_secs(2));
    assert!(quality.is_perfect(), "{quality:?}");
}

/// A blackout of so long for person 0, in which the others' keys changed twice; when it ended.
fn blackout(duration: Duration) -> (World, Instant) {
    let mut world = three_people();
    world.cut(0);
    world.run(Duration::from_secs(1));
    world.leave(2, true);
    world.run(duration.saturating_sub(Duration::from_secs(2)));
    world.join(2);
    world.run(Duration::from_secs(1));
    world.mend(0);
    let now = world.now;
    (world, now)
}

/// How long until this connection of person 0 hears person 1.
fn deaf(world: &mut World, seat: usize, since: Instant) -> Duration {
    let speaker = world.people[1].seats[0].id;
    let sound = |world: &World| {
        let heard = &world.people[0].seats[seat].heard;
        heard.get(&speaker).map_or(0, |heard| heard.sound)
    };
    let before = sound(world);
    world.run_until_true(Duration::from_secs(20), |world| sound(world) > before + 5);
    world.now - since
}

#[test]
fn a_second_connection_knows_the_keys_of_a_blackout_within_two_seconds() {
    for seconds in [5, 8, 10] {
        let (mut world, since) = blackout(Duration::from_secs(seconds));
        // Asked for when frames do not open, with three round trips for the request.
        world.run(Duration::from_millis(400));
        world.join(0);
        let deaf = deaf(&mut world, 1, since);
        assert!(
            deaf <= Duration::from_secs(2),
            "{deaf:?} after a blackout of {seconds} s"
        );
    }
}

//! Several calls and several people: who calls whom at once, who waits on hold, who dies without a word, and what is
//! said before anybody has accepted.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo::call::side::SideState;
use hullo::event::Unrung;
use hullo_proto::call::{CallState, EndReason, Media};
use hullo_tests::phones::{Line, Phones};
use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn is_connected(line: &Line) -> bool {
    line.state() == Some(&CallState::Connected)
}

fn connected(world: &Phones, who: usize) -> usize {
    world.live(who).filter(|line| is_connected(line)).count()
}

/// Until the first call rings at this person; accepts it.
fn answer(world: &mut Phones, who: usize, media: Media) {
    world.drive_until(Duration::from_secs(5), "ringing", |world| {
        world
            .live(who)
            .any(|line| line.state() == Some(&CallState::Ringing) && line.rang)
    });
    let ringing = world
        .live(who)
        .find(|line| line.state() == Some(&CallState::Ringing));
    let number = ringing.map(|line| line.number).expect("it rings");
    world.input(who, number, Input::Accept(media));
}

#[test]
fn two_who_call_each_other_at_once_are_in_one_call_whatever_comes_first() {
    for seed in 0..60 {
        let mut world = Phones::new(seed, 2);
        let mut chance = ChaCha20Rng::seed_from_u64(seed ^ 0xca11);
        world.call(ALICE, BOB, Media::Video);
        // Within the time a message takes neither has heard of the other's call; after it there is nothing to meet.
        world.drive(Duration::from_millis(chance.random_range(0..200)));
        let has_rung = world.people[BOB].calls.iter().any(|line| line.rang);
        if has_rung {
            continue;
        }
        world.call(BOB, ALICE, Media::Audio);
        world.drive_until(Duration::from_secs(20), "one call", |world| {
            connected(world, ALICE) == 1 && connected(world, BOB) == 1
        });
        world.drive(Duration::from_secs(2));
        for (who, camera) in [(ALICE, false), (BOB, true)] {
            let person = &world.people[who];
            assert_eq!(person.calls.len(), 1, "seed {seed}: one call");
            assert!(
                person.calls.iter().all(|line| !line.rang),
                "seed {seed}: nothing rang"
            );
            assert!(person.missed.is_empty(), "seed {seed}: nothing was missed");
            assert_eq!(
                person.merged, world.people[ALICE].merged,
                "seed {seed}: the same end"
            );
            assert_eq!(person.merged.len(), 1, "seed {seed}");
            let far = person.calls[0].far.expect("the side channel is open");
            assert_eq!(
                far.camera, camera,
                "seed {seed}: each sends what it asked for"
            );
        }
    }
}

#[test]
fn who_gives_up_while_both_call_leaves_nobody_waiting() {
    for seed in 0..60 {
        let mut world = Phones::new(seed, 2);
        let mut chance = ChaCha20Rng::seed_from_u64(seed ^ 0xdead);
        let first = world.call(ALICE, BOB, Media::Audio);
        world.drive(Duration::from_millis(chance.random_range(0..60)));
        if world.people[BOB].calls.is_empty() {
            world.call(BOB, ALICE, Media::Audio);
        }
        world.drive(Duration::from_millis(chance.random_range(0..400)));
        world.input(ALICE, first, Input::HangUp);
        world.drive(Duration::from_secs(5));
        // Of two calls one was given up: the other one rings on, at both ends or at neither.
        let live = [ALICE, BOB].map(|who| world.live(who).count());
        assert!(live[0] == live[1] && live[0] <= 1, "seed {seed}: {live:?}");
        world.drive(Duration::from_secs(65));
        let live = [ALICE, BOB].map(|who| world.live(who).count());
        assert_eq!(
            live,
            [0, 0],
            "seed {seed}: rung for no longer than a minute"
        );
    }
}

#[test]
fn nothing_that_shows_an_address_leaves_before_the_call_is_accepted() {
    for seed in 0..8 {
        let mut world = Phones::new(seed, 2);
        world.call(ALICE, BOB, Media::Video);
        world.drive(Duration::from_secs(30));
        assert!(world.said.len() >= 2, "it was called and it rang");
        for said in &world.said {
            for sign in [
                "candidate",
                "10.0.0.",
                "sdp",
                "rtcSession",
                "rtcIceCandidates",
            ] {
                assert!(
                    !said.text.contains(sign),
                    "{} before accepting: {}",
                    sign,
                    said.text
                );
            }
        }
        assert_eq!(world.datagrams, 0, "not one datagram");
        let before = world.said.len();
        answer(&mut world, BOB, Media::Video);
        world.drive_until(Duration::from_secs(10), "a call", |world| {
            connected(world, ALICE) + connected(world, BOB) == 2
        });
        // The same look does find what it looks for, once it may be there.
        assert!(
            world.said[before..]
                .iter()
                .any(|said| said.text.contains("rtcSession"))
        );
    }
}

#[test]
fn a_call_that_is_declined_shows_no_address_either() {
    let mut world = Phones::new(4, 2);
    world.call(ALICE, BOB, Media::Audio);
    world.drive_until(Duration::from_secs(5), "ringing", |world| {
        world.live(BOB).count() == 1
    });
    let number = world
        .live(BOB)
        .next()
        .map(|line| line.number)
        .expect("it rings");
    world.input(BOB, number, Input::Reject { busy: true });
    world.drive(Duration::from_secs(3));
    let reason = world.people[ALICE].calls[0].state().cloned();
    assert_eq!(reason, Some(CallState::Ended(EndReason::Busy)));
    assert!(
        world
            .said
            .iter()
            .all(|said| !said.text.contains("rtcSession"))
    );
    assert_eq!(world.datagrams, 0);
}

#[test]
fn a_call_on_hold_says_so_and_is_still_there_afterwards() {
    let mut world = Phones::new(5, 3);
    let first = world.call(ALICE, BOB, Media::Video);
    answer(&mut world, BOB, Media::Video);
    world.drive_until(Duration::from_secs(10), "a call", |world| {
        connected(world, ALICE) == 1
    });
    world.call(CAROL, ALICE, Media::Audio);
    let held = SideState {
        camera: true,
        hold: true,
        ..SideState::default()
    };
    world.input(ALICE, first, Input::Own(held));
    answer(&mut world, ALICE, Media::Audio);
    world.drive_until(Duration::from_secs(10), "two calls", |world| {
        connected(world, ALICE) == 2
    });
    let far = |world: &Phones| world.people[BOB].calls[0].far;
    assert!(far(&world).is_some_and(|far| far.hold), "bob is told");
    // Longer than any silence is borne: a call on hold is no lost call.
    world.drive(Duration::from_secs(60));
    assert_eq!((connected(&world, ALICE), connected(&world, BOB)), (2, 1));
    let back = SideState {
        hold: false,
        ..held
    };
    world.input(ALICE, first, Input::Own(back));
    world.drive_until(Duration::from_secs(2), "the end of the hold", |world| {
        far(world).is_some_and(|far| !far.hold)
    });
}

#[test]
fn two_calls_quickly_after_each_other_are_two_calls() {
    for seed in 0..20 {
        let mut world = Phones::new(seed, 2);
        let first = world.call(ALICE, BOB, Media::Audio);
        world.drive(Duration::from_millis(seed * 20));
        world.input(ALICE, first, Input::HangUp);
        world.call(ALICE, BOB, Media::Audio);
        world.drive_until(Duration::from_secs(5), "the second ringing", |world| {
            world.people[BOB].calls.len() == 2 && world.live(BOB).count() == 1
        });
        answer(&mut world, BOB, Media::Audio);
        world.drive_until(Duration::from_secs(10), "the second call", |world| {
            connected(world, ALICE) == 1 && connected(world, BOB) == 1
        });
    }
}

#[test]
fn who_is_killed_and_calls_again_is_heard() {
    let mut world = Phones::new(6, 2);
    world.call(ALICE, BOB, Media::Audio);
    answer(&mut world, BOB, Media::Audio);
    world.drive_until(Duration::from_secs(10), "a call", |world| {
        connected(world, ALICE) + connected(world, BOB) == 2
    });
    world.kill(BOB);
    world.drive(Duration::from_secs(1));
    world.call(BOB, ALICE, Media::Audio);
    answer(&mut world, ALICE, Media::Audio);
    world.drive_until(Duration::from_secs(10), "the new call", |world| {
        connected(world, BOB) == 1 && world.live(ALICE).count() == 1
    });
    let first = world.people[ALICE].calls[0].state().cloned();
    assert_eq!(first, Some(CallState::Ended(EndReason::Lost)));
}

#[test]
fn who_is_killed_while_it_rings_is_rung_for_no_longer_than_a_minute() {
    let mut world = Phones::new(7, 2);
    world.call(ALICE, BOB, Media::Audio);
    world.drive_until(Duration::from_secs(5), "ringing", |world| {
        world.live(BOB).count() == 1
    });
    world.kill(ALICE);
    world.drive(Duration::from_secs(61));
    assert_eq!(world.live(BOB).count(), 0);
}

#[test]
fn nobody_is_rung_who_does_not_want_to_be_disturbed() {
    let mut world = Phones::new(8, 2);
    world.people[BOB].board.do_not_disturb = true;
    world.call(ALICE, BOB, Media::Audio);
    world.drive(Duration::from_secs(62));
    assert!(world.people[BOB].calls.is_empty());
    assert_eq!(world.people[BOB].missed[0].1, Unrung::DoNotDisturb);
    assert_eq!(
        world.people[ALICE].calls[0].states,
        [CallState::Inviting, CallState::Ended(EndReason::Unanswered)],
        "no ring-back where nothing rings"
    );
}

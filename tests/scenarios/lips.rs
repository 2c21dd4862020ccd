//! Lips and voice of the far side come together, on good lines and bad: two whole ends of a call in virtual time, the
//! test card and the test tone, judged by what is seen and heard alone.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo_proto::call::{CallState, Media};
use hullo_tests::group_media;
use hullo_tests::world::{Link, World};

const CALLER: usize = 0;
const CALLEE: usize = 1;

/// What 95 of 100 pictures may be off.
const SKEW_P95_MS: f64 = 80.0;
/// The call finds its delays in this time.
const SETTLING: Duration = Duration::from_secs(8);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn link(delay_ms: u64) -> Link {
    Link {
        delay: ms(delay_ms),
        rate_bps: Some(2_000_000),
        ..Link::default()
    }
}

/// A call between two test cards, connected at this moment. The caller's datagrams take `there`, the callee's `back`.
fn call(seed: u64, there: Link, back: Link) -> World {
    let mut world = World::new(seed, there, Media::Video);
    world.set_link_of(CALLEE, back);
    for person in [CALLER, CALLEE] {
        world.card_camera(person, 15, (320, 180));
    }
    world.drive_until(Duration::from_secs(3), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.input(CALLEE, Input::Accept(Media::Video));
    world.drive_until(Duration::from_secs(8), "connection", |world| {
        (world.people.iter()).all(|person| person.states.contains(&CallState::Connected))
    });
    world
}

/// What both saw from now on, in words; the worse of the two figures.
fn judge(world: &mut World, time: Duration) -> (String, f64) {
    let since = world.elapsed();
    world.drive(time);
    let mut told = String::new();
    let mut worst: f64 = 0.0;
    for person in [CALLER, CALLEE] {
        let person = &world.people[person];
        let skews = person.lips.skews_ms(since);
        let at = |share: usize| skews[(skews.len() - 1) * share / 100];
        let p95 = person.lips.p95_ms(since).expect("pictures and beeps came");
        worst = worst.max(p95);
        let pictures: Vec<f64> = (person
            .card_delays_ms
            .iter()
            .rev()
            .take(skews.len())
            .copied())
        .collect();
        let picture_max = pictures
            .iter()
            .fold(0.0, |most: f64, delay| most.max(*delay));
        let sound = person.sound_delays_ms.iter().rev().take(200);
        let sound_ms = sound.clone().sum::<u64>() / 200;
        told += &format!(
            "{} pictures, skew p5 {:.0} p50 {:.0} p95 {:.0}, |skew| p95 {p95:.0} ms; pictures late by at most {picture_max:.0} ms, sound held {sound_ms} ms; ",
            skews.len(),
            at(5),
            at(50),
            at(95)
        );
        let own = person.stats.iter().rev().find_map(|(_, stats)| stats.skew);
        let clock = person.sound_clock;
        told += &format!("own account {own:?}, {clock:?}\n");
        assert!(skews.len() as f64 >= time.as_secs_f64() * 10.0, "{told}");
    }
    (told, worst)
}

/// Both ends of a call over these lines, after [`SETTLING`].
#[expect(
    clippy::print_stdout,
    reason = "figures for whoever asks the test for them"
)]
fn hold(name: &str, there: Link, back: Link) {
    let mut world = call(1, there, back);
    world.drive(SETTLING);
    let (told, worst) = judge(&mut world, Duration::from_secs(15));
    println!("{name}: {told}");
    assert!(worst <= SKEW_P95_MS, "{name}: {told}");
}

fn lossy(loss: f32, burst: f32) -> Link {
    Link {
        loss,
        burst,
        ..link(50)
    }
}

#[test]
fn lips_go_with_the_voice_on_a_clean_line() {
    hold("clean", link(25), link(25));
}

#[test]
fn lips_go_with_the_voice_on_an_uneven_line() {
    let uneven = Link {
        jitter: ms(20),
        ..link(50)
    };
    hold("jitter", uneven, uneven);
}

#[test]
fn lips_go_with_the_voice_where_one_way_is_longer() {
    hold("one way longer", link(20), link(180));
}

#[test]
fn lips_go_with_the_voice_where_5_percent_are_lost() {
    hold("5 % lost", lossy(0.05, 0.0), lossy(0.05, 0.0));
}

#[test]
fn lips_go_with_the_voice_where_10_percent_are_lost() {
    hold("10 % lost", lossy(0.1, 0.0), lossy(0.1, 0.0));
}

#[test]
fn lips_go_with_the_voice_where_10_percent_are_lost_in_bursts() {
    hold("10 % lost in bursts", lossy(0.1, 3.0), lossy(0.1, 3.0));
}

#[test]
fn lips_go_with_the_voice_in_the_call_of_a_group() {
    for (name, loss, jitter_ms) in [
        ("clean", 0.0, 0),
        ("uneven", 0.0, 20),
        ("5 % lost", 0.05, 5),
    ] {
        let line = group_media::Line {
            delay: ms(30),
            jitter: ms(jitter_ms),
            loss,
        };
        let mut world = group_media::World::new(6, 3, |_| line);
        (0..3).for_each(|index| world.join(index));
        for person in &mut world.people {
            person.seats[0].lips = Some(group_media::Lips::default());
        }
        world.settle(Duration::from_secs(6));
        let since = world.now;
        world.run(Duration::from_secs(12));
        for (index, person) in world.people.iter().enumerate() {
            let lips = person.seats[0].lips.as_ref().expect("watched");
            let skews = lips.p95_ms(since);
            println!("{name}, person {index}: {skews:?}");
            assert_eq!(skews.len(), 2, "{name}, person {index}: {skews:?}");
            for (p95, pictures) in skews {
                assert!(
                    pictures >= 60,
                    "{name}, person {index}: {pictures} pictures"
                );
                assert!(p95 <= SKEW_P95_MS, "{name}, person {index}: {p95} ms");
            }
        }
    }
}

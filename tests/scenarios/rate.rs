//! The rate of a whole call follows the line: two ends in virtual time, a line with a queue before it.
//!
//! The camera is a model that sends exactly what it is told it may, so that the line is what limits. Rates are those of
//! the line, with RTP, IP and UDP headers; the estimate is what the sender takes the line to carry.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo_proto::call::{CallState, Media};
use hullo_tests::world::{Link, World};

mod content;
mod thin;

const CALLER: usize = 0;
const CALLEE: usize = 1;

/// A line as behind an ordinary router.
fn line(rate_bps: u64) -> Link {
    Link {
        delay: Duration::from_millis(25),
        rate_bps: Some(rate_bps),
        ..Link::default()
    }
}

/// A call with pictures that is connected at this moment, over `link` in both directions.
fn call(seed: u64, link: Link) -> World {
    let mut world = World::new(seed, link, Media::Video);
    for person in [CALLER, CALLEE] {
        world.model_camera(person, 15);
    }
    world.drive_until(Duration::from_secs(2), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.input(CALLEE, Input::Accept(Media::Video));
    world.drive_until(Duration::from_secs(5), "connection", |world| {
        (world.people.iter()).all(|person| person.states.contains(&CallState::Connected))
    });
    world
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The estimate as it was told at each change.
fn estimate_at(world: &World, person: usize, at: Duration) -> u64 {
    (world.people[person].budgets.iter())
        .take_while(|(told, _)| *told <= at)
        .last()
        .map_or(0, |(_, budget)| budget.line_bps)
}

/// First time from `from` on at which the estimate stays in 80 to 120 % of `rate_bps` for a second.
fn settled(world: &World, rate_bps: u64, from: Duration) -> Option<Duration> {
    let end = world.elapsed();
    let good =
        |at| (rate_bps * 8 / 10..=rate_bps * 12 / 10).contains(&estimate_at(world, CALLER, at));
    let mut since = None;
    let mut at = from;
    while at < end {
        since = good(at).then(|| since.unwrap_or(at));
        if since.is_some_and(|since| at >= since + seconds(1.0)) {
            return since.map(|since| since - from);
        }
        at += seconds(0.05);
    }
    None
}

/// The longest time during which more than 110 % of the line was asked of it, in windows of 200 ms.
fn longest_excess(world: &World, rate_bps: u64, from: Duration, to: Duration) -> Duration {
    let window = seconds(0.2);
    let (mut longest, mut run) = (Duration::ZERO, Duration::ZERO);
    let mut at = from;
    while at + window <= to {
        if world.line(CALLER).offered_bps(at, at + window) > rate_bps * 11 / 10 {
            run += window;
        } else {
            run = Duration::ZERO;
        }
        longest = longest.max(run);
        at += window;
    }
    longest
}

/// Prints each half second; read with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "figures for whoever asks the test for them"
)]
fn print(world: &World, from: Duration) {
    let mut at = from;
    while at + seconds(0.5) <= world.elapsed() {
        let line = world.line(CALLER);
        let to = at + seconds(0.5);
        let budget = (world.people[CALLER].budgets.iter())
            .take_while(|(told, _)| *told <= to)
            .last();
        let (estimate, total, pictures) = budget.map_or((0, 0, None), |(_, b)| {
            (b.line_bps, b.total_bps, b.pictures_bps)
        });
        println!(
            "{:6.1} s  estimate {:7}  may {:7}  pictures {:7}  offered {:7}  carried {:7}  queue {:4} ms",
            at.as_secs_f64(),
            estimate,
            total,
            pictures.map_or("-".to_owned(), |p| p.to_string()),
            line.offered_bps(at, to),
            line.carried_bps(at, to),
            line.wait(at, to, 0.95).as_millis()
        );
        at = to;
    }
}

#[test]
fn the_estimate_finds_the_line_and_stays_there() {
    for (rate_bps, within) in [(200_000, 3.0), (500_000, 3.0), (2_000_000, 5.0)] {
        let mut world = call(1, line(rate_bps));
        let from = world.elapsed();
        world.drive(seconds(30.0));
        print(&world, from);
        let settled = settled(&world, rate_bps, from);
        let (settling, end) = (from + seconds(within), world.elapsed());
        let share = world.line(CALLER).carried_bps(settling, end) * 100 / rate_bps;
        let excess = longest_excess(&world, rate_bps, settling, end);
        let queue = world.line(CALLER).wait(settling, end, 0.95);
        println!(
            "{rate_bps}: settled {settled:?}, carried {share} %, excess {excess:?}, queue p95 {queue:?}"
        );
        assert!(
            settled.is_some_and(|after| after <= seconds(within)),
            "{rate_bps}: {settled:?}"
        );
        assert!(share >= 85, "{rate_bps}: {share} % of the line is used");
        assert!(excess <= seconds(1.0), "{rate_bps}: {excess:?} above 110 %");
        assert!(queue <= seconds(0.25), "{rate_bps}: {queue:?} of queue");
    }
}

#[test]
fn a_halved_line_is_followed_and_its_return_is_found() {
    for rate_bps in [200_000, 500_000, 2_000_000] {
        let mut world = call(2, line(rate_bps));
        world.drive(seconds(15.0));
        let halved = world.elapsed();
        world.set_link(line(rate_bps / 2));
        world.drive(seconds(15.0));
        let back = world.elapsed();
        world.set_link(line(rate_bps));
        world.drive(seconds(10.0));
        print(&world, halved - seconds(2.0));
        let asked = |from: Duration, to: Duration| world.line(CALLER).offered_bps(from, to);
        let under = asked(halved + seconds(2.0), halved + seconds(4.0)) * 100 / (rate_bps / 2);
        let used = asked(back + seconds(7.5), back + seconds(9.5)) * 100 / rate_bps;
        println!(
            "{rate_bps}: two seconds after halving {under} % asked, eight after the return {used} %"
        );
        // Under it, and not draining any more: a line that is kept full is asked for 75 to 101 %.
        assert!(under <= 105, "{rate_bps}: {under} % of the halved line");
        assert!(
            used >= 80,
            "{rate_bps}: {used} % of the line that came back"
        );
    }
}

#[test]
fn an_outage_is_survived() {
    let rate_bps = 1_000_000;
    for (outage, sound_within) in [(5.0, 0.5), (10.0, 1.0)] {
        let mut world = call(3, line(rate_bps));
        world.drive(seconds(10.0));
        let from = world.elapsed();
        let dead = Link {
            loss: 1.0,
            ..line(rate_bps)
        };
        world.set_link(dead);
        world.drive(seconds(outage));
        let (back, now) = (world.elapsed(), world.now);
        world.set_link(line(rate_bps));
        world.drive(seconds(10.0));
        print(&world, from - seconds(1.0));
        let callee = &world.people[CALLEE];
        // What was under way before the outage was played long ago; 20 ms are left for the block that is being played.
        let sound = (callee.heard_at.iter())
            .find(|at| **at > back + seconds(0.02))
            .map(|at| *at - back);
        let picture = callee
            .seen
            .at
            .iter()
            .find(|at| **at > now)
            .map(|at| *at - now);
        let used = world
            .line(CALLER)
            .offered_bps(back + seconds(7.5), back + seconds(9.5))
            * 100
            / rate_bps;
        println!("{outage} s: sound {sound:?}, picture {picture:?}, {used} % after 8 s");
        assert!(
            sound.is_some_and(|after| after <= seconds(sound_within)),
            "{outage}: {sound:?}"
        );
        assert!(
            picture.is_some_and(|after| after <= seconds(2.0)),
            "{outage}: {picture:?}"
        );
        assert!(used >= 80, "{outage}: {used} %");
        assert!(!callee.is_ended());
    }
}

/// Freezes, their time and the harmonic mean of pictures a second in a minute of a line of 500 kbit/s that loses one packet
/// in twenty, both ways, and is kept full by the camera.
#[expect(
    clippy::print_stdout,
    reason = "figures for whoever asks the test for them"
)]
fn minute_of_losses(seed: u64) -> (u64, Duration, f64) {
    let lossy = Link {
        loss: 0.05,
        ..line(500_000)
    };
    let mut world = call(seed, lossy);
    world.drive(seconds(5.0));
    let now = world.now;
    let key_frames = world.people[CALLEE].seen.key_frames;
    world.drive(seconds(60.0));
    let seen = &world.people[CALLEE].seen;
    let ((freezes, frozen), fps) = (seen.freezes(now), seen.harmonic_fps(now));
    let key_frames = seen.key_frames - key_frames;
    println!(
        "seed {seed}: {freezes} freezes, {frozen:?}, {fps:.2} pictures a second, {key_frames} key frames"
    );
    (freezes, frozen, fps)
}

#[test]
fn pictures_move_evenly_where_one_packet_in_twenty_is_lost() {
    for seed in 1..=4 {
        let is_even = || {
            let (freezes, frozen, fps) = minute_of_losses(seed);
            freezes <= 1 && frozen <= seconds(0.5) && fps >= 14.0
        };
        // The WebRTC library's own randomness has no seed: one minute in some twenty is worse by a freeze.
        assert!(is_even() || is_even(), "seed {seed}: twice uneven");
    }
}

#[test]
fn a_line_that_becomes_too_thin_for_pictures_has_none_and_says_so() {
    let mut world = call(4, line(200_000));
    world.drive(seconds(10.0));
    let from = world.elapsed();
    world.set_link(line(95_000));
    world.drive(seconds(10.0));
    print(&world, from);
    let (_, last) = world.people[CALLER].budgets.last().expect("told");
    assert_eq!(last.pictures_bps, None, "{last:?}");
    assert!(last.is_thin());
    let far = world.people[CALLEE].far;
    assert!(
        far.is_some_and(|far| far.thin),
        "the far side is told: {far:?}"
    );
}

#[test]
fn sound_and_pictures_are_there_soon_after_the_call_is_accepted() {
    // The relay takes 30 ms for each message, as one in the same country does.
    for (one_way_ms, sound_within, picture_within) in [(0, 0.3, 1.0), (50, 0.8, 1.0)] {
        let link = Link {
            delay: Duration::from_millis(one_way_ms),
            ..Link::default()
        };
        let mut world = World::new(5, link, Media::Video);
        world.drive_until(Duration::from_secs(2), "ringing", |world| {
            world.people[CALLER].states.contains(&CallState::Ringing)
        });
        let (accepted, now) = (world.elapsed(), world.now);
        world.input(CALLEE, Input::Accept(Media::Video));
        world.drive(seconds(3.0));
        for person in &world.people {
            let sound = person.heard_at.first().map(|at| *at - accepted);
            let picture = person.seen.at.first().map(|at| *at - now);
            println!("{one_way_ms} ms one way: sound after {sound:?}, picture after {picture:?}");
            assert!(
                sound.is_some_and(|after| after <= seconds(sound_within)),
                "{sound:?}"
            );
            assert!(
                picture.is_some_and(|after| after <= seconds(picture_within)),
                "{picture:?}"
            );
        }
    }
}

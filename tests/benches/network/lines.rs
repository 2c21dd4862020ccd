//! What is measured on which line.

use std::time::{Duration, Instant};

use hullo_tests::bench::program::now;
use hullo_tests::bench::verdict::{Bar, Point};

use super::Failure;
use super::emulator::{ALICE, BOB, Line, address};
use super::scene::{Camera, Scene, Told};

/// As behind an ordinary router.
const DELAY: Duration = Duration::from_millis(25);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn line(rate_bps: u64) -> Line {
    Line {
        delay: DELAY,
        rate_bps: Some(rate_bps),
        ..Line::default()
    }
}

fn since(at: Option<Instant>, zero: Instant) -> Option<f64> {
    at.map(|at| at.saturating_duration_since(zero).as_secs_f64() * 1_000.0)
}

/// Accepted to first sound and first picture.
pub(crate) fn set_up(scene: &Scene) -> Result<Vec<Point>, Failure> {
    let mut points = Vec::new();
    for (delay_ms, sound_ms) in [(0, 300.0), (50, 800.0)] {
        let delay = Duration::from_millis(delay_ms);
        let mut call = scene.call(
            Line {
                delay,
                ..Line::default()
            },
            Camera::Card,
        )?;
        call.run(seconds(4.0));
        let told = call.end()?;
        let first = |told: &Told, kind: &str| {
            let accepted = told.at("call", |value| value["state"] == "connecting")?;
            let came = told.at("media", |value| {
                value["kind"] == kind && value["direction"] == "received"
            });
            since(came, accepted)
        };
        let both = |kind: &str| {
            [
                ("callee", first(&told[ALICE], kind)),
                ("caller", first(&told[BOB], kind)),
            ]
        };
        let round = 2 * delay_ms;
        points.push(Point::judge(
            &format!("first sound, {round} ms there and back"),
            "ms",
            Bar::AtMost(sound_ms),
            &both("audio"),
        ));
        points.push(Point::judge(
            &format!("first picture, {round} ms there and back"),
            "ms",
            Bar::AtMost(1_000.0),
            &both("video"),
        ));
    }
    Ok(points)
}

/// The line is found, kept to, and followed when it changes.
pub(crate) fn rate(scene: &Scene) -> Result<Vec<Point>, Failure> {
    let mut points = Vec::new();
    for (rate_bps, within) in [(200_000, 3.0), (500_000, 3.0), (2_000_000, 5.0)] {
        if !is_wanted(rate_bps) {
            continue;
        }
        let mut call = scene.call(line(rate_bps), Camera::Dark)?;
        let begin = now();
        call.run(seconds(25.0));
        let halved = now();
        scene.network.set(line(rate_bps / 2));
        call.run(seconds(12.0));
        let back = now();
        scene.network.set(line(rate_bps));
        call.run(seconds(10.0));
        let told = call.end()?;
        trace(scene, &told[BOB], begin);
        let settled = settled(&told[BOB], rate_bps, begin);
        let rate = rate_bps as f64;
        let from = begin + seconds(within);
        let share = |bps: f64| Some(bps * 100.0 / rate);
        let carried = scene.network.rates(BOB, from, halved).1;
        let excess = longest_excess(scene, rate * 1.1, from, halved);
        let under = scene
            .network
            .rates(BOB, halved + seconds(2.0), halved + seconds(4.0))
            .0;
        let used = scene
            .network
            .rates(BOB, back + seconds(7.5), back + seconds(9.5))
            .0;
        let name = format!("{} kbit/s", rate_bps / 1_000);
        let mut add = |what: &str, unit, bar, figure| {
            points.push(Point::judge(
                &format!("{name}: {what}"),
                unit,
                bar,
                &[("", figure)],
            ));
        };
        add(
            "the estimate is within 80 to 120 %",
            "s",
            Bar::AtMost(within),
            settled,
        );
        add("carried", "%", Bar::AtLeast(85.0), share(carried));
        add(
            "longest time above 110 %",
            "s",
            Bar::AtMost(1.0),
            Some(excess),
        );
        add(
            "halved: asked of it in the third and fourth second",
            "%",
            Bar::AtMost(105.0),
            share(under * 2.0),
        );
        add(
            "back: used 7.5 to 9.5 s later",
            "%",
            Bar::AtLeast(80.0),
            share(used),
        );
    }
    Ok(points)
}

/// Lines are chosen by their rate in kbit/s; without a number all are measured.
fn is_wanted(rate_bps: u64) -> bool {
    let mut numbers = std::env::args()
        .filter_map(|word| word.parse().ok())
        .peekable();
    numbers.peek().is_none() || numbers.any(|rate: u64| rate * 1_000 == rate_bps)
}

/// Each second as it went, for whoever asks with the word `trace`.
fn trace(scene: &Scene, told: &Told, begin: Instant) {
    if !std::env::args().any(|word| word == "trace") {
        return;
    }
    for (at, value) in told.events("stats") {
        let of = |path: &str| value.pointer(path).and_then(serde_json::Value::as_f64);
        let (offered, carried) = scene.network.rates(BOB, at - seconds(1.0), at);
        super::say(&format!(
            "{:6.1} s  estimate {:7}  may {:7}  offered {offered:7.0}  carried {carried:7.0}  queue {:4} ms",
            at.saturating_duration_since(begin).as_secs_f64(),
            of("/estimate_bps").unwrap_or(0.0),
            of("/budget_bps").unwrap_or(0.0),
            of("/sent/queue_ms").unwrap_or(0.0),
        ));
    }
}

/// From when on the estimate stayed near the line for two figures, one of each second, seconds.
fn settled(told: &Told, rate_bps: u64, begin: Instant) -> Option<f64> {
    let near = 0.8..=1.2;
    let figures: Vec<(Instant, bool)> = (told.events("stats"))
        .filter_map(|(at, value)| {
            let estimate = value["estimate_bps"].as_f64()?;
            Some((at, near.contains(&(estimate / rate_bps as f64))))
        })
        .collect();
    let pair = figures.windows(2).find(|pair| pair[0].1 && pair[1].1)?;
    Some(pair[0].0.saturating_duration_since(begin).as_secs_f64())
}

/// The longest time during which more than `bps` was asked of the line, in windows of 200 ms, seconds.
fn longest_excess(scene: &Scene, bps: f64, from: Instant, to: Instant) -> f64 {
    let window = seconds(0.2);
    let (mut longest, mut run) = (Duration::ZERO, Duration::ZERO);
    let mut at = from;
    while at + window <= to {
        let over = scene.network.rates(BOB, at, at + window).0 > bps;
        run = if over { run + window } else { Duration::ZERO };
        longest = longest.max(run);
        at += window;
    }
    longest.as_secs_f64()
}

/// Pictures on a line that loses one packet in twenty.
pub(crate) fn loss(scene: &Scene) -> Result<Vec<Point>, Failure> {
    let lossy = Line {
        loss: 0.05,
        ..line(500_000)
    };
    let mut call = scene.call(lossy, Camera::Clip)?;
    call.run(seconds(5.0));
    let from = now();
    call.run(seconds(60.0));
    let to = now();
    let told = call.end()?;
    let grown = |told: &Told, path: &str| Some(told.figure(path, to)? - told.figure(path, from)?);
    let pictures = |told: &Told| {
        let stats = told
            .events("stats")
            .filter(|(at, _)| (from..to).contains(at));
        let came: Vec<f64> = stats
            .filter_map(|(_, value)| value.pointer("/received/video_frames")?.as_f64())
            .collect();
        (!came.is_empty()).then(|| came.iter().sum::<f64>() / came.len() as f64)
    };
    let both = |figure: &dyn Fn(&Told) -> Option<f64>| {
        [
            ("callee", figure(&told[ALICE])),
            ("caller", figure(&told[BOB])),
        ]
    };
    Ok(vec![
        Point::judge(
            "5 % lost: freezes in 60 s",
            "",
            Bar::AtMost(1.0),
            &both(&|told| grown(told, "/received/freezes")),
        ),
        Point::judge(
            "5 % lost: time in them",
            "ms",
            Bar::AtMost(500.0),
            &both(&|told| grown(told, "/received/freeze_ms")),
        ),
        Point::judge(
            "5 % lost: pictures of 15 a second",
            "",
            Bar::AtLeast(14.0),
            &both(&pictures),
        ),
    ])
}

/// Nothing passes for a while, to the server neither.
pub(crate) fn outages(scene: &Scene) -> Result<Vec<Point>, Failure> {
    let mut points = Vec::new();
    let rate_bps = 1_000_000;
    for (outage, sound_ms, picture_ms) in [(5.0, 500.0, 2_000.0), (10.0, 1_000.0, 3_000.0)] {
        let mut call = scene.call(line(rate_bps), Camera::Clip)?;
        call.run(seconds(12.0));
        scene.network.set(Line {
            is_down: true,
            ..line(rate_bps)
        });
        call.run(seconds(outage));
        let back = now();
        scene.network.set(line(rate_bps));
        call.run(seconds(10.0));
        let used = scene
            .network
            .rates(BOB, back + seconds(7.5), back + seconds(9.5))
            .0;
        let told = call.end()?;
        let again = |told: &Told, kind: &str| {
            since(told.at("media_again", |value| value["kind"] == kind), back)
        };
        let both = |kind: &str| {
            [
                ("callee", again(&told[ALICE], kind)),
                ("caller", again(&told[BOB], kind)),
            ]
        };
        let name = format!("outage of {outage} s");
        points.push(Point::judge(
            &format!("{name}: sound again"),
            "ms",
            Bar::AtMost(sound_ms),
            &both("audio"),
        ));
        points.push(Point::judge(
            &format!("{name}: picture again"),
            "ms",
            Bar::AtMost(picture_ms),
            &both("video"),
        ));
        let share = Some(used * 100.0 / rate_bps as f64);
        points.push(Point::judge(
            &format!("{name}: used 8 s later"),
            "%",
            Bar::AtLeast(80.0),
            &[("", share)],
        ));
    }
    Ok(points)
}

/// Packets of media are larger than any check of a way.
const MEDIA_BITS_MIN: u64 = 200 * 8;

/// Alice's machine gets another address.
pub(crate) fn address_change(scene: &Scene) -> Result<Vec<Point>, Failure> {
    let mut call = scene.call(line(1_000_000), Camera::Card)?;
    call.run(seconds(6.0));
    let change = now();
    scene.network.replace_address(ALICE, 2, 9)?;
    call.run(seconds(8.0));
    let seen = scene.network.seen(change, now());
    let ended = call.end();
    scene.network.replace_address(ALICE, 9, 2)?;
    ended?;
    let new = address(ALICE, 9);
    let is_media = |bits: u64| bits >= MEDIA_BITS_MIN;
    let from = seen
        .iter()
        .find(|packet| packet.source == new && is_media(packet.bits));
    let to = seen
        .iter()
        .find(|packet| packet.destination == new && is_media(packet.bits));
    let after = |at: Option<Instant>| since(at, change);
    Ok(vec![Point::judge(
        "another address: media again",
        "ms",
        Bar::AtMost(3_000.0),
        &[
            ("from it", after(from.map(|packet| packet.at))),
            ("to it", after(to.map(|packet| packet.at))),
        ],
    )])
}

/// The call of a group through the server, to which both lines are down for five seconds.
pub(crate) fn group_outage(scene: &Scene) -> Result<Vec<Point>, Failure> {
    scene.network.set(Line {
        delay: DELAY,
        ..Line::default()
    });
    let mut call = scene.group_call()?;
    call.run(seconds(8.0));
    scene.network.set(Line {
        is_down: true,
        ..Line::default()
    });
    call.run(seconds(5.0));
    let back = now();
    scene.network.set(Line {
        delay: DELAY,
        ..Line::default()
    });
    call.run(seconds(15.0));
    let told = call.end()?;
    let both = |figure: fn(&Told, Instant) -> Option<f64>| {
        [
            ("alice", figure(&told[ALICE], back)),
            ("bob", figure(&told[BOB], back)),
        ]
    };
    Ok(vec![
        Point::judge(
            "group, outage of 5 s: frames did not open for",
            "s",
            Bar::AtMost(2.0),
            &both(unopened_s),
        ),
        Point::judge(
            "group, outage of 5 s: sound opens again (counted each second)",
            "s",
            Bar::AtMost(4.0),
            &both(heard_again_s),
        ),
    ])
}

/// Seconds of `stats` in which frames did not open.
fn unopened_s(told: &Told, back: Instant) -> Option<f64> {
    let figures: Vec<f64> = (told.events("stats"))
        .filter(|(at, _)| *at + seconds(6.0) > back)
        .filter_map(|(_, value)| value["undecryptable"].as_f64())
        .collect();
    let grown = figures.windows(2).filter(|pair| pair[1] > pair[0]).count();
    (figures.len() > 10).then_some(grown as f64)
}

/// From when on sound of the other person opens again for good, seconds: in each second from then on at least 40 frames.
fn heard_again_s(told: &Told, back: Instant) -> Option<f64> {
    let frames = |value: &serde_json::Value| -> f64 {
        let people = value["people"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        people
            .iter()
            .filter_map(|person| person["audio_frames"].as_f64())
            .sum()
    };
    let figures: Vec<(Instant, f64)> = (told.events("stats"))
        .filter(|(at, _)| *at >= back)
        .map(|(at, value)| (at, frames(value)))
        .collect();
    let well = figures.windows(2).map(|pair| pair[1].1 - pair[0].1 >= 40.0);
    let after = well
        .clone()
        .collect::<Vec<_>>()
        .iter()
        .rposition(|well| !well)
        .map_or(0, |at| at + 1);
    let (at, _) = figures.get(after)?;
    Some(at.saturating_duration_since(back).as_secs_f64())
}

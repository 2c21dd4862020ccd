//! The bars of the first call, each set against the figures of both sides.

use std::path::Path;

use hullo_tests::bench::quality::{Quality, QualityError};
use hullo_tests::bench::tools::Floor;
use hullo_tests::bench::transcript::Transcript;
use hullo_tests::bench::verdict::{Bar, Point};

/// One call between two sides that record each other.
pub(crate) struct Recorded {
    pub(crate) callee: Transcript,
    pub(crate) caller: Transcript,
    /// Callee's clip as the caller saw it, and the other way round.
    pub(crate) quality: [Result<Quality, QualityError>; 2],
}

/// Frames, likeness and rate of the recorded calls.
pub(crate) fn picture_points(talk: &Recorded, hard: &Recorded) -> Vec<Point> {
    let rate = |side: &Transcript| {
        let rate_bps = side.mean_of_stats("sent/video_bitrate_bps");
        ratio(rate_bps, Some(1_000.0), 1.0)
    };
    let rates = [("a>b", rate(&talk.callee)), ("b>a", rate(&talk.caller))];
    let lost = |side: &Transcript| side.summary("undecryptable");
    let lost = [("a", lost(&talk.callee)), ("b", lost(&talk.caller))];
    vec![
        delivered_point("frames decoded of those captured, talking head", talk),
        delivered_point("frames decoded of those captured, stress", hard),
        psnr_point("PSNR, talking head", 38.0, talk),
        Point::judge(
            "mean video bitrate, talking head",
            "kbit/s",
            Bar::AtMost(600.0),
            &rates,
        ),
        psnr_point("PSNR, stress", 33.0, hard),
        Point::judge("frames that did not open", "", Bar::AtMost(0.0), &lost),
    ]
}

/// Decoded, by the program's word or by the pictures in its recording, whichever is less.
fn delivered_point(what: &str, call: &Recorded) -> Point {
    let share = |from: &Transcript, to: &Transcript, seen: usize| {
        let recorded = call.quality[seen].as_ref().ok()?.pictures as f64;
        let decoded = to.summary("video/decoded")?.min(recorded);
        ratio(Some(decoded), from.summary("video/captured"), 100.0)
    };
    let shares = [
        ("a>b", share(&call.callee, &call.caller, 0)),
        ("b>a", share(&call.caller, &call.callee, 1)),
    ];
    Point::judge(what, "%", Bar::AtLeast(97.0), &shares)
}

fn psnr_point(what: &str, bar: f64, call: &Recorded) -> Point {
    let figure = |side: usize| {
        call.quality[side]
            .as_ref()
            .ok()
            .map(|quality| quality.psnr_db)
    };
    let figures = [("a>b", figure(0)), ("b>a", figure(1))];
    let mut point = Point::judge(what, "dB", Bar::AtLeast(bar), &figures);
    for error in call
        .quality
        .iter()
        .filter_map(|quality| quality.as_ref().err())
    {
        point.note += &format!("; {error}");
    }
    point
}

/// Delays: from accepting to hearing, and from glass to glass.
pub(crate) fn time_points(talk: &Recorded, card: &(Transcript, Transcript)) -> Vec<Point> {
    let sound = |side: &Transcript| side.accepted_to_sound_ms();
    let glass = |path: &str| [("a", card.0.summary(path)), ("b", card.1.summary(path))];
    let mut latency = Point::judge(
        "glass to glass, p95, test card",
        "ms",
        Bar::AtMost(60.0),
        &glass("latency_ms/p95"),
    );
    for (side, figure) in glass("latency_ms/p50") {
        latency.note += &figure.map_or(String::new(), |p50| format!("; p50 {side} {p50:.2}"));
    }
    vec![
        Point::judge(
            "accepted to first sound",
            "ms",
            Bar::AtMost(500.0),
            &[("a", sound(&talk.callee)), ("b", sound(&talk.caller))],
        ),
        latency,
    ]
}

/// A packet must be full before it leaves (20 ms), and the codec looks ahead, milliseconds.
const SOUND_PATH_MS: f64 = 20.0 + 6.5;

/// Sound from mouth to ear, and how far lips are from it.
pub(crate) fn sound_points(talk: &Recorded, card: &(Transcript, Transcript)) -> Vec<Point> {
    let one_way = |side: &Transcript| {
        let waits = side.share_of_stats("received/sound_delay_ms", 0.95)?;
        let there_and_back = side.mean_of_stats("rtt_ms").unwrap_or(0.0);
        Some(SOUND_PATH_MS + there_and_back / 2.0 + waits)
    };
    let lips = |path: &str| [("a", card.0.summary(path)), ("b", card.1.summary(path))];
    vec![
        Point::judge(
            "sound one way, p95, file devices",
            "ms",
            Bar::AtMost(60.0),
            &[("a", one_way(&talk.callee)), ("b", one_way(&talk.caller))],
        ),
        Point::judge(
            "lips against voice, p95, test devices",
            "ms",
            Bar::AtMost(80.0),
            &lips("lip_sync_ms/p95"),
        ),
    ]
}

/// Processor time against the codecs alone, and memory.
pub(crate) fn cost_points(
    plain: &(Transcript, Transcript),
    talk: &Recorded,
    floor: &Floor,
    tight: &Floor,
) -> Vec<Point> {
    let (what, bar) = ("processor time over codecs alone", Bar::AtMost(1.6));
    let sides = [("a", plain.0.cost()), ("b", plain.1.cost())];
    if !Path::new("/proc/self/stat").exists() {
        let why = "this system has no /proc";
        return vec![
            Point::not_measured(what, "x", bar, why),
            Point::not_measured("resident memory", "MB", Bar::AtMost(60.0), why),
        ];
    }
    let over = |floor: &Floor| {
        sides.map(|(side, cost)| {
            let cores = cost.map(|cost| cost.cores);
            (side, ratio(cores, Some(floor.cores), 1.0))
        })
    };
    let percent = |cores: f64| format!("{:.1} %", cores * 100.0);
    let at_pace = format!("{what}, at a call's pace");
    let mut paced = Point::judge(&at_pace, "x", bar, &over(floor));
    paced.note += &format!("; codecs {} of a core", percent(floor.cores));
    let in_loop = format!("{what}, in a tight loop");
    let mut processor = Point::judge(&in_loop, "x", bar, &over(tight));
    processor.note += &format!("; codecs {} of a core", percent(tight.cores));
    let recording = [
        ("a", plain.0.cost()),
        ("b", plain.1.cost()),
        ("a recording", talk.callee.cost()),
        ("b recording", talk.caller.cost()),
    ];
    for (side, cost) in &recording {
        processor.note += &cost.map_or(String::new(), |cost| {
            format!(", {side} {}", percent(cost.cores))
        });
    }
    let memory = recording.map(|(side, cost)| (side, cost.map(|cost| cost.resident_mb_max)));
    vec![
        processor,
        paced,
        Point::judge("resident memory", "MB", Bar::AtMost(60.0), &memory),
    ]
}

fn ratio(part: Option<f64>, whole: Option<f64>, by: f64) -> Option<f64> {
    part.zip(whole)
        .filter(|&(_, whole)| whole > 0.0)
        .map(|(part, whole)| part / whole * by)
}

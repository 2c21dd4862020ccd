//! The figures of a call as lines: first what is wrong, in words, then both directions side by side.

use crate::model::{Call, Model};
use crate::report::{Flow, Stats};

pub(crate) const STATS_TITLE: &str = "This call";
pub(crate) const STATS_NONE: &str =
    "No figures yet: they come each second once the call is connected.";
pub(crate) const NO_STATS: &str =
    "There are figures in a call that is connected, when nothing lies over it.";
const ALL_WELL: &str = "Nothing is wrong.";
/// The figures below count the whole call.
const ALL_WELL_NOW: &str = "Nothing is wrong now.";

/// Cells of the first and of the second column.
const LABEL_CELLS: usize = 12;
const COLUMN_CELLS: usize = 16;

/// What is wrong, in sentences; one that says so when nothing is.
#[must_use]
pub fn stats_words(stats: &Stats) -> Vec<String> {
    if stats.words.is_empty() {
        let is_past = stats.received.freezes > 0;
        return vec![if is_past { ALL_WELL_NOW } else { ALL_WELL }.to_owned()];
    }
    let sentence = |words: &String| crate::people::sentence(words);
    stats.words.iter().map(sentence).collect()
}

/// What is wrong with this call, in sentences.
pub(crate) fn words_of(call: &Call, stats: &Stats) -> Vec<String> {
    let mut words = super::devices_gone(call.seat.levels);
    let others = if call.is_of_a_group() {
        super::group_stats_words(stats, call)
    } else {
        stats_words(stats)
    };
    let is_well = |line: &String| line == ALL_WELL || line == ALL_WELL_NOW;
    let is_nothing_wrong = words.is_empty();
    words.extend((others.into_iter()).filter(|line| is_nothing_wrong || !is_well(line)));
    words
}

/// What is wrong, and the most important figures, where there is no screen.
pub(crate) fn stats_sentences(model: &Model, call: &Call, stats: &Stats) -> Vec<String> {
    let mut sentences = words_of(call, stats);
    let (to, from) = (&stats.sent, &stats.received);
    sentences.push(format!(
        "You send {}, {} lost; you receive {}, {} lost; {} there and back.",
        rate(to.bitrate_bps),
        percent(to.loss),
        rate(from.bitrate_bps),
        percent(from.loss),
        known(stats.rtt_ms, "ms")
    ));
    let people = call.people.iter();
    sentences.extend(people.map(|person| super::person_sentence(model, call, person)));
    sentences
}

/// The figures, a line each.
#[must_use]
pub fn stats_table(stats: &Stats, name: &str) -> Vec<String> {
    let (to, from) = (&stats.sent, &stats.received);
    let mut lines = vec![
        row("", &format!("to {name}"), &format!("from {name}")),
        row("in all", &rate(to.bitrate_bps), &rate(from.bitrate_bps)),
        row(
            "packets",
            &format!("{}/s", to.packets),
            &format!("{}/s", from.packets),
        ),
        row("lost", &percent(to.loss), &percent(from.loss)),
        row(
            "waiting",
            &known(to.queue_ms, "ms"),
            &known(from.queue_ms, "ms"),
        ),
        row(
            "sound",
            &format!("{}/s", to.audio_frames),
            &format!("{}/s", from.audio_frames),
        ),
        row(
            "pictures",
            &pictures(to, stats.pictures),
            &pictures(from, None),
        ),
        row(
            "",
            &rate(to.video_bitrate_bps),
            &rate(from.video_bitrate_bps),
        ),
        row("sent again", &to.nacks.to_string(), &from.nacks.to_string()),
    ];
    let freezes = format!(
        "stood still {}, {:.1} s; sound made up {:.1} s",
        super::times(from.freezes),
        seconds(from.freeze_ms),
        seconds(from.concealed_ms)
    );
    let carries = match (stats.estimate_bps, stats.budget_bps) {
        (Some(line), Some(budget)) => {
            format!(
                "your line carries {}, {} may be used",
                rate(line),
                rate(budget)
            )
        }
        (Some(line), None) => format!("your line carries {}", rate(line)),
        _ => "what your line carries is not known yet".to_owned(),
    };
    let way = format!(
        "{} there and back, jitter {}, {}",
        known(stats.rtt_ms, "ms"),
        known(from.jitter_ms, "ms"),
        stats.pair.as_deref().unwrap_or("no way yet")
    );
    lines.extend([freezes, carries, way]);
    if stats.undecryptable > 0 {
        let frames = super::counted(stats.undecryptable, "frame");
        lines.push(format!("{frames} did not open"));
    }
    lines
}

/// A figure with its unit, or that it is not known.
pub(super) fn known(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0} {unit}"))
}

pub(super) fn percent(loss: Option<f64>) -> String {
    known(loss.map(|loss| loss * 100.0), "%")
}

pub(super) fn row(label: &str, to: &str, from: &str) -> String {
    format!("{label:LABEL_CELLS$}{to:COLUMN_CELLS$}{from}")
        .trim_end()
        .to_owned()
}

pub(super) fn rate(bps: u64) -> String {
    if bps >= 1_000_000 {
        format!("{}.{} Mbit/s", bps / 1_000_000, bps % 1_000_000 / 100_000)
    } else {
        format!("{} kbit/s", bps / 1_000)
    }
}

fn pictures(flow: &Flow, state: Option<&str>) -> String {
    let size = if flow.width > 0 {
        format!(" {}x{}", flow.width, flow.height)
    } else {
        String::new()
    };
    match state {
        Some("full") | None => format!("{}/s{size}", flow.video_frames),
        Some(state) => format!("{}/s {state}", flow.video_frames),
    }
}

pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_beside_the_contacts_on_a_small_screen() {
        let flow = Flow {
            packets: 9_999,
            bitrate_bps: 2_900_000,
            video_bitrate_bps: 2_500_000,
            video_frames: 30,
            audio_frames: 50,
            width: 1_280,
            height: 720,
            loss: Some(0.125),
            queue_ms: Some(300.0),
            ..Flow::default()
        };
        let stats = Stats {
            sent: flow.clone(),
            received: flow,
            rtt_ms: Some(1_000.0),
            estimate_bps: Some(2_999_999),
            budget_bps: Some(2_500_000),
            pair: Some("relay/relay".to_owned()),
            ..Stats::default()
        };
        for line in stats_table(&stats, "bob") {
            assert!(line.chars().count() <= 54, "{line}");
        }
        assert_eq!(stats_words(&stats), ["Nothing is wrong."]);
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        let lines = stats_table(&Stats::default(), "bob").join("\n");
        assert!(
            lines.contains("what your line carries is not known yet"),
            "{lines}"
        );
        assert!(lines.contains("? there and back"), "{lines}");
    }
}

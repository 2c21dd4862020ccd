//! The figures of the call of a group as lines: both directions with the group's server, then each person.

use super::seat::quality_figures;
use super::stats::{known, percent, rate, row, seconds, stats_words};
use super::{counted, shown, times};
use crate::model::Call;
use crate::participant::Participant;
use crate::quality::Grade;
use crate::report::{PersonFigures, Stats};

/// Cells for a name in front of its figures.
const NAME_CELLS: usize = 12;

/// What is wrong, in sentences: with our own line, then with whoever comes through badly.
#[must_use]
pub(crate) fn group_stats_words(stats: &Stats, call: &Call) -> Vec<String> {
    let badly = |person: &Participant| {
        let figures = person.quality.figures()?;
        let word = match figures.grade {
            Grade::Good => return None,
            Grade::Fair => "not quite well",
            Grade::Poor => "badly",
        };
        let name = shown(&person.name);
        let lost = figures.loss_percent.filter(|loss| *loss >= 1.0);
        let lost = lost.map_or_else(String::new, |loss| format!(": {loss:.0} % is lost"));
        Some(format!("{name} comes through {word}{lost}."))
    };
    let of_people: Vec<String> = call.people.iter().filter_map(badly).collect();
    let mut words = stats_words(stats);
    if stats.words.is_empty() && !of_people.is_empty() {
        words.clear();
    }
    words.extend(of_people);
    words
}

/// The figures, a line each; then a line for each person, as in the list of people.
#[must_use]
pub(crate) fn group_stats_table(stats: &Stats, call: &Call) -> Vec<String> {
    let (to, from) = (&stats.sent, &stats.received);
    let count = |flow: u64| format!("{flow}/s");
    let largest = |width: u32, height: u32| match width {
        0 => String::new(),
        _ => format!(" {width}x{height}"),
    };
    let mut lines = vec![
        row("", "you send", "you receive"),
        row("in all", &rate(to.bitrate_bps), &rate(from.bitrate_bps)),
        row("packets", &count(to.packets), &count(from.packets)),
        row("lost", &percent(to.loss), &percent(from.loss)),
        row("sound", &count(to.audio_frames), &count(from.audio_frames)),
        row(
            "pictures",
            &count(to.video_frames),
            &format!(
                "{}{}",
                count(from.video_frames),
                largest(from.width, from.height)
            ),
        ),
        row(
            "",
            &rate(to.video_bitrate_bps),
            &rate(from.video_bitrate_bps),
        ),
        row("sent again", &to.nacks.to_string(), &from.nacks.to_string()),
        format!(
            "stood still {}, {:.1} s; sound made up {:.1} s",
            times(from.freezes),
            seconds(from.freeze_ms),
            seconds(from.concealed_ms)
        ),
        match stats.estimate_bps {
            Some(line) => format!("your line carries {}", rate(line)),
            None => "what your line carries is not known yet".to_owned(),
        },
        format!(
            "{} to the group's server and back, jitter {}",
            known(stats.rtt_ms, "ms"),
            known(from.jitter_ms, "ms")
        ),
    ];
    if stats.undecryptable > 0 {
        let frames = counted(stats.undecryptable, "frame");
        lines.push(format!("{frames} did not open"));
    }
    let of = |person: &Participant| {
        let mut people = stats.people.iter();
        people.find(|figures| figures.participant == person.id.number())
    };
    lines.extend((call.people.iter()).filter_map(|person| Some(person_line(person, of(person)?))));
    lines
}

/// `alice  good 0% 60ms, 640x360`.
fn person_line(person: &Participant, figures: &PersonFigures) -> String {
    let name: String = shown(&person.name).chars().take(NAME_CELLS - 1).collect();
    let mut words = match quality_figures(person) {
        words if words.is_empty() => "no figures yet".to_owned(),
        words => words,
    };
    if person.switches.camera_on && figures.width > 0 {
        words.push_str(&format!(", {}x{}", figures.width, figures.height));
    }
    if figures.freezes > 0 {
        words.push_str(&format!(", stood still {}", times(figures.freezes)));
    }
    format!("{name:NAME_CELLS$}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{
        CallNumber, CallState, Direction, GroupNumber, Media, ParticipantId, Party,
    };
    use crate::report::Flow;

    #[test]
    fn every_line_fits_and_everybody_has_one() {
        let flow = Flow {
            packets: 9_999,
            bitrate_bps: 12_900_000,
            video_bitrate_bps: 12_500_000,
            video_frames: 450,
            audio_frames: 750,
            width: 1_280,
            height: 720,
            loss: Some(0.125),
            nacks: 12_345,
            freezes: 99,
            freeze_ms: 99_900,
            concealed_ms: 99_900,
            jitter_ms: Some(123.0),
            ..Flow::default()
        };
        let stats = Stats {
            sent: flow.clone(),
            received: flow,
            rtt_ms: Some(1_000.0),
            estimate_bps: Some(2_999_999),
            people: vec![PersonFigures {
                participant: 3,
                ..PersonFigures::default()
            }],
            ..Stats::default()
        };
        let party = Party::Group(GroupNumber(1));
        let (number, state) = (Some(CallNumber(1)), CallState::Connected);
        let mut call = Call::new(number, party, Direction::Outgoing, Media::Audio, state);
        let id = ParticipantId::try_from(3).expect("in range");
        let name = "grandmother of the green gables".to_owned();
        call.people.push(Participant::new(id, name));
        let lines = group_stats_table(&stats, &call);
        for line in &lines {
            assert!(line.chars().count() <= 54, "{line}");
        }
        let last = lines.last().expect("lines");
        assert_eq!(last, "grandmother no figures yet");
        let all = lines.join("\n");
        assert!(all.contains("1000 ms to the group's server"), "{all}");
    }
}

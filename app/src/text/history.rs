//! The words of conversations: calls, texts, and what is new.

use std::time::Duration;

use hullo_proto::call::Media;
use hullo_signalling::history::{CallOutcome, Direction, Unseen};
use time::OffsetDateTime;

use crate::conversation::WallClock;

pub(crate) const NOBODY_TO_WRITE: &str =
    "No contact to write to yet: {invite} invites somebody, {add} adds a link.";
pub(crate) const NO_TEXT: &str = "Type a message first, then press {confirm}.";
pub(crate) const WRITE_HINT: &str = "{write}  writes a message";
pub(crate) const OLDER: &str = "{page_up} shows older entries.";
pub(crate) const KEPT_OLDER: &str = "Older entries: `hullo history NAME` in a shell.";
pub(crate) const YOU_WROTE: &str = "you";
pub(crate) const WAITS: &str = " (not sent yet)";
/// Characters of a text that the sentence at the bottom repeats.
const SAMPLE_CHARACTERS: usize = 60;

/// A call in words: kind and outcome, whole without colour or mark.
#[must_use]
pub fn call(direction: Direction, media: Media, outcome: &CallOutcome) -> String {
    let kind = if media == Media::Video {
        "ideo call"
    } else {
        "udio call"
    };
    let (small, large) = if media == Media::Video {
        ("v", "V")
    } else {
        ("a", "A")
    };
    let is_incoming = direction == Direction::Incoming;
    let plain = |words: &str| format!("{large}{kind}, {words}");
    match outcome {
        CallOutcome::Ringing => plain("ringing"),
        CallOutcome::Accepted => plain("connecting"),
        CallOutcome::InCall { .. } => plain("in progress"),
        CallOutcome::Missed => format!("Missed {small}{kind}"),
        CallOutcome::Declined if is_incoming => plain("you declined"),
        CallOutcome::Declined => plain("declined"),
        CallOutcome::Busy if is_incoming => {
            format!("Missed {small}{kind}: you were in another call")
        }
        CallOutcome::Busy => plain("busy"),
        CallOutcome::Unanswered => plain("not answered"),
        CallOutcome::Cancelled => plain("you gave up"),
        CallOutcome::AnsweredElsewhere => plain("answered on another device"),
        CallOutcome::Ended { duration, cut_off } => match (duration.as_secs(), *cut_off) {
            (0, true) => plain("cut off at once"),
            (0, false) => plain("ended at once"),
            (_, true) => plain(&format!("cut off after {}", length(*duration))),
            (_, false) => plain(&length(*duration)),
        },
        CallOutcome::Failed { words } => {
            format!("{large}{kind} failed: {}", super::sentence(words))
        }
    }
}

/// `3 min 12 s`, `45 s`, `1 h 2 min`.
#[must_use]
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// The mark before a call: towards us or away from us.
pub(crate) fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "↙",
        Direction::Outgoing => "↗",
    }
}

/// What is new, short enough for the list of contacts; empty for nothing.
#[must_use]
pub fn unseen(unseen: Unseen) -> String {
    match (unseen.texts, unseen.calls) {
        (0, 0) => String::new(),
        (texts, 0) => format!("{texts} new"),
        (0, calls) => format!("{calls} missed"),
        (texts, calls) => format!("{texts} new {calls} missed"),
    }
}

/// The same as a sentence.
pub(crate) fn unseen_sentence(name: &str, texts: u32, calls: u32) -> String {
    let texts = match texts {
        0 => None,
        1 => Some("1 unread message".to_owned()),
        texts => Some(format!("{texts} unread messages")),
    };
    let calls = match calls {
        0 => None,
        1 => Some("1 missed call".to_owned()),
        calls => Some(format!("{calls} missed calls")),
    };
    let what: Vec<String> = [texts, calls].into_iter().flatten().collect();
    format!(
        "{} from {name}: `hullo history {name}` shows them.",
        what.join(" and ")
    )
}

/// A text of somebody whose conversation is not on the screen.
pub(crate) fn text_came(name: &str, words: &str) -> String {
    let sample: String = words.chars().take(SAMPLE_CHARACTERS).collect();
    let more = if sample.len() < words.len() {
        "..."
    } else {
        ""
    };
    format!("{name}: {sample}{more}")
}

fn local(at: Duration, clock: WallClock) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(0) + i64::from(clock.offset_s);
    // Beyond the year 9999 nothing is a date any more.
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `15:04`, in local time.
#[must_use]
pub fn time_of_day(at: Duration, clock: WallClock) -> String {
    let local = local(at, clock);
    format!("{:02}:{:02}", local.hour(), local.minute())
}

/// `Friday 20 November 2026`, in local time.
#[must_use]
pub fn day(at: Duration, clock: WallClock) -> String {
    let local = local(at, clock);
    let (weekday, month) = (local.weekday(), local.month());
    format!("{weekday} {} {month} {}", local.day(), local.year())
}

/// `2026-11-20 15:04`, in local time.
#[must_use]
pub fn date_and_time(at: Duration, clock: WallClock) -> String {
    let local = local(at, clock);
    let (year, month, day) = (local.year(), u8::from(local.month()), local.day());
    format!("{year}-{month:02}-{day:02} {}", time_of_day(at, clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_in_words() {
        let ended = |seconds, cut_off| CallOutcome::Ended {
            duration: Duration::from_secs(seconds),
            cut_off,
        };
        use Direction::{Incoming, Outgoing};
        for (direction, media, outcome, want) in [
            (
                Outgoing,
                Media::Audio,
                ended(192, false),
                "Audio call, 3 min 12 s",
            ),
            (
                Incoming,
                Media::Video,
                CallOutcome::Missed,
                "Missed video call",
            ),
            (
                Incoming,
                Media::Audio,
                CallOutcome::Declined,
                "Audio call, you declined",
            ),
            (
                Outgoing,
                Media::Audio,
                CallOutcome::Declined,
                "Audio call, declined",
            ),
            (
                Outgoing,
                Media::Video,
                ended(3_720, true),
                "Video call, cut off after 1 h 2 min",
            ),
        ] {
            assert_eq!(call(direction, media, &outcome), want);
        }
    }

    #[test]
    fn times_are_local() {
        let clock = WallClock { offset_s: 3_600 };
        let at = Duration::from_secs(1_795_213_500);
        assert_eq!(date_and_time(at, WallClock::default()), "2026-11-20 22:25");
        assert_eq!(
            date_and_time(at + Duration::from_secs(3_600), clock),
            "2026-11-21 00:25"
        );
        assert_eq!(day(at, clock), "Friday 20 November 2026");
        assert_eq!(time_of_day(Duration::MAX, clock), "01:00");
    }

    #[test]
    fn what_is_new_is_counted_in_words() {
        assert_eq!(unseen(Unseen { texts: 3, calls: 1 }), "3 new 1 missed");
        assert_eq!(
            unseen_sentence("bob", 1, 2),
            "1 unread message and 2 missed calls from bob: `hullo history bob` shows them."
        );
    }
}

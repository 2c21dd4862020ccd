//! A report as one sentence: what `--plain` appends, for logs, screen readers and pipes.

use crate::choice;
use crate::event::Unrung;
use crate::report::{EntryReport, PersonFigures, Report, Summary};
use crate::seat::Volume;
use crate::text;

/// The sentence for a report, in one line fit for a terminal; `None` for what only machines want, like each second's
/// figures.
#[must_use]
pub fn sentence(report: &Report) -> Option<String> {
    let words = match report {
        Report::Ready { url, .. } => ready(url.as_deref()),
        // Over several lines, so that selecting one takes it alone; both are of our own making.
        Report::Invite { link, code } => return Some(invite(link, code.as_deref())),
        Report::Words {
            name,
            words: Some(words),
            ..
        } => format!("Compare these words aloud with {name}: {words}"),
        Report::Words { name, safety, .. } => safety_words(name, safety.as_deref()),
        Report::Contact {
            name, lost: true, ..
        } => text::link_needed(name),
        Report::Contact {
            name,
            words_differ: true,
            ..
        } => text::words_differed(name),
        Report::Contact {
            name,
            verified,
            ready,
            blocked,
            ..
        } => contact(name, *verified, *ready, *blocked),
        Report::Finding {
            section,
            what,
            state,
            words,
            remedy,
        } => crate::doctor::sentence(section, what, *state, words, remedy.as_deref()),
        Report::Message { name, text } => format!("{name}: {text}"),
        Report::Entry(entry) => entry_sentence(entry),
        Report::Unseen { name, texts, calls } => text::unseen_sentence(name, *texts, *calls),
        Report::Group { .. } => text::group_words(report),
        Report::GroupLeft { name } => format!("You are no longer in {name}."),
        Report::Name { name, .. } => text::renamed(name),
        Report::DoNotDisturb { on } => text::do_not_disturb(*on).to_owned(),
        Report::Server {
            up: true,
            reason: Some(reason),
        } => text::server_stuck(reason),
        Report::Server { up: true, .. } => "The server answers.".to_owned(),
        Report::Server { up: false, reason } => {
            text::server_down(reason.as_deref().unwrap_or_default())
        }
        Report::Links { until_ms } => text::open_links(until_ms),
        Report::Notice { text } => text::sentence(text),
        Report::Error { text } => format!("hullo: {text}"),
        Report::Sound(figures) => text::test_figures(figures),
        Report::Status(status) => status.text.clone(),
        Report::Summary(figures) => summary(figures),
        of_a_call => call_sentence(of_a_call)?,
    };
    Some(text::shown(&words))
}

/// Somebody calls, or has begun a call in a group: who, and what to answer.
fn incoming(report: &Report) -> String {
    match report {
        Report::Incoming {
            name,
            by: Some(by),
            busy,
            ..
        } => {
            let begun = text::group_call_begun(name, by);
            // Nobody is asked to leave a call by a number.
            if *busy {
                begun
            } else {
                let choices = choice::words(&choice::of_group_call(name));
                format!("{begun} {choices}.")
            }
        }
        Report::Incoming {
            name,
            video,
            verified,
            busy,
            ..
        } => {
            let kind = if *video { "video call" } else { "audio call" };
            let trust = if *verified { "" } else { ", unverified" };
            let choices = choice::words(&choice::of_incoming(*video, *busy));
            format!("Call from {name} ({kind}{trust}): {choices}.")
        }
        _ => String::new(),
    }
}

/// The same for what happens to calls and in them.
fn call_sentence(report: &Report) -> Option<String> {
    Some(match report {
        Report::GroupCall {
            name,
            running,
            people,
            started_at_ms,
        } => {
            let at = std::time::Duration::from_millis(started_at_ms.unwrap_or_default());
            let since = text::time_of_day(at, crate::threads::wall_clock());
            text::group_call_runs(name, running.then_some(since.as_str()), people)
        }
        Report::Incoming { .. } => incoming(report),
        Report::Call {
            state,
            name,
            words,
            duration_ms,
            ..
        } => call(state, name, words.as_deref(), duration_ms.unwrap_or(0)),
        Report::Step { name, step, .. } => text::sentence(&format!("With {name}: {step}")),
        // Who is heard changes every second, and reading it aloud would cover what is said.
        Report::Participant {
            change: "speaking", ..
        } => return None,
        Report::Participant {
            change, name, on, ..
        } => participant(change, name, *on),
        Report::Missed { name, reason } => match *reason {
            "do_not_disturb" => text::missed_because(name, Unrung::DoNotDisturb),
            "too_many" => text::missed_because(name, Unrung::TooMany),
            "no_turn" => text::missed_because(name, Unrung::NoTurn),
            _ => text::missed(name),
        },
        Report::Own {
            hold: true, name, ..
        } => format!("The call with {name} is on hold: nobody hears or sees you."),
        Report::Own { deafened: true, .. } => text::DEAFENED_SENTENCE.to_owned(),
        Report::Own { talking: true, .. } => text::ON_AIR_SENTENCE.to_owned(),
        Report::Own {
            muted,
            camera,
            screen,
            ..
        } => own(*muted, *camera, *screen),
        Report::Volume {
            name,
            percent,
            silenced,
        } => text::volume(
            name,
            Volume {
                percent: *percent,
                is_silenced: *silenced,
            },
        ),
        Report::Media {
            kind,
            direction: "received",
        } => format!("The first {kind} has arrived."),
        Report::Media { kind, .. } => format!("The first {kind} was sent."),
        // Figures of each second, and who is heard right now.
        _ => return None,
    })
}

fn own(is_muted: bool, camera_on: bool, screen_on: bool) -> String {
    let mic = if is_muted {
        "You are muted"
    } else {
        "Your microphone is on"
    };
    let camera = if camera_on {
        "your camera is on"
    } else {
        "your camera is off"
    };
    let screen = if screen_on {
        ", your screen is shown"
    } else {
        ""
    };
    format!("{mic}, {camera}{screen}.")
}

/// `2026-11-20 15:04 bob: hello`; calls between brackets, so that no text can look like one.
fn entry_sentence(entry: &EntryReport) -> String {
    let at = std::time::Duration::from_millis(entry.time_ms);
    let time = text::date_and_time(at, crate::threads::wall_clock());
    let EntryReport { name, words, .. } = entry;
    if let Some(words) = words {
        let who = if entry.direction == "outgoing" {
            format!("you to {name}")
        } else {
            name.clone()
        };
        return format!("{time} {who} [{words}]");
    }
    let said = entry.text.as_deref().unwrap_or_default();
    match entry.state.as_deref() {
        Some("received") => format!("{time} {name}: {said}"),
        Some("waiting") => format!("{time} you to {name}: {said}{}", text::WAITS),
        _ => format!("{time} you to {name}: {said}"),
    }
}

fn safety_words(name: &str, words: Option<&str>) -> String {
    let words = words.unwrap_or_default();
    format!("Words that {name} has too, for ever: {words}")
}

fn ready(url: Option<&str>) -> String {
    url.map_or_else(|| "Ready.".to_owned(), |url| format!("Ready: {url}"))
}

fn invite(link: &str, code: Option<&str>) -> String {
    match code {
        None => format!("Invitation, for one person, works once:\n{link}"),
        Some(code) => format!(
            "Invitation, for one person, works once. Send this link:\n{link}\nor say this code while this program \
             runs, within 10 minutes:\n{code}"
        ),
    }
}

fn contact(name: &str, verified: bool, ready: bool, blocked: bool) -> String {
    match (blocked, ready, verified) {
        (true, _, _) => format!("{name} is a contact, blocked."),
        (false, true, true) => format!("{name} is a contact, verified."),
        (false, true, false) => format!("{name} is a contact, unverified."),
        (false, false, _) => format!("{name} is being added: waiting for the other side."),
    }
}

fn call(state: &str, name: &str, words: Option<&str>, duration_ms: u64) -> String {
    match state {
        "inviting" => format!("Calling {name}."),
        "ringing" => format!("It rings: {name}."),
        "connecting" => format!("Connecting with {name}."),
        "connected" => format!("In call with {name}."),
        "reconnecting" => format!("The connection with {name} went silent, repairing it."),
        "ended" => text::call_ended(
            name,
            words.unwrap_or("over"),
            std::time::Duration::from_millis(duration_ms),
        ),
        other => format!("Call with {name}: {other}."),
    }
}

fn participant(change: &str, name: &str, on: Option<bool>) -> String {
    match (change, on.unwrap_or(true)) {
        ("muted", true) => format!("{name} is muted."),
        ("muted", false) => format!("{name}'s microphone is on."),
        ("camera", true) => format!("{name}'s camera is on."),
        ("camera", false) => format!("{name}'s camera is off."),
        ("hold", true) => format!("{name} has put the call on hold."),
        ("hold", false) => format!("{name} is back from hold."),
        ("joined", _) => format!("{name} joined."),
        ("left", true) => format!("{name} left."),
        ("renamed", _) => format!("Somebody in the call is called {name} here now."),
        ("reconnected", _) => format!("{name} is back on a new connection."),
        ("left", false) => format!("{name} was taken out of the group and left."),
        ("admin", true) => format!("{name} administers the call."),
        ("admin", false) => format!("{name} no longer administers the call."),
        ("screen", true) => format!("{name} shows a screen."),
        ("screen", false) => format!("{name} no longer shows a screen."),
        (other, _) => format!("{name}: {other}."),
    }
}

fn summary(figures: &Summary) -> String {
    let Summary {
        duration_ms,
        audio,
        video,
        undecryptable,
        people,
        ..
    } = figures;
    let mut words = "Summary: ".to_owned();
    // The mirror has neither.
    if *duration_ms > 0 || audio.sent > 0 || audio.received > 0 {
        words.push_str(&format!(
            "{} connected; sound {} frames sent, {} received; ",
            text::clock(*duration_ms),
            audio.sent,
            audio.received,
        ));
    }
    words.push_str(&format!(
        "pictures {} sent, {} decoded, {} freezes",
        video.sent, video.decoded, video.freezes,
    ));
    if !people.is_empty() {
        let heard: Vec<String> = people
            .iter()
            .map(|person| {
                let PersonFigures {
                    name,
                    audio_ms,
                    video_decoded,
                    ..
                } = person;
                let seconds = audio_ms / 1_000;
                format!("{name} {seconds} s of sound and {video_decoded} pictures")
            })
            .collect();
        words.push_str(&format!("; {}", heard.join(", ")));
    }
    if *undecryptable > 0 {
        let frames = text::counted(*undecryptable, "frame");
        words.push_str(&format!("; {frames} did not open"));
    }
    words + "."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stats;

    fn check(report: Report, want: &str) {
        assert_eq!(sentence(&report).as_deref(), Some(want));
    }

    #[test]
    fn every_change_is_one_sentence() {
        check(
            Report::Incoming {
                name: "bob".into(),
                video: true,
                verified: false,
                busy: false,
                by: None,
            },
            "Call from bob (video call, unverified): 1 to accept with your camera, 2 to accept with sound only, \
             3 to reject, 4 to ignore.",
        );
        check(
            Report::Own {
                muted: true,
                camera: false,
                hold: false,
                screen: false,
                deafened: false,
                talking: false,
                name: "bob".into(),
            },
            "You are muted, your camera is off.",
        );
        check(
            Report::Participant {
                participant: None,
                change: "muted",
                name: "bob".into(),
                on: Some(true),
            },
            "bob is muted.",
        );
        check(
            Report::Call {
                state: "ended",
                name: "bob".into(),
                reason: Some("far_hung_up"),
                words: Some("bob hung up".into()),
                duration_ms: Some(192_000),
            },
            "Call with bob ended after 03:12: bob hung up.",
        );
        check(
            Report::Server {
                up: false,
                reason: Some("connection refused.".into()),
            },
            "The server does not answer: connection refused.",
        );
    }

    fn told(report: Report) -> String {
        sentence(&report).unwrap_or_else(|| panic!("no sentence for {report:?}"))
    }

    fn own(deafened: bool, talking: bool, hold: bool) -> Report {
        Report::Own {
            muted: deafened,
            camera: true,
            hold,
            screen: true,
            deafened,
            talking,
            name: "bob".into(),
        }
    }

    /// Everything that can be told of calls.
    fn of_calls() -> Vec<Report> {
        let participant = |change, on| Report::Participant {
            participant: Some(4),
            change,
            name: "bob".into(),
            on,
        };
        let call = |state| Report::Call {
            state,
            name: "hikers".into(),
            reason: None,
            words: None,
            duration_ms: None,
        };
        let volume = |percent, silenced| Report::Volume {
            name: "bob".into(),
            percent,
            silenced,
        };
        let incoming = |by: Option<&str>, busy| Report::Incoming {
            name: "hikers".into(),
            video: false,
            verified: true,
            busy,
            by: by.map(str::to_owned),
        };
        let runs = |running| Report::GroupCall {
            name: "hikers".into(),
            running,
            people: vec!["ann".into()],
            started_at_ms: Some(1_763_651_100_000),
        };
        let mut reports = vec![
            incoming(None, false),
            incoming(None, true),
            incoming(Some("ann"), false),
            incoming(Some("ann"), true),
            runs(true),
            runs(false),
            own(false, false, false),
            own(true, false, false),
            own(false, true, false),
            own(false, false, true),
            volume(50, false),
            volume(100, false),
            volume(0, false),
            volume(75, true),
            participant("joined", None),
            participant("left", None),
            participant("left", Some(false)),
            participant("renamed", Some(true)),
        ];
        for change in ["muted", "camera", "screen", "hold", "admin"] {
            reports.extend([true, false].map(|on| participant(change, Some(on))));
        }
        for state in [
            "inviting",
            "ringing",
            "connecting",
            "connected",
            "reconnecting",
            "ended",
        ] {
            reports.push(call(state));
        }
        for reason in ["unanswered", "do_not_disturb", "too_many", "no_turn"] {
            let name = "bob".into();
            reports.push(Report::Missed { name, reason });
        }
        reports
    }

    /// What a screen reader says of everything that happens in calls: one line, no drawing, an end.
    #[test]
    fn every_event_of_a_call_has_a_sentence_of_its_own() {
        let reports = of_calls();
        let sentences: Vec<String> = reports.into_iter().map(told).collect();
        for (index, words) in sentences.iter().enumerate() {
            assert!(words.ends_with(['.', '?']), "{words}");
            assert!(words.chars().all(|c| !c.is_control()), "{words}");
            let is_drawing = |c| ('\u{2500}'..='\u{259f}').contains(&c);
            assert!(!words.contains(is_drawing), "{words}");
            assert!(!sentences[..index].contains(words), "said twice: {words}");
        }
    }

    #[test]
    fn ears_and_mouth_are_told_in_words() {
        check(own(true, false, false), text::DEAFENED_SENTENCE);
        check(own(false, true, false), text::ON_AIR_SENTENCE);
        check(
            Report::Volume {
                name: "bob".into(),
                percent: 50,
                silenced: false,
            },
            "bob is at 50 % of the loudness sent.",
        );
        let group = Report::Incoming {
            name: "hikers".into(),
            video: false,
            verified: false,
            busy: false,
            by: Some("ann".into()),
        };
        check(
            group,
            "ann has begun a call in hikers: J or `join hikers` joins. 1 to join, 2 to join with your camera.",
        );
    }

    #[test]
    fn a_summary_tells_of_sound_only_where_there_was_a_call() {
        let mut figures = Summary::default();
        figures.video.sent = 75;
        figures.video.decoded = 74;
        let report = |figures: &Summary| Report::Summary(Box::new(figures.clone()));
        check(
            report(&figures),
            "Summary: pictures 75 sent, 74 decoded, 0 freezes.",
        );
        figures.duration_ms = 61_000;
        check(
            report(&figures),
            "Summary: 01:01 connected; sound 0 frames sent, 0 received; pictures 75 sent, 74 decoded, 0 freezes.",
        );
    }

    #[test]
    fn figures_of_each_second_are_not_for_people() {
        assert_eq!(sentence(&Report::Stats(Box::<Stats>::default())), None);
    }

    #[test]
    fn no_name_can_write_a_second_line() {
        check(
            Report::Participant {
                participant: None,
                change: "muted",
                name: "bob\nError: \u{1b}[31m".into(),
                on: Some(true),
            },
            "bob Error:  [31m is muted.",
        );
    }
}

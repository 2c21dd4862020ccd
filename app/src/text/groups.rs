//! What is said of groups.

use super::*;
use crate::event::Feed;
use crate::participant::Participant;

/// A server that is told to stop lets calls run on for a while, and they go on when it is back soon enough.
pub(crate) const SERVER_ENDS: &str =
    "The server is about to stop: the call goes on if it is back within 20 seconds.";

/// A group in one sentence, each member with who vouches for it; empty for any other report.
pub(crate) fn group_words(report: &Report) -> String {
    let Report::Group {
        name,
        joined,
        members,
        trouble,
        ..
    } = report
    else {
        return String::new();
    };
    let listed: Vec<String> = members
        .iter()
        .map(|member| {
            let who = match member.vouched {
                "you" => "you",
                "verified" => "verified",
                "contact" => "contact, unverified",
                "words_differ" => "contact, WORDS DIFFER",
                _ => "vouched for by the group only",
            };
            let creator = if member.creator {
                ", made the group"
            } else {
                ""
            };
            let invited = if member.invited { ", invited" } else { "" };
            format!("{} ({who}{creator}{invited})", member.name)
        })
        .collect();
    let state = if *joined { "" } else { " is being set up" };
    let trouble = trouble
        .as_ref()
        .map(|words| format!(" {}", sentence(words)));
    format!(
        "Group {name}{state}: {}.{}",
        if listed.is_empty() {
            "nobody yet".to_owned()
        } else {
            listed.join("; ")
        },
        trouble.unwrap_or_default()
    )
}

/// The state of a group in the list: how many are in.
pub(crate) fn group_state(group: &GroupLine) -> String {
    match (group.is_joined, group.people()) {
        (false, _) => "being set up".to_owned(),
        (true, 1) => "only you".to_owned(),
        (true, people) => format!("{people} people"),
    }
}

/// We are in a group now.
pub(crate) fn group_joined(group: &GroupLine) -> String {
    let (name, creator, people) = (&group.name, group.creator(), group.people());
    format!(
        "{creator} made you a member of {name}, {people} people. `hullo group leave` leaves it."
    )
}

/// The headline of the groups.
pub(crate) const GROUPS_TITLE: &str = "Groups";

/// Stands for the name of a group that is no longer in the list.
pub(crate) const UNKNOWN_GROUP: &str = "a group";
/// Who is heard right now.
pub(crate) const SPEAKS: &str = "speaks";
/// Names beyond these stand as a number: a sentence must stay one.
const NAMES_MAX: usize = 8;

pub(crate) const NO_SUCH_CALL: &str =
    "No call of a group was announced: choose a group, or `join GROUP`.";
pub(crate) const NOT_A_GROUP_CALL: &str = "Only in the call of a group can your screen be shown.";
pub(crate) const ONE_GROUP_CALL: &str =
    "You can be in the call of one group at a time: {hang_up} leaves the other first.";
pub(crate) const ALONE_HERE: &str = "Nobody else is here yet. Those who join appear here.";
pub(crate) const ENTERING: &str = "Asking the group's server for a place...";

pub(crate) const GROUP_MENU: &str = "A group keeps the name that its creator gave it. In a shell, `hullo group add` and `remove` change who is in it, and `hullo group leave` leaves it.";
pub(crate) const GROUP_TEXT: &str =
    "Groups have calls and no messages: choose a contact to write to.";
pub(crate) const GROUP_WORDS: &str =
    "Words are compared with one person, not with a group: choose a contact.";

pub(crate) fn no_such_group(name: &str) -> String {
    format!("There is no group called {name}: `hullo group list` shows those you are in.")
}

pub(crate) fn group_not_ready(name: &str) -> String {
    format!("{name} is still being set up: its creator has not listed you yet.")
}

/// A member has begun a call just now.
pub(crate) fn group_call_begun(group: &str, by: &str) -> String {
    format!("{by} has begun a call in {group}: J or `join {group}` joins.")
}

/// What runs in a group, and since when, as a time of day.
pub(crate) fn group_call_runs(group: &str, since: Option<&str>, people: &[String]) -> String {
    match (since, people) {
        (None, _) => format!("No call runs in {group} any more."),
        (Some(since), []) => format!("A call runs in {group} since {since}."),
        (Some(since), people) => {
            format!("A call runs in {group} since {since}: {}.", names(people))
        }
    }
}

/// Somebody joined or left.
pub(crate) fn came_or_went(name: &str, change: &str, count: usize) -> String {
    format!("{name} {change}, {count} in the call.")
}

/// `ann, bob and 3 more`.
pub(crate) fn names(people: &[String]) -> String {
    let shown = people.len().min(NAMES_MAX);
    let mut words = people[..shown].join(", ");
    if people.len() > shown {
        words.push_str(&format!(" and {} more", people.len() - shown));
    }
    words
}

/// The state of a group in the list: the call that runs matters more than how many are in the group.
pub(crate) fn group_state_now(model: &Model, group: &GroupLine) -> String {
    let number = GroupNumber(group.number);
    let party = Party::Group(number);
    if let Some(call) = model.live_calls().find(|call| call.party == party) {
        let word = if call.is_held() {
            "on hold"
        } else if call.is_connected() {
            "in call"
        } else {
            "joining"
        };
        return word.to_owned();
    }
    match model.running.get(&number) {
        Some(running) if running.people.is_empty() => "call runs".to_owned(),
        Some(running) => format!("call: {}", running.people.len()),
        None => group_state(group),
    }
}

/// What the screen of a chosen group says.
pub(crate) fn group_lines(model: &Model, group: &GroupLine) -> Vec<String> {
    let mut lines = vec![
        format!("{}  {}", group.name, group_state(group)),
        String::new(),
    ];
    match model.running.get(&GroupNumber(group.number)) {
        Some(running) => {
            let at = Duration::from_millis(running.started_at_ms);
            let since = time_of_day(at, model.clock);
            lines.push(format!("A call runs here since {since}."));
            let places = match running.people_max {
                0 => String::new(),
                most => format!(" ({} of {most} places)", running.people.len()),
            };
            if running.people.is_empty() {
                lines.push("Who is in it, nobody has said yet.".to_owned());
            } else {
                lines.push(format!("In it{places}: {}.", names(&running.people)));
            }
            lines.push("{confirm} joins, {call_video} joins with your camera.".to_owned());
        }
        None if group.is_joined => {
            lines.push(
                "No call runs here. {confirm} begins one, {call_video} with your camera."
                    .to_owned(),
            );
        }
        None => lines.push(group_not_ready(&group.name)),
    }
    lines.push(String::new());
    for member in &group.members {
        let state = match (member.invited, member.vouched) {
            (true, _) => "invited",
            (_, "you") => "you",
            (_, "verified") => "verified",
            (_, "contact") if model.settings.words_differ.contains(&member.id) => WORDS_DIFFER,
            (_, "contact") => "unverified",
            _ => "vouched for by the group only",
        };
        let is_in_it = (model.running.get(&GroupNumber(group.number)))
            .is_some_and(|running| running.people.contains(&member.name));
        let call = if is_in_it { ", in the call" } else { "" };
        lines.push(format!("{}: {state}{call}", member.name));
    }
    lines
}

/// The second line of the call of a group: how many are in it, and who is not to be seen among the pictures.
pub(crate) fn group_call_facts(call: &Call) -> String {
    if call.people.is_empty() {
        return "only you".to_owned();
    }
    let people: Vec<String> = (call.people.iter())
        .map(|person| person.name.clone())
        .collect();
    format!("{} people: you, {}", call.people_count(), names(&people))
}

/// What is to be known of somebody in a call, in words after the name; empty for somebody who only listens, unmuted.
pub(crate) fn person_signs(person: &Participant) -> String {
    let switches = person.switches;
    if person.is_blocked {
        return "blocked".to_owned();
    }
    if switches.on_hold {
        return ON_HOLD.to_owned();
    }
    let mut signs = Vec::new();
    if switches.mic_muted {
        signs.push(MUTED);
    } else if person.is_speaking {
        signs.push(SPEAKS);
    }
    if person.shows_screen {
        signs.push("screen");
    }
    if switches.camera_on {
        signs.push("camera");
    }
    signs.join(", ")
}

/// A line of the list: the name, and the signs if there are any. Somebody who is heard has a mark in front.
pub(crate) fn person_line(person: &Participant) -> String {
    let mark = if person.is_speaking && !person.switches.mic_muted {
        "* "
    } else {
        "  "
    };
    let signs = person_signs(person);
    let gap = if signs.is_empty() { "" } else { "  " };
    format!("{mark}{}{gap}{signs}", shown(&person.name))
}

/// What stands above a picture.
pub(crate) fn tile_label(person: &Participant, feed: Feed) -> String {
    let mark = if person.is_speaking && !person.switches.mic_muted {
        "* "
    } else {
        ""
    };
    let name = shown(&person.name);
    let what = match feed {
        Feed::Camera if person.switches.mic_muted => " MUTED",
        Feed::Camera => "",
        Feed::Screen => ": screen",
    };
    format!("{mark}{name}{what}")
}

/// Stands for lines that found no room.
pub(crate) fn more_lines(count: usize) -> String {
    format!("  and {count} more lines")
}

/// Nothing to join in the chosen group.
pub(crate) fn no_call_runs(group: &str) -> String {
    format!("No call runs in {group}: Enter, or `join {group}`, begins one.")
}

pub(crate) const MUTED_AT_FIRST: &str =
    "Several people are in the call, so you begin muted: m or `unmute` lets them hear you.";
pub(crate) const NO_CAMERA_HERE: &str = "There is no camera here; you send sound only.";
pub(crate) const NO_SCREEN_NAMED: &str =
    "Nothing is shown as your screen: start with `--screen test` or `--screen file:PATH`.";

/// Camera or screen could not be opened.
pub(crate) fn source_failed(feed: Feed, error: &str) -> String {
    match feed {
        Feed::Camera => format!("The camera stays off: {error}."),
        Feed::Screen => format!("The screen is not shown: {error}."),
    }
}

/// The call of a group that is over, or runs, as an entry of the history.
pub(crate) fn past_group_call(
    outcome: &str,
    duration: Duration,
    words: &str,
    people: &[String],
) -> String {
    let with = if people.is_empty() {
        "nobody else came".to_owned()
    } else {
        format!("with {}", names(people))
    };
    match outcome {
        "in_call" => format!("Call of the group, in progress, {with}"),
        "failed" => format!("Call of the group, not joined: {words}"),
        "cut_off" => format!("Call of the group, {}, cut off, {with}", length(duration)),
        _ => format!("Call of the group, {}, {with}", length(duration)),
    }
}

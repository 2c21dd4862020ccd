//! Words about how one sits in a call: loudness, deafness, push-to-talk, focus, and the list of people.

use super::*;
use crate::participant::Participant;
use crate::quality::{self, Grade};
use crate::seat::{Focus, Volume};
use crate::status::vouched;
use crate::talk::{Talk, TalkMode};

/// Nothing is heard, by our wish. Stands where `MUTED` does.
pub(crate) const DEAFENED: &str = "DEAFENED";
/// The microphone is open for a while.
pub(crate) const ON_AIR: &str = "ON AIR";
pub(crate) const NO_ROSTER: &str =
    "The list of people is for calls of groups: here there are two of you.";
pub(crate) const NO_FOCUS: &str = "In a call of two there is one picture: the other's.";
pub(crate) const CHOOSE_SOMEBODY: &str = "Nobody is chosen: {people} opens the list of people, {up} and {down} choose, then {louder} and {softer} change how loud.";
pub(crate) const TALKS_ALREADY: &str =
    "Your microphone is on already: {mute} mutes it, then {talk} talks for as long as you say.";
pub(crate) const NO_TALK_NOW: &str =
    "Nobody hears you now: wait for the connection, or go on with the call ({hold}).";
pub(crate) const NO_TALK_DEAFENED: &str = "You are deafened: {deafen} hears again first.";
pub(crate) const TALK_TIMED_OUT: &str =
    "You are muted again: you have been on the air for long, or the key was let go unseen.";

pub(crate) fn deafened(on: bool, is_muted: bool) -> &'static str {
    match (on, is_muted) {
        (true, _) => "You are deafened: you hear nothing, and you are muted. d ends both.",
        (false, true) => "You hear again. You are still muted.",
        (false, false) => "You hear again, and you are heard.",
    }
}

pub(crate) fn not_in_call(name: &str) -> String {
    format!("Nobody called {name} is in this call: `who` tells who is.")
}

/// How loud somebody is now.
pub(crate) fn volume(name: &str, volume: Volume) -> String {
    match (volume.is_silenced, volume.percent) {
        (true, _) => format!("You no longer hear {name}. Nobody is told."),
        (false, 0) => format!("{name} is at 0 %: you hear nothing of {name}."),
        (false, 100) => format!("{name} is as loud as sent."),
        (false, percent) => format!("{name} is at {percent} % of the loudness sent."),
    }
}

/// Somebody silenced was made louder or softer, and stays silenced.
pub(crate) fn volume_of_silenced(name: &str, volume: Volume) -> String {
    format!(
        "{name} stays silenced; heard again, it is at {} %.",
        volume.percent
    )
}

/// The same of the other in a call of two, after the other facts, where it is not as usual: nobody wonders later why
/// nothing is heard.
pub(crate) fn heard_words(volume: Volume) -> String {
    match (volume.is_silenced, volume.percent) {
        (true, _) | (_, 0) => "; NOT HEARD HERE".to_owned(),
        (false, 100) => String::new(),
        (false, percent) => format!("; volume {percent} %"),
    }
}

/// Whom the large picture shows.
pub(crate) fn focus(call: &Call) -> String {
    let name = (call.seat.focus.on())
        .and_then(|id| call.people.iter().find(|person| person.id == id))
        .map(|person| shown(&person.name));
    match (call.seat.focus, name) {
        (Focus::Pinned(_), Some(name)) => format!("The large picture stays with {name}."),
        (Focus::Speaker(_), Some(name)) => {
            format!("The large picture follows who speaks: {name} now.")
        }
        (Focus::Speaker(_), None) => "The large picture follows who speaks.".to_owned(),
        _ => "All pictures are shown alike.".to_owned(),
    }
}

/// The same after the name, above the picture.
pub(crate) fn focus_sign(focus: Focus) -> &'static str {
    match focus {
        Focus::Pinned(_) => " (pinned)",
        Focus::Speaker(_) => " (who speaks)",
        Focus::Everybody => "",
    }
}

/// `ON AIR 00:12`, and when it ends by itself.
pub(crate) fn on_air(talk: Talk, now_ms: u64) -> String {
    let clock = clock(now_ms.saturating_sub(talk.since_ms));
    let end = match talk.mode {
        TalkMode::Held => "",
        TalkMode::Latched => " Space ends",
        TalkMode::Remote => " ptt off ends",
    };
    format!("{ON_AIR} {clock}{end}")
}

/// Page and pages of the pictures.
pub(crate) fn pages(page: usize, pages: usize) -> String {
    format!("page {} of {pages}", page + 1)
}

/// The list shows these of all.
pub(crate) fn lines_shown(first: usize, last: usize, all: usize) -> String {
    format!("{first}-{last} of {all} shown")
}

/// One word for the sound of somebody.
pub(crate) fn sound_word(person: &Participant) -> &'static str {
    if person.switches.on_hold {
        ON_HOLD
    } else if person.switches.mic_muted {
        MUTED
    } else if person.speaks() {
        SPEAKS
    } else {
        "quiet"
    }
}

/// What is shown of somebody.
pub(crate) fn shows_words(camera: bool, screen: bool) -> &'static str {
    match (camera, screen) {
        (true, true) => "cam+screen",
        (true, false) => "camera",
        (false, true) => "screen",
        (false, false) => "",
    }
}

/// Whether the words were compared with a member, in a word.
pub(crate) fn trust_word(model: &Model, party: Party, name: &str) -> &'static str {
    let is_blocked = |contact: &Contact| contact.name == name && contact.blocked;
    match vouched(model, party, name) {
        Some("verified" | "contact") if model.contacts().iter().any(is_blocked) => "blocked",
        Some("verified") => "verified",
        Some("contact")
            if (model.contacts().iter())
                .any(|contact| contact.name == name && model.do_words_differ(contact)) =>
        {
            "DIFFERENT"
        }
        Some("contact") => "unverified",
        // Nothing but the group's list says whose the keys are.
        _ => "group only",
    }
}

/// What somebody may do that others may not.
pub(crate) fn role_word(model: &Model, party: Party, person: &Participant) -> &'static str {
    let group = match party {
        Party::Group(group) => model.group(group),
        Party::Contact(_) => None,
    };
    let mut members = group.into_iter().flat_map(|group| &group.members);
    if person.is_admin {
        "admin"
    } else if members.any(|member| member.creator && member.name == person.name) {
        "creator"
    } else {
        ""
    }
}

/// How loud somebody is here, where that is not as sent.
pub(crate) fn volume_word(volume: Volume) -> String {
    match volume {
        Volume {
            is_silenced: true, ..
        } => "silenced".to_owned(),
        Volume { percent: 100, .. } => String::new(),
        Volume { percent, .. } => format!("vol {percent}%"),
    }
}

/// The word for a connection.
pub(crate) fn grade_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Fair => "fair",
        Grade::Poor => "poor",
    }
}

/// The same with the figures behind it, short: `fair 3% 80ms`.
pub(crate) fn quality_figures(person: &Participant) -> String {
    let Some(figures) = person.quality.figures() else {
        return String::new();
    };
    let mut words = grade_word(figures.grade).to_owned();
    if let Some(loss) = figures.loss_percent {
        words.push_str(&format!(" {loss:.0}%"));
    }
    if let Some(delay_ms) = figures.delay_ms {
        words.push_str(&format!(" {delay_ms}ms"));
    }
    if figures.undecryptable > 0 {
        words.push_str(&format!(" !{}", figures.undecryptable));
    }
    words
}

/// Our own connection to the group's server, in the same form.
pub(crate) fn own_quality(call: &Call) -> String {
    let Some(stats) = &call.stats else {
        return String::new();
    };
    // A share is within 0..=1.
    let loss = stats.sent.loss.map(|loss| loss as f32 * 100.0);
    let mut words = grade_word(quality::grade(loss, None, 0)).to_owned();
    if let Some(loss) = loss {
        words.push_str(&format!(" {loss:.0}%"));
    }
    if let Some(rtt) = stats.rtt_ms {
        words.push_str(&format!(" {rtt:.0}ms"));
    }
    words
}

/// Everything about somebody in one sentence: below the list, and for `who`.
pub(crate) fn person_sentence(model: &Model, call: &Call, person: &Participant) -> String {
    let mut words = vec![
        match sound_word(person) {
            MUTED => "muted",
            ON_HOLD => "on hold",
            word => word,
        }
        .to_owned(),
    ];
    if person.switches.camera_on {
        words.push("camera on".to_owned());
    }
    if person.shows_screen {
        words.push("shows a screen".to_owned());
    }
    words.push(match trust_word(model, call.party, &person.name) {
        "group only" => "vouched for by the group only".to_owned(),
        "DIFFERENT" => WORDS_DIFFER.to_owned(),
        "blocked" => "blocked: neither heard nor seen here".to_owned(),
        word => word.to_owned(),
    });
    match role_word(model, call.party, person) {
        "admin" => words.push("administers the call".to_owned()),
        "creator" => words.push("made the group".to_owned()),
        _ => {}
    }
    let loudness = call.seat.volume(&person.name);
    if loudness.is_silenced {
        words.push("silenced by you".to_owned());
    } else if loudness.percent != 100 {
        words.push(format!("at {} % of the loudness", loudness.percent));
    }
    if let Some(figures) = person.quality.figures() {
        words.push(format!("connection {}", grade_word(figures.grade)));
        if let Some(loss) = figures.loss_percent {
            words.push(format!("{loss:.0} % lost"));
        }
        if let Some(delay_ms) = figures.delay_ms {
            words.push(format!("{delay_ms} ms delay"));
        }
        if figures.undecryptable > 0 {
            let frames = counted(figures.undecryptable, "frame");
            words.push(format!("{frames} did not open"));
        }
    }
    format!("{}: {}.", shown(&person.name), words.join(", "))
}

/// Ourselves in the same form.
pub(crate) fn own_sentence(call: &Call) -> String {
    let mut words = vec![
        if call.seat.is_deafened() {
            "deafened and muted"
        } else if call.own.mic_muted {
            "muted"
        } else if call.seat.talk.is_some() {
            "on the air"
        } else if call.seat.levels.is_some_and(|levels| levels.mic_gone) {
            super::NO_MIC
        } else {
            "microphone on"
        }
        .to_owned(),
    ];
    if call.own.on_hold {
        words.push("on hold".to_owned());
    }
    if call.own.camera_on {
        words.push("camera on".to_owned());
    }
    if call.own_screen {
        words.push("your screen is shown".to_owned());
    }
    format!("You: {}.", words.join(", "))
}

/// Who is in a call, a sentence for each.
pub(crate) fn who(model: &Model, call: &Call) -> Vec<String> {
    let mut sentences = vec![own_sentence(call)];
    match call.party {
        Party::Contact(_) => {
            let name = model.name_of_party(call.party);
            let facts = call_facts(call, name, trust(model, call.party));
            sentences.push(sentence(&format!("{}: {facts}", shown(name))));
        }
        Party::Group(_) => {
            let people = call.people.iter();
            sentences.extend(people.map(|person| person_sentence(model, call, person)));
        }
    }
    sentences
}

/// Our own sound in a word.
pub(crate) fn own_sound_word(call: &Call) -> &'static str {
    if call.own.on_hold {
        ON_HOLD
    } else if call.seat.talk.is_some() {
        ON_AIR
    } else if call.own.mic_muted {
        MUTED
    } else {
        "mic on"
    }
}

/// Whom the large picture shows, short, for the line that says who is in the call.
pub(crate) fn focus_fact(call: &Call) -> String {
    let name = (call.seat.focus.on())
        .and_then(|id| call.people.iter().find(|person| person.id == id))
        .map(|person| shown(&person.name));
    match (call.seat.focus, name) {
        (Focus::Pinned(_), Some(name)) => format!("{name} pinned"),
        (Focus::Speaker(_), _) => "large: who speaks".to_owned(),
        _ => String::new(),
    }
}

/// In place of a large picture that is not sent.
pub(crate) fn no_picture(person: &Participant) -> String {
    let name = shown(&person.name);
    if person.is_blocked {
        return format!("{name} is blocked: neither heard nor seen here.");
    }
    match sound_word(person) {
        ON_HOLD => format!("{name} has put the call on hold."),
        MUTED => format!("{name} sends no picture and is muted."),
        SPEAKS => format!("{name} speaks, and sends no picture."),
        _ => format!("{name} sends no picture."),
    }
}

/// The same where there is no screen.
pub(crate) const DEAFENED_SENTENCE: &str = "You are deafened: you hear nothing, and you are muted.";
pub(crate) const ON_AIR_SENTENCE: &str = "You are on the air: your microphone is on.";

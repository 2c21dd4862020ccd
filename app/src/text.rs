//! Every visible word of the screen and of `--plain`, in one place.
//!
//! Names come from other people: sentences are cleaned by [`shown`] where they meet a terminal. Keys are written as
//! `{action}` and filled in by [`crate::keymap::Keymap::fill`], because people change them.

mod history;

use std::time::Duration;

mod call;
mod demo;
mod devices;
mod drawing;
mod group_stats;
mod groups;
mod keys;
mod layers;
mod people;
mod seat;
mod server;
mod sound;
mod stats;

pub use call::*;
pub(crate) use demo::*;
pub(crate) use devices::*;
pub(crate) use drawing::*;
pub(crate) use group_stats::{group_stats_table, group_stats_words};
pub(crate) use groups::*;
pub use keys::{help, hint};
pub(crate) use layers::*;
pub(crate) use people::*;
pub(crate) use seat::*;
pub(crate) use server::*;
pub(crate) use sound::*;
pub(crate) use stats::{NO_STATS, STATS_NONE, STATS_TITLE, stats_sentences, words_of};
pub use stats::{stats_table, stats_words};

use crate::event::{CallState, Contact, Direction, GroupNumber, Media, Party};
use crate::groups::GroupLine;
use crate::keymap::{Action, Group};
use crate::model::{Call, Mode, Model, Overlay, Profile, Server};
use crate::report::Report;

pub(crate) use history::{
    KEPT_OLDER, NO_TEXT, NOBODY_TO_WRITE, OLDER, WAITS, WRITE_HINT, YOU_WROTE, arrow, text_came,
    unseen_sentence,
};
pub use history::{call, date_and_time, day, length, time_of_day, unseen};

/// After a stop by Ctrl-Z.
pub const RESUMED: &str = "Back. While hullo was stopped nothing was sent or heard.";

/// Stands for the name of a contact that is no longer in the list.
pub const UNKNOWN_CONTACT: &str = "somebody";
/// Our own microphone is off. The one word that must always be readable.
pub const MUTED: &str = "MUTED";
/// What the other side can learn and how to avoid it. Said at the first call of a profile.
pub const IP_WARNING: &str = "In a direct call the other side can see your IP address. To avoid it, set relay_only = true in config.toml.";
/// Words for an end that the call engine did not report in time.
pub const ENDED_HERE: &str = "you hung up";

pub(crate) const NO_CALL: &str = "No call is running.";
pub(crate) const NO_CALL_VIDEO: &str = "No call is running: {call_video} starts a video call.";
pub(crate) const NOBODY_CALLS: &str = "Nobody is calling.";
pub(crate) const SOUND_ONLY_ALREADY: &str = "This call has sound only: {accept} takes it.";
pub(crate) const ONLY_A_MIRROR: &str = "This is only a mirror: {back} leaves it.";
pub(crate) const MIRROR_FACTS: &str = "Your camera, encoded, encrypted and back. It stays here.";
pub(crate) const MIRROR_SENDS: &str = "nothing is sent";
pub(crate) const PRESS_AGAIN: &str =
    "It has just begun to ring: press {accept} again to take the call.";
pub(crate) const HANG_UP_FIRST: &str = "A call is running: {hang_up} hangs up first.";
pub(crate) const CALL_RUNS: &str =
    "A call is running: {hang_up} hangs up, or {hold} puts it on hold first.";
pub(crate) const INTERRUPT_AGAIN: &str = "A call is running: {interrupt} again ends it and quits.";
pub(crate) const DECLINE_INSTEAD: &str =
    "You have not taken this call: decline it instead ({decline}).";
pub(crate) const NO_SERVER_SET: &str =
    "No server is set: start with `hullo --server URL`, or run your own with `hullo serve`.";
pub(crate) const NO_CONTACT_CHOSEN: &str =
    "No contact to call yet: {invite} invites somebody, {add} adds a link.";
pub(crate) const CLOSE_FIRST: &str = "{close} closes this first.";
pub(crate) const NOTHING_TYPED: &str =
    "Paste the link you were sent, or type the code you were told, then press {confirm}.";
pub(crate) const PASTE_HERE: &str =
    "Pasted text is taken in the field for links only: {add} opens it.";
pub(crate) const LINK_TOO_LONG: &str = "Nothing was pasted: that is too long.";
pub(crate) const TEXT_TOO_LONG: &str = "Nothing was pasted: with it this is longer than one message may be, 7500 bytes. Send it in parts.";
pub(crate) const ADDING: &str = "Adding the contact...";
pub(crate) const COPIED: &str =
    "Sent to the clipboard. If it did not arrive, your terminal forbids it: select the link.";
pub(crate) const NAME_EMPTY: &str = "A name needs at least one letter.";

pub(crate) const CONTACTS_TITLE: &str = "Contacts";
pub(crate) const HELP_ALT: &str = "While typing: Alt with a key of a call.";
pub(crate) const FOLLOWING: &str = "Another terminal has this profile's screen: here it is told line by line, and lines typed here are done there \
     (accept, reject, mute, hangup …). `quit` ends only this one.";
pub(crate) const KEPT: &str = "The message is kept and goes out by itself with the next hullo that can: do not send it again.";
pub(crate) const GAVE_UP: &str = "You hung up before it was answered.";
pub(crate) const TIME_RAN_OUT: &str = "The time ran out before it was answered.";
pub(crate) const STOPPED_BEFORE: &str = "The program was stopped before it was answered.";
pub(crate) const NEVER_SENT: &str = "The call could not be sent: nobody was called.";
pub(crate) const DECLINED_HERE: &str = "You declined.";
pub(crate) const INVITE_TITLE: &str = "Invite somebody";
pub(crate) const INVITE_SAY: &str = "Or say this code, while this program runs, within 10 minutes:";
pub(crate) const INVITE_SCAN: &str = "Or let them scan it:";
pub(crate) const WORDS_TITLE: &str = "Compare words with ";
pub(crate) const WORDS_NOW: &str = "Read these to one another, by telephone or face to face:";
pub(crate) const WORDS_AWAITED: &str = "Waiting for their program, for four words to read aloud...";
pub(crate) const WORDS_SAFETY: &str =
    "Or, at any time, these twelve; they are the same at both sides for ever:";
pub(crate) const WORDS_ASK: &str =
    "{same_words}  the same: verified.   {different_words}  different: somebody stands between.";
pub(crate) const WORDS_QUESTION: &str =
    "Are they the same at the other side? y verifies, n says that they differ.";
pub(crate) const WORDS_DIFFERENT: &str = "Not verified. Different words mean that somebody may stand between you: \
    remove this contact and make it anew by a way you trust.";
pub(crate) const INVITE_MAKING: &str = "Making a link...";
pub(crate) const INVITE_READY: &str = "Send this link to one person, by a way you trust. It works once, for 7 days: whoever has it can become your contact.";
pub(crate) const INVITE_TOO_LONG: &str =
    "This window is too small for the link: enlarge it, or {copy} copies it.";
pub(crate) const HELP_TOO_LONG: &str = "The help needs a larger window.";
pub(crate) const INVITE_COPY: &str =
    "{copy} copies it. `hullo invite` in a shell prints it on one line.";
pub(crate) const ADD_TITLE: &str = "Add a contact";
pub(crate) const ADD_WORDS: &str =
    "Paste the link somebody sent you, or type the code they say, then press {confirm}:";
pub(crate) const LOADING: &str = "Reading contacts...";
pub(crate) const YOU: &str = "you";
pub(crate) const TOO_SMALL: &str = "hullo needs 40x10";
pub(crate) const CAMERA_IS_ON: &str = "camera on";
pub(crate) const SCREEN_IS_SHOWN: &str = "YOUR SCREEN IS SHOWN";
pub(crate) const CAMERA_IS_OFF: &str = "camera off";
pub(crate) const MIC_ON: &str = "microphone on";
pub(crate) const SERVER_RETRIED: &str = "It is tried again and again. A call that runs goes on.";
pub(crate) const SOUND_ONLY: &str = "Sound only: {video} switches your camera on.";
pub(crate) const CLOSE_ENDED: &str = "{close} closes this.";
pub(crate) const CALL_AGAIN: &str =
    "{confirm} calls again, {call_video} with pictures; {close} closes this.";

/// The screen of somebody who has no server yet.
pub(crate) const NO_SERVER: [&str; 6] = [
    "No server is set. Two ways out:",
    "1. Somebody gave you a link: {add} adds it. Or a URL: start once `hullo --server URL`.",
    "2. `hullo serve` on a machine that both of you reach: it prints its URL.",
    "",
    "",
    "Only looking? `hullo demo` needs none.",
];

/// The screen of somebody who has no contacts yet.
pub(crate) const NO_CONTACTS: [&str; 6] = [
    "No contacts yet.",
    "",
    "{invite}  makes a link and a spoken code, for one person",
    "{add}  adds a link or a code of somebody else",
    "",
    "In a shell: `hullo invite`, `hullo add LINK`, and `hullo serve` to run a server.",
];

/// The heading of a group in the help.
#[must_use]
pub fn group(group: Group) -> &'static str {
    match group {
        Group::Call => "In a call",
        Group::Contacts => "Contacts",
        Group::Program => "Hullo",
    }
}

/// `audio call` or `video call`.
#[must_use]
pub fn media(media: Media) -> &'static str {
    match media {
        Media::Audio => "audio call",
        Media::Video => "video call",
    }
}

/// `audio` or `video`.
#[must_use]
pub fn media_word(media: Media) -> &'static str {
    match media {
        Media::Audio => "audio",
        Media::Video => "video",
    }
}

/// Minutes and seconds, with hours once there are any.
#[must_use]
pub fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// Where a call stands, as the headline of its pane.
#[must_use]
pub fn call_state(call: &Call, name: &str, now_ms: u64) -> String {
    let (before, after) = call_state_around(call, now_ms);
    format!("{before}{name}{after}")
}

/// The same as what stands before and after the name, so that the name can be cut to fit.
pub(crate) fn call_state_around(call: &Call, now_ms: u64) -> (&'static str, String) {
    if call.hanging_up_at_ms.is_some() && call.is_live() {
        return ("ending the call with ", String::new());
    }
    let is_group = matches!(call.party, Party::Group(_));
    let clock = || format!(" {}", clock(call.connected_ms(now_ms)));
    match (&call.state, call.direction) {
        (CallState::Inviting, _) => ("calling ", String::new()),
        (CallState::Ringing, Direction::Outgoing) => ("calling ", ": it rings".to_owned()),
        (CallState::Ringing, Direction::Incoming) => ("", " is calling".to_owned()),
        (CallState::Connecting, _) if is_group => ("joining ", String::new()),
        (CallState::Connecting, _) => ("connecting with ", String::new()),
        (CallState::Connected, _) => ("in call with ", clock()),
        (CallState::Reconnecting, _) => ("reconnecting with ", clock()),
        (CallState::Ended { .. }, _) => ("call with ", " ended".to_owned()),
    }
}

/// The headline of the mirror.
pub(crate) fn mirror_state(call: &Call, now_ms: u64) -> String {
    format!("mirror {}", clock(call.connected_ms(now_ms)))
}

/// How a call ended, in one line.
#[must_use]
pub fn call_ended(name: &str, words: &str, duration: Duration) -> String {
    let end = sentence(words);
    if duration.is_zero() {
        format!("Call with {name}: {end}")
    } else {
        format!(
            "Call with {name} ended after {}: {end}",
            clock(duration_ms(duration))
        )
    }
}

/// The second line of a call's pane: what was asked for, whether the contact is verified, what they do not send.
#[must_use]
pub fn call_facts(call: &Call, name: &str, trust: &str) -> String {
    if matches!(call.party, Party::Group(_)) {
        return group_call_facts(call);
    }
    let heard = heard_words(call.seat.volume(name));
    let far = call.far.filter(|_| call.is_connected());
    if far.is_some_and(|far| far.on_hold) {
        return format!("{name} ({trust}): HAS YOU ON HOLD{heard}");
    }
    let is_camera_missed = call.media == Media::Video && far.is_some_and(|far| !far.camera_on);
    let far = match (far.is_some_and(|far| far.mic_muted), is_camera_missed) {
        (true, true) => "MUTED, CAMERA OFF",
        (true, false) => "MUTED",
        (false, true) => "CAMERA OFF",
        (false, false) if call.far_speaks => {
            return format!("{}, {trust}, {SPEAKS}{heard}", media(call.media));
        }
        (false, false) => return format!("{}, {trust}{heard}", media(call.media)),
    };
    format!("{name} ({trust}): {far}{heard}")
}

/// What is waited for before a call connects.
#[must_use]
pub fn waiting(call: &Call) -> &'static str {
    match (&call.state, call.direction) {
        (CallState::Connecting, _) if matches!(call.party, Party::Group(_)) => ENTERING,
        (CallState::Inviting, _) => "Sending the call...",
        (CallState::Ringing, Direction::Outgoing) => {
            "It rings at the other side. {hang_up} gives up."
        }
        (CallState::Ringing, Direction::Incoming) => "Declining...",
        _ => "Making the connection...",
    }
}

/// The lines under the headline of a call that has ended.
pub(crate) fn ended_lines(call: &Call) -> Vec<String> {
    let CallState::Ended {
        words, duration, ..
    } = &call.state
    else {
        return Vec::new();
    };
    let duration = *duration;
    let mut lines = vec![sentence(words)];
    if !duration.is_zero() {
        lines.push(format!("It lasted {}.", clock(duration_ms(duration))));
    }
    let again = match call.gone_group {
        Some(_) => CLOSE_ENDED,
        None => CALL_AGAIN,
    };
    lines.extend([String::new(), again.to_owned()]);
    lines
}

pub(crate) fn picture_awaited(name: &str) -> String {
    format!("Waiting for the picture of {name}...")
}

/// Over a picture after which no other came; `is_paused`: the far side says that its line carries none.
pub(crate) fn picture_still(ms: u64, is_paused: bool) -> String {
    let why = if is_paused {
        ": their line is too thin for pictures"
    } else {
        ""
    };
    format!("PICTURE STANDS STILL for {} s{why}", ms / 1_000)
}

/// The same after the name above a tile.
pub(crate) fn tile_still(ms: u64) -> String {
    format!(" STILL for {} s", ms / 1_000)
}

pub(crate) fn far_camera_off(name: &str) -> String {
    format!("The camera of {name} is off.")
}

/// What can be done about a ringing call, key and words together.
pub(crate) fn incoming_keys(is_busy: bool, media_offered: Media) -> &'static [&'static str] {
    match media_offered {
        _ if is_busy => &[
            "{accept} hold and answer",
            "{end_and_accept} end and answer",
            "{decline} decline",
            "{ignore} ignore",
        ],
        Media::Video => &[
            "{accept} accept with your camera",
            "{accept_sound} accept with sound only",
            "{decline} decline",
            "{ignore} ignore",
        ],
        Media::Audio => &["{accept} accept", "{decline} decline", "{ignore} ignore"],
    }
}

/// Who we are, at the left of the status bar.
pub(crate) fn own_name(profile: &Profile) -> String {
    format!("you are {} {}", profile.name, profile.short_id)
}

/// How many contacts there are.
pub(crate) fn contact_count(count: usize) -> String {
    if count == 1 {
        "1 contact".to_owned()
    } else {
        format!("{count} contacts")
    }
}

/// A contact's state in a word; empty for one that is ready and verified.
#[must_use]
pub fn contact_state(model: &Model, contact: &Contact) -> &'static str {
    let party = Party::Contact(contact.id);
    let call = model
        .live_calls()
        .find(|call| call.party == party && !call.is_declined());
    let mut ringing = model.incoming.iter().chain(&model.waiting);
    if ringing.any(|incoming| incoming.party == party) {
        "calls you"
    } else if let Some(call) = call {
        if call.is_held() {
            "on hold"
        } else if call.is_connected() {
            "in call"
        } else {
            "calling"
        }
    } else if contact.blocked {
        "blocked"
    } else if contact.lost {
        "new link needed"
    } else if !contact.ready {
        "pending"
    } else if model.do_words_differ(contact) {
        WORDS_DIFFER
    } else if !contact.verified {
        "unverified"
    } else {
        ""
    }
}

pub(crate) fn answer_first(name: &str) -> String {
    format!("{name} is calling: {{accept}} takes the call, {{decline}} declines.")
}

pub(crate) fn declined_other(name: &str, awaited: &str) -> String {
    format!("{name} called and was declined: this program waits for {awaited}.")
}

pub(crate) fn new_contact(name: &str) -> String {
    format!("{name} is a contact now.")
}

pub(crate) fn renamed(name: &str) -> String {
    format!("Others see you as {name} now.")
}

/// The first line of the banner of an incoming call.
pub(crate) fn incoming(model: &Model, name: &str, media_offered: Media, trust: &str) -> String {
    let trust = trust_after(trust);
    let kind = media(media_offered);
    if model.taken_call().is_some() {
        format!("{name}{trust} calls too: {kind}")
    } else {
        format!("{name}{trust} is calling: {kind}")
    }
}

/// What the screen of a contact without a call says; how to call only where the keys would do it now.
pub(crate) fn contact_lines(model: &Model, contact: &Contact, is_free: bool) -> Vec<String> {
    let mut lines = vec![
        format!("{}  {}", contact.name, contact.short_id),
        String::new(),
    ];
    if contact.blocked {
        lines.push("Blocked: what it sends is dropped, and it is not told.".to_owned());
        lines.push(
            "In calls of groups you neither hear nor see it; it hears and sees you.".to_owned(),
        );
        lines.push(format!(
            "`hullo contacts --unblock {}` ends that.",
            contact.name
        ));
        lines.push(String::new());
    } else if contact.lost {
        lines.push(
            "Restored from a backup: add a new link of theirs ({add}) to reach them.".to_owned(),
        );
        lines.push(String::new());
    } else if contact.ready {
        if is_free {
            lines.extend([
                "{confirm} calls, {call_video} calls with pictures, {write} writes a message."
                    .to_owned(),
                String::new(),
            ]);
        }
    } else {
        lines.push("Pending: the other side has not answered the invitation yet.".to_owned());
        lines.push(String::new());
    }
    lines.push(if model.do_words_differ(contact) {
        WORDS_DIFFERED.to_owned()
    } else if contact.verified {
        "Verified: you have compared the words.".to_owned()
    } else {
        "Unverified: nobody has compared the words yet ({words}), so this may be somebody else."
            .to_owned()
    });
    lines
}

/// One line about everything, for `status`.
pub(crate) fn status(model: &Model) -> String {
    let call = match &model.call {
        Some(call) if call.is_live() => {
            let name = model.name_of_party(call.party);
            let mic = if call.own.mic_muted {
                "you are muted"
            } else if call.seat.levels.is_some_and(|levels| levels.mic_gone) {
                NO_MIC
            } else {
                "microphone on"
            };
            let camera = if call.own.camera_on {
                "camera on"
            } else {
                "camera off"
            };
            let hold = if call.is_held() { ", on hold" } else { "" };
            let held: String = model
                .held_calls()
                .map(|call| format!(", {} waits on hold", model.name_of_party(call.party)))
                .collect();
            format!(
                "{}, {mic}, {camera}{hold}{held}",
                call_state(call, name, model.now_ms)
            )
        }
        _ => "no call".to_owned(),
    };
    let server = server_words(&model.server);
    let waiting = match &model.mode {
        Mode::AnswerOnce { .. } if model.live_call().is_none() => ", waiting for a call",
        _ => "",
    };
    let quiet = if model.settings.do_not_disturb {
        ", do not disturb"
    } else {
        ""
    };
    let rings = model.incoming.as_ref().map_or_else(String::new, |one| {
        let kind = match one.media {
            Media::Audio => "sound only",
            Media::Video => "video",
        };
        format!(", {} is calling ({kind})", model.name_of_party(one.party))
    });
    format!(
        "{call}{rings}{waiting}, {}, {server}{quiet}",
        contact_count(model.contacts().len())
    )
}

/// So many of what the word says one of: its plural has an s.
#[must_use]
pub(crate) fn counted(count: u64, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

/// How often.
#[must_use]
pub(crate) fn times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

/// A duration's whole milliseconds.
#[must_use]
pub(crate) fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Words with one full stop. The first letter stays: it may be that of a name.
#[must_use]
pub fn sentence(words: &str) -> String {
    let words = words.trim();
    if words.is_empty() || words.ends_with(['.', '?', '!']) {
        words.to_owned()
    } else {
        format!("{words}.")
    }
}

/// Longest text from outside that is shown, in characters: a whole link fits, and laying out a screen stays cheap.
const SHOWN_CHARACTERS_MAX: usize = 4_096;

/// Text fit for a terminal: control characters become blanks, and characters that reorder or hide text are left out,
/// so that nobody's name can clear the screen or read like another's.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN_CHARACTERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_harmless() {
        assert_eq!(
            shown("bob\u{1b}[2J\nalice\u{202e}ecila\u{200b}"),
            "bob [2J aliceecila"
        );
    }

    #[test]
    fn clocks_grow_hours_only_when_needed() {
        assert_eq!(clock(192_999), "03:12");
        assert_eq!(clock(3_600_000), "1:00:00");
    }

    #[test]
    fn sentences_end_once() {
        assert_eq!(sentence("bob hung up."), "bob hung up.");
        assert_eq!(
            sentence("the connection was lost "),
            "the connection was lost."
        );
        assert_eq!(sentence(" "), "");
    }
}

//! Words about several calls, calls that did not ring, and why.

use crate::event::Unrung;

pub(crate) const TOO_MANY_CALLS: &str = "You are in as many calls as there may be: end one first, e ends this one and takes the new one.";
pub(crate) const NOTHING_HELD: &str = "No call waits on hold.";
pub(crate) const ON_HOLD: &str = "ON HOLD";
pub(crate) const ON_HOLD_HERE: &str =
    "You have put this call on hold: nobody hears or sees you. o goes on.";
pub(crate) const DO_NOT_DISTURB: &str = "DO NOT DISTURB";

/// The first words of `hullo demo`.
pub(crate) fn welcome(is_group: bool) -> &'static str {
    if is_group {
        "A call of a group, all on this machine. Press {people} for the people, {focus} for a large picture, {mute} to be heard, {video} for your camera, {help} for all keys, {hang_up} to leave."
    } else {
        "A call with a test card, all on this machine. Press {mute} to mute yourself, {video} for your camera, {stats} for figures, {help} for all keys, {hang_up} to hang up."
    }
}

/// After a stop by Ctrl-Z: who was told that we are on hold.
pub(crate) fn after_a_stop(held: &[String]) -> String {
    let told = match held {
        [] => String::new(),
        names => format!(
            " {} was told that you were on hold, and that you are back.",
            names.join(", ")
        ),
    };
    format!("{}{told}", super::RESUMED)
}

pub(crate) fn missed(name: &str) -> String {
    format!("Missed call from {name}.")
}

/// Why somebody's call did not ring.
pub(crate) fn missed_because(name: &str, why: Unrung) -> String {
    let missed = missed(name);
    match why {
        Unrung::Late => missed,
        Unrung::DoNotDisturb => format!("{missed} You do not want to be disturbed."),
        Unrung::TooMany => format!("{missed} Too many calls rang at once."),
        Unrung::NoTurn => format!("{missed} {NO_TURN}"),
    }
}

/// Only relayed calls are allowed, no relay for them is known yet, and our server may have one.
pub(crate) const ASKING_TURN: &str =
    "relay_only is set: your server is asked for a TURN server first.";

/// `hullo contacts` without any.
pub(crate) const NOBODY_YET: &str =
    "No contacts yet: `hullo invite` makes a link for somebody, `hullo add LINK` takes one.";

/// The server took the invitation, and nothing came back.
pub(crate) fn not_answered(name: &str) -> String {
    format!("The server has it; {name}'s Hullo has not answered yet: it may not run.")
}

/// Only relayed calls are allowed, and no relay for them is known.
pub const NO_TURN: &str = "No call is possible: relay_only is set in config.toml, and no TURN server is, nor does your server give one. Name one under [[turn]], or remove relay_only to call directly, which shows your IP address.";

/// Our line carries no pictures now, only so many bits per second; `None`: it does again.
pub(crate) fn pictures_paused(line_bps: Option<u64>) -> String {
    match line_bps {
        Some(bps) => format!(
            "Your line carries {} kbit/s: your picture is paused, sound goes on.",
            bps / 1_000
        ),
        None => "Your line carries pictures again.".to_owned(),
    }
}

pub(crate) const FAR_PICTURES_PAUSED: &str =
    "The far side's line is too thin for pictures: sound goes on.";

pub(crate) fn ignored(name: &str) -> String {
    format!("The call of {name} rings on without a sound.")
}

pub(crate) fn resumed(name: &str) -> String {
    format!("You are back in the call with {name}, and heard again.")
}

pub(crate) fn in_call_already(name: &str) -> String {
    format!("You are in a call with {name} already.")
}

/// What do-not-disturb now does.
#[must_use]
pub fn do_not_disturb(on: bool) -> &'static str {
    if on {
        "Do not disturb: calls do not ring, they are noted as missed."
    } else {
        "Calls ring again."
    }
}

pub(crate) fn held_beside(name: &str) -> String {
    format!("{name} on hold")
}

pub(crate) fn far_on_hold(name: &str) -> String {
    format!("{name} has put the call on hold.")
}

pub(crate) fn no_such_choice(choices: usize) -> String {
    match choices {
        0 => "Nothing is asked now, so a number chooses nothing.".to_owned(),
        _ => format!("There is no such answer: choose a number from 1 to {choices}."),
    }
}

pub(crate) const ASKED_JUST_NOW: &str = "Somebody has begun to call just now: choose again, so that no number meant for something else takes the call.";

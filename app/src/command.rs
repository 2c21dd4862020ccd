//! The words a script may send: on stdin in `--plain` and `--json`, and through `hullo ctl`. The same as the keys.

use crate::event::{Command, Meanwhile, Media, PersonChange, SoundPart, Switch};
use crate::seat::VOLUME_PERCENT_MAX;

/// Reads one line. Unknown words give an error that lists the known ones.
///
/// # Errors
/// The user's: a sentence to show.
pub fn parse(line: &str) -> Result<Command, String> {
    // The only one that takes a whole sentence.
    if let Some((name, text)) = (line.trim().strip_prefix("send "))
        .and_then(|rest| rest.trim_start().split_once(char::is_whitespace))
    {
        return Ok(Command::Send(name.to_owned(), text.trim().to_owned()));
    }
    if let Some(rest) = line.trim().strip_prefix("volume ") {
        return volume(rest.trim());
    }
    if let Some(command) = about_a_person(line) {
        return Ok(command);
    }
    let mut words = line.split_whitespace();
    let (first, second, rest) = (words.next().unwrap_or(""), words.next(), words.next());
    if rest.is_some() {
        return Err(unknown(line));
    }
    let command = match (first, second) {
        ("mute", None) => Command::Mute(Switch::On),
        ("unmute", None) => Command::Mute(Switch::Off),
        ("toggle", None) => Command::Mute(Switch::Toggle),
        ("video", Some(word)) => Command::Video(switch(word).ok_or_else(|| unknown(line))?),
        ("echo" | "noise" | "gain", Some(word)) => Command::Process(
            sound_part(first).ok_or_else(|| unknown(line))?,
            switch(word).ok_or_else(|| unknown(line))?,
        ),
        ("hold", None) => Command::Hold(Switch::Toggle),
        ("hold", Some(word)) => Command::Hold(switch(word).ok_or_else(|| unknown(line))?),
        ("swap", None) => Command::Swap,
        ("deafen", None) => Command::Deafen(Switch::On),
        ("deafen", Some(word)) => Command::Deafen(switch(word).ok_or_else(|| unknown(line))?),
        ("undeafen", None) => Command::Deafen(Switch::Off),
        ("ptt", Some(word)) => Command::Talk(switch(word).ok_or_else(|| unknown(line))?),
        ("who", None) => Command::Who,
        ("accept", None) => Command::Accept(Media::Audio, Meanwhile::Hold),
        ("accept", Some("video")) => Command::Accept(Media::Video, Meanwhile::Hold),
        ("answer", Some("hold")) => Command::Accept(Media::Audio, Meanwhile::Hold),
        ("answer", Some("end")) => Command::Accept(Media::Audio, Meanwhile::End),
        ("reject", None) => Command::Reject,
        ("ignore", None) => Command::Ignore,
        ("dnd", Some(word)) => Command::DoNotDisturb(switch(word).ok_or_else(|| unknown(line))?),
        ("hangup", None) => Command::HangUp,
        ("status", None) => Command::Status,
        ("quit", None) => Command::Quit,
        ("invite", None) => Command::Invite,
        ("withdraw", None) => Command::Withdraw,
        ("seen", Some(name)) => Command::Seen(name.to_owned()),
        ("screen", Some(word)) => Command::Screen(switch(word).ok_or_else(|| unknown(line))?),
        ("join", None) => Command::JoinRunning,
        ("call", Some(name)) => Command::Call(name.to_owned(), Media::Audio),
        ("videocall", Some(name)) => Command::Call(name.to_owned(), Media::Video),
        (number, None) if number.parse::<usize>().is_ok() => {
            Command::Choose(number.parse().unwrap_or_default())
        }
        _ => return Err(unknown(line)),
    };
    Ok(command)
}

/// `volume NAME PERCENT`: the name may have blanks.
fn volume(rest: &str) -> Result<Command, String> {
    let wrong = || {
        format!(
            "`volume` needs a name and a number from 0 to {VOLUME_PERCENT_MAX}, per cent of what is sent"
        )
    };
    let (name, percent) = rest.rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
    let percent = percent.trim_end_matches('%').parse().map_err(|_| wrong())?;
    if percent > VOLUME_PERCENT_MAX {
        return Err(wrong());
    }
    Ok(Command::Volume(name.trim().to_owned(), percent))
}

/// Commands whose rest is a name or a code, with whatever blanks are in it.
fn about_a_person(line: &str) -> Option<Command> {
    let (first, rest) = line.trim().split_once(char::is_whitespace)?;
    let rest = rest.trim().to_owned();
    let change = match first {
        "add" => return Some(Command::Add(rest)),
        "focus" => return Some(Command::Focus(rest)),
        "join" => return Some(Command::Join(rest, Media::Audio)),
        "videojoin" => return Some(Command::Join(rest, Media::Video)),
        "block" => PersonChange::Block,
        "unblock" => PersonChange::Unblock,
        "words" => PersonChange::CompareWords,
        "same" => PersonChange::WordsMatch,
        "differ" => PersonChange::WordsDiffer,
        "rename" => {
            let (old, new) = rest.split_once(char::is_whitespace)?;
            let change = PersonChange::Rename(new.trim().to_owned());
            return Some(Command::Person(old.to_owned(), change));
        }
        _ => return None,
    };
    Some(Command::Person(rest, change))
}

fn sound_part(word: &str) -> Option<SoundPart> {
    SoundPart::ALL.into_iter().find(|part| part.word() == word)
}

fn switch(word: &str) -> Option<Switch> {
    match word {
        "on" => Some(Switch::On),
        "off" => Some(Switch::Off),
        "toggle" => Some(Switch::Toggle),
        _ => None,
    }
}

fn unknown(line: &str) -> String {
    let shown: String = line.chars().filter(|c| !c.is_control()).take(40).collect();
    format!(
        "`{shown}` is no command; known are mute, unmute, toggle, video on|off|toggle, hold [on|off|toggle], \
         deafen [on|off|toggle], undeafen, ptt on|off, echo|noise|gain on|off|toggle, focus NAME|speaker|off, volume NAME PERCENT, who, swap, accept [video], \
         answer hold|end, reject, ignore, hangup, dnd on|off|toggle, call NAME, videocall NAME, \
         join [GROUP], videojoin GROUP, screen on|off|toggle, send NAME TEXT, \
         seen NAME, invite, withdraw, add LINK|CODE, words NAME, same NAME, differ NAME, rename OLD NEW, block NAME, \
         unblock NAME, status, quit"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_word_is_known() {
        for line in [
            "mute",
            "unmute",
            "toggle",
            "video on",
            "video off",
            "accept",
            "reject",
            "hold",
            "swap",
            "answer hold",
            "answer end",
            "ignore",
            "dnd on",
            "hangup",
            "join",
            "join the long walkers",
            "videojoin hikers",
            "screen on",
            "status",
            " mute  ",
            "send bob how are you?",
            "seen bob",
            "withdraw",
            "ptt on",
            "ptt off",
            "deafen",
            "deafen toggle",
            "undeafen",
            "focus ann of green gables",
            "focus speaker",
            "volume ann of green gables 50",
            "volume bob 0%",
            "who",
            "echo off",
            "noise toggle",
            "gain on",
            "2",
            "add 7314 orbit velvet",
            "rename bob uncle bob",
            "words ann of green gables",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_volume_is_a_name_and_a_percentage_within_reach() {
        let ann = Command::Volume("ann lee".to_owned(), 150);
        assert_eq!(parse("volume ann lee 150"), Ok(ann));
        for line in [
            "volume bob",
            "volume bob loud",
            "volume bob 201",
            "volume bob -1",
            "volume  7",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains("200"), "{error}");
        }
    }

    #[test]
    fn unknown_words_are_answered_with_the_known_ones() {
        for line in [
            "",
            "mute now",
            "video",
            "video maybe",
            "rm -rf",
            "\u{1b}[31m",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains("unmute"), "{error}");
            assert!(!error.contains('\u{1b}'));
        }
    }
}

//! The words a script may send: on stdin in `--plain` and `--json`, and through `hullo ctl`. The same as the keys.

use crate::event::{Command, Meanwhile, Media, PersonChange, SoundPart, Switch};
use crate::seat::VOLUME_PERCENT_MAX;

/// Every word, what follows it, and what it does: what `help` tells. Names with blanks stand in quotes where something
/// follows them.
pub const WORDS: &[(&str, &str, &str)] = &[
    ("mute", "", "your microphone off"),
    ("unmute", "", "your microphone on"),
    ("toggle", "", "your microphone off or on"),
    ("ptt", "on|off|toggle", "talk while muted, until off"),
    ("deafen", "[on|off|toggle]", "hear nothing and be muted"),
    ("undeafen", "", "hear again"),
    ("video", "on|off|toggle", "your camera"),
    (
        "echo",
        "on|off|toggle",
        "take the speaker's sound out of yours",
    ),
    (
        "noise",
        "on|off|toggle",
        "take the room's noise out of yours",
    ),
    ("gain", "on|off|toggle", "quiet voices become louder"),
    (
        "screen",
        "on|off|toggle",
        "show your screen in the call of a group",
    ),
    ("hold", "[on|off|toggle]", "the call waits, or goes on"),
    ("swap", "", "go on with the call on hold"),
    ("call", "NAME", "call a contact"),
    ("videocall", "NAME", "call a contact with pictures"),
    ("join", "[GROUP]", "join or begin the call of a group"),
    ("videojoin", "GROUP", "the same with your camera"),
    ("hangup", "", "end the call"),
    ("accept", "[video]", "take the call that rings; yours waits"),
    ("answer", "hold|end", "take it; yours waits, or ends"),
    ("reject", "", "decline it"),
    ("ignore", "", "let it ring without a sound"),
    ("dnd", "on|off|toggle", "do not disturb: nothing rings"),
    ("who", "", "who is in the call, a sentence each"),
    (
        "focus",
        "NAME|speaker|off",
        "the large picture in the call of a group",
    ),
    (
        "volume",
        "NAME PERCENT",
        "how loud somebody is here, 0 to 200",
    ),
    ("silence", "NAME", "do not hear somebody"),
    ("unsilence", "NAME", "hear somebody again"),
    (
        "figures",
        "",
        "what is wrong with the call, and its figures",
    ),
    ("status", "", "how things stand"),
    ("send", "NAME TEXT", "a text message to a contact"),
    ("seen", "NAME", "nothing of a contact is new any more"),
    ("invite", "", "make a link and a code"),
    ("withdraw", "", "let no open link work any more"),
    ("add", "LINK|CODE", "add a contact"),
    ("name", "NAME", "what others see of you"),
    ("words", "NAME", "words to compare with a contact"),
    ("same", "NAME", "they are the same: verified"),
    ("differ", "NAME", "they are not"),
    ("rename", "OLD NEW", "call a contact something else"),
    ("block", "NAME", "drop what a contact sends"),
    ("unblock", "NAME", "take it again"),
    ("remove", "NAME", "forget a contact"),
    (
        "set",
        "SETTING VALUE",
        "change a setting, as on the settings screen",
    ),
    ("help", "", "these words"),
    ("quit", "", "end the program, and its calls"),
];

/// Reads one line.
///
/// # Errors
/// The user's: a sentence that says what this word needs, or where the known ones are told.
pub fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if rest.is_empty()
        && let Ok(number) = first.parse::<usize>()
    {
        return Ok(Command::Choose(number));
    }
    let read = match rest {
        "" => alone(first),
        rest => of_switch(first, rest).or_else(|| of_name(first, rest)),
    };
    match read {
        Some(command) => Ok(command),
        None if first == "volume" && !rest.is_empty() => Err(format!(
            "`volume` needs a name and a number from 0 to {VOLUME_PERCENT_MAX}, per cent of what is sent."
        )),
        None => Err(unknown(first)),
    }
}

/// A word with nothing behind it.
fn alone(first: &str) -> Option<Command> {
    Some(match first {
        "mute" => Command::Mute(Switch::On),
        "unmute" => Command::Mute(Switch::Off),
        "toggle" => Command::Mute(Switch::Toggle),
        "hold" => Command::Hold(Switch::Toggle),
        "swap" => Command::Swap,
        "deafen" => Command::Deafen(Switch::On),
        "undeafen" => Command::Deafen(Switch::Off),
        "who" => Command::Who,
        "figures" => Command::Figures,
        "accept" => Command::Accept(Media::Audio, Meanwhile::Hold),
        "reject" => Command::Reject,
        "ignore" => Command::Ignore,
        "hangup" => Command::HangUp,
        "status" => Command::Status,
        "help" => Command::Help,
        "quit" => Command::Quit,
        "invite" => Command::Invite,
        "withdraw" => Command::Withdraw,
        "join" => Command::JoinRunning,
        _ => return None,
    })
}

/// A word with one of a few others behind it.
fn of_switch(first: &str, rest: &str) -> Option<Command> {
    match (first, rest) {
        ("accept", "video") => return Some(Command::Accept(Media::Video, Meanwhile::Hold)),
        ("answer", "hold") => return Some(Command::Accept(Media::Audio, Meanwhile::Hold)),
        ("answer", "end") => return Some(Command::Accept(Media::Audio, Meanwhile::End)),
        _ => {}
    }
    let switch = match rest {
        "on" => Switch::On,
        "off" => Switch::Off,
        "toggle" => Switch::Toggle,
        _ => return None,
    };
    Some(match first {
        "video" => Command::Video(switch),
        "hold" => Command::Hold(switch),
        "deafen" => Command::Deafen(switch),
        "ptt" => Command::Talk(switch),
        "dnd" => Command::DoNotDisturb(switch),
        "screen" => Command::Screen(switch),
        "echo" => Command::Process(SoundPart::Echo, switch),
        "noise" => Command::Process(SoundPart::Noise, switch),
        "gain" => Command::Process(SoundPart::Gain, switch),
        _ => return None,
    })
}

/// A word with a name or a code behind it, with whatever blanks are in it.
fn of_name(first: &str, rest: &str) -> Option<Command> {
    let name = || unquoted(rest).to_owned();
    let change = match first {
        "call" => return Some(Command::Call(name(), Media::Audio)),
        "videocall" => return Some(Command::Call(name(), Media::Video)),
        "join" => return Some(Command::Join(name(), Media::Audio)),
        "videojoin" => return Some(Command::Join(name(), Media::Video)),
        "focus" => return Some(Command::Focus(name())),
        "silence" => return Some(Command::Silence(name(), Switch::On)),
        "unsilence" => return Some(Command::Silence(name(), Switch::Off)),
        "seen" => return Some(Command::Seen(name())),
        "add" => return Some(Command::Add(rest.to_owned())),
        "name" => return Some(Command::Name(name())),
        "remove" => return Some(Command::Remove(name())),
        "volume" => return volume(rest),
        "send" => {
            let (name, text) = name_and_rest(rest)?;
            return Some(Command::Send(name.to_owned(), text.to_owned()));
        }
        "set" => {
            let (setting, value) = name_and_rest(rest)?;
            return Some(Command::Set(setting.to_owned(), value.to_owned()));
        }
        "block" => PersonChange::Block,
        "unblock" => PersonChange::Unblock,
        "words" => PersonChange::CompareWords,
        "same" => PersonChange::WordsMatch,
        "differ" => PersonChange::WordsDiffer,
        "rename" => {
            let (old, new) = name_and_rest(rest)?;
            let change = PersonChange::Rename(unquoted(new).to_owned());
            return Some(Command::Person(old.to_owned(), change));
        }
        _ => return None,
    };
    Some(Command::Person(name(), change))
}

/// `volume NAME PERCENT`: the name may have blanks.
fn volume(rest: &str) -> Option<Command> {
    let (name, percent) = rest.rsplit_once(char::is_whitespace)?;
    let percent = percent.trim_end_matches('%').parse().ok()?;
    if percent > VOLUME_PERCENT_MAX {
        return None;
    }
    Some(Command::Volume(unquoted(name.trim()).to_owned(), percent))
}

/// A name, up to the first blank or in quotes, and what follows it; `None` where nothing does.
fn name_and_rest(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_once(char::is_whitespace)?,
    };
    let rest = rest.trim();
    (!name.is_empty() && !rest.is_empty()).then_some((name, rest))
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text)
}

/// The arguments of `hullo ctl` as a line: a name with blanks stands in quotes where something follows it.
#[must_use]
pub fn line(arguments: &[String]) -> String {
    let words = arguments.iter().enumerate();
    let words = words.map(|(at, word)| {
        let is_followed = at == 1 && arguments.len() > 2;
        if is_followed && word.contains(char::is_whitespace) {
            format!("\"{word}\"")
        } else {
            word.clone()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The known words, a line each.
#[must_use]
pub fn help() -> Vec<String> {
    let lines = WORDS.iter().map(|(word, follows, does)| {
        let gap = if follows.is_empty() { "" } else { " " };
        format!("{:<26}{does}", format!("{word}{gap}{follows}"))
    });
    lines.collect()
}

/// What a word needs, where it is one; else where the known ones are told.
fn unknown(first: &str) -> String {
    if let Some((word, follows, _)) = WORDS.iter().find(|(word, ..)| *word == first) {
        return match *follows {
            "" => format!("`{word}` stands alone."),
            follows => format!("`{word}` is written `{word} {follows}`."),
        };
    }
    /// Letters that a mistyped word shares with what was meant.
    const ALIKE: usize = 3;
    let shown: String = first.chars().filter(|c| !c.is_control()).take(40).collect();
    let begun: String = first.chars().take(ALIKE).collect();
    let mut alike = WORDS.iter().map(|(word, ..)| *word);
    let meant = alike.find(|word| begun.chars().count() == ALIKE && word.starts_with(&begun));
    let meant = meant.map_or_else(String::new, |word| format!(" Is it `{word}`?"));
    format!("`{shown}` is no command.{meant} `help` lists them all.")
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
            "2",
            "add 7314 orbit velvet",
            "rename bob uncle bob",
            "words ann of green gables",
            "call ann of green gables",
            "silence ann of green gables",
            "figures",
            "remove bob",
            "set theme dark",
            "help",
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
    fn every_word_of_the_help_is_read_with_what_it_says_follows() {
        for (word, follows, _) in WORDS {
            let needs = match *follows {
                "" => "".to_owned(),
                "NAME PERCENT" => "bob 50".to_owned(),
                "[GROUP]" => "".to_owned(),
                other if other.starts_with('[') => "".to_owned(),
                other => other.split('|').next().unwrap_or_default().to_owned(),
            };
            let line = format!("{word} {needs}");
            assert!(parse(&line).is_ok(), "{line}");
        }
        assert!(help().iter().all(|line| line.chars().count() < 80));
    }

    #[test]
    fn names_with_blanks_stand_in_quotes_where_something_follows() {
        let renamed = Command::Person(
            "uncle bob".to_owned(),
            PersonChange::Rename("bob the great".to_owned()),
        );
        assert_eq!(
            parse("rename \"uncle bob\" bob the great"),
            Ok(renamed.clone())
        );
        let words = ["rename", "uncle bob", "bob the great"].map(str::to_owned);
        assert_eq!(parse(&line(&words)), Ok(renamed));
        let said = parse("send bob he said \"hi\"");
        let expected = Command::Send("bob".to_owned(), "he said \"hi\"".to_owned());
        assert_eq!(said, Ok(expected));
        let sent = parse(&line(&["send", "uncle bob", "hi"].map(str::to_owned)));
        assert_eq!(
            sent,
            Ok(Command::Send("uncle bob".to_owned(), "hi".to_owned()))
        );
    }

    #[test]
    fn what_is_wrong_is_said_shortly_with_what_to_write() {
        for (line, words) in [
            ("", "`help` lists"),
            ("mute now", "`mute` stands alone"),
            ("video", "`video on|off|toggle`"),
            ("video maybe", "`video on|off|toggle`"),
            ("rename bob", "`rename OLD NEW`"),
            ("hangapp", "Is it `hangup`?"),
            ("rm -rf", "`help` lists"),
            ("\u{1b}[31m", "`help` lists"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
            assert!(!error.contains('\u{1b}') && error.len() < 160, "{error}");
        }
    }
}

//! Questions that are answered by a number where there is no screen: what stands to choose from now.

use crate::event::{Command, Meanwhile, Media};
use crate::model::Model;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it does, in words that follow its number.
    pub words: &'static str,
    /// The same as a command.
    pub command: Command,
}

fn choice(words: &'static str, command: Command) -> Choice {
    Choice { words, command }
}

/// The answers to the question that is open; none where there is none. Whoever rings is asked about before anything else.
#[must_use]
pub fn now(model: &Model) -> Vec<Choice> {
    if let Some(incoming) = &model.incoming {
        return of_incoming(incoming.media == Media::Video, model.taken_call().is_some());
    }
    match model.call_news {
        Some(group) if model.taken_call().is_none() => {
            of_group_call(model.name_of_party(crate::event::Party::Group(group)))
        }
        _ => Vec::new(),
    }
}

/// The answers to somebody who calls.
#[must_use]
pub fn of_incoming(video: bool, is_busy: bool) -> Vec<Choice> {
    let take = |media, meanwhile| Command::Accept(media, meanwhile);
    let mut choices = match (is_busy, video) {
        (true, _) => vec![
            choice(
                "to hold your call and answer",
                take(Media::Audio, Meanwhile::Hold),
            ),
            choice(
                "to end your call and answer",
                take(Media::Audio, Meanwhile::End),
            ),
        ],
        (false, true) => vec![
            choice(
                "to accept with your camera",
                take(Media::Video, Meanwhile::Hold),
            ),
            choice(
                "to accept with sound only",
                take(Media::Audio, Meanwhile::Hold),
            ),
        ],
        (false, false) => vec![choice("to accept", take(Media::Audio, Meanwhile::Hold))],
    };
    choices.extend([
        choice("to reject", Command::Reject),
        choice("to ignore", Command::Ignore),
    ]);
    choices
}

/// The answers to a call that has begun in the group of this name.
#[must_use]
pub fn of_group_call(group: &str) -> Vec<Choice> {
    vec![
        choice("to join", Command::Join(group.to_owned(), Media::Audio)),
        choice(
            "to join with your camera",
            Command::Join(group.to_owned(), Media::Video),
        ),
    ]
}

/// `1 to accept, 2 to reject`.
#[must_use]
pub fn words(choices: &[Choice]) -> String {
    let numbered = choices.iter().zip(1..);
    let words: Vec<String> = numbered
        .map(|(choice, number)| format!("{number} {}", choice.words))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_aloud_is_what_the_number_does() {
        let video = of_incoming(true, false);
        assert_eq!(
            words(&video),
            "1 to accept with your camera, 2 to accept with sound only, 3 to reject, 4 to ignore"
        );
        assert_eq!(
            video[1].command,
            Command::Accept(Media::Audio, Meanwhile::Hold)
        );
        let busy = of_incoming(false, true);
        assert_eq!(
            busy[1].command,
            Command::Accept(Media::Audio, Meanwhile::End)
        );
        assert_eq!(busy[2].command, Command::Reject);
        let audio = of_incoming(false, false);
        assert_eq!(words(&audio), "1 to accept, 2 to reject, 3 to ignore");
    }
}

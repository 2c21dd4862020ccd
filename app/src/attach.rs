//! A second `hullo --plain` or `--json` on a profile that runs already: it follows the program that owns the profile.
//!
//! What the owner tells is told here too, and lines from stdin are done there: a call answered at one of the two stops
//! ringing at both, because there is one program that has calls. Sound and pictures stay with the owner. Either side
//! may end at any time.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::{Value, json};

use crate::command;
use crate::event::Command;
use crate::front::Front;
use crate::profile::control::{self, Responder};
use crate::program::Failure;
use crate::report::Report;

/// Programs that follow one owner: a person has a few terminals, and each costs the owner a queue.
pub const FOLLOWERS_MAX: usize = 4;
/// Lines on their way to stdout; whoever is slower is left behind by the owner.
const LINES_MAX: usize = 256;
/// The owner answers a command at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait without `--seconds`: a year, as the longest `--seconds`.
const SECONDS_MAX: Duration = Duration::from_secs(31_536_000);

/// Those who follow a program.
#[derive(Default)]
pub struct Followers(Vec<Responder>);

impl Followers {
    /// One more; false: there are enough.
    pub fn add(&mut self, follower: Responder) -> bool {
        let has_room = self.0.len() < FOLLOWERS_MAX;
        if has_room {
            self.0.push(follower);
        }
        has_room
    }

    /// Tells all of them; whoever is gone or does not read is forgotten.
    pub fn tell(&mut self, at_ms: u64, report: &Report) {
        if self.0.is_empty() {
            return;
        }
        let line = line(at_ms, report);
        self.0.retain(|follower| follower.send(&line));
    }
}

/// A report as it travels: for scripts, and in words for people.
pub fn line(at_ms: u64, report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut value {
        members.insert("at_ms".to_owned(), at_ms.into());
    }
    json!({ "report": value, "words": crate::plain::sentence(report) })
}

enum Line {
    Told(Value),
    Typed(String),
    OwnerEnded,
}

/// Follows the owner of the profile in `folder` until one of the two ends, or for `seconds`. `in_words`: sentences
/// instead of JSON.
///
/// # Errors
/// Nobody owns the profile any more, or its owner cannot be asked.
pub fn run(
    folder: &Path,
    in_words: bool,
    seconds: Option<Duration>,
    front: &mut dyn Front,
) -> Result<u8, Failure> {
    let ends_at = Instant::now() + seconds.unwrap_or(SECONDS_MAX);
    let answers = control::request(folder, &json!({ "command": "attach" }), None)?;
    let (sender, lines) = bounded(LINES_MAX);
    let told = sender.clone();
    crate::threads::detach("owner", move || {
        for answer in answers.map_while(Result::ok) {
            if told.send(Line::Told(answer)).is_err() {
                return;
            }
        }
        // Without a reader nobody wants to know.
        let _ = told.send(Line::OwnerEnded);
    });
    read_lines(sender);
    follow(folder.to_owned(), in_words, ends_at, &lines, front)
}

fn read_lines(sender: Sender<Line>) {
    crate::threads::detach("stdin", move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && sender.send(Line::Typed(line)).is_err() {
                return;
            }
        }
    });
}

fn follow(
    folder: PathBuf,
    in_words: bool,
    ends_at: Instant,
    lines: &Receiver<Line>,
    front: &mut dyn Front,
) -> Result<u8, Failure> {
    let nobody_reads = |_| Failure::other("Nobody reads the output.");
    loop {
        let told = match lines.recv_deadline(ends_at) {
            Ok(Line::Told(told)) => told,
            Ok(Line::Typed(typed)) => match typed_command(&folder, typed.trim()) {
                Ok(true) => continue,
                Ok(false) => return Ok(0),
                Err(text) => {
                    front
                        .report(0, &Report::Error { text })
                        .map_err(nobody_reads)?;
                    continue;
                }
            },
            Ok(Line::OwnerEnded) => {
                let text = "The program that owned the profile has ended.".to_owned();
                let told = front.report(0, &Report::Notice { text });
                return told.map(|()| 0).map_err(nobody_reads);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(0),
        };
        let told = match told["words"].as_str() {
            Some(words) if in_words => {
                let text = words.to_owned();
                front.report(0, &Report::Notice { text })
            }
            // An answer in words alone: there are enough followers.
            _ if told["report"].is_null() => front.value(&told, None),
            _ if in_words => Ok(()),
            _ => front.value(&told["report"], None),
        };
        told.map_err(nobody_reads)?;
    }
}

/// Has the owner do it; false for `quit`, which ends only this program.
fn typed_command(folder: &Path, line: &str) -> Result<bool, String> {
    if command::parse(line)? == Command::Quit {
        return Ok(false);
    }
    let request = json!({ "command": "ctl", "line": line });
    // What comes of it is told to all who follow.
    control::request(folder, &request, Some(PATIENCE))
        .map(|answers| answers.for_each(drop))
        .map_err(|error| crate::people::sentence(&error.to_string()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_scripts_and_for_people() {
        let report = Report::DoNotDisturb { on: false };
        let line = line(7, &report);
        assert_eq!(line["report"]["event"], "do_not_disturb");
        assert_eq!(line["report"]["at_ms"], 7);
        assert_eq!(line["words"], "Calls ring again.");
    }
}

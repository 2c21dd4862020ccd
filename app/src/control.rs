//! What other processes of the same user ask of the one that owns the profile.
//!
//! The request's `command` is `ctl` (with a `line` as on stdin), `attach` (answered for as long as both run),
//! `contacts`, `name` (with a `name` to set one), `invite`, `add` (with a `link`), `send` (with `name` and `text`),
//! `history` (with a `name` and a `limit` if wanted, and `seen` when a person reads it), `group` (with a `group` as
//! [`GroupErrand`] is written), or with the `name` of a contact `remove`, `rename` (and `to`), `block`, `unblock`, `words`,
//! `same` and `differ`. The answers are the same JSON lines as with `--json`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::event::PersonChange;
use crate::groups::GroupErrand;
use crate::profile::control::{ControlRequest, Responder};
use crate::program::Failure;
use crate::report::Report;

/// Somebody who waits for something that takes time gets its answer or an error until then.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests that wait at the same time.
const WAITING_MAX: usize = 32;

/// What a request is about, once it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A line as on stdin.
    Line(String),
    /// To be told everything from now on.
    Attach,
    /// Everybody.
    Contacts,
    /// Our name, or a new one.
    Name(Option<String>),
    /// A link.
    Invite,
    /// The links that are out.
    Links,
    /// That none of them works any more.
    Withdraw,
    /// To redeem one.
    Add(String),
    /// To forget the contact of this name.
    Remove(String),
    /// To send a text.
    Send {
        /// To whom.
        name: String,
        /// The words.
        text: String,
    },
    /// Entries of conversations.
    History {
        /// Of this contact only.
        name: Option<String>,
        /// At most so many.
        limit: usize,
        /// They count as seen then.
        marks_seen: bool,
    },
    /// About groups.
    Group(GroupErrand),
    /// To change something about the contact of this name.
    Person(String, PersonChange),
}

/// Reads a request.
///
/// # Errors
/// The asker's: words that say what is known.
pub fn parse(request: &ControlRequest) -> Result<Ask, String> {
    let text = |member: &str| {
        request
            .body
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let needed = |member: &str| {
        text(member).ok_or_else(|| format!("`{}` needs a `{member}`", request.command))
    };
    Ok(match request.command.as_str() {
        "ctl" => Ask::Line(needed("line")?),
        "attach" => Ask::Attach,
        "contacts" => Ask::Contacts,
        "name" => Ask::Name(text("name")),
        "invite" => Ask::Invite,
        "links" => Ask::Links,
        "withdraw" => Ask::Withdraw,
        "add" => Ask::Add(needed("link")?),
        "remove" => Ask::Remove(needed("name")?),
        "send" => Ask::Send {
            name: needed("name")?,
            text: needed("text")?,
        },
        "history" => Ask::History {
            name: text("name"),
            limit: usize::try_from(request.body["limit"].as_u64().unwrap_or(50)).unwrap_or(50),
            marks_seen: request.body["seen"].as_bool().unwrap_or(false),
        },
        "group" => {
            let errand = request.body.get("group").cloned().unwrap_or_default();
            let errand = serde_json::from_value(errand);
            Ask::Group(
                errand.map_err(|_| "`group` needs a `group`: new, add, remove, leave, list")?,
            )
        }
        "rename" => Ask::Person(needed("name")?, PersonChange::Rename(needed("to")?)),
        "block" => Ask::Person(needed("name")?, PersonChange::Block),
        "unblock" => Ask::Person(needed("name")?, PersonChange::Unblock),
        "words" => Ask::Person(needed("name")?, PersonChange::CompareWords),
        "same" => Ask::Person(needed("name")?, PersonChange::WordsMatch),
        "differ" => Ask::Person(needed("name")?, PersonChange::WordsDiffer),
        other => {
            let shown: String = other.chars().filter(|c| !c.is_control()).take(20).collect();
            return Err(format!(
                "`{shown}` is no request; known are attach, ctl, contacts, name, invite, add, remove, send, \
                 history, group, rename, block, unblock, words, same, differ"
            ));
        }
    })
}

/// Those who wait for a report.
#[derive(Default)]
pub struct Waiting(Vec<Waiter>);

struct Waiter {
    responder: Responder,
    wants: fn(&Report) -> bool,
    until: Instant,
    /// What is said when it took too long and that is no failure.
    late: Option<Report>,
}

impl Waiting {
    /// Remembers who wants the first report that fits.
    pub fn add(&mut self, now: Instant, responder: Responder, wants: fn(&Report) -> bool) {
        self.add_or(now, responder, wants, None);
    }

    /// The same, with what to say instead when it takes too long.
    pub fn add_or(
        &mut self,
        now: Instant,
        responder: Responder,
        wants: fn(&Report) -> bool,
        late: Option<Report>,
    ) {
        if self.0.len() < WAITING_MAX {
            self.0.push(Waiter {
                responder,
                wants,
                until: now + PATIENCE,
                late,
            });
        } else {
            say(&responder, "too many requests wait already, try again");
        }
    }

    /// Passes a report on to all that waited for it.
    pub fn take(&mut self, report: &Report) {
        self.0.retain(|waiter| {
            let fits = (waiter.wants)(report) || matches!(report, Report::Error { .. });
            if fits {
                send(&waiter.responder, report);
            }
            !fits
        });
    }

    /// Tells those who waited too long.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|waiter| {
            let late = waiter.until <= now;
            match &waiter.late {
                _ if !late => {}
                Some(report) => send(&waiter.responder, report),
                None => say(
                    &waiter.responder,
                    "it took too long: is the server reachable?",
                ),
            }
            !late
        });
    }
}

/// The member of an answer that has it in words, for people; it is no part of the report.
const SENTENCE: &str = "sentence";

/// Sends a report as an answer.
pub fn send(responder: &Responder, report: &Report) {
    let mut value = serde_json::to_value(report).unwrap_or(Value::Null);
    if let (Value::Object(members), Some(words)) = (&mut value, crate::plain::sentence(report)) {
        members.insert(SENTENCE.to_owned(), words.into());
    }
    // Whoever asked may be gone.
    let _ = responder.send(&value);
}

/// The same with the time since the program's start, as whoever reads its lines has it.
pub fn send_at(responder: &Responder, at_ms: u64, report: &Report) {
    let mut value = serde_json::to_value(report).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut value {
        members.insert("at_ms".to_owned(), at_ms.into());
        if let Some(words) = crate::plain::sentence(report) {
            members.insert(SENTENCE.to_owned(), words.into());
        }
    }
    // Whoever asked may be gone.
    let _ = responder.send(&value);
}

/// Takes an answer apart: the report as JSON, and its words where it has some.
pub fn read(mut answer: Value) -> (Value, Option<String>) {
    let words = answer
        .as_object_mut()
        .and_then(|members| members.remove(SENTENCE));
    let words = words.and_then(|words| words.as_str().map(str::to_owned));
    (answer, words)
}

/// Sends an error as an answer.
pub fn say(responder: &Responder, words: &str) {
    let _ = responder.send(&json!({ "event": "error", "text": words }));
}

/// The same, with the exit status that the asker would have ended with by itself.
pub fn refuse(responder: &Responder, failure: &Failure) {
    let (text, status) = (&failure.words, failure.status);
    let _ = responder.send(&json!({ "event": "error", "text": text, "status": status }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: Value) -> ControlRequest {
        ControlRequest {
            command: body["command"].as_str().unwrap_or("").to_owned(),
            body,
        }
    }

    #[test]
    fn requests_are_read_and_wrong_ones_answered_in_words() {
        assert_eq!(
            parse(&request(json!({"command": "ctl", "line": "mute"}))),
            Ok(Ask::Line("mute".to_owned()))
        );
        assert_eq!(
            parse(&request(json!({"command": "name"}))),
            Ok(Ask::Name(None))
        );
        assert!(
            parse(&request(json!({"command": "add"}))).is_err_and(|words| words.contains("link"))
        );
        assert!(
            parse(&request(json!({"command": "\u{1b}[2J"})))
                .is_err_and(|words| !words.contains('\u{1b}'))
        );
    }
}

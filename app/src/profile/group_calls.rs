//! `group_calls.json` in the profile folder: the calls of groups one was in. Calls with contacts stand in the store.
//!
//! An entry is written when its call connects, looked after while it runs, and never changed after its end. A program that
//! is killed leaves it open: the next one closes it with the length it had.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::report::EntryReport;
use crate::text;

/// Entries kept, the newest: a call every day for a year and more.
const ENTRIES_MAX: usize = 500;
/// Names kept of one call: a group has no more members.
const PEOPLE_MAX: usize = 32;
/// A larger file is not ours: all entries with all names.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Seconds of a running call from one writing to the next: what a program that is killed loses of its length.
const WRITE_EVERY_S: u32 = 30;

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    id: u64,
    group: String,
    /// Since 1970.
    time_ms: u64,
    video: bool,
    /// `in_call ended cut_off failed`.
    outcome: String,
    duration_ms: u64,
    words: String,
    people: Vec<String>,
}

/// Why the calls of groups are not read.
#[derive(Debug, Error)]
pub enum GroupCallsError {
    /// The system's failure.
    #[error("{} cannot be read: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// Not what this program writes there.
    #[error("{} cannot be understood: move it away to have a history of groups' calls again", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
}

/// The calls of groups, and the one that runs.
pub struct GroupCalls {
    path: PathBuf,
    entries: Vec<Entry>,
    running: Option<Entry>,
    seconds: u32,
}

impl GroupCalls {
    /// Those of the profile in this folder. What was left open is closed, in the file too with the next writing.
    ///
    /// # Errors
    /// [`GroupCallsError`]; the file stays as it is.
    pub fn of_profile(folder: &Path) -> Result<Self, GroupCallsError> {
        let path = folder.join("group_calls.json");
        let mut text = String::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        let mut entries: Vec<Entry> = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(reason) => return Err(GroupCallsError::Read { path, reason }),
            Ok(_) => serde_json::from_str(&text)
                .map_err(|_| GroupCallsError::Form { path: path.clone() })?,
        };
        for entry in entries
            .iter_mut()
            .filter(|entry| entry.outcome == "in_call")
        {
            entry.outcome = "cut_off".to_owned();
        }
        Ok(Self {
            path,
            entries,
            running: None,
            seconds: 0,
        })
    }

    /// A call of this group is gone for; `at` since 1970.
    pub fn begin(&mut self, group: &str, video: bool, at: Duration) {
        self.seconds = 0;
        self.running = Some(Entry {
            id: self.entries.last().map_or(0, |entry| entry.id) + 1,
            group: group.to_owned(),
            time_ms: text::duration_ms(at),
            video,
            ..Entry::default()
        });
    }

    /// We are in it.
    ///
    /// # Errors
    /// The machine's: no space, no permission.
    pub fn connected(&mut self) -> io::Result<()> {
        match &mut self.running {
            // Once: a repaired connection is no new call.
            Some(entry) if entry.outcome.is_empty() => {
                entry.outcome = "in_call".to_owned();
                self.write()
            }
            _ => Ok(()),
        }
    }

    /// Somebody was in it too.
    pub fn met(&mut self, name: &str) {
        if let Some(entry) = &mut self.running
            && entry.people.len() < PEOPLE_MAX
            && !entry.people.iter().any(|known| known == name)
        {
            entry.people.push(name.to_owned());
        }
    }

    /// A second of it passed.
    ///
    /// # Errors
    /// As [`Self::connected`].
    pub fn second(&mut self) -> io::Result<()> {
        let Some(entry) = self
            .running
            .as_mut()
            .filter(|entry| entry.outcome == "in_call")
        else {
            return Ok(());
        };
        entry.duration_ms += 1_000;
        self.seconds += 1;
        if self.seconds.is_multiple_of(WRITE_EVERY_S) {
            self.write()
        } else {
            Ok(())
        }
    }

    /// It is over: `reason` is the word of the reports.
    ///
    /// # Errors
    /// As [`Self::connected`].
    pub fn end(&mut self, reason: &str, words: &str, duration: Duration) -> io::Result<()> {
        let Some(mut entry) = self.running.take() else {
            return Ok(());
        };
        let was_connected = entry.outcome == "in_call";
        if !was_connected && reason == "left" {
            // The user thought again: nothing was.
            return Ok(());
        }
        let outcome = match (was_connected, reason) {
            (true, "lost") => "cut_off",
            (true, _) => "ended",
            (false, _) => "failed",
        };
        entry.outcome = outcome.to_owned();
        entry.duration_ms = text::duration_ms(duration);
        words.clone_into(&mut entry.words);
        self.entries.push(entry);
        self.write()
    }

    /// Those of this group, or of all, as they are told.
    #[must_use]
    pub fn reports(&self, group: Option<&str>) -> Vec<EntryReport> {
        let all = self.entries.iter().chain(&self.running);
        let of_group = all.filter(|entry| group.is_none_or(|name| entry.group == name));
        of_group
            .filter(|entry| !entry.outcome.is_empty())
            .map(report)
            .collect()
    }

    fn write(&mut self) -> io::Result<()> {
        let excess = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..excess);
        let all: Vec<&Entry> = self.entries.iter().chain(&self.running).collect();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(&all)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn report(entry: &Entry) -> EntryReport {
    let word = |word: &str| Some(word.to_owned());
    EntryReport {
        id: entry.id,
        name: entry.group.clone(),
        time_ms: entry.time_ms,
        direction: "outgoing".to_owned(),
        kind: "group_call".to_owned(),
        seen: true,
        media: word(if entry.video { "video" } else { "audio" }),
        outcome: Some(entry.outcome.clone()),
        duration_ms: (entry.outcome != "failed").then_some(entry.duration_ms),
        words: Some(text::past_group_call(
            &entry.outcome,
            Duration::from_millis(entry.duration_ms),
            &entry.words,
            &entry.people,
        )),
        people: entry.people.clone(),
        ..EntryReport::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(folder: &Path) -> GroupCalls {
        GroupCalls::of_profile(folder).unwrap()
    }

    #[test]
    fn a_call_stays_as_it_ended_and_a_killed_program_loses_half_a_minute_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let mut calls = opened(folder.path());
        calls.begin("hikers", true, Duration::from_secs(1_000));
        assert!(calls.reports(None).is_empty(), "nothing was yet");
        calls.connected().unwrap();
        calls.met("ann");
        calls.met("ann");
        for _ in 0..70 {
            calls.second().unwrap();
        }
        calls
            .end("left", "you left", Duration::from_secs(70))
            .unwrap();
        calls.begin("walkers", false, Duration::from_secs(2_000));
        calls.connected().unwrap();
        for _ in 0..61 {
            calls.second().unwrap();
        }
        drop(calls);
        let calls = opened(folder.path());
        let told = calls.reports(None);
        let of = |entry: &EntryReport| (entry.outcome.clone().unwrap(), entry.duration_ms);
        assert_eq!(of(&told[0]), ("ended".to_owned(), Some(70_000)));
        assert_eq!(of(&told[1]), ("cut_off".to_owned(), Some(60_000)));
        assert_eq!(told[0].people, ["ann"]);
        assert!(told[1].id > told[0].id);
        assert_eq!(calls.reports(Some("walkers")).len(), 1);
    }

    #[test]
    fn who_thought_again_was_in_no_call_and_who_was_refused_was_not_either() {
        let folder = tempfile::tempdir().unwrap();
        let mut calls = opened(folder.path());
        calls.begin("hikers", false, Duration::ZERO);
        calls.end("left", "you left", Duration::ZERO).unwrap();
        calls.begin("hikers", false, Duration::ZERO);
        calls
            .end("full", "the call is full", Duration::ZERO)
            .unwrap();
        let told = calls.reports(None);
        assert_eq!(told.len(), 1);
        assert!(told[0].words.as_ref().unwrap().contains("the call is full"));
    }

    #[test]
    fn a_file_of_somebody_elses_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("group_calls.json");
        std::fs::write(&path, "[{\"id\":").unwrap();
        let error = GroupCalls::of_profile(folder.path()).err().unwrap();
        assert!(error.to_string().contains("group_calls.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[{\"id\":");
    }
}

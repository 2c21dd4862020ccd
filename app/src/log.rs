//! The log of a run: the newest lines in memory for the screen, and all of them in a file. Never on the screen itself.
//!
//! Only what our own crates say is kept: libraries name addresses. What looks like a key, an id, a link or an address is
//! struck out of our own lines too, so that a log can be shown to anybody.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

mod redact;
mod told;

pub use redact::redacted;
pub use told::note;

/// Lines kept for the screen: some minutes of a bad day, and some 100 kB.
const LINES_MAX: usize = 500;
/// Longest line, characters: more is a library's book about an error.
const LINE_CHARACTERS_MAX: usize = 400;
/// Daily files kept.
const FILES_MAX: usize = 7;

/// The newest lines, shared with the threads that log.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<VecDeque<Arc<str>>>>);

/// Logging goes on while this lives.
#[must_use = "dropping it ends the file"]
pub struct Log {
    /// For the screen.
    pub lines: Lines,
    /// Where the file is; `None`: none could be opened.
    pub place: Option<PathBuf>,
    /// Writes what is left when dropped.
    _guard: Option<WorkerGuard>,
}

/// `HULLO_LOG` asks for something there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HULLO_LOG=`{0}` is no level: use error, warn, info, debug, trace or off")]
pub struct UnknownLevel(String);

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system's failure.
    #[error("the log cannot be written to {}: {reason}", .path.display())]
    File {
        /// The file or its folder.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

/// Reads the value of `HULLO_LOG`: how much is logged. `Ok(None)`: nothing.
///
/// # Errors
/// The user's.
pub fn level(word: Option<&str>) -> Result<Option<Level>, UnknownLevel> {
    Ok(Some(match word.unwrap_or("info") {
        "" | "info" => Level::INFO,
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        "off" => return Ok(None),
        other => return Err(UnknownLevel(other.to_owned())),
    }))
}

/// The folder of the daily files: the state folder for the usual profile, the profile's own for another.
#[must_use]
pub fn folder(profile: &Path, is_usual: bool) -> PathBuf {
    let usual = directories::ProjectDirs::from("", "", "hullo");
    let state = usual.and_then(|dirs| dirs.state_dir().map(|dir| dir.join("log")));
    match state {
        Some(state) if is_usual => state,
        _ => profile.join("log"),
    }
}

impl Log {
    /// Begins to log, in this process once; a second time only the lines of this call stay empty.
    ///
    /// # Errors
    /// No file could be opened: there are lines for the screen all the same.
    pub fn start(
        level: Option<Level>,
        file: Option<&Path>,
        folder: &Path,
    ) -> (Self, Option<LogError>) {
        let lines = Lines::default();
        let opened = match (level, file) {
            (None, _) => Ok(None),
            (_, Some(file)) => open(file).map(Some),
            (_, None) => open_daily(folder).map(Some),
        };
        let (out, place, guard, error) = match opened {
            Ok(Some((out, guard, place))) => (Some(out), Some(place), Some(guard), None),
            Ok(None) => (None, None, None, None),
            Err(error) => (None, None, None, Some(error)),
        };
        let keeper = Keeper {
            level,
            lines: lines.clone(),
            out,
        };
        // Only tests and the demonstration start a second one in one process; the first goes on.
        let _ = tracing_subscriber::registry().with(keeper).try_init();
        let log = Self {
            lines,
            place,
            _guard: guard,
        };
        (log, error)
    }
}

type Opened = (NonBlocking, WorkerGuard, PathBuf);

fn open(file: &Path) -> Result<Opened, LogError> {
    let failed = |reason: std::io::Error| LogError::File {
        path: file.to_owned(),
        reason: reason.to_string(),
    };
    let mut options = std::fs::OpenOptions::new();
    let opened = options
        .append(true)
        .create(true)
        .open(file)
        .map_err(failed)?;
    let (out, guard) = tracing_appender::non_blocking(opened);
    Ok((out, guard, file.to_owned()))
}

fn open_daily(folder: &Path) -> Result<Opened, LogError> {
    let failed = |reason: String| LogError::File {
        path: folder.to_owned(),
        reason,
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("hullo")
        .filename_suffix("log")
        .max_log_files(FILES_MAX)
        .build(folder)
        .map_err(|error| failed(error.to_string()))?;
    let (out, guard) = tracing_appender::non_blocking(appender);
    Ok((out, guard, folder.to_owned()))
}

impl Lines {
    /// The newest lines, oldest first.
    #[must_use]
    pub fn newest(&self) -> Vec<Arc<str>> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.into());
    }
}

/// Keeps what our own crates say.
struct Keeper {
    level: Option<Level>,
    lines: Lines,
    out: Option<NonBlocking>,
}

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let about = event.metadata();
        let is_wanted = self.level.is_some_and(|level| *about.level() <= level);
        if !is_wanted || !about.target().starts_with("hullo") {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let line = line(SystemTime::now(), about.level(), about.target(), &words);
        self.lines.push(&line);
        if let Some(mut out) = self.out.clone() {
            // Its queue is bounded and drops when it is full; there is nobody to tell.
            let _ = writeln!(out, "{line}");
        }
    }
}

/// One line: time (UTC), level, where, words.
fn line(at: SystemTime, level: &Level, target: &str, words: &Words) -> String {
    let seconds = (at.duration_since(SystemTime::UNIX_EPOCH)).map_or(0, |since| since.as_secs());
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let target = target.strip_prefix("hullo::").unwrap_or(target);
    let words = redacted(&format!("{}{}", words.message, words.rest));
    let words: String = (words.chars().take(LINE_CHARACTERS_MAX))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("{hours:02}:{minutes:02}:{seconds:02} {level:5} {target}: {words}")
}

/// What an event says.
#[derive(Default)]
struct Words {
    message: String,
    rest: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.rest, ", {}: {value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_of_our_own_crates_only() {
        let lines = Lines::default();
        let keeper = Keeper {
            level: Some(Level::INFO),
            lines: lines.clone(),
            out: None,
        };
        let subscriber = tracing_subscriber::registry().with(keeper);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "str0m::ice", "candidate 192.0.2.7");
            tracing::debug!(target: "hullo", "too much");
            for number in 0..LINES_MAX + 3 {
                tracing::info!(target: "hullo::call", number, from = "192.0.2.7:5000", "a call\n");
            }
        });
        let kept = lines.newest();
        assert_eq!(kept.len(), LINES_MAX);
        assert!(
            kept.iter()
                .all(|line| line.contains(" INFO  call: a call") && !line.contains('\n'))
        );
        assert!(
            kept.iter().all(|line| !line.contains("192.0.2.7")),
            "{kept:?}"
        );
        assert!(kept[LINES_MAX - 1].contains("number: 502"));
    }

    #[test]
    fn levels_are_words() {
        assert_eq!(level(None), Ok(Some(Level::INFO)));
        assert_eq!(level(Some("off")), Ok(None));
        assert_eq!(level(Some("debug")), Ok(Some(Level::DEBUG)));
        let error = level(Some("loud")).unwrap_err().to_string();
        assert!(error.contains("loud") && error.contains("trace"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("no/such/folder/log");
        let Err(error) = open(&file) else {
            panic!("there is no such folder");
        };
        let error = error.to_string();
        assert!(error.contains("no/such/folder"), "{error}");
        assert!(open_daily(&folder.path().join("log")).is_ok());
    }
}

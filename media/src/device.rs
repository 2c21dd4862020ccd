//! What can go wrong with cameras, microphones, speakers and the files that stand in for them.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a source or a sink cannot be used, with what the user can do.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Nothing of that kind is attached.
    #[error("no {what} found: attach one, or choose another with {option}")]
    NoDevice {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
        /// The options that choose another, in words.
        option: &'static str,
    },
    /// There is one, but none with that name.
    #[error("no {what} called {name:?}: available are {available}")]
    NoSuchName {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is, comma separated.
        available: String,
    },
    /// Another program holds it.
    #[error("the {what} is used by another program: close that program and try again")]
    Busy {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
    },
    /// The system forbids it.
    #[error("no permission to use the {what}: {remedy}")]
    Denied {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
        /// What to change.
        remedy: &'static str,
    },
    /// It gives no form that we can use.
    #[error("the {what} offers no usable format: {found}")]
    Format {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
        /// What it offers or said.
        found: String,
    },
    /// It was there and is not any more.
    #[error("the {what} went away: attach it again, then switch it on again")]
    Gone {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
    },
    /// The library or driver failed in a way that has no better name.
    #[error("the {what} failed: {message}")]
    Failed {
        /// `camera`, `microphone` or `speaker`.
        what: &'static str,
        /// The driver's words.
        message: String,
    },
    /// A file is not what it should be.
    #[error("{path}: {found}; allowed is {allowed}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl DeviceError {
    /// A file that could not be read.
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Io {
            action: "read",
            path: path.to_owned(),
            source,
        }
    }

    /// A file that could not be written.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Io {
            action: "write",
            path: path.to_owned(),
            source,
        }
    }
}

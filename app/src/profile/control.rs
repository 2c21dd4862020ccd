//! The control socket: how `hullo contacts` asks the `hullo` that owns the profile.
//!
//! One request is one line of JSON with a `command`; the answer is any number of lines of JSON, then the end. Only
//! the owner of the process may speak: the socket has mode 0600 and the other end's user is checked.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

pub use client::{Answers, answers, request};
pub use server::{ControlServer, Responder};

mod client;
mod server;

/// Longest line either way: the longest command holds one message of 16 kB.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// How long the owner of a profile waits for a request line.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// What a Unix socket's path may be long, without the closing zero (unix(7)).
const PATH_BYTES_MAX: usize = 107;

/// What another process asks.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlRequest {
    /// `contacts`, `invite`, …
    pub command: String,
    /// The whole object.
    pub body: Value,
}

/// Why the owner of the profile was not reached or not understood.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody owns the profile, or the owner has no socket.
    #[error("no running hullo answers on this profile")]
    NotRunning,
    /// It took the request and says nothing.
    #[error(
        "the running hullo does not answer: it may be stopped (`fg` in its shell lets it go on), or hang (end it, and start it again)"
    )]
    Silent,
    /// The folder's path leaves no room for a socket, and there is no runtime folder.
    #[error(
        "the path of the profile is too long for a control socket: use a shorter --profile, or set XDG_RUNTIME_DIR"
    )]
    PathTooLong,
    /// The system's failure.
    #[error("the control socket failed: {0}")]
    Socket(#[from] io::Error),
    /// Not a line of JSON.
    #[error("the other program sent what is no answer")]
    NoJson,
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("the line is too long")]
    TooLong,
}

/// Where the socket of this profile is: inside, or, where that path is too long, in the user's runtime folder.
fn socket_path(folder: &Path) -> Result<PathBuf, ControlError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    socket_path_in(folder, runtime.as_deref())
}

fn socket_path_in(folder: &Path, runtime: Option<&Path>) -> Result<PathBuf, ControlError> {
    use blake2::{Blake2b, Digest, digest::consts::U8};
    let fits = |path: &PathBuf| path.as_os_str().len() <= PATH_BYTES_MAX;
    let inside = folder.join("control.sock");
    if fits(&inside) {
        return Ok(inside);
    }
    let hash = Blake2b::<U8>::digest(folder.as_os_str().as_encoded_bytes());
    let name = hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        + ".sock";
    let outside = runtime.map(|runtime| runtime.join("hullo").join(name));
    outside.filter(fits).ok_or(ControlError::PathTooLong)
}

#[cfg(test)]
mod path_tests {
    use super::*;

    #[test]
    fn a_long_folder_gets_a_socket_in_the_runtime_folder() {
        let long = PathBuf::from("/").join("x".repeat(95));
        assert_eq!(
            socket_path_in(Path::new("/p"), None).unwrap(),
            Path::new("/p/control.sock")
        );
        let path = socket_path_in(&long, Some(Path::new("/run/user/1000"))).unwrap();
        assert!(path.starts_with("/run/user/1000/hullo") && path.as_os_str().len() < 50);
        assert!(matches!(
            socket_path_in(&long, None),
            Err(ControlError::PathTooLong)
        ));
    }
}

//! Asking the process that owns a profile. Blocking: a command line waits for nothing else.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{ControlError, LINE_BYTES_MAX, socket_path};

/// Answer lines, as they come.
pub struct Answers {
    stream: BufReader<UnixStream>,
}

/// Sends one request to the owner of the profile in `folder`. `patience` is how long each line of the answer may
/// take; `None` waits as long as the owner runs.
///
/// # Errors
/// [`ControlError::NotRunning`] when nobody listens; the socket's own failures.
pub fn request(
    folder: &Path,
    request: &Value,
    patience: Option<Duration>,
) -> Result<Answers, ControlError> {
    // The owner uses the absolute path; a folder that is not there has no owner.
    let folder = folder
        .canonicalize()
        .map_err(|_| ControlError::NotRunning)?;
    let mut line = request.to_string();
    if line.len() > LINE_BYTES_MAX {
        return Err(ControlError::TooLong);
    }
    line.push('\n');
    let mut stream =
        UnixStream::connect(socket_path(&folder)?).map_err(|error| match error.kind() {
            // A socket file without a listener is what a killed program leaves.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => ControlError::NotRunning,
            _ => ControlError::Socket(error),
        })?;
    stream.set_read_timeout(patience)?;
    stream.write_all(line.as_bytes())?;
    Ok(Answers {
        stream: BufReader::new(stream),
    })
}

/// Whether a program owns the profile in `folder` and can be asked; where that cannot be told, asking it says why.
#[must_use]
pub fn answers(folder: &Path) -> bool {
    let path = folder.canonicalize().map_err(ControlError::from);
    let connected = path.and_then(|folder| Ok(UnixStream::connect(socket_path(&folder)?)?));
    match connected {
        Ok(_) => true,
        Err(ControlError::Socket(error)) => !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused
        ),
        Err(_) => true,
    }
}

impl Iterator for Answers {
    type Item = Result<Value, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line);
        match read {
            Ok(0) => None,
            Ok(_) if line.len() > LINE_BYTES_MAX => Some(Err(ControlError::TooLong)),
            Ok(_) => Some(serde_json::from_slice(&line).map_err(|_| ControlError::NoJson)),
            // The time for a line is over.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(Err(ControlError::Silent))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

//! Sound that this user may not use. ALSA does not say so: a card whose files may not be opened is none to it, and a sound
//! server whose socket may not be opened is one that does not answer.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::Direction;
use crate::device::DeviceError;

/// Where the kernel has the files of sound cards.
const CARDS: &str = "/dev/snd";
/// Files there are a handful for each card.
const FILES_MAX: usize = 64;
/// What to do about the files of a card.
pub(super) const JOIN_GROUP: &str =
    "allow it in the system's settings, or join the group \"audio\" and log in again";
/// What to do about the socket of a sound server.
const NOT_OURS: &str = "the sound server belongs to another user: run hullo as the user who is logged in, or set PULSE_SERVER \
                        to a server of your own";

/// The same error, or what is behind it.
pub(crate) fn look_closer(direction: Direction, error: DeviceError) -> DeviceError {
    let denied = |remedy| DeviceError::Denied {
        what: direction.what(),
        remedy,
    };
    match error {
        DeviceError::NoDevice { .. } if are_cards_denied(Path::new(CARDS)) => denied(JOIN_GROUP),
        DeviceError::Failed { .. } | DeviceError::NoDevice { .. } if is_sound_server_denied() => {
            denied(NOT_OURS)
        }
        other => other,
    }
}

/// Whether there is a sound server that this user may not use.
#[must_use]
pub fn is_sound_server_denied() -> bool {
    let socket = server_socket(|name| std::env::var_os(name).map(PathBuf::from));
    socket.is_some_and(|socket| is_denied(&socket))
}

/// Whether there are cards, none of which may be used.
fn are_cards_denied(folder: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut cards = files
        .take(FILES_MAX)
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("controlC"))
        })
        .peekable();
    cards.peek().is_some() && cards.all(|card| is_denied(&card))
}

fn is_denied(path: &Path) -> bool {
    access(path, Access::READ_OK | Access::WRITE_OK) == Err(Errno::ACCESS)
}

/// The socket of the sound server: the one that is named, or the usual one.
fn server_socket(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if let Some(named) = variable("PULSE_SERVER") {
        let named = named.to_str()?;
        let path = named.strip_prefix("unix:").unwrap_or(named);
        return path.starts_with('/').then(|| PathBuf::from(path));
    }
    Some(variable("XDG_RUNTIME_DIR")?.join("pulse/native"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_the_named_one_or_the_usual_one() {
        let of = |named: Option<&str>| {
            server_socket(|name| match name {
                "PULSE_SERVER" => named.map(PathBuf::from),
                _ => Some(PathBuf::from("/run/user/7")),
            })
        };
        assert_eq!(of(None), Some("/run/user/7/pulse/native".into()));
        assert_eq!(of(Some("unix:/a/b")), Some("/a/b".into()));
        assert_eq!(of(Some("/a/b")), Some("/a/b".into()));
        assert_eq!(of(Some("tcp:host")), None);
    }

    #[test]
    fn no_cards_are_not_denied() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!are_cards_denied(folder.path()) && !are_cards_denied(Path::new("/nowhere")));
        std::fs::write(folder.path().join("controlC0"), "").unwrap();
        assert!(!are_cards_denied(folder.path()));
    }
}

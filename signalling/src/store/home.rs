//! Where a profile lives, so that a copy of it is noticed before it does harm.
//!
//! Two programs with one ratchet each would move it in two ways: messages get lost, and keys are used twice. A copied
//! folder has another file (inode) under another path or on another machine; a renamed folder keeps its file, a restored
//! file system its path and machine. A copy of a whole machine is noticed later, by the relay.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use crate::hash::hash;

const HOME: &str = "home";
/// Linux names a machine here; without it the path alone must do.
const MACHINE_ID: &str = "/etc/machine-id";

/// `inode hash`, the hash over path and machine: neither is anybody's business.
fn home(path: &Path) -> std::io::Result<(String, String)> {
    let inode = path.metadata()?.ino().to_string();
    let machine = std::fs::read(MACHINE_ID).unwrap_or_default();
    let place = path.canonicalize()?;
    let place = hash(
        b"hullo-home",
        &[&machine[..], b"\0", place.as_os_str().as_encoded_bytes()].concat(),
    );
    Ok((inode, BASE64_URL_SAFE_NO_PAD.encode(&place[..12])))
}

/// Refuses a copy; remembers where the profile is now.
///
/// # Errors
/// [`StoreError::Copied`].
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let (inode, place) = home(path).map_err(|error| StoreError::Failed(error.to_string()))?;
    let sql = "SELECT value FROM setting WHERE key = ?1";
    let known: Option<String> = connection
        .query_row(sql, [HOME], |row| row.get(0))
        .optional()?;
    let is_copy = match known.as_deref().and_then(|known| known.split_once(' ')) {
        Some((known_inode, known_place)) => known_inode != inode && known_place != place,
        None => false,
    };
    if is_copy {
        return Err(StoreError::Copied);
    }
    let now = format!("{inode} {place}");
    if known.as_deref() != Some(&now) {
        let sql = "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)";
        connection.execute(sql, [HOME, &now])?;
    }
    Ok(())
}

/// Forgets where the profile lived: its next start is at home wherever that is.
pub(super) fn forget(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM setting WHERE key = ?1", [HOME])?;
    Ok(())
}

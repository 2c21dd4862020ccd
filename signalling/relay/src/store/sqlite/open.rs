//! Opening the file, and what is wrong when it cannot be.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

/// Of the tables in `schema.sql`.
const SCHEMA_VERSION: i64 = 1;
/// `hulr`: says that the file is a relay's.
const APPLICATION_ID: i64 = 0x6875_6c72;
/// Pages of 4 KiB in the journal before they are moved to the file: 16 MiB, so that this costs little per block.
const CHECKPOINT_PAGES: i64 = 4096;
/// The journal is cut back to this after it grew.
const JOURNAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Pages kept in memory, in KiB: the blocks of the last second are read again at once.
const CACHE_KIB: i64 = 16 * 1024;
/// How long to wait for a former relay that is still closing the file.
const LOCK_TIME_MAX: Duration = Duration::from_secs(2);

/// How sure a commit is before clients are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// It has reached the disk: survives a loss of power. Each batch of commands waits for one flush of the disk
    /// (a fraction of a millisecond on an SSD, ten on a turning disk), which is most of what storing costs.
    #[default]
    Full,
    /// It has reached the operating system: survives a killed relay; a loss of power may cost the last seconds.
    Normal,
}

impl Synchronous {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// Why there is no store: for the operator to mend. Nothing was changed or overwritten.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the relay's database {} is in use by another program (another `hullo serve`?): end that one first", .0.display())]
    Locked(PathBuf),
    /// The file system is.
    #[error("the disk that holds the relay's database {} is full: make room and start again", .0.display())]
    DiskFull(PathBuf),
    /// Damaged, or another program's.
    #[error("the relay's database {} is damaged: {reason}. It was left as it is. Put a copy of it back, or move it (and {}-wal) away to begin empty; queues that are lost have to be made again by new links", .path.display(), .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A database, but not one of ours.
    #[error("{} is no relay's database: it belongs to another program and was left as it is. Name another file", .0.display())]
    Foreign(PathBuf),
    /// Made by a later release.
    #[error("the relay's database {} was written by a newer version of hullo (schema {found}; this one knows {SCHEMA_VERSION}): install that version again. The file was left as it is", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// Rights, a folder that is not there, a broken disk.
    #[error("the relay's database {} cannot be opened: {reason}", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

impl OpenError {
    fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull(path),
            _ => Self::Other {
                path,
                reason: error.to_string(),
            },
        }
    }

    fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DiskFull) => Self::DiskFull(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, reason }
            }
            _ => Self::Other { path, reason },
        }
    }
}

/// The connection of the one process that has this file. Makes the file (mode 0600) when there is none.
pub(super) fn open(path: &Path, synchronous: Synchronous) -> Result<Connection, OpenError> {
    create_private(path).map_err(|error| OpenError::io(path, &error))?;
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(LOCK_TIME_MAX).map_err(failed)?;
    check_owner(&connection, path)?;
    prepare(&connection, synchronous).map_err(failed)?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" {
        return Err(OpenError::Corrupt {
            path: path.to_owned(),
            reason: found,
        });
    }
    connection
        .execute_batch(&format!(
            "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {} COMMIT;",
            if is_new(&connection).map_err(failed)? { include_str!("schema.sql") } else { "" },
        ))
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// SQLite makes its side files with the rights of the file itself.
fn create_private(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Before anything is written: whose file, and which version.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let pragma = |name: &str| -> Result<i64, OpenError> {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
            .map_err(failed)
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    if application != APPLICATION_ID && !is_new(connection).map_err(failed)? {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: version,
        });
    }
    Ok(())
}

fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

fn prepare(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    // One process has the file: two relays on one file would not know of one another's readers.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous.pragma())?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What was acknowledged is overwritten, not merely forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}

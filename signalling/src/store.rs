//! What must survive: identity, contacts, ratchets, queues, and messages under way. One SQLite file, mode 0600.
//!
//! A ratchet and what it sealed or opened are written in one transaction, before a byte leaves or an acknowledgement
//! goes out: whatever moment the program dies at, no message key is used twice and no message is lost.
//! `WAL` with `synchronous = FULL`: a committed transaction survives the loss of power.
//!
//! Pickles are sealed with a key that lies in the same file: that protects nothing by itself, it is the place where a
//! passphrase will go.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::CryptoRng;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use thiserror::Error;
use vodozemac::olm::{Account, AccountPickle};
use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::server_url::ServerUrl;
pub(crate) use contacts::ContactKeys;
pub(crate) use group::{GroupRow, MemberRow, MemberStanding, Standing};
pub(crate) use group_mail::{GroupInbox, GroupSession};
pub use restore::RestoreError;
pub(crate) use restore::{NAME, SERVER};
pub(crate) use rows::{InboundQueue, OutboundQueue, QueueUse, Rows};

mod contacts;
mod group;
mod group_mail;
mod history;
mod home;
mod people;
mod restore;
mod rows;
#[cfg(test)]
mod tests;

const SCHEMA: &str = include_str!("store/schema.sql");
/// Each step brings the version before it to its own; a new profile walks them all, an old one the rest.
const UPGRADES: &[(i64, &[&str])] = &[
    (1, &[SCHEMA]),
    (
        2,
        &[
            include_str!("store/people.sql"),
            include_str!("store/history.sql"),
            include_str!("store/group.sql"),
        ],
    ),
    (3, &[include_str!("store/letter.sql")]),
];
const SCHEMA_VERSION: i64 = 3;
/// Blocks of one queue remembered: more than a relay can repeat, its window being 16.
const SEEN_BLOCKS_MAX: i64 = 64;
/// Payloads nobody has taken over: 16 MiB at most. Beyond it the relay keeps them.
const INBOX_MESSAGES_MAX: i64 = 1024;
/// One process owns a profile, so a lock is a back-up or a look from outside: short.
const BUSY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// Why the store cannot be read or written, with what to do about it. It is never changed by failing.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No permission, no folder, a read-only disk.
    #[error("{path} cannot be opened: {reason}. Check that the folder exists and belongs to you")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// Not a database, or a damaged one.
    #[error(
        "the profile's database is damaged ({reason}). Nothing was changed. Restore it from a copy, or move \
         hullo.db away to start anew (your contacts will not know the new you)"
    )]
    Corrupt {
        /// SQLite's words.
        reason: String,
    },
    /// A database with other tables.
    #[error(
        "hullo.db is a database of some other program. Nothing was changed: use another --profile"
    )]
    Foreign,
    /// Somebody copied the folder.
    #[error(
        "this profile was copied or moved from elsewhere, and two copies destroy each other's messages. If the \
         original is gone for good, run `hullo restore --moved` once; to have it in two places, that is not possible"
    )]
    Copied,
    /// Written by a later Hullo.
    #[error("the profile was written by a newer Hullo (database version {0}): update this one")]
    Newer(i64),
    /// Another program holds the file.
    #[error(
        "the profile's database is locked by another program (a back-up?): try again in a moment"
    )]
    Locked,
    /// No space.
    #[error(
        "the disk with your profile is full, or does not work: nothing was lost, make room and try again"
    )]
    Full,
    /// It may be read and not written.
    #[error(
        "the profile's database can be read only: check whose hullo.db is, and whether its disk may be written to"
    )]
    ReadOnly,
    /// Payloads come and no program takes them over.
    #[error("too many messages wait to be read: start `hullo` to read them")]
    InboxFull,
    /// Anything else SQLite says.
    #[error("the profile's database failed: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            // A small or full file system says so when the log beside the database cannot be made.
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => match error {
                // A value of another shape than this program ever wrote.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Corrupt { reason },
                _ => Self::Failed(reason),
            },
        }
    }
}

/// The profile's database.
pub struct Store {
    connection: Connection,
    pickle_key: Zeroizing<[u8; 32]>,
}

impl Store {
    /// Opens `path`, or makes it, and returns whose profile it is; a new profile gets a new identity silently.
    ///
    /// # Errors
    /// The machine's or the user's to mend, see [`StoreError`]; a file that is not understood is left as it is.
    pub fn open(path: &Path, rng: &mut impl CryptoRng) -> Result<(Self, Identity), StoreError> {
        let failed = |reason: String| StoreError::Open {
            path: path.to_owned(),
            reason,
        };
        if !path.exists() {
            Self::make(path, rng, |_, _| Ok::<_, StoreError>(()))?;
        }
        // A database is never that short once it was made: making a new one in its place would lose the old identity.
        if path.metadata().is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Corrupt {
                reason: "it is empty".to_owned(),
            });
        }
        let connect = || Connection::open(path).map_err(|error| failed(error.to_string()));
        match Self::from_connection(connect()?, Some(path), rng) {
            // The index of the log beside the database finds no room: in memory it does, where nobody else reads. So a
            // profile on a full disk can be read; what is written fails by itself.
            Err(StoreError::Full) => {
                let connection = connect()?;
                connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
                Self::from_connection(connection, Some(path), rng)
            }
            opened => opened,
        }
    }

    /// A new profile under another name first: whenever the program dies, there is a whole one or none.
    fn make<R: CryptoRng, E: From<StoreError>>(
        path: &Path,
        rng: &mut R,
        fill: impl FnOnce(&mut Self, &mut R) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |reason: String| StoreError::Open {
            path: path.to_owned(),
            reason,
        };
        let unfinished = path.with_extension("new");
        for rest in ["new", "new-wal", "new-shm"] {
            // Not there, usually.
            let _ = std::fs::remove_file(path.with_extension(rest));
        }
        // SQLite would make the file readable for everybody; the -wal and -shm files take its mode over.
        let made = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished);
        made.map_err(|error| failed(error.to_string()))?;
        let connection =
            Connection::open(&unfinished).map_err(|error| failed(error.to_string()))?;
        let (mut store, _) = Self::from_connection(connection, None, rng)?;
        let filled = fill(&mut store, rng);
        // Its last connection brings everything into the one file.
        drop(store);
        if filled.is_err() {
            let _ = std::fs::remove_file(&unfinished);
            return filled;
        }
        std::fs::rename(&unfinished, path).map_err(|error| failed(error.to_string()))?;
        Ok(())
    }

    /// The server that the profile at `path` remembers, without owning the profile: another program may. `None` also where it
    /// cannot be read.
    #[must_use]
    pub fn server_of(path: &Path) -> Option<ServerUrl> {
        // Not to be made, and not to be left with a log beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).ok()?;
        connection.busy_timeout(BUSY_TIME_MAX).ok()?;
        let sql = "SELECT value FROM setting WHERE key = ?1";
        let url: String = connection.query_row(sql, [SERVER], |row| row.get(0)).ok()?;
        url.parse().ok()
    }

    /// Makes a copied or moved profile the one that is used from now on. The original must never be used again.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn adopt(path: &Path) -> Result<(), StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| StoreError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        Self::check(&connection)?;
        home::forget(&connection)
    }

    /// A store that ends with the program: for tests and the demo.
    ///
    /// # Errors
    /// [`StoreError::Failed`], when there is no memory.
    pub fn in_memory(rng: &mut impl CryptoRng) -> Result<(Self, Identity), StoreError> {
        Self::from_connection(Connection::open_in_memory()?, None, rng)
    }

    fn from_connection(
        mut connection: Connection,
        path: Option<&Path>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Identity), StoreError> {
        connection.busy_timeout(BUSY_TIME_MAX)?;
        Self::check(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Message keys and payloads do not linger in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = version(&transaction)?;
        for (step, parts) in UPGRADES.iter().filter(|(step, _)| *step > before) {
            for sql in *parts {
                transaction.execute_batch(sql)?;
            }
            transaction.pragma_update(None, "user_version", step)?;
        }
        let (identity, pickle_key) = match load_identity(&transaction)? {
            Some(known) => known,
            None => {
                let identity = Identity::generate(rng);
                let pickle_key = save_identity(&transaction, &identity, rng)?;
                (identity, pickle_key)
            }
        };
        if let Some(path) = path {
            home::check(&transaction, path)?;
        }
        transaction.commit()?;
        Ok((
            Self {
                connection,
                pickle_key,
            },
            identity,
        ))
    }

    /// Looks without touching.
    fn check(connection: &Connection) -> Result<(), StoreError> {
        match version(connection)? {
            0 => {
                let tables: i64 =
                    connection
                        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
                if tables > 0 {
                    return Err(StoreError::Foreign);
                }
            }
            1..=SCHEMA_VERSION => {}
            newer => return Err(StoreError::Newer(newer)),
        }
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" {
            Ok(())
        } else {
            Err(StoreError::Corrupt { reason: verdict })
        }
    }

    /// For reading, or for a change that is one statement.
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows {
            connection: &self.connection,
            pickle_key: &self.pickle_key,
        }
    }

    /// All of `change`, durable when this returns, or nothing of it.
    ///
    /// # Errors
    /// What `change` returned, or the store's failure; then nothing happened.
    pub(crate) fn transaction<T, E: From<StoreError>>(
        &mut self,
        change: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = (self.connection)
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let rows = Rows {
            connection: &transaction,
            pickle_key: &self.pickle_key,
        };
        let result = change(&rows)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(result)
    }
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Who we are, and the key of what is pickled.
type Secrets = (Identity, Zeroizing<[u8; 32]>);

fn load_identity(connection: &Connection) -> Result<Option<Secrets>, StoreError> {
    let stored = connection
        .query_row(
            "SELECT x25519, account, pickle_key FROM identity",
            [],
            |row| {
                let secrets = (Zeroizing::new(row.get(0)?), Zeroizing::new(row.get(2)?));
                Ok((row.get::<_, String>(1)?, secrets))
            },
        )
        .optional()?;
    let Some((account, (x25519, pickle_key))) = stored else {
        return Ok(None);
    };
    let pickle = AccountPickle::from_encrypted(&account, &pickle_key).map_err(|error| {
        StoreError::Corrupt {
            reason: error.to_string(),
        }
    })?;
    let identity = Identity::from_parts(&x25519, Account::from_pickle(pickle));
    Ok(Some((identity, pickle_key)))
}

/// Writes who we are, with a new key for what is pickled.
fn save_identity(
    connection: &Connection,
    identity: &Identity,
    rng: &mut impl CryptoRng,
) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut pickle_key = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *pickle_key);
    connection.execute(
        "INSERT INTO identity (one, x25519, account, pickle_key) VALUES (1, ?1, ?2, ?3)",
        (
            *identity.x25519().as_bytes(),
            identity.account().pickle().encrypt(&pickle_key),
            *pickle_key,
        ),
    )?;
    Ok(pickle_key)
}

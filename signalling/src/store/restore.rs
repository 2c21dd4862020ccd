//! Backups of a profile, and profiles made of backups.

use std::path::{Path, PathBuf};

use rand::CryptoRng;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::{Store, StoreError, load_identity, save_identity};
use crate::backup::{Backup, BackupContact, BackupError};
use crate::channel::ContactState;

/// The setting that holds what others see.
pub(crate) const NAME: &str = "name";
/// The setting that holds where invitations are made.
pub(crate) const SERVER: &str = "server";

/// Why a backup was not made or a profile not restored: the user's or the machine's to mend.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The file or the passphrase.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A profile is there.
    #[error(
        "{} exists already: nothing was changed. Restore into another --profile, or move that file away", .0.display()
    )]
    Exists(PathBuf),
}

impl Store {
    /// What a backup of the profile at `path` holds. A program that runs on it is not disturbed.
    ///
    /// # Errors
    /// As [`Self::open`]; a profile that does not exist is not made.
    pub fn back_up(path: &Path, rng: &mut impl CryptoRng) -> Result<Backup, StoreError> {
        // Read and write: a WAL database cannot be read without its -shm file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| StoreError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        connection.busy_timeout(super::BUSY_TIME_MAX)?;
        Self::check(&connection)?;
        let (identity, pickle_key) = load_identity(&connection)?.ok_or(StoreError::Corrupt {
            reason: "it holds no identity".to_owned(),
        })?;
        let store = Self {
            connection,
            pickle_key,
        };
        let rows = store.rows();
        let mut contacts = Vec::new();
        for (id, key_set) in rows.key_sets()? {
            if let Some(contact) = rows.contact(id)? {
                let (verified, blocked) = (contact.verified, contact.blocked);
                contacts.push(BackupContact::new(
                    contact.name,
                    &key_set,
                    verified,
                    blocked,
                ));
            }
        }
        let name = rows.setting(NAME)?.unwrap_or_default();
        Ok(Backup::new(
            &identity,
            name,
            rows.setting(SERVER)?,
            contacts,
            rng,
        ))
    }

    /// Makes a profile of a backup. Its contacts are [`ContactState::Lost`].
    ///
    /// # Errors
    /// [`RestoreError`]; then there is no new profile.
    pub fn restore(
        path: &Path,
        backup: &Backup,
        rng: &mut impl CryptoRng,
    ) -> Result<(), RestoreError> {
        if path.exists() {
            return Err(RestoreError::Exists(path.to_owned()));
        }
        let identity = backup.identity()?;
        Self::make(path, rng, |store, rng| {
            let connection = &store.connection;
            connection
                .execute("DELETE FROM identity", [])
                .map_err(StoreError::from)?;
            store.pickle_key = save_identity(connection, &identity, rng)?;
            store.transaction(|rows| {
                rows.set_setting(NAME, &backup.name)?;
                if let Some(server) = &backup.server {
                    rows.set_setting(SERVER, server)?;
                }
                for contact in &backup.contacts {
                    rows.add_lost_contact(
                        &contact.name,
                        &contact.key_set()?,
                        contact.verified,
                        contact.blocked,
                    )?;
                }
                debug_assert!(
                    (rows.contacts()?.iter()).all(|contact| contact.state == ContactState::Lost)
                );
                Ok(())
            })
        })
    }
}

//! The profile folder: who this is, owned by one process at a time.
//!
//! ```text
//! hullo.db        identity, contacts, ratchets (mode 0600)
//! lock            held while a program runs; holds its process id
//! settings.toml   what the program remembers between runs ([`settings`])
//! config.toml     what people set, if not in their configuration folder ([`crate::config`])
//! control.sock    how other commands reach that program ([`control`])
//! server/         certificate and key of `hullo serve`; not under the lock, a server may run beside
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub mod control;
pub mod group_calls;
pub mod settings;
#[cfg(test)]
mod tests;

/// The database's name in the folder.
pub const DATABASE: &str = "hullo.db";

/// Names the profile folder when no `--profile` does.
pub const HOME_VARIABLE: &str = "HULLO_HOME";

/// A profile this process owns until it is dropped.
#[derive(Debug)]
pub struct Profile {
    folder: PathBuf,
    /// The lock ends with the file, even when the program is killed.
    _lock: File,
}

/// Why a profile cannot be used: the user's or the machine's to mend.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// Another Hullo runs on it.
    #[error("the profile {} is in use by {}: end that program, or use another --profile", .folder.display(), owner(*.pid))]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// Who holds it, when it could be read.
        pid: Option<u32>,
    },
    /// No permission, no space, a file where a folder should be.
    #[error("the profile folder {} cannot be used: {reason}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// Neither a home nor an explicit folder.
    #[error("there is no home folder: name one with --profile DIR or {HOME_VARIABLE}")]
    NoHome,
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another program".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// The folder to use: `--profile`, else `HULLO_HOME`, else the system's place for application data.
///
/// # Errors
/// [`ProfileError::NoHome`].
pub fn folder(given: Option<PathBuf>) -> Result<PathBuf, ProfileError> {
    let named = given.or_else(|| std::env::var_os(HOME_VARIABLE).map(PathBuf::from));
    let named = named.filter(|folder| !folder.as_os_str().is_empty());
    let usual =
        || directories::ProjectDirs::from("", "", "hullo").map(|dirs| dirs.data_dir().to_owned());
    named.or_else(usual).ok_or(ProfileError::NoHome)
}

/// Makes a folder that only its owner can look into, with its parents; one that exists stays as it is.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Profile {
    /// Takes the profile, or makes it. One try: whoever holds it may be asked over [`control`].
    ///
    /// # Errors
    /// [`ProfileError::Busy`], [`ProfileError::Folder`].
    pub fn open(folder: &Path) -> Result<Self, ProfileError> {
        let failed = |reason| ProfileError::Folder {
            folder: folder.to_owned(),
            reason,
        };
        make_folder(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let path = folder.join("lock");
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // A process id has at most 10 digits; a lock file with more is none of ours.
                let mut text = String::new();
                let read = (&lock).take(16).read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(ProfileError::Busy {
                    folder: folder.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(reason)) => return Err(failed(reason)),
        }
        // Who holds it is told to whoever finds it held, no more: a full disk must not keep anybody from reading.
        let noted = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(%error, "the lock of the profile does not say who holds it");
        }
        let folder = folder.canonicalize().map_err(failed)?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database.
    pub fn store_path(&self) -> PathBuf {
        self.folder.join(DATABASE)
    }

    /// Words for a user whose profile others can read; `None` when nobody can.
    pub fn open_to_others(&self) -> Option<String> {
        use std::os::unix::fs::PermissionsExt as _;
        let wide = |path: &Path, mask: u32| {
            let mode = path.metadata().ok()?.permissions().mode();
            (mode & mask != 0).then(|| path.display().to_string())
        };
        // A database inside a closed folder is closed, whatever its own mode says.
        let folder = wide(&self.folder, 0o077)?;
        let database = wide(&self.store_path(), 0o077)?;
        Some(format!(
            "Others on this machine can read your keys: run `chmod 700 {folder}; chmod 600 {database}`"
        ))
    }
}

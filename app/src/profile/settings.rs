//! `settings.toml` in the profile folder: what the program itself remembers between runs. What people write is in
//! [`crate::config`].

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::event::Settings;

/// The file has a few lines; a larger one is not ours.
const FILE_BYTES_MAX: u64 = 16_384;

/// Where the settings are kept.
#[derive(Clone, Debug)]
pub struct SettingsFile(PathBuf);

/// Why the settings are not read: a disk that fails, or somebody who wrote into the file.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The system's failure.
    #[error("{} cannot be read: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// Not what this program writes there.
    #[error("{} cannot be understood and is ignored: delete it. {reason}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        reason: String,
    },
}

impl SettingsFile {
    /// The file of the profile in this folder.
    #[must_use]
    pub fn of_profile(folder: &Path) -> Self {
        Self(folder.join("settings.toml"))
    }

    /// What was written last; nothing set where there is no file yet.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn read(&self) -> Result<Settings, SettingsError> {
        let path = || self.0.clone();
        let mut text = String::new();
        let read = std::fs::File::open(&self.0)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(reason) => Err(SettingsError::Read {
                path: path(),
                reason,
            }),
            Ok(_) => toml::from_str(&text).map_err(|error| SettingsError::Form {
                path: path(),
                reason: error.message().to_owned(),
            }),
        }
    }

    /// Replaces what was written, whole or not at all.
    ///
    /// # Errors
    /// The machine's: no space, no permission.
    pub fn write(&self, settings: &Settings) -> io::Result<()> {
        let text = toml::to_string(settings).expect("switches and words are TOML");
        let folder = self.0.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.0).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = SettingsFile::of_profile(folder.path());
        assert_eq!(file.read().unwrap(), Settings::default());
        let settings = Settings {
            do_not_disturb: true,
            is_ip_warned: true,
            bell: Some(false),
            theme: Some(crate::view::theme::ThemeName::Light),
            ..Settings::default()
        };
        file.write(&settings).unwrap();
        assert_eq!(file.read().unwrap(), settings);
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("settings.toml"), "do_not_disturb = 7").unwrap();
        let words = SettingsFile::of_profile(folder.path())
            .read()
            .unwrap_err()
            .to_string();
        assert!(
            words.contains("settings.toml") && words.contains("delete"),
            "{words}"
        );
    }
}

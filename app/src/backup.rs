//! `hullo backup` and `hullo restore`: files, passphrases, and the words around them.

use std::fs::OpenOptions;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use hullo_signalling::backup::{BACKUP_BYTES_MAX, Backup, BackupError};
use hullo_signalling::store::{RestoreError, Store, StoreError};
use zeroize::Zeroizing;

use crate::front::Front;
use crate::people;
use crate::profile::{DATABASE, Profile};
use crate::program::{Failure, OTHER, USAGE, random};
use crate::report::Report;

/// Longest passphrase read, in bytes.
const PASSPHRASE_BYTES_MAX: usize = 1024;
const ONE_ALONE: &str = "Never let a restored copy run beside the original: whoever writes to you would reach one or \
    the other. Messages and history are not in a backup; after restoring, each contact needs a new link.";
const RESTORED: &str = "Restored. The original must never run again. Your contacts are listed, and each needs a new \
    link of theirs: `hullo add LINK`. Names and what was verified stay.";
const MOVED: &str = "This is the profile now. The original must never run again.";

/// Writes the profile's identity and contacts to a new file.
///
/// # Errors
/// [`Failure`] with words and exit status; then there is no file.
pub fn back_up(folder: &Path, file: &Path, front: &mut dyn Front) -> Result<(), Failure> {
    let mut rng = random()?;
    let backup = Store::back_up(&folder.join(DATABASE), &mut rng).map_err(|error| store(&error))?;
    let passphrase = passphrase(true)?;
    let bytes = backup.seal(&passphrase, &mut rng).map_err(refused)?;
    let failed = |error: std::io::Error| {
        Failure::other(format!("{} cannot be written: {error}.", file.display()))
    };
    let mut options = OpenOptions::new();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    let written = opened.write_all(&bytes).and_then(|()| opened.sync_all());
    if let Err(error) = written {
        // Half a backup is worse than none.
        let _ = std::fs::remove_file(file);
        return Err(failed(error));
    }
    tell(
        front,
        &format!("Written to {}. {ONE_ALONE}", file.display()),
    )
}

/// Makes a profile of a backup; without a file, makes a moved folder the profile.
///
/// # Errors
/// [`Failure`] with words and exit status; then nothing was changed.
pub fn restore(folder: &Path, file: Option<&Path>, front: &mut dyn Front) -> Result<(), Failure> {
    let profile = Profile::open(folder)?;
    let Some(file) = file else {
        Store::adopt(&profile.store_path()).map_err(|error| store(&error))?;
        return tell(front, MOVED);
    };
    let failed = |error: std::io::Error| {
        Failure::other(format!("{} cannot be read: {error}.", file.display()))
    };
    let opened = std::fs::File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    opened
        .take(BACKUP_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let passphrase = passphrase(false)?;
    let backup = Backup::open(&bytes, &passphrase).map_err(refused)?;
    let restored = Store::restore(&profile.store_path(), &backup, &mut random()?);
    restored.map_err(|error| match error {
        RestoreError::Backup(error) => refused(error),
        RestoreError::Store(error) => store(&error),
        exists @ RestoreError::Exists(_) => Failure::usage(people::sentence(&exists.to_string())),
    })?;
    tell(front, RESTORED)
}

fn tell(front: &mut dyn Front, words: &str) -> Result<(), Failure> {
    let text = words.to_owned();
    (front.report(0, &Report::Notice { text }))
        .map_err(|_| Failure::other("Nobody reads the output."))
}

fn refused(error: BackupError) -> Failure {
    let status = match error {
        BackupError::Memory => OTHER,
        _ => USAGE,
    };
    Failure {
        words: people::sentence(&error.to_string()),
        status,
    }
}

fn store(error: &StoreError) -> Failure {
    Failure::other(people::sentence(&error.to_string()))
}

/// Typed without being shown, a new one twice; or the first line of stdin.
fn passphrase(is_new: bool) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        let limit = u64::try_from(PASSPHRASE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = std::io::BufReader::new(std::io::stdin().take(limit)).read_line(&mut line);
        read.map_err(|error| Failure::other(format!("stdin cannot be read: {error}.")))?;
        return Ok(Zeroizing::new(
            line.trim_end_matches(['\r', '\n']).to_owned(),
        ));
    }
    let typed = type_secret("Passphrase: ")?;
    if is_new && *type_secret("The same again: ")? != *typed {
        return Err(Failure::usage(
            "The two passphrases differ: nothing was written.",
        ));
    }
    Ok(typed)
}

fn type_secret(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::other(format!(
            "The passphrase cannot be typed here: {error}. Pipe it to stdin."
        ))
    };
    let mut terminal = std::io::stderr();
    (terminal.write_all(prompt.as_bytes())).map_err(failed)?;
    terminal.flush().map_err(failed)?;
    crossterm::terminal::enable_raw_mode().map_err(failed)?;
    let typed = read_secret();
    let _ = crossterm::terminal::disable_raw_mode();
    let _ = terminal.write_all(b"\n");
    typed
        .map_err(failed)?
        .ok_or_else(|| Failure::other("Given up: nothing was changed."))
}

/// `None`: given up.
fn read_secret() -> std::io::Result<Option<Zeroizing<String>>> {
    let mut typed = Zeroizing::new(String::with_capacity(PASSPHRASE_BYTES_MAX));
    loop {
        let Event::Key(key) = crossterm::event::read()? else {
            continue;
        };
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Enter => return Ok(Some(typed)),
            KeyCode::Esc => return Ok(None),
            KeyCode::Char('c' | 'd') if is_control => return Ok(None),
            KeyCode::Backspace => drop(typed.pop()),
            // Never beyond its capacity: a moved string leaves its letters behind.
            KeyCode::Char(letter) if typed.len() + letter.len_utf8() <= PASSPHRASE_BYTES_MAX => {
                typed.push(letter);
            }
            _ => {}
        }
    }
}

//! `config.toml`: what people set for themselves. Read once at the start, never written.
//!
//! ```toml
//! relay_only = true                     # calls go over a TURN server or not at all: nobody sees your address
//! stun = ["stun:stun.example.org:3478"]
//!
//! [[turn]]
//! url = "turns:turn.example.org:5349"   # turn: or turns:
//! username = "me"
//! password = "secret"
//! authority = "/path/to/ca.pem"         # only where no public authority vouches for a turns: server
//!
//! [screen]
//! mouse = true                          # clicks choose, the wheel scrolls; selecting text then needs Shift
//! glyphs = "half"                       # and color, sync, budget_kb_s, pixels: see [`ScreenSettings`]
//!
//! [sound]
//! mic = "Headset"                       # by name or a part of it; the system's default when absent
//! noise = false                         # echo, noise, gain: what is done to the microphone's sound
//!
//! [keys]
//! mute = ["m", "F2"]                    # actions by name: a key, several, or [] for none
//!
//! [theme]
//! name = "light"                        # auto, dark, light or none
//! alarm = "#ff8800"                     # single colours by what they are for
//! ```
//!
//! A file that is wrong anywhere counts nowhere, but for a `relay_only` in it, or what is nearly named so, that is not
//! plainly `false`: who asked not to be seen must not be seen because of a slip, there or elsewhere. What stands in a file
//! that cannot be read is not known, so calls go over TURN only until it can be.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::attention::AttentionSettings;
use crate::keymap::Keymap;
use crate::view::theme::Theme;
use thiserror::Error;
use zeroize::Zeroize;

mod dump;
mod keys;
mod screen;
mod sound;
mod theme;
mod wish;

pub use screen::{
    Budget, Chosen, Color, GlyphChoice, PixelChoice, ScreenFlags, ScreenSettings, SyncChoice,
};
pub use sound::SoundConfig;

use keys::{KeysTable, Span};
use theme::ThemeTable;

/// A file of settings is short; a larger one is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Servers of a kind. ICE asks all of them for each of a machine's addresses, so more only slow a call down.
const SERVERS_MAX: usize = 8;

/// What can be set.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls go over a TURN server or not at all, so that the other side does not see our address.
    pub relay_only: bool,
    /// Servers that tell us our address as others see it (RFC 8489).
    pub stun: Vec<StunUrl>,
    /// Servers that carry calls (RFC 8656).
    pub turn: Vec<TurnServer>,
    /// How a call draws attention.
    pub attention: AttentionSettings,
    /// How the screen behaves.
    pub screen: ScreenSettings,
    /// Which sound devices, and what is done to sound.
    pub sound: SoundConfig,
    /// What the file sets, as `table.key`.
    #[serde(skip)]
    pub written: BTreeSet<String>,
    /// What `[keys]` says.
    keys: KeysTable,
    /// Which key does what: the defaults with what `[keys]` changes.
    #[serde(skip)]
    pub keymap: Keymap,
    /// What `[theme]` says.
    #[serde(rename = "theme")]
    theme_table: ThemeTable,
    /// Colours.
    #[serde(skip)]
    pub theme: Theme,
}

/// What is wrong in a file that is TOML, and where.
#[derive(Debug)]
struct Wrong {
    /// In bytes of the file.
    span: Span,
    /// What is wrong and what is allowed.
    reason: String,
}

/// A TURN server and how it knows us.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnServer {
    /// Where.
    pub url: TurnUrl,
    /// Given by whoever runs it.
    pub username: String,
    /// The same.
    pub password: Password,
    /// A certificate (PEM) that vouches for the server, where no public authority does.
    #[serde(default)]
    pub authority: Option<PathBuf>,
}

/// A password: never shown, wiped when dropped.
#[derive(Deserialize)]
pub struct Password(String);

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name, or an address without brackets.
    pub host: String,
    /// 1..=65535.
    pub port: u16,
}

/// `stun:HOST[:PORT]` (RFC 7064).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StunUrl(pub Address);

/// `turn:HOST[:PORT]` or `turns:HOST[:PORT]`, with `?transport=udp` or `tcp` (RFC 7065).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TurnUrl {
    /// Where.
    pub address: Address,
    /// Over TLS.
    pub is_tls: bool,
    /// Over TCP instead of UDP.
    pub is_tcp: bool,
}

/// Why the file does not count: its writer's to mend.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There, and what stands in it cannot be known.
    #[error("{} cannot be read: {reason}. Until it can, calls go over TURN only", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words, or ours.
        reason: io::Error,
    },
    /// Not TOML, or not what can be set.
    #[error("{} line {line}: {reason}. {}", .path.display(), consequence(*.relay_only))]
    Form {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong and what is allowed, in one line.
        reason: String,
        /// This much was understood all the same.
        relay_only: bool,
    },
}

fn consequence(relay_only: bool) -> &'static str {
    if relay_only {
        "Until this is mended nothing in the file counts but relay_only = true, and all else is as by default"
    } else {
        "Until this is mended nothing in the file counts, and all is as by default"
    }
}

/// What is wrong with a server's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not of this kind.
    #[error("a STUN server is written `stun:HOST` or `stun:HOST:PORT`")]
    Stun,
    /// Not of this kind.
    #[error(
        "a TURN server is written `turn:HOST:PORT` or `turns:HOST:PORT`, with `?transport=tcp` where it is wanted"
    )]
    Turn,
}

/// Which file counts: the one in the profile folder where there is one, else the one in the configuration folder.
#[must_use]
pub fn path(profile: &Path) -> PathBuf {
    let own = profile.join("config.toml");
    let usual = directories::ProjectDirs::from("", "", "hullo");
    match usual {
        // A link that leads nowhere is there: what it should lead to might hide our address.
        Some(dirs) if own.symlink_metadata().is_err() => dirs.config_dir().join("config.toml"),
        _ => own,
    }
}

/// What is set, and what is wrong with the file if it is.
#[must_use]
pub fn read(path: &Path) -> (Config, Option<ConfigError>) {
    match contents(path) {
        Ok(None) => (Config::default(), None),
        Err(reason) => {
            let config = Config {
                relay_only: true,
                ..Config::default()
            };
            let path = path.to_owned();
            (config, Some(ConfigError::Read { path, reason }))
        }
        Ok(Some(bytes)) => match utf8(&bytes).and_then(parse) {
            Ok(config) => (config, None),
            Err((line, reason)) => {
                let relay_only = wish::asks_for_relay_only(&String::from_utf8_lossy(&bytes));
                let config = Config {
                    relay_only,
                    ..Config::default()
                };
                let path = path.to_owned();
                let error = ConfigError::Form {
                    path,
                    line,
                    reason,
                    relay_only,
                };
                (config, Some(error))
            }
        },
    }
}

/// What the file holds, `None` where there is none.
fn contents(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let is_absent = |error: &io::Error| {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(error.kind(), NotFound | NotADirectory)
    };
    match path.symlink_metadata() {
        Err(error) if is_absent(&error) => return Ok(None),
        other => other?,
    };
    // Looked at before it is opened: to open a pipe is to wait for who writes it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 64 KB"));
    }
    Ok(Some(bytes))
}

/// The text of the file, or the line where it is none.
fn utf8(bytes: &[u8]) -> Result<&str, (usize, String)> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (line, "not UTF-8 text: save the file as UTF-8".to_owned())
    })
}

/// What the text sets, or the line and the words of what is wrong.
fn parse(text: &str) -> Result<Config, (usize, String)> {
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let mut config: Config = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let reason = error.message().split_whitespace().collect::<Vec<_>>();
        (line(at), with_allowed(reason.join(" ")))
    })?;
    let keymap = config.keys.keymap();
    config.written = written(text);
    let told = |wrong: Wrong| (line(wrong.span.start), wrong.reason);
    config.keymap = keymap.map_err(told)?;
    config.theme = config.theme_table.theme().map_err(told)?;
    for (count, what) in [(config.stun.len(), "stun"), (config.turn.len(), "turn")] {
        if count > SERVERS_MAX {
            let reason = format!("`{what}` has {count} servers, {SERVERS_MAX} are allowed");
            return Err((text.lines().count(), reason));
        }
    }
    Ok(config)
}

/// The words of the TOML reader name kinds; what is to be written stands beside them.
fn with_allowed(reason: String) -> String {
    if reason.contains("expected a boolean") {
        reason + ": true or false"
    } else if reason.contains("expected a sequence") {
        reason + ": a list like [\"one\", \"two\"]"
    } else if reason.contains("expected a string") {
        reason + ": words in \"quotes\""
    } else {
        reason
    }
}

/// What a file that was understood sets, as `table.key`.
fn written(text: &str) -> BTreeSet<String> {
    let table: toml::Table = text.parse().unwrap_or_default();
    let mut written = BTreeSet::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(inner) => written.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            None => {
                written.insert(name.clone());
            }
        }
    }
    written
}

/// The beginning of what stands in the file, fit to be shown in an error.
fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(CHARACTERS_MAX).collect()
}

impl Password {
    /// The secret itself, for the server alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Config {
    /// Without who we are to a server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("relay_only", &self.relay_only)
            .field("stun", &self.stun.len())
            .field("turn", &self.turn.len())
            .finish()
    }
}

impl Address {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
    fn parse(text: &str, port_default: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':')?),
                };
                (host, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => port_default,
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let host = host.to_owned();
        (!host.is_empty() && host.chars().all(is_host)).then_some(Self { host, port })
    }
}

impl TryFrom<String> for StunUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        let address = text.strip_prefix("stun:").ok_or(UrlError::Stun)?;
        Address::parse(address, 3_478)
            .map(Self)
            .ok_or(UrlError::Stun)
    }
}

impl TryFrom<String> for TurnUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        let (rest, is_tcp) = match text.split_once("?transport=") {
            Some((rest, "tcp")) => (rest, true),
            Some((rest, "udp")) => (rest, false),
            Some(_) => return Err(UrlError::Turn),
            None => (text.as_str(), false),
        };
        let (address, is_tls, port) = match rest.split_once(':') {
            Some(("turn", address)) => (address, false, 3_478),
            Some(("turns", address)) => (address, true, 5_349),
            _ => return Err(UrlError::Turn),
        };
        let address = Address::parse(address, port).ok_or(UrlError::Turn)?;
        Ok(Self {
            address,
            is_tls,
            is_tcp,
        })
    }
}

#[cfg(test)]
mod tests;

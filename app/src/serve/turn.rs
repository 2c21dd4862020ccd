//! TURN for the calls of a server's people: another's coturn that is pointed at, or one that is started here. Clients get
//! credentials that expire from the directory, against the same proof as a token.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hullo_proto::service::turn::{TurnIssuer, URLS_MAX};
use zeroize::Zeroizing;

use super::certificate::keep;
use super::{ServeError, seed};
use crate::config::TurnUrl;

pub(super) use coturn::Coturn;
pub use coturn::{GUARD, guard};

mod coturn;

/// Its usual port (RFC 8656 §18.6).
const PORT: u16 = 3_478;
/// What the operator is told where coturn runs here: its own port and those it relays on (its defaults).
pub(super) const STARTED: &str = "A TURN server runs here and carries calls for those who cannot reach each other: open TCP and UDP 3478, and UDP 49152-65535 (its relays), in the firewall too.";
/// A secret is some 60 bytes; a larger file is something else.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Allocations of one user name: both sessions of a call, over two address families, twice.
const USER_QUOTA: u32 = 12;
/// Allocations of all.
const TOTAL_QUOTA: u32 = 1_200;

/// Networks that nobody may reach through the relay: the server's own, and those behind it. A relay that carries into
/// them is a hole in the firewall (CVE-2020-26262).
const DENIED: [&str; 20] = [
    "0.0.0.0-0.255.255.255",
    "10.0.0.0-10.255.255.255",
    "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255",
    "172.16.0.0-172.31.255.255",
    "192.0.0.0-192.0.0.255",
    "192.168.0.0-192.168.255.255",
    "198.51.100.0-198.51.100.255",
    "203.0.113.0-203.0.113.255",
    "224.0.0.0-255.255.255.255",
    "::",
    "::1",
    "::ffff:0:0-::ffff:ffff:ffff",
    "64:ff9b::-64:ff9b::ffff:ffff",
    "100::-100::ffff:ffff:ffff:ffff",
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

/// What the operator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TurnChoice {
    /// None: calls go directly or over servers that people name themselves.
    #[default]
    None,
    /// Servers that run already, and the file with the secret they share.
    Elsewhere(Vec<String>, PathBuf),
    /// One on this machine.
    Start,
}

impl TurnChoice {
    /// Reads `--turn` and `--turn-secret`; in words what is wrong.
    ///
    /// # Errors
    /// Wrong use.
    pub fn parse(turn: &[String], secret: Option<PathBuf>) -> Result<Self, String> {
        match (turn, secret) {
            ([], None) => Ok(Self::None),
            ([], Some(_)) => Err("--turn-secret belongs to a --turn URL.".to_owned()),
            ([word], None) if word == "start" => Ok(Self::Start),
            ([word], Some(_)) if word == "start" => {
                Err("--turn start makes its own secret: leave --turn-secret out.".to_owned())
            }
            (_, None) => Err(
                "--turn URL needs --turn-secret FILE with the server's static-auth-secret."
                    .to_owned(),
            ),
            (urls, Some(secret)) => {
                if urls.len() > URLS_MAX {
                    return Err(format!("{URLS_MAX} TURN servers are enough."));
                }
                for url in urls {
                    TurnUrl::try_from(url.clone()).map_err(|error| format!("`{url}`: {error}."))?;
                }
                Ok(Self::Elsewhere(urls.to_vec(), secret))
            }
        }
    }
}

/// What the directory hands out, and the process if it runs here.
pub(super) fn start(
    choice: &TurnChoice,
    folder: &Path,
    host: IpAddr,
) -> Result<(Option<TurnIssuer>, Option<Coturn>), ServeError> {
    match choice {
        TurnChoice::None => Ok((None, None)),
        TurnChoice::Elsewhere(urls, path) => {
            let secret = read_secret(path)?;
            Ok((Some(TurnIssuer::new(urls.clone(), secret)), None))
        }
        TurnChoice::Start => {
            let path = folder.join("turn.secret");
            let made = Zeroizing::new(HEXLOWER.encode(&seed()?));
            if !path.exists() {
                keep(&path, made.as_bytes()).map_err(|error| failed(&path, &error))?;
            }
            let secret = read_secret(&path)?;
            let at = SocketAddr::new(host, PORT);
            let coturn = Coturn::start(&configure(folder, host, &secret)?, at)?;
            let urls = vec![format!("turn:{at}"), format!("turn:{at}?transport=tcp")];
            Ok((Some(TurnIssuer::new(urls, secret)), Some(coturn)))
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> ServeError {
    ServeError::TurnSecret {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, ServeError> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| failed(path, &error))?;
    let secret = text.trim();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = io::Error::other("it must hold one line of printable characters");
        return Err(failed(path, &reason));
    }
    Ok(Zeroizing::new(secret.as_bytes().to_vec()))
}

/// Writes a configuration for coturn, which only we can read: it holds the secret.
fn configure(folder: &Path, host: IpAddr, secret: &[u8]) -> Result<PathBuf, ServeError> {
    let text = Zeroizing::new(configuration(
        folder,
        host,
        &String::from_utf8_lossy(secret),
    ));
    let path = folder.join("turn.conf");
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| failed(&path, &error))?;
    Ok(path)
}

fn configuration(folder: &Path, host: IpAddr, secret: &str) -> String {
    let folder = folder.display();
    let mut text = format!(
        "listening-port={PORT}\nlistening-ip={host}\nrelay-ip={host}\nuse-auth-secret\nstatic-auth-secret={secret}\n\
         realm=hullo\nfingerprint\nstale-nonce=600\nno-cli\nno-tls\nno-dtls\nno-tcp-relay\nno-multicast-peers\n\
         no-software-attribute\nuser-quota={USER_QUOTA}\ntotal-quota={TOTAL_QUOTA}\nlog-file=stdout\n\
         pidfile={folder}/turn.pid\nuserdb={folder}/turn.db\n"
    );
    for range in DENIED {
        writeln!(text, "denied-peer-ip={range}").expect("a String takes any text");
    }
    // Two people on one relay meet at its own address.
    writeln!(text, "allowed-peer-ip={host}").expect("a String takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_private_network_is_denied_and_only_the_relay_itself_allowed() {
        let host = IpAddr::from([203, 0, 113, 9]);
        let text = configuration(Path::new("/x"), host, "north");
        for part in [
            "denied-peer-ip=10.0.0.0-10.255.255.255",
            "denied-peer-ip=127.0.0.0-127.255.255.255",
            "denied-peer-ip=169.254.0.0-169.254.255.255",
            "denied-peer-ip=100.64.0.0-100.127.255.255",
            "denied-peer-ip=::1\n",
            "denied-peer-ip=::ffff:0:0-::ffff:ffff:ffff",
            "no-tcp-relay",
            "no-multicast-peers",
            "user-quota=",
            "no-cli",
            "allowed-peer-ip=203.0.113.9\n",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(text.matches("allowed-peer-ip").count(), 1);
    }

    #[test]
    fn the_command_line_is_checked_in_words() {
        let parse = |turn: &[&str], secret: Option<&str>| {
            let turn: Vec<String> = turn.iter().map(|&word| word.to_owned()).collect();
            TurnChoice::parse(&turn, secret.map(PathBuf::from))
        };
        assert_eq!(parse(&[], None), Ok(TurnChoice::None));
        assert_eq!(parse(&["start"], None), Ok(TurnChoice::Start));
        assert!(parse(&["turn:a.example"], Some("s")).is_ok());
        assert!(
            parse(&["turn:a.example"], None)
                .unwrap_err()
                .contains("--turn-secret")
        );
        assert!(
            parse(&["http://a.example"], Some("s"))
                .unwrap_err()
                .contains("turn:HOST")
        );
        assert!(parse(&[], Some("s")).unwrap_err().contains("--turn URL"));
    }

    #[test]
    fn a_secret_is_one_line_and_its_file_is_named_where_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "north\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"north");
        std::fs::write(&path, "\n").unwrap();
        let words = read_secret(&path).unwrap_err().to_string();
        assert!(
            words.contains("secret") && words.contains("one line"),
            "{words}"
        );
    }
}

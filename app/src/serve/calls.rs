//! Group calls of a server: where media comes in, who may have tokens, and the key they are made with.

use std::collections::HashSet;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use hullo_proto::service::token::TokenKey;
use hullo_proto::service::turn::TurnIssuer;
use hullo_relay::server::Peer;
use hullo_sfu::directory::{Announcement, Policy};
use hullo_sfu::server::{ClientAddress, Options, Sfu};
use hullo_signalling::server_url::ServerUrl;
use zeroize::Zeroizing;

use super::certificate::keep;
use super::{ServeError, ServeOptions, TurnChoice, outside, seed};

/// A list of people is some 60 bytes for each.
const ALLOW_BYTES_MAX: u64 = 8 << 20;

/// How group calls are served.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Where media comes in; otherwise at the address and port of the server itself.
    pub udp: Option<SocketAddr>,
    /// Threads that forward, each with a port of its own after the first. Otherwise one for each core.
    pub shards: Option<NonZeroUsize>,
    /// People in one call at most, 2 to 64; otherwise as many as the forwarding unit takes.
    pub participants_max: Option<NonZeroUsize>,
    /// TURN servers for calls between two.
    pub turn: TurnChoice,
    /// A file with the keys of those who may call; without it everybody may who knows the server.
    pub allow: Option<PathBuf>,
}

/// Where media of group calls comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPorts {
    /// What clients are told.
    pub addresses: Vec<IpAddr>,
    /// UDP, one for each thread that forwards.
    pub ports: Vec<u16>,
    /// People in one call at most.
    pub participants_max: usize,
    /// Calls at once at most, in all.
    pub calls_max: usize,
    /// People in all calls at most.
    pub people_max: usize,
}

impl MediaPorts {
    /// What others must be able to reach, in words; `tcp`: the server's own port.
    #[must_use]
    pub fn firewall_words(&self, tcp: u16) -> String {
        let udp = match self.ports[..] {
            [first, .., last]
                if usize::from(last.saturating_sub(first)) + 1 == self.ports.len() =>
            {
                format!("UDP {first}-{last}")
            }
            _ => {
                let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
                format!("UDP {}", ports.join(", "))
            }
        };
        format!(
            "Others must reach TCP {tcp} (messages, setting up calls) and {udp} (group calls): open these in the firewall."
        )
    }

    /// What is taken at most, in words.
    #[must_use]
    pub fn limit_words(&self) -> String {
        format!(
            "Limits: {} people in a group call, {} calls and {} people in all.",
            self.participants_max, self.calls_max, self.people_max
        )
    }

    /// Where media comes in, as clients are told.
    #[must_use]
    pub fn socket_addresses(&self) -> Vec<SocketAddr> {
        let of_port = |&port: &u16| {
            let addresses = self.addresses.iter();
            addresses.map(move |&address| SocketAddr::new(address, port))
        };
        self.ports.iter().flat_map(of_port).collect()
    }
}

/// The SFU and its ports, `host` being in the server's URL; `None` if no IPv4 address can be told to clients.
pub(super) fn start(
    options: &ServeOptions,
    folder: &Path,
    bound: SocketAddr,
    host: IpAddr,
    url: &ServerUrl,
    turn: Option<TurnIssuer>,
) -> Result<Option<(Sfu, MediaPorts)>, ServeError> {
    let listened = options.listen.ip();
    let addresses = announced(host, listened, options.announce.is_none());
    if !addresses.iter().any(IpAddr::is_ipv4) {
        return Ok(None);
    }
    // Any free port for the server is any free port for media: the same number may be taken by somebody else.
    let port = if options.listen.port() == 0 {
        0
    } else {
        bound.port()
    };
    let udp = (options.calls.udp).unwrap_or(SocketAddr::new(listened, port));
    let announcement = Announcement {
        base_url: url.to_string(),
        allowed_hostname_suffixes: vec![host_of(host)],
        turn,
    };
    let key = token_key(&folder.join("token.key"))?;
    let mut sfu = Options::new(udp, addresses.clone(), key, announcement, seed()?);
    sfu.shards = (options.calls.shards).map_or(sfu.shards, NonZeroUsize::get);
    sfu.participants_max =
        (options.calls.participants_max).map_or(sfu.participants_max, NonZeroUsize::get);
    if let Some(path) = &options.calls.allow {
        sfu.policy = Policy::Only(allowed(path)?);
    }
    let (participants_max, shards) = (sfu.participants_max, sfu.shards);
    let (calls_max, people_max) = (sfu.calls_max * shards, sfu.participants_total_max * shards);
    let sfu = Sfu::start(sfu)?;
    let media = MediaPorts {
        addresses,
        ports: sfu.ports(),
        participants_max,
        calls_max,
        people_max,
    };
    Ok(Some((sfu, media)))
}

/// The SFU's routes, which want to know who asks.
pub(super) fn router(calls: &Arc<Sfu>) -> Router {
    calls.router().layer(from_fn(tell_address))
}

async fn tell_address(mut request: Request, next: Next) -> Response {
    if let Some(Peer(address)) = request.extensions().get().copied() {
        let address = ClientAddress(limited(address));
        request.extensions_mut().insert(address);
    }
    next.run(request).await
}

/// The home of limits: an IPv4 address, or all of an IPv6 network, of which a customer has at least one.
fn limited(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

/// As in a URL.
fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// What clients are told: one IPv4 address, which every client can use, and one IPv6 address where that is listened on.
fn announced(host: IpAddr, listened: IpAddr, is_free: bool) -> Vec<IpAddr> {
    let mut addresses = vec![host];
    // Who names an IPv4 address means it; who names an IPv6 address still needs the other.
    if listened.is_unspecified() && (is_free || host.is_ipv6()) {
        let others = outside().into_iter();
        let mut others = others.filter(|other| other.is_ipv4() != host.is_ipv4());
        addresses.extend(others.find(|other| other.is_ipv4() || listened.is_ipv6()));
    }
    addresses
}

/// The key in `path`, which is made when it is not there: tokens stay good across restarts.
fn token_key(path: &Path) -> Result<TokenKey, ServeError> {
    let failed = |reason: String| ServeError::TokenKey {
        path: path.to_owned(),
        reason,
    };
    let stored = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = Zeroizing::new(seed()?);
            keep(path, &*made)
        }
        read => read,
    };
    let stored = Zeroizing::new(stored.map_err(|error| failed(error.to_string()))?);
    let key = <[u8; 32]>::try_from(&**stored).map(Zeroizing::new);
    let key = key.map_err(|_| failed(format!("it has {} bytes, not 32", stored.len())))?;
    Ok(TokenKey::from_bytes(*key))
}

/// The keys in a file, one in each line: base64 of 32 bytes, and behind it what the operator likes. `#` begins a comment.
fn allowed(path: &Path) -> Result<HashSet<[u8; 32]>, ServeError> {
    let failed = |reason: String| ServeError::AllowList {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(ALLOW_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > ALLOW_BYTES_MAX {
        return Err(failed("it is larger than 8 MiB".to_owned()));
    }
    parse_allowed(&text).map_err(|line| {
        failed(format!(
            "line {line} does not begin with a key, 43 letters and digits as `hullo name --json` shows it"
        ))
    })
}

/// The keys, or the number of the first line that is wrong.
fn parse_allowed(text: &str) -> Result<HashSet<[u8; 32]>, usize> {
    let mut keys = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let Some(word) = line.split_whitespace().next() else {
            continue;
        };
        let word = word.trim_end_matches('=');
        let decoded = BASE64_URL_SAFE_NO_PAD
            .decode(word)
            .or_else(|_| BASE64_STANDARD_NO_PAD.decode(word));
        let key = decoded.ok().and_then(|bytes| bytes.try_into().ok());
        keys.insert(key.ok_or(number + 1)?);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_list_holds_keys_with_remarks_and_its_first_wrong_line_is_named() {
        let (ann, bob) = ([0xfb; 32], [7; 32]);
        let (ann_text, bob_text) = (
            BASE64_URL_SAFE_NO_PAD.encode(ann),
            base64::prelude::BASE64_STANDARD.encode(bob),
        );
        let text = format!("# people\n\n{ann_text} ann, since May\n  {bob_text}# bob\n");
        assert_eq!(parse_allowed(&text), Ok(HashSet::from([ann, bob])));
        assert_eq!(parse_allowed(&format!("{text}ABCD2345\n")), Err(5));
        assert_eq!(parse_allowed(&ann_text[1..]), Err(1));
        assert_eq!(parse_allowed(""), Ok(HashSet::new()));
    }

    #[test]
    fn the_firewall_is_told_ranges_and_lists() {
        let words = |ports: &[u16]| {
            let media = MediaPorts {
                addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
                ports: ports.to_vec(),
                participants_max: 64,
                calls_max: 1_000,
                people_max: 2_000,
            };
            media.firewall_words(443)
        };
        assert!(words(&[4433]).contains("TCP 443 ") && words(&[4433]).contains("UDP 4433 "));
        assert!(words(&[4433, 4434, 4435]).contains("UDP 4433-4435 "));
        assert!(words(&[50_000, 41_000]).contains("UDP 50000, 41000 "));
    }

    #[test]
    fn limits_are_for_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| limited(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn what_was_named_is_announced_and_nothing_beside_it() {
        let (v4, v6) = (
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        );
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(announced(v4, everywhere, false), [v4]);
        assert_eq!(announced(v4, v4, true), [v4]);
        assert_eq!(announced(v6, v6, true), [v6]);
        assert_eq!(host_of(v6), "[::1]");
    }
}

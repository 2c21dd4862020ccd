//! The STUN and TURN servers of calls: from names to addresses, without waiting.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;

use hullo_media::reach::{Carrier, Policy, StunServer, TurnServer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::config::{Address, Config};

/// Addresses taken of one name: the first of each family answers or none does.
const ADDRESSES_OF_NAME_MAX: usize = 2;

/// A TURN server as somebody named it.
#[derive(Clone)]
pub struct NamedTurn {
    /// Where.
    pub address: Address,
    /// How it is spoken to.
    pub carrier: Carrier,
    /// Who we are there.
    pub username: String,
    /// The proof of it.
    pub password: Zeroizing<String>,
}

/// What calls may use.
#[derive(Clone)]
pub struct CallServers {
    /// Which addresses the other side may be told.
    pub policy: Policy,
    /// Asked for our address as others see it.
    pub stun: Vec<Address>,
    /// Carry calls.
    pub turn: Vec<NamedTurn>,
    /// Certificates trusted beside the public ones, for TURN over TLS.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// What became of a name.
pub enum Resolved {
    /// A STUN server's addresses.
    Stun(Vec<StunServer>),
    /// A TURN server's addresses.
    Turn(Vec<TurnServer>),
    /// Nobody knows this name; why, in words.
    Unknown(String),
}

impl CallServers {
    /// Direct calls, and nobody to ask.
    pub fn none() -> Self {
        Self {
            policy: Policy::All,
            stun: Vec::new(),
            turn: Vec::new(),
            authorities: Vec::new(),
        }
    }

    /// What the settings say, and what is wrong with a file they name.
    pub fn of(config: &Config) -> (Self, Vec<String>) {
        let mut troubles = Vec::new();
        let mut authorities = Vec::new();
        let turn = config.turn.iter().map(|server| {
            if let Some(path) = &server.authority {
                match CertificateDer::from_pem_file(path) {
                    Ok(certificate) => authorities.push(certificate),
                    Err(error) => troubles.push(format!(
                        "{} holds no certificate that can be read ({error}): TURN server {} will not be trusted",
                        path.display(),
                        server.url.address.host
                    )),
                }
            }
            NamedTurn {
                address: server.url.address.clone(),
                carrier: match (server.url.is_tls, server.url.is_tcp) {
                    (true, _) => Carrier::Tls,
                    (false, true) => Carrier::Tcp,
                    (false, false) => Carrier::Udp,
                },
                username: server.username.clone(),
                password: Zeroizing::new(server.password.reveal().to_owned()),
            }
        });
        let turn = turn.collect();
        let policy = if config.relay_only {
            Policy::RelayOnly
        } else {
            Policy::All
        };
        let servers = Self {
            policy,
            stun: config.stun.iter().map(|url| url.0.clone()).collect(),
            turn,
            authorities,
        };
        (servers, troubles)
    }

    /// Whether a call can come about at all.
    pub fn allows_calls(&self) -> bool {
        self.policy == Policy::All || !self.turn.is_empty()
    }
}

impl fmt::Debug for CallServers {
    /// Without names and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallServers")
            .field("policy", &self.policy)
            .field("stun", &self.stun.len())
            .field("turn", &self.turn.len())
            .finish_non_exhaustive()
    }
}

/// Asks the system for all names, each on a thread of its own, for one that is not answered must not hold up the rest.
pub fn resolve(servers: &CallServers, told: impl Fn(Resolved) + Send + Sync + 'static) {
    let told: Arc<dyn Fn(Resolved) + Send + Sync> = Arc::new(told);
    // What a STUN server sees of us is our address.
    let stun = (servers.stun.iter()).filter(|_| servers.policy == Policy::All);
    for address in stun.cloned() {
        let told = Arc::clone(&told);
        crate::threads::detach("resolve", move || {
            told(match look_up(&address) {
                Ok(found) => Resolved::Stun(
                    (found.into_iter())
                        .map(|at| StunServer {
                            name: address.host.clone(),
                            address: at,
                        })
                        .collect(),
                ),
                Err(words) => Resolved::Unknown(words),
            });
        });
    }
    for server in servers.turn.clone() {
        let told = Arc::clone(&told);
        crate::threads::detach("resolve", move || {
            told(match look_up(&server.address) {
                Ok(found) => Resolved::Turn(
                    (found.into_iter())
                        .map(|at| TurnServer {
                            name: server.address.host.clone(),
                            address: at,
                            carrier: server.carrier,
                            via: route(at),
                            username: server.username.clone(),
                            password: server.password.clone(),
                        })
                        .collect(),
                ),
                Err(words) => Resolved::Unknown(words),
            });
        });
    }
}

/// The first address of each family.
pub(crate) fn look_up(address: &Address) -> Result<Vec<SocketAddr>, String> {
    let host = &address.host;
    let found = (host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| format!("server {host} could not be found: {error}"))?;
    let mut kept: Vec<SocketAddr> = Vec::new();
    for at in found {
        if kept.iter().all(|known| known.is_ipv4() != at.is_ipv4()) {
            kept.push(at);
        }
    }
    kept.truncate(ADDRESSES_OF_NAME_MAX);
    if kept.is_empty() {
        return Err(format!("server {host} has no address"));
    }
    Ok(kept)
}

/// Which of our addresses the system would use towards this one. Nothing is sent.
pub(crate) fn route(to: SocketAddr) -> Option<IpAddr> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

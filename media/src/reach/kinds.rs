//! What goes into the search for ways and what comes out of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::turn::{TurnServer, TurnTrouble};

/// Which candidates may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All of them.
    All,
    /// Relayed ones alone: the peer must not see our address.
    RelayOnly,
}

/// A STUN server, its name resolved.
#[derive(Clone, PartialEq, Eq)]
pub struct StunServer {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
}

/// One of our addresses, as ICE knows them (RFC 8445 §5.1.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LocalCandidate {
    /// A socket of ours.
    Host(SocketAddr),
    /// What a STUN server sees of it.
    Reflexive {
        /// Seen from outside.
        address: SocketAddr,
        /// The socket.
        base: SocketAddr,
    },
    /// An address at a TURN server. Datagrams from it go through [`Input::Send`].
    Relayed {
        /// At the server.
        address: SocketAddr,
        /// Ours, towards the server. Never told.
        base: SocketAddr,
    },
}

/// Numbers the streams of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// One change.
pub enum Input<'a> {
    /// Time passed.
    Timeout,
    /// A socket of ours.
    Local(SocketAddr),
    /// A socket whose address the machine no longer has.
    LocalGone(SocketAddr),
    /// Servers whose names are resolved. Those already known are not asked twice.
    Servers(&'a [StunServer], &'a [TurnServer]),
    /// A datagram for which [`super::Reach::owns`] said yes.
    Datagram {
        /// The server.
        source: SocketAddr,
        /// Our socket.
        destination: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// A stream stands; our end of it.
    Opened(StreamId, SocketAddr),
    /// Bytes came on a stream.
    Data(StreamId, &'a [u8]),
    /// A stream ended or never stood; why, in words.
    Closed(StreamId, &'a str),
    /// A datagram for a peer, from a relayed address.
    Send {
        /// Ours, at the server.
        relayed: SocketAddr,
        /// Where to.
        peer: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// Give everything back.
    Close,
}

/// What comes out.
pub enum Output {
    /// A datagram for a server.
    Transmit {
        /// From this socket.
        source: SocketAddr,
        /// To this server.
        destination: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Connect a stream.
    Connect {
        /// Its number from now on.
        stream: StreamId,
        /// Where to.
        destination: SocketAddr,
        /// Speak TLS to a server of this name.
        tls: Option<String>,
    },
    /// Bytes for a stream.
    Write(StreamId, Vec<u8>),
    /// A stream is no longer needed.
    Disconnect(StreamId),
    /// Something happened.
    Event(Event),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// Something happened.
pub enum Event {
    /// One more way to be reached.
    Candidate(LocalCandidate),
    /// One less.
    Gone(LocalCandidate),
    /// A datagram of a peer came through a relay.
    Received {
        /// Ours, at the server.
        relayed: SocketAddr,
        /// Who sent it.
        peer: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// For people: how far it got.
    Step(Step),
}

/// How far the search for ways came, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A STUN server answered.
    Reflexive,
    /// A STUN server of this name did not: UDP may be blocked.
    StunSilent(String),
    /// A relay of this name carries us.
    Relayed(String),
    /// A relay of this name does not.
    RelayFailed(String, TurnTrouble),
    /// A relay of this name does not let us talk to an address of the peer.
    PeerRefused(String),
    /// No relay was left to try, and nothing else may be used.
    NoRelay,
}

impl fmt::Display for Step {
    /// A sentence without its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reflexive => f.write_str("the STUN server answered"),
            Self::StunSilent(name) => {
                write!(
                    f,
                    "STUN server {name} did not answer: UDP may be blocked here"
                )
            }
            Self::Relayed(name) => write!(f, "relay {name} is ready"),
            Self::RelayFailed(name, trouble) => write!(f, "relay {name}: {trouble}"),
            Self::PeerRefused(name) => {
                write!(
                    f,
                    "relay {name} refuses to carry to an address of the other side (403)"
                )
            }
            Self::NoRelay => {
                f.write_str("no TURN server could be used, and relay_only allows nothing else")
            }
        }
    }
}

impl LocalCandidate {
    /// The socket of ours behind it.
    pub fn base(&self) -> SocketAddr {
        match self {
            Self::Host(address) => *address,
            Self::Reflexive { base, .. } | Self::Relayed { base, .. } => *base,
        }
    }
}

impl fmt::Debug for LocalCandidate {
    /// Without the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host(_) => "Host",
            Self::Reflexive { .. } => "Reflexive",
            Self::Relayed { .. } => "Relayed",
        })
    }
}

impl fmt::Debug for StunServer {
    /// Without its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StunServer")
    }
}

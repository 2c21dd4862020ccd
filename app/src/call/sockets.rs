//! The UDP sockets of a call: one for each local address, because ICE tells them apart.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

/// Addresses used at most. A machine with more has bridges and containers that no peer reaches.
const ADDRESSES_MAX: usize = 8;
/// Kernel buffers: a key frame arrives as a burst while the thread may be busy. Larger costs memory only.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;
/// Sockets of a call at most: those of two sessions, and of addresses that came meanwhile.
const SOCKETS_MAX: usize = 4 * ADDRESSES_MAX;
/// Datagrams read from one socket before the others get their turn.
pub const BATCH_MAX: usize = 64;

/// Which of the machine's addresses a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything but loopback.
    Network,
    /// Loopback alone: the server is on this machine, so the peer is too.
    Loopback,
}

/// The open sockets.
pub struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    last_token: usize,
}

impl Sockets {
    /// Binds a socket on each usable address and registers them under tokens `0..`.
    ///
    /// # Errors
    /// The machine's: no address could be bound at all.
    pub fn open(registry: &Registry, reach: Reach) -> io::Result<Self> {
        let mut sockets = Self {
            sockets: Vec::new(),
            last_token: 0,
        };
        let mut last_error = None;
        for ip in addresses(reach) {
            last_error = sockets.add(registry, ip).err().or(last_error);
        }
        if sockets.is_empty() {
            return Err(last_error.unwrap_or_else(|| {
                io::Error::new(
                    ErrorKind::AddrNotAvailable,
                    "this machine has no network address",
                )
            }));
        }
        Ok(sockets)
    }

    /// Binds one more socket and registers it under the next token.
    ///
    /// # Errors
    /// The machine's, or there are too many already.
    pub fn add(&mut self, registry: &Registry, ip: IpAddr) -> io::Result<SocketAddr> {
        if self.sockets.len() >= SOCKETS_MAX {
            return Err(io::Error::other("too many sockets"));
        }
        let mut socket = bind(ip)?;
        registry.register(&mut socket, Token(self.last_token), Interest::READABLE)?;
        self.last_token += 1;
        let address = socket.local_addr()?;
        self.sockets.push((address, socket));
        Ok(address)
    }

    /// Closes sockets.
    pub fn close(&mut self, which: impl Fn(SocketAddr) -> bool) {
        self.sockets.retain(|(address, _)| !which(*address));
    }

    /// The addresses bound, with their ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Always false: opening fails instead.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// One waiting datagram of socket `index`: its length, sender and our address. `None` when none waits.
    pub fn receive(
        &self,
        index: usize,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr, SocketAddr)> {
        let (address, socket) = self.sockets.get(index)?;
        loop {
            match socket.recv_from(buffer) {
                Ok((length, source)) => return Some((length, source, *address)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // An earlier send was refused by its target (ICMP): a hint, not an end.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends from the socket bound to `source`. A datagram that cannot leave is lost, as on any network.
    pub fn send(&self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        if let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == source) {
            // Lost datagrams are what the protocol above expects.
            let _ = socket.send_to(bytes, destination);
        }
    }
}

fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    let domain = if ip.is_ipv4() {
        socket2::Domain::IPV4
    } else {
        socket2::Domain::IPV6
    };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // The kernel may grant less; a smaller buffer is still a buffer.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(ip, 0).into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// The machine's addresses that a call may use, at most `ADDRESSES_MAX`.
pub fn addresses(reach: Reach) -> Vec<IpAddr> {
    if reach == Reach::Loopback {
        return vec![IpAddr::from([127, 0, 0, 1])];
    }
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(|interface| interface.ip())
        .collect();
    // IPv4 first: candidates are tried in this order and it is what most homes reach.
    addresses.sort_by_key(|ip| !ip.is_ipv4());
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

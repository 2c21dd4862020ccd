//! The `call` thread's sockets and streams, and how it notices that the machine's addresses change.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::super::engine::{Input, Output};
use super::super::servers::Resolved;
use super::super::sockets::{Reach, Sockets, addresses};
use super::super::streams::{StreamEvent, Streams};
use super::{Driver, DriverEvent};

/// The machine's addresses are looked at this often, which takes microseconds. Rarer notices a change of network later.
const ADDRESSES_INTERVAL: Duration = Duration::from_millis(500);
/// Of all streams: each is asked whenever the thread wakes.
const STREAMS: Token = Token(usize::MAX - 1);

/// Everything that reaches outside.
pub(super) struct Network {
    registry: Registry,
    reach: Reach,
    pub(super) sockets: Sockets,
    streams: Streams,
    known: Vec<IpAddr>,
    looked_at: Option<Instant>,
}

impl Network {
    pub(super) fn new(
        registry: Registry,
        reach: Reach,
        sockets: Sockets,
        streams: Streams,
    ) -> Self {
        let known = sockets.addresses().iter().map(SocketAddr::ip).collect();
        Self {
            registry,
            reach,
            sockets,
            streams,
            known,
            looked_at: None,
        }
    }

    pub(super) fn wait_max(&self, now: Instant) -> Duration {
        match (self.reach, self.looked_at) {
            (Reach::Loopback, _) => Duration::MAX,
            (Reach::Network, None) => Duration::ZERO,
            (Reach::Network, Some(at)) => (at + ADDRESSES_INTERVAL).saturating_duration_since(now),
        }
    }

    /// Sockets for one more session.
    pub(super) fn bind(&mut self) -> Vec<SocketAddr> {
        let ips = addresses(self.reach).into_iter();
        let bound = ips.filter_map(|ip| self.sockets.add(&self.registry, ip).ok());
        bound.collect()
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit {
                source,
                destination,
                bytes,
            } => self.sockets.send(source, destination, &bytes),
            Output::Release(unused) => self.sockets.close(|address| unused.contains(&address)),
            Output::Connect {
                stream,
                destination,
                tls,
            } => {
                let name = tls.as_deref();
                self.streams
                    .connect(&self.registry, STREAMS, stream, destination, name);
            }
            Output::Write(stream, bytes) => self.streams.write(stream, &bytes),
            Output::Disconnect(stream) => self.streams.disconnect(stream),
            Output::Send(_) | Output::Event(_) | Output::Bind(_) | Output::Timeout(_) => {}
        }
    }

    /// Addresses that came and went since the last look, if one is due.
    fn changes(&mut self, now: Instant) -> Option<(Vec<SocketAddr>, Vec<IpAddr>)> {
        let is_first = self.looked_at.is_none();
        if self.wait_max(now) > Duration::ZERO {
            return None;
        }
        self.looked_at = Some(now);
        let is = addresses(self.reach);
        if is_first || is == self.known {
            return None;
        }
        let gone: Vec<IpAddr> = (self.known.iter())
            .filter(|known| !is.contains(known))
            .copied()
            .collect();
        let new: Vec<IpAddr> = (is.iter())
            .filter(|ip| !self.known.contains(ip))
            .copied()
            .collect();
        self.sockets.close(|address| gone.contains(&address.ip()));
        let new: Vec<SocketAddr> = (new.into_iter())
            .filter_map(|ip| self.sockets.add(&self.registry, ip).ok())
            .collect();
        // What could not be bound yet is tried again at the next look.
        self.known.retain(|ip| !gone.contains(ip));
        self.known.extend(new.iter().map(SocketAddr::ip));
        Some((new, gone))
    }
}

impl Driver {
    /// Tells the engine of addresses that came and went: the new ones first, so that there is a way before one is lost.
    pub(super) fn look_at_addresses(&mut self) {
        let Some((new, gone)) = self.network.changes(Instant::now()) else {
            return;
        };
        if new.is_empty() && gone.is_empty() {
            return;
        }
        let gone_is_empty = gone.is_empty();
        for address in new {
            self.input(Input::Local(address));
        }
        for ip in gone {
            self.input(Input::LocalGone(ip));
        }
        self.dispatch
            .step("the addresses of this machine have changed");
        if !gone_is_empty {
            self.dispatch.tell(DriverEvent::AddressesLost);
        }
    }

    /// Takes what came on streams. True when more waits.
    pub(super) fn receive_streams(&mut self) -> bool {
        let (events, more) = self.network.streams.poll();
        for event in events {
            match event {
                StreamEvent::Opened(stream, local) => self.input(Input::Opened(stream, local)),
                StreamEvent::Data(stream, bytes) => self.input(Input::Data(stream, &bytes)),
                StreamEvent::Closed(stream, words) => self.input(Input::Closed(stream, words)),
            }
        }
        more
    }

    pub(super) fn resolved(&mut self, resolved: Resolved) {
        match resolved {
            Resolved::Stun(servers) => self.input(Input::Servers(servers, Vec::new())),
            Resolved::Turn(servers) => self.input(Input::Servers(Vec::new(), servers)),
            Resolved::Unknown(words) => self.dispatch.trouble(&words),
        }
    }
}

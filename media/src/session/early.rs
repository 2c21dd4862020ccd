//! The peer's first DTLS message, when it comes before our own check of the way was answered.
//!
//! Who leads ICE nominates with the first answered check and sends its ClientHello behind that. To the other side the
//! answer to its own check may come after it, on a line without any loss even; str0m takes no DTLS from an address it has
//! not checked. Dropped, it would come again after a second. So it waits here, if it is from where a check with our
//! password came from. What it says is checked by DTLS as ever.

use std::net::SocketAddr;

use str0m::net::{Protocol, Receive};

use super::Session;

/// Addresses whose checks were heard: a peer's, over each of ours; more try in vain.
const SOURCES_MAX: usize = 16;
/// Datagrams kept: a flight of DTLS is two or three.
const DATAGRAMS_MAX: usize = 8;

/// What came early.
#[derive(Default)]
pub(super) struct Early {
    sources: Vec<SocketAddr>,
    kept: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Early {
    /// A datagram that was accepted: remembers where checks come from.
    pub(super) fn heard(&mut self, source: SocketAddr, bytes: &[u8]) {
        // RFC 7983: below 4 it is STUN.
        let is_check = bytes.first().is_some_and(|first| *first < 4);
        if is_check && self.sources.len() < SOURCES_MAX && !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    /// A datagram that is not accepted yet. True: it may be later, and is kept for then.
    pub(super) fn keep(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let is_dtls = bytes.first().is_some_and(|first| (20..64).contains(first));
        let may_keep = is_dtls && self.sources.contains(&source) && self.kept.len() < DATAGRAMS_MAX;
        if may_keep {
            self.kept.push((source, destination, bytes.to_vec()));
        }
        may_keep
    }
}

impl Session {
    /// Takes what came early and may be taken now.
    pub(super) fn take_early(&mut self) {
        if self.connected {
            self.early = Early::default();
        }
        for (source, destination, bytes) in std::mem::take(&mut self.early.kept) {
            if self.accepts(source, destination, &bytes) {
                self.feed_datagram(source, destination, &bytes);
                self.drain();
            } else {
                self.early.kept.push((source, destination, bytes));
            }
        }
    }

    /// Whether str0m takes this datagram from there.
    pub(super) fn accepts(
        &self,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        Receive::new(Protocol::Udp, source, destination, bytes)
            .is_ok_and(|receive| self.rtc.accepts(&str0m::Input::Receive(self.now, receive)))
    }
}

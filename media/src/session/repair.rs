//! Pictures on a line that loses packets: what is sent again, what waits for it, and when only a key frame helps.
//!
//! The WebRTC library asks for lost packets (RFC 4585 NACK) and sends them again (RFC 4588). Beside that
//! - each picture on a lossy line is followed by parity ([`super::parity`]), which heals most losses without a round trip;
//! - where the far side reads none, what is sent again leaves twice, 15 ms apart, since a second loss costs a second round trip;
//! - pictures wait for those that need repair ([`Playout`]), so that they move evenly;
//! - a hole that was not repaired within two round trips asks for a key frame.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Event, Output, Session, setup};
use crate::playout::Playout;

/// Copies leave so much later: a burst of losses has often passed by then.
const COPY_AFTER: Duration = Duration::from_millis(15);
/// Copies waiting to leave. More than that were lost at once only in an outage.
const COPIES_MAX: usize = 64;
/// Pictures waiting to be shown: more than fit into the longest wait at 60 a second.
const PICTURES_MAX: usize = 32;
/// Beside two round trips: requests leave every 33 ms.
const REPAIR_SLACK: Duration = Duration::from_millis(80);
/// Round trip where none was measured.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);
/// Whole pictures that must have passed behind the hole before it is called one.
const PASSED_MIN: u32 = 2;

/// Copies and pictures that wait.
#[derive(Default)]
pub(super) struct Repair {
    copies: VecDeque<(Instant, Output)>,
    playout: Playout,
    pictures: VecDeque<(Instant, Event)>,
    /// Ends of pictures that arrived since the last whole picture, and when the first did.
    passed: u32,
    passed_since: Option<Instant>,
}

impl Repair {
    /// Looks at a datagram that came: the end of a picture counts.
    pub(super) fn arrived(&mut self, now: Instant, datagram: &[u8]) {
        let &[first, second, ..] = datagram else {
            return;
        };
        // The marker of the picture's stream itself (RFC 6184 §5.1), not of what is sent again.
        if (128..=191).contains(&first) && second == setup::H264_PT | 0x80 {
            self.passed = self.passed.saturating_add(1);
            self.passed_since.get_or_insert(now);
        }
    }

    /// Takes a whole picture until it is due.
    pub(super) fn picture(&mut self, now: Instant, media_time: u64, frame: Event, is_lossy: bool) {
        self.passed = 0;
        self.passed_since = None;
        let mut due = self.playout.due(now, media_time, is_lossy);
        if self.pictures.len() >= PICTURES_MAX {
            due = now;
            for waiting in &mut self.pictures {
                waiting.0 = now;
            }
        }
        self.pictures.push_back((due, frame));
    }

    pub(super) fn set_wait_max(&mut self, wait: Duration) {
        self.playout.set_wait_max(wait);
    }

    fn next(&self) -> Option<Instant> {
        let copy = self.copies.front().map(|(at, _)| *at);
        let picture = self.pictures.front().map(|(at, _)| *at);
        copy.into_iter().chain(picture).min()
    }
}

impl Session {
    /// When something of our own is due, before the library's `timeout`.
    pub(super) fn next_look(&self, timeout: Instant) -> Instant {
        let own = self.path.next_look().min(timeout);
        self.repair.next().map_or(own, |at| at.min(own))
    }

    pub(super) fn transmit(&mut self, source: SocketAddr, destination: SocketAddr, bytes: Vec<u8>) {
        let is_repair = matches!(bytes.as_slice(), &[first, second, ..]
            if (128..=159).contains(&first) && second & 0x7f == setup::H264_RTX_PT);
        if is_repair
            && !self.parity.0.is_on(self.now)
            && self.path.loses_at_random()
            && self.repair.copies.len() < COPIES_MAX
        {
            let copy = Output::Transmit {
                source,
                destination,
                bytes: bytes.clone(),
            };
            self.repair.copies.push_back((self.now + COPY_AFTER, copy));
        }
        self.outputs.push_back(Output::Transmit {
            source,
            destination,
            bytes,
        });
    }

    /// Parity follows its picture at once: it heals faster than anything that is asked for.
    pub(super) fn transmit_parity(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        parity: Vec<Vec<u8>>,
    ) {
        for bytes in parity {
            if self.path.sending(self.now, &bytes) {
                self.stats.sent(bytes.len());
                self.outputs.push_back(Output::Transmit {
                    source,
                    destination,
                    bytes,
                });
            }
        }
    }

    /// Lets go what is due.
    pub(super) fn release_due(&mut self) {
        let now = self.now;
        while (self.repair.copies.front()).is_some_and(|(at, _)| *at <= now) {
            let Some((_, copy)) = self.repair.copies.pop_front() else {
                break;
            };
            if let Output::Transmit { bytes, .. } = &copy
                && self.path.sending(self.now, bytes)
            {
                self.stats.sent(bytes.len());
                self.outputs.push_back(copy);
            }
        }
        while (self.repair.pictures.front()).is_some_and(|(at, _)| *at <= now) {
            let Some((_, frame)) = self.repair.pictures.pop_front() else {
                break;
            };
            self.outputs.push_back(Output::Event(frame));
        }
    }

    /// Asks for a key frame when a hole was not repaired within two round trips.
    pub(super) fn watch_repair(&mut self) {
        let patience = self.path.rtt().unwrap_or(RTT_UNKNOWN) * 2 + REPAIR_SLACK;
        let stuck = self.repair.passed >= PASSED_MIN
            && (self.repair.passed_since)
                .is_some_and(|since| self.now.saturating_duration_since(since) >= patience);
        if stuck {
            self.repair.passed_since = Some(self.now);
            self.request_keyframe();
            self.drain();
        }
    }
}

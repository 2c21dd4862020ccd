//! One way between two people: a line of a certain rate with a queue before it, then delay, jitter and losses.
//!
//! The line is our own, because `str0m-netem` bounds its queue in bytes together with what is under way, and lets jitter
//! eat into the rate; delay, jitter and losses are that crate's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m_netem::{GilbertElliot, LossModel, Netem, NetemConfig, Probability, RandomLoss};

/// Bytes of IPv4 and UDP headers, which the line carries too.
const HEADER_BYTES: usize = 28;
/// What has left is kept for so long, to be asked about.
const CARRIED_MAX: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Datagram {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl str0m_netem::WithLen for Datagram {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// What a link does to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// One way.
    pub delay: Duration,
    /// Spread around it.
    pub jitter: Duration,
    /// Share lost, 0..=1.
    pub loss: f32,
    /// Losses come in bursts of so many on average (Gilbert-Elliot); 0 and 1: each for itself.
    pub burst: f32,
    /// Bits per second with IP and UDP headers; `None`: as many as come.
    pub rate_bps: Option<u64>,
    /// Datagrams that would wait longer before the line are dropped. Zero: 300 ms.
    pub queue_max: Duration,
}

impl Link {
    fn netem(self, seed: u64) -> NetemConfig {
        let loss = if self.loss <= 0.0 {
            LossModel::None
        } else if self.burst > 1.0 && self.loss < 1.0 {
            // Packets until a burst begins: a share `loss` of all falls into bursts of `burst`.
            let good = self.burst * (1.0 - self.loss) / self.loss;
            LossModel::GilbertElliot(
                GilbertElliot::new()
                    .good_duration(good)
                    .bad_duration(self.burst),
            )
        } else {
            LossModel::Random(RandomLoss::new(Probability::new(self.loss)))
        };
        NetemConfig::new()
            .latency(self.delay)
            .jitter(self.jitter)
            .loss(loss)
            .seed(seed)
    }
}

/// What a line has carried, and what it dropped because its queue was full.
#[derive(Debug, Default)]
pub struct Line {
    /// When each datagram had left, since the world began, and its bits.
    carried: VecDeque<(Duration, u64)>,
    /// When each was given to it, and its bits: also those it dropped.
    offered: VecDeque<(Duration, u64)>,
    /// Its wait, for those that were carried.
    waits: Vec<(Duration, Duration)>,
    /// Datagrams dropped.
    pub dropped: u64,
}

impl Line {
    /// Bits per second carried between two times.
    pub fn carried_bps(&self, from: Duration, to: Duration) -> u64 {
        Self::rate(&self.carried, from, to)
    }

    /// Bits per second given to the line between two times.
    pub fn offered_bps(&self, from: Duration, to: Duration) -> u64 {
        Self::rate(&self.offered, from, to)
    }

    /// The share's longest wait before the line between two times.
    pub fn wait(&self, from: Duration, to: Duration, share: f64) -> Duration {
        let within = |at: &Duration| (from..to).contains(at);
        let mut waits: Vec<Duration> = (self.waits.iter())
            .filter(|(at, _)| within(at))
            .map(|(_, wait)| *wait)
            .collect();
        waits.sort_unstable();
        let index = ((waits.len().max(1) - 1) as f64 * share) as usize;
        waits.get(index).copied().unwrap_or_default()
    }

    fn rate(all: &VecDeque<(Duration, u64)>, from: Duration, to: Duration) -> u64 {
        let bits: u64 = (all.iter())
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(_, bits)| bits)
            .sum();
        (bits as f64 / (to - from).as_secs_f64()) as u64
    }
}

pub(super) struct Way {
    start: Instant,
    link: Link,
    /// Before the line, with the time at which each will have left.
    queue: VecDeque<(Instant, Datagram)>,
    busy_until: Instant,
    netem: Netem<Datagram>,
    line: Line,
}

impl Way {
    pub(super) fn new(now: Instant, link: Link, seed: u64) -> Self {
        Self {
            start: now,
            link,
            queue: VecDeque::new(),
            busy_until: now,
            netem: Netem::new(link.netem(seed)),
            line: Line::default(),
        }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// What waits goes on as planned; only what comes meets the new link.
    pub(super) fn set_link(&mut self, link: Link, seed: u64) {
        self.link = link;
        self.netem.set_config(link.netem(seed));
    }

    pub(super) fn send(&mut self, now: Instant, datagram: Datagram) {
        let bits = ((datagram.bytes.len() + HEADER_BYTES) * 8) as u64;
        note(&mut self.line.offered, (now - self.start, bits));
        let Some(rate_bps) = self.link.rate_bps else {
            note(&mut self.line.carried, (now - self.start, bits));
            self.netem
                .handle_input(str0m_netem::Input::Packet(now, datagram));
            return;
        };
        let wait = self.busy_until.saturating_duration_since(now);
        let queue_max = if self.link.queue_max.is_zero() {
            Duration::from_millis(300)
        } else {
            self.link.queue_max
        };
        if wait > queue_max {
            self.line.dropped += 1;
            return;
        }
        self.line.waits.push((now - self.start, wait));
        self.busy_until =
            self.busy_until.max(now) + Duration::from_nanos(bits * 1_000_000_000 / rate_bps);
        self.queue.push_back((self.busy_until, datagram));
    }

    /// When something leaves or arrives, at most `limit`.
    pub(super) fn next(&self, limit: Instant) -> Instant {
        let leaves = self.queue.front().map_or(limit, |(at, _)| *at);
        limit.min(leaves).min(self.netem.poll_timeout())
    }

    /// The next datagram that has arrived.
    pub(super) fn arrive(&mut self, now: Instant) -> Option<Datagram> {
        while let Some((at, _)) = self.queue.front().filter(|(at, _)| *at <= now) {
            let left = *at - self.start;
            let (at, datagram) = self.queue.pop_front()?;
            let bits = ((datagram.bytes.len() + HEADER_BYTES) * 8) as u64;
            note(&mut self.line.carried, (left, bits));
            self.netem
                .handle_input(str0m_netem::Input::Packet(at, datagram));
        }
        self.netem.handle_input(str0m_netem::Input::Timeout(now));
        match self.netem.poll_output()? {
            str0m_netem::Output::Packet(datagram) => Some(datagram),
            str0m_netem::Output::Timeout(_) => None,
        }
    }
}

fn note(all: &mut VecDeque<(Duration, u64)>, entry: (Duration, u64)) {
    if all.len() == CARRIED_MAX {
        all.pop_front();
    }
    all.push_back(entry);
}

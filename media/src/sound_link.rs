//! The sound of a one-to-one call between codec and cipher: copies, loss reports and the policy, both ways. Pure.
//!
//! ```text
//! packet ─▶ outgoing ─▶ packet, copies, report ─▶ seal     open ─▶ incoming ─▶ packet and copies ─▶ jitter buffer
//!                                                                     └ the peer's report ─▶ policy ─▶ settings
//! ```

use std::time::{Duration, Instant};

use hullo_proto::frame::{LossReport, OpenedFrame, SoundCopy};

use crate::codec::opus;
use crate::frame::BLOCK_SAMPLES;
use crate::jitter::AudioFrame;
use crate::redundancy::{CopyHistory, LossMeter};
use crate::sound_policy::{AudioPolicy, COPY_BYTES_MAX, LinkFigures, SoundSettings};

/// The policy looks at new figures so often at the most: reports come with every packet.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// A report that old, or the lack of any, makes way for what the session measured itself: a muted peer sends none.
const REPORT_AGE_MAX: Duration = Duration::from_secs(2);

/// What goes into the sealer.
#[derive(Debug)]
pub struct Outgoing {
    /// Copies of earlier packets.
    pub copies: Vec<SoundCopy>,
    /// What we miss of the peer's sound.
    pub report: Option<LossReport>,
    /// Samples that the packet lasts.
    pub samples: usize,
}

/// See the module.
#[derive(Default)]
pub struct SoundLink {
    policy: AudioPolicy,
    history: CopyHistory,
    meter: LossMeter,
    takes_copies: bool,
    rtt: Option<Duration>,
    queue: Option<Duration>,
    arrives_bps: Option<u64>,
    available_bps: Option<u64>,
    session_loss: LossReport,
    peer_report: Option<(Instant, LossReport)>,
    looked_at: Option<Instant>,
}

impl SoundLink {
    /// The peer said whether it reads sound frames with copies.
    pub fn set_takes_copies(&mut self, takes_copies: bool) {
        self.takes_copies = takes_copies;
    }

    /// Whether it does.
    #[must_use]
    pub fn takes_copies(&self) -> bool {
        self.takes_copies
    }

    /// What the session measured: round trip and the part of it that our packets stand in queues, their loss, and, in bits
    /// per second, what of them arrives and what the network carries.
    pub fn measured(
        &mut self,
        (rtt, queue): (Option<Duration>, Option<Duration>),
        loss: LossReport,
        (arrives_bps, available_bps): (Option<u64>, Option<u64>),
    ) {
        self.arrives_bps = arrives_bps;
        (self.rtt, self.queue) = (rtt, queue);
        (self.session_loss, self.available_bps) = (loss, available_bps);
    }

    /// What the network carries, bits per second, as far as may be used now.
    pub fn carries(&mut self, available_bps: u64) {
        self.available_bps = Some(available_bps);
    }

    /// What goes with a packet of ours, captured at `captured_at`.
    pub fn outgoing(&mut self, packet: &[u8], captured_at: Instant) -> Outgoing {
        let samples = opus::packet_samples(packet).unwrap_or(BLOCK_SAMPLES);
        let distances = self.policy.settings().copies;
        let mut copies = self.history.copies(packet, samples, captured_at, distances);
        let mut left = COPY_BYTES_MAX * samples.div_ceil(BLOCK_SAMPLES);
        copies.retain(|copy| {
            let fits = copy.packet.len() <= left;
            left = left.saturating_sub(copy.packet.len());
            fits
        });
        Outgoing {
            copies,
            report: self.meter.report(),
            samples,
        }
    }

    /// What a frame of the peer brings: its packet and the copies, for the jitter buffer. `media_time` in samples.
    pub fn incoming(
        &mut self,
        now: Instant,
        frame: OpenedFrame,
        media_time: u64,
    ) -> Vec<AudioFrame> {
        self.meter.packet(frame.counter);
        if let Some(report) = frame.report {
            self.peer_report = Some((now, report));
        }
        let earlier = frame.copies.into_iter().filter_map(|copy| {
            let samples = opus::packet_samples(&copy.packet)? as u64;
            let distance = u64::from(copy.distance);
            Some(AudioFrame {
                seq: frame.counter.checked_sub(distance)?,
                media_time_samples: media_time.checked_sub(distance * samples)?,
                data: copy.packet,
                is_copy: true,
            })
        });
        let newest = AudioFrame {
            seq: frame.counter,
            media_time_samples: media_time,
            data: frame.frame,
            is_copy: false,
        };
        std::iter::once(newest).chain(earlier).collect()
    }

    /// What we miss of the peer's sound, once enough of it came.
    #[must_use]
    pub fn missed(&self) -> Option<LossReport> {
        self.meter.report()
    }

    /// What the peer misses of ours, as it said lately or as the session measured.
    #[must_use]
    pub fn peer_misses(&self, now: Instant) -> LossReport {
        let is_new =
            |(at, _): &(Instant, LossReport)| now.saturating_duration_since(*at) <= REPORT_AGE_MAX;
        self.peer_report
            .filter(is_new)
            .map_or_else(|| self.session_loss, |(_, report)| report)
    }

    /// How to send sound from now on, if that changed.
    pub fn settings(&mut self, now: Instant) -> Option<SoundSettings> {
        let is_due = self
            .looked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= LOOK_INTERVAL);
        if !is_due {
            return None;
        }
        self.looked_at = Some(now);
        let figures = LinkFigures {
            report: self.peer_misses(now),
            rtt: self.rtt,
            queue: self.queue,
            arrives_bps: self.arrives_bps,
            available_bps: self.available_bps,
            takes_copies: self.takes_copies,
        };
        self.policy.update(now, &figures)
    }
}

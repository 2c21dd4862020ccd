//! Figures of a session, gathered once a second from str0m and from what passes through.

use std::time::{Duration, Instant};

use str0m::stats::{MediaEgressStats, MediaIngressStats, PeerStats};

use super::Track;
use super::path::{Path, SendBudget};
use crate::lip_sync::Skew;
use crate::rate::PathFigures;

/// One second of a session, and totals since it began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionStats {
    /// Datagrams and bytes sent since the last figures.
    pub sent: (u64, u64),
    /// Datagrams and bytes received since the last figures.
    pub received: (u64, u64),
    /// Round trip, when known.
    pub rtt: Option<Duration>,
    /// Share of our packets that the peer missed, 0..=1.
    pub sent_loss: Option<f32>,
    /// Share of the peer's packets that we missed, 0..=1.
    pub received_loss: Option<f32>,
    /// What the line towards the peer carries as far as is known, bits per second with headers.
    pub estimate_bps: Option<u64>,
    /// What may be sent now, once it was decided.
    pub budget: Option<SendBudget>,
    /// What the peer confirmed of our sending a moment ago; `None` when its program sends no such reports.
    pub confirmed: Option<PathFigures>,
    /// How long the peer's datagrams stand in queues on their way to us.
    pub received_queue: Duration,
    /// Kinds of the two candidates in use, as `host/relay`.
    pub pair: Option<String>,
    /// Sound.
    pub audio: TrackStats,
    /// Pictures.
    pub video: TrackStats,
    /// Frames written that never left: too early, interrupted, or the pacer's queue was long.
    pub unsent_frames: u64,
    /// Datagrams that were not for this session or did not parse. Total.
    pub refused_datagrams: u64,
    /// Candidates that could not be used. Total.
    pub refused_candidates: u64,
    /// Key frames we asked the peer for. Total.
    pub keyframe_requests: u64,
    /// Lost packets of pictures that parity brought back. Total.
    pub recovered: u64,
    /// How far pictures were shown from their sound; not known here, added by the call.
    pub skew: Option<Skew>,
}

/// One track since the last figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrackStats {
    /// Frames written.
    pub frames_sent: u64,
    /// Their bytes before packets.
    pub bytes_sent: u64,
    /// Key frames among them.
    pub key_frames_sent: u64,
    /// Frames that arrived whole.
    pub frames_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1) in the track's clock ticks.
    pub jitter_ticks: u32,
    /// Requests by the peer to send packets again. Total.
    pub nacks_received: u64,
    /// Requests of ours. Total.
    pub nacks_sent: u64,
}

/// Counts until the next report.
#[derive(Default)]
pub(super) struct Collector {
    current: SessionStats,
    pub(super) unsent_frames: u64,
    pub(super) unsent_side: u64,
    pub(super) refused_datagrams: u64,
    pub(super) refused_candidates: u64,
    pub(super) keyframe_requests: u64,
    pub(super) recovered: u64,
    last: Option<Instant>,
}

impl Collector {
    pub(super) fn sent(&mut self, bytes: usize) {
        self.current.sent.0 += 1;
        self.current.sent.1 += bytes as u64;
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.current.received.0 += 1;
        self.current.received.1 += bytes as u64;
    }

    pub(super) fn sending(&mut self, track: Track, bytes: usize, is_key: bool) {
        let track = self.track(track);
        track.frames_sent += 1;
        track.bytes_sent += bytes as u64;
        track.key_frames_sent += u64::from(is_key);
    }

    pub(super) fn frame(&mut self, track: Track, bytes: usize) {
        let track = self.track(track);
        track.frames_received += 1;
        track.bytes_received += bytes as u64;
    }

    pub(super) fn ingress(&mut self, track: Track, stats: &MediaIngressStats) {
        let track = self.track(track);
        track.jitter_ticks = stats.jitter;
        track.nacks_sent = stats.nacks;
    }

    pub(super) fn egress(&mut self, track: Track, stats: &MediaEgressStats) {
        self.track(track).nacks_received = stats.nacks;
    }

    /// The figures since the last call; totals go on.
    pub(super) fn peer(&mut self, now: Instant, peer: &PeerStats, path: &Path) -> SessionStats {
        let next = SessionStats {
            audio: TrackStats {
                jitter_ticks: self.current.audio.jitter_ticks,
                ..TrackStats::default()
            },
            video: TrackStats {
                jitter_ticks: self.current.video.jitter_ticks,
                ..TrackStats::default()
            },
            ..SessionStats::default()
        };
        let mut stats = std::mem::replace(&mut self.current, next);
        self.last = Some(now);
        let pair = peer.selected_candidate_pair.as_ref();
        stats.rtt = peer
            .rtt
            .or_else(|| pair.and_then(|pair| pair.current_round_trip_time));
        stats.sent_loss = peer.egress_loss_fraction;
        stats.received_loss = peer.ingress_loss_fraction;
        stats.estimate_bps = Some(path.line_bps());
        stats.budget = path.told();
        if let Some(confirmed) = path.figures() {
            // Counted by the far side over all datagrams, not guessed from feedback that may be lost itself.
            stats.sent_loss = Some(confirmed.loss);
            stats.rtt = confirmed.rtt.or(stats.rtt);
            let (loss, queue) = path.inbound();
            stats.received_loss = Some(loss);
            stats.received_queue = queue;
            stats.confirmed = Some(*confirmed);
        }
        stats.unsent_frames = self.unsent_frames;
        stats.refused_datagrams = self.refused_datagrams;
        stats.refused_candidates = self.refused_candidates;
        stats.keyframe_requests = self.keyframe_requests;
        stats.recovered = self.recovered;
        stats
    }

    fn track(&mut self, track: Track) -> &mut TrackStats {
        match track {
            Track::Audio => &mut self.current.audio,
            Track::Video => &mut self.current.video,
        }
    }
}

//! Figures of a session with the SFU, gathered once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use hullo_proto::group::media_frame::Track;
use hullo_proto::service::sfu::ParticipantId;
use str0m::stats::{MediaEgressStats, MediaIngressStats, PeerStats};

use super::OwnTrack;
use super::people::PARTICIPANTS_MAX;
use crate::lip_sync::Skew;
use crate::session::TrackStats;

/// One second of a session, and totals since it began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupSessionStats {
    /// Datagrams and bytes sent since the last figures.
    pub sent: (u64, u64),
    /// Datagrams and bytes received since the last figures.
    pub received: (u64, u64),
    /// Round trip to the SFU, when known.
    pub rtt: Option<Duration>,
    /// Share of our packets that the SFU missed, 0..=1.
    pub sent_loss: Option<f32>,
    /// Share of the SFU's packets that we missed, 0..=1.
    pub received_loss: Option<f32>,
    /// What the network carries towards the SFU, bits per second.
    pub estimate_bps: Option<u64>,
    /// Whether a way to the SFU is in use.
    pub has_way: bool,
    /// What we sent since the last figures, by stream.
    pub own: BTreeMap<OwnTrack, TrackStats>,
    /// What came since the last figures, by whom and from what.
    pub others: BTreeMap<(ParticipantId, Track), TrackStats>,
    /// Frames written that never left: too early, interrupted, or the pacer's queue was long. Total.
    pub unsent_frames: u64,
    /// Datagrams that were not for this session or did not parse. Total.
    pub refused_datagrams: u64,
    /// Messages of the SFU that were too long or none. Total.
    pub refused_messages: u64,
    /// Key frames we asked others for. Total.
    pub keyframe_requests: u64,
    /// How far everybody's pictures were shown from their sound; not known here, added by the call.
    pub skew: BTreeMap<ParticipantId, Skew>,
}

/// Counts until the next report.
#[derive(Default)]
pub(super) struct Collector {
    /// Totals stay, the rest begins anew with each report.
    pub(super) current: GroupSessionStats,
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

    pub(super) fn sending(&mut self, track: OwnTrack, bytes: usize, is_key: bool) {
        let track = self.current.own.entry(track).or_default();
        track.frames_sent += 1;
        track.bytes_sent += bytes as u64;
        track.key_frames_sent += u64::from(is_key);
    }

    pub(super) fn frame(&mut self, from: (ParticipantId, Track), bytes: usize) {
        if let Some(track) = self.other(from) {
            track.frames_received += 1;
            track.bytes_received += bytes as u64;
        }
    }

    pub(super) fn ingress(&mut self, from: (ParticipantId, Track), stats: &MediaIngressStats) {
        if let Some(track) = self.other(from) {
            track.jitter_ticks = stats.jitter;
            track.nacks_sent = stats.nacks;
        }
    }

    pub(super) fn egress(&mut self, track: OwnTrack, stats: &MediaEgressStats) {
        self.current.own.entry(track).or_default().nacks_received = stats.nacks;
    }

    /// The figures since the last call; totals go on.
    pub(super) fn report(&mut self, peer: &PeerStats) -> GroupSessionStats {
        let next = GroupSessionStats {
            estimate_bps: self.current.estimate_bps,
            unsent_frames: self.current.unsent_frames,
            refused_datagrams: self.current.refused_datagrams,
            refused_messages: self.current.refused_messages,
            keyframe_requests: self.current.keyframe_requests,
            ..GroupSessionStats::default()
        };
        let mut stats = std::mem::replace(&mut self.current, next);
        let pair = peer.selected_candidate_pair.as_ref();
        stats.rtt = peer
            .rtt
            .or_else(|| pair.and_then(|pair| pair.current_round_trip_time));
        stats.has_way = pair.is_some();
        stats.sent_loss = peer.egress_loss_fraction;
        stats.received_loss = peer.ingress_loss_fraction;
        stats
    }

    /// Ids come and go within a second, but not without end.
    fn other(&mut self, from: (ParticipantId, Track)) -> Option<&mut TrackStats> {
        let others = &mut self.current.others;
        if others.len() >= 3 * PARTICIPANTS_MAX && !others.contains_key(&from) {
            return None;
        }
        Some(others.entry(from).or_default())
    }
}

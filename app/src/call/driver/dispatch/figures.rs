//! The session's figures of a second as the outside is told them.

use std::time::Duration;

use hullo_media::session::SessionStats;

use crate::report::{Flow, Stats};

/// What the session knows; what devices and screens know is added by the caller.
pub(super) fn report(stats: &SessionStats, undecryptable: u64) -> Stats {
    let flow = |(packets, bytes): (u64, u64), loss: Option<f32>| Flow {
        packets,
        bytes,
        bitrate_bps: bytes * 8,
        loss: loss.map(f64::from),
        ..Flow::default()
    };
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    Stats {
        sent: Flow {
            audio_frames: stats.audio.frames_sent,
            video_frames: stats.video.frames_sent,
            video_bitrate_bps: stats.video.bytes_sent * 8,
            audio_bitrate_bps: stats.audio.bytes_sent * 8,
            queue_ms: stats.confirmed.map(|confirmed| millis(confirmed.queue)),
            nacks: stats.video.nacks_received,
            ..flow(stats.sent, stats.sent_loss)
        },
        received: Flow {
            audio_frames: stats.audio.frames_received,
            video_frames: stats.video.frames_received,
            video_bitrate_bps: stats.video.bytes_received * 8,
            audio_bitrate_bps: stats.audio.bytes_received * 8,
            skew_ms: stats.skew.map(|skew| skew.median_ms),
            skew_p95_ms: stats.skew.map(|skew| skew.p95_ms),
            jitter_ms: Some(f64::from(stats.audio.jitter_ticks) / 48.0),
            queue_ms: stats.confirmed.map(|_| millis(stats.received_queue)),
            nacks: stats.video.nacks_sent,
            keyframe_requests: stats.keyframe_requests,
            ..flow(stats.received, stats.received_loss)
        },
        rtt_ms: stats.rtt.map(millis),
        estimate_bps: stats.estimate_bps,
        budget_bps: stats.budget.map(|budget| budget.total_bps),
        pair: stats.pair.clone(),
        undecryptable,
        ..Stats::default()
    }
}

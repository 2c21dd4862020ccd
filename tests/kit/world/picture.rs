//! Cameras of the world, and what becomes of their pictures at the other end.

use std::time::{Duration, Instant};

use hullo_media::codec::{VideoEncoder as _, h264};
use hullo_media::frame::EncodedFrame;
use hullo_media::pipeline::FreezeMeter;
use hullo_media::scale::{Scaler, fit};
use hullo_media::source::{CaptureTime, VideoSource, open_camera};
use hullo_proto::frame::FrameKind;

/// What a frame of the model begins with: an H.264 start code and an access unit's first bytes that no encoder writes.
pub(super) const MODEL: &[u8] = &[0, 0, 0, 1];
const KEY_NAL: u8 = 0x65;
const DELTA_NAL: u8 = 0x41;
/// A key frame of the model costs as much as so many others.
const KEY_COST: u32 = 4;

/// Where pictures come from.
pub(super) struct Camera {
    fps: u32,
    keyframe_wanted: bool,
    /// The line carries none, or too many wait.
    stopped: (bool, bool),
    kind: Kind,
}

enum Kind {
    /// The test card through the real encoder.
    Card(Box<Card>),
    /// Frames of the rate that was asked for, filled with numbers, as far as what is seen costs so much.
    Model { bitrate_bps: u32, content_bps: u32 },
}

struct Card {
    source: Box<dyn VideoSource>,
    encoder: h264::Encoder,
    scaler: Scaler,
    size_max: Option<(u32, u32)>,
}

impl Camera {
    pub(super) fn card(fps: u32, size_max: Option<(u32, u32)>) -> Self {
        let source = open_camera(&"test".parse().expect("spec"))
            .expect("opens")
            .expect("is one");
        let card = Card {
            source,
            encoder: h264::Encoder::new(200_000, fps),
            scaler: Scaler::default(),
            size_max,
        };
        Self {
            fps,
            keyframe_wanted: false,
            stopped: (false, false),
            kind: Kind::Card(Box::new(card)),
        }
    }

    pub(super) fn model(fps: u32) -> Self {
        Self {
            fps,
            keyframe_wanted: true,
            stopped: (false, false),
            kind: Kind::Model {
                bitrate_bps: 200_000,
                content_bps: u32::MAX,
            },
        }
    }

    pub(super) fn set_content(&mut self, bps: u32) {
        if let Kind::Model { content_bps, .. } = &mut self.kind {
            *content_bps = bps;
        }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
    }

    pub(super) fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    pub(super) fn set_bitrate(&mut self, bps: Option<u32>) {
        self.stopped.0 = bps.is_none();
        let Some(bps) = bps else { return };
        match &mut self.kind {
            Kind::Card(card) => card.encoder.set_bitrate(bps.min(1_000_000)),
            Kind::Model { bitrate_bps, .. } => *bitrate_bps = bps,
        }
    }

    pub(super) fn set_waits(&mut self, waits: bool) {
        self.stopped.1 = waits;
    }

    pub(super) fn capture(&mut self, at: CaptureTime, now: Instant) -> Option<EncodedFrame> {
        if self.stopped != (false, false) {
            return None;
        }
        let is_key = std::mem::take(&mut self.keyframe_wanted);
        match &mut self.kind {
            Kind::Card(card) => {
                let picture = card.source.read(at).expect("the test camera always works");
                if is_key {
                    card.encoder.request_keyframe();
                }
                let picture = match card.size_max {
                    Some((width, height)) => {
                        let size = fit(picture.size(), width, height);
                        card.scaler.scale(&picture, size).expect("a sane size")
                    }
                    None => picture,
                };
                card.encoder
                    .encode(&picture, now)
                    .expect("h264 encodes any picture")
            }
            Kind::Model {
                bitrate_bps,
                content_bps,
            } => {
                let cost = if is_key { KEY_COST } else { 1 };
                let bytes =
                    ((*bitrate_bps).min(*content_bps) / 8 / self.fps * cost).max(64) as usize;
                let mut data = MODEL.to_vec();
                data.push(if is_key { KEY_NAL } else { DELTA_NAL });
                // The byte that follows tells the model from a real frame: the next NAL header bits never look so.
                data.push(MODEL_MARK);
                data.extend((0..bytes).map(|index| (index % 251 + 1) as u8));
                Some(EncodedFrame {
                    kind: if is_key {
                        FrameKind::VideoKey
                    } else {
                        FrameKind::VideoDelta
                    },
                    data,
                    captured_at: now,
                })
            }
        }
    }
}

/// Second byte of the model's only unit.
const MODEL_MARK: u8 = 0xee;

/// Whether a frame is the model's.
pub(super) fn is_model(frame: &[u8]) -> bool {
    frame.get(5) == Some(&MODEL_MARK) && frame.starts_with(MODEL)
}

/// The far side's pictures as they were shown.
#[derive(Default)]
pub struct Seen {
    /// When each was shown.
    pub at: Vec<Instant>,
    /// Key frames among what came.
    pub key_frames: u64,
    /// Bytes of the largest key frame.
    pub key_bytes_max: usize,
}

impl Seen {
    pub(super) fn frame(&mut self, _now: Instant, frame: &EncodedFrame) {
        if frame.kind == FrameKind::VideoKey {
            self.key_frames += 1;
            self.key_bytes_max = self.key_bytes_max.max(frame.data.len());
        }
    }

    pub(super) fn shown(&mut self, now: Instant) {
        self.at.push(now);
    }

    /// Freezes and their time from `since` on (W3C rule).
    pub fn freezes(&self, since: Instant) -> (u64, Duration) {
        let mut meter = FreezeMeter::default();
        for at in self.at.iter().filter(|at| **at >= since) {
            meter.picture(*at);
        }
        (meter.freezes(), meter.frozen())
    }

    /// Harmonic mean of the pictures per second from `since` on: total time by the sum of squared gaps.
    pub fn harmonic_fps(&self, since: Instant) -> f64 {
        let at: Vec<Instant> = self.at.iter().copied().filter(|at| *at >= since).collect();
        let gaps = || at.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
        gaps().sum::<f64>() / gaps().map(|gap| gap * gap).sum::<f64>()
    }
}

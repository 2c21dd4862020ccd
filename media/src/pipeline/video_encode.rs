//! Threads `camera` and `video-encode`: camera, file or test card → scaled → H.264.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::FrameSink;
use super::capture::{Capture, RateCap, run_camera, source_rate_fps};
use crate::codec::{VideoEncoder, h264};
use crate::device::DeviceError;
use crate::frame::Picture;
use crate::scale::{Scaler, fit};
use crate::slot::Slot;
use crate::source::VideoSource;
use crate::thread::Thread;

/// What the far side can show, and what may be spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoLimits {
    /// Pixels across at most. 0: nobody looks, and nothing is encoded; the camera goes on for the own preview.
    pub width_max: u32,
    /// Pixels down at most.
    pub height_max: u32,
    /// Bits per second at most, whatever the estimate says.
    pub bitrate_bps: u32,
    /// Pictures per second at most.
    pub fps_max: u32,
}

/// What came from the camera and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoEncodeCounters {
    /// Pictures read.
    pub captured: u64,
    /// Frames handed on.
    pub encoded: u64,
    /// Pictures left out for want of bits or of time; not those beyond the far side's rate.
    pub skipped: u64,
    /// Pixels across and down of the newest frame; of several layers, of the largest. 0: none yet.
    pub size: (u32, u32),
}

/// The running threads. Dropping it ends and joins both.
pub struct VideoEncode {
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _threads: [Thread; 2],
}

struct Shared {
    capture: Capture,
    limits: Mutex<VideoLimits>,
    bitrate_bps: AtomicU32,
    keyframe_wanted: AtomicBool,
    waits: AtomicBool,
    encoded: AtomicU64,
    size: SharedSize,
}

impl VideoEncode {
    /// Begins to read `source` and to hand its frames to `sink`; not before [`VideoEncode::set_enabled`] unless
    /// `enabled`.
    #[must_use]
    pub fn start(
        source: Box<dyn VideoSource>,
        sink: impl FrameSink,
        enabled: bool,
        limits: VideoLimits,
    ) -> Self {
        let shared = Arc::new(Shared {
            capture: Capture::new(enabled),
            limits: Mutex::new(limits),
            bitrate_bps: AtomicU32::new(h264::BITRATE_BPS_START),
            keyframe_wanted: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            encoded: AtomicU64::new(0),
            size: SharedSize::default(),
        });
        let rate_fps = source_rate_fps(&*source, limits.fps_max);
        let (camera, encode) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = [
            Thread::spawn("camera", move || run_camera(source, &camera.capture)),
            Thread::spawn("video-encode", move || {
                EncodeStage::new(rate_fps, &encode).run(&sink)
            }),
        ];
        Self {
            shared,
            _threads: threads,
        }
    }

    /// Shows or hides: hidden, the camera stops, and nothing is read, encoded or previewed.
    pub fn set_enabled(&self, enabled: bool) {
        if enabled {
            // Before the gate opens: afterwards it would meet the second picture.
            self.request_keyframe();
        }
        self.shared.capture.set_open(enabled);
    }

    /// Aims at another bitrate, in bits per second, as far as the limits allow.
    pub fn set_bitrate(&self, bitrate_bps: u32) {
        self.shared.bitrate_bps.store(bitrate_bps, Relaxed);
    }

    /// Makes the next frame a key frame.
    pub fn request_keyframe(&self) {
        self.shared.keyframe_wanted.store(true, Relaxed);
    }

    /// True: encodes nothing for now, since what was encoded still waits to be sent. Nothing is missing from the
    /// stream, so it goes on without a key frame.
    pub fn set_waits(&self, waits: bool) {
        self.shared.waits.store(waits, Relaxed);
    }

    /// Sets what the far side can show; a new size begins with a key frame.
    pub fn set_limits(&self, limits: VideoLimits) {
        *self
            .shared
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// The newest picture of the own camera; use [`Slot::peek`].
    #[must_use]
    pub fn preview(&self) -> Slot<Arc<Picture>> {
        self.shared.capture.preview.clone()
    }

    /// What was captured, encoded, left out.
    #[must_use]
    pub fn counters(&self) -> VideoEncodeCounters {
        VideoEncodeCounters {
            captured: self.shared.capture.captured.load(Relaxed),
            encoded: self.shared.encoded.load(Relaxed),
            skipped: self.shared.capture.skipped.load(Relaxed),
            size: self.shared.size.get(),
        }
    }

    /// Why the camera ended, once.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.capture.failure.take()
    }
}

impl Drop for VideoEncode {
    fn drop(&mut self) {
        self.shared.capture.stop();
    }
}

/// A picture size that another thread reads whole.
#[derive(Default)]
pub(super) struct SharedSize(AtomicU64);

impl SharedSize {
    pub(super) fn set(&self, (width, height): (u32, u32)) {
        let both = u64::from(width) << 32 | u64::from(height);
        self.0.store(both, Relaxed);
    }

    pub(super) fn get(&self) -> (u32, u32) {
        let both = self.0.load(Relaxed);
        ((both >> 32) as u32, (both & u64::from(u32::MAX)) as u32)
    }
}

struct EncodeStage<'a> {
    encoder: h264::Encoder,
    scaler: Scaler,
    cap: RateCap,
    source_fps: u32,
    shared: &'a Shared,
}

impl<'a> EncodeStage<'a> {
    fn new(source_fps: u32, shared: &'a Shared) -> Self {
        let encoder = h264::Encoder::new(h264::BITRATE_BPS_START, source_fps);
        Self {
            encoder,
            scaler: Scaler::default(),
            cap: RateCap::default(),
            source_fps,
            shared,
        }
    }

    fn run(mut self, sink: &impl FrameSink) {
        while let Some((picture, captured_at)) = self.shared.capture.pictures.wait() {
            let limits = *self
                .shared
                .limits
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if limits.width_max == 0 || limits.height_max == 0 {
                // Whoever looks again has missed what came before.
                self.encoder.request_keyframe();
                continue;
            }
            if !self.cap.admits(captured_at, limits.fps_max) {
                continue;
            }
            if self.shared.waits.load(Relaxed) {
                self.shared.capture.skipped.fetch_add(1, Relaxed);
                continue;
            }
            self.encoder.set_rate(self.source_fps.min(limits.fps_max));
            self.encoder.set_bitrate(
                self.shared
                    .bitrate_bps
                    .load(Relaxed)
                    .min(limits.bitrate_bps),
            );
            if self.shared.keyframe_wanted.swap(false, Relaxed) {
                self.encoder.request_keyframe();
            }
            let (width_max, height_max) = (
                limits.width_max.min(h264::WIDTH_PX_MAX),
                limits.height_max.min(h264::HEIGHT_PX_MAX),
            );
            let size = fit(picture.size(), width_max, height_max);
            let scaled = match self.scaler.scale(&picture, size) {
                Ok(scaled) => scaled,
                Err(error) => {
                    tracing::warn!(%error, "a picture was not scaled");
                    continue;
                }
            };
            let encoded = self.encoder.encode(&scaled, captured_at);
            if !self.shared.capture.is_open() {
                // Hidden meanwhile. The far side misses this frame, so the next one must stand alone.
                self.encoder.request_keyframe();
                continue;
            }
            match encoded {
                Ok(Some(frame)) => {
                    self.shared.encoded.fetch_add(1, Relaxed);
                    self.shared.size.set(size);
                    sink.push(frame);
                }
                Ok(None) => {
                    self.shared.capture.skipped.fetch_add(1, Relaxed);
                }
                Err(error) => tracing::warn!(%error, "a picture was not encoded"),
            }
        }
    }
}

//! Threads `camera` and `video-encode`: camera, file or test card → scaled → H.264.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::FrameSink;
use crate::clock;
use crate::codec::{VideoEncoder, h264};
use crate::device::DeviceError;
use crate::frame::Picture;
use crate::pace::Pacer;
use crate::scale::{Scaler, fit};
use crate::slot::Slot;
use crate::source::{CaptureTime, VideoSource};
use crate::thread::Thread;

/// What the far side can show, and what may be spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoLimits {
    /// Pixels across at most.
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
}

/// The running threads. Dropping it ends and joins both.
pub struct VideoEncode {
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _threads: [Thread; 2],
}

struct Shared {
    gate: Gate,
    limits: Mutex<VideoLimits>,
    bitrate_bps: AtomicU32,
    keyframe_wanted: AtomicBool,
    captured: AtomicU64,
    encoded: AtomicU64,
    skipped: AtomicU64,
    pictures: Slot<(Arc<Picture>, Instant)>,
    preview: Slot<Arc<Picture>>,
    failure: Slot<DeviceError>,
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
            gate: Gate::new(enabled),
            limits: Mutex::new(limits),
            bitrate_bps: AtomicU32::new(h264::BITRATE_BPS_START),
            keyframe_wanted: AtomicBool::new(false),
            captured: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            pictures: Slot::new(),
            preview: Slot::new(),
            failure: Slot::new(),
        });
        let rate_fps = source.interval().map_or(limits.fps_max, |interval| {
            rate_fps(interval).min(limits.fps_max)
        });
        let (camera, encode) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = [
            Thread::spawn("camera", move || run_camera(source, &camera)),
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
        self.shared.gate.set_open(enabled);
        if !enabled {
            // The last picture must not stand on the screen as if the camera were on.
            drop((self.shared.pictures.take(), self.shared.preview.take()));
        }
    }

    /// Aims at another bitrate, in bits per second, as far as the limits allow.
    pub fn set_bitrate(&self, bitrate_bps: u32) {
        self.shared.bitrate_bps.store(bitrate_bps, Relaxed);
    }

    /// Makes the next frame a key frame.
    pub fn request_keyframe(&self) {
        self.shared.keyframe_wanted.store(true, Relaxed);
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
        self.shared.preview.clone()
    }

    /// What was captured, encoded, left out.
    #[must_use]
    pub fn counters(&self) -> VideoEncodeCounters {
        VideoEncodeCounters {
            captured: self.shared.captured.load(Relaxed),
            encoded: self.shared.encoded.load(Relaxed),
            skipped: self.shared.skipped.load(Relaxed),
        }
    }

    /// Why the camera ended, once.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.failure.take()
    }
}

impl Drop for VideoEncode {
    fn drop(&mut self) {
        self.shared.gate.stop();
        self.shared.pictures.close();
    }
}

fn rate_fps(interval: Duration) -> u32 {
    (1.0 / interval.as_secs_f64()).round().max(1.0) as u32
}

/// Lets the camera run, holds it, or ends it.
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GateState {
    Open,
    Closed,
    Stopped,
}

impl Gate {
    fn new(open: bool) -> Self {
        let state = if open {
            GateState::Open
        } else {
            GateState::Closed
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn set_open(&self, open: bool) {
        self.change(if open {
            GateState::Open
        } else {
            GateState::Closed
        });
    }

    fn stop(&self) {
        self.change(GateState::Stopped);
    }

    fn change(&self, to: GateState) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != GateState::Stopped {
            *state = to;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> GateState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while closed; false at the end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state == GateState::Closed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *state == GateState::Open
    }

    /// Waits until `deadline`; false as soon as the gate is not open.
    fn wait_until(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state == GateState::Open {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return true;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        false
    }
}

fn run_camera(mut source: Box<dyn VideoSource>, shared: &Shared) {
    let started_at = clock::now();
    let mut running = true;
    while shared.gate.state() != GateState::Stopped {
        let result = if shared.gate.state() == GateState::Open {
            running = true;
            capture(source.as_mut(), shared, started_at)
        } else {
            let change = if std::mem::replace(&mut running, false) {
                source.set_running(false)
            } else {
                Ok(())
            };
            change.and_then(|()| {
                if shared.gate.wait() {
                    source.set_running(true)
                } else {
                    Ok(())
                }
            })
        };
        if let Err(error) = result {
            tracing::warn!(%error, "the camera ended");
            shared.failure.put(error);
            return;
        }
    }
}

/// Reads pictures while the gate is open.
fn capture(
    source: &mut dyn VideoSource,
    shared: &Shared,
    started_at: Instant,
) -> Result<(), DeviceError> {
    let mut pacer = source
        .interval()
        .map(|interval| Pacer::new(clock::now(), interval));
    loop {
        let deadline = pacer.as_mut().map(|pacer| pacer.deadline(clock::now()));
        let open = match deadline {
            Some(deadline) => shared.gate.wait_until(deadline),
            None => shared.gate.state() == GateState::Open,
        };
        if !open {
            return Ok(());
        }
        let at = deadline.unwrap_or_else(clock::now);
        let elapsed = at.saturating_duration_since(started_at);
        let picture = source.read(CaptureTime {
            elapsed,
            clock_us: clock::unix_us_at(at),
        })?;
        let captured_at = deadline.unwrap_or_else(clock::now);
        shared.captured.fetch_add(1, Relaxed);
        shared.preview.put(Arc::clone(&picture));
        if shared.gate.state() != GateState::Open {
            // Hidden while this picture was read: whoever hid it may have cleared the preview before it came.
            drop(shared.preview.take());
            return Ok(());
        }
        if shared.pictures.put((picture, captured_at)) {
            shared.skipped.fetch_add(1, Relaxed);
        }
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
        while let Some((picture, captured_at)) = self.shared.pictures.wait() {
            let limits = *self
                .shared
                .limits
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if !self.cap.admits(captured_at, limits.fps_max) {
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
            if self.shared.gate.state() != GateState::Open {
                // Hidden meanwhile. The far side misses this frame, so the next one must stand alone.
                self.encoder.request_keyframe();
                continue;
            }
            match encoded {
                Ok(Some(frame)) => {
                    self.shared.encoded.fetch_add(1, Relaxed);
                    sink.push(frame);
                }
                Ok(None) => {
                    self.shared.skipped.fetch_add(1, Relaxed);
                }
                Err(error) => tracing::warn!(%error, "a picture was not encoded"),
            }
        }
    }
}

/// Lets so many pictures a second through, evenly.
#[derive(Default)]
struct RateCap {
    next: Option<Instant>,
}

impl RateCap {
    fn admits(&mut self, captured_at: Instant, fps_max: u32) -> bool {
        let interval = Duration::from_secs(1) / fps_max.clamp(1, h264::RATE_FPS_MAX);
        let Some(next) = self.next else {
            self.next = Some(captured_at + interval);
            return true;
        };
        // A quarter of an interval early is jitter of the camera, not a picture too many.
        if captured_at + interval / 4 < next {
            return false;
        }
        let on_time = captured_at <= next + interval;
        self.next = Some(if on_time {
            next + interval
        } else {
            captured_at + interval
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_beyond_the_rate_are_left_out_evenly_and_jitter_is_not() {
        let start = Instant::now();
        let count = |source_fps: u32, cap_fps: u32, jitter_ms: u64| {
            let mut cap = RateCap::default();
            let at = |index: u32| {
                let jitter = Duration::from_millis(u64::from(index * 7919 % 5) * jitter_ms / 4);
                start + Duration::from_secs(1) * index / source_fps + jitter
            };
            (0..source_fps * 10)
                .filter(|&index| cap.admits(at(index), cap_fps))
                .count()
        };
        for (source, cap, want) in [
            (30, 30, 300),
            (30, 15, 150),
            (30, 60, 300),
            (25, 15, 150),
            (60, 30, 300),
            (30, 10, 100),
        ] {
            for jitter_ms in [0, 6] {
                let got = count(source, cap, jitter_ms);
                assert!(
                    got.abs_diff(want) <= 3,
                    "{source} to {cap} with {jitter_ms} ms: {got}"
                );
            }
        }
    }
}

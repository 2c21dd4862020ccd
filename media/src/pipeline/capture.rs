//! Thread `camera`: camera, file or test card → the newest picture, for whoever encodes it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::device::DeviceError;
use crate::frame::Picture;
use crate::pace::Pacer;
use crate::slot::Slot;
use crate::source::{CaptureTime, VideoSource};

/// Fastest rate that pictures are let through at.
const RATE_FPS_MAX: u32 = 60;

/// What a camera and its encoder share.
pub(super) struct Capture {
    pub(super) gate: Gate,
    pub(super) captured: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) pictures: Slot<(Arc<Picture>, Instant)>,
    pub(super) preview: Slot<Arc<Picture>>,
    pub(super) failure: Slot<DeviceError>,
}

impl Capture {
    pub(super) fn new(open: bool) -> Self {
        Self {
            gate: Gate::new(open),
            captured: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            pictures: Slot::new(),
            preview: Slot::new(),
            failure: Slot::new(),
        }
    }

    /// Lets the camera run or stops it; stopped, nothing is read or previewed.
    pub(super) fn set_open(&self, open: bool) {
        self.gate.set_open(open);
        if !open {
            // The last picture must not stand on the screen as if the camera were on.
            drop((self.pictures.take(), self.preview.take()));
        }
    }

    /// Whether pictures may leave.
    pub(super) fn is_open(&self) -> bool {
        self.gate.state() == GateState::Open
    }

    /// Ends the camera and whoever waits for its pictures.
    pub(super) fn stop(&self) {
        self.gate.stop();
        self.pictures.close();
    }
}

/// Pictures a second of a source, `rate_fps_max` at most.
pub(super) fn source_rate_fps(source: &dyn VideoSource, rate_fps_max: u32) -> u32 {
    source.interval().map_or(rate_fps_max, |interval| {
        rate_fps(interval).min(rate_fps_max)
    })
}

fn rate_fps(interval: Duration) -> u32 {
    (1.0 / interval.as_secs_f64()).round().max(1.0) as u32
}

/// Lets the camera run, holds it, or ends it.
pub(super) struct Gate {
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

pub(super) fn run_camera(mut source: Box<dyn VideoSource>, shared: &Capture) {
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
    shared: &Capture,
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

/// Lets so many pictures a second through, evenly.
#[derive(Default)]
pub(super) struct RateCap {
    next: Option<Instant>,
}

impl RateCap {
    pub(super) fn admits(&mut self, captured_at: Instant, fps_max: u32) -> bool {
        let interval = Duration::from_secs(1) / fps_max.clamp(1, RATE_FPS_MAX);
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

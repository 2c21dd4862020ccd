//! Threads `camera` and `video-encode` of a group call: camera, screen or test card → scaled → VP8, one encoder for each
//! layer that anybody wants.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hullo_proto::service::sfu::{LayersWanted, View};

use super::VideoEncodeCounters;
use super::capture::{Capture, RateCap, run_camera, source_rate_fps};
use super::video_encode::SharedSize;
use crate::codec::{VideoEncoder, vp8};
use crate::device::DeviceError;
use crate::frame::{EncodedFrame, Picture};
use crate::group_session::{Layer, OwnTrack};
use crate::layers::{LayerPlan, plan_camera, plan_screen, view_rate};
use crate::scale::Scaler;
use crate::slot::Slot;
use crate::source::VideoSource;
use crate::thread::Thread;

/// What a source's pictures are published as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The camera: up to three layers.
    Camera,
    /// The screen: one.
    Screen,
}

/// Takes encoded frames to the thread that seals and sends them, each with the stream it belongs to.
pub trait LayerSink: Send + 'static {
    /// Takes a frame; must not block, and leaves out everything up to the next key frame when it cannot keep up.
    fn push(&self, track: OwnTrack, frame: EncodedFrame);
}

impl<F: Fn(OwnTrack, EncodedFrame) + Send + 'static> LayerSink for F {
    fn push(&self, track: OwnTrack, frame: EncodedFrame) {
        self(track, frame);
    }
}

/// The running threads. Dropping it ends and joins both.
pub struct LayersEncode {
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _threads: [Thread; 2],
}

struct Shared {
    capture: Capture,
    wishes: Mutex<Wishes>,
    /// Key frames asked for, by layer.
    keyframes: [AtomicBool; 3],
    encoded: AtomicU64,
    size: SharedSize,
}

#[derive(Clone, Copy)]
struct Wishes {
    wanted: LayersWanted,
    budget_bps: u32,
}

impl LayersEncode {
    /// Begins to read `source` and to hand its frames to `sink`: not before [`Self::set_enabled`] unless `enabled`, and
    /// only what [`Self::set_wanted`] says, which is nothing at first. Reads `rate_fps_max` pictures a second at most.
    #[must_use]
    pub fn start(
        source: Box<dyn VideoSource>,
        published: Published,
        sink: impl LayerSink,
        enabled: bool,
        rate_fps_max: u32,
    ) -> Self {
        let shared = Arc::new(Shared {
            capture: Capture::new(enabled),
            wishes: Mutex::new(Wishes {
                wanted: LayersWanted::default(),
                budget_bps: 0,
            }),
            keyframes: std::array::from_fn(|_| AtomicBool::new(false)),
            encoded: AtomicU64::new(0),
            size: SharedSize::default(),
        });
        let rate_fps = source_rate_fps(&*source, rate_fps_max.clamp(1, vp8::RATE_FPS_MAX));
        let (camera, encode) = (Arc::clone(&shared), Arc::clone(&shared));
        let names = match published {
            Published::Camera => ["camera", "video-encode"],
            Published::Screen => ["screen", "screen-encode"],
        };
        let threads = [
            Thread::spawn(names[0], move || run_camera(source, &camera.capture)),
            Thread::spawn(names[1], move || {
                Stage::new(published, rate_fps, &encode).run(&sink);
            }),
        ];
        Self {
            shared,
            _threads: threads,
        }
    }

    /// Shows or hides: hidden, the source stops, and nothing is read, encoded or previewed.
    pub fn set_enabled(&self, enabled: bool) {
        if enabled {
            // Before the gate opens: afterwards it would meet the second picture.
            for layer in &self.shared.keyframes {
                layer.store(true, Relaxed);
            }
        }
        self.shared.capture.set_open(enabled);
    }

    /// Encodes only this from the next picture on, within `budget_bps` in all (see [`crate::layers::share`]). A layer that
    /// was not wanted before begins with a key frame.
    pub fn set_wanted(&self, wanted: LayersWanted, budget_bps: u32) {
        *self
            .shared
            .wishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Wishes { wanted, budget_bps };
    }

    /// Makes the next frame of this stream a key frame. The microphone has none.
    pub fn request_keyframe(&self, track: OwnTrack) {
        match track {
            OwnTrack::Microphone => {}
            OwnTrack::Camera(layer) => self.shared.keyframes[layer as usize].store(true, Relaxed),
            OwnTrack::Screen => self.shared.keyframes[Layer::High as usize].store(true, Relaxed),
        }
    }

    /// The newest picture of the source; use [`Slot::peek`].
    #[must_use]
    pub fn preview(&self) -> Slot<Arc<Picture>> {
        self.shared.capture.preview.clone()
    }

    /// What was captured, encoded (all layers together), left out.
    #[must_use]
    pub fn counters(&self) -> VideoEncodeCounters {
        VideoEncodeCounters {
            captured: self.shared.capture.captured.load(Relaxed),
            encoded: self.shared.encoded.load(Relaxed),
            skipped: self.shared.capture.skipped.load(Relaxed),
            size: self.shared.size.get(),
        }
    }

    /// Why the source ended, once.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.capture.failure.take()
    }
}

impl Drop for LayersEncode {
    fn drop(&mut self) {
        self.shared.capture.stop();
    }
}

struct Stage<'a> {
    published: Published,
    encoders: [Option<vp8::Encoder>; 3],
    scalers: [Scaler; 3],
    cap: RateCap,
    source_fps: u32,
    shared: &'a Shared,
}

impl<'a> Stage<'a> {
    fn new(published: Published, source_fps: u32, shared: &'a Shared) -> Self {
        Self {
            published,
            encoders: [None, None, None],
            scalers: Default::default(),
            cap: RateCap::default(),
            source_fps,
            shared,
        }
    }

    fn run(mut self, sink: &impl LayerSink) {
        while let Some((picture, captured_at)) = self.shared.capture.pictures.wait() {
            let wishes = *self
                .shared
                .wishes
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let view = match self.published {
                Published::Camera => wishes.wanted.camera_view,
                Published::Screen => wishes.wanted.screen.unwrap_or_default(),
            };
            let rate_fps = view_rate(self.source_fps, view);
            if !self.cap.admits(captured_at, rate_fps) {
                continue;
            }
            let plans = self.plans(picture.size(), view, &wishes);
            for layer in Layer::ALL {
                match plans[layer as usize] {
                    Some(plan) => self.encode(layer, plan, rate_fps, (&picture, captured_at), sink),
                    // Whoever wants it again must begin with a key frame.
                    None => self.encoders[layer as usize] = None,
                }
            }
        }
    }

    fn plans(&self, source: (u32, u32), view: View, wishes: &Wishes) -> [Option<LayerPlan>; 3] {
        let (wanted, rate, budget) = (&wishes.wanted, self.source_fps, wishes.budget_bps);
        match self.published {
            Published::Camera => plan_camera(source, wanted, rate, budget),
            Published::Screen => {
                let view = wanted.screen.map(|_| view);
                [None, None, plan_screen(source, view, rate, budget)]
            }
        }
    }

    fn encode(
        &mut self,
        layer: Layer,
        plan: LayerPlan,
        rate_fps: u32,
        (picture, captured_at): (&Arc<Picture>, Instant),
        sink: &impl LayerSink,
    ) {
        let index = layer as usize;
        let (track, content) = match self.published {
            Published::Camera => (OwnTrack::Camera(layer), vp8::Content::Camera),
            Published::Screen => (OwnTrack::Screen, vp8::Content::Screen),
        };
        let encoder = self.encoders[index]
            .get_or_insert_with(|| vp8::Encoder::new(content, plan.bitrate_bps, rate_fps));
        encoder.set_rate(rate_fps);
        encoder.set_bitrate(plan.bitrate_bps);
        if self.shared.keyframes[index].swap(false, Relaxed) {
            encoder.request_keyframe();
        }
        let scaled = match self.scalers[index].scale(picture, plan.size) {
            Ok(scaled) => scaled,
            Err(error) => return tracing::warn!(%error, "a picture was not scaled"),
        };
        let encoded = encoder.encode(&scaled, captured_at);
        if !self.shared.capture.is_open() {
            // Hidden meanwhile. The others miss this frame, so the next one must stand alone.
            return encoder.request_keyframe();
        }
        match encoded {
            Ok(Some(frame)) => {
                self.shared.encoded.fetch_add(1, Relaxed);
                // Small layers come first.
                self.shared.size.set(plan.size);
                sink.push(track, frame);
            }
            Ok(None) => {
                self.shared.capture.skipped.fetch_add(1, Relaxed);
            }
            Err(error) => tracing::warn!(%error, "a picture was not encoded"),
        }
    }
}

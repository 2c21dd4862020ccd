//! Thread `video-decode`: frames → pictures for the screen and the recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::FreezeMeter;
use crate::clock;
use crate::codec::{VideoDecoder, h264};
use crate::device::DeviceError;
use crate::frame::{EncodedFrame, FrameKind, Picture};
use crate::sink::{Recorder, VideoSink};
use crate::slot::Slot;
use crate::thread::Thread;

/// Frames on their way to the thread: a second of 30 fps, as they come in one burst when a lost packet is repaired.
const FRAMES_MAX: usize = 32;
/// Time between two requests for a key frame: the answer needs a round trip, and each costs as much as ten frames.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// What arrived and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoDecodeCounters {
    /// Frames pushed in.
    pub received: u64,
    /// Pictures that came out.
    pub decoded: u64,
    /// Frames left out because too many waited: this computer is too slow for them.
    pub overrun: u64,
    /// Freezes by the W3C rule.
    pub freezes: u64,
    /// Their time in all.
    pub freeze_ms: u64,
    /// Key frames asked for.
    pub keyframe_requests: u64,
    /// Pixels across of the last picture; 0 before the first.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The running thread. Dropping it ends and joins it.
pub struct VideoDecode {
    /// None only while being dropped: the thread ends when it is gone.
    frames: Option<Sender<Arrival>>,
    /// A frame was left out since the last that went in.
    gap: AtomicBool,
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _thread: Thread,
}

struct Arrival {
    frame: EncodedFrame,
    after_gap: bool,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    received: AtomicU64,
    overrun: AtomicU64,
    counters: Slot<VideoDecodeCounters>,
    failure: Slot<DeviceError>,
}

impl VideoDecode {
    /// Begins to decode. Each picture goes to `recorder`, if any, then to `on_picture` with its frame's `captured_at`;
    /// `wants_keyframe` is called when only a key frame helps, again every 500 ms until one comes. Both run on the
    /// thread and must not block.
    #[must_use]
    pub fn start(
        recorder: Option<Recorder>,
        on_picture: Box<dyn Fn(Arc<Picture>, Instant) + Send>,
        wants_keyframe: Box<dyn Fn() + Send>,
    ) -> Self {
        let (frames, arrivals) = bounded(FRAMES_MAX);
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            Thread::spawn("video-decode", move || match h264::Decoder::new() {
                Ok(decoder) => {
                    let stage = Stage {
                        decoder,
                        recorder,
                        on_picture,
                        asker: Asker::new(wants_keyframe),
                        broken: true,
                        freezes: FreezeMeter::default(),
                        counters: VideoDecodeCounters::default(),
                        shared: &shared,
                    };
                    stage.run(&arrivals);
                }
                Err(error) => {
                    let message = error.to_string();
                    shared.failure.put(DeviceError::Failed {
                        what: "video decoder",
                        message,
                    });
                }
            })
        };
        Self {
            frames: Some(frames),
            gap: AtomicBool::new(false),
            shared,
            _thread: thread,
        }
    }

    /// Takes a frame. Never blocks: when too many wait it is left out, and pictures go on from the next key frame.
    pub fn push(&self, frame: EncodedFrame) {
        self.shared.received.fetch_add(1, Relaxed);
        let Some(frames) = &self.frames else { return };
        let after_gap = self.gap.swap(false, Relaxed);
        if frames.try_send(Arrival { frame, after_gap }).is_err() {
            self.gap.store(true, Relaxed);
            self.shared.overrun.fetch_add(1, Relaxed);
        }
    }

    /// What was received, decoded, frozen.
    #[must_use]
    pub fn counters(&self) -> VideoDecodeCounters {
        let received = self.shared.received.load(Relaxed);
        let counters = self
            .shared
            .counters
            .peek()
            .map_or_else(VideoDecodeCounters::default, |(_, counters)| counters);
        VideoDecodeCounters {
            received,
            overrun: self.shared.overrun.load(Relaxed),
            ..counters
        }
    }

    /// Why the recording ended, once. Pictures go on being shown.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.failure.take()
    }
}

impl Drop for VideoDecode {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.frames = None;
    }
}

struct Stage<'a> {
    decoder: h264::Decoder,
    recorder: Option<Recorder>,
    on_picture: Box<dyn Fn(Arc<Picture>, Instant) + Send>,
    asker: Asker,
    /// Only a key frame gives a picture again.
    broken: bool,
    freezes: FreezeMeter,
    counters: VideoDecodeCounters,
    shared: &'a Shared,
}

impl Stage<'_> {
    fn run(mut self, arrivals: &Receiver<Arrival>) {
        for Arrival { frame, after_gap } in arrivals {
            if self.shared.stop.load(Relaxed) {
                return;
            }
            self.broken |= after_gap;
            let decoded = match frame.kind {
                FrameKind::VideoDelta if self.broken => None,
                FrameKind::Audio => continue,
                _ => self.decode(&frame),
            };
            match decoded {
                Some(picture) => self.show(picture, frame.captured_at),
                None => {
                    self.broken = true;
                    self.counters.keyframe_requests += u64::from(self.asker.ask(clock::now()));
                    self.shared.counters.put(self.counters);
                }
            }
        }
    }

    /// A stream without reordering has a picture for every frame: none is as bad as an error.
    fn decode(&mut self, frame: &EncodedFrame) -> Option<Arc<Picture>> {
        self.decoder.decode(&frame.data).unwrap_or_else(|error| {
            tracing::debug!(%error, "a frame was not decoded");
            None
        })
    }

    fn show(&mut self, picture: Arc<Picture>, captured_at: Instant) {
        self.broken = false;
        self.asker.answered();
        self.freezes.picture(clock::now());
        self.counters.decoded += 1;
        self.counters.freezes = self.freezes.freezes();
        self.counters.freeze_ms =
            u64::try_from(self.freezes.frozen().as_millis()).unwrap_or(u64::MAX);
        (self.counters.width, self.counters.height) = picture.size();
        if let Some(Err(error)) = self
            .recorder
            .as_mut()
            .map(|recorder| recorder.write(&picture))
        {
            tracing::warn!(%error, "the recording ended");
            self.shared.failure.put(error);
            self.recorder = None;
        }
        self.shared.counters.put(self.counters);
        (self.on_picture)(picture, captured_at);
    }
}

/// Asks for key frames, at once and then at intervals.
pub(super) struct Asker {
    wants_keyframe: Box<dyn Fn() + Send>,
    last: Option<Instant>,
}

impl Asker {
    pub(super) fn new(wants_keyframe: Box<dyn Fn() + Send>) -> Self {
        Self {
            wants_keyframe,
            last: None,
        }
    }

    /// A picture came: the next request is due at once.
    pub(super) fn answered(&mut self) {
        self.last = None;
    }

    /// Asks if it is time to; whether it did.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < REQUEST_INTERVAL)
        {
            return false;
        }
        self.last = Some(now);
        (self.wants_keyframe)();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_asked_for_twice_a_second_at_the_most() {
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        let wants_keyframe = Box::new(move || {
            counter.fetch_add(1, Relaxed);
        });
        let mut asker = Asker::new(wants_keyframe);
        let start = clock::now();
        let times = (0..1_600)
            .step_by(33)
            .filter(|&ms| asker.ask(start + Duration::from_millis(ms)))
            .count();
        assert_eq!((times, asked.load(Relaxed)), (4, 4));
    }
}

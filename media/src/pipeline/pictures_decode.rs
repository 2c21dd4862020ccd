//! Thread `video-decode` of a group call: the frames of everybody on screen → pictures. One VP8 decoder for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use hullo_proto::group::media_frame::Track;
use hullo_proto::service::sfu::ParticipantId;

use super::video_decode::Asker;
use super::{FreezeMeter, VideoDecodeCounters};
use crate::clock;
use crate::codec::{VideoDecoder, vp8};
use crate::frame::{EncodedFrame, FrameKind, Picture};
use crate::thread::Thread;

/// Pictures decoded at once: more than any screen of cells shows. The one unused longest makes room; a decoder holds up to
/// four pictures.
pub const DECODERS_MAX: usize = 32;

/// Frames on their way to the thread: a second of 15 fps from sixteen people.
const FRAMES_MAX: usize = 256;

/// Whose picture, and from what.
pub type PictureOf = (ParticipantId, Track);

/// The running thread. Dropping it ends and joins it.
pub struct PicturesDecode {
    /// None only while being dropped: the thread ends when it is gone.
    frames: Option<Sender<Arrival>>,
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _thread: Thread,
}

struct Arrival {
    of: PictureOf,
    frame: EncodedFrame,
    after_gap: bool,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    board: Mutex<Board>,
}

/// What both sides see. Bounded by [`DECODERS_MAX`].
#[derive(Default)]
struct Board {
    counters: BTreeMap<PictureOf, VideoDecodeCounters>,
    /// Whose frames were left out since the last that went in.
    gaps: BTreeSet<PictureOf>,
    forgotten: Vec<PictureOf>,
}

impl Shared {
    /// The board is whole whenever the lock is free, also after a panic elsewhere.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PicturesDecode {
    /// Begins to decode. Each picture goes to `on_picture` with its frame's `captured_at`; `wants_keyframe` is called when
    /// only a key frame of that picture helps, again every 500 ms until one comes. Both run on the thread and must not
    /// block.
    #[must_use]
    pub fn start(
        on_picture: Box<dyn FnMut(PictureOf, Arc<Picture>, Instant) + Send>,
        wants_keyframe: Box<dyn Fn(PictureOf) + Send + Sync>,
    ) -> Self {
        let (frames, arrivals) = bounded(FRAMES_MAX);
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            Thread::spawn("video-decode", move || {
                let stage = Stage {
                    decoders: BTreeMap::new(),
                    on_picture,
                    wants_keyframe: wants_keyframe.into(),
                    shared: &shared,
                };
                stage.run(&arrivals);
            })
        };
        Self {
            frames: Some(frames),
            shared,
            _thread: thread,
        }
    }

    /// Takes a frame; `contiguous` is false when packets before it are missing. Never blocks: when too many wait it is left
    /// out, and that picture goes on from the next key frame.
    pub fn push(&self, of: PictureOf, frame: EncodedFrame, contiguous: bool) {
        let Some(frames) = &self.frames else { return };
        let mut board = self.shared.board();
        if board.counters.len() < DECODERS_MAX || board.counters.contains_key(&of) {
            board.counters.entry(of).or_default().received += 1;
        }
        let after_gap = board.gaps.remove(&of) || !contiguous;
        let arrival = Arrival {
            of,
            frame,
            after_gap,
        };
        if frames.try_send(arrival).is_err() && board.gaps.len() < DECODERS_MAX {
            board.gaps.insert(of);
        }
    }

    /// Shows this picture no more: its decoder and its figures go.
    pub fn forget(&self, of: PictureOf) {
        let mut board = self.shared.board();
        board.counters.remove(&of);
        board.gaps.remove(&of);
        if board.forgotten.len() < FRAMES_MAX {
            board.forgotten.push(of);
        }
    }

    /// What was received, decoded, frozen, of everybody on screen.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<PictureOf, VideoDecodeCounters> {
        self.shared.board().counters.clone()
    }
}

impl Drop for PicturesDecode {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.frames = None;
    }
}

struct Stage<'a> {
    decoders: BTreeMap<PictureOf, One>,
    on_picture: Box<dyn FnMut(PictureOf, Arc<Picture>, Instant) + Send>,
    wants_keyframe: Arc<dyn Fn(PictureOf) + Send + Sync>,
    shared: &'a Shared,
}

/// One picture's decoder.
struct One {
    decoder: vp8::Decoder,
    asker: Asker,
    /// Only a key frame gives a picture again.
    broken: bool,
    freezes: FreezeMeter,
    used_at: Instant,
}

impl Stage<'_> {
    fn run(mut self, arrivals: &Receiver<Arrival>) {
        for arrival in arrivals {
            if self.shared.stop.load(Relaxed) {
                return;
            }
            for of in std::mem::take(&mut self.shared.board().forgotten) {
                self.decoders.remove(&of);
            }
            self.arrive(arrival);
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival {
            of,
            frame,
            after_gap,
        } = arrival;
        let now = clock::now();
        let Some(one) = self.decoder(of, now) else {
            return;
        };
        one.used_at = now;
        one.broken |= after_gap;
        let decoded = match frame.kind {
            FrameKind::VideoDelta if one.broken => None,
            FrameKind::Audio => return,
            _ => one.decoder.decode(&frame.data).unwrap_or_else(|error| {
                tracing::debug!(%error, "a frame was not decoded");
                None
            }),
        };
        // A stream without reordering has a picture for every frame: none is as bad as an error.
        let Some(picture) = decoded else {
            one.broken = true;
            let asked = one.asker.ask(now);
            let mut board = self.shared.board();
            if let Some(counters) = board.counters.get_mut(&of) {
                counters.keyframe_requests += u64::from(asked);
            }
            return;
        };
        one.broken = false;
        one.asker.answered();
        one.freezes.picture(now);
        let (freezes, frozen) = (one.freezes.freezes(), one.freezes.frozen());
        if let Some(counters) = self.shared.board().counters.get_mut(&of) {
            counters.decoded += 1;
            counters.freezes = freezes;
            counters.freeze_ms = u64::try_from(frozen.as_millis()).unwrap_or(u64::MAX);
            (counters.width, counters.height) = picture.size();
        }
        (self.on_picture)(of, picture, frame.captured_at);
    }

    /// The decoder of a picture; a new one if there is none yet.
    fn decoder(&mut self, of: PictureOf, now: Instant) -> Option<&mut One> {
        if !self.decoders.contains_key(&of) {
            if self.decoders.len() >= DECODERS_MAX {
                let oldest = self.decoders.iter().min_by_key(|(_, one)| one.used_at);
                let oldest = *oldest.expect("the table is full, so it has an oldest").0;
                self.decoders.remove(&oldest);
            }
            let decoder = vp8::Decoder::new()
                .inspect_err(|error| tracing::warn!(%error, "a picture cannot be shown"))
                .ok()?;
            let wants_keyframe = Arc::clone(&self.wants_keyframe);
            let one = One {
                decoder,
                asker: Asker::new(Box::new(move || wants_keyframe(of))),
                broken: true,
                freezes: FreezeMeter::default(),
                used_at: now,
            };
            self.decoders.insert(of, one);
        }
        self.decoders.get_mut(&of)
    }
}

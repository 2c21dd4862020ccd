//! The queues between the encoders' threads and the thread of the call, with their overflow rules: sound drops the
//! oldest, pictures of one stream drop until the next key frame and ask for one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hullo_media::frame::EncodedFrame;
use hullo_media::group_session::OwnTrack;
use hullo_media::pipeline::{FrameSink, LayerSink};
use hullo_proto::frame::FrameKind;
use mio::Waker;

/// Half a second of sound: older is no use to anyone.
const AUDIO_FRAMES_MAX: usize = 25;
/// A quarter of a second of pictures at 30 per second, in each stream.
const VIDEO_FRAMES_MAX: usize = 8;

/// The encoders' end.
#[derive(Clone)]
pub struct LayerQueue {
    shared: Arc<Mutex<Queues>>,
    waker: Arc<Waker>,
}

#[derive(Default)]
struct Queues {
    streams: BTreeMap<OwnTrack, VecDeque<EncodedFrame>>,
    /// Streams that had a frame dropped and no key frame since.
    broken: BTreeSet<OwnTrack>,
    /// Of these, those whose encoder was not told yet.
    untold: Vec<OwnTrack>,
}

impl LayerQueue {
    /// Empty queues that wake the thread of the call.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self {
            shared: Arc::default(),
            waker,
        }
    }

    /// The next frame to send, sound first, then low layers before high ones.
    pub fn next(&self) -> Option<(OwnTrack, EncodedFrame)> {
        let mut queues = self.lock();
        let mut waiting = queues.streams.iter_mut();
        waiting.find_map(|(track, frames)| Some((*track, frames.pop_front()?)))
    }

    /// Streams that need a key frame since they were last asked for, because a frame found no room.
    pub fn take_broken(&self) -> Vec<OwnTrack> {
        std::mem::take(&mut self.lock().untold)
    }

    /// The queues are whole whenever the lock is free, also after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, track: OwnTrack, frame: EncodedFrame) {
        self.lock().put(track, frame);
        // The thread is gone only when the call is over.
        let _ = self.waker.wake();
    }
}

impl Queues {
    fn put(&mut self, track: OwnTrack, frame: EncodedFrame) {
        let frames = self.streams.entry(track).or_default();
        if track == OwnTrack::Microphone {
            if frames.len() == AUDIO_FRAMES_MAX {
                frames.pop_front();
            }
            return frames.push_back(frame);
        }
        let is_key = frame.kind == FrameKind::VideoKey;
        if frames.len() == VIDEO_FRAMES_MAX {
            if self.broken.insert(track) {
                self.untold.push(track);
            }
        } else if is_key || !self.broken.contains(&track) {
            self.broken.remove(&track);
            frames.push_back(frame);
        }
    }
}

impl FrameSink for LayerQueue {
    fn push(&self, frame: EncodedFrame) {
        self.put(OwnTrack::Microphone, frame);
    }
}

impl LayerSink for LayerQueue {
    fn push(&self, track: OwnTrack, frame: EncodedFrame) {
        self.put(track, frame);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hullo_media::group_session::Layer;

    use super::*;

    fn frame(kind: FrameKind, tag: u8) -> EncodedFrame {
        EncodedFrame {
            kind,
            data: vec![tag],
            captured_at: Instant::now(),
        }
    }

    fn tags(queues: &mut Queues, track: OwnTrack) -> Vec<u8> {
        let frames = queues.streams.get_mut(&track).expect("something was put");
        frames.drain(..).map(|frame| frame.data[0]).collect()
    }

    #[test]
    fn sound_drops_the_oldest() {
        let mut queues = Queues::default();
        for tag in 0..30 {
            queues.put(OwnTrack::Microphone, frame(FrameKind::Audio, tag));
        }
        let kept = tags(&mut queues, OwnTrack::Microphone);
        assert_eq!(kept, (5..30).collect::<Vec<u8>>());
    }

    #[test]
    fn a_stream_that_overflows_waits_for_its_key_frame_and_harms_no_other() {
        let mut queues = Queues::default();
        let (low, high) = (OwnTrack::Camera(Layer::Low), OwnTrack::Camera(Layer::High));
        for tag in 0..10 {
            queues.put(high, frame(FrameKind::VideoDelta, tag));
        }
        assert_eq!(std::mem::take(&mut queues.untold), [high]);
        assert_eq!(tags(&mut queues, high).len(), VIDEO_FRAMES_MAX);
        queues.put(high, frame(FrameKind::VideoDelta, 99));
        queues.put(low, frame(FrameKind::VideoDelta, 1));
        assert!(tags(&mut queues, high).is_empty());
        assert_eq!(tags(&mut queues, low), [1]);
        queues.put(high, frame(FrameKind::VideoKey, 100));
        queues.put(high, frame(FrameKind::VideoDelta, 101));
        assert_eq!(tags(&mut queues, high), [100, 101]);
        assert!(queues.untold.is_empty());
    }
}

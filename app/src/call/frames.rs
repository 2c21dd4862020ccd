//! The queues between the encoders' threads and the `call` thread, with their overflow rules: sound drops the
//! oldest, pictures drop until the next key frame and ask for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use hullo_media::frame::EncodedFrame;
use hullo_media::pipeline::FrameSink;
use hullo_proto::frame::FrameKind;
use mio::Waker;

/// Half a second of sound: older is no use to anyone.
const AUDIO_FRAMES_MAX: usize = 25;
/// A quarter of a second of pictures at 30 per second.
const VIDEO_FRAMES_MAX: usize = 8;

/// The encoders' end.
#[derive(Clone)]
pub struct FrameQueue {
    audio: (Sender<EncodedFrame>, Receiver<EncodedFrame>),
    video: (Sender<EncodedFrame>, Receiver<EncodedFrame>),
    video_broken: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    waker: Arc<Waker>,
}

impl FrameQueue {
    /// An empty pair of queues that wakes the `call` thread.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self {
            audio: bounded(AUDIO_FRAMES_MAX),
            video: bounded(VIDEO_FRAMES_MAX),
            video_broken: Arc::default(),
            dropped: Arc::default(),
            waker,
        }
    }

    /// The next frame to send, sound first.
    pub fn next(&self) -> Option<EncodedFrame> {
        self.audio
            .1
            .try_recv()
            .or_else(|_| self.video.1.try_recv())
            .ok()
    }

    /// Whether pictures were dropped and a key frame is due.
    pub fn is_video_broken(&self) -> bool {
        self.video_broken.load(Ordering::Relaxed)
    }

    /// Frames dropped because the `call` thread was slower than the encoders.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn push_audio(&self, mut frame: EncodedFrame) {
        while let Err(TrySendError::Full(back)) = self.audio.0.try_send(frame) {
            // Another thread may have taken it first; then there is room.
            if self.audio.1.try_recv().is_ok() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            frame = back;
        }
    }

    fn push_video(&self, frame: EncodedFrame) {
        if self.is_video_broken() && frame.kind != FrameKind::VideoKey {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let sent = self.video.0.try_send(frame).is_ok();
        self.video_broken.store(!sent, Ordering::Relaxed);
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl FrameSink for FrameQueue {
    fn push(&self, frame: EncodedFrame) {
        match frame.kind {
            FrameKind::Audio => self.push_audio(frame),
            FrameKind::VideoDelta | FrameKind::VideoKey => self.push_video(frame),
        }
        // The thread is gone only when the call is over.
        let _ = self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token};
    use std::time::Instant;

    fn queue() -> (Poll, FrameQueue) {
        let poll = Poll::new().expect("poll");
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).expect("waker"));
        (poll, FrameQueue::new(waker))
    }

    #[expect(clippy::disallowed_methods, reason = "the stamp is not looked at")]
    fn frame(kind: FrameKind, tag: u8) -> EncodedFrame {
        EncodedFrame {
            kind,
            data: vec![tag],
            captured_at: Instant::now(),
        }
    }

    #[test]
    fn sound_drops_the_oldest() {
        let (_poll, queue) = queue();
        for tag in 0..30 {
            queue.push(frame(FrameKind::Audio, tag));
        }
        let kept: Vec<u8> = std::iter::from_fn(|| queue.next())
            .map(|frame| frame.data[0])
            .collect();
        assert_eq!(kept, (5..30).collect::<Vec<u8>>());
        assert_eq!(queue.dropped(), 5);
    }

    #[test]
    fn pictures_drop_until_the_next_key_frame() {
        let (_poll, queue) = queue();
        for tag in 0..10 {
            queue.push(frame(FrameKind::VideoDelta, tag));
        }
        assert!(queue.is_video_broken());
        while queue.next().is_some() {}
        queue.push(frame(FrameKind::VideoDelta, 99));
        assert!(
            queue.next().is_none(),
            "a delta frame after a hole cannot be decoded"
        );
        queue.push(frame(FrameKind::VideoKey, 100));
        assert!(!queue.is_video_broken());
        assert_eq!(queue.next().map(|frame| frame.data[0]), Some(100));
    }
}

//! Pictures that wait for their sound.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{LipSync, Skew};
use crate::jitter::SoundClock;

/// Pictures waiting at once: more than fit into the longest hold at 60 a second. One more lets all go.
const PICTURES_MAX: usize = 32;

/// [`LipSync`] with the pictures that it holds.
#[derive(Debug)]
pub struct HeldPictures<T> {
    sync: LipSync,
    waiting: VecDeque<(Instant, u64, T)>,
}

impl<T> Default for HeldPictures<T> {
    fn default() -> Self {
        Self {
            sync: LipSync::default(),
            waiting: VecDeque::new(),
        }
    }
}

impl<T> HeldPictures<T> {
    /// What the loudspeaker plays when; `None`: nothing now.
    pub fn sound(&mut self, now: Instant, clock: Option<SoundClock>) {
        self.sync.sound(now, clock);
    }

    /// Takes a picture of this time (90 kHz ticks) until it is due; see [`LipSync::due`].
    pub fn push(&mut self, now: Instant, media_time: u64, is_key: bool, picture: T) {
        let due = self.sync.due(now, media_time, is_key);
        self.waiting.push_back((due, media_time, picture));
        if self.waiting.len() > PICTURES_MAX {
            self.waiting.iter_mut().for_each(|(due, ..)| *due = now);
        }
    }

    /// The next picture that is due.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        if self.waiting.front().is_none_or(|(due, ..)| *due > now) {
            return None;
        }
        let (_, media_time, picture) = self.waiting.pop_front()?;
        self.sync.shown(now, media_time);
        Some(picture)
    }

    /// When the next is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, ..)| *due)
    }

    /// See [`LipSync::sound_wait`].
    pub fn sound_wait(&mut self, now: Instant) -> Option<Duration> {
        self.sync.sound_wait(now)
    }

    /// See [`LipSync::picture_wait_max`].
    pub fn picture_wait_max(&mut self) -> Option<Duration> {
        self.sync.picture_wait_max()
    }

    /// See [`LipSync::take_skew`].
    pub fn take_skew(&mut self) -> Option<Skew> {
        self.sync.take_skew()
    }

    /// Drops what waits: it is not to be shown any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

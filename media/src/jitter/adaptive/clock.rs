//! What plays when, and how long sound waits for itself and for pictures.

use std::time::Duration;

use super::{JitterBuffer, MS, State, samples};
use crate::frame::BLOCK_SAMPLES;
use crate::jitter::{SoundClock, TARGET_MAX};
use crate::lip_sync::SOUND_WAIT_MAX;

impl JitterBuffer {
    /// The slack that the network needs.
    pub(super) fn needed(&self) -> i64 {
        self.delay.target(self.packet_samples as i64)
    }

    /// The slack to keep: what the network needs, or what pictures need if that is not much more.
    pub(super) fn target(&self) -> i64 {
        // Sound plays up to a block later than its slack.
        let wait = self.wait.min(self.delay_max()) - BLOCK_SAMPLES as i64;
        self.needed().max(wait)
    }

    /// The most that the delay may be made for pictures.
    fn delay_max(&self) -> i64 {
        let alone = self.needed() + BLOCK_SAMPLES as i64;
        (alone + samples(SOUND_WAIT_MAX)).min(samples(TARGET_MAX))
    }

    pub(super) fn clock(&self) -> Option<SoundClock> {
        let (State::Playing(_), Some(epoch)) = (&self.state, self.epoch) else {
            return None;
        };
        let plays = self.delay.base()? + self.stretching.delay + self.next_media;
        let time = |samples: i64| {
            let micros = u64::try_from(samples).ok()? * 1_000 / MS as u64;
            Some(Duration::from_micros(micros))
        };
        Some(SoundClock {
            at: epoch + time(plays)?,
            media_time: u64::try_from(self.next_media).ok()?,
            delay: time(self.stretching.delay.max(0))?,
            delay_max: time(self.delay_max())?,
        })
    }
}

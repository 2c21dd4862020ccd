//! When the buffer makes sound longer or shorter, and by how much.

use super::{JitterBuffer, State};
use crate::frame::BLOCK_SAMPLES;
use crate::jitter::delay::MS;
use crate::jitter::stretch::{self, LAG_MAX, LAG_MIN};

/// The slack may be so much above what one packet less would leave before sound is shortened.
const EXCESS_MIN: i64 = 8 * MS;
/// So far above it one hurries.
const FAR_BEHIND: i64 = 80 * MS;
/// More alike than anything can be: shortening that only brings sound to the edge of a block must not be heard at all.
const ONLY_QUIET: f32 = 2.0;

/// Follows the delay and how long one waits for a moment to change it.
#[derive(Default)]
pub(super) struct Stretching {
    /// Smoothed; follows down faster than up, as it is the least that counts.
    pub(super) delay: i64,
    pub(super) patience: u32,
}

impl Stretching {
    pub(super) fn follow(&mut self, delay: i64) {
        let step = if delay < self.delay { 4 } else { 16 };
        self.delay += (delay - self.delay) / step;
    }

    /// What was put in or left out changes the delay by as much.
    fn changed(&mut self, by: i64) {
        self.delay += by;
        if by != 0 {
            self.patience = 0;
        }
    }
}

impl JitterBuffer {
    /// The slack at the moment when `left` samples were left from the block before.
    fn slack(&self, left: usize) -> i64 {
        let missing = BLOCK_SAMPLES.saturating_sub(left);
        // The last packet that the block needs has had the least time.
        let more = missing.div_ceil(self.packet_samples).saturating_sub(1) * self.packet_samples;
        self.stretching.delay - (left % BLOCK_SAMPLES + more) as i64
    }

    /// Brings the slack nearer to its target, if this is a moment for it. `left` of the sound was left over before.
    pub(super) fn stretch(&mut self, at: i64, left: usize) {
        self.stretching.patience += 1;
        // Shortening takes a whole packet from the slack, or none if what was left over covers it.
        let excess = self.slack(left) - self.target() - self.packet_samples as i64;
        if excess > EXCESS_MIN {
            self.shorten(at, excess);
        } else if self.slack(left) < self.target() {
            let alike_min = if self.stretching.patience > 4 {
                0.3
            } else {
                0.7
            };
            let more = stretch::lengthen(self.heard.as_slice(), &mut self.sound, alike_min);
            self.samples.lengthened += more as u64;
            self.stretching.changed(more as i64);
        } else {
            self.stretching.patience = 0;
            if left >= LAG_MIN && self.sound.len() >= BLOCK_SAMPLES + left {
                let gone = stretch::shorten(&mut self.sound, left, ONLY_QUIET);
                self.samples.shortened += gone as u64;
                self.stretching.changed(-(gone as i64));
            }
        }
    }

    /// Leaves out a period of the voice, or two when far behind: a quarter faster is still understood.
    fn shorten(&mut self, at: i64, excess: i64) {
        let is_far_behind = excess > FAR_BEHIND;
        let alike_min = match self.stretching.patience {
            _ if is_far_behind => 0.4,
            26.. => 0.5,
            _ => 0.8,
        };
        for _ in 0..1 + u32::from(is_far_behind) {
            // Ahead only with what is there: making something up early would be a pity.
            while self.sound.len() < BLOCK_SAMPLES + LAG_MAX && self.has_next(at) {
                let wanted = self.sound.len() + 1;
                self.decode_until(at, wanted);
            }
            if self.sound.len() < BLOCK_SAMPLES + LAG_MAX {
                return;
            }
            let gone = stretch::shorten(&mut self.sound, LAG_MAX, alike_min);
            self.samples.shortened += gone as u64;
            self.stretching.changed(-(gone as i64));
        }
    }

    /// Whether time was filled for a packet that may still come: the delay is not what it will be.
    pub(super) fn is_holding(&self) -> bool {
        matches!(&self.state, State::Playing(playing) if playing.owed > 0)
    }

    fn has_next(&self, at: i64) -> bool {
        let next = self.next_seq();
        next.is_some_and(|seq| self.packets.contains_key(&seq) && !self.pauses(at, seq))
    }
}

//! RTP time of sound from the times at which it was captured.

use std::time::Duration;

/// Of a frame of 20 ms.
pub(crate) const FRAME_TICKS: u64 = 960;
/// 200 ms: a longer gap is a pause, a shorter one scheduling.
const CLOCK_SLACK_TICKS: u64 = 9_600;
/// A sound card that is so far from the clock by which pictures are taken, 20 ms on average, is brought nearer: lips
/// would part from the voice.
const DRIFT_MAX_TICKS: i64 = 960;
/// By so much at once, 10 ms: a jitter buffer stretches that away.
const CORRECTION_TICKS: i64 = 480;
/// Part of each deviation that counts: single late wake-ups are no drift.
const SMOOTHING: i64 = 64;

/// Turns capture times into RTP time that advances by exactly the length of each frame, so that scheduling noise of the
/// capture thread does not look like jitter, and follows real time across pauses (mute, hold) and when the sound card
/// drifts.
#[derive(Default)]
pub(crate) struct AudioClock {
    next: Option<u64>,
    /// How far real time is ahead of ours on average, ticks times [`SMOOTHING`].
    drift: i64,
}

impl AudioClock {
    /// Ticks of 48 kHz for a frame captured `since_epoch` after the session began, which lasts `frame_ticks`.
    pub(crate) fn ticks(&mut self, since_epoch: Duration, frame_ticks: u64) -> u64 {
        let real = u64::try_from(since_epoch.as_micros() * 48 / 1_000).unwrap_or(u64::MAX);
        let ticks = match self.next {
            Some(next) if real.abs_diff(next) < CLOCK_SLACK_TICKS => self.near(next, real),
            other => {
                self.drift = 0;
                other.map_or(real, |next| next.max(real))
            }
        };
        self.next = Some(ticks.saturating_add(frame_ticks));
        ticks
    }

    fn near(&mut self, next: u64, real: u64) -> u64 {
        // Nearer than the slack, which is small.
        let ahead = real.cast_signed().wrapping_sub(next.cast_signed());
        self.drift += ahead - self.drift / SMOOTHING;
        if self.drift.abs() < DRIFT_MAX_TICKS * SMOOTHING {
            return next;
        }
        let correction = CORRECTION_TICKS * self.drift.signum();
        self.drift -= correction * SMOOTHING;
        next.saturating_add_signed(correction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card whose blocks last `block_us`, for `blocks`; wake-ups are up to 15 ms late. The last difference from real
    /// time and the number of corrections.
    fn run(block_us: u64, blocks: u64) -> (i64, u32) {
        let mut clock = AudioClock::default();
        let (mut last, mut corrected, mut off) = (None, 0, 0);
        for index in 0..blocks {
            let late_us = index * 7_919 % 15_000;
            let real_us = index * block_us;
            let ticks = clock.ticks(Duration::from_micros(real_us + late_us), FRAME_TICKS);
            corrected += u32::from(last.is_some_and(|last| ticks != last + FRAME_TICKS));
            last = Some(ticks);
            off = ticks.cast_signed() - (real_us * 48 / 1_000).cast_signed();
        }
        (off, corrected)
    }

    #[test]
    fn an_hour_of_a_card_that_drifts_stays_near_the_clock_of_pictures_and_noise_changes_nothing() {
        let hour = 180_000;
        assert_eq!(run(20_000, hour).1, 0);
        // 100 ppm: 360 ms an hour, in steps of 10 ms.
        for block_us in [20_002, 19_998] {
            let (off, corrected) = run(block_us, hour);
            assert!(off.abs() <= 48 * 32, "{block_us}: {off} ticks off");
            assert!(
                (25..=40).contains(&corrected),
                "{block_us}: {corrected} times"
            );
        }
    }

    #[test]
    fn a_pause_is_followed_at_once_and_time_never_goes_back() {
        let mut clock = AudioClock::default();
        let mut last = 0;
        for (index, ms) in [0_u64, 20, 40, 5_000, 5_020, 4_000, 9_000]
            .into_iter()
            .enumerate()
        {
            let ticks = clock.ticks(Duration::from_millis(ms), FRAME_TICKS);
            assert!(
                index == 0 || ticks >= last + FRAME_TICKS,
                "{ticks} after {last}"
            );
            last = ticks;
        }
        assert_eq!(last, 9_000 * 48);
    }
}

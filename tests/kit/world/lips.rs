//! How far sound and pictures of the far side came apart, by what was heard and seen alone: beeps begin with each full
//! second of the far clock, and cards show its time.

use std::time::Duration;

use hullo_media::frame::{BLOCK_SAMPLES, Block};

/// Louder than this is the beep: its level is 0.5, and what concealment makes of silence is far below.
const LOUD: f32 = 0.1;
/// Beeps are a second apart: what is loud sooner is the same one, or its echo made by stretching.
const QUIET_MIN: Duration = Duration::from_millis(500);
/// Screens draw 30 to 60 times a second.
const SEEN_MIN: Duration = Duration::from_millis(10);
/// The beep has risen to [`LOUD`] so long after the full second (2 ms to 0.5), and the codec looks so far ahead.
const RISE_MS: f64 = 0.4 + 6.5;

/// What was heard and seen.
#[derive(Default)]
pub struct Lips {
    loud_at: Option<Duration>,
    /// When each beep was heard, and how long after it had been made, milliseconds.
    beeps: Vec<(Duration, f64)>,
    /// When each picture was shown, and how long after it had been taken.
    pictures: Vec<(Duration, f64)>,
}

impl Lips {
    /// A block begins to play at `at`.
    pub(super) fn block(&mut self, at: Duration, block: &Block) {
        let mut loud = (0_u32..)
            .zip(block.iter())
            .filter(|(_, sample)| sample.abs() > LOUD);
        let Some((first, _)) = loud.next() else {
            return;
        };
        let heard = at + Duration::from_secs(1) * first / 48_000;
        let is_new = self.loud_at.is_none_or(|last| heard > last + QUIET_MIN);
        self.loud_at = Some(at + Duration::from_secs(1) * (BLOCK_SAMPLES as u32) / 48_000);
        if is_new {
            let ms = heard.as_secs_f64() * 1_000.0 - RISE_MS;
            self.beeps.push((heard, ms.rem_euclid(1_000.0)));
        }
    }

    /// A picture is shown. What is replaced before anybody could see it does not count.
    pub(super) fn picture(&mut self, at: Duration, delay_ms: f64) {
        self.pictures.pop_if(|(before, _)| at < *before + SEEN_MIN);
        self.pictures.push((at, delay_ms));
    }

    /// How late pictures were against the beep next to each, from `since` on, milliseconds, smallest first; negative where
    /// sound was late.
    #[must_use]
    pub fn skews_ms(&self, since: Duration) -> Vec<f64> {
        let beeps: Vec<_> = self.beeps.iter().filter(|(at, _)| *at >= since).collect();
        let skew = |(at, delay_ms): &(Duration, f64)| {
            let (_, beep_ms) = beeps.iter().min_by_key(|(beep, _)| beep.abs_diff(*at))?;
            Some(delay_ms - beep_ms)
        };
        let pictures = self.pictures.iter().filter(|(at, _)| *at >= since);
        let mut skews: Vec<f64> = pictures.filter_map(skew).collect();
        skews.sort_by(f64::total_cmp);
        skews
    }

    /// 95 of 100 pictures were off by no more, either way, milliseconds.
    #[must_use]
    pub fn p95_ms(&self, since: Duration) -> Option<f64> {
        let mut off: Vec<f64> = self.skews_ms(since).iter().map(|skew| skew.abs()).collect();
        off.sort_by(f64::total_cmp);
        let last = off.len().checked_sub(1)?;
        off.get(last * 95 / 100).copied()
    }
}

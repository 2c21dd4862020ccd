//! Counts freezes as the W3C statistics do (`freezeCount` of webrtc-stats).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Gaps that make up the average.
const GAPS_MAX: usize = 30;
/// Gaps seen before one can be a freeze.
const GAPS_MIN: usize = 5;
/// How much longer than the average a gap must be at least.
const EXCESS_MIN: Duration = Duration::from_millis(150);
/// A longer gap is a pause: the camera was off.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// Told the time of every picture shown, counts the gaps of at least `max(3 x average, average + 150 ms)`.
#[derive(Default)]
pub struct FreezeMeter {
    last: Option<Instant>,
    gaps: VecDeque<Duration>,
    freezes: u64,
    frozen: Duration,
}

impl FreezeMeter {
    /// A picture is shown at `now`.
    pub fn picture(&mut self, now: Instant) {
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let gap = now.saturating_duration_since(last);
        if gap >= PAUSE_MIN {
            self.gaps.clear();
            return;
        }
        if self.gaps.len() >= GAPS_MIN {
            let average = self.gaps.iter().sum::<Duration>() / self.gaps.len() as u32;
            if gap >= (average * 3).max(average + EXCESS_MIN) {
                self.freezes += 1;
                self.frozen += gap;
            }
        }
        self.gaps.push_back(gap);
        if self.gaps.len() > GAPS_MAX {
            self.gaps.pop_front();
        }
    }

    /// Freezes so far.
    #[must_use]
    pub fn freezes(&self) -> u64 {
        self.freezes
    }

    /// Their time in all.
    #[must_use]
    pub fn frozen(&self) -> Duration {
        self.frozen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(gaps_ms: impl IntoIterator<Item = u64>) -> (u64, u128) {
        let mut meter = FreezeMeter::default();
        let mut now = Instant::now();
        meter.picture(now);
        for gap in gaps_ms {
            now += Duration::from_millis(gap);
            meter.picture(now);
        }
        (meter.freezes(), meter.frozen().as_millis())
    }

    #[test]
    fn the_rule_of_the_standard_decides() {
        // 15 per second with one hole of about a second, as in the notes' check.
        let holed = (0..135).map(|index| if index == 70 { 1_067 } else { 67 });
        assert_eq!(measure(holed), (1, 1_067));
        // At 30 per second the limit is average + 150 ms, at 10 per second three times the average.
        assert_eq!(measure([33, 33, 33, 33, 33, 182]), (0, 0));
        assert_eq!(measure([33, 33, 33, 33, 33, 183]), (1, 183));
        assert_eq!(measure([100, 100, 100, 100, 100, 299]), (0, 0));
        assert_eq!(measure([100, 100, 100, 100, 100, 300]), (1, 300));
        assert_eq!(
            measure([33, 33, 33, 33, 1_000]),
            (0, 0),
            "too early to tell"
        );
        assert_eq!(
            measure([33, 33, 33, 33, 33, 60_000, 33]),
            (0, 0),
            "the camera was off"
        );
    }
}

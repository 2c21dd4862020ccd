//! Absolute deadlines for sources and sinks that have no clock of their own: no drift, no bursts after a stall.

use std::time::{Duration, Instant};

/// How many missed deadlines are made up for. Fewer loses sound at every scheduling hiccup; more turns a stall into a
/// burst that the network and the far side must swallow.
pub const CATCH_UP_MAX: u32 = 3;

/// Gives the deadlines `start`, `start + interval`, … . Pure: the time is an argument.
#[derive(Clone, Debug)]
pub struct Pacer {
    interval: Duration,
    next: Instant,
    skipped: u64,
}

impl Pacer {
    /// Deadlines every `interval` from `start` on.
    ///
    /// # Panics
    /// When `interval` is zero: such a pacer would never wait.
    #[must_use]
    pub fn new(start: Instant, interval: Duration) -> Self {
        assert!(!interval.is_zero(), "a pacer needs an interval");
        Self {
            interval,
            next: start,
            skipped: 0,
        }
    }

    /// The next deadline. It lies at most [`CATCH_UP_MAX`] intervals before `now`: those missed beyond are skipped,
    /// in whole intervals, so that the grid stays where it was.
    pub fn deadline(&mut self, now: Instant) -> Instant {
        let late = now.saturating_duration_since(self.next);
        let missed = late.as_nanos() / self.interval.as_nanos();
        let excess =
            u32::try_from(missed.saturating_sub(u128::from(CATCH_UP_MAX))).unwrap_or(u32::MAX);
        self.next += self.interval * excess;
        self.skipped += u64::from(excess);
        let deadline = self.next;
        self.next += self.interval;
        deadline
    }

    /// Deadlines that were given up since the start.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    #[test]
    fn deadlines_stay_on_the_grid_however_late_each_one_is_met() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, STEP);
        for index in 0..1000 {
            let deadline =
                pacer.deadline(start + STEP * index + Duration::from_millis(u64::from(index) % 19));
            assert_eq!(deadline, start + STEP * index);
        }
        assert_eq!(pacer.skipped(), 0);
    }

    #[test]
    fn a_long_stall_is_followed_by_three_deadlines_at_once_and_no_more() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, STEP);
        pacer.deadline(start);
        let now = start + Duration::from_secs(10);
        let late = std::iter::from_fn(|| Some(pacer.deadline(now)))
            .take_while(|deadline| *deadline < now)
            .count();
        assert_eq!(late, 3);
        assert_eq!(pacer.deadline(now), now + STEP);
        assert_eq!(pacer.skipped(), 500 - 1 - 3);
    }
}

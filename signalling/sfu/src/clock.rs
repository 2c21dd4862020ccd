//! Wall-clock time for a machine that is driven by [`Instant`].

use std::time::{Duration, Instant};

/// What the wall clock showed at one instant; later times are counted from there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    unix: Duration,
}

impl Clock {
    /// `unix`: time since 1970 at `start`.
    #[must_use]
    pub fn new(start: Instant, unix: Duration) -> Self {
        Self { start, unix }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self, now: Instant) -> u64 {
        let since = self.unix + now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_s(&self, now: Instant) -> u64 {
        self.unix_ms(now) / 1_000
    }
}

//! A token bucket kept as one instant.

use std::time::{Duration, Instant};

/// So many at once, so many a second in the long run.
pub(super) struct Bucket {
    /// The time at which nothing would be saved up any more.
    spent_until: Instant,
    cost: Duration,
    burst: Duration,
}

impl Bucket {
    /// A full one: `burst` at once, and one more each `cost`.
    pub(super) fn new(now: Instant, burst: u32, cost: Duration) -> Self {
        Self {
            spent_until: now,
            cost,
            burst: cost * burst,
        }
    }

    /// False, and nothing spent, when too much was asked for lately.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let spent_until = self.spent_until.max(now) + self.cost;
        let allowed = spent_until.saturating_duration_since(now) <= self.burst;
        if allowed {
            self.spent_until = spent_until;
        }
        allowed
    }

    /// Whether it is as good as new.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.spent_until <= now
    }
}

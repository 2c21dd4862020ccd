//! A search for what the line carries, filled up with padding where pictures leave room. Pure: time is an argument.

use std::time::{Duration, Instant};

/// It is filled up for so long: a search takes two to four seconds.
const PADDED_FOR: Duration = Duration::from_secs(5);

/// One that met no queue says as much about what the library believes: none begins on its word again for so long.
const REST: Duration = Duration::from_secs(30);

/// The search that runs, or ran last.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// When it began, once pictures are sent.
    pub(super) began: Option<Instant>,
    /// The most that was sent in it with padding, bits per second; 0: none was, as without pictures.
    pub(super) most_bps: u64,
    /// The last one ended without a queue.
    pub(super) was_vain: bool,
}

impl Search {
    pub(super) fn is_young(&self, now: Instant) -> bool {
        (self.began).is_some_and(|began| now.saturating_duration_since(began) < PADDED_FOR)
    }

    /// Whether another may begin.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        let rested = |began| now.saturating_duration_since(began) >= REST;
        !self.was_vain || self.began.is_none_or(rested)
    }

    /// Whether it was filled up to its end.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.most_bps > 0 && !self.is_young(now)
    }
}

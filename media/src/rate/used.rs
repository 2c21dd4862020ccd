//! How much of what may be sent was sent. Pure: time is an argument.

use std::time::{Duration, Instant};

use super::meter::PathFigures;

/// Pictures differ in size: the most of this time counts.
const USED_WINDOW: Duration = Duration::from_secs(1);

/// The most that was sent in a moment of the last second or two, bits per second.
#[derive(Debug, Default)]
pub(super) struct Used {
    since: Option<Instant>,
    before_bps: u64,
    bps: u64,
}

impl Used {
    pub(super) fn note(&mut self, now: Instant, figures: &PathFigures) {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= USED_WINDOW {
            self.since = Some(now);
            self.before_bps = std::mem::take(&mut self.bps);
        }
        // What was lost was sent as well; more than half lost is an outage.
        let lost = permille(figures.loss).min(500);
        self.bps = self.bps.max(figures.goodput_bps * 1_000 / (1_000 - lost));
    }

    pub(super) fn most(&self) -> u64 {
        self.bps.max(self.before_bps)
    }
}

fn permille(share: f32) -> u64 {
    // The share is one of 0..=1.
    (share.clamp(0.0, 1.0) * 1_000.0) as u64
}

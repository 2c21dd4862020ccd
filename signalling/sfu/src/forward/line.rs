//! Whether a viewer's line is in distress, and what it may carry then.
//!
//! An estimate made from delays alone sinks with every busy processor on the way, and cannot rise above what is sent. So it
//! binds only while the line shows distress: packets lost, or waiting in a queue. It binds for a while longer, longer
//! each time the line relapses, and then loosens slowly, so that finding out what the line takes costs no sound.

use std::time::{Duration, Instant};

/// Lost of what was sent: retransmission mends less without harm.
const LOSS_MAX: f32 = 0.05;
/// Longer than the shortest round trip ever: a queue that sound waits in.
const QUEUE_MAX: Duration = Duration::from_millis(400);
/// How long the estimate binds after the last distress, and at most after many relapses.
const HOLD: Duration = Duration::from_secs(5);
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Distress this soon after the hold ended is a relapse.
const RELAPSE: Duration = Duration::from_secs(60);
/// After the hold the bound grows by this in a second, as the stack's own estimator does.
const GROWTH: f64 = 1.08;
/// A line that takes this much is well: a gallery of sixteen large pictures.
const FREE_BPS: f64 = 20e6;

/// One viewer's line.
#[derive(Debug)]
pub(super) struct Line {
    /// The stack's estimate, bits per second.
    pub(super) estimate_bps: u64,
    shortest: Option<Duration>,
    bound_until: Option<Instant>,
    hold: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            estimate_bps: 800_000,
            shortest: None,
            bound_until: None,
            hold: HOLD,
        }
    }
}

impl Line {
    /// What the viewer reports of one feed: the part lost, and the round trip (zero if it is not known).
    pub(super) fn report(&mut self, now: Instant, loss: f32, round_trip: Duration) {
        let mut is_queued = false;
        if !round_trip.is_zero() {
            let shortest = self
                .shortest
                .map_or(round_trip, |before| before.min(round_trip));
            self.shortest = Some(shortest);
            is_queued = round_trip > shortest + QUEUE_MAX;
        }
        if loss <= LOSS_MAX && !is_queued {
            return;
        }
        match self.bound_until {
            Some(until) if now < until => {}
            Some(until) if now < until + RELAPSE => self.hold = (self.hold * 2).min(HOLD_MAX),
            _ => self.hold = HOLD,
        }
        self.bound_until = Some(now + self.hold);
    }

    /// What all feeds together may take; `None` while the line is well.
    pub(super) fn bound_bps(&self, now: Instant) -> Option<u64> {
        let grown = now
            .saturating_duration_since(self.bound_until?)
            .as_secs_f64();
        let bps = self.estimate_bps as f64 * GROWTH.powf(grown);
        (bps < FREE_BPS).then_some(bps as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(30);

    #[test]
    fn only_distress_binds_and_then_less_and_less() {
        let (mut line, start) = (Line::default(), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        line.report(at(0), 0.0, FAST);
        line.report(at(1), 0.04, FAST * 4);
        assert_eq!(line.bound_bps(at(1)), None, "a busy line is no bad line");
        line.report(at(2), 0.2, FAST);
        assert_eq!(line.bound_bps(at(2)), Some(800_000));
        assert_eq!(line.bound_bps(at(7)), Some(800_000));
        let later = line.bound_bps(at(17)).expect("still bound");
        assert!((1_600_000..1_900_000).contains(&later), "{later}");
        assert_eq!(line.bound_bps(at(60)), None);
        line.report(at(100), 0.0, FAST + QUEUE_MAX + FAST);
        assert!(line.bound_bps(at(100)).is_some(), "a queue binds as well");
    }

    #[test]
    fn a_relapse_binds_longer_each_time() {
        let (mut line, start) = (Line::default(), Instant::now());
        let mut now = start;
        let mut holds = Vec::new();
        for _ in 0..6 {
            line.report(now, 0.5, FAST);
            let until = line.bound_until.expect("bound");
            holds.push((until - now).as_secs());
            now = until + Duration::from_secs(1);
        }
        assert_eq!(holds, [5, 10, 20, 40, 60, 60]);
        line.report(now + Duration::from_secs(600), 0.5, FAST);
        assert_eq!(line.hold, HOLD, "long ago");
    }
}

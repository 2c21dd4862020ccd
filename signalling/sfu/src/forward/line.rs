//! Whether a viewer's line is in distress, and what it may carry then.
//!
//! An estimate made from delays alone sinks with every busy processor on the way, and cannot rise above what is sent. So it
//! binds only while the line shows distress: packets lost, or waiting in a queue. It binds for a while longer, longer
//! each time the line relapses, and then loosens slowly, so that finding out what the line takes costs no sound.

use std::time::{Duration, Instant};

/// Lost of what was sent: retransmission mends less without harm.
const LOSS_MAX: f32 = 0.05;
/// Longer than the shortest round trip ever: a queue that sound waits in. Some hundred milliseconds are the viewer's own,
/// who collects what it acknowledges.
const QUEUE_MAX: Duration = Duration::from_millis(200);
/// So long the estimate binds from a viewer's first picture on: what the line takes is found out by padding, not at the
/// cost of sound.
const START: Duration = Duration::from_secs(10);
/// How long the estimate binds after the last distress, and at most after many relapses: each costs a second of sound.
const HOLD: Duration = Duration::from_secs(10);
const HOLD_MAX: Duration = Duration::from_secs(120);
/// Distress this soon after the hold ended is a relapse.
const RELAPSE: Duration = Duration::from_secs(60);
/// After the hold the bound grows by this in a second, as the stack's own estimator does.
const GROWTH: f64 = 1.08;
/// A line that takes this much is well: a gallery of sixteen large pictures.
const FREE_BPS: f64 = 20e6;

/// Assumed of a line until it is measured: a voice and the lowest layer of a picture, which tell more within a second.
pub(super) const ESTIMATE_FIRST_BPS: u64 = 300_000;

/// One viewer's line.
#[derive(Debug)]
pub(super) struct Line {
    /// The stack's estimate, bits per second.
    pub(super) estimate_bps: u64,
    shortest: Option<Duration>,
    bound_until: Option<Instant>,
    /// The last distress binds until then.
    distress_until: Option<Instant>,
    hold: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            estimate_bps: ESTIMATE_FIRST_BPS,
            shortest: None,
            bound_until: None,
            distress_until: None,
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
        match self.distress_until {
            Some(until) if now < until => {}
            Some(until) if now < until + RELAPSE => self.hold = (self.hold * 2).min(HOLD_MAX),
            _ => self.hold = HOLD,
        }
        self.distress_until = Some(now + self.hold);
        self.bound_until = self.bound_until.max(self.distress_until);
    }

    /// The viewer's first picture is to be chosen.
    pub(super) fn start(&mut self, now: Instant) {
        self.bound_until.get_or_insert(now + START);
    }

    /// Whether the line never was in distress: then something must be sent for it to be measured.
    pub(super) fn is_new(&self) -> bool {
        self.distress_until.is_none()
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
        assert_eq!(line.bound_bps(at(2)), Some(300_000));
        assert_eq!(line.bound_bps(at(12)), Some(300_000));
        let later = line.bound_bps(at(22)).expect("still bound");
        assert!((600_000..700_000).contains(&later), "{later}");
        assert_eq!(line.bound_bps(at(75)), None);
        line.report(at(100), 0.0, FAST + QUEUE_MAX + FAST);
        assert!(line.bound_bps(at(100)).is_some(), "a queue binds as well");
    }

    #[test]
    fn a_new_line_is_bound_until_it_is_measured() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.start(start);
        assert_eq!(line.bound_bps(start), Some(ESTIMATE_FIRST_BPS));
        line.estimate_bps = 30_000_000;
        assert!(line.is_new() && line.bound_bps(start).is_none());
        line.estimate_bps = 300_000;
        line.report(start, 0.2, FAST);
        assert!(!line.is_new());
        assert_eq!(
            line.bound_bps(start + HOLD),
            Some(300_000),
            "distress binds longer"
        );
        line.start(start + HOLD * 10);
        assert_eq!(line.bound_until, line.distress_until, "it began once");
    }

    #[test]
    fn a_relapse_binds_longer_each_time() {
        let (mut line, start) = (Line::default(), Instant::now());
        let mut now = start;
        let mut holds = Vec::new();
        for _ in 0..6 {
            line.report(now, 0.5, FAST);
            let until = line.distress_until.expect("bound");
            holds.push((until - now).as_secs());
            now = until + Duration::from_secs(1);
        }
        assert_eq!(holds, [10, 20, 40, 80, 120, 120]);
        line.report(now + Duration::from_secs(600), 0.5, FAST);
        assert_eq!(line.hold, HOLD, "long ago");
    }
}

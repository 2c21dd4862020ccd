//! Whether a viewer's line is in distress, and what it may carry then.
//!
//! An estimate made from delays alone sinks with every busy processor on the way, and cannot rise above what is sent. So it
//! binds only while the line shows distress: packets lost, or waiting in a queue. It binds for a while longer, longer
//! each time the line relapses, and then loosens slowly, so that finding out what the line takes costs no sound.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Lost of what was sent: retransmission mends less without harm.
const LOSS_MAX: f32 = 0.05;
/// So many more of a second's packets may be lost by chance: somebody who joins sixteen on a line that loses 2 % has got
/// fifty packets, three of which are soon lost, and would see nobody for ten seconds.
const LOST_BY_CHANCE: f32 = 4.0;
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
/// While a new line carries less than is wanted, the wish is renewed so often: each time the stack measures again, for one
/// lost packet can spoil a measurement.
const WISH_RENEWED: Duration = Duration::from_millis(300);
/// A line that takes this much is well: a gallery of sixteen large pictures.
const FREE_BPS: f64 = 20e6;

/// Reports of what was acknowledged come every quarter of a second.
const REPORTS_PER_S: usize = 4;

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
    started_at: Option<Instant>,
    /// Packets sent until each of the last reports, of a quarter of a second each.
    sent: VecDeque<u64>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            estimate_bps: ESTIMATE_FIRST_BPS,
            shortest: None,
            bound_until: None,
            distress_until: None,
            hold: HOLD,
            started_at: None,
            sent: VecDeque::new(),
        }
    }
}

impl Line {
    /// The stack's two figures: `smooth` averages three seconds, in which a new line grows tenfold, so there the newest counts.
    pub(super) fn estimated(&mut self, smooth: bool, bps: u64) {
        if smooth != self.is_new() {
            self.estimate_bps = bps;
        }
    }

    /// What was acknowledged of a second's packets: the part lost and the round trip, `None` if nothing was; packets
    /// `sent` so far.
    pub(super) fn acknowledged(
        &mut self,
        now: Instant,
        acknowledged: Option<(f32, Duration)>,
        sent: u64,
    ) {
        if self.sent.len() == REPORTS_PER_S {
            self.sent.pop_front();
        }
        let before = self.sent.front().copied().unwrap_or(sent);
        self.sent.push_back(sent);
        let Some((loss, round_trip)) = acknowledged else {
            return;
        };
        let sent = sent.saturating_sub(before) as f32;
        let is_many = loss * sent > LOSS_MAX * sent + LOST_BY_CHANCE;
        self.report(now, if is_many { loss } else { 0.0 }, round_trip);
    }

    /// What the viewer reports: the part lost, and the round trip (zero if it is not known).
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
        self.started_at.get_or_insert(now);
    }

    /// What is wanted of the line, told so that it is measured again and again until it carries that.
    pub(super) fn wish(&self, now: Instant, desired_bps: u64) -> u64 {
        let Some(age) = self.started_at.map(|at| now.saturating_duration_since(at)) else {
            return desired_bps;
        };
        let is_low = age.as_millis() / (WISH_RENEWED.as_millis() / 2) % 2 == 1;
        if is_low && age < START && self.estimate_bps < desired_bps {
            desired_bps * 4 / 5
        } else {
            desired_bps
        }
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
    fn a_packet_lost_of_twenty_is_no_distress_and_one_of_ten_of_many_is() {
        let (mut line, start) = (Line::default(), Instant::now());
        let told = |loss: f32| Some((loss, FAST));
        line.acknowledged(start, told(1.0 / 17.0), 64);
        assert!(line.is_new());
        for quarter in 1..8_u32 {
            let now = start + quarter * Duration::from_millis(250);
            line.acknowledged(now, told(0.06), 64 + 10 * u64::from(quarter));
        }
        assert!(line.is_new());
        line.acknowledged(start + Duration::from_secs(2), told(0.1), 264);
        assert!(!line.is_new());
    }

    #[test]
    fn the_newest_estimate_counts_on_a_new_line_and_the_smooth_one_later() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.estimated(true, 200_000);
        assert_eq!(line.estimate_bps, ESTIMATE_FIRST_BPS);
        line.estimated(false, 900_000);
        assert_eq!(line.estimate_bps, 900_000);
        line.report(now, 0.5, FAST);
        line.estimated(false, 100_000);
        assert_eq!(line.estimate_bps, 900_000);
        line.estimated(true, 700_000);
        assert_eq!(line.estimate_bps, 700_000);
    }

    #[test]
    fn a_wish_is_renewed_while_a_new_line_does_not_carry_it() {
        let (mut line, start) = (Line::default(), Instant::now());
        let rises = |line: &Line, from: u64| {
            let at = |ms: u64| line.wish(start + Duration::from_millis(ms), 1_000_000);
            let steps = (from..from + 2_000).step_by(50);
            steps.filter(|&ms| at(ms) < at(ms + 50)).count()
        };
        assert_eq!(rises(&line, 0), 0, "nothing is watched");
        line.start(start);
        assert_eq!(rises(&line, 0), 6);
        assert_eq!(rises(&line, 20_000), 0, "it is not new any more");
        line.estimate_bps = 1_200_000;
        assert_eq!(rises(&line, 0), 0, "it carries what is wanted");
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

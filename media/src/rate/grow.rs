//! How what may be sent grows.

use std::time::{Duration, Instant};

use super::{LOSSY_QUIET, PathFigures, Phase, RateController, SEARCH_PERCENT};

/// Growth a second towards a line that is known, per cent.
const GROW_TOWARDS_PERCENT: f64 = 30.0;
/// Growth a second beyond it: this much, and more for each second without a queue, up to a limit. A line that is full
/// answers within a second or two; one that came back is found within eight.
const GROW_PERCENT: f64 = 1.0;
const GROW_PERCENT_FASTER: f64 = 1.6;
const GROW_PERCENT_MAX: f64 = 18.0;
/// With pictures a line that is full shows a queue every four or five seconds. Without one for longer it carries more: for each
/// second beyond these the growth is faster by so many per cent, up to the most.
const GROW_LONG_QUIET: Duration = Duration::from_secs(4);
const GROW_PERCENT_LONG: f64 = 4.0;
const GROW_PERCENT_LONG_MAX: f64 = 25.0;
/// On a line that loses packets each queue makes repairs late, so that it is tried more slowly: this much, and more only
/// once nothing queued for [`LOSSY_QUIET`].
const GROW_PERCENT_LOSSY: f64 = 1.0;
/// Only what is used grows: at least this share of what may be sent must have been, in some moment of the last second, or
/// nothing tells that the line carries it. Encoders fall short of what they may by a tenth.
const USED_PERCENT: u64 = 85;
/// So little must be tried without use: sound alone never uses what pictures, or shorter packets, would need to come back.
const FREE_BPS: u64 = 165_000;
/// Growth a second while the line was never full, per cent.
const GROW_SEARCHING_PERCENT: f64 = 30.0;
/// At most this much of what arrives may be asked for: unused allowance must not grow without proof.
const UNPROVEN_PERCENT: u64 = 150;
const UNPROVEN_BPS: u64 = 60_000;

impl RateController {
    /// Nothing queues: more may be sent, if what may be sent was used.
    pub(super) fn grow(&mut self, now: Instant, figures: &PathFigures, elapsed: Duration) {
        let unproven = figures.goodput_bps * UNPROVEN_PERCENT / 100 + UNPROVEN_BPS;
        let line = self.line_bps.unwrap_or(self.target_bps);
        // Of a call by sound alone the library knows little: most of its probes are left out.
        let found_more = self.phase == Phase::Holding
            && (self.has_pictures && self.search.is_rested(now))
            && self.estimate_bps * 3 / 4 > line.max(self.target_bps)
            && figures.goodput_bps > 0;
        if found_more {
            // A probe found a line a third wider than was known.
            self.phase = Phase::Searching;
            self.line_bps = None;
            (self.search.began, self.search.most_bps) = (Some(now), 0);
            let wanted = self.estimate_bps * SEARCH_PERCENT / 100;
            self.aim(wanted.min(unproven).max(self.target_bps));
            return;
        }
        let is_known =
            self.phase == Phase::Holding && self.target_bps < line * self.hold_percent(now) / 100;
        let is_used = self.used.most() * 100 >= self.target_bps * USED_PERCENT;
        let quiet = now.saturating_duration_since(self.last_over);
        let is_free = self.target_bps < FREE_BPS && (self.has_pictures || quiet >= self.free_after);
        if self.target_bps >= unproven || !(is_known || is_used || is_free) {
            return;
        }
        self.was_free |= !(is_known || is_used);
        let quiet = quiet.as_secs_f64();
        let percent = if self.phase == Phase::Searching {
            GROW_SEARCHING_PERCENT
        } else if is_known {
            GROW_TOWARDS_PERCENT
        } else {
            let steady = (GROW_PERCENT + GROW_PERCENT_FASTER * quiet).min(GROW_PERCENT_MAX);
            if self.is_lossy(now) {
                let longer = (quiet - LOSSY_QUIET.as_secs_f64()).max(0.0);
                steady.min(GROW_PERCENT_LOSSY + longer)
            } else if self.has_pictures {
                let longer = (quiet - GROW_LONG_QUIET.as_secs_f64()).max(0.0);
                (steady + GROW_PERCENT_LONG * longer).min(GROW_PERCENT_LONG_MAX)
            } else {
                steady
            }
        };
        let more = self.target_bps as f64 * percent / 100.0 * elapsed.as_secs_f64().min(1.0);
        self.aim((self.target_bps + more as u64).min(unproven));
    }
}

//! How much may be sent: the rate of a call follows the line. Pure: time is an argument.
//!
//! The WebRTC library's estimate finds the rate of a line quickly and then overshoots by 10 to 40 %, corrects too far,
//! and takes minutes to come back. What the far side confirms ten times a second (`report.rs`) is exact instead: while
//! a queue stands before the line, what arrives *is* the line. So the estimate leads only at the start and after an
//! outage; from then on:
//!
//! ```text
//!            queue > 60 ms, or losses that grew            queue gone
//! Searching ────────────────────────────────▶ Draining ─────────────▶ Holding ── growing, the faster the
//!     ▲                                          ▲ 0.85 x what arrives    │      longer nothing queues
//!     └── a probe showed a third more ───────────┴────────────────────────┘
//! ```
//!
//! Rates are those of the line: with RTP, IP and UDP headers. Sound comes first: pictures get what is left, and nothing
//! under [`PICTURES_BPS_MIN`] in all.

mod first_trip;
mod grow;
mod meter;
mod report;
mod search;
mod used;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use meter::PathFigures;
pub(crate) use meter::{HEADER_BYTES, PathMeter};
pub(crate) use report::PathReport;
use search::Search;
use used::Used;

/// Below this in all, pictures stop: sound needs 60, and what is left would be a slide show.
pub const PICTURES_BPS_MIN: u64 = 80_000;
/// Pictures come back above this, held for [`PICTURES_BACK_AFTER`], so that they do not flicker at the border.
const PICTURES_BPS_BACK: u64 = 100_000;
const PICTURES_BACK_AFTER: Duration = Duration::from_secs(3);
/// Each time they had to stop soon after, they wait twice as long, up to this.
const PICTURES_BACK_AFTER_MAX: Duration = Duration::from_secs(60);
/// So soon.
const PICTURES_TRIAL: Duration = Duration::from_secs(20);
/// Never less in all: a voice of 12 kbit/s in long packets, with headers.
const TOTAL_BPS_MIN: u64 = 24_000;
/// A queue of this length means too much was sent. Jitter of ordinary lines stays under it.
const QUEUE_OVER: Duration = Duration::from_millis(50);
/// A queue shorter than this is none.
const QUEUE_GONE: Duration = Duration::from_millis(30);
/// Losses above what the path loses anyway that mean too much was sent.
const LOSS_OVER: f32 = 0.05;
/// What a path loses anyway is its mean loss over the longer time, what it loses now the mean over the shorter: single
/// seconds differ by as much as they lose.
const LOSS_LONG: Duration = Duration::from_secs(8);
const LOSS_SHORT: Duration = Duration::from_secs(1);
/// Share of what arrives that is sent while a queue drains, per cent. A long queue needs a smaller share.
const DRAIN_PERCENT: u64 = 85;
const DRAIN_PERCENT_MIN: u64 = 50;
/// Share of the line that is used when the queue is gone, per cent.
const HOLD_PERCENT: u64 = 94;
/// Share of the estimate that is used while searching, per cent: it overshoots.
const SEARCH_PERCENT: u64 = 85;
const LOSSY_QUIET: Duration = Duration::from_secs(8);
const LOSS_LOSSY: f32 = 0.03;
/// Share of such a line that is used when the queue is gone, per cent.
const HOLD_PERCENT_LOSSY: u64 = 90;
/// In a call by sound alone it is tried after so long without a queue, twice as long after each time that made one.
const FREE_AFTER: Duration = Duration::from_secs(5);
const FREE_AFTER_MAX: Duration = Duration::from_secs(80);
/// What a call by sound alone would like: its packets with all copies.
const SOUND_WISH_BPS: u64 = 150_000;
/// While searching, the line is taken to carry so much more than is sent, per cent.
const SEARCH_LINE_PERCENT: u64 = 110;
/// One cut takes away half at most: what arrived within a moment without any says little of the line.
const CUT_PERCENT_MAX: u64 = 50;
/// A line that was full from the first moment on shows no queue, for nothing came through it quickly; what it drops looks
/// like chance. So where this share is lost of little, much less is sent for a while.
const LOSS_SUSPECT: f32 = 0.12;
const SUSPECT_BPS_MAX: u64 = 400_000;
/// It must be so for this long: a moment in which nothing came is over by then.
const SUSPECT_FOR: Duration = Duration::from_millis(1_500);
/// Share of what arrives that is sent then, per cent.
const TRIAL_PERCENT: u64 = 60;
/// For so long: sound follows within two seconds, and then the queue runs empty.
const TRIAL_TIME: Duration = Duration::from_millis(3_500);
/// Losses that are still more than this share of those before were chance, and what was sent before is sent again.
const TRIAL_SHARE: f32 = 0.6;
/// The next trial is this much later; it doubles.
const TRIAL_INTERVAL: Duration = Duration::from_secs(15);
/// Two cuts in a row are at least so far apart: the effect of the first must be seen.
const CUT_INTERVAL: Duration = Duration::from_millis(300);
/// Losses are slower to judge.
const LOSS_CUT_INTERVAL: Duration = Duration::from_millis(1_000);
/// Reports that stay away for this long mean that nothing arrives.
pub(crate) const SILENCE: Duration = Duration::from_millis(800);
/// The library paces at 110 % of its estimate. When that is less than this share of what may be sent, for so long and
/// without a queue, it is set again.
const BEHIND_PERCENT: u64 = 85;
const BEHIND_FOR: Duration = Duration::from_secs(1);
const RESET_INTERVAL: Duration = Duration::from_secs(5);
/// The library takes any loss for a full line; on one that loses packets by chance it is set again sooner.
const BEHIND_PERCENT_LOSSY: u64 = 95;
const BEHIND_FOR_LOSSY: Duration = Duration::from_millis(300);
const RESET_INTERVAL_LOSSY: Duration = Duration::from_millis(1_500);
/// At once when pictures wait for its pacer, and not again before this.
const RESET_INTERVAL_WAITING: Duration = Duration::from_millis(500);

/// Smallest of the steps in which the library is told what we would like to send.
const WISH_BPS_MIN: u64 = 50_000;

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bits per second in all, with headers.
    pub total_bps: u64,
    /// Bits per second for pictures with headers; `None`: none may be sent.
    pub pictures_bps: Option<u64>,
    /// What the line carries as far as is known, bits per second.
    pub line_bps: u64,
    /// Nothing is heard from the far side.
    pub is_silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The estimate leads.
    Searching,
    /// Too much was sent; the queue runs empty.
    Draining,
    /// The line is known.
    Holding,
}

/// The rate of one call.
#[derive(Debug)]
pub struct RateController {
    phase: Phase,
    desired_bps: u64,
    estimate_bps: u64,
    target_bps: u64,
    /// What arrived while a queue stood.
    line_bps: Option<u64>,
    sound_bps: u64,
    pictures: bool,
    pictures_above_since: Option<Instant>,
    pictures_back_at: Option<Instant>,
    pictures_back_after: Duration,
    losses: VecDeque<(Instant, f32)>,
    last_cut: Option<Instant>,
    last_over: Instant,
    last_reset: Instant,
    behind_since: Option<Instant>,
    last_take: Instant,
    before_silence_bps: Option<u64>,
    trial: Option<Trial>,
    next_trial: (Option<Instant>, Duration),
    suspect_since: Option<Instant>,
    used: Used,
    search: Search,
    /// Pictures are to be sent, or were; else this is a call by sound alone.
    has_pictures: bool,
    free_after: Duration,
    /// More than is used was tried since the last queue.
    was_free: bool,
}

/// Less is sent to see whether what is lost was too much.
#[derive(Debug)]
struct Trial {
    until: Instant,
    loss: f32,
    /// What was sent, and what the line was taken to carry.
    before: (u64, Option<u64>),
}

impl RateController {
    /// Starts at `start_bps` and never aims above `desired_bps`.
    #[must_use]
    pub fn new(now: Instant, start_bps: u64, desired_bps: u64) -> Self {
        Self {
            phase: Phase::Searching,
            desired_bps,
            estimate_bps: start_bps,
            target_bps: start_bps * SEARCH_PERCENT / 100,
            line_bps: None,
            sound_bps: 60_000,
            pictures: true,
            pictures_above_since: None,
            pictures_back_at: None,
            pictures_back_after: PICTURES_BACK_AFTER,
            losses: VecDeque::new(),
            last_cut: None,
            last_over: now,
            last_reset: now,
            behind_since: None,
            last_take: now,
            before_silence_bps: None,
            trial: None,
            next_trial: (None, TRIAL_INTERVAL),
            suspect_since: None,
            used: Used::default(),
            search: Search::default(),
            has_pictures: false,
            free_after: FREE_AFTER,
            was_free: false,
        }
    }

    /// Pictures are to be sent.
    pub(crate) fn expect_pictures(&mut self) {
        self.has_pictures = true;
    }

    /// Whether what [`Self::at_least`] wants is sent: not while there are no pictures.
    pub(crate) fn padded(&mut self, now: Instant, is_padded: bool) {
        if is_padded && self.search.is_young(now) {
            self.search.most_bps = self.search.most_bps.max(self.used.most());
        }
    }

    /// A picture is sent.
    pub(crate) fn picture(&mut self, now: Instant) {
        self.has_pictures = true;
        self.search.began.get_or_insert(now);
    }

    /// The library's estimate changed.
    pub fn estimate(&mut self, bps: u64) {
        self.estimate_bps = bps;
        if self.phase == Phase::Searching {
            let wanted = bps.saturating_mul(SEARCH_PERCENT) / 100;
            // Downwards only through what the far side confirms: the estimate falls for reasons of its own.
            self.aim(self.target_bps.max(wanted));
        }
    }

    /// What our sound takes on the line now, with headers, bits per second.
    pub fn sound(&mut self, bps: u64) {
        self.sound_bps = bps;
    }

    /// Takes what the far side confirmed. `Some`: the library must start anew from this estimate, bits per second.
    pub(crate) fn take(&mut self, now: Instant, figures: &PathFigures) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.last_take);
        self.last_take = now;
        if figures.after_silence >= SILENCE {
            return Some(self.begin_again(now));
        }
        self.used.note(now, figures);
        self.end_search(now);
        let loss = self.grown_loss(now, figures.loss);
        if self.try_less(now, figures) {
            return None;
        }
        if figures.queue > QUEUE_OVER {
            self.over(now, figures);
        } else if loss > LOSS_OVER && figures.goodput_bps > 0 {
            self.lossy(now, figures);
        } else if self.phase == Phase::Draining && figures.queue < QUEUE_GONE {
            self.phase = Phase::Holding;
            let hold = self.hold_percent(now);
            if let Some(line) = self.line_bps {
                self.aim(self.target_bps.max(line * hold / 100));
            }
        } else if figures.queue < QUEUE_GONE {
            self.grow(now, figures, elapsed);
        }
        self.reset(now, figures)
    }

    /// Nothing was heard for [`SILENCE`]: what is sent now only fills queues.
    pub(crate) fn silent(&mut self) {
        self.before_silence_bps.get_or_insert(self.target_bps);
    }

    /// What may be sent.
    pub fn budget(&mut self, now: Instant) -> Budget {
        self.judge_pictures(now);
        let silent = self.before_silence_bps.is_some();
        let pictures = self.target_bps.saturating_sub(self.sound_bps);
        Budget {
            total_bps: self.target_bps,
            pictures_bps: (self.pictures && !silent).then_some(pictures),
            line_bps: self.line(),
            is_silent: silent,
        }
    }

    /// What the library should think that we would like to send, bits per second: it probes up to twice that.
    #[must_use]
    pub(crate) fn wish(&self) -> u64 {
        match self.phase {
            Phase::Searching if self.has_pictures => self.desired_bps,
            Phase::Searching => self.desired_bps.min(SOUND_WISH_BPS),
            // In steps: every rise of the wish makes it probe.
            Phase::Draining | Phase::Holding => {
                let mut wish = WISH_BPS_MIN;
                while wish * 3 / 2 <= self.target_bps {
                    wish = wish * 3 / 2;
                }
                wish
            }
        }
    }

    /// What should be sent at least, with padding where pictures and sound are less, bits per second; 0: nothing more. Only
    /// a search needs it: what is not sent proves nothing.
    #[must_use]
    pub(crate) fn at_least(&self, now: Instant) -> u64 {
        let is_silent = self.before_silence_bps.is_some();
        // Where packets are lost by chance, each needs its room for repair.
        let is_clean = !is_silent && !self.is_lossy(now);
        if self.phase == Phase::Searching && is_clean && self.search.is_young(now) {
            self.target_bps
        } else {
            0
        }
    }

    /// What the line carries as far as is known: what arrived while a queue stood, else what the search has come to.
    #[must_use]
    pub fn line(&self) -> u64 {
        match (self.phase, self.line_bps) {
            (Phase::Searching, _) | (_, None) => self.target_bps * SEARCH_LINE_PERCENT / 100,
            (Phase::Draining, Some(line)) => line,
            (Phase::Holding, Some(line)) => line.max(self.target_bps),
        }
    }

    fn aim(&mut self, bps: u64) {
        self.target_bps = bps.clamp(TOTAL_BPS_MIN, self.desired_bps);
    }

    fn over(&mut self, now: Instant, figures: &PathFigures) {
        self.last_over = now;
        self.search.was_vain = false;
        if std::mem::take(&mut self.was_free) {
            self.free_after = (self.free_after * 2).min(FREE_AFTER_MAX);
        }
        if figures.goodput_bps == 0 || !self.may_cut(now, CUT_INTERVAL) {
            return;
        }
        // In a longer time there are moments in which the line had nothing to do: it carries more than that.
        let line = figures.goodput_bps.max(figures.busy_bps.unwrap_or(0));
        // What arrives before the queue was full is less than the line carries: a queue that only begins says little.
        let line = match (self.phase, self.line_bps) {
            (Phase::Draining, Some(known)) if line < known => (known + line) / 2,
            _ => line,
        };
        let excess = figures.queue.saturating_sub(QUEUE_OVER).as_millis() / 6;
        let excess = u64::try_from(excess).unwrap_or(u64::MAX);
        let percent = DRAIN_PERCENT.saturating_sub(excess).max(DRAIN_PERCENT_MIN);
        self.line_bps = Some(line);
        self.phase = Phase::Draining;
        let least = self.target_bps * CUT_PERCENT_MAX / 100;
        self.aim((line * percent / 100).max(least));
    }

    /// Whether less is sent now to see what becomes of the losses.
    fn try_less(&mut self, now: Instant, figures: &PathFigures) -> bool {
        if let Some(trial) = self.trial.take_if(|trial| trial.until <= now) {
            let loss = self.mean_loss(now, LOSS_SHORT);
            self.losses.clear();
            if loss > trial.loss * TRIAL_SHARE {
                (self.target_bps, self.line_bps) = trial.before;
            }
            return true;
        }
        // A queue that shows itself needs no trial.
        if self.trial.is_some() {
            return figures.queue <= QUEUE_OVER;
        }
        let loss = self.mean_loss(now, LOSS_SHORT);
        let is_due = self.next_trial.0.is_none_or(|at| at <= now);
        let is_suspect = loss > LOSS_SUSPECT
            && figures.queue <= QUEUE_OVER
            && (1..SUSPECT_BPS_MAX).contains(&figures.goodput_bps);
        if !is_suspect {
            self.suspect_since = None;
            return false;
        }
        let since = *self.suspect_since.get_or_insert(now);
        if !is_due || now.saturating_duration_since(since) < SUSPECT_FOR {
            return false;
        }
        let interval = self.next_trial.1;
        self.next_trial = (Some(now + interval), interval * 2);
        self.trial = Some(Trial {
            until: now + TRIAL_TIME,
            loss,
            before: (self.target_bps, self.line_bps),
        });
        let less = figures.goodput_bps * TRIAL_PERCENT / 100;
        self.line_bps = Some(less);
        self.phase = Phase::Draining;
        self.aim(less);
        true
    }

    fn lossy(&mut self, now: Instant, figures: &PathFigures) {
        self.last_over = now;
        if self.may_cut(now, LOSS_CUT_INTERVAL) {
            self.line_bps = Some(figures.goodput_bps);
            self.phase = Phase::Draining;
            let least = self.target_bps * CUT_PERCENT_MAX / 100;
            self.aim(self.target_bps.min(figures.goodput_bps.max(least)));
        }
    }

    fn may_cut(&mut self, now: Instant, interval: Duration) -> bool {
        let due =
            (self.last_cut).is_none_or(|last| now.saturating_duration_since(last) >= interval);
        if due {
            self.last_cut = Some(now);
        }
        due
    }

    /// A search that was filled up and met no queue has found what came of it: the library holds padding back before a line
    /// is full.
    fn end_search(&mut self, now: Instant) {
        if self.phase == Phase::Searching && self.search.is_over(now) {
            let used = std::mem::take(&mut self.search.most_bps);
            self.search.was_vain = true;
            self.phase = Phase::Holding;
            self.line_bps = Some(used);
            self.aim(self.target_bps.min(used));
        }
    }

    fn is_lossy(&self, now: Instant) -> bool {
        self.mean_loss(now, LOSS_LONG) > LOSS_LOSSY
    }

    fn hold_percent(&self, now: Instant) -> u64 {
        if self.is_lossy(now) {
            HOLD_PERCENT_LOSSY
        } else {
            HOLD_PERCENT
        }
    }

    /// Loss beyond what the path loses anyway.
    fn grown_loss(&mut self, now: Instant, loss: f32) -> f32 {
        self.losses.push_back((now, loss));
        let age = |at: &Instant| now.saturating_duration_since(*at);
        while (self.losses.front()).is_some_and(|(at, _)| age(at) > LOSS_LONG) {
            self.losses.pop_front();
        }
        // Half as much again as usual is chance while losses are few.
        self.mean_loss(now, LOSS_SHORT) - self.mean_loss(now, LOSS_LONG) * 1.5
    }

    fn mean_loss(&self, now: Instant, within: Duration) -> f32 {
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) <= within;
        let recent = self.losses.iter().filter(|(at, _)| is_recent(at));
        let (sum, count) = recent.fold((0.0, 0_u16), |(sum, count), (_, loss)| {
            (sum + loss, count.saturating_add(1))
        });
        sum / f32::from(count.max(1))
    }

    fn begin_again(&mut self, now: Instant) -> u64 {
        let before = self.before_silence_bps.take().unwrap_or(self.target_bps);
        self.losses.clear();
        self.trial = None;
        self.phase = Phase::Holding;
        self.line_bps = Some(self.line_bps.unwrap_or(before).max(before));
        self.aim(before / 2);
        self.last_over = now;
        self.last_reset = now;
        self.behind_since = None;
        self.target_bps
    }

    /// Pictures wait for the library's pacer on a line that loses packets by chance. `Some`: it must start anew from this
    /// estimate, bits per second.
    pub(crate) fn held_back(&mut self, now: Instant) -> Option<u64> {
        let is_due = now.saturating_duration_since(self.last_reset) >= RESET_INTERVAL_WAITING;
        let is_its_fault = self.estimate_bps < self.target_bps && self.before_silence_bps.is_none();
        (is_due && is_its_fault).then(|| self.set_library(now))
    }

    /// Whether the library's estimate holds back what the line is known to carry.
    fn reset(&mut self, now: Instant, figures: &PathFigures) -> Option<u64> {
        let (percent, patience, interval) = if self.is_lossy(now) {
            (BEHIND_PERCENT_LOSSY, BEHIND_FOR_LOSSY, RESET_INTERVAL_LOSSY)
        } else {
            (BEHIND_PERCENT, BEHIND_FOR, RESET_INTERVAL)
        };
        let behind = self.estimate_bps < self.target_bps * percent / 100;
        if !behind || figures.queue >= QUEUE_GONE {
            self.behind_since = None;
            return None;
        }
        let since = *self.behind_since.get_or_insert(now);
        let due = now.saturating_duration_since(since) >= patience
            && now.saturating_duration_since(self.last_reset) >= interval;
        due.then(|| self.set_library(now))
    }

    fn set_library(&mut self, now: Instant) -> u64 {
        self.last_reset = now;
        self.behind_since = None;
        if self.phase == Phase::Searching && self.at_least(now) == 0 {
            // The search is over, or the library would begin it anew with bursts of several times this.
            self.phase = Phase::Holding;
            self.line_bps = Some(self.target_bps);
        }
        self.estimate_bps = self.target_bps;
        self.target_bps
    }

    fn judge_pictures(&mut self, now: Instant) {
        if self.target_bps < PICTURES_BPS_MIN && std::mem::take(&mut self.pictures) {
            let soon = (self.pictures_back_at)
                .is_some_and(|at| now.saturating_duration_since(at) < PICTURES_TRIAL);
            let longer = if soon {
                self.pictures_back_after * 2
            } else {
                PICTURES_BACK_AFTER
            };
            self.pictures_back_after = longer.min(PICTURES_BACK_AFTER_MAX);
        }
        if self.target_bps < PICTURES_BPS_BACK {
            self.pictures_above_since = None;
            return;
        }
        let since = *self.pictures_above_since.get_or_insert(now);
        if !self.pictures && now.saturating_duration_since(since) >= self.pictures_back_after {
            self.pictures = true;
            self.pictures_back_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;

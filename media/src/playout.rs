//! When each picture of the far side is due: evenly, although repaired ones come late. Pure: time is an argument.
//!
//! A lost packet is sent again and comes a round trip later; its picture and those behind it would be shown late and
//! then in a heap. So all pictures wait as long as nearly all of them need. On a clean line that is nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pictures whose lateness decides: ten seconds at 15 a second.
const LATENESS_MAX: usize = 150;
/// Share of pictures that must not be late, per cent.
const IN_TIME_PERCENT: usize = 97;
/// On a line that loses packets parity heals most at once, and the few that take a round trip are those that would be seen
/// as a freeze: of twice as many pictures none must be late.
const LATENESS_MAX_LOSSY: usize = 300;
const IN_TIME_PERCENT_LOSSY: usize = 100;
/// Pictures wait no longer: beyond it a call feels like a radio.
const WAIT_MAX: Duration = Duration::from_millis(350);
/// Lateness below this is scheduling, not worth any delay.
const WAIT_MIN: Duration = Duration::from_millis(25);
/// How fast the wait grows for pictures that are late by no more than [`UNSEEN`] beyond it, for each picture: sound has to
/// follow, and lips are off until it has.
const GROW: Duration = Duration::from_millis(4);
/// So late a picture is no freeze yet (W3C: 150 ms more than the mean between two).
const UNSEEN: Duration = Duration::from_millis(120);
/// How fast the wait shrinks again: a millisecond for each picture, which nobody sees.
const SHRINK: Duration = Duration::from_millis(1);
/// The quickest way of the last 10 to 20 s is the reference: clocks drift, routes change.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// Ticks of the pictures' clock in a millisecond (RFC 6184 §8.1).
const TICKS_PER_MS: u64 = 90;
/// A jump of the far clock by more than this is a new beginning.
const JUMP_MAX: Duration = Duration::from_secs(5);

/// Says when pictures are due.
#[derive(Debug, Default)]
pub struct Playout {
    /// A pair of far time and own time that all else is relative to.
    origin: Option<(u64, Instant)>,
    /// Smallest transit of this window and of the one before, relative to the origin, microseconds.
    least: [Option<i64>; 2],
    window_began: Option<Instant>,
    lateness: VecDeque<u32>,
    wait: Duration,
    /// The most that pictures wait, where sound cannot follow for longer.
    wait_max: Option<Duration>,
    last_due: Option<Instant>,
}

impl Playout {
    /// When the picture with this far time (90 kHz ticks, unwrapped), come whole at `now`, is due: not before `now`, not
    /// before the one before it, and at most 350 ms later than the quickest would have come. `is_lossy`: some packets come
    /// a round trip late.
    pub fn due(&mut self, now: Instant, media_time: u64, is_lossy: bool) -> Instant {
        let mut transit = self.transit(now, media_time);
        if transit.unsigned_abs() > micros(JUMP_MAX).unsigned_abs() {
            *self = Self {
                last_due: self.last_due,
                wait_max: self.wait_max,
                ..Self::default()
            };
            transit = self.transit(now, media_time);
        }
        self.note_least(now, transit);
        let least = self
            .least
            .iter()
            .flatten()
            .min()
            .copied()
            .unwrap_or(transit);
        let late = transit.saturating_sub(least).max(0);
        self.note_lateness(u32::try_from(late).unwrap_or(u32::MAX), is_lossy);
        let left = u64::try_from(micros(self.wait) - late).unwrap_or(0);
        let due = now + Duration::from_micros(left);
        let due = self
            .last_due
            .map_or(due, |last| due.max(last))
            .min(now + self.wait_max());
        self.last_due = Some(due);
        due
    }

    /// Pictures wait no longer than this, nor than 350 ms.
    pub fn set_wait_max(&mut self, wait: Duration) {
        self.wait_max = Some(wait);
        self.wait = self.wait.min(wait);
    }

    fn wait_max(&self) -> Duration {
        self.wait_max.map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX))
    }

    /// How long pictures wait now.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    fn transit(&mut self, now: Instant, media_time: u64) -> i64 {
        let (far, own) = *self.origin.get_or_insert((media_time, now));
        let elapsed = micros(now.saturating_duration_since(own));
        let ticks = i64::try_from(media_time.abs_diff(far)).unwrap_or(i64::MAX / 2_000);
        let ticks = if media_time < far { -ticks } else { ticks };
        elapsed.saturating_sub(ticks.saturating_mul(1_000) / TICKS_PER_MS.cast_signed())
    }

    fn note_least(&mut self, now: Instant, transit: i64) {
        let began = *self.window_began.get_or_insert(now);
        if now.saturating_duration_since(began) >= BASE_WINDOW {
            self.least[1] = self.least[0].take();
            self.window_began = Some(now);
        }
        self.least[0] = Some(self.least[0].map_or(transit, |least| least.min(transit)));
    }

    fn note_lateness(&mut self, late_us: u32, is_lossy: bool) {
        let (kept, percent) = if is_lossy {
            (LATENESS_MAX_LOSSY, IN_TIME_PERCENT_LOSSY)
        } else {
            (LATENESS_MAX, IN_TIME_PERCENT)
        };
        self.lateness.push_back(late_us);
        while self.lateness.len() > kept {
            self.lateness.pop_front();
        }
        let mut sorted: Vec<u32> = self.lateness.iter().copied().collect();
        sorted.sort_unstable();
        let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
        let needed = Duration::from_micros(u64::from(sorted[index]));
        let needed = if needed < WAIT_MIN {
            Duration::ZERO
        } else {
            needed.min(self.wait_max())
        };
        self.wait = if needed > self.wait {
            let at_once = needed.saturating_sub(UNSEEN);
            needed.min(at_once.max(self.wait + GROW))
        } else {
            needed.max(self.wait.saturating_sub(SHRINK))
        };
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL_MS: u64 = 66;

    /// The gaps between due times, ms, of pictures that come `late(index)` ms after their time.
    fn gaps(pictures: u64, late: impl Fn(u64) -> u64) -> (Vec<u64>, Playout) {
        let zero = Instant::now();
        let mut playout = Playout::default();
        let mut arrived = 0;
        let dues: Vec<Instant> = (0..pictures)
            .map(|index| {
                // In order: nothing comes out before what is in front of it.
                arrived = arrived.max(index * INTERVAL_MS + 40 + late(index));
                let now = zero + Duration::from_millis(arrived);
                playout.due(now, index * INTERVAL_MS * TICKS_PER_MS, false)
            })
            .collect();
        let gap = |pair: &[Instant]| u64::try_from((pair[1] - pair[0]).as_millis()).unwrap();
        (dues.windows(2).map(gap).collect(), playout)
    }

    #[test]
    fn a_clean_line_delays_nothing() {
        let (gaps, playout) = gaps(300, |index| index % 3 * 5);
        assert_eq!(playout.wait(), Duration::ZERO);
        assert!(gaps.iter().all(|gap| (50..=80).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn repaired_pictures_are_shown_evenly_after_a_while() {
        let (gaps, playout) = gaps(600, |index| if index % 7 == 0 { 90 } else { 0 });
        assert_eq!(playout.wait(), Duration::from_millis(90));
        assert!(
            gaps[100..].iter().all(|gap| gap.abs_diff(INTERVAL_MS) <= 2),
            "{gaps:?}"
        );
    }

    #[test]
    fn the_wait_is_bounded_and_shrinks_when_the_line_is_clean_again() {
        let (_, playout) = gaps(200, |index| if index == 0 { 0 } else { 2_000 });
        assert_eq!(playout.wait(), WAIT_MAX);
        let (_, playout) = gaps(
            1_000,
            |index| if index < 150 && index % 7 == 0 { 90 } else { 0 },
        );
        assert_eq!(playout.wait(), Duration::ZERO);
    }

    #[test]
    fn pictures_do_not_wait_longer_than_their_sound_can() {
        let late = |index| if index % 7 == 0 { 300 } else { 0 };
        let (_, mut playout) = gaps(200, late);
        assert_eq!(playout.wait(), Duration::from_millis(300));
        playout.set_wait_max(Duration::from_millis(120));
        assert_eq!(playout.wait(), Duration::from_millis(120));
        playout.set_wait_max(Duration::from_secs(9));
        assert_eq!(playout.wait_max(), WAIT_MAX);
    }

    #[test]
    fn a_clock_that_jumps_begins_anew() {
        let zero = Instant::now();
        let mut playout = Playout::default();
        for (at_ms, ticks) in [
            (0, 0),
            (66, 66 * 90),
            (132, u64::MAX),
            (198, 5),
            (264, 66 * 90),
        ] {
            let now = zero + Duration::from_millis(at_ms);
            let due = playout.due(now, ticks, false);
            assert!(due >= now && due <= now + WAIT_MAX);
        }
    }
}

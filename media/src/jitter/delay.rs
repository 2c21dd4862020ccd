//! How long sound must wait so that what comes late still comes in time.
//!
//! A packet's *transit* is when it came less its media time; the least of the last ten seconds is the *base*, that of a
//! packet that nothing held up. What a packet has above it is its *delay*, and the target is the delay that nearly all
//! stay under. Clocks that drift apart move the base, so that nothing else has to know of drift.

use std::collections::VecDeque;

use crate::frame::SAMPLE_RATE_HZ;

/// Samples in a millisecond.
pub(super) const MS: i64 = SAMPLE_RATE_HZ as i64 / 1000;
/// Half of the time that a least transit is remembered, 5 s: a path that grew longer is believed after 10 s.
const HALF_WINDOW: i64 = 5_000 * MS;
/// Delays remembered, 10 s of 20 ms: fewer forget a jitter that comes back, more keep the delay high after it went.
const DELAYS_MAX: usize = 500;
/// So many until the quantile means something, 1 s.
const DELAYS_MIN: usize = 50;
/// Packets of a thousand that may come later than the target.
const LATE_PER_MILLE: usize = 10;
/// Width of a class of delays, 4 ms.
const CLASS: i64 = 4 * MS;
/// Classes: everything over half a second is in the last.
const CLASSES: usize = 128;
/// Part of the need for copies that is left after each packet: half is gone after 2.8 s.
const NEED_KEPT: f32 = 0.995;
/// More need than this is not remembered: 8 s after the last loss nothing is left of it.
const NEED_MAX: f32 = 4.0;
/// Above this need sound waits for its copies.
const NEED_MIN: f32 = 0.5;

/// Watches arrivals.
pub(super) struct DelayTarget {
    start: i64,
    limits: (i64, i64),
    /// Least transits of this half window and the one before.
    least: [Option<i64>; 2],
    half_began: i64,
    last_transit: i64,
    classes: VecDeque<u8>,
    counts: [u16; CLASSES],
    need: f32,
    /// How much later than a lost packet its last copy comes.
    copies_reach: i64,
}

impl DelayTarget {
    /// Begins with the target `start`, and stays within `limits`; all in samples.
    pub(super) fn new(start: i64, limits: (i64, i64)) -> Self {
        Self {
            start: start.clamp(limits.0, limits.1),
            limits,
            least: [None; 2],
            half_began: 0,
            last_transit: 0,
            classes: VecDeque::with_capacity(DELAYS_MAX),
            counts: [0; CLASSES],
            need: 0.0,
            copies_reach: 0,
        }
    }

    /// Least transit; `None` before the first packet.
    pub(super) fn base(&self) -> Option<i64> {
        match self.least {
            [Some(one), Some(other)] => Some(one.min(other)),
            [one, other] => one.or(other),
        }
    }

    /// How far this packet's transit lies from the one before, either way: a jump means another clock.
    pub(super) fn jump(&self, at: i64, media: i64) -> i64 {
        match self.base() {
            Some(_) => (at - media - self.last_transit).abs(),
            None => 0,
        }
    }

    /// A packet came for the first time, itself and not as a copy.
    pub(super) fn arrived(&mut self, at: i64, media: i64) {
        let transit = at - media;
        self.last_transit = transit;
        if at - self.half_began >= HALF_WINDOW {
            // After a long pause nothing of what was known holds any more.
            let stale = at - self.half_began >= 2 * HALF_WINDOW;
            self.least = [None, self.least[0].filter(|_| !stale)];
            self.half_began = at;
        }
        let least = self.least[0].map_or(transit, |least| least.min(transit));
        self.least[0] = Some(least);
        let delay = transit - self.base().unwrap_or(transit);
        let class = (delay / CLASS).clamp(0, CLASSES as i64 - 1) as u8;
        if self.classes.len() >= DELAYS_MAX
            && let Some(oldest) = self.classes.pop_front()
        {
            self.counts[usize::from(oldest)] -= 1;
        }
        self.classes.push_back(class);
        self.counts[usize::from(class)] += 1;
        self.need *= NEED_KEPT;
    }

    /// A packet did not come; what follows may bring its sound.
    pub(super) fn lost(&mut self) {
        self.need = (self.need + 1.0).min(NEED_MAX);
    }

    /// Copies come so much later than what they are copies of; 0: there are none any more.
    pub(super) fn set_copies_reach(&mut self, reach: i64) {
        self.copies_reach = reach;
    }

    /// The delay to keep. `packet`: samples of one packet, whose successor may carry a poor copy of it (FEC).
    pub(super) fn target(&self, packet: i64) -> i64 {
        let mut late = self.classes.len() * LATE_PER_MILLE / 1000;
        let mut class = CLASSES - 1;
        while class > 0 && usize::from(self.counts[class]) <= late {
            late -= usize::from(self.counts[class]);
            class -= 1;
        }
        let mut target = (class as i64 + 1) * CLASS;
        if self.classes.len() < DELAYS_MIN {
            target = target.max(self.start);
        }
        if self.need > NEED_MIN {
            target += self.copies_reach.max(packet);
        }
        target.clamp(self.limits.0, self.limits.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: i64 = 20 * MS;

    fn target() -> DelayTarget {
        DelayTarget::new(40 * MS, (0, 500 * MS))
    }

    #[test]
    fn an_even_line_needs_the_least_and_an_uneven_one_its_spread() {
        let mut even = target();
        assert_eq!(even.target(PACKET), 40 * MS);
        for index in 0..200 {
            even.arrived(index * PACKET + 7_000, index * PACKET);
        }
        assert_eq!((even.target(PACKET), even.base()), (4 * MS, Some(7_000)));
        let mut uneven = target();
        for index in 0..2_000 {
            let late = index * 7_919 % (60 * MS);
            uneven.arrived(index * PACKET + late, index * PACKET);
        }
        let ms = uneven.target(PACKET) / MS;
        assert!((56..=64).contains(&ms), "{ms} ms for delays of up to 60");
    }

    #[test]
    fn the_base_follows_a_longer_path_after_ten_seconds_and_a_shorter_one_at_once() {
        let mut delay = target();
        let mut now = 0;
        let mut run = |delay: &mut DelayTarget, packets: i64, transit: i64| {
            for _ in 0..packets {
                now += PACKET;
                delay.arrived(now + transit, now);
            }
            (delay.base(), delay.target(PACKET) / MS)
        };
        run(&mut delay, 600, 0);
        let (base, ms) = run(&mut delay, 100, 100 * MS);
        assert_eq!(base, Some(0));
        assert!((100..=110).contains(&ms), "{ms}");
        assert_eq!(run(&mut delay, 500, 100 * MS).0, Some(100 * MS));
        assert_eq!(run(&mut delay, 600, 100 * MS).1, 4);
        assert_eq!(run(&mut delay, 1, 50 * MS).0, Some(50 * MS));
    }

    #[test]
    fn loss_makes_sound_wait_for_its_copies_and_no_longer_than_loss_lasts() {
        let mut delay = target();
        let mut now = 0;
        let mut run = |delay: &mut DelayTarget, packets: i64| {
            for _ in 0..packets {
                now += PACKET;
                delay.arrived(now, now);
            }
        };
        run(&mut delay, 100);
        delay.lost();
        assert!(delay.target(PACKET) > 20 * MS, "the next packet's copy");
        delay.set_copies_reach(100 * MS);
        assert!(delay.target(PACKET) >= 100 * MS);
        run(&mut delay, 300);
        assert_eq!(delay.target(PACKET), 4 * MS);
    }

    #[test]
    fn no_time_of_any_kind_is_too_strange() {
        let mut delay = target();
        for (at, media) in [(0, 1 << 47), (1 << 47, 0), (5, 5), (1 << 47, 1 << 47)] {
            delay.arrived(at, media);
            let target = delay.target(PACKET);
            assert!((0..=500 * MS).contains(&target));
        }
    }
}

//! Sound sent more than once, and how much of it gets lost on the way: the bookkeeping of both ends. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hullo_proto::frame::{LossReport, SoundCopy};

/// Packets kept to be sent again: the farthest copy lies that many back.
pub const DISTANCE_MAX: usize = 8;
/// Packets further apart than this have a pause between them (mute, hold): their media times are not even.
const PAUSE_MIN: Duration = Duration::from_millis(150);

/// The last packets sent.
#[derive(Default)]
pub struct CopyHistory {
    packets: VecDeque<Vec<u8>>,
    samples: usize,
    last: Option<Instant>,
}

impl CopyHistory {
    /// The copies that go with `packet`, which lasts `samples` and was captured at `captured_at`; it is kept for those
    /// after it. `distances` beyond [`DISTANCE_MAX`], and those of before a pause or of other lengths, are left out.
    pub fn copies(
        &mut self,
        packet: &[u8],
        samples: usize,
        captured_at: Instant,
        distances: &[u8],
    ) -> Vec<SoundCopy> {
        let paused = self
            .last
            .is_some_and(|last| captured_at.saturating_duration_since(last) >= PAUSE_MIN);
        if paused || samples != self.samples {
            // A copy's time is told by its distance, which holds only within an even run.
            self.packets.clear();
        }
        (self.last, self.samples) = (Some(captured_at), samples);
        let copy = |&distance: &u8| {
            let index = usize::from(distance).checked_sub(1)?;
            let packet = self.packets.get(index)?.clone();
            Some(SoundCopy { distance, packet })
        };
        let copies = distances.iter().filter_map(copy).collect();
        self.packets.push_front(packet.to_vec());
        self.packets.truncate(DISTANCE_MAX);
        copies
    }
}

/// Packets looked at, 2.5 s of 20 ms: enough to tell 10 % from 20 %, few enough to follow within seconds.
const WINDOW: u32 = u128::BITS;
/// The newest packets may still be overtaken by one that seems lost.
const REORDER_MAX: u32 = 3;
/// Fewer tell nothing, 0.5 s.
const PACKETS_MIN: u32 = 25;
/// Until so many came, 1.2 s, the rest is taken to have come: protection that chance called for goes only after ten
/// seconds, and moves the delay of sound both times.
const PACKETS_SURE: u32 = 60;
/// Lost packets right behind a lost one from which runs are believed in. By chance alone there are 1.3 in a window at
/// 10 % and 5 at 20 %, where they are still too few for a long mean run.
const FOLLOWING_MIN: u32 = 5;
/// A hole of so many packets is no loss but an outage or a new beginning, 1 s.
const OUTAGE_PACKETS: u64 = 50;

/// Watches the numbers of incoming packets.
#[derive(Default)]
pub struct LossMeter {
    newest: Option<u64>,
    /// The lowest bit is the newest packet; set: it came.
    seen: u128,
    valid: u32,
}

impl LossMeter {
    /// A packet came.
    pub fn packet(&mut self, number: u64) {
        let Some(newest) = self.newest else {
            return self.begin(number);
        };
        if number <= newest {
            let back = newest - number;
            if back < u64::from(WINDOW) {
                self.seen |= 1 << back;
            } else {
                self.begin(number);
            }
            return;
        }
        let ahead = number - newest;
        if ahead > OUTAGE_PACKETS {
            return self.begin(number);
        }
        self.newest = Some(number);
        self.seen = self.seen << ahead | 1;
        self.valid = (self.valid + ahead as u32).min(WINDOW);
    }

    fn begin(&mut self, number: u64) {
        *self = Self {
            newest: Some(number),
            seen: 1,
            valid: 1,
        };
    }

    /// What is missed; `None` before 0.5 s of packets came.
    #[must_use]
    pub fn report(&self) -> Option<LossReport> {
        let judged = self.valid.checked_sub(REORDER_MAX)?;
        if judged < PACKETS_MIN {
            return None;
        }
        let mask = if judged >= WINDOW {
            u128::MAX
        } else {
            (1 << judged) - 1
        };
        let missing = !(self.seen >> REORDER_MAX) & mask;
        let lost = missing.count_ones();
        // A run begins where the packet before it, one bit up, came.
        let runs = (missing & !(missing >> 1)).count_ones();
        // Few that followed one another did so by chance, and what is believed of runs moves the delay of everything.
        let runs = if lost - runs < FOLLOWING_MIN {
            lost
        } else {
            runs
        };
        let burst = lost as f32 / runs.max(1) as f32;
        // Few packets at a call's beginning tell little: four of 22 are as likely at 10 % as at 25 %.
        let of = judged.max(PACKETS_SURE) as f32;
        Some(LossReport::new(lost as f32 / of, burst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    #[test]
    fn copies_are_those_asked_for_and_never_reach_over_a_pause_or_another_length() {
        let mut history = CopyHistory::default();
        let mut now = Instant::now();
        let mut send = |history: &mut CopyHistory, byte: u8, samples, pause: u32| {
            now += STEP * pause;
            history
                .copies(&[byte], samples, now, &[2, 5, 9])
                .iter()
                .map(|copy| (copy.distance, copy.packet[0]))
                .collect::<Vec<_>>()
        };
        assert_eq!(send(&mut history, 0, 960, 1), []);
        assert_eq!(send(&mut history, 1, 960, 1), []);
        assert_eq!(send(&mut history, 2, 960, 1), [(2, 0)]);
        (3..10).for_each(|byte| drop(send(&mut history, byte, 960, 1)));
        assert_eq!(send(&mut history, 10, 960, 1), [(2, 8), (5, 5)]);
        assert_eq!(send(&mut history, 11, 960, 10), []);
        send(&mut history, 12, 960, 1);
        assert_eq!(send(&mut history, 13, 960, 1), [(2, 11)]);
        assert_eq!(send(&mut history, 14, 1_920, 1), []);
        assert!(history.packets.len() <= DISTANCE_MAX);
    }

    fn report(numbers: impl IntoIterator<Item = u64>) -> Option<LossReport> {
        let mut meter = LossMeter::default();
        numbers.into_iter().for_each(|number| meter.packet(number));
        meter.report()
    }

    #[test]
    fn loss_and_its_runs_are_counted() {
        assert_eq!(report(0..20), None);
        assert_eq!(report(0..300), Some(LossReport::new(0.0, 0.0)));
        let single = report((0..300).filter(|number| number % 5 != 0)).expect("enough");
        assert!(
            (single.loss() - 0.2).abs() < 0.02 && single.burst() == 1.0,
            "{single:?}"
        );
        let triple = report((0..300).filter(|number| number % 15 > 2)).expect("enough");
        assert!((triple.loss() - 0.2).abs() < 0.03, "{triple:?}");
        assert!((2.6..=3.2).contains(&triple.burst()), "{triple:?}");
    }

    #[test]
    fn the_first_half_second_is_not_taken_for_the_whole_line() {
        let first = report((0..30).filter(|number| number % 6 != 0)).expect("enough");
        assert!((0.05..0.09).contains(&first.loss()), "{first:?}");
        let later = report((0..120).filter(|number| number % 6 != 0)).expect("enough");
        assert!((0.15..0.18).contains(&later.loss()), "{later:?}");
    }

    #[test]
    fn a_few_that_were_lost_together_are_no_bursts() {
        // In the first second two runs of two: 4 of 40.
        let few = report((0..40).filter(|number| ![10, 11, 20, 21].contains(number)));
        assert_eq!(few.map(LossReport::burst), Some(1.0));
        let more = report((0..60).filter(|number| number % 20 > 3)).expect("enough");
        assert!(more.burst() > 3.0, "{more:?}");
    }

    #[test]
    fn what_comes_out_of_order_is_not_lost_and_an_outage_is_no_loss() {
        let swapped = (0..300).map(|number: u64| number ^ 1);
        assert_eq!(report(swapped), Some(LossReport::new(0.0, 0.0)));
        assert_eq!(
            report((0..300).chain(500..600)),
            Some(LossReport::new(0.0, 0.0))
        );
        assert_eq!(
            report((900..999).chain(0..100)),
            Some(LossReport::new(0.0, 0.0))
        );
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_share(numbers in proptest::collection::vec(any::<u64>().prop_map(|number| if number % 3 == 0 { number } else { number % 200 }), 0..500)) {
            if let Some(report) = report(numbers) {
                prop_assert!((0.0..=1.0).contains(&report.loss()));
            }
        }
    }
}

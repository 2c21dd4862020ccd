//! Glass-to-glass latency from the far test card's burned-in clock, kept as a bounded sample.

use crate::report::Percentiles;

/// Delays kept: half an hour at 30 pictures a second. More tells nothing new.
const DELAYS_MAX: usize = 54_000;
/// A reading above this is a misread card or two clocks that do not agree.
const DELAY_TICKS_MAX: u32 = 100_000;

/// Delays of pictures that carried a clock.
#[derive(Debug, Default)]
pub struct Latency {
    ticks: Vec<u32>,
}

impl Latency {
    /// Notes one picture: the card's clock and ours, both in 0.1 ms of Unix time, low 32 bits.
    pub fn note(&mut self, card: u32, now: u32) {
        let delay = now.wrapping_sub(card);
        if delay <= DELAY_TICKS_MAX && self.ticks.len() < DELAYS_MAX {
            self.ticks.push(delay);
        }
    }

    /// The spread, when the far camera was a test card.
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.ticks.is_empty() {
            return None;
        }
        let mut sorted = self.ticks.clone();
        sorted.sort_unstable();
        let at = |share: usize| f64::from(sorted[(sorted.len() - 1) * share / 100]) / 10.0;
        Some(Percentiles {
            p50: at(50),
            p95: at(95),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_plausible_delays() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        for delay in 1..=100_u32 {
            latency.note(u32::MAX - 10, (u32::MAX - 10).wrapping_add(delay));
        }
        latency.note(5_000_000, 0);
        assert_eq!(
            latency.percentiles(),
            Some(Percentiles { p50: 5.0, p95: 9.5 })
        );
    }
}

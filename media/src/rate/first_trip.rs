//! The queue of a line that was full from the first moment on. Pure: time is an argument.
//!
//! A queue shows as a delay above the least, and on such a line nothing ever came through quickly: sound fills it at once.
//! Only the checks of the way (RFC 8445 §7) went before any sound, and their round trip is what the empty line takes. Until
//! a report makes its round as quickly, half of what it takes longer is our queue; which half is whose nobody can tell.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Checks whose answers are awaited; they leave one or two at a time.
const CHECKS_MAX: usize = 16;
/// Reports of which the quickest counts: a program that begins stumbles.
const ROUNDS: usize = 3;
/// So much longer than a check is as quick: reports are larger.
const SLACK: Duration = Duration::from_millis(60);
/// From the first report on: later the way may have changed, and longer no line stays full.
const TIME_MAX: Duration = Duration::from_secs(8);

/// RFC 8489 §5: the types of a binding request and its answer.
const REQUEST: [u8; 2] = [0x00, 0x01];
const ANSWER: [u8; 2] = [0x01, 0x01];
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Which transaction a message of this type belongs to.
fn transaction(datagram: &[u8], kind: [u8; 2]) -> Option<[u8; 12]> {
    let header = datagram.first_chunk::<20>()?;
    let is_one = header.starts_with(&kind) && header.get(4..8) == Some(&MAGIC);
    if is_one {
        header.last_chunk().copied()
    } else {
        None
    }
}

/// What is known of the empty line.
#[derive(Default)]
pub(super) struct FirstTrip {
    checks: VecDeque<([u8; 12], Instant)>,
    /// The quickest check.
    least: Option<Duration>,
    first_report: Option<Instant>,
    rounds: VecDeque<Duration>,
    /// Nothing more can be said here.
    is_over: bool,
}

impl FirstTrip {
    pub(super) fn sent(&mut self, now: Instant, datagram: &[u8]) {
        if self.is_over {
            return;
        }
        if let Some(id) = transaction(datagram, REQUEST) {
            if self.checks.len() >= CHECKS_MAX {
                self.checks.pop_front();
            }
            self.checks.push_back((id, now));
        }
    }

    pub(super) fn received(&mut self, now: Instant, datagram: &[u8]) {
        if self.is_over {
            return;
        }
        let answered = transaction(datagram, ANSWER)
            .and_then(|id| self.checks.iter().position(|(check, _)| *check == id))
            .and_then(|index| self.checks.remove(index));
        if let Some((_, at)) = answered {
            let took = now.saturating_duration_since(at);
            self.least = Some(self.least.map_or(took, |least| least.min(took)));
        }
    }

    /// A report made its round in this time.
    pub(super) fn round(&mut self, now: Instant, took: Duration) {
        let first = *self.first_report.get_or_insert(now);
        self.rounds.push_back(took);
        if self.rounds.len() > ROUNDS {
            self.rounds.pop_front();
        }
        let is_quick = self.least.is_none_or(|least| took <= least + SLACK);
        if is_quick || now.saturating_duration_since(first) > TIME_MAX {
            self.is_over = true;
        }
    }

    /// How long our datagrams stand in a queue on their way, as far as only this tells.
    pub(super) fn queue(&self) -> Duration {
        if self.is_over || self.rounds.len() < ROUNDS {
            return Duration::ZERO;
        }
        let quickest = self.rounds.iter().min();
        let longer = quickest
            .zip(self.least)
            .map(|(took, least)| took.saturating_sub(least));
        longer.unwrap_or_default() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: [u8; 2], id: u8) -> Vec<u8> {
        [&kind[..], &[0, 0], &MAGIC, &[id; 12]].concat()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn reports_that_take_longer_than_any_check_show_a_queue_until_one_is_quick() {
        let zero = Instant::now();
        let mut trip = FirstTrip::default();
        trip.sent(zero, &message(REQUEST, 1));
        trip.received(zero + ms(500), &message(ANSWER, 2));
        trip.received(zero + ms(80), &message(ANSWER, 1));
        let mut now = zero + ms(1_000);
        for took in [700, 680, 690] {
            assert_eq!(trip.queue(), Duration::ZERO, "too few");
            trip.round(now, ms(took));
            now += ms(100);
        }
        assert_eq!(trip.queue(), ms(300));
        trip.round(now, ms(100));
        assert_eq!(trip.queue(), Duration::ZERO);
        for _ in 0..3 {
            trip.round(now, ms(700));
        }
        assert_eq!(trip.queue(), Duration::ZERO, "from now on delays tell");
    }

    #[test]
    fn without_checks_and_after_a_while_it_says_nothing() {
        let zero = Instant::now();
        let mut trip = FirstTrip::default();
        trip.sent(zero, &message(REQUEST, 1)[..19]);
        for second in 0..4 {
            trip.round(zero + ms(second * 1_000), ms(700));
        }
        assert_eq!(trip.queue(), Duration::ZERO);
    }
}

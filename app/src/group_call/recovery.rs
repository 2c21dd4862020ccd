//! When a second connection to the call is asked for: as soon as the first one falls silent, each at a moment of its own,
//! and again while nothing comes of it.
//!
//! Pure: time and randomness are given.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;

/// So long the server may say nothing: two of the checks that it must answer went unheard, and all its reports of what we
/// send. Shorter joins anew for every stumble, which costs everybody new keys; longer is silence that people notice.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(2);
/// A server that comes back has everybody at its door: each waits up to so long.
const SPREAD_MS: u64 = 500;
/// From a refusal to the next try: a server that starts anew takes a second.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    /// To be asked for then.
    Due(Instant),
    Asked,
}

/// See the module.
pub(super) struct Recovery {
    state: State,
    rng: ChaCha20Rng,
}

impl Recovery {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self {
            state: State::Well,
            rng,
        }
    }

    /// Whether a second connection is to be asked for now; `silence`: how long the first has heard nothing.
    pub(super) fn look(&mut self, now: Instant, silence: Duration) -> bool {
        if silence < SILENCE_MAX {
            self.state = State::Well;
            return false;
        }
        match self.state {
            State::Well => {
                self.state = State::Due(now + self.spread());
                false
            }
            State::Due(at) if now >= at => {
                self.state = State::Asked;
                true
            }
            State::Due(_) | State::Asked => false,
        }
    }

    /// Nothing came of it, for now.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.state == State::Asked {
            self.state = State::Due(now + AGAIN_AFTER + self.spread());
        }
    }

    /// Whether a second connection is still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.state != State::Well
    }

    /// When to look again, if something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Due(at) => Some(at),
            State::Well | State::Asked => None,
        }
    }

    fn spread(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(0..=SPREAD_MS))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    /// Looks every 10 ms for so long; when something was asked for, in milliseconds.
    fn asked(recovery: &mut Recovery, start: Instant, range: std::ops::Range<u64>) -> Vec<u64> {
        range
            .step_by(10)
            .filter(|&ms| {
                let since = Duration::from_millis(ms);
                recovery.look(start + since, since)
            })
            .collect()
    }

    #[test]
    fn silence_asks_once_and_again_after_a_refusal_each_at_its_own_moment() {
        let start = Instant::now();
        let mut moments = Vec::new();
        for seed in 0..20 {
            let mut recovery = Recovery::new(ChaCha20Rng::seed_from_u64(seed));
            let first = asked(&mut recovery, start, 0..10_000);
            let [at] = first[..] else {
                panic!("asked once, not {first:?}")
            };
            assert!((2_000..=2_510).contains(&at), "{at} ms");
            moments.push(at);
            recovery.failed(start + Duration::from_millis(10_000));
            let again = asked(&mut recovery, start, 10_000..12_000);
            assert_eq!(again.len(), 1);
            assert!((10_250..=10_760).contains(&again[0]), "{again:?}");
        }
        moments.sort_unstable();
        assert!(moments[19] - moments[0] > 250, "{moments:?}");
    }

    #[test]
    fn a_line_that_comes_back_is_asked_nothing_of() {
        let (start, mut recovery) = (Instant::now(), Recovery::new(ChaCha20Rng::seed_from_u64(1)));
        assert!(!recovery.look(start, SILENCE_MAX));
        assert!(recovery.is_wanted() && recovery.deadline().is_some());
        assert!(!recovery.look(start + Duration::from_secs(1), Duration::ZERO));
        assert!(!recovery.is_wanted() && recovery.deadline().is_none());
        // A late refusal is no news.
        recovery.failed(start);
        assert!(!recovery.is_wanted());
    }
}

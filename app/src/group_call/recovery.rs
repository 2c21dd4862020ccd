//! When a second connection to the call is asked for: as soon as the first one falls silent, each at a moment of its own,
//! and again while nothing comes of it. Also when the first one is back and what comes does not open: keys that changed
//! meanwhile lie in its message channel, which tries again after as long a while as it was cut off.
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

/// A line that is back must open everything for so long to count as well.
const WELL_AFTER: Duration = Duration::from_millis(500);

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
    /// Since when the first connection is heard again, while it does not count as well yet.
    back_at: Option<Instant>,
    /// It was asked for anew since: an earlier request may be lost with the line.
    is_asked_anew: bool,
    /// Frames that did not open, and when there was the last.
    unopened: (u64, Option<Instant>),
    rng: ChaCha20Rng,
}

impl Recovery {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self {
            state: State::Well,
            back_at: None,
            is_asked_anew: false,
            unopened: (0, None),
            rng,
        }
    }

    /// Whether a second connection is to be asked for now; `silence`: how long the first has heard nothing; `unopened`: how
    /// many frames did not open in all.
    pub(super) fn look(&mut self, now: Instant, silence: Duration, unopened: u64) -> bool {
        if unopened > self.unopened.0 {
            self.unopened = (unopened, Some(now));
        }
        if silence < SILENCE_MAX {
            return self.look_back(now);
        }
        (self.back_at, self.is_asked_anew) = (None, false);
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

    /// The first connection is heard.
    fn look_back(&mut self, now: Instant) -> bool {
        if self.state == State::Well {
            return false;
        }
        let back_at = *self.back_at.get_or_insert(now);
        let last = self.unopened.1.filter(|&at| at > back_at);
        if last.is_some() && !self.is_asked_anew {
            (self.state, self.is_asked_anew) = (State::Asked, true);
            return true;
        }
        if now >= last.unwrap_or(back_at) + WELL_AFTER {
            self.over();
        }
        false
    }

    /// All is well, on whichever connection.
    pub(super) fn over(&mut self) {
        (self.state, self.back_at, self.is_asked_anew) = (State::Well, None, false);
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
                recovery.look(start + since, since, 0)
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

    /// Silent for two seconds, then heard again.
    fn back() -> (Recovery, Instant) {
        let mut recovery = Recovery::new(ChaCha20Rng::seed_from_u64(1));
        let start = Instant::now();
        assert!(!recovery.look(start, SILENCE_MAX, 7));
        assert!(recovery.is_wanted() && recovery.deadline().is_some());
        let now = start + Duration::from_secs(1);
        assert!(!recovery.look(now, Duration::ZERO, 7));
        (recovery, now)
    }

    #[test]
    fn a_line_that_comes_back_and_opens_everything_is_well_soon() {
        let (mut recovery, now) = back();
        assert!(recovery.is_wanted(), "not yet");
        assert!(!recovery.look(now + WELL_AFTER, Duration::ZERO, 7));
        assert!(!recovery.is_wanted() && recovery.deadline().is_none());
        // A late refusal is no news, and frames that do not open are none without a silence before.
        recovery.failed(now);
        assert!(!recovery.look(now + WELL_AFTER * 2, Duration::ZERO, 8));
        assert!(!recovery.is_wanted());
    }

    #[test]
    fn a_line_that_comes_back_without_its_keys_is_replaced() {
        let (mut recovery, now) = back();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let looks = (1..30).filter(|step| recovery.look(at(step * 50), Duration::ZERO, 7 + step));
        assert_eq!(looks.count(), 1, "asked for once");
        assert!(recovery.is_wanted());
        assert!(!recovery.look(at(1_450) + WELL_AFTER, Duration::ZERO, 36));
        assert!(
            !recovery.is_wanted(),
            "the keys came by the first one after all"
        );
    }
}

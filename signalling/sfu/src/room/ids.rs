//! Which participant ids are free.
//!
//! An id that others have seen is not used again for 10 minutes: clients build their media sections from ids and
//! some never forget one within a call (protocol facts, section 3, *Tracks*). One that nobody was told of is free at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{ParticipantId, alphanumeric_ids};

/// How long an announced id rests.
pub const REST: Duration = Duration::from_secs(600);

/// The free ids of one call.
pub(super) struct Ids {
    /// Never announced; the next one last.
    fresh: Vec<ParticipantId>,
    /// Announced once, with the time from which they may be used, oldest first.
    resting: VecDeque<(Instant, ParticipantId)>,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut fresh: Vec<_> = alphanumeric_ids().collect();
        fresh.reverse();
        Self {
            fresh,
            resting: VecDeque::new(),
        }
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<ParticipantId> {
        if let Some(id) = self.fresh.pop() {
            return Some(id);
        }
        match self.resting.front() {
            Some(&(free_at, id)) if free_at <= now => {
                self.resting.pop_front();
                Some(id)
            }
            _ => None,
        }
    }

    pub(super) fn give_back_unannounced(&mut self, id: ParticipantId) {
        self.fresh.push(id);
    }

    pub(super) fn give_back_announced(&mut self, now: Instant, id: ParticipantId) {
        self.resting.push_back((now + REST, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_id_rests_for_10_minutes_and_another_does_not() {
        let (mut ids, now) = (Ids::new(), Instant::now());
        let all: Vec<_> = std::iter::from_fn(|| ids.take(now)).collect();
        assert!(all.len() >= 400 && all.windows(2).all(|pair| pair[0] < pair[1]));
        ids.give_back_announced(now, all[0]);
        assert_eq!(ids.take(now + REST - Duration::from_millis(1)), None);
        ids.give_back_unannounced(all[1]);
        assert_eq!(ids.take(now), Some(all[1]));
        assert_eq!(ids.take(now + REST), Some(all[0]));
        assert_eq!(ids.take(now + REST), None);
    }
}

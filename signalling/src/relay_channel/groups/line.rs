//! One connection of a group: to the relay of our inbox, or to that of one member's.
//!
//! Groups share no connection with contacts, nor with one another, nor do two members: a relay cannot join them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::RecipientId;
use rand::{Rng, RngExt};
use zeroize::Zeroizing;

use super::super::server::{
    ANSWER_TIME_MAX, GOOD_TIME_MIN, HOLD, OPENING_TIME_MAX, PAUSE_MAX, PAUSE_MIN, State,
};
use crate::group::{GroupNumber, MemberNumber};
use crate::server_url::ServerUrl;

/// A connection for writing is kept this long for the next message.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// An inbox that moved is read until nothing came over a standing connection for this long: what others sent before
/// they knew of the new one has come then.
const MOVED_TIME_MIN: Duration = Duration::from_secs(120);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Our inboxes of this group.
    Read(GroupNumber),
    /// The inbox of this member.
    Write(MemberNumber),
}

/// What an answer will be about.
pub(super) enum Asked {
    Create { secret: Zeroizing<[u8; 32]> },
    Secure(RecipientId),
    Subscribe(RecipientId),
    Acknowledge,
    Delete(RecipientId),
    Send { outbox: i64, stated: u64 },
}

pub(super) struct Line {
    pub(super) url: ServerUrl,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    /// Asked, not answered; by number, so the oldest is first.
    pub(super) asked: BTreeMap<u32, (Asked, Instant)>,
    /// Read over this connection.
    pub(super) subscribed: BTreeSet<RecipientId>,
    /// Nothing new is asked until then: the relay refused.
    pub(super) held: Option<Instant>,
    /// Since when nothing waits to be written.
    pub(super) idle_since: Option<Instant>,
    /// Since when nothing came, while an inbox that moved is still read.
    pub(super) quiet_since: Option<Instant>,
    /// Attempts since the last good connection.
    pub(super) failures: u32,
    /// That the relay makes no inbox was said once.
    pub(super) is_refusal_told: bool,
    last_number: u32,
    greeted_at: Option<Instant>,
}

impl Line {
    pub(super) fn new(purpose: Purpose, url: ServerUrl, now: Instant) -> Self {
        Self {
            url,
            purpose,
            state: State::Pausing { until: now },
            asked: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            held: None,
            idle_since: None,
            quiet_since: None,
            failures: 0,
            is_refusal_told: false,
            last_number: 0,
            greeted_at: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.state = State::Opening {
            until: now + OPENING_TIME_MAX,
        };
    }

    pub(super) fn greeted(
        &mut self,
        now: Instant,
        challenge: hullo_proto::service::relay::Challenge,
    ) {
        self.state = State::Up { challenge };
        self.last_number = 0;
        self.greeted_at = Some(now);
        self.quiet_since = None;
    }

    /// Forgets the connection; everything is asked again on the next.
    pub(super) fn lost(&mut self, now: Instant, rng: &mut impl Rng) {
        let stood = self
            .greeted_at
            .take()
            .map(|since| now.saturating_duration_since(since));
        if stood.is_some_and(|stood| stood >= GOOD_TIME_MIN) {
            self.failures = 0;
        }
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(PAUSE_MAX).mul_f64(rng.random_range(0.5..=1.0));
        self.failures += 1;
        self.state = State::Pausing { until: now + pause };
        self.asked.clear();
        self.subscribed.clear();
        self.held = None;
        self.idle_since = None;
        self.quiet_since = None;
    }

    pub(super) fn number(&mut self, now: Instant, asked: Asked) -> u32 {
        self.last_number += 1;
        self.asked
            .insert(self.last_number, (asked, now + ANSWER_TIME_MAX));
        self.last_number
    }

    pub(super) fn hold(&mut self, now: Instant) {
        self.held = Some(now + HOLD);
    }

    pub(super) fn idle_until(&self) -> Option<Instant> {
        self.idle_since.map(|since| since + IDLE_TIME_MAX)
    }

    pub(super) fn moved_until(&self) -> Option<Instant> {
        self.quiet_since.map(|since| since + MOVED_TIME_MIN)
    }

    /// Whether an answer of this kind is awaited.
    pub(super) fn awaits(&self, is_it: impl Fn(&Asked) -> bool) -> bool {
        self.asked.values().any(|(asked, _)| is_it(asked))
    }

    /// The next moment something is due here.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = match self.state {
            State::Pausing { until } | State::Opening { until } => Some(until),
            State::Up { .. } => self.asked.first_key_value().map(|(_, (_, until))| *until),
        };
        [state, self.held, self.idle_until(), self.moved_until()]
            .into_iter()
            .flatten()
            .min()
    }
}

//! What the mailbox remembers of one connection.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{Challenge, MessageId, RecipientId};

use super::ConnectionLimits;

pub(super) struct Connection {
    pub(super) challenge: Challenge,
    pub(super) subscriptions: HashMap<RecipientId, Subscription>,
    pub(super) created: usize,
    last_number: Option<u32>,
    /// The time at which the saved-up commands would be none: a token bucket kept as one instant.
    spent_until: Instant,
    command_cost: Duration,
    burst: Duration,
}

#[derive(Default)]
pub(super) struct Subscription {
    /// Handed out over this connection and not acknowledged; at most a window.
    pub(super) in_flight: VecDeque<MessageId>,
    /// The newest one ever handed out over this connection.
    pub(super) newest: Option<MessageId>,
    /// More may wait in the store than the window let out.
    pub(super) starved: bool,
}

impl Connection {
    pub(super) fn new(now: Instant, challenge: Challenge, limits: ConnectionLimits) -> Self {
        let command_cost = Duration::from_secs(1) / limits.commands_per_second.max(1);
        Self {
            challenge,
            subscriptions: HashMap::new(),
            created: 0,
            last_number: None,
            spent_until: now,
            command_cost,
            burst: command_cost * limits.burst_commands,
        }
    }

    /// False when the number does not rise: a replayed frame.
    pub(super) fn accept_number(&mut self, number: u32) -> bool {
        let rises = self.last_number.is_none_or(|last| number > last);
        if rises {
            self.last_number = Some(number);
        }
        rises
    }

    /// False when commands come faster than allowed.
    pub(super) fn spend_command(&mut self, now: Instant) -> bool {
        let spent_until = self.spent_until.max(now) + self.command_cost;
        let allowed = spent_until.saturating_duration_since(now) <= self.burst;
        if allowed {
            self.spent_until = spent_until;
        }
        allowed
    }

    pub(super) fn in_flight(&self) -> usize {
        self.subscriptions
            .values()
            .map(|subscription| subscription.in_flight.len())
            .sum()
    }

    pub(super) fn starved(&self) -> Vec<RecipientId> {
        let starved = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.starved);
        starved.map(|(recipient, _)| *recipient).collect()
    }
}

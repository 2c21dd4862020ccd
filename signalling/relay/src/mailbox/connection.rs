//! What the mailbox remembers of one connection.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{Challenge, MessageId, RecipientId};

use super::bucket::Bucket;
use super::{AddressKey, ConnectionLimits};

/// So long after a refused block the ones behind it are refused, counted anew with each: longer than a block takes on a
/// slow line, shorter than the pause of a client, after which it begins with the refused one.
const BLOCKS_HELD: Duration = Duration::from_secs(4);

pub(super) struct Connection {
    pub(super) address: AddressKey,
    pub(super) challenge: Challenge,
    pub(super) subscriptions: HashMap<RecipientId, Subscription>,
    pub(super) created: usize,
    /// After a refused block, until when those sent behind it are refused, too.
    blocks_held_until: Option<Instant>,
    last_number: Option<u32>,
    commands: Bucket,
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
    pub(super) fn new(
        now: Instant,
        address: AddressKey,
        challenge: Challenge,
        limits: ConnectionLimits,
    ) -> Self {
        let per_command = Duration::from_secs(1) / limits.commands_per_second.max(1);
        Self {
            address,
            challenge,
            subscriptions: HashMap::new(),
            created: 0,
            blocks_held_until: None,
            last_number: None,
            commands: Bucket::new(now, limits.burst_commands, per_command),
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

    /// A block was refused: those that its sender had sent behind it already must not overtake it.
    pub(super) fn hold_blocks(&mut self, now: Instant) {
        self.blocks_held_until = Some(now + BLOCKS_HELD);
    }

    pub(super) fn holds_blocks(&self, now: Instant) -> bool {
        self.blocks_held_until.is_some_and(|until| now < until)
    }

    /// False when commands come faster than allowed.
    pub(super) fn spend_command(&mut self, now: Instant) -> bool {
        self.commands.spend(now)
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

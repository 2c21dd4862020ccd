//! Blocks on their way to their readers.

use std::time::{Duration, Instant};

use hullo_proto::service::relay::{MessageId, RecipientId, Reply, WINDOW_MESSAGES};

use super::{ConnectionId, Mailbox, Output, REDELIVER_AFTER};
use crate::store::{Elsewhere, Store};

impl<S: Store> Mailbox<S> {
    pub(super) fn unsubscribe(&mut self, recipient: RecipientId) {
        let reader = self.readers.remove(&recipient);
        if let Some(state) = reader.and_then(|reader| self.connections.get_mut(&reader)) {
            state.subscriptions.remove(&recipient);
        }
    }

    /// Hands out what the windows of queue and connection allow.
    pub(super) fn deliver(
        &mut self,
        clock: Duration,
        connection: ConnectionId,
        recipient: RecipientId,
    ) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let room = self.limits.in_flight_max.saturating_sub(state.in_flight());
        let Some(subscription) = state.subscriptions.get_mut(&recipient) else {
            return;
        };
        let count = room.min(WINDOW_MESSAGES - subscription.in_flight.len().min(WINDOW_MESSAGES));
        if count == 0 {
            subscription.starved = true;
            return;
        }
        self.committed = false;
        let messages = match self.store.waiting(recipient, subscription.newest, count) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::debug!(%error, "blocks could not be read");
                subscription.starved = true;
                return self.redeliver_soon();
            }
        };
        subscription.starved = messages.len() == count;
        for message in messages {
            subscription.newest = Some(message.id);
            subscription.in_flight.push_back(message.id);
            let age = clock.saturating_sub(message.stored_at).as_millis();
            let age_ms = u64::try_from(age).unwrap_or(u64::MAX);
            let reply = Reply::Message {
                recipient,
                message: message.id,
                age_ms,
                block: &message.block,
            };
            self.counts.delivered += 1;
            self.outputs.push_back(Output::Transmit {
                connection,
                bytes: reply.write(),
            });
        }
    }

    /// Room again, for this queue first and then for others that waited for it.
    pub(super) fn acknowledged(
        &mut self,
        clock: Duration,
        connection: ConnectionId,
        recipient: RecipientId,
        message: MessageId,
    ) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        if let Some(subscription) = state.subscriptions.get_mut(&recipient) {
            subscription.in_flight.retain(|id| *id > message);
        }
        self.deliver(clock, connection, recipient);
        for starved in self.connections[&connection].starved() {
            self.deliver(clock, connection, starved);
        }
    }

    pub(super) fn elsewhere(&mut self, now: Instant, what: Elsewhere) {
        match what {
            Elsewhere::Stored(recipient) => {
                if let Some(&reader) = self.readers.get(&recipient) {
                    self.deliver(self.clock(now), reader, recipient);
                }
            }
            Elsewhere::Subscribed(recipient) => {
                if let Some(&reader) = self.readers.get(&recipient) {
                    self.unsubscribe(recipient);
                    self.reply(reader, &Reply::Taken { recipient });
                }
            }
            Elsewhere::Anything => {
                let readers: Vec<_> = self.readers.iter().map(|(k, v)| (*k, *v)).collect();
                for (recipient, reader) in readers {
                    self.deliver(self.clock(now), reader, recipient);
                }
            }
        }
    }

    /// A message that did not go out after all: it and what follows it come again.
    pub(super) fn take_back(
        &mut self,
        connection: ConnectionId,
        recipient: RecipientId,
        message: MessageId,
    ) {
        let state = self.connections.get_mut(&connection);
        if let Some(subscription) = state.and_then(|state| state.subscriptions.get_mut(&recipient))
        {
            subscription.in_flight.retain(|id| *id < message);
            let before = MessageId(message.0.saturating_sub(1));
            subscription.newest = subscription.newest.map(|newest| newest.min(before));
            subscription.starved = true;
        }
        self.redeliver_soon();
    }

    /// Hands out what a failing store held back.
    pub(super) fn deliver_starved(&mut self, clock: Duration) {
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in connections {
            for recipient in self.connections[&connection].starved() {
                self.deliver(clock, connection, recipient);
            }
        }
    }

    fn redeliver_soon(&mut self) {
        self.redeliver = true;
        self.tidy_at = self.tidy_at.min(self.now + REDELIVER_AFTER);
    }
}

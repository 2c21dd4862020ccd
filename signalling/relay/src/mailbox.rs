//! The relay's protocol as a machine: frames of many connections in, frames out. No socket, no clock, no disk of its own.
//!
//! Order within a queue is kept; a message is offered again on every new subscription until it is acknowledged.
//! Bytes that are no command end their connection (and nothing else) with a reason, and are counted.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use hullo_proto::service::relay::{
    Challenge, Command, FrameError, MessageId, QUEUE_ID_BYTES, RecipientId, RefusedReason, Reply,
    Request, SenderId, WINDOW_MESSAGES, signed_message,
};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use thiserror::Error;

use crate::store::{NewQueue, Store, StoreError};
use connection::{Connection, Subscription};

mod connection;
#[cfg(test)]
mod tests;

/// What one connection may do; beyond it commands are refused, not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Queues one connection may make. A person makes two per contact; more hands costs a new handshake.
    pub created_max: usize,
    /// Queues one connection may read: contacts times two, with room.
    pub subscriptions_max: usize,
    /// Commands saved up for a burst: subscribing to everything after a reconnect.
    pub burst_commands: u32,
    /// Commands a second in the long run; a call's set-up is about twenty in all.
    pub commands_per_second: u32,
    /// Unacknowledged messages on their way over one connection: 64 are 1 MiB in its buffers.
    pub in_flight_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            created_max: 64,
            subscriptions_max: 1024,
            burst_commands: 1500,
            commands_per_second: 100,
            in_flight_max: 64,
        }
    }
}

/// One connection, as the server numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A client connected; its number was never used before.
    Opened {
        /// Its number.
        connection: ConnectionId,
    },
    /// A binary message came.
    Frame {
        /// From whom.
        connection: ConnectionId,
        /// As it came.
        bytes: &'a [u8],
    },
    /// A client is gone.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// The deadline passed.
    Timeout,
}

/// One thing to do; `Timeout` says that there is nothing more.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one binary message.
    Transmit {
        /// To whom.
        connection: ConnectionId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// End this connection; it is forgotten already.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Drained; come back then at the latest.
    Timeout(Instant),
}

/// Why the relay ends a connection: always the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// Not a frame.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// Request numbers must rise.
    #[error("a request number was used twice")]
    NumberUsed,
}

/// How often things happened since the start. No ids, no addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections ended for frames that are none.
    pub garbage: u64,
    /// Commands refused.
    pub refused: u64,
    /// Blocks taken in.
    pub received: u64,
    /// Blocks handed out, repeats included.
    pub delivered: u64,
}

/// The machine; see the module.
pub struct Mailbox<S> {
    store: S,
    limits: ConnectionLimits,
    rng: ChaCha20Rng,
    /// The store's clock (since 1970) at `started`.
    epoch: Duration,
    started: Instant,
    expire_at: Instant,
    connections: HashMap<ConnectionId, Connection>,
    readers: HashMap<RecipientId, ConnectionId>,
    counts: Counts,
    outputs: VecDeque<Output>,
    /// Whether the outputs may leave: false until the store has committed.
    committed: bool,
}

/// How often old blocks are looked for: expiry is counted in days.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);

impl<S: Store> Mailbox<S> {
    /// A relay without connections. `epoch` is the time since 1970 at `now`; `rng` makes ids and challenges.
    pub fn new(
        store: S,
        limits: ConnectionLimits,
        rng: ChaCha20Rng,
        now: Instant,
        epoch: Duration,
    ) -> Self {
        Self {
            store,
            limits,
            rng,
            epoch,
            started: now,
            expire_at: now,
            connections: HashMap::new(),
            readers: HashMap::new(),
            counts: Counts::default(),
            outputs: VecDeque::new(),
            committed: true,
        }
    }

    /// How often things happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// One change; then drain [`Self::poll_output`] to its `Timeout`.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Opened { connection } => self.open(now, connection),
            Input::Frame { connection, bytes } => self.frame(now, connection, bytes),
            Input::Closed { connection } => self.forget(connection),
            Input::Timeout => {}
        }
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE_EVERY;
            self.committed = false;
            match self.store.expire(self.clock(now)) {
                Ok(forgotten) => tracing::debug!(forgotten, "expired"),
                Err(error) => tracing::error!(%error, "old blocks could not be removed"),
            }
        }
    }

    /// What to do, until `Timeout`.
    pub fn poll_output(&mut self) -> Output {
        if !self.committed {
            self.committed = true;
            if let Err(error) = self.store.commit() {
                tracing::error!(%error, "nothing since the last commit is durable");
                self.refuse_outputs();
            }
        }
        self.outputs
            .pop_front()
            .unwrap_or(Output::Timeout(self.expire_at))
    }

    /// A failed commit: nothing that was about to be confirmed may be, and no message may go out.
    fn refuse_outputs(&mut self) {
        // Dropped messages count as handed out: they come again with the next subscription.
        self.outputs.retain(|output| match output {
            Output::Transmit { bytes, .. } => {
                !matches!(Reply::read(bytes), Ok(Reply::Message { .. }))
            }
            _ => true,
        });
        for output in &mut self.outputs {
            let Output::Transmit { bytes, .. } = output else {
                continue;
            };
            if let Ok(Reply::Ok { number } | Reply::Created { number, .. }) = Reply::read(bytes) {
                *bytes = Reply::Refused {
                    number,
                    reason: RefusedReason::Storage,
                }
                .write();
            }
        }
    }

    fn clock(&self, now: Instant) -> Duration {
        self.epoch + now.saturating_duration_since(self.started)
    }

    fn open(&mut self, now: Instant, connection: ConnectionId) {
        let mut challenge = Challenge([0; 32]);
        self.rng.fill_bytes(&mut challenge.0);
        self.connections
            .insert(connection, Connection::new(now, challenge, self.limits));
        self.reply(connection, &Reply::hello(challenge));
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(gone) = self.connections.remove(&connection) {
            for recipient in gone.subscriptions.keys() {
                self.readers.remove(recipient);
            }
        }
    }

    fn frame(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        // A frame that was read before its connection was closed here.
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let request = match Request::read(bytes) {
            Ok(request) => request,
            Err(error) => return self.close(connection, error.into()),
        };
        if !state.accept_number(request.number) {
            return self.close(connection, CloseReason::NumberUsed);
        }
        let result = if state.spend_command(now) {
            self.committed = false;
            self.carry_out(now, connection, &request)
        } else {
            Err(RefusedReason::TooFast)
        };
        if let Err(reason) = result {
            self.counts.refused += 1;
            self.reply(
                connection,
                &Reply::Refused {
                    number: request.number,
                    reason,
                },
            );
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: &Request<'_>,
    ) -> Result<(), RefusedReason> {
        let clock = self.clock(now);
        let number = request.number;
        self.check_signature(connection, request)?;
        match request.command {
            Command::Create { recipient_key } => {
                return self.create(clock, connection, number, recipient_key);
            }
            Command::Secure { sender, sender_key } => {
                self.store.secure(sender, sender_key).map_err(refusal)?;
                self.reply(connection, &Reply::Ok { number });
            }
            Command::Send { sender, block } => {
                let recipient = self.store.push(clock, sender, block).map_err(refusal)?;
                self.counts.received += 1;
                self.reply(connection, &Reply::Ok { number });
                if let Some(&reader) = self.readers.get(&recipient) {
                    self.deliver(clock, reader, recipient);
                }
            }
            Command::Subscribe { recipient } => {
                self.subscribe(clock, connection, number, recipient)?;
            }
            Command::Acknowledge { recipient, message } => {
                self.store
                    .acknowledge(clock, recipient, Some(message))
                    .map_err(refusal)?;
                self.reply(connection, &Reply::Ok { number });
                self.acknowledged(clock, connection, recipient, message);
            }
            Command::Delete { recipient } => {
                self.store.delete(recipient).map_err(refusal)?;
                self.unsubscribe(recipient);
                self.reply(connection, &Reply::Ok { number });
            }
            Command::Publish { .. } => return Err(RefusedReason::TooManyCodes),
            Command::Claim { .. } => return Err(RefusedReason::NoCode),
        }
        Ok(())
    }

    /// The key that must have signed is the one the store knows, or for a new one the key in the command itself.
    fn check_signature(
        &mut self,
        connection: ConnectionId,
        request: &Request<'_>,
    ) -> Result<(), RefusedReason> {
        let key = match request.command {
            Command::Create { recipient_key } => recipient_key,
            Command::Secure { sender_key, .. } | Command::Claim { sender_key, .. } => sender_key,
            Command::Send { sender, .. } => self
                .store
                .sender_key(sender)
                .map_err(refusal)?
                .ok_or(RefusedReason::NotSecured)?,
            Command::Subscribe { recipient }
            | Command::Acknowledge { recipient, .. }
            | Command::Publish { recipient }
            | Command::Delete { recipient } => {
                self.store.recipient_key(recipient).map_err(refusal)?
            }
        };
        let challenge = &self.connections[&connection].challenge;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| RefusedReason::NoQueue)?;
        let message = signed_message(challenge, request.unsigned);
        key.verify_strict(&message, &Signature::from_bytes(&request.signature))
            .map_err(|_| RefusedReason::NoQueue)
    }

    fn create(
        &mut self,
        clock: Duration,
        connection: ConnectionId,
        number: u32,
        recipient_key: [u8; 32],
    ) -> Result<(), RefusedReason> {
        let (mut recipient, mut sender) = ([0; QUEUE_ID_BYTES], [0; QUEUE_ID_BYTES]);
        self.rng.fill_bytes(&mut recipient);
        self.rng.fill_bytes(&mut sender);
        let queue = NewQueue {
            recipient: RecipientId(recipient),
            sender: SenderId(sender),
            recipient_key,
        };
        let Some(state) = self.connections.get_mut(&connection) else {
            return Ok(());
        };
        if state.created >= self.limits.created_max {
            return Err(RefusedReason::TooManyQueues);
        }
        self.store.create(clock, queue).map_err(refusal)?;
        state.created += 1;
        let NewQueue {
            recipient, sender, ..
        } = queue;
        self.reply(
            connection,
            &Reply::Created {
                number,
                recipient,
                sender,
            },
        );
        Ok(())
    }

    /// The newest subscription wins: a client that lost its network is back before the relay notices.
    fn subscribe(
        &mut self,
        clock: Duration,
        connection: ConnectionId,
        number: u32,
        recipient: RecipientId,
    ) -> Result<(), RefusedReason> {
        let held = self.connections[&connection].subscriptions.len();
        let previous = self.readers.get(&recipient).copied();
        if previous != Some(connection) && held >= self.limits.subscriptions_max {
            return Err(RefusedReason::TooManyQueues);
        }
        self.store
            .acknowledge(clock, recipient, None)
            .map_err(refusal)?;
        self.unsubscribe(recipient);
        if let Some(previous) = previous.filter(|previous| *previous != connection) {
            self.reply(previous, &Reply::Taken { recipient });
        }
        self.readers.insert(recipient, connection);
        if let Some(state) = self.connections.get_mut(&connection) {
            state
                .subscriptions
                .insert(recipient, Subscription::default());
        }
        self.reply(connection, &Reply::Ok { number });
        self.deliver(clock, connection, recipient);
        Ok(())
    }

    fn unsubscribe(&mut self, recipient: RecipientId) {
        let reader = self.readers.remove(&recipient);
        if let Some(state) = reader.and_then(|reader| self.connections.get_mut(&reader)) {
            state.subscriptions.remove(&recipient);
        }
    }

    /// Hands out what the windows of queue and connection allow.
    fn deliver(&mut self, clock: Duration, connection: ConnectionId, recipient: RecipientId) {
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
        let messages = match self.store.waiting(recipient, subscription.newest, count) {
            Ok(messages) => messages,
            Err(error) => return tracing::error!(%error, "blocks could not be read"),
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
    fn acknowledged(
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

    fn reply(&mut self, connection: ConnectionId, reply: &Reply<'_>) {
        self.outputs.push_back(Output::Transmit {
            connection,
            bytes: reply.write(),
        });
    }

    fn close(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.counts.garbage += 1;
        self.forget(connection);
        self.outputs.push_back(Output::Close { connection, reason });
    }
}

fn refusal(error: StoreError) -> RefusedReason {
    match error {
        StoreError::NoQueue => RefusedReason::NoQueue,
        StoreError::AlreadySecured => RefusedReason::AlreadySecured,
        StoreError::QueueFull => RefusedReason::QueueFull,
        StoreError::TooManyQueues => RefusedReason::TooManyQueues,
        StoreError::IdTaken | StoreError::Failed(_) => {
            tracing::error!(%error, "a command failed in the store");
            RefusedReason::Storage
        }
    }
}

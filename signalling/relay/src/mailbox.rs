//! The relay's protocol as a machine: frames of many connections in, frames out. No socket, no clock, no disk of its own.
//!
//! Order within a queue is kept; a message is offered again on every new subscription until it is acknowledged.
//! Bytes that are no command end their connection (and nothing else) with a reason, and are counted.
//!
//! Several inputs may be taken before the outputs are drained: they are then one transaction of the store, and no
//! answer to any of them leaves before it is committed.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{
    Challenge, Command, FrameError, RecipientId, RefusedReason, Reply, Request,
};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use thiserror::Error;

pub use address::{AddressKey, AddressLimits};

use crate::store::{Elsewhere, Store};
use address::Addresses;
use connection::Connection;

mod address;
mod bucket;
mod command;
mod connection;
mod delivery;
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

/// What clients may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Each connection.
    pub connection: ConnectionLimits,
    /// All connections of one address together.
    pub address: AddressLimits,
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
        /// Whose limits it shares.
        address: AddressKey,
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
    /// Another relay on the same store did something.
    Elsewhere(Elsewhere),
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
    /// The address is connected as often as it may be.
    #[error("too many connections from one address")]
    TooManyConnections,
}

/// How often things happened since the start. No ids, no addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections ended for frames that are none.
    pub garbage: u64,
    /// Connections ended because their address had enough.
    pub crowded: u64,
    /// Commands refused.
    pub refused: u64,
    /// Batches that the store did not take.
    pub store_failures: u64,
    /// Blocks taken in.
    pub received: u64,
    /// Blocks handed out, repeats included.
    pub delivered: u64,
}

/// The machine; see the module.
pub struct Mailbox<S> {
    store: S,
    limits: ConnectionLimits,
    addresses: Addresses,
    rng: ChaCha20Rng,
    /// The store's clock (since 1970) at `started`.
    epoch: Duration,
    started: Instant,
    expire_at: Instant,
    tidy_at: Instant,
    connections: HashMap<ConnectionId, Connection>,
    readers: HashMap<RecipientId, ConnectionId>,
    counts: Counts,
    outputs: VecDeque<Output>,
    /// Whether the outputs may leave: false until the store has committed.
    committed: bool,
    /// The newest `now`.
    now: Instant,
    is_store_well: bool,
    /// Blocks wait for readers that could have had them if the store had not failed.
    redeliver: bool,
}

/// How often old blocks are looked for: expiry is counted in days.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often addresses that left are looked for: their limits heal in minutes.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How soon blocks are handed out that a failing store held back: long enough for it to mend.
const REDELIVER_AFTER: Duration = Duration::from_secs(1);

impl<S: Store> Mailbox<S> {
    /// A relay without connections. `epoch` is the time since 1970 at `now`; `rng` makes ids and challenges.
    pub fn new(store: S, limits: Limits, rng: ChaCha20Rng, now: Instant, epoch: Duration) -> Self {
        Self {
            store,
            limits: limits.connection,
            addresses: Addresses::new(limits.address),
            rng,
            epoch,
            started: now,
            expire_at: now,
            tidy_at: now + TIDY_EVERY,
            connections: HashMap::new(),
            readers: HashMap::new(),
            counts: Counts::default(),
            outputs: VecDeque::new(),
            committed: true,
            now,
            is_store_well: true,
            redeliver: false,
        }
    }

    /// Whether the store took the last batch.
    pub fn is_store_well(&self) -> bool {
        self.is_store_well
    }

    /// How often things happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// One change. Then drain [`Self::poll_output`] to its `Timeout`, or first take what else has come already.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Opened {
                connection,
                address,
            } => self.open(now, connection, address),
            Input::Frame { connection, bytes } => self.frame(now, connection, bytes),
            Input::Closed { connection } => self.forget(connection),
            Input::Elsewhere(what) => self.elsewhere(now, what),
            Input::Timeout => {}
        }
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE_EVERY;
            self.committed = false;
            match self.store.expire(self.clock(now)) {
                Ok(forgotten) => tracing::debug!(forgotten, "expired"),
                Err(error) => tracing::warn!(%error, "old blocks could not be removed"),
            }
        }
        if now >= self.tidy_at {
            self.tidy_at = now + TIDY_EVERY;
            self.addresses.tidy(now);
            if std::mem::take(&mut self.redeliver) {
                self.deliver_starved(self.clock(now));
            }
        }
    }

    /// What to do, until `Timeout`.
    pub fn poll_output(&mut self) -> Output {
        if !self.committed {
            self.committed = true;
            let committed = self.store.commit();
            let was_well = std::mem::replace(&mut self.is_store_well, committed.is_ok());
            match committed {
                Ok(()) if was_well => {}
                Ok(()) => tracing::info!("the store takes what clients send again"),
                Err(error) => {
                    if was_well {
                        tracing::error!(%error, "clients are refused: what they send cannot be stored");
                    }
                    self.counts.store_failures += 1;
                    self.refuse_outputs();
                }
            }
        }
        let deadline = self.expire_at.min(self.tidy_at);
        self.outputs
            .pop_front()
            .unwrap_or(Output::Timeout(deadline))
    }

    /// A failed commit: nothing that was about to be confirmed may be, and no message may go out.
    fn refuse_outputs(&mut self) {
        let outputs = std::mem::take(&mut self.outputs);
        for output in outputs {
            let Output::Transmit { connection, bytes } = &output else {
                self.outputs.push_back(output);
                continue;
            };
            match Reply::read(bytes) {
                Ok(Reply::Message {
                    recipient, message, ..
                }) => self.take_back(*connection, recipient, message),
                Ok(
                    Reply::Ok { number }
                    | Reply::Created { number, .. }
                    | Reply::Published { number, .. }
                    | Reply::Claimed { number, .. },
                ) => {
                    let connection = *connection;
                    self.refuse(connection, number, RefusedReason::Storage);
                    self.hold_blocks(connection);
                }
                _ => self.outputs.push_back(output),
            }
        }
    }

    fn clock(&self, now: Instant) -> Duration {
        self.epoch + now.saturating_duration_since(self.started)
    }

    fn open(&mut self, now: Instant, connection: ConnectionId, address: AddressKey) {
        if !self.addresses.open(now, address) {
            self.counts.crowded += 1;
            let reason = CloseReason::TooManyConnections;
            return self.outputs.push_back(Output::Close { connection, reason });
        }
        let mut challenge = Challenge([0; 32]);
        self.rng.fill_bytes(&mut challenge.0);
        let state = Connection::new(now, address, challenge, self.limits);
        self.connections.insert(connection, state);
        self.reply(connection, &Reply::hello(challenge));
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(gone) = self.connections.remove(&connection) {
            self.addresses.close(gone.address);
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
        let address = state.address;
        let allowed = state.spend_command(now) && self.addresses.spend_command(now, address);
        let is_block = matches!(request.command, Command::Send { .. });
        let is_held = is_block && state.holds_blocks(now);
        let result = if allowed && !is_held {
            self.committed = false;
            self.carry_out(now, connection, address, &request)
        } else {
            Err(RefusedReason::TooFast)
        };
        if let Err(reason) = result {
            self.refuse(connection, request.number, reason);
            // A queue that is gone takes none of those that follow anyway.
            let may_end = !matches!(reason, RefusedReason::NoQueue | RefusedReason::NotSecured);
            if is_block && may_end {
                self.hold_blocks(connection);
            }
        }
    }

    fn hold_blocks(&mut self, connection: ConnectionId) {
        if let Some(state) = self.connections.get_mut(&connection) {
            state.hold_blocks(self.now);
        }
    }

    fn refuse(&mut self, connection: ConnectionId, number: u32, reason: RefusedReason) {
        self.counts.refused += 1;
        self.reply(connection, &Reply::Refused { number, reason });
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

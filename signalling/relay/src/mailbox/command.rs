//! The commands, carried out.

use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use hullo_proto::service::relay::{
    CODE_TIME_MAX, CodeNumber, Command, QUEUE_ID_BYTES, RecipientId, RefusedReason, Reply, Request,
    SenderId, signed_message,
};
use rand::Rng;

use super::connection::Subscription;
use super::{AddressKey, ConnectionId, Mailbox};
use crate::store::{NewQueue, Store, StoreError};

impl<S: Store> Mailbox<S> {
    pub(super) fn carry_out(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        address: AddressKey,
        request: &Request<'_>,
    ) -> Result<(), RefusedReason> {
        let clock = self.clock(now);
        let number = request.number;
        self.check_signature(connection, request)?;
        match request.command {
            Command::Create { recipient_key } => {
                self.create(clock, connection, number, recipient_key)?;
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
                    .acknowledge(clock, recipient, message)
                    .map_err(refusal)?;
                self.reply(connection, &Reply::Ok { number });
                self.acknowledged(clock, connection, recipient, message);
            }
            Command::Delete { recipient } => {
                self.store.delete(recipient).map_err(refusal)?;
                self.unsubscribe(recipient);
                self.reply(connection, &Reply::Ok { number });
            }
            Command::Publish { recipient } => {
                let code = self.publish(now, address, recipient)?;
                let reply = Reply::Published {
                    number,
                    code,
                    seconds: CODE_SECONDS,
                };
                self.reply(connection, &reply);
            }
            Command::Claim { code, sender_key } => {
                let sender = self.claim(now, address, code, sender_key)?;
                self.reply(connection, &Reply::Claimed { number, sender });
            }
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
        if !self.addresses.spend_created(self.now, state.address) {
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
        self.store.subscribed(clock, recipient).map_err(refusal)?;
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

    fn publish(
        &mut self,
        now: Instant,
        address: AddressKey,
        recipient: RecipientId,
    ) -> Result<CodeNumber, RefusedReason> {
        if !self.addresses.may_publish(now, address, recipient) {
            return Err(RefusedReason::TooManyCodes);
        }
        let (clock, draw) = (self.clock(now), self.rng.next_u64());
        let published = self.store.publish(clock, recipient, draw);
        let code = published.map_err(refusal)?;
        self.addresses
            .published(now, address, recipient, code, now + CODE_TIME_MAX);
        Ok(code)
    }

    /// The number is spent even when the claim fails, and a claim that fails is held against its address.
    fn claim(
        &mut self,
        now: Instant,
        address: AddressKey,
        code: CodeNumber,
        sender_key: [u8; 32],
    ) -> Result<SenderId, RefusedReason> {
        if !self.addresses.may_claim(now, address) {
            return Err(RefusedReason::TooFast);
        }
        let claimed = self.store.claim(self.clock(now), code, sender_key);
        if let Err(StoreError::NoCode | StoreError::AlreadySecured) = claimed {
            self.addresses.claimed_wrongly(now, address);
        }
        if !matches!(claimed, Err(StoreError::NoCode | StoreError::Failed(_))) {
            self.addresses.spent(code);
        }
        claimed.map_err(refusal)
    }
}

/// What PUBLISHED promises.
const CODE_SECONDS: u16 = {
    let seconds = CODE_TIME_MAX.as_secs();
    assert!(seconds <= u16::MAX as u64);
    seconds as u16
};

fn refusal(error: StoreError) -> RefusedReason {
    match error {
        StoreError::NoQueue => RefusedReason::NoQueue,
        StoreError::AlreadySecured => RefusedReason::AlreadySecured,
        StoreError::QueueFull => RefusedReason::QueueFull,
        StoreError::TooManyQueues => RefusedReason::TooManyQueues,
        StoreError::NoCode => RefusedReason::NoCode,
        StoreError::TooManyCodes => RefusedReason::TooManyCodes,
        StoreError::IdTaken | StoreError::Failed(_) => {
            // At the first failed batch it is said aloud; not for each command of a long outage.
            tracing::debug!(%error, "a command failed in the store");
            RefusedReason::Storage
        }
    }
}

//! A store that fails when told to, and what the mailbox then says; and what other relays do on the same store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::{Elsewhere, NewQueue, Store, StoreError, StoredMessage};

/// Memory whose commits may fail. It undoes nothing: what it had told the mailbox must not leave all the same.
pub(super) struct Flaky {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
}

impl Flaky {
    pub(super) fn new(fails: Arc<AtomicBool>) -> Self {
        Self {
            inner: MemoryStore::new(StoreLimits::default()),
            fails,
        }
    }
}

impl Store for Flaky {
    fn create(&mut self, now: Duration, queue: NewQueue) -> Result<(), StoreError> {
        self.inner.create(now, queue)
    }

    fn recipient_key(&mut self, recipient: RecipientId) -> Result<[u8; 32], StoreError> {
        self.inner.recipient_key(recipient)
    }

    fn sender_key(&mut self, sender: SenderId) -> Result<Option<[u8; 32]>, StoreError> {
        self.inner.sender_key(sender)
    }

    fn secure(&mut self, sender: SenderId, key: [u8; 32]) -> Result<(), StoreError> {
        self.inner.secure(sender, key)
    }

    fn push(
        &mut self,
        now: Duration,
        sender: SenderId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<RecipientId, StoreError> {
        self.inner.push(now, sender, block)
    }

    fn waiting(
        &mut self,
        recipient: RecipientId,
        after: Option<MessageId>,
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        self.inner.waiting(recipient, after, count)
    }

    fn acknowledge(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        up_to: MessageId,
    ) -> Result<(), StoreError> {
        self.inner.acknowledge(now, recipient, up_to)
    }

    fn subscribed(&mut self, now: Duration, recipient: RecipientId) -> Result<(), StoreError> {
        self.inner.subscribed(now, recipient)
    }

    fn publish(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        draw: u64,
    ) -> Result<CodeNumber, StoreError> {
        self.inner.publish(now, recipient, draw)
    }

    fn claim(
        &mut self,
        now: Duration,
        code: CodeNumber,
        key: [u8; 32],
    ) -> Result<SenderId, StoreError> {
        self.inner.claim(now, code, key)
    }

    fn delete(&mut self, recipient: RecipientId) -> Result<(), StoreError> {
        self.inner.delete(recipient)
    }

    fn expire(&mut self, now: Duration) -> Result<usize, StoreError> {
        self.inner.expire(now)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Failed("told to".to_owned()));
        }
        self.inner.commit()
    }
}

#[test]
fn what_is_not_stored_is_refused_and_no_message_leaves_until_it_is() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ask(READER, &key(1), Command::Subscribe { recipient });
    let (before, send) = (world.got[&READER].len(), block(1));
    world.fails.store(true, Ordering::Relaxed);
    let command = Command::Send {
        sender,
        block: &send,
    };
    let refused = world.refused(WRITER, &key(2), command);
    assert_eq!(refused, RefusedReason::Storage);
    let create = Command::Create {
        recipient_key: key(1).verifying_key().to_bytes(),
    };
    let refused = world.refused(READER, &key(1), create);
    assert_eq!(refused, RefusedReason::Storage);
    assert!(world.messages(READER, before).is_empty());
    assert!(!world.mailbox.is_store_well());
    assert_eq!(world.mailbox.counts().store_failures, 2);
    world.fails.store(false, Ordering::Relaxed);
    world.now += Duration::from_secs(1);
    world.input(Input::Timeout);
    let first: Vec<u8> = world.messages(READER, before).iter().map(|m| m.0).collect();
    assert_eq!(first, [1], "what the store has after all comes by itself");
    assert!(world.mailbox.is_store_well());
}

#[test]
fn several_inputs_are_one_commit_and_all_are_answered_after_it() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ask(READER, &key(1), Command::Subscribe { recipient });
    let frames: Vec<Vec<u8>> = (0..3)
        .map(|first| {
            let block = block(first);
            let send = Command::Send {
                sender,
                block: &block,
            };
            world.frame(WRITER, &key(2), send)
        })
        .collect();
    for bytes in &frames {
        let input = Input::Frame {
            connection: WRITER,
            bytes,
        };
        world.mailbox.handle_input(world.now, input);
    }
    world.fails.store(true, Ordering::Relaxed);
    let (before, to_writer) = (world.got[&READER].len(), world.got[&WRITER].len());
    world.input(Input::Timeout);
    let answers = &world.got[&WRITER][to_writer..];
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let reason = RefusedReason::Storage;
        assert!(matches!(Reply::read(answer), Ok(Reply::Refused { reason: r, .. }) if r == reason));
    }
    assert!(world.messages(READER, before).is_empty());
}

#[test]
fn news_of_other_relays_brings_blocks_and_takes_readers_away() {
    let mut world = World::new(ConnectionLimits::default());
    let (recipient, sender) = world.queue();
    world.ask(READER, &key(1), Command::Subscribe { recipient });
    let before = world.got[&READER].len();
    // As another relay would, past this mailbox.
    let store = &mut world.mailbox.store;
    store.push(Duration::ZERO, sender, &block(1)).unwrap();
    world.input(Input::Elsewhere(Elsewhere::Stored(recipient)));
    assert_eq!(world.messages(READER, before).len(), 1);
    let store = &mut world.mailbox.store;
    store.push(Duration::ZERO, sender, &block(2)).unwrap();
    world.input(Input::Elsewhere(Elsewhere::Anything));
    assert_eq!(world.messages(READER, before).len(), 2, "none twice");
    world.input(Input::Elsewhere(Elsewhere::Subscribed(recipient)));
    let last = world.got[&READER].last().unwrap();
    assert_eq!(Reply::read(last), Ok(Reply::Taken { recipient }));
    let send = block(3);
    let command = Command::Send {
        sender,
        block: &send,
    };
    world.ok(WRITER, &key(2), command);
    assert_eq!(world.messages(READER, before).len(), 2);
}

#[test]
fn no_block_overtakes_one_that_was_refused() {
    let mut world = World::new(ConnectionLimits::default());
    let (_, sender) = world.queue();
    let send = |first| Command::Send {
        sender,
        block: Box::leak(Box::new(block(first))),
    };
    world.ok(WRITER, &key(2), send(1));
    world.fails.store(true, Ordering::Relaxed);
    assert_eq!(
        world.refused(WRITER, &key(2), send(2)),
        RefusedReason::Storage
    );
    world.fails.store(false, Ordering::Relaxed);
    for wait_s in [0, 3, 3] {
        // What was on its way already, on a line that carries one block in three seconds.
        world.now += Duration::from_secs(wait_s);
        assert_eq!(
            world.refused(WRITER, &key(2), send(3)),
            RefusedReason::TooFast
        );
    }
    world.now += Duration::from_secs(5);
    world.ok(WRITER, &key(2), send(2));
    world.ok(WRITER, &key(2), send(3));
}

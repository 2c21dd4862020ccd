//! What a relay keeps: queues, their two keys, and the blocks nobody acknowledged yet.
//!
//! One trait, so that memory, a file and a database server answer alike; `conformance` is run on each of them.

use std::time::Duration;

use hullo_proto::service::relay::{
    BLOCK_BYTES, CODE_NUMBERS, CODE_TIME_MAX, CodeNumber, MessageId, RecipientId, SenderId,
};
use thiserror::Error;
use tokio::sync::mpsc;

pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

#[cfg(test)]
mod conformance;
mod memory;
pub mod postgres;
pub mod sqlite;

/// A block as the store keeps it: 16 KiB, shared rather than copied.
pub type Block = std::sync::Arc<[u8; BLOCK_BYTES]>;

/// How much a store takes; a client is refused beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Queues in all. More let more people in; an empty queue costs a few hundred bytes.
    pub queues_max: usize,
    /// Blocks waiting in one queue. 128 are 2 MiB: days of messages to somebody who is away.
    pub queue_messages_max: usize,
    /// Blocks waiting in all queues. Bounds memory or disk: 16,384 are 256 MiB.
    pub messages_max: usize,
    /// How long an unfetched block is kept.
    pub message_age_max: Duration,
    /// How long a queue nobody reads is kept; longer than an invitation is good for.
    pub queue_idle_max: Duration,
    /// How long a code number stands.
    pub code_time_max: Duration,
}

impl Default for StoreLimits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            queues_max: 100_000,
            queue_messages_max: 128,
            messages_max: 16_384,
            message_age_max: DAY * 21,
            queue_idle_max: DAY * 90,
            code_time_max: CODE_TIME_MAX,
        }
    }
}

/// A queue about to exist.
#[derive(Clone, Copy, Debug)]
pub struct NewQueue {
    /// Random, unique.
    pub recipient: RecipientId,
    /// Random, unique, not derivable from `recipient`.
    pub sender: SenderId,
    /// Ed25519 key of who reads.
    pub recipient_key: [u8; 32],
}

/// A block on its way to its reader.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its place in the queue.
    pub id: MessageId,
    /// When it came, on the store's clock.
    pub stored_at: Duration,
    /// What came.
    pub block: Block,
}

/// Something that another relay on the same store did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It stored a block.
    Stored(RecipientId),
    /// The queue's reader is connected there now.
    Subscribed(RecipientId),
    /// Nobody was listening for a while: any of it may have happened, to any queue.
    Anything,
}

/// Why the store did not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No queue has this id.
    #[error("there is no such queue")]
    NoQueue,
    /// The id exists already: two random 24-byte ids met, or the generator is broken.
    #[error("the queue id is taken")]
    IdTaken,
    /// Another key claimed the writing end first.
    #[error("the queue has another sender key")]
    AlreadySecured,
    /// [`StoreLimits::queue_messages_max`] or [`StoreLimits::messages_max`].
    #[error("the queue is full")]
    QueueFull,
    /// [`StoreLimits::queues_max`].
    #[error("no room for another queue")]
    TooManyQueues,
    /// No queue has this code number (any more).
    #[error("no queue has this code number")]
    NoCode,
    /// Every code number is in use.
    #[error("every code number is in use")]
    TooManyCodes,
    /// Disk or database: the operator's to mend.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// One of the numbers that are not `taken` (rising), each as likely as the others; none when all are.
pub(crate) fn free_number(taken: &[CodeNumber], draw: u64) -> Option<CodeNumber> {
    let free = u64::from(CODE_NUMBERS).saturating_sub(taken.len() as u64);
    // The remainder of 64 random bits by at most 10,000 is even enough.
    let mut number = u16::try_from(draw.checked_rem(free)?).ok()?;
    for taken in taken {
        if taken.0 > number {
            break;
        }
        number += 1;
    }
    Some(CodeNumber(number))
}

/// A relay's memory. `now` is a clock that only rises and survives restarts of a durable store (since 1970).
///
/// [`StoreError::Failed`] is for what no client can help: it may undo all commands since the last commit, and the
/// next [`Store::commit`] then fails. Every other error leaves the rest of the batch alone.
///
/// Nothing a client was told may be lost: [`Store::commit`] makes all that went before durable, and the mailbox
/// lets no answer out before it. That is what lets a store on disk put many clients' commands in one transaction.
pub trait Store: Send {
    /// Makes a queue.
    ///
    /// # Errors
    /// [`StoreError::IdTaken`], [`StoreError::TooManyQueues`], [`StoreError::Failed`].
    fn create(&mut self, now: Duration, queue: NewQueue) -> Result<(), StoreError>;

    /// The key that reads this queue.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn recipient_key(&mut self, recipient: RecipientId) -> Result<[u8; 32], StoreError>;

    /// The key that writes to this queue, if somebody claimed it.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn sender_key(&mut self, sender: SenderId) -> Result<Option<[u8; 32]>, StoreError>;

    /// Claims the writing end: the first key wins for good, the same key again is well.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::AlreadySecured`], [`StoreError::Failed`].
    fn secure(&mut self, sender: SenderId, key: [u8; 32]) -> Result<(), StoreError>;

    /// Appends a block and tells whose queue it is. Message ids rise.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::QueueFull`], [`StoreError::Failed`].
    fn push(
        &mut self,
        now: Duration,
        sender: SenderId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<RecipientId, StoreError>;

    /// At most `count` blocks after `after` (or from the oldest), oldest first.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn waiting(
        &mut self,
        recipient: RecipientId,
        after: Option<MessageId>,
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError>;

    /// Forgets the block `up_to` and all before it; the queue counts as read `now`.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn acknowledge(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        up_to: MessageId,
    ) -> Result<(), StoreError>;

    /// The queue's reader is connected here: it counts as read `now`, and other relays on the same store are told.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn subscribed(&mut self, now: Duration, recipient: RecipientId) -> Result<(), StoreError>;

    /// Gives the queue, whose writing end nobody claimed yet, a free code number in place of the one it may have. `draw`
    /// is random: `free_number` chooses with it.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::AlreadySecured`], [`StoreError::TooManyCodes`], [`StoreError::Failed`].
    fn publish(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        draw: u64,
    ) -> Result<CodeNumber, StoreError>;

    /// Claims the writing end that has this number, as [`Store::secure`] does. The number is gone afterwards, even if
    /// the queue turns out to be claimed already.
    ///
    /// # Errors
    /// [`StoreError::NoCode`], [`StoreError::AlreadySecured`], [`StoreError::Failed`].
    fn claim(
        &mut self,
        now: Duration,
        code: CodeNumber,
        key: [u8; 32],
    ) -> Result<SenderId, StoreError>;

    /// Forgets the queue and all in it, its code number too.
    ///
    /// # Errors
    /// [`StoreError::NoQueue`], [`StoreError::Failed`].
    fn delete(&mut self, recipient: RecipientId) -> Result<(), StoreError>;

    /// Forgets what is older than the limits and returns how many blocks and queues that were. Code numbers do not count.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn expire(&mut self, now: Duration) -> Result<usize, StoreError>;

    /// Makes everything since the last commit durable.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: then none of it happened, as far as clients may know.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// What other relays on the same store do, as it happens; taken once, and none where there can be no others.
    fn elsewhere(&mut self) -> Option<mpsc::Receiver<Elsewhere>> {
        None
    }
}

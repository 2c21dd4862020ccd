//! The store without a disk: everything ends with the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use hullo_proto::service::relay::{BLOCK_BYTES, CodeNumber, MessageId, RecipientId, SenderId};

use super::{Block, NewQueue, Store, StoreError, StoreLimits, StoredMessage, free_number};

/// Queues in memory.
#[derive(Default)]
pub struct MemoryStore {
    limits: StoreLimits,
    queues: HashMap<RecipientId, Queue>,
    by_sender: HashMap<SenderId, RecipientId>,
    codes: BTreeMap<CodeNumber, Code>,
    messages: usize,
}

struct Code {
    recipient: RecipientId,
    until: Duration,
}

struct Queue {
    sender: SenderId,
    recipient_key: [u8; 32],
    sender_key: Option<[u8; 32]>,
    next_id: u64,
    read_at: Duration,
    messages: VecDeque<StoredMessage>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    fn queue(&mut self, recipient: RecipientId) -> Result<&mut Queue, StoreError> {
        self.queues.get_mut(&recipient).ok_or(StoreError::NoQueue)
    }

    fn queue_of_sender(
        &mut self,
        sender: SenderId,
    ) -> Result<(RecipientId, &mut Queue), StoreError> {
        let recipient = *self.by_sender.get(&sender).ok_or(StoreError::NoQueue)?;
        Ok((recipient, self.queue(recipient)?))
    }
}

impl Store for MemoryStore {
    fn create(&mut self, now: Duration, queue: NewQueue) -> Result<(), StoreError> {
        if self.queues.contains_key(&queue.recipient) || self.by_sender.contains_key(&queue.sender)
        {
            return Err(StoreError::IdTaken);
        }
        if self.queues.len() >= self.limits.queues_max {
            return Err(StoreError::TooManyQueues);
        }
        self.by_sender.insert(queue.sender, queue.recipient);
        self.queues.insert(
            queue.recipient,
            Queue {
                sender: queue.sender,
                recipient_key: queue.recipient_key,
                sender_key: None,
                next_id: 1,
                read_at: now,
                messages: VecDeque::new(),
            },
        );
        Ok(())
    }

    fn recipient_key(&mut self, recipient: RecipientId) -> Result<[u8; 32], StoreError> {
        Ok(self.queue(recipient)?.recipient_key)
    }

    fn sender_key(&mut self, sender: SenderId) -> Result<Option<[u8; 32]>, StoreError> {
        Ok(self.queue_of_sender(sender)?.1.sender_key)
    }

    fn secure(&mut self, sender: SenderId, key: [u8; 32]) -> Result<(), StoreError> {
        let (_, queue) = self.queue_of_sender(sender)?;
        match queue.sender_key {
            Some(known) if known != key => Err(StoreError::AlreadySecured),
            Some(_) => Ok(()),
            None => {
                queue.sender_key = Some(key);
                Ok(())
            }
        }
    }

    fn push(
        &mut self,
        now: Duration,
        sender: SenderId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<RecipientId, StoreError> {
        let (limit, full) = (
            self.limits.queue_messages_max,
            self.messages >= self.limits.messages_max,
        );
        let (recipient, queue) = self.queue_of_sender(sender)?;
        if full || queue.messages.len() >= limit {
            return Err(StoreError::QueueFull);
        }
        let id = MessageId(queue.next_id);
        queue.next_id += 1;
        queue.messages.push_back(StoredMessage {
            id,
            stored_at: now,
            block: Block::new(*block),
        });
        self.messages += 1;
        Ok(recipient)
    }

    fn waiting(
        &mut self,
        recipient: RecipientId,
        after: Option<MessageId>,
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let queue = self.queue(recipient)?;
        let later = queue
            .messages
            .iter()
            .filter(|message| after.is_none_or(|after| message.id > after));
        Ok(later.take(count).cloned().collect())
    }

    fn acknowledge(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        up_to: MessageId,
    ) -> Result<(), StoreError> {
        let queue = self.queue(recipient)?;
        queue.read_at = now;
        let before = queue.messages.len();
        queue.messages.retain(|message| message.id > up_to);
        let forgotten = before - queue.messages.len();
        self.messages -= forgotten;
        Ok(())
    }

    fn subscribed(&mut self, now: Duration, recipient: RecipientId) -> Result<(), StoreError> {
        self.queue(recipient)?.read_at = now;
        Ok(())
    }

    fn publish(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        draw: u64,
    ) -> Result<CodeNumber, StoreError> {
        if self.queue(recipient)?.sender_key.is_some() {
            return Err(StoreError::AlreadySecured);
        }
        self.codes
            .retain(|_, code| code.until > now && code.recipient != recipient);
        let taken: Vec<CodeNumber> = self.codes.keys().copied().collect();
        let number = free_number(&taken, draw).ok_or(StoreError::TooManyCodes)?;
        let until = now + self.limits.code_time_max;
        self.codes.insert(number, Code { recipient, until });
        Ok(number)
    }

    fn claim(
        &mut self,
        now: Duration,
        code: CodeNumber,
        key: [u8; 32],
    ) -> Result<SenderId, StoreError> {
        let standing = self.codes.remove(&code);
        let standing = standing.filter(|code| code.until > now);
        let recipient = standing.ok_or(StoreError::NoCode)?.recipient;
        let sender = self.queue(recipient)?.sender;
        self.secure(sender, key)?;
        Ok(sender)
    }

    fn delete(&mut self, recipient: RecipientId) -> Result<(), StoreError> {
        let queue = self.queues.remove(&recipient).ok_or(StoreError::NoQueue)?;
        self.codes.retain(|_, code| code.recipient != recipient);
        self.by_sender.remove(&queue.sender);
        self.messages -= queue.messages.len();
        Ok(())
    }

    fn expire(&mut self, now: Duration) -> Result<usize, StoreError> {
        let limits = self.limits;
        self.codes.retain(|_, code| code.until > now);
        let mut forgotten = 0;
        for queue in self.queues.values_mut() {
            let before = queue.messages.len();
            queue
                .messages
                .retain(|message| now.saturating_sub(message.stored_at) <= limits.message_age_max);
            self.messages -= before - queue.messages.len();
            forgotten += before - queue.messages.len();
        }
        let idle: Vec<RecipientId> = (self.queues.iter())
            .filter(|(_, queue)| now.saturating_sub(queue.read_at) > limits.queue_idle_max)
            .map(|(recipient, _)| *recipient)
            .collect();
        forgotten += idle.len();
        for recipient in idle {
            self.delete(recipient)?;
        }
        Ok(forgotten)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

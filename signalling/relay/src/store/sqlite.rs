//! The store in one SQLite file: the default of a relay.
//!
//! All commands of a batch are one transaction, committed once ([`Store::commit`]). When one of them fails for the
//! disk's sake, the whole batch is undone and refused: nothing half done stays behind.

use std::path::Path;
use std::time::Duration;

use hullo_proto::service::relay::{BLOCK_BYTES, CodeNumber, MessageId, RecipientId, SenderId};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};

use super::{Block, NewQueue, Store, StoreError, StoreLimits, StoredMessage, free_number};

pub use open::{OpenError, Synchronous};

mod open;
#[cfg(test)]
mod tests;

/// Queues in a file.
pub struct SqliteStore {
    connection: Connection,
    limits: StoreLimits,
    /// Rows, so that no command has to count them.
    queues: usize,
    messages: usize,
    batch: Batch,
}

/// The transaction of the commands since the last commit.
enum Batch {
    None,
    /// Begun; holds the row counts to go back to.
    Open {
        queues: usize,
        messages: usize,
    },
    /// A command failed for the disk's sake: all of the batch is undone.
    Broken,
}

/// Message ids of one queue: the lower half of a message's place. A queue at its full rate lasts for years.
const ID_BITS: u32 = 32;

impl SqliteStore {
    /// Opens the file, or makes it with mode 0600, and holds it alone until dropped.
    ///
    /// # Errors
    /// See [`OpenError`]: the operator's to mend; an existing file is never overwritten.
    pub fn open(
        path: &Path,
        synchronous: Synchronous,
        limits: StoreLimits,
    ) -> Result<Self, OpenError> {
        let connection = open::open(path, synchronous)?;
        let count = |table: &str| -> Result<usize, OpenError> {
            let sql = format!("SELECT count(*) FROM {table}");
            let count = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
            count.map(rows).map_err(|error| OpenError::Other {
                path: path.to_owned(),
                reason: error.to_string(),
            })
        };
        let (queues, messages) = (count("queue")?, count("message")?);
        Ok(Self {
            connection,
            limits,
            queues,
            messages,
            batch: Batch::None,
        })
    }

    /// Runs one command's SQL in the batch's transaction; an error of the disk breaks the batch.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match self.batch {
            Batch::Open { .. } => {}
            Batch::Broken => {
                return Err(StoreError::Failed(
                    "an earlier command of the batch failed".to_owned(),
                ));
            }
            Batch::None => {
                if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
                    self.batch = Batch::Broken;
                    return Err(failed(&error));
                }
                self.batch = Batch::Open {
                    queues: self.queues,
                    messages: self.messages,
                };
            }
        }
        work(&self.connection).map_err(|error| {
            if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
                return StoreError::IdTaken;
            }
            self.undo();
            failed(&error)
        })
    }

    fn undo(&mut self) {
        if let Batch::Open { queues, messages } = self.batch {
            (self.queues, self.messages) = (queues, messages);
        }
        self.batch = Batch::Broken;
        // A full disk may have undone it already, and then there is nothing to undo.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn find<T>(
        &mut self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params, read)
                .optional()
        })
    }

    fn change(&mut self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.run(|connection| connection.prepare_cached(sql)?.execute(params))
    }

    /// The queue's row number.
    fn number(&mut self, recipient: RecipientId) -> Result<i64, StoreError> {
        let sql = "SELECT number FROM queue WHERE recipient = ?1";
        self.find(sql, [recipient.0], |row| row.get(0))?
            .ok_or(StoreError::NoQueue)
    }

    fn forget_queue(&mut self, number: i64) -> Result<usize, StoreError> {
        let messages = self.change(
            "DELETE FROM message WHERE place BETWEEN ?1 AND ?2",
            [place(number, 0), place(number, i64::from(u32::MAX))],
        )?;
        self.messages = self.messages.saturating_sub(messages);
        let gone = self.change("DELETE FROM queue WHERE number = ?1", [number])?;
        self.queues = self.queues.saturating_sub(gone);
        Ok(gone)
    }

    /// Remembers that the queue is read, roughly: a row is not written for every acknowledgement.
    fn mark_read(&mut self, now: Duration, number: i64) -> Result<(), StoreError> {
        let grain = self.limits.queue_idle_max / READ_GRAINS;
        self.change(
            "UPDATE queue SET read_at_ms = ?2 WHERE number = ?1 AND read_at_ms <= ?3",
            (number, ms(now), ms(now) - ms(grain)),
        )?;
        Ok(())
    }
}

/// "When was it read last" is kept to this part of the time after which an unread queue is forgotten (two hours).
const READ_GRAINS: u32 = 1000;

/// A count of rows as the limits count.
fn rows(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn place(number: i64, id: i64) -> i64 {
    (number << ID_BITS) | id
}

fn failed(error: &rusqlite::Error) -> StoreError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the relay's disk is full: make room",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the relay's database is damaged: stop the relay and put a copy back"
        }
        Some(ErrorCode::SystemIoFailure) => "the relay's disk cannot be read or written",
        _ => "the relay's database failed",
    };
    StoreError::Failed(format!("{advice} ({error})"))
}

impl Store for SqliteStore {
    fn create(&mut self, now: Duration, queue: NewQueue) -> Result<(), StoreError> {
        if self.queues >= self.limits.queues_max {
            return Err(StoreError::TooManyQueues);
        }
        self.change(
            "INSERT INTO queue (recipient, sender, recipient_key, read_at_ms) VALUES (?1, ?2, ?3, ?4)",
            (queue.recipient.0, queue.sender.0, queue.recipient_key, ms(now)),
        )?;
        self.queues += 1;
        Ok(())
    }

    fn recipient_key(&mut self, recipient: RecipientId) -> Result<[u8; 32], StoreError> {
        let sql = "SELECT recipient_key FROM queue WHERE recipient = ?1";
        self.find(sql, [recipient.0], |row| row.get(0))?
            .ok_or(StoreError::NoQueue)
    }

    fn sender_key(&mut self, sender: SenderId) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = "SELECT sender_key FROM queue WHERE sender = ?1";
        self.find(sql, [sender.0], |row| row.get(0))?
            .ok_or(StoreError::NoQueue)
    }

    fn secure(&mut self, sender: SenderId, key: [u8; 32]) -> Result<(), StoreError> {
        match self.sender_key(sender)? {
            Some(known) if known != key => Err(StoreError::AlreadySecured),
            Some(_) => Ok(()),
            None => {
                let sql = "UPDATE queue SET sender_key = ?2 WHERE sender = ?1";
                self.change(sql, (sender.0, key))?;
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
        let sql = "SELECT number, recipient, next_id, \
             (SELECT count(*) FROM message WHERE place BETWEEN number << 32 AND (number << 32) + 4294967295) \
             FROM queue WHERE sender = ?1";
        let found = self.find(sql, [sender.0], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                RecipientId(row.get(1)?),
                row.get::<_, i64>(2)?,
                rows(row.get(3)?),
            ))
        })?;
        let (number, recipient, id, waiting) = found.ok_or(StoreError::NoQueue)?;
        let full = waiting >= self.limits.queue_messages_max
            || self.messages >= self.limits.messages_max
            || id > i64::from(u32::MAX);
        if full {
            return Err(StoreError::QueueFull);
        }
        self.change(
            "INSERT INTO message (place, stored_at_ms, block) VALUES (?1, ?2, ?3)",
            (place(number, id), ms(now), &block[..]),
        )?;
        self.change(
            "UPDATE queue SET next_id = next_id + 1 WHERE number = ?1",
            [number],
        )?;
        self.messages += 1;
        Ok(recipient)
    }

    fn waiting(
        &mut self,
        recipient: RecipientId,
        after: Option<MessageId>,
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let number = self.number(recipient)?;
        let after = after.map_or(0, |after| after.0.min(u64::from(u32::MAX)));
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.run(|connection| {
            let sql = "SELECT place, stored_at_ms, block FROM message \
                 WHERE place > ?1 AND place <= ?2 ORDER BY place LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let from = place(number, i64::try_from(after).unwrap_or(i64::MAX));
            let rows = statement.query_map(
                (from, place(number, i64::from(u32::MAX)), count),
                stored_message,
            )?;
            rows.collect()
        })
    }

    fn acknowledge(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        up_to: MessageId,
    ) -> Result<(), StoreError> {
        let number = self.number(recipient)?;
        let up_to = i64::try_from(up_to.0.min(u64::from(u32::MAX))).unwrap_or(i64::MAX);
        let forgotten = self.change(
            "DELETE FROM message WHERE place BETWEEN ?1 AND ?2",
            [place(number, 0), place(number, up_to)],
        )?;
        self.messages = self.messages.saturating_sub(forgotten);
        self.mark_read(now, number)
    }

    fn subscribed(&mut self, now: Duration, recipient: RecipientId) -> Result<(), StoreError> {
        let number = self.number(recipient)?;
        self.mark_read(now, number)
    }

    fn publish(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        draw: u64,
    ) -> Result<CodeNumber, StoreError> {
        let sql = "SELECT number, sender_key IS NOT NULL FROM queue WHERE recipient = ?1";
        let found = self.find(sql, [recipient.0], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?))
        })?;
        let (queue, secured) = found.ok_or(StoreError::NoQueue)?;
        if secured {
            return Err(StoreError::AlreadySecured);
        }
        let sql = "DELETE FROM code WHERE until_ms <= ?1 OR queue = ?2";
        self.change(sql, (ms(now), queue))?;
        let taken: Vec<CodeNumber> = self.run(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT number FROM code ORDER BY number")?;
            let rows = statement.query_map([], |row| row.get(0).map(CodeNumber))?;
            rows.collect()
        })?;
        let code = free_number(&taken, draw).ok_or(StoreError::TooManyCodes)?;
        let until = ms(now + self.limits.code_time_max);
        let sql = "INSERT INTO code (number, queue, until_ms) VALUES (?1, ?2, ?3)";
        self.change(sql, (code.0, queue, until))?;
        Ok(code)
    }

    fn claim(
        &mut self,
        now: Duration,
        code: CodeNumber,
        key: [u8; 32],
    ) -> Result<SenderId, StoreError> {
        let sql = "SELECT sender, until_ms FROM code JOIN queue ON queue.number = code.queue WHERE code.number = ?1";
        let found = self.find(sql, [code.0], |row| {
            Ok((SenderId(row.get(0)?), row.get::<_, i64>(1)?))
        })?;
        self.change("DELETE FROM code WHERE number = ?1", [code.0])?;
        let standing = found.filter(|(_, until)| *until > ms(now));
        let (sender, _) = standing.ok_or(StoreError::NoCode)?;
        self.secure(sender, key)?;
        Ok(sender)
    }

    fn delete(&mut self, recipient: RecipientId) -> Result<(), StoreError> {
        let number = self.number(recipient)?;
        self.forget_queue(number)?;
        Ok(())
    }

    fn expire(&mut self, now: Duration) -> Result<usize, StoreError> {
        let before = |age: Duration| ms(now.saturating_sub(age));
        self.change("DELETE FROM code WHERE until_ms <= ?1", [ms(now)])?;
        let old = "DELETE FROM message WHERE stored_at_ms < ?1";
        let messages = self.change(old, [before(self.limits.message_age_max)])?;
        self.messages = self.messages.saturating_sub(messages);
        let idle_since = before(self.limits.queue_idle_max);
        let idle: Vec<i64> = self.run(|connection| {
            let sql = "SELECT number FROM queue WHERE read_at_ms < ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([idle_since], |row| row.get(0))?;
            rows.collect()
        })?;
        for number in &idle {
            self.forget_queue(*number)?;
        }
        Ok(messages + idle.len())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        match self.batch {
            Batch::None => Ok(()),
            Batch::Broken => {
                self.batch = Batch::None;
                Err(StoreError::Failed("the batch was undone".to_owned()))
            }
            Batch::Open { .. } => {
                let committed = self.connection.execute_batch("COMMIT");
                if let Err(error) = &committed {
                    self.undo();
                    self.batch = Batch::None;
                    return Err(failed(error));
                }
                self.batch = Batch::None;
                Ok(())
            }
        }
    }
}

fn stored_message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    let place: i64 = row.get(0)?;
    let stored_at_ms: i64 = row.get(1)?;
    let block = row.get_ref(2)?.as_blob()?;
    // `as`: the lower half, which is the id.
    let id = u64::from(place as u32);
    Ok(StoredMessage {
        id: MessageId(id),
        stored_at: Duration::from_millis(u64::try_from(stored_at_ms).unwrap_or_default()),
        block: Block::new(block.try_into().map_err(|_| {
            rusqlite::Error::InvalidColumnType(2, "block".to_owned(), rusqlite::types::Type::Blob)
        })?),
    })
}

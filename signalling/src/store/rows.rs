//! Queues, messages under way, and settings, row by row. Contacts are in [`super::contacts`].

use std::time::Duration;

use hullo_proto::service::relay::{BLOCK_BYTES, RecipientId, SenderId};
use rusqlite::{Connection, OptionalExtension, Row};
use vodozemac::olm::Account;
use zeroize::Zeroizing;

use super::{INBOX_MESSAGES_MAX, SEEN_BLOCKS_MAX, StoreError};
use crate::block::SealKey;
use crate::channel::ContactId;
use crate::hash::hash;
use crate::server_url::ServerUrl;

/// Statements on the database, inside or outside of a transaction.
pub(crate) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) pickle_key: &'a [u8; 32],
}

/// What a queue we read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueUse {
    /// An invitation nobody took yet; since 1970.
    Invitation { expires: Duration },
    /// This contact writes to us.
    Contact(ContactId),
    /// Holds the link of an invitation for whoever has the short one, until then (since 1970); never read here.
    Letter { expires: Duration },
    /// Only to be deleted at the relay.
    Closing,
}

/// A queue we read.
#[derive(Clone)]
pub(crate) struct InboundQueue {
    pub(crate) recipient: RecipientId,
    pub(crate) server: ServerUrl,
    /// Seed of the Ed25519 key that reads it.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) seal_key: SealKey,
    pub(crate) used_for: QueueUse,
}

/// A queue we write to.
#[derive(Clone)]
pub(crate) struct OutboundQueue {
    pub(crate) contact: ContactId,
    pub(crate) server: ServerUrl,
    pub(crate) sender: SenderId,
    /// Seed of the Ed25519 key that writes to it.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) seal_key: SealKey,
    /// Whether the relay knows the key.
    pub(crate) secured: bool,
}

/// A block no relay has confirmed.
pub(crate) struct OutboxBlock {
    pub(crate) id: i64,
    pub(crate) block: Box<[u8; BLOCK_BYTES]>,
}

/// A payload opened and not yet handed over.
pub(crate) struct InboxMessage {
    pub(crate) id: i64,
    pub(crate) contact: ContactId,
    /// Since 1970, by our clock less the relay's measure of the time in the queue.
    pub(crate) sent: Duration,
    pub(crate) payload: Vec<u8>,
}

const INBOUND: &str = "SELECT recipient, server, secret, seal_key, contact, expires, closing, letter FROM inbound_queue";
const OUTBOUND: &str =
    "SELECT contact, server, sender, secret, seal_key, secured FROM outbound_queue";

impl Rows<'_> {
    pub(crate) fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    pub(crate) fn set_setting(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
            [key, value],
        )?;
        Ok(())
    }

    pub(crate) fn save_account(&self, account: &Account) -> Result<(), StoreError> {
        let pickle = account.pickle().encrypt(self.pickle_key);
        self.connection
            .execute("UPDATE identity SET account = ?1", [pickle])?;
        Ok(())
    }

    pub(crate) fn add_inbound(&self, queue: &InboundQueue) -> Result<(), StoreError> {
        let (contact, expires, closing, letter) = match queue.used_for {
            QueueUse::Invitation { expires } => (None, Some(millis(expires)), false, false),
            QueueUse::Contact(contact) => (Some(row_id(contact)), None, false, false),
            QueueUse::Letter { expires } => (None, Some(millis(expires)), false, true),
            QueueUse::Closing => (None, None, true, false),
        };
        self.connection.execute(
            "INSERT INTO inbound_queue (recipient, server, secret, seal_key, contact, expires, closing, letter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                queue.recipient.0,
                queue.server.to_string(),
                *queue.secret,
                *queue.seal_key.as_bytes(),
                contact,
                expires,
                closing,
                letter,
            ),
        )?;
        Ok(())
    }

    pub(crate) fn inbound(
        &self,
        recipient: RecipientId,
    ) -> Result<Option<InboundQueue>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{INBOUND} WHERE recipient = ?1"))?;
        Ok(statement
            .query_row([recipient.0], inbound_queue)
            .optional()?)
    }

    pub(crate) fn all_inbound(&self) -> Result<Vec<InboundQueue>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{INBOUND} ORDER BY rowid"))?;
        Ok(statement
            .query_map([], inbound_queue)?
            .collect::<Result<_, _>>()?)
    }

    /// An invitation's queue becomes its contact's.
    pub(crate) fn give_inbound(
        &self,
        recipient: RecipientId,
        contact: ContactId,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE inbound_queue SET contact = ?2, expires = NULL WHERE recipient = ?1",
            (recipient.0, row_id(contact)),
        )?;
        Ok(())
    }

    /// From now on the queue only waits to be deleted at the relay.
    pub(crate) fn close_inbound(&self, recipient: RecipientId) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE inbound_queue SET contact = NULL, expires = NULL, closing = 1 WHERE recipient = ?1",
            [recipient.0],
        )?;
        Ok(())
    }

    /// The same for every queue this contact writes to.
    pub(crate) fn close_inbound_of(&self, contact: ContactId) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE inbound_queue SET contact = NULL, expires = NULL, closing = 1 WHERE contact = ?1",
            [row_id(contact)],
        )?;
        Ok(())
    }

    pub(crate) fn forget_inbound(&self, recipient: RecipientId) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM inbound_queue WHERE recipient = ?1",
            [recipient.0],
        )?;
        Ok(())
    }

    /// Replaces the contact's former one.
    pub(crate) fn set_outbound(&self, queue: &OutboundQueue) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO outbound_queue (contact, server, sender, secret, seal_key, secured)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                row_id(queue.contact),
                queue.server.to_string(),
                queue.sender.0,
                *queue.secret,
                *queue.seal_key.as_bytes(),
                queue.secured,
            ),
        )?;
        Ok(())
    }

    pub(crate) fn outbound(&self, contact: ContactId) -> Result<Option<OutboundQueue>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{OUTBOUND} WHERE contact = ?1"))?;
        Ok(statement
            .query_row([row_id(contact)], outbound_queue)
            .optional()?)
    }

    pub(crate) fn all_outbound(&self) -> Result<Vec<OutboundQueue>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{OUTBOUND} ORDER BY contact"))?;
        Ok(statement
            .query_map([], outbound_queue)?
            .collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_secured(&self, contact: ContactId) -> Result<(), StoreError> {
        let sql = "UPDATE outbound_queue SET secured = 1 WHERE contact = ?1";
        self.connection.execute(sql, [row_id(contact)])?;
        Ok(())
    }

    pub(crate) fn add_to_outbox(
        &self,
        contact: ContactId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO outbox (contact, block) VALUES (?1, ?2)";
        self.connection
            .execute(sql, (row_id(contact), &block[..]))?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(crate) fn outbox_length(&self, contact: ContactId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM outbox WHERE contact = ?1";
        let length: i64 = self
            .connection
            .query_row(sql, [row_id(contact)], |row| row.get(0))?;
        Ok(length.unsigned_abs())
    }

    /// The oldest block for this contact that no relay has confirmed, of those after `newest`.
    pub(crate) fn next_in_outbox(
        &self,
        contact: ContactId,
        newest: Option<i64>,
    ) -> Result<Option<OutboxBlock>, StoreError> {
        let mut statement = (self.connection).prepare_cached(
            "SELECT id, block FROM outbox WHERE contact = ?1 AND id > ?2 ORDER BY id LIMIT 1",
        )?;
        let next = statement
            .query_row([row_id(contact), newest.unwrap_or(i64::MIN)], |row| {
                Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((id, block)) = next else {
            return Ok(None);
        };
        let block = block.into_boxed_slice().try_into();
        let block = block.map_err(|_| StoreError::Corrupt {
            reason: "a block in the outbox has a wrong length".into(),
        })?;
        Ok(Some(OutboxBlock { id, block }))
    }

    pub(crate) fn forget_in_outbox(&self, id: i64) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM outbox WHERE id = ?1", [id])?;
        Ok(())
    }

    pub(crate) fn clear_outbox(&self, contact: ContactId) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM outbox WHERE contact = ?1", [row_id(contact)])?;
        Ok(())
    }

    pub(crate) fn add_to_inbox(
        &self,
        contact: ContactId,
        sent: Duration,
        payload: &[u8],
    ) -> Result<i64, StoreError> {
        let length: i64 = self
            .connection
            .query_row("SELECT count(*) FROM inbox", [], |row| row.get(0))?;
        if length >= INBOX_MESSAGES_MAX {
            return Err(StoreError::InboxFull);
        }
        let sql = "INSERT INTO inbox (contact, sent, payload) VALUES (?1, ?2, ?3)";
        self.connection
            .execute(sql, (row_id(contact), millis(sent), payload))?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(crate) fn inbox(&self) -> Result<Vec<InboxMessage>, StoreError> {
        let sql = "SELECT id, contact, sent, payload FROM inbox ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let messages = statement.query_map([], |row| {
            Ok(InboxMessage {
                id: row.get(0)?,
                contact: contact_id(row.get(1)?),
                sent: duration(row.get(2)?),
                payload: row.get(3)?,
            })
        })?;
        Ok(messages.collect::<Result<_, _>>()?)
    }

    pub(crate) fn forget_in_inbox(&self, id: i64) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM inbox WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Whether this block of this queue was handled before.
    pub(crate) fn was_seen(
        &self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM seen WHERE recipient = ?1 AND hash = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.exists((recipient.0, block_hash(block)))?)
    }

    pub(crate) fn remember_seen(
        &self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO seen (recipient, hash) VALUES (?1, ?2)";
        self.connection
            .execute(sql, (recipient.0, block_hash(block)))?;
        self.connection.execute(
            "DELETE FROM seen WHERE recipient = ?1 AND id NOT IN
             (SELECT id FROM seen WHERE recipient = ?1 ORDER BY id DESC LIMIT ?2)",
            (recipient.0, SEEN_BLOCKS_MAX),
        )?;
        Ok(())
    }
}

pub(super) fn block_hash(block: &[u8; BLOCK_BYTES]) -> [u8; 32] {
    hash(b"hullo-block", block)
}

fn inbound_queue(row: &Row<'_>) -> rusqlite::Result<InboundQueue> {
    let (contact, expires, closing): (Option<i64>, Option<i64>, bool) =
        (row.get(4)?, row.get(5)?, row.get(6)?);
    let is_letter: bool = row.get(7)?;
    let expires = expires.map(duration);
    let used_for = match (contact, expires) {
        _ if closing => QueueUse::Closing,
        (Some(contact), _) => QueueUse::Contact(contact_id(contact)),
        (None, Some(expires)) if is_letter => QueueUse::Letter { expires },
        (None, Some(expires)) => QueueUse::Invitation { expires },
        (None, None) => QueueUse::Closing,
    };
    Ok(InboundQueue {
        recipient: RecipientId(row.get(0)?),
        server: server(row, 1)?,
        secret: Zeroizing::new(row.get(2)?),
        seal_key: SealKey::new(row.get(3)?),
        used_for,
    })
}

fn outbound_queue(row: &Row<'_>) -> rusqlite::Result<OutboundQueue> {
    Ok(OutboundQueue {
        contact: contact_id(row.get(0)?),
        server: server(row, 1)?,
        sender: SenderId(row.get(2)?),
        secret: Zeroizing::new(row.get(3)?),
        seal_key: SealKey::new(row.get(4)?),
        secured: row.get(5)?,
    })
}

pub(super) fn server(row: &Row<'_>, column: usize) -> rusqlite::Result<ServerUrl> {
    row.get::<_, String>(column)?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// SQLite's integers are signed; its row numbers are positive, and so are times since 1970.
pub(super) fn row_id(contact: ContactId) -> i64 {
    i64::try_from(contact.0).unwrap_or(i64::MAX)
}

pub(super) fn contact_id(id: i64) -> ContactId {
    ContactId(id.unsigned_abs())
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

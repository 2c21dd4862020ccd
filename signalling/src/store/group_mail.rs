//! What is under way to and from members of groups: ratchets, inboxes, messages.

use hullo_proto::service::relay::{BLOCK_BYTES, RecipientId, SenderId};
use rusqlite::{OptionalExtension, Row};
use vodozemac::olm::{Session, SessionPickle};
use zeroize::Zeroizing;

use super::group::{integer, unsigned};
use super::rows::{Rows, block_hash, server};
use super::{SEEN_BLOCKS_MAX, StoreError};
use crate::block::SealKey;
use crate::group::record::Inbox;
use crate::group::{GroupNumber, MemberNumber};

/// Messages waiting for one member: calls and records are few, and only the newest matter. The oldest goes.
const OUTBOX_MESSAGES_MAX: i64 = 64;
/// Ratchets with one member: the two that begin at once, and two of a profile that was made anew.
const SESSIONS_MAX: i64 = 4;

/// A queue we read for a group.
#[derive(Clone)]
pub(crate) struct GroupInbox {
    pub(crate) recipient: RecipientId,
    pub(crate) group: GroupNumber,
    /// Seed of the Ed25519 key that reads it.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    /// What the other members are told.
    pub(crate) inbox: Inbox,
    /// Whether the relay knows the key that writes.
    pub(crate) secured: bool,
    /// The record's revision when it was made.
    pub(crate) since: u64,
    /// Of the statement that names it; 0: none yet.
    pub(crate) number: u64,
    pub(crate) closing: bool,
}

/// A ratchet with a member.
pub(crate) struct GroupSession {
    pub(crate) tag: [u8; 16],
    pub(crate) session: Session,
    /// 0: nothing was ever opened with it.
    pub(crate) heard: u64,
}

/// A message no relay has confirmed.
pub(crate) struct GroupOutboxMessage {
    pub(crate) id: i64,
    pub(crate) kind: u8,
    pub(crate) message: Vec<u8>,
}

const INBOX: &str =
    "SELECT recipient, member_group, server, secret, sender, sender_secret, seal_key, secured, since, number, closing
     FROM group_inbox";

impl Rows<'_> {
    pub(crate) fn add_group_inbox(&self, inbox: &GroupInbox) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO group_inbox
             (recipient, member_group, server, secret, sender, sender_secret, seal_key, secured, since, number, closing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                inbox.recipient.0,
                integer(inbox.group.0),
                inbox.inbox.server.to_string(),
                *inbox.secret,
                inbox.inbox.sender.0,
                *inbox.inbox.secret,
                *inbox.inbox.seal_key.as_bytes(),
                inbox.secured,
                integer(inbox.since),
                integer(inbox.number),
                inbox.closing,
            ),
        )?;
        Ok(())
    }

    /// Its three marks: secured, number, closing.
    pub(crate) fn mark_group_inbox(&self, inbox: &GroupInbox) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE group_inbox SET secured = ?2, number = ?3, closing = ?4 WHERE recipient = ?1",
            (
                inbox.recipient.0,
                inbox.secured,
                integer(inbox.number),
                inbox.closing,
            ),
        )?;
        Ok(())
    }

    pub(crate) fn group_inbox(
        &self,
        recipient: RecipientId,
    ) -> Result<Option<GroupInbox>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{INBOX} WHERE recipient = ?1"))?;
        Ok(statement.query_row([recipient.0], inbox).optional()?)
    }

    /// In the order made.
    pub(crate) fn group_inboxes(&self) -> Result<Vec<GroupInbox>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{INBOX} ORDER BY rowid"))?;
        Ok(statement.query_map([], inbox)?.collect::<Result<_, _>>()?)
    }

    pub(crate) fn close_group_inboxes(&self, group: GroupNumber) -> Result<(), StoreError> {
        let sql = "UPDATE group_inbox SET closing = 1 WHERE member_group = ?1";
        self.connection.execute(sql, [integer(group.0)])?;
        Ok(())
    }

    pub(crate) fn forget_group_inbox(&self, recipient: RecipientId) -> Result<(), StoreError> {
        let sql = "DELETE FROM group_inbox WHERE recipient = ?1";
        self.connection.execute(sql, [recipient.0])?;
        Ok(())
    }

    /// The ratchet to send with: the one last heard, or else our own beginning.
    pub(crate) fn newest_session(
        &self,
        member: MemberNumber,
    ) -> Result<Option<GroupSession>, StoreError> {
        let sql = "SELECT tag, session, heard FROM group_session WHERE member = ?1
             ORDER BY heard DESC, rowid DESC LIMIT 1";
        self.session_row(sql, [integer(member.0)])
    }

    /// Whose ratchet this is, and the ratchet.
    pub(crate) fn session(
        &self,
        group: GroupNumber,
        tag: [u8; 16],
    ) -> Result<Option<(MemberNumber, GroupSession)>, StoreError> {
        let sql = "SELECT id FROM group_member JOIN group_session ON member = id
             WHERE member_group = ?1 AND tag = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let member: Option<i64> = statement
            .query_row((integer(group.0), tag), |row| row.get(0))
            .optional()?;
        let Some(member) = member else {
            return Ok(None);
        };
        let sql = "SELECT tag, session, heard FROM group_session WHERE member = ?1 AND tag = ?2";
        let session = self.session_row(sql, (member, tag))?;
        Ok(session.map(|session| (MemberNumber(unsigned(member)), session)))
    }

    fn session_row(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Option<GroupSession>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement
            .query_row(params, |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?;
        let Some((tag, pickle, heard)) = found else {
            return Ok(None);
        };
        let pickle = SessionPickle::from_encrypted(&pickle, self.pickle_key).map_err(|error| {
            StoreError::Corrupt {
                reason: format!("a member's ratchet: {error}"),
            }
        })?;
        Ok(Some(GroupSession {
            tag,
            session: Session::from_pickle(pickle),
            heard: unsigned(heard),
        }))
    }

    /// With `heard` raised above that of all others when a message was opened with it.
    pub(crate) fn save_session(
        &self,
        member: MemberNumber,
        session: &GroupSession,
        was_heard: bool,
    ) -> Result<(), StoreError> {
        let member = integer(member.0);
        let heard: i64 = if was_heard {
            let sql = "SELECT coalesce(max(heard), 0) + 1 FROM group_session WHERE member = ?1";
            self.connection.query_row(sql, [member], |row| row.get(0))?
        } else {
            integer(session.heard)
        };
        self.connection.execute(
            "INSERT OR REPLACE INTO group_session (tag, member, session, heard) VALUES (?1, ?2, ?3, ?4)",
            (
                session.tag,
                member,
                session.session.pickle().encrypt(self.pickle_key),
                heard,
            ),
        )?;
        self.connection.execute(
            "DELETE FROM group_session WHERE member = ?1 AND tag NOT IN
             (SELECT tag FROM group_session WHERE member = ?1 ORDER BY heard DESC, rowid DESC LIMIT ?2)",
            (member, SESSIONS_MAX),
        )?;
        Ok(())
    }

    pub(crate) fn add_to_group_outbox(
        &self,
        member: MemberNumber,
        kind: u8,
        message: &[u8],
    ) -> Result<(), StoreError> {
        let member = integer(member.0);
        let sql = "INSERT INTO group_outbox (member, kind, message) VALUES (?1, ?2, ?3)";
        self.connection.execute(sql, (member, kind, message))?;
        self.connection.execute(
            "DELETE FROM group_outbox WHERE member = ?1 AND id NOT IN
             (SELECT id FROM group_outbox WHERE member = ?1 ORDER BY id DESC LIMIT ?2)",
            (member, OUTBOX_MESSAGES_MAX),
        )?;
        Ok(())
    }

    /// The oldest message for this member that no relay has confirmed.
    pub(crate) fn next_in_group_outbox(
        &self,
        member: MemberNumber,
    ) -> Result<Option<GroupOutboxMessage>, StoreError> {
        let sql =
            "SELECT id, kind, message FROM group_outbox WHERE member = ?1 ORDER BY id LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement
            .query_row([integer(member.0)], |row| {
                Ok(GroupOutboxMessage {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    message: row.get(2)?,
                })
            })
            .optional()?)
    }

    /// Those for whom something waits.
    pub(crate) fn waiting_members(&self) -> Result<Vec<MemberNumber>, StoreError> {
        let sql = "SELECT DISTINCT member FROM group_outbox ORDER BY member";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok(MemberNumber(unsigned(row.get(0)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn forget_in_group_outbox(&self, id: i64) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM group_outbox WHERE id = ?1", [id])?;
        Ok(())
    }

    pub(crate) fn clear_group_outbox(&self, member: MemberNumber) -> Result<(), StoreError> {
        let sql = "DELETE FROM group_outbox WHERE member = ?1";
        self.connection.execute(sql, [integer(member.0)])?;
        Ok(())
    }

    /// Whether this block of this inbox was handled before.
    pub(crate) fn was_seen_in_group(
        &self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM group_seen WHERE recipient = ?1 AND hash = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.exists((recipient.0, block_hash(block)))?)
    }

    pub(crate) fn remember_seen_in_group(
        &self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO group_seen (recipient, hash) VALUES (?1, ?2)";
        self.connection
            .execute(sql, (recipient.0, block_hash(block)))?;
        self.connection.execute(
            "DELETE FROM group_seen WHERE recipient = ?1 AND id NOT IN
             (SELECT id FROM group_seen WHERE recipient = ?1 ORDER BY id DESC LIMIT ?2)",
            (recipient.0, SEEN_BLOCKS_MAX),
        )?;
        Ok(())
    }
}

fn inbox(row: &Row<'_>) -> rusqlite::Result<GroupInbox> {
    Ok(GroupInbox {
        recipient: RecipientId(row.get(0)?),
        group: GroupNumber(unsigned(row.get(1)?)),
        secret: Zeroizing::new(row.get(3)?),
        inbox: Inbox {
            server: server(row, 2)?,
            sender: SenderId(row.get(4)?),
            secret: Zeroizing::new(row.get(5)?),
            seal_key: SealKey::new(row.get(6)?),
        },
        secured: row.get(7)?,
        since: unsigned(row.get(8)?),
        number: unsigned(row.get(9)?),
        closing: row.get(10)?,
    })
}

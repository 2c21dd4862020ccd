//! Names of our own, blocked contacts, words being compared, and what is kept until a contact has answered.

use hullo_proto::service::relay::RecipientId;
use rusqlite::OptionalExtension;
use rusqlite::types::Type;
use zeroize::Zeroizing;

use super::StoreError;
use super::rows::{Rows, row_id};
use crate::block::Content;
use crate::channel::{ContactId, ContactState};
use crate::compare::{Comparison, Stage};
use crate::identity::KeySet;

impl Rows<'_> {
    /// A contact known from a backup alone: without queues and ratchet, until one of the two uses a link of the other.
    pub(crate) fn add_lost_contact(
        &self,
        name: &str,
        key_set: &KeySet,
        verified: bool,
        blocked: bool,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO contact (name, short_id, key_set, verified, ready, session, renamed, blocked)
             VALUES (?1, ?2, ?3, ?4, 2, '', 1, ?5)",
            (
                self.unique_name(name)?,
                key_set.short_id(),
                key_set.to_bytes(),
                verified,
                blocked,
            ),
        )?;
        Ok(())
    }

    /// A contact out of touch whose link is used: as good as new, under its name.
    pub(crate) fn join_again(&self, id: ContactId) -> Result<ContactId, StoreError> {
        self.connection.execute(
            "UPDATE contact SET ready = 0, sent = 0, received = 0 WHERE id = ?1",
            [row_id(id)],
        )?;
        Ok(id)
    }

    /// The contact calls itself this. Its name here follows, unless it was chosen here. True: it changed.
    pub(crate) fn called(&self, id: ContactId, name: &str) -> Result<bool, StoreError> {
        let sql = "SELECT name FROM contact WHERE id = ?1 AND renamed = 0";
        let current: Option<String> = (self.connection)
            .query_row(sql, [row_id(id)], |row| row.get(0))
            .optional()?;
        // `bob-2` is what a second bob is called here: it stays.
        let is_numbered = |current: &str| {
            let number = current
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match current {
            Some(current) if current != name && !is_numbered(&current) => {
                let name = self.unique_name(name)?;
                self.connection.execute(
                    "UPDATE contact SET name = ?2 WHERE id = ?1",
                    (row_id(id), name),
                )?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What we call the contact from now on. False: another is called so.
    pub(crate) fn rename(&self, id: ContactId, name: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE OR IGNORE contact SET name = ?2, renamed = 1 WHERE id = ?1";
        Ok(self.connection.execute(sql, (row_id(id), name))? > 0)
    }

    /// Whether the contact came by its link and not by ours.
    pub(crate) fn set_joined(&self, id: ContactId, joined: bool) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET joined = ?2 WHERE id = ?1";
        self.connection.execute(sql, (row_id(id), joined))?;
        Ok(())
    }

    pub(crate) fn has_joined(&self, id: ContactId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM contact WHERE id = ?1 AND joined";
        Ok(self.connection.prepare_cached(sql)?.exists([row_id(id)])?)
    }

    /// Whether a queue was made before the one this contact writes to.
    pub(crate) fn is_older_than_that_of(
        &self,
        recipient: RecipientId,
        id: ContactId,
    ) -> Result<bool, StoreError> {
        // Row numbers of rows that exist together rise in the order of their making.
        let sql = "SELECT 1 FROM inbound_queue older, inbound_queue newer
                   WHERE older.recipient = ?1 AND newer.contact = ?2 AND older.rowid < newer.rowid";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.exists((recipient.0, row_id(id)))?)
    }

    pub(crate) fn set_blocked(&self, id: ContactId, blocked: bool) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET blocked = ?2 WHERE id = ?1";
        self.connection.execute(sql, (row_id(id), blocked))?;
        Ok(())
    }

    pub(crate) fn is_blocked(&self, id: ContactId) -> Result<bool, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM contact WHERE id = ?1 AND blocked")?;
        Ok(statement.exists([row_id(id)])?)
    }

    pub(crate) fn set_verified(&self, id: ContactId, verified: bool) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET verified = ?2 WHERE id = ?1";
        self.connection.execute(sql, (row_id(id), verified))?;
        Ok(())
    }

    pub(crate) fn key_set(&self, id: ContactId) -> Result<Option<KeySet>, StoreError> {
        let known = self.key_sets()?.into_iter().find(|(known, _)| *known == id);
        Ok(known.map(|(_, key_set)| key_set))
    }

    pub(crate) fn comparison(&self, id: ContactId) -> Result<Option<Comparison>, StoreError> {
        let sql = "SELECT run, stage, one, two FROM comparison WHERE contact = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([row_id(id)], |row| {
            let (one, two): ([u8; 32], Option<[u8; 32]>) = (row.get(2)?, row.get(3)?);
            let stage = match (row.get::<_, i64>(1)?, two) {
                (1, None) => Stage::Started(one),
                (2, Some(two)) => Stage::Answered(one, two),
                (3, Some(two)) => Stage::Shown([one, two]),
                _ => {
                    return Err(rusqlite::Error::InvalidColumnType(
                        1,
                        "stage".to_owned(),
                        Type::Integer,
                    ));
                }
            };
            Ok(Comparison {
                run: row.get(0)?,
                stage,
            })
        });
        Ok(found.optional()?)
    }

    pub(crate) fn set_comparison(
        &self,
        id: ContactId,
        comparison: &Comparison,
    ) -> Result<(), StoreError> {
        let (stage, one, two) = match comparison.stage {
            Stage::Started(one) => (1, one, None),
            Stage::Answered(one, two) => (2, one, Some(two)),
            Stage::Shown([one, two]) => (3, one, Some(two)),
        };
        self.connection.execute(
            "INSERT OR REPLACE INTO comparison (contact, run, stage, one, two) VALUES (?1, ?2, ?3, ?4, ?5)",
            (row_id(id), comparison.run, stage, one, two),
        )?;
        Ok(())
    }

    pub(crate) fn forget_comparison(&self, id: ContactId) -> Result<(), StoreError> {
        let sql = "DELETE FROM comparison WHERE contact = ?1";
        self.connection.execute(sql, [row_id(id)])?;
        Ok(())
    }

    pub(crate) fn add_unanswered(
        &self,
        id: ContactId,
        content: &Content,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO unanswered (contact, content) VALUES (?1, ?2)";
        self.connection
            .execute(sql, (row_id(id), &**content.write(0)))?;
        Ok(())
    }

    /// Everything said to a contact before it answered, oldest first; forgotten with that.
    pub(crate) fn take_unanswered(&self, id: ContactId) -> Result<Vec<Content>, StoreError> {
        let sql = "SELECT content FROM unanswered WHERE contact = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([row_id(id)], |row| row.get::<_, Vec<u8>>(0))?;
        let mut contents = Vec::new();
        for bytes in rows {
            let bytes = Zeroizing::new(bytes?);
            let (_, content) = Content::read(&bytes).map_err(|error| StoreError::Corrupt {
                reason: format!("a message that waits for an answer: {error}"),
            })?;
            contents.push(content);
        }
        self.forget_unanswered(id)?;
        Ok(contents)
    }

    pub(super) fn forget_unanswered(&self, id: ContactId) -> Result<(), StoreError> {
        let sql = "DELETE FROM unanswered WHERE contact = ?1";
        self.connection.execute(sql, [row_id(id)])?;
        Ok(())
    }

    /// Contacts one can write to.
    pub(crate) fn contacts_in_touch(&self) -> Result<Vec<ContactId>, StoreError> {
        let in_touch = |contact: &crate::channel::Contact| contact.state != ContactState::Lost;
        let contacts = self.contacts()?.into_iter().filter(in_touch);
        Ok(contacts.map(|contact| contact.id).collect())
    }
}

//! Contacts and their ratchets.

use rusqlite::{OptionalExtension, Row};
use vodozemac::olm::{Session, SessionPickle};

use super::StoreError;
use super::rows::{Rows, contact_id, row_id};
use crate::channel::{Contact, ContactId, ContactState};
use crate::identity::KeySet;
use crate::name;

/// A contact with what the ratchet needs.
pub(crate) struct ContactKeys {
    pub(crate) session: Session,
    /// Sequence number of the newest message sealed.
    pub(crate) sent: u64,
    /// And of the newest one opened.
    pub(crate) received: u64,
}

const CONTACT: &str = "SELECT id, name, short_id, verified, ready, blocked FROM contact";

impl Rows<'_> {
    /// A new contact, under a name nobody else here has.
    pub(crate) fn add_contact(
        &self,
        wanted_name: &str,
        key_set: &KeySet,
        session: &Session,
        state: ContactState,
    ) -> Result<ContactId, StoreError> {
        self.connection.execute(
            "INSERT INTO contact (name, short_id, key_set, ready, session) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                self.unique_name(wanted_name)?,
                key_set.short_id(),
                key_set.to_bytes(),
                state == ContactState::Ready,
                session.pickle().encrypt(self.pickle_key),
            ),
        )?;
        Ok(contact_id(self.connection.last_insert_rowid()))
    }

    pub(crate) fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{CONTACT} ORDER BY name"))?;
        Ok(statement
            .query_map([], contact)?
            .collect::<Result<_, _>>()?)
    }

    pub(crate) fn contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{CONTACT} WHERE id = ?1"))?;
        Ok(statement.query_row([row_id(id)], contact).optional()?)
    }

    /// Every contact's whole key set.
    pub(crate) fn key_sets(&self) -> Result<Vec<(ContactId, KeySet)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, key_set FROM contact")?;
        let rows = statement.query_map([], |row| {
            Ok((contact_id(row.get(0)?), row.get::<_, Vec<u8>>(1)?))
        })?;
        let mut key_sets = Vec::new();
        for row in rows {
            let (id, bytes) = row?;
            let key_set = KeySet::from_bytes(&bytes).map_err(|error| StoreError::Corrupt {
                reason: format!("a contact's keys: {error}"),
            })?;
            key_sets.push((id, key_set));
        }
        Ok(key_sets)
    }

    pub(crate) fn contact_keys(&self, id: ContactId) -> Result<Option<ContactKeys>, StoreError> {
        let sql = "SELECT session, sent, received FROM contact WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement
            .query_row([row_id(id)], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })
            .optional()?;
        let Some((pickle, sent, received)) = found else {
            return Ok(None);
        };
        let pickle = SessionPickle::from_encrypted(&pickle, self.pickle_key).map_err(|error| {
            StoreError::Corrupt {
                reason: format!("a contact's ratchet: {error}"),
            }
        })?;
        let session = Session::from_pickle(pickle);
        Ok(Some(ContactKeys {
            session,
            sent: sent.unsigned_abs(),
            received: received.unsigned_abs(),
        }))
    }

    pub(crate) fn save_contact_keys(
        &self,
        id: ContactId,
        keys: &ContactKeys,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE contact SET session = ?2, sent = ?3, received = ?4 WHERE id = ?1",
            (
                row_id(id),
                keys.session.pickle().encrypt(self.pickle_key),
                i64::try_from(keys.sent).unwrap_or(i64::MAX),
                i64::try_from(keys.received).unwrap_or(i64::MAX),
            ),
        )?;
        Ok(())
    }

    /// The other side answered.
    pub(crate) fn make_ready(&self, id: ContactId) -> Result<(), StoreError> {
        self.connection
            .execute("UPDATE contact SET ready = 1 WHERE id = ?1", [row_id(id)])?;
        self.forget_unanswered(id)
    }

    /// The contact, its ratchet and everything under way to and from it. Queues we read go on until the relay
    /// forgot them.
    pub(crate) fn remove_contact(&self, id: ContactId) -> Result<(), StoreError> {
        self.close_inbound_of(id)?;
        self.connection
            .execute("DELETE FROM contact WHERE id = ?1", [row_id(id)])?;
        Ok(())
    }

    pub(super) fn unique_name(&self, wanted: &str) -> Result<String, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM contact WHERE name = ?1")?;
        name::unique(wanted, |candidate| Ok(statement.exists([candidate])?))
    }
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        id: contact_id(row.get(0)?),
        name: row.get(1)?,
        short_id: row.get(2)?,
        verified: row.get(3)?,
        state: match row.get::<_, i64>(4)? {
            0 => ContactState::Pending,
            1 => ContactState::Ready,
            _ => ContactState::Lost,
        },
        blocked: row.get(5)?,
    })
}

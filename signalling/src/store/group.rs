//! Groups, members and running calls, row by row. What is under way to and from them is in [`super::group_mail`].

use std::time::Duration;

use rusqlite::{OptionalExtension, Row};
use zeroize::Zeroizing;

use super::StoreError;
use super::rows::{Rows, duration, millis, server};
use crate::group::record::{GroupKey, RecordError, Statement};
use crate::group::{GroupNumber, MemberNumber};
use crate::identity::KeySet;
use crate::name;
use crate::server_url::ServerUrl;

/// Calls of one group that may run at once as far as we know: the protocol wants one. The oldest goes.
const CALLS_MAX: i64 = 8;

/// Where we stand in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Joining,
    In,
    Left,
    Removed,
    Ended,
}

/// Where another stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberStanding {
    Invited,
    In,
    Gone,
}

pub(crate) struct GroupRow {
    pub(crate) number: GroupNumber,
    pub(crate) key: GroupKey,
    pub(crate) name: String,
    pub(crate) server: ServerUrl,
    pub(crate) revision: u64,
    pub(crate) removal: u64,
    pub(crate) record: Option<Zeroizing<Vec<u8>>>,
    pub(crate) standing: Standing,
    pub(crate) stated: u64,
    pub(crate) trouble: Option<String>,
}

pub(crate) struct MemberRow {
    pub(crate) number: MemberNumber,
    pub(crate) key_set: KeySet,
    pub(crate) statement: Option<Statement>,
    /// Of the newest statement ever seen, also when the member went since.
    pub(crate) stated: u64,
    pub(crate) standing: MemberStanding,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

pub(crate) struct CallRow {
    pub(crate) group: GroupNumber,
    pub(crate) from: MemberNumber,
    pub(crate) at: Duration,
    pub(crate) start: Zeroizing<Vec<u8>>,
}

const GROUP: &str = "SELECT id, creator, group_id, name, server, revision, removal, record, standing, stated, trouble
     FROM member_group";
const MEMBER: &str =
    "SELECT id, key_set, statement, number, standing, sent, received FROM group_member";

impl Rows<'_> {
    /// A group nobody here knew, under a name no other group here has.
    pub(crate) fn add_group(
        &self,
        key: &GroupKey,
        wanted_name: &str,
        server: &ServerUrl,
        revision: u64,
    ) -> Result<GroupNumber, StoreError> {
        let mut taken = self
            .connection
            .prepare_cached("SELECT 1 FROM member_group WHERE name = ?1 AND standing < 2")?;
        let name = name::unique(wanted_name, |candidate| {
            Ok::<_, StoreError>(taken.exists([candidate])?)
        })?;
        self.connection.execute(
            "INSERT INTO member_group (creator, group_id, name, server, revision, removal, standing)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
            (
                key.creator.to_bytes(),
                key.id,
                name,
                server.to_string(),
                integer(revision),
            ),
        )?;
        Ok(GroupNumber(unsigned(self.connection.last_insert_rowid())))
    }

    /// Every group, those that are over too.
    pub(crate) fn all_groups(&self) -> Result<Vec<GroupRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{GROUP} ORDER BY id"))?;
        Ok(statement.query_map([], group)?.collect::<Result<_, _>>()?)
    }

    pub(crate) fn group(&self, number: GroupNumber) -> Result<Option<GroupRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{GROUP} WHERE id = ?1"))?;
        Ok(statement.query_row([integer(number.0)], group).optional()?)
    }

    pub(crate) fn group_by_key(&self, key: &GroupKey) -> Result<Option<GroupRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{GROUP} WHERE creator = ?1 AND group_id = ?2"))?;
        Ok(statement
            .query_row((key.creator.to_bytes(), key.id), group)
            .optional()?)
    }

    /// Everything but number, key and name.
    pub(crate) fn save_group(&self, group: &GroupRow) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE member_group SET server = ?2, revision = ?3, removal = ?4, record = ?5, standing = ?6,
             stated = ?7, trouble = ?8 WHERE id = ?1",
            (
                integer(group.number.0),
                group.server.to_string(),
                integer(group.revision),
                integer(group.removal),
                group.record.as_ref().map(|record| &record[..]),
                group.standing as i64,
                integer(group.stated),
                &group.trouble,
            ),
        )?;
        Ok(())
    }

    /// Everybody ever met there, in the order met.
    pub(crate) fn members(&self, group: &GroupRow) -> Result<Vec<MemberRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{MEMBER} WHERE member_group = ?1 ORDER BY id"))?;
        let rows = statement.query_map([integer(group.number.0)], member)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The member of exactly these keys; made when it was never met.
    pub(crate) fn member_of(
        &self,
        group: &GroupRow,
        key_set: &KeySet,
    ) -> Result<MemberRow, StoreError> {
        self.connection.execute(
            "INSERT OR IGNORE INTO group_member (member_group, key_set, standing) VALUES (?1, ?2, 2)",
            (integer(group.number.0), key_set.to_bytes()),
        )?;
        let sql = format!("{MEMBER} WHERE member_group = ?1 AND key_set = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let key = (integer(group.number.0), key_set.to_bytes());
        Ok(statement.query_row(key, member)?)
    }

    /// One member and its group's number.
    pub(crate) fn member(
        &self,
        number: MemberNumber,
    ) -> Result<Option<(GroupNumber, MemberRow)>, StoreError> {
        let sql = "SELECT id, key_set, statement, number, standing, sent, received, member_group
             FROM group_member WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = statement.query_row([integer(number.0)], |row| {
            Ok((GroupNumber(unsigned(row.get(7)?)), member(row)?))
        });
        Ok(row.optional()?)
    }

    pub(crate) fn save_member(&self, member: &MemberRow) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE group_member SET statement = ?2, number = ?3, standing = ?4, sent = ?5, received = ?6
             WHERE id = ?1",
            (
                integer(member.number.0),
                member.statement.as_ref().map(Statement::as_bytes),
                integer(member.stated),
                member.standing as i64,
                integer(member.sent),
                integer(member.received),
            ),
        )?;
        Ok(())
    }

    /// False: it is known already.
    pub(crate) fn add_group_call(
        &self,
        group: GroupNumber,
        from: MemberNumber,
        at: Duration,
        start: &[u8],
    ) -> Result<bool, StoreError> {
        let added = self.connection.execute(
            "INSERT OR IGNORE INTO group_call (member_group, member, at, start) VALUES (?1, ?2, ?3, ?4)",
            (integer(group.0), integer(from.0), millis(at), start),
        )?;
        self.connection.execute(
            "DELETE FROM group_call WHERE member_group = ?1 AND id NOT IN
             (SELECT id FROM group_call WHERE member_group = ?1 ORDER BY id DESC LIMIT ?2)",
            (integer(group.0), CALLS_MAX),
        )?;
        Ok(added > 0)
    }

    /// The calls of one group, or of all.
    pub(crate) fn calls(&self, group: Option<GroupNumber>) -> Result<Vec<CallRow>, StoreError> {
        let sql = "SELECT member_group, member, at, start FROM group_call
             WHERE ?1 IS NULL OR member_group = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([group.map(|group| integer(group.0))], |row| {
            Ok(CallRow {
                group: GroupNumber(unsigned(row.get(0)?)),
                from: MemberNumber(unsigned(row.get(1)?)),
                at: duration(row.get(2)?),
                start: Zeroizing::new(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One call, or all of a group. How many there were.
    pub(crate) fn forget_calls(
        &self,
        group: GroupNumber,
        start: Option<&[u8]>,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM group_call WHERE member_group = ?1 AND (?2 IS NULL OR start = ?2)";
        Ok(self.connection.execute(sql, (integer(group.0), start))?)
    }
}

fn group(row: &Row<'_>) -> rusqlite::Result<GroupRow> {
    Ok(GroupRow {
        number: GroupNumber(unsigned(row.get(0)?)),
        key: GroupKey {
            creator: key_set(row, 1)?,
            id: row.get(2)?,
        },
        name: row.get(3)?,
        server: server(row, 4)?,
        revision: unsigned(row.get(5)?),
        removal: unsigned(row.get(6)?),
        record: row.get::<_, Option<Vec<u8>>>(7)?.map(Zeroizing::new),
        standing: match row.get(8)? {
            0 => Standing::Joining,
            1 => Standing::In,
            2 => Standing::Left,
            3 => Standing::Removed,
            _ => Standing::Ended,
        },
        stated: unsigned(row.get(9)?),
        trouble: row.get(10)?,
    })
}

fn member(row: &Row<'_>) -> rusqlite::Result<MemberRow> {
    let statement = row
        .get::<_, Option<Vec<u8>>>(2)?
        .map(|bytes| Statement::from_store(bytes).ok_or_else(|| wrong(2, RecordError::Layout)))
        .transpose()?;
    Ok(MemberRow {
        number: MemberNumber(unsigned(row.get(0)?)),
        key_set: key_set(row, 1)?,
        statement,
        stated: unsigned(row.get(3)?),
        standing: match row.get(4)? {
            0 => MemberStanding::Invited,
            1 => MemberStanding::In,
            _ => MemberStanding::Gone,
        },
        sent: unsigned(row.get(5)?),
        received: unsigned(row.get(6)?),
    })
}

fn key_set(row: &Row<'_>, column: usize) -> rusqlite::Result<KeySet> {
    Ok(KeySet::from_store(row.get(column)?))
}

/// What this program never wrote.
fn wrong(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
}

/// SQLite's integers are signed; numbers, revisions and sequences are positive and never get near the end.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    number.unsigned_abs()
}

//! Entries of conversations, row by row. What they mean is in [`crate::history`].

use std::collections::BTreeMap;
use std::time::Duration;

use hullo_proto::call::{CallId, Media};
use rusqlite::{OptionalExtension, Row};

use super::StoreError;
use super::rows::{Rows, contact_id, duration, millis, row_id};
use crate::channel::ContactId;
use crate::history::{CallOutcome, Direction, EntryId, EntryKind, HistoryEntry, TextState, Unseen};

/// Entries kept of one conversation: years of talk. The oldest texts go first, then the oldest calls. A contact that
/// means harm can fill 80 MB with them, and no more.
pub(crate) const ENTRIES_MAX: u32 = 5_000;
/// Entries read at once, however many were asked for: a few screens.
pub(crate) const PAGE_ENTRIES_MAX: usize = 500;

const ENTRY: &str = "SELECT id, contact, at, outgoing, seen, text, outbox, call, video, outcome, since, heard, duration, words
     FROM history";
const OPEN: &str = "outcome IN ('ringing', 'accepted', 'in_call')";

impl Rows<'_> {
    /// A new text; `None` when one with this id of this sender is there already.
    pub(crate) fn add_text(
        &self,
        contact: ContactId,
        at: Duration,
        direction: Direction,
        text: &str,
        message: Option<&str>,
        outbox: Option<i64>,
    ) -> Result<Option<HistoryEntry>, StoreError> {
        let is_outgoing = direction == Direction::Outgoing;
        let added = self.connection.execute(
            "INSERT INTO history (contact, at, outgoing, seen, text, message, outbox) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
            (row_id(contact), millis(at), is_outgoing, text, message, outbox),
        )?;
        self.added(contact, added)
    }

    /// A new call; `None` when this contact and we had one of this id already.
    pub(crate) fn add_call(
        &self,
        contact: ContactId,
        at: Duration,
        direction: Direction,
        call_id: CallId,
        media: Media,
        outcome: &CallOutcome,
    ) -> Result<Option<HistoryEntry>, StoreError> {
        let added = self.connection.execute(
            "INSERT INTO history (contact, at, outgoing, seen, call, video, outcome, heard)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?2) ON CONFLICT DO NOTHING",
            (
                row_id(contact),
                millis(at),
                direction == Direction::Outgoing,
                !outcome.is_missed(direction),
                call_id.0,
                media == Media::Video,
                outcome.as_str(),
            ),
        )?;
        self.added(contact, added)
    }

    fn added(&self, contact: ContactId, rows: usize) -> Result<Option<HistoryEntry>, StoreError> {
        if rows == 0 {
            return Ok(None);
        }
        let id = self.connection.last_insert_rowid();
        self.make_room(contact)?;
        self.entry(EntryId(id.unsigned_abs()))
    }

    /// Removes the oldest entry while there are too many; one is added at a time.
    fn make_room(&self, contact: ContactId) -> Result<(), StoreError> {
        let sql = "SELECT count(*) FROM history WHERE contact = ?1";
        let count: u32 = self
            .connection
            .prepare_cached(sql)?
            .query_row([row_id(contact)], |row| row.get(0))?;
        if count > ENTRIES_MAX {
            self.connection.execute(
                &format!(
                    "DELETE FROM history WHERE id = (SELECT id FROM history
                     WHERE contact = ?1 AND outbox IS NULL AND (outcome IS NULL OR NOT {OPEN})
                     ORDER BY (text IS NULL), id LIMIT 1)"
                ),
                [row_id(contact)],
            )?;
        }
        Ok(())
    }

    pub(crate) fn entry(&self, id: EntryId) -> Result<Option<HistoryEntry>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{ENTRY} WHERE id = ?1"))?;
        Ok(statement.query_row([entry_row(id)], entry).optional()?)
    }

    pub(crate) fn call_entry(
        &self,
        contact: ContactId,
        call_id: CallId,
    ) -> Result<Option<HistoryEntry>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{ENTRY} WHERE contact = ?1 AND call = ?2"))?;
        Ok(statement
            .query_row((row_id(contact), call_id.0), entry)
            .optional()?)
    }

    /// All calls that have no outcome yet, the oldest first.
    pub(crate) fn open_calls(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{ENTRY} WHERE {OPEN} ORDER BY id"))?;
        Ok(statement.query_map([], entry)?.collect::<Result<_, _>>()?)
    }

    /// Calls the other way that nobody took and that still rang after `since`.
    pub(crate) fn crossed_calls(
        &self,
        contact: ContactId,
        direction: Direction,
        since: Duration,
    ) -> Result<Vec<EntryId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM history WHERE contact = ?1 AND outgoing <> ?2 AND call IS NOT NULL AND since IS NULL
             AND (outcome = 'ringing' OR (heard > ?3
                  AND outcome IN ('missed', 'declined', 'busy', 'unanswered', 'cancelled')))",
        )?;
        let outgoing = direction == Direction::Outgoing;
        let ids = statement.query_map((row_id(contact), outgoing, millis(since)), |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(ids
            .map(|id| id.map(|id| EntryId(id.unsigned_abs())))
            .collect::<Result<_, _>>()?)
    }

    /// The call is as `outcome` says since `clock`.
    pub(crate) fn set_outcome(
        &self,
        before: &HistoryEntry,
        outcome: &CallOutcome,
        clock: Duration,
    ) -> Result<Option<HistoryEntry>, StoreError> {
        let (since, duration, words) = match outcome {
            CallOutcome::InCall { since, .. } => (Some(millis(*since)), None, None),
            CallOutcome::Ended { duration, .. } => (None, Some(millis(*duration)), None),
            CallOutcome::Failed { words } => (None, None, Some(words.as_str())),
            _ => (None, None, None),
        };
        self.connection.execute(
            "UPDATE history SET outcome = ?2, heard = ?3, since = coalesce(?4, since), duration = ?5, words = ?6,
             seen = seen AND ?7 WHERE id = ?1",
            (
                entry_row(before.id),
                outcome.as_str(),
                millis(clock),
                since,
                duration,
                words,
                !outcome.is_missed(before.direction),
            ),
        )?;
        self.entry(before.id)
    }

    pub(crate) fn remove_entry(&self, id: EntryId) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM history WHERE id = ?1", [entry_row(id)])?;
        Ok(())
    }

    /// The relay has the text that this block carried.
    pub(crate) fn text_sent(&self, outbox: i64) -> Result<Option<HistoryEntry>, StoreError> {
        let sql = "UPDATE history SET outbox = NULL WHERE outbox = ?1 RETURNING id";
        let id: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([outbox], |row| row.get(0))
            .optional()?;
        match id {
            Some(id) => self.entry(EntryId(id.unsigned_abs())),
            None => Ok(None),
        }
    }

    /// Our texts for this contact that no relay has, oldest first, with their message ids.
    pub(crate) fn waiting_texts(
        &self,
        contact: ContactId,
    ) -> Result<Vec<(EntryId, String, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, message, text FROM history WHERE contact = ?1 AND outbox IS NOT NULL ORDER BY id",
        )?;
        let texts = statement.query_map([row_id(contact)], |row| {
            let id: i64 = row.get(0)?;
            Ok((EntryId(id.unsigned_abs()), row.get(1)?, row.get(2)?))
        })?;
        Ok(texts.collect::<Result<_, _>>()?)
    }

    /// The text travels in another block now.
    pub(crate) fn set_text_block(&self, id: EntryId, outbox: i64) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE history SET outbox = ?2 WHERE id = ?1",
            (entry_row(id), outbox),
        )?;
        Ok(())
    }

    /// The newest entries before `before`, at most `limit`, the oldest of them first.
    pub(crate) fn history(
        &self,
        contact: Option<ContactId>,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let before = before.map_or(i64::MAX, entry_row);
        let limit = i64::try_from(limit.min(PAGE_ENTRIES_MAX)).unwrap_or(i64::MAX);
        let of_contact = contact.map_or("", |_| "contact = ?3 AND ");
        let sql = format!("{ENTRY} WHERE {of_contact}id < ?1 ORDER BY id DESC LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = match contact {
            Some(contact) => statement.query_map((before, limit, row_id(contact)), entry)?,
            None => statement.query_map((before, limit), entry)?,
        };
        let mut entries: Vec<_> = rows.collect::<Result<_, _>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// What nobody has seen, by contact; contacts with nothing are left out.
    pub(crate) fn unseen(&self) -> Result<BTreeMap<ContactId, Unseen>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT contact, count(text), count(call) FROM history WHERE seen = 0 GROUP BY contact",
        )?;
        let rows = statement.query_map([], |row| {
            let unseen = Unseen {
                texts: row.get(1)?,
                calls: row.get(2)?,
            };
            Ok((contact_id(row.get(0)?), unseen))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Everything of this contact was seen; whether there was something.
    pub(crate) fn mark_seen(&self, contact: ContactId) -> Result<bool, StoreError> {
        let sql = "UPDATE history SET seen = 1 WHERE contact = ?1 AND seen = 0";
        Ok(self.connection.execute(sql, [row_id(contact)])? > 0)
    }
}

fn entry_row(id: EntryId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let direction = if row.get(3)? {
        Direction::Outgoing
    } else {
        Direction::Incoming
    };
    let kind = match row.get::<_, Option<String>>(5)? {
        Some(text) => EntryKind::Text {
            text,
            state: match (direction, row.get::<_, Option<i64>>(6)?) {
                (Direction::Incoming, _) => TextState::Received,
                (Direction::Outgoing, Some(_)) => TextState::Waiting,
                (Direction::Outgoing, None) => TextState::Sent,
            },
        },
        None => EntryKind::Call {
            call_id: CallId(row.get(7)?),
            media: if row.get(8)? {
                Media::Video
            } else {
                Media::Audio
            },
            outcome: outcome(row)?,
        },
    };
    Ok(HistoryEntry {
        id: EntryId(row.get::<_, i64>(0)?.unsigned_abs()),
        contact: contact_id(row.get(1)?),
        at: duration(row.get(2)?),
        direction,
        kind,
        is_seen: row.get(4)?,
    })
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<CallOutcome> {
    let time = |column: usize| -> rusqlite::Result<Duration> {
        Ok(duration(row.get::<_, Option<i64>>(column)?.unwrap_or(0)))
    };
    let word: String = row.get(9)?;
    Ok(match word.as_str() {
        "ringing" => CallOutcome::Ringing,
        "accepted" => CallOutcome::Accepted,
        "in_call" => CallOutcome::InCall {
            since: time(10)?,
            heard: time(11)?,
        },
        "missed" => CallOutcome::Missed,
        "declined" => CallOutcome::Declined,
        "busy" => CallOutcome::Busy,
        "unanswered" => CallOutcome::Unanswered,
        "cancelled" => CallOutcome::Cancelled,
        "answered_elsewhere" => CallOutcome::AnsweredElsewhere,
        "ended" | "cut_off" => CallOutcome::Ended {
            duration: time(12)?,
            cut_off: word == "cut_off",
        },
        "failed" => CallOutcome::Failed {
            words: row.get::<_, Option<String>>(13)?.unwrap_or_default(),
        },
        // No version of this program wrote it.
        _ => return Err(rusqlite::Error::IntegralValueOutOfRange(9, 0)),
    })
}

#[cfg(test)]
mod tests;

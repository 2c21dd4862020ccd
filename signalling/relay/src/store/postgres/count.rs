//! How many rows a table has, roughly: counted now and then, since other relays change it too.

use std::time::Duration;

/// How long a count is trusted: other relays add rows meanwhile, so a limit may be passed by what they do in it.
const TRUSTED: Duration = Duration::from_secs(60);
/// How soon a table that seems full is counted again: other relays may have made room.
const FULL_TRUSTED: Duration = Duration::from_secs(1);

pub(super) struct RowCount {
    sql: &'static str,
    rows: i64,
    counted_at: Option<Duration>,
}

impl RowCount {
    pub(super) fn new(sql: &'static str) -> Self {
        Self {
            sql,
            rows: 0,
            counted_at: None,
        }
    }

    /// The query that counts, when it is time to.
    pub(super) fn stale(&self, now: Duration, rows_max: i64) -> Option<&'static str> {
        let trusted = if self.rows < rows_max {
            TRUSTED
        } else {
            FULL_TRUSTED
        };
        let fresh = self
            .counted_at
            .is_some_and(|at| now.saturating_sub(at) < trusted);
        (!fresh).then_some(self.sql)
    }

    pub(super) fn set(&mut self, now: Duration, rows: i64) {
        self.rows = rows;
        self.counted_at = Some(now);
    }

    pub(super) fn add(&mut self, rows: i64) {
        self.rows = self.rows.saturating_add(rows);
    }

    pub(super) fn forget(&mut self) {
        self.counted_at = None;
    }

    pub(super) fn rows(&self) -> i64 {
        self.rows
    }
}

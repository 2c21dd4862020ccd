//! Answers on their way when the terminal is given back: a shell would take them for what its user types.
//!
//! Every status report and the last of the first questions is counted as it is written, and its answer as it is read.
//! Whoever gives the terminal back waits for the difference, while the input thread goes on reading. A terminal that
//! answers nothing costs nothing: old questions are not waited for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hullo_picture::QUERY;

use super::Reply;

/// How long after the last question its answer is waited for: a bad line's round trip.
const ANSWER_TIME: Duration = Duration::from_millis(700);
/// What ends the first questions (DA1).
const LAST_QUESTION: &[u8] = b"\x1b[c";

/// Questions without an answer.
#[derive(Debug, Default)]
struct Pending {
    count: usize,
    last: Option<Instant>,
}

impl Pending {
    /// `bytes` were written: whole sequences.
    fn written(&mut self, now: Instant, bytes: &[u8]) {
        let count = |question: &[u8]| {
            let places = bytes.windows(question.len());
            places.filter(|place| *place == question).count()
        };
        let asked = count(QUERY) + count(LAST_QUESTION);
        if asked == 0 {
            return;
        }
        if self.left(now).is_none() {
            // Those before were not answered, and will not be.
            self.count = 0;
        }
        self.count += asked;
        self.last = Some(now);
    }

    fn read(&mut self, reply: &Reply) {
        if matches!(reply, Reply::Status | Reply::Attributes(_)) {
            self.count = self.count.saturating_sub(1);
        }
    }

    /// How long an answer may still come; `None`: there is nothing to wait for.
    fn left(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.last?);
        let left = ANSWER_TIME.checked_sub(age)?;
        (self.count > 0 && !left.is_zero()).then_some(left)
    }
}

static PENDING: Mutex<Pending> = Mutex::new(Pending {
    count: 0,
    last: None,
});
static ANSWERED: Condvar = Condvar::new();

fn with<T>(work: impl FnOnce(&mut Pending) -> T) -> T {
    work(&mut PENDING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// `bytes` were written to the terminal.
pub(super) fn written(now: Instant, bytes: &[u8]) {
    with(|pending| pending.written(now, bytes));
}

/// The terminal answered.
pub(super) fn read(reply: &Reply) {
    with(|pending| pending.read(reply));
    ANSWERED.notify_all();
}

/// How long an answer may still come; `None`: there is nothing to wait for.
pub(super) fn left(now: Instant) -> Option<Duration> {
    with(|pending| pending.left(now))
}

/// Waits until all is answered, or will not be. The input thread must be reading.
pub(super) fn wait(clock: impl Fn() -> Instant) {
    let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(left) = pending.left(clock()) {
        let waited = ANSWERED.wait_timeout(pending, left);
        pending = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    #[test]
    fn what_is_asked_is_waited_for_until_it_is_answered() {
        let now = Instant::now();
        let mut pending = Pending::default();
        assert_eq!(pending.left(now), None);
        pending.written(now, b"\x1b[48;2;1;2;3m\x1b[c\x1b[1;1Hpicture\x1b[5n");
        let later = now + ROUND_TRIP;
        assert_eq!(pending.left(later), Some(ANSWER_TIME - ROUND_TRIP));
        pending.read(&Reply::Other);
        pending.read(&Reply::Attributes(vec![62]));
        assert!(pending.left(later).is_some());
        pending.read(&Reply::Status);
        assert_eq!(pending.left(later), None);
        // One that nobody asked for owes nothing.
        pending.read(&Reply::Status);
        pending.written(later, b"\x1b[5n");
        assert_eq!(pending.left(later), Some(ANSWER_TIME));
    }

    #[test]
    fn a_terminal_that_does_not_answer_is_not_waited_for() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.written(now, b"\x1b[5n\x1b[5n");
        assert_eq!(pending.left(now + ANSWER_TIME), None);
        // It answers after all, but only the newest question.
        let later = now + 2 * ANSWER_TIME;
        pending.written(later, b"\x1b[5n");
        pending.read(&Reply::Status);
        assert_eq!(pending.left(later), None);
    }
}

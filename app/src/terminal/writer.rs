//! The thread that writes to the terminal: whoever draws never waits for it.
//!
//! What goes next is decided by [`Outbox`]; this is the thread around it. A terminal that takes nothing (a stopped one, a
//! lost line) stops the writing, and nothing else: who draws sees that there is no room and leaves drawing out.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hullo_picture::{Outbox, Place};

use super::late;

/// Between two tries for a lock that a panicking thread may hold for good.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// The writer whose terminal is given back when the program ends in any way.
static CURRENT: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

struct State {
    outbox: Outbox,
    /// A piece is on its way.
    is_writing: bool,
    /// The terminal is gone.
    has_failed: bool,
    /// Somebody found no room, and is to be told when there is.
    is_awaited: bool,
    /// Whoever drew is gone.
    is_over: bool,
    /// The thread is at its end: nothing that is put in will be written.
    has_ended: bool,
    /// The terminal belongs to somebody else for a while: what is put in is forgotten.
    is_paused: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Something was put in, or it is over.
    news: Condvar,
    /// A piece was written, or cannot be.
    written: Condvar,
}

/// What is put into the terminal; see the module.
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread. `wake` is called when there is room again for somebody who found none, and when the terminal
    /// is gone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        out: impl Write + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outbox: Outbox::new(),
                is_writing: false,
                has_failed: false,
                is_awaited: false,
                is_over: false,
                has_ended: false,
                is_paused: false,
            }),
            news: Condvar::new(),
            written: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_all(&theirs, out, wake))?;
        Ok(Self { shared })
    }

    /// What gives the terminal back (`interrupt_current`) goes through this writer from now on.
    pub fn make_current(&self) {
        *lock(&CURRENT) = Arc::downgrade(&self.shared);
    }

    /// Whether the interface may be drawn: nothing of it waits. If not, `wake` is called once it does not.
    pub fn takes_text(&self) -> bool {
        let mut state = lock(&self.shared.state);
        let is_free = state.outbox.takes_text();
        state.is_awaited |= !is_free;
        is_free
    }

    /// Whether a frame may be put in. If not, `wake` is called once it may.
    pub fn takes_picture(&self) -> bool {
        let mut state = lock(&self.shared.state);
        let is_free = state.outbox.takes_picture();
        state.is_awaited |= !is_free;
        is_free
    }

    /// Whether all that was put in is written.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.shared.state);
        state.outbox.is_empty() && !state.is_writing
    }

    /// Whether the terminal is gone.
    pub fn has_failed(&self) -> bool {
        lock(&self.shared.state).has_failed
    }

    /// Puts in text and sequences, whole ones.
    pub fn put_text(&self, bytes: &[u8], place: Place) {
        let mut state = lock(&self.shared.state);
        if bytes.is_empty() || state.is_paused {
            return;
        }
        let is_in = state.outbox.put_text(bytes, place);
        drop(state);
        if !is_in {
            tracing::warn!("the terminal takes nothing: something is left out");
        }
        self.shared.news.notify_one();
    }

    /// Puts in a frame, where [`Self::takes_picture`] said so.
    pub fn put_picture(&self, bytes: Vec<u8>, cuts: &[usize]) {
        let mut state = lock(&self.shared.state);
        if state.is_paused {
            return;
        }
        state.outbox.put_picture(bytes, cuts);
        drop(state);
        self.shared.news.notify_one();
    }
}

impl Drop for Writer {
    /// What waits is written still, as far as the terminal takes it.
    fn drop(&mut self) {
        lock(&self.shared.state).is_over = true;
        self.shared.news.notify_one();
    }
}

/// Forgets what waits in the current writer, ends what is begun, and writes `last`. False: the terminal did not take it
/// within `patience`; nothing more should be written then, or the program would hang. `None`: there is no writer, and
/// nothing was done.
///
/// With `pauses` nothing else is written until [`resume_current`].
pub(super) fn interrupt_current(last: &[u8], patience: Duration, pauses: bool) -> Option<bool> {
    let until = Instant::now() + patience;
    // A thread that panicked may hold these, and this may be that thread.
    let current = try_lock(&CURRENT, until)?.upgrade()?;
    let Some(mut state) = try_lock(&current.state, until) else {
        return Some(false);
    };
    if state.has_failed {
        return Some(false);
    }
    if state.has_ended {
        return None;
    }
    state.is_paused = pauses;
    state.outbox.replace_all(last);
    current.news.notify_one();
    while !state.outbox.is_empty() || state.is_writing {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || state.has_failed {
            return Some(false);
        }
        let waited = current.written.wait_timeout(state, left);
        state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
    }
    Some(true)
}

/// After a pause: `first` is written, and then what is put in.
pub(super) fn resume_current(first: &[u8]) {
    if let Some(current) = lock(&CURRENT).upgrade() {
        let mut state = lock(&current.state);
        state.is_paused = false;
        // Nothing waits: it has room.
        let _ = state.outbox.put_text(first, Place::Urgent);
        current.news.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn try_lock<T>(mutex: &Mutex<T>, until: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(TRY_AGAIN),
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

fn write_all(shared: &Shared, mut out: impl Write, wake: impl Fn()) {
    let mut state = lock(&shared.state);
    loop {
        let Some(piece) = state.outbox.next_piece() else {
            if state.is_over {
                state.has_ended = true;
                return;
            }
            state = shared
                .news
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            continue;
        };
        state.is_writing = true;
        drop(state);
        // Before: its answer may be read before the writing has returned.
        late::written(Instant::now(), &piece);
        let written = out.write_all(&piece).and_then(|()| out.flush());
        state = lock(&shared.state);
        state.is_writing = false;
        state.has_failed = written.is_err();
        shared.written.notify_all();
        let has_room = state.outbox.takes_text() && state.outbox.takes_picture();
        if state.has_failed || (has_room && std::mem::take(&mut state.is_awaited)) {
            wake();
        }
        if state.has_failed {
            state.outbox = Outbox::new();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A terminal that takes a piece when it is told to.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::ErrorKind::BrokenPipe;
            self.0.send(bytes.to_vec()).map_err(gone)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer, what it wrote piece by piece, and its calls.
    fn slow() -> (Writer, Receiver<Vec<u8>>, Receiver<()>) {
        let (pieces, taken) = sync_channel(0);
        let (wake, woken) = sync_channel(8);
        let writer = Writer::start(Slow(pieces), move || {
            let _ = wake.try_send(());
        });
        (writer.expect("a thread"), taken, woken)
    }

    #[test]
    fn who_draws_never_waits_and_is_told_when_there_is_room() {
        let (writer, taken, woken) = slow();
        writer.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        // Nobody takes the first piece, and yet this goes on.
        writer.put_text(b"key", Place::Urgent);
        assert!(!writer.takes_picture());
        let mut all = Vec::new();
        while !all.ends_with(b"|B\x1b8") {
            all.extend(taken.recv().expect("the writer lives"));
        }
        // The key's echo came before the picture, or between its pieces.
        let text = String::from_utf8(all).expect("ours");
        assert!(
            text.starts_with("key") || text.starts_with("\x1b7A\x1b[m\x1b8key"),
            "{text:?}"
        );
        woken.recv().expect("there is room again");
        assert!(writer.takes_picture() && writer.takes_text());
    }

    #[test]
    fn a_terminal_that_is_gone_is_told() {
        let (writer, taken, woken) = slow();
        drop(taken);
        writer.put_text(b"x", Place::Urgent);
        woken.recv().expect("somebody is told");
        assert!(writer.has_failed());
    }

    #[test]
    fn the_end_is_written_last_and_a_stopped_terminal_does_not_keep_the_program() {
        let (writer, taken, _woken) = slow();
        writer.make_current();
        writer.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        writer.put_text(b"text", Place::BehindPicture);
        // The first piece is taken by nobody.
        assert_eq!(
            interrupt_current(b"first", Duration::from_millis(30), true),
            Some(false)
        );
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            while let Ok(piece) = taken.recv() {
                all.extend(piece);
            }
            all
        });
        assert_eq!(
            interrupt_current(b"last", Duration::from_secs(60), true),
            Some(true)
        );
        writer.put_text(b"not this", Place::Urgent);
        resume_current(b" and first");
        writer.put_text(b" again", Place::Urgent);
        drop(writer);
        let all = reader.join().expect("it only reads");
        let text = String::from_utf8(all).expect("ours");
        assert!(
            text.ends_with("last and first again") && !text.contains("|B"),
            "{text:?}"
        );
    }
}

//! One named thread per stage.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Builder, JoinHandle};

/// Longest thread name that Linux shows, in bytes.
const NAME_BYTES_MAX: usize = 15;

/// A running stage. Dropping it waits for the end: tell the stage to stop first.
pub struct Thread {
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// Runs `body` on a thread of its own. A panic is logged with the thread's name, then goes on as before, so that
    /// it is never lost with a thread nobody joins.
    ///
    /// # Panics
    /// When `name` is longer than 15 bytes, or the system has no thread left.
    #[must_use]
    pub fn spawn(name: &'static str, body: impl FnOnce() + Send + 'static) -> Self {
        assert!(
            name.len() <= NAME_BYTES_MAX,
            "thread name {name:?} would be cut"
        );
        let guarded = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                tracing::error!(thread = name, "a media thread panicked");
                resume_unwind(panic);
            }
        };
        let handle = Builder::new()
            .name(name.into())
            .spawn(guarded)
            .expect("the system has a thread left");
        Self {
            handle: Some(handle),
        }
    }

    /// Waits for the end; false if the thread panicked.
    pub fn join(&mut self) -> bool {
        self.handle
            .take()
            .is_none_or(|handle| handle.join().is_ok())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_reaches_whoever_joins() {
        assert!(Thread::spawn("calm", || ()).join());
        assert!(!Thread::spawn("excited", || panic!("on purpose")).join());
    }
}

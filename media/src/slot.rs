//! A place for one value, of which only the newest counts: pictures on their way to an encoder or a screen.
//!
//! A queue here would turn every hiccup of the reader into delay that stays, and into work on pictures nobody sees.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

struct State<T> {
    value: Option<T>,
    /// Counts the values put in, so that a reader tells a new one from one it saw.
    serial: u64,
    closed: bool,
}

/// Both ends of a newest-only slot. Clones share the slot.
pub struct Slot<T> {
    shared: Arc<(Mutex<State<T>>, Condvar)>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slot<T> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            value: None,
            serial: 0,
            closed: false,
        };
        Self {
            shared: Arc::new((Mutex::new(state), Condvar::new())),
        }
    }

    /// Puts a value in; true if it replaced one that nobody took.
    pub fn put(&self, value: T) -> bool {
        let mut state = self.lock();
        let replaced = state.value.replace(value).is_some();
        state.serial += 1;
        drop(state);
        self.shared.1.notify_one();
        replaced
    }

    /// Takes the newest value, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.lock().value.take()
    }

    /// Waits for a value and takes it; none once the slot is closed.
    #[must_use]
    pub fn wait(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(value) = state.value.take() {
                return Some(value);
            }
            state = self
                .shared
                .1
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes every reader for good.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.1.notify_all();
    }

    /// How many values were ever put in.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.lock().serial
    }

    /// A value is whole whenever the lock is free, also after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Slot<T> {
    /// The newest value, left in its place for others, with its serial number.
    #[must_use]
    pub fn peek(&self) -> Option<(u64, T)> {
        let state = self.lock();
        state.value.clone().map(|value| (state.serial, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins_and_is_given_once() {
        let slot = Slot::new();
        assert!(!slot.put(1));
        assert!(slot.put(2));
        assert_eq!(slot.peek(), Some((2, 2)));
        assert_eq!((slot.take(), slot.take()), (Some(2), None));
    }

    #[test]
    fn a_waiting_reader_gets_the_value_and_then_the_end() {
        let slot = Slot::new();
        let reader = {
            let slot = slot.clone();
            std::thread::spawn(move || (slot.wait(), slot.wait()))
        };
        slot.put(7);
        while slot.peek().is_some() {
            std::thread::yield_now();
        }
        slot.close();
        assert_eq!(
            reader.join().expect("the reader does not panic"),
            (Some(7), None)
        );
    }
}

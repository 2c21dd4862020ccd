//! Sentences about devices on their way from the thread of the sound to whoever tells them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sentences that wait; more say nothing new.
const NEWS_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct News {
    waiting: Mutex<VecDeque<String>>,
}

impl News {
    /// Puts a sentence there, if there is one.
    pub(super) fn put(&self, words: Option<String>) {
        if let Some(words) = words {
            let mut waiting = self.waiting();
            if waiting.len() < NEWS_MAX {
                waiting.push_back(words);
            }
        }
    }

    /// The oldest sentence.
    pub(super) fn take(&self) -> Option<String> {
        self.waiting().pop_front()
    }

    /// The list is whole whenever the lock is free, also after a panic elsewhere.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

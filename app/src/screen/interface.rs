//! What ratatui writes to, and what becomes of it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What ratatui writes to: kept until it is handed to the writer together with the pictures.
#[derive(Clone, Debug, Default)]
pub struct Interface(Arc<Mutex<Vec<u8>>>);

impl Interface {
    /// All since the last time.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Interface {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

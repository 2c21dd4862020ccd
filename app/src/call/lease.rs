//! The right to use the devices: one call has it at a time, so that a microphone that only one may open is free when
//! the next call wants it.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// How long the call before is waited for. A driver that hangs must not make the next call silent for good.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands out the right. Clones share it.
#[derive(Clone)]
pub struct Devices {
    give: Sender<()>,
    take: Receiver<()>,
}

/// The right to use the devices, given back when dropped.
pub struct Lease {
    back: Option<Sender<()>>,
}

impl Devices {
    /// Nobody uses them yet.
    #[must_use]
    pub fn new() -> Self {
        let (give, take) = bounded(1);
        give.try_send(()).expect("the queue is empty");
        Self { give, take }
    }

    /// Waits until whoever uses them has closed them, for a moment at most: then they are opened all the same, and
    /// the machine says whether that works.
    pub fn lease(&self) -> Lease {
        let is_free = self.take.recv_timeout(PATIENCE).is_ok();
        Lease {
            back: is_free.then(|| self.give.clone()),
        }
    }
}

impl Default for Devices {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(back) = &self.back {
            // There is room: each lease that gives one back has taken one.
            let _ = back.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_devices_at_a_time() {
        let devices = Devices::new();
        let first = devices.lease();
        assert!(devices.take.try_recv().is_err());
        drop(first);
        assert!(devices.lease().back.is_some());
    }
}

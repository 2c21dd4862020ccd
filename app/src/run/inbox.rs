//! What the loop waits for: what happens, and what somebody types. Two queues, so that a flood of keys (a paste that the
//! terminal does not mark) holds up neither the network, nor calls, nor the signal that ends the program.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select_biased};

use super::{WAKES_MAX, Wake};

/// Keys that may wait. Whoever reads the terminal waits then, and the rest with the system.
const TYPED_MAX: usize = 64;

/// So long a signal waits for room; a program that takes nothing for longer is ended as the system would.
pub const SIGNAL_PATIENCE: Duration = Duration::from_secs(2);

/// Both queues' ends for senders.
pub struct Senders {
    /// What happens.
    pub wake: Sender<Wake>,
    /// What is typed: keys, lines of a script, answers of the terminal.
    pub typed: Sender<Wake>,
}

/// The loop's ends.
pub struct Inbox {
    wakes: Receiver<Wake>,
    typed: Receiver<Wake>,
}

/// Both queues.
#[must_use]
pub fn inbox() -> (Senders, Inbox) {
    let (wake, wakes) = bounded(WAKES_MAX);
    let (typed_sender, typed) = bounded(TYPED_MAX);
    let senders = Senders {
        wake,
        typed: typed_sender,
    };
    (senders, Inbox { wakes, typed })
}

impl Inbox {
    /// The next thing, within `wait`. What happens goes before what is typed.
    ///
    /// # Errors
    /// Nothing came in time, or nobody is left of whom anything could come.
    pub fn next(&mut self, wait: Duration) -> Result<Wake, RecvTimeoutError> {
        loop {
            let typed = select_biased! {
                recv(self.wakes) -> wake => return wake.map_err(|_| RecvTimeoutError::Disconnected),
                recv(self.typed) -> wake => wake,
                default(wait) => return Err(RecvTimeoutError::Timeout),
            };
            match typed {
                Ok(wake) => return Ok(wake),
                // Nothing is typed any more: a queue without a sender would always be ready.
                Err(_) => self.typed = never(),
            }
        }
    }

    /// What has already come.
    pub fn ready(&mut self) -> Option<Wake> {
        let wake = self.wakes.try_recv().ok();
        wake.or_else(|| self.typed.try_recv().ok())
    }

    /// Takes nothing any more: whoever waits for room goes on and ends.
    pub fn close(&mut self) {
        (self.wakes, self.typed) = (never(), never());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, StopReason};

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn what_happens_overtakes_a_flood_of_keys() {
        let (senders, mut inbox) = inbox();
        while senders.typed.try_send(Wake::Screen).is_ok() {}
        let stop = Wake::Event(Event::Stop(StopReason::Signal));
        senders.wake.try_send(stop).ok().unwrap();
        let first = inbox.next(SOON).unwrap();
        assert!(matches!(first, Wake::Event(Event::Stop(_))));
        assert!(matches!(inbox.next(SOON), Ok(Wake::Screen)));
        assert_eq!(std::iter::from_fn(|| inbox.ready()).count(), TYPED_MAX - 1);
    }

    #[test]
    fn whoever_waits_for_room_is_freed_when_the_loop_ends() {
        let (senders, mut inbox) = inbox();
        while senders.wake.try_send(Wake::Screen).is_ok() {}
        let waiting = std::thread::spawn(move || senders.wake.send(Wake::Screen).is_err());
        inbox.close();
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn where_nothing_is_typed_any_more_the_rest_still_comes() {
        let (senders, mut inbox) = inbox();
        drop(senders.typed);
        senders.wake.try_send(Wake::Screen).ok().unwrap();
        assert!(matches!(inbox.next(SOON), Ok(Wake::Screen)));
        let nothing = inbox.next(Duration::from_millis(1));
        assert!(matches!(nothing, Err(RecvTimeoutError::Timeout)));
        drop(senders.wake);
        assert!(matches!(
            inbox.next(SOON),
            Err(RecvTimeoutError::Disconnected)
        ));
    }
}

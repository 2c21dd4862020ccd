//! The sliding window that opens each counter once (the method of RFC 4303 §3.4.3).

/// How many counters below the highest are still told apart. At 50 frames a second 2,048 are 40 s: longer than any
/// packet lives in a jitter buffer or a retransmission; 256 bytes for each track.
pub(crate) const WINDOW: u64 = 2_048;

const WORDS: usize = (WINDOW / 64) as usize;

/// Which counters were opened.
#[derive(Clone)]
pub(crate) struct ReplayWindow {
    /// One more than the highest committed counter; 0 before the first.
    end: u64,
    /// Bit `counter % WINDOW` is set if that counter, one of the last `WINDOW` below `end`, was committed.
    seen: [u64; WORDS],
}

/// Why a counter is not opened (again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayError {
    Replayed,
    TooOld,
}

impl ReplayWindow {
    pub(crate) fn new() -> Self {
        Self {
            end: 0,
            seen: [0; WORDS],
        }
    }

    /// Whether `counter` may be opened. Changes nothing: the frame is not yet proven genuine.
    pub(crate) fn check(&self, counter: u64) -> Result<(), ReplayError> {
        if counter >= self.end {
            Ok(())
        } else if self.end - counter > WINDOW {
            Err(ReplayError::TooOld)
        } else if self.is_seen(counter) {
            Err(ReplayError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Remembers a counter whose tag was good. It must have passed [`Self::check`] and be below `u64::MAX`.
    pub(crate) fn commit(&mut self, counter: u64) {
        if counter >= self.end {
            // Everything between the old end and the new one was not seen; a jump over the window clears it all.
            if counter - self.end >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for unseen in self.end..counter {
                    self.set(unseen, false);
                }
            }
            self.end = counter.saturating_add(1);
        }
        self.set(counter, true);
    }

    fn is_seen(&self, counter: u64) -> bool {
        let (word, bit) = place(counter);
        self.seen[word] & bit != 0
    }

    fn set(&mut self, counter: u64, seen: bool) {
        let (word, bit) = place(counter);
        if seen {
            self.seen[word] |= bit;
        } else {
            self.seen[word] &= !bit;
        }
    }
}

fn place(counter: u64) -> (usize, u64) {
    let index = counter % WINDOW;
    // Below WORDS, so the cast cannot lose anything.
    ((index / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_counter_of_the_window_opens_and_the_one_before_does_not() {
        let mut window = ReplayWindow::new();
        window.commit(10_000);
        assert_eq!(window.check(10_001 - WINDOW), Ok(()));
        assert_eq!(window.check(10_000 - WINDOW), Err(ReplayError::TooOld));
        assert_eq!(window.check(10_000), Err(ReplayError::Replayed));
        assert_eq!(window.check(10_001), Ok(()));
    }

    proptest! {
        /// Against the plain description: a set of all that was committed.
        #[test]
        fn the_bitmap_agrees_with_a_set(steps in prop::collection::vec((0u64..5_000, 0u64..40), 1..300)) {
            let mut window = ReplayWindow::new();
            let mut opened = HashSet::new();
            let mut highest = None::<u64>;
            for (jump, back) in steps {
                // Mostly near the top, now and then a leap.
                let base = highest.unwrap_or(0) + if back == 0 { jump } else { jump % 8 };
                let counter = base.saturating_sub(back * (jump % 80));
                let want = match highest {
                    Some(top) if counter + WINDOW <= top => Err(ReplayError::TooOld),
                    _ if opened.contains(&counter) => Err(ReplayError::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(counter), want, "counter {}", counter);
                if want.is_ok() {
                    window.commit(counter);
                    opened.insert(counter);
                    highest = Some(highest.map_or(counter, |top| top.max(counter)));
                }
            }
        }
    }
}

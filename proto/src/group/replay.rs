//! Which frame numbers were seen already: a sliding window per sender and track.
//!
//! The protocol has none (*receivers do not track* the MFSN), so an SFU could play old frames
//! again; this is our own and needs nothing from the sender.

/// Numbers the window spans. The sender's tracks and layers share one counter, so this is some
/// 15 seconds of a busy participant: lower would drop late frames, higher costs 8 bytes per 64.
pub const WINDOW: u32 = 2_048;

const WORDS: usize = WINDOW as usize / 64;

/// The last [`WINDOW`] numbers below the highest one opened.
#[derive(Clone)]
pub struct ReplayWindow {
    highest: Option<u32>,
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self {
            highest: None,
            seen: [0; WORDS],
        }
    }
}

impl ReplayWindow {
    /// Whether a frame of this number may still be opened: not seen, not older than the window.
    #[must_use]
    pub fn is_new(&self, number: u32) -> bool {
        match self.highest {
            None => true,
            Some(highest) if number > highest => true,
            Some(highest) => highest - number < WINDOW && !self.bit(number),
        }
    }

    /// Remembers a number whose frame was authentic. Numbers older than the window are of no effect.
    pub fn mark(&mut self, number: u32) {
        match self.highest {
            Some(highest) if number <= highest => {
                if highest - number >= WINDOW {
                    return;
                }
            }
            Some(highest) if number - highest < WINDOW => {
                for skipped in highest + 1..number {
                    self.clear(skipped);
                }
                self.highest = Some(number);
            }
            Some(_) | None => {
                self.seen = [0; WORDS];
                self.highest = Some(number);
            }
        }
        let (word, bit) = place(number);
        self.seen[word] |= bit;
    }

    fn bit(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.seen[word] & bit != 0
    }

    fn clear(&mut self, number: u32) {
        let (word, bit) = place(number);
        self.seen[word] &= !bit;
    }
}

fn place(number: u32) -> (usize, u64) {
    let index = (number % WINDOW) as usize;
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_number_once_and_none_behind_the_window() {
        let mut window = ReplayWindow::default();
        window.mark(5_000);
        assert!(!window.is_new(5_000));
        assert!(window.is_new(5_000 - WINDOW + 1));
        assert!(!window.is_new(5_000 - WINDOW));
        window.mark(u32::MAX);
        assert!(!window.is_new(5_001) && !window.is_new(u32::MAX) && window.is_new(u32::MAX - 1));
    }

    proptest! {
        /// Against a set that remembers everything.
        #[test]
        fn agrees_with_a_plain_set(steps in proptest::collection::vec((0_u32..5_000, any::<bool>()), 1..300)) {
            let mut window = ReplayWindow::default();
            let mut set = BTreeSet::new();
            let mut base = 0_u32;
            for (number, jump) in steps {
                if jump { base += 700; }
                let number = base + number;
                let highest = set.last().copied();
                let expected = !set.contains(&number) && highest.is_none_or(|h: u32| h < number || h - number < WINDOW);
                prop_assert_eq!(window.is_new(number), expected);
                if expected {
                    window.mark(number);
                    set.insert(number);
                }
            }
        }
    }
}

//! Push-to-talk: for how long the microphone is open, and why a lost release never leaves it open.
//!
//! | how it began | ends by | and at the latest |
//! |---|---|---|
//! | held key, the terminal tells of releases | the release; the window is left | after [`REPEAT_LOST_MS`] without a repeat, where the key repeats; after [`HELD_MS_MAX`] |
//! | key pressed once, elsewhere | the key again | after [`LATCHED_MS_MAX`] |
//! | `ptt on` from outside | `ptt off` | after [`LATCHED_MS_MAX`] since the last `ptt on` |
//!
//! The end of the call, its hold, and muting end all of them.

/// A key that repeats and no longer does was let go, whatever the terminal told: repeats come 20 times a second and more,
/// over a slow line in heaps.
pub const REPEAT_LOST_MS: u64 = 1_500;
/// Nobody holds a key for longer: something lies on it, or its release was lost.
pub const HELD_MS_MAX: u64 = 60_000;
/// Longest speech on one press: who has more to say switches the microphone on.
pub const LATCHED_MS_MAX: u64 = 120_000;

/// What keeps the microphone open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkMode {
    /// A key is held.
    Held,
    /// It was pressed once.
    Latched,
    /// A program said so.
    Remote,
}

/// The microphone is open for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talk {
    /// Why.
    pub mode: TalkMode,
    /// Since when, on the program's clock.
    pub since_ms: u64,
    /// Its last sign of life.
    renewed_at_ms: u64,
    /// The key repeats: its silence means something.
    is_repeating: bool,
}

impl Talk {
    /// Begins now.
    #[must_use]
    pub fn new(mode: TalkMode, now_ms: u64) -> Self {
        Self {
            mode,
            since_ms: now_ms,
            renewed_at_ms: now_ms,
            is_repeating: false,
        }
    }

    /// The held key repeats, or the program says so once more.
    pub fn renew(&mut self, now_ms: u64) {
        self.renewed_at_ms = now_ms;
        self.is_repeating = self.mode == TalkMode::Held;
    }

    /// Another key was pressed: from now on that one repeats.
    pub fn other_key(&mut self) {
        self.is_repeating = false;
    }

    /// When it ends by itself.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        let longest = match self.mode {
            TalkMode::Held => self.since_ms + HELD_MS_MAX,
            TalkMode::Latched => self.since_ms + LATCHED_MS_MAX,
            TalkMode::Remote => self.renewed_at_ms + LATCHED_MS_MAX,
        };
        if self.is_repeating {
            longest.min(self.renewed_at_ms + REPEAT_LOST_MS)
        } else {
            longest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_talking_has_an_end() {
        let held = Talk::new(TalkMode::Held, 1_000);
        assert_eq!(held.due_ms(), 61_000);
        let mut repeating = held;
        repeating.renew(5_000);
        assert_eq!(repeating.due_ms(), 6_500);
        repeating.other_key();
        assert_eq!(repeating.due_ms(), 61_000);
        repeating.renew(60_900);
        assert_eq!(repeating.due_ms(), 61_000);
        assert_eq!(Talk::new(TalkMode::Latched, 1_000).due_ms(), 121_000);
        let mut remote = Talk::new(TalkMode::Remote, 1_000);
        remote.renew(100_000);
        assert_eq!(remote.due_ms(), 220_000);
    }
}

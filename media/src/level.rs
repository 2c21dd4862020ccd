//! How loud somebody is, and whether that is speech or the room.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use crate::frame::Block;

/// Louder than this counts as speaking, in dB of full scale: over the noise of a room at a usual gain, under a quiet voice.
const SPEAKING_DB: f32 = -45.0;
/// Blocks that must be loud in a row, 60 ms: a click is no word.
const LOUD_BLOCKS_MIN: u32 = 3;
/// Blocks without loudness until somebody counts as silent, 0.5 s: longer than the pauses inside a sentence.
const QUIET_BLOCKS_MAX: u32 = 25;
/// What is said of silence.
pub const LEVEL_DB_MIN: f32 = -100.0;
/// The same in hundredths.
const CENTI_DB_MIN: i32 = LEVEL_DB_MIN as i32 * 100;

/// Fed every 20 ms.
#[derive(Clone, Debug)]
pub struct LevelMeter {
    level_db: f32,
    loud: u32,
    quiet: u32,
    speaking: bool,
}

impl Default for LevelMeter {
    fn default() -> Self {
        Self {
            level_db: LEVEL_DB_MIN,
            loud: 0,
            quiet: 0,
            speaking: false,
        }
    }
}

impl LevelMeter {
    /// The next 20 ms; `None`: nothing was there.
    pub fn block(&mut self, block: Option<&Block>) {
        self.level_db = block.map_or(LEVEL_DB_MIN, level_db);
        if self.level_db > SPEAKING_DB {
            self.loud = self.loud.saturating_add(1);
            self.quiet = 0;
        } else {
            self.loud = 0;
            self.quiet = self.quiet.saturating_add(1);
        }
        self.speaking = if self.speaking {
            self.quiet < QUIET_BLOCKS_MAX
        } else {
            self.loud >= LOUD_BLOCKS_MIN
        };
    }

    /// Loudness of the last 20 ms in dB of full scale, [`LEVEL_DB_MIN`] to 0 and a little.
    #[must_use]
    pub fn level_db(&self) -> f32 {
        self.level_db
    }

    /// Whether somebody speaks.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }
}

/// The loudest since the last look, between the thread that plays and whoever shows it.
#[derive(Debug)]
pub(crate) struct Peak {
    /// Hundredths of a dB: whole numbers have a maximum that is one step.
    centi_db: AtomicI32,
}

impl Default for Peak {
    fn default() -> Self {
        Self {
            centi_db: AtomicI32::new(CENTI_DB_MIN),
        }
    }
}

impl Peak {
    pub(crate) fn put(&self, db: f32) {
        // Saturates.
        self.centi_db.fetch_max((db * 100.0) as i32, Relaxed);
    }

    pub(crate) fn take(&self) -> f32 {
        self.centi_db.swap(CENTI_DB_MIN, Relaxed) as f32 / 100.0
    }
}

/// Loudness of 20 ms in dB of full scale, from [`LEVEL_DB_MIN`].
pub(crate) fn level_db(block: &Block) -> f32 {
    let mean = block.iter().map(|sample| sample * sample).sum::<f32>() / block.len() as f32;
    if mean > 0.0 {
        (10.0 * mean.log10()).max(LEVEL_DB_MIN)
    } else {
        LEVEL_DB_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BLOCK_SAMPLES;

    #[test]
    fn a_peak_is_the_loudest_since_the_last_look() {
        let peak = Peak::default();
        assert_eq!(peak.take(), LEVEL_DB_MIN);
        for db in [-60.0, -20.5, LEVEL_DB_MIN] {
            peak.put(db);
        }
        assert_eq!((peak.take(), peak.take()), (-20.5, LEVEL_DB_MIN));
    }

    #[test]
    fn words_are_speech_clicks_are_not_and_pauses_do_not_end_it() {
        let mut meter = LevelMeter::default();
        let mut feed = |amplitude: f32, blocks: u32| {
            for _ in 0..blocks {
                meter.block(Some(&[amplitude; BLOCK_SAMPLES]));
            }
            meter.is_speaking()
        };
        assert!(!feed(0.001, 50), "a quiet room");
        assert!(!feed(0.5, 2), "a click");
        assert!(!feed(0.001, 1));
        assert!(feed(0.1, 3), "a word");
        assert!(feed(0.001, QUIET_BLOCKS_MAX - 1), "a pause");
        assert!(feed(0.1, 1), "the next word");
        assert!(!feed(0.001, QUIET_BLOCKS_MAX), "the end");
        meter.block(None);
        assert_eq!(meter.level_db(), LEVEL_DB_MIN);
        meter.block(Some(&[1.0; BLOCK_SAMPLES]));
        assert!(meter.level_db().abs() < 0.01);
    }
}

//! How well somebody comes through, from each second's figures: a word for people, and the figures beside it.

use std::collections::VecDeque;

use crate::report::PersonFigures;

/// Seconds that are looked at together: shorter jumps at each lost packet, longer tells of what is over.
const SECONDS: usize = 5;
/// Share of made-up sound, per cent, from which on it is heard by who listens for it, and by everybody.
const LOSS_PERCENT_FAIR: f32 = 2.0;
const LOSS_PERCENT_POOR: f32 = 8.0;
/// Sound that waits so long before it is played tells of a restless line; longer, people talk over each other (ITU-T G.114).
const DELAY_MS_FAIR: u64 = 100;
const DELAY_MS_POOR: u64 = 180;

/// A word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing is to be noticed.
    Good,
    /// Who listens for it hears it.
    Fair,
    /// Words are lost.
    Poor,
}

/// What the last seconds were like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// The word.
    pub grade: Grade,
    /// Sound that was made up because it did not come in time, of all that was played, per cent; `None` where nothing was
    /// played.
    pub loss_percent: Option<f32>,
    /// How long sound waits here so that late packets are still in time.
    pub delay_ms: Option<u64>,
    /// Frames that did not open.
    pub undecryptable: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    played_ms: u64,
    concealed_ms: u64,
    undecryptable: u64,
    delay_ms: u64,
}

/// Adds up the last seconds of one person.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    samples: VecDeque<Sample>,
}

impl Quality {
    /// Takes the figures of a second, which count from the beginning of the call.
    pub fn take(&mut self, figures: &PersonFigures) {
        if self.samples.len() > SECONDS {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            played_ms: figures.audio_ms,
            concealed_ms: figures.concealed_ms,
            undecryptable: figures.undecryptable,
            delay_ms: figures.delay_ms,
        });
    }

    /// What the last seconds were like; `None` before there are two of them.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        if self.samples.len() < 2 {
            return None;
        }
        let played_ms = last.played_ms.saturating_sub(first.played_ms);
        let concealed_ms = last.concealed_ms.saturating_sub(first.concealed_ms);
        let undecryptable = last.undecryptable.saturating_sub(first.undecryptable);
        let is_heard = played_ms > 0;
        // A few seconds in milliseconds: exact.
        let share = || 100.0 * concealed_ms as f32 / played_ms as f32;
        let loss_percent = is_heard.then(share);
        let delay_ms = is_heard.then_some(last.delay_ms);
        Some(Figures {
            grade: grade(loss_percent, delay_ms, undecryptable),
            loss_percent,
            delay_ms,
            undecryptable,
        })
    }
}

/// The word for these figures.
#[must_use]
pub fn grade(loss_percent: Option<f32>, delay_ms: Option<u64>, undecryptable: u64) -> Grade {
    let loss = match loss_percent.unwrap_or(0.0) {
        loss if loss >= LOSS_PERCENT_POOR => Grade::Poor,
        loss if loss >= LOSS_PERCENT_FAIR => Grade::Fair,
        _ => Grade::Good,
    };
    let delay = match delay_ms.unwrap_or(0) {
        delay if delay >= DELAY_MS_POOR => Grade::Poor,
        delay if delay >= DELAY_MS_FAIR => Grade::Fair,
        _ => Grade::Good,
    };
    let sealed = if undecryptable > 0 {
        Grade::Fair
    } else {
        Grade::Good
    };
    loss.max(delay).max(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: u64, lost_ms: u64) -> PersonFigures {
        PersonFigures {
            audio_ms: at * 1_000,
            concealed_ms: lost_ms,
            delay_ms: 60,
            ..PersonFigures::default()
        }
    }

    #[test]
    fn the_word_tells_of_the_last_seconds_alone() {
        let mut quality = Quality::default();
        assert_eq!(quality.figures(), None);
        quality.take(&second(0, 0));
        assert_eq!(quality.figures(), None);
        let mut words = Vec::new();
        // Three bad seconds, then none.
        for (at, lost_ms) in (1..=12).zip([0, 0, 200, 400, 600, 600, 600, 600, 600, 600, 600, 600])
        {
            quality.take(&second(at, lost_ms));
            words.push(quality.figures().expect("two seconds").grade);
        }
        use Grade::{Fair, Good, Poor};
        let want = [
            Good, Good, Fair, Poor, Poor, Poor, Poor, Poor, Fair, Good, Good, Good,
        ];
        assert_eq!(words, want);
        let figures = quality.figures().expect("two seconds");
        assert_eq!(
            (figures.loss_percent, figures.delay_ms),
            (Some(0.0), Some(60))
        );
    }

    #[test]
    fn nobody_who_is_silent_is_blamed_and_what_does_not_open_shows() {
        let mut quality = Quality::default();
        for _ in 0..3 {
            quality.take(&second(4, 600));
        }
        let figures = quality.figures().expect("two seconds");
        assert_eq!((figures.grade, figures.loss_percent), (Grade::Good, None));
        quality.take(&PersonFigures {
            undecryptable: 3,
            ..second(4, 600)
        });
        let figures = quality.figures().expect("two seconds");
        assert_eq!((figures.grade, figures.undecryptable), (Grade::Fair, 3));
    }
}

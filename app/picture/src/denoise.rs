//! Temporal low-pass over scaled samples: sensor noise stands still, movement passes.
//!
//! Noise is what costs a terminal its bytes: it changes every colour of every picture and shows nothing. Each sample
//! follows its source slowly while the change is small enough to be noise, and at once when it is not.

use crate::scale::{LEVEL, Planes};

/// How much of a small change is taken over in each picture, of 256: a tenth averages some twenty pictures.
/// More costs bytes and shows no more.
const FOLLOW_SMALL: i32 = 26;
/// A change of this many levels in any colour is no noise and is taken over whole. Between, the share grows as a square:
/// noise stays low while an edge that begins to move is not smeared.
const CHANGE_LEVELS_OPEN: i32 = 10;

/// The filtered picture of one tile, in sixteenths of a level.
#[derive(Debug, Default)]
pub(crate) struct Denoiser {
    state: Planes,
}

impl Denoiser {
    /// The filtered samples after `source`; the first picture passes unchanged.
    pub(crate) fn filter(&mut self, source: &Planes) -> &Planes {
        if self.state[0].len() != source[0].len() {
            self.state.clone_from(source);
            return &self.state;
        }
        let [red, green, blue] = &mut self.state;
        let state = red.iter_mut().zip(green).zip(blue);
        let source = source[0].iter().zip(&source[1]).zip(&source[2]);
        for (((r, g), b), ((&nr, &ng), &nb)) in state.zip(source) {
            let (dr, dg, db) = (nr - *r, ng - *g, nb - *b);
            let follow = follow(dr.abs().max(dg.abs()).max(db.abs()));
            *r += step(dr, follow);
            *g += step(dg, follow);
            *b += step(db, follow);
        }
        &self.state
    }
}

/// The share of a change that is taken over, of 256.
fn follow(change: i16) -> i32 {
    const OPEN: i32 = CHANGE_LEVELS_OPEN * LEVEL as i32;
    let change = i32::from(change).min(OPEN);
    (change * change / (OPEN * OPEN / 256)).clamp(FOLLOW_SMALL, 256)
}

fn step(change: i16, follow: i32) -> i16 {
    // Never more than `change` itself.
    ((i32::from(change) * follow + 128) >> 8) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(level: i16) -> Planes {
        [0; 3].map(|_: i32| vec![level * LEVEL])
    }

    #[test]
    fn noise_is_averaged_and_movement_passes_at_once() {
        let mut denoiser = Denoiser::default();
        assert_eq!(denoiser.filter(&planes(100)), &planes(100));
        for picture in 0..50 {
            let level = if picture % 2 == 0 { 103 } else { 97 };
            let shown = denoiser.filter(&planes(level))[0][0];
            assert!((shown - 100 * LEVEL).abs() <= LEVEL, "{shown}");
        }
        assert_eq!(denoiser.filter(&planes(120)), &planes(120));
    }

    #[test]
    fn a_small_step_is_reached_in_the_end() {
        let mut denoiser = Denoiser::default();
        denoiser.filter(&planes(100));
        for _ in 0..40 {
            denoiser.filter(&planes(104));
        }
        let shown = denoiser.filter(&planes(104))[0][0];
        assert!((shown - 104 * LEVEL).abs() <= LEVEL / 4, "{shown}");
    }
}

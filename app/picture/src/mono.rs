//! Pictures without colour: a ramp of characters, or dots set where the picture is lighter than a pattern.

use crate::glyph::{Glyphs, RAMP};
use crate::palette::BAYER;
use crate::scale::{LEVEL, Planes};

/// Most samples of a cell: Braille's dots.
const SAMPLES_MAX: usize = 8;
/// Weights of a cell's error, as where there are colours: seven for each of four quadrants.
const WEIGHT: f32 = 28.0;
/// Levels that one step of the pattern is: all sixteen steps together span black to white.
const PATTERN_LEVELS: i16 = 8;
/// A ramp's character stays until the picture is this many steps away from it: it would flicker on the border.
const RAMP_STEPS_KEPT: f32 = 0.75;

/// How pictures without colour are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mono {
    pub(crate) glyphs: Glyphs,
    /// Characters are darker than what is behind them.
    pub(crate) dark_on_light: bool,
}

impl Mono {
    /// What each cell of a tile should show, and by how much what it shows is worse: `samples` as by
    /// [`Glyphs::samples`], `columns` of them in a row; `drawn` is `None` where nothing is known.
    pub(crate) fn measure(
        self,
        samples: &Planes,
        columns: usize,
        cells: impl Iterator<Item = (Option<char>, (usize, usize))>,
        mut report: impl FnMut(usize, char, f32),
    ) {
        let (across, down) = self.glyphs.samples(crate::palette::Colours::None);
        for (place, (drawn, (column, row))) in cells.enumerate() {
            let mut luma = [0i16; SAMPLES_MAX];
            for (index, luma) in luma.iter_mut().enumerate().take(across * down) {
                let (x, y) = (
                    column * across + index % across,
                    row * down + index / across,
                );
                *luma = self.luma(samples, y * columns + x);
                if self.glyphs != Glyphs::Ascii {
                    *luma += BAYER[y % 4][x % 4] * PATTERN_LEVELS;
                }
            }
            let (wanted, error) = if self.glyphs == Glyphs::Ascii {
                ramp(luma[0], drawn)
            } else {
                self.dots(&luma[..across * down], drawn)
            };
            report(place, wanted, error);
        }
    }

    /// Brightness of a sample, 0 to 255, 255 where the most ink belongs.
    fn luma(self, samples: &Planes, place: usize) -> i16 {
        let [r, g, b] = [0, 1, 2].map(|plane: usize| i32::from(samples[plane][place]));
        let luma = (2 * r + 4 * g + b) / (7 * i32::from(LEVEL));
        let luma = luma.clamp(0, 255) as i16;
        if self.dark_on_light { 255 - luma } else { luma }
    }

    fn dots(self, luma: &[i16], drawn: Option<char>) -> (char, f32) {
        let mut wanted = 0;
        for (dot, &luma) in luma.iter().enumerate() {
            wanted |= u8::from(luma > 127) << dot;
        }
        let glyph = self.glyphs.dots(wanted);
        if drawn == Some(glyph) {
            return (glyph, 0.0);
        }
        let dots = drawn.and_then(|drawn| self.read(drawn)).unwrap_or(!wanted);
        let weight = WEIGHT / luma.len() as f32;
        let mut error = 0.0;
        for (dot, &luma) in luma.iter().enumerate() {
            if (wanted ^ dots) >> dot & 1 == 1 {
                let off = f32::from(luma) - 127.5;
                error += weight * off * off;
            }
        }
        (glyph, error)
    }

    /// The dots that a glyph shows.
    fn read(self, glyph: char) -> Option<u8> {
        (0..=u8::MAX).find(|&dots| self.glyphs.dots(dots) == glyph)
    }
}

fn ramp(luma: i16, drawn: Option<char>) -> (char, f32) {
    let step = 256.0 / RAMP.len() as f32;
    let wanted = (f32::from(luma) / step) as usize;
    let wanted = wanted.min(RAMP.len() - 1);
    let off = |level: usize| f32::from(luma) - (level as f32 + 0.5) * step;
    let level = drawn.and_then(|drawn| RAMP.iter().position(|&glyph| glyph == drawn));
    match level {
        Some(level) if off(level).abs() < RAMP_STEPS_KEPT * step => (RAMP[level], 0.0),
        Some(level) => {
            let gain = off(level).powi(2) - off(wanted).powi(2);
            (RAMP[wanted], WEIGHT * gain.max(0.0))
        }
        None => (RAMP[wanted], WEIGHT * f32::from(luma).powi(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(glyphs: Glyphs, dark_on_light: bool, level: i16, drawn: Option<char>) -> (char, f32) {
        let (across, down) = glyphs.samples(crate::palette::Colours::None);
        let samples = [0; 3].map(|_: i32| vec![level * LEVEL; across * down]);
        let mut found = None;
        let mono = Mono {
            glyphs,
            dark_on_light,
        };
        mono.measure(
            &samples,
            across,
            [(drawn, (0, 0))].into_iter(),
            |_, glyph, error| {
                found = Some((glyph, error));
            },
        );
        found.unwrap()
    }

    #[test]
    fn black_and_white_are_empty_and_full() {
        for (glyphs, empty, full) in [
            (Glyphs::Ascii, ' ', '@'),
            (Glyphs::Half, ' ', '█'),
            (Glyphs::Quadrant, ' ', '█'),
            (Glyphs::Braille, '\u{2800}', '⣿'),
        ] {
            assert_eq!(look(glyphs, false, 0, None).0, empty);
            assert_eq!(look(glyphs, false, 255, None).0, full);
            assert_eq!(look(glyphs, true, 255, None).0, empty);
            assert_eq!(look(glyphs, false, 255, Some(full)).1, 0.0);
            assert!(look(glyphs, false, 255, Some(empty)).1 > 100_000.0);
        }
    }

    #[test]
    fn grey_is_half_of_the_dots() {
        let (glyph, _) = look(Glyphs::Braille, false, 128, None);
        assert_eq!((u32::from(glyph) - 0x2800).count_ones(), 4);
    }

    #[test]
    fn a_ramp_does_not_flicker_on_the_border_of_two_steps() {
        // 128 is the first level of '+', 127 the last of '='.
        assert_eq!(look(Glyphs::Ascii, false, 128, None).0, '+');
        assert_eq!(look(Glyphs::Ascii, false, 128, Some('=')), ('=', 0.0));
        assert_eq!(look(Glyphs::Ascii, false, 150, Some('=')).0, '+');
    }
}

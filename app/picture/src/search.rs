//! The choice for one cell: of sixteen quadrant masks, each with old or new colours, the one whose error and bytes
//! together cost least.
//!
//! All masks are tried at once, sixteen numbers in a row, so that the compiler makes vectors of them. A mask's
//! foreground covers the quadrants of its bits, its background those of the complement: group `g` of the sixteen is a
//! set of quadrants, and mask `m` draws group `m` in one colour and group `15 - m` in the other.

#![expect(
    clippy::needless_range_loop,
    reason = "sixteen lanes of several lists at once: as loops over numbers they become vectors, and read as what they are"
)]

use crate::palette::{Palette, Rgb};

/// One number for each mask or group.
type Lanes = [f32; 16];

/// Error that no saving outweighs: marks what cannot be chosen.
const NEVER: f32 = 1e12;

/// Weights of red, green and blue in an error: 7 times the mean.
pub(crate) const WEIGHTS: [f32; 3] = [2.0, 4.0, 1.0];

/// Quadrants in each group.
const COUNT: Lanes = {
    let mut count = [0.0; 16];
    let mut group = 0;
    while group < 16 {
        count[group] = (group as u32).count_ones() as f32;
        group += 1;
    }
    count
};

/// One over [`COUNT`]; nothing for the empty group.
const INVERSE: Lanes = {
    let mut inverse = [0.0; 16];
    let mut group = 1;
    while group < 16 {
        inverse[group] = 1.0 / COUNT[group];
        group += 1;
    }
    inverse
};

/// What the terminal draws with just now, as far as it can be drawn with again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pen {
    pub(crate) foreground: Option<Rgb>,
    pub(crate) background: Option<Rgb>,
}

/// What was found for a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Quadrants drawn in the foreground: bit 0 upper left, 1 upper right, 2 lower left, 3 lower right.
    pub(crate) mask: u8,
    /// Foreground to set; the terminal's is kept otherwise.
    pub(crate) foreground: Option<Ink>,
    /// Background to set.
    pub(crate) background: Option<Ink>,
    /// Error of the cell so drawn, weighted as by [`WEIGHTS`], all quadrants together.
    pub(crate) distortion: f32,
    /// Least error any choice would have, whatever it costs.
    pub(crate) floor: f32,
    /// Error and bytes together, without the jump.
    pub(crate) cost: f32,
}

/// A colour to set: what is shown and, in a palette, by which entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ink {
    pub(crate) rgb: Rgb,
    pub(crate) entry: Option<u8>,
}

/// What is fixed for a screen: which masks may be drawn, and bytes of a colour.
#[derive(Debug)]
pub(crate) struct Search {
    palette: Option<Palette>,
    /// Bytes of each glyph, or [`NEVER`].
    glyph_bytes: Lanes,
    classic: bool,
}

/// Bytes around the colours of a selection: `ESC [ … m`.
const SGR_BYTES: f32 = 3.0;

impl Search {
    /// `masks`: a bit for each mask that may be drawn; 0 and one of each pair `m`, `15 - m` at least.
    pub(crate) fn new(masks: u16, palette: Option<Palette>, classic: bool) -> Self {
        let mut glyph_bytes = [NEVER; 16];
        for (mask, bytes) in glyph_bytes.iter_mut().enumerate() {
            if masks >> mask & 1 == 1 {
                *bytes = if mask == 0 { 1.0 } else { 3.0 };
            }
        }
        Self {
            palette,
            glyph_bytes,
            classic,
        }
    }

    /// The best for `quadrants` (red, green, blue of each), where an error of `urgency` counts as much as `lambda` for a
    /// byte.
    pub(crate) fn choose(
        &self,
        quadrants: &[[u8; 3]; 4],
        pen: Pen,
        urgency: f32,
        lambda: f32,
    ) -> Choice {
        let groups = Groups::new(quadrants);
        let inks = self.inks(&groups);
        let kept_foreground = groups.error_in(pen.foreground);
        let kept_background = groups.error_in(pen.background);
        let own: Lanes = std::array::from_fn(|g| groups.spread[g] + inks.error[g]);
        let spread: Lanes = std::array::from_fn(|m| groups.spread[m] + groups.spread[15 - m]);
        let price = |bytes: f32| lambda * bytes;
        let mut costs: Lanes = [0.0; 16];
        let mut floors: Lanes = [0.0; 16];
        let join = price(1.0 - SGR_BYTES);
        for m in 0..16 {
            let w = 15 - m;
            let new_foreground = urgency * inks.error[m] + price(inks.foreground_bytes[m]);
            let new_background = urgency * inks.error[w] + price(inks.background_bytes[w]);
            let (old_foreground, old_background) =
                (urgency * kept_foreground[m], urgency * kept_background[w]);
            let old_old = old_foreground + old_background;
            let new_old = new_foreground + old_background;
            let old_new = old_foreground + new_background;
            let new_new = new_foreground + new_background + join;
            let colours = old_old.min(new_old).min(old_new).min(new_new);
            costs[m] = colours + urgency * spread[m] + price(self.glyph_bytes[m]);
            floors[m] = own[m]
                + own[w]
                + if self.glyph_bytes[m] < NEVER {
                    0.0
                } else {
                    NEVER
                };
        }
        let mut best = 0;
        let mut floor = floors[0];
        for m in 1..16 {
            if costs[m] < costs[best] {
                best = m;
            }
            floor = floor.min(floors[m]);
        }
        let kept = (kept_foreground[best], kept_background[15 - best]);
        inks.choice(
            best,
            costs[best],
            kept,
            spread[best],
            (urgency, lambda),
            floor,
        )
    }

    fn inks(&self, groups: &Groups) -> Inks {
        let Some(palette) = &self.palette else {
            return Inks::free(groups);
        };
        let mut inks = Inks::free(groups);
        for g in 1..16 {
            let mean: Rgb = std::array::from_fn(|c| groups.mean[c][g].clamp(0.0, 255.0) as u8);
            let entry = palette.nearest(mean);
            let rgb = palette.entry(entry);
            inks.entries[g] = Some(entry);
            let mut error = 0.0;
            for c in 0..3 {
                let off = groups.mean[c][g] - f32::from(rgb[c]);
                error += WEIGHTS[c] * off * off;
                inks.levels[c][g] = f32::from(rgb[c]);
            }
            inks.error[g] = COUNT[g] * error;
            let bytes = |foreground| self.entry_bytes(entry, foreground) + SGR_BYTES;
            inks.foreground_bytes[g] = bytes(true);
            inks.background_bytes[g] = bytes(false);
        }
        inks
    }

    fn entry_bytes(&self, entry: u8, foreground: bool) -> f32 {
        if !self.classic {
            return 5.0 + digits(f32::from(entry));
        }
        if foreground || entry < 8 { 2.0 } else { 3.0 }
    }
}

fn digits(number: f32) -> f32 {
    1.0 + f32::from(u8::from(number > 9.5)) + f32::from(u8::from(number > 99.5))
}

/// Means and spreads of all groups of quadrants.
struct Groups {
    mean: [Lanes; 3],
    /// Error of the group drawn in its mean.
    spread: Lanes,
}

impl Groups {
    fn new(quadrants: &[[u8; 3]; 4]) -> Self {
        let mut mean = [[0.0; 16]; 3];
        let mut spread = [0.0; 16];
        for c in 0..3 {
            let level: [f32; 4] = std::array::from_fn(|q| f32::from(quadrants[q][c]));
            // Around a middle, so that squares stay small and differences of them exact.
            let middle = (level[0] + level[1] + level[2] + level[3]) * 0.25;
            let off = level.map(|level| level - middle);
            let (mut sum, mut square) = ([0.0; 16], [0.0; 16]);
            for (q, off) in off.into_iter().enumerate() {
                let bit = 1 << q;
                for g in 0..bit {
                    sum[bit + g] = sum[g] + off;
                    square[bit + g] = square[g] + off * off;
                }
            }
            for g in 0..16 {
                mean[c][g] = middle + sum[g] * INVERSE[g];
                spread[g] += WEIGHTS[c] * (square[g] - sum[g] * sum[g] * INVERSE[g]);
            }
        }
        Self { mean, spread }
    }

    /// Error on top of the spread when a group is drawn in `rgb`; cannot be chosen when there is no such colour, except
    /// for the empty group, which needs none.
    fn error_in(&self, rgb: Option<Rgb>) -> Lanes {
        let Some(rgb) = rgb else {
            let mut never = [NEVER; 16];
            never[0] = 0.0;
            return never;
        };
        let mut error = [0.0; 16];
        for c in 0..3 {
            let level = f32::from(rgb[c]);
            for g in 0..16 {
                let off = self.mean[c][g] - level;
                error[g] += WEIGHTS[c] * COUNT[g] * off * off;
            }
        }
        error
    }
}

/// The colour each group would be given anew.
struct Inks {
    levels: [Lanes; 3],
    entries: [Option<u8>; 16],
    /// Error on top of the spread.
    error: Lanes,
    /// Bytes of setting it alone.
    foreground_bytes: Lanes,
    background_bytes: Lanes,
}

impl Inks {
    /// Any colour may be had: each group's mean.
    fn free(groups: &Groups) -> Self {
        // `38;2;` and two more semicolons.
        let mut bytes = [7.0 + SGR_BYTES; 16];
        for mean in &groups.mean {
            for g in 0..16 {
                bytes[g] += digits(mean[g]);
            }
        }
        Self {
            levels: groups.mean,
            entries: [None; 16],
            error: [0.0; 16],
            foreground_bytes: bytes,
            background_bytes: bytes,
        }
    }

    fn ink(&self, group: usize) -> Ink {
        Ink {
            rgb: std::array::from_fn(|c| (self.levels[c][group] + 0.5).clamp(0.0, 255.0) as u8),
            entry: self.entries[group],
        }
    }

    /// Works out again which of the four ways gave `cost`.
    fn choice(
        &self,
        mask: usize,
        cost: f32,
        kept: (f32, f32),
        spread: f32,
        (urgency, lambda): (f32, f32),
        floor: f32,
    ) -> Choice {
        let group = 15 - mask;
        let own = (self.error[mask], self.error[group]);
        let bytes = (self.foreground_bytes[mask], self.background_bytes[group]);
        let ways = [
            (false, false, kept.0 + kept.1, 0.0),
            (true, false, own.0 + kept.1, bytes.0),
            (false, true, kept.0 + own.1, bytes.1),
            (
                true,
                true,
                own.0 + own.1,
                bytes.0 + bytes.1 + 1.0 - SGR_BYTES,
            ),
        ];
        let mut best = ways[0];
        for way in &ways[1..] {
            if urgency * way.2 + lambda * way.3 < urgency * best.2 + lambda * best.3 {
                best = *way;
            }
        }
        Choice {
            mask: mask as u8,
            foreground: best.0.then(|| self.ink(mask)),
            background: best.1.then(|| self.ink(group)),
            distortion: spread + best.2,
            floor,
            cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::palette::Colours;

    const WHITE: Rgb = [255; 3];
    const BLACK: Rgb = [0; 3];

    fn every(colours: Colours) -> Search {
        Search::new(0xffff, Palette::new(colours), colours == Colours::Palette16)
    }

    #[test]
    fn two_colours_are_drawn_exactly_and_with_the_fewest_bytes() {
        let search = every(Colours::True);
        let corner = [WHITE, BLACK, BLACK, BLACK];
        let new = search.choose(&corner, Pen::default(), 1.0, 10.0);
        assert_eq!(new.distortion, 0.0);
        assert!(new.foreground.is_some() && new.background.is_some());
        let pen = Pen {
            foreground: Some(BLACK),
            background: Some(WHITE),
        };
        let kept = search.choose(&corner, pen, 1.0, 10.0);
        assert_eq!(
            (kept.mask, kept.foreground, kept.background),
            (0b1110, None, None)
        );
        assert_eq!(kept.cost, 10.0 * 3.0);
    }

    #[test]
    fn a_dear_byte_takes_what_is_there() {
        let search = every(Colours::True);
        let pen = Pen {
            foreground: Some([100; 3]),
            background: Some([110; 3]),
        };
        let choice = search.choose(&[[112; 3]; 4], pen, 1.0, 1000.0);
        assert_eq!(
            (choice.mask, choice.foreground, choice.background),
            (0, None, None)
        );
        assert_eq!(choice.distortion, 4.0 * 7.0 * 4.0);
        assert_eq!(choice.floor, 0.0);
    }

    #[test]
    fn masks_that_may_not_be_drawn_are_not() {
        let search = Search::new(1, Palette::new(Colours::Palette256), false);
        let choice = search.choose(&[WHITE, BLACK, WHITE, BLACK], Pen::default(), 1.0, 0.1);
        assert_eq!((choice.mask, choice.foreground), (0, None));
    }

    /// All ways to draw a cell, one by one.
    fn least(quadrants: &[Rgb; 4], pen: Pen, urgency: f32, lambda: f32) -> f32 {
        let mut least = f32::MAX;
        for mask in 0..16usize {
            let group = |on: bool| (0..4usize).filter(move |q| (mask >> q & 1 == 1) == on);
            let mean = |on| {
                let count = group(on).count().max(1) as f32;
                let sum = |c: usize| group(on).map(|q| f32::from(quadrants[q][c])).sum::<f32>();
                [sum(0) / count, sum(1) / count, sum(2) / count]
            };
            let error = |on, colour: [f32; 3]| {
                let off = |q: usize, c: usize| f32::from(quadrants[q][c]) - colour[c];
                let one = |q| (0..3).map(|c| WEIGHTS[c] * off(q, c).powi(2)).sum::<f32>();
                group(on).map(one).sum::<f32>()
            };
            let bytes = |colour: [f32; 3]| 7.0 + colour.into_iter().map(digits).sum::<f32>();
            let ways = |on, kept: Option<Rgb>| {
                let mut ways = vec![(error(on, mean(on)), bytes(mean(on)))];
                if group(on).count() == 0 {
                    ways.push((0.0, 0.0));
                } else if let Some(kept) = kept {
                    ways.push((error(on, kept.map(f32::from)), 0.0));
                }
                ways
            };
            for front in ways(true, pen.foreground) {
                for back in ways(false, pen.background) {
                    let join = if front.1 > 0.0 && back.1 > 0.0 {
                        1.0
                    } else {
                        0.0
                    };
                    let sgr = if front.1 + back.1 > 0.0 {
                        SGR_BYTES
                    } else {
                        0.0
                    };
                    let glyph = if mask == 0 { 1.0 } else { 3.0 };
                    let bytes = front.1 + back.1 + join + sgr + glyph;
                    least = least.min(urgency * (front.0 + back.0) + lambda * bytes);
                }
            }
        }
        least
    }

    proptest! {
        #[test]
        fn nothing_cheaper_is_overlooked(
            quadrants in any::<[[u8; 3]; 4]>(),
            foreground in any::<Option<[u8; 3]>>(),
            background in any::<Option<[u8; 3]>>(),
            urgency in 1.0f32..20.0,
            lambda in 0.0f32..2000.0,
        ) {
            let pen = Pen { foreground, background };
            let choice = every(Colours::True).choose(&quadrants, pen, urgency, lambda);
            let wanted = least(&quadrants, pen, urgency, lambda);
            prop_assert!((choice.cost - wanted).abs() <= 1.0 + wanted * 1e-4, "{choice:?}, {wanted}");
        }
    }
}

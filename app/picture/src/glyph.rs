//! Which characters may be drawn, and what each looks like.

use crate::palette::Colours;

/// Which characters may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Quarters of a cell, U+2580 to U+259F: as safe as halves except on the Linux console.
    #[default]
    Quadrant,
    /// Halves of a cell: `▀ ▄ █`.
    Half,
    /// ASCII: cells of one colour where there are colours, a ramp of characters where there are none.
    Ascii,
    /// Dots, eight to a cell, without colour; with colours the same as [`Glyphs::Quadrant`].
    Braille,
}

/// The glyph of each mask. Bit 0 is the upper left quadrant, 1 the upper right, 2 the lower left, 3 the lower right.
pub(crate) const QUADRANTS: [char; 16] = [
    ' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█',
];

/// Dark to bright. Ten steps are as many as an eye tells apart in small characters.
pub(crate) const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// Bits of a Braille pattern, row by row, left and right.
const BRAILLE_BITS: [u8; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];

impl Glyphs {
    /// Masks that may be drawn with colours, a bit each.
    pub(crate) fn masks(self) -> u16 {
        match self {
            Self::Quadrant | Self::Braille => 0xffff,
            Self::Half => 1 << 0 | 1 << 3 | 1 << 12 | 1 << 15,
            Self::Ascii => 1 << 0,
        }
    }

    /// Samples of a cell, across and down.
    pub(crate) fn samples(self, colours: Colours) -> (usize, usize) {
        match (colours, self) {
            (Colours::None, Self::Ascii) => (1, 1),
            (Colours::None, Self::Half) => (1, 2),
            (Colours::None, Self::Braille) => (2, 4),
            _ => (2, 2),
        }
    }

    /// The glyph that shows these dots, row by row, without colour.
    pub(crate) fn dots(self, dots: u8) -> char {
        match self {
            Self::Braille => {
                let on = (0..8).filter(|dot| dots >> dot & 1 == 1);
                let pattern: u8 = on.map(|dot| BRAILLE_BITS[dot]).sum();
                char::from_u32(0x2800 + u32::from(pattern)).expect("256 patterns stand there")
            }
            Self::Half => QUADRANTS[usize::from(dots & 1) * 3 + usize::from(dots >> 1 & 1) * 12],
            Self::Quadrant | Self::Ascii => QUADRANTS[usize::from(dots & 15)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_where_they_should() {
        assert_eq!(Glyphs::Braille.dots(0b1000_0001), '⢁');
        assert_eq!(Glyphs::Braille.dots(0), '\u{2800}');
        assert_eq!(Glyphs::Half.dots(0b01), '▀');
        assert_eq!(Glyphs::Half.dots(0b10), '▄');
        assert_eq!(Glyphs::Quadrant.dots(0b0110), '▞');
    }

    #[test]
    fn halves_are_among_the_quadrants() {
        let halves = (0..16).filter(|mask| Glyphs::Half.masks() >> mask & 1 == 1);
        let drawn: String = halves.map(|mask| QUADRANTS[mask]).collect();
        assert_eq!(drawn, " ▀▄█");
    }
}

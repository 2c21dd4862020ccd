//! Colours a terminal has: the xterm palette, the nearest entry by table, and dithering that stands still.

/// How many colours may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// 24 bits.
    #[default]
    True,
    /// The fixed part of the xterm palette: entries 16 to 255. The first sixteen are the user's own and avoided.
    Palette256,
    /// The sixteen classic colours, taken to have xterm's default values: a theme may differ, nothing can be asked.
    Palette16,
    /// No colour at all.
    None,
}

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// The sixteen colours in xterm's default values.
const CLASSIC: [Rgb; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// Bits of each colour the table of the sixteen keeps: 32,768 places, each off by at most half a step of 8 levels, which
/// is nothing where colours lie a hundred apart.
const TABLE_BITS: u32 = 5;

/// Levels of the cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// A palette, and the way to the nearest entry.
#[derive(Debug)]
pub(crate) enum Palette {
    /// Entries 16 to 255: worked out, for the cube's axes are independent and the greys lie in a row.
    Cube(Box<[Rgb; 256]>),
    /// The first sixteen: looked up.
    Classic(Vec<u8>),
}

impl Palette {
    /// The palette of these colours; `None` where there is nothing to choose from.
    pub(crate) fn new(colours: Colours) -> Option<Self> {
        match colours {
            Colours::Palette256 => Some(Self::Cube(Box::new(xterm()))),
            Colours::Palette16 => Some(Self::Classic(classic_table())),
            Colours::True | Colours::None => None,
        }
    }

    pub(crate) fn nearest(&self, rgb: Rgb) -> u8 {
        match self {
            Self::Cube(entries) => nearest_in_cube(entries, rgb),
            Self::Classic(table) => {
                let [r, g, b] = rgb.map(|level| usize::from(level >> (8 - TABLE_BITS)));
                table[(r << (2 * TABLE_BITS)) | (g << TABLE_BITS) | b]
            }
        }
    }

    pub(crate) fn entry(&self, index: u8) -> Rgb {
        match self {
            Self::Cube(entries) => entries[usize::from(index)],
            Self::Classic(_) => CLASSIC[usize::from(index % 16)],
        }
    }
}

fn nearest_in_cube(entries: &[Rgb; 256], rgb: Rgb) -> u8 {
    // Steps of 40 from 95 on; below, 0 and 95.
    let step = |level: u8| match level {
        0..48 => 0,
        48..115 => 1,
        115.. => (level - 35) / 40,
    };
    let [r, g, b] = rgb.map(step);
    let cube = 16 + 36 * r + 6 * g + b;
    let mean = (2 * u16::from(rgb[0]) + 4 * u16::from(rgb[1]) + u16::from(rgb[2])) / 7;
    let grey = 232 + (mean.saturating_sub(3) / 10).min(23) as u8;
    let off = |entry: u8| distance(entries[usize::from(entry)], rgb);
    if off(grey) < off(cube) { grey } else { cube }
}

fn classic_table() -> Vec<u8> {
    let side = 1usize << TABLE_BITS;
    let level = |step: usize| u8::try_from((step * 2 + 1) * 128 / side).unwrap_or(u8::MAX);
    let nearest = |place: usize| {
        let rgb = [place / side / side, place / side % side, place % side].map(level);
        (0u8..)
            .zip(CLASSIC)
            .min_by_key(|(_, entry)| distance(*entry, rgb))
            .map_or(0, |(index, _)| index)
    };
    (0..side * side * side).map(nearest).collect()
}

/// Squared error, green weighing most, as an eye does; seven times the mean of one colour's.
pub(crate) fn distance(a: Rgb, b: Rgb) -> u32 {
    let square = |i: usize| u32::from(a[i].abs_diff(b[i])).pow(2);
    2 * square(0) + 4 * square(1) + square(2)
}

/// The palette as xterm has it: sixteen classic ones, a 6x6x6 cube, 24 greys.
pub(crate) fn xterm() -> [Rgb; 256] {
    let mut entries = [[0; 3]; 256];
    entries[..16].copy_from_slice(&CLASSIC);
    for (index, entry) in entries[16..232].iter_mut().enumerate() {
        *entry = [index / 36, index / 6 % 6, index % 6].map(|step| LEVELS[step]);
    }
    for (grey, entry) in (0u8..).zip(&mut entries[232..]) {
        *entry = [8 + 10 * grey; 3];
    }
    entries
}

/// Bayer's 4x4 thresholds, times two and around zero: -15 to 15.
///
/// The pattern stands still on the screen, so that nothing flickers and unchanged cells stay unchanged.
pub(crate) const BAYER: [[i16; 4]; 4] = [
    [-15, 1, -11, 5],
    [9, -7, 13, -3],
    [-9, 7, -13, 3],
    [15, -1, 11, -5],
];

/// Levels of dithering per step of [`BAYER`], in sixteenths of a level.
///
/// Sixteen colours: enough that a face is not one flat grey. The 216 of the cube with its greys: none, for the quadrants
/// mix two near colours already, and a pattern takes a fifth of the likeness (SSIM .90 to .71 when it spans the steps).
pub(crate) fn dither_strength(colours: Colours) -> i16 {
    match colours {
        Colours::True | Colours::Palette256 | Colours::None => 0,
        Colours::Palette16 => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_hold_the_obvious_colours() {
        let cube = Palette::new(Colours::Palette256).unwrap();
        assert_eq!(cube.nearest([255, 0, 0]), 196);
        assert_eq!(cube.nearest([0, 0, 0]), 16);
        assert_eq!(cube.nearest([128, 128, 128]), 244);
        let classic = Palette::new(Colours::Palette16).unwrap();
        assert_eq!(classic.nearest([250, 250, 250]), 15);
        assert_eq!(classic.nearest([10, 0, 0]), 0);
        assert!(Palette::new(Colours::True).is_none());
    }

    #[test]
    fn the_cube_is_searched_exactly() {
        let cube = Palette::new(Colours::Palette256).unwrap();
        for sample in 0..20_000u32 {
            let rgb = [sample * 37, sample * 101, sample * 151].map(|level| (level % 256) as u8);
            let found = distance(cube.entry(cube.nearest(rgb)), rgb);
            let best = (16..=255).map(|i| distance(cube.entry(i), rgb)).min();
            assert_eq!(Some(found), best, "{rgb:?}");
        }
    }

    #[test]
    fn the_pattern_is_balanced() {
        let mut all: Vec<i16> = BAYER.concat();
        all.sort_unstable();
        assert_eq!(all, (0..16).map(|i| 2 * i - 15).collect::<Vec<_>>());
    }
}

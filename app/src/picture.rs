//! A picture drawn in character cells: half blocks in the colours the terminal has, or a ramp of ASCII characters.
//!
//! Plain and exact: every cell of the rectangle is drawn each time, nothing outside it is touched.
//! Colours are BT.601, limited range, as the codecs deliver them.

use hullo_media::frame::Picture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::view::look::{ColourDepth, Glyphs, Look};

/// Samples taken per axis for one drawn pixel. More: smoother, and time grows with the square.
const SAMPLES_PER_AXIS_MAX: u32 = 4;

/// Dark to bright. Ten steps are as many as an eye tells apart in small characters.
const RAMP: &[u8; 10] = b" .:-=+*#%@";

/// Draws `picture` into `area`, in the middle, proportions kept, the rest of the area blank.
///
/// Returns the cells the picture covers; an empty rectangle when there is nothing to draw (no room, or planes shorter
/// than the picture's stated size).
pub fn draw(picture: &Picture, area: Rect, buffer: &mut Buffer, look: Look) -> Rect {
    let area = area.intersection(buffer.area);
    blank(area, buffer);
    let Some(source) = Source::new(picture) else {
        return Rect::ZERO;
    };
    let cells = fit(picture.width, picture.height, area);
    if cells.is_empty() {
        return Rect::ZERO;
    }
    let half_blocks = look.glyphs == Glyphs::Unicode && look.depth != ColourDepth::None;
    let columns = u32::from(cells.width);
    let rows = u32::from(cells.height) * if half_blocks { 2 } else { 1 };
    for (row, y) in (cells.top()..cells.bottom()).zip(0u32..) {
        for (column, x) in (cells.left()..cells.right()).zip(0u32..) {
            let cell = &mut buffer[(column, row)];
            if half_blocks {
                let upper = source.colour(x, y * 2, columns, rows);
                let lower = source.colour(x, y * 2 + 1, columns, rows);
                cell.set_symbol("▀")
                    .set_fg(dither(upper, (x, y * 2), look.depth))
                    .set_bg(dither(lower, (x, y * 2 + 1), look.depth));
            } else {
                let colour = source.colour(x, y, columns, rows);
                cell.set_char(ramp(colour));
                if look.depth != ColourDepth::None {
                    cell.set_fg(dither(colour, (x, y), look.depth));
                }
            }
        }
    }
    cells
}

/// The cells inside `area` that a picture of this size covers: as large as fits, centred, a cell taken to be twice as
/// high as wide.
#[must_use]
pub fn fit(width_px: u32, height_px: u32, area: Rect) -> Rect {
    if width_px == 0 || height_px == 0 || area.is_empty() {
        return Rect::ZERO;
    }
    let (width, height) = (u64::from(width_px), u64::from(height_px));
    let (columns, half_rows) = (u64::from(area.width), u64::from(area.height) * 2);
    let (columns, half_rows) = if columns * height <= half_rows * width {
        (columns, (columns * height + width / 2) / width)
    } else {
        ((half_rows * width + height / 2) / height, half_rows)
    };
    let columns = u16::try_from(columns)
        .unwrap_or(u16::MAX)
        .clamp(1, area.width);
    let rows = u16::try_from(half_rows.div_ceil(2))
        .unwrap_or(u16::MAX)
        .clamp(1, area.height);
    Rect::new(
        area.x + (area.width - columns) / 2,
        area.y + (area.height - rows) / 2,
        columns,
        rows,
    )
}

/// The colour among those the terminal has that is nearest to `rgb`.
#[must_use]
pub fn quantise(rgb: [u8; 3], depth: ColourDepth) -> Color {
    match depth {
        ColourDepth::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
        ColourDepth::Palette256 => Color::Indexed(palette_256(rgb)),
        ColourDepth::Palette16 => palette_16(rgb),
        ColourDepth::None => Color::Reset,
    }
}

/// [`quantise`], with the error spread where colours are few: between sixteen of them lie whole faces that would come
/// out as one flat grey. The pattern stands still, so that nothing flickers and unchanged cells stay unchanged.
fn dither(rgb: [u8; 3], (x, y): (u32, u32), depth: ColourDepth) -> Color {
    /// Bayer's 4x4 thresholds.
    const THRESHOLDS: [[i16; 4]; 4] =
        [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    /// Levels from one threshold to the next: all sixteen together span the distance between two greys of the palette.
    const STEP: i16 = 6;
    if depth != ColourDepth::Palette16 {
        return quantise(rgb, depth);
    }
    let offset = (2 * THRESHOLDS[(y % 4) as usize][(x % 4) as usize] - 15) * STEP / 2;
    quantise(
        rgb.map(|level| (i16::from(level) + offset).clamp(0, 255) as u8),
        depth,
    )
}

fn blank(area: Rect, buffer: &mut Buffer) {
    for row in area.top()..area.bottom() {
        for column in area.left()..area.right() {
            buffer[(column, row)].reset();
        }
    }
}

/// A picture whose planes were checked against its size.
struct Source<'a> {
    picture: &'a Picture,
    chroma_width: u32,
}

impl<'a> Source<'a> {
    fn new(picture: &'a Picture) -> Option<Self> {
        let luma = u64::from(picture.width) * u64::from(picture.height);
        let chroma_width = picture.width.div_ceil(2);
        let chroma = u64::from(chroma_width) * u64::from(picture.height.div_ceil(2));
        let whole = luma > 0
            && picture.y.len() as u64 >= luma
            && picture.u.len() as u64 >= chroma
            && picture.v.len() as u64 >= chroma;
        whole.then_some(Self {
            picture,
            chroma_width,
        })
    }

    /// The mean colour of drawn pixel (`x`, `y`) on a grid of `columns` by `rows`.
    fn colour(&self, x: u32, y: u32, columns: u32, rows: u32) -> [u8; 3] {
        let (left, right) = span(x, columns, self.picture.width);
        let (top, bottom) = span(y, rows, self.picture.height);
        let across = (right - left).min(SAMPLES_PER_AXIS_MAX);
        let down = (bottom - top).min(SAMPLES_PER_AXIS_MAX);
        let mut sum = [0u32; 3];
        for j in 0..down {
            let source_y = top + (2 * j + 1) * (bottom - top) / (2 * down);
            for i in 0..across {
                let source_x = left + (2 * i + 1) * (right - left) / (2 * across);
                let luma = source_y as usize * self.picture.width as usize + source_x as usize;
                let chroma =
                    (source_y / 2) as usize * self.chroma_width as usize + (source_x / 2) as usize;
                sum[0] += u32::from(self.picture.y[luma]);
                sum[1] += u32::from(self.picture.u[chroma]);
                sum[2] += u32::from(self.picture.v[chroma]);
            }
        }
        let samples = across * down;
        rgb(sum.map(|channel| (channel + samples / 2) / samples))
    }
}

/// The source pixels that drawn pixel `index` of `count` stands for: never empty, never past the end.
fn span(index: u32, count: u32, size: u32) -> (u32, u32) {
    let start = u64::from(index) * u64::from(size) / u64::from(count);
    let end = (u64::from(index) + 1) * u64::from(size) / u64::from(count);
    let start = u32::try_from(start).unwrap_or(u32::MAX).min(size - 1);
    let end = u32::try_from(end)
        .unwrap_or(u32::MAX)
        .clamp(start + 1, size.max(start + 1));
    (start, end)
}

/// ITU-R BT.601, limited range, in 8-bit fixed point.
fn rgb([y, u, v]: [u32; 3]) -> [u8; 3] {
    let (y, u, v) = (y as i32 - 16, u as i32 - 128, v as i32 - 128);
    let channel =
        |value: i32| u8::try_from(((298 * y + value + 128) >> 8).clamp(0, 255)).unwrap_or(u8::MAX);
    [
        channel(409 * v),
        channel(-100 * u - 208 * v),
        channel(516 * u),
    ]
}

fn ramp([r, g, b]: [u8; 3]) -> char {
    let luma = (u32::from(r) * 2 + u32::from(g) * 4 + u32::from(b)) / 7;
    char::from(RAMP[(luma as usize * RAMP.len() / 256).min(RAMP.len() - 1)])
}

/// Squared error, green weighing most, as an eye does.
fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    let square = |i: usize| u32::from(a[i].abs_diff(b[i])).pow(2);
    2 * square(0) + 4 * square(1) + square(2)
}

/// The xterm palette: a 6x6x6 cube from 16 on, 24 greys from 232 on. The first 16 are the user's own and avoided.
fn palette_256(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |channel: u8| {
        (0u8..6)
            .min_by_key(|&i| LEVELS[usize::from(i)].abs_diff(channel))
            .unwrap_or(0)
    };
    let cube = rgb.map(nearest);
    let cube_rgb = cube.map(|i| LEVELS[usize::from(i)]);
    let mean = rgb.iter().map(|&c| u32::from(c)).sum::<u32>() / 3;
    let grey = u8::try_from((mean.saturating_sub(3) / 10).min(23)).unwrap_or(23);
    if distance(rgb, [8 + 10 * grey; 3]) < distance(rgb, cube_rgb) {
        232 + grey
    } else {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    }
}

/// The sixteen colours in xterm's default values; the user's theme may differ, nothing can be asked.
const PALETTE_16: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

fn palette_16(rgb: [u8; 3]) -> Color {
    PALETTE_16
        .iter()
        .min_by_key(|(_, value)| distance(rgb, *value))
        .map_or(Color::Reset, |(colour, _)| *colour)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, height: u32, luma: u8) -> Picture {
        let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
        Picture {
            width,
            height,
            y: vec![luma; (width * height) as usize],
            u: vec![128; chroma],
            v: vec![128; chroma],
        }
    }

    const TRUE: Look = Look {
        depth: ColourDepth::True,
        glyphs: Glyphs::Unicode,
    };

    #[test]
    fn proportions_are_kept_and_the_picture_is_centred() {
        assert_eq!(
            fit(640, 360, Rect::new(0, 0, 64, 40)),
            Rect::new(0, 11, 64, 18)
        );
        assert_eq!(
            fit(360, 640, Rect::new(2, 3, 64, 16)),
            Rect::new(25, 3, 18, 16)
        );
        assert_eq!(fit(640, 360, Rect::new(0, 0, 1, 1)), Rect::new(0, 0, 1, 1));
        assert_eq!(fit(0, 360, Rect::new(0, 0, 9, 9)), Rect::ZERO);
    }

    #[test]
    fn white_and_black_come_out_as_such() {
        assert_eq!(rgb([235, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb([16, 128, 128]), [0, 0, 0]);
        assert_eq!(rgb([81, 90, 240]), [255, 0, 0]);
    }

    #[test]
    fn the_upper_half_is_the_foreground_and_the_lower_the_background() {
        let mut picture = grey(8, 8, 16);
        picture.y[..32].fill(235);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        let cells = draw(&picture, buffer.area, &mut buffer, TRUE);
        assert_eq!(cells, Rect::new(1, 0, 2, 1));
        assert_eq!(buffer[(1, 0)].symbol(), "▀");
        assert_eq!(buffer[(1, 0)].fg, Color::Rgb(255, 255, 255));
        assert_eq!(buffer[(1, 0)].bg, Color::Rgb(0, 0, 0));
        assert_eq!(buffer[(0, 0)].symbol(), " ", "letterbox is blank");
    }

    #[test]
    fn without_colour_only_ascii_is_drawn_and_no_colour_set() {
        let look = Look {
            depth: ColourDepth::None,
            glyphs: Glyphs::Unicode,
        };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 2));
        draw(&grey(8, 8, 235), buffer.area, &mut buffer, look);
        assert!(
            buffer
                .content
                .iter()
                .all(|cell| cell.symbol() == "@" && cell.fg == Color::Reset)
        );
    }

    #[test]
    fn palettes_hold_the_obvious_colours() {
        assert_eq!(palette_256([255, 0, 0]), 196);
        assert_eq!(palette_256([0, 0, 0]), 16);
        assert_eq!(palette_256([128, 128, 128]), 244);
        assert_eq!(palette_16([250, 250, 250]), Color::White);
        assert_eq!(palette_16([10, 0, 0]), Color::Black);
    }

    #[test]
    fn with_sixteen_colours_two_greys_stay_two() {
        let area = Rect::new(0, 0, 8, 4);
        let drawn = |luma| {
            let mut buffer = Buffer::empty(area);
            let look = Look {
                depth: ColourDepth::Palette16,
                ..TRUE
            };
            draw(&grey(8, 8, luma), area, &mut buffer, look);
            buffer
        };
        // The nearest colour of both is the same dark grey.
        let nearest = |luma| quantise(rgb([luma, 128, 128]), ColourDepth::Palette16);
        assert_eq!(nearest(110), nearest(140));
        assert_ne!(drawn(110), drawn(140));
        assert_eq!(drawn(110), drawn(110));
    }

    #[test]
    fn a_picture_that_lies_about_its_size_draws_nothing() {
        let mut picture = grey(8, 8, 235);
        picture.v.pop();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 2));
        assert_eq!(draw(&picture, buffer.area, &mut buffer, TRUE), Rect::ZERO);
        assert_eq!(buffer, Buffer::empty(Rect::new(0, 0, 4, 2)));
    }

    proptest! {
        #[test]
        fn nothing_outside_the_rectangle_is_touched(
            width in 0u32..70, height in 0u32..50,
            x in 0u16..30, y in 0u16..12, columns in 0u16..40, rows in 0u16..20,
            depth in prop::sample::select(vec![
                ColourDepth::True, ColourDepth::Palette256, ColourDepth::Palette16, ColourDepth::None,
            ]),
            ascii in any::<bool>(),
        ) {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 24, 10));
            for cell in &mut buffer.content {
                cell.set_char('X');
            }
            let area = Rect::new(x, y, columns, rows);
            let glyphs = if ascii { Glyphs::Ascii } else { Glyphs::Unicode };
            draw(&grey(width, height, 100), area, &mut buffer, Look { depth, glyphs });
            for row in 0..10 {
                for column in 0..24 {
                    let inside = area.contains((column, row).into());
                    prop_assert_eq!(buffer[(column, row)].symbol() == "X", !inside);
                }
            }
        }
    }
}

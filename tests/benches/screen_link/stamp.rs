//! A clip too busy for the line, each picture of which says which it is, and the reading of it off a terminal.
//!
//! The number is written twice, as eight fields dark or bright across the top sixth of the picture, and turned over in the
//! sixth below: half a number of one picture and half of another does not pass for a number. It is a Gray code, so that
//! one picture differs from the next in two fields.

use std::io::{self, Write};

use hullo_tests::bench::clip::write_stress;
use hullo_tests::bench::y4m::{Reader, Shape, write_header, write_picture};
use vt100::{Color, Screen};

/// Small, so that coding it is not what is measured; more than a terminal shows.
const SHAPE: Shape = Shape {
    width: 320,
    height: 180,
    rate_fps: 30,
};
/// Pictures of the clip, which is played again and again.
const PICTURES: u32 = 240;
/// Length of the clip, seconds.
pub(crate) const CLIP_S: f64 = PICTURES as f64 / SHAPE.rate_fps as f64;
const FIELDS: usize = 8;
/// The number takes two of these parts of the height.
const PARTS: usize = 6;
const DARK: u8 = 32;
const BRIGHT: u8 = 224;
/// A field and its opposite that are nearer than this, of 255, are read as neither.
const APART: f64 = 60.0;

/// Writes the clip.
///
/// # Errors
/// The disk's fault.
pub(crate) fn write_clip(out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let mut plain = Vec::new();
    write_stress(&mut plain, SHAPE, PICTURES, 1)?;
    let mut plain = Reader::new(io::Cursor::new(plain))?;
    write_header(out, SHAPE)?;
    let mut number = 0;
    while let Some(mut luma) = plain.read_luma()? {
        let code = number ^ (number >> 1);
        for (at, level) in luma.iter_mut().enumerate() {
            let (x, y) = (at % SHAPE.width, at / SHAPE.width);
            let part = y * PARTS / SHAPE.height;
            if part < 2 {
                let is_set = code >> (x * FIELDS / SHAPE.width) & 1 == 1;
                *level = if is_set == (part == 0) { BRIGHT } else { DARK };
            }
        }
        write_picture(out, &luma, &vec![128; SHAPE.chroma_len()])?;
        number += 1_u32;
    }
    Ok(())
}

/// Where the picture stands, in cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    left: u16,
    top: u16,
    columns: u16,
    rows: u16,
}

impl Place {
    /// The cells that have a colour of their own behind them, in rows where most do.
    pub(crate) fn find(screen: &Screen) -> Option<Self> {
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let coloured = |row, column| {
            let cell = screen.cell(row, column);
            cell.is_some_and(|cell| matches!(cell.bgcolor(), Color::Rgb(..)))
        };
        let of_picture: Vec<u16> = (0..rows)
            .filter(|row| {
                (0..columns)
                    .filter(|column| coloured(*row, *column))
                    .count()
                    > 40
            })
            .collect();
        let (top, bottom) = (*of_picture.first()?, *of_picture.last()?);
        let has = |column: &u16| of_picture.iter().any(|row| coloured(*row, *column));
        let left = (0..columns).find(has)?;
        let right = (0..columns).rfind(has)?;
        Some(Self {
            left,
            top,
            columns: right - left + 1,
            rows: bottom - top + 1,
        })
    }

    /// Which picture stands there: its time in the clip, seconds. `None`: not one, or not whole.
    pub(crate) fn read(self, screen: &Screen) -> Option<f64> {
        let mut code = 0_u32;
        for field in 0..FIELDS {
            let (upper, lower) = (self.level(screen, field, 0)?, self.level(screen, field, 1)?);
            if (upper - lower).abs() < APART {
                return None;
            }
            code |= u32::from(upper > lower) << field;
        }
        let mut number = code;
        for shift in [1, 2, 4] {
            number ^= number >> shift;
        }
        (number < PICTURES).then(|| f64::from(number) / f64::from(SHAPE.rate_fps))
    }

    /// The mean brightness in the middle of a field.
    fn level(self, screen: &Screen, field: usize, part: usize) -> Option<f64> {
        let middle = |length: u16, at: usize, of: usize| {
            (f64::from(length) * (at as f64 + 0.5) / of as f64) as u16
        };
        let column = self.left + middle(self.columns, field, FIELDS);
        let row = self.top + middle(self.rows, part, PARTS);
        let levels: Option<Vec<f64>> = (column - 2..=column + 2)
            .map(|column| level(screen.cell(row, column)?))
            .collect();
        let levels = levels?;
        Some(levels.iter().sum::<f64>() / levels.len() as f64)
    }
}

/// How bright a cell is, 0 to 255.
fn level(cell: &vt100::Cell) -> Option<f64> {
    let quarters = match cell.contents() {
        "" | " " => 0.0,
        "▘" | "▝" | "▖" | "▗" => 1.0,
        "▀" | "▄" | "▌" | "▐" | "▚" | "▞" => 2.0,
        "▛" | "▜" | "▙" | "▟" => 3.0,
        "█" => 4.0,
        _ => return None,
    };
    let bright = |colour| match colour {
        Color::Rgb(red, green, blue) => {
            Some((f64::from(red) + f64::from(green) + f64::from(blue)) / 3.0)
        }
        _ => None,
    };
    // What no part of the glyph shows may have any colour.
    let front = bright(cell.fgcolor())
        .filter(|_| quarters > 0.0)
        .unwrap_or(0.0);
    let back = if quarters < 4.0 {
        bright(cell.bgcolor())?
    } else {
        0.0
    };
    Some((front * quarters + back * (4.0 - quarters)) / 4.0)
}

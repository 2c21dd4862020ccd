//! Pictures of pixels, for whoever asked for them: at least ten times the bytes of characters, so they are for a terminal
//! on the same machine. Sixel or kitty, what is drawn over them left out, and never more bytes a second than allowed:
//! a picture that would be too many is dropped before it is encoded.
//!
//! No I/O and no clock: time and the rate are arguments.

use std::time::{Duration, Instant};

use crate::encoder::{TILES_MAX, Tile};
use crate::kitty::{self, KITTY_CLEAR};
use crate::picture::PictureRef;
use crate::scale::{LEVEL, Planes, Scaler};
use crate::screen::{Mask, Rect};
use crate::sixel::{self, BAND, Part};
use crate::write::{RESTORE, SAVE};

/// Pictures a second that the size in pixels is chosen for: finer ones would move like a slide show.
const RATE_AIM: usize = 10;
/// Rectangles that one picture is cut into by what lies over it; what is more is not drawn.
const PARTS_MAX: usize = 64;
/// Bytes of a pixel before any was sent.
const PIXEL_BYTES_START: f64 = 1.5;
/// The share of the room that a finer size must leave, so that sizes do not change back and forth.
const FINER_SHARE: f64 = 0.6;
/// Strips that sixels of one picture are written in, at most but for a rest.
const STRIPS: u16 = 4;
/// Largest cell taken for true, pixels.
const CELL_PX_MAX: u16 = 128;

/// How pixels are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelKind {
    /// DEC's sixels.
    Sixel,
    /// The kitty graphics protocol.
    Kitty,
}

/// What one frame came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelStats {
    /// Bytes appended.
    pub bytes: usize,
    /// Pictures drawn anew.
    pub pictures: usize,
}

/// One picture's place and what it shows.
#[derive(Debug, Default)]
struct Shown {
    rect: Rect,
    /// Where nothing lies over it.
    parts: Vec<Rect>,
    scaler: Scaler,
    planes: Planes,
    /// Size in pixels and red, green and blue of what was sent; nothing yet: empty.
    size: (usize, usize),
    sent: Vec<u8>,
    /// Its number in the terminal.
    id: u32,
}

/// Rectangles, what covers them, and the size of the screen in cells.
type Layout = (Vec<Rect>, Mask, (u16, u16));

/// Draws pictures of pixels on one screen.
#[derive(Debug)]
pub struct PixelScreen {
    kind: PixelKind,
    cell: (usize, usize),
    layout: Option<Layout>,
    shown: Vec<Shown>,
    /// The tile whose turn it is.
    next: usize,
    last_id: u32,
    ready: Option<Instant>,
    pixel_bytes: f64,
    /// Cells are this many times as fine as what is sent.
    divisor: usize,
    cuts: Vec<usize>,
}

impl PixelScreen {
    /// A screen whose cells are so many pixels across and down; `None`: no cell of a terminal is so small or so large.
    #[must_use]
    pub fn new(kind: PixelKind, (across, down): (u16, u16)) -> Option<Self> {
        let is_one = |side: u16| (2..=CELL_PX_MAX).contains(&side);
        (is_one(across) && is_one(down)).then(|| Self {
            kind,
            cell: (across.into(), down.into()),
            layout: None,
            shown: Vec::new(),
            next: 0,
            last_id: 0,
            ready: None,
            pixel_bytes: PIXEL_BYTES_START,
            divisor: 1,
            cuts: Vec::new(),
        })
    }

    /// How pixels are told.
    #[must_use]
    pub fn kind(&self) -> PixelKind {
        self.kind
    }

    /// When the next picture may be drawn; `None`: at once.
    #[must_use]
    pub fn ready(&self) -> Option<Instant> {
        self.ready
    }

    /// Where the bytes of the last frame may be cut, as with [`Encoder::cuts`](crate::Encoder::cuts).
    #[must_use]
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Nothing is known of what is shown any more: the terminal was cleared.
    pub fn invalidate(&mut self) {
        self.layout = None;
    }

    /// Takes in where pictures and what covers them are now. Whatever stands where no picture is any more is taken away:
    /// what is appended to `out` for that must be written before anything else. Sixels go when something is written over
    /// them, so whoever leaves cells must write them.
    pub fn lay_out(
        &mut self,
        tiles: &[Tile<'_>],
        mask: &Mask,
        (columns, rows): (u16, u16),
        out: &mut Vec<u8>,
    ) {
        let tiles = &tiles[..tiles.len().min(TILES_MAX)];
        let rects: Vec<Rect> = (tiles.iter())
            .map(|tile| tile.rect.clipped(columns, rows))
            .collect();
        let is_same = (self.layout.as_ref()).is_some_and(|(old, covered, size)| {
            *old == rects && covered == mask && *size == (columns, rows)
        });
        if is_same {
            return;
        }
        let had_some = self.shown.iter().any(|shown| !shown.sent.is_empty());
        if self.kind == PixelKind::Kitty && (had_some || self.layout.is_none()) {
            out.extend_from_slice(KITTY_CLEAR);
        }
        let shown = rects.iter().enumerate().map(|(index, rect)| Shown {
            rect: *rect,
            parts: self.parts(*rect, rows, &rects[..index], mask),
            ..Shown::default()
        });
        self.shown = shown.collect();
        self.layout = Some((rects, mask.clone(), (columns, rows)));
    }

    /// The rectangles of `rect` that neither `mask` nor an earlier picture covers.
    fn parts(&self, rect: Rect, rows: u16, above: &[Rect], mask: &Mask) -> Vec<Rect> {
        // Terminals scroll after sixels in the last row.
        let is_last = |row: u16| self.kind == PixelKind::Sixel && row + 1 == rows;
        let is_free = |column: u16, row: u16| {
            !is_last(row)
                && !mask.covers(column, row)
                && !above.iter().any(|above| above.contains(column, row))
        };
        let (mut parts, mut open): (Vec<Rect>, Vec<Rect>) = (Vec::new(), Vec::new());
        for row in rect.y..rect.y + rect.rows {
            let mut spans: Vec<Rect> = Vec::new();
            for column in rect.x..rect.x + rect.columns {
                if !is_free(column, row) {
                    continue;
                }
                match spans
                    .last_mut()
                    .filter(|span| span.x + span.columns == column)
                {
                    Some(span) => span.columns += 1,
                    None => spans.push(Rect::new(column, row, 1, 1)),
                }
            }
            let is_same = |old: &[Rect], new: &[Rect]| {
                old.len() == new.len()
                    && old
                        .iter()
                        .zip(new)
                        .all(|(a, b)| (a.x, a.columns) == (b.x, b.columns))
            };
            if is_same(&open, &spans) {
                open.iter_mut().for_each(|part| part.rows += 1);
            } else {
                parts.append(&mut open);
                open = spans;
            }
        }
        parts.append(&mut open);
        parts.truncate(PARTS_MAX);
        parts
    }

    /// Appends to `out` what brings the screen up to `tiles`, laid out before ([`Self::lay_out`]), as far as `rate` bytes
    /// a second allow: nothing before [`Self::ready`], and at least one picture then. Only cells inside the tiles that
    /// nothing covers change. Cursor and colours are afterwards what they were.
    pub fn encode(
        &mut self,
        now: Instant,
        tiles: &[Tile<'_>],
        rate: usize,
        out: &mut Vec<u8>,
    ) -> PixelStats {
        self.cuts.clear();
        let mut stats = PixelStats::default();
        let count = self.shown.len().min(tiles.len());
        if count == 0 || self.ready.is_some_and(|ready| now < ready) {
            return stats;
        }
        self.choose_divisor(rate);
        let start = out.len();
        out.extend_from_slice(SAVE);
        for turn in 0..count {
            let index = (self.next + turn) % count;
            if self.draw(index, &tiles[index].picture, out) {
                stats.pictures += 1;
            }
            if out.len() - start > rate / RATE_AIM {
                self.next = (index + 1) % count;
                break;
            }
        }
        if stats.pictures == 0 {
            out.truncate(start);
            self.cuts.clear();
            return stats;
        }
        out.extend_from_slice(RESTORE);
        stats.bytes = out.len() - start;
        self.cuts.iter_mut().for_each(|cut| *cut -= start);
        let takes = Duration::from_secs_f64(stats.bytes as f64 / rate.max(1) as f64);
        // What a pause saved is not spent in a burst.
        self.ready = Some(now + takes);
        stats
    }

    fn choose_divisor(&mut self, rate: usize) {
        let room = (rate / RATE_AIM) as f64;
        let cells: usize = (self.shown.iter().flat_map(|shown| &shown.parts))
            .map(|part| usize::from(part.columns) * usize::from(part.rows))
            .sum();
        let bytes = |divisor: usize| {
            let (across, down) = (self.cell.0 / divisor, self.cell.1 / divisor);
            (cells * across * down) as f64 * self.pixel_bytes
        };
        // Coarser than that characters are as good.
        let most = (self.cell.0 / 2).min(self.cell.1 / 4).max(1);
        let wanted = (1..=most).find(|&divisor| bytes(divisor) <= room);
        let wanted = wanted.unwrap_or(most);
        if wanted > self.divisor || bytes(wanted) <= FINER_SHARE * room {
            self.divisor = wanted;
        }
    }

    /// Draws one picture if it changed; whether it did.
    fn draw(&mut self, index: usize, picture: &PictureRef<'_>, out: &mut Vec<u8>) -> bool {
        let shown = &mut self.shown[index];
        if shown.parts.is_empty() {
            return false;
        }
        let side = |cells: u16, cell: usize, most: u32| {
            (usize::from(cells) * cell / self.divisor)
                .min(most as usize)
                .max(1)
        };
        let size = (
            side(shown.rect.columns, self.cell.0, picture.width),
            side(shown.rect.rows, self.cell.1, picture.height),
        );
        shown.scaler.scale(picture, size, &mut shown.planes);
        let rgb = interleave(&shown.planes);
        if shown.size == size && shown.sent == rgb {
            return false;
        }
        let start = out.len();
        if shown.sent.is_empty() {
            blank(&shown.parts, out);
        }
        let pixels = match self.kind {
            PixelKind::Kitty => {
                self.last_id = self.last_id % 0xff_ffff + 1;
                kitty_picture(shown, self.last_id, &rgb, size, out, &mut self.cuts);
                size.0 * size.1
            }
            PixelKind::Sixel => {
                let is_new = shown.sent.is_empty() || shown.size != size;
                let old = (!is_new).then_some(shown.sent.as_slice());
                sixel_picture(shown, self.cell, (&rgb, old, size), out, &mut self.cuts);
                size.0 * size.1
            }
        };
        (shown.size, shown.sent) = (size, rgb);
        let found = (out.len() - start) as f64 / pixels as f64;
        self.pixel_bytes += 0.3 * (found.clamp(0.01, 8.0) - self.pixel_bytes);
        true
    }
}

fn interleave(planes: &Planes) -> Vec<u8> {
    let [red, green, blue] = planes;
    let level = |level: i16| ((level + LEVEL / 2) / LEVEL).clamp(0, 255) as u8;
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .flat_map(|((&r, &g), &b)| [level(r), level(g), level(b)])
        .collect()
}

/// Empty cells in the terminal's own colours: what was there before must not show when the picture goes.
fn blank(parts: &[Rect], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\x1b[m");
    for part in parts {
        for row in part.y..part.y + part.rows {
            let (row, column, count) = (row + 1, part.x + 1, part.columns);
            out.extend_from_slice(format!("\x1b[{row};{column}H\x1b[{count}X").as_bytes());
        }
    }
}

/// The pixels of a picture of `size` pixels on `rect` that stand on `part`.
fn pixels_of(rect: Rect, part: Rect, size: (usize, usize)) -> (usize, usize, usize, usize) {
    let span = |from: u16, count: u16, cells: u16, pixels: usize| {
        let at = |cell: u16| usize::from(cell) * pixels / usize::from(cells);
        let start = at(from).min(pixels - 1);
        (start, (at(from + count) - start).max(1))
    };
    let (x, width) = span(part.x - rect.x, part.columns, rect.columns, size.0);
    let (y, height) = span(part.y - rect.y, part.rows, rect.rows, size.1);
    (x, y, width, height)
}

fn kitty_picture(
    shown: &mut Shown,
    id: u32,
    rgb: &[u8],
    size: (usize, usize),
    out: &mut Vec<u8>,
    cuts: &mut Vec<usize>,
) {
    kitty::transmit(id, rgb, size, out, cuts);
    cuts.push(out.len());
    for (number, part) in (1..).zip(&shown.parts) {
        kitty::place(id, number, pixels_of(shown.rect, *part, size), *part, out);
    }
    if shown.id != 0 {
        kitty::delete(shown.id, out);
    }
    shown.id = id;
}

/// Strips that are whole bands where that is possible; those that are as they were (`old`) are left out.
fn sixel_picture(
    shown: &Shown,
    cell: (usize, usize),
    (rgb, old, size): (&[u8], Option<&[u8]>, (usize, usize)),
    out: &mut Vec<u8>,
    cuts: &mut Vec<usize>,
) {
    let rect = shown.rect;
    let width = usize::from(rect.columns) * cell.0;
    let height = usize::from(rect.rows) * cell.1;
    let source_row = |y: usize| y * size.1 / height;
    let entries = sixel::entries(rgb, size.0);
    let mut drawn = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = &entries[source_row(y) * size.0..][..size.0];
        drawn.extend((0..width).map(|x| row[x * size.0 / width]));
    }
    // A key's echo waits for a strip at most; each says its colours anew.
    let whole = (1..=BAND as u16)
        .find(|rows| (usize::from(*rows) * cell.1).is_multiple_of(BAND))
        .unwrap_or(1);
    let strip_rows = whole * rect.rows.div_ceil(whole * STRIPS).max(1);
    for part in &shown.parts {
        for top in (part.y..part.y + part.rows).step_by(strip_rows.into()) {
            let rows = strip_rows.min(part.y + part.rows - top);
            let at = usize::from(top - rect.y) * cell.1;
            let down = usize::from(rows) * cell.1;
            let source = source_row(at) * size.0 * 3..(source_row(at + down - 1) + 1) * size.0 * 3;
            if old.is_some_and(|old| old[source.clone()] == rgb[source]) {
                continue;
            }
            cuts.push(out.len());
            let (row, column) = (top + 1, part.x + 1);
            out.extend_from_slice(format!("\x1b[{row};{column}H").as_bytes());
            let part = Part {
                entries: &drawn,
                stride: width,
                at: (usize::from(part.x - rect.x) * cell.0, at),
                size: (usize::from(part.columns) * cell.0, down),
            };
            sixel::encode(part, out);
        }
    }
}

#[cfg(test)]
mod tests;

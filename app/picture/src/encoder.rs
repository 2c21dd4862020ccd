//! The encoder: pictures, a mask and a budget in, bytes out, and a model of what is shown.

use crate::glyph::{Glyphs, QUADRANTS};
use crate::mono::Mono;
use crate::palette::{Colours, Palette, xterm};
use crate::picture::PictureRef;
use crate::rate::{Gains, Plan, Rate};
use crate::screen::{Cell, Colour, Grid, Mask, Rect, SIDE_CELLS_MAX};
use crate::search::{Choice, Ink, Pen, Search};
use crate::tile::TileState;
use crate::write::{CELL_BYTES_MAX, FRAME_BYTES, Writer};

/// Most tiles drawn; a screen has room for no more faces. Tiles beyond are left out.
pub const TILES_MAX: usize = 64;

/// What is worth a byte when there are enough of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Levels (of 255) that a cell may be off, beyond what cannot be helped, before it is looked at again.
    pub threshold: f32,
    /// Price of a byte: squared levels of error, summed over a cell's four quadrants, that it must save.
    pub lambda: f32,
}

impl Quality {
    /// The working point: above every player's half blocks at a fiftieth of their bytes.
    pub const WORKING: Self = Self {
        threshold: 3.0,
        lambda: 10.0,
    };
    /// As good as quadrants get, at about a tenth of what sending them all takes.
    pub const FINE: Self = Self {
        threshold: 0.6,
        lambda: 0.2,
    };
}

/// Links slower than the first get the working point, faster than the second the fine one, bytes a second: what the fine
/// one takes of a talking head, and what a flow begins with ([`crate::Flow`]).
const RATES: (f32, f32) = (60_000.0, 400_000.0);

impl Quality {
    /// What suits a terminal that takes in so many bytes a second: from [`Self::WORKING`] to [`Self::FINE`] without a
    /// step in between.
    #[must_use]
    pub fn for_rate(bytes_per_second: usize) -> Self {
        let (slow, fast) = RATES;
        let part = ((bytes_per_second as f32 / slow).ln() / (fast / slow).ln()).clamp(0.0, 1.0);
        // In ratios: each doubling of the rate does the same.
        let between = |from: f32, to: f32| from * (to / from).powf(part);
        Self {
            threshold: between(Self::WORKING.threshold, Self::FINE.threshold),
            lambda: between(Self::WORKING.lambda, Self::FINE.lambda),
        }
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::WORKING
    }
}

/// How to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EncoderOptions {
    /// Colours the terminal has.
    pub colours: Colours,
    /// Characters it has.
    pub glyphs: Glyphs,
    /// Price of a byte when the budget is no limit.
    pub quality: Quality,
    /// Without colours: the terminal's characters are darker than what is behind them.
    pub dark_on_light: bool,
}

impl EncoderOptions {
    pub(crate) fn mono(&self) -> Mono {
        Mono {
            glyphs: self.glyphs,
            dark_on_light: self.dark_on_light,
        }
    }
}

/// A picture and where it is drawn: the whole picture fills the whole rectangle.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// Where, in cells; clipped to the screen. Of tiles that overlap the first is drawn.
    pub rect: Rect,
    /// What.
    pub picture: PictureRef<'a>,
}

/// What one frame came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameStats {
    /// Bytes appended.
    pub bytes: usize,
    /// Cells drawn anew.
    pub cells: usize,
    /// Price of a byte in the end; above [`Quality::lambda`] when the budget was a limit.
    pub lambda: f32,
    /// Every cell of every tile, as far as not covered, shows some of its picture: false while the first paint is spread
    /// over frames.
    pub painted: bool,
}

/// What a cell could be coded as.
struct Proposal {
    cell: Cell,
    /// In colour: what was weighed.
    choice: Option<Choice>,
}

/// Draws moving pictures on one screen.
///
/// It holds what its own bytes made the terminal show ([`Encoder::shown`]) and relies on it: whoever clears the screen or
/// draws over a tile without covering it in the mask must say so with [`Encoder::invalidate`].
#[derive(Debug)]
pub struct Encoder {
    options: EncoderOptions,
    columns: u16,
    rows: u16,
    grid: Grid,
    search: Search,
    rate: Rate,
    tiles: Vec<TileState>,
    /// Rectangles and mask that `claims` was made for.
    layout: Option<(Vec<Rect>, Mask)>,
    /// Which tile draws each cell of the screen, counted from one; 0 none.
    claims: Vec<u8>,
    /// Frames encoded.
    turn: usize,
    /// Where the last frame ran out of bytes: the next one begins there.
    first_row: usize,
    /// Where the last frame may be cut.
    cuts: Vec<usize>,
    classic: [[u8; 3]; 256],
}

impl Encoder {
    /// An encoder for a screen of `columns` by `rows` cells (at most [`SIDE_CELLS_MAX`] each), of which nothing is known.
    #[must_use]
    pub fn new(options: EncoderOptions, columns: u16, rows: u16) -> Self {
        let (columns, rows) = (columns.min(SIDE_CELLS_MAX), rows.min(SIDE_CELLS_MAX));
        Self {
            search: Search::new(
                options.glyphs.masks(),
                Palette::new(options.colours),
                options.colours == Colours::Palette16,
            ),
            options,
            columns,
            rows,
            grid: Grid::new(columns, rows),
            rate: Rate::new(),
            tiles: Vec::new(),
            layout: None,
            claims: vec![0; usize::from(columns) * usize::from(rows)],
            turn: 0,
            first_row: 0,
            cuts: Vec::new(),
            classic: xterm(),
        }
    }

    /// The screen has another size now; nothing is known of what it shows.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        *self = Self {
            turn: self.turn,
            ..Self::new(self.options, columns, rows)
        };
    }

    /// What is worth a byte from now on. What is shown stays.
    pub fn set_quality(&mut self, quality: Quality) {
        self.options.quality = quality;
    }

    /// Nothing is known of what is shown any more: the terminal was cleared, or something drew over the pictures.
    pub fn invalidate(&mut self) {
        self.grid.forget();
        self.layout = None;
        for tile in &mut self.tiles {
            tile.adopt(&self.grid);
        }
    }

    /// What the bytes so far have made the terminal show.
    #[must_use]
    pub fn shown(&self) -> &Grid {
        &self.grid
    }

    /// Where the bytes of the last frame may be cut, counted from the first of them: what follows a cut says place and
    /// colours anew. Pieces are at most [`PIECE_BYTES`](crate::PIECE_BYTES); a short frame has no cut.
    #[must_use]
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Takes in where pictures and what covers them are now, and draws nothing: for a frame that is left out. What was
    /// drawn over a picture meanwhile is known then, and drawn again when it goes.
    pub fn lay_out(&mut self, tiles: &[Tile<'_>], mask: &Mask) {
        self.arrange(&tiles[..tiles.len().min(TILES_MAX)], mask);
    }

    /// Appends to `out` what brings the screen closest to `tiles` in at most about `budget_bytes` bytes: a frame may take
    /// 1.7 budgets when earlier ones took less; any second stays within 5 % at 15 frames a second or more.
    ///
    /// Only cells inside the tiles and outside `mask` are drawn. The bytes are whole escapes and characters; cursor and
    /// colours are afterwards what they were (colours: reset, then brought back with the cursor). Nothing is appended
    /// when nothing is worth it.
    pub fn encode(
        &mut self,
        tiles: &[Tile<'_>],
        mask: &Mask,
        budget_bytes: usize,
        out: &mut Vec<u8>,
    ) -> FrameStats {
        let tiles = &tiles[..tiles.len().min(TILES_MAX)];
        self.arrange(tiles, mask);
        self.turn = self.turn.wrapping_add(1);
        let mut gains = Gains::new();
        for (state, tile) in self.tiles.iter_mut().zip(tiles) {
            if !state.rect.is_empty() {
                state.prepare(&tile.picture, &self.options, self.turn);
            }
        }
        self.drop_covered();
        for state in &self.tiles {
            state.count(&mut gains);
        }
        let lambda_min = self.options.quality.lambda * 7.0;
        let mut plan = self.rate.plan(&gains, budget_bytes, lambda_min);
        let mut writer = Writer::new(out, self.columns);
        let cells = self.write(&mut plan, &mut writer);
        let lambda = plan.lambda(writer.bytes()) / 7.0;
        let (bytes, cuts) = writer.finish();
        self.cuts = cuts;
        self.rate.learn(&plan, budget_bytes, cells, bytes);
        FrameStats {
            bytes,
            cells,
            lambda,
            painted: self.painted(),
        }
    }

    /// Brings tiles and claims in line with where pictures are drawn now.
    fn arrange(&mut self, tiles: &[Tile<'_>], mask: &Mask) {
        let rect = |tile: &Tile<'_>| tile.rect.clipped(self.columns, self.rows);
        let rects: Vec<Rect> = tiles.iter().map(rect).collect();
        let arranged = self
            .layout
            .as_ref()
            .is_some_and(|(old, covered)| *old == rects && covered == mask);
        if arranged {
            return;
        }
        self.claims.fill(0);
        for (index, rect) in (1..).zip(&rects) {
            self.claim(*rect, |claim| if claim == 0 { index } else { claim });
        }
        for rect in mask.rects() {
            self.claim(rect.clipped(self.columns, self.rows), |_| 0);
        }
        for row in 0..self.rows {
            for column in 0..self.columns {
                if self.claims[self.screen_place(column, row)] == 0 {
                    self.grid.set(column, row, None);
                }
            }
        }
        self.tiles.truncate(rects.len());
        for (index, rect) in rects.iter().enumerate() {
            match self.tiles.get_mut(index) {
                Some(state) if state.rect == *rect => state.adopt(&self.grid),
                Some(state) => *state = TileState::new(*rect, &self.grid),
                None => self.tiles.push(TileState::new(*rect, &self.grid)),
            }
        }
        self.layout = Some((rects, mask.clone()));
    }

    fn claim(&mut self, rect: Rect, claim: impl Fn(u8) -> u8) {
        for row in rect.y..rect.y + rect.rows {
            let start = self.screen_place(rect.x, row);
            for place in &mut self.claims[start..start + usize::from(rect.columns)] {
                *place = claim(*place);
            }
        }
    }

    fn screen_place(&self, column: u16, row: u16) -> usize {
        usize::from(row) * usize::from(self.columns) + usize::from(column)
    }

    /// Cells that a tile does not draw gain nothing.
    fn drop_covered(&mut self) {
        for (claim, tile) in (1u8..).zip(&mut self.tiles) {
            let rect = tile.rect;
            for row in rect.y..rect.y + rect.rows {
                let start = usize::from(row) * usize::from(self.columns) + usize::from(rect.x);
                let claims = &self.claims[start..start + usize::from(rect.columns)];
                let first = tile.place(rect.x, row);
                for (gain, &owner) in tile.gain[first..].iter_mut().zip(claims) {
                    if owner != claim {
                        *gain = 0.0;
                    }
                }
            }
        }
    }

    /// Codes rows until all are done or the bytes are used up; the number of cells coded.
    fn write(&mut self, plan: &mut Plan, writer: &mut Writer<'_>) -> usize {
        let rows = self.tiles.iter().enumerate().flat_map(|(index, tile)| {
            let rect = tile.rect;
            (rect.y..rect.y + rect.rows).map(move |row| (index, row))
        });
        let mut rows: Vec<(usize, u16)> = rows.collect();
        if rows.is_empty() {
            return 0;
        }
        let count = rows.len();
        let first = self.first_row % count;
        rows.rotate_left(first);
        let mut cells = 0;
        for (done, (index, row)) in rows.into_iter().enumerate() {
            let lambda = plan.lambda(writer.bytes());
            if !self.write_row((index, row), lambda, plan, writer, &mut cells) {
                self.first_row = (first + done) % count;
                return cells;
            }
        }
        cells
    }

    /// Codes the cells of one row that are worth it; false when the bytes are used up.
    fn write_row(
        &mut self,
        (index, row): (usize, u16),
        lambda: f32,
        plan: &mut Plan,
        writer: &mut Writer<'_>,
        cells: &mut usize,
    ) -> bool {
        let rect = self.tiles[index].rect;
        for column in rect.x..rect.x + rect.columns {
            let place = self.tiles[index].place(column, row);
            let gain = self.tiles[index].gain[place];
            if gain <= 0.0 {
                continue;
            }
            plan.saw(gain);
            let jump = lambda * writer.jump_bytes(column, row) as f32;
            // No glyph is shorter than a byte.
            if gain <= jump + lambda {
                continue;
            }
            let proposal = if self.options.colours == Colours::None {
                self.propose_mono(index, place, gain - jump, lambda)
            } else {
                self.propose(index, place, jump, lambda, writer)
            };
            let Some(proposal) = proposal else {
                continue;
            };
            if writer.bytes() + FRAME_BYTES + CELL_BYTES_MAX > plan.bytes_max {
                return false;
            }
            let cell = proposal.cell;
            writer.put(
                (column, row),
                cell.glyph,
                (cell.foreground, cell.background),
            );
            self.grid.set(column, row, Some(cell));
            self.coded(index, place, &proposal);
            *cells += 1;
        }
        true
    }

    /// The best way to code a cell in colour, if any is worth its bytes.
    fn propose(
        &mut self,
        index: usize,
        place: usize,
        jump: f32,
        lambda: f32,
        writer: &Writer<'_>,
    ) -> Option<Proposal> {
        let tile = &self.tiles[index];
        let (quadrants, urgency) = (tile.quadrants(place), tile.urgency[place]);
        let (foreground, background) = writer.colours();
        let pen = Pen {
            foreground: self.rgb(foreground),
            background: self.rgb(background),
        };
        let choice = self.search.choose(&quadrants, pen, urgency, lambda);
        let tile = &mut self.tiles[index];
        tile.floor[place] = choice.floor;
        if choice.cost + jump >= urgency * tile.error[place] {
            return None;
        }
        let colour = |ink: Option<Ink>, kept| match ink {
            Some(Ink {
                entry: Some(entry), ..
            }) => Colour::Palette(entry),
            Some(Ink { rgb, .. }) => Colour::Rgb(rgb),
            None => kept,
        };
        let cell = Cell {
            glyph: QUADRANTS[usize::from(choice.mask)],
            foreground: colour(choice.foreground, foreground),
            background: colour(choice.background, background),
        };
        Some(Proposal {
            cell,
            choice: Some(choice),
        })
    }

    /// The glyph of a cell without colour, if it is worth its bytes.
    fn propose_mono(&self, index: usize, place: usize, gain: f32, lambda: f32) -> Option<Proposal> {
        let glyph = self.tiles[index].wanted[place];
        let cell = Cell {
            glyph,
            foreground: Colour::Default,
            background: Colour::Default,
        };
        (gain > lambda * glyph.len_utf8() as f32).then_some(Proposal { cell, choice: None })
    }

    fn coded(&mut self, index: usize, place: usize, proposal: &Proposal) {
        let Proposal { cell, choice } = proposal;
        let colours =
            [cell.foreground, cell.background].map(|colour| self.rgb(colour).unwrap_or_default());
        let tile = &mut self.tiles[index];
        match choice {
            Some(choice) => tile.coded(place, choice, colours),
            None => tile.coded_mono(place),
        }
    }

    /// What a colour looks like, if that is known.
    fn rgb(&self, colour: Colour) -> Option<[u8; 3]> {
        match colour {
            Colour::Default => None,
            Colour::Palette(entry) => Some(self.classic[usize::from(entry)]),
            Colour::Rgb(rgb) => Some(rgb),
        }
    }

    fn painted(&self) -> bool {
        (1u8..).zip(&self.tiles).all(|(claim, tile)| {
            let rect = tile.rect;
            (rect.y..rect.y + rect.rows).all(|row| {
                (rect.x..rect.x + rect.columns).all(|column| {
                    self.claims[self.screen_place(column, row)] != claim
                        || tile.known(tile.place(column, row))
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_terminal_gets_a_finer_picture_and_never_in_a_jump() {
        assert_eq!(Quality::for_rate(0), Quality::WORKING);
        assert_eq!(Quality::for_rate(60_000), Quality::WORKING);
        let fine = Quality::for_rate(usize::MAX);
        assert!(
            (fine.lambda - Quality::FINE.lambda).abs() < 1e-4,
            "{fine:?}"
        );
        let mut last = Quality::WORKING;
        for rate in (0..600_000).step_by(5_000) {
            let next = Quality::for_rate(rate);
            assert!(next.lambda <= last.lambda && next.threshold <= last.threshold);
            assert!(
                next.lambda > 0.8 * last.lambda,
                "{rate}: {next:?} after {last:?}"
            );
            last = next;
        }
    }
}

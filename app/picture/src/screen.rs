//! The screen in cells: rectangles, what is covered, and what is shown.

/// Most columns or rows of a screen: bounds the memory, and is beyond every terminal seen.
pub const SIDE_CELLS_MAX: u16 = 2048;

/// A rectangle of cells; the upper left one of the screen is (0, 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Leftmost column.
    pub x: u16,
    /// Uppermost row.
    pub y: u16,
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Rect {
    /// A rectangle from its corner and size, in cells.
    #[must_use]
    pub const fn new(x: u16, y: u16, columns: u16, rows: u16) -> Self {
        Self {
            x,
            y,
            columns,
            rows,
        }
    }

    /// Whether a cell lies inside.
    #[must_use]
    pub fn contains(&self, column: u16, row: u16) -> bool {
        let inside = |at: u16, start: u16, length: u16| {
            at >= start && u32::from(at) < u32::from(start) + u32::from(length)
        };
        inside(column, self.x, self.columns) && inside(row, self.y, self.rows)
    }

    /// The part on a screen of this size; at the corner (0, 0) when there is none.
    #[must_use]
    pub fn clipped(&self, columns: u16, rows: u16) -> Self {
        let part = Self {
            columns: self.columns.min(columns.saturating_sub(self.x)),
            rows: self.rows.min(rows.saturating_sub(self.y)),
            ..*self
        };
        if part.is_empty() {
            Self::default()
        } else {
            part
        }
    }

    /// Whether there is no cell in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.columns == 0 || self.rows == 0
    }
}

/// A colour as the terminal was told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// The terminal's own: nothing was said.
    #[default]
    Default,
    /// A place in the xterm palette; the first sixteen are the user's own.
    Palette(u8),
    /// 24 bits: red, green, blue.
    Rgb([u8; 3]),
}

/// What one cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// One character, one column wide.
    pub glyph: char,
    /// Colour of the glyph, also where the glyph is a space.
    pub foreground: Colour,
    /// Colour behind it.
    pub background: Colour,
}

/// The model of what the encoder's bytes have made the terminal show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    columns: u16,
    cells: Vec<Option<Cell>>,
}

impl Grid {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        Self {
            columns,
            cells: vec![None; usize::from(columns) * usize::from(rows)],
        }
    }

    /// What a cell shows; `None` when the encoder has drawn nothing there, or something else was drawn over it, or the
    /// cell is not on the screen.
    #[must_use]
    pub fn cell(&self, column: u16, row: u16) -> Option<Cell> {
        if column >= self.columns {
            return None;
        }
        self.cells.get(self.place(column, row)).copied().flatten()
    }

    pub(crate) fn set(&mut self, column: u16, row: u16, cell: Option<Cell>) {
        let place = self.place(column, row);
        self.cells[place] = cell;
    }

    pub(crate) fn forget(&mut self) {
        self.cells.fill(None);
    }

    fn place(&self, column: u16, row: u16) -> usize {
        usize::from(row) * usize::from(self.columns) + usize::from(column)
    }
}

/// The cells that something else is drawn on (names, menus): the picture leaves them alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    covered: Vec<Rect>,
}

/// Most rectangles of a mask: an interface draws a dozen; each costs a look at every cell under it.
pub const MASK_RECTS_MAX: usize = 256;

impl Mask {
    /// Covers nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            covered: Vec::new(),
        }
    }

    /// Covers `rect` as well. Beyond [`MASK_RECTS_MAX`] the last rectangle grows to hold the new one: too much is covered
    /// rather than text drawn over.
    pub fn cover(&mut self, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        if self.covered.len() < MASK_RECTS_MAX {
            self.covered.push(rect);
        } else if let Some(last) = self.covered.last_mut() {
            *last = hull(*last, rect);
        }
    }

    /// Covers nothing any more.
    pub fn clear(&mut self) {
        self.covered.clear();
    }

    /// Whether a cell is covered.
    #[must_use]
    pub fn covers(&self, column: u16, row: u16) -> bool {
        self.covered.iter().any(|rect| rect.contains(column, row))
    }

    pub(crate) fn rects(&self) -> &[Rect] {
        &self.covered
    }
}

/// The smallest rectangle around both; cells past column or row 65,535 do not exist.
fn hull(a: Rect, b: Rect) -> Rect {
    let span = |a: u16, a_length: u16, b: u16, b_length: u16| {
        let start = a.min(b);
        let end = a.saturating_add(a_length).max(b.saturating_add(b_length));
        (start, end - start)
    };
    let (x, columns) = span(a.x, a.columns, b.x, b.columns);
    let (y, rows) = span(a.y, a.rows, b.y, b.rows);
    Rect::new(x, y, columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_at_the_far_end_neither_wrap_nor_leave_the_screen() {
        let far = Rect::new(u16::MAX - 1, 3, u16::MAX, 2);
        assert!(far.contains(u16::MAX, 4) && !far.contains(0, 4));
        assert!(far.clipped(80, 24).is_empty());
        assert_eq!(
            Rect::new(70, 20, 20, 20).clipped(80, 24),
            Rect::new(70, 20, 10, 4)
        );
    }

    #[test]
    fn a_full_mask_covers_rather_too_much() {
        let mut mask = Mask::new();
        for place in 0..=MASK_RECTS_MAX as u16 {
            mask.cover(Rect::new(place * 2, place, 1, 1));
        }
        assert_eq!(mask.rects().len(), MASK_RECTS_MAX);
        assert!((0..=MASK_RECTS_MAX as u16).all(|place| mask.covers(place * 2, place)));
        mask.clear();
        assert!(!mask.covers(0, 0));
    }

    #[test]
    fn places_off_the_grid_show_nothing() {
        let mut grid = Grid::new(3, 2);
        let cell = Cell {
            glyph: ' ',
            foreground: Colour::Default,
            background: Colour::Palette(3),
        };
        grid.set(0, 1, Some(cell));
        assert_eq!(grid.cell(0, 1), Some(cell));
        assert_eq!(grid.cell(3, 0), None, "not the next row's first");
        assert_eq!(grid.cell(0, 2), None);
    }
}

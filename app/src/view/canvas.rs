//! What is drawn on: ratatui's cells, and the places of moving pictures, which somebody else draws after them.

use std::ops::{Deref, DerefMut};

use hullo_media::frame::Picture;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;

use super::look::Look;
use crate::picture;

/// A picture and the cells it fills, letterbox excluded.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'m> {
    /// Which cells. Those that something was drawn over afterwards have another [`CellDiffOption`] than `Skip`.
    pub rect: Rect,
    /// What belongs there.
    pub picture: &'m Picture,
}

/// Cells, used like a [`Buffer`], and pictures.
pub struct Canvas<'b, 'm> {
    buffer: &'b mut Buffer,
    /// `None`: pictures are drawn in cells like everything else.
    placed: Option<Vec<Placed<'m>>>,
}

impl<'b, 'm> Canvas<'b, 'm> {
    /// Pictures become cells.
    pub fn of_cells(buffer: &'b mut Buffer) -> Self {
        Self {
            buffer,
            placed: None,
        }
    }

    /// Pictures leave their cells alone ([`CellDiffOption::Skip`]) and are told by [`Self::into_placed`].
    pub fn with_places(buffer: &'b mut Buffer) -> Self {
        Self {
            buffer,
            placed: Some(Vec::new()),
        }
    }

    /// Where pictures are to be drawn, in the order of drawing.
    pub fn into_placed(self) -> Vec<Placed<'m>> {
        self.placed.unwrap_or_default()
    }

    /// Puts a picture in the middle of `area`, proportions kept; the cells it covers.
    pub fn picture(&mut self, picture: &'m Picture, area: Rect, look: Look) -> Rect {
        let Some(placed) = &mut self.placed else {
            return picture::draw(picture, area, self.buffer, look);
        };
        let area = area.intersection(self.buffer.area);
        let rect = picture::fit(picture.width, picture.height, area);
        for row in area.top()..area.bottom() {
            for column in area.left()..area.right() {
                self.buffer[(column, row)].reset();
            }
        }
        for row in rect.top()..rect.bottom() {
            for column in rect.left()..rect.right() {
                self.buffer[(column, row)].set_diff_option(CellDiffOption::Skip);
            }
        }
        placed.push(Placed { rect, picture });
        rect
    }
}

impl Deref for Canvas<'_, '_> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.buffer
    }
}

impl DerefMut for Canvas<'_, '_> {
    fn deref_mut(&mut self) -> &mut Buffer {
        self.buffer
    }
}

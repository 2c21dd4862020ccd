//! Moving pictures for terminals: an encoder from pictures to the fewest bytes that show them.
//!
//! A terminal player that writes every cell of every picture needs megabytes a second, because sensor noise changes every
//! colour a little. This encoder keeps a model of what is shown and, for each cell, weighs what an update would improve
//! against the bytes it takes: most cells are left alone, most others keep a colour of their neighbour.
//!
//! No I/O, no clock, no screen library: bytes come out of [`Encoder::encode`], and [`Encoder::shown`] says what they show.

mod denoise;
mod encoder;
mod flow;
mod glyph;
mod kitty;
mod mono;
mod outbox;
mod palette;
mod picture;
mod pixel;
mod rate;
mod scale;
mod screen;
mod search;
mod sixel;
mod tile;
mod write;

pub use encoder::{Encoder, EncoderOptions, FrameStats, Quality, TILES_MAX, Tile};
pub use flow::{Allowance, Flow, FlowInput, FlowOutput, QUERY};
pub use glyph::Glyphs;
pub use kitty::{KITTY_CLEAR, KITTY_QUERY};
pub use outbox::{Outbox, Place, TEXT_BYTES_MAX};
pub use palette::Colours;
pub use picture::{PictureError, PictureRef, Plane, SIDE_PX_MAX};
pub use pixel::{PixelKind, PixelScreen, PixelStats};
pub use screen::{Cell, Colour, Grid, MASK_RECTS_MAX, Mask, Rect, SIDE_CELLS_MAX};
pub use write::PIECE_BYTES;

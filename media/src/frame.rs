//! What travels through the pipelines: shapes, units, limits.

/// A decoded picture, planar 4:2:0, 8 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across; even.
    pub width: u32,
    /// Pixels down; even.
    pub height: u32,
    /// Luma, `width * height` bytes.
    pub y: Vec<u8>,
    /// Blue difference, a quarter of that.
    pub u: Vec<u8>,
    /// Red difference, a quarter of that.
    pub v: Vec<u8>,
}

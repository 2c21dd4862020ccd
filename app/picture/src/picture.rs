//! Pictures as they come in: borrowed planes, checked once.

use thiserror::Error;

/// Largest side of a picture in pixels: bounds the working memory, and is what the codecs stop at.
pub const SIDE_PX_MAX: u32 = 4096;

/// Why planes are no picture. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PictureError {
    /// A side is zero or above [`SIDE_PX_MAX`].
    #[error("a picture of {width}x{height} pixels: sides must be between 1 and 4096")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// A row is wider than its stride, or a plane ends before its last row does.
    #[error("a plane of {found} bytes and a stride of {stride} cannot hold {rows} rows of {row}")]
    Plane {
        /// Bytes given.
        found: usize,
        /// Bytes from one row to the next.
        stride: usize,
        /// Rows needed.
        rows: usize,
        /// Bytes needed in each row.
        row: usize,
    },
}

/// Samples in rows: a row begins each `stride` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// All rows, the last may end early.
    pub samples: &'a [u8],
    /// Bytes from the beginning of one row to that of the next.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// Row `y`, `bytes` long; the plane was checked for it.
    pub(crate) fn row(&self, y: usize, bytes: usize) -> &'a [u8] {
        &self.samples[y * self.stride..][..bytes]
    }

    fn check(&self, rows: usize, row: usize) -> Result<(), PictureError> {
        let whole = self.stride >= row
            && (rows - 1)
                .checked_mul(self.stride)
                .and_then(|start| start.checked_add(row))
                .is_some_and(|end| end <= self.samples.len());
        if whole {
            return Ok(());
        }
        Err(PictureError::Plane {
            found: self.samples.len(),
            stride: self.stride,
            rows,
            row,
        })
    }
}

/// A picture borrowed for one [`crate::Encoder::encode`], its planes checked against its size.
#[derive(Clone, Copy, Debug)]
pub struct PictureRef<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) samples: Samples<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Samples<'a> {
    I420([Plane<'a>; 3]),
    Rgb(Plane<'a>),
}

impl<'a> PictureRef<'a> {
    /// Planar 4:2:0, 8 bits, BT.601 limited range, as codecs deliver it; chroma planes have half the sides, rounded up.
    ///
    /// # Errors
    /// [`PictureError`] when the sizes do not fit one another.
    pub fn i420(
        width: u32,
        height: u32,
        y: Plane<'a>,
        u: Plane<'a>,
        v: Plane<'a>,
    ) -> Result<Self, PictureError> {
        let (columns, rows) = check_size(width, height)?;
        y.check(rows, columns)?;
        for plane in [u, v] {
            plane.check(rows.div_ceil(2), columns.div_ceil(2))?;
        }
        Ok(Self {
            width,
            height,
            samples: Samples::I420([y, u, v]),
        })
    }

    /// Red, green, blue, a byte each, row after row.
    ///
    /// # Errors
    /// [`PictureError`] when the sizes do not fit one another.
    pub fn rgb(width: u32, height: u32, pixels: Plane<'a>) -> Result<Self, PictureError> {
        let (columns, rows) = check_size(width, height)?;
        pixels.check(rows, columns * 3)?;
        Ok(Self {
            width,
            height,
            samples: Samples::Rgb(pixels),
        })
    }
}

fn check_size(width: u32, height: u32) -> Result<(usize, usize), PictureError> {
    let side = 1..=SIDE_PX_MAX;
    if side.contains(&width) && side.contains(&height) {
        return Ok((width as usize, height as usize));
    }
    Err(PictureError::Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(samples: &[u8], stride: usize) -> Plane<'_> {
        Plane { samples, stride }
    }

    #[test]
    fn planes_must_hold_what_the_size_says() {
        let bytes = [0u8; 64];
        let i420 = |luma: usize, chroma: usize| {
            let (y, c) = (plane(&bytes[..luma], 8), plane(&bytes[..chroma], 4));
            PictureRef::i420(7, 5, y, c, c).is_ok()
        };
        assert!(i420(4 * 8 + 7, 2 * 4 + 4));
        assert!(!i420(4 * 8 + 6, 2 * 4 + 4), "luma ends early");
        assert!(!i420(4 * 8 + 7, 2 * 4 + 3), "chroma ends early");
        assert!(PictureRef::rgb(4, 2, plane(&bytes, 12)).is_ok());
        assert!(PictureRef::rgb(4, 2, plane(&bytes, 11)).is_err());
        assert!(PictureRef::rgb(4, 2, plane(&bytes, usize::MAX)).is_err());
        assert!(PictureRef::rgb(0, 2, plane(&bytes, 12)).is_err());
        assert!(PictureRef::rgb(4, SIDE_PX_MAX + 1, plane(&bytes, 12)).is_err());
    }
}

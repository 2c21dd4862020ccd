//! What travels through the pipelines: shapes, units, limits.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

/// Samples per second of every block, one channel.
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Samples of one block.
pub const BLOCK_SAMPLES: usize = 960;
/// Time that one block lasts.
pub const BLOCK_TIME: Duration = Duration::from_millis(20);
/// Smallest picture side in pixels: one H.264 macroblock.
pub const SIDE_PX_MIN: u32 = 16;
/// Largest picture side in pixels: bounds the memory that a hostile stream can ask for (24 MiB a picture).
pub const SIDE_PX_MAX: u32 = 4096;

/// 20 ms of sound: 960 samples, f32 in `-1.0..=1.0`, 48 kHz, mono.
pub type Block = [f32; BLOCK_SAMPLES];

/// Why bytes are no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PictureError {
    /// A side is odd or outside [`SIDE_PX_MIN`]..=[`SIDE_PX_MAX`].
    #[error("a picture of {width}x{height} pixels: sides must be even and between 16 and 4096")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// A plane has another length than its size demands.
    #[error("a picture plane has {found} bytes where {wanted} are needed")]
    Plane {
        /// Bytes given.
        found: usize,
        /// Bytes needed.
        wanted: usize,
    },
}

/// A picture, planar 4:2:0, 8 bits, BT.601 limited range, planes tight (no padding).
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

impl Picture {
    /// Joins three planes.
    ///
    /// # Errors
    /// The caller's or the peer's bytes are wrong: [`PictureError`].
    pub fn new(
        width: u32,
        height: u32,
        y: Vec<u8>,
        u: Vec<u8>,
        v: Vec<u8>,
    ) -> Result<Self, PictureError> {
        check_size(width, height)?;
        let luma = width as usize * height as usize;
        for (plane, wanted) in [(&y, luma), (&u, luma / 4), (&v, luma / 4)] {
            if plane.len() != wanted {
                return Err(PictureError::Plane {
                    found: plane.len(),
                    wanted,
                });
            }
        }
        Ok(Self {
            width,
            height,
            y,
            u,
            v,
        })
    }

    /// A picture of one grey: luma `0..=255`, no colour.
    ///
    /// # Errors
    /// The size is not allowed.
    pub fn grey(width: u32, height: u32, luma: u8) -> Result<Self, PictureError> {
        check_size(width, height)?;
        let samples = width as usize * height as usize;
        Ok(Self {
            width,
            height,
            y: vec![luma; samples],
            u: vec![128; samples / 4],
            v: vec![128; samples / 4],
        })
    }

    /// Pixels across and down.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// How alike two pictures of one size are: peak signal to noise ratio of luma in dB, 99 for equal ones.
    ///
    /// # Panics
    /// When the sizes differ: the figure would mean nothing.
    #[must_use]
    pub fn psnr_db(&self, other: &Self) -> f64 {
        assert_eq!(
            self.size(),
            other.size(),
            "only pictures of one size can be compared"
        );
        let squares = self
            .y
            .iter()
            .zip(&other.y)
            .map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2));
        let error = squares.sum::<u64>() as f64 / self.y.len() as f64;
        if error == 0.0 {
            99.0
        } else {
            (10.0 * (255.0 * 255.0 / error).log10()).min(99.0)
        }
    }
}

/// Accepts even sides within [`SIDE_PX_MIN`]..=[`SIDE_PX_MAX`].
///
/// # Errors
/// [`PictureError::Size`].
pub fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
    let allowed = |side: u32| side.is_multiple_of(2) && (SIDE_PX_MIN..=SIDE_PX_MAX).contains(&side);
    if allowed(width) && allowed(height) {
        Ok(())
    } else {
        Err(PictureError::Size { width, height })
    }
}

/// Pictures in rotation, so that a stage fills memory it used before instead of asking for a third of a megabyte
/// thirty times a second.
#[derive(Default)]
pub struct PicturePool {
    lent: Vec<Arc<Picture>>,
}

/// One being filled, one in each newest-only slot, one being encoded or drawn, one spare. More only costs memory;
/// fewer costs an allocation when all are out.
const POOL_PICTURES_MAX: usize = 6;

impl PicturePool {
    /// A picture of this size, filled by `fill`; the former contents are arbitrary.
    ///
    /// # Errors
    /// The size is not allowed, or `fill` failed.
    pub fn picture<E: From<PictureError>>(
        &mut self,
        (width, height): (u32, u32),
        fill: impl FnOnce(&mut Picture) -> Result<(), E>,
    ) -> Result<Arc<Picture>, E> {
        let free = self
            .lent
            .iter_mut()
            .position(|picture| Arc::get_mut(picture).is_some());
        let mut picture = match free.map(|index| self.lent.swap_remove(index)) {
            Some(picture) if picture.size() == (width, height) => picture,
            _ => Arc::new(Picture::grey(width, height, 16)?),
        };
        fill(
            Arc::get_mut(&mut picture).expect("only the pool holds it: checked above or just made"),
        )?;
        if self.lent.len() < POOL_PICTURES_MAX {
            self.lent.push(Arc::clone(&picture));
        } else if let Some(oldest) = self.lent.first_mut() {
            *oldest = Arc::clone(&picture);
        }
        Ok(picture)
    }
}

pub use hullo_proto::frame::FrameKind;

/// One frame out of an encoder or on its way to a decoder. Not yet, or no longer, sealed: never written to a session.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// What it is.
    pub kind: FrameKind,
    /// One Opus packet, or one H.264 access unit in Annex B form.
    pub data: Vec<u8>,
    /// When the first sample or the picture was captured.
    pub captured_at: Instant,
}

/// Contents stay out of logs: people's voices and faces are in there.
impl fmt::Debug for EncodedFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncodedFrame")
            .field("kind", &self.kind)
            .field("bytes", &self.data.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_the_wrong_length_and_odd_sizes_are_refused() {
        assert!(Picture::new(16, 16, vec![0; 256], vec![0; 64], vec![0; 64]).is_ok());
        assert_eq!(
            Picture::new(16, 16, vec![0; 256], vec![0; 63], vec![0; 64]),
            Err(PictureError::Plane {
                found: 63,
                wanted: 64
            })
        );
        for (width, height) in [(17, 16), (16, 14), (4098, 16), (0, 0)] {
            assert!(Picture::grey(width, height, 0).is_err(), "{width}x{height}");
        }
    }

    #[test]
    fn the_pool_reuses_a_picture_that_came_back_and_never_one_still_lent() {
        let mut pool = PicturePool::default();
        let fill = |luma| {
            move |picture: &mut Picture| {
                picture.y.fill(luma);
                Ok::<(), PictureError>(())
            }
        };
        let first = pool.picture((16, 16), fill(1)).expect("allowed size");
        let second = pool.picture((16, 16), fill(2)).expect("allowed size");
        assert_eq!((first.y[0], second.y[0]), (1, 2));
        let address = Arc::as_ptr(&first);
        drop(first);
        let third = pool.picture((16, 16), fill(3)).expect("allowed size");
        assert_eq!((Arc::as_ptr(&third), second.y[0]), (address, 2));
        let lent: Vec<_> = (0..20)
            .map(|luma| pool.picture((16, 16), fill(luma)).expect("allowed size"))
            .collect();
        assert!(
            lent.iter()
                .enumerate()
                .all(|(index, picture)| usize::from(picture.y[0]) == index)
        );
        assert!(pool.lent.len() <= POOL_PICTURES_MAX);
    }
}

//! Pictures to other sizes, and to the few pixels of a terminal.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer};
use thiserror::Error;

use crate::frame::{Picture, PictureError, PicturePool};

/// Why a picture cannot be scaled.
#[derive(Debug, Error)]
pub enum ScaleError {
    /// The wanted size is not allowed, or the picture's planes do not fit its size.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The library refused.
    #[error("scaling failed: {0}")]
    Resize(#[from] ResizeError),
}

/// Scales pictures; keeps its buffers from picture to picture.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
    pool: PicturePool,
}

impl Scaler {
    /// The picture at `size` (pixels across and down), stretched if the shapes differ. The same picture where nothing
    /// is to do.
    ///
    /// # Errors
    /// The size is not allowed.
    pub fn scale(
        &mut self,
        picture: &Arc<Picture>,
        size: (u32, u32),
    ) -> Result<Arc<Picture>, ScaleError> {
        if picture.size() == size {
            return Ok(Arc::clone(picture));
        }
        let resizer = &mut self.resizer;
        self.pool.picture(size, |out| {
            let (half_in, half_out) = (
                (picture.width / 2, picture.height / 2),
                (size.0 / 2, size.1 / 2),
            );
            resize_plane(resizer, &picture.y, picture.size(), &mut out.y, size)?;
            resize_plane(resizer, &picture.u, half_in, &mut out.u, half_out)?;
            resize_plane(resizer, &picture.v, half_in, &mut out.v, half_out)
        })
    }
}

fn resize_plane(
    resizer: &mut Resizer,
    from: &[u8],
    from_size: (u32, u32),
    to: &mut [u8],
    to_size: (u32, u32),
) -> Result<(), ScaleError> {
    let plane_error = |found, (width, height): (u32, u32)| PictureError::Plane {
        found,
        wanted: (width * height) as usize,
    };
    let from = ImageRef::new(from_size.0, from_size.1, from, PixelType::U8)
        .map_err(|_| plane_error(from.len(), from_size))?;
    let found = to.len();
    let mut to = Image::from_slice_u8(to_size.0, to_size.1, to, PixelType::U8)
        .map_err(|_| plane_error(found, to_size))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false);
    Ok(resizer.resize(&from, &mut to, &options)?)
}

/// The largest size within `width_max` x `height_max` with the shape of `size`; never larger than `size`; sides even
/// and at least 16.
#[must_use]
pub fn fit((width, height): (u32, u32), width_max: u32, height_max: u32) -> (u32, u32) {
    let (width_max, height_max) = (
        width_max.clamp(16, width.max(16)),
        height_max.clamp(16, height.max(16)),
    );
    let even = |side: u64| (side as u32 & !1).max(16);
    let (across, down) = (u64::from(width.max(1)), u64::from(height.max(1)));
    // Compare width_max / width with height_max / height without fractions.
    if u64::from(width_max) * down <= u64::from(height_max) * across {
        (
            even(u64::from(width_max)),
            even((down * u64::from(width_max) + across / 2) / across)
                .min(even(u64::from(height_max))),
        )
    } else {
        (
            even((across * u64::from(height_max) + down / 2) / down)
                .min(even(u64::from(width_max))),
            even(u64::from(height_max)),
        )
    }
}

/// The picture as `columns` x `2 * rows` RGB pixels, row by row from the top: two pixels for each character cell, each
/// the mean of its part of the picture. The shape is the caller's business. Empty for a grid without cells or larger
/// than the picture's size limit.
#[must_use]
pub fn to_rgb_cells(picture: &Picture, columns: u16, rows: u16) -> Vec<[u8; 3]> {
    let (across, down) = (usize::from(columns), usize::from(rows) * 2);
    if across == 0
        || down == 0
        || down > crate::frame::SIDE_PX_MAX as usize
        || across > crate::frame::SIDE_PX_MAX as usize
    {
        return Vec::new();
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let y = means(&picture.y, (width, height), (across, down));
    let u = means(&picture.u, (width / 2, height / 2), (across, down));
    let v = means(&picture.v, (width / 2, height / 2), (across, down));
    y.into_iter()
        .zip(u)
        .zip(v)
        .map(|((y, u), v)| rgb(y, u, v))
        .collect()
}

/// Box means of a plane. Rows are summed first, so that the inner loop is one the compiler can vectorise.
fn means(plane: &[u8], (width, height): (usize, usize), (across, down): (usize, usize)) -> Vec<u8> {
    let mut out = vec![0; across * down];
    if width == 0 || height == 0 || plane.len() < width * height {
        return out;
    }
    let span = |index: usize, parts: usize, length: usize| {
        let from = index * length / parts;
        from..((index + 1) * length / parts).max(from + 1)
    };
    let mut sums = vec![0u32; width];
    for (row, line) in out.chunks_exact_mut(across).enumerate() {
        let rows = span(row, down, height);
        sums.fill(0);
        for source in plane[rows.start * width..rows.end * width].chunks_exact(width) {
            for (sum, &sample) in sums.iter_mut().zip(source) {
                *sum += u32::from(sample);
            }
        }
        for (column, mean) in line.iter_mut().enumerate() {
            let columns = span(column, across, width);
            let count = (columns.len() * rows.len()) as u32;
            *mean = ((sums[columns].iter().sum::<u32>() + count / 2) / count) as u8;
        }
    }
    out
}

/// BT.601 limited range to RGB, in 1/1024 (ITU-R BT.601-7 §3.5).
fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (luma, blue, red) = (
        1192 * (i32::from(y) - 16),
        i32::from(u) - 128,
        i32::from(v) - 128,
    );
    let clip = |value: i32| ((value + 512) >> 10).clamp(0, 255) as u8;
    [
        clip(luma + 1634 * red),
        clip(luma - 401 * blue - 832 * red),
        clip(luma + 2066 * blue),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::CaptureTime;
    use crate::source::card::{TestCard, read_time_code, time_code};

    fn card() -> (Arc<Picture>, u32) {
        let clock_us = 1_790_000_123_456_700;
        let at = CaptureTime {
            elapsed: std::time::Duration::from_millis(500),
            clock_us,
        };
        (
            TestCard::new().picture(at).expect("a card"),
            time_code(clock_us),
        )
    }

    #[test]
    fn the_time_code_survives_scaling_down() {
        let (card, time) = card();
        let mut scaler = Scaler::default();
        for size in [(640, 360), (480, 270), (320, 180), (160, 90), (1280, 720)] {
            let scaled = scaler.scale(&card, size).expect("an allowed size");
            assert_eq!((scaled.size(), read_time_code(&scaled)), (size, Some(time)));
        }
        assert!(scaler.scale(&card, (15, 90)).is_err());
    }

    #[test]
    fn fitting_keeps_the_shape_and_never_enlarges() {
        assert_eq!(fit((640, 360), 320, 180), (320, 180));
        assert_eq!(fit((640, 360), 200, 200), (200, 112));
        assert_eq!(fit((640, 480), 320, 180), (240, 180));
        assert_eq!(fit((640, 360), 4000, 4000), (640, 360));
        assert_eq!(fit((640, 360), 0, 0), (16, 16));
    }

    #[test]
    fn grey_levels_and_colours_come_out_as_rgb() {
        for (luma, want) in [(16, [0; 3]), (235, [255; 3]), (126, [128; 3])] {
            let picture = Picture::grey(64, 64, luma).expect("allowed");
            assert!(
                to_rgb_cells(&picture, 7, 5)
                    .iter()
                    .all(|pixel| *pixel == want),
                "{luma}"
            );
        }
        // ITU-R BT.601: pure red is (81, 90, 240).
        let mut red = Picture::grey(16, 16, 81).expect("allowed");
        red.u.fill(90);
        red.v.fill(240);
        let [r, g, b] = to_rgb_cells(&red, 1, 1)[0];
        assert!(r >= 253 && g <= 2 && b <= 2, "{r} {g} {b}");
        assert_eq!(to_rgb_cells(&red, 0, 9), Vec::<[u8; 3]>::new());
    }

    #[test]
    fn each_cell_is_the_mean_of_its_own_part() {
        let mut picture = Picture::grey(64, 32, 16).expect("allowed");
        picture.y[..64 * 16].fill(235);
        let cells = to_rgb_cells(&picture, 4, 1);
        assert_eq!(
            (&cells[..4], &cells[4..]),
            (&[[255; 3]; 4][..], &[[0; 3]; 4][..])
        );
    }

    proptest! {
        #[test]
        fn every_grid_has_its_pixels(width in 8u32..60, height in 8u32..60, columns in 1u16..200, rows in 1u16..100) {
            let picture = Picture::grey(width * 2, height * 2, 90).expect("allowed");
            prop_assert_eq!(to_rgb_cells(&picture, columns, rows).len(), usize::from(columns) * usize::from(rows) * 2);
        }

        #[test]
        fn every_fit_is_an_allowed_size_within_the_limits(width in 8u32..2048, height in 8u32..2048, across in 0u32..5000, down in 0u32..5000) {
            let size = (width * 2, height * 2);
            let (w, h) = fit(size, across, down);
            prop_assert!(crate::frame::check_size(w, h).is_ok(), "{}x{}", w, h);
            prop_assert!(w <= size.0 && h <= size.1 && w <= across.max(16) && h <= down.max(16), "{}x{}", w, h);
        }
    }
}

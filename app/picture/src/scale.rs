//! Scaling to the grid: an exact box filter in fixed point, rows first because they lie together in memory.
//!
//! Every output sample is the mean of the source area it stands for, partly covered pixels counted in part.

use crate::picture::{PictureRef, Plane, Samples};

/// Weights of one output sample add up to this: 255 times it still fits 16 bits.
const WEIGHT_SUM: u32 = 256;
/// Output samples are in sixteenths of a level.
pub(crate) const LEVEL: i16 = 16;

/// Three planes of samples in sixteenths of a level.
pub(crate) type Planes = [Vec<i16>; 3];

/// Where the samples of one axis come from: `taps` neighbours from `starts[i]` on, weighted.
#[derive(Debug, Default)]
struct Axis {
    source: usize,
    taps: usize,
    starts: Vec<u32>,
    weights: Vec<u16>,
}

impl Axis {
    fn new(source: usize, count: usize) -> Self {
        let taps = (source.div_ceil(count) + 1).min(source);
        let (mut starts, mut weights) = (Vec::with_capacity(count), Vec::new());
        for index in 0..count {
            // In units of 1/count of a source pixel, so that everything is whole.
            let (from, to) = (index * source, (index + 1) * source);
            let start = (from / count).min(source - taps);
            starts.push(u32::try_from(start).expect("sides are at most SIDE_PX_MAX"));
            let mut given = 0;
            let mut covered = 0;
            for tap in 0..taps {
                let pixel = (start + tap) * count;
                covered += (pixel + count).min(to).saturating_sub(pixel.max(from));
                // Rounded running sum: the weights add up exactly.
                let sum = (covered * WEIGHT_SUM as usize + source / 2) / source;
                weights.push(u16::try_from(sum - given).expect("at most WEIGHT_SUM"));
                given = sum;
            }
        }
        Self {
            source,
            taps,
            starts,
            weights,
        }
    }

    fn fits(&self, source: usize, count: usize) -> bool {
        self.source == source && self.starts.len() == count
    }
}

/// Scales pictures of one size to one size; tables are made anew when either changes.
#[derive(Debug, Default)]
pub(crate) struct Scaler {
    axes: [[Axis; 2]; 2],
    row: Vec<u16>,
}

impl Scaler {
    /// `picture` at `columns` by `rows` samples, as red, green and blue into `out`.
    pub(crate) fn scale(
        &mut self,
        picture: &PictureRef<'_>,
        (columns, rows): (usize, usize),
        out: &mut Planes,
    ) {
        let (width, height) = (picture.width as usize, picture.height as usize);
        for plane in out.iter_mut() {
            plane.resize(columns * rows, 0);
        }
        match picture.samples {
            Samples::Rgb(pixels) => {
                self.prepare(0, (width, height), (columns, rows));
                let [across, down] = &self.axes[0];
                interleaved(&pixels, across, down, &mut self.row, out);
            }
            Samples::I420(planes) => {
                self.prepare(0, (width, height), (columns, rows));
                let half = (width.div_ceil(2), height.div_ceil(2));
                self.prepare(1, half, (columns, rows));
                for (index, plane) in planes.iter().enumerate() {
                    let [across, down] = &self.axes[index.min(1)];
                    planar(plane, across, down, &mut self.row, &mut out[index]);
                }
                to_rgb(out);
            }
        }
    }

    fn prepare(&mut self, which: usize, source: (usize, usize), count: (usize, usize)) {
        let [across, down] = &mut self.axes[which];
        if !across.fits(source.0, count.0) {
            *across = Axis::new(source.0, count.0);
        }
        if !down.fits(source.1, count.1) {
            *down = Axis::new(source.1, count.1);
        }
    }
}

/// Weighted sum of the source rows of output row `index`, `bytes` wide, into `row`.
fn sum_rows(plane: &Plane<'_>, down: &Axis, index: usize, bytes: usize, row: &mut Vec<u16>) {
    row.clear();
    row.resize(bytes, 0);
    let start = down.starts[index] as usize;
    let weights = &down.weights[index * down.taps..][..down.taps];
    for (tap, &weight) in weights.iter().enumerate() {
        if weight == 0 {
            continue;
        }
        let source = plane.row(start + tap, bytes);
        for (sum, &sample) in row.iter_mut().zip(source) {
            // Cannot overflow: the weights add up to 256 and 255 * 256 < 65,536.
            *sum = sum.wrapping_add(weight.wrapping_mul(u16::from(sample)));
        }
    }
}

fn planar(plane: &Plane<'_>, across: &Axis, down: &Axis, row: &mut Vec<u16>, out: &mut [i16]) {
    let columns = across.starts.len();
    for (index, out) in out.chunks_exact_mut(columns).enumerate() {
        sum_rows(plane, down, index, across.source, row);
        match across.taps {
            1 => sum_columns::<1>(across, row, out),
            2 => sum_columns::<2>(across, row, out),
            3 => sum_columns::<3>(across, row, out),
            4 => sum_columns::<4>(across, row, out),
            5 => sum_columns::<5>(across, row, out),
            6 => sum_columns::<6>(across, row, out),
            _ => sum_columns_any(across, row, out),
        }
    }
}

/// One output row from one summed row; the number of taps known, so that the loop unrolls.
fn sum_columns<const TAPS: usize>(across: &Axis, row: &[u16], out: &mut [i16]) {
    let (weights, _) = across.weights.as_chunks::<TAPS>();
    for ((out, &start), weights) in out.iter_mut().zip(&across.starts).zip(weights) {
        let start = start as usize;
        let samples = &row[start..start + TAPS];
        let mut sum = 0;
        for tap in 0..TAPS {
            sum += u32::from(weights[tap]) * u32::from(samples[tap]);
        }
        *out = sixteenths(sum);
    }
}

fn sum_columns_any(across: &Axis, row: &[u16], out: &mut [i16]) {
    let weights = across.weights.chunks_exact(across.taps);
    for ((out, &start), weights) in out.iter_mut().zip(&across.starts).zip(weights) {
        let samples = row[start as usize..].iter();
        let sum = samples
            .zip(weights)
            .map(|(&s, &w)| u32::from(s) * u32::from(w));
        *out = sixteenths(sum.sum());
    }
}

fn interleaved(
    pixels: &Plane<'_>,
    across: &Axis,
    down: &Axis,
    row: &mut Vec<u16>,
    out: &mut Planes,
) {
    let columns = across.starts.len();
    let rows = down.starts.len();
    for index in 0..rows {
        sum_rows(pixels, down, index, across.source * 3, row);
        for column in 0..columns {
            let start = across.starts[column] as usize;
            let weights = &across.weights[column * across.taps..][..across.taps];
            let mut sums = [0u32; 3];
            let (samples, _) = row[start * 3..].as_chunks::<3>();
            for (sample, &weight) in samples.iter().zip(weights) {
                for (sum, &level) in sums.iter_mut().zip(sample) {
                    *sum += u32::from(weight) * u32::from(level);
                }
            }
            for (plane, sum) in out.iter_mut().zip(sums) {
                plane[index * columns + column] = sixteenths(sum);
            }
        }
    }
}

/// Two weightings are in the sum (times 65,536): to sixteenths, rounded.
fn sixteenths(sum: u32) -> i16 {
    i16::try_from((sum + (1 << 11)) >> 12).expect("at most 255 levels")
}

/// ITU-R BT.601, limited range, in place.
fn to_rgb(planes: &mut Planes) {
    let [first, second, third] = planes;
    let top = f32::from(255 * LEVEL);
    for ((y, u), v) in first.iter_mut().zip(second).zip(third) {
        let luma = 1.164_383 * (f32::from(*y) - 16.0 * f32::from(LEVEL)) + 0.5;
        let blue = f32::from(*u) - 128.0 * f32::from(LEVEL);
        let red = f32::from(*v) - 128.0 * f32::from(LEVEL);
        *y = (luma + 1.596_027 * red).clamp(0.0, top) as i16;
        *u = (luma - 0.391_762 * blue - 0.812_968 * red).clamp(0.0, top) as i16;
        *v = (luma + 2.017_232 * blue).clamp(0.0, top) as i16;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(picture: &PictureRef<'_>, size: (usize, usize)) -> Planes {
        let mut out = Planes::default();
        Scaler::default().scale(picture, size, &mut out);
        out
    }

    fn plane(samples: &[u8], stride: usize) -> Plane<'_> {
        Plane { samples, stride }
    }

    #[test]
    fn colours_of_the_codec_come_out_as_themselves() {
        let named = [
            ([235, 128, 128], [255, 255, 255]),
            ([16, 128, 128], [0, 0, 0]),
            ([81, 90, 240], [255, 0, 0]),
            ([41, 240, 110], [0, 0, 255]),
        ];
        for ([y, u, v], rgb) in named {
            let (y, u, v) = ([y; 16], [u; 4], [v; 4]);
            let picture = PictureRef::i420(4, 4, plane(&y, 4), plane(&u, 2), plane(&v, 2)).unwrap();
            let out = scale(&picture, (3, 2));
            for (plane, level) in out.iter().zip(rgb) {
                assert!(
                    plane.iter().all(|&s| (s - level * LEVEL).abs() <= LEVEL),
                    "{plane:?}, {level}"
                );
            }
        }
    }

    #[test]
    fn halves_are_means_and_strides_are_skipped() {
        // Two rows of three pixels, a byte of padding; the right half covers half of the middle pixel.
        let pixels = [
            10, 20, 30, 10, 20, 30, 100, 100, 100, 7, //
            10, 20, 30, 10, 20, 30, 100, 100, 100, 7,
        ];
        let picture = PictureRef::rgb(3, 2, plane(&pixels, 10)).unwrap();
        let out = scale(&picture, (2, 1));
        // Weights are rounded to 1/256.
        let near = |found: i16, wanted: i16| (found - wanted).abs() <= LEVEL / 4;
        assert!(
            near(out[0][0], 10 * LEVEL) && near(out[0][1], 70 * LEVEL),
            "{out:?}"
        );
        assert!(near(out[1][1], (20 + 200) * LEVEL / 3), "{out:?}");
    }

    proptest! {
        #[test]
        fn means_match_the_definition(
            (width, height) in (1usize..40, 1usize..30),
            (columns, rows) in (1usize..40, 1usize..20),
            seed in any::<u32>(),
        ) {
            let pixels: Vec<u8> = (0..width * height * 3)
                .map(|i| ((i as u32 + 1).wrapping_mul(seed | 1) >> 13) as u8)
                .collect();
            let picture =
                PictureRef::rgb(width as u32, height as u32, plane(&pixels, width * 3)).unwrap();
            let out = scale(&picture, (columns, rows));
            let overlap = |i: usize, n: usize, p: usize, size: usize| {
                let (from, to) = (i as f64 * size as f64 / n as f64, (i + 1) as f64 * size as f64 / n as f64);
                ((p + 1) as f64).min(to) - (p as f64).max(from)
            };
            for row in 0..rows {
                for column in 0..columns {
                    let (mut sum, mut area) = (0.0, 0.0);
                    for y in 0..height {
                        for x in 0..width {
                            let weight = overlap(column, columns, x, width).max(0.0)
                                * overlap(row, rows, y, height).max(0.0);
                            sum += weight * f64::from(pixels[(y * width + x) * 3 + 1]);
                            area += weight;
                        }
                    }
                    let found = f64::from(out[1][row * columns + column]) / f64::from(LEVEL);
                    // Weights are rounded to 1/256 twice.
                    prop_assert!((found - sum / area).abs() < 5.0, "{found} for {}", sum / area);
                }
            }
        }
    }
}

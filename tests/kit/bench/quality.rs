//! How like the source a recording of decoded pictures is.
//!
//! Pictures may be missing from the recording, never added or reordered, and the source loops. So the recording is laid on
//! the endless source where the sum of all differences is least, always moving forward, and each picture is
//! compared with the one it fell on.

use std::io::{BufRead, Seek};

use super::y4m::{Reader, Shape, Y4mError};

/// Only every this many pixels, each way, when looking for the place: enough to tell pictures apart by motion and noise.
const SEARCH_STEP_PX: usize = 4;

/// Pictures of a source in memory at once: 20 s of 30 per second.
const SOURCE_PICTURES_MAX: usize = 600;

/// Pictures of a recording compared: two minutes of 30 per second.
const RECORDED_PICTURES_MAX: usize = 3_600;

/// What two equal pictures are given, in place of infinity.
const PSNR_DB_MAX: f64 = 99.0;

/// What the comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Pictures compared.
    pub pictures: usize,
    /// Mean of the luma PSNR of every picture, dB.
    pub psnr_db: f64,
    /// PSNR of the mean error over all pictures, dB: what single bad pictures pull down.
    pub psnr_pooled_db: f64,
    /// The worst picture, dB.
    pub psnr_db_min: f64,
    /// Pictures of the source passed over between the first and the last match.
    pub skipped: usize,
}

/// Why two clips could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// One of them cannot be read.
    #[error(transparent)]
    Y4m(#[from] Y4mError),
    /// They have different sizes.
    #[error("the recording is {0}x{1}, the source {2}x{3}")]
    Size(usize, usize, usize, usize),
    /// One of them holds no picture, or too many.
    #[error("{0} pictures recorded, {1} in the source: nothing to compare, or more than is taken")]
    Length(usize, usize),
}

/// Compares `recorded` with the looped `source`.
///
/// # Errors
/// See [`QualityError`].
pub fn compare(
    source: impl BufRead,
    recorded: impl BufRead + Seek,
) -> Result<Quality, QualityError> {
    let mut recorded = recorded;
    let mut source = Reader::new(source)?;
    let sources = read_all(&mut source, SOURCE_PICTURES_MAX, Some)?;
    let mut first_pass = Reader::new(&mut recorded)?;
    let (shape, other) = (source.shape(), first_pass.shape());
    if (shape.width, shape.height) != (other.width, other.height) {
        return Err(QualityError::Size(
            other.width,
            other.height,
            shape.width,
            shape.height,
        ));
    }
    let small = |luma: Vec<u8>| thin_out(&luma, shape);
    let thin_recorded = read_all(&mut first_pass, RECORDED_PICTURES_MAX, |luma| {
        Some(small(luma))
    })?;
    let count = thin_recorded.len();
    if count == 0 || sources.is_empty() {
        return Err(QualityError::Length(count, sources.len()));
    }
    let thin_sources: Vec<_> = sources.iter().map(|luma| thin_out(luma, shape)).collect();
    let places = lay(&thin_recorded, &thin_sources);

    recorded.rewind().map_err(Y4mError::from)?;
    let mut second_pass = Reader::new(recorded)?;
    let mut errors = Vec::with_capacity(count);
    for place in &places {
        let Some(luma) = second_pass.read_luma()? else {
            return Err(QualityError::Length(errors.len(), sources.len()));
        };
        let square_error = square_error(&luma, &sources[place % sources.len()]);
        errors.push(square_error as f64 / shape.luma_len() as f64);
    }
    Ok(quality(&errors, &places))
}

fn read_all<R: BufRead, T>(
    reader: &mut Reader<R>,
    pictures_max: usize,
    keep: impl Fn(Vec<u8>) -> Option<T>,
) -> Result<Vec<T>, QualityError> {
    let mut kept = Vec::new();
    while let Some(luma) = reader.read_luma()? {
        if kept.len() == pictures_max {
            return Err(QualityError::Length(pictures_max + 1, pictures_max));
        }
        kept.extend(keep(luma));
    }
    Ok(kept)
}

fn quality(errors: &[f64], places: &[usize]) -> Quality {
    let each: Vec<f64> = errors.iter().copied().map(psnr_db).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let span = places
        .last()
        .zip(places.first())
        .map_or(0, |(last, first)| last - first + 1);
    Quality {
        pictures: errors.len(),
        psnr_db: mean(&each),
        psnr_pooled_db: psnr_db(mean(errors)),
        psnr_db_min: each.iter().copied().fold(f64::INFINITY, f64::min),
        skipped: span - places.len(),
    }
}

fn psnr_db(mean_square_error: f64) -> f64 {
    (10.0 * (255.0_f64.powi(2) / mean_square_error).log10()).min(PSNR_DB_MAX)
}

fn square_error(a: &[u8], b: &[u8]) -> u64 {
    // Rows of 4,096 differences of at most 255² fit 32 bits, which is what the processor is fast at.
    let row = |(a, b): (&[u8], &[u8])| -> u32 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2))
            .sum()
    };
    a.chunks(4_096)
        .zip(b.chunks(4_096))
        .map(|rows| u64::from(row(rows)))
        .sum()
}

fn thin_out(luma: &[u8], shape: Shape) -> Vec<u8> {
    let rows = luma.chunks_exact(shape.width).step_by(SEARCH_STEP_PX);
    rows.flat_map(|row| row.iter().step_by(SEARCH_STEP_PX).copied())
        .collect()
}

/// For every recorded picture its place on the endless source, strictly rising, with the least sum of differences.
fn lay(recorded: &[Vec<u8>], sources: &[Vec<u8>]) -> Vec<usize> {
    // Anywhere in the first loop to begin with, and half as many pictures again may be missing.
    let length = sources.len() + recorded.len() + recorded.len() / 2;
    // least[j]: the least sum with the pictures so far at or before place j. A picture's row of `taken` tells whether
    // that least is reached by taking place j itself.
    let mut least = vec![0_u64; length + 1];
    let mut taken = Vec::with_capacity(recorded.len());
    for picture in recorded {
        let costs: Vec<u64> = sources
            .iter()
            .map(|source| square_error(picture, source))
            .collect();
        let mut next = vec![u64::MAX; length + 1];
        let mut row = vec![false; length];
        for place in 0..length {
            let here = least[place].saturating_add(costs[place % costs.len()]);
            row[place] = here < next[place];
            next[place + 1] = next[place].min(here);
        }
        least = next;
        taken.push(row);
    }
    let mut places = vec![0; recorded.len()];
    let mut end = length;
    for (picture, row) in taken.iter().enumerate().rev() {
        end = row[..end]
            .iter()
            .rposition(|&taken| taken)
            .expect("the source is longer than the recording");
        places[picture] = end;
    }
    places
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::clip::write_talking_head;
    use super::super::y4m::{write_header, write_picture};
    use super::*;

    const SHAPE: Shape = Shape {
        width: 64,
        height: 36,
        rate_fps: 30,
    };
    const PICTURES: u32 = 8;

    fn source() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_talking_head(&mut bytes, SHAPE, PICTURES, 7).unwrap();
        bytes
    }

    /// The pictures of `source` at these places, each changed by `damage`.
    fn recording(
        source: &[u8],
        places: &[usize],
        damage: impl Fn(&mut Vec<u8>),
    ) -> Cursor<Vec<u8>> {
        let mut reader = Reader::new(source).unwrap();
        let pictures = read_all(&mut reader, SOURCE_PICTURES_MAX, Some).unwrap();
        let mut bytes = Vec::new();
        write_header(&mut bytes, SHAPE).unwrap();
        for place in places {
            let mut luma = pictures[place % pictures.len()].clone();
            damage(&mut luma);
            write_picture(&mut bytes, &luma, &vec![128; SHAPE.chroma_len()]).unwrap();
        }
        Cursor::new(bytes)
    }

    #[test]
    fn a_loop_with_holes_is_found_again() {
        let source = source();
        let places = [3, 4, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17];
        let quality = compare(&source[..], recording(&source, &places, |_| ())).unwrap();
        assert_eq!(quality.pictures, places.len());
        assert_eq!(quality.skipped, 3);
        assert!((quality.psnr_db - PSNR_DB_MAX).abs() < 1e-9);
    }

    #[test]
    fn a_known_error_gives_the_known_figure() {
        let source = source();
        let lighter = |luma: &mut Vec<u8>| luma.iter_mut().for_each(|pixel| *pixel += 5);
        let quality = compare(&source[..], recording(&source, &[0, 1, 2, 3], lighter)).unwrap();
        let wanted = 20.0 * (255.0_f64 / 5.0).log10();
        for figure in [quality.psnr_db, quality.psnr_pooled_db, quality.psnr_db_min] {
            assert!((figure - wanted).abs() < 1e-9, "{figure} dB, not {wanted}");
        }
    }

    #[test]
    fn a_frozen_recording_scores_low() {
        let source = source();
        let frozen = compare(&source[..], recording(&source, &[2; 10], |_| ())).unwrap();
        let pooled = frozen.psnr_pooled_db;
        assert!(pooled < 45.0, "no picture may be used twice: {pooled} dB");
    }

    #[test]
    fn what_cannot_be_compared_is_told_apart() {
        let source = source();
        let empty = recording(&source, &[], |_| ());
        assert!(matches!(
            compare(&source[..], empty),
            Err(QualityError::Length(0, 8))
        ));
        let mut other = Vec::new();
        let wide = Shape { width: 66, ..SHAPE };
        write_talking_head(&mut other, wide, 1, 7).unwrap();
        let result = compare(&source[..], Cursor::new(other));
        assert!(matches!(result, Err(QualityError::Size(66, 36, 64, 36))));
    }
}

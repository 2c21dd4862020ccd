//! Sound of any rate to and from 48 kHz.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};
use thiserror::Error;

use crate::frame::{BLOCK_SAMPLES, Block, SAMPLE_RATE_HZ};

/// Slowest rate: telephone sound.
pub const RATE_HZ_MIN: u32 = 8_000;
/// Fastest rate that any common device has.
pub const RATE_HZ_MAX: u32 = 192_000;
/// Taps of the filter. Speech needs no more; 256 costs twice the time for the last kilohertz.
const FILTER_TAPS: usize = 128;

/// A rate that cannot be brought to 48 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a sample rate of {0} Hz is outside 8000 to 192000 Hz")]
pub struct RateError(pub u32);

fn resampler(
    ratio: f64,
    chunk: usize,
    fixed: FixedAsync,
    rate_hz: u32,
) -> Result<Async<f32>, RateError> {
    if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&rate_hz) {
        return Err(RateError(rate_hz));
    }
    let filter = SincInterpolationParameters::new(FILTER_TAPS, WindowFunction::BlackmanHarris2)
        .interpolation(SincInterpolationType::Quadratic);
    Async::new_sinc(ratio, 1.0, &filter, chunk, 1, fixed).map_err(|_| RateError(rate_hz))
}

/// Makes 48 kHz blocks from sound of another rate.
pub struct ToBlocks {
    inner: Async<f32>,
}

impl ToBlocks {
    /// For sound of `rate_hz`.
    ///
    /// # Errors
    /// The rate is out of range.
    pub fn new(rate_hz: u32) -> Result<Self, RateError> {
        let ratio = f64::from(SAMPLE_RATE_HZ) / f64::from(rate_hz);
        Ok(Self {
            inner: resampler(ratio, BLOCK_SAMPLES, FixedAsync::Output, rate_hz)?,
        })
    }

    /// How many samples the next block needs.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.inner.input_frames_next()
    }

    /// Makes a block from [`ToBlocks::wanted`] samples.
    ///
    /// # Panics
    /// When `samples` has fewer than wanted.
    pub fn block(&mut self, samples: &[f32], block: &mut Block) {
        run(&mut self.inner, samples, block);
    }
}

/// Makes sound of another rate from 48 kHz blocks.
pub struct FromBlocks {
    inner: Async<f32>,
    out: Vec<f32>,
}

impl FromBlocks {
    /// For sound of `rate_hz`.
    ///
    /// # Errors
    /// The rate is out of range.
    pub fn new(rate_hz: u32) -> Result<Self, RateError> {
        let ratio = f64::from(rate_hz) / f64::from(SAMPLE_RATE_HZ);
        let inner = resampler(ratio, BLOCK_SAMPLES, FixedAsync::Input, rate_hz)?;
        let out = vec![0.0; inner.output_frames_max()];
        Ok(Self { inner, out })
    }

    /// The block at the other rate; its length varies by a sample or two from call to call.
    pub fn samples(&mut self, block: &Block) -> &[f32] {
        let made = run(&mut self.inner, block, &mut self.out);
        &self.out[..made]
    }
}

fn run(inner: &mut Async<f32>, samples: &[f32], out: &mut [f32]) -> usize {
    let (wanted, room) = (samples.len(), out.len());
    let input = InterleavedSlice::new(samples, 1, wanted).expect("one channel: every length fits");
    let mut output =
        InterleavedSlice::new_mut(out, 1, room).expect("one channel: every length fits");
    let (_, made) = inner
        .process_into_buffer(&input, &mut output, None)
        .expect("both lengths were asked for beforehand");
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_rates() {
        for rate in [8_000, 11_025, 44_100, 96_000, 192_000] {
            let (mut to, mut from) = (
                ToBlocks::new(rate).expect("in range"),
                FromBlocks::new(rate).expect("in range"),
            );
            let (mut taken, mut given) = (0, 0);
            let mut block = [0.0; BLOCK_SAMPLES];
            for _ in 0..50 {
                let wanted = to.wanted();
                to.block(&vec![0.0; wanted], &mut block);
                taken += wanted;
                given += from.samples(&block).len();
            }
            let want = rate as usize;
            assert!(
                taken.abs_diff(want) < 400 && given.abs_diff(want) < 400,
                "{rate} Hz: {taken} and {given} in a second"
            );
        }
        assert_eq!(ToBlocks::new(0).err(), Some(RateError(0)));
        assert_eq!(FromBlocks::new(400_000).err(), Some(RateError(400_000)));
    }
}

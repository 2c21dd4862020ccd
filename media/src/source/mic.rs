//! A microphone: cpal's callback → ring → blocks.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, InputCallbackInfo, Sample, SampleFormat, SizedSample, Stream};
use rtrb::{Consumer, Producer, RingBuffer};

use super::{AudioSource, CaptureTime};
use crate::clock;
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME, Block, SAMPLE_RATE_HZ};
use crate::resample::ToBlocks;
use crate::sound::{Direction, Form, Health, OPEN_MAX, OpenStream, RING, find, form, look_closer};

const DIRECTION: Direction = Direction::Microphone;
/// Sound that may wait in the ring: what a held-up thread finds beyond is left out, as delay stays and a gap does not.
const WAITING_MAX: Duration = Duration::from_millis(100);
/// Shortest wait for samples that are not there yet: a callback brings several milliseconds at once.
const WAIT_MIN: Duration = Duration::from_millis(2);

/// A running microphone. Dropping it closes the device.
pub struct Microphone {
    /// Keeps the device open.
    _stream: OpenStream,
    ring: Consumer<f32>,
    health: Arc<Health>,
    form: Form,
    /// None when the device has our rate.
    resampler: Option<ToBlocks>,
    scratch: Vec<f32>,
}

impl Microphone {
    /// Opens the default microphone, or the one with this name, and starts it.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(name: Option<&str>) -> Result<Self, DeviceError> {
        Self::try_open(name).map_err(|error| look_closer(DIRECTION, error))
    }

    fn try_open(name: Option<&str>) -> Result<Self, DeviceError> {
        let device = find(DIRECTION, name)?;
        let form = form(DIRECTION, &device)?;
        let health = Arc::new(Health::default());
        let (stream, ring) = match build(&device, &form, &health) {
            Err(DeviceError::Format { .. }) => {
                build(&device, &form.with_default_period(), &health)?
            }
            other => other?,
        };
        stream.play().map_err(|error| DIRECTION.error(&error))?;
        let resampler = match form.rate_hz() {
            SAMPLE_RATE_HZ => None,
            rate => Some(ToBlocks::new(rate).map_err(|error| DeviceError::Format {
                what: DIRECTION.what(),
                found: error.to_string(),
            })?),
        };
        tracing::debug!(?form, "the microphone is open");
        Ok(Self {
            _stream: OpenStream::new(stream),
            ring,
            health,
            form,
            resampler,
            scratch: Vec::new(),
        })
    }

    /// Over-runs of the device so far.
    #[must_use]
    pub fn glitches(&self) -> u64 {
        self.health.glitches()
    }

    /// Waits for samples and moves them to `to`.
    fn fill(&mut self, to: &mut [f32]) -> Result<(), DeviceError> {
        let deadline = clock::now() + self.health.patience();
        loop {
            let waiting = self.ring.slots();
            if waiting >= to.len() {
                self.health.moved();
                self.leave_out(waiting);
                self.ring
                    .pop_entire_slice(to)
                    .expect("as many wait: only this thread takes");
                return Ok(());
            }
            if self.health.gone() || clock::now() >= deadline {
                return Err(DeviceError::Gone {
                    what: DIRECTION.what(),
                });
            }
            let missing = Duration::from_secs_f64(
                (to.len() - waiting) as f64 / f64::from(self.form.rate_hz()),
            );
            clock::sleep(missing.max(WAIT_MIN));
        }
    }

    fn leave_out(&mut self, waiting: usize) {
        let excess = waiting.saturating_sub(self.form.samples(WAITING_MAX));
        if excess > 0
            && let Ok(chunk) = self.ring.read_chunk(excess)
        {
            chunk.commit_all();
        }
    }
}

impl AudioSource for Microphone {
    fn is_device(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        self.health.has_begun()
    }

    fn delay(&self) -> Duration {
        let waiting = self.ring.slots() as f64 / f64::from(self.form.rate_hz());
        self.health.delay() + Duration::from_secs_f64(waiting) + BLOCK_TIME
    }

    fn read(&mut self, _at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        let Some(mut resampler) = self.resampler.take() else {
            return self.fill(block);
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(resampler.wanted(), 0.0);
        let filled = self.fill(&mut scratch);
        resampler.block(&scratch, block);
        (self.resampler, self.scratch) = (Some(resampler), scratch);
        filled
    }
}

fn build(
    device: &cpal::Device,
    form: &Form,
    health: &Arc<Health>,
) -> Result<(Stream, Consumer<f32>), DeviceError> {
    match form.format {
        SampleFormat::F32 => build_as::<f32>(device, form, health),
        SampleFormat::I16 => build_as::<i16>(device, form, health),
        SampleFormat::I32 => build_as::<i32>(device, form, health),
        SampleFormat::U16 => build_as::<u16>(device, form, health),
        other => Err(DeviceError::Format {
            what: DIRECTION.what(),
            found: other.to_string(),
        }),
    }
}

fn build_as<T>(
    device: &cpal::Device,
    form: &Form,
    health: &Arc<Health>,
) -> Result<(Stream, Consumer<f32>), DeviceError>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let (mut producer, consumer) = RingBuffer::new(form.samples(RING).max(2 * BLOCK_SAMPLES));
    let channels = usize::from(form.config.channels);
    let told = Arc::clone(health);
    let callback = move |samples: &[T], info: &InputCallbackInfo| {
        let at = info.timestamp();
        told.set_delay(at.callback.saturating_duration_since(at.capture));
        push_mixed(&mut producer, samples, channels);
    };
    let stream = device.build_input_stream(form.config, callback, health.watch(), Some(OPEN_MAX));
    Ok((stream.map_err(|error| DIRECTION.error(&error))?, consumer))
}

/// Mixes interleaved channels to one and moves them to the ring; what finds no room is lost. Runs in the callback.
fn push_mixed<T>(ring: &mut Producer<f32>, samples: &[T], channels: usize)
where
    T: Sample,
    f32: FromSample<T>,
{
    let mono = samples.chunks_exact(channels).map(|frame| {
        let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
        (sum / channels as f32).clamp(-1.0, 1.0)
    });
    let room = ring.slots().min(samples.len() / channels);
    if let Ok(chunk) = ring.write_chunk_uninit(room) {
        chunk.fill_from_iter(mono);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged_and_a_full_ring_loses_the_newest() {
        let (mut producer, mut consumer) = RingBuffer::new(3);
        push_mixed(
            &mut producer,
            &[i16::MAX, 0, i16::MIN, i16::MIN, 0, 0, 1, 1],
            2,
        );
        let mut got = [0.0; 3];
        consumer.pop_entire_slice(&mut got).expect("three fitted");
        assert!(
            (got[0] - 0.5).abs() < 1e-3 && got[1] == -1.0 && got[2] == 0.0,
            "{got:?}"
        );
        assert_eq!(consumer.slots(), 0);
    }
}

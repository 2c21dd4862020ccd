//! A loudspeaker: blocks → ring → cpal's callback.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, OutputCallbackInfo, Sample, SampleFormat, SizedSample, Stream};
use rtrb::{Consumer, Producer, RingBuffer};

use super::AudioSink;
use crate::clock;
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME, Block, SAMPLE_RATE_HZ};
use crate::resample::FromBlocks;
use crate::sound::{Direction, Form, Health, OPEN_MAX, OpenStream, RING, find, form, look_closer};

const DIRECTION: Direction = Direction::Speaker;
/// Sound waiting in the ring when the next block is asked for: less clicks when the thread is late, more is delay.
const WAITING: Duration = BLOCK_TIME;
/// Shortest wait for the device to take sound.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// How fast the last sample fades when there is no next one, for each sample: silent after 5 ms, without a click.
const DECAY: f32 = 0.98;

/// A running loudspeaker. Dropping it closes the device.
pub struct Speaker {
    /// Keeps the device open.
    _stream: OpenStream,
    ring: Producer<f32>,
    health: Arc<Health>,
    form: Form,
    /// None when the device has our rate.
    resampler: Option<FromBlocks>,
}

impl Speaker {
    /// Opens the default loudspeaker, or the one with this name, and starts it.
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
            rate => Some(FromBlocks::new(rate).map_err(|error| DeviceError::Format {
                what: DIRECTION.what(),
                found: error.to_string(),
            })?),
        };
        tracing::debug!(?form, "the loudspeaker is open");
        Ok(Self {
            _stream: OpenStream::new(stream),
            ring,
            health,
            form,
            resampler,
        })
    }

    /// Under-runs of the device so far.
    #[must_use]
    pub fn glitches(&self) -> u64 {
        self.health.glitches()
    }
}

impl AudioSink for Speaker {
    fn is_device(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        self.health.has_begun()
    }

    /// What waits in the ring, and what the device itself says.
    fn latency(&self) -> Duration {
        let waiting = self.ring.buffer().capacity() - self.ring.slots();
        let waiting = waiting as f64 / f64::from(self.form.rate_hz());
        self.health.delay() + Duration::from_secs_f64(waiting)
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        let deadline = clock::now() + self.health.patience();
        let allowed = self.form.samples(WAITING);
        let mut waited = false;
        loop {
            let waiting = self.ring.buffer().capacity() - self.ring.slots();
            if waiting <= allowed {
                if waited {
                    self.health.moved();
                }
                return Ok(());
            }
            if self.health.gone() || clock::now() >= deadline {
                return Err(DeviceError::Gone {
                    what: DIRECTION.what(),
                });
            }
            let excess = Duration::from_secs_f64(
                (waiting - allowed) as f64 / f64::from(self.form.rate_hz()),
            );
            clock::sleep(excess.max(WAIT_MIN));
            waited = true;
        }
    }

    fn write(&mut self, block: &Block) -> Result<(), DeviceError> {
        let samples = match &mut self.resampler {
            Some(resampler) => resampler.samples(block),
            None => block.as_slice(),
        };
        // Without waiting first there may be no room for all: the rest is lost rather than waited for.
        let (_kept, _lost) = self.ring.push_partial_slice(samples);
        if self.health.gone() {
            Err(DeviceError::Gone {
                what: DIRECTION.what(),
            })
        } else {
            Ok(())
        }
    }
}

fn build(
    device: &cpal::Device,
    form: &Form,
    health: &Arc<Health>,
) -> Result<(Stream, Producer<f32>), DeviceError> {
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
) -> Result<(Stream, Producer<f32>), DeviceError>
where
    T: SizedSample + FromSample<f32>,
{
    let (producer, mut consumer) = RingBuffer::new(form.samples(RING).max(2 * BLOCK_SAMPLES));
    let channels = usize::from(form.config.channels);
    let mut last = 0.0;
    let told = Arc::clone(health);
    let callback = move |samples: &mut [T], info: &OutputCallbackInfo| {
        let at = info.timestamp();
        told.set_delay(at.playback.saturating_duration_since(at.callback));
        pop_spread(&mut consumer, &mut last, samples, channels);
    };
    let stream = device.build_output_stream(form.config, callback, health.watch(), Some(OPEN_MAX));
    Ok((stream.map_err(|error| DIRECTION.error(&error))?, producer))
}

/// Moves samples from the ring to all channels; fades to silence when there are too few. Runs in the callback.
fn pop_spread<T>(ring: &mut Consumer<f32>, last: &mut f32, samples: &mut [T], channels: usize)
where
    T: Sample + FromSample<f32>,
{
    let frames = samples.len() / channels;
    let mut given = ring
        .read_chunk(ring.slots().min(frames))
        .ok()
        .into_iter()
        .flatten();
    for frame in samples.chunks_exact_mut(channels) {
        *last = given.next().unwrap_or(*last * DECAY);
        frame.fill(T::from_sample(*last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_to_every_channel_and_an_empty_ring_fades_out() {
        let (mut producer, mut consumer) = RingBuffer::new(8);
        producer.push_entire_slice(&[0.25, 0.5]).expect("room");
        let mut out = [0i16; 2 * 400];
        let mut last = 0.0;
        pop_spread(&mut consumer, &mut last, &mut out, 2);
        assert!(
            out[0] == out[1] && out[2] == out[3] && out[2].abs_diff(out[0] * 2) <= 1,
            "{:?}",
            &out[..8]
        );
        let step = out
            .chunks(2)
            .skip(1)
            .map(|frame| frame[0])
            .collect::<Vec<_>>();
        assert!(
            step.windows(2)
                .all(|pair| pair[1] <= pair[0] && pair[0].abs_diff(pair[1]) < 400),
            "no click"
        );
        assert!(out[799].abs() < 10, "silent at the end: {}", out[799]);
    }
}

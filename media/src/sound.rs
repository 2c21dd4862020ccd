//! Sound devices through cpal: which one, in which form, and what its errors mean.
//!
//! Callbacks of a device run on a thread that must never wait: they only move samples between the device and a ring,
//! without a lock, an allocation or a line in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cpal::traits::DeviceTrait;
use cpal::{
    BufferSize, Device, Error, ErrorKind, SampleFormat, Stream, StreamConfig, SupportedBufferSize,
    SupportedStreamConfigRange,
};

use crate::device::DeviceError;
use crate::frame::SAMPLE_RATE_HZ;
use crate::resample::{RATE_HZ_MAX, RATE_HZ_MIN};

mod choose;
mod refused;

pub use choose::{SoundDevice, has_sound_server, microphones, speakers};
pub(crate) use choose::{default_name, find, is_there};
pub use refused::is_sound_server_denied;
pub(crate) use refused::look_closer;

/// Time that a callback gets or gives at once. Shorter costs wake-ups and under-runs on a busy machine; longer is delay.
const PERIOD: Duration = Duration::from_millis(10);
/// Sound that a ring holds: a thread that is held up for longer loses sound anyway.
pub(crate) const RING: Duration = Duration::from_millis(200);
/// How long a running device may stay without a callback before it counts as gone.
const CALLBACK_MAX: Duration = Duration::from_secs(2);
/// The same for its first callback: a sound server that was idle may first play out two seconds of silence.
const FIRST_CALLBACK_MAX: Duration = Duration::from_secs(5);
/// Longest delay that a device is believed to have: some drivers tell nonsense while they start.
const DELAY_MAX: Duration = Duration::from_millis(500);
/// How long closing a device is waited for.
const CLOSE_MAX: Duration = Duration::from_millis(300);
/// How long opening a device may take.
pub(crate) const OPEN_MAX: Duration = Duration::from_secs(3);

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Microphone,
    Speaker,
}

impl Direction {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Microphone => "--mic device:NAME, --mic file:PATH or --mic none",
            Self::Speaker => "--speaker device:NAME, --speaker file:PATH.wav or --speaker none",
        }
    }

    fn no_device(self) -> DeviceError {
        DeviceError::NoDevice {
            what: self.what(),
            option: self.option(),
        }
    }

    /// What an error of the library means to the user.
    pub(crate) fn error(self, error: &Error) -> DeviceError {
        let what = self.what();
        let words = error.to_string();
        if words.contains("Connection refused") || words.contains("Connection terminated") {
            // The sound server's ALSA plugin has no better word.
            return DeviceError::Failed {
                what,
                message: "the sound server does not answer; start it, or unset PULSE_SERVER"
                    .to_owned(),
            };
        }
        match error.kind() {
            ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => self.no_device(),
            ErrorKind::DeviceBusy => DeviceError::Busy { what },
            ErrorKind::PermissionDenied => DeviceError::Denied {
                what,
                remedy: refused::JOIN_GROUP,
            },
            ErrorKind::UnsupportedConfig
            | ErrorKind::UnsupportedOperation
            | ErrorKind::InvalidInput => DeviceError::Format {
                what,
                found: error.to_string(),
            },
            ErrorKind::StreamInvalidated => DeviceError::Gone { what },
            _ => DeviceError::Failed {
                what,
                message: error.to_string(),
            },
        }
    }
}

/// The form to open a device in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) config: StreamConfig,
    pub(crate) format: SampleFormat,
}

impl Form {
    pub(crate) fn rate_hz(&self) -> u32 {
        self.config.sample_rate
    }

    /// Samples of one channel that last `time`.
    pub(crate) fn samples(&self, time: Duration) -> usize {
        (u64::from(self.rate_hz()) * time.as_millis() as u64 / 1000) as usize
    }

    /// The same without a wish for a period, for devices that refuse ours.
    pub(crate) fn with_default_period(mut self) -> Self {
        self.config.buffer_size = BufferSize::Default;
        self
    }
}

/// The form of a device that needs the least conversion.
pub(crate) fn form(direction: Direction, device: &Device) -> Result<Form, DeviceError> {
    let ranges: Vec<SupportedStreamConfigRange> = match direction {
        Direction::Microphone => device
            .supported_input_configs()
            .map_err(|error| direction.error(&error))?
            .collect(),
        Direction::Speaker => device
            .supported_output_configs()
            .map_err(|error| direction.error(&error))?
            .collect(),
    };
    choose(direction, &ranges).ok_or_else(|| DeviceError::Format {
        what: direction.what(),
        found: format!(
            "{} forms, none between 8 and 192 kHz in 16 to 32 bits",
            ranges.len()
        ),
    })
}

/// The best of what a device offers: our rate before others, few channels before many, floats before whole numbers.
fn choose(direction: Direction, ranges: &[SupportedStreamConfigRange]) -> Option<Form> {
    let candidate = |range: &SupportedStreamConfigRange| {
        let format_rank = match range.sample_format() {
            SampleFormat::F32 => 0,
            SampleFormat::I16 => 1,
            SampleFormat::I32 => 2,
            SampleFormat::U16 => 3,
            _ => return None,
        };
        let (least, most) = (
            range.min_sample_rate().max(RATE_HZ_MIN),
            range.max_sample_rate().min(RATE_HZ_MAX),
        );
        if least > most || range.channels() == 0 {
            return None;
        }
        let rate_hz = SAMPLE_RATE_HZ.clamp(least, most);
        // A microphone's one channel is all we want; a loudspeaker with one channel is usually half of a pair.
        let channels_best = if direction == Direction::Microphone {
            1
        } else {
            2
        };
        let rank = (
            rate_hz.abs_diff(SAMPLE_RATE_HZ),
            range.channels().abs_diff(channels_best),
            format_rank,
        );
        let period = (u64::from(rate_hz) * PERIOD.as_millis() as u64 / 1000) as u32;
        let buffer_size = match *range.buffer_size() {
            SupportedBufferSize::Range { min, max } if min <= max => {
                BufferSize::Fixed(period.clamp(min, max))
            }
            _ => BufferSize::Default,
        };
        let config = StreamConfig {
            channels: range.channels(),
            sample_rate: rate_hz,
            buffer_size,
        };
        Some((
            rank,
            Form {
                config,
                format: range.sample_format(),
            },
        ))
    };
    ranges
        .iter()
        .filter_map(candidate)
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, form)| form)
}

/// A stream that is closed without waiting: closing one whose device went away may hang in the library.
pub(crate) struct OpenStream {
    stream: Option<Stream>,
}

impl OpenStream {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream: Some(stream),
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let (stream, (done, closed)) = (self.stream.take(), crossbeam_channel::bounded(1));
        let closing = std::thread::Builder::new()
            .name("device-close".into())
            .spawn(move || {
                drop(stream);
                // Whoever waited may be gone.
                let _ = done.try_send(());
            });
        // A device is usually closed within a period, and the next call wants it free.
        if closing.is_ok() && closed.recv_timeout(CLOSE_MAX).is_err() {
            tracing::warn!("a sound device does not close; it is left behind");
        }
    }
}

/// What the callbacks of a stream tell the thread that reads or feeds it.
#[derive(Default)]
pub(crate) struct Health {
    gone: AtomicBool,
    /// Samples have gone through.
    moved: AtomicBool,
    /// Under-runs, over-runs: heard as clicks, never fatal.
    glitches: AtomicU64,
    /// How long sound takes between the device and the callback, as the device says.
    delay_us: AtomicU64,
    /// There was a callback.
    begun: AtomicBool,
}

impl Health {
    /// For the stream's error callback.
    pub(crate) fn watch(self: &Arc<Self>) -> impl FnMut(Error) + Send + 'static {
        let health = Arc::clone(self);
        move |error| match error.kind() {
            ErrorKind::DeviceNotAvailable
            | ErrorKind::StreamInvalidated
            | ErrorKind::HostUnavailable => {
                health.gone.store(true, Relaxed);
            }
            _ => {
                health.glitches.fetch_add(1, Relaxed);
            }
        }
    }

    /// For a callback: how long sound takes between the device and it.
    pub(crate) fn set_delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delay_us.store(micros, Relaxed);
        self.begun.store(true, Relaxed);
    }

    /// Whether there was a callback.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// What the callback said last, within what can be.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Relaxed)).min(DELAY_MAX)
    }

    /// For the thread that waits: the samples asked for are there, the device works.
    pub(crate) fn moved(&self) {
        self.moved.store(true, Relaxed);
    }

    /// How long to wait for the next samples.
    pub(crate) fn patience(&self) -> Duration {
        if self.moved.load(Relaxed) {
            CALLBACK_MAX
        } else {
            FIRST_CALLBACK_MAX
        }
    }

    pub(crate) fn gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    pub(crate) fn glitches(&self) -> u64 {
        self.glitches.load(Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;

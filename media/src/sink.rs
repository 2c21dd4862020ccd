//! Where sound and recorded pictures go: a loudspeaker, a WAV file, a Y4M file, nowhere.

pub mod speaker;
pub mod wav;
pub mod y4m;

use std::sync::Arc;
use std::time::Duration;

use crate::device::DeviceError;
use crate::frame::{Block, Picture};
use crate::source::SpeakerSpec;

pub use y4m::Recorder;

/// Takes decoded pictures one after the other.
pub trait VideoSink: Send {
    /// Takes a picture.
    ///
    /// # Errors
    /// It cannot be written; the next ones will not be either.
    fn write(&mut self, picture: &Arc<Picture>) -> Result<(), DeviceError>;
}

/// Takes sound.
pub trait AudioSink: Send {
    /// True for a loudspeaker, which paces by blocking in [`AudioSink::wait`]; false for what is written every 20 ms
    /// by the clock.
    fn is_device(&self) -> bool;

    /// False while an open device has asked for nothing yet: some take two seconds.
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether what is written is heard: false while a device is away.
    fn is_live(&self) -> bool {
        true
    }

    /// What happened to the device since the last look, a sentence: it went away, another took its place.
    fn news(&mut self) -> Option<String> {
        None
    }

    /// Blocks until a device wants the next 20 ms, so that they are put together as late as possible.
    ///
    /// # Errors
    /// The device went away.
    fn wait(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    /// How long sound that was written still waits before it is heard.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes 20 ms.
    ///
    /// # Errors
    /// The device went away or the file cannot be written.
    fn write(&mut self, block: &Block) -> Result<(), DeviceError>;
}

/// Takes sound and forgets it: the stream is decoded and counted all the same.
pub struct Nowhere;

impl AudioSink for Nowhere {
    fn is_device(&self) -> bool {
        false
    }

    fn write(&mut self, _block: &Block) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Opens what `--speaker` names; none for `none` (use [`Nowhere`] to decode and count all the same).
///
/// # Errors
/// The file or the device cannot be used; the message says what to do.
pub fn open_speaker(spec: &SpeakerSpec) -> Result<Option<Box<dyn AudioSink>>, DeviceError> {
    Ok(match spec {
        SpeakerSpec::Device(name) => Some(Box::new(speaker::Speaker::open(name.as_deref())?)),
        SpeakerSpec::File(path) => Some(Box::new(wav::WavSink::create(path)?)),
        SpeakerSpec::None => None,
    })
}

//! Where pictures and sound come from: devices, files, the test card, nothing.

pub mod camera;
pub mod card;
pub mod mic;
pub mod spec;
pub mod wav;
pub mod y4m;

use std::sync::Arc;
use std::time::Duration;

use crate::device::DeviceError;
use crate::frame::{Block, Picture};

pub use spec::{CameraSpec, MicSpec, SpeakerSpec};

/// When a picture or block is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureTime {
    /// Since the source started.
    pub elapsed: Duration,
    /// Microseconds since 1970-01-01 UTC; what the test card shows.
    pub clock_us: u64,
}

/// Gives pictures.
pub trait VideoSource: Send {
    /// Pixels across and down of the next picture.
    fn size(&self) -> (u32, u32);

    /// Time from picture to picture; none when the device paces by blocking in [`VideoSource::read`].
    fn interval(&self) -> Option<Duration>;

    /// The next picture. A device blocks until it has one.
    ///
    /// # Errors
    /// The device went away or the file is damaged.
    fn read(&mut self, at: CaptureTime) -> Result<Arc<Picture>, DeviceError>;

    /// Starts or stops the device without closing it: a camera whose light is out must not capture.
    ///
    /// # Errors
    /// The device refuses to start again.
    fn set_running(&mut self, _running: bool) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Gives sound.
pub trait AudioSource: Send {
    /// True for a microphone, whose sound goes through echo and noise processing and which paces by blocking in
    /// [`AudioSource::read`]; false for what is read every 20 ms by the clock.
    fn is_device(&self) -> bool;

    /// False while there is no device: what is read is silence that nobody need hear.
    fn is_live(&self) -> bool {
        true
    }

    /// False while an open device has given nothing yet: some take two seconds.
    fn is_ready(&self) -> bool {
        true
    }

    /// How long ago the last sample of the last block was heard, as far as the device says.
    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    /// What happened to the device since the last look, a sentence: it went away, another took its place.
    fn news(&mut self) -> Option<String> {
        None
    }

    /// Fills the next 20 ms. A device blocks until it has them.
    ///
    /// # Errors
    /// The device went away or the file is damaged.
    fn read(&mut self, at: CaptureTime, block: &mut Block) -> Result<(), DeviceError>;
}

/// Opens what `--camera` names; none for `none`.
///
/// # Errors
/// The file or the device cannot be used; the message says what to do.
pub fn open_camera(spec: &CameraSpec) -> Result<Option<Box<dyn VideoSource>>, DeviceError> {
    Ok(match spec {
        CameraSpec::Device(name) => Some(Box::new(camera::Camera::open(name.as_deref())?)),
        CameraSpec::File(path) => Some(Box::new(y4m::Y4mSource::open(path)?)),
        CameraSpec::Test => Some(Box::new(card::TestCard::new())),
        CameraSpec::None => None,
    })
}

/// Opens what `--mic` names; none for `none`.
///
/// # Errors
/// The file or the device cannot be used; the message says what to do.
pub fn open_mic(spec: &MicSpec) -> Result<Option<Box<dyn AudioSource>>, DeviceError> {
    Ok(match spec {
        MicSpec::Device(name) => Some(Box::new(mic::Microphone::open(name.as_deref())?)),
        MicSpec::File(path) => Some(Box::new(wav::WavSource::open(path)?)),
        MicSpec::Test => Some(Box::new(card::TestTone)),
        MicSpec::None => None,
    })
}

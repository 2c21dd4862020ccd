//! Devices that come and go during a call.
//!
//! A [`FollowedMic`] and a [`FollowedSpeaker`] never fail: when the device goes away they go on in silence, and a thread of
//! their own (`device-watch`) looks for what takes its place: the chosen device or else the default one. It also notices
//! that the system has a new default. Opening and closing happen on that thread; the thread of the sound only takes what
//! is ready. What happened is told in sentences.

mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::device::DeviceError;
use crate::frame::{BLOCK_TIME, Block};
use crate::pace::Pacer;
use crate::sink::AudioSink;
use crate::sink::speaker::Speaker;
use crate::sound::{Direction, default_name, is_there};
use crate::source::mic::Microphone;
use crate::source::{AudioSource, CaptureTime};
use watch::{System, Watch};

/// A microphone that is followed.
type AnySource = Box<dyn AudioSource>;
/// A loudspeaker that is followed.
type AnySink = Box<dyn AudioSink>;

/// The machine's microphones.
struct Microphones;

impl System for Microphones {
    type Handle = AnySource;

    fn what(&self) -> &'static str {
        Direction::Microphone.what()
    }

    fn open(&self, name: Option<&str>) -> Result<AnySource, DeviceError> {
        Ok(Box::new(Microphone::open(name)?))
    }

    fn is_ready(&self, mic: &AnySource) -> bool {
        mic.is_ready()
    }

    fn default_name(&self) -> Option<String> {
        default_name(Direction::Microphone)
    }

    fn is_there(&self, name: &str) -> Option<bool> {
        is_there(Direction::Microphone, name)
    }
}

/// The machine's loudspeakers.
struct Speakers;

impl System for Speakers {
    type Handle = AnySink;

    fn what(&self) -> &'static str {
        Direction::Speaker.what()
    }

    fn open(&self, name: Option<&str>) -> Result<AnySink, DeviceError> {
        Ok(Box::new(Speaker::open(name)?))
    }

    fn is_ready(&self, speaker: &AnySink) -> bool {
        speaker.is_ready()
    }

    fn default_name(&self) -> Option<String> {
        default_name(Direction::Speaker)
    }

    fn is_there(&self, name: &str) -> Option<bool> {
        is_there(Direction::Speaker, name)
    }
}

/// Which device is used, changed while it is in use. `None` is the system's default. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct DeviceChoice {
    name: Arc<Mutex<Option<String>>>,
}

impl DeviceChoice {
    /// This device, by its name or id; none: the default one.
    #[must_use]
    pub fn new(name: Option<String>) -> Self {
        Self {
            name: Arc::new(Mutex::new(name)),
        }
    }

    /// This device from now on: within a second, also in a call.
    pub fn set(&self, name: Option<String>) {
        *self.name() = name;
    }

    /// What is chosen.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.name().clone()
    }

    /// The name is whole whenever the lock is free, also after a panic elsewhere.
    fn name(&self) -> MutexGuard<'_, Option<String>> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A microphone that may go away and come back. Silent meanwhile.
pub struct FollowedMic {
    current: Option<AnySource>,
    pacer: Pacer,
    watch: Watch<AnySource>,
}

/// Opens the microphone that is chosen and follows it, and the choice, from then on. The error says why there is none
/// yet; one that comes later is taken.
#[must_use]
pub fn follow_mic(choice: &DeviceChoice) -> (FollowedMic, Option<DeviceError>) {
    FollowedMic::of(Microphones, choice)
}

/// The same for a loudspeaker.
#[must_use]
pub fn follow_speaker(choice: &DeviceChoice) -> (FollowedSpeaker, Option<DeviceError>) {
    FollowedSpeaker::of(Speakers, choice)
}

impl FollowedMic {
    fn of(
        system: impl System<Handle = AnySource>,
        choice: &DeviceChoice,
    ) -> (Self, Option<DeviceError>) {
        let name = choice.get();
        let (current, error) = opened(system.open(name.as_deref()));
        let mic = Self {
            watch: Watch::start(system, choice.clone(), name, current.is_some()),
            current,
            pacer: pacer(),
        };
        (mic, error)
    }
}

impl AudioSource for FollowedMic {
    fn is_device(&self) -> bool {
        true
    }

    fn is_live(&self) -> bool {
        self.current.is_some()
    }

    fn delay(&self) -> Duration {
        self.current
            .as_ref()
            .map_or(Duration::ZERO, |mic| mic.delay())
    }

    fn news(&mut self) -> Option<String> {
        self.watch.news()
    }

    fn read(&mut self, at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        if let Some(fresh) = self.watch.fresh() {
            self.watch.replaced(self.current.replace(fresh));
        }
        if let Some(mic) = &mut self.current {
            match mic.read(at, block) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "the microphone is lost");
                    self.watch.lost(self.current.take());
                    self.pacer = pacer();
                }
            }
        }
        clock::sleep_until(self.pacer.deadline(clock::now()));
        block.fill(0.0);
        Ok(())
    }
}

/// A loudspeaker that may go away and come back. What is written meanwhile is not heard.
pub struct FollowedSpeaker {
    current: Option<AnySink>,
    pacer: Pacer,
    watch: Watch<AnySink>,
}

impl FollowedSpeaker {
    fn of(
        system: impl System<Handle = AnySink>,
        choice: &DeviceChoice,
    ) -> (Self, Option<DeviceError>) {
        let name = choice.get();
        let (current, error) = opened(system.open(name.as_deref()));
        let speaker = Self {
            watch: Watch::start(system, choice.clone(), name, current.is_some()),
            current,
            pacer: pacer(),
        };
        (speaker, error)
    }

    fn lost(&mut self, error: &DeviceError) {
        tracing::warn!(%error, "the loudspeaker is lost");
        self.watch.lost(self.current.take());
        self.pacer = pacer();
    }
}

impl AudioSink for FollowedSpeaker {
    fn is_device(&self) -> bool {
        true
    }

    fn is_live(&self) -> bool {
        self.current.is_some()
    }

    fn latency(&self) -> Duration {
        let current = self.current.as_ref();
        current.map_or(Duration::ZERO, |speaker| speaker.latency())
    }

    fn news(&mut self) -> Option<String> {
        self.watch.news()
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        if let Some(fresh) = self.watch.fresh() {
            self.watch.replaced(self.current.replace(fresh));
        }
        if let Some(speaker) = &mut self.current {
            match speaker.wait() {
                Ok(()) => return Ok(()),
                Err(error) => self.lost(&error),
            }
        }
        clock::sleep_until(self.pacer.deadline(clock::now()));
        Ok(())
    }

    fn write(&mut self, block: &Block) -> Result<(), DeviceError> {
        if let Some(speaker) = &mut self.current
            && let Err(error) = speaker.write(block)
        {
            self.lost(&error);
        }
        Ok(())
    }
}

fn opened<H>(opened: Result<H, DeviceError>) -> (Option<H>, Option<DeviceError>) {
    match opened {
        Ok(handle) => (Some(handle), None),
        Err(error) => (None, Some(error)),
    }
}

fn pacer() -> Pacer {
    Pacer::new(clock::now() + BLOCK_TIME, BLOCK_TIME)
}

#[cfg(test)]
mod plugging;
#[cfg(test)]
mod tests;

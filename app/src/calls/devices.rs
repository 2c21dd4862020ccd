//! Devices chosen while the program runs.

use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec};

use super::Calls;
use crate::devices::DeviceKind;
use crate::event::Event;
use crate::run::Wake;

impl Calls {
    /// Looks which devices there are, on a thread of its own: a sound server may take its time.
    pub fn list_devices(&self, kind: DeviceKind) {
        let wake = self.wake.clone();
        crate::threads::detach("devices", move || {
            let names = names(kind);
            // The loop is gone only when the program is.
            let _ = wake.send(Wake::Event(Event::Devices(kind, names)));
        });
    }

    /// Uses this device from now on; `None`: the one that the command line named, or the system's default. What is no
    /// specification was remembered by another version, and changes nothing.
    pub fn use_device(&mut self, kind: DeviceKind, spec: Option<&str>) {
        let given = self.given.clone();
        match kind {
            DeviceKind::Camera => {
                let chosen = spec.and_then(|spec| spec.parse::<CameraSpec>().ok());
                self.specs.camera = chosen.or(given.camera);
            }
            DeviceKind::Microphone => {
                let chosen = spec.and_then(|spec| spec.parse::<MicSpec>().ok());
                self.specs.mic = chosen.or(given.mic);
            }
            DeviceKind::Speaker => {
                let chosen = spec.and_then(|spec| spec.parse::<SpeakerSpec>().ok());
                self.specs.speaker = chosen.or(given.speaker);
            }
        }
    }
}

fn names(kind: DeviceKind) -> Vec<String> {
    let _ = kind;
    Vec::new()
}

//! Devices chosen while the program runs.

use hullo_media::sound::{SoundDevice, microphones, speakers};
use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec, camera};

use super::Calls;
use crate::control;
use crate::devices::{DeviceKind, NAMES_MAX};
use crate::event::Event;
use crate::profile::control::Responder;
use crate::report::Report;
use crate::run::Wake;
use crate::text;

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
                let name = match &chosen {
                    Some(MicSpec::Device(name)) => name.clone(),
                    Some(_) => None,
                    None => self.names_given[0].clone(),
                };
                self.specs.mic = chosen.or(given.mic);
                // Calls that run hear of it, too.
                self.specs.mic_choice.set(name);
            }
            DeviceKind::Speaker => {
                let chosen = spec.and_then(|spec| spec.parse::<SpeakerSpec>().ok());
                let name = match &chosen {
                    Some(SpeakerSpec::Device(name)) => name.clone(),
                    Some(_) => None,
                    None => self.names_given[1].clone(),
                };
                self.specs.speaker = chosen.or(given.speaker);
                self.specs.speaker_choice.set(name);
            }
        }
    }
}

fn names(kind: DeviceKind) -> Vec<String> {
    match kind {
        DeviceKind::Camera => camera::names(),
        DeviceKind::Microphone => told_apart(&microphones()),
        DeviceKind::Speaker => told_apart(&speakers()),
    }
}

/// The names of these; where several are called alike, each with its id behind it.
fn told_apart(devices: &[SoundDevice]) -> Vec<String> {
    let is_shared = |name: &str| devices.iter().filter(|device| device.name == name).count() > 1;
    let label = |device: &SoundDevice| match is_shared(&device.name) {
        true => device.full_name(),
        false => device.name.clone(),
    };
    devices.iter().map(label).collect()
}

/// Answers whether a device of this name, or with it in its name, is there; looked for on a thread of its own.
pub(crate) fn tell_whether_there(kind: DeviceKind, name: String, responder: &Responder) {
    let responder = responder.clone();
    crate::threads::detach("devices", move || {
        let mut there = names(kind);
        let is_there = there.iter().any(|known| known.contains(&name)) || is_id(kind, &name);
        there.truncate(NAMES_MAX);
        let text = if is_there {
            text::DONE.to_owned()
        } else {
            text::device_not_there(&name, &there)
        };
        control::send(&responder, &Report::Notice { text });
    });
}

/// Whether the name is a part of what the system calls a microphone or loudspeaker.
fn is_id(kind: DeviceKind, name: &str) -> bool {
    let devices = match kind {
        DeviceKind::Camera => return false,
        DeviceKind::Microphone => microphones(),
        DeviceKind::Speaker => speakers(),
    };
    devices.iter().any(|device| device.id.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_name_are_told_apart_by_their_ids() {
        let device = |name: &str, id: &str| SoundDevice {
            name: name.to_owned(),
            id: id.to_owned(),
            is_default: false,
        };
        let devices = [
            device("Null Output", "null.1"),
            device("Desk", "desk"),
            device("Null Output", "null.2"),
        ];
        let told = ["Null Output (null.1)", "Desk", "Null Output (null.2)"];
        assert_eq!(told_apart(&devices), told);
    }
}

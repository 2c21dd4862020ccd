//! Camera, microphone and loudspeaker as they are chosen on the settings screen.

use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec};

use crate::event::{Command, Settings};
use crate::model::Model;

/// Names listed of one kind at most; a machine with more has plugins, not devices.
pub const NAMES_MAX: usize = 32;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Pictures in.
    Camera,
    /// Sound in.
    Microphone,
    /// Sound out.
    Speaker,
}

/// The list from which one is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMenu {
    /// Which kind.
    pub kind: DeviceKind,
    /// Names of those that are there; `None` while they are being looked for.
    pub names: Option<Vec<String>>,
    /// Which line is chosen, from 0.
    pub chosen: usize,
    /// Where the settings stood.
    pub(crate) setting: usize,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLine {
    /// What the system, the configuration or the command line says.
    Usual,
    /// The device of this name.
    Named(String),
    /// A test card or a test tone.
    Test,
    /// Nothing.
    None,
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Camera, Self::Microphone, Self::Speaker];

    /// The word in `set` and in what is remembered.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "mic",
            Self::Speaker => "speaker",
        }
    }

    /// Its place among `--camera`, `--mic` and `--speaker`.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Camera => 0,
            Self::Microphone => 1,
            Self::Speaker => 2,
        }
    }

    /// Where the choice is remembered.
    pub fn remembered(self, settings: &mut Settings) -> &mut Option<String> {
        match self {
            Self::Camera => &mut settings.camera,
            Self::Microphone => &mut settings.mic,
            Self::Speaker => &mut settings.speaker,
        }
    }

    /// Whether `spec` is one as after `--camera`, `--mic` or `--speaker`.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check(self, spec: &str) -> Result<(), String> {
        let read = match self {
            Self::Camera => spec.parse::<CameraSpec>().map(drop),
            Self::Microphone => spec.parse::<MicSpec>().map(drop),
            Self::Speaker => spec.parse::<SpeakerSpec>().map(drop),
        };
        read.map_err(|error| crate::people::sentence(&error.to_string()))
    }
}

impl DeviceMenu {
    /// What can be chosen.
    #[must_use]
    pub fn lines(&self) -> Vec<DeviceLine> {
        let mut lines = vec![DeviceLine::Usual];
        let names = self.names.iter().flatten().take(NAMES_MAX).cloned();
        lines.extend(names.map(DeviceLine::Named));
        if self.kind != DeviceKind::Speaker {
            lines.push(DeviceLine::Test);
        }
        lines.push(DeviceLine::None);
        lines
    }
}

impl DeviceLine {
    /// The same as it is remembered; `None` for the usual one.
    #[must_use]
    pub fn spec(&self) -> Option<String> {
        match self {
            Self::Usual => None,
            Self::Named(name) => Some(format!("device:{name}")),
            Self::Test => Some("test".to_owned()),
            Self::None => Some("none".to_owned()),
        }
    }
}

impl Model {
    /// What was chosen here for this run: on the settings screen, or before and not overruled by the command line.
    #[must_use]
    pub fn chosen_device(&self, kind: DeviceKind) -> Option<&str> {
        let settings = &self.settings;
        let remembered = match kind {
            DeviceKind::Camera => &settings.camera,
            DeviceKind::Microphone => &settings.mic,
            DeviceKind::Speaker => &settings.speaker,
        };
        let is_overruled = self.layers.setup.devices[kind.index()].is_some();
        let counts = !is_overruled || self.layers.devices_chosen[kind.index()];
        remembered.as_deref().filter(|_| counts)
    }
}

/// The device that a command chooses by its name.
#[must_use]
pub fn named_in(command: &Command) -> Option<(DeviceKind, String)> {
    let Command::Set(setting, value) = command else {
        return None;
    };
    let kind = DeviceKind::ALL
        .into_iter()
        .find(|kind| kind.word() == setting)?;
    let name = value.strip_prefix("device:")?.to_owned();
    Some((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_by_its_name_is_looked_for() {
        let set = |name: &str, value: &str| Command::Set(name.to_owned(), value.to_owned());
        let mic = (DeviceKind::Microphone, "nope".to_owned());
        assert_eq!(named_in(&set("mic", "device:nope")), Some(mic));
        assert_eq!(named_in(&set("mic", "test")), None);
        assert_eq!(named_in(&set("theme", "device:nope")), None);
        let words = crate::text::device_not_there("nope", &["A".to_owned(), "B".to_owned()]);
        assert!(words.contains("not there now") && words.ends_with("There now: A; B."));
    }

    #[test]
    fn every_line_is_a_specification_of_its_kind() {
        for kind in DeviceKind::ALL {
            let menu = DeviceMenu {
                kind,
                names: Some(vec!["Webcam: 3".to_owned(); 2 * NAMES_MAX]),
                chosen: 0,
                setting: 0,
            };
            let lines = menu.lines();
            assert!(lines.len() <= NAMES_MAX + 3);
            for spec in lines.iter().filter_map(DeviceLine::spec) {
                assert_eq!(kind.check(&spec), Ok(()), "{spec}");
            }
            let error = kind.check("webcam").expect_err("a name needs `device:`");
            assert!(error.contains("device:NAME"), "{error}");
        }
    }
}

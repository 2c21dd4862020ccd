//! Words about cameras, microphones and loudspeakers to choose from.

use crate::devices::{DeviceKind, DeviceLine};

pub(crate) fn devices_title(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Camera => "Which camera",
        DeviceKind::Microphone => "Which microphone",
        DeviceKind::Speaker => "Which loudspeaker",
    }
}

/// Below the title: what is there.
pub(crate) fn devices_words(kind: DeviceKind, names: Option<&[String]>) -> &'static str {
    match (kind, names) {
        (_, None) => "Looking...",
        (DeviceKind::Camera, Some([])) => "There is no camera here.",
        // A sound server may name none and have one all the same.
        (DeviceKind::Microphone | DeviceKind::Speaker, Some([])) => {
            "The system names none; the default is used."
        }
        (_, Some(_)) => "",
    }
}

/// One that can be chosen.
pub(crate) fn device_line(kind: DeviceKind, line: &DeviceLine) -> String {
    match (line, kind) {
        (DeviceLine::Usual, _) => super::DEVICE_DEFAULT.to_owned(),
        (DeviceLine::Named(name), _) => name.clone(),
        (DeviceLine::Test, DeviceKind::Camera) => "a test card".to_owned(),
        (DeviceLine::Test, _) => "a test tone".to_owned(),
        (DeviceLine::None, _) => "none".to_owned(),
    }
}

/// A choice as it is remembered, for people.
pub(crate) fn device_spec(spec: &str) -> String {
    super::shown(spec.strip_prefix("device:").unwrap_or(spec))
}

/// Something was done, and there is no more to say of it.
pub(crate) const DONE: &str = "Done.";

/// What was chosen is not among what is there.
pub(crate) fn device_not_there(name: &str, there: &[String]) -> String {
    let there = match there {
        [] => "None is there now.".to_owned(),
        names => format!("There now: {}.", super::shown(&names.join("; "))),
    };
    let name = super::shown(name);
    format!("`{name}` is not there now: it is kept, and used when it comes. {there}")
}

/// From when on a choice counts.
pub(crate) fn device_chosen(kind: DeviceKind, is_in_call: bool) -> &'static str {
    match (kind, is_in_call) {
        (_, false) => "Kept in your profile: calls use it from now on.",
        (DeviceKind::Camera, true) => {
            "Kept in your profile: it is used when the camera is switched on next."
        }
        (_, true) => {
            "Kept in your profile: a device is used at once, a test tone or none from the next call on."
        }
    }
}

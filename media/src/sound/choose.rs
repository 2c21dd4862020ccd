//! Which sound devices there are, and which one a name means.
//!
//! Sound goes through ALSA, also where a sound server runs (its ALSA plugin is the default device there). ALSA cannot name the
//! devices of a server, though, so a name is looked up at the server, too, over its own protocol.

use std::sync::{Mutex, PoisonError};

use cpal::traits::{DeviceTrait as _, HostTrait};
use cpal::{Device, Host, HostId};

use super::Direction;
use crate::device::DeviceError;

/// Devices named in a message: some systems list dozens of plugins.
const NAMES_MAX: usize = 8;
/// Devices told to others at all; a machine with more has plugins, not devices.
const DEVICES_MAX: usize = 64;
/// What a server calls the microphones that hear what a speaker plays.
const MONITOR: &str = ".monitor";

/// A sound device that may be chosen by its name or its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundDevice {
    /// As people know it.
    pub name: String,
    /// As the system knows it; no two have the same.
    pub id: String,
    /// What is used when nothing is chosen.
    pub is_default: bool,
}

impl SoundDevice {
    /// Name and id: no two devices have the same, and it may be chosen by this, too.
    #[must_use]
    pub fn full_name(&self) -> String {
        full_name(&self.name, &self.id)
    }
}

fn full_name(name: &str, id: &str) -> String {
    format!("{name} ({id})")
}

struct Named {
    name: String,
    id: String,
    device: Device,
}

/// The one connection to the sound server, made when it is first needed and made anew after it broke. Each one has a thread
/// that the library never ends, so none is given up without need.
static SERVER: Mutex<Option<Host>> = Mutex::new(None);

/// The host of this name, where the library and the machine have it.
fn host_named(name: &str) -> Option<HostId> {
    let mut hosts = cpal::available_hosts().into_iter();
    hosts.find(|host| host.name().eq_ignore_ascii_case(name))
}

/// What sound goes through unless a device of the sound server was named: ALSA on Linux. The library's own default would be
/// the server's protocol, whose streams stall on a busy machine and hang when their device goes away.
fn usual_host() -> Host {
    host_named("alsa")
        .and_then(|id| cpal::host_from_id(id).ok())
        .unwrap_or_else(cpal::default_host)
}

/// Does something with the sound server; `None` when there is none or it does not answer.
fn with_server<T>(does: impl FnOnce(&Host) -> Result<T, cpal::Error>) -> Option<T> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.is_none() {
        *server = cpal::host_from_id(host_named("pulseaudio")?).ok();
    }
    let done = does(server.as_ref()?);
    if done.is_err() {
        *server = None;
    }
    done.ok()
}

/// Whether a sound server answers.
#[must_use]
pub fn has_sound_server() -> bool {
    with_server(|server| server.devices().map(drop)).is_some()
}

fn is_usable(direction: Direction, device: &Device) -> bool {
    match direction {
        Direction::Microphone => device.supports_input(),
        Direction::Speaker => device.supports_output(),
    }
}

fn named(device: Device) -> Named {
    let id = device.id().map(|id| id.id().to_owned()).unwrap_or_default();
    let name = device
        .description()
        .map(|description| description.name().to_owned())
        .unwrap_or_else(|_| id.clone());
    Named { name, id, device }
}

fn all(direction: Direction, host: &Host) -> Result<Vec<Named>, cpal::Error> {
    let devices = host.devices()?;
    let usable = devices.filter(|device| is_usable(direction, device));
    Ok(usable.map(named).collect())
}

fn of_server(direction: Direction) -> Option<Vec<Named>> {
    with_server(|server| all(direction, server))
}

fn default_of_server(direction: Direction) -> Option<Named> {
    with_server(|server| {
        let device = match direction {
            Direction::Microphone => server.default_input_device(),
            Direction::Speaker => server.default_output_device(),
        };
        // A server without a device answers with nothing.
        Ok(device.map(named))
    })
    .flatten()
}

/// What the default device is called: the sound server's where there is one.
pub(crate) fn default_name(direction: Direction) -> Option<String> {
    default_of_server(direction).map(|default| default.name)
}

/// Whether the sound server, where there is one, has a device that this name means, or ALSA has.
pub(crate) fn is_there(direction: Direction, name: &str) -> Option<bool> {
    let at_server = of_server(direction)?;
    let is_there = position(&at_server, name).is_some()
        || all(direction, &usual_host()).is_ok_and(|devices| position(&devices, name).is_some());
    Some(is_there)
}

/// Which of these a name means: the one that is called so, or else the first whose name contains it.
fn position(devices: &[Named], name: &str) -> Option<usize> {
    let exact = devices
        .iter()
        .position(|device| device.name == name || device.id == name)
        .or_else(|| {
            let is_full = |device: &Named| full_name(&device.name, &device.id) == name;
            devices.iter().position(is_full)
        });
    exact.or_else(|| {
        devices
            .iter()
            .position(|device| device.name.contains(name) || device.id.contains(name))
    })
}

/// The default device, or the one whose name or id is `name` or else contains it.
pub(crate) fn find(direction: Direction, name: Option<&str>) -> Result<Device, DeviceError> {
    let host = usual_host();
    let Some(name) = name else {
        let device = match direction {
            Direction::Microphone => host.default_input_device(),
            Direction::Speaker => host.default_output_device(),
        };
        return device.ok_or_else(|| direction.no_device());
    };
    let mut at_server = of_server(direction).unwrap_or_default();
    if let Some(index) = position(&at_server, name) {
        return Ok(at_server.swap_remove(index).device);
    }
    let mut devices = all(direction, &host).map_err(|error| direction.error(&error))?;
    match position(&devices, name) {
        Some(index) => Ok(devices.swap_remove(index).device),
        None if devices.is_empty() && at_server.is_empty() => Err(direction.no_device()),
        None => {
            // ALSA's list is mostly plugins; they are told where there is nothing else.
            let cards = devices
                .iter()
                .filter(|device| is_card(device) || at_server.is_empty());
            let told = at_server.iter().chain(cards).take(NAMES_MAX);
            let names: Vec<&str> = told.map(|device| device.id.as_str()).collect();
            Err(DeviceError::NoSuchName {
                what: direction.what(),
                name: name.to_owned(),
                available: names.join(", "),
            })
        }
    }
}

/// Devices worth choosing from: the sound server's where there is one, else the cards themselves.
pub(crate) fn list(direction: Direction) -> Vec<SoundDevice> {
    let devices = match of_server(direction) {
        Some(devices) => {
            let default = default_of_server(direction).map(|default| default.id);
            let told = devices
                .into_iter()
                .filter(|device| direction == Direction::Speaker || !device.id.ends_with(MONITOR));
            told.map(|device| SoundDevice {
                is_default: Some(&device.id) == default.as_ref(),
                name: device.name,
                id: device.id,
            })
            .take(DEVICES_MAX)
            .collect()
        }
        None => {
            let devices = all(direction, &usual_host()).unwrap_or_default();
            devices.into_iter().filter(is_card).map(card).collect()
        }
    };
    let devices: Vec<SoundDevice> = devices;
    devices.into_iter().take(DEVICES_MAX).collect()
}

/// Whether it is a card with all conversions; the rest of ALSA's list are other views of the same cards.
fn is_card(device: &Named) -> bool {
    device.id.starts_with("plughw:")
}

fn card(device: Named) -> SoundDevice {
    SoundDevice {
        name: device.name,
        id: device.id,
        is_default: false,
    }
}

/// Microphones to choose from.
#[must_use]
pub fn microphones() -> Vec<SoundDevice> {
    list(Direction::Microphone)
}

/// Speakers to choose from.
#[must_use]
pub fn speakers() -> Vec<SoundDevice> {
    list(Direction::Speaker)
}

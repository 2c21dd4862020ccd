//! What microphones, speakers and cameras there are, and whether they open.

use hullo_media::device::DeviceError;
use hullo_media::sink::open_speaker;
use hullo_media::sound::{
    SoundDevice, has_sound_server, is_sound_server_denied, microphones, speakers,
};
use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec, camera, open_mic};

use super::{Finding, Section, Surroundings};
use crate::people::sentence;
use crate::program::DEVICE;

/// Devices told by name; more are counted.
const NAMES_MAX: usize = 8;

/// Looks at the devices: those that would be used are opened for a moment.
pub(super) fn look(around: Surroundings<'_>) -> Section {
    // Libraries write on error output while they look for devices.
    let quiet = hullo_media::quiet::redirect_stderr(None).ok();
    let (config, _) = crate::config::read(&crate::config::path(around.folder));
    let options = around.options;
    let mic = (options.mic.clone()).unwrap_or(MicSpec::Device(config.sound.mic));
    let speaker = (options.speaker.clone()).unwrap_or(SpeakerSpec::Device(config.sound.speaker));
    let camera = (options.camera.clone()).unwrap_or(CameraSpec::Device(None));
    let ssh = ssh_from(|name| std::env::var(name).ok());
    let mut findings = vec![server(
        has_sound_server(),
        is_sound_server_denied(),
        std::env::var_os("PULSE_SERVER").is_some(),
    )];
    let opened = open_mic(&mic).map(drop);
    findings.push(sound("microphone", opened, &microphones(), ssh.as_deref()));
    // A file to write to would be made anew.
    let opened = match &speaker {
        SpeakerSpec::Device(_) => open_speaker(&speaker).map(drop),
        _ => Ok(()),
    };
    findings.push(sound("speaker", opened, &speakers(), ssh.as_deref()));
    findings.push(cameras(&camera));
    drop(quiet);
    Section {
        name: "devices",
        status: DEVICE,
        findings,
    }
}

fn server(answers: bool, is_denied: bool, is_named: bool) -> Finding {
    match (answers, is_named) {
        (false, _) if is_denied => Finding::fail(
            "sound_server",
            "there is one, and it belongs to another user",
            "Run hullo as the user who is logged in.",
        ),
        (true, _) => Finding::ok("sound_server", "PulseAudio or PipeWire answers"),
        (false, true) => Finding::fail(
            "sound_server",
            "PULSE_SERVER names one, and it does not answer",
            "Start it, or unset PULSE_SERVER.",
        ),
        (false, false) => Finding::ok("sound_server", "none; sound goes straight through ALSA"),
    }
}

/// A microphone or speaker: whether it opened, and which there are.
fn sound(
    what: &'static str,
    opened: Result<(), DeviceError>,
    devices: &[SoundDevice],
    ssh: Option<&str>,
) -> Finding {
    let names = names(devices);
    match opened {
        Ok(()) => Finding::ok(what, format!("opens; {names}")),
        Err(DeviceError::NoDevice { .. }) => Finding::fail(
            what,
            format!("none found; {names}"),
            remedy_without_device(what, ssh),
        ),
        Err(error) => Finding::fail(
            what,
            format!("does not open; {names}"),
            sentence(&error.to_string()),
        ),
    }
}

/// The names of devices, the default one marked.
fn names(devices: &[SoundDevice]) -> String {
    if devices.is_empty() {
        return "the system names none".to_owned();
    }
    let mut words: Vec<String> = (devices.iter().take(NAMES_MAX))
        .map(|device| {
            let mark = if device.is_default { " (default)" } else { "" };
            format!("{}{mark}", device.name)
        })
        .collect();
    if devices.len() > NAMES_MAX {
        words.push(format!("{} more", devices.len() - NAMES_MAX));
    }
    format!("there are {}", words.join(", "))
}

/// What to do without a device. Over ssh the devices are at the other end.
fn remedy_without_device(what: &str, ssh: Option<&str>) -> String {
    match ssh {
        Some(from) => format!(
            "You are on ssh from {from}: its devices are not here. Run hullo on that machine, or let its sound server be \
             reached from here: `ssh -t -R SOCKET:$XDG_RUNTIME_DIR/pulse/native HOST 'PULSE_SERVER=unix:SOCKET hullo'`, \
             SOCKET being a new file in your home folder on HOST. Without, --mic file: and --speaker none work."
        ),
        None if what == "microphone" => {
            "Attach one; until then calls work without: you hear, and are not heard.".to_owned()
        }
        None => {
            "Attach one; until then calls work without: you are heard, and hear nothing.".to_owned()
        }
    }
}

/// The address from which somebody came by ssh.
fn ssh_from(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let connection = variable("SSH_CONNECTION").or_else(|| variable("SSH_CLIENT"))?;
    connection.split_whitespace().next().map(str::to_owned)
}

fn cameras(spec: &CameraSpec) -> Finding {
    let CameraSpec::Device(name) = spec else {
        return Finding::ok("camera", "none is used");
    };
    let names = camera::names();
    let listed = if names.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    match camera::Camera::open(name.as_deref()) {
        Ok(_) => Finding::ok("camera", format!("opens; {listed}")),
        // Calls need no camera.
        Err(DeviceError::NoDevice { .. }) => Finding::warn(
            "camera",
            "none found",
            "Calls work without: you see, and are not seen. `--camera test` sends a test card.",
        ),
        Err(error) => Finding::warn(
            "camera",
            format!("does not open; {listed}"),
            sentence(&error.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, is_default: bool) -> SoundDevice {
        SoundDevice {
            name: name.to_owned(),
            id: name.to_lowercase(),
            is_default,
        }
    }

    #[test]
    fn what_opens_is_told_with_its_choices_and_what_does_not_with_what_to_do() {
        let devices = [device("Headset", true), device("Desk", false)];
        let good = sound("microphone", Ok(()), &devices, None);
        assert_eq!(good.words, "opens; there are Headset (default), Desk");
        for (error, want) in [
            (
                DeviceError::Busy { what: "microphone" },
                "close that program",
            ),
            (
                DeviceError::Denied {
                    what: "microphone",
                    remedy: "join the group \"audio\"",
                },
                "group \"audio\"",
            ),
        ] {
            let bad = sound("microphone", Err(error), &devices, None);
            assert_eq!(bad.state, super::super::State::Fail);
            assert!(bad.remedy.is_some_and(|remedy| remedy.contains(want)));
        }
        let many: Vec<_> = (0..12).map(|at| device(&at.to_string(), false)).collect();
        assert!(names(&many).ends_with("7, 4 more"), "{}", names(&many));
    }

    #[test]
    fn over_ssh_it_is_said_where_the_devices_are() {
        let variable = |name: &str| {
            (name == "SSH_CONNECTION").then(|| "10.0.0.5 50000 10.0.0.1 22".to_owned())
        };
        let from = ssh_from(variable);
        assert_eq!(from.as_deref(), Some("10.0.0.5"));
        let none = || {
            Err(DeviceError::NoDevice {
                what: "speaker",
                option: "",
            })
        };
        let remedy = sound("speaker", none(), &[], from.as_deref()).remedy;
        let remedy = remedy.unwrap_or_default();
        assert!(remedy.contains("on ssh from 10.0.0.5"), "{remedy}");
        assert!(remedy.contains("PULSE_SERVER"), "{remedy}");
        assert_eq!(ssh_from(|_| None), None);
        let here = sound("speaker", none(), &[], None).remedy;
        assert!(here.is_some_and(|remedy| !remedy.contains("ssh")));
    }
}

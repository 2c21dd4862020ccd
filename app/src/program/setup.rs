//! What the settings screen shows of the start, and the log's beginning.

use std::path::Path;

use hullo_media::process::{ProcessSwitch, Processing};
use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec};

use super::{Face, Failure};
use crate::call::media::MediaSpecs;
use crate::cli::Options;
use crate::config::{Config, SoundConfig};
use crate::layers::Setup;
use crate::log::{self, Log};
use crate::report::Report;

/// What was decided at the start.
pub(super) fn setup(
    options: &Options,
    config: &Config,
    is_wrong: bool,
    profile: &Path,
    log: &Log,
) -> Setup {
    let path = crate::config::path(profile);
    let camera = options.camera.as_ref().map(camera);
    let mic = options.mic.as_ref().map(mic);
    let speaker = options.speaker.as_ref().map(speaker);
    Setup {
        is_config_there: path.exists(),
        is_config_wrong: is_wrong,
        config: path.display().to_string(),
        written: config.written.clone(),
        attention: config.attention.clone(),
        theme: config.theme,
        mouse: config.screen.mouse,
        sound_given: config.sound.processing(),
        sound_flags: [options.echo, options.noise, options.gain],
        devices_filed: [None, config.sound.mic.clone(), config.sound.speaker.clone()],
        devices: [camera, mic, speaker],
        is_colour_given: options.drawing.color.is_some(),
        log: log.place.as_ref().map(|place| place.display().to_string()),
        profile: profile.display().to_string(),
    }
}

/// Which devices are meant, and what is done to sound: the command line before the file.
pub(super) fn configure_sound(specs: &mut MediaSpecs, options: &Options, config: &Config) {
    let sound = &config.sound;
    let mic = match &options.mic {
        Some(MicSpec::Device(Some(name))) => Some(name),
        _ => sound.mic.as_ref(),
    };
    let speaker = match &options.speaker {
        Some(SpeakerSpec::Device(Some(name))) => Some(name),
        _ => sound.speaker.as_ref(),
    };
    specs.mic_choice.set(mic.cloned());
    specs.speaker_choice.set(speaker.cloned());
    specs.process = processing(options, sound);
}

/// What is done to the sound of a microphone; of a file only what was asked for on the command line.
pub(super) fn processing(options: &Options, sound: &SoundConfig) -> ProcessSwitch {
    let given = sound.processing();
    let wanted = Processing {
        echo: options.echo.unwrap_or(given.echo),
        noise: options.noise.unwrap_or(given.noise),
        gain: options.gain.unwrap_or(given.gain),
    };
    let asked = Processing {
        echo: options.echo == Some(true),
        noise: options.noise == Some(true),
        gain: options.gain == Some(true),
    };
    ProcessSwitch::new(wanted, asked)
}

/// `hullo test` with what the file says of sound.
pub(super) fn sound_test(options: &Options, folder: &Path, face: Face) -> Result<u8, Failure> {
    let (config, broken) = crate::config::read(&crate::config::path(folder));
    let mut lines = super::line_front(face);
    if let Some(broken) = broken {
        let text = crate::people::sentence(&broken.to_string());
        (lines.report(0, &Report::Notice { text }))
            .map_err(|_| Failure::other("Nobody reads the output."))?;
    }
    let mut specs = super::specs(options);
    configure_sound(&mut specs, options, &config);
    crate::sound_test::run(options, &specs, face == Face::Screen, &mut *lines)
}

/// Begins to log; what failed is to be told once there is somebody to tell.
pub(super) fn begin_log(
    options: &Options,
    profile: &Path,
) -> Result<(Log, Option<String>), Failure> {
    let word = std::env::var("HULLO_LOG").ok();
    let level = log::level(word.as_deref()).map_err(|error| Failure::of(&error, super::USAGE))?;
    let is_usual = crate::profile::folder(None).is_ok_and(|usual| usual == profile)
        && std::env::var_os("HULLO_HOME").is_none_or(|home| home.is_empty());
    let folder = log::folder(profile, is_usual);
    let (log, error) = Log::start(level, options.log.as_deref(), &folder);
    match (error, &options.log) {
        // Who named a file wants it.
        (Some(error), Some(_)) => Err(Failure::of(&error, super::USAGE)),
        (error, _) => Ok((log, error.map(|error| error.to_string()))),
    }
}

fn named(name: Option<&String>) -> String {
    name.map_or_else(|| "device".to_owned(), |name| format!("device:{name}"))
}

fn camera(spec: &CameraSpec) -> String {
    match spec {
        CameraSpec::Device(name) => named(name.as_ref()),
        CameraSpec::File(path) => format!("file:{}", path.display()),
        CameraSpec::Test => "test".to_owned(),
        CameraSpec::None => "none".to_owned(),
    }
}

fn mic(spec: &MicSpec) -> String {
    match spec {
        MicSpec::Device(name) => named(name.as_ref()),
        MicSpec::File(path) => format!("file:{}", path.display()),
        MicSpec::Test => "test".to_owned(),
        MicSpec::None => "none".to_owned(),
    }
}

fn speaker(spec: &SpeakerSpec) -> String {
    match spec {
        SpeakerSpec::Device(name) => named(name.as_ref()),
        SpeakerSpec::File(path) => format!("file:{}", path.display()),
        SpeakerSpec::None => "none".to_owned(),
    }
}

//! What the settings screen shows of the start, and the log's beginning.

use std::path::Path;

use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec};

use super::Failure;
use crate::cli::Options;
use crate::config::Config;
use crate::layers::Setup;
use crate::log::{self, Log};

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
        devices: [camera, mic, speaker],
        is_colour_given: options.drawing.color.is_some(),
        log: log.place.as_ref().map(|place| place.display().to_string()),
        profile: profile.display().to_string(),
    }
}

/// Begins to log; what failed is to be told once there is somebody to tell.
pub(super) fn begin_log(
    options: &Options,
    profile: &Path,
) -> Result<(Log, Option<String>), Failure> {
    let word = std::env::var("HULLO_LOG").ok();
    let level = log::level(word.as_deref()).map_err(|error| Failure::of(&error, super::USAGE))?;
    let is_usual = crate::profile::folder(None).is_ok_and(|usual| usual == profile)
        && std::env::var_os("HULLO_HOME").is_none();
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

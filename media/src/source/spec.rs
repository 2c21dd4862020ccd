//! What `--camera`, `--mic` and `--speaker` may say.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// An option that names no source or sink.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{given:?} is none of {allowed}")]
pub struct SpecError {
    given: String,
    allowed: &'static str,
}

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraSpec {
    /// A camera: the first, or the one with this name.
    Device(Option<String>),
    /// A Y4M file, looped.
    File(PathBuf),
    /// The moving test card.
    Test,
    /// No pictures.
    None,
}

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicSpec {
    /// A microphone: the default one, or the one with this name.
    Device(Option<String>),
    /// A WAV file, looped.
    File(PathBuf),
    /// A beep once a second.
    Test,
    /// No sound.
    None,
}

/// Where sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerSpec {
    /// A loudspeaker: the default one, or the one with this name.
    Device(Option<String>),
    /// A WAV file, written anew.
    File(PathBuf),
    /// Nowhere; the sound is decoded and counted all the same.
    None,
}

/// The parts all three have in common.
enum Choice {
    Device(Option<String>),
    File(PathBuf),
    Word,
}

fn choice(text: &str) -> Choice {
    match text.split_once(':') {
        Some(("device", name)) if !name.is_empty() => Choice::Device(Some(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => Choice::File(PathBuf::from(path)),
        None if text == "device" => Choice::Device(None),
        _ => Choice::Word,
    }
}

const SOURCES: &str = "device, device:NAME, file:PATH, test, none";
const SINKS: &str = "device, device:NAME, file:PATH.wav, none";

impl FromStr for CameraSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match (choice(text), text) {
            (Choice::Device(name), _) => Ok(Self::Device(name)),
            (Choice::File(path), _) => Ok(Self::File(path)),
            (Choice::Word, "test") => Ok(Self::Test),
            (Choice::Word, "none") => Ok(Self::None),
            (Choice::Word, _) => Err(SpecError {
                given: text.to_owned(),
                allowed: SOURCES,
            }),
        }
    }
}

impl FromStr for MicSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match (choice(text), text) {
            (Choice::Device(name), _) => Ok(Self::Device(name)),
            (Choice::File(path), _) => Ok(Self::File(path)),
            (Choice::Word, "test") => Ok(Self::Test),
            (Choice::Word, "none") => Ok(Self::None),
            (Choice::Word, _) => Err(SpecError {
                given: text.to_owned(),
                allowed: SOURCES,
            }),
        }
    }
}

impl FromStr for SpeakerSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let wav = |path: &PathBuf| {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("wav"))
        };
        match (choice(text), text) {
            (Choice::Device(name), _) => Ok(Self::Device(name)),
            (Choice::File(path), _) if wav(&path) => Ok(Self::File(path)),
            (Choice::Word, "none") => Ok(Self::None),
            _ => Err(SpecError {
                given: text.to_owned(),
                allowed: SINKS,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_command_line_is_read() {
        assert_eq!("device".parse(), Ok(CameraSpec::Device(None)));
        assert_eq!(
            "device:USB: left".parse(),
            Ok(CameraSpec::Device(Some("USB: left".into())))
        );
        assert_eq!(
            "file:a:b.y4m".parse(),
            Ok(CameraSpec::File("a:b.y4m".into()))
        );
        assert_eq!("test".parse(), Ok(MicSpec::Test));
        assert_eq!("none".parse(), Ok(MicSpec::None));
        assert_eq!(
            "file:out.WAV".parse(),
            Ok(SpeakerSpec::File("out.WAV".into()))
        );
    }

    #[test]
    fn anything_else_is_refused_with_the_choices() {
        for text in ["", "file:", "device:", "camera", "test:1", "file"] {
            let error = text.parse::<CameraSpec>().expect_err(text).to_string();
            assert!(error.contains("device:NAME"), "{error}");
        }
        for text in ["test", "file:out.mp3"] {
            let error = text.parse::<SpeakerSpec>().expect_err(text).to_string();
            assert!(error.contains("file:PATH.wav"), "{error}");
        }
    }
}

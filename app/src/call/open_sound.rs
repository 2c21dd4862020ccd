//! Opens microphone and loudspeaker for a call, joined, so that the one does not hear the other.

use hullo_media::device::DeviceError;
use hullo_media::follow::{follow_mic, follow_speaker};
use hullo_media::process::join;
use hullo_media::sink::{AudioSink, open_speaker};
use hullo_media::source::{AudioSource, MicSpec, SpeakerSpec, open_mic};

use super::media::MediaSpecs;

/// Microphone and loudspeaker, joined, and why one of them is not there.
pub(crate) struct Sound {
    pub(crate) mic: Option<Box<dyn AudioSource>>,
    pub(crate) speaker: Option<Box<dyn AudioSink>>,
    pub(crate) mic_error: Option<DeviceError>,
    pub(crate) speaker_error: Option<DeviceError>,
}

/// Opens microphone and loudspeaker. A file to write to is opened the first time only: what it has would be lost.
pub(crate) fn open_sound(specs: &MediaSpecs, is_first: bool) -> Sound {
    let (mic, mic_error) = match specs.mic.clone().unwrap_or(MicSpec::Device(None)) {
        // A device may come later, or go and come back.
        MicSpec::Device(_) => {
            let (mic, error) = follow_mic(&specs.mic_choice);
            let mic: Box<dyn AudioSource> = Box::new(mic);
            (Some(mic), error)
        }
        other => open_mic(&other).map_or_else(|error| (None, Some(error)), |mic| (mic, None)),
    };
    let spec = specs.speaker.clone().unwrap_or(SpeakerSpec::Device(None));
    let (speaker, speaker_error) = match spec {
        SpeakerSpec::Device(_) => {
            let (speaker, error) = follow_speaker(&specs.speaker_choice);
            let speaker: Box<dyn AudioSink> = Box::new(speaker);
            (Some(speaker), error)
        }
        other if is_first => {
            open_speaker(&other).map_or_else(|error| (None, Some(error)), |speaker| (speaker, None))
        }
        _ => (None, None),
    };
    let (mic, speaker) = join((mic, speaker), &specs.process);
    Sound {
        mic,
        speaker,
        mic_error,
        speaker_error,
    }
}

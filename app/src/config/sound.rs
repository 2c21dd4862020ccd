//! `[sound]`: which devices, and what is done to the sound of the microphone.

use hullo_media::process::Processing;
use serde::Deserialize;

/// The table as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoundConfig {
    /// The microphone, by its name or a part of it; none: the system's default.
    pub mic: Option<String>,
    /// The loudspeaker, the same.
    pub speaker: Option<String>,
    /// What the loudspeaker plays is taken out of what the microphone hears.
    pub echo: bool,
    /// The noise of the room is taken out.
    pub noise: bool,
    /// Quiet voices are made louder.
    pub gain: bool,
}

impl SoundConfig {
    /// What is done to the sound of the microphone.
    #[must_use]
    pub fn processing(&self) -> Processing {
        Processing {
            echo: self.echo,
            noise: self.noise,
            gain: self.gain,
        }
    }
}

impl Default for SoundConfig {
    fn default() -> Self {
        Self {
            mic: None,
            speaker: None,
            echo: true,
            noise: true,
            gain: true,
        }
    }
}

//! What is done to the sound of a microphone before it is encoded: the far side's sound is taken out (echo), so is the
//! noise of the room, and quiet voices are made louder.
//!
//! The work is done by `sonora`, a port of WebRTC's audio processing, in blocks of 10 ms. It needs to know what the
//! loudspeaker plays: [`join`] puts a microphone and a loudspeaker together so that it does. Files and test sounds pass
//! by untouched unless it is asked for.

mod joined;
mod switch;

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate,
    NoiseSuppression, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use crate::frame::{BLOCK_SAMPLES, Block, SAMPLE_RATE_HZ};

pub use joined::join;
pub use switch::{ProcessFigures, ProcessSwitch};

/// Samples of 10 ms: what the library takes at once.
const PART_SAMPLES: usize = BLOCK_SAMPLES / 2;
/// Longest delay that the library takes as known, ms.
const DELAY_MS_MAX: u32 = 500;
/// Gain before anything was heard, dB. The library's own 15 dB makes the noise of a room loud for the first seconds.
const GAIN_DB_START: f32 = 6.0;
/// Most gain, dB: a voice at -50 dB of full scale is a microphone across the room, and what is quieter is no voice.
const GAIN_DB_MAX: f32 = 30.0;

/// What is done to the sound of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processing {
    /// What the loudspeaker plays is taken out of what the microphone hears.
    pub echo: bool,
    /// The noise of the room is taken out. Music is noise, too.
    pub noise: bool,
    /// Quiet voices are made louder, and nothing clips.
    pub gain: bool,
}

impl Processing {
    /// Everything.
    pub const ALL: Self = Self {
        echo: true,
        noise: true,
        gain: true,
    };
    /// Nothing: the sound as the microphone gives it.
    pub const NONE: Self = Self {
        echo: false,
        noise: false,
        gain: false,
    };

    fn config(self) -> Config {
        let noise_suppression = NoiseSuppression {
            level: NoiseSuppressionLevel::Moderate,
            ..NoiseSuppression::default()
        };
        let gain = GainController2 {
            adaptive_digital: Some(AdaptiveDigital {
                initial_gain_db: GAIN_DB_START,
                max_gain_db: GAIN_DB_MAX,
                ..AdaptiveDigital::default()
            }),
            ..GainController2::default()
        };
        Config {
            pipeline: Pipeline {
                maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
                multi_channel_render: false,
                multi_channel_capture: false,
                ..Pipeline::default()
            },
            // Rumble under 100 Hz is no voice, and the others work better without it.
            high_pass_filter: (self != Self::NONE).then(HighPassFilter::default),
            echo_canceller: self.echo.then(EchoCanceller::default),
            noise_suppression: self.noise.then_some(noise_suppression),
            gain_controller2: self.gain.then_some(gain),
            ..Config::default()
        }
    }
}

impl Default for Processing {
    fn default() -> Self {
        Self::ALL
    }
}

/// Processes the sound of one microphone. No clock, no I/O: blocks in, blocks out.
pub struct Processor {
    inner: AudioProcessing,
    processing: Processing,
    /// 10 ms that the library writes to where nobody reads.
    scratch: [f32; PART_SAMPLES],
}

impl Processor {
    /// A processor that does this.
    #[must_use]
    pub fn new(processing: Processing) -> Self {
        let form = StreamConfig::new(SAMPLE_RATE_HZ, 1);
        Self {
            inner: AudioProcessing::builder()
                .config(processing.config())
                .capture_config(form)
                .render_config(form)
                .build(),
            processing,
            scratch: [0.0; PART_SAMPLES],
        }
    }

    /// Does this from the next block on.
    pub fn set(&mut self, processing: Processing) {
        if self.processing != processing {
            self.processing = processing;
            self.inner.apply_config(processing.config());
        }
    }

    /// What is done now.
    #[must_use]
    pub fn processing(&self) -> Processing {
        self.processing
    }

    /// Time from a sample given to [`Self::far`] until its echo is given to [`Self::near`], as far as it is known, 0 to 500 ms.
    /// The canceller finds the rest itself.
    pub fn set_delay_ms(&mut self, delay_ms: u32) {
        let delay_ms = delay_ms.min(DELAY_MS_MAX).cast_signed();
        // Within the bounds it asks for.
        let _ = self.inner.set_stream_delay_ms(delay_ms);
    }

    /// 10 ms that the loudspeaker will play.
    fn far_part(&mut self, part: &[f32]) {
        if self.processing.echo
            && let Err(error) =
                (self.inner).process_render_f32(&[part], &mut [&mut self.scratch[..]])
        {
            tracing::warn!(?error, "10 ms of the far side were not looked at");
        }
    }

    fn near_part(&mut self, part: &mut [f32]) {
        let done = (self.inner).process_capture_f32(&[part], &mut [&mut self.scratch[..]]);
        match done {
            Ok(()) => part.copy_from_slice(&self.scratch),
            Err(error) => tracing::warn!(?error, "10 ms of sound were not processed"),
        }
    }

    /// Takes what the loudspeaker will play, 20 ms.
    pub fn far(&mut self, block: &Block) {
        let (first, second) = block.split_at(PART_SAMPLES);
        self.far_part(first);
        self.far_part(second);
    }

    /// Processes what the microphone heard, 20 ms. Nothing is changed where nothing is to be done.
    pub fn near(&mut self, block: &mut Block) {
        if self.processing == Processing::NONE {
            return;
        }
        let (first, second) = block.split_at_mut(PART_SAMPLES);
        self.near_part(first);
        self.near_part(second);
    }

    /// Processes what the microphone heard while the loudspeaker was given `far`, in order: both by turns, as the library
    /// expects them, so that neither runs ahead of the other.
    pub fn both(&mut self, far: &[f32], block: &mut Block) {
        if self.processing == Processing::NONE {
            return;
        }
        let mut far = far.chunks_exact(PART_SAMPLES);
        let (first, second) = block.split_at_mut(PART_SAMPLES);
        let ahead = far.len().saturating_sub(1);
        for part in far.by_ref().take(ahead) {
            self.far_part(part);
        }
        self.near_part(first);
        for part in far {
            self.far_part(part);
        }
        self.near_part(second);
    }

    /// What the echo canceller says about the last second.
    #[must_use]
    pub fn figures(&self) -> ProcessFigures {
        if !self.processing.echo {
            return ProcessFigures::default();
        }
        let stats = self.inner.statistics();
        ProcessFigures {
            echo_return_loss_db: stats.echo_return_loss.map(|db| db as f32),
            echo_reduction_db: stats.echo_return_loss_enhancement.map(|db| db as f32),
            echo_delay_ms: stats.delay_ms.and_then(|ms| u32::try_from(ms).ok()),
            heard_db: None,
        }
    }
}

#[cfg(test)]
mod tests;

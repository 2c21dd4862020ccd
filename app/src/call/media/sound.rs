//! What the loudspeaker of a call tells, and how long its sound waits.

use std::time::Duration;

use hullo_media::jitter::{AudioBufferStats, SoundClock};
use hullo_media::level::LEVEL_DB_MIN;
use hullo_media::pipeline::{AudioDecode, AudioEncode};
use hullo_media::source::SpeakerSpec;

use super::super::sound_watch::Heard;
use super::CallMedia;

impl CallMedia {
    /// How loud it is on both sides, and what became of the devices since the last look. One that was not wanted is as
    /// little there as one that is away.
    pub fn heard(&self) -> Heard {
        let (encode, decode) = (self.audio_encode.as_ref(), self.audio_decode.as_ref());
        let has_speaker = self.specs.speaker != Some(SpeakerSpec::None);
        Heard {
            mic_db: encode.map_or(LEVEL_DB_MIN, AudioEncode::level_db),
            speaker_db: decode.map_or(LEVEL_DB_MIN, AudioDecode::take_peak_db),
            mic_gone: encode.map_or(self.has_devices(), AudioEncode::is_gone),
            speaker_gone: !has_speaker || decode.is_some_and(AudioDecode::is_gone),
            speaks_muted: encode.is_some_and(AudioEncode::speaks_muted),
            news: (encode.and_then(AudioEncode::news).into_iter())
                .chain(decode.and_then(AudioDecode::news))
                .collect(),
        }
    }

    /// The delay that sound must have at least, for pictures that come later.
    pub fn set_sound_wait(&self, wait: Duration) {
        if let Some(decode) = &self.audio_decode {
            decode.set_wait(wait);
        }
    }

    /// What of the far side plays when: news since this was asked last.
    pub fn sound_clock(&self) -> Option<Option<SoundClock>> {
        self.audio_decode.as_ref()?.clock()
    }

    /// Whether the far side is heard to speak.
    pub fn is_far_speaking(&self) -> bool {
        (self.audio_decode.as_ref()).is_some_and(AudioDecode::is_speaking)
    }

    /// The jitter buffer's own account, since the devices were opened last.
    pub fn sound_counters(&self) -> AudioBufferStats {
        let decode = self.audio_decode.as_ref();
        decode.map_or_else(AudioBufferStats::default, AudioDecode::counters)
    }
}

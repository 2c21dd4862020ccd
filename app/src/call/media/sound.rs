//! What the loudspeaker of a call tells, and how long its sound waits.

use std::time::Duration;

use hullo_media::jitter::{AudioBufferStats, SoundClock};
use hullo_media::pipeline::AudioDecode;

use super::CallMedia;

impl CallMedia {
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

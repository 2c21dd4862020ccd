//! Sealed frames on their way into the session: times, and what is dropped.

use std::time::{Duration, Instant};

use hullo_proto::frame::{FrameKind, SealedFrame};
use str0m::media::{Frequency, MediaTime, Mid, Pt};

use super::{Event, FRAME_TICKS, Output, Session, Track, setup};

/// Sealed video frames waiting to be paced out; above this the frame is dropped and counted. Encoding stops at
/// 100 ms, so this is reached by a key frame that is far too large. More means a longer delay before a freeze is
/// noticed, fewer means needless drops at key frames.
const VIDEO_QUEUE_MAX: Duration = Duration::from_millis(400);

impl Session {
    pub(super) fn write(&mut self, track: Track, frame: SealedFrame, captured_at: Instant) {
        let mid = self.tracks.mid(track);
        // Sound goes on into the silence: the first packet that gets through ends it.
        let is_useless = self.hearing.is_silent() && track == Track::Video;
        if !self.connected
            || is_useless
            || (frame.kind() == FrameKind::Audio) != (track == Track::Audio)
        {
            self.stats.unsent_frames += 1;
            return;
        }
        if track == Track::Video && self.video_queue_delay(mid) > VIDEO_QUEUE_MAX {
            self.stats.unsent_frames += 1;
            // A hole in the stream: what follows cannot be decoded without a key frame.
            self.outputs.push_back(Output::Event(Event::KeyframeWanted));
            return;
        }
        let since_epoch = captured_at.saturating_duration_since(self.epoch);
        let (pt, time) = match track {
            Track::Audio => {
                let ticks = self
                    .tracks
                    .audio_clock
                    .ticks(since_epoch, frame.samples().map_or(FRAME_TICKS, u64::from));
                (
                    setup::OPUS_PT,
                    MediaTime::new(ticks, Frequency::FORTY_EIGHT_KHZ),
                )
            }
            Track::Video => {
                let ticks = u64::try_from(since_epoch.as_micros() * 9 / 100).unwrap_or(u64::MAX);
                (setup::H264_PT, MediaTime::new(ticks, Frequency::NINETY_KHZ))
            }
        };
        let is_key = frame.kind() == FrameKind::VideoKey;
        let bytes = frame.into_bytes();
        self.stats.sending(track, bytes.len(), is_key);
        if track == Track::Video {
            self.path.picture(self.now, bytes.len());
        }
        let Some(writer) = self.rtc.writer(mid) else {
            return;
        };
        if writer
            .write(Pt::new_with_value(pt), self.now, time, bytes)
            .is_err()
        {
            self.stats.unsent_frames += 1;
        }
    }

    pub(super) fn video_queue_delay(&mut self, mid: Mid) -> Duration {
        let now = self.now;
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else {
            return Duration::ZERO;
        };
        match stream.queue_info() {
            Some(info) if info.packet_count() > 0 => {
                info.first_unsent().map_or(Duration::ZERO, |queued| {
                    now.saturating_duration_since(queued)
                })
            }
            _ => Duration::ZERO,
        }
    }
}

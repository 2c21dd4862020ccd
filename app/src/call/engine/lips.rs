//! Pictures that wait for their sound, in the machine of a call.

use std::time::Instant;

use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::SoundClock;
use hullo_media::session::{self, SessionStats};
use hullo_proto::frame::FrameKind;

use super::{Engine, Event, Output};

impl Engine {
    /// The loudspeaker says what it plays when.
    pub(super) fn sound_plays(&mut self, now: Instant, clock: Option<SoundClock>) {
        self.pictures.sound(now, clock);
        if let Some(wait) = self.pictures.sound_wait(now) {
            self.outputs
                .push_back(Output::Event(Event::SoundWait(wait)));
        }
        if let Some(wait) = self.pictures.picture_wait_max() {
            self.session(now, session::Input::PictureWait(wait));
        }
    }

    /// A picture that can be decoded: it is handed on when it is due.
    pub(super) fn take_picture(&mut self, now: Instant, media_time: u64, frame: EncodedFrame) {
        let is_key = frame.kind == FrameKind::VideoKey;
        self.pictures.push(now, media_time, is_key, frame);
        self.show_pictures(now);
    }

    /// Hands on the pictures that are due.
    pub(super) fn show_pictures(&mut self, now: Instant) {
        while let Some(frame) = self.pictures.pop(now) {
            self.outputs.push_back(Output::Event(Event::Video(frame)));
        }
    }

    /// What the session measured, with what only the call knows.
    pub(super) fn with_skew(&mut self, stats: Box<SessionStats>) -> Box<SessionStats> {
        let mut stats = stats;
        stats.skew = self.pictures.take_skew();
        stats
    }
}

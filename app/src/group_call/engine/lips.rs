//! Pictures that wait for their sound, for each participant of the call of a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::SoundClock;
use hullo_media::lip_sync::{HeldPictures, Skew};
use hullo_proto::frame::FrameKind;
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;

use super::{Engine, Event};

/// Everybody's pictures of the camera: bounded by the ids of a call. A shared screen has no lips.
#[derive(Default)]
pub(super) struct Lips(BTreeMap<ParticipantId, HeldPictures<(EncodedFrame, bool)>>);

impl Lips {
    fn take(
        &mut self,
        now: Instant,
        id: ParticipantId,
        media_time: u64,
        picture: (EncodedFrame, bool),
    ) {
        let is_key = picture.0.kind == FrameKind::VideoKey;
        let held = self.0.entry(id).or_default();
        held.push(now, media_time, is_key, picture);
    }

    /// Tells what is heard of somebody, and gives the delay that this sound must have from now on, if that changed. Who
    /// sends no pictures is not noted.
    fn hear(
        &mut self,
        now: Instant,
        id: ParticipantId,
        clock: Option<SoundClock>,
    ) -> Option<Duration> {
        let held = self.0.get_mut(&id)?;
        held.sound(now, clock);
        held.sound_wait(now)
    }

    /// The next picture that is due, with whether those before it came.
    fn due(&mut self, now: Instant) -> Option<(ParticipantId, EncodedFrame, bool)> {
        (self.0.iter_mut()).find_map(|(id, held)| {
            let (frame, contiguous) = held.pop(now)?;
            Some((*id, frame, contiguous))
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(HeldPictures::deadline).min()
    }

    pub(super) fn forget(&mut self, id: ParticipantId) {
        self.0.remove(&id);
    }

    pub(super) fn skew(&mut self) -> BTreeMap<ParticipantId, Skew> {
        let skew =
            |(id, held): (&ParticipantId, &mut HeldPictures<_>)| Some((*id, held.take_skew()?));
        self.0.iter_mut().filter_map(skew).collect()
    }
}

impl Engine {
    /// The loudspeaker says what of somebody it plays when.
    pub(super) fn sound_plays(
        &mut self,
        now: Instant,
        id: ParticipantId,
        clock: Option<SoundClock>,
    ) {
        if let Some(wait) = self.lips.hear(now, id, clock) {
            self.event(Event::SoundWait(id, wait));
        }
    }

    /// A picture of a camera, opened: it is handed on when it is due.
    pub(super) fn take_picture(
        &mut self,
        now: Instant,
        id: ParticipantId,
        media_time: u64,
        picture: (EncodedFrame, bool),
    ) {
        self.lips.take(now, id, media_time, picture);
        self.show_pictures(now);
    }

    /// Hands on the pictures that are due.
    pub(super) fn show_pictures(&mut self, now: Instant) {
        while let Some((id, frame, contiguous)) = self.lips.due(now) {
            self.event(Event::Picture(id, Track::Camera, frame, contiguous));
        }
    }
}

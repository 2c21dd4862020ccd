//! What came from each person ever met in a call: added up over codecs that end and begin anew.

use std::collections::BTreeMap;

use hullo_media::lip_sync::Skew;
use hullo_media::mix::PersonSound;
use hullo_media::pipeline::{PictureOf, VideoDecodeCounters};
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;

use crate::report::{Percentiles, PersonFigures};

/// A count that goes on where its source begins anew.
#[derive(Clone, Copy, Default)]
struct Count {
    before: u64,
    now: u64,
}

impl Count {
    fn set(&mut self, now: u64) {
        if now < self.now {
            self.before += self.now;
        }
        self.now = now;
    }

    fn total(self) -> u64 {
        self.before + self.now
    }
}

#[derive(Default)]
struct Person {
    name: String,
    is_here: bool,
    is_speaking: bool,
    audio_frames: Count,
    audio_ms: Count,
    concealed_ms: Count,
    video_frames: Count,
    video_decoded: Count,
    freezes: Count,
    freeze_ms: Count,
    screen_decoded: Count,
    size: (u32, u32),
    epoch: Option<u8>,
    undecryptable: u64,
    delay_ms: u64,
    skew: Option<Skew>,
    /// Sound played and made up at the figures before these, and the share of the last second.
    told_ms: (u64, u64),
    made_up: Option<f64>,
}

/// Everyone ever met, at most as many as there are ids in a call.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<ParticipantId, Person>);

impl Figures {
    /// Somebody proved to be this one.
    pub(super) fn came(&mut self, id: ParticipantId, name: String) {
        let person = self.0.entry(id).or_default();
        (person.name, person.is_here) = (name, true);
    }

    pub(super) fn went(&mut self, id: ParticipantId) {
        if let Some(person) = self.0.get_mut(&id) {
            (person.is_here, person.is_speaking) = (false, false);
        }
    }

    /// Takes what the mixer counts; gives those who began or ceased to speak.
    pub(super) fn hear(&mut self, sounds: &[PersonSound]) -> Vec<(ParticipantId, bool)> {
        let mut changes = Vec::new();
        for (id, person) in &mut self.0 {
            let sound = sounds.iter().find(|sound| sound.participant == *id);
            let stats = sound.map(|sound| sound.stats).unwrap_or_default();
            person.audio_frames.set(stats.received);
            person.audio_ms.set(stats.played_ms);
            person.concealed_ms.set(stats.concealed_ms);
            person.delay_ms = stats.target_ms;
            let speaks = person.is_here && sound.is_some_and(|sound| sound.speaking);
            if std::mem::replace(&mut person.is_speaking, speaks) != speaks {
                changes.push((*id, speaks));
            }
        }
        changes
    }

    /// Takes what the decoders of pictures count.
    pub(super) fn see(&mut self, pictures: &BTreeMap<PictureOf, VideoDecodeCounters>) {
        for (id, person) in &mut self.0 {
            let of = |track| pictures.get(&(*id, track)).copied().unwrap_or_default();
            let (camera, screen) = (of(Track::Camera), of(Track::Screen));
            person.video_frames.set(camera.received);
            person.video_decoded.set(camera.decoded);
            person.freezes.set(camera.freezes);
            person.freeze_ms.set(camera.freeze_ms);
            person.screen_decoded.set(screen.decoded);
            if camera.decoded > 0 {
                person.size = (camera.width, camera.height);
            }
        }
    }

    /// Each second: how far pictures were from their sound, and what of the sound was made up.
    pub(super) fn second(&mut self, skew: &BTreeMap<ParticipantId, Skew>) {
        for (id, person) in &mut self.0 {
            person.skew = skew.get(id).copied().or(person.skew);
            let now = (person.audio_ms.total(), person.concealed_ms.total());
            let before = std::mem::replace(&mut person.told_ms, now);
            let played = now.0.saturating_sub(before.0);
            // A few thousand milliseconds: exact.
            let share = || now.1.saturating_sub(before.1) as f64 / played as f64;
            person.made_up = (played > 0).then(share);
        }
    }

    /// Takes what only the engine knows of each.
    pub(super) fn note(&mut self, of: impl Fn(ParticipantId) -> (Option<u8>, u64)) {
        for (id, person) in self.0.iter_mut().filter(|(_, person)| person.is_here) {
            let (epoch, undecryptable) = of(*id);
            person.epoch = epoch.or(person.epoch);
            person.undecryptable = undecryptable;
        }
    }

    /// Those who are here, or all ever met.
    pub(super) fn people(&self, ever: bool) -> Vec<PersonFigures> {
        let shown = self.0.iter().filter(|(_, person)| ever || person.is_here);
        shown.map(|(id, person)| person.figures(*id)).collect()
    }

    /// How far pictures were from their sound, of the person with whom it was worst.
    pub(super) fn lip_sync(&self) -> Option<Percentiles> {
        let all = self.0.values().filter_map(|person| person.skew);
        let worst = all.max_by_key(|skew| skew.all_p95_ms)?;
        Some(Percentiles {
            p50: worst.all_p50_ms as f64,
            p95: worst.all_p95_ms as f64,
        })
    }

    /// What did not come in time, of everybody.
    pub(super) fn trouble(&self) -> Trouble {
        let people = self.0.values();
        people.fold(Trouble::default(), |all, person| Trouble {
            concealed_ms: all.concealed_ms + person.concealed_ms.total(),
            freezes: all.freezes + person.freezes.total(),
            freeze_ms: all.freeze_ms + person.freeze_ms.total(),
        })
    }
}

/// What did not come in time since the call began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Sound made up.
    pub(super) concealed_ms: u64,
    /// Freezes of pictures (W3C rule).
    pub(super) freezes: u64,
    /// Time in those.
    pub(super) freeze_ms: u64,
}

impl Person {
    fn figures(&self, id: ParticipantId) -> PersonFigures {
        PersonFigures {
            participant: id.number(),
            name: self.name.clone(),
            audio_frames: self.audio_frames.total(),
            audio_ms: self.audio_ms.total(),
            video_frames: self.video_frames.total(),
            video_decoded: self.video_decoded.total(),
            screen_decoded: self.screen_decoded.total(),
            width: self.size.0,
            height: self.size.1,
            epoch: self.epoch,
            undecryptable: self.undecryptable,
            concealed_ms: self.concealed_ms.total(),
            delay_ms: self.delay_ms,
            freezes: self.freezes.total(),
            freeze_ms: self.freeze_ms.total(),
            made_up: self.made_up,
            skew_ms: self.skew.map(|skew| skew.median_ms),
            skew_p95_ms: self.skew.map(|skew| skew.all_p95_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use hullo_media::jitter::AudioBufferStats;

    use super::*;

    fn id(number: u32) -> ParticipantId {
        ParticipantId::try_from(number).expect("in range")
    }

    fn sound(received: u64, speaking: bool) -> PersonSound {
        PersonSound {
            participant: id(4),
            volume: 1.0,
            level_db: -20.0,
            speaking,
            stats: AudioBufferStats {
                received,
                played_ms: received * 20,
                ..AudioBufferStats::default()
            },
            clock: None,
        }
    }

    #[test]
    fn counts_go_on_when_a_codec_begins_anew() {
        let mut figures = Figures::default();
        figures.came(id(4), "ann".to_owned());
        assert_eq!(figures.hear(&[sound(50, true)]), [(id(4), true)]);
        assert_eq!(figures.hear(&[sound(60, true)]), []);
        // On hold the loudspeaker is another call's.
        assert_eq!(figures.hear(&[]), [(id(4), false)]);
        figures.hear(&[sound(10, false)]);
        let of = |decoded| {
            let counters = VideoDecodeCounters {
                received: decoded,
                decoded,
                ..VideoDecodeCounters::default()
            };
            BTreeMap::from([((id(4), Track::Camera), counters)])
        };
        for pictures in [of(30), BTreeMap::new(), of(5)] {
            figures.see(&pictures);
        }
        figures.went(id(4));
        assert!(figures.people(false).is_empty());
        let ann = &figures.people(true)[0];
        assert_eq!((ann.audio_frames, ann.audio_ms), (70, 1_400));
        assert_eq!((ann.video_decoded, ann.name.as_str()), (35, "ann"));
    }
}

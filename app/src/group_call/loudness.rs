//! How loud everybody is to be, remembered beyond the devices: a mixer begins anew after a hold.

use std::collections::BTreeMap;

use hullo_media::mix::PEOPLE_MAX;
use hullo_proto::group::id::ParticipantId;

use super::media::GroupMedia;

/// What was asked for; 1 is as sent.
#[derive(Debug)]
pub(super) struct Loudness {
    all: f32,
    people: BTreeMap<ParticipantId, f32>,
}

impl Default for Loudness {
    fn default() -> Self {
        Self {
            all: 1.0,
            people: BTreeMap::new(),
        }
    }
}

impl Loudness {
    /// Remembers it, for as many people as can be heard at once.
    pub(super) fn set(&mut self, participant: Option<ParticipantId>, volume: f32) {
        match participant {
            None => self.all = volume,
            Some(id) if self.people.len() < PEOPLE_MAX || self.people.contains_key(&id) => {
                self.people.insert(id, volume);
            }
            Some(_) => {}
        }
    }

    /// Tells all of it to devices that were opened just now.
    pub(super) fn tell(&self, media: &GroupMedia) {
        media.set_volume(None, self.all);
        for (id, volume) in &self.people {
            media.set_volume(Some(*id), *volume);
        }
    }
}

//! How one sits in a call: whom one looks at, how loud each is, whether one hears and talks. Nobody else is told of it but
//! by what it does: a deafened person is muted too, and whoever is not looked at is not asked for pictures.

use std::collections::BTreeMap;

use crate::event::{Levels, ParticipantId};
use crate::layers::Filter;
use crate::talk::Talk;

/// Loudest that somebody can be made, per cent.
pub const VOLUME_PERCENT_MAX: u16 = 200;
/// What one key press changes, per cent: fewer steps are heard as jumps, more are many presses.
pub const VOLUME_STEP_PERCENT: u16 = 25;
/// Volumes kept in a call: as many as can be heard at once.
const VOLUMES_MAX: usize = hullo_media::mix::PEOPLE_MAX;

/// How loud somebody is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Of what is sent, 0..=[`VOLUME_PERCENT_MAX`].
    pub percent: u16,
    /// Not heard at all for now; the volume is kept for afterwards.
    pub is_silenced: bool,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            percent: 100,
            is_silenced: false,
        }
    }
}

impl Volume {
    /// What the mixer multiplies with; 1 is as sent.
    #[must_use]
    pub fn factor(self) -> f32 {
        if self.is_silenced {
            0.0
        } else {
            f32::from(self.percent) / 100.0
        }
    }

    /// One step louder or softer; whoever is silenced stays so, and is as loud as that when heard again.
    #[must_use]
    pub fn stepped(self, is_up: bool) -> Self {
        let percent = if is_up {
            (self.percent + VOLUME_STEP_PERCENT).min(VOLUME_PERCENT_MAX)
        } else {
            self.percent.saturating_sub(VOLUME_STEP_PERCENT)
        };
        Self { percent, ..self }
    }
}

/// Whom the large picture shows in the call of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// There is none: all are shown alike.
    #[default]
    Everybody,
    /// Whoever speaks; nobody before the first word.
    Speaker(Option<ParticipantId>),
    /// This one, whoever speaks.
    Pinned(ParticipantId),
}

impl Focus {
    /// Who is in focus now.
    #[must_use]
    pub fn on(self) -> Option<ParticipantId> {
        match self {
            Self::Everybody => None,
            Self::Speaker(speaker) => speaker,
            Self::Pinned(id) => Some(id),
        }
    }
}

/// See the module.
/// Has no `Debug`, as [`Filter`] has none.
#[derive(Clone, Default)]
pub struct Seat {
    /// The list of people is open, a line for each.
    pub is_roster_open: bool,
    /// Who is chosen in it.
    pub selected: Option<ParticipantId>,
    /// Only people of such a name stand in it.
    pub filter: Option<Filter>,
    /// Whom the large picture shows.
    pub focus: Focus,
    /// Whose picture was pinned and is gone: whoever comes back under this name is large again.
    pub(crate) pin_awaited: Option<String>,
    /// When the focus last went to somebody by itself.
    pub(crate) focused_at_ms: u64,
    /// Which page of the pictures is shown, where they do not fit on one; 0 is the first.
    pub page: usize,
    /// By name: whoever leaves and comes back has another number, and is as loud as before.
    volumes: BTreeMap<String, Volume>,
    /// Nothing is heard. `Some`: and the microphone was muted before that, or was not.
    pub(crate) deafened: Option<bool>,
    /// The microphone is open for as long as a key is held, or until it is pressed again.
    pub talk: Option<Talk>,
    /// When its key was pressed last.
    pub(crate) talk_pressed_at_ms: Option<u64>,
    /// How loud microphone and loudspeaker are now, once that was told.
    pub levels: Option<Levels>,
}

impl Seat {
    /// Nothing is heard by our wish.
    #[must_use]
    pub fn is_deafened(&self) -> bool {
        self.deafened.is_some()
    }

    /// Whether the filter of the list of people leaves somebody of this name.
    #[must_use]
    pub fn lists(&self, name: &str) -> bool {
        let sought = self.filter.as_ref().and_then(Filter::sought);
        sought.is_none_or(|sought| name.to_lowercase().contains(&sought.to_lowercase()))
    }

    /// Closes the list of people, and its filter with it.
    pub(crate) fn close_roster(&mut self) {
        (self.is_roster_open, self.filter) = (false, None);
    }

    /// How loud the person of this name is here.
    #[must_use]
    pub fn volume(&self, name: &str) -> Volume {
        self.volumes.get(name).copied().unwrap_or_default()
    }

    /// Somebody came: a pin that was this person's is again.
    pub(crate) fn came(&mut self, id: ParticipantId, name: &str) {
        let is_back = self.pin_awaited.as_deref() == Some(name);
        if is_back && self.focus == Focus::Everybody {
            self.focus = Focus::Pinned(id);
        }
        if is_back {
            self.pin_awaited = None;
        }
    }

    /// Somebody goes on under another number.
    pub(crate) fn moved(&mut self, from: ParticipantId, to: ParticipantId) {
        if self.selected == Some(from) {
            self.selected = Some(to);
        }
        match self.focus {
            Focus::Pinned(id) if id == from => self.focus = Focus::Pinned(to),
            Focus::Speaker(Some(id)) if id == from => self.focus = Focus::Speaker(Some(to)),
            _ => {}
        }
    }

    /// Somebody is called something else now.
    pub(crate) fn renamed(&mut self, from: &str, to: &str) {
        if let Some(volume) = self.volumes.remove(from) {
            self.set_volume(to, volume);
        }
    }

    /// Makes the person of this name so loud.
    pub(crate) fn set_volume(&mut self, name: &str, volume: Volume) {
        if volume == Volume::default() {
            self.volumes.remove(name);
        } else if self.volumes.len() < VOLUMES_MAX || self.volumes.contains_key(name) {
            self.volumes.insert(name.to_owned(), volume);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_goes_in_steps_between_nothing_and_twice_and_silence_is_not_forgotten() {
        let mut volume = Volume::default();
        for _ in 0..9 {
            volume = volume.stepped(true);
        }
        assert_eq!((volume.percent, volume.factor()), (200, 2.0));
        for _ in 0..9 {
            volume = volume.stepped(false);
        }
        assert_eq!((volume.percent, volume.factor()), (0, 0.0));
        let silenced = Volume {
            percent: 150,
            is_silenced: true,
        };
        assert_eq!(silenced.factor(), 0.0);
        let softer = silenced.stepped(false);
        assert_eq!((softer.factor(), softer.percent), (0.0, 125));
    }

    #[test]
    fn volumes_are_kept_by_name_and_bounded() {
        let mut seat = Seat::default();
        for number in 0..VOLUMES_MAX + 5 {
            let half = Volume::default().stepped(false);
            seat.set_volume(&format!("walker {number}"), half);
        }
        assert_eq!(seat.volumes.len(), VOLUMES_MAX);
        assert_eq!(seat.volume("walker 0").percent, 75);
        seat.set_volume("walker 0", Volume::default());
        assert_eq!(seat.volumes.len(), VOLUMES_MAX - 1);
        assert_eq!(seat.volume("nobody"), Volume::default());
    }
}

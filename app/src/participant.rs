//! Those who are in the call of a group, as the model keeps them and the screen shows them.

use std::sync::Arc;

use hullo_media::frame::Picture;

use crate::event::{Feed, ParticipantChange, ParticipantId};
use crate::model::Switches;
use crate::quality::Quality;

/// Somebody else in the call of a group.
#[derive(Clone)]
pub struct Participant {
    /// The number in this call.
    pub id: ParticipantId,
    /// As the group knows this member.
    pub name: String,
    /// What is sent from there.
    pub switches: Switches,
    /// The screen is shown.
    pub shows_screen: bool,
    /// Heard right now.
    pub is_speaking: bool,
    /// It administers the call, as the call's administrators say.
    pub is_admin: bool,
    /// A contact that is blocked here: neither heard nor seen.
    pub is_blocked: bool,
    /// How well it comes through; nothing in the first seconds.
    pub quality: Quality,
    /// When it began or ceased to be heard last.
    pub(crate) spoke_at_ms: Option<u64>,
    /// Newest picture of the camera.
    camera: Option<Arc<Picture>>,
    /// When it came, or was asked for again after nobody had looked.
    camera_at_ms: u64,
    /// Newest picture of the screen.
    screen: Option<Arc<Picture>>,
}

impl Participant {
    /// Somebody of whom nothing was heard yet. Devices are off until they are announced.
    #[must_use]
    pub fn new(id: ParticipantId, name: String) -> Self {
        Self {
            id,
            name,
            switches: Switches {
                mic_muted: true,
                ..Switches::default()
            },
            shows_screen: false,
            is_speaking: false,
            is_admin: false,
            is_blocked: false,
            quality: Quality::default(),
            spoke_at_ms: None,
            camera: None,
            camera_at_ms: 0,
            screen: None,
        }
    }

    /// Whether it is heard right now.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.is_speaking && !self.switches.mic_muted && !self.switches.on_hold
    }

    /// For how long it has been heard without a break, at `now_ms`; `None` while it is not.
    pub(crate) fn spoken_ms(&self, now_ms: u64) -> Option<u64> {
        let since = self.spoke_at_ms.filter(|_| self.speaks())?;
        Some(now_ms.saturating_sub(since))
    }

    /// Whether pictures of this kind are sent now, and are to be seen.
    #[must_use]
    pub fn sends(&self, feed: Feed) -> bool {
        let is_on = match feed {
            Feed::Camera => self.switches.camera_on,
            Feed::Screen => self.shows_screen,
        };
        is_on && !self.switches.on_hold && !self.is_blocked
    }

    /// The newest picture, unless the feed is off: a last one that comes late must not stand there as if it were live.
    #[must_use]
    pub fn picture(&self, feed: Feed) -> Option<&Picture> {
        let picture = match feed {
            Feed::Camera => &self.camera,
            Feed::Screen => &self.screen,
        };
        picture.as_deref().filter(|_| self.sends(feed))
    }

    /// For how long the camera's picture that is shown has stood still at `now_ms`; `None` while it moves. A screen on which
    /// nothing happens is no news.
    #[must_use]
    pub fn still_ms(&self, feed: Feed, now_ms: u64) -> Option<u64> {
        self.picture(feed).filter(|_| feed == Feed::Camera)?;
        crate::model::still_ms(self.camera_at_ms, now_ms)
    }

    /// Somebody looks at the pictures again: none that was not asked for stood still.
    pub(crate) fn look_again(&mut self, now_ms: u64) {
        self.camera_at_ms = now_ms;
    }

    /// Takes one change; the word and the switch of its report where it is one worth telling.
    pub(crate) fn take(
        &mut self,
        change: ParticipantChange,
        now_ms: u64,
    ) -> Option<(&'static str, bool)> {
        let (word, place, on) = match change {
            ParticipantChange::Joined { .. }
            | ParticipantChange::Moved { .. }
            | ParticipantChange::Renamed { .. }
            | ParticipantChange::Left { .. } => return None,
            ParticipantChange::Muted(on) => ("muted", &mut self.switches.mic_muted, on),
            ParticipantChange::Camera(on) => ("camera", &mut self.switches.camera_on, on),
            ParticipantChange::Screen(on) => ("screen", &mut self.shows_screen, on),
            ParticipantChange::Hold(on) => ("hold", &mut self.switches.on_hold, on),
            ParticipantChange::Admin(on) => ("admin", &mut self.is_admin, on),
            ParticipantChange::Speaking(on) => {
                if on != self.is_speaking {
                    self.spoke_at_ms = Some(now_ms);
                }
                ("speaking", &mut self.is_speaking, on)
            }
            ParticipantChange::Picture(feed, picture) => {
                match feed {
                    Feed::Camera => (self.camera, self.camera_at_ms) = (Some(picture), now_ms),
                    Feed::Screen => self.screen = Some(picture),
                }
                return None;
            }
        };
        let is_news = std::mem::replace(place, on) != on;
        // An old picture must not come back with the camera.
        if !self.sends(Feed::Camera) {
            self.camera = None;
        }
        if !self.sends(Feed::Screen) {
            self.screen = None;
        }
        is_news.then_some((word, on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Arc<Picture> {
        Arc::new(Picture {
            width: 2,
            height: 2,
            y: vec![16; 4],
            u: vec![128],
            v: vec![128],
        })
    }

    #[test]
    fn a_picture_is_shown_only_while_its_feed_is_on_and_an_old_one_never_comes_back() {
        let id = ParticipantId::try_from(3).expect("in range");
        let mut bob = Participant::new(id, "bob".to_owned());
        let take = |bob: &mut Participant, change| bob.take(change, 1);
        let late = ParticipantChange::Picture(Feed::Camera, picture());
        assert_eq!(take(&mut bob, late.clone()), None);
        assert!(bob.picture(Feed::Camera).is_none());
        let on = take(&mut bob, ParticipantChange::Camera(true));
        assert_eq!(on, Some(("camera", true)));
        assert_eq!(take(&mut bob, ParticipantChange::Camera(true)), None);
        take(&mut bob, late);
        assert!(bob.picture(Feed::Camera).is_some());
        assert!(bob.picture(Feed::Screen).is_none());
        take(&mut bob, ParticipantChange::Hold(true));
        take(&mut bob, ParticipantChange::Hold(false));
        assert!(bob.sends(Feed::Camera) && bob.picture(Feed::Camera).is_none());
    }
}

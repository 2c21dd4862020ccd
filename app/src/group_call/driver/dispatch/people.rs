//! The others: who comes, goes and does what, and all of it once more on a second connection.

use hullo_media::group_session::{Layer, OwnTrack};
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Capture, Device, View};

use super::{Dispatch, Input};
use crate::event::{CallEvent, CallState, Feed, ParticipantChange};
use crate::group_call::driver::DriverEvent;
use crate::group_call::engine::Engine;
use crate::group_call::shown::Told;

impl Dispatch {
    pub(super) fn came(&mut self, id: ParticipantId, identity: Identity) -> Vec<Input<'static>> {
        let known = self.members.names.get(&identity).cloned();
        let name = known.unwrap_or_else(|| identity.as_str().to_owned());
        let told = self.shown.came(id, identity);
        if !self.shown.is_shown(id) {
            // Our own other connection: nobody to be seen or counted.
            return Vec::new();
        }
        self.states.entry(id).or_default();
        self.figures.came(id, name.clone());
        match told {
            Told::Came => self.person(id, ParticipantChange::Joined { name }),
            Told::Moved(from) => self.person(id, ParticipantChange::Moved { from }),
            Told::Nothing | Told::Went => {}
        }
        if self.pictures.drawn || self.specs.nobody_looks {
            // The screen says what it has room for; where there is none, nothing is worth sending.
            return Vec::new();
        }
        let whole = Some(View::default());
        vec![
            Input::View(id, Feed::Camera, whole),
            Input::View(id, Feed::Screen, whole),
        ]
    }

    pub(super) fn went(&mut self, id: ParticipantId, is_removed: bool) {
        self.figures.went(id);
        self.states.remove(&id);
        self.views.retain(|(whose, _), _| *whose != id);
        if let Some((media, _)) = &self.media {
            media.forget(id);
        }
        match self.shown.went(id) {
            (Told::Went, _) => self.person(id, ParticipantChange::Left { is_removed }),
            (Told::Moved(from), Some(other)) => {
                self.person(other, ParticipantChange::Moved { from });
                self.tell_state(other);
            }
            _ => {}
        }
    }

    pub(super) fn captured(&mut self, id: ParticipantId, capture: Capture) {
        let forget = |track: Track| {
            if let Some((media, _)) = self.media.as_ref().filter(|_| !capture.is_on()) {
                media.forget_picture((id, track));
            }
        };
        match capture {
            Capture::Microphone(_) => {}
            Capture::Camera(_) => forget(Track::Camera),
            Capture::Screen(_) => forget(Track::Screen),
        }
        if let Some((captures, _)) = self.states.get_mut(&id) {
            captures.set(capture);
            self.tell_state(id);
        }
    }

    pub(super) fn on_hold(&mut self, id: ParticipantId, hold: bool) {
        if let Some((_, on_hold)) = self.states.get_mut(&id) {
            *on_hold = hold;
            self.tell_state(id);
        }
    }

    /// What is no news changes nothing.
    fn tell_state(&self, id: ParticipantId) {
        let Some((captures, on_hold)) = self.states.get(&id) else {
            return;
        };
        for change in [
            ParticipantChange::Muted(!captures.microphone),
            ParticipantChange::Camera(captures.camera),
            ParticipantChange::Screen(captures.screen.is_some()),
            ParticipantChange::Hold(*on_hold),
        ] {
            self.person(id, change);
        }
    }

    /// The connection fails: another one beside it is wanted.
    pub(in super::super) fn want_beside(&self) {
        if self.times.joined.is_some() && self.times.ended.is_none() {
            self.tell(DriverEvent::WantBeside);
        }
    }

    /// A second connection carries the call from now on; `before` were seen on the first. What the engine must be told.
    pub(in super::super) fn take_over(
        &mut self,
        before: &[(ParticipantId, Identity)],
        engine: &Engine,
    ) -> Vec<Input<'static>> {
        let wishes = self.wishes;
        let mut inputs = vec![
            Input::Capture(Device::Microphone, !wishes.muted && !wishes.hold),
            Input::Capture(Device::Camera, wishes.camera && !wishes.hold),
            Input::Capture(Device::Screen, self.captures.screen && !wishes.hold),
        ];
        if wishes.hold {
            inputs.push(Input::Hold(true));
        }
        let here: Vec<_> = engine.people().collect();
        // First: a server that began anew gives the same numbers to others.
        for &(id, who) in before {
            if !here
                .iter()
                .any(|(now, entry)| (entry.id, *now) == (id, who))
            {
                self.went(id, false);
            }
        }
        for (identity, entry) in &here {
            // Streams of a new connection begin anew, also those of somebody who stayed.
            if let Some((media, _)) = &self.media {
                media.forget(entry.id);
            }
            inputs.extend(self.came(entry.id, *identity));
            if let Some(state) = self.states.get_mut(&entry.id) {
                *state = (entry.captures, entry.on_hold);
                self.tell_state(entry.id);
            }
        }
        let views = self.views.iter();
        inputs.extend(views.map(|(&(id, feed), &view)| Input::View(id, feed, view)));
        if let Some((media, _)) = &self.media {
            for layer in Layer::ALL {
                media.request_keyframe(OwnTrack::Camera(layer));
            }
            media.request_keyframe(OwnTrack::Screen);
        }
        self.call(CallEvent::State(CallState::Connected));
        inputs
    }
}

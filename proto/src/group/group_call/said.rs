//! What authenticated participants say (protocol text, `ParticipantToParticipant.Envelope`),
//! and which of their pictures we ask the SFU for.

use std::time::Instant;

use super::{Event, GroupCall, Refused};
use crate::group::id::ParticipantId;
use crate::group::media_frame::Track;
use crate::group::peer::Said;
use crate::group::roster::Feed;
use crate::group::wire::{Capture, PeerMessage, Subscription, View};

impl GroupCall {
    /// Step 2: handle the message according to its content. (Step 1, a state other than `done`, does not come here.)
    pub(super) fn heard(&mut self, now: Instant, id: ParticipantId, said: Said) {
        match said {
            Said::Peer(PeerMessage::Rekey(key)) => {
                if let Some(participant) = self.roster.participants.get_mut(&id) {
                    participant.receiver.add(key);
                }
            }
            Said::Peer(PeerMessage::Capture(state)) => self.captured(id, state),
            Said::Peer(PeerMessage::Hold) => self.held(id),
            Said::Peer(PeerMessage::Admin(_) | PeerMessage::Unknown) => {}
            Said::Admin(message) => self.administered(now, id, message),
        }
    }

    /// *When receiving this message* (`CaptureState`):
    /// 2. Off while we are subscribed: 2.1 and 2.2 stop displaying and pause (the event); 2.3 nothing for the
    ///    microphone; 2.4 and 2.5 unsubscribe camera or screen.
    /// 3. On while we are not subscribed: 3.1 and 3.2 resume and display (the event); 3.3 nothing for the
    ///    microphone; 3.4 and 3.5 subscribe camera or screen. Like the clients, only what is on our screen.
    fn captured(&mut self, id: ParticipantId, state: Capture) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        participant.captures.set(state);
        let back = std::mem::replace(&mut participant.on_hold, false);
        if back {
            self.event(Event::OnHold(id, false));
        }
        self.event(Event::Captured(id, state));
        self.reconcile(id);
    }

    /// *When receiving this message* (`HoldState`): 1. and 2. show it and pause video (the event);
    /// 3. and 4. unsubscribe camera and screen if subscribed.
    fn held(&mut self, id: ParticipantId) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        participant.on_hold = true;
        self.event(Event::OnHold(id, true));
        self.reconcile(id);
    }

    /// The screen shows a feed at another size, or no longer.
    pub(super) fn set_view(&mut self, id: ParticipantId, track: Track, view: Option<View>) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return self.event(Event::Refused(Refused::NoSuchParticipant));
        };
        match track {
            Track::Microphone => {}
            Track::Camera => participant.camera.wanted = view,
            Track::Screen => participant.screen.wanted = view,
        }
        self.reconcile(id);
    }

    /// Subscribes to what is both sent and shown, and to nothing else.
    fn reconcile(&mut self, id: ParticipantId) {
        let Some(participant) = self.roster.participants.get_mut(&id) else {
            return;
        };
        let present = participant.is_authenticated() && !participant.on_hold;
        let camera = participant
            .camera
            .change(present && participant.captures.camera);
        let screen = participant
            .screen
            .change(present && participant.captures.screen.is_some());
        if let Some(view) = camera {
            self.subscribe(id, Subscription::Camera(view));
        }
        if let Some(view) = screen {
            self.subscribe(id, Subscription::Screen(view));
        }
    }
}

impl Feed {
    /// What to ask the SFU for, if that changed; `available`: whether the feed is sent at all.
    fn change(&mut self, available: bool) -> Option<Option<View>> {
        let target = self.wanted.filter(|_| available);
        (self.subscribed != target).then(|| {
            self.subscribed = target;
            target
        })
    }
}

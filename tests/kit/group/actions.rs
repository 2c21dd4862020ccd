//! What people do in a group world.

use std::collections::BTreeMap;
use std::time::Duration;

use hullo_proto::group::group_call::Input;
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Device, View};
use rand::RngExt;

use super::{NEWS_DELAY_MAX_MS, Packet, RecordedFrame, World};

impl World {
    /// One thing somebody does.
    pub(super) fn act(&mut self) {
        let index = self.rng.random_range(0..self.people.len());
        let in_call = self.people[index].session.is_some();
        let roll = self.rng.random_range(0..100);
        if self.is_by_link() {
            return self.act_by_link(index, roll);
        }
        match (roll, in_call) {
            (0..70, false) if self.people[index].is_member => self.connect(index),
            (70..80, false) => self.change_membership(index, true),
            (0..8, true) => self.disconnect(index),
            (8..10, true) => self.change_membership(index, false),
            (10..25, true) => {
                let device = Device::ALL[self.rng.random_range(0..3)];
                let on = self.rng.random_bool(0.6);
                self.input(index, Input::Capture(device, on));
            }
            (25..30, true) => {
                let hold = self.rng.random_bool(0.4);
                self.input(index, Input::Hold(hold));
            }
            (30..40, true) => self.look(index),
            (40..100, true) => self.speak(index),
            _ => {}
        }
    }

    pub(super) fn look(&mut self, index: usize) {
        let others = self.in_call();
        let other = others[self.rng.random_range(0..others.len())];
        let Some(id) = self.people[other]
            .session
            .as_ref()
            .map(|session| session.id)
        else {
            return;
        };
        let view = self.rng.random_bool(0.7).then_some(View {
            width: 160,
            height: 120,
            fps: 15,
        });
        self.input(index, Input::ViewCamera(id, view));
    }

    /// The group's record changes; each member hears of it some time later.
    pub(super) fn change_membership(&mut self, index: usize, is_member: bool) {
        // Who comes back while the news of the removal are still under way would be taken for removed
        // by some and not by others, for the rest of the stay; the protocol has no remedy for that.
        let is_quiet = self.people.iter().all(|person| person.news.is_empty());
        if self.people[index].is_member == is_member || (is_member && !is_quiet) {
            return;
        }
        self.people[index].is_member = is_member;
        if !is_member {
            self.counts.removals += 1;
            let defiant = self.rng.random_bool(0.3);
            if let Some(session) = &mut self.people[index].session {
                session.is_defiant = defiant;
            }
        }
        let members: BTreeMap<_, _> = self
            .people
            .iter()
            .filter(|p| p.is_member)
            .map(|p| (p.identity, p.key.public()))
            .collect();
        for other in 0..self.people.len() {
            let defiant = self.people[other]
                .session
                .as_ref()
                .is_some_and(|session| session.is_defiant);
            if defiant {
                continue;
            }
            let delay = Duration::from_millis(self.rng.random_range(0..NEWS_DELAY_MAX_MS));
            let last = self.people[other]
                .news
                .last()
                .map_or(self.now, |(at, _)| *at);
            self.people[other]
                .news
                .push(((self.now + delay).max(last), members.clone()));
        }
    }

    /// Sends one frame to everyone, whether they may hear it or not.
    pub(super) fn speak(&mut self, index: usize) {
        let track = if self.rng.random_bool(0.5) {
            Track::Microphone
        } else {
            Track::Camera
        };
        let payload: Vec<u8> = (0..self.rng.random_range(10..60))
            .map(|_| self.rng.random())
            .collect();
        let Some(session) = &mut self.people[index].session else {
            return;
        };
        let from = session.id;
        let Ok(sealed) = session.call.seal(track, &payload) else {
            return;
        };
        session.frames_sealed += 1;
        let number = u32::from_le_bytes(*sealed.last_chunk().expect("a footer"));
        assert!(
            self.frame_numbers.insert((from, number)),
            "seed {}: a nonce was used twice",
            self.seed
        );
        assert_eq!(
            number + 1,
            session.frames_sealed,
            "seed {}: a frame number was skipped",
            self.seed
        );
        let sealed = sealed.into_bytes();
        self.check_shut_out(from, track, &sealed);
        for to in self
            .sfu
            .connected
            .iter()
            .copied()
            .filter(|to| *to != from)
            .collect::<Vec<_>>()
        {
            if self.rng.random_bool(0.95) {
                self.send(Packet::Frame {
                    from,
                    to,
                    track,
                    sealed: sealed.clone(),
                });
            }
        }
        self.recorded.push(RecordedFrame {
            from,
            sealed_at: self.now,
            track,
            sealed,
        });
    }
}

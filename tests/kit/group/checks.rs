//! What must hold in a group world, at every step and after every quiet period.

use std::collections::BTreeSet;

use hullo_proto::group::group_call::Input;
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::Device;

use super::{CATCH_UP_MAX, World};

impl World {
    /// Epochs and ratchets advance as the text says: by one step, never back.
    pub(super) fn check_position(&mut self, index: usize) {
        let Some(session) = &mut self.people[index].session else {
            return;
        };
        let (before, after) = (session.position, session.call.sending_position());
        let ratcheted = after.0 == before.0 && after.1 > before.1;
        let rekeyed = after.0 == before.0.wrapping_add(1) && after.1 == 0;
        assert!(
            after == before || ratcheted || rekeyed,
            "seed {}: {before:?} became {after:?}",
            self.seed
        );
        session.position = after;
    }

    /// Nobody opens a frame from later than 4 s after its leave, or its removal.
    pub(super) fn check_shut_out(&mut self, from: ParticipantId, track: Track, sealed: &[u8]) {
        let now = self.now;
        for ghost in self
            .ghosts
            .iter_mut()
            .filter(|ghost| ghost.left_at + CATCH_UP_MAX < now)
        {
            assert!(
                ghost.call.open(now, from, track, sealed).is_err(),
                "seed {}: a ghost heard {from}",
                self.seed
            );
            self.counts.frames_refused += 1;
        }
        for session in self
            .people
            .iter_mut()
            .filter_map(|person| person.session.as_mut())
        {
            if session
                .shut_out
                .get(&from)
                .is_some_and(|at| *at + CATCH_UP_MAX < now)
            {
                let opened = session.call.open(now, from, track, sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: a removed member heard {from}",
                    self.seed
                );
                self.counts.frames_refused += 1;
            }
        }
    }

    /// Nobody opens a frame from before its join.
    pub(super) fn check_newcomers(&mut self) {
        let now = self.now;
        for session in self
            .people
            .iter_mut()
            .filter_map(|person| person.session.as_mut())
        {
            for frame in self
                .recorded
                .iter()
                .filter(|f| f.sealed_at < session.joined_at && f.from != session.id)
            {
                let opened = session
                    .call
                    .open(now, frame.from, frame.track, &frame.sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: {} heard what was before it",
                    self.seed,
                    session.id
                );
                self.counts.frames_refused += 1;
            }
        }
    }

    /// Those in the call who should be in each other's rosters.
    pub(super) fn loyal(&self) -> Vec<usize> {
        self.in_call()
            .into_iter()
            .filter(|&index| {
                self.people[index]
                    .session
                    .as_ref()
                    .is_some_and(|session| !session.is_defiant)
            })
            .collect()
    }

    pub(super) fn check_rosters(&mut self) {
        let loyal = self.loyal();
        let ids: BTreeSet<_> = loyal
            .iter()
            .filter_map(|&i| self.people[i].session.as_ref().map(|s| s.id))
            .collect();
        for &index in &loyal {
            let session = self.people[index].session.as_ref().expect("in the call");
            let mut seen: BTreeSet<_> = session
                .call
                .participants()
                .filter(|e| e.authenticated)
                .map(|e| e.id)
                .collect();
            seen.insert(session.id);
            assert_eq!(
                seen, ids,
                "seed {}: {} sees other people",
                self.seed, session.id
            );
            for entry in session
                .call
                .participants()
                .filter(|entry| entry.authenticated)
            {
                let other = self
                    .index_of(entry.id)
                    .and_then(|i| self.people[i].session.as_ref())
                    .expect("agreed");
                let (own, person) = (
                    other.call.own(),
                    &self.people[self.index_of(entry.id).expect("agreed")],
                );
                assert_eq!(
                    (
                        entry.captures,
                        entry.on_hold,
                        entry.administrator,
                        entry.name
                    ),
                    (
                        own.captures(),
                        own.is_on_hold(),
                        other.call.is_administrator(),
                        Some(Self::name_of(person))
                    ),
                    "seed {}: {} is wrong about {}",
                    self.seed,
                    session.id,
                    entry.id
                );
            }
        }
    }

    /// A guest where guests are not wanted hears nothing of any member.
    fn check_unwanted(&mut self, from: ParticipantId, sealed: &[u8]) {
        let now = self.now;
        if !self.is_by_link() {
            return;
        }
        let sessions = self
            .people
            .iter_mut()
            .filter_map(|person| person.session.as_mut());
        for session in sessions.filter(|session| session.is_defiant) {
            let opened = session.call.open(now, from, Track::Microphone, sealed);
            assert!(
                opened.is_err(),
                "seed {}: an unwanted guest heard {from}",
                self.seed
            );
            self.counts.frames_refused += 1;
        }
    }

    pub(super) fn check_hearing(&mut self) {
        let loyal = self.loyal();
        for &from in &loyal {
            self.input(from, Input::Hold(false));
            self.input(from, Input::Capture(Device::Microphone, true));
            let Some(session) = &mut self.people[from].session else {
                continue;
            };
            let id = session.id;
            let sealed = session
                .call
                .seal(Track::Microphone, b"can you hear me")
                .expect("on");
            session.frames_sealed += 1;
            let number = u32::from_le_bytes(*sealed.last_chunk().expect("a footer"));
            assert!(
                self.frame_numbers.insert((id, number)),
                "seed {}: a nonce was used twice",
                self.seed
            );
            let now = self.now;
            for &to in loyal.iter().filter(|to| **to != from) {
                let Some(listener) = &mut self.people[to].session else {
                    continue;
                };
                let opened = listener.call.open(now, id, Track::Microphone, &sealed);
                assert_eq!(
                    opened.as_deref(),
                    Ok(&b"can you hear me"[..]),
                    "seed {}: {} does not hear {id}",
                    self.seed,
                    listener.id
                );
            }
            self.check_shut_out(id, Track::Microphone, &sealed);
            self.check_unwanted(id, &sealed);
        }
    }
}

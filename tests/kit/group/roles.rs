//! Calls by link: guests beside members, administrators, and what they do to others.

use std::collections::BTreeMap;
use std::time::Instant;

use hullo_proto::group::group_call::{
    AdminCommand, Event, Input, Output, Refused, STATE_UPDATE_INTERVAL, Scope,
};
use hullo_proto::group::handshake::Role;
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::key::{AdministratorKey, GroupCallKey};
use hullo_proto::group::refresh::open_state;
use hullo_proto::group::roster::Captures;
use hullo_proto::group::wire::{Capture, Device, ForcedOff, Name, ParticipantName};
use rand::RngExt;

use super::{DELAY_MAX, Person, World};

/// GCK of every world.
pub(super) const GCK: [u8; 32] = [7; 32];

const GCAK: [u8; 32] = [11; 32];

/// What kind of call a world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Scoped to a group: members come and go.
    Group,
    /// By link, with administrators; guests are there, and may take part or not.
    Link { guests_allowed: bool },
}

/// Something an administrator demanded of another, that must have happened after a quiet period.
pub(super) struct Demand {
    by: ParticipantId,
    of: ParticipantId,
    at: Instant,
    what: Demanded,
    /// Whoever demanded it stayed long enough for it to arrive at the SFU.
    is_certain: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Demanded {
    Promotion,
    Leaving,
}

impl World {
    pub(super) fn administrator_key() -> AdministratorKey {
        AdministratorKey::from_bytes(GCAK)
    }

    pub(super) fn is_by_link(&self) -> bool {
        matches!(self.kind, Kind::Link { .. })
    }

    /// Who may take part, as `person` believes.
    pub(super) fn scope(&self, person: &Person) -> Scope {
        let members = person.members.clone();
        match self.kind {
            Kind::Group => Scope::Group { members },
            Kind::Link { guests_allowed } => {
                let hash = GroupCallKey::from_bytes(GCK).hash();
                let message_key = Self::administrator_key().message_key(&hash);
                Scope::Link {
                    known: members,
                    // Guests try it anyway where they are not wanted.
                    guests_allowed: guests_allowed || person.is_guest,
                    administrators: Some(message_key.public()),
                }
            }
        }
    }

    /// A guest in a call that is not open for guests: connected, and authenticated by no member.
    pub(super) fn is_unwanted(&self, person: &Person) -> bool {
        person.is_guest
            && self.kind
                == Kind::Link {
                    guests_allowed: false,
                }
    }

    /// One thing somebody does in a call by link.
    pub(super) fn act_by_link(&mut self, index: usize, roll: u32) {
        let in_call = self.people[index].session.is_some();
        match (roll, in_call) {
            (0..70, false) => self.connect(index),
            (0..8, true) => self.disconnect(index),
            (8..22, true) => self.administer(index),
            (22..34, true) => {
                let device = Device::ALL[self.rng.random_range(0..3)];
                let on = self.rng.random_bool(0.7);
                self.input(index, Input::Capture(device, on));
            }
            (34..38, true) => {
                let hold = self.rng.random_bool(0.4);
                self.input(index, Input::Hold(hold));
            }
            (38..46, true) => self.look(index),
            (46..100, true) => self.speak(index),
            _ => {}
        }
    }

    /// Anyone may try to administer anyone; only administrators get anywhere.
    fn administer(&mut self, index: usize) {
        let others: Vec<_> = self.sfu.connected.iter().copied().collect();
        let of = others[self.rng.random_range(0..others.len())];
        let off = [
            ForcedOff::All,
            ForcedOff::Device(Device::Microphone),
            ForcedOff::Device(Device::Camera),
            ForcedOff::Device(Device::Screen),
        ];
        let command = match self.rng.random_range(0..8) {
            0..2 => AdminCommand::Promote(of),
            2 => AdminCommand::ForceLeave(of),
            3..6 => AdminCommand::ForceCaptureStateOff(of, off[self.rng.random_range(0..4)]),
            _ => AdminCommand::ForceFocus(of),
        };
        let now = self.now;
        let Some(session) = &mut self.people[index].session else {
            return;
        };
        let (by, is_administrator) = (session.id, session.call.is_administrator());
        let sent_before = self.sequence;
        session.call.handle_input(now, Input::Administer(command));
        let refused = match session.call.poll_output() {
            Output::Event(Event::Refused(refused)) => Some(refused),
            Output::Transmit(bytes) => {
                self.transmitted(by, bytes);
                None
            }
            Output::Event(_) | Output::Timeout(_) => None,
        };
        self.drain(index);
        let seed = self.seed;
        if !is_administrator {
            assert_eq!(refused, Some(Refused::NotAnAdministrator), "seed {seed}");
            assert_eq!(
                self.sequence, sent_before,
                "seed {seed}: {by} is no administrator and sent something"
            );
        } else if refused.is_none() {
            self.counts.commands[self.pair(by, of)] += 1;
            let what = match command {
                AdminCommand::Promote(_) => Demanded::Promotion,
                AdminCommand::ForceLeave(_) => Demanded::Leaving,
                _ => return,
            };
            self.demands.push(Demand {
                by,
                of,
                at: now,
                what,
                is_certain: true,
            });
        }
    }

    /// Which of the four role pairs two people are: bit 1 the first is a guest, bit 0 the second.
    pub(super) fn pair(&self, first: ParticipantId, second: ParticipantId) -> usize {
        let is_guest = |id| {
            let index = self.index_of(id);
            usize::from(index.is_some_and(|index| self.people[index].is_guest))
        };
        2 * is_guest(first) + is_guest(second)
    }

    /// Who goes takes along what it said within the last moment: that may not have arrived anywhere.
    pub(super) fn forget_demands_of(&mut self, gone: ParticipantId) {
        for demand in &mut self.demands {
            demand.is_certain &= demand.by != gone || demand.at + DELAY_MAX < self.now;
        }
    }

    pub(super) fn was_demanded_to_leave(&self, of: ParticipantId) -> bool {
        self.was_demanded(of, Demanded::Leaving)
    }

    pub(super) fn was_promoted(&self, of: ParticipantId) -> bool {
        self.was_demanded(of, Demanded::Promotion)
    }

    fn was_demanded(&self, of: ParticipantId, what: Demanded) -> bool {
        self.demands
            .iter()
            .any(|demand| demand.of == of && demand.what == what)
    }

    /// After a quiet period every demand was met by whoever is still here.
    pub(super) fn check_demands(&mut self) {
        let demands = std::mem::take(&mut self.demands);
        for Demand { of, what, .. } in demands.into_iter().filter(|demand| demand.is_certain) {
            let here = self
                .index_of(of)
                .and_then(|index| self.people[index].session.as_ref());
            let seed = self.seed;
            match (here, what) {
                (None, _) => {}
                (Some(_), Demanded::Leaving) => panic!("seed {seed}: {of} was to leave and stayed"),
                (Some(session), Demanded::Promotion) => assert!(
                    session.call.is_administrator(),
                    "seed {seed}: {of} was promoted and does not know"
                ),
            }
        }
    }

    /// An administrator turns everything of somebody off and has everyone look there; both must arrive.
    pub(super) fn check_administration(&mut self) {
        let loyal = self.loyal();
        let session = |index: usize| self.people[index].session.as_ref();
        let administrator = loyal
            .iter()
            .copied()
            .find(|&index| session(index).is_some_and(|session| session.call.is_administrator()));
        let (Some(by), Some(&target)) = (administrator, loyal.last()) else {
            return;
        };
        let Some(of) = session(target)
            .map(|session| session.id)
            .filter(|_| by != target)
        else {
            return;
        };
        self.focused.clear();
        let off = AdminCommand::ForceCaptureStateOff(of, ForcedOff::All);
        self.input(by, Input::Administer(off));
        self.input(by, Input::Administer(AdminCommand::ForceFocus(of)));
        self.run_until(self.now + 5 * DELAY_MAX);
        let captures = self.people[target]
            .session
            .as_ref()
            .map(|s| s.call.own().captures());
        assert_eq!(
            captures,
            Some(Captures::default()),
            "seed {}: {of} still captures",
            self.seed
        );
        assert_eq!(
            self.focused.iter().filter(|focus| **focus == of).count(),
            loyal.len() - 1,
            "seed {}: not everyone was asked to look at {of}",
            self.seed
        );
        self.check_rosters();
    }

    /// Nothing in a call by link is worth a warning, nobody turns another's camera on, and only who was told
    /// becomes administrator.
    pub(super) fn check_event(&mut self, index: usize, event: &Event) {
        let seed = self.seed;
        let Some(id) = self.people[index]
            .session
            .as_ref()
            .map(|session| session.id)
        else {
            return;
        };
        match event {
            Event::Warning(warning)
                if self.kind
                    == (Kind::Link {
                        guests_allowed: true,
                    }) =>
            {
                panic!("seed {seed}: {id} was warned: {}", warning.kind)
            }
            Event::Promoted => {
                assert!(self.was_promoted(id), "seed {seed}: nobody promoted {id}");
                self.counts.promotions += 1;
            }
            Event::Administrator(other) => {
                let is_one = self
                    .index_of(*other)
                    .and_then(|i| self.people[i].session.as_ref());
                assert!(
                    is_one.is_none_or(|session| session.call.is_administrator()),
                    "seed {seed}: {other} is no administrator"
                );
            }
            Event::Focus(focus) => self.focused.push(*focus),
            Event::OwnCapture(state) if self.is_from_outside => {
                let is_camera_on = *state == Capture::Camera(true);
                assert!(
                    !is_camera_on,
                    "seed {seed}: somebody turned the camera of {id} on"
                );
                self.counts.forced_off += u32::from(!state.is_on());
            }
            _ => {}
        }
    }

    /// The peekable state names everyone who is here, as the designated participant sees it.
    pub(super) fn check_call_state(&mut self) {
        let loyal = self.loyal();
        if loyal.is_empty() || loyal.len() != self.in_call().len() {
            return;
        }
        // The 10 s timer heals what raced.
        self.run_until(self.now + STATE_UPDATE_INTERVAL + 2 * DELAY_MAX);
        let people: Vec<_> = loyal.iter().map(|&index| &self.people[index]).collect();
        let here: BTreeMap<_, _> = people
            .iter()
            .filter_map(|person| Some((person.session.as_ref()?.id, Self::name_of(person))))
            .collect();
        let is_normal = |name: &ParticipantName| matches!(name, ParticipantName::Normal(..));
        let lowest_normal = here.iter().find(|(_, name)| is_normal(name));
        let designated = lowest_normal.or(here.first_key_value()).map(|(id, _)| *id);
        let key = GroupCallKey::from_bytes(GCK).state_key();
        let sealed = self.sfu.call_state.as_deref().expect("somebody is here");
        let state = open_state(&key, sealed).expect("our own clients send what opens");
        assert_eq!(
            (Some(state.created_by), &state.participants),
            (designated, &here),
            "seed {}: the call state is wrong",
            self.seed
        );
    }

    /// What others are told about `person`.
    pub(super) fn name_of(person: &Person) -> ParticipantName {
        let name = Name::new("nick");
        if person.is_guest {
            ParticipantName::Guest(name)
        } else {
            ParticipantName::Normal(person.identity, name)
        }
    }

    pub(super) fn role_of(person: &Person) -> Role {
        if person.is_guest {
            Role::Guest {
                name: Name::new("nick"),
            }
        } else {
            Role::Normal {
                identity: person.identity,
                nickname: Name::new("nick"),
                key: person.key.clone(),
            }
        }
    }
}

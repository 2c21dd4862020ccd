//! The call of a group among the calls: from the wish to be in it, over the network thread's answer, to its thread.
//!
//! ```text
//! start ─▶ Enter ─▶ network thread ─▶ Connect ─▶ thread ─▶ HelloReceived ─▶ network thread
//!                                     Disconnect: another call of the group won; a new Connect follows
//! ```

use hullo_media::group_session::Certificate;
use hullo_signalling::lobby::{Entry, Intent, LobbyCommand, LobbyEvent};

use super::{Calls, Outcome};
use crate::call::driver::Command as CallCommand;
use crate::call::media::{MediaSpecs, Pictures};
use crate::event::{CallEvent, CallNumber, CallState, Event, Feed, GroupNumber, Media, Party};
use crate::group_call::driver::{CallSetup, Command, DriverEvent, GroupHandle, Members, Wishes};
use crate::group_call::end::GroupEnd;
use crate::group_call::engine::Setup;
use crate::report::Summary;
use crate::run::Wake;

/// Which thread of the call of a group: late words of one that was given up are not those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadNumber(u64);

/// The call of a group, on the way or running.
pub(super) struct GroupPart {
    pub(super) number: CallNumber,
    group: GroupNumber,
    pub(super) pictures: Pictures,
    certificate: Certificate,
    /// Of a second connection that is asked for.
    certificate_beside: Option<Certificate>,
    specs: MediaSpecs,
    /// What is to be on; the thread goes on from it.
    wishes: Wishes,
    thread: ThreadNumber,
    /// `None` until there is a place in the call, and while another call of the group takes its place.
    handle: Option<GroupHandle>,
    /// Its end was told.
    is_over: bool,
    /// Why the thread could not begin, where that is known better here.
    trouble: Option<String>,
}

impl Calls {
    /// The call of a group there is.
    pub fn group_call(&self) -> Option<(CallNumber, GroupNumber)> {
        let part = self.group.as_ref().filter(|part| !part.is_over)?;
        Some((part.number, part.group))
    }

    pub(super) fn start_group(
        &mut self,
        group: GroupNumber,
        media: Media,
    ) -> Result<Vec<Outcome>, String> {
        if self.group.is_some() {
            return Err(crate::text::ONE_GROUP_CALL.to_owned());
        }
        let certificate = Certificate::generate().map_err(|error| error.to_string())?;
        self.last_number += 1;
        let number = CallNumber(self.last_number);
        let picture_wake = self.wake.clone();
        let specs = if self.is_alone() {
            self.specs.clone()
        } else {
            self.specs.beside(number.0)
        };
        let wishes = Wishes {
            camera: media == Media::Video,
            screen: specs.screen.is_some(),
            muted: specs.has_no_mic(),
            ..Wishes::default()
        };
        let fingerprint = certificate.fingerprint();
        self.group = Some(GroupPart {
            number,
            group,
            pictures: Pictures::new(self.is_drawn, move || {
                // A full queue means that the loop is about to look anyway.
                let _ = picture_wake.try_send(Wake::Pictures(number));
            }),
            certificate,
            certificate_beside: None,
            specs,
            wishes,
            thread: ThreadNumber(number.0 << 16),
            handle: None,
            is_over: false,
            trouble: None,
        });
        let party = Party::Group(group);
        let enter = LobbyCommand::Enter {
            group,
            intent: Intent::CreateOrJoin,
            fingerprint,
        };
        Ok(vec![
            call(number, CallEvent::Started { party, media }),
            call(number, CallEvent::State(CallState::Connecting)),
            Outcome::Lobby(enter),
        ])
    }

    /// Tells the thread of the call of a group something, if it is this one.
    pub fn tell_group(&mut self, number: CallNumber, command: Command) {
        let part = self.group.as_mut().filter(|part| part.number == number);
        let Some(part) = part else { return };
        match command {
            Command::Muted(on) => part.wishes.muted = on,
            Command::Send(Feed::Camera, on) => part.wishes.camera = on,
            Command::Send(Feed::Screen, on) => part.wishes.screen = on,
            Command::Hold(on) => part.wishes.hold = on,
            _ => {}
        }
        if let Some(handle) = &part.handle {
            handle.command(command);
        }
    }

    /// The commands that every call understands.
    pub(super) fn command_group(&mut self, command: CallCommand) -> Vec<Outcome> {
        let Some(part) = &self.group else {
            return Vec::new();
        };
        let number = part.number;
        match command {
            CallCommand::Muted(muted) => self.tell_group(number, Command::Muted(muted)),
            CallCommand::CameraOn(on) => {
                self.tell_group(number, Command::Send(Feed::Camera, on));
            }
            CallCommand::Volume(volume) => {
                self.tell_group(number, Command::Volume(None, volume));
            }
            CallCommand::Hold(hold) => self.tell_group(number, Command::Hold(hold)),
            CallCommand::HangUp(reason) => return self.leave_group(reason),
            _ => {}
        }
        Vec::new()
    }

    fn leave_group(&mut self, reason: Option<&'static str>) -> Vec<Outcome> {
        match self.group.as_ref().and_then(|part| part.handle.as_ref()) {
            Some(handle) => {
                handle.command(Command::Leave(reason));
                Vec::new()
            }
            None => {
                let mut outcomes = vec![Outcome::Lobby(LobbyCommand::Cancel)];
                outcomes.extend(self.end_group(GroupEnd::Left, reason));
                outcomes
            }
        }
    }

    /// What the network thread says about getting in; `members` tells who is in a group.
    pub fn lobby(
        &mut self,
        event: LobbyEvent,
        members: impl Fn(GroupNumber) -> Option<Members>,
    ) -> Vec<Outcome> {
        match event {
            LobbyEvent::Connect(entry) => match members(entry.group) {
                Some(members) => self.connect_group(*entry, members),
                None => vec![Outcome::Lobby(LobbyCommand::ConnectionFailed)],
            },
            LobbyEvent::Disconnect => {
                let is_member = (self.group.as_ref()).is_some_and(|p| members(p.group).is_some());
                self.disconnect_group(is_member)
            }
            LobbyEvent::Failed { group, reason } => {
                let part = self.group.as_mut().filter(|part| part.group == group);
                let trouble = part.and_then(|part| part.trouble.take());
                let end = trouble.map_or_else(|| reason.into(), GroupEnd::Unreachable);
                self.end_group(end, None)
            }
            LobbyEvent::ConnectBeside(entry) => self.connect_beside(*entry),
            LobbyEvent::NotAgain { group, reason } => {
                tracing::debug!(%reason, "no place for a second connection");
                let part = self.group.as_ref().filter(|part| part.group == group);
                if let Some(handle) = part.and_then(|part| part.handle.as_ref()) {
                    handle.command(Command::NotBeside);
                }
                Vec::new()
            }
            LobbyEvent::Established { .. }
            | LobbyEvent::Running { .. }
            | LobbyEvent::NotRunning { .. }
            | LobbyEvent::Warning { .. } => Vec::new(),
        }
    }

    fn connect_group(&mut self, entry: Entry, members: Members) -> Vec<Outcome> {
        let (rng, moments) = (self.fork(), self.fork());
        let (devices, wake) = (self.devices.clone(), self.wake.clone());
        let is_ours = |part: &&mut GroupPart| part.group == entry.group && !part.is_over;
        let Some(part) = self.group.as_mut().filter(is_ours) else {
            // The user thought again meanwhile.
            return vec![Outcome::Lobby(LobbyCommand::Cancel)];
        };
        part.give_up_thread();
        let thread = part.thread;
        let setup = CallSetup {
            engine: Setup {
                answer: entry.response,
                has_wanted_channel: entry.has_wanted_channel,
                config: entry.config,
                certificate: part.certificate.clone(),
                rng,
            },
            members,
            wishes: part.wishes,
            specs: part.specs.clone(),
            pictures: part.pictures.clone(),
            devices,
            rng: moments,
        };
        let started = GroupHandle::start(setup, move |event| {
            // The loop is gone only when the program is.
            let _ = wake.send(Wake::GroupDriver(thread, event));
        });
        match started {
            Ok(handle) => {
                part.handle = Some(handle);
                Vec::new()
            }
            Err(words) => {
                part.trouble = Some(words);
                vec![Outcome::Lobby(LobbyCommand::ConnectionFailed)]
            }
        }
    }

    /// There is a place for a second connection to the call that runs.
    fn connect_beside(&mut self, entry: Entry) -> Vec<Outcome> {
        let rng = self.fork();
        let is_ours = |part: &&mut GroupPart| part.group == entry.group && !part.is_over;
        if let Some(part) = self.group.as_mut().filter(is_ours)
            && let Some(certificate) = part.certificate_beside.take()
            && let Some(handle) = &part.handle
        {
            let setup = Setup {
                answer: entry.response,
                has_wanted_channel: entry.has_wanted_channel,
                config: entry.config,
                certificate,
                rng,
            };
            handle.command(Command::Beside(Box::new(setup)));
        }
        Vec::new()
    }

    /// The connection goes: another call of the group won, or the group is none of ours any more.
    fn disconnect_group(&mut self, is_member: bool) -> Vec<Outcome> {
        let Some(part) = self.group.as_mut().filter(|part| !part.is_over) else {
            return Vec::new();
        };
        if !is_member {
            return self.end_group(GroupEnd::Removed, None);
        }
        part.give_up_thread();
        vec![call(part.number, CallEvent::State(CallState::Connecting))]
    }

    /// It is over, for a reason that the thread, if there is one, does not know.
    fn end_group(&mut self, end: GroupEnd, reason: Option<&'static str>) -> Vec<Outcome> {
        let Some(part) = self.group.as_mut().filter(|part| !part.is_over) else {
            return Vec::new();
        };
        if let Some(handle) = &part.handle {
            handle.command(Command::End(end));
            return Vec::new();
        }
        let (number, reason) = (part.number, reason.unwrap_or(end.as_str()));
        self.group = None;
        let summary = Summary {
            reason: reason.to_owned(),
            ..Summary::default()
        };
        let ended = CallState::Ended {
            reason,
            words: end.to_string(),
            duration: std::time::Duration::ZERO,
        };
        vec![
            call(number, CallEvent::State(ended)),
            Outcome::Summary(Box::new(summary)),
        ]
    }

    /// Takes what the thread of the call of a group tells.
    pub fn group_told(&mut self, thread: ThreadNumber, event: DriverEvent) -> Vec<Outcome> {
        let part = self.group.as_mut().filter(|part| part.thread == thread);
        let Some(part) = part else {
            return Vec::new();
        };
        match event {
            DriverEvent::HelloReceived => vec![Outcome::Lobby(LobbyCommand::HelloReceived)],
            DriverEvent::WantBeside => match Certificate::generate() {
                Ok(certificate) => {
                    let fingerprint = certificate.fingerprint();
                    part.certificate_beside = Some(certificate);
                    vec![Outcome::Lobby(LobbyCommand::JoinAgain { fingerprint })]
                }
                Err(error) => {
                    tracing::warn!(%error, "no second connection");
                    if let Some(handle) = &part.handle {
                        handle.command(Command::NotBeside);
                    }
                    Vec::new()
                }
            },
            DriverEvent::ConnectionFailed => vec![Outcome::Lobby(LobbyCommand::ConnectionFailed)],
            // Before the call is established there is only a way in to give up.
            DriverEvent::Left => vec![
                Outcome::Lobby(LobbyCommand::Left),
                Outcome::Lobby(LobbyCommand::Cancel),
            ],
            DriverEvent::Call(event) => {
                part.is_over |= matches!(event, CallEvent::State(CallState::Ended { .. }));
                vec![call(part.number, event)]
            }
            DriverEvent::Finished(summary) => {
                self.group = None;
                vec![Outcome::Summary(summary)]
            }
        }
    }
}

impl GroupPart {
    /// The thread ends without a word, on a thread of its own: its devices take a moment to close.
    fn give_up_thread(&mut self) {
        self.thread = ThreadNumber(self.thread.0 + 1);
        if let Some(handle) = self.handle.take() {
            handle.command(Command::Abandon);
            crate::threads::detach("call-end", move || drop(handle));
        }
    }
}

fn call(number: CallNumber, event: CallEvent) -> Outcome {
    Outcome::Event(Event::Call(number, event))
}

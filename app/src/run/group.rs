//! The groups' part of the loop: errands about them, the way into their calls, and what the threads of these tell.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hullo_media::frame::Picture;
use hullo_media::pipeline::PictureOf;
use hullo_proto::group::id::Identity;
use hullo_proto::group::media_frame::Track;
use hullo_signalling::channel::ChannelCommand;
use hullo_signalling::group::Group;
use hullo_signalling::lobby::{self, LobbyCommand, LobbyEvent};

use super::Runner;
use crate::calls::ThreadNumber;
use crate::control;
use crate::effect::Effect;
use crate::event::{
    CallEvent, CallNumber, CallState, Event, Feed, GroupNumber, Media, ParticipantChange, Party,
    RunningCall,
};
use crate::group_call::driver::{Command, DriverEvent, Members};
use crate::groups::{self, GroupErrand};
use crate::people::sentence;
use crate::profile::control::Responder;
use crate::report::Report;

impl Runner<'_> {
    pub(super) fn group(&mut self, errand: &GroupErrand, responder: &Responder) {
        let known = (self.people.groups(), self.people.contacts());
        let command = match groups::command(errand, None, &known.0, &known.1) {
            Ok(Some(command)) => command,
            Ok(None) => {
                for group in self.model.groups() {
                    control::send(
                        responder,
                        &groups::report(group, &self.model.settings.words_differ),
                    );
                }
                return;
            }
            Err(error) => return control::refuse(responder, &error.into()),
        };
        let wants: fn(&Report) -> bool = match errand {
            GroupErrand::Leave { .. } => |report| matches!(report, Report::GroupLeft { .. }),
            GroupErrand::New { .. } => {
                |report| matches!(report, Report::Group { joined: true, .. })
            }
            _ => |report| matches!(report, Report::Group { .. }),
        };
        let now = Instant::now();
        self.notes.waiting.add(now, responder.clone(), wants);
        if let Some(failed) = self.tell_net(ChannelCommand::Group(command)) {
            self.event(failed);
        }
    }

    pub(super) fn group_effect(&mut self, effect: Effect) {
        match effect {
            Effect::View(call, id, feed, size) => {
                self.calls.tell_group(call, Command::View(id, feed, size));
            }
            Effect::SetVolume(call, id, volume) => {
                self.calls.tell_group(call, Command::Volume(id, volume));
            }
            Effect::SetScreen(call, on) => {
                self.calls.tell_group(call, Command::Send(Feed::Screen, on));
            }
            Effect::WatchGroups(groups) => self.watch(groups),
            _ => {}
        }
    }

    fn watch(&mut self, groups: Vec<GroupNumber>) {
        let before = std::mem::replace(&mut self.notes.watched, groups.clone());
        for group in before.iter().filter(|group| !groups.contains(group)) {
            self.tell_lobby(LobbyCommand::Visible(*group, false));
        }
        for group in groups.iter().filter(|group| !before.contains(group)) {
            self.tell_lobby(LobbyCommand::Visible(*group, true));
        }
    }

    pub(super) fn tell_lobby(&mut self, command: LobbyCommand) {
        if let Err(error) = self.net.lobby(command) {
            self.event(Event::Failed(sentence(&error.to_string())));
        }
    }

    pub(super) fn lobby_event(&mut self, event: LobbyEvent) {
        match event {
            LobbyEvent::Running { group, call } => {
                let running = RunningCall {
                    people: call.people,
                    started_at_ms: call.started_at_ms,
                    people_max: call.participants_max,
                };
                self.event(Event::GroupCallRuns(group, Some(running)));
            }
            LobbyEvent::NotRunning { group } => self.event(Event::GroupCallRuns(group, None)),
            LobbyEvent::Warning { group, warning } => {
                let name = self.group_name(group);
                let words = format!("{name}: {}", sentence(&warning.to_string()));
                self.event(Event::GroupNews(words));
            }
            event => {
                let groups = self.people.groups();
                let members = |number| {
                    let mut known = groups.iter();
                    known.find(|group| group.number == number).map(members)
                };
                let outcomes = self.calls.lobby(event, members);
                self.outcomes(outcomes);
            }
        }
    }

    fn group_name(&self, number: GroupNumber) -> String {
        let groups = self.people.groups();
        let found = groups.into_iter().find(|group| group.number == number);
        found.map_or_else(|| crate::text::UNKNOWN_GROUP.to_owned(), |group| group.name)
    }

    /// The call of a group is told who is in that group now.
    pub(super) fn tell_members(&mut self) {
        let Some((call, number)) = self.calls.group_call() else {
            return;
        };
        let groups = self.people.groups();
        let group = groups.iter().find(|group| group.number == number);
        // Who is no longer in the group at all hears it from the network thread.
        if let Some(group) = group {
            self.calls
                .tell_group(call, Command::Members(members(group)));
        }
    }

    pub(super) fn group_driver_event(&mut self, thread: ThreadNumber, event: DriverEvent) {
        let outcomes = self.calls.group_told(thread, event);
        self.outcomes(outcomes);
    }

    /// What the history of groups' calls must know of this.
    pub(super) fn note_group_call(&mut self, event: &Event) {
        let Event::Call(number, change) = event else {
            return;
        };
        if let CallEvent::Started {
            party: Party::Group(group),
            media,
        } = change
        {
            let name = self.group_name(*group);
            self.notes.group_call = Some(*number);
            if let Some(calls) = &mut self.group_calls {
                calls.begin(&name, *media == Media::Video, epoch());
            }
            return;
        }
        let Some(calls) =
            (self.group_calls.as_mut()).filter(|_| self.notes.group_call == Some(*number))
        else {
            return;
        };
        let written = match change {
            CallEvent::State(CallState::Connected) => calls.connected(),
            CallEvent::Stats(_) => calls.second(),
            CallEvent::Participant(_, ParticipantChange::Joined { name }) => {
                calls.met(name);
                Ok(())
            }
            CallEvent::State(CallState::Ended {
                reason,
                words,
                duration,
            }) => {
                self.notes.group_call = None;
                calls.end(reason, words, *duration)
            }
            _ => Ok(()),
        };
        if let Err(error) = written {
            let words = format!("the history of groups' calls is not written: {error}");
            self.event(Event::Failed(sentence(&words)));
        }
    }

    pub(super) fn show_people(
        &mut self,
        number: CallNumber,
        people: BTreeMap<PictureOf, Arc<Picture>>,
    ) {
        for ((id, track), picture) in people {
            let feed = match track {
                Track::Camera => Feed::Camera,
                Track::Screen => Feed::Screen,
                Track::Microphone => continue,
            };
            let change = ParticipantChange::Picture(feed, picture);
            self.event(Event::Call(number, CallEvent::Participant(id, change)));
        }
    }
}

/// The time since 1970.
fn epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// What a call must know of the members.
fn members(group: &Group) -> Members {
    let listed = group.members.iter().filter(|member| !member.is_invited);
    let names = listed.filter_map(|member| {
        let identity = Identity::try_from(member.short_id.as_str()).ok()?;
        Some((identity, member.name.clone()))
    });
    Members {
        keys: lobby::members(group),
        names: names.collect(),
    }
}

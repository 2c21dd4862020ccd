//! What the lobby of one server says, in the words of the program: groups by number, members by name.

use std::time::Instant;

use hullo_proto::group::group_call::{self, Scope};
use hullo_proto::group::handshake::Role;
use hullo_proto::group::id::GroupId;
use hullo_proto::group::lobby::{self, Connect};
use hullo_proto::group::refresh::ChosenCall;
use hullo_proto::group::wire::{Name, ParticipantName, StartMessage};

use super::{Entry, Lobbies, LobbyEvent, LobbyOutput, RunningGroupCall, call_id, members};
use crate::group::{Group, GroupCommand, Vouched};
use crate::server_url::ServerUrl;

impl Lobbies {
    pub(super) fn entry(
        &mut self,
        now: Instant,
        connect: Connect,
        url: &ServerUrl,
    ) -> Option<Entry> {
        let has_wanted_channel = self.server(now, url).has_wanted_channel;
        let (key, identity, unix_ms) = (
            self.config.key.clone(),
            self.config.identity,
            self.unix_ms(now),
        );
        let (group, known) = self.find(url, &connect.group)?;
        let own = known
            .group
            .members
            .iter()
            .find(|member| member.vouched == Vouched::Own);
        let config = group_call::Config {
            participant_id: connect.response.participant_id,
            role: Role::Normal {
                identity,
                nickname: Name::new(own.map_or("", |own| &own.name)),
                key,
            },
            key: connect.start.key.clone(),
            scope: Scope::Group {
                members: members(&known.group),
            },
            administrator: None,
            supported_features: connect.response.supported_features,
            unix_ms,
        };
        Some(Entry {
            group,
            call_id: connect.call_id,
            response: connect.response,
            has_wanted_channel,
            config,
        })
    }

    /// A call of ours is told to the group, and to those who come into it while the call runs.
    pub(super) fn announce(
        &mut self,
        url: &ServerUrl,
        id: &GroupId,
        start: &StartMessage,
    ) -> Option<LobbyOutput> {
        let call_id = call_id(id, start)?;
        let (group, known) = self.find(url, id)?;
        let start = start.encode(id);
        known.starts.push((call_id, start.clone()));
        Some(LobbyOutput::Channel(GroupCommand::StartCall {
            group,
            start,
        }))
    }

    pub(super) fn told(&mut self, url: &ServerUrl, event: lobby::Event) -> Option<LobbyOutput> {
        let event = match event {
            lobby::Event::ListChanged(id) => {
                self.end_calls(url, &id);
                return None;
            }
            lobby::Event::Running(id, None) => LobbyEvent::NotRunning {
                group: self.find(url, &id)?.0,
            },
            lobby::Event::Running(id, Some(chosen)) => {
                let (group, known) = self.find(url, &id)?;
                let call = running(&known.group, &chosen);
                LobbyEvent::Running { group, call }
            }
            lobby::Event::Established(id, call_id) => LobbyEvent::Established {
                group: self.find(url, &id)?.0,
                call_id,
            },
            lobby::Event::Failed(id, reason) => LobbyEvent::Failed {
                group: self.find(url, &id)?.0,
                reason,
            },
            lobby::Event::NotAgain(id, reason) => LobbyEvent::NotAgain {
                group: self.find(url, &id)?.0,
                reason,
            },
            lobby::Event::Warning(id, warning) => LobbyEvent::Warning {
                group: self.find(url, &id)?.0,
                warning,
            },
        };
        Some(LobbyOutput::Event(event))
    }

    /// What is no longer considered running is no longer kept, nor told to newcomers.
    fn end_calls(&mut self, url: &ServerUrl, id: &GroupId) {
        let Some(server) = self.servers.get(url) else {
            return;
        };
        let running: Vec<_> = server
            .lobby
            .running(id)
            .iter()
            .map(|call| call.call_id)
            .collect();
        let Some((group, known)) = self.find(url, id) else {
            return;
        };
        let (kept, over) = std::mem::take(&mut known.starts)
            .into_iter()
            .partition(|(call_id, _)| running.contains(call_id));
        known.starts = kept;
        let over: Vec<_> = over;
        let ended = over
            .into_iter()
            .map(|(_, start)| GroupCommand::EndCall { group, start });
        self.outputs.extend(ended.map(LobbyOutput::Channel));
    }
}

/// The pin of a request's address: that of the group's server, or of the one its directory names for calls.
pub(super) fn pin(request: &str, server: &ServerUrl, calls: Option<&str>) -> Option<[u8; 32]> {
    let authority = request.strip_prefix("https://")?.split('/').next()?;
    let calls = calls.and_then(|calls| calls.parse::<ServerUrl>().ok());
    let pinned = std::iter::once(server).chain(&calls);
    pinned
        .filter(|pinned| pinned.authority().eq_ignore_ascii_case(authority))
        .map(|pinned| *pinned.pin())
        .next()
}

fn running(group: &Group, chosen: &ChosenCall) -> RunningGroupCall {
    let shown = |name: &ParticipantName| match name {
        ParticipantName::Guest(name) => name.as_str().to_owned(),
        // A name in the call's state is anybody's word; the group knows its members by name.
        ParticipantName::Normal(identity, _) => {
            let mut members = group.members.iter();
            let member = members.find(|member| member.short_id == identity.as_str());
            member.map_or_else(
                || identity.as_str().to_owned(),
                |member| member.name.clone(),
            )
        }
    };
    let state = chosen.state.iter();
    RunningGroupCall {
        call_id: chosen.call_id,
        started_at_ms: chosen.started_at_ms,
        participants_max: chosen.max_participants,
        people: state
            .flat_map(|state| state.participants.values().map(shown))
            .collect(),
    }
}

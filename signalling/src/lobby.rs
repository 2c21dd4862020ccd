//! Group calls from outside: which of them run, tokens, getting in. The protocol's own machine of that
//! ([`hullo_proto::group::lobby`]) knows one directory; here is one of them for each server that our groups use, joined
//! with the groups' records and inboxes.
//!
//! ```text
//! commands, group events, answers to requests, time ─→ handle_input
//! poll_output ─→ HTTP requests, commands to the channel, events, next deadline
//! ```
//!
//! **Whom a request may go to.** A pin belongs to one address: that of the group's server as its record says, or that
//! which this server's directory named for calls. Any other address (a member may name one, as long as the directory
//! allows its ending) must show a certificate of a public authority: what a member says is never trusted as a pin.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::group::group_call;
use hullo_proto::group::http::{HttpRequest, HttpResult, RequestId};
use hullo_proto::group::id::{CallId, GroupId, Identity};
use hullo_proto::group::key::{ClientKey, PublicKey};
use hullo_proto::group::lobby::{self, Lobby};
use hullo_proto::group::refresh::RunningCall;
use hullo_proto::group::wire::{JoinResponse, StartMessage};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

pub use hullo_proto::group::lobby::{DtlsFingerprint, EnterError, Intent};
pub use hullo_proto::group::refresh::RefreshWarning;

use crate::group::{Group, GroupCommand, GroupEvent, GroupNumber};
use crate::server_url::ServerUrl;

mod told;

/// A start message older than this was told again, at a start of the program, and keeps its age.
const NEWS_AGE_MAX: Duration = Duration::from_secs(60);

/// What the user, or the thread of a call, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LobbyCommand {
    /// Into a group's call: [`LobbyEvent::Connect`], then tell [`Self::HelloReceived`]; or [`LobbyEvent::Failed`].
    Enter {
        /// Which group.
        group: GroupNumber,
        /// Whether a call is made when none runs.
        intent: Intent,
        /// SHA-256 of the DER certificate that our side will use in DTLS.
        fingerprint: DtlsFingerprint,
    },
    /// No longer into it. Nothing comes of it but perhaps [`LobbyEvent::Disconnect`].
    Cancel,
    /// The SFU's hello arrived on the connection of [`LobbyEvent::Connect`]: [`LobbyEvent::Established`], up to two
    /// seconds later for a new call.
    HelloReceived,
    /// That connection cannot be made, or broke before the hello: [`LobbyEvent::Failed`].
    ConnectionFailed,
    /// The connection of the call we are in fails: a place for a fresh one beside it, with another certificate of ours.
    /// [`LobbyEvent::ConnectBeside`] or [`LobbyEvent::NotAgain`]; nothing outside of a call.
    JoinAgain {
        /// SHA-256 of the DER certificate that our side will use in DTLS.
        fingerprint: DtlsFingerprint,
    },
    /// The call we were in is over for us.
    Left,
    /// Look now which call runs: [`LobbyEvent::Running`] or [`LobbyEvent::NotRunning`].
    Peek(GroupNumber),
    /// Whether the group is on screen: its calls are then looked after every 10 s instead of every 30 s.
    Visible(GroupNumber, bool),
    /// Whether the program is in use: nothing is looked after while it is not.
    Active(bool),
}

/// What the program is told.
pub enum LobbyEvent {
    /// A call runs in the group, or another, or with others in it.
    Running {
        /// In which group.
        group: GroupNumber,
        /// What is known of it.
        call: RunningGroupCall,
    },
    /// None does.
    NotRunning {
        /// In which group.
        group: GroupNumber,
    },
    /// Connect to the SFU and make a group call of it.
    Connect(Box<Entry>),
    /// Connect to the SFU once more, beside the connection that stands: the same call under another participant id. No
    /// hello of it is to be told here.
    ConnectBeside(Box<Entry>),
    /// There is no second place; the connection that stands is not touched.
    NotAgain {
        /// In which group's call.
        group: GroupNumber,
        /// Why.
        reason: EnterError,
    },
    /// Drop the connection of the last [`LobbyEvent::Connect`] and the call on it. Another `Connect` may follow, when
    /// another call of the group won.
    Disconnect,
    /// We are in the call; a new one has been announced to the group.
    Established {
        /// In which group.
        group: GroupNumber,
        /// Which.
        call_id: CallId,
    },
    /// We are not: in words by `Display`, which say what to do.
    Failed {
        /// Into which group's.
        group: GroupNumber,
        /// Why.
        reason: EnterError,
    },
    /// To be shown.
    Warning {
        /// About which group's call.
        group: GroupNumber,
        /// What.
        warning: RefreshWarning,
    },
}

/// A call that can be entered, as the SFU and somebody in it say; for show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningGroupCall {
    /// Which.
    pub call_id: CallId,
    /// When it began, in milliseconds since 1970 by the SFU's clock.
    pub started_at_ms: u64,
    /// How many fit; 0: not known.
    pub participants_max: u32,
    /// Who is in it, by the names of the group; empty while nobody has said so.
    pub people: Vec<String>,
}

/// All that a call needs. No `Debug`: it holds the call's key and our own.
pub struct Entry {
    /// In which group.
    pub group: GroupNumber,
    /// Which call.
    pub call_id: CallId,
    /// The SFU's answer: participant id, addresses, ICE credentials, DTLS fingerprint, features, header extensions.
    pub response: JoinResponse,
    /// Whether the SFU agreed to the channel of wanted layers (id 2).
    pub has_wanted_channel: bool,
    /// For `GroupCall::new`, called now.
    pub config: group_call::Config,
}

/// A request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    server: u32,
    id: RequestId,
}

/// A request to run. No `Debug`: it carries a token.
pub struct LobbyRequest {
    /// For [`LobbyInput::Response`].
    pub key: RequestKey,
    /// What to send, and how long to wait.
    pub http: HttpRequest,
    /// SHA-256 of the SubjectPublicKeyInfo the server must prove to hold; `None`: a public authority must vouch for it.
    pub pin: Option<[u8; 32]>,
    /// Whether it asks to join: then with the header that asks for the channel of wanted layers.
    pub is_join: bool,
}

/// One change.
pub enum LobbyInput<'a> {
    /// Somebody wants something.
    Command(LobbyCommand),
    /// A group as it is now, from the list at the start.
    Group(&'a Group),
    /// Something happened in a group.
    GroupEvent(&'a GroupEvent),
    /// What came of a request, and whether the answer to a join agreed to the channel of wanted layers.
    Response(RequestKey, HttpResult, bool),
    /// The deadline of [`LobbyOutput::Timeout`] passed.
    Timeout,
}

/// What is to be done; drain until `Timeout`.
pub enum LobbyOutput {
    /// Run this and give the answer back.
    Request(LobbyRequest),
    /// For the message channel.
    Channel(GroupCommand),
    /// Tell the program.
    Event(LobbyEvent),
    /// All is drained; come back then, if given.
    Timeout(Option<Instant>),
}

/// What all lobbies have in common. No `Debug`: it holds our key.
pub struct LobbyConfig {
    /// Our name towards directories: the 8 characters.
    pub identity: Identity,
    /// Proves it.
    pub key: ClientKey,
    /// Milliseconds since 1970 at the `now` of [`Lobbies::new`].
    pub unix_ms: u64,
}

/// See the module.
pub struct Lobbies {
    config: LobbyConfig,
    started: Instant,
    groups: BTreeMap<GroupNumber, Known>,
    servers: BTreeMap<ServerUrl, Server>,
    servers_made: u32,
    is_active: bool,
    rng: ChaCha20Rng,
    outputs: VecDeque<LobbyOutput>,
}

/// A group, and the start messages that the channel keeps for it, as they were written.
struct Known {
    group: Group,
    starts: Vec<(CallId, Zeroizing<Vec<u8>>)>,
}

struct Server {
    number: u32,
    lobby: Lobby,
    deadline: Option<Instant>,
    /// Of the last answer to a join.
    has_wanted_channel: bool,
}

/// The members with their client keys, as [`group_call::Input::Members`] wants them: those who are in, we too.
///
/// Nobody of two under one identity: the name would not say which.
#[must_use]
pub fn members(group: &Group) -> BTreeMap<Identity, PublicKey> {
    let mut members: BTreeMap<Identity, Option<PublicKey>> = BTreeMap::new();
    for member in group.members.iter().filter(|member| !member.is_invited) {
        let Ok(identity) = Identity::try_from(member.short_id.as_str()) else {
            continue;
        };
        let key = PublicKey::from_bytes(member.key_set.x25519());
        members
            .entry(identity)
            .and_modify(|known| *known = None)
            .or_insert(Some(key));
    }
    let unique = members.into_iter();
    unique
        .filter_map(|(identity, key)| Some((identity, key?)))
        .collect()
}

impl Lobbies {
    /// Knows no group yet. `rng` makes the keys of new calls.
    #[must_use]
    pub fn new(now: Instant, config: LobbyConfig, rng: ChaCha20Rng) -> Self {
        Self {
            config,
            started: now,
            groups: BTreeMap::new(),
            servers: BTreeMap::new(),
            servers_made: 0,
            is_active: true,
            rng,
            outputs: VecDeque::new(),
        }
    }

    /// Makes one change; drain [`Self::poll_output`] before the next.
    pub fn handle_input(&mut self, now: Instant, input: LobbyInput<'_>) {
        match input {
            LobbyInput::Command(command) => self.command(now, command),
            LobbyInput::Group(group) => self.know(now, group),
            LobbyInput::GroupEvent(event) => self.group_event(now, event),
            LobbyInput::Response(key, result, has_wanted_channel) => {
                let found = self
                    .servers
                    .iter_mut()
                    .find(|(_, server)| server.number == key.server);
                let Some((url, server)) = found else {
                    return;
                };
                server.has_wanted_channel = has_wanted_channel;
                let url = url.clone();
                self.drive(now, &url, lobby::Input::Response(key.id, result));
            }
            LobbyInput::Timeout => {
                let is_due = |server: &Server| server.deadline.is_some_and(|at| at <= now);
                let due = self.servers.iter().filter(|(_, server)| is_due(server));
                for url in due.map(|(url, _)| url.clone()).collect::<Vec<_>>() {
                    self.drive(now, &url, lobby::Input::Timeout);
                }
            }
        }
    }

    /// What is to be done now; the last word of a drain is [`LobbyOutput::Timeout`].
    pub fn poll_output(&mut self) -> LobbyOutput {
        self.outputs.pop_front().unwrap_or_else(|| {
            let deadlines = self.servers.values().filter_map(|server| server.deadline);
            LobbyOutput::Timeout(deadlines.min())
        })
    }

    fn command(&mut self, now: Instant, command: LobbyCommand) {
        let of_group = |group: GroupNumber| {
            let known = self.groups.get(&group)?;
            Some((known.group.server.clone(), known.group.id))
        };
        match command {
            LobbyCommand::Enter {
                group,
                intent,
                fingerprint,
            } => {
                let reason = match of_group(group) {
                    _ if self.busy().is_some() => EnterError::Busy,
                    Some((url, id)) => {
                        return self.drive(now, &url, lobby::Input::Enter(id, intent, fingerprint));
                    }
                    None => EnterError::NotRunning,
                };
                self.event(LobbyEvent::Failed { group, reason });
            }
            LobbyCommand::Peek(group) => {
                if let Some((url, id)) = of_group(group) {
                    self.drive(now, &url, lobby::Input::Refresh(id));
                }
            }
            LobbyCommand::Visible(group, is_visible) => {
                if let Some((url, id)) = of_group(group) {
                    self.drive(now, &url, lobby::Input::Visible(id, is_visible));
                }
            }
            LobbyCommand::Active(is_active) => {
                self.is_active = is_active;
                for url in self.servers.keys().cloned().collect::<Vec<_>>() {
                    self.drive(now, &url, lobby::Input::Active(is_active));
                }
            }
            LobbyCommand::JoinAgain { fingerprint } => {
                self.drive_busy(now, lobby::Input::JoinAgain(fingerprint));
            }
            LobbyCommand::Cancel => self.drive_busy(now, lobby::Input::Cancel),
            LobbyCommand::HelloReceived => self.drive_busy(now, lobby::Input::HelloReceived),
            LobbyCommand::ConnectionFailed => self.drive_busy(now, lobby::Input::ConnectionFailed),
            LobbyCommand::Left => self.drive_busy(now, lobby::Input::Left),
        }
    }

    /// Only one group call can be active at the same time, whatever server it is on.
    fn busy(&self) -> Option<&ServerUrl> {
        let mut busy = self
            .servers
            .iter()
            .filter(|(_, server)| server.lobby.is_busy());
        busy.next().map(|(url, _)| url)
    }

    fn drive_busy(&mut self, now: Instant, input: lobby::Input) {
        if let Some(url) = self.busy().cloned() {
            self.drive(now, &url, input);
        }
    }

    fn know(&mut self, now: Instant, group: &Group) {
        let Some(known) = self.groups.get_mut(&group.number) else {
            let known = Known {
                group: group.clone(),
                starts: Vec::new(),
            };
            self.groups.insert(group.number, known);
            return;
        };
        let before = std::mem::replace(&mut known.group, group.clone());
        if (&before.server, before.id) != (&group.server, group.id) {
            known.starts.clear();
            self.forget(now, &before);
        }
    }

    fn group_event(&mut self, now: Instant, event: &GroupEvent) {
        match event {
            GroupEvent::Changed { group } => self.know(now, group),
            GroupEvent::Left { group, .. } | GroupEvent::Removed { group, .. } => {
                if let Some(known) = self.groups.remove(group) {
                    self.forget(now, &known.group);
                }
            }
            GroupEvent::CallStarted {
                group,
                start,
                sent_ago,
                ..
            } => self.started(now, *group, start, *sent_ago),
            GroupEvent::CallsForgotten { group } => {
                let Some(known) = self.groups.get_mut(group) else {
                    return;
                };
                // The channel has forgotten them already.
                known.starts.clear();
                let (url, id) = (known.group.server.clone(), known.group.id);
                self.drive(now, &url, lobby::Input::Restore(id, Vec::new()));
                self.drive(now, &url, lobby::Input::Refresh(id));
            }
            GroupEvent::Refused { .. } => {}
        }
    }

    fn started(&mut self, now: Instant, number: GroupNumber, bytes: &[u8], sent_ago: Duration) {
        let Some(known) = self.groups.get_mut(&number) else {
            return;
        };
        let (url, id) = (known.group.server.clone(), known.group.id);
        let Some((_, start)) = StartMessage::decode(bytes)
            .ok()
            .filter(|(group, _)| *group == id)
        else {
            return;
        };
        let Some(call_id) = call_id(&id, &start) else {
            return;
        };
        if known.starts.iter().all(|(kept, _)| *kept != call_id) {
            known.starts.push((call_id, Zeroizing::new(bytes.to_vec())));
        }
        if sent_ago <= NEWS_AGE_MAX {
            return self.drive(now, &url, lobby::Input::Start(id, start));
        }
        let age_ms = u64::try_from(sent_ago.as_millis()).unwrap_or(u64::MAX);
        let received_at_ms = self.unix_ms(now).saturating_sub(age_ms);
        let mut running = self.server(now, &url).lobby.running(&id).to_vec();
        if running.iter().all(|call| call.call_id != call_id) {
            running.push(RunningCall {
                call_id,
                start,
                received_at_ms,
                failed: 0,
            });
            self.drive(now, &url, lobby::Input::Restore(id, running));
            self.drive(now, &url, lobby::Input::Refresh(id));
        }
    }

    fn forget(&mut self, now: Instant, group: &Group) {
        let (url, id) = (group.server.clone(), group.id);
        if self.servers.contains_key(&url) {
            self.drive(now, &url, lobby::Input::Forget(id));
        }
        let is_used = self.groups.values().any(|known| known.group.server == url);
        if !is_used {
            self.servers.remove(&url);
        }
    }

    fn server(&mut self, now: Instant, url: &ServerUrl) -> &mut Server {
        let unix_ms = self.unix_ms(now);
        let Self {
            config,
            servers,
            servers_made,
            is_active,
            rng,
            ..
        } = self;
        servers.entry(url.clone()).or_insert_with(|| {
            let config = lobby::Config {
                directory_url: url.to_string(),
                identity: config.identity,
                key: config.key.clone(),
                unix_ms,
            };
            let mut lobby = Lobby::new(now, config, ChaCha20Rng::from_rng(rng));
            lobby.handle_input(now, lobby::Input::Active(*is_active));
            *servers_made += 1;
            Server {
                number: *servers_made,
                lobby,
                deadline: None,
                has_wanted_channel: false,
            }
        })
    }

    /// One change to the lobby of one server, and all that comes of it.
    fn drive(&mut self, now: Instant, url: &ServerUrl, input: lobby::Input) {
        let server = self.server(now, url);
        server.lobby.handle_input(now, input);
        loop {
            let server = self.server(now, url);
            let output = match server.lobby.poll_output() {
                lobby::Output::Timeout(deadline) => {
                    server.deadline = deadline;
                    return;
                }
                lobby::Output::Request(id, http) => {
                    let key = RequestKey {
                        server: server.number,
                        id,
                    };
                    Some(LobbyOutput::Request(LobbyRequest {
                        key,
                        pin: told::pin(&http.url, url, server.lobby.sfu_base_url()),
                        is_join: http.url.contains("/v1/join/"),
                        http,
                    }))
                }
                lobby::Output::Connect(connect) => self
                    .entry(now, *connect, url)
                    .map(|entry| LobbyOutput::Event(LobbyEvent::Connect(Box::new(entry)))),
                lobby::Output::ConnectBeside(connect) => self
                    .entry(now, *connect, url)
                    .map(|entry| LobbyOutput::Event(LobbyEvent::ConnectBeside(Box::new(entry)))),
                lobby::Output::Disconnect => Some(LobbyOutput::Event(LobbyEvent::Disconnect)),
                lobby::Output::Announce(id, start) => self.announce(url, &id, &start),
                lobby::Output::Event(event) => self.told(url, event),
            };
            self.outputs.extend(output);
        }
    }

    fn find(&mut self, url: &ServerUrl, id: &GroupId) -> Option<(GroupNumber, &mut Known)> {
        let mut found = self.groups.iter_mut();
        found
            .find(|(_, known)| known.group.server == *url && known.group.id == *id)
            .map(|(number, known)| (*number, known))
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        let elapsed_ms = now.saturating_duration_since(self.started).as_millis();
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
        self.config.unix_ms.saturating_add(elapsed_ms)
    }

    fn event(&mut self, event: LobbyEvent) {
        self.outputs.push_back(LobbyOutput::Event(event));
    }
}

fn call_id(group: &GroupId, start: &StartMessage) -> Option<CallId> {
    CallId::derive(
        group,
        start.protocol_version,
        &start.key,
        &start.sfu_base_url,
    )
    .ok()
}

#[cfg(test)]
mod tests;

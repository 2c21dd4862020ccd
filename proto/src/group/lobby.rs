//! Everything around group calls that happens outside of one: which calls run in which group,
//! the SFU token, creating and joining (protocol text, *Periodic Refresh* and *Create or Join*).
//!
//! One per application, so that *only one group call can be active at the same time*.
//!
//! ```text
//! start messages, the user's wishes, HTTP results, time ─→ handle_input
//! poll_output ─→ HTTP requests, connect, disconnect, announce, events, next deadline
//! ```

mod again;
mod enter;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use super::directory::{DirectoryError, DirectorySteps};
use super::http::{HttpRequest, HttpResult, RequestId, SfuInformation, SfuUrl};
use super::id::{CallId, GroupId, Identity};
use super::join::JoinError;
use super::key::ClientKey;
use super::refresh::{ChosenCall, Refresh, RefreshWarning, RunningCall};
use super::wire::{JoinResponse, StartMessage};

use again::Again;
use enter::{Flow, Participating};

/// From one refresh of a group on screen to the next.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// The same for a group that is not on screen.
pub const REFRESH_INTERVAL_HIDDEN: Duration = Duration::from_secs(30);

/// Calls considered running in one group at most; each is peeked, so a member could make us ask without end.
/// One is usual, two for a moment when two people start at once.
pub const RUNNING_MAX: usize = 16;

/// What the lobby starts from.
pub struct Config {
    /// The directory's base URL.
    pub directory_url: String,
    /// Our name towards the directory.
    pub identity: Identity,
    /// Proves it.
    pub key: ClientKey,
    /// Milliseconds since 1970 at the `now` given to [`Lobby::new`].
    pub unix_ms: u64,
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Join the call that runs.
    OnlyJoin,
    /// Join the call that runs, or create one.
    CreateOrJoin,
}

/// One change.
pub enum Input {
    /// The calls of a group as stored, at program start.
    Restore(GroupId, Vec<RunningCall>),
    /// A member of a group of ours announced a call.
    Start(GroupId, StartMessage),
    /// Look now which call runs: the program became active, or a conversation was opened.
    Refresh(GroupId),
    /// Whether the group is on screen.
    Visible(GroupId, bool),
    /// The group is gone, or we are no longer in it.
    Forget(GroupId),
    /// Whether the program is in use at all; if not, no timer runs.
    Active(bool),
    /// The user wants into a group's call.
    Enter(GroupId, Intent, DtlsFingerprint),
    /// The connection of the call the user is in fails: a place for a fresh one beside it, with this certificate.
    JoinAgain(DtlsFingerprint),
    /// The user no longer does.
    Cancel,
    /// What came of a request.
    Response(RequestId, HttpResult),
    /// The SFU's hello arrived on the connection last asked for.
    HelloReceived,
    /// That connection cannot be made, or broke before the hello.
    ConnectionFailed,
    /// The call we are in is over for us.
    Left,
    /// The deadline of [`Output::Timeout`] passed.
    Timeout,
}

/// SHA-256 of the DER certificate our side uses in DTLS.
pub type DtlsFingerprint = [u8; 32];

/// What is to be done; drain until [`Output::Timeout`].
pub enum Output {
    /// Run this and give the result back.
    Request(RequestId, HttpRequest),
    /// Connect to the SFU and make a group call of it; give [`Input::HelloReceived`] when its hello came.
    Connect(Box<Connect>),
    /// Connect to the SFU once more, beside the connection that stands; the call goes on over whichever works.
    ConnectBeside(Box<Connect>),
    /// Drop the connection last asked for, and the call on it.
    Disconnect,
    /// Send this to all members of the group, and keep trying: the call was created.
    Announce(GroupId, StartMessage),
    /// Something happened.
    Event(Event),
    /// All is drained.
    Timeout(Option<Instant>),
}

/// What a connection to an SFU needs.
pub struct Connect {
    /// The group.
    pub group: GroupId,
    /// The call's id.
    pub call_id: CallId,
    /// Holds the call's key.
    pub start: StartMessage,
    /// Where and how.
    pub response: JoinResponse,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This call runs in the group now, or none.
    Running(GroupId, Option<ChosenCall>),
    /// The list of calls considered running changed: store [`Lobby::running`].
    ListChanged(GroupId),
    /// We are in the group's call.
    Established(GroupId, CallId),
    /// The user's wish failed.
    Failed(GroupId, EnterError),
    /// There is no place for a second connection; the first is not touched.
    NotAgain(GroupId, EnterError),
    /// To be shown or logged.
    Warning(GroupId, RefreshWarning),
}

/// Why the user is not in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// Only one group call at a time.
    #[error("you are in a group call already; leave it first")]
    Busy,
    /// No SFU token.
    #[error(transparent)]
    NoToken(#[from] DirectoryError),
    /// The directory names an SFU it does not allow itself.
    #[error("the directory server names a call server that cannot be used")]
    BadServer,
    /// There is nothing to join.
    #[error("no group call is running (any more)")]
    NotRunning,
    /// The call was not joined.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// A group and its calls.
#[derive(Default)]
struct Group {
    running: Vec<RunningCall>,
    refresh: Option<Refresh>,
    /// The refresh that runs was asked for again: it began without what is known now.
    refresh_again: bool,
    next_refresh: Option<Instant>,
    is_visible: bool,
}

/// The SFU token.
enum Token {
    None,
    Valid(SfuInformation, Instant),
    Refreshing(Box<DirectorySteps>),
}

/// What a request in flight is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Directory,
    Peek(GroupId, CallId),
    Join,
    JoinAgain,
}

/// See the module.
pub struct Lobby {
    config: Config,
    started: Instant,
    is_active: bool,
    groups: BTreeMap<GroupId, Group>,
    token: Token,
    flow: Option<Flow>,
    participating: Option<Participating>,
    again: Option<Again>,
    requests: BTreeMap<RequestId, Purpose>,
    requests_made: u64,
    rng: ChaCha20Rng,
    outputs: VecDeque<Output>,
}

impl Lobby {
    /// No group, no token, active. `rng` makes the keys of new calls.
    #[must_use]
    pub fn new(now: Instant, config: Config, rng: ChaCha20Rng) -> Self {
        Self {
            config,
            started: now,
            is_active: true,
            groups: BTreeMap::new(),
            token: Token::None,
            flow: None,
            participating: None,
            again: None,
            requests: BTreeMap::new(),
            requests_made: 0,
            rng,
            outputs: VecDeque::new(),
        }
    }

    /// The calls considered running in a group, to be stored.
    #[must_use]
    pub fn running(&self, group: &GroupId) -> &[RunningCall] {
        self.groups.get(group).map_or(&[], |group| &group.running)
    }

    /// Whether the user is in a call, or on the way into one.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.flow.is_some() || self.participating.is_some()
    }

    /// Where the directory wants calls, as long as there is a token.
    #[must_use]
    pub fn sfu_base_url(&self) -> Option<&str> {
        match &self.token {
            Token::Valid(sfu, _) => Some(&sfu.base_url),
            Token::None | Token::Refreshing(_) => None,
        }
    }

    /// Makes one change; drain [`Self::poll_output`] before the next.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Restore(group, running) => {
                self.groups.entry(group).or_default().running =
                    running.into_iter().take(RUNNING_MAX).collect();
            }
            Input::Start(group, start) => self.start_received(now, group, start),
            Input::Refresh(group) => self.refresh(now, group),
            Input::Visible(group, is_visible) => self.set_visible(now, group, is_visible),
            Input::Forget(group) => self.forget(group),
            Input::Active(is_active) => self.set_active(now, is_active),
            Input::Enter(group, intent, fingerprint) => self.enter(now, group, intent, fingerprint),
            Input::JoinAgain(fingerprint) => self.join_again(now, fingerprint),
            Input::Cancel => self.cancel(),
            Input::Response(id, result) => self.responded(now, id, result),
            Input::HelloReceived => self.drive_join(now, super::join::Input::HelloReceived),
            Input::ConnectionFailed => self.drive_join(now, super::join::Input::ConnectionFailed),
            Input::Left => self.left(now),
            Input::Timeout => self.time_out(now),
        }
    }

    /// What is to be done now; the last word of a drain is [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let mut next = self
            .groups
            .values()
            .filter_map(|group| group.next_refresh)
            .min();
        let mut sooner = |at: Option<Instant>| next = [next, at].into_iter().flatten().min();
        for refresh in self
            .groups
            .values_mut()
            .filter_map(|group| group.refresh.as_mut())
        {
            if let super::refresh::Output::Timeout(at) = refresh.poll_output() {
                sooner(at);
            }
        }
        if let Token::Refreshing(steps) = &mut self.token
            && let super::directory::Output::Timeout(at) = steps.poll_output()
        {
            sooner(at);
        }
        if let Some(flow) = &mut self.flow {
            sooner(flow.next_timeout());
        }
        if let Some(again) = &mut self.again {
            sooner(again.next_timeout());
        }
        Output::Timeout(next)
    }

    /// On receipt of a start message:
    /// 1. the URL must be https and its hostname end with an allowed suffix, else discard (checked again at each
    ///    refresh, when the suffixes are known for sure);
    /// 2. the same GCK runs in the group already: discard;
    /// 3. add it to the running calls, even if the version is not supported;
    /// 4. run the refresh steps.
    fn start_received(&mut self, now: Instant, id: GroupId, start: StartMessage) {
        if let Token::Valid(sfu, _) = &self.token
            && SfuUrl::check(&start.sfu_base_url, &sfu.allowed_hostname_suffixes).is_err()
        {
            return self.event(Event::Warning(id, RefreshWarning::ServerNotAllowed));
        }
        let version = start.protocol_version;
        let Ok(call_id) = CallId::derive(&id, version, &start.key, &start.sfu_base_url) else {
            return self.event(Event::Warning(
                id,
                RefreshWarning::UnsupportedVersion(version),
            ));
        };
        let received_at_ms = self.unix_ms(now);
        let own = self.participating.as_ref().map(|own| own.call.call_id);
        let group = self.groups.entry(id).or_default();
        if group
            .running
            .iter()
            .any(|call| call.start.key.same(&start.key))
        {
            return;
        }
        group.add(
            RunningCall {
                call_id,
                start,
                received_at_ms,
                failed: 0,
            },
            own,
        );
        self.event(Event::ListChanged(id));
        self.refresh(now, id);
    }

    fn set_visible(&mut self, now: Instant, id: GroupId, is_visible: bool) {
        let group = self.groups.entry(id).or_default();
        if std::mem::replace(&mut group.is_visible, is_visible) == is_visible {
            return;
        }
        let soonest = now + group.interval();
        group.next_refresh = group.next_refresh.map(|at| at.min(soonest));
    }

    fn set_active(&mut self, now: Instant, is_active: bool) {
        if std::mem::replace(&mut self.is_active, is_active) == is_active {
            return;
        }
        if !is_active {
            self.groups
                .values_mut()
                .for_each(|group| group.next_refresh = None);
            return;
        }
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.refresh(now, id);
        }
    }

    fn forget(&mut self, id: GroupId) {
        self.groups.remove(&id);
        self.requests
            .retain(|_, purpose| !matches!(purpose, Purpose::Peek(group, _) if *group == id));
        if self.flow.as_ref().is_some_and(|flow| flow.group == id) {
            self.cancel();
        }
        if self.participating.take_if(|own| own.group == id).is_some() {
            self.drop_again();
            self.outputs.push_back(Output::Disconnect);
        }
    }

    fn request(&mut self, purpose: Purpose, request: HttpRequest) {
        self.requests_made += 1;
        let id = RequestId(self.requests_made);
        self.requests.insert(id, purpose);
        self.outputs.push_back(Output::Request(id, request));
    }

    fn responded(&mut self, now: Instant, id: RequestId, result: HttpResult) {
        match self.requests.remove(&id) {
            // Answers nobody waits for any more.
            None => {}
            Some(Purpose::Directory) => {
                self.drive_token(now, super::directory::Input::Response(result))
            }
            Some(Purpose::Peek(group, call)) => {
                self.drive_refresh(now, group, |refresh, _| {
                    refresh.handle_input(now, super::refresh::Input::Peeked(call, result));
                });
            }
            Some(Purpose::Join) => self.drive_join(now, super::join::Input::Joined(result)),
            Some(Purpose::JoinAgain) => self.drive_again(now, super::join::Input::Joined(result)),
        }
    }

    fn time_out(&mut self, now: Instant) {
        self.drive_token(now, super::directory::Input::Timeout);
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.drive_refresh(now, id, |refresh, _| {
                refresh.handle_input(now, super::refresh::Input::Timeout)
            });
            let group = self
                .groups
                .get_mut(&id)
                .and_then(|group| group.next_refresh.take_if(|at| *at <= now));
            if group.is_some() {
                self.refresh(now, id);
            }
        }
        self.drive_join(now, super::join::Input::Timeout);
        self.drive_again(now, super::join::Input::Timeout);
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        let elapsed_ms = now.saturating_duration_since(self.started).as_millis();
        self.config
            .unix_ms
            .saturating_add(u64::try_from(elapsed_ms).unwrap_or(u64::MAX))
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Group {
    fn interval(&self) -> Duration {
        if self.is_visible {
            REFRESH_INTERVAL
        } else {
            REFRESH_INTERVAL_HIDDEN
        }
    }

    /// Adds a call; above [`RUNNING_MAX`] the oldest goes, but not the one the user is in.
    fn add(&mut self, call: RunningCall, own: Option<CallId>) {
        if self.running.len() >= RUNNING_MAX
            && let Some(oldest) = self
                .running
                .iter()
                .position(|call| Some(call.call_id) != own)
        {
            self.running.remove(oldest);
        }
        self.running.push(call);
    }
}

#[cfg(test)]
mod tests;

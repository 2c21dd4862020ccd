#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use crate::group::join::{CREATE_DELAY, JOIN_TIMEOUT};
use crate::group::key::{GroupCallKey, PublicKey};
use crate::group::refresh::PEEK_TIMEOUT;
use crate::group::wire::{HeaderExtensionIds, JoinRequest, PeekResponse, SupportedFeatures};
use rand_chacha::rand_core::SeedableRng;

mod again;
mod races;

const FINGERPRINT: DtlsFingerprint = [9; 32];

fn group(number: u8) -> GroupId {
    GroupId {
        creator: Identity::try_from("ABCD1234").expect("valid"),
        id: [number; 8],
    }
}

fn start(number: u8) -> StartMessage {
    StartMessage {
        protocol_version: 1,
        key: GroupCallKey::from_bytes([number; 32]),
        sfu_base_url: "https://sfu.example.test".into(),
    }
}

fn call_id(of: u8, number: u8) -> CallId {
    let start = start(number);
    CallId::derive(&group(of), 1, &start.key, &start.sfu_base_url).expect("valid")
}

/// A lobby, and a directory and SFU that answer at once unless told not to.
struct Net {
    now: Instant,
    lobby: Lobby,
    /// Calls the SFU knows, with `started_at`.
    calls: BTreeMap<CallId, u64>,
    silent: bool,
    /// Peeks are kept in `unanswered`.
    silent_peeks: bool,
    unanswered: Vec<(RequestId, HttpRequest)>,
    unauthorised: bool,
    directory_down: bool,
    join_status: u16,
    tokens_given: u32,
    peeks: u32,
    joins: Vec<CallId>,
    events: Vec<Event>,
    connects: Vec<CallId>,
    beside: Vec<CallId>,
    disconnects: u32,
    announced: Vec<StartMessage>,
}

impl Net {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config {
            directory_url: "https://dir.example.test".into(),
            identity: Identity::try_from("ABCD1234").expect("valid"),
            key: ClientKey::from_bytes([4; 32]),
            unix_ms: 1_000_000_000,
        };
        Self {
            now,
            lobby: Lobby::new(now, config, ChaCha20Rng::seed_from_u64(1)),
            calls: BTreeMap::new(),
            silent: false,
            silent_peeks: false,
            unanswered: Vec::new(),
            unauthorised: false,
            directory_down: false,
            join_status: 200,
            tokens_given: 0,
            peeks: 0,
            joins: Vec::new(),
            events: Vec::new(),
            connects: Vec::new(),
            beside: Vec::new(),
            disconnects: 0,
            announced: Vec::new(),
        }
    }

    /// With one call of group 1 running.
    fn with_call() -> Self {
        let mut net = Self::new();
        net.calls.insert(call_id(1, 1), 5);
        net.input(Input::Start(group(1), start(1)));
        net.events.clear();
        net
    }

    fn input(&mut self, input: Input) {
        self.lobby.handle_input(self.now, input);
        let mut requests = Vec::new();
        loop {
            match self.lobby.poll_output() {
                Output::Timeout(_) => break,
                Output::Request(id, request) => requests.push((id, request)),
                Output::Connect(connect) => self.connects.push(connect.call_id),
                Output::ConnectBeside(connect) => self.beside.push(connect.call_id),
                Output::Disconnect => self.disconnects += 1,
                Output::Announce(_, start) => self.announced.push(start),
                Output::Event(event) => self.events.push(event),
            }
        }
        self.answer(requests);
    }

    fn answer(&mut self, requests: Vec<(RequestId, HttpRequest)>) {
        for (id, request) in requests {
            if self.silent_peeks && request.url.contains("/v1/peek/") {
                self.unanswered.push((id, request));
            } else if let Some((status, body)) = self.serve(&request) {
                self.input(Input::Response(id, HttpResult::Response { status, body }));
            }
        }
    }

    fn serve(&mut self, request: &HttpRequest) -> Option<(u16, Vec<u8>)> {
        if request.url.starts_with("https://dir.") {
            if self.directory_down {
                return None;
            }
            if !request.body.windows(8).any(|bytes| bytes == b"response") {
                let public = ClientKey::from_bytes([5; 32]).public();
                return Some((200, challenge(&public)));
            }
            self.tokens_given += 1;
            let token = format!("token{}", self.tokens_given);
            return Some((200, format!(
                r#"{{"success":true,"sfuBaseUrl":"https://sfu.example.test","allowedSfuHostnameSuffixes":["example.test"],"sfuToken":"{token}","expiration":3600}}"#
            ).into_bytes()));
        }
        let is_join = request.url.contains("/v1/join/");
        let id =
            CallId::from_hex(&request.url[request.url.len() - 64..]).expect("an id in the address");
        if is_join {
            self.joins.push(id);
        } else {
            self.peeks += 1;
        }
        if self.silent {
            return None;
        }
        if std::mem::take(&mut self.unauthorised) {
            return Some((401, Vec::new()));
        }
        if is_join {
            assert_eq!(
                JoinRequest::decode(&request.body).map(|request| request.call_id),
                Ok(id)
            );
            let started_at_ms = *self.calls.entry(id).or_insert(50);
            return Some((self.join_status, join_response(started_at_ms).encode()));
        }
        Some(match self.calls.get(&id) {
            None => (404, Vec::new()),
            Some(&started_at_ms) => (
                200,
                PeekResponse {
                    started_at_ms,
                    max_participants: 16,
                    encrypted_call_state: None,
                }
                .encode(),
            ),
        })
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let Output::Timeout(at) = self.lobby.poll_output() else {
                panic!("not drained")
            };
            let Some(at) = at.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    fn enter(&mut self, intent: Intent) {
        self.input(Input::Enter(group(1), intent, FINGERPRINT));
    }

    fn failed(&self) -> Option<EnterError> {
        self.events.iter().find_map(|event| {
            if let Event::Failed(_, error) = event {
                Some(*error)
            } else {
                None
            }
        })
    }

    fn established(&self) -> Option<CallId> {
        self.events.iter().rev().find_map(|event| {
            if let Event::Established(_, id) = event {
                Some(*id)
            } else {
                None
            }
        })
    }

    fn running_now(&self) -> Option<CallId> {
        let last = self.events.iter().rev().find_map(|event| {
            if let Event::Running(_, call) = event {
                Some(call)
            } else {
                None
            }
        });
        last.expect("a signal").as_ref().map(|call| call.call_id)
    }
}

fn challenge(public: &PublicKey) -> Vec<u8> {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
    format!(
        r#"{{"token":"{}","tokenRespKeyPub":"{}"}}"#,
        encode(b"challenge"),
        encode(public.as_bytes())
    )
    .into_bytes()
}

fn join_response(started_at_ms: u64) -> JoinResponse {
    JoinResponse {
        started_at_ms,
        max_participants: 16,
        participant_id: 3.try_into().expect("in range"),
        addresses: vec!["192.0.2.1:4433".parse().expect("valid")],
        ice_username_fragment: "ufrag".into(),
        ice_password: "passwordpasswordpassword".into(),
        dtls_fingerprint: [1; 32],
        supported_features: SupportedFeatures::default(),
        header_extension_ids: HeaderExtensionIds::default(),
    }
}

#[test]
fn a_start_message_is_peeked_at_once_and_every_10_s_on_screen() {
    let mut net = Net::new();
    net.calls.insert(call_id(1, 1), 5);
    net.input(Input::Visible(group(1), true));
    net.input(Input::Start(group(1), start(1)));
    assert_eq!(
        (net.peeks, net.tokens_given, net.running_now()),
        (1, 1, Some(call_id(1, 1)))
    );
    net.pass(Duration::from_millis(9_999));
    assert_eq!(net.peeks, 1);
    net.pass(Duration::from_millis(20_001));
    assert_eq!(net.peeks, 4);
    net.input(Input::Visible(group(1), false));
    net.pass(Duration::from_secs(10));
    net.peeks = 0;
    net.pass(Duration::from_secs(60));
    assert_eq!(net.peeks, 2);
}

#[test]
fn step_4_the_timer_stops_when_nothing_runs() {
    let mut net = Net::with_call();
    net.calls.clear();
    net.pass(REFRESH_INTERVAL_HIDDEN);
    assert!(net.running_now().is_none() && net.lobby.running(&group(1)).is_empty());
    assert!(net.events.contains(&Event::ListChanged(group(1))));
    net.peeks = 0;
    net.pass(Duration::from_secs(600));
    assert_eq!(net.peeks, 0);
}

#[test]
fn an_inactive_program_peeks_nothing() {
    let mut net = Net::with_call();
    net.input(Input::Active(false));
    net.peeks = 0;
    net.pass(Duration::from_secs(600));
    assert_eq!(net.peeks, 0);
    net.input(Input::Active(true));
    assert_eq!(net.peeks, 1);
}

#[test]
fn the_same_call_is_not_added_twice_and_the_list_is_bounded() {
    let mut net = Net::with_call();
    net.input(Input::Start(group(1), start(1)));
    assert_eq!(net.lobby.running(&group(1)).len(), 1);
    net.silent = true;
    for number in 0..100 {
        net.input(Input::Start(group(1), start(number)));
    }
    assert_eq!(net.lobby.running(&group(1)).len(), RUNNING_MAX);
}

#[test]
fn start_messages_with_a_foreign_server_or_impossible_version_are_discarded() {
    let mut net = Net::with_call();
    net.input(Input::Start(
        group(1),
        StartMessage {
            sfu_base_url: "https://sfu.evil.test".into(),
            ..start(2)
        },
    ));
    net.input(Input::Start(
        group(1),
        StartMessage {
            protocol_version: 256,
            ..start(3)
        },
    ));
    assert_eq!(net.lobby.running(&group(1)).len(), 1);
    assert!(
        net.events
            .contains(&Event::Warning(group(1), RefreshWarning::ServerNotAllowed))
    );
    // An unsupported version is kept, to be warned about.
    net.silent = true;
    net.input(Input::Start(
        group(1),
        StartMessage {
            protocol_version: 2,
            ..start(4)
        },
    ));
    assert_eq!(net.lobby.running(&group(1)).len(), 2);
}

#[test]
fn joining_a_running_call() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    assert_eq!(net.connects, [call_id(1, 1)]);
    net.input(Input::HelloReceived);
    assert_eq!(net.established(), Some(call_id(1, 1)));
    assert!(net.announced.is_empty());
    // The call the user is in is not peeked, and stays the chosen one.
    net.peeks = 0;
    net.pass(Duration::from_secs(60));
    assert_eq!((net.peeks, net.running_now()), (0, Some(call_id(1, 1))));
}

#[test]
fn create_or_join_step_4_nothing_to_join() {
    let mut net = Net::new();
    net.enter(Intent::OnlyJoin);
    assert_eq!(net.failed(), Some(EnterError::NotRunning));
    assert!(net.joins.is_empty());
}

#[test]
fn create_or_join_step_2_no_token_within_10_s() {
    let mut net = Net::new();
    net.directory_down = true;
    net.enter(Intent::CreateOrJoin);
    net.pass(Duration::from_millis(9_999));
    assert_eq!(net.failed(), None);
    net.pass(Duration::from_millis(1));
    assert_eq!(
        net.failed(),
        Some(EnterError::NoToken(DirectoryError::Unreachable))
    );
}

#[test]
fn creating_a_call_announces_it_after_2_s() {
    let mut net = Net::new();
    net.enter(Intent::CreateOrJoin);
    net.input(Input::HelloReceived);
    assert!(net.announced.is_empty() && net.established().is_none());
    net.pass(CREATE_DELAY);
    assert_eq!(
        (net.announced.len(), net.established()),
        (1, Some(net.joins[0]))
    );
    assert_eq!(net.lobby.running(&group(1))[0].call_id, net.joins[0]);
    assert_eq!(net.running_now(), Some(net.joins[0]));
}

#[test]
fn a_user_who_thinks_again_within_2_s_disturbs_nobody() {
    let mut net = Net::new();
    net.enter(Intent::CreateOrJoin);
    net.input(Input::HelloReceived);
    net.pass(Duration::from_secs(1));
    net.input(Input::Cancel);
    net.pass(Duration::from_secs(10));
    assert_eq!(
        (net.disconnects, net.announced.len(), net.established()),
        (1, 0, None)
    );
}

#[test]
fn refresh_step_8_creating_gives_way_to_a_call_that_appears() {
    let mut net = Net::new();
    net.enter(Intent::CreateOrJoin);
    net.input(Input::HelloReceived);
    net.calls.insert(call_id(1, 1), 5);
    net.input(Input::Start(group(1), start(1)));
    assert_eq!(
        (net.disconnects, net.connects.last()),
        (1, Some(&call_id(1, 1)))
    );
    net.input(Input::HelloReceived);
    assert_eq!(
        (net.established(), net.announced.len()),
        (Some(call_id(1, 1)), 0)
    );
}

#[test]
fn refresh_step_8_joining_moves_to_a_more_recent_call() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.calls.insert(call_id(1, 2), 9);
    net.input(Input::Start(group(1), start(2)));
    assert_eq!(
        (net.disconnects, net.connects.as_slice()),
        (1, &[call_id(1, 1), call_id(1, 2)][..])
    );
}

#[test]
fn refresh_step_9_the_user_moves_to_the_chosen_call() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.input(Input::HelloReceived);
    net.calls.insert(call_id(1, 2), 9);
    net.input(Input::Start(group(1), start(2)));
    assert_eq!(
        (net.disconnects, net.connects.last()),
        (1, Some(&call_id(1, 2)))
    );
    net.input(Input::HelloReceived);
    assert_eq!(net.established(), Some(call_id(1, 2)));
    // An older one moves nobody.
    net.calls.insert(call_id(1, 3), 1);
    net.input(Input::Start(group(1), start(3)));
    assert_eq!(net.disconnects, 1);
}

#[test]
fn only_one_group_call_at_a_time() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.input(Input::Enter(group(2), Intent::CreateOrJoin, FINGERPRINT));
    assert_eq!(net.failed(), Some(EnterError::Busy));
    net.input(Input::HelloReceived);
    net.events.clear();
    net.input(Input::Enter(group(1), Intent::CreateOrJoin, FINGERPRINT));
    assert_eq!(
        (net.failed(), net.connects.len()),
        (Some(EnterError::Busy), 1)
    );
    net.input(Input::Left);
    net.events.clear();
    net.input(Input::Enter(group(2), Intent::CreateOrJoin, FINGERPRINT));
    assert_eq!((net.failed(), net.connects.len()), (None, 2));
}

#[test]
fn leaving_refreshes_the_group() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.input(Input::HelloReceived);
    net.peeks = 0;
    net.input(Input::Left);
    assert_eq!(net.peeks, 1);
}

#[test]
fn a_full_call_and_a_silent_server_are_told_apart() {
    let mut net = Net::with_call();
    net.join_status = 503;
    net.enter(Intent::OnlyJoin);
    assert_eq!(net.failed(), Some(EnterError::Join(JoinError::Full)));
    net.events.clear();
    net.join_status = 200;
    net.enter(Intent::OnlyJoin);
    net.input(Input::ConnectionFailed);
    assert_eq!(
        (net.failed(), net.disconnects),
        (Some(EnterError::Join(JoinError::NoConnection)), 1)
    );
    // The refresh before joining finds nothing within 5 s, so there is nothing to join.
    net.events.clear();
    net.silent = true;
    net.enter(Intent::OnlyJoin);
    net.pass(PEEK_TIMEOUT);
    assert_eq!(net.failed(), Some(EnterError::NotRunning));
    // Creating meets the same silence at the join request.
    net.events.clear();
    net.enter(Intent::CreateOrJoin);
    net.pass(PEEK_TIMEOUT + JOIN_TIMEOUT);
    assert_eq!(net.failed(), Some(EnterError::Join(JoinError::Unreachable)));
}

#[test]
fn a_refused_token_is_renewed_once_per_refresh() {
    let mut net = Net::with_call();
    net.unauthorised = true;
    net.input(Input::Refresh(group(1)));
    assert_eq!(
        (net.tokens_given, net.running_now()),
        (2, Some(call_id(1, 1)))
    );
}

#[test]
fn a_refused_token_at_joining_fails_and_the_next_try_has_a_fresh_one() {
    let mut net = Net::with_call();
    net.input(Input::Cancel);
    net.join_status = 401;
    net.enter(Intent::OnlyJoin);
    assert_eq!(
        (net.failed(), net.tokens_given),
        (Some(EnterError::Join(JoinError::Unauthorised)), 1)
    );
    net.join_status = 200;
    net.enter(Intent::OnlyJoin);
    assert_eq!((net.tokens_given, net.connects.len()), (2, 1));
}

#[test]
fn an_expired_token_is_renewed_before_it_is_used() {
    let mut net = Net::with_call();
    net.input(Input::Active(false));
    net.now += Duration::from_secs(3600);
    net.input(Input::Refresh(group(1)));
    assert_eq!(net.tokens_given, 2);
}

#[test]
fn forgetting_a_group_ends_everything_about_it() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.input(Input::HelloReceived);
    net.input(Input::Forget(group(1)));
    assert_eq!(
        (net.disconnects, net.lobby.running(&group(1)).len()),
        (1, 0)
    );
    net.peeks = 0;
    net.pass(Duration::from_secs(100));
    assert_eq!(net.peeks, 0);
}

#[test]
fn restored_calls_are_looked_at_when_asked() {
    let mut net = Net::new();
    net.calls.insert(call_id(1, 1), 5);
    let stored = Net::with_call().lobby.running(&group(1)).to_vec();
    net.input(Input::Restore(group(1), stored));
    assert_eq!(net.peeks, 0);
    net.input(Input::Refresh(group(1)));
    assert_eq!(net.running_now(), Some(call_id(1, 1)));
}

#[test]
fn answers_nobody_waits_for_change_nothing() {
    let mut net = Net::with_call();
    let before = net.events.len();
    net.input(Input::Response(RequestId(999), HttpResult::Unreachable));
    net.input(Input::Response(
        RequestId(1),
        HttpResult::Response {
            status: 200,
            body: Vec::new(),
        },
    ));
    net.input(Input::HelloReceived);
    net.input(Input::ConnectionFailed);
    net.input(Input::Left);
    assert_eq!((net.events.len(), net.connects.len()), (before, 0));
}

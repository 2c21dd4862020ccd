use hullo_proto::group::group_call::Scope;
use hullo_proto::service::directory::{Challenger, Request, SfuInformation, granted};
use hullo_proto::service::sfu::{JoinRequest, PeekResponse};
use hullo_proto::service::token::TokenKey;

use super::*;
use crate::group::record::tests::person;
use crate::group::{GroupState, Member, MemberNumber, Vouched};
use crate::identity::Identity as Person;

const HOME: GroupNumber = GroupNumber(1);
const AWAY: GroupNumber = GroupNumber(2);

fn url(host: &str) -> ServerUrl {
    ServerUrl::new(host, 4433, [7; 32]).unwrap()
}

fn member(who: &Person, name: &str, vouched: Vouched) -> Member {
    Member {
        number: MemberNumber(1),
        name: name.to_owned(),
        short_id: who.key_set().short_id(),
        key_set: *who.key_set(),
        vouched,
        is_creator: vouched == Vouched::Own,
        is_invited: false,
    }
}

/// A profile in two groups on two servers, and the servers: one directory key for both, calls that run on the SFU.
struct World {
    now: Instant,
    ann: Person,
    bob: Person,
    lobbies: Lobbies,
    key: TokenKey,
    /// What a peek is answered with.
    peek: HttpResult,
    asked: Vec<(String, Option<[u8; 32]>)>,
    asked_of_channel: Vec<GroupCommand>,
    events: Vec<LobbyEvent>,
}

impl World {
    fn new() -> Self {
        let (ann, now) = (person(1), Instant::now());
        let config = LobbyConfig {
            identity: ann.key_set().short_id().as_str().try_into().unwrap(),
            key: ClientKey::from_bytes(ann.x25519().to_bytes()),
            unix_ms: 1_800_000_000_000,
        };
        let mut world = Self {
            now,
            lobbies: Lobbies::new(now, config, ChaCha20Rng::seed_from_u64(3)),
            bob: person(2),
            ann,
            key: TokenKey::from_bytes([5; 32]),
            peek: status(404),
            asked: Vec::new(),
            asked_of_channel: Vec::new(),
            events: Vec::new(),
        };
        for (number, host) in [(HOME, "home.test"), (AWAY, "away.test")] {
            let group = world.group(number, host);
            world.give(LobbyInput::Group(&group));
        }
        world
    }

    fn group(&self, number: GroupNumber, host: &str) -> Group {
        Group {
            number,
            id: self.id(number),
            name: "hikers".to_owned(),
            server: url(host),
            revision: 1,
            is_ours: true,
            state: GroupState::In,
            members: vec![
                member(&self.ann, "Ann", Vouched::Own),
                member(&self.bob, "Bob", Vouched::Contact),
            ],
            trouble: None,
        }
    }

    fn id(&self, number: GroupNumber) -> GroupId {
        GroupId {
            creator: self.ann.key_set().short_id().as_str().try_into().unwrap(),
            id: number.0.to_be_bytes(),
        }
    }

    fn start(&self, key: u8, base: &str) -> StartMessage {
        StartMessage {
            protocol_version: 1,
            key: hullo_proto::group::key::GroupCallKey::from_bytes([key; 32]),
            sfu_base_url: base.to_owned(),
        }
    }

    fn started(&mut self, group: GroupNumber, start: &StartMessage, sent_ago: Duration) {
        let start = start.encode(&self.id(group));
        self.give(LobbyInput::GroupEvent(&GroupEvent::CallStarted {
            group,
            from: MemberNumber(1),
            start,
            sent_ago,
        }));
    }

    /// One change, and all requests answered at once.
    fn give(&mut self, input: LobbyInput<'_>) {
        self.lobbies.handle_input(self.now, input);
        loop {
            match self.lobbies.poll_output() {
                LobbyOutput::Timeout(_) => return,
                LobbyOutput::Request(request) => {
                    let answer = self.answer(&request);
                    let agreed = request.is_join;
                    self.asked.push((request.http.url, request.pin));
                    let response = LobbyInput::Response(request.key, answer, agreed);
                    self.lobbies.handle_input(self.now, response);
                }
                LobbyOutput::Channel(command) => self.asked_of_channel.push(command),
                LobbyOutput::Event(event) => self.events.push(event),
            }
        }
    }

    fn answer(&self, request: &LobbyRequest) -> HttpResult {
        let host = request.http.url.split('/').nth(2).unwrap();
        let body = if request.http.url.ends_with("/identity/sfu_cred") {
            self.directory(host, &request.http.body)
        } else if request.is_join {
            let request = JoinRequest::decode(&request.http.body).unwrap();
            assert_eq!(request.dtls_fingerprint, [4; 32]);
            joined().encode()
        } else {
            return self.peek.clone();
        };
        HttpResult::Response { status: 200, body }
    }

    fn directory(&self, host: &str, body: &[u8]) -> Vec<u8> {
        let (challenger, mut rng) = (Challenger::new(&self.key), ChaCha20Rng::seed_from_u64(9));
        let request = Request::decode(body).unwrap();
        let Some(proof) = &request.proof else {
            return challenger.challenge(&request, 100, &mut rng);
        };
        challenger.check(&request, proof, 50).unwrap();
        granted(&SfuInformation {
            base_url: format!("https://calls.{host}/#pin={}", "A".repeat(43)),
            allowed_hostname_suffixes: vec![host.split(':').next().unwrap().to_owned()],
            token: self.key.issue(100, &mut rng),
            lifetime: Duration::from_secs(3_600),
            turn: None,
        })
    }

    fn enter(&mut self, group: GroupNumber, intent: Intent) {
        self.give(LobbyInput::Command(LobbyCommand::Enter {
            group,
            intent,
            fingerprint: [4; 32],
        }));
    }

    fn command(&mut self, command: LobbyCommand) {
        self.give(LobbyInput::Command(command));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.give(LobbyInput::Timeout);
    }

    fn failures(&self) -> Vec<EnterError> {
        let failed = self.events.iter().filter_map(|event| match event {
            LobbyEvent::Failed { reason, .. } => Some(*reason),
            _ => None,
        });
        failed.collect()
    }

    fn entries(&self) -> Vec<&Entry> {
        let connects = self.events.iter().filter_map(|event| match event {
            LobbyEvent::Connect(entry) => Some(&**entry),
            _ => None,
        });
        connects.collect()
    }
}

fn status(status: u16) -> HttpResult {
    HttpResult::Response {
        status,
        body: Vec::new(),
    }
}

fn joined() -> JoinResponse {
    JoinResponse {
        started_at_ms: 1_800_000_000_000,
        max_participants: 64,
        participant_id: 5.try_into().unwrap(),
        addresses: vec![([192, 0, 2, 1], 4433).into()],
        ice_username_fragment: "abcdefgh".to_owned(),
        ice_password: "x".repeat(32),
        dtls_fingerprint: [8; 32],
        supported_features: Default::default(),
        header_extension_ids: Default::default(),
    }
}

#[test]
fn a_call_is_made_entered_announced_and_left() {
    let mut w = World::new();
    assert!(w.asked.is_empty(), "a group without a call asks nobody");
    w.enter(HOME, Intent::CreateOrJoin);
    let entries = w.entries();
    let [entry] = entries[..] else {
        panic!("one connection is asked for")
    };
    assert!(entry.group == HOME && entry.has_wanted_channel && entry.response == joined());
    assert!(matches!(&entry.config.scope, Scope::Group { members } if members.len() == 2));
    assert_eq!(entry.config.participant_id.number(), 5);
    let call_id = entry.call_id;
    w.command(LobbyCommand::HelloReceived);
    assert!(w.asked_of_channel.is_empty(), "fingers slip: two seconds");
    w.peek = HttpResult::Unreachable;
    w.wait(Duration::from_secs(2));
    let [GroupCommand::StartCall { group: HOME, start }] = &w.asked_of_channel[..] else {
        panic!("the group is told of the call")
    };
    let (id, announced) = StartMessage::decode(start).unwrap();
    assert_eq!(super::call_id(&id, &announced), Some(call_id));
    let established = |event: &LobbyEvent| matches!(event, LobbyEvent::Established { group: HOME, call_id: known } if *known == call_id);
    assert!(w.events.iter().any(established));
    w.enter(AWAY, Intent::CreateOrJoin);
    assert_eq!(w.failures(), [EnterError::Busy], "on another server, too");
    w.command(LobbyCommand::JoinAgain {
        fingerprint: [4; 32],
    });
    let beside = |event: &LobbyEvent| matches!(event, LobbyEvent::ConnectBeside(entry) if entry.call_id == call_id && entry.has_wanted_channel);
    assert!(w.events.last().is_some_and(beside));
    // Gone when the SFU says so: then newcomers of the group are no longer told.
    w.peek = status(404);
    w.command(LobbyCommand::Left);
    assert!(matches!(
        w.asked_of_channel.last(),
        Some(GroupCommand::EndCall { group: HOME, .. })
    ));
    assert!(matches!(
        w.events.last(),
        Some(LobbyEvent::NotRunning { group: HOME })
    ));
    w.enter(AWAY, Intent::OnlyJoin);
    assert_eq!(w.failures().last(), Some(&EnterError::NotRunning));
}

#[test]
fn a_call_of_another_is_shown_with_its_people_and_pins_go_to_known_addresses_only() {
    let mut w = World::new();
    let response = PeekResponse {
        started_at_ms: 77,
        max_participants: 64,
        encrypted_call_state: None,
    };
    w.peek = HttpResult::Response {
        status: 200,
        body: response.encode(),
    };
    let start = w.start(1, "https://calls.home.test:4433/#pin=mine");
    w.started(HOME, &start, Duration::ZERO);
    let running = |event: &LobbyEvent| match event {
        LobbyEvent::Running { group: HOME, call } => Some(call.started_at_ms),
        _ => None,
    };
    assert_eq!(w.events.iter().filter_map(running).next_back(), Some(77));
    let start = w.start(2, "https://evil.home.test/#pin=mine");
    w.started(HOME, &start, Duration::ZERO);
    let start = w.start(3, "https://evil.test/");
    w.started(HOME, &start, Duration::ZERO);
    assert!(matches!(
        w.events.last(),
        Some(LobbyEvent::Warning { group: HOME, .. })
    ));
    let pin_of = |host: &str| {
        let mut asked = w
            .asked
            .iter()
            .filter(|(url, _)| url.starts_with(&format!("https://{host}/")));
        asked.next().map(|(_, pin)| *pin)
    };
    assert_eq!(
        pin_of("home.test:4433"),
        Some(Some([7; 32])),
        "the group's server"
    );
    assert_eq!(
        pin_of("calls.home.test:4433"),
        Some(Some([0; 32])),
        "named by the directory"
    );
    assert_eq!(
        pin_of("evil.home.test"),
        Some(None),
        "a public authority must vouch for it"
    );
    assert_eq!(
        pin_of("evil.test"),
        None,
        "and this one is not asked at all"
    );
}

#[test]
fn start_messages_of_another_group_or_none_are_nothing() {
    let mut w = World::new();
    let start = w.start(1, "https://home.test:4433").encode(&w.id(AWAY));
    for start in [
        start,
        Zeroizing::new(vec![0xff; 40]),
        Zeroizing::new(Vec::new()),
    ] {
        w.give(LobbyInput::GroupEvent(&GroupEvent::CallStarted {
            group: HOME,
            from: MemberNumber(1),
            start,
            sent_ago: Duration::ZERO,
        }));
    }
    let start = w.start(1, "https://home.test:4433");
    w.started(GroupNumber(9), &start, Duration::ZERO);
    assert!(w.asked.is_empty() && w.events.is_empty());
}

#[test]
fn a_call_told_again_at_the_start_keeps_its_age_and_is_given_up_when_stale() {
    let mut w = World::new();
    w.peek = status(500);
    let start = w.start(1, "https://calls.home.test:4433");
    w.started(HOME, &start, Duration::from_secs(11 * 3_600));
    for _ in 0..3 {
        assert!(w.asked_of_channel.is_empty());
        w.command(LobbyCommand::Peek(HOME));
    }
    assert!(
        matches!(
            &w.asked_of_channel[..],
            [GroupCommand::EndCall { group: HOME, .. }]
        ),
        "3 failures, and older than 10 hours"
    );
}

#[test]
fn forgotten_calls_and_groups_are_asked_for_no_more() {
    let mut w = World::new();
    w.peek = status(500);
    let start = w.start(1, "https://calls.home.test:4433");
    w.started(HOME, &start, Duration::ZERO);
    w.give(LobbyInput::GroupEvent(&GroupEvent::CallsForgotten {
        group: HOME,
    }));
    let asked = w.asked.len();
    w.wait(Duration::from_secs(60));
    assert_eq!(w.asked.len(), asked);
    assert!(w.asked_of_channel.is_empty(), "the channel knows already");
    w.started(HOME, &start, Duration::ZERO);
    let left = GroupEvent::Left {
        group: HOME,
        name: "hikers".to_owned(),
    };
    w.give(LobbyInput::GroupEvent(&left));
    let asked = w.asked.len();
    w.wait(Duration::from_secs(60));
    w.enter(HOME, Intent::CreateOrJoin);
    assert_eq!(w.asked.len(), asked);
    assert_eq!(w.failures(), [EnterError::NotRunning]);
}

#[test]
fn two_members_under_one_name_are_nobody_in_a_call_and_the_invited_are_not_in_yet() {
    let w = World::new();
    let mut group = w.group(HOME, "home.test");
    let mut impostor = member(&person(3), "Bob", Vouched::Group);
    impostor.short_id = w.bob.key_set().short_id();
    let mut invited = member(&person(4), "Cat", Vouched::Contact);
    invited.is_invited = true;
    group.members.extend([impostor, invited]);
    let admitted = members(&group);
    assert_eq!(admitted.len(), 1);
    let ann = w.ann.key_set();
    let key = admitted.get(&ann.short_id().as_str().try_into().unwrap());
    assert_eq!(key.map(|key| *key.as_bytes()), Some(ann.x25519()));
}

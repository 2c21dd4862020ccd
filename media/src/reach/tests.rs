//! The search for ways in virtual time, against a TURN server of a few lines that checks what it is sent.

use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng as _;
use turn_client_proto::stun::types::attribute::{
    AttributeStaticType as _, ErrorCode, MessageIntegrity, Nonce, Realm,
};
use turn_client_proto::stun::types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials,
    MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
};
use turn_client_proto::types::attribute::{Lifetime, XorRelayedAddress};
use turn_client_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use zeroize::Zeroizing;

use super::*;

const REALM: &str = "example.org";
const LOCAL: &str = "10.0.0.2:5000";
const STUN: &str = "192.0.2.1:3478";
const TURN: &str = "192.0.2.2:3478";
const RELAYED: &str = "192.0.2.2:50000";
const PEER: &str = "198.51.100.9:7000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary zero")]
    Instant::now()
}

fn turn_server(carrier: Carrier, password: &str) -> TurnServer {
    TurnServer {
        name: "turn.example.org".to_owned(),
        address: address(TURN),
        carrier,
        via: None,
        username: "me".to_owned(),
        password: Zeroizing::new(password.to_owned()),
    }
}

fn stun_server() -> StunServer {
    StunServer {
        name: "stun.example.org".to_owned(),
        address: address(STUN),
    }
}

/// What the server answers a request whose password is `secret`; `None` for what is no request.
fn served(request: &[u8], refusal: Option<u16>) -> Option<Vec<u8>> {
    let request = Message::from_bytes(request).ok()?;
    if !request.has_class(MessageClass::Request) {
        return None;
    }
    let key = LongTermKeyCredentials::new("me".into(), "secret".into(), REALM.into());
    let key = MessageIntegrityCredentials::LongTerm(key);
    let is_proved = request.raw_attribute(MessageIntegrity::TYPE).is_some()
        && request.validate_integrity(&key).is_ok();
    if !is_proved {
        let mut answer = Message::builder_error(&request, MessageWriteVec::new());
        answer
            .add_attribute(&ErrorCode::new(401, "who?").unwrap())
            .unwrap();
        answer.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        answer.add_attribute(&Nonce::new("12345").unwrap()).unwrap();
        return Some(answer.finish());
    }
    if let Some(code) = refusal {
        let mut answer = Message::builder_error(&request, MessageWriteVec::new());
        answer
            .add_attribute(&ErrorCode::new(code, "no").unwrap())
            .unwrap();
        answer
            .add_message_integrity(&key, IntegrityAlgorithm::Sha1)
            .unwrap();
        return Some(answer.finish());
    }
    let mut answer = Message::builder_success(&request, MessageWriteVec::new());
    match request.method() {
        ALLOCATE => {
            let relayed = XorRelayedAddress::new(address(RELAYED), request.transaction_id());
            answer.add_attribute(&relayed).unwrap();
            answer.add_attribute(&Lifetime::new(600)).unwrap();
        }
        REFRESH => answer.add_attribute(&Lifetime::new(600)).unwrap(),
        CREATE_PERMISSION | CHANNEL_BIND => {}
        _ => return None,
    }
    answer
        .add_message_integrity(&key, IntegrityAlgorithm::Sha1)
        .unwrap();
    Some(answer.finish())
}

/// One side with its servers.
struct Side {
    reach: Reach,
    now: Instant,
    refusal: Option<u16>,
    is_silent: bool,
    /// What left by datagram: from, to, length.
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    events: Vec<Event>,
    stream: Vec<u8>,
}

impl Side {
    fn new(policy: Policy) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(1);
        Self {
            reach: Reach::new(policy, rng, 0),
            now: start(),
            refusal: None,
            is_silent: false,
            sent: Vec::new(),
            events: Vec::new(),
            stream: Vec::new(),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.reach.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.reach.poll_output() {
                Output::Timeout(_) => return,
                Output::Event(event) => self.events.push(event),
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => self.datagram(source, destination, bytes),
                Output::Connect { stream, .. } => {
                    self.input(Input::Opened(stream, address("10.0.0.2:6000")));
                }
                Output::Write(stream, bytes) => {
                    self.stream.extend_from_slice(&bytes);
                    if let Some(answer) = served(&bytes, self.refusal) {
                        // In pieces, as streams come.
                        for piece in answer.chunks(7) {
                            self.reach
                                .handle_input(self.now, Input::Data(stream, piece));
                        }
                    }
                }
                Output::Disconnect(_) => {}
            }
        }
    }

    fn datagram(&mut self, source: SocketAddr, destination: SocketAddr, bytes: Vec<u8>) {
        let answer = match destination {
            to if to == address(STUN) => {
                Some(stun::answer_to(&bytes, address("203.0.113.5:61000")))
            }
            to if to == address(TURN) => served(&bytes, self.refusal),
            _ => None,
        };
        self.sent.push((source, destination, bytes));
        if let Some(bytes) = answer.filter(|_| !self.is_silent) {
            assert!(self.reach.owns(destination, source), "an answer is awaited");
            self.reach.handle_input(
                self.now,
                Input::Datagram {
                    source: destination,
                    destination: source,
                    bytes: &bytes,
                },
            );
        }
    }

    fn drive(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            match self.reach.poll_output() {
                Output::Timeout(Some(at)) if at <= end => {
                    self.now = at.max(self.now + Duration::from_millis(1));
                    self.input(Input::Timeout);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn steps(&self) -> Vec<String> {
        let steps = self.events.iter().filter_map(|event| match event {
            Event::Step(step) => Some(step.to_string()),
            _ => None,
        });
        steps.collect()
    }

    fn kinds(&self) -> Vec<String> {
        let candidates = self.reach.candidates().iter();
        candidates
            .map(|candidate| format!("{candidate:?}"))
            .collect()
    }
}

fn with_all(policy: Policy, carrier: Carrier) -> Side {
    let mut side = Side::new(policy);
    side.input(Input::Local(address(LOCAL)));
    let turn = turn_server(carrier, "secret");
    side.input(Input::Servers(&[stun_server()], &[turn]));
    side.drive(Duration::from_secs(1));
    side
}

#[test]
fn all_three_kinds_of_candidates_are_found() {
    for carrier in [Carrier::Udp, Carrier::Tcp, Carrier::Tls] {
        let side = with_all(Policy::All, carrier);
        assert_eq!(
            side.kinds(),
            ["Host", "Reflexive", "Relayed"],
            "{carrier:?}"
        );
        assert!(side.reach.is_relayed(address(RELAYED)));
    }
}

#[test]
fn with_relay_only_no_other_candidate_is_found_and_no_stun_server_is_asked() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let side = with_all(Policy::RelayOnly, carrier);
        assert_eq!(side.kinds(), ["Relayed"]);
        assert!(side.sent.iter().all(|(_, to, _)| *to == address(TURN)));
    }
}

#[test]
fn a_relayed_datagram_goes_to_the_server_once_it_permits_the_peer() {
    let mut side = with_all(Policy::RelayOnly, Carrier::Udp);
    for _ in 0..40 {
        side.input(Input::Send {
            relayed: address(RELAYED),
            peer: address(PEER),
            bytes: b"sound of a call",
        });
        side.drive(Duration::from_millis(20));
    }
    let carrying = |(_, to, bytes): &&(SocketAddr, SocketAddr, Vec<u8>)| {
        *to == address(TURN) && bytes.windows(15).any(|part| part == b"sound of a call")
    };
    let sizes: Vec<usize> = side
        .sent
        .iter()
        .filter(carrying)
        .map(|it| it.2.len())
        .collect();
    assert!(sizes.len() >= 37, "{} of 40 left", sizes.len());
    assert!(sizes[0] > 40, "first as an indication");
    assert_eq!(
        sizes.last(),
        Some(&19),
        "then on a channel: 4 bytes of header"
    );
}

#[test]
fn a_datagram_of_the_peer_comes_out_with_its_sender() {
    let mut side = with_all(Policy::RelayOnly, Carrier::Tcp);
    let stream = StreamId(1);
    side.input(Input::Send {
        relayed: address(RELAYED),
        peer: address(PEER),
        bytes: b"x",
    });
    side.drive(Duration::from_millis(50));
    let indication = {
        use turn_client_proto::types::attribute::{Data, XorPeerAddress};
        use turn_client_proto::types::message::DATA;
        let mut message = Message::builder_indication(DATA, MessageWriteVec::new());
        let id = message.transaction_id();
        message
            .add_attribute(&XorPeerAddress::new(address(PEER), id))
            .unwrap();
        message.add_attribute(&Data::new(b"hello")).unwrap();
        message.finish()
    };
    for piece in indication.chunks(5) {
        side.input(Input::Data(stream, piece));
    }
    let received = side.events.iter().find_map(|event| match event {
        Event::Received {
            relayed,
            peer,
            bytes,
        } => Some((*relayed, *peer, bytes.clone())),
        _ => None,
    });
    let want = (address(RELAYED), address(PEER), b"hello".to_vec());
    assert_eq!(received, Some(want));
}

#[test]
fn each_refusal_is_said_in_words() {
    let refused = |password: &str, refusal: Option<u16>, is_silent: bool| {
        let mut side = Side::new(Policy::RelayOnly);
        side.refusal = refusal;
        side.is_silent = is_silent;
        side.input(Input::Local(address(LOCAL)));
        let turn = turn_server(Carrier::Udp, password);
        side.input(Input::Servers(&[], &[turn]));
        side.drive(Duration::from_secs(30));
        assert!(side.kinds().is_empty());
        side.steps().join("; ")
    };
    let wrong = refused("guess", None, false);
    assert!(wrong.contains("password (401)"), "{wrong}");
    assert!(wrong.contains("relay_only allows nothing else"), "{wrong}");
    let full = refused("secret", Some(486), false);
    assert!(
        full.contains("as many calls as it may already (486)"),
        "{full}"
    );
    let silent = refused("secret", None, true);
    assert!(silent.contains("did not answer"), "{silent}");
}

#[test]
fn a_stream_that_cannot_be_made_is_said_with_the_systems_words() {
    let mut side = Side::new(Policy::All);
    let turn = turn_server(Carrier::Tls, "secret");
    side.reach
        .handle_input(side.now, Input::Servers(&[], &[turn]));
    let Output::Connect { stream, tls, .. } = side.reach.poll_output() else {
        panic!("connects")
    };
    assert_eq!(tls.as_deref(), Some("turn.example.org"));
    side.input(Input::Closed(stream, "connection refused"));
    let steps = side.steps().join("; ");
    assert!(
        steps.contains("could not be reached: connection refused"),
        "{steps}"
    );
}

#[test]
fn a_lost_address_takes_its_candidates_and_the_relay_is_asked_again_from_the_next() {
    let mut side = with_all(Policy::All, Carrier::Udp);
    let new = address("10.0.0.77:5001");
    side.input(Input::Local(new));
    side.input(Input::LocalGone(address(LOCAL)));
    side.drive(Duration::from_secs(1));
    let gone = side
        .events
        .iter()
        .filter(|event| matches!(event, Event::Gone(_)));
    assert_eq!(gone.count(), 3);
    let bases: Vec<SocketAddr> = side
        .reach
        .candidates()
        .iter()
        .map(LocalCandidate::base)
        .collect();
    assert!(
        bases.len() == 3 && bases.iter().all(|base| *base == new),
        "{bases:?}"
    );
}

#[test]
fn a_silent_stun_server_is_said_to_be_silent() {
    let mut side = Side::new(Policy::All);
    side.is_silent = true;
    side.input(Input::Local(address(LOCAL)));
    side.input(Input::Servers(&[stun_server()], &[]));
    side.drive(Duration::from_secs(5));
    assert_eq!(
        side.steps(),
        ["STUN server stun.example.org did not answer: UDP may be blocked here"]
    );
}

#[test]
fn a_refused_password_is_not_shown() {
    let server = turn_server(Carrier::Udp, "hunter2");
    let shown = format!("{server:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("me\""),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever servers and networks do, with relay-only nothing but relayed candidates and packets to relays come out.
    #[test]
    fn relay_only_never_shows_another_address(
        steps in proptest::collection::vec((0_u8..8, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 1..40)
    ) {
        let mut side = Side::new(Policy::RelayOnly);
        for (kind, value, bytes) in steps {
            let local = SocketAddr::from(([10, 0, 0, value % 4], 5_000));
            match kind {
                0 => side.input(Input::Local(local)),
                1 => side.input(Input::LocalGone(local)),
                2 => side.input(Input::Servers(&[stun_server()], &[])),
                3 => side.input(Input::Servers(&[], &[turn_server(Carrier::Udp, "secret")])),
                4 => side.input(Input::Datagram { source: address(TURN), destination: local, bytes: &bytes }),
                5 => side.input(Input::Send { relayed: address(RELAYED), peer: address(PEER), bytes: &bytes }),
                6 => side.refusal = (value % 2 == 0).then_some(486),
                _ => side.drive(Duration::from_millis(u64::from(value) * 20)),
            }
            for event in &side.events {
                let told = match event {
                    Event::Candidate(candidate) => Some(candidate),
                    _ => None,
                };
                let is_relayed = |it: &LocalCandidate| matches!(it, LocalCandidate::Relayed { .. });
                prop_assert!(told.is_none_or(is_relayed), "{told:?}");
            }
            for (_, to, _) in &side.sent {
                prop_assert_eq!(*to, address(TURN));
            }
        }
    }

    #[test]
    fn any_bytes_of_a_server_never_panic(
        carrier in 0_u8..2,
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20)
    ) {
        let carrier = if carrier == 0 { Carrier::Udp } else { Carrier::Tcp };
        let mut side = with_all(Policy::All, carrier);
        for bytes in pieces {
            side.input(Input::Datagram { source: address(TURN), destination: address(LOCAL), bytes: &bytes });
            side.input(Input::Data(StreamId(1), &bytes));
            side.drive(Duration::from_millis(100));
        }
    }
}

#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use crate::group::id::{CallId, GroupId, Identity};
use crate::group::key::GroupCallKey;
use crate::group::wire::{HeaderExtensionIds, StartMessage, SupportedFeatures};
use proptest::prelude::*;

fn response() -> JoinResponse {
    JoinResponse {
        started_at_ms: 5,
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

fn steps(is_new: bool, url: &str) -> (JoinSteps, Instant) {
    let now = Instant::now();
    let group = GroupId {
        creator: Identity::try_from("ABCD1234").expect("valid"),
        id: [1; 8],
    };
    let start = StartMessage {
        protocol_version: 1,
        key: GroupCallKey::from_bytes([2; 32]),
        sfu_base_url: url.into(),
    };
    let call_id = CallId::derive(&group, 1, &start.key, url).expect("valid");
    let call = RunningCall {
        call_id,
        start,
        received_at_ms: 0,
        failed: 0,
    };
    let sfu = SfuInformation {
        base_url: url.into(),
        allowed_hostname_suffixes: vec!["example.test".into()],
        token: "token".into(),
        lifetime: Duration::from_secs(60),
        turn: None,
    };
    (JoinSteps::new(now, &call, is_new, [9; 32], &sfu), now)
}

fn awaiting_hello(is_new: bool) -> (JoinSteps, Instant) {
    let (mut steps, now) = steps(is_new, "https://sfu.example.test");
    assert!(matches!(steps.poll_output(), Output::Request(_)));
    steps.handle_input(
        now,
        Input::Joined(HttpResult::Response {
            status: 200,
            body: response().encode(),
        }),
    );
    assert!(matches!(steps.poll_output(), Output::Connect(with) if *with == response()));
    (steps, now)
}

fn failure(steps: &mut JoinSteps) -> JoinError {
    match steps.poll_output() {
        Output::Failed(error) => error,
        _ => panic!("did not fail"),
    }
}

#[test]
fn step_2_the_request_is_as_clients_send_it() {
    let (mut steps, _) = steps(false, "https://sfu.example.test");
    let Output::Request(request) = steps.poll_output() else {
        panic!("no request")
    };
    // `0a20 <call_id> 1001 1a20 <fingerprint>`, 70 bytes.
    assert_eq!(
        (
            request.body.len(),
            &request.body[..2],
            &request.body[34..38]
        ),
        (70, &[0x0a, 0x20][..], &[0x10, 1, 0x1a, 0x20][..])
    );
    assert!(request.url.starts_with("https://sfu.example.test/v1/join/"));
    assert_eq!(request.timeout, JOIN_TIMEOUT);
}

#[test]
fn step_2_no_response_within_10_s_fails_and_not_before() {
    let (mut steps, now) = steps(false, "https://sfu.example.test");
    steps.poll_output();
    steps.handle_input(
        now + JOIN_TIMEOUT - Duration::from_millis(1),
        Input::Timeout,
    );
    assert!(matches!(steps.poll_output(), Output::Timeout(Some(at)) if at == now + JOIN_TIMEOUT));
    steps.handle_input(now + JOIN_TIMEOUT, Input::Timeout);
    assert_eq!(failure(&mut steps), JoinError::Unreachable);
    // A late response changes nothing.
    steps.handle_input(
        now,
        Input::Joined(HttpResult::Response {
            status: 200,
            body: response().encode(),
        }),
    );
    assert!(matches!(steps.poll_output(), Output::Timeout(None)));
}

#[test]
fn steps_3_and_4_each_bad_answer_has_its_words() {
    for (result, error) in [
        (
            HttpResult::Response {
                status: 503,
                body: Vec::new(),
            },
            JoinError::Full,
        ),
        (HttpResult::Unreachable, JoinError::Unreachable),
        (
            HttpResult::Response {
                status: 401,
                body: Vec::new(),
            },
            JoinError::Unauthorised,
        ),
        (
            HttpResult::Response {
                status: 419,
                body: Vec::new(),
            },
            JoinError::UnsupportedVersion,
        ),
        (
            HttpResult::Response {
                status: 400,
                body: Vec::new(),
            },
            JoinError::Unexpected(400),
        ),
        (
            HttpResult::Response {
                status: 502,
                body: response().encode(),
            },
            JoinError::Unexpected(502),
        ),
        (
            HttpResult::Response {
                status: 200,
                body: vec![0xff],
            },
            JoinError::Unexpected(200),
        ),
        (
            HttpResult::Response {
                status: 200,
                body: Vec::new(),
            },
            JoinError::Unexpected(200),
        ),
    ] {
        let (mut steps, now) = steps(false, "https://sfu.example.test");
        steps.poll_output();
        steps.handle_input(now, Input::Joined(result));
        assert_eq!(failure(&mut steps), error);
    }
}

#[test]
fn an_address_that_is_not_allowed_is_not_asked() {
    let (mut steps, _) = steps(false, "https://sfu.evil.test");
    assert_eq!(
        failure(&mut steps),
        JoinError::Address(SfuUrlError::NotAllowed)
    );
}

#[test]
fn step_5_the_hello_establishes_the_call() {
    let (mut steps, now) = awaiting_hello(false);
    steps.handle_input(now, Input::HelloReceived);
    assert!(matches!(steps.poll_output(), Output::Established));
    assert!(matches!(steps.poll_output(), Output::Timeout(None)));
}

#[test]
fn step_5_without_a_hello_it_fails() {
    let (mut steps, now) = awaiting_hello(false);
    steps.handle_input(now + HELLO_TIMEOUT, Input::Timeout);
    assert_eq!(failure(&mut steps), JoinError::NoConnection);
    let (mut steps, now) = awaiting_hello(false);
    steps.handle_input(now, Input::ConnectionFailed);
    assert_eq!(failure(&mut steps), JoinError::NoConnection);
}

#[test]
fn step_7_1_a_new_call_waits_until_2_s_after_step_1() {
    let (mut steps, now) = awaiting_hello(true);
    steps.handle_input(now + Duration::from_millis(300), Input::HelloReceived);
    assert!(matches!(steps.poll_output(), Output::Timeout(Some(at)) if at == now + CREATE_DELAY));
    steps.handle_input(
        now + CREATE_DELAY - Duration::from_millis(1),
        Input::Timeout,
    );
    assert!(matches!(steps.poll_output(), Output::Timeout(Some(_))));
    steps.handle_input(now + CREATE_DELAY, Input::Timeout);
    assert!(matches!(steps.poll_output(), Output::Established));
    let (mut steps, now) = awaiting_hello(true);
    steps.handle_input(now + CREATE_DELAY, Input::HelloReceived);
    assert!(matches!(steps.poll_output(), Output::Established));
}

proptest! {
    #[test]
    fn any_body_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let (mut steps, now) = steps(false, "https://sfu.example.test");
        steps.poll_output();
        steps.handle_input(now, Input::Joined(HttpResult::Response { status, body }));
        prop_assert!(matches!(steps.poll_output(), Output::Failed(_)));
    }
}

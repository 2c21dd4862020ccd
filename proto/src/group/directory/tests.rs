#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const ANSWER: &str = r#"{"success":true,"sfuBaseUrl":"https://sfu.example.test","allowedSfuHostnameSuffixes":["example.test"],
    "sfuToken":"token","expiration":3600,"later":1}"#;

fn steps() -> (DirectorySteps, Instant) {
    let now = Instant::now();
    let identity = Identity::try_from("ABCD1234").expect("valid");
    (
        DirectorySteps::new(
            now,
            "https://dir.example.test/#pin=x",
            identity,
            ClientKey::from_bytes([4; 32]),
        ),
        now,
    )
}

fn request(steps: &mut DirectorySteps) -> (String, Value) {
    match steps.poll_output() {
        Output::Request(request) => (
            request.url,
            serde_json::from_slice(&request.body).expect("JSON"),
        ),
        _ => panic!("no request"),
    }
}

fn give(steps: &mut DirectorySteps, now: Instant, status: u16, body: &str) {
    let body = body.as_bytes().to_vec();
    steps.handle_input(now, Input::Response(HttpResult::Response { status, body }));
}

fn done(steps: &mut DirectorySteps) -> Result<SfuInformation, DirectoryError> {
    match steps.poll_output() {
        Output::Done(result) => result,
        _ => panic!("not done"),
    }
}

#[test]
fn challenge_response_token() {
    let (mut steps, now) = steps();
    let (url, first) = request(&mut steps);
    assert_eq!(url, "https://dir.example.test/identity/sfu_cred");
    let public_key = BASE64_STANDARD.encode(ClientKey::from_bytes([4; 32]).public().as_bytes());
    assert_eq!(
        first,
        json!({"identity": "ABCD1234", "publicKey": public_key})
    );
    let server = ClientKey::from_bytes([5; 32]);
    let challenge = json!({"token": BASE64_STANDARD.encode("challenge"), "tokenRespKeyPub": BASE64_STANDARD.encode(server.public().as_bytes())});
    give(&mut steps, now, 200, &challenge.to_string());
    let (_, second) = request(&mut steps);
    // The server computes the same from its side.
    let shared = server
        .shared(&ClientKey::from_bytes([4; 32]).public())
        .expect("usable");
    assert_eq!(
        second["response"],
        BASE64_STANDARD.encode(blake2b_csp(&shared, b"challenge"))
    );
    assert_eq!(second["token"], challenge["token"]);
    give(&mut steps, now, 200, ANSWER);
    let Ok(information) = done(&mut steps) else {
        panic!("no token");
    };
    assert_eq!(
        (information.token.as_str(), information.lifetime),
        ("token", Duration::from_secs(3600))
    );
    assert!(matches!(steps.poll_output(), Output::Timeout(None)));
}

#[test]
fn no_answer_in_10_s_is_an_error_and_not_before() {
    let (mut steps, now) = steps();
    request(&mut steps);
    steps.handle_input(
        now + TOKEN_TIMEOUT - Duration::from_millis(1),
        Input::Timeout,
    );
    assert!(matches!(steps.poll_output(), Output::Timeout(Some(at)) if at == now + TOKEN_TIMEOUT));
    steps.handle_input(now + TOKEN_TIMEOUT, Input::Timeout);
    assert_eq!(done(&mut steps).err(), Some(DirectoryError::Unreachable));
}

#[test]
fn bad_answers_are_told_apart() {
    for (status, body, error) in [
        (429, "", DirectoryError::RateLimited),
        (200, "", DirectoryError::Malformed),
        (
            200,
            r#"{"success":false,"error":"unknown identity"}"#,
            DirectoryError::Refused,
        ),
        (403, "no", DirectoryError::Refused),
        (502, "", DirectoryError::Unreachable),
        (
            200,
            r#"{"token":"AAAA","tokenRespKeyPub":"AAAA"}"#,
            DirectoryError::Malformed,
        ),
        (
            200,
            r#"{"token":"AAAA","tokenRespKeyPub":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
            DirectoryError::Malformed,
        ),
    ] {
        let (mut steps, now) = steps();
        request(&mut steps);
        give(&mut steps, now, status, body);
        assert_eq!(done(&mut steps).err(), Some(error), "{status} {body}");
    }
    for body in [
        ANSWER.replace("\"token\"", "\"to\\r\\nken\""),
        ANSWER.replace("\"token\"", "\"\""),
        ANSWER.replace("https://sfu.example.test", ""),
        ANSWER.replace("3600", "-1"),
        ANSWER.replace("3600", "0"),
    ] {
        assert_eq!(
            answer(200, body.as_bytes()).err(),
            Some(DirectoryError::Malformed),
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300), status in 100_u16..600) {
        let (mut steps, now) = steps();
        request(&mut steps);
        steps.handle_input(now, Input::Response(HttpResult::Response { status, body: body.clone() }));
        prop_assert!(done(&mut steps).is_err());
        prop_assert!(answer(status, &body).is_err());
    }
}

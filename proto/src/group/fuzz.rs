//! What each fuzz target does with its bytes; the same functions run over the corpora as plain tests.
//!
//! A function here may do anything with `bytes` but panic. Where bytes decode, encoding and decoding
//! again must give the same.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::directory::{self, DirectorySteps};
use super::envelope::Pair;
use super::group_call::{Config, GroupCall, Input, Output, Scope};
use super::handshake::Role;
use super::http::{HttpResult, SfuInformation, SfuUrl};
use super::id::{CallId, PROTOCOL_VERSION};
use super::join::{self, JoinSteps};
use super::key::{ClientKey, GroupCallKey, MediaKey, SharedKey, StateKey};
use super::media_frame::Track;
use super::media_receiver::MediaReceiver;
use super::nonce::Cookie;
use super::refresh::{self, Refresh, RunningCall, open_state};
use super::wire::{
    AdminMessage, AuthMessage, CallState, FromSfu, HelloMessage, JoinRequest, JoinResponse, Name,
    PeekRequest, PeekResponse, PeerMessage, SentKey, StartMessage, SupportedFeatures, ToSfu,
};

/// Messages of the SFU in one input: enough for a handshake with a few participants; more only makes runs slow.
const MESSAGES_MAX: usize = 64;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(0)
}

/// Every message decoder.
pub fn wire(bytes: &[u8]) {
    if let Ok(message) = ToSfu::decode(bytes) {
        assert_eq!(ToSfu::decode(&message.encode(&mut rng())), Ok(message));
    }
    if let Ok(message) = FromSfu::decode(bytes) {
        assert_eq!(FromSfu::decode(&message.encode(&mut rng())), Ok(message));
    }
    if let Ok(message) = HelloMessage::decode(bytes) {
        assert!(HelloMessage::decode(&message.encode(&mut rng())) == Ok(message));
    }
    if let Ok(message) = AuthMessage::decode(bytes) {
        assert!(AuthMessage::decode(&message.encode(&mut rng())).is_ok());
    }
    if let Ok(message) = PeerMessage::decode(bytes) {
        assert!(PeerMessage::decode(&message.encode(&mut rng())).is_ok());
    }
    if let Ok(message) = AdminMessage::decode(bytes) {
        assert!(AdminMessage::decode(&message.encode()).is_ok());
    }
    if let Ok((group, message)) = StartMessage::decode(bytes) {
        assert!(StartMessage::decode(&message.encode(&group)).is_ok());
    }
}

/// Sealed messages of others: openers of every shape, and a whole call that is told the bytes.
pub fn envelope(bytes: &[u8]) {
    let key = GroupCallKey::from_bytes([1; 32]);
    let _opened = key.handshake_key().open(bytes);
    let cookie = |byte| Cookie::from_bytes([byte; 16]);
    let _opened = Pair::new(SharedKey::from_bytes([2; 32]), cookie(1), cookie(2)).open(bytes);
    let now = some_instant();
    let mut call = call(now, key);
    let hello = FromSfu::Hello(vec![4.try_into().expect("in range")]).encode(&mut rng());
    // The SFU's messages, cut by their first byte as a length.
    let mut rest = bytes;
    let mut next = hello.as_slice();
    for _ in 0..MESSAGES_MAX {
        call.handle_input(now, Input::Received(next));
        while !matches!(call.poll_output(), Output::Timeout(_)) {}
        let Some((len, tail)) = rest.split_first() else {
            return;
        };
        (next, rest) = tail.split_at(usize::from(*len).min(tail.len()));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "some instant to begin at; only differences matter"
)]
fn some_instant() -> Instant {
    Instant::now()
}

fn call(now: Instant, key: GroupCallKey) -> GroupCall {
    let client_key = ClientKey::from_bytes([3; 32]);
    let identity = "ABCD1234".try_into().expect("valid");
    let config = Config {
        participant_id: 3.try_into().expect("in range"),
        scope: Scope::Group {
            members: [(identity, client_key.public())].into(),
        },
        role: Role::Normal {
            identity,
            nickname: Name::default(),
            key: client_key,
        },
        key,
        administrator: None,
        supported_features: SupportedFeatures::default(),
        unix_ms: 0,
    };
    GroupCall::new(now, config, rng()).expect("no administrators")
}

/// Media frames of every track.
pub fn frame(bytes: &[u8]) {
    let now = some_instant();
    let mut receiver = MediaReceiver::new(GroupCallKey::from_bytes([1; 32]).hash());
    receiver.add(SentKey {
        epoch: 0,
        ratchet_counter: 0,
        key: MediaKey::from_bytes([2; 32]),
    });
    receiver.add(SentKey {
        epoch: 1,
        ratchet_counter: 0,
        key: MediaKey::from_bytes([3; 32]),
    });
    for track in [Track::Microphone, Track::Camera, Track::Screen] {
        let opened = receiver.open(now + Duration::from_secs(1), track, bytes);
        assert!(opened.is_err() || bytes.is_empty(), "a forged frame opened");
    }
}

/// Call states, sealed and opened.
pub fn call_state(bytes: &[u8]) {
    let _opened = open_state(&StateKey::from_bytes([1; 32]), bytes);
    if let Ok(state) = CallState::decode(bytes) {
        assert_eq!(CallState::decode(&state.encode(&mut rng())), Ok(state));
    }
}

/// What the directory and the SFU answer over HTTP, and what a client may ask: the decoders, and the machines
/// that wait for the answers.
pub fn http(bytes: &[u8]) {
    for status in [200, 401] {
        directory_answers(status, bytes);
        sfu_answers(status, bytes);
    }
    let _answer = directory::answer(200, bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _url = SfuUrl::check(text, &["example.test".to_owned()]);
    }
    if let Ok(request) = PeekRequest::decode(bytes) {
        assert_eq!(PeekRequest::decode(&request.encode()), Ok(request));
    }
    if let Ok(request) = JoinRequest::decode(bytes) {
        assert_eq!(JoinRequest::decode(&request.encode()), Ok(request));
    }
    if let Ok(response) = PeekResponse::decode(bytes) {
        assert_eq!(PeekResponse::decode(&response.encode()), Ok(response));
    }
    if let Ok(response) = JoinResponse::decode(bytes) {
        assert!(JoinResponse::decode(&response.encode()) == Ok(response));
    }
}

/// The bytes as challenge, and as token if a challenge came out of them.
fn directory_answers(status: u16, bytes: &[u8]) {
    let now = some_instant();
    let identity = "ABCD1234".try_into().expect("valid");
    let key = ClientKey::from_bytes([3; 32]);
    let mut steps = DirectorySteps::new(now, "https://example.test", identity, key);
    for _ in 0..3 {
        while !matches!(steps.poll_output(), directory::Output::Timeout(_)) {}
        let body = bytes.to_vec();
        let answer = HttpResult::Response { status, body };
        steps.handle_input(now, directory::Input::Response(answer));
    }
}

/// The bytes as answer to a join and to a peek.
fn sfu_answers(status: u16, bytes: &[u8]) {
    let now = some_instant();
    let sfu = SfuInformation {
        base_url: "https://example.test".to_owned(),
        allowed_hostname_suffixes: vec!["example.test".to_owned()],
        token: "token".to_owned(),
        lifetime: Duration::from_secs(60),
        turn: None,
    };
    let call = RunningCall {
        call_id: CallId::from_bytes([1; 32]),
        start: StartMessage {
            protocol_version: PROTOCOL_VERSION,
            key: GroupCallKey::from_bytes([1; 32]),
            sfu_base_url: sfu.base_url.clone(),
        },
        received_at_ms: 0,
        failed: 0,
    };
    let answer = || HttpResult::Response {
        status,
        body: bytes.to_vec(),
    };
    let mut steps = JoinSteps::new(now, &call, true, [4; 32], &sfu);
    for input in [join::Input::Joined(answer()), join::Input::HelloReceived] {
        while !matches!(steps.poll_output(), join::Output::Timeout(_)) {}
        steps.handle_input(now, input);
    }
    let mut steps = Refresh::new(now, 0, std::slice::from_ref(&call), None, Some(&sfu));
    for _ in 0..2 {
        while !matches!(steps.poll_output(), refresh::Output::Timeout(_)) {}
        steps.handle_input(now, refresh::Input::Peeked(call.call_id, answer()));
        steps.handle_input(now, refresh::Input::Token(Some(&sfu)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs every file of a target's corpus, which must not be empty.
    fn corpus(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fuzz/corpus")
            .join(target);
        let files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        assert!(!files.is_empty(), "the corpus of {target} is empty");
        for file in files {
            run(&std::fs::read(&file).expect("a readable file"));
        }
        run(&[]);
    }

    #[test]
    fn corpus_of_group_wire() {
        corpus("group_wire", super::wire);
    }

    #[test]
    fn corpus_of_group_envelope() {
        corpus("group_envelope", super::envelope);
    }

    #[test]
    fn corpus_of_group_frame() {
        corpus("group_frame", super::frame);
    }

    #[test]
    fn corpus_of_group_call_state() {
        corpus("group_call_state", super::call_state);
    }

    #[test]
    fn corpus_of_group_http() {
        corpus("group_http", super::http);
    }
}

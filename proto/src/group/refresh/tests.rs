#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use crate::group::id::{GroupId, Identity};
use crate::group::key::GroupCallKey;
use crate::group::wire::Name;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// 100 hours after 1970.
const UNIX_MS: u64 = 360_000_000;

fn call(number: u8) -> RunningCall {
    let group = GroupId {
        creator: Identity::try_from("ABCD1234").expect("valid"),
        id: [1; 8],
    };
    let start = StartMessage {
        protocol_version: 1,
        key: GroupCallKey::from_bytes([number; 32]),
        sfu_base_url: "https://sfu.example.test".into(),
    };
    let call_id = CallId::derive(&group, 1, &start.key, &start.sfu_base_url).expect("valid");
    RunningCall {
        call_id,
        start,
        received_at_ms: UNIX_MS,
        failed: 0,
    }
}

fn sfu(token: &str) -> SfuInformation {
    SfuInformation {
        base_url: "https://sfu.example.test".into(),
        allowed_hostname_suffixes: vec!["example.test".into()],
        token: token.into(),
        lifetime: Duration::from_secs(60),
        turn: None,
    }
}

/// The steps with all they put out.
struct Run {
    now: Instant,
    refresh: Refresh,
    peeks: Vec<(CallId, HttpRequest)>,
    tokens_needed: u32,
    warnings: Vec<RefreshWarning>,
    done: Option<Refreshed>,
}

impl Run {
    fn new(
        calls: &[RunningCall],
        participating: Option<&ChosenCall>,
        sfu: Option<&SfuInformation>,
    ) -> Self {
        let now = Instant::now();
        let refresh = Refresh::new(now, UNIX_MS, calls, participating, sfu);
        let mut run = Self {
            now,
            refresh,
            peeks: Vec::new(),
            tokens_needed: 0,
            warnings: Vec::new(),
            done: None,
        };
        run.drain();
        run
    }

    fn of(calls: &[RunningCall]) -> Self {
        Self::new(calls, None, Some(&sfu("token")))
    }

    fn drain(&mut self) {
        loop {
            match self.refresh.poll_output() {
                Output::Peek(call_id, request) => self.peeks.push((call_id, request)),
                Output::TokenNeeded => self.tokens_needed += 1,
                Output::Warning(warning) => self.warnings.push(warning),
                Output::Done(refreshed) => assert!(self.done.replace(refreshed).is_none()),
                Output::Timeout(_) => return,
            }
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.refresh.handle_input(self.now, input);
        self.drain();
    }

    fn answer(&mut self, call: &RunningCall, status: u16, body: Vec<u8>) {
        self.input(Input::Peeked(
            call.call_id,
            HttpResult::Response { status, body },
        ));
    }

    fn started(&mut self, call: &RunningCall, started_at_ms: u64) {
        let response = PeekResponse {
            started_at_ms,
            max_participants: 16,
            encrypted_call_state: None,
        };
        self.answer(call, 200, response.encode());
    }

    fn chosen(&self) -> Option<CallId> {
        self.done
            .as_ref()
            .expect("done")
            .chosen
            .as_ref()
            .map(|chosen| chosen.call_id)
    }

    fn verdict(&self) -> Verdict {
        self.done.as_ref().expect("done").verdicts[0]
    }
}

#[test]
fn the_most_recently_created_call_is_chosen() {
    let calls = [call(1), call(2), call(3)];
    let mut run = Run::of(&calls);
    assert_eq!(run.peeks.len(), 3);
    assert_eq!(
        run.peeks[0].1.authorization.as_deref(),
        Some("ThreemaSfuToken token")
    );
    assert_eq!(run.peeks[0].1.timeout, PEEK_TIMEOUT);
    run.started(&calls[0], 5);
    run.started(&calls[1], 9);
    assert!(run.done.is_none());
    run.started(&calls[2], 7);
    assert_eq!(run.chosen(), Some(calls[1].call_id));
}

#[test]
fn of_two_calls_of_one_millisecond_everyone_chooses_the_same() {
    let choose = |calls: [RunningCall; 2]| {
        let mut run = Run::of(&calls);
        calls.iter().for_each(|call| run.started(call, 5));
        run.chosen()
    };
    assert_eq!(choose([call(1), call(2)]), choose([call(2), call(1)]));
}

#[test]
fn without_running_calls_nothing_is_asked_and_nothing_chosen() {
    let run = Run::new(&[], None, None);
    assert_eq!((run.tokens_needed, run.chosen()), (0, None));
}

#[test]
fn step_3_1_the_call_the_user_is_in_is_not_peeked_and_can_be_chosen() {
    let calls = [call(1), call(2)];
    let own = ChosenCall {
        call_id: calls[0].call_id,
        started_at_ms: 8,
        max_participants: 0,
        state: None,
    };
    let mut run = Run::new(&calls, Some(&own), Some(&sfu("token")));
    assert_eq!(run.peeks.len(), 1);
    run.started(&calls[1], 7);
    assert_eq!(run.chosen(), Some(calls[0].call_id));
}

#[test]
fn step_3_2_no_response_within_5_s_drops_the_call_for_now() {
    let calls = [call(1)];
    let mut run = Run::of(&calls);
    run.now += PEEK_TIMEOUT - Duration::from_millis(1);
    run.input(Input::Timeout);
    assert!(run.done.is_none());
    run.now += Duration::from_millis(1);
    run.input(Input::Timeout);
    assert_eq!(
        (run.chosen(), run.verdict()),
        (
            None,
            Verdict {
                call_id: calls[0].call_id,
                remove: false,
                failed: 0
            }
        )
    );
    // A late answer changes nothing.
    run.started(&calls[0], 5);
}

#[test]
fn step_3_3_status_401_refreshes_the_token_once() {
    let calls = [call(1), call(2)];
    let mut run = Run::of(&calls);
    run.answer(&calls[0], 401, Vec::new());
    run.answer(&calls[1], 401, Vec::new());
    assert_eq!(run.tokens_needed, 1);
    run.input(Input::Token(Some(&sfu("fresh"))));
    assert_eq!(run.peeks.len(), 4);
    assert_eq!(
        run.peeks[3].1.authorization.as_deref(),
        Some("ThreemaSfuToken fresh")
    );
    run.started(&calls[0], 5);
    run.answer(&calls[1], 401, Vec::new());
    assert_eq!(run.tokens_needed, 1);
    let done = run.done.as_ref().expect("done");
    assert_eq!(
        (run.chosen(), done.verdicts[1].failed),
        (Some(calls[0].call_id), 1)
    );
}

#[test]
fn step_3_3_1_without_a_token_the_call_is_dropped_for_now() {
    let calls = [call(1)];
    let mut run = Run::of(&calls);
    run.answer(&calls[0], 401, Vec::new());
    run.input(Input::Token(None));
    assert_eq!(
        (run.chosen(), run.verdict().remove, run.verdict().failed),
        (None, false, 0)
    );
}

#[test]
fn without_any_token_one_is_asked_for_first() {
    let calls = [call(1), call(2)];
    let mut run = Run::new(&calls, None, None);
    assert_eq!((run.tokens_needed, run.peeks.len()), (1, 0));
    run.input(Input::Token(Some(&sfu("token"))));
    assert_eq!(run.peeks.len(), 2);
}

#[test]
fn step_3_4_2_status_404_ends_the_call() {
    let calls = [call(1)];
    let mut run = Run::of(&calls);
    run.answer(&calls[0], 404, Vec::new());
    assert!(run.verdict().remove && run.chosen().is_none());
}

#[test]
fn step_3_4_4_other_failures_are_counted() {
    for result in [
        HttpResult::Unreachable,
        HttpResult::Response {
            status: 500,
            body: Vec::new(),
        },
        HttpResult::Response {
            status: 200,
            body: vec![0xff],
        },
    ] {
        let calls = [RunningCall {
            failed: 1,
            ..call(1)
        }];
        let mut run = Run::of(&calls);
        run.input(Input::Peeked(calls[0].call_id, result));
        assert_eq!((run.verdict().remove, run.verdict().failed), (false, 2));
    }
}

#[test]
fn step_3_4_3_a_call_is_dropped_after_3_failures_and_10_h() {
    let ten_hours = u64::try_from(RECEIVED_AGO_MIN.as_millis()).expect("small");
    for (failed, age_ms, remove) in [
        (3, ten_hours + 1, true),
        (2, ten_hours + 1, false),
        (3, ten_hours, false),
        (99, 0, false),
        (99, ten_hours + 1, true),
    ] {
        let calls = [RunningCall {
            failed,
            received_at_ms: UNIX_MS - age_ms,
            ..call(1)
        }];
        let mut run = Run::of(&calls);
        run.input(Input::Peeked(calls[0].call_id, HttpResult::Unreachable));
        assert_eq!(
            run.verdict().remove,
            remove,
            "failed {failed}, {age_ms} ms ago"
        );
    }
}

#[test]
fn step_3_5_an_answer_resets_the_failed_counter() {
    let calls = [RunningCall {
        failed: 7,
        ..call(1)
    }];
    let mut run = Run::of(&calls);
    run.started(&calls[0], 5);
    assert_eq!((run.verdict().remove, run.verdict().failed), (false, 0));
}

#[test]
fn step_3_6_an_unsupported_version_is_warned_about_and_kept_running() {
    let mut unsupported = call(1);
    unsupported.start.protocol_version = 2;
    let calls = [unsupported];
    let mut run = Run::of(&calls);
    run.started(&calls[0], 5);
    assert_eq!(run.warnings, [RefreshWarning::UnsupportedVersion(2)]);
    assert_eq!((run.chosen(), run.verdict().remove), (None, false));
}

#[test]
fn a_server_that_is_not_allowed_gets_no_token() {
    let mut foreign = call(1);
    foreign.start.sfu_base_url = "https://sfu.evil.test".into();
    let run = Run::of(&[foreign]);
    assert!(run.peeks.is_empty() && run.verdict().remove);
    assert_eq!(run.warnings, [RefreshWarning::ServerNotAllowed]);
}

#[test]
fn the_peeked_state_is_shown_if_it_opens() {
    let calls = [call(1)];
    let key = calls[0].start.key.state_key();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let identity = Identity::try_from("ABCD1234").expect("valid");
    let id = 3.try_into().expect("in range");
    let participants = [(
        id,
        crate::group::wire::ParticipantName::Normal(identity, Name::new("nick")),
    )]
    .into();
    let state = CallState {
        created_by: id,
        created_at_ms: 5,
        participants,
    };
    let sealed = key.seal(&state.encode(&mut rng), &mut rng);
    for (sealed, expected) in [
        (sealed.clone(), Some(state)),
        (vec![0; 80], None),
        (sealed[1..].to_vec(), None),
    ] {
        let mut run = Run::of(&calls);
        let response = PeekResponse {
            started_at_ms: 1,
            max_participants: 16,
            encrypted_call_state: Some(sealed),
        };
        run.answer(&calls[0], 200, response.encode());
        assert_eq!(
            run.done
                .and_then(|done| done.chosen)
                .and_then(|chosen| chosen.state),
            expected
        );
    }
}

proptest! {
    #[test]
    fn any_body_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let calls = [call(1)];
        let mut run = Run::of(&calls);
        run.answer(&calls[0], status, body);
        prop_assert!(run.done.is_some() || run.tokens_needed == 1);
    }
}

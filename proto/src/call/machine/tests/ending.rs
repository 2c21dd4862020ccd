use super::*;

use Act::{HangUp, LoseSession, Reject};
use Stage::{Accepted, AnswerReceived, Answered, Connected, Invited, OfferReceived, Offered};

#[derive(Clone, Copy)]
enum Act {
    HangUp,
    LoseSession,
    Reject,
}

const CALLER: Role = Role::Caller;
const CALLEE: Role = Role::Callee;

/// What each way to end a call does at each stage: who acts, how, the own reason, the message, the far side's reason.
#[rustfmt::skip]
const ENDINGS: [(Stage, Role, Act, &str, &str, &str); 14] = [
    (Invited, CALLER, HangUp, "cancelled", "x.call.end", "cancelled"),
    (Invited, CALLEE, Reject, "declined", "x.hullo.refused", "declined"),
    (Invited, CALLEE, HangUp, "declined", "x.hullo.refused", "declined"),
    (Accepted, CALLER, HangUp, "cancelled", "x.call.end", "far_hung_up"),
    (Accepted, CALLEE, HangUp, "hung_up", "x.call.end", "far_hung_up"),
    (Accepted, CALLEE, LoseSession, "failed_to_connect", "x.call.end", "far_hung_up"),
    (Offered, CALLEE, HangUp, "hung_up", "x.call.end", "far_hung_up"),
    (OfferReceived, CALLER, HangUp, "hung_up", "x.call.end", "far_hung_up"),
    (OfferReceived, CALLER, LoseSession, "failed_to_connect", "x.call.end", "far_hung_up"),
    (Answered, CALLER, LoseSession, "failed_to_connect", "x.call.end", "far_hung_up"),
    (AnswerReceived, CALLEE, LoseSession, "failed_to_connect", "x.call.end", "far_hung_up"),
    (Connected, CALLER, HangUp, "hung_up", "x.call.end", "far_hung_up"),
    (Connected, CALLEE, HangUp, "hung_up", "x.call.end", "far_hung_up"),
    (Connected, CALLEE, LoseSession, "lost", "x.call.end", "far_hung_up"),
];

#[test]
fn every_way_to_end_a_call() {
    for (stage, role, act, own, event, far) in ENDINGS {
        let (caller, callee) = pair(stage);
        let (mut acting, mut other) = match role {
            CALLER => (caller, callee),
            CALLEE => (callee, caller),
        };
        let (sent, told) = acting.input(match act {
            HangUp => Input::HangUp,
            LoseSession => Input::SessionLost,
            Reject => Input::Reject,
        });
        assert_eq!(told, [ended(own)], "{stage:?}");
        assert_eq!(
            sent.iter().map(Message::event).collect::<Vec<_>>(),
            [event],
            "{stage:?}"
        );
        let (answer, told) = other.message(&sent[0]);
        assert_eq!(told, [ended(far)], "{stage:?}");
        assert!(answer.is_empty(), "an end is not answered");
        assert!(acting.machine.is_ended() && other.machine.is_ended());
    }
}

#[test]
fn a_program_that_died_did_not_hang_up() {
    for (stage, told) in [
        (Stage::Invited, "cancelled"),
        (Stage::Connected, "far_gone"),
    ] {
        let (_, mut callee) = pair(stage);
        let (answer, news) = callee.message(&Message::Gone(ID));
        assert_eq!(news, [ended(told)], "{stage:?}");
        assert!(answer.is_empty() && callee.machine.is_ended());
    }
}

/// The news of an end for this reason.
fn ended(name: &str) -> String {
    format!("State(Ended({}))", variant(name))
}

/// `hung_up` → `HungUp`.
fn variant(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn what_a_state_does_not_expect_changes_nothing() {
    for stage in STAGES {
        for by_caller in [true, false] {
            let before_offer = stage < Stage::Offered;
            let unexpected: &[fn() -> Input<'static>] = match (by_caller, stage) {
                (true, Stage::Invited | Stage::Accepted | Stage::Offered) => &[
                    || Input::Accept {
                        media: Media::Audio,
                    },
                    || Input::Reject,
                    || Input::SessionConnected,
                    || Input::SessionLost,
                    || Input::LocalDescription {
                        sdp: "early".into(),
                        candidates: Vec::new(),
                    },
                ],
                (false, Stage::Invited) => &[|| Input::SessionConnected, || Input::SessionLost],
                (_, Stage::Connected) => &[
                    || Input::Accept {
                        media: Media::Audio,
                    },
                    || Input::Reject,
                    || Input::SessionConnected,
                    || Input::LocalDescription {
                        sdp: "late".into(),
                        candidates: Vec::new(),
                    },
                ],
                _ => &[
                    || Input::Accept {
                        media: Media::Video,
                    },
                    || Input::Timeout,
                ],
            };
            for input in unexpected {
                let (caller, callee) = pair(stage);
                let mut side = if by_caller { caller } else { callee };
                if !by_caller
                    && before_offer
                    && matches!(input(), Input::Accept { .. })
                    && stage == Stage::Invited
                {
                    continue;
                }
                let (sent, told) = side.input(input());
                assert!(
                    sent.is_empty() && told.is_empty(),
                    "{stage:?} {by_caller} {told:?}"
                );
                assert!(!side.machine.is_ended());
            }
        }
    }
}

#[test]
fn ringing_ends_at_its_deadline_and_not_before() {
    let (mut caller, mut callee) = pair(Stage::Invited);
    let start = caller.now;
    let check = |side: &mut Side, sent: &str| {
        side.now = start + RING_TIMEOUT - Duration::from_millis(1);
        assert_eq!(side.input(Input::Timeout).1.len(), 0);
        assert!(
            matches!(side.machine.poll_output(), Output::Timeout(Some(at)) if at == start + RING_TIMEOUT)
        );
        side.now = start + RING_TIMEOUT;
        let (messages, told) = side.input(Input::Timeout);
        assert_eq!(messages[0].event(), sent);
        assert_eq!(told, ["State(Ended(Unanswered))"]);
        assert!(matches!(side.machine.poll_output(), Output::Timeout(None)));
    };
    check(&mut caller, "x.call.end");
    check(&mut callee, "x.hullo.refused");
}

#[test]
fn a_late_accept_finds_the_call_ended() {
    let (_, mut callee) = pair(Stage::Invited);
    callee.now += RING_TIMEOUT;
    let (sent, told) = callee.input(Input::Accept {
        media: Media::Audio,
    });
    assert_eq!(
        (sent[0].event(), told),
        ("x.hullo.refused", vec!["State(Ended(Unanswered))".into()])
    );
    assert!(callee.keys.is_none());
}

#[test]
fn connecting_ends_at_its_deadline_on_every_stage() {
    for (stage, by_caller) in [
        (Stage::Accepted, false),
        (Stage::Offered, false),
        (Stage::AnswerReceived, false),
        (Stage::OfferReceived, true),
        (Stage::Answered, true),
    ] {
        let (caller, callee) = pair(stage);
        let mut side = if by_caller { caller } else { callee };
        side.now += CONNECT_TIMEOUT - Duration::from_millis(1);
        assert!(side.input(Input::Timeout).1.is_empty(), "{stage:?}");
        side.now += Duration::from_millis(1);
        let (sent, told) = side.input(Input::Timeout);
        assert!(ends(&sent), "{stage:?}");
        assert_eq!(told, ["State(Ended(FailedToConnect))"], "{stage:?}");
    }
}

#[test]
fn the_four_refusals_tell_the_caller_why() {
    for (reason, want) in [
        (RefusalReason::Busy, "Busy"),
        (RefusalReason::Declined, "Declined"),
        (RefusalReason::Unanswered, "Unanswered"),
        (RefusalReason::AnsweredElsewhere, "AnsweredElsewhere"),
    ] {
        let (mut caller, _) = pair(Stage::Invited);
        let (sent, told) = caller.message(&Message::Refused {
            call_id: ID,
            reason,
        });
        assert_eq!(
            (sent.len(), told),
            (0, vec![format!("State(Ended({want}))")])
        );
    }
}

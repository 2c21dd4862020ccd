use super::*;

const AT: Duration = Duration::from_secs(1_000);
use Direction::{Incoming, Outgoing};

fn end(reason: EndReason) -> Sign {
    Sign::Progress(CallProgress::Ended(reason))
}

fn in_call() -> CallOutcome {
    CallOutcome::InCall {
        since: AT,
        heard: AT,
    }
}

fn after(outcome: &CallOutcome, direction: Direction, seconds: u64, sign: &Sign) -> String {
    let clock = AT + Duration::from_secs(seconds);
    advance(outcome, direction, AT, sign, clock).map_or_else(
        || "as before".to_owned(),
        |outcome| match outcome {
            CallOutcome::Ended { duration, .. } => {
                format!("{} {}", outcome.as_str(), duration.as_secs())
            }
            _ => outcome.as_str().to_owned(),
        },
    )
}

#[test]
fn every_sign_leads_where_it_should() {
    let ringing = CallOutcome::Ringing;
    let refused = |reason| Sign::Refused(reason);
    let end_by_us = Sign::End { by_us: true };
    let end_by_them = Sign::End { by_us: false };
    for (before, direction, seconds, sign, want) in [
        (&ringing, Incoming, 1, &Sign::Offer, "accepted"),
        (&ringing, Incoming, 1, &end_by_them, "missed"),
        (&ringing, Incoming, 1, &end_by_us, "failed"),
        (
            &ringing,
            Incoming,
            1,
            &refused(RefusalReason::Declined),
            "declined",
        ),
        (&ringing, Incoming, 1, &refused(RefusalReason::Busy), "busy"),
        (
            &ringing,
            Incoming,
            60,
            &refused(RefusalReason::Unanswered),
            "missed",
        ),
        (
            &ringing,
            Incoming,
            1,
            &refused(RefusalReason::AnsweredElsewhere),
            "answered_elsewhere",
        ),
        (
            &ringing,
            Incoming,
            60,
            &end(EndReason::Unanswered),
            "missed",
        ),
        (&ringing, Incoming, 2, &end(EndReason::Cancelled), "missed"),
        (&ringing, Outgoing, 5, &end_by_us, "cancelled"),
        (&ringing, Outgoing, 60, &end_by_us, "unanswered"),
        (&ringing, Outgoing, 5, &end_by_them, "declined"),
        (&ringing, Outgoing, 5, &refused(RefusalReason::Busy), "busy"),
        (
            &ringing,
            Outgoing,
            60,
            &refused(RefusalReason::Unanswered),
            "unanswered",
        ),
        (&ringing, Outgoing, 5, &end(EndReason::HungUp), "cancelled"),
        (
            &ringing,
            Outgoing,
            5,
            &Sign::Progress(CallProgress::Alive),
            "as before",
        ),
        (&CallOutcome::Accepted, Outgoing, 3, &end_by_us, "ended 0"),
        (
            &CallOutcome::Accepted,
            Outgoing,
            3,
            &end(EndReason::FailedToConnect),
            "failed",
        ),
        (
            &CallOutcome::Accepted,
            Outgoing,
            3,
            &refused(RefusalReason::Declined),
            "as before",
        ),
        (
            &CallOutcome::Accepted,
            Incoming,
            3,
            &Sign::Progress(CallProgress::Connected),
            "in_call",
        ),
        (&in_call(), Incoming, 192, &end_by_them, "ended 192"),
        (
            &in_call(),
            Incoming,
            192,
            &end(EndReason::HungUp),
            "ended 192",
        ),
        (
            &in_call(),
            Outgoing,
            192,
            &end(EndReason::Lost),
            "cut_off 192",
        ),
        (
            &in_call(),
            Outgoing,
            9,
            &Sign::Progress(CallProgress::Connected),
            "as before",
        ),
    ] {
        assert_eq!(
            after(before, direction, seconds, sign),
            want,
            "{before:?} {direction:?} {sign:?}"
        );
    }
}

#[test]
fn a_call_with_an_outcome_never_changes() {
    let signs = [
        Sign::Offer,
        Sign::Refused(RefusalReason::Busy),
        Sign::End { by_us: true },
        Sign::Progress(CallProgress::Connected),
        Sign::Progress(CallProgress::Alive),
        end(EndReason::Lost),
    ];
    let outcomes = [
        CallOutcome::Missed,
        CallOutcome::Declined,
        CallOutcome::Busy,
        CallOutcome::Unanswered,
        CallOutcome::Cancelled,
        CallOutcome::AnsweredElsewhere,
        CallOutcome::failed("x"),
        CallOutcome::Ended {
            duration: AT,
            cut_off: true,
        },
    ];
    for outcome in outcomes {
        for sign in &signs {
            for direction in [Incoming, Outgoing] {
                assert_eq!(after(&outcome, direction, 5, sign), "as before");
            }
        }
        assert_eq!(outcome.abandoned(Incoming), outcome);
    }
}

#[test]
fn a_program_that_died_leaves_a_call_of_the_length_last_heard() {
    let heard = AT + Duration::from_secs(30);
    let call = CallOutcome::InCall { since: AT, heard };
    assert_eq!(
        call.abandoned(Outgoing),
        CallOutcome::Ended {
            duration: Duration::from_secs(30),
            cut_off: true
        }
    );
    assert_eq!(
        CallOutcome::Ringing.abandoned(Incoming),
        CallOutcome::Missed
    );
    assert_eq!(
        CallOutcome::Ringing.abandoned(Outgoing),
        CallOutcome::Unanswered
    );
}

#[test]
fn words_of_a_failure_are_one_short_line() {
    let CallOutcome::Failed { words } = CallOutcome::failed(&"a\u{1b}[2J\nb ".repeat(200)) else {
        panic!("a failure");
    };
    assert!(
        words.len() <= 300 && words.starts_with("a[2J b a[2J"),
        "{words}"
    );
}

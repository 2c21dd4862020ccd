use super::*;

const AT: Duration = Duration::from_secs(1_000);
use Direction::{Incoming, Outgoing};

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

type Row = (CallOutcome, Direction, u64, Sign, &'static str);

const RINGING: CallOutcome = CallOutcome::Ringing;
const ACCEPTED: CallOutcome = CallOutcome::Accepted;
const IN_CALL: CallOutcome = CallOutcome::InCall {
    since: AT,
    heard: AT,
};
const END_BY_US: Sign = Sign::End { by_us: true };
const END_BY_THEM: Sign = Sign::End { by_us: false };

const fn told(progress: CallProgress) -> Sign {
    Sign::Progress(progress)
}

const fn ended(reason: EndReason) -> Sign {
    told(CallProgress::Ended(reason))
}

/// Before, whose call, seconds since it began, the sign, and the outcome with the seconds connected.
#[rustfmt::skip]
const STEPS: [Row; 26] = [
    (RINGING, Incoming, 1, Sign::Offer, "accepted"),
    (RINGING, Incoming, 1, END_BY_THEM, "missed"),
    (RINGING, Incoming, 1, END_BY_US, "failed"),
    (RINGING, Incoming, 1, Sign::Refused(RefusalReason::Declined), "declined"),
    (RINGING, Incoming, 1, Sign::Refused(RefusalReason::Busy), "busy"),
    (RINGING, Incoming, 60, Sign::Refused(RefusalReason::Unanswered), "missed"),
    (RINGING, Incoming, 1, Sign::Refused(RefusalReason::AnsweredElsewhere), "answered_elsewhere"),
    (RINGING, Incoming, 60, ended(EndReason::Unanswered), "missed"),
    (RINGING, Incoming, 2, ended(EndReason::Cancelled), "missed"),
    (RINGING, Outgoing, 5, END_BY_US, "cancelled"),
    (RINGING, Outgoing, 60, END_BY_US, "unanswered"),
    (RINGING, Outgoing, 5, END_BY_THEM, "declined"),
    (RINGING, Outgoing, 5, Sign::Refused(RefusalReason::Busy), "busy"),
    (RINGING, Outgoing, 60, Sign::Refused(RefusalReason::Unanswered), "unanswered"),
    (RINGING, Outgoing, 5, ended(EndReason::HungUp), "cancelled"),
    (RINGING, Outgoing, 5, told(CallProgress::Alive), "as before"),
    (RINGING, Outgoing, 5, told(CallProgress::Merged), "as before"),
    (ACCEPTED, Outgoing, 3, END_BY_US, "ended 0"),
    (ACCEPTED, Outgoing, 3, ended(EndReason::FailedToConnect), "failed"),
    (ACCEPTED, Outgoing, 3, Sign::Refused(RefusalReason::Declined), "as before"),
    (ACCEPTED, Incoming, 3, told(CallProgress::Connected), "in_call"),
    (IN_CALL, Incoming, 192, END_BY_THEM, "ended 192"),
    (IN_CALL, Incoming, 192, ended(EndReason::HungUp), "ended 192"),
    (IN_CALL, Outgoing, 192, ended(EndReason::Lost), "cut_off 192"),
    (IN_CALL, Outgoing, 9, told(CallProgress::Connected), "as before"),
    (IN_CALL, Outgoing, 9, Sign::Offer, "as before"),
];

#[test]
fn every_sign_leads_where_it_should() {
    for (before, direction, seconds, sign, want) in STEPS {
        let step = format!("{before:?} {direction:?} {sign:?}");
        assert_eq!(after(&before, direction, seconds, &sign), want, "{step}");
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
        ended(EndReason::Lost),
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

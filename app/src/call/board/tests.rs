use hullo_proto::call::{EndReason, Hullo, Media};

use super::*;

const ALICE: ContactId = ContactId(1);
const BOB: ContactId = ContactId(2);
const ONE: CallNumber = CallNumber(1);
const FRESH: Duration = Duration::ZERO;

#[expect(clippy::disallowed_methods, reason = "the zero of the test's clock")]
fn now() -> Instant {
    Instant::now()
}

fn id(byte: u8) -> CallId {
    CallId([byte; 16])
}

fn invitation(byte: u8) -> Invitation {
    Invitation {
        call_id: id(byte),
        media: Media::Audio,
        public_key: Some([7; 32]),
        hullo: Some(Hullo::ours()),
    }
}

fn invites(byte: u8) -> Message {
    Message::Invitation(invitation(byte))
}

#[test]
fn an_invitation_rings_and_its_messages_find_it() {
    let (mut board, now) = (Board::default(), now());
    let rings = board.message(now, ALICE, invites(5), FRESH);
    assert_eq!(rings, [Verdict::Ring(ALICE, invitation(5))]);
    board.rings(ONE, ALICE, id(5));
    let end = || Message::End(id(5));
    assert_eq!(
        board.message(now, BOB, end(), FRESH),
        [],
        "another contact cannot end it"
    );
    assert_eq!(
        board.message(now, ALICE, end(), FRESH),
        [Verdict::Deliver(ONE, end())]
    );
    board.finished(ONE);
    assert_eq!(board.message(now, ALICE, end(), FRESH), []);
}

#[test]
fn a_call_that_meets_another_becomes_one_and_the_smaller_id_stays() {
    for (own, theirs) in [(3, 4), (4, 3)] {
        let (mut board, now) = (Board::default(), now());
        assert_eq!(board.placed(ONE, ALICE, id(own)), []);
        let verdicts = board.message(now, ALICE, invites(theirs), FRESH);
        let (contact, kept, lost) = (ALICE, id(3), id(4));
        let merged = Verdict::Merged {
            contact,
            lost,
            kept,
        };
        assert_eq!(verdicts, [merged, Verdict::Deliver(ONE, invites(theirs))]);
        for both in [own, theirs] {
            let end = Message::End(id(both));
            assert_eq!(
                board.message(now, ALICE, end.clone(), FRESH),
                [Verdict::Deliver(ONE, end)]
            );
        }
    }
}

#[test]
fn a_call_that_was_given_up_meets_nobody() {
    let (mut board, now) = (Board::default(), now());
    board.placed(ONE, ALICE, id(3));
    board.ending(ONE);
    let rings = board.message(now, ALICE, invites(4), FRESH);
    assert_eq!(rings, [Verdict::Ring(ALICE, invitation(4))]);
}

#[test]
fn who_calls_again_during_a_call_has_forgotten_it() {
    let (mut board, now) = (Board::default(), now());
    board.placed(ONE, ALICE, id(3));
    board.changed(ONE, &CallState::Connected);
    let verdicts = board.message(now, ALICE, invites(1), FRESH);
    assert_eq!(
        verdicts,
        [Verdict::Forgotten(ONE), Verdict::Ring(ALICE, invitation(1))]
    );
    let other = board.message(now, BOB, invites(2), FRESH);
    assert_eq!(
        other,
        [Verdict::Ring(BOB, invitation(2))],
        "others only call too"
    );
}

#[test]
fn who_calls_twice_rings_once() {
    let (mut board, now) = (Board::default(), now());
    board.rings(ONE, ALICE, id(3));
    let verdicts = board.message(now, ALICE, invites(4), FRESH);
    let end = Verdict::Deliver(ONE, Message::End(id(3)));
    assert_eq!(verdicts, [end, Verdict::Ring(ALICE, invitation(4))]);
}

#[test]
fn an_old_invitation_is_missed_and_a_waiting_one_rings_unless_taken_back() {
    let (mut board, now) = (Board::default(), now());
    let missed = |byte, why| Verdict::Missed(ALICE, id(byte), why);
    let old = INVITATION_AGE_MAX + Duration::from_secs(1);
    assert_eq!(
        board.message(now, ALICE, invites(1), old),
        [missed(1, Unrung::Late)]
    );
    let waited = Duration::from_secs(170);
    assert_eq!(board.message(now, ALICE, invites(2), waited), []);
    let due = board.deadline().expect("it is to ring");
    assert_eq!(board.ring_late(now), []);
    assert_eq!(board.ring_late(due), [Verdict::Ring(ALICE, invitation(2))]);
    assert_eq!(board.message(now, ALICE, invites(3), waited), []);
    assert_eq!(
        board.message(now, ALICE, Message::End(id(3)), waited),
        [missed(3, Unrung::Late)]
    );
    assert_eq!(board.deadline(), None);
}

#[test]
fn calling_somebody_whose_invitation_is_about_to_ring_meets_it() {
    let (mut board, now) = (Board::default(), now());
    board.message(now, ALICE, invites(2), Duration::from_secs(3));
    let verdicts = board.placed(ONE, ALICE, id(1));
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    assert_eq!(board.deadline(), None);
}

#[test]
fn nothing_rings_while_nobody_wants_to_be_disturbed_and_calls_still_meet() {
    let (mut board, now) = (Board::default(), now());
    board.do_not_disturb = true;
    assert_eq!(
        board.message(now, BOB, invites(1), FRESH),
        [Verdict::Missed(BOB, id(1), Unrung::DoNotDisturb)]
    );
    board.placed(ONE, ALICE, id(3));
    assert_eq!(board.message(now, ALICE, invites(2), FRESH).len(), 2);
}

#[test]
fn more_calls_than_may_ring_are_told_that_we_are_busy() {
    let (mut board, now) = (Board::default(), now());
    for (at, number) in (0u8..).zip(1..=RINGING_MAX as u64) {
        board.rings(CallNumber(number), ContactId(number), id(at));
    }
    let verdicts = board.message(now, ContactId(9), invites(99), FRESH);
    let (call_id, reason) = (id(99), RefusalReason::Busy);
    let refused = Message::Refused { call_id, reason };
    let missed = Verdict::Missed(ContactId(9), call_id, Unrung::TooMany);
    assert_eq!(verdicts, [Verdict::Reply(ContactId(9), refused), missed]);
    board.changed(ONE, &CallState::Ended(EndReason::Declined));
    let verdicts = board.message(now, ContactId(9), invites(98), FRESH);
    assert!(matches!(verdicts[..], [Verdict::Ring(..)]));
}

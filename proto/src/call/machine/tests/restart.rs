use super::*;
use crate::call::message::{DescriptionKind, Restart};

fn restarts(side: &mut Side) -> (Vec<Message>, Vec<String>) {
    side.input(Input::Restart)
}

fn describe(side: &mut Side, generation: u32, sdp: &str) -> (Vec<Message>, Vec<String>) {
    side.input(Input::RestartDescription {
        generation,
        sdp: sdp.into(),
        candidates: candidates(0..1),
    })
}

fn restart_of(sent: &[Message]) -> &Restart {
    match sent {
        [Message::Restart(restart)] => restart,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_session_is_agreed_upon_by_one_offer_and_one_answer() {
    let (mut caller, mut callee) = pair(Stage::Connected);
    assert_eq!(restarts(&mut caller).1, ["MakeRestartOffer(1)"]);
    let (sent, _) = describe(&mut caller, 1, "offer");
    let offer = restart_of(&sent);
    assert!(offer.kind == DescriptionKind::Offer && offer.generation == 1);
    assert_eq!(callee.message(&sent[0]).1, ["MakeRestartAnswer(1)"]);
    let (sent, _) = describe(&mut callee, 1, "answer");
    assert_eq!(restart_of(&sent).kind, DescriptionKind::Answer);
    assert_eq!(caller.message(&sent[0]).1, ["ApplyRestartAnswer(1)"]);
    assert!(caller.message(&sent[0]).1.is_empty(), "once");
    assert_eq!(restarts(&mut callee).1, ["MakeRestartOffer(2)"]);
}

#[test]
fn of_two_offers_at_once_the_callees_stands_on_both_sides() {
    let (mut caller, mut callee) = pair(Stage::Connected);
    restarts(&mut caller);
    restarts(&mut callee);
    let (of_caller, _) = describe(&mut caller, 1, "caller's");
    let (of_callee, _) = describe(&mut callee, 1, "callee's");
    assert!(callee.message(&of_caller[0]).1.is_empty());
    assert_eq!(caller.message(&of_callee[0]).1, ["MakeRestartAnswer(1)"]);
    let (answer, _) = describe(&mut caller, 1, "answer");
    assert_eq!(callee.message(&answer[0]).1, ["ApplyRestartAnswer(1)"]);
}

#[test]
fn a_late_offer_is_ignored_and_a_flood_of_them_costs_one_a_second() {
    let (mut caller, mut callee) = pair(Stage::Connected);
    let mut taken = 0;
    for generation in 1..=50 {
        let message = Message::Restart(Restart {
            call_id: ID,
            generation,
            kind: DescriptionKind::Offer,
            sdp: "offer".into(),
            candidates: Vec::new(),
        });
        callee.now += Duration::from_millis(100);
        taken += callee.message(&message).1.len();
    }
    assert_eq!(taken, 5);
    restarts(&mut caller);
    let (old, _) = describe(&mut caller, 1, "offer");
    callee.now += Duration::from_secs(5);
    assert!(callee.message(&old[0]).1.is_empty());
}

#[test]
fn a_program_that_is_not_ours_is_never_asked_for_a_new_session() {
    let now = Instant::now();
    let mut caller = Side::caller(now);
    let (invitation, _) = caller.drain();
    let mut callee = Side::callee(now, &invitation[0]);
    callee.drain();
    callee.input(Input::Accept {
        media: Media::Audio,
    });
    let (mut sent, _) = callee.describe("offer", Vec::new());
    if let Message::Offer(offer) = &mut sent[0] {
        offer.hullo = None;
    }
    caller.message(&sent[0]);
    caller.describe("answer", Vec::new());
    caller.input(Input::SessionConnected);
    let (sent, told) = restarts(&mut caller);
    assert!(sent.is_empty() && told.is_empty(), "{told:?}");
}

#[test]
fn nothing_restarts_before_the_call_is_connected_or_after_its_end() {
    for stage in STAGES {
        let (mut caller, mut callee) = pair(stage);
        if stage == Stage::Connected {
            caller.input(Input::HangUp);
            callee.input(Input::HangUp);
        }
        for side in [&mut caller, &mut callee] {
            let (sent, told) = restarts(side);
            assert!(sent.is_empty() && told.is_empty(), "{stage:?}: {told:?}");
        }
    }
}

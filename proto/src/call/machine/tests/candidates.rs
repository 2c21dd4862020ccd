use super::super::super::MESSAGE_BYTES_MAX;
use super::*;

#[test]
fn candidates_wait_until_the_own_description_is_sent() {
    let (mut caller, mut callee) = pair(Stage::Accepted);
    assert!(
        callee
            .input(Input::LocalCandidates(candidates(10..12)))
            .0
            .is_empty()
    );
    let (sent, _) = callee.describe("offer", candidates(0..1));
    let Message::Offer(offer) = &sent[0] else {
        panic!("{sent:?}")
    };
    assert!(offer.candidates == [candidate(0), candidate(10), candidate(11)]);
    assert!(
        caller
            .input(Input::LocalCandidates(candidates(20..21)))
            .0
            .is_empty()
    );
    caller.message(&sent[0]);
    assert!(
        caller
            .input(Input::LocalCandidates(candidates(21..22)))
            .0
            .is_empty()
    );
    let (sent, _) = callee.input(Input::LocalCandidates(candidates(12..13)));
    assert_eq!(caller.message(&sent[0]).1, ["RemoteCandidates(1)"]);
    let (sent, _) = caller.describe("answer", Vec::new());
    let Message::Answer(answer) = &sent[0] else {
        panic!("{sent:?}")
    };
    assert!(answer.candidates == candidates(20..22));
    callee.message(&sent[0]);
    let (sent, _) = caller.input(Input::LocalCandidates(candidates(22..23)));
    assert_eq!(callee.message(&sent[0]).1, ["RemoteCandidates(1)"]);
}

#[test]
fn candidates_are_sent_in_shares_that_fit_a_message_and_bounded() {
    let (_, mut callee) = pair(Stage::Accepted);
    let (sent, _) = callee.describe("offer", candidates(0..1_000));
    let (again, _) = callee.input(Input::LocalCandidates(candidates(1_000..1_010)));
    assert!(again.is_empty());
    let mut all = Vec::new();
    for message in &sent {
        assert!(message.write([0; 12]).unwrap().len() < MESSAGE_BYTES_MAX);
        match message {
            Message::Offer(Offer { candidates, .. }) | Message::Extra(Extra { candidates, .. }) => {
                assert!(candidates.len() <= CANDIDATES_IN_MESSAGE);
                all.extend(candidates.iter().cloned());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(all == candidates(0..CANDIDATES_IN_CALL_MAX));
}

#[test]
fn candidates_of_the_other_side_are_bounded() {
    let (mut caller, _) = pair(Stage::Connected);
    let mut taken = 2;
    for _ in 0..20 {
        let extra = Message::Extra(Extra {
            call_id: ID,
            candidates: candidates(0..CANDIDATES_MAX),
        });
        caller
            .machine
            .handle_input(caller.now, Input::Message(&extra));
        while let Output::Event(CallEvent::RemoteCandidates(more)) = caller.machine.poll_output() {
            taken += more.len();
        }
    }
    assert_eq!(taken, CANDIDATES_IN_CALL_MAX);
    assert_eq!(caller.machine.ignored_messages(), 18);
}

//! Both call each other at once, in every order of what is said and heard.

use std::collections::VecDeque;

use rand::RngExt as _;

use super::*;

/// One of the two, with what is on its way to it.
struct Caller {
    side: Side,
    inbox: VecDeque<Message>,
    described: bool,
}

impl Caller {
    fn new(id: CallId, media: Media, seed: u64, now: Instant) -> Self {
        let machine = CallMachine::call(id, media, rng(seed), now);
        Self {
            side: Side {
                machine,
                now,
                keys: None,
            },
            inbox: VecDeque::new(),
            described: false,
        }
    }
}

/// Two who call at once, and a seed that says who hears what when. `hangs_up`: the one who gives up, at any moment
/// before the session is described.
fn meet(seed: u64, hangs_up: Option<usize>) -> [Caller; 2] {
    let now = Instant::now();
    let mut order = rng(seed);
    let ids = [
        CallId([1 + (seed % 2) as u8; 16]),
        CallId([2 - (seed % 2) as u8; 16]),
    ];
    let mut people = [
        Caller::new(ids[0], Media::Video, seed + 100, now),
        Caller::new(ids[1], Media::Audio, seed + 200, now),
    ];
    let mut hangs_up_in = hangs_up.map(|who| (who, order.random_range(0..8)));
    for index in 0..2 {
        let (sent, _) = people[index].side.drain();
        people[1 - index].inbox.extend(sent);
    }
    for turn in 0..64 {
        let index = usize::from(order.random_bool(0.5));
        let sent = if let Some((who, _)) = hangs_up_in.take_if(|(_, at)| *at <= turn) {
            let (sent, _) = people[who].side.input(Input::HangUp);
            people[1 - who].inbox.extend(sent);
            continue;
        } else if people[index].side.keys.is_some() && !people[index].described {
            people[index].described = true;
            people[index].side.describe("sdp", candidates(0..1)).0
        } else if let Some(message) = people[index].inbox.pop_front() {
            people[index].side.message(&message).0
        } else {
            continue;
        };
        people[1 - index].inbox.extend(sent);
    }
    people
}

#[test]
fn two_who_call_each_other_at_once_are_in_one_call() {
    for seed in 0..300 {
        let [mut one, mut other] = meet(seed, None);
        assert!(
            one.inbox.is_empty() && other.inbox.is_empty(),
            "seed {seed}"
        );
        let (a, b) = (&one.side.machine, &other.side.machine);
        assert_eq!(
            a.call_id(),
            CallId([1; 16]),
            "seed {seed}: the smaller id stays"
        );
        assert_eq!(a.call_id(), b.call_id(), "seed {seed}");
        assert_ne!(a.role(), b.role(), "seed {seed}");
        assert_eq!(
            (a.media(), b.media()),
            (Media::Video, Media::Audio),
            "seed {seed}"
        );
        for side in [&mut one.side, &mut other.side] {
            assert_eq!(
                side.input(Input::SessionConnected).1,
                ["State(Connected)"],
                "seed {seed}"
            );
        }
        let keys = [one.side.keys.unwrap(), other.side.keys.unwrap()];
        assert_eq!(
            keys[0].secret.as_bytes(),
            keys[1].secret.as_bytes(),
            "seed {seed}"
        );
        assert_eq!(keys[0].call_id, keys[1].call_id, "seed {seed}");
    }
}

#[test]
fn who_gives_up_while_both_call_leaves_nobody_waiting() {
    for seed in 0..300 {
        let people = meet(seed, Some((seed / 2 % 2) as usize));
        for person in people {
            assert!(person.inbox.is_empty(), "seed {seed}");
            // Whoever had given up before it heard of the other's call is rung by it and then told of its end, which is
            // for the switchboard to see; the one who still called must not wait for an answer that never comes.
            let machine = person.side.machine;
            assert!(
                machine.is_ended() || machine.call_id() == CallId([1; 16]),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn an_invitation_that_cannot_be_encrypted_ends_the_call_it_meets() {
    let mut caller = Side::caller(Instant::now());
    caller.drain();
    let met = Message::Invitation(Invitation {
        call_id: CallId([1; 16]),
        media: Media::Audio,
        public_key: None,
        hullo: Some(Hullo::ours()),
    });
    let (sent, told) = caller.message(&met);
    assert!(told[0].contains("PeerIncompatible"), "{told:?}");
    assert_eq!(
        sent.iter().map(Message::call_id).collect::<Vec<_>>(),
        [Some(ID), Some(CallId([1; 16]))],
        "both calls are over"
    );
}

#[test]
fn a_second_invitation_meets_no_call_that_was_taken() {
    for stage in STAGES.into_iter().skip(3) {
        let (mut caller, _) = pair(stage);
        let before = caller.machine.call_id();
        let met = Message::Invitation(Invitation {
            call_id: CallId([1; 16]),
            media: Media::Audio,
            public_key: Some([9; 32]),
            hullo: Some(Hullo::ours()),
        });
        let (sent, told) = caller.message(&met);
        assert!(sent.is_empty() && told.is_empty(), "{stage:?}");
        assert_eq!(caller.machine.call_id(), before, "{stage:?}");
    }
}

use proptest::prelude::*;

use super::super::super::DescriptionKind;
use super::super::super::message::Restart;
use super::*;

/// The 32-byte encodings of points whose shared secret is zero whatever the own key (RFC 7748 §6.1).
const WEAK_KEYS: [[u8; 32]; 2] = [[0; 32], {
    let mut one = [0; 32];
    one[0] = 1;
    one
}];

fn invitation() -> Invitation {
    Invitation {
        call_id: ID,
        media: Media::Audio,
        public_key: Some(KeyPair::random(&mut rng(9)).public()),
        hullo: Some(Hullo::ours()),
    }
}

fn unknown_layout() -> Option<Hullo> {
    Some(Hullo {
        layouts: vec!["later".into()],
        ..Hullo::ours()
    })
}

#[test]
fn an_invitation_that_cannot_be_encrypted_does_not_ring() {
    let refused = |invitation| CallMachine::incoming(Instant::now(), invitation, rng(3)).err();
    assert_eq!(refused(invitation()), None);
    assert_eq!(
        refused(Invitation {
            hullo: None,
            ..invitation()
        }),
        None
    );
    assert_eq!(
        refused(Invitation {
            public_key: None,
            ..invitation()
        }),
        Some(Refused::NotEncrypted)
    );
    for key in WEAK_KEYS {
        assert_eq!(
            refused(Invitation {
                public_key: Some(key),
                ..invitation()
            }),
            Some(Refused::WeakKey)
        );
    }
    assert_eq!(
        refused(Invitation {
            hullo: unknown_layout(),
            ..invitation()
        }),
        Some(Refused::Incompatible)
    );
}

#[test]
fn an_offer_that_cannot_be_encrypted_ends_the_call_and_says_why() {
    let offer = || Offer {
        call_id: ID,
        media: Media::Audio,
        public_key: Some([9; 32]),
        sdp: "offer".into(),
        candidates: Vec::new(),
        hullo: Some(Hullo::ours()),
    };
    for (bad, want) in [
        (
            Offer {
                public_key: None,
                ..offer()
            },
            Refused::NotEncrypted,
        ),
        (
            Offer {
                public_key: Some(WEAK_KEYS[0]),
                ..offer()
            },
            Refused::WeakKey,
        ),
        (
            Offer {
                public_key: Some(WEAK_KEYS[1]),
                ..offer()
            },
            Refused::WeakKey,
        ),
        (
            Offer {
                hullo: unknown_layout(),
                ..offer()
            },
            Refused::Incompatible,
        ),
    ] {
        let (mut caller, _) = pair(Stage::Invited);
        let (sent, told) = caller.message(&Message::Offer(bad));
        assert!(ends(&sent) && caller.keys.is_none());
        let reason = EndReason::PeerIncompatible(want.to_string());
        assert_eq!(told, [format!("State(Ended({reason:?}))")]);
    }
    let (mut caller, _) = pair(Stage::Invited);
    caller.message(&Message::Offer(Offer {
        hullo: None,
        ..offer()
    }));
    assert_eq!(caller.keys.unwrap().layout, Layout::Simplex);
}

#[test]
fn a_second_offer_is_refused_and_cannot_change_the_keys() {
    for stage in [Stage::OfferReceived, Stage::Answered, Stage::Connected] {
        let (mut caller, _) = pair(stage);
        let second = Message::Offer(Offer {
            call_id: ID,
            media: Media::Video,
            public_key: Some([8; 32]),
            sdp: "another".into(),
            candidates: Vec::new(),
            hullo: None,
        });
        let (sent, told) = caller.message(&second);
        assert!(sent.is_empty() && told.is_empty(), "{stage:?}");
        assert_eq!(caller.machine.ignored_messages(), 1);
    }
}

#[test]
fn messages_of_other_calls_and_stages_are_counted_and_nothing_else() {
    let (mut caller, mut callee) = pair(Stage::Invited);
    let other = CallId([6; 16]);
    let restart = Restart {
        call_id: ID,
        generation: 1,
        kind: DescriptionKind::Offer,
        sdp: "v=0".into(),
        candidates: Vec::new(),
    };
    let extra = Message::Extra(Extra {
        call_id: ID,
        candidates: candidates(0..1),
    });
    for (by_caller, message) in [
        (true, Message::End(other)),
        (
            true,
            Message::Unknown {
                event: "x.new".into(),
            },
        ),
        (true, extra.clone()),
        (true, Message::Invitation(invitation())),
        (true, Message::Restart(restart)),
        (false, Message::Ringing(ID)),
        (
            false,
            Message::Refused {
                call_id: ID,
                reason: RefusalReason::Busy,
            },
        ),
        (false, extra),
    ] {
        let side = if by_caller { &mut caller } else { &mut callee };
        let before = side.machine.ignored_messages();
        let (sent, told) = side.message(&message);
        assert!(sent.is_empty() && told.is_empty(), "{message:?}");
        assert_eq!(side.machine.ignored_messages(), before + 1, "{message:?}");
    }
}

/// Everything that can happen, by number.
fn anything(
    choice: u8,
    id: CallId,
    key: Option<[u8; 32]>,
) -> (Option<Message>, Option<Input<'static>>) {
    let sdp = String::from("v=0");
    let (media, hullo) = (Media::Audio, Some(Hullo::ours()));
    let list = candidates(0..usize::from(choice % 4) * 20);
    let message = match choice {
        0 => Message::Ringing(id),
        1 | 2 => Message::Offer(Offer {
            call_id: id,
            media,
            public_key: key,
            sdp,
            candidates: list,
            hullo,
        }),
        3 | 4 => Message::Answer(Answer {
            call_id: id,
            sdp,
            candidates: list,
            hullo,
        }),
        5 | 6 => Message::Extra(Extra {
            call_id: id,
            candidates: list,
        }),
        7 => Message::End(id),
        8 => Message::Refused {
            call_id: id,
            reason: RefusalReason::Busy,
        },
        9 => Message::Invitation(Invitation {
            call_id: id,
            media,
            public_key: key,
            hullo,
        }),
        10 => Message::Unknown {
            event: "x.new".into(),
        },
        _ => {
            return (
                None,
                Some(match choice {
                    11 | 12 => Input::Accept { media },
                    13 => Input::Reject,
                    14 => Input::HangUp,
                    15..=18 => Input::LocalDescription {
                        sdp,
                        candidates: list,
                    },
                    19 => Input::LocalCandidates(list),
                    20 | 21 => Input::SessionConnected,
                    22 => Input::SessionLost,
                    _ => Input::Timeout,
                }),
            );
        }
    };
    (Some(message), None)
}

proptest! {
    #[test]
    fn nothing_panics_and_ended_is_final(
        is_caller: bool,
        steps in prop::collection::vec((0..24_u8, 0..12_u8, prop::option::of(any::<[u8; 32]>()), 0..4_000_u64), 0..60),
    ) {
        let start = Instant::now();
        let mut side = if is_caller {
            Side::caller(start)
        } else {
            Side::callee(start, &Message::Invitation(invitation()))
        };
        side.drain();
        let mut ended = 0;
        for (choice, id, key, later_ms) in steps {
            side.now += Duration::from_millis(later_ms);
            let was_ended = side.machine.is_ended();
            let id = if id == 0 { CallId([6; 16]) } else { ID };
            let (sent, told) = match anything(choice, id, key) {
                (Some(message), _) => side.message(&message),
                (None, input) => side.input(input.unwrap_or(Input::Timeout)),
            };
            prop_assert!(sent.len() + told.len() <= 16, "one input never floods: {:?} {:?}", sent, told);
            prop_assert!(!was_ended || (sent.is_empty() && told.is_empty() && side.machine.is_ended()));
            let ends = told.iter().filter(|event| event.starts_with("State(Ended")).count();
            ended += ends;
            prop_assert_eq!(side.machine.is_ended(), ended == 1);
            prop_assert!(side.machine.deadline().is_none_or(|deadline| deadline > side.now));
        }
    }
}

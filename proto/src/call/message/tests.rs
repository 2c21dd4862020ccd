use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const CAPTURES: [&str; 2] = [
    include_str!("../../../vectors/simplex-call-video.json"),
    include_str!("../../../vectors/simplex-call-audio.json"),
];

fn candidate(text: &str) -> IceCandidate {
    IceCandidate {
        candidate: text.into(),
        mid: Some("0".into()),
        m_line_index: Some(0),
        username_fragment: None,
    }
}

fn invitation() -> Invitation {
    Invitation {
        call_id: CallId([0xfe; 16]),
        media: Media::Video,
        public_key: Some([9; 32]),
        hullo: Some(Hullo {
            name: Some("Ada".into()),
            ..Hullo::ours()
        }),
    }
}

fn parse(value: &Value) -> Result<Message, MessageError> {
    Message::parse(value.to_string().as_bytes())
}

fn written(message: &Message) -> Value {
    serde_json::from_slice(&message.write([0; 12]).unwrap()).unwrap()
}

#[test]
fn recorded_messages_are_read_and_written_again_word_for_word() {
    for capture in CAPTURES {
        let capture: Value = serde_json::from_str(capture).unwrap();
        let wire = capture["wire"].as_array().unwrap();
        assert_eq!(wire.len(), 3);
        for recorded in wire {
            let (event, params) = (&recorded["event"], &recorded["params"]);
            let message =
                parse(&json!({"v": "1-19", "msgId": "AAAA", "event": event, "params": params}))
                    .unwrap();
            let again = written(&message);
            assert_eq!(again["event"], *event);
            match &message {
                Message::Invitation(_) => assert_eq!(again["params"], *params),
                Message::Offer(offer) => {
                    assert!(offer.sdp.starts_with("v=0\r\n") && offer.candidates.len() == 8);
                    assert_eq!(
                        again["params"]["offer"]["callDhPubKey"],
                        params["offer"]["callDhPubKey"]
                    );
                }
                Message::Answer(answer) => {
                    assert!(answer.sdp.starts_with("v=0\r\n") && answer.candidates.len() == 1);
                }
                other => panic!("{other:?} is not in the capture"),
            }
            // The order inside the compressed texts is free, their meaning is not.
            assert!(parse(&again).unwrap() == message);
        }
    }
}

#[test]
fn every_message_comes_back() {
    let call_id = CallId([0xfe; 16]);
    let candidates = vec![
        candidate("candidate:1 1 udp 1 127.0.0.1 4 typ host"),
        candidate(""),
    ];
    let sdp = String::from("v=0\r\n");
    let hullo = Some(Hullo::ours());
    for message in [
        Message::Invitation(invitation()),
        Message::Invitation(Invitation {
            public_key: None,
            hullo: None,
            ..invitation()
        }),
        Message::Offer(Offer {
            call_id,
            media: Media::Audio,
            public_key: Some([1; 32]),
            sdp: sdp.clone(),
            candidates: candidates.clone(),
            hullo: hullo.clone(),
        }),
        Message::Answer(Answer {
            call_id,
            sdp: sdp.clone(),
            candidates: candidates.clone(),
            hullo,
        }),
        Message::Extra(Extra {
            call_id,
            candidates: candidates.clone(),
        }),
        Message::End(call_id),
        Message::Gone(call_id),
        Message::Ringing(call_id),
        Message::Refused {
            call_id,
            reason: RefusalReason::AnsweredElsewhere,
        },
        Message::Restart(Restart {
            call_id,
            generation: 2,
            kind: DescriptionKind::Answer,
            sdp,
            candidates,
        }),
    ] {
        assert!(parse(&written(&message)).unwrap() == message, "{message:?}");
        assert_eq!(message.call_id(), Some(call_id));
    }
}

#[test]
fn the_wire_form_is_the_agreed_one() {
    let key = "MCowBQYDK2VuAyEACQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    assert_eq!(
        written(&Message::Invitation(invitation())),
        json!({"v": "1", "msgId": "AAAAAAAAAAAAAAAA", "event": "x.call.inv", "params": {
            "callId": "_v7-_v7-_v7-_v7-_v7-_g==",
            "invitation": {
                "callType": {"media": "video", "capabilities": {"encryption": true}},
                "callDhPubKey": key,
            },
            "hullo": {"version": 1, "layouts": ["hullo"], "codecs": ["h264"], "sideChannel": true, "parity": true, "answererLeads": true,
                "name": "Ada"},
        }})
    );
    let refused = Message::Refused {
        call_id: CallId([0; 16]),
        reason: RefusalReason::Busy,
    };
    assert_eq!(
        written(&refused)["params"],
        json!({"callId": "AAAAAAAAAAAAAAAAAAAAAA==", "reason": "busy"})
    );
}

#[test]
fn unknown_members_and_events_are_no_errors() {
    let mut value = written(&Message::Invitation(invitation()));
    value["params"]["new"] = json!([1, {"deep": 2}]);
    value["params"]["hullo"]["new"] = json!(true);
    value["params"]["invitation"]["callType"]["capabilities"]["new"] = json!("x");
    assert!(parse(&value) == Ok(Message::Invitation(invitation())));
    let unknown = parse(&json!({"event": "x.msg.\u{1b}new", "params": {"callId": 7}})).unwrap();
    assert!(
        unknown
            == Message::Unknown {
                event: "x.msg.new".into()
            }
    );
    assert_eq!(unknown.call_id(), None);
}

#[test]
fn what_is_wrong_is_named() {
    let good = written(&Message::Invitation(invitation()));
    let check = |path: &str, bad: Value, want: MessageError| {
        let mut value = good.clone();
        *value.pointer_mut(path).unwrap() = bad;
        assert_eq!(parse(&value).err(), Some(want), "{path}");
    };
    check("/params/callId", json!("AAAA"), MessageError::CallId);
    check(
        "/params/callId",
        json!("AAAAAAAAAAAAAAAAAAAAAA"),
        MessageError::CallId,
    );
    check(
        "/params/invitation/callDhPubKey",
        json!("AAAA"),
        MessageError::Key,
    );
    check(
        "/params/invitation/callType/media",
        json!("smell"),
        MessageError::Media,
    );
    check("/params/hullo/name", json!("a\u{7}"), MessageError::Hullo);
    check(
        "/params/hullo/name",
        json!("a".repeat(65)),
        MessageError::Hullo,
    );
    check(
        "/params/hullo/codecs",
        json!(vec!["x"; 17]),
        MessageError::Hullo,
    );
    check(
        "/params/callId",
        json!(7),
        MessageError::Form("a member has the wrong type".into()),
    );
    check(
        "/params/invitation",
        json!({}),
        MessageError::Form("missing field `callType`".into()),
    );
    assert_eq!(
        Message::parse(&[b' '; 70_000]).err(),
        Some(MessageError::TooLong(70_000))
    );
    assert_eq!(
        Message::parse(b"{\"event\":").err(),
        Some(MessageError::Form("not JSON at line 1, column 9".into()))
    );
}

#[test]
fn a_key_without_encryption_is_no_key() {
    let mut value = written(&Message::Invitation(invitation()));
    value["params"]["invitation"]["callType"]["capabilities"]["encryption"] = json!(false);
    let Ok(Message::Invitation(read)) = parse(&value) else {
        panic!("not read")
    };
    assert_eq!(read.public_key, None);
}

#[test]
fn bad_sessions_are_named() {
    let call_id = CallId([0; 16]);
    let extra = |text: &str| {
        let candidates = super::super::lz::compress(text);
        json!({"event": "x.call.extra", "params": {"callId": "AAAAAAAAAAAAAAAAAAAAAA==",
            "extra": {"rtcExtraInfo": {"rtcIceCandidates": candidates}}}})
    };
    let one = json!({"candidate": "", "sdpMid": null, "sdpMLineIndex": null});
    assert!(parse(&extra(&json!([one]).to_string())).is_ok());
    assert_eq!(
        parse(&extra(&json!(vec![one; 65]).to_string())).err(),
        Some(MessageError::Candidates)
    );
    let long = json!([{"candidate": "c".repeat(1_025)}]);
    assert_eq!(
        parse(&extra(&long.to_string())).err(),
        Some(MessageError::Candidates)
    );
    let bomb = parse(&extra(&"a".repeat(270_000))).err();
    let (member, source) = ("rtcIceCandidates", LzError::TooLong);
    assert_eq!(bomb, Some(MessageError::Compression { member, source }));

    let restart = Restart {
        call_id,
        generation: 1,
        kind: DescriptionKind::Offer,
        sdp: "v=0".into(),
        candidates: Vec::new(),
    };
    let session = written(&Message::Restart(restart))["params"]["restart"]["rtcSession"].clone();
    // An offer where an answer belongs.
    let answer = json!({"event": "x.call.answer", "params": {"callId": "AAAAAAAAAAAAAAAAAAAAAA==",
        "answer": {"rtcSession": session}}});
    assert_eq!(parse(&answer).err(), Some(MessageError::Description));
}

#[test]
fn a_message_longer_than_a_block_is_not_written() {
    let noise = (0..40_u32)
        .map(|n| candidate(&format!("{:0>500}", n.wrapping_mul(2_654_435_761))))
        .collect();
    let short = Message::Extra(Extra {
        call_id: CallId([0; 16]),
        candidates: noise,
    });
    assert!(short.write([0; 12]).is_ok(), "repetition compresses well");
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 24) as u8 % 90)
    };
    let candidates = (0..20)
        .map(|_| candidate(&(0..1_000).map(|_| next()).collect::<String>()))
        .collect();
    let long = Message::Extra(Extra {
        call_id: CallId([0; 16]),
        candidates,
    });
    assert!(matches!(long.write([0; 12]), Err(MessageError::TooLong(_))));
}

#[test]
fn debugging_shows_no_address_and_no_whole_id() {
    let message = Message::Extra(Extra {
        call_id: CallId([0xab; 16]),
        candidates: vec![candidate("candidate:1 1 udp 1 192.0.2.7 4 typ host")],
    });
    assert_eq!(format!("{message:?}"), "x.call.extra(ababab…)");
    assert!(!format!("{:?}", candidate("192.0.2.7")).contains("192"));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9.]{0,80}") {
        let _ = Message::parse(&bytes);
        let _ = Message::parse(text.as_bytes());
    }

    #[test]
    fn a_damaged_message_never_panics(at in 0_usize..600, byte in any::<u8>()) {
        let mut json = Message::Offer(Offer {
            call_id: CallId([3; 16]),
            media: Media::Video,
            public_key: Some([1; 32]),
            sdp: "v=0\r\n".into(),
            candidates: vec![candidate("candidate:1")],
            hullo: Some(Hullo::ours()),
        })
        .write([0; 12])
        .unwrap();
        let at = at % json.len();
        json[at] = byte;
        if let Ok(message) = Message::parse(&json) {
            let unknown = matches!(message, Message::Unknown { .. });
            prop_assert!(unknown || message.write([0; 12]).is_ok());
        }
    }
}

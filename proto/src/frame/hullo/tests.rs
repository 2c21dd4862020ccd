use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::replay::WINDOW;

#[derive(Deserialize)]
struct Vectors {
    secret: String,
    call_id: String,
    sender_public: String,
    receiver_public: String,
    frames: Vec<Vector>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    kind: String,
    mid: String,
    counter: String,
    frame: String,
    wire: String,
    opened: String,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    mid: String,
    wire: String,
    error: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../vectors/hullo-frame.json")).unwrap()
}

fn kind(name: &str) -> FrameKind {
    match name {
        "audio" => FrameKind::Audio,
        "delta" => FrameKind::VideoDelta,
        "key" => FrameKind::VideoKey,
        other => panic!("unknown kind {other}"),
    }
}

const SENDER: [u8; 32] = [2; 32];
const RECEIVER: [u8; 32] = [3; 32];

fn secret() -> CallSecret {
    CallSecret::from_bytes([7; 32]).unwrap()
}

fn context(secret: &CallSecret, own_public: [u8; 32], peer_public: [u8; 32]) -> FrameContext<'_> {
    FrameContext {
        secret,
        call_id: [1; 16],
        own_public,
        peer_public,
    }
}

fn sealer(mid: &str) -> Sealer {
    Sealer::new(context(&secret(), SENDER, RECEIVER), mid)
}

fn opener(mid: &str) -> Opener {
    Opener::new(context(&secret(), RECEIVER, SENDER), mid)
}

fn key_frame() -> Vec<u8> {
    let mut frame = bytes("000000016742c01f8c8d40500000000168ce3c800000000165b8");
    frame.extend((0..200_u8).map(|n| n.wrapping_mul(37)));
    frame
}

#[test]
fn frames_agree_with_an_independent_implementation() {
    let vectors = vectors();
    let secret = CallSecret::from_bytes(array(&vectors.secret)).unwrap();
    let sender = FrameContext {
        secret: &secret,
        call_id: array(&vectors.call_id),
        own_public: array(&vectors.sender_public),
        peer_public: array(&vectors.receiver_public),
    };
    let receiver = FrameContext {
        own_public: sender.peer_public,
        peer_public: sender.own_public,
        ..sender
    };
    assert_eq!(vectors.frames.len(), 12);
    for vector in &vectors.frames {
        let counter = vector.counter.parse().unwrap();
        let mut sealer = Sealer::new(sender, &vector.mid);
        sealer.next_counter = counter;
        let sealed = sealer
            .seal(kind(&vector.kind), &bytes(&vector.frame))
            .unwrap();
        assert_eq!(sealed.as_bytes(), bytes(&vector.wire), "{}", vector.name);
        let opened = Opener::new(receiver, &vector.mid)
            .open(sealed.as_bytes())
            .unwrap();
        let want = OpenedFrame {
            kind: kind(&vector.kind),
            counter,
            frame: bytes(&vector.opened),
            copies: Vec::new(),
            report: None,
        };
        assert!(opened == want, "{}", vector.name);
    }
    assert_eq!(vectors.refused.len(), 20);
    for vector in &vectors.refused {
        let error = Opener::new(receiver, &vector.mid)
            .open(&bytes(&vector.wire))
            .unwrap_err();
        assert_eq!(format!("{error:?}"), vector.error, "{}", vector.name);
    }
}

#[test]
fn a_frame_opens_once_and_only_towards_the_peer_on_its_own_track_and_call() {
    let sealed = sealer("0").seal(FrameKind::Audio, b"sound").unwrap();
    let mut right = opener("0");
    assert_eq!(right.open(sealed.as_bytes()).unwrap().frame, b"sound");
    assert_eq!(right.open(sealed.as_bytes()), Err(OpenError::Replayed));

    let secret = secret();
    let other_secret = CallSecret::from_bytes([8; 32]).unwrap();
    let other_call = FrameContext {
        call_id: [9; 16],
        ..context(&secret, RECEIVER, SENDER)
    };
    for (name, mut wrong) in [
        ("other mid", opener("2")),
        (
            "reflected",
            Opener::new(context(&secret, SENDER, RECEIVER), "0"),
        ),
        ("other call", Opener::new(other_call, "0")),
        (
            "other secret",
            Opener::new(context(&other_secret, RECEIVER, SENDER), "0"),
        ),
    ] {
        assert_eq!(
            wrong.open(sealed.as_bytes()),
            Err(OpenError::NotAuthentic),
            "{name}"
        );
    }
}

#[test]
fn every_single_flipped_bit_is_refused_and_costs_nothing() {
    let mut video = sealer("1");
    let wires = [
        (
            "0",
            sealer("0").seal(FrameKind::Audio, b"\x78sound").unwrap(),
        ),
        ("1", video.seal(FrameKind::VideoKey, &key_frame()).unwrap()),
        (
            "1",
            video
                .seal(FrameKind::VideoDelta, &bytes("0000000141009a0b0c"))
                .unwrap(),
        ),
    ];
    for (mid, sealed) in wires {
        let mut opener = opener(mid);
        for at in 0..sealed.as_bytes().len() {
            for bit in 0..8 {
                let mut flipped = sealed.as_bytes().to_vec();
                flipped[at] ^= 1 << bit;
                assert!(
                    opener.open(&flipped).is_err(),
                    "bit {bit} of byte {at} on mid {mid}"
                );
            }
        }
        assert!(opener.open(sealed.as_bytes()).is_ok());
    }
}

#[test]
fn the_window_opens_its_oldest_frame_and_refuses_the_one_before() {
    let mut sealer = sealer("0");
    let frames: Vec<_> = (0..=WINDOW)
        .map(|_| sealer.seal(FrameKind::Audio, b"sound").unwrap())
        .collect();
    let mut opener = opener("0");
    assert_eq!(
        opener
            .open(frames[WINDOW as usize].as_bytes())
            .unwrap()
            .counter,
        WINDOW
    );
    assert_eq!(opener.open(frames[0].as_bytes()), Err(OpenError::TooOld));
    assert_eq!(opener.open(frames[1].as_bytes()).unwrap().counter, 1);
}

#[test]
fn a_forged_counter_does_not_move_the_window() {
    let mut sealer = sealer("0");
    let first = sealer.seal(FrameKind::Audio, b"sound").unwrap();
    sealer.next_counter = 1 << 40;
    let mut forged = sealer
        .seal(FrameKind::Audio, b"sound")
        .unwrap()
        .into_bytes();
    forged[0] ^= 1;
    let mut opener = opener("0");
    assert_eq!(opener.open(&forged), Err(OpenError::NotAuthentic));
    assert!(opener.open(first.as_bytes()).is_ok());
}

#[test]
fn the_last_counter_is_never_used() {
    let mut sealer = sealer("0");
    sealer.next_counter = u64::MAX - 1;
    assert!(sealer.seal(FrameKind::Audio, b"sound").is_ok());
    for _ in 0..2 {
        assert_eq!(
            sealer.seal(FrameKind::Audio, b"sound"),
            Err(SealError::CountersUsedUp)
        );
    }
}

#[test]
fn what_the_layout_cannot_carry_is_refused_when_sealing() {
    let check = |kind, frame: &[u8], want| assert_eq!(sealer("1").seal(kind, frame), Err(want));
    check(FrameKind::Audio, b"", SealError::Empty);
    check(FrameKind::Audio, &[1; 4_001], SealError::TooLong(4_001));
    check(
        FrameKind::VideoKey,
        &vec![1; (1 << 20) + 1],
        SealError::TooLong((1 << 20) + 1),
    );
    for (hex, want) in [
        ("65b8010203", PrefixError::NotAnnexB),
        ("ff0000000165b8", PrefixError::NotAnnexB),
        ("000000016742", PrefixError::NoSlice),
        ("0000000165", PrefixError::NoSlice),
        ("00000001e5b801", PrefixError::UnexpectedUnit(5)),
        // A data partition would travel in the clear.
        (
            "0000000142b8010000000165b801",
            PrefixError::UnexpectedUnit(2),
        ),
        (
            "00000001000000010000000165b801",
            PrefixError::UnexpectedUnit(0),
        ),
        ("00000001674200000165b801", PrefixError::ParameterSets),
        (
            "0000000168ce000001674200000165b801",
            PrefixError::ParameterSets,
        ),
        (
            "00000001674200000168ce00000168cf00000165b801",
            PrefixError::ParameterSets,
        ),
    ] {
        check(FrameKind::VideoKey, &bytes(hex), want.into());
    }
    let mut long = bytes("0000000106");
    long.extend([5; PREFIX_BYTES_MAX]);
    long.extend(bytes("0000000165b801"));
    check(FrameKind::VideoKey, &long, PrefixError::TooLong.into());
}

#[test]
fn the_largest_frames_pass_and_a_byte_more_than_any_wire_is_refused_unread() {
    let sound = vec![0x78; AUDIO_FRAME_BYTES_MAX];
    let sealed = sealer("0").seal(FrameKind::Audio, &sound).unwrap();
    assert!(opener("0").open(sealed.as_bytes()).unwrap().frame == sound);
    let mut picture = bytes("0000000165b8");
    picture.resize(VIDEO_FRAME_BYTES_MAX, 0);
    let sealed = sealer("1").seal(FrameKind::VideoKey, &picture).unwrap();
    assert!(opener("1").open(sealed.as_bytes()).unwrap().frame == picture);
    assert_eq!(
        opener("1").open(&vec![0; WIRE_BYTES_MAX + 1]),
        Err(OpenError::TooLong)
    );
}

/// Any slice content, rich in what emulation prevention is about.
fn content(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0_u8), 1 => 0_u8..5, 2 => any::<u8>()];
    prop::collection::vec(byte, 0..bytes_max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_never_panic(wire in prop_oneof![content(300), prop::collection::vec(any::<u8>(), 0..300)],
                             start in prop::sample::select(vec!["", "000001", "0000000165", "00000001674200000168ce000001419a"])) {
        let mut whole = bytes(start);
        whole.extend(wire);
        prop_assert!(opener("1").open(&whole).is_err());
        // Sealing may go either way; what it lets through must open again.
        for kind in [FrameKind::Audio, FrameKind::VideoDelta] {
            if let Ok(sealed) = sealer("1").seal(kind, &whole) {
                prop_assert_eq!(opener("1").open(sealed.as_bytes()).unwrap().kind, kind);
            }
        }
    }

    #[test]
    fn frames_open_in_any_order_and_once(order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut sealer = sealer("0");
        let frames: Vec<_> = (0..60_u8).map(|n| sealer.seal(FrameKind::Audio, &[n]).unwrap()).collect();
        let mut opener = opener("0");
        for &at in &order {
            let opened = opener.open(frames[at].as_bytes()).unwrap();
            prop_assert_eq!((opened.counter as usize, opened.frame), (at, vec![at as u8]));
        }
        for &at in &order {
            prop_assert_eq!(opener.open(frames[at].as_bytes()), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn escaping_is_undone_and_hides_every_start_code(before in 0_u8..2, blob in content(400)) {
        let mut wire = vec![before];
        h264::escape(before, &blob, &mut wire);
        prop_assert!(!wire.windows(3).any(|three| three[..2] == [0, 0] && three[2] < 3));
        prop_assert_eq!(h264::unescape(before, &wire[1..]), Ok(blob));
    }

    /// One blob has one wire form: what un-escapes at all, escapes to the same bytes.
    #[test]
    fn only_one_escaping_is_taken(before in 0_u8..2, wire in content(60)) {
        if let Ok(blob) = h264::unescape(before, &wire) {
            let mut again = Vec::new();
            h264::escape(before, &blob, &mut again);
            prop_assert_eq!(again, wire);
        }
    }
}

#[test]
fn sound_with_copies_opens_once_and_only_genuine() {
    let secret = CallSecret::from_bytes([7; 32]).expect("not zero");
    let context = |own_public, peer_public| FrameContext {
        secret: &secret,
        call_id: [1; 16],
        own_public,
        peer_public,
    };
    let mut sealer = Sealer::new(context([2; 32], [3; 32]), "0");
    let mut opener = Opener::new(context([3; 32], [2; 32]), "0");
    let copies = vec![SoundCopy {
        distance: 2,
        packet: vec![5; 60],
    }];
    let report = Some(LossReport::new(0.1, 2.0));
    let sealed = sealer.seal_sound(&[4; 80], &copies, report).expect("fits");
    let mut altered = sealed.as_bytes().to_vec();
    altered[20] ^= 1;
    assert_eq!(opener.open(&altered), Err(OpenError::NotAuthentic));
    let opened = opener.open(sealed.as_bytes()).expect("genuine");
    assert_eq!((opened.kind, opened.counter), (FrameKind::Audio, 0));
    assert_eq!(
        (opened.frame, opened.copies, opened.report),
        (vec![4; 80], copies, report)
    );
    assert_eq!(opener.open(sealed.as_bytes()), Err(OpenError::Replayed));
    let plain = sealer.seal(FrameKind::Audio, &[4; 80]).expect("fits");
    assert_eq!(opener.open(plain.as_bytes()).expect("genuine").copies, []);
    assert_eq!(sealer.seal_sound(&[], &[], None), Err(SealError::Empty));
    assert!(matches!(
        sealer.seal_sound(&[1; 4_000], &[], None),
        Err(SealError::TooLong(_))
    ));
}

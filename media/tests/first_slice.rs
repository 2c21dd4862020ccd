//! Sealed H.264 frames through the packetizer and depacketizer that the session uses.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use hullo_proto::frame::{CallSecret, FrameContext, FrameKind, Opener, Sealer};
use proptest::prelude::*;
use str0m::format::CodecExtra;
use str0m::unversioned::{Depacketizer, H264Depacketizer, H264Packetizer, Packetizer};

/// An access unit as an encoder might give it.
#[derive(Clone, Debug)]
struct AccessUnit {
    is_key: bool,
    /// Delimiter, parameter sets and messages, each with whether its start code is short.
    before: Vec<(bool, Vec<u8>)>,
    slices: Vec<(bool, Vec<u8>)>,
}

impl AccessUnit {
    fn as_encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (is_short, unit) in self.before.iter().chain(&self.slices) {
            append(&mut bytes, *is_short, unit);
        }
        bytes
    }

    /// What must come out: long start codes and no delimiter up to the first slice, the rest untouched.
    fn as_opened(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (_, unit) in self.before.iter().filter(|(_, unit)| unit[0] & 0x1f != 9) {
            append(&mut bytes, false, unit);
        }
        for (at, (is_short, unit)) in self.slices.iter().enumerate() {
            append(&mut bytes, *is_short && at > 0, unit);
        }
        bytes
    }

    fn kind(&self) -> FrameKind {
        if self.is_key {
            FrameKind::VideoKey
        } else {
            FrameKind::VideoDelta
        }
    }
}

fn append(bytes: &mut Vec<u8>, is_short: bool, unit: &[u8]) {
    bytes.extend_from_slice(if is_short { &[0, 0, 1] } else { &[0, 0, 0, 1] });
    bytes.extend_from_slice(unit);
}

/// A unit with this header and content that holds no start code.
fn unit(
    header: u8,
    length: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1..=255_u8, length).prop_map(move |mut content| {
        content.insert(0, header);
        content
    })
}

/// A slice with any content at all, zeros above all: what is sealed need not be H.264.
fn slice(header: u8) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0_u8), 1 => 1..4_u8, 4 => any::<u8>()];
    prop::collection::vec(byte, 1..3_000).prop_map(move |mut content| {
        content.insert(0, header);
        content
    })
}

fn access_unit() -> impl Strategy<Value = AccessUnit> {
    let before = (
        prop::option::of(unit(0x09, 1)),
        prop::option::of(unit(0x06, 3..80)),
        (unit(0x67, 4..30), unit(0x68, 2..10)),
        prop::option::of(unit(0x06, 3..80)),
    );
    let codes = prop::collection::vec(any::<bool>(), 9);
    (
        any::<bool>(),
        before,
        prop::collection::vec(slice(0x65), 1..4),
        codes,
    )
        .prop_map(
            |(is_key, (delimiter, early, sets, late), mut slices, codes)| {
                let mut before: Vec<Vec<u8>> = delimiter.into_iter().chain(early).collect();
                if is_key {
                    before.extend([sets.0, sets.1]);
                }
                before.extend(late);
                if !is_key {
                    slices.iter_mut().for_each(|slice| slice[0] = 0x41);
                }
                let before: Vec<_> = codes.iter().copied().zip(before).collect();
                let slices = codes.into_iter().rev().zip(slices).collect();
                AccessUnit {
                    is_key,
                    before,
                    slices,
                }
            },
        )
}

/// What a session makes of a frame: packets, and a frame again.
fn carry(packetizer: &mut H264Packetizer, mtu: usize, wire: &[u8]) -> (Vec<u8>, bool) {
    let packets = packetizer.packetize(mtu, wire).unwrap();
    assert!(packets.iter().all(|packet| packet.len() <= mtu));
    let mut depacketizer = H264Depacketizer::default();
    let (mut frame, mut extra) = (Vec::new(), CodecExtra::None);
    for packet in &packets {
        depacketizer
            .depacketize(packet, &mut frame, &mut extra)
            .unwrap();
    }
    let CodecExtra::H264(extra) = extra else {
        panic!("{extra:?}")
    };
    (frame, extra.is_keyframe)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sealed_frames_survive_the_packets_of_a_session(
        frames in prop::collection::vec(access_unit(), 1..4),
        mtu in 100..1_250_usize,
    ) {
        let secret = CallSecret::from_bytes([7; 32]).unwrap();
        let (one, other) = ([1; 32], [2; 32]);
        let context = |own_public, peer_public| FrameContext { secret: &secret, call_id: [3; 16], own_public, peer_public };
        let mut sealer = Sealer::new(context(one, other), "1");
        let mut opener = Opener::new(context(other, one), "1");
        let mut packetizer = H264Packetizer::default();
        for (counter, frame) in (0..).zip(&frames) {
            let sealed = sealer.seal(frame.kind(), &frame.as_encoded()).unwrap();
            let (arrived, is_keyframe) = carry(&mut packetizer, mtu, sealed.as_bytes());
            prop_assert_eq!(is_keyframe, frame.is_key, "a keyframe is seen as one without any key");
            let opened = opener.open(&arrived).unwrap();
            prop_assert_eq!((opened.kind, opened.counter), (frame.kind(), counter));
            prop_assert_eq!(opened.frame, frame.as_opened());
        }
    }
}

/// Chance puts a start code into one ciphertext in some thousands: enough of them to meet several.
#[test]
fn ciphertexts_that_look_like_start_codes_survive_too() {
    let secret = CallSecret::from_bytes([7; 32]).unwrap();
    let (one, other) = ([1; 32], [2; 32]);
    let context = |own_public, peer_public| FrameContext {
        secret: &secret,
        call_id: [3; 16],
        own_public,
        peer_public,
    };
    let mut sealer = Sealer::new(context(one, other), "1");
    let mut opener = Opener::new(context(other, one), "1");
    let mut packetizer = H264Packetizer::default();
    let mut frame = vec![0; 16_000];
    frame[..6].copy_from_slice(&[0, 0, 0, 1, 0x41, 0x9a]);
    let mut escaped = 0;
    for counter in 0..1_500_u64 {
        let sealed = sealer.seal(FrameKind::VideoDelta, &frame).unwrap();
        let counter_bytes = if counter < 256 { 1 } else { 2 };
        let overhead = 2 + 16 + 16 + counter_bytes + 1;
        escaped += sealed.as_bytes().len() - frame.len() - overhead;
        let (arrived, _) = carry(&mut packetizer, 1_150, sealed.as_bytes());
        assert!(arrived == sealed.as_bytes(), "frame {counter}");
        assert!(opener.open(&arrived).unwrap().frame == frame);
    }
    assert!(escaped >= 3, "only {escaped} escapes were needed");
}

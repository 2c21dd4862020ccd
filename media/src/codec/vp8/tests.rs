use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scale::Scaler;
use crate::source::CaptureTime;
use crate::source::card::{TestCard, read_time_code, time_code};

const RATE_FPS: u32 = 15;
const SIZE: (u32, u32) = (320, 180);

/// The test card as the tests of group calls send it.
struct Card {
    card: TestCard,
    scaler: Scaler,
    start: Instant,
    index: u32,
}

impl Card {
    fn new() -> Self {
        Self {
            card: TestCard::new(),
            scaler: Scaler::default(),
            start: Instant::now(),
            index: 0,
        }
    }

    fn next(&mut self, size: (u32, u32)) -> (Arc<Picture>, Instant, u32) {
        let elapsed = Duration::from_secs(1) * self.index / RATE_FPS;
        self.index += 1;
        let clock_us = 1_790_000_000_200_000 + elapsed.as_micros() as u64;
        let picture = self
            .card
            .picture(CaptureTime { elapsed, clock_us })
            .expect("a card");
        let picture = self.scaler.scale(&picture, size).expect("allowed");
        (picture, self.start + elapsed, time_code(clock_us))
    }
}

fn encoder(bitrate_bps: u32) -> Encoder {
    Encoder::new(Content::Camera, bitrate_bps, RATE_FPS)
}

fn decode_one(decoder: &mut Decoder, frame: &EncodedFrame) -> Arc<Picture> {
    decoder
        .decode(&frame.data)
        .expect("decodes")
        .expect("a picture for every frame")
}

#[test]
fn the_card_comes_back_sharp_and_with_its_time() {
    let (mut card, mut encoder) = (Card::new(), encoder(250_000));
    let mut decoder = Decoder::new().expect("starts");
    let (mut bits, mut psnr, mut frames) = (0, 0.0, 0);
    for index in 0..4 * RATE_FPS {
        let (picture, at, time) = card.next(SIZE);
        let Some(frame) = encoder.encode(&picture, at).expect("encodes") else {
            continue;
        };
        assert_eq!(frame.kind == FrameKind::VideoKey, index == 0);
        assert_eq!(is_key_frame(&frame.data), index == 0);
        let decoded = decode_one(&mut decoder, &frame);
        assert_eq!(read_time_code(&decoded), Some(time));
        bits += frame.data.len() * 8;
        psnr += picture.psnr_db(&decoded);
        frames += 1;
    }
    let mean = psnr / f64::from(frames);
    assert!(
        frames >= 55 && mean > 30.0 && bits < 4 * 330_000,
        "{frames} frames, {mean:.1} dB, {bits} bits in 4 s"
    );
}

#[test]
fn the_bitrate_follows_a_change_both_ways_without_a_key_frame() {
    let (mut card, mut encoder) = (Card::new(), encoder(250_000));
    let mut state = 1_u32;
    let mut seconds = |encoder: &mut Encoder, first_key: bool| {
        let mut bits = 0;
        for index in 0..RATE_FPS * 4 {
            let (picture, at, _) = card.next(SIZE);
            let mut picture = Picture::clone(&picture);
            // A camera's noise: enough detail that no rate here is reached by quality alone.
            for luma in &mut picture.y {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *luma = luma.saturating_add((state >> 27) as u8);
            }
            let Some(frame) = encoder.encode(&picture, at).expect("encodes") else {
                continue;
            };
            assert!(
                frame.kind == FrameKind::VideoDelta || (first_key && index == 0),
                "an uncalled key frame"
            );
            // The first half still pays for what was.
            if index >= RATE_FPS * 2 {
                bits += frame.data.len() * 8 / 2;
            }
        }
        bits
    };
    let high = seconds(&mut encoder, true);
    encoder.set_bitrate(120_000);
    let low = seconds(&mut encoder, false);
    encoder.set_bitrate(350_000);
    let higher = seconds(&mut encoder, false);
    let near = |bits: usize, want: usize| bits.abs_diff(want) * 10 < want * 3;
    let all = near(high, 250_000) && near(low, 120_000) && near(higher, 350_000);
    assert!(all, "{high}, then {low}, then {higher} bits a second");
}

#[test]
fn a_key_frame_comes_when_asked_for_and_when_the_size_changes() {
    let (mut card, mut encoder) = (Card::new(), encoder(400_000));
    let mut decoder = Decoder::new().expect("starts");
    let mut kinds = Vec::new();
    for index in 0..20 {
        let size = if index >= 12 { (160, 90) } else { SIZE };
        let (picture, at, _) = card.next(size);
        if index == 6 {
            encoder.request_keyframe();
        }
        if let Some(frame) = encoder.encode(&picture, at).expect("encodes") {
            assert_eq!(decode_one(&mut decoder, &frame).size(), size);
            if frame.kind == FrameKind::VideoKey {
                assert_eq!(key_frame_size(&frame.data), Some(size));
                kinds.push(index);
            }
        }
    }
    assert_eq!(kinds, [0, 6, 12]);
}

#[test]
fn pictures_with_one_time_are_encoded_all_the_same() {
    let (mut card, mut encoder) = (Card::new(), encoder(400_000));
    let (picture, at, _) = card.next(SIZE);
    for _ in 0..5 {
        assert!(encoder.encode(&picture, at).is_ok());
    }
}

#[test]
fn nothing_is_shown_before_a_key_frame_and_giants_are_refused() {
    let (mut card, mut encoder) = (Card::new(), encoder(400_000));
    let mut frames = Vec::new();
    while frames.len() < 3 {
        let (picture, at, _) = card.next(SIZE);
        frames.extend(encoder.encode(&picture, at).expect("encodes"));
    }
    let mut decoder = Decoder::new().expect("starts");
    assert!(decoder.decode(&frames[1].data).is_err());
    let mut giant = frames[0].data.clone();
    giant[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    assert!(decoder.decode(&giant).is_err());
    assert!(decoder.decode(&[]).is_err());
    assert!(decoder.decode(&vec![0; FRAME_BYTES_MAX + 1]).is_err());
    for frame in &frames {
        decode_one(&mut decoder, frame);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_bytes_make_the_decoder_panic(
        junk in proptest::collection::vec(any::<u8>(), 0..600),
        at in 0_usize..400,
        later in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut encoder = encoder(100_000);
        let picture = Picture::grey(64, 64, 90).expect("allowed");
        let mut frame = encoder.encode(&picture, Instant::now()).expect("encodes").expect("the first is never left out");
        let mut decoder = Decoder::new().expect("starts");
        let _ = decoder.decode(&junk);
        let _ = decoder.decode(&frame.data);
        let mut delta = vec![1];
        delta.extend(&later);
        let _ = decoder.decode(&delta);
        for (slot, byte) in frame.data.iter_mut().skip(at).zip(&junk) {
            *slot = *byte;
        }
        let _ = decoder.decode(&frame.data);
        // Shorter than it says, and with another size.
        if let Some(header) = frame.data.get_mut(6..10) {
            header.copy_from_slice(&[junk.len() as u8, 1, later.len() as u8, 1]);
        }
        frame.data.truncate(at.max(10));
        let _ = decoder.decode(&frame.data);
        let _ = decoder.decode(&delta);
    }
}

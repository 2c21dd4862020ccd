use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scale::Scaler;
use crate::source::CaptureTime;
use crate::source::card::{TestCard, read_time_code, time_code};

const RATE_FPS: u32 = 30;

struct Card {
    card: TestCard,
    start: Instant,
    index: u32,
}

impl Card {
    fn new() -> Self {
        Self {
            card: TestCard::new(),
            start: Instant::now(),
            index: 0,
        }
    }

    fn next(&mut self) -> (Arc<Picture>, Instant, u32) {
        let elapsed = Duration::from_secs(1) * self.index / RATE_FPS;
        self.index += 1;
        let clock_us = 1_790_000_000_200_000 + elapsed.as_micros() as u64;
        let picture = self
            .card
            .picture(CaptureTime { elapsed, clock_us })
            .expect("a card");
        (picture, self.start + elapsed, time_code(clock_us))
    }
}

fn decode_one(decoder: &mut Decoder, frame: &EncodedFrame) -> Arc<Picture> {
    decoder
        .decode(&frame.data)
        .expect("decodes")
        .expect("a picture for every frame")
}

#[test]
fn the_card_comes_back_sharp_at_600_kbit_and_with_its_time() {
    let (mut card, mut encoder) = (Card::new(), Encoder::new(BITRATE_BPS_START, RATE_FPS));
    let mut decoder = Decoder::new().expect("starts");
    let (mut bits, mut psnr, mut frames) = (0, 0.0, 0);
    for index in 0..90 {
        let (picture, at, time) = card.next();
        let Some(frame) = encoder.encode(&picture, at).expect("encodes") else {
            continue;
        };
        assert_eq!(frame.kind == FrameKind::VideoKey, index == 0);
        let decoded = decode_one(&mut decoder, &frame);
        assert_eq!(read_time_code(&decoded), Some(time));
        bits += frame.data.len() * 8;
        psnr += picture.psnr_db(&decoded);
        frames += 1;
    }
    let mean = psnr / f64::from(frames);
    assert!(
        frames >= 85 && mean > 32.0 && bits < 3 * 750_000,
        "{frames} frames, {mean:.1} dB, {bits} bits in 3 s"
    );
}

#[test]
fn the_time_code_survives_100_kbit_at_full_and_at_half_size() {
    for size in [(640, 360), (320, 180)] {
        let (mut card, mut encoder) = (Card::new(), Encoder::new(100_000, RATE_FPS));
        let (mut decoder, mut scaler) = (Decoder::new().expect("starts"), Scaler::default());
        let (mut frames, mut read) = (0, 0);
        for _ in 0..150 {
            let (picture, at, time) = card.next();
            let scaled = scaler.scale(&picture, size).expect("allowed");
            let Some(frame) = encoder.encode(&scaled, at).expect("encodes") else {
                continue;
            };
            frames += 1;
            if let Some(found) = read_time_code(&decode_one(&mut decoder, &frame)) {
                assert_eq!(found, time, "a wrong time is worse than none");
                read += 1;
            }
        }
        assert!(
            frames >= 20 && read * 100 >= frames * 95,
            "{size:?}: {read} of {frames} times read"
        );
    }
}

/// The picture with a camera's noise: enough detail that no rate below a megabit is reached by quality alone.
fn grainy(picture: &Picture) -> Picture {
    let mut picture = picture.clone();
    let mut state = u32::from(picture.y[0]) + u32::from(picture.y[picture.y.len() / 2]) + 1;
    for luma in &mut picture.y {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *luma = luma.saturating_add((state >> 28) as u8);
    }
    picture
}

#[test]
fn the_bitrate_follows_a_change_both_ways_without_a_key_frame() {
    let (mut card, mut encoder) = (Card::new(), Encoder::new(250_000, RATE_FPS));
    let mut second = |encoder: &mut Encoder, first_key: bool| {
        let mut bits = 0;
        for index in 0..RATE_FPS * 2 {
            let (picture, at, _) = card.next();
            let picture = grainy(&picture);
            let Some(frame) = encoder.encode(&picture, at).expect("encodes") else {
                continue;
            };
            assert!(
                frame.kind == FrameKind::VideoDelta || (first_key && index == 0),
                "an uncalled key frame"
            );
            // The first second still pays for what was.
            bits += if index >= RATE_FPS {
                frame.data.len() * 8
            } else {
                0
            };
        }
        bits
    };
    let high = second(&mut encoder, true);
    encoder.set_bitrate(110_000);
    let low = second(&mut encoder, false);
    encoder.set_bitrate(320_000);
    let higher = second(&mut encoder, false);
    let near = |bits: usize, want: usize| bits.abs_diff(want) * 4 < want;
    let all = near(high, 250_000) && near(low, 110_000) && near(higher, 320_000);
    assert!(all, "{high}, then {low}, then {higher} bits a second");
}

#[test]
fn a_key_frame_comes_when_asked_for_and_when_the_size_changes() {
    let (mut card, mut encoder, mut scaler) = (
        Card::new(),
        Encoder::new(500_000, RATE_FPS),
        Scaler::default(),
    );
    let mut decoder = Decoder::new().expect("starts");
    let mut kinds = Vec::new();
    for index in 0..20 {
        let (picture, at, _) = card.next();
        let size = if index >= 12 { (320, 180) } else { (640, 360) };
        let picture = scaler.scale(&picture, size).expect("allowed");
        if index == 6 {
            encoder.request_keyframe();
        }
        if let Some(frame) = encoder.encode(&picture, at).expect("encodes") {
            assert_eq!(decode_one(&mut decoder, &frame).size(), size);
            kinds.extend((frame.kind == FrameKind::VideoKey).then_some(index));
        }
    }
    assert_eq!(kinds, [0, 6, 12]);
}

#[test]
fn a_missing_frame_is_an_error_until_the_next_key_frame() {
    let (mut card, mut encoder) = (Card::new(), Encoder::new(800_000, RATE_FPS));
    let mut frames = Vec::new();
    while frames.len() < 12 {
        if frames.len() == 8 {
            encoder.request_keyframe();
        }
        let (picture, at, _) = card.next();
        frames.extend(encoder.encode(&picture, at).expect("encodes"));
    }
    let mut decoder = Decoder::new().expect("starts");
    assert!(
        !matches!(decoder.decode(&frames[1].data), Ok(Some(_))),
        "a delta frame first gives no picture"
    );
    let mut decoder = Decoder::new().expect("starts");
    for (index, frame) in frames.iter().enumerate().filter(|(index, _)| *index != 4) {
        let shown = matches!(decoder.decode(&frame.data), Ok(Some(_)));
        assert_eq!(shown, !(5..8).contains(&index), "frame {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_the_decoder_panic(junk in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..400) {
        let mut encoder = Encoder::new(100_000, RATE_FPS);
        let picture = Picture::grey(64, 64, 90).expect("allowed");
        let mut frame = encoder.encode(&picture, Instant::now()).expect("encodes").expect("the first is never left out");
        for (slot, byte) in frame.data.iter_mut().skip(at).zip(&junk) {
            *slot = *byte;
        }
        let mut decoder = Decoder::new().expect("starts");
        let _ = decoder.decode(&junk);
        let _ = decoder.decode(&frame.data);
    }
}

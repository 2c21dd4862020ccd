use proptest::prelude::*;

use super::*;
use crate::codec::{AudioEncoder, CodecError, opus};

const STEP: Duration = Duration::from_millis(20);
const MADE_UP: f32 = -0.5;
const FROM_COPY: f32 = -0.25;

/// Sounds like its packet: every sample is the packet's first byte, in hundredths. The packets have so many samples.
struct Plain(usize);

impl AudioDecoder for Plain {
    fn decode(&mut self, packet: &[u8], sound: &mut Vec<f32>) -> Result<usize, CodecError> {
        if packet[0] == 255 {
            return Err(CodecError::Damaged("marked so".to_owned()));
        }
        sound.extend(std::iter::repeat_n(f32::from(packet[0]) / 100.0, self.0));
        Ok(self.0)
    }

    fn duration(&self, _packet: &[u8]) -> Option<usize> {
        Some(self.0)
    }

    fn conceal(&mut self, sound: &mut Vec<f32>) -> usize {
        sound.extend(std::iter::repeat_n(MADE_UP, self.0));
        self.0
    }

    fn decode_fec(&mut self, _next: &[u8], sound: &mut Vec<f32>) -> usize {
        sound.extend(std::iter::repeat_n(FROM_COPY, self.0));
        self.0
    }
}

/// A buffer under a clock that only the test moves.
struct Line {
    buffer: ReorderBuffer,
    now: Instant,
}

impl Line {
    fn new(target_ms: u64) -> Self {
        Self {
            buffer: ReorderBuffer::new(
                Box::new(Plain(BLOCK_SAMPLES)),
                Duration::from_millis(target_ms),
            ),
            now: Instant::now(),
        }
    }

    fn push(&mut self, seq: u64) {
        self.push_byte(seq, seq as u8 % 90 + 1);
    }

    fn push_byte(&mut self, seq: u64, byte: u8) {
        let media_time_samples = seq.wrapping_mul(BLOCK_SAMPLES as u64);
        self.buffer.push(
            self.now,
            AudioFrame {
                seq,
                media_time_samples,
                data: vec![byte],
            },
        );
    }

    /// What plays next: the byte of the packet, or `-50` and `-25` for made-up sound; none for silence.
    fn pull(&mut self) -> Option<i32> {
        let pulled = self.buffer.pull(self.now);
        self.now += STEP;
        let hundredths = |block: &Block| (block[0] * 100.0).round() as i32;
        match pulled {
            Pull::Silence => None,
            Pull::Play(block) => {
                assert!(block[0] >= 0.0, "made-up sound must be called so");
                Some(hundredths(&block))
            }
            Pull::Concealed(block) => Some(hundredths(&block)),
        }
    }

    /// One packet in and one block out for each number.
    fn play(&mut self, seqs: impl IntoIterator<Item = u64>) -> Vec<Option<i32>> {
        seqs.into_iter()
            .map(|seq| {
                self.push(seq);
                self.pull()
            })
            .collect()
    }
}

fn played(bytes: impl IntoIterator<Item = i32>) -> Vec<Option<i32>> {
    bytes.into_iter().map(Some).collect()
}

#[test]
fn sound_begins_when_the_target_delay_has_passed_and_goes_on_in_order() {
    let mut line = Line::new(40);
    assert_eq!(line.pull(), None);
    let mut want = vec![None, None];
    want.extend(played(1..=48));
    assert_eq!(line.play(0..50), want);
    let stats = line.buffer.stats();
    assert_eq!(
        (
            stats.played_ms,
            stats.concealed_ms,
            stats.depth_ms,
            stats.late
        ),
        (960, 0, 40, 0)
    );
    assert_eq!(stats.media_time_samples, Some(47 * 960));
}

#[test]
fn packets_out_of_order_and_twice_are_put_right() {
    let mut line = Line::new(60);
    let order = [0, 1, 3, 2, 2, 5, 4, 7, 7, 6, 8, 9, 10, 11];
    for seq in order {
        line.push(seq);
    }
    assert_eq!(line.buffer.stats().duplicate, 2);
    // The burst is longer than the target: its oldest part is left out.
    assert_eq!(
        (line.pull(), line.pull(), line.pull()),
        (Some(9), Some(10), Some(11))
    );
}

#[test]
fn a_lost_packet_comes_from_the_copy_in_the_next_and_longer_holes_are_made_up() {
    let mut line = Line::new(60);
    let lost = [10, 20, 21];
    let mut heard = Vec::new();
    for seq in 0..40 {
        if !lost.contains(&seq) {
            line.push(seq);
        }
        heard.extend(line.pull());
    }
    let want: Vec<i32> = (0..37)
        .map(|seq| match seq {
            10 | 21 => -25,
            20 => -50,
            seq => seq + 1,
        })
        .collect();
    assert_eq!(heard, want);
    assert_eq!(line.buffer.stats().concealed_ms, 60);
}

#[test]
fn a_packet_after_its_time_is_late_and_one_the_decoder_refuses_is_made_up() {
    let mut line = Line::new(40);
    line.play(0..10);
    line.push(3);
    line.push_byte(10, 255);
    assert_eq!(line.buffer.stats().late, 1);
    assert_eq!(
        (line.pull(), line.pull(), line.pull()),
        (Some(9), Some(10), Some(-50))
    );
    assert_eq!(line.buffer.stats().damaged, 1);
    line.buffer.push(
        line.now,
        AudioFrame {
            seq: 11,
            media_time_samples: 0,
            data: vec![0; 5_000],
        },
    );
    assert_eq!(line.buffer.stats().damaged, 2);
}

#[test]
fn a_pause_in_the_arrivals_is_bridged_and_the_delay_comes_back_within_seconds() {
    let mut line = Line::new(40);
    line.play(0..20);
    // 80 ms late, all of them: two wait, two blocks are made up, nothing is lost.
    let bridge: Vec<_> = (0..4).map(|_| line.pull()).collect();
    assert_eq!(bridge, played([19, 20, -50, -50]));
    for seq in 20..24 {
        line.push(seq);
    }
    let mut heard = Vec::new();
    for seq in 24..424 {
        line.push(seq);
        heard.extend(line.pull());
    }
    assert_eq!(heard[..4], [21, 22, 23, 24]);
    let stats = line.buffer.stats();
    assert_eq!((stats.concealed_ms, stats.late), (40, 0));
    assert!(stats.depth_ms <= 60, "{} ms still wait", stats.depth_ms);
    assert_eq!(
        stats.dropped_ms, 40,
        "each block of delay is taken out once"
    );
}

#[test]
fn what_was_lost_while_nothing_came_is_not_made_up_twice() {
    let mut line = Line::new(40);
    line.play(0..20);
    let bridge: Vec<_> = (0..5).map(|_| line.pull()).collect();
    assert_eq!(bridge, played([19, 20, -50, -50, -50]));
    // 20, 21 and 22 never come.
    assert_eq!(line.play(23..26), played([24, 25, 26]));
    assert_eq!(line.buffer.stats().concealed_ms, 60);
}

#[test]
fn the_line_falls_silent_after_100_ms_and_starts_again_with_its_delay() {
    let mut line = Line::new(40);
    line.play(0..20);
    let end: Vec<_> = (0..10).map(|_| line.pull()).collect();
    let mut want = played([19, 20, -50, -50, -50, -50, -50]);
    want.resize(10, None);
    assert_eq!(end, want);
    let mut again = vec![None, None];
    again.extend(played(21..=28));
    assert_eq!(line.play(20..30), again);
}

#[test]
fn speech_that_ends_in_silence_is_followed_by_silence_and_counts_nothing_made_up() {
    let mut line = Line::new(40);
    line.play(0..20);
    line.push_byte(20, 0);
    assert_eq!(
        (line.pull(), line.pull(), line.pull()),
        (Some(19), Some(20), Some(0))
    );
    assert_eq!((line.pull(), line.pull()), (None, None));
    assert_eq!(line.buffer.stats().concealed_ms, 0);
}

#[test]
fn a_sequence_that_begins_anew_is_followed() {
    for start in [100_000, 0, 280] {
        let mut line = Line::new(40);
        line.play(300..400);
        let heard = line.play(start..start + 60);
        assert!(
            heard[55..]
                .iter()
                .all(|block| block.is_some_and(|byte| byte > 0)),
            "from {start}: {heard:?}"
        );
    }
    let mut line = Line::new(40);
    line.push(u64::MAX);
    line.push(u64::MAX);
    (0..5).for_each(|_| assert!(line.pull().is_none_or(|sound| sound <= 90)));
}

#[test]
fn delay_that_stays_goes_in_quiet_moments_first() {
    let mut line = Line::new(40);
    line.play(0..10);
    (0..2).for_each(|seq| line.push(10 + seq));
    let mut dropped_at = None;
    for seq in 12..300 {
        // Loud for 80 ms, then quiet for 20.
        line.push_byte(seq, if seq % 5 == 0 { 0 } else { 50 });
        let heard = line.pull();
        if dropped_at.is_none() && line.buffer.stats().dropped_ms > 0 {
            dropped_at = Some((seq, heard));
        }
    }
    let (seq, heard) = dropped_at.expect("the delay came down");
    assert_eq!(heard, Some(0), "a quiet block begins the fade");
    assert!(seq < 12 + 2 * 50 + 10, "only at {seq}");
    assert!(
        (20..=40).contains(&line.buffer.stats().dropped_ms),
        "{:?}",
        line.buffer.stats()
    );
}

#[test]
fn a_far_clock_100_ppm_fast_or_slow_leaves_ten_minutes_of_sound_whole() {
    for ppm in [100i64, -100] {
        let mut line = Line::new(40);
        let start = line.now;
        let mut seq = 0u64;
        let mut depth_max = 0;
        for _ in 0..30_000 {
            let interval_ns = 20_000_000 - 20 * ppm;
            while start + Duration::from_nanos(seq * interval_ns as u64) <= line.now {
                line.push_byte(seq, 50);
                seq += 1;
            }
            line.pull();
            depth_max = depth_max.max(line.buffer.stats().depth_ms);
        }
        let stats = line.buffer.stats();
        assert!(
            depth_max <= 100 && stats.concealed_ms <= 100 && stats.late == 0,
            "{ppm} ppm: {depth_max} ms, {stats:?}"
        );
    }
}

#[test]
fn packets_of_other_lengths_play_whole_and_lost_ones_last_as_long() {
    for packet_samples in [120, 480, 1_920, 2_880] {
        let mut buffer =
            ReorderBuffer::new(Box::new(Plain(packet_samples)), Duration::from_millis(60));
        let mut now = Instant::now();
        let (mut seq, mut silent) = (0u64, 0);
        for pulls in 0..300usize {
            while seq as usize * packet_samples <= pulls * BLOCK_SAMPLES {
                if seq != 40 {
                    buffer.push(
                        now,
                        AudioFrame {
                            seq,
                            media_time_samples: 0,
                            data: vec![50],
                        },
                    );
                }
                seq += 1;
            }
            silent += u64::from(buffer.pull(now) == Pull::Silence);
            now += STEP;
        }
        let stats = buffer.stats();
        let lost_ms = packet_samples as u64 / 48;
        assert!(
            silent <= 4 && stats.dropped_ms <= 20,
            "{packet_samples}: {silent} silent blocks, {stats:?}"
        );
        assert_eq!(
            (stats.concealed_ms, stats.late),
            (lost_ms, 0),
            "{packet_samples} samples: {stats:?}"
        );
    }
}

#[test]
fn real_opus_comes_through_at_full_length() {
    let mut encoder = opus::Encoder::new().expect("starts");
    let decoder = opus::Decoder::new().expect("starts");
    let mut buffer = ReorderBuffer::new(Box::new(decoder), Duration::from_millis(40));
    let mut now = Instant::now();
    let mut energy = 0.0;
    for seq in 0..100u64 {
        let block: Block = std::array::from_fn(|index| {
            let sample = seq as usize * BLOCK_SAMPLES + index;
            0.3 * (std::f32::consts::TAU * 300.0 * sample as f32 / 48_000.0).sin()
        });
        let data = encoder.encode(&block).expect("encodes");
        buffer.push(
            now,
            AudioFrame {
                seq,
                media_time_samples: seq * 960,
                data,
            },
        );
        if let Pull::Play(block) = buffer.pull(now) {
            energy += rms(block.as_slice());
        }
        now += STEP;
    }
    let stats = buffer.stats();
    assert_eq!((stats.played_ms, stats.concealed_ms), (98 * 20, 0));
    assert!(
        (energy / 98.0 / (0.3 / 2f32.sqrt()) - 1.0).abs() < 0.1,
        "mean level {}",
        energy / 98.0
    );
}

proptest! {
    #[test]
    fn any_arrivals_keep_the_bounds(steps in proptest::collection::vec((0u64..400, any::<u8>(), 0u8..4), 1..400), far in any::<u64>()) {
        let mut line = Line::new(40);
        for (seq, byte, pulls) in steps {
            let seq = if byte % 50 == 0 { far.wrapping_add(seq) } else { seq };
            line.push_byte(seq, byte);
            (0..pulls).for_each(|_| assert!(line.pull().is_none_or(|sound| sound <= 255)));
            prop_assert!(line.buffer.packets.len() <= PACKETS_MAX && line.buffer.sound.len() <= 2 * BLOCK_SAMPLES);
        }
    }
}

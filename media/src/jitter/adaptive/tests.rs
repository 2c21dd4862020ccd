use proptest::prelude::*;

use super::*;
use crate::codec::{AudioEncoder, CodecError, opus};

const STEP: Duration = Duration::from_millis(20);
const MADE_UP: f32 = -0.5;
const FROM_NEXT: f32 = -0.25;

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
        sound.extend(std::iter::repeat_n(FROM_NEXT, self.0));
        self.0
    }
}

/// What a line does to the packet `seq`: so many milliseconds late, or lost.
type Line = dyn Fn(u64) -> Option<u64>;

/// A far side that sends every 20 ms, a line, and the buffer, under a clock that only the test moves.
struct Call {
    buffer: JitterBuffer,
    start: Instant,
    elapsed: Duration,
    /// On their way: arrival, number, copy or not.
    air: Vec<(Duration, u64, bool)>,
    next_seq: u64,
    copies: &'static [u64],
    heard: Vec<Option<i32>>,
}

impl Call {
    fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(Box::new(Plain(BLOCK_SAMPLES)), Duration::from_millis(40)),
            start: Instant::now(),
            elapsed: Duration::ZERO,
            air: Vec::new(),
            next_seq: 0,
            copies: &[],
            heard: Vec::new(),
        }
    }

    fn push(&mut self, seq: u64, data: Vec<u8>, is_copy: bool) {
        let frame = AudioFrame {
            seq,
            media_time_samples: seq.wrapping_mul(BLOCK_SAMPLES as u64),
            data,
            is_copy,
        };
        self.buffer.push(self.start + self.elapsed, frame);
    }

    fn pull(&mut self) -> Option<i32> {
        let hundredths = |block: &Block| (block[BLOCK_SAMPLES / 2] * 100.0).round() as i32;
        let heard = match self.buffer.pull(self.start + self.elapsed) {
            Pull::Silence => None,
            Pull::Play(block) | Pull::Concealed(block) => Some(hundredths(&block)),
        };
        self.heard.push(heard);
        heard
    }

    /// Runs for so many packets; each is sent when its 20 ms are over, `line` says what becomes of it.
    fn run(&mut self, packets: u64, line: &Line) -> AudioBufferStats {
        for _ in 0..packets {
            let seq = self.next_seq;
            self.next_seq += 1;
            if let Some(late_ms) = line(seq) {
                let at = STEP * (seq as u32 + 1) + Duration::from_millis(late_ms);
                self.air.push((at, seq, false));
                for &back in self.copies {
                    self.air
                        .extend(seq.checked_sub(back).map(|seq| (at, seq, true)));
                }
            }
            self.elapsed = STEP * (seq as u32 + 1);
            self.deliver();
            self.pull();
        }
        self.buffer.stats()
    }

    /// Hands over what has arrived, oldest first.
    fn deliver(&mut self) {
        let elapsed = self.elapsed;
        let (mut there, air): (Vec<_>, Vec<_>) =
            self.air.drain(..).partition(|(at, ..)| *at <= elapsed);
        self.air = air;
        there.sort_by_key(|&(at, seq, is_copy)| (at, is_copy, seq));
        for (at, seq, is_copy) in there {
            self.elapsed = at;
            self.push(seq, vec![(seq % 90) as u8 + 1; 9], is_copy);
        }
        self.elapsed = elapsed;
    }
}

fn even(_: u64) -> Option<u64> {
    Some(0)
}

/// Uneven by up to `ms`, without a pattern.
fn uneven(seq: u64, ms: u64) -> u64 {
    (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % ms.max(1)
}

#[test]
fn sound_begins_with_the_start_delay_and_comes_down_to_the_least() {
    let mut call = Call::new();
    let stats = call.run(10, &even);
    assert_eq!(call.heard[..3], [None, Some(1), Some(2)]);
    assert_eq!((stats.delay_ms, stats.target_ms), (20, 40));
    let stats = call.run(190, &even);
    assert_eq!(
        (stats.concealed_ms, stats.late, stats.dropped_ms),
        (0, 0, 0)
    );
    assert_eq!(stats.target_ms, 24);
    assert!(
        stats.delay_ms <= 30 && stats.shortened_ms <= 20,
        "{stats:?}"
    );
    assert_eq!(stats.media_time_samples, Some(198 * 960));
}

#[test]
fn packets_out_of_order_and_twice_are_put_right() {
    let mut call = Call::new();
    let line = |seq: u64| Some(if seq % 7 == 3 { 25 } else { 0 });
    let begun = call.run(60, &line);
    let stats = call.run(240, &line);
    assert_eq!(
        (stats.concealed_ms, stats.late),
        (begun.concealed_ms, begun.late),
        "{stats:?}"
    );
    for seq in [298, 299, 299] {
        call.push(seq, vec![1; 9], false);
    }
    assert_eq!(call.buffer.stats().duplicate, 3);
    let inside = &call.heard[60..300];
    let ordered = inside
        .windows(2)
        .filter_map(|pair| Some((pair[0]?, pair[1]?)))
        .all(|(one, next)| (0..=2).contains(&(next - one).rem_euclid(90)));
    assert!(ordered, "{inside:?}");
}

#[test]
fn a_lost_packet_comes_from_its_copy_from_the_next_one_or_is_made_up() {
    let lost = |seq: u64| (seq % 50 != 30 && seq % 50 != 31).then_some(0);
    let mut bare = Call::new();
    let stats = bare.run(500, &lost);
    // Of the two of each ten pairs one is made up, the other comes from the packet after it.
    assert_eq!((stats.concealed_ms, stats.recovered), (400, 0));
    let of = |call: &Call, value| {
        call.heard
            .iter()
            .filter(|heard| **heard == Some(value))
            .count()
    };
    assert!(
        of(&bare, -25) >= 8 && of(&bare, -50) >= 8,
        "{:?}",
        bare.heard
    );
    let mut copied = Call::new();
    copied.copies = &[1, 2];
    copied.run(100, &lost);
    let before = copied.buffer.stats().concealed_ms;
    let stats = copied.run(400, &lost);
    assert_eq!(stats.concealed_ms, before, "{stats:?}");
    assert!(stats.recovered >= 16, "{stats:?}");
    assert!(
        (60..=70).contains(&stats.target_ms),
        "copies are waited for: {stats:?}"
    );
    let stats = copied.run(500, &even);
    assert!(
        stats.target_ms <= 24,
        "and no longer than needed: {stats:?}"
    );
}

#[test]
fn a_packet_after_its_time_is_late_and_one_the_decoder_refuses_is_made_up() {
    let mut call = Call::new();
    let stats = call.run(300, &|seq| Some(if seq == 250 { 90 } else { 0 }));
    assert_eq!((stats.late, stats.concealed_ms), (1, 20), "{stats:?}");
    call.push(300, vec![255; 9], false);
    for _ in 0..4 {
        call.elapsed += STEP;
        call.pull();
    }
    assert_eq!(call.buffer.stats().damaged, 1);
    call.push(301, vec![0; 5_000], false);
    assert_eq!(call.buffer.stats().damaged, 2);
}

#[test]
fn after_a_stall_of_300_ms_the_delay_is_back_within_3_s_and_no_word_is_lost() {
    for jitter_ms in [0, 15] {
        let mut call = Call::new();
        let line = move |seq: u64| {
            let stalled = if (250..265).contains(&seq) {
                (265 - seq) * 20
            } else {
                0
            };
            Some(stalled.max(uneven(seq, jitter_ms)))
        };
        call.run(265, &line);
        let stats = call.run(3, &line);
        assert!(stats.delay_ms >= 250, "the stall is real: {stats:?}");
        let stats = call.run(150, &line);
        assert!(stats.delay_ms.abs_diff(stats.target_ms) <= 20, "{stats:?}");
        assert_eq!((stats.late, stats.dropped_ms), (0, 0), "{stats:?}");
        assert!(stats.concealed_ms <= 120, "{stats:?}");
    }
}

#[test]
fn jitter_raises_the_target_to_its_spread_and_little_comes_late() {
    let mut call = Call::new();
    let stats = call.run(2_000, &|seq| Some(uneven(seq, 80)));
    assert!((90..=110).contains(&stats.target_ms), "{stats:?}");
    assert!(stats.late <= 20, "1 % of 2,000 at most: {stats:?}");
    let stats = call.run(1_000, &even);
    assert!(stats.target_ms == 24 && stats.delay_ms <= 50, "{stats:?}");
}

#[test]
fn a_far_clock_100_ppm_fast_or_slow_leaves_ten_minutes_of_sound_whole() {
    for ppm in [100_i64, -100] {
        let mut buffer =
            JitterBuffer::new(Box::new(Plain(BLOCK_SAMPLES)), Duration::from_millis(40));
        let start = Instant::now();
        let (mut seq, mut silent, mut delays) = (0_u64, 0, Vec::new());
        for pull in 0..30_000_u32 {
            let now = start + STEP * pull;
            let interval_ns = (20_000_000 - 20 * ppm) as u64;
            while start + Duration::from_nanos(seq * interval_ns) <= now {
                let frame = AudioFrame {
                    seq,
                    media_time_samples: seq * 960,
                    data: vec![50; 9],
                    is_copy: false,
                };
                buffer.push(start + Duration::from_nanos(seq * interval_ns), frame);
                seq += 1;
            }
            silent += u32::from(buffer.pull(now) == Pull::Silence);
            if pull > 100 {
                delays.push(buffer.stats().delay_ms);
            }
        }
        let stats = buffer.stats();
        assert_eq!(
            (stats.concealed_ms, stats.late, stats.dropped_ms),
            (0, 0, 0)
        );
        assert!(silent <= 3, "{silent} silent blocks");
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(most - least <= 32, "{ppm} ppm: {least} to {most} ms");
        let moved = i64::try_from(stats.lengthened_ms).unwrap() - stats.shortened_ms as i64;
        assert!(
            (moved + 60 * ppm.signum()).abs() <= 40,
            "{ppm} ppm: {stats:?}"
        );
    }
}

#[test]
fn the_line_falls_silent_after_100_ms_and_goes_on_without_what_was_lost() {
    let mut call = Call::new();
    call.run(100, &even);
    let stats = call.run(50, &|_| None);
    assert_eq!(stats.concealed_ms, 100, "{stats:?}");
    assert_eq!(call.heard[145..150], [None; 5]);
    let stats = call.run(100, &even);
    assert_eq!(stats.concealed_ms, 100, "{stats:?}");
    assert!(stats.delay_ms.abs_diff(stats.target_ms) <= 20, "{stats:?}");
    assert!(
        call.heard[200..]
            .iter()
            .all(|heard| heard.is_some_and(|heard| heard > 0))
    );
}

#[test]
fn a_pause_of_the_far_side_is_silence_and_counts_nothing_made_up() {
    let mut call = Call::new();
    call.run(100, &even);
    // Faded out and muted: the numbers go on, the time does not stand.
    call.push(100, vec![0; 40], false);
    for _ in 0..500 {
        call.elapsed += STEP;
        call.pull();
    }
    for index in 0..200 {
        let frame = AudioFrame {
            seq: 101 + index,
            media_time_samples: (601 + index) * 960,
            data: vec![50; 9],
            is_copy: false,
        };
        call.buffer.push(call.start + call.elapsed, frame);
        call.elapsed += STEP;
        call.pull();
    }
    let stats = call.buffer.stats();
    assert_eq!(
        (stats.concealed_ms, stats.late, stats.dropped_ms),
        (0, 0, 0)
    );
    assert_eq!(call.heard.last(), Some(&Some(50)));
    assert!(stats.delay_ms.abs_diff(stats.target_ms) <= 20, "{stats:?}");
}

#[test]
fn who_says_that_nothing_is_said_is_neither_lost_nor_late() {
    let mut call = Call::new();
    call.run(100, &even);
    for round in 0..10 {
        // One packet of one byte every 400 ms (DTX).
        let frame = AudioFrame {
            seq: 100 + round,
            media_time_samples: (100 + round * 20) * 960,
            data: vec![20],
            is_copy: false,
        };
        call.buffer.push(call.start + call.elapsed, frame);
        for _ in 0..20 {
            call.elapsed += STEP;
            call.pull();
        }
    }
    let stats = call.buffer.stats();
    assert_eq!(
        (stats.concealed_ms, stats.late, stats.dropped_ms),
        (0, 0, 0)
    );
    assert!(
        call.heard[150..].iter().all(Option::is_some),
        "comfort noise goes on"
    );
}

#[test]
fn a_sequence_that_begins_anew_is_followed() {
    for restart in [100_000_u64, 0, 280] {
        let mut call = Call::new();
        call.next_seq = 300;
        call.elapsed = STEP * 300;
        call.run(100, &even);
        for index in 0..80 {
            call.push(restart + index, vec![70; 9], false);
            call.elapsed += STEP;
            call.pull();
        }
        assert_eq!(call.heard[170..], [Some(70); 10], "from {restart}");
    }
}

#[test]
fn packets_of_other_lengths_play_whole_and_lost_ones_last_as_long() {
    for packet_samples in [120_u64, 480, 1_920, 2_880] {
        let decoder = Box::new(Plain(packet_samples as usize));
        let mut buffer = JitterBuffer::new(decoder, Duration::from_millis(60));
        let start = Instant::now();
        let (mut seq, mut silent) = (0_u64, 0);
        for pull in 0..300_u64 {
            let now = start + STEP * pull as u32;
            while seq * packet_samples <= pull * BLOCK_SAMPLES as u64 {
                if seq != 40 {
                    let frame = AudioFrame {
                        seq,
                        media_time_samples: seq * packet_samples,
                        data: vec![50; 3],
                        is_copy: false,
                    };
                    buffer.push(
                        start + Duration::from_micros(seq * packet_samples * 1000 / 48),
                        frame,
                    );
                }
                seq += 1;
            }
            silent += u64::from(buffer.pull(now) == Pull::Silence);
        }
        let stats = buffer.stats();
        // A longer packet must be there whole: 60 ms of start delay are little for packets of 60 ms.
        assert!(
            silent <= 6 && stats.late == 0,
            "{packet_samples}: {silent} silent blocks, {stats:?}"
        );
        let made_up = packet_samples / 48..=packet_samples / 48 + 20;
        assert!(
            made_up.contains(&stats.concealed_ms),
            "{packet_samples}: {stats:?}"
        );
    }
}

#[test]
fn real_opus_comes_through_at_full_length() {
    let mut encoder = opus::Encoder::new().expect("starts");
    let decoder = opus::Decoder::new().expect("starts");
    let mut buffer = JitterBuffer::new(Box::new(decoder), Duration::from_millis(20));
    let mut now = Instant::now();
    let (mut energy, mut blocks) = (0.0, 0.0);
    for seq in 0..100_u64 {
        let block: Block = std::array::from_fn(|index| {
            let sample = seq as usize * BLOCK_SAMPLES + index;
            0.3 * (std::f32::consts::TAU * 300.0 * sample as f32 / 48_000.0).sin()
        });
        let frame = AudioFrame {
            seq,
            media_time_samples: seq * 960,
            data: encoder.encode(&block).expect("encodes"),
            is_copy: false,
        };
        buffer.push(now, frame);
        if let Pull::Play(block) = buffer.pull(now) {
            energy += rms(block.as_slice());
            blocks += 1.0;
        }
        now += STEP;
    }
    let stats = buffer.stats();
    assert_eq!((stats.played_ms, stats.concealed_ms), (99 * 20, 0));
    let level = energy / blocks / (0.3 / 2f32.sqrt());
    assert!((level - 1.0).abs() < 0.1, "mean level {level}");
}

#[test]
fn one_lost_packet_marks_no_blocks_but_its_own() {
    // 25 ms: something is left over from every block.
    let length = 1_200;
    let mut buffer = JitterBuffer::new(Box::new(Plain(length)), Duration::from_millis(60));
    let start = Instant::now();
    let mut marked = 0;
    for pull in 0..400_u64 {
        let now = start + STEP * pull as u32;
        let seq = pull * 4 / 5;
        if (pull * 4) % 5 < 4 && seq != 40 {
            let frame = AudioFrame {
                seq,
                media_time_samples: seq * length as u64,
                data: vec![50; 3],
                is_copy: false,
            };
            buffer.push(now, frame);
        }
        marked += u64::from(matches!(buffer.pull(now), Pull::Concealed(_)));
    }
    assert!((1..=4).contains(&marked), "{marked} blocks are marked");
}

#[test]
fn it_says_when_which_moment_plays() {
    let mut call = Call::new();
    assert_eq!(call.buffer.plays_at(), None);
    call.run(200, &even);
    let clock = call.buffer.plays_at().expect("plays");
    // Captured at its media time, on the way after 20 ms, held for the target.
    let captured = call.start + Duration::from_micros(clock.media_time * 1000 / 48);
    let delay = clock.at.saturating_duration_since(captured).as_millis();
    assert!((35..=55).contains(&delay), "{delay} ms");
    let held = clock.delay.as_millis();
    assert!(delay.abs_diff(held + 20) <= 1, "{delay} and {held} ms");
}

#[test]
fn sound_waits_for_pictures_by_the_limit_at_most_and_no_longer_than_it_is_asked_to() {
    let mut call = Call::new();
    let alone = call.run(400, &even).delay_ms;
    for (asked, want) in [(120, 100..=122), (5_000, 150..=190), (0, 0..=40)] {
        call.buffer.set_wait(Duration::from_millis(asked));
        let stats = call.run(400, &even);
        let what = format!("asked for {asked} ms: {stats:?}, {alone} ms before");
        assert!(want.contains(&stats.delay_ms), "{what}");
        assert_eq!((stats.concealed_ms, stats.late), (0, 0), "{what}");
    }
}

proptest! {
    #[test]
    fn any_arrivals_keep_the_bounds(steps in proptest::collection::vec((0u64..400, any::<u8>(), any::<bool>(), 0u8..4), 1..400), far in any::<u64>()) {
        let mut call = Call::new();
        for (seq, byte, is_copy, pulls) in steps {
            let seq = if byte % 50 == 0 { far.wrapping_add(seq) } else { seq };
            call.push(seq, vec![byte; usize::from(byte % 5)], is_copy);
            for _ in 0..pulls {
                call.pull();
                call.elapsed += STEP;
            }
            let target = call.buffer.stats().target_ms;
            prop_assert!(call.buffer.packets.len() <= PACKETS_MAX && call.buffer.sound.len() <= 4 * BLOCK_SAMPLES);
            prop_assert!(call.buffer.given_up.len() <= GIVEN_UP_MAX && (20..=500).contains(&target));
        }
    }

    #[test]
    fn a_line_that_loses_nothing_and_is_uneven_by_little_needs_next_to_nothing_made_up(seed in any::<u64>(), spread in 0u64..20) {
        let mut call = Call::new();
        let stats = call.run(300, &move |seq| Some(uneven(seq ^ seed, spread)));
        prop_assert!(stats.concealed_ms <= 60 && stats.dropped_ms == 0, "1 % at most: {:?}", stats);
    }
}

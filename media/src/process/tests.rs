use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::device::DeviceError;
use crate::sink::AudioSink;
use crate::source::{AudioSource, CaptureTime};

/// Something like speech: noise that is coloured and comes in syllables of 180 ms with pauses, at about -20 dB of full scale.
pub(super) struct Speech {
    rng: ChaCha8Rng,
    at: usize,
    low: [f32; 2],
}

impl Speech {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            at: 0,
            low: [0.0; 2],
        }
    }

    fn sample(&mut self) -> f32 {
        let syllable = self.at / 8_640;
        let part = (self.at % 8_640) as f32 / 8_640.0;
        // Every fifth and sixth is a pause.
        let envelope = if syllable % 6 < 4 {
            (part * std::f32::consts::PI).sin()
        } else {
            0.0
        };
        self.at += 1;
        let white: f32 = self.rng.random_range(-1.0..1.0);
        self.low[0] += 0.25 * (white - self.low[0]);
        self.low[1] += 0.02 * (self.low[0] - self.low[1]);
        (self.low[0] - self.low[1]) * envelope * 0.6
    }

    pub(super) fn block(&mut self) -> Block {
        std::array::from_fn(|_| self.sample())
    }
}

/// A room: what the loudspeaker plays comes back after `DELAY` and for 150 ms more, quieter and quieter.
struct Room {
    response: Vec<(usize, f32)>,
    played: Vec<f32>,
}

/// Loudspeaker, air and microphone, in samples: 40 ms.
const DELAY: usize = 1_920;

impl Room {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut response = vec![(DELAY, 0.35)];
        for _ in 0..60 {
            let late = rng.random_range(48..7_200);
            let size = 0.12 * (-6.9 * late as f32 / 12_000.0).exp();
            response.push((DELAY + late, rng.random_range(-size..size)));
        }
        Self {
            response,
            played: vec![0.0; 10_000],
        }
    }

    /// What the microphone hears while this is played.
    fn hear(&mut self, block: &Block) -> Block {
        self.played.extend_from_slice(block);
        let start = self.played.len() - BLOCK_SAMPLES;
        let heard = std::array::from_fn(|index| {
            let of = |(late, size): &(usize, f32)| self.played[start + index - late] * size;
            self.response.iter().map(of).sum()
        });
        self.played.drain(..BLOCK_SAMPLES);
        heard
    }
}

pub(super) fn energy(block: &Block) -> f64 {
    block.iter().map(|sample| f64::from(sample * sample)).sum()
}

fn db(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

#[test]
fn the_far_side_comes_back_thirty_decibels_quieter() {
    let (mut speech, mut room) = (Speech::new(1), Room::new(2));
    let mut processor = Processor::new(Processing::ALL);
    let (mut before, mut after) = (0.0, 0.0);
    for index in 0..600 {
        let far = speech.block();
        let mut near = room.hear(&far);
        let heard = energy(&near);
        processor.set_delay_ms(40);
        processor.both(&far, &mut near);
        if index >= 250 {
            before += heard;
            after += energy(&near);
        }
    }
    let quieter = db(before / after);
    assert!(quieter >= 30.0, "{quieter:.1} dB from 5 s on");
    let figures = processor.figures();
    assert!(
        figures.echo_reduction_db.is_some_and(|db| db > 3.0),
        "{figures:?}"
    );
}

#[test]
fn an_echo_of_unknown_delay_is_found() {
    let (mut speech, mut room) = (Speech::new(3), Room::new(4));
    let mut processor = Processor::new(Processing {
        echo: true,
        ..Processing::NONE
    });
    let (mut before, mut after) = (0.0, 0.0);
    for index in 0..600 {
        let far = speech.block();
        let mut near = room.hear(&far);
        let heard = energy(&near);
        processor.far(&far);
        processor.near(&mut near);
        if index >= 250 {
            before += heard;
            after += energy(&near);
        }
    }
    assert!(db(before / after) >= 30.0, "{:.1} dB", db(before / after));
}

#[test]
fn a_voice_alone_passes() {
    let mut speech = Speech::new(5);
    let mut processor = Processor::new(Processing {
        gain: false,
        ..Processing::ALL
    });
    let silence = [0.0; BLOCK_SAMPLES];
    let (mut before, mut after) = (0.0, 0.0);
    for index in 0..400 {
        let mut near = speech.block();
        let heard = energy(&near);
        processor.both(&silence, &mut near);
        if index >= 100 {
            before += heard;
            after += energy(&near);
        }
    }
    assert!(
        db(after / before).abs() < 4.0,
        "{:.1} dB",
        db(after / before)
    );
}

#[test]
fn the_noise_of_a_room_is_taken_out_unless_it_is_not_to_be() {
    let quieter = |processing| {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut processor = Processor::new(processing);
        let (mut before, mut after) = (0.0, 0.0);
        for index in 0..300 {
            let mut near: Block = std::array::from_fn(|_| rng.random_range(-0.01..0.01));
            let heard = energy(&near);
            processor.near(&mut near);
            if index >= 150 {
                before += heard;
                after += energy(&near);
            }
        }
        db(before / after)
    };
    let noise = Processing {
        noise: true,
        ..Processing::NONE
    };
    assert!(quieter(noise) > 8.0, "{:.1} dB", quieter(noise));
    assert_eq!(quieter(Processing::NONE), 0.0, "not touched at all");
}

#[test]
fn a_quiet_voice_becomes_louder_and_a_loud_one_does_not_clip() {
    let level = |loudness: f32| {
        let mut speech = Speech::new(7);
        let mut processor = Processor::new(Processing {
            gain: true,
            ..Processing::NONE
        });
        let (mut before, mut after, mut peak) = (0.0, 0.0, 0.0_f32);
        for index in 0..600 {
            let mut near = speech.block().map(|sample| sample * loudness);
            let heard = energy(&near);
            processor.near(&mut near);
            if index >= 300 {
                before += heard;
                after += energy(&near);
                peak = near
                    .iter()
                    .fold(peak, |peak, sample| peak.max(sample.abs()));
            }
        }
        (db(after / before), peak)
    };
    let (quiet, _) = level(0.1);
    let (loud, peak) = level(4.0);
    assert!(
        quiet > 5.0 && quiet > loud + 3.0,
        "{quiet:.1}, {loud:.1} dB"
    );
    assert!(peak <= 1.0, "{peak}");
}

#[test]
fn a_switch_is_obeyed_from_the_next_block_on() {
    let switch = ProcessSwitch::default();
    assert_eq!(switch.get(), Processing::ALL);
    let other = Processing {
        echo: false,
        noise: true,
        gain: false,
    };
    switch.clone().set(other);
    assert_eq!(switch.get(), other);
}

/// A microphone that hears what the loudspeaker beside it plays; both ends of a wire.
struct Wire(crossbeam_channel::Receiver<Block>, bool);

impl AudioSource for Wire {
    fn is_device(&self) -> bool {
        self.1
    }

    fn read(&mut self, _at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        *block = self.0.try_recv().unwrap_or([0.0; BLOCK_SAMPLES]);
        Ok(())
    }
}

struct WireEnd(crossbeam_channel::Sender<Block>, Room);

impl AudioSink for WireEnd {
    fn is_device(&self) -> bool {
        true
    }

    fn write(&mut self, block: &Block) -> Result<(), DeviceError> {
        let heard = self.1.hear(block);
        self.0.try_send(heard).expect("room");
        Ok(())
    }
}

/// How much quieter a microphone hears the loudspeaker when both are joined, dB; `late`: the microphone's thread runs in bursts.
fn joined(is_device: bool, for_files: bool, late: bool) -> f64 {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let switch = ProcessSwitch::new(
        Processing::ALL,
        if for_files {
            Processing::ALL
        } else {
            Processing::NONE
        },
    );
    let mic: Option<Box<dyn AudioSource>> = Some(Box::new(Wire(receiver, is_device)));
    let speaker: Option<Box<dyn AudioSink>> = Some(Box::new(WireEnd(sender, Room::new(2))));
    let (mic, speaker) = join((mic, speaker), &switch);
    let (mut mic, mut speaker) = (mic.unwrap(), speaker.unwrap());
    let mut reference = Room::new(2);
    let (mut speech, mut block) = (Speech::new(1), [0.0; BLOCK_SAMPLES]);
    let (mut before, mut after) = (0.0, 0.0);
    let at = CaptureTime {
        elapsed: std::time::Duration::ZERO,
        clock_us: 0,
    };
    for round in 0..300 {
        for _ in 0..2 {
            let far = speech.block();
            speaker.write(&far).unwrap();
            let heard = energy(&reference.hear(&far));
            before += if round >= 125 { heard } else { 0.0 };
            if !late {
                mic.read(at, &mut block).unwrap();
                after += if round >= 125 { energy(&block) } else { 0.0 };
            }
        }
        if late {
            for _ in 0..2 {
                mic.read(at, &mut block).unwrap();
                after += if round >= 125 { energy(&block) } else { 0.0 };
            }
        }
    }
    db(before / after)
}

#[test]
fn a_microphone_does_not_hear_the_loudspeaker_it_is_joined_with() {
    assert!(
        joined(true, false, false) >= 30.0,
        "{:.1}",
        joined(true, false, false)
    );
    // Two blocks at once from each: as threads do on a busy machine.
    assert!(
        joined(true, false, true) >= 25.0,
        "{:.1}",
        joined(true, false, true)
    );
}

#[test]
fn files_and_test_sounds_pass_by_unless_asked() {
    assert!(joined(false, false, false).abs() < 0.01);
    assert!(joined(false, true, false) >= 30.0);
}

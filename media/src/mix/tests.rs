use super::*;
use crate::codec::AudioEncoder;
use crate::frame::BLOCK_TIME;
use crate::jitter::TARGET_START;

fn id(number: u32) -> ParticipantId {
    ParticipantId::try_from(number).expect("in range")
}

/// A person who whistles one tone.
struct Whistler {
    id: ParticipantId,
    encoder: opus::Encoder,
    tone_hz: f32,
    amplitude: f32,
    seq: u64,
}

impl Whistler {
    fn new(number: u32, tone_hz: f32, amplitude: f32) -> Self {
        Self {
            id: id(number),
            encoder: opus::Encoder::new().expect("starts"),
            tone_hz,
            amplitude,
            seq: 0,
        }
    }

    fn whistle(&mut self, now: Instant, mixer: &mut Mixer) {
        let at = self.seq as usize * BLOCK_SAMPLES;
        let block: Block = std::array::from_fn(|index| {
            let seconds = (at + index) as f32 / 48_000.0;
            self.amplitude * (seconds * self.tone_hz * std::f32::consts::TAU).sin()
        });
        let data = self.encoder.encode(&block).expect("encodes");
        let frame = AudioFrame {
            seq: self.seq,
            media_time_samples: at as u64,
            data,
            is_copy: false,
        };
        self.seq += 1;
        mixer.push(now, self.id, frame).expect("starts");
    }
}

/// How much of one tone is in the samples (Goertzel), 0..=1.
fn tone(samples: &[f32], tone_hz: f32) -> f32 {
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let phase = index as f32 / 48_000.0 * tone_hz * std::f32::consts::TAU;
        re += sample * phase.cos();
        im += sample * phase.sin();
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f32
}

fn listen(people: &mut [Whistler], mixer: &mut Mixer, blocks: u32, from: Instant) -> Vec<f32> {
    let mut heard = Vec::new();
    for index in 0..blocks {
        let now = from + BLOCK_TIME * index;
        for person in people.iter_mut() {
            person.whistle(now, mixer);
        }
        heard.extend(
            mixer
                .pull(now)
                .map_or(vec![0.0; BLOCK_SAMPLES], |block| block.to_vec()),
        );
    }
    // The first half is the buffers filling and the codec waking.
    heard.split_off(heard.len() / 2)
}

#[test]
fn everybody_is_heard_at_the_volume_asked_for() {
    let mut people = [
        Whistler::new(2, 400.0, 0.2),
        Whistler::new(3, 700.0, 0.2),
        Whistler::new(4, 1_100.0, 0.2),
    ];
    let mut mixer = Mixer::new(TARGET_START);
    mixer.set_volume(id(3), 2.0);
    mixer.set_volume(id(4), 0.0);
    let start = Instant::now();
    let heard = listen(&mut people, &mut mixer, 60, start);
    for (tone_hz, wanted) in [(400.0, 0.2), (700.0, 0.4), (1_100.0, 0.0), (1_500.0, 0.0)] {
        let found = tone(&heard, tone_hz);
        assert!(
            (found - wanted).abs() < 0.06,
            "{tone_hz} Hz: {found}, not {wanted}"
        );
    }
    let sounds: Vec<_> = mixer.people().collect();
    assert_eq!(sounds.len(), 3);
    assert!(
        sounds
            .iter()
            .all(|person| person.speaking && person.level_db > -25.0)
    );
    mixer.remove(id(2));
    let heard = listen(&mut people[1..], &mut mixer, 40, start + BLOCK_TIME * 60);
    assert!(tone(&heard, 400.0) < 0.02);
}

#[test]
fn many_loud_ones_stay_within_full_scale_and_the_loudness_comes_back() {
    let mut people: Vec<_> = (0..6)
        .map(|index| Whistler::new(110 + index, 300.0 + 97.0 * index as f32, 0.7))
        .collect();
    let mut mixer = Mixer::new(TARGET_START);
    let start = Instant::now();
    let heard = listen(&mut people, &mut mixer, 60, start);
    assert!(heard.iter().all(|sample| sample.abs() <= 1.0));
    let clipped = heard.iter().filter(|sample| sample.abs() >= 0.9999).count();
    assert!(
        clipped * 50 < heard.len(),
        "{clipped} of {} samples clip",
        heard.len()
    );
    people.truncate(1);
    for gone in 111..116 {
        mixer.remove(id(gone));
    }
    let heard = listen(&mut people, &mut mixer, 120, start + BLOCK_TIME * 60);
    assert!(tone(&heard, 300.0) > 0.6);
}

#[test]
fn nobody_is_nothing_and_the_table_is_bounded() {
    let mut mixer = Mixer::new(TARGET_START);
    let now = Instant::now();
    assert!(mixer.pull(now).is_none());
    for number in 0..PEOPLE_MAX as u32 + 9 {
        let frame = AudioFrame {
            seq: 0,
            media_time_samples: 0,
            data: vec![0xff; 40],
            is_copy: false,
        };
        mixer.push(now, id(number), frame).expect("starts");
        mixer.set_volume(id(number), f32::NAN);
        mixer.set_volume(id(number), 0.5);
    }
    assert_eq!((mixer.people().count(), mixer.refused()), (PEOPLE_MAX, 9));
    assert_eq!(mixer.volumes.len(), PEOPLE_MAX);
    let _ = mixer.pull(now + TARGET_START);
}

#[test]
fn a_change_of_volume_does_not_click_and_silence_for_all_leaves_who_speaks_to_be_seen() {
    let mut people = [Whistler::new(2, 200.0, 0.3)];
    let mut mixer = Mixer::new(TARGET_START);
    let start = Instant::now();
    listen(&mut people, &mut mixer, 40, start);
    let mut heard = Vec::new();
    for (index, (one, all)) in [(1.0, 1.0), (2.0, 1.0), (2.0, 0.0), (0.5, 0.0), (0.5, 1.0)]
        .into_iter()
        .enumerate()
    {
        mixer.set_volume(id(2), one);
        mixer.set_volume_of_all(all);
        for block in 0..4u32 {
            let now = start + BLOCK_TIME * (40 + 4 * index as u32 + block);
            people[0].whistle(now, &mut mixer);
            heard.extend_from_slice(&*mixer.pull(now).expect("somebody whistles"));
        }
        let silent = &heard[heard.len() - BLOCK_SAMPLES..];
        let is_silent = silent.iter().all(|sample| *sample == 0.0);
        assert_eq!(is_silent, all == 0.0, "{one} {all}");
        assert!(
            mixer
                .people()
                .all(|person| person.speaking && person.volume == one)
        );
    }
    // A tone of 200 Hz at 0.6 has steps of 0.016 itself.
    let step = heard
        .windows(2)
        .map(|pair| (pair[0] - pair[1]).abs())
        .fold(0.0, f32::max);
    assert!(step < 0.02, "a step of {step} clicks");
}

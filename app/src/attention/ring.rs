//! The sound of a call: two tones, rising to full loudness over the first rings; a short beep for whoever talks already.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hullo_media::clock;
use hullo_media::frame::{BLOCK_SAMPLES, BLOCK_TIME, Block, SAMPLE_RATE_HZ};
use hullo_media::sink::{AudioSink, open_speaker};
use hullo_media::source::SpeakerSpec;

/// Blocks in one second.
const SECOND: u64 = SAMPLE_RATE_HZ as u64 / BLOCK_SAMPLES as u64;
/// One ring: a second of sound, three of silence, as European exchanges rang.
const RING_ON: u64 = SECOND;
const RING_EVERY: u64 = 4 * SECOND;
/// The beep in a call: an eighth of a second, every five.
const BEEP_ON: u64 = SECOND / 8;
const BEEP_EVERY: u64 = 5 * SECOND;
/// The two tones, hertz: their beat of 20 a second is the telephone's warble.
const TONES_HZ: [f32; 2] = [440.0, 460.0];
/// Loudest ring, of full scale 1: loud, and below clipping with both tones.
const LOUDEST: f32 = 0.4;
/// The beep: beside a voice, not over it.
const SOFT: f32 = 0.08;
/// Rings until the loudest.
const RAMP_RINGS: u64 = 3;
/// Samples over which a tone fades in and out, so that it does not click.
const EDGE_SAMPLES: u64 = SAMPLE_RATE_HZ as u64 / 100;

/// Block number `index` of a ring.
#[must_use]
pub fn block(index: u64, soft: bool) -> Block {
    let (on, every) = if soft {
        (BEEP_ON, BEEP_EVERY)
    } else {
        (RING_ON, RING_EVERY)
    };
    let mut samples = [0.0; BLOCK_SAMPLES];
    let (ring, within) = (index / every, index % every);
    if within >= on {
        return samples;
    }
    let level = if soft {
        SOFT
    } else {
        LOUDEST * (ring + 1).min(RAMP_RINGS) as f32 / RAMP_RINGS as f32
    };
    let length = on * BLOCK_SAMPLES as u64;
    for (offset, sample) in samples.iter_mut().enumerate() {
        let at = within * BLOCK_SAMPLES as u64 + offset as u64;
        let seconds = at as f32 / SAMPLE_RATE_HZ as f32;
        let edge = at.min(length - at).min(EDGE_SAMPLES) as f32 / EDGE_SAMPLES as f32;
        let tones = TONES_HZ.map(|hertz| (TAU * hertz * seconds).sin() / 2.0);
        *sample = level * edge * tones.iter().sum::<f32>();
    }
    samples
}

/// A ring that sounds until this is dropped. Where there is no loudspeaker nothing sounds, and nothing fails: the other
/// alerts are there too.
pub struct Ring {
    is_over: Arc<AtomicBool>,
}

impl Ring {
    /// Starts it.
    #[must_use]
    pub fn start(speaker: Option<SpeakerSpec>, soft: bool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        crate::threads::detach("ring", move || {
            let spec = speaker.unwrap_or(SpeakerSpec::Device(None));
            // A file is for the call's sound alone.
            if matches!(spec, SpeakerSpec::File(_)) {
                return;
            }
            match open_speaker(&spec) {
                Ok(Some(sink)) => play(sink, soft, &stop),
                Ok(None) => {}
                Err(error) => tracing::info!(%error, "no ring sound"),
            }
        });
        Self { is_over }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn play(mut sink: Box<dyn AudioSink>, soft: bool, is_over: &AtomicBool) {
    for index in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        if !sink.is_device() {
            clock::sleep(BLOCK_TIME);
        }
        let written = sink.wait().and_then(|()| sink.write(&block(index, soft)));
        if let Err(error) = written {
            tracing::info!(%error, "the ring sound stopped");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loudness(index: u64, soft: bool) -> f32 {
        let squares: f32 = block(index, soft)
            .iter()
            .map(|sample| sample * sample)
            .sum();
        (squares / BLOCK_SAMPLES as f32).sqrt()
    }

    #[test]
    fn it_rings_a_second_and_rests_three_and_grows_louder() {
        let middle = RING_ON / 2;
        assert!(loudness(middle, false) > 0.01);
        assert_eq!(loudness(RING_ON, false), 0.0);
        assert_eq!(loudness(RING_EVERY - 1, false), 0.0);
        let peak = |ring: u64| {
            let blocks = ring * RING_EVERY..ring * RING_EVERY + RING_ON;
            blocks
                .map(|index| loudness(index, false))
                .fold(0.0, f32::max)
        };
        assert!(peak(0) < peak(1) && peak(1) < peak(2));
        assert!((peak(2) - peak(9)).abs() < 1e-3);
        assert!(
            block(9 * RING_EVERY + 3, false)
                .iter()
                .all(|s| s.abs() <= LOUDEST)
        );
    }

    #[test]
    fn the_beep_is_soft_short_and_rare() {
        assert!(loudness(2, true) > 0.0 && loudness(2, true) < SOFT);
        assert_eq!(loudness(BEEP_ON, true), 0.0);
        assert_eq!(loudness(BEEP_EVERY - 1, true), 0.0);
    }

    #[test]
    fn nothing_clicks() {
        let mut last = 0.0f32;
        for index in 0..RING_EVERY + 5 {
            for sample in block(index, false) {
                assert!((sample - last).abs() < 0.03, "block {index}");
                last = sample;
            }
        }
    }
}

//! A volume that changes without a click.

use super::VOLUME_MAX;
use crate::frame::{BLOCK_SAMPLES, Block};

/// How loud something is, gliding over a block (20 ms) from the volume before to the one wanted: a jump would click.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glide {
    now: f32,
    wanted: f32,
}

impl Glide {
    /// As loud as this from the first sample on.
    pub(crate) fn new(volume: f32) -> Self {
        let volume = within(volume);
        Self {
            now: volume,
            wanted: volume,
        }
    }

    /// As loud as this from the next block on, 0..=[`VOLUME_MAX`]; 1 is as sent. What is no number counts as 1.
    pub(crate) fn set(&mut self, volume: f32) {
        self.wanted = within(volume);
    }

    /// The volume wanted.
    pub(crate) fn wanted(&self) -> f32 {
        self.wanted
    }

    /// Adds a block to a sum at this volume.
    pub(crate) fn add(&mut self, from: &Block, to: &mut Block) {
        let volumes = self.volumes();
        for ((to, from), volume) in to.iter_mut().zip(from.iter()).zip(volumes) {
            *to += from * volume;
        }
    }

    /// Brings a block to this volume.
    pub(crate) fn apply(&mut self, block: &mut Block) {
        if self.now == 1.0 && self.wanted == 1.0 {
            return;
        }
        for (sample, volume) in block.iter_mut().zip(self.volumes()) {
            *sample = (*sample * volume).clamp(-1.0, 1.0);
        }
    }

    /// A block without sound: the glide is over when sound comes back.
    pub(crate) fn silence(&mut self) {
        self.now = self.wanted;
    }

    /// The volume at each sample of the next block.
    fn volumes(&mut self) -> impl Iterator<Item = f32> + use<> {
        let (before, after) = (self.now, self.wanted);
        self.now = after;
        let step = (after - before) / BLOCK_SAMPLES as f32;
        // Whole numbers below 2^24: exact.
        (1..=BLOCK_SAMPLES).map(move |index| before + step * index as f32)
    }
}

/// A volume there is.
pub(crate) fn within(volume: f32) -> f32 {
    if volume.is_finite() {
        volume.clamp(0.0, VOLUME_MAX)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest step from one sample to the next that is no click, of full scale; the fade of the microphone has as much.
    const STEP_MAX: f32 = 0.003;

    #[test]
    fn a_volume_glides_and_arrives() {
        let mut glide = Glide::new(1.0);
        let mut heard = Vec::new();
        for volume in [1.0, 0.0, 0.0, 2.0, 2.0, 1.0, 1.0] {
            glide.set(volume);
            let mut block = [0.4; BLOCK_SAMPLES];
            glide.apply(&mut block);
            heard.push(block);
        }
        let samples: Vec<f32> = heard.iter().flatten().copied().collect();
        let step = samples
            .windows(2)
            .map(|pair| (pair[0] - pair[1]).abs())
            .fold(0.0, f32::max);
        assert!(step < STEP_MAX, "a step of {step} clicks");
        assert_eq!(heard[2], [0.0; BLOCK_SAMPLES]);
        assert!((heard[4][0] - 0.8).abs() < 1e-6);
        assert!((heard[6][0] - 0.4).abs() < 1e-6);
    }

    #[test]
    fn nonsense_is_as_sent_and_nothing_is_louder_than_full_scale() {
        let mut glide = Glide::new(f32::NAN);
        assert_eq!(glide.wanted(), 1.0);
        glide.set(f32::INFINITY);
        assert_eq!(glide.wanted(), 1.0);
        glide.set(99.0);
        assert_eq!(glide.wanted(), VOLUME_MAX);
        let mut block = [0.9; BLOCK_SAMPLES];
        glide.apply(&mut block);
        assert!(block.iter().all(|sample| *sample <= 1.0));
    }
}

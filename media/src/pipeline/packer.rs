//! Blocks joined to the length that a packet is to have.

use std::time::Instant;

use crate::frame::{BLOCK_SAMPLES, Block};

/// Samples of one packet and when the first was captured.
pub type Packed = (Vec<f32>, Instant);

/// Gathers one to three blocks.
pub struct Packer {
    blocks: usize,
    waiting: Option<Packed>,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            blocks: 1,
            waiting: None,
        }
    }
}

impl Packer {
    /// Packets of so many blocks, 1 to 3, from the next on.
    pub fn set_blocks(&mut self, blocks: u8) {
        self.blocks = usize::from(blocks.clamp(1, 3));
    }

    /// Takes a block; gives a packet's worth when it is complete.
    pub fn block(&mut self, block: &Block, captured_at: Instant) -> Option<Packed> {
        let (mut samples, began) = self.waiting.take().unwrap_or((Vec::new(), captured_at));
        samples.extend_from_slice(block);
        if samples.len() >= self.blocks * BLOCK_SAMPLES {
            return Some((samples, began));
        }
        self.waiting = Some((samples, began));
        None
    }

    /// No more blocks for now: gives what waits, silence behind it, so that the end of a fade is heard.
    pub fn finish(&mut self) -> Option<Packed> {
        let (mut samples, began) = self.waiting.take()?;
        samples.resize(self.blocks * BLOCK_SAMPLES, 0.0);
        Some((samples, began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_joined_and_nothing_is_left_behind() {
        let now = Instant::now();
        let block = [0.5; BLOCK_SAMPLES];
        let mut packer = Packer::default();
        assert_eq!(packer.block(&block, now), Some((block.to_vec(), now)));
        packer.set_blocks(2);
        assert_eq!(packer.block(&block, now), None);
        let (two, began) = packer
            .block(&block, now + crate::frame::BLOCK_TIME)
            .expect("complete");
        assert_eq!((two.len(), began), (2 * BLOCK_SAMPLES, now));
        assert_eq!(packer.block(&block, now), None);
        let (rest, _) = packer.finish().expect("one waits");
        assert_eq!((rest.len(), rest[BLOCK_SAMPLES]), (2 * BLOCK_SAMPLES, 0.0));
        assert_eq!(packer.finish(), None);
        assert_eq!(packer.block(&block, now), None);
        packer.set_blocks(1);
        assert_eq!(
            packer.block(&block, now).expect("not held back").0.len(),
            2 * BLOCK_SAMPLES
        );
    }
}

//! Muting without a click.

use crate::frame::{BLOCK_SAMPLES, Block};

/// Length of a fade, 10 ms. The rest of the last block is silent and pushes the faded sound through the codec's
/// look-ahead of 6.5 ms, so that the far side hears the whole fade.
const FADE_SAMPLES: usize = BLOCK_SAMPLES / 2;

/// Fades the blocks around a change of the switch.
pub(super) struct Fader {
    sending: bool,
}

impl Fader {
    pub(super) fn new(muted: bool) -> Self {
        Self { sending: !muted }
    }

    /// Whether the block is to be sent. The first block after muting is the last one sent, faded out.
    pub(super) fn apply(&mut self, block: &mut Block, muted: bool) -> bool {
        let before = std::mem::replace(&mut self.sending, !muted);
        match (before, muted) {
            (true, true) => {
                ramp(block).for_each(|(sample, part)| *sample *= 1.0 - part);
                block[FADE_SAMPLES..].fill(0.0);
            }
            (false, false) => ramp(block).for_each(|(sample, part)| *sample *= part),
            _ => {}
        }
        before || !muted
    }
}

/// The samples of the fade with numbers from 0 to 1.
fn ramp(block: &mut Block) -> impl Iterator<Item = (&mut f32, f32)> {
    let parts = (0u16..).map(|index| f32::from(index) / FADE_SAMPLES as f32);
    block[..FADE_SAMPLES].iter_mut().zip(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_faded_block_is_the_last_and_the_next_begins_softly() {
        let mut fader = Fader::new(false);
        let mut heard = Vec::new();
        for muted in [false, false, true, true, true, false, false] {
            let mut block = [0.8; BLOCK_SAMPLES];
            if fader.apply(&mut block, muted) {
                heard.extend_from_slice(&block);
            } else {
                heard.push(0.0);
            }
        }
        assert_eq!(heard.len(), 5 * BLOCK_SAMPLES + 2);
        let step = heard
            .windows(2)
            .map(|pair| (pair[0] - pair[1]).abs())
            .fold(0.0, f32::max);
        assert!(step < 0.003, "a step of {step} clicks");
    }

    #[test]
    fn nothing_is_sent_before_the_first_unmuting() {
        let mut fader = Fader::new(true);
        let mut block = [0.8; BLOCK_SAMPLES];
        assert!(!fader.apply(&mut block, true));
        assert!(fader.apply(&mut block, false));
        assert_eq!(block[0], 0.0);
    }
}

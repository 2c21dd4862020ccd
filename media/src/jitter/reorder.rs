//! A jitter buffer of fixed target: puts packets in order, makes up what is missing, keeps the delay near its target.
//!
//! ```text
//!            first packet + target            5 blocks made up in a row, or a quiet end
//!  Filling ──────────────────────▶ Playing ─────────────────────────────────────────────▶ Filling
//! ```
//!
//! While playing, a packet that is not there although later ones are is lost: its sound comes from the next packet's
//! copy (FEC) or is made up. With nothing there at all the packet may only be late: sound is made up, but its place is
//! kept, so that the delay grows by as much. The delay shrinks again by fading two blocks into one, in quiet moments
//! if there are any.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{AudioBuffer, AudioBufferStats, AudioFrame, Pull, TARGET_MAX, TARGET_MIN};
use crate::codec::AudioDecoder;
use crate::frame::{BLOCK_SAMPLES, Block, SAMPLE_RATE_HZ};

/// Packets waiting at most, 1 s of 20 ms: a burst after an outage is longer only where nobody wants to hear it.
const PACKETS_MAX: usize = 50;
/// Largest packet taken, in bytes: Opus at its highest rate has 1,275 for 20 ms.
const PACKET_BYTES_MAX: usize = 4_096;
/// A packet so far from the expected one begins a new sequence (5 s of 20 ms).
const JUMP_PACKETS: u64 = 250;
/// So many late packets in a row are no late packets but a sequence that began anew nearby (0.5 s).
const LATE_IN_ROW_MAX: u32 = 25;
/// Made-up blocks in a row, 100 ms: after that concealment is a hum rather than speech.
const CONCEALED_IN_ROW_MAX: u32 = 5;
/// How long the delay must stay too high before it is brought down, in blocks: shorter takes the natural swing of
/// jitter for delay, longer keeps people waiting.
const WINDOW_BLOCKS: u32 = 50;
/// Blocks between two shortenings, so that they are not heard as a stumble.
const SHORTEN_BLOCKS_MIN: u32 = 5;
/// Sound below this level, -50 dB of full scale, is quiet: leaving some of it out is not heard.
const QUIET_RMS: f32 = 0.003;
/// Where the end of a block is looked at to tell whether speech was cut off: 3 ms.
const TAIL_SAMPLES: usize = 144;

/// The buffer. See the module's description.
pub struct ReorderBuffer {
    decoder: Box<dyn AudioDecoder>,
    target: Duration,
    packets: BTreeMap<u64, AudioFrame>,
    state: State,
    /// Decoded sound that no block has taken yet: less than a packet and a block.
    sound: Vec<f32>,
    /// Whether some of it is made up.
    sound_concealed: bool,
    /// Samples of the last packet.
    packet_samples: usize,
    late_in_row: u32,
    delay: DelayWatch,
    stats: AudioBufferStats,
    played_samples: u64,
    concealed_samples: u64,
    dropped_samples: u64,
}

enum State {
    /// Waits for the delay to build up.
    Filling {
        /// Arrival of the first packet that waits.
        since: Option<Instant>,
        /// Packets before this one have been played or given up.
        next_seq: Option<u64>,
    },
    /// Gives sound.
    Playing(Playing),
}

struct Playing {
    next_seq: u64,
    /// Blocks made up since the last real packet.
    concealed_in_row: u32,
    /// Packets whose time was filled with made-up sound while they may still have come.
    owed: u32,
}

impl ReorderBuffer {
    /// A buffer that aims at `target`, brought within [`TARGET_MIN`]..=[`TARGET_MAX`].
    #[must_use]
    pub fn new(decoder: Box<dyn AudioDecoder>, target: Duration) -> Self {
        Self {
            decoder,
            target: target.clamp(TARGET_MIN, TARGET_MAX),
            packets: BTreeMap::new(),
            state: State::Filling {
                since: None,
                next_seq: None,
            },
            sound: Vec::new(),
            sound_concealed: false,
            packet_samples: BLOCK_SAMPLES,
            late_in_row: 0,
            delay: DelayWatch::default(),
            stats: AudioBufferStats::default(),
            played_samples: 0,
            concealed_samples: 0,
            dropped_samples: 0,
        }
    }

    fn restart(&mut self) {
        self.packets.clear();
        self.sound.clear();
        self.sound_concealed = false;
        self.late_in_row = 0;
        self.state = State::Filling {
            since: None,
            next_seq: None,
        };
    }

    fn next_seq(&self) -> Option<u64> {
        match &self.state {
            State::Filling { next_seq, .. } => *next_seq,
            State::Playing(playing) => Some(playing.next_seq),
        }
    }

    fn set_next_seq(&mut self, seq: u64) {
        match &mut self.state {
            State::Filling { next_seq, .. } => *next_seq = Some(seq),
            State::Playing(playing) => playing.next_seq = seq,
        }
    }

    /// Whether the packet can still be played; begins anew where the sequence did.
    fn expects(&mut self, seq: u64) -> bool {
        let reference = self
            .next_seq()
            .or_else(|| self.packets.keys().next().copied());
        if reference.is_some_and(|reference| reference.abs_diff(seq) > JUMP_PACKETS) {
            self.restart();
            return true;
        }
        if self.next_seq().is_none_or(|next| seq >= next) {
            self.late_in_row = 0;
            return true;
        }
        self.late_in_row += 1;
        if self.late_in_row <= LATE_IN_ROW_MAX {
            self.stats.late += 1;
            return false;
        }
        self.restart();
        true
    }

    /// Sound waiting: decoded, and in packets counted by their span, gaps included.
    fn depth_samples(&self) -> usize {
        let newest = self.packets.keys().next_back();
        let oldest = self
            .next_seq()
            .or_else(|| self.packets.keys().next().copied());
        let span = match (oldest, newest) {
            (Some(oldest), Some(&newest)) if newest >= oldest => {
                (newest - oldest + 1).min(JUMP_PACKETS)
            }
            _ => 0,
        };
        self.sound.len() + span as usize * self.packet_samples
    }

    fn target_samples(&self) -> usize {
        self.target.as_millis() as usize * SAMPLE_RATE_HZ as usize / 1000
    }

    /// Begins to play when the delay has built up; true while playing.
    fn start_when_filled(&mut self, now: Instant) -> bool {
        let State::Filling { since, .. } = &self.state else {
            return true;
        };
        let Some(since) = *since else { return false };
        let waited = now.saturating_duration_since(since) >= self.target;
        if !waited && self.depth_samples() <= self.target_samples() {
            return false;
        }
        // One to play now and the target's worth to wait; what piled up beyond has had its time in silence.
        let keep = self.target_samples() / self.packet_samples + 1;
        while self.packets.len() > keep {
            self.packets.pop_first();
            self.dropped_samples += self.packet_samples as u64;
        }
        let Some((&first, _)) = self.packets.first_key_value() else {
            return false;
        };
        self.state = State::Playing(Playing {
            next_seq: first,
            concealed_in_row: 0,
            owed: 0,
        });
        self.delay = DelayWatch::default();
        true
    }

    fn stop(&mut self) {
        self.state = State::Filling {
            since: None,
            next_seq: self.next_seq(),
        };
        self.sound.clear();
        self.sound_concealed = false;
    }

    /// Decodes or makes up sound until `samples` of it wait; false when there is nothing more to be had.
    fn decode_until(&mut self, samples: usize, starve: Starve) -> bool {
        // Each round appends at least 2.5 ms or steps over one of at most 50 packets' worth of gap.
        while self.sound.len() < samples {
            let State::Playing(playing) = &mut self.state else {
                return false;
            };
            let seq = playing.next_seq;
            if let Some(frame) = self.packets.remove(&seq) {
                playing.next_seq = seq.saturating_add(1);
                playing.concealed_in_row = 0;
                self.stats.media_time_samples = Some(frame.media_time_samples);
                match self.decoder.decode(&frame.data, &mut self.sound) {
                    Ok(decoded) if decoded > 0 => {}
                    _ => {
                        self.stats.damaged += 1;
                        self.conceal(None);
                    }
                }
            } else if let Some((&later, _)) = self.packets.first_key_value() {
                let missing = later - seq;
                if playing.owed > 0 || missing > u64::from(CONCEALED_IN_ROW_MAX) {
                    // Its time has been filled already, or the hole is too long to make up.
                    let stepped = if playing.owed > 0 { 1 } else { missing };
                    playing.owed = playing.owed.saturating_sub(1);
                    playing.next_seq = seq + stepped;
                } else {
                    playing.next_seq = seq + 1;
                    self.conceal((missing == 1).then_some(later));
                }
            } else if starve == Starve::GiveUp || self.starved() {
                return false;
            }
        }
        true
    }

    /// Nothing is there: makes up a packet's sound, or stops. True when stopped.
    fn starved(&mut self) -> bool {
        let State::Playing(playing) = &mut self.state else {
            return true;
        };
        if playing.concealed_in_row >= CONCEALED_IN_ROW_MAX
            || (playing.concealed_in_row == 0 && self.delay.ended_quiet)
        {
            self.stop();
            return true;
        }
        playing.concealed_in_row += 1;
        playing.owed += 1;
        let last = playing.concealed_in_row == CONCEALED_IN_ROW_MAX;
        let before = self.sound.len();
        self.conceal(None);
        if last {
            fade_out(&mut self.sound[before..]);
        }
        false
    }

    fn conceal(&mut self, next: Option<u64>) {
        let copy = next.and_then(|seq| self.packets.get(&seq));
        let made = match copy {
            Some(frame) => self.decoder.decode_fec(&frame.data, &mut self.sound),
            None => self.decoder.conceal(&mut self.sound),
        };
        if made == 0 {
            // A decoder without an idea must not stop the clock.
            self.sound
                .resize(self.sound.len() + self.packet_samples, 0.0);
        }
        self.concealed_samples += if made == 0 { self.packet_samples } else { made } as u64;
        self.sound_concealed = true;
    }

    fn take_block(&mut self) -> Box<Block> {
        let mut block = Box::new([0.0; BLOCK_SAMPLES]);
        block.copy_from_slice(&self.sound[..BLOCK_SAMPLES]);
        self.sound.drain(..BLOCK_SAMPLES);
        block
    }

    /// Fades the block into the one after it, if the delay is too high and this is a moment for it.
    fn shorten(&mut self, block: &mut Block) {
        let depth = self.depth_samples();
        let target = self.target_samples();
        if !self
            .delay
            .wants_shorter(depth, target, rms(block) < QUIET_RMS)
        {
            return;
        }
        if self.decode_until(BLOCK_SAMPLES, Starve::GiveUp) {
            let next = self.take_block();
            for (index, (sample, next)) in block.iter_mut().zip(next.iter()).enumerate() {
                *sample += (next - *sample) * index as f32 / BLOCK_SAMPLES as f32;
            }
            self.dropped_samples += BLOCK_SAMPLES as u64;
            self.delay.shortened();
            if let State::Playing(playing) = &mut self.state {
                playing.owed = playing.owed.saturating_sub(1);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Starve {
    Conceal,
    GiveUp,
}

impl AudioBuffer for ReorderBuffer {
    fn push(&mut self, now: Instant, frame: AudioFrame) {
        self.stats.received += 1;
        if frame.data.is_empty() || frame.data.len() > PACKET_BYTES_MAX {
            self.stats.damaged += 1;
            return;
        }
        if !self.expects(frame.seq) {
            return;
        }
        if let Some(samples) = self
            .decoder
            .duration(&frame.data)
            .filter(|&samples| samples > 0)
        {
            self.packet_samples = samples;
        }
        if self.packets.insert(frame.seq, frame).is_some() {
            self.stats.duplicate += 1;
        }
        if let State::Filling { since, .. } = &mut self.state {
            since.get_or_insert(now);
        }
        if self.packets.len() > PACKETS_MAX
            && let Some((oldest, _)) = self.packets.pop_first()
        {
            self.dropped_samples += self.packet_samples as u64;
            self.set_next_seq(oldest.saturating_add(1));
        }
    }

    fn pull(&mut self, now: Instant) -> Pull {
        if !self.start_when_filled(now) || !self.decode_until(BLOCK_SAMPLES, Starve::Conceal) {
            return Pull::Silence;
        }
        let mut block = self.take_block();
        self.shorten(&mut block);
        let concealed = self.sound_concealed;
        self.sound_concealed &= !self.sound.is_empty();
        self.delay.ended_quiet = rms(&block[BLOCK_SAMPLES - TAIL_SAMPLES..]) < QUIET_RMS;
        self.played_samples += BLOCK_SAMPLES as u64;
        if concealed {
            Pull::Concealed(block)
        } else {
            Pull::Play(block)
        }
    }

    fn stats(&self) -> AudioBufferStats {
        let ms = |samples: u64| samples * 1000 / u64::from(SAMPLE_RATE_HZ);
        AudioBufferStats {
            played_ms: ms(self.played_samples),
            concealed_ms: ms(self.concealed_samples),
            dropped_ms: ms(self.dropped_samples),
            depth_ms: ms(self.depth_samples() as u64),
            target_ms: self.target.as_millis() as u64,
            ..self.stats
        }
    }
}

/// Watches the smallest delay of each second: what never drains is delay, what drains is jitter.
#[derive(Default)]
struct DelayWatch {
    blocks: u32,
    depth_min: Option<usize>,
    /// Blocks to take out.
    excess: usize,
    /// Blocks since the last one was taken out.
    since_shortened: u32,
    /// Blocks since the excess was found: how long a quiet moment is waited for.
    patience: u32,
    ended_quiet: bool,
}

impl DelayWatch {
    /// Whether to take a block out now. `depth` is what waits after the current block, `target` what should wait at
    /// the most, in samples.
    fn wants_shorter(&mut self, depth: usize, target: usize, quiet: bool) -> bool {
        self.blocks += 1;
        self.since_shortened = self.since_shortened.saturating_add(1);
        self.depth_min = Some(self.depth_min.map_or(depth, |least| least.min(depth)));
        if self.blocks >= WINDOW_BLOCKS {
            let least = self.depth_min.take().unwrap_or(0);
            self.excess = least.saturating_sub(target) / BLOCK_SAMPLES;
            self.blocks = 0;
        }
        if self.excess == 0 || depth < target + BLOCK_SAMPLES {
            self.patience = 0;
            return false;
        }
        self.patience += 1;
        self.since_shortened >= SHORTEN_BLOCKS_MIN && (quiet || self.patience > WINDOW_BLOCKS)
    }

    fn shortened(&mut self) {
        self.excess -= 1;
        self.since_shortened = 0;
        // What was measured before does not hold any more.
        self.depth_min = None;
        self.blocks = 0;
    }
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

fn fade_out(samples: &mut [f32]) {
    let length = samples.len() as f32;
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample *= 1.0 - index as f32 / length;
    }
}

#[cfg(test)]
mod tests;

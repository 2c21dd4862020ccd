//! The jitter buffer: puts packets in order, makes up what is missing, keeps the delay near what the network needs.
//!
//! ```text
//!            the first packet is due          5 packets made up in a row, a quiet end, or a pause
//!  Filling ──────────────────────────▶ Playing ──────────────────────────────────────────────────▶ Filling
//! ```
//!
//! Sound is asked for in blocks, so what counts is the *slack*: how long ago the packet that is needed next could have
//! come at the earliest. The target ([`DelayTarget`]) is the slack that nearly all packets come within; sound plays up
//! to a block later than that. A packet is *due* when its slack reaches the target. While playing, a packet
//! that is not there although later ones are is lost: its sound comes from its copy, from the next packet (FEC), or is
//! made up. With nothing there at all the packet may only be late: sound is made up, but its place is kept, so that
//! the delay grows by as much. What is too much or too little is then stretched away, a period of the voice at a time.

mod clock;
mod reach;
mod stretching;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::delay::{DelayTarget, MS};
use reach::Reach;
use stretching::Stretching;

use super::{AudioBuffer, AudioBufferStats, AudioFrame, Pull, SoundClock, TARGET_MAX, TARGET_MIN};
use crate::codec::AudioDecoder;
use crate::frame::{BLOCK_SAMPLES, Block, SAMPLE_RATE_HZ};

/// Packets waiting at most, 1.3 s of 20 ms: the longest target, a burst after a stall, and some room.
const PACKETS_MAX: usize = 64;
/// Largest packet taken, in bytes: Opus at its highest rate has 1,275 for 20 ms.
const PACKET_BYTES_MAX: usize = 4_096;
/// Largest packet that says "I am silent now" (DTX), in bytes.
const DTX_BYTES_MAX: usize = 2;
/// A packet so far from the expected one begins a new sequence (5 s of 20 ms).
const JUMP_PACKETS: u64 = 250;
/// A transit that changes by so much at once is another clock's, 3 s.
const JUMP_TIME: i64 = 3_000 * MS;
/// So many late packets in a row are no late packets but a sequence that began anew nearby (0.5 s).
const LATE_IN_ROW_MAX: u32 = 25;
/// Made-up packets in a row, 100 ms: after that concealment is a hum rather than speech.
const CONCEALED_IN_ROW_MAX: u32 = 5;
/// Rounds of silence that a DTX packet speaks for, 1 s: it is renewed every 0.4 s.
const COMFORT_IN_ROW_MAX: u32 = 50;
/// Sound that is held up longer than this beyond the target is left out at once: stretching would take too long.
const EXCESS_MAX: i64 = 400 * MS;
/// Sound below this level, -50 dB of full scale, is quiet.
const QUIET_RMS: f32 = 0.003;
/// Where the end of a block is looked at to tell whether speech was cut off: 3 ms.
const TAIL_SAMPLES: usize = 144;
/// Packets remembered as given up, so that a late one is told from a second one.
const GIVEN_UP_MAX: usize = 64;

/// The buffer. See the module's description.
pub struct JitterBuffer {
    decoder: Box<dyn AudioDecoder>,
    epoch: Option<Instant>,
    packets: BTreeMap<u64, AudioFrame>,
    given_up: VecDeque<u64>,
    delay: DelayTarget,
    reach: Reach,
    state: State,
    /// Decoded sound that no block has taken yet: less than a packet and two blocks.
    sound: Vec<f32>,
    /// What was heard last, for stretching.
    heard: Box<Block>,
    /// Made-up sound is among so many samples of it from the front.
    concealed_until: usize,
    /// Media time behind the decoded sound.
    next_media: i64,
    /// Samples of the last packet.
    packet_samples: usize,
    /// The last packet said that the far side is silent.
    is_comfort: bool,
    ended_quiet: bool,
    late_in_row: u32,
    /// The delay before it fell silent.
    resumes_with: Option<i64>,
    /// Delay asked for on account of pictures.
    wait: i64,
    stretching: Stretching,
    stats: AudioBufferStats,
    samples: Samples,
}

/// Totals that the statistics tell in milliseconds.
#[derive(Default)]
struct Samples {
    played: u64,
    concealed: u64,
    dropped: u64,
    shortened: u64,
    lengthened: u64,
}

enum State {
    /// Waits for the first packet to be due.
    Filling {
        /// Packets before this one have been played or given up.
        next_seq: Option<u64>,
    },
    /// Gives sound.
    Playing(Playing),
}

struct Playing {
    next_seq: u64,
    /// Packets made up since the last real one.
    concealed_in_row: u32,
    /// Packets of these whose time was filled while they may still have come.
    owed: u32,
}

impl JitterBuffer {
    /// A buffer that begins with the delay `start`, brought within [`TARGET_MIN`]..=[`TARGET_MAX`].
    #[must_use]
    pub fn new(decoder: Box<dyn AudioDecoder>, start: Duration) -> Self {
        Self {
            decoder,
            epoch: None,
            packets: BTreeMap::new(),
            given_up: VecDeque::new(),
            delay: delay_target(samples(start) - BLOCK_SAMPLES as i64),
            reach: Reach::default(),
            state: State::Filling { next_seq: None },
            sound: Vec::new(),
            heard: Box::new([0.0; BLOCK_SAMPLES]),
            concealed_until: 0,
            next_media: 0,
            packet_samples: BLOCK_SAMPLES,
            is_comfort: false,
            ended_quiet: false,
            late_in_row: 0,
            resumes_with: None,
            wait: 0,
            stretching: Stretching::default(),
            stats: AudioBufferStats::default(),
            samples: Samples::default(),
        }
    }

    /// Samples since the first call.
    fn at(&mut self, now: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(now);
        samples(now.saturating_duration_since(epoch))
    }

    fn restart(&mut self) {
        self.packets.clear();
        self.given_up.clear();
        self.sound.clear();
        self.concealed_until = 0;
        self.late_in_row = 0;
        self.is_comfort = false;
        self.resumes_with = None;
        let target = self.needed();
        self.delay = delay_target(target);
        self.state = State::Filling { next_seq: None };
    }

    fn next_seq(&self) -> Option<u64> {
        match &self.state {
            State::Filling { next_seq } => *next_seq,
            State::Playing(playing) => Some(playing.next_seq),
        }
    }

    /// Whether the packet can still be played; begins anew where the sequence or its clock did.
    fn expects(&mut self, at: i64, frame: &AudioFrame) -> bool {
        let seq = frame.seq;
        let reference = self
            .next_seq()
            .or_else(|| self.packets.keys().next().copied());
        let is_behind = self.next_seq().is_some_and(|next| seq < next);
        if frame.is_copy {
            return !is_behind
                && reference.is_some_and(|reference| reference.abs_diff(seq) <= JUMP_PACKETS);
        }
        let jumped = reference.is_some_and(|reference| reference.abs_diff(seq) > JUMP_PACKETS);
        if jumped || self.delay.jump(at, media_of(frame)) > JUMP_TIME {
            self.restart();
            return true;
        }
        if !is_behind {
            self.late_in_row = 0;
            return true;
        }
        self.late_in_row += 1;
        if self.late_in_row > LATE_IN_ROW_MAX {
            self.restart();
            return true;
        }
        if let Some(index) = self.given_up.iter().position(|&given_up| given_up == seq) {
            self.given_up.remove(index);
            self.stats.late += 1;
            self.delay.arrived(at, media_of(frame));
        } else {
            self.stats.duplicate += 1;
        }
        false
    }

    fn give_up(&mut self, seq: u64) {
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.pop_front();
        }
        self.given_up.push_back(seq);
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

    /// How long ago what plays now could have played at the earliest.
    fn delay(&self, at: i64) -> i64 {
        let Some(base) = self.delay.base() else {
            return 0;
        };
        at - base - (self.next_media - self.sound.len() as i64)
    }

    /// Begins to play with the packet that is due; true while playing.
    fn start_when_due(&mut self, at: i64) -> bool {
        if matches!(self.state, State::Playing(_)) {
            return true;
        }
        let (target, Some(base)) = (self.target(), self.delay.base()) else {
            return false;
        };
        let slack = |frame: &AudioFrame| at - base - media_of(frame);
        // What piled up far beyond the target has had its time in silence.
        while self.packets.len() > 1
            && let Some(entry) = self.packets.first_entry()
            && slack(entry.get()) > target + EXCESS_MAX
        {
            entry.remove();
            self.samples.dropped += self.packet_samples as u64;
        }
        let Some((&seq, first)) = self.packets.first_key_value() else {
            return false;
        };
        // After a short silence sound goes on with the delay it had, if that is still good: nothing moves then.
        let bounds = target..target + 2 * BLOCK_SAMPLES as i64;
        let early = match self.resumes_with.filter(|delay| bounds.contains(delay)) {
            Some(delay) => delay - slack(first),
            None if slack(first) < target => return false,
            None => 0,
        };
        if early >= BLOCK_SAMPLES as i64 {
            return false;
        }
        let early = early.max(0);
        self.stretching = Stretching {
            delay: slack(first) + early,
            patience: 0,
        };
        self.next_media = media_of(first);
        self.sound.clear();
        self.sound.resize(early as usize, 0.0);
        self.state = State::Playing(Playing {
            next_seq: seq,
            concealed_in_row: 0,
            owed: 0,
        });
        true
    }

    fn stop(&mut self) {
        self.resumes_with = Some(self.stretching.delay);
        self.state = State::Filling {
            next_seq: self.next_seq(),
        };
    }

    /// Decodes or makes up sound until `wanted` samples of it wait; false when there is nothing more to be had.
    fn decode_until(&mut self, at: i64, wanted: usize) -> bool {
        // Each round appends at least 2.5 ms or steps over one of at most 64 packets' worth of gap.
        while self.sound.len() < wanted {
            let State::Playing(playing) = &mut self.state else {
                return false;
            };
            let seq = playing.next_seq;
            if self.pauses(at, seq) {
                self.stop();
                return false;
            }
            if let Some(frame) = self.packets.remove(&seq) {
                self.decode(&frame);
            } else if let Some((&later, _)) = self.packets.first_key_value() {
                if !self.step_over(seq, later) {
                    return false;
                }
            } else if self.starved() {
                return false;
            }
        }
        true
    }

    /// Whether the next packet's sound begins only after a pause: the far side sent nothing in between.
    fn pauses(&self, at: i64, seq: u64) -> bool {
        let Some((&first, frame)) = self.packets.first_key_value() else {
            return false;
        };
        let lost = first.saturating_sub(seq).min(JUMP_PACKETS) as i64;
        let gap = media_of(frame) - self.next_media - lost * self.packet_samples as i64;
        if gap < BLOCK_SAMPLES as i64 {
            return false;
        }
        // It may be due all the same, if its pause went by while nothing came.
        at - self.delay.base().unwrap_or(0) - media_of(frame) < self.target()
    }

    fn decode(&mut self, frame: &AudioFrame) {
        let State::Playing(playing) = &mut self.state else {
            return;
        };
        playing.next_seq = frame.seq.saturating_add(1);
        playing.concealed_in_row = 0;
        playing.owed = 0;
        self.stats.media_time_samples = Some(frame.media_time_samples);
        self.stats.recovered += u64::from(frame.is_copy);
        if frame.is_copy {
            self.delay.lost();
        }
        self.is_comfort = frame.data.len() <= DTX_BYTES_MAX;
        let decoded = match self.decoder.decode(&frame.data, &mut self.sound) {
            Ok(decoded) if decoded > 0 => decoded,
            _ => {
                self.stats.damaged += 1;
                self.conceal(None)
            }
        };
        self.next_media = media_of(frame) + decoded as i64;
    }

    /// The packet `seq` is not there, but `later` is. False when its place is left to silence.
    fn step_over(&mut self, seq: u64, later: u64) -> bool {
        let State::Playing(playing) = &mut self.state else {
            return false;
        };
        if playing.owed > 0 {
            // Its time has been filled already.
            playing.owed -= 1;
            playing.next_seq = seq + 1;
            self.next_media += self.packet_samples as i64;
            self.delay.lost();
            self.give_up(seq);
            return true;
        }
        if playing.concealed_in_row >= CONCEALED_IN_ROW_MAX {
            self.stop();
            return false;
        }
        playing.next_seq = seq + 1;
        playing.concealed_in_row += 1;
        self.delay.lost();
        self.give_up(seq);
        let made = self.conceal((later == seq + 1).then_some(later));
        self.next_media += made as i64;
        true
    }

    /// Nothing is there: makes up a packet's sound, or stops. True when stopped.
    fn starved(&mut self) -> bool {
        let is_comfort = self.is_comfort;
        let State::Playing(playing) = &mut self.state else {
            return true;
        };
        let in_row_max = if is_comfort {
            COMFORT_IN_ROW_MAX
        } else {
            CONCEALED_IN_ROW_MAX
        };
        let nothing_cut_off = !is_comfort && playing.concealed_in_row == 0 && self.ended_quiet;
        if playing.concealed_in_row >= in_row_max || nothing_cut_off {
            self.stop();
            return true;
        }
        playing.concealed_in_row += 1;
        let is_last = playing.concealed_in_row == in_row_max;
        let before = self.sound.len();
        if is_comfort {
            // The far side said so: nothing is missing, and time goes on.
            let made = self.decoder.conceal(&mut self.sound);
            self.pad(made);
            self.next_media += (self.sound.len() - before) as i64;
        } else {
            playing.owed += 1;
            self.conceal(None);
        }
        if is_last {
            fade_out(&mut self.sound[before..]);
        }
        false
    }

    /// Makes up a packet's sound, from the packet `next` if given; says how many samples.
    fn conceal(&mut self, next: Option<u64>) -> usize {
        let copy = next.and_then(|seq| self.packets.get(&seq));
        let made = match copy {
            Some(frame) => self.decoder.decode_fec(&frame.data, &mut self.sound),
            None => self.decoder.conceal(&mut self.sound),
        };
        let made = self.pad(made);
        self.samples.concealed += made as u64;
        self.concealed_until = self.sound.len();
        made
    }

    /// A decoder without an idea must not stop the clock.
    fn pad(&mut self, made: usize) -> usize {
        if made == 0 {
            self.sound
                .resize(self.sound.len() + self.packet_samples, 0.0);
            return self.packet_samples;
        }
        made
    }

    fn take_block(&mut self) -> Box<Block> {
        let mut block = Box::new([0.0; BLOCK_SAMPLES]);
        let length = self.sound.len().min(BLOCK_SAMPLES);
        block[..length].copy_from_slice(&self.sound[..length]);
        self.sound.drain(..length);
        self.heard.copy_from_slice(block.as_slice());
        self.ended_quiet = rms(&block[BLOCK_SAMPLES - TAIL_SAMPLES..]) < QUIET_RMS;
        block
    }
}

impl AudioBuffer for JitterBuffer {
    fn push(&mut self, now: Instant, frame: AudioFrame) {
        let at = self.at(now);
        self.stats.received += u64::from(!frame.is_copy);
        let samples = (!frame.data.is_empty() && frame.data.len() <= PACKET_BYTES_MAX)
            .then(|| self.decoder.duration(&frame.data))
            .flatten()
            .filter(|&samples| samples > 0);
        let Some(samples) = samples else {
            self.stats.damaged += u64::from(!frame.is_copy);
            return;
        };
        // Also of a copy that comes too late: the next must not.
        self.reach.see(&frame);
        self.delay
            .set_copies_reach(self.reach.packets as i64 * samples as i64);
        if !self.expects(at, &frame) {
            return;
        }
        let there = self.packets.get(&frame.seq).map(|there| there.is_copy);
        match (there, frame.is_copy) {
            (Some(_), true) => return,
            (Some(false), false) => {
                self.stats.duplicate += 1;
                return;
            }
            (_, false) => self.delay.arrived(at, media_of(&frame)),
            (None, true) => {}
        }
        self.packet_samples = samples;
        self.packets.insert(frame.seq, frame);
        if self.packets.len() > PACKETS_MAX
            && let Some((oldest, _)) = self.packets.pop_first()
        {
            self.samples.dropped += self.packet_samples as u64;
            let next = oldest.saturating_add(1);
            match &mut self.state {
                State::Filling { next_seq } => *next_seq = Some(next),
                State::Playing(playing) => {
                    playing.next_seq = next;
                    playing.owed = 0;
                }
            }
        }
    }

    fn pull(&mut self, now: Instant) -> Pull {
        let at = self.at(now);
        if !self.start_when_due(at) {
            return Pull::Silence;
        }
        let left = self.sound.len();
        if !self.is_holding() {
            let delay = self.delay(at);
            self.stretching.follow(delay);
        }
        let whole = self.decode_until(at, BLOCK_SAMPLES);
        if whole {
            self.stretch(at, left);
        } else if self.sound.is_empty() {
            self.heard.fill(0.0);
            self.ended_quiet = true;
            return Pull::Silence;
        }
        self.stats.delay_ms = ms(self.delay(at));
        let block = self.take_block();
        let concealed = self.concealed_until > 0;
        self.concealed_until = self.concealed_until.saturating_sub(BLOCK_SAMPLES);
        self.samples.played += BLOCK_SAMPLES as u64;
        if concealed {
            Pull::Concealed(block)
        } else {
            Pull::Play(block)
        }
    }

    fn plays_at(&self) -> Option<SoundClock> {
        self.clock()
    }

    fn set_wait(&mut self, wait: Duration) {
        self.wait = samples(wait);
    }

    fn stats(&self) -> AudioBufferStats {
        let of = |samples: u64| samples * 1000 / u64::from(SAMPLE_RATE_HZ);
        AudioBufferStats {
            played_ms: of(self.samples.played),
            concealed_ms: of(self.samples.concealed),
            dropped_ms: of(self.samples.dropped),
            shortened_ms: of(self.samples.shortened),
            lengthened_ms: of(self.samples.lengthened),
            depth_ms: of(self.depth_samples() as u64),
            target_ms: ms(self.target() + BLOCK_SAMPLES as i64),
            ..self.stats
        }
    }
}

/// The media time, cut to 48 bits (186 years) so that no sum of two overflows.
fn media_of(frame: &AudioFrame) -> i64 {
    (frame.media_time_samples & ((1 << 48) - 1)) as i64
}

fn samples(time: Duration) -> i64 {
    // Cut as the media time is.
    ((time.as_micros() * MS as u128 / 1_000) & ((1 << 48) - 1)) as i64
}

/// The target of the slack for a buffer that begins with `start`, in samples.
fn delay_target(start: i64) -> DelayTarget {
    let block = BLOCK_SAMPLES as i64;
    DelayTarget::new(
        start,
        (samples(TARGET_MIN) - block, samples(TARGET_MAX) - block),
    )
}

fn ms(samples: i64) -> u64 {
    u64::try_from(samples / MS).unwrap_or(0)
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

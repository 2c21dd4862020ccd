//! From packets that come when the network pleases to a block every 20 ms.

mod adaptive;
mod delay;
mod stretch;

use std::fmt;
use std::time::{Duration, Instant};

use crate::frame::Block;

pub use adaptive::JitterBuffer;

/// Shortest delay that a buffer may aim at: the block that is asked for.
pub const TARGET_MIN: Duration = Duration::from_millis(20);
/// Longest delay that a buffer may aim at: beyond it nobody can talk any more (ITU-T G.114: 400 ms in all).
pub const TARGET_MAX: Duration = Duration::from_millis(500);
/// Where a call starts: a packet may be 20 ms late.
pub const TARGET_START: Duration = Duration::from_millis(40);

/// An Opus packet of the far side, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// Counts packets; goes up by one from each to the next.
    pub seq: u64,
    /// When its first sample belongs, in samples of 1/48000 s since the stream's start.
    pub media_time_samples: u64,
    /// The packet.
    pub data: Vec<u8>,
    /// True: sent again with a later packet, in case it was lost.
    pub is_copy: bool,
}

/// What people say stays out of logs.
impl fmt::Debug for AudioFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioFrame")
            .field("seq", &self.seq)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// What the loudspeaker says when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundClock {
    /// When the sound of `media_time` plays.
    pub at: Instant,
    /// A moment of the far side, in samples of 1/48000 s since the stream's start.
    pub media_time: u64,
    /// How much later it plays than it could if nothing had been held up and nothing waited.
    pub delay: Duration,
    /// The most that this delay may be made for pictures.
    pub delay_max: Duration,
}

/// The next 20 ms.
#[derive(Clone, Debug, PartialEq)]
pub enum Pull {
    /// As it was spoken.
    Play(Box<Block>),
    /// At least in part made up for packets that did not come.
    Concealed(Box<Block>),
    /// Nothing is there and nothing was to be expected: the far side is silent, or the line is.
    Silence,
}

/// What a buffer saw and did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioBufferStats {
    /// Packets pushed in, copies not counted.
    pub received: u64,
    /// Of these, those that were there already.
    pub duplicate: u64,
    /// Of these, those whose time was over.
    pub late: u64,
    /// Of these, those that the decoder refused.
    pub damaged: u64,
    /// Lost packets whose copy was played.
    pub recovered: u64,
    /// Sound given out, made-up sound included.
    pub played_ms: u64,
    /// Made-up sound.
    pub concealed_ms: u64,
    /// Sound left out to bring the delay down.
    pub dropped_ms: u64,
    /// Sound left out by stretching, in whole periods of the voice.
    pub shortened_ms: u64,
    /// Sound said twice by stretching.
    pub lengthened_ms: u64,
    /// Sound waiting now.
    pub depth_ms: u64,
    /// Delay aimed at.
    pub target_ms: u64,
    /// How much later than at the earliest possible moment sound plays now.
    pub delay_ms: u64,
    /// Media time of the packet that plays now.
    pub media_time_samples: Option<u64>,
}

/// Orders packets and gives a block whenever asked. Time is an argument; nothing blocks.
pub trait AudioBuffer: Send {
    /// Takes a packet that came at `now`.
    fn push(&mut self, now: Instant, frame: AudioFrame);

    /// Gives the next 20 ms; to be called every 20 ms.
    fn pull(&mut self, now: Instant) -> Pull;

    /// When sound of which moment plays: pictures of the same moment belong there. `None` while there is silence.
    fn plays_at(&self) -> Option<SoundClock>;

    /// Sound is to have at least this delay, for pictures that come later. At most
    /// [`SOUND_WAIT_MAX`](crate::lip_sync::SOUND_WAIT_MAX) more than it needs itself is granted.
    fn set_wait(&mut self, wait: Duration);

    /// What happened so far.
    fn stats(&self) -> AudioBufferStats;
}

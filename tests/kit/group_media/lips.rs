//! How far sound and pictures come apart in such a world: everybody plays everybody's sound through a jitter buffer and
//! holds pictures for it, as the program does. Frames say when they were made, which is what is judged.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_media::codec::{AudioDecoder, CodecError};
use hullo_media::frame::{BLOCK_SAMPLES, BLOCK_TIME};
use hullo_media::jitter::{AudioBuffer as _, AudioFrame, JitterBuffer, TARGET_START};
use hullo_media::lip_sync::HeldPictures;
use hullo_proto::group::id::ParticipantId;

/// Sound whose making is remembered: more than the longest delay, a second.
const MADE_MAX: usize = 50;
/// Screens draw 30 to 60 times a second: what is replaced sooner was seen by nobody.
const SEEN_MIN: Duration = Duration::from_millis(10);

/// These frames are no Opus: any of them is 20 ms of silence.
struct Silent;

impl AudioDecoder for Silent {
    fn decode(&mut self, _packet: &[u8], sound: &mut Vec<f32>) -> Result<usize, CodecError> {
        Ok(self.conceal(sound))
    }

    fn duration(&self, _packet: &[u8]) -> Option<usize> {
        Some(BLOCK_SAMPLES)
    }

    fn conceal(&mut self, sound: &mut Vec<f32>) -> usize {
        sound.resize(sound.len() + BLOCK_SAMPLES, 0.0);
        BLOCK_SAMPLES
    }

    fn decode_fec(&mut self, _next: &[u8], sound: &mut Vec<f32>) -> usize {
        self.conceal(sound)
    }
}

/// One person as another hears and sees it.
struct Watched {
    buffer: JitterBuffer,
    pictures: HeldPictures<Duration>,
    /// Media time of sound, and when its first sample was made.
    made: VecDeque<(u64, Duration)>,
}

/// Everybody as one person hears and sees them.
#[derive(Default)]
pub struct Lips {
    watched: BTreeMap<ParticipantId, Watched>,
    next_block: Option<Instant>,
    /// When each picture was shown, and how late it was against its sound, milliseconds; negative where sound was late.
    shown: BTreeMap<ParticipantId, Vec<(Instant, f64)>>,
}

impl Lips {
    fn of(&mut self, id: ParticipantId) -> &mut Watched {
        self.watched.entry(id).or_insert_with(|| Watched {
            buffer: JitterBuffer::new(Box::new(Silent), TARGET_START),
            pictures: HeldPictures::default(),
            made: VecDeque::new(),
        })
    }

    /// Sound that left at `left`, since the world began: a block leaves when its last sample was heard.
    pub(super) fn sound(
        &mut self,
        now: Instant,
        id: ParticipantId,
        (seq, media_time): (u64, u64),
        left: Duration,
    ) {
        let watched = self.of(id);
        if watched.made.len() == MADE_MAX {
            watched.made.pop_front();
        }
        let made = left.saturating_sub(BLOCK_TIME);
        watched.made.push_back((media_time, made));
        let frame = AudioFrame {
            seq,
            media_time_samples: media_time,
            data: vec![0; 80],
            is_copy: false,
        };
        watched.buffer.push(now, frame);
    }

    pub(super) fn picture(
        &mut self,
        now: Instant,
        id: ParticipantId,
        (media_time, is_key): (u64, bool),
        made: Duration,
    ) {
        self.of(id).pictures.push(now, media_time, is_key, made);
    }

    /// Plays and shows what is due.
    pub(super) fn play(&mut self, now: Instant) {
        let is_block = *self.next_block.get_or_insert(now) <= now;
        if is_block {
            self.next_block = self.next_block.map(|at| at + BLOCK_TIME);
        }
        for (id, watched) in &mut self.watched {
            if is_block {
                watched.buffer.pull(now);
                let clock = watched.buffer.plays_at();
                watched.pictures.sound(now, clock);
                if let Some(wait) = watched.pictures.sound_wait(now) {
                    watched.buffer.set_wait(wait);
                }
            }
            while let Some(made) = watched.pictures.pop(now) {
                let Some(skew_ms) = watched.skew_ms(now, made) else {
                    continue;
                };
                let shown = self.shown.entry(*id).or_default();
                shown.pop_if(|(before, _)| now < *before + SEEN_MIN);
                shown.push((now, skew_ms));
            }
        }
    }

    /// 95 of 100 pictures of each other person were off by no more, either way, milliseconds, and how many there were.
    #[must_use]
    pub fn p95_ms(&self, since: Instant) -> Vec<(f64, usize)> {
        let p95 = |shown: &Vec<(Instant, f64)>| {
            let shown = shown.iter().filter(|(at, _)| *at >= since);
            let mut off: Vec<f64> = shown.map(|(_, skew)| skew.abs()).collect();
            off.sort_by(f64::total_cmp);
            let last = off.len().checked_sub(1)?;
            Some((off[last * 95 / 100], off.len()))
        };
        self.shown.values().filter_map(p95).collect()
    }
}

impl Watched {
    /// How late a picture of this moment is against sound of the same, shown at `now`.
    fn skew_ms(&self, now: Instant, made: Duration) -> Option<f64> {
        let clock = self.buffer.plays_at()?;
        let (media_time, sound_made) = (self.made.iter())
            .min_by_key(|(media_time, _)| media_time.abs_diff(clock.media_time))?;
        // When the sound that plays at `clock.at` was made, and how much older or newer that is than what plays now.
        let samples = clock.media_time.cast_signed() - media_time.cast_signed();
        let made_ms = |made: Duration| made.as_secs_f64() * 1_000.0;
        let plays_ms = made_ms(*sound_made) + samples as f64 / 48.0;
        let until_ms = clock.at.saturating_duration_since(now).as_secs_f64() * 1_000.0
            - now.saturating_duration_since(clock.at).as_secs_f64() * 1_000.0;
        Some(plays_ms - until_ms - made_ms(made))
    }
}

//! Lip sync: when each picture is shown, so that it goes with the sound of its moment. Pure: time is an argument.
//!
//! ```text
//! picture arrives ─▶ hold ─▶ due ─▶ shown          a picture that comes too soon is held,
//!                     ▲        └─▶ ready times     sound that comes too soon is told to wait
//! SoundClock ─────────┘                 └─▶ SoundWait ─▶ jitter buffer
//! ```
//!
//! Within [`TOLERANCE`] nothing is done: nobody notices (ITU-R BT.1359-1: sound 45 ms early or 125 ms late). A picture is
//! held for [`HOLD_MAX`] at most, and sound waits for pictures [`SOUND_WAIT_MAX`] longer than the network asks (the jitter
//! buffer holds that bound). What is later than that is shown at once and counted as skew.
//!
//! **What is one moment.** Our own clients count sound (48 kHz) and pictures (90 kHz) from one moment on one clock. Other
//! programs begin both at chance numbers, and the SFU counts pictures anew when it changes their layer. Where the quickest
//! of both do not lie within `SAME_CLOCK_MAX` of one another, what left together is taken to be what arrives
//! together when nothing holds it up.

mod held;
mod skew;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use held::HeldPictures;
pub use skew::{Skew, SkewMeter};

use crate::jitter::SoundClock;

/// Difference of which nobody takes notice. More lets lips run ahead, less makes everybody wait for nothing.
pub const TOLERANCE: Duration = Duration::from_millis(40);
/// A picture is held for sound no longer than this: beyond it people see that the far side answers late.
pub const HOLD_MAX: Duration = Duration::from_millis(300);
/// Sound waits for pictures at most so much longer than it would alone: a conversation suffers more from delay than
/// from lips that are late.
pub const SOUND_WAIT_MAX: Duration = Duration::from_millis(150);
/// Sound and pictures whose quickest lie so near one another are counted on one clock; by chance that happens once in
/// fifty thousand calls. Further apart than this the ways of two tracks of one call never are.
const SAME_CLOCK_MAX: i64 = 500_000;
/// A packet of sound leaves so much later than its first sample was heard, a picture at once.
const PACKET_US: i64 = 20_000;
/// What the loudspeaker said is true for so long.
const SOUND_AGE_MAX: Duration = Duration::from_secs(1);
/// Pictures whose readiness decides how long sound waits: five seconds at 15 a second. Fewer follow each hiccup.
const READY_MAX: usize = 75;
/// Fewer tell nothing: one second.
const READY_MIN: usize = 15;
/// Share of pictures that sound waits for, per cent: the rest is late.
const IN_TIME_PERCENT: usize = 90;
/// What all of the newest pictures need, sound waits for at once: a quarter of a second.
const READY_NEWEST: usize = 4;
/// Without a picture for so long sound waits for none.
const PICTURE_AGE_MAX: Duration = Duration::from_secs(2);
/// A change of the wait that is worth telling.
const WAIT_STEP: Duration = Duration::from_millis(10);
/// The quickest way of the last 10 to 20 s is the reference: clocks drift, routes change.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// A picture that another one takes the place of sooner was seen by nobody: screens draw 30 to 60 a second.
const SEEN_MIN: Duration = Duration::from_millis(10);
/// A jump of the pictures' clock by more than this is a new beginning, microseconds.
const JUMP_MAX: i64 = 5_000_000;

/// Keeps one person's pictures with that person's sound.
#[derive(Debug, Default)]
pub struct LipSync {
    epoch: Option<Instant>,
    sound: Option<(Instant, SoundClock)>,
    /// Least offsets of pictures in this window and the one before, microseconds.
    least: [Option<i64>; 2],
    window_began: Option<Instant>,
    last_offset: Option<i64>,
    last_picture: Option<Instant>,
    last_due: Option<Instant>,
    /// When pictures were ready to be shown, as offsets on the clock of sound, microseconds.
    ready: VecDeque<i64>,
    told: Duration,
    told_max: Option<Duration>,
    /// The picture shown last, and how late it was, milliseconds: counted once it stood long enough to be seen.
    unseen: Option<(Instant, i64)>,
    skew: SkewMeter,
}

impl LipSync {
    /// What the loudspeaker plays when; `None`: nothing now.
    pub fn sound(&mut self, now: Instant, clock: Option<SoundClock>) {
        if let Some(clock) = clock {
            self.sound = Some((now, clock));
        }
    }

    /// When the picture of this time (90 kHz ticks) that is ready at `now` is to be shown: at once, or up to [`HOLD_MAX`]
    /// later, and not before the one before it.
    /// `is_key`: it begins anew, perhaps in another layer, whose times an SFU counts anew.
    pub fn due(&mut self, now: Instant, media_time: u64, is_key: bool) -> Instant {
        let offset = self.micros(now) - picture_micros(media_time);
        let jumped = self
            .last_offset
            .replace(offset)
            .is_some_and(|last| (offset - last).abs() > JUMP_MAX);
        if jumped {
            self.ready.clear();
        }
        if jumped || is_key {
            (self.least, self.window_began) = ([None; 2], None);
        }
        self.last_picture = Some(now);
        self.note_least(now, offset);
        let hold = self.aligned(now).map_or(0, |(sound, shift)| {
            if self.ready.len() >= READY_MAX {
                self.ready.pop_front();
            }
            self.ready.push_back(offset - shift);
            sound - (offset - shift) - us(TOLERANCE)
        });
        let hold = Duration::from_micros(u64::try_from(hold).unwrap_or(0)).min(HOLD_MAX);
        let latest = now + HOLD_MAX;
        let due = self
            .last_due
            .map_or(now + hold, |last| last.max(now + hold))
            .min(latest);
        self.last_due = Some(due);
        due
    }

    /// A picture is shown: how far it lies from its sound is counted.
    pub fn shown(&mut self, now: Instant, media_time: u64) {
        let at = self.micros(now);
        // What came in a heap with a newer one was seen by nobody.
        if let Some((before, late_ms)) = self.unseen.take()
            && now.saturating_duration_since(before) >= SEEN_MIN
        {
            self.skew.note(late_ms);
        }
        if let Some((sound, shift)) = self.aligned(now) {
            let offset = at - picture_micros(media_time) - shift;
            self.unseen = Some((now, (offset - sound) / 1_000));
        }
    }

    /// The delay that sound must have at least so that its pictures are in time, when it differs from what was told last.
    pub fn sound_wait(&mut self, now: Instant) -> Option<Duration> {
        let wanted = self.wanted_wait(now);
        let differs = wanted.abs_diff(self.told) >= WAIT_STEP;
        (differs || (wanted.is_zero() && !self.told.is_zero())).then(|| {
            self.told = wanted;
            wanted
        })
    }

    /// How long pictures may wait for one another, so that they move evenly, and still be shown with their sound; told when
    /// it differs from what was told last.
    pub fn picture_wait_max(&mut self) -> Option<Duration> {
        let (_, clock) = self.sound?;
        let most = clock.delay_max + TOLERANCE;
        let differs = (self.told_max).is_none_or(|told| told.abs_diff(most) >= WAIT_STEP);
        differs.then(|| *self.told_max.insert(most))
    }

    /// How far pictures lay from their sound since this was asked last, and in all.
    pub fn take_skew(&mut self) -> Option<Skew> {
        self.skew.take()
    }

    fn wanted_wait(&self, now: Instant) -> Duration {
        let is_watched = self
            .last_picture
            .is_some_and(|at| now.saturating_duration_since(at) <= PICTURE_AGE_MAX);
        let Some((_, clock)) = self.sound.filter(|_| is_watched) else {
            return Duration::ZERO;
        };
        if self.ready.len() < READY_MIN {
            return self.told;
        }
        let mut sorted: Vec<i64> = self.ready.iter().copied().collect();
        sorted.sort_unstable();
        let ready = sorted[(sorted.len() - 1) * IN_TIME_PERCENT / 100];
        let newest = self.ready.iter().rev().take(READY_NEWEST).min();
        let ready = newest.map_or(ready, |newest| ready.max(*newest));
        let quickest = self.sound_offset(&clock) - us(clock.delay);
        let wait = ready - us(TOLERANCE) - quickest;
        Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }

    /// The offset at which sound plays, and what is to be taken from pictures' offsets so that both are on one clock.
    fn aligned(&self, now: Instant) -> Option<(i64, i64)> {
        let (_, clock) = self
            .sound
            .filter(|(seen, _)| now.saturating_duration_since(*seen) <= SOUND_AGE_MAX)?;
        let sound = self.sound_offset(&clock);
        let quickest = sound - us(clock.delay);
        let pictures = self.least.iter().flatten().min()?;
        let apart = pictures - quickest;
        let shift = if apart.abs() <= SAME_CLOCK_MAX {
            0
        } else {
            apart + PACKET_US
        };
        Some((sound, shift))
    }

    fn sound_offset(&self, clock: &SoundClock) -> i64 {
        let epoch = self.epoch.unwrap_or(clock.at);
        let at = us(clock.at.saturating_duration_since(epoch));
        at - (clock.media_time & TICKS_MASK).cast_signed() * 1_000 / 48
    }

    fn note_least(&mut self, now: Instant, offset: i64) {
        let began = *self.window_began.get_or_insert(now);
        if now.saturating_duration_since(began) >= BASE_WINDOW {
            self.least[1] = self.least[0].take();
            self.window_began = Some(now);
        }
        self.least[0] = Some(self.least[0].map_or(offset, |least| least.min(offset)));
    }

    fn micros(&mut self, now: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(now);
        us(now.saturating_duration_since(epoch))
    }
}

/// Ticks are cut to 48 bits (99 years of 90 kHz), so that no product overflows.
const TICKS_MASK: u64 = (1 << 48) - 1;

fn picture_micros(media_time: u64) -> i64 {
    (media_time & TICKS_MASK).cast_signed() * 1_000 / 90
}

fn us(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;

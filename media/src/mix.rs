//! The sound of everybody in one stream: a jitter buffer and a decoder for each person, added up before the loudspeaker.
//! Time is an argument; nothing blocks.

pub(crate) mod glide;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::ParticipantId;

use crate::codec::{CodecError, opus};
use crate::frame::{BLOCK_SAMPLES, Block};
use crate::jitter::{AudioBuffer, AudioBufferStats, AudioFrame, JitterBuffer, Pull, SoundClock};
use crate::level::LevelMeter;
use glide::{Glide, within};

/// People heard at once: everybody that a session takes ([`PARTICIPANTS_MAX`](crate::group_session::PARTICIPANTS_MAX)).
/// Each costs some 50 kB, and 0.03 ms of each 20 while speaking.
pub const PEOPLE_MAX: usize = crate::group_session::PARTICIPANTS_MAX;

/// Loudest that one person can be made: twice as loud is what a quiet microphone needs, more is noise.
pub const VOLUME_MAX: f32 = 2.0;

/// Part of the way back to full loudness in each block after a loud moment: 20 dB come back in half a second.
const RELEASE: f32 = 0.08;
/// Samples over which the loudness changes, 5 ms: at once would click.
const RAMP_SAMPLES: usize = BLOCK_SAMPLES / 4;

/// One person's sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonSound {
    /// Who.
    pub participant: ParticipantId,
    /// How loud the listener wants this person, 0..=[`VOLUME_MAX`]; 1 is as sent.
    pub volume: f32,
    /// Loudness of the last 20 ms as sent, dB of full scale.
    pub level_db: f32,
    /// Whether the person speaks.
    pub speaking: bool,
    /// What was received, played, made up, late.
    pub stats: AudioBufferStats,
    /// What of this person plays when.
    pub clock: Option<SoundClock>,
}

struct Person {
    buffer: JitterBuffer,
    meter: LevelMeter,
    volume: Glide,
}

/// See the module.
pub struct Mixer {
    target: Duration,
    people: BTreeMap<ParticipantId, Person>,
    /// Volumes that differ from 1, also of people not heard yet.
    volumes: BTreeMap<ParticipantId, f32>,
    /// How loud everybody together is.
    volume_of_all: Glide,
    /// Loudness left to the sum, so that many speaking at once do not clip.
    gain: f32,
    refused: u64,
}

impl Mixer {
    /// A mixer whose jitter buffers aim at `target`.
    #[must_use]
    pub fn new(target: Duration) -> Self {
        Self {
            target,
            people: BTreeMap::new(),
            volumes: BTreeMap::new(),
            volume_of_all: Glide::new(1.0),
            gain: 1.0,
            refused: 0,
        }
    }

    /// Takes a packet of a person that came at `now`. Beyond [`PEOPLE_MAX`] people it is dropped and counted.
    ///
    /// # Errors
    /// The decoder of a new person did not start; the next packet may be tried.
    pub fn push(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        frame: AudioFrame,
    ) -> Result<(), CodecError> {
        if !self.people.contains_key(&participant) {
            if self.people.len() >= PEOPLE_MAX {
                self.refused += 1;
                return Ok(());
            }
            let decoder = Box::new(opus::Decoder::new()?);
            let person = Person {
                buffer: JitterBuffer::new(decoder, self.target),
                meter: LevelMeter::default(),
                volume: Glide::new(self.volume_of(participant)),
            };
            self.people.insert(participant, person);
        }
        if let Some(person) = self.people.get_mut(&participant) {
            person.buffer.push(now, frame);
        }
        Ok(())
    }

    /// Forgets a person who left. The volume is kept: whoever comes back is as loud as before.
    pub fn remove(&mut self, participant: ParticipantId) {
        self.people.remove(&participant);
    }

    /// How loud everybody together is to be, 0..=[`VOLUME_MAX`]; 1 is as sent, and 0 is silence: who speaks is still seen.
    pub fn set_volume_of_all(&mut self, volume: f32) {
        self.volume_of_all.set(volume);
    }

    fn volume_of(&self, participant: ParticipantId) -> f32 {
        self.volumes.get(&participant).copied().unwrap_or(1.0)
    }

    /// How loud a person is to be, 0..=[`VOLUME_MAX`]; 1 is as sent.
    pub fn set_volume(&mut self, participant: ParticipantId, volume: f32) {
        let volume = within(volume);
        if volume == 1.0 {
            self.volumes.remove(&participant);
        } else if self.volumes.len() < PEOPLE_MAX || self.volumes.contains_key(&participant) {
            self.volumes.insert(participant, volume);
        }
        let volume = self.volume_of(participant);
        if let Some(person) = self.people.get_mut(&participant) {
            person.volume.set(volume);
        }
    }

    /// The delay that a person's sound must have at least, for pictures that come later.
    pub fn set_wait(&mut self, participant: ParticipantId, wait: Duration) {
        if let Some(person) = self.people.get_mut(&participant) {
            person.buffer.set_wait(wait);
        }
    }

    /// The next 20 ms of everybody together; `None` when nobody is to be heard. To be called every 20 ms.
    pub fn pull(&mut self, now: Instant) -> Option<Box<Block>> {
        let mut sum: Option<Box<Block>> = None;
        for person in self.people.values_mut() {
            match person.buffer.pull(now) {
                Pull::Play(block) | Pull::Concealed(block) => {
                    person.meter.block(Some(&block));
                    let sum = sum.get_or_insert_with(|| Box::new([0.0; BLOCK_SAMPLES]));
                    person.volume.add(&block, sum);
                }
                Pull::Silence => {
                    person.meter.block(None);
                    person.volume.silence();
                }
            }
        }
        match &mut sum {
            Some(sum) => {
                self.limit(sum);
                self.volume_of_all.apply(sum);
            }
            None => {
                self.gain = 1.0;
                self.volume_of_all.silence();
            }
        }
        sum
    }

    /// Everybody heard so far who is still here.
    pub fn people(&self) -> impl Iterator<Item = PersonSound> {
        self.people
            .iter()
            .map(|(&participant, person)| PersonSound {
                participant,
                volume: person.volume.wanted(),
                level_db: person.meter.level_db(),
                speaking: person.meter.is_speaking(),
                stats: person.buffer.stats(),
                clock: person.buffer.plays_at(),
            })
    }

    /// Packets of people beyond the limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Brings the sum under full scale: down at once, up slowly.
    fn limit(&mut self, block: &mut Block) {
        let peak = block
            .iter()
            .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        let allowed = if peak > 1.0 { 1.0 / peak } else { 1.0 };
        let before = self.gain;
        self.gain = if allowed < before {
            allowed
        } else {
            (before + (1.0 - before) * RELEASE).min(allowed)
        };
        if before == 1.0 && self.gain == 1.0 {
            return;
        }
        for (index, sample) in block.iter_mut().enumerate() {
            let part = (index as f32 / RAMP_SAMPLES as f32).min(1.0);
            *sample *= before + (self.gain - before) * part;
            // The first milliseconds of a rise are louder than the ramp follows.
            *sample = sample.clamp(-1.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests;

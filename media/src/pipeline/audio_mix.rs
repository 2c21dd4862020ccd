//! Thread `audio-decode` of a group call: the Opus packets of everybody → jitter buffers → mixed → loudspeaker or file.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use hullo_proto::service::sfu::ParticipantId;

use super::news::News;
use crate::clock;
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME};
use crate::jitter::{AudioFrame, SoundClock};
use crate::level::{LEVEL_DB_MIN, Peak, level_db};
use crate::mix::{Mixer, PEOPLE_MAX, PersonSound};
use crate::pace::Pacer;
use crate::sink::{AudioSink, Nowhere};
use crate::slot::Slot;
use crate::thread::Thread;

/// Packets on their way to the thread, which takes all of them every 20 ms: a second's worth of ten people speaking at
/// once means that it stands still, and then new sound is worth more than old.
const PACKETS_MAX: usize = 512;

/// Wishes the thread has not seen yet: it looks every 20 ms, and each is a key press or somebody leaving.
const WISHES_MAX: usize = 2 * PEOPLE_MAX;

type Arrival = (Instant, ParticipantId, AudioFrame);

/// What the listener wants.
enum Wish {
    Volume(ParticipantId, f32),
    VolumeOfAll(f32),
    Wait(ParticipantId, Duration),
    Remove(ParticipantId),
}

/// The running thread. Dropping it ends and joins it.
pub struct AudioMix {
    arrivals: Sender<Arrival>,
    /// The other end, for leaving out the oldest.
    overflow: Receiver<Arrival>,
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _thread: Thread,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    wishes: Mutex<Vec<Wish>>,
    people: Slot<Vec<PersonSound>>,
    /// Loudness of what was played.
    peak: Peak,
    /// The device is away.
    gone: AtomicBool,
    news: News,
    failure: Slot<DeviceError>,
}

impl Shared {
    /// The list is whole whenever the lock is free, also after a panic elsewhere.
    fn wishes(&self) -> MutexGuard<'_, Vec<Wish>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AudioMix {
    /// Begins to play to `sink`, with the jitter buffers aiming at `target`.
    #[must_use]
    pub fn start(sink: Box<dyn AudioSink>, target: Duration) -> Self {
        let (arrivals, overflow) = bounded(PACKETS_MAX);
        let shared = Arc::new(Shared {
            ..Shared::default()
        });
        let thread = {
            let (shared, arrivals) = (Arc::clone(&shared), overflow.clone());
            Thread::spawn("audio-decode", move || {
                Stage::new(sink, target).run(&arrivals, &shared);
            })
        };
        Self {
            arrivals,
            overflow,
            shared,
            _thread: thread,
        }
    }

    /// Takes a packet of a person that has come just now. Never blocks.
    pub fn push(&self, participant: ParticipantId, frame: AudioFrame) {
        let mut arrival = (clock::now(), participant, frame);
        // Somebody else may fill the place that was just made; a second attempt that fails loses this packet.
        for _ in 0..2 {
            match self.arrivals.try_send(arrival) {
                Err(TrySendError::Full(back)) => {
                    arrival = back;
                    let _ = self.overflow.try_recv();
                }
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    /// Forgets a person who left.
    pub fn remove(&self, participant: ParticipantId) {
        self.wish(Wish::Remove(participant));
    }

    /// How loud a person is to be, 0..=[`VOLUME_MAX`](crate::mix::VOLUME_MAX); 1 is as sent.
    pub fn set_volume(&self, participant: ParticipantId, volume: f32) {
        self.wish(Wish::Volume(participant, volume));
    }

    /// How loud everybody together is to be, 0..=[`VOLUME_MAX`](crate::mix::VOLUME_MAX); 1 is as sent, 0 is silence.
    pub fn set_volume_of_all(&self, volume: f32) {
        self.wish(Wish::VolumeOfAll(volume));
    }

    /// The delay that a person's sound must have at least, for pictures that come later.
    pub fn set_wait(&self, participant: ParticipantId, wait: Duration) {
        self.wish(Wish::Wait(participant, wait));
    }

    /// Everybody heard so far who is still here: loudness, speaking or not, and the figures of the jitter buffer. Renewed
    /// every 20 ms.
    #[must_use]
    pub fn people(&self) -> Vec<PersonSound> {
        self.shared
            .people
            .peek()
            .map_or(Vec::new(), |(_, people)| people)
    }

    /// Loudness of the loudest 20 ms played since this was asked last, dB of full scale, from [`LEVEL_DB_MIN`]. Between
    /// words and packets there is silence: what plays at one instant says little.
    #[must_use]
    pub fn take_peak_db(&self) -> f32 {
        self.shared.peak.take()
    }

    /// Whether the loudspeaker is away, and nothing is heard.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Relaxed)
    }

    /// What happened to the loudspeaker, a sentence, once.
    #[must_use]
    pub fn news(&self) -> Option<String> {
        self.shared.news.take()
    }

    /// Why the loudspeaker ended, once. The streams go on being decoded and counted.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.failure.take()
    }

    fn wish(&self, wish: Wish) {
        let mut wishes = self.shared.wishes();
        if wishes.len() < WISHES_MAX {
            wishes.push(wish);
        }
    }
}

impl Drop for AudioMix {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

struct Stage {
    sink: Box<dyn AudioSink>,
    mixer: Mixer,
    /// None where the device gives the pace.
    pacer: Option<Pacer>,
}

impl Stage {
    fn new(sink: Box<dyn AudioSink>, target: Duration) -> Self {
        let pacer = (!sink.is_device()).then(|| Pacer::new(clock::now(), BLOCK_TIME));
        Self {
            sink,
            mixer: Mixer::new(target),
            pacer,
        }
    }

    fn run(mut self, arrivals: &Receiver<Arrival>, shared: &Shared) {
        let silence = [0.0; BLOCK_SAMPLES];
        while !shared.stop.load(Relaxed) {
            if let Some(pacer) = &mut self.pacer {
                clock::sleep_until(pacer.deadline(clock::now()));
            }
            let ready = self.sink.wait();
            for (at, participant, frame) in arrivals.try_iter().take(PACKETS_MAX) {
                if let Err(error) = self.mixer.push(at, participant, frame) {
                    tracing::warn!(%error, "a person cannot be heard");
                }
            }
            for wish in std::mem::take(&mut *shared.wishes()) {
                match wish {
                    Wish::Volume(participant, volume) => self.mixer.set_volume(participant, volume),
                    Wish::VolumeOfAll(volume) => self.mixer.set_volume_of_all(volume),
                    Wish::Wait(participant, wait) => self.mixer.set_wait(participant, wait),
                    Wish::Remove(participant) => self.mixer.remove(participant),
                }
            }
            let mixed = self.mixer.pull(clock::now());
            let written =
                ready.and_then(|()| self.sink.write(mixed.as_deref().unwrap_or(&silence)));
            let level_db = mixed.as_deref().map_or(LEVEL_DB_MIN, level_db);
            shared.peak.put(level_db);
            shared.news.put(self.sink.news());
            shared.gone.store(!self.sink.is_live(), Relaxed);
            let latency = self.sink.latency();
            shared.people.put(
                self.mixer
                    .people()
                    .map(|person| heard(person, latency))
                    .collect(),
            );
            if let Err(error) = written {
                tracing::warn!(%error, "the loudspeaker ended");
                shared.failure.put(error);
                self.sink = Box::new(Nowhere);
                self.pacer = Some(Pacer::new(clock::now() + BLOCK_TIME, BLOCK_TIME));
            }
        }
    }
}

/// What the ear hears when: the device still has some of it.
fn heard(person: PersonSound, latency: Duration) -> PersonSound {
    let clock = person.clock.map(|clock| SoundClock {
        at: clock.at + latency,
        ..clock
    });
    PersonSound { clock, ..person }
}

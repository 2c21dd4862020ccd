//! Thread `audio-decode`: Opus packets → jitter buffer → loudspeaker or file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::news::News;
use crate::clock;
use crate::codec::{CodecError, opus};
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME};
use crate::jitter::{AudioBuffer, AudioBufferStats, AudioFrame, JitterBuffer, Pull, SoundClock};
use crate::level::{LevelMeter, Peak, level_db};
use crate::mix::glide::Glide;
use crate::pace::Pacer;
use crate::sink::{AudioSink, Nowhere};
use crate::slot::Slot;
use crate::thread::Thread;

/// Packets on their way to the thread, which takes all of them every 20 ms: more than a second's worth means that it
/// stands still, and then new sound is worth more than old.
const PACKETS_MAX: usize = 64;

type Arrival = (Instant, AudioFrame);

/// The running thread. Dropping it ends and joins it.
pub struct AudioDecode {
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
    /// Bits of the volume wanted.
    volume: AtomicU32,
    /// Least delay wanted, microseconds.
    wait_us: AtomicU64,
    speaking: AtomicBool,
    stats: Slot<AudioBufferStats>,
    /// Loudness of what was played.
    peak: Peak,
    /// The device is away.
    gone: AtomicBool,
    /// Packets given up because the thread stood still.
    dropped: AtomicU64,
    /// How long the loudspeaker takes, microseconds.
    speaker_delay_us: AtomicU32,
    news: News,
    clock: Slot<Option<SoundClock>>,
    failure: Slot<DeviceError>,
}

impl AudioDecode {
    /// Begins to play to `sink`, with the jitter buffer aiming at `target`.
    #[must_use]
    pub fn start(sink: Box<dyn AudioSink>, target: Duration) -> Self {
        let (arrivals, overflow) = bounded(PACKETS_MAX);
        let shared = Arc::new(Shared {
            volume: AtomicU32::new(1.0_f32.to_bits()),
            ..Shared::default()
        });
        let thread = {
            let (shared, arrivals) = (Arc::clone(&shared), overflow.clone());
            Thread::spawn("audio-decode", move || match Stage::new(sink, target) {
                Ok(stage) => stage.run(&arrivals, &shared),
                Err(error) => {
                    let message = error.to_string();
                    shared.failure.put(DeviceError::Failed {
                        what: "sound decoder",
                        message,
                    });
                }
            })
        };
        Self {
            arrivals,
            overflow,
            shared,
            _thread: thread,
        }
    }

    /// Takes a packet that has come just now. Never blocks.
    pub fn push(&self, frame: AudioFrame) {
        let mut arrival = (clock::now(), frame);
        // Somebody else may fill the place that was just made; a second attempt that fails loses this packet.
        for _ in 0..2 {
            match self.arrivals.try_send(arrival) {
                Err(TrySendError::Full(back)) => {
                    arrival = back;
                    let is_dropped = self.overflow.try_recv().is_ok();
                    let dropped = u64::from(is_dropped);
                    self.shared.dropped.fetch_add(dropped, Relaxed);
                }
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
        }
        self.shared.dropped.fetch_add(1, Relaxed);
    }

    /// How loud it is to be, 0..=[`VOLUME_MAX`](crate::mix::VOLUME_MAX); 1 is as sent, 0 is silence.
    pub fn set_volume(&self, volume: f32) {
        self.shared.volume.store(volume.to_bits(), Relaxed);
    }

    /// The delay that sound must have at least, for pictures that come later.
    pub fn set_wait(&self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.shared.wait_us.store(micros, Relaxed);
    }

    /// What plays when: news since this was asked last.
    #[must_use]
    pub fn clock(&self) -> Option<Option<SoundClock>> {
        self.shared.clock.take()
    }

    /// Whether the far side speaks, by what is heard of it before the volume.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.shared.speaking.load(Relaxed)
    }

    /// Packets that were given up before they were looked at, because the loudspeaker stood still.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// What was received, played, made up, late.
    #[must_use]
    pub fn counters(&self) -> AudioBufferStats {
        self.shared
            .stats
            .peek()
            .map_or_else(AudioBufferStats::default, |(_, stats)| stats)
    }

    /// Loudness of the loudest 20 ms played since this was asked last, dB of full scale, from
    /// [`LEVEL_DB_MIN`](crate::level::LEVEL_DB_MIN). Between words and packets there is silence: what plays at one instant
    /// says little.
    #[must_use]
    pub fn take_peak_db(&self) -> f32 {
        self.shared.peak.take()
    }

    /// Whether the loudspeaker is away, and nothing is heard.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Relaxed)
    }

    /// How long it takes until a block that is written is heard, as far as the loudspeaker says.
    #[must_use]
    pub fn speaker_delay(&self) -> Duration {
        Duration::from_micros(self.shared.speaker_delay_us.load(Relaxed).into())
    }

    /// What happened to the loudspeaker, a sentence, once.
    #[must_use]
    pub fn news(&self) -> Option<String> {
        self.shared.news.take()
    }

    /// Why the loudspeaker ended, once. The stream goes on being decoded and counted.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.failure.take()
    }
}

impl Drop for AudioDecode {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

struct Stage {
    sink: Box<dyn AudioSink>,
    buffer: JitterBuffer,
    /// None where the device gives the pace.
    pacer: Option<Pacer>,
    volume: Glide,
    meter: LevelMeter,
}

impl Stage {
    fn new(sink: Box<dyn AudioSink>, target: Duration) -> Result<Self, CodecError> {
        let decoder = opus::Decoder::new()?;
        let pacer = (!sink.is_device()).then(|| Pacer::new(clock::now(), BLOCK_TIME));
        Ok(Self {
            sink,
            buffer: JitterBuffer::new(Box::new(decoder), target),
            pacer,
            volume: Glide::new(1.0),
            meter: LevelMeter::default(),
        })
    }

    fn run(mut self, arrivals: &Receiver<Arrival>, shared: &Shared) {
        let silence = [0.0; BLOCK_SAMPLES];
        while !shared.stop.load(Relaxed) {
            if let Some(pacer) = &mut self.pacer {
                clock::sleep_until(pacer.deadline(clock::now()));
            }
            let ready = self.sink.wait();
            for (at, frame) in arrivals.try_iter().take(PACKETS_MAX) {
                self.buffer.push(at, frame);
            }
            self.volume.set(f32::from_bits(shared.volume.load(Relaxed)));
            let wait = Duration::from_micros(shared.wait_us.load(Relaxed));
            self.buffer.set_wait(wait);
            let written = ready.and_then(|()| match self.buffer.pull(clock::now()) {
                Pull::Play(mut block) | Pull::Concealed(mut block) => {
                    self.meter.block(Some(&block));
                    self.volume.apply(&mut block);
                    shared.peak.put(level_db(&block));
                    self.sink.write(&block)
                }
                Pull::Silence => {
                    self.meter.block(None);
                    self.volume.silence();
                    self.sink.write(&silence)
                }
            });
            shared.news.put(self.sink.news());
            shared.gone.store(!self.sink.is_live(), Relaxed);
            let delay_us = u32::try_from(self.sink.latency().as_micros()).unwrap_or(u32::MAX);
            shared.speaker_delay_us.store(delay_us, Relaxed);
            shared.stats.put(self.buffer.stats());
            shared.speaking.store(self.meter.is_speaking(), Relaxed);
            shared.clock.put(self.heard());
            if let Err(error) = written {
                tracing::warn!(%error, "the loudspeaker ended");
                shared.failure.put(error);
                self.sink = Box::new(Nowhere);
                self.pacer = Some(Pacer::new(clock::now() + BLOCK_TIME, BLOCK_TIME));
            }
        }
    }

    /// What the ear hears when: the device still has some of it.
    fn heard(&self) -> Option<SoundClock> {
        let clock = self.buffer.plays_at()?;
        let at = clock.at + self.sink.latency();
        Some(SoundClock { at, ..clock })
    }
}

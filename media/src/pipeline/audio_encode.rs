//! Thread `audio-encode`: microphone or file → Opus packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::FrameSink;
use super::fade::Fader;
use super::news::News;
use super::packer::Packer;
use crate::clock;
use crate::codec::opus;
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, BLOCK_TIME, Block, EncodedFrame, FrameKind};
use crate::level::{LEVEL_DB_MIN, LevelMeter, Peak};
use crate::pace::Pacer;
use crate::slot::Slot;
use crate::sound_policy::SoundSettings;
use crate::source::{AudioSource, CaptureTime};
use crate::thread::Thread;

/// The running thread. Dropping it ends and joins it.
pub struct AudioEncode {
    shared: Arc<Shared>,
    /// Dropped last: joins.
    _thread: Thread,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    muted: AtomicBool,
    settings: Slot<SoundSettings>,
    speaking: AtomicBool,
    /// Somebody speaks who is not heard, because the microphone is muted.
    speaks_muted: AtomicBool,
    /// Loudness of the last block, in the bits of an `f32`.
    level_db: AtomicU32,
    /// The loudest block since somebody looked.
    peak: Peak,
    /// The device is away.
    gone: AtomicBool,
    news: News,
    captured: AtomicU64,
    failure: Slot<DeviceError>,
}

impl AudioEncode {
    /// Begins to read `source` and to hand its packets to `sink`.
    #[must_use]
    pub fn start(source: Box<dyn AudioSource>, sink: impl FrameSink, muted: bool) -> Self {
        let shared = Arc::new(Shared {
            muted: AtomicBool::new(muted),
            level_db: AtomicU32::new(LEVEL_DB_MIN.to_bits()),
            ..Shared::default()
        });
        let thread = {
            let shared = Arc::clone(&shared);
            Thread::spawn("audio-encode", move || {
                Stage::new(source, &shared).run(&sink)
            })
        };
        Self {
            shared,
            _thread: thread,
        }
    }

    /// Mutes or unmutes: at most one more block leaves, faded out. The source goes on being read.
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Relaxed);
    }

    /// Tells the loss of the link, in percent, so that packets carry a poor copy of the one before (FEC) when needed:
    /// 0 for none. For calls without [`Self::set_sound`].
    pub fn set_loss_percent(&self, percent: u8) {
        self.set_sound(SoundSettings {
            announced_loss_percent: percent,
            ..SoundSettings::default()
        });
    }

    /// Rate, protection and length of packets from the next packet on.
    pub fn set_sound(&self, settings: SoundSettings) {
        self.shared.settings.put(settings);
    }

    /// Whether somebody speaks into the microphone; never while muted.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.shared.speaking.load(Relaxed)
    }

    /// Whether somebody speaks into the microphone who is not heard, because it is muted.
    #[must_use]
    pub fn speaks_muted(&self) -> bool {
        self.shared.speaks_muted.load(Relaxed)
    }

    /// Loudness of the last 20 ms that the microphone heard, muted or not, dB of full scale, from
    /// [`LEVEL_DB_MIN`](crate::level::LEVEL_DB_MIN).
    #[must_use]
    pub fn level_db(&self) -> f32 {
        f32::from_bits(self.shared.level_db.load(Relaxed))
    }

    /// The loudest 20 ms since the last look, by the same measure: a short sound between two looks is not missed.
    #[must_use]
    pub fn take_peak_db(&self) -> f32 {
        self.shared.peak.take()
    }

    /// Whether the microphone is away, and silence is read in its stead.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Relaxed)
    }

    /// What happened to the microphone, a sentence, once.
    #[must_use]
    pub fn news(&self) -> Option<String> {
        self.shared.news.take()
    }

    /// Blocks read from the source so far, muted ones included.
    #[must_use]
    pub fn captured_blocks(&self) -> u64 {
        self.shared.captured.load(Relaxed)
    }

    /// Why the source ended, once.
    #[must_use]
    pub fn failure(&self) -> Option<DeviceError> {
        self.shared.failure.take()
    }
}

impl Drop for AudioEncode {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

struct Stage<'a> {
    source: Box<dyn AudioSource>,
    shared: &'a Shared,
    started_at: Instant,
    /// None where the device gives the pace.
    pacer: Option<Pacer>,
}

impl<'a> Stage<'a> {
    fn new(source: Box<dyn AudioSource>, shared: &'a Shared) -> Self {
        let started_at = clock::now();
        // A block is complete when its last sample was heard, as with a microphone.
        let pacer = (!source.is_device()).then(|| Pacer::new(started_at + BLOCK_TIME, BLOCK_TIME));
        Self {
            source,
            shared,
            started_at,
            pacer,
        }
    }

    fn run(mut self, sink: &impl FrameSink) {
        let mut encoder = match opus::Encoder::new() {
            Ok(encoder) => encoder,
            Err(error) => {
                let message = error.to_string();
                self.shared.failure.put(DeviceError::Failed {
                    what: "sound encoder",
                    message,
                });
                return;
            }
        };
        let mut fader = Fader::new(self.shared.muted.load(Relaxed));
        let mut block = [0.0; BLOCK_SAMPLES];
        let mut meter = LevelMeter::default();
        let mut packer = Packer::default();
        while !self.shared.stop.load(Relaxed) {
            let captured_at = match self.capture(&mut block) {
                Ok(captured_at) => captured_at,
                Err(error) => {
                    tracing::warn!(%error, "the microphone ended");
                    self.shared.failure.put(error);
                    return;
                }
            };
            self.shared.captured.fetch_add(1, Relaxed);
            self.shared.news.put(self.source.news());
            let is_live = self.source.is_live();
            self.shared.gone.store(!is_live, Relaxed);
            meter.block(is_live.then_some(&block));
            let is_muted = self.shared.muted.load(Relaxed);
            self.tell(&meter, is_muted);
            // Without a microphone there is nothing to be sent, as while muted.
            let sent = fader.apply(&mut block, is_muted || !is_live);
            if let Some(settings) = self.shared.settings.take() {
                encoder.apply(&settings);
                packer.set_blocks(settings.blocks);
            }
            let packed = if sent {
                packer.block(&block, captured_at)
            } else {
                packer.finish()
            };
            let Some((samples, captured_at)) = packed else {
                continue;
            };
            match encoder.encode_samples(&samples) {
                Ok(data) => sink.push(EncodedFrame {
                    kind: FrameKind::Audio,
                    data,
                    captured_at,
                }),
                Err(error) => tracing::warn!(%error, "a block of sound was not encoded"),
            }
        }
    }

    /// What the meter says, for whoever asks.
    fn tell(&self, meter: &LevelMeter, is_muted: bool) {
        let speaks = meter.is_speaking();
        self.shared.speaking.store(speaks && !is_muted, Relaxed);
        self.shared.speaks_muted.store(speaks && is_muted, Relaxed);
        let level_db = meter.level_db();
        self.shared.level_db.store(level_db.to_bits(), Relaxed);
        self.shared.peak.put(level_db);
    }

    /// Waits for the next block and says when its first sample was captured.
    fn capture(&mut self, block: &mut Block) -> Result<Instant, DeviceError> {
        let complete_at = self
            .pacer
            .as_mut()
            .map(|pacer| pacer.deadline(clock::now()));
        if let Some(deadline) = complete_at {
            clock::sleep_until(deadline);
        }
        let began = |complete: Instant| complete.checked_sub(BLOCK_TIME).unwrap_or(self.started_at);
        let captured_at = began(complete_at.unwrap_or_else(clock::now));
        let at = CaptureTime {
            elapsed: captured_at.saturating_duration_since(self.started_at),
            clock_us: clock::unix_us_at(captured_at),
        };
        self.source.read(at, block)?;
        Ok(if complete_at.is_some() {
            captured_at
        } else {
            began(clock::now())
        })
    }
}

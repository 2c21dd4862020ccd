//! A microphone and a loudspeaker that know of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use super::{PART_SAMPLES, ProcessFigures, ProcessSwitch, Processor};
use crate::device::DeviceError;
use crate::frame::{BLOCK_SAMPLES, Block};
use crate::level::{LEVEL_DB_MIN, level_db};
use crate::sink::AudioSink;
use crate::source::{AudioSource, CaptureTime};

/// Sound of the far side between the two threads: 200 ms. What is more means that nobody listens, and the canceller could
/// not tell where it belongs.
const FAR_SAMPLES_MAX: usize = 10 * BLOCK_SAMPLES;
/// Blocks between two looks at the figures, 1 s.
const FIGURES_BLOCKS: u32 = 50;

/// What a call plays through and hears with.
type Pair = (Option<Box<dyn AudioSource>>, Option<Box<dyn AudioSink>>);

/// Puts both together, so that what is given to the loudspeaker is taken out of what the microphone hears, and the switch is
/// obeyed. A file or a test sound is left as it is unless the switch is for files, too.
#[must_use]
pub fn join((mic, speaker): Pair, switch: &ProcessSwitch) -> Pair {
    let Some(mic) = mic else {
        return (None, speaker);
    };
    let is_device = mic.is_device();
    if !is_device && !switch.is_for_files() {
        return (Some(mic), speaker);
    }
    let (producer, consumer) = RingBuffer::new(FAR_SAMPLES_MAX);
    let delay_ms = Arc::new(AtomicU32::new(0));
    let mic = ProcessedMic {
        inner: mic,
        processor: Processor::new(switch.get_for(is_device)),
        is_device,
        switch: switch.clone(),
        far: consumer,
        speaker_delay_ms: Arc::clone(&delay_ms),
        scratch: Vec::with_capacity(FAR_SAMPLES_MAX),
        blocks: 0,
        heard_db: LEVEL_DB_MIN,
    };
    let speaker = speaker.map(|inner| -> Box<dyn AudioSink> {
        Box::new(HeardSpeaker {
            inner,
            far: producer,
            delay_ms,
        })
    });
    (Some(Box::new(mic)), speaker)
}

/// A microphone whose sound is processed.
struct ProcessedMic {
    inner: Box<dyn AudioSource>,
    is_device: bool,
    processor: Processor,
    switch: ProcessSwitch,
    /// What the loudspeaker was given since the last block.
    far: Consumer<f32>,
    speaker_delay_ms: Arc<AtomicU32>,
    scratch: Vec<f32>,
    blocks: u32,
    /// The loudest block since the figures were told.
    heard_db: f32,
}

impl ProcessedMic {
    /// Moves whole parts of what the loudspeaker was given to the scratch.
    fn take_far(&mut self) {
        self.scratch.clear();
        let whole = self.far.slots() / PART_SAMPLES * PART_SAMPLES;
        if let Ok(chunk) = self.far.read_chunk(whole) {
            self.scratch.extend(chunk);
        }
    }
}

impl AudioSource for ProcessedMic {
    fn is_device(&self) -> bool {
        self.is_device
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn delay(&self) -> Duration {
        self.inner.delay()
    }

    fn news(&mut self) -> Option<String> {
        self.inner.news()
    }

    fn read(&mut self, at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        self.inner.read(at, block)?;
        if self.inner.is_live() {
            self.heard_db = self.heard_db.max(level_db(block));
        }
        self.take_far();
        self.processor.set(self.switch.get_for(self.is_device));
        let speaker_ms = self.speaker_delay_ms.load(Relaxed);
        self.processor
            .set_delay_ms(speaker_ms.saturating_add(millis(self.inner.delay())));
        self.processor.both(&self.scratch, block);
        self.blocks = (self.blocks + 1) % FIGURES_BLOCKS;
        if self.blocks == 0 {
            self.switch.tell(ProcessFigures {
                heard_db: Some(self.heard_db),
                ..self.processor.figures()
            });
            self.heard_db = LEVEL_DB_MIN;
        }
        Ok(())
    }
}

/// A loudspeaker that lets the microphone know what it plays.
struct HeardSpeaker {
    inner: Box<dyn AudioSink>,
    far: Producer<f32>,
    delay_ms: Arc<AtomicU32>,
}

impl AudioSink for HeardSpeaker {
    fn is_device(&self) -> bool {
        self.inner.is_device()
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn latency(&self) -> Duration {
        self.inner.latency()
    }

    fn news(&mut self) -> Option<String> {
        self.inner.news()
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        self.inner.wait()
    }

    fn write(&mut self, block: &Block) -> Result<(), DeviceError> {
        self.delay_ms.store(millis(self.inner.latency()), Relaxed);
        // Without room for a whole block nobody listens: half a block would shift all that follows.
        if self.far.slots() >= BLOCK_SAMPLES {
            let (_given, _left) = self.far.push_partial_slice(block);
        }
        self.inner.write(block)
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

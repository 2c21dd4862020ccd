//! What is to be done to sound, changed while it flows, and what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::Processing;
use crate::slot::Slot;

const ECHO: u8 = 1;
const NOISE: u8 = 2;
const GAIN: u8 = 4;

/// What the echo canceller says; nothing while it is off or has heard nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// How much quieter the echo comes back than it was played, dB: the room's and the devices' part.
    pub echo_return_loss_db: Option<f32>,
    /// How much more of it was taken out, dB.
    pub echo_reduction_db: Option<f32>,
    /// How long the echo took, ms.
    pub echo_delay_ms: Option<u32>,
    /// The loudest 20 ms of the last second as the microphone gave them, dB of full scale.
    pub heard_db: Option<f32>,
}

/// Says what is to be done to the sound of the microphone, from now on and in every call. Clones share it.
#[derive(Clone, Debug)]
pub struct ProcessSwitch {
    shared: Arc<Shared>,
}

struct Shared {
    wanted: AtomicU8,
    /// Of that, what is done to files and test sounds, too.
    for_files: u8,
    figures: Slot<ProcessFigures>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("wanted", &self.wanted)
            .field("for_files", &self.for_files)
            .finish_non_exhaustive()
    }
}

impl ProcessSwitch {
    /// A switch that says this; of it, only `for_files` is done to files and test sounds, too.
    #[must_use]
    pub fn new(processing: Processing, for_files: Processing) -> Self {
        Self {
            shared: Arc::new(Shared {
                wanted: AtomicU8::new(bits(processing)),
                for_files: bits(for_files),
                figures: Slot::new(),
            }),
        }
    }

    /// Says this from the next block on.
    pub fn set(&self, processing: Processing) {
        self.shared.wanted.store(bits(processing), Relaxed);
    }

    /// What it says about devices.
    #[must_use]
    pub fn get(&self) -> Processing {
        processing(self.shared.wanted.load(Relaxed))
    }

    /// What it says about a device, or else about files and test sounds.
    #[must_use]
    pub fn get_for(&self, is_device: bool) -> Processing {
        let wanted = self.shared.wanted.load(Relaxed);
        processing(if is_device {
            wanted
        } else {
            wanted & self.shared.for_files
        })
    }

    /// Whether anything is ever done to files and test sounds.
    #[must_use]
    pub fn is_for_files(&self) -> bool {
        self.shared.for_files != 0
    }

    /// What the echo canceller said last.
    #[must_use]
    pub fn figures(&self) -> ProcessFigures {
        let figures = self.shared.figures.peek();
        figures.map_or_else(ProcessFigures::default, |(_, figures)| figures)
    }

    pub(super) fn tell(&self, figures: ProcessFigures) {
        self.shared.figures.put(figures);
    }
}

impl Default for ProcessSwitch {
    /// Everything for devices, nothing for files.
    fn default() -> Self {
        Self::new(Processing::ALL, Processing::NONE)
    }
}

fn bits(processing: Processing) -> u8 {
    let bit = |is_on, bit| if is_on { bit } else { 0 };
    bit(processing.echo, ECHO) | bit(processing.noise, NOISE) | bit(processing.gain, GAIN)
}

fn processing(bits: u8) -> Processing {
    Processing {
        echo: bits & ECHO != 0,
        noise: bits & NOISE != 0,
        gain: bits & GAIN != 0,
    }
}

//! A WAV file as a loudspeaker: 48 kHz, mono, 16 bits.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

use super::AudioSink;
use crate::device::DeviceError;
use crate::frame::{Block, SAMPLE_RATE_HZ};

/// After how many blocks the header is brought up to date: a program that dies loses at most a second. More often
/// costs a seek and two writes each time.
const FLUSH_BLOCKS: u32 = 50;
/// A WAV file cannot say that it has 4 GiB or more: 12 hours.
const SAMPLES_MAX: u32 = (u32::MAX - 1024) / 2;

/// Writes what it is given to a file.
pub struct WavSink {
    writer: WavWriter<BufWriter<File>>,
    path: PathBuf,
    unflushed: u32,
}

impl WavSink {
    /// Starts a file anew.
    ///
    /// # Errors
    /// The path cannot be written.
    pub fn create(path: &Path) -> Result<Self, DeviceError> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE_HZ,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec).map_err(|error| failed(path, error))?;
        writer.flush().map_err(|error| failed(path, error))?;
        Ok(Self {
            writer,
            path: path.to_owned(),
            unflushed: 0,
        })
    }
}

fn failed(path: &Path, error: hound::Error) -> DeviceError {
    let source = match error {
        hound::Error::IoError(source) => source,
        error => std::io::Error::other(error),
    };
    DeviceError::write(path, source)
}

impl AudioSink for WavSink {
    fn is_device(&self) -> bool {
        false
    }

    fn write(&mut self, block: &Block) -> Result<(), DeviceError> {
        let path = &self.path;
        if self.writer.len() > SAMPLES_MAX - block.len() as u32 {
            return Err(failed(path, hound::Error::TooWide));
        }
        let mut samples = self.writer.get_i16_writer(block.len() as u32);
        for sample in block {
            samples.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16);
        }
        samples.flush().map_err(|error| failed(path, error))?;
        self.unflushed += 1;
        if self.unflushed >= FLUSH_BLOCKS {
            self.unflushed = 0;
            self.writer.flush().map_err(|error| failed(path, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BLOCK_SAMPLES;

    #[test]
    fn the_file_is_whole_when_the_program_dies_and_when_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.wav");
        let mut sink = WavSink::create(&path).expect("writable");
        let mut ramp = [0.0; BLOCK_SAMPLES];
        for (index, sample) in ramp.iter_mut().enumerate() {
            *sample = index as f32 / 480.0 - 1.0;
        }
        for _ in 0..60 {
            sink.write(&ramp).expect("writes");
        }
        let read = |path: &Path| {
            let mut reader = hound::WavReader::open(path).expect("a valid header");
            assert_eq!(
                (
                    reader.spec().channels,
                    reader.spec().sample_rate,
                    reader.spec().bits_per_sample
                ),
                (1, 48_000, 16)
            );
            reader
                .samples::<i16>()
                .map(|sample| sample.expect("a sample"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            read(&path).len(),
            50 * BLOCK_SAMPLES,
            "what a reader finds while the file is being written"
        );
        drop(sink);
        let samples = read(&path);
        assert_eq!(
            (samples.len(), samples[0], samples[480]),
            (60 * BLOCK_SAMPLES, -32_767, 0)
        );
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let error = WavSink::create(Path::new("/nowhere/out.wav"))
            .err()
            .expect("no such folder")
            .to_string();
        assert!(error.contains("cannot write /nowhere/out.wav"), "{error}");
    }
}

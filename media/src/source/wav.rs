//! A WAV file as a microphone: streamed, looped, mixed to one channel, brought to 48 kHz.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader, WavSpec};

use super::{AudioSource, CaptureTime};
use crate::device::DeviceError;
use crate::frame::{Block, SAMPLE_RATE_HZ};
use crate::resample::{RATE_HZ_MAX, RATE_HZ_MIN, ToBlocks};

/// The sound of a WAV file, over and over.
pub struct WavSource<R = BufReader<File>> {
    reader: WavReader<R>,
    path: PathBuf,
    spec: WavSpec,
    /// None when the file has our rate already.
    resampler: Option<ToBlocks>,
    scratch: Vec<f32>,
}

impl WavSource {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read or is not what is allowed.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let file = File::open(path).map_err(|source| DeviceError::read(path, source))?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: Read + Seek + Send> WavSource<R> {
    /// Reads from `reader`; `path` is for messages.
    ///
    /// # Errors
    /// As [`WavSource::open`].
    pub fn new(reader: R, path: &Path) -> Result<Self, DeviceError> {
        let reader = WavReader::new(reader).map_err(|error| failed(path, error))?;
        let spec = reader.spec();
        let format = match spec.sample_format {
            SampleFormat::Float => "float",
            SampleFormat::Int => "whole-number",
        };
        let form = || {
            format!(
                "{} channels of {}-bit {format} samples at {} Hz",
                spec.channels, spec.bits_per_sample, spec.sample_rate
            )
        };
        let bits = matches!(
            (spec.sample_format, spec.bits_per_sample),
            (SampleFormat::Int, 16 | 24 | 32) | (SampleFormat::Float, 32)
        );
        if !bits
            || !(1..=2).contains(&spec.channels)
            || !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&spec.sample_rate)
        {
            return Err(wrong(path, form()));
        }
        if reader.duration() == 0 {
            return Err(wrong(path, "a WAV file without sound".to_owned()));
        }
        let resampler = match spec.sample_rate {
            SAMPLE_RATE_HZ => None,
            rate => Some(ToBlocks::new(rate).map_err(|error| wrong(path, error.to_string()))?),
        };
        Ok(Self {
            reader,
            path: path.to_owned(),
            spec,
            resampler,
            scratch: Vec::new(),
        })
    }

    /// Fills `mono` from the file, from its start again at its end.
    fn fill(&mut self, mono: &mut [f32]) -> Result<(), DeviceError> {
        let mut filled = 0;
        let mut starts = 0;
        while filled < mono.len() {
            let got = self.read_some(&mut mono[filled..])?;
            filled += got;
            if filled < mono.len() {
                // A file shorter than what is wanted is read several times; one that gives nothing was cut meanwhile.
                starts = if got == 0 { starts + 1 } else { 0 };
                if starts > 1 {
                    return Err(wrong(
                        &self.path,
                        "a file that was emptied while in use".to_owned(),
                    ));
                }
                self.reader
                    .seek(0)
                    .map_err(|source| DeviceError::read(&self.path, source))?;
            }
        }
        Ok(())
    }

    /// Samples up to the end of the file; fewer than asked for only there.
    fn read_some(&mut self, mono: &mut [f32]) -> Result<usize, DeviceError> {
        let channels = self.spec.channels;
        let result = match (self.spec.sample_format, self.spec.bits_per_sample) {
            (SampleFormat::Float, _) => mix(&mut self.reader.samples::<f32>(), channels, mono),
            (SampleFormat::Int, bits) => {
                let full_scale = f32::powi(2.0, i32::from(bits) - 1);
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "f32 keeps 24 bits, more than any ear"
                )]
                let mut samples = self
                    .reader
                    .samples::<i32>()
                    .map(|sample| sample.map(|value| value as f32 / full_scale));
                mix(&mut samples, channels, mono)
            }
        };
        result.map_err(|error| failed(&self.path, error))
    }
}

/// Averages the channels of as many samples as `mono` wants or there are.
fn mix(
    samples: &mut dyn Iterator<Item = hound::Result<f32>>,
    channels: u16,
    mono: &mut [f32],
) -> hound::Result<usize> {
    for (index, out) in mono.iter_mut().enumerate() {
        let mut sum = 0.0;
        for _ in 0..channels {
            match samples.next() {
                None => return Ok(index),
                Some(sample) => sum += sample?,
            }
        }
        let sample = sum / f32::from(channels);
        // A float file may hold anything; an encoder must not be fed NaN.
        *out = if sample.is_finite() {
            sample.clamp(-1.0, 1.0)
        } else {
            0.0
        };
    }
    Ok(mono.len())
}

fn failed(path: &Path, error: hound::Error) -> DeviceError {
    match error {
        hound::Error::IoError(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            DeviceError::read(path, source)
        }
        hound::Error::FormatError(words) => wrong(path, format!("no WAV file ({words})")),
        error => wrong(path, error.to_string()),
    }
}

fn wrong(path: &Path, found: String) -> DeviceError {
    DeviceError::File {
        path: path.to_owned(),
        found,
        allowed: "a WAV file with one or two channels of 16, 24 or 32-bit whole numbers or 32-bit floats, 8 to 192 kHz",
    }
}

impl<R: Read + Seek + Send> AudioSource for WavSource<R> {
    fn is_device(&self) -> bool {
        false
    }

    fn read(&mut self, _at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        let Some(mut resampler) = self.resampler.take() else {
            return self.fill(block);
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(resampler.wanted(), 0.0);
        let filled = self.fill(&mut scratch);
        resampler.block(&scratch, block);
        (self.resampler, self.scratch) = (Some(resampler), scratch);
        filled
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;
    use std::io::Cursor;
    use std::time::Duration;

    use hound::WavWriter;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::BLOCK_SAMPLES;

    const AT: CaptureTime = CaptureTime {
        elapsed: Duration::ZERO,
        clock_us: 0,
    };

    fn tone(spec: WavSpec, samples: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("a usable spec");
        for index in 0..samples {
            let value = 0.5 * (TAU * 440.0 * index as f32 / spec.sample_rate as f32).sin();
            for channel in 0..spec.channels {
                let value = if channel == 0 { value } else { 0.0 };
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(value),
                    SampleFormat::Int => writer.write_sample(
                        (value * f32::powi(2.0, i32::from(spec.bits_per_sample) - 1)) as i32,
                    ),
                }
                .expect("memory takes it");
            }
        }
        writer.finalize().expect("memory takes it");
        bytes.into_inner()
    }

    fn open(bytes: Vec<u8>) -> Result<WavSource<Cursor<Vec<u8>>>, DeviceError> {
        WavSource::new(Cursor::new(bytes), Path::new("speech.wav"))
    }

    fn sound(source: &mut impl AudioSource, blocks: usize) -> Vec<f32> {
        let mut block = [0.0; BLOCK_SAMPLES];
        let mut sound = Vec::new();
        for _ in 0..blocks {
            source.read(AT, &mut block).expect("a block");
            sound.extend_from_slice(&block);
        }
        sound
    }

    #[test]
    fn every_allowed_form_gives_the_same_tone_at_48_khz_and_loops() {
        for (sample_format, bits_per_sample) in [
            (SampleFormat::Int, 16),
            (SampleFormat::Int, 24),
            (SampleFormat::Int, 32),
            (SampleFormat::Float, 32),
        ] {
            for channels in [1, 2] {
                for sample_rate in [8_000, 16_000, 44_100, 48_000, 96_000] {
                    let spec = WavSpec {
                        channels,
                        sample_rate,
                        bits_per_sample,
                        sample_format,
                    };
                    // Half a second holds 220 whole periods: the loop has no seam.
                    let mut source = open(tone(spec, sample_rate / 2)).expect("an allowed form");
                    let sound = sound(&mut source, 75);
                    let tail = &sound[4_800..];
                    let rms = (tail.iter().map(|sample| sample * sample).sum::<f32>()
                        / tail.len() as f32)
                        .sqrt();
                    let crossings = tail
                        .windows(2)
                        .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0)
                        .count();
                    let level = 0.5 / 2f32.sqrt() / f32::from(channels);
                    assert!(
                        (rms / level - 1.0).abs() < 0.02,
                        "{spec:?}: rms {rms}, want {level}"
                    );
                    assert!(
                        crossings.abs_diff(440 * 14 / 10) <= 1,
                        "{spec:?}: {crossings} periods"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_sound_is_named_together_with_what_is_allowed() {
        let spec = WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        for (bytes, found) in [
            (b"YUV4MPEG2".to_vec(), "no WAV file"),
            (
                tone(
                    WavSpec {
                        channels: 3,
                        ..spec
                    },
                    10,
                ),
                "3 channels",
            ),
            (
                tone(
                    WavSpec {
                        bits_per_sample: 8,
                        ..spec
                    },
                    10,
                ),
                "8-bit",
            ),
            (
                tone(
                    WavSpec {
                        sample_rate: 4_000,
                        ..spec
                    },
                    10,
                ),
                "4000 Hz",
            ),
            (tone(spec, 0), "without sound"),
        ] {
            let error = open(bytes).err().expect(found).to_string();
            assert!(
                error.contains(found)
                    && error.contains("speech.wav")
                    && error.contains("8 to 192 kHz"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(cut in 0usize..100, at in 0usize..60, junk in proptest::collection::vec(any::<u8>(), 0..24)) {
            let spec = WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample: 24, sample_format: SampleFormat::Int };
            let mut bytes = tone(spec, 20);
            bytes.truncate(bytes.len().saturating_sub(cut));
            for (slot, byte) in bytes.iter_mut().skip(at).zip(junk) {
                *slot = byte;
            }
            if let Ok(mut source) = open(bytes) {
                let mut block = [0.0; BLOCK_SAMPLES];
                for _ in 0..4 {
                    let _ = source.read(AT, &mut block);
                }
            }
        }
    }
}

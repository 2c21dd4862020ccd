//! Speech in WAV files: one channel, 48 kHz, 16 bits, as the scoring scripts read and write it.

use std::path::Path;

/// All samples, from -1 to 1.
///
/// # Errors
/// The file's.
pub fn read(path: &Path) -> Result<Vec<f32>, hound::Error> {
    let samples = hound::WavReader::open(path)?.into_samples::<i16>();
    samples
        .map(|sample| sample.map(|sample| f32::from(sample) / 32_768.0))
        .collect()
}

/// Writes them; what is beyond -1 and 1 is cut off.
///
/// # Errors
/// The file's.
pub fn write(path: &Path, samples: &[f32]) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        // A cast saturates.
        writer.write_sample((sample * 32_767.0).round() as i16)?;
    }
    writer.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_too_loud_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, &[0.0, 0.5, -0.5, 3.0]).unwrap();
        let samples = read(&path).unwrap();
        for (read, want) in samples.iter().zip([0.0, 0.5, -0.5, 1.0]) {
            assert!((read - want).abs() < 0.001, "{samples:?}");
        }
        assert_eq!(samples.len(), 4);
    }
}

//! Clips to send, the same bytes for the same seed: a talking head, a hard one, and something like speech.
//!
//! They stand in where no recorded or better synthetic clip is at hand, and say nothing about the score of real speech.

use std::f32::consts::TAU;
use std::io::{self, Seek, Write};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::y4m::{Shape, write_header, write_picture};

/// Standard deviation of the camera's noise, in steps of luma; a webcam indoors.
const NOISE_STEPS: f32 = 2.0;

/// The same in the dark: an encoder spends whatever it may on it.
const NOISE_STEPS_DARK: f32 = 8.0;

/// Iterations after which a point counts as inside the Mandelbrot set.
const ITERATIONS_MAX: u16 = 64;

/// Samples per second of every sound clip.
const SAMPLE_RATE_HZ: u32 = 48_000;

/// A head that moves before a textured wall, with camera noise.
///
/// # Errors
/// The disk's fault.
pub fn write_talking_head(
    out: &mut impl Write,
    shape: Shape,
    pictures: u32,
    seed: u64,
) -> io::Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let texture = Texture::new(&mut rng);
    // Drawn for 640x360, whatever the size.
    let scale = 640.0 / shape.width as f32;
    write_clip(
        out,
        shape,
        pictures,
        NOISE_STEPS,
        &mut rng,
        |time_s, x, y| head_luma(&texture, time_s, x * scale, y * scale),
    )
}

fn head_luma(texture: &Texture, time_s: f32, x: f32, y: f32) -> f32 {
    let (centre_x, centre_y) = (
        320.0 + 18.0 * (1.1 * time_s).sin() + 6.0 * (3.3 * time_s).sin(),
        165.0 + 6.0 * (1.7 * time_s).sin(),
    );
    let (from_x, from_y) = (x - centre_x, y - centre_y);
    let inside = |dx: f32, dy: f32, rx: f32, ry: f32| (dx / rx).powi(2) + (dy / ry).powi(2) < 1.0;
    let mouth_open = 2.0 + 11.0 * ((7.0 * time_s).sin() * (2.3 * time_s).sin()).abs();
    if inside(from_x, from_y - 58.0, 27.0, mouth_open) {
        45.0
    } else if inside(from_x.abs() - 30.0, from_y + 12.0, 13.0, 7.0) {
        if inside(from_x.abs() - 30.0, from_y + 12.0, 5.0, 5.0) {
            30.0
        } else {
            225.0
        }
    } else if inside(from_x, from_y - 8.0, 74.0, 98.0) {
        168.0 - 35.0 * ((from_x - 20.0) / 80.0).powi(2) + texture.at(from_x, from_y, 4.0) * 12.0
    } else if inside(from_x, from_y + 18.0, 92.0, 112.0) {
        48.0 + texture.at(from_x, from_y, 2.0) * 20.0
    } else if inside(from_x, from_y - 270.0, 190.0, 165.0) {
        80.0 + texture.at(from_x, from_y, 3.0) * 24.0
    } else {
        105.0 + texture.at(x, y, 24.0) * 70.0
    }
}

/// A zoom into the edge of the Mandelbrot set with camera noise: fine detail that never repeats.
///
/// # Errors
/// The disk's fault.
pub fn write_stress(
    out: &mut impl Write,
    shape: Shape,
    pictures: u32,
    seed: u64,
) -> io::Result<()> {
    write_zoom(out, shape, pictures, NOISE_STEPS, seed)
}

/// The same zoom with so much noise that its finest encoding costs several times as much: it fills any line that carries
/// a picture of this size.
///
/// # Errors
/// The disk's fault.
pub fn write_dark_stress(
    out: &mut impl Write,
    shape: Shape,
    pictures: u32,
    seed: u64,
) -> io::Result<()> {
    write_zoom(out, shape, pictures, NOISE_STEPS_DARK, seed)
}

fn write_zoom(
    out: &mut impl Write,
    shape: Shape,
    pictures: u32,
    noise_steps: f32,
    seed: u64,
) -> io::Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (middle_x, middle_y) = (shape.width as f32 / 2.0, shape.height as f32 / 2.0);
    write_clip(
        out,
        shape,
        pictures,
        noise_steps,
        &mut rng,
        |time_s, x, y| {
            // There and back in eight seconds, so that a loop of that length has no cut.
            let depth = 3.0 * (1.0 - (f64::from(time_s) * std::f64::consts::TAU / 8.0).cos());
            let step = 0.8 / f64::from(middle_x) * 0.6_f64.powf(depth);
            let real = -0.743_643_887 + f64::from(x - middle_x) * step;
            let imaginary = 0.131_825_904 + f64::from(y - middle_y) * step;
            30.0 + 200.0
                * (escape(real, imaginary) * 0.12 + TAU / 16.0 * time_s)
                    .sin()
                    .abs()
        },
    )
}

/// Iterations until the point escapes, with a fraction: bands without hard edges.
fn escape(real: f64, imaginary: f64) -> f32 {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for iteration in 0..ITERATIONS_MAX {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 64.0 {
            let past = ((xx + yy).ln() / 64.0_f64.ln()).log2();
            return f32::from(iteration) - past as f32;
        }
        (x, y) = (xx - yy + real, 2.0 * x * y + imaginary);
    }
    f32::from(ITERATIONS_MAX)
}

/// `luma` is asked for each pixel: (seconds, x, y) to 0.0..=255.0 before noise.
fn write_clip(
    out: &mut impl Write,
    shape: Shape,
    pictures: u32,
    noise_steps: f32,
    rng: &mut ChaCha20Rng,
    luma: impl Fn(f32, f32, f32) -> f32,
) -> io::Result<()> {
    write_header(out, shape)?;
    let mut plane = vec![0; shape.luma_len()];
    let chroma: Vec<u8> = (0..shape.chroma_len())
        .map(|at| {
            if at < shape.chroma_len() / 2 {
                118
            } else {
                138
            }
        })
        .collect();
    for picture in 0..pictures {
        let time_s = picture as f32 / shape.rate_fps as f32;
        for (at, pixel) in plane.iter_mut().enumerate() {
            let (x, y) = ((at % shape.width) as f32, (at / shape.width) as f32);
            *pixel = (luma(time_s, x, y) + noise(rng) * noise_steps).clamp(16.0, 235.0) as u8;
        }
        write_picture(out, &plane, &chroma)?;
    }
    Ok(())
}

/// Nearly normal, with a standard deviation of one: the sum of four bytes has 147.8.
fn noise(rng: &mut ChaCha20Rng) -> f32 {
    let sum: u16 = rng.next_u32().to_le_bytes().map(u16::from).iter().sum();
    (f32::from(sum) - 510.0) / 147.8
}

/// Smooth random values that repeat every 64 cells.
struct Texture([[f32; 64]; 64]);

impl Texture {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let mut cells = [[0.0; 64]; 64];
        for cell in cells.as_flattened_mut() {
            *cell = rng.next_u32() as f32 / u32::MAX as f32 - 0.5;
        }
        Self(cells)
    }

    /// -0.5..=0.5; `cell_px` is the width of the smallest feature.
    fn at(&self, x: f32, y: f32, cell_px: f32) -> f32 {
        let (x, y) = (x / cell_px, y / cell_px);
        let cell = |dx: i32, dy: i32| {
            let wrap = |v: f32, d: i32| (v.floor() as i32 + d).rem_euclid(64) as usize;
            self.0[wrap(y, dy)][wrap(x, dx)]
        };
        let (right, down) = (x - x.floor(), y - y.floor());
        let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
        mix(
            mix(cell(0, 0), cell(1, 0), right),
            mix(cell(0, 1), cell(1, 1), right),
            down,
        )
    }
}

/// Voiced syllables with pauses, 48 kHz mono 16-bit: the rhythm of speech, not its sound.
///
/// # Errors
/// The disk's fault.
pub fn write_speech_like(
    out: impl Write + Seek,
    seconds: u32,
    seed: u64,
) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut wav = hound::WavWriter::new(out, spec)?;
    // A syllable of 200 ms; every eighth one is a pause.
    let syllable_samples = SAMPLE_RATE_HZ / 5;
    for syllable in 0..seconds * 5 {
        let pitch_hz = 110.0 + (rng.next_u32() % 110) as f32;
        let loud = if syllable % 8 == 7 { 0.0 } else { 0.25 };
        for sample in 0..syllable_samples {
            let time_s = sample as f32 / SAMPLE_RATE_HZ as f32;
            let swell = (sample as f32 / syllable_samples as f32 * TAU / 2.0).sin();
            let voice: f32 = (1..=12_u8)
                .map(f32::from)
                .map(|harmonic| (TAU * pitch_hz * harmonic * time_s).sin() / harmonic)
                .sum();
            wav.write_sample((voice * swell * loud * f32::from(i16::MAX) * 0.5) as i16)?;
        }
    }
    wav.finalize()
}

#[cfg(test)]
mod tests {
    use super::super::y4m::Reader;
    use super::*;

    const SMALL: Shape = Shape {
        width: 64,
        height: 36,
        rate_fps: 30,
    };

    type Write = fn(&mut Vec<u8>, Shape, u32, u64) -> io::Result<()>;

    #[test]
    fn clips_move_and_repeat_by_seed() {
        for write in [write_talking_head as Write, write_stress, write_dark_stress] {
            let clip = |seed| {
                let mut bytes = Vec::new();
                write(&mut bytes, SMALL, 3, seed).unwrap();
                bytes
            };
            assert_eq!(clip(1), clip(1));
            assert_ne!(clip(1), clip(2));
            let bytes = clip(1);
            let mut reader = Reader::new(&bytes[..]).unwrap();
            let first = reader.read_luma().unwrap().unwrap();
            assert_ne!(Some(&first), reader.read_luma().unwrap().as_ref());
            let (least, most) = (first.iter().min().unwrap(), first.iter().max().unwrap());
            assert!(most - least > 60, "something to see: {least}..{most}");
        }
    }

    #[test]
    fn speech_has_sound_and_pauses() {
        let mut bytes = io::Cursor::new(Vec::new());
        write_speech_like(&mut bytes, 2, 1).unwrap();
        bytes.set_position(0);
        let mut wav = hound::WavReader::new(bytes).unwrap();
        let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().unwrap();
        assert_eq!(samples.len(), 96_000);
        let peak = |part: &[i16]| part.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(peak(&samples[..9_600]) > 3_000);
        assert_eq!(peak(&samples[7 * 9_600..8 * 9_600]), 0);
    }
}

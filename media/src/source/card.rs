//! The test card and the test tone: the camera and microphone of tests and demos.
//!
//! The card is 640x360 at 30 pictures per second. It carries what a codec has to work for (texture, edges, colour, a
//! ball and a band that move), the time of its capture as black and white squares, and a patch that flashes white
//! while the tone beeps: for 50 ms from each full second of the clock on.
//!
//! ```text
//! [24 squares: time, upper half ][      ] [flash]
//! [24 squares: time, lower, CRC ][      ] [patch]
//! texture, colour bars          ( ball )
//! ~~~~~~~~~~ scrolling band ~~~~~~~~~~~~~~~~~~~~~
//! ```

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use super::{AudioSource, CaptureTime, VideoSource};
use crate::device::DeviceError;
use crate::frame::{Block, Picture, PictureError, PicturePool, SAMPLE_RATE_HZ};

/// Pixels across.
pub const WIDTH: u32 = 640;
/// Pixels down.
pub const HEIGHT: u32 = 360;
/// Pictures per second.
pub const RATE_FPS: u32 = 30;
/// How long the beep and the flash last.
pub const BEEP_US: u64 = 50_000;
/// Pitch of the beep.
pub const BEEP_HZ: f32 = 1_000.0;
const BEEP_LEVEL: f32 = 0.5;
/// Rise and fall of the beep: without them it would click.
const BEEP_RAMP_US: f32 = 2_000.0;
const SECOND_US: u64 = 1_000_000;

/// Side of one square of the time code. A macroblock: flat squares then cost a codec almost nothing.
const SQUARE_PX: usize = 16;
/// Squares in each of the two rows.
const SQUARES_ACROSS: usize = 24;
/// 32 bits of time, 16 bits of checksum.
const BITS: usize = 2 * SQUARES_ACROSS;
const SQUARE_BLACK: u8 = 24;
const SQUARE_WHITE: u8 = 232;
/// A square greyer than this much around the middle is no bit at all: better no time than a wrong one.
const GREY_MARGIN: u32 = 32;

const STRIDE: usize = WIDTH as usize;
const FLASH: Patch = Patch {
    x: 512,
    y: 0,
    width: 128,
    height: 96,
};
const BAND: Patch = Patch {
    x: 0,
    y: 288,
    width: STRIDE,
    height: 48,
};
const BALL_SIDE: usize = 96;

struct Patch {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// The moving card as a camera.
pub struct TestCard {
    background: Picture,
    /// Luma of the band, twice as wide as the card, so that scrolling is copying.
    band: Vec<u8>,
    /// Luma of the ball; 0 is transparent.
    ball: Vec<u8>,
    pool: PicturePool,
}

impl Default for TestCard {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCard {
    /// Draws what does not change.
    #[must_use]
    pub fn new() -> Self {
        Self {
            background: background(),
            band: band(),
            ball: ball(),
            pool: PicturePool::default(),
        }
    }

    /// The card as it looks at `at`.
    ///
    /// # Errors
    /// None that can occur: the card's size is allowed.
    pub fn picture(&mut self, at: CaptureTime) -> Result<Arc<Picture>, PictureError> {
        let Self {
            background,
            band,
            ball,
            pool,
        } = self;
        pool.picture((WIDTH, HEIGHT), |picture| {
            picture.y.copy_from_slice(&background.y);
            picture.u.copy_from_slice(&background.u);
            picture.v.copy_from_slice(&background.v);
            draw_band(&mut picture.y, band, at.elapsed);
            draw_ball(&mut picture.y, ball, at.elapsed);
            if at.clock_us % SECOND_US < BEEP_US {
                fill(&mut picture.y, &FLASH, SQUARE_WHITE);
            }
            draw_time_code(&mut picture.y, time_code(at.clock_us));
            Ok(())
        })
    }
}

impl VideoSource for TestCard {
    fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT)
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(1) / RATE_FPS)
    }

    fn read(&mut self, at: CaptureTime) -> Result<Arc<Picture>, DeviceError> {
        self.picture(at).map_err(|error| DeviceError::Failed {
            what: "camera",
            message: error.to_string(),
        })
    }
}

/// A beep of 1 kHz once a second as a microphone, while the card flashes.
pub struct TestTone;

impl AudioSource for TestTone {
    fn is_device(&self) -> bool {
        false
    }

    fn read(&mut self, at: CaptureTime, block: &mut Block) -> Result<(), DeviceError> {
        let start_us = at.clock_us % SECOND_US;
        for (sample, index) in block.iter_mut().zip(0u64..) {
            let since_us = (start_us + index * SECOND_US / u64::from(SAMPLE_RATE_HZ)) % SECOND_US;
            *sample = if since_us < BEEP_US {
                beep(since_us as f32)
            } else {
                0.0
            };
        }
        Ok(())
    }
}

/// The beep's sample at this time since its start.
fn beep(since_us: f32) -> f32 {
    let to_edge_us = since_us.min(BEEP_US as f32 - since_us);
    let ramp = (to_edge_us / BEEP_RAMP_US).min(1.0);
    BEEP_LEVEL * ramp * (TAU * BEEP_HZ * since_us / SECOND_US as f32).sin()
}

/// What the card shows for a wall clock: its tenths of milliseconds, low 32 bits (they come round every 4.97 days).
#[must_use]
pub fn time_code(clock_us: u64) -> u32 {
    (clock_us / 100) as u32
}

/// Reads the time code of a card of any size, encoded, decoded, scaled; none where the checksum or a square is wrong.
#[must_use]
pub fn read_time_code(picture: &Picture) -> Option<u32> {
    let mut bits = 0u64;
    for index in 0..BITS {
        let mean = square_mean(picture, index % SQUARES_ACROSS, index / SQUARES_ACROSS)?;
        let middle = (u32::from(SQUARE_BLACK) + u32::from(SQUARE_WHITE)) / 2;
        if mean.abs_diff(middle) < GREY_MARGIN {
            return None;
        }
        bits = bits << 1 | u64::from(mean > middle);
    }
    let (time, checksum) = ((bits >> 16) as u32, bits as u16);
    (checksum == crc16(time)).then_some(time)
}

/// Whether the card's patch flashes.
#[must_use]
pub fn flashes(picture: &Picture) -> bool {
    let inner = (
        FLASH.x + 32,
        FLASH.y + 24,
        FLASH.width - 64,
        FLASH.height - 48,
    );
    region_mean(picture, inner).is_some_and(|mean| mean > 128)
}

/// Mean luma of the middle of a square: its edges are smeared by scaling and coding.
fn square_mean(picture: &Picture, column: usize, row: usize) -> Option<u32> {
    let quarter = SQUARE_PX / 4;
    region_mean(
        picture,
        (
            column * SQUARE_PX + quarter,
            row * SQUARE_PX + quarter,
            SQUARE_PX / 2,
            SQUARE_PX / 2,
        ),
    )
}

/// Mean luma of a region given in the card's own pixels; none where the picture is too small to have it.
fn region_mean(
    picture: &Picture,
    (x, y, width, height): (usize, usize, usize, usize),
) -> Option<u32> {
    let (across, down) = (picture.width as usize, picture.height as usize);
    let columns = x * across / STRIDE..((x + width) * across).div_ceil(STRIDE);
    let rows = y * down / HEIGHT as usize..((y + height) * down).div_ceil(HEIGHT as usize);
    let mut sum = 0;
    let mut count = 0;
    for row in rows {
        let line = picture
            .y
            .get(row * across..(row + 1) * across)?
            .get(columns.clone())?;
        sum += line.iter().map(|&luma| u32::from(luma)).sum::<u32>();
        count += line.len() as u32;
    }
    sum.checked_div(count)
}

/// CRC-16/CCITT-FALSE of the four bytes, most significant first: finds every misread of up to three squares, and lets
/// a random pattern pass once in 65,536.
fn crc16(time: u32) -> u16 {
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    };
    time.to_be_bytes().into_iter().fold(0xFFFF, step)
}

fn draw_time_code(luma: &mut [u8], time: u32) {
    let bits = u64::from(time) << 16 | u64::from(crc16(time));
    for index in 0..BITS {
        let patch = Patch {
            x: index % SQUARES_ACROSS * SQUARE_PX,
            y: index / SQUARES_ACROSS * SQUARE_PX,
            width: SQUARE_PX,
            height: SQUARE_PX,
        };
        let set = bits >> (BITS - 1 - index) & 1 == 1;
        fill(luma, &patch, if set { SQUARE_WHITE } else { SQUARE_BLACK });
    }
}

fn draw_band(luma: &mut [u8], band: &[u8], elapsed: Duration) {
    // 60 pixels a second: the pace of a slow pan.
    let shift = (elapsed.as_millis() * 60 / 1000 % STRIDE as u128) as usize;
    for row in 0..BAND.height {
        let from = row * 2 * STRIDE + shift;
        let to = (BAND.y + row) * STRIDE;
        luma[to..to + STRIDE].copy_from_slice(&band[from..from + STRIDE]);
    }
}

fn draw_ball(luma: &mut [u8], ball: &[u8], elapsed: Duration) {
    let time = (elapsed.as_millis() % 1_000_000) as f32 / 1000.0;
    let left = (272.0 + 200.0 * (0.9 * time).sin()) as usize;
    let top = (128.0 + 56.0 * (1.3 * time).sin()) as usize;
    for (row, texels) in ball.chunks_exact(BALL_SIDE).enumerate() {
        let at = (top + row) * STRIDE + left;
        for (pixel, &texel) in luma[at..at + BALL_SIDE].iter_mut().zip(texels) {
            if texel != 0 {
                *pixel = texel;
            }
        }
    }
}

fn fill(luma: &mut [u8], patch: &Patch, value: u8) {
    for row in patch.y..patch.y + patch.height {
        luma[row * STRIDE + patch.x..][..patch.width].fill(value);
    }
}

fn background() -> Picture {
    let mut picture = Picture::grey(WIDTH, HEIGHT, 0).expect("the card's size is allowed");
    for (index, luma) in picture.y.iter_mut().enumerate() {
        let (x, y) = (index % STRIDE, index / STRIDE);
        let slope = 60.0 + 100.0 * x as f32 / WIDTH as f32;
        let waves = 22.0 * (x as f32 * 0.11).sin() * (y as f32 * 0.07).cos();
        let grain = f32::from(noise(index) % 12);
        let checks = if y >= 240 && (x / 8 + y / 8) % 2 == 0 {
            30.0
        } else {
            0.0
        };
        *luma = (slope + waves + grain + checks) as u8;
    }
    fill(&mut picture.y, &FLASH, SQUARE_BLACK);
    let across = STRIDE / 2;
    for (index, (u, v)) in picture.u.iter_mut().zip(&mut picture.v).enumerate() {
        let (x, y) = (index % across, index / across);
        // Eight colour bars in the middle, no colour around the time code and the flash.
        if (50..110).contains(&y) {
            let angle = TAU * (x * 8 / across) as f32 / 8.0;
            (*u, *v) = (
                (128.0 + 50.0 * angle.cos()) as u8,
                (128.0 + 50.0 * angle.sin()) as u8,
            );
        }
    }
    picture
}

/// Blocky marks as of printed text, in a pattern as long as the card is wide.
fn band() -> Vec<u8> {
    let texel = |index: usize| {
        let (x, y) = (index % (2 * STRIDE) % STRIDE, index / (2 * STRIDE));
        if noise(x / 4 + y / 6 * 977).is_multiple_of(3) {
            60
        } else {
            180
        }
    };
    (0..2 * STRIDE * BAND.height).map(texel).collect()
}

fn ball() -> Vec<u8> {
    let texel = |index: usize| {
        let (x, y) = (
            (index % BALL_SIDE) as f32 - 47.5,
            (index / BALL_SIDE) as f32 - 47.5,
        );
        let distance = x.hypot(y);
        if distance > 47.0 {
            return 0;
        }
        let shade = 200.0 - 2.0 * (x - 10.0).hypot(y + 12.0);
        let rings = 25.0 * (distance * 0.5).sin();
        (shade + rings).clamp(20.0, 235.0) as u8
    };
    (0..BALL_SIDE * BALL_SIDE).map(texel).collect()
}

/// The same grain every time.
fn noise(index: usize) -> u8 {
    let mixed = (index as u32).wrapping_mul(2_654_435_761);
    ((mixed ^ mixed >> 13).wrapping_mul(0x5bd1_e995) >> 24) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::BLOCK_SAMPLES;

    fn at(elapsed_ms: u64, clock_us: u64) -> CaptureTime {
        CaptureTime {
            elapsed: Duration::from_millis(elapsed_ms),
            clock_us,
        }
    }

    #[test]
    fn the_time_is_read_back_at_every_moment_and_one_wrong_square_is_noticed() {
        let mut card = TestCard::new();
        for step in 0..100u64 {
            let clock_us = 1_790_000_000_000_000 + step * 33_333;
            let picture = card.picture(at(step * 33, clock_us)).expect("a card");
            assert_eq!(read_time_code(&picture), Some(time_code(clock_us)));
            let mut wrong = Picture::clone(&picture);
            let column = step as usize % SQUARES_ACROSS * SQUARE_PX;
            let value = if wrong.y[column] > 128 {
                SQUARE_BLACK
            } else {
                SQUARE_WHITE
            };
            fill(
                &mut wrong.y,
                &Patch {
                    x: column,
                    y: 0,
                    width: SQUARE_PX,
                    height: SQUARE_PX,
                },
                value,
            );
            assert_eq!(read_time_code(&wrong), None);
        }
        for luma in [0, 16, 128, 235, 255] {
            assert_eq!(
                read_time_code(&Picture::grey(640, 360, luma).expect("allowed")),
                None
            );
        }
    }

    #[test]
    fn flash_and_beep_share_their_instants() {
        let (mut card, mut tone) = (TestCard::new(), TestTone);
        for clock_ms in (0..2_000).step_by(10) {
            let at = at(clock_ms, 7_000_000 + clock_ms * 1_000);
            let mut block = [0.0; BLOCK_SAMPLES];
            tone.read(at, &mut block).expect("a tone");
            let on = clock_ms % 1_000 < 50;
            assert_eq!(
                flashes(&card.picture(at).expect("a card")),
                on,
                "{clock_ms} ms"
            );
            let first_half = block[..480].iter().any(|sample| sample.abs() > 0.1);
            assert_eq!(first_half, on, "{clock_ms} ms");
        }
    }

    #[test]
    fn the_card_moves() {
        let mut card = TestCard::new();
        let first = card.picture(at(0, 0)).expect("a card");
        let second = card.picture(at(33, 0)).expect("a card");
        let changed = first
            .y
            .iter()
            .zip(&second.y)
            .filter(|(one, other)| one.abs_diff(**other) > 8)
            .count();
        assert!(changed > 5_000, "{changed} pixels changed");
    }

    proptest! {
        #[test]
        fn pictures_of_every_size_and_content_are_read_without_panic(width in 8u32..80, height in 8u32..80, seed in any::<u8>()) {
            let mut picture = Picture::grey(width * 2, height * 2, seed).expect("allowed");
            for (index, luma) in picture.y.iter_mut().enumerate() {
                *luma = noise(index + usize::from(seed));
            }
            prop_assert_eq!(read_time_code(&picture), None);
            let _ = flashes(&picture);
        }
    }
}

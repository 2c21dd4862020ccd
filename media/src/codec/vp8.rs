//! VP8 with libvpx: what group calls and the phones of others speak. One layer an encoder, key frames only on demand.

use std::sync::Arc;
use std::time::Instant;

use super::vp8_library::{self, Settings, TICKS_PER_S};
use super::{CodecError, VideoDecoder, VideoEncoder};
use crate::frame::{
    EncodedFrame, FrameKind, Picture, PicturePool, SIDE_PX_MAX, SIDE_PX_MIN, check_size,
};

/// Below this nothing recognisable comes out even at 80x45.
pub const BITRATE_BPS_MIN: u32 = 20_000;
/// Above this 1280x720 gains nothing visible.
pub const BITRATE_BPS_MAX: u32 = 4_000_000;
/// Fastest rate aimed at.
pub const RATE_FPS_MAX: u32 = 60;
/// Finest quantisation, of 0..=63: a finer one would spend whatever the line carries for what no window of cells shows.
const QUANTIZER_MIN: u32 = 18;
/// Coarsest: what browsers use in calls; beyond it, leaving frames out looks better.
const QUANTIZER_MAX: u32 = 56;
/// How much quality is given for speed, 0..=16. At 10 the encoder still has its motion search.
const SPEED: u32 = 10;
/// A key frame may have half of what the library's buffer holds aimed at, in percent of the mean frame and per picture a
/// second; never under three frames' worth. As browsers compute it.
const KEY_FRAME_PERCENT_PER_FPS: u32 = 30;
const KEY_FRAME_PERCENT_MIN: u32 = 300;
/// Largest frame handed on: what a sealed frame of a group call holds. A larger one has no place on the wire.
pub const FRAME_BYTES_MAX_SENDING: usize = hullo_proto::group::media_frame::SEALED_LEN_MAX_SENDING
    - hullo_proto::group::media_frame::OVERHEAD;
/// Largest frame taken: what a sealed frame of a foreign client holds.
const FRAME_BYTES_MAX: usize = hullo_proto::group::media_frame::SEALED_LEN_MAX_RECEIVING;

/// What is in the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A camera's pictures: motion counts.
    Camera,
    /// Text and windows: sharpness counts.
    Screen,
}

/// Pictures to VP8.
pub struct Encoder {
    /// None until the first picture tells the size.
    inner: Option<(vp8_library::Encoder, (u32, u32))>,
    content: Content,
    bitrate_bps: u32,
    rate_fps: u32,
    keyframe_wanted: bool,
    started_at: Option<Instant>,
    /// Time of the last picture: the library's times must grow.
    last_tick: Option<u64>,
}

impl Encoder {
    /// Aims at `bitrate_bps` for pictures coming `rate_fps` times a second; both are brought into their limits.
    #[must_use]
    pub fn new(content: Content, bitrate_bps: u32, rate_fps: u32) -> Self {
        Self {
            inner: None,
            content,
            bitrate_bps: bitrate_bps.clamp(BITRATE_BPS_MIN, BITRATE_BPS_MAX),
            rate_fps: rate_fps.clamp(1, RATE_FPS_MAX),
            keyframe_wanted: false,
            started_at: None,
            last_tick: None,
        }
    }

    /// Expects pictures `rate_fps` times a second from now on.
    pub fn set_rate(&mut self, rate_fps: u32) {
        self.rate_fps = rate_fps.clamp(1, RATE_FPS_MAX);
    }

    /// The bitrate aimed at, in bits per second.
    #[must_use]
    pub fn bitrate_bps(&self) -> u32 {
        self.bitrate_bps
    }

    fn open(&self, size: (u32, u32)) -> Result<vp8_library::Encoder, CodecError> {
        vp8_library::Encoder::open(&Settings {
            size,
            bitrate_bps: self.bitrate_bps,
            quantizers: (QUANTIZER_MIN, QUANTIZER_MAX),
            key_frame_percent_max: (self.rate_fps * KEY_FRAME_PERCENT_PER_FPS)
                .max(KEY_FRAME_PERCENT_MIN),
            speed: SPEED,
            is_screen: self.content == Content::Screen,
        })
        .map_err(failed)
    }

    /// Time of a picture in the library's ticks, always later than the one before.
    fn tick(&mut self, captured_at: Instant) -> u64 {
        let started_at = *self.started_at.get_or_insert(captured_at);
        let since = captured_at.saturating_duration_since(started_at);
        let tick = since.as_micros() * u128::from(TICKS_PER_S) / 1_000_000;
        let tick = u64::try_from(tick).unwrap_or(u64::MAX >> 2);
        let tick = self.last_tick.map_or(tick, |last| tick.max(last + 1));
        self.last_tick = Some(tick);
        tick
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        captured_at: Instant,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        check_size(picture.width, picture.height)?;
        let size = picture.size();
        if self
            .inner
            .as_ref()
            .is_none_or(|(_, opened)| *opened != size)
        {
            self.inner = Some((self.open(size)?, size));
        }
        let tick = self.tick(captured_at);
        let (duration, key_frame) = (TICKS_PER_S / self.rate_fps, self.keyframe_wanted);
        let Some((encoder, _)) = &mut self.inner else {
            unreachable!("set above")
        };
        let planes = [&picture.y[..], &picture.u, &picture.v];
        let encoded = encoder
            .encode(planes, tick, duration, key_frame)
            .map_err(failed)?;
        let Some((data, is_key)) = encoded.filter(|(data, _)| !data.is_empty()) else {
            return Ok(None);
        };
        if data.len() > FRAME_BYTES_MAX_SENDING {
            tracing::debug!(bytes = data.len(), "a frame is too large to be sent");
            // What follows builds on it, and nobody gets it.
            self.keyframe_wanted = true;
            return Ok(None);
        }
        if is_key {
            self.keyframe_wanted = false;
        }
        let kind = if is_key {
            FrameKind::VideoKey
        } else {
            FrameKind::VideoDelta
        };
        Ok(Some(EncodedFrame {
            kind,
            data,
            captured_at,
        }))
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        let bitrate_bps = bitrate_bps.clamp(BITRATE_BPS_MIN, BITRATE_BPS_MAX);
        if bitrate_bps == self.bitrate_bps {
            return;
        }
        self.bitrate_bps = bitrate_bps;
        if let Some((encoder, _)) = &mut self.inner
            && let Err(message) = encoder.set_bitrate(bitrate_bps)
        {
            // The next picture opens a new encoder at the wanted rate: a key frame, but the rate is kept.
            tracing::warn!(
                bitrate_bps,
                message,
                "the encoder refused a bitrate and starts anew"
            );
            self.inner = None;
        }
    }

    fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }
}

fn failed(message: String) -> CodecError {
    CodecError::Library {
        codec: "VP8",
        message,
    }
}

/// VP8 to pictures.
pub struct Decoder {
    inner: vp8_library::Decoder,
    pool: PicturePool,
    /// A key frame was decoded: before one the library would invent pictures.
    begun: bool,
}

impl Decoder {
    /// A decoder that has seen nothing: it needs a key frame first.
    ///
    /// # Errors
    /// The library did not start.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            inner: vp8_library::Decoder::open().map_err(failed)?,
            pool: PicturePool::default(),
            begun: false,
        })
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<Arc<Picture>>, CodecError> {
        let damaged = |message: String| CodecError::Damaged(message);
        if data.is_empty() || data.len() > FRAME_BYTES_MAX {
            return Err(damaged(format!("it has {} bytes", data.len())));
        }
        if is_key_frame(data) {
            // The library would ask the system for whatever memory the header says.
            let (width, height) =
                key_frame_size(data).ok_or_else(|| damaged("its header is none".to_owned()))?;
            let allowed = SIDE_PX_MIN..=SIDE_PX_MAX;
            if !allowed.contains(&width) || !allowed.contains(&height) {
                return Err(damaged(format!(
                    "it says that it has {width}x{height} pixels"
                )));
            }
        } else if !self.begun {
            return Err(damaged("no key frame came before it".to_owned()));
        }
        let Some(decoded) = self.inner.decode(data).map_err(damaged)? else {
            return Ok(None);
        };
        self.begun = true;
        // Our pictures have even sides: the last column or row of an odd one is left out.
        let (width, height) = (decoded.size.0 & !1, decoded.size.1 & !1);
        check_size(width, height)?;
        let planes = decoded.planes;
        let picture = self
            .pool
            .picture::<CodecError>((width, height), |picture| {
                let across = width as usize;
                copy_plane(&mut picture.y, planes[0], across);
                copy_plane(&mut picture.u, planes[1], across / 2);
                copy_plane(&mut picture.v, planes[2], across / 2);
                Ok(())
            })?;
        Ok(Some(picture))
    }
}

/// Copies the visible part of padded rows.
fn copy_plane(to: &mut [u8], (from, stride): (&[u8], usize), width: usize) {
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks(stride)) {
        to.copy_from_slice(&from[..width]);
    }
}

/// Whether a frame stands alone (RFC 6386 section 9.1).
#[must_use]
pub fn is_key_frame(data: &[u8]) -> bool {
    data.first().is_some_and(|first| first & 1 == 0)
}

/// Pixels across and down that a key frame says it has (RFC 6386 section 9.1); `None`: not even a header.
#[must_use]
pub fn key_frame_size(data: &[u8]) -> Option<(u32, u32)> {
    let header: &[u8; 10] = data.first_chunk()?;
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    (is_key_frame(data) && header[3..6] == [0x9d, 0x01, 0x2a])
        .then(|| (side(header[6], header[7]), side(header[8], header[9])))
}

#[cfg(test)]
mod tests;

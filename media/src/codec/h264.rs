//! H.264 with OpenH264: constrained baseline, one slice, one layer, key frames only on demand.

use std::sync::Arc;
use std::time::Instant;

use openh264::encoder::{
    BitRate, Complexity, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, QpRange,
    RateControlMode,
};
use openh264::formats::{YUVSlices, YUVSource};
use openh264::{OpenH264API, Timestamp};

use super::{CodecError, VideoDecoder, VideoEncoder, h264_rate};
use crate::frame::{EncodedFrame, FrameKind, Picture, PicturePool, check_size};

/// Where a call starts at 640x360 and 30 pictures per second: 41 dB for a talking head.
pub const BITRATE_BPS_START: u32 = 600_000;
/// Below this nothing recognisable comes out even at 160x90.
pub const BITRATE_BPS_MIN: u32 = 20_000;
/// Above this 1280x720 gains nothing visible.
pub const BITRATE_BPS_MAX: u32 = 8_000_000;
/// Finest quantisation: 40 dB on a talking head. A finer one would spend whatever the line carries (2.4 Mbit/s instead of
/// 0.45 on the same clip) for one decibel that no window of cells shows.
const QP_MIN: u8 = 24;
/// Coarsest: the standard's.
const QP_MAX: u8 = 51;
/// Fastest rate that the library takes.
pub const RATE_FPS_MAX: u32 = 60;
/// Widest picture that the library encodes.
pub const WIDTH_PX_MAX: u32 = 3_840;
/// Tallest picture that the library encodes at any width.
pub const HEIGHT_PX_MAX: u32 = 2_160;
/// Largest frame taken from the network: an uncompressed 1280x720 picture has 1.4 MB, and no honest frame is near it.
const FRAME_BYTES_MAX: usize = 2 << 20;

/// Pictures to H.264.
pub struct Encoder {
    /// None until the first picture tells the size.
    inner: Option<(openh264::encoder::Encoder, (u32, u32))>,
    bitrate_bps: u32,
    rate_fps: u32,
    keyframe_wanted: bool,
    /// The library's rate control wants times since a start of its own.
    started_at: Option<Instant>,
}

impl Encoder {
    /// Aims at `bitrate_bps` for pictures coming `rate_fps` times a second; both are brought into their limits.
    #[must_use]
    pub fn new(bitrate_bps: u32, rate_fps: u32) -> Self {
        Self {
            inner: None,
            bitrate_bps: bitrate_bps.clamp(BITRATE_BPS_MIN, BITRATE_BPS_MAX),
            rate_fps: rate_fps.clamp(1, RATE_FPS_MAX),
            keyframe_wanted: false,
            started_at: None,
        }
    }

    /// Expects pictures `rate_fps` times a second from now on, so that the bits of a second are shared out rightly.
    pub fn set_rate(&mut self, rate_fps: u32) {
        let rate_fps = rate_fps.clamp(1, RATE_FPS_MAX);
        if rate_fps == self.rate_fps {
            return;
        }
        self.rate_fps = rate_fps;
        if let Some((encoder, _)) = &mut self.inner
            && !h264_rate::set_rate(encoder, rate_fps as f32)
        {
            tracing::debug!(rate_fps, "the encoder keeps its frame rate");
        }
    }

    /// The bitrate aimed at, in bits per second.
    #[must_use]
    pub fn bitrate_bps(&self) -> u32 {
        self.bitrate_bps
    }

    fn open(&self) -> Result<openh264::encoder::Encoder, CodecError> {
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(h264_rate::aim_bps(self.bitrate_bps)))
            .max_frame_rate(FrameRate::from_hz(self.rate_fps as f32))
            .rate_control_mode(RateControlMode::Bitrate)
            .complexity(Complexity::Low)
            // Without it the bitrate cannot be kept, and the library says so on the terminal.
            .skip_frames(true)
            // Every key frame costs as much as ten others: on demand only, also at scene changes.
            .intra_frame_period(IntraFramePeriod::auto())
            .qp(QpRange::new(QP_MIN, QP_MAX))
            .scene_change_detect(false)
            // One slice cannot be shared out; a pool of threads would only cost.
            .num_threads(1);
        openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|error| failed(&error))
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        captured_at: Instant,
    ) -> Result<Option<EncodedFrame>, CodecError> {
        check_size(picture.width, picture.height)?;
        let started_at = *self.started_at.get_or_insert(captured_at);
        let fresh = self
            .inner
            .as_ref()
            .is_none_or(|(_, size)| *size != picture.size());
        if fresh {
            self.inner = Some((self.open()?, picture.size()));
        }
        let Some((encoder, _)) = &mut self.inner else {
            unreachable!("set above")
        };
        if self.keyframe_wanted && !fresh {
            encoder.force_intra_frame();
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        let source = YUVSlices::new(
            (&picture.y, &picture.u, &picture.v),
            (width, height),
            (width, width / 2, width / 2),
        );
        let since = captured_at
            .saturating_duration_since(started_at)
            .as_millis();
        let time = Timestamp::from_millis(u64::try_from(since).unwrap_or(u64::MAX >> 1));
        let stream = encoder
            .encode_at(&source, time)
            .map_err(|error| failed(&error))?;
        let kind = match stream.frame_type() {
            FrameType::IDR | FrameType::I => FrameKind::VideoKey,
            FrameType::P | FrameType::IPMixed => FrameKind::VideoDelta,
            FrameType::Skip | FrameType::Invalid => return Ok(None),
        };
        let data = stream.to_vec();
        if fresh && !h264_rate::leave_headroom(encoder, self.bitrate_bps) {
            tracing::debug!(
                bitrate_bps = self.bitrate_bps,
                "the encoder keeps its first limits"
            );
        }
        if data.is_empty() {
            return Ok(None);
        }
        if kind == FrameKind::VideoKey {
            self.keyframe_wanted = false;
        }
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
        let raised = bitrate_bps > self.bitrate_bps;
        self.bitrate_bps = bitrate_bps;
        if let Some((encoder, _)) = &mut self.inner
            && !h264_rate::set_bitrate(encoder, bitrate_bps, raised)
        {
            // The next picture opens a new encoder at the wanted rate: a key frame, but the rate is kept.
            tracing::warn!(bitrate_bps, "the encoder refused a bitrate and starts anew");
            self.inner = None;
        }
    }

    fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }
}

fn failed(error: &openh264::Error) -> CodecError {
    CodecError::Library {
        codec: "H.264",
        message: error.to_string(),
    }
}

/// H.264 to pictures.
pub struct Decoder {
    inner: openh264::decoder::Decoder,
    pool: PicturePool,
}

impl Decoder {
    /// A decoder that has seen nothing: it needs a key frame first.
    ///
    /// # Errors
    /// The library did not start.
    pub fn new() -> Result<Self, CodecError> {
        let inner = openh264::decoder::Decoder::new().map_err(|error| failed(&error))?;
        Ok(Self {
            inner,
            pool: PicturePool::default(),
        })
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<Arc<Picture>>, CodecError> {
        if data.is_empty() || data.len() > FRAME_BYTES_MAX {
            return Err(CodecError::Damaged(format!("it has {} bytes", data.len())));
        }
        let damaged = |error: openh264::Error| CodecError::Damaged(error.to_string());
        let Some(decoded) = self.inner.decode(data).map_err(damaged)? else {
            return Ok(None);
        };
        let ((width, height), strides) = (decoded.dimensions(), decoded.strides());
        let size = (
            u32::try_from(width).unwrap_or(0),
            u32::try_from(height).unwrap_or(0),
        );
        check_size(size.0, size.1)?;
        let picture = self.pool.picture::<CodecError>(size, |picture| {
            copy_plane(&mut picture.y, decoded.y(), width, strides.0)?;
            copy_plane(&mut picture.u, decoded.u(), width / 2, strides.1)?;
            copy_plane(&mut picture.v, decoded.v(), width / 2, strides.2)
        })?;
        Ok(Some(picture))
    }
}

/// Copies the visible part of padded rows.
fn copy_plane(to: &mut [u8], from: &[u8], width: usize, stride: usize) -> Result<(), CodecError> {
    let rows = to.len() / width;
    if stride < width || from.len() < (rows - 1) * stride + width {
        return Err(CodecError::Damaged(
            "its picture is smaller than it says".to_owned(),
        ));
    }
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks(stride)) {
        to.copy_from_slice(&from[..width]);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

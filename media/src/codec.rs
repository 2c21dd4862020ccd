//! Codecs behind four small traits, so that a pipeline does not know which one it drives.

pub mod h264;
mod h264_rate;
pub mod opus;
pub mod vp8;
mod vp8_library;

use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use crate::frame::{Block, EncodedFrame, Picture, PictureError};

/// Why a codec could not do its work.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The picture's size or planes are not allowed: the caller's or the stream's fault.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The stream is damaged or needs frames that never came: the peer's or the network's fault.
    #[error("a frame cannot be decoded: {0}")]
    Damaged(String),
    /// The library failed to start or to encode.
    #[error("the {codec} library failed: {message}")]
    Library {
        /// Its codec.
        codec: &'static str,
        /// Its words.
        message: String,
    },
}

/// Pictures to frames.
pub trait VideoEncoder: Send {
    /// Encodes a picture captured at `captured_at`; none when it was left out to keep the bitrate. A picture of another
    /// size than the one before starts with a key frame.
    ///
    /// # Errors
    /// The picture is not allowed, or the library failed; the next picture may be tried.
    fn encode(
        &mut self,
        picture: &Picture,
        captured_at: Instant,
    ) -> Result<Option<EncodedFrame>, CodecError>;

    /// Aims at another bitrate from the next picture on, in bits per second; no key frame follows from it.
    fn set_bitrate(&mut self, bitrate_bps: u32);

    /// Makes the next frame a key frame.
    fn request_keyframe(&mut self);
}

/// Frames to pictures.
pub trait VideoDecoder: Send {
    /// Decodes a frame; none when it completes no picture.
    ///
    /// # Errors
    /// [`CodecError::Damaged`]: only a key frame heals it.
    fn decode(&mut self, data: &[u8]) -> Result<Option<Arc<Picture>>, CodecError>;
}

/// Blocks of sound to packets.
pub trait AudioEncoder: Send {
    /// Encodes 20 ms into one packet.
    ///
    /// # Errors
    /// The library failed; the next block may be tried.
    fn encode(&mut self, block: &Block) -> Result<Vec<u8>, CodecError>;

    /// Prepares for this loss, in percent: 0 while the link is clean, as every bit of protection costs clarity.
    fn set_loss(&mut self, percent: u8);
}

/// Packets to sound. Each call appends to `sound` and says how many samples it appended.
pub trait AudioDecoder: Send {
    /// Decodes a packet.
    ///
    /// # Errors
    /// [`CodecError::Damaged`]; nothing was appended.
    fn decode(&mut self, packet: &[u8], sound: &mut Vec<f32>) -> Result<usize, CodecError>;

    /// How many samples a packet holds, without decoding it; none if it is damaged.
    fn duration(&self, packet: &[u8]) -> Option<usize>;

    /// Makes up the sound of a packet that did not come, as long as the one before it.
    fn conceal(&mut self, sound: &mut Vec<f32>) -> usize;

    /// The sound of a lost packet out of the one after it, where that carries a copy; else as [`Self::conceal`].
    fn decode_fec(&mut self, next: &[u8], sound: &mut Vec<f32>) -> usize;
}

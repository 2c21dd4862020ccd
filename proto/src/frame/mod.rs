//! How an encoded frame is sealed end to end, before WebRTC encrypts it once more for the next hop.
//!
//! Each layout has a sealer and an opener of its own. What a sealer hands out is a [`SealedFrame`], and only that can
//! be written to a session: sending plaintext does not type-check.
//!
//! | layout | peer | cipher | replay protection |
//! |---|---|---|---|
//! | [`hullo`] | our own client, one-to-one | XSalsa20-Poly1305 | counter and window |
//! | [`simplex`] | a SimpleX app, one-to-one | AES-256-GCM | none |
//!
//! # Plaintext is not a sealed frame
//!
//! A function that sends takes a sealed frame, and gets one only from a sealer:
//!
//! ```
//! use hullo_proto::frame::{CallSecret, FrameContext, FrameKind, SealedFrame, Sealer};
//!
//! fn send(frame: SealedFrame) -> usize {
//!     frame.as_bytes().len()
//! }
//!
//! let secret = CallSecret::from_bytes([7; 32]).expect("not zero");
//! let context = FrameContext { secret: &secret, call_id: [1; 16], own_public: [2; 32], peer_public: [3; 32] };
//! let encoded: Vec<u8> = vec![0xf8, 0xff, 0xfe];
//! let sealed = Sealer::new(context, "0").seal(FrameKind::Audio, &encoded).expect("short enough");
//! send(sealed);
//! ```
//!
//! The same with the encoded frame in its place does not compile:
//!
//! ```compile_fail,E0308
//! use hullo_proto::frame::{CallSecret, FrameContext, FrameKind, SealedFrame, Sealer};
//!
//! fn send(frame: SealedFrame) -> usize {
//!     frame.as_bytes().len()
//! }
//!
//! let secret = CallSecret::from_bytes([7; 32]).expect("not zero");
//! let context = FrameContext { secret: &secret, call_id: [1; 16], own_public: [2; 32], peer_public: [3; 32] };
//! let encoded: Vec<u8> = vec![0xf8, 0xff, 0xfe];
//! let sealed = Sealer::new(context, "0").seal(FrameKind::Audio, &encoded).expect("short enough");
//! send(encoded);
//! ```

mod h264;
pub mod hullo;
mod secret;
pub mod simplex;
pub mod sound;

pub use h264::PrefixError;
pub use hullo::{FrameContext, OpenError, OpenedFrame, Opener, SealError, Sealer};
pub use secret::{CallSecret, SecretError};
pub use sound::{LossReport, SoundCopy};

/// What an encoded frame holds, as far as sealing must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// One Opus packet.
    Audio,
    /// A picture that needs earlier ones.
    VideoDelta,
    /// A picture that can be decoded alone.
    VideoKey,
}

/// A frame sealed end to end: what may be written to a session.
///
/// Only a sealer of this module makes one; there is no way to turn plaintext bytes into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFrame {
    kind: FrameKind,
    bytes: Vec<u8>,
    samples: Option<u32>,
}

impl SealedFrame {
    /// For the sealers of this crate alone: `bytes` must already be sealed.
    pub(crate) fn new(kind: FrameKind, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            bytes,
            samples: None,
        }
    }

    /// The same frame, of sound that lasts `samples` of 1/48000 s; 20 ms where nothing is said.
    #[must_use]
    pub fn lasting(self, samples: u32) -> Self {
        Self {
            samples: Some(samples),
            ..self
        }
    }

    /// What was said with [`Self::lasting`].
    pub fn samples(&self) -> Option<u32> {
        self.samples
    }

    /// What the frame holds.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The wire form: one whole frame, to be cut into packets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The wire form, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Longest encoded audio frame, in bytes: three of the largest Opus packets (1,275 bytes, RFC 6716 §3.4) with their
/// headers, so that redundant copies fit beside the newest.
pub const AUDIO_FRAME_BYTES_MAX: usize = 4_000;

/// Longest encoded video frame, in bytes: twenty times a 720p keyframe. More is a fault, not a picture.
pub const VIDEO_FRAME_BYTES_MAX: usize = 1 << 20;

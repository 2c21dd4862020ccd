//! The threads between devices and the call: one per stage, each ended and joined by dropping its handle.
//!
//! | thread | waits for | queue behind it, when full |
//! |---|---|---|
//! | `audio-encode` | the microphone, or 20 ms | the call's |
//! | `camera` | the camera, or the clip's next picture | one picture: the newest wins |
//! | `video-encode` | that picture | the call's |
//! | `audio-decode` | the loudspeaker, or 20 ms | – (in front: 64 packets, the oldest goes) |
//! | `video-decode` | a frame | – (in front: 32 frames, then only a key frame goes on) |
//!
//! In a group call [`LayersEncode`], [`PicturesDecode`] and [`AudioMix`] stand where [`VideoEncode`], [`VideoDecode`] and
//! [`AudioDecode`] stand between two people: one encoder for each layer wanted, one decoder for each picture on screen, one
//! jitter buffer for each person, in as many threads as before.

mod audio_decode;
mod audio_encode;
mod audio_mix;
mod capture;
mod fade;
mod freeze;
mod layers_encode;
mod news;
mod packer;
mod pictures_decode;
mod video_decode;
mod video_encode;

use crate::frame::EncodedFrame;

pub use audio_decode::AudioDecode;
pub use audio_encode::AudioEncode;
pub use audio_mix::AudioMix;
pub use freeze::FreezeMeter;
pub use layers_encode::{LayerSink, LayersEncode, Published};
pub use packer::{Packed, Packer};
pub use pictures_decode::{DECODERS_MAX, PictureOf, PicturesDecode};
pub use video_decode::{VideoDecode, VideoDecodeCounters};
pub use video_encode::{VideoEncode, VideoEncodeCounters, VideoLimits};

/// Takes encoded frames to the thread that seals and sends them.
pub trait FrameSink: Send + 'static {
    /// Takes a frame; must not block, and leaves out the oldest sound or everything up to the next key frame when it
    /// cannot keep up.
    fn push(&self, frame: EncodedFrame);
}

impl<F: Fn(EncodedFrame) + Send + 'static> FrameSink for F {
    fn push(&self, frame: EncodedFrame) {
        self(frame);
    }
}

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;

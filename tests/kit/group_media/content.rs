//! What people send in these worlds: frames that say who made them, when and as what, in the shape of Opus and VP8.

use std::time::Duration;

use hullo_media::group_session::{Layer, OwnTrack};
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;

/// Bytes of a sound frame: 32 kbit/s.
const SOUND_BYTES: usize = 80;
const MARK: [u8; 4] = *b"mark";

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Who made it.
    pub(super) by: u32,
    /// From what, as a number.
    track: u8,
    /// Which picture or block of its maker.
    pub(super) number: u32,
    /// Since the world began.
    pub(super) captured_at: Duration,
}

impl Content {
    /// Something captured by `by`.
    #[must_use]
    pub(super) fn new(by: ParticipantId, track: Track, number: u32, captured_at: Duration) -> Self {
        Self {
            by: by.number(),
            track: track as u8,
            number,
            captured_at,
        }
    }

    /// The encoded frame: for pictures with VP8's clear beginning, and as large as their layer's usually are.
    #[must_use]
    pub(super) fn encode(&self, track: OwnTrack, key: Option<(u32, u32)>) -> Vec<u8> {
        let (mut frame, bytes) = match track {
            OwnTrack::Microphone => (Vec::new(), SOUND_BYTES),
            OwnTrack::Camera(layer) => (vp8_header(key), picture_bytes(layer, key.is_some())),
            OwnTrack::Screen => (vp8_header(key), picture_bytes(Layer::High, key.is_some())),
        };
        frame.extend(MARK);
        frame.extend(self.by.to_be_bytes());
        frame.push(self.track);
        frame.extend(self.number.to_be_bytes());
        let us = u64::try_from(self.captured_at.as_micros()).expect("a short world");
        frame.extend(us.to_be_bytes());
        let len = bytes.max(frame.len());
        frame.resize(len, 0x5a);
        frame
    }

    /// Reads an opened frame.
    #[must_use]
    pub(super) fn decode(frame: &[u8], track: Track) -> Option<Self> {
        let header = match (track, frame.first()?) {
            (Track::Microphone, _) => 0,
            (_, first) if first & 1 == 0 => 10,
            _ => 3,
        };
        let rest = frame.get(header..)?.strip_prefix(&MARK)?;
        let (by, rest) = rest.split_first_chunk()?;
        let (&track, rest) = rest.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let us = u64::from_be_bytes(*rest.first_chunk()?);
        Some(Self {
            by: u32::from_be_bytes(*by),
            track,
            number: u32::from_be_bytes(*number),
            captured_at: Duration::from_micros(us),
        })
    }

    /// Whether it was made from this track.
    #[must_use]
    pub(super) fn is_of(&self, track: Track) -> bool {
        self.track == track as u8
    }
}

fn vp8_header(key: Option<(u32, u32)>) -> Vec<u8> {
    let Some((width, height)) = key else {
        return vec![0x31, 0, 0];
    };
    let side = |pixels: u32| {
        u16::try_from(pixels)
            .expect("a small picture")
            .to_le_bytes()
    };
    let (width, height) = (side(width), side(height));
    vec![
        0x30, 0, 0, 0x9d, 0x01, 0x2a, width[0], width[1], height[0], height[1],
    ]
}

/// A fifteenth of a second of a small call.
fn picture_bytes(layer: Layer, key: bool) -> usize {
    let usual = match layer {
        Layer::Low => 180,
        Layer::Middle => 450,
        Layer::High => 1_400,
    };
    if key { usual * 4 } else { usual }
}

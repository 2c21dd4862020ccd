//! The layout of SimpleX: frames towards and from its apps in a one-to-one call.
//!
//! ```text
//! wire = frame[..n] ‖ AES-256-GCM(key = call secret, iv, frame[n..], no associated data) ‖ tag (16) ‖ iv (12)
//! n    = 1 for Opus, 10 for a VP8 key frame, 3 for a VP8 delta frame
//! ```
//!
//! One key for both directions and all tracks, a random IV for each frame, no replay protection, and the first `n`
//! bytes are not authenticated: that is what those apps do, and why our own clients use [`super::hullo`] among
//! themselves.
//!
//! One frame that does not open stops its track in those apps for the rest of the call. So the sealer refuses what it
//! cannot be sure of: a video frame that is not VP8, or not of the kind it is said to be, and a frame with nothing to
//! encrypt, for which the apps disagree on the form.
//!
//! Source: the media encryption of SimpleX's call page, checked against recorded frames of it.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use rand::Rng;
use rand_chacha::ChaCha20Rng;

use super::{AUDIO_FRAME_BYTES_MAX, CallSecret, FrameKind, SealedFrame, VIDEO_FRAME_BYTES_MAX};

/// Seals the frames of all outgoing tracks of a call.
pub struct Sealer {
    cipher: Aes256Gcm,
    rng: ChaCha20Rng,
    sealed_frames: u32,
}

/// Opens the frames of one incoming track.
pub struct Opener {
    cipher: Aes256Gcm,
    is_audio: bool,
}

/// An opened frame. It may be an old one again: this layout has no protection against that.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedFrame {
    /// For video as the clear first byte says (RFC 6386 §9.1), which nobody vouches for.
    pub kind: FrameKind,
    /// The encoded frame.
    pub frame: Vec<u8>,
}

impl fmt::Debug for OpenedFrame {
    /// Leaves the content out: it is what people said and showed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedFrame")
            .field("kind", &self.kind)
            .field("frame_bytes", &self.frame.len())
            .finish()
    }
}

/// Why a frame cannot be sealed: the encoder or the caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Nothing is left to encrypt behind the clear bytes.
    #[error("the encoded frame is too short to be sealed for a SimpleX app")]
    TooShort,
    /// Longer than [`AUDIO_FRAME_BYTES_MAX`] or [`VIDEO_FRAME_BYTES_MAX`].
    #[error("the encoded frame is {0} bytes long, more than a frame may be")]
    TooLong(usize),
    /// Not VP8, or not of the kind it is said to be.
    #[error("the encoded frame is not the VP8 frame that a SimpleX app expects")]
    NotVp8,
    /// Random IVs under one key are safe for 2³² frames (NIST SP 800-38D §8.3): more than a year of video.
    #[error("the call has sent as many frames as one key may seal: hang up and call again")]
    IvsUsedUp,
}

/// Why a frame was not opened: the peer, the network, or someone between is at fault. The call goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than any sealed frame.
    #[error("the sealed frame is too short")]
    TooShort,
    /// Longer than any sealed frame.
    #[error("the sealed frame is too long")]
    TooLong,
    /// Altered, cut, or sealed for another call.
    #[error("the frame is not genuine")]
    NotAuthentic,
}

impl Sealer {
    /// `rng` must be seeded from the system's random source, and for this sealer alone.
    pub fn new(secret: &CallSecret, rng: ChaCha20Rng) -> Self {
        Self {
            cipher: Aes256Gcm::new(secret.as_bytes().into()),
            rng,
            sealed_frames: 0,
        }
    }

    /// Seals one Opus packet or VP8 frame.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&mut self, kind: FrameKind, frame: &[u8]) -> Result<SealedFrame, SealError> {
        if frame.len() > bytes_max(kind == FrameKind::Audio) {
            return Err(SealError::TooLong(frame.len()));
        }
        if frame.len() <= clear_bytes(kind) {
            return Err(SealError::TooShort);
        }
        let is_vp8 = match kind {
            FrameKind::Audio => true,
            FrameKind::VideoDelta => kind_of_vp8(frame[0]) == kind,
            FrameKind::VideoKey => kind_of_vp8(frame[0]) == kind && frame[3..6] == VP8_START_CODE,
        };
        if !is_vp8 {
            return Err(SealError::NotVp8);
        }
        self.sealed_frames = self
            .sealed_frames
            .checked_add(1)
            .ok_or(SealError::IvsUsedUp)?;
        let mut iv = [0; IV_BYTES];
        self.rng.fill_bytes(&mut iv);
        Ok(self.seal_with(kind, frame, iv))
    }

    /// The frame must be longer than its clear bytes.
    fn seal_with(&self, kind: FrameKind, frame: &[u8], iv: [u8; IV_BYTES]) -> SealedFrame {
        let (clear, plain) = frame.split_at(clear_bytes(kind));
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(iv), plain)
            .expect("the cipher takes any length of a frame");
        SealedFrame::new(kind, [clear, &sealed, &iv].concat())
    }
}

impl Opener {
    /// For a sound track.
    pub fn audio(secret: &CallSecret) -> Self {
        Self {
            cipher: Aes256Gcm::new(secret.as_bytes().into()),
            is_audio: true,
        }
    }

    /// For a picture track.
    pub fn video(secret: &CallSecret) -> Self {
        Self {
            cipher: Aes256Gcm::new(secret.as_bytes().into()),
            is_audio: false,
        }
    }

    /// Opens one whole frame as it came out of the session.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, bytes: &[u8]) -> Result<OpenedFrame, OpenError> {
        if bytes.len() > bytes_max(self.is_audio) + TAG_BYTES + IV_BYTES {
            return Err(OpenError::TooLong);
        }
        let first = *bytes.first().ok_or(OpenError::TooShort)?;
        let kind = if self.is_audio {
            FrameKind::Audio
        } else {
            kind_of_vp8(first)
        };
        let (body, iv) = bytes
            .split_last_chunk::<IV_BYTES>()
            .ok_or(OpenError::TooShort)?;
        let (clear, sealed) = body
            .split_at_checked(clear_bytes(kind))
            .ok_or(OpenError::TooShort)?;
        // The web page leaves the tag out when there is nothing to encrypt, the iOS app does not.
        if sealed.is_empty() {
            return Ok(OpenedFrame {
                kind,
                frame: clear.to_vec(),
            });
        }
        if sealed.len() < TAG_BYTES {
            return Err(OpenError::TooShort);
        }
        let plain = self
            .cipher
            .decrypt(&Nonce::from(*iv), sealed)
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok(OpenedFrame {
            kind,
            frame: [clear, &plain].concat(),
        })
    }
}

fn bytes_max(is_audio: bool) -> usize {
    if is_audio {
        AUDIO_FRAME_BYTES_MAX
    } else {
        VIDEO_FRAME_BYTES_MAX
    }
}

fn clear_bytes(kind: FrameKind) -> usize {
    match kind {
        FrameKind::Audio => 1,
        FrameKind::VideoDelta => 3,
        FrameKind::VideoKey => 10,
    }
}

/// The lowest bit of a VP8 frame's first byte is 0 in key frames (RFC 6386 §9.1).
fn kind_of_vp8(first: u8) -> FrameKind {
    if first & 1 == 0 {
        FrameKind::VideoKey
    } else {
        FrameKind::VideoDelta
    }
}

/// Bytes 3 to 5 of a VP8 key frame (RFC 6386 §9.1).
const VP8_START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

const TAG_BYTES: usize = 16;
const IV_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use serde_json::Value;

    use super::*;

    fn bytes(hex: &Value) -> Vec<u8> {
        let hex = hex.as_str().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn kind(vector: &Value) -> FrameKind {
        match vector["kind"].as_str().unwrap() {
            "audio" => FrameKind::Audio,
            "delta" => FrameKind::VideoDelta,
            "key" => FrameKind::VideoKey,
            other => panic!("unknown kind {other}"),
        }
    }

    fn secret(bytes: Vec<u8>) -> CallSecret {
        CallSecret::from_bytes(bytes.try_into().unwrap()).unwrap()
    }

    fn sealer(secret: &CallSecret) -> Sealer {
        Sealer::new(secret, ChaCha20Rng::seed_from_u64(1))
    }

    fn opener(kind: FrameKind, secret: &CallSecret) -> Opener {
        if kind == FrameKind::Audio {
            Opener::audio(secret)
        } else {
            Opener::video(secret)
        }
    }

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../vectors/simplex-frame-vectors.json")).unwrap()
    }

    #[test]
    fn frames_agree_with_an_independent_implementation_and_a_browser() {
        let vectors = vectors();
        let (made, real) = (&vectors["vectors"], &vectors["real"]);
        let mut without_content = 0;
        for vector in made
            .as_array()
            .unwrap()
            .iter()
            .chain(real.as_array().unwrap())
        {
            let secret = match vector["aesKey"].as_str() {
                Some(text) => secret(URL_SAFE.decode(text).unwrap()),
                None => secret(bytes(&vectors["key"])),
            };
            let (kind, plain, wire) = (
                kind(vector),
                bytes(&vector["plain"]),
                bytes(&vector["encrypted"]),
            );
            let opened = opener(kind, &secret).open(&wire).unwrap();
            assert!(
                opened
                    == OpenedFrame {
                        kind,
                        frame: plain.clone()
                    },
                "{}",
                vector["name"]
            );
            if plain.len() == clear_bytes(kind) {
                without_content += 1;
                assert_eq!(sealer(&secret).seal(kind, &plain), Err(SealError::TooShort));
                continue;
            }
            let iv = bytes(&vector["iv"]).try_into().unwrap();
            let sealed = sealer(&secret).seal_with(kind, &plain, iv);
            assert_eq!(sealed.as_bytes(), wire, "{}", vector["name"]);
        }
        assert_eq!(
            (
                made.as_array().unwrap().len(),
                real.as_array().unwrap().len(),
                without_content
            ),
            (9, 13, 2)
        );
    }

    #[test]
    fn damaged_frames_are_refused() {
        let vectors = vectors();
        let secret = secret(bytes(&vectors["key"]));
        let negatives = vectors["negatives"].as_array().unwrap();
        assert_eq!(negatives.len(), 3);
        for vector in negatives {
            let opened = opener(kind(vector), &secret).open(&bytes(&vector["encrypted"]));
            match vector["name"].as_str().unwrap() {
                "tag-mismatch" => assert_eq!(opened, Err(OpenError::NotAuthentic)),
                "too-short" => assert_eq!(opened, Err(OpenError::TooShort)),
                // A whole key frame that was announced as a delta: here the frame itself says what it is.
                "wrong-kind" => assert_eq!(opened.unwrap().kind, FrameKind::VideoKey),
                other => panic!("unknown case {other}"),
            }
        }
    }

    #[test]
    fn the_key_agreement_is_the_raw_x25519_output() {
        use x25519_dalek::{PublicKey, StaticSecret};
        let agreement = &vectors()["keyAgreement"];
        let own =
            |name: &str| StaticSecret::from(<[u8; 32]>::try_from(bytes(&agreement[name])).unwrap());
        let shared = own("alicePriv").diffie_hellman(&PublicKey::from(&own("bobPriv")));
        assert_eq!(
            shared.to_bytes().to_vec(),
            bytes(&agreement["sharedSecret"])
        );
        let der = URL_SAFE
            .decode(agreement["bobCallDhPubKey"].as_str().unwrap())
            .unwrap();
        assert_eq!(der[12..], PublicKey::from(&own("bobPriv")).to_bytes());
    }

    #[test]
    fn what_would_stop_the_other_sides_track_is_not_sealed() {
        let key = [0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1, 7];
        let h264 = [0, 0, 0, 1, 0x65, 0xb8, 1, 2, 3, 4, 5, 6];
        let secret = secret(vec![7; 32]);
        let check = |kind, frame: &[u8], want: Option<SealError>| {
            assert_eq!(sealer(&secret).seal(kind, frame).err(), want);
        };
        check(FrameKind::VideoKey, &key, None);
        check(FrameKind::VideoDelta, &key, Some(SealError::NotVp8));
        check(FrameKind::VideoKey, &[0x11; 20], Some(SealError::NotVp8));
        check(FrameKind::VideoKey, &h264, Some(SealError::NotVp8));
        check(FrameKind::VideoDelta, &h264, Some(SealError::NotVp8));
        check(FrameKind::VideoKey, &key[..10], Some(SealError::TooShort));
        check(FrameKind::Audio, &[0x78], Some(SealError::TooShort));
        check(
            FrameKind::Audio,
            &[0x78; 4_001],
            Some(SealError::TooLong(4_001)),
        );
        let mut last = sealer(&secret);
        last.sealed_frames = u32::MAX;
        assert_eq!(
            last.seal(FrameKind::VideoKey, &key),
            Err(SealError::IvsUsedUp)
        );
    }

    proptest! {
        #[test]
        fn frames_come_back_and_any_change_behind_the_clear_bytes_is_refused(
            frame in prop::collection::vec(any::<u8>(), 2..100),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let secret = secret(vec![7; 32]);
            let mut sealer = sealer(&secret);
            let sealed = sealer.seal(FrameKind::Audio, &frame).unwrap();
            let again = sealer.seal(FrameKind::Audio, &frame).unwrap();
            prop_assert_ne!(&sealed, &again, "a new IV each time");
            let opener = Opener::audio(&secret);
            prop_assert_eq!(opener.open(sealed.as_bytes()).unwrap().frame, frame);
            let mut altered = sealed.into_bytes();
            let at = 1 + at.index(altered.len() - 1);
            altered[at] ^= 1 << bit;
            prop_assert_eq!(opener.open(&altered), Err(OpenError::NotAuthentic));
        }

        #[test]
        fn any_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..60)) {
            let secret = secret(vec![7; 32]);
            for opener in [Opener::audio(&secret), Opener::video(&secret)] {
                // Clear bytes and an IV alone are a frame without content; all else is a forgery.
                if let Ok(opened) = opener.open(&wire) {
                    prop_assert_eq!(opened.frame.len() + IV_BYTES, wire.len());
                }
            }
        }
    }
}

//! The layout of an encrypted media frame (protocol facts, section 2).
//!
//! Applied to a whole encoded frame, before it is cut into packets:
//!
//! ```text
//! unencrypted header (H) || AES-256-GCM ciphertext || tag (16) || footer (6)
//!
//! footer = u8 epoch || u8 ratchet_counter || u32-le MFSN
//! nonce  = u32-le MFSN || 8 zero bytes
//! AAD    = footer || unencrypted header      (footer first, although it is last on the wire)
//! ```
//!
//! H is 0 for Opus, 10 for a VP8 key frame, 3 for another VP8 frame. The text's description of
//! the frame has the two VP8 cases the wrong way round; clients agree on bit 0 = 0 = key frame,
//! as in RFC 6386 section 9.1.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};

use super::key::MediaFrameKey;

/// Bytes a sealed frame is longer than the frame.
pub const OVERHEAD: usize = TAG_LEN + FOOTER_LEN;

/// Bytes of a sealed frame at most on sending: the smallest limit of any known client.
pub const SEALED_LEN_MAX_SENDING: usize = 65_536;

/// Bytes of a sealed frame at most on receiving: what Threema's desktop client may send.
pub const SEALED_LEN_MAX_RECEIVING: usize = 131_072;

const TAG_LEN: usize = 16;
const FOOTER_LEN: usize = 6;

/// A media stream of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// Opus.
    Microphone,
    /// VP8.
    Camera,
    /// VP8, on MID entry \[2\].
    Screen,
}

impl Track {
    /// How its frames are encoded.
    #[must_use]
    pub fn codec(self) -> Codec {
        match self {
            Self::Microphone => Codec::Opus,
            Self::Camera | Self::Screen => Codec::Vp8,
        }
    }
}

/// The two codecs of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Nothing stays clear.
    Opus,
    /// The frame header stays clear.
    Vp8,
}

impl Codec {
    /// Bytes of the unencrypted header, by the first byte of the frame; `None` for an empty VP8 frame.
    fn header_len(self, frame: &[u8]) -> Option<usize> {
        match self {
            Self::Opus => Some(0),
            Self::Vp8 => frame
                .first()
                .map(|first| if first & 1 == 0 { 10 } else { 3 }),
        }
    }
}

/// A frame cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than its codec's header (or than header, tag and footer).
    #[error("a frame is too short ({0} bytes)")]
    TooShort(usize),
    /// Longer than the limit.
    #[error("a frame is too long ({0} bytes)")]
    TooLong(usize),
    /// Sealed under another key, or changed on the way.
    #[error("a frame does not open under its key")]
    Forged,
}

/// The end of a sealed frame: which key, and the number that makes the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Of the sender's media key.
    pub epoch: u8,
    /// Of the sender's media key.
    pub ratchet_counter: u8,
    /// Media frame sequence number (MFSN).
    pub number: u32,
}

impl Footer {
    fn to_bytes(self) -> [u8; FOOTER_LEN] {
        let [a, b, c, d] = self.number.to_le_bytes();
        [self.epoch, self.ratchet_counter, a, b, c, d]
    }

    pub(super) fn nonce(self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.number.to_le_bytes());
        nonce
    }
}

/// A received frame, taken apart but not opened. Nothing in it is authenticated yet.
#[derive(Clone, Copy)]
pub struct Sealed<'a> {
    pub(super) header: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LEN],
    /// The key and number the frame claims.
    pub footer: Footer,
}

impl<'a> Sealed<'a> {
    /// Takes a sealed frame apart.
    ///
    /// # Errors
    /// The sender or the network is wrong: too short or too long.
    pub fn parse(codec: Codec, bytes: &'a [u8]) -> Result<Self, FrameError> {
        if bytes.len() > SEALED_LEN_MAX_RECEIVING {
            return Err(FrameError::TooLong(bytes.len()));
        }
        let too_short = FrameError::TooShort(bytes.len());
        let header_len = codec.header_len(bytes).ok_or(too_short)?;
        let (rest, footer) = bytes.split_last_chunk::<FOOTER_LEN>().ok_or(too_short)?;
        let (rest, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(too_short)?;
        let (header, ciphertext) = rest.split_at_checked(header_len).ok_or(too_short)?;
        let [epoch, ratchet_counter, a, b, c, d] = *footer;
        let number = u32::from_le_bytes([a, b, c, d]);
        Ok(Self {
            header,
            ciphertext,
            tag,
            footer: Footer {
                epoch,
                ratchet_counter,
                number,
            },
        })
    }

    pub(super) fn additional_data(&self) -> [u8; FOOTER_LEN + 10] {
        additional_data(self.footer, self.header)
    }
}

/// One frame of ours as it may leave: only [`MediaSender::seal`](super::media_sender::MediaSender::seal) makes one, so
/// that whoever takes this type cannot be handed plain sound or pictures.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedGroupFrame {
    track: Track,
    bytes: Vec<u8>,
}

impl SealedGroupFrame {
    pub(super) fn new(track: Track, bytes: Vec<u8>) -> Self {
        Self { track, bytes }
    }

    /// What it was captured from.
    #[must_use]
    pub fn track(&self) -> Track {
        self.track
    }

    /// Whether it is a picture that stands alone: VP8's clear first byte says so (RFC 6386 section 9.1).
    #[must_use]
    pub fn is_key_frame(&self) -> bool {
        self.track.codec() == Codec::Vp8 && self.bytes.first().is_some_and(|first| first & 1 == 0)
    }

    /// The bytes for the wire; empty for an Opus frame of silence (DTX).
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::ops::Deref for SealedGroupFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Sealed or not, contents stay out of logs.
impl std::fmt::Debug for SealedGroupFrame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SealedGroupFrame")
            .field("track", &self.track)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// AES-256-GCM under one PCMFK.
pub struct FrameCipher(Aes256Gcm);

impl FrameCipher {
    /// Prepares the cipher for one epoch and ratchet counter.
    #[must_use]
    pub fn new(key: &MediaFrameKey) -> Self {
        Self(Aes256Gcm::new(key.as_bytes().into()))
    }

    /// Seals one encoded frame.
    ///
    /// # Errors
    /// We (or our encoder) are wrong: shorter than the codec's header, or longer than
    /// [`SEALED_LEN_MAX_SENDING`] once sealed.
    pub fn seal(&self, codec: Codec, footer: Footer, frame: &[u8]) -> Result<Vec<u8>, FrameError> {
        let too_short = FrameError::TooShort(frame.len());
        let header_len = codec.header_len(frame).ok_or(too_short)?;
        let header = frame.get(..header_len).ok_or(too_short)?;
        if frame.len() + OVERHEAD > SEALED_LEN_MAX_SENDING {
            return Err(FrameError::TooLong(frame.len()));
        }
        let mut bytes = Vec::with_capacity(frame.len() + OVERHEAD);
        bytes.extend_from_slice(frame);
        let aad = additional_data(footer, header);
        let tag = self
            .0
            .encrypt_inout_detached(
                (&footer.nonce()).into(),
                &aad[..FOOTER_LEN + header_len],
                bytes
                    .get_mut(header_len..)
                    .expect("the header is part of the frame")
                    .into(),
            )
            .expect("frames are far below the cipher's limit of 64 GiB");
        bytes.extend_from_slice(&tag);
        bytes.extend_from_slice(&footer.to_bytes());
        Ok(bytes)
    }

    /// Opens one frame.
    ///
    /// # Errors
    /// The sender or the network is wrong.
    pub fn open(&self, sealed: &Sealed<'_>) -> Result<Vec<u8>, FrameError> {
        let header_len = sealed.header.len();
        let mut frame = Vec::with_capacity(header_len + sealed.ciphertext.len());
        frame.extend_from_slice(sealed.header);
        frame.extend_from_slice(sealed.ciphertext);
        self.0
            .decrypt_inout_detached(
                (&sealed.footer.nonce()).into(),
                &sealed.additional_data()[..FOOTER_LEN + header_len],
                frame
                    .get_mut(header_len..)
                    .expect("the header was just written")
                    .into(),
                sealed.tag.into(),
            )
            .map_err(|_| FrameError::Forged)?;
        Ok(frame)
    }
}

/// Footer, then header; what the header (at most 10 bytes) does not fill is cut by the caller.
fn additional_data(footer: Footer, header: &[u8]) -> [u8; FOOTER_LEN + 10] {
    let mut bytes = [0; FOOTER_LEN + 10];
    bytes[..FOOTER_LEN].copy_from_slice(&footer.to_bytes());
    bytes[FOOTER_LEN..FOOTER_LEN + header.len()].copy_from_slice(header);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cipher() -> FrameCipher {
        FrameCipher::new(&MediaFrameKey::from_bytes([5; 32]))
    }

    const FOOTER: Footer = Footer {
        epoch: 1,
        ratchet_counter: 2,
        number: 3,
    };

    #[test]
    fn frames_below_their_header_are_dropped() {
        for frame in [&[][..], &[0x10; 9], &[0x11; 2]] {
            assert_eq!(
                cipher().seal(Codec::Vp8, FOOTER, frame),
                Err(FrameError::TooShort(frame.len()))
            );
        }
        assert!(cipher().seal(Codec::Vp8, FOOTER, &[0x10; 10]).is_ok());
        assert!(cipher().seal(Codec::Vp8, FOOTER, &[0x11; 3]).is_ok());
    }

    #[test]
    fn frames_above_the_limits_are_dropped() {
        let longest = vec![1; SEALED_LEN_MAX_SENDING - OVERHEAD];
        assert_eq!(
            cipher()
                .seal(Codec::Opus, FOOTER, &longest)
                .map(|bytes| bytes.len()),
            Ok(SEALED_LEN_MAX_SENDING)
        );
        let longer = vec![1; SEALED_LEN_MAX_SENDING - OVERHEAD + 1];
        assert_eq!(
            cipher().seal(Codec::Opus, FOOTER, &longer),
            Err(FrameError::TooLong(longer.len()))
        );
        let received = vec![1; SEALED_LEN_MAX_RECEIVING + 1];
        assert_eq!(
            Sealed::parse(Codec::Opus, &received).err(),
            Some(FrameError::TooLong(received.len()))
        );
        assert!(Sealed::parse(Codec::Opus, &received[1..]).is_ok());
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        for (codec, frame) in [
            (Codec::Opus, vec![7; 20]),
            (Codec::Vp8, vec![0x10; 30]),
            (Codec::Vp8, vec![0x11; 30]),
        ] {
            let sealed = cipher().seal(codec, FOOTER, &frame).expect("valid");
            for position in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[position] ^= 0x10;
                let opened =
                    Sealed::parse(codec, &changed).and_then(|sealed| cipher().open(&sealed));
                assert_eq!(opened, Err(FrameError::Forged), "{codec:?} byte {position}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), vp8: bool) {
            let codec = if vp8 { Codec::Vp8 } else { Codec::Opus };
            let opened = Sealed::parse(codec, &bytes).and_then(|sealed| cipher().open(&sealed));
            prop_assert!(opened.is_err());
        }

        #[test]
        fn what_was_sealed_opens(frame in proptest::collection::vec(any::<u8>(), 10..2_000), epoch: u8, ratchet_counter: u8, number: u32, vp8: bool) {
            let codec = if vp8 { Codec::Vp8 } else { Codec::Opus };
            let footer = Footer { epoch, ratchet_counter, number };
            let bytes = cipher().seal(codec, footer, &frame).expect("long enough");
            let sealed = Sealed::parse(codec, &bytes).expect("own frame");
            prop_assert_eq!(sealed.footer, footer);
            prop_assert_eq!(cipher().open(&sealed), Ok(frame));
        }
    }
}

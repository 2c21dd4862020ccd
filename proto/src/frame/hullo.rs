//! The `hullo` layout: frames between two of our own clients in a one-to-one call.
//!
//! # Key
//!
//! One key per direction and track. `‖` joins bytes; lengths are in bytes.
//!
//! ```text
//! key = BLAKE2b-256(key      = call secret (32),
//!                   personal = "hullo-frame",
//!                   message  = 1 (1) ‖ call id (16) ‖ sender's public key (32) ‖ receiver's public key (32)
//!                              ‖ length of mid (1) ‖ mid)
//! ```
//!
//! The order of the public keys makes it one key per direction, the mid one per track: a frame sent back, or moved to
//! another track, does not open.
//!
//! # Blob
//!
//! ```text
//! nonce  = counter (8, little endian) ‖ zeros (16)
//! sealed = XSalsa20-Poly1305(key, nonce, version = 1 (1) ‖ kind (1) ‖ [prefix hash (16)] ‖ rest)
//!                                        kind: 0 audio, 1 video delta, 2 video key, 3 audio with copies
//! blob   = ciphertext ‖ tag (16) ‖ counter (n, little endian) ‖ n (1)          n = 1..=8, as few as hold the counter
//! ```
//!
//! Counters begin at 0 and grow by one with each frame of a track. The receiver opens each once, within a window of
//! 2,048. The last byte of a blob, `n`, is never zero.
//!
//! # Audio
//!
//! The wire form is the blob; `rest` is the whole Opus packet; there is no prefix hash. Nothing stays clear. Kind 3,
//! whose `rest` also holds copies of earlier packets ([`super::sound`]), is sent only to who said that it reads it.
//!
//! # Video (H.264, Annex B)
//!
//! ```text
//! wire        = prefix ‖ escape(blob)
//! prefix      = the access unit up to and including the NAL header of its first slice (type 1 or 5) and one byte
//!               more, with four-byte start codes, without access unit delimiters and without zero bytes before a
//!               start code
//! prefix hash = BLAKE2b-128(personal = "hullo-prefix", message = prefix)
//! rest        = everything after it, later slices and their start codes included
//! escape      = 03 inserted after 00 00 and before any byte up to 03; zero bytes are counted from the last byte of
//!               the prefix on, so that no start code appears across the seam
//! ```
//!
//! The receiver brings the clear part to the same form before it hashes, because packetizers rewrite start codes and
//! drop delimiters; any other change is refused. Before the first slice only SEI, SPS, PPS and delimiters are allowed,
//! and SPS and PPS only as one pair in this order.
//!
//! # Which of the two
//!
//! A frame that begins with a start code is video. The ciphertext of one audio frame in 16 million does too, so what
//! does not open as video is tried as audio; `kind` is under the tag and must agree with the form it came in.

use std::fmt;

use blake2::Blake2bMac;
use blake2::digest::consts::{U16, U32};
use blake2::digest::{FixedOutput, Update};
use xsalsa20poly1305::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use zeroize::Zeroizing;

use super::h264::{self, PREFIX_BYTES_MAX, PrefixError};
use super::sound::{self, LossReport, SoundCopy};
use super::{AUDIO_FRAME_BYTES_MAX, CallSecret, FrameKind, SealedFrame, VIDEO_FRAME_BYTES_MAX};
use crate::replay::{ReplayError, ReplayWindow};

/// What the keys of a call's frames are derived from, as one side sees it.
#[derive(Clone, Copy)]
pub struct FrameContext<'a> {
    /// The X25519 output both sides share.
    pub secret: &'a CallSecret,
    /// The call's id.
    pub call_id: [u8; 16],
    /// This side's X25519 public key of the call.
    pub own_public: [u8; 32],
    /// The other side's X25519 public key of the call.
    pub peer_public: [u8; 32],
}

/// Seals the frames of one outgoing track. One for each track and call: a second one would use counters again.
pub struct Sealer {
    cipher: XSalsa20Poly1305,
    next_counter: u64,
}

/// Opens the frames of one incoming track, each once.
pub struct Opener {
    cipher: XSalsa20Poly1305,
    window: ReplayWindow,
}

/// An opened frame: genuine, and opened for the first time.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedFrame {
    /// What the sender said the frame holds.
    pub kind: FrameKind,
    /// The sender's number of this frame on this track, from 0; a gap means loss.
    pub counter: u64,
    /// The encoded frame. Audio: the very bytes that were sealed. Video: the same with the clear part in canonical
    /// form, which decodes alike.
    pub frame: Vec<u8>,
    /// Audio: earlier packets that came once more with this one.
    pub copies: Vec<SoundCopy>,
    /// Audio: what the sender misses of our sound, if it says so.
    pub report: Option<LossReport>,
}

impl fmt::Debug for OpenedFrame {
    /// Leaves the content out: it is what people said and showed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedFrame")
            .field("kind", &self.kind)
            .field("counter", &self.counter)
            .field("frame_bytes", &self.frame.len())
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}

/// Why a frame cannot be sealed: the encoder or the caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nothing to seal.
    #[error("the encoded frame is empty")]
    Empty,
    /// Longer than [`AUDIO_FRAME_BYTES_MAX`] or [`VIDEO_FRAME_BYTES_MAX`].
    #[error("the encoded frame is {0} bytes long, more than a frame may be")]
    TooLong(usize),
    /// A video frame that is not an access unit this layout can carry.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// All counters are used: the call must end, since a counter used twice would give the content away.
    #[error("the call has sent as many frames as one key may seal: hang up and call again")]
    CountersUsedUp,
}

/// Why a frame was not opened. The peer, the network, or someone between is at fault; the call goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than any sealed frame.
    #[error("the sealed frame is too short")]
    TooShort,
    /// Longer than any sealed frame.
    #[error("the sealed frame is too long")]
    TooLong,
    /// The counter at the end is not written in the shortest form.
    #[error("the counter of the sealed frame is malformed")]
    Counter,
    /// The clear part is not what a sealer leaves clear.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// Opened before.
    #[error("the frame was opened before")]
    Replayed,
    /// More than 2,048 frames behind the newest.
    #[error("the frame is too old to tell whether it was opened before")]
    TooOld,
    /// Altered, cut, or sealed for another call, direction or track.
    #[error("the frame is not genuine")]
    NotAuthentic,
    /// Genuine, but of a later version of this layout.
    #[error("the frame is of layout version {0}, which is newer than this program: update it")]
    WrongVersion(u8),
    /// Genuine, but of a kind that is unknown or does not belong in this form.
    #[error("the frame is of kind {0}, which does not fit its form")]
    WrongKind(u8),
    /// Genuine, but its clear part was altered on the way.
    #[error("the clear part of the frame was altered on the way")]
    PrefixAltered,
    /// Genuine, but the parts of a sound frame do not add up.
    #[error("the parts of the sound frame do not add up")]
    Sound,
}

impl Sealer {
    /// For the track `mid` towards the peer.
    ///
    /// # Panics
    /// If `mid` is longer than 255 bytes; ours are one digit.
    pub fn new(context: FrameContext<'_>, mid: &str) -> Self {
        let cipher = cipher(&context, &context.own_public, &context.peer_public, mid);
        Self {
            cipher,
            next_counter: 0,
        }
    }

    /// Seals one encoded frame: for audio at most [`AUDIO_FRAME_BYTES_MAX`] bytes, for video one H.264 access unit in
    /// Annex B form of at most [`VIDEO_FRAME_BYTES_MAX`].
    ///
    /// # Errors
    /// See [`SealError`]. No counter is used up by a frame that was refused.
    pub fn seal(&mut self, kind: FrameKind, frame: &[u8]) -> Result<SealedFrame, SealError> {
        if frame.is_empty() {
            return Err(SealError::Empty);
        }
        let bytes_max = match kind {
            FrameKind::Audio => AUDIO_FRAME_BYTES_MAX,
            FrameKind::VideoDelta | FrameKind::VideoKey => VIDEO_FRAME_BYTES_MAX,
        };
        if frame.len() > bytes_max {
            return Err(SealError::TooLong(frame.len()));
        }
        let mut plain = Vec::with_capacity(frame.len() + BLOB_OVERHEAD_MAX);
        plain.extend_from_slice(&[VERSION, kind_code(kind)]);
        let bytes = if kind == FrameKind::Audio {
            plain.extend_from_slice(frame);
            self.seal_blob(plain)?
        } else {
            let h264::Split { prefix, rest } = h264::split(frame)?;
            h264::check_parameter_sets(&prefix)?;
            plain.extend_from_slice(&prefix_hash(&prefix));
            plain.extend_from_slice(rest);
            let blob = self.seal_blob(plain)?;
            let before = prefix
                .last()
                .copied()
                .expect("a prefix ends with a slice's second byte");
            let mut wire = prefix;
            wire.reserve(blob.len() + blob.len() / 64);
            h264::escape(before, &blob, &mut wire);
            wire
        };
        Ok(SealedFrame::new(kind, bytes))
    }

    /// Seals the sound packet `newest` with copies of earlier ones and what we miss of the peer's sound: only for a peer
    /// that reads kind 4. See [`super::sound`].
    ///
    /// # Errors
    /// See [`SealError`]; too long is more than [`AUDIO_FRAME_BYTES_MAX`] in all.
    pub fn seal_sound(
        &mut self,
        newest: &[u8],
        copies: &[SoundCopy],
        report: Option<LossReport>,
    ) -> Result<SealedFrame, SealError> {
        if newest.is_empty() {
            return Err(SealError::Empty);
        }
        let inner = sound::write(newest, copies, report);
        if inner.len() > AUDIO_FRAME_BYTES_MAX {
            return Err(SealError::TooLong(inner.len()));
        }
        let mut plain = Vec::with_capacity(inner.len() + BLOB_OVERHEAD_MAX);
        plain.extend_from_slice(&[VERSION, KIND_SOUND]);
        plain.extend_from_slice(&inner);
        let blob = self.seal_blob(plain)?;
        Ok(SealedFrame::new(FrameKind::Audio, blob))
    }

    fn seal_blob(&mut self, mut plain: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let counter = self.next_counter;
        // The last value stays unused, so that adding one can never wrap.
        self.next_counter = counter.checked_add(1).ok_or(SealError::CountersUsedUp)?;
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(counter).into(), &[], &mut plain)
            .expect("the cipher takes any length of a frame and no associated data");
        plain.extend_from_slice(&tag);
        let counter_bytes = counter_bytes(counter);
        plain.extend_from_slice(&counter.to_le_bytes()[..counter_bytes]);
        plain.push(counter_bytes as u8);
        Ok(plain)
    }
}

impl Opener {
    /// For the track `mid` from the peer.
    ///
    /// # Panics
    /// If `mid` is longer than 255 bytes; ours are one digit.
    pub fn new(context: FrameContext<'_>, mid: &str) -> Self {
        let cipher = cipher(&context, &context.peer_public, &context.own_public, mid);
        Self {
            cipher,
            window: ReplayWindow::new(),
        }
    }

    /// Opens one whole frame as it came out of the session.
    ///
    /// # Errors
    /// See [`OpenError`]. A frame that is not genuine changes nothing here.
    pub fn open(&mut self, bytes: &[u8]) -> Result<OpenedFrame, OpenError> {
        if bytes.len() > WIRE_BYTES_MAX {
            return Err(OpenError::TooLong);
        }
        if !h264::begins_with_start_code(bytes) {
            return self.open_audio(bytes);
        }
        self.open_video(bytes).or_else(|error| match error {
            // Not proven genuine as video, so it may be sound that looks like it.
            OpenError::Prefix(_)
            | OpenError::TooShort
            | OpenError::Counter
            | OpenError::NotAuthentic
            | OpenError::Replayed
            | OpenError::TooOld => self.open_audio(bytes).map_err(|_| error),
            proven => Err(proven),
        })
    }

    fn open_audio(&mut self, bytes: &[u8]) -> Result<OpenedFrame, OpenError> {
        if bytes.len() > AUDIO_FRAME_BYTES_MAX + BLOB_OVERHEAD_MAX {
            return Err(OpenError::TooLong);
        }
        let (counter, plain) = self.open_blob(bytes.to_vec())?;
        let (kind, rest) = kind_and_rest(&plain)?;
        let (frame, copies, report) = match kind {
            KIND_AUDIO | KIND_SOUND if rest.is_empty() => return Err(OpenError::TooShort),
            KIND_AUDIO => (rest.to_vec(), Vec::new(), None),
            KIND_SOUND => sound::parse(rest).ok_or(OpenError::Sound)?,
            _ => return Err(OpenError::WrongKind(kind)),
        };
        self.window.commit(counter);
        Ok(OpenedFrame {
            kind: FrameKind::Audio,
            counter,
            frame,
            copies,
            report,
        })
    }

    fn open_video(&mut self, bytes: &[u8]) -> Result<OpenedFrame, OpenError> {
        let h264::Split { prefix, rest } = h264::split(bytes)?;
        let before = prefix
            .last()
            .copied()
            .expect("a prefix ends with a slice's second byte");
        let (counter, plain) = self.open_blob(h264::unescape(before, rest)?)?;
        let (code, hashed) = kind_and_rest(&plain)?;
        let kind = match kind_of(code) {
            Some(kind @ (FrameKind::VideoDelta | FrameKind::VideoKey)) => kind,
            _ => return Err(OpenError::WrongKind(code)),
        };
        let (hash, rest) = hashed
            .split_at_checked(PREFIX_HASH_BYTES)
            .ok_or(OpenError::TooShort)?;
        if hash != prefix_hash(&prefix) {
            return Err(OpenError::PrefixAltered);
        }
        self.window.commit(counter);
        let mut frame = prefix;
        frame.extend_from_slice(rest);
        Ok(OpenedFrame {
            kind,
            counter,
            frame,
            copies: Vec::new(),
            report: None,
        })
    }

    /// Checks counter and tag. Gives the counter, to be committed once the whole frame is found good (a copy with an
    /// altered clear part must not use up the genuine frame's counter), and the sealed plaintext.
    fn open_blob(&self, mut blob: Vec<u8>) -> Result<(u64, Vec<u8>), OpenError> {
        let counter_length = usize::from(blob.pop().ok_or(OpenError::TooShort)?);
        if !(1..=8).contains(&counter_length) {
            return Err(OpenError::Counter);
        }
        let sealed_length = blob
            .len()
            .checked_sub(counter_length)
            .ok_or(OpenError::TooShort)?;
        let mut counter = [0; 8];
        counter[..counter_length].copy_from_slice(&blob[sealed_length..]);
        let counter = u64::from_le_bytes(counter);
        // The last value is never sealed with, see `seal_blob`.
        if counter_bytes(counter) != counter_length || counter == u64::MAX {
            return Err(OpenError::Counter);
        }
        let plain_length = sealed_length
            .checked_sub(TAG_BYTES)
            .ok_or(OpenError::TooShort)?;
        self.window.check(counter).map_err(|error| match error {
            ReplayError::Replayed => OpenError::Replayed,
            ReplayError::TooOld => OpenError::TooOld,
        })?;
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&blob[plain_length..sealed_length]);
        blob.truncate(plain_length);
        self.cipher
            .decrypt_in_place_detached(&nonce(counter).into(), &[], &mut blob, &tag.into())
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok((counter, blob))
    }
}

fn cipher(
    context: &FrameContext<'_>,
    sender: &[u8; 32],
    receiver: &[u8; 32],
    mid: &str,
) -> XSalsa20Poly1305 {
    let mid_length = u8::try_from(mid.len()).expect("a mid is at most 255 bytes long");
    let mac = Blake2bMac::<U32>::new_with_salt_and_personal(
        Some(context.secret.as_bytes()),
        &[],
        b"hullo-frame",
    )
    .expect("the key is 32 bytes and the personalisation 11 of 16");
    let mut key = Zeroizing::new([0; 32]);
    mac.chain([VERSION])
        .chain(context.call_id)
        .chain(sender)
        .chain(receiver)
        .chain([mid_length])
        .chain(mid)
        .finalize_into((&mut *key).into());
    XSalsa20Poly1305::new((&*key).into())
}

fn prefix_hash(prefix: &[u8]) -> [u8; PREFIX_HASH_BYTES] {
    Blake2bMac::<U16>::new_with_salt_and_personal(None, &[], b"hullo-prefix")
        .expect("the personalisation is 12 of 16 bytes")
        .chain(prefix)
        .finalize_fixed()
        .into()
}

fn nonce(counter: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// How many bytes hold the counter; at least one.
fn counter_bytes(counter: u64) -> usize {
    (8 - counter.leading_zeros() as usize / 8).max(1)
}

/// Splits off version and kind.
fn kind_and_rest(plain: &[u8]) -> Result<(u8, &[u8]), OpenError> {
    match plain {
        [VERSION, kind, rest @ ..] => Ok((*kind, rest)),
        [] | [VERSION] => Err(OpenError::TooShort),
        [version, ..] => Err(OpenError::WrongVersion(*version)),
    }
}

fn kind_code(kind: FrameKind) -> u8 {
    match kind {
        FrameKind::Audio => KIND_AUDIO,
        FrameKind::VideoDelta => 1,
        FrameKind::VideoKey => 2,
    }
}

fn kind_of(code: u8) -> Option<FrameKind> {
    match code {
        KIND_AUDIO => Some(FrameKind::Audio),
        1 => Some(FrameKind::VideoDelta),
        2 => Some(FrameKind::VideoKey),
        _ => None,
    }
}

const VERSION: u8 = 1;
const KIND_AUDIO: u8 = 0;
/// Audio with copies.
/// The test vectors have 3 for a kind that nobody knows.
const KIND_SOUND: u8 = 4;
const TAG_BYTES: usize = 16;
const PREFIX_HASH_BYTES: usize = 16;

/// Version, kind, prefix hash, tag, counter and its length.
const BLOB_OVERHEAD_MAX: usize = 2 + PREFIX_HASH_BYTES + TAG_BYTES + 8 + 1;

/// Longest wire form: a largest frame whose every second byte pair needs escaping, which adds at most a half. More is
/// refused before anything is allocated for it.
const WIRE_BYTES_MAX: usize =
    PREFIX_BYTES_MAX + (VIDEO_FRAME_BYTES_MAX + BLOB_OVERHEAD_MAX) / 2 * 3 + 1;

#[cfg(test)]
mod tests;

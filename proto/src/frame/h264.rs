//! The part of an H.264 access unit that stays clear, and the escaping of what follows it.
//!
//! Packetizers on the way parse Annex B (ITU-T H.264 annex B): they cut at start codes, rewrite three-byte ones to
//! four bytes, drop access unit delimiters, strip zero bytes before a start code, and gather SPS and PPS. So the clear
//! prefix is brought to the one form which they leave alone, and the sealed blob is escaped until it cannot be
//! mistaken for a start code.

/// Longest clear prefix, in bytes: parameter sets take about 30, and SEI messages some dozens.
pub(super) const PREFIX_BYTES_MAX: usize = 4_096;

/// Longest SPS and PPS together, in bytes. Packetizers send both in one aggregation packet (RFC 6184 §5.7.1) and drop
/// them when they do not fit a packet; smaller would refuse no real encoder, larger would pass some that get lost.
const PARAMETER_SETS_BYTES_MAX: usize = 1_000;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;

/// The `forbidden_zero_bit` of a NAL unit header (ITU-T H.264 §7.4.1).
const FORBIDDEN_BIT: u8 = 0x80;
const TYPE_MASK: u8 = 0x1f;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What is wrong with the clear part of a video frame. When sealing, the encoder is at fault; when opening, the peer
/// or whoever altered the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The frame does not begin with a start code.
    #[error("the video frame does not begin with an H.264 start code")]
    NotAnnexB,
    /// There is no NAL unit of type 1 or 5 with at least one byte after its header.
    #[error("the video frame holds no H.264 slice")]
    NoSlice,
    /// A NAL unit before the first slice is empty, or neither SEI (6), SPS (7), PPS (8) nor delimiter (9). Anything
    /// else, data partitions above all, would travel in the clear.
    #[error(
        "the video frame holds an H.264 unit of type {0} before its first slice, which is not allowed"
    )]
    UnexpectedUnit(u8),
    /// The clear prefix is longer than 4,096 bytes.
    #[error("the clear part of the video frame is too long")]
    TooLong,
    /// SPS and PPS are not exactly one directly followed by the other, or longer than 1,000 bytes together. A
    /// packetizer would rearrange or lose them.
    #[error("the H.264 parameter sets are not one SPS directly followed by one PPS")]
    ParameterSets,
    /// The escaping of the sealed part is not the one a sealer writes.
    #[error("the sealed part of the video frame is wrongly escaped")]
    Escaping,
}

/// A frame cut after the first slice's header and one more byte.
pub(super) struct Split<'a> {
    /// Everything before `rest` in canonical form: four-byte start codes, no delimiter, no zero bytes before a start
    /// code. Ends with the slice's NAL header and the byte after it.
    pub(super) prefix: Vec<u8>,
    /// What follows, later slices and their start codes included.
    pub(super) rest: &'a [u8],
}

/// Whether the bytes begin like Annex B: two or more zero bytes and a one.
pub(super) fn begins_with_start_code(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    zeros >= 2 && bytes.get(zeros) == Some(&1)
}

/// Finds the clear prefix.
///
/// # Errors
/// Every [`PrefixError`] but `Escaping` and `ParameterSets`.
pub(super) fn split(frame: &[u8]) -> Result<Split<'_>, PrefixError> {
    if !begins_with_start_code(frame) {
        return Err(PrefixError::NotAnnexB);
    }
    let mut prefix = Vec::new();
    let mut rest = after_start_code(frame);
    while let Some((header, after)) = rest.split_first() {
        let unit_type = header & TYPE_MASK;
        prefix.extend_from_slice(&START_CODE);
        if unit_type == SLICE || unit_type == IDR_SLICE {
            let (second, blob) = after.split_first().ok_or(PrefixError::NoSlice)?;
            // A fragmented unit loses this bit on the way (RFC 6184 §5.8).
            if header & FORBIDDEN_BIT != 0 {
                return Err(PrefixError::UnexpectedUnit(unit_type));
            }
            prefix.extend_from_slice(&[*header, *second]);
            return Ok(Split { prefix, rest: blob });
        }
        let (unit, next) = take_unit(rest);
        match unit_type {
            ACCESS_UNIT_DELIMITER if !unit.is_empty() => {
                prefix.truncate(prefix.len() - START_CODE.len())
            }
            SEI | SPS | PPS if !unit.is_empty() => prefix.extend_from_slice(unit),
            _ => return Err(PrefixError::UnexpectedUnit(unit_type)),
        }
        if prefix.len() > PREFIX_BYTES_MAX {
            return Err(PrefixError::TooLong);
        }
        rest = next;
    }
    Err(PrefixError::NoSlice)
}

/// Refuses parameter sets that would not come out of a packetizer as they went in.
///
/// # Errors
/// [`PrefixError::ParameterSets`].
pub(super) fn check_parameter_sets(prefix: &[u8]) -> Result<(), PrefixError> {
    let mut sets = Vec::new();
    let mut rest = after_start_code(prefix);
    while !rest.is_empty() {
        let (unit, next) = take_unit(rest);
        sets.push((
            unit.first().map_or(0, |header| header & TYPE_MASK),
            unit.len(),
        ));
        rest = next;
    }
    let count = |wanted: u8| {
        sets.iter()
            .filter(|(unit_type, _)| *unit_type == wanted)
            .count()
    };
    match (count(SPS), count(PPS)) {
        (0, 0) => Ok(()),
        (1, 1) => sets
            .windows(2)
            .any(|pair| {
                pair[0].0 == SPS
                    && pair[1].0 == PPS
                    && pair[0].1 + pair[1].1 <= PARAMETER_SETS_BYTES_MAX
            })
            .then_some(())
            .ok_or(PrefixError::ParameterSets),
        _ => Err(PrefixError::ParameterSets),
    }
}

/// Appends `blob` to `wire` with emulation prevention (ITU-T H.264 §7.4.1.1): `03` after two zero bytes and before
/// any byte up to `03`. `before` is the byte already written, which may be the first of the zeros.
pub(super) fn escape(before: u8, blob: &[u8], wire: &mut Vec<u8>) {
    let mut zeros = usize::from(before == 0);
    for &byte in blob {
        if zeros >= 2 && byte <= 3 {
            wire.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        wire.push(byte);
    }
}

/// Undoes [`escape`], and takes only what it writes: otherwise one sealed frame would have many wire forms.
///
/// # Errors
/// [`PrefixError::Escaping`].
pub(super) fn unescape(before: u8, escaped: &[u8]) -> Result<Vec<u8>, PrefixError> {
    let mut blob = Vec::with_capacity(escaped.len());
    let mut zeros = usize::from(before == 0);
    let mut bytes = escaped.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if zeros < 2 || byte > 3 {
            byte
        } else if byte == 3 {
            zeros = 0;
            bytes
                .next()
                .filter(|next| *next <= 3)
                .ok_or(PrefixError::Escaping)?
        } else {
            return Err(PrefixError::Escaping);
        };
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        blob.push(byte);
    }
    Ok(blob)
}

/// What follows the start code at the beginning of `bytes`.
fn after_start_code(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros + 1..).unwrap_or_default()
}

/// The unit at the beginning of `bytes`, without the zero bytes that end it, and what follows the next start code.
fn take_unit(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut zeros = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == 1 && zeros >= 2 {
            return (&bytes[..at - zeros], &bytes[at + 1..]);
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    (&bytes[..bytes.len() - zeros], &[])
}

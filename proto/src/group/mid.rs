//! Which media stream is whose: the MIDs of each participant (protocol facts, section 3).
//!
//! The 6,320 shortest strings over the 79 token characters of RFC 4566, in ASCII order;
//! participant *p* owns entries 8*p* to 8*p* + 7.

use super::id::ParticipantId;

/// The highest participant id: 790 × 8 = 79 + 79² MIDs.
pub const PARTICIPANT_ID_MAX: u16 = 789;

/// The token characters of RFC 4566 section 9, in ASCII order.
pub const ALPHABET: &[u8; 79] =
    b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~";

/// MIDs each participant owns.
pub const PER_PARTICIPANT: usize = 8;

/// A media stream identifier: one or two characters of [`ALPHABET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mid {
    bytes: [u8; 2],
    len: u8,
}

impl Mid {
    /// Entry `index` (below 6,320) of the list.
    fn at(index: usize) -> Self {
        let size = ALPHABET.len();
        if index < size {
            return Self {
                bytes: [ALPHABET[index], 0],
                len: 1,
            };
        }
        let rest = index - size;
        Self {
            bytes: [ALPHABET[rest / size], ALPHABET[rest % size]],
            len: 2,
        }
    }

    /// The characters as they stand in SDP and in the RTP header extension.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("the alphabet is ASCII")
    }

    /// Whether a stack that replaces every other character by `_` (str0m does, on reading) keeps this MID apart.
    #[must_use]
    pub fn is_alphanumeric(&self) -> bool {
        self.as_str()
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
    }
}

/// The MIDs of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mids([Mid; PER_PARTICIPANT]);

impl Mids {
    /// The MIDs that belong to `participant`.
    #[must_use]
    pub fn of(participant: ParticipantId) -> Self {
        let first = participant.number() as usize * PER_PARTICIPANT;
        Self(std::array::from_fn(|entry| Mid::at(first + entry)))
    }

    /// Entry \[0\].
    #[must_use]
    pub fn microphone(&self) -> Mid {
        self.0[0]
    }

    /// Entry \[1\].
    #[must_use]
    pub fn camera(&self) -> Mid {
        self.0[1]
    }

    /// Entry \[2\]: reserved by the text, the screen feed in our own calls (no other client uses one yet).
    #[must_use]
    pub fn screen(&self) -> Mid {
        self.0[2]
    }

    /// Entries \[2\] to \[6\], which the text reserves.
    #[must_use]
    pub fn reserved(&self) -> &[Mid] {
        &self.0[2..7]
    }

    /// Entry \[7\]; stands in SDP only, never on the wire.
    #[must_use]
    pub fn data(&self) -> Mid {
        self.0[7]
    }

    /// Whether microphone, camera and screen all survive a stack that keeps only alphanumeric MIDs.
    #[must_use]
    pub fn survive_alphanumeric(&self) -> bool {
        self.0[..3].iter().all(Mid::is_alphanumeric)
    }
}

/// The ids an SFU built on such a stack can hand out, ascending.
pub fn alphanumeric_ids() -> impl Iterator<Item = ParticipantId> {
    (0..=u32::from(PARTICIPANT_ID_MAX))
        .filter_map(|number| ParticipantId::try_from(number).ok())
        .filter(|&id| Mids::of(id).survive_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_6320_mids_differ() {
        let all: BTreeSet<_> = (0..=u32::from(PARTICIPANT_ID_MAX))
            .flat_map(|id| Mids::of(ParticipantId::try_from(id).expect("in range")).0)
            .map(|mid| mid.as_str().to_owned())
            .collect();
        assert_eq!(all.len(), 6320);
    }

    #[test]
    fn ids_for_our_sfu_keep_three_streams_apart_after_conversion() {
        let convert = |mid: Mid| {
            mid.as_str()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        };
        let ids: Vec<_> = alphanumeric_ids().collect();
        let converted: BTreeSet<_> = ids
            .iter()
            .map(|&id| Mids::of(id))
            .flat_map(|mids| [mids.microphone(), mids.camera(), mids.screen()])
            .map(convert)
            .collect();
        assert_eq!(converted.len(), ids.len() * 3);
        assert!(ids.len() >= 400, "only {} ids", ids.len());
        // 2 is `6 7 8`; 0 is `! # $`.
        assert_eq!(ids[0].number(), 2);
    }
}

//! Names of calls, groups and people, and their ranges.
//!
//! Nothing here proves anything: an [`Identity`] is a name, a [`CallId`] an address.
//! Both are personal enough that `Debug` shows only their beginning.

use std::fmt;

use super::key::{GroupCallKey, KeyError, blake2b};
use super::mid::PARTICIPANT_ID_MAX;

/// The protocol version spoken here.
pub const PROTOCOL_VERSION: u32 = 1;

/// A value is not one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 8 characters of `A`–`Z`, `0`–`9` (the first may also be `*`).
    #[error("an identity has 8 characters from A-Z and 0-9")]
    Identity,
    /// Above [`PARTICIPANT_ID_MAX`].
    #[error("participant id {0} is above 789")]
    ParticipantId(u32),
    /// Not 64 hexadecimal digits.
    #[error("a call id in an address has 64 hexadecimal digits")]
    CallId,
}

/// A participant's number within one call, `0..=789`; given by the SFU, never reused within a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(u16);

impl ParticipantId {
    /// The number as it stands in messages.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<u32> for ParticipantId {
    type Error = IdError;

    fn try_from(number: u32) -> Result<Self, IdError> {
        u16::try_from(number)
            .ok()
            .filter(|&id| id <= PARTICIPANT_ID_MAX)
            .map(Self)
            .ok_or(IdError::ParticipantId(number))
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A person's name on the wire: 8 ASCII characters. A name, not a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 8]);

impl Identity {
    /// The 8 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructor admits ASCII only")
    }

    /// The 8 bytes as they enter the call id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Identity {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| IdError::Identity)?;
        let [first, rest @ ..] = &bytes;
        let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if (plain(first) || *first == b'*') && rest.iter().all(plain) {
            Ok(Self(bytes))
        } else {
            Err(IdError::Identity)
        }
    }
}

impl TryFrom<&str> for Identity {
    type Error = IdError;

    fn try_from(text: &str) -> Result<Self, IdError> {
        text.as_bytes().try_into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}…)", &self.as_str()[..2])
    }
}

/// Which group: its creator and the creator's number for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId {
    /// Who made the group.
    pub creator: Identity,
    /// 8 bytes as on the wire (little-endian where held as a number).
    pub id: [u8; 8],
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupId({:02x}…)", self.id[0])
    }
}

/// Which call: 32 bytes that everyone who holds the start message derives alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId([u8; 32]);

impl CallId {
    /// Derives the id of a call scoped to a group.
    ///
    /// ```text
    /// group-call-id = BLAKE2b(
    ///   out-length=32, salt='i', personal='3ma-call',
    ///   input=group-creator-identity || group-id || u8(protocol_version) || gck || utf8(sfu_base_url))
    /// ```
    ///
    /// `sfu_base_url` is taken byte for byte as received; any clean-up would give another call.
    ///
    /// # Errors
    /// The sender of the start message is wrong: `protocol_version` is above 255.
    pub fn derive(
        group: &GroupId,
        protocol_version: u32,
        key: &GroupCallKey,
        sfu_base_url: &str,
    ) -> Result<Self, KeyError> {
        let version = u8::try_from(protocol_version).map_err(|_| KeyError::Version)?;
        let hash = blake2b(
            None,
            b"i",
            &[
                group.creator.as_bytes(),
                &group.id,
                &[version],
                key.as_bytes(),
                sfu_base_url.as_bytes(),
            ],
        );
        Ok(Self(*hash))
    }

    /// Takes an id as it stands in messages.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, as in addresses.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads the id out of an address; upper case is taken too.
    ///
    /// # Errors
    /// The client is wrong: not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(IdError::CallId);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| IdError::CallId)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| IdError::CallId)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({}…)", &self.to_hex()[..6])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participant_ids_end_at_789() {
        assert_eq!(
            ParticipantId::try_from(789).map(ParticipantId::number),
            Ok(789)
        );
        assert_eq!(
            ParticipantId::try_from(790),
            Err(IdError::ParticipantId(790))
        );
        assert_eq!(
            ParticipantId::try_from(65_536),
            Err(IdError::ParticipantId(65_536))
        );
    }

    #[test]
    fn identities_have_8_plain_characters() {
        for good in ["ABCD1234", "*SUPPORT", "22222222"] {
            assert_eq!(
                Identity::try_from(good).map(|id| id.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "ABCD123",
            "ABCD12345",
            "abcd1234",
            "ABCD*234",
            "ÄBCD123",
        ] {
            assert_eq!(Identity::try_from(bad), Err(IdError::Identity), "{bad}");
        }
    }

    #[test]
    fn hex_reads_back_and_refuses_the_rest() {
        let id = CallId::from_bytes([0xa7; 32]);
        assert_eq!(CallId::from_hex(&id.to_hex()), Ok(id));
        for bad in [
            "",
            "a7",
            &"g7".repeat(32),
            &"a7".repeat(33),
            &"é".repeat(32),
        ] {
            assert_eq!(CallId::from_hex(bad), Err(IdError::CallId));
        }
    }

    #[test]
    fn debug_shows_no_full_id() {
        let identity = Identity::try_from("ABCD1234").expect("valid");
        let text = format!("{:?} {:?}", identity, CallId::from_bytes([0xa7; 32]));
        assert!(
            !text.contains("ABCD1234") && !text.contains(&"a7".repeat(8)),
            "{text}"
        );
    }
}

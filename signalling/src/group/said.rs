//! What members say to one another inside the ratchet, and what creator and invited say over the contact channel.
//!
//! ```text
//! between members  = group tag 32 ‖ sequence 8 ‖ kind 1 ‖ body
//! between contacts = kind 1 ‖ group id 8 ‖ body             (the inviting contact is the creator)
//! ```

use zeroize::Zeroizing;

use super::record::GroupKey;
use crate::bytes::{Bytes, write_text};
use crate::link::{read_server, write_server};
use crate::name;
use crate::server_url::ServerUrl;

/// From one member to another.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: turns a ratchet that was one-way.
    Hello,
    /// The creator's newest list, whoever passes it on.
    Record(Zeroizing<Vec<u8>>),
    /// To the creator: a new statement of the sender.
    Statement(Zeroizing<Vec<u8>>),
    /// The sender is no longer in the group; the number of its newest statement.
    Leave { number: u64 },
    /// From the creator: the reader is out since this revision; `ended`: and so is everybody.
    Removed { revision: u64, ended: bool },
    /// A call runs; `revision` is that of the sender's record.
    CallStart {
        revision: u64,
        start: Zeroizing<Vec<u8>>,
    },
    /// A kind this version does not know; to be ignored.
    Unknown,
}

impl Said {
    pub(crate) fn write(&self, group: &GroupKey, sequence: u64) -> Zeroizing<Vec<u8>> {
        let mut bytes = group.tag().to_vec();
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.push(match self {
            Self::Hello => 1,
            Self::Record(_) => 2,
            Self::Statement(_) => 3,
            Self::Leave { .. } => 4,
            Self::Removed { .. } => 5,
            Self::CallStart { .. } => 6,
            Self::Unknown => 0,
        });
        match self {
            Self::Hello | Self::Unknown => {}
            Self::Leave { number } => bytes.extend_from_slice(&number.to_be_bytes()),
            Self::Record(body) | Self::Statement(body) => bytes.extend_from_slice(body),
            Self::Removed { revision, ended } => {
                bytes.extend_from_slice(&revision.to_be_bytes());
                bytes.push(u8::from(*ended));
            }
            Self::CallStart { revision, start } => {
                bytes.extend_from_slice(&revision.to_be_bytes());
                bytes.extend_from_slice(start);
            }
        }
        Zeroizing::new(bytes)
    }

    /// The group's tag, the sender's sequence number, and what was said.
    pub(crate) fn read(bytes: &[u8]) -> Option<([u8; 32], u64, Self)> {
        let mut bytes = Bytes(bytes);
        let (tag, sequence) = (bytes.array()?, bytes.u64()?);
        let kind = bytes.u8()?;
        let all = |bytes: Bytes<'_>| Zeroizing::new(bytes.0.to_vec());
        let said = match kind {
            1 => Self::Hello,
            2 => Self::Record(all(bytes)),
            3 => Self::Statement(all(bytes)),
            4 => Self::Leave {
                number: bytes.u64()?,
            },
            5 => Self::Removed {
                revision: bytes.u64()?,
                ended: bytes.u8()? != 0,
            },
            6 => Self::CallStart {
                revision: bytes.u64()?,
                start: all(bytes),
            },
            _ => Self::Unknown,
        };
        Some((tag, sequence, said))
    }
}

/// From one contact to another, about a group.
#[derive(Clone)]
pub(crate) struct ContactSaid {
    pub(crate) id: [u8; 8],
    pub(crate) what: ContactWord,
}

/// What a contact says about a group.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ContactWord {
    /// The sender made the group and wants the reader in it.
    Invitation {
        /// Of the sender's record.
        revision: u64,
        name: String,
        server: ServerUrl,
    },
    /// The reader's group; the sender's statement.
    Accepted(Zeroizing<Vec<u8>>),
    /// The sender's group; the invitation no longer stands.
    Withdrawn,
    /// The reader's group; the sender cannot come in.
    Declined,
    /// A kind this version does not know; to be ignored.
    Unknown,
}

impl ContactSaid {
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = vec![match self.what {
            ContactWord::Invitation { .. } => 1,
            ContactWord::Accepted(_) => 2,
            ContactWord::Withdrawn => 3,
            ContactWord::Declined => 4,
            ContactWord::Unknown => 0,
        }];
        bytes.extend_from_slice(&self.id);
        match &self.what {
            ContactWord::Invitation {
                revision,
                name,
                server,
            } => {
                bytes.extend_from_slice(&revision.to_be_bytes());
                write_text(&mut bytes, name);
                write_server(&mut bytes, server);
            }
            ContactWord::Accepted(statement) => bytes.extend_from_slice(statement),
            ContactWord::Withdrawn | ContactWord::Declined | ContactWord::Unknown => {}
        }
        Zeroizing::new(bytes)
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let (kind, id) = (bytes.u8()?, bytes.array()?);
        let what = match kind {
            1 => ContactWord::Invitation {
                revision: bytes.u64()?,
                name: name::clean(bytes.text()?)?,
                server: read_server(&mut bytes)?,
            },
            2 => ContactWord::Accepted(Zeroizing::new(bytes.0.to_vec())),
            3 => ContactWord::Withdrawn,
            4 => ContactWord::Declined,
            _ => ContactWord::Unknown,
        };
        Some(Self { id, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::person;
    use super::*;

    /// One of each kind: what is said holds keys, so it cannot be printed and is made inside the test.
    fn said(kind: u8, number: u64, bytes: &[u8]) -> Said {
        let bytes = Zeroizing::new(bytes.to_vec());
        match kind {
            0 => Said::Hello,
            1 => Said::Record(bytes),
            2 => Said::Statement(bytes),
            3 => Said::Leave { number },
            4 => Said::Removed {
                revision: number,
                ended: number.is_multiple_of(2),
            },
            5 => Said::CallStart {
                revision: number,
                start: bytes,
            },
            _ => Said::Unknown,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_said_is_heard(sequence in any::<u64>(), kind in 0u8..7, number in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 0..60), id in any::<[u8; 8]>()) {
            let said = said(kind, number, &bytes);
            let group = GroupKey { creator: *person(1).key_set(), id };
            let (tag, number, heard) = Said::read(&said.write(&group, sequence)).expect("whole");
            prop_assert!(tag == group.tag() && number == sequence && heard == said);
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..7) {
            let _ = Said::read(&bytes);
            let _ = ContactSaid::read(&bytes);
            let kind = [&[kind][..], &bytes].concat();
            if let Some(read) = ContactSaid::read(&kind) {
                let again = ContactSaid::read(&read.write()).expect("whole");
                prop_assert!(again.id == read.id && again.what == read.what);
            }
        }
    }
}

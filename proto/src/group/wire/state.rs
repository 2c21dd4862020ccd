//! What describes a call from outside: the start message and the peekable state.

use std::collections::BTreeMap;

use rand_chacha::rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::raw::call_state::{self as raw_state, participant};
use super::raw::{CallState as RawCallState, GroupCallStart};
use super::{BODY_LEN_MAX, Name, WireError, decode, encode, padding};
use crate::group::id::{GroupId, Identity, ParticipantId};
use crate::group::key::GroupCallKey;
use crate::group::mid::PARTICIPANT_ID_MAX;

/// Bytes of an SFU base URL at most; longer ones are no addresses.
pub(super) const SFU_BASE_URL_LEN_MAX: usize = 2_048;

/// Who somebody in the call says to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantName {
    /// A member, with the nickname.
    Normal(Identity, Name),
    /// A guest, with the self-assigned name.
    Guest(Name),
}

/// The call as its designated participant saw it. Can be out of date, and replayed by the SFU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallState {
    /// Who wrote it.
    pub created_by: ParticipantId,
    /// When, in milliseconds since 1970 by the writer's clock; some clients use other units, so never rely on it.
    pub created_at_ms: u64,
    /// Everyone in the call.
    pub participants: BTreeMap<ParticipantId, ParticipantName>,
}

impl CallState {
    /// Reads an opened call state. Entries of unknown kind are left out.
    ///
    /// # Errors
    /// The writer is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: RawCallState = decode(bytes, BODY_LEN_MAX)?;
        if raw.participants.len() > usize::from(PARTICIPANT_ID_MAX) + 1 {
            return Err(WireError::Invalid("participants"));
        }
        let mut participants = BTreeMap::new();
        for (id, entry) in raw.participants {
            let name = match entry.participant {
                None => continue,
                Some(participant::Participant::Threema(normal)) => ParticipantName::Normal(
                    normal.identity.as_str().try_into()?,
                    Name::new(&normal.nickname),
                ),
                Some(participant::Participant::Guest(guest)) => {
                    ParticipantName::Guest(Name::new(&guest.name))
                }
            };
            participants.insert(id.try_into()?, name);
        }
        Ok(Self {
            created_by: raw.state_created_by.try_into()?,
            created_at_ms: raw.state_created_at,
            participants,
        })
    }

    /// Writes the state with random padding.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        let entry = |name: &ParticipantName| raw_state::Participant {
            participant: Some(match name {
                ParticipantName::Normal(identity, nickname) => {
                    participant::Participant::Threema(participant::Normal {
                        identity: identity.as_str().to_owned(),
                        nickname: nickname.as_str().to_owned(),
                    })
                }
                ParticipantName::Guest(name) => {
                    participant::Participant::Guest(participant::Guest {
                        name: name.as_str().to_owned(),
                    })
                }
            }),
        };
        encode(&RawCallState {
            padding: padding(rng),
            state_created_by: self.created_by.number(),
            state_created_at: self.created_at_ms,
            participants: self
                .participants
                .iter()
                .map(|(id, name)| (id.number(), entry(name)))
                .collect(),
        })
    }
}

/// Announces a call to the members of a group (`GroupCallStart`; message type 0x4f).
#[derive(Clone)]
pub struct StartMessage {
    /// The version the call speaks; calls of unsupported versions are kept, too.
    pub protocol_version: u32,
    /// GCK.
    pub key: GroupCallKey,
    /// Exactly as received: the call id depends on every byte.
    pub sfu_base_url: String,
}

impl StartMessage {
    /// Reads `creator identity (8) || group id (8) || message`.
    ///
    /// # Errors
    /// The sender is wrong.
    pub fn decode(bytes: &[u8]) -> Result<(GroupId, Self), WireError> {
        let (creator, rest) = bytes
            .split_at_checked(8)
            .ok_or(WireError::Missing("creator"))?;
        let (id, message) = rest
            .split_first_chunk::<8>()
            .ok_or(WireError::Missing("group id"))?;
        let group = GroupId {
            creator: creator.try_into()?,
            id: *id,
        };
        Ok((group, Self::decode_message(message)?))
    }

    fn decode_message(bytes: &[u8]) -> Result<Self, WireError> {
        let mut raw: GroupCallStart = decode(bytes, BODY_LEN_MAX)?;
        if raw.sfu_base_url.len() > SFU_BASE_URL_LEN_MAX {
            return Err(WireError::Invalid("sfu_base_url"));
        }
        Ok(Self {
            protocol_version: raw.protocol_version,
            key: GroupCallKey::from_slice(&raw.gck)?,
            sfu_base_url: std::mem::take(&mut raw.sfu_base_url),
        })
    }

    /// Writes `creator identity (8) || group id (8) || message`.
    #[must_use]
    pub fn encode(&self, group: &GroupId) -> Zeroizing<Vec<u8>> {
        let message = encode(&GroupCallStart {
            protocol_version: self.protocol_version,
            gck: self.key.as_bytes().to_vec(),
            sfu_base_url: self.sfu_base_url.clone(),
        });
        let mut bytes = Vec::with_capacity(16 + message.len());
        bytes.extend_from_slice(group.creator.as_bytes());
        bytes.extend_from_slice(&group.id);
        bytes.extend_from_slice(&message);
        Zeroizing::new(bytes)
    }
}

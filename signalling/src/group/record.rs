//! The group record and the statements in it.
//!
//! | bytes of a record | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 160 | key set of the creator |
//! | 8 | group id |
//! | 8 | revision: only rises |
//! | 8 | revision in which somebody last left or was removed; 0: never |
//! | 1 + n | name |
//! | 1 + n, 2, 32 | server of the group's calls |
//! | 1 | number of statements, 1 to 32 |
//! | … | the statements, the creator's among them |
//! | 64 | Ed25519 of the creator over `hullo-group-record-v1` and all before |
//!
//! | bytes of a statement | field |
//! |---|---|
//! | 8 | number: only rises |
//! | 160 | key set of the member |
//! | 1 + n | name |
//! | 1 + n, 2, 32 | relay of the inbox |
//! | 24, 32, 32 | the inbox: sender id, seed of the key that writes, seal key |
//! | 32 | Curve25519 key that starts ratchets |
//! | 64 | Ed25519 of the member over `hullo-group-statement-v1`, group id, the creator's key set, and all before |
//!
//! A record is secret among the members: whoever holds it can write to their inboxes.

use hullo_proto::service::relay::SenderId;
use thiserror::Error;
use vodozemac::{Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature};
use zeroize::Zeroizing;

use super::MEMBERS_MAX;
use crate::block::SealKey;
use crate::bytes::{Bytes, write_text};
use crate::hash::hash;
use crate::identity::{Identity, KEY_SET_BYTES, KeySet};
use crate::link::{read_server, write_server};
use crate::name;
use crate::server_url::ServerUrl;

/// Longest record: what one block holds beside ratchet and headers.
pub(crate) const RECORD_BYTES_MAX: usize = 15_900;
/// Longest statement, with the longest name and host.
pub(crate) const STATEMENT_BYTES_MAX: usize =
    8 + KEY_SET_BYTES + 65 + (1 + 253 + 2 + 32) + 24 + 32 + 32 + 32 + 64;

const VERSION: u8 = 1;
const RECORD_DOMAIN: &[u8] = b"hullo-group-record-v1";
const STATEMENT_DOMAIN: &[u8] = b"hullo-group-statement-v1";

/// Which group: what nobody else's group shares.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub(crate) creator: KeySet,
    pub(crate) id: [u8; 8],
}

impl GroupKey {
    /// Names the group inside sealed messages, so that none of one group passes for one of another.
    pub(crate) fn tag(&self) -> [u8; 32] {
        hash(
            b"hullo-group",
            &[&self.creator.to_bytes()[..], &self.id].concat(),
        )
    }
}

/// Where to write to a member. Secret among the members.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) server: ServerUrl,
    pub(crate) sender: SenderId,
    /// Seed of the Ed25519 key that writes to it.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) seal_key: SealKey,
}

/// What a member says of itself, its signature verified.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) number: u64,
    pub(crate) key_set: KeySet,
    pub(crate) name: String,
    pub(crate) inbox: Inbox,
    pub(crate) first_key: Curve25519PublicKey,
    /// As signed.
    bytes: Zeroizing<Vec<u8>>,
}

/// A creator's list, all its signatures verified.
pub(crate) struct Record {
    pub(crate) revision: u64,
    /// In which revision somebody last went.
    pub(crate) removal: u64,
    pub(crate) name: String,
    pub(crate) server: ServerUrl,
    pub(crate) members: Vec<Statement>,
}

/// Why bytes are no record: the fault of who signed or sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum RecordError {
    /// Made by a later Hullo.
    #[error("it was written by a newer Hullo: update this one")]
    Newer,
    /// Not built like one.
    #[error("it is damaged")]
    Layout,
    /// Not signed by the creator.
    #[error("the creator did not sign it")]
    Creator,
    /// A member's statement is not signed by that member.
    #[error("it speaks for a member who never said so")]
    Member,
    /// One key set, one key or one id twice.
    #[error("it lists one key or id for two people")]
    Twice,
}

impl Statement {
    /// What we say of ourselves, signed.
    pub(crate) fn new(
        identity: &Identity,
        group: &GroupKey,
        number: u64,
        name: &str,
        inbox: Inbox,
        first_key: Curve25519PublicKey,
    ) -> Self {
        let key_set = *identity.key_set();
        let mut bytes = Vec::with_capacity(STATEMENT_BYTES_MAX);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&key_set.to_bytes());
        write_text(&mut bytes, name);
        write_server(&mut bytes, &inbox.server);
        bytes.extend_from_slice(&inbox.sender.0);
        bytes.extend_from_slice(&*inbox.secret);
        bytes.extend_from_slice(inbox.seal_key.as_bytes());
        bytes.extend_from_slice(first_key.as_bytes());
        let signed = Zeroizing::new(statement_message(group, &bytes));
        let signature = identity.account().sign(&*signed);
        bytes.extend_from_slice(&signature.to_bytes());
        Self {
            number,
            key_set,
            name: name.to_owned(),
            inbox,
            first_key,
            bytes: Zeroizing::new(bytes),
        }
    }

    /// As signed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads and verifies one that stands alone.
    pub(crate) fn from_bytes(group: &GroupKey, bytes: &[u8]) -> Result<Self, RecordError> {
        let mut rest = Bytes(bytes);
        let statement = Self::read(group, &mut rest)?;
        if rest.0.is_empty() {
            Ok(statement)
        } else {
            Err(RecordError::Layout)
        }
    }

    fn read(group: &GroupKey, bytes: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let before = bytes.0;
        let verify = |keys: [u8; KEY_SET_BYTES]| KeySet::from_bytes(&keys).ok();
        let mut statement = Self::parse(bytes, verify).ok_or(RecordError::Layout)?;
        let unsigned = &before[..before.len() - bytes.0.len()];
        let signature: [u8; 64] = bytes.array().ok_or(RecordError::Layout)?;
        let message = Zeroizing::new(statement_message(group, unsigned));
        if !is_signed(&statement.key_set, &message, &signature) {
            return Err(RecordError::Member);
        }
        statement.bytes = Zeroizing::new([unsigned, &signature].concat());
        Ok(statement)
    }

    /// One that was verified before it was stored.
    pub(crate) fn from_store(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let mut statement = Self::parse(&mut Bytes(&bytes), |keys| Some(KeySet::from_store(keys)))?;
        statement.bytes = bytes;
        Some(statement)
    }

    fn parse(
        bytes: &mut Bytes<'_>,
        key_set: impl Fn([u8; KEY_SET_BYTES]) -> Option<KeySet>,
    ) -> Option<Self> {
        Some(Self {
            number: bytes.u64()?,
            key_set: key_set(bytes.array()?)?,
            name: clean_name(bytes)?,
            inbox: Inbox {
                server: read_server(bytes)?,
                sender: SenderId(bytes.array()?),
                secret: Zeroizing::new(bytes.array()?),
                seal_key: SealKey::new(bytes.array()?),
            },
            first_key: Curve25519PublicKey::from_bytes(bytes.array()?),
            bytes: Zeroizing::default(),
        })
    }
}

impl Record {
    /// The bytes that go to members, signed. `None`: too long for one block.
    pub(crate) fn write(
        &self,
        group: &GroupKey,
        identity: &Identity,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(RECORD_BYTES_MAX));
        bytes.push(VERSION);
        bytes.extend_from_slice(&group.creator.to_bytes());
        bytes.extend_from_slice(&group.id);
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes.extend_from_slice(&self.removal.to_be_bytes());
        write_text(&mut bytes, &self.name);
        write_server(&mut bytes, &self.server);
        let count = u8::try_from(self.members.len()).ok()?;
        if usize::from(count) > MEMBERS_MAX {
            return None;
        }
        bytes.push(count);
        for statement in &self.members {
            bytes.extend_from_slice(statement.as_bytes());
        }
        let message = Zeroizing::new([RECORD_DOMAIN, &bytes].concat());
        let signature = identity.account().sign(&*message);
        bytes.extend_from_slice(&signature.to_bytes());
        (bytes.len() <= RECORD_BYTES_MAX).then_some(bytes)
    }

    /// Reads and verifies the creator's signature and every member's.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(GroupKey, Self), RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::Layout);
        }
        let (signed, signature) = bytes.split_last_chunk::<64>().ok_or(RecordError::Layout)?;
        let mut rest = Bytes(signed);
        match rest.u8() {
            Some(VERSION) => {}
            Some(0) | None => return Err(RecordError::Layout),
            Some(_) => return Err(RecordError::Newer),
        }
        let (group, mut record, count) = Self::head(&mut rest).ok_or(RecordError::Layout)?;
        // First of all: what nobody signed costs one check, whatever it holds.
        let message = Zeroizing::new([RECORD_DOMAIN, signed].concat());
        if !is_signed(&group.creator, &message, signature) {
            return Err(RecordError::Creator);
        }
        for _ in 0..count {
            let statement = Statement::read(&group, &mut rest)?;
            record.members.push(statement);
        }
        let lists_creator = record
            .members
            .iter()
            .any(|statement| statement.key_set == group.creator);
        if !rest.0.is_empty() || !lists_creator || record.removal > record.revision {
            return Err(RecordError::Layout);
        }
        if record.has_twins() {
            return Err(RecordError::Twice);
        }
        Ok((group, record))
    }

    fn head(bytes: &mut Bytes<'_>) -> Option<(GroupKey, Self, usize)> {
        let group = GroupKey {
            creator: KeySet::from_bytes(&bytes.array::<KEY_SET_BYTES>()?).ok()?,
            id: bytes.array()?,
        };
        let record = Self {
            revision: bytes.u64()?,
            removal: bytes.u64()?,
            name: clean_name(bytes)?,
            server: read_server(bytes)?,
            members: Vec::new(),
        };
        let count = usize::from(bytes.u8()?);
        (1..=MEMBERS_MAX)
            .contains(&count)
            .then_some((group, record, count))
    }

    fn has_twins(&self) -> bool {
        let sets = self.members.iter().map(|statement| &statement.key_set);
        sets.clone().enumerate().any(|(index, one)| {
            sets.clone()
                .skip(index + 1)
                .any(|other| is_twin(one, other) || one == other)
        })
    }
}

/// Whether two different key sets claim one key or one id: somebody copied what is not theirs.
pub(crate) fn is_twin(one: &KeySet, other: &KeySet) -> bool {
    one != other && (one.shares_a_key_with(other) || one.short_id() == other.short_id())
}

/// A name as its signer should have written it: clean already, for the bytes are signed as they are.
fn clean_name(bytes: &mut Bytes<'_>) -> Option<String> {
    let text = bytes.text()?;
    name::clean(text).filter(|clean| clean == text)
}

fn statement_message(group: &GroupKey, unsigned: &[u8]) -> Vec<u8> {
    [
        STATEMENT_DOMAIN,
        &group.id,
        &group.creator.to_bytes(),
        unsigned,
    ]
    .concat()
}

fn is_signed(key_set: &KeySet, message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = Ed25519PublicKey::from_slice(&key_set.ed25519()) else {
        return false;
    };
    let Ok(signature) = Ed25519Signature::from_slice(signature) else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use vodozemac::olm::Account;

    use super::*;

    pub(crate) fn person(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    pub(crate) fn statement(who: &Identity, group: &GroupKey, number: u64) -> Statement {
        let inbox = Inbox {
            server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
            sender: SenderId([3; 24]),
            secret: Zeroizing::new([4; 32]),
            seal_key: SealKey::new([5; 32]),
        };
        let first_key = Curve25519PublicKey::from_bytes([9; 32]);
        Statement::new(who, group, number, "somebody", inbox, first_key)
    }

    fn record(members: Vec<Statement>) -> Record {
        Record {
            revision: 7,
            removal: 3,
            name: "hikers".into(),
            server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
            members,
        }
    }

    fn group(creator: &Identity) -> GroupKey {
        GroupKey {
            creator: *creator.key_set(),
            id: [8; 8],
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_no_bit_of_it_can_change() {
        let (ann, bob) = (person(1), person(2));
        let key = group(&ann);
        let members = vec![statement(&ann, &key, 1), statement(&bob, &key, 2)];
        let bytes = record(members).write(&key, &ann).unwrap();
        let (read_key, read) = Record::from_bytes(&bytes).unwrap();
        assert!(read_key == key && read.name == "hikers" && read.members.len() == 2);
        assert!((read.revision, read.removal, read.members[1].number) == (7, 3, 2));
        assert!(
            read.write(&key, &ann).unwrap() == bytes,
            "the same bytes again"
        );
        for index in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[index] ^= 1 << (index % 8);
            assert!(Record::from_bytes(&changed).is_err(), "byte {index}");
            assert!(
                Record::from_bytes(&bytes[..index]).is_err(),
                "cut at {index}"
            );
        }
    }

    #[test]
    fn a_creator_cannot_speak_for_a_member_nor_borrow_a_statement_of_another_group() {
        let (ann, bob, mallory) = (person(1), person(2), person(3));
        let key = group(&ann);
        let other = GroupKey {
            id: [9; 8],
            ..key.clone()
        };
        let own = statement(&ann, &key, 1);
        let borrowed = statement(&bob, &other, 2);
        let bytes = record(vec![own.clone(), borrowed])
            .write(&key, &ann)
            .unwrap();
        assert_eq!(Record::from_bytes(&bytes).err(), Some(RecordError::Member));
        let mut forged = statement(&bob, &key, 2);
        let end = forged.bytes.len();
        forged.bytes[end - 200] ^= 1;
        let bytes = record(vec![own.clone(), forged]).write(&key, &ann).unwrap();
        assert_eq!(Record::from_bytes(&bytes).err(), Some(RecordError::Member));
        let bytes = record(vec![own]).write(&key, &mallory).unwrap();
        assert_eq!(Record::from_bytes(&bytes).err(), Some(RecordError::Creator));
    }

    #[test]
    fn one_key_for_two_people_is_refused_and_the_creator_must_be_in() {
        let (ann, bob) = (person(1), person(2));
        let key = group(&ann);
        let own = statement(&ann, &key, 1);
        let twin = Identity::from_parts(bob.x25519().as_bytes(), Account::new());
        for second in [statement(&twin, &key, 1), statement(&bob, &key, 5)] {
            let members = vec![own.clone(), statement(&bob, &key, 1), second];
            let bytes = record(members).write(&key, &ann).unwrap();
            assert_eq!(Record::from_bytes(&bytes).err(), Some(RecordError::Twice));
        }
        let bytes = record(vec![statement(&bob, &key, 1)]).write(&key, &ann);
        let read = Record::from_bytes(&bytes.unwrap());
        assert_eq!(read.err(), Some(RecordError::Layout));
    }

    #[test]
    fn what_does_not_fit_into_a_block_is_not_written() {
        let ann = person(1);
        let key = group(&ann);
        let full = vec![statement(&ann, &key, 1); MEMBERS_MAX];
        assert!(record(full).write(&key, &ann).is_some());
        let over = vec![statement(&ann, &key, 1); MEMBERS_MAX + 1];
        assert!(record(over).write(&key, &ann).is_none());
        assert!(statement(&ann, &key, 1).as_bytes().len() <= STATEMENT_BYTES_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..900), cut in 0usize..900, flip in any::<u8>()) {
            let _ = Record::from_bytes(&bytes);
            let ann = person(1);
            let key = group(&ann);
            let _ = Statement::from_bytes(&key, &bytes);
            let mut good = statement(&ann, &key, 1).as_bytes().to_vec();
            let place = cut % good.len();
            good[place] ^= flip;
            let read = Statement::from_bytes(&key, &good);
            prop_assert_eq!(read.is_ok(), flip == 0);
            good.truncate(place);
            prop_assert!(Statement::from_bytes(&key, &good).is_err());
        }
    }
}

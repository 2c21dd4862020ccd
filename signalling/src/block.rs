//! What a relay carries: blocks of one size that look like noise, and what is inside them.
//!
//! ```text
//! block (16384) = nonce 24 ‖ secretbox( version 1 ‖ kind 1 ‖ length 2 ‖ ratchet message ‖ zeros )
//! ratchet message = Olm( kind 1 ‖ sequence 8 ‖ body )
//! ```
//!
//! The ratchet alone authenticates and gives forward secrecy. The outer XSalsa20-Poly1305 layer, with a key of the
//! queue that link or greeting carried, hides from the relay what a ratchet message shows in clear: identity keys in
//! the first ones, ratchet keys, counters, lengths.

use hullo_proto::service::relay::{BLOCK_BYTES, SenderId};
use rand::CryptoRng;
use thiserror::Error;
use vodozemac::olm::{Message, OlmMessage, PreKeyMessage};
use xsalsa20poly1305::XSalsa20Poly1305;
use xsalsa20poly1305::aead::{Aead, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bytes::{Bytes, write_text};
use crate::compare::Said;
use crate::identity::{KEY_SET_BYTES, KeySet};
use crate::link::{read_server, write_server};
use crate::name;
use crate::server_url::ServerUrl;

/// Longest payload of one message: what a block holds after both layers and the longest ratchet header.
pub const PAYLOAD_BYTES_MAX: usize = 16_000;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const PLAIN_BYTES: usize = BLOCK_BYTES - NONCE_BYTES - TAG_BYTES;
const HEADER_BYTES: usize = 4;

/// The key of a queue's outer layer. Secret, though only metadata hangs on it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// From a link, a greeting or the store.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why a block or its content is not ours to read: the sender's fault, or noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Too much for one block: our own fault, checked before.
    #[error("a message may be {PAYLOAD_BYTES_MAX} bytes long")]
    TooLong,
    /// Not sealed with the queue's key.
    #[error("the block was not sealed for this queue")]
    Sealed,
    /// Sealed right, built wrong.
    #[error("the block's content cannot be read")]
    Content,
}

/// Puts a ratchet message into a block.
///
/// # Errors
/// [`BlockError::TooLong`].
pub fn seal(
    key: &SealKey,
    rng: &mut impl CryptoRng,
    message: &OlmMessage,
) -> Result<Box<[u8; BLOCK_BYTES]>, BlockError> {
    let (kind, message) = message.to_parts();
    let kind = u8::try_from(kind).expect("there are two kinds, 0 and 1");
    seal_bytes(key, rng, kind, &message)
}

/// Puts bytes of some kind into a block; who opens it has to know what they are.
///
/// # Errors
/// [`BlockError::TooLong`].
pub(crate) fn seal_bytes(
    key: &SealKey,
    rng: &mut impl CryptoRng,
    kind: u8,
    message: &[u8],
) -> Result<Box<[u8; BLOCK_BYTES]>, BlockError> {
    let length = u16::try_from(message.len()).map_err(|_| BlockError::TooLong)?;
    if message.len() > PLAIN_BYTES - HEADER_BYTES {
        return Err(BlockError::TooLong);
    }
    let mut plain = vec![0; PLAIN_BYTES];
    plain[0] = VERSION;
    plain[1] = kind;
    plain[2..4].copy_from_slice(&length.to_be_bytes());
    plain[4..4 + message.len()].copy_from_slice(message);
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let sealed = XSalsa20Poly1305::new((&key.0).into())
        .encrypt((&nonce).into(), plain.as_slice())
        .expect("16 kB are no problem for the cipher");
    let block = [&nonce[..], &sealed].concat().into_boxed_slice();
    Ok(block
        .try_into()
        .expect("nonce, tag and padded content make one block"))
}

/// Takes the ratchet message out of a block.
///
/// # Errors
/// The sender's fault: [`BlockError::Sealed`], [`BlockError::Content`].
pub fn open(key: &SealKey, block: &[u8; BLOCK_BYTES]) -> Result<OlmMessage, BlockError> {
    let (kind, message) = open_bytes(key, block)?;
    read_message(kind, &message)
}

/// What [`seal_bytes`] put into a block.
///
/// # Errors
/// The sender's fault: [`BlockError::Sealed`], [`BlockError::Content`].
pub(crate) fn open_bytes(
    key: &SealKey,
    block: &[u8; BLOCK_BYTES],
) -> Result<(u8, Vec<u8>), BlockError> {
    let (nonce, sealed) = block.split_at(NONCE_BYTES);
    let plain = XSalsa20Poly1305::new((&key.0).into())
        .decrypt(nonce.into(), sealed)
        .map_err(|_| BlockError::Sealed)?;
    let mut rest = Bytes(&plain);
    let header = (rest.u8(), rest.u8(), rest.u16());
    let (Some(VERSION), Some(kind), Some(length)) = header else {
        return Err(BlockError::Content);
    };
    let message = rest
        .0
        .get(..usize::from(length))
        .ok_or(BlockError::Content)?;
    Ok((kind, message.to_vec()))
}

/// A ratchet message of this kind.
///
/// # Errors
/// The sender's fault: [`BlockError::Content`].
pub(crate) fn read_message(kind: u8, message: &[u8]) -> Result<OlmMessage, BlockError> {
    let message = match kind {
        0 => PreKeyMessage::from_bytes(message).map(OlmMessage::PreKey),
        1 => Message::from_bytes(message).map(OlmMessage::Normal),
        _ => return Err(BlockError::Content),
    };
    message.map_err(|_| BlockError::Content)
}

/// What one person says to another inside the ratchet.
pub(crate) enum Content {
    /// First message of who used a link: who that is, and where to answer.
    Greeting(Box<Greeting>),
    /// The inviter's answer: the contact stands.
    Welcome {
        /// What the inviter is called.
        name: String,
    },
    /// Bytes of the layer above.
    Payload(Zeroizing<Vec<u8>>),
    /// About a group: see [`crate::group`].
    Group(Zeroizing<Vec<u8>>),
    /// Comparing words.
    Words(Said),
    /// The sender is called this now.
    Named {
        /// Clean.
        name: String,
    },
    /// A kind this version does not know; to be ignored.
    Unknown,
}

pub(crate) struct Greeting {
    pub(crate) key_set: KeySet,
    pub(crate) name: String,
    pub(crate) server: ServerUrl,
    pub(crate) sender: SenderId,
    pub(crate) seal_key: SealKey,
}

impl Content {
    /// With its place in the sender's order; rises by one.
    pub(crate) fn write(&self, sequence: u64) -> Zeroizing<Vec<u8>> {
        let mut bytes = Vec::with_capacity(PLAIN_BYTES);
        let kind = match self {
            Self::Greeting(_) => 1,
            Self::Welcome { .. } => 2,
            Self::Payload(_) => 3,
            Self::Group(_) => 32,
            Self::Words(_) => 4,
            Self::Named { .. } => 5,
            Self::Unknown => 0,
        };
        bytes.push(kind);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        match self {
            Self::Greeting(greeting) => {
                bytes.extend_from_slice(&greeting.key_set.to_bytes());
                write_text(&mut bytes, &greeting.name);
                write_server(&mut bytes, &greeting.server);
                bytes.extend_from_slice(&greeting.sender.0);
                bytes.extend_from_slice(greeting.seal_key.as_bytes());
            }
            Self::Welcome { name } | Self::Named { name } => write_text(&mut bytes, name),
            Self::Words(said) => said.write(&mut bytes),
            Self::Payload(payload) | Self::Group(payload) => bytes.extend_from_slice(payload),
            Self::Unknown => {}
        }
        Zeroizing::new(bytes)
    }

    /// The sequence number and what was said. Bytes after what a kind needs are room for later versions.
    pub(crate) fn read(bytes: &[u8]) -> Result<(u64, Self), BlockError> {
        Self::parse(&mut Bytes(bytes)).ok_or(BlockError::Content)
    }

    fn parse(bytes: &mut Bytes<'_>) -> Option<(u64, Self)> {
        let kind = bytes.u8()?;
        let sequence = bytes.u64()?;
        let content = match kind {
            1 => Self::Greeting(Box::new(Greeting {
                key_set: KeySet::from_bytes(&bytes.array::<KEY_SET_BYTES>()?).ok()?,
                name: name::clean(bytes.text()?)?,
                server: read_server(bytes)?,
                sender: SenderId(bytes.array()?),
                seal_key: SealKey::new(bytes.array()?),
            })),
            2 => Self::Welcome {
                name: name::clean(bytes.text()?)?,
            },
            3 => Self::Payload(Zeroizing::new(bytes.0.to_vec())),
            4 => Self::Words(Said::read(bytes)?),
            5 => Self::Named {
                name: name::clean(bytes.text()?)?,
            },
            32 => Self::Group(Zeroizing::new(bytes.0.to_vec())),
            _ => Self::Unknown,
        };
        Some((sequence, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use vodozemac::olm::{Account, Session, SessionConfig};

    use super::*;

    fn sessions() -> (Session, Session) {
        let (alice, mut bob) = (Account::new(), Account::new());
        bob.generate_one_time_keys(1);
        let one_time_key = *bob.one_time_keys().values().next().unwrap();
        let mut outbound = alice
            .create_outbound_session(
                SessionConfig::version_1(),
                bob.curve25519_key(),
                one_time_key,
            )
            .unwrap();
        let OlmMessage::PreKey(first) = outbound.encrypt("first").unwrap() else {
            panic!("no pre-key message")
        };
        let inbound = bob
            .create_inbound_session(SessionConfig::version_1(), alice.curve25519_key(), &first)
            .unwrap();
        assert_eq!(inbound.plaintext, b"first");
        assert!(
            bob.create_inbound_session(SessionConfig::version_1(), alice.curve25519_key(), &first)
                .is_err(),
            "the one-time key is used up"
        );
        (outbound, inbound.session)
    }

    #[test]
    fn the_longest_payload_fits_and_blocks_do_not_differ_in_size() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SealKey::generate(&mut rng);
        let (mut alice, mut bob) = sessions();
        for length in [0, 1, 500, PAYLOAD_BYTES_MAX] {
            let payload = Content::Payload(Zeroizing::new(vec![7; length])).write(u64::MAX);
            // Before an answer came these are the longer pre-key messages.
            let block = seal(&key, &mut rng, &alice.encrypt(&*payload).unwrap()).unwrap();
            let plain = bob.decrypt(&open(&key, &block).unwrap()).unwrap();
            let (sequence, content) = Content::read(&plain).unwrap();
            assert!(
                sequence == u64::MAX && matches!(content, Content::Payload(p) if p.len() == length)
            );
        }
        let long = bob.encrypt(vec![0; PLAIN_BYTES]).unwrap();
        assert_eq!(seal(&key, &mut rng, &long).err(), Some(BlockError::TooLong));
    }

    #[test]
    fn an_altered_or_foreign_block_does_not_open() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SealKey::generate(&mut rng);
        let (mut alice, _) = sessions();
        let mut block = seal(&key, &mut rng, &alice.encrypt("x").unwrap()).unwrap();
        let foreign = SealKey::generate(&mut rng);
        assert_eq!(open(&foreign, &block).err(), Some(BlockError::Sealed));
        for index in (0..BLOCK_BYTES).step_by(997) {
            block[index] ^= 1;
            assert_eq!(
                open(&key, &block).err(),
                Some(BlockError::Sealed),
                "byte {index}"
            );
            block[index] ^= 1;
        }
    }

    fn sealed_plain(plain: &[u8]) -> (SealKey, Box<[u8; BLOCK_BYTES]>) {
        let key = SealKey::new([1; 32]);
        let mut padded = plain.to_vec();
        padded.resize(PLAIN_BYTES, 0);
        let sealed = XSalsa20Poly1305::new((&key.0).into())
            .encrypt((&[0; 24]).into(), padded.as_slice())
            .unwrap();
        let block = [&[0; 24][..], &sealed]
            .concat()
            .into_boxed_slice()
            .try_into()
            .unwrap();
        (key, block)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_a_contact_seals_never_panics(kind in 0u8..7, length in any::<u16>(), rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let plain = [&[VERSION, kind][..], &length.to_be_bytes(), &rest].concat();
            let (key, block) = sealed_plain(&plain);
            let _ = open(&key, &block);
            let _ = Content::read(&plain);
            let _ = Content::read(&rest);
        }
    }
}

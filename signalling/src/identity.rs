//! Who somebody is: a key set, and for ourselves the secrets behind it.
//!
//! A key set joins the three public keys of a person and is signed by the second of them:
//!
//! | bytes | key | used for |
//! |---|---|---|
//! | 0..32 | X25519 | client key of the group-call protocol |
//! | 32..64 | Ed25519 | signs this key set; the message ratchet's fingerprint key |
//! | 64..96 | Curve25519 | identity key of the message ratchet |
//! | 96..160 | signature | Ed25519 over `hullo-keyset-v1` and bytes 0..96 |
//!
//! The 8-character id is base32 (A–Z, 2–7) of the first 40 bits of BLAKE2b-256 (personal `hullo-keyset`) over bytes
//! 0..96. It is a *name*: 40 bits can be matched on purpose. Everything that matters compares whole key sets.

use rand::CryptoRng;
use thiserror::Error;
use vodozemac::olm::Account;
use vodozemac::{Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::hash::hash;

/// Length of [`KeySet::to_bytes`].
pub const KEY_SET_BYTES: usize = 160;

const DOMAIN: &[u8] = b"hullo-keyset-v1";
const KEYS_BYTES: usize = 96;

/// The public keys of a person, their signature verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeySet {
    bytes: [u8; KEY_SET_BYTES],
}

/// Why bytes are no key set: the fault of who made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Not 160 bytes.
    #[error("a key set is 160 bytes long")]
    Length,
    /// A key nobody should use: it makes every shared secret zero, or is no point of its curve.
    #[error("the key set holds a key that protects nothing")]
    WeakKey,
    /// Not signed by its own Ed25519 key.
    #[error("the key set's signature is wrong")]
    Signature,
}

impl KeySet {
    /// Reads and verifies.
    ///
    /// # Errors
    /// The other side's fault: see [`KeySetError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeySetError> {
        let key_set = Self {
            bytes: bytes.try_into().map_err(|_| KeySetError::Length)?,
        };
        for key in [key_set.x25519(), key_set.part(64)] {
            // Any scalar shows it: points of small order multiply to zero.
            if !StaticSecret::from([1; 32])
                .diffie_hellman(&PublicKey::from(key))
                .was_contributory()
            {
                return Err(KeySetError::WeakKey);
            }
        }
        let ed25519 =
            Ed25519PublicKey::from_slice(&key_set.part(32)).map_err(|_| KeySetError::WeakKey)?;
        let signature = Ed25519Signature::from_slice(&key_set.bytes[KEYS_BYTES..])
            .map_err(|_| KeySetError::Signature)?;
        ed25519
            .verify(&[DOMAIN, key_set.keys()].concat(), &signature)
            .map_err(|_| KeySetError::Signature)?;
        Ok(key_set)
    }

    /// One that was verified before it was stored.
    pub(crate) fn from_store(bytes: [u8; KEY_SET_BYTES]) -> Self {
        Self { bytes }
    }

    /// The canonical bytes; see the module.
    pub fn to_bytes(&self) -> [u8; KEY_SET_BYTES] {
        self.bytes
    }

    /// The group protocol's client key.
    pub fn x25519(&self) -> [u8; 32] {
        self.part(0)
    }

    /// The key statements are signed with.
    pub fn ed25519(&self) -> [u8; 32] {
        self.part(32)
    }

    /// The ratchet's identity key.
    pub fn curve25519(&self) -> Curve25519PublicKey {
        Curve25519PublicKey::from_bytes(self.part(64))
    }

    /// The 8-character name.
    pub fn short_id(&self) -> String {
        base32(&hash(b"hullo-keyset", self.keys()))
    }

    /// Whether one of the three keys is also in `other`. With different key sets that means that somebody put a
    /// foreign key beside his own.
    pub fn shares_a_key_with(&self, other: &Self) -> bool {
        [0, 32, 64]
            .into_iter()
            .any(|start| self.part(start) == other.part(start))
    }

    fn keys(&self) -> &[u8] {
        &self.bytes[..KEYS_BYTES]
    }

    fn part(&self, start: usize) -> [u8; 32] {
        self.bytes[start..start + 32]
            .try_into()
            .expect("the parts are 32 bytes inside 160")
    }
}

/// RFC 4648 base32 of the first 5 bytes: 8 characters.
fn base32(bytes: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = bytes[..5]
        .iter()
        .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8)
        .rev()
        .map(|place| char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]))
        .collect()
}

/// Our own secrets. Neither printed nor compared nor copied.
pub struct Identity {
    x25519: StaticSecret,
    account: Account,
    key_set: KeySet,
}

impl Identity {
    /// A new person. The ratchet's library makes its keys from the operating system's generator, whatever `rng` is.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self::from_parts(&secret, Account::new())
    }

    /// The same person again, from what was stored.
    pub fn from_parts(x25519: &[u8; 32], account: Account) -> Self {
        let x25519 = StaticSecret::from(*x25519);
        let mut bytes = [0; KEY_SET_BYTES];
        bytes[..32].copy_from_slice(PublicKey::from(&x25519).as_bytes());
        bytes[32..64].copy_from_slice(account.ed25519_key().as_bytes());
        bytes[64..96].copy_from_slice(account.curve25519_key().as_bytes());
        let signature = account.sign([DOMAIN, &bytes[..KEYS_BYTES]].concat());
        bytes[KEYS_BYTES..].copy_from_slice(&signature.to_bytes());
        Self {
            x25519,
            account,
            key_set: KeySet { bytes },
        }
    }

    /// What others know of us.
    pub fn key_set(&self) -> &KeySet {
        &self.key_set
    }

    /// The group protocol's client key.
    pub fn x25519(&self) -> &StaticSecret {
        &self.x25519
    }

    /// The ratchet's account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// A changed account of the same person, once it is stored.
    pub(crate) fn replace_account(&mut self, account: Account) {
        debug_assert!(
            account.ed25519_key() == self.account.ed25519_key(),
            "the same person"
        );
        self.account = account;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_key_set_survives_its_bytes_and_no_bit_of_it_can_change() {
        let bytes = identity(1).key_set().to_bytes();
        assert_eq!(KeySet::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        for index in 0..KEY_SET_BYTES {
            let mut changed = bytes;
            changed[index] ^= 1 << (index % 8);
            assert!(KeySet::from_bytes(&changed).is_err(), "byte {index}");
        }
        assert_eq!(
            KeySet::from_bytes(&bytes[1..]).err(),
            Some(KeySetError::Length)
        );
    }

    #[test]
    fn weak_keys_are_refused_even_when_signed() {
        let account = Account::new();
        for weak in [0, 64] {
            let mut bytes = Identity::from_parts(&[9; 32], Account::new()).key_set.bytes;
            bytes[32..64].copy_from_slice(account.ed25519_key().as_bytes());
            bytes[weak..weak + 32].fill(0);
            let signature = account.sign([DOMAIN, &bytes[..96]].concat());
            bytes[96..].copy_from_slice(&signature.to_bytes());
            assert_eq!(KeySet::from_bytes(&bytes).err(), Some(KeySetError::WeakKey));
        }
    }

    #[test]
    fn the_short_id_is_eight_letters_of_base32() {
        // `printf fooba | base32` says MZXW6YTB.
        let mut bytes = [0; 32];
        bytes[..5].copy_from_slice(b"fooba");
        assert_eq!(base32(&bytes), "MZXW6YTB");
        let id = identity(1).key_set().short_id();
        assert_eq!(id.len(), 8);
        assert_ne!(id, identity(2).key_set().short_id());
    }

    #[test]
    fn a_borrowed_key_is_noticed() {
        let (alice, bob) = (identity(1), identity(2));
        assert!(!alice.key_set().shares_a_key_with(bob.key_set()));
        let borrowed = Identity::from_parts(alice.x25519.as_bytes(), Account::new());
        assert!(borrowed.key_set().shares_a_key_with(alice.key_set()));
    }
}

//! The keys of a group call, one type each (protocol text, *Key Derivation*).
//!
//! A derivation is a method on the parent, so that a key cannot be made from the wrong one.
//! Keys are wiped when dropped and cannot be printed. All 32 bytes each.

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, Update};
use rand_chacha::rand_core::CryptoRng;
use salsa20::cipher::consts::U10;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey as X25519Public, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// `personal` of every hash here.
const PERSONAL: &[u8] = b"3ma-call";

/// A key cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The other side sent a public key that gives a shared secret of zeros.
    #[error("the other side's public key is not usable: its shared secret would be all zeros")]
    AllZero,
    /// The other side sent a key of another length.
    #[error("a key has 32 bytes")]
    Length,
    /// The key was ratcheted 255 times; only a new one can follow.
    #[error("the media key was ratcheted 255 times; leave and join again")]
    RatchetExhausted,
    /// The start message names a protocol version above 255.
    #[error("a protocol version is at most 255")]
    Version,
}

/// `BLAKE2b(key, salt, personal='3ma-call', input)`, 32 bytes; salt of at most 16 bytes.
pub(crate) fn blake2b(key: Option<&[u8; 32]>, salt: &[u8], input: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let key = key.map(<[u8; 32]>::as_slice);
    let mut mac = Blake2bMac::<U32>::new_with_salt_and_personal(key, salt, PERSONAL)
        .expect("key of 32, salt and personal of at most 16 bytes");
    for part in input {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize_fixed().into())
}

/// The directory's response to a challenge:
/// `BLAKE2b(key=BLAKE2b(key=⟨shared⟩, salt='dir', personal='3ma-csp'), input=⟨token⟩)`, 32 bytes, the outer one
/// without salt and personal.
pub(crate) fn blake2b_csp(shared: &SharedKey, token: &[u8]) -> [u8; 32] {
    let valid = "key of 32, salt and personal of at most 16 bytes";
    let inner = Blake2bMac::<U32>::new_with_salt_and_personal(Some(&shared.0), b"dir", b"3ma-csp")
        .expect(valid);
    let key = Zeroizing::new(<[u8; 32]>::from(inner.finalize_fixed()));
    let mut outer =
        Blake2bMac::<U32>::new_with_salt_and_personal(Some(key.as_slice()), b"", b"").expect(valid);
    outer.update(token);
    outer.finalize_fixed().into()
}

macro_rules! secret_key {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the raw key.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The raw key: for messages that carry it and for storage, never for logs.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            #[allow(dead_code, reason = "not every key is read from bytes of unknown length")]
            pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
                bytes.try_into().map(Self).map_err(|_| KeyError::Length)
            }
        }
    )*};
}

secret_key! {
    /// Group call key (GCK): in the start message; only for deriving others.
    GroupCallKey;
    /// Group call key hash (GCKH): makes every other derivation depend on GCK.
    GroupCallKeyHash;
    /// Group call handshake key (GCHK): seals the first message of a handshake.
    HandshakeKey;
    /// Group call state key (GCSK): seals the peekable call state.
    StateKey;
    /// Group call administrator key (GCAK): only for deriving the message key.
    AdministratorKey;
    /// Group call administrator message key (GCAMK): an X25519 secret that proves administration.
    AdministratorMessageKey;
    /// Long-term client key (CK), an X25519 secret.
    ClientKey;
    /// Group call normal handshake authentication key (GCNHAK): proves both long-term keys.
    NormalHandshakeKey;
    /// Participant call key (PCK): ephemeral X25519 secret of one call.
    ParticipantCallKey;
    /// What X25519HSalsa20 of two key pairs gives (NaCl's `beforenm`); seals what the two say.
    SharedKey;
    /// Participant call media key (PCMK) at one ratchet count; only for deriving others.
    MediaKey;
    /// Participant call media frame key (PCMFK): AES-256-GCM key of one epoch and ratchet count.
    MediaFrameKey;
}

/// An X25519 public key: PCK.public, CK.public or GCAMK.public.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the raw key; whether it is usable shows at the exchange.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl GroupCallKey {
    /// A new key for a new call.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_bytes(rng))
    }

    /// `GCKH = BLAKE2b(key=GCK, salt='#', personal='3ma-call')`
    #[must_use]
    pub fn hash(&self) -> GroupCallKeyHash {
        GroupCallKeyHash(*blake2b(Some(&self.0), b"#", &[]))
    }

    /// `GCHK = BLAKE2b(key=GCK, salt='h', personal='3ma-call')`
    #[must_use]
    pub fn handshake_key(&self) -> HandshakeKey {
        HandshakeKey(*blake2b(Some(&self.0), b"h", &[]))
    }

    /// `GCSK = BLAKE2b(key=GCK, salt='s', personal='3ma-call')`
    #[must_use]
    pub fn state_key(&self) -> StateKey {
        StateKey(*blake2b(Some(&self.0), b"s", &[]))
    }

    /// Equality in constant time; two start messages with one GCK are the same call.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl AdministratorKey {
    /// `GCAMK = BLAKE2b(key=GCAK, salt='am', personal='3ma-call', input=GCKH)`
    #[must_use]
    pub fn message_key(&self, hash: &GroupCallKeyHash) -> AdministratorMessageKey {
        AdministratorMessageKey(*blake2b(Some(&self.0), b"am", &[&hash.0]))
    }
}

impl AdministratorMessageKey {
    /// GCAMK.public, by which others recognise administrators.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        public_of(&self.0)
    }

    /// `X25519HSalsa20(GCAMK.secret, ⟨receiver.PCK⟩.public)`
    ///
    /// # Errors
    /// The receiver is wrong: its public key gives zeros.
    pub fn shared(&self, receiver: &PublicKey) -> Result<SharedKey, KeyError> {
        exchange(&self.0, receiver)
    }
}

impl ClientKey {
    /// CK.public.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        public_of(&self.0)
    }

    /// `S = X25519HSalsa20(⟨sender.CK⟩.secret, ⟨receiver.CK⟩.public)`; both sides compute the same.
    ///
    /// # Errors
    /// The other side is wrong: its public key gives zeros.
    pub fn shared(&self, other: &PublicKey) -> Result<SharedKey, KeyError> {
        exchange(&self.0, other)
    }

    /// `GCNHAK = BLAKE2b(key=S, salt='nha', personal='3ma-call', input=GCKH)`
    ///
    /// # Errors
    /// The other side is wrong: its public key gives zeros.
    pub fn normal_handshake_key(
        &self,
        other: &PublicKey,
        hash: &GroupCallKeyHash,
    ) -> Result<NormalHandshakeKey, KeyError> {
        Ok(self.shared(other)?.normal_handshake_key(hash))
    }
}

impl SharedKey {
    pub(crate) fn normal_handshake_key(&self, hash: &GroupCallKeyHash) -> NormalHandshakeKey {
        NormalHandshakeKey(*blake2b(Some(&self.0), b"nha", &[&hash.0]))
    }
}

impl ParticipantCallKey {
    /// A new key for one call.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_bytes(rng))
    }

    /// PCK.public.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        public_of(&self.0)
    }

    /// `X25519HSalsa20(⟨sender.PCK⟩.secret, ⟨receiver.PCK⟩.public)`; also with GCAMK.public, to open what an administrator sealed.
    ///
    /// # Errors
    /// The other side is wrong: its public key gives zeros.
    pub fn shared(&self, other: &PublicKey) -> Result<SharedKey, KeyError> {
        exchange(&self.0, other)
    }
}

impl MediaKey {
    /// A new key for a new epoch.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_bytes(rng))
    }

    /// `PCMK' = BLAKE2b(key=PCMK, salt="m'", personal='3ma-call')`
    #[must_use]
    pub fn ratcheted(&self) -> Self {
        Self(*blake2b(Some(&self.0), b"m'", &[]))
    }

    /// `PCMFK = BLAKE2b(key=PCMK, salt='mf', personal='3ma-call', input=GCKH)`
    #[must_use]
    pub fn frame_key(&self, hash: &GroupCallKeyHash) -> MediaFrameKey {
        MediaFrameKey(*blake2b(Some(&self.0), b"mf", &[&hash.0]))
    }
}

pub(crate) fn random_bytes<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn public_of(secret: &[u8; 32]) -> PublicKey {
    PublicKey(X25519Public::from(&StaticSecret::from(*secret)).to_bytes())
}

/// NaCl's `crypto_box_beforenm`: HSalsa20 of the X25519 result with a zero input.
fn exchange(secret: &[u8; 32], public: &PublicKey) -> Result<SharedKey, KeyError> {
    let result = StaticSecret::from(*secret).diffie_hellman(&X25519Public::from(public.0));
    if !result.was_contributory() {
        return Err(KeyError::AllZero);
    }
    let mut key = salsa20::hsalsa::<U10>(result.as_bytes().into(), &[0; 16].into());
    let shared = SharedKey(key.into());
    key.as_mut_slice().zeroize();
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_that_give_zeros_are_refused() {
        // 0, 1 and a point of order 8: the small-order points of RFC 7748 section 6.1.
        let order_8: [u8; 32] = [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
            0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
            0x5f, 0x49, 0xb8, 0x00,
        ];
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one, order_8] {
            let public = PublicKey::from_bytes(point);
            let call_key = ParticipantCallKey::from_bytes([7; 32]);
            assert_eq!(call_key.shared(&public).err(), Some(KeyError::AllZero));
            let client_key = ClientKey::from_bytes([7; 32]);
            assert_eq!(client_key.shared(&public).err(), Some(KeyError::AllZero));
            let administrator = AdministratorMessageKey::from_bytes([7; 32]);
            assert_eq!(administrator.shared(&public).err(), Some(KeyError::AllZero));
        }
    }
}

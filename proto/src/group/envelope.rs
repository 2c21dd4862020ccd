//! Sealing and opening: XSalsa20-Poly1305 in the three shapes the protocol has
//! (protocol facts, section 1).
//!
//! ```text
//! random nonce, prefixed    HelloEnvelope (GCHK), inner Auth (GCNHAK), CallState (GCSK)
//! cookie and counter        everything between two participants after their hellos
//! the same nonce once more  the administrator's envelope inside one of those
//! ```

use rand_chacha::rand_core::CryptoRng;
use xsalsa20poly1305::XSalsa20Poly1305;
use xsalsa20poly1305::aead::{Aead, KeyInit};
use zeroize::Zeroizing;

use super::key::{HandshakeKey, NormalHandshakeKey, SharedKey, StateKey, random_bytes};
use super::nonce::{Cookie, CounterExhausted, Nonces};

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 24;

/// Something sealed cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed under another key or nonce, or changed on the way.
    #[error("the message was not sealed for this state")]
    Forged,
    /// Our own counter is at its end.
    #[error(transparent)]
    Counter(#[from] CounterExhausted),
}

/// Opened bytes; wiped when dropped.
pub type Opened = Zeroizing<Vec<u8>>;

macro_rules! nonce_prefixed {
    ($($key:ident: $what:literal;)*) => {$(
        impl $key {
            #[doc = concat!("Seals ", $what, ": `nonce (24) || tag (16) || ciphertext`, the nonce drawn from `rng`.")]
            #[must_use]
            pub fn seal(&self, plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
                self.seal_with(&random_bytes(rng), plain)
            }

            pub(crate) fn seal_with(&self, nonce: &[u8; NONCE_LEN], plain: &[u8]) -> Vec<u8> {
                let mut bytes = nonce.to_vec();
                bytes.extend(seal(self.as_bytes(), nonce, plain));
                bytes
            }

            #[doc = concat!("Opens ", $what, ".")]
            ///
            /// # Errors
            /// The sender is wrong, or holds another key.
            pub fn open(&self, sealed: &[u8]) -> Result<Opened, OpenError> {
                let (nonce, sealed) = sealed.split_first_chunk().ok_or(OpenError::Forged)?;
                open(self.as_bytes(), nonce, sealed)
            }
        }
    )*};
}

nonce_prefixed! {
    HandshakeKey: "a `HelloEnvelope`";
    NormalHandshakeKey: "the inner layer of an `AuthEnvelope`";
    StateKey: "a `CallState`";
}

/// Everything two participants say after their hellos: one key, one counter per direction.
///
/// Numbers are not transmitted, so seal at the moment of sending and in that order.
pub struct Pair {
    key: SharedKey,
    sending: Nonces,
    receiving: Nonces,
}

impl Pair {
    /// `key` is X25519HSalsa20 of the two PCKs.
    #[must_use]
    pub fn new(key: SharedKey, own: Cookie, remote: Cookie) -> Self {
        Self {
            key,
            sending: Nonces::new(own),
            receiving: Nonces::new(remote),
        }
    }

    #[cfg(test)]
    pub(super) fn at(key: SharedKey, sending: Nonces, remote: Cookie) -> Self {
        Self {
            key,
            sending,
            receiving: Nonces::new(remote),
        }
    }

    /// Seals the next message: `tag (16) || ciphertext`.
    ///
    /// # Errors
    /// The numbers are used up.
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, CounterExhausted> {
        let nonce = self.sending.take()?;
        Ok(seal(self.key.as_bytes(), &nonce, plain))
    }

    /// Seals an administrator's message and, by `wrap`, the envelope around it, *by the same PCSN*;
    /// the keys differ.
    ///
    /// # Errors
    /// The numbers are used up.
    pub fn seal_admin(
        &mut self,
        admin: &SharedKey,
        plain: &[u8],
        wrap: impl FnOnce(Vec<u8>) -> Opened,
    ) -> Result<Vec<u8>, CounterExhausted> {
        let nonce = self.sending.take()?;
        let envelope = wrap(seal(admin.as_bytes(), &nonce, plain));
        Ok(seal(self.key.as_bytes(), &nonce, &envelope))
    }

    /// Opens the next message; gives its nonce too, which an administrator's message inside shares.
    ///
    /// A message that does not open uses up no number: garbage put in between does no harm.
    ///
    /// # Errors
    /// The sender is wrong, or a message before this one was lost.
    pub fn open(&mut self, sealed: &[u8]) -> Result<(Opened, [u8; NONCE_LEN]), OpenError> {
        let nonce = self.receiving.peek()?;
        let plain = open(self.key.as_bytes(), &nonce, sealed)?;
        self.receiving.take()?;
        Ok((plain, nonce))
    }
}

/// Opens an administrator's message; `nonce` is that of the envelope around it.
///
/// # Errors
/// The sender is no administrator.
pub fn open_admin(
    admin: &SharedKey,
    nonce: &[u8; NONCE_LEN],
    sealed: &[u8],
) -> Result<Opened, OpenError> {
    open(admin.as_bytes(), nonce, sealed)
}

fn seal(key: &[u8; 32], nonce: &[u8; NONCE_LEN], plain: &[u8]) -> Vec<u8> {
    XSalsa20Poly1305::new(key.into())
        .encrypt(nonce.into(), plain)
        .expect("messages are far below the cipher's limit of 256 GiB")
}

fn open(key: &[u8; 32], nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Result<Opened, OpenError> {
    XSalsa20Poly1305::new(key.into())
        .decrypt(nonce.into(), sealed)
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Pair, Pair) {
        let (a, b) = (Cookie::from_bytes([1; 16]), Cookie::from_bytes([2; 16]));
        let key = || SharedKey::from_bytes([3; 32]);
        (Pair::new(key(), a, b), Pair::new(key(), b, a))
    }

    #[test]
    fn messages_open_once_and_in_order_only() {
        let (mut here, mut there) = pair();
        let first = here.seal(b"first").expect("fresh");
        let second = here.seal(b"second").expect("fresh");
        assert_eq!(there.open(&second).err(), Some(OpenError::Forged));
        assert_eq!(&*there.open(&first).expect("in order").0, b"first");
        assert_eq!(there.open(&first).err(), Some(OpenError::Forged));
        assert_eq!(&*there.open(&second).expect("in order").0, b"second");
    }

    #[test]
    fn a_message_sent_back_does_not_open() {
        let (mut here, _) = pair();
        let sealed = here.seal(b"mine").expect("fresh");
        assert_eq!(here.open(&sealed).err(), Some(OpenError::Forged));
    }

    #[test]
    fn garbage_in_between_does_no_harm() {
        let (mut here, mut there) = pair();
        for garbage in [&b""[..], &[0; 15], &[0; 16], &[0; 400]] {
            assert_eq!(there.open(garbage).err(), Some(OpenError::Forged));
        }
        let sealed = here.seal(b"real").expect("fresh");
        assert!(there.open(&sealed).is_ok());
    }
}

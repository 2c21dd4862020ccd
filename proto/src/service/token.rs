//! Tokens for the SFU: made by the directory, checked by the SFU without asking anyone.
//!
//! ```text
//! token = base64url(version 1 ‖ expiry 8 (s since 1970, big endian) ‖ number 16 (random) ‖ tag 32)
//! tag   = BLAKE2b(key=⟨token key⟩, salt='token', personal='hullo-sfu', input=everything before it)
//! ```
//!
//! A token says *somebody the directory knows*, until when, and which token it is; never who.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, Update};
use rand_chacha::rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const VERSION: u8 = 1;
const SIGNED_BYTES: usize = 1 + 8 + 16;
const TOKEN_BYTES: usize = SIGNED_BYTES + 32;

/// Characters of a token at most: what [`TOKEN_BYTES`] come to in base64.
const TOKEN_LEN_MAX: usize = TOKEN_BYTES.div_ceil(3) * 4;

/// A token is not accepted; the client is wrong, and should fetch another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the shape of a token.
    #[error("this is no token of ours; fetch one from the directory")]
    Malformed,
    /// Made with another key.
    #[error("this token was not made by the directory of this server; fetch one from there")]
    Forged,
    /// Its time is over.
    #[error("this token has expired; fetch another from the directory")]
    Expired,
}

/// Which token it is: tells two of them apart and names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenNumber([u8; 16]);

/// What tokens are made and checked with; kept by the server across restarts. No `Debug`: it is a secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// A new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Takes a stored key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key: for storage, never for logs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Makes a token that is good before `expires_at_s` (seconds since 1970).
    pub fn issue(&self, expires_at_s: u64, rng: &mut impl CryptoRng) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&expires_at_s.to_be_bytes());
        rng.fill_bytes(&mut bytes[9..SIGNED_BYTES]);
        let (signed, tag) = bytes.split_at_mut(SIGNED_BYTES);
        tag.copy_from_slice(self.derived(b"token", &[signed]).as_slice());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Checks a token at `now_s` (seconds since 1970).
    ///
    /// # Errors
    /// The client is wrong (status 401).
    pub fn check(&self, token: &str, now_s: u64) -> Result<TokenNumber, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Malformed);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| TokenError::Malformed)?;
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().map_err(|_| TokenError::Malformed)?;
        let (signed, tag) = bytes.split_at(SIGNED_BYTES);
        if signed[0] != VERSION {
            return Err(TokenError::Malformed);
        }
        if !bool::from(self.derived(b"token", &[signed]).ct_eq(tag)) {
            return Err(TokenError::Forged);
        }
        let expires_at_s = u64::from_be_bytes(signed[1..9].try_into().expect("8 bytes"));
        if now_s >= expires_at_s {
            return Err(TokenError::Expired);
        }
        Ok(TokenNumber(signed[9..].try_into().expect("16 bytes")))
    }

    /// `BLAKE2b(key=⟨token key⟩, salt, personal='hullo-sfu', input)`, 32 bytes; salt of at most 16 bytes.
    pub(super) fn derived(&self, salt: &[u8], input: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut mac =
            Blake2bMac::<U32>::new_with_salt_and_personal(Some(&self.0), salt, b"hullo-sfu")
                .expect("key of 32, salt and personal of at most 16 bytes");
        for part in input {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize_fixed().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_two_differ() {
        let (key, mut rng) = (TokenKey::from_bytes([7; 32]), rng());
        let (first, second) = (key.issue(100, &mut rng), key.issue(100, &mut rng));
        let number = key.check(&first, 99).expect("good");
        assert!(number == key.check(&first, 0).expect("good"));
        assert!(number != key.check(&second, 99).expect("good"));
        assert_eq!(key.check(&first, 100).err(), Some(TokenError::Expired));
    }

    #[test]
    fn every_changed_byte_and_every_other_key_is_refused() {
        let (key, mut rng) = (TokenKey::from_bytes([7; 32]), rng());
        let token = key.issue(100, &mut rng);
        let other = TokenKey::from_bytes([8; 32]);
        assert_eq!(other.check(&token, 1).err(), Some(TokenError::Forged));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(
                key.check(&BASE64_URL_SAFE_NO_PAD.encode(changed), 1)
                    .is_err(),
                "byte {at}"
            );
        }
        for bad in [
            "",
            "x",
            &token[1..],
            &format!("{token}A"),
            &"A".repeat(100_000),
        ] {
            assert_eq!(key.check(bad, 1).err(), Some(TokenError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in ".{0,100}") {
            prop_assert!(TokenKey::from_bytes([7; 32]).check(&text, 1).is_err());
        }
    }
}

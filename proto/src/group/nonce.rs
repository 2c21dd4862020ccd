//! Cookies and counters: the nonces of what two participants say to each other.

use rand_chacha::rand_core::CryptoRng;

use super::key::{KeyError, random_bytes};

/// A counter is used up; it refuses to wrap, since a nonce would be used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message counter is used up; leave the call and join again")]
pub struct CounterExhausted;

/// Participant call cookie (PCCK): 16 random bytes, the first part of the sender's nonces.
///
/// The text calls it “32 byte” where `Auth` repeats it; a PCCK has 16 bytes everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cookie([u8; 16]);

impl Cookie {
    /// A fresh cookie, one per remote participant.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_bytes(rng))
    }

    /// Takes a cookie as it stands in messages.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length)
    }
}

/// The nonces of one direction: cookie, then the participant call sequence number (PCSN, u64-le) from 1 on.
pub struct Nonces {
    cookie: Cookie,
    sequence_number: u64,
}

impl Nonces {
    /// Starts a direction whose sender chose `cookie`.
    #[must_use]
    pub fn new(cookie: Cookie) -> Self {
        Self {
            cookie,
            sequence_number: 1,
        }
    }

    /// The nonce of the next message, which is not used up yet.
    ///
    /// # Errors
    /// We are at the end of the numbers.
    pub fn peek(&self) -> Result<[u8; 24], CounterExhausted> {
        // The last value is left unused so that `advance` never has to wrap.
        if self.sequence_number == u64::MAX {
            return Err(CounterExhausted);
        }
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&self.cookie.0);
        nonce[16..].copy_from_slice(&self.sequence_number.to_le_bytes());
        Ok(nonce)
    }

    /// `PCSN+`: gives the nonce and uses it up.
    ///
    /// # Errors
    /// We are at the end of the numbers.
    pub fn take(&mut self) -> Result<[u8; 24], CounterExhausted> {
        let nonce = self.peek()?;
        self.sequence_number += 1;
        Ok(nonce)
    }

    #[cfg(test)]
    pub(crate) fn at(cookie: Cookie, sequence_number: u64) -> Self {
        Self {
            cookie,
            sequence_number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_1_and_each_is_used_once() {
        let mut nonces = Nonces::new(Cookie::from_bytes([9; 16]));
        assert_eq!(nonces.peek().expect("fresh")[16..], 1_u64.to_le_bytes());
        assert_eq!(nonces.take().expect("fresh")[16..], 1_u64.to_le_bytes());
        assert_eq!(nonces.take().expect("fresh")[16..], 2_u64.to_le_bytes());
    }

    #[test]
    fn the_counter_refuses_to_wrap() {
        let mut nonces = Nonces::at(Cookie::from_bytes([9; 16]), u64::MAX - 1);
        assert!(nonces.take().is_ok());
        assert_eq!(nonces.take(), Err(CounterExhausted));
        assert_eq!(nonces.take(), Err(CounterExhausted));
    }
}

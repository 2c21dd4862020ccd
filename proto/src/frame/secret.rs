//! The secret that both sides of a one-to-one call share.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The raw 32-byte X25519 output of a call. Wiped when dropped, never printed, never all zero.
///
/// All-zero output means that the peer sent a point of small order (RFC 7748 §6.1): anyone could know that key.
pub struct CallSecret(Zeroizing<[u8; 32]>);

/// Why bytes cannot be a call's secret: the peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The result of the key exchange is all zero.
    #[error("the other side sent a call key that protects nothing")]
    AllZero,
}

impl CallSecret {
    /// Takes 32 bytes of X25519 output.
    ///
    /// # Errors
    /// [`SecretError::AllZero`]: the peer's key was a point of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        if bool::from(bytes.ct_eq(&[0; 32])) {
            return Err(SecretError::AllZero);
        }
        Ok(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_zero_output_is_refused_and_one_set_bit_is_enough() {
        assert_eq!(
            CallSecret::from_bytes([0; 32]).err(),
            Some(SecretError::AllZero)
        );
        let mut bytes = [0; 32];
        bytes[31] = 0x80;
        assert!(CallSecret::from_bytes(bytes).is_ok());
    }
}

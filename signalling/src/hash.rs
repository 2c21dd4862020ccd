//! BLAKE2b-256 with a purpose: one hash for names, checksums and duplicates, kept apart by the personal string.

use blake2::Blake2bMac;
use blake2::digest::{FixedOutput, Update, consts::U32};

/// BLAKE2b-256 of `message`. `personal` names the purpose: at most 16 bytes.
pub(crate) fn hash(personal: &[u8], message: &[u8]) -> [u8; 32] {
    assert!(
        personal.len() <= 16,
        "BLAKE2b has 16 bytes for the personal string"
    );
    let mut hasher = Blake2bMac::<U32>::new_with_salt_and_personal(None, &[], personal)
        .expect("no key, no salt and at most 16 bytes of personal string are allowed");
    hasher.update(message);
    hasher.finalize_fixed().into()
}

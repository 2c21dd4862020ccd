//! The short contact link: where a sealed letter lies, and the secret that fetches and opens it. The letter is the
//! whole link ([`crate::link`]).
//!
//! `hullo:s.` and the base32 (RFC 4648, no padding, either case) of:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 16 | secret |
//! | 24 | recipient id of the letter's queue |
//! | 4 | expiry, seconds since 1970 |
//! | 1 + n, 2, 32 | host, port, pin of the server ([`ServerUrl`]) |
//! | 4 | checksum: first bytes of BLAKE2b-256 (personal `hullo-short-link`) over all before |
//!
//! Two keys come of the secret, each BLAKE2b-256 with a personal string of its own: the seed of the Ed25519 key that reads
//! the queue (`hullo-short-sign`), and the key that seals the letter (`hullo-short-seal`). The relay knows neither, so it
//! can neither read a letter nor write another one.
//!
//! Upper case keeps a QR code small: base32 is within the code's alphanumeric set.

use std::sync::LazyLock;
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, Encoding};
use hullo_proto::service::relay::RecipientId;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::block::SealKey;
use crate::bytes::Bytes;
use crate::hash::hash;
use crate::link::{LinkError, read_server, write_server};
use crate::server_url::ServerUrl;

/// What every short link begins with, in either case.
pub const SHORT_PREFIX: &str = "hullo:s.";

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// The length of the host stands behind version, secret, id and expiry.
const HOST_AT: usize = 1 + 16 + 24 + 4;
/// All but the host.
const FIXED_BYTES: usize = HOST_AT + 1 + 2 + 32 + CHECKSUM_BYTES;
const CHECKSUM: &[u8] = b"hullo-short-link";
/// Longest text looked at: a host of 253 bytes needs 540.
const TEXT_BYTES_MAX: usize = 1024;

/// 128 bits that read and open one letter. No `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct LetterSecret([u8; 16]);

impl LetterSecret {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Self([0; 16]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// Seed of the Ed25519 key that reads the letter's queue.
    pub fn reading_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hash(b"hullo-short-sign", &self.0))
    }

    /// What the letter is sealed with.
    pub fn seal_key(&self) -> SealKey {
        SealKey::new(hash(b"hullo-short-seal", &self.0))
    }
}

/// Where a letter lies, and what opens it.
#[derive(Clone)]
pub struct ShortLink {
    /// Opens it.
    pub secret: LetterSecret,
    /// Its queue.
    pub recipient: RecipientId,
    /// Until when it is good; since 1970, whole seconds.
    pub expires: Duration,
    /// Where the queue is.
    pub server: ServerUrl,
}

impl ShortLink {
    /// The text to pass on: one line of about 170 characters, lower case.
    pub fn to_text(&self) -> String {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(&self.secret.0);
        bytes.extend_from_slice(&self.recipient.0);
        let expires = u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&expires.to_be_bytes());
        write_server(&mut bytes, &self.server);
        let checksum = hash(CHECKSUM, &bytes);
        bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        format!("{SHORT_PREFIX}{}", BASE32_NOPAD.encode(&bytes)).to_ascii_lowercase()
    }

    /// Whether the text means to be one, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        (text.trim_start().get(..SHORT_PREFIX.len()))
            .is_some_and(|start| start.eq_ignore_ascii_case(SHORT_PREFIX))
    }

    /// Reads one; white space in it is forgiven, as in the whole link.
    ///
    /// # Errors
    /// The text is at fault, see [`LinkError`].
    pub fn from_text(text: &str) -> Result<Self, LinkError> {
        if text.len() > TEXT_BYTES_MAX || !Self::is_meant(text) {
            return Err(LinkError::NotALink);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let encoded = text.get(SHORT_PREFIX.len()..).ok_or(LinkError::NotALink)?;
        let bytes = Zeroizing::new(decode(encoded).ok_or(LinkError::Checksum)?);
        match bytes.first() {
            None => Err(LinkError::Truncated),
            Some(&VERSION) => Self::read(&bytes),
            Some(0) => Err(LinkError::Checksum),
            Some(_) => Err(LinkError::Newer),
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, LinkError> {
        let host_bytes = *bytes.get(HOST_AT).ok_or(LinkError::Truncated)?;
        let length = FIXED_BYTES + usize::from(host_bytes);
        if bytes.len() < length {
            return Err(LinkError::Truncated);
        }
        let (body, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(LinkError::Truncated)?;
        if bytes.len() > length || hash(CHECKSUM, body)[..CHECKSUM_BYTES] != *checksum {
            return Err(LinkError::Checksum);
        }
        Self::read_fields(&body[1..]).ok_or(LinkError::Content)
    }

    fn read_fields(fields: &[u8]) -> Option<Self> {
        let mut fields = Bytes(fields);
        let link = Self {
            secret: LetterSecret(fields.array()?),
            recipient: RecipientId(fields.array()?),
            expires: Duration::from_secs(fields.array().map(u32::from_be_bytes)?.into()),
            server: read_server(&mut fields)?,
        };
        fields.0.is_empty().then_some(link)
    }
}

/// The whole bytes of a text that may be cut anywhere; `None` for letters that base32 has not.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    static FORGIVING: LazyLock<Encoding> = LazyLock::new(|| {
        let mut specification = BASE32_NOPAD.specification();
        // What is left of a byte at the end is no mistake of the part before.
        specification.check_trailing_bits = false;
        specification
            .encoding()
            .expect("a known encoding with one check less")
    });
    let encoded = encoded.to_ascii_uppercase();
    // These lengths end inside a byte that has not even begun to count.
    let spare = match encoded.len() % 8 {
        1 | 3 | 6 => 1,
        _ => 0,
    };
    let whole = encoded.get(..encoded.len() - spare)?;
    FORGIVING.decode(whole.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn link(host: &str) -> ShortLink {
        ShortLink {
            secret: LetterSecret::generate(&mut ChaCha20Rng::seed_from_u64(3)),
            recipient: RecipientId([7; 24]),
            expires: Duration::from_secs(1_800_000_000),
            server: ServerUrl::new(host, 44_333, [9; 32]).unwrap(),
        }
    }

    fn refused(text: &str) -> LinkError {
        ShortLink::from_text(text).err().expect("no usable link")
    }

    #[test]
    fn it_is_read_as_written_in_either_case_and_over_broken_lines() {
        for host in ["192.168.178.200", "relay.example.org", "fe80::1"] {
            let link = link(host);
            let text = link.to_text();
            let broken = format!(" {}\n{} ", &text[..40], &text[40..]);
            for text in [text.clone(), text.to_ascii_uppercase(), broken] {
                let back = ShortLink::from_text(&text).expect("a good link");
                assert!(back.secret == link.secret, "{text}");
                assert_eq!(back.recipient, link.recipient);
                assert_eq!(back.expires, link.expires);
                assert_eq!(back.server, link.server);
            }
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        let text = link("relay.example.org").to_text();
        assert_eq!(refused("hello"), LinkError::NotALink);
        assert_eq!(refused("hullo:s."), LinkError::Truncated);
        for cut in SHORT_PREFIX.len()..text.len() {
            assert_eq!(refused(&text[..cut]), LinkError::Truncated, "{cut}");
        }
        assert_eq!(refused(&format!("{text}aa")), LinkError::Checksum);
        assert_eq!(
            refused(&text.replace("hullo:s.a", "hullo:s.b")),
            LinkError::Newer
        );
        assert_eq!(
            refused(&format!("{}1", &text[..text.len() - 1])),
            LinkError::Checksum
        );
    }

    proptest! {
        #[test]
        fn one_letter_changed_is_noticed(at in SHORT_PREFIX.len()..100usize, letter in "[a-z2-7]") {
            let text = link("10.0.0.1").to_text();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            prop_assert!(changed == text || ShortLink::from_text(&changed).is_err());
        }

        #[test]
        fn no_text_panics(text in "(hullo:s\\.)?\\PC{0,200}") {
            let _ = ShortLink::from_text(&text);
        }
    }
}

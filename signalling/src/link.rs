//! The contact link: `hullo:` and the base64url of a versioned binary record.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 2 | length of the whole record, so that a truncated link is told from an altered one |
//! | 8 | expiry, seconds since 1970 |
//! | 160 | key set of the inviter ([`crate::identity`]) |
//! | 32 | one-time key of the message ratchet: used up by the first message |
//! | 24 | sender id of the invitation queue: the relay binds it to the first sender |
//! | 32 | seal key of that queue ([`crate::block`]) |
//! | 1 + n | inviter's name |
//! | 1 | number of servers, 1 to 4, in order of preference; then for each: |
//! | 1 + n, 2, 32 | host, port, pin ([`ServerUrl`]) |
//! | 4 | checksum: first bytes of BLAKE2b-256 (personal `hullo-link`) over all before |
//!
//! The checksum is against mistakes, not against attackers: who can alter a link on its way can write a new one.
//! A link is a secret until it is used: it is never logged and has no `Debug`.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hullo_proto::service::relay::SenderId;
use thiserror::Error;
use vodozemac::Curve25519PublicKey;

use crate::block::SealKey;
use crate::bytes::{Bytes, write_text};
use crate::hash::hash;
use crate::identity::{KEY_SET_BYTES, KeySet};
use crate::name;
use crate::server_url::ServerUrl;

/// What every link begins with.
pub const PREFIX: &str = "hullo:";
/// How long a link is good for.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// One, and room for a server's other addresses.
const SERVERS_MAX: usize = 4;
/// Longest text looked at: four servers with the longest hosts need 2 kB.
const TEXT_BYTES_MAX: usize = 4096;

/// An invitation, as somebody passes it on.
#[derive(Clone)]
pub struct Link {
    /// Since 1970.
    pub expires: Duration,
    /// Who invites.
    pub key_set: KeySet,
    /// Starts the message ratchet, once.
    pub one_time_key: Curve25519PublicKey,
    /// Where to write.
    pub sender: SenderId,
    /// What to seal blocks for that queue with.
    pub seal_key: SealKey,
    /// What the inviter is called; clean.
    pub name: String,
    /// Where the queue is; at least one.
    pub servers: Vec<ServerUrl>,
}

/// Why a text is no usable link, in words for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Something else altogether.
    #[error("this is not a contact link: those begin with {PREFIX}")]
    NotALink,
    /// The end is missing.
    #[error("the end of the link is missing: copy the whole of it, it is one line")]
    Truncated,
    /// The right length or longer, and wrong.
    #[error("the link was changed on its way (a letter mistyped?): copy it again")]
    Checksum,
    /// Made by a later Hullo.
    #[error("the link was made by a newer Hullo: update this one")]
    Newer,
    /// Past its expiry.
    #[error("the link is too old: ask for a new one (links are good for 7 days)")]
    Expired,
    /// Correct checksum, impossible content.
    #[error("the link holds keys or addresses that cannot be: ask for a new one")]
    Content,
}

impl Link {
    /// The text to pass on: one line of about 500 characters.
    pub fn to_text(&self) -> String {
        let mut bytes = vec![VERSION, 0, 0];
        bytes.extend_from_slice(&self.expires.as_secs().to_be_bytes());
        bytes.extend_from_slice(&self.key_set.to_bytes());
        bytes.extend_from_slice(self.one_time_key.as_bytes());
        bytes.extend_from_slice(&self.sender.0);
        bytes.extend_from_slice(self.seal_key.as_bytes());
        write_text(&mut bytes, &self.name);
        let servers = &self.servers[..self.servers.len().min(SERVERS_MAX)];
        bytes.push(u8::try_from(servers.len()).expect("at most four"));
        for server in servers {
            write_server(&mut bytes, server);
        }
        let length = u16::try_from(bytes.len() + CHECKSUM_BYTES).expect("four servers need 2 kB");
        bytes[1..3].copy_from_slice(&length.to_be_bytes());
        let checksum = hash(b"hullo-link", &bytes);
        bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a link. White space in it is forgiven: terminals and mail break lines.
    ///
    /// # Errors
    /// The text is at fault, see [`LinkError`]. Expiry is not looked at here: [`Self::check_expiry`].
    pub fn from_text(text: &str) -> Result<Self, LinkError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(LinkError::NotALink);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let encoded = match text.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => return Err(LinkError::NotALink),
        };
        if encoded.is_empty() {
            return Err(LinkError::Truncated);
        }
        let bytes = decode(encoded).ok_or(LinkError::Checksum)?;
        match bytes[0] {
            VERSION => Self::read(&bytes),
            0 => Err(LinkError::Checksum),
            // Only what arrived whole tells who made it: most of what begins so is no link at all.
            _ => match checked(&bytes) {
                Ok(_) => Err(LinkError::Newer),
                Err(error) => Err(error),
            },
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, LinkError> {
        Self::read_body(&checked(bytes)?[3..]).ok_or(LinkError::Content)
    }

    fn read_body(body: &[u8]) -> Option<Self> {
        let mut body = Bytes(body);
        let expires = Duration::from_secs(body.u64()?);
        let key_set = KeySet::from_bytes(&body.array::<KEY_SET_BYTES>()?).ok()?;
        let one_time_key = Curve25519PublicKey::from_bytes(body.array()?);
        let sender = SenderId(body.array()?);
        let seal_key = SealKey::new(body.array()?);
        let name = name::clean(body.text()?)?;
        let count = usize::from(body.u8()?);
        if !(1..=SERVERS_MAX).contains(&count) {
            return None;
        }
        let servers = (0..count)
            .map(|_| read_server(&mut body))
            .collect::<Option<_>>()?;
        let link = Self {
            expires,
            key_set,
            one_time_key,
            sender,
            seal_key,
            name,
            servers,
        };
        body.0.is_empty().then_some(link)
    }

    /// Whether the link is still good. `clock` is the time since 1970.
    ///
    /// # Errors
    /// [`LinkError::Expired`].
    pub fn check_expiry(&self, clock: Duration) -> Result<(), LinkError> {
        if clock >= self.expires {
            Err(LinkError::Expired)
        } else {
            Ok(())
        }
    }
}

/// The record without its checksum, where it has its length and that is right. Every version begins and ends alike.
fn checked(bytes: &[u8]) -> Result<&[u8], LinkError> {
    let length = match bytes.get(1..3) {
        Some(length) => usize::from(u16::from_be_bytes([length[0], length[1]])),
        None => return Err(LinkError::Truncated),
    };
    if bytes.len() < length {
        return Err(LinkError::Truncated);
    }
    let (body, checksum) = bytes
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(LinkError::Truncated)?;
    if bytes.len() > length || hash(b"hullo-link", body)[..CHECKSUM_BYTES] != *checksum {
        return Err(LinkError::Checksum);
    }
    if body.len() < 3 {
        Err(LinkError::Checksum)
    } else {
        Ok(body)
    }
}

/// Characters from the front as far as they are base64url: a text cut anywhere still yields its whole bytes, and is
/// then found too short.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let whole = match encoded.len() % 4 {
        1 => encoded.get(..encoded.len() - 1)?,
        _ => encoded,
    };
    // Cut inside a byte, its left-over bits are no mistake of the part before.
    const FORGIVING: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
    );
    let bytes = FORGIVING.decode(whole).ok()?;
    if bytes.is_empty() {
        Some(vec![VERSION])
    } else {
        Some(bytes)
    }
}

/// Host, port and pin, as they stand in links and in greetings.
pub(crate) fn write_server(bytes: &mut Vec<u8>, server: &ServerUrl) {
    write_text(bytes, server.host());
    bytes.extend_from_slice(&server.port().to_be_bytes());
    bytes.extend_from_slice(server.pin());
}

/// What [`write_server`] wrote.
pub(crate) fn read_server(bytes: &mut Bytes<'_>) -> Option<ServerUrl> {
    let (host, port, pin) = (bytes.text()?, bytes.u16()?, bytes.array()?);
    ServerUrl::new(host, port, pin).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::identity::Identity;

    fn link() -> Link {
        let identity = Identity::generate(&mut ChaCha20Rng::seed_from_u64(1));
        Link {
            expires: Duration::from_secs(1_800_000_000),
            key_set: *identity.key_set(),
            one_time_key: Curve25519PublicKey::from_bytes([9; 32]),
            sender: SenderId([7; 24]),
            seal_key: SealKey::new([5; 32]),
            name: "Ann of Green Gables".into(),
            servers: vec![
                ServerUrl::new("relay.example.org", 4433, [3; 32]).unwrap(),
                ServerUrl::new("fe80::1", 65_535, [4; 32]).unwrap(),
            ],
        }
    }

    fn error(text: &str) -> LinkError {
        Link::from_text(text).err().expect("no usable link")
    }

    #[test]
    fn a_link_survives_its_text_and_broken_lines() {
        let link = link();
        let text = link.to_text();
        assert!(text.len() < 640, "{} characters", text.len());
        let broken =
            format!("  {}\r\n   {}\n", &text[..70], &text[70..]).replacen("hullo", "HULLO", 1);
        for text in [text.clone(), broken] {
            let back = Link::from_text(&text).expect("a good link");
            assert_eq!(back.to_text(), link.to_text());
            assert!(
                back.name == link.name
                    && back.servers == link.servers
                    && back.sender == link.sender
            );
            assert!(back.key_set == link.key_set && back.expires == link.expires);
        }
    }

    #[test]
    fn a_link_cut_anywhere_is_truncated_and_not_something_else() {
        let text = link().to_text();
        for end in PREFIX.len()..text.len() {
            assert_eq!(error(&text[..end]), LinkError::Truncated, "cut at {end}");
        }
        assert_eq!(error(&text[..3]), LinkError::NotALink);
    }

    #[test]
    fn what_is_not_a_link_is_told_apart() {
        assert_eq!(error(""), LinkError::NotALink);
        assert_eq!(error("https://example.org"), LinkError::NotALink);
        assert_eq!(error("7314-amber-lantern"), LinkError::NotALink);
        assert_eq!(error(&"hullo:A".repeat(1000)), LinkError::NotALink);
        assert_eq!(error("hullo:not base64 at all!"), LinkError::Checksum);
        assert_eq!(error(&(link().to_text() + "AAAA")), LinkError::Checksum);
        assert_eq!(error("hullo:garbage"), LinkError::Truncated);
        assert_eq!(error("hullo:AgAAAAAA"), LinkError::Checksum);
        let mut newer = vec![VERSION + 1, 0, 7];
        let checksum = hash(b"hullo-link", &newer);
        newer.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        let newer = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(newer));
        assert_eq!(error(&newer), LinkError::Newer);
    }

    #[test]
    fn a_link_ends_at_its_expiry() {
        let link = link();
        assert_eq!(
            link.check_expiry(link.expires - Duration::from_secs(1)),
            Ok(())
        );
        assert_eq!(link.check_expiry(link.expires), Err(LinkError::Expired));
    }

    proptest! {
        #[test]
        fn a_changed_letter_is_noticed(at in 6usize..400, letter in "[A-Za-z0-9_-]") {
            let text = link().to_text();
            let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
            prop_assert!(changed == text || Link::from_text(&changed).is_err());
        }

        #[test]
        fn any_text_never_panics(text in "(hullo:)?(AQ[A-Za-z0-9_-]{0,60}|.{0,60})") {
            let _ = Link::from_text(&text);
        }

        #[test]
        fn any_record_with_a_good_checksum_never_panics(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Link::read_body(&body);
        }
    }
}

//! Raw messages in, checked types out, and back: the only place that sees generated code.
//!
//! What is unknown (a field, a content, an enum value of a later text) never makes decoding
//! fail: it is skipped or comes out as `Unknown`. What is known must be right: lengths, ranges,
//! characters. Every message that has padding is padded at random on encoding, and padding is
//! ignored on decoding; only relays carry none (*omit any additional padding*).

mod http;
mod peer;
mod sfu;
mod state;

pub use http::{
    HeaderExtensionIds, JoinRequest, JoinResponse, PeekRequest, PeekResponse, SupportedFeatures,
};
pub use peer::{
    AdminMessage, Auth, AuthMessage, Capture, Device, ForcedOff, Hello, HelloMessage, PeerMessage,
    SentKey,
};
pub use sfu::{FromSfu, Relay, Subscription, ToSfu, View};
pub use state::{CallState, ParticipantName, StartMessage};

use prost::Message;
use rand_chacha::rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::id::IdError;
use super::key::KeyError;

#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::pedantic,
    reason = "generated from call.proto; nothing outside this module sees it"
)]
mod raw {
    include!(concat!(env!("OUT_DIR"), "/group_call.rs"));
}

/// Bytes of one message on the data channel at most (`a=max-message-size` of the clients).
pub const MESSAGE_LEN_MAX: usize = 131_072;

/// Bytes of an HTTP body of the SFU at most: a call state of 790 people fits many times over.
pub const BODY_LEN_MAX: usize = 262_144;

/// Bytes of a name kept; longer ones are cut. Clients allow 32; a roster must stay small.
pub const NAME_LEN_MAX: usize = 128;

/// Bytes of padding at most; clients use 0 to 255.
const PADDING_LEN_MAX: usize = 255;

/// A message is not what it should be; the sender is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not a message at all.
    #[error("the message cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    /// Longer than [`MESSAGE_LEN_MAX`] or [`BODY_LEN_MAX`].
    #[error("the message is too long ({0} bytes)")]
    TooLong(usize),
    /// A field that must be there is missing or empty.
    #[error("the message lacks `{0}`")]
    Missing(&'static str),
    /// A field has a value it cannot have.
    #[error("`{0}` has a value that is not allowed")]
    Invalid(&'static str),
    /// A participant id, identity or call id is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A nickname or a guest's name: cut to [`NAME_LEN_MAX`] bytes, without control characters, possibly empty.
///
/// It is drawn on terminals, so nothing that could steer one gets through.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Takes what somebody calls himself.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut name = String::new();
        for character in text.chars().filter(|c| !c.is_control()) {
            if name.len() + character.len_utf8() > NAME_LEN_MAX {
                break;
            }
            name.push(character);
        }
        Self(name)
    }

    /// The name as it may be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names are personal and stay out of logs.
        write!(f, "Name({} bytes)", self.0.len())
    }
}

/// Padding of random length and content.
pub(crate) fn padding(rng: &mut impl CryptoRng) -> Vec<u8> {
    let len = usize::from((rng.next_u32() & 0xff) as u8).min(PADDING_LEN_MAX);
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn decode<M: Message + Default>(bytes: &[u8], len_max: usize) -> Result<M, WireError> {
    if bytes.len() > len_max {
        return Err(WireError::TooLong(bytes.len()));
    }
    Ok(M::decode(bytes)?)
}

/// Encodes what may hold a key: the buffer is wiped when dropped, and never grows (which would leave a copy behind).
fn encode(message: &impl Message) -> Zeroizing<Vec<u8>> {
    let mut bytes = Vec::with_capacity(message.encoded_len());
    message
        .encode(&mut bytes)
        .expect("the buffer has the encoded length");
    Zeroizing::new(bytes)
}

#[cfg(test)]
mod tests;

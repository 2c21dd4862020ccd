//! What a participant and the SFU say to each other: the messages of the group-call protocol that a server may see, and
//! one small channel of our own.
//!
//! **Relays** are forwarded as they came, so [`Inspected::of`] only reads whom they are for, and refuses whatever would
//! mean something else to the receiver than to the SFU: the two envelopes share their field numbers, not their meaning.
//!
//! **Wanted layers.** A client that sends [`WANTED_HEADER`] with its Join and gets it back has a second negotiated channel,
//! id [`WANTED_CHANNEL_ID`], ordered and reliable, label [`WANTED_CHANNEL_LABEL`]. On it the SFU says which layers anybody watches, so that no
//! other need be encoded:
//!
//! ```text
//! version 1 ‖ camera layers 1 (bits l 1, m 2, h 4) ‖ width 2 ‖ height 2 ‖ fps 1 ‖ screen 1 (0 or 1) ‖ width 2 ‖ height 2 ‖ fps 1
//! ```
//!
//! Integers are big endian; a size or rate of 0 means *as you like*. A new message replaces the one before. [`ENDING`] on the
//! same channel says that the SFU ends soon; who does not know it counts it as refused and loses nothing.

use prost::encoding::{WireType, decode_key, decode_varint};

pub use crate::group::id::{CallId, IdError, PROTOCOL_VERSION, ParticipantId};
pub use crate::group::mid::{Mid, Mids, alphanumeric_ids};
pub use crate::group::wire::{
    BODY_LEN_MAX, FromSfu, HeaderExtensionIds, JoinRequest, JoinResponse, MESSAGE_LEN_MAX,
    PeekRequest, PeekResponse, Relay, Subscription, SupportedFeatures, ToSfu, View, WireError,
};

#[cfg(test)]
mod tests;

/// The HTTP header that agrees on the channel of wanted layers; its value is [`WANTED_VERSION`].
pub const WANTED_HEADER: &str = "hullo-wanted";
/// Value of [`WANTED_HEADER`], and first byte of every message.
pub const WANTED_VERSION: u8 = 1;
/// SCTP stream of the channel.
pub const WANTED_CHANNEL_ID: u16 = 2;
/// Label of the channel.
pub const WANTED_CHANNEL_LABEL: &str = "hullo-wanted";
/// The SFU ends soon. Calls go on if it is back soon after.
pub const ENDING: [u8; 1] = [0xff];
/// SCTP stream of the protocol's own channel.
pub const MESSAGE_CHANNEL_ID: u16 = 0;
/// Label of the protocol's own channel.
pub const MESSAGE_CHANNEL_LABEL: &str = "p2s";

const WANTED_BYTES: usize = 13;

/// A message of a participant as far as the SFU must look before forwarding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// To be passed on as it is.
    Relay {
        /// Who claims to have sent it.
        sender: ParticipantId,
        /// Whom it is for.
        receiver: ParticipantId,
    },
    /// For the SFU itself: decode it.
    ForSfu,
}

impl Inspected {
    /// Looks at one message.
    ///
    /// # Errors
    /// The participant is wrong: no protobuf, or a relay that holds more than padding and one envelope with one sender and
    /// one receiver.
    pub fn of(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(WireError::TooLong(bytes.len()));
        }
        let (mut relay, mut others) = (None, false);
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(_)) => {}
                (2, Value::Bytes(_)) if relay.is_some() => return Err(WireError::Invalid("relay")),
                (2, Value::Bytes(envelope)) => relay = Some(envelope),
                _ => others = true,
            }
        }
        match relay {
            None => Ok(Self::ForSfu),
            Some(_) if others => Err(WireError::Invalid("relay")),
            Some(envelope) => Self::of_envelope(envelope),
        }
    }

    fn of_envelope(envelope: &[u8]) -> Result<Self, WireError> {
        let (mut sender, mut receiver) = (None, None);
        for field in Fields(envelope) {
            let (slot, number, name) = match field? {
                (1, Value::Number(number)) => (&mut sender, number, "sender"),
                (2, Value::Number(number)) => (&mut receiver, number, "receiver"),
                (1 | 2, Value::Bytes(_)) => return Err(WireError::Invalid("relay")),
                _ => continue,
            };
            if slot.is_some() {
                return Err(WireError::Invalid(name));
            }
            let number = u32::try_from(number).map_err(|_| WireError::Invalid(name))?;
            *slot = Some(ParticipantId::try_from(number)?);
        }
        Ok(Self::Relay {
            sender: sender.ok_or(WireError::Missing("sender"))?,
            receiver: receiver.ok_or(WireError::Missing("receiver"))?,
        })
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, one level deep; ends after the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let (number, kind) = decode_key(&mut self.0)?;
        let len = match kind {
            WireType::Varint => return Ok((number, Value::Number(decode_varint(&mut self.0)?))),
            WireType::LengthDelimited => {
                usize::try_from(decode_varint(&mut self.0)?).unwrap_or(usize::MAX)
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            // Groups: long gone from the protocol's kind of protobuf.
            WireType::StartGroup | WireType::EndGroup => return Err(WireError::Invalid("group")),
        };
        let (bytes, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(WireError::Invalid("length"))?;
        self.0 = rest;
        Ok((number, Value::Bytes(bytes)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Which of one's own pictures anybody watches, and how large at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayersWanted {
    /// Camera layers l, m, h.
    pub camera: [bool; 3],
    /// The largest size and rate any viewer of the camera asked for; a side is at most 65,535, a rate 255.
    pub camera_view: View,
    /// Whether anybody watches the screen, and its largest size and rate.
    pub screen: Option<View>,
}

impl LayersWanted {
    /// Reads one message.
    ///
    /// # Errors
    /// The SFU is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let bytes: &[u8; WANTED_BYTES] = bytes
            .try_into()
            .map_err(|_| WireError::Invalid("wanted layers"))?;
        if bytes[0] != WANTED_VERSION || bytes[1] > 0b111 || bytes[7] > 1 {
            return Err(WireError::Invalid("wanted layers"));
        }
        let view = |at: usize| View {
            width: u16::from_be_bytes([bytes[at], bytes[at + 1]]).into(),
            height: u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]).into(),
            fps: bytes[at + 4].into(),
        };
        Ok(Self {
            camera: std::array::from_fn(|layer| bytes[1] & (1 << layer) != 0),
            camera_view: view(2),
            screen: (bytes[7] == 1).then(|| view(8)),
        })
    }

    /// Writes one message.
    #[must_use]
    pub fn encode(&self) -> [u8; WANTED_BYTES] {
        let mut bytes = [0; WANTED_BYTES];
        let layers = self.camera.iter().enumerate();
        bytes[0] = WANTED_VERSION;
        bytes[1] = layers
            .map(|(layer, &wanted)| u8::from(wanted) << layer)
            .sum();
        bytes[2..7].copy_from_slice(&view_bytes(self.camera_view));
        bytes[7] = u8::from(self.screen.is_some());
        bytes[8..].copy_from_slice(&view_bytes(self.screen.unwrap_or_default()));
        bytes
    }
}

fn view_bytes(view: View) -> [u8; 5] {
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).to_be_bytes();
    let ([w0, w1], [h0, h1]) = (side(view.width), side(view.height));
    [w0, w1, h0, h1, u8::try_from(view.fps).unwrap_or(u8::MAX)]
}

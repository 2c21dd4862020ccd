//! The messages of a one-to-one call.
//!
//! `x.call.*` are SimpleX's, with its encodings (their wire form is in the sibling module `wire`); `x.hullo.*` and the
//! `hullo` object are ours. Members that are not known are ignored, so that both may grow.

use std::fmt;

use rand::CryptoRng;

use super::lz::LzError;
use super::wire;

/// Longest message written, in bytes: what fits one chat message of SimpleX and one sealed block of our relay.
pub const MESSAGE_BYTES_MAX: usize = 15_602;

/// A call's id: 16 random bytes, one for each call.
///
/// Shows only its first three bytes: enough to tell calls apart in a log, too little to find them by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub [u8; 16]);

/// With or without a camera at the start. Either side can switch it during the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Sound alone.
    Audio,
    /// Sound and the camera.
    Video,
}

/// Whether a session description offers or answers (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// The callee's.
    Offer,
    /// The caller's.
    Answer,
}

/// One message about a call.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// `x.call.inv`: the caller wants to talk.
    Invitation(Invitation),
    /// `x.call.offer`: the callee accepted.
    Offer(Offer),
    /// `x.call.answer`: the caller's half of the session.
    Answer(Answer),
    /// `x.call.extra`: addresses found later.
    Extra(Extra),
    /// `x.call.end`: either side is done.
    End(CallId),
    /// `x.call.end` with `gone`, which others take for the same: the sender's program died in the call and says so when it
    /// runs again. Nobody hung up.
    Gone(CallId),
    /// `x.hullo.ringing`: the callee's program shows the call.
    Ringing(CallId),
    /// `x.hullo.refused`: the callee does not take the call.
    Refused {
        /// The call that is refused.
        call_id: CallId,
        /// Why.
        reason: RefusalReason,
    },
    /// `x.hullo.restart`: a new session beside one that lost its way.
    Restart(Restart),
    /// An event this version does not know: not an error, and nothing to do.
    Unknown {
        /// Its name, at most 64 characters, without control characters.
        event: String,
    },
}

/// What a caller says of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The new call.
    pub call_id: CallId,
    /// What the caller starts with.
    pub media: Media,
    /// The caller's X25519 public key of this call; `None` if it does not encrypt frames.
    pub public_key: Option<[u8; 32]>,
    /// What the caller's program can do; `None` if it is not ours.
    pub hullo: Option<Hullo>,
}

/// What a callee sends when it accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// The call that is accepted.
    pub call_id: CallId,
    /// What the callee starts with.
    pub media: Media,
    /// The callee's X25519 public key of this call; `None` if it does not encrypt frames.
    pub public_key: Option<[u8; 32]>,
    /// The session description, without candidates.
    pub sdp: String,
    /// Where the callee may be reached.
    pub candidates: Vec<IceCandidate>,
    /// What the callee's program can do; `None` if it is not ours.
    pub hullo: Option<Hullo>,
}

/// What the caller sends upon the offer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The call.
    pub call_id: CallId,
    /// The session description, without candidates.
    pub sdp: String,
    /// Where the caller may be reached.
    pub candidates: Vec<IceCandidate>,
    /// What the caller's program can do; `None` if it is not ours.
    pub hullo: Option<Hullo>,
}

/// Candidates found after the description was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Extra {
    /// The call.
    pub call_id: CallId,
    /// The new ones.
    pub candidates: Vec<IceCandidate>,
}

/// A description for a new session of a running call, under the call's old keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Restart {
    /// The call.
    pub call_id: CallId,
    /// Which new session: 1 for the first, so that a late message is told from a current one.
    pub generation: u32,
    /// Offer or answer.
    pub kind: DescriptionKind,
    /// The session description, without candidates.
    pub sdp: String,
    /// Where the sender may be reached.
    pub candidates: Vec<IceCandidate>,
}

/// One ICE candidate as browsers write it (`RTCIceCandidateInit`, WebRTC 1.0 §4.8.1). Its text stays opaque here.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCandidate {
    /// `candidate:…` (RFC 8839 §5.1); empty means that no more follow. At most 1,024 bytes.
    pub candidate: String,
    /// The track it belongs to; all tracks share the first one's.
    pub mid: Option<String>,
    /// The same as a number from 0.
    pub m_line_index: Option<u16>,
    /// The ICE user name fragment it belongs to.
    pub username_fragment: Option<String>,
}

/// What our own clients tell each other beside the call message proper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hullo {
    /// Of this object; 1 now. A higher one only adds.
    pub version: u32,
    /// Frame layouts the sender takes, best first: `hullo`.
    pub layouts: Vec<String>,
    /// Video codecs the sender takes, best first: `h264`.
    pub codecs: Vec<String>,
    /// Whether the sender starts the data channel for mute, wanted size and hold.
    pub side_channel: bool,
    /// Whether the sender reads parity over the packets of a picture, so that it may be sent some.
    pub parity: bool,
    /// Whether the sender lets the one who answers lead the search for a way (control ICE), and leads it there itself.
    pub answerer_leads: bool,
    /// What the sender calls itself, at most 64 characters, without control characters. A claim, not an identity.
    pub name: Option<String>,
}

/// Why a callee does not take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// In another call.
    Busy,
    /// The person said no.
    Declined,
    /// Nobody reacted in time.
    Unanswered,
    /// Taken on another device.
    AnsweredElsewhere,
}

/// What is wrong with a message. The sender is at fault, but for `TooLong` when writing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// More bytes than a message may have.
    #[error("the call message is {0} bytes long, more than a message may be")]
    TooLong(usize),
    /// Not JSON, or a member is missing or of the wrong type.
    #[error("the call message does not have the expected form: {0}")]
    Form(String),
    /// `callId` is not 16 bytes in base64url.
    #[error("the call message has a malformed call id")]
    CallId,
    /// `callDhPubKey` is not an X25519 key in DER and base64url.
    #[error("the call message has a malformed key")]
    Key,
    /// Neither audio nor video.
    #[error("the call is neither audio nor video")]
    Media,
    /// A compressed member cannot be unfolded.
    #[error("`{member}` of the call message cannot be read: {source}")]
    Compression {
        /// Which one.
        member: &'static str,
        /// Why.
        source: LzError,
    },
    /// The session description is of the wrong kind or longer than 32 KiB.
    #[error("the session description of the call message is not usable")]
    Description,
    /// More than 64 candidates, or one with a text that is too long.
    #[error("the call message has too many candidates, or one that is too long")]
    Candidates,
    /// The `hullo` object has a list or a name that is too long, or a name with control characters.
    #[error("the call message describes the other program in a way that cannot be used")]
    Hullo,
    /// A reason for refusing that this version does not know.
    #[error("the call was refused for a reason this version does not know")]
    Reason,
}

impl Message {
    /// Reads the JSON of one message.
    ///
    /// # Errors
    /// See [`MessageError`]. An event of another name is no error but [`Message::Unknown`].
    pub fn parse(json: &[u8]) -> Result<Self, MessageError> {
        wire::parse(json)
    }

    /// Writes the JSON of one message. `message_id` is random and new for each message; a receiver that shows chat
    /// items refers to it.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] above [`MESSAGE_BYTES_MAX`]: give fewer candidates or a shorter description.
    ///
    /// # Panics
    /// On [`Message::Unknown`], which is only ever received.
    pub fn write(&self, message_id: [u8; 12]) -> Result<Vec<u8>, MessageError> {
        wire::write(self, message_id)
    }

    /// The call it speaks of.
    pub fn call_id(&self) -> Option<CallId> {
        match self {
            Self::Invitation(Invitation { call_id, .. })
            | Self::Offer(Offer { call_id, .. })
            | Self::Answer(Answer { call_id, .. })
            | Self::Extra(Extra { call_id, .. })
            | Self::End(call_id)
            | Self::Gone(call_id)
            | Self::Ringing(call_id)
            | Self::Refused { call_id, .. }
            | Self::Restart(Restart { call_id, .. }) => Some(*call_id),
            Self::Unknown { .. } => None,
        }
    }

    /// The event's name on the wire.
    pub fn event(&self) -> &str {
        match self {
            Self::Invitation(_) => "x.call.inv",
            Self::Offer(_) => "x.call.offer",
            Self::Answer(_) => "x.call.answer",
            Self::Extra(_) => "x.call.extra",
            Self::End(_) | Self::Gone(_) => "x.call.end",
            Self::Ringing(_) => "x.hullo.ringing",
            Self::Refused { .. } => "x.hullo.refused",
            Self::Restart(_) => "x.hullo.restart",
            Self::Unknown { event } => event,
        }
    }
}

impl CallId {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Whether this call stays and `other` goes, when two contacts call each other at once. Of two different ids
    /// exactly one wins.
    pub fn wins_over(self, other: Self) -> bool {
        self.0 < other.0
    }
}

impl Hullo {
    /// What this version can do.
    pub fn ours() -> Self {
        Self {
            version: 1,
            layouts: vec!["hullo".into()],
            codecs: vec!["h264".into()],
            side_channel: true,
            parity: true,
            answerer_leads: true,
            name: None,
        }
    }

    /// Whether the other program takes what we send: the `hullo` layout, and H.264.
    pub fn is_compatible(&self) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|entry| entry == wanted);
        has(&self.layouts, "hullo") && has(&self.codecs, "h264")
    }
}

impl RefusalReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Unanswered => "unanswered",
            Self::AnsweredElsewhere => "answeredElsewhere",
        }
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}…", self.0[0], self.0[1], self.0[2])
    }
}

impl fmt::Debug for Message {
    /// Event and call alone: descriptions and candidates hold addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event())?;
        match self {
            Self::Refused { call_id, reason } => write!(f, "({call_id:?}, {})", reason.as_str()),
            _ => self
                .call_id()
                .map_or(Ok(()), |call_id| write!(f, "({call_id:?})")),
        }
    }
}

impl fmt::Debug for IceCandidate {
    /// Without the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCandidate")
            .field("mid", &self.mid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

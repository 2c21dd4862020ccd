//! What the relay says: answers to commands, and messages as they come.

use super::{
    BLOCK_BYTES, Challenge, CodeNumber, FRAME_BYTES_MAX, FrameError, MessageId, RecipientId, Rest,
    SenderId, VERSION,
};

/// A frame from the relay to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// First frame of every connection.
    Hello {
        /// [`VERSION`] here; others are to be left alone.
        version: u8,
        /// What this connection's signatures are bound to.
        challenge: Challenge,
    },
    /// The command was carried out and is durable.
    Ok {
        /// The command's number.
        number: u32,
    },
    /// The queue exists.
    Created {
        /// The command's number.
        number: u32,
        /// For who reads.
        recipient: RecipientId,
        /// For who writes.
        sender: SenderId,
    },
    /// The command was not carried out.
    Refused {
        /// The command's number.
        number: u32,
        /// Why.
        reason: RefusedReason,
    },
    /// A message of a subscribed queue; comes again after a reconnect until acknowledged.
    Message {
        /// Which queue.
        recipient: RecipientId,
        /// Its place.
        message: MessageId,
        /// How long it lay here, by the relay's clock alone.
        age_ms: u64,
        /// Exactly [`BLOCK_BYTES`].
        block: &'a [u8; BLOCK_BYTES],
    },
    /// Another connection subscribed to this queue.
    Taken {
        /// Which queue.
        recipient: RecipientId,
    },
    /// The queue's writing end has a number now.
    Published {
        /// The command's number.
        number: u32,
        /// To be said aloud.
        code: CodeNumber,
        /// How long it stands if nobody claims it, in seconds.
        seconds: u16,
    },
    /// The writing end is the sender key's now.
    Claimed {
        /// The command's number.
        number: u32,
        /// For who writes.
        sender: SenderId,
    },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RefusedReason {
    /// No such queue, or not by this key: the same answer, so that ids cannot be tried out.
    NoQueue = 1,
    /// The writing end belongs to another key: an invitation was used before.
    AlreadySecured = 2,
    /// Nobody claimed the writing end yet.
    NotSecured = 3,
    /// The reader has not fetched its messages for long.
    QueueFull = 4,
    /// This connection made, or the relay holds, as many queues as allowed.
    TooManyQueues = 5,
    /// Too many commands in a short time: slow down and try again.
    TooFast = 6,
    /// The relay could not store it: its disk, not the client.
    Storage = 7,
    /// No queue has this code number: misheard, expired, or somebody claimed it before.
    NoCode = 8,
    /// All numbers are in use, or this address uses as many as it may.
    TooManyCodes = 9,
}

impl RefusedReason {
    pub(super) const ALL: [Self; 9] = [
        Self::NoQueue,
        Self::AlreadySecured,
        Self::NotSecured,
        Self::QueueFull,
        Self::TooManyQueues,
        Self::TooFast,
        Self::Storage,
        Self::NoCode,
        Self::TooManyCodes,
    ];
}

impl<'a> Reply<'a> {
    /// A greeting of this version.
    pub fn hello(challenge: Challenge) -> Self {
        Self::Hello {
            version: VERSION,
            challenge,
        }
    }

    /// Writes the frame.
    pub fn write(&self) -> Vec<u8> {
        let length = if matches!(self, Self::Message { .. }) {
            FRAME_BYTES_MAX
        } else {
            64
        };
        let mut frame = Vec::with_capacity(length);
        match self {
            Self::Hello { version, challenge } => {
                frame.extend_from_slice(&[0x80, *version]);
                frame.extend_from_slice(&challenge.0);
            }
            Self::Ok { number } => {
                frame.push(0x81);
                frame.extend_from_slice(&number.to_be_bytes());
            }
            Self::Created {
                number,
                recipient,
                sender,
            } => {
                frame.push(0x82);
                frame.extend_from_slice(&number.to_be_bytes());
                frame.extend_from_slice(&recipient.0);
                frame.extend_from_slice(&sender.0);
            }
            Self::Refused { number, reason } => {
                frame.push(0x83);
                frame.extend_from_slice(&number.to_be_bytes());
                frame.push(*reason as u8);
            }
            Self::Message {
                recipient,
                message,
                age_ms,
                block,
            } => {
                frame.push(0x84);
                frame.extend_from_slice(&recipient.0);
                frame.extend_from_slice(&message.0.to_be_bytes());
                frame.extend_from_slice(&age_ms.to_be_bytes());
                frame.extend_from_slice(*block);
            }
            Self::Taken { recipient } => {
                frame.push(0x85);
                frame.extend_from_slice(&recipient.0);
            }
            Self::Published {
                number,
                code,
                seconds,
            } => {
                frame.push(0x86);
                frame.extend_from_slice(&number.to_be_bytes());
                frame.extend_from_slice(&code.0.to_be_bytes());
                frame.extend_from_slice(&seconds.to_be_bytes());
            }
            Self::Claimed { number, sender } => {
                frame.push(0x87);
                frame.extend_from_slice(&number.to_be_bytes());
                frame.extend_from_slice(&sender.0);
            }
        }
        frame
    }

    /// Reads one frame of the relay.
    ///
    /// # Errors
    /// The relay's fault, always: not a frame of this version.
    pub fn read(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut rest = Rest::of(frame)?;
        let reply = match rest.kind {
            0x80 => {
                let [version] = *rest.take()?;
                Self::Hello {
                    version,
                    challenge: Challenge(*rest.take()?),
                }
            }
            0x81 => Self::Ok {
                number: u32::from_be_bytes(*rest.take()?),
            },
            0x82 => Self::Created {
                number: u32::from_be_bytes(*rest.take()?),
                recipient: RecipientId(*rest.take()?),
                sender: SenderId(*rest.take()?),
            },
            0x83 => {
                let number = u32::from_be_bytes(*rest.take()?);
                let [code] = *rest.take()?;
                let reason = RefusedReason::ALL
                    .into_iter()
                    .find(|reason| *reason as u8 == code);
                Self::Refused {
                    number,
                    reason: reason.ok_or(FrameError::Reason(code))?,
                }
            }
            0x84 => Self::Message {
                recipient: RecipientId(*rest.take()?),
                message: MessageId(u64::from_be_bytes(*rest.take()?)),
                age_ms: u64::from_be_bytes(*rest.take()?),
                block: rest.take()?,
            },
            0x85 => Self::Taken {
                recipient: RecipientId(*rest.take()?),
            },
            0x86 => Self::Published {
                number: u32::from_be_bytes(*rest.take()?),
                code: CodeNumber(u16::from_be_bytes(*rest.take()?)),
                seconds: u16::from_be_bytes(*rest.take()?),
            },
            0x87 => Self::Claimed {
                number: u32::from_be_bytes(*rest.take()?),
                sender: SenderId(*rest.take()?),
            },
            kind => return Err(FrameError::Kind(kind)),
        };
        rest.end()?;
        Ok(reply)
    }
}

//! The relay's frames: one frame is one binary WebSocket message.
//!
//! A relay holds *queues* of equal-sized sealed blocks. A queue runs in one direction and has two ids that
//! cannot be derived from one another: who reads it knows the [`RecipientId`], who writes to it the [`SenderId`].
//! There are no accounts: each queue has a key of its own for reading and one for writing.
//!
//! ```text
//! client                                    relay
//!   |  <------------------------ HELLO version, challenge
//!   |  CREATE recipient key  --------------->          (signed by the recipient key)
//!   |  <----------------------------- CREATED recipient id, sender id
//!   |  SECURE sender id, sender key  ------->          (signed by the sender key; the first key wins, for good)
//!   |  SEND sender id, block  -------------->          (signed by the sender key)
//!   |  SUBSCRIBE recipient id  ------------->          (signed by the recipient key; so are ACKNOWLEDGE, DELETE)
//!   |  <--------------------------------- OK
//!   |  <---------------------------- MESSAGE recipient id, message id, age, block
//!   |  ACKNOWLEDGE recipient id, message id >          (this message and all before it are forgotten)
//!   |
//!   |  PUBLISH recipient id  -------------->          (signed by the recipient key)
//!   |  <---------------------- PUBLISHED code number, how long it stands
//!   |  CLAIM code number, sender key  ----->          (signed by the sender key; somebody else's connection)
//!   |  <----------------------------- CLAIMED sender id
//! ```
//!
//! Commands need not wait for the answers to those before them. So that blocks keep their order, after a refused SEND
//! the ones behind it on that connection are refused as well, until none has come for four seconds.
//!
//! A *code number* is the first part of a spoken code: a short name for the writing end of one queue, good for
//! [`CODE_TIME_MAX`] and for one CLAIM, which names the sender key as SECURE does. Right or wrong guess, the number is gone
//! after it: whoever tries a stranger's number spends it.
//!
//! **Layout.** Every frame begins with its kind (1 byte) and has exactly one length, so a wrong length is a wrong
//! frame. Integers are big endian. A command carries a request number after its kind; the numbers of one
//! connection rise strictly, which together with the connection's random challenge makes every signature good for
//! one place in one connection only. The signature (Ed25519) is the last 64 bytes and covers
//! [`signed_message`] of all bytes before it.
//!
//! | kind | frame | after the kind byte |
//! |---|---|---|
//! | 0x01 | CREATE | request 4, recipient key 32, signature 64 |
//! | 0x02 | SECURE | request 4, sender id 24, sender key 32, signature 64 |
//! | 0x03 | SEND | request 4, sender id 24, block 16384, signature 64 |
//! | 0x04 | SUBSCRIBE | request 4, recipient id 24, signature 64 |
//! | 0x05 | ACKNOWLEDGE | request 4, recipient id 24, message id 8, signature 64 |
//! | 0x06 | DELETE | request 4, recipient id 24, signature 64 |
//! | 0x07 | PUBLISH | request 4, recipient id 24, signature 64 |
//! | 0x08 | CLAIM | request 4, code number 2, sender key 32, signature 64 |
//! | 0x80 | HELLO | version 1, challenge 32 |
//! | 0x81 | OK | request 4 |
//! | 0x82 | CREATED | request 4, recipient id 24, sender id 24 |
//! | 0x83 | REFUSED | request 4, reason 1 |
//! | 0x84 | MESSAGE | recipient id 24, message id 8, age in ms 8, block 16384 |
//! | 0x85 | TAKEN | recipient id 24: another connection subscribed, no more messages come here |
//! | 0x86 | PUBLISHED | request 4, code number 2, seconds it stands 2 |
//! | 0x87 | CLAIMED | request 4, sender id 24 |

use std::time::Duration;

use thiserror::Error;

pub use reply::{RefusedReason, Reply};

mod reply;
#[cfg(test)]
mod tests;

/// Spoken here; HELLO carries it, and a client that does not know it leaves.
pub const VERSION: u8 = 1;
/// Every message is this long, so that its size tells nothing: the 16 KiB of SimpleX, room for one whole SDP.
pub const BLOCK_BYTES: usize = 16_384;
/// Queue ids are random and unguessable.
pub const QUEUE_ID_BYTES: usize = 24;
/// The longest frame (MESSAGE 16 417, SEND 16 477): a receiver refuses longer WebSocket messages unread.
pub const FRAME_BYTES_MAX: usize = 1 + 4 + QUEUE_ID_BYTES + BLOCK_BYTES + SIGNATURE_BYTES;
/// Unacknowledged messages of one queue on their way at once: covers a round trip, and bounds what a reader that
/// never acknowledges can make the relay repeat.
pub const WINDOW_MESSAGES: usize = 16;
/// Code numbers are below this: four digits, said aloud.
pub const CODE_NUMBERS: u16 = 10_000;
/// A code number stands this long at most: as long as somebody waits beside the telephone.
pub const CODE_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// An Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

const DOMAIN: &[u8] = b"hullo-relay-v1";

/// Who reads a queue knows this id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientId(pub [u8; QUEUE_ID_BYTES]);

/// Who writes to a queue knows this id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderId(pub [u8; QUEUE_ID_BYTES]);

/// A message's place in its queue; rises by at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

/// The first part of a spoken code: short for the writing end of one queue. Below [`CODE_NUMBERS`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeNumber(pub u16);

impl std::fmt::Debug for CodeNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeNumber(…)")
    }
}

/// Random, one per connection: what a signature is bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge(pub [u8; 32]);

// Ids are capabilities of a kind: a log that shows them whole would tell who talks to whom.
macro_rules! shortened_debug {
    ($($name:ident)+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:02x}{:02x}…)"), self.0[0], self.0[1])
            }
        }
    )+};
}
shortened_debug!(RecipientId SenderId Challenge);

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Make a queue that whoever holds this Ed25519 key reads.
    Create {
        /// Verifies SUBSCRIBE, ACKNOWLEDGE, DELETE, and this command.
        recipient_key: [u8; 32],
    },
    /// Claim the writing end. The first key wins; again with the same key is well.
    Secure {
        /// Which queue.
        sender: SenderId,
        /// Verifies SEND, and this command.
        sender_key: [u8; 32],
    },
    /// Put one block at the end of the queue.
    Send {
        /// Which queue.
        sender: SenderId,
        /// Exactly [`BLOCK_BYTES`].
        block: &'a [u8; BLOCK_BYTES],
    },
    /// Hand the queue's messages to this connection, oldest unacknowledged first.
    Subscribe {
        /// Which queue.
        recipient: RecipientId,
    },
    /// Forget this message and all before it.
    Acknowledge {
        /// Which queue.
        recipient: RecipientId,
        /// The newest message that is safe with the reader.
        message: MessageId,
    },
    /// Forget the queue and all in it.
    Delete {
        /// Which queue.
        recipient: RecipientId,
    },
    /// Give the writing end of this queue, which nobody claimed yet, a number to be said aloud. A second one replaces
    /// the first.
    Publish {
        /// Which queue.
        recipient: RecipientId,
    },
    /// Claim the writing end that has this number, as [`Command::Secure`] does with its id. The number is spent.
    Claim {
        /// As it was heard.
        code: CodeNumber,
        /// Verifies SEND, and this command.
        sender_key: [u8; 32],
    },
}

/// A command as it came, its signature not yet verified.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The client's number for it, strictly rising in a connection.
    pub number: u32,
    /// What is asked.
    pub command: Command<'a>,
    /// The bytes the signature covers, to be wrapped by [`signed_message`].
    pub unsigned: &'a [u8],
    /// Ed25519.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why bytes are no frame: the fault of who sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Nothing at all.
    #[error("the frame is empty")]
    Empty,
    /// The first byte names no frame of this direction.
    #[error("0x{0:02x} is no kind of frame")]
    Kind(u8),
    /// Each kind has one length.
    #[error("a frame of kind 0x{kind:02x} is never {length} bytes long")]
    Length {
        /// The first byte.
        kind: u8,
        /// Of the whole frame, in bytes.
        length: usize,
    },
    /// A reason that this version does not know.
    #[error("{0} is no reason for a refusal")]
    Reason(u8),
}

/// What a signature is made over: domain, the connection's challenge, and the frame without its signature.
pub fn signed_message(challenge: &Challenge, unsigned: &[u8]) -> Vec<u8> {
    [DOMAIN, &challenge.0, unsigned].concat()
}

impl Command<'_> {
    /// Writes the frame; `sign` gets what [`signed_message`] returns.
    pub fn write(
        &self,
        number: u32,
        challenge: &Challenge,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FRAME_BYTES_MAX);
        frame.push(self.kind());
        frame.extend_from_slice(&number.to_be_bytes());
        match self {
            Self::Create { recipient_key } => frame.extend_from_slice(recipient_key),
            Self::Secure { sender, sender_key } => {
                frame.extend_from_slice(&sender.0);
                frame.extend_from_slice(sender_key);
            }
            Self::Send { sender, block } => {
                frame.extend_from_slice(&sender.0);
                frame.extend_from_slice(*block);
            }
            Self::Subscribe { recipient }
            | Self::Delete { recipient }
            | Self::Publish { recipient } => frame.extend_from_slice(&recipient.0),
            Self::Claim { code, sender_key } => {
                frame.extend_from_slice(&code.0.to_be_bytes());
                frame.extend_from_slice(sender_key);
            }
            Self::Acknowledge { recipient, message } => {
                frame.extend_from_slice(&recipient.0);
                frame.extend_from_slice(&message.0.to_be_bytes());
            }
        }
        let signature = sign(&signed_message(challenge, &frame));
        frame.extend_from_slice(&signature);
        frame
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Create { .. } => 0x01,
            Self::Secure { .. } => 0x02,
            Self::Send { .. } => 0x03,
            Self::Subscribe { .. } => 0x04,
            Self::Acknowledge { .. } => 0x05,
            Self::Delete { .. } => 0x06,
            Self::Publish { .. } => 0x07,
            Self::Claim { .. } => 0x08,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads one command. Verifies no signature: who holds the keys does that.
    ///
    /// # Errors
    /// The client's fault, always: not a frame of this version.
    pub fn read(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut rest = Rest::of(frame)?;
        let number = u32::from_be_bytes(*rest.take()?);
        let command = match rest.kind {
            0x01 => Command::Create {
                recipient_key: *rest.take()?,
            },
            0x02 => Command::Secure {
                sender: SenderId(*rest.take()?),
                sender_key: *rest.take()?,
            },
            0x03 => Command::Send {
                sender: SenderId(*rest.take()?),
                block: rest.take()?,
            },
            0x04 => Command::Subscribe {
                recipient: RecipientId(*rest.take()?),
            },
            0x05 => Command::Acknowledge {
                recipient: RecipientId(*rest.take()?),
                message: MessageId(u64::from_be_bytes(*rest.take()?)),
            },
            0x06 => Command::Delete {
                recipient: RecipientId(*rest.take()?),
            },
            0x07 => Command::Publish {
                recipient: RecipientId(*rest.take()?),
            },
            0x08 => Command::Claim {
                code: CodeNumber(u16::from_be_bytes(*rest.take()?)),
                sender_key: *rest.take()?,
            },
            kind => return Err(FrameError::Kind(kind)),
        };
        let signature = *rest.take()?;
        rest.end()?;
        let unsigned = &frame[..frame.len() - SIGNATURE_BYTES];
        Ok(Self {
            number,
            command,
            unsigned,
            signature,
        })
    }
}

/// A frame being read: what is left, and what to blame.
struct Rest<'a> {
    kind: u8,
    length: usize,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn of(frame: &'a [u8]) -> Result<Self, FrameError> {
        let (&kind, bytes) = frame.split_first().ok_or(FrameError::Empty)?;
        Ok(Self {
            kind,
            length: frame.len(),
            bytes,
        })
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], FrameError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(self.wrong_length())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn end(&self) -> Result<(), FrameError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(self.wrong_length())
        }
    }

    fn wrong_length(&self) -> FrameError {
        FrameError::Length {
            kind: self.kind,
            length: self.length,
        }
    }
}

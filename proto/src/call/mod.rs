//! The one-to-one call: what two clients tell each other over their message channel, and the state machine of one
//! call.
//!
//! The caller invites with a key; the **callee** makes the WebRTC offer, and the caller answers it. Both keys together
//! give the secret that seals every frame. The messages are those of the SimpleX chat protocol (`x.call.*`), with an
//! optional object of our own that other clients ignore, and three `x.hullo.*` messages between our own clients.

mod event;
mod keys;
mod lz;
mod machine;
mod message;
mod wire;

pub use event::{CallEvent, CallState, EndReason, Input, Output, Refused, Role};
pub use keys::{CallKeys, Layout};
pub use lz::LzError;
pub use machine::{CONNECT_TIMEOUT, CallMachine, RING_TIMEOUT};
pub use message::{
    Answer, CallId, DescriptionKind, Extra, Hullo, IceCandidate, Invitation, MESSAGE_BYTES_MAX,
    Media, Message, MessageError, Offer, RefusalReason, Restart,
};

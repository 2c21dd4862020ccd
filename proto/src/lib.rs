//! The two call protocols as pure machines and byte layouts.
//!
//! Nothing here reads a clock, a socket, a file or a random source: time and randomness are arguments, bytes go in
//! and bytes come out.
//!
//! - [`call`]: the one-to-one call: its messages and the state machine of one call.
//! - [`frame`]: how an encoded frame is sealed before it is given to WebRTC, and opened after.
//! - [`group`]: the group call: wire, keys, handshake, media keys, roster, and how one is found and joined.
//! - [`service`]: what clients and servers say to each other.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod call;
pub mod frame;
pub mod group;
mod replay;
pub mod service;

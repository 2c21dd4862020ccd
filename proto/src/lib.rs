//! The two call protocols as pure machines and byte layouts.
//!
//! Nothing here reads a clock, a socket, a file or a random source: time and randomness are arguments, bytes go in
//! and bytes come out.
//!
//! - `call`: the one-to-one call: its messages and the state machine of one call.
//! - [`frame`]: how an encoded frame is sealed before it is given to WebRTC, and opened after.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed test says where"))]

pub mod frame;

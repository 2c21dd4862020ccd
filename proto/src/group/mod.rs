//! The group-call protocol, version 1 (Threema Group Call Protocol), as pure machines.
//!
//! No socket, no clock, no randomness of its own: time and seeded generators are arguments, and
//! every machine has `handle_input` and `poll_output`. `docs/group-call.md` maps each numbered
//! step of the protocol text to its file and its test.
//!
//! ```text
//! outside a call   lobby ── refresh (which call runs) ── join (get in) ── directory (tokens) ── http
//! inside a call    group_call ── roster ── handshake (per participant) ── peer (afterwards)
//! media            media_sender, media_receiver ── media_frame, replay
//! bytes and keys   wire (messages) ── envelope (sealing) ── key, nonce, id, mid
//! ```

pub mod directory;
pub mod envelope;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod group_call;
pub mod handshake;
pub mod http;
pub mod id;
pub mod join;
pub mod key;
pub mod lobby;
pub mod media_frame;
pub mod media_receiver;
pub mod media_sender;
pub mod mid;
pub mod nonce;
pub mod peer;
pub mod refresh;
pub mod roster;
pub mod warning;
pub mod wire;

#[cfg(test)]
mod vectors;

//! The group-call protocol, version 1.

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
pub mod replay;
pub mod roster;
pub mod warning;
pub mod wire;

#[cfg(test)]
mod vectors;

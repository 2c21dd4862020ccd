//! The group-call protocol, version 1.

pub mod envelope;
pub mod group_call;
pub mod handshake;
pub mod id;
pub mod key;
pub mod media_frame;
pub mod media_receiver;
pub mod media_sender;
pub mod mid;
pub mod nonce;
pub mod peer;
pub mod replay;
pub mod roster;
pub mod warning;
pub mod wire;

#[cfg(test)]
mod vectors;

//! The selective forwarding unit: rooms and forwarding, no key and no codec.
//!
//! ```text
//! server (HTTP, tokio) ── directory (tokens), permit, rate
//!    │ bounded queue per shard
//! shard (thread, UDP port) ── forward (connections, media) ── room (one call's messages)
//! ```
//!
//! [`room`] and [`forward`] are machines without I/O; only [`server`] and the shards read clocks and sockets.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod clock;
pub mod directory;
pub mod forward;
pub mod metrics;
pub mod permit;
pub mod rate;
pub mod room;
pub mod server;
mod shard;
mod train;

//! The relay: opaque sealed blocks in queues.
//!
//! [`mailbox`] is the protocol as a pure machine over a [`store`]; [`server`] gives it a port: WebSocket over TLS.
//! The relay knows queue ids, their keys and equal-sized blocks, and logs counts only.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod mailbox;
pub mod server;
pub mod store;

//! The selective forwarding unit: rooms and forwarding, no key and no codec.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod clock;
pub mod forward;
pub mod metrics;
pub mod permit;
pub mod rate;
pub mod room;

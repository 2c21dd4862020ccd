//! Whole-system scenarios.

#![allow(
    clippy::disallowed_methods,
    reason = "tests begin their virtual clock at one real reading"
)]

mod group_world;
mod hostile;
mod house;
mod lips;
mod messages;
mod phones;
mod rate;
mod reach;
mod relay;
mod set_up;
mod sfu;
mod speech;
mod thin;
mod virtual_call;

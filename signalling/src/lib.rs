//! How people and servers find one another: identity, contacts, invitations, message channel.
//!
//! No socket and no clock: [`channel`] says what the rest of the program knows of messages, [`relay_channel`] speaks to
//! relays as a machine, and [`store`] keeps on disk what must survive.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod backup;
pub mod block;
mod bytes;
pub mod channel;
pub mod code;
mod compare;
pub mod group;
mod hash;
pub mod history;
pub mod identity;
pub mod link;
pub mod lobby;
pub mod name;
pub mod relay_channel;
pub mod server_url;
pub mod short_link;
pub mod store;
pub mod text_message;
pub mod words;

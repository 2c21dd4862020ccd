//! What clients and servers say to each other: byte layouts only, shared by both ends.

pub mod directory;
pub mod relay;
pub mod sfu;
pub mod token;
pub mod turn;

//! What clients and servers say to each other: byte layouts only, shared by both ends.

pub mod relay;

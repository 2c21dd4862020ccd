//! The shared kit of whole-system tests: a virtual clock, a seeded network, people in a call, and what benches need.

pub mod bench;
pub mod group;
pub mod group_media;
pub mod namespaces;
pub mod phones;
pub mod relay;
pub mod sfu;
pub mod speech;
pub mod world;

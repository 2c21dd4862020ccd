//! The shared kit of whole-system tests: a virtual clock, a seeded network, and people in a call.

pub mod world;

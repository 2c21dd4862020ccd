//! The shared kit of whole-system tests.

pub mod group;

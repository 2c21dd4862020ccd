//! The two call protocols as pure machines and byte layouts.

pub mod group;

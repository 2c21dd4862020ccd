//! Whole-system scenarios.

mod group_world;
mod house;
mod messages;
mod virtual_call;

//! Whole-system scenarios.

mod house;
mod messages;
mod virtual_call;

//! Whole-system scenarios.

mod house;
mod virtual_call;

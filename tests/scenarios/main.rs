//! Whole-system scenarios.

mod house;

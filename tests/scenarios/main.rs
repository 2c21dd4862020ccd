//! Whole-system scenarios.

mod messages;

//! Whole-system scenarios.

mod virtual_call;

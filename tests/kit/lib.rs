//! The shared kit of whole-system tests.

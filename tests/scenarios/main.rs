//! Whole-system scenarios.

mod group_world;

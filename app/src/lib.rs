//! Calls from the terminal: the program's library. `main.rs` parses arguments and runs it; tests drive its parts.
//!
//! [`event`] is all that can happen, [`effect`] all the program may do, [`report`] what the outside is told.

pub mod call;
pub mod cli;
pub mod command;
pub mod effect;
pub mod event;
pub mod front;
pub mod keymap;
pub mod model;
pub mod picture;
pub mod plain;
pub mod report;
pub mod screen;
pub mod terminal;
pub mod text;
pub mod threads;
pub mod update;
pub mod view;

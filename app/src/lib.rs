//! Calls from the terminal: the program's library. `main.rs` parses arguments and runs it; tests drive its parts.
//!
//! [`event`] is all that can happen, [`effect`] all the program may do, [`report`] what the outside is told.

pub mod effect;
pub mod event;
pub mod net;
pub mod profile;
pub mod report;
pub mod serve;

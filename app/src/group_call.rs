//! The call of a group: the protocol's machine and the session with the server joined, and the thread that drives them.
//!
//! [`engine`] is sans-IO; [`driver`] gives it a socket, a clock and queues; [`media`] owns the devices and the threads of
//! the codecs. How one gets into a call at all is the affair of the network thread.

pub mod driver;
pub mod end;
pub mod engine;
mod figures;
mod loudness;
pub mod media;
pub mod queue;

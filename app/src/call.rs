//! One call: the protocol's machine, the session and the frame ciphers joined, and the thread that drives them.
//!
//! [`engine`] is sans-IO, so that a whole call runs in virtual time; [`driver`] gives it sockets, a clock and
//! queues; [`media`] owns the devices and codec threads.

pub mod board;
pub mod diagnose;
pub mod driver;
pub mod engine;
pub mod frames;
pub mod latency;
pub mod lease;
pub mod media;
pub(crate) mod open_sound;
pub mod probe;
pub mod servers;
pub mod side;
pub(crate) mod sizes;
pub mod sockets;
pub mod sound_watch;
pub mod streams;

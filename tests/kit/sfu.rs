//! Participants of a real SFU on real sockets, for load and for bad weather.

pub mod client;

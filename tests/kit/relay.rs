//! What tests and benchmarks of the relay share: a database server, the program as a relay, clients, and a crowd of
//! clients that notices whatever gets lost, doubled or out of order.

pub mod client;
pub mod crowd;
pub mod killing;
pub mod load;
pub mod postgres;
pub mod process;
pub mod tls;

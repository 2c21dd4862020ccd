//! Cost.
fn main() {}

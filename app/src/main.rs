//! The program `hullo`.

fn main() {}

//! What benchmarks of whole calls share: clips to send, programs to run, pictures to compare, bars to judge by.
//!
//! It judges the program from outside, by its JSON events and the files it wrote, and uses none of its code: a fault
//! in the program's own reading of a file must not hide itself.

pub mod clip;
pub mod program;
pub mod quality;
pub mod scored;
pub mod stage;
pub mod tools;
pub mod transcript;
pub mod verdict;
pub mod wav;
pub mod y4m;

//! The program `hullo`: reads the command line and does what it says.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The system answers this only while there is one thread.
    hullo::threads::remember_local_time();
    ExitCode::from(hullo::program::main())
}

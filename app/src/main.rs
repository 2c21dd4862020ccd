//! The program `hullo`: reads the command line and does what it says.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use hullo::{program, serve};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == serve::GUARD) {
        // Nobody types this: it is how `serve` starts coturn, and reads what is said here.
        let error = serve::guard(arguments);
        let _ = writeln!(std::io::stderr(), "hullo: {error}");
        return ExitCode::from(program::OTHER);
    }
    // The system answers this only while there is one thread.
    hullo::threads::remember_local_time();
    ExitCode::from(program::run(hullo::cli::Cli::parse()))
}

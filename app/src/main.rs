//! The program `hullo`: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(hullo::program::run(hullo::cli::Cli::parse()))
}

//! The program `hullo` under another name: cargo tells tests where the programs of their own package are, and no others.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(hullo::program::main())
}

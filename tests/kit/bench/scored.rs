//! The head of a benchmark whose figures come from the scoring scripts: whether it runs at all, and its exit status.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::tools::Scripts;
use super::verdict::{Point, Verdict, table};

/// What went wrong.
pub type Failure = Box<dyn Error>;

/// A line of output.
pub fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

/// Measures, shows the points, and succeeds unless one of them fails. Without the scripts (`HULLO_TOOLS`), and under
/// `cargo test --benches`, which runs this too, it says so and succeeds.
pub fn run(name: &str, measure: impl FnOnce(&Scripts) -> Result<Vec<Point>, Failure>) -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        say(&format!("{name} runs under `cargo bench` only"));
        return ExitCode::SUCCESS;
    }
    let Some(tools) = std::env::var_os("HULLO_TOOLS") else {
        say(&format!(
            "HULLO_TOOLS names no folder of scoring scripts: {name} is not measured (docs/benchmarks.md)"
        ));
        return ExitCode::SUCCESS;
    };
    let scripts = Scripts {
        folder: tools.into(),
        python: std::env::var_os("HULLO_PYTHON").map_or("python3".into(), PathBuf::from),
    };
    match measure(&scripts) {
        Ok(points) => {
            say(&table(&points));
            match points.iter().all(|point| point.verdict != Verdict::Fail) {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(failure) => {
            say(&format!("{name}: {failure}"));
            ExitCode::FAILURE
        }
    }
}

//! Calls over lines with faults, judged: real programs, real sockets, and an emulator between them.
//!
//! `cargo bench -p hullo-tests --bench network`; docs/benchmarks.md says what is measured and how. Needs root.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark of real programs waits in real time"
)]

#[path = "network/emulator.rs"]
mod emulator;
#[path = "network/lines.rs"]
mod lines;
#[path = "network/scene.rs"]
mod scene;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use emulator::Emulator;
use hullo_tests::bench::tools::build_release;
use hullo_tests::bench::verdict::{Point, Verdict, table};
use hullo_tests::namespaces::missing;
use scene::Scene;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("network runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let built = match missing(&["ip", "socat"]) {
        Some(words) => Err(words),
        None => Emulator::build(1),
    };
    let emulator = match built {
        Ok(emulator) => emulator,
        Err(words) => {
            say(&format!(
                "not measured, this needs root and namespaces: {words}"
            ));
            return ExitCode::SUCCESS;
        }
    };
    match run(emulator) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("network: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

/// A part of the benchmark: its name for the command line, and what it measures.
type Part = (&'static str, fn(&Scene) -> Result<Vec<Point>, Failure>);

const PARTS: [Part; 6] = [
    ("set-up", lines::set_up),
    ("rate", lines::rate),
    ("loss", lines::loss),
    ("outage", lines::outages),
    ("address", lines::address_change),
    ("group", lines::group_outage),
];

fn run(emulator: Emulator) -> Result<bool, Failure> {
    let hullo = match std::env::var_os("HULLO_BIN") {
        Some(given) => PathBuf::from(given),
        None => {
            say("building hullo");
            build_release(&["-p", "hullo"])?;
            let own = std::env::current_exe()?;
            // target/PROFILE/deps/network-…
            let target = own.ancestors().nth(3);
            let target = target.ok_or("the benchmark runs outside a target folder")?;
            target.join("release").join("hullo")
        }
    };
    let is_part = |word: &String| PARTS.iter().any(|(name, _)| name == word);
    let wanted: Vec<String> = std::env::args().skip(1).filter(is_part).collect();
    let scene = Scene::set(emulator, &hullo)?;
    let mut points = Vec::new();
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            say(&format!("measuring: {name}"));
            points.extend(part(&scene)?);
        }
    }
    say(&table(&points));
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

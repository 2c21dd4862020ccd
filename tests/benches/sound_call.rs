//! What a sound call costs: two programs in a call with echo cancellation, noise suppression and gain control, beside the codec and
//! that processing alone, and beside Chromium in the same call, all in one run.
//!
//! `cargo bench -p hullo-tests --bench sound_call`; docs/benchmarks.md says what is measured and how.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark of real processes waits in real time"
)]

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hullo_tests::bench::clip;
use hullo_tests::bench::stage::{Side, Stage};
use hullo_tests::bench::tools::{Floor, Scripts, build_release, sound_floor};
use hullo_tests::bench::transcript::Transcript;
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};

#[path = "sound_call/chromium.rs"]
mod chromium;

use chromium::Cost;

type Failure = Box<dyn Error>;

/// Length of a call unless `HULLO_BENCH_SECONDS` says otherwise.
const CALL_S: u64 = 20;
/// Processor time of one side, of that of codec and processing alone.
const CPU_RATIO: f64 = 1.4;
/// Memory of one side in a call over the same waiting for one, MB.
const MEMORY_MB: f64 = 25.0;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and has no release build to judge.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("sound_call runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("sound_call: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

fn run() -> Result<bool, Failure> {
    let hullo = program()?;
    let folder = tempfile::tempdir()?;
    let speech = folder.path().join("speech.wav");
    make_speech(&speech)?;
    let seconds = match std::env::var("HULLO_BENCH_SECONDS") {
        Ok(text) => text.parse()?,
        Err(_) => CALL_S,
    };
    let length = Duration::from_secs(seconds);
    let stage = Stage::set(&hullo, folder.path())?;
    say("the codec and the processing alone");
    // Where cargo leaves examples.
    let floor = hullo.with_file_name("examples").join("sound_floor");
    let before = sound_floor(&floor, &speech, seconds)?;
    say("the call");
    let (callee, caller) = stage.call(&side(&speech), &side(&speech), length)?;
    say("the codec and the processing alone, once more");
    let after = sound_floor(&floor, &speech, seconds)?;
    say("Chromium in the same call");
    let browser = chromium::measure(&speech, length);
    let points = judge(&callee, &caller, [&before, &after], &browser);
    say(&table(&points));
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

fn program() -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("HULLO_BIN") {
        return Ok(given.into());
    }
    say("building hullo and the loop of codec and processing");
    build_release(&["-p", "hullo"])?;
    build_release(&["-p", "hullo-media", "--example", "sound_floor"])?;
    // target/PROFILE/deps/sound_call-…
    let own = std::env::current_exe()?;
    let target = own
        .ancestors()
        .nth(3)
        .ok_or("the benchmark runs outside a target folder")?;
    Ok(target.join("release").join("hullo"))
}

fn make_speech(wav: &Path) -> Result<(), Failure> {
    match std::env::var_os("HULLO_TOOLS") {
        Some(tools) => {
            let python = std::env::var_os("HULLO_PYTHON").map_or("python3".into(), PathBuf::from);
            let scripts = Scripts {
                folder: tools.into(),
                python,
            };
            scripts.make_speech(wav)?;
        }
        None => clip::write_speech_like(BufWriter::new(File::create(wav)?), 25, 1)?,
    }
    Ok(())
}

/// Sound alone, from a file that is processed as a microphone's would be.
fn side(speech: &Path) -> Side {
    let on = ["--echo", "on", "--noise", "on", "--gain", "on"];
    Side {
        camera: String::new(),
        mic: format!("file:{}", speech.display()),
        speaker: "none".to_owned(),
        record_video: None,
        options: on.map(str::to_owned).to_vec(),
    }
}

fn judge(
    callee: &Transcript,
    caller: &Transcript,
    floors: [&Floor; 2],
    browser: &Result<Cost, Failure>,
) -> Vec<Point> {
    // Machines are busy now and then: the floor is what it costs on the average of before and after.
    let floor = (floors[0].cores + floors[1].cores) / 2.0;
    let cores = |side: &Transcript| side.cost().map(|cost| cost.cores);
    let ratio = |side: &Transcript| cores(side).map(|cores| cores / floor);
    let over_idle = |side: &Transcript| Some(side.cost()?.resident_mb_max - side.idle_mb()?);
    for (name, side) in [("callee", callee), ("caller", caller)] {
        let heard = side.summary("audio/received").unwrap_or(0.0);
        let cores = cores(side).unwrap_or(f64::NAN) * 100.0;
        say(&format!(
            "{name}: {cores:.2} % of a core, {heard} packets received"
        ));
    }
    say(&format!(
        "codec and processing alone: {:.2} and {:.2} % of a core",
        floors[0].cores * 100.0,
        floors[1].cores * 100.0
    ));
    let sides = |figure: &dyn Fn(&Transcript) -> Option<f64>| {
        [("callee", figure(callee)), ("caller", figure(caller))]
    };
    let mut points = vec![
        Point::judge(
            "processor, of codec and processing alone",
            "x",
            Bar::AtMost(CPU_RATIO),
            &sides(&ratio),
        ),
        Point::judge(
            "memory over idle",
            "MB",
            Bar::AtMost(MEMORY_MB),
            &sides(&over_idle),
        ),
    ];
    let (what, bar) = (
        "processor, of Chromium's in the same call",
        Bar::AtMost(1.0),
    );
    points.push(match browser {
        Ok(cost) => {
            say(&format!(
                "Chromium: {:.2} % of a core, {:.2} % before the call; {:.0} MB over idle",
                cost.cores * 100.0,
                cost.cores_idle * 100.0,
                cost.over_idle_mb
            ));
            let of_browser = |side: &Transcript| cores(side).map(|cores| cores / cost.cores);
            Point::judge(what, "x", bar, &sides(&of_browser))
        }
        Err(failure) => Point::not_measured(what, "x", bar, &failure.to_string()),
    });
    points
}

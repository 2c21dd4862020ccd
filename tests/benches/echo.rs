//! How much of what the speaker plays comes back through the microphone, and what is left of a voice that speaks into it
//! meanwhile: speech through a simulated room and the program's own processing, in virtual time.
//!
//! `cargo bench -p hullo-tests --bench echo`; docs/benchmarks.md says what is measured and how.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hullo_media::frame::{BLOCK_SAMPLES, Block};
use hullo_media::process::{Processing, Processor};
use hullo_tests::bench::tools::Scripts;
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};
use serde_json::Value;

type Failure = Box<dyn Error>;

/// The room's bulk delay, which the program knows from its devices, ms.
const DELAY_MS: u32 = 42;
/// How much quieter the echo must be from 5 s on, dB.
const REDUCTION_DB: f64 = 30.0;
/// How well a voice must be understood while the far side talks, STOI.
const STOI: f64 = 0.6;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; what must hold there is a test of hullo-media.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("echo runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("echo: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

fn run() -> Result<bool, Failure> {
    let Some(tools) = std::env::var_os("HULLO_TOOLS") else {
        say(
            "HULLO_TOOLS names no folder of scoring scripts: echo is not measured (docs/benchmarks.md)",
        );
        return Ok(true);
    };
    let scripts = Scripts {
        folder: tools.into(),
        python: std::env::var_os("HULLO_PYTHON").map_or("python3".into(), PathBuf::from),
    };
    let folder = tempfile::tempdir()?;
    let said = folder.path().join("said.wav");
    scripts.make_speech(&said)?;
    let room = folder.path().join("room");
    scripts.make_room(&said, &room)?;
    let mut points = Vec::new();
    let echo_alone = Processing {
        echo: true,
        ..Processing::NONE
    };
    for (name, processing) in [("all", Processing::ALL), ("echo alone", echo_alone)] {
        let scores = measure(&scripts, &room, processing)?;
        for score in &scores {
            say(&format!("{name}: {score}"));
        }
        // What is judged is what the program does unless it is told otherwise.
        if processing == Processing::ALL {
            points.extend(judge(&scores));
        }
    }
    say(&table(&points));
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

/// Processes what the room's microphone hears, with and without a voice of our own, and scores it.
fn measure(scripts: &Scripts, room: &Path, processing: Processing) -> Result<Vec<Value>, Failure> {
    let far = read(&room.join("far.wav"))?;
    let mut outs = Vec::new();
    for name in ["mic_echo", "mic_double"] {
        let mic = read(&room.join(name).with_extension("wav"))?;
        let out = room.join(format!("out_{name}.wav"));
        write(&out, &process(processing, &far, &mic))?;
        outs.push(out);
    }
    Ok(scripts.score_room(room, &outs[0], &outs[1])?)
}

fn process(processing: Processing, far: &[f32], mic: &[f32]) -> Vec<f32> {
    let mut processor = Processor::new(processing);
    let mut out = Vec::with_capacity(mic.len());
    let blocks = far
        .chunks_exact(BLOCK_SAMPLES)
        .zip(mic.chunks_exact(BLOCK_SAMPLES));
    for (far, mic) in blocks {
        let mut block: Block = std::array::from_fn(|index| mic[index]);
        processor.set_delay_ms(DELAY_MS);
        processor.both(far, &mut block);
        out.extend_from_slice(&block);
    }
    out
}

fn judge(scores: &[Value]) -> Vec<Point> {
    let reduction = |from: f64| {
        let score = scores
            .iter()
            .find(|score| score["from_s"].as_f64() == Some(from));
        score.and_then(|score| score["erle_db"].as_f64())
    };
    let talk = scores
        .iter()
        .find(|score| score["double_talk"] == "processed");
    let stoi = talk.and_then(|score| score["stoi"].as_f64());
    vec![
        Point::judge(
            "echo quieter than without processing",
            "dB",
            Bar::AtLeast(REDUCTION_DB),
            &[
                ("5 to 10 s", reduction(5.0)),
                ("10 to 18 s", reduction(10.0)),
            ],
        ),
        Point::judge(
            "own voice while the far side talks, STOI",
            "",
            Bar::AtLeast(STOI),
            &[("", stoi)],
        ),
    ]
}

fn read(path: &Path) -> Result<Vec<f32>, Failure> {
    let samples = hound::WavReader::open(path)?.into_samples::<i16>();
    let samples: Result<Vec<_>, _> = samples
        .map(|sample| sample.map(|sample| f32::from(sample) / 32_768.0))
        .collect();
    Ok(samples?)
}

fn write(path: &Path, samples: &[f32]) -> Result<(), Failure> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        // A cast saturates.
        writer.write_sample((sample * 32_767.0).round() as i16)?;
    }
    Ok(writer.finalize()?)
}

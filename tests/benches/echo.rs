//! How much of what the speaker plays comes back through the microphone, and what is left of a voice that speaks into it
//! meanwhile: speech through a simulated room and the program's own processing, in virtual time.
//!
//! `cargo bench -p hullo-tests --bench echo`; docs/benchmarks.md says what is measured and how.

use std::path::Path;
use std::process::ExitCode;

use hullo_media::frame::{BLOCK_SAMPLES, Block};
use hullo_media::process::{Processing, Processor};
use hullo_tests::bench::scored::{self, Failure, say};
use hullo_tests::bench::tools::Scripts;
use hullo_tests::bench::verdict::{Bar, Point};
use hullo_tests::bench::wav;
use serde_json::Value;

/// The room's bulk delay, which the program knows from its devices, ms.
const DELAY_MS: u32 = 42;
/// How much quieter the echo must be from 5 s on, dB.
const REDUCTION_DB: f64 = 30.0;
/// How well a voice must be understood while the far side talks, STOI.
const STOI: f64 = 0.6;

fn main() -> ExitCode {
    // What must hold in any case is a test of hullo-media.
    scored::run("echo", run)
}

fn run(scripts: &Scripts) -> Result<Vec<Point>, Failure> {
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
        let scores = measure(scripts, &room, processing)?;
        for score in &scores {
            say(&format!("{name}: {score}"));
        }
        // What is judged is what the program does unless it is told otherwise.
        if processing == Processing::ALL {
            points.extend(judge(&scores));
        }
    }
    Ok(points)
}

/// Processes what the room's microphone hears, with and without a voice of our own, and scores it.
fn measure(scripts: &Scripts, room: &Path, processing: Processing) -> Result<Vec<Value>, Failure> {
    let far = wav::read(&room.join("far.wav"))?;
    let mut outs = Vec::new();
    for name in ["mic_echo", "mic_double"] {
        let mic = wav::read(&room.join(name).with_extension("wav"))?;
        let out = room.join(format!("out_{name}.wav"));
        wav::write(&out, &process(processing, &far, &mic))?;
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

//! The first call, judged: two real processes, real files, a table of bars and figures.
//!
//! `cargo bench -p hullo-tests --bench first_call`; docs/benchmarks.md says what is measured and how.

mod points;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hullo_tests::bench::quality::{Quality, compare};
use hullo_tests::bench::stage::{Side, Stage};
use hullo_tests::bench::tools::{Floor, Scripts, build_release, codec_floor};
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};
use hullo_tests::bench::y4m::Shape;
use hullo_tests::bench::{clip, quality::QualityError};
use points::{Recorded, cost_points, picture_points, sound_points, time_points};
use serde_json::json;

const SHAPE: Shape = Shape {
    width: 640,
    height: 360,
    rate_fps: 30,
};

/// Length of the clips, which are looped; short enough to be kept in memory for the comparison.
const CLIP_S: u32 = 8;

/// Speech is scored as a whole: a sentence that is cut off costs 0.3 by itself, so the call outlasts the reference.
const SPEECH_CALL_S: u64 = 28;

/// Length of a call when `HULLO_BENCH_SECONDS` does not say another.
const CALL_S: u64 = 20;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("first_call runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("first_call: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

/// Programs, files and settings of this run.
struct Bench {
    hullo: PathBuf,
    floor: PathBuf,
    target: PathBuf,
    scripts: Option<Scripts>,
    length: Duration,
    folder: tempfile::TempDir,
}

fn run() -> Result<bool, Failure> {
    let bench = prepare()?;
    let file = |name: &str| bench.folder.path().join(name);
    let (heads, stress, speech) = (
        [file("a.y4m"), file("b.y4m")],
        file("stress.y4m"),
        file("speech.wav"),
    );
    say("making clips");
    let real_speech = make_clips(&bench, &heads, &stress, &speech)?;
    let stage = Stage::set(&bench.hullo, bench.folder.path())?;

    say("call 1 of 4: talking heads, recorded");
    let whole_speech = bench.length.max(Duration::from_secs(SPEECH_CALL_S));
    let heads_of = [heads[0].as_path(), heads[1].as_path()];
    let talk = recorded_call(&bench, &stage, heads_of, &speech, "talk", whole_speech)?;
    say("call 2 of 4: stress clip, recorded");
    let hard = recorded_call(
        &bench,
        &stage,
        [&stress, &stress],
        &speech,
        "hard",
        bench.length,
    )?;
    say("call 3 of 4: test cards");
    let card = Side {
        camera: "test".to_owned(),
        mic: "test".to_owned(),
        speaker: "none".to_owned(),
        record_video: None,
        options: Vec::new(),
    };
    let card = stage.call(&card, &card, bench.length)?;
    say("call 4 of 4: talking heads, not recorded, and the codecs alone");
    let plain = |head: &Path, name: &str| side(head, &speech, &file(name), None);
    let plain = stage.call(
        &plain(&heads[0], "plain-a.wav"),
        &plain(&heads[1], "plain-b.wav"),
        bench.length,
    )?;
    let floor = codec_floor(&bench.floor, &heads[0], &speech, true)?;
    let tight = codec_floor(&bench.floor, &heads[0], &speech, false)?;

    let mut points = picture_points(&talk, &hard);
    points.push(speech_point(&bench, real_speech, &speech));
    points.extend(time_points(&talk, &card));
    points.extend(sound_points(&talk, &card));
    points.extend(cost_points(&plain, &talk, &floor, &tight));
    let text = table(&points);
    say(&text);
    write_report(&bench, &points, &talk, &hard, &floor)?;
    if std::env::var_os("HULLO_BENCH_KEEP").is_some() {
        say(&format!("files kept in {}", bench.folder.keep().display()));
    }
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

fn prepare() -> Result<Bench, Failure> {
    let own = std::env::current_exe()?;
    // target/PROFILE/deps/first_call-…
    let target = own
        .ancestors()
        .nth(3)
        .ok_or("the benchmark runs outside a target folder")?
        .to_owned();
    let hullo = match std::env::var_os("HULLO_BIN") {
        Some(given) => PathBuf::from(given),
        None => {
            say("building hullo and the codec loop");
            build_release(&["-p", "hullo"])?;
            build_release(&["-p", "hullo-media", "--example", "codec_floor"])?;
            target.join("release").join("hullo")
        }
    };
    // Where cargo leaves examples.
    let floor = hullo.with_file_name("examples").join("codec_floor");
    let scripts = std::env::var_os("HULLO_TOOLS").map(|folder| Scripts {
        folder: folder.into(),
        python: std::env::var_os("HULLO_PYTHON").map_or("python3".into(), PathBuf::from),
    });
    let seconds = match std::env::var("HULLO_BENCH_SECONDS") {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("HULLO_BENCH_SECONDS is {text:?}, not a number of seconds"))?,
        Err(_) => CALL_S,
    };
    Ok(Bench {
        hullo,
        floor,
        // Recordings are large: beside the build, not in memory.
        folder: tempfile::tempdir_in(&target)?,
        target,
        scripts,
        length: Duration::from_secs(seconds),
    })
}

/// Whether the speech is speech, so that its score means something.
fn make_clips(
    bench: &Bench,
    heads: &[PathBuf; 2],
    stress: &Path,
    speech: &Path,
) -> Result<bool, Failure> {
    let pictures = CLIP_S * SHAPE.rate_fps;
    let create = |path: &Path| File::create(path).map(BufWriter::new);
    clip::write_stress(&mut create(stress)?, SHAPE, pictures, 3)?;
    match &bench.scripts {
        Some(scripts) => {
            // Two clips of different length and noise, so that the two directions are not the same pictures.
            scripts.make_talking_head(&heads[0], CLIP_S, 2.2)?;
            scripts.make_talking_head(&heads[1], CLIP_S - 1, 2.0)?;
            scripts.make_speech(speech)?;
        }
        None => {
            clip::write_talking_head(&mut create(&heads[0])?, SHAPE, pictures, 1)?;
            clip::write_talking_head(&mut create(&heads[1])?, SHAPE, pictures, 2)?;
            clip::write_speech_like(create(speech)?, 25, 1)?;
        }
    }
    Ok(bench.scripts.is_some())
}

fn side(y4m: &Path, wav: &Path, speaker: &Path, record_video: Option<PathBuf>) -> Side {
    Side {
        camera: format!("file:{}", y4m.display()),
        mic: format!("file:{}", wav.display()),
        speaker: format!("file:{}", speaker.display()),
        record_video,
        options: Vec::new(),
    }
}

fn recorded_call(
    bench: &Bench,
    stage: &Stage,
    clips: [&Path; 2],
    speech: &Path,
    name: &str,
    length: Duration,
) -> Result<Recorded, Failure> {
    let file = |suffix: &str| bench.folder.path().join(format!("{name}-{suffix}"));
    let seen = [file("a.y4m"), file("b.y4m")];
    let callee = side(clips[0], speech, &file("a.wav"), Some(seen[0].clone()));
    let caller = side(clips[1], speech, &file("b.wav"), Some(seen[1].clone()));
    let (callee, caller) = stage.call(&callee, &caller, length)?;
    let compare = |source: &Path, seen: &Path| -> Result<_, Failure> {
        let open = |path: &Path| {
            File::open(path)
                .map(BufReader::new)
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(compare(open(source)?, open(seen)?))
    };
    // What the caller saw is the callee's clip.
    let quality = [compare(clips[0], &seen[1])?, compare(clips[1], &seen[0])?];
    Ok(Recorded {
        callee,
        caller,
        quality,
    })
}

fn speech_point(bench: &Bench, real_speech: bool, speech: &Path) -> Point {
    let (what, bar) = ("speech, PESQ-WB", Bar::AtLeast(3.7));
    let scripts = match &bench.scripts {
        Some(scripts) if real_speech => scripts,
        _ => {
            return Point::not_measured(
                what,
                "",
                bar,
                "HULLO_TOOLS is not set: no reference speech, no score",
            );
        }
    };
    let heard = |name: &str| scripts.pesq(speech, &bench.folder.path().join(name));
    match (heard("talk-b.wav"), heard("talk-a.wav")) {
        (Ok(there), Ok(back)) => {
            Point::judge(what, "", bar, &[("a>b", Some(there)), ("b>a", Some(back))])
        }
        (Err(error), _) | (_, Err(error)) => {
            let mut point = Point::judge(what, "", bar, &[("a>b", None)]);
            point.note = error.to_string();
            point
        }
    }
}

fn write_report(
    bench: &Bench,
    points: &[Point],
    talk: &Recorded,
    hard: &Recorded,
    floor: &Floor,
) -> Result<(), Failure> {
    let quality = |call: &Recorded| -> Vec<_> {
        let side = |quality: &Result<Quality, QualityError>| match quality {
            Ok(quality) => {
                json!({ "pictures": quality.pictures, "psnr_db": quality.psnr_db, "psnr_pooled_db": quality.psnr_pooled_db,
                "psnr_db_min": quality.psnr_db_min, "skipped": quality.skipped })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        call.quality.iter().map(side).collect()
    };
    let report = json!({
        "points": points,
        "floor": floor.report,
        "talk": { "quality": quality(talk), "callee": talk.callee.values(), "caller": talk.caller.values() },
        "stress": { "quality": quality(hard), "callee": hard.callee.values(), "caller": hard.caller.values() },
    });
    let path = bench.target.join("first_call.json");
    fs::write(&path, serde_json::to_string_pretty(&report)?)?;
    say(&format!("everything measured: {}", path.display()));
    Ok(())
}

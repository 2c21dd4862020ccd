//! The screen over a slow line, judged: a real ssh connection through 100 kB/s and 50 ms, with pictures that want more.
//!
//! `cargo bench -p hullo-tests --bench screen_link`; docs/benchmarks.md says what is measured and how.

#![allow(
    clippy::disallowed_methods,
    reason = "keys are pressed and pictures come in real time"
)]

#[path = "screen_link/far.rs"]
mod far;
#[path = "screen_link/line.rs"]
mod line;
#[path = "screen_link/stamp.rs"]
mod stamp;
#[path = "screen_link/terminal.rs"]
mod terminal;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use far::Far;
use hullo_tests::bench::tools::build_release;
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};
use line::Line;
use rand::{Rng as _, SeedableRng as _};
use stamp::{CLIP_S, Place};
use terminal::Terminal;

/// Opens and closes the help.
const KEY: &str = "?";
/// The last words of the help: when they are there, all of it is.
const ECHO: &str = "Esc close";
const PRESSES: usize = 40;
/// From a press to the help on the screen, in 95 of 100.
const ECHO_MS_MAX: f64 = 250.0;
/// A picture that comes so much later than it would on an open line is stale: one way, the window (the round trip and
/// 60 ms), and two pictures of the camera.
const STALE_MS: f64 = 25.0 + 110.0 + 2.0 * 33.3;
/// Before the first press: the picture is painted and the rate found.
const WARM_UP: Duration = Duration::from_secs(6);
/// Pictures on the open line, which the others are compared with.
const OPEN: Duration = Duration::from_secs(6);
/// Anything that should come comes within this.
const PATIENCE: Duration = Duration::from_secs(20);

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("screen_link runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = far::missing() {
        say(&format!(
            "screen_link is left out: {missing} is not installed"
        ));
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("screen_link: {failure}"));
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
    let folder = tempfile::TempDir::with_prefix("hullo-screen-link")?;
    let clip = folder.path().join("busy.y4m");
    let mut file = BufWriter::new(File::create(&clip)?);
    stamp::write_clip(&mut file)?;
    file.flush()?;
    let far = Far::start(folder.path())?;
    let mut points = Vec::new();
    for (name, in_tmux) in [("ssh", false), ("tmux in ssh", true)] {
        say(&format!("{PRESSES} presses over {name}"));
        let line = Line::to(far.port())?;
        let command = far.command(line.port(), &hullo, &clip, in_tmux);
        let measured = Link {
            terminal: Terminal::run(command)?,
            line,
            place: None,
            shown: Shown::default(),
        };
        points.extend(judge(name, &measured.measure()?));
    }
    say(&table(&points));
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

/// The program that is judged.
fn program() -> Result<PathBuf, Failure> {
    if let Some(program) = std::env::var_os("HULLO_BIN") {
        return Ok(std::path::absolute(program)?);
    }
    say("building hullo in the release profile");
    build_release(&["-p", "hullo", "--bin", "hullo"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    Ok(std::path::absolute(target.join("release/hullo"))?)
}

/// A picture that came: when, and its time in the clip, seconds.
type Seen = (Instant, f64);

/// The pictures seen so far.
#[derive(Default)]
struct Shown {
    seen: Vec<Seen>,
    /// Looks at a number that was half of one picture and half of another.
    torn: usize,
}

/// What one way to the screen showed.
struct Measured {
    echoes_ms: Vec<f64>,
    /// Bytes between a press and its echo.
    before_echo: Vec<f64>,
    bytes_a_second: f64,
    /// How much later than on the open line.
    late_ms: Vec<f64>,
    torn: usize,
}

/// The near end of a line with the mirror at its far end.
struct Link {
    terminal: Terminal,
    line: Line,
    place: Option<Place>,
    shown: Shown,
}

impl Link {
    fn measure(mut self) -> Result<Measured, Failure> {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        self.wait("the mirror", |screen| screen.contains("? help"))?;
        self.watch(WARM_UP);
        let place = Place::find(self.terminal.screen());
        self.place = Some(place.ok_or_else(|| self.words("no picture"))?);
        let (mut echoes_ms, mut before_echo) = (Vec::new(), Vec::new());
        let (mut watched, mut watched_bytes) = (Duration::ZERO, 0);
        for _ in 0..PRESSES {
            let (began, before) = (Instant::now(), self.line.bytes_down());
            // Not in step with anything.
            self.watch(Duration::from_millis(1_200 + rng.next_u64() % 600));
            watched += began.elapsed();
            watched_bytes += self.line.bytes_down() - before;
            let pressed = self.terminal.press(KEY)?;
            let (at, bytes) = self.wait("the help", |screen| screen.contains(ECHO))?;
            echoes_ms.push((at - pressed).as_secs_f64() * 1_000.0);
            before_echo.push(bytes as f64);
            self.terminal.press(KEY)?;
            self.wait("the picture again", |screen| !screen.contains(ECHO))?;
        }
        let narrow = std::mem::take(&mut self.shown);
        self.line.open();
        // What was under way before.
        self.watch(Duration::from_secs(2));
        self.shown = Shown::default();
        self.watch(OPEN);
        let late_ms = late_ms(&narrow.seen, &self.shown.seen)
            .ok_or_else(|| self.words("no picture was read"))?;
        self.terminal.press("q")?;
        Ok(Measured {
            echoes_ms,
            before_echo,
            bytes_a_second: watched_bytes as f64 / watched.as_secs_f64(),
            late_ms,
            torn: narrow.torn,
        })
    }

    /// Looks at pictures for a while.
    fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let Some((at, _)) = self.terminal.next(end) else {
                break;
            };
            let Some(place) = self.place else { continue };
            match place.read(self.terminal.screen()) {
                Some(time) if self.shown.seen.last().is_none_or(|last| last.1 != time) => {
                    self.shown.seen.push((at, time));
                }
                Some(_) => {}
                None => self.shown.torn += 1,
            }
        }
    }

    /// Waits until the screen shows something; when it did, and the bytes until then.
    fn wait(
        &mut self,
        what: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(Instant, usize), Failure> {
        let (end, mut bytes) = (Instant::now() + PATIENCE, 0);
        while let Some((at, more)) = self.terminal.next(end) {
            bytes += more;
            if fits(&self.terminal.screen().contents()) {
                return Ok((at, bytes));
            }
        }
        Err(self.words(&format!("{what} never came")).into())
    }

    fn words(&self, what: &str) -> String {
        format!("{what}; the screen:\n{}", self.terminal.screen().contents())
    }
}

/// How much later each picture came than the quickest of the open line would have. Both times begin anywhere, and the
/// clip's begins again and again: a difference counts around the clip.
fn late_ms(narrow: &[Seen], open: &[Seen]) -> Option<Vec<f64>> {
    let (first, _) = *open.first()?;
    let signed = |at: Instant| {
        at.saturating_duration_since(first).as_secs_f64()
            - first.saturating_duration_since(at).as_secs_f64()
    };
    let behind = |&(at, time): &Seen| signed(at) - time;
    let around = |difference: f64| (difference + CLIP_S / 2.0).rem_euclid(CLIP_S) - CLIP_S / 2.0;
    let about = behind(open.first()?);
    let quickest = open
        .iter()
        .map(|seen| around(behind(seen) - about))
        .min_by(f64::total_cmp)?;
    let late = |seen| around(behind(seen) - about - quickest) * 1_000.0;
    Some(narrow.iter().map(late).collect())
}

fn judge(name: &str, measured: &Measured) -> Vec<Point> {
    let at = |figures: &[f64], share: f64| {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last as f64 * share).round() as usize).copied()
    };
    let said = |figures: &[f64]| {
        let text =
            |share| at(figures, share).map_or("-".to_owned(), |figure| format!("{figure:.0}"));
        format!("p50 {}, p95 {}, most {}", text(0.5), text(0.95), text(1.0))
    };
    let mut echo = Point::judge(
        &format!("key to echo, p95, {name}"),
        "ms",
        Bar::AtMost(ECHO_MS_MAX),
        &[(name, at(&measured.echoes_ms, 0.95))],
    );
    echo.note = format!(
        "{} of {} presses; bytes before the echo {}",
        said(&measured.echoes_ms),
        measured.echoes_ms.len(),
        said(&measured.before_echo)
    );
    let stale = measured
        .late_ms
        .iter()
        .filter(|late| **late > STALE_MS)
        .count();
    let mut fresh = Point::judge(
        &format!("stale pictures, {name}"),
        "",
        Bar::AtMost(0.0),
        &[(name, (!measured.late_ms.is_empty()).then_some(stale as f64))],
    );
    fresh.note = format!(
        "of {}; ms later than on an open line: {}; {} looks between two",
        measured.late_ms.len(),
        said(&measured.late_ms),
        measured.torn
    );
    // With less than this on the line nothing was measured.
    let busy = Point::judge(
        &format!("the line is busy, {name}"),
        "kB/s",
        Bar::AtLeast(40.0),
        &[(name, Some(measured.bytes_a_second / 1_000.0))],
    );
    vec![echo, fresh, busy]
}

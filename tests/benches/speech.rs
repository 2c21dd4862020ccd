//! How speech sounds over lines that lose packets: the whole path in virtual time with fixed seeds, scored by PESQ and
//! STOI, against bars and against the curve of before.
//!
//! `cargo bench -p hullo-tests --bench speech`; docs/benchmarks.md says what is measured and how. `-- --write` stores the
//! figures as the new curve; numbers choose lines by their places in the table, from 0.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use hullo_tests::bench::scored::{self, Failure, say};
use hullo_tests::bench::tools::Scripts;
use hullo_tests::bench::verdict::{Bar, Point};
use hullo_tests::bench::wav;
use hullo_tests::speech::{Heard, Line, talk};
use serde::{Deserialize, Serialize};

/// The curve of before, beside this file.
const CURVE: &str = "benches/speech/curve.json";
/// The call has stood for so long when scored speech begins, in samples: 6 s.
const LEAD_SAMPLES: usize = 6 * 48_000;
/// Each cell is the mean of these.
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// One way, both directions.
const DELAY_MS: u64 = 50;
/// PESQ may fall by so much against the curve; libraries and compilers differ by less.
const DROP_PESQ: f64 = 0.1;

/// A line and what must be reached on it: loss, mean run, PESQ-WB, STOI.
const CELLS: [(f64, f64, f64, f64); 5] = [
    (0.0, 1.0, 3.75, 0.99),
    (0.1, 1.0, 3.2, 0.98),
    (0.2, 1.0, 3.1, 0.98),
    (0.3, 1.0, 2.5, 0.96),
    (0.2, 3.0, 2.6, 0.965),
];

/// One line of the curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell {
    loss: f64,
    burst: f64,
    pesq_wb: f64,
    stoi: f64,
    payload_kbps: f64,
    delay_p95_ms: f64,
    concealed_share: f64,
}

fn main() -> ExitCode {
    // The scenarios of speech have bounds of their own.
    scored::run("speech", run)
}

fn run(scripts: &Scripts) -> Result<Vec<Point>, Failure> {
    let folder = tempfile::tempdir()?;
    let said = folder.path().join("said.wav");
    scripts.make_speech(&said)?;
    let speech = wav::read(&said)?;
    let chosen: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let is_chosen = |index: &usize| chosen.is_empty() || chosen.contains(index);
    let cells = (0..CELLS.len())
        .filter(is_chosen)
        .map(|index| {
            let (loss, burst, ..) = CELLS[index];
            measure(scripts, folder.path(), (&said, &speech), loss, burst)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let curve = Path::new(env!("CARGO_MANIFEST_DIR")).join(CURVE);
    let before: Vec<Cell> = serde_json::from_slice(&fs::read(&curve)?)?;
    if std::env::args().any(|argument| argument == "--write") {
        fs::write(
            &curve,
            serde_json::to_string_pretty(&merged(&cells, &before))? + "\n",
        )?;
        say("the curve is stored");
    }
    Ok(judge(&cells, &before))
}

fn measure(
    scripts: &Scripts,
    folder: &Path,
    (said, speech): (&Path, &[f32]),
    loss: f64,
    burst: f64,
) -> Result<Cell, Failure> {
    let line = Line {
        delay_ms: DELAY_MS,
        jitter_ms: 0,
        loss,
        burst,
    };
    let lead = &speech[speech.len().saturating_sub(LEAD_SAMPLES)..];
    let mut cell = Cell {
        loss,
        burst,
        pesq_wb: 0.0,
        stoi: 0.0,
        payload_kbps: 0.0,
        delay_p95_ms: 0.0,
        concealed_share: 0.0,
    };
    // Without losses there is no chance: all seeds are alike.
    let seeds = if loss > 0.0 { &SEEDS[..] } else { &SEEDS[..1] };
    for &seed in seeds {
        let heard = talk(lead, speech, line, seed, true);
        let file = folder.join("heard.wav");
        wav::write(&file, &heard.samples)?;
        let (pesq, stoi) = scripts.scores(said, &file)?;
        say(&format!(
            "loss {:.0} % in runs of {burst}, seed {seed}: PESQ {pesq:.2}, STOI {stoi:.3}, {}",
            loss * 100.0,
            told(&heard)
        ));
        let share = 1.0 / seeds.len() as f64;
        cell.pesq_wb += pesq * share;
        cell.stoi += stoi * share;
        cell.payload_kbps = cell.payload_kbps.max(heard.payload_bps / 1000.0);
        cell.delay_p95_ms = cell.delay_p95_ms.max(heard.delay_p95_ms);
        cell.concealed_share += heard.concealed_share * share;
    }
    Ok(cell)
}

fn told(heard: &Heard) -> String {
    format!(
        "{:.1} kbit/s, {:.1} ms, held {:?} ms, {:.2} % made up, {:?}",
        heard.payload_bps / 1000.0,
        heard.delay_p95_ms,
        heard.held_ms,
        heard.concealed_share * 100.0,
        (heard.changes.iter())
            .map(|(at, settings)| (at, settings.copies))
            .collect::<Vec<_>>()
    )
}

/// The curve with what was measured now.
fn merged(cells: &[Cell], before: &[Cell]) -> Vec<Cell> {
    let same = |one: &Cell, other: &Cell| one.loss == other.loss && one.burst == other.burst;
    (before.iter())
        .map(|old| cells.iter().find(|new| same(new, old)).unwrap_or(old))
        .cloned()
        .collect()
}

fn judge(cells: &[Cell], before: &[Cell]) -> Vec<Point> {
    let mut points = Vec::new();
    for cell in cells {
        let bars = CELLS
            .iter()
            .find(|(loss, burst, ..)| cell.loss == *loss && cell.burst == *burst);
        let Some(&(.., pesq, stoi)) = bars else {
            continue;
        };
        let name = format!("{:.0} % in runs of {:.0}", cell.loss * 100.0, cell.burst);
        let mut point = |what: &str, unit, bar, figure| {
            let what = format!("{what}, {name}");
            points.push(Point::judge(&what, unit, bar, &[("", Some(figure))]));
        };
        point("PESQ-WB", "", Bar::AtLeast(pesq), cell.pesq_wb);
        point("STOI", "", Bar::AtLeast(stoi), cell.stoi);
        point(
            "sealed sound",
            "kbit/s",
            Bar::AtMost(100.0),
            cell.payload_kbps,
        );
        point("one way, p95", "ms", Bar::AtMost(250.0), cell.delay_p95_ms);
        let old = before
            .iter()
            .find(|old| old.loss == cell.loss && old.burst == cell.burst);
        let drop = old.map(|old| old.pesq_wb - cell.pesq_wb);
        let what = format!("PESQ-WB lost against the curve, {name}");
        points.push(Point::judge(
            &what,
            "",
            Bar::AtMost(DROP_PESQ),
            &[("", drop)],
        ));
    }
    points
}

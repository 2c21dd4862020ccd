//! The encoder against the players, on the same clips and the same grid, in one run: `cargo bench -p hullo-picture`.
//!
//! Wants `ffmpeg`, `mpv` and `timg`. Clips are made once and kept in the target folder. Bytes are what was written;
//! quality is what a terminal emulator shows, at two by four points a cell, against the source scaled exactly; processor
//! time is the encoder's thread, and for mpv's `tct` what it takes beyond mpv without a picture. Exits with 1 when a bar
//! is missed.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod clips;
mod encode;
mod players;
mod quality;

use std::process::ExitCode;

use hullo_picture::{Colours, EncoderOptions, Glyphs, Quality};

use clips::Clip;
use encode::{Run, encode, plain};
use players::{Player, play};

/// Cells of the picture.
pub(crate) const COLUMNS: u16 = 120;
/// See [`COLUMNS`].
pub(crate) const ROWS: u16 = 34;
/// Pictures a second of every clip.
pub(crate) const RATE: usize = 30;

/// Figures and whether the bars are held.
#[derive(Default)]
struct Report {
    missed: usize,
}

impl Report {
    fn row(&self, name: &str, run: &Run) {
        let time = run.time_ms.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
        println!(
            "{name:34} {:>8} {:>8} {:>8} {:>7.2} {:>7.4} {:>7.4} {time:>6}",
            run.bytes, run.bytes_p95, run.bytes_second, run.psnr, run.ssim, run.ssim_steady
        );
    }

    fn bar(&mut self, what: &str, found: f64, least: f64, most: f64) {
        let held = (least..=most).contains(&found);
        self.missed += usize::from(!held);
        let limit = if least == f64::MIN {
            format!("at most {most}")
        } else {
            format!("at least {least}")
        };
        println!(
            "{} {what}: {found:.4} ({limit})",
            if held { "ok    " } else { "MISSED" }
        );
    }

    fn at_most(&mut self, what: &str, found: f64, most: f64) {
        self.bar(what, found, f64::MIN, most);
    }

    fn at_least(&mut self, what: &str, found: f64, least: f64) {
        self.bar(what, found, least, f64::MAX);
    }
}

fn options(quality: Quality) -> EncoderOptions {
    EncoderOptions {
        quality,
        ..EncoderOptions::default()
    }
}

fn main() -> ExitCode {
    let mut report = Report::default();
    println!(
        "{:34} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>6}",
        format!("{COLUMNS}x{ROWS}, per frame"),
        "bytes",
        "p95",
        "worst s",
        "PSNR",
        "SSIM",
        "later",
        "ms"
    );
    // A part alone when named: `-- budgets`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|part| !part.starts_with('-'))
        .collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let talk = clips::talk(true);
    if wanted("players") {
        against_players(&talk, &mut report);
    }
    if wanted("clips") {
        other_clips(&mut report);
    }
    if wanted("budgets") {
        budgets(&talk, &mut report);
    }
    if wanted("looks") {
        looks(&talk, &report);
    }
    if report.missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn against_players(talk: &Clip, report: &mut Report) {
    let tct = play(talk, Player::MpvTct);
    report.row("talk: mpv --vo=tct", &tct);
    let half = play(talk, Player::TimgHalf);
    report.row("talk: timg, half blocks", &half);
    let quadrants = play(talk, Player::TimgQuadrant);
    report.row("talk: timg, quadrants", &quadrants);
    report.row("talk: ratatui, every cell", &plain(talk));
    let working = encode(talk, options(Quality::WORKING), usize::MAX);
    report.row("talk: working point", &working);
    let fine = encode(talk, options(Quality::FINE), usize::MAX);
    report.row("talk: fine", &fine);
    let slow = encode(talk, options(Quality::FINE), 30_000 / RATE);
    report.row("talk: 30 kB/s", &slow);
    let part = |a: &Run, b: &Run| 100.0 * a.bytes as f64 / b.bytes as f64;
    report.at_most("working, % of tct's bytes", part(&working, &tct), 3.0);
    report.at_most("working, % of timg's bytes", part(&working, &half), 5.0);
    report.at_least(
        "working, PSNR above both",
        working.psnr - tct.psnr.max(half.psnr),
        0.0,
    );
    report.at_least(
        "working, SSIM above both",
        working.ssim - tct.ssim.max(half.ssim),
        0.0,
    );
    let time = |run: &Run| run.time_ms.unwrap_or(f64::NAN);
    report.at_most("working, ms", time(&working), 1.0);
    report.at_most(
        "working, % of tct's time",
        100.0 * time(&working) / time(&tct),
        45.0,
    );
    report.at_least(
        "30 kB/s, SSIM above both after a second",
        slow.ssim_steady - tct.ssim_steady.max(half.ssim_steady),
        0.0,
    );
    report.at_most(
        "fine, % of timg quadrants' bytes",
        part(&fine, &quadrants),
        12.0,
    );
    report.at_least(
        "fine, SSIM above timg quadrants'",
        fine.ssim - quadrants.ssim,
        -0.001,
    );
}

fn other_clips(report: &mut Report) {
    let call = clips::call();
    report.row(
        "decoded call: working point",
        &encode(&call, options(Quality::WORKING), usize::MAX),
    );
    let still = encode(&clips::talk(false), options(Quality::WORKING), usize::MAX);
    report.row("still scene: working point", &still);
    report.at_most("still scene, bytes", still.bytes as f64, 500.0);
    let clip = clips::stress();
    let timg = play(&clip, Player::TimgHalf);
    report.row("stress: timg, half blocks", &timg);
    let stress = encode(&clip, options(Quality::WORKING), usize::MAX);
    report.row("stress: working point", &stress);
    let part = 100.0 * stress.bytes as f64 / timg.bytes as f64;
    report.at_most("stress, % of timg's bytes", part, 25.0);
    report.at_least("stress, SSIM above timg's", stress.ssim - timg.ssim, 0.0);
}

/// Rates in kB/s, and the bars of each; the fine point asks for more than any of them on the stress clip.
fn budgets(talk: &Clip, report: &mut Report) {
    let stress = clips::stress();
    for rate in [30_000, 60_000, 100_000, 200_000, 300_000, 500_000] {
        let budget = rate / RATE;
        for (name, clip) in [("talk", talk), ("stress", &stress)] {
            let run = encode(clip, options(Quality::FINE), budget);
            report.row(&format!("{name}: {} kB/s", rate / 1000), &run);
            let part = |bytes: usize| bytes as f64 / budget as f64;
            report.at_most(
                "  worst second, of the budget",
                part(run.bytes_second),
                1.05,
            );
            report.at_most("  95th percentile, of the budget", part(run.bytes_p95), 1.7);
            if name == "stress" {
                report.at_least("  mean, of the budget", part(run.bytes), 0.95);
            }
        }
    }
}

fn looks(talk: &Clip, report: &Report) {
    for (name, colours, glyphs) in [
        ("talk: half blocks", Colours::True, Glyphs::Half),
        ("talk: 256 colours", Colours::Palette256, Glyphs::Quadrant),
        ("talk: 16 colours", Colours::Palette16, Glyphs::Quadrant),
        (
            "talk: 256 colours, ASCII",
            Colours::Palette256,
            Glyphs::Ascii,
        ),
    ] {
        let options = EncoderOptions {
            colours,
            glyphs,
            ..EncoderOptions::default()
        };
        report.row(name, &encode(talk, options, usize::MAX));
    }
}

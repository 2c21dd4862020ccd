//! Other programs, each in a terminal of its own that takes all it writes at once.

use std::fs;
use std::io::Read;
use std::path::Path;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::clips::Clip;
use crate::encode::Run;
use crate::{COLUMNS, ROWS};

/// Rows below the picture, so that no player scrolls.
const ROWS_BELOW: u16 = 2;

/// What mpv writes before it leaves.
const CURSOR_BACK: &[u8] = b"\x1b>\x1b[?25h";

/// What is compared with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Player {
    MpvTct,
    TimgHalf,
    TimgQuadrant,
}

/// Plays the clip.
pub(crate) fn play(clip: &Clip, player: Player) -> Run {
    let grid = format!("-g{COLUMNS}x{ROWS}");
    let (width, height) = (
        format!("--vo-tct-width={COLUMNS}"),
        format!("--vo-tct-height={ROWS}"),
    );
    // Untimed: on a busy machine it would leave pictures out.
    let mpv = [
        "mpv",
        "--really-quiet",
        "--no-config",
        "--no-audio",
        "--untimed",
        "--framedrop=no",
    ];
    let (arguments, start, skip) = match player {
        // Version 0.35 begins in row 0, which terminals take for row 1: its second row hides its first.
        Player::MpvTct => (
            [&mpv[..], &["--vo=tct", &width, &height]].concat(),
            "\x1b[0;0f".to_owned(),
            1,
        ),
        Player::TimgHalf => (
            vec!["timg", "-ph", &grid, "--loops=1"],
            format!("\x1b[{ROWS}A"),
            0,
        ),
        Player::TimgQuadrant => (
            vec!["timg", "-pq", &grid, "--loops=1"],
            format!("\x1b[{ROWS}A"),
            0,
        ),
    };
    let (bytes, seconds) = run(&arguments, &clip.path);
    let mut frames = cut(&bytes, start.as_bytes());
    if player == Player::MpvTct {
        // What comes before the first picture is none.
        frames.remove(0);
        // Behind the last one mpv gives the cursor back, clears the screen and goes to its corner once more: no picture
        // either, and in a mean of squares that black screen would outweigh all others.
        frames.pop();
        if let Some(last) = frames.last_mut() {
            let end = last
                .windows(CURSOR_BACK.len())
                .rposition(|here| here == CURSOR_BACK);
            last.truncate(end.unwrap_or(last.len()));
        }
    }
    let time = (player == Player::MpvTct).then(|| {
        let (_, without) = run(&[&mpv[..], &["--vo=null"]].concat(), &clip.path);
        1000.0 * (seconds - without) / frames.len().max(1) as f64
    });
    Run::new(&frames, clip, time, ROWS + ROWS_BELOW, skip)
}

/// Everything a program writes, and its processor seconds.
fn run(arguments: &[&str], clip: &Path) -> (Vec<u8>, f64) {
    let size = PtySize {
        rows: ROWS + ROWS_BELOW,
        cols: COLUMNS,
        pixel_width: COLUMNS * 8,
        pixel_height: (ROWS + ROWS_BELOW) * 16,
    };
    let pty = native_pty_system()
        .openpty(size)
        .expect("a pseudo-terminal");
    let mut command = CommandBuilder::new(arguments[0]);
    command.args(&arguments[1..]);
    command.arg(clip);
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    let before = children_seconds();
    let started = pty.slave.spawn_command(command);
    let mut child = started.unwrap_or_else(|error| panic!("{}: {error}: install it", arguments[0]));
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().expect("the master is open");
    let (mut bytes, mut block) = (Vec::new(), vec![0; 1 << 16]);
    // Linux ends with an error when the last writer is gone.
    while let Ok(count @ 1..) = reader.read(&mut block) {
        bytes.extend_from_slice(&block[..count]);
    }
    child.wait().expect("it was started");
    (bytes, children_seconds() - before)
}

/// Processor seconds of all children waited for.
fn children_seconds() -> f64 {
    /// Ticks of `/proc` a second: fixed for Linux programs.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux says it");
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(13)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Cuts before each `start`.
fn cut(bytes: &[u8], start: &[u8]) -> Vec<Vec<u8>> {
    let starts = bytes.windows(start.len()).enumerate();
    let mut places: Vec<usize> = starts
        .filter(|(_, here)| *here == start)
        .map(|(at, _)| at)
        .collect();
    places.insert(0, 0);
    places.push(bytes.len());
    places
        .windows(2)
        .map(|pair| bytes[pair[0]..pair[1]].to_vec())
        .collect()
}

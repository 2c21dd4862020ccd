//! The encoder, and plain ratatui drawing, over a clip.

use std::fs;
use std::num::NonZeroU16;

use hullo_picture::{Encoder, EncoderOptions, Mask, PictureRef, Plane, Rect, Tile};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use crate::clips::{Clip, HEIGHT, WIDTH};
use crate::quality::{Score, pixels};
use crate::{COLUMNS, RATE, ROWS};

/// Each so many-th frame is looked at.
const LOOK: usize = 6;

/// What a run came to, per frame.
pub(crate) struct Run {
    pub(crate) bytes: usize,
    pub(crate) bytes_p95: usize,
    /// Of the worst second.
    pub(crate) bytes_second: usize,
    pub(crate) psnr: f64,
    pub(crate) ssim: f64,
    /// After the first second.
    pub(crate) ssim_steady: f64,
    pub(crate) time_ms: Option<f64>,
}

impl Run {
    /// Replays `frames` in a terminal `rows` high whose picture begins `skip` rows too high.
    pub(crate) fn new(
        frames: &[Vec<u8>],
        clip: &Clip,
        time_ms: Option<f64>,
        rows: u16,
        skip: usize,
    ) -> Self {
        let side = |cells| NonZeroU16::new(cells).expect("not zero");
        let mut terminal = vt100::Parser::new(side(rows), side(COLUMNS), 0);
        let (mut score, mut steady) = (Score::default(), Score::default());
        for (index, frame) in frames.iter().enumerate() {
            terminal.process(frame);
            if index % LOOK == LOOK - 1 {
                // Players on a busy machine leave pictures out.
                let at = index * clip.source.len() / frames.len();
                let shown = pixels(terminal.screen(), skip);
                score.add(&shown, &clip.source, at, skip);
                if at > RATE {
                    steady.add(&shown, &clip.source, at, skip);
                }
            }
        }
        let mut sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
        let seconds = sizes
            .windows(RATE)
            .map(|second| second.iter().sum::<usize>());
        let bytes_second = seconds.max().unwrap_or(0) / RATE;
        let bytes = sizes.iter().sum::<usize>() / sizes.len().max(1);
        sizes.sort_unstable();
        Self {
            bytes,
            bytes_p95: sizes.get(sizes.len() * 95 / 100).copied().unwrap_or(0),
            bytes_second,
            psnr: score.psnr(),
            ssim: score.ssim(),
            ssim_steady: steady.ssim(),
            time_ms,
        }
    }
}

/// Processor time of this thread, in milliseconds.
fn thread_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says it");
    let ns = text
        .split_whitespace()
        .next()
        .and_then(|ns| ns.parse::<f64>().ok());
    ns.expect("the first number is nanoseconds") / 1e6
}

/// Scaling and encoding of every picture.
pub(crate) fn encode(clip: &Clip, options: EncoderOptions, budget: usize) -> Run {
    let mut encoder = Encoder::new(options, COLUMNS, ROWS);
    let mut frames = Vec::with_capacity(clip.pictures.len());
    let start = thread_ms();
    for picture in &clip.pictures {
        let plane = |samples, stride| Plane { samples, stride };
        let (y, chroma) = picture.split_at(WIDTH * HEIGHT);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let (y, u, v) = (plane(y, WIDTH), plane(u, WIDTH / 2), plane(v, WIDTH / 2));
        let picture = PictureRef::i420(WIDTH as u32, HEIGHT as u32, y, u, v)
            .expect("ffmpeg's planes are whole");
        let rect = Rect::new(0, 0, COLUMNS, ROWS);
        let mut out = Vec::new();
        encoder.encode(&[Tile { rect, picture }], &Mask::new(), budget, &mut out);
        frames.push(out);
    }
    let time = (thread_ms() - start) / clip.pictures.len() as f64;
    Run::new(&frames, clip, Some(time), ROWS, 0)
}

/// What is had by drawing half blocks into ratatui's buffer; the time is without scaling.
pub(crate) fn plain(clip: &Clip) -> Run {
    let area = ratatui::layout::Rect::new(0, 0, COLUMNS, ROWS);
    let mut shown = Buffer::empty(area);
    let mut frames = Vec::with_capacity(clip.source.len());
    let width = usize::from(COLUMNS) * 2;
    let start = thread_ms();
    for picture in &clip.source {
        let mut next = Buffer::empty(area);
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let colour = |half: usize| {
                    let at = (usize::from(row) * 4 + half * 2) * width + usize::from(column) * 2;
                    let points = [at, at + 1, at + width, at + width + 1].map(|at| picture[at]);
                    let mean = |c: usize| {
                        (points.iter().map(|point| u32::from(point[c])).sum::<u32>() / 4) as u8
                    };
                    Color::Rgb(mean(0), mean(1), mean(2))
                };
                next[(column, row)]
                    .set_symbol("▀")
                    .set_fg(colour(0))
                    .set_bg(colour(1));
            }
        }
        let mut out = Vec::new();
        let mut backend = CrosstermBackend::new(&mut out);
        let drawn = backend.draw(shown.diff(&next).into_iter());
        drawn.expect("memory takes all");
        frames.push(out);
        shown = next;
    }
    let time = (thread_ms() - start) / clip.source.len() as f64;
    Run::new(&frames, clip, Some(time), ROWS, 0)
}

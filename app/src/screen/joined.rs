//! ratatui, pictures and the writer together: what a terminal shows in the end is what was drawn last, cell by cell.

use std::io::{self, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use hullo_media::frame::Picture;
use hullo_picture::Colour;
use proptest::prelude::*;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::widgets::{Clear, Widget as _};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::interface::Interface;
use super::kind::PictureTerminal;
use super::pictures::Pictures;
use crate::terminal::writer::Writer;
use crate::view::canvas::Canvas;
use crate::view::look::{ColourDepth, Glyphs, Look};

const LOOK: Look = Look {
    depth: ColourDepth::True,
    glyphs: Glyphs::Unicode,
};
const SIZES: [(u16, u16); 3] = [(60, 20), (41, 13), (8, 3)];

/// A terminal that takes so many pieces and then stops.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Taken>, Condvar)>);

#[derive(Default)]
struct Taken {
    pieces: usize,
    bytes: Vec<u8>,
}

impl Gate {
    fn open(&self, pieces: usize) {
        let mut taken = self.0.0.lock().unwrap();
        taken.pieces = taken.pieces.saturating_add(pieces);
        self.0.1.notify_all();
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.0.lock().unwrap().bytes)
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.0.0.lock().unwrap();
        while taken.pieces == 0 {
            taken = self.0.1.wait(taken).unwrap();
        }
        taken.pieces -= 1;
        taken.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is on the screen at one moment.
#[derive(Clone, Debug)]
struct Step {
    size: usize,
    words: u8,
    /// Where a picture is, and its colours.
    picture: Option<(Rect, u8)>,
    /// A menu over it.
    menu: Option<Rect>,
    /// Pieces the terminal takes then.
    pieces: usize,
    is_synchronized: bool,
}

fn rects() -> impl Strategy<Value = Rect> {
    (0u16..30, 0u16..10, 1u16..40, 1u16..16).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
}

fn steps() -> impl Strategy<Value = Step> {
    (
        prop::sample::select(vec![0usize, 0, 0, 0, 1, 2]),
        0u8..4,
        prop::option::weighted(0.8, (prop::sample::select(vec![0u16, 2]), any::<u8>())),
        prop::option::weighted(0.3, rects()),
        0usize..4,
        any::<bool>(),
    )
        .prop_map(
            |(size, words, picture, menu, pieces, is_synchronized)| Step {
                size,
                words,
                picture: picture.map(|(x, seed)| (Rect::new(x, 1, 56, 17), seed)),
                menu,
                pieces,
                is_synchronized,
            },
        )
}

fn picture(seed: u8) -> Picture {
    let noise = |count: usize, by: u32| -> Vec<u8> {
        let level = |at: usize| {
            (at as u32)
                .wrapping_mul(by)
                .wrapping_add(u32::from(seed) * 977)
        };
        (0..count).map(|at| (level(at) >> 5) as u8).collect()
    };
    Picture {
        width: 96,
        height: 54,
        y: noise(96 * 54, 2_654_435),
        u: noise(48 * 27, 40_503),
        v: noise(48 * 27, 69_069),
    }
}

fn colour(found: vt100::Color) -> Colour {
    match found {
        vt100::Color::Default => Colour::Default,
        vt100::Color::Idx(entry) => Colour::Palette(entry),
        vt100::Color::Rgb(r, g, b) => Colour::Rgb([r, g, b]),
    }
}

/// Draws one step as [`super::Screen::draw_if_due`] does; what was drawn.
fn draw(
    terminal: &mut Terminal<CrosstermBackend<Interface>>,
    pictures: &mut Pictures,
    now: Instant,
    step: &Step,
) -> Buffer {
    let (columns, rows) = SIZES[step.size];
    let area = Rect::new(0, 0, columns, rows);
    // It clears the screen each time.
    if terminal.current_buffer_mut().area != area {
        terminal.resize(area).unwrap();
    }
    pictures.synchronize(step.is_synchronized);
    let shown = step.picture.map(|(place, seed)| (place, picture(seed)));
    let mut drawn = Buffer::empty(area);
    let mut placed = Vec::new();
    let of_frame = |frame: &mut ratatui::Frame<'_>| {
        let mut canvas = Canvas::with_places(frame.buffer_mut());
        for row in 0..rows {
            let words = format!("{} row {row} ", step.words).repeat(6);
            canvas.set_stringn(0, row, words, usize::from(columns), Color::Yellow);
        }
        if let Some((place, shown)) = &shown {
            canvas.picture(shown, place.intersection(area), LOOK);
        }
        if let Some(menu) = step.menu.map(|menu| menu.intersection(area)) {
            Clear.render(menu, &mut canvas);
            for row in menu.top()..menu.bottom() {
                canvas.set_stringn(
                    menu.x,
                    row,
                    "menu".repeat(20),
                    menu.width.into(),
                    Color::Red,
                );
            }
        }
        placed = canvas.into_placed();
        pictures.arrange(&placed, frame.buffer_mut());
        drawn = frame.buffer_mut().clone();
    };
    terminal.draw(of_frame).unwrap();
    pictures.draw(now, &placed, (columns, rows), LOOK);
    drawn
}

/// Compares the terminal with what was drawn last.
fn check(screen: &vt100::Screen, drawn: &Buffer, pictures: &Pictures) -> Result<(), TestCaseError> {
    for row in 0..drawn.area.height {
        for column in 0..drawn.area.width {
            let shown = screen.cell(row, column).expect("on the screen");
            let cell = &drawn[(column, row)];
            let glyph = shown.contents().chars().next().unwrap_or(' ');
            if cell.diff_option == CellDiffOption::Skip && cell.symbol() == " " {
                let Some(said) = pictures.shown().cell(column, row) else {
                    continue;
                };
                prop_assert_eq!(glyph, said.glyph, "{} {}", column, row);
                if glyph != ' ' {
                    prop_assert_eq!(colour(shown.fgcolor()), said.foreground);
                }
                prop_assert_eq!(colour(shown.bgcolor()), said.background);
            } else {
                let wanted = cell.symbol().chars().next().unwrap_or(' ');
                prop_assert_eq!(glyph, wanted, "text at {} {}", column, row);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_terminal_shows_what_was_drawn_last(steps in prop::collection::vec(steps(), 1..25)) {
        let side = |cells| NonZeroU16::new(cells).expect("not zero");
        let gate = Gate::default();
        let interface = Interface::default();
        let mut now = Instant::now();
        let writer = Writer::start(gate.clone(), || {}).unwrap();
        let mut pictures =
            Pictures::new(now, PictureTerminal::default(), writer, interface.clone());
        let (columns, rows) = SIZES[0];
        let mut seen = vt100::Parser::new(side(rows), side(columns), 0);
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(interface), TerminalOptions { viewport })
                .unwrap();
        let mut drawn = None;
        let mut last = Step { size: 0, words: 0, picture: None, menu: None, pieces: 0, is_synchronized: false };
        for step in steps {
            now += Duration::from_millis(33);
            pictures.answered(now);
            if pictures.takes_drawing() {
                if step.size != last.size {
                    let (columns, rows) = SIZES[step.size];
                    seen.process(&gate.take());
                    seen.screen_mut().set_size(side(rows), side(columns));
                }
                drawn = Some(draw(&mut terminal, &mut pictures, now, &step));
                last = step.clone();
            }
            gate.open(step.pieces);
        }
        gate.open(usize::MAX);
        while !pictures.is_idle_now() {
            std::thread::yield_now();
        }
        seen.process(&gate.take());
        if let Some(drawn) = drawn {
            check(seen.screen(), &drawn, &pictures)?;
        }
    }
}

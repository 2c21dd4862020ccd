use std::io::{self, Write};
use std::sync::Arc;

use ratatui::layout::Rect as Cells;
use ratatui::style::Color;
use ratatui::widgets::{Clear, Widget as _};

use super::*;
use crate::view::canvas::Canvas;

#[derive(Clone, Default)]
struct Sink(Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("nobody panicked")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LOOK: Look = Look {
    depth: ColourDepth::True,
    glyphs: look::Glyphs::Unicode,
};
const AREA: Cells = Cells::new(0, 0, 40, 12);

fn picture(level: u8) -> Picture {
    Picture {
        width: 64,
        height: 36,
        y: vec![level; 64 * 36],
        u: vec![128; 32 * 18],
        v: vec![128; 32 * 18],
    }
}

fn pictures(sink: &Sink, now: Instant) -> Pictures {
    let writer = Writer::start(sink.clone(), || {}).expect("a thread");
    Pictures::new(
        now,
        PictureTerminal::default(),
        writer,
        Interface::default(),
    )
}

/// One frame: `over` is drawn after the picture.
fn frame(
    pictures: &mut Pictures,
    now: Instant,
    shown: Option<&Picture>,
    over: impl FnOnce(&mut Buffer),
) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    let mut canvas = Canvas::with_places(&mut buffer);
    if let Some(shown) = shown {
        canvas.picture(shown, AREA, LOOK);
    }
    over(&mut canvas);
    let placed = canvas.into_placed();
    pictures.arrange(&placed, &mut buffer);
    // The sink takes all, and soon.
    while !pictures.writer.takes_picture() {
        std::thread::yield_now();
    }
    pictures.draw(now, &placed, (AREA.width, AREA.height), LOOK);
    buffer
}

#[test]
fn what_is_drawn_over_a_picture_stays_and_what_a_picture_leaves_is_written() {
    let (sink, mut now) = (Sink::default(), Instant::now());
    let mut pictures = pictures(&sink, now);
    let grey = picture(180);
    let words = Cells::new(10, 4, 12, 2);
    let menu = |buffer: &mut Buffer| {
        Clear.render(words, buffer);
        buffer.set_string(10, 4, "over it", Color::White);
    };
    for _ in 0..40 {
        now += Duration::from_millis(33);
        let buffer = frame(&mut pictures, now, Some(&grey), menu);
        assert_eq!(buffer[(10, 4)].diff_option, CellDiffOption::None);
        assert_eq!(buffer[(3, 4)].diff_option, CellDiffOption::Skip);
    }
    let shown = |pictures: &Pictures, column, row| pictures.encoder.shown().cell(column, row);
    assert!(shown(&pictures, 3, 4).is_some(), "the picture was drawn");
    for column in words.left()..words.right() {
        assert!(
            shown(&pictures, column, 4).is_none(),
            "{column} belongs to the words"
        );
    }
    assert!(!sink.0.lock().expect("nobody panicked").is_empty());
    // The menu goes: its cells are the picture's again. The picture goes: its cells are written, blank as they are.
    now += Duration::from_millis(33);
    let buffer = frame(&mut pictures, now, Some(&grey), |_| {});
    assert_eq!(buffer[(10, 4)].diff_option, CellDiffOption::Skip);
    now += Duration::from_millis(33);
    let buffer = frame(&mut pictures, now, None, |_| {});
    assert_eq!(buffer[(10, 4)].diff_option, CellDiffOption::AlwaysUpdate);
    now += Duration::from_millis(33);
    let buffer = frame(&mut pictures, now, None, |_| {});
    assert_eq!(buffer[(10, 4)].diff_option, CellDiffOption::None, "once");
    assert!(
        shown(&pictures, 3, 4).is_none(),
        "what stands there is not known"
    );
}

#[test]
fn a_terminal_that_does_not_keep_up_is_sent_less_than_it_is_shown() {
    let (sink, mut now) = (Sink::default(), Instant::now());
    let mut pictures = pictures(&sink, now);
    for turn in 0..60u8 {
        now += Duration::from_millis(33);
        frame(
            &mut pictures,
            now,
            Some(&picture(turn.wrapping_mul(37))),
            |_| {},
        );
    }
    // Nothing was answered: two seconds at the rate for terminals of which nothing is known, and no more.
    let sent = sink.0.lock().expect("nobody panicked").len();
    assert!((1..130_000).contains(&sent), "{sent} bytes");
}

/// All that was written since the last time, once nothing waits any more.
fn written(pictures: &Pictures, sink: &Sink) -> String {
    while !pictures.is_idle_now() {
        std::thread::yield_now();
    }
    let bytes = std::mem::take(&mut *sink.0.lock().expect("nobody panicked"));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn pixels_go_at_once_when_a_menu_opens_and_when_the_picture_does() {
    const CLEAR: &str = "\x1b_Ga=d,d=A";
    const PLACED: &str = "\x1b_Ga=p,";
    let (sink, mut now) = (Sink::default(), Instant::now());
    let mut pictures = pictures(&sink, now);
    let pixels = PixelScreen::new(hullo_picture::PixelKind::Kitty, (10, 20));
    pictures.set_pixels(pixels.expect("a usual cell"));
    let mut show = |pictures: &mut Pictures, shown: Option<&Picture>, menu: bool| {
        now += Duration::from_secs(1);
        pictures.answered(now);
        frame(pictures, now, shown, |buffer| {
            if menu {
                Clear.render(AREA, buffer);
                buffer.set_string(10, 4, "all of it", Color::White);
            }
        });
        written(pictures, &sink)
    };
    let (light, dark) = (picture(180), picture(20));
    let first = show(&mut pictures, Some(&light), false);
    assert!(first.contains(PLACED), "{first:?}");
    assert!(!first.contains('▀'), "pixels in place of characters");
    let same = show(&mut pictures, Some(&light), false);
    assert!(!same.contains("\x1b_G"), "nothing changed: {same:?}");
    let next = show(&mut pictures, Some(&dark), false);
    assert!(
        next.contains(PLACED) && next.contains("\x1b_Ga=d,d=I,i=1,"),
        "{next:?}"
    );
    let menu = show(&mut pictures, Some(&light), true);
    assert!(menu.contains(CLEAR) && !menu.contains(PLACED), "{menu:?}");
    let back = show(&mut pictures, Some(&light), false);
    assert!(back.contains(PLACED), "{back:?}");
    let gone = show(&mut pictures, None, false);
    assert!(gone.contains(CLEAR) && !gone.contains(PLACED), "{gone:?}");
    assert_eq!(show(&mut pictures, None, false), "", "once");
}

#[test]
fn characters_and_the_most_bytes_are_as_chosen() {
    let kind = PictureTerminal {
        glyphs: Some(Glyphs::Braille),
        budget: Some(30_000),
        ..PictureTerminal::default()
    };
    let (sink, mut now) = (Sink::default(), Instant::now());
    let writer = Writer::start(sink.clone(), || {}).expect("a thread");
    let mut pictures = Pictures::new(now, kind, writer, Interface::default());
    for turn in 0..60u8 {
        now += Duration::from_millis(33);
        frame(
            &mut pictures,
            now,
            Some(&picture(turn.wrapping_mul(37))),
            |_| {},
        );
    }
    let figures = pictures.figures(now);
    assert_eq!((figures.rate, figures.colours), (30_000, Colours::None));
    let shown = written(&pictures, &sink);
    assert!(
        shown.len() <= 63_000,
        "{} bytes in two seconds",
        shown.len()
    );
    let is_dots = |c: char| ('\u{2800}'..='\u{28ff}').contains(&c);
    assert!(
        shown.contains(is_dots) && !shown.contains("38;2"),
        "{shown:?}"
    );
}

#[test]
fn a_small_picture_over_a_large_one_is_seen_whole() {
    let (sink, mut now) = (Sink::default(), Instant::now());
    let mut pictures = pictures(&sink, now);
    let (large, small) = (picture(235), picture(16));
    let corner = Cells::new(26, 6, 14, 4);
    for _ in 0..40 {
        now += Duration::from_millis(33);
        let mut buffer = Buffer::empty(AREA);
        let mut canvas = Canvas::with_places(&mut buffer);
        canvas.picture(&large, AREA, LOOK);
        Clear.render(corner, &mut canvas);
        let on_top = canvas.picture(&small, corner, LOOK);
        assert_eq!(on_top, corner);
        let placed = canvas.into_placed();
        pictures.arrange(&placed, &mut buffer);
        while !pictures.writer.takes_picture() {
            std::thread::yield_now();
        }
        pictures.draw(now, &placed, (AREA.width, AREA.height), LOOK);
    }
    let is_dark = |column, row| {
        let cell = pictures.encoder.shown().cell(column, row);
        match cell.expect("a picture is there").background {
            hullo_picture::Colour::Rgb([red, ..]) => red < 128,
            other => panic!("{other:?}"),
        }
    };
    for column in corner.left()..corner.right() {
        for row in corner.top()..corner.bottom() {
            assert!(is_dark(column, row), "{column} {row} shows the large one");
        }
    }
    assert!(
        !is_dark(corner.left() - 1, corner.top()),
        "beside it the large one"
    );
}

//! Moving pictures on the screen: encoded after everything else was drawn, in the bytes that the terminal keeps up with.
//!
//! ```text
//! view ─ cells ─→ ratatui ─→ terminal ←─ bytes ─ encoder ←─ places of pictures ─ view
//!                               │                   ↑ allowance
//!                               └─ answers ─→ flow ─┘
//! ```

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hullo_media::frame::Picture;
use hullo_picture::{
    Colours, Encoder, EncoderOptions, Flow, FlowInput, FlowOutput, Glyphs, Mask, PIECE_BYTES,
    PictureRef, Place, Plane, QUERY, Quality, Rect, Tile,
};
use ratatui::buffer::{Buffer, CellDiffOption};

use crate::terminal::probe::QUESTIONS;
use crate::terminal::writer::Writer;
use crate::view::canvas::Placed;
use crate::view::look::{self, ColourDepth, Look};

/// When a frame had no room and nothing tells when there is: about one picture of the camera later.
const LOOK_AGAIN: Duration = Duration::from_millis(33);

/// Synchronized output: the terminal shows nothing between the two, or for as long as it is patient.
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";
/// Answers under way when the program ends: they would be typed into the shell.
const LATE_ANSWERS: Duration = Duration::from_millis(100);

/// Draws pictures; see the module.
pub(super) struct Pictures {
    writer: Writer,
    /// What ratatui draws and nobody has written yet.
    interface: Interface,
    /// The cursor was left on the screen.
    is_cursor_shown: bool,
    encoder: Encoder,
    drawn_with: (EncoderOptions, u16, u16),
    has_halves_only: bool,
    flow: Flow,
    /// Cells that showed a picture, row by row.
    covered: Vec<bool>,
    mask: Mask,
    /// Where pictures were, and what was masked, when the newest frame was made.
    laid_out: (Vec<Rect>, Mask),
    is_synchronized: bool,
    /// What the terminal can do was asked; the answers may be on their way.
    is_asked: bool,
    /// There was no room for the newest pictures.
    is_behind: bool,
    bytes: Vec<u8>,
}

/// What the terminal is, as far as pictures care.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureTerminal {
    /// tmux, screen or zellij stands between and answers in its place.
    pub is_multiplexed: bool,
    /// Quarters of a cell are not in its font: the Linux console.
    pub has_halves_only: bool,
    /// Questions are answered, or at least swallowed.
    pub can_be_asked: bool,
}

impl PictureTerminal {
    /// Looks at the environment.
    #[must_use]
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        let is_behind_one = ["TMUX", "STY", "ZELLIJ"].into_iter().any(is);
        Self {
            is_multiplexed: is_behind_one || term.starts_with("screen") || term.starts_with("tmux"),
            has_halves_only: term == "linux",
            // The kernel's console prints parts of some questions.
            can_be_asked: term != "linux" && !term.starts_with("vt") && !term.is_empty(),
        }
    }
}

impl Pictures {
    pub(super) fn new(
        now: Instant,
        terminal: PictureTerminal,
        writer: Writer,
        interface: Interface,
    ) -> Self {
        let options = EncoderOptions::default();
        Self {
            writer,
            interface,
            is_cursor_shown: false,
            encoder: Encoder::new(options, 0, 0),
            drawn_with: (options, 0, 0),
            has_halves_only: terminal.has_halves_only,
            flow: Flow::new(now, terminal.is_multiplexed),
            covered: Vec::new(),
            mask: Mask::new(),
            laid_out: (Vec::new(), Mask::new()),
            is_synchronized: false,
            is_asked: false,
            is_behind: false,
            bytes: Vec::new(),
        }
    }

    /// Asks what the terminal can do.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
        self.put(QUESTIONS.as_bytes());
    }

    /// Writes sequences that draw nothing.
    pub(super) fn put(&mut self, sequence: &[u8]) {
        self.writer.put_text(sequence, Place::Urgent);
    }

    /// Whether the terminal has taken the last drawing; if not, whoever waits is woken when it has.
    pub(super) fn takes_drawing(&self) -> bool {
        self.writer.takes_text()
    }

    /// Whether the terminal is gone.
    pub(super) fn has_failed(&self) -> bool {
        self.writer.has_failed()
    }

    /// Nothing is known of what the terminal shows.
    pub(super) fn forget(&mut self, now: Instant) {
        self.encoder.invalidate();
        // What was asked before is not answered any more.
        self.flow.handle_input(now, FlowInput::Due);
    }

    /// The last answer came.
    pub(super) fn all_answered(&mut self) {
        self.is_asked = false;
    }

    /// Whether the terminal can be told that a picture of the screen is not whole yet.
    pub(super) fn synchronize(&mut self, is_possible: bool) {
        self.is_synchronized = is_possible;
    }

    /// The terminal took in all before a question.
    pub(super) fn answered(&mut self, at: Instant) {
        self.flow.handle_input(at, FlowInput::Answered);
    }

    /// When to draw again though nothing changed.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let mut due = None;
        loop {
            match self.flow.poll_output() {
                FlowOutput::Timeout(at) => {
                    let again = self
                        .is_behind
                        .then(|| at.unwrap_or(now + LOOK_AGAIN).min(now + LOOK_AGAIN));
                    return [due, again].into_iter().flatten().min();
                }
                FlowOutput::Room if self.is_behind => due = Some(now),
                FlowOutput::Room => {}
                FlowOutput::Unanswered => {
                    tracing::info!("the terminal answers nothing: pictures at a fixed rate");
                }
            }
        }
    }

    /// Before the cells are written: those that pictures leave are written whatever they showed, and what was drawn
    /// over a picture is masked.
    pub(super) fn arrange(&mut self, placed: &[Placed<'_>], buffer: &mut Buffer) {
        let area = buffer.area;
        let cells = usize::from(area.width) * usize::from(area.height);
        if self.covered.len() != cells {
            self.covered.clear();
            self.covered.resize(cells, false);
        }
        self.mask.clear();
        let mut covers = vec![false; cells];
        for Placed { rect, .. } in placed {
            for row in rect.top()..rect.bottom() {
                let mut over: Option<u16> = None;
                for column in rect.left()..=rect.right() {
                    let is_over = column < rect.right() && {
                        let cell = &mut buffer[(column, row)];
                        let is_picture =
                            cell.diff_option == CellDiffOption::Skip && cell.symbol() == " ";
                        if is_picture {
                            covers[buffer.index_of(column, row)] = true;
                        } else {
                            cell.set_diff_option(CellDiffOption::None);
                        }
                        !is_picture
                    };
                    match (over, is_over) {
                        (None, true) => over = Some(column),
                        (Some(start), false) => {
                            self.mask.cover(Rect::new(start, row, column - start, 1));
                            over = None;
                        }
                        _ => {}
                    }
                }
            }
        }
        for (index, cell) in buffer.content.iter_mut().enumerate() {
            if self.covered[index] && !covers[index] {
                cell.set_diff_option(CellDiffOption::AlwaysUpdate);
            }
        }
        self.covered = covers;
    }

    /// After ratatui drew: hands over what it drew, and the pictures as they are now as far as there is room.
    pub(super) fn draw(
        &mut self,
        now: Instant,
        placed: &[Placed<'_>],
        size: (u16, u16),
        look: Look,
    ) {
        let mut text = self.interface.take();
        if self.is_idle(&text) {
            text.clear();
        }
        self.flow.handle_input(now, FlowInput::Due);
        self.bytes.clear();
        let has_slot = self.writer.takes_picture();
        let laid_out = (
            placed.iter().map(|placed| rect(placed.rect)).collect(),
            self.mask.clone(),
        );
        let asked = self.encode(now, placed, size, look, has_slot);
        // A frame that waits was made for where things were then.
        let place = if has_slot || laid_out == self.laid_out {
            Place::Urgent
        } else {
            Place::BehindPicture
        };
        if has_slot {
            self.laid_out = laid_out;
        }
        let bytes = self.hand_over(text, place, asked);
        // Together: a frame's share of the rate is what came due since the last bytes of any kind.
        self.flow
            .handle_input(Instant::now(), FlowInput::Sent { bytes, asked });
    }

    /// Text that changes nothing: ratatui ends every drawing with the same few sequences.
    fn is_idle(&mut self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        if text.contains("\x1b[?25h") {
            self.is_cursor_shown = true;
            return false;
        }
        let mut rest = text.into_owned();
        for idle in ["\x1b[?25l", "\x1b[39m", "\x1b[49m", "\x1b[59m", "\x1b[0m"] {
            rest = rest.replace(idle, "");
        }
        rest.is_empty() && !std::mem::take(&mut self.is_cursor_shown)
    }

    /// Gives text and the frame in `self.bytes` to the writer; the number of bytes. Where the terminal can be told, small
    /// changes of both are shown together, and a large picture does not hold the text back.
    fn hand_over(&mut self, text: Vec<u8>, place: Place, asked: bool) -> usize {
        let mut frame = std::mem::take(&mut self.bytes);
        let mut cuts = self.encoder.cuts().to_vec();
        let mut text = text;
        let is_together = text.len() + frame.len() < PIECE_BYTES && place == Place::Urgent;
        if self.is_synchronized && !frame.is_empty() {
            // Before the question: its answer is to say that all was shown.
            let end = frame.len() - if asked { QUERY.len() } else { 0 };
            frame.splice(end..end, END_UPDATE.iter().copied());
        }
        if self.is_synchronized && !text.is_empty() {
            text.splice(0..0, BEGIN_UPDATE.iter().copied());
            if frame.is_empty() || !is_together {
                text.extend_from_slice(END_UPDATE);
            }
        }
        if self.is_synchronized && !frame.is_empty() && (text.is_empty() || !is_together) {
            frame.splice(0..0, BEGIN_UPDATE.iter().copied());
            cuts.iter_mut().for_each(|cut| *cut += BEGIN_UPDATE.len());
        }
        let bytes = text.len() + frame.len();
        self.writer.put_text(&text, place);
        if !frame.is_empty() {
            self.writer.put_picture(frame, &cuts);
        }
        bytes
    }

    /// The pictures as they are now, as far as there is room; whether a question ends them.
    fn encode(
        &mut self,
        now: Instant,
        placed: &[Placed<'_>],
        (columns, rows): (u16, u16),
        look: Look,
        has_slot: bool,
    ) -> bool {
        let wanted = (self.options(look), columns, rows);
        if self.drawn_with != wanted {
            self.encoder = Encoder::new(wanted.0, columns, rows);
            self.drawn_with = wanted;
        }
        let tiles: Vec<Tile<'_>> = placed.iter().filter_map(tile).collect();
        self.is_behind = false;
        let allowance = if tiles.is_empty() || !has_slot {
            None
        } else {
            self.flow.allowance(now)
        };
        let Some(allowance) = allowance else {
            // What is drawn over a picture now, and what a picture leaves, must be known when it comes back.
            self.encoder.lay_out(&tiles, &self.mask);
            self.is_behind = !tiles.is_empty();
            return false;
        };
        // A good line gets the finer picture that it has room for.
        self.encoder
            .set_quality(Quality::for_rate(self.flow.rate()));
        let question = if allowance.ask { QUERY.len() } else { 0 };
        let budget = allowance.bytes.saturating_sub(question);
        let stats = self
            .encoder
            .encode(&tiles, &self.mask, budget, &mut self.bytes);
        self.is_behind = !stats.painted;
        let asks = allowance.ask && !self.bytes.is_empty();
        if asks {
            self.bytes.extend_from_slice(QUERY);
        }
        asks
    }

    fn options(&self, look: Look) -> EncoderOptions {
        let colours = match look.depth {
            ColourDepth::True => Colours::True,
            ColourDepth::Palette256 => Colours::Palette256,
            ColourDepth::Palette16 => Colours::Palette16,
            ColourDepth::None => Colours::None,
        };
        let glyphs = match look.glyphs {
            look::Glyphs::Ascii => Glyphs::Ascii,
            look::Glyphs::Unicode if colours == Colours::None => Glyphs::Ascii,
            look::Glyphs::Unicode if self.has_halves_only => Glyphs::Half,
            look::Glyphs::Unicode => Glyphs::Quadrant,
        };
        EncoderOptions {
            colours,
            glyphs,
            ..EncoderOptions::default()
        }
    }
}

#[cfg(test)]
impl Pictures {
    /// What the encoder believes to be shown.
    pub(super) fn shown(&self) -> &hullo_picture::Grid {
        self.encoder.shown()
    }

    /// All that was put in is written.
    pub(super) fn is_idle_now(&self) -> bool {
        self.writer.is_idle()
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        if self.flow.round_trip().is_some() || self.is_asked {
            std::thread::sleep(LATE_ANSWERS);
            // What stdin is when it is no terminal any more has no queue.
            let _ = rustix::termios::tcflush(
                rustix::stdio::stdin(),
                rustix::termios::QueueSelector::IFlush,
            );
        }
    }
}

fn tile<'m>(placed: &Placed<'m>) -> Option<Tile<'m>> {
    let Picture {
        width,
        height,
        y,
        u,
        v,
    } = placed.picture;
    let plane = |samples: &'m [u8], stride: u32| Plane {
        samples,
        stride: stride as usize,
    };
    let chroma = width.div_ceil(2);
    let picture = PictureRef::i420(
        *width,
        *height,
        plane(y, *width),
        plane(u, chroma),
        plane(v, chroma),
    );
    let rect = rect(placed.rect);
    Some(Tile {
        rect,
        // A picture whose planes are too short was never decoded right: nothing is drawn.
        picture: picture.ok()?,
    })
}

fn rect(cells: ratatui::layout::Rect) -> Rect {
    Rect::new(cells.x, cells.y, cells.width, cells.height)
}

/// What ratatui writes to: kept until it is handed to the writer together with the pictures.
#[derive(Clone, Debug, Default)]
pub struct Interface(Arc<Mutex<Vec<u8>>>);

impl Interface {
    /// All since the last time.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Interface {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}

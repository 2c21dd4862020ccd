//! Moving pictures on the screen: encoded after everything else was drawn, in the bytes that the terminal keeps up with.
//!
//! ```text
//! view ─ cells ─→ ratatui ─→ terminal ←─ bytes ─ encoder ←─ places of pictures ─ view
//!                               │                   ↑ allowance
//!                               └─ answers ─→ flow ─┘
//! ```

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::time::{Duration, Instant};

use hullo_media::frame::Picture;
use hullo_picture::{
    Allowance, Colours, Encoder, EncoderOptions, Flow, FlowInput, FlowOutput, Glyphs, Mask,
    PIECE_BYTES, PictureRef, PixelScreen, Place, Plane, QUERY, Quality, Rect, Tile,
};
use ratatui::buffer::{Buffer, CellDiffOption};

use super::figures::{Figures, Meter};
use super::interface::Interface;
use super::kind::PictureTerminal;
use crate::config::SyncChoice;
use crate::terminal::probe::questions;
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
    kind: PictureTerminal,
    /// Characters without colour are darker than what is behind them.
    is_on_light: bool,
    /// Draws in place of `encoder`, where pixels were asked for and the terminal says that it shows them.
    pixels: Option<PixelScreen>,
    meter: Meter,
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

impl Pictures {
    pub(super) fn new(
        now: Instant,
        terminal: PictureTerminal,
        writer: Writer,
        interface: Interface,
    ) -> Self {
        let options = EncoderOptions::default();
        let flow = Flow::new(now, terminal.is_multiplexed);
        Self {
            writer,
            interface,
            is_cursor_shown: false,
            encoder: Encoder::new(options, 0, 0),
            drawn_with: (options, 0, 0),
            kind: terminal,
            is_on_light: false,
            pixels: None,
            meter: Meter::default(),
            flow: match terminal.budget {
                Some(bytes) => flow.with_budget(bytes),
                None => flow,
            },
            covered: Vec::new(),
            mask: Mask::new(),
            laid_out: (Vec::new(), Mask::new()),
            is_synchronized: terminal.sync == SyncChoice::On,
            is_asked: false,
            is_behind: false,
            bytes: Vec::new(),
        }
    }

    /// Asks what the terminal can do.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
        self.put(questions(self.kind.pixels).as_bytes());
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
        if let Some(pixels) = &mut self.pixels {
            pixels.invalidate();
        }
        // What was asked before is not answered any more.
        self.flow.handle_input(now, FlowInput::Due);
    }

    /// The last answer came.
    pub(super) fn all_answered(&mut self) {
        self.is_asked = false;
    }

    /// Whether the terminal can be told that a picture of the screen is not whole yet.
    pub(super) fn synchronize(&mut self, is_possible: bool) {
        self.is_synchronized = match self.kind.sync {
            SyncChoice::Auto => is_possible,
            SyncChoice::On => true,
            SyncChoice::Off => false,
        };
    }

    /// Whether letters are darker than what is behind them.
    pub(super) fn set_on_light(&mut self, is_on_light: bool) {
        self.is_on_light = is_on_light;
    }

    /// Draws pixels from now on.
    pub(super) fn set_pixels(&mut self, pixels: PixelScreen) {
        self.pixels = Some(pixels);
        self.encoder.invalidate();
    }

    /// What the pictures come to now.
    pub(super) fn figures(&self, now: Instant) -> Figures {
        Figures {
            rate: self.flow.rate(),
            round_trip: self.flow.round_trip(),
            colours: self.drawn_with.0.colours,
            glyphs: self.drawn_with.0.glyphs,
            pixels: self.pixels.as_ref().map(PixelScreen::kind),
            ..self.meter.figures(now)
        }
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
        let mut cuts = match &self.pixels {
            Some(pixels) => pixels.cuts().to_vec(),
            None => self.encoder.cuts().to_vec(),
        };
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
        // What was placed last lies on top: of tiles that overlap the encoder draws the first.
        let tiles: Vec<Tile<'_>> = placed.iter().rev().filter_map(tile).collect();
        self.is_behind = false;
        if self.pixels.is_some() {
            return self.encode_pixels(now, &tiles, (columns, rows), has_slot);
        }
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
        self.meter
            .note(now, self.bytes.len(), usize::from(stats.cells > 0));
        self.is_behind = !stats.painted;
        self.ask_after(allowance)
    }

    /// The same in pixels.
    fn encode_pixels(
        &mut self,
        now: Instant,
        tiles: &[Tile<'_>],
        size: (u16, u16),
        has_slot: bool,
    ) -> bool {
        let Some(pixels) = &mut self.pixels else {
            return false;
        };
        let mut cleared = Vec::new();
        pixels.lay_out(tiles, &self.mask, size, &mut cleared);
        if !cleared.is_empty() {
            self.writer.put_text(&cleared, Place::BehindPicture);
        }
        if tiles.is_empty() {
            return false;
        }
        self.is_behind = true;
        if !has_slot || pixels.ready().is_some_and(|ready| now < ready) {
            return false;
        }
        let Some(allowance) = self.flow.allowance(now) else {
            return false;
        };
        let stats = pixels.encode(now, tiles, self.flow.rate(), &mut self.bytes);
        self.meter.note(now, stats.bytes, stats.pictures);
        self.is_behind = stats.pictures > 0;
        self.ask_after(allowance)
    }

    /// Ends the frame with a question where there is to be one; whether it did.
    fn ask_after(&mut self, allowance: Allowance) -> bool {
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
        let glyphs = match (look.glyphs, self.kind.glyphs) {
            (_, Some(chosen)) => chosen,
            (look::Glyphs::Ascii, None) => Glyphs::Ascii,
            (look::Glyphs::Unicode, None) if colours == Colours::None => Glyphs::Ascii,
            (look::Glyphs::Unicode, None) if self.kind.has_halves_only => Glyphs::Half,
            (look::Glyphs::Unicode, None) => Glyphs::Quadrant,
        };
        EncoderOptions {
            // Dots are set or not.
            colours: if glyphs == Glyphs::Braille {
                Colours::None
            } else {
                colours
            },
            glyphs,
            dark_on_light: self.is_on_light,
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

#[cfg(test)]
mod tests;

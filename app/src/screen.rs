//! The terminal front end: draws the model when something changed, at most thirty times a second.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};

use crate::model::Model;
use crate::view::view;

/// Time between two pictures of the screen: 30 a second. Less costs bytes over ssh, more shows as stutter.
const DRAW_EVERY_MS: u64 = 33;

/// The screen and what it still has to show.
pub struct Screen<B: Backend> {
    terminal: Terminal<B>,
    is_dirty: bool,
    drawn_at_ms: Option<u64>,
}

impl Screen<CrosstermBackend<io::Stdout>> {
    /// The screen on stdout. Enter the terminal first ([`crate::terminal::Entered`]).
    ///
    /// # Errors
    /// The terminal does not tell its size.
    pub fn on_stdout() -> io::Result<Self> {
        Self::new(CrosstermBackend::new(io::stdout()))
    }
}

impl<B: Backend + Write> Screen<B> {
    /// Rings the terminal's bell.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn ring(&mut self) -> io::Result<()> {
        self.write(b"\x07")
    }

    /// Puts text on the clipboard of whoever looks at the screen, over ssh too, if their terminal allows it (OSC 52).
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn put_on_clipboard(&mut self, text: &str) -> io::Result<()> {
        self.write(osc_52(text).as_bytes())
    }

    /// Writes an escape sequence that draws nothing: a title, a notification.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn put(&mut self, sequence: &str) -> io::Result<()> {
        self.write(sequence.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let backend = self.terminal.backend_mut();
        backend.write_all(bytes)?;
        Write::flush(backend)
    }
}

impl<B: Backend> Screen<B> {
    /// A screen that has shown nothing yet.
    ///
    /// # Errors
    /// The terminal does not tell its size.
    pub fn new(backend: B) -> Result<Self, B::Error> {
        Ok(Self {
            terminal: Terminal::new(backend)?,
            is_dirty: true,
            drawn_at_ms: None,
        })
    }

    /// Something changed. After every event.
    pub fn mark_changed(&mut self) {
        self.is_dirty = true;
    }

    /// When [`draw_if_due`](Self::draw_if_due) will draw; `None` while nothing changed.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.is_dirty
            .then(|| self.drawn_at_ms.map_or(0, |drawn| drawn + DRAW_EVERY_MS))
    }

    /// Draws if something changed and the last time is long enough ago; tells whether it did.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw_if_due(&mut self, now_ms: u64, model: &Model) -> Result<bool, B::Error> {
        if self.due_ms().is_none_or(|due| now_ms < due) {
            return Ok(false);
        }
        self.terminal.draw(|frame| view(model, frame))?;
        self.is_dirty = false;
        self.drawn_at_ms = Some(now_ms);
        Ok(true)
    }
}

fn osc_52(text: &str) -> String {
    format!("\x1b]52;c;{}\x07", STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::model::Mode;
    use crate::view::look::Look;

    #[test]
    fn draws_only_changes_and_at_most_thirty_times_a_second() {
        let model = Model::new(Mode::Screen, Look::default());
        let mut screen = Screen::new(TestBackend::new(80, 24)).unwrap();
        let mut drawn = 0;
        for now_ms in 0..1_000 {
            screen.mark_changed();
            drawn += u32::from(screen.draw_if_due(now_ms, &model).unwrap());
        }
        assert_eq!(drawn, 31);
        assert!(screen.draw_if_due(5_000, &model).unwrap());
        assert!(!screen.draw_if_due(6_000, &model).unwrap());
        assert_eq!(screen.due_ms(), None);
    }

    #[test]
    fn the_clipboard_escape_cannot_be_broken_out_of() {
        assert_eq!(osc_52("hullo:\x07"), "\x1b]52;c;aHVsbG86Bw==\x07");
    }
}

//! The terminal front end: draws the model when something changed, at most thirty times a second.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hullo_picture::PixelKind;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};

use crate::event::Event;
use crate::model::Model;
use crate::terminal::probe::Ability;
use crate::terminal::writer::Writer;
use crate::terminal::{self, Reply};
use crate::view::look::Look;
use crate::view::{view, view_with_places};
use figures::Figures;
use interface::Interface;
use pictures::Pictures;

pub use kind::PictureTerminal;

pub mod figures;
mod interface;
#[cfg(test)]
mod joined;
mod kind;
mod pictures;
mod pixels;
pub mod reasons;

/// What the backend of the real screen writes to.
pub type Out = Interface;

/// Clears the screen in the terminal's own colours.
const CLEAR: &[u8] = b"\x1b[m\x1b[2J";

/// Time between two pictures of the screen: 30 a second. Less costs bytes over ssh, more shows as stutter.
const DRAW_EVERY_MS: u64 = 33;

/// The screen and what it still has to show.
pub struct Screen<B: Backend> {
    terminal: Terminal<B>,
    is_dirty: bool,
    drawn_at_ms: Option<u64>,
    /// `None`: pictures are drawn in cells like everything else.
    pictures: Option<Pictures>,
    /// When pictures go on though nothing changed.
    again_at_ms: Option<u64>,
    ability: Ability,
    /// The terminal had not taken the last drawing when the next was due.
    is_blocked: bool,
    /// How often the terminal had been taken again when it was last drawn on.
    times_resumed: usize,
    kind: PictureTerminal,
}

impl Screen<CrosstermBackend<Out>> {
    /// The screen on stdout. Enter the terminal first ([`crate::terminal::Entered`]). `wake` is called from another thread
    /// when a drawing that had no room has some now, or the terminal is gone ([`Self::is_terminal_gone`]).
    ///
    /// # Errors
    /// The terminal does not tell its size, or the system gives no thread.
    pub fn on_stdout(
        terminal: PictureTerminal,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let out = Interface::default();
        let writer = Writer::start(io::stdout(), wake)?;
        writer.make_current();
        let mut pictures = Pictures::new(Instant::now(), terminal, writer, out.clone());
        if terminal.can_be_asked {
            pictures.ask();
        }
        Ok(Self {
            pictures: Some(pictures),
            kind: terminal,
            ..Self::new(CrosstermBackend::new(out))?
        })
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
        let Some(pictures) = &mut self.pictures else {
            backend.write_all(bytes)?;
            return Write::flush(backend);
        };
        pictures.put(bytes);
        Ok(())
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
            pictures: None,
            again_at_ms: None,
            ability: Ability::default(),
            is_blocked: false,
            times_resumed: terminal::times_resumed(),
            kind: PictureTerminal::default(),
        })
    }

    /// The terminal answered a question; what the model is to be told of it. Asks for more where it can do more.
    pub fn take_reply(&mut self, reply: &Reply, at: Instant, look: Look) -> Vec<Event> {
        if let (Reply::Status, Some(pictures)) = (reply, &mut self.pictures) {
            pictures.answered(at);
            self.is_dirty |= pictures.due(at).is_some();
            return Vec::new();
        }
        if !self.ability.take(reply) {
            return Vec::new();
        }
        let mut events = Vec::new();
        if let Some(pictures) = &mut self.pictures {
            pictures.synchronize(self.ability.is_synchronized);
            if matches!(reply, Reply::Attributes(_)) {
                pictures.all_answered();
                // Asked for, and known now: it shows them, or the user is told why not.
                match pixels::screen(self.kind, &self.ability, pixels::cell_of_window()) {
                    Some(Ok(pixels)) => {
                        if pixels.kind() == PixelKind::Kitty {
                            terminal::forget_pixels_at_the_end();
                        }
                        pictures.set_pixels(pixels);
                    }
                    Some(Err(words)) => events.push(Event::Notice(words)),
                    None => {}
                }
            }
        }
        let better = self.ability.improve(look, self.kind.is_colour_chosen);
        if better != look {
            events.push(Event::Look(better));
        }
        if self.ability.has_key_releases
            && let Some(pictures) = &mut self.pictures
            && let Some(sequence) = terminal::report_releases()
        {
            pictures.put(sequence.as_bytes());
            events.push(Event::ReportsReleases(true));
        }
        events
    }

    /// What the pictures come to; `None`: they are drawn in cells like everything else.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let pictures = self.pictures.as_ref()?;
        Some(pictures.figures(Instant::now()))
    }

    /// What the terminal said of itself so far.
    #[must_use]
    pub fn ability(&self) -> &Ability {
        &self.ability
    }

    /// Something changed. After every event.
    pub fn mark_changed(&mut self) {
        self.is_dirty = true;
    }

    /// Whether writing to the terminal failed.
    #[must_use]
    pub fn is_terminal_gone(&self) -> bool {
        self.pictures.as_ref().is_some_and(Pictures::has_failed)
    }

    /// When [`draw_if_due`](Self::draw_if_due) will draw; `None` while nothing changed.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        if self.is_blocked {
            // The writer wakes whoever waits.
            return None;
        }
        let next = self.drawn_at_ms.map_or(0, |drawn| drawn + DRAW_EVERY_MS);
        let changed = self.is_dirty.then_some(next);
        let again = self.again_at_ms.map(|at| at.max(next));
        changed.into_iter().chain(again).min()
    }

    /// Draws if something changed and the last time is long enough ago; tells whether it did.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw_if_due(&mut self, now_ms: u64, model: &Model) -> Result<bool, B::Error> {
        if let Some(pictures) = &self.pictures
            && self.is_blocked
        {
            self.is_blocked = !pictures.takes_drawing();
        }
        if self.due_ms().is_none_or(|due| now_ms < due) {
            return Ok(false);
        }
        if let Some(pictures) = &self.pictures
            && !pictures.takes_drawing()
        {
            // Drawn later, and then what is true then.
            self.is_blocked = true;
            return Ok(false);
        }
        let now = Instant::now();
        if self.times_resumed != terminal::times_resumed() {
            self.times_resumed = terminal::times_resumed();
            // Both of ratatui's buffers are blank then, as the terminal is; its own way asks for the cursor's place, and
            // the answer would go to the input thread.
            self.terminal.swap_buffers();
            if let Some(pictures) = &mut self.pictures {
                pictures.put(CLEAR);
                pictures.forget(now);
            }
        }
        self.is_dirty = false;
        self.drawn_at_ms = Some(now_ms);
        let Some(pictures) = &mut self.pictures else {
            self.terminal.draw(|frame| view(model, frame))?;
            return Ok(true);
        };
        pictures.set_on_light(model.theme.is_on_light());
        let mut placed = Vec::new();
        let drawn = self.terminal.draw(|frame| {
            placed = view_with_places(model, frame);
            pictures.arrange(&placed, frame.buffer_mut());
        })?;
        let size = (drawn.area.width, drawn.area.height);
        pictures.draw(now, &placed, size, model.look);
        self.again_at_ms = pictures.due(now).map(|at| {
            let wait = at.saturating_duration_since(now).as_millis();
            now_ms + u64::try_from(wait).unwrap_or(DRAW_EVERY_MS)
        });
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

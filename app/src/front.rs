//! The front ends: where reports go and, on a screen, where the model is drawn.

use std::io::{self, IsTerminal as _, Write};
use std::time::Instant;

use serde::Serialize;

use crate::event::Event;
use crate::model::Model;
use crate::report::Report;
use crate::screen::Screen;
use crate::terminal::Reply;
use crate::view::look::Look;

/// One way of showing what happens.
pub trait Front {
    /// Tells one report. `at_ms` counts from the program's start.
    ///
    /// # Errors
    /// The machine's: whoever read the output is gone.
    fn report(&mut self, at_ms: u64, report: &Report) -> io::Result<()>;

    /// Shows the model as it is now. Called after every change; a front end that draws limits its own rate.
    ///
    /// # Errors
    /// The machine's: the terminal is gone.
    fn draw(&mut self, model: &Model) -> io::Result<()> {
        let _ = model;
        Ok(())
    }

    /// Tells a report that came ready made from another process, with its words where it has some.
    ///
    /// # Errors
    /// As [`Front::report`].
    fn value(&mut self, report: &serde_json::Value, words: Option<&str>) -> io::Result<()> {
        let _ = (report, words);
        Ok(())
    }

    /// Shows lines that are a picture, to somebody who looks at a terminal.
    ///
    /// # Errors
    /// As [`Front::report`].
    fn picture(&mut self, lines: &[String]) -> io::Result<()> {
        let _ = lines;
        Ok(())
    }

    /// When this front end wants to draw again, in milliseconds since the program's start.
    fn due_ms(&self) -> Option<u64> {
        None
    }

    /// Whether what it draws on was taken away behind its back (a panic elsewhere restores the terminal).
    fn is_gone(&self) -> bool {
        false
    }

    /// The terminal answered a question at that moment; what the model is to be told of it. `look` is how the screen
    /// looks now.
    fn reply(&mut self, reply: &Reply, at: Instant, look: Look) -> Vec<Event> {
        let _ = (reply, at, look);
        Vec::new()
    }

    /// Rings the bell, where there is one.
    fn bell(&mut self) {}

    /// Writes an escape sequence of the terminal's own, where there is a terminal.
    fn sequence(&mut self, sequence: &str) {
        let _ = sequence;
    }

    /// Copies text to the user's clipboard, where there is one.
    fn copy(&mut self, text: &str) {
        let _ = text;
    }
}

/// `--json`: one object on one line.
pub struct Json<W>(pub W);

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a Report,
    at_ms: u64,
}

impl<W: Write> Front for Json<W> {
    fn report(&mut self, at_ms: u64, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { report, at_ms })?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }

    fn value(&mut self, report: &serde_json::Value, _words: Option<&str>) -> io::Result<()> {
        writeln!(self.0, "{report}")?;
        self.0.flush()
    }
}

/// `--plain`: one sentence on one line.
pub struct Plain<W>(pub W);

impl<W: Write> Front for Plain<W> {
    fn report(&mut self, _at_ms: u64, report: &Report) -> io::Result<()> {
        let Some(sentence) = crate::plain::sentence(report) else {
            return Ok(());
        };
        // Whoever reads a pipe reads whole lines.
        let columns = (io::stdout().is_terminal()
            && matches!(
                report,
                Report::Error { .. }
                    | Report::Finding { .. }
                    | Report::Notice { .. }
                    | Report::Server { .. }
                    | Report::Sound(_)
                    | Report::Summary(_)
            ))
        .then(crossterm::terminal::size)
        .and_then(Result::ok)
        .map(|(columns, _)| usize::from(columns));
        match columns {
            Some(columns) => {
                for line in crate::doctor::wrapped(&sentence, columns) {
                    writeln!(self.0, "{line}")?;
                }
            }
            None => writeln!(self.0, "{sentence}")?,
        }
        self.0.flush()
    }

    fn picture(&mut self, lines: &[String]) -> io::Result<()> {
        if !io::stdout().is_terminal() {
            return Ok(());
        }
        for line in lines {
            // Black on white whatever the terminal's colours are: cameras want dark modules on a light ground.
            writeln!(self.0, "\x1b[97;40m{line}\x1b[0m")?;
        }
        self.0.flush()
    }

    fn value(&mut self, _report: &serde_json::Value, words: Option<&str>) -> io::Result<()> {
        if let Some(words) = words {
            writeln!(self.0, "{words}")?;
            self.0.flush()?;
        }
        Ok(())
    }
}

impl<B: ratatui::backend::Backend<Error = io::Error> + Write> Front for Screen<B> {
    fn report(&mut self, _at_ms: u64, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.mark_changed();
        self.draw_if_due(model.now_ms(), model).map(|_| ())
    }

    fn due_ms(&self) -> Option<u64> {
        Screen::due_ms(self)
    }

    fn reply(&mut self, reply: &Reply, at: Instant, look: Look) -> Vec<Event> {
        self.take_reply(reply, at, look)
    }

    fn is_gone(&self) -> bool {
        !crate::terminal::is_entered() || self.is_terminal_gone()
    }

    fn bell(&mut self) {
        // A terminal that is gone shows at the next drawing.
        let _ = self.ring();
    }

    fn sequence(&mut self, sequence: &str) {
        let _ = self.put(sequence);
    }

    fn copy(&mut self, text: &str) {
        let _ = self.put_on_clipboard(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_is_one_object_with_event_and_time() {
        let mut front = Json(Vec::new());
        front
            .report(
                12,
                &Report::Invite {
                    link: "hullo:x".to_owned(),
                    code: None,
                },
            )
            .expect("a vector takes all");
        assert_eq!(
            front.0,
            b"{\"event\":\"invite\",\"link\":\"hullo:x\",\"at_ms\":12}\n"
        );
    }
}

//! The front ends: where reports go and, on a screen, where the model is drawn.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::Model;
use crate::report::Report;

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

    /// Rings the bell, where there is one.
    fn bell(&mut self) {}

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
}

/// `--plain`: one sentence on one line.
pub struct Plain<W>(pub W);

impl<W: Write> Front for Plain<W> {
    fn report(&mut self, _at_ms: u64, report: &Report) -> io::Result<()> {
        if let Some(sentence) = crate::plain::sentence(report) {
            writeln!(self.0, "{sentence}")?;
            self.0.flush()?;
        }
        Ok(())
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
                },
            )
            .expect("a vector takes all");
        assert_eq!(
            front.0,
            b"{\"event\":\"invite\",\"link\":\"hullo:x\",\"at_ms\":12}\n"
        );
    }
}

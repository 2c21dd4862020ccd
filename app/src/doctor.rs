//! `hullo doctor`: what of the surroundings works, what does not, and what to do about it.
//!
//! Each section has a file of its own with one function that looks and gives its [`Finding`]s; `sections` is where they
//! join. A section never fails as a whole: what cannot be looked at is a finding, too.

use std::path::Path;

use serde::Serialize;

use crate::cli::Options;
use crate::front::Front;
use crate::program::{Failure, OTHER};
use crate::report::Report;

mod devices;
mod network;
pub mod terminal;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Calls work, but something is missing or worse than it could be.
    Warn,
    /// Something that calls need does not work.
    Fail,
}

impl State {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, in a word or two: `size`, `microphone`. Stable, scripts rely on it.
    pub what: &'static str,
    /// How well it is.
    pub state: State,
    /// What was found, without a full stop.
    pub words: String,
    /// What to do about it, a sentence; there where there is something to be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// Nothing need be done.
    pub fn ok(what: &'static str, words: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Ok,
            words: words.into(),
            remedy: None,
        }
    }

    /// Calls work, but not as well as they could.
    pub fn warn(what: &'static str, words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(what, words)
        }
    }

    /// Something that calls need does not work.
    pub fn fail(what: &'static str, words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            remedy: Some(remedy.into()),
            ..Self::ok(what, words)
        }
    }
}

/// Findings that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `terminal`, `devices`, `network`. Stable.
    pub name: &'static str,
    /// The exit status when something in it fails.
    pub status: u8,
    /// In the order to tell.
    pub findings: Vec<Finding>,
}

/// What the doctor may look at.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The command line: chosen devices, server, colours.
    pub options: &'a Options,
    /// The profile's folder; there need not be one yet, and another program may own it.
    pub folder: &'a Path,
}

/// Looks at everything, one section after the other.
fn sections(around: Surroundings<'_>) -> impl Iterator<Item = Section> + '_ {
    // A section is looked at when its turn comes, so that what is known already is told before what takes long.
    type Look = for<'a> fn(Surroundings<'a>) -> Section;
    let looks: [Look; 3] = [terminal::look, devices::look, network::look];
    looks.into_iter().map(move |look| look(around))
}

/// Tells all findings; the exit status is that of the first section in which something fails.
///
/// # Errors
/// Nobody reads the output.
pub fn run(options: &Options, folder: &Path, front: &mut dyn Front) -> Result<u8, Failure> {
    let around = Surroundings { options, folder };
    let mut status = 0;
    for section in sections(around) {
        let fails = |finding: &Finding| finding.state == State::Fail;
        if status == 0 && section.findings.iter().any(fails) {
            status = section.status;
        }
        for finding in section.findings {
            let report = Report::Finding {
                section: section.name,
                what: finding.what,
                state: finding.state,
                words: finding.words,
                remedy: finding.remedy,
            };
            front
                .report(0, &report)
                .map_err(|_| Failure::other("Nobody reads the output."))?;
        }
    }
    Ok(status)
}

/// The sentence for a finding, `--plain`'s.
#[must_use]
pub fn sentence(
    section: &str,
    what: &str,
    state: State,
    words: &str,
    remedy: Option<&str>,
) -> String {
    let remedy = remedy.map_or(String::new(), |remedy| format!(" {remedy}"));
    format!("{:<5} {section}, {what}: {words}.{remedy}", state.word())
}

/// Cells of a finding's state, under which the rest of its sentence stands.
const STATE_CELLS: usize = 6;
/// Narrower terminals break the lines themselves.
const WRAP_COLUMNS_MIN: usize = 30;

/// The sentence as lines of at most so many cells, broken between words, all but the first below what was found.
#[must_use]
pub fn wrapped(sentence: &str, columns: usize) -> Vec<String> {
    if columns < WRAP_COLUMNS_MIN {
        return vec![sentence.to_owned()];
    }
    let cells = |text: &str| text.chars().count();
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in sentence.split(' ') {
        if !line.trim().is_empty() && cells(&line) + cells(word) + 1 > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(STATE_CELLS)));
            line.push_str(word);
            continue;
        }
        // Blanks that stand in a row are columns.
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The exit status of a terminal in which nothing can be drawn.
const TERMINAL_STATUS: u8 = OTHER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_finding_is_broken_between_words_under_what_was_found() {
        let line = "warn  terminal, colours: 16. Set COLORTERM=truecolor where your terminal shows 24 bits.";
        let lines = wrapped(line, 40);
        assert_eq!(
            lines,
            [
                "warn  terminal, colours: 16. Set",
                "      COLORTERM=truecolor where your",
                "      terminal shows 24 bits."
            ]
        );
        assert_eq!(wrapped(line, 10), [line]);
        assert_eq!(
            wrapped("ok    size: 80x24 cells.", 80),
            ["ok    size: 80x24 cells."]
        );
        let long = "ok    x: ".to_owned() + &"y".repeat(60);
        assert_eq!(wrapped(&long, 40).len(), 2, "a word is never cut");
    }

    #[test]
    fn a_finding_is_a_line_with_its_state_first() {
        let finding = Finding::warn("colours", "16", "Set COLORTERM.");
        let line = sentence(
            "terminal",
            finding.what,
            finding.state,
            &finding.words,
            finding.remedy.as_deref(),
        );
        assert_eq!(line, "warn  terminal, colours: 16. Set COLORTERM.");
        let finding = Finding::ok("size", "80x24 cells");
        let line = sentence(
            "terminal",
            finding.what,
            finding.state,
            &finding.words,
            None,
        );
        assert_eq!(line, "ok    terminal, size: 80x24 cells.");
    }
}

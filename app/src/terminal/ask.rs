//! Asks the terminal everything once, without a screen: for whoever wants to know before, or instead of, drawing.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write as _, stdout};
use std::time::{Duration, Instant};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use hullo_picture::QUERY;

use super::probe::{Ability, questions};
use super::{Input, Parser, Reply, read_burst_until};
use crate::config::PixelChoice;
use crate::screen::PictureTerminal;

/// The answer to the last question comes within a bad line's round trip, or not at all.
const ANSWERS_WAIT: Duration = Duration::from_millis(1_000);
/// Round trips measured; the shortest counts, for one may meet something else.
const ROUND_TRIPS: usize = 5;

/// What a terminal said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// What it can.
    pub ability: Ability,
    /// The shortest time from a status report's question to its answer; `None`: there was none.
    pub round_trip: Option<Duration>,
}

/// Asks the terminal on stdin and stdout. Keys typed meanwhile are lost. `pixels`: what for, nobody else is asked about
/// pictures. `variable` looks one up in the environment: what would print the questions is not asked.
///
/// # Errors
/// Stdin or stdout is no terminal, or it is gone.
pub fn ask(pixels: PixelChoice, variable: impl Fn(&str) -> Option<String>) -> io::Result<Answers> {
    let mut answers = Answers::default();
    if !PictureTerminal::detect(variable).can_be_asked {
        return Ok(answers);
    }
    enable_raw_mode()?;
    let asked = exchange(pixels, &mut answers);
    disable_raw_mode()?;
    asked.map(|()| answers)
}

fn exchange(pixels: PixelChoice, answers: &mut Answers) -> io::Result<()> {
    let mut parser = Parser::default();
    send(questions(pixels).as_bytes())?;
    let complete = wait(&mut parser, |reply| {
        answers.ability.take(reply);
        matches!(reply, Reply::Attributes(_))
    })?;
    if complete.is_none() {
        return Ok(());
    }
    for _ in 0..ROUND_TRIPS {
        send(QUERY)?;
        let took = wait(&mut parser, |reply| *reply == Reply::Status)?;
        let Some(took) = took else { break };
        answers.round_trip = Some(answers.round_trip.map_or(took, |least| least.min(took)));
    }
    Ok(())
}

fn send(bytes: &[u8]) -> io::Result<()> {
    stdout().write_all(bytes)?;
    stdout().flush()
}

/// Reads until `is_last` is true of an answer; how long that took, `None` when it took too long.
fn wait(
    parser: &mut Parser,
    mut is_last: impl FnMut(&Reply) -> bool,
) -> io::Result<Option<Duration>> {
    let asked = Instant::now();
    let mut found = false;
    while !found {
        let left = ANSWERS_WAIT.saturating_sub(asked.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        read_burst_until(parser, Some(left), |input| {
            if let Input::Reply(reply) = input {
                found |= is_last(&reply);
            }
        })?;
    }
    Ok(Some(asked.elapsed()))
}

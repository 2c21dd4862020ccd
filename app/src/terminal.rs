//! The terminal as a device: entered and restored, its input and the system's signals turned into events.
//!
//! Restored on every way out: the end of [`Entered`], a panic on any thread, and a second signal when the program does
//! not listen to the first.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crossterm::event::{
    self, DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
    KeyEventKind,
};
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::attention::terminal::{POP_TITLE, PUSH_TITLE};
use crate::event::{Event, StopReason};

pub use input::{Input, Parser, Reply};

mod input;
pub mod probe;

/// Read at once: more than anybody types, and a paste comes in several.
const BURST_BYTES: usize = 1_024;

/// Whether there is something to restore: the panic hook and the guard may both want to.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

/// The terminal belongs to the screen while this lives: raw, on its second page, pasting in brackets.
#[must_use = "dropping it restores the terminal at once"]
pub struct Entered(());

impl Entered {
    /// Enters.
    ///
    /// # Errors
    /// Stdin or stdout is no terminal.
    pub fn enter() -> io::Result<Self> {
        PANIC_HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // First, so that the report stands on the page that stays.
                restore();
                report(panic);
            }));
        });
        enable_raw_mode()?;
        IS_ENTERED.store(true, Ordering::SeqCst);
        let entered = Self(());
        execute!(
            stdout(),
            Print(PUSH_TITLE),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            cursor::Hide
        )?;
        Ok(entered)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        restore();
    }
}

/// Asks the terminal to tell of clicks and of the wheel, or no longer (modes 1000 and 1006 of xterm).
#[must_use]
pub fn mouse_reports(is_on: bool) -> &'static str {
    if is_on {
        "\x1b[?1000h\x1b[?1006h"
    } else {
        "\x1b[?1006l\x1b[?1000l"
    }
}

/// Gives the terminal back as it was; does nothing when it was never entered or already given back.
pub fn restore() {
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone, and nobody be told.
        let _ = execute!(
            stdout(),
            Print(mouse_reports(false)),
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Print(POP_TITLE),
            cursor::Show
        );
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}

/// Whether the terminal is the screen's now. It stops being so without the loop's doing when another thread panics: the
/// loop then leaves, since what it draws would land between the user's other lines.
#[must_use]
pub fn is_entered() -> bool {
    IS_ENTERED.load(Ordering::SeqCst)
}

/// What the input thread tells.
#[derive(Debug)]
pub enum Arrival {
    /// For the model.
    Event(Event),
    /// An answer of the terminal, and when it came.
    Reply(Reply, Instant),
}

/// Starts the thread that reads keys, pasted text and answers until `send` returns false or the terminal is gone; the
/// latter is told as [`StopReason::Quit`].
///
/// The thread blocks in the terminal and is not joined: it ends with the program.
///
/// # Errors
/// The system gives no thread.
pub fn spawn_input(mut send: impl FnMut(Arrival) -> bool + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut parser = Parser::default();
            loop {
                let mut inputs = Vec::new();
                let read = read_burst(&mut parser, |input| inputs.push(input));
                for input in inputs {
                    let arrival = match input {
                        Input::Event(event) => translate(event).map(Arrival::Event),
                        Input::Reply(reply) => Some(Arrival::Reply(reply, Instant::now())),
                    };
                    if arrival.is_some_and(|arrival| !send(arrival)) {
                        return;
                    }
                }
                if read.is_err() {
                    send(Arrival::Event(Event::Stop(StopReason::Quit)));
                    return;
                }
            }
        })?;
    Ok(())
}

/// Waits for bytes of the terminal, or for the end of the parser's patience.
fn read_burst(parser: &mut Parser, out: impl FnMut(Input)) -> io::Result<()> {
    let stdin = rustix::stdio::stdin();
    let limit = parser
        .patience()
        .and_then(|limit| Timespec::try_from(limit).ok());
    let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
    let ready = match rustix::event::poll(&mut wanted, limit.as_ref()) {
        Err(Errno::INTR) => return Ok(()),
        ready => ready?,
    };
    if ready == 0 {
        parser.pause(out);
        return Ok(());
    }
    let mut bytes = [0; BURST_BYTES];
    match rustix::io::read(stdin, &mut bytes) {
        Err(Errno::INTR | Errno::AGAIN) => Ok(()),
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            parser.feed(&bytes[..read?], out);
            Ok(())
        }
    }
}

/// What a terminal event means to the program, if anything.
#[must_use]
pub fn translate(event: event::Event) -> Option<Event> {
    match event {
        event::Event::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(key)),
        event::Event::Mouse(mouse) => Some(Event::Mouse(mouse)),
        event::Event::Paste(text) => Some(Event::Paste(text)),
        event::Event::Resize(columns, rows) => Some(Event::Resize(columns, rows)),
        event::Event::FocusGained => Some(Event::Focus(true)),
        event::Event::FocusLost => Some(Event::Focus(false)),
        _ => None,
    }
}

/// Starts the thread that turns SIGTERM, SIGINT and SIGHUP into [`Event::Stop`], and SIGWINCH into the new size. A second one, or one that nobody
/// takes, restores the terminal and ends the program as the system would.
///
/// # Errors
/// The system gives no handler or no thread.
pub fn spawn_signals(mut send: impl FnMut(Event) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGWINCH])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut is_first = true;
            for signal in signals.forever() {
                if signal == SIGWINCH {
                    // A size that cannot be read is that of a terminal that is gone, which is told elsewhere.
                    if let Ok((columns, rows)) = crossterm::terminal::size()
                        && !send(Event::Resize(columns, rows))
                    {
                        is_first = false;
                    }
                    continue;
                }
                if !(is_first && send(Event::Stop(StopReason::Signal))) {
                    restore();
                    // It returns only for signals it does not know, and these three it does.
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                is_first = false;
            }
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn a_release_is_no_key_press() {
        let key = |kind| KeyEvent::new_with_kind(KeyCode::Char('m'), KeyModifiers::NONE, kind);
        assert!(translate(event::Event::Key(key(KeyEventKind::Press))).is_some());
        assert!(translate(event::Event::Key(key(KeyEventKind::Release))).is_none());
    }
}

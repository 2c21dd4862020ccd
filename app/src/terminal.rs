//! The terminal as a device: entered and restored, its input and the system's signals turned into events.
//!
//! Restored on every way out: the end of [`Entered`], a panic on any thread, and a second signal when the program does
//! not listen to the first.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, Write, stdout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{
    self, DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
    KeyEventKind,
};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, queue};
use hullo_picture::KITTY_CLEAR;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::attention::terminal::{POP_TITLE, PUSH_TITLE};
use crate::event::{Event, StopReason};

pub use input::{Input, Parser, Reply};

pub mod ask;
mod input;
mod late;
pub mod probe;
pub mod writer;

/// Read at once: more than anybody types, and a paste comes in several.
const BURST_BYTES: usize = 1_024;

/// Whether there is something to restore: the panic hook and the guard may both want to.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);
static TIMES_ENTERED: AtomicUsize = AtomicUsize::new(0);
/// What else was switched on, to be switched off with the rest.
static HAS_MOUSE: AtomicBool = AtomicBool::new(false);
static HAS_RELEASES: AtomicBool = AtomicBool::new(false);
/// Pictures of pixels may be in the terminal's memory.
static HAS_PIXELS: AtomicBool = AtomicBool::new(false);

/// Buttons and wheel, told in decimal numbers (xterm's modes 1000 and 1006); not the way of the pointer, which is bytes
/// for nothing.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// The kitty keyboard protocol: keys told apart (1) and their releases (2). It has a stack of its own for each page of the
/// terminal, so it is pushed after the second page was taken and popped before it is left.
const RELEASES_ON: &str = "\x1b[>3u";
const RELEASES_OFF: &str = "\x1b[<u";
/// The end of a synchronized update that may have been begun; others do not know the mode and ignore it.
const END_UPDATE: &str = "\x1b[?2026l";
/// How long a terminal gets to take what gives it back.
const RESTORE_WAIT: Duration = Duration::from_millis(500);
/// How long what is still typed or pasted is waited for at the end: a moment, longer where something came, and no longer
/// than the last.
const DROP_FIRST: Duration = Duration::from_millis(10);
const DROP_QUIET: Duration = Duration::from_millis(100);
const DROP_MAX: Duration = Duration::from_secs(2);
/// How long Ctrl-Z waits for what is to be said first: a loop that hangs must not keep the user from the shell.
const FAREWELL_WAIT: Duration = Duration::from_millis(600);
/// Said on the page of the shell that comes back.
const STOPPED: &str = "hullo is stopped, its sound and pictures too. `fg` goes on.\r\n";
/// The thread that reads the terminal.
const INPUT_THREAD: &str = "input";
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
        stdout().write_all(&entering())?;
        stdout().flush()?;
        Ok(entered)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        restore();
    }
}

/// What makes the terminal the screen's.
fn entering() -> Vec<u8> {
    let mut bytes = Vec::new();
    // Memory takes all.
    let _ = queue!(
        bytes,
        Print(PUSH_TITLE),
        EnterAlternateScreen,
        // A program that was killed leaves the terminal there already, with what stood on it.
        Clear(ClearType::All),
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide
    );
    if HAS_RELEASES.load(Ordering::SeqCst) {
        bytes.extend_from_slice(RELEASES_ON.as_bytes());
    }
    if HAS_MOUSE.load(Ordering::SeqCst) {
        bytes.extend_from_slice(MOUSE_ON.as_bytes());
    }
    bytes
}

/// What gives it back, and `words` on the page that stays.
fn leaving(words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if HAS_RELEASES.load(Ordering::SeqCst) {
        bytes.extend_from_slice(RELEASES_OFF.as_bytes());
    }
    if HAS_MOUSE.load(Ordering::SeqCst) {
        bytes.extend_from_slice(MOUSE_OFF.as_bytes());
    }
    if HAS_PIXELS.load(Ordering::SeqCst) {
        bytes.extend_from_slice(KITTY_CLEAR);
    }
    // Memory takes all.
    let _ = queue!(
        bytes,
        Print(END_UPDATE),
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Print(POP_TITLE),
        cursor::Show,
        Print(words)
    );
    bytes
}

/// Gives the terminal back as it was; does nothing when it was never entered or already given back.
///
/// A terminal that takes nothing is left as it is after `RESTORE_WAIT`: a program that hangs would be worse.
pub fn restore() {
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        give_back("", false);
        HAS_RELEASES.store(false, Ordering::SeqCst);
        HAS_MOUSE.store(false, Ordering::SeqCst);
        HAS_PIXELS.store(false, Ordering::SeqCst);
    }
}

fn give_back(words: &str, pauses: bool) {
    let last = leaving(words);
    let is_writable = || {
        let stdout = rustix::stdio::stdout();
        let mut wanted = [PollFd::new(&stdout, PollFlags::OUT)];
        let wait = Timespec::try_from(RESTORE_WAIT).ok();
        rustix::event::poll(&mut wanted, wait.as_ref()).is_ok_and(|ready| ready > 0)
    };
    if writer::interrupt_current(&last, RESTORE_WAIT, pauses).is_none() && is_writable() {
        // Nothing can be done about a terminal that is gone, and nobody be told.
        let _ = stdout().write_all(&last);
        let _ = stdout().flush();
    }
    // The thread that reads the answers cannot wait for them.
    if thread::current().name() != Some(INPUT_THREAD) {
        late::wait(Instant::now);
    }
    // What is typed after Ctrl-Z is meant for the shell.
    if !pauses {
        drop_input();
    }
    let _ = disable_raw_mode();
}

/// Drops what waits in the terminal's input and what follows at once: the shell would run the rest of a paste.
fn drop_input() {
    let stdin = rustix::stdio::stdin();
    let end = Instant::now() + DROP_MAX;
    let mut quiet = DROP_FIRST;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let wait = Timespec::try_from(quiet.min(left)).ok();
        let ready = rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], wait.as_ref());
        // Never read: the input thread may have taken it meanwhile, and a reading would wait for more.
        let flushed = match ready {
            Err(Errno::INTR) => continue,
            Ok(1..) => rustix::termios::tcflush(stdin, rustix::termios::QueueSelector::IFlush),
            _ => return,
        };
        if flushed.is_err() {
            return;
        }
        quiet = DROP_QUIET;
    }
}

/// Whether Ctrl-Z can stop the program: a shell waits for it that lets it go on.
fn can_suspend() -> bool {
    // In the process group of the session's first process there is no job control: ssh or tmux runs the program itself.
    let is_a_job =
        rustix::process::getsid(None).is_ok_and(|session| session != rustix::process::getpgrp());
    is_a_job && is_entered()
}

/// Stops the program as Ctrl-Z does: the terminal is given back first, and taken again when the program goes on. False:
/// nothing was done, as no shell waits for it.
fn suspend(stops: &Stops) -> bool {
    if !can_suspend() {
        return false;
    }
    stops.wait();
    give_back(STOPPED, true);
    // It comes back when the program goes on.
    let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    // A terminal that cannot be made raw is gone, which the next reading tells.
    let _ = enable_raw_mode();
    TIMES_ENTERED.fetch_add(1, Ordering::SeqCst);
    writer::resume_current(&entering());
    true
}

/// When the program may stop: those in a call with us hear it first.
struct Stops {
    may: Mutex<bool>,
    told: Condvar,
}

static STOPS: Stops = Stops {
    may: Mutex::new(false),
    told: Condvar::new(),
};

impl Stops {
    /// Waits for [`may_stop`] since the last call, and no longer than [`FAREWELL_WAIT`].
    fn wait(&self) {
        let may = self.may.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = (self.told).wait_timeout_while(may, FAREWELL_WAIT, |may| !*may);
        let (mut may, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *may = false;
    }
}

/// All is said that was to be said before the program stops ([`Event::Suspending`]).
pub(crate) fn may_stop() {
    *STOPS.may.lock().unwrap_or_else(PoisonError::into_inner) = true;
    STOPS.told.notify_all();
}

/// How often the terminal was taken again after the program had been stopped: nothing of what was shown is there then.
#[must_use]
pub fn times_resumed() -> usize {
    TIMES_ENTERED.load(Ordering::SeqCst)
}

/// Mouse reports on or off: what to write for it. While they are on the terminal does not select text by itself (most do
/// with Shift held).
pub fn set_mouse(is_on: bool) -> &'static str {
    HAS_MOUSE.store(is_on, Ordering::SeqCst);
    if is_on { MOUSE_ON } else { MOUSE_OFF }
}

/// Pictures by the kitty protocol are sent from now on: the terminal is to forget them when it is given back.
pub(crate) fn forget_pixels_at_the_end() {
    HAS_PIXELS.store(true, Ordering::SeqCst);
}

/// Asks for keys that are let go: what to write for it, once; nothing when it was written.
pub(crate) fn report_releases() -> Option<&'static str> {
    let was_on = HAS_RELEASES.swap(true, Ordering::SeqCst);
    (!was_on).then_some(RELEASES_ON)
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
        .name(INPUT_THREAD.to_owned())
        .spawn(move || {
            let mut parser = Parser::default();
            loop {
                let mut inputs = Vec::new();
                let read = read_burst_until(&mut parser, None, |input| inputs.push(input));
                for input in inputs {
                    if is_stop_key(&input) {
                        // Raw, the terminal does not make a signal of it.
                        let _ = signal_hook::low_level::raise(SIGTSTP);
                        continue;
                    }
                    let arrival = match input {
                        Input::Event(event) => translate(event).map(Arrival::Event),
                        Input::Reply(reply) => {
                            late::read(&reply);
                            Some(Arrival::Reply(reply, Instant::now()))
                        }
                    };
                    if arrival.is_some_and(|arrival| !send(arrival)) {
                        return swallow(&mut parser);
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

/// Reads on, for nobody, while answers are on their way.
fn swallow(parser: &mut Parser) {
    while let Some(left) = late::left(Instant::now()) {
        let read = read_burst_until(parser, Some(left), |input| {
            if let Input::Reply(reply) = input {
                late::read(&reply);
            }
        });
        if read.is_err() {
            return;
        }
    }
}

/// Ctrl-Z, pressed.
fn is_stop_key(input: &Input) -> bool {
    matches!(
        input,
        Input::Event(event::Event::Key(key))
            if key.code == event::KeyCode::Char('z')
                && key.modifiers == event::KeyModifiers::CONTROL
                && key.kind == KeyEventKind::Press
    )
}

/// Waits for bytes of the terminal, or for the end of the parser's patience, and no longer than `wait`.
fn read_burst_until(
    parser: &mut Parser,
    wait: Option<Duration>,
    out: impl FnMut(Input),
) -> io::Result<()> {
    let stdin = rustix::stdio::stdin();
    let patience = parser.patience();
    let limit = [patience, wait].into_iter().flatten().min();
    let is_wait_shorter = wait.is_some_and(|wait| patience.is_none_or(|patience| wait < patience));
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
    let ready = match rustix::event::poll(&mut wanted, limit.as_ref()) {
        Err(Errno::INTR) => return Ok(()),
        ready => ready?,
    };
    if ready == 0 {
        if !is_wait_shorter {
            parser.pause(out);
        }
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
        event::Event::Key(key) if key.kind == KeyEventKind::Release => Some(Event::KeyRelease(key)),
        event::Event::Key(key) => Some(Event::Key(key)),
        event::Event::Mouse(mouse) => Some(Event::Mouse(mouse)),
        event::Event::Paste(text) => Some(Event::Paste(text)),
        event::Event::Resize(columns, rows) => Some(Event::Resize(columns, rows)),
        event::Event::FocusGained => Some(Event::Focus(true)),
        event::Event::FocusLost => Some(Event::Focus(false)),
    }
}

/// Starts the thread that turns SIGTERM, SIGINT and SIGHUP into [`Event::Stop`], and SIGWINCH into the new size. A second one, or one that nobody
/// takes, restores the terminal and ends the program as the system would.
///
/// # Errors
/// The system gives no handler or no thread.
pub fn spawn_signals(mut send: impl FnMut(Event) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut is_first = true;
            for signal in signals.forever() {
                if signal == SIGTSTP {
                    is_first &= !can_suspend() || send(Event::Suspending);
                    let is_back = suspend(&STOPS);
                    is_first &= !is_back || send(Event::Resumed);
                }
                if signal == SIGWINCH || signal == SIGTSTP {
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

/// Ends this program when its standard input ends: whoever started it, and holds the other end, is gone.
pub fn end_with_input() {
    crate::threads::detach("stdin", || {
        // An error says that nothing comes any more, as the end does.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        ask_to_end();
    });
}

/// The same as SIGTERM from outside.
pub fn ask_to_end() {
    // A process may always send itself signals.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn a_release_is_no_key_press() {
        let told = |kind| {
            let key = KeyEvent::new_with_kind(KeyCode::Char('m'), KeyModifiers::NONE, kind);
            translate(event::Event::Key(key))
        };
        assert!(matches!(told(KeyEventKind::Press), Some(Event::Key(_))));
        assert!(matches!(told(KeyEventKind::Repeat), Some(Event::Key(_))));
        assert!(matches!(
            told(KeyEventKind::Release),
            Some(Event::KeyRelease(_))
        ));
    }
}

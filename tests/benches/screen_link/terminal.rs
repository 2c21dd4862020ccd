//! The terminal at the near end: it shows what comes, answers what it is asked, and tells when what came.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// The grid of the bars.
const ROWS: u16 = 34;
const COLUMNS: u16 = 120;
/// Pieces not looked at yet; when full, the terminal takes in nothing, as a real one that is busy.
const PIECES_MAX: usize = 1_024;
/// What is asked, and what is answered: device status, device attributes.
const ANSWERS: [(&[u8], &[u8]); 2] = [(b"\x1b[5n", b"\x1b[0n"), (b"\x1b[c", b"\x1b[?62;22c")];
/// The longest question but one byte: what may be left of one at the end of a piece.
const REST: usize = 3;

type Keyboard = Arc<Mutex<Box<dyn Write + Send>>>;

/// The terminal and what runs in it. Dropping it ends that.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Keyboard,
    pieces: Receiver<(Instant, Vec<u8>)>,
    parser: vt100::Parser,
    /// Closing it hangs up.
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Runs `command`.
    ///
    /// # Errors
    /// The system gives no terminal, or the command is not there.
    pub(crate) fn run(command: CommandBuilder) -> Result<Self, Box<dyn std::error::Error>> {
        let pair = native_pty_system().openpty(PtySize {
            rows: ROWS,
            cols: COLUMNS,
            pixel_width: 0,
            pixel_height: 0,
        })?;
        let child = pair.slave.spawn_command(command)?;
        let output = pair.master.try_clone_reader()?;
        let keyboard: Keyboard = Arc::new(Mutex::new(pair.master.take_writer()?));
        let (sender, pieces) = sync_channel(PIECES_MAX);
        let theirs = Arc::clone(&keyboard);
        std::thread::spawn(move || take_in(output, &theirs, &sender));
        let side = |cells: u16| NonZeroU16::new(cells).expect("the grid has cells");
        Ok(Self {
            child,
            keyboard,
            pieces,
            parser: vt100::Parser::new(side(ROWS), side(COLUMNS), 0),
            _master: pair.master,
        })
    }

    /// Types; when it was typed.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn press(&self, keys: &str) -> std::io::Result<Instant> {
        let mut keyboard = self.keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        keyboard.write_all(keys.as_bytes())?;
        keyboard.flush()?;
        Ok(at)
    }

    /// Shows the next that comes before `until`; when it came, and how many bytes.
    pub(crate) fn next(&mut self, until: Instant) -> Option<(Instant, usize)> {
        let wait = until.saturating_duration_since(Instant::now());
        let (at, piece) = self.pieces.recv_timeout(wait).ok()?;
        self.parser.process(&piece);
        Some((at, piece.len()))
    }

    /// What it shows.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn take_in(
    mut output: Box<dyn Read + Send>,
    keyboard: &Keyboard,
    pieces: &SyncSender<(Instant, Vec<u8>)>,
) {
    let mut piece = [0; 4_096];
    let mut seen = Vec::new();
    while let Ok(bytes @ 1..) = output.read(&mut piece) {
        let at = Instant::now();
        seen.extend_from_slice(&piece[..bytes]);
        for end in 1..=seen.len() {
            // What ends in the rest was answered before.
            let is_new = end > seen.len() - bytes;
            let asked = ANSWERS
                .iter()
                .find(|(asked, _)| seen[..end].ends_with(asked));
            if let (true, Some((_, answer))) = (is_new, asked) {
                let mut keyboard = keyboard.lock().unwrap_or_else(PoisonError::into_inner);
                // Who does not listen any more needs no answer.
                let _ = keyboard.write_all(answer).and_then(|()| keyboard.flush());
            }
        }
        seen.drain(..seen.len().saturating_sub(REST));
        if pieces.send((at, piece[..bytes].to_vec())).is_err() {
            return;
        }
    }
}

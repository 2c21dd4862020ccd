//! A terminal that answers late, and a paste that goes on: what was said to the program must not be typed into the shell
//! that comes back.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed test says where; a terminal lives in real time"
)]

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// Between a question and its answer.
const ROUND_TRIP: Duration = Duration::from_millis(80);
/// Long enough for a loaded machine; nothing waits for it on the good path.
const PATIENCE: Duration = Duration::from_secs(60);
const QUESTIONS: [(&[u8], &[u8]); 2] = [(b"\x1b[5n", b"\x1b[0n"), (b"\x1b[c", b"\x1b[?62;22c")];

/// A shell in a terminal at the far end of a line.
struct Far {
    output: Receiver<(Instant, Vec<u8>)>,
    input: Box<dyn Write + Send>,
    shell: Box<dyn Child + Send + Sync>,
    _terminal: Box<dyn MasterPty + Send>,
    folder: TempDir,
    shown: Vec<u8>,
    looked_at: usize,
    due: Vec<(Instant, &'static [u8])>,
}

impl Far {
    fn start() -> Self {
        let folder = TempDir::with_prefix("hullo-answers").unwrap();
        let size = PtySize {
            rows: 24,
            cols: 80,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut shell = CommandBuilder::new("sh");
        shell.arg("-i");
        for unset in ["NO_COLOR", "CLICOLOR", "ENV", "TMUX"] {
            shell.env_remove(unset);
        }
        let home = folder.path().display().to_string();
        for (name, value) in [
            ("PS1", "shell> "),
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("HULLO_HOME", &home),
            ("XDG_RUNTIME_DIR", &home),
        ] {
            shell.env(name, value);
        }
        let shell = pair.slave.spawn_command(shell).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (bytes, output) = channel();
        thread::spawn(move || {
            let mut read = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut read) {
                if bytes
                    .send((Instant::now(), read[..count].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
        });
        Self {
            output,
            input: pair.master.take_writer().unwrap(),
            shell,
            _terminal: pair.master,
            folder,
            shown: Vec::new(),
            looked_at: 0,
            due: Vec::new(),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).unwrap();
        self.input.flush().unwrap();
    }

    /// Shows what comes and answers what is asked, a round trip later, until `fits`.
    fn until(&mut self, what: &str, fits: impl Fn(&[u8]) -> bool) {
        let end = Instant::now() + PATIENCE;
        let begin = self.shown.len();
        while !fits(&self.shown[begin..]) {
            assert!(
                Instant::now() < end,
                "not within {PATIENCE:?}: {what}\n{}",
                String::from_utf8_lossy(&self.shown[begin..])
            );
            self.step();
        }
    }

    fn step(&mut self) {
        if let Ok((when, bytes)) = self.output.recv_timeout(Duration::from_millis(5)) {
            self.shown.extend(bytes);
            for at in self.looked_at..self.shown.len() {
                let rest = &self.shown[at..];
                if QUESTIONS
                    .iter()
                    .any(|(asked, _)| asked.len() > rest.len() && asked.starts_with(rest))
                {
                    // Its end comes with the next bytes.
                    break;
                }
                self.looked_at = at + 1;
                let asked = QUESTIONS.iter().find(|(asked, _)| rest.starts_with(asked));
                self.due
                    .extend(asked.map(|(_, answer)| (when + ROUND_TRIP, *answer)));
            }
        }
        while self
            .due
            .first()
            .is_some_and(|(when, _)| *when <= Instant::now())
        {
            let (_, answer) = self.due.remove(0);
            self.write(answer);
        }
    }

    /// Until nothing is left to be answered, and what the answers did is shown.
    fn settle(&mut self) {
        let end = Instant::now() + 3 * ROUND_TRIP;
        while Instant::now() < end || !self.due.is_empty() {
            self.step();
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // It is over already where the test reached its end.
        let _ = self.shell.kill();
    }
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|part| part == words.as_bytes())
}

/// Pictures are on their way, each with a question that was not answered yet.
fn has_pictures(bytes: &[u8]) -> bool {
    bytes.windows(4).filter(|part| *part == b"\x1b[5n").count() > 4
}

#[test]
fn answers_on_their_way_are_not_typed_into_the_shell() {
    let mut far = Far::start();
    far.until("the shell", |shown| contains(shown, "shell>"));
    let hullo = env!("CARGO_BIN_EXE_hullo");
    for (key, words) in [(&b"\x1a"[..], "`fg` goes on."), (b"q", "\x1b[?1049l")] {
        far.write(format!("{hullo} mirror --camera test\n").as_bytes());
        far.until("pictures", has_pictures);
        far.write(key);
        let begin = far.shown.len();
        let given_back = |shown: &[u8]| {
            let mut places = shown.windows(words.len());
            places.position(|part| part == words.as_bytes())
        };
        far.until("the shell", |shown| {
            given_back(shown).is_some_and(|at| contains(&shown[at..], "shell>"))
        });
        far.settle();
        let shown = &far.shown[begin..];
        let after = String::from_utf8_lossy(&shown[given_back(shown).unwrap()..]).into_owned();
        // Where a shell is typed an escape, it shows `^[`.
        for answer in ["[0n", "[?62"] {
            assert!(!after.contains(answer), "{after:?}");
        }
        far.write(b"echo the answer is $((6 * 7))\n");
        far.until("what the shell says", |shown| {
            contains(shown, "the answer is 42\r\n")
        });
    }
    far.write(b"kill %1; fg; exit\n");
    far.until("the end", |shown| contains(shown, "mirror"));
    assert!(far.folder.path().exists());
}

#[test]
fn the_rest_of_a_paste_that_ends_the_program_is_not_run_by_the_shell() {
    const LINES: usize = 20_000;
    let mut far = Far::start();
    far.until("the shell", |shown| contains(shown, "shell>"));
    let hullo = env!("CARGO_BIN_EXE_hullo");
    far.write(format!("{hullo} mirror --camera test\n").as_bytes());
    far.until("pictures", has_pictures);
    let begin = far.shown.len();
    far.write("q\necho pasted\n".repeat(LINES).as_bytes());
    far.until("the end", |shown| contains(shown, "\x1b[?1049l"));
    far.settle();
    far.write(b"\necho the answer is $((6 * 7))\n");
    far.until("what the shell says", |shown| {
        contains(shown, "the answer is 42\r\n")
    });
    let after = String::from_utf8_lossy(&far.shown[begin..]).into_owned();
    assert!(!after.contains("pasted"), "{after:?}");
    far.write(b"exit\n");
}

//! The program `hullo` as a child process: its JSON lines as they come, and what it costs the machine.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Lines waiting to be read; a call of a minute writes about a hundred. When full, the program waits on its stdout.
const LINES_MAX: usize = 4_096;

/// Longest line: a summary of a large call. A longer one comes in pieces, which are no JSON.
const LINE_BYTES_MAX: u64 = 256 * 1_024;

/// Units of the times in /proc: fixed at 100 per second for programs, whatever the kernel ticks at.
const TICK: Duration = Duration::from_millis(10);

/// Why a program did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started or spoken to.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// It ended or fell silent before it said what was waited for.
    #[error("{name} never reported `{event}`; it last said {last}; stderr: {stderr}")]
    Silent {
        /// Which of the programs.
        name: String,
        /// The event waited for.
        event: String,
        /// Its last event.
        last: String,
        /// The end of its stderr.
        stderr: String,
    },
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When this was read.
    pub at: Instant,
    /// Processor time of all threads, those that ended included.
    pub cpu: Duration,
    /// Most resident memory so far, bytes.
    pub resident_bytes_max: u64,
}

/// One line of the program.
#[derive(Clone, Debug)]
pub struct Line {
    /// The JSON object; [`Value::Null`] when the line was none.
    pub value: Value,
    /// What the process had used when the line was read; none where the system does not tell.
    pub usage: Option<Usage>,
}

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<Line>,
    seen: Vec<Line>,
    stderr: std::path::PathBuf,
}

impl Program {
    /// Starts `binary` with `arguments`, writes `stdin` to it and leaves its stderr in `folder`.
    ///
    /// # Errors
    /// The binary or the folder is not there.
    pub fn start(
        name: &str,
        binary: &Path,
        arguments: &[String],
        stdin: &str,
        folder: &Path,
    ) -> Result<Self, ProgramError> {
        let failed = |error| ProgramError::Io(format!("{name} ({})", binary.display()), error);
        let stderr = folder.join(format!("{name}.stderr"));
        let mut child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut input = child.stdin.take().expect("stdin is piped");
        // Whether the program wants to read is its affair.
        let _unread = input.write_all(stdin.as_bytes());
        // With nothing to say stdin stays open: its end may mean that the user is gone.
        if stdin.is_empty() {
            child.stdin = Some(input);
        }
        let process = child.id();
        let (sender, lines) = sync_channel(LINES_MAX);
        thread::spawn(move || forward_lines(stdout, process, &sender));
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            seen: Vec::new(),
            stderr,
        })
    }

    /// Waits until an event of this name for which `wanted` holds; earlier lines are kept.
    ///
    /// # Errors
    /// The program ends or says nothing of the kind until `deadline`.
    pub fn wait_for(
        &mut self,
        event: &str,
        deadline: Instant,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ProgramError> {
        while let Some(line) = self.next_line(deadline) {
            if line.value["event"] == event && wanted(&line.value) {
                return Ok(line.value);
            }
        }
        let last = self
            .seen
            .last()
            .map_or(Value::Null, |line| line.value.clone());
        let stderr = fs::read_to_string(&self.stderr).unwrap_or_default();
        let from = stderr.len().saturating_sub(500);
        Err(ProgramError::Silent {
            name: self.name.clone(),
            event: event.to_owned(),
            last: last.to_string(),
            stderr: String::from_utf8_lossy(&stderr.as_bytes()[from..]).into_owned(),
        })
    }

    fn next_line(&mut self, deadline: Instant) -> Option<Line> {
        let left = deadline.saturating_duration_since(now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next event, none until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> Option<Value> {
        self.next_line(deadline).map(|line| line.value)
    }

    /// Writes a line to its stdin, where nothing was put there at the start.
    pub fn write(&mut self, line: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            // One that has ended already shows in what it does not say.
            let _unread = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Its number in the system.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Reads what is left until the program ends, or ends it at `deadline`; all its lines, and its status if it ended
    /// by itself.
    pub fn finish(mut self, deadline: Instant) -> (Vec<Line>, Option<ExitStatus>) {
        while self.next_line(deadline).is_some() {}
        let by_itself = now() < deadline;
        let status = by_itself.then(|| self.child.wait().ok()).flatten();
        (std::mem::take(&mut self.seen), status)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only for a process that has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The time, for deadlines of real processes.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "real processes run by the real clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

fn forward_lines(stdout: impl Read, process: u32, sender: &SyncSender<Line>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut bytes = Vec::new();
        let read = stdout
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut bytes);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let line = Line {
            value: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            usage: usage(process),
        };
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// What a process has used so far; none where there is no /proc or the process is gone.
fn usage(process: u32) -> Option<Usage> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
    Some(Usage {
        at: now(),
        cpu: parse_cpu(&read("stat")?)?,
        resident_bytes_max: parse_resident_max(&read("status")?)?,
    })
}

/// User and system time: fields 14 and 15 of proc_pid_stat(5), counted after the name, which may hold anything.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    TICK.checked_mul(ticks()?.checked_add(ticks()?)?)
}

/// `VmHWM` of proc_pid_status(5), given in kB of 1,024 bytes.
fn parse_resident_max(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_process_are_read() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 9 0 0 0 250 50 7 8 20 0 9 0 100 0";
        assert_eq!(parse_cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_cpu("42 (x) S 1"), None);
        assert_eq!(
            parse_resident_max("Name:\tx\nVmHWM:\t    2048 kB\n"),
            Some(2 * 1_024 * 1_024)
        );
        assert_eq!(parse_resident_max("Name:\tx\n"), None);
    }

    #[test]
    fn lines_of_a_program_are_waited_for_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"echo '{"event":"ready"}'; echo no json; read line; echo "{\"event\":\"said\",\"line\":\"$line\"}""#;
        let arguments = ["-c".to_owned(), script.to_owned()];
        let mut program =
            Program::start("sh", Path::new("sh"), &arguments, "hello\n", folder.path()).unwrap();
        let deadline = now() + Duration::from_secs(10);
        let said = program.wait_for("said", deadline, |value| value["line"] == "hello");
        assert_eq!(said.unwrap()["line"], "hello");
        let silent = program.wait_for("never", deadline, |_| true).unwrap_err();
        assert!(
            silent.to_string().contains("never reported `never`"),
            "{silent}"
        );
        let (lines, status) = program.finish(deadline);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].value, Value::Null);
        assert!(status.unwrap().success());
    }
}

//! A coturn that runs here: it ends with this program, however that ends; one that ends by itself is told with its last
//! words and started again.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustix::process::Signal;

use super::super::ServeError;

/// The program of coturn.
const PROGRAM: &str = "turnserver";
/// How long to wait before it is started again, doubled each time up to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// Who ran for so long runs well: the next end is a new story.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// Lines of its beginning that are looked at. What it says later may name the addresses of people.
const LINES_MAX: usize = 100;
/// Longest line of it, bytes.
const LINE_MAX: u64 = 512;
/// What is told of them.
const LAST_WORDS: usize = 2;
/// News nobody has read yet; more of the same would be no news.
const NEWS_MAX: usize = 16;

/// A coturn of ours; ends when dropped.
pub(crate) struct Coturn {
    child: Arc<Mutex<Option<Child>>>,
    stop: Option<Sender<()>>,
    news: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Coturn {
    /// Starts it with this configuration, and again when it ends.
    ///
    /// # Errors
    /// It is not installed, or its port is not to be had at `at`.
    pub(crate) fn start(configuration: &Path, at: SocketAddr) -> Result<Self, ServeError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        let program = folders
            .find_map(|folder| Some(folder.join(PROGRAM)).filter(|path| path.is_file()))
            .ok_or(ServeError::NoCoturn)?;
        look_for_port(at)?;
        let child = Arc::new(Mutex::new(None));
        let (stop, stopped) = bounded(1);
        let (tell, news) = bounded(NEWS_MAX);
        let keeper = Keeper {
            program,
            configuration: configuration.to_owned(),
            child: Arc::clone(&child),
            stopped,
            tell,
        };
        // The system ends a coturn with the *thread* that started it: this one lives as long as the server.
        let thread = std::thread::Builder::new()
            .name("turn".to_owned())
            .spawn(move || keeper.run())
            .map_err(|error| ServeError::Start(error.to_string()))?;
        Ok(Self {
            child,
            stop: Some(stop),
            news,
            thread: Some(thread),
        })
    }

    /// What the operator is to know, a sentence each.
    pub(crate) fn news(&self) -> Receiver<String> {
        self.news.clone()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(child) = lock(&self.child).as_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the TURN server panicked");
        }
    }
}

fn lock(child: &Mutex<Option<Child>>) -> std::sync::MutexGuard<'_, Option<Child>> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// coturn shares a port with another coturn without a word, and half of all requests then meet the wrong secret.
fn look_for_port(at: SocketAddr) -> Result<(), ServeError> {
    let tried = UdpSocket::bind(at).map(drop);
    match tried.and_then(|()| TcpListener::bind(at).map(drop)) {
        Ok(()) => Ok(()),
        Err(reason) => Err(ServeError::TurnPort {
            address: at,
            advice: match reason.kind() {
                io::ErrorKind::AddrInUse => {
                    "another TURN server runs there (often the system's own: `systemctl disable --now coturn` ends it): end \
                     it, or name it with --turn URL and --turn-secret FILE"
                }
                _ => {
                    "a TURN server must listen on an address of this machine: listen on one with --listen, or run coturn \
                     yourself and name it with --turn URL and --turn-secret FILE"
                }
            },
            reason,
        }),
    }
}

/// The thread's own.
struct Keeper {
    program: PathBuf,
    configuration: PathBuf,
    child: Arc<Mutex<Option<Child>>>,
    stopped: Receiver<()>,
    tell: Sender<String>,
}

impl Keeper {
    fn run(self) {
        let [mut pause, longest] = PAUSES;
        let mut has_ended = false;
        loop {
            let began = Instant::now();
            let why = match self.once(has_ended) {
                Ok((status, words)) => format!("{}{}", ended(status), quoted(&words)),
                Err(error) => format!("cannot be started: {error}"),
            };
            if began.elapsed() >= WELL_AFTER {
                [pause, _] = PAUSES;
            }
            if self.is_stopped(Duration::ZERO) {
                return;
            }
            self.tell(format!(
                "The TURN server (coturn) {why}. Calls that need it fail meanwhile; it is started again in {} s. \
                 `{PROGRAM} -c {}` shows what it says.",
                pause.as_secs(),
                self.configuration.display()
            ));
            if self.is_stopped(pause) {
                return;
            }
            has_ended = true;
            pause = (pause * 2).min(longest);
        }
    }

    /// From its start to its end, with the last words of its beginning.
    fn once(&self, is_again: bool) -> io::Result<(ExitStatus, VecDeque<String>)> {
        let (words, output) = io::pipe()?;
        let mut command = guarded(&self.program);
        command.arg("-c").arg(&self.configuration);
        command.stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        {
            let mut child = lock(&self.child);
            *child = Some(command.spawn()?);
            if self.is_stopped(Duration::ZERO) {
                let _ = child.as_mut().map(Child::kill);
            }
        }
        // Its ends of the pipe are ours until then, and no end of the words would come.
        drop(command);
        let words = last_words(words, || {
            if is_again {
                self.tell("The TURN server (coturn) runs again.".to_owned());
            }
        });
        let mut child = lock(&self.child);
        let mut ended = child.take().expect("only this thread takes it");
        // Who says nothing any more has ended, or must.
        let _ = ended.kill();
        Ok((ended.wait()?, words))
    }

    fn is_stopped(&self, within: Duration) -> bool {
        self.stopped.recv_timeout(within) != Err(RecvTimeoutError::Timeout)
    }

    fn tell(&self, words: String) {
        tracing::warn!("{words}");
        // Nobody may read.
        drop(self.tell.try_send(words));
    }
}

/// Reads to the end and keeps the last lines of the beginning that say something; `ready`: it serves.
fn last_words(from: impl io::Read, ready: impl FnOnce()) -> VecDeque<String> {
    let mut from = BufReader::new(from);
    let mut kept = VecDeque::new();
    for _ in 0..LINES_MAX {
        let mut line = Vec::new();
        match (&mut from).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return kept,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        // The last thing it does before it serves: what went before is no reason for what comes.
        if line.contains("Total General servers") {
            ready();
            break;
        }
        // "0: : " is how many seconds it runs.
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == ' ');
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let is_said = line.chars().any(char::is_alphabetic);
        if is_said && !kept.contains(&line) {
            if kept.len() == LAST_WORDS {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }
    kept.clear();
    let _ = io::copy(&mut from, &mut io::sink());
    kept
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn quoted(words: &VecDeque<String>) -> String {
    if words.is_empty() {
        return String::new();
    }
    let words: Vec<&str> = words.iter().map(|line| line.trim()).collect();
    format!("; its last words: \"{}\"", words.join(" / "))
}

/// The program, so started that it ends with this one, even when this one is killed: by way of [`guard`].
fn guarded(program: &Path) -> Command {
    if cfg!(target_os = "linux") {
        // Still there when the file was replaced by a newer one.
        let mut command = Command::new("/proc/self/exe");
        command.arg(GUARD).arg(std::process::id().to_string());
        command.arg(program);
        command.arg0("hullo");
        return command;
    }
    Command::new(program)
}

/// The first argument of a process that is to become another one.
pub const GUARD: &str = "--guard";

/// `hullo --guard PARENT PROGRAM ARGUMENTS…`, of which `arguments` are those from PARENT on: becomes the program, which the
/// system ends when the process PARENT has ended.
///
/// It cannot be started where this returns.
pub fn guard(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let parent = arguments.next().unwrap_or_default();
    let Some(program) = arguments.next() else {
        return io::Error::other("no program is named");
    };
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // It may have ended before the system knew what we wish.
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref() != parent.to_str() {
        return io::Error::other("who started it has ended");
    }
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_beginning_are_kept_without_its_clock_and_no_later_ones() {
        let log = "0: : \n0: : Listening\n\nbind: Address already in use\n0: : Cannot bind\n1: : Cannot bind\n";
        let words = last_words(log.as_bytes(), || panic!("it never served"));
        assert_eq!(words, ["bind: Address already in use", "Cannot bind"]);
        let mut ready = false;
        let long = format!(
            "0: : Total General servers: 2\n{}",
            "5: : peer 192.0.2.1\n".repeat(200)
        );
        let words = last_words(long.as_bytes(), || ready = true);
        assert!(ready && words.is_empty(), "{words:?}");
    }
}

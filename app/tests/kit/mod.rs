//! Running the program: homes, servers, and processes whose JSON lines are read as they come.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A command that should end by itself gets this long.
const RUN_MAX: Duration = Duration::from_secs(60);

/// One person's profile folder, removed at the end.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("hullo").unwrap())
    }

    /// Writes a file beside the profile and gives its `file:` specification.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("file:{}", path.display())
    }

    /// A command line for a shell.
    pub(crate) fn typed(&self, args: &[&str]) -> String {
        let at = self.0.path().display();
        let program = env!("CARGO_BIN_EXE_hullo");
        let args = args.join(" ");
        format!("HULLO_HOME={at}/profile XDG_RUNTIME_DIR={at} {program} {args}")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        Hullo::spawn(self, args).finish(RUN_MAX)
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Done {
        let mut hullo = Hullo::spawn(self, args);
        hullo.write(input);
        hullo.finish(RUN_MAX)
    }

    /// Its folder: the profile is `profile` in it.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullo"));
        command
            .args(args)
            .env("HULLO_HOME", self.0.path().join("profile"))
            .env("XDG_RUNTIME_DIR", self.0.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A running process. Dropping it kills it.
pub(crate) struct Hullo {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Option<std::thread::JoinHandle<String>>,
    next: usize,
}

impl Hullo {
    pub(crate) fn spawn(home: &Home, args: &[&str]) -> Self {
        Self::spawn_in(home, args, &[])
    }

    /// The same with these variables set.
    pub(crate) fn spawn_in(home: &Home, args: &[&str], variables: &[(&str, &OsStr)]) -> Self {
        let mut command = home.command(args);
        command.envs(variables.iter().copied());
        Self::of(command)
    }

    /// Reads what this command, of which both outputs are pipes, says.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = sync_channel(10_000);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stderr, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            seen: Vec::new(),
            errors: Some(errors),
            next: 0,
        }
    }

    /// Its number at the system.
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    /// Writes a line to stdin.
    pub(crate) fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        // A process that has ended already shows in its exit status.
        let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
    }

    /// From now on only events that have not been seen yet count.
    pub(crate) fn forget(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        self.next = self.seen.len();
    }

    /// Waits for an event of this name.
    pub(crate) fn wait_for(&mut self, name: &str, limit: Duration) -> Value {
        self.wait_until(limit, |event| event["event"] == name)
    }

    pub(crate) fn wait_for_call(&mut self, state: &str, limit: Duration) -> Value {
        self.wait_until(limit, |event| {
            event["event"] == "call" && event["state"] == state
        })
    }

    /// Waits for the first event that fits, from the beginning or the last [`Self::forget`] on.
    pub(crate) fn wait_until(&mut self, limit: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + limit;
        let mut at = self.next;
        loop {
            while at < self.seen.len() {
                let event: Value = serde_json::from_str(&self.seen[at]).unwrap_or(Value::Null);
                at += 1;
                if fits(&event) {
                    return event;
                }
            }
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("not within {limit:?}; seen:\n{}", self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let errors = self
                        .errors
                        .take()
                        .map(|thread| thread.join().unwrap())
                        .unwrap_or_default();
                    panic!("it ended; seen:\n{}\n{errors}", self.seen.join("\n"));
                }
            }
        }
    }

    /// Waits for the end of the process.
    pub(crate) fn finish(mut self, limit: Duration) -> Done {
        drop(self.stdin.take());
        let end = Instant::now() + limit;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!(
                    "still running after {limit:?}; seen:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let errors = self.errors.take().unwrap().join().unwrap();
        let lines = std::mem::take(&mut self.seen);
        let events = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Done {
            code,
            lines,
            events,
            errors,
        }
    }
}

impl Drop for Hullo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An ended process.
pub(crate) struct Done {
    pub code: i32,
    pub lines: Vec<String>,
    pub events: Vec<Value>,
    pub errors: String,
}

impl Done {
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.shown());
        self
    }

    pub(crate) fn event(&self, name: &str) -> &Value {
        self.events
            .iter()
            .rfind(|event| event["event"] == name)
            .unwrap_or_else(|| panic!("no {name} in\n{}", self.shown()))
    }

    pub(crate) fn call_state(&self, state: &str) -> &Value {
        self.events
            .iter()
            .find(|event| event["state"] == state)
            .unwrap_or_else(|| panic!("no {state} in\n{}", self.shown()))
    }

    pub(crate) fn shown(&self) -> String {
        format!(
            "exit {}\n{}\n{}",
            self.code,
            self.lines.join("\n"),
            self.errors
        )
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        self.shown().to_lowercase().contains(&words.to_lowercase())
    }
}

/// A server of one's own on a free port.
pub(crate) struct Server {
    process: Hullo,
    /// Its own, if nobody else keeps it.
    _home: Option<Home>,
    url: String,
    address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let home = Home::new();
        let mut server = Self::start_in(&home, "127.0.0.1:0");
        server._home = Some(home);
        server
    }

    /// With the certificate that this home keeps, so that it can come again under its URL.
    pub(crate) fn start_in(home: &Home, listen: &str) -> Self {
        Self::start_with(home, listen, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(home: &Home, listen: &str, more: &[&str]) -> Self {
        let mut args = vec!["serve", "--listen", listen, "--json"];
        args.extend(more);
        let mut process = Hullo::spawn(home, &args);
        let url = process.wait_for("ready", Duration::from_secs(30))["url"]
            .as_str()
            .unwrap()
            .to_owned();
        let address = url
            .trim_start_matches("https://")
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        Self {
            process,
            _home: None,
            url,
            address,
        }
    }

    /// Asks it to stop, as an operator does.
    pub(crate) fn stop(&self) {
        self.process.signal(rustix::process::Signal::TERM);
    }

    /// The same, and waits for its end.
    pub(crate) fn end(self) {
        self.stop();
        self.process.finish(RUN_MAX).success();
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

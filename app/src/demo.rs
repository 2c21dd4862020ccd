//! `hullo demo`: a server and a friend with a test card on this machine, and a call with you.
//!
//! Server and friend are real processes of this same program, with profiles in a folder that goes away afterwards.
//! Nothing of yours is read or changed, and nothing leaves this machine.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use hullo_media::sink::open_speaker;
use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec, open_camera, open_mic};
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::Options;

pub mod crowd;

/// What the friend is called.
pub const FRIEND: &str = "Testcard";
/// A helper process gets this long for its first answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The friend's last figures get this long after the call.
const FAREWELL: Duration = Duration::from_secs(5);
/// Lines of a helper process that may wait to be read.
const LINES_MAX: usize = 1_024;

/// The stage: ends with everything on it when dropped.
pub struct Demo {
    friend: Process,
    _server: Process,
    folder: TempDir,
}

/// What the friend saw of the call.
#[derive(Debug, Default)]
pub struct FriendSaw {
    /// Frames of sound that arrived.
    pub audio_received: u64,
    /// Pictures decoded.
    pub video_decoded: u64,
}

impl Demo {
    /// Starts the server and the friend, and makes you two contacts.
    ///
    /// # Errors
    /// The machine's: a process did not start or did not answer; its own words are passed on.
    pub fn start() -> io::Result<Self> {
        let folder = TempDir::with_prefix("hullo-demo")?;
        let friend_home = folder.path().join("friend");
        let mut server = Process::spawn(
            &folder.path().join("server"),
            &["serve", "--listen", "127.0.0.1:0"],
            None,
        )?;
        let url = text(&server.wait_for("ready")?, "url")?;
        Process::spawn(&friend_home, &["name", FRIEND, "--server", &url], None)?
            .wait_for("name")?;
        let link = text(
            &Process::spawn(&friend_home, &["invite"], None)?.wait_for("invite")?,
            "link",
        )?;
        let you = folder.path().join("you");
        Process::spawn(&you, &["add", "-", "--server", &url], Some(&link))?.wait_for("contact")?;
        let mut friend = Process::spawn(
            &friend_home,
            &[
                "answer",
                "--video",
                "--camera",
                "test",
                "--mic",
                "test",
                "--speaker",
                "none",
            ],
            None,
        )?;
        friend.wait_for("ready")?;
        Ok(Self {
            friend,
            _server: server,
            folder,
        })
    }

    /// Your profile for the demo.
    pub fn profile(&self) -> PathBuf {
        self.folder.path().join("you")
    }

    /// After the call: what the friend saw of it.
    pub fn friend_saw(&mut self) -> FriendSaw {
        let Ok(summary) = self
            .friend
            .wait_until(FAREWELL, |event| event["event"] == "summary")
        else {
            return FriendSaw::default();
        };
        FriendSaw {
            audio_received: summary["audio"]["received"].as_u64().unwrap_or(0),
            video_decoded: summary["video"]["decoded"].as_u64().unwrap_or(0),
        }
    }
}

/// A process of this program whose JSON lines are read. Killed when dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
    last: String,
}

impl Process {
    fn spawn(profile: &Path, args: &[&str], input: Option<&str>) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .args(["--json", "--until-input-ends", "--profile"])
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(input) = input
            && let Some(mut stdin) = child.stdin.take()
        {
            writeln!(stdin, "{input}")?;
        }
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("a helper process has no output"))?;
        let (sender, lines) = bounded(LINES_MAX);
        let oldest = lines.clone();
        crate::threads::detach("demo-lines", move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody reads for as long as a call runs: a full pipe would halt the person at its other end.
                if sender.is_full() {
                    let _ = oldest.try_recv();
                }
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            last: String::new(),
        })
    }

    /// Writes a command, where nothing was put on stdin at the start.
    fn write(&mut self, line: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            // One that has ended already needs no command.
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Waits until it has ended by itself, for a while; then it is ended.
    fn wait_for_end(&mut self) {
        let is_line = |_: &Value| false;
        // An error says that it wrote no more.
        let _ = self.wait_until(FAREWELL, is_line);
    }

    fn wait_for(&mut self, name: &str) -> io::Result<Value> {
        self.wait_until(PATIENCE, |event| event["event"] == name)
    }

    fn wait_until(&mut self, limit: Duration, fits: impl Fn(&Value) -> bool) -> io::Result<Value> {
        // A call tells its figures every second: lines alone are no sign of what is waited for.
        let end = hullo_media::clock::now() + limit;
        loop {
            let line = self.lines.recv_deadline(end).map_err(|_| {
                io::Error::other(match words_of(&self.last) {
                    Some(words) => {
                        format!("A part of the demo did not get on. Its last words: {words}")
                    }
                    None => "A part of the demo did not get on, and did not say why: this machine may be too busy. Try again, or with fewer people.".to_owned(),
                })
            })?;
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && fits(&event)
            {
                return Ok(event);
            }
            self.last = line;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a helper said last, where it is a sentence.
fn words_of(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let words = ["text", "words"]
        .iter()
        .find_map(|name| event[name].as_str())?;
    Some(crate::people::sentence(words))
}

fn text(event: &Value, member: &str) -> io::Result<String> {
    event[member]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("a part of the demo gave no {member}")))
}

/// What was not chosen on the command line is yours where there is one, else synthetic.
pub fn choose_devices(options: &mut Options) {
    // Libraries write on error output while they look for devices.
    let _quiet = hullo_media::quiet::redirect_stderr(None).ok();
    if options.camera.is_none()
        && !open_camera(&CameraSpec::Device(None)).is_ok_and(|camera| camera.is_some())
    {
        options.camera = Some(CameraSpec::Test);
    }
    if options.mic.is_none() && !open_mic(&MicSpec::Device(None)).is_ok_and(|mic| mic.is_some()) {
        options.mic = Some(MicSpec::Test);
    }
    if options.speaker.is_none()
        && !open_speaker(&SpeakerSpec::Device(None)).is_ok_and(|speaker| speaker.is_some())
    {
        options.speaker = Some(SpeakerSpec::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_helper_are_words() {
        let failed = r#"{"event":"error","text":"the disk is full","at_ms":3}"#;
        assert_eq!(words_of(failed).as_deref(), Some("The disk is full."));
        let group = r#"{"event":"group","name":"demo","members":[],"at_ms":3}"#;
        for line in [group, "", "[1]", "panicked"] {
            assert_eq!(words_of(line), None, "{line}");
        }
    }
}

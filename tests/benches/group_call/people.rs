//! The server and the people as real processes of the program, all in one group.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hullo_tests::bench::program::{Program, now};
use serde_json::Value;

use crate::wire::Wire;

/// What the group is called.
pub(crate) const GROUP: &str = "bench";
/// For a step that needs no call.
const STEP: Duration = Duration::from_secs(30);
/// Everybody has heard of everybody.
const SETTLED: Duration = Duration::from_secs(120);

type Failure = Box<dyn Error>;

/// Server, wire, and the folders of all members.
pub(crate) struct Stage {
    binary: PathBuf,
    folder: PathBuf,
    server: Program,
    url: String,
    /// What lies between the people and the server.
    pub(crate) wire: Wire,
}

impl Stage {
    /// Starts the server behind a wire of our own.
    ///
    /// # Errors
    /// The machine's, or the program did not do its part.
    pub(crate) fn set(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        // Clients are told this address and port; the server itself listens at another address of the same machine.
        let people = UdpSocket::bind("127.0.0.1:0")?;
        let port = people.local_addr()?.port();
        let media: SocketAddr = ([127, 0, 0, 2], port).into();
        let wire = Wire::start(people, media)?;
        let media = media.to_string();
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--shards",
            "1",
            "--udp",
            &media,
        ];
        let mut server = start(binary, folder, "server", &serve, "")?;
        let ready = server.wait_for("ready", now() + STEP, |value| value["url"].is_string())?;
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            server,
            url: text(&ready["url"]),
            wire,
        })
    }

    /// The server's process.
    pub(crate) fn server(&self) -> u32 {
        self.server.process()
    }

    /// The folder of a member's profile.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes profiles and a group of all of them, the first being its creator.
    ///
    /// # Errors
    /// One of the programs did not do its part.
    pub(crate) fn make_group(&self, names: &[&str]) -> Result<(), Failure> {
        for name in names {
            let mut named = self.start(name, &["name", name, "--server", &self.url], "")?;
            named.wait_for("name", now() + STEP, |_| true)?;
            named.finish(now() + STEP);
        }
        let mut running = Vec::new();
        for name in names {
            let mut program = self.start(name, &[], "")?;
            program.wait_for("ready", now() + STEP, |_| true)?;
            running.push(program);
        }
        let first = names[0];
        for name in &names[1..] {
            let mut invite = self.start(first, &["invite"], "")?;
            let link = text(&invite.wait_for("invite", now() + STEP, |_| true)?["link"]);
            let mut add = self.start(name, &["add", "-"], &format!("{link}\n"))?;
            add.wait_for("contact", now() + STEP, |_| true)?;
            running[0].wait_for("contact", now() + STEP, |event| {
                event["name"] == *name && event["ready"] == true
            })?;
        }
        let mut new = self.start(first, &["group", "new", GROUP], "")?;
        new.wait_for("group", now() + STEP, |_| true)?;
        for name in &names[1..] {
            let mut add = self.start(first, &["group", "add", GROUP, name], "")?;
            add.wait_for("group", now() + STEP, |_| true)?;
        }
        for mut program in running {
            program.wait_for("group", now() + SETTLED, |group| {
                is_whole(group, names.len())
            })?;
            program.write("quit");
            program.finish(now() + STEP);
        }
        Ok(())
    }

    /// Puts somebody into the call, unmuted.
    ///
    /// # Errors
    /// The program did not get in.
    pub(crate) fn enter(&self, name: &str, camera: &Path) -> Result<Person, Failure> {
        let camera = format!("file:{}", camera.display());
        let join = ["join", GROUP, "--camera", &camera, "--mic", "test"];
        let args: Vec<&str> = join.into_iter().chain(["--speaker", "none"]).collect();
        let mut program = self.start(name, &args, "")?;
        program.wait_for("call", now() + STEP, |call| call["state"] == "connected")?;
        program.write("unmute");
        Ok(Person {
            name: name.to_owned(),
            program,
            last: Value::Null,
            sent: 0,
            sent_audio: 0,
        })
    }

    fn start(&self, name: &str, args: &[&str], stdin: &str) -> Result<Program, Failure> {
        start(&self.binary, &self.folder, name, args, stdin)
    }
}

fn start(
    binary: &Path,
    folder: &Path,
    name: &str,
    args: &[&str],
    stdin: &str,
) -> Result<Program, Failure> {
    let profile = folder.join(name).display().to_string();
    let rest = ["--json", "--profile", &profile];
    let words = args.iter().chain(&rest).map(|word| (*word).to_owned());
    let words: Vec<String> = words.collect();
    Ok(Program::start(name, binary, &words, stdin, folder)?)
}

fn is_whole(group: &Value, people: usize) -> bool {
    let members = group["members"].as_array();
    group["joined"] == true
        && members.is_some_and(|members| {
            members.len() == people && members.iter().all(|member| member["invited"] == false)
        })
}

/// Somebody in the call.
pub(crate) struct Person {
    /// The name.
    pub(crate) name: String,
    program: Program,
    /// Figures of the last second.
    last: Value,
    sent: u64,
    sent_audio: u64,
}

/// What came from one person so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Got {
    /// Pictures decoded.
    pub(crate) decoded: u64,
    /// Frames of sound.
    pub(crate) audio: u64,
}

impl Person {
    /// Reads what the program says until `deadline`.
    pub(crate) fn read_until(&mut self, deadline: Instant) {
        while let Some(event) = self.program.next(deadline) {
            self.note(event);
        }
    }

    /// Reads until an event for which `wanted` holds; none until `deadline`.
    pub(crate) fn until(
        &mut self,
        deadline: Instant,
        wanted: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        while let Some(event) = self.program.next(deadline) {
            let found = wanted(&event).then(|| event.clone());
            self.note(event);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn note(&mut self, event: Value) {
        if event["event"] == "stats" {
            self.sent += event["sent"]["video_frames"].as_u64().unwrap_or(0);
            self.sent_audio += event["sent"]["audio_frames"].as_u64().unwrap_or(0);
            self.last = event;
        }
    }

    /// A line on its stdin.
    pub(crate) fn write(&mut self, line: &str) {
        self.program.write(line);
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.program.process()
    }

    /// Pictures and frames of sound that left.
    pub(crate) fn sent(&self) -> Got {
        Got {
            decoded: self.sent,
            audio: self.sent_audio,
        }
    }

    /// What came from this one, by the figures of the last second.
    pub(crate) fn got(&self, name: &str) -> Got {
        let people = self.last["people"].as_array();
        let found = people.and_then(|people| people.iter().rfind(|person| person["name"] == name));
        let count = |member: &str| found.and_then(|p| p[member].as_u64()).unwrap_or(0);
        Got {
            decoded: count("video_decoded"),
            audio: count("audio_frames"),
        }
    }

    /// How often the media keys were made anew: its own, and those of everybody it hears.
    pub(crate) fn epochs(&self) -> (Option<u64>, Vec<Option<u64>>) {
        let people = self.last["people"].as_array().cloned().unwrap_or_default();
        let theirs = people.iter().map(|person| person["epoch"].as_u64());
        (self.last["epoch"].as_u64(), theirs.collect())
    }

    /// Frames that did not open.
    pub(crate) fn undecryptable(&self) -> u64 {
        self.last["undecryptable"].as_u64().unwrap_or(0)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

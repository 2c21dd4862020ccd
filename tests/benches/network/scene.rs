//! A server and two people who know each other, each in a place of the emulated network; calls between them.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hullo_tests::bench::clip;
use hullo_tests::bench::program::{Line as Said, Program, ProgramError, now};
use hullo_tests::bench::y4m::Shape;
use serde_json::Value;

use super::Failure;
use super::emulator::{ALICE, BOB, Emulator, Line, SERVER, address};

/// Whatever is waited for comes sooner on any line that is measured.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of the clips: fine detail that never repeats, with noise.
const SHAPE: Shape = Shape {
    width: 640,
    height: 360,
    rate_fps: 15,
};
const CLIP_PICTURES: u32 = 120;
const NAMES: [&str; 2] = ["alice", "bob"];

/// Everything that calls are made with.
pub(crate) struct Scene {
    pub(crate) network: Emulator,
    hullo: PathBuf,
    folder: tempfile::TempDir,
    _server: Program,
}

/// A call that runs; alice answers, bob calls.
pub(crate) struct Call {
    sides: [Program; 2],
}

/// A program's events once it has ended.
pub(crate) struct Told {
    lines: Vec<Said>,
    /// The program's own zero of `at_ms`.
    zero: Instant,
}

impl Scene {
    /// Starts the server and makes the two contacts, over a clean line.
    ///
    /// # Errors
    /// A program did not do its part.
    pub(crate) fn set(network: Emulator, hullo: &Path) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let listen = format!("{}:4433", address(SERVER, 2));
        let serve = ["serve", "--listen", &listen];
        let mut server = start(&network, hullo, folder.path(), SERVER, "server", &serve, "")?;
        let ready = server.wait_for("ready", now() + PATIENCE, |value| value["url"].is_string())?;
        let url = text(&ready["url"]);
        let scene = Self {
            network,
            hullo: hullo.to_owned(),
            folder,
            _server: server,
        };
        for (place, name) in NAMES.into_iter().enumerate() {
            let mut naming = scene.start(place, &["name", name, "--server", &url], "")?;
            naming.wait_for("name", now() + PATIENCE, |_| true)?;
            naming.finish(now() + PATIENCE);
        }
        let mut invite = scene.start(ALICE, &["invite"], "")?;
        let invited = invite.wait_for("invite", now() + PATIENCE, |_| true)?;
        let link = format!("{}\n", text(&invited["link"]));
        invite.finish(now() + PATIENCE);
        // By stdin: a link is a secret, and the process list is not.
        let mut add = scene.start(BOB, &["add", "-"], &link)?;
        add.wait_for("contact", now() + PATIENCE, |_| true)?;
        add.finish(now() + PATIENCE);
        Ok(scene)
    }

    /// Starts a program in a place.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        &self,
        place: usize,
        words: &[&str],
        stdin: &str,
    ) -> Result<Program, ProgramError> {
        let (network, folder) = (&self.network, self.folder.path());
        start(
            network,
            &self.hullo,
            folder,
            place,
            NAMES[place],
            words,
            stdin,
        )
    }

    /// A call with pictures over this line, which both say is connected.
    ///
    /// # Errors
    /// It does not come about.
    pub(crate) fn call(&self, line: Line, camera: Camera) -> Result<Call, Failure> {
        self.network.set(line);
        let camera = match camera {
            Camera::Clip | Camera::Dark => format!("file:{}", self.clip(camera)?.display()),
            Camera::Card => "test".to_owned(),
        };
        let devices = [
            "--video",
            "--camera",
            &camera,
            "--mic",
            "test",
            "--speaker",
            "none",
        ];
        let mut answering = self.start(ALICE, &[&["answer"], &devices[..]].concat(), "")?;
        answering.wait_for("ready", now() + PATIENCE, |_| true)?;
        answering.wait_for("server", now() + PATIENCE, |value| value["up"] == true)?;
        let calling = self.start(BOB, &[&["call", "alice"], &devices[..]].concat(), "")?;
        let mut call = Call {
            sides: [answering, calling],
        };
        for side in &mut call.sides {
            side.wait_for("call", now() + PATIENCE, |value| {
                value["state"] == "connected"
            })?;
        }
        Ok(call)
    }
}

impl Scene {
    /// The file of a clip, written when it is first asked for.
    fn clip(&self, camera: Camera) -> Result<PathBuf, Failure> {
        let is_dark = matches!(camera, Camera::Dark);
        let name = if is_dark { "dark.y4m" } else { "clip.y4m" };
        let path = self.folder.path().join(name);
        if !path.exists() {
            let mut file = BufWriter::new(File::create(&path)?);
            if is_dark {
                clip::write_dark_stress(&mut file, SHAPE, CLIP_PICTURES, 1)?;
            } else {
                clip::write_stress(&mut file, SHAPE, CLIP_PICTURES, 1)?;
            }
        }
        Ok(path)
    }

    /// The call of a group of the two, without pictures, in which both hear each other.
    ///
    /// # Errors
    /// It does not come about.
    pub(crate) fn group_call(&self) -> Result<Call, Failure> {
        let mut new = self.start(ALICE, &["group", "new", GROUP], "")?;
        new.wait_for("group", now() + PATIENCE, |_| true)?;
        new.finish(now() + PATIENCE);
        // Who is invited answers while both programs run.
        let mut running = [self.start(ALICE, &[], "")?, self.start(BOB, &[], "")?];
        for side in &mut running {
            side.wait_for("ready", now() + PATIENCE, |_| true)?;
        }
        self.start(ALICE, &["group", "add", GROUP, "bob"], "")?
            .finish(now() + PATIENCE);
        for side in &mut running {
            side.wait_for("group", now() + PATIENCE, |value| {
                let members = value["members"].as_array();
                value["joined"] == true
                    && members.is_some_and(|all| {
                        all.len() == 2 && all.iter().all(|one| one["invited"] == false)
                    })
            })?;
            side.write("quit");
        }
        for side in running {
            side.finish(now() + PATIENCE);
        }
        let words = [
            "join",
            GROUP,
            "--camera",
            "none",
            "--mic",
            "test",
            "--speaker",
            "none",
        ];
        let mut sides = [self.start(ALICE, &words, "")?, self.start(BOB, &words, "")?];
        for side in &mut sides {
            side.wait_for("stats", now() + PATIENCE, |value| {
                value["people"][0]["audio_frames"].as_u64() > Some(50)
            })?;
        }
        Ok(Call { sides })
    }
}

const GROUP: &str = "crew";

/// What a call shows.
#[derive(Clone, Copy)]
pub(crate) enum Camera {
    /// Detail of about 1.35 Mbit/s at the encoder's finest.
    Clip,
    /// More than any line here carries: several Mbit/s.
    Dark,
    /// The test card.
    Card,
}

impl Call {
    /// Lets it run for a while; events are kept.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = now() + time;
        for side in &mut self.sides {
            while side.next(until).is_some() {}
        }
    }

    /// Hangs up; what alice's and bob's programs told.
    ///
    /// # Errors
    /// A program told nothing.
    pub(crate) fn end(self) -> Result<[Told; 2], Failure> {
        let [mut answering, mut calling] = self.sides;
        // In the call of a group each leaves by a word of its own.
        answering.write("hangup");
        calling.write("hangup");
        let told = [answering, calling].map(|side| Told::new(side.finish(now() + PATIENCE).0));
        let [alice, bob] = told;
        Ok([alice?, bob?])
    }
}

impl Told {
    pub(crate) fn new(lines: Vec<Said>) -> Result<Self, Failure> {
        let first = lines.iter().find_map(|line| {
            let at = Duration::from_millis(line.value["at_ms"].as_u64()?);
            line.usage?.at.checked_sub(at)
        });
        let zero = first.ok_or("a program told nothing")?;
        Ok(Self { lines, zero })
    }

    /// All events of this name, with their times.
    pub(crate) fn events(&self, name: &str) -> impl Iterator<Item = (Instant, &Value)> {
        let named = self
            .lines
            .iter()
            .filter(move |line| line.value["event"] == name);
        named.map(|line| {
            let at_ms = line.value["at_ms"].as_u64().unwrap_or(0);
            (self.zero + Duration::from_millis(at_ms), &line.value)
        })
    }

    /// When the first such event came.
    pub(crate) fn at(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Option<Instant> {
        let mut events = self.events(name);
        events.find(|(_, value)| wanted(value)).map(|(at, _)| at)
    }

    /// The last figure at this place of `stats` up to a time.
    pub(crate) fn figure(&self, path: &str, until: Instant) -> Option<f64> {
        let stats = self.events("stats").take_while(|(at, _)| *at <= until);
        stats.last()?.1.pointer(path)?.as_f64()
    }
}

fn start(
    network: &Emulator,
    hullo: &Path,
    folder: &Path,
    place: usize,
    name: &str,
    words: &[&str],
    stdin: &str,
) -> Result<Program, ProgramError> {
    let mut all = network.inside(place);
    all.push(hullo.display().to_string());
    all.extend(words.iter().map(|&word| word.to_owned()));
    let profile = folder.join(name).display().to_string();
    all.extend(["--json", "--profile", &profile].map(str::to_owned));
    Program::start(name, Path::new("ip"), &all, stdin, folder)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

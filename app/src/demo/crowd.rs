//! `hullo demo --people N`: a server and a group of synthetic people on this machine, in a call that you join.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{FAREWELL, PATIENCE, Process, text as member};
use crate::text;

/// What the group is called.
pub const GROUP: &str = "demo";
/// People beside you at most: each sends and receives the pictures of all others on this one machine.
pub const PEOPLE_MAX: u16 = 8;
/// Everybody has heard of everybody by then.
const SETTLED: Duration = Duration::from_secs(60);
/// What they are called, one after another.
const NAMES: [&str; PEOPLE_MAX as usize] = [
    "Ada", "Blaise", "Chien", "Dorothy", "Edsger", "Frances", "Grace", "Hedy",
];
const YOU: &str = "you";

/// The stage: ends with everything on it when dropped.
pub struct Crowd {
    people: Arc<Mutex<Vec<Process>>>,
    /// Those who are to come into the call.
    outside: VecDeque<PathBuf>,
    stop: Arc<AtomicBool>,
    _server: Process,
    folder: TempDir,
}

/// How many of the people got sound and pictures of you.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrowdSaw {
    /// Of so many.
    pub people: usize,
    /// So many heard you.
    pub heard: usize,
    /// So many saw you.
    pub seen: usize,
}

impl Crowd {
    /// Starts the server and `count` people in a group with you; nobody is in its call yet. `tell` is given what is being done,
    /// in words: it takes seconds.
    ///
    /// # Errors
    /// The machine's: a process did not start or did not answer; its own words are passed on.
    pub fn start(count: u16, mut tell: impl FnMut(&str)) -> io::Result<Self> {
        tell(&text::crowd_starts(count));
        let folder = TempDir::with_prefix("hullo-demo")?;
        // Whoever is killed is in the call for another twenty seconds: nobody waits for that.
        let listen = ["serve", "--listen", "127.0.0.1:0", "--drain", "1"];
        let mut server = Process::spawn(&folder.path().join("server"), &listen, None)?;
        let url = member(&server.wait_for("ready")?, "url")?;
        let names: Vec<&str> = NAMES
            .into_iter()
            .take(usize::from(count.clamp(1, PEOPLE_MAX)))
            .chain([YOU])
            .collect();
        let homes: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
        for (home, name) in homes.iter().zip(&names) {
            Process::spawn(home, &["name", name, "--server", &url], None)?.wait_for("name")?;
        }
        tell(text::CROWD_MEETS);
        make_group(&homes, &names)?;
        Ok(Self {
            people: Arc::default(),
            outside: homes.into_iter().take(names.len() - 1).collect(),
            stop: Arc::default(),
            _server: server,
            folder,
        })
    }

    /// The next one comes into the call; false: all are there.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn next_comes(&mut self) -> io::Result<bool> {
        let Some(home) = self.outside.pop_front() else {
            return Ok(false);
        };
        let person = enter(&home)?;
        locked(&self.people).push(person);
        Ok(true)
    }

    /// The rest comes one after the other while you are in the call.
    pub fn rest_comes(&mut self) {
        let homes = std::mem::take(&mut self.outside);
        let (people, stop) = (Arc::clone(&self.people), Arc::clone(&self.stop));
        crate::threads::detach("crowd", move || {
            for home in homes {
                let person = enter(&home);
                let mut people = locked(&people);
                // Whoever comes when all is over goes at once.
                if stop.load(Relaxed) {
                    return;
                }
                match person {
                    Ok(person) => people.push(person),
                    Err(error) => tracing::warn!(%error, "somebody does not come into the call"),
                }
            }
        });
    }

    /// Your profile for the demo.
    pub fn profile(&self) -> PathBuf {
        self.folder.path().join(YOU)
    }

    /// After the call: what the people saw of you.
    pub fn saw(&mut self) -> CrowdSaw {
        let mut people = locked(&self.people);
        let mut saw = CrowdSaw {
            people: people.len(),
            heard: 0,
            seen: 0,
        };
        for person in people.iter_mut() {
            person.write("hangup");
        }
        for person in people.iter_mut() {
            let Ok(summary) = person.wait_until(FAREWELL, |event| event["event"] == "summary")
            else {
                continue;
            };
            let of_you = |event: &&Value| event["name"] == YOU;
            let people = summary["people"].as_array();
            let you = people.and_then(|people| people.iter().find(of_you));
            let has = |member: &str| {
                you.and_then(|you| you[member].as_u64())
                    .is_some_and(|count| count > 0)
            };
            saw.heard += usize::from(has("audio_frames"));
            saw.seen += usize::from(has("video_decoded"));
        }
        saw
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let mut people = locked(&self.people);
        self.stop.store(true, Relaxed);
        people.clear();
    }
}

fn locked(people: &Mutex<Vec<Process>>) -> MutexGuard<'_, Vec<Process>> {
    people.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first makes a group and lists all others, who answer.
fn make_group(homes: &[PathBuf], names: &[&str]) -> io::Result<()> {
    let mut running = Vec::new();
    for home in homes {
        let mut process = Process::spawn(home, &[], None)?;
        process.wait_for("ready")?;
        running.push(process);
    }
    let first = &homes[0];
    for (home, name) in homes.iter().zip(names).skip(1) {
        let link = member(
            &Process::spawn(first, &["invite"], None)?.wait_for("invite")?,
            "link",
        )?;
        Process::spawn(home, &["add", "-"], Some(&link))?.wait_for("contact")?;
        running[0].wait_until(PATIENCE, |event| {
            event["event"] == "contact" && event["name"] == **name && event["ready"] == true
        })?;
    }
    Process::spawn(first, &["group", "new", GROUP], None)?.wait_for("group")?;
    for name in &names[1..] {
        Process::spawn(first, &["group", "add", GROUP, name], None)?.wait_for("group")?;
    }
    // Nobody goes before all have heard: what the first still has to tell would wait until it runs again.
    for process in &mut running {
        process.wait_until(SETTLED, |event| is_whole(event, names.len()))?;
    }
    for process in &mut running {
        process.write("quit");
    }
    for process in &mut running {
        process.wait_for_end();
    }
    Ok(())
}

fn is_whole(event: &Value, people: usize) -> bool {
    let members = event["members"].as_array();
    event["event"] == "group"
        && event["joined"] == true
        && members.is_some_and(|members| {
            members.len() == people && members.iter().all(|member| member["invited"] == false)
        })
}

fn enter(home: &std::path::Path) -> io::Result<Process> {
    let join = [
        "join", GROUP, "--video", "--camera", "test", "--mic", "test",
    ];
    let args: Vec<&str> = join.into_iter().chain(["--speaker", "none"]).collect();
    let mut process = Process::spawn(home, &args, None)?;
    process.wait_until(PATIENCE, |event| {
        event["event"] == "call" && event["state"] == "connected"
    })?;
    // The later ones begin muted, as everybody does who comes into a full call.
    process.write("unmute");
    Ok(process)
}

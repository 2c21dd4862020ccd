//! The thread that looks after one device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::DeviceChoice;
use crate::clock;
use crate::device::DeviceError;
use crate::slot::Slot;
use crate::thread::Thread;

/// Time between two looks at what there is.
const LOOK: Duration = Duration::from_millis(500);
/// The same once nothing has been found for a while: a machine without sound is not asked all the time.
const LOOK_SELDOM: Duration = Duration::from_secs(3);
/// Looks in vain until then.
const LOOKS_OFTEN: u32 = 20;
/// Looks between two attempts to have the chosen device again while another stands in for it.
const RETURN_LOOKS: u32 = 4;
/// How long a device that was just opened may take until it gives or takes sound.
const READY_MAX: Duration = Duration::from_secs(4);
/// Time between two looks at whether it does.
const READY_STEP: Duration = Duration::from_millis(20);
/// Devices on their way to be closed: each has waited for a look at most.
const NOTES_MAX: usize = 8;
/// Sentences that nobody has read yet; more say nothing new.
const NEWS_MAX: usize = 8;

/// Where devices of one kind come from.
pub(super) trait System: Send + 'static {
    /// An open device.
    type Handle: Send + 'static;

    /// `microphone` or `speaker`.
    fn what(&self) -> &'static str;

    /// Opens the default device, or the one with this name.
    fn open(&self, name: Option<&str>) -> Result<Self::Handle, DeviceError>;

    /// Whether it gives or takes sound by now.
    fn is_ready(&self, _handle: &Self::Handle) -> bool {
        true
    }

    /// What the default device is called, where the system says it.
    fn default_name(&self) -> Option<String>;

    /// Whether there is a device of this name, where the system says it: a sound server moves what is played on a device that
    /// went away to another, and nobody is told.
    fn is_there(&self, name: &str) -> Option<bool>;
}

/// What the thread of the sound tells.
enum Note<H> {
    /// The device is lost, and is to be closed.
    Lost(Option<H>),
    /// It was replaced, and is to be closed.
    Replaced(Option<H>),
    Stop,
}

/// The running thread. Dropping it ends and joins it.
pub(super) struct Watch<H: Send + 'static> {
    notes: Sender<Note<H>>,
    fresh: Slot<H>,
    news: Receiver<String>,
    stop: Arc<AtomicBool>,
    /// Dropped last: joins.
    _thread: Thread,
}

impl<H: Send + 'static> Watch<H> {
    /// Begins to look after the device that is chosen, or the default one. `is_there`: it is open already.
    pub(super) fn start(
        system: impl System<Handle = H>,
        choice: DeviceChoice,
        name: Option<String>,
        is_there: bool,
    ) -> Self {
        let (notes, inbox) = bounded(NOTES_MAX);
        let (teller, news) = bounded(NEWS_MAX);
        let (fresh, stop) = (Slot::new(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (fresh, stop) = (fresh.clone(), Arc::clone(&stop));
            Thread::spawn("device-watch", move || {
                let mut follower = Follower::new(system, name, is_there);
                while !stop.load(Relaxed) {
                    match inbox.recv_timeout(follower.wait()) {
                        Ok(Note::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                        Ok(Note::Lost(handle)) => {
                            drop(handle);
                            follower.lost();
                        }
                        Ok(Note::Replaced(handle)) => {
                            drop(handle);
                            continue;
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                    }
                    let found = match follower.choose(choice.get()) {
                        Some(found) => found,
                        None => follower.look(),
                    };
                    if let Some(handle) = found.handle {
                        follower.await_ready(&handle, &stop);
                        fresh.put(handle);
                    }
                    for words in found.news {
                        tracing::info!(words, "devices changed");
                        // Nobody reads: nobody is to be told.
                        let _ = teller.try_send(words);
                    }
                }
            })
        };
        Self {
            notes,
            fresh,
            news,
            stop,
            _thread: thread,
        }
    }

    /// A device that takes the place of the one there is.
    pub(super) fn fresh(&self) -> Option<H> {
        self.fresh.take()
    }

    /// What happened, oldest first.
    pub(super) fn news(&self) -> Option<String> {
        self.news.try_recv().ok()
    }

    /// This device does not work any more.
    pub(super) fn lost(&self, handle: Option<H>) {
        // Without room the device is closed here, and missed at the next look all the same.
        let _ = self.notes.try_send(Note::Lost(handle));
    }

    /// This device is used no more.
    pub(super) fn replaced(&self, handle: Option<H>) {
        let _ = self.notes.try_send(Note::Replaced(handle));
    }
}

impl<H: Send + 'static> Drop for Watch<H> {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.notes.try_send(Note::Stop);
    }
}

/// What a look gave.
pub(super) struct Found<H> {
    pub(super) handle: Option<H>,
    pub(super) news: Vec<String>,
}

/// What is used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// The device that was chosen, or the default one where none was.
    Wanted,
    /// The default device in place of the one that was chosen.
    StandIn,
    /// None.
    Nothing,
}

/// Decides what to open. Looks at the system and nothing else: no clock, no thread.
pub(super) struct Follower<S> {
    system: S,
    name: Option<String>,
    uses: Use,
    /// What the default device was called at the last look.
    default: Option<String>,
    looks: u32,
}

impl<S: System> Follower<S> {
    pub(super) fn new(system: S, name: Option<String>, is_there: bool) -> Self {
        Self {
            default: system.default_name(),
            system,
            name,
            uses: if is_there { Use::Wanted } else { Use::Nothing },
            // That there is none at the start was told by whoever opened it.
            looks: u32::from(!is_there),
        }
    }

    /// Time until the next look.
    pub(super) fn wait(&self) -> Duration {
        if self.uses == Use::Nothing && self.looks > LOOKS_OFTEN {
            LOOK_SELDOM
        } else {
            LOOK
        }
    }

    /// Waits until the device gives or takes sound, so that the one it replaces is heard until then.
    fn await_ready(&self, handle: &S::Handle, stop: &AtomicBool) {
        let mut left = READY_MAX;
        while !left.is_zero() && !stop.load(Relaxed) && !self.system.is_ready(handle) {
            clock::sleep(READY_STEP);
            left = left.saturating_sub(READY_STEP);
        }
    }

    /// The device went away.
    pub(super) fn lost(&mut self) {
        (self.uses, self.looks) = (Use::Nothing, 0);
    }

    /// Takes another device if another was chosen. One that does not open changes nothing but for the words.
    pub(super) fn choose(&mut self, name: Option<String>) -> Option<Found<S::Handle>> {
        if name == self.name {
            return None;
        }
        self.name = name;
        match self.system.open(self.name.as_deref()) {
            Ok(handle) => {
                (self.uses, self.looks) = (Use::Wanted, 0);
                self.default = self.system.default_name();
                let name = self.name.as_ref().or(self.default.as_ref());
                let name = name.map_or("the default one", String::as_str);
                let words = format!("The {} is {name} now.", self.system.what());
                Some(found(handle, words))
            }
            Err(error) => {
                if self.uses != Use::Nothing {
                    self.uses = Use::StandIn;
                }
                Some(Found {
                    handle: None,
                    news: vec![format!(
                        "The {} stays as it is: {error}.",
                        self.system.what()
                    )],
                })
            }
        }
    }

    /// Looks at what there is.
    pub(super) fn look(&mut self) -> Found<S::Handle> {
        self.looks = self.looks.saturating_add(1);
        match self.uses {
            Use::Nothing => self.find(),
            Use::StandIn if self.looks.is_multiple_of(RETURN_LOOKS) => self.go_back(),
            Use::Wanted | Use::StandIn => self.follow_default(),
        }
    }

    fn find(&mut self) -> Found<S::Handle> {
        let what = self.system.what();
        if let Ok(handle) = self.system.open(self.name.as_deref()) {
            (self.uses, self.looks) = (Use::Wanted, 0);
            self.default = self.system.default_name();
            let words = match self.name.as_ref().or(self.default.as_ref()) {
                Some(name) => format!("The {what} is {name} now."),
                None => format!("There is a {what} again."),
            };
            return found(handle, words);
        }
        if let Some(name) = &self.name
            && let Ok(handle) = self.system.open(None)
        {
            (self.uses, self.looks) = (Use::StandIn, 0);
            self.default = self.system.default_name();
            let other = self.default.as_deref().unwrap_or("the default one");
            let words = format!("The {what} {name} went away: {other} is used until it is back.");
            return found(handle, words);
        }
        // Said once, at the first look in vain.
        let words = (self.looks == 1).then(|| {
            let means = match what {
                "microphone" => "you are not heard",
                _ => "you hear nothing",
            };
            format!("The {what} went away: {means} until there is one again.")
        });
        Found {
            handle: None,
            news: words.into_iter().collect(),
        }
    }

    /// Tries the chosen device again.
    fn go_back(&mut self) -> Found<S::Handle> {
        let name = self.name.clone().unwrap_or_default();
        match self.system.open(Some(&name)) {
            Ok(handle) => {
                (self.uses, self.looks) = (Use::Wanted, 0);
                found(
                    handle,
                    format!("The {} {name} is back.", self.system.what()),
                )
            }
            Err(_) => self.follow_default(),
        }
    }

    fn follow_default(&mut self) -> Found<S::Handle> {
        let nothing = Found {
            handle: None,
            news: Vec::new(),
        };
        if let (Use::Wanted, Some(name)) = (self.uses, &self.name) {
            if self.system.is_there(name) != Some(false) {
                return nothing;
            }
            self.lost();
            self.looks = 1;
            return self.find();
        }
        let default = self.system.default_name();
        // A system that does not say what its default is, or not just now, has not changed it.
        if default.is_none() || default == self.default {
            return nothing;
        }
        match self.system.open(None) {
            Ok(handle) => {
                self.default = default;
                let name = self.default.as_deref().unwrap_or_default();
                let words = format!("The {} is {name} now.", self.system.what());
                found(handle, words)
            }
            // The device there is goes on as long as it works.
            Err(_) => nothing,
        }
    }
}

fn found<H>(handle: H, words: String) -> Found<H> {
    Found {
        handle: Some(handle),
        news: vec![words],
    }
}

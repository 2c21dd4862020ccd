//! The `call` thread: gives the [`Engine`] its sockets, its clock and its queues, and nothing else.
//!
//! It waits in one place, for datagrams, frames, commands or a deadline. It alone holds the call's keys.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use hullo_media::device::DeviceError;
use hullo_media::session::DATAGRAM_BYTES_MAX;
use hullo_media::source::VideoSource;
use hullo_media::thread::Thread;
use hullo_proto::call::{CallMachine, Media, Message};
use mio::{Events, Poll, Token, Waker};
use rand_chacha::ChaCha20Rng;

use super::engine::{Engine, Input, Output, Ways};
use super::frames::FrameQueue;
use super::lease::Devices;
use super::media::{MediaSpecs, Opened, Pictures};
use super::servers::{CallServers, Resolved};
use super::side::SideState;
use super::sockets::{BATCH_MAX, Reach, Sockets};
use super::streams::Streams;
use crate::event::CallEvent;
use crate::report::Summary;

mod dispatch;
mod network;
use dispatch::Dispatch;
use network::Network;

/// Apart from all sockets.
const WAKER: Token = Token(usize::MAX);
/// Commands waiting for the thread. They are rare; a full queue is a bug of ours.
const COMMANDS_MAX: usize = 64;
/// The thread looks around at least so often, so that a lost wake-up costs no more than this.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Goodbyes and the last message get this long after the call's end.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the thread is told.
pub enum Command {
    /// A message of this call's contact.
    Message(Message),
    /// Take the call.
    Accept(Media),
    /// Decline it; true: because of another call, and the caller may know.
    Reject(bool),
    /// The other program has forgotten this call.
    Forgotten,
    /// End it; the word is the summary's reason when the user did not end it (`seconds`).
    HangUp(Option<&'static str>),
    /// True: send no sound.
    Muted(bool),
    /// True: send pictures.
    CameraOn(bool),
    /// The camera is open, or is not.
    Camera(Result<Option<Box<dyn VideoSource>>, DeviceError>),
    /// Bring the devices in line with the call's state.
    Devices,
    /// True: neither send nor play, and leave the devices to others.
    Hold(bool),
    /// How loud the other side is; 1 is as sent.
    Volume(f32),
    /// The far picture is drawn at this size, or not at all.
    Want(Option<(u32, u32)>),
    /// The devices are open.
    Opened(Box<Opened>),
    /// The picture decoder lost its thread.
    WantKeyframe,
    /// Whether we are too slow for the far side's pictures changed.
    Slow,
    /// What became of a server's name.
    Resolved(Resolved),
}

/// What the thread tells.
#[derive(Debug)]
pub enum DriverEvent {
    /// A message for the contact.
    Send(Message),
    /// A change for the model.
    Call(CallEvent),
    /// The machine lost addresses: connections from these are dead, even if nobody has noticed.
    AddressesLost,
    /// `audio` or `video` comes again after an interruption of so many milliseconds.
    MediaAgain(&'static str, u64),
    /// The call is over and everything is closed.
    Finished(Box<Summary>),
}

/// How a call is to be driven.
pub struct CallSetup {
    /// The protocol's machine, just made.
    pub machine: CallMachine,
    /// What we send and want at first.
    pub own: SideState,
    /// Which addresses may be used.
    pub reach: Reach,
    /// Whom to ask for further ways, and which may be told.
    pub servers: CallServers,
    /// Seeded from the system's random source.
    pub rng: ChaCha20Rng,
    /// Which devices.
    pub specs: MediaSpecs,
    /// Where pictures go.
    pub pictures: Pictures,
    /// The right to use devices, shared by all calls.
    pub devices: Devices,
}

/// The running thread. Dropping it ends the call and waits for the thread.
pub struct CallHandle {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: Thread,
}

impl CallHandle {
    /// Binds the sockets and starts the thread.
    ///
    /// # Errors
    /// The machine's: no address or no poll object could be had.
    pub fn start(
        setup: CallSetup,
        on_event: impl Fn(DriverEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let mut setup = setup;
        // Nobody may think that we are heard.
        setup.own.muted |= setup.specs.has_no_mic();
        let poll = Poll::new()?;
        let sockets = Sockets::open(poll.registry(), setup.reach)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (commands, receiver) = bounded(COMMANDS_MAX);
        let queue = FrameQueue::new(Arc::clone(&waker));
        let sender = Commands {
            sender: commands.clone(),
            waker: Arc::clone(&waker),
        };
        let resolved = sender.clone();
        super::servers::resolve(&setup.servers, move |it| {
            resolved.send(Command::Resolved(it))
        });
        let network = Network::new(
            poll.registry().try_clone()?,
            setup.reach,
            sockets,
            Streams::new(&setup.servers.authorities),
        );
        let ways = Ways {
            policy: setup.servers.policy,
            rng: setup.rng,
        };
        let thread = Thread::spawn("call", move || {
            let now = Instant::now();
            let addresses = network.sockets.addresses();
            let engine = Engine::new(now, setup.machine, addresses, setup.own, ways);
            let dispatch = Dispatch::new(
                now,
                setup.specs,
                (setup.pictures, setup.devices),
                setup.own,
                queue,
                sender,
                Box::new(on_event),
            );
            Driver {
                engine,
                dispatch,
                network,
                commands: receiver,
                poll,
            }
            .run();
        });
        Ok(Self {
            commands,
            waker,
            thread,
        })
    }

    /// Tells the thread something. After the call's end it is ignored.
    pub fn command(&self, command: Command) {
        self.commands().send(command);
    }

    /// For other threads that have something to tell it.
    pub(crate) fn commands(&self) -> Commands {
        Commands {
            sender: self.commands.clone(),
            waker: Arc::clone(&self.waker),
        }
    }
}

impl Drop for CallHandle {
    fn drop(&mut self) {
        self.command(Command::HangUp(None));
        // Its panic was logged where it happened.
        let _ = self.thread.join();
    }
}

/// The sending end of the commands, with the wake-up.
#[derive(Clone)]
pub(crate) struct Commands {
    sender: Sender<Command>,
    waker: Arc<Waker>,
}

impl Commands {
    pub(crate) fn send(&self, command: Command) {
        if self.sender.try_send(command).is_ok() {
            // Without a thread there is nobody to wake.
            let _ = self.waker.wake();
        }
    }
}

struct Driver {
    engine: Engine,
    dispatch: Dispatch,
    network: Network,
    commands: Receiver<Command>,
    poll: Poll,
}

impl Driver {
    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let mut deadline = self.drain();
        loop {
            let now = Instant::now();
            if self.dispatch.is_over(now, FAREWELL) {
                break;
            }
            let wait = deadline
                .map_or(WAIT_MAX, |at| at.saturating_duration_since(now))
                .min(self.dispatch.wait_max(WAIT_MAX))
                .min(self.network.wait_max(now));
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "waiting failed");
                break;
            }
            let more = self.receive(&mut buffer) | self.receive_streams();
            self.look_at_addresses();
            while let Ok(command) = self.commands.try_recv() {
                self.command(command);
            }
            while let Some(frame) = self.dispatch.queue.next() {
                self.input(Input::Frame(frame));
            }
            if let Some(clock) = self.dispatch.sound_clock() {
                self.input(Input::SoundPlays(clock));
            }
            let now = Instant::now();
            self.dispatch.look(now);
            if deadline.is_some_and(|at| at <= now) {
                self.engine.handle_input(now, Input::Timeout);
            }
            deadline = self.drain();
            if self.dispatch.watch_sound(now) {
                let own = self.dispatch.told();
                self.engine.handle_input(now, Input::Own(own));
                deadline = self.drain();
            }
            if more {
                deadline = Some(now);
            }
        }
        self.dispatch
            .finish(self.engine.undecryptable(), self.engine.frames_sent());
    }

    /// Reads what waits. True when a flood was cut at the batch: sockets are edge-triggered, so nothing would wake
    /// the thread for the rest.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let mut more = false;
        for index in 0..self.network.sockets.len() {
            let mut left = BATCH_MAX;
            while let Some((length, source, destination)) =
                self.network.sockets.receive(index, buffer)
            {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.engine.handle_input(
                    Instant::now(),
                    Input::Datagram {
                        source,
                        destination,
                        bytes,
                    },
                );
                self.drain();
                left -= 1;
                if left == 0 {
                    more = true;
                    break;
                }
            }
        }
        more
    }

    fn input(&mut self, input: Input<'_>) {
        self.engine.handle_input(Instant::now(), input);
        self.drain();
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Message(message) => self.input(Input::Message(&message)),
            Command::Accept(media) => {
                self.dispatch.accepted(media);
                let own = self.dispatch.told();
                self.input(Input::Own(own));
                self.input(Input::Accept(media));
            }
            Command::Reject(busy) => self.input(Input::Reject { busy }),
            Command::Forgotten => self.input(Input::Forgotten),
            Command::HangUp(reason) => {
                self.dispatch.stop_reason = reason;
                self.input(Input::HangUp);
            }
            Command::WantKeyframe => self.input(Input::WantKeyframe),
            Command::Resolved(resolved) => self.resolved(resolved),
            other => {
                if self.dispatch.switch(other) {
                    let own = self.dispatch.told();
                    self.input(Input::Own(own));
                }
            }
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.engine.poll_output() {
                Output::Send(message) => self.dispatch.tell(DriverEvent::Send(message)),
                Output::Event(event) => self.dispatch.event(Instant::now(), event),
                Output::Timeout(at) => return at,
                Output::Bind(generation) => {
                    let addresses = self.network.bind();
                    let input = Input::Bound(generation, addresses);
                    self.engine.handle_input(Instant::now(), input);
                }
                output => self.network.carry_out(output),
            }
        }
    }
}

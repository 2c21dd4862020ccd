//! The thread of the call of a group: gives the `Engine` its sockets, its clock and its queues, and nothing else.
//!
//! It waits in one place, for datagrams, frames, commands or a deadline. It alone holds the call's media keys.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use hullo_media::device::DeviceError;
use hullo_media::pipeline::PictureOf;
use hullo_media::session::DATAGRAM_BYTES_MAX;
use hullo_media::source::VideoSource;
use hullo_media::thread::Thread;
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::key::PublicKey;
use hullo_proto::group::wire::Device;
use mio::{Events, Poll, Waker};
use rand_chacha::ChaCha20Rng;

use super::end::GroupEnd;
use super::engine::{Input, Setup};
use super::queue::LayerQueue;
use crate::call::lease::Devices;
use crate::call::media::{MediaSpecs, Opened, Pictures};
use crate::event::{CallEvent, Feed};
use crate::report::Summary;

mod dispatch;
mod seat;
use dispatch::Dispatch;
use seat::{Line, Seat, Seats};

/// Commands waiting for the thread: a change of the screen's size is one for each picture, the rest are rare.
const COMMANDS_MAX: usize = 256;
/// The thread looks around at least so often: who is heard changes without any message.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Goodbyes get this long after the call's end.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the thread is told.
pub enum Command {
    /// True: send no sound.
    Muted(bool),
    /// True: send pictures of this.
    Send(Feed, bool),
    /// Camera or screen is open, or is not.
    Source(Feed, Result<Option<Box<dyn VideoSource>>, DeviceError>),
    /// True: neither send nor play, and leave the devices to others.
    Hold(bool),
    /// How loud a participant is, or (`None`) everybody together; 1 is as sent.
    Volume(Option<ParticipantId>, f32),
    /// These pictures are drawn at this size, or not at all.
    View(ParticipantId, Feed, Option<(u32, u32)>),
    /// The group's members are these now.
    Members(Members),
    /// There is a place for a second connection, as asked for.
    Beside(Box<Setup>),
    /// There is none, for now.
    NotBeside,
    /// The devices are open.
    Opened(Box<Opened>),
    /// The decoder of this picture lost its thread.
    WantKeyframe(PictureOf),
    /// Leave; the word is the summary's reason when the user did not (`seconds`).
    Leave(Option<&'static str>),
    /// It is over for this reason, as the network thread knows.
    End(GroupEnd),
    /// Another call of the group took this one's place: end without a word.
    Abandon,
}

/// The members of the group: what proves each, and what each is called.
#[derive(Clone, Default)]
pub struct Members {
    /// Client keys, as the handshake compares them.
    pub keys: BTreeMap<Identity, PublicKey>,
    /// As the group knows them.
    pub names: BTreeMap<Identity, String>,
}

/// What the thread tells.
#[derive(Debug)]
pub enum DriverEvent {
    /// A change for the model.
    Call(CallEvent),
    /// The server said hello.
    HelloReceived,
    /// The connection broke before that.
    ConnectionFailed,
    /// The connection fails: a place for a second one is wanted.
    WantBeside,
    /// The call is over for us: it may be left at the network thread too.
    Left,
    /// Everything is closed.
    Finished(Box<Summary>),
}

/// What is sent, wanted by the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// No sound.
    pub muted: bool,
    /// The camera.
    pub camera: bool,
    /// The screen.
    pub screen: bool,
    /// None of it, for now.
    pub hold: bool,
}

/// How a call is to be driven.
pub struct CallSetup {
    /// What the engine starts from.
    pub engine: Setup,
    /// Who the others may be.
    pub members: Members,
    /// What is sent at first.
    pub wishes: Wishes,
    /// Which devices.
    pub specs: MediaSpecs,
    /// Where pictures go.
    pub pictures: Pictures,
    /// The right to use devices, shared by all calls.
    pub devices: Devices,
    /// Chooses the moment of a second connection.
    pub rng: ChaCha20Rng,
}

/// The running thread. Dropping it leaves the call and waits for the thread.
pub struct GroupHandle {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: Thread,
}

impl GroupHandle {
    /// Binds the sockets and starts the thread.
    ///
    /// # Errors
    /// No address or no poll object could be had, or the server's answer cannot be used; in words.
    pub fn start(
        setup: CallSetup,
        on_event: impl Fn(DriverEvent) + Send + 'static,
    ) -> Result<Self, String> {
        let machine = |error: io::Error| {
            format!("The call cannot start: {error}. Check the network of this machine.")
        };
        let poll = Poll::new().map_err(machine)?;
        let waker = Waker::new(poll.registry(), seat::WAKER).map_err(machine)?;
        let waker = Arc::new(waker);
        let (commands, receiver) = bounded(COMMANDS_MAX);
        let queue = LayerQueue::new(Arc::clone(&waker));
        let sender = Commands {
            sender: commands.clone(),
            waker: Arc::clone(&waker),
        };
        let seat = Seat::open(Instant::now(), poll.registry(), setup.engine)?;
        let own = seat.engine.identity();
        let dispatch = Dispatch::new(
            (setup.specs, own),
            (setup.pictures, setup.devices),
            setup.members,
            setup.wishes,
            queue,
            sender,
            Box::new(on_event),
        );
        let thread = Thread::spawn("group-call", move || {
            let driver = Driver {
                seats: Seats::new(seat, setup.rng),
                dispatch,
                commands: receiver,
                poll,
            };
            driver.run();
        });
        Ok(Self {
            commands,
            waker,
            thread,
        })
    }

    /// Tells the thread something. After the call's end it is ignored.
    pub fn command(&self, command: Command) {
        Commands {
            sender: self.commands.clone(),
            waker: Arc::clone(&self.waker),
        }
        .send(command);
    }
}

impl Drop for GroupHandle {
    fn drop(&mut self) {
        self.command(Command::Leave(None));
        // Its panic was logged where it happened.
        let _ = self.thread.join();
    }
}

/// The sending end of the commands, with the wake-up.
#[derive(Clone)]
pub(super) struct Commands {
    sender: Sender<Command>,
    waker: Arc<Waker>,
}

impl Commands {
    pub(super) fn send(&self, command: Command) {
        if self.sender.try_send(command).is_ok() {
            // Without a thread there is nobody to wake.
            let _ = self.waker.wake();
        }
    }
}

struct Driver {
    seats: Seats,
    dispatch: Dispatch,
    commands: Receiver<Command>,
    poll: Poll,
}

impl Driver {
    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        self.wish_at_first();
        let mut deadline = self.drain();
        loop {
            let now = Instant::now();
            if self.dispatch.is_over(now, FAREWELL) {
                break;
            }
            let wait = deadline
                .map_or(WAIT_MAX, |at| at.saturating_duration_since(now))
                .min(self.dispatch.wait_max(WAIT_MAX));
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "waiting failed");
                break;
            }
            let more = self.receive(&mut buffer);
            while let Ok(command) = self.commands.try_recv() {
                self.command(command);
            }
            while let Some((track, frame)) = self.dispatch.queue.next() {
                self.input(Input::Frame(track, frame));
            }
            for (id, clock) in self.dispatch.sound_clocks(Instant::now()) {
                self.input(Input::SoundPlays(id, clock));
            }
            let now = Instant::now();
            self.seats.time_passes(now);
            deadline = self.drain();
            self.look_after_line(now);
            self.dispatch.look(now, &self.seats.main.engine);
            if more {
                deadline = Some(now);
            }
        }
        self.dispatch.finish(&self.seats.main.engine);
    }

    /// What the user wants to be on or off before anybody asks.
    fn wish_at_first(&mut self) {
        let wishes = self.dispatch.wishes();
        if wishes.muted {
            self.input(Input::Capture(Device::Microphone, false));
        }
        if wishes.camera {
            self.input(Input::Capture(Device::Camera, true));
        }
        if wishes.hold {
            self.input(Input::Hold(true));
        }
        self.dispatch.begin();
    }

    /// Reads what waits. True when a flood was cut at the batch: sockets are edge-triggered, so nothing would wake
    /// the thread for the rest.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let mut more = false;
        for line in Line::ALL {
            more |= self.seats.receive(line, buffer, |seats| {
                seats.drain(&mut self.dispatch);
            });
        }
        more
    }

    fn input(&mut self, input: Input<'_>) {
        self.seats.main.engine.handle_input(Instant::now(), input);
        self.drain();
    }

    /// Asks for a second connection when the first fails, and goes over to it when it carries media.
    fn look_after_line(&mut self, now: Instant) {
        if self.seats.wants_beside(now) {
            self.dispatch.want_beside();
        }
        if let Some(people) = self.seats.take_over(now) {
            let inputs = (self.dispatch).take_over(&people, &self.seats.main.engine);
            for input in inputs {
                self.input(input);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Leave(reason) => {
                self.dispatch.stop_reason = reason;
                self.seats.give_up_beside(Instant::now());
                self.input(Input::Leave);
            }
            Command::Abandon => {
                self.dispatch.abandon();
                self.seats.give_up_beside(Instant::now());
                self.input(Input::Abandon);
            }
            Command::End(end) => {
                self.dispatch.end(Instant::now(), end);
                self.seats.give_up_beside(Instant::now());
                self.input(Input::Abandon);
            }
            Command::Beside(setup) => {
                (self.seats).open_beside(Instant::now(), self.poll.registry(), *setup);
                self.drain();
            }
            Command::NotBeside => self.seats.no_beside(Instant::now()),
            Command::WantKeyframe((id, track)) => self.input(Input::WantKeyframe(id, track)),
            Command::Members(members) => {
                let keys = members.keys.clone();
                self.dispatch.rename(members);
                self.seats.members(Instant::now(), &keys);
                self.input(Input::Members(keys));
            }
            Command::View(id, feed, size) => {
                if let Some(view) = self.dispatch.view(id, feed, size) {
                    self.input(Input::View(id, feed, view));
                }
            }
            other => {
                for input in self.dispatch.switch(other) {
                    self.input(input);
                }
            }
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        self.seats.drain(&mut self.dispatch)
    }
}

//! The loop: waits for one thing to happen, lets the model take it, does what the model asks for, shows the result.
//!
//! Everything that can wake the program is a [`Wake`]; nothing else does.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hullo_proto::call::Message;
use hullo_signalling::channel::{self, ChannelCommand, ChannelEvent};
use hullo_signalling::history::CallProgress;

use crate::attach::Followers;
use crate::attention::alerts::Alerts;
use crate::attention::{Attention, AttentionSettings};
use crate::call::driver::{Command as CallCommand, DriverEvent};
use crate::calls::{CallNews, Calls, Outcome, Step, ThreadNumber, proto_media};
use crate::command;
use crate::control::Waiting;
use crate::effect::Effect;
use crate::event::{CallEvent, CallNumber, ContactId, Event, StopReason};
use crate::front::Front;
use crate::group_call;
use crate::log::Lines;
use crate::model::{Mode, Model};
use crate::net::{Net, NetEvent};
use crate::people::{People, sentence};
use crate::profile::control::{ControlRequest, Responder};
use crate::profile::group_calls::GroupCalls;
use crate::profile::settings::SettingsFile;
use crate::report::Report;
use crate::terminal::{self, Arrival, Reply};
use crate::update::update;

pub use history::Journal;

mod answer;
mod attention;
mod group;
mod history;
mod inbox;

pub use inbox::{Inbox, SIGNAL_PATIENCE, Senders, inbox};

/// Everything that can wake the program.
pub enum Wake {
    /// Something for the model as it is.
    Event(Event),
    /// From the network thread.
    Net(NetEvent),
    /// From the thread of this call.
    Driver(CallNumber, DriverEvent),
    /// The terminal answered a question.
    Terminal(Reply, Instant),
    /// From a thread of the call of a group: which of them, for one may take another's place.
    GroupDriver(ThreadNumber, group_call::driver::DriverEvent),
    /// The terminal has room again, or is gone.
    Screen,
    /// New pictures lie in the slots of this call.
    Pictures(CallNumber),
    /// Another process of the same user asks something.
    Control(ControlRequest, Responder),
}

impl From<Arrival> for Wake {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Event(event) => Self::Event(event),
            Arrival::Reply(reply, at) => Self::Terminal(reply, at),
        }
    }
}

/// Things that may wait for the loop. It drains them faster than they come; when it does not, the senders wait.
const WAKES_MAX: usize = 1_024;
/// As much is taken between two drawings: what comes faster than it is taken must not keep the screen from being drawn.
const TURN_MAX: usize = 256;
/// The model's clock moves at least so often; also the rate of the call's time on the screen.
const TICK: Duration = Duration::from_millis(250);
/// The last message and the last summary get this long after the decision to leave.
const FAREWELL: Duration = Duration::from_secs(3);
/// Longest line read from stdin, bytes.
const LINE_MAX: u64 = 4_096;

/// The queue of the loop.
pub fn wakes() -> (Sender<Wake>, Receiver<Wake>) {
    bounded(WAKES_MAX)
}

/// All parts of a running program.
pub struct Runner<'a> {
    /// What is known.
    pub model: Model,
    /// What is shown.
    pub front: &'a mut dyn Front,
    /// The message channel.
    pub net: Net,
    /// The calls.
    pub calls: Calls,
    /// What is remembered between runs.
    pub memory: SettingsFile,
    /// The calls of groups one was in; `None`: they cannot be read.
    pub group_calls: Option<GroupCalls>,
    /// Contacts and servers as last told.
    pub people: People,
    /// What wakes the loop.
    pub wakes: Inbox,
    /// When the program began.
    pub started: Instant,
    /// When `--seconds` are over.
    pub ends_at: Option<Instant>,
    /// What the history is told of calls.
    pub journal: Journal,
    /// Random bytes for message ids.
    pub rng: rand_chacha::ChaCha20Rng,
    /// Decides what is to draw attention.
    pub attention: Attention,
    /// Does it.
    pub alerts: Alerts,
    /// Ways that may be used at all here.
    pub may_attend: AttentionSettings,
    /// The newest lines of the log.
    pub log: Lines,
    /// The loop's own notes.
    pub notes: Notes,
}

/// What the loop remembers from turn to turn.
#[derive(Default)]
pub struct Notes {
    exit: Option<(u8, Instant)>,
    stop_word: Option<&'static str>,
    summary: Option<crate::report::Summary>,
    waiting: Waiting,
    followers: Followers,
    /// Groups on the screen.
    watched: Vec<crate::event::GroupNumber>,
    /// The call of a group that the history follows.
    group_call: Option<CallNumber>,
    /// Reports that answer a request which is being carried out right now.
    captured: Option<Vec<Report>>,
}

impl Runner<'_> {
    /// Runs until the model or the front end's reader is gone. Returns the exit status.
    pub fn run(&mut self) -> u8 {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "the program begins");
        self.report(&Report::Ready {
            url: None,
            media: Vec::new(),
        });
        loop {
            let now = Instant::now();
            if let Some((status, until)) = self.notes.exit
                && (!self.calls.is_busy() || now >= until)
            {
                return status;
            }
            if self.ends_at.is_some_and(|at| at <= now) {
                self.ends_at = None;
                self.notes.stop_word = Some("seconds");
                self.event(Event::Stop(StopReason::Seconds));
            }
            let wait = self.wait(now);
            match self.wakes.next(wait) {
                Ok(wake) => self.wake(wake),
                Err(RecvTimeoutError::Timeout) => self.event(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => return 1,
            }
            // One drawing serves what has already come.
            for _ in 0..TURN_MAX {
                let Some(wake) = self.wakes.ready() else {
                    break;
                };
                self.wake(wake);
            }
            let late = self.calls.ring_late(Instant::now());
            if self.calls.waits_for_turn() {
                self.ask_turn();
            }
            self.outcomes(late);
            self.notes.waiting.expire(Instant::now());
            self.look_for_attention();
            if self.front.is_gone() || self.front.draw(&self.model).is_err() {
                self.leave(1);
            }
        }
    }

    /// How long nothing need be done: the model's clock, its deadlines and the screen's rate count.
    fn wait(&self, now: Instant) -> Duration {
        let due = |ms: Option<u64>| ms.map(|ms| self.started + Duration::from_millis(ms));
        let exit = self.notes.exit.map(|(_, until)| until);
        [
            self.ends_at,
            self.calls.deadline(),
            due(self.front.due_ms()),
            due(self.model.deadline_ms()),
            due(self.attention.due_ms()),
            exit,
        ]
        .into_iter()
        .flatten()
        .map(|at| at.saturating_duration_since(now))
        .fold(TICK, Duration::min)
    }

    /// The summary of the last call, once it is over.
    pub fn summary(&self) -> Option<&crate::report::Summary> {
        self.notes.summary.as_ref()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells the outside.
    pub fn report(&mut self, report: &Report) {
        crate::log::note(report);
        self.notes.waiting.take(report);
        let now_ms = self.now_ms();
        self.notes.followers.tell(now_ms, report);
        if let Some(captured) = &mut self.notes.captured {
            captured.push(report.clone());
        }
        if self.front.report(self.now_ms(), report).is_err() {
            // Whoever read the output is gone: like a hang-up of the terminal.
            self.leave(1);
        }
    }

    fn leave(&mut self, status: u8) {
        if self.notes.exit.is_none() {
            self.notes.exit = Some((status, Instant::now() + FAREWELL));
            let outcomes = self.calls.hang_up_all(self.notes.stop_word);
            self.outcomes(outcomes);
        }
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Event(event) => self.event(event),
            Wake::Net(event) => self.net_event(event),
            // Drawing follows every wake-up.
            Wake::Screen => {}
            Wake::Terminal(Reply::Ground(ground), _) => {
                self.event(Event::Ground {
                    is_light: crate::view::theme::is_light(ground),
                });
            }
            Wake::Terminal(reply, at) => {
                for event in self.front.reply(&reply, at, self.model.look) {
                    self.event(event);
                }
            }
            Wake::Driver(number, event) => self.driver_event(number, event),
            Wake::Pictures(number) => {
                let Some(pictures) = self.calls.pictures(number) else {
                    return;
                };
                pictures.taken();
                let (far, own) = (pictures.far.take(), pictures.own.take());
                let people = pictures.take_people();
                if far.is_some() {
                    self.event(Event::Call(number, CallEvent::FarPicture(far)));
                }
                if own.is_some() {
                    self.event(Event::Call(number, CallEvent::OwnPicture(own)));
                }
                self.show_people(number, people);
            }
            Wake::GroupDriver(thread, event) => self.group_driver_event(thread, event),
            Wake::Control(request, responder) => self.answer(&request, &responder),
        }
    }

    /// Lets the model take an event and does what it asks for.
    pub fn event(&mut self, event: Event) {
        if matches!(event, Event::Stop(StopReason::Signal)) {
            self.notes.stop_word = Some("signal");
        }
        self.model.set_now(self.now_ms());
        let mut effects = std::collections::VecDeque::from(update(&mut self.model, event));
        while let Some(effect) = effects.pop_front() {
            for event in self.effect(effect) {
                effects.extend(update(&mut self.model, event));
            }
        }
        // Who waits for one call wants it to ring.
        let waits = matches!(self.model.mode, Mode::AnswerOnce { .. });
        let quiet = self.model.settings.do_not_disturb && !waits;
        self.calls.set_do_not_disturb(quiet);
    }

    /// Does one thing; some things are answered with events at once.
    fn effect(&mut self, effect: Effect) -> Vec<Event> {
        let (call, command) = match effect {
            Effect::AcceptCall(call, media) => {
                if self.calls.contact(call).is_some() {
                    self.ask_turn();
                }
                (call, CallCommand::Accept(proto_media(media)))
            }
            Effect::RejectCall { call, busy } => (call, CallCommand::Reject(busy)),
            Effect::HangUp(call) => (call, CallCommand::HangUp(self.notes.stop_word)),
            Effect::SetMicMuted(call, muted) => (call, CallCommand::Muted(muted)),
            Effect::SetCamera(call, on) => (call, CallCommand::CameraOn(on)),
            Effect::SetHold(call, hold) => (call, CallCommand::Hold(hold)),
            Effect::WantPicture(call, size) => (call, CallCommand::Want(size)),
            Effect::SetVolume(call, None, volume) => (call, CallCommand::Volume(volume)),
            Effect::View(..)
            | Effect::SetVolume(..)
            | Effect::SetScreen(..)
            | Effect::WatchGroups(_) => {
                self.group_effect(effect);
                return Vec::new();
            }
            other => return self.do_otherwise(other).into_iter().collect(),
        };
        let outcomes = self.calls.command(call, command);
        self.outcomes(outcomes);
        Vec::new()
    }

    /// What is no command to a call that runs.
    fn do_otherwise(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::StartCall(party, media) => {
                match self.calls.start(Instant::now(), party, media) {
                    Ok(outcomes) => {
                        if matches!(party, crate::event::Party::Contact(_)) {
                            self.ask_turn();
                        }
                        if self.calls.waits_for_turn() {
                            let text = crate::text::ASKING_TURN.to_owned();
                            self.report(&Report::Notice { text });
                        }
                        self.outcomes(outcomes);
                    }
                    Err(words) => return Some(Event::Failed(words)),
                }
            }
            Effect::SaveSettings(settings) => {
                return self.memory.write(&settings).err().map(|error| {
                    Event::Failed(sentence(&format!("this is not remembered: {error}")))
                });
            }
            Effect::SendText(contact, text) => {
                let to = channel::ContactId(contact.0);
                let command = ChannelCommand::SendText { contact: to, text };
                return self.net.command(command).err().map(|error| {
                    let words = sentence(&error.to_string());
                    Event::History(crate::conversation::HistoryEvent::Unsent(contact, words))
                });
            }
            Effect::MarkSeen(contact) => {
                let contact = channel::ContactId(contact.0);
                return self.tell_net(ChannelCommand::MarkSeen(contact));
            }
            Effect::ReadHistory { contact, before } => {
                let contact = channel::ContactId(contact.0);
                let asked = self.net.read_history(contact, before);
                return asked
                    .err()
                    .map(|error| Event::Failed(sentence(&error.to_string())));
            }
            Effect::Withdraw => return self.tell_net(ChannelCommand::Withdraw),
            Effect::Invite => return self.tell_net(ChannelCommand::InviteCode { server: None }),
            Effect::Person(contact, change) => {
                let contact = channel::ContactId(contact.0);
                return self.tell_net(ChannelCommand::Person { contact, change });
            }
            Effect::RemoveContact(contact) => {
                let contact = channel::ContactId(contact.0);
                return self.tell_net(ChannelCommand::RemoveContact(contact));
            }
            Effect::Attend(settings) => self.attend(settings),
            Effect::WatchMouse(is_on) => self.front.sequence(terminal::set_mouse(is_on)),
            Effect::Process(processing) => self.calls.set_processing(processing),
            Effect::ReadLog => return Some(Event::Log(self.log.newest())),
            Effect::Add(link) => return self.tell_net(ChannelCommand::Add { link }),
            Effect::SetName(name) => return self.tell_net(ChannelCommand::SetName(name)),
            Effect::Report(report) => self.report(&report),
            Effect::ListDevices(kind) => self.calls.list_devices(kind),
            Effect::UseDevice(kind, spec) => self.calls.use_device(kind, spec.as_deref()),
            Effect::MayStop => terminal::may_stop(),
            Effect::Copy(text) => self.front.copy(&text),
            Effect::Quit(status) => self.leave(status),
            // The commands to calls: done where they are told apart.
            _ => {}
        }
        None
    }

    fn driver_event(&mut self, number: CallNumber, event: DriverEvent) {
        let contact = self.calls.contact(number);
        let call = self.calls.call_of(number);
        if let Some(news) = self.calls.note(number, &event) {
            self.news(&news);
        }
        match event {
            DriverEvent::Send(message) => {
                if let Some(contact) = contact {
                    self.send_to(contact, &message);
                }
            }
            DriverEvent::Call(event) => {
                let told = call.and_then(|(contact, id)| self.journal.note(contact, id, &event));
                if let Some(failed) = told.and_then(|command| self.tell_net(command)) {
                    self.event(failed);
                }
                self.event(Event::Call(number, event));
            }
            DriverEvent::MediaAgain(kind, gap_ms) => {
                self.report(&Report::MediaAgain { kind, gap_ms });
            }
            DriverEvent::AddressesLost => {
                if let Err(error) = self.net.addresses_lost() {
                    tracing::debug!(%error, "the network thread was not told of lost addresses");
                }
            }
            DriverEvent::Finished(summary) => self.finished(summary),
        }
    }

    fn finished(&mut self, summary: Box<crate::report::Summary>) {
        self.notes.summary = Some((*summary).clone());
        self.report(&Report::Summary(summary));
    }

    fn send_to(&mut self, contact: ContactId, message: &Message) {
        use rand_chacha::rand_core::Rng as _;
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        match message.write(id) {
            Ok(payload) => {
                let command = ChannelCommand::Send {
                    contact: channel::ContactId(contact.0),
                    payload,
                };
                if let Some(failed) = self.tell_net(command) {
                    self.event(failed);
                }
            }
            Err(error) => self.event(Event::Failed(format!(
                "The call message could not be written: {error}"
            ))),
        }
    }

    /// Asks our server for TURN servers where the settings name none, and it was not asked lately.
    fn ask_turn(&mut self) {
        if self.calls.wants_turn(Instant::now())
            && let Err(error) = self.net.ask_turn()
        {
            tracing::debug!(%error, "our server was not asked for a TURN server");
        }
    }

    fn tell_net(&mut self, command: ChannelCommand) -> Option<Event> {
        self.net
            .command(command)
            .err()
            .map(|error| Event::Failed(sentence(&error.to_string())))
    }

    fn net_event(&mut self, event: NetEvent) {
        let (contact, payload, age) = match event {
            NetEvent::Channel(ChannelEvent::Message {
                contact,
                payload,
                sent_ago,
            }) => (contact, payload, sent_ago),
            NetEvent::Lobby(event) => return self.lobby_event(event),
            NetEvent::Turn(grant) => {
                let outcomes = self.calls.granted(Instant::now(), grant);
                return self.outcomes(outcomes);
            }
            other => {
                let is_up = matches!(
                    other,
                    NetEvent::Channel(ChannelEvent::ServerState { up: true, .. })
                );
                if is_up && self.calls.depends_on_turn() {
                    self.ask_turn();
                }
                for event in self.people.take(other) {
                    self.event(event);
                }
                self.tell_members();
                self.calls.set_reach(self.people.reach());
                return;
            }
        };
        let Ok(message) = Message::parse(&payload) else {
            tracing::warn!("a contact sent a message that cannot be read");
            return;
        };
        let contact = ContactId(contact.0);
        let outcomes = self.calls.message(Instant::now(), contact, message, age);
        if self.calls.waits_for_turn() {
            self.ask_turn();
        }
        self.outcomes(outcomes);
    }

    fn outcomes(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Event(event) => {
                    self.note_group_call(&event);
                    self.event(event);
                }
                Outcome::Send(contact, message) => self.send_to(contact, &message),
                Outcome::News(news) => self.news(&news),
                Outcome::Lobby(command) => self.tell_lobby(command),
                Outcome::Summary(summary) => self.finished(summary),
            }
        }
    }

    /// What happened to a call. Whoever keeps the history listens here.
    fn news(&mut self, news: &CallNews) {
        tracing::info!(step = news.step.word(), "call");
        // The other steps come with the thread's own events.
        if matches!(news.step, Step::MergedInto(_)) {
            let command = ChannelCommand::CallOutcome {
                contact: channel::ContactId(news.contact.0),
                call_id: news.call_id,
                progress: CallProgress::Merged,
            };
            if let Some(failed) = self.tell_net(command) {
                self.event(failed);
            }
        }
    }
}

/// Reads commands from stdin, a line each, until it ends; `ends`: the program then does, too.
pub fn read_stdin(wake: Sender<Wake>, ends: bool) {
    // In the background the system would stop the program for reading.
    if !crate::foreground::is_foreground() {
        return;
    }
    crate::threads::detach("stdin", move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let mut limited = std::io::Read::take(&mut stdin, LINE_MAX);
            match limited.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) if ends => return crate::terminal::ask_to_end(),
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line);
            if line.trim().is_empty() {
                continue;
            }
            let event = match command::parse(line.trim()) {
                Ok(command) => Event::Command(command),
                Err(words) => Event::Failed(words),
            };
            if wake.send(Wake::Event(event)).is_err() {
                return;
            }
        }
    });
}

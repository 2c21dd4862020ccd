//! The loop: waits for one thing to happen, lets the model take it, does what the model asks for, shows the result.
//!
//! Everything that can wake the program is a [`Wake`]; nothing else does.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hullo_proto::call::Message;
use hullo_signalling::channel::{self, ChannelCommand, ChannelEvent};

use crate::call::driver::{Command as CallCommand, DriverEvent};
use crate::call::media::Pictures;
use crate::calls::{Calls, Outcome, proto_media};
use crate::command;
use crate::control::{self, Ask, Waiting};
use crate::effect::Effect;
use crate::event::{CallEvent, Command, ContactId, Event, PersonChange, StopReason};
use crate::front::Front;
use crate::model::Model;
use crate::net::{Net, NetEvent};
use crate::people::{People, sentence};
use crate::profile::control::{ControlRequest, Responder};
use crate::report::Report;
use crate::update::update;

/// Everything that can wake the program.
pub enum Wake {
    /// Something for the model as it is.
    Event(Event),
    /// From the network thread.
    Net(NetEvent),
    /// From the thread of call number so and so.
    Driver(u64, DriverEvent),
    /// New pictures lie in the slots.
    Pictures,
    /// Another process of the same user asks something.
    Control(ControlRequest, Responder),
}

/// Things that may wait for the loop. It drains them faster than they come; when it does not, the senders wait.
const WAKES_MAX: usize = 1_024;
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
    /// Slots of pictures to draw.
    pub pictures: Pictures,
    /// Contacts and servers as last told.
    pub people: People,
    /// What wakes the loop.
    pub wakes: Receiver<Wake>,
    /// When the program began.
    pub started: Instant,
    /// When `--seconds` are over.
    pub ends_at: Option<Instant>,
    /// Random bytes for message ids.
    pub rng: rand_chacha::ChaCha20Rng,
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
    /// Reports that answer a request which is being carried out right now.
    captured: Option<Vec<Report>>,
}

impl Runner<'_> {
    /// Runs until the model or the front end's reader is gone. Returns the exit status.
    pub fn run(&mut self) -> u8 {
        self.report(&Report::Ready { url: None });
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
            match self.wakes.recv_timeout(wait) {
                Ok(wake) => self.wake(wake),
                Err(RecvTimeoutError::Timeout) => self.event(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => return 1,
            }
            // One drawing serves all that has already come.
            while let Ok(wake) = self.wakes.try_recv() {
                self.wake(wake);
            }
            if let Some((contact, outcome)) = self.calls.ring_late(Instant::now()) {
                self.outcome(contact, outcome);
            }
            self.notes.waiting.expire(Instant::now());
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
            due(self.front.due_ms()),
            due(self.model.deadline_ms()),
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
        self.notes.waiting.take(report);
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
            self.calls
                .command(CallCommand::HangUp(self.notes.stop_word));
        }
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Event(event) => self.event(event),
            Wake::Net(event) => self.net_event(event),
            Wake::Driver(number, event) => self.driver_event(number, event),
            Wake::Pictures => {
                self.pictures.taken();
                if let Some(picture) = self.pictures.far.take() {
                    self.event(Event::Call(CallEvent::FarPicture(Some(picture))));
                }
                if let Some(picture) = self.pictures.own.take() {
                    self.event(Event::Call(CallEvent::OwnPicture(Some(picture))));
                }
            }
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
            if let Some(event) = self.effect(effect) {
                effects.extend(update(&mut self.model, event));
            }
        }
    }

    /// Does one thing; some things are answered with an event at once.
    fn effect(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::StartCall(contact, media) => {
                match self.calls.start(Instant::now(), contact, media) {
                    Ok(started) => return Some(started),
                    Err(words) => return Some(Event::Failed(words)),
                }
            }
            Effect::AcceptCall(media) => {
                self.calls.command(CallCommand::Accept(proto_media(media)))
            }
            Effect::RejectCall => self.calls.command(CallCommand::Reject),
            Effect::HangUp => self
                .calls
                .command(CallCommand::HangUp(self.notes.stop_word)),
            Effect::SetMicMuted(muted) => self.calls.command(CallCommand::Muted(muted)),
            Effect::SetCamera(on) => self.calls.command(CallCommand::CameraOn(on)),
            Effect::SetHold(hold) => self.calls.command(CallCommand::Hold(hold)),
            Effect::WantPicture(size) => self.calls.command(CallCommand::Want(size)),
            Effect::Invite => return self.tell_net(ChannelCommand::InviteCode { server: None }),
            Effect::Person(contact, change) => {
                let contact = channel::ContactId(contact.0);
                return self.tell_net(ChannelCommand::Person { contact, change });
            }
            Effect::Add(link) => return self.tell_net(ChannelCommand::Add { link }),
            Effect::SetName(name) => return self.tell_net(ChannelCommand::SetName(name)),
            Effect::Report(report) => self.report(&report),
            Effect::Bell => self.front.bell(),
            Effect::Copy(text) => self.front.copy(&text),
            Effect::Quit(status) => self.leave(status),
        }
        None
    }

    fn driver_event(&mut self, number: u64, event: DriverEvent) {
        if number != self.calls.number() {
            return;
        }
        match event {
            DriverEvent::Send(message) => self.send(&message),
            DriverEvent::Call(event) => self.event(Event::Call(event)),
            DriverEvent::Finished(summary) => {
                self.calls.finished(number);
                self.notes.summary = Some((*summary).clone());
                self.report(&Report::Summary(summary));
            }
        }
    }

    fn send(&mut self, message: &Message) {
        let Some(contact) = self.calls.contact() else {
            return;
        };
        self.send_to(contact, message);
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
            other => {
                for event in self.people.take(other) {
                    self.event(event);
                }
                self.calls.set_reach(self.people.reach());
                return;
            }
        };
        let Ok(message) = Message::parse(&payload) else {
            tracing::warn!("a contact sent a message that cannot be read");
            return;
        };
        let contact = ContactId(contact.0);
        let name = self.model.name_of(contact).to_owned();
        let outcome = self
            .calls
            .message(Instant::now(), contact, &name, message, age);
        self.outcome(contact, outcome);
    }

    fn outcome(&mut self, contact: ContactId, outcome: Outcome) {
        match outcome {
            Outcome::Events(events) => events.into_iter().for_each(|event| self.event(event)),
            Outcome::Reply(reply, words) => {
                self.send_to(contact, &reply);
                self.event(Event::Call(CallEvent::Notice(words)));
            }
        }
    }

    /// Does what another process of the same user asks, and answers.
    fn answer(&mut self, request: &ControlRequest, responder: &Responder) {
        let now = Instant::now();
        let ask = match control::parse(request) {
            // These two take time and have an answer of their own.
            Ok(Ask::Line(line)) => match command::parse(&line) {
                Ok(Command::Invite) => Ask::Invite,
                Ok(Command::Add(link)) => Ask::Add(link),
                _ => Ask::Line(line),
            },
            Ok(ask) => ask,
            Err(words) => return control::say(responder, &words),
        };
        match ask {
            Ask::Line(line) => match command::parse(&line) {
                Ok(command) => self.answer_at_once(Event::Command(command), responder),
                Err(words) => control::say(responder, &words),
            },
            Ask::Contacts => {
                for contact in self.model.contacts() {
                    control::send(responder, &Report::contact(contact));
                }
            }
            Ask::Remove(name) => self.remove(&name, responder),
            Ask::Person(name, change) => self.change_person(name, change, responder),
            Ask::Name(None) => match &self.model.profile {
                Some(profile) => control::send(
                    responder,
                    &Report::Name {
                        name: profile.name.clone(),
                        id: profile.short_id.clone(),
                    },
                ),
                None => control::say(responder, "the profile is still being read, try again"),
            },
            Ask::Name(Some(name)) => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Name { .. })
                });
                self.do_effect(Effect::SetName(name));
            }
            Ask::Invite => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Invite { .. })
                });
                self.do_effect(Effect::Invite);
            }
            Ask::Add(link) => {
                self.notes.waiting.add(now, responder.clone(), |report| {
                    matches!(report, Report::Contact { .. })
                });
                self.do_effect(Effect::Add(link));
            }
        }
    }

    fn remove(&mut self, name: &str, responder: &Responder) {
        let Some(contact) = self
            .model
            .contacts()
            .iter()
            .find(|contact| contact.name == name)
        else {
            return control::say(responder, "there is no such contact");
        };
        let command = ChannelCommand::RemoveContact(channel::ContactId(contact.id.0));
        if let Some(failed) = self.tell_net(command) {
            return self.event(failed);
        }
        let text = format!("{name} is forgotten. A new link makes you contacts again.");
        control::send(responder, &Report::Notice { text });
    }

    fn change_person(&mut self, name: String, change: PersonChange, responder: &Responder) {
        let (now, waiting) = (Instant::now(), &mut self.notes.waiting);
        if change == PersonChange::CompareWords {
            // Twelve words at once, four when the other program has answered.
            waiting.add(
                now,
                responder.clone(),
                |report| matches!(report, Report::Words { safety, .. } if safety.is_some()),
            );
            let text = crate::text::words_alone(&name);
            let late = Some(Report::Notice { text });
            let wants = |report: &Report| matches!(report, Report::Words { words: Some(_), .. });
            waiting.add_or(now, responder.clone(), wants, late);
        } else {
            waiting.add(now, responder.clone(), |report| {
                matches!(report, Report::Contact { .. })
            });
        }
        self.event(Event::Command(Command::Person(name, change)));
    }

    fn answer_at_once(&mut self, event: Event, responder: &Responder) {
        self.notes.captured = Some(Vec::new());
        self.event(event);
        let reports = self.notes.captured.take().unwrap_or_default();
        for report in &reports {
            control::send(responder, report);
        }
        if reports.is_empty() {
            control::send(
                responder,
                &Report::Notice {
                    text: "Done.".to_owned(),
                },
            );
        }
    }

    fn do_effect(&mut self, effect: Effect) {
        if let Some(event) = self.effect(effect) {
            self.event(event);
        }
    }
}

/// Reads commands from stdin, a line each, until it ends.
pub fn read_stdin(wake: Sender<Wake>) {
    crate::threads::detach("stdin", move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let mut limited = std::io::Read::take(&mut stdin, LINE_MAX);
            match limited.read_until(b'\n', &mut line) {
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

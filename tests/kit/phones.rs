//! People who call one another: whole switchboards and engines under a virtual clock and a seeded message channel.
//!
//! No codecs and no devices: who is in which call with whom, and what was said on the way, is all that is looked at.
//! Messages between two people stay in order and take a random time; datagrams take a fixed one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo::call::board::{Board, Verdict};
use hullo::call::engine::{Engine, Event, Input, Output, Ways};
use hullo::call::side::SideState;
use hullo::event::{CallNumber, ContactId, Unrung};
use hullo_proto::call::{CallId, CallMachine, CallState, Invitation, Media, Message};
use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A message takes up to this long: through a relay at the other end of the world.
const MAIL_MS_MAX: u64 = 250;
/// A datagram takes this long.
const WIRE: Duration = Duration::from_millis(10);
/// A step moves to the next deadline but never further.
const STEP_MAX: Duration = Duration::from_millis(50);

/// Everybody, and what is between them.
pub struct Phones {
    /// The virtual now.
    pub now: Instant,
    /// By contact number.
    pub people: Vec<Phone>,
    /// Every message sent, in order.
    pub said: Vec<Said>,
    /// Datagrams sent so far.
    pub datagrams: u64,
    rng: ChaCha20Rng,
    mail: Vec<Mail>,
    wire: VecDeque<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
}

/// One person's program.
pub struct Phone {
    /// Its switchboard.
    pub board: Board,
    /// All calls it ever had, over or not.
    pub calls: Vec<Line>,
    /// Calls that did not ring.
    pub missed: Vec<(ContactId, Unrung)>,
    /// Calls that turned out to be the same as another: lost and kept.
    pub merged: Vec<(CallId, CallId)>,
    address: SocketAddr,
    is_running: bool,
}

/// One call of one person.
pub struct Line {
    /// Its number there.
    pub number: CallNumber,
    /// With whom.
    pub contact: ContactId,
    /// It came in and rang.
    pub rang: bool,
    /// States passed through, in order.
    pub states: Vec<CallState>,
    /// What the far side says of itself.
    pub far: Option<SideState>,
    engine: Engine,
}

/// A message that was sent.
pub struct Said {
    /// From whom.
    pub from: usize,
    /// The call.
    pub call_id: Option<CallId>,
    /// As it stood on the wire.
    pub text: String,
}

struct Mail {
    due: Instant,
    sent: Instant,
    from: usize,
    to: usize,
    message: Message,
}

impl Line {
    /// Its last state.
    #[must_use]
    pub fn state(&self) -> Option<&CallState> {
        self.states.last()
    }

    /// Not over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state(), Some(CallState::Ended(_)))
    }
}

impl Phones {
    /// So many people who know one another.
    #[must_use]
    pub fn new(seed: u64, people: u8) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary zero of the virtual clock"
        )]
        let now = Instant::now();
        let phone = |index: u8| Phone {
            board: Board::default(),
            calls: Vec::new(),
            missed: Vec::new(),
            merged: Vec::new(),
            address: SocketAddr::from(([10, 0, 0, index + 1], 5_000)),
            is_running: true,
        };
        Self {
            now,
            people: (0..people).map(phone).collect(),
            said: Vec::new(),
            datagrams: 0,
            rng: ChaCha20Rng::seed_from_u64(seed),
            mail: Vec::new(),
            wire: VecDeque::new(),
        }
    }

    fn fork(&mut self) -> ChaCha20Rng {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        ChaCha20Rng::from_seed(seed)
    }

    /// `who` calls `whom`.
    pub fn call(&mut self, who: usize, whom: usize, media: Media) -> CallNumber {
        let call_id = CallId::random(&mut self.rng);
        let machine = CallMachine::call(call_id, media, self.fork(), self.now);
        let contact = ContactId(whom as u64);
        let number = self.add(who, contact, machine, media, false);
        let verdicts = self.people[who].board.placed(number, contact, call_id);
        self.drain(who);
        self.carry_out(who, verdicts);
        number
    }

    /// Gives one call something to do.
    pub fn input(&mut self, who: usize, number: CallNumber, input: Input<'_>) {
        if matches!(input, Input::HangUp | Input::Reject { .. }) {
            self.people[who].board.ending(number);
        }
        let now = self.now;
        if let Some(line) = self.line(who, number) {
            line.engine.handle_input(now, input);
        }
        self.drain(who);
    }

    /// The program of this person dies without a word, and another one takes its place.
    pub fn kill(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.is_running = false;
        person.calls.clear();
        person.board = Board::default();
        person.is_running = true;
    }

    /// The calls of this person that are not over.
    pub fn live(&self, who: usize) -> impl Iterator<Item = &Line> {
        self.people[who].calls.iter().filter(|line| line.is_live())
    }

    /// The call of this number.
    pub fn line(&mut self, who: usize, number: CallNumber) -> Option<&mut Line> {
        let mut calls = self.people[who].calls.iter_mut();
        calls.find(|line| line.number == number)
    }

    /// Runs for this much virtual time.
    pub fn drive(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until `done` or the limit of virtual time.
    ///
    /// # Panics
    /// At the limit.
    pub fn drive_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "no {what} within {limit:?}");
            self.step();
        }
    }

    fn step(&mut self) {
        let mut next = self.now + STEP_MAX;
        next = self
            .mail
            .iter()
            .map(|mail| mail.due)
            .fold(next, Instant::min);
        next = self
            .wire
            .iter()
            .map(|(at, ..)| *at)
            .fold(next, Instant::min);
        for person in &mut self.people {
            for line in &mut person.calls {
                if let Output::Timeout(Some(at)) = line.engine.poll_output() {
                    next = next.min(at);
                }
            }
        }
        self.now = next.max(self.now + Duration::from_micros(1));
        self.deliver_mail();
        self.deliver_datagrams();
        for who in 0..self.people.len() {
            for line in &mut self.people[who].calls {
                line.engine.handle_input(self.now, Input::Timeout);
            }
            let late = self.people[who].board.ring_late(self.now);
            self.carry_out(who, late);
            self.drain(who);
        }
    }

    fn deliver_mail(&mut self) {
        while let Some(at) = self.mail.iter().position(|mail| mail.due <= self.now) {
            let mail = self.mail.remove(at);
            let age = self.now - mail.sent;
            let from = ContactId(mail.from as u64);
            let board = &mut self.people[mail.to].board;
            let verdicts = board.message(self.now, from, mail.message, age);
            self.carry_out(mail.to, verdicts);
        }
    }

    fn deliver_datagrams(&mut self) {
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, source, destination, bytes) = self.wire.pop_front().expect("looked");
            let to = self
                .people
                .iter()
                .position(|person| person.address.ip() == destination.ip());
            let Some(to) = to else { continue };
            for line in &mut self.people[to].calls {
                let input = Input::Datagram {
                    source,
                    destination,
                    bytes: &bytes,
                };
                if line_port(line.number) == destination.port() {
                    line.engine.handle_input(self.now, input);
                }
            }
            self.drain(to);
        }
    }

    fn carry_out(&mut self, who: usize, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Deliver(number, message) => {
                    self.input(who, number, Input::Message(&message));
                }
                Verdict::Ring(contact, invitation) => self.ring(who, contact, invitation),
                Verdict::Reply(contact, message) => self.send(who, contact, message),
                Verdict::Missed(contact, _, why) => self.people[who].missed.push((contact, why)),
                Verdict::Merged { lost, kept, .. } => self.people[who].merged.push((lost, kept)),
                Verdict::Forgotten(number) => self.input(who, number, Input::Forgotten),
            }
        }
    }

    fn ring(&mut self, who: usize, contact: ContactId, invitation: Invitation) {
        let (call_id, media) = (invitation.call_id, invitation.media);
        let machine = CallMachine::incoming(self.now, invitation, self.fork())
            .expect("everybody's program is ours");
        let number = self.add(who, contact, machine, media, true);
        self.people[who].board.rings(number, contact, call_id);
        self.drain(who);
    }

    fn add(
        &mut self,
        who: usize,
        contact: ContactId,
        machine: CallMachine,
        media: Media,
        rang: bool,
    ) -> CallNumber {
        let number = CallNumber(self.rng.next_u64() % 50_000);
        let mut address = self.people[who].address;
        address.set_port(line_port(number));
        let own = SideState {
            camera: media == Media::Video,
            ..SideState::default()
        };
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        self.people[who].calls.push(Line {
            number,
            contact,
            rang,
            states: Vec::new(),
            far: None,
            engine: Engine::new(self.now, machine, vec![address], own, Ways::all(rng)),
        });
        number
    }

    fn drain(&mut self, who: usize) {
        for at in 0..self.people[who].calls.len() {
            loop {
                let line = &mut self.people[who].calls[at];
                let (number, contact) = (line.number, line.contact);
                match line.engine.poll_output() {
                    Output::Timeout(_) => break,
                    Output::Transmit {
                        source,
                        destination,
                        bytes,
                    } => {
                        self.datagrams += 1;
                        let at = self.now + WIRE;
                        self.wire.push_back((at, source, destination, bytes));
                    }
                    Output::Send(message) => self.send(who, contact, message),
                    Output::Event(Event::State(state)) => {
                        line.states.push(state.clone());
                        self.people[who].board.changed(number, &state);
                    }
                    Output::Event(Event::Far(far)) => line.far = Some(far),
                    // Nothing here lasts long enough for a second session.
                    Output::Event(_)
                    | Output::Bind(_)
                    | Output::Release(_)
                    | Output::Connect { .. }
                    | Output::Write(..)
                    | Output::Disconnect(_) => {}
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: ContactId, message: Message) {
        let to = usize::try_from(to.0).expect("few people");
        let text = message.write([0; 12]).expect("a call's messages are short");
        self.said.push(Said {
            from,
            call_id: message.call_id(),
            text: String::from_utf8(text).expect("JSON is text"),
        });
        let earliest = self.now + Duration::from_millis(self.rng.random_range(1..=MAIL_MS_MAX));
        let of_pair = |mail: &&Mail| (mail.from, mail.to) == (from, to);
        let last = self.mail.iter().filter(of_pair).map(|mail| mail.due).max();
        let (due, sent) = (last.map_or(earliest, |last| last.max(earliest)), self.now);
        self.mail.push(Mail {
            due,
            sent,
            from,
            to,
            message,
        });
    }
}

/// Each call has a port of its own.
fn line_port(number: CallNumber) -> u16 {
    10_000 + u16::try_from(number.0).expect("below 50,000")
}

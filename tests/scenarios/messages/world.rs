//! Three people, one relay, one clock, one thread.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{Command, Reply, Request};
use hullo_relay::mailbox::{AddressKey, ConnectionId, Input, Limits, Mailbox, Output};
use hullo_relay::store::{MemoryStore, StoreLimits};
use hullo_signalling::channel::{
    Channel, ChannelCommand, ChannelError, ChannelEvent, ChannelInput, ChannelOutput, Contact,
    ContactId, ServerId, Wish,
};
use hullo_signalling::history::{HistoryEntry, Unseen};
use hullo_signalling::identity::Identity;
use hullo_signalling::relay_channel::{Counts, RelayChannel};
use hullo_signalling::server_url::ServerUrl;
use hullo_signalling::store::Store;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

mod people;

pub(super) const ANN: usize = 0;
pub(super) const BOB: usize = 1;
pub(super) const CAT: usize = 2;
pub(super) const DAN: usize = 3;
pub(super) const EVE: usize = 4;
const NAMES: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];

/// More than any scenario needs: a world that never settles is a fault.
const STEPS_MAX: usize = 50_000;
const EPOCH: Duration = Duration::from_secs(1_790_000_000);

pub(super) struct World {
    folder: tempfile::TempDir,
    seed: u64,
    runs: u64,
    started: Instant,
    now: Instant,
    people: Vec<Person>,
    mailbox: Mailbox<MemoryStore>,
    relay_up: bool,
    next_connection: u64,
    network: VecDeque<Flight>,
    sent_to_relay: Vec<Vec<u8>>,
    /// Which queues each connection had to do with, as the relay sees it.
    seen_by_relay: BTreeMap<ConnectionId, BTreeSet<[u8; 24]>>,
    owners: BTreeMap<ConnectionId, usize>,
    /// By how much a person's clock is wrong.
    clocks_ahead: [i64; NAMES.len()],
}

struct Person {
    channel: Option<RelayChannel>,
    lines: HashMap<ServerId, ConnectionId>,
    /// Outputs are still to be polled.
    draining: bool,
    deadline: Option<Instant>,
    /// Given out by the last poll, taken over by the next.
    given: Option<ChannelEvent>,
    taken: Vec<ChannelEvent>,
}

enum Flight {
    Up(usize, ServerId, ConnectionId),
    Down(usize, ServerId, &'static str),
    ToRelay(ConnectionId, Vec<u8>),
    ToPerson(ConnectionId, Vec<u8>),
    Closed(ConnectionId),
}

/// Programs die here and machines do not, so memory serves as a disk, and thousands of commits take no time.
fn folder() -> tempfile::TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_people(seed, 3)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the first instant of a virtual clock has to come from somewhere"
    )]
    pub(super) fn with_people(seed: u64, people: usize) -> Self {
        let now = Instant::now();
        let store = MemoryStore::new(StoreLimits::default());
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let mut world = Self {
            folder: folder(),
            seed,
            runs: 0,
            started: now,
            now,
            people: Vec::new(),
            mailbox: Mailbox::new(store, Limits::default(), rng, now, EPOCH),
            relay_up: true,
            next_connection: 1,
            network: VecDeque::new(),
            sent_to_relay: Vec::new(),
            seen_by_relay: BTreeMap::new(),
            owners: BTreeMap::new(),
            clocks_ahead: [0; NAMES.len()],
        };
        for person in 0..people {
            world.people.push(Person {
                channel: None,
                lines: HashMap::new(),
                draining: false,
                deadline: None,
                given: None,
                taken: Vec::new(),
            });
            world.enter(person);
        }
        world
    }

    pub(super) fn url(&self) -> ServerUrl {
        ServerUrl::new("relay.test", 4433, [1; 32]).expect("a good address")
    }

    /// The person's program.
    pub(super) fn channel(&self, person: usize) -> &RelayChannel {
        self.people[person].channel.as_ref().expect("here")
    }

    /// What the person's program was told and took over.
    pub(super) fn taken(&self, person: usize) -> &[ChannelEvent] {
        &self.people[person].taken
    }

    pub(super) fn forget_taken(&mut self, person: usize) {
        self.people[person].taken.clear();
    }

    /// What is under way arrives a second time, as after an answer that was lost.
    pub(super) fn repeat_arrivals(&mut self) {
        let again: Vec<_> = (self.network.iter())
            .filter_map(|flight| match flight {
                Flight::ToPerson(connection, bytes) if bytes[0] == 0x84 => {
                    Some(Flight::ToPerson(*connection, bytes.clone()))
                }
                _ => None,
            })
            .collect();
        self.network.extend(again);
    }

    pub(super) fn name(&self, person: usize) -> &'static str {
        NAMES[person]
    }

    /// The person's program starts.
    pub(super) fn enter(&mut self, person: usize) {
        self.runs += 1;
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed * 1_000_003 + self.runs);
        let path = self.folder.path().join(NAMES[person]);
        let (store, identity) = Store::open(&path, &mut rng).expect("a profile");
        let epoch = EPOCH + (self.now - self.started);
        let ahead = Duration::from_secs(self.clocks_ahead[person].unsigned_abs());
        let epoch = if self.clocks_ahead[person] < 0 {
            epoch - ahead
        } else {
            epoch + ahead
        };
        let channel = RelayChannel::new(store, identity, rng, self.now, epoch, NAMES[person])
            .expect("a channel");
        let mut channel = channel;
        channel.keep_spare_lines();
        self.people[person].channel = Some(channel);
        self.people[person].draining = true;
        self.people[person].deadline = Some(self.now);
    }

    /// The person's program ends, in the middle of whatever it does.
    pub(super) fn leave(&mut self, person: usize) {
        let state = &mut self.people[person];
        state.channel = None;
        state.given = None;
        state.draining = false;
        state.deadline = None;
        for (_, connection) in state.lines.drain() {
            self.network.push_back(Flight::Closed(connection));
        }
    }

    pub(super) fn is_here(&self, person: usize) -> bool {
        self.people[person].channel.is_some()
    }

    fn input(&mut self, person: usize, input: ChannelInput<'_>) {
        self.drain(person);
        if let Some(channel) = &mut self.people[person].channel {
            channel.handle_input(self.now, input);
            self.people[person].draining = true;
        }
    }

    /// The contract: drained before the next change.
    fn drain(&mut self, person: usize) {
        while self.people[person].draining {
            self.poll(person);
        }
    }

    /// One output of one person.
    fn poll(&mut self, person: usize) {
        let state = &mut self.people[person];
        let Some(channel) = &mut state.channel else {
            return;
        };
        let output = channel.poll_output();
        state.taken.extend(state.given.take());
        match output {
            ChannelOutput::Connect { server, url } => {
                assert_eq!(url.host(), "relay.test");
                if self.relay_up {
                    let connection = ConnectionId(self.next_connection);
                    self.next_connection += 1;
                    self.owners.insert(connection, person);
                    state.lines.insert(server, connection);
                    self.network
                        .push_back(Flight::Up(person, server, connection));
                } else {
                    self.network
                        .push_back(Flight::Down(person, server, "connection refused"));
                }
            }
            ChannelOutput::Disconnect { server } => {
                if let Some(connection) = state.lines.remove(&server) {
                    self.network.push_back(Flight::Closed(connection));
                }
            }
            ChannelOutput::Transmit { server, bytes } => {
                // A line that was cut a moment ago swallows it.
                if let Some(connection) = state.lines.get(&server) {
                    self.sent_to_relay.push(bytes.clone());
                    self.network.push_back(Flight::ToRelay(*connection, bytes));
                }
            }
            ChannelOutput::Event(event) => state.given = Some(event),
            ChannelOutput::Timeout(deadline) => {
                state.deadline = deadline;
                state.draining = false;
            }
        }
    }

    fn relay(&mut self, input: Input<'_>) {
        self.mailbox.handle_input(self.now, input);
        loop {
            match self.mailbox.poll_output() {
                Output::Transmit { connection, bytes } => {
                    let seen = match Reply::read(&bytes).expect("a frame of the relay") {
                        Reply::Created { recipient, .. } => Some(recipient.0),
                        Reply::Claimed { sender, .. } => Some(sender.0),
                        _ => None,
                    };
                    self.seen_by_relay
                        .entry(connection)
                        .or_default()
                        .extend(seen);
                    self.network.push_back(Flight::ToPerson(connection, bytes))
                }
                Output::Close { reason, .. } => panic!("the relay found garbage: {reason}"),
                Output::Timeout(_) => return,
            }
        }
    }

    fn owner(&self, connection: ConnectionId) -> Option<(usize, ServerId)> {
        self.people.iter().enumerate().find_map(|(person, state)| {
            let line = state.lines.iter().find(|(_, known)| **known == connection);
            line.map(|(server, _)| (person, *server))
        })
    }

    /// One small thing: an output, a frame's arrival, or the next deadline within `until`. False: nothing to do.
    fn step_until(&mut self, until: Instant) -> bool {
        if let Some(person) = (0..self.people.len()).find(|person| self.people[*person].draining) {
            self.poll(person);
            return true;
        }
        if let Some(flight) = self.network.pop_front() {
            self.land(flight);
            return true;
        }
        let due =
            |(person, state): (usize, &Person)| state.deadline.map(|deadline| (deadline, person));
        let next = self.people.iter().enumerate().filter_map(due).min();
        match next {
            Some((deadline, person)) if deadline <= until => {
                self.now = self.now.max(deadline);
                self.input(person, ChannelInput::Timeout);
                true
            }
            _ => false,
        }
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Up(person, server, connection) => {
                if self.people[person].lines.get(&server) == Some(&connection) {
                    self.relay(Input::Opened {
                        connection,
                        address: AddressKey(person as u64),
                    });
                    self.input(person, ChannelInput::Connected { server });
                }
            }
            Flight::Down(person, server, reason) => {
                self.input(
                    person,
                    ChannelInput::Disconnected {
                        server,
                        reason: reason.into(),
                    },
                );
            }
            Flight::ToRelay(connection, bytes) => {
                let queue = match Request::read(&bytes).expect("a frame of a client").command {
                    Command::Secure { sender, .. } | Command::Send { sender, .. } => Some(sender.0),
                    Command::Subscribe { recipient }
                    | Command::Acknowledge { recipient, .. }
                    | Command::Delete { recipient }
                    | Command::Publish { recipient } => Some(recipient.0),
                    Command::Create { .. } | Command::Claim { .. } => None,
                };
                self.seen_by_relay
                    .entry(connection)
                    .or_default()
                    .extend(queue);
                self.relay(Input::Frame {
                    connection,
                    bytes: &bytes,
                });
            }
            Flight::ToPerson(connection, bytes) => {
                if let Some((person, server)) = self.owner(connection) {
                    self.input(
                        person,
                        ChannelInput::Frame {
                            server,
                            bytes: &bytes,
                        },
                    );
                }
            }
            Flight::Closed(connection) => self.relay(Input::Closed { connection }),
        }
    }

    pub(super) fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step_until(self.now + Duration::from_secs(1));
        }
    }

    /// One step of a world that is to come to rest; false when it has.
    pub(super) fn step(&mut self) -> bool {
        // Longer than the longest pause between attempts, shorter than the hourly purge.
        self.step_until(self.now + Duration::from_secs(40))
    }

    /// Until nothing is under way.
    pub(super) fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("the world of seed {} never comes to rest", self.seed);
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        for _ in 0..STEPS_MAX {
            if !self.step_until(until) {
                break;
            }
        }
        self.now = until;
    }

    pub(super) fn relay_up(&mut self, up: bool) {
        self.relay_up = up;
        if !up {
            self.cut_all();
        }
    }

    /// Every connection breaks; what is under way is lost.
    pub(super) fn cut_all(&mut self) {
        self.network
            .retain(|flight| matches!(flight, Flight::Closed(_) | Flight::Down(..)));
        for person in 0..self.people.len() {
            let lines: Vec<_> = self.people[person].lines.drain().collect();
            for (server, connection) in lines {
                self.network.push_back(Flight::Closed(connection));
                self.network
                    .push_back(Flight::Down(person, server, "the line was cut"));
            }
        }
    }

    /// A frame that no relay sends.
    pub(super) fn inject(&mut self, person: usize, bytes: &[u8]) {
        let server = *self.people[person]
            .lines
            .keys()
            .next()
            .expect("a connection stands");
        self.input(person, ChannelInput::Frame { server, bytes });
    }

    pub(super) fn command(&mut self, person: usize, command: ChannelCommand) {
        self.input(person, ChannelInput::Command(command));
    }

    pub(super) fn invite(&mut self, person: usize) -> String {
        let server = Some(self.url());
        self.command(person, ChannelCommand::Invite { server });
        self.settle();
        self.link(person).expect("a link")
    }

    /// The newest link of this person.
    pub(super) fn link(&self, person: usize) -> Option<String> {
        self.people[person]
            .taken
            .iter()
            .rev()
            .find_map(|event| match event {
                ChannelEvent::InviteReady { link, .. } => Some(link.clone()),
                _ => None,
            })
    }

    pub(super) fn befriend(&mut self, inviter: usize, joiner: usize) {
        let link = self.invite(inviter);
        self.command(joiner, ChannelCommand::Add { link });
        self.settle();
    }

    pub(super) fn contacts(&self, person: usize) -> Vec<Contact> {
        self.people[person]
            .channel
            .as_ref()
            .map_or_else(Vec::new, |channel| {
                channel.contacts().expect("a store that works")
            })
    }

    pub(super) fn contact(&self, person: usize, other: usize) -> ContactId {
        let contacts = self.contacts(person);
        contacts
            .iter()
            .find(|contact| contact.name == NAMES[other])
            .expect("a contact")
            .id
    }

    pub(super) fn send(&mut self, from: usize, to: usize, text: String) {
        let contact = self.contact(from, to);
        self.command(
            from,
            ChannelCommand::Send {
                contact,
                payload: text.into_bytes(),
            },
        );
    }

    /// What a command fails with.
    pub(super) fn refusal(
        &mut self,
        person: usize,
        command: ChannelCommand,
    ) -> (Wish, ChannelError) {
        self.people[person].taken.clear();
        self.command(person, command);
        self.settle();
        let taken = std::mem::take(&mut self.people[person].taken);
        let failed = taken.into_iter().find_map(|event| match event {
            ChannelEvent::Failed { what, reason } => Some((what, reason)),
            _ => None,
        });
        failed.expect("a refusal")
    }

    pub(super) fn refusal_of_send(&mut self, from: usize, to: usize) -> ChannelError {
        let contact = self.contact(from, to);
        self.refusal(
            from,
            ChannelCommand::Send {
                contact,
                payload: vec![1],
            },
        )
        .1
    }

    fn messages(&self, person: usize) -> impl Iterator<Item = (&Vec<u8>, Duration)> {
        self.people[person]
            .taken
            .iter()
            .filter_map(|event| match event {
                ChannelEvent::Message {
                    payload, sent_ago, ..
                } => Some((payload, *sent_ago)),
                _ => None,
            })
    }

    pub(super) fn texts(&self, person: usize) -> Vec<String> {
        self.messages(person)
            .map(|(payload, _)| String::from_utf8(payload.clone()).expect("text was sent"))
            .collect()
    }

    pub(super) fn ages(&self, person: usize) -> Vec<Duration> {
        self.messages(person).map(|(_, age)| age).collect()
    }

    pub(super) fn state_changes(&self, person: usize) -> usize {
        let changes =
            |event: &&ChannelEvent| matches!(event, ChannelEvent::ServerState { up: false, .. });
        self.people[person].taken.iter().filter(changes).count()
    }

    /// How many messages waited when the relay last took one.
    pub(super) fn delivered(&self, person: usize) -> u64 {
        let last = self.people[person]
            .taken
            .iter()
            .rev()
            .find_map(|event| match event {
                ChannelEvent::Delivered { waiting, .. } => Some(*waiting),
                _ => None,
            });
        last.expect("something was delivered")
    }

    pub(super) fn counts(&self, person: usize) -> Counts {
        self.people[person].channel.as_ref().expect("here").counts()
    }

    pub(super) fn key_set(&self, person: usize) -> [u8; 160] {
        self.people[person]
            .channel
            .as_ref()
            .expect("here")
            .identity()
            .key_set()
            .to_bytes()
    }

    /// Somebody who put this person's group key beside keys of their own.
    pub(super) fn with_the_group_key_of(&self, person: usize) -> Identity {
        let channel = self.people[person].channel.as_ref().expect("here");
        let (_, stranger) = Store::in_memory(&mut ChaCha20Rng::seed_from_u64(99)).expect("a store");
        let account = stranger.account().pickle().into();
        Identity::from_parts(channel.identity().x25519().as_bytes(), account)
    }

    pub(super) fn sent_to_relay(&self) -> &[Vec<u8>] {
        &self.sent_to_relay
    }

    pub(super) fn contact_id(&self, person: usize, other: usize) -> ContactId {
        self.contact(person, other)
    }

    pub(super) fn history(&self, person: usize) -> Vec<HistoryEntry> {
        let channel = self.people[person].channel.as_ref().expect("here");
        channel
            .history(None, None, 500)
            .expect("a store that works")
    }

    pub(super) fn unseen(&self, person: usize) -> Unseen {
        let channel = self.people[person].channel.as_ref().expect("here");
        let unseen = channel.unseen().expect("a store that works");
        unseen.into_values().next().unwrap_or_default()
    }

    /// What the person's programs have taken over since the last time, dead ones included.
    pub(super) fn take_events(&mut self, person: usize) -> Vec<ChannelEvent> {
        std::mem::take(&mut self.people[person].taken)
    }
}

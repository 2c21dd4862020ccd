//! The message channel of two people as it is: their relay channels, a relay, and the way there, which takes its time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::call::{Invitation, Media, Message};
use hullo_relay::mailbox::{AddressKey, ConnectionId, Input, Limits, Mailbox, Output};
use hullo_relay::store::{MemoryStore, StoreLimits};
use hullo_signalling::channel::{
    Channel as _, ChannelCommand, ChannelEvent, ChannelInput, ChannelOutput, ContactState, ServerId,
};
use hullo_signalling::relay_channel::RelayChannel;
use hullo_signalling::server_url::ServerUrl;
use hullo_signalling::store::Store;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::{Link, World};

const EPOCH: Duration = Duration::from_secs(1_790_000_000);
/// Two people are contacts long before this.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Connections that only write are closed after less.
const REST: Duration = Duration::from_secs(90);
/// A client hears the relay's first word after so many ways there and back: TCP, TLS, and the WebSocket's handshake.
const ROUNDS_TO_OPEN: u32 = 3;

/// The relay and who is connected to it.
pub(super) struct Post {
    pub(super) now: Instant,
    one_way: Duration,
    mailbox: Mailbox<MemoryStore>,
    people: [Client; 2],
    flights: BTreeMap<(Instant, u64), Flight>,
    /// Flights and connections so far.
    count: u64,
    arrived: VecDeque<(usize, Message)>,
}

struct Client {
    channel: RelayChannel,
    lines: HashMap<ServerId, ConnectionId>,
    /// Its relay has not said anything yet.
    opening: Vec<ConnectionId>,
    deadline: Option<Instant>,
    link: Option<String>,
}

enum Flight {
    Open(usize, ConnectionId),
    ToRelay(ConnectionId, Vec<u8>),
    ToPerson(ConnectionId, Vec<u8>),
    Close(ConnectionId),
}

impl World {
    /// As [`Self::new`], with a relay between the two, `one_way` from each; the caller's message has just come.
    pub fn with_relay(seed: u64, link: Link, media: Media, one_way: Duration) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary zero of the virtual clock"
        )]
        let now = Instant::now();
        let post = Post::new(seed, now, one_way);
        Self::begin(seed, link, media, post.now, Some(post))
    }

    pub(super) fn deliver_post(&mut self) {
        let Some(post) = &mut self.post else {
            return;
        };
        post.run(self.now);
        while let Some((to, message)) = self.post.as_mut().and_then(Post::arrive) {
            self.people[to].inbox.push_back((self.now, message));
        }
    }
}

impl Post {
    /// Two contacts who have been connected to their relay for a while, `one_way` from each.
    pub(super) fn new(seed: u64, now: Instant, one_way: Duration) -> Self {
        let rng = |salt: u64| ChaCha20Rng::seed_from_u64(seed.wrapping_mul(7).wrapping_add(salt));
        let store = MemoryStore::new(StoreLimits::default());
        let client = |salt| {
            let (store, identity) = Store::in_memory(&mut rng(salt)).expect("a store");
            let channel = RelayChannel::new(store, identity, rng(salt + 3), now, EPOCH, "somebody");
            let mut channel = channel.expect("a channel");
            channel.keep_spare_lines();
            Client {
                channel,
                lines: HashMap::new(),
                opening: Vec::new(),
                deadline: Some(now),
                link: None,
            }
        };
        let mut post = Self {
            now,
            one_way,
            mailbox: Mailbox::new(store, Limits::default(), rng(0), now, EPOCH),
            people: [client(1), client(2)],
            flights: BTreeMap::new(),
            count: 0,
            arrived: VecDeque::new(),
        };
        post.befriend();
        post.run(post.now + REST);
        post
    }

    fn befriend(&mut self) {
        let url = ServerUrl::new("relay.test", 4433, [1; 32]).expect("a good address");
        let server = Some(url);
        self.input(0, ChannelInput::Command(ChannelCommand::Invite { server }));
        let end = self.now + SETTLE_MAX;
        while self.people[0].link.is_none() && self.now < end {
            self.run(self.now + self.one_way);
        }
        let link = self.people[0].link.take().expect("a link");
        self.input(1, ChannelInput::Command(ChannelCommand::Add { link }));
        self.run(end);
        for person in &self.people {
            let contacts = person.channel.contacts().expect("a store that works");
            assert_eq!(contacts.len(), 1, "each other");
            assert_eq!(contacts[0].state, ContactState::Ready);
        }
    }

    /// One person says something to the other.
    pub(super) fn send(&mut self, now: Instant, from: usize, message: &Message) {
        self.now = self.now.max(now);
        let payload = message.write([0; 12]).expect("a message fits");
        let contacts = self.people[from].channel.contacts();
        let contact = contacts.expect("a store that works")[0].id;
        let command = ChannelCommand::Send { contact, payload };
        self.input(from, ChannelInput::Command(command));
    }

    /// Lets time pass until the callee has heard of the call, and says when that is.
    pub(super) fn deliver_invitation(&mut self, invitation: Invitation) -> (Invitation, Instant) {
        self.send(self.now, 0, &Message::Invitation(invitation));
        loop {
            match self.arrive() {
                Some((1, Message::Invitation(invitation))) => return (invitation, self.now),
                Some(_) => panic!("a call begins with an invitation"),
                None => self.run(self.next().expect("it is under way")),
            }
        }
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Instant> {
        let flight = self.flights.keys().next().map(|(at, _)| *at);
        let deadlines = self.people.iter().filter_map(|person| person.deadline);
        flight.into_iter().chain(deadlines).min()
    }

    /// What has arrived, and for whom.
    pub(super) fn arrive(&mut self) -> Option<(usize, Message)> {
        self.arrived.pop_front()
    }

    /// Lets everything happen that is due by then.
    pub(super) fn run(&mut self, until: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            match self.flights.first_key_value() {
                Some((key, _)) if key.0 <= self.now => {
                    let flight = self.flights.pop_first();
                    self.land(flight.expect("looked").1);
                }
                _ => {
                    for person in 0..2 {
                        if self.people[person]
                            .deadline
                            .is_some_and(|at| at <= self.now)
                        {
                            self.input(person, ChannelInput::Timeout);
                        }
                    }
                }
            }
        }
        self.now = self.now.max(until);
    }

    fn fly(&mut self, ways: u32, flight: Flight) {
        self.count += 1;
        let key = (self.now + self.one_way * ways, self.count);
        self.flights.insert(key, flight);
    }

    fn input(&mut self, person: usize, input: ChannelInput<'_>) {
        self.people[person].channel.handle_input(self.now, input);
        loop {
            let state = &mut self.people[person];
            match state.channel.poll_output() {
                ChannelOutput::Connect { server, .. } => {
                    let connection = ConnectionId(self.count);
                    state.lines.insert(server, connection);
                    state.opening.push(connection);
                    // Its last way back is that of the relay's first word.
                    self.fly(2 * ROUNDS_TO_OPEN - 1, Flight::Open(person, connection));
                }
                ChannelOutput::Disconnect { server } => {
                    if let Some(connection) = state.lines.remove(&server) {
                        self.fly(1, Flight::Close(connection));
                    }
                }
                ChannelOutput::Transmit { server, bytes } => {
                    if let Some(connection) = state.lines.get(&server).copied() {
                        self.fly(1, Flight::ToRelay(connection, bytes));
                    }
                }
                ChannelOutput::Event(ChannelEvent::InviteReady { link, .. }) => {
                    state.link = Some(link);
                }
                ChannelOutput::Event(ChannelEvent::Message { payload, .. }) => {
                    let message = Message::parse(&payload).expect("a message of ours");
                    self.arrived.push_back((person, message));
                }
                ChannelOutput::Event(_) => {}
                ChannelOutput::Timeout(deadline) => {
                    state.deadline = deadline;
                    return;
                }
            }
        }
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Open(person, connection) => {
                let address = AddressKey(person as u64);
                self.relay(Input::Opened {
                    connection,
                    address,
                });
            }
            Flight::ToRelay(connection, bytes) => {
                let bytes = &bytes;
                self.relay(Input::Frame { connection, bytes });
            }
            Flight::Close(connection) => self.relay(Input::Closed { connection }),
            Flight::ToPerson(connection, bytes) => self.hear(connection, &bytes),
        }
    }

    fn relay(&mut self, input: Input<'_>) {
        self.mailbox.handle_input(self.now, input);
        loop {
            match self.mailbox.poll_output() {
                Output::Transmit { connection, bytes } => {
                    self.fly(1, Flight::ToPerson(connection, bytes));
                }
                Output::Close { reason, .. } => panic!("the relay found garbage: {reason}"),
                Output::Timeout(_) => return,
            }
        }
    }

    fn hear(&mut self, connection: ConnectionId, bytes: &[u8]) {
        for person in 0..2 {
            let state = &mut self.people[person];
            let line = state.lines.iter().find(|(_, known)| **known == connection);
            let Some(server) = line.map(|(server, _)| *server) else {
                continue;
            };
            let before = state.opening.len();
            state.opening.retain(|known| *known != connection);
            if state.opening.len() < before {
                self.input(person, ChannelInput::Connected { server });
            }
            self.input(person, ChannelInput::Frame { server, bytes });
        }
    }
}

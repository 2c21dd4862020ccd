//! The `net` thread: everything that talks to servers. Shell around [`RelayChannel`], which decides; here are only
//! sockets, TLS, timers, and the two bounded queues that join this thread to the others.
//!
//! A server that is down or goes away is an event and a pause, never an end: calls go from peer to peer.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use hullo_proto::group::id::Identity;
use hullo_proto::group::key::ClientKey;
use hullo_proto::service::turn::TurnGrant;
use hullo_signalling::channel::{
    Channel, ChannelCommand, ChannelError, ChannelEvent, ChannelInput, ChannelOutput, Contact,
    ContactId, Own, ServerId,
};
use hullo_signalling::group::Group;
use hullo_signalling::history::{EntryId, HistoryEntry, Unseen};
use hullo_signalling::lobby::{LobbyCommand, LobbyEvent};
use hullo_signalling::relay_channel::RelayChannel;
use hullo_signalling::server_url::ServerUrl;
use hullo_signalling::store::Store;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::conversation::PAGE_ENTRIES;
use crate::profile::Profile;
use line::{Line, LineEvent};
use lobby::{Answered, Lobby};

mod https;
mod line;
mod lobby;
#[cfg(test)]
mod tests;
pub mod tls;
mod turn;

/// Commands waiting for the thread. A person gives a few a second, a call's set-up about twenty at once.
const COMMANDS_MAX: usize = 256;
/// Whoever gives commands faster than they are carried out, a script mostly, waits this long before it is told.
const BUSY_TIME_MAX: Duration = Duration::from_secs(3);
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// What sockets reported and the machine has not seen; beyond it they read no further.
const LINE_EVENTS_MAX: usize = 64;
/// How long messages under way are waited for at the end: a farewell should still leave.
const FAREWELL_TIME_MAX: Duration = Duration::from_millis(1500);
/// How long a question to the thread may take; it never does anything slow.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What the thread tells.
pub enum NetEvent {
    /// First of all: who we are and whom we know.
    Ready {
        /// What others see of us.
        own: Own,
        /// Everybody, by name.
        contacts: Vec<Contact>,
        /// Those we are in.
        groups: Vec<Group>,
    },
    /// From the channel, in its order.
    Channel(ChannelEvent),
    /// Entries asked for by [`Net::read_history`].
    History {
        /// Whose.
        contact: ContactId,
        /// They end before this one.
        before: Option<EntryId>,
        /// The oldest first.
        entries: Vec<HistoryEntry>,
    },
    /// What nobody has seen, at the start and after every change.
    Unseen(BTreeMap<ContactId, Unseen>),
    /// About group calls, from outside of them.
    Lobby(LobbyEvent),
    /// TURN servers for calls, asked for by [`Net::ask_turn`]; `None`: our server has none to give.
    Turn(Option<TurnGrant>),
}

/// Why the thread did not start or does not listen.
#[derive(Debug, Error)]
pub enum NetError {
    /// The profile's database, mostly.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The system gave no randomness, no thread or no runtime.
    #[error("the network thread cannot start: {0}")]
    Start(String),
    /// Hundreds of commands wait: somebody sends without end.
    #[error("the network thread is busy, try again")]
    Busy,
    /// It ended: the program is about to.
    #[error("the network thread has ended")]
    Ended,
}

/// Whether the server at `url` answers and holds its key; the time by its clock, if it says so.
///
/// # Errors
/// Why not, in words.
pub async fn date_of(url: &ServerUrl) -> Result<Option<SystemTime>, String> {
    https::date_of(url).await
}

type Entries = Result<Vec<HistoryEntry>, NetError>;

enum Ask {
    Command(ChannelCommand),
    Lobby(LobbyCommand),
    Contacts(SyncSender<Result<Vec<Contact>, ChannelError>>),
    Own(SyncSender<Result<Own, ChannelError>>),
    Entries(Option<ContactId>, usize, SyncSender<Entries>),
    History(ContactId, Option<EntryId>),
    Groups(SyncSender<Result<Vec<Group>, ChannelError>>),
    AddressesLost,
    Turn,
    Stop,
}

/// The running thread. Dropping it ends the thread after what is under way has left, within a moment.
pub struct Net {
    asks: mpsc::Sender<Ask>,
    thread: Option<JoinHandle<()>>,
}

impl Net {
    /// Opens the profile's store and starts. `on_event` is told [`NetEvent::Ready`] before this returns; then it
    /// runs on the thread: it must pass on and return, and must neither ask this handle nor drop it.
    ///
    /// # Errors
    /// [`NetError::Channel`] for a store that cannot be used, [`NetError::Start`] for the system's own failures.
    pub fn start(
        profile: &Profile,
        on_event: impl FnMut(NetEvent) + Send + 'static,
    ) -> Result<Self, NetError> {
        let (mut channel, seeds) = open_channel(profile)?;
        channel.keep_spare_lines();
        Self::run(channel, Some(seeds), Box::new(on_event))
    }

    /// As [`Self::start`], for a program that does an errand and ends: payloads that come meanwhile are no events, they
    /// stay in the store for the next program that is started to read them.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_for_errand(
        profile: &Profile,
        on_event: impl FnMut(NetEvent) + Send + 'static,
    ) -> Result<Self, NetError> {
        let (mut channel, _) = open_channel(profile)?;
        channel.leave_messages();
        Self::run(channel, None, Box::new(on_event))
    }

    /// `lobby_rng`: for group calls, which an errand does not look after.
    fn run(
        channel: RelayChannel,
        lobby_rng: Option<ChaCha20Rng>,
        on_event: Box<dyn FnMut(NetEvent) + Send>,
    ) -> Result<Self, NetError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| NetError::Start(error.to_string()))?;
        let (asks, inbox) = mpsc::channel(COMMANDS_MAX);
        let lobby = lobby_rng.map(|rng| Lobby::new(&channel, Instant::now(), epoch(), rng));
        let (lobby, answers) = lobby.transpose()?.unzip();
        let mut shell = Shell::new(channel, lobby, on_event);
        // Before anybody can ask: a command that comes at once finds contacts and groups known.
        shell.tell_ready();
        let thread = std::thread::Builder::new()
            .name("net".to_owned())
            .spawn(move || runtime.block_on(shell.run(inbox, answers)))
            .map_err(|error| NetError::Start(error.to_string()))?;
        Ok(Self {
            asks,
            thread: Some(thread),
        })
    }

    /// Passes a command on; what comes of it is an event.
    ///
    /// # Errors
    /// [`NetError::Busy`], [`NetError::Ended`].
    pub fn command(&self, command: ChannelCommand) -> Result<(), NetError> {
        self.ask(Ask::Command(command))
    }

    /// Passes a wish about group calls on; what comes of it is [`NetEvent::Lobby`]. Nothing does in a program on an errand.
    ///
    /// # Errors
    /// [`NetError::Busy`], [`NetError::Ended`].
    pub fn lobby(&self, command: LobbyCommand) -> Result<(), NetError> {
        self.ask(Ask::Lobby(command))
    }

    /// Asks our server for TURN servers: [`NetEvent::Turn`].
    ///
    /// # Errors
    /// [`NetError::Busy`], [`NetError::Ended`].
    pub fn ask_turn(&self) -> Result<(), NetError> {
        self.ask(Ask::Turn)
    }

    /// The machine lost addresses: connections to servers are made anew.
    ///
    /// # Errors
    /// [`NetError::Busy`], [`NetError::Ended`].
    pub fn addresses_lost(&self) -> Result<(), NetError> {
        self.ask(Ask::AddressesLost)
    }

    /// Everybody, by name, as of now.
    ///
    /// # Errors
    /// The store's, or [`NetError::Busy`], [`NetError::Ended`].
    pub fn contacts(&self) -> Result<Vec<Contact>, NetError> {
        let (reply, answer) = sync_channel(1);
        self.ask(Ask::Contacts(reply))?;
        Ok(answer
            .recv_timeout(ANSWER_TIME_MAX)
            .map_err(|_| NetError::Ended)??)
    }

    /// The newest entries of one conversation or of all, the oldest of them first.
    ///
    /// # Errors
    /// The store's, or [`NetError::Busy`], [`NetError::Ended`].
    pub fn history(&self, contact: Option<ContactId>, limit: usize) -> Entries {
        let (reply, answer) = sync_channel(1);
        self.ask(Ask::Entries(contact, limit, reply))?;
        answer
            .recv_timeout(ANSWER_TIME_MAX)
            .map_err(|_| NetError::Ended)?
    }

    /// Asks for a page of a conversation without waiting for it: it comes as [`NetEvent::History`].
    ///
    /// # Errors
    /// [`NetError::Busy`], [`NetError::Ended`].
    pub fn read_history(
        &self,
        contact: ContactId,
        before: Option<EntryId>,
    ) -> Result<(), NetError> {
        self.ask(Ask::History(contact, before))
    }

    /// What others see of us.
    ///
    /// # Errors
    /// The store's, or [`NetError::Busy`], [`NetError::Ended`].
    pub fn own(&self) -> Result<Own, NetError> {
        let (reply, answer) = sync_channel(1);
        self.ask(Ask::Own(reply))?;
        Ok(answer
            .recv_timeout(ANSWER_TIME_MAX)
            .map_err(|_| NetError::Ended)??)
    }

    /// The groups we are in, as of now.
    ///
    /// # Errors
    /// The store's, or [`NetError::Busy`], [`NetError::Ended`].
    pub fn groups(&self) -> Result<Vec<Group>, NetError> {
        let (reply, answer) = sync_channel(1);
        self.ask(Ask::Groups(reply))?;
        Ok(answer
            .recv_timeout(ANSWER_TIME_MAX)
            .map_err(|_| NetError::Ended)??)
    }

    /// Ends the thread and waits for it: as dropping does, said aloud.
    pub fn shutdown(self) {
        drop(self);
    }

    fn ask(&self, ask: Ask) -> Result<(), NetError> {
        let end = Instant::now() + BUSY_TIME_MAX;
        let mut ask = ask;
        loop {
            ask = match self.asks.try_send(ask) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(ask)) if Instant::now() < end => ask,
                Err(mpsc::error::TrySendError::Full(_)) => return Err(NetError::Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(NetError::Ended),
            };
            std::thread::sleep(BUSY_PAUSE);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Full: the thread sees the closed queue after the commands in it.
        let _ = self.asks.try_send(Ask::Stop);
        let (closed, _) = mpsc::channel(1);
        self.asks = closed;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the network thread panicked");
        }
    }
}

/// The time since 1970.
fn epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The channel, and a generator for another machine.
fn open_channel(profile: &Profile) -> Result<(RelayChannel, ChaCha20Rng), NetError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| NetError::Start(error.to_string()))?;
    let mut rng = ChaCha20Rng::from_seed(*seed);
    let spare = ChaCha20Rng::from_rng(&mut rng);
    let (store, identity) =
        Store::open(&profile.store_path(), &mut rng).map_err(ChannelError::from)?;
    let now = Instant::now().into_std();
    let name = std::env::var("USER").unwrap_or_default();
    let channel = RelayChannel::new(store, identity, rng, now, epoch(), &name)?;
    Ok((channel, spare))
}

struct Shell {
    channel: RelayChannel,
    lobby: Option<Lobby>,
    on_event: Box<dyn FnMut(NetEvent) + Send>,
    lines: HashMap<ServerId, Line>,
    reports: mpsc::Sender<(u64, LineEvent)>,
    inbox: Option<mpsc::Receiver<(u64, LineEvent)>>,
    /// Tells the lines of one server apart: what an old one reports late is not about the new one.
    next_line: u64,
}

impl Shell {
    fn new(
        channel: RelayChannel,
        lobby: Option<Lobby>,
        on_event: Box<dyn FnMut(NetEvent) + Send>,
    ) -> Self {
        let (reports, inbox) = mpsc::channel(LINE_EVENTS_MAX);
        Self {
            channel,
            lobby,
            on_event,
            lines: HashMap::new(),
            reports,
            inbox: Some(inbox),
            next_line: 1,
        }
    }

    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        answers: Option<mpsc::Receiver<Answered>>,
    ) {
        // Without a lobby there is nobody who would answer.
        let mut answers = answers.unwrap_or_else(|| mpsc::channel(1).1);
        self.tell_unseen();
        let Some(mut reports) = self.inbox.take() else {
            return;
        };
        let mut farewell: Option<Instant> = None;
        // The machine is drained before its first change too: messages may wait in its inbox.
        let mut deadline = self.drain();
        loop {
            if farewell.is_some_and(|until| until <= Instant::now() || !self.channel.is_sending()) {
                return;
            }
            let wake = [deadline, farewell].into_iter().flatten().min();
            tokio::select! {
                ask = asks.recv(), if farewell.is_none() => match ask {
                    Some(Ask::Stop) | None => farewell = Some(Instant::now() + FAREWELL_TIME_MAX),
                    Some(ask) => self.ask(ask),
                },
                Some(answered) = answers.recv() => {
                    if let Some(lobby) = &mut self.lobby {
                        lobby.answered(Instant::now(), answered);
                    }
                }
                report = reports.recv() => match report {
                    Some((number, event)) => self.report(number, event),
                    None => return,
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.input(ChannelInput::Timeout);
                    if let Some(lobby) = &mut self.lobby {
                        lobby.time_out(Instant::now());
                    }
                }
            }
            deadline = self.drain();
        }
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Command(command) => self.input(ChannelInput::Command(command)),
            Ask::Lobby(command) => {
                if let Some(lobby) = &mut self.lobby {
                    lobby.command(Instant::now(), command);
                }
            }
            // Whoever asked and left does not miss the answer.
            Ask::Contacts(reply) => drop(reply.try_send(self.channel.contacts())),
            Ask::Groups(reply) => drop(reply.try_send(self.channel.groups())),
            Ask::Own(reply) => drop(reply.try_send(self.channel.own())),
            Ask::Entries(contact, limit, reply) => {
                let entries = self.channel.history(contact, None, limit);
                drop(reply.try_send(entries.map_err(NetError::from)));
            }
            Ask::History(contact, before) => self.tell_history(contact, before),
            Ask::AddressesLost => self.connect_anew(),
            Ask::Turn => self.ask_turn(),
            // The loop's own.
            Ask::Stop => {}
        }
    }

    fn tell_history(&mut self, contact: ContactId, before: Option<EntryId>) {
        match self.channel.history(Some(contact), before, PAGE_ENTRIES) {
            Ok(entries) => (self.on_event)(NetEvent::History {
                contact,
                before,
                entries,
            }),
            Err(error) => tracing::error!(%error, "a conversation could not be read"),
        }
    }

    fn tell_unseen(&mut self) {
        match self.channel.unseen() {
            Ok(unseen) => (self.on_event)(NetEvent::Unseen(unseen)),
            Err(error) => tracing::error!(%error, "what is unseen could not be counted"),
        }
    }

    fn tell_ready(&mut self) {
        match self.ready() {
            Ok(ready) => (self.on_event)(ready),
            Err(error) => tracing::error!(%error, "the store failed at the start"),
        }
    }

    fn ready(&self) -> Result<NetEvent, ChannelError> {
        Ok(NetEvent::Ready {
            own: self.channel.own()?,
            contacts: self.channel.contacts()?,
            groups: self.channel.groups()?,
        })
    }

    fn input(&mut self, input: ChannelInput<'_>) {
        self.channel.handle_input(Instant::now().into_std(), input);
    }

    /// Connections from an address that the machine no longer has would only be missed after a minute.
    fn connect_anew(&mut self) {
        let servers: Vec<ServerId> = self.lines.drain().map(|(server, _)| server).collect();
        for server in servers {
            let reason = "the addresses of this machine have changed".to_owned();
            self.input(ChannelInput::Disconnected { server, reason });
            // One change, then drained.
            self.drain_channel();
        }
    }

    /// From the first of our servers; the answer is a report of its line.
    fn ask_turn(&mut self) {
        let Some(line) = self.lines.values().min_by_key(|line| line.number) else {
            return (self.on_event)(NetEvent::Turn(None));
        };
        let own = self.channel.identity();
        let identity = Identity::try_from(own.key_set().short_id().as_str())
            .expect("eight letters of base32 are an identity");
        let key = ClientKey::from_bytes(own.x25519().to_bytes());
        let (number, url, reports) = (line.number, line.url.clone(), self.reports.clone());
        let now = Instant::now().into_std();
        tokio::spawn(async move {
            let grant = turn::ask(now, &url, identity, key).await;
            // Nobody listens any more when the program ends.
            let _ended = reports.send((number, LineEvent::Turn(grant))).await;
        });
    }

    fn report(&mut self, number: u64, event: LineEvent) {
        if let LineEvent::Turn(grant) = event {
            return (self.on_event)(NetEvent::Turn(grant));
        }
        let server = self
            .lines
            .iter()
            .find(|(_, line)| line.number == number)
            .map(|(id, _)| *id);
        let Some(server) = server else { return };
        match event {
            LineEvent::Connected => self.input(ChannelInput::Connected { server }),
            LineEvent::Frame(bytes) => self.input(ChannelInput::Frame {
                server,
                bytes: &bytes,
            }),
            // Taken above: its line may be gone.
            LineEvent::Turn(_) => {}
            LineEvent::Ended(reason) => {
                self.lines.remove(&server);
                self.input(ChannelInput::Disconnected { server, reason });
            }
        }
    }

    /// Does what both machines say, each of which may ask something of the other, until both say when to come back.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let channel = self.drain_channel();
            let Some(lobby) = &mut self.lobby else {
                return channel;
            };
            let mut commands = Vec::new();
            let tell = |event| (self.on_event)(NetEvent::Lobby(event));
            let own = lobby.drain(|command| commands.push(command), tell);
            if commands.is_empty() {
                return [channel, own].into_iter().flatten().min();
            }
            for command in commands {
                self.input(ChannelInput::Command(command));
                // One change, then drained.
                self.drain_channel();
            }
        }
    }

    fn drain_channel(&mut self) -> Option<Instant> {
        let mut has_changed = false;
        loop {
            match self.channel.poll_output() {
                ChannelOutput::Connect { server, url } => {
                    let number = self.next_line;
                    self.next_line += 1;
                    self.lines
                        .insert(server, Line::open(number, url, self.reports.clone()));
                }
                ChannelOutput::Disconnect { server } => drop(self.lines.remove(&server)),
                ChannelOutput::Transmit { server, bytes } => {
                    if let Some(line) = self.lines.get(&server) {
                        line.send(bytes);
                    }
                }
                ChannelOutput::Event(event) => {
                    has_changed |= matches!(
                        event,
                        ChannelEvent::History { .. }
                            | ChannelEvent::HistoryRemoved { .. }
                            | ChannelEvent::Seen { .. }
                            | ChannelEvent::ContactRemoved { .. }
                    );
                    if let (Some(lobby), ChannelEvent::Group(event)) = (&mut self.lobby, &event) {
                        lobby.group_event(Instant::now(), event);
                    }
                    (self.on_event)(NetEvent::Channel(event));
                }
                ChannelOutput::Timeout(deadline) => {
                    if has_changed {
                        self.tell_unseen();
                    }
                    return deadline.map(Instant::from_std);
                }
            }
        }
    }
}

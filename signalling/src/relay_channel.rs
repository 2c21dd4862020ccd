//! The channel over relays: queues, links and ratchets, as one machine without a socket.
//!
//! ```text
//! Ann: Invite        CREATE queue a          -> link (queue a, key set, one-time key)
//! Bob: Add(link)     CREATE queue b, SECURE a, SEND to a: greeting (key set, queue b)     contact, pending
//! Ann: greeting      SECURE b, SEND to b: welcome                                         contact, ready
//! Bob: welcome                                                                            contact, ready
//! ```
//!
//! A contact's keys come from the link (Bob has Ann's) or from the greeting sealed to it (Ann has Bob's); from then on
//! whole key sets are compared. Each contact's oldest unconfirmed blocks are under way, over one connection and
//! from the oldest on again after a reconnect or a refusal, so order survives both. What cannot be opened is acknowledged, counted and dropped: it would only come again.
//!
//! Every connection is for one queue (`server::Purpose`): reading connections stand, writing ones are made when there
//! is something to write.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use crate::channel::{
    Channel, ChannelCommand, ChannelError, ChannelEvent, ChannelInput, ChannelOutput, Contact,
    ContactId, Own, ServerId, Wish,
};
use crate::group::Group;
use crate::history::{EntryId, HistoryEntry, Unseen};
use crate::identity::Identity;
use crate::name;
use crate::server_url::ServerUrl;
use crate::store::{NAME, QueueUse, SERVER, Store, StoreError};
use codes::Codes;
use server::{Purpose, Server, State, Task};
use trouble::Trouble;

mod codes;
mod contacts;
mod groups;
mod history;
mod letters;
mod messages;
mod people;
mod requests;
mod server;
mod spares;
mod trouble;
mod withdraw;

/// How long a user waits for a link to be made or used before being told that the server does not answer.
const TASK_TIME_MAX: Duration = Duration::from_secs(15);
/// Connections to one server being made at once: below the handshakes that a relay takes of one address, others behind
/// which may be making some too.
const OPENINGS_MAX: usize = 8;
/// A connection that had to wait for others looks again after this.
const OPENING_PAUSE: Duration = Duration::from_millis(50);
/// Where a copy of the profile reads nothing more is done; looked at again only so that nothing spins.
const COPIED_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// Expired invitations are looked for this often; they are good for days.
const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The machine; see the module.
pub struct RelayChannel {
    store: Store,
    identity: Identity,
    rng: ChaCha20Rng,
    now: Instant,
    /// Time since 1970 at `started`.
    epoch: Duration,
    started: Instant,
    purge_at: Instant,
    servers: BTreeMap<ServerId, Server>,
    next_server: u32,
    /// Connections that make a queue, or speak to a stranger, so far.
    next_line: u32,
    /// What the program was told last of each server.
    told: BTreeMap<ServerUrl, Option<Trouble>>,
    /// Servers at which a copy of this profile reads: nothing more is done there.
    copied: BTreeSet<ServerUrl>,
    codes: Codes,
    letters: letters::Letters,
    spares: spares::Spares,
    outputs: VecDeque<Queued>,
    /// Inbox messages given out by the last poll: taken over once there is a next one.
    given: Vec<i64>,
    counts: Counts,
    /// Payloads are for another program than this one.
    leaves_messages: bool,
    /// Calls that have not connected, and when they are given up; at most a few for each contact.
    rings: BTreeMap<EntryId, Instant>,
    groups: groups::Groups,
}

/// How often things happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks that came a second time.
    pub repeated: u64,
    /// Blocks that could not be opened, or held what no Hullo sends.
    pub unopened: u64,
    /// Messages that a contact sent and that never came.
    pub missing: u64,
}

enum Queued {
    Output(ChannelOutput),
    /// An event that is also in the inbox.
    Message {
        inbox: i64,
        event: ChannelEvent,
    },
}

impl RelayChannel {
    /// The channel of a profile. `epoch` is the time since 1970 at `now`; `default_name` is used until a name is set.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    pub fn new(
        store: Store,
        identity: Identity,
        rng: ChaCha20Rng,
        now: Instant,
        epoch: Duration,
        default_name: &str,
    ) -> Result<Self, ChannelError> {
        let mut channel = Self {
            store,
            identity,
            rng,
            now,
            epoch,
            started: now,
            purge_at: now,
            servers: BTreeMap::new(),
            next_server: 1,
            next_line: 1,
            told: BTreeMap::new(),
            copied: BTreeSet::new(),
            codes: Codes::default(),
            letters: letters::Letters::default(),
            spares: spares::Spares::default(),
            outputs: VecDeque::new(),
            given: Vec::new(),
            counts: Counts::default(),
            leaves_messages: false,
            rings: BTreeMap::new(),
            groups: groups::Groups::default(),
        };
        if channel.store.rows().setting(NAME)?.is_none() {
            let name = name::clean(default_name).unwrap_or_else(|| "somebody".to_owned());
            channel.store.rows().set_setting(NAME, &name)?;
        }
        // Before the lines are chosen: it may leave something to be sent.
        channel.close_left_open()?;
        for queue in channel.store.rows().all_inbound()? {
            if matches!(queue.used_for, QueueUse::Letter { .. }) {
                continue;
            }
            channel.line(&queue.server, Purpose::Read(queue.recipient));
        }
        for queue in channel.store.rows().all_outbound()? {
            if channel.has_to_write(queue.contact)? {
                channel.line(&queue.server, Purpose::Send(queue.contact));
            }
        }
        channel.repeat_inbox()?;
        channel.repeat_group_calls()?;
        channel.repeat_words()?;
        Ok(channel)
    }

    /// From now on payloads are received and stay in the store, for the next program that takes them: for short
    /// errands that make a link or list contacts and would not know what to do with a call.
    pub fn leave_messages(&mut self) {
        self.leaves_messages = true;
        self.outputs
            .retain(|queued| matches!(queued, Queued::Output(_)));
    }

    /// Our keys, for what is signed with them.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether a message is on its way to a relay that answers: a program about to end may wait for it a moment.
    pub fn is_sending(&self) -> bool {
        let busy = |server: &Server| {
            let has_work = !(server.in_flight.is_empty() && server.work.is_empty());
            match server.state {
                State::Up { .. } => has_work,
                State::Opening { .. } => matches!(server.purpose, Purpose::Send(_)),
                State::Pausing { .. } => false,
            }
        };
        self.servers.values().any(busy) || self.is_sending_to_groups()
    }

    /// How often things happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was opened and never taken over: the program died in between.
    fn repeat_inbox(&mut self) -> Result<(), StoreError> {
        let clock = self.clock();
        for message in self.store.rows().inbox()? {
            let event = ChannelEvent::Message {
                contact: message.contact,
                payload: message.payload,
                sent_ago: clock.saturating_sub(message.sent),
            };
            self.outputs.push_back(Queued::Message {
                inbox: message.id,
                event,
            });
        }
        Ok(())
    }

    /// Since 1970.
    fn clock(&self) -> Duration {
        self.epoch + self.now.saturating_duration_since(self.started)
    }

    /// The connection to this URL for this purpose; makes one that is not there yet.
    fn line(&mut self, url: &ServerUrl, purpose: Purpose) -> ServerId {
        let fits = |server: &Server| server.purpose == purpose && server.url == *url;
        if let Some((id, _)) = self.servers.iter().find(|(_, server)| fits(server)) {
            return *id;
        }
        if let Purpose::Send(_) = purpose
            && let Some(id) = self.take_spare(url, purpose)
        {
            return id;
        }
        let id = ServerId(self.next_server);
        self.next_server += 1;
        let server = Server::new(url.clone(), purpose, self.now);
        self.servers.insert(id, server);
        id
    }

    fn line_number(&mut self) -> u32 {
        self.next_line += 1;
        self.next_line
    }

    /// Whether blocks, or our key, still have to go to this contact's relay.
    fn has_to_write(&self, contact: ContactId) -> Result<bool, StoreError> {
        let rows = self.store.rows();
        let is_secured = (rows.outbound(contact)?).is_none_or(|queue| queue.secured);
        Ok(!is_secured || rows.outbox_length(contact)? > 0)
    }

    fn event(&mut self, event: ChannelEvent) {
        self.outputs
            .push_back(Queued::Output(ChannelOutput::Event(event)));
    }

    fn fail(&mut self, what: Wish, reason: impl Into<ChannelError>) {
        self.event(ChannelEvent::Failed {
            what,
            reason: reason.into(),
        });
    }

    fn output(&mut self, output: ChannelOutput) {
        self.outputs.push_back(Queued::Output(output));
    }

    /// Leaves a connection that is for nothing any more.
    fn retire(&mut self, id: ServerId) {
        let Some(server) = self.servers.get(&id) else {
            return;
        };
        if !server.tasks.is_empty() || !server.asked.is_empty() {
            return;
        }
        let is_needed = match server.purpose {
            Purpose::Make(_) => Ok(false),
            Purpose::Read(recipient) => (self.store.rows().inbound(recipient)).map(|queue| {
                queue.is_some_and(|queue| !matches!(queue.used_for, QueueUse::Letter { .. }))
            }),
            // One that stands is kept a while: more may be said.
            Purpose::Send(contact) => match server.state {
                State::Pausing { .. } => self.has_to_write(contact),
                _ => (self.store.rows().outbound(contact)).map(|queue| queue.is_some()),
            },
            Purpose::Spare => self.wants_spare(&server.url),
            Purpose::Speak(line) => Ok(self.codes.speaks_over(line)),
            Purpose::Leave(line) => Ok(self.letters.is_leaving(line)),
            Purpose::Fetch(line) => Ok(self.letters.is_fetching(line)),
        };
        // A store that fails here will be heard of elsewhere.
        if !is_needed.unwrap_or(true) {
            self.close(id);
        }
    }

    fn close(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(&id)
            && !matches!(server.state, State::Pausing { .. })
        {
            self.output(ChannelOutput::Disconnect { server: id });
        }
    }

    fn command(&mut self, command: ChannelCommand) {
        match command {
            ChannelCommand::Invite { server } => self.invite(server, false),
            ChannelCommand::InviteCode { server } => self.invite(server, true),
            ChannelCommand::Add { link } => self.add(&link),
            ChannelCommand::Send { contact, payload } => {
                if let Err(reason) = self.send(contact, payload) {
                    self.fail(Wish::Send(contact), reason);
                }
            }
            ChannelCommand::SendText { contact, text } => {
                if let Err(reason) = self.send_text(contact, &text) {
                    self.fail(Wish::Send(contact), reason);
                }
            }
            ChannelCommand::CallOutcome {
                contact,
                call_id,
                progress,
            } => {
                if let Err(reason) = self.note_progress(contact, call_id, progress) {
                    self.fail(Wish::Set, reason);
                }
            }
            ChannelCommand::MarkSeen(contact) => {
                if let Err(reason) = self.mark_seen(contact) {
                    self.fail(Wish::Set, reason);
                }
            }
            ChannelCommand::SetName(name) => {
                if let Err(reason) = self.set_name(&name) {
                    self.fail(Wish::Set, reason);
                }
            }
            ChannelCommand::SetServer(url) => {
                if let Err(reason) = self.set(SERVER, &url.to_string()) {
                    self.fail(Wish::Set, reason);
                }
            }
            ChannelCommand::Withdraw => self.withdraw(),
            ChannelCommand::Group(command) => self.group_command(command),
            ChannelCommand::RemoveContact(contact) => {
                if let Err(reason) = self.remove(contact) {
                    self.fail(Wish::Remove(contact), reason);
                }
            }
            ChannelCommand::Person { contact, change } => {
                if let Err(reason) = self.change_person(contact, change) {
                    self.fail(Wish::Person(contact), reason);
                }
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ChannelError> {
        self.store.rows().set_setting(key, value)?;
        let own = self.own()?;
        self.event(ChannelEvent::OwnChanged(own));
        Ok(())
    }

    /// Everything whose time has come.
    fn run_timers(&mut self) {
        // What a user waits for is opened before what only waits for messages.
        let mut ids: Vec<ServerId> = self.servers.keys().copied().collect();
        ids.sort_by_key(
            |id| match self.servers.get(id).map(|server| server.purpose) {
                Some(Purpose::Spare) => 2,
                Some(Purpose::Read(_)) => 1,
                _ => 0,
            },
        );
        for id in ids {
            self.run_server_timers(id);
        }
        self.open_spares();
        self.end_rings();
        self.run_code_timers();
        self.run_letter_timers();
        if self.now >= self.purge_at {
            self.purge_at = self.now + PURGE_EVERY;
            if let Err(error) = self.close_expired() {
                tracing::error!(%error, "expired invitations could not be closed");
            }
        }
    }

    /// Whether enough connections to this server are being made already.
    fn is_crowded(&self, url: &ServerUrl) -> bool {
        let opening =
            |server: &&Server| matches!(server.state, State::Opening { .. }) && server.url == *url;
        self.servers.values().filter(opening).count() >= OPENINGS_MAX
    }

    fn run_server_timers(&mut self, id: ServerId) {
        let now = self.now;
        let url = self.servers.get(&id).map(|server| server.url.clone());
        let is_crowded = url.is_some_and(|url| self.is_crowded(&url));
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let due: Vec<ContactId> = server
            .held
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(id, _)| *id)
            .collect();
        for contact in due {
            server.held.remove(&contact);
            server.work.insert(contact);
        }
        let (late, tasks) = std::mem::take(&mut server.tasks)
            .into_iter()
            .partition(|task| task.by() <= now);
        server.tasks = tasks;
        let late: Vec<Task> = late;
        let (url, address) = (server.url.clone(), server.url.authority());
        match server.state {
            _ if server.is_idle(now) => self.close(id),
            State::Pausing { until } if until <= now && self.copied.contains(&server.url) => {
                server.state = State::Pausing {
                    until: now + COPIED_PAUSE,
                };
            }
            State::Pausing { until } if until <= now && is_crowded => {
                server.state = State::Pausing {
                    until: now + OPENING_PAUSE,
                };
            }
            State::Pausing { until } if until <= now => {
                server.open(now);
                self.output(ChannelOutput::Connect {
                    server: id,
                    url: url.clone(),
                });
            }
            State::Opening { until } if until <= now => self.give_up(id, "it does not answer"),
            State::Up { .. } if server.asked.values().any(|(_, until)| *until <= now) => {
                self.give_up(id, "it stopped answering");
            }
            _ => {}
        }
        for task in late {
            let (server, reason) = (address.clone(), "it does not answer".to_owned());
            self.fail_task(&url, task, ChannelError::Unreachable { server, reason });
        }
    }

    fn close_expired(&mut self) -> Result<(), StoreError> {
        let clock = self.clock();
        for queue in self.store.rows().all_inbound()? {
            let (QueueUse::Invitation { expires } | QueueUse::Letter { expires }) = queue.used_for
            else {
                continue;
            };
            if expires <= clock {
                self.store.rows().close_inbound(queue.recipient)?;
            }
        }
        self.delete_closing()
    }

    /// The events of the last drain were taken over.
    fn forget_given(&mut self) {
        for id in std::mem::take(&mut self.given) {
            // It stays in the inbox then, and is shown once more after a restart.
            if let Err(error) = self.store.rows().forget_in_inbox(id) {
                tracing::error!(%error, "a message could not be marked as taken");
            }
        }
    }
}

impl Channel for RelayChannel {
    fn handle_input(&mut self, now: Instant, input: ChannelInput<'_>) {
        self.now = now;
        match input {
            // The relay speaks first.
            ChannelInput::Connected { .. } | ChannelInput::Timeout => {}
            ChannelInput::Disconnected { server, reason } if self.groups.owns(server) => {
                self.group_line_lost(server, &reason);
            }
            ChannelInput::Disconnected { server, reason } => self.lost(server, reason.into()),
            ChannelInput::Frame { server, bytes } if self.groups.owns(server) => {
                self.take_group_frame(server, bytes);
            }
            ChannelInput::Frame { server, bytes } => {
                if let Err(reason) = self.frame(server, bytes) {
                    self.give_up(server, reason);
                }
            }
            ChannelInput::Command(command) => self.command(command),
        }
        self.run_timers();
        self.run_group_timers();
        self.drive_groups();
        self.ask_all();
    }

    fn poll_output(&mut self) -> ChannelOutput {
        self.forget_given();
        match self.outputs.pop_front() {
            Some(Queued::Output(output)) => output,
            Some(Queued::Message { inbox, event }) => {
                self.given.push(inbox);
                ChannelOutput::Event(event)
            }
            None => {
                let servers = self.servers.values().filter_map(Server::deadline);
                let others = [self.purge_at].into_iter().chain(self.next_ring_end());
                let others = others.chain(self.groups.deadline());
                let others = others.chain(self.codes.deadline());
                let others = others.chain(self.spares.deadline());
                let others = others.chain(self.letters.deadline());
                ChannelOutput::Timeout(servers.chain(others).min())
            }
        }
    }

    fn contacts(&self) -> Result<Vec<Contact>, ChannelError> {
        Ok(self.store.rows().contacts()?)
    }

    fn history(
        &self,
        contact: Option<ContactId>,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ChannelError> {
        Ok(self.store.rows().history(contact, before, limit)?)
    }

    fn unseen(&self) -> Result<BTreeMap<ContactId, Unseen>, ChannelError> {
        Ok(self.store.rows().unseen()?)
    }

    fn groups(&self) -> Result<Vec<Group>, ChannelError> {
        Ok(self.group_list()?)
    }

    fn own(&self) -> Result<Own, ChannelError> {
        let rows = self.store.rows();
        let server = rows.setting(SERVER)?.and_then(|url| url.parse().ok());
        let name = rows.setting(NAME)?.unwrap_or_default();
        Ok(Own {
            name,
            short_id: self.identity.key_set().short_id(),
            client_key: self.identity.key_set().x25519(),
            server,
            open_links: self.open_links()?,
        })
    }
}

//! Connections, commands to relays and their answers, for groups.

use std::time::Duration;

use hullo_proto::service::relay::{
    BLOCK_BYTES, Command, RecipientId, RefusedReason, Reply, SenderId, VERSION,
};
use rand::Rng;
use vodozemac::Ed25519SecretKey;
use zeroize::Zeroizing;

use super::super::RelayChannel;
use super::super::server::State;
use super::change::Opened;
use super::line::{Asked, Line, Purpose};
use super::list;
use crate::block::{self, SealKey};
use crate::channel::{ChannelError, ChannelOutput, ServerId, Wish};
use crate::group::record::Inbox;
use crate::group::{GroupNumber, MemberNumber};
use crate::server_url::ServerUrl;
use crate::store::{GroupInbox, Standing, StoreError};

/// Connections for writing at once: two large groups being told something. Others wait for one of these to be idle.
const WRITING_LINES_MAX: usize = 64;

impl RelayChannel {
    pub(in super::super) fn group_line_lost(&mut self, id: ServerId, reason: &str) {
        let now = self.now;
        let Some(line) = self.groups.lines.get_mut(&id) else {
            return;
        };
        let was_up = line.is_up();
        line.lost(now, &mut self.rng);
        self.groups.is_due = true;
        let first = line.failures == 1 && !was_up;
        let (server, purpose) = (line.url.authority(), line.purpose);
        if let (Purpose::Read(group), true) = (purpose, first) {
            let row = self.store.rows().group(group);
            let joins =
                row.is_ok_and(|row| row.is_some_and(|row| row.standing == Standing::Joining));
            if joins {
                let reason = reason.to_owned();
                let reason = ChannelError::Unreachable { server, reason };
                self.fail(Wish::Group(Some(group)), reason);
            }
        }
    }

    fn give_up_group_line(&mut self, id: ServerId, reason: &str) {
        self.output(ChannelOutput::Disconnect { server: id });
        self.group_line_lost(id, reason);
    }

    /// Everything whose time has come.
    pub(in super::super) fn run_group_timers(&mut self) {
        let now = self.now;
        let mut late = Vec::new();
        let mut open = Vec::new();
        for (id, line) in &mut self.groups.lines {
            if line.held.is_some_and(|until| until <= now) {
                line.held = None;
                self.groups.is_due = true;
            }
            let is_due = |until: Option<std::time::Instant>| until.is_some_and(|at| at <= now);
            self.groups.is_due |= is_due(line.idle_until()) || is_due(line.moved_until());
            match line.state {
                State::Pausing { until } if until <= now => {
                    line.open(now);
                    open.push((*id, line.url.clone()));
                }
                State::Opening { until } if until <= now => late.push((*id, "it does not answer")),
                State::Up { .. } if line.asked.values().any(|(_, until)| *until <= now) => {
                    late.push((*id, "it stopped answering"));
                }
                _ => {}
            }
        }
        for (server, url) in open {
            self.output(ChannelOutput::Connect { server, url });
        }
        for (id, reason) in late {
            self.give_up_group_line(id, reason);
        }
    }

    /// Whether messages to members are about to leave.
    pub(in super::super) fn is_sending_to_groups(&self) -> bool {
        self.groups.lines.values().any(|line| {
            matches!(line.purpose, Purpose::Write(_))
                && line.idle_since.is_none()
                && !matches!(line.state, State::Pausing { .. })
        })
    }

    /// Reads from the store what is to be done, and asks for it.
    pub(in super::super) fn drive_groups(&mut self) {
        if !std::mem::take(&mut self.groups.is_due) {
            return;
        }
        if let Err(error) = self.try_drive_groups() {
            // Tried again with the next thing that happens.
            self.groups.is_due = true;
            tracing::error!(%error, "work for groups could not be done");
        }
    }

    fn try_drive_groups(&mut self) -> Result<(), ChannelError> {
        self.state_inboxes()?;
        self.close_moved()?;
        let reading = self.reading_lines()?;
        let writing = self.writing_lines()?;
        self.leave_lines(&reading, &writing);
        for (purpose, url) in reading.into_iter().chain(writing) {
            self.open_line(purpose, url);
        }
        // Lines that are to be opened are opened now, not with the next event.
        self.run_group_timers();
        let ids: Vec<ServerId> = self.groups.lines.keys().copied().collect();
        for id in ids {
            self.ask_on_line(id)?;
        }
        self.groups.is_due = false;
        Ok(())
    }

    /// Where our inboxes are, and where a missing one is to be made.
    fn reading_lines(&self) -> Result<Vec<(Purpose, ServerUrl)>, ChannelError> {
        let inboxes = self.store.rows().group_inboxes()?;
        let mut wanted: Vec<_> = inboxes
            .iter()
            .map(|inbox| (Purpose::Read(inbox.group), inbox.inbox.server.clone()))
            .collect();
        let own = self.known_server()?;
        for group in self.store.rows().all_groups()? {
            if self.needs_inbox(group.number)? {
                let url = own.clone().unwrap_or(group.server);
                wanted.push((Purpose::Read(group.number), url));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }

    /// A new one after every removal: whoever went knows how to write to the one before.
    fn needs_inbox(&self, number: GroupNumber) -> Result<bool, StoreError> {
        let Some(group) = self.store.rows().group(number)?.filter(list::is_shown) else {
            return Ok(false);
        };
        let inboxes = self.store.rows().group_inboxes()?;
        Ok(!inboxes
            .iter()
            .any(|inbox| inbox.group == number && !inbox.closing && inbox.since >= group.removal))
    }

    fn writing_lines(&self) -> Result<Vec<(Purpose, ServerUrl)>, ChannelError> {
        let mut wanted = Vec::new();
        for member in self.store.rows().waiting_members()? {
            if let Some((inbox, stated)) = self.inbox_of(member)?
                && self.groups.lost.get(&member) != Some(&stated)
            {
                wanted.push((Purpose::Write(member), inbox.server));
            }
        }
        Ok(wanted)
    }

    /// A member's inbox and the number of the statement that names it.
    fn inbox_of(&self, member: MemberNumber) -> Result<Option<(Inbox, u64)>, StoreError> {
        let row = self.store.rows().member(member)?;
        let statement = row.and_then(|(_, row)| row.statement);
        Ok(statement.map(|statement| (statement.inbox, statement.number)))
    }

    /// Ends lines nothing is read from or written to any more.
    fn leave_lines(&mut self, reading: &[(Purpose, ServerUrl)], writing: &[(Purpose, ServerUrl)]) {
        let now = self.now;
        let is_crowded = self.groups.lines.len() >= WRITING_LINES_MAX;
        let mut leave = Vec::new();
        for (id, line) in &mut self.groups.lines {
            let here = (line.purpose, line.url.clone());
            let is_done = match line.purpose {
                Purpose::Read(_) => !reading.contains(&here) && line.asked.is_empty(),
                Purpose::Write(_) if writing.contains(&here) => {
                    line.idle_since = None;
                    false
                }
                Purpose::Write(_) if line.is_up() => {
                    let since = *line.idle_since.get_or_insert(now);
                    let has_moved = writing.iter().any(|(purpose, _)| *purpose == here.0);
                    has_moved
                        || is_crowded
                        || line.idle_until().is_some_and(|at| at <= now.max(since))
                }
                Purpose::Write(_) => true,
            };
            if is_done {
                leave.push(*id);
            }
        }
        for server in leave {
            self.groups.lines.remove(&server);
            self.output(ChannelOutput::Disconnect { server });
        }
    }

    fn open_line(&mut self, purpose: Purpose, url: ServerUrl) {
        let is_there =
            (self.groups.lines.values()).any(|line| line.purpose == purpose && line.url == url);
        let writing = (self.groups.lines.values())
            .filter(|line| matches!(line.purpose, Purpose::Write(_)))
            .filter(|line| !matches!(line.state, State::Pausing { .. }));
        let is_full = matches!(purpose, Purpose::Write(_)) && writing.count() >= WRITING_LINES_MAX;
        if is_there || is_full {
            return;
        }
        let id = ServerId(self.next_server);
        self.next_server += 1;
        let line = Line::new(purpose, url, self.now);
        self.groups.lines.insert(id, line);
    }

    fn ask_on_line(&mut self, id: ServerId) -> Result<(), ChannelError> {
        let Some(line) = self.groups.lines.get(&id) else {
            return Ok(());
        };
        if !line.is_up() || line.held.is_some() {
            return Ok(());
        }
        match line.purpose {
            Purpose::Read(group) => self.ask_as_group_reader(id, group),
            Purpose::Write(member) => self.ask_to_send(id, member),
        }
    }

    fn ask_as_group_reader(
        &mut self,
        id: ServerId,
        group: GroupNumber,
    ) -> Result<(), ChannelError> {
        let url = match self.groups.lines.get(&id) {
            Some(line) => line.url.clone(),
            None => return Ok(()),
        };
        let here = |inbox: &GroupInbox| inbox.group == group && inbox.inbox.server == url;
        let mut is_moving = false;
        for inbox in self
            .store
            .rows()
            .group_inboxes()?
            .iter()
            .filter(|i| here(i))
        {
            let recipient = inbox.recipient;
            let Some(line) = self.groups.lines.get(&id) else {
                return Ok(());
            };
            if inbox.closing {
                let is_asked = line
                    .awaits(|asked| matches!(asked, Asked::Delete(known) if *known == recipient));
                if !is_asked {
                    let command = Command::Delete { recipient };
                    self.ask_group(id, &inbox.secret, &command, Asked::Delete(recipient));
                }
                continue;
            }
            let is_read = line.subscribed.contains(&recipient);
            let is_securing =
                line.awaits(|asked| matches!(asked, Asked::Secure(known) if *known == recipient));
            is_moving |= self.has_moved(inbox)?;
            if !is_read {
                if let Some(line) = self.groups.lines.get_mut(&id) {
                    line.subscribed.insert(recipient);
                }
                let command = Command::Subscribe { recipient };
                self.ask_group(id, &inbox.secret, &command, Asked::Subscribe(recipient));
            }
            if !inbox.secured && !is_securing {
                let key = Ed25519SecretKey::from_slice(&inbox.inbox.secret);
                let command = Command::Secure {
                    sender: inbox.inbox.sender,
                    sender_key: *key.public_key().as_bytes(),
                };
                self.ask_group(id, &inbox.inbox.secret, &command, Asked::Secure(recipient));
            }
        }
        let now = self.now;
        if let Some(line) = self.groups.lines.get_mut(&id) {
            line.quiet_since = is_moving.then(|| line.quiet_since.unwrap_or(now));
        }
        self.ask_for_inbox(id, group, &url)
    }

    fn ask_for_inbox(
        &mut self,
        id: ServerId,
        group: GroupNumber,
        url: &ServerUrl,
    ) -> Result<(), ChannelError> {
        let is_asked = (self.groups.lines.values())
            .filter(|line| line.purpose == Purpose::Read(group))
            .any(|line| line.awaits(|asked| matches!(asked, Asked::Create { .. })));
        let is_ours = self.known_server()?.is_none_or(|own| own == *url);
        if is_asked || !is_ours || !self.needs_inbox(group)? {
            return Ok(());
        }
        let mut secret = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *secret);
        let key = Ed25519SecretKey::from_slice(&secret);
        let command = Command::Create {
            recipient_key: *key.public_key().as_bytes(),
        };
        let asked = Asked::Create {
            secret: secret.clone(),
        };
        self.ask_group(id, &secret, &command, asked);
        Ok(())
    }

    fn ask_to_send(&mut self, id: ServerId, member: MemberNumber) -> Result<(), ChannelError> {
        let is_busy = |line: &Line| !line.asked.is_empty();
        if self.groups.lines.get(&id).is_none_or(is_busy) {
            return Ok(());
        }
        let Some(next) = self.store.rows().next_in_group_outbox(member)? else {
            return Ok(());
        };
        let Some((inbox, stated)) = self.inbox_of(member)? else {
            return Ok(());
        };
        let block = block::seal_bytes(&inbox.seal_key, &mut self.rng, next.kind, &next.message)
            .map_err(|_| ChannelError::TooLong)?;
        let command = Command::Send {
            sender: inbox.sender,
            block: &block,
        };
        let outbox = next.id;
        self.ask_group(id, &inbox.secret, &command, Asked::Send { outbox, stated });
        Ok(())
    }

    /// Signs and sends.
    fn ask_group(&mut self, id: ServerId, secret: &[u8; 32], command: &Command<'_>, asked: Asked) {
        let Some(line) = self.groups.lines.get_mut(&id) else {
            return;
        };
        let State::Up { challenge } = line.state else {
            return;
        };
        let number = line.number(self.now, asked);
        let key = Ed25519SecretKey::from_slice(secret);
        let bytes = command.write(number, &challenge, |message| key.sign(message).to_bytes());
        self.output(ChannelOutput::Transmit { server: id, bytes });
    }

    /// Whether the others write to a later one, as the newest record says.
    fn has_moved(&self, inbox: &GroupInbox) -> Result<bool, StoreError> {
        let rows = self.store.rows();
        let Some(group) = rows.group(inbox.group)? else {
            return Ok(false);
        };
        let own = rows.member_of(&group, self.identity.key_set())?;
        Ok(inbox.number > 0 && inbox.number < own.stated)
    }

    /// Inboxes that moved and have been quiet for long enough are deleted.
    fn close_moved(&mut self) -> Result<(), ChannelError> {
        for mut inbox in self.store.rows().group_inboxes()? {
            let line = self.groups.lines.values().find(|line| {
                line.purpose == Purpose::Read(inbox.group) && line.url == inbox.inbox.server
            });
            let is_quiet = line
                .and_then(Line::moved_until)
                .is_some_and(|at| at <= self.now);
            if is_quiet && !inbox.closing && self.has_moved(&inbox)? {
                inbox.closing = true;
                self.store.rows().mark_group_inbox(&inbox)?;
            }
        }
        Ok(())
    }

    /// One frame of a relay, over a connection of a group.
    ///
    /// # Errors
    /// Why the connection must be given up, in words.
    fn group_frame(&mut self, id: ServerId, bytes: &[u8]) -> Result<(), String> {
        let reply = Reply::read(bytes)
            .map_err(|error| format!("it does not speak our protocol ({error})"))?;
        let Some(line) = self.groups.lines.get_mut(&id) else {
            return Ok(());
        };
        if !line.is_up() {
            return match reply {
                Reply::Hello {
                    version: VERSION,
                    challenge,
                } => {
                    line.greeted(self.now, challenge);
                    Ok(())
                }
                _ => Err("it did not begin with a greeting of our version".to_owned()),
            };
        }
        match reply {
            Reply::Ok { number } => self.group_answered(id, number, Ok(None)),
            Reply::Created {
                number,
                recipient,
                sender,
            } => self.group_answered(id, number, Ok(Some((recipient, sender)))),
            Reply::Refused { number, reason } => self.group_answered(id, number, Err(reason)),
            Reply::Message {
                recipient,
                message,
                age_ms,
                block,
            } => {
                line.quiet_since = line.quiet_since.map(|_| self.now);
                let age = Duration::from_millis(age_ms);
                self.receive_in_group(recipient, block, age)
                    .map_err(|error| error.to_string())?;
                let inbox = self.store.rows().group_inbox(recipient);
                if let Some(inbox) = inbox.map_err(|error| error.to_string())? {
                    let command = Command::Acknowledge { recipient, message };
                    self.ask_group(id, &inbox.secret, &command, Asked::Acknowledge);
                }
                Ok(())
            }
            Reply::Taken { .. } => Err(
                "another program reads the same mailboxes: does a copy of this profile run elsewhere?"
                    .to_owned(),
            ),
            _ => Err("it said what nobody asked".to_owned()),
        }
    }

    pub(in super::super) fn take_group_frame(&mut self, id: ServerId, bytes: &[u8]) {
        self.groups.is_due = true;
        if let Err(reason) = self.group_frame(id, bytes) {
            self.give_up_group_line(id, &reason);
        }
    }

    /// A block came. When this returns well, it is handled or known to be nothing, and may be acknowledged.
    fn receive_in_group(
        &mut self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
        age: Duration,
    ) -> Result<(), StoreError> {
        let rows = self.store.rows();
        let Some(inbox) = rows.group_inbox(recipient)?.filter(|inbox| !inbox.closing) else {
            return Ok(());
        };
        if rows.was_seen_in_group(recipient, block)? {
            self.counts.repeated += 1;
            return Ok(());
        }
        let opened = block::open_bytes(&inbox.inbox.seal_key, block).ok();
        let message = opened.and_then(|(kind, bytes)| {
            let (tag, message) = bytes.split_first_chunk::<16>()?;
            Some((*tag, block::read_message(kind, message).ok()?))
        });
        let is_known = match message {
            None => Ok(Opened::No),
            Some((tag, message)) => self.change_group(|change| {
                change.rows.remember_seen_in_group(recipient, block)?;
                change.open(&inbox, tag, &message, age)
            }),
        };
        match is_known {
            Ok(Opened::Yes) => {}
            Ok(Opened::Before) => self.counts.repeated += 1,
            Ok(Opened::No) => {
                self.counts.unopened += 1;
                tracing::warn!("a message in a group could not be opened and was dropped");
            }
            Err(ChannelError::Store(error)) => return Err(error),
            Err(reason) => self.fail(Wish::Group(Some(inbox.group)), reason),
        }
        Ok(())
    }

    fn group_answered(
        &mut self,
        id: ServerId,
        number: u32,
        answer: Result<Option<(RecipientId, SenderId)>, RefusedReason>,
    ) -> Result<(), String> {
        let now = self.now;
        let Some(line) = self.groups.lines.get_mut(&id) else {
            return Ok(());
        };
        let Some((asked, _)) = line.asked.remove(&number) else {
            return Err("it answered what was not asked".to_owned());
        };
        let (url, purpose) = (line.url.clone(), line.purpose);
        let is_gone = matches!(
            answer,
            Err(RefusedReason::NoQueue | RefusedReason::NotSecured | RefusedReason::AlreadySecured)
        );
        if answer.is_err() && !is_gone {
            line.hold(now);
        }
        let rows = self.store.rows();
        let result = match (asked, answer) {
            (Asked::Create { secret }, Ok(Some((recipient, sender)))) => {
                let Purpose::Read(group) = purpose else {
                    return Ok(());
                };
                self.inbox_made(group, url, secret, recipient, sender)
            }
            (Asked::Create { .. }, Ok(None)) | (_, Ok(Some(_))) => {
                return Err("it answered something else".to_owned());
            }
            (Asked::Create { .. }, Err(reason)) => {
                let is_news = !std::mem::replace(&mut line.is_refusal_told, true);
                if let (Purpose::Read(group), true) = (purpose, is_news) {
                    self.fail(Wish::Group(Some(group)), ChannelError::Refused(reason));
                }
                Ok(())
            }
            (Asked::Secure(recipient), Ok(None)) => match rows.group_inbox(recipient) {
                Ok(Some(mut inbox)) => {
                    inbox.secured = true;
                    rows.mark_group_inbox(&inbox)
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
            // The relay lost it: another is made and stated.
            (Asked::Secure(recipient) | Asked::Subscribe(recipient), Err(_)) if is_gone => {
                rows.forget_group_inbox(recipient)
            }
            (Asked::Subscribe(_) | Asked::Acknowledge, Err(_)) if !is_gone => {
                return Err("it refused because of too many requests".to_owned());
            }
            (Asked::Delete(recipient), answer) if answer.is_ok() || is_gone => {
                rows.forget_group_inbox(recipient)
            }
            (Asked::Send { outbox, .. }, Ok(None)) => rows.forget_in_group_outbox(outbox),
            (Asked::Send { stated, .. }, Err(_)) if is_gone => {
                if let Purpose::Write(member) = purpose {
                    // It waits for the next statement.
                    self.groups.lost.insert(member, stated);
                }
                Ok(())
            }
            _ => Ok(()),
        };
        result.map_err(|error| error.to_string())
    }

    /// An inbox we asked for exists; the key that writes to it is made here and stated to the others.
    fn inbox_made(
        &mut self,
        group: GroupNumber,
        server: ServerUrl,
        secret: Zeroizing<[u8; 32]>,
        recipient: RecipientId,
        sender: SenderId,
    ) -> Result<(), StoreError> {
        let mut writing = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *writing);
        let seal_key = SealKey::generate(&mut self.rng);
        let Some(row) = self.store.rows().group(group)? else {
            return Ok(());
        };
        self.store.rows().add_group_inbox(&GroupInbox {
            recipient,
            group,
            secret,
            inbox: Inbox {
                server,
                sender,
                secret: writing,
                seal_key,
            },
            secured: false,
            since: row.revision.max(row.removal),
            number: 0,
            // We left while it was made.
            closing: !list::is_shown(&row),
        })
    }
}

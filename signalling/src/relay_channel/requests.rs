//! Commands to a relay and its answers.

use std::time::Duration;

use hullo_proto::service::relay::{
    CodeNumber, Command, RecipientId, RefusedReason, Reply, SenderId, VERSION,
};
use vodozemac::Ed25519SecretKey;

use super::RelayChannel;
use super::history::Change;
use super::server::{Asked, HOLD, NewQueue, Purpose, Server, State, Task, UnderWay};
use super::trouble::Trouble;
use crate::block::SealKey;
use crate::channel::{
    ChannelError, ChannelEvent, ChannelOutput, CodeEnd, ContactId, ContactState, ServerId, Wish,
};
use crate::server_url::ServerUrl;
use crate::store::{InboundQueue, QueueUse, StoreError};

/// What a relay says when it does what was asked.
enum Answer {
    Done,
    Created(RecipientId, SenderId),
    Published(CodeNumber, Duration),
    Claimed(SenderId),
}

impl RelayChannel {
    /// One frame of a relay.
    ///
    /// # Errors
    /// Why the connection must be given up, in words: the relay broke the protocol, or the store failed and the
    /// relay must keep and repeat what could not be stored.
    pub(super) fn frame(&mut self, id: ServerId, bytes: &[u8]) -> Result<(), Trouble> {
        let reply = Reply::read(bytes)
            .map_err(|error| format!("it does not speak our protocol ({error})"))?;
        let Some(server) = self.servers.get_mut(&id) else {
            return Ok(());
        };
        let url = server.url.clone();
        if !server.is_up() {
            return match reply {
                Reply::Hello {
                    version: VERSION,
                    challenge,
                } => {
                    server.greeted(self.now, challenge);
                    self.tell_up(url);
                    Ok(self.start_work(id)?)
                }
                Reply::Hello { version, .. } => Err(Trouble::from(format!(
                    "it speaks version {version} of the protocol, this program {VERSION}"
                ))),
                _ => Err("it did not begin with a greeting".into()),
            };
        }
        match reply {
            Reply::Hello { .. } => Err("it greeted twice".into()),
            Reply::Ok { number } => self.answered(id, number, Ok(Answer::Done)),
            Reply::Created {
                number,
                recipient,
                sender,
            } => self.answered(id, number, Ok(Answer::Created(recipient, sender))),
            Reply::Published {
                number,
                code,
                seconds,
            } => {
                let stands = Duration::from_secs(seconds.into());
                self.answered(id, number, Ok(Answer::Published(code, stands)))
            }
            Reply::Claimed { number, sender } => {
                self.answered(id, number, Ok(Answer::Claimed(sender)))
            }
            Reply::Refused { number, reason } => self.answered(id, number, Err(reason)),
            Reply::Message {
                recipient,
                message,
                age_ms,
                block,
            } => {
                if let Purpose::Fetch(line) = server.purpose {
                    self.letter_came(id, line, block);
                    return Ok(());
                }
                let age = Duration::from_millis(age_ms);
                self.receive(recipient, block, age)?;
                self.tell_kept(url);
                let acknowledge = Command::Acknowledge { recipient, message };
                Ok(self.ask_as_reader(id, recipient, acknowledge, Asked::Acknowledge)?)
            }
            Reply::Taken { .. } if matches!(server.purpose, Purpose::Fetch(_)) => {
                Err("somebody else uses this link at this moment".into())
            }
            Reply::Taken { recipient } if server.purpose != Purpose::Read(recipient) => {
                Err("it speaks of a queue that is not read here".into())
            }
            Reply::Taken { .. } => {
                self.leave_to_copy(url);
                Err(ChannelError::CopiedProfile.to_string().into())
            }
        }
    }

    /// Another program reads our queues: a copy of this profile. Two of them would move one ratchet in two ways, so the
    /// one that came later has this server, and here it is left alone until the program starts anew.
    fn leave_to_copy(&mut self, url: ServerUrl) {
        let at_url = |(id, server): (&ServerId, &Server)| (server.url == url).then_some(*id);
        let lines: Vec<ServerId> = self.servers.iter().filter_map(at_url).collect();
        if self.copied.insert(url) {
            self.fail(Wish::Receive(None), ChannelError::CopiedProfile);
        }
        for id in lines {
            self.give_up(id, ChannelError::CopiedProfile.to_string());
        }
    }

    /// A connection stands: do what it is for.
    fn start_work(&mut self, id: ServerId) -> Result<(), StoreError> {
        let Some(server) = self.servers.get_mut(&id) else {
            return Ok(());
        };
        match server.purpose {
            // Asked for with everything else that can be asked now.
            Purpose::Make(_) | Purpose::Speak(_) | Purpose::Spare => {}
            Purpose::Leave(line) => self.ask_to_leave(id, line),
            Purpose::Fetch(line) => self.ask_for_letter(id, line),
            Purpose::Send(contact) => {
                server.work.insert(contact);
            }
            Purpose::Read(recipient) => match self.store.rows().inbound(recipient)? {
                Some(_) if self.codes.wants_number(recipient) => self.publish(id, recipient)?,
                Some(queue) if self.is_read(&queue) => self.subscribe(id, recipient)?,
                Some(_) => self.delete_closing()?,
                None => self.retire(id),
            },
        }
        Ok(())
    }

    /// Queues of codes in use are stored as closing: they are not to outlive the program.
    fn is_read(&self, queue: &InboundQueue) -> bool {
        queue.used_for != QueueUse::Closing || self.codes.reads(queue.recipient)
    }

    pub(super) fn subscribe(
        &mut self,
        id: ServerId,
        recipient: RecipientId,
    ) -> Result<(), StoreError> {
        self.ask_as_reader(
            id,
            recipient,
            Command::Subscribe { recipient },
            Asked::Subscribe(recipient),
        )
    }

    /// Asks for the deletion of every queue that only waits for it, each over its own connection.
    pub(super) fn delete_closing(&mut self) -> Result<(), StoreError> {
        for queue in self.store.rows().all_inbound()? {
            if self.is_read(&queue) {
                continue;
            }
            let recipient = queue.recipient;
            let id = self.line(&queue.server, Purpose::Read(recipient));
            let is_asked = |server: &Server| {
                (server.asked.values()).any(|(asked, _)| matches!(asked, Asked::Delete(_)))
            };
            if self.servers.get(&id).is_some_and(is_asked) {
                continue;
            }
            let delete = Command::Delete { recipient };
            self.ask_as_reader(id, recipient, delete, Asked::Delete(recipient))?;
        }
        Ok(())
    }

    pub(super) fn ask_as_reader(
        &mut self,
        id: ServerId,
        recipient: RecipientId,
        command: Command<'_>,
        asked: Asked,
    ) -> Result<(), StoreError> {
        if let Some(queue) = self.store.rows().inbound(recipient)? {
            self.ask(id, &queue.secret, &command, asked);
        }
        Ok(())
    }

    /// Signs and sends, if the connection stands; otherwise it is asked when it does.
    pub(super) fn ask(
        &mut self,
        id: ServerId,
        secret: &[u8; 32],
        command: &Command<'_>,
        asked: Asked,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let State::Up { challenge } = server.state else {
            return;
        };
        let number = server.number(self.now, asked);
        let key = Ed25519SecretKey::from_slice(secret);
        let bytes = command.write(number, &challenge, |message| key.sign(message).to_bytes());
        self.output(ChannelOutput::Transmit { server: id, bytes });
    }

    /// Everything that can be asked now, on every connection that stands.
    pub(super) fn ask_all(&mut self) {
        self.speak_all();
        let up = |server: &super::Server| matches!(server.state, State::Up { .. });
        let ids: Vec<ServerId> = self
            .servers
            .iter()
            .filter(|(_, server)| up(server))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let Some(server) = self.servers.get_mut(&id) else {
                continue;
            };
            for task in std::mem::take(&mut server.tasks) {
                self.ask_for_queue(id, task);
            }
            if let Err(error) = self.ask_work(id) {
                self.give_up(id, error);
            }
        }
    }

    fn ask_for_queue(&mut self, id: ServerId, task: Task) {
        let (secret, seal_key) = match &task {
            // Whoever holds the short link is to read it.
            Task::Letter { letter, .. } => (letter.secret.reading_seed(), letter.secret.seal_key()),
            _ => (self.new_secret(), SealKey::generate(&mut self.rng)),
        };
        let queue = NewQueue {
            secret: secret.clone(),
            seal_key,
        };
        let recipient_key = *Ed25519SecretKey::from_slice(&secret)
            .public_key()
            .as_bytes();
        self.ask(
            id,
            &secret,
            &Command::Create { recipient_key },
            Asked::Create { task, queue },
        );
    }

    /// The oldest blocks of each contact, as many as may be under way.
    fn ask_work(&mut self, id: ServerId) -> Result<(), StoreError> {
        let Some(server) = self.servers.get_mut(&id) else {
            return Ok(());
        };
        let free = |contact: &ContactId| !server.held.contains_key(contact);
        let work: Vec<ContactId> = std::mem::take(&mut server.work)
            .into_iter()
            .filter(free)
            .collect();
        for contact in work {
            while self.ask_next(id, contact)? {}
        }
        Ok(())
    }

    /// The next block of a contact, or first of all our key. False: nothing may go now.
    fn ask_next(&mut self, id: ServerId, contact: ContactId) -> Result<bool, StoreError> {
        let Some(queue) = self.store.rows().outbound(contact)? else {
            return Ok(false);
        };
        let under_way = self
            .servers
            .get(&id)
            .and_then(|server| server.in_flight.get(&contact));
        let newest = under_way.and_then(UnderWay::newest);
        if let Some(under_way) = under_way {
            // Our key goes alone: the relay takes no block before it. And whoever has not answered may use a link of ours
            // at the same time: what the relay has not taken by then is sealed anew.
            let known = self.store.rows().contact(contact)?;
            let has_answered = known.is_some_and(|known| known.state == ContactState::Ready);
            if !queue.secured || !has_answered || !under_way.has_room() {
                return Ok(false);
            }
        }
        let block = if queue.secured {
            let Some(next) = self.store.rows().next_in_outbox(contact, newest)? else {
                return Ok(false);
            };
            let command = Command::Send {
                sender: queue.sender,
                block: &next.block,
            };
            let outbox = next.id;
            let asked = Asked::Send { contact, outbox };
            self.ask(id, &queue.secret, &command, asked);
            Some(outbox)
        } else {
            let key = Ed25519SecretKey::from_slice(&queue.secret).public_key();
            let command = Command::Secure {
                sender: queue.sender,
                sender_key: *key.as_bytes(),
            };
            self.ask(id, &queue.secret, &command, Asked::Secure(contact));
            None
        };
        if let Some(server) = self.servers.get_mut(&id) {
            server.in_flight.entry(contact).or_default().went(block);
        }
        Ok(true)
    }

    fn answered(
        &mut self,
        id: ServerId,
        number: u32,
        answer: Result<Answer, RefusedReason>,
    ) -> Result<(), Trouble> {
        let Some(server) = self.servers.get_mut(&id) else {
            return Ok(());
        };
        let url = server.url.clone();
        let asked = server.asked.remove(&number);
        let (asked, _) = asked.ok_or("it answered what was not asked")?;
        let result = match (asked, answer) {
            (Asked::Create { task, queue }, Ok(Answer::Created(recipient, sender))) => {
                self.created(id, task, queue, recipient, sender);
                Ok(())
            }
            (Asked::Create { task, .. }, Err(reason)) => {
                self.fail_task(&url, task, ChannelError::Refused(reason));
                Ok(())
            }
            (Asked::Publish, Ok(Answer::Published(number, stands))) => {
                self.published(id, number, stands)
            }
            (Asked::Publish, Err(reason)) => {
                self.end_offer(CodeEnd::Failed(ChannelError::Refused(reason).to_string()));
                Ok(())
            }
            (Asked::Claim, Ok(Answer::Claimed(sender))) => {
                self.claimed(id, Some(sender));
                Ok(())
            }
            (Asked::Claim, Ok(Answer::Done)) => {
                self.claimed(id, None);
                Ok(())
            }
            (Asked::Speak, Ok(Answer::Done)) => {
                self.spoken(id);
                Ok(())
            }
            (Asked::Claim | Asked::Speak, Err(reason)) => {
                self.speech_refused(id, reason);
                Ok(())
            }
            (Asked::Fetch, Err(reason)) => {
                self.fetch_refused(id, reason);
                Ok(())
            }
            (Asked::Create { .. } | Asked::Publish | Asked::Claim, Ok(_))
            | (_, Ok(Answer::Created(..) | Answer::Published(..) | Answer::Claimed(_))) => {
                return Err("it answered something else".into());
            }
            (Asked::Secure(contact), answer) => self.secured(id, contact, answer.err()),
            (Asked::Send { contact, outbox }, answer) => self
                .sent(id, contact, outbox, answer.err())
                .map(|()| self.tell_kept(url)),
            (Asked::Leave, answer) => self.letter_answered(id, answer.err()),
            (Asked::Subscribe(_) | Asked::Acknowledge | Asked::Fetch, Ok(Answer::Done)) => Ok(()),
            (Asked::Subscribe(recipient), Err(RefusedReason::NoQueue)) => {
                self.queue_lost(recipient)
            }
            (Asked::Subscribe(_) | Asked::Acknowledge, Err(RefusedReason::TooFast)) => {
                return Err("it refused because of too many requests".into());
            }
            (Asked::Subscribe(_), Err(reason)) => {
                return Err(ChannelError::Refused(reason).to_string().into());
            }
            // The message comes again, and is known then.
            (Asked::Acknowledge, Err(_)) => Ok(()),
            (Asked::Delete(recipient), Ok(Answer::Done) | Err(RefusedReason::NoQueue)) => {
                self.store.rows().forget_inbound(recipient)
            }
            // Tried again with the next connection.
            (Asked::Delete(_), Err(_)) => Ok(()),
        };
        result?;
        self.retire(id);
        Ok(())
    }

    /// The relay knows our key for this contact's queue, or says why not.
    fn secured(
        &mut self,
        id: ServerId,
        contact: ContactId,
        refused: Option<RefusedReason>,
    ) -> Result<(), StoreError> {
        self.landed(id, contact, refused.is_some());
        let Some(known) = self.store.rows().contact(contact)? else {
            return Ok(());
        };
        let pending = known.state == ContactState::Pending;
        match refused {
            None => {
                self.store.rows().set_secured(contact)?;
                if pending {
                    self.event(ChannelEvent::ContactAdded { contact: known });
                }
            }
            Some(reason @ (RefusedReason::AlreadySecured | RefusedReason::NoQueue)) if pending => {
                let used = reason == RefusedReason::AlreadySecured;
                self.fail(
                    Wish::Add,
                    if used {
                        ChannelError::LinkUsed
                    } else {
                        ChannelError::LinkGone
                    },
                );
                self.forget_contact(contact)?;
            }
            Some(RefusedReason::AlreadySecured | RefusedReason::NoQueue) => {
                self.fail(
                    Wish::Send(contact),
                    ChannelError::QueueLost { name: known.name },
                );
                self.hold(id, contact);
            }
            Some(_) => self.hold(id, contact),
        }
        Ok(())
    }

    fn sent(
        &mut self,
        id: ServerId,
        contact: ContactId,
        outbox: i64,
        refused: Option<RefusedReason>,
    ) -> Result<(), StoreError> {
        // Those behind it are refused for the same reason: it is told once.
        let is_news = self.landed(id, contact, refused.is_some());
        match refused {
            None => {
                let text = self.store.transaction(|rows| -> Result<_, StoreError> {
                    rows.forget_in_outbox(outbox)?;
                    rows.text_sent(outbox)
                })?;
                self.tell_history(text.map(Change::Entry).into_iter().collect());
                let waiting = self.store.rows().outbox_length(contact)?;
                self.event(ChannelEvent::Delivered { contact, waiting });
            }
            Some(RefusedReason::NoQueue) => {
                if is_news && let Some(known) = self.store.rows().contact(contact)? {
                    self.fail(
                        Wish::Send(contact),
                        ChannelError::QueueLost { name: known.name },
                    );
                }
                // Not again over this connection.
                if let Some(server) = self.servers.get_mut(&id) {
                    server.work.remove(&contact);
                }
            }
            Some(reason) => {
                if is_news && reason == RefusedReason::QueueFull {
                    self.fail(Wish::Send(contact), ChannelError::Refused(reason));
                }
                self.hold(id, contact);
            }
        }
        Ok(())
    }

    /// One of what was under way for this contact was answered: the next may go. True: the first to be refused.
    fn landed(&mut self, id: ServerId, contact: ContactId, is_refused: bool) -> bool {
        let server = self.servers.get_mut(&id);
        server.is_some_and(|server| server.landed(contact, is_refused))
    }

    fn hold(&mut self, id: ServerId, contact: ContactId) {
        let until = self.now + HOLD;
        if let Some(server) = self.servers.get_mut(&id) {
            server.held.insert(contact, until);
        }
    }

    /// The relay has no queue that we read.
    fn queue_lost(&mut self, recipient: RecipientId) -> Result<(), StoreError> {
        let Some(queue) = self.store.rows().inbound(recipient)? else {
            return Ok(());
        };
        match queue.used_for {
            QueueUse::Contact(contact) => {
                if let Some(known) = self.store.rows().contact(contact)? {
                    self.fail(
                        Wish::Receive(Some(contact)),
                        ChannelError::QueueLost { name: known.name },
                    );
                }
                Ok(())
            }
            QueueUse::Invitation { .. } | QueueUse::Letter { .. } | QueueUse::Closing => {
                self.store.rows().forget_inbound(recipient)
            }
        }
    }
}

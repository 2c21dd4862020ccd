//! Links made and used, and how two people come to hold each other's keys.

use hullo_proto::service::relay::{RecipientId, SenderId};
use rand::Rng;
use vodozemac::olm::{Account, OlmMessage, PreKeyMessage, SessionConfig};
use zeroize::Zeroizing;

use super::letters::Letter;
use super::server::{NewQueue, Purpose, Task};
use super::{RelayChannel, TASK_TIME_MAX};
use crate::block::{self, Content, Greeting};
use crate::channel::{
    ChannelError, ChannelEvent, Contact, ContactId, ContactState, ServerId, Wish,
};
use crate::code::Code;
use crate::identity::KeySet;
use crate::link::{self, Link};
use crate::server_url::ServerUrl;
use crate::short_link::{LetterSecret, ShortLink};
use crate::store::{
    ContactKeys, InboundQueue, NAME, OutboundQueue, QueueUse, Rows, SERVER, StoreError,
};

/// Links open at once: more than anybody hands out in the 7 days they live.
const INVITATIONS_MAX: usize = 64;

impl RelayChannel {
    pub(super) fn invite(&mut self, server: Option<ServerUrl>, with_code: bool) {
        if let Err(reason) = self.start_invitation(server, with_code) {
            self.fail(Wish::Invite, reason);
        }
    }

    fn start_invitation(
        &mut self,
        server: Option<ServerUrl>,
        with_code: bool,
    ) -> Result<(), ChannelError> {
        if let Some(url) = &server {
            self.set(SERVER, &url.to_string())?;
        }
        let rows = self.store.rows();
        let open = rows.all_inbound()?;
        let open = open
            .iter()
            .filter(|queue| matches!(queue.used_for, QueueUse::Invitation { .. }));
        if open.count() >= INVITATIONS_MAX {
            return Err(ChannelError::TooManyInvitations);
        }
        let url = match server {
            Some(url) => url,
            None => self.own_server()?,
        };
        let by = self.now + TASK_TIME_MAX;
        self.start_task(&url, Task::Invite { by, with_code });
        Ok(())
    }

    /// Where we make invitations.
    pub(super) fn own_server(&self) -> Result<ServerUrl, ChannelError> {
        self.known_server()?.ok_or(ChannelError::NoServer)
    }

    pub(super) fn known_server(&self) -> Result<Option<ServerUrl>, StoreError> {
        let stored = self.store.rows().setting(SERVER)?;
        Ok(stored.and_then(|url| url.parse().ok()))
    }

    pub(super) fn add(&mut self, text: &str) {
        let started = if Code::is_meant(text) || Code::from_link(text).is_some() {
            self.enter_code(text)
        } else if ShortLink::is_meant(text) {
            self.start_fetch(text)
        } else {
            self.start_join(text)
        };
        if let Err(reason) = started {
            self.fail(Wish::Add, reason);
        }
    }

    pub(super) fn start_join(&mut self, text: &str) -> Result<(), ChannelError> {
        let link = Link::from_text(text)?;
        self.check_link(&link)?;
        let url = link.servers[0].clone();
        let by = self.now + TASK_TIME_MAX;
        self.start_task(
            &url,
            Task::Join {
                link: Box::new(link),
                by,
            },
        );
        Ok(())
    }

    pub(super) fn start_task(&mut self, url: &ServerUrl, task: Task) {
        if self.copied.contains(url) {
            return self.fail_task(url, task, ChannelError::CopiedProfile);
        }
        let purpose = Purpose::Make(self.line_number());
        let (id, now) = (self.line(url, purpose), self.now);
        if let Some(server) = self.servers.get_mut(&id) {
            server.tasks.push(task);
            server.hurry(now);
        }
    }

    fn check_link(&self, link: &Link) -> Result<(), ChannelError> {
        if link.key_set == *self.identity.key_set() {
            return Err(ChannelError::OwnLink);
        }
        match self.known(&link.key_set)? {
            Some(contact) if contact.state == ContactState::Lost => {
                Ok(link.check_expiry(self.clock())?)
            }
            Some(contact) => Err(ChannelError::AlreadyContact { name: contact.name }),
            None => Ok(link.check_expiry(self.clock())?),
        }
    }

    /// The contact with exactly these keys.
    ///
    /// # Errors
    /// [`ChannelError::Impostor`]: the id, or one key, belongs to somebody else (or to us).
    fn known(&self, key_set: &KeySet) -> Result<Option<Contact>, ChannelError> {
        let own = self.identity.key_set();
        if key_set.shares_a_key_with(own) || key_set.short_id() == own.short_id() {
            return Err(ChannelError::Impostor {
                name: "you".to_owned(),
            });
        }
        for (id, known) in self.store.rows().key_sets()? {
            if known == *key_set {
                return Ok(self.store.rows().contact(id)?);
            }
            if known.shares_a_key_with(key_set) || known.short_id() == key_set.short_id() {
                let name = self.store.rows().contact(id)?.map(|contact| contact.name);
                return Err(ChannelError::Impostor {
                    name: name.unwrap_or_default(),
                });
            }
        }
        Ok(None)
    }

    /// A queue we asked for exists.
    pub(super) fn created(
        &mut self,
        id: ServerId,
        task: Task,
        queue: NewQueue,
        recipient: RecipientId,
        sender: SenderId,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        server.purpose = Purpose::Read(recipient);
        let wish = task.wish();
        let inbound = InboundQueue {
            recipient,
            server: server.url.clone(),
            secret: queue.secret,
            seal_key: queue.seal_key,
            used_for: QueueUse::Closing,
        };
        let result = match task {
            Task::Invite { with_code, .. } => self.finish_invitation(inbound, sender, with_code),
            Task::Join { link, .. } => self.join(&link, inbound, sender),
            Task::Offer { .. } => return self.offer_made(id, &inbound),
            Task::Enter { .. } => return self.entry_made(id, &inbound, sender),
            Task::Letter { letter, .. } => return self.letter_made(inbound, sender, *letter),
        };
        // When it failed, the queue lies unused at the relay until that forgets it.
        if let Err(reason) = result.and_then(|()| Ok(self.subscribe(id, recipient)?)) {
            self.fail(wish, reason);
        }
    }

    fn finish_invitation(
        &mut self,
        mut queue: InboundQueue,
        sender: SenderId,
        with_code: bool,
    ) -> Result<(), ChannelError> {
        let expires = self.clock() + link::LIFETIME;
        queue.used_for = QueueUse::Invitation { expires };
        let mut account = copy(self.identity.account());
        let made = account.generate_one_time_keys(1);
        account.mark_keys_as_published();
        let one_time_key = *made.created.first().expect("one was asked for");
        let name = self.store.transaction(|rows| -> Result<_, StoreError> {
            rows.save_account(&account)?;
            rows.add_inbound(&queue)?;
            rows.setting(NAME)
        })?;
        self.identity.replace_account(account);
        let link = Link {
            expires,
            key_set: *self.identity.key_set(),
            one_time_key,
            sender,
            seal_key: queue.seal_key,
            name: name.unwrap_or_default(),
            servers: vec![queue.server],
        };
        let letter = Letter {
            secret: LetterSecret::generate(&mut self.rng),
            link: Zeroizing::new(link.to_text()),
            invitation: queue.recipient,
            expires,
            with_code,
        };
        self.leave_letter(&link.servers[0], letter);
        Ok(())
    }

    /// Our answering queue exists: write contact, ratchet and greeting in one transaction, then claim the link.
    fn join(
        &mut self,
        link: &Link,
        mut queue: InboundQueue,
        sender: SenderId,
    ) -> Result<(), ChannelError> {
        self.check_link(link)?;
        let known = self.known(&link.key_set)?;
        let session = self
            .identity
            .account()
            .create_outbound_session(
                SessionConfig::version_1(),
                link.key_set.curve25519(),
                link.one_time_key,
            )
            .map_err(|_| link::LinkError::Content)?;
        let name = self.store.rows().setting(NAME)?.unwrap_or_default();
        let greeting = Content::Greeting(Box::new(Greeting {
            key_set: *self.identity.key_set(),
            name,
            server: queue.server.clone(),
            sender,
            seal_key: queue.seal_key.clone(),
        }));
        let mut secret = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *secret);
        let (server, seal_key) = (queue.server.clone(), link.seal_key.clone());
        let rng = &mut self.rng;
        let contact = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let contact = match known {
                Some(known) => rows.join_again(known.id)?,
                None => {
                    rows.add_contact(&link.name, &link.key_set, &session, ContactState::Pending)?
                }
            };
            queue.used_for = QueueUse::Contact(contact);
            rows.set_joined(contact, true)?;
            rows.add_inbound(&queue)?;
            // Whoever came by a link can invite at once, at the server that is known to be reached.
            if rows.setting(SERVER)?.is_none() {
                rows.set_setting(SERVER, &server.to_string())?;
            }
            let outbound = OutboundQueue {
                contact,
                server,
                sender: link.sender,
                secret,
                seal_key,
                secured: false,
            };
            rows.set_outbound(&outbound)?;
            let mut keys = ContactKeys {
                session,
                sent: 0,
                received: 0,
            };
            seal_into_outbox(rows, rng, &mut keys, &outbound, &greeting)?;
            Ok(contact)
        })?;
        self.has_work(contact)
    }

    /// Somebody used a link of ours. `Ok(false)`: what came is no greeting, or not for us.
    pub(super) fn greeted(
        &mut self,
        queue: &InboundQueue,
        message: &PreKeyMessage,
        seen: impl Fn(&Rows<'_>) -> Result<(), StoreError>,
    ) -> Result<bool, ChannelError> {
        let mut account = copy(self.identity.account());
        let opened = account.create_inbound_session(
            SessionConfig::version_1(),
            message.identity_key(),
            message,
        );
        let Ok(opened) = opened else {
            return Ok(false);
        };
        let plaintext = Zeroizing::new(opened.plaintext);
        let Ok((sequence, Content::Greeting(greeting))) = Content::read(&plaintext) else {
            return Ok(false);
        };
        if greeting.key_set.curve25519() != message.identity_key() {
            return Ok(false);
        }
        let known = self.known(&greeting.key_set)?;
        let keys = ContactKeys {
            session: opened.session,
            sent: 0,
            received: sequence,
        };
        if let Some(known) = &known
            && self.identity.key_set().to_bytes() < greeting.key_set.to_bytes()
            && self.is_crossing(known, queue)?
        {
            // Both used a link of the other at once: one of the two ratchets must win, the same on both sides.
            self.store.rows().close_inbound(queue.recipient)?;
            self.delete_closing()?;
            return Ok(true);
        }
        let contact = self.adopt(
            queue,
            &account,
            keys,
            &greeting,
            known.as_ref().map(|known| known.id),
            seen,
        )?;
        self.identity.replace_account(account);
        self.link_used(queue.recipient);
        self.delete_closing()?;
        if let Some(contact) = self.store.rows().contact(contact)? {
            self.event(match known {
                Some(_) => ChannelEvent::ContactChanged { contact },
                None => ChannelEvent::ContactAdded { contact },
            });
        }
        self.has_work(contact)?;
        Ok(true)
    }

    /// Whether a greeting in this queue comes from somebody whose link we used meanwhile. Its welcome to us may have
    /// overtaken it: they lie in different queues.
    fn is_crossing(&self, known: &Contact, queue: &InboundQueue) -> Result<bool, StoreError> {
        if known.state == ContactState::Pending {
            return Ok(true);
        }
        let rows = self.store.rows();
        Ok(rows.has_joined(known.id)? && rows.is_older_than_that_of(queue.recipient, known.id)?)
    }

    /// Writes the new contact (or the new ratchet of a known one) and our welcome in one transaction.
    fn adopt(
        &mut self,
        queue: &InboundQueue,
        account: &Account,
        mut keys: ContactKeys,
        greeting: &Greeting,
        known: Option<ContactId>,
        seen: impl Fn(&Rows<'_>) -> Result<(), StoreError>,
    ) -> Result<ContactId, ChannelError> {
        let mut secret = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *secret);
        let rng = &mut self.rng;
        self.store.transaction(|rows| {
            rows.save_account(account)?;
            let contact = match known {
                Some(contact) => {
                    rows.clear_outbox(contact)?;
                    rows.close_inbound_of(contact)?;
                    rows.set_joined(contact, false)?;
                    contact
                }
                None => rows.add_contact(
                    &greeting.name,
                    &greeting.key_set,
                    &keys.session,
                    ContactState::Ready,
                )?,
            };
            rows.give_inbound(queue.recipient, contact)?;
            let outbound = OutboundQueue {
                contact,
                server: greeting.server.clone(),
                sender: greeting.sender,
                secret,
                seal_key: greeting.seal_key.clone(),
                secured: false,
            };
            rows.set_outbound(&outbound)?;
            let welcome = Content::Welcome {
                name: rows.setting(NAME)?.unwrap_or_default(),
            };
            seal_into_outbox(rows, rng, &mut keys, &outbound, &welcome)?;
            super::history::seal_waiting_texts(rows, rng, &mut keys, &outbound)?;
            // What was sealed by the ratchet given up now.
            for content in rows.take_unanswered(contact)? {
                seal_into_outbox(rows, rng, &mut keys, &outbound, &content)?;
            }
            rows.make_ready(contact)?;
            seen(rows)?;
            Ok(contact)
        })
    }

    pub(super) fn remove(&mut self, contact: ContactId) -> Result<(), ChannelError> {
        if self.store.rows().contact(contact)?.is_none() {
            return Err(ChannelError::NoContact);
        }
        Ok(self.forget_contact(contact)?)
    }

    pub(super) fn forget_contact(&mut self, contact: ContactId) -> Result<(), StoreError> {
        self.store
            .transaction(|rows| rows.remove_contact(contact))?;
        for server in self.servers.values_mut() {
            server.work.remove(&contact);
            server.in_flight.remove(&contact);
            server.held.remove(&contact);
        }
        self.event(ChannelEvent::ContactRemoved { contact });
        self.delete_closing()?;
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.retire(id));
        Ok(())
    }

    /// Something waits in the outbox for this contact.
    pub(super) fn has_work(&mut self, contact: ContactId) -> Result<(), ChannelError> {
        if let Some(queue) = self.store.rows().outbound(contact)? {
            let id = self.line(&queue.server, Purpose::Send(contact));
            if let Some(server) = self.servers.get_mut(&id) {
                server.work.insert(contact);
            }
        }
        Ok(())
    }
}

/// The ratchet moves, and what it sealed waits to be sent: call it inside a transaction. Gives the block's number.
pub(super) fn seal_into_outbox(
    rows: &Rows<'_>,
    rng: &mut rand_chacha::ChaCha20Rng,
    keys: &mut ContactKeys,
    queue: &OutboundQueue,
    content: &Content,
) -> Result<i64, ChannelError> {
    keys.sent += 1;
    let plain = content.write(keys.sent);
    let message: OlmMessage =
        keys.session
            .encrypt(&*plain)
            .map_err(|error| StoreError::Corrupt {
                reason: error.to_string(),
            })?;
    let sealed = block::seal(&queue.seal_key, rng, &message).map_err(|_| ChannelError::TooLong)?;
    rows.save_contact_keys(queue.contact, keys)?;
    Ok(rows.add_to_outbox(queue.contact, &sealed)?)
}

/// An account to change: the one in use changes only when the store has the new one.
pub(super) fn copy(account: &Account) -> Account {
    Account::from_pickle(account.pickle())
}

//! Payloads out and in, once contacts have each other's keys.

use std::collections::BTreeSet;
use std::time::Duration;

use hullo_proto::service::relay::{BLOCK_BYTES, RecipientId};
use rand_chacha::ChaCha20Rng;
use vodozemac::olm::OlmMessage;
use zeroize::Zeroizing;

use super::contacts::seal_into_outbox;
use super::groups::hear_contact;
use super::{Queued, RelayChannel, history};
use crate::block::{self, Content, PAYLOAD_BYTES_MAX};
use crate::channel::{ChannelError, ChannelEvent, ContactId, ContactState, Wish};
use crate::server_url::ServerUrl;
use crate::store::{ContactKeys, InboundQueue, QueueUse, Rows, StoreError};

/// Messages waiting for one contact: 1,024 are 16 MiB on disk, and days of a server being away.
const OUTBOX_MESSAGES_MAX: u64 = 1_024;

impl RelayChannel {
    pub(super) fn send(
        &mut self,
        contact: ContactId,
        payload: Vec<u8>,
    ) -> Result<(), ChannelError> {
        let payload = Zeroizing::new(payload);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(ChannelError::TooLong);
        }
        if self.store.rows().is_blocked(contact)? {
            return Err(self.blocked(contact)?);
        }
        let clock = self.clock();
        let (rng, copied) = (&mut self.rng, &self.copied);
        let changes = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let changes = history::note_sent(rows, contact, &payload, clock)?;
            let content = Content::Payload(payload);
            keep_unanswered(rows, contact, &content)?;
            seal_content(rows, rng, copied, contact, &content)?;
            Ok(changes)
        })?;
        self.tell_history(changes);
        self.has_work(contact)
    }

    /// Seals something for a contact; it goes as soon as its relay can be reached.
    pub(super) fn say(
        &mut self,
        contact: ContactId,
        content: &Content,
    ) -> Result<(), ChannelError> {
        let (rng, copied) = (&mut self.rng, &self.copied);
        self.store.transaction(|rows| {
            keep_unanswered(rows, contact, content)?;
            seal_content(rows, rng, copied, contact, content)
        })?;
        self.has_work(contact)
    }

    /// A block came. When this returns well, it is handled or known to be nothing, and may be acknowledged.
    ///
    /// # Errors
    /// The store failed: the block must come again.
    pub(super) fn receive(
        &mut self,
        recipient: RecipientId,
        block: &[u8; BLOCK_BYTES],
        age: Duration,
    ) -> Result<(), StoreError> {
        let Some(queue) = self.store.rows().inbound(recipient)? else {
            return Ok(());
        };
        if self.store.rows().was_seen(recipient, block)? {
            self.counts.repeated += 1;
            return Ok(());
        }
        if self.codes.reads(recipient) {
            self.store.rows().remember_seen(recipient, block)?;
            self.code_block(recipient, block);
            return Ok(());
        }
        let seen = |rows: &Rows<'_>| rows.remember_seen(recipient, block);
        let opened = block::open(&queue.seal_key, block);
        let (result, contact) = match (queue.used_for, opened) {
            (QueueUse::Closing | QueueUse::Letter { .. }, _) => return Ok(()),
            (_, Err(_)) => (Ok(false), None),
            (QueueUse::Contact(contact), Ok(message)) => (
                self.message(&queue, contact, &message, age, seen),
                Some(contact),
            ),
            (QueueUse::Invitation { expires }, Ok(_)) if expires <= self.clock() => {
                (Ok(false), None)
            }
            (QueueUse::Invitation { .. }, Ok(OlmMessage::PreKey(message))) => {
                (self.greeted(&queue, &message, seen), None)
            }
            (QueueUse::Invitation { .. }, Ok(OlmMessage::Normal(_))) => (Ok(false), None),
        };
        match result {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.counts.unopened += 1;
                tracing::warn!("a message could not be opened and was dropped");
                Ok(())
            }
            Err(ChannelError::Store(error)) => Err(error),
            Err(reason) => {
                self.fail(Wish::Receive(contact), reason);
                Ok(())
            }
        }
    }

    /// A contact's block. `Ok(false)`: it does not open.
    fn message(
        &mut self,
        queue: &InboundQueue,
        contact: ContactId,
        message: &OlmMessage,
        age: Duration,
        seen: impl Fn(&Rows<'_>) -> Result<(), StoreError>,
    ) -> Result<bool, ChannelError> {
        let Some((keys, content, missing)) = self.opened(contact, message)? else {
            return Ok(false);
        };
        if self.store.rows().is_blocked(contact)? && !matches!(content, Content::Welcome { .. }) {
            // Dropped unseen, and the sender is not told: to it this looks like somebody who never answers.
            self.store.transaction(|rows| {
                rows.save_contact_keys(contact, &keys)?;
                seen(rows)
            })?;
            return Ok(true);
        }
        if let Content::Words(said) = content {
            return self.words_heard(contact, keys, said, seen);
        }
        let clock = self.clock();
        let sent = clock.saturating_sub(age);
        let identity = &self.identity;
        let mut changes = Vec::new();
        let mut about_group = None;
        let inbox = self.store.transaction(|rows| -> Result<_, ChannelError> {
            rows.save_contact_keys(contact, &keys)?;
            seen(rows)?;
            match &content {
                Content::Payload(payload) => {
                    let noted = history::note_received(rows, contact, payload, clock, age)?;
                    changes = noted.changes;
                    if noted.is_text {
                        return Ok(None);
                    }
                    return Ok(rows.add_to_inbox(contact, sent, payload).map(Some)?);
                }
                Content::Welcome { name } => {
                    rows.make_ready(contact)?;
                    rows.called(contact, name)?;
                }
                Content::Named { name } => {
                    rows.called(contact, name)?;
                }
                Content::Group(said) => {
                    about_group = Some(hear_contact(rows, identity, clock, contact, said)?);
                }
                Content::Greeting(_) | Content::Words(_) | Content::Unknown => {}
            }
            Ok(None)
        })?;
        self.tell_history(changes);
        if let Some(news) = about_group {
            self.heard_contact(contact, news);
        }
        if missing > 0 {
            self.counts.missing += missing;
            tracing::warn!(missing, "messages never came");
        }
        debug_assert!(queue.used_for == QueueUse::Contact(contact));
        self.tell_content(contact, content, inbox, age)?;
        Ok(true)
    }

    /// What the contact sealed, the ratchet one step on, and how many messages before it never came.
    fn opened(
        &self,
        contact: ContactId,
        message: &OlmMessage,
    ) -> Result<Option<(ContactKeys, Content, u64)>, StoreError> {
        let Some(mut keys) = self.store.rows().contact_keys(contact)? else {
            return Ok(None);
        };
        let Ok(plain) = keys.session.decrypt(message) else {
            return Ok(None);
        };
        let plain = Zeroizing::new(plain);
        let Ok((sequence, content)) = Content::read(&plain) else {
            return Ok(None);
        };
        if sequence <= keys.received {
            return Ok(None);
        }
        let missing = sequence - keys.received - 1;
        keys.received = sequence;
        Ok(Some((keys, content, missing)))
    }

    /// Passes on what the program has to know of it.
    fn tell_content(
        &mut self,
        contact: ContactId,
        content: Content,
        inbox: Option<i64>,
        age: Duration,
    ) -> Result<(), StoreError> {
        match (content, inbox) {
            (Content::Payload(mut payload), Some(inbox)) if !self.leaves_messages => {
                let payload = std::mem::take(&mut *payload);
                let event = ChannelEvent::Message {
                    contact,
                    payload,
                    sent_ago: age,
                };
                self.outputs.push_back(Queued::Message { inbox, event });
            }
            (Content::Welcome { .. } | Content::Named { .. }, _) => {
                if let Some(contact) = self.store.rows().contact(contact)? {
                    self.event(ChannelEvent::ContactChanged { contact });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Keeps what a contact that has not answered yet may have to be sent again, under another ratchet: call it inside the
/// transaction that seals it. Texts are kept by the history.
fn keep_unanswered(
    rows: &Rows<'_>,
    contact: ContactId,
    content: &Content,
) -> Result<(), StoreError> {
    let known = rows.contact(contact)?;
    if known.is_some_and(|known| known.state == ContactState::Pending) {
        rows.add_unanswered(contact, content)?;
    }
    Ok(())
}

/// Seals one content for a contact: call it inside a transaction. Gives the block's number.
pub(super) fn seal_content(
    rows: &Rows<'_>,
    rng: &mut ChaCha20Rng,
    copied: &BTreeSet<ServerUrl>,
    contact: ContactId,
    content: &Content,
) -> Result<i64, ChannelError> {
    // First: a contact known from a backup has no ratchet that could be read.
    let known = rows.contact(contact)?.ok_or(ChannelError::NoContact)?;
    if known.state == ContactState::Lost {
        return Err(ChannelError::OutOfTouch);
    }
    let mut keys = rows.contact_keys(contact)?.ok_or(ChannelError::NoContact)?;
    let queue = rows.outbound(contact)?.ok_or(ChannelError::OutOfTouch)?;
    if copied.contains(&queue.server) {
        return Err(ChannelError::CopiedProfile);
    }
    if rows.outbox_length(contact)? >= OUTBOX_MESSAGES_MAX {
        return Err(ChannelError::OutboxFull);
    }
    seal_into_outbox(rows, rng, &mut keys, &queue, content)
}

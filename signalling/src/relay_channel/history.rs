//! Conversations as they happen: every payload that goes or comes is looked at, and what it means for the history is
//! written in the transaction that moves the ratchet. Whatever moment the program dies at, the history is right.
//!
//! What no payload tells (media flows, the connection was lost) comes from whoever drives the call. What a dead
//! program left open is closed when the next one opens the profile, and the other side is told that its call is over.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hullo_proto::call::{CallId, EndReason, Invitation, Message};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::RelayChannel;
use super::messages::seal_content;
use crate::block::Content;
use crate::channel::{ChannelError, ChannelEvent, ContactId};
use crate::history::{
    CallOutcome, CallProgress, Direction, EntryId, EntryKind, HistoryEntry, INVITATION_AGE_MAX,
    Sign, advance,
};
use crate::store::{ContactKeys, OutboundQueue, Rows, StoreError};
use crate::text_message::{self, TEXT_BYTES_MAX};

/// A change to tell once it is durable.
pub(super) enum Change {
    /// New, or other than before.
    Entry(HistoryEntry),
    /// It turned out to be part of another.
    Removed(ContactId, EntryId),
}

/// What a received payload was.
pub(super) struct Noted {
    pub(super) changes: Vec<Change>,
    /// A text: all that is to be done about it is done.
    pub(super) is_text: bool,
}

/// Looks at a payload that was just sealed: call it inside the transaction.
pub(super) fn note_sent(
    rows: &Rows<'_>,
    contact: ContactId,
    payload: &[u8],
    clock: Duration,
) -> Result<Vec<Change>, StoreError> {
    // What the program sends besides calls is not for the history.
    let Ok(message) = Message::parse(payload) else {
        return Ok(Vec::new());
    };
    note_call(rows, contact, &message, Direction::Outgoing, clock, clock)
}

/// Looks at a payload that was just opened and lay `age` at the relay: call it inside the transaction.
pub(super) fn note_received(
    rows: &Rows<'_>,
    contact: ContactId,
    payload: &[u8],
    clock: Duration,
    age: Duration,
) -> Result<Noted, StoreError> {
    let at = clock.saturating_sub(age);
    let (changes, is_text) = match Message::parse(payload) {
        Ok(Message::Unknown { .. }) => match text_message::parse(payload) {
            Some(message) => {
                let (text, id) = (&message.text, message.id.as_deref());
                let entry = rows.add_text(contact, at, Direction::Incoming, text, id, None)?;
                (entry.map(Change::Entry).into_iter().collect(), true)
            }
            None => (Vec::new(), false),
        },
        Ok(message) => {
            let direction = Direction::Incoming;
            let changes = note_call(rows, contact, &message, direction, at, clock)?;
            (changes, false)
        }
        Err(_) => (Vec::new(), false),
    };
    Ok(Noted { changes, is_text })
}

/// `by`: incoming when the contact wrote the message.
fn note_call(
    rows: &Rows<'_>,
    contact: ContactId,
    message: &Message,
    by: Direction,
    at: Duration,
    clock: Duration,
) -> Result<Vec<Change>, StoreError> {
    if let Message::Invitation(invitation) = message {
        return invited(rows, contact, invitation, by, at, clock);
    }
    let Some(call) = message.call_id() else {
        return Ok(Vec::new());
    };
    let Some(entry) = rows.call_entry(contact, call)? else {
        return Ok(Vec::new());
    };
    // The callee offers and refuses: in a call that came in that is us.
    let by_callee = entry.direction != by;
    let sign = match message {
        Message::Offer(_) if by_callee => Sign::Offer,
        Message::Refused { reason, .. } if by_callee => Sign::Refused(*reason),
        Message::Gone(_) if is_taken(&entry) => {
            Sign::Progress(CallProgress::Ended(EndReason::FarGone))
        }
        Message::End(_) | Message::Gone(_) => Sign::End {
            by_us: by == Direction::Outgoing,
        },
        _ => return Ok(Vec::new()),
    };
    moved_on(rows, &entry, &sign, clock)
}

/// Whether the two were in the call, or about to be.
fn is_taken(entry: &HistoryEntry) -> bool {
    let EntryKind::Call { outcome, .. } = &entry.kind else {
        return false;
    };
    matches!(outcome, CallOutcome::Accepted | CallOutcome::InCall { .. })
}

fn invited(
    rows: &Rows<'_>,
    contact: ContactId,
    invitation: &Invitation,
    direction: Direction,
    at: Duration,
    clock: Duration,
) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let is_late = clock.saturating_sub(at) > INVITATION_AGE_MAX;
    if direction == Direction::Incoming {
        // A contact rings once at a time, so what can be open is bounded by the number of contacts.
        for entry in rows.open_calls()? {
            let rings = matches!(&entry.kind, EntryKind::Call { outcome, .. } if *outcome == CallOutcome::Ringing);
            if entry.contact == contact && entry.direction == direction && rings {
                let entry = rows.set_outcome(&entry, &CallOutcome::Missed, clock)?;
                changes.extend(entry.map(Change::Entry));
            }
        }
    }
    let outcome = if is_late {
        CallOutcome::Missed
    } else {
        CallOutcome::Ringing
    };
    let (call, media) = (invitation.call_id, invitation.media);
    let entry = rows.add_call(contact, at, direction, call, media, &outcome)?;
    changes.extend(entry.map(Change::Entry));
    Ok(changes)
}

fn moved_on(
    rows: &Rows<'_>,
    entry: &HistoryEntry,
    sign: &Sign,
    clock: Duration,
) -> Result<Vec<Change>, StoreError> {
    let EntryKind::Call { outcome, .. } = &entry.kind else {
        return Ok(Vec::new());
    };
    if *sign == Sign::Progress(CallProgress::Merged) && outcome.is_open() {
        rows.remove_entry(entry.id)?;
        return Ok(vec![Change::Removed(entry.contact, entry.id)]);
    }
    let Some(next) = advance(outcome, entry.direction, entry.at, sign, clock) else {
        return Ok(Vec::new());
    };
    let mut changes = Vec::new();
    if *outcome == CallOutcome::Ringing
        && matches!(next, CallOutcome::Accepted | CallOutcome::InCall { .. })
    {
        // Both called each other at once, and this is the call that came of it.
        for crossed in rows.crossed_calls(entry.contact, entry.direction, entry.at)? {
            rows.remove_entry(crossed)?;
            changes.push(Change::Removed(entry.contact, crossed));
        }
    }
    let entry = rows.set_outcome(entry, &next, clock)?;
    changes.extend(entry.map(Change::Entry));
    Ok(changes)
}

/// Our texts that waited under a ratchet that is given up, sealed again under the new one: call it inside the
/// transaction. Whoever got one before knows its id.
pub(super) fn seal_waiting_texts(
    rows: &Rows<'_>,
    rng: &mut ChaCha20Rng,
    keys: &mut ContactKeys,
    queue: &OutboundQueue,
) -> Result<(), ChannelError> {
    for (entry, id, text) in rows.waiting_texts(queue.contact)? {
        let content = Content::Payload(Zeroizing::new(text_message::write(&id, &text)));
        let outbox = super::contacts::seal_into_outbox(rows, rng, keys, queue, &content)?;
        rows.set_text_block(entry, outbox)?;
    }
    Ok(())
}

impl RelayChannel {
    /// Tells what has changed, and remembers which calls must not stay open for ever.
    pub(super) fn tell_history(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Entry(entry) => {
                    if let EntryKind::Call { outcome, .. } = &entry.kind {
                        self.watch(entry.id, outcome);
                    }
                    self.event(ChannelEvent::History { entry });
                }
                Change::Removed(contact, entry) => {
                    self.rings.remove(&entry);
                    self.event(ChannelEvent::HistoryRemoved { contact, entry });
                }
            }
        }
    }

    fn watch(&mut self, id: EntryId, outcome: &CallOutcome) {
        match outcome {
            CallOutcome::Ringing | CallOutcome::Accepted => {
                self.rings.insert(id, self.now + INVITATION_AGE_MAX);
            }
            _ => drop(self.rings.remove(&id)),
        }
    }

    pub(super) fn next_ring_end(&self) -> Option<Instant> {
        self.rings.values().min().copied()
    }

    /// Calls that neither connected nor ended in all the time a call has: nobody drives them.
    pub(super) fn end_rings(&mut self) {
        let now = self.now;
        let due: Vec<EntryId> = self
            .rings
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(id, _)| *id)
            .collect();
        let clock = self.clock();
        for id in due {
            self.rings.remove(&id);
            let changes = self.store.transaction(|rows| {
                let Some(entry) = rows.entry(id)? else {
                    return Ok(Vec::new());
                };
                abandon(rows, &entry, clock)
            });
            match changes {
                Ok(changes) => self.tell_history(changes),
                Err(error) => self.history_failed(&error),
            }
        }
    }

    /// The next start tries again.
    fn history_failed(&self, error: &StoreError) {
        tracing::error!(%error, "an old call could not be closed in the history");
    }

    pub(super) fn send_text(&mut self, contact: ContactId, text: &str) -> Result<(), ChannelError> {
        let text = text_message::clean(text).ok_or(ChannelError::TextEmpty)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(ChannelError::TextTooLong);
        }
        let id = self.message_id();
        let payload = Zeroizing::new(text_message::write(&id, &text));
        let clock = self.clock();
        if self.store.rows().is_blocked(contact)? {
            return Err(self.blocked(contact)?);
        }
        let (rng, copied) = (&mut self.rng, &self.copied);
        let entry = self.store.transaction(|rows| {
            let content = Content::Payload(payload);
            let outbox = seal_content(rows, rng, copied, contact, &content)?;
            let direction = Direction::Outgoing;
            let entry = rows.add_text(contact, clock, direction, &text, Some(&id), Some(outbox))?;
            Ok::<_, ChannelError>(entry)
        })?;
        self.tell_history(entry.map(Change::Entry).into_iter().collect());
        self.has_work(contact)
    }

    fn message_id(&mut self) -> String {
        let mut bytes = [0; 12];
        self.rng.fill_bytes(&mut bytes);
        text_message::id(bytes)
    }

    pub(super) fn note_progress(
        &mut self,
        contact: ContactId,
        call_id: CallId,
        progress: CallProgress,
    ) -> Result<(), StoreError> {
        let clock = self.clock();
        let changes =
            self.store
                .transaction(|rows| match rows.call_entry(contact, call_id)? {
                    Some(entry) => moved_on(rows, &entry, &Sign::Progress(progress), clock),
                    None => Ok(Vec::new()),
                })?;
        self.tell_history(changes);
        Ok(())
    }

    pub(super) fn mark_seen(&mut self, contact: ContactId) -> Result<(), StoreError> {
        if self.store.rows().mark_seen(contact)? {
            self.event(ChannelEvent::Seen { contact });
        }
        Ok(())
    }

    /// Closes what a program that died has left open: all calls but those whose invitation still waits to be taken.
    pub(super) fn close_left_open(&mut self) -> Result<(), ChannelError> {
        let waiting = self.invitations_in_inbox()?;
        let clock = self.clock();
        for entry in self.store.rows().open_calls()? {
            let EntryKind::Call {
                call_id, outcome, ..
            } = &entry.kind
            else {
                continue;
            };
            let (call_id, outcome) = (*call_id, outcome.clone());
            // A clock that was set back makes an age of nothing; one that was set far back is seen by it.
            let age = clock.abs_diff(entry.at);
            let may_ring = waiting.contains(&(entry.contact, call_id));
            if outcome == CallOutcome::Ringing && may_ring && age < INVITATION_AGE_MAX {
                self.rings
                    .insert(entry.id, self.now + (INVITATION_AGE_MAX - age));
                continue;
            }
            let heard = match &outcome {
                CallOutcome::InCall { heard, .. } => *heard,
                _ => entry.at,
            };
            let is_ours = outcome != CallOutcome::Ringing || entry.direction == Direction::Outgoing;
            let tell = is_ours && clock.abs_diff(heard) < INVITATION_AGE_MAX;
            self.close_call(&entry, call_id, tell, clock)?;
        }
        Ok(())
    }

    /// With an end for the contact, who may still ring or wait for the connection to come back.
    fn close_call(
        &mut self,
        entry: &HistoryEntry,
        call_id: CallId,
        tell: bool,
        clock: Duration,
    ) -> Result<(), ChannelError> {
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        let (rng, copied) = (&mut self.rng, &self.copied);
        let contact = entry.contact;
        let changes = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let changes = abandon(rows, entry, clock)?;
            let end = if is_taken(entry) {
                Message::Gone(call_id)
            } else {
                Message::End(call_id)
            };
            if tell && let Ok(payload) = end.write(id) {
                let content = Content::Payload(Zeroizing::new(payload));
                match seal_content(rows, rng, copied, contact, &content) {
                    // Whoever takes no messages any more waits for no call either.
                    Ok(_)
                    | Err(
                        ChannelError::OutboxFull
                        | ChannelError::NoContact
                        | ChannelError::OutOfTouch
                        | ChannelError::CopiedProfile,
                    ) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(changes)
        })?;
        self.tell_history(changes);
        Ok(())
    }

    fn invitations_in_inbox(&self) -> Result<HashSet<(ContactId, CallId)>, StoreError> {
        let messages = self.store.rows().inbox()?;
        let invitations =
            messages
                .iter()
                .filter_map(|message| match Message::parse(&message.payload) {
                    Ok(Message::Invitation(invitation)) => {
                        Some((message.contact, invitation.call_id))
                    }
                    _ => None,
                });
        Ok(invitations.collect())
    }
}

fn abandon(
    rows: &Rows<'_>,
    entry: &HistoryEntry,
    clock: Duration,
) -> Result<Vec<Change>, StoreError> {
    let EntryKind::Call { outcome, .. } = &entry.kind else {
        return Ok(Vec::new());
    };
    if !outcome.is_open() {
        return Ok(Vec::new());
    }
    let outcome = outcome.abandoned(entry.direction);
    let entry = rows.set_outcome(entry, &outcome, clock)?;
    Ok(entry.map(Change::Entry).into_iter().collect())
}

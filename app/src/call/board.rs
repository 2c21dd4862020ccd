//! The switchboard: which calls there are, and what a contact's message means among them. Sans-IO.
//!
//! It holds no call's keys or session, only numbers and ids: a message is passed to the machine of its call, begins to
//! ring, or is answered at once. Messages of one contact come in the order they were sent; that is all it relies on.

use std::fmt;
use std::time::{Duration, Instant};

use hullo_proto::call::{CallId, CallState, Invitation, Message, RING_TIMEOUT, RefusalReason};

use crate::event::{CallNumber, ContactId, Unrung};

/// Calls that ring at the same time. A screen names one at a time, and more only hide it.
pub const RINGING_MAX: usize = 3;
/// An invitation that waited longer is a missed call: nobody sits at the other end any more.
pub const INVITATION_AGE_MAX: Duration = Duration::from_secs(180);
/// An invitation that waited at all may have been taken back: the end then waits right behind it.
const INVITATION_AGE_FRESH: Duration = Duration::from_secs(2);
/// So long that end is waited for.
const RING_LATE: Duration = Duration::from_millis(700);

/// The calls and the invitations that wait to ring.
#[derive(Default)]
pub struct Board {
    entries: Vec<Entry>,
    late: Vec<Late>,
    /// Nothing rings.
    pub do_not_disturb: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Calling,
    Ringing,
    Taken,
    Over,
}

struct Entry {
    number: CallNumber,
    contact: ContactId,
    /// The call's ids: one, or two after both sides called at once.
    ids: Vec<CallId>,
    phase: Phase,
}

struct Late {
    rings_at: Instant,
    contact: ContactId,
    invitation: Invitation,
}

/// What to do about a message.
#[derive(PartialEq, Eq)]
pub enum Verdict {
    /// Give it to the machine of this call.
    Deliver(CallNumber, Message),
    /// Let it ring.
    Ring(ContactId, Invitation),
    /// Answer it with this.
    Reply(ContactId, Message),
    /// A call of this contact did not ring.
    Missed(ContactId, CallId, Unrung),
    /// Both called at once: of this call, two ids were made, and the first is no call of its own.
    Merged {
        /// With whom.
        contact: ContactId,
        /// The id that is given up.
        lost: CallId,
        /// The id that stays.
        kept: CallId,
    },
    /// The other program has forgotten this call, for it makes a new one: it was ended and started again.
    Forgotten(CallNumber),
}

impl fmt::Debug for Verdict {
    /// Calls by their short ids: invitations hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(number, message) => write!(f, "Deliver({number:?}, {message:?})"),
            Self::Ring(contact, invitation) => {
                write!(f, "Ring({contact:?}, {:?})", invitation.call_id)
            }
            Self::Reply(contact, message) => write!(f, "Reply({contact:?}, {message:?})"),
            Self::Missed(contact, call_id, why) => {
                write!(f, "Missed({contact:?}, {call_id:?}, {why:?})")
            }
            Self::Merged { lost, kept, .. } => write!(f, "Merged({lost:?} into {kept:?})"),
            Self::Forgotten(number) => write!(f, "Forgotten({number:?})"),
        }
    }
}

impl Board {
    /// A call of ours begins. An invitation of the same contact that was about to ring is met.
    pub fn placed(
        &mut self,
        number: CallNumber,
        contact: ContactId,
        call_id: CallId,
    ) -> Vec<Verdict> {
        self.add(number, contact, call_id, Phase::Calling);
        let late = self.late.iter().position(|late| late.contact == contact);
        let Some(late) = late.map(|at| self.late.remove(at)) else {
            return Vec::new();
        };
        self.meet(contact, &late.invitation).unwrap_or_default()
    }

    /// A call begins to ring here.
    pub fn rings(&mut self, number: CallNumber, contact: ContactId, call_id: CallId) {
        self.add(number, contact, call_id, Phase::Ringing);
    }

    fn add(&mut self, number: CallNumber, contact: ContactId, call_id: CallId, phase: Phase) {
        let ids = vec![call_id];
        self.entries.push(Entry {
            number,
            contact,
            ids,
            phase,
        });
    }

    /// The machine of a call has told its state, or the user has ended it.
    pub fn changed(&mut self, number: CallNumber, state: &CallState) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) {
            match state {
                CallState::Inviting | CallState::Ringing => {}
                CallState::Connecting | CallState::Connected if entry.phase != Phase::Over => {
                    entry.phase = Phase::Taken;
                }
                CallState::Connecting | CallState::Connected => {}
                CallState::Ended(_) => entry.phase = Phase::Over,
            }
        }
    }

    /// The user wants the end of a call: what comes from now on is no part of it.
    pub fn ending(&mut self, number: CallNumber) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) {
            entry.phase = Phase::Over;
        }
    }

    /// The call and all it held are gone.
    pub fn finished(&mut self, number: CallNumber) {
        self.entries.retain(|entry| entry.number != number);
    }

    /// When [`Self::ring_late`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.late.iter().map(|late| late.rings_at).min()
    }

    /// Invitations that waited and were not taken back.
    pub fn ring_late(&mut self, now: Instant) -> Vec<Verdict> {
        let (due, rest) = std::mem::take(&mut self.late)
            .into_iter()
            .partition::<Vec<_>, _>(|late| late.rings_at <= now);
        self.late = rest;
        let mut verdicts = Vec::new();
        for late in due {
            verdicts.extend(self.ring(late.contact, late.invitation, verdicts.len()));
        }
        verdicts
    }

    /// Takes a message of a contact; `age` is how long it was under way, by the relay's measure.
    pub fn message(
        &mut self,
        now: Instant,
        contact: ContactId,
        message: Message,
        age: Duration,
    ) -> Vec<Verdict> {
        let Some(call_id) = message.call_id() else {
            return Vec::new();
        };
        let of_contact = |entry: &&Entry| entry.contact == contact;
        let mut known = self.entries.iter().filter(of_contact);
        if let Some(entry) = known.find(|entry| entry.ids.contains(&call_id)) {
            return vec![Verdict::Deliver(entry.number, message)];
        }
        let invitation = match message {
            Message::Invitation(invitation) => invitation,
            Message::End(_) | Message::Gone(_) => {
                let is_it =
                    |late: &Late| late.contact == contact && late.invitation.call_id == call_id;
                let Some(at) = self.late.iter().position(is_it) else {
                    return Vec::new();
                };
                self.late.remove(at);
                return vec![Verdict::Missed(contact, call_id, Unrung::Late)];
            }
            // A leftover of a call that is over.
            _ => return Vec::new(),
        };
        // Whoever invited longer ago than it rings has stopped calling: that is no meeting.
        if age <= RING_TIMEOUT
            && let Some(verdicts) = self.meet(contact, &invitation)
        {
            return verdicts;
        }
        let mut verdicts = self.supersede(contact);
        if age > INVITATION_AGE_MAX {
            verdicts.push(Verdict::Missed(contact, call_id, Unrung::Late));
        } else if self.do_not_disturb {
            verdicts.push(Verdict::Missed(contact, call_id, Unrung::DoNotDisturb));
        } else if age > INVITATION_AGE_FRESH {
            if self.late.len() >= RINGING_MAX {
                let oldest = self.late.remove(0);
                let id = oldest.invitation.call_id;
                verdicts.push(Verdict::Missed(oldest.contact, id, Unrung::TooMany));
            }
            let rings_at = now + RING_LATE;
            self.late.push(Late {
                rings_at,
                contact,
                invitation,
            });
        } else {
            verdicts.extend(self.ring(contact, invitation, 0));
        }
        verdicts
    }

    /// Both called at once: the two calls become one. `None`: we do not call this contact, or its program does not
    /// know how to meet.
    fn meet(&mut self, contact: ContactId, theirs: &Invitation) -> Option<Vec<Verdict>> {
        theirs.hullo.as_ref()?;
        let entry = self.entries.iter_mut().find(|entry| {
            entry.contact == contact && entry.phase == Phase::Calling && entry.ids.len() == 1
        })?;
        let own = *entry.ids.first()?;
        entry.ids.push(theirs.call_id);
        let (kept, lost) = if own.wins_over(theirs.call_id) {
            (own, theirs.call_id)
        } else {
            (theirs.call_id, own)
        };
        let number = entry.number;
        let merged = Verdict::Merged {
            contact,
            lost,
            kept,
        };
        let invitation = Message::Invitation(theirs.clone());
        Some(vec![merged, Verdict::Deliver(number, invitation)])
    }

    /// A contact's program is in one call with us at most: a new invitation says that it has forgotten the earlier.
    fn supersede(&mut self, contact: ContactId) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for entry in &mut self.entries {
            match entry.phase {
                _ if entry.contact != contact => continue,
                Phase::Ringing => {
                    let ends = entry.ids.iter().map(|id| Message::End(*id));
                    verdicts.extend(ends.map(|end| Verdict::Deliver(entry.number, end)));
                }
                Phase::Taken => verdicts.push(Verdict::Forgotten(entry.number)),
                // Not ours to end: a program that does not know how to meet may call while we call it.
                Phase::Calling | Phase::Over => continue,
            }
            entry.phase = Phase::Over;
        }
        let late = self.late.iter().position(|late| late.contact == contact);
        if let Some(late) = late.map(|at| self.late.remove(at)) {
            let id = late.invitation.call_id;
            verdicts.push(Verdict::Missed(contact, id, Unrung::Late));
        }
        verdicts
    }

    fn ring(&self, contact: ContactId, invitation: Invitation, about_to: usize) -> Vec<Verdict> {
        let is_ringing = |entry: &&Entry| entry.phase == Phase::Ringing;
        let ringing = self.entries.iter().filter(is_ringing).count() + about_to;
        if ringing < RINGING_MAX {
            return vec![Verdict::Ring(contact, invitation)];
        }
        let (call_id, reason) = (invitation.call_id, RefusalReason::Busy);
        vec![
            Verdict::Reply(contact, Message::Refused { call_id, reason }),
            Verdict::Missed(contact, call_id, Unrung::TooMany),
        ]
    }
}

#[cfg(test)]
mod tests;

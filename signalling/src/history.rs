//! What happened between us and a contact: text messages, and calls with their outcome.
//!
//! ```text
//! Ringing ──▶ Accepted ──▶ InCall ──▶ Ended
//!    │           └──▶ Failed, Ended (before it connected)
//!    └──▶ Missed, Declined, Busy, Unanswered, Cancelled, AnsweredElsewhere, Failed
//! ```
//!
//! A call's entry changes until it has an outcome and never again. Here is only what an entry is and how it goes on;
//! when that is written is the affair of [`crate::relay_channel`].

use std::fmt;
use std::time::Duration;

use hullo_proto::call::{CallId, EndReason, Media, RING_TIMEOUT, RefusalReason};

use crate::channel::ContactId;

/// So long an invitation can still ring: what comes later, or stays without an answer longer, is a missed call.
pub const INVITATION_AGE_MAX: Duration = Duration::from_secs(3 * 60);
/// A caller that ends its call after so long waited to the end of its patience; one that ends it earlier changed its
/// mind. A second less than [`RING_TIMEOUT`], which is counted from a moment before the entry was written.
const PATIENCE: Duration = RING_TIMEOUT.saturating_sub(Duration::from_secs(1));
/// Longest reason for a failed call, in bytes. The far program may have a say in it.
const WORDS_BYTES_MAX: usize = 300;

/// An entry's number in this profile. Later entries have higher ones, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u64);

/// Whose doing an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The contact wrote or called.
    Incoming,
    /// We did.
    Outgoing,
}

/// One entry of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number.
    pub id: EntryId,
    /// With whom.
    pub contact: ContactId,
    /// Since 1970, by this machine's clock and, for what comes in, less the relay's measure of the time in the queue.
    pub at: Duration,
    /// Whose doing.
    pub direction: Direction,
    /// What it is.
    pub kind: EntryKind,
    /// False for a text that nobody has read and a missed call that nobody has noticed.
    pub is_seen: bool,
}

/// What an entry is about. Its `Debug` leaves texts out.
#[derive(Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A text message.
    Text {
        /// Without control characters but line feeds.
        text: String,
        /// How far it came.
        state: TextState,
    },
    /// A call.
    Call {
        /// The call.
        call_id: CallId,
        /// What the caller asked for.
        media: Media,
        /// How it went.
        outcome: CallOutcome,
    },
}

/// How far a text has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextState {
    /// Ours, and not with the relay yet.
    Waiting,
    /// Ours, and the relay has it durably.
    Sent,
    /// The contact's.
    Received,
}

/// How a call went. The first three are not final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Not taken yet.
    Ringing,
    /// Taken; the connection is being made.
    Accepted,
    /// Media flows.
    InCall {
        /// Connected at this time, since 1970.
        since: Duration,
        /// The last sign of life, since 1970.
        heard: Duration,
    },
    /// Incoming: nobody took it.
    Missed,
    /// The callee said no.
    Declined,
    /// The callee was in another call.
    Busy,
    /// Outgoing: nobody took it.
    Unanswered,
    /// Outgoing: we gave up before anybody took it.
    Cancelled,
    /// Incoming: taken on another device.
    AnsweredElsewhere,
    /// It was, and is over.
    Ended {
        /// Time connected.
        duration: Duration,
        /// The connection was lost, or a program died: nobody hung up.
        cut_off: bool,
    },
    /// It did not come about.
    Failed {
        /// Why, in words for the user; one line.
        words: String,
    },
}

/// What only the one who drives a call knows of it; see [`crate::channel::ChannelCommand::CallOutcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallProgress {
    /// It is taken, here or there.
    Accepted,
    /// Media flows.
    Connected,
    /// Media still flows: what a program that dies without a word leaves as the call's length.
    Alive,
    /// It is over.
    Ended(EndReason),
    /// Both called each other at once, and the other call is the one that goes on: this one is no entry of its own.
    Merged,
}

/// How much of a conversation nobody has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Texts.
    pub texts: u32,
    /// Missed calls.
    pub calls: u32,
}

impl CallOutcome {
    /// Whether the call may still go on.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Ringing | Self::Accepted | Self::InCall { .. })
    }

    /// The outcome's name in reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Accepted => "accepted",
            Self::InCall { .. } => "in_call",
            Self::Missed => "missed",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Unanswered => "unanswered",
            Self::Cancelled => "cancelled",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::Ended { cut_off: false, .. } => "ended",
            Self::Ended { cut_off: true, .. } => "cut_off",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether somebody here should know that this was missed: nobody said no, and nobody talked.
    pub(crate) fn is_missed(&self, direction: Direction) -> bool {
        direction == Direction::Incoming && matches!(self, Self::Missed | Self::Busy)
    }

    /// A failure in these words, made fit for one line.
    pub(crate) fn failed(words: &str) -> Self {
        let mut words = crate::text_message::one_line(words);
        words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
        Self::Failed { words }
    }

    /// What an open call is once nobody drives it any more, known at its `heard` time.
    pub(crate) fn abandoned(&self, direction: Direction) -> Self {
        match (self, direction) {
            (Self::Ringing, Direction::Incoming) => Self::Missed,
            (Self::Ringing, Direction::Outgoing) => Self::Unanswered,
            (Self::Accepted, _) => Self::failed("it was taken and never connected"),
            (Self::InCall { since, heard }, _) => Self::Ended {
                duration: heard.saturating_sub(*since),
                cut_off: true,
            },
            (done, _) => done.clone(),
        }
    }
}

/// What moves a call's entry on, whoever told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The one who drives the call.
    Progress(CallProgress),
    /// The callee sent its offer.
    Offer,
    /// The callee refused.
    Refused(RefusalReason),
    /// The side that wrote or received this is done; true: we wrote it.
    End { by_us: bool },
}

/// The outcome after `sign`, at `clock` since 1970, of a call that began at `at`; `None`: as before.
pub(crate) fn advance(
    outcome: &CallOutcome,
    direction: Direction,
    at: Duration,
    sign: &Sign,
    clock: Duration,
) -> Option<CallOutcome> {
    if !outcome.is_open() {
        return None;
    }
    match sign {
        Sign::Offer | Sign::Progress(CallProgress::Accepted) => {
            (*outcome == CallOutcome::Ringing).then_some(CallOutcome::Accepted)
        }
        Sign::Progress(CallProgress::Connected) => match outcome {
            CallOutcome::InCall { .. } => None,
            _ => Some(CallOutcome::InCall {
                since: clock,
                heard: clock,
            }),
        },
        Sign::Progress(CallProgress::Alive) => match outcome {
            CallOutcome::InCall { since, .. } => Some(CallOutcome::InCall {
                since: *since,
                heard: clock,
            }),
            _ => None,
        },
        // No outcome: the entry goes.
        Sign::Progress(CallProgress::Merged) => None,
        Sign::Progress(CallProgress::Ended(reason)) => {
            Some(ended(outcome, direction, reason, clock))
        }
        Sign::Refused(reason) => {
            (*outcome == CallOutcome::Ringing).then(|| refused(direction, *reason))
        }
        Sign::End { by_us } => Some(match (outcome, direction) {
            (CallOutcome::Ringing, Direction::Incoming) if *by_us => {
                CallOutcome::failed("the other program cannot hold a safe call with this one")
            }
            (CallOutcome::Ringing, Direction::Incoming) => CallOutcome::Missed,
            (CallOutcome::Ringing, Direction::Outgoing) if !by_us => CallOutcome::Declined,
            (CallOutcome::Ringing, Direction::Outgoing) if clock.saturating_sub(at) >= PATIENCE => {
                CallOutcome::Unanswered
            }
            (CallOutcome::Ringing, Direction::Outgoing) => CallOutcome::Cancelled,
            _ => over(outcome, clock, false),
        }),
    }
}

fn refused(direction: Direction, reason: RefusalReason) -> CallOutcome {
    match (reason, direction) {
        (RefusalReason::Busy, _) => CallOutcome::Busy,
        (RefusalReason::Declined, _) => CallOutcome::Declined,
        (RefusalReason::Unanswered, Direction::Incoming) => CallOutcome::Missed,
        (RefusalReason::Unanswered, Direction::Outgoing) => CallOutcome::Unanswered,
        (RefusalReason::AnsweredElsewhere, _) => CallOutcome::AnsweredElsewhere,
    }
}

fn ended(
    outcome: &CallOutcome,
    direction: Direction,
    reason: &EndReason,
    clock: Duration,
) -> CallOutcome {
    let rings = *outcome == CallOutcome::Ringing;
    match (reason, direction) {
        (EndReason::PeerIncompatible(words), _) => CallOutcome::failed(words),
        (EndReason::FailedToConnect, _) => CallOutcome::failed(&reason.to_string()),
        (EndReason::Lost | EndReason::FarGone, _) => over(outcome, clock, true),
        _ if !rings => over(outcome, clock, false),
        (EndReason::Busy, _) => CallOutcome::Busy,
        (EndReason::Declined, _) => CallOutcome::Declined,
        (EndReason::AnsweredElsewhere, _) => CallOutcome::AnsweredElsewhere,
        (EndReason::HungUp, Direction::Incoming) => CallOutcome::Declined,
        (EndReason::FarHungUp, Direction::Outgoing) => CallOutcome::Declined,
        (_, Direction::Incoming) => CallOutcome::Missed,
        (EndReason::Unanswered, Direction::Outgoing) => CallOutcome::Unanswered,
        (EndReason::Cancelled | EndReason::HungUp, Direction::Outgoing) => CallOutcome::Cancelled,
    }
}

/// A call that was taken is over.
fn over(outcome: &CallOutcome, clock: Duration, cut_off: bool) -> CallOutcome {
    let duration = match outcome {
        CallOutcome::InCall { since, .. } => clock.saturating_sub(*since),
        _ => Duration::ZERO,
    };
    CallOutcome::Ended { duration, cut_off }
}

impl fmt::Debug for EntryKind {
    /// What somebody wrote stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, state } => write!(f, "Text({} bytes, {state:?})", text.len()),
            Self::Call {
                call_id,
                media,
                outcome,
            } => write!(f, "Call({call_id:?}, {media:?}, {outcome:?})"),
        }
    }
}

#[cfg(test)]
mod tests;

//! How far leaving, and the one call of a mode, have come.

use crate::event::{CallNumber, StopReason};

/// The program is leaving and waits for the call to say its goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopping {
    pub(crate) reason: StopReason,
    pub(crate) deadline_ms: u64,
}

/// Ctrl-Z stops the program, or has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspended {
    /// Calls that were put on hold for it; at most as many as there can be.
    pub(crate) held: Vec<CallNumber>,
    /// When it may stop; `None` once it was told so.
    pub(crate) stops_at_ms: Option<u64>,
}

/// How far the one thing of [`super::Mode::CallOnce`] or [`super::Mode::AnswerOnce`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Once {
    /// The effect that starts or takes the call was given.
    pub(crate) is_begun: bool,
    /// When the server first answered: the queue of a fresh contact is read right after.
    pub(crate) server_up_at_ms: Option<u64>,
    /// It failed; leave at this time with this status unless a call comes of it after all.
    pub(crate) gives_up: Option<(u64, u8)>,
    /// How the one call ended; the program stays while calls that were taken beside it go on.
    pub(crate) status: Option<u8>,
    /// Some call of this run came to be.
    pub(crate) was_connected: bool,
    /// Leaving was decided and must not be decided again.
    pub(crate) is_over: bool,
}

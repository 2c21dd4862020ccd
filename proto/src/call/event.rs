//! What goes into the machine of a call and what comes out of it.

use std::fmt;
use std::time::Instant;

use super::keys::CallKeys;
use super::message::{IceCandidate, Media, Message};

/// Which side of the call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Invited, and will answer the offer.
    Caller,
    /// Was invited, and makes the offer.
    Callee,
}

/// One thing that happened.
pub enum Input<'a> {
    /// The person takes the call. Callee only.
    Accept {
        /// With or without the own camera.
        media: Media,
    },
    /// The person does not take the call. Callee only.
    Reject,
    /// The person does not take the call because of another one, and the caller may know. Callee only.
    RejectAsBusy,
    /// The person ends the call, or gives up calling.
    HangUp,
    /// The contact sent this.
    Message(&'a Message),
    /// The session's description, asked for by `MakeOffer` or `MakeAnswer`.
    LocalDescription {
        /// Without candidates.
        sdp: String,
        /// Those known so far.
        candidates: Vec<IceCandidate>,
    },
    /// Candidates found later.
    LocalCandidates(Vec<IceCandidate>),
    /// The session's way is lost: agree on a new one beside it. Only in a connected call between two programs of ours.
    Restart,
    /// The description of a new session, asked for by `MakeRestartOffer` or `MakeRestartAnswer`.
    RestartDescription {
        /// Which new session.
        generation: u32,
        /// Without candidates.
        sdp: String,
        /// Those known so far.
        candidates: Vec<IceCandidate>,
    },
    /// Media can flow.
    SessionConnected,
    /// The session failed or could not be made, and no replacement is tried.
    SessionLost,
    /// The other side closed the session in good order; its `x.call.end` did not come in time to say the same.
    SessionClosed,
    /// The other side's description cannot be used. Holds what to tell the person.
    PeerIncompatible(String),
    /// Nothing but time: a deadline may have passed.
    Timeout,
}

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Send this to the contact.
    Transmit(Message),
    /// Tell the rest of the program.
    Event(CallEvent),
    /// Nothing more now. Come back with `Input::Timeout` at that time, if any.
    Timeout(Option<Instant>),
}

/// News for the rest of the program.
pub enum CallEvent {
    /// Someone calls, with sound or with a camera. Once, at the beginning, callee only.
    Incoming {
        /// What the caller starts with.
        media: Media,
    },
    /// The state to show.
    State(CallState),
    /// Callee: make a session and its offer, then give `LocalDescription`.
    MakeOffer {
        /// For the frames of this call.
        keys: CallKeys,
    },
    /// Caller: make a session from this offer and answer it, then give `LocalDescription`.
    MakeAnswer {
        /// The callee's description, as received: not yet checked.
        offer_sdp: String,
        /// The callee's candidates, as received.
        candidates: Vec<IceCandidate>,
        /// For the frames of this call.
        keys: CallKeys,
    },
    /// Make a new session beside the old one, and its offer, then give `RestartDescription`.
    MakeRestartOffer {
        /// Which new session: 1 for the first.
        generation: u32,
    },
    /// Make a new session beside the old one from this offer, then give `RestartDescription`. It takes the place of any
    /// other that is being made.
    MakeRestartAnswer {
        /// Which new session.
        generation: u32,
        /// The other side's description, as received: not yet checked.
        offer_sdp: String,
        /// The other side's candidates, as received.
        candidates: Vec<IceCandidate>,
    },
    /// The other half of a new session.
    ApplyRestartAnswer {
        /// Which new session.
        generation: u32,
        /// The other side's description, as received: not yet checked.
        sdp: String,
        /// The other side's candidates, as received.
        candidates: Vec<IceCandidate>,
    },
    /// Callee: the caller's half.
    ApplyAnswer {
        /// The caller's description, as received: not yet checked.
        sdp: String,
        /// The caller's candidates, as received.
        candidates: Vec<IceCandidate>,
    },
    /// More candidates of the other side, as received.
    RemoteCandidates(Vec<IceCandidate>),
}

/// A call's state, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Caller: the invitation is on its way.
    Inviting,
    /// The callee's program shows the call.
    Ringing,
    /// Accepted; the session is being made.
    Connecting,
    /// Media can flow.
    Connected,
    /// Over, for good.
    Ended(EndReason),
}

/// Why a call is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// This side hung up.
    HungUp,
    /// The other side hung up.
    FarHungUp,
    /// The callee said no.
    Declined,
    /// The callee is in another call.
    Busy,
    /// Nobody took the call in time.
    Unanswered,
    /// Taken on another device of the callee.
    AnsweredElsewhere,
    /// The caller gave up before it was taken.
    Cancelled,
    /// Media could flow, and then no more.
    Lost,
    /// The other side's program ended in the midst of the call, not by anybody's wish; told as lost.
    FarGone,
    /// Accepted, but the session did not come about in time.
    FailedToConnect,
    /// The other side's program cannot hold this call safely. Holds what to tell the person.
    PeerIncompatible(String),
}

/// Why an invitation is not even shown. The inviting program is at fault; answer with [`Message::End`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It offers no key: the call would not be encrypted end to end.
    #[error("the call was refused because the other program does not encrypt it end to end")]
    NotEncrypted,
    /// Its key protects nothing.
    #[error("the call was refused because the other program sent a key that protects nothing")]
    WeakKey,
    /// It is our program, in a version that has no frame layout or codec in common with this one.
    #[error(
        "the call was refused because the other program has no media format in common with this one: update both"
    )]
    Incompatible,
}

impl EndReason {
    /// The reason's name in reports, in lower case.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::FarHungUp => "far_hung_up",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Unanswered => "unanswered",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::Cancelled => "cancelled",
            Self::Lost | Self::FarGone => "lost",
            Self::FailedToConnect => "failed_to_connect",
            Self::PeerIncompatible(_) => "peer_incompatible",
        }
    }
}

impl fmt::Display for EndReason {
    /// A sentence for the person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HungUp => "You hung up.",
            Self::FarHungUp => "The other side hung up.",
            Self::Declined => "The call was declined.",
            Self::Busy => "The other side is in another call.",
            Self::Unanswered => "Nobody answered.",
            Self::AnsweredElsewhere => "The call was answered on another device.",
            Self::Cancelled => "The caller gave up.",
            Self::Lost => "The connection was lost.",
            Self::FarGone => "The other side's program ended unexpectedly: nobody hung up.",
            Self::FailedToConnect => {
                "The two programs could not reach each other: a firewall may block UDP between them."
            }
            Self::PeerIncompatible(words) => return write!(f, "The call cannot be held: {words}."),
        })
    }
}

impl fmt::Debug for CallEvent {
    /// Without keys, descriptions and addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incoming { media } => write!(f, "Incoming({media:?})"),
            Self::State(state) => write!(f, "State({state:?})"),
            Self::MakeOffer { .. } => write!(f, "MakeOffer"),
            Self::MakeAnswer { candidates, .. } => {
                write!(f, "MakeAnswer({} candidates)", candidates.len())
            }
            Self::ApplyAnswer { candidates, .. } => {
                write!(f, "ApplyAnswer({} candidates)", candidates.len())
            }
            Self::MakeRestartOffer { generation } => write!(f, "MakeRestartOffer({generation})"),
            Self::MakeRestartAnswer { generation, .. } => {
                write!(f, "MakeRestartAnswer({generation})")
            }
            Self::ApplyRestartAnswer { generation, .. } => {
                write!(f, "ApplyRestartAnswer({generation})")
            }
            Self::RemoteCandidates(candidates) => {
                write!(f, "RemoteCandidates({})", candidates.len())
            }
        }
    }
}

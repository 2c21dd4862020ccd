//! What the text says to *log a warning* about, or to *discard*: data, so that whoever drives a machine can.

use super::envelope::OpenError;
use super::id::ParticipantId;
use super::wire::WireError;

/// A message was dropped, or a participant refused. The call goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Whom it concerns; `None`: the SFU.
    pub participant: Option<ParticipantId>,
    /// What is wrong.
    pub kind: WarningKind,
}

/// Why something was dropped or refused. Never holds a key or a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarningKind {
    /// Not sealed for the current handshake state, or a message before it was lost.
    #[error("a message does not open in the current handshake state")]
    Undecryptable(#[from] OpenError),
    /// It opened, but is no message.
    #[error("a message is malformed: {0}")]
    Malformed(#[from] WireError),
    /// A content of a later text where one must be known.
    #[error("a handshake message of unknown kind")]
    UnknownContent,
    /// The hello's identity is not part of the group.
    #[error("a hello from someone who is not a member of the group")]
    NotAMember,
    /// A guest in a call that allows none.
    #[error("a guest's hello in a call without guests")]
    GuestsNotAllowed,
    /// The hello repeats our own key or cookie.
    #[error("a hello reflects our own key or cookie")]
    Reflected,
    /// The hello's key is the administrators' key.
    #[error("a hello reuses the administrators' key")]
    AdministratorKeyReused,
    /// The hello's key, or the member's, gives a shared secret of zeros.
    #[error("a participant's key is not usable")]
    UnusableKey,
    /// `guest_auth` where `auth` is expected, or the other way round.
    #[error("the wrong kind of auth for this handshake")]
    WrongAuth,
    /// The auth repeats another key than ours.
    #[error("an auth repeats a key that is not ours")]
    CallKeyMismatch,
    /// The auth repeats another cookie than ours.
    #[error("an auth repeats a cookie that is not ours")]
    CookieMismatch,
    /// A relay for another receiver.
    #[error("a relayed message for someone else")]
    WrongReceiver,
    /// A relay from someone the SFU never announced.
    #[error("a relayed message from an unknown participant")]
    UnknownSender,
    /// Something other than a hello before the hello.
    #[error("the SFU speaks before its hello")]
    BeforeHello,
    /// A second hello of the SFU.
    #[error("a second hello from the SFU")]
    SecondHello,
    /// The SFU announces a participant that is here already (or ourselves).
    #[error("a participant was announced twice")]
    JoinedTwice,
    /// The SFU announces the leaving of someone who never joined.
    #[error("someone left who was never announced")]
    NeverJoined,
    /// An administrator's message in a call without administration.
    #[error("an administrator's message in a call without administration")]
    NoAdministration,
    /// An administrator's message sealed by someone who is none.
    #[error("an administrator's message from someone who is none")]
    NotAnAdministrator,
    /// A promotion whose key does not give the known GCAMK.public.
    #[error("a promotion with a key that is not the administrators'")]
    WrongAdministratorKey,
    /// The SFU did not tell its time; a screen cannot be announced.
    #[error("the SFU does not tell its time, so the screen is not shared")]
    NoTimestamp,
    /// A message for a participant could not be sealed.
    #[error("a message could not be sealed for a participant")]
    Unsealable,
}

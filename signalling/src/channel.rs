//! What the rest of the program knows of messages: contacts, bytes to and from them, and links to make new ones.
//!
//! A [`Channel`] is a machine: one [`ChannelInput`], then [`Channel::poll_output`] until `Timeout`. Which servers and
//! which protocol carry the bytes is its own affair; [`crate::relay_channel`] is the first kind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_proto::call::CallId;
use hullo_proto::service::relay::RefusedReason;
use thiserror::Error;

pub use crate::block::PAYLOAD_BYTES_MAX;
use crate::group::{Group, GroupCommand, GroupError, GroupEvent, GroupNumber};
use crate::history::{CallProgress, EntryId, HistoryEntry, Unseen};
use crate::link::LinkError;
use crate::server_url::ServerUrl;
use crate::store::StoreError;
pub use crate::text_message::TEXT_BYTES_MAX;

/// Carries payloads between contacts, each at least once, in order, and shown once.
pub trait Channel {
    /// One change; then drain [`Self::poll_output`] to its `Timeout`.
    fn handle_input(&mut self, now: Instant, input: ChannelInput<'_>);

    /// What to do, until `Timeout`. A [`ChannelEvent::Message`] counts as taken over when this is called again: a
    /// program that dies before sees the message again.
    fn poll_output(&mut self) -> ChannelOutput;

    /// Everybody, by name.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    fn contacts(&self) -> Result<Vec<Contact>, ChannelError>;

    /// The newest entries of one conversation or of all, before `before` if given: at most `limit`, and never more than
    /// 500, the oldest of them first.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    fn history(
        &self,
        contact: Option<ContactId>,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ChannelError>;

    /// What nobody has seen yet; contacts without anything are left out.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    fn unseen(&self) -> Result<BTreeMap<ContactId, Unseen>, ChannelError>;

    /// The groups we are in, in the order we came in.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    fn groups(&self) -> Result<Vec<Group>, ChannelError>;

    /// What others see of us.
    ///
    /// # Errors
    /// [`ChannelError::Store`].
    fn own(&self) -> Result<Own, ChannelError>;
}

/// A contact's number in this profile; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContactId(pub u64);

/// One connection to a server. More than one may lead to the same URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);

/// Somebody one can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its number.
    pub id: ContactId,
    /// Unique here: a second Bob is `Bob-2`.
    pub name: String,
    /// The 8-character name of the key set. Not a credential.
    pub short_id: String,
    /// Whether the words were compared.
    pub verified: bool,
    /// Whether messages can go both ways.
    pub state: ContactState,
}

/// How far a contact has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// We used its link; it has not answered yet. Messages are sent and wait there.
    Pending,
    /// Both sides have each other's keys.
    Ready,
}

/// What others see of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// What we are called.
    pub name: String,
    /// The 8-character name of our key set.
    pub short_id: String,
    /// Where invitations are made, if any server was ever named.
    pub server: Option<ServerUrl>,
}

/// One thing that happened.
pub enum ChannelInput<'a> {
    /// The connection asked for by [`ChannelOutput::Connect`] stands.
    Connected {
        /// Which.
        server: ServerId,
    },
    /// It could not be made, or is gone.
    Disconnected {
        /// Which.
        server: ServerId,
        /// Why, in words for the user.
        reason: String,
    },
    /// A binary message came.
    Frame {
        /// From which server.
        server: ServerId,
        /// As it came.
        bytes: &'a [u8],
    },
    /// The deadline of [`ChannelOutput::Timeout`] passed.
    Timeout,
    /// The user or the call engine wants something.
    Command(ChannelCommand),
}

/// What can be asked. Answers are [`ChannelEvent`]s.
pub enum ChannelCommand {
    /// Make a link: [`ChannelEvent::InviteReady`].
    Invite {
        /// Where; remembered. `None`: where the last one was made.
        server: Option<ServerUrl>,
    },
    /// Use a link: [`ChannelEvent::ContactAdded`].
    Add {
        /// `hullo:…`, as somebody pasted it.
        link: String,
    },
    /// Send bytes: [`ChannelEvent::Delivered`].
    Send {
        /// To whom.
        contact: ContactId,
        /// At most [`PAYLOAD_BYTES_MAX`].
        payload: Vec<u8>,
    },
    /// Send a text message: [`ChannelEvent::History`] when it is durable here, and again when the relay has it.
    SendText {
        /// To whom.
        contact: ContactId,
        /// At most [`TEXT_BYTES_MAX`] once control characters are gone.
        text: String,
    },
    /// What its messages do not tell of a call; one that is not in the history, or over, is left alone.
    CallOutcome {
        /// With whom.
        contact: ContactId,
        /// Which.
        call_id: CallId,
        /// What happened now. [`CallProgress::Alive`] every ten seconds while connected.
        progress: CallProgress,
    },
    /// The conversation was looked at: [`ChannelEvent::Seen`].
    MarkSeen(ContactId),
    /// What new contacts will see: [`ChannelEvent::OwnChanged`].
    SetName(String),
    /// Where invitations are made: [`ChannelEvent::OwnChanged`].
    SetServer(ServerUrl),
    /// Forget a contact and all that is under way to and from it: [`ChannelEvent::ContactRemoved`].
    RemoveContact(ContactId),
    /// About groups: [`ChannelEvent::Group`].
    Group(GroupCommand),
}

/// One thing to do; `Timeout` says that there is nothing more.
pub enum ChannelOutput {
    /// Make a connection: WebSocket over TLS, the certificate's key having the URL's pin.
    Connect {
        /// Its number from now on.
        server: ServerId,
        /// Where.
        url: ServerUrl,
    },
    /// End a connection, made or in the making; no `Disconnected` is expected.
    Disconnect {
        /// Which.
        server: ServerId,
    },
    /// Send one binary message.
    Transmit {
        /// Over which connection.
        server: ServerId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Tell the program.
    Event(ChannelEvent),
    /// Drained; come back then, if given.
    Timeout(Option<Instant>),
}

/// What the program is told. Holds links and payloads, so it is never printed whole.
pub enum ChannelEvent {
    /// A link can be passed on. Secret.
    InviteReady {
        /// `hullo:…`
        link: String,
    },
    /// Somebody is a contact now.
    ContactAdded {
        /// Who.
        contact: Contact,
    },
    /// A contact is another than before: name, state.
    ContactChanged {
        /// As it is now.
        contact: Contact,
    },
    /// A contact is forgotten: on command, or because its link turned out to be used.
    ContactRemoved {
        /// Who it was.
        contact: ContactId,
    },
    /// A payload came, in the order sent.
    Message {
        /// From whom.
        contact: ContactId,
        /// What [`ChannelCommand::Send`] was given there.
        payload: Vec<u8>,
        /// How long it was under way, by the relay's measure; it lay there while we were away.
        sent_ago: Duration,
    },
    /// An entry of a conversation is new, or another than before. It is durable.
    History {
        /// As it is now.
        entry: HistoryEntry,
    },
    /// An entry turned out to be part of another: both called each other at once.
    HistoryRemoved {
        /// Whose.
        contact: ContactId,
        /// Which.
        entry: EntryId,
    },
    /// Nothing of this conversation is unseen any more.
    Seen {
        /// Whose.
        contact: ContactId,
    },
    /// The relay has one more of the messages for this contact, durably.
    Delivered {
        /// To whom.
        contact: ContactId,
        /// Messages still to go to the relay.
        waiting: u64,
    },
    /// Our name or server is another now.
    OwnChanged(Own),
    /// The link to a server came or went.
    ServerState {
        /// Which.
        server: ServerUrl,
        /// Whether it answers.
        up: bool,
        /// Why not, in words for the user.
        reason: Option<String>,
    },
    /// About groups.
    Group(GroupEvent),
    /// Something asked for did not work.
    Failed {
        /// What.
        what: Wish,
        /// Why, and what to do.
        reason: ChannelError,
    },
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Making a link.
    Invite,
    /// Using a link.
    Add,
    /// Sending to this contact.
    Send(ContactId),
    /// Hearing from this contact, or from somebody who used a link of ours (`None`).
    Receive(Option<ContactId>),
    /// A setting.
    Set,
    /// Removing this contact.
    Remove(ContactId),
    /// Making a group (`None`), or something about this one.
    Group(Option<GroupNumber>),
}

/// Why something did not work, in words that say what to do.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Our own link.
    #[error("this is your own link: give it to the one you want as a contact")]
    OwnLink,
    /// Somebody used it before.
    #[error("this link was used before: each link is for one person once, ask for a new one")]
    LinkUsed,
    /// The server forgot the invitation.
    #[error("the server no longer knows this link: ask for a new one")]
    LinkGone,
    /// The link's keys are those of a contact.
    #[error("{name} is a contact already")]
    AlreadyContact {
        /// The contact.
        name: String,
    },
    /// Two key sets under one 8-character id, or one key in two key sets.
    #[error(
        "somebody uses keys or an id that belong to {name}: refused. Tell {name}, this does not happen by accident"
    )]
    Impostor {
        /// Whose id or key it is.
        name: String,
    },
    /// No server was ever named.
    #[error(
        "no server is known yet: use --server with the URL that `hullo serve` prints on a machine both of you reach"
    )]
    NoServer,
    /// The server does not answer.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// The failure, in words.
        reason: String,
    },
    /// The server said no.
    #[error("the server refused: {}", refusal_words(*.0))]
    Refused(RefusedReason),
    /// The server no longer has the queue we read or write.
    #[error(
        "the server has lost the mailbox shared with {name} (restarted without storage?): remove the contact and make a new invitation"
    )]
    QueueLost {
        /// The contact.
        name: String,
    },
    /// No such contact.
    #[error("there is no such contact")]
    NoContact,
    /// Too many bytes.
    #[error("a message may be {PAYLOAD_BYTES_MAX} bytes long")]
    TooLong,
    /// Too long a text.
    #[error("a text message may be {TEXT_BYTES_MAX} bytes long: send it in parts")]
    TextTooLong,
    /// Nothing left after cleaning.
    #[error("a text message needs at least one visible character")]
    TextEmpty,
    /// The contact's server has been unreachable for long.
    #[error(
        "too many messages wait for this contact already: its server has not taken any for long"
    )]
    OutboxFull,
    /// Many open links.
    #[error("too many invitations are open: they end after 7 days, or when they are used")]
    TooManyInvitations,
    /// Nothing left after cleaning.
    #[error("a name needs at least one visible character")]
    Name,
    /// Groups.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn refusal_words(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::NoQueue => "it does not know this mailbox",
        RefusedReason::AlreadySecured => "the mailbox belongs to somebody else",
        RefusedReason::NotSecured => "the mailbox is not in use yet",
        RefusedReason::QueueFull => {
            "the mailbox is full, the other side has not been there for long"
        }
        RefusedReason::TooManyQueues => "it has no room for more mailboxes, try again later",
        RefusedReason::TooFast => "too many requests, try again in a minute",
        RefusedReason::Storage => "its storage failed, tell whoever runs it",
        RefusedReason::NoCode => {
            "nobody waits with this code: misheard, expired or used, ask for a new one"
        }
        RefusedReason::TooManyCodes => "too many codes are in use, try again in a few minutes",
    }
}

//! What the rest of the program knows of messages: contacts, bytes to and from them, and links to make new ones.
//!
//! A [`Channel`] is a machine: one [`ChannelInput`], then [`Channel::poll_output`] until `Timeout`. Which servers and
//! which protocol carry the bytes is its own affair; [`crate::relay_channel`] is the first kind.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use hullo_proto::call::CallId;
use hullo_proto::service::relay::RefusedReason;
use thiserror::Error;

pub use crate::block::PAYLOAD_BYTES_MAX;
use crate::code::CodeError;
use crate::group::{Group, GroupCommand, GroupError, GroupEvent, GroupNumber};
use crate::history::{CallProgress, EntryId, HistoryEntry, Unseen};
use crate::link::LinkError;
use crate::server_url::ServerUrl;
use crate::store::StoreError;
pub use crate::text_message::TEXT_BYTES_MAX;
use crate::words;

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
    /// What it sends is dropped unseen, and nothing is sent to it. It is not told.
    pub blocked: bool,
}

/// How far a contact has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// We used its link; it has not answered yet. Messages are sent and wait there.
    Pending,
    /// Both sides have each other's keys.
    Ready,
    /// Known from a backup: its keys are, the way to it is not. A link of either side makes it ready again.
    Lost,
}

/// What others see of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// What we are called.
    pub name: String,
    /// The 8-character name of our key set.
    pub short_id: String,
    /// The group protocol's client key: what directories know people by.
    pub client_key: [u8; 32],
    /// Where invitations are made, if any server was ever named.
    pub server: Option<ServerUrl>,
    /// Until when each link works that is out and was not used, since 1970, the next to end first.
    pub open_links: Vec<Duration>,
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
    /// Make a link and a spoken code that leads to it: [`ChannelEvent::InviteReady`], then
    /// [`ChannelEvent::CodeReady`]. One code stands at a time: it replaces the one before.
    InviteCode {
        /// As with [`Self::Invite`].
        server: Option<ServerUrl>,
    },
    /// Use a link or a spoken code: [`ChannelEvent::ContactAdded`]. A code without a server is looked for at our own.
    Add {
        /// `hullo:…`, as somebody pasted it, or `7314-orbit-velvet`, as somebody heard it.
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
    /// What others see; those who have us as a contact are told: [`ChannelEvent::OwnChanged`].
    SetName(String),
    /// Something about a contact: [`ChannelEvent::ContactChanged`].
    Person {
        /// Whom.
        contact: ContactId,
        /// What.
        change: PersonChange,
    },
    /// Where invitations are made: [`ChannelEvent::OwnChanged`].
    SetServer(ServerUrl),
    /// Forget a contact and all that is under way to and from it: [`ChannelEvent::ContactRemoved`].
    RemoveContact(ContactId),
    /// Let no link of ours work any more that was not used yet, nor its code: [`ChannelEvent::Withdrawn`].
    Withdraw,
    /// About groups: [`ChannelEvent::Group`].
    Group(GroupCommand),
}

/// What can be changed about a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonChange {
    /// What it is called here. It is not told.
    Rename(String),
    /// Drop what it sends. It is not told.
    Block,
    /// Take what it sends again.
    Unblock,
    /// Begin to compare words: [`ChannelEvent::SafetyWords`] at once, and [`ChannelEvent::WordsReady`] when the
    /// contact's program has answered.
    CompareWords,
    /// The words were the same: the contact is verified.
    WordsMatch,
    /// They were not: somebody stands between.
    WordsDiffer,
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
        /// The same, whole: about 500 characters that need no letter at the server.
        whole: String,
        /// `hullo:…`
        link: String,
    },
    /// A spoken code stands. Secret.
    CodeReady {
        /// `7314-orbit-velvet`
        code: String,
        /// The same with its server, for a QR code.
        link: String,
        /// How long at most, and no longer than this program runs.
        stands: Duration,
    },
    /// The spoken code no longer stands.
    CodeEnded {
        /// Why.
        reason: CodeEnd,
    },
    /// Twelve words for both whole key sets, the same at both sides for ever.
    SafetyWords {
        /// With whom.
        contact: ContactId,
        /// 132 bits.
        words: [&'static str; words::SAFETY],
    },
    /// Four words to be compared now, aloud; they stand until they were, or until either side begins anew.
    WordsReady {
        /// With whom.
        contact: ContactId,
        /// The same at the contact's, if nobody stands between.
        words: [&'static str; words::COMPARED],
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
    /// Links that were out work no more.
    Withdrawn {
        /// How many.
        count: usize,
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
        /// It does, but what it says cannot be kept here: the disk is full, mostly.
        is_ours: bool,
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

/// Why a spoken code no longer stands, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeEnd {
    /// It was used as it should be, or its link was.
    Used,
    /// Somebody tried it and did not know the words.
    WrongWords,
    /// Nobody used it in time.
    Expired,
    /// A newer one was made.
    Replaced,
    /// Its maker took it back.
    Withdrawn,
    /// It could not be made, or not be carried through: why.
    Failed(String),
}

impl fmt::Display for CodeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Used => "the code was used",
            Self::WrongWords => {
                "somebody tried the code with wrong words, or went away in the middle: it is dead, make another"
            }
            Self::Expired => "nobody used the code in time: make another",
            Self::Replaced => "there is a newer code: this one is dead",
            Self::Withdrawn => "the code was withdrawn",
            Self::Failed(reason) => return write!(f, "the code does not work: {reason}"),
        })
    }
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
    /// Withdrawing links.
    Withdraw,
    /// Making a group (`None`), or something about this one.
    Group(Option<GroupNumber>),
    /// Something else about this contact.
    Person(ContactId),
}

/// Why something did not work, in words that say what to do.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The spoken code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A code's other side went silent.
    #[error("whoever made this code does not answer any more: ask for a new one")]
    CodeSilent,
    /// Codes are tried one at a time.
    #[error("another code is being tried: wait until that is decided")]
    CodeBusy,
    /// A blocked contact.
    #[error("{name} is blocked: unblock it first")]
    Blocked {
        /// Who.
        name: String,
    },
    /// Known from a backup.
    #[error(
        "the way to this contact is not known any more: ask for a new link of theirs and add it"
    )]
    OutOfTouch,
    /// Names are unique here.
    #[error("another contact is called {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A nonce was not the one that was bound to.
    #[error(
        "somebody tampered with comparing words with {name}: do not trust this contact before the words were the same"
    )]
    WordsForged {
        /// With whom.
        name: String,
    },
    /// Two programs read the same queues.
    #[error(
        "a copy of this profile runs elsewhere, and two copies destroy each other's messages: end one of them for \
         good, then start this one again"
    )]
    CopiedProfile,
    /// Our own link.
    #[error("this is your own link: give it to the one you want as a contact")]
    OwnLink,
    /// Somebody used it before.
    #[error("this link was used before: each link is for one person once, ask for a new one")]
    LinkUsed,
    /// The server forgot the invitation.
    #[error("the server no longer knows this link (it was used, or is too old): ask for a new one")]
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
        "too many messages wait for this contact already: its server takes none, or not so fast. Try again when some have left"
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

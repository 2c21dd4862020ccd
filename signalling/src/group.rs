//! Groups: who is in one, who says so, and what the program is told.
//!
//! A group is a *record* signed by its creator (`record.rs`). For each member it holds a *statement* signed by that
//! member: the whole key set, and where to write to (the group inbox). So the creator lists and removes, and cannot
//! speak for anybody else. A key set pinned as a contact, or seen in the group before, wins over what a record says.
//!
//! ```text
//! creator: Add            invitation over the contact channel     ->  member
//! creator                 <-  acceptance with its statement           member: makes an inbox
//! creator: record, revision + 1, to every member's inbox          ->  members, the new one too
//! ```
//!
//! **Inboxes.** Each member reads one queue per group. Its sending key stands in the statement, so every member writes
//! with it: one queue for each pair would grow with the square of the members, and each newcomer would cost every
//! member a new statement. Who speaks is proved inside, by a ratchet for each pair. After somebody left or was
//! removed, every member makes a new inbox: the former member's key then opens and writes nothing.
//!
//! **Ratchets.** Olm sessions for each pair in each group, started from the key in the statement that every first
//! message uses (Olm's fallback key). A session turns two-way at once, by an empty answer, so that forward secrecy
//! rests on that key for the first message alone. The first message of a session is always the record: it proves to
//! somebody who has not heard of the newcomer that the newcomer belongs.
//!
//! **Calls.** A start message goes to every member, and from the creator to those added while the call runs. When
//! somebody left or was removed the running calls are forgotten: the next one has a new key.

use std::time::Duration;

use hullo_proto::group::id::GroupId;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::channel::ContactId;
use crate::identity::KeySet;
use crate::server_url::ServerUrl;

pub(crate) mod record;
pub(crate) mod said;

/// Members of one group, the creator among them: what one block can carry with usual names of hosts.
pub const MEMBERS_MAX: usize = 32;
/// Groups one is in: each is a connection to a relay.
pub const GROUPS_MAX: usize = 32;
/// Longest start message of a call: key, version and one address.
pub const START_BYTES_MAX: usize = 4_096;

/// A group's number in this profile; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNumber(pub u64);

/// A member's number in this profile; one for each group somebody is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberNumber(pub u64);

/// A group as we know it. Holds whole key sets, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number here.
    pub number: GroupNumber,
    /// Its name on the wire: enters the id of every call.
    pub id: GroupId,
    /// Unique here.
    pub name: String,
    /// Where calls of this group ask for tokens.
    pub server: ServerUrl,
    /// Of the newest record; 0 before there is one.
    pub revision: u64,
    /// Whether we made it, and so may add and remove.
    pub is_ours: bool,
    /// Whether it can be used.
    pub state: GroupState,
    /// Everybody, we and the invited too.
    pub members: Vec<Member>,
    /// What was refused last, in words; gone with the next good record.
    pub trouble: Option<String>,
}

/// How far a group has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Our inbox is being made, or the creator has not yet listed us.
    Joining,
    /// We are in.
    In,
}

/// One member.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number here.
    pub number: MemberNumber,
    /// Unique in the group; the contact's name where it is one.
    pub name: String,
    /// The 8-character name of the key set. Not a credential.
    pub short_id: String,
    /// The whole key set: what a call compares.
    pub key_set: KeySet,
    /// Who says that these keys are this person's.
    pub vouched: Vouched,
    /// Whether this is the creator.
    pub is_creator: bool,
    /// Invited, and has not answered yet.
    pub is_invited: bool,
}

/// Who says that a member's keys are the right ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// It is us.
    Own,
    /// A contact with whom the words were compared.
    Verified,
    /// A contact.
    Contact,
    /// Nobody but the group's creator.
    Group,
}

/// What can be asked about groups. Answers are [`GroupEvent`]s.
pub enum GroupCommand {
    /// Make a group with nobody else in it: [`GroupEvent::Changed`].
    New {
        /// What it is called.
        name: String,
        /// Where its calls run; `None`: the server we use.
        server: Option<ServerUrl>,
    },
    /// Invite a contact. Ours alone to do.
    Add {
        /// To which group.
        group: GroupNumber,
        /// Whom.
        contact: ContactId,
    },
    /// Take a member out. Ours alone to do.
    Remove {
        /// Of which group.
        group: GroupNumber,
        /// Whom.
        member: MemberNumber,
    },
    /// Leave: [`GroupEvent::Left`]. When the creator leaves the group ends for all.
    Leave {
        /// Which.
        group: GroupNumber,
    },
    /// Announce a call to every member, and to those added until [`GroupCommand::EndCall`].
    StartCall {
        /// In which group.
        group: GroupNumber,
        /// `StartMessage::encode`, at most [`START_BYTES_MAX`]. Holds the call's key.
        start: Zeroizing<Vec<u8>>,
    },
    /// The call is over: nobody is told of it any more.
    EndCall {
        /// In which group.
        group: GroupNumber,
        /// As it was announced.
        start: Zeroizing<Vec<u8>>,
    },
}

/// What the program is told about groups. Holds call keys, so it is never printed.
pub enum GroupEvent {
    /// A group is new, or another than before.
    Changed {
        /// As it is now.
        group: Group,
    },
    /// We left it.
    Left {
        /// Which it was.
        group: GroupNumber,
        /// What it was called.
        name: String,
    },
    /// The creator took us out, or ended the group.
    Removed {
        /// Which it was.
        group: GroupNumber,
        /// What it was called.
        name: String,
        /// Whether it ended for all.
        ended: bool,
    },
    /// A call runs. Told again at every start of the program until [`GroupCommand::EndCall`].
    CallStarted {
        /// In which group.
        group: GroupNumber,
        /// Who said so.
        from: MemberNumber,
        /// For `StartMessage::decode`.
        start: Zeroizing<Vec<u8>>,
        /// How long ago, by the relay's measure.
        sent_ago: Duration,
    },
    /// Somebody left or was removed: calls that ran are not to be entered again, the next has a new key.
    CallsForgotten {
        /// In which group.
        group: GroupNumber,
    },
    /// Something a member or the creator sent was refused. What was known before stays.
    Refused {
        /// In which group.
        group: GroupNumber,
        /// Why, and what to do.
        words: String,
    },
}

/// Why something about groups did not work, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// No such group, or no longer.
    #[error("there is no such group: `hullo group list` shows those you are in")]
    NoGroup,
    /// Names are unique here too, and somebody chose this one.
    #[error("you are in a group called {0} already: choose another name")]
    NameTaken(String),
    /// No such member.
    #[error("nobody of that name is in the group")]
    NoMember,
    /// Only the creator adds and removes.
    #[error("only {creator}, who made the group, can do that")]
    NotOurs {
        /// The creator.
        creator: String,
    },
    /// The creator cannot be removed.
    #[error("you made this group: leave it instead, which ends it for all")]
    Creator,
    /// In already.
    #[error("{name} is in the group already")]
    AlreadyMember {
        /// The contact.
        name: String,
    },
    /// The contact has not answered our link.
    #[error("{name} has not used or answered the link yet: wait until both of you are contacts")]
    NotReady {
        /// The contact.
        name: String,
    },
    /// The record would not fit.
    #[error("the group is full: {MEMBERS_MAX} people, fewer where servers have long names")]
    Full,
    /// Too many groups.
    #[error("you are in {GROUPS_MAX} groups already: leave one first")]
    TooManyGroups,
    /// Not in yet.
    #[error("the group is still being set up: its server must be reached first")]
    NotIn,
    /// Bytes that announce no call of this group: the program's fault.
    #[error("this is no start of a call in this group")]
    Start,
}

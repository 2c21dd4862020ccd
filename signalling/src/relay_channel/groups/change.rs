//! What one transaction does to groups: seal, list, apply what came. Nothing here is told before it is durable.

use std::collections::BTreeSet;
use std::time::Duration;

use hullo_proto::group::wire::StartMessage;
use vodozemac::olm::{Account, DecryptionError, OlmMessage, SessionConfig};
use zeroize::Zeroizing;

use super::list;
use crate::channel::ChannelError;
use crate::group::record::{Record, Statement};
use crate::group::said::Said;
use crate::group::{GroupError, GroupEvent, GroupNumber, MemberNumber, START_BYTES_MAX};
use crate::hash::hash;
use crate::identity::{Identity, KeySet};
use crate::store::{
    GroupInbox, GroupRow, GroupSession, MemberRow, MemberStanding, Rows, Standing, StoreError,
};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Yes,
    /// It was opened before: sent twice, perhaps to an inbox that moved meanwhile.
    Before,
    /// It does not open, or is not from a member.
    No,
}

/// One transaction's work.
pub(super) struct Change<'a, 'r> {
    pub(super) rows: &'a Rows<'r>,
    pub(super) identity: &'a Identity,
    /// Since 1970.
    pub(super) clock: Duration,
    /// Groups to show anew.
    pub(super) changed: BTreeSet<GroupNumber>,
    pub(super) events: Vec<GroupEvent>,
}

impl<'a, 'r> Change<'a, 'r> {
    pub(super) fn new(rows: &'a Rows<'r>, identity: &'a Identity, clock: Duration) -> Self {
        Self {
            rows,
            identity,
            clock,
            changed: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// What the program is to be told, once this is durable.
    pub(super) fn finish(self) -> Result<Vec<GroupEvent>, StoreError> {
        let mut events = Vec::new();
        for number in self.changed {
            if let Some(group) = self.rows.group(number)?
                && list::is_shown(&group)
            {
                let group = list::group(self.rows, self.identity.key_set(), &group)?;
                events.push(GroupEvent::Changed { group });
            }
        }
        events.extend(self.events);
        Ok(events)
    }

    pub(super) fn own(&self) -> &KeySet {
        self.identity.key_set()
    }

    pub(super) fn is_ours(&self, group: &GroupRow) -> bool {
        group.key.creator == *self.own()
    }

    /// Everybody listed but us.
    pub(super) fn others(&self, group: &GroupRow) -> Result<Vec<MemberRow>, StoreError> {
        let mut members = self.rows.members(group)?;
        members.retain(|member| {
            member.standing == MemberStanding::In && member.key_set != *self.own()
        });
        Ok(members)
    }

    /// The ratchet moves, and what it sealed waits to be sent. A member who never stated anything hears nothing.
    pub(super) fn say(
        &self,
        group: &GroupRow,
        member: &mut MemberRow,
        said: &Said,
    ) -> Result<(), ChannelError> {
        let mut session = match self.rows.newest_session(member.number)? {
            Some(session) => session,
            None => {
                let Some(mut session) = self.begin(member) else {
                    return Ok(());
                };
                if let (Some(record), false) = (&group.record, matches!(said, Said::Record(_))) {
                    // Proves to whoever has not heard of us that we belong.
                    self.put(group, member, &mut session, &Said::Record(record.clone()))?;
                }
                session
            }
        };
        self.put(group, member, &mut session, said)
    }

    fn begin(&self, member: &MemberRow) -> Option<GroupSession> {
        let statement = member.statement.as_ref()?;
        let session = self.identity.account().create_outbound_session(
            SessionConfig::version_1(),
            member.key_set.curve25519(),
            statement.first_key,
        );
        // A key that protects nothing: its owner's fault and loss.
        let session = session.ok()?;
        Some(GroupSession {
            tag: session_tag(&session.session_id()),
            session,
            heard: 0,
        })
    }

    fn put(
        &self,
        group: &GroupRow,
        member: &mut MemberRow,
        session: &mut GroupSession,
        said: &Said,
    ) -> Result<(), ChannelError> {
        member.sent += 1;
        let plain = said.write(&group.key, member.sent);
        let message = session.session.encrypt(&*plain);
        let message = message.map_err(|error| StoreError::Corrupt {
            reason: error.to_string(),
        })?;
        let (kind, message) = message.to_parts();
        let kind = u8::try_from(kind).expect("there are two kinds, 0 and 1");
        self.rows.save_session(member.number, session, false)?;
        self.rows.save_member(member)?;
        let message = [&session.tag[..], &message].concat();
        self.rows
            .add_to_group_outbox(member.number, kind, &message)?;
        Ok(())
    }

    pub(super) fn say_to_all(&self, group: &GroupRow, said: &Said) -> Result<(), ChannelError> {
        for mut member in self.others(group)? {
            self.say(group, &mut member, said)?;
        }
        Ok(())
    }

    /// Signs a new list and sends it to everybody on it. Ours alone to do. Before our own inbox stands, nothing.
    pub(super) fn publish(&mut self, group: &mut GroupRow) -> Result<(), ChannelError> {
        let listed = self.rows.members(group)?.into_iter();
        let listed = listed.filter(|member| member.standing == MemberStanding::In);
        let members: Vec<Statement> = listed.filter_map(|member| member.statement).collect();
        if !members.iter().any(|member| member.key_set == *self.own()) {
            return Ok(());
        }
        group.revision += 1;
        let record = Record {
            revision: group.revision,
            removal: group.removal,
            name: group.name.clone(),
            server: group.server.clone(),
            members,
        };
        let bytes = record
            .write(&group.key, self.identity)
            .ok_or(GroupError::Full)?;
        group.record = Some(bytes.clone());
        group.standing = Standing::In;
        group.trouble = None;
        self.rows.save_group(group)?;
        self.say_to_all(group, &Said::Record(bytes))?;
        self.changed.insert(group.number);
        Ok(())
    }

    /// A statement we, the creator, take into the list.
    pub(super) fn admit(
        &mut self,
        group: &mut GroupRow,
        statement: Statement,
    ) -> Result<(), ChannelError> {
        let mut member = self.rows.member_of(group, &statement.key_set)?;
        if statement.number <= member.stated {
            return Ok(());
        }
        let is_new = member.standing != MemberStanding::In;
        member.stated = statement.number;
        member.statement = Some(statement);
        member.standing = MemberStanding::In;
        self.rows.save_member(&member)?;
        self.publish(group)?;
        if is_new && member.key_set != *self.own() {
            let mut member = self.rows.member_of(group, &member.key_set)?;
            for call in self.rows.calls(Some(group.number))? {
                let (revision, start) = (group.revision, call.start);
                self.say(group, &mut member, &Said::CallStart { revision, start })?;
            }
        }
        Ok(())
    }

    /// Somebody is out, and hears nothing more. The creator lists the rest anew.
    pub(super) fn member_gone(
        &mut self,
        group: &mut GroupRow,
        member: &mut MemberRow,
    ) -> Result<(), ChannelError> {
        member.standing = MemberStanding::Gone;
        self.rows.save_member(member)?;
        self.rows.clear_group_outbox(member.number)?;
        self.forget_calls(group.number)?;
        self.changed.insert(group.number);
        if self.is_ours(group) {
            group.removal = group.revision + 1;
            self.rows.save_group(group)?;
            self.publish(group)?;
        }
        Ok(())
    }

    /// We are out.
    pub(super) fn close(
        &mut self,
        group: &mut GroupRow,
        standing: Standing,
    ) -> Result<(), StoreError> {
        group.standing = standing;
        group.record = None;
        self.rows.save_group(group)?;
        self.rows.close_group_inboxes(group.number)?;
        self.rows.forget_calls(group.number, None)?;
        for member in self.rows.members(group)? {
            self.rows.clear_group_outbox(member.number)?;
        }
        let (group, name) = (group.number, group.name.clone());
        self.events.push(match standing {
            Standing::Removed | Standing::Ended => GroupEvent::Removed {
                group,
                name,
                ended: standing == Standing::Ended,
            },
            _ => GroupEvent::Left { group, name },
        });
        Ok(())
    }

    fn forget_calls(&mut self, group: GroupNumber) -> Result<(), StoreError> {
        if self.rows.forget_calls(group, None)? > 0 {
            self.events.push(GroupEvent::CallsForgotten { group });
        }
        Ok(())
    }

    /// What was sent is not taken over; what was known stays.
    pub(super) fn refuse(&mut self, group: &mut GroupRow, words: String) -> Result<(), StoreError> {
        group.trouble = Some(words.clone());
        self.rows.save_group(group)?;
        self.changed.insert(group.number);
        let group = group.number;
        self.events.push(GroupEvent::Refused { group, words });
        Ok(())
    }

    /// A message of one of our inboxes. Every effect bears coming late, since an inbox that moved is read
    /// beside its successor; each ratchet opens a message once.
    pub(super) fn open(
        &mut self,
        inbox: &GroupInbox,
        tag: [u8; 16],
        message: &OlmMessage,
        age: Duration,
    ) -> Result<Opened, ChannelError> {
        let Some(mut group) = self.rows.group(inbox.group)? else {
            return Ok(Opened::No);
        };
        if !list::is_shown(&group) {
            return Ok(Opened::No);
        }
        let (plain, session, is_new) = match self.rows.session(group.number, tag)? {
            Some((_, mut session)) => match session.session.decrypt(message) {
                Ok(plain) => (Zeroizing::new(plain), session, false),
                Err(DecryptionError::MissingMessageKey(_)) => return Ok(Opened::Before),
                Err(_) => return Ok(Opened::No),
            },
            None => match self.accept_session(tag, message) {
                Some((plain, session)) => (plain, session, true),
                None => return Ok(Opened::No),
            },
        };
        let Some((group_tag, sequence, said)) = Said::read(&plain) else {
            return Ok(Opened::No);
        };
        if group_tag != group.key.tag() {
            return Ok(Opened::No);
        }
        let sender = self.sender(&mut group, tag, message, &said)?;
        let Some(mut member) = sender.filter(|member| !is_new || sequence > member.received) else {
            return Ok(Opened::No);
        };
        member.received = member.received.max(sequence);
        self.rows.save_session(member.number, &session, true)?;
        self.rows.save_member(&member)?;
        self.hear(&mut group, &member, said, age)?;
        if is_new && list::is_shown(&group) {
            let mut member = self.rows.member_of(&group, &member.key_set)?;
            if member.standing == MemberStanding::In {
                self.say(&group, &mut member, &Said::Hello)?;
            }
        }
        Ok(Opened::Yes)
    }

    /// A ratchet somebody began. The account stays as it was: the key that starts these is not used up, and one of an
    /// invitation must not be.
    fn accept_session(
        &self,
        tag: [u8; 16],
        message: &OlmMessage,
    ) -> Option<(Zeroizing<Vec<u8>>, GroupSession)> {
        let OlmMessage::PreKey(message) = message else {
            return None;
        };
        if session_tag(&message.session_id()) != tag {
            return None;
        }
        let mut account = Account::from_pickle(self.identity.account().pickle());
        let opened = account.create_inbound_session(
            SessionConfig::version_1(),
            message.identity_key(),
            message,
        );
        let opened = opened.ok()?;
        let session = GroupSession {
            tag,
            session: opened.session,
            heard: 0,
        };
        Some((Zeroizing::new(opened.plaintext), session))
    }

    /// Whose message it is, if it is a member's. Somebody we have not heard of brings the record that lists him.
    fn sender(
        &mut self,
        group: &mut GroupRow,
        tag: [u8; 16],
        message: &OlmMessage,
        said: &Said,
    ) -> Result<Option<MemberRow>, ChannelError> {
        let known = self.rows.session(group.number, tag)?;
        let number = known.map(|(number, _)| number);
        let find = |members: Vec<MemberRow>| {
            members.into_iter().find(|member| {
                let is_it = match (number, message) {
                    (Some(number), _) => member.number == number,
                    (None, OlmMessage::PreKey(message)) => {
                        member.key_set.curve25519() == message.identity_key()
                    }
                    (None, OlmMessage::Normal(_)) => false,
                };
                is_it && member.standing == MemberStanding::In
            })
        };
        let found = find(self.rows.members(group)?);
        match (found, said) {
            (None, Said::Record(record)) if number.is_none() => {
                self.apply(group, record)?;
                Ok(find(self.rows.members(group)?))
            }
            (found, _) => Ok(found),
        }
    }

    fn hear(
        &mut self,
        group: &mut GroupRow,
        member: &MemberRow,
        said: Said,
        age: Duration,
    ) -> Result<(), ChannelError> {
        let is_creator = member.key_set == group.key.creator;
        match said {
            Said::Hello | Said::Unknown => Ok(()),
            Said::Record(record) => self.apply(group, &record),
            Said::Statement(bytes) if self.is_ours(group) => {
                match Statement::from_bytes(&group.key, &bytes) {
                    Ok(statement) if statement.key_set == member.key_set => {
                        self.admit(group, statement)
                    }
                    _ => Ok(self.refuse(
                        group,
                        "a member sent a statement that is not its own: refused".to_owned(),
                    )?),
                }
            }
            Said::Statement(_) => Ok(()),
            // Older than a statement: the member has come back since.
            Said::Leave { number } if is_creator || number < member.stated => Ok(()),
            Said::Leave { .. } => {
                let mut member = self.rows.member_of(group, &member.key_set)?;
                self.member_gone(group, &mut member)
            }
            Said::Removed { revision, ended } if is_creator && revision > group.revision => {
                group.revision = revision;
                group.removal = revision;
                let standing = if ended {
                    Standing::Ended
                } else {
                    Standing::Removed
                };
                Ok(self.close(group, standing)?)
            }
            Said::Removed { .. } => Ok(()),
            Said::CallStart { revision, start } => {
                self.call_started(group, member.number, revision, start, age)
            }
        }
    }

    pub(super) fn call_started(
        &mut self,
        group: &mut GroupRow,
        from: MemberNumber,
        revision: u64,
        start: Zeroizing<Vec<u8>>,
        age: Duration,
    ) -> Result<(), ChannelError> {
        if !is_start(group, &start) {
            return Ok(self.refuse(
                group,
                "a member announced a call that cannot be read: refused".to_owned(),
            )?);
        }
        if revision < group.removal {
            // Whoever went since has its key. Its starter learns of that too, and begins another.
            let words = "a call was announced that somebody no longer in the group could hear: not taken over, start a new one";
            return Ok(self.refuse(group, words.to_owned())?);
        }
        let at = self.clock.saturating_sub(age);
        if self.rows.add_group_call(group.number, from, at, &start)? {
            self.events.push(GroupEvent::CallStarted {
                group: group.number,
                from,
                start,
                sent_ago: age,
            });
        }
        Ok(())
    }
}

/// Whether the bytes announce a call of this group.
pub(super) fn is_start(group: &GroupRow, start: &[u8]) -> bool {
    start.len() <= START_BYTES_MAX
        && StartMessage::decode(start).is_ok_and(|(id, _)| id == list::id(&group.key))
}

/// Names a ratchet to who holds it; the relay never sees it.
fn session_tag(session_id: &str) -> [u8; 16] {
    let hash = hash(b"hullo-session", session_id.as_bytes());
    *hash.first_chunk().expect("the hash is longer than the tag")
}

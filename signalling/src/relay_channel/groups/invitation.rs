//! What creator and invited say to one another as contacts.

use std::time::Duration;

use super::super::RelayChannel;
use super::super::contacts::seal_into_outbox;
use super::change::Change;
use super::{check_count, list};
use crate::block::Content;
use crate::channel::{ChannelError, ContactId, Wish};
use crate::group::GroupEvent;
use crate::group::record::{GroupKey, Statement};
use crate::group::said::{ContactSaid, ContactWord};
use crate::identity::{Identity, KeySet};
use crate::server_url::ServerUrl;
use crate::store::{MemberStanding, OutboundQueue, Rows, Standing, StoreError};

/// What a contact said about a group, to be done once it is durable.
pub(in super::super) struct ContactNews {
    events: Vec<GroupEvent>,
    answer: Option<ContactSaid>,
}

/// Hears a contact inside the transaction that opened its message.
pub(in super::super) fn hear_contact(
    rows: &Rows<'_>,
    identity: &Identity,
    clock: Duration,
    contact: ContactId,
    bytes: &[u8],
) -> Result<ContactNews, ChannelError> {
    let mut change = Change::new(rows, identity, clock);
    let mut answer = None;
    let key_set = key_set_of(rows, contact)?;
    if let (Some(said), Some(key_set)) = (ContactSaid::read(bytes), key_set) {
        let theirs = GroupKey {
            creator: key_set,
            id: said.id,
        };
        match said.what {
            ContactWord::Invitation {
                revision,
                name,
                server,
            } => {
                if !invited(&mut change, &theirs, revision, &name, &server)? {
                    let what = ContactWord::Declined;
                    answer = Some(ContactSaid { id: said.id, what });
                }
            }
            ContactWord::Withdrawn => {
                if let Some(mut group) = rows.group_by_key(&theirs)?
                    && group.standing == Standing::Joining
                {
                    change.close(&mut group, Standing::Removed)?;
                }
            }
            ContactWord::Accepted(statement) => {
                accepted(&mut change, &key_set, said.id, Some(&statement))?;
            }
            ContactWord::Declined => accepted(&mut change, &key_set, said.id, None)?,
            ContactWord::Unknown => {}
        }
    }
    let events = change.finish()?;
    Ok(ContactNews { events, answer })
}

impl RelayChannel {
    /// After the transaction of [`hear_contact`].
    pub(in super::super) fn heard_contact(&mut self, contact: ContactId, news: ContactNews) {
        self.tell_groups(news.events);
        if let Some(answer) = news.answer {
            let rng = &mut self.rng;
            let said = self
                .store
                .transaction(|rows| say_to_contact(rows, rng, contact, &answer));
            if let Err(reason) = said.and_then(|()| self.has_work(contact)) {
                self.fail(Wish::Send(contact), reason);
            }
        }
    }
}

/// A contact lists us: we are to make an inbox. False: there is no room.
fn invited(
    change: &mut Change<'_, '_>,
    key: &GroupKey,
    revision: u64,
    name: &str,
    server: &ServerUrl,
) -> Result<bool, ChannelError> {
    let known = change.rows.group_by_key(key)?;
    if !known.as_ref().is_some_and(list::is_shown)
        && let Err(full) = check_count(change.rows)
    {
        return match full {
            ChannelError::Group(_) => Ok(false),
            other => Err(other),
        };
    }
    let Some(mut group) = known else {
        let number = change.rows.add_group(key, name, server, revision)?;
        change.changed.insert(number);
        return Ok(true);
    };
    // Nobody invites a member. One who is invited was removed before, and that message has not come yet.
    let is_new = !list::is_shown(&group) || revision > group.revision;
    if is_new {
        change.rows.close_group_inboxes(group.number)?;
        change.rows.forget_calls(group.number, None)?;
        group.standing = Standing::Joining;
        group.revision = group.revision.max(revision);
        group.record = None;
        group.trouble = None;
        group.server = server.clone();
        change.rows.save_group(&group)?;
        change.changed.insert(group.number);
    }
    Ok(true)
}

/// Somebody we invited answers: with its statement, or that it cannot come.
fn accepted(
    change: &mut Change<'_, '_>,
    key_set: &KeySet,
    id: [u8; 8],
    statement: Option<&[u8]>,
) -> Result<(), ChannelError> {
    let key = GroupKey {
        creator: *change.own(),
        id,
    };
    let Some(mut group) = change.rows.group_by_key(&key)? else {
        return Ok(());
    };
    let mut member = change.rows.member_of(&group, key_set)?;
    if !list::is_shown(&group) {
        return Ok(());
    }
    let Some(bytes) = statement else {
        return match member.standing {
            MemberStanding::Gone => Ok(()),
            // Left before our list came.
            MemberStanding::In => change.member_gone(&mut group, &mut member),
            MemberStanding::Invited => {
                member.standing = MemberStanding::Gone;
                change.rows.save_member(&member)?;
                change.changed.insert(group.number);
                Ok(())
            }
        };
    };
    if member.standing != MemberStanding::Invited {
        return Ok(());
    }
    match Statement::from_bytes(&key, bytes) {
        Ok(statement) if statement.key_set == *key_set => change.admit(&mut group, statement),
        _ => {
            let words = "a contact answered an invitation with keys that are not its own: refused";
            Ok(change.refuse(&mut group, words.to_owned())?)
        }
    }
}

pub(super) fn contact_of(
    rows: &Rows<'_>,
    key_set: &KeySet,
) -> Result<Option<ContactId>, StoreError> {
    let known = rows.key_sets()?.into_iter();
    Ok(known
        .filter(|(_, known)| known == key_set)
        .map(|(id, _)| id)
        .next())
}

pub(super) fn key_set_of(
    rows: &Rows<'_>,
    contact: ContactId,
) -> Result<Option<KeySet>, StoreError> {
    let known = rows.key_sets()?.into_iter();
    Ok(known
        .filter(|(id, _)| *id == contact)
        .map(|(_, known)| known)
        .next())
}

pub(super) fn say_to_contact(
    rows: &Rows<'_>,
    rng: &mut rand_chacha::ChaCha20Rng,
    contact: ContactId,
    said: &ContactSaid,
) -> Result<(), ChannelError> {
    let mut keys = rows.contact_keys(contact)?.ok_or(ChannelError::NoContact)?;
    let queue: OutboundQueue = rows.outbound(contact)?.ok_or(ChannelError::NoContact)?;
    let content = Content::Group(said.write());
    seal_into_outbox(rows, rng, &mut keys, &queue, &content)?;
    Ok(())
}

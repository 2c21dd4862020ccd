//! Groups over relays: commands, invitations through contacts, and what follows from both. See [`crate::group`].
//!
//! What is to be done is read from the store each time ([`RelayChannel::drive_groups`]): which inboxes are to be made,
//! stated, closed, and what waits for whom. So it does not matter where a program died.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::Rng;
use vodozemac::Curve25519PublicKey;
use zeroize::Zeroizing;

use super::contacts::copy;
use super::{NAME, RelayChannel};
use crate::channel::{ChannelError, ChannelEvent, ContactId, ContactState, ServerId, Wish};
use crate::group::record::{GroupKey, Inbox, RECORD_BYTES_MAX, STATEMENT_BYTES_MAX, Statement};
use crate::group::said::{ContactSaid, ContactWord, Said};
use crate::group::{
    GROUPS_MAX, Group, GroupCommand, GroupError, GroupEvent, GroupNumber, MEMBERS_MAX, MemberNumber,
};
use crate::identity::Identity;
use crate::name;
use crate::server_url::ServerUrl;
use crate::store::{GroupInbox, GroupRow, MemberStanding, Rows, Standing, StoreError};
use change::Change;
pub(super) use invitation::hear_contact;
use invitation::{contact_of, key_set_of, say_to_contact};
use line::Line;

mod apply;
mod change;
mod invitation;
mod line;
mod list;
#[cfg(test)]
mod tests;
mod wire;

const FIRST_KEY: &str = "group-first-key";
/// Groups ever met: those that are over stay, to keep their old records out, and no contact may invite without end.
const GROUPS_EVER_MAX: usize = 512;

/// What the channel knows of groups beside the store.
#[derive(Default)]
pub(super) struct Groups {
    lines: BTreeMap<ServerId, Line>,
    /// Something changed: the store is to be read for what is to be done.
    is_due: bool,
    /// Members whose inbox is gone, with the number of the statement that named it.
    lost: BTreeMap<MemberNumber, u64>,
}

impl Groups {
    pub(super) fn owns(&self, server: ServerId) -> bool {
        self.lines.contains_key(&server)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lines.values().filter_map(Line::deadline).min()
    }
}

impl RelayChannel {
    /// At the start: calls that ran are told again, and what was left to do is done.
    pub(super) fn repeat_group_calls(&mut self) -> Result<(), StoreError> {
        self.groups.is_due = true;
        let clock = self.clock();
        for call in self.store.rows().calls(None)? {
            self.event(ChannelEvent::Group(GroupEvent::CallStarted {
                group: call.group,
                from: call.from,
                start: call.start,
                sent_ago: clock.saturating_sub(call.at),
            }));
        }
        Ok(())
    }

    /// Those we are in.
    pub(super) fn group_list(&self) -> Result<Vec<Group>, StoreError> {
        let rows = self.store.rows();
        let groups = rows.all_groups()?.into_iter().filter(list::is_shown);
        groups
            .map(|group| list::group(&rows, self.identity.key_set(), &group))
            .collect()
    }

    pub(super) fn group_command(&mut self, command: GroupCommand) {
        let group = match &command {
            GroupCommand::New { .. } => None,
            GroupCommand::Add { group, .. }
            | GroupCommand::Remove { group, .. }
            | GroupCommand::Leave { group }
            | GroupCommand::StartCall { group, .. }
            | GroupCommand::EndCall { group, .. } => Some(*group),
        };
        let result = match command {
            GroupCommand::New { name, server } => self.new_group(&name, server),
            GroupCommand::Add { group, contact } => self.add_member(group, contact),
            GroupCommand::Remove { group, member } => self.remove_member(group, member),
            GroupCommand::Leave { group } => self.leave_group(group),
            GroupCommand::StartCall { group, start } => self.start_group_call(group, start),
            GroupCommand::EndCall { group, start } => {
                let ended = self.store.rows().forget_calls(group, Some(&start));
                ended.map(|_| ()).map_err(ChannelError::from)
            }
        };
        if let Err(reason) = result {
            self.fail(Wish::Group(group), reason);
        }
    }

    /// One transaction, then its events.
    fn change_group<T>(
        &mut self,
        work: impl FnOnce(&mut Change<'_, '_>) -> Result<T, ChannelError>,
    ) -> Result<T, ChannelError> {
        let (identity, clock) = (&self.identity, self.epoch + (self.now - self.started));
        let (result, events) = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let mut change = Change::new(rows, identity, clock);
            let result = work(&mut change)?;
            Ok((result, change.finish()?))
        })?;
        self.tell_groups(events);
        Ok(result)
    }

    fn tell_groups(&mut self, events: Vec<GroupEvent>) {
        self.groups.is_due = true;
        for event in events {
            self.event(ChannelEvent::Group(event));
        }
    }

    fn new_group(&mut self, name: &str, server: Option<ServerUrl>) -> Result<(), ChannelError> {
        let name = name::clean(name).ok_or(ChannelError::Name)?;
        // The inbox needs one, whatever the calls use.
        let own = self.own_server()?;
        let mut id = [0; 8];
        self.rng.fill_bytes(&mut id);
        let key = GroupKey {
            creator: *self.identity.key_set(),
            id,
        };
        self.change_group(|change| {
            check_count(change.rows)?;
            let number = change
                .rows
                .add_group(&key, &name, &server.unwrap_or(own), 0)?;
            change.changed.insert(number);
            Ok(())
        })
    }

    /// Lists the contact as invited and sends the invitation, in one transaction.
    fn add_member(&mut self, group: GroupNumber, contact: ContactId) -> Result<(), ChannelError> {
        let (identity, clock, rng) = (
            &self.identity,
            self.epoch + (self.now - self.started),
            &mut self.rng,
        );
        let events = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let mut change = Change::new(rows, identity, clock);
            let group = ours(&change, group)?;
            let known = rows.contact(contact)?.ok_or(ChannelError::NoContact)?;
            if known.state != ContactState::Ready {
                return Err(GroupError::NotReady { name: known.name }.into());
            }
            let key_set = key_set_of(rows, contact)?.ok_or(ChannelError::NoContact)?;
            let members = rows.members(&group)?;
            let invited = |standing| members.iter().filter(move |row| row.standing == standing);
            if (invited(MemberStanding::In)).any(|row| row.key_set == key_set) {
                return Err(GroupError::AlreadyMember { name: known.name }.into());
            }
            let waiting = invited(MemberStanding::Invited)
                .filter(|row| row.key_set != key_set)
                .count();
            let record = group.record.as_ref().map_or(0, |record| record.len());
            if waiting + 1 + invited(MemberStanding::In).count() > MEMBERS_MAX
                || record + (waiting + 1) * STATEMENT_BYTES_MAX > RECORD_BYTES_MAX
            {
                return Err(GroupError::Full.into());
            }
            let mut member = rows.member_of(&group, &key_set)?;
            member.standing = MemberStanding::Invited;
            rows.save_member(&member)?;
            let invitation = ContactSaid {
                id: group.key.id,
                what: ContactWord::Invitation {
                    revision: group.revision,
                    name: group.name.clone(),
                    server: group.server.clone(),
                },
            };
            say_to_contact(rows, rng, contact, &invitation)?;
            change.changed.insert(group.number);
            Ok(change.finish()?)
        })?;
        self.tell_groups(events);
        self.has_work(contact)
    }

    fn remove_member(
        &mut self,
        group: GroupNumber,
        member: MemberNumber,
    ) -> Result<(), ChannelError> {
        let rng = &mut self.rng;
        let (identity, clock) = (&self.identity, self.epoch + (self.now - self.started));
        let (contact, events) = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let mut change = Change::new(rows, identity, clock);
            let mut group = ours(&change, group)?;
            let mut members = rows.members(&group)?.into_iter();
            let mut member = members
                .find(|row| row.number == member)
                .ok_or(GroupError::NoMember)?;
            if member.key_set == *change.own() {
                return Err(GroupError::Creator.into());
            }
            let mut told = None;
            match member.standing {
                MemberStanding::Gone => return Err(GroupError::NoMember.into()),
                MemberStanding::Invited => {
                    member.standing = MemberStanding::Gone;
                    rows.save_member(&member)?;
                    let withdrawn = ContactSaid {
                        id: group.key.id,
                        what: ContactWord::Withdrawn,
                    };
                    if let Some(contact) = contact_of(rows, &member.key_set)? {
                        say_to_contact(rows, rng, contact, &withdrawn)?;
                        told = Some(contact);
                    }
                }
                MemberStanding::In => {
                    change.member_gone(&mut group, &mut member)?;
                    let revision = group.removal;
                    let removed = Said::Removed {
                        revision,
                        ended: false,
                    };
                    change.say(&group, &mut member, &removed)?;
                }
            }
            change.changed.insert(group.number);
            Ok((told, change.finish()?))
        })?;
        self.tell_groups(events);
        contact.map_or(Ok(()), |contact| self.has_work(contact))
    }

    fn leave_group(&mut self, group: GroupNumber) -> Result<(), ChannelError> {
        let before = shown(&self.store.rows(), group)?;
        self.change_group(|change| {
            let mut group = shown(change.rows, group)?;
            let record = group.record.clone();
            let said = if change.is_ours(&group) {
                let revision = group.revision + 1;
                Said::Removed {
                    revision,
                    ended: true,
                }
            } else {
                Said::Leave {
                    number: group.stated,
                }
            };
            change.close(&mut group, Standing::Left)?;
            // A ratchet that begins only now begins with it, as every one does.
            group.record = record;
            change.say_to_all(&group, &said)
        })?;
        // Who invited us and has not listed us yet hears it as a contact.
        let contact = contact_of(&self.store.rows(), &before.key.creator)?;
        let Some(contact) = contact.filter(|_| before.standing == Standing::Joining) else {
            return Ok(());
        };
        let declined = ContactSaid {
            id: before.key.id,
            what: ContactWord::Declined,
        };
        let rng = &mut self.rng;
        self.store
            .transaction(|rows| say_to_contact(rows, rng, contact, &declined))?;
        self.has_work(contact)
    }

    fn start_group_call(
        &mut self,
        group: GroupNumber,
        start: Zeroizing<Vec<u8>>,
    ) -> Result<(), ChannelError> {
        self.change_group(|change| {
            let group = shown(change.rows, group)?;
            if group.standing != Standing::In {
                return Err(GroupError::NotIn.into());
            }
            if !change::is_start(&group, &start) {
                return Err(GroupError::Start.into());
            }
            let own = change.rows.member_of(&group, change.own())?.number;
            if change
                .rows
                .add_group_call(group.number, own, change.clock, &start)?
            {
                let revision = group.revision;
                change.say_to_all(&group, &Said::CallStart { revision, start })?;
            }
            Ok(())
        })
    }

    /// The key others begin ratchets to us with.
    fn first_key(&mut self) -> Result<Curve25519PublicKey, ChannelError> {
        let corrupt = || StoreError::Corrupt {
            reason: "the key of group ratchets".to_owned(),
        };
        if let Some(key) = self.store.rows().setting(FIRST_KEY)? {
            return Ok(Curve25519PublicKey::from_base64(&key).map_err(|_| corrupt())?);
        }
        let mut account = copy(self.identity.account());
        account.generate_fallback_key();
        let key = *(account.fallback_key().values().next()).expect("it was just made");
        account.mark_keys_as_published();
        self.store.transaction(|rows| -> Result<_, StoreError> {
            rows.save_account(&account)?;
            rows.set_setting(FIRST_KEY, &key.to_base64())
        })?;
        self.identity.replace_account(account);
        Ok(key)
    }

    /// Every inbox that stands and that nobody was told of: tells those who must know.
    fn state_inboxes(&mut self) -> Result<(), ChannelError> {
        for inbox in self.store.rows().group_inboxes()? {
            if inbox.secured && inbox.number == 0 && !inbox.closing {
                self.state_inbox(inbox)?;
            }
        }
        Ok(())
    }

    fn state_inbox(&mut self, mut inbox: GroupInbox) -> Result<(), ChannelError> {
        let first_key = self.first_key()?;
        let name = self.store.rows().setting(NAME)?.unwrap_or_default();
        let (identity, clock, rng) = (
            &self.identity,
            self.epoch + (self.now - self.started),
            &mut self.rng,
        );
        let (contact, events) = self.store.transaction(|rows| -> Result<_, ChannelError> {
            let mut change = Change::new(rows, identity, clock);
            let mut group = shown(rows, inbox.group)?;
            group.stated += 1;
            rows.save_group(&group)?;
            inbox.number = group.stated;
            rows.mark_group_inbox(&inbox)?;
            let statement = state(identity, &group, &name, &inbox.inbox, first_key);
            let mut told = None;
            if change.is_ours(&group) {
                change.admit(&mut group, statement)?;
            } else if group.standing == Standing::Joining {
                let accepted = ContactSaid {
                    id: group.key.id,
                    what: ContactWord::Accepted(Zeroizing::new(statement.as_bytes().to_vec())),
                };
                match contact_of(rows, &group.key.creator)? {
                    Some(contact) => {
                        say_to_contact(rows, rng, contact, &accepted)?;
                        told = Some(contact);
                    }
                    // The contact was removed meanwhile: nobody is there to list us.
                    None => change.close(&mut group, Standing::Left)?,
                }
            } else {
                let mut creator = rows.member_of(&group, &group.key.creator)?;
                let bytes = Zeroizing::new(statement.as_bytes().to_vec());
                change.say(&group, &mut creator, &Said::Statement(bytes))?;
            }
            Ok((told, change.finish()?))
        })?;
        self.tell_groups(events);
        contact.map_or(Ok(()), |contact| self.has_work(contact))
    }
}

fn state(
    identity: &Identity,
    group: &GroupRow,
    name: &str,
    inbox: &Inbox,
    first_key: Curve25519PublicKey,
) -> Statement {
    Statement::new(
        identity,
        &group.key,
        group.stated,
        name,
        inbox.clone(),
        first_key,
    )
}

fn check_count(rows: &Rows<'_>) -> Result<(), ChannelError> {
    let groups = rows.all_groups()?;
    let shown = groups.iter().filter(|group| list::is_shown(group)).count();
    if shown < GROUPS_MAX && groups.len() < GROUPS_EVER_MAX {
        Ok(())
    } else {
        Err(GroupError::TooManyGroups.into())
    }
}

fn shown(rows: &Rows<'_>, group: GroupNumber) -> Result<GroupRow, ChannelError> {
    let group = rows.group(group)?.filter(list::is_shown);
    Ok(group.ok_or(GroupError::NoGroup)?)
}

fn ours(change: &Change<'_, '_>, group: GroupNumber) -> Result<GroupRow, ChannelError> {
    let group = shown(change.rows, group)?;
    if change.is_ours(&group) {
        return Ok(group);
    }
    let contact = contact_of(change.rows, &group.key.creator)?;
    let contact = contact.map(|id| change.rows.contact(id)).transpose()?;
    let creator = contact.flatten().map(|contact| contact.name);
    Err(GroupError::NotOurs {
        creator: creator.unwrap_or_else(|| group.key.creator.short_id()),
    }
    .into())
}

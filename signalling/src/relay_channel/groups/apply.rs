//! A record that came: what is checked before anything of it is believed.

use super::change::Change;
use crate::channel::ChannelError;
use crate::group::GroupEvent;
use crate::group::record::{Record, RecordError, Statement, is_twin};
use crate::group::said::Said;
use crate::store::{GroupRow, MemberRow, MemberStanding, Standing, StoreError};

/// People ever met in one group: their numbers keep old statements out. A creator who lists more is refused.
const MEMBERS_EVER_MAX: usize = 256;

/// What to do with a record.
enum Verdict {
    /// Known, or older than what is known: it may have lain in a queue.
    Old,
    Refused(String),
    Good(Record),
}

impl Change<'_, '_> {
    /// Takes a record over, or says why not.
    pub(super) fn apply(&mut self, group: &mut GroupRow, bytes: &[u8]) -> Result<(), ChannelError> {
        match self.judge(group, bytes)? {
            Verdict::Old => Ok(()),
            Verdict::Refused(words) => Ok(self.refuse(group, words)?),
            Verdict::Good(record) => self.take_over(group, record, bytes),
        }
    }

    fn judge(&self, group: &GroupRow, bytes: &[u8]) -> Result<Verdict, StoreError> {
        let refused = |words: &str| {
            let name = &group.name;
            Ok(Verdict::Refused(format!(
                "a list of the members of {name} was refused: {words}. Ask who made the group"
            )))
        };
        let (key, record) = match Record::from_bytes(bytes) {
            Ok(read) => read,
            Err(error @ (RecordError::Creator | RecordError::Layout)) if self.is_ours(group) => {
                tracing::warn!(%error, "a record of our own group was forged");
                return Ok(Verdict::Old);
            }
            Err(error) => return refused(&error.to_string()),
        };
        if key != group.key || self.is_ours(group) || record.revision < group.revision {
            return Ok(Verdict::Old);
        }
        if record.revision == group.revision {
            return match &group.record {
                Some(known) if known[..] != *bytes => {
                    refused("two different ones have the same number")
                }
                _ => Ok(Verdict::Old),
            };
        }
        if record.removal < group.removal {
            return refused("it forgets that somebody went");
        }
        let own = (record.members.iter()).find(|statement| statement.key_set == *self.own());
        if own.is_none() && group.standing == Standing::Joining {
            // Signed before we answered the invitation.
            return Ok(Verdict::Old);
        }
        if own.is_some_and(|statement| statement.number > group.stated) {
            return refused("it speaks for you");
        }
        let known = self.rows.members(group)?;
        for statement in &record.members {
            if let Some(words) = self.objection(&known, statement)? {
                return refused(&words);
            }
        }
        let new = (record.members.iter())
            .filter(|statement| !known.iter().any(|row| row.key_set == statement.key_set));
        if known.len() + new.count() > MEMBERS_EVER_MAX {
            return refused("too many people have been in it");
        }
        Ok(Verdict::Good(record))
    }

    /// Keys pinned as a contact, our own, and those seen in the group before win over what a record says.
    fn objection(
        &self,
        known: &[MemberRow],
        statement: &Statement,
    ) -> Result<Option<String>, StoreError> {
        if is_twin(self.own(), &statement.key_set) {
            return Ok(Some("it lists somebody with your own key or id".to_owned()));
        }
        for (contact, pinned) in self.rows.key_sets()? {
            if is_twin(&pinned, &statement.key_set) {
                let name = self.rows.contact(contact)?.map(|contact| contact.name);
                let name = name.unwrap_or_default();
                return Ok(Some(format!(
                    "it lists other keys under the id of {name}, your contact, or a key of {name} under another id"
                )));
            }
        }
        for row in known {
            let name = &statement.name;
            if is_twin(&row.key_set, &statement.key_set) {
                return Ok(Some(format!("the keys of {name} are others than before")));
            }
            if row.key_set != statement.key_set {
                continue;
            }
            let same = |known: &Statement| known.as_bytes() == statement.as_bytes();
            let is_other = row.statement.as_ref().is_some_and(|known| !same(known));
            if statement.number < row.stated || (statement.number == row.stated && is_other) {
                return Ok(Some(format!("it brings back what {name} no longer says")));
            }
        }
        Ok(None)
    }

    fn take_over(
        &mut self,
        group: &mut GroupRow,
        record: Record,
        bytes: &[u8],
    ) -> Result<(), ChannelError> {
        let own = *self.own();
        let has_removal = record.removal > group.removal;
        group.revision = record.revision;
        group.removal = record.removal;
        group.server = record.server;
        if !(record.members.iter()).any(|statement| statement.key_set == own) {
            return Ok(self.close(group, Standing::Removed)?);
        }
        for mut row in self.rows.members(group)? {
            let is_listed = (record.members.iter()).any(|listed| listed.key_set == row.key_set);
            if !is_listed && row.standing == MemberStanding::In {
                row.standing = MemberStanding::Gone;
                self.rows.save_member(&row)?;
                self.rows.clear_group_outbox(row.number)?;
            }
        }
        let mut new = Vec::new();
        for statement in record.members {
            let mut row = self.rows.member_of(group, &statement.key_set)?;
            let was_in = row.standing == MemberStanding::In;
            // Who left said so, and alone can say otherwise.
            let has_left = row.standing == MemberStanding::Gone && statement.number == row.stated;
            row.stated = statement.number;
            row.statement = Some(statement);
            if !has_left {
                row.standing = MemberStanding::In;
            }
            self.rows.save_member(&row)?;
            if !was_in && !has_left && own.to_bytes() < row.key_set.to_bytes() {
                new.push(row);
            }
        }
        group.record = Some(zeroize::Zeroizing::new(bytes.to_vec()));
        group.standing = Standing::In;
        group.trouble = None;
        self.rows.save_group(group)?;
        if has_removal && self.rows.forget_calls(group.number, None)? > 0 {
            let group = group.number;
            self.events.push(GroupEvent::CallsForgotten { group });
        }
        // One of each pair begins the ratchet, long before the first call's key goes through it.
        for mut row in new {
            self.say(group, &mut row, &Said::Hello)?;
        }
        self.changed.insert(group.number);
        Ok(())
    }
}

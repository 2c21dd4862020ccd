//! What is done about people we know already: their names and ours, blocking, and comparing words.

use super::RelayChannel;
use super::contacts::seal_into_outbox;
use crate::block::Content;
use crate::channel::{Channel, ChannelError, ChannelEvent, ContactId, PersonChange, Wish};
use crate::compare::{Comparison, Heard, Said};
use crate::group::{Group, GroupEvent};
use crate::identity::KeySet;
use crate::name;
use crate::store::{ContactKeys, NAME, Rows, StoreError};
use crate::words::{self, SAFETY};

impl RelayChannel {
    pub(super) fn change_person(
        &mut self,
        contact: ContactId,
        change: PersonChange,
    ) -> Result<(), ChannelError> {
        let rows = self.store.rows();
        let known = rows.contact(contact)?.ok_or(ChannelError::NoContact)?;
        match change {
            PersonChange::Rename(name) => {
                let name = name::clean(&name).ok_or(ChannelError::Name)?;
                if name != known.name && !rows.rename(contact, &name)? {
                    return Err(ChannelError::NameTaken { name });
                }
            }
            PersonChange::Block => rows.set_blocked(contact, true)?,
            PersonChange::Unblock => rows.set_blocked(contact, false)?,
            PersonChange::CompareWords => return self.compare_words(contact),
            PersonChange::WordsMatch => self.store.transaction(|rows| {
                rows.forget_comparison(contact)?;
                rows.set_verified(contact, true)
            })?,
            PersonChange::WordsDiffer => self.store.transaction(|rows| {
                rows.forget_comparison(contact)?;
                rows.set_verified(contact, false)
            })?,
        }
        self.tell_changed(contact)?;
        Ok(())
    }

    fn tell_changed(&mut self, contact: ContactId) -> Result<(), ChannelError> {
        if let Some(contact) = self.store.rows().contact(contact)? {
            self.event(ChannelEvent::ContactChanged { contact });
        }
        // Groups show their members as we know them.
        let known = self.store.rows().key_set(contact)?;
        let is_in = |group: &Group| {
            let mut members = group.members.iter();
            members.any(|member| Some(member.key_set) == known)
        };
        for group in self.group_list()?.into_iter().filter(is_in) {
            self.event(ChannelEvent::Group(GroupEvent::Changed { group }));
        }
        Ok(())
    }

    /// Why nothing is sent to this contact.
    pub(super) fn blocked(&self, contact: ContactId) -> Result<ChannelError, StoreError> {
        let name = self.store.rows().contact(contact)?.map(|known| known.name);
        Ok(ChannelError::Blocked {
            name: name.unwrap_or_default(),
        })
    }

    /// Our new name, for new contacts and for those we have.
    pub(super) fn set_name(&mut self, name: &str) -> Result<(), ChannelError> {
        let name = name::clean(name).ok_or(ChannelError::Name)?;
        let is_new = self.own()?.name != name;
        self.set(NAME, &name)?;
        if !is_new {
            return Ok(());
        }
        for contact in self.store.rows().contacts_in_touch()? {
            let named = Content::Named { name: name.clone() };
            // Somebody who cannot be told now learns it with the next change: a name is no promise.
            if let Err(reason) = self.say(contact, &named) {
                self.fail(Wish::Send(contact), reason);
            }
        }
        Ok(())
    }

    /// Both key sets of a contact in words, to be compared at any time.
    fn safety_words(&self, contact: ContactId) -> Result<[&'static str; SAFETY], ChannelError> {
        let other = self.other(contact)?;
        Ok(words::safety_words(self.identity.key_set(), &other))
    }

    fn other(&self, contact: ContactId) -> Result<KeySet, ChannelError> {
        let other = self.store.rows().key_set(contact)?;
        other.ok_or(ChannelError::NoContact)
    }

    fn compare_words(&mut self, contact: ContactId) -> Result<(), ChannelError> {
        let (safety, other) = (self.safety_words(contact)?, self.other(contact)?);
        self.event(ChannelEvent::SafetyWords {
            contact,
            words: safety,
        });
        if self.store.rows().outbound(contact)?.is_none() {
            // Out of touch: the long words need no other side.
            return Ok(());
        }
        if self.store.rows().is_blocked(contact)? {
            return Err(self.blocked(contact)?);
        }
        let own = *self.identity.key_set();
        if let Some(shown) = self.store.rows().comparison(contact)?
            && shown.words(&own, &other).is_some()
        {
            // The other side began already, or this one did before: the same words until somebody has decided.
            self.tell_words(contact, &shown, &own, &other);
            return Ok(());
        }
        let (comparison, said) = Comparison::start(&own, &other, &mut self.rng);
        // First what an answer is checked against; who dies before it is sent begins anew.
        self.store.rows().set_comparison(contact, &comparison)?;
        self.say(contact, &Content::Words(said))
    }

    /// A message of an exchange of nonces: ratchet, state and answer in one transaction.
    pub(super) fn words_heard(
        &mut self,
        contact: ContactId,
        mut keys: ContactKeys,
        said: Said,
        seen: impl Fn(&Rows<'_>) -> Result<(), StoreError>,
    ) -> Result<bool, ChannelError> {
        let (own, other) = (*self.identity.key_set(), self.other(contact)?);
        let current = self.store.rows().comparison(contact)?;
        let heard = Comparison::hear(current, said, &own, &other, &mut self.rng);
        let rng = &mut self.rng;
        self.store.transaction(|rows| -> Result<_, ChannelError> {
            rows.save_contact_keys(contact, &keys)?;
            seen(rows)?;
            match &heard {
                Heard::Nothing => {}
                Heard::Forged => rows.forget_comparison(contact)?,
                Heard::Moved(comparison, answer) => {
                    rows.set_comparison(contact, comparison)?;
                    let queue = rows.outbound(contact)?.ok_or(ChannelError::OutOfTouch)?;
                    if let Some(answer) = answer {
                        seal_into_outbox(rows, rng, &mut keys, &queue, &Content::Words(*answer))?;
                    }
                }
            }
            Ok(())
        })?;
        self.has_work(contact)?;
        match heard {
            Heard::Forged => {
                let name = self.store.rows().contact(contact)?.map(|known| known.name);
                let name = name.unwrap_or_default();
                self.fail(Wish::Person(contact), ChannelError::WordsForged { name });
            }
            Heard::Moved(comparison, _) => self.tell_words(contact, &comparison, &own, &other),
            Heard::Nothing => {}
        }
        Ok(true)
    }

    fn tell_words(
        &mut self,
        contact: ContactId,
        comparison: &Comparison,
        own: &KeySet,
        other: &KeySet,
    ) {
        if let Some(words) = comparison.words(own, other) {
            self.event(ChannelEvent::WordsReady { contact, words });
        }
    }

    /// Words that were on the screen when the program ended, or came while none ran that shows them.
    pub(super) fn repeat_words(&mut self) -> Result<(), ChannelError> {
        let own = *self.identity.key_set();
        for (contact, other) in self.store.rows().key_sets()? {
            if let Some(comparison) = self.store.rows().comparison(contact)? {
                self.tell_words(contact, &comparison, &own, &other);
            }
        }
        Ok(())
    }
}

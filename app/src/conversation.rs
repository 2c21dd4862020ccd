//! Conversations as the screen and the reports know them: entries, what is unseen, the text being typed.

use std::collections::BTreeMap;

use hullo_signalling::history::{EntryId, HistoryEntry, Unseen};
use hullo_signalling::text_message;

use crate::event::ContactId;
use crate::update::field::Field;

/// Entries asked for at once: more than any screen shows.
pub const PAGE_ENTRIES: usize = 100;
/// Entries held in memory: an hour of scrolling. Older ones are on disk, and `hullo history` lists them.
pub const ENTRIES_MAX: usize = 2_000;
/// Texts begun and not sent, of so many contacts.
pub const DRAFTS_MAX: usize = 64;

/// What happened to conversations.
#[derive(Clone, Debug)]
pub enum HistoryEvent {
    /// An entry is new, or another than before.
    Entry(HistoryEntry),
    /// An entry is gone: it turned out to be part of another.
    Removed(ContactId, EntryId),
    /// Entries that were asked for, the oldest first.
    Page {
        /// Whose.
        contact: ContactId,
        /// They end before this one; `None`: the newest.
        before: Option<EntryId>,
        /// At most [`PAGE_ENTRIES`]; fewer: there are no older ones.
        entries: Vec<HistoryEntry>,
    },
    /// What nobody has seen, whole.
    Unseen(BTreeMap<ContactId, Unseen>),
    /// Sending something to this contact failed; words that say what to do.
    Unsent(ContactId, String),
}

/// The chosen contact's conversation, as far as it is in memory.
#[derive(Clone)]
pub struct Conversation {
    /// Whose.
    pub contact: ContactId,
    /// The oldest first.
    pub entries: Vec<HistoryEntry>,
    /// There are no older ones on disk, or no more are held.
    pub is_whole: bool,
    /// A page was asked for and has not come.
    pub(crate) is_awaited: bool,
    /// Lines between the newest and the lowest shown.
    pub scroll: usize,
    /// The field below has the keys.
    pub is_writing: bool,
}

/// How the clocks on the wall stand, told by the shell at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// The local time less UTC, in seconds.
    pub offset_s: i32,
}

impl Conversation {
    /// Nothing known yet; the newest page is asked for.
    pub(crate) fn of(contact: ContactId) -> Self {
        Self {
            contact,
            entries: Vec::new(),
            is_whole: false,
            is_awaited: true,
            scroll: 0,
            is_writing: false,
        }
    }

    /// Takes an entry that is new or changed.
    pub(crate) fn take(&mut self, entry: HistoryEntry) {
        match self.entries.binary_search_by_key(&entry.id, |old| old.id) {
            Ok(at) => self.entries[at] = entry,
            // One older than all that is known comes with its page.
            Err(0) if !self.entries.is_empty() || self.is_awaited => {}
            Err(at) => self.entries.insert(at, entry),
        }
        self.limit();
    }

    /// Takes a page that was asked for.
    pub(crate) fn take_page(&mut self, before: Option<EntryId>, entries: Vec<HistoryEntry>) {
        self.is_awaited = false;
        self.is_whole |= entries.len() < PAGE_ENTRIES;
        match before {
            // What changed while it was on its way is in it.
            None => self.entries = entries,
            Some(before) if self.entries.first().is_some_and(|first| first.id == before) => {
                self.entries.splice(0..0, entries);
            }
            Some(_) => {}
        }
        self.is_whole |= self.entries.len() >= ENTRIES_MAX;
    }

    fn limit(&mut self) {
        let over = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..over);
    }
}

/// Texts begun and not sent.
#[derive(Clone, Default)]
pub struct Drafts {
    fields: BTreeMap<ContactId, Field>,
    /// Sent from a field and not known to be kept yet, the oldest first: at most [`DRAFTS_MAX`].
    leaving: Vec<(ContactId, String)>,
}

impl Drafts {
    /// What is being written to this contact.
    pub(crate) fn of_mut(&mut self, contact: ContactId) -> &mut Field {
        if self.fields.len() >= DRAFTS_MAX && !self.fields.contains_key(&contact) {
            self.fields.pop_first();
        }
        self.fields.entry(contact).or_insert_with(Field::for_words)
    }

    /// The same, to look at.
    #[must_use]
    pub fn of(&self, contact: ContactId) -> Option<&Field> {
        self.fields.get(&contact)
    }

    /// Empties the field; what stood there is held until it is kept elsewhere.
    pub(crate) fn leave(&mut self, contact: ContactId, words: String) {
        self.fields.remove(&contact);
        if self.leaving.len() >= DRAFTS_MAX {
            self.leaving.remove(0);
        }
        self.leaving.push((contact, words));
    }

    /// This text to this contact is in the conversation.
    pub(crate) fn kept(&mut self, contact: ContactId, words: &str) {
        let is_it = |(to, text): &(ContactId, String)| {
            *to == contact && text_message::clean(text).as_deref() == Some(words)
        };
        if let Some(at) = self.leaving.iter().position(is_it) {
            self.leaving.remove(at);
        }
    }

    /// Sending to this contact failed: the oldest text that is not known to be kept stands in the field again, before
    /// what was written since.
    pub(crate) fn come_back(&mut self, contact: ContactId) {
        let Some(at) = self.leaving.iter().position(|(to, _)| *to == contact) else {
            return;
        };
        let (_, words) = self.leaving.remove(at);
        let since = self.of_mut(contact).text().to_owned();
        let mut field = Field::for_words();
        let blank = if since.is_empty() { "" } else { " " };
        if field.insert(&words) && field.insert(&format!("{blank}{since}")) {
            self.fields.insert(contact, field);
        } else {
            // Both do not fit: what is being written stays, the other waits for the next failure.
            self.leaving.insert(at, (contact, words));
        }
    }
}

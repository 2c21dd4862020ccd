//! Conversations: what comes, what is typed, what is seen.

use hullo_signalling::history::{Direction, EntryKind, HistoryEntry};

use super::{call, say, take_failure, text};
use crate::conversation::{Conversation, HistoryEvent};
use crate::effect::Effect;
use crate::event::ContactId;
use crate::model::{Mode, Model};
use crate::report::{EntryReport, Report};

/// Takes news of a conversation.
pub(super) fn take(model: &mut Model, event: HistoryEvent, effects: &mut Vec<Effect>) {
    match event {
        HistoryEvent::Entry(entry) => take_entry(model, entry, effects),
        HistoryEvent::Removed(contact, id) => {
            if let Some(conversation) = of(model, contact) {
                conversation.entries.retain(|entry| entry.id != id);
            }
        }
        HistoryEvent::Page {
            contact,
            before,
            entries,
        } => {
            if let Some(conversation) = of(model, contact) {
                conversation.take_page(before, entries);
            }
        }
        HistoryEvent::Unseen(unseen) => {
            if model.unseen.is_none() {
                for (contact, unseen) in &unseen {
                    effects.push(Effect::Report(Report::Unseen {
                        name: model.name_of(*contact).to_owned(),
                        texts: unseen.texts,
                        calls: unseen.calls,
                    }));
                }
            }
            model.unseen = Some(unseen);
        }
        HistoryEvent::Unsent(contact, words) => {
            model.drafts.come_back(contact);
            call::unsent(model, contact, effects);
            take_failure(model, words, effects);
        }
    }
}

fn of(model: &mut Model, contact: ContactId) -> Option<&mut Conversation> {
    (model.conversation.as_mut()).filter(|conversation| conversation.contact == contact)
}

fn take_entry(model: &mut Model, entry: HistoryEntry, effects: &mut Vec<Effect>) {
    let contact = ContactId(entry.contact.0);
    let name = model.name_of(contact).to_owned();
    match (&entry.kind, entry.direction) {
        (EntryKind::Text { text: words, .. }, Direction::Incoming) if !entry.is_seen => {
            effects.push(Effect::Report(Report::Message {
                name: name.clone(),
                text: words.clone(),
            }));
            if !is_shown(model, contact) {
                say(model, text::text_came(&name, words));
            }
        }
        (EntryKind::Text { text: words, .. }, Direction::Outgoing) => {
            model.drafts.kept(contact, words);
            effects.push(Effect::Report(Report::Entry(Box::new(EntryReport::of(
                &entry, &name,
            )))));
        }
        (EntryKind::Call { outcome, .. }, _) if !outcome.is_open() => {
            effects.push(Effect::Report(Report::Entry(Box::new(EntryReport::of(
                &entry, &name,
            )))));
        }
        _ => {}
    }
    if let Some(conversation) = of(model, contact) {
        conversation.take(entry);
    }
}

/// Whether this contact's conversation is on the screen.
pub(crate) fn is_shown(model: &Model, contact: ContactId) -> bool {
    crate::view::shows_conversation(model) && model.selected == Some(contact)
}

/// The conversation in memory is that of the chosen contact, where there is a screen to show it.
pub(super) fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.size.is_none() || model.mode == Mode::Mirror || model.unseen.is_none() {
        return;
    }
    let known = model.conversation.as_ref().map(|known| known.contact);
    if known != model.selected {
        model.conversation = model.selected.map(Conversation::of);
        if let Some(contact) = model.selected {
            effects.push(Effect::ReadHistory {
                contact,
                before: None,
            });
        }
    }
}

/// A person is at the keyboard: what is on the screen is seen.
pub(super) fn look(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(contact) = model.selected.filter(|contact| is_shown(model, *contact)) else {
        return;
    };
    if let Some(unseen) = &mut model.unseen
        && unseen.remove(&contact).is_some()
    {
        effects.push(Effect::MarkSeen(contact));
    }
}

/// Gives the keys to the field below the conversation.
pub(super) fn write(model: &mut Model) -> Result<(), String> {
    if model.overlay.is_some() {
        return Err(text::CLOSE_FIRST.to_owned());
    }
    if model.selected_group().is_some() {
        return Err(text::GROUP_TEXT.to_owned());
    }
    let contact = model.selected_contact().ok_or(text::NOBODY_TO_WRITE)?.id;
    if let Some(conversation) = of(model, contact) {
        conversation.is_writing = true;
        conversation.scroll = 0;
    }
    Ok(())
}

/// Sends what was typed.
pub(super) fn send_typed(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let Some(contact) = model.writing_to() else {
        return Ok(());
    };
    let words = model.drafts.of_mut(contact).text().to_owned();
    if words.trim().is_empty() {
        return Err(text::NO_TEXT.to_owned());
    }
    model.drafts.leave(contact, words.clone());
    if let Some(conversation) = of(model, contact) {
        conversation.scroll = 0;
    }
    effects.push(Effect::SendText(contact, words));
    Ok(())
}

/// Sends a text to the contact of this name.
pub(super) fn send(
    model: &Model,
    name: &str,
    words: &str,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let contact = named(model, name)?;
    if words.trim().is_empty() {
        return Err(text::NO_TEXT.to_owned());
    }
    effects.push(Effect::SendText(contact, words.to_owned()));
    Ok(())
}

/// Nothing of this contact is new any more.
pub(super) fn seen(model: &Model, name: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
    effects.push(Effect::MarkSeen(named(model, name)?));
    Ok(())
}

fn named(model: &Model, name: &str) -> Result<ContactId, String> {
    let mut contacts = model.contacts().iter();
    let known = contacts.find(|contact| contact.name == name);
    known
        .map(|contact| contact.id)
        .ok_or_else(|| text::no_such_contact(name))
}

/// A page up (true) or down; older entries are fetched on the way.
pub(super) fn scroll(model: &mut Model, up: bool, effects: &mut Vec<Effect>) {
    scroll_by(model, up, None, effects);
}

/// The same by so many lines, or by a page.
pub(super) fn scroll_by(
    model: &mut Model,
    up: bool,
    lines: Option<usize>,
    effects: &mut Vec<Effect>,
) {
    // Laid out once: a conversation may be long.
    let (page, last) = crate::view::conversation_scroll(model);
    let page = lines.unwrap_or(page);
    let Some(conversation) = &mut model.conversation else {
        return;
    };
    if !up {
        conversation.scroll = conversation.scroll.saturating_sub(page);
        return;
    }
    conversation.scroll = (conversation.scroll + page).min(last);
    let is_at_the_top = conversation.scroll + page >= last;
    if let Some(first) = conversation.entries.first()
        && is_at_the_top
        && !conversation.is_whole
        && !conversation.is_awaited
    {
        conversation.is_awaited = true;
        effects.push(Effect::ReadHistory {
            contact: conversation.contact,
            before: Some(first.id),
        });
    }
}

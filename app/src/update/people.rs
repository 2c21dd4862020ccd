//! Invitations as they are made, words to compare, and what is changed about contacts.

use super::{notice, say, say_while, warn};
use crate::effect::Effect;
use crate::event::{Contact, ContactId, PersonChange};
use crate::model::{Holds, Model, Overlay};
use crate::report::Report;
use crate::text;

/// A link: shown at once, told to the outside together with its code.
pub(super) fn take_link(model: &mut Model, link: String) {
    if let Some(Overlay::Invite(invite)) = &mut model.overlay {
        invite.link = Some(link.clone());
    }
    model.invited = Some(link);
}

pub(super) fn take_code(
    model: &mut Model,
    code: String,
    scanned: String,
    effects: &mut Vec<Effect>,
) {
    if let Some(Overlay::Invite(invite)) = &mut model.overlay {
        invite.code = Some((code.clone(), scanned));
        invite.ended = None;
    }
    if let Some(link) = model.invited.take() {
        let code = Some(code);
        effects.push(Effect::Report(Report::Invite { link, code }));
    }
}

pub(super) fn code_ended(
    model: &mut Model,
    words: String,
    is_well: bool,
    effects: &mut Vec<Effect>,
) {
    if is_well {
        return;
    }
    if let Some(Overlay::Invite(invite)) = &mut model.overlay {
        invite.code = None;
        invite.ended = Some(words.clone());
    }
    // The link is good without it.
    if let Some(link) = model.invited.take() {
        effects.push(Effect::Report(Report::Invite { link, code: None }));
    }
    notice(model, words, effects);
}

pub(super) fn take_words(
    model: &mut Model,
    contact: ContactId,
    words: String,
    is_safety: bool,
    effects: &mut Vec<Effect>,
) {
    let name = model.name_of(contact).to_owned();
    let (safety, now) = if is_safety {
        (Some(words), None)
    } else {
        (None, Some(words))
    };
    let known = model.words.entry(contact).or_default();
    known.safety = safety.clone().or(known.safety.take());
    known.now = now.clone().or(known.now.take());
    let is_shown = model.overlay == Some(Overlay::Words(contact));
    if now.is_some() && !is_shown {
        let words = model.keymap.fill(&text::wants_words(&name));
        say_while(model, Holds::Words(contact), words);
    }
    effects.push(Effect::Report(Report::Words {
        name,
        safety,
        words: now,
    }));
}

/// Opens the words of the chosen contact; what the other side began already is shown and not begun anew.
pub(super) fn open_words(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    if model.overlay.is_some() {
        return Err(text::CLOSE_FIRST.to_owned());
    }
    if model.selected_group().is_some() {
        return Err(text::GROUP_WORDS.to_owned());
    }
    let contact = model.selected_contact().ok_or(text::NO_CONTACT_CHOSEN)?.id;
    let has_words = (model.words.get(&contact)).is_some_and(|words| words.now.is_some());
    if !has_words {
        effects.push(Effect::Person(contact, PersonChange::CompareWords));
    }
    model.overlay = Some(Overlay::Words(contact));
    Ok(())
}

/// The user has compared.
pub(super) fn compared(
    model: &mut Model,
    is_same: bool,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let Some(Overlay::Words(contact)) = model.overlay else {
        return Ok(());
    };
    model.overlay = None;
    decide(model, contact, is_same, effects);
    Ok(())
}

fn decide(model: &mut Model, contact: ContactId, is_same: bool, effects: &mut Vec<Effect>) {
    model.words.remove(&contact);
    let short_id = (model.contact(contact)).map(|contact| contact.short_id.clone());
    let is_news = short_id.is_some_and(|id| model.settings.set_words_differ(&id, !is_same));
    if is_news {
        effects.push(Effect::SaveSettings(model.settings.clone()));
    }
    if is_same {
        effects.push(Effect::Person(contact, PersonChange::WordsMatch));
        say(model, text::now_verified(model.name_of(contact)));
    } else {
        effects.push(Effect::Person(contact, PersonChange::WordsDiffer));
        warn(model, text::WORDS_DIFFERENT, effects);
    }
}

/// Words that were different are no longer remembered of whoever is verified now, or is no contact any more.
pub(super) fn forget_settled(model: &mut Model, contacts: &[Contact], effects: &mut Vec<Effect>) {
    let is_open = |id: &String| {
        let mut of = contacts.iter().filter(|contact| contact.short_id == *id);
        of.any(|contact| !contact.verified)
    };
    let before = model.settings.words_differ.len();
    model.settings.words_differ.retain(is_open);
    if model.settings.words_differ.len() != before {
        effects.push(Effect::SaveSettings(model.settings.clone()));
    }
}

/// What a command asks for about a contact.
pub(super) fn change(
    model: &mut Model,
    name: &str,
    change: PersonChange,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let contact = model.contacts().iter().find(|contact| contact.name == name);
    let id = contact.ok_or_else(|| text::no_such_contact(name))?.id;
    match change {
        PersonChange::WordsMatch => decide(model, id, true, effects),
        PersonChange::WordsDiffer => decide(model, id, false, effects),
        other => effects.push(Effect::Person(id, other)),
    }
    Ok(())
}

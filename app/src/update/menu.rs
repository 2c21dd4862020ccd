//! The menu of a contact: rename, compare words, block, forget.

use super::{notice, people, say};
use crate::effect::Effect;
use crate::event::{ContactId, PersonChange};
use crate::layers::{ContactMenu, MenuLine, MenuStep};
use crate::model::{Model, Overlay};
use crate::text;
use crate::update::field::Field;

/// Opens the menu of the chosen contact.
pub(super) fn open(model: &mut Model) -> Result<(), String> {
    if model.overlay.is_some() {
        return Err(text::CLOSE_FIRST.to_owned());
    }
    if model.selected_group().is_some() {
        return Err(text::GROUP_MENU.to_owned());
    }
    let contact = model.selected_contact().ok_or(text::NO_CONTACT_CHOSEN)?.id;
    model.overlay = Some(Overlay::Contact(ContactMenu {
        contact,
        chosen: 0,
        step: MenuStep::Choose,
    }));
    Ok(())
}

/// One line up or down.
pub(super) fn step(menu: &mut ContactMenu, is_down: bool) {
    /// As many lines as [`ContactMenu::lines`] gives.
    const LAST: usize = 3;
    if menu.step == MenuStep::Choose {
        menu.chosen = if is_down {
            (menu.chosen + 1).min(LAST)
        } else {
            menu.chosen.saturating_sub(1)
        };
    }
}

/// Enter.
pub(super) fn confirm(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let Some(Overlay::Contact(menu)) = &model.overlay else {
        return Ok(());
    };
    let menu = menu.clone();
    let Some(contact) = model.contact(menu.contact) else {
        model.overlay = None;
        return Ok(());
    };
    let (id, name) = (contact.id, contact.name.clone());
    match &menu.step {
        MenuStep::Choose => {
            let line = ContactMenu::lines(contact)[menu.chosen.min(3)];
            choose(model, id, &name, line, effects)
        }
        MenuStep::Rename(field) => {
            let new = field.text().trim();
            if new.is_empty() {
                return Err(text::NAME_EMPTY.to_owned());
            }
            if new != name {
                effects.push(Effect::Person(id, PersonChange::Rename(new.to_owned())));
            }
            model.overlay = None;
            Ok(())
        }
        MenuStep::Remove => {
            if model
                .live_calls()
                .any(|call| call.party == crate::event::Party::Contact(id))
            {
                return Err(text::HANG_UP_FIRST.to_owned());
            }
            effects.push(Effect::RemoveContact(id));
            model.overlay = None;
            say(model, text::forgotten(&name));
            Ok(())
        }
    }
}

/// Forgets the contact of this name, unless a call with it runs.
pub(super) fn remove(
    model: &mut Model,
    name: &str,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let mut contacts = model.contacts().iter();
    let contact = contacts.find(|contact| contact.name == name);
    let id = contact.ok_or_else(|| text::no_such_contact(name))?.id;
    let party = crate::event::Party::Contact(id);
    if model.live_calls().any(|call| call.party == party) {
        return Err(text::HANG_UP_FIRST.to_owned());
    }
    effects.push(Effect::RemoveContact(id));
    notice(model, text::forgotten(name), effects);
    Ok(())
}

fn choose(
    model: &mut Model,
    id: ContactId,
    name: &str,
    line: MenuLine,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    match line {
        MenuLine::Rename => {
            let mut field = Field::for_words();
            field.insert(name);
            set_step(model, MenuStep::Rename(field));
        }
        MenuLine::Remove => set_step(model, MenuStep::Remove),
        MenuLine::Words => {
            model.overlay = None;
            return people::open_words(model, effects);
        }
        MenuLine::Block => {
            model.overlay = None;
            effects.push(Effect::Person(id, PersonChange::Block));
            say(model, text::now_blocked(name));
        }
        MenuLine::Unblock => {
            model.overlay = None;
            effects.push(Effect::Person(id, PersonChange::Unblock));
            say(model, text::now_unblocked(name));
        }
    }
    Ok(())
}

fn set_step(model: &mut Model, step: MenuStep) {
    if let Some(Overlay::Contact(menu)) = &mut model.overlay {
        menu.step = step;
    }
}

/// Esc: out of a step first, then out of the menu. True when there is nothing more to close.
pub(super) fn close(model: &mut Model) -> bool {
    match &mut model.overlay {
        Some(Overlay::Contact(menu)) if menu.step != MenuStep::Choose => {
            menu.step = MenuStep::Choose;
            true
        }
        _ => false,
    }
}

//! The keys that open what is laid over the main view, and what happens to it with time.

use super::{menu, palette};
use crate::effect::Effect;
use crate::event::Contact;
use crate::keymap::Action;
use crate::model::{Model, Overlay};
use crate::text;

/// Opens or closes what this action is for; says why not.
pub(super) fn open(
    model: &mut Model,
    action: Action,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    match action {
        Action::Palette => palette::open(model),
        Action::Contact => return menu::open(model),
        _ if matches!(
            (action, &model.overlay),
            (Action::Settings, Some(Overlay::Settings(_))) | (Action::Log, Some(Overlay::Log(_)))
        ) =>
        {
            model.overlay = None;
        }
        _ if model.overlay.is_some() => return Err(text::CLOSE_FIRST.to_owned()),
        Action::Filter => palette::open_filter(model),
        Action::Settings => model.overlay = Some(Overlay::Settings(0)),
        Action::Log => {
            model.overlay = Some(Overlay::Log(0));
            effects.push(Effect::ReadLog);
        }
        _ => {}
    }
    Ok(())
}

/// The log goes on while it is looked at.
pub(super) fn tick(model: &Model, effects: &mut Vec<Effect>) {
    if matches!(model.overlay, Some(Overlay::Log(_))) {
        effects.push(Effect::ReadLog);
    }
}

/// The menu of a contact that is no more is closed.
pub(super) fn forget_gone(model: &mut Model, contacts: &[Contact]) {
    if let Some(Overlay::Contact(menu)) = &model.overlay
        && !contacts.iter().any(|contact| contact.id == menu.contact)
    {
        model.overlay = None;
    }
}

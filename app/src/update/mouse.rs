//! The mouse: a click chooses or presses a key of the bottom bar, the wheel scrolls. One click never calls anybody nor
//! ends a call: the bottom bar asks for a second one.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{history, keys, say_while};
use crate::effect::Effect;
use crate::event::Party;
use crate::keymap::{self, Action};
use crate::model::{Holds, Model, Overlay};
use crate::text;
use crate::view::hit::{Hit, has_lines, hit};

/// How long a second click has time where one is asked for.
const CLICK_AGAIN_MS: u64 = 3_000;
/// Lines of a conversation for one notch of the wheel, as other programs have it.
const WHEEL_LINES: usize = 3;

/// One event of the mouse; where it is switched off, none counts.
pub(super) fn take(model: &mut Model, mouse: MouseEvent, effects: &mut Vec<Effect>) {
    if !model.is_mouse_on() {
        return;
    }
    let Some(under) = hit(model, mouse.column, mouse.row) else {
        return;
    };
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => click(model, under, effects),
        MouseEventKind::ScrollUp => scroll(model, under, true, effects),
        MouseEventKind::ScrollDown => scroll(model, under, false, effects),
        _ => {}
    }
    history::look(model, effects);
}

fn click(model: &mut Model, under: Hit, effects: &mut Vec<Effect>) {
    match under {
        Hit::Key(action) => match asked_twice(model, action) {
            Some(words) if !is_second_click(model, action) => {
                say_while(model, Holds::Asked, words);
            }
            _ => keys::perform(model, action, effects),
        },
        Hit::Party(party) => choose(model, party),
        Hit::Line(line) => {
            let chosen = chosen_line(model);
            if let Some(chosen) = chosen {
                // The first click chooses, one on what is chosen does it.
                if *chosen == line {
                    keys::perform(model, Action::Confirm, effects);
                } else {
                    *chosen = line;
                }
            }
        }
        Hit::Overlay | Hit::Lists | Hit::Conversation => {}
    }
}

/// What asks for the second click, for what a click that was meant for the key beside it must not do.
fn asked_twice(model: &Model, action: Action) -> Option<&'static str> {
    match action {
        Action::HangUp => Some(text::CLICK_AGAIN),
        Action::CallAudio | Action::CallVideo => Some(text::CLICK_AGAIN_CALL),
        Action::Join => Some(text::CLICK_AGAIN_JOIN),
        // In a field it sends or takes what is typed, over what lies on top it confirms that; else it calls.
        Action::Confirm if model.overlay.is_none() && !keymap::is_typing(model) => {
            Some(text::CLICK_AGAIN_CALL)
        }
        _ => None,
    }
}

/// Whether the same was clicked a moment ago, too.
fn is_second_click(model: &mut Model, action: Action) -> bool {
    let until_ms = model.now_ms + CLICK_AGAIN_MS;
    let before = model.layers.clicked_until_ms.replace((action, until_ms));
    let is_second = before.is_some_and(|(same, until)| same == action && model.now_ms < until);
    if is_second {
        model.layers.clicked_until_ms = None;
    }
    is_second
}

fn choose(model: &mut Model, party: Party) {
    match party {
        Party::Contact(contact) => {
            model.selected = Some(contact);
            model.selected_group = None;
        }
        Party::Group(group) => model.selected_group = Some(group),
    }
    keys::forget_ended(model);
}

fn chosen_line(model: &mut Model) -> Option<&mut usize> {
    if let Some(open) = &mut model.layers.palette {
        return Some(&mut open.chosen);
    }
    match &mut model.overlay {
        Some(Overlay::Contact(menu)) => Some(&mut menu.chosen),
        Some(Overlay::Settings(chosen)) => Some(chosen),
        Some(Overlay::Devices(menu)) => Some(&mut menu.chosen),
        _ => None,
    }
}

fn scroll(model: &mut Model, under: Hit, is_up: bool, effects: &mut Vec<Effect>) {
    match under {
        Hit::Conversation => history::scroll_by(model, is_up, Some(WHEEL_LINES), effects),
        Hit::Line(_) | Hit::Overlay => {
            let is_scrolled = matches!(model.overlay, Some(Overlay::Help(_) | Overlay::Log(_)));
            if has_lines(model) || is_scrolled {
                step(model, is_up, effects);
            }
        }
        Hit::Lists | Hit::Party(_) => step(model, is_up, effects),
        Hit::Key(_) => {}
    }
}

fn step(model: &mut Model, is_up: bool, effects: &mut Vec<Effect>) {
    let action = if is_up { Action::Up } else { Action::Down };
    keys::perform(model, action, effects);
}

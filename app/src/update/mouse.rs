//! The mouse: a click chooses or presses a key of the bottom bar, the wheel scrolls. A click never calls anybody.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{history, keys, say};
use crate::effect::Effect;
use crate::event::Party;
use crate::keymap::Action;
use crate::model::{Model, Overlay};
use crate::text;
use crate::view::hit::{Hit, has_lines, hit};

/// How long a second click on hanging up has time.
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
        Hit::Key(Action::HangUp) if !is_second_click(model) => {
            say(model, text::CLICK_AGAIN);
        }
        Hit::Key(action) => keys::perform(model, action, effects),
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

/// Whether hanging up was clicked a moment ago, too: a click that was meant for the key beside it must not end a call.
fn is_second_click(model: &mut Model) -> bool {
    let until_ms = model.now_ms + CLICK_AGAIN_MS;
    let before = model.layers.hang_up_clicked_until_ms.replace(until_ms);
    let is_second = before.is_some_and(|until| model.now_ms < until);
    if is_second {
        model.layers.hang_up_clicked_until_ms = None;
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

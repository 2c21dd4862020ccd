//! The list of contacts: name, and the state in words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::fit;
use crate::event::Contact;
use crate::model::Model;
use crate::text;

/// Draws the list, scrolled so that the chosen contact is seen; with a line at its right when something follows.
pub(super) fn draw(model: &Model, area: Rect, has_neighbour: bool, buffer: &mut Buffer) {
    if has_neighbour {
        for row in area.top()..area.bottom() {
            buffer.set_stringn(
                area.right(),
                row,
                "│",
                1,
                Style::new().add_modifier(Modifier::DIM),
            );
        }
    }
    fit::put(
        buffer,
        area,
        0,
        text::CONTACTS_TITLE,
        Style::new().add_modifier(Modifier::BOLD),
    );
    let list = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let list = draw_groups(model, list, buffer);
    let contacts = model.contacts();
    let chosen = contacts
        .iter()
        .position(|contact| Some(contact.id) == model.selected)
        .unwrap_or(0);
    let first = (chosen + 1).saturating_sub(usize::from(list.height));
    for (contact, row) in contacts.iter().skip(first).zip(0..list.height) {
        let is_chosen = Some(contact.id) == model.selected;
        let style = if is_chosen {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        fit::put(
            buffer,
            list,
            row,
            &line(model, contact, is_chosen, usize::from(list.width)),
            style,
        );
    }
}

/// The groups under the contacts, as many as a third of the rows can show. What is left for the contacts.
fn draw_groups(model: &Model, area: Rect, buffer: &mut Buffer) -> Rect {
    let groups = model.groups();
    let shown = groups.len().min(usize::from(area.height / 3));
    let rows = u16::try_from(shown).expect("at most a third of the rows") + 2;
    if shown == 0 || area.height < rows {
        return area;
    }
    let contacts = u16::try_from(model.contacts().len()).unwrap_or(u16::MAX);
    let height = (area.height - rows).min(contacts);
    let below = Rect {
        y: area.y + height + 1,
        height: rows - 1,
        ..area
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    fit::put(buffer, below, 0, text::GROUPS_TITLE, bold);
    for (group, row) in groups.iter().take(shown).zip(1..) {
        let state = text::group_state(group);
        let line = columns("  ", &group.name, &state, usize::from(below.width));
        fit::put(buffer, below, row, &line, Style::new());
    }
    Rect { height, ..area }
}

/// `> name    state`, the name cut before the state is.
fn line(model: &Model, contact: &Contact, is_chosen: bool, cells: usize) -> String {
    let mark = if is_chosen { "> " } else { "  " };
    let state = text::contact_state(model, contact);
    columns(mark, &contact.name, state, cells)
}

fn columns(mark: &str, name: &str, state: &str, cells: usize) -> String {
    let room = cells.saturating_sub(mark.len() + state.len() + 2);
    let name = fit::clip(&text::shown(name), room);
    let gap = room.saturating_sub(fit::width(&name));
    format!("{mark}{name}{:gap$} {state} ", "")
}

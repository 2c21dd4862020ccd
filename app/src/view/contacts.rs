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
        let is_chosen = Some(contact.id) == model.selected && model.selected_group().is_none();
        let (mark, style) = mark(is_chosen);
        fit::put(
            buffer,
            list,
            row,
            &line(model, contact, mark, usize::from(list.width)),
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
    let chosen = (model.selected_group)
        .and_then(|number| groups.iter().position(|group| group.number == number.0));
    let first = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(shown));
    for ((at, group), row) in groups.iter().enumerate().skip(first).take(shown).zip(1..) {
        let (mark, style) = mark(Some(at) == chosen);
        let state = text::group_state_now(model, group);
        let line = columns(mark, &group.name, &state, usize::from(below.width));
        fit::put(buffer, below, row, &line, style);
    }
    Rect { height, ..area }
}

fn mark(is_chosen: bool) -> (&'static str, Style) {
    if is_chosen {
        ("> ", Style::new().add_modifier(Modifier::REVERSED))
    } else {
        ("  ", Style::new())
    }
}

/// `> name    state`, the name cut before the state is.
fn line(model: &Model, contact: &Contact, mark: &str, cells: usize) -> String {
    let unseen = (model.unseen.as_ref()).and_then(|unseen| unseen.get(&contact.id));
    let unseen = text::unseen(unseen.copied().unwrap_or_default());
    let state = text::contact_state(model, contact);
    // What is new matters more than what is always so.
    let state = match state {
        "calls you" | "in call" | "calling" => state,
        _ if !unseen.is_empty() => unseen.as_str(),
        _ => state,
    };
    columns(mark, &contact.name, state, cells)
}

fn columns(mark: &str, name: &str, state: &str, cells: usize) -> String {
    let room = cells.saturating_sub(mark.len() + state.len() + 2);
    let name = fit::clip(&text::shown(name), room);
    let gap = room.saturating_sub(fit::width(&name));
    format!("{mark}{name}{:gap$} {state} ", "")
}

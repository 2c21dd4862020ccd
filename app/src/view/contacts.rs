//! The list of contacts: name, and the state in words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::theme::Role;
use super::{fit, overlay};
use crate::event::{Contact, GroupNumber, Party};
use crate::model::Model;
use crate::text;

/// Draws the list, scrolled so that the chosen contact is seen; with a line at its right when something follows.
/// Returns where the cursor stands while a filter is typed.
pub(super) fn draw(
    model: &Model,
    area: Rect,
    has_neighbour: bool,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
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
    let cursor = draw_title(model, area, buffer);
    let places = places(model, area);
    let list = places.contacts;
    for (contact, row) in (model.listed_contacts().skip(places.first_contact)).zip(0..list.height) {
        let is_chosen = Some(contact.id) == model.selected && model.selected_group().is_none();
        let (mark, style) = mark(is_chosen);
        let line = line(model, contact, mark, usize::from(list.width));
        fit::put(buffer, list, row, &line, style);
    }
    if let Some(below) = places.groups {
        let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
        fit::put(buffer, below, 0, text::GROUPS_TITLE, bold);
        let groups = model.listed_groups().skip(places.first_group);
        for (group, row) in groups.zip(1..below.height) {
            let (mark, style) = mark(model.selected_group == Some(GroupNumber(group.number)));
            let state = text::group_state_now(model, group);
            let line = columns(mark, &group.name, &state, usize::from(below.width));
            fit::put(buffer, below, row, &line, style);
        }
    }
    let is_filtered_out = model.listed_contacts().next().is_none() && places.groups.is_none();
    if is_filtered_out && model.layers.sought().is_some() {
        fit::put_lines(buffer, list, [text::NOBODY_LISTED], Style::new());
    }
    cursor
}

/// Where the lists stand in this pane.
struct Places {
    contacts: Rect,
    first_contact: usize,
    /// With the heading in its first row.
    groups: Option<Rect>,
    first_group: usize,
}

/// Each scrolled so that what is chosen is seen; the groups under the contacts, as many as a third of the rows can show.
fn places(model: &Model, area: Rect) -> Places {
    let area = super::overlay::below(area, 1);
    let groups = model.listed_groups().count();
    let shown = groups.min(usize::from(area.height / 3));
    let rows = u16::try_from(shown).expect("at most a third of the rows") + 2;
    let has_groups = shown > 0 && area.height >= rows;
    let count = u16::try_from(model.listed_contacts().count()).unwrap_or(u16::MAX);
    let height = if has_groups {
        (area.height - rows).min(count)
    } else {
        area.height
    };
    let chosen = model
        .listed_contacts()
        .position(|contact| Some(contact.id) == model.selected);
    let chosen_group = (model.listed_groups())
        .position(|group| Some(GroupNumber(group.number)) == model.selected_group);
    Places {
        contacts: Rect { height, ..area },
        first_contact: (chosen.unwrap_or(0) + 1).saturating_sub(usize::from(height)),
        groups: has_groups.then(|| Rect {
            y: area.y + height + 1,
            height: rows - 1,
            ..area
        }),
        first_group: chosen_group.map_or(0, |chosen| (chosen + 1).saturating_sub(shown)),
    }
}

/// Who stands in this row of the screen.
pub(super) fn party_at(model: &Model, area: Rect, row: u16) -> Option<Party> {
    let places = places(model, area);
    let list = places.contacts;
    if (list.top()..list.bottom()).contains(&row) {
        let at = places.first_contact + usize::from(row - list.y);
        let contact = model.listed_contacts().nth(at)?;
        return Some(Party::Contact(contact.id));
    }
    let below = places.groups?;
    if (below.top() + 1..below.bottom()).contains(&row) {
        let at = places.first_group + usize::from(row - below.y - 1);
        let group = model.listed_groups().nth(at)?;
        return Some(Party::Group(GroupNumber(group.number)));
    }
    None
}

/// The heading, or the filter in its place.
fn draw_title(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
    let row = Rect {
        height: area.height.min(1),
        ..area
    };
    let Some(filter) = &model.layers.filter else {
        fit::put(buffer, row, 0, text::CONTACTS_TITLE, bold);
        return None;
    };
    if filter.is_typing && model.roster().is_none() {
        return overlay::draw_field(&filter.field, "/", row, buffer);
    }
    fit::put(buffer, row, 0, &format!("/{}", filter.field.text()), bold);
    None
}

pub(super) fn mark(is_chosen: bool) -> (&'static str, Style) {
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

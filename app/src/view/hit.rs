//! What stands under the mouse: the same places that are drawn, asked the other way round.

use ratatui::layout::{Position, Rect};

use super::{bars, contacts, layers, layout, shows_conversation};
use crate::event::Party;
use crate::keymap::Action;
use crate::model::{Model, Overlay};

/// Something that can be clicked or scrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A key of the bottom bar.
    Key(Action),
    /// A contact or a group.
    Party(Party),
    /// A line of what lies on top, from 0; one that is there.
    Line(usize),
    /// What lies on top, beside its lines.
    Overlay,
    /// The lists, beside their lines.
    Lists,
    /// A conversation.
    Conversation,
}

/// What stands at this place of the screen, counted from 0; `None` for what does nothing.
#[must_use]
pub fn hit(model: &Model, column: u16, row: u16) -> Option<Hit> {
    let (columns, rows) = model.size?;
    let at = Position::new(column, row);
    let panes = layout::panes(model, Rect::new(0, 0, columns, rows))?;
    if panes.keys.contains(at) {
        let hints = bars::placed_hints(model, panes.keys);
        let mut under = hints.into_iter().filter(|(_, place)| place.contains(at));
        return under.next().map(|(hint, _)| Hit::Key(hint.action));
    }
    // What is read there is not what lies below.
    if panes.banner.is_some_and(|banner| banner.contains(at)) || panes.status.contains(at) {
        return None;
    }
    if !panes.main.contains(at) {
        return None;
    }
    let is_covered = model.layers.palette.is_some() || model.overlay.is_some();
    if is_covered {
        let lines = layers::lines_place(model, panes.main);
        let line = lines.and_then(|(place, first, count)| {
            let line = first + usize::from(row.checked_sub(place.y)?);
            (place.contains(at) && line < count).then_some(Hit::Line(line))
        });
        return Some(line.unwrap_or(Hit::Overlay));
    }
    if let Some(pane) = panes.contacts.filter(|pane| pane.contains(at)) {
        let party = contacts::party_at(model, pane, row);
        return Some(party.map_or(Hit::Lists, Hit::Party));
    }
    let is_there = shows_conversation(model) && panes.call.is_some_and(|pane| pane.contains(at));
    is_there.then_some(Hit::Conversation)
}

/// Whether what lies on top has lines to choose from.
#[must_use]
pub fn has_lines(model: &Model) -> bool {
    let overlay = matches!(
        model.overlay,
        Some(Overlay::Contact(_) | Overlay::Settings(_) | Overlay::Devices(_))
    );
    model.layers.palette.is_some() || overlay
}

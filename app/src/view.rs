//! The picture of the model: [`view`] draws it and changes nothing.
//!
//! Contacts stand on the left, the call on the right, own state and the keys in the two bottom rows; below 40x10 all
//! that matters stands in one line. Nothing is told by colour alone.

mod bars;
mod call;
pub mod canvas;
mod contacts;
mod conversation;
mod fit;
mod grid;
pub mod hit;
mod layers;
mod layout;
mod line;
pub mod look;
mod overlay;
mod people;
mod roster;
mod stats;
#[cfg(test)]
mod tests;
pub mod theme;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{Feed, ParticipantId, Party};
use crate::model::{Call, Model, Overlay};
use crate::view::look::Glyphs;

pub(crate) use layers::log_scroll_max;
pub(crate) use overlay::help_scroll_max;

use bars::{banner_lines, message_words};
use canvas::{Canvas, Placed};

/// Draws the whole screen.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut canvas = Canvas::of_cells(frame.buffer_mut());
    let cursor = draw(model, area, &mut canvas);
    finish(model, cursor, frame);
}

/// Draws all but moving pictures, and tells where those belong.
pub fn view_with_places<'m>(model: &'m Model, frame: &mut Frame<'_>) -> Vec<Placed<'m>> {
    let area = frame.area();
    let mut canvas = Canvas::with_places(frame.buffer_mut());
    let cursor = draw(model, area, &mut canvas);
    let placed = canvas.into_placed();
    finish(model, cursor, frame);
    placed
}

fn finish(model: &Model, cursor: Option<(u16, u16)>, frame: &mut Frame<'_>) {
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
    if model.look.glyphs == Glyphs::Ascii {
        to_ascii(frame.buffer_mut());
    }
}

/// The cells in which the far picture may be drawn on a screen of this size; `None` where it is not drawn.
#[must_use]
pub fn far_picture_area(model: &Model, area: Rect) -> Option<Rect> {
    let call = model.taken_call()?;
    if matches!(call.party, Party::Group(_)) {
        return None;
    }
    if is_covered(model) {
        return None;
    }
    let pane = layout::panes(model, area)?.call?;
    Some(layout::picture(pane))
}

/// The cells in which pictures of those in the call of a group are drawn on a screen of this size.
#[must_use]
pub fn feed_areas(model: &Model, area: Rect) -> Vec<(ParticipantId, Feed, Rect)> {
    let on_screen = tiles(model, area);
    on_screen.map_or_else(Vec::new, |(call, place)| grid::feed_areas(call, place))
}

/// Pages that the pictures of those in the call of a group take on this screen; 1 where there is no such call.
#[must_use]
pub fn picture_pages(model: &Model) -> usize {
    let area = model
        .size
        .map(|(columns, rows)| Rect::new(0, 0, columns, rows));
    let on_screen = area.and_then(|area| tiles(model, area));
    on_screen.map_or(1, |(call, place)| grid::pages(call, place))
}

/// The call of a group whose pictures are looked at, and where they stand.
fn tiles(model: &Model, area: Rect) -> Option<(&Call, Rect)> {
    let call = model.taken_call().filter(|call| call.is_connected())?;
    if !call.is_of_a_group() || call.is_held() || is_covered(model) {
        return None;
    }
    let pane = layout::panes(model, area)?.call?;
    Some((call, layout::picture(pane)))
}

/// Something lies over the pictures: what is typed, or an overlay that fills the main part. Nobody looks at them then, so
/// nobody need send them. The figures are those of the call as it is: they do not stop what they measure.
fn is_covered(model: &Model) -> bool {
    let is_overlaid = !matches!(model.overlay, None | Some(Overlay::Stats));
    model.writing_to().is_some() || is_overlaid || model.layers.palette.is_some()
}

/// Whether a conversation stands in the right pane: something is typed there, or there is one and no call.
#[must_use]
pub fn shows_conversation(model: &Model) -> bool {
    let Some(conversation) = &model.conversation else {
        return false;
    };
    let is_idle = model.call.is_none() && model.selected_group().is_none();
    let has_room = model
        .size
        .and_then(|(columns, rows)| layout::panes(model, Rect::new(0, 0, columns, rows)))
        .is_some_and(|panes| panes.call.is_some());
    let is_there = conversation.is_writing || (is_idle && !conversation.entries.is_empty());
    has_room && is_there && model.overlay.is_none()
}

/// Lines to turn by one page of the conversation, and the farthest it can be scrolled; both 0 where it is not shown.
#[must_use]
pub fn conversation_scroll(model: &Model) -> (usize, usize) {
    let pane = model
        .size
        .and_then(|(columns, rows)| layout::panes(model, Rect::new(0, 0, columns, rows)))
        .and_then(|panes| panes.call);
    pane.map_or((0, 0), |pane| conversation::scroll(model, pane))
}

/// Draws, and tells where the cursor belongs when text is being typed.
fn draw<'m>(model: &'m Model, area: Rect, buffer: &mut Canvas<'_, 'm>) -> Option<(u16, u16)> {
    if area.is_empty() {
        return None;
    }
    let Some(panes) = layout::panes(model, area) else {
        return line::draw(model, area, buffer);
    };
    let filtering = panes
        .contacts
        .and_then(|pane| contacts::draw(model, pane, panes.call.is_some(), buffer));
    let mut typing = None;
    if let Some(pane) = panes.call {
        match &model.conversation {
            Some(conversation) if shows_conversation(model) => {
                typing = conversation::draw(model, conversation, pane, buffer);
            }
            _ => typing = call::draw(model, pane, panes.is_wide, buffer),
        }
    }
    let cursor = match &model.overlay {
        Some(Overlay::Help(scroll)) => {
            overlay::draw_help(model, *scroll, panes.main, buffer);
            None
        }
        Some(Overlay::Invite(invite)) => {
            people::draw_invite(model, invite, panes.main, buffer);
            None
        }
        Some(Overlay::Words(contact)) => {
            people::draw_words(model, *contact, panes.main, buffer);
            None
        }
        Some(Overlay::Add(field)) => overlay::draw_add(model, field, panes.main, buffer),
        Some(Overlay::Contact(menu)) => layers::draw_menu(model, menu, panes.main, buffer),
        Some(Overlay::Settings(at)) => {
            layers::draw_settings(model, *at, panes.main, buffer);
            None
        }
        Some(Overlay::Devices(menu)) => {
            layers::draw_devices(model, menu, panes.main, buffer);
            None
        }
        Some(Overlay::Log(back)) => {
            layers::draw_log(model, *back, panes.main, buffer);
            None
        }
        Some(Overlay::Stats) => {
            if let Some(pane) = panes.call {
                stats::draw(model, pane, buffer);
            }
            None
        }
        None => typing,
    };
    let cursor = match model.layers.palette {
        Some(_) => layers::draw_palette(model, panes.main, buffer),
        None => filtering.or(cursor),
    };
    if let Some(area) = panes.banner {
        bars::draw_banner(model, area, buffer);
    }
    if let Some(area) = panes.message {
        bars::draw_message(model, layout::beside_field(area, cursor), buffer);
    }
    bars::draw_status(model, panes.status, buffer);
    bars::draw_keys(model, panes.keys, buffer);
    cursor
}

/// Replaces what a terminal without UTF-8 would garble. Wide characters become two marks, so that columns stay.
fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let replacement = match cell.symbol() {
            symbol if symbol.is_ascii() => continue,
            "│" => "|",
            "─" => "-",
            "┌" | "┐" | "└" | "┘" => "+",
            "…" => "~",
            "↗" => ">",
            "↙" => "<",
            _ => "?",
        };
        cell.set_symbol(replacement);
    }
}

//! The chosen contact's conversation: days, texts and calls, the newest at the bottom, and the field to write in.

use hullo_signalling::history::{Direction, EntryKind, HistoryEntry, TextState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::theme::Role;
use super::{fit, overlay};
use crate::conversation::{Conversation, ENTRIES_MAX};
use crate::model::Model;
use crate::text;

/// Cells before a text: the time and a blank.
const TIME_CELLS: usize = 6;
/// Rows of the pane that are not entries: the headline, and the field with a row of air above it.
const OTHER_ROWS: u16 = 3;

/// Where the entries stand in this pane.
fn entries_area(pane: Rect) -> Rect {
    Rect {
        x: pane.x + 1,
        y: pane.y + 1,
        width: pane.width.saturating_sub(2),
        height: pane.height.saturating_sub(OTHER_ROWS),
    }
}

/// Lines to turn by one page, and the farthest that can be scrolled.
pub(super) fn scroll(model: &Model, pane: Rect) -> (usize, usize) {
    let area = entries_area(pane);
    let rows = usize::from(area.height);
    let lines = model.conversation.as_ref().map_or(0, |conversation| {
        lines(model, conversation, usize::from(area.width)).len()
    });
    (rows.saturating_sub(1).max(1), lines.saturating_sub(rows))
}

/// Draws the pane; returns where the cursor stands while something is typed.
pub(super) fn draw(
    model: &Model,
    conversation: &Conversation,
    pane: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    Clear.render(pane, buffer);
    let inner = Rect {
        x: pane.x + 1,
        width: pane.width.saturating_sub(2),
        ..pane
    };
    if let Some(contact) = model.contact(conversation.contact) {
        let trust = if contact.verified {
            "verified"
        } else {
            "unverified"
        };
        let headline = format!("{}  {}  {trust}", contact.name, contact.short_id);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        fit::put(buffer, inner, 0, &headline, bold);
    }
    let area = entries_area(pane);
    let lines = lines(model, conversation, usize::from(area.width));
    let rows = usize::from(area.height);
    let end = lines.len() - conversation.scroll.min(lines.len().saturating_sub(rows));
    let shown = &lines[end.saturating_sub(rows)..end];
    for ((words, style), row) in shown.iter().zip(0..area.height) {
        fit::put(buffer, area, row, words, *style);
    }
    let field_row = Rect {
        y: pane.bottom().saturating_sub(1),
        height: pane.height.min(1),
        ..inner
    };
    if conversation.is_writing {
        let field = model.drafts.of(conversation.contact).cloned();
        return overlay::draw_field(&field.unwrap_or_default(), "> ", field_row, buffer);
    }
    let hint = model.keymap.fill(text::WRITE_HINT);
    fit::put(buffer, field_row, 0, &hint, Style::new());
    None
}

/// The whole conversation in lines of this width.
fn lines(model: &Model, conversation: &Conversation, cells: usize) -> Vec<(String, Style)> {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let mut lines = Vec::new();
    if !conversation.is_whole && !conversation.entries.is_empty() {
        lines.push((model.keymap.fill(text::OLDER), dim));
    } else if conversation.entries.len() >= ENTRIES_MAX {
        lines.push((text::KEPT_OLDER.to_owned(), dim));
    }
    let mut day = String::new();
    for entry in &conversation.entries {
        let its_day = text::day(entry.at, model.clock);
        if its_day != day {
            lines.push((format!("-- {its_day} --"), dim));
            day = its_day;
        }
        entry_lines(model, entry, cells, &mut lines);
    }
    lines
}

fn entry_lines(
    model: &Model,
    entry: &HistoryEntry,
    cells: usize,
    lines: &mut Vec<(String, Style)>,
) {
    let time = text::time_of_day(entry.at, model.clock);
    let (words, style) = match &entry.kind {
        EntryKind::Text { text: words, state } => {
            let who = match entry.direction {
                Direction::Incoming => model.name_of(crate::event::ContactId(entry.contact.0)),
                Direction::Outgoing => text::YOU_WROTE,
            };
            let waits = if *state == TextState::Waiting {
                text::WAITS
            } else {
                ""
            };
            (format!("{who}: {words}{waits}"), Style::new())
        }
        EntryKind::Call { media, outcome, .. } => {
            let words = text::call(entry.direction, *media, outcome);
            let style = if words.starts_with("Missed") {
                let colour = model.paint(Role::Missed);
                colour.add_modifier(Modifier::BOLD)
            } else {
                Style::new().add_modifier(Modifier::ITALIC)
            };
            (format!("{} {words}", text::arrow(entry.direction)), style)
        }
    };
    let mut is_first = true;
    for line in words.split('\n') {
        for part in fit::wrap(&text::shown(line), cells.saturating_sub(TIME_CELLS)) {
            let before = if is_first { time.as_str() } else { "" };
            is_first = false;
            lines.push((format!("{before:TIME_CELLS$}{part}"), style));
        }
    }
}

//! What lies over the main part: help, the field for a link. Invitations and words are in [`super::people`].

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::fit;
use crate::keymap::{Group, Keymap};
use crate::model::Model;
use crate::text;
use crate::update::field::Field;

/// Cells for the keys in the help.
const KEY_CELLS: usize = 9;
/// Rows at the bottom that an overlay leaves to the bars.
const BARS: u16 = 2;

/// The help, made from the key table.
fn help_lines(keymap: &Keymap) -> Vec<(String, Style)> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    for group in [Group::Call, Group::Contacts, Group::Program] {
        lines.push((text::group(group).to_owned(), bold));
        for row in keymap.rows().iter().filter(|row| row.group == group) {
            let line = format!("  {:KEY_CELLS$}{}", row.names(), text::help(row.action));
            lines.push((line, Style::new()));
        }
    }
    lines.push((text::HELP_ALT.to_owned(), Style::new()));
    lines
}

/// How far the help can be scrolled on a screen of this size.
pub(crate) fn help_scroll_max(model: &Model) -> u16 {
    let rows = model
        .size
        .map_or(u16::MAX, |(_, rows)| rows.saturating_sub(BARS));
    u16::try_from(help_lines(&model.keymap).len())
        .unwrap_or(u16::MAX)
        .saturating_sub(rows)
}

/// Draws the help over the whole main part.
pub(super) fn draw_help(model: &Model, scroll: u16, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let inner = inset(area);
    for ((line, style), row) in help_lines(&model.keymap)
        .iter()
        .skip(usize::from(scroll))
        .zip(0..inner.height)
    {
        fit::put(buffer, inner, row, line, *style);
    }
}

/// Draws the field for a link; returns where the cursor stands.
pub(super) fn draw_add(
    model: &Model,
    field: &Field,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    Clear.render(area, buffer);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    fit::put(buffer, inset(area), 0, text::ADD_TITLE, bold);
    let rest = below(inset(area), 2);
    let words = model.keymap.fill(text::ADD_WORDS);
    let used = fit::put_lines(buffer, rest, [words.as_str()], Style::new());
    let line = below(rest, used + 1);
    draw_field(field, "> ", line, buffer)
}

/// Draws the part of a field around its cursor.
pub(super) fn draw_field(
    field: &Field,
    prompt: &str,
    line: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    if line.is_empty() {
        return None;
    }
    let cells = usize::from(line.width).saturating_sub(prompt.len() + 1);
    let (before, after) = field.halves();
    let before = fit::tail(before, cells);
    let shown = format!("{prompt}{before}{after}");
    fit::put(
        buffer,
        line,
        0,
        &shown,
        Style::new().add_modifier(Modifier::BOLD),
    );
    let column = u16::try_from(prompt.len() + fit::width(before))
        .unwrap_or(u16::MAX)
        .min(line.width - 1);
    Some((line.x + column, line.y))
}

/// One cell of air at both sides.
pub(super) fn inset(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
}

pub(super) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

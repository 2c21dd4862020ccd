//! The figures of the call, over the left part of its picture: what is wrong first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::{fit, layout};
use crate::model::Model;
use crate::text;

/// Cells that the figures need; the rest of the picture stays visible.
const WIDTH: u16 = 56;

/// Draws the figures of the call that has the devices into the call's pane.
pub(super) fn draw(model: &Model, pane: Rect, buffer: &mut Buffer) {
    let below = layout::picture(pane);
    let Some(call) = model.taken_call() else {
        return;
    };
    let name = model.name_of_party(call.party);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![(text::STATS_TITLE.to_owned(), bold)];
    let inner_width = usize::from(below.width.min(WIDTH)).saturating_sub(2);
    let wrapped = |words: &str| fit::wrap(words, inner_width);
    match &call.stats {
        Some(stats) => {
            for words in text::stats_words(stats) {
                lines.extend(wrapped(&words).into_iter().map(|line| (line, bold)));
            }
            lines.push((String::new(), Style::new()));
            let table = text::stats_table(stats, name);
            lines.extend(table.into_iter().map(|line| (line, Style::new())));
        }
        None => {
            let words = wrapped(text::STATS_NONE);
            lines.extend(words.into_iter().map(|line| (line, Style::new())));
        }
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let area = Rect {
        width: below.width.min(WIDTH),
        height: below.height.min(height),
        ..below
    };
    Clear.render(area, buffer);
    let inner = super::overlay::inset(area);
    for ((line, style), row) in lines.iter().zip(0..area.height) {
        fit::put(buffer, inner, row, line, *style);
    }
}

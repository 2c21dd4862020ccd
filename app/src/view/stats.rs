//! The figures of the call, over its pictures: what is wrong first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::{fit, layout};
use crate::model::Model;
use crate::text;

/// Cells that the figures need.
const WIDTH: u16 = 56;
/// Pictures beside the figures stay where at least so many cells are left for them: a narrower strip that moves only
/// makes the figures hard to read.
const BESIDE_MIN: u16 = 24;

/// The cells that the figures take of those of the pictures: whole rows, so that nothing plays on below them. A group's
/// tiles and lines of people are as wide as the pane: what is left of them beside the figures would be halves of words.
pub(super) fn place(pictures: Rect, is_group: bool) -> Rect {
    let has_room = pictures.width >= WIDTH + BESIDE_MIN && !is_group;
    let width = if has_room { WIDTH } else { pictures.width };
    Rect { width, ..pictures }
}

/// Draws the figures of the call that has the devices into the call's pane.
pub(super) fn draw(model: &Model, pane: Rect, buffer: &mut Buffer) {
    let Some(call) = model.taken_call() else {
        return;
    };
    let area = place(layout::picture(pane), call.is_of_a_group());
    let name = model.name_of_party(call.party);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![(text::STATS_TITLE.to_owned(), bold)];
    let inner_width = usize::from(area.width.min(WIDTH)).saturating_sub(2);
    let wrapped = |words: &str| fit::wrap(words, inner_width);
    match &call.stats {
        Some(stats) => {
            for words in text::words_of(call, stats) {
                lines.extend(wrapped(&words).into_iter().map(|line| (line, bold)));
            }
            lines.push((String::new(), Style::new()));
            let table = if call.is_of_a_group() {
                text::group_stats_table(stats, call)
            } else {
                text::stats_table(stats, name)
            };
            lines.extend(table.into_iter().map(|line| (line, Style::new())));
        }
        None => {
            let words = wrapped(text::STATS_NONE);
            lines.extend(words.into_iter().map(|line| (line, Style::new())));
        }
    }
    Clear.render(area, buffer);
    let inner = super::overlay::inset(area);
    for ((line, style), row) in lines.iter().zip(0..area.height) {
        fit::put(buffer, inner, row, line, *style);
    }
}

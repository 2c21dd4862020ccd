//! Text fitted to cells: measured, cut and wrapped by what the terminal shows, not by bytes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::text;

/// Cells a text takes.
pub(super) fn width(words: &str) -> usize {
    Span::raw(words).width()
}

/// The longest beginning of a text that fits, with its last cell a mark when something was cut off.
pub(super) fn clip(words: &str, cells: usize) -> String {
    if width(words) <= cells {
        return words.to_owned();
    }
    let Some(room) = cells.checked_sub(1) else {
        return String::new();
    };
    let (kept, _) = split(words, room);
    format!("{kept}…")
}

/// The end of a text that fits: for a field whose cursor stands at the end.
pub(super) fn tail(words: &str, cells: usize) -> &str {
    let mut used = 0;
    let cut = words.char_indices().rev().find_map(|(index, character)| {
        used += width(character.encode_utf8(&mut [0; 4]));
        (used > cells).then_some(index + character.len_utf8())
    });
    &words[cut.unwrap_or(0)..]
}

/// Lines no wider than `cells`: broken between words, and inside only those longer than a line.
pub(super) fn wrap(words: &str, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    if cells == 0 {
        return lines;
    }
    for (index, mut word) in words.split(' ').enumerate() {
        if index > 0 && width(&line) + 1 + width(word) > cells {
            lines.push(std::mem::take(&mut line));
        } else if index > 0 {
            line.push(' ');
        }
        while width(&line) + width(word) > cells {
            let (head, rest) = split(word, cells.saturating_sub(width(&line)));
            // A character wider than the line is given up rather than tried for ever.
            if head.is_empty() && line.is_empty() {
                break;
            }
            line.push_str(head);
            lines.push(std::mem::take(&mut line));
            word = rest;
        }
        if width(&line) + width(word) <= cells {
            line.push_str(word);
        }
    }
    lines.push(line);
    lines
}

/// Lines of whole pieces, as many in each as fit beside one another.
pub(super) fn pack(pieces: &[String], cells: usize) -> Vec<String> {
    const GAP: &str = "   ";
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if width(line) + GAP.len() + width(piece) <= cells => {
                line.push_str(GAP);
                line.push_str(piece);
            }
            _ => lines.push(piece.clone()),
        }
    }
    lines
}

/// Splits where `cells` are full. Marks without a width of their own stay with what they stand on.
fn split(words: &str, cells: usize) -> (&str, &str) {
    let mut used = 0;
    let end = words.char_indices().find_map(|(index, character)| {
        used += width(character.encode_utf8(&mut [0; 4]));
        (used > cells).then_some(index)
    });
    words.split_at(end.unwrap_or(words.len()))
}

/// Writes one line into a row of `area`, cut to it.
pub(super) fn put(buffer: &mut Buffer, area: Rect, row: u16, words: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if row >= area.height {
        return;
    }
    let words = clip(&text::shown(words), usize::from(area.width));
    buffer.set_stringn(area.x, area.y + row, words, usize::from(area.width), style);
}

/// Writes lines from the top of `area` on, as many as fit; returns how many rows were used.
pub(super) fn put_lines<'a>(
    buffer: &mut Buffer,
    area: Rect,
    lines: impl IntoIterator<Item = &'a str>,
    style: Style,
) -> u16 {
    let mut row = 0;
    for line in lines {
        for part in wrap(&text::shown(line), usize::from(area.width)) {
            put(buffer, area, row, &part, style);
            row = row.saturating_add(1);
        }
    }
    row.min(area.height)
}

/// Writes one line into the middle of `area`.
pub(super) fn put_centred(buffer: &mut Buffer, area: Rect, lines: &[&str], style: Style) {
    let lines: Vec<String> = lines
        .iter()
        .flat_map(|line| wrap(&text::shown(line), usize::from(area.width)))
        .collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let top = area.height.saturating_sub(height) / 2;
    for (line, row) in lines.iter().zip(top..area.height) {
        let used = u16::try_from(width(line))
            .unwrap_or(u16::MAX)
            .min(area.width);
        let inset = (area.width - used) / 2;
        put(
            buffer,
            Rect {
                x: area.x + inset,
                width: area.width - inset,
                ..area
            },
            row,
            line,
            style,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(
            wrap("a call is running: H hangs up", 12),
            ["a call is", "running: H", "hangs up"]
        );
        assert_eq!(wrap("hullo:abcdefgh", 6), ["hullo:", "abcdef", "gh"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("   indented", 20), ["   indented"]);
    }

    #[test]
    fn cutting_is_shown_and_wide_characters_count_twice() {
        assert_eq!(clip("alice", 5), "alice");
        assert_eq!(clip("alice", 4), "ali…");
        assert_eq!(clip("日本語", 5), "日本…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("alice", 0), "");
        assert_eq!(tail("hullo:abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide(words in ".{0,60}", cells in 0usize..20) {
            // What was not cleaned must not be well laid out, only harmless.
            for any in [wrap(&words, cells).join(""), clip(&words, cells), tail(&words, cells).to_owned()] {
                prop_assert!(any.len() <= words.len() + "…".len());
            }
            let words = text::shown(&words);
            for line in wrap(&words, cells) {
                prop_assert!(width(&line) <= cells, "{line:?}");
            }
            prop_assert!(width(&clip(&words, cells)) <= cells);
            prop_assert!(width(tail(&words, cells)) <= cells);
        }
    }
}

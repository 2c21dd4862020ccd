//! The screen that is too small for panes: what matters, in one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::bars::message_words;
use super::{fit, overlay};
use crate::event::CallState;
use crate::model::{Model, Overlay};
use crate::text;

/// Draws the line, and the sentence of the moment below it where there is a second row.
pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let cells = usize::from(area.width);
    if model.incoming.is_none()
        && let Some(Overlay::Add(field)) = &model.overlay
    {
        let cursor = overlay::draw_field(field, "+ ", Rect { height: 1, ..area }, buffer);
        draw_message(model, area, buffer);
        return cursor;
    }
    let candidates = candidates(model);
    let shortest = candidates.last().cloned().unwrap_or_default();
    let line = candidates
        .into_iter()
        .find(|line| fit::width(&text::shown(line)) <= cells)
        .unwrap_or(shortest);
    fit::put(buffer, area, 0, &line, Style::new());
    if model.taken_call().is_some_and(|call| call.own.mic_muted) {
        invert(&line, text::MUTED, area, buffer);
    }
    draw_message(model, area, buffer);
    None
}

fn draw_message(model: &Model, area: Rect, buffer: &mut Buffer) {
    if let Some(message) = &model.message
        && area.height > 1
    {
        let rest = Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        };
        fit::put_lines(
            buffer,
            rest,
            [message_words(message).as_str()],
            Style::new(),
        );
    }
}

/// The same news from wordy to short; the first that fits is shown.
fn candidates(model: &Model) -> Vec<String> {
    if let Some(incoming) = &model.incoming {
        let name = model.name_of(incoming.contact);
        let is_verified = model
            .contact(incoming.contact)
            .is_some_and(|contact| contact.verified);
        let trust = if is_verified { "" } else { " (unverified)" };
        let kind = text::media(incoming.media);
        return vec![
            format!("{name}{trust}: {kind} [a][x]"),
            format!("{name}{trust} calls [a][x]"),
            format!("{name} calls [a][x]"),
            "call [a][x]".to_owned(),
            "call".to_owned(),
        ];
    }
    let Some(call) = &model.call else {
        let contacts = text::contact_count(model.contacts().len());
        return vec![
            format!("{contacts}, {}", text::TOO_SMALL),
            text::TOO_SMALL.to_owned(),
            "40x10".to_owned(),
        ];
    };
    let name = model.name_of(call.contact);
    let state = text::call_state(call, name, model.now_ms);
    if let CallState::Ended { .. } = call.state {
        return vec![state, "ended".to_owned()];
    }
    let clock = text::clock(call.connected_ms(model.now_ms));
    if call.own.mic_muted {
        vec![
            format!("{state} {} [m][H]", text::MUTED),
            format!("{name} {clock} {} [m][H]", text::MUTED),
            format!("{clock} {} [m][H]", text::MUTED),
            format!("{} [m][H]", text::MUTED),
            text::MUTED.to_owned(),
        ]
    } else {
        vec![
            format!("{state} [m][H]"),
            format!("{name} {clock} [m][H]"),
            format!("{clock} [m][H]"),
            clock,
        ]
    }
}

/// Inverts a word of the line, if the whole of it is there.
fn invert(line: &str, word: &str, area: Rect, buffer: &mut Buffer) {
    let Some(at) = line.rfind(word) else { return };
    let start = u16::try_from(fit::width(&text::shown(&line[..at]))).unwrap_or(u16::MAX);
    let cells = Rect {
        x: area.x.saturating_add(start),
        width: u16::try_from(word.len()).unwrap_or(u16::MAX),
        height: 1,
        ..area
    };
    let style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
    buffer.set_style(cells.intersection(area), style);
}

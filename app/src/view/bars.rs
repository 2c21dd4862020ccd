//! The bars: who calls, the sentence of the moment, own state, and the keys valid now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::fit;
use super::theme::Role;
use crate::event::Media;
use crate::keymap::{self, Hint};
use crate::model::{Message, Mode, Model};
use crate::text;

/// Cells between two entries of a bar.
const GAP: usize = 2;

/// The lines of the banner at this width; empty when nobody calls.
pub(super) fn banner_lines(model: &Model, width: u16) -> Vec<String> {
    let Some(incoming) = &model.incoming else {
        return Vec::new();
    };
    let trust = text::trust(model, incoming.party);
    let name = model.name_of_party(incoming.party);
    let cells = usize::from(width).saturating_sub(2);
    let mut lines = vec![text::incoming(model, name, incoming.media, trust)];
    lines.extend(incoming_keys(model, incoming.media, cells));
    if incoming.shows_ip_warning {
        lines.push(text::IP_WARNING.to_owned());
    }
    lines
        .iter()
        .flat_map(|line| fit::wrap(&text::shown(line), cells))
        .map(|line| format!(" {line}"))
        .collect()
}

/// The keys of a ringing call, none of them torn apart at a line's end.
pub(super) fn incoming_keys(model: &Model, offered: Media, cells: usize) -> Vec<String> {
    let alt = if keymap::is_typing(model) { "Alt-" } else { "" };
    let pieces: Vec<String> = text::incoming_keys(model.taken_call().is_some(), offered)
        .iter()
        .map(|piece| format!("{alt}{}", model.keymap.fill(piece)))
        .collect();
    fit::pack(&pieces, cells)
}

/// Draws who calls, inverse over the whole width.
pub(super) fn draw_banner(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inverse = Style::new().add_modifier(Modifier::REVERSED);
    for (line, row) in banner_lines(model, area.width).iter().zip(0..area.height) {
        let style = if row == 0 {
            inverse.add_modifier(Modifier::BOLD)
        } else {
            inverse
        };
        bar(buffer, area, row, line, style);
    }
}

/// A failure says that it is one.
pub(super) fn message_words(message: &Message) -> String {
    if message.is_error && !message.is_warning {
        format!("Failed: {}", message.text)
    } else {
        message.text.clone()
    }
}

/// Draws the sentence of the moment over the bottom of the main part.
pub(super) fn draw_message(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(message) = &model.message else {
        return;
    };
    let role = if message.is_error {
        Role::Error
    } else {
        Role::Notice
    };
    let style = model.paint(role).add_modifier(Modifier::BOLD);
    Clear.render(area, buffer);
    fit::put_lines(buffer, area, [message_words(message).as_str()], style);
}

/// Draws own state at the left and the server's at the right. Where not all fits, what must stand out stays, and of the
/// rest what stands last goes first: the meters, then the server that is well.
pub(super) fn draw_status(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inverse = Style::new().add_modifier(Modifier::REVERSED);
    bar(buffer, area, 0, "", inverse);
    let server = text::server_state(model);
    let is_alarm = model.taken_call().is_some() && text::is_server_alarm(model);
    let kept = if is_alarm {
        GAP + fit::width(&server) + 1
    } else {
        0
    };
    let room = usize::from(area.width).saturating_sub(kept);
    let mut used = 0;
    for (words, is_loud) in fitting(own_state(model), room) {
        let cells = fit::width(&words);
        if used + cells > usize::from(area.width) {
            break;
        }
        // On the inverse bar, what must stand out is doubly inverse: bold, and in colour where there is any.
        let style = if is_loud {
            inverse
                .add_modifier(Modifier::BOLD)
                .patch(model.paint(Role::Alarm))
        } else {
            inverse
        };
        let rest = Rect {
            x: area.x + used as u16,
            width: area.width - used as u16,
            ..area
        };
        fit::put(buffer, rest, 0, &words, style);
        used += cells;
    }
    let cells = fit::width(&server);
    if used + GAP + cells < usize::from(area.width) {
        let start = area.width - cells as u16 - 1;
        fit::put(
            buffer,
            Rect {
                x: area.x + start,
                width: area.width - start,
                ..area
            },
            0,
            &server,
            inverse,
        );
    }
}

/// Those of the parts that fit into so many cells, in their order: from the end those go first that need not stand out.
fn fitting(mut parts: Vec<(String, bool)>, room: usize) -> Vec<(String, bool)> {
    let cells = |parts: &[(String, bool)]| -> usize {
        let widths = parts.iter().map(|(words, _)| fit::width(words));
        widths.sum()
    };
    while parts.len() > 1 && cells(&parts) > room {
        let quiet = parts.iter().rposition(|(_, is_loud)| !is_loud);
        parts.remove(quiet.unwrap_or(parts.len() - 1));
    }
    parts
}

/// The parts of the own state, most important first; true for what must stand out.
fn own_state(model: &Model) -> Vec<(String, bool)> {
    let Some(call) = model.taken_call() else {
        let name = model
            .profile
            .as_ref()
            .map(text::own_name)
            .unwrap_or_default();
        return vec![(format!(" {}", text::shown(&name)), false)];
    };
    if model.mode == Mode::Mirror {
        return vec![(format!(" {}", text::CAMERA_IS_ON), false)];
    }
    let mut parts = Vec::new();
    let gone = call.seat.levels.filter(|_| !call.is_held());
    let gone = gone.unwrap_or_default();
    if let Some(talk) = call.seat.talk {
        parts.push((format!(" {} ", text::on_air(talk, model.now_ms)), true));
    } else if call.own.mic_muted {
        parts.push((format!(" {} ", text::MUTED), true));
    } else if !gone.mic_gone {
        parts.push((format!(" {} ", text::MIC_ON), false));
    }
    if gone.mic_gone {
        parts.push((format!(" {} ", text::NO_MIC), true));
    }
    if gone.speaker_gone {
        parts.push((format!(" {} ", text::NO_SPEAKER), true));
    }
    if call.seat.is_deafened() {
        parts.push((format!(" {} ", text::DEAFENED), true));
    }
    if call.is_held() {
        parts.push((format!(" {} ", text::ON_HOLD), true));
    }
    for held in model.held_calls() {
        let words = text::held_beside(&text::shown(model.name_of_party(held.party)));
        parts.push((format!(" {words} "), false));
    }
    let camera = if call.own.camera_on {
        text::CAMERA_IS_ON
    } else {
        text::CAMERA_IS_OFF
    };
    parts.push((format!(" {camera} "), false));
    if call.own_screen {
        parts.push((format!(" {} ", text::SCREEN_IS_SHOWN), true));
    }
    // Last: what moves is read when there is room for it.
    if let Some(levels) = call.seat.levels.filter(|_| !call.is_held()) {
        parts.push((format!(" {}", text::mic_meter(levels)), false));
        parts.push((format!(" {}", text::speaker_meter(levels)), false));
    }
    parts
}

/// Draws the keys valid now.
pub(super) fn draw_keys(model: &Model, area: Rect, buffer: &mut Buffer) {
    let bold = model.paint(Role::Key).add_modifier(Modifier::BOLD);
    for (hint, place) in placed_hints(model, area) {
        let words = format!("{} {}", hint.key, hint.words);
        fit::put(buffer, place, 0, &words, Style::new());
        fit::put(buffer, place, 0, &hint.key, bold);
    }
}

/// Where each key of the bottom bar stands: whole entries only, the help before all others.
pub(super) fn placed_hints(model: &Model, area: Rect) -> Vec<(Hint, Rect)> {
    let mut hints = keymap::hints(model);
    let cells_of = |hint: &Hint| fit::width(&hint.key) + 1 + fit::width(hint.words);
    // One cell of air at the left, and no gap after the last entry.
    let mut room = (usize::from(area.width) + GAP).saturating_sub(1);
    // The help is the last entry, and the way to all that did not fit: its room is kept.
    let last = hints.pop_if(|last| cells_of(last) + GAP <= room);
    if let Some(last) = &last {
        room -= cells_of(last) + GAP;
    }
    let fitting = hints.into_iter().take_while(|hint| {
        let fits = cells_of(hint) + GAP <= room;
        room -= if fits { cells_of(hint) + GAP } else { 0 };
        fits
    });
    let mut column = area.x + 1;
    let shown: Vec<Hint> = fitting.collect();
    (shown.into_iter().chain(last))
        .map(|hint| {
            let width = u16::try_from(cells_of(&hint)).unwrap_or(u16::MAX);
            let place = Rect {
                x: column,
                width,
                ..area
            };
            column = column.saturating_add(width + GAP as u16);
            (hint, place.intersection(area))
        })
        .collect()
}

/// One line over the whole width.
fn bar(buffer: &mut Buffer, area: Rect, row: u16, words: &str, style: Style) {
    let cells = usize::from(area.width);
    let words = fit::clip(&text::shown(words), cells);
    let gap = cells.saturating_sub(fit::width(&words));
    fit::put(buffer, area, row, &format!("{words}{:gap$}", ""), style);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_about_what_was_done_is_no_failure() {
        let words = |is_warning| {
            message_words(&Message {
                text: "Not verified.".to_owned(),
                is_error: true,
                is_warning,
                stays: false,
                until_ms: 0,
                holds: Default::default(),
            })
        };
        assert_eq!(words(true), "Not verified.");
        assert_eq!(words(false), "Failed: Not verified.");
    }
}

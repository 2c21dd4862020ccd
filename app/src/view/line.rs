//! The screen that is too small for panes: what matters, in one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::bars::{self, message_words};
use super::{fit, layers, overlay};
use crate::event::{CallState, ContactId};
use crate::layers::{ContactMenu, MenuStep};
use crate::model::{Invite, Mode, Model, Overlay};
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
    if let Some(cursor) = draw_layer(model, area, buffer) {
        return cursor;
    }
    if model.incoming.is_none()
        && let Some(contact) = model.writing_to()
    {
        let field = model.drafts.of(contact).cloned().unwrap_or_default();
        let cursor = overlay::draw_field(&field, "> ", Rect { height: 1, ..area }, buffer);
        draw_message(model, area, buffer);
        return cursor;
    }
    let line = line(model, cells);
    fit::put(buffer, area, 0, &line, Style::new());
    if model.taken_call().is_some_and(|call| call.own.mic_muted) {
        invert(&line, text::MUTED, area, buffer);
    }
    if model.message.is_some() {
        draw_message(model, area, buffer);
    } else {
        let rest = below_first(area);
        fit::put_lines(
            buffer,
            rest,
            more(model, cells).iter().map(String::as_str),
            Style::new(),
        );
    }
    None
}

/// What is typed above all else, unless somebody rings: the palette with what fits, the filter, a new name.
fn draw_layer(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<Option<(u16, u16)>> {
    if model.incoming.is_some() {
        return None;
    }
    let first = Rect { height: 1, ..area };
    if let Some(open) = &model.layers.palette {
        let cursor = overlay::draw_field(&open.field, ": ", first, buffer);
        let rows = layers::palette_rows(model);
        let rows = rows.iter().map(String::as_str);
        for (line, row) in rows.zip(1..area.height) {
            fit::put(buffer, area, row, line, Style::new());
        }
        return Some(cursor);
    }
    let field = match (model.filter(), &model.overlay) {
        (Some(filter), _) if filter.is_typing => &filter.field,
        (
            _,
            Some(Overlay::Contact(ContactMenu {
                step: MenuStep::Rename(field),
                ..
            })),
        ) => field,
        _ => return None,
    };
    Some(overlay::draw_field(field, "> ", first, buffer))
}

fn below_first(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    }
}

fn draw_message(model: &Model, area: Rect, buffer: &mut Buffer) {
    if let Some(message) = &model.message {
        fit::put_lines(
            buffer,
            below_first(area),
            [message_words(message).as_str()],
            Style::new(),
        );
    }
}

/// The line: the wordiest form that fits, the name cut before anything else is given up.
fn line(model: &Model, cells: usize) -> String {
    /// A name cut shorter than this tells nobody who it is.
    const NAME_CELLS_MIN: usize = 3;
    let name = match (&model.incoming, &model.call) {
        (Some(incoming), _) => model.name_of_party(incoming.party),
        (None, Some(call)) => model.name_of_party(call.party),
        (None, None) => "",
    };
    let name = text::shown(name);
    let forms: Vec<_> = (forms(model).into_iter())
        .map(|(before, after)| (before, model.keymap.fill(&after)))
        .collect();
    for (before, after) in &forms {
        let room = cells.checked_sub(fit::width(before) + fit::width(after));
        if let Some(room) = room.filter(|room| *room >= fit::width(&name).min(NAME_CELLS_MIN)) {
            return format!("{before}{}{after}", fit::clip(&name, room));
        }
    }
    nameless(model)
        .into_iter()
        .map(|line| model.keymap.fill(&line))
        .find(|line| fit::width(line) <= cells)
        .unwrap_or_else(|| {
            if is_muted(model) {
                text::MUTED.to_owned()
            } else {
                String::new()
            }
        })
}

fn is_muted(model: &Model) -> bool {
    model.incoming.is_none() && model.taken_call().is_some_and(|call| call.own.mic_muted)
}

/// The news around the name, from wordy to short.
fn forms(model: &Model) -> Vec<(&'static str, String)> {
    if let Some(incoming) = &model.incoming {
        let trust = text::trust_after(text::trust(model, incoming.party));
        let kind = text::media_word(incoming.media);
        return vec![
            (
                "",
                format!("{trust} calls: {kind} [{{accept}}][{{decline}}]"),
            ),
            ("", format!("{trust}: {kind} [{{accept}}][{{decline}}]")),
            ("", format!(": {kind} [{{accept}}][{{decline}}]")),
        ];
    }
    let Some(call) = &model.call else {
        return Vec::new();
    };
    if !call.is_live() {
        return vec![("call with ", " ended".to_owned())];
    }
    if model.mode == Mode::Mirror {
        return Vec::new();
    }
    let (before, after) = text::call_state_around(call, model.now_ms);
    let clock = text::clock(call.connected_ms(model.now_ms));
    let muted = match (is_muted(model), call.is_held(), call.seat.is_deafened()) {
        (true, true, _) => " MUTED ON HOLD",
        (true, false, true) => " MUTED DEAFENED",
        (true, false, false) => " MUTED",
        (false, true, _) => " ON HOLD",
        (false, false, true) => " DEAFENED",
        (false, false, false) if call.seat.talk.is_some() => " ON AIR",
        (false, false, false) => "",
    };
    vec![
        (before, format!("{after}{muted} [{{mute}}][{{hang_up}}]")),
        ("", format!(" {clock}{muted} [{{mute}}][{{hang_up}}]")),
        ("", format!(" {clock}{muted}")),
    ]
}

/// What is left where no name fits, from wordy to short.
fn nameless(model: &Model) -> Vec<String> {
    if let Some(incoming) = &model.incoming {
        let kind = text::media_word(incoming.media);
        return vec![
            format!("{kind} call [{{accept}}][{{decline}}]"),
            format!("{kind} [{{accept}}][{{decline}}]"),
            kind.to_owned(),
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
    if !call.is_live() {
        return vec!["ended".to_owned()];
    }
    let clock = text::clock(call.connected_ms(model.now_ms));
    if model.mode == Mode::Mirror {
        vec![
            format!("{} [{{back}}]", text::mirror_state(call, model.now_ms)),
            format!("{clock} [{{back}}]"),
            clock,
        ]
    } else if is_muted(model) {
        vec![
            format!("{clock} {} [{{mute}}][{{hang_up}}]", text::MUTED),
            format!("{} [{{mute}}][{{hang_up}}]", text::MUTED),
        ]
    } else {
        vec![format!("{clock} [{{mute}}][{{hang_up}}]"), clock]
    }
}

/// What the rows below the line have room for.
fn more(model: &Model, cells: usize) -> Vec<String> {
    if let Some(incoming) = &model.incoming {
        let mut lines = bars::incoming_keys(model, incoming.media, cells);
        if incoming.shows_ip_warning {
            lines.push(text::IP_WARNING.to_owned());
        }
        return lines;
    }
    match (&model.overlay, &model.call) {
        (Some(Overlay::Invite(Invite { link: Some(_), .. })), _) => {
            vec![model.keymap.fill(text::INVITE_TOO_LONG)]
        }
        (Some(Overlay::Invite(_)), _) => vec![text::INVITE_MAKING.to_owned()],
        (Some(Overlay::Words(contact)), _) => words(model, *contact),
        (Some(Overlay::Help(_)), _) => vec![text::HELP_TOO_LONG.to_owned()],
        (
            Some(
                Overlay::Contact(_) | Overlay::Settings(_) | Overlay::Devices(_) | Overlay::Log(_),
            ),
            _,
        ) => {
            vec![text::LAYER_TOO_LONG.to_owned()]
        }
        (Some(Overlay::Stats), call) => (call.as_ref())
            .and_then(|call| Some(text::words_of(call, call.stats.as_deref()?)))
            .unwrap_or_else(|| vec![text::STATS_NONE.to_owned()]),
        (Some(Overlay::Add(_)), _) | (None, None) => Vec::new(),
        (None, Some(call)) => match &call.state {
            CallState::Ended { .. } => (text::ended_lines(call).iter())
                .map(|line| model.keymap.fill(line))
                .collect(),
            _ if model.mode == Mode::Mirror => vec![text::TOO_SMALL.to_owned()],
            _ => {
                let name = model.name_of_party(call.party);
                let warning = if call.shows_ip_warning && !call.is_connected() {
                    text::IP_WARNING
                } else {
                    ""
                };
                vec![
                    text::call_facts(call, name, text::trust(model, call.party)),
                    warning.to_owned(),
                ]
            }
        },
    }
}

/// Words to compare, as far as there is room; what they are for stands at the larger screen.
fn words(model: &Model, contact: ContactId) -> Vec<String> {
    let words = model
        .words
        .get(&contact)
        .and_then(|words| words.now.clone());
    vec![words.unwrap_or_else(|| text::WORDS_AWAITED.to_owned())]
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

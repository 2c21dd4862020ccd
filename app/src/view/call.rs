//! The right pane: the call with its pictures, or what to do when there is none.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::canvas::Canvas;
use super::{fit, grid, layout};
use crate::event::{CallState, Media, Party};
use crate::model::{Call, Mode, Model, Server};
use crate::text;

/// Draws the pane; returns where the cursor stands while somebody is sought in it.
pub(super) fn draw<'m>(
    model: &'m Model,
    area: Rect,
    is_wide: bool,
    buffer: &mut Canvas<'_, 'm>,
) -> Option<(u16, u16)> {
    let Some(call) = &model.call else {
        idle(model, area, buffer);
        return None;
    };
    draw_call(model, call, area, is_wide, buffer)
}

/// No call: the chosen contact, or the first steps.
fn idle(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    };
    let has_no_server = model
        .profile
        .as_ref()
        .is_some_and(|profile| !profile.has_server);
    let mut lines: Vec<String> = if let Some(group) = model.selected_group() {
        text::group_lines(model, group)
    } else if let Some(contact) = model.selected_contact() {
        text::contact_lines(model, contact, model.incoming.is_none())
    } else if has_no_server {
        text::NO_SERVER.map(str::to_owned).into()
    } else if model.contacts.is_some() {
        text::NO_CONTACTS.map(str::to_owned).into()
    } else {
        vec![text::LOADING.to_owned()]
    };
    let trouble = match &model.server {
        Server::Down(reason) => Some(text::server_down(reason)),
        Server::Stuck(reason) => Some(text::server_stuck(reason)),
        Server::Unknown | Server::Up => None,
    };
    if let Some(trouble) = trouble.filter(|_| !has_no_server) {
        lines.extend([String::new(), trouble, text::SERVER_RETRIED.to_owned()]);
    }
    let lines: Vec<String> = (lines.iter()).map(|line| model.keymap.fill(line)).collect();
    fit::put_lines(
        buffer,
        inner,
        lines.iter().map(String::as_str),
        Style::new(),
    );
}

fn draw_call<'m>(
    model: &'m Model,
    call: &'m Call,
    area: Rect,
    is_wide: bool,
    buffer: &mut Canvas<'_, 'm>,
) -> Option<(u16, u16)> {
    let name = model.name_of_party(call.party);
    let inner = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let is_mirror = model.mode == Mode::Mirror;
    let headline = if is_mirror {
        text::mirror_state(call, model.now_ms)
    } else {
        text::call_state(call, name, model.now_ms)
    };
    fit::put(buffer, inner, 0, &headline, bold);
    let below = layout::picture(area);
    if let CallState::Ended { .. } = &call.state {
        let below = Rect {
            x: inner.x,
            width: inner.width,
            ..below
        };
        let lines = text::ended_lines(call);
        let lines: Vec<String> = lines.iter().map(|line| model.keymap.fill(line)).collect();
        fit::put_lines(
            buffer,
            below,
            lines.iter().map(String::as_str),
            Style::new(),
        );
        return None;
    }
    let facts = if is_mirror {
        let figures = model.figures_line.clone();
        figures.unwrap_or_else(|| text::MIRROR_FACTS.to_owned())
    } else {
        match (&call.state, &call.step) {
            // What is done about the silence matters more than what is known of the other side.
            (CallState::Reconnecting, Some(step)) => text::sentence(step),
            _ => facts(model, call, below, usize::from(inner.width)),
        }
    };
    fit::put(buffer, inner, 1, &facts, Style::new());
    let is_group = matches!(call.party, Party::Group(_));
    if is_group && call.is_connected() && !call.is_held() {
        return grid::draw(model, call, below, buffer);
    }
    if call.is_connected() {
        draw_far(model, call, name, below, buffer);
    } else {
        draw_waiting(model, call, below, buffer);
    }
    if is_wide && call.own.camera_on && !call.is_held() {
        draw_preview(model, call, below, buffer);
    }
    None
}

/// From this height on a row of air stands before the warning.
const ROWS_WITH_AIR: u16 = 8;

/// What is being waited for, until sound flows.
fn draw_waiting(model: &Model, call: &Call, below: Rect, buffer: &mut Canvas<'_, '_>) {
    let warning = if call.shows_ip_warning {
        text::IP_WARNING
    } else {
        ""
    };
    let waiting = match &model.server {
        Server::Down(reason) if call.state == CallState::Inviting => text::server_down(reason),
        Server::Up if call.waits_long(model.now_ms) => {
            let name = text::shown(model.name_of_party(call.party));
            text::not_answered(&name)
        }
        _ => model.keymap.fill(text::waiting(call)),
    };
    let step = call
        .step
        .as_deref()
        .filter(|_| call.state == CallState::Connecting);
    let step = step.map(text::sentence);
    let mut lines = vec![waiting.as_str()];
    lines.extend(step.as_deref());
    // Where there is little room the warning comes before air.
    lines.extend((below.height >= ROWS_WITH_AIR).then_some(""));
    lines.push(warning);
    fit::put_centred(buffer, below, &lines, Style::new());
}

/// The line that says what kind of call it is and who is in it, and what this view leaves out: that whole, names cut.
fn facts(model: &Model, call: &Call, below: Rect, cells: usize) -> String {
    let name = model.name_of_party(call.party);
    let facts = text::call_facts(call, name, text::trust(model, call.party));
    if !call.is_of_a_group() || !call.is_connected() || call.is_held() {
        return facts;
    }
    let more = grid::facts(call, below);
    if more.is_empty() {
        return facts;
    }
    let room = cells.saturating_sub(fit::width(&more) + "; ".len());
    format!("{}; {more}", fit::clip(&text::shown(&facts), room))
}

fn draw_far<'m>(
    model: &'m Model,
    call: &'m Call,
    name: &str,
    area: Rect,
    buffer: &mut Canvas<'_, 'm>,
) {
    if call.is_held() {
        return fit::put_centred(buffer, area, &[text::ON_HOLD_HERE], Style::new());
    }
    if call.far.is_some_and(|far| far.on_hold) {
        return fit::put_centred(buffer, area, &[&text::far_on_hold(name)], Style::new());
    }
    if let Some(far) = call.shown_far_picture() {
        buffer.picture(far, area, model.look);
        if let Some(ms) = call.far_picture_still_ms(model.now_ms) {
            let is_paused = call.stats.as_ref().is_some_and(|stats| stats.far_paused);
            let words = format!(" {} ", text::picture_still(ms, is_paused));
            let bold = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
            fit::put(buffer, area, 0, &words, bold);
        }
        return;
    }
    let is_expected = call
        .far
        .map_or(call.media == Media::Video, |far| far.camera_on);
    let words = if is_expected {
        text::picture_awaited(name)
    } else if call.media == Media::Audio && !call.own.camera_on {
        model.keymap.fill(text::SOUND_ONLY)
    } else {
        text::far_camera_off(name)
    };
    fit::put_centred(buffer, area, &[&words], Style::new());
}

/// The own picture, small, with its label above it.
fn draw_preview<'m>(model: &'m Model, call: &'m Call, area: Rect, buffer: &mut Canvas<'_, 'm>) {
    let Some(own) = &call.own_picture else { return };
    let corner = layout::preview(area);
    if corner.height < 3 {
        return;
    }
    Clear.render(corner, buffer);
    fit::put(buffer, corner, 0, text::YOU, Style::new());
    let below = Rect {
        y: corner.y + 1,
        height: corner.height - 1,
        ..corner
    };
    buffer.picture(own, below, model.look);
}

//! Invitations and words to compare, over the main part.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::fit;
use super::look::ColourDepth;
use super::overlay::{below, inset};
use crate::event::ContactId;
use crate::model::{Invite, Model};
use crate::{qr, text};

/// Between a QR code and what stands beside it.
const GAP_CELLS: u16 = 2;

/// Draws an invitation over the whole width, its link without anything beside it, so that selecting it takes only it.
/// The link is shown whole or not at all: half of one is worth nothing.
pub(super) fn draw_invite(model: &Model, invite: &Invite, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(link) = &invite.link else {
        fit::put(buffer, inset(area), 0, text::INVITE_TITLE, bold);
        fit::put(buffer, inset(area), 2, text::INVITE_MAKING, Style::new());
        return;
    };
    if let Some((code, scanned)) = invite.code.as_ref().filter(|_| invite.is_qr_shown)
        && draw_qr(code, scanned, model.look.depth, area, buffer)
    {
        return;
    }
    let link = text::shown(link);
    let link_rows = fit::wrap(&link, usize::from(area.width)).len();
    let words = fit::wrap(text::INVITE_READY, usize::from(inset(area).width));
    let mut rest = area;
    if link_rows > usize::from(area.height) {
        let words = model.keymap.fill(text::INVITE_TOO_LONG);
        let used = fit::put_lines(buffer, inset(area), [words.as_str()], Style::new());
        return draw_code(invite, inset(below(area, used + 1)), buffer);
    }
    if link_rows + words.len() + 3 <= usize::from(area.height) {
        fit::put(buffer, inset(area), 0, text::INVITE_TITLE, bold);
        rest = below(area, 2);
        let used = fit::put_lines(
            buffer,
            inset(rest),
            words.iter().map(String::as_str),
            Style::new(),
        );
        rest = below(rest, used + 1);
    }
    let used = fit::put_lines(buffer, rest, [link.as_str()], bold);
    rest = below(rest, used + 1);
    let words = model.keymap.fill(text::INVITE_COPY);
    let used = fit::put_lines(buffer, inset(rest), [words.as_str()], Style::new());
    draw_code(invite, inset(below(rest, used + 1)), buffer);
}

/// The code to say aloud, or why it no longer stands.
fn draw_code(invite: &Invite, area: Rect, buffer: &mut Buffer) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match (&invite.code, &invite.ended) {
        (Some((code, _)), _) => {
            let used = fit::put_lines(buffer, area, [text::INVITE_SAY], Style::new());
            fit::put(buffer, below(area, used), 0, &format!("  {code}"), bold);
        }
        (None, Some(ended)) => {
            fit::put_lines(buffer, area, [ended.as_str()], Style::new());
        }
        (None, None) => {}
    }
}

/// Draws the code for a camera, with its words beside or nothing; false where it does not fit.
fn draw_qr(code: &str, scanned: &str, depth: ColourDepth, area: Rect, buffer: &mut Buffer) -> bool {
    let Some(lines) = qr::half_blocks(scanned) else {
        return false;
    };
    let width = lines.first().map_or(0, |line| fit::width(line));
    let width = u16::try_from(width).unwrap_or(u16::MAX);
    if width > area.width || lines.len() > usize::from(area.height) {
        return false;
    }
    // Filled cells are the light ones: on a light ground only colours make them light.
    let style = if depth == ColourDepth::None {
        Style::new()
    } else {
        Style::new().fg(Color::White).bg(Color::Black)
    };
    for (line, row) in lines.iter().zip(0..) {
        fit::put(buffer, Rect { width, ..area }, row, line, style);
    }
    let beside = Rect {
        x: area.x + width + GAP_CELLS.min(area.width - width),
        width: area.width.saturating_sub(width + GAP_CELLS),
        ..area
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let used = fit::put_lines(
        buffer,
        beside,
        [text::INVITE_SCAN, "", text::INVITE_SAY],
        Style::new(),
    );
    fit::put_lines(buffer, below(beside, used), [code], bold);
    true
}

/// Draws the words to compare with a contact.
pub(super) fn draw_words(model: &Model, contact: ContactId, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = format!("{}{}", text::WORDS_TITLE, model.name_of(contact));
    let area = inset(area);
    fit::put(buffer, area, 0, &title, bold);
    let mut rest = below(area, 2);
    let words = model.words.get(&contact).cloned().unwrap_or_default();
    let mut put = |line: &str, style: Style| {
        let used = fit::put_lines(buffer, rest, [line], style);
        rest = below(rest, used);
    };
    match &words.now {
        Some(now) => {
            put(text::WORDS_NOW, Style::new());
            put(&format!("  {now}"), bold);
        }
        None => put(text::WORDS_AWAITED, Style::new()),
    }
    if let Some(safety) = &words.safety {
        put("", Style::new());
        put(text::WORDS_SAFETY, Style::new());
        put(safety, bold);
    }
    put("", Style::new());
    put(&model.keymap.fill(text::WORDS_ASK), Style::new());
}

//! Where everything stands. Depends on the size and on what there is to show, never on what was shown before.

use ratatui::layout::Rect;

use super::fit;
use crate::model::{Mode, Model};
use crate::text;

/// Smallest screen with panes; below it there is one line.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 10;
/// Below this width there is one pane at a time and no own preview.
const COLUMNS_WIDE: u16 = 60;
/// From this width on the list of people in a call has room beside the contacts.
const COLUMNS_ROSTER_BESIDE: u16 = 120;
/// Most rows a sentence at the bottom may cover.
const MESSAGE_ROWS_MAX: u16 = 4;

/// The parts of a screen large enough for panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panes {
    /// The ringing call, over everything.
    pub(super) banner: Option<Rect>,
    /// The list of contacts.
    pub(super) contacts: Option<Rect>,
    /// The call, or what the chosen contact or the empty program says.
    pub(super) call: Option<Rect>,
    /// Both of these together.
    pub(super) main: Rect,
    /// The sentence at the bottom, over the main part.
    pub(super) message: Option<Rect>,
    /// Own state.
    pub(super) status: Rect,
    /// Keys.
    pub(super) keys: Rect,
    /// Room for the own preview.
    pub(super) is_wide: bool,
}

/// The parts of this screen, or `None` where only one line fits.
pub(super) fn panes(model: &Model, area: Rect) -> Option<Panes> {
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        return None;
    }
    let is_wide = area.width >= COLUMNS_WIDE;
    let row = |from_bottom: u16| Rect {
        y: area.bottom() - from_bottom,
        height: 1,
        ..area
    };
    let mut main = Rect {
        height: area.height - 2,
        ..area
    };
    let banner = model.incoming.as_ref().map(|_| {
        let lines = super::banner_lines(model, area.width);
        Rect {
            height: (u16::try_from(lines.len()).unwrap_or(u16::MAX)).min(main.height),
            ..main
        }
    });
    // During a call the banner covers the picture's top: the picture's size, which the far side is told, stays.
    if let (Some(banner), None) = (banner, model.taken_call()) {
        main.y += banner.height;
        main.height -= banner.height;
    }
    let (contacts, call) = split(model, main, is_wide);
    let message = model.message.as_ref().map(|message| {
        let lines = fit::wrap(
            &text::shown(&super::message_words(message)),
            usize::from(area.width),
        );
        let height = u16::try_from(lines.len())
            .unwrap_or(u16::MAX)
            .min(MESSAGE_ROWS_MAX)
            .min(area.height - 2);
        Rect {
            y: area.bottom() - 2 - height,
            height,
            ..area
        }
    });
    Some(Panes {
        banner,
        contacts,
        call,
        main,
        message,
        status: row(2),
        keys: row(1),
        is_wide,
    })
}

/// Where a sentence stands that must not cover the row in which something is typed: above it, where there is room.
pub(super) fn beside_field(message: Rect, cursor: Option<(u16, u16)>) -> Rect {
    let rows = message.y..message.bottom();
    match cursor {
        Some((_, row)) if rows.contains(&row) && row >= message.height => Rect {
            y: row - message.height,
            ..message
        },
        Some((_, row)) if rows.contains(&row) => Rect {
            y: row + 1,
            height: message.bottom() - row - 1,
            ..message
        },
        _ => message,
    }
}

/// Contacts and call side by side, or the one that matters now.
fn split(model: &Model, main: Rect, is_wide: bool) -> (Option<Rect>, Option<Rect>) {
    let has_contacts = !model.contacts().is_empty();
    if model.mode == Mode::Mirror {
        return (None, Some(main));
    }
    if !is_wide {
        let is_call = model.call.is_some() || !has_contacts || model.writing_to().is_some();
        return if is_call {
            (None, Some(main))
        } else {
            (Some(main), None)
        };
    }
    // A line for each person with everything about it needs the width.
    let has_roster = (model.taken_call()).is_some_and(|call| call.seat.is_roster_open);
    if has_roster && main.width < COLUMNS_ROSTER_BESIDE {
        return (None, Some(main));
    }
    // Room for a short name and the word `unverified`, and on wide screens for longer names.
    let width = (main.width * 3 / 10).clamp(24, 36);
    let contacts = Rect { width, ..main };
    let call = Rect {
        x: main.x + width + 1,
        width: main.width - width - 1,
        ..main
    };
    (Some(contacts), Some(call))
}

/// The part of the call's pane below its two lines of words.
pub(super) fn picture(pane: Rect) -> Rect {
    let words = pane.height.min(2);
    Rect {
        y: pane.y + words,
        height: pane.height - words,
        ..pane
    }
}

/// The corner for the own preview, with a row for its label.
pub(super) fn preview(picture: Rect) -> Rect {
    let width = (picture.width / 4).clamp(10, 24).min(picture.width);
    let height = (width * 9)
        .div_ceil(32)
        .saturating_add(1)
        .min(picture.height);
    Rect {
        x: picture.right() - width,
        y: picture.bottom() - height,
        width,
        height,
    }
}

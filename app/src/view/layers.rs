//! What is laid over the main part beside help and invitations: palette, menu of a contact, settings, log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::fit;
use super::overlay::{below, draw_field, inset};
use super::theme::Role;
use crate::devices::DeviceMenu;
use crate::layers::{ContactMenu, MenuStep, PaletteDeed, PaletteLine};
use crate::model::{Model, Overlay};
use crate::text;
use crate::update::palette;
use crate::update::settings::{ITEMS, Source, value};

/// Cells for the keys of a line in the palette.
const KEY_CELLS: usize = 9;
/// Cells for the name of a setting, and for its value where there is room for its source.
const NAME_CELLS: usize = 24;
const VALUE_CELLS: usize = 22;
/// Width from which a setting's source stands in its line.
const WIDE: u16 = 60;

/// Draws the palette over the whole main part; returns where the cursor stands.
pub(super) fn draw_palette(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let open = model.layers.palette.as_ref()?;
    Clear.render(area, buffer);
    let inner = inset(area);
    let cursor = draw_field(&open.field, ": ", Rect { height: 1, ..inner }, buffer);
    let lines: Vec<String> = palette::lines(model).iter().map(palette_line).collect();
    if lines.is_empty() {
        fit::put(
            buffer,
            below(inner, 2),
            0,
            text::PALETTE_NOTHING,
            Style::new(),
        );
    }
    draw_list(&lines, open.chosen, below(inner, 1), buffer);
    cursor
}

/// The same as single lines for the screen without panes: what Enter would do.
pub(super) fn palette_rows(model: &Model) -> Vec<String> {
    let chosen = model.layers.palette.as_ref().map_or(0, |open| open.chosen);
    let lines = palette::lines(model);
    let first = chosen.min(lines.len().saturating_sub(1));
    lines[first..].iter().map(palette_line).collect()
}

fn palette_line(line: &PaletteLine) -> String {
    let name = match &line.does {
        PaletteDeed::Action(action) => format!("  ({})", action.name()),
        PaletteDeed::Command(_) => String::new(),
    };
    format!("{:KEY_CELLS$}{}{name}", line.keys, line.words)
}

/// Draws lines with one chosen, scrolled so that it is seen.
fn draw_list(lines: &[String], chosen: usize, area: Rect, buffer: &mut Buffer) {
    let chosen = chosen.min(lines.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(usize::from(area.height));
    for ((at, line), row) in lines.iter().enumerate().skip(first).zip(0..area.height) {
        let (mark, style) = super::contacts::mark(at == chosen);
        let cells = usize::from(area.width).saturating_sub(mark.len());
        let line = fit::clip(&text::shown(line), cells);
        let gap = cells.saturating_sub(fit::width(&line));
        fit::put(
            buffer,
            area,
            row,
            &format!("{mark}{line}{:gap$}", ""),
            style,
        );
    }
}

/// Draws what can be done about a contact; returns where the cursor stands.
pub(super) fn draw_menu(
    model: &Model,
    menu: &ContactMenu,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    Clear.render(area, buffer);
    let inner = inset(area);
    let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
    let contact = model.contact(menu.contact)?;
    let title = format!("{}  {}", contact.name, contact.short_id);
    fit::put(buffer, inner, 0, &title, bold);
    let rest = below(inner, 2);
    match &menu.step {
        MenuStep::Choose => {
            let lines = ContactMenu::lines(contact);
            let lines: Vec<String> = (lines.iter())
                .map(|line| text::menu_line(*line, &contact.name))
                .collect();
            draw_list(&lines, menu.chosen, rest, buffer);
            None
        }
        MenuStep::Rename(field) => {
            let words = model.keymap.fill(text::RENAME_ASK);
            let used = fit::put_lines(buffer, rest, [words.as_str()], Style::new());
            draw_field(field, "> ", below(rest, used + 1), buffer)
        }
        MenuStep::Remove => {
            let words = model.keymap.fill(&text::remove_ask(&contact.name));
            fit::put_lines(buffer, rest, [words.as_str()], Style::new());
            None
        }
    }
}

/// Draws the settings.
pub(super) fn draw_settings(model: &Model, chosen: usize, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let inner = inset(area);
    let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
    fit::put(buffer, inner, 0, text::SETTINGS_TITLE, bold);
    let chosen = chosen.min(ITEMS.len() - 1);
    let about = about(model, chosen, inner.width);
    let about_rows = u16::try_from(about.len()).unwrap_or(1) + 1;
    let list = settings_list(inner, about_rows);
    let lines: Vec<String> = (ITEMS.iter())
        .map(|item| {
            let (now, source) = value(model, *item);
            let name = text::setting(*item);
            if area.width < WIDE {
                format!("{name:NAME_CELLS$.NAME_CELLS$} {now}")
            } else if matches!(source, Source::Default) && now.starts_with(text::DEVICE_DEFAULT) {
                // It says so itself.
                format!("{name:NAME_CELLS$} {now}")
            } else if item.has_source() {
                format!(
                    "{name:NAME_CELLS$} {now:VALUE_CELLS$} {}",
                    text::source(source)
                )
            } else {
                format!("{name:NAME_CELLS$} {now}")
            }
        })
        .collect();
    draw_list(&lines, chosen, list, buffer);
    let foot = Rect {
        y: list.bottom() + 1,
        height: area.bottom().saturating_sub(list.bottom() + 1),
        ..inner
    };
    fit::put_lines(buffer, foot, about.iter().map(String::as_str), Style::new());
}

fn settings_list(inner: Rect, about_rows: u16) -> Rect {
    let list = below(inner, 1);
    Rect {
        height: list.height.saturating_sub(about_rows),
        ..list
    }
}

/// Where the lines of what lies on top stand in `area`, the first that is seen, and how many there are.
pub(super) fn lines_place(model: &Model, area: Rect) -> Option<(Rect, usize, usize)> {
    let inner = inset(area);
    let first = |place: Rect, chosen: usize, count: usize| {
        let chosen = chosen.min(count.saturating_sub(1));
        (chosen + 1).saturating_sub(usize::from(place.height))
    };
    if let Some(open) = &model.layers.palette {
        let (place, count) = (below(inner, 1), palette::lines(model).len());
        return Some((place, first(place, open.chosen, count), count));
    }
    match &model.overlay {
        Some(Overlay::Contact(menu)) if menu.step == MenuStep::Choose => {
            let contact = model.contact(menu.contact)?;
            let count = ContactMenu::lines(contact).len();
            Some((below(inner, 2), 0, count))
        }
        Some(Overlay::Settings(chosen)) => {
            let about = about(model, *chosen, inner.width);
            let place = settings_list(inner, u16::try_from(about.len()).unwrap_or(1) + 1);
            Some((place, first(place, *chosen, ITEMS.len()), ITEMS.len()))
        }
        Some(Overlay::Devices(menu)) => {
            let (place, count) = (below(inner, 2), menu.lines().len());
            Some((place, first(place, menu.chosen, count), count))
        }
        _ => None,
    }
}

/// Draws the devices of a kind, to choose one.
pub(super) fn draw_devices(model: &Model, menu: &DeviceMenu, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let inner = inset(area);
    let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
    fit::put(buffer, inner, 0, text::devices_title(menu.kind), bold);
    let words = text::devices_words(menu.kind, menu.names.as_deref());
    fit::put(buffer, inner, 1, words, Style::new());
    let lines: Vec<String> = (menu.lines().iter())
        .map(|line| text::shown(&text::device_line(menu.kind, line)))
        .collect();
    let chosen = menu.chosen.min(lines.len() - 1);
    draw_list(&lines, chosen, below(inner, 2), buffer);
}

/// What the chosen setting is for, in lines of this width.
fn about(model: &Model, chosen: usize, width: u16) -> Vec<String> {
    let item = ITEMS[chosen.min(ITEMS.len() - 1)];
    let words = model.keymap.fill(&text::about_setting(item));
    fit::wrap(&words, usize::from(width))
}

/// The log in lines of this width: a failure is worth reading to its end.
fn log_lines(model: &Model, width: u16) -> Vec<String> {
    let log = model.layers.log.iter();
    log.flat_map(|line| fit::wrap(&text::shown(line), usize::from(width)))
        .collect()
}

/// How far the log can be scrolled back on this screen, in rows.
pub(crate) fn log_scroll_max(model: &Model) -> u16 {
    /// The bars and the title.
    const OTHER_ROWS: u16 = 3;
    let (columns, rows) = model.size.unwrap_or((0, 0));
    let lines = log_lines(model, columns.saturating_sub(2)).len();
    let lines = u16::try_from(lines).unwrap_or(u16::MAX);
    lines.saturating_sub(rows.saturating_sub(OTHER_ROWS))
}

/// Draws the log, newest at the bottom, `back` lines back.
pub(super) fn draw_log(model: &Model, back: u16, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let inner = inset(area);
    let bold = model.paint(Role::Title).add_modifier(Modifier::BOLD);
    let title = text::log_title(&model.layers.setup);
    fit::put(buffer, inner, 0, &title, bold);
    let rest = below(inner, 1);
    let log = log_lines(model, rest.width);
    if log.is_empty() {
        fit::put(buffer, rest, 0, text::LOG_EMPTY, Style::new());
    }
    let rows = usize::from(rest.height);
    let back = usize::from(back).min(log.len().saturating_sub(rows));
    let end = log.len() - back;
    let shown = &log[end.saturating_sub(rows)..end];
    for (line, row) in shown.iter().zip(0..rest.height) {
        fit::put(buffer, rest, row, line, Style::new());
    }
}

//! The command palette and the filter of the lists.

use crossterm::event::{KeyCode, KeyEvent};
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

use super::{command, say};
use crate::effect::Effect;
use crate::event::SoundPart;
use crate::keymap::{self, Action};
use crate::layers::{Filter, Palette, PaletteDeed, PaletteLine};
use crate::model::Model;
use crate::text;
use crate::update::field::Field;

/// Opens the palette.
pub(super) fn open(model: &mut Model) {
    model.layers.palette = Some(Palette {
        field: Field::for_words(),
        chosen: 0,
    });
}

/// What fits what was typed, best first. Only what would do something now, and whole commands.
#[must_use]
pub fn lines(model: &Model) -> Vec<PaletteLine> {
    let Some(palette) = &model.layers.palette else {
        return Vec::new();
    };
    let typed = palette.field.text().trim();
    let lines = model.keymap.rows().iter().filter_map(|row| {
        let is_listed = !matches!(
            row.action,
            Action::Palette | Action::Up | Action::Down | Action::Close
        );
        (is_listed && keymap::is_valid(model, row.action)).then(|| PaletteLine {
            does: PaletteDeed::Action(row.action),
            keys: row.names(),
            words: text::help(row.action).to_owned(),
        })
    });
    let lines = lines.chain(SoundPart::ALL.map(|part| sound_line(model, part)));
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::new(
        typed,
        CaseMatching::Ignore,
        Normalization::Smart,
        AtomKind::Fuzzy,
    );
    let searched = lines.map(Searched::of);
    let mut lines: Vec<PaletteLine> = pattern
        .match_list(searched, &mut matcher)
        .into_iter()
        .map(|(searched, _)| searched.line)
        .collect();
    if crate::command::parse(typed).is_ok() {
        lines.push(PaletteLine {
            does: PaletteDeed::Command(typed.to_owned()),
            keys: String::new(),
            words: text::palette_command(typed),
        });
    }
    lines
}

/// What is done to the sound of the microphone has no key of its own.
fn sound_line(model: &Model, part: SoundPart) -> PaletteLine {
    PaletteLine {
        does: PaletteDeed::Command(format!("{} toggle", part.word())),
        keys: String::new(),
        words: text::switch_sound_part(part, model.is_processed(part)),
    }
}

/// A line with the text in which is looked.
struct Searched {
    line: PaletteLine,
    text: String,
}

impl Searched {
    fn of(line: PaletteLine) -> Self {
        let name = match &line.does {
            PaletteDeed::Action(action) => action.name().replace('_', " "),
            PaletteDeed::Command(command) => command.clone(),
        };
        let text = format!("{name} {}", line.words);
        Self { line, text }
    }
}

impl AsRef<str> for Searched {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// What a key means while the palette or the filter has the keys.
pub(super) fn act(
    model: &mut Model,
    action: Action,
    effects: &mut Vec<Effect>,
) -> Option<Result<Then, String>> {
    if model.layers.palette.is_some() {
        return match action {
            Action::Confirm => Some(run(model, effects)),
            Action::Close | Action::Palette => {
                model.layers.palette = None;
                Some(Ok(Then::Nothing))
            }
            Action::Up | Action::Down => {
                step(model, action == Action::Down);
                Some(Ok(Then::Nothing))
            }
            Action::PageUp | Action::PageDown => Some(Ok(Then::Nothing)),
            _ => None,
        };
    }
    // What is typed below, or lies on top, is closed before a filter that stays.
    let is_next = model.overlay.is_none() && model.writing_to().is_none();
    let filter = model.filter_mut()?;
    match action {
        Action::Close if filter.is_typing || is_next => {
            model.drop_filter();
            Some(Ok(Then::Nothing))
        }
        Action::Confirm if filter.is_typing => {
            filter.is_typing = false;
            if filter.sought().is_none() {
                model.drop_filter();
            }
            Some(Ok(Then::Nothing))
        }
        _ => None,
    }
}

/// What is left to be done after the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// This, as if its key had been pressed.
    Do(Action),
}

fn run(model: &mut Model, effects: &mut Vec<Effect>) -> Result<Then, String> {
    let lines = lines(model);
    let open = model.layers.palette.as_ref();
    let chosen = open.map_or(0, |open| open.chosen);
    // The first line of all is nobody's choice: a slip must not take a call.
    if chosen == 0 && open.is_some_and(|open| open.field.text().trim().is_empty()) {
        return Err(text::PALETTE_CHOOSE.to_owned());
    }
    let Some(line) = lines.get(chosen.min(lines.len().saturating_sub(1))) else {
        return Err(text::PALETTE_NOTHING.to_owned());
    };
    model.layers.palette = None;
    match &line.does {
        PaletteDeed::Action(action) => Ok(Then::Do(*action)),
        PaletteDeed::Command(line) => {
            command::run(model, crate::command::parse(line)?, effects);
            Ok(Then::Nothing)
        }
    }
}

fn step(model: &mut Model, is_down: bool) {
    let last = lines(model).len().saturating_sub(1);
    if let Some(palette) = &mut model.layers.palette {
        let chosen = palette.chosen.min(last);
        palette.chosen = if is_down {
            (chosen + 1).min(last)
        } else {
            chosen.saturating_sub(1)
        };
    }
}

/// Opens the filter of the list of people or of the lists, or goes on typing in it.
pub(super) fn open_filter(model: &mut Model) {
    let of_people = model.roster().is_some();
    let place = match model.live_call_mut().filter(|_| of_people) {
        Some(call) => &mut call.seat.filter,
        None => &mut model.layers.filter,
    };
    place.get_or_insert_with(Filter::begun).is_typing = true;
}

/// A key that is text for the palette or the filter; false where neither has the keys.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> bool {
    if let Some(palette) = &mut model.layers.palette {
        // A line that was emptied and is deleted once more is closed, as in other programs.
        if key.code == KeyCode::Backspace && palette.field.text().is_empty() {
            model.layers.palette = None;
            return true;
        }
        palette.field.press(key);
        palette.chosen = 0;
        return true;
    }
    let filter = model.filter_mut();
    let Some(filter) = filter.filter(|filter| filter.is_typing) else {
        return false;
    };
    filter.field.press(key);
    choose_listed(model);
    true
}

/// Pasted text for the palette or the filter; false where neither has the keys. It never runs.
pub(super) fn paste(model: &mut Model, pasted: &str) -> bool {
    let typing = if model.layers.palette.is_some() {
        model.layers.palette.as_mut().map(|open| &mut open.field)
    } else {
        let typed = model.filter_mut().filter(|filter| filter.is_typing);
        typed.map(|filter| &mut filter.field)
    };
    let Some(field) = typing else { return false };
    if !field.insert(pasted) {
        say(model, text::LINK_TOO_LONG);
    }
    choose_listed(model);
    true
}

/// What is chosen is among what is listed, where anything is.
fn choose_listed(model: &mut Model) {
    if model.roster().is_some() {
        return super::call::seat::choose_listed(model);
    }
    let is_listed = match model.selected_group {
        Some(number) => model.listed_groups().any(|group| group.number == number.0),
        None => (model.listed_contacts()).any(|contact| Some(contact.id) == model.selected),
    };
    if is_listed {
        return;
    }
    let contact = model.listed_contacts().next().map(|contact| contact.id);
    let group = model.listed_groups().next();
    let group = group.map(|group| crate::event::GroupNumber(group.number));
    if contact.is_some() {
        model.selected = contact;
        model.selected_group = None;
    } else if group.is_some() {
        model.selected_group = group;
    }
}

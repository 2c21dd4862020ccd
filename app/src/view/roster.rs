//! The list of people in the call of a group: a line for each, everything in words, the chosen one told in a sentence.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{fit, overlay};
use crate::model::{Call, Model};
use crate::participant::Participant;
use crate::text;

/// Rows for the sentence about the chosen one.
const DETAIL_ROWS: u16 = 2;
/// Below this height every row is for people.
const DETAIL_FROM_ROWS: u16 = 6;
/// Cells in front of a name: chosen, and heard.
const MARKS: usize = 4;
/// A name cut shorter tells nobody who it is; longer than the other, it only pushes the words away.
const NAME_CELLS: std::ops::RangeInclusive<usize> = 8..=24;

/// Words of a line, and what each column costs.
struct Columns {
    name: usize,
    shows: bool,
    trust: bool,
    role: bool,
    volume: bool,
    quality: Quality,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quality {
    No,
    Word,
    Figures,
}

const SOUND_CELLS: usize = 8;
const SHOWS_CELLS: usize = 11;
const TRUST_CELLS: usize = 11;
const ROLE_CELLS: usize = 8;
const VOLUME_CELLS: usize = 9;
const WORD_CELLS: usize = 4;
const FIGURES_CELLS: usize = 18;

/// Rows that the whole list takes, at most those there are.
pub(super) fn rows(call: &Call, available: u16) -> u16 {
    // While somebody is sought the pictures below stay where they are.
    let people = u16::try_from(call.people_count()).unwrap_or(u16::MAX);
    (people.saturating_add(detail_rows(available) + filter_rows(call))).min(available)
}

/// The row of the filter, while there is one.
fn filter_rows(call: &Call) -> u16 {
    u16::from(call.seat.filter.is_some())
}

/// Those who stand in the list: ourselves first (`None`), where nobody is sought.
fn listed(call: &Call) -> impl Iterator<Item = Option<&Participant>> {
    let is_sought = (call.seat.filter.as_ref()).is_some_and(|filter| filter.sought().is_some());
    let own = (!is_sought).then_some(None);
    let people = call.people.iter();
    let people = people.filter(|person| call.seat.lists(&person.name));
    own.into_iter().chain(people.map(Some))
}

/// The part of the area for the people, below the filter.
fn below_filter(call: &Call, area: Rect) -> Rect {
    overlay::below(area, filter_rows(call))
}

fn detail_rows(height: u16) -> u16 {
    if height < DETAIL_FROM_ROWS {
        0
    } else {
        DETAIL_ROWS
    }
}

/// Which lines are shown of how many, counted from 1; `None` where all are.
pub(super) fn cut(call: &Call, area: Rect) -> Option<(usize, usize, usize)> {
    let (first, rows) = window(call, below_filter(call, area));
    let all = listed(call).count();
    (rows < all).then_some((first + 1, first + rows, all))
}

/// The first line shown and how many are. The chosen one is in the middle as far as that is possible.
fn window(call: &Call, area: Rect) -> (usize, usize) {
    let rows = usize::from(area.height - detail_rows(area.height));
    let all = listed(call).count();
    let is_chosen = |person: Option<&Participant>| {
        person.is_some_and(|person| Some(person.id) == call.seat.selected)
    };
    let chosen = listed(call).position(is_chosen).unwrap_or(0);
    let first = chosen
        .saturating_sub(rows / 2)
        .min(all.saturating_sub(rows));
    (first, rows.min(all))
}

/// Draws the list; returns where the cursor stands while a filter is typed.
pub(super) fn draw(
    model: &Model,
    call: &Call,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    let cursor = draw_filter(call, area, buffer);
    let area = below_filter(call, area);
    draw_lines(model, call, area, buffer);
    cursor
}

/// What is sought, in the first row.
fn draw_filter(call: &Call, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let filter = call.seat.filter.as_ref()?;
    let row = Rect {
        height: area.height.min(1),
        ..area
    };
    if filter.is_typing {
        return overlay::draw_field(&filter.field, "/", row, buffer);
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    fit::put(buffer, row, 0, &format!("/{}", filter.field.text()), bold);
    None
}

fn draw_lines(model: &Model, call: &Call, area: Rect, buffer: &mut Buffer) {
    let columns = columns(model, call, usize::from(area.width));
    let (first, rows) = window(call, area);
    if rows == 0 {
        fit::put(buffer, area, 0, text::NOBODY_LISTED, Style::new());
    }
    for (person, row) in listed(call).skip(first).take(rows).zip(0..) {
        let is_chosen = person.is_some_and(|person| Some(person.id) == call.seat.selected);
        let line = match person {
            Some(person) => line(model, call, person, is_chosen, &columns),
            None => own_line(call, &columns),
        };
        let style = if is_chosen {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        };
        fit::put(buffer, area, row, &line, style);
    }
    let mut chosen = listed(call).flatten();
    if detail_rows(area.height) > 0
        && let Some(person) = chosen.find(|person| Some(person.id) == call.seat.selected)
    {
        let below = Rect {
            y: area.y + u16::try_from(rows).unwrap_or(u16::MAX).min(area.height),
            height: DETAIL_ROWS.min(area.height),
            ..area
        };
        let sentence = text::person_sentence(model, call, person);
        fit::put_lines(
            buffer,
            below.intersection(area),
            [sentence.as_str()],
            Style::new(),
        );
    }
}

/// Which columns fit, the most important first; names get what is left.
fn columns(model: &Model, call: &Call, cells: usize) -> Columns {
    let mut room = cells.saturating_sub(MARKS + NAME_CELLS.start() + SOUND_CELLS);
    let mut take = |cells: usize, is_of_use: bool| {
        let fits = is_of_use && cells <= room;
        room -= if fits { cells } else { 0 };
        fits
    };
    let people = &call.people;
    let is_loud =
        |person: &Participant| !text::volume_word(call.seat.volume(&person.name)).is_empty();
    let has_role = |person: &Participant| !text::role_word(model, call.party, person).is_empty();
    let trust = take(TRUST_CELLS, true);
    let mut quality = if take(WORD_CELLS, true) {
        Quality::Word
    } else {
        Quality::No
    };
    let shows = take(SHOWS_CELLS, true);
    let volume = take(VOLUME_CELLS, people.iter().any(is_loud));
    if quality == Quality::Word && take(FIGURES_CELLS - WORD_CELLS, true) {
        quality = Quality::Figures;
    }
    let role = take(ROLE_CELLS, people.iter().any(has_role));
    let name = (NAME_CELLS.start() + room).min(*NAME_CELLS.end());
    Columns {
        name,
        shows,
        trust,
        role,
        volume,
        quality,
    }
}

fn line(
    model: &Model,
    call: &Call,
    person: &Participant,
    is_chosen: bool,
    columns: &Columns,
) -> String {
    let quality = match (columns.quality, person.quality.figures()) {
        (Quality::Figures, _) => text::quality_figures(person),
        (Quality::Word, Some(figures)) => text::grade_word(figures.grade).to_owned(),
        _ => String::new(),
    };
    let words = Words {
        marks: (is_chosen, person.speaks()),
        name: text::shown(&person.name),
        sound: text::sound_word(person),
        shows: text::shows_words(person.switches.camera_on, person.shows_screen),
        trust: text::trust_word(model, call.party, &person.name),
        role: text::role_word(model, call.party, person),
        volume: text::volume_word(call.seat.volume(&person.name)),
        quality,
    };
    words.line(columns)
}

fn own_line(call: &Call, columns: &Columns) -> String {
    let quality = text::own_quality(call);
    let quality = match columns.quality {
        Quality::Figures => quality,
        Quality::Word => quality.split(' ').next().unwrap_or_default().to_owned(),
        Quality::No => String::new(),
    };
    let words = Words {
        marks: (false, false),
        name: text::YOU.to_owned(),
        sound: text::own_sound_word(call),
        shows: text::shows_words(call.own.camera_on, call.own_screen),
        trust: "",
        role: "",
        volume: String::new(),
        quality,
    };
    words.line(columns)
}

struct Words {
    marks: (bool, bool),
    name: String,
    sound: &'static str,
    shows: &'static str,
    trust: &'static str,
    role: &'static str,
    volume: String,
    quality: String,
}

impl Words {
    fn line(&self, columns: &Columns) -> String {
        let (is_chosen, is_heard) = self.marks;
        let mut line = String::new();
        line.push_str(if is_chosen { "> " } else { "  " });
        line.push_str(if is_heard { "* " } else { "  " });
        // A cell between each two columns; the last one needs none.
        push(&mut line, &self.name, columns.name);
        push(&mut line, self.sound, SOUND_CELLS);
        for (word, cells, is_there) in [
            (self.shows, SHOWS_CELLS, columns.shows),
            (self.trust, TRUST_CELLS, columns.trust),
            (self.role, ROLE_CELLS, columns.role),
            (self.volume.as_str(), VOLUME_CELLS, columns.volume),
        ] {
            if is_there {
                push(&mut line, word, cells);
            }
        }
        line.push_str(&self.quality);
        line.trim_end().to_owned()
    }
}

/// A word in its column, with a cell of air behind it.
fn push(line: &mut String, word: &str, cells: usize) {
    let word = fit::clip(word, cells - 1);
    let gap = cells - fit::width(&word);
    line.push_str(&word);
    line.extend(std::iter::repeat_n(' ', gap));
}

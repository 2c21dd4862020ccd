//! The call of a group: who is in it, and tiles with the pictures of those who send some.
//!
//! Without a focus all tiles are alike, as large as they fit; screens come before faces and who was heard last before the
//! others, and what finds no room stands on further pages. With one, that person is large and the others in a row below.
//! The list of people ([`super::roster`]) stands above when it is open, else only those without a picture do.

mod places;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::canvas::Canvas;
use super::{fit, roster};
use crate::event::{Feed, ParticipantId};
use crate::model::{Call, Model};
use crate::participant::Participant;
use crate::seat::Focus;
use crate::text;
use places::{TILE_ROWS_MIN, places, strip};

/// Tiles at most: smaller ones show nobody's face.
const TILES_MAX: usize = 16;
/// Rows that the names of those without a picture may take beside pictures.
const LIST_ROWS_MAX: u16 = 3;
/// Below this height a focus has no row of others: it would take what makes it large.
const FOCUS_ROWS_MIN: u16 = 15;
/// Rows of the others below a focus.
const STRIP_ROWS: std::ops::RangeInclusive<u16> = 5..=9;

/// Whose picture a tile shows.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Other(&'a Participant, Feed),
    Own,
}

/// What stands where.
struct Plan<'a> {
    /// The open list of people.
    roster: Rect,
    /// The names of those without a tile.
    list: Rect,
    tiles: Vec<(Shown<'a>, Rect)>,
    /// Pages that all pictures take.
    pages: usize,
    /// The one shown, from 0.
    page: usize,
}

/// The cells of each picture of somebody else.
pub(super) fn feed_areas(call: &Call, area: Rect) -> Vec<(ParticipantId, Feed, Rect)> {
    let tiles = arrange(call, area).tiles.into_iter();
    tiles
        .filter_map(|(shown, tile)| match shown {
            // A focus without a picture has a tile all the same.
            Shown::Other(person, feed) if person.sends(feed) => {
                Some((person.id, feed, below_label(tile)))
            }
            _ => None,
        })
        .filter(|(_, _, cells)| !cells.is_empty())
        .collect()
}

/// Pages that the pictures take.
pub(super) fn pages(call: &Call, area: Rect) -> usize {
    arrange(call, area).pages
}

/// What is to be said of this view besides who is in the call; empty where nothing is.
pub(super) fn facts(call: &Call, area: Rect) -> String {
    let plan = arrange(call, area);
    let mut facts = Vec::new();
    if call.seat.is_roster_open
        && let Some((first, last, all)) = roster::cut(call, plan.roster)
    {
        facts.push(text::lines_shown(first, last, all));
    }
    if plan.pages > 1 {
        facts.push(text::pages(plan.page, plan.pages));
    }
    if call.seat.focus != Focus::Everybody && !call.seat.is_roster_open {
        facts.push(text::focus_fact(call));
    }
    facts.join("; ")
}

/// Draws lists and tiles; returns where the cursor stands while somebody is sought in the list.
pub(super) fn draw<'m>(
    model: &Model,
    call: &'m Call,
    area: Rect,
    buffer: &mut Canvas<'_, 'm>,
) -> Option<(u16, u16)> {
    let is_empty = call.people.is_empty() && !call.own.camera_on;
    if is_empty && !call.seat.is_roster_open {
        fit::put_centred(buffer, area, &[text::ALONE_HERE], Style::new());
        return None;
    }
    let plan = arrange(call, area);
    let mut cursor = None;
    if call.seat.is_roster_open {
        cursor = roster::draw(model, call, plan.roster, buffer);
    } else {
        draw_list(call, plan.list, &plan.tiles, buffer);
    }
    draw_tiles(model, call, plan.tiles, buffer);
    cursor
}

fn draw_tiles<'m>(
    model: &Model,
    call: &'m Call,
    tiles: Vec<(Shown<'m>, Rect)>,
    buffer: &mut Canvas<'_, 'm>,
) {
    for (shown, tile) in tiles {
        let (label, drawn) = match shown {
            Shown::Other(person, feed) => {
                let is_focus =
                    call.seat.focus.on() == Some(person.id) && tile.height > TILE_ROWS_MIN;
                let sign = if is_focus {
                    text::focus_sign(call.seat.focus)
                } else {
                    ""
                };
                let label = text::tile_label(person, feed);
                let still = person.still_ms(feed, model.now_ms);
                let still = still.map_or_else(String::new, text::tile_still);
                (format!("{label}{still}{sign}"), person.picture(feed))
            }
            Shown::Own => (text::YOU.to_owned(), call.own_picture.as_deref()),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        fit::put(buffer, tile, 0, &label, bold);
        let below = below_label(tile);
        match (drawn, shown) {
            (Some(drawn), _) => drop(buffer.picture(drawn, below, model.look)),
            (None, Shown::Other(person, feed)) if !person.sends(feed) => {
                fit::put_centred(buffer, below, &[&text::no_picture(person)], Style::new());
            }
            (None, _) => fit::put_centred(buffer, below, &["..."], Style::new()),
        }
    }
}

/// Everyone on a line of its own; beside pictures those without one, several on a line.
fn draw_list(call: &Call, area: Rect, tiles: &[(Shown<'_>, Rect)], buffer: &mut Buffer) {
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    let people = listed(call, tiles.iter().map(|(shown, _)| *shown));
    let lines: Vec<String> = if tiles.is_empty() {
        people
            .iter()
            .map(|person| text::person_line(person))
            .collect()
    } else {
        pack(&people, area.width)
    };
    let rows = usize::from(area.height);
    let fits = if lines.len() > rows {
        rows.saturating_sub(1)
    } else {
        rows
    };
    let mut shown: Vec<&str> = lines.iter().take(fits).map(String::as_str).collect();
    let more = text::more_lines(lines.len().saturating_sub(fits));
    if lines.len() > fits {
        shown.push(&more);
    }
    fit::put_lines(buffer, area, shown, Style::new());
}

fn pack(people: &[&Participant], width: u16) -> Vec<String> {
    let pieces: Vec<String> = people
        .iter()
        .map(|person| text::person_line(person).trim_start().to_owned())
        .collect();
    fit::pack(&pieces, usize::from(width))
}

/// Those who have no tile, here or on another page; everybody where there are no tiles.
fn listed<'a>(
    call: &'a Call,
    tiles: impl Iterator<Item = Shown<'a>> + Clone,
) -> Vec<&'a Participant> {
    let has_tiles = tiles.clone().next().is_some();
    let has_tile = |person: &&Participant| {
        let mut tiles = tiles.clone();
        let sends = [Feed::Camera, Feed::Screen].map(|feed| person.sends(feed));
        (has_tiles && sends.contains(&true))
            || tiles.any(|shown| matches!(shown, Shown::Other(other, _) if other.id == person.id))
    };
    call.people
        .iter()
        .filter(|person| !has_tile(person))
        .collect()
}

fn arrange(call: &Call, area: Rect) -> Plan<'_> {
    let feeds = feeds(call);
    let (roster, rest) = if call.seat.is_roster_open {
        let rows = roster::rows(call, area.height);
        // Pictures below the list only where there is room for some.
        let has_room = !feeds.is_empty() && area.height > rows + TILE_ROWS_MIN;
        split(area, if has_room { rows } else { area.height })
    } else {
        split(area, 0)
    };
    let focus = call.seat.focus.on();
    let focused = (call.people.iter()).find(|person| Some(person.id) == focus);
    let plan = match focused.filter(|_| rest.height >= TILE_ROWS_MIN) {
        Some(person) => around(call, person, feeds, rest),
        None => alike(call, feeds, rest),
    };
    Plan { roster, ..plan }
}

/// All of the same size.
fn alike<'a>(call: &'a Call, feeds: Vec<Shown<'a>>, area: Rect) -> Plan<'a> {
    // As many on a page as the most important of them leave room for, their names listed or not.
    let fits = |count: &usize| {
        let first = &feeds[..*count];
        !places(*count, split(area, list_rows(call, first, area.width)).1).is_empty()
    };
    let most = feeds.len().min(TILES_MAX);
    let Some(per_page) = (1..=most).rev().find(fits) else {
        return Plan {
            roster: Rect::default(),
            list: area,
            tiles: Vec::new(),
            pages: 1,
            page: 0,
        };
    };
    let (shown, page, pages) = turned(feeds, per_page, call.seat.page);
    let rows = list_rows(call, &shown, area.width);
    let (list, grid) = split(area, rows);
    let found = places(shown.len(), grid);
    let (list, found) = if found.is_empty() {
        // Others are listed on this page, more than leave room: they stand on the first page, too.
        (split(area, 0).0, places(shown.len(), area))
    } else {
        (list, found)
    };
    Plan {
        roster: Rect::default(),
        list,
        tiles: shown.into_iter().zip(found).collect(),
        pages,
        page,
    }
}

/// One large, the others in a row below.
fn around<'a>(
    call: &'a Call,
    person: &'a Participant,
    feeds: Vec<Shown<'a>>,
    area: Rect,
) -> Plan<'a> {
    let feed = if person.sends(Feed::Screen) {
        Feed::Screen
    } else {
        Feed::Camera
    };
    let is_large = |shown: &Shown<'_>| matches!(shown, Shown::Other(other, of) if other.id == person.id && *of == feed);
    let others: Vec<Shown<'_>> = feeds.into_iter().filter(|one| !is_large(one)).collect();
    let rows = if others.is_empty() || area.height < FOCUS_ROWS_MIN {
        0
    } else {
        (area.height / 4).clamp(*STRIP_ROWS.start(), *STRIP_ROWS.end())
    };
    let (rest, row) = split(area, area.height - rows);
    let small = strip(row);
    let large = Shown::Other(person, feed);
    let (shown, page, pages) = turned(others, small.len(), call.seat.page);
    let marks: Vec<Shown<'_>> = std::iter::once(large)
        .chain(shown.iter().copied())
        .collect();
    let (list, rest) = split(rest, list_rows(call, &marks, area.width));
    let tiles = std::iter::once((large, rest)).chain(shown.into_iter().zip(small));
    Plan {
        roster: Rect::default(),
        list,
        tiles: tiles.filter(|(_, tile)| tile.height > 1).collect(),
        pages,
        page,
    }
}

/// The pictures of a page, in the order of their places; which page that is, and of how many. The first page has the most
/// important ones, the others all further ones by number: there nobody moves because somebody speaks.
fn turned(
    mut feeds: Vec<Shown<'_>>,
    per_page: usize,
    page: usize,
) -> (Vec<Shown<'_>>, usize, usize) {
    if per_page == 0 {
        return (Vec::new(), 0, 1);
    }
    let mut further = feeds.split_off(per_page.min(feeds.len()));
    let pages = 1 + further.len().div_ceil(per_page);
    let page = page.min(pages - 1);
    order(&mut further);
    let mut shown = match page.checked_sub(1) {
        None => feeds,
        Some(at) => further
            .into_iter()
            .skip(at * per_page)
            .take(per_page)
            .collect(),
    };
    order(&mut shown);
    (shown, page, pages)
}

/// What could be shown, most important first.
fn feeds(call: &Call) -> Vec<Shown<'_>> {
    let of = |feed| {
        let sends = call.people.iter().filter(move |person| person.sends(feed));
        sends.map(move |person| Shown::Other(person, feed))
    };
    let mut faces: Vec<_> = of(Feed::Camera).collect();
    // Stable: those who never spoke stay in the order of their numbers.
    faces.sort_by_key(|shown| match shown {
        Shown::Other(person, _) => std::cmp::Reverse(person.spoke_at_ms),
        Shown::Own => std::cmp::Reverse(None),
    });
    let own = call.own.camera_on.then_some(Shown::Own);
    of(Feed::Screen).chain(faces).chain(own).collect()
}

/// Each picture has the same place whoever speaks: by number, screens first, ourselves last.
fn order(feeds: &mut [Shown<'_>]) {
    feeds.sort_by_key(|shown| match shown {
        Shown::Other(person, feed) => (false, *feed, Some(person.id)),
        Shown::Own => (true, Feed::Camera, None),
    });
}

/// Rows for the names of those without a tile; none while the list of people is open, where everybody stands.
fn list_rows<'a>(call: &'a Call, shown: &[Shown<'a>], width: u16) -> u16 {
    if call.seat.is_roster_open {
        return 0;
    }
    let people = listed(call, shown.iter().copied());
    let lines = pack(&people, width.saturating_sub(1)).len();
    u16::try_from(lines).unwrap_or(u16::MAX).min(LIST_ROWS_MAX)
}

/// The upper rows, and the rest.
fn split(area: Rect, rows: u16) -> (Rect, Rect) {
    let height = rows.min(area.height);
    let upper = Rect { height, ..area };
    let rest = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (upper, rest)
}

fn below_label(tile: Rect) -> Rect {
    split(tile, 1).1
}

//! The call of a group: a list of who is in it, and tiles with the pictures of those who send some.
//!
//! Screens come before faces and who was heard last before the others; what finds no room stands in the list alone.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::canvas::Canvas;
use super::fit;
use crate::event::{Feed, ParticipantId};
use crate::model::{Call, Model};
use crate::participant::Participant;
use crate::text;

/// Tiles at most: smaller ones show nobody's face.
const TILES_MAX: usize = 16;
/// Smallest tile, its label included.
const TILE_COLUMNS_MIN: u16 = 14;
const TILE_ROWS_MIN: u16 = 5;
/// Between two tiles beside one another.
const GAP_CELLS: u16 = 1;
/// Rows that the list may take beside pictures.
const LIST_ROWS_MAX: u16 = 3;

/// Whose picture a tile shows.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Other(&'a Participant, Feed),
    Own,
}

/// The cells of each picture of somebody else.
pub(super) fn feed_areas(call: &Call, area: Rect) -> Vec<(ParticipantId, Feed, Rect)> {
    let (_, tiles) = arrange(call, area);
    tiles
        .into_iter()
        .filter_map(|(shown, tile)| match shown {
            Shown::Other(person, feed) => Some((person.id, feed, below_label(tile))),
            Shown::Own => None,
        })
        .filter(|(_, _, cells)| !cells.is_empty())
        .collect()
}

/// Draws list and tiles.
pub(super) fn draw<'m>(model: &Model, call: &'m Call, area: Rect, buffer: &mut Canvas<'_, 'm>) {
    if call.people.is_empty() && !call.own.camera_on {
        return fit::put_centred(buffer, area, &[text::ALONE_HERE], Style::new());
    }
    let (list, tiles) = arrange(call, area);
    draw_list(call, list, &tiles, buffer);
    for (shown, tile) in tiles {
        let (label, drawn) = match shown {
            Shown::Other(person, feed) => (text::tile_label(person, feed), person.picture(feed)),
            Shown::Own => (text::YOU.to_owned(), call.own_picture.as_deref()),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        fit::put(buffer, tile, 0, &label, bold);
        let below = below_label(tile);
        match drawn {
            Some(drawn) => drop(buffer.picture(drawn, below, model.look)),
            None => fit::put_centred(buffer, below, &["..."], Style::new()),
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
    let people = listed(call, tiles);
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

/// Those who have no tile.
fn listed<'a>(call: &'a Call, tiles: &[(Shown<'_>, Rect)]) -> Vec<&'a Participant> {
    let has_tile = |person: &&Participant| {
        tiles
            .iter()
            .any(|(shown, _)| matches!(shown, Shown::Other(other, _) if other.id == person.id))
    };
    call.people
        .iter()
        .filter(|person| !has_tile(person))
        .collect()
}

/// The list's place, and each tile with its own.
fn arrange(call: &Call, area: Rect) -> (Rect, Vec<(Shown<'_>, Rect)>) {
    let mut feeds = feeds(call);
    let without = Rect { height: 0, ..area };
    loop {
        if feeds.is_empty() {
            return (area, Vec::new());
        }
        let marks: Vec<_> = feeds.iter().map(|shown| (*shown, without)).collect();
        let lines = pack(&listed(call, &marks), area.width.saturating_sub(1)).len();
        let rows = u16::try_from(lines).unwrap_or(u16::MAX).min(LIST_ROWS_MAX);
        let list = Rect {
            height: rows.min(area.height),
            ..area
        };
        let grid = Rect {
            y: area.y + list.height,
            height: area.height - list.height,
            ..area
        };
        let places = places(feeds.len(), grid);
        if places.is_empty() {
            // One less, the least important, until they fit.
            feeds.pop();
            continue;
        }
        order(&mut feeds);
        return (list, feeds.into_iter().zip(places).collect());
    }
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
    let mut feeds: Vec<_> = of(Feed::Screen).chain(faces).chain(own).collect();
    feeds.truncate(TILES_MAX);
    feeds
}

/// Each picture has the same place whoever speaks: by number, screens first, ourselves last.
fn order(feeds: &mut [Shown<'_>]) {
    feeds.sort_by_key(|shown| match shown {
        Shown::Other(person, feed) => (false, *feed, Some(person.id)),
        Shown::Own => (true, Feed::Camera, None),
    });
}

/// Equal tiles in the rows and columns that make pictures largest; none where they would be too small.
fn places(count: usize, area: Rect) -> Vec<Rect> {
    let Ok(count) = u16::try_from(count) else {
        return Vec::new();
    };
    let size = |columns: u16| {
        let width = (area.width + GAP_CELLS) / columns;
        let width = width.saturating_sub(GAP_CELLS);
        (width, area.height / count.div_ceil(columns))
    };
    let fits = |(width, height): (u16, u16)| width >= TILE_COLUMNS_MIN && height >= TILE_ROWS_MIN;
    let covered = |columns: &u16| {
        let (width, height) = size(*columns);
        crate::picture::fit(16, 9, Rect::new(0, 0, width, height.saturating_sub(1))).area()
    };
    let best = (1..=count)
        .filter(|columns| fits(size(*columns)))
        .max_by_key(covered);
    let Some(columns) = best else {
        return Vec::new();
    };
    let (width, height) = size(columns);
    (0..count)
        .map(|at| Rect {
            x: area.x + (at % columns) * (width + GAP_CELLS),
            y: area.y + (at / columns) * height,
            width,
            height,
        })
        .collect()
}

fn below_label(tile: Rect) -> Rect {
    Rect {
        y: tile.y + 1,
        height: tile.height - 1,
        ..tile
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_lie_inside_and_beside_one_another(count in 0usize..20, width in 0u16..300, height in 0u16..100) {
            let area = Rect::new(3, 5, width, height);
            let tiles = places(count, area);
            prop_assert!(tiles.is_empty() || tiles.len() == count);
            for (at, tile) in tiles.iter().enumerate() {
                prop_assert!(tile.height > 1 && area.union(*tile) == area, "{tile:?} of {area:?}");
                prop_assert!(tiles[at + 1..].iter().all(|other| !other.intersects(*tile)));
            }
        }
    }

    #[test]
    fn pictures_get_as_large_as_the_screen_allows() {
        let wide = places(2, Rect::new(0, 0, 80, 20));
        assert_eq!((wide[0].width, wide[1].x), (39, 40));
        let high = places(2, Rect::new(0, 0, 30, 40));
        assert_eq!((high[0].width, high[1].y), (30, 20));
        assert!(places(9, Rect::new(0, 0, 40, 8)).is_empty());
    }
}

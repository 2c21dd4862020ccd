use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::kitty::tests::Shown as Terminal;
use crate::picture::Plane;
use crate::sixel::tests::decode;

const WIDTH: u32 = 160;
const HEIGHT: u32 = 90;
const CELL: (u16, u16) = (10, 20);
const SCREEN: (u16, u16) = (60, 20);

#[expect(
    clippy::disallowed_methods,
    reason = "the virtual clock begins at one real reading"
)]
fn start() -> Instant {
    Instant::now()
}

/// A noisy picture, red, green, blue.
fn pixels(seed: u32) -> Vec<u8> {
    (0..WIDTH * HEIGHT * 3)
        .map(|i| ((i + 1).wrapping_mul(2 * seed + 2_654_435) >> 9) as u8)
        .collect()
}

fn tile(rgb: &[u8], rect: Rect) -> Tile<'_> {
    let plane = Plane {
        samples: rgb,
        stride: WIDTH as usize * 3,
    };
    Tile {
        rect,
        picture: PictureRef::rgb(WIDTH, HEIGHT, plane).expect("it is whole"),
    }
}

fn screen(kind: PixelKind) -> PixelScreen {
    PixelScreen::new(kind, CELL).expect("a usual cell")
}

/// Sixel pictures of a frame with the cell they begin in, from 1: column, row, size, pixels.
fn sixels(mut frame: &[u8]) -> Vec<((usize, usize), crate::sixel::tests::Decoded)> {
    let mut found = Vec::new();
    while let Some(at) = frame.windows(2).position(|two| two == b"\x1bP") {
        let before = std::str::from_utf8(&frame[..at]).expect("text");
        let place = before.rsplit("\x1b[").next().expect("a place");
        let (row, column) = place
            .trim_end_matches('H')
            .split_once(';')
            .expect("a place");
        let decoded = decode(&frame[at..]).expect("a sixel picture");
        frame = &frame[at + decoded.bytes..];
        found.push((
            (
                column.parse().expect("a column"),
                row.parse().expect("a row"),
            ),
            decoded,
        ));
    }
    found
}

#[test]
fn sixels_fill_the_cells_that_nothing_covers_and_no_others() {
    let rgb = pixels(1);
    let rect = Rect::new(5, 2, 32, 9);
    let mut mask = Mask::new();
    mask.cover(Rect::new(10, 4, 8, 3));
    let tiles = [tile(&rgb, rect), tile(&rgb, Rect::new(30, 8, 10, 5))];
    let mut screen = screen(PixelKind::Sixel);
    let (mut cleared, mut out) = (Vec::new(), Vec::new());
    screen.lay_out(&tiles, &mask, SCREEN, &mut cleared);
    let stats = screen.encode(start(), &tiles, 100_000_000, &mut out);
    assert_eq!((stats.pictures, stats.bytes), (2, out.len()));
    assert!(out.starts_with(SAVE) && out.ends_with(RESTORE));
    for (_, sixel) in sixels(&out) {
        assert!(sixel.pixels.iter().all(Option::is_some));
        assert_eq!((sixel.width % 10, sixel.height % 20), (0, 0), "whole cells");
    }
    let cells = drawn(PixelKind::Sixel, &cleared, &out);
    assert_eq!(
        cells.iter().map(|count| u32::from(*count)).sum::<u32>(),
        32 * 9 - 8 * 3 + 10 * 5 - 7 * 3
    );
    for &cut in screen.cuts() {
        assert!(out[cut..].starts_with(b"\x1b["), "a piece says its place");
    }
}

#[test]
fn sixels_stay_out_of_the_last_row_and_what_is_as_it_was_is_not_sent() {
    let rgb = pixels(1);
    let tiles = [tile(&rgb, Rect::new(0, 15, 20, 5))];
    let mut screen = screen(PixelKind::Sixel);
    let (mut out, mut now) = (Vec::new(), start());
    screen.lay_out(&tiles, &Mask::new(), SCREEN, &mut out);
    screen.encode(now, &tiles, 100_000_000, &mut out);
    let rows: usize = sixels(&out)
        .iter()
        .map(|(_, sixel)| sixel.height / 20)
        .sum();
    assert_eq!(rows, 4, "of five");
    now += Duration::from_secs(1);
    out.clear();
    let stats = screen.encode(now, &tiles, 100_000_000, &mut out);
    assert_eq!(
        (stats, out.len()),
        (PixelStats::default(), 0),
        "the same picture"
    );
    // The lowest tenth of the picture changes: the upper strips stay.
    let mut changed = rgb.clone();
    let from = changed.len() / 10 * 9;
    changed[from..].fill(9);
    let tiles = [tile(&changed, Rect::new(0, 10, 20, 9))];
    let mut screen = self::screen(PixelKind::Sixel);
    let before = [tile(&rgb, Rect::new(0, 10, 20, 9))];
    screen.lay_out(&before, &Mask::new(), SCREEN, &mut out);
    screen.encode(now, &before, 100_000_000, &mut out);
    out.clear();
    screen.encode(now + Duration::from_secs(1), &tiles, 100_000_000, &mut out);
    let strips = sixels(&out);
    assert!(
        !strips.is_empty() && strips.iter().all(|((_, row), _)| *row > 15),
        "{strips:?}"
    );
}

#[test]
fn a_kitty_picture_is_replaced_and_goes_with_its_place() {
    let mut terminal = Terminal::default();
    let mut screen = screen(PixelKind::Kitty);
    let mut now = start();
    let mut mask = Mask::new();
    let rect = Rect::new(4, 3, 32, 9);
    for seed in 0..5 {
        let rgb = pixels(seed);
        let tiles = [tile(&rgb, rect)];
        let mut out = Vec::new();
        screen.lay_out(&tiles, &mask, SCREEN, &mut out);
        let stats = screen.encode(now, &tiles, 50_000_000, &mut out);
        assert_eq!(stats.pictures, 1);
        terminal.process(&out);
        assert_eq!((terminal.pictures.len(), terminal.places.len()), (1, 1));
        let (width, height, shown) = terminal.pictures.values().next().expect("one");
        assert_eq!((*width, *height), (160, 90), "no more than the picture has");
        assert_eq!(*shown, rgb, "every pixel as it was");
        let place = terminal.places.values().next().expect("one");
        assert_eq!((place.cursor, place.cells), ((5, 4), (32, 9)));
        now += Duration::from_secs(1);
    }
    // Words over its lower right corner: two rectangles around it, of one picture.
    mask.cover(Rect::new(30, 8, 10, 10));
    let rgb = pixels(9);
    let tiles = [tile(&rgb, rect)];
    let mut out = Vec::new();
    screen.lay_out(&tiles, &mask, SCREEN, &mut out);
    terminal.process(&out);
    assert!(terminal.pictures.is_empty(), "at once");
    out.clear();
    screen.encode(now, &tiles, 50_000_000, &mut out);
    terminal.process(&out);
    let places: Vec<_> = terminal
        .places
        .values()
        .map(|place| (place.cursor, place.cells))
        .collect();
    assert_eq!(places, [((5, 4), (32, 5)), ((5, 9), (26, 4))]);
    assert_eq!(
        terminal
            .places
            .values()
            .map(|place| place.part)
            .collect::<Vec<_>>(),
        [[0, 0, 160, 50], [0, 50, 130, 40]]
    );
    // No picture at all.
    out.clear();
    screen.lay_out(&[], &mask, SCREEN, &mut out);
    terminal.process(&out);
    assert!(terminal.pictures.is_empty());
    out.clear();
    screen.lay_out(&[], &mask, SCREEN, &mut out);
    assert!(out.is_empty(), "once");
}

#[test]
fn no_second_takes_more_than_its_bytes_and_one_picture() {
    for kind in [PixelKind::Sixel, PixelKind::Kitty] {
        for rate in [30_000, 100_000, 500_000] {
            let mut screen = screen(kind);
            let mut now = start();
            let rects = [Rect::new(0, 0, 30, 9), Rect::new(31, 0, 29, 9)];
            let (mut frames, mut drawn) = (Vec::new(), 0);
            for seed in 0..300 {
                let rgb = pixels(seed);
                let tiles = rects.map(|rect| tile(&rgb, rect));
                let mut out = Vec::new();
                screen.lay_out(&tiles, &Mask::new(), SCREEN, &mut out);
                drawn += screen.encode(now, &tiles, rate, &mut out).pictures;
                frames.push(out.len());
                now += Duration::from_millis(33);
            }
            let largest = *frames.iter().max().expect("some");
            let worst = frames
                .windows(30)
                .map(|second| second.iter().sum::<usize>())
                .max()
                .expect("some");
            assert!(
                worst <= rate + largest,
                "{kind:?} at {rate}: {worst} and {largest}"
            );
            let all: usize = frames.iter().sum();
            assert!(
                all as f64 >= 0.5 * rate as f64 * 9.9,
                "{kind:?} at {rate}: {all} bytes"
            );
            // Both pictures have their turns.
            assert!(drawn >= 6, "{kind:?} at {rate}: {drawn} pictures");
        }
    }
}

#[test]
fn odd_cells_are_refused() {
    for cell in [(0, 20), (10, 0), (1, 1), (10, 4_000)] {
        assert!(
            PixelScreen::new(PixelKind::Kitty, cell).is_none(),
            "{cell:?}"
        );
    }
}

/// How often each cell of the screen is drawn by a frame.
fn drawn(kind: PixelKind, cleared: &[u8], frame: &[u8]) -> Vec<u8> {
    let mut cells = vec![0u8; usize::from(SCREEN.0) * usize::from(SCREEN.1)];
    let mut draw = |(column, row): (usize, usize), (across, down): (usize, usize)| {
        for y in row - 1..row - 1 + down {
            for x in column - 1..column - 1 + across {
                cells[y * usize::from(SCREEN.0) + x] += 1;
            }
        }
    };
    match kind {
        PixelKind::Sixel => {
            for (place, sixel) in sixels(frame) {
                draw(place, (sixel.width / 10, sixel.height / 20));
            }
        }
        PixelKind::Kitty => {
            let mut terminal = Terminal::default();
            terminal.process(cleared);
            terminal.process(frame);
            for ((id, _), place) in &terminal.places {
                let (width, height, _) = &terminal.pictures[id];
                let [x, y, across, down] = place.part.map(|side| side as usize);
                assert!(across > 0 && down > 0 && x + across <= *width && y + down <= *height);
                draw(
                    (place.cursor.0 as usize, place.cursor.1 as usize),
                    (place.cells.0 as usize, place.cells.1 as usize),
                );
            }
        }
    }
    cells
}

fn rects() -> impl Strategy<Value = Rect> {
    (0u16..60, 0u16..20, 1u16..30, 1u16..12).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exactly_the_cells_of_pictures_that_nothing_covers_are_drawn_once(
        places in prop::collection::vec(rects(), 0..3),
        covered in prop::collection::vec(rects(), 0..3),
        is_sixel in any::<bool>(),
    ) {
        let kind = if is_sixel { PixelKind::Sixel } else { PixelKind::Kitty };
        let rgb = pixels(3);
        let tiles: Vec<Tile<'_>> = places.iter().map(|rect| tile(&rgb, *rect)).collect();
        let mut mask = Mask::new();
        covered.iter().for_each(|rect| mask.cover(*rect));
        let mut screen = screen(kind);
        let (mut cleared, mut out) = (Vec::new(), Vec::new());
        screen.lay_out(&tiles, &mask, SCREEN, &mut cleared);
        screen.encode(start(), &tiles, 100_000_000, &mut out);
        let cells = drawn(kind, &cleared, &out);
        for row in 0..SCREEN.1 {
            for column in 0..SCREEN.0 {
                let is_picture = places.iter().any(|rect| rect.contains(column, row));
                // Terminals scroll after sixels in the last row.
                let is_free = !(mask.covers(column, row) || is_sixel && row + 1 == SCREEN.1);
                let found = cells[usize::from(row) * usize::from(SCREEN.0) + usize::from(column)];
                prop_assert_eq!(found, u8::from(is_picture && is_free), "{} {}", column, row);
            }
        }
    }
}

//! What a terminal shows is what the model says, whatever is drawn, and nothing else on the screen changes.

use std::num::NonZeroU16;

use hullo_picture::{
    Cell, Colour, Colours, Encoder, EncoderOptions, Glyphs, Mask, PictureRef, Plane, Quality, Rect,
    Tile,
};
use proptest::prelude::*;

/// One thing that happens to a screen.
#[derive(Clone, Debug)]
enum Step {
    Pictures {
        tiles: Vec<(Rect, Painting)>,
        covered: Vec<Rect>,
        budget: usize,
    },
    Resize(u16, u16),
    /// Something cleared the terminal.
    Clear,
}

/// A picture made of few numbers.
#[derive(Clone, Debug)]
struct Painting {
    width: u32,
    height: u32,
    seed: u32,
    /// Levels that samples differ by from the first.
    noise: u8,
    planar: bool,
}

fn rects() -> impl Strategy<Value = Rect> {
    (0u16..50, 0u16..20, 0u16..45, 0u16..20).prop_map(|(x, y, c, r)| Rect::new(x, y, c, r))
}

fn paintings() -> impl Strategy<Value = Painting> {
    let noise = prop::sample::select(vec![0u8, 3, 40, 255]);
    (1u32..60, 1u32..40, any::<u32>(), noise, any::<bool>()).prop_map(
        |(width, height, seed, noise, planar)| Painting {
            width,
            height,
            seed,
            noise,
            planar,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let budget = prop::sample::select(vec![0usize, 40, 90, 300, 2000, usize::MAX]);
    prop_oneof![
        8 => (
            prop::collection::vec((rects(), paintings()), 0..4),
            prop::collection::vec(rects(), 0..3),
            budget,
        ).prop_map(|(tiles, covered, budget)| Step::Pictures { tiles, covered, budget }),
        1 => (1u16..60, 1u16..24).prop_map(|(columns, rows)| Step::Resize(columns, rows)),
        1 => Just(Step::Clear),
    ]
}

fn options() -> impl Strategy<Value = EncoderOptions> {
    let colours = prop::sample::select(vec![
        Colours::True,
        Colours::Palette256,
        Colours::Palette16,
        Colours::None,
    ]);
    let glyphs = prop::sample::select(vec![
        Glyphs::Quadrant,
        Glyphs::Half,
        Glyphs::Ascii,
        Glyphs::Braille,
    ]);
    let quality = prop::sample::select(vec![Quality::WORKING, Quality::FINE]);
    (colours, glyphs, quality, any::<bool>()).prop_map(
        |(colours, glyphs, quality, dark_on_light)| EncoderOptions {
            colours,
            glyphs,
            quality,
            dark_on_light,
        },
    )
}

impl Painting {
    fn samples(&self, count: usize) -> Vec<u8> {
        let mut state = self.seed | 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let base = next();
        (0..count)
            .map(|_| base.wrapping_add(((u16::from(next()) * u16::from(self.noise)) >> 8) as u8))
            .collect()
    }

    fn with(&self, draw: impl FnOnce(PictureRef<'_>)) {
        let (width, height) = (self.width as usize, self.height as usize);
        let plane = |samples, stride| Plane { samples, stride };
        if self.planar {
            let (half, low) = (width.div_ceil(2), height.div_ceil(2));
            let y = self.samples(width * height);
            let c = self.samples(half * low);
            let picture = PictureRef::i420(
                self.width,
                self.height,
                plane(&y, width),
                plane(&c, half),
                plane(&c, half),
            );
            draw(picture.expect("the planes were made for it"));
        } else {
            let rgb = self.samples((width * 3 + 1) * height);
            let picture = PictureRef::rgb(self.width, self.height, plane(&rgb, width * 3 + 1));
            draw(picture.expect("a row is one byte shorter than the stride"));
        }
    }
}

/// What one cell of the emulator shows, every attribute told.
type Shown = (String, vt100::Color, vt100::Color, [bool; 4]);

fn look(terminal: &vt100::Parser, column: u16, row: u16) -> Shown {
    let cell = terminal.screen().cell(row, column).expect("on the screen");
    let attributes = [cell.bold(), cell.italic(), cell.underline(), cell.inverse()];
    (
        cell.contents().to_owned(),
        cell.fgcolor(),
        cell.bgcolor(),
        attributes,
    )
}

fn expected(cell: Cell) -> Shown {
    let colour = |colour| match colour {
        Colour::Default => vt100::Color::Default,
        Colour::Palette(entry) => vt100::Color::Idx(entry),
        Colour::Rgb([r, g, b]) => vt100::Color::Rgb(r, g, b),
    };
    (
        cell.glyph.to_string(),
        colour(cell.foreground),
        colour(cell.background),
        [false; 4],
    )
}

/// A screen full of text in odd colours, and a pen that must come back.
fn text_screen(columns: u16, rows: u16) -> vt100::Parser {
    let side = |cells| NonZeroU16::new(cells).expect("no screen is without cells");
    let mut terminal = vt100::Parser::new(side(rows), side(columns), 0);
    terminal.process(b"\x1b[1;7;33;45m");
    for row in 0..rows {
        terminal.process(format!("\x1b[{};1H", row + 1).as_bytes());
        let line = (0..columns).map(|column| char::from(b'a' + ((column + row) % 26) as u8));
        terminal.process(line.collect::<String>().as_bytes());
    }
    let (row, column) = (rows.div_ceil(2), columns.div_ceil(3));
    terminal.process(format!("\x1b[4;36;42m\x1b[{row};{column}H").as_bytes());
    terminal
}

/// Rows and columns.
fn size(terminal: &vt100::Parser) -> (u16, u16) {
    let (rows, columns) = terminal.screen().size();
    (rows.get(), columns.get())
}

/// Only whole escapes of the few kinds that are meant, and printable characters.
fn check_grammar(bytes: &[u8]) -> Result<(), TestCaseError> {
    let text = std::str::from_utf8(bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        if first != '\x1b' {
            prop_assert!(!first.is_control(), "{first:?}");
            continue;
        }
        if let Some(after) = rest.strip_prefix(['7', '8']) {
            rest = after;
            continue;
        }
        let after = rest.strip_prefix('[');
        prop_assert!(after.is_some(), "an escape of another kind: {rest:?}");
        let after = after.unwrap_or_default();
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';');
        prop_assert!(end.is_some(), "a partial escape: {rest:?}");
        let end = end.unwrap_or_default();
        prop_assert!(after[end..].starts_with(['H', 'C', 'm']), "{after:?}");
        rest = &after[end + 1..];
    }
    Ok(())
}

/// Encodes one step and compares every cell of the screen.
fn draw(
    encoder: &mut Encoder,
    terminal: &mut vt100::Parser,
    tiles: &[Tile<'_>],
    mask: &Mask,
    budget: usize,
) -> Result<(), TestCaseError> {
    let (rows, columns) = size(terminal);
    let before: Vec<Shown> = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (column, row)))
        .map(|(column, row)| look(terminal, column, row))
        .collect();
    let screen = terminal.screen();
    let pen = (screen.cursor_position(), screen.attributes_formatted());
    let mut out = b"before".to_vec();
    let stats = encoder.encode(tiles, mask, budget, &mut out);
    prop_assert_eq!(&out[..6], b"before");
    prop_assert_eq!(stats.bytes, out.len() - 6);
    prop_assert!(stats.bytes <= budget.saturating_mul(2));
    check_grammar(&out[6..])?;
    terminal.process(&out[6..]);
    let screen = terminal.screen();
    prop_assert_eq!(
        pen,
        (screen.cursor_position(), screen.attributes_formatted())
    );
    for (place, before) in before.into_iter().enumerate() {
        let (column, row) = (place as u16 % columns, place as u16 / columns);
        let drawn = tiles.iter().any(|tile| tile.rect.contains(column, row));
        let shown = encoder.shown().cell(column, row);
        prop_assert!(
            shown.is_none() || drawn && !mask.covers(column, row),
            "{column}, {row} is not the picture's"
        );
        let wanted = shown.map_or(before, expected);
        prop_assert_eq!(
            look(terminal, column, row),
            wanted,
            "at {}, {}",
            column,
            row
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_terminal_shows_what_the_model_says(
        options in options(),
        steps in prop::collection::vec(steps(), 1..7),
    ) {
        let (mut columns, mut rows) = (41, 13);
        let mut encoder = Encoder::new(options, columns, rows);
        let mut terminal = text_screen(columns, rows);
        for step in steps {
            match step {
                Step::Resize(to_columns, to_rows) => {
                    (columns, rows) = (to_columns, to_rows);
                    encoder.resize(columns, rows);
                    terminal = text_screen(columns, rows);
                }
                Step::Clear => {
                    terminal = text_screen(columns, rows);
                    encoder.invalidate();
                }
                Step::Pictures { tiles, covered, budget } => {
                    let mut mask = Mask::new();
                    for rect in covered {
                        mask.cover(rect);
                        cover_with_text(&mut terminal, rect);
                    }
                    let mut result = Ok(());
                    with_pictures(&tiles, &mut Vec::new(), &mut |tiles| {
                        // Twice: the second frame meets the first one's model.
                        for _ in 0..2 {
                            if result.is_ok() {
                                result = draw(&mut encoder, &mut terminal, tiles, &mask, budget);
                            }
                        }
                    });
                    result?;
                }
            }
        }
    }
}

/// Lends all the pictures at once.
fn with_pictures(
    tiles: &[(Rect, Painting)],
    lent: &mut Vec<Tile<'_>>,
    draw: &mut dyn FnMut(&[Tile<'_>]),
) {
    let Some(((rect, painting), rest)) = tiles.split_first() else {
        draw(lent);
        return;
    };
    painting.with(|picture| {
        let mut lent: Vec<Tile<'_>> = lent.clone();
        lent.push(Tile {
            rect: *rect,
            picture,
        });
        with_pictures(rest, &mut lent, draw);
    });
}

/// The interface draws over a part of the screen.
fn cover_with_text(terminal: &mut vt100::Parser, rect: Rect) {
    let (rows, columns) = size(terminal);
    let rect = rect.clipped(columns, rows);
    terminal.process(b"\x1b7\x1b[0;9;34m");
    for row in rect.y..rect.y + rect.rows {
        terminal.process(format!("\x1b[{};{}H", row + 1, rect.x + 1).as_bytes());
        terminal.process(&"menu".repeat(16).as_bytes()[..usize::from(rect.columns)]);
    }
    terminal.process(b"\x1b8");
}

#[test]
fn a_still_picture_is_finished_and_then_costs_nothing() {
    let painting = Painting {
        width: 40,
        height: 26,
        seed: 5,
        noise: 200,
        planar: false,
    };
    let mut encoder = Encoder::new(EncoderOptions::default(), 20, 13);
    painting.with(|picture| {
        let tiles = [Tile {
            rect: Rect::new(0, 0, 20, 13),
            picture,
        }];
        let frames: Vec<_> = (0..300)
            .map(|_| encoder.encode(&tiles, &Mask::new(), 400, &mut Vec::new()))
            .collect();
        assert!(!frames[0].painted, "the first paint is spread");
        assert!(frames[60..].iter().all(|frame| frame.painted));
        assert!(
            frames[200..].iter().all(|frame| frame.bytes == 0),
            "{:?}",
            &frames[200..]
        );
    });
}

#[test]
fn more_tiles_than_there_can_be_are_left_out() {
    let painting = Painting {
        width: 4,
        height: 4,
        seed: 5,
        noise: 9,
        planar: true,
    };
    let mut encoder = Encoder::new(EncoderOptions::default(), 100, 2);
    painting.with(|picture| {
        let tile = |x| Tile {
            rect: Rect::new(x, 0, 1, 1),
            picture,
        };
        let tiles: Vec<_> = (0..100).map(tile).collect();
        let stats = encoder.encode(&tiles, &Mask::new(), usize::MAX, &mut Vec::new());
        assert_eq!(stats.cells, hullo_picture::TILES_MAX);
    });
}

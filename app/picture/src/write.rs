//! The bytes: shortest cursor moves, colours and glyphs, whole escapes only.
//!
//! A frame saves the cursor before its first cell and afterwards resets the colours and brings the cursor back, so that
//! it can be written between any two updates of the rest of the screen. Nothing here moves past a row's end, scrolls or
//! writes a newline.

use crate::screen::Colour;

/// Bytes of the longest frame's beginning and end together.
pub(crate) const FRAME_BYTES: usize = SAVE.len() + FIRST_SGR.len() + RESTORE.len();
/// Most bytes that one cell takes: a move, both colours and a glyph.
pub(crate) const CELL_BYTES_MAX: usize =
    "\x1b[2048;2048H".len() + "\x1b[38;2;255;255;255;48;2;255;255;255m".len() + "▀".len();

/// Most that is written at once without a look at what is more urgent.
pub const PIECE_BYTES: usize = 4096;
/// Room that a piece keeps for its last cell and for what is put around it when something comes in between.
const PIECE_END_BYTES: usize = CELL_BYTES_MAX + FRAME_BYTES;

/// DECSC.
pub(crate) const SAVE: &[u8] = b"\x1b7";
/// Colours back, then DECRC. The reset is for terminals that do not bring colours back with the cursor.
pub(crate) const RESTORE: &[u8] = b"\x1b[m\x1b8";
/// The beginning of the first selection: nothing is known of what was selected before.
const FIRST_SGR: &[u8] = b"0;";

/// Writes one frame behind whatever `out` holds.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    /// Where the next glyph goes; unknown at first and behind the last column.
    cursor: Option<(u16, u16)>,
    /// Columns of the screen.
    columns: u16,
    foreground: Colour,
    background: Colour,
    /// Something was selected: the two above are true.
    selected: bool,
    /// Where the piece being written begins, in `out`.
    piece: usize,
    /// Where pieces after the first begin, from the frame's first byte.
    cuts: Vec<usize>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, columns: u16) -> Self {
        Self {
            start: out.len(),
            out,
            cursor: None,
            columns,
            foreground: Colour::Default,
            background: Colour::Default,
            selected: false,
            piece: 0,
            cuts: Vec::new(),
        }
        .begun()
    }

    fn begun(mut self) -> Self {
        self.piece = self.start;
        self
    }

    /// Bytes of the frame so far, its end included.
    pub(crate) fn bytes(&self) -> usize {
        let written = self.out.len() - self.start;
        if written == 0 {
            0
        } else {
            written + RESTORE.len()
        }
    }

    pub(crate) fn colours(&self) -> (Colour, Colour) {
        (self.foreground, self.background)
    }

    /// Bytes of getting to a cell.
    pub(crate) fn jump_bytes(&self, column: u16, row: u16) -> usize {
        match self.cursor {
            Some((at, on)) if on == row && at == column => 0,
            Some((at, on)) if on == row && at < column => forward_bytes(column - at),
            _ => 4 + digits(row + 1) + digits(column + 1),
        }
    }

    /// Draws `glyph` in a cell, colours first where they differ from the ones selected.
    pub(crate) fn put(
        &mut self,
        (column, row): (u16, u16),
        glyph: char,
        colours: (Colour, Colour),
    ) {
        if self.out.len() == self.start {
            self.out.extend_from_slice(SAVE);
        } else if self.out.len() - self.piece + PIECE_END_BYTES > PIECE_BYTES {
            self.cut();
        }
        self.go_to(column, row);
        self.select(colours);
        let mut utf8 = [0; 4];
        self.out
            .extend_from_slice(glyph.encode_utf8(&mut utf8).as_bytes());
        // Behind the last column terminals differ in where the cursor is.
        let next = column + 1;
        self.cursor = (next < self.columns).then_some((next, row));
    }

    /// Begins a piece: nothing is taken as known, so that something else may be written in between.
    fn cut(&mut self) {
        self.piece = self.out.len();
        self.cuts.push(self.piece - self.start);
        self.cursor = None;
        self.selected = false;
        (self.foreground, self.background) = (Colour::Default, Colour::Default);
    }

    /// Ends the frame: bytes of it, none when nothing was drawn, and where it may be cut.
    pub(crate) fn finish(self) -> (usize, Vec<usize>) {
        let bytes = self.bytes();
        if bytes > 0 {
            self.out.extend_from_slice(RESTORE);
        }
        (bytes, self.cuts)
    }

    fn go_to(&mut self, column: u16, row: u16) {
        match self.cursor {
            Some((at, on)) if on == row && at == column => {}
            Some((at, on)) if on == row && at < column => {
                self.out.extend_from_slice(b"\x1b[");
                if column - at > 1 {
                    number(self.out, column - at);
                }
                self.out.push(b'C');
            }
            _ => {
                self.out.extend_from_slice(b"\x1b[");
                number(self.out, row + 1);
                self.out.push(b';');
                number(self.out, column + 1);
                self.out.push(b'H');
            }
        }
    }

    fn select(&mut self, (foreground, background): (Colour, Colour)) {
        let new_foreground = foreground != self.foreground;
        let new_background = background != self.background;
        if self.selected && !new_foreground && !new_background {
            return;
        }
        self.out.extend_from_slice(b"\x1b[");
        if !self.selected && (new_foreground || new_background) {
            self.out.extend_from_slice(FIRST_SGR);
        }
        if new_foreground {
            colour(self.out, foreground, b'3');
        }
        if new_background {
            if new_foreground {
                self.out.push(b';');
            }
            colour(self.out, background, b'4');
        }
        self.out.push(b'm');
        self.selected = true;
        (self.foreground, self.background) = (foreground, background);
    }
}

/// Bytes of moving right by `columns`: `ESC [ n C`, no number for one.
fn forward_bytes(columns: u16) -> usize {
    3 + if columns > 1 { digits(columns) } else { 0 }
}

fn digits(number: u16) -> usize {
    match number {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        1000..=9999 => 4,
        10000.. => 5,
    }
}

fn number(out: &mut Vec<u8>, number: u16) {
    let mut divisor = 10u16.pow(digits(number) as u32 - 1);
    while divisor > 0 {
        out.push(b'0' + (number / divisor % 10) as u8);
        divisor /= 10;
    }
}

/// `ground` is the first digit: 3 in front, 4 behind.
fn colour(out: &mut Vec<u8>, colour: Colour, ground: u8) {
    match colour {
        Colour::Default => out.extend_from_slice(&[ground, b'9']),
        Colour::Palette(entry @ 0..8) => out.extend_from_slice(&[ground, b'0' + entry]),
        // 90 to 97 and 100 to 107.
        Colour::Palette(entry @ 8..16) => {
            let bright: &[u8] = if ground == b'3' { b"9" } else { b"10" };
            out.extend_from_slice(bright);
            out.push(b'0' + entry - 8);
        }
        Colour::Palette(entry) => {
            out.extend_from_slice(&[ground, b'8', b';', b'5', b';']);
            number(out, u16::from(entry));
        }
        Colour::Rgb(rgb) => {
            out.extend_from_slice(&[ground, b'8', b';', b'2']);
            for level in rgb {
                out.push(b';');
                number(out, u16::from(level));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Colour = Colour::Rgb([255, 0, 9]);
    const GREY: Colour = Colour::Palette(240);

    fn text(draw: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, 80);
        draw(&mut writer);
        let (bytes, cuts) = writer.finish();
        assert!(cuts.is_empty());
        assert_eq!(bytes, out.len());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_drawn_is_nothing_written() {
        assert_eq!(text(|_| {}), "");
    }

    #[test]
    fn moves_and_colours_are_said_once() {
        let drawn = text(|writer| {
            writer.put((9, 0), '▀', (RED, GREY));
            writer.put((10, 0), ' ', (RED, GREY));
            writer.put((12, 0), '▀', (RED, Colour::Palette(12)));
            writer.put((79, 0), '▀', (Colour::Palette(3), Colour::Palette(12)));
            writer.put((0, 1), '▀', (Colour::Palette(8), Colour::Palette(12)));
        });
        assert_eq!(
            drawn,
            "\x1b7\x1b[1;10H\x1b[0;38;2;255;0;9;48;5;240m▀ \x1b[C\x1b[104m▀\x1b[66C\x1b[33m▀\x1b[2;1H\x1b[90m▀\x1b[m\x1b8"
        );
    }

    #[test]
    fn without_colours_those_from_before_are_still_dropped() {
        let plain = (Colour::Default, Colour::Default);
        let drawn = text(|writer| {
            writer.put((0, 0), '#', plain);
            writer.put((1, 0), '@', plain);
        });
        assert_eq!(drawn, "\x1b7\x1b[1;1H\x1b[m#@\x1b[m\x1b8");
    }

    #[test]
    fn a_long_frame_is_in_pieces_that_need_nothing_of_one_another() {
        let mut out = b"before".to_vec();
        let mut writer = Writer::new(&mut out, 200);
        for place in 0..2000u16 {
            let level = (place % 251) as u8;
            let colours = (Colour::Rgb([level, 0, 7]), Colour::Rgb([9, level, 0]));
            writer.put((place % 200, place / 200), '▀', colours);
        }
        let (bytes, cuts) = writer.finish();
        assert_eq!(out.len(), 6 + bytes);
        let mut starts = vec![0];
        starts.extend(&cuts);
        starts.push(bytes);
        assert!(starts.len() > 10, "{cuts:?}");
        for pair in starts.windows(2) {
            assert!(pair[1] - pair[0] + SAVE.len() + RESTORE.len() <= PIECE_BYTES);
        }
        for cut in cuts {
            let piece = String::from_utf8_lossy(&out[6 + cut..]).into_owned();
            // A place and both colours, from nothing.
            assert!(piece.starts_with("\x1b["), "{piece:.30}");
            let (place, rest) = piece[2..].split_once('H').expect("a place");
            assert!(
                place.contains(';') && rest.starts_with("\x1b[0;38;2;"),
                "{piece:.40}"
            );
        }
    }

    #[test]
    fn costs_are_what_is_written_and_no_cell_is_longer_than_said() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, 2048);
        let white = Colour::Rgb([255; 3]);
        writer.put((3, 1000), '▀', (RED, GREY));
        for (column, row) in [
            (4, 1000),
            (5, 1000),
            (7, 1000),
            (30, 1000),
            (1, 1000),
            (9, 9),
            (1999, 1999),
        ] {
            let before = writer.bytes();
            let jump = writer.jump_bytes(column, row);
            writer.put((column, row), ' ', (RED, GREY));
            assert_eq!(writer.bytes() - before, jump + 1, "{column} {row}");
        }
        let before = writer.bytes();
        writer.put((2046, 2046), '▀', (white, white));
        assert!(writer.bytes() - before <= CELL_BYTES_MAX);
    }
}

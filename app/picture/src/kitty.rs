//! Pictures by the kitty graphics protocol (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>): 24 bits, compressed.
//!
//! A picture is sent under a number in chunks, which show nothing, and then placed: rectangles of it on rectangles of
//! cells, scaled by the terminal. The next one has another number, and the one before is deleted after it was placed, so
//! that no moment is without a picture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;

use crate::screen::Rect;

/// Of ten levels the quickest that still saves: a picture is noise below its upper bits.
const LEVEL: u8 = 1;
/// Bytes of base64 in a chunk; the protocol's limit.
const CHUNK_BYTES: usize = 4_096;

/// Takes all pictures off the screen and forgets them.
pub const KITTY_CLEAR: &[u8] = b"\x1b_Ga=d,d=A,q=2\x1b\\";

/// Asks whether the terminal knows the protocol: it answers `ESC _ G i=31;OK ESC \`, others nothing. Nothing is shown.
pub const KITTY_QUERY: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";

/// Appends a picture of `size` pixels as number `id`; where chunks begin is added to `cuts`. Shows nothing yet.
pub(crate) fn transmit(
    id: u32,
    rgb: &[u8],
    (width, height): (usize, usize),
    out: &mut Vec<u8>,
    cuts: &mut Vec<usize>,
) {
    let text = STANDARD.encode(compress_to_vec_zlib(rgb, LEVEL));
    let chunks = text.as_bytes().chunks(CHUNK_BYTES);
    let count = chunks.len();
    for (number, chunk) in chunks.enumerate() {
        cuts.push(out.len());
        let more = u8::from(number + 1 < count);
        let keys = if number == 0 {
            format!("\x1b_Ga=t,f=24,o=z,s={width},v={height},i={id},q=2,m={more};")
        } else {
            format!("\x1b_Gq=2,m={more};")
        };
        out.extend_from_slice(keys.as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\x1b\\");
    }
}

/// Appends what shows a rectangle of picture `id`, in pixels, on `cells`. The cursor is moved to the cells first and not
/// by the picture.
pub(crate) fn place(
    id: u32,
    number: usize,
    (x, y, width, height): (usize, usize, usize, usize),
    cells: Rect,
    out: &mut Vec<u8>,
) {
    let (column, row) = (cells.x + 1, cells.y + 1);
    let (columns, rows) = (cells.columns, cells.rows);
    let text = format!(
        "\x1b[{row};{column}H\x1b_Ga=p,i={id},p={number},x={x},y={y},w={width},h={height},c={columns},r={rows},C=1,q=2\x1b\\"
    );
    out.extend_from_slice(text.as_bytes());
}

/// Appends what takes picture `id` off the screen and forgets it.
pub(crate) fn delete(id: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\").as_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    /// What a terminal that knows the protocol would show.
    #[derive(Debug, Default)]
    pub(crate) struct Shown {
        /// Pictures it keeps: size and pixels.
        pub(crate) pictures: BTreeMap<u32, (usize, usize, Vec<u8>)>,
        /// Rectangles placed: picture, its part in pixels, first cell (from 1), cells across and down.
        pub(crate) places: BTreeMap<(u32, u32), Placement>,
        pending: Option<(u32, usize, usize, String)>,
        cursor: (u32, u32),
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Placement {
        pub(crate) part: [u32; 4],
        pub(crate) cursor: (u32, u32),
        pub(crate) cells: (u32, u32),
    }

    impl Shown {
        /// Takes in whole frames; panics at whatever is none.
        pub(crate) fn process(&mut self, bytes: &[u8]) {
            let mut text = std::str::from_utf8(bytes).expect("text");
            while !text.is_empty() {
                if let Some(rest) = text.strip_prefix("\x1b_G") {
                    let (command, rest) = rest.split_once("\x1b\\").expect("it ends");
                    self.command(command);
                    text = rest;
                } else {
                    let (move_to, rest) = text.split_at(text.find('\x1b').map_or(0, |_| {
                        text[1..].find('\x1b').map_or(text.len(), |at| at + 1)
                    }));
                    assert!(!move_to.is_empty(), "{text:?}");
                    if let Some(place) = move_to
                        .strip_prefix("\x1b[")
                        .and_then(|place| place.strip_suffix('H'))
                    {
                        let (row, column) = place.split_once(';').expect("two numbers");
                        self.cursor = (
                            column.parse().expect("a column"),
                            row.parse().expect("a row"),
                        );
                    }
                    text = rest;
                }
            }
            assert!(self.pending.is_none(), "half a picture");
        }

        fn command(&mut self, command: &str) {
            let (keys, payload) = command.split_once(';').unwrap_or((command, ""));
            let keys: BTreeMap<&str, &str> = keys
                .split(',')
                .map(|key| key.split_once('=').expect("key=value"))
                .collect();
            let number = |key: &str| keys[key].parse::<u32>().expect("a number");
            if let Some(("t" | "p" | "d", action)) = keys.get("a").map(|action| (*action, *action))
            {
                assert!(self.pending.is_none(), "chunks are not interrupted");
                match action {
                    "t" => {
                        assert_eq!((keys["f"], keys["o"]), ("24", "z"));
                        self.pending = Some((
                            number("i"),
                            number("s") as usize,
                            number("v") as usize,
                            String::new(),
                        ));
                    }
                    "p" => {
                        assert_eq!(keys["C"], "1", "the cursor stays");
                        assert!(
                            self.pictures.contains_key(&number("i")),
                            "it was sent before"
                        );
                        let place = Placement {
                            part: ["x", "y", "w", "h"].map(number),
                            cursor: self.cursor,
                            cells: (number("c"), number("r")),
                        };
                        self.places.insert((number("i"), number("p")), place);
                        return;
                    }
                    _ => {
                        let is_gone = |id: u32| keys["d"] == "A" || id == number("i");
                        self.pictures.retain(|id, _| !is_gone(*id));
                        self.places.retain(|(id, _), _| !is_gone(*id));
                        return;
                    }
                }
            }
            assert!(payload.len() <= CHUNK_BYTES);
            let (id, width, height, text) = self.pending.as_mut().expect("a first chunk");
            text.push_str(payload);
            if keys["m"] == "0" {
                let bytes = STANDARD.decode(text).expect("base64");
                let rgb = decompress_to_vec_zlib(&bytes).expect("zlib");
                assert_eq!(rgb.len(), *width * *height * 3);
                self.pictures.insert(*id, (*width, *height, rgb));
                self.pending = None;
            }
        }
    }

    #[test]
    fn a_picture_arrives_in_chunks_is_placed_and_goes() {
        let rgb: Vec<u8> = (1..=90u32 * 60 * 3)
            .map(|i| (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let (mut out, mut cuts) = (Vec::new(), Vec::new());
        transmit(7, &rgb, (90, 60), &mut out, &mut cuts);
        assert!(cuts.len() > 3 && cuts.iter().all(|&cut| out[cut..].starts_with(b"\x1b_G")));
        place(7, 1, (0, 10, 90, 50), Rect::new(3, 4, 9, 5), &mut out);
        let mut shown = Shown::default();
        shown.process(&out);
        assert_eq!(shown.pictures[&7], (90, 60, rgb));
        let placed = Placement {
            part: [0, 10, 90, 50],
            cursor: (4, 5),
            cells: (9, 5),
        };
        assert_eq!(shown.places[&(7, 1)], placed);
        let mut gone = Vec::new();
        delete(7, &mut gone);
        shown.process(&gone);
        assert!(shown.pictures.is_empty() && shown.places.is_empty());
        shown.process(&out);
        shown.process(KITTY_CLEAR);
        assert!(shown.pictures.is_empty() && shown.places.is_empty());
    }
}

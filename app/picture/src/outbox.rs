//! What goes to the terminal next: the interface before pictures, a picture in pieces, and never half of anything.
//!
//! One slot for the frame of a picture: who encodes looks first whether it is free ([`Outbox::takes_picture`]), so that
//! what waits is never old. While a frame is being written, text that does not touch it comes between its pieces. Every
//! piece ends where a terminal has nothing begun, so that writing can stop after any of them.
//!
//! Pure: whoever writes takes pieces ([`Outbox::next_piece`]) one after another.

use std::collections::VecDeque;

use crate::write::{PIECE_BYTES, RESTORE, SAVE};

/// Most text that waits: several times the repaint of the largest screen. What does not fit is left out as a whole.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// Where text goes when a picture's frame waits or is half written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before it, or between its pieces: the two touch different cells.
    Urgent,
    /// Behind it: the frame was made for another arrangement of the screen.
    BehindPicture,
}

/// A frame and how far it is written.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    cuts: VecDeque<usize>,
    written: usize,
    /// Cursor and colours were given back in between.
    is_paused: bool,
}

/// The bytes that wait.
#[derive(Debug, Default)]
pub struct Outbox {
    text: Vec<u8>,
    /// Of `text`, given out already.
    written: usize,
    is_text_behind: bool,
    frame: Option<Frame>,
    /// Cursor and colours of a frame that was given up are to be given back before the text.
    owes_restore: bool,
}

impl Outbox {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a new drawing of the interface may be put in: the one before is written.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether a frame may be put in: the one before is written.
    #[must_use]
    pub fn takes_picture(&self) -> bool {
        self.frame.is_none()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.takes_text() && self.takes_picture()
    }

    /// Puts in text and sequences, behind the text that waits. They must be whole. False: too much waits already
    /// ([`TEXT_BYTES_MAX`]), and nothing was put in.
    pub fn put_text(&mut self, bytes: &[u8], place: Place) -> bool {
        if self.text.len() - self.written + bytes.len() > TEXT_BYTES_MAX {
            return false;
        }
        self.is_text_behind |= place == Place::BehindPicture && self.frame.is_some();
        self.text.extend_from_slice(bytes);
        true
    }

    /// Puts in a frame of [`Encoder::encode`](crate::Encoder::encode) with what follows it, and where it may be cut.
    ///
    /// # Panics
    /// A frame waits already: see [`Self::takes_picture`].
    pub fn put_picture(&mut self, bytes: Vec<u8>, cuts: &[usize]) {
        assert!(self.frame.is_none(), "one frame waits at most");
        if !bytes.is_empty() {
            self.frame = Some(Frame {
                cuts: cuts.iter().copied().collect(),
                bytes,
                written: 0,
                is_paused: false,
            });
        }
    }

    /// Forgets all that was not given out and puts in `last` alone; the rest of a begun frame is replaced by its end. What
    /// the encoder believes to be shown is not true any more.
    pub fn replace_all(&mut self, last: &[u8]) {
        self.text.clear();
        self.written = 0;
        self.owes_restore |= self.is_frame_open();
        self.frame = None;
        self.is_text_behind = false;
        self.text.extend_from_slice(last);
    }

    /// What is to be written now, at most about [`PIECE_BYTES`]; `None`: nothing waits.
    pub fn next_piece(&mut self) -> Option<Vec<u8>> {
        let waits = self.is_text_behind && self.frame.is_some();
        if !self.text.is_empty() && !waits {
            return Some(self.text_piece());
        }
        self.picture_piece()
    }

    fn is_frame_open(&self) -> bool {
        let is_open = |frame: &Frame| frame.written > 0 && !frame.is_paused;
        self.frame.as_ref().is_some_and(is_open)
    }

    fn text_piece(&mut self) -> Vec<u8> {
        let mut piece = Vec::new();
        if std::mem::take(&mut self.owes_restore) || self.is_frame_open() {
            piece.extend_from_slice(RESTORE);
        }
        if let Some(frame) = self.frame.as_mut().filter(|frame| frame.written > 0) {
            frame.is_paused = true;
        }
        let left = &self.text[self.written..];
        let length = whole_bytes(left, PIECE_BYTES - piece.len());
        piece.extend_from_slice(&left[..length]);
        self.written += length;
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
            self.is_text_behind = false;
        }
        piece
    }

    fn picture_piece(&mut self) -> Option<Vec<u8>> {
        let frame = self.frame.as_mut()?;
        let mut piece = Vec::new();
        if std::mem::take(&mut frame.is_paused) {
            piece.extend_from_slice(SAVE);
        }
        let end = frame.cuts.pop_front().unwrap_or(frame.bytes.len());
        piece.extend_from_slice(&frame.bytes[frame.written..end]);
        frame.written = end;
        if end == frame.bytes.len() {
            self.frame = None;
        }
        Some(piece)
    }
}

/// What a terminal is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Nothing,
    Escape,
    Control,
    /// A string.
    Text {
        /// It may end with BEL.
        is_osc: bool,
        /// Its last byte was an escape. Two in a row are one inside, as tmux wants it.
        is_escaped: bool,
    },
}

/// The most of `bytes`, up to `most`, after which nothing is begun: no escape, no string, no character. When that is
/// nothing at all, the least.
fn whole_bytes(bytes: &[u8], most: usize) -> usize {
    let mut begun = Begun::Nothing;
    let mut whole = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        begun = match (begun, byte) {
            (Begun::Nothing, 0x1b) => Begun::Escape,
            (Begun::Nothing, _) => Begun::Nothing,
            (Begun::Escape, b'[') => Begun::Control,
            (Begun::Escape, b'P' | b']' | b'X' | b'^' | b'_') => Begun::Text {
                is_osc: byte == b']',
                is_escaped: false,
            },
            (Begun::Escape, 0x20..=0x2f) => Begun::Escape,
            (Begun::Escape, _) => Begun::Nothing,
            (Begun::Control, 0x40..=0x7e) => Begun::Nothing,
            (Begun::Control, _) => Begun::Control,
            (
                Begun::Text {
                    is_escaped: true, ..
                },
                b'\\',
            )
            | (Begun::Text { is_osc: true, .. }, 0x07) => Begun::Nothing,
            (Begun::Text { is_osc, is_escaped }, byte) => Begun::Text {
                is_osc,
                is_escaped: byte == 0x1b && !is_escaped,
            },
        };
        let is_character_whole = bytes.get(at + 1).is_none_or(|next| next & 0xc0 != 0x80);
        if begun == Begun::Nothing && is_character_whole {
            if at + 1 > most && whole > 0 {
                return whole;
            }
            whole = at + 1;
            if whole >= most {
                return whole;
            }
        }
    }
    // What ends in the middle of something was put in so.
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_piece())
            .map(|piece| String::from_utf8(piece).expect("whole characters"))
            .collect()
    }

    #[test]
    fn text_comes_first_and_a_picture_is_whole() {
        let mut outbox = Outbox::new();
        outbox.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        assert!(outbox.put_text(b"key", Place::Urgent));
        assert!(!outbox.takes_picture() && !outbox.takes_text());
        assert_eq!(drain(&mut outbox), ["key", "\x1b7A", "|B\x1b8"]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn text_between_pieces_has_cursor_and_colours_as_they_were() {
        let mut outbox = Outbox::new();
        outbox.put_picture(b"\x1b7A|B|C\x1b8".to_vec(), &[3, 5]);
        assert_eq!(outbox.next_piece().as_deref(), Some(&b"\x1b7A"[..]));
        outbox.put_text(b"one", Place::Urgent);
        outbox.put_text(b"two", Place::Urgent);
        assert_eq!(
            drain(&mut outbox),
            ["\x1b[m\x1b8onetwo", "\x1b7|B", "|C\x1b8"]
        );
    }

    #[test]
    fn text_for_another_arrangement_waits_for_the_picture() {
        let mut outbox = Outbox::new();
        outbox.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        outbox.next_piece();
        outbox.put_text(b"menu", Place::BehindPicture);
        outbox.put_text(b"bell", Place::Urgent);
        assert_eq!(drain(&mut outbox), ["|B\x1b8", "menubell"]);
        // Without a picture there is nothing to wait for, and nothing of it stays.
        outbox.put_text(b"menu", Place::BehindPicture);
        outbox.put_picture(b"picture".to_vec(), &[]);
        assert_eq!(drain(&mut outbox), ["menu", "picture"]);
    }

    #[test]
    fn the_end_gives_back_what_a_picture_took() {
        let mut outbox = Outbox::new();
        outbox.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        outbox.put_text(b"text", Place::BehindPicture);
        outbox.next_piece();
        outbox.replace_all(b"first");
        outbox.replace_all(b"last");
        assert_eq!(drain(&mut outbox), ["\x1b[m\x1b8last"]);
        outbox.put_picture(b"\x1b7A|B\x1b8".to_vec(), &[3]);
        outbox.replace_all(b"last");
        assert_eq!(drain(&mut outbox), ["last"], "it was not begun");
    }

    #[test]
    fn too_much_text_is_left_out_as_a_whole() {
        let mut outbox = Outbox::new();
        assert!(outbox.put_text(&vec![b'x'; TEXT_BYTES_MAX - 1], Place::Urgent));
        assert!(!outbox.put_text(b"yz", Place::Urgent));
        assert!(outbox.put_text(b"y", Place::Urgent));
    }

    #[test]
    fn nothing_is_cut_that_a_terminal_would_take_for_something_else() {
        for (text, most, whole) in [
            ("abc\x1b[1;2Hd", 5, 3),
            ("\x1b[38;2;1;2;3mx", 4, 13),
            ("ab▀c", 3, 2),
            ("\x1b]0;title\x07x", 3, 10),
            ("\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\y", 9, 16),
            ("\x1b(0x", 2, 3),
            ("abc", 9, 3),
        ] {
            assert_eq!(whole_bytes(text.as_bytes(), most), whole, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn all_text_comes_out_once_in_order_and_in_short_pieces(
            words in prop::collection::vec("[a-z▀é]{0,9}(\x1b\\[[0-9;]{0,9}[mH])?", 0..1200),
        ) {
            let text: String = words.concat();
            let mut outbox = Outbox::new();
            prop_assert!(outbox.put_text(text.as_bytes(), Place::Urgent));
            let pieces = drain(&mut outbox);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            prop_assert_eq!(pieces.concat(), text);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), most in 1usize..50) {
            let whole = whole_bytes(&bytes, most);
            prop_assert!(whole <= bytes.len() && (whole > 0 || bytes.is_empty()));
        }
    }
}

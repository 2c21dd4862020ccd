//! What a terminal sends: keys, pasted text, focus, and answers to questions, told apart by their bytes.
//!
//! A parser of our own, because answers come among the keys and at any time: a library that reads keys throws them away or
//! takes them for keys. Bytes in, [`Input`]s out; no terminal, no clock. Whoever reads the terminal tells how long nothing
//! followed ([`Parser::pause`]): an escape alone is the Escape key.
//!
//! Sources: ECMA-48, xterm's control sequences, the kitty keyboard protocol.

use std::time::Duration;

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// An escape that nothing follows for this long was the key. Longer makes the key slow, shorter splits what a slow line
/// delivers in pieces.
const ESCAPE_TIME: Duration = Duration::from_millis(50);
/// The same for what cannot be a key: over a bad line the rest of an answer comes late, and is no key either.
const SEQUENCE_TIME: Duration = Duration::from_secs(1);
/// Longest control sequence taken: longer ones are no terminal's and dropped.
const SEQUENCE_BYTES_MAX: usize = 256;
/// Longest string (DCS, OSC, APC) remembered; the rest of a longer one is read and forgotten.
const STRING_BYTES_MAX: usize = 4_096;
/// Longest paste taken: a text message is shorter, and so is any link. The rest is read and forgotten.
const PASTE_BYTES_MAX: usize = 64 * 1024;
const PASTE_END: &[u8] = b"\x1b[201~";

/// One thing the terminal sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// For the program.
    Event(Event),
    /// An answer.
    Reply(Reply),
}

/// Answers, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `CSI 0 n`: all before the question was taken in.
    Status,
    /// `CSI ? … c`: what it is (DA1), the last answer to a row of questions.
    Attributes(Vec<u16>),
    /// `CSI ? mode ; state $ y`: a private mode; 1 set, 2 reset, 0 unknown, 3 and 4 fixed.
    Mode(u16, u16),
    /// `CSI ? flags u`: the kitty keyboard protocol is there.
    Keyboard(u16),
    /// `DCS > | text ST`: name and version.
    Version(String),
    /// `DCS 1 $ r text ST`: a setting (DECRQSS), or nothing.
    Setting(Option<String>),
    /// `OSC 11 ; rgb:… ST`: the colour of the ground, 8 bits each.
    Ground([u8; 3]),
    /// `CSI 6 ; down ; across t`: pixels of a cell; across first here.
    CellPixels(u16, u16),
    /// `APC G … ; OK ST`: the kitty graphics protocol is there; false where it says that something was wrong.
    Graphics(bool),
    /// Some other answer; no key in any case.
    Other,
}

/// Tells keys from answers.
#[derive(Debug, Default)]
pub struct Parser {
    /// Of what is not whole yet.
    held: Vec<u8>,
    paste: Option<Vec<u8>>,
}

/// What the held bytes are.
enum Held {
    /// The beginning of something.
    Part,
    /// All of something, or of nothing.
    Whole(Option<Input>),
    /// Something, and the last byte begins the next.
    WholeButLast(Option<Input>),
    /// A paste begins.
    Paste,
}

impl Parser {
    /// Takes in bytes as they come, in any pieces.
    pub fn feed(&mut self, bytes: &[u8], mut out: impl FnMut(Input)) {
        for &byte in bytes {
            if self.paste.is_some() {
                self.paste_byte(byte, &mut out);
                continue;
            }
            self.held.push(byte);
            self.look(&mut out);
        }
    }

    /// How long to wait for more before telling [`Self::pause`]; `None`: for as long as it takes.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        match (self.held.as_slice(), &self.paste) {
            ([], _) | (_, Some(_)) => None,
            (held, None) if is_key_alone(held) => Some(ESCAPE_TIME),
            _ => Some(SEQUENCE_TIME),
        }
    }

    /// Nothing followed for [`Self::patience`]: an escape alone was the key, anything else incomplete is dropped.
    pub fn pause(&mut self, mut out: impl FnMut(Input)) {
        if self.paste.is_some() {
            return;
        }
        match std::mem::take(&mut self.held).as_slice() {
            [0x1b] => out(key(KeyCode::Esc, KeyModifiers::NONE)),
            // Alt with a bracket, which looks like the beginning of more.
            [0x1b, byte] => out(key(KeyCode::Char(char::from(*byte)), KeyModifiers::ALT)),
            _ => {}
        }
    }

    fn look(&mut self, out: &mut impl FnMut(Input)) {
        match held(&self.held) {
            Held::Part => {
                // Strings are longer, and cut in `string`.
                let is_string = matches!(self.held.get(1), Some(b'P' | b']' | b'X' | b'^' | b'_'));
                if is_string && self.held.len() > STRING_BYTES_MAX {
                    // Keeps the beginning and the newest byte, by which the end is seen.
                    let newest = self.held.len() - 1;
                    self.held.remove(newest - 1);
                } else if !is_string && self.held.len() > SEQUENCE_BYTES_MAX {
                    self.held.clear();
                }
            }
            Held::Whole(input) => {
                self.held.clear();
                input.into_iter().for_each(out);
            }
            Held::WholeButLast(input) => {
                let last = self.held.pop();
                self.held.clear();
                input.into_iter().for_each(&mut *out);
                self.held.extend(last);
                self.look(out);
            }
            Held::Paste => {
                self.held.clear();
                self.paste = Some(Vec::new());
            }
        }
    }

    fn paste_byte(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        let Some(pasted) = &mut self.paste else {
            return;
        };
        // The end is looked for in what came last, so that a paste too long still ends.
        self.held.push(byte);
        if self.held == PASTE_END {
            let text = String::from_utf8_lossy(pasted).into_owned();
            (self.held, self.paste) = (Vec::new(), None);
            return out(Input::Event(Event::Paste(text)));
        }
        while !PASTE_END.starts_with(&self.held) {
            let first = self.held.remove(0);
            if pasted.len() < PASTE_BYTES_MAX {
                pasted.push(first);
            }
        }
    }
}

/// An escape, or Alt with a key, that may be the beginning of more.
fn is_key_alone(held: &[u8]) -> bool {
    matches!(
        held,
        [0x1b] | [0x1b, b'[' | b']' | b'O' | b'P' | b'X' | b'^' | b'_']
    )
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Event(Event::Key(KeyEvent::new(code, modifiers)))
}

fn held(bytes: &[u8]) -> Held {
    match bytes {
        [] => Held::Part,
        [0x1b] => Held::Part,
        [0x1b, 0x1b] => Held::WholeButLast(Some(key(KeyCode::Esc, KeyModifiers::NONE))),
        [0x1b, b'[', rest @ ..] => control(rest),
        [0x1b, b'O', rest @ ..] => single_shift(rest),
        [0x1b, kind @ (b'P' | b']' | b'X' | b'^' | b'_'), rest @ ..] => string(*kind, rest),
        [0x1b, rest @ ..] => match held(rest) {
            Held::Whole(Some(Input::Event(Event::Key(pressed)))) => Held::Whole(Some(key(
                pressed.code,
                pressed.modifiers | KeyModifiers::ALT,
            ))),
            other => other,
        },
        _ => character(bytes),
    }
}

/// Text, and control characters as keys with Ctrl.
fn character(bytes: &[u8]) -> Held {
    let control = |code| Held::Whole(Some(key(KeyCode::Char(code), KeyModifiers::CONTROL)));
    let plain = |code| Held::Whole(Some(key(code, KeyModifiers::NONE)));
    match bytes[0] {
        b'\r' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        0x7f => plain(KeyCode::Backspace),
        0 => control(' '),
        byte @ 0x01..=0x1a => control(char::from(byte - 1 + b'a')),
        byte @ 0x1c..=0x1f => control(char::from(byte - 0x1c + b'4')),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Held::Whole(text.chars().next().map(typed)),
            Err(error) if error.error_len().is_none() && bytes.len() < 4 => Held::Part,
            // Not UTF-8: the byte that broke it may begin something.
            Err(_) if bytes.len() > 1 => Held::WholeButLast(None),
            Err(_) => Held::Whole(None),
        },
    }
}

fn typed(character: char) -> Input {
    let modifiers = if character.is_uppercase() {
        KeyModifiers::SHIFT
    } else {
        KeyModifiers::NONE
    };
    key(KeyCode::Char(character), modifiers)
}

/// `ESC O`: keys of the application mode.
fn single_shift(rest: &[u8]) -> Held {
    match rest {
        [] => Held::Part,
        [letter, ..] => Held::Whole(letter_key(*letter).map(|code| key(code, KeyModifiers::NONE))),
    }
}

fn letter_key(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'R' => KeyCode::F(3),
        b'S' => KeyCode::F(4),
        _ => return None,
    })
}

/// `CSI`: parameters, intermediates, a final byte.
fn control(rest: &[u8]) -> Held {
    // The Linux console's F1 to F5, and the mouse of old: a letter, and then bytes of any kind.
    match rest {
        [b'['] => return Held::Part,
        [b'[', letter @ b'A'..=b'E', ..] => {
            return Held::Whole(Some(key(KeyCode::F(letter - b'A' + 1), KeyModifiers::NONE)));
        }
        [b'M', mouse @ ..] if mouse.len() < 3 => return Held::Part,
        [b'M', ..] => return Held::Whole(None),
        _ => {}
    }
    let Some((&last, before)) = rest.split_last() else {
        return Held::Part;
    };
    match last {
        0x20..=0x3f => Held::Part,
        0x40..=0x7e if before == b"200" && last == b'~' => Held::Paste,
        0x40..=0x7e => Held::Whole(finished(before, last)),
        // No sequence: what broke it is looked at by itself.
        _ => Held::WholeButLast(None),
    }
}

/// A whole control sequence.
fn finished(before: &[u8], last: u8) -> Option<Input> {
    let reply = |reply| Some(Input::Reply(reply));
    let split = before.iter().position(|byte| (0x20..0x30).contains(byte));
    let (parameters, between) = before.split_at(split.unwrap_or(before.len()));
    let (private, parameters) = match parameters.split_first() {
        Some((private @ 0x3c..=0x3f, rest)) => (Some(*private), rest),
        _ => (None, parameters),
    };
    let numbers = numbers(parameters)?;
    let first = |at: usize| numbers.get(at).and_then(|part| part.first()).copied();
    match (private, between, last) {
        (Some(b'<'), [], b'M' | b'm') => mouse(&numbers, last == b'm'),
        (Some(b'?'), [b'$'], b'y') => reply(Reply::Mode(first(0)?, first(1)?)),
        (Some(b'?'), [], b'c') => reply(Reply::Attributes(
            numbers
                .iter()
                .filter_map(|part| part.first().copied())
                .collect(),
        )),
        (Some(b'?'), [], b'u') => reply(Reply::Keyboard(first(0).unwrap_or(0))),
        (None, [], b'n') => reply(Reply::Status),
        (None, [], b't') if first(0) == Some(6) => reply(Reply::CellPixels(first(2)?, first(1)?)),
        (Some(_), ..) | (None, [_, ..], _) | (None, [], b't' | b'c') => reply(Reply::Other),
        // The cursor's place; F3 with a modifier looks the same and has the first number 1.
        (None, [], b'R') if first(0) != Some(1) && numbers.len() > 1 => reply(Reply::Other),
        (None, [], b'I') => Some(Input::Event(Event::FocusGained)),
        (None, [], b'O') => Some(Input::Event(Event::FocusLost)),
        (None, [], b'Z') => Some(key(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (None, [], b'~') => with_modifiers(numbered_key(first(0)?)?, &numbers),
        (None, [], b'u') => with_modifiers(unicode_key(first_wide(parameters)?)?, &numbers),
        (None, [], letter) => with_modifiers(letter_key(letter)?, &numbers),
    }
}

/// Parameters and their parts; empty ones are 0, and numbers too large for any terminal the largest.
fn numbers(parameters: &[u8]) -> Option<Vec<Vec<u16>>> {
    let number = |text: &[u8]| {
        text.iter().try_fold(0u16, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
            Some(number.saturating_mul(10).saturating_add(digit))
        })
    };
    let part = |part: &[u8]| part.split(|byte| *byte == b':').map(number).collect();
    parameters.split(|byte| *byte == b';').map(part).collect()
}

/// The first number, which for a character may need more than 16 bits.
fn first_wide(parameters: &[u8]) -> Option<u32> {
    let digits = parameters.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn numbered_key(number: u16) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        // The numbers have gaps where the VT220's keyboard had.
        11..=15 => KeyCode::F((number - 10) as u8),
        17..=21 => KeyCode::F((number - 11) as u8),
        23..=26 => KeyCode::F((number - 12) as u8),
        28..=29 => KeyCode::F((number - 13) as u8),
        31..=34 => KeyCode::F((number - 14) as u8),
        _ => return None,
    })
}

fn unicode_key(number: u32) -> Option<KeyCode> {
    Some(match number {
        9 => KeyCode::Tab,
        13 | 57414 => KeyCode::Enter,
        27 => KeyCode::Esc,
        127 => KeyCode::Backspace,
        // The private use area: keys of which only those of the number pad write something.
        57399..=57408 => KeyCode::Char(char::from_digit(number - 57399, 10)?),
        57344..=63743 => return None,
        other => KeyCode::Char(char::from_u32(other).filter(|c| !c.is_control())?),
    })
}

/// A key with what the second parameter says: modifiers, and whether it was let go.
fn with_modifiers(code: KeyCode, numbers: &[Vec<u16>]) -> Option<Input> {
    let part = |at: usize| numbers.get(1).and_then(|part| part.get(at)).copied();
    let bits = part(0).unwrap_or(1).saturating_sub(1);
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
        (8, KeyModifiers::SUPER),
    ] {
        if bits & bit != 0 {
            modifiers |= modifier;
        }
    }
    let kind = match part(1) {
        Some(2) => KeyEventKind::Repeat,
        Some(3) => KeyEventKind::Release,
        _ => KeyEventKind::Press,
    };
    let code = match code {
        KeyCode::Char(c) if modifiers.contains(KeyModifiers::SHIFT) => {
            KeyCode::Char(c.to_uppercase().next().unwrap_or(c))
        }
        KeyCode::Tab if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        code => code,
    };
    let pressed = KeyEvent::new_with_kind(code, modifiers, kind);
    Some(Input::Event(Event::Key(pressed)))
}

/// `CSI < button ; column ; row M` (pressed) or `m` (let go); places count from one.
fn mouse(numbers: &[Vec<u16>], is_up: bool) -> Option<Input> {
    let number = |at: usize| numbers.get(at)?.first().copied();
    let (code, column, row) = (number(0)?, number(1)?, number(2)?);
    let button = match code & 0b11 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match code & !0b1_1100 {
        64 => MouseEventKind::ScrollUp,
        65 => MouseEventKind::ScrollDown,
        66 => MouseEventKind::ScrollLeft,
        67 => MouseEventKind::ScrollRight,
        35 => MouseEventKind::Moved,
        32..=34 => MouseEventKind::Drag(button),
        0..=2 if is_up => MouseEventKind::Up(button),
        0..=2 => MouseEventKind::Down(button),
        _ => return None,
    };
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [
        (4, KeyModifiers::SHIFT),
        (8, KeyModifiers::ALT),
        (16, KeyModifiers::CONTROL),
    ] {
        if code & bit != 0 {
            modifiers |= modifier;
        }
    }
    Some(Input::Event(Event::Mouse(MouseEvent {
        kind,
        column: column.saturating_sub(1),
        row: row.saturating_sub(1),
        modifiers,
    })))
}

/// DCS, OSC and their kin: up to the string terminator, or to BEL as xterm allows.
fn string(kind: u8, rest: &[u8]) -> Held {
    let text = match rest {
        [text @ .., 0x1b, b'\\'] => text,
        [text @ .., 0x07] if kind == b']' => text,
        // CAN and SUB give up a string; so does an escape that begins something else.
        [.., 0x18 | 0x1a] => return Held::Whole(None),
        [.., 0x1b, _] => return Held::WholeButLast(None),
        _ => return Held::Part,
    };
    let written = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let reply = match (kind, text) {
        (b'P', [b'>', b'|', version @ ..]) => Reply::Version(written(version)),
        (b'P', [b'1', b'$', b'r', setting @ ..]) => Reply::Setting(Some(written(setting))),
        (b'P', [b'0', b'$', b'r', ..]) => Reply::Setting(None),
        (b'_', [b'G', answer @ ..]) => Reply::Graphics(answer.ends_with(b";OK")),
        (b']', [b'1', b'1', b';', ground @ ..]) => match rgb(ground) {
            Some(ground) => Reply::Ground(ground),
            None => Reply::Other,
        },
        _ => Reply::Other,
    };
    Held::Whole(Some(Input::Reply(reply)))
}

/// `rgb:R/G/B` as XParseColor has it, one to four hexadecimal digits each; the first 8 bits of them.
fn rgb(text: &[u8]) -> Option<[u8; 3]> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.strip_prefix("rgb:")?.split('/').map(|part| {
        let is_number = part.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u32::from_str_radix(part, 16).ok().filter(|_| is_number)?;
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok().filter(|len| *len <= 4)?)? - 1;
        u8::try_from(value * 255 / most).ok()
    });
    let colour = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(colour)
}

#[cfg(test)]
mod tests;

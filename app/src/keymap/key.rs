//! One key: as it is pressed, as it is shown, and as it is written in `config.toml`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key without its meaningless modifiers. Alt is none of a key's own: with it the keys of a call work while typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) code: KeyCode,
    pub(super) is_control: bool,
}

/// Keys that have a name instead of a character. Case does not matter when one is read.
const NAMED: [(&str, KeyCode); 16] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("BackTab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
];
/// Function keys that terminals tell apart.
const FUNCTION_MAX: u8 = 12;

/// What may stand where a key is wanted.
pub const KEYS_ALLOWED: &str = "one character like `m`, `M` or `?`; `Ctrl-` with a letter; Enter, Esc, Tab, BackTab, Space, Backspace, \
     Delete, Insert, Up, Down, Left, Right, PgUp, PgDn, Home, End, or F1 to F12";

pub(super) const fn plain(code: KeyCode) -> Key {
    Key {
        code,
        is_control: false,
    }
}

pub(super) const fn letter(character: char) -> Key {
    plain(KeyCode::Char(character))
}

pub(super) const fn control(character: char) -> Key {
    Key {
        code: KeyCode::Char(character),
        is_control: true,
    }
}

impl Key {
    /// Reads a name as [`Key::name`] writes it; `None` for what is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut characters = name.chars();
        if let (Some(character), None) = (characters.next(), characters.next()) {
            let is_typed = !character.is_control() && !character.is_whitespace();
            return is_typed.then_some(letter(character));
        }
        let lower = name.to_lowercase();
        if let Some(rest) = lower.strip_prefix("ctrl-") {
            let mut characters = rest.chars();
            return match (characters.next(), characters.next()) {
                (Some(character), None) if character.is_ascii_lowercase() => {
                    Some(control(character))
                }
                _ => None,
            };
        }
        if let Some(number) = lower.strip_prefix('f').and_then(|rest| rest.parse().ok()) {
            return (1..=FUNCTION_MAX)
                .contains(&number)
                .then_some(plain(KeyCode::F(number)));
        }
        NAMED
            .iter()
            .find(|(known, _)| known.to_lowercase() == lower)
            .map(|(_, code)| plain(*code))
    }

    /// What to bind instead of a key that terminals send like another one, or that never reaches the program, with the
    /// reason; `None` for a name that is none of these.
    #[must_use]
    pub fn indistinct(name: &str) -> Option<&'static str> {
        let lower = name.to_lowercase();
        Some(match lower.strip_prefix("ctrl-")? {
            "m" => "terminals send it like Enter: use Enter, or another letter",
            "j" => {
                "it is a line feed, which some terminals send for Enter: use Enter, or another letter"
            }
            "i" => "terminals send it like Tab: use Tab, or another letter",
            "[" => "terminals send it like Esc: use Esc",
            "h" => "many terminals send it for Backspace: use Backspace, or another letter",
            "z" => "it stops the program until `fg`: use another letter",
            _ => return None,
        })
    }

    /// The key's name as shown and as written in the configuration.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(character) if character != ' ' => character.to_string(),
            code => NAMED
                .iter()
                .find(|(_, known)| *known == code)
                .map_or_else(|| code.to_string(), |(name, _)| (*name).to_owned()),
        };
        if self.is_control {
            format!("Ctrl-{}", name.to_uppercase())
        } else {
            name
        }
    }

    /// Whether this key types something where text is typed, or moves there.
    #[must_use]
    pub fn is_for_typing(self) -> bool {
        let moves = [
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
        ];
        let is_typed = matches!(self.code, KeyCode::Char(_)) && !self.is_control;
        is_typed || moves.contains(&self.code)
    }

    pub(super) fn matches(self, event: KeyEvent) -> bool {
        self.code == event.code
            && self.is_control == event.modifiers.contains(KeyModifiers::CONTROL)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for name in [
            "m", "M", "?", ":", "é", "Ctrl-C", "Enter", "Space", "PgUp", "End", "F1", "F12",
            "BackTab",
        ] {
            let key = Key::parse(name).expect(name);
            assert_eq!(key.name(), name);
        }
        assert_eq!(Key::parse("ctrl-c"), Some(control('c')));
        assert_eq!(Key::parse("ESC"), Some(plain(KeyCode::Esc)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for name in [
            "",
            " ",
            "\u{1b}",
            "mm",
            "Ctrl-",
            "Ctrl-Enter",
            "Alt-m",
            "F0",
            "F13",
            "F300",
            "Return",
        ] {
            assert_eq!(Key::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn keys_that_are_sent_like_others_are_named() {
        for (name, instead) in [
            ("Ctrl-M", "Enter"),
            ("ctrl-i", "Tab"),
            ("Ctrl-[", "Esc"),
            ("Ctrl-h", "Backspace"),
            ("Ctrl-Z", "fg"),
        ] {
            assert!(Key::indistinct(name).expect(name).contains(instead));
        }
        for name in ["m", "Ctrl-G", "Enter", "Ctrl-"] {
            assert_eq!(Key::indistinct(name), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_that_reads_back_or_none(name in ".{0,8}") {
            if let Some(key) = Key::parse(&name) {
                prop_assert_eq!(Key::parse(&key.name()), Some(key));
            }
        }
    }
}

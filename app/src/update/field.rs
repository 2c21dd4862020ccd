//! One line of text being typed: the link or code of an invitation.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest text held: that of one message. A link is below 1 KiB.
pub const FIELD_BYTES_MAX: usize = hullo_signalling::channel::TEXT_BYTES_MAX;

/// Text with a cursor. Has no `Debug`: what is typed is a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// Byte index of the cursor, always between characters.
    cursor: usize,
    /// Blanks are part of the text.
    keeps_blanks: bool,
}

impl Field {
    /// A field for words rather than for a link: blanks stay, line ends become blanks.
    #[must_use]
    pub fn for_words() -> Self {
        Self {
            keeps_blanks: true,
            ..Self::default()
        }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor and from it on.
    #[must_use]
    pub fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Inserts at the cursor, without blanks, line ends and control characters: neither links nor codes have any, and
    /// a link copied from a narrow window comes with line ends inside. Returns false when it does not fit: then
    /// nothing of it is inserted, for nobody notices that the end is missing.
    pub fn insert(&mut self, text: &str) -> bool {
        let before = self.clone();
        let fits = self.insert_what_fits(text);
        if !fits {
            *self = before;
        }
        fits
    }

    fn insert_what_fits(&mut self, text: &str) -> bool {
        for character in text.chars() {
            // A code is typed as it is said, with blanks; a link has none.
            let is_code = self.text.starts_with(|first: char| first.is_ascii_digit());
            let character = match character {
                blank if blank.is_whitespace() && self.keeps_blanks => ' ',
                ' ' if is_code && !self.text.ends_with('-') => '-',
                blank if blank.is_whitespace() || blank.is_control() => continue,
                other => other,
            };
            if self.text.len() + character.len_utf8() > FIELD_BYTES_MAX {
                return false;
            }
            self.text.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
        true
    }

    /// Does what an editing key does; other keys do nothing.
    pub fn press(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if is_control => {
                self.text.clear();
                self.cursor = 0;
            }
            KeyCode::Char('a') if is_control => self.cursor = 0,
            KeyCode::Char('e') if is_control => self.cursor = self.text.len(),
            KeyCode::Char(_) if is_control || key.modifiers.contains(KeyModifiers::ALT) => {}
            KeyCode::Char(character) => {
                self.insert(character.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => {
                if let Some(before) = self.before() {
                    self.text.remove(before);
                    self.cursor = before;
                }
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.before().unwrap_or(0),
            KeyCode::Right => {
                self.cursor += self.text[self.cursor..]
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8);
            }
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => {}
        }
    }

    fn before(&self) -> Option<usize> {
        self.text[..self.cursor]
            .char_indices()
            .next_back()
            .map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode) {
        field.press(KeyEvent::new(code, KeyModifiers::NONE));
    }

    #[test]
    fn a_link_pasted_over_several_lines_is_one_link() {
        let mut field = Field::default();
        assert!(field.insert(" hullo:abc\r\n  def\u{1b}[2J\n"));
        assert_eq!(field.text(), "hullo:abcdef[2J");
    }

    #[test]
    fn words_keep_their_blanks_on_one_line() {
        let mut field = Field::for_words();
        assert!(field.insert("how are\r\nyou\u{1b}[2J?"));
        assert_eq!(field.text(), "how are  you[2J?");
        field.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        press(&mut field, KeyCode::Char(' '));
        assert_eq!(field.text(), " ");
    }

    #[test]
    fn editing_stays_between_characters() {
        let mut field = Field::default();
        assert!(field.insert("aé日"));
        press(&mut field, KeyCode::Left);
        press(&mut field, KeyCode::Left);
        press(&mut field, KeyCode::Char('x'));
        assert_eq!(field.halves(), ("ax", "é日"));
        press(&mut field, KeyCode::Delete);
        press(&mut field, KeyCode::End);
        press(&mut field, KeyCode::Backspace);
        press(&mut field, KeyCode::Backspace);
        press(&mut field, KeyCode::Home);
        press(&mut field, KeyCode::Backspace);
        assert_eq!(field.halves(), ("", "a"));
        field.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(field.text(), "");
    }

    #[test]
    fn the_length_is_bounded() {
        let mut field = Field::default();
        assert!(field.insert(&"é".repeat(FIELD_BYTES_MAX / 2)));
        assert_eq!(field.text().len(), FIELD_BYTES_MAX);
        assert!(!field.insert("x"));
    }

    #[test]
    fn what_does_not_fit_is_refused_as_a_whole() {
        let mut field = Field::for_words();
        assert!(field.insert("ab"));
        press(&mut field, KeyCode::Left);
        assert!(!field.insert(&"x".repeat(FIELD_BYTES_MAX - 1)));
        assert_eq!(field.halves(), ("a", "b"));
    }
}

//! What the terminal can do, asked of itself: one row of questions, the answer to the last of which ends it.
//!
//! The environment says much less over ssh than at home, so the terminal is asked. Nobody waits: the screen begins with what
//! the environment says ([`Look::detect`]) and changes when answers come. A terminal that answers nothing stays what it
//! was; one that answers late is believed late.
//!
//! Sources: xterm's control sequences (DA1, DECRQM, DECRQSS, XTVERSION), the kitty keyboard protocol.

use hullo_picture::KITTY_QUERY;

use super::Reply;
use crate::config::PixelChoice;
use crate::view::look::{ColourDepth, Look};

/// The questions, in one write. A 24-bit colour is set and asked back (DECRQSS): who has fewer colours answers another one
/// or none. The colour of the ground chooses the theme. DA1 is last, as everything answers it.
pub const QUESTIONS: &str =
    "\x1b[>0q\x1b[?2026$p\x1b[?u\x1b]11;?\x1b\\\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[0m\x1b[c";

/// How large a cell is, in pixels.
const CELL_QUESTION: &str = "\x1b[16t";

/// The questions, and where pixels were asked for those that they need: nobody else is bothered with them.
#[must_use]
pub fn questions(pixels: PixelChoice) -> String {
    let (all, last) = QUESTIONS.split_at(QUESTIONS.len() - "\x1b[c".len());
    let kitty = String::from_utf8_lossy(KITTY_QUERY);
    match pixels {
        PixelChoice::None => QUESTIONS.to_owned(),
        PixelChoice::Sixel => format!("{all}{CELL_QUESTION}{last}"),
        PixelChoice::Kitty => format!("{all}{CELL_QUESTION}{kitty}{last}"),
    }
}

/// Terminals whose 24 bits are known, by the names they answer; some do not answer DECRQSS.
const TRUE_COLOUR_NAMES: [&str; 9] = [
    "kitty",
    "ghostty",
    "foot",
    "wezterm",
    "alacritty",
    "iterm2",
    "contour",
    "konsole",
    "vte",
];

/// What was answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ability {
    /// It showed a 24-bit colour, or its name is one of those that do.
    pub has_true_colour: bool,
    /// Synchronized output (mode 2026) can be used: a picture of the screen is never shown half.
    pub is_synchronized: bool,
    /// Keys are told when they are let go, if asked for.
    pub has_key_releases: bool,
    /// Sixel pictures can be shown: 4 in DA1.
    pub has_sixel: bool,
    /// Pictures by the kitty graphics protocol can be shown.
    pub has_kitty_pictures: bool,
    /// Pixels of a cell, across and down.
    pub cell_px: Option<(u16, u16)>,
    /// Name and version.
    pub version: Option<String>,
    /// The last answer came.
    pub is_complete: bool,
}

/// Longest name shown or kept, characters.
const VERSION_CHARS_MAX: usize = 64;

impl Ability {
    /// Takes in an answer; true when something is known that was not before.
    pub fn take(&mut self, reply: &Reply) -> bool {
        let before = self.clone();
        match reply {
            Reply::Mode(2026, state) => self.is_synchronized = matches!(state, 1..=3),
            Reply::Keyboard(_) => self.has_key_releases = true,
            Reply::Setting(Some(setting)) => {
                let is_ours = ["48:2:1:2:3", "48:2::1:2:3", "48;2;1;2;3"];
                self.has_true_colour |= is_ours.iter().any(|ours| setting.contains(ours));
            }
            Reply::Version(version) => {
                let name = version.to_lowercase();
                self.has_true_colour |= TRUE_COLOUR_NAMES.iter().any(|known| name.contains(known));
                let shown = version.chars().filter(|letter| !letter.is_control());
                self.version = Some(shown.take(VERSION_CHARS_MAX).collect());
            }
            Reply::Attributes(attributes) => {
                self.is_complete = true;
                // The first number is the class of terminal.
                self.has_sixel = attributes.iter().skip(1).any(|attribute| *attribute == 4);
            }
            Reply::CellPixels(across, down) => self.cell_px = Some((*across, *down)),
            Reply::Graphics(is_well) => self.has_kitty_pictures |= is_well,
            _ => {}
        }
        *self != before
    }

    /// What the screen looks like with what is known now. `is_chosen`: by flag or `NO_COLOR`, which no answer overrules.
    #[must_use]
    pub fn improve(&self, look: Look, is_chosen: bool) -> Look {
        let is_more = look.depth == ColourDepth::Palette256 && self.has_true_colour;
        if is_chosen || !is_more {
            return look;
        }
        Look {
            depth: ColourDepth::True,
            ..look
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::look::Glyphs;

    fn look(depth: ColourDepth) -> Look {
        Look {
            depth,
            glyphs: Glyphs::Unicode,
        }
    }

    #[test]
    fn answers_add_what_the_environment_did_not_say() {
        let poor = look(ColourDepth::Palette256);
        for reply in [
            Reply::Setting(Some("0;48:2::1:2:3m".into())),
            Reply::Setting(Some("48:2:1:2:3m".into())),
            Reply::Version("WezTerm 20240203".into()),
        ] {
            let mut ability = Ability::default();
            assert!(ability.take(&reply) && !ability.take(&reply), "news once");
            assert_eq!(ability.improve(poor, false).depth, ColourDepth::True);
            assert_eq!(ability.improve(poor, true), poor, "chosen is chosen");
            let none = look(ColourDepth::None);
            assert_eq!(ability.improve(none, false), none, "NO_COLOR stays");
        }
        let mut ability = Ability::default();
        ability.take(&Reply::Setting(Some("48;5;16m".into())));
        ability.take(&Reply::Setting(None));
        ability.take(&Reply::Version("tmux 3.3a".into()));
        assert_eq!(ability.improve(poor, false), poor);
    }

    #[test]
    fn a_mode_that_is_unknown_is_not_used() {
        for (state, usable) in [(0, false), (1, true), (2, true), (4, false)] {
            let mut ability = Ability::default();
            ability.take(&Reply::Mode(2026, state));
            assert_eq!(ability.is_synchronized, usable);
        }
        let mut ability = Ability::default();
        assert!(ability.take(&Reply::Attributes(vec![62])) && ability.is_complete);
        ability.take(&Reply::Version("x\u{1b}[2J".repeat(99)));
        let version = ability.version.expect("one was told");
        assert!(version.chars().count() <= 64 && !version.contains('\u{1b}'));
    }
}

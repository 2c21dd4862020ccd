//! `[screen]`: how the screen behaves, and the flags that say the same for one run.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use hullo_picture::Glyphs;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::view::look::{self, ColourChoice, ColourDepth, Look};

/// Pictures slower than this stand still for seconds, kilobytes (1,000 bytes) a second.
const BUDGET_MIN: u16 = 10;
/// No picture of characters needs more; see docs/benchmarks.md.
const BUDGET_MAX: u16 = 4_000;

/// The table as it stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScreenSettings {
    /// Clicks choose and the wheel scrolls. Off unless asked for: a terminal that reports its mouse no longer selects text
    /// with it, and a link of an invitation is there to be selected.
    pub mouse: bool,
    /// How many colours to draw with.
    #[serde(deserialize_with = "word")]
    pub color: Color,
    /// Which characters pictures are drawn with.
    #[serde(deserialize_with = "word")]
    pub glyphs: GlyphChoice,
    /// Synchronized output.
    #[serde(deserialize_with = "word")]
    pub sync: SyncChoice,
    /// Most that pictures may take.
    #[serde(deserialize_with = "budget")]
    pub budget_kb_s: Budget,
    /// Pictures of pixels instead of characters.
    #[serde(deserialize_with = "word")]
    pub pixels: PixelChoice,
}

/// The same for one run: each goes before what the file says.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScreenFlags {
    /// How many colours to draw with, whatever the terminal and NO_COLOR say.
    #[arg(
        long,
        global = true,
        value_name = "WHICH",
        hide_possible_values = true,
        help_heading = "Screen",
        help = "Colours: auto, truecolor, 256, 16 or none"
    )]
    pub color: Option<Color>,
    /// Which characters pictures are drawn with.
    #[arg(
        long,
        global = true,
        value_name = "WHICH",
        hide_possible_values = true,
        help_heading = "Screen",
        help = "Characters of pictures: auto, quadrant, half, ascii or braille (dots without colour)"
    )]
    pub glyphs: Option<GlyphChoice>,
    /// Synchronized output.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        hide_possible_values = true,
        help_heading = "Screen",
        help = "Synchronized output (mode 2026): auto, on or off"
    )]
    pub sync: Option<SyncChoice>,
    /// Most that pictures may take.
    #[arg(
        long,
        global = true,
        value_name = "N",
        help_heading = "Screen",
        help = "Most that pictures take, kilobytes a second (10 to 4000), or auto: as much as the terminal acknowledges"
    )]
    pub budget_kb_s: Option<Budget>,
    /// Pictures of pixels instead of characters.
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        hide_possible_values = true,
        help_heading = "Screen",
        help = "Pixels instead of characters: none, sixel or kitty; at least ten times the bytes"
    )]
    pub pixels: Option<PixelChoice>,
}

/// What was chosen, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// By the file.
    pub of_file: ScreenSettings,
    /// By flags.
    pub flags: ScreenFlags,
}

impl Chosen {
    /// What holds.
    #[must_use]
    pub fn now(&self) -> ScreenSettings {
        self.of_file.with(self.flags)
    }
}

/// A setting that is one word of a few.
trait Word: ValueEnum {
    /// The word in a message.
    fn name(&self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How many colours to draw with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// What the terminal says it can.
    #[default]
    Auto,
    /// 24 bits.
    Truecolor,
    /// The 256 of xterm.
    #[value(name = "256")]
    Palette,
    /// The sixteen of every terminal.
    #[value(name = "16")]
    Ansi,
    /// None at all.
    None,
}

/// Which characters pictures are drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GlyphChoice {
    /// Quarters of a cell; halves on the Linux console; ASCII without colour or without UTF-8.
    #[default]
    Auto,
    /// Quarters of a cell (U+2580 to U+259F).
    Quadrant,
    /// Halves of a cell.
    Half,
    /// ASCII, for the borders as well.
    Ascii,
    /// Dots, eight to a cell, without colour.
    Braille,
}

/// Whether the terminal is told that a picture of the screen is not whole yet (mode 2026).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SyncChoice {
    /// Where it says that it knows the mode.
    #[default]
    Auto,
    /// Without asking.
    On,
    /// Never.
    Off,
}

/// Pictures of pixels instead of characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelChoice {
    /// Characters.
    #[default]
    None,
    /// DEC's sixels, a fixed palette.
    Sixel,
    /// The kitty graphics protocol, 24 bits.
    Kitty,
}

/// Most that pictures may take, kilobytes a second; `None`: what the terminal acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget(pub Option<u16>);

impl Word for Color {}
impl Word for GlyphChoice {}
impl Word for SyncChoice {}
impl Word for PixelChoice {}

impl ScreenSettings {
    /// What holds in a run with these flags.
    #[must_use]
    pub fn with(self, flags: ScreenFlags) -> Self {
        Self {
            mouse: self.mouse,
            color: flags.color.unwrap_or(self.color),
            glyphs: flags.glyphs.unwrap_or(self.glyphs),
            sync: flags.sync.unwrap_or(self.sync),
            budget_kb_s: flags.budget_kb_s.unwrap_or(self.budget_kb_s),
            pixels: flags.pixels.unwrap_or(self.pixels),
        }
    }

    /// What the screen looks like in an environment that `variable` looks up.
    #[must_use]
    pub fn look(&self, variable: impl Fn(&str) -> Option<String>) -> Look {
        let choice = match self.color {
            Color::Auto => ColourChoice::Auto,
            Color::Truecolor => ColourChoice::Fixed(ColourDepth::True),
            Color::Palette => ColourChoice::Fixed(ColourDepth::Palette256),
            Color::Ansi => ColourChoice::Fixed(ColourDepth::Palette16),
            Color::None => ColourChoice::Fixed(ColourDepth::None),
        };
        let found = Look::detect(choice, variable);
        let glyphs = match self.glyphs {
            GlyphChoice::Auto => found.glyphs,
            GlyphChoice::Ascii => look::Glyphs::Ascii,
            // Who asks for these says that the terminal shows them.
            GlyphChoice::Quadrant | GlyphChoice::Half | GlyphChoice::Braille => {
                look::Glyphs::Unicode
            }
        };
        Look { glyphs, ..found }
    }

    /// The lines of the table but the mouse's, in the form of the file.
    #[must_use]
    pub fn dump(&self) -> String {
        format!(
            "color = \"{}\"\nglyphs = \"{}\"\nsync = \"{}\"\nbudget_kb_s = {}\npixels = \"{}\"",
            self.color.name(),
            self.glyphs.name(),
            self.sync.name(),
            match self.budget_kb_s.0 {
                Some(most) => most.to_string(),
                None => "\"auto\"".to_owned(),
            },
            self.pixels.name(),
        )
    }
}

impl GlyphChoice {
    /// The encoder's word; `None`: to be decided by what the terminal is.
    #[must_use]
    pub fn glyphs(self) -> Option<Glyphs> {
        match self {
            Self::Auto => None,
            Self::Quadrant => Some(Glyphs::Quadrant),
            Self::Half => Some(Glyphs::Half),
            Self::Ascii => Some(Glyphs::Ascii),
            Self::Braille => Some(Glyphs::Braille),
        }
    }
}

impl Budget {
    /// Bytes a second.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        self.0.map(|most| usize::from(most) * 1_000)
    }

    fn of(number: u64) -> Option<Self> {
        let most = u16::try_from(number).ok()?;
        (BUDGET_MIN..=BUDGET_MAX)
            .contains(&most)
            .then_some(Self(Some(most)))
    }

    fn allowed(found: &dyn fmt::Display) -> String {
        format!(
            "`{found}` is no budget: a whole number of kilobytes a second from {BUDGET_MIN} to {BUDGET_MAX}, or \"auto\""
        )
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "auto" {
            return Ok(Self(None));
        }
        let found = word.parse().ok().and_then(Self::of);
        found.ok_or_else(|| Self::allowed(&word))
    }
}

/// Reads a word, or a number that is one (`color = 256`).
fn word<'de, W: Word, D: Deserializer<'de>>(from: D) -> Result<W, D::Error> {
    struct Words<W>(std::marker::PhantomData<W>);

    impl<W: Word> Words<W> {
        fn find<E: Error>(word: &str) -> Result<W, E> {
            W::from_str(word, false).map_err(|_| {
                let all: Vec<String> = W::value_variants().iter().map(W::name).collect();
                let word = super::excerpt(word);
                E::custom(format!("`{word}` is none of {}", all.join(", ")))
            })
        }
    }

    impl<W: Word> Visitor<'_> for Words<W> {
        type Value = W;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let all: Vec<String> = W::value_variants().iter().map(W::name).collect();
            write!(f, "one of {}, in quotes", all.join(", "))
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<W, E> {
            Self::find(word)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<W, E> {
            Self::find(&number.to_string())
        }
    }

    from.deserialize_any(Words(std::marker::PhantomData))
}

fn budget<'de, D: Deserializer<'de>>(from: D) -> Result<Budget, D::Error> {
    struct Budgets;

    impl Visitor<'_> for Budgets {
        type Value = Budget;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(
                f,
                "kilobytes a second from {BUDGET_MIN} to {BUDGET_MAX}, or \"auto\""
            )
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Budget, E> {
            super::excerpt(word).parse().map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Budget, E> {
            let found = u64::try_from(number).ok().and_then(Budget::of);
            found.ok_or_else(|| E::custom(Budget::allowed(&number)))
        }
    }

    from.deserialize_any(Budgets)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn all_of_the_screen_can_be_set_and_flags_go_first() {
        let config = parse(
            "[screen]\ncolor = 256\nglyphs = \"half\"\nsync = \"on\"\nbudget_kb_s = 100\npixels = \"kitty\"",
        )
        .expect("good");
        let of_file = config.screen;
        assert_eq!(
            of_file,
            ScreenSettings {
                mouse: false,
                color: Color::Palette,
                glyphs: GlyphChoice::Half,
                sync: SyncChoice::On,
                budget_kb_s: Budget(Some(100)),
                pixels: PixelChoice::Kitty,
            }
        );
        assert_eq!(of_file.budget_kb_s.bytes(), Some(100_000));
        let flags = ScreenFlags {
            color: Some(Color::Auto),
            pixels: Some(PixelChoice::None),
            budget_kb_s: Some(Budget(None)),
            ..ScreenFlags::default()
        };
        let with = of_file.with(flags);
        assert_eq!(with.color, Color::Auto, "auto can be said, too");
        assert_eq!(
            (with.pixels, with.budget_kb_s),
            (PixelChoice::None, Budget(None))
        );
        assert_eq!((with.glyphs, with.sync), (of_file.glyphs, of_file.sync));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        for (line, words) in [
            (
                "color = \"mauve\"",
                &["mauve", "truecolor, 256, 16, none"][..],
            ),
            ("color = 8", &["`8`", "truecolor, 256, 16, none"]),
            (
                "glyphs = \"sextant\"",
                &["sextant", "quadrant, half, ascii, braille"],
            ),
            ("sync = true", &["auto, on, off"]),
            ("budget_kb_s = 5", &["`5`", "10 to 4000", "auto"]),
            ("budget_kb_s = \"fast\"", &["fast", "10 to 4000"]),
            ("budget_kb_s = -1", &["-1", "10 to 4000"]),
            ("budget_kb_s = 30.5", &["10 to 4000"]),
            ("pixels = \"iterm\"", &["iterm", "none, sixel, kitty"]),
        ] {
            let (at, reason) = parse(&format!("[screen]\n{line}")).expect_err(line);
            assert_eq!(at, 2, "{line}: {reason}");
            for words in words {
                assert!(reason.contains(words), "{line}: {reason}");
            }
        }
    }

    #[test]
    fn characters_that_were_asked_for_beat_the_locale() {
        let look = |glyphs, locale: &str| {
            let settings = ScreenSettings {
                glyphs,
                ..ScreenSettings::default()
            };
            settings
                .look(|name| (name == "LANG").then(|| locale.to_owned()))
                .glyphs
        };
        assert_eq!(look(GlyphChoice::Auto, "C"), look::Glyphs::Ascii);
        assert_eq!(look(GlyphChoice::Half, "C"), look::Glyphs::Unicode);
        assert_eq!(look(GlyphChoice::Ascii, "C.UTF-8"), look::Glyphs::Ascii);
    }
}

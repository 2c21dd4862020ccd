//! What the terminal can show: colours and characters, decided from the environment and the command line.

use std::str::FromStr;

use ratatui::style::{Color, Style};

/// How many colours may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourDepth {
    /// 24 bits.
    True,
    /// The xterm palette.
    Palette256,
    /// The sixteen classic colours.
    Palette16,
    /// No colour; bold, dim and reversed stay.
    #[default]
    None,
}

/// Which characters may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Box drawing and half blocks.
    Unicode,
    /// ASCII only.
    #[default]
    Ascii,
}

/// Everything the terminal's abilities decide about drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub depth: ColourDepth,
    /// Characters.
    pub glyphs: Glyphs,
}

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourChoice {
    /// Decide from the environment.
    #[default]
    Auto,
    /// Exactly this.
    Fixed(ColourDepth),
}

/// `--color` was none of the five words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no colour setting: use auto, truecolor, 256, 16 or none")]
pub struct UnknownColour(String);

impl FromStr for ColourChoice {
    type Err = UnknownColour;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "auto" => Self::Auto,
            "truecolor" => Self::Fixed(ColourDepth::True),
            "256" => Self::Fixed(ColourDepth::Palette256),
            "16" => Self::Fixed(ColourDepth::Palette16),
            "none" => Self::Fixed(ColourDepth::None),
            other => return Err(UnknownColour(other.to_owned())),
        })
    }
}

impl Look {
    /// A style with this colour where there are colours. Never the only sign of anything.
    #[must_use]
    pub fn colour(self, colour: Color) -> Style {
        if self.depth == ColourDepth::None {
            Style::new()
        } else {
            Style::new().fg(colour)
        }
    }

    /// Decides from the environment (`variable` looks one up; unset and empty are the same) and `--color`.
    #[must_use]
    pub fn detect(choice: ColourChoice, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let depth = match choice {
            ColourChoice::Fixed(depth) => depth,
            ColourChoice::Auto => colour_depth(&variable),
        };
        Self {
            depth,
            glyphs: glyphs(&variable),
        }
    }
}

/// Whether the terminal can show a full screen at all: `TERM=dumb` cannot move its cursor. Use `--plain` there.
#[must_use]
pub fn is_full_screen_possible(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("TERM").is_none_or(|term| term != "dumb")
}

/// <https://no-color.org>, <https://bixense.com/clicolors>, and what terminals put into COLORTERM and TERM.
fn colour_depth(variable: &impl Fn(&str) -> Option<String>) -> ColourDepth {
    /// Terminals known to show 24 bits that say so in TERM alone: ssh passes TERM on, COLORTERM usually not.
    const TRUE_COLOUR_TERMS: [&str; 6] =
        ["kitty", "ghostty", "foot", "alacritty", "wezterm", "direct"];
    let term = variable("TERM").unwrap_or_default();
    let is_off =
        variable("NO_COLOR").is_some() || variable("CLICOLOR").is_some_and(|value| value == "0");
    if is_off || term == "dumb" || term.starts_with("vt") {
        ColourDepth::None
    } else if term == "linux" {
        // The kernel's console understands more and shows sixteen.
        ColourDepth::Palette16
    } else if variable("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit")
        || TRUE_COLOUR_TERMS.iter().any(|known| term.contains(known))
    {
        ColourDepth::True
    } else if term.contains("16color")
        || matches!(term.as_str(), "ansi" | "xterm-color" | "screen.linux")
    {
        ColourDepth::Palette16
    } else {
        ColourDepth::Palette256
    }
}

/// The locale's character set, in the order of POSIX; no locale at all is the C locale.
fn glyphs(variable: &impl Fn(&str) -> Option<String>) -> Glyphs {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable)
        .unwrap_or_default()
        .to_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Glyphs::Unicode
    } else {
        Glyphs::Ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)], depth: ColourDepth) {
        let look = Look::detect(ColourChoice::Auto, |name| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(look.depth, depth, "{environment:?}");
    }

    #[test]
    fn the_environment_decides_the_colours() {
        check(&[("TERM", "xterm-256color")], ColourDepth::Palette256);
        check(
            &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
            ColourDepth::True,
        );
        check(&[("TERM", "xterm-kitty")], ColourDepth::True);
        check(&[("TERM", "tmux-direct")], ColourDepth::True);
        check(
            &[("TERM", "linux"), ("COLORTERM", "truecolor")],
            ColourDepth::Palette16,
        );
        check(&[("TERM", "dumb")], ColourDepth::None);
        check(
            &[("TERM", "xterm-kitty"), ("NO_COLOR", "1")],
            ColourDepth::None,
        );
        check(
            &[("TERM", "xterm-kitty"), ("NO_COLOR", "")],
            ColourDepth::True,
        );
        check(&[("TERM", "xterm"), ("CLICOLOR", "0")], ColourDepth::None);
        check(
            &[("TERM", "xterm"), ("CLICOLOR", "1")],
            ColourDepth::Palette256,
        );
    }

    #[test]
    fn the_flag_beats_the_environment() {
        let choice = "truecolor".parse().expect("a known word");
        let look = Look::detect(choice, |name| (name == "NO_COLOR").then(|| "1".to_owned()));
        assert_eq!(look.depth, ColourDepth::True);
        let error = "mauve"
            .parse::<ColourChoice>()
            .expect_err("no such setting");
        assert!(error.to_string().contains("256"), "{error}");
    }

    #[test]
    fn a_locale_without_utf8_gets_ascii() {
        let with = |name: &'static str, value: &'static str| {
            Look::detect(ColourChoice::Auto, move |asked| {
                (asked == name).then(|| value.to_owned())
            })
            .glyphs
        };
        assert_eq!(with("LANG", "en_GB.UTF-8"), Glyphs::Unicode);
        assert_eq!(with("LC_ALL", "C.utf8"), Glyphs::Unicode);
        assert_eq!(with("LANG", "C"), Glyphs::Ascii);
        assert_eq!(with("LANG", "de_DE.ISO-8859-1"), Glyphs::Ascii);
        assert_eq!(with("TERM", "xterm"), Glyphs::Ascii);
    }

    #[test]
    fn only_a_dumb_terminal_cannot_show_a_screen() {
        assert!(!is_full_screen_possible(|_| Some("dumb".to_owned())));
        assert!(is_full_screen_possible(|_| None));
    }
}

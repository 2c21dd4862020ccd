//! How pictures are drawn, and who decided it: for the doctor and the mirror.
//!
//! The order is that of [`ScreenSettings::look`](crate::config::ScreenSettings::look) and of the terminal's answers: what
//! was chosen, then the environment, then what the terminal says.

use hullo_picture::PixelKind;

use crate::config::{Chosen, Color, GlyphChoice};
use crate::screen::figures::Figures;
use crate::terminal::probe::Ability;
use crate::text;
use crate::view::look::{ColourDepth, Glyphs, Look};

/// What was found, in words, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `24 bits`, `quarter blocks`.
    pub what: &'static str,
    /// `COLORTERM says so`.
    pub why: String,
}

/// What the screen looks like, with all that is known.
#[must_use]
pub fn look(chosen: Chosen, ability: &Ability, variable: impl Fn(&str) -> Option<String>) -> Look {
    let now = chosen.now();
    ability.improve(now.look(variable), now.color != Color::Auto)
}

/// How many colours.
#[must_use]
pub fn colours(
    chosen: Chosen,
    ability: &Ability,
    variable: &impl Fn(&str) -> Option<String>,
) -> Reason {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let before = chosen.now().look(variable);
    let depth = look(chosen, ability, variable).depth;
    let what = match depth {
        ColourDepth::True => "24 bits",
        ColourDepth::Palette256 => "256",
        ColourDepth::Palette16 => "16",
        ColourDepth::None => "none",
    };
    let why = if chosen.flags.color.is_some_and(|color| color != Color::Auto) {
        "--color says so".to_owned()
    } else if chosen.now().color != Color::Auto {
        "config.toml says so".to_owned()
    } else if depth == ColourDepth::None && is_set("NO_COLOR") {
        "NO_COLOR says so".to_owned()
    } else if depth == ColourDepth::None && is_set("CLICOLOR") {
        "CLICOLOR says so".to_owned()
    } else if depth != before.depth {
        match &ability.version {
            Some(version) => format!("the terminal says so, it is {version}"),
            None => "the terminal showed one when asked".to_owned(),
        }
    } else if depth == ColourDepth::True && is_set("COLORTERM") {
        "COLORTERM says so".to_owned()
    } else {
        let term = variable("TERM").unwrap_or_default();
        format!("as TERM={term} and no answer says more")
    };
    Reason { what, why }
}

/// Which characters.
#[must_use]
pub fn characters(chosen: Chosen, look: Look, has_halves_only: bool) -> Reason {
    let because = |what, why: &str| Reason {
        what,
        why: why.to_owned(),
    };
    let by = if chosen.flags.glyphs.is_some() {
        "--glyphs says so"
    } else {
        "config.toml says so"
    };
    match chosen.now().glyphs {
        GlyphChoice::Quadrant => because("quarter blocks", by),
        GlyphChoice::Half => because("half blocks", by),
        GlyphChoice::Ascii => because("ASCII", by),
        GlyphChoice::Braille => because("Braille dots without colour", by),
        GlyphChoice::Auto if look.glyphs == Glyphs::Ascii => {
            because("ASCII", "the locale is not UTF-8")
        }
        GlyphChoice::Auto if look.depth == ColourDepth::None => {
            because("ASCII", "there are no colours")
        }
        GlyphChoice::Auto if has_halves_only => {
            because("half blocks", "the console's font has no quarters")
        }
        GlyphChoice::Auto => because("quarter blocks", "by the locale"),
    }
}

/// The mirror's line: what pictures come to, how they are drawn, and why so. What matters most stands first, for a narrow
/// window cuts it.
#[must_use]
pub fn line(figures: Figures, colours: &Reason, characters: &Reason) -> String {
    let how = match figures.pixels {
        Some(PixelKind::Sixel) => "sixel pixels: asked for".to_owned(),
        Some(PixelKind::Kitty) => "kitty pixels: asked for".to_owned(),
        None => text::drawn_how(
            (colours.what, &colours.why),
            (characters.what, &characters.why),
        ),
    };
    format!(
        "{}; {how}",
        text::drawn_much(figures.bytes, figures.pictures)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ScreenFlags, ScreenSettings};
    use crate::terminal::Reply;

    fn of(chosen: Chosen, replies: &[Reply], environment: &[(&str, &str)]) -> (Reason, Reason) {
        let mut ability = Ability::default();
        for reply in replies {
            ability.take(reply);
        }
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let look = look(chosen, &ability, variable);
        let kind = crate::screen::PictureTerminal::detect(variable);
        (
            colours(chosen, &ability, &variable),
            characters(chosen, look, kind.has_halves_only),
        )
    }

    #[test]
    fn who_decided_is_told_in_the_order_of_deciding() {
        let home = [
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LANG", "C.UTF-8"),
        ];
        let of_file = Chosen {
            of_file: ScreenSettings {
                color: Color::Ansi,
                glyphs: GlyphChoice::Half,
                ..ScreenSettings::default()
            },
            ..Chosen::default()
        };
        let flags = ScreenFlags {
            color: Some(Color::Palette),
            glyphs: Some(GlyphChoice::Braille),
            ..ScreenFlags::default()
        };
        let (colours, characters) = of(Chosen { flags, ..of_file }, &[], &home);
        assert_eq!((colours.what, &*colours.why), ("256", "--color says so"));
        assert_eq!(characters.why, "--glyphs says so");
        let (colours, characters) = of(of_file, &[], &home);
        assert_eq!((colours.what, &*colours.why), ("16", "config.toml says so"));
        assert_eq!(
            (characters.what, &*characters.why),
            ("half blocks", "config.toml says so")
        );
        let (colours, _) = of(Chosen::default(), &[], &home);
        assert_eq!(
            (colours.what, &*colours.why),
            ("24 bits", "COLORTERM says so")
        );
        let ssh = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];
        let (colours, _) = of(
            Chosen::default(),
            &[Reply::Version("foot 1.20".into())],
            &ssh,
        );
        assert_eq!(colours.why, "the terminal says so, it is foot 1.20");
        let (colours, _) = of(Chosen::default(), &[], &ssh);
        assert_eq!(colours.what, "256");
        let none = [("TERM", "xterm"), ("NO_COLOR", "1"), ("LANG", "C.UTF-8")];
        let (colours, characters) = of(Chosen::default(), &[], &none);
        assert_eq!((colours.what, &*colours.why), ("none", "NO_COLOR says so"));
        assert_eq!(characters.why, "there are no colours");
        let (_, characters) = of(
            Chosen::default(),
            &[],
            &[("TERM", "linux"), ("LANG", "C.UTF-8")],
        );
        assert_eq!(characters.what, "half blocks");
        let (_, characters) = of(Chosen::default(), &[], &[("TERM", "xterm")]);
        assert_eq!(characters.why, "the locale is not UTF-8");
    }

    #[test]
    fn the_line_of_the_mirror_fits_the_usual_window() {
        let home = [
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LANG", "C.UTF-8"),
        ];
        let (colours, characters) = of(Chosen::default(), &[], &home);
        let figures = Figures {
            bytes: 1_234_567,
            pictures: 30.0,
            ..Figures::default()
        };
        let line = line(figures, &colours, &characters);
        for words in [
            "1235 kB/s",
            "30 pictures/s",
            "24 bits",
            "COLORTERM",
            "quarter blocks",
        ] {
            assert!(line.contains(words), "{line}");
        }
        assert!(line.len() < 79, "{line}");
    }
}

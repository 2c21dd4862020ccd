//! Colours by what they are for. Every role is told in words or by bold and reversed letters too: a theme adds comfort,
//! never meaning.

use ratatui::style::{Color, Style};
use serde::{Deserialize, Serialize};

use super::look::{ColourDepth, Look};
use crate::picture;

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A failure.
    Error,
    /// A sentence of the moment.
    Notice,
    /// What must not be overlooked on the status bar: MUTED, ON HOLD.
    Alarm,
    /// A call nobody took.
    Missed,
    /// Headings.
    Title,
    /// Keys in the bottom bar and in lists of keys.
    Key,
}

/// All of them, by the names of `[theme]`.
pub const ROLES: [(&str, Role); 6] = [
    ("error", Role::Error),
    ("notice", Role::Notice),
    ("alarm", Role::Alarm),
    ("missed", Role::Missed),
    ("title", Role::Title),
    ("key", Role::Key),
];

/// Which colours: `[theme] name`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeName {
    /// As the terminal says its ground is; dark where it says nothing.
    #[default]
    Auto,
    /// For letters on a dark ground.
    Dark,
    /// For letters on a light ground.
    Light,
    /// The terminal's own colour for everything; bold and reversed stay. Pictures keep their colours.
    None,
}

/// What may stand where a colour is wanted.
pub const COLOURS_ALLOWED: &str = "a name like red, light-red, gray or white; `#rrggbb`; a number from 0 to 255; or `default` for the terminal's own";

/// The colours of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// What was asked for.
    pub name: ThemeName,
    /// The terminal says that its ground is light.
    pub is_ground_light: bool,
    /// Colours chosen one by one, in the order of [`ROLES`].
    pub own: [Option<Color>; ROLES.len()],
}

impl ThemeName {
    /// The word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::None => "none",
        }
    }

    /// The next one, round and round.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Auto => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::None,
            Self::None => Self::Auto,
        }
    }
}

/// Reads a colour; `None` for what is none.
#[must_use]
pub fn colour(text: &str) -> Option<Color> {
    match text {
        "default" => Some(Color::Reset),
        other => other.parse().ok(),
    }
}

impl Theme {
    /// The style of a role where there are colours. Never the only sign of anything.
    #[must_use]
    pub fn style(self, role: Role, look: Look) -> Style {
        if look.depth == ColourDepth::None || self.name == ThemeName::None {
            return Style::new();
        }
        match self.colour(role) {
            Color::Reset => Style::new(),
            Color::Rgb(red, green, blue) => {
                Style::new().fg(picture::quantise([red, green, blue], look.depth))
            }
            other => Style::new().fg(other),
        }
    }

    fn colour(self, role: Role) -> Color {
        let own = ROLES.iter().position(|(_, known)| *known == role);
        if let Some(own) = own.and_then(|at| self.own[at]) {
            return own;
        }
        let is_light = self.name != ThemeName::None && self.is_on_light();
        if is_light { light(role) } else { dark(role) }
    }

    /// Letters are darker than what is behind them: pictures without colour are drawn the other way round then.
    #[must_use]
    pub fn is_on_light(self) -> bool {
        match self.name {
            ThemeName::Light => true,
            ThemeName::Auto | ThemeName::None => self.is_ground_light,
            ThemeName::Dark => false,
        }
    }
}

fn dark(role: Role) -> Color {
    match role {
        Role::Error => Color::LightRed,
        Role::Notice | Role::Missed => Color::LightYellow,
        // On the reversed bar, where it is the ground.
        Role::Alarm => Color::LightRed,
        Role::Title => Color::Reset,
        Role::Key => Color::LightCyan,
    }
}

/// Yellow on white cannot be read.
fn light(role: Role) -> Color {
    match role {
        Role::Error | Role::Alarm => Color::Red,
        Role::Notice | Role::Missed => Color::Magenta,
        Role::Title => Color::Reset,
        Role::Key => Color::Blue,
    }
}

/// Whether a ground of this colour is light: its luma (ITU-R BT.601) is above the middle.
#[must_use]
pub fn is_light([red, green, blue]: [u8; 3]) -> bool {
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    luma > 127_500
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
    fn the_ground_decides_what_is_automatic() {
        let mut theme = Theme::default();
        let look = look(ColourDepth::Palette16);
        assert_eq!(theme.style(Role::Notice, look).fg, Some(Color::LightYellow));
        theme.is_ground_light = is_light([0xfd, 0xf6, 0xe3]);
        assert_eq!(theme.style(Role::Notice, look).fg, Some(Color::Magenta));
        theme.name = ThemeName::Dark;
        assert_eq!(theme.style(Role::Notice, look).fg, Some(Color::LightYellow));
        assert!(!is_light([0x00, 0x2b, 0x36]));
    }

    #[test]
    fn no_colour_is_no_colour() {
        let mut theme = Theme::default();
        theme.own[0] = Some(Color::Red);
        assert_eq!(
            theme.style(Role::Error, look(ColourDepth::None)),
            Style::new()
        );
        theme.name = ThemeName::None;
        assert_eq!(
            theme.style(Role::Error, look(ColourDepth::True)),
            Style::new()
        );
    }

    #[test]
    fn own_colours_count_and_are_fitted_to_the_terminal() {
        let mut theme = Theme::default();
        theme.own[0] = colour("#ff0000");
        let of = |depth| theme.style(Role::Error, look(depth)).fg;
        assert_eq!(of(ColourDepth::True), Some(Color::Rgb(255, 0, 0)));
        assert_eq!(of(ColourDepth::Palette16), Some(Color::LightRed));
        assert!(matches!(
            of(ColourDepth::Palette256),
            Some(Color::Indexed(_))
        ));
        assert_eq!(colour("light-red"), Some(Color::LightRed));
        assert_eq!(colour("default"), Some(Color::Reset));
        assert_eq!(colour("208"), Some(Color::Indexed(208)));
        assert_eq!(colour("mauve"), None);
    }
}

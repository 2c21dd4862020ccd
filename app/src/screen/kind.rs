//! What the terminal is and what was chosen for it, as far as pictures care.

use hullo_picture::Glyphs;

use crate::config::{Color, PixelChoice, ScreenSettings, SyncChoice};

/// Found in the environment, and chosen by flag and configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureTerminal {
    /// tmux, screen or zellij stands between and answers in its place.
    pub is_multiplexed: bool,
    /// Quarters of a cell are not in its font: the Linux console.
    pub has_halves_only: bool,
    /// Questions are answered, or at least swallowed.
    pub can_be_asked: bool,
    /// Colours were chosen, which no answer changes.
    pub is_colour_chosen: bool,
    /// Characters that were chosen.
    pub glyphs: Option<Glyphs>,
    /// Synchronized output with or without asking.
    pub sync: SyncChoice,
    /// Most bytes a second.
    pub budget: Option<usize>,
    /// Pixels that were asked for.
    pub pixels: PixelChoice,
}

impl PictureTerminal {
    /// Looks at the environment.
    #[must_use]
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        let is_behind_one = ["TMUX", "STY", "ZELLIJ"].into_iter().any(is);
        Self {
            is_multiplexed: is_behind_one || term.starts_with("screen") || term.starts_with("tmux"),
            has_halves_only: term == "linux",
            // The kernel's console prints parts of some questions.
            can_be_asked: !["linux", "dumb", ""].contains(&term.as_str())
                && !term.starts_with("vt"),
            ..Self::default()
        }
    }

    /// The same with what was chosen.
    #[must_use]
    pub fn with(self, chosen: &ScreenSettings) -> Self {
        Self {
            is_colour_chosen: chosen.color != Color::Auto,
            glyphs: chosen.glyphs.glyphs(),
            sync: chosen.sync,
            budget: chosen.budget_kb_s.bytes(),
            pixels: chosen.pixels,
            ..self
        }
    }
}

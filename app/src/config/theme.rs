//! `[theme]`: the name of the colours, and single colours by what they are for.

use serde::Deserialize;
use toml::Spanned;

use super::Wrong;
use crate::view::theme::{COLOURS_ALLOWED, ROLES, Theme, ThemeName, colour};

/// The table as it stands in the file. Its members but the first are the names of [`ROLES`].
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ThemeTable {
    name: ThemeName,
    error: Option<Spanned<String>>,
    notice: Option<Spanned<String>>,
    alarm: Option<Spanned<String>>,
    missed: Option<Spanned<String>>,
    title: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
}

impl ThemeTable {
    /// The colours, or the first that is none.
    pub(super) fn theme(&self) -> Result<Theme, Wrong> {
        let mut theme = Theme {
            name: self.name,
            ..Theme::default()
        };
        let written = [
            &self.error,
            &self.notice,
            &self.alarm,
            &self.missed,
            &self.title,
            &self.key,
        ];
        for ((written, (role, _)), own) in written.into_iter().zip(ROLES).zip(&mut theme.own) {
            let Some(written) = written else { continue };
            let read = colour(written.get_ref()).ok_or_else(|| Wrong {
                span: written.span(),
                reason: format!(
                    "`{}` is no colour for `{role}`; allowed are {COLOURS_ALLOWED}",
                    super::excerpt(written.get_ref())
                ),
            })?;
            *own = Some(read);
        }
        Ok(theme)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    fn theme(text: &str) -> Result<Theme, String> {
        let table: ThemeTable = toml::from_str(text).map_err(|error| error.to_string())?;
        table.theme().map_err(|wrong| wrong.reason)
    }

    #[test]
    fn names_and_colours_are_read() {
        let theme = theme("name = \"light\"\nalarm = \"#ff8800\"\nkey = \"default\"").unwrap();
        assert_eq!(theme.name, ThemeName::Light);
        assert_eq!(theme.own[2], Some(Color::Rgb(0xff, 0x88, 0)));
        assert_eq!(theme.own[5], Some(Color::Reset));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        for (text, words) in [
            ("name = \"solarized\"", "`light`"),
            ("error = \"mauve\"", "for `error`; allowed are a name"),
            ("colour = \"red\"", "alarm"),
            ("error = 7", "string"),
        ] {
            let error = theme(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

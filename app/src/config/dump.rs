//! `hullo config dump`: all that can be set, as it counts now, in the form of the file.

use std::fmt::Write as _;

use super::Config;
use crate::keymap::Key;
use crate::view::theme::ROLES;

impl Config {
    /// A file that would set exactly this. Servers are only counted: their passwords are shown nowhere.
    #[must_use]
    pub fn dump(&self) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "relay_only = {}", self.relay_only)?;
        let (stun, turn) = (self.stun.len(), self.turn.len());
        writeln!(
            out,
            "# stun servers: {stun}, turn servers: {turn} (not shown here)"
        )?;
        let attention = &self.attention;
        writeln!(out, "\n[attention]")?;
        for (name, is_on) in [
            ("bell", attention.bell),
            ("title", attention.title),
            ("terminal", attention.terminal),
            ("desktop", attention.desktop),
            ("ring", attention.ring),
        ] {
            writeln!(out, "{name} = {is_on}")?;
        }
        writeln!(out, "on_incoming = {}", list(&attention.on_incoming))?;
        writeln!(out, "\n[screen]\n{}", self.screen.dump())?;
        writeln!(out, "\n[theme]\nname = \"{}\"", self.theme.name.word())?;
        for ((role, _), own) in ROLES.iter().zip(&self.theme.own) {
            match own {
                Some(colour) => writeln!(out, "{role} = \"{}\"", colour_word(*colour))?,
                None => writeln!(out, "# {role} = the theme's")?,
            }
        }
        writeln!(out, "\n[keys]")?;
        for row in self.keymap.rows() {
            let names: Vec<String> = row.keys.iter().map(|key: &Key| key.name()).collect();
            writeln!(
                out,
                "{} = {}  # {}",
                row.action.name(),
                list(&names),
                crate::text::help(row.action)
            )?;
        }
        Ok(())
    }
}

fn colour_word(colour: ratatui::style::Color) -> String {
    match colour {
        ratatui::style::Color::Reset => "default".to_owned(),
        other => other.to_string(),
    }
}

fn list(words: &[String]) -> String {
    toml::Value::from(words.to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_is_dumped_sets_the_same() {
        for text in [
            "",
            "relay_only = true\n[attention]\nbell = false\non_incoming = [\"say\", \"it's \\\"me\\\"\"]\n\
             [screen]\nmouse = true\ncolor = 16\nglyphs = \"braille\"\nsync = \"off\"\nbudget_kb_s = 30\n\
             pixels = \"sixel\"\n[theme]\nname = \"light\"\nalarm = \"#ff8800\"\nkey = \"default\"\n\
             error = \"light-red\"\n[keys]\nmute = [\"m\", \"F2\"]\nscreen = []\nqr = '\"'\nhold = '\\'",
        ] {
            let config = parse(text).expect("good");
            let again = parse(&config.dump()).expect("what is dumped is good");
            assert_eq!(again.keymap, config.keymap);
            assert_eq!(again.theme, config.theme);
            assert_eq!(again.attention, config.attention);
            assert_eq!(again.screen, config.screen);
            assert_eq!(again.relay_only, config.relay_only);
        }
    }

    /// `docs/config.md` ends with the table of actions; what is wrong is printed as it should be.
    #[test]
    fn every_action_stands_in_the_documentation() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
        let docs = std::fs::read_to_string(docs).expect("the documentation is there");
        let keymap = crate::keymap::Keymap::default();
        let table: String = (keymap.rows().iter())
            .map(|row| {
                let keys: Vec<String> = row.keys.iter().map(|key| key.name()).collect();
                format!(
                    "| `{}` | `{}` | {} |\n",
                    row.action.name(),
                    keys.join("` `"),
                    crate::text::help(row.action)
                )
            })
            .collect();
        assert!(
            docs.ends_with(&table),
            "docs/config.md must end with:\n{table}"
        );
    }

    #[test]
    fn passwords_are_not_dumped() {
        let config =
            parse("[[turn]]\nurl = \"turn:a:1\"\nusername = \"me\"\npassword = \"s3cret\"")
                .expect("good");
        let dump = config.dump();
        assert!(
            !dump.contains("s3cret") && dump.contains("turn servers: 1"),
            "{dump}"
        );
    }
}

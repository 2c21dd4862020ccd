//! `hullo config dump`: all that can be set, as it counts now, in the form of the file.

use std::fmt::Write as _;

use super::Config;
use crate::event::Settings;
use crate::keymap::Key;
use crate::view::theme::ROLES;

impl Config {
    /// A file that would set exactly this. Servers are only counted: their passwords are shown nowhere.
    #[must_use]
    pub fn dump(&self) -> String {
        self.dump_with(&Settings::default())
    }

    /// The same with what was changed on the settings screen, which counts before the file. What the file cannot set is
    /// told in comments.
    #[must_use]
    pub fn dump_with(&self, settings: &Settings) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = self.write(settings, &mut out);
        out
    }

    fn write(&self, settings: &Settings, out: &mut String) -> std::fmt::Result {
        write_unfiled(settings, out)?;
        writeln!(out, "relay_only = {}", self.relay_only)?;
        let (stun, turn) = (self.stun.len(), self.turn.len());
        writeln!(
            out,
            "# stun servers: {stun}, turn servers: {turn} (not shown here)"
        )?;
        let attention = &self.attention;
        writeln!(out, "\n[attention]")?;
        for (name, given, own) in [
            ("bell", attention.bell, settings.bell),
            ("title", attention.title, settings.title),
            ("terminal", attention.terminal, settings.terminal),
            ("desktop", attention.desktop, settings.desktop),
            ("ring", attention.ring, settings.ring),
        ] {
            writeln!(out, "{name} = {}{}", own.unwrap_or(given), here(own))?;
        }
        writeln!(out, "on_incoming = {}", list(&attention.on_incoming))?;
        let mouse = settings.mouse.unwrap_or(self.screen.mouse);
        writeln!(out, "\n[screen]\nmouse = {mouse}{}", here(settings.mouse))?;
        writeln!(out, "{}", self.screen.dump())?;
        self.write_sound(settings, out)?;
        let theme = settings.theme.unwrap_or(self.theme.name).word();
        writeln!(out, "\n[theme]\nname = \"{theme}\"{}", here(settings.theme))?;
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

    fn write_sound(&self, settings: &Settings, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[sound]")?;
        let sound = &self.sound;
        for (name, device) in [("mic", &sound.mic), ("speaker", &sound.speaker)] {
            match device {
                Some(device) => {
                    writeln!(out, "{name} = {}", toml::Value::from(device.as_str()))?;
                }
                None => writeln!(out, "# {name} = the system's default")?,
            }
        }
        for (name, given, own) in [
            ("echo", sound.echo, settings.echo),
            ("noise", sound.noise, settings.noise),
            ("gain", sound.gain, settings.gain),
        ] {
            writeln!(out, "{name} = {}{}", own.unwrap_or(given), here(own))?;
        }
        Ok(())
    }
}

/// Behind what was changed on the settings screen.
fn here<T>(own: Option<T>) -> &'static str {
    match own {
        Some(_) => "  # from the settings screen",
        None => "",
    }
}

/// What is set on the settings screen, or by a key, alone.
fn write_unfiled(settings: &Settings, out: &mut String) -> std::fmt::Result {
    if settings.do_not_disturb {
        writeln!(out, "# do not disturb is on (`D`)")?;
    }
    for (what, device) in [
        ("camera", &settings.camera),
        ("microphone", &settings.mic),
        ("speaker", &settings.speaker),
    ] {
        if let Some(device) = device {
            let shown = super::excerpt(device);
            writeln!(out, "# {what}: {shown} (from the settings screen)")?;
        }
    }
    Ok(())
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
    use crate::event::Settings;
    use crate::view::theme::ThemeName;

    #[test]
    fn what_is_dumped_sets_the_same() {
        for text in [
            "",
            "relay_only = true\n[attention]\nbell = false\non_incoming = [\"say\", \"it's \\\"me\\\"\"]\n\
             [screen]\nmouse = true\ncolor = 16\nglyphs = \"braille\"\nsync = \"off\"\nbudget_kb_s = 30\n\
             pixels = \"sixel\"\n[sound]\nmic = \"a \\\"b\\\"\"\nnoise = false\n[theme]\nname = \"light\"\nalarm = \"#ff8800\"\nkey = \"default\"\n\
             error = \"light-red\"\n[keys]\nmute = [\"m\", \"F2\"]\nscreen = []\nqr = '\"'\nhold = '\\'",
        ] {
            let config = parse(text).expect("good");
            let again = parse(&config.dump()).expect("what is dumped is good");
            assert_eq!(again.keymap, config.keymap);
            assert_eq!(again.theme, config.theme);
            assert_eq!(again.attention, config.attention);
            assert_eq!(again.screen, config.screen);
            assert_eq!(again.sound, config.sound);
            assert_eq!(again.relay_only, config.relay_only);
        }
    }

    #[test]
    fn what_was_set_on_the_settings_screen_counts_and_says_so() {
        let config = parse("[attention]\nbell = true\n[theme]\nname = \"light\"").expect("good");
        let settings = Settings {
            bell: Some(false),
            mouse: Some(true),
            theme: Some(ThemeName::Dark),
            camera: Some("device:Webcam\nevil = 1".to_owned()),
            do_not_disturb: true,
            ..Settings::default()
        };
        let dump = config.dump_with(&settings);
        let again = parse(&dump).expect("what is dumped is good");
        assert!(!again.attention.bell && again.screen.mouse, "{dump}");
        assert_eq!(again.theme.name, ThemeName::Dark);
        assert!(dump.contains("bell = false  # from the settings screen"));
        assert!(dump.contains("# camera: device:Webcam"), "{dump}");
        assert!(dump.contains("do not disturb is on"), "{dump}");
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

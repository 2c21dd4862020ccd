//! `[keys]`: the name of an action, and the key or keys that do it. What is not named keeps its keys; `[]` takes them away.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::keymap::{Action, BINDINGS, KEYS_ALLOWED, KEYS_MAX, Key, Keymap};

use super::Wrong;

/// The table as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct KeysTable(BTreeMap<Spanned<String>, Spanned<OneOrMore>>);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a key is written \"m\", several are written [\"m\", \"F2\"]"
)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl KeysTable {
    /// The defaults with what the table changes, or the first thing that is wrong with it.
    pub(super) fn keymap(&self) -> Result<Keymap, Wrong> {
        let mut keymap = Keymap::default();
        let mut at = Vec::new();
        for (name, keys) in &self.0 {
            let action = Action::named(name.get_ref()).ok_or_else(|| Wrong {
                span: name.span(),
                reason: unknown_action(name.get_ref()),
            })?;
            let keys_read = read(action, keys)?;
            keymap.bind(action, &keys_read);
            at.push((action, keys.span()));
        }
        match keymap.collision() {
            None => Ok(keymap),
            Some(collision) => {
                let of = |action| at.iter().find(|(named, _)| *named == action);
                let span = of(collision.second).or(of(collision.first));
                Err(Wrong {
                    span: span.map_or(0..0, |(_, span)| span.clone()),
                    reason: format!(
                        "the key `{}` does two things, `{}` and `{}`: give one of them another key, or none with []",
                        collision.key.name(),
                        collision.first.name(),
                        collision.second.name()
                    ),
                })
            }
        }
    }
}

fn read(action: Action, keys: &Spanned<OneOrMore>) -> Result<Vec<Key>, Wrong> {
    let wrong = |reason| Wrong {
        span: keys.span(),
        reason,
    };
    let names = match keys.get_ref() {
        OneOrMore::One(name) => std::slice::from_ref(name),
        OneOrMore::More(names) => names.as_slice(),
    };
    if names.len() > KEYS_MAX {
        let reason = format!(
            "`{}` has {} keys, {KEYS_MAX} are allowed",
            action.name(),
            names.len()
        );
        return Err(wrong(reason));
    }
    let mut read = Vec::new();
    for name in names {
        if let Some(instead) = Key::indistinct(name) {
            return Err(wrong(format!(
                "`{}` cannot be told apart: {instead}",
                super::excerpt(name)
            )));
        }
        let key = Key::parse(name).ok_or_else(|| {
            let shown = super::excerpt(name);
            wrong(format!("`{shown}` is no key; allowed are {KEYS_ALLOWED}"))
        })?;
        read.push(key);
    }
    // Letters are text while something is typed: without another key one could not get out again.
    if action.is_done_while_typing() && !read.iter().any(|key| !key.is_for_typing()) {
        return Err(wrong(format!(
            "`{}` is also done while typing: it needs a key that types nothing, like Enter, Esc, Tab, PgUp or Ctrl-G",
            action.name()
        )));
    }
    Ok(read)
}

fn unknown_action(name: &str) -> String {
    let shown = super::excerpt(name);
    let mut known: Vec<&str> = BINDINGS.iter().map(|row| row.action.name()).collect();
    known.sort_unstable();
    format!("`{shown}` is no action; known are {}", known.join(", "))
}

/// Where something stands in the file.
pub(super) type Span = Range<usize>;

#[cfg(test)]
mod tests {
    use super::*;

    fn keymap(text: &str) -> Result<Keymap, String> {
        let table: KeysTable = toml::from_str(text).map_err(|error| error.to_string())?;
        table.keymap().map_err(|wrong| wrong.reason)
    }

    #[test]
    fn keys_are_changed_added_and_taken_away() {
        let keymap =
            keymap("mute = \"F2\"\nhang_up = [\"Q\", \"Ctrl-x\"]\nscreen = []\nqr = \"z\"")
                .unwrap();
        assert_eq!(keymap.key(Action::Mute), "F2");
        assert_eq!(keymap.keys(Action::HangUp).len(), 2);
        assert_eq!(keymap.key(Action::Screen), ":screen");
        assert_eq!(keymap.key(Action::Video), "v", "what is not named stays");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        for (text, words) in [
            ("muet = \"m\"", "known are accept"),
            ("mute = \"hyper\"", "PgDn"),
            ("mute = \"\"", "is no key"),
            ("mute = \"H\"", "`mute` and `hang_up`"),
            ("accept = \"q\"", "`accept` and `back`"),
            ("mute = 7", "a key is written"),
            ("confirm = \"y\"", "types nothing"),
            ("close = []", "types nothing"),
            ("mute = \"Ctrl-M\"", "use Enter"),
            ("mute = \"Ctrl-[\"", "use Esc"),
            ("mute = [\"m\", \"ctrl-i\"]", "use Tab"),
            ("mute = \"Ctrl-H\"", "use Backspace"),
            ("mute = \"Ctrl-Z\"", "use another letter"),
            (&format!("mute = [{}]", "\"m\",".repeat(9)), "8 are allowed"),
        ] {
            let error = keymap(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn two_actions_can_change_places() {
        let keymap = keymap("mute = \"v\"\nvideo = \"m\"").unwrap();
        assert_eq!(keymap.key(Action::Video), "m");
    }
}

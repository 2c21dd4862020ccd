//! The key table of this run: the defaults, changed by `[keys]` of the configuration.

use super::{Action, BINDINGS, Group, Key};

/// Keys one action may have: more than anybody remembers, and few enough for a line of the help.
pub const KEYS_MAX: usize = 8;

/// One action and its keys now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// All keys that do it; the first is the one the bottom bar names. None: only the palette does it.
    pub keys: Vec<Key>,
    /// What they do.
    pub action: Action,
    /// Where the help lists them.
    pub group: Group,
}

/// Which key does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    rows: Vec<Row>,
}

/// Two actions have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The key.
    pub key: Key,
    /// The one that comes first in the table.
    pub first: Action,
    /// The other.
    pub second: Action,
}

impl Default for Keymap {
    fn default() -> Self {
        let rows = BINDINGS.iter().map(|binding| Row {
            keys: binding.keys.to_vec(),
            action: binding.action,
            group: binding.group,
        });
        Self {
            rows: rows.collect(),
        }
    }
}

impl Keymap {
    /// All rows, in the order of the bottom bar and the help. The first valid row of a key wins.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Gives an action these keys instead of those it has; at most [`KEYS_MAX`] count.
    pub fn bind(&mut self, action: Action, keys: &[Key]) {
        for row in self.rows.iter_mut().filter(|row| row.action == action) {
            row.keys = keys.iter().copied().take(KEYS_MAX).collect();
        }
    }

    /// The keys of an action.
    #[must_use]
    pub fn keys(&self, action: Action) -> &[Key] {
        let row = self.rows.iter().find(|row| row.action == action);
        row.map_or(&[], |row| &row.keys)
    }

    /// The key to name for an action; `:name` where it has none, as it is reached through the palette.
    #[must_use]
    pub fn key(&self, action: Action) -> String {
        match self.keys(action).first() {
            Some(key) => key.name(),
            None => format!(":{}", action.name()),
        }
    }

    /// A sentence with its keys: `{hang_up}` becomes the key that hangs up now. Other braces stay as they are.
    #[must_use]
    pub fn fill(&self, sentence: &str) -> String {
        let mut filled = String::with_capacity(sentence.len());
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let named = after.split_once('}');
            let named = named.and_then(|(name, after)| Some((Action::named(name)?, after)));
            rest = match named {
                Some((action, after)) => {
                    filled.push_str(&self.key(action));
                    after
                }
                None => {
                    filled.push('{');
                    after
                }
            };
        }
        filled + rest
    }

    /// The first two actions that share a key though they may both be meant.
    #[must_use]
    pub fn collision(&self) -> Option<Collision> {
        self.rows.iter().enumerate().find_map(|(at, second)| {
            let before = &self.rows[..at];
            second.keys.iter().find_map(|key| {
                let first = before.iter().find(|first| {
                    first.keys.contains(key)
                        && first
                            .action
                            .context()
                            .collides_with(second.action.context())
                })?;
                Some(Collision {
                    key: *key,
                    first: first.action,
                    second: second.action,
                })
            })
        })
    }
}

impl Row {
    /// All its keys, for the help.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| key.name()).collect();
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_collide() {
        assert_eq!(Keymap::default().collision(), None);
    }

    #[test]
    fn a_key_of_two_actions_is_seen_and_one_that_gives_way_is_not() {
        let key = |name: &str| Key::parse(name).unwrap();
        let mut keymap = Keymap::default();
        keymap.bind(Action::HangUp, &[key("m")]);
        let collision = keymap.collision().expect("m mutes too");
        assert_eq!(
            (collision.first, collision.second, collision.key.name()),
            (Action::Mute, Action::HangUp, "m".to_owned())
        );
        let mut keymap = Keymap::default();
        keymap.bind(Action::Accept, &[key("t")]);
        assert_eq!(keymap.collision(), None, "what rings goes before a list");
    }

    #[test]
    fn sentences_name_the_keys_of_this_run() {
        let mut keymap = Keymap::default();
        keymap.bind(Action::HangUp, &[Key::parse("F9").unwrap()]);
        assert_eq!(
            keymap.fill("{hang_up} or {mute}: {me} {{mute} {"),
            "F9 or m: {me} {m {"
        );
        assert_eq!(keymap.fill("nothing"), "nothing");
    }

    #[test]
    fn an_action_without_a_key_is_named_for_the_palette() {
        let mut keymap = Keymap::default();
        keymap.bind(Action::Mute, &[]);
        assert_eq!(keymap.key(Action::Mute), ":mute");
        assert_eq!(keymap.key(Action::HangUp), "H");
        keymap.bind(Action::Mute, &vec![Key::parse("m").unwrap(); 99]);
        assert_eq!(keymap.keys(Action::Mute).len(), KEYS_MAX);
    }
}

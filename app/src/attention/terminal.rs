//! Escape sequences that ask a terminal for attention: its title, and a notification where it has one.
//!
//! A terminal that does not know a sequence may print it, so exactly one kind is used, and only where the environment
//! names a terminal that has it. Inside tmux the sequence is wrapped to be passed through; tmux drops it unless
//! `allow-passthrough` is on, and the bell then has to do.

/// How this terminal notifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `OSC 9`: iTerm2.
    Osc9,
    /// `OSC 99`: kitty; has a name and can be taken back.
    Osc99,
    /// `OSC 777`: Ghostty, WezTerm, foot, urxvt, and terminals on VTE.
    Osc777,
}

/// How to reach the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notifier {
    kind: Option<Kind>,
    is_in_tmux: bool,
}

/// Longest text of a notification or title, characters: terminals cut at their own lengths, a bounded one is ours.
const TEXT_CHARS_MAX: usize = 120;

impl Notifier {
    /// Looks at the environment. tmux takes over the variables of the terminal it was started in, so they name it there too.
    #[must_use]
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        let program = variable("TERM_PROGRAM").unwrap_or_default();
        let kind = if term == "dumb" || term == "linux" {
            None
        } else if is("KITTY_WINDOW_ID") || term == "xterm-kitty" {
            Some(Kind::Osc99)
        } else if is("WEZTERM_PANE")
            || is("GHOSTTY_RESOURCES_DIR")
            || is("VTE_VERSION")
            || matches!(program.as_str(), "WezTerm" | "ghostty")
            || term.starts_with("foot")
            || term.starts_with("rxvt-unicode")
        {
            Some(Kind::Osc777)
        } else if program == "iTerm.app" || variable("LC_TERMINAL").as_deref() == Some("iTerm2") {
            Some(Kind::Osc9)
        } else {
            None
        };
        Self {
            kind,
            is_in_tmux: is("TMUX"),
        }
    }

    /// The notification, or nothing where the terminal has none.
    #[must_use]
    pub fn note(&self, text: &str) -> Option<String> {
        let text = clean(text);
        Some(self.wrap(match self.kind? {
            Kind::Osc9 => format!("\x1b]9;{text}\x07"),
            Kind::Osc99 => format!("\x1b]99;i=hullo:d=1;{text}\x1b\\"),
            Kind::Osc777 => format!("\x1b]777;notify;Hullo;{text}\x07"),
        }))
    }

    /// Takes the notification back, or nothing where the terminal cannot.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        (self.kind == Some(Kind::Osc99))
            .then(|| self.wrap("\x1b]99;i=hullo:p=close;\x1b\\".to_owned()))
    }

    fn wrap(&self, sequence: String) -> String {
        if self.is_in_tmux {
            let escaped = sequence.replace('\x1b', "\x1b\x1b");
            format!("\x1bPtmux;{escaped}\x1b\\")
        } else {
            sequence
        }
    }
}

/// Sets the window's title (tmux: the pane's).
#[must_use]
pub fn title(text: &str) -> String {
    format!("\x1b]2;{}\x1b\\", clean(text))
}

/// Remembers the title there was, where the terminal has a stack for it.
pub const PUSH_TITLE: &str = "\x1b[22;2t";
/// Puts it back.
pub const POP_TITLE: &str = "\x1b[23;2t";

/// No control character of a contact's name may reach the terminal, and `;` separates fields.
fn clean(text: &str) -> String {
    let visible = text
        .chars()
        .map(|c| if c == ';' { ',' } else { c })
        .filter(|c| !c.is_control());
    visible.take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Notifier {
        let of = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Notifier::detect(of)
    }

    #[test]
    fn each_terminal_gets_its_own_sequence_and_unknown_ones_none() {
        let kind = |variables: &[(&str, &str)]| detect(variables).kind;
        assert_eq!(
            kind(&[("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")]),
            Some(Kind::Osc99)
        );
        assert_eq!(
            kind(&[("TERM", "xterm-256color"), ("VTE_VERSION", "7200")]),
            Some(Kind::Osc777)
        );
        assert_eq!(kind(&[("TERM", "foot")]), Some(Kind::Osc777));
        assert_eq!(
            kind(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")]),
            Some(Kind::Osc9)
        );
        for unknown in ["xterm-256color", "screen", "dumb", "linux", ""] {
            assert_eq!(kind(&[("TERM", unknown)]), None, "{unknown}");
        }
    }

    #[test]
    fn in_tmux_the_sequence_is_wrapped_whole() {
        let notifier = detect(&[("TMUX", "/s,1,0"), ("TERM", "tmux"), ("WEZTERM_PANE", "0")]);
        assert_eq!(
            notifier.note("Call from Ann").unwrap(),
            "\x1bPtmux;\x1b\x1b]777;notify;Hullo;Call from Ann\x07\x1b\\"
        );
        assert_eq!(notifier.end(), None);
        let kitty = detect(&[("TMUX", "/s,1,0"), ("KITTY_WINDOW_ID", "1")]);
        let end = kitty.end().unwrap();
        assert_eq!(end.matches("\x1b\x1b").count(), 2, "{end:?}");
    }

    #[test]
    fn a_name_cannot_break_out() {
        let nasty = "Ann\x07\x1b]0;x\u{9c}\n;y";
        assert_eq!(title(nasty), "\x1b]2;Ann]0,x,y\x1b\\");
        let long = "a".repeat(1_000);
        assert_eq!(title(&long).len(), TEXT_CHARS_MAX + 6);
        let notifier = detect(&[("TERM", "foot")]);
        assert_eq!(
            notifier.note(nasty).unwrap(),
            "\x1b]777;notify;Hullo;Ann]0,x,y\x07"
        );
    }
}

//! The doctor's look at the terminal: what it can show, how that was found out, and what stands between.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Finding, Section, Surroundings, TERMINAL_STATUS};
use crate::attention::terminal::Notifier;
use crate::config::{Chosen, Color, PixelChoice, SyncChoice};
use crate::screen::{PictureTerminal, reasons};
use crate::terminal::ask::{Answers, ask};
use crate::view::look::{Glyphs, Look, is_full_screen_possible};

/// Round trips above this are felt at every key.
const ROUND_TRIP_LONG: Duration = Duration::from_millis(150);
/// Below this many cells the screen is one line.
const CELLS_MIN: (u16, u16) = (40, 10);
/// From here on everything has its place.
const CELLS_USUAL: (u16, u16) = (80, 24);

/// What was found; nothing is looked up in [`findings`].
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Columns and rows.
    size: Option<(u16, u16)>,
    /// Both ends are a terminal: `None`, nothing was asked.
    answers: Option<Answers>,
    /// By flags and file.
    chosen: Chosen,
    /// What is wrong with the file.
    broken: Option<String>,
    /// tmux lets notifications through: what its option says.
    passthrough: Option<String>,
}

/// Looks at the terminal the program runs in.
pub(super) fn look(around: Surroundings<'_>) -> Section {
    let is_terminal = std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
        && crate::foreground::is_foreground();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (config, broken) = crate::config::read(&crate::config::path(around.folder));
    let chosen = Chosen {
        of_file: config.screen,
        flags: around.options.drawing,
    };
    let facts = Facts {
        chosen,
        broken: broken.map(|broken| broken.to_string()),
        size: is_terminal
            .then(|| crossterm::terminal::size().ok())
            .flatten(),
        // A terminal that cannot be made raw cannot be asked; that shows as one that answers nothing.
        answers: is_terminal.then(|| ask(chosen.now().pixels, variable).unwrap_or_default()),
        passthrough: variable("TMUX").and_then(|_| tmux_passthrough()),
    };
    Section {
        name: "terminal",
        status: TERMINAL_STATUS,
        findings: findings(&facts, &variable),
    }
}

/// What tmux's `allow-passthrough` is; `None` where it is too old to have it, and lets everything through.
fn tmux_passthrough() -> Option<String> {
    let asked = Command::new("tmux")
        .args(["display-message", "-p", "#{allow-passthrough}"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let word = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    (asked.status.success() && !word.is_empty()).then_some(word)
}

fn findings(facts: &Facts, variable: &impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let Some(answers) = &facts.answers else {
        let mut found = vec![Finding::warn(
            "screen",
            "input or output is no terminal: one sentence per change is written",
            "Run it in a terminal to have the rest looked at.",
        )];
        found.push(locale(variable));
        found.extend(file(facts));
        found.extend(ssh(variable));
        return found;
    };
    if !is_full_screen_possible(variable) {
        let mut found = vec![screen(variable), size(facts.size), locale(variable)];
        found.extend(file(facts));
        found.extend(ssh(variable));
        return found;
    }
    let mut found = vec![
        screen(variable),
        size(facts.size),
        colours(facts, answers, variable),
        locale(variable),
        characters(facts, answers, variable),
        pixels(facts, answers, variable),
        status_reports(answers),
        budget(facts, answers, variable),
        synchronized(facts, answers),
        key_releases(answers),
    ];
    found.extend(file(facts));
    found.push(multiplexer(answers, variable));
    found.push(notifications(facts, variable));
    found.extend(ssh(variable));
    found
}

fn screen(variable: &impl Fn(&str) -> Option<String>) -> Finding {
    if is_full_screen_possible(variable) {
        let term = variable("TERM").unwrap_or_default();
        return Finding::ok("screen", format!("full screen, TERM is {term:?}"));
    }
    Finding::warn(
        "screen",
        "TERM=dumb has no full screen: one sentence per change is written",
        "Set TERM to what the terminal is, for example TERM=xterm-256color.",
    )
}

fn size(size: Option<(u16, u16)>) -> Finding {
    let Some((columns, rows)) = size.filter(|(columns, rows)| *columns > 0 && *rows > 0) else {
        return Finding::fail(
            "size",
            "the terminal does not tell its size",
            "Set it: stty columns 80 rows 24.",
        );
    };
    let words = format!("{columns}x{rows} cells");
    if columns < CELLS_MIN.0 || rows < CELLS_MIN.1 {
        let remedy = format!(
            "Pictures need {}x{}; below that the screen is one line.",
            CELLS_MIN.0, CELLS_MIN.1
        );
        Finding::warn("size", words, remedy)
    } else if columns < CELLS_USUAL.0 || rows < CELLS_USUAL.1 {
        let remedy = format!(
            "With {}x{} nothing is left out.",
            CELLS_USUAL.0, CELLS_USUAL.1
        );
        Finding::warn("size", words, remedy)
    } else {
        Finding::ok("size", words)
    }
}

/// What is wrong with config.toml, if anything.
fn file(facts: &Facts) -> Option<Finding> {
    let broken = facts.broken.as_ref()?;
    Some(Finding::warn(
        "config.toml",
        broken.trim_end_matches('.'),
        "`hullo config check` tells when it is right.",
    ))
}

/// How many colours, and who says so.
fn colours(
    facts: &Facts,
    answers: &Answers,
    variable: &impl Fn(&str) -> Option<String>,
) -> Finding {
    let reason = reasons::colours(facts.chosen, &answers.ability, variable);
    let words = format!("{}, {}", reason.what, reason.why);
    if reason.what == "256" && facts.chosen.now().color == Color::Auto {
        return Finding::warn(
            "colours",
            words,
            "If it has 24 bits, say --color truecolor, or set COLORTERM=truecolor.",
        );
    }
    Finding::ok("colours", words)
}

fn locale(variable: &impl Fn(&str) -> Option<String>) -> Finding {
    let name = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable);
    match Look::detect(Default::default(), variable).glyphs {
        Glyphs::Unicode => Finding::ok("locale", format!("{}: UTF-8", name.unwrap_or_default())),
        Glyphs::Ascii => Finding::warn(
            "locale",
            match name {
                Some(name) => format!("{name} is not UTF-8: pictures and borders are ASCII"),
                None => "none is set: pictures and borders are ASCII".to_owned(),
            },
            "Set LANG to a UTF-8 locale, for example LANG=C.UTF-8.",
        ),
    }
}

fn characters(
    facts: &Facts,
    answers: &Answers,
    variable: &impl Fn(&str) -> Option<String>,
) -> Finding {
    let look = reasons::look(facts.chosen, &answers.ability, variable);
    let has_halves_only = PictureTerminal::detect(variable).has_halves_only;
    let reason = reasons::characters(facts.chosen, look, has_halves_only);
    Finding::ok(
        "characters",
        format!("pictures of {}: {}", reason.what, reason.why),
    )
}

/// Pixels in place of characters: whether the terminal can, and what was asked for.
fn pixels(facts: &Facts, answers: &Answers, variable: &impl Fn(&str) -> Option<String>) -> Finding {
    let ability = &answers.ability;
    let there: Vec<&str> = [
        (ability.has_sixel, "sixel"),
        (ability.has_kitty_pictures, "kitty"),
    ]
    .into_iter()
    .filter_map(|(is_there, name)| is_there.then_some(name))
    .collect();
    let cell = match ability.cell_px {
        Some((across, down)) => format!(", a cell is {across}x{down} pixels"),
        None => String::new(),
    };
    let can = if there.is_empty() && facts.chosen.now().pixels == PixelChoice::None {
        "sixel is not told of; kitty's pictures are asked about with --pixels kitty".to_owned()
    } else if there.is_empty() {
        format!("the terminal does not say that it shows any{cell}")
    } else {
        format!("the terminal shows {}{cell}", there.join(" and "))
    };
    let (is_there, word) = match facts.chosen.now().pixels {
        PixelChoice::None => {
            let how = if there.is_empty() { "" } else { " (--pixels)" };
            return Finding::ok("pixels", format!("{can}; characters are drawn{how}"));
        }
        PixelChoice::Sixel => (ability.has_sixel, "sixel"),
        PixelChoice::Kitty => (ability.has_kitty_pictures, "kitty"),
    };
    let words = format!("{can}; {word} was asked for");
    if is_there {
        return Finding::ok("pixels", words);
    }
    let remedy = if PictureTerminal::detect(variable).is_multiplexed {
        "Characters are drawn: run hullo outside of tmux for pixels, or say --pixels none."
    } else {
        "Characters are drawn: another terminal shows pixels, or say --pixels none."
    };
    Finding::warn("pixels", words, remedy)
}

/// Most that pictures may take.
fn budget(facts: &Facts, answers: &Answers, variable: &impl Fn(&str) -> Option<String>) -> Finding {
    let is_multiplexed = PictureTerminal::detect(variable).is_multiplexed;
    let words = match (facts.chosen.now().budget_kb_s.0, answers.round_trip) {
        (Some(most), _) => format!("pictures take {most} kB/s at most, which was chosen"),
        (None, Some(_)) if is_multiplexed => {
            "pictures take 60 kB/s at most; --budget-kb-s says what the line behind carries"
                .to_owned()
        }
        (None, Some(_)) => "pictures take what the terminal acknowledges".to_owned(),
        (None, None) => "pictures take 60 kB/s, for nothing is acknowledged".to_owned(),
    };
    Finding::ok("budget", words)
}

fn status_reports(answers: &Answers) -> Finding {
    let Some(round_trip) = answers.round_trip else {
        return Finding::warn(
            "status reports",
            "the terminal does not answer: pictures are sent at a fixed rate",
            "On a slower line say --budget-kb-s with what it carries, or keys are slow while pictures move.",
        );
    };
    let words = format!("answered after {:.1} ms", 1000.0 * round_trip.as_secs_f64());
    if round_trip > ROUND_TRIP_LONG {
        Finding::warn(
            "status reports",
            words,
            "Every key takes as long to show: a nearer host or a better line would help.",
        )
    } else {
        Finding::ok("status reports", words)
    }
}

fn synchronized(facts: &Facts, answers: &Answers) -> Finding {
    let words = match (facts.chosen.now().sync, answers.ability.is_synchronized) {
        (SyncChoice::Auto, true) => "there: a picture is never shown half",
        (SyncChoice::Auto, false) => "not there: large changes may be seen being drawn",
        (SyncChoice::On, true) => "there, and chosen",
        (SyncChoice::On, false) => "chosen, though the terminal does not say that it knows it",
        (SyncChoice::Off, _) => "switched off: large changes may be seen being drawn",
    };
    Finding::ok("synchronized output", words)
}

fn key_releases(answers: &Answers) -> Finding {
    if answers.ability.has_key_releases {
        return Finding::ok("key releases", "reported: holding a key can mean something");
    }
    Finding::ok(
        "key releases",
        "not reported: a key that is held cannot be told from one that is pressed",
    )
}

fn multiplexer(answers: &Answers, variable: &impl Fn(&str) -> Option<String>) -> Finding {
    let version = answers.ability.version.clone();
    let names = [("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij")];
    let here = names.iter().find(|(key, _)| variable(key).is_some());
    let is_named = |name: &str| {
        let version = version.as_ref().map(|version| version.to_lowercase());
        version.is_some_and(|version| version.contains(name))
    };
    let words = match (here, version.clone()) {
        (Some((_, name)), version) => {
            let name = version
                .filter(|_| is_named(name))
                .unwrap_or_else(|| (*name).to_owned());
            format!("{name} answers in the terminal's place: pictures are sent carefully")
        }
        // Beyond ssh nothing in the environment tells of it, and its answers come over the line that counts.
        (None, Some(version)) if names.iter().any(|(_, name)| is_named(name)) => {
            let side = if variable("SSH_CONNECTION").is_some() {
                ", on your side of ssh"
            } else {
                ""
            };
            format!("{version} answers in the terminal's place{side}")
        }
        (None, Some(version)) => format!("nothing, the terminal is {version}"),
        (None, None) => "nothing that says so; the terminal tells no name".to_owned(),
    };
    Finding::ok("between", words)
}

fn notifications(facts: &Facts, variable: &impl Fn(&str) -> Option<String>) -> Finding {
    let is_known = Notifier::detect(variable).note("x").is_some();
    let is_blocked = facts
        .passthrough
        .as_deref()
        .is_some_and(|word| word == "off" || word == "0");
    match (is_known, is_blocked) {
        (false, _) => Finding::ok(
            "notifications",
            "not of this terminal's: the bell and the title tell of a call",
        ),
        (true, true) => Finding::warn(
            "notifications",
            "tmux does not let them through",
            "Say in .tmux.conf: set -g allow-passthrough on.",
        ),
        (true, false) => Finding::ok("notifications", "the terminal shows them"),
    }
}

fn ssh(variable: &impl Fn(&str) -> Option<String>) -> Option<Finding> {
    variable("SSH_CONNECTION").map(|_| {
        Finding::ok(
            "ssh",
            "this is an ssh session: sound and camera are those of this host",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use crate::terminal::Reply;

    fn found(facts: &Facts, environment: &[(&str, &str)]) -> Vec<Finding> {
        findings(facts, &|name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn of(findings: &[Finding], what: &str) -> Finding {
        let found = findings.iter().find(|finding| finding.what == what);
        found
            .unwrap_or_else(|| panic!("{what}: {findings:?}"))
            .clone()
    }

    fn answered(replies: &[Reply]) -> Facts {
        let mut answers = Answers::default();
        for reply in replies {
            answers.ability.take(reply);
        }
        answers.round_trip = Some(Duration::from_millis(3));
        Facts {
            size: Some((120, 34)),
            answers: Some(answers),
            ..Facts::default()
        }
    }

    #[test]
    fn a_good_terminal_is_all_well() {
        let facts = answered(&[
            Reply::Version("kitty 0.40".into()),
            Reply::Mode(2026, 2),
            Reply::Keyboard(0),
            Reply::Attributes(vec![62]),
        ]);
        let all = found(&facts, &[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")]);
        assert!(
            all.iter().all(|finding| finding.state == State::Ok),
            "{all:?}"
        );
        let colours = of(&all, "colours").words;
        assert!(
            colours.contains("24 bits") && colours.contains("kitty"),
            "{colours}"
        );
        assert!(of(&all, "key releases").words.starts_with("reported"));
    }

    #[test]
    fn a_terminal_that_answers_nothing_is_told_with_what_to_do() {
        let facts = Facts {
            size: Some((30, 9)),
            answers: Some(Answers::default()),
            ..Facts::default()
        };
        let all = found(&facts, &[("TERM", "xterm")]);
        for what in ["size", "colours", "locale", "status reports"] {
            let finding = of(&all, what);
            assert_eq!(finding.state, State::Warn, "{finding:?}");
            assert!(finding.remedy.is_some(), "{finding:?}");
        }
        assert_eq!(
            of(
                &found(
                    &Facts {
                        size: None,
                        ..facts
                    },
                    &[]
                ),
                "size"
            )
            .state,
            State::Fail
        );
    }

    #[test]
    fn what_was_chosen_is_told_with_who_chose_it_and_what_comes_of_it() {
        use crate::config::{Budget, GlyphChoice, ScreenFlags, ScreenSettings};
        let environment = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];
        let mut facts = answered(&[
            Reply::Mode(2026, 2),
            Reply::CellPixels(10, 20),
            Reply::Attributes(vec![62, 4]),
        ]);
        let all = found(&facts, &environment);
        let pixels = of(&all, "pixels").words;
        assert!(
            pixels.contains("shows sixel")
                && pixels.contains("10x20")
                && pixels.contains("--pixels"),
            "{pixels}"
        );
        facts.chosen = Chosen {
            of_file: ScreenSettings {
                color: Color::Ansi,
                budget_kb_s: Budget(Some(30)),
                sync: SyncChoice::Off,
                ..ScreenSettings::default()
            },
            flags: ScreenFlags {
                glyphs: Some(GlyphChoice::Half),
                pixels: Some(PixelChoice::Kitty),
                ..ScreenFlags::default()
            },
        };
        facts.broken = Some("config.toml line 4: no".into());
        let all = found(&facts, &environment);
        assert_eq!(of(&all, "colours").words, "16, config.toml says so");
        assert!(
            of(&all, "characters")
                .words
                .contains("half blocks: --glyphs says so")
        );
        assert!(of(&all, "budget").words.contains("30 kB/s at most"));
        assert!(
            of(&all, "synchronized output")
                .words
                .starts_with("switched off")
        );
        let pixels = of(&all, "pixels");
        assert_eq!(pixels.state, State::Warn, "{pixels:?}");
        assert!(pixels.words.contains("kitty was asked for"), "{pixels:?}");
        assert!(of(&all, "config.toml").words.contains("line 4"));
    }

    #[test]
    fn tmux_is_named_and_its_lock_on_notifications_seen() {
        let facts = Facts {
            passthrough: Some("off".into()),
            ..answered(&[Reply::Version("tmux 3.3a".into())])
        };
        let environment = [
            ("TERM", "tmux-256color"),
            ("TMUX", "socket,1,0"),
            ("KITTY_WINDOW_ID", "1"),
            ("SSH_CONNECTION", "10.0.0.5 1 10.0.0.6 22"),
        ];
        let all = found(&facts, &environment);
        assert!(of(&all, "between").words.contains("tmux 3.3a"));
        // The one at the other end of ssh is known by its name alone.
        let near = [
            ("TERM", "xterm-256color"),
            ("SSH_CONNECTION", "10.0.0.5 1 10.0.0.6 22"),
        ];
        let words = of(&found(&facts, &near), "between").words;
        assert!(
            words.contains("tmux 3.3a") && words.contains("your side"),
            "{words}"
        );
        assert_eq!(of(&all, "notifications").state, State::Warn);
        let ssh = of(&all, "ssh").words;
        assert!(
            !ssh.contains("10.0.0.5"),
            "addresses stay out of reports: {ssh}"
        );
    }

    #[test]
    fn a_terminal_without_a_screen_is_told_so_and_nothing_more_about_pictures() {
        let facts = Facts {
            size: Some((80, 24)),
            answers: Some(Answers::default()),
            ..Facts::default()
        };
        let all = found(&facts, &[("TERM", "dumb"), ("LANG", "C.UTF-8")]);
        assert_eq!(of(&all, "screen").state, State::Warn);
        assert!(
            !all.iter().any(|finding| finding.what == "status reports"),
            "{all:?}"
        );
    }

    #[test]
    fn no_terminal_is_no_failure() {
        let all = found(&Facts::default(), &[("LANG", "C.UTF-8")]);
        assert_eq!(of(&all, "screen").state, State::Warn);
        assert_eq!(of(&all, "locale").state, State::Ok);
    }
}

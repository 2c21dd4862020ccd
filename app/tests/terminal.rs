//! The screen in a real terminal: tmux, signals, a real ssh connection, and windows of every size.
//!
//! Each test says so and is left out where tmux or sshd is not installed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a failed test says where; real terminals run in real time and are looked at again and again"
)]

#[path = "kit/sshd.rs"]
mod sshd;
#[path = "kit/tmux.rs"]
mod tmux;

use sshd::Sshd;
use tmux::{Stage, Tmux, is_installed, until};

const DEMO: &str = "demo --camera test --mic test --speaker none";
const MIRROR: &str = "mirror --camera test";
const USUAL: (u16, u16) = (80, 24);
/// Blocks that only a picture has: a few rows of it.
const PICTURE_CELLS: usize = 300;

fn has_picture(shown: &str) -> bool {
    shown.matches(|cell| ('▀'..='▟').contains(&cell)).count() > PICTURE_CELLS
}

/// The demo's call, with its picture, in a terminal of the usual size.
fn demo_in_call(stage: &Stage) -> Tmux {
    let tmux = Tmux::start(USUAL, &stage.command());
    tmux.wait_until("a call with its picture", |shown| {
        shown.contains("in call with Testcard") && has_picture(shown)
    });
    tmux
}

#[test]
fn the_demo_is_a_call_whose_keys_work_and_the_terminal_is_given_back() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(DEMO, "");
    let tmux = demo_in_call(&stage);
    tmux.press("m");
    tmux.wait_for("MUTED");
    tmux.press("m");
    tmux.wait_for("microphone on");
    tmux.press("v");
    tmux.wait_for("camera off");
    tmux.press("q");
    let shown = tmux.wait_for("H hangs up first");
    assert!(shown.contains("in call with Testcard"), "{shown}");
    tmux.press("H");
    tmux.wait_for("back with 0");
    tmux.assert_restored();
    stage.assert_settings_restored();
    stage.assert_nothing_left();
}

#[test]
fn a_signal_during_a_call_gives_the_terminal_back() {
    if !is_installed("tmux") {
        return;
    }
    for signal in ["TERM", "HUP"] {
        let stage = Stage::new(DEMO, "");
        let tmux = demo_in_call(&stage);
        stage.signal(signal);
        tmux.wait_for("back with ");
        tmux.assert_restored();
        stage.assert_settings_restored();
        stage.assert_nothing_left();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_the_call_and_all_its_processes() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(DEMO, "");
    drop(demo_in_call(&stage));
    stage.assert_nothing_left();
}

#[test]
fn a_call_over_ssh_is_seen_and_its_keys_work() {
    let Some(sshd) = Sshd::start() else { return };
    let stage = Stage::new(DEMO, "");
    let tmux = Tmux::start(USUAL, &sshd.command(&stage.command()));
    tmux.wait_until("a call with its picture", |shown| {
        shown.contains("in call with Testcard") && has_picture(shown)
    });
    tmux.press("m");
    tmux.wait_for("MUTED");
    tmux.resize(70, 20);
    tmux.wait_until("the picture in the new size", |shown| {
        shown.lines().count() <= 20 && shown.contains("MUTED") && has_picture(shown)
    });
    tmux.press("H");
    tmux.wait_for("back with 0");
    tmux.assert_restored();
    stage.assert_settings_restored();
    stage.assert_nothing_left();
}

#[test]
fn a_lost_ssh_connection_ends_the_call_and_all_its_processes() {
    let Some(sshd) = Sshd::start() else { return };
    let stage = Stage::new(DEMO, "");
    let tmux = Tmux::start(USUAL, &sshd.command(&stage.command()));
    tmux.wait_for("in call with Testcard");
    drop(tmux);
    stage.assert_nothing_left();
}

#[test]
fn no_size_of_the_window_ends_the_program() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(MIRROR, "");
    let tmux = Tmux::start((10, 3), &stage.command());
    // What a screen without room says, in ten columns.
    tmux.wait_for("00:0");
    for (columns, rows, words) in [
        (80, 24, "nothing is sent"),
        (1, 1, ""),
        (200, 60, "nothing is sent"),
        (2, 40, "ne\ned\ns"),
        (200, 1, "[q]"),
        (39, 9, "hullo needs 40x10"),
        (10, 3, "00:0"),
    ] {
        tmux.resize(columns, rows);
        let is_roomy = words == "nothing is sent";
        tmux.wait_until("the screen in the new size", |shown| {
            shown.contains(words) && has_picture(shown) == is_roomy
        });
    }
    tmux.resize(80, 24);
    tmux.wait_until("the picture again", has_picture);
    tmux.press("q");
    tmux.wait_for("back with 0");
    tmux.assert_restored();
    stage.assert_settings_restored();
}

#[test]
fn a_stopped_program_gives_the_terminal_back_and_goes_on_where_it_was() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new("", "");
    let tmux = Tmux::start(
        USUAL,
        "env -u NO_COLOR -u CLICOLOR -u ENV LANG=C.UTF-8 'PS1=shell> ' sh -i",
    );
    tmux.wait_for("shell>");
    let before = stage.path().join("before").display().to_string();
    tmux.enter(&format!("echo here was the shell; stty -g > {before}"));
    tmux.enter(&stage.typed(MIRROR));
    tmux.wait_until("the picture", has_picture);
    tmux.press("C-z");
    tmux.wait_for("`fg` goes on");
    // What is typed before the shell is back may still be taken by the program.
    tmux.wait_until("the shell", |shown| shown.trim_end().ends_with("shell>"));
    let after = stage.path().join("after").display().to_string();
    tmux.enter(&format!("stty -g > {after}; echo the answer is $((6 * 7))"));
    let shown = tmux.wait_for("the answer is 42");
    assert!(!has_picture(&shown), "{shown}");
    tmux.assert_restored();
    stage.assert_settings_restored();
    // What was pasted to see that no brackets come is no command.
    tmux.press("C-u");
    tmux.enter("fg");
    tmux.wait_until("the picture again, and the words around it", |shown| {
        has_picture(shown) && shown.contains("nothing is sent")
    });
    tmux.press("q");
    tmux.wait_until("the shell", |shown| shown.trim_end().ends_with("shell>"));
    tmux.enter("echo back with $?");
    tmux.wait_for("back with 0");
    tmux.enter(&format!("stty -g > {after}; echo the answer is $((6 * 9))"));
    tmux.wait_for("the answer is 54");
    tmux.assert_restored();
    stage.assert_settings_restored();
    stage.assert_nothing_left();
}

#[test]
fn keys_are_answered_while_pictures_play() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(MIRROR, "");
    let tmux = Tmux::start(USUAL, &stage.command());
    for _ in 0..3 {
        let first = tmux.wait_until("the picture", has_picture);
        tmux.wait_until("another picture", |shown| {
            has_picture(shown) && *shown != *first
        });
        tmux.press("?");
        tmux.wait_until("the help, and no picture", |shown| {
            shown.contains("Esc close") && !has_picture(shown)
        });
        tmux.press("?");
    }
    tmux.wait_until("the picture", has_picture);
    tmux.press("q");
    tmux.wait_for("back with 0");
    tmux.assert_restored();
    stage.assert_settings_restored();
    stage.assert_nothing_left();
}

#[test]
fn without_colours_the_picture_is_drawn_in_characters() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(MIRROR, "NO_COLOR=1");
    let tmux = Tmux::start(USUAL, &stage.command());
    tmux.wait_until("a picture of characters", |shown| {
        shown.matches(['#', '+', '%', '@', '*', '=']).count() > PICTURE_CELLS
    });
    let escapes = tmux.run(&["capture-pane", "-p", "-e"]);
    let attributes = escapes
        .split("\u{1b}[")
        .skip(1)
        .filter_map(|rest| rest.split_once('m'));
    for number in attributes.flat_map(|(numbers, _)| numbers.split(';')) {
        // Bold, dim, reversed, what ends them, and the terminal's own colours; never another.
        let number = number.parse().unwrap_or(0);
        assert!(number < 30 || number == 39 || number == 49, "{escapes:?}");
    }
    tmux.press("q");
    tmux.wait_for("back with 0");
}

#[test]
fn a_second_terminal_on_a_profile_follows_the_first_line_by_line() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new("", "");
    let tmux = Tmux::start(USUAL, &stage.command());
    tmux.wait_for("Contacts");
    tmux.run(&["split-window", &stage.command()]);
    tmux.wait_for("line by line");
    tmux.run(&["send-keys", "-l", "quit"]);
    tmux.press("Enter");
    tmux.wait_for("back with 0");
    tmux.run(&["select-pane", "-t", "0"]);
    let shown = tmux.wait_for("Contacts");
    assert!(!shown.contains("back with"), "{shown}");
    tmux.press("q");
    tmux.wait_for("back with 0");
}

#[test]
fn what_is_chosen_for_pictures_is_told_and_pixels_without_a_terminal_for_them_are_refused_in_words()
{
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(&format!("{MIRROR} --pixels kitty --color 16"), "");
    let tmux = Tmux::start(USUAL, &stage.command());
    tmux.wait_for("let no kitty pictures through");
    tmux.wait_until("characters in their place, and figures", |shown| {
        has_picture(shown) && shown.contains("pictures/s; 16 colours (--color), quarter blocks")
    });
    tmux.press("q");
    tmux.wait_for("back with 0");
    tmux.assert_restored();
    stage.assert_nothing_left();
}

#[test]
fn a_flood_of_keys_does_not_outlive_a_signal() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(DEMO, "");
    let tmux = Tmux::start(USUAL, &stage.command());
    tmux.wait_until("the picture", has_picture);
    // As a paste that the terminal does not mark: letters that call, hang up and ask the network.
    let keys = (0..1_000_000_u32).map(|at| {
        let letter = at.wrapping_mul(2_654_435_761) >> 16;
        let letters = b"abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPRSTUVWXYZ0123456789+/";
        letters[letter as usize % letters.len()]
    });
    let file = stage.path().join("keys");
    std::fs::write(&file, keys.collect::<Vec<u8>>()).unwrap();
    tmux.run(&["load-buffer", file.to_str().unwrap()]);
    tmux.run(&["paste-buffer"]);
    stage.signal("TERM");
    until(
        "the program has ended",
        || {
            std::fs::read_to_string(stage.path().join("after"))
                .is_ok_and(|after| !after.is_empty())
                .then_some(())
        },
        || tmux.shown(),
    );
    stage.assert_settings_restored();
    stage.assert_nothing_left();
}

#[test]
fn a_test_of_sound_in_the_background_runs_and_is_not_stopped() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new("", "");
    let tmux = Tmux::start(USUAL, "bash --norc -i");
    let test = stage.typed("test --mic test --speaker none --seconds 2");
    tmux.enter(&format!("{test} & wait %1; echo ended with $?"));
    let shown = tmux.wait_until("an end, or a stop", |shown| {
        shown.contains("\nended with") || shown.contains("Stopped")
    });
    assert!(
        !shown.contains("Stopped") && shown.contains("Summary"),
        "{shown}"
    );
}

#[test]
fn a_demo_of_many_people_says_at_once_what_it_does_and_shows_them_as_they_come() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new(
        "demo --people 3 --camera test --mic test --speaker none",
        "",
    );
    let tmux = Tmux::start(USUAL, &stage.command());
    let shown = tmux.wait_for("Starting a server and 3 people");
    assert!(!shown.contains("Ada"), "{shown}");
    tmux.wait_until("all three of them", |shown| {
        ["Ada", "Blaise", "Chien"]
            .iter()
            .all(|name| shown.contains(name))
    });
    tmux.press("H");
    tmux.wait_for("back with 0");
    stage.assert_nothing_left();
}

#[test]
fn an_error_is_broken_between_words() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new("", "");
    let tmux = Tmux::start((60, 24), "bash --norc -i");
    tmux.enter(&stage.typed("invite"));
    let shown = tmux.wait_for("hullo: ");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let at = lines.iter().position(|line| line.starts_with("hullo: "));
    let at = at.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        lines[at].chars().count() < 60 && lines[at + 1].starts_with("      "),
        "{shown}"
    );
}

#[test]
fn the_doctor_asks_a_terminal_only_what_it_takes() {
    if !is_installed("tmux") {
        return;
    }
    let stage = Stage::new("", "");
    let written = |variable: &str, file: &str| {
        let at = stage.path().join(file);
        let script = stage.path().join(format!("{file}.sh"));
        let doctor = stage.typed("doctor --plain");
        std::fs::write(
            &script,
            format!("read go\n{variable} {doctor}\necho over $?\nexec cat\n"),
        )
        .unwrap();
        let tmux = Tmux::start(USUAL, &format!("sh {}", script.display()));
        tmux.run(&["pipe-pane", &format!("cat > {}", at.display())]);
        tmux.press("Enter");
        tmux.wait_for("over ");
        until(
            "the bytes",
            || {
                let bytes = std::fs::read_to_string(&at).unwrap_or_default();
                bytes.contains("over ").then_some(bytes)
            },
            || tmux.shown(),
        )
    };
    let dumb = written("TERM=dumb", "dumb");
    assert!(!dumb.contains('\u{1b}'), "{dumb:?}");
    let usual = written("TERM=xterm-256color", "usual");
    assert!(
        usual.contains("\u{1b}[c") && !usual.contains("\u{1b}_G"),
        "{usual:?}"
    );
}

//! Words of the palette, the menu of a contact, the settings and the log.

use crate::event::SoundPart;
use crate::layers::{MenuLine, Setup};
use crate::update::settings::{Item, Source};
use crate::view::theme::{Theme, ThemeName};

pub(crate) const LAYER_TOO_LONG: &str = "This needs a larger window.";
pub(crate) const PALETTE_CHOOSE: &str =
    "Type what you look for, or choose with {up} and {down}; then {confirm} does it.";
pub(crate) const PALETTE_NOTHING: &str = "Nothing of that name can be done now.";
pub(crate) const NOBODY_LISTED: &str = "Nobody is called that.";
pub(crate) const SETTINGS_TITLE: &str = "Settings";
pub(crate) const LOG_EMPTY: &str = "Nothing was logged yet.";
pub(crate) const NO_LOG: &str = "not written";
pub(crate) const DEVICE_DEFAULT: &str = "the system's default";
pub(crate) const SETTING_KEPT: &str = "Changed, and kept for the next time.";
pub(crate) const RENAME_ASK: &str =
    "What you call this contact; it is not told. {confirm} keeps the name, {close} does not.";

/// The line of the palette for a whole command.
pub(crate) fn palette_command(line: &str) -> String {
    format!("do: {line}")
}

/// A line of the menu of a contact.
pub(crate) fn menu_line(line: MenuLine, name: &str) -> String {
    match line {
        MenuLine::Rename => "Rename".to_owned(),
        MenuLine::Words => "Compare words: verify".to_owned(),
        MenuLine::Block => format!("Block: what {name} sends is dropped, and it is not told"),
        MenuLine::Unblock => format!("Unblock: take what {name} sends again"),
        MenuLine::Remove => "Remove: forget this contact and its conversation".to_owned(),
    }
}

pub(crate) fn remove_ask(name: &str) -> String {
    format!(
        "Forget {name}, with all that was written? There is no way back but a new link. {{confirm}} forgets, {{close}} does not."
    )
}

pub(crate) fn forgotten(name: &str) -> String {
    format!("{name} is forgotten. A new link makes you contacts again.")
}

pub(crate) fn no_such_setting(name: &str) -> String {
    let shown: String = super::shown(name).chars().take(40).collect();
    format!(
        "`{shown}` is no setting; known are theme, mouse, bell, ring, desktop, terminal, title, echo, noise, gain, \
         camera, mic, speaker."
    )
}

pub(crate) fn no_such_value(setting: &str, allowed: &str) -> String {
    format!("`{setting}` takes one of: {allowed}.")
}

pub(crate) const CLICK_AGAIN: &str = "Click it once more to hang up.";
pub(crate) const CLICK_AGAIN_CALL: &str = "Click it once more to call.";
pub(crate) const CLICK_AGAIN_JOIN: &str = "Click it once more to join the call.";

pub(crate) fn now_blocked(name: &str) -> String {
    format!(
        "{name} is blocked: no message or call of {name} reaches you, and {name} is not told. In calls of groups you neither \
         hear nor see {name}, who hears and sees you like everybody there."
    )
}

pub(crate) fn now_unblocked(name: &str) -> String {
    format!("{name} is no longer blocked.")
}

/// `on` or `off`.
pub(crate) fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// The theme, and what became of an automatic one.
pub(crate) fn theme(theme: Theme) -> String {
    match (theme.name, theme.is_ground_light) {
        (ThemeName::Auto, true) => "auto (light)".to_owned(),
        (ThemeName::Auto, false) => "auto (dark)".to_owned(),
        (name, _) => name.word().to_owned(),
    }
}

/// The name of a setting.
pub(crate) fn setting(item: Item) -> &'static str {
    match item {
        Item::DoNotDisturb => "Do not disturb",
        Item::Theme => "Theme",
        Item::Mouse => "Mouse",
        Item::Bell => "Bell for a call",
        Item::Ring => "Ring sound",
        Item::Desktop => "Desktop notification",
        Item::Terminal => "Terminal notification",
        Item::Title => "Window title",
        Item::Sound(part) => super::sound_part(part),
        Item::Camera => "Camera",
        Item::Microphone => "Microphone",
        Item::Speaker => "Speaker",
        Item::RelayOnly => "Calls by TURN only",
        Item::Colours => "Colours",
        Item::File => "Configuration",
        Item::Log => "Log",
        Item::Profile => "Profile",
    }
}

/// Where a value comes from.
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Default => "default",
        Source::File => "config.toml",
        Source::Flag => "command line",
        Source::Here => "set here",
        Source::Terminal => "terminal",
    }
}

/// What a setting is for, and how it is changed.
pub(crate) fn about_setting(item: Item) -> String {
    let words = match item {
        Item::DoNotDisturb => "Nothing rings; calls are noted as missed.",
        Item::Theme => "auto follows the terminal's ground; none uses its own colours.",
        Item::Mouse => "Clicks choose, the wheel scrolls. Selecting text then needs Shift.",
        Item::Bell => "The terminal's bell, six times at most.",
        Item::Ring => "A sound from the loudspeaker.",
        Item::Desktop => "A notification of the desktop, where there is one.",
        Item::Terminal => "A notification by the terminal itself, where it can.",
        Item::Title => "Who calls, and what is new, in the window's title.",
        Item::Camera => "`hullo --camera device:NAME` for one run.",
        Item::Microphone => "`hullo --mic device:NAME` for one run.",
        Item::Speaker => "`hullo --speaker device:NAME` for one run.",
        Item::Sound(SoundPart::Echo) => "What the speaker plays is taken out of what is sent.",
        Item::Sound(SoundPart::Noise) => "Off for music, which is noise to it.",
        Item::Sound(SoundPart::Gain) => "Quiet voices become louder, loud ones do not clip.",
        Item::RelayOnly => {
            return "On: nobody sees your address. Set by `relay_only` in config.toml.".to_owned();
        }
        Item::Colours => {
            return "Chosen at the start: `--color`, or `color` of [screen] in config.toml."
                .to_owned();
        }
        Item::File => {
            return "Edit it for all that is not changed here: keys, colours, servers.".to_owned();
        }
        Item::Log => {
            return "Written without keys, ids and addresses. {log} shows it.".to_owned();
        }
        Item::Profile => {
            return "Identity, contacts, messages. `hullo --profile DIR` takes another.".to_owned();
        }
    };
    format!("{words} {{confirm}} changes it.")
}

/// Why Enter does not change a setting.
pub(crate) fn set_elsewhere(item: Item, setup: &Setup) -> String {
    match item {
        Item::RelayOnly | Item::File => format!("Set in {}, read at the start.", setup.config),
        _ => about_setting(item),
    }
}

/// The configuration's file and how it stands with it.
pub(crate) fn config_file(setup: &Setup) -> String {
    match (setup.is_config_there, setup.is_config_wrong) {
        (_, true) => format!("{} (WRONG, defaults count)", setup.config),
        (true, false) => setup.config.clone(),
        (false, false) => format!("{} (none yet)", setup.config),
    }
}

pub(crate) fn log_title(setup: &Setup) -> String {
    match &setup.log {
        Some(file) => format!("Log of this run, also in {file}"),
        None => "Log of this run".to_owned(),
    }
}

/// What became of links that were taken back.
pub(crate) fn withdrawn(count: usize) -> String {
    match count {
        0 => "No link was open.".to_owned(),
        1 => "One link was withdrawn: it makes nobody a contact any more.".to_owned(),
        count => format!("{count} links were withdrawn: they make nobody a contact any more."),
    }
}

/// The links that are out.
pub(crate) fn open_links(until_ms: &[u64]) -> String {
    let Some(first) = until_ms.first() else {
        return "No link is open.".to_owned();
    };
    let at = std::time::Duration::from_millis(*first);
    let until = super::date_and_time(at, crate::threads::wall_clock());
    match until_ms.len() {
        1 => format!("One link is open, until {until}. `hullo invite --withdraw` ends it."),
        count => format!(
            "{count} links are open, the first until {until}. `hullo invite --withdraw` ends all."
        ),
    }
}

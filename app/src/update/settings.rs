//! The settings screen: what holds now, where it comes from, and what can be changed while the program runs.

use super::{call, devices, say, sound};
use crate::devices::DeviceKind;
use crate::effect::Effect;
use crate::event::{Settings, SoundPart, Switch};
use crate::layers::Setup;
use crate::model::Model;
use crate::text;
use crate::view::look::ColourDepth;
use crate::view::theme::ThemeName;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Nothing rings.
    DoNotDisturb,
    /// The name of the colours.
    Theme,
    /// Clicks.
    Mouse,
    /// The terminal's bell.
    Bell,
    /// The ring sound.
    Ring,
    /// Notifications of the desktop.
    Desktop,
    /// Notifications of the terminal.
    Terminal,
    /// The window's title.
    Title,
    /// A part of what is done to the sound of the microphone.
    Sound(SoundPart),
    /// Where pictures come from.
    Camera,
    /// Where sound comes from.
    Microphone,
    /// Where sound goes.
    Speaker,
    /// Calls over a TURN server or not at all.
    RelayOnly,
    /// How many colours.
    Colours,
    /// The configuration's file.
    File,
    /// The log's file.
    Log,
    /// The profile's folder.
    Profile,
}

/// All of them, those that can be changed here first.
pub const ITEMS: [Item; 19] = [
    Item::DoNotDisturb,
    Item::Theme,
    Item::Mouse,
    Item::Bell,
    Item::Ring,
    Item::Desktop,
    Item::Terminal,
    Item::Title,
    Item::Sound(SoundPart::Echo),
    Item::Sound(SoundPart::Noise),
    Item::Sound(SoundPart::Gain),
    Item::Camera,
    Item::Microphone,
    Item::Speaker,
    Item::RelayOnly,
    Item::Colours,
    Item::File,
    Item::Log,
    Item::Profile,
];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// `config.toml`.
    File,
    /// The command line or the environment.
    Flag,
    /// Changed on this screen, remembered in the profile.
    Here,
    /// What the terminal says.
    Terminal,
}

/// Where a switch is remembered.
type Remembered = fn(&mut Settings) -> &mut Option<bool>;

impl Item {
    /// Whether Enter changes it.
    #[must_use]
    pub fn can_change(self) -> bool {
        let is_other = matches!(self, Self::DoNotDisturb | Self::Theme | Self::Sound(_));
        self.switch().is_some() || self.device().is_some() || is_other
    }

    /// The kind of device behind it.
    #[must_use]
    pub fn device(self) -> Option<DeviceKind> {
        Some(match self {
            Self::Camera => DeviceKind::Camera,
            Self::Microphone => DeviceKind::Microphone,
            Self::Speaker => DeviceKind::Speaker,
            _ => return None,
        })
    }

    /// Whether it has a value that can come from several places.
    #[must_use]
    pub fn has_source(self) -> bool {
        !matches!(self, Self::File | Self::Log | Self::Profile)
    }

    /// The remembered switch behind it, and the key of the file.
    fn switch(self) -> Option<(Remembered, &'static str)> {
        Some(match self {
            Self::Mouse => (|settings| &mut settings.mouse, "screen.mouse"),
            Self::Bell => (|settings| &mut settings.bell, "attention.bell"),
            Self::Ring => (|settings| &mut settings.ring, "attention.ring"),
            Self::Desktop => (|settings| &mut settings.desktop, "attention.desktop"),
            Self::Terminal => (|settings| &mut settings.terminal, "attention.terminal"),
            Self::Title => (|settings| &mut settings.title, "attention.title"),
            _ => return None,
        })
    }

    /// What the file or the default says about a switch.
    fn given(self, setup: &Setup) -> bool {
        let attention = &setup.attention;
        match self {
            Self::Mouse => setup.mouse,
            Self::Bell => attention.bell,
            Self::Ring => attention.ring,
            Self::Desktop => attention.desktop,
            Self::Terminal => attention.terminal,
            Self::Title => attention.title,
            _ => false,
        }
    }
}

/// The value now, in words, and where it comes from.
#[must_use]
pub fn value(model: &Model, item: Item) -> (String, Source) {
    let setup = &model.layers.setup;
    let of_file = |key: &str| {
        if setup.written.contains(key) {
            Source::File
        } else {
            Source::Default
        }
    };
    if let Some((own, key)) = item.switch() {
        let mut settings = model.settings.clone();
        return match *own(&mut settings) {
            Some(is_on) => (text::on_off(is_on).to_owned(), Source::Here),
            None => (text::on_off(item.given(setup)).to_owned(), of_file(key)),
        };
    }
    let device = |at: usize| match (model.chosen_device(DeviceKind::ALL[at]), &setup.devices[at]) {
        (Some(chosen), _) => (text::device_spec(chosen), Source::Here),
        (None, Some(given)) => (given.clone(), Source::Flag),
        (None, None) => match &setup.devices_filed[at] {
            Some(name) => (name.clone(), Source::File),
            None => (text::DEVICE_DEFAULT.to_owned(), Source::Default),
        },
    };
    let levels = model.taken_call().and_then(|call| call.seat.levels);
    match item {
        Item::DoNotDisturb => {
            let is_on = model.settings.do_not_disturb;
            let source = if is_on { Source::Here } else { Source::Default };
            (text::on_off(is_on).to_owned(), source)
        }
        Item::Theme => {
            let source = match model.settings.theme {
                Some(_) => Source::Here,
                None => of_file("theme.name"),
            };
            (text::theme(model.theme), source)
        }
        Item::Sound(part) => {
            let is_on = text::on_off(model.is_processed(part)).to_owned();
            (is_on, sound::source(model, part))
        }
        Item::Camera => device(0),
        Item::Microphone => metered(device(1), levels.map(|levels| levels.mic)),
        Item::Speaker => metered(device(2), levels.map(|levels| levels.speaker)),
        Item::RelayOnly => (
            text::on_off(model.is_relay_only).to_owned(),
            of_file("relay_only"),
        ),
        Item::Colours => colours(model),
        Item::File => (text::config_file(setup), Source::Default),
        Item::Log => {
            let log = setup.log.clone();
            (
                log.unwrap_or_else(|| text::NO_LOG.to_owned()),
                Source::Default,
            )
        }
        Item::Profile => (setup.profile.clone(), Source::Default),
        // Told above.
        Item::Mouse | Item::Bell | Item::Ring | Item::Desktop | Item::Terminal | Item::Title => {
            (String::new(), Source::Default)
        }
    }
}

/// How many colours, and who says so.
fn colours(model: &Model) -> (String, Source) {
    let setup = &model.layers.setup;
    let words = match model.look.depth {
        ColourDepth::True => "24 bits",
        ColourDepth::Palette256 => "256",
        ColourDepth::Palette16 => "16",
        ColourDepth::None => "none",
    };
    let source = if setup.is_colour_given {
        Source::Flag
    } else if setup.written.contains("screen.color") {
        Source::File
    } else {
        Source::Terminal
    };
    (words.to_owned(), source)
}

/// The value of a sound device with its meter, while it is in use.
fn metered((name, source): (String, Source), level: Option<u8>) -> (String, Source) {
    match level {
        Some(level) => (format!("{} {name}", text::meter(level)), source),
        None => (name, source),
    }
}

/// Enter on a setting.
pub(super) fn change(
    model: &mut Model,
    item: Item,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    match item {
        Item::DoNotDisturb => {
            call::set_do_not_disturb(model, Switch::Toggle, effects);
            Ok(())
        }
        Item::Sound(part) => {
            sound::set_processing(model, part, Switch::Toggle, effects);
            Ok(())
        }
        Item::Theme => set_theme(model, model.theme.name.next(), effects),
        Item::Camera | Item::Microphone | Item::Speaker => {
            if let Some(kind) = item.device() {
                devices::open(model, kind, effects);
            }
            Ok(())
        }
        other => set_switch(model, other, None, effects),
    }
}

/// `set`: the setting of this name to this value.
pub(super) fn set(
    model: &mut Model,
    name: &str,
    value: &str,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let mut kinds = DeviceKind::ALL.into_iter();
    if let Some(kind) = kinds.find(|kind| kind.word() == name) {
        let spec = (value != "default").then(|| value.to_owned());
        if let Some(spec) = &spec {
            kind.check(spec)?;
        }
        devices::choose(model, kind, spec, effects);
        return Ok(());
    }
    let item = match name {
        "theme" => Item::Theme,
        "mouse" => Item::Mouse,
        "bell" => Item::Bell,
        "ring" => Item::Ring,
        "desktop" => Item::Desktop,
        "terminal" => Item::Terminal,
        "title" => Item::Title,
        "echo" => Item::Sound(SoundPart::Echo),
        "noise" => Item::Sound(SoundPart::Noise),
        "gain" => Item::Sound(SoundPart::Gain),
        _ => return Err(text::no_such_setting(name)),
    };
    if item == Item::Theme {
        let names = [
            ThemeName::Auto,
            ThemeName::Dark,
            ThemeName::Light,
            ThemeName::None,
        ];
        let found = names.into_iter().find(|name| name.word() == value);
        let wanted = found.ok_or_else(|| text::no_such_value(name, "auto, dark, light, none"))?;
        return set_theme(model, wanted, effects);
    }
    let wanted = match value {
        "on" => true,
        "off" => false,
        _ => return Err(text::no_such_value(name, "on, off")),
    };
    if let Item::Sound(part) = item {
        let switch = if wanted { Switch::On } else { Switch::Off };
        sound::set_processing(model, part, switch, effects);
        return Ok(());
    }
    set_switch(model, item, Some(wanted), effects)
}

fn set_theme(
    model: &mut Model,
    wanted: ThemeName,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    model.theme.name = wanted;
    let given = model.layers.setup.theme.name;
    model.settings.theme = (wanted != given).then_some(wanted);
    keep(model, effects);
    Ok(())
}

/// Switches a setting to what is wanted, or to the other side.
fn set_switch(
    model: &mut Model,
    item: Item,
    wanted: Option<bool>,
    effects: &mut Vec<Effect>,
) -> Result<(), String> {
    let Some((own, _)) = item.switch() else {
        return Err(text::set_elsewhere(item, &model.layers.setup));
    };
    let given = item.given(&model.layers.setup);
    let own = own(&mut model.settings);
    let is_on = wanted.unwrap_or(!own.unwrap_or(given));
    // What is as the file says follows the file again.
    *own = (is_on != given).then_some(is_on);
    effects.push(Effect::Attend(model.attention_now()));
    if item == Item::Mouse {
        effects.push(Effect::WatchMouse(is_on));
    }
    keep(model, effects);
    Ok(())
}

fn keep(model: &mut Model, effects: &mut Vec<Effect>) {
    effects.push(Effect::SaveSettings(model.settings.clone()));
    say(model, text::SETTING_KEPT);
}

/// What was remembered, as read at the start.
pub(super) fn take(model: &mut Model, settings: Settings, effects: &mut Vec<Effect>) {
    model.theme.name = settings.theme.unwrap_or(model.layers.setup.theme.name);
    model.settings = settings;
    if model.attention_now() != model.layers.setup.attention {
        effects.push(Effect::Attend(model.attention_now()));
    }
    if model.is_mouse_on() {
        effects.push(Effect::WatchMouse(true));
    }
    devices::use_remembered(model, effects);
    effects.push(Effect::Process(model.processing()));
}

//! Camera, microphone and loudspeaker chosen on the settings screen.

use super::*;
use crate::devices::DeviceKind;
use crate::event::Settings;
use crate::update::settings::{ITEMS, Item, Source, value};

fn press(program: &mut Program, code: KeyCode) -> Vec<Effect> {
    update(
        &mut program.model,
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE)),
    )
}

/// The list of microphones is open, with two of them.
fn choosing() -> Program {
    let mut program = Program::ready();
    press(&mut program, KeyCode::Char(','));
    let at = ITEMS.iter().position(|item| *item == Item::Microphone);
    for _ in 0..at.expect("a setting") {
        press(&mut program, KeyCode::Down);
    }
    let effects = press(&mut program, KeyCode::Enter);
    assert_eq!(effects, [Effect::ListDevices(DeviceKind::Microphone)]);
    program
}

fn microphones(names: &[&str]) -> Event {
    let names = names.iter().map(|name| (*name).to_owned());
    Event::Devices(DeviceKind::Microphone, names.collect())
}

fn chosen(program: &Program) -> usize {
    match &program.model.overlay {
        Some(Overlay::Devices(menu)) => menu.chosen,
        _ => panic!("the list is open"),
    }
}

#[test]
fn a_microphone_is_chosen_from_those_that_are_there_and_kept() {
    let mut program = choosing();
    // Another kind's answer, late, is none.
    program.take(Event::Devices(
        DeviceKind::Camera,
        vec!["Webcam".to_owned()],
    ));
    program.take(microphones(&["Built-in", "Headset"]));
    press(&mut program, KeyCode::Down);
    press(&mut program, KeyCode::Down);
    let effects = press(&mut program, KeyCode::Enter);
    let spec = Some("device:Headset".to_owned());
    assert!(effects.contains(&Effect::UseDevice(DeviceKind::Microphone, spec.clone())));
    let saved = Settings {
        mic: spec,
        ..Settings::default()
    };
    assert!(
        effects.contains(&Effect::SaveSettings(saved)),
        "{effects:?}"
    );
    assert!(matches!(program.model.overlay, Some(Overlay::Settings(_))));
    let (now, source) = value(&program.model, Item::Microphone);
    assert!(now.ends_with("Headset"), "{now}");
    assert_eq!(source, Source::Here);
    // Opened again, it is the one that is chosen; Esc changes nothing.
    press(&mut program, KeyCode::Enter);
    program.take(microphones(&["Built-in", "Headset"]));
    assert_eq!(chosen(&program), 2);
    assert_eq!(press(&mut program, KeyCode::Esc), []);
    assert!(matches!(program.model.overlay, Some(Overlay::Settings(_))));
}

#[test]
fn the_usual_device_and_none_at_all_can_be_chosen() {
    let mut program = choosing();
    program.model.settings.mic = Some("device:Headset".to_owned());
    program.take(microphones(&[]));
    press(&mut program, KeyCode::Up);
    let effects = press(&mut program, KeyCode::Enter);
    assert!(effects.contains(&Effect::UseDevice(DeviceKind::Microphone, None)));
    assert_eq!(program.model.settings.mic, None);
    let set = |value: &str| Event::Command(Command::Set("mic".to_owned(), value.to_owned()));
    let effects = program.take(set("none"));
    let none = Some("none".to_owned());
    assert!(effects.contains(&Effect::UseDevice(DeviceKind::Microphone, none)));
    program.take(set("headset"));
    let said = &program.model.message.as_ref().expect("a sentence").text;
    assert!(said.contains("device:NAME"), "{said}");
}

#[test]
fn the_command_line_goes_before_what_was_remembered_until_something_is_chosen() {
    let remembered = || {
        Event::Settings(Settings {
            mic: Some("device:Headset".to_owned()),
            ..Settings::default()
        })
    };
    let used = |effects: &[Effect]| {
        let is_use = |effect: &&Effect| matches!(effect, Effect::UseDevice(..));
        effects.iter().filter(is_use).count()
    };
    let mut program = Program::ready();
    assert_eq!(used(&program.take(remembered())), 1);
    let mut program = Program::ready();
    program.model.layers.setup.devices[1] = Some("test".to_owned());
    assert_eq!(used(&program.take(remembered())), 0);
    assert_eq!(value(&program.model, Item::Microphone).1, Source::Flag);
    let set = Command::Set("mic".to_owned(), "device:Headset".to_owned());
    assert_eq!(used(&program.take(Event::Command(set))), 1);
    assert_eq!(value(&program.model, Item::Microphone).1, Source::Here);
}

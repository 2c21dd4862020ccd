//! What is laid over the main view, at the smallest sizes too; the themes; and what stands under the mouse.

use std::sync::Arc;

use ratatui::style::{Color, Modifier};

use super::*;
use crate::keymap::{Action, Key};
use crate::view::hit::{Hit, hit};
use crate::view::theme::{Role, ThemeName};

fn typed(mut events: Vec<Event>, text: &str) -> Vec<Event> {
    events.extend(text.chars().map(letter));
    events
}

fn layer(name: &str, events: Vec<Event>) {
    check_at(&LAYER_SIZES, name, COLOUR, events);
}

#[test]
fn the_palette_lists_what_fits() {
    layer("palette", typed(start(), ":"));
    layer("palette_typed", typed(start(), ":dstb"));
    layer("palette_command", typed(start(), ":rename bob robert"));
    layer("palette_in_call", typed(in_call(true, false), ":"));
}

#[test]
fn the_filter_leaves_what_is_looked_for() {
    layer("filter", typed(start(), "/a"));
    layer("filter_nobody", typed(start(), "/zz"));
    let mut kept = typed(start(), "/a");
    kept.push(key(KeyCode::Enter));
    layer("filter_kept", kept);
}

#[test]
fn a_contact_has_a_menu() {
    layer("menu", typed(start(), "jE"));
    let mut rename = typed(start(), "jE");
    rename.push(key(KeyCode::Enter));
    layer("menu_rename", rename);
    let mut remove = typed(start(), "jEjjj");
    remove.push(key(KeyCode::Enter));
    layer("menu_remove", remove);
}

#[test]
fn settings_say_what_holds_and_why() {
    let mut events = start();
    events.push(Event::Settings(Settings {
        bell: Some(false),
        ..Settings::default()
    }));
    layer("settings", typed(events, ",j"));
}

#[test]
fn the_log_is_shown() {
    let lines: Vec<Arc<str>> = (1..40)
        .map(|number| format!("12:00:{number:02} INFO  call: a line of the log").into())
        .collect();
    let mut events = typed(start(), "L");
    events.push(Event::Log(lines));
    layer("log", events);
    layer("log_empty", typed(start(), "L"));
}

#[test]
fn everything_else_stands_at_the_smallest_sizes_too() {
    let ring = || Event::Incoming {
        call: CALL,
        party: Party::Contact(BOB),
        media: Media::Video,
    };
    let mut ringing = start();
    ringing.push(ring());
    layer("incoming_small", ringing);
    layer("call_small", in_call(true, false));
    layer("help_small", typed(start(), "?"));
    check_at(&LAYER_SIZES, "call_no_colour", PLAIN, in_call(true, true));
}

#[test]
fn the_keys_that_are_shown_are_those_of_this_run() {
    let mut model = model(COLOUR, vec![Event::Resize(80, 24)]);
    let key_named = |name: &str| Key::parse(name).expect("a key");
    model.keymap.bind(Action::Mute, &[key_named("F2")]);
    model.keymap.bind(Action::HangUp, &[key_named("Z")]);
    model.keymap.bind(Action::Accept, &[key_named("F5")]);
    for event in in_call(false, false) {
        let _ = update(&mut model, event);
    }
    let words = |model: &Model, size| -> String {
        let backend = drawn(model, size);
        backend
            .buffer()
            .content
            .iter()
            .map(|cell| cell.symbol())
            .collect()
    };
    assert!(words(&model, (80, 24)).contains("F2 mute"));
    assert!(words(&model, (39, 9)).contains("[F2][Z]"));
    let effects = update(&mut model, key(KeyCode::F(2)));
    assert!(effects.contains(&Effect::SetMicMuted(CALL, true)));
    assert!(
        update(&mut model, letter('m')).is_empty(),
        "m means nothing now"
    );
    let _ = update(&mut model, letter('q'));
    assert!(words(&model, (80, 24)).contains("Z hangs up first"));
    let _ = update(
        &mut model,
        Event::Incoming {
            call: SECOND,
            party: Party::Contact(ContactId(1)),
            media: Media::Audio,
        },
    );
    assert!(words(&model, (80, 24)).contains("F5 hold and answer"));
    let _ = update(&mut model, letter('?'));
    assert!(words(&model, (80, 60)).contains("F2       your microphone"));
}

/// Bold, colour and reversed taken away, the words alone tell.
#[test]
fn words_alone_say_muted_on_hold_and_verified() {
    let held = |mut events: Vec<Event>| {
        events.push(Event::Call(
            CALL,
            CallEvent::Own {
                mic_muted: true,
                camera_on: true,
                on_hold: true,
            },
        ));
        events
    };
    let verified = |is_verified: bool| {
        let mut contacts = contacts();
        contacts[1].verified = is_verified;
        Event::Contacts(contacts)
    };
    for size in [(120, 34), (80, 24), (40, 10), (39, 9), (30, 6)] {
        let words = |events: Vec<Event>| -> String {
            let mut model = model(PLAIN, vec![Event::Resize(size.0, size.1)]);
            for event in events {
                let _ = update(&mut model, event);
            }
            model.message = None;
            let backend = drawn(&model, size);
            backend
                .buffer()
                .content
                .iter()
                .map(|cell| cell.symbol())
                .collect()
        };
        let muted = words(in_call(true, false));
        assert!(muted.contains("MUTED"), "{size:?}: {muted}");
        let on_hold = words(held(in_call(true, false)));
        assert!(
            on_hold.contains("ON HOLD") && on_hold.contains("MUTED"),
            "{size:?}: {on_hold}"
        );
        let mut events = in_call(false, false);
        events.push(verified(false));
        let not = words(events);
        assert!(not.contains("unverified"), "{size:?}: {not}");
        let mut events = in_call(false, false);
        events.push(verified(true));
        let is = words(events);
        assert!(
            is.contains("verified") && !is.contains("unverified bob"),
            "{size:?}: {is}"
        );
    }
}

#[test]
fn themes_change_colours_and_no_words() {
    let mut events = start();
    events.push(Event::Failed("it broke".to_owned()));
    let mut model = model(COLOUR, events);
    let drawn_now = |model: &Model| drawn(model, (80, 24));
    let words = |backend: &TestBackend| -> String {
        backend
            .buffer()
            .content
            .iter()
            .map(|cell| cell.symbol())
            .collect()
    };
    let dark = drawn_now(&model);
    assert!(
        dark.buffer()
            .content
            .iter()
            .any(|cell| cell.fg == Color::LightRed)
    );
    let _ = update(&mut model, Event::Ground { is_light: true });
    let light = drawn_now(&model);
    assert!(
        light
            .buffer()
            .content
            .iter()
            .any(|cell| cell.fg == Color::Red)
    );
    assert!(
        !light
            .buffer()
            .content
            .iter()
            .any(|cell| cell.fg == Color::LightRed)
    );
    model.theme.name = ThemeName::None;
    let none = drawn_now(&model);
    assert!(
        none.buffer()
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset)
    );
    assert_eq!(words(&dark), words(&light));
    assert_eq!(words(&dark), words(&none));
    assert_eq!(model.paint(Role::Error), ratatui::style::Style::new());
}

#[test]
fn the_mouse_meets_what_is_drawn() {
    let mut model = model(COLOUR, vec![Event::Resize(80, 24)]);
    for event in start() {
        let _ = update(&mut model, event);
    }
    assert_eq!(
        hit(&model, 3, 1),
        Some(Hit::Party(Party::Contact(ContactId(1))))
    );
    assert_eq!(hit(&model, 3, 2), Some(Hit::Party(Party::Contact(BOB))));
    assert_eq!(hit(&model, 3, 20), Some(Hit::Lists));
    assert_eq!(hit(&model, 3, 22), None, "the status bar");
    assert_eq!(hit(&model, 200, 200), None);
    let backend = drawn(&model, (80, 24));
    let bar: String = (0..80)
        .map(|column| backend.buffer()[(column, 23)].symbol().to_owned())
        .collect();
    let help = u16::try_from(bar.find("? help").expect("the help is shown")).expect("80 columns");
    assert_eq!(hit(&model, help + 3, 23), Some(Hit::Key(Action::Help)));
    let _ = update(&mut model, letter(','));
    assert_eq!(hit(&model, 3, 1), Some(Hit::Line(0)));
    assert_eq!(hit(&model, 3, 3), Some(Hit::Line(2)));
    assert_eq!(hit(&model, 3, 0), Some(Hit::Overlay));
}

#[test]
fn muted_stands_out_without_colour_at_every_size() {
    let look = Look {
        depth: ColourDepth::None,
        glyphs: Glyphs::Ascii,
    };
    let mut events = in_call(true, false);
    events.push(letter('?'));
    let model = model(look, events);
    for (columns, rows) in [
        (200, 60),
        (80, 24),
        (40, 10),
        (39, 10),
        (40, 9),
        (30, 6),
        (12, 1),
        (5, 1),
    ] {
        let backend = drawn(&model, (columns, rows));
        let buffer = backend.buffer();
        let inverse: String = buffer
            .content
            .iter()
            .filter(|cell| cell.modifier.contains(Modifier::REVERSED | Modifier::BOLD))
            .map(|cell| cell.symbol())
            .collect();
        assert!(
            inverse.contains(text::MUTED),
            "{columns}x{rows}: {inverse:?}"
        );
    }
}

#[test]
fn a_device_is_chosen_from_those_that_are_there() {
    let events = |names: &[&str]| {
        let mut events = start();
        events.push(Event::Command(Command::Set(
            "camera".to_owned(),
            "device:Webcam: front".to_owned(),
        )));
        events.push(letter(','));
        let at = crate::update::settings::ITEMS
            .iter()
            .position(|item| *item == crate::update::settings::Item::Camera);
        events.extend((0..at.expect("a setting")).map(|_| key(KeyCode::Down)));
        events.push(key(KeyCode::Enter));
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        events.push(Event::Devices(crate::devices::DeviceKind::Camera, names));
        events
    };
    layer("devices", events(&["Built-in \u{1b}[2J", "Webcam: front"]));
    layer("devices_none", events(&[]));
}

//! Palette, filter, menu of a contact, settings, mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::event::{PersonChange, Settings};
use crate::keymap::Action;
use crate::view::theme::ThemeName;

const ANN: ContactId = ContactId(1);

fn people(names: &[&str]) -> Event {
    let contacts = names.iter().zip(1..).map(|(name, id)| Contact {
        id: ContactId(id),
        name: (*name).to_owned(),
        short_id: "AAAAAAAA".to_owned(),
        verified: false,
        ready: true,
        blocked: false,
        lost: false,
    });
    Event::Contacts(contacts.collect())
}

fn screen() -> Model {
    let mut model = Model::new(Mode::Screen, Look::default());
    for event in [
        Event::Resize(80, 24),
        people(&["ann", "bob", "carla", "barbara"]),
    ] {
        let _ = update(&mut model, event);
    }
    model
}

fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn type_in(model: &mut Model, text: &str) -> Vec<Effect> {
    text.chars()
        .flat_map(|character| press(model, KeyCode::Char(character)))
        .collect()
}

fn saved(effects: &[Effect]) -> Option<Settings> {
    effects.iter().find_map(|effect| match effect {
        Effect::SaveSettings(settings) => Some(settings.clone()),
        _ => None,
    })
}

#[test]
fn the_palette_does_what_its_line_says_and_letters_are_text() {
    let mut model = screen();
    type_in(&mut model, ":");
    assert_eq!(press(&mut model, KeyCode::Enter), [], "nothing was chosen");
    assert!(type_in(&mut model, "q").is_empty(), "q is text");
    press(&mut model, KeyCode::Backspace);
    let effects = type_in(&mut model, "disturb");
    assert!(effects.is_empty());
    let effects = press(&mut model, KeyCode::Enter);
    assert!(saved(&effects).is_some_and(|settings| settings.do_not_disturb));
    assert!(model.layers.palette.is_none());
}

#[test]
fn the_palette_lists_only_what_can_be_done_now() {
    let mut model = screen();
    type_in(&mut model, ":");
    let can = |model: &Model, action: Action| {
        let deed = crate::layers::PaletteDeed::Action(action);
        super::super::palette::lines(model)
            .iter()
            .any(|line| line.does == deed)
    };
    assert!(can(&model, Action::CallAudio) && !can(&model, Action::Mute));
    type_in(&mut model, "nothing is called so");
    press(&mut model, KeyCode::Enter);
    assert!(
        model
            .message
            .as_ref()
            .is_some_and(|message| message.text.contains("Nothing"))
    );
    assert!(
        model.layers.palette.is_some(),
        "what was typed can be mended"
    );
}

#[test]
fn a_whole_command_runs_from_the_palette() {
    let mut model = screen();
    type_in(&mut model, ":rename bob robert");
    let effects = press(&mut model, KeyCode::Enter);
    let change = PersonChange::Rename("robert".to_owned());
    assert_eq!(effects, [Effect::Person(ContactId(2), change)]);
}

#[test]
fn pasted_text_never_runs() {
    let mut model = screen();
    type_in(&mut model, ":");
    let effects = update(&mut model, Event::Paste("quit\n".to_owned()));
    assert_eq!(effects, []);
    assert!(model.layers.palette.is_some());
    press(&mut model, KeyCode::Esc);
    type_in(&mut model, "/");
    assert_eq!(update(&mut model, Event::Paste("q\n".to_owned())), []);
    assert_eq!(model.layers.sought(), Some("q"));
}

#[test]
fn the_filter_chooses_among_what_it_leaves() {
    let mut model = screen();
    type_in(&mut model, "/ar");
    assert_eq!(
        model.selected,
        Some(ContactId(3)),
        "carla is the first with ar"
    );
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "j");
    assert_eq!(model.selected, Some(ContactId(4)));
    type_in(&mut model, "j");
    assert_eq!(model.selected, Some(ContactId(4)), "the last");
    press(&mut model, KeyCode::Esc);
    assert!(model.layers.filter.is_none());
    assert_eq!(
        model.selected,
        Some(ContactId(4)),
        "what was found stays chosen"
    );
}

#[test]
fn a_contact_is_renamed_blocked_and_forgotten_by_keys() {
    let mut model = screen();
    type_in(&mut model, "E");
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "ette");
    let effects = press(&mut model, KeyCode::Enter);
    let change = PersonChange::Rename("annette".to_owned());
    assert_eq!(effects, [Effect::Person(ANN, change)]);
    type_in(&mut model, "Ejj");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(effects, [Effect::Person(ANN, PersonChange::Block)]);
    type_in(&mut model, "Ejjj");
    assert_eq!(press(&mut model, KeyCode::Enter), [], "asked first");
    press(&mut model, KeyCode::Esc);
    assert!(model.overlay.is_some(), "Esc goes back to the menu");
    press(&mut model, KeyCode::Enter);
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Effect::RemoveContact(ANN)]
    );
}

#[test]
fn a_menu_ends_with_its_contact() {
    let mut model = screen();
    type_in(&mut model, "E");
    let _ = update(&mut model, people(&[]));
    assert!(model.overlay.is_none());
}

#[test]
fn settings_change_now_and_follow_the_file_again() {
    let mut model = screen();
    type_in(&mut model, ",j");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(model.theme.name, ThemeName::Dark);
    assert_eq!(
        saved(&effects).and_then(|settings| settings.theme),
        Some(ThemeName::Dark)
    );
    for _ in 0..3 {
        press(&mut model, KeyCode::Enter);
    }
    assert_eq!(model.settings.theme, None, "as the file says again");
    type_in(&mut model, "jj");
    let effects = press(&mut model, KeyCode::Enter);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Attend(wanted) if !wanted.bell))
    );
    assert_eq!(
        saved(&effects).and_then(|settings| settings.bell),
        Some(false)
    );
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.settings.bell, None);
    for _ in 0..20 {
        type_in(&mut model, "j");
    }
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [],
        "the profile's folder is no switch"
    );
    assert!(model.message.is_some(), "but it is said how it is chosen");
}

#[test]
fn what_was_remembered_counts_at_the_start() {
    let mut model = Model::new(Mode::Screen, Look::default());
    let settings = Settings {
        mouse: Some(true),
        ring: Some(false),
        theme: Some(ThemeName::Light),
        ..Settings::default()
    };
    let effects = update(&mut model, Event::Settings(settings));
    assert!(effects.contains(&Effect::WatchMouse(true)));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Attend(wanted) if !wanted.ring))
    );
    assert_eq!(model.theme.name, ThemeName::Light);
}

#[test]
fn the_log_is_read_while_it_is_looked_at() {
    let mut model = screen();
    assert_eq!(type_in(&mut model, "L"), [Effect::ReadLog]);
    assert!(update(&mut model, Event::Tick).contains(&Effect::ReadLog));
    type_in(&mut model, "L");
    assert!(!update(&mut model, Event::Tick).contains(&Effect::ReadLog));
}

fn mouse(model: &mut Model, kind: MouseEventKind, column: u16, row: u16) -> Vec<Effect> {
    let event = MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    update(model, Event::Mouse(event))
}

#[test]
fn a_click_chooses_and_the_wheel_scrolls_where_that_is_on() {
    let down = MouseEventKind::Down(MouseButton::Left);
    let mut model = screen();
    mouse(&mut model, down, 3, 2);
    assert_eq!(model.selected, Some(ANN), "off unless asked for");
    model.settings.mouse = Some(true);
    let effects = mouse(&mut model, down, 3, 2);
    assert_eq!((model.selected, effects), (Some(ContactId(2)), vec![]));
    assert_eq!(
        mouse(&mut model, down, 3, 2),
        [],
        "a second click calls nobody"
    );
    mouse(&mut model, MouseEventKind::ScrollDown, 3, 2);
    assert_eq!(model.selected, Some(ContactId(3)));
    mouse(&mut model, MouseEventKind::ScrollUp, 3, 2);
    assert_eq!(model.selected, Some(ContactId(2)));
    assert_eq!(mouse(&mut model, down, 79, 23), []);
}

#[test]
fn the_help_turns_by_pages() {
    let mut model = screen();
    let mut press = |code| {
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        drop(update(&mut model, Event::Key(key)));
        match model.overlay {
            Some(Overlay::Help(scroll)) => scroll,
            _ => panic!("the help is open"),
        }
    };
    assert_eq!(press(KeyCode::Char('?')), 0);
    assert_eq!(press(KeyCode::PageDown), 12);
    assert_eq!(press(KeyCode::Up), 11);
    assert_eq!(press(KeyCode::PageUp), 0);
}

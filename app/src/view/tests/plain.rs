//! `NO_COLOR`: every screen says in words what it says, and nothing on it has a colour.

use ratatui::style::Color;

use super::*;

/// The screens of which it is told most by their look.
fn screens() -> Vec<(&'static str, Vec<Event>)> {
    let mut blocked = contacts();
    blocked[0].verified = true;
    blocked[2].blocked = true;
    let listed = vec![
        profile(true),
        Event::Contacts(blocked),
        Event::Command(Command::Person(
            "bob".to_owned(),
            crate::event::PersonChange::WordsDiffer,
        )),
    ];
    let mut settings = start();
    settings.push(letter(','));
    let mut incoming = start();
    incoming.push(Event::Incoming {
        call: CALL,
        party: Party::Contact(BOB),
        media: Media::Video,
    });
    let mut sought = roster::with_roster(false);
    sought.extend([letter('/'), letter('b')]);
    vec![
        ("contacts", listed),
        ("conversation", conversation::events()),
        ("roster", roster::with_roster(false)),
        ("roster_sought", sought),
        ("settings", settings),
        ("incoming", incoming),
    ]
}

#[test]
fn without_colour_the_words_tell_everything() {
    for (name, events) in screens() {
        let name = format!("no_colour_{name}");
        check_at(&[(80, 24), (40, 10)], &name, PLAIN, events);
    }
}

#[test]
fn without_colour_nothing_has_one_and_the_letters_are_the_same() {
    for (name, events) in screens() {
        let draw = |look| {
            let mut model = model(look, vec![Event::Resize(80, 24)]);
            for event in events.clone() {
                let _ = update(&mut model, event);
            }
            drawn(&model, (80, 24))
        };
        let (plain, coloured) = (draw(PLAIN), draw(COLOUR));
        // The settings name the number of colours.
        assert!(name == "settings" || plain.to_string() == coloured.to_string());
        for cell in &plain.buffer().content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
        }
    }
}

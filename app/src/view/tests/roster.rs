//! The list of people, the large picture, further pages, and one's own ears and mouth.

use super::groups::{in_group_call, person, with_pictures};
use super::*;
use crate::event::{Feed, ParticipantChange};
use crate::report::{Flow, PersonFigures, Stats};

/// Three seconds of figures: alice is well, bob's line is bad and what he sends does not always open.
pub(super) fn figures() -> Vec<Event> {
    let of = |participant, second: u64, concealed_ms, undecryptable| PersonFigures {
        participant,
        audio_ms: second * 1_000,
        concealed_ms,
        undecryptable,
        delay_ms: if participant == 3 { 40 } else { 190 },
        ..PersonFigures::default()
    };
    let second = |second| Stats {
        sent: Flow {
            loss: Some(0.01),
            ..Flow::default()
        },
        rtt_ms: Some(23.4),
        people: vec![of(3, second, 0, 0), of(4, second, second * 120, second)],
        ..Stats::default()
    };
    let stats = |at| Event::Call(CALL, CallEvent::Stats(Box::new(second(at))));
    (1..=3).map(stats).collect()
}

/// Bob speaks too, at half the loudness, and is chosen.
pub(super) fn with_roster(camera_on: bool) -> Vec<Event> {
    let mut events = if camera_on {
        with_pictures()
    } else {
        in_group_call(false)
    };
    events.extend(figures());
    events.extend([
        person(4, ParticipantChange::Muted(false)),
        person(4, ParticipantChange::Speaking(true)),
        letter('r'),
        key(KeyCode::Down),
        Event::Command(Command::Volume("bob".to_owned(), 50)),
    ]);
    events
}

#[test]
fn everybody_stands_on_a_line_of_its_own() {
    check("group_roster", COLOUR, with_roster(false));
}

#[test]
fn pictures_stand_below_the_list_where_there_is_room() {
    check("group_roster_pictures", COLOUR, with_roster(true));
}

fn crowd(camera_on: bool) -> Vec<Event> {
    let mut events = in_group_call(false);
    for id in 20..44 {
        let name = format!("walker {id}");
        events.push(person(id, ParticipantChange::Joined { name }));
        if camera_on {
            events.push(person(id, ParticipantChange::Camera(true)));
        }
    }
    events
}

#[test]
fn a_long_list_scrolls_with_the_choice_and_says_so() {
    let mut events = crowd(false);
    events.push(letter('r'));
    events.extend((0..12).map(|_| key(KeyCode::Down)));
    check("group_roster_crowd", COLOUR, events);
}

#[test]
fn pictures_that_do_not_fit_stand_on_further_pages() {
    let mut events = crowd(true);
    events.push(key(KeyCode::PageDown));
    check("group_page", COLOUR, events);
}

#[test]
fn one_is_large_and_pinned() {
    let mut events = with_pictures();
    events.push(Event::Command(Command::Focus("bob".to_owned())));
    check("group_pinned", COLOUR, events);
}

#[test]
fn whoever_speaks_is_large_with_a_picture_or_without() {
    let mut events = with_pictures();
    events.extend([
        person(3, ParticipantChange::Camera(false)),
        Event::Command(Command::Focus("alice".to_owned())),
    ]);
    check("group_pinned_without_picture", COLOUR, events);
}

#[test]
fn nothing_is_heard() {
    let mut events = in_call(true, false);
    events.push(Event::Command(Command::Deafen(Switch::On)));
    check("deafened", COLOUR, events);
}

#[test]
fn the_microphone_is_open_for_a_while() {
    let mut events = in_call(true, false);
    let own = |mic_muted| CallEvent::Own {
        mic_muted,
        camera_on: true,
        on_hold: false,
    };
    events.extend([
        Event::Command(Command::Talk(Switch::On)),
        Event::Call(CALL, own(false)),
    ]);
    for (columns, rows) in SIZES {
        let mut model = model(COLOUR, vec![Event::Resize(columns, rows)]);
        for event in events.clone() {
            let _ = update(&mut model, event);
        }
        model.set_now(12_000);
        let screen = drawn(&model, (columns, rows)).to_string();
        assert!(screen.contains("ON AIR"), "{columns}x{rows}: {screen}");
        assert!(columns < 40 || screen.contains("ON AIR 00:12"), "{screen}");
        assert!(!screen.contains("MUTED"), "{screen}");
    }
}

/// What must be known of people is in the words: the same letters stand there without any colour or weight.
#[test]
fn the_list_needs_no_colour() {
    let mut events = with_roster(false);
    let name = "dave".to_owned();
    events.extend([
        person(9, ParticipantChange::Screen(true)),
        person(12, ParticipantChange::Joined { name }),
        person(12, ParticipantChange::Muted(false)),
    ]);
    let letters = |look| {
        let mut model = model(look, vec![Event::Resize(80, 24)]);
        for event in events.clone() {
            let _ = update(&mut model, event);
        }
        let backend = drawn(&model, (80, 24));
        let cells = backend.buffer().content.iter();
        cells
            .map(|cell| cell.symbol().to_owned())
            .collect::<String>()
    };
    let without = Look {
        depth: ColourDepth::None,
        ..COLOUR
    };
    let shown = letters(without);
    assert_eq!(shown, letters(COLOUR));
    for word in [
        "speaks",
        "quiet",
        "ON HOLD",
        "verified",
        "unverified",
        "group only",
        "creator",
        "vol 50%",
        "poor 12% 190ms !2",
        "good 0% 40ms",
        "mic on",
        "good 1% 23ms",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

/// What is asked for is what is drawn, whatever is open, and nothing where nothing is drawn.
#[test]
fn no_picture_is_asked_for_that_nobody_looks_at() {
    let asked = |events: &[Event], size: (u16, u16)| {
        let mut model = model(COLOUR, vec![Event::Resize(size.0, size.1)]);
        let mut asked = std::collections::BTreeMap::new();
        for event in events {
            for effect in update(&mut model, event.clone()) {
                if let Effect::View(_, id, feed, drawn) = effect {
                    asked.insert((id.number(), feed), drawn);
                }
            }
        }
        asked.retain(|_, drawn| drawn.is_some());
        let area = Rect::new(0, 0, size.0, size.1);
        let drawn = feed_areas(&model, area).into_iter();
        let drawn: Vec<_> = drawn
            .map(|(id, feed, cells)| {
                let pixels = (u32::from(cells.width), u32::from(cells.height) * 2);
                ((id.number(), feed), Some(pixels))
            })
            .collect();
        let mut told: Vec<_> = asked.into_iter().collect();
        let mut want = drawn;
        told.sort();
        want.sort();
        assert_eq!(told, want);
        told
    };
    let with = |more: &[Event]| {
        let mut events = crowd(true);
        events.extend(more.iter().cloned());
        events
    };
    let large = (120, 34);
    let all = asked(&with(&[]), large);
    assert!(all.len() > 6 && all.len() <= 16, "{all:?}");
    let second = asked(&with(&[key(KeyCode::PageDown)]), large);
    assert!(all.iter().all(|one| !second.contains(one)), "{second:?}");
    let pinned = asked(
        &with(&[Event::Command(Command::Focus("walker 25".to_owned()))]),
        large,
    );
    let wide = pinned.iter().max_by_key(|(_, size)| *size).expect("some");
    assert_eq!(wide.0, (25, Feed::Camera));
    assert!(
        asked(&with(&[letter('?')]), large).is_empty(),
        "the help lies over them"
    );
    assert!(
        asked(&with(&[letter('r')]), (80, 24)).is_empty(),
        "the list fills the screen"
    );
    assert!(asked(&with(&[]), (39, 9)).is_empty(), "too small");
    assert!(asked(&with(&[Event::Command(Command::Hold(Switch::On))]), large).is_empty());
}

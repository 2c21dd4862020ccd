//! The screens as pictures, and what must hold on any screen of any size.

mod conversation;

mod figures;
mod layers;

mod groups;
mod roster;

mod several;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hullo_media::frame::Picture;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::effect::Effect;
use crate::event::{
    CallEvent, CallNumber, CallState, Command, Contact, ContactId, Event, Media, Party, Settings,
    StopReason, Switch,
};
use crate::model::Mode;
use crate::text;
use crate::update::update;
use crate::view::look::{ColourDepth, Look};

mod people;
mod plain;
mod waiting;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 34), (40, 10), (30, 6)];
/// The same and those at which the panes just do not fit, for what is laid over them.
const LAYER_SIZES: [(u16, u16); 5] = [(80, 24), (120, 34), (40, 10), (39, 9), (20, 5)];
const COLOUR: Look = Look {
    depth: ColourDepth::True,
    glyphs: Glyphs::Unicode,
};
/// `NO_COLOR`.
const PLAIN: Look = Look {
    depth: ColourDepth::None,
    glyphs: Glyphs::Unicode,
};
const BOB: ContactId = ContactId(2);
const CALL: CallNumber = CallNumber(1);
const SECOND: CallNumber = CallNumber(2);

fn contacts() -> Vec<Contact> {
    let contact = |id, name: &str, verified, ready| Contact {
        id: ContactId(id),
        name: name.to_owned(),
        short_id: format!("{:A<8}", name.to_uppercase()),
        verified,
        ready,
        blocked: false,
        lost: false,
    };
    vec![
        contact(1, "alice", true, true),
        contact(2, "bob", false, true),
        contact(3, "grandmother-with-a-long-name", false, true),
        contact(4, "dave", false, false),
    ]
}

/// A bright disc on a dark slope: enough to see whether it is upright and where it ends.
fn test_picture() -> Arc<Picture> {
    let (width, height) = (64u32, 36u32);
    let mut y = Vec::new();
    for row in 0..height {
        for column in 0..width {
            let (dx, dy) = (column.abs_diff(32), row.abs_diff(14));
            y.push(if dx * dx + dy * dy < 100 {
                220
            } else {
                30 + (row as u8) * 2
            });
        }
    }
    let chroma = vec![128; (width * height / 4) as usize];
    Arc::new(Picture {
        width,
        height,
        y,
        u: chroma.clone(),
        v: chroma,
    })
}

fn model(look: Look, events: Vec<Event>) -> Model {
    let mut model = Model::new(Mode::Screen, look);
    for event in events {
        let _ = update(&mut model, event);
    }
    model
}

fn profile(has_server: bool) -> Event {
    Event::Profile {
        name: "carol".to_owned(),
        short_id: "CAROLAAA".to_owned(),
        key: "A".repeat(43),
        has_server,
    }
}

fn start() -> Vec<Event> {
    vec![
        profile(true),
        Event::Contacts(contacts()),
        Event::Server {
            up: true,
            reason: None,
        },
    ]
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn letter(character: char) -> Event {
    key(KeyCode::Char(character))
}

fn state(state: CallState) -> Event {
    Event::Call(CALL, CallEvent::State(state))
}

fn inviting() -> Vec<Event> {
    let call = CallEvent::Started {
        party: Party::Contact(BOB),
        media: Media::Video,
    };
    let mut events = start();
    events.extend([
        letter('j'),
        letter('C'),
        Event::Call(CALL, call),
        state(CallState::Inviting),
    ]);
    events
}

fn in_call(own_muted: bool, far_muted: bool) -> Vec<Event> {
    let mut events = inviting();
    events.extend([
        state(CallState::Ringing),
        state(CallState::Connecting),
        state(CallState::Connected),
        Event::Call(
            CALL,
            CallEvent::Own {
                mic_muted: own_muted,
                camera_on: true,
                on_hold: false,
            },
        ),
        Event::Call(
            CALL,
            CallEvent::Far {
                mic_muted: far_muted,
                camera_on: true,
                on_hold: false,
            },
        ),
        Event::Call(CALL, CallEvent::FarPicture(Some(test_picture()))),
        Event::Call(CALL, CallEvent::OwnPicture(Some(test_picture()))),
    ]);
    events
}

fn ended() -> CallState {
    CallState::Ended {
        reason: "far_hung_up",
        words: "bob hung up".to_owned(),
        duration: Duration::from_secs(192),
    }
}

fn drawn(model: &Model, (columns, rows): (u16, u16)) -> TestBackend {
    let mut terminal =
        Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal does not fail");
    terminal
        .draw(|frame| view(model, frame))
        .expect("a test terminal does not fail");
    terminal.backend().clone()
}

/// Draws the state after these events at all four sizes, three minutes later, with no message left over.
fn check(name: &str, look: Look, events: Vec<Event>) {
    check_at(&SIZES, name, look, events);
}

fn check_at(sizes: &[(u16, u16)], name: &str, look: Look, events: Vec<Event>) {
    for (columns, rows) in sizes.iter().copied() {
        let mut model = model(look, vec![Event::Resize(columns, rows)]);
        for event in events.clone() {
            let _ = update(&mut model, event);
        }
        model.set_now(192_000);
        model.message = None;
        keep_pictures(&mut model);
        let backend = drawn(&model, (columns, rows));
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), backend);
    }
}

/// Compares this one screen with what was kept.
fn check_screen(name: &str, model: &Model, size: (u16, u16)) {
    let name = format!("{name}_{}x{}", size.0, size.1);
    insta::assert_snapshot!(name, drawn(model, size));
}

/// Pictures have come until now.
fn keep_pictures(model: &mut Model) {
    let now_ms = model.now_ms();
    if let Some(call) = &mut model.call {
        call.far_picture_at_ms = now_ms;
        for person in &mut call.people {
            person.look_again(now_ms);
        }
    }
}

#[test]
fn no_server_yet() {
    check(
        "no_server",
        COLOUR,
        vec![profile(false), Event::Contacts(Vec::new())],
    );
}

#[test]
fn no_contacts_yet() {
    let server = Event::Server {
        up: true,
        reason: None,
    };
    check(
        "empty",
        COLOUR,
        vec![profile(true), Event::Contacts(Vec::new()), server],
    );
}

#[test]
fn contacts_to_choose_from() {
    check("contacts", COLOUR, start());
}

#[test]
fn the_server_is_down() {
    let mut events = start();
    events.push(Event::Server {
        up: false,
        reason: Some("connection refused".to_owned()),
    });
    check("server_down", COLOUR, events);
}

#[test]
fn somebody_calls() {
    let mut events = start();
    events.push(Event::Incoming {
        call: CALL,
        party: Party::Contact(BOB),
        media: Media::Video,
    });
    check("incoming", COLOUR, events);
}

#[test]
fn somebody_calls_during_a_call() {
    let mut events = in_call(false, false);
    events.push(Event::Incoming {
        call: SECOND,
        party: Party::Contact(ContactId(3)),
        media: Media::Audio,
    });
    check("second_call", COLOUR, events);
}

#[test]
fn a_call_goes_out() {
    check("inviting", COLOUR, inviting());
}

#[test]
fn a_call_with_pictures() {
    check("in_call", COLOUR, in_call(false, false));
}

#[test]
fn the_mirror_claims_no_microphone_and_no_server() {
    for size in SIZES {
        let mut model = crate::mirror::picture_of_oneself(COLOUR);
        let _ = update(&mut model, Event::Resize(size.0, size.1));
        let before = drawn(&model, size).to_string();
        assert!(before.contains("mirror"), "{before}");
        for wrong in ["microphone", "server", "call"] {
            assert!(!before.contains(wrong), "{before}");
        }
        for press in ["m", "v", "H", "c", "i", "+", "a"] {
            let effects = update(&mut model, letter(press.chars().next().expect("a letter")));
            assert!(effects.is_empty(), "{press}: {effects:?}");
            assert!(model.overlay.is_none(), "{press}");
        }
        assert!(!update(&mut model, letter('q')).is_empty());
    }
}

#[test]
fn both_sides_are_muted() {
    check("muted_both", COLOUR, in_call(true, true));
}

#[test]
fn a_call_without_colour() {
    let look = Look {
        depth: ColourDepth::None,
        glyphs: Glyphs::Unicode,
    };
    check("no_colour", look, in_call(true, false));
}

#[test]
fn a_call_in_ascii() {
    check("ascii", Look::default(), in_call(false, true));
}

#[test]
fn the_far_camera_is_off() {
    let mut events = in_call(false, false);
    events.push(Event::Call(
        CALL,
        CallEvent::Far {
            mic_muted: true,
            camera_on: false,
            on_hold: false,
        },
    ));
    check("far_camera_off", COLOUR, events);
}

#[test]
fn an_app_that_says_nothing_of_its_camera_is_seen_and_a_late_picture_is_not() {
    let is_seen = |model: &Model| {
        let backend = drawn(model, (50, 20));
        backend
            .buffer()
            .content
            .iter()
            .any(|cell| cell.symbol() == "▀")
    };
    let mut events = inviting();
    events.extend([
        state(CallState::Connected),
        Event::Call(CALL, CallEvent::FarPicture(Some(test_picture()))),
    ]);
    let mut model = model(COLOUR, events);
    assert!(is_seen(&model));
    let far = CallEvent::Far {
        mic_muted: false,
        camera_on: false,
        on_hold: false,
    };
    let late = CallEvent::FarPicture(Some(test_picture()));
    for event in [far, late] {
        let _ = update(&mut model, Event::Call(CALL, event));
    }
    assert!(!is_seen(&model));
}

#[test]
fn a_call_has_ended() {
    let mut events = in_call(false, false);
    events.push(state(ended()));
    check("ended", COLOUR, events);
}

#[test]
fn the_help_is_open() {
    let mut events = start();
    events.push(letter('?'));
    check("help", COLOUR, events);
}

#[test]
fn an_invitation_is_shown() {
    let mut events = start();
    let link = format!(
        "hullo:{}",
        "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_".repeat(7)
    );
    events.extend([letter('i'), Event::Invited { link }]);
    check("invite", COLOUR, events);
}

#[test]
fn a_link_is_typed() {
    let mut events = start();
    events.extend([letter('+'), Event::Paste("hullo:AbCdEfGh".to_owned())]);
    check("add", COLOUR, events);
}

#[test]
fn a_failure_says_what_to_do() {
    for (columns, rows) in SIZES {
        let mut model = model(COLOUR, vec![Event::Resize(columns, rows)]);
        for event in start() {
            let _ = update(&mut model, event);
        }
        let words = "The link was used already: ask for a new one, each works for one person.";
        let _ = update(&mut model, Event::Failed(words.to_owned()));
        insta::assert_snapshot!(
            format!("failure_{columns}x{rows}"),
            drawn(&model, (columns, rows))
        );
    }
}

#[test]
fn the_wanted_picture_is_where_the_picture_is_drawn() {
    let model = model(COLOUR, in_call(false, false));
    let size = Rect::new(0, 0, 80, 24);
    let area = far_picture_area(&model, size).expect("a call with a picture");
    let backend = drawn(&model, (80, 24));
    for row in 0..24 {
        for column in 0..80 {
            let is_picture = backend.buffer()[(column, row)].symbol() == "▀";
            assert!(
                !is_picture || area.contains((column, row).into()),
                "{column},{row}"
            );
        }
    }
    assert!(area.width >= 50 && area.height >= 18, "{area}");
    assert_eq!(far_picture_area(&model, Rect::new(0, 0, 30, 6)), None);
}

fn any_contact(name: &'static str) -> impl Strategy<Value = Contact> {
    (0u64..4, name, any::<bool>(), any::<bool>()).prop_map(|(id, name, verified, ready)| Contact {
        id: ContactId(id),
        name,
        short_id: "ABCDEFGH".to_owned(),
        verified,
        ready,
        blocked: false,
        lost: false,
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = "[ab]|[a-z日\u{1b}\u{202e} ]{0,40}";
    let contact = any_contact(name);
    let id = || (0u64..5).prop_map(ContactId);
    let number = || (1u64..6).prop_map(CallNumber);
    let media = || prop::sample::select(vec![Media::Audio, Media::Video]);
    let call_state = prop::sample::select(vec![
        CallState::Inviting,
        CallState::Ringing,
        CallState::Connecting,
        CallState::Connected,
        CallState::Connected,
        CallState::Reconnecting,
        ended(),
    ]);
    let letters = prop::char::range('!', '~').prop_map(KeyCode::Char);
    let keys = prop_oneof![
        4 => letters,
        1 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Up, KeyCode::Down, KeyCode::Backspace, KeyCode::Left,
        ]),
    ];
    let picture = prop::option::of(Just(test_picture()));
    prop_oneof![
        6 => keys.prop_map(key),
        1 => ".{0,50}".prop_map(Event::Paste),
        2 => (0u16..150, 0u16..60).prop_map(|(columns, rows)| Event::Resize(columns, rows)),
        2 => prop::collection::vec(contact, 0..4).prop_map(Event::Contacts),
        1 => any::<bool>().prop_map(profile),
        1 => (any::<bool>(), prop::option::of(".{0,80}"))
            .prop_map(|(up, reason)| Event::Server { up, reason }),
        1 => ".{0,400}".prop_map(|link| Event::Invited { link }),
        1 => (".{0,40}", ".{0,120}").prop_map(|(code, link)| Event::Code { code, link }),
        1 => (".{0,40}", any::<bool>())
            .prop_map(|(words, is_well)| Event::CodeEnded { words, is_well }),
        1 => (id(), ".{0,90}", any::<bool>())
            .prop_map(|(contact, words, is_safety)| Event::Words { contact, words, is_safety }),
        2 => (number(), id(), media()).prop_map(|(call, contact, media)| {
            Event::Incoming { call, party: Party::Contact(contact), media }
        }),
        2 => (number(), id(), media()).prop_map(|(call, contact, media)| {
            Event::Call(call, CallEvent::Started { party: Party::Contact(contact), media })
        }),
        4 => (number(), call_state).prop_map(|(call, state)| Event::Call(call, CallEvent::State(state))),
        2 => (number(), any::<[bool; 3]>()).prop_map(|(call, [mic_muted, camera_on, on_hold])| {
            Event::Call(call, CallEvent::Own { mic_muted, camera_on, on_hold })
        }),
        2 => (number(), any::<[bool; 3]>()).prop_map(|(call, [mic_muted, camera_on, on_hold])| {
            Event::Call(call, CallEvent::Far { mic_muted, camera_on, on_hold })
        }),
        1 => (number(), picture.clone())
            .prop_map(|(call, picture)| Event::Call(call, CallEvent::FarPicture(picture))),
        1 => (number(), picture)
            .prop_map(|(call, picture)| Event::Call(call, CallEvent::OwnPicture(picture))),
        1 => any::<[bool; 2]>().prop_map(|[do_not_disturb, is_ip_warned]| {
            Event::Settings(Settings { do_not_disturb, is_ip_warned, ..Settings::default() })
        }),
        1 => ".{0,200}".prop_map(Event::Failed),
        1 => ".{0,80}".prop_map(|words| Event::Call(CALL, CallEvent::Notice(words))),
        1 => Just(Event::Tick),
        1 => Just(Event::Command(Command::Mute(Switch::Toggle))),
        1 => Just(Event::Stop(StopReason::Signal)),
    ]
}

fn any_mode() -> impl Strategy<Value = Mode> {
    let media = Media::Video;
    prop::sample::select(vec![
        Mode::Screen,
        Mode::CallOnce {
            name: "a".to_owned(),
            media,
        },
        Mode::AnswerOnce { name: None, media },
        Mode::AnswerOnce {
            name: Some("b".to_owned()),
            media,
        },
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_state_can_be_drawn_at_any_size(
        events in prop::collection::vec((any_event(), 0u64..9_000), 0..40),
        columns in 1u16..140, rows in 1u16..50,
        ascii in any::<bool>(), mode in any_mode(),
    ) {
        let glyphs = if ascii { Glyphs::Ascii } else { Glyphs::Unicode };
        let mut model = Model::new(mode, Look { depth: ColourDepth::Palette256, glyphs });
        let mut departures = 0;
        for (event, pause_ms) in events {
            model.set_now(model.now_ms() + pause_ms);
            let effects = update(&mut model, event);
            departures += effects.iter().filter(|effect| matches!(effect, Effect::Quit(_))).count();
        }
        prop_assert!(departures <= 1);
        // A deadline that stays in the past would keep the loop spinning.
        let _ = update(&mut model, Event::Tick);
        prop_assert!(departures > 0 || model.deadline_ms().is_none_or(|due| due > model.now_ms()));
        let backend = drawn(&model, (columns, rows));
        let words: String = backend.buffer().content.iter().map(|cell| cell.symbol()).collect();
        prop_assert!(!words.chars().any(char::is_control));
        prop_assert!(!ascii || words.is_ascii());
        let is_muted = model.taken_call().is_some_and(|call| call.own.mic_muted);
        let is_typing = crate::keymap::is_typing(&model);
        let has_room = columns >= 40 && rows >= 10;
        let is_covered = !has_room && (is_typing || model.incoming.is_some());
        if is_muted && columns >= 5 && !is_covered {
            prop_assert!(words.contains(text::MUTED), "{words}");
        }
    }

    #[test]
    fn no_everyday_key_takes_declines_or_ends_a_call(
        events in prop::collection::vec((any_event(), 0u64..9_000), 0..40),
        code in prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Up, KeyCode::Down, KeyCode::Char('q'), KeyCode::Char('j'),
            KeyCode::Char('?'), KeyCode::Char('v'), KeyCode::Char('c'), KeyCode::Char('i'), KeyCode::Char(' '),
            KeyCode::Char(':'), KeyCode::Char('/'), KeyCode::Char(','), KeyCode::Char('L'), KeyCode::Char('E'),
        ]),
    ) {
        let mut model = Model::new(Mode::Screen, Look::default());
        for (event, pause_ms) in events {
            model.set_now(model.now_ms() + pause_ms);
            let _ = update(&mut model, event);
        }
        // What was chosen from the palette is meant.
        let is_meant = model.layers.palette.is_some() && code == KeyCode::Enter;
        for effect in update(&mut model, key(code)) {
            let is_grave = matches!(effect, Effect::AcceptCall(..) | Effect::RejectCall { .. } | Effect::HangUp(_));
            prop_assert!(!is_grave || is_meant, "{effect:?}");
        }
    }
}

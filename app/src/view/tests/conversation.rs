//! The conversation's pane, and what is new beside the contacts.

use std::collections::BTreeMap;

use hullo_proto::call::{CallId, Media as CallMedia};
use hullo_signalling::channel;
use hullo_signalling::history::{
    self, CallOutcome, EntryId, EntryKind, HistoryEntry, TextState, Unseen,
};

use super::*;
use crate::conversation::HistoryEvent;

/// Late on Friday 20 November 2026, UTC.
const AT: Duration = Duration::from_secs(1_795_213_500);

fn entry(id: u64, incoming: bool, kind: EntryKind) -> HistoryEntry {
    HistoryEntry {
        id: EntryId(id),
        contact: channel::ContactId(BOB.0),
        at: AT + Duration::from_secs(id * 600),
        direction: if incoming {
            history::Direction::Incoming
        } else {
            history::Direction::Outgoing
        },
        kind,
        is_seen: true,
    }
}

fn text(id: u64, state: TextState, words: &str) -> HistoryEntry {
    let text = words.to_owned();
    entry(
        id,
        state == TextState::Received,
        EntryKind::Text { text, state },
    )
}

fn call(id: u64, incoming: bool, media: CallMedia, outcome: CallOutcome) -> HistoryEntry {
    let call_id = CallId([id as u8; 16]);
    let kind = EntryKind::Call {
        call_id,
        media,
        outcome,
    };
    entry(id, incoming, kind)
}

fn entries() -> Vec<HistoryEntry> {
    let ended = CallOutcome::Ended {
        duration: Duration::from_secs(192),
        cut_off: false,
    };
    vec![
        text(1, TextState::Received, "Are you there?\u{1b}[2J"),
        call(2, true, CallMedia::Audio, CallOutcome::Missed),
        text(
            3,
            TextState::Sent,
            "Now I am. This is a longer message that does not fit in one line of a narrow pane.",
        ),
        call(10, false, CallMedia::Video, ended),
        text(11, TextState::Waiting, "That was good.\nUntil tomorrow!"),
    ]
}

pub(super) fn events() -> Vec<Event> {
    let unseen = BTreeMap::from([
        (
            ContactId(1),
            Unseen {
                texts: 12,
                calls: 3,
            },
        ),
        (ContactId(3), Unseen { texts: 0, calls: 1 }),
    ]);
    let mut events = start();
    events.extend([
        Event::History(HistoryEvent::Unseen(unseen)),
        letter('j'),
        Event::History(HistoryEvent::Page {
            contact: BOB,
            before: None,
            entries: entries(),
        }),
    ]);
    events
}

#[test]
fn texts_and_calls_stand_in_their_order_and_what_is_new_beside_the_names() {
    check("conversation", COLOUR, events());
}

#[test]
fn a_text_is_written() {
    let mut events = events();
    events.push(letter('t'));
    events.extend("See you".chars().map(letter));
    check("writing", COLOUR, events);
}

const LONG: &str = "bob was not reached: the server has it, and hands it over as soon as bob's program runs again, be that tomorrow.";

#[test]
fn a_sentence_leaves_what_is_typed_in_sight() {
    let fields = [
        ("text", vec![letter('t')]),
        ("link", vec![letter('+')]),
        ("filter", vec![letter('/')]),
        ("palette", vec![letter(':')]),
    ];
    for (columns, rows) in SIZES {
        for (field, opened) in &fields {
            for told in [
                Event::Notice(LONG.to_owned()),
                Event::Failed(LONG.to_owned()),
            ] {
                let mut events = vec![Event::Resize(columns, rows)];
                events.extend(super::conversation::events());
                events.extend(opened.clone());
                events.extend("zyx".chars().map(letter));
                events.push(told);
                let model = model(COLOUR, events);
                let screen = drawn(&model, (columns, rows)).to_string();
                assert!(screen.contains("zyx"), "{field} {columns}x{rows}\n{screen}");
            }
        }
    }
    let mut events = vec![Event::Resize(80, 24)];
    events.extend(super::conversation::events());
    events.push(letter('t'));
    events.extend("See you".chars().map(letter));
    events.push(Event::Failed(LONG.to_owned()));
    let model = model(COLOUR, events);
    check_screen("writing_beside_a_failure", &model, (80, 24));
}

#[test]
fn where_nothing_fits_the_conversation_gives_way_and_what_is_typed_stays() {
    check_at(&[(39, 9), (20, 5)], "conversation", COLOUR, events());
    let mut typed = events();
    typed.push(letter('t'));
    typed.extend("See you".chars().map(letter));
    check_at(&[(39, 9), (20, 5)], "writing", COLOUR, typed);
}

#[test]
fn a_long_conversation_shows_its_end_and_scrolls() {
    let mut events = vec![Event::Resize(80, 24)];
    events.extend(start());
    events.push(Event::History(HistoryEvent::Unseen(BTreeMap::new())));
    events.push(letter('j'));
    let entries = (1..=60).map(|id| text(id, TextState::Received, &format!("line {id}.")));
    events.push(Event::History(HistoryEvent::Page {
        contact: BOB,
        before: None,
        entries: entries.collect(),
    }));
    let mut model = model(COLOUR, events);
    let shown = |model: &Model, words: &str| drawn(model, (80, 24)).to_string().contains(words);
    assert!(shown(&model, "line 60.") && !shown(&model, "line 1."));
    for _ in 0..9 {
        let _ = update(&mut model, key(KeyCode::PageUp));
    }
    assert!(shown(&model, "line 1.") && !shown(&model, "line 60."));
    for _ in 0..9 {
        let _ = update(&mut model, key(KeyCode::PageDown));
    }
    assert!(shown(&model, "line 60."));
}

#[test]
fn writing_during_a_call_covers_the_picture_and_leaves_the_call_as_it_is() {
    let mut events = vec![Event::Resize(80, 24)];
    events.extend(in_call(true, false));
    events.push(Event::History(HistoryEvent::Unseen(BTreeMap::new())));
    let mut model = model(COLOUR, events);
    let effects = update(&mut model, letter('t'));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::WantPicture(_, None))),
        "{effects:?}"
    );
    let screen = drawn(&model, (80, 24)).to_string();
    assert!(screen.contains(crate::text::MUTED), "{screen}");
    let effects = update(&mut model, key(KeyCode::Esc));
    assert!(
        matches!(effects[..], [Effect::WantPicture(_, Some(_))]),
        "{effects:?}"
    );
}

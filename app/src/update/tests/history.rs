//! Conversations: what is typed, sent, seen, and told outside.

use std::collections::BTreeMap;

use hullo_signalling::channel;
use hullo_signalling::history::{
    self, CallOutcome, EntryId, EntryKind, HistoryEntry, TextState, Unseen,
};

use super::*;
use crate::conversation::{HistoryEvent, PAGE_ENTRIES};
use crate::report::EntryReport;

fn text_entry(id: u64, contact: ContactId, words: &str, state: TextState) -> HistoryEntry {
    let direction = if state == TextState::Received {
        history::Direction::Incoming
    } else {
        history::Direction::Outgoing
    };
    HistoryEntry {
        id: EntryId(id),
        contact: channel::ContactId(contact.0),
        at: std::time::Duration::from_secs(1_790_000_000 + id),
        direction,
        kind: EntryKind::Text {
            text: words.to_owned(),
            state,
        },
        is_seen: direction == history::Direction::Outgoing,
    }
}

fn entry(entry: HistoryEntry) -> Event {
    Event::History(HistoryEvent::Entry(entry))
}

fn unseen(contact: ContactId, texts: u32, calls: u32) -> Event {
    let unseen = BTreeMap::from([(contact, Unseen { texts, calls })]);
    Event::History(HistoryEvent::Unseen(unseen))
}

fn page(contact: ContactId, before: Option<u64>, entries: Vec<HistoryEntry>) -> Event {
    Event::History(HistoryEvent::Page {
        contact,
        before: before.map(EntryId),
        entries,
    })
}

/// On a screen, the empty history read.
fn ready() -> Program {
    let mut program = Program::ready();
    let asked = program.take(Event::History(HistoryEvent::Unseen(BTreeMap::new())));
    assert_eq!(asked, [read(ALICE, None)]);
    program.take(page(ALICE, None, Vec::new()));
    program
}

fn read(contact: ContactId, before: Option<u64>) -> Effect {
    Effect::ReadHistory {
        contact,
        before: before.map(EntryId),
    }
}

fn key(program: &mut Program, code: KeyCode) -> Vec<Effect> {
    program.take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn letters_are_text_only_while_the_field_has_the_keys() {
    let mut program = ready();
    program.press('t');
    for letter in "hi q".chars() {
        assert!(program.press(letter).is_empty());
    }
    let sent = key(&mut program, KeyCode::Enter);
    assert_eq!(sent, [Effect::SendText(ALICE, "hi q".to_owned())]);
    assert!(
        key(&mut program, KeyCode::Enter).is_empty(),
        "nothing is typed any more"
    );
    key(&mut program, KeyCode::Esc);
    assert_eq!(program.press('q'), [Effect::Quit(0)]);
}

#[test]
fn a_text_that_was_not_sent_stands_in_the_field_again() {
    let failed = || {
        let words = "The disk is full.".to_owned();
        Event::History(HistoryEvent::Unsent(ALICE, words))
    };
    let typed = |program: &Program| {
        let field = program.model.drafts.of(ALICE);
        field.map_or_else(String::new, |field| field.text().to_owned())
    };
    let mut program = ready();
    program.press('t');
    program.press('a');
    key(&mut program, KeyCode::Enter);
    assert_eq!(typed(&program), "");
    program.press('b');
    program.take(failed());
    assert_eq!(typed(&program), "a b");
    let said = program.model.message.as_ref().expect("the failure");
    assert!(said.is_error && said.text.contains("disk"));
    key(&mut program, KeyCode::Enter);
    let sent = text_entry(9, ALICE, "a b", TextState::Waiting);
    program.take(Event::History(HistoryEvent::Entry(sent)));
    program.take(failed());
    assert_eq!(typed(&program), "", "what is kept does not come back");
}

#[test]
fn a_paste_that_does_not_fit_is_refused_as_a_whole_with_words() {
    let mut program = ready();
    program.press('t');
    program.press('a');
    program.take(Event::Paste("x".repeat(7_500)));
    let said = program.model.message.as_ref().expect("why not");
    assert_eq!(said.text, text::TEXT_TOO_LONG);
    let sent = key(&mut program, KeyCode::Enter);
    assert_eq!(sent, [Effect::SendText(ALICE, "a".to_owned())]);
}

#[test]
fn a_call_is_answered_from_the_field_with_alt_alone() {
    let mut program = ready();
    program.press('t');
    program.take(incoming(BOB, Media::Audio));
    program.wait(1_000);
    assert!(program.press('a').is_empty(), "text");
    let taken = program.press_with('a', KeyModifiers::ALT);
    assert!(
        taken
            .iter()
            .any(|effect| matches!(effect, Effect::AcceptCall(_, Media::Audio))),
        "{taken:?}"
    );
}

#[test]
fn a_text_begun_waits_until_its_contact_is_chosen_again() {
    let mut program = ready();
    program.press('t');
    program.press('x');
    key(&mut program, KeyCode::Esc);
    assert_eq!(program.press('j'), [read(BOB, None)]);
    program.press('t');
    assert!(key(&mut program, KeyCode::Enter).is_empty());
    key(&mut program, KeyCode::Esc);
    program.press('k');
    program.press('t');
    let sent = key(&mut program, KeyCode::Enter);
    assert_eq!(sent, [Effect::SendText(ALICE, "x".to_owned())]);
}

#[test]
fn what_is_new_is_told_once_and_seen_when_somebody_is_at_the_keys() {
    let mut program = Program::ready();
    program.take(unseen(ALICE, 2, 1));
    let told = |program: &Program| {
        let is_told = |effect: &&Effect| matches!(effect, Effect::Report(Report::Unseen { .. }));
        program.effects.iter().filter(is_told).count()
    };
    assert_eq!(told(&program), 1);
    let text = text_entry(5, ALICE, "hello", TextState::Received);
    program.take(page(ALICE, None, vec![text]));
    program.take(unseen(ALICE, 3, 1));
    assert_eq!(told(&program), 1);
    assert!(program.wait(60_000).is_empty(), "nobody is there");
    assert_eq!(
        key(&mut program, KeyCode::PageUp),
        [Effect::MarkSeen(ALICE)]
    );
    assert!(key(&mut program, KeyCode::PageUp).is_empty(), "once");
}

#[test]
fn texts_that_come_and_go_are_reported_and_shown_in_their_conversation() {
    let mut program = ready();
    program.take(entry(text_entry(1, BOB, "psst", TextState::Received)));
    let message = Report::Message {
        name: "bob".to_owned(),
        text: "psst".to_owned(),
    };
    assert!(program.effects.contains(&Effect::Report(message)));
    let shown = program
        .model
        .message
        .as_ref()
        .map(|message| message.text.as_str());
    assert_eq!(
        shown,
        Some("bob: psst"),
        "it is not the chosen conversation"
    );
    for state in [TextState::Waiting, TextState::Sent] {
        program.take(entry(text_entry(2, ALICE, "yes", state)));
    }
    let conversation = program.model.conversation.as_ref().unwrap();
    assert_eq!(
        conversation.entries,
        [text_entry(2, ALICE, "yes", TextState::Sent)]
    );
    let states: Vec<_> = program
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Report(Report::Entry(entry)) => entry.state.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(states, ["waiting", "sent"]);
    program.take(Event::History(HistoryEvent::Removed(ALICE, EntryId(2))));
    assert!(
        program
            .model
            .conversation
            .as_ref()
            .unwrap()
            .entries
            .is_empty()
    );
}

#[test]
fn older_pages_are_fetched_on_the_way_up_and_memory_is_bounded() {
    let mut program = ready();
    let entries = |from: u64| -> Vec<HistoryEntry> {
        (from..from + PAGE_ENTRIES as u64)
            .map(|id| text_entry(id, BOB, "x", TextState::Received))
            .collect()
    };
    program.press('j');
    program.take(page(BOB, None, entries(10_000)));
    let mut first = 10_000;
    let mut pages = 1;
    for _ in 0..3_000 {
        let asked = key(&mut program, KeyCode::PageUp);
        if asked.contains(&read(BOB, Some(first))) {
            first -= PAGE_ENTRIES as u64;
            pages += 1;
            program.take(page(BOB, Some(first + PAGE_ENTRIES as u64), entries(first)));
        }
    }
    assert_eq!(pages * PAGE_ENTRIES, crate::conversation::ENTRIES_MAX);
    let conversation = program.model.conversation.as_ref().unwrap();
    assert_eq!(conversation.entries[0].id, EntryId(first));
    assert!(conversation.entries.is_sorted_by_key(|entry| entry.id));
    for _ in 0..3_000 {
        key(&mut program, KeyCode::PageDown);
    }
    assert_eq!(program.model.conversation.as_ref().unwrap().scroll, 0);
}

#[test]
fn commands_send_by_name_and_say_what_is_wrong() {
    let mut program = ready();
    let send = |name: &str, words: &str| Event::Command(Command::Send(name.into(), words.into()));
    let sent = program.take(send("bob", "hello there"));
    assert_eq!(sent, [Effect::SendText(BOB, "hello there".to_owned())]);
    for (name, words) in [("nobody", "x"), ("bob", "  ")] {
        assert!(program.take(send(name, words)).is_empty());
        assert!(matches!(
            program.effects.last(),
            Some(Effect::Report(Report::Error { .. }))
        ));
    }
    let seen = program.take(Event::Command(Command::Seen("alice".to_owned())));
    assert_eq!(seen, [Effect::MarkSeen(ALICE)]);
}

#[test]
fn only_a_call_that_is_over_is_reported_as_an_entry() {
    let mut program = ready();
    let call = |outcome| HistoryEntry {
        kind: EntryKind::Call {
            call_id: hullo_proto::call::CallId([1; 16]),
            media: hullo_proto::call::Media::Video,
            outcome,
        },
        ..text_entry(1, BOB, "", TextState::Received)
    };
    program.take(entry(call(CallOutcome::Ringing)));
    program.take(entry(call(CallOutcome::Missed)));
    let reported: Vec<&EntryReport> = program
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Report(Report::Entry(entry)) => Some(&**entry),
            _ => None,
        })
        .collect();
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].words.as_deref(), Some("Missed video call"));
    let json = serde_json::to_string(&Report::Entry(Box::new(reported[0].clone()))).unwrap();
    assert!(
        json.contains(r#""event":"entry""#) && json.contains(r#""outcome":"missed""#),
        "{json}"
    );
}

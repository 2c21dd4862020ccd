use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use vodozemac::olm::{Account, SessionConfig};

use super::*;
use crate::channel::ContactState;
use crate::identity::Identity;
use crate::store::Store;

const AT: Duration = Duration::from_secs(1_790_000_000);
use Direction::{Incoming, Outgoing};

fn store_with(names: &[&str]) -> (Store, Vec<ContactId>) {
    let (store, own) = Store::in_memory(&mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let ids = names
        .iter()
        .zip(2..)
        .map(|(name, seed)| {
            let other = Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed));
            let mut account = Account::from_pickle(other.account().pickle());
            let key = account.generate_one_time_keys(1).created[0];
            let session = own
                .account()
                .create_outbound_session(
                    SessionConfig::version_1(),
                    other.key_set().curve25519(),
                    key,
                )
                .unwrap();
            let rows = store.rows();
            rows.add_contact(name, other.key_set(), &session, ContactState::Ready)
                .unwrap()
        })
        .collect();
    (store, ids)
}

fn texts(entries: &[HistoryEntry]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            EntryKind::Text { text, .. } => Some(text.as_str()),
            EntryKind::Call { .. } => None,
        })
        .collect()
}

#[test]
fn pages_go_back_in_time_and_conversations_stay_apart() {
    let (store, ids) = store_with(&["bob", "cat"]);
    let rows = store.rows();
    for number in 0..7 {
        let contact = ids[number % 2];
        rows.add_text(contact, AT, Incoming, &number.to_string(), None, None)
            .unwrap();
    }
    let page = rows.history(Some(ids[0]), None, 2).unwrap();
    assert_eq!(texts(&page), ["4", "6"]);
    let page = rows.history(Some(ids[0]), Some(page[0].id), 2).unwrap();
    assert_eq!(texts(&page), ["0", "2"]);
    let none = rows.history(Some(ids[0]), Some(page[0].id), 2).unwrap();
    assert!(none.is_empty());
    assert_eq!(
        texts(&rows.history(None, None, 3).unwrap()),
        ["4", "5", "6"]
    );
}

#[test]
fn a_text_that_comes_twice_is_there_once() {
    let (store, ids) = store_with(&["bob", "cat"]);
    let rows = store.rows();
    let add = |contact, direction| {
        rows.add_text(contact, AT, direction, "x", Some("id"), None)
            .unwrap()
            .is_some()
    };
    assert!(add(ids[0], Incoming) && !add(ids[0], Incoming));
    assert!(add(ids[1], Incoming) && add(ids[0], Outgoing));
}

#[test]
fn what_is_unseen_is_counted_until_it_is_seen() {
    let (store, ids) = store_with(&["bob", "cat"]);
    let rows = store.rows();
    rows.add_text(ids[0], AT, Incoming, "x", None, None)
        .unwrap();
    rows.add_text(ids[0], AT, Outgoing, "y", None, None)
        .unwrap();
    let call = |number: u8| CallId([number; 16]);
    let ringing = CallOutcome::Ringing;
    for (number, outcome) in [
        (1, CallOutcome::Missed),
        (2, CallOutcome::Busy),
        (3, CallOutcome::Declined),
    ] {
        let entry = rows
            .add_call(ids[1], AT, Incoming, call(number), Media::Audio, &ringing)
            .unwrap()
            .unwrap();
        assert!(entry.is_seen, "a call that rings is not missed yet");
        let entry = rows.set_outcome(&entry, &outcome, AT).unwrap().unwrap();
        assert_eq!(entry.is_seen, number == 3);
    }
    let mine = rows
        .add_call(ids[1], AT, Outgoing, call(4), Media::Audio, &ringing)
        .unwrap()
        .unwrap();
    rows.set_outcome(&mine, &CallOutcome::Busy, AT).unwrap();
    let unseen = rows.unseen().unwrap();
    assert_eq!(unseen[&ids[0]], Unseen { texts: 1, calls: 0 });
    assert_eq!(unseen[&ids[1]], Unseen { texts: 0, calls: 2 });
    assert!(rows.mark_seen(ids[1]).unwrap() && !rows.mark_seen(ids[1]).unwrap());
    assert_eq!(rows.unseen().unwrap().len(), 1);
}

#[test]
fn outcomes_come_back_as_they_were_written() {
    let (store, ids) = store_with(&["bob"]);
    let rows = store.rows();
    let call = CallId([7; 16]);
    let entry = rows
        .add_call(
            ids[0],
            AT,
            Outgoing,
            call,
            Media::Video,
            &CallOutcome::Ringing,
        )
        .unwrap()
        .unwrap();
    assert_eq!(rows.open_calls().unwrap(), std::slice::from_ref(&entry));
    let later = AT + Duration::from_secs(9);
    for outcome in [
        CallOutcome::Accepted,
        CallOutcome::InCall {
            since: AT,
            heard: later,
        },
        CallOutcome::Missed,
        CallOutcome::Declined,
        CallOutcome::Busy,
        CallOutcome::Unanswered,
        CallOutcome::Cancelled,
        CallOutcome::AnsweredElsewhere,
        CallOutcome::failed("no way"),
        CallOutcome::Ended {
            duration: Duration::from_millis(1_234),
            cut_off: false,
        },
        CallOutcome::Ended {
            duration: Duration::ZERO,
            cut_off: true,
        },
    ] {
        rows.set_outcome(&entry, &outcome, later).unwrap();
        let read = rows.call_entry(ids[0], call).unwrap().unwrap();
        let EntryKind::Call {
            outcome: read,
            media,
            ..
        } = read.kind
        else {
            panic!("a call");
        };
        assert_eq!((read, media), (outcome.clone(), Media::Video));
        assert_eq!(rows.open_calls().unwrap().is_empty(), !outcome.is_open());
    }
}

#[test]
fn a_conversation_is_bounded_and_loses_old_texts_before_calls() {
    let (mut store, ids) = store_with(&["bob"]);
    store
        .transaction(|rows| {
            rows.add_call(
                ids[0],
                AT,
                Incoming,
                CallId([1; 16]),
                Media::Audio,
                &CallOutcome::Missed,
            )?;
            for number in 0..ENTRIES_MAX + 9 {
                rows.add_text(ids[0], AT, Incoming, &number.to_string(), None, None)?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let rows = store.rows();
    let count: u32 = rows
        .connection
        .query_row("SELECT count(*) FROM history", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, ENTRIES_MAX);
    assert!(rows.call_entry(ids[0], CallId([1; 16])).unwrap().is_some());
    let first: String = rows
        .connection
        .query_row(
            "SELECT text FROM history WHERE text IS NOT NULL ORDER BY id LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(first, "10");
    rows.remove_contact(ids[0]).unwrap();
    assert!(
        rows.history(None, None, 9).unwrap().is_empty(),
        "gone with the contact"
    );
}

//! Records of creators that lie, judged by a member's store. Whole groups are in the scenarios.

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use vodozemac::olm::{Account, SessionConfig};

use super::change::Change;
use super::*;
use crate::group::Vouched;
use crate::group::record::Record;
use crate::group::record::tests::{person, statement};
use crate::identity::Identity;
use crate::store::Store;

struct Bob {
    store: Store,
    identity: Identity,
    key: GroupKey,
    group: GroupNumber,
    ann: Identity,
}

impl Bob {
    /// Bob, whom Ann invited, and who stated one inbox.
    fn new() -> Self {
        let (mut store, identity) = Store::in_memory(&mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let ann = person(2);
        let key = GroupKey {
            creator: *ann.key_set(),
            id: [7; 8],
        };
        let server = ServerUrl::new("relay.test", 4433, [1; 32]).unwrap();
        let group = store
            .transaction(|rows| -> Result<_, StoreError> {
                let number = rows.add_group(&key, "hikers", &server, 0)?;
                let mut group = rows.group(number)?.unwrap();
                group.stated = 1;
                rows.save_group(&group)?;
                Ok(number)
            })
            .unwrap();
        Self {
            store,
            identity,
            key,
            group,
            ann,
        }
    }

    fn pin(&mut self, contact: &Identity, name: &str) {
        let mut other = Account::new();
        other.generate_one_time_keys(1);
        let one_time_key = *other.one_time_keys().values().next().unwrap();
        let session = self
            .identity
            .account()
            .create_outbound_session(
                SessionConfig::version_1(),
                other.curve25519_key(),
                one_time_key,
            )
            .unwrap();
        let rows = self.store.rows();
        rows.add_contact(name, contact.key_set(), &session, ContactState::Ready)
            .unwrap();
    }

    fn statement(&self, who: &Identity, number: u64) -> Statement {
        statement(who, &self.key, number)
    }

    /// A record with Ann and Bob and these others, signed by Ann.
    fn record(&self, revision: u64, removal: u64, others: Vec<Statement>) -> Vec<u8> {
        let own = vec![
            self.statement(&self.ann, 1),
            self.statement(&self.identity, 1),
        ];
        let record = Record {
            revision,
            removal,
            name: "hikers".into(),
            server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
            members: own.into_iter().chain(others).collect(),
        };
        record.write(&self.key, &self.ann).unwrap().to_vec()
    }

    /// What the program is told.
    fn hear(&mut self, record: &[u8]) -> Vec<GroupEvent> {
        let (identity, number) = (&self.identity, self.group);
        self.store
            .transaction(|rows| -> Result<_, ChannelError> {
                let mut change = Change::new(rows, identity, Duration::from_secs(1));
                let mut group = rows.group(number)?.unwrap();
                change.apply(&mut group, record)?;
                Ok(change.finish()?)
            })
            .unwrap()
    }

    fn refusal(&mut self, record: &[u8]) -> String {
        let before = self.names();
        let refused = self.hear(record).into_iter().find_map(|event| match event {
            GroupEvent::Refused { words, .. } => Some(words),
            _ => None,
        });
        assert!(self.names() == before, "what was known stays");
        let words = refused.expect("a refusal");
        let shown = self.store.rows().group(self.group).unwrap().unwrap();
        assert_eq!(
            shown.trouble.as_ref(),
            Some(&words),
            "it is shown in the list too"
        );
        words
    }

    /// Short ids and numbers of statements of those who are in.
    fn names(&self) -> Vec<(String, u64)> {
        let rows = self.store.rows();
        let group = rows.group(self.group).unwrap().unwrap();
        let members = rows.members(&group).unwrap().into_iter();
        members
            .filter(|row| row.standing == MemberStanding::In)
            .map(|row| (row.key_set.short_id(), row.stated))
            .collect()
    }
}

/// Somebody who put a key of `victim` beside keys of their own.
fn borrowing(victim: &Identity) -> Identity {
    Identity::from_parts(victim.x25519().as_bytes(), Account::new())
}

#[test]
fn a_good_record_is_taken_over_and_an_old_one_brings_nothing_back() {
    let (mut bob, cat) = (Bob::new(), person(3));
    let with_cat = bob.record(1, 0, vec![bob.statement(&cat, 1)]);
    assert!(matches!(
        bob.hear(&with_cat)[..],
        [GroupEvent::Changed { .. }]
    ));
    assert_eq!(bob.names().len(), 3);
    let without = bob.record(2, 2, vec![]);
    bob.hear(&without);
    assert_eq!(bob.names().len(), 2);
    for old in [&with_cat, &without] {
        assert!(
            bob.hear(old).is_empty(),
            "silently: it may have lain in a queue"
        );
        assert_eq!(bob.names().len(), 2);
    }
    let forgets = bob.record(3, 0, vec![]);
    assert!(bob.refusal(&forgets).contains("went"));
    let back = bob.record(3, 2, vec![bob.statement(&cat, 2)]);
    bob.hear(&back);
    assert_eq!(bob.names().len(), 3, "a new statement is a new beginning");
    let shown = bob.store.rows().group(bob.group).unwrap().unwrap();
    assert_eq!(shown.trouble, None, "gone with the next good record");
}

#[test]
fn two_records_under_one_number_are_refused() {
    let (mut bob, cat) = (Bob::new(), person(3));
    let first = bob.record(1, 0, vec![]);
    bob.hear(&first);
    let second = bob.record(1, 0, vec![bob.statement(&cat, 1)]);
    assert!(bob.refusal(&second).contains("same number"));
}

#[test]
fn a_forged_statement_and_a_forged_signature_are_refused() {
    let (mut bob, cat) = (Bob::new(), person(3));
    let elsewhere = GroupKey {
        id: [8; 8],
        ..bob.key.clone()
    };
    let forged = bob.record(1, 0, vec![statement(&cat, &elsewhere, 1)]);
    assert!(bob.refusal(&forged).contains("never said so"));
    let mut altered = bob.record(1, 0, vec![]);
    let end = altered.len() - 1;
    altered[end] ^= 1;
    assert!(bob.refusal(&altered).contains("did not sign"));
}

#[test]
fn a_key_pinned_as_contact_wins_over_the_record() {
    let (mut bob, cat) = (Bob::new(), person(3));
    bob.pin(&cat, "cat");
    let impostor = borrowing(&cat);
    let record = bob.record(1, 0, vec![bob.statement(&impostor, 1)]);
    assert!(bob.refusal(&record).contains("cat, your contact"));
    let me = borrowing(&bob.identity);
    let record = bob.record(1, 0, vec![bob.statement(&me, 1)]);
    assert!(bob.refusal(&record).contains("for two people"), "beside us");
    let first = bob.record(1, 0, vec![]);
    bob.hear(&first);
    let instead = Record {
        revision: 2,
        removal: 0,
        name: "hikers".into(),
        server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
        members: vec![bob.statement(&bob.ann, 1), bob.statement(&me, 1)],
    };
    let instead = instead.write(&bob.key, &bob.ann).unwrap();
    assert!(
        bob.refusal(&instead).contains("your own key"),
        "in our place"
    );
    let good = bob.record(2, 0, vec![bob.statement(&cat, 1)]);
    bob.hear(&good);
    let group = bob.store.rows().group(bob.group).unwrap().unwrap();
    let shown = list::group(&bob.store.rows(), bob.identity.key_set(), &group).unwrap();
    let vouched: Vec<_> = shown.members.iter().map(|member| member.vouched).collect();
    assert_eq!(vouched, [Vouched::Own, Vouched::Group, Vouched::Contact]);
}

#[test]
fn keys_seen_in_the_group_cannot_be_exchanged_nor_statements_brought_back() {
    let (mut bob, dan) = (Bob::new(), person(4));
    let first = bob.record(1, 0, vec![bob.statement(&dan, 3)]);
    bob.hear(&first);
    let changed = bob.record(2, 0, vec![bob.statement(&borrowing(&dan), 4)]);
    assert!(bob.refusal(&changed).contains("others than before"));
    let older = bob.record(2, 0, vec![bob.statement(&dan, 2)]);
    assert!(bob.refusal(&older).contains("no longer says"));
    let mine = bob.key.clone();
    let ahead = Record {
        revision: 2,
        removal: 0,
        name: "hikers".into(),
        server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
        members: vec![
            bob.statement(&bob.ann, 1),
            statement(&bob.identity, &mine, 9),
        ],
    };
    let ahead = ahead.write(&bob.key, &bob.ann).unwrap().to_vec();
    assert!(bob.refusal(&ahead).contains("speaks for you"));
}

#[test]
fn who_left_is_not_listed_back_by_the_creator() {
    let (mut bob, dan) = (Bob::new(), person(4));
    let first = bob.record(1, 0, vec![bob.statement(&dan, 1)]);
    bob.hear(&first);
    let rows = bob.store.rows();
    let group = rows.group(bob.group).unwrap().unwrap();
    let mut row = rows.member_of(&group, dan.key_set()).unwrap();
    row.standing = MemberStanding::Gone;
    rows.save_member(&row).unwrap();
    let second = bob.record(2, 0, vec![bob.statement(&dan, 1)]);
    bob.hear(&second);
    assert_eq!(bob.names().len(), 2);
    let third = bob.record(3, 0, vec![bob.statement(&dan, 2)]);
    bob.hear(&third);
    assert_eq!(bob.names().len(), 3, "he said so himself");
}

#[test]
fn not_being_listed_any_more_is_being_removed() {
    let mut bob = Bob::new();
    let first = bob.record(1, 0, vec![]);
    bob.hear(&first);
    let record = Record {
        revision: 2,
        removal: 2,
        name: "hikers".into(),
        server: ServerUrl::new("relay.test", 4433, [1; 32]).unwrap(),
        members: vec![bob.statement(&bob.ann, 1)],
    };
    let record = record.write(&bob.key, &bob.ann).unwrap().to_vec();
    let events = bob.hear(&record);
    assert!(matches!(
        events[..],
        [GroupEvent::Removed { ended: false, .. }]
    ));
}

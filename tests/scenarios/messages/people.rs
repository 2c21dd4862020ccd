//! What people do with contacts they have: compare words, rename, block; and what a relay learns of all that.

use hullo_signalling::channel::{ChannelCommand, ChannelEvent, ContactState, PersonChange};
use hullo_signalling::store::Store;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::world::{ANN, BOB, CAT, World};

#[test]
fn both_see_the_same_four_words_and_a_match_verifies() {
    let mut world = World::new(40);
    world.befriend(ANN, BOB);
    for starter in [ANN, BOB] {
        world.change(starter, 1 - starter, PersonChange::CompareWords);
        let words = world.words(ANN).expect("four words");
        assert_eq!(world.words(BOB), Some(words));
        assert!(!world.contacts(ANN)[0].verified);
    }
    world.change(ANN, BOB, PersonChange::WordsMatch);
    assert!(world.contacts(ANN)[0].verified, "by ann's own word");
    assert!(!world.contacts(BOB)[0].verified, "bob has not said so");
    world.change(ANN, BOB, PersonChange::WordsDiffer);
    assert!(!world.contacts(ANN)[0].verified);
}

#[test]
fn words_survive_the_program_of_either_side() {
    let mut world = World::new(41);
    world.befriend(ANN, BOB);
    world.leave(BOB);
    world.change(ANN, BOB, PersonChange::CompareWords);
    assert_eq!(world.words(ANN), None);
    world.leave(ANN);
    world.enter(BOB);
    world.settle();
    world.leave(BOB);
    world.enter(ANN);
    world.settle();
    world.enter(BOB);
    world.settle();
    assert!(world.words(ANN).is_some());
    assert_eq!(world.words(ANN), world.words(BOB));
}

#[test]
fn the_long_words_need_no_other_side() {
    let mut world = World::new(42);
    world.befriend(ANN, BOB);
    world.relay_up(false);
    let mut words = Vec::new();
    for (person, other) in [(ANN, BOB), (BOB, ANN)] {
        let contact = world.contacts(person)[0].id;
        let change = PersonChange::CompareWords;
        world.command(person, ChannelCommand::Person { contact, change });
        world.steps(20);
        let long = world.taken(person).iter().find_map(|event| match event {
            ChannelEvent::SafetyWords { words, .. } => Some(*words),
            _ => None,
        });
        words.push(long.unwrap_or_else(|| panic!("no words for {}", world.name(other))));
    }
    assert_eq!(words[0], words[1]);
    assert!(words[0].len() * 11 >= 120);
}

#[test]
fn a_new_name_reaches_contacts_unless_they_chose_another() {
    let mut world = World::new(43);
    world.befriend(ANN, BOB);
    world.befriend(ANN, CAT);
    world.change(CAT, ANN, PersonChange::Rename("boss".into()));
    world.command(ANN, ChannelCommand::SetName("Dr Ann".into()));
    world.settle();
    assert_eq!(world.contacts(BOB)[0].name, "Dr Ann");
    assert_eq!(world.contacts(CAT)[0].name, "boss");
    // A name that another contact has.
    let contact = world.contacts(ANN)[0].id;
    let change = PersonChange::Rename(world.contacts(ANN)[1].name.clone());
    world.command(ANN, ChannelCommand::Person { contact, change });
    world.settle();
    let words = world.failures(ANN).pop().expect("refused");
    assert_eq!(words, "another contact is called cat already");
}

#[test]
fn a_blocked_contact_is_dropped_unseen_until_it_is_unblocked() {
    let mut world = World::new(44);
    world.befriend(ANN, BOB);
    world.change(ANN, BOB, PersonChange::Block);
    world.send(BOB, ANN, "answer me".into());
    world.change(BOB, ANN, PersonChange::CompareWords);
    world.settle();
    assert!(world.texts(ANN).is_empty() && world.words(ANN).is_none());
    assert!(world.failures(BOB).is_empty(), "bob is not told");
    assert_eq!(
        world.refusal_of_send(ANN, BOB).to_string(),
        "bob is blocked: unblock it first"
    );
    world.change(ANN, BOB, PersonChange::Unblock);
    world.send(BOB, ANN, "there you are".into());
    world.send(ANN, BOB, "I was away".into());
    world.settle();
    assert_eq!(
        world.texts(ANN),
        ["there you are"],
        "what was dropped stays away"
    );
    assert_eq!(world.texts(BOB), ["I was away"]);
    assert_eq!(world.counts(ANN).missing, 0, "the ratchet went on");
}

#[test]
fn no_connection_has_to_do_with_two_queues() {
    let mut world = World::new(45);
    world.befriend(ANN, BOB);
    world.befriend(ANN, CAT);
    world.command(CAT, ChannelCommand::SetServer(world.url()));
    let code = world.invite_by_code(BOB);
    world.add(CAT, &code);
    for (from, to) in [
        (ANN, BOB),
        (BOB, ANN),
        (ANN, CAT),
        (CAT, ANN),
        (BOB, CAT),
        (CAT, BOB),
    ] {
        world.send(from, to, "hello".into());
    }
    world.settle();
    world.cut_all();
    world.change(ANN, BOB, PersonChange::CompareWords);
    let gone = world
        .contacts(ANN)
        .iter()
        .find(|contact| contact.name == "cat")
        .map(|cat| cat.id);
    world.command(ANN, ChannelCommand::RemoveContact(gone.expect("a contact")));
    world.leave(BOB);
    world.enter(BOB);
    world.settle();
    for person in [ANN, BOB, CAT] {
        let connections = world.connections(person);
        assert!(
            connections.len() >= 4,
            "two contacts, written to and read from"
        );
        for queues in connections {
            assert!(
                queues.len() <= 1,
                "{} joined {} queues",
                world.name(person),
                queues.len()
            );
        }
    }
}

#[test]
fn writing_connections_close_when_idle_and_come_again() {
    let mut world = World::new(46);
    world.befriend(ANN, BOB);
    let busy = world.lines(ANN);
    world.wait(90);
    let idle = world.lines(ANN);
    assert_eq!((busy, idle), (3, 2), "one writes, one reads, one is spare");
    assert_eq!(world.state_changes(ANN), 0, "nobody is told of that");
    world.send(ANN, BOB, "still there?".into());
    world.settle_within(5);
    assert_eq!(world.texts(BOB), ["still there?"]);
    world.wait(10);
    assert_eq!(
        world.lines(ANN),
        3,
        "the spare one writes, and there is another"
    );
}

#[test]
fn what_is_said_while_both_use_each_others_links_arrives() {
    for (seed, steps) in (50..90).zip((0..).step_by(2)) {
        let mut world = World::new(seed);
        let (from_ann, from_bob) = (world.invite(ANN), world.invite(BOB));
        world.command(ANN, ChannelCommand::Add { link: from_bob });
        world.command(BOB, ChannelCommand::Add { link: from_ann });
        let mut said = [false; 2];
        for _ in 0..steps {
            world.steps(1);
            for (person, other) in [(ANN, BOB), (BOB, ANN)] {
                if !said[person] && !world.contacts(person).is_empty() {
                    world.send(person, other, format!("from {}", world.name(person)));
                    said[person] = true;
                }
            }
        }
        world.settle();
        let want = |said: bool, name: &str| -> Vec<String> {
            said.then(|| format!("from {name}")).into_iter().collect()
        };
        assert_eq!(
            world.texts(BOB),
            want(said[ANN], "ann"),
            "seed {seed} {steps}"
        );
        assert_eq!(
            world.texts(ANN),
            want(said[BOB], "bob"),
            "seed {seed} {steps}"
        );
    }
}

#[test]
fn a_restored_identity_keeps_names_and_marks_and_makes_contacts_again() {
    let mut world = World::new(47);
    world.befriend(ANN, BOB);
    world.change(ANN, BOB, PersonChange::Rename("bobby".into()));
    let contact = world.contacts(ANN)[0].id;
    let change = PersonChange::WordsMatch;
    world.command(ANN, ChannelCommand::Person { contact, change });
    world.settle();
    let before = world.key_set(ANN);
    let mut rng = ChaCha20Rng::seed_from_u64(47);
    let path = world.profile(ANN);
    let backup = Store::back_up(&path, &mut rng).expect("while the program runs");
    world.leave(ANN);
    for rest in ["", "-wal", "-shm"] {
        // What a last connection left behind, if it did.
        let _ = std::fs::remove_file(format!("{}{rest}", path.display()));
    }
    Store::restore(&path, &backup, &mut rng).expect("a free place");
    assert!(
        Store::restore(&path, &backup, &mut rng).is_err(),
        "never over a profile"
    );
    world.enter(ANN);
    world.settle();
    assert!(world.key_set(ANN) == before);
    let bob = &world.contacts(ANN)[0];
    assert_eq!(
        (bob.name.as_str(), bob.verified, bob.state),
        ("bobby", true, ContactState::Lost)
    );
    // A link of bob's, who knows nothing of all this.
    let link = world.invite(BOB);
    world.add(ANN, &link);
    world.settle();
    let bob = &world.contacts(ANN)[0];
    assert_eq!(
        (bob.name.as_str(), bob.verified, bob.state),
        ("bobby", true, ContactState::Ready)
    );
    world.send(BOB, ANN, "welcome back".into());
    world.settle();
    assert_eq!(world.texts(ANN), ["welcome back"]);
    assert_eq!(
        (world.contacts(ANN).len(), world.contacts(BOB).len()),
        (1, 1)
    );
}

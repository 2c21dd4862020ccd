//! People, links and messages over a relay, in a world with a virtual clock and without sockets.

use hullo_signalling::channel::{ChannelCommand, ChannelError, ContactState, Wish};
use hullo_signalling::link::{Link, LinkError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use world::{ANN, BOB, CAT, World};

mod bad_cases;
mod codes;
mod crash;
mod groups;
mod history;
mod letters;
mod people;
mod world;

#[test]
fn a_link_makes_two_contacts_and_messages_go_both_ways_in_order() {
    let mut world = World::new(1);
    world.befriend(ANN, BOB);
    for (from, to) in [(ANN, BOB), (BOB, ANN)] {
        assert_eq!(world.contacts(from)[0].state, ContactState::Ready);
        assert_eq!(world.contacts(from)[0].name, world.name(to));
        for number in 0..20 {
            world.send(from, to, format!("{number} from {from}"));
        }
    }
    world.settle();
    let expected = |from| {
        (0..20)
            .map(|number| format!("{number} from {from}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(world.texts(ANN), expected(BOB));
    assert_eq!(world.texts(BOB), expected(ANN));
    for person in [ANN, BOB] {
        assert_eq!(world.counts(person), Default::default());
        assert_eq!(world.delivered(person), 0, "nothing waits");
    }
}

#[test]
fn what_is_sent_while_the_other_is_away_waits_and_tells_its_age() {
    let mut world = World::new(2);
    world.befriend(ANN, BOB);
    world.leave(BOB);
    world.send(ANN, BOB, "are you there?".into());
    world.settle();
    world.wait(90);
    world.enter(BOB);
    world.settle();
    assert_eq!(world.texts(BOB), ["are you there?"]);
    let age = world.ages(BOB)[0].as_secs();
    assert!((89..=95).contains(&age), "{age} s");
}

#[test]
fn a_contact_can_be_made_while_the_inviter_is_away() {
    let mut world = World::new(3);
    let link = world.invite(ANN);
    world.leave(ANN);
    world.command(BOB, ChannelCommand::Add { link });
    world.settle();
    assert_eq!(world.contacts(BOB)[0].state, ContactState::Pending);
    assert_eq!(
        world.contacts(BOB)[0].name,
        "ann",
        "the link says who invites"
    );
    world.send(BOB, ANN, "hello".into());
    world.settle();
    world.enter(ANN);
    world.settle();
    assert_eq!(world.contacts(ANN)[0].state, ContactState::Ready);
    assert_eq!(world.contacts(BOB)[0].state, ContactState::Ready);
    assert_eq!(world.texts(ANN), ["hello"]);
}

#[test]
fn a_used_an_own_an_expired_and_a_broken_link_are_told_apart() {
    let mut world = World::new(4);
    let link = world.invite(ANN);
    let own = world.refusal(ANN, ChannelCommand::Add { link: link.clone() });
    assert!(matches!(own, (Wish::Add, ChannelError::OwnLink)));
    world.command(BOB, ChannelCommand::Add { link: link.clone() });
    world.settle();
    let again = world.refusal(BOB, ChannelCommand::Add { link: link.clone() });
    assert!(matches!(again, (Wish::Add, ChannelError::AlreadyContact { name }) if name == "ann"));
    let used = world.refusal(CAT, ChannelCommand::Add { link: link.clone() });
    assert!(
        matches!(used, (Wish::Add, ChannelError::LinkUsed)),
        "{}",
        used.1
    );
    assert!(world.contacts(CAT).is_empty(), "nothing of it is left");
    let cut = link[..link.len() - 9].to_owned();
    let cut = world.refusal(CAT, ChannelCommand::Add { link: cut });
    assert!(matches!(
        cut,
        (Wish::Add, ChannelError::Link(LinkError::Truncated))
    ));
    let fresh = world.invite(ANN);
    world.wait(8 * 24 * 60 * 60);
    let late = world.refusal(CAT, ChannelCommand::Add { link: fresh });
    assert!(matches!(
        late,
        (Wish::Add, ChannelError::Link(LinkError::Expired))
    ));
}

#[test]
fn without_a_server_and_with_a_dead_one_the_user_is_told_what_to_do() {
    let mut world = World::new(5);
    let none = world.refusal(ANN, ChannelCommand::Invite { server: None });
    assert!(matches!(none, (Wish::Invite, ChannelError::NoServer)));
    world.relay_up(false);
    let server = Some(world.url());
    let dead = world.refusal(ANN, ChannelCommand::Invite { server });
    assert!(
        matches!(&dead, (Wish::Invite, ChannelError::Unreachable { reason, .. }) if reason == "connection refused")
    );
    world.relay_up(true);
    world.befriend(ANN, BOB);
}

#[test]
fn a_relay_that_comes_and_goes_loses_nothing_and_keeps_order() {
    let mut world = World::new(6);
    world.befriend(ANN, BOB);
    for number in 0..30 {
        world.send(ANN, BOB, format!("{number}"));
        world.steps(7);
        if number % 5 == 2 {
            world.cut_all();
        }
        if number % 10 == 4 {
            world.relay_up(false);
            world.wait(3);
            world.relay_up(true);
        }
    }
    world.settle();
    assert_eq!(
        world.texts(BOB),
        (0..30).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    assert!(world.state_changes(ANN) > 0, "the program was told");
}

#[test]
fn a_queue_that_is_full_while_more_is_under_way_keeps_order() {
    for (seed, steps) in [(40, 250), (41, 331), (42, 600)] {
        let mut world = World::new(seed);
        world.befriend(ANN, BOB);
        world.leave(BOB);
        // The relay keeps 128.
        for number in 0..150 {
            world.send(ANN, BOB, format!("{number}"));
        }
        world.steps(steps);
        world.enter(BOB);
        world.settle();
        let expected: Vec<_> = (0..150).map(|number| number.to_string()).collect();
        assert_eq!(world.texts(BOB), expected, "seed {seed}");
        assert_eq!(world.counts(BOB).unopened, 0, "seed {seed}");
    }
}

#[test]
fn two_who_use_each_others_links_at_once_become_one_contact() {
    for seed in 10..16 {
        let mut world = World::new(seed);
        let (from_ann, from_bob) = (world.invite(ANN), world.invite(BOB));
        world.command(ANN, ChannelCommand::Add { link: from_bob });
        world.command(BOB, ChannelCommand::Add { link: from_ann });
        world.settle();
        for person in [ANN, BOB] {
            assert_eq!(world.contacts(person).len(), 1, "seed {seed}");
            assert_eq!(
                world.contacts(person)[0].state,
                ContactState::Ready,
                "seed {seed}"
            );
        }
        world.send(ANN, BOB, "ping".into());
        world.send(BOB, ANN, "pong".into());
        world.settle();
        assert_eq!(
            (world.texts(BOB), world.texts(ANN)),
            (vec!["ping".into()], vec!["pong".into()])
        );
    }
}

#[test]
fn a_second_contact_of_the_same_name_gets_a_number_and_a_removed_one_is_gone() {
    let mut world = World::new(7);
    world.command(CAT, ChannelCommand::SetName("bob".into()));
    world.befriend(ANN, BOB);
    world.befriend(ANN, CAT);
    let names: Vec<_> = world
        .contacts(ANN)
        .into_iter()
        .map(|contact| contact.name)
        .collect();
    assert_eq!(names, ["bob", "bob-2"]);
    let second = world.contacts(ANN)[1].id;
    world.command(ANN, ChannelCommand::RemoveContact(second));
    world.settle();
    assert_eq!(world.contacts(ANN).len(), 1);
    let gone = world.refusal(ANN, ChannelCommand::RemoveContact(second));
    assert!(matches!(gone, (Wish::Remove(_), ChannelError::NoContact)));
    world.send(ANN, BOB, "still here".into());
    world.settle();
    assert_eq!(world.texts(BOB), ["still here"]);
    let lost = world.refusal_of_send(CAT, ANN);
    assert!(
        matches!(lost, ChannelError::QueueLost { name } if name == "ann"),
        "its queue was deleted"
    );
}

#[test]
fn the_relay_sees_neither_names_nor_keys_nor_sizes() {
    let mut world = World::new(8);
    let names = [
        "Annabel of the wire",
        "Bobadil of the wire",
        "Catrina of the wire",
    ];
    for (person, name) in [ANN, BOB, CAT].into_iter().zip(names) {
        world.command(person, ChannelCommand::SetName(name.to_owned()));
    }
    // By a link, and by a code that is said aloud.
    let link = world.invite(ANN);
    world.add(BOB, &link);
    world.command(CAT, ChannelCommand::SetServer(world.url()));
    let code = world.invite_by_code(BOB);
    world.add(CAT, &code);
    assert_eq!(world.contacts(BOB).len(), 2, "both ways lead to a contact");
    let ann = world.contacts(BOB)[0].id;
    for length in [0, 1, 1000, 16_000] {
        let payload = b"whispered".repeat(length / 9 + 1)[..length].to_vec();
        let contact = ann;
        world.command(BOB, ChannelCommand::Send { contact, payload });
    }
    world.settle();
    let keys = [ANN, BOB, CAT].map(|person| world.key_set(person));
    let mut secrets: Vec<&[u8]> = keys.iter().flat_map(|keys| keys[..96].chunks(32)).collect();
    secrets.extend(names.map(str::as_bytes));
    secrets.extend([&b"whispered"[..], b"hullo:", link.as_bytes()]);
    secrets.extend(code.split('-').skip(1).map(str::as_bytes));
    let sent = world.sent_to_relay();
    let sizes: std::collections::BTreeSet<_> = sent
        .iter()
        .filter(|frame| frame[0] == 0x03)
        .map(Vec::len)
        .collect();
    assert_eq!(sizes.len(), 1, "every block has the same size");
    for frame in sent {
        for secret in &secrets {
            assert!(
                !frame.windows(secret.len()).any(|window| window == *secret),
                "{:?} went to the relay",
                String::from_utf8_lossy(secret)
            );
        }
    }
}

#[test]
fn a_link_with_a_key_of_somebody_known_is_refused() {
    let mut world = World::new(20);
    world.befriend(ANN, BOB);
    let impostor = world.with_the_group_key_of(BOB);
    let mut link = Link::from_text(&world.whole_link(CAT)).expect("a good link");
    link.key_set = *impostor.key_set();
    let text = link.to_text();
    let refused = world.refusal(ANN, ChannelCommand::Add { link: text.clone() });
    assert!(matches!(refused, (Wish::Add, ChannelError::Impostor { name }) if name == "bob"));
    let refused = world.refusal(BOB, ChannelCommand::Add { link: text });
    assert!(matches!(refused, (Wish::Add, ChannelError::Impostor { name }) if name == "you"));
}

#[test]
fn frames_of_the_right_shape_with_any_content_never_panic() {
    let mut world = World::new(21);
    world.befriend(ANN, BOB);
    let mut rng = ChaCha20Rng::seed_from_u64(21);
    for kind in 0..400 {
        // The lengths of the relay's frames, each kind among them.
        let length = [34, 5, 53, 6, 16_425, 25][kind % 6];
        let mut frame = vec![0; length];
        rng.fill_bytes(&mut frame);
        frame[0] = 0x80 + (kind % 6) as u8;
        // Small numbers, so that some answer what was asked.
        let number = frame[4] % 16;
        frame[1..5].copy_from_slice(&[0, 0, 0, number]);
        world.inject(ANN, &frame);
        world.settle();
    }
    world.send(BOB, ANN, "still here".into());
    world.settle();
    assert_eq!(world.texts(ANN), ["still here"]);
}

#[test]
fn garbage_from_a_relay_costs_the_connection_and_nothing_else() {
    let mut world = World::new(9);
    world.befriend(ANN, BOB);
    for garbage in [
        &b""[..],
        b"\x80",
        b"\x81\0\0\0\x63",
        &[0xff; 40],
        &[0x84; 16_425],
        &[0x80; 34],
    ] {
        world.inject(ANN, garbage);
        world.settle();
    }
    world.send(BOB, ANN, "after all that".into());
    world.settle();
    assert_eq!(world.texts(ANN), ["after all that"]);
}

//! Groups of two to five people, over a relay, in virtual time.

use hullo_proto::group::key::GroupCallKey;
use hullo_proto::group::wire::StartMessage;
use hullo_signalling::channel::{Channel, ChannelCommand, ChannelError, ChannelEvent, Wish};
use hullo_signalling::group::{
    Group, GroupCommand, GroupError, GroupEvent, GroupState, Member, Vouched,
};
use zeroize::Zeroizing;

use super::world::{ANN, BOB, CAT, DAN, EVE, World};

/// Long enough for an inbox that moved to be closed.
const LONG: u64 = 400;

/// Everybody is a contact of Ann, and Ann's group is called `hikers`.
fn world(seed: u64, people: usize) -> World {
    let mut world = World::with_people(seed, people);
    for other in 1..people {
        world.befriend(ANN, other);
    }
    world.command(ANN, new("hikers"));
    world.settle();
    world
}

fn new(name: &str) -> ChannelCommand {
    let name = name.to_owned();
    ChannelCommand::Group(GroupCommand::New { name, server: None })
}

fn groups(world: &World, person: usize) -> Vec<Group> {
    world.channel(person).groups().expect("a store that works")
}

fn group(world: &World, person: usize) -> Group {
    let mut groups = groups(world, person);
    assert_eq!(groups.len(), 1, "{}", world.name(person));
    groups.remove(0)
}

fn member(world: &World, person: usize, name: &str) -> Member {
    let mut members = group(world, person).members.into_iter();
    members
        .find(|member| member.name == name)
        .expect("a member")
}

/// Names of those who are in, in order of the alphabet.
fn names(world: &World, person: usize) -> Vec<String> {
    let members = group(world, person).members.into_iter();
    let mut names: Vec<_> = members
        .filter(|member| !member.is_invited)
        .map(|member| member.name)
        .collect();
    names.sort();
    names
}

fn add(world: &mut World, person: usize) {
    let (group, contact) = (group(world, ANN).number, world.contact(ANN, person));
    world.command(
        ANN,
        ChannelCommand::Group(GroupCommand::Add { group, contact }),
    );
}

fn remove(world: &mut World, name: &str) {
    let (group, member) = (group(world, ANN).number, member(world, ANN, name).number);
    world.command(
        ANN,
        ChannelCommand::Group(GroupCommand::Remove { group, member }),
    );
}

fn leave(world: &mut World, person: usize) {
    let group = group(world, person).number;
    world.command(person, ChannelCommand::Group(GroupCommand::Leave { group }));
}

/// A call with this key byte, announced by `person`; its bytes.
fn start(world: &mut World, person: usize, key: u8) -> Zeroizing<Vec<u8>> {
    let group = group(world, person);
    let message = StartMessage {
        protocol_version: 1,
        key: GroupCallKey::from_bytes([key; 32]),
        sfu_base_url: "https://relay.test:4433".to_owned(),
    };
    let start = message.encode(&group.id);
    let command = GroupCommand::StartCall {
        group: group.number,
        start: start.clone(),
    };
    world.command(person, ChannelCommand::Group(command));
    start
}

fn events(world: &World, person: usize) -> impl Iterator<Item = &GroupEvent> {
    world.taken(person).iter().filter_map(|event| match event {
        ChannelEvent::Group(event) => Some(event),
        _ => None,
    })
}

/// First bytes of the keys of calls this person was told of.
fn calls(world: &World, person: usize) -> Vec<u8> {
    let starts = events(world, person).filter_map(|event| match event {
        GroupEvent::CallStarted { start, .. } => {
            let (_, message) = StartMessage::decode(start).expect("a start");
            Some(message.key.as_bytes()[0])
        }
        _ => None,
    });
    starts.collect()
}

fn refusals(world: &World, person: usize) -> usize {
    events(world, person)
        .filter(|event| matches!(event, GroupEvent::Refused { .. }))
        .count()
}

/// All of these have one and the same list, and nothing was dropped on the way.
fn agree(world: &World, people: &[usize]) {
    let mut expected: Vec<_> = people.iter().map(|person| world.name(*person)).collect();
    expected.sort_unstable();
    let revision = group(world, ANN).revision;
    for person in people {
        let group = group(world, *person);
        assert_eq!(names(world, *person), expected, "{}", world.name(*person));
        assert!(group.state == GroupState::In && group.trouble.is_none());
        assert_eq!(group.revision, revision, "{}", world.name(*person));
        assert_eq!(refusals(world, *person), 0);
        assert_eq!(world.counts(*person).unopened, 0, "{}", world.name(*person));
    }
}

#[test]
fn a_group_grows_and_each_sees_who_vouches_for_whom() {
    let mut world = world(1, 4);
    for person in [BOB, CAT, DAN] {
        add(&mut world, person);
        world.settle();
    }
    agree(&world, &[ANN, BOB, CAT, DAN]);
    assert!(group(&world, ANN).is_ours && !group(&world, BOB).is_ours);
    assert_eq!(group(&world, BOB).name, "hikers");
    let vouched = |name| member(&world, BOB, name).vouched;
    assert_eq!(vouched("bob"), Vouched::Own);
    assert_eq!(vouched("ann"), Vouched::Contact);
    assert_eq!(vouched("cat"), Vouched::Group, "no contact of Bob's");
    assert!(member(&world, BOB, "ann").is_creator);
    let not_ours = ChannelCommand::Group(GroupCommand::Add {
        group: group(&world, BOB).number,
        contact: world.contact(BOB, ANN),
    });
    let (wish, error) = world.refusal(BOB, not_ours);
    assert!(matches!(wish, Wish::Group(Some(_))));
    assert!(
        matches!(error, ChannelError::Group(GroupError::NotOurs { creator }) if creator == "ann")
    );
}

#[test]
fn a_call_is_announced_to_every_member_and_to_those_added_while_it_runs() {
    let mut world = world(2, 4);
    add(&mut world, BOB);
    add(&mut world, CAT);
    world.settle();
    // Bob and Cat are not contacts of one another.
    let announced = start(&mut world, BOB, 7);
    world.settle();
    assert_eq!([calls(&world, ANN), calls(&world, CAT)], [[7], [7]]);
    add(&mut world, DAN);
    world.settle();
    assert_eq!(calls(&world, DAN), [7]);
    agree(&world, &[ANN, BOB, CAT, DAN]);
    // Over: told to nobody any more, at no start of a program.
    for person in [ANN, BOB, CAT, DAN] {
        let end = GroupCommand::EndCall {
            group: group(&world, person).number,
            start: announced.clone(),
        };
        world.command(person, ChannelCommand::Group(end));
        world.settle();
        world.leave(person);
        world.forget_taken(person);
        world.enter(person);
        world.settle();
        assert!(calls(&world, person).is_empty(), "{}", world.name(person));
    }
    start(&mut world, CAT, 8);
    world.leave(DAN);
    world.settle();
    assert_eq!(calls(&world, ANN), [8]);
    world.wait(60);
    world.enter(DAN);
    world.settle();
    assert_eq!(calls(&world, DAN), [8], "it waited at the relay");
    world.leave(DAN);
    world.forget_taken(DAN);
    world.enter(DAN);
    world.settle();
    assert_eq!(calls(&world, DAN), [8], "it still runs");
}

#[test]
fn the_removed_hear_nothing_after_and_can_write_to_nobody() {
    let mut world = world(3, 4);
    for person in [BOB, CAT, DAN] {
        add(&mut world, person);
    }
    world.settle();
    start(&mut world, ANN, 1);
    world.settle();
    remove(&mut world, "dan");
    world.settle();
    let told = events(&world, DAN).last().expect("told");
    assert!(matches!(told, GroupEvent::Removed { name, ended: false, .. } if name == "hikers"));
    assert!(groups(&world, DAN).is_empty());
    let forgotten = |person| {
        events(&world, person).any(|event| matches!(event, GroupEvent::CallsForgotten { .. }))
    };
    assert!(forgotten(ANN) && forgotten(BOB) && forgotten(CAT));
    world.wait(LONG);
    world.settle();
    world.forget_taken(DAN);
    for person in [ANN, BOB, CAT] {
        start(&mut world, person, 10 + person as u8);
        world.settle();
    }
    assert_eq!(events(&world, DAN).count(), 0, "nothing at all");
    assert_eq!(calls(&world, BOB), [1, 10, 12]);
    agree(&world, &[ANN, BOB, CAT]);
    // A program that starts again is not told of the call that ran with Dan.
    world.leave(BOB);
    world.forget_taken(BOB);
    world.enter(BOB);
    world.settle();
    assert_eq!(calls(&world, BOB), [10, 11, 12]);
    // And Dan can be added again.
    add(&mut world, DAN);
    world.settle();
    world.wait(LONG);
    agree(&world, &[ANN, BOB, CAT, DAN]);
    assert_eq!(calls(&world, DAN), [10, 11, 12]);
}

#[test]
fn a_call_of_somebody_who_has_not_heard_of_the_removal_is_not_taken_over() {
    let mut world = world(4, 4);
    for person in [BOB, CAT, DAN] {
        add(&mut world, person);
    }
    world.settle();
    world.leave(BOB);
    remove(&mut world, "dan");
    world.settle();
    // Bob's first act is to call; the record of the removal waits at the relay.
    world.enter(BOB);
    start(&mut world, BOB, 5);
    world.settle();
    for person in [ANN, CAT] {
        assert!(calls(&world, person).is_empty(), "Dan has its key");
        assert_eq!(refusals(&world, person), 1);
    }
    assert!(events(&world, BOB).any(|event| matches!(event, GroupEvent::CallsForgotten { .. })));
    start(&mut world, BOB, 6);
    world.settle();
    assert_eq!([calls(&world, ANN), calls(&world, CAT)], [[6], [6]]);
    assert!(!calls(&world, DAN).contains(&6));
}

#[test]
fn a_member_leaves_and_comes_back_and_the_creators_leaving_ends_the_group() {
    let mut world = world(5, 3);
    add(&mut world, BOB);
    add(&mut world, CAT);
    world.settle();
    world.leave(ANN);
    leave(&mut world, BOB);
    world.settle();
    assert!(groups(&world, BOB).is_empty());
    assert_eq!(
        names(&world, CAT),
        ["ann", "cat"],
        "at once, creator or not"
    );
    world.enter(ANN);
    world.settle();
    agree(&world, &[ANN, CAT]);
    start(&mut world, CAT, 3);
    world.settle();
    assert!(calls(&world, BOB).is_empty());
    add(&mut world, BOB);
    world.settle();
    world.wait(LONG);
    agree(&world, &[ANN, BOB, CAT]);
    leave(&mut world, ANN);
    world.settle();
    for person in [ANN, BOB, CAT] {
        assert!(groups(&world, person).is_empty());
    }
    for person in [BOB, CAT] {
        let told = events(&world, person).last().expect("told");
        assert!(matches!(told, GroupEvent::Removed { ended: true, .. }));
    }
}

#[test]
fn two_creators_at_once_make_two_groups() {
    let mut world = World::with_people(6, 2);
    world.befriend(ANN, BOB);
    world.command(ANN, new("hikers"));
    world.command(BOB, new("hikers"));
    world.settle();
    for (creator, other) in [(ANN, BOB), (BOB, ANN)] {
        let (group, contact) = (group_of(&world, creator), world.contact(creator, other));
        let add = GroupCommand::Add { group, contact };
        world.command(creator, ChannelCommand::Group(add));
    }
    world.settle();
    for person in [ANN, BOB] {
        let groups = groups(&world, person);
        let mut names: Vec<_> = groups.iter().map(|group| &group.name[..]).collect();
        names.sort_unstable();
        assert_eq!(names, ["hikers", "hikers-2"]);
        assert!(groups.iter().all(|group| group.members.len() == 2));
        assert_eq!(world.counts(person).unopened, 0);
    }
}

/// The one this person made.
fn group_of(world: &World, person: usize) -> hullo_signalling::group::GroupNumber {
    let mut groups = groups(world, person).into_iter();
    groups.find(|group| group.is_ours).expect("made").number
}

#[test]
fn an_invitation_can_be_withdrawn_and_one_who_is_away_comes_in_later() {
    let mut world = world(7, 3);
    world.leave(BOB);
    add(&mut world, BOB);
    world.settle();
    assert!(member(&world, ANN, "bob").is_invited);
    remove(&mut world, "bob");
    world.leave(CAT);
    add(&mut world, CAT);
    world.settle();
    world.enter(BOB);
    world.enter(CAT);
    world.settle();
    assert!(groups(&world, BOB).is_empty());
    agree(&world, &[ANN, CAT]);
}

#[test]
fn five_people_over_a_line_that_breaks_and_repeats_agree_in_the_end() {
    for seed in 20..24 {
        let mut world = world(seed, 5);
        for (round, person) in [BOB, CAT, DAN, EVE].into_iter().enumerate() {
            add(&mut world, person);
            for _ in 0..6 {
                world.steps(5 + seed as usize % 7);
                world.repeat_arrivals();
            }
            if round % 2 == 1 {
                world.cut_all();
            }
        }
        world.settle();
        start(&mut world, EVE, 9);
        world.steps(11);
        world.relay_up(false);
        world.wait(3);
        world.relay_up(true);
        world.settle();
        remove(&mut world, "cat");
        world.steps(9);
        world.cut_all();
        world.settle();
        world.wait(LONG);
        agree(&world, &[ANN, BOB, DAN, EVE]);
        assert!(groups(&world, CAT).is_empty(), "seed {seed}");
        for person in [ANN, BOB, DAN] {
            assert_eq!(calls(&world, person), [9], "once each, seed {seed}");
        }
    }
}

/// Three people, one added, one call, one removal; `crash`: who dies at which step. The number of steps.
fn story(crash: Option<(usize, usize)>) -> usize {
    let mut world = world(30, 3);
    let mut steps = 0;
    let mut run = |world: &mut World| {
        loop {
            if let Some((person, at)) = crash
                && at == steps
            {
                world.leave(person);
                world.enter(person);
            }
            steps += 1;
            if !world.step() {
                return;
            }
        }
    };
    add(&mut world, BOB);
    add(&mut world, CAT);
    run(&mut world);
    agree(&world, &[ANN, BOB, CAT]);
    start(&mut world, BOB, 4);
    run(&mut world);
    for person in [ANN, CAT] {
        let calls = calls(&world, person);
        assert!(calls.iter().all(|key| *key == 4), "{crash:?}");
        // Told again by a program that started again while it ran.
        assert!((1..=2).contains(&calls.len()), "{crash:?}");
    }
    remove(&mut world, "cat");
    run(&mut world);
    assert!(groups(&world, CAT).is_empty(), "{crash:?}");
    world.forget_taken(CAT);
    start(&mut world, ANN, 5);
    run(&mut world);
    assert!(calls(&world, BOB).contains(&5), "{crash:?}");
    assert!(calls(&world, CAT).is_empty(), "{crash:?}");
    agree(&world, &[ANN, BOB]);
    steps
}

#[test]
fn a_program_that_dies_at_any_of_a_sample_of_steps_forks_no_ratchet_and_loses_nothing() {
    let steps = story(None);
    assert!(steps > 200, "the story has {steps} steps");
    // Every so often, other steps for each person: all together about an eighth of them.
    for person in [ANN, BOB, CAT] {
        for at in (person * 5..steps).step_by(23) {
            story(Some((person, at)));
        }
    }
}

#[test]
fn the_relay_sees_no_name_no_key_and_one_size() {
    let mut world = world(8, 3);
    add(&mut world, BOB);
    add(&mut world, CAT);
    world.settle();
    start(&mut world, CAT, 0xa7);
    world.settle();
    let secrets: Vec<_> = [ANN, BOB, CAT].map(|person| world.key_set(person)).into();
    let mut sizes = std::collections::BTreeSet::new();
    for frame in world.sent_to_relay() {
        if frame[0] == 0x03 {
            sizes.insert(frame.len());
        }
        let holds = |secret: &[u8]| frame.windows(secret.len()).any(|window| window == secret);
        assert!(!holds(b"hikers") && !holds(&[0xa7; 16]));
        for keys in &secrets {
            assert!(keys[..96].chunks(32).all(|key| !holds(key)));
        }
    }
    assert_eq!(sizes.len(), 1, "every block has the same size");
}

//! Contacts made by a code said aloud.

use hullo_signalling::channel::{ChannelCommand, CodeEnd, ContactState};

use super::world::{ANN, BOB, CAT, World};

#[test]
fn a_spoken_code_makes_two_contacts_who_can_write() {
    for seed in 30..34 {
        let mut world = World::new(seed);
        world.command(BOB, ChannelCommand::SetServer(world.url()));
        let code = world.invite_by_code(ANN);
        world.add(BOB, &code.replace('-', " "));
        for person in [ANN, BOB] {
            assert_eq!(
                world.contacts(person).len(),
                1,
                "seed {seed}: {:?}",
                world.failures(person)
            );
            assert_eq!(world.contacts(person)[0].state, ContactState::Ready);
        }
        assert_eq!(world.code_end(ANN), Some(CodeEnd::Used));
        world.send(BOB, ANN, "it was easy".into());
        world.settle();
        assert_eq!(world.texts(ANN), ["it was easy"]);
        // The link is the same invitation.
        let link = world.link(ANN).expect("with the code");
        world.add(CAT, &link);
        assert_eq!(
            world.failures(CAT),
            ["this link was used before: each link is for one person once, ask for a new one"]
        );
    }
}

#[test]
fn wrong_words_kill_the_code_and_both_are_told() {
    let mut world = World::new(35);
    world.command(CAT, ChannelCommand::SetServer(world.url()));
    world.command(BOB, ChannelCommand::SetServer(world.url()));
    let code = world.invite_by_code(ANN);
    let number = &code[..4];
    let wrong = if code.contains("velvet") {
        "orbit-zoo"
    } else {
        "orbit-velvet"
    };
    world.add(CAT, &format!("{number}-{wrong}"));
    assert_eq!(
        world.failures(CAT),
        ["the words of the code are wrong: it is dead now, ask for a new one"]
    );
    assert_eq!(world.code_end(ANN), Some(CodeEnd::WrongWords));
    // The right words come too late, and no name went to anybody.
    world.add(BOB, &code);
    assert!(
        world.failures(BOB)[0].contains("nobody waits with this code"),
        "{:?}",
        world.failures(BOB)
    );
    for person in [ANN, BOB, CAT] {
        assert!(world.contacts(person).is_empty());
    }
    // The next one works.
    let code = world.invite_by_code(ANN);
    world.add(BOB, &code);
    assert_eq!(world.contacts(BOB).len(), 1);
}

#[test]
fn a_code_lives_ten_minutes_and_no_longer_than_its_program() {
    let mut world = World::new(36);
    world.command(BOB, ChannelCommand::SetServer(world.url()));
    let code = world.invite_by_code(ANN);
    world.wait(601);
    assert_eq!(world.code_end(ANN), Some(CodeEnd::Expired));
    world.add(BOB, &code);
    assert!(
        world.failures(BOB)[0].contains("nobody waits"),
        "{:?}",
        world.failures(BOB)
    );
    let code = world.invite_by_code(ANN);
    world.leave(ANN);
    world.add(BOB, &code);
    world.wait(60);
    let words = world.failures(BOB).pop().expect("an answer");
    assert!(words.contains("does not answer any more"), "{words}");
    // Its queue is deleted with the next start, and a newer code replaces the older one.
    world.enter(ANN);
    world.settle();
    world.invite_by_code(ANN);
    world.invite_by_code(ANN);
    assert_eq!(world.code_end(ANN), Some(CodeEnd::Replaced));
}

#[test]
fn a_link_used_by_another_way_ends_its_code() {
    let mut world = World::new(37);
    world.invite_by_code(ANN);
    let link = world.link(ANN).expect("with the code");
    world.add(BOB, &link);
    assert_eq!(world.contacts(ANN).len(), 1);
    assert_eq!(world.code_end(ANN), Some(CodeEnd::Used));
}

#[test]
fn connections_that_break_in_the_middle_do_not_break_a_code() {
    for cut in (2..60).step_by(3) {
        let mut world = World::new(38);
        world.command(BOB, ChannelCommand::SetServer(world.url()));
        let code = world.invite_by_code(ANN);
        world.command(BOB, ChannelCommand::Add { link: code });
        world.steps(cut);
        world.cut_all();
        world.settle_within(200);
        // A server that is not reached at all is said at once, and so is a claim whose answer was lost: it is spent.
        let failed = world.failures(BOB);
        let said = ["nobody waits", "cannot be reached"];
        let is_said = (failed.iter()).any(|words| said.iter().any(|said| words.contains(said)));
        assert!(
            is_said || world.contacts(BOB).len() == 1,
            "cut at {cut}: {failed:?}"
        );
    }
}

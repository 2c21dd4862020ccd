//! Programs that die at every single step of making a contact and exchanging messages.

use hullo_signalling::channel::{ChannelCommand, ContactState};

use super::world::{ANN, BOB, World};

/// One whole story. `crash` tells who dies when; steps are counted over the whole story.
/// Returns how many steps it took.
fn story(crash: Option<(usize, usize)>) -> usize {
    let mut world = World::with_people(77, 2);
    let mut steps = 0;
    let mut run = |world: &mut World, done: &dyn Fn(&World) -> bool| {
        loop {
            if crash.is_some_and(|(_, at)| at == steps)
                && let Some((person, _)) = crash
            {
                world.leave(person);
                world.enter(person);
            }
            steps += 1;
            // A user looks at what happened only when nothing moves any more.
            if !world.step() {
                return done(world);
            }
        }
    };
    // A person whose program died before an answer came does the same again, as people do.
    let server = Some(world.url());
    world.command(
        ANN,
        ChannelCommand::Invite {
            server: server.clone(),
        },
    );
    if !run(&mut world, &|world| world.link(ANN).is_some()) {
        world.command(ANN, ChannelCommand::Invite { server });
        assert!(
            run(&mut world, &|world| world.link(ANN).is_some()),
            "a second try works"
        );
    }
    let link = world.link(ANN).expect("just made");
    world.command(BOB, ChannelCommand::Add { link: link.clone() });
    if !run(&mut world, &|world| !world.contacts(BOB).is_empty()) {
        world.command(BOB, ChannelCommand::Add { link });
        assert!(
            run(&mut world, &|world| !world.contacts(BOB).is_empty()),
            "a second try works"
        );
    }
    for person in [ANN, BOB] {
        assert!(world.is_here(person));
        assert_eq!(world.contacts(person).len(), 1);
        assert_eq!(world.contacts(person)[0].state, ContactState::Ready);
    }
    for number in 0..3 {
        world.send(ANN, BOB, format!("ann {number}"));
        world.send(BOB, ANN, format!("bob {number}"));
    }
    run(&mut world, &|_| true);
    assert_eq!(world.texts(BOB), ["ann 0", "ann 1", "ann 2"], "{crash:?}");
    assert_eq!(world.texts(ANN), ["bob 0", "bob 1", "bob 2"], "{crash:?}");
    for person in [ANN, BOB] {
        let counts = world.counts(person);
        assert_eq!(
            (counts.unopened, counts.missing),
            (0, 0),
            "no ratchet forked: {crash:?}"
        );
    }
    steps
}

fn dies_at_every_step(person: usize) {
    let steps = story(None);
    assert!(steps > 100, "the story has {steps} steps");
    for at in 0..steps {
        story(Some((person, at)));
    }
}

#[test]
fn an_inviter_who_dies_at_whatever_step_loses_nothing_and_sees_nothing_twice() {
    dies_at_every_step(ANN);
}

#[test]
fn a_joiner_who_dies_at_whatever_step_loses_nothing_and_sees_nothing_twice() {
    dies_at_every_step(BOB);
}

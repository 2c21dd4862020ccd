//! How long it takes from the acceptance of a call until both hear and see each other, over a relay that is a way off.

use std::time::Duration;

use hullo::call::engine::Input;
use hullo_proto::call::{CallState, Media};
use hullo_tests::world::{Link, World};

const CALLER: usize = 0;
const CALLEE: usize = 1;

/// From its own acceptance (the callee) or from when it heard of it (the caller): first sound and first picture.
#[derive(Debug)]
struct Served {
    sound: Duration,
    picture: Duration,
}

/// `line` between the two and `relay` from each to the relay: one way. `patience`: how long the callee lets it ring.
fn set_up(seed: u64, line: Duration, relay: Duration, patience: Duration) -> [Served; 2] {
    let link = Link {
        delay: line,
        ..Link::default()
    };
    let mut world = World::with_relay(seed, link, Media::Video, relay);
    world.drive(patience);
    let mut begun = [None, Some(world.elapsed())];
    let mut pictures = [None; 2];
    world.input(CALLEE, Input::Accept(Media::Video));
    world.drive_until(Duration::from_secs(5), "sound and pictures", |world| {
        let now = world.elapsed();
        if world.people[CALLER].states.contains(&CallState::Connecting) {
            begun[CALLER].get_or_insert(now);
        }
        for (person, at) in world.people.iter().zip(&mut pictures) {
            if person.pictures > 0 {
                at.get_or_insert(now);
            }
        }
        world.people.iter().all(|person| person.is_served())
    });
    [CALLER, CALLEE].map(|index| {
        let begun = begun[index].expect("it was accepted");
        Served {
            sound: world.people[index].heard_at[0] - begun,
            picture: pictures[index].expect("it was seen") - begun,
        }
    })
}

fn judge(seed: u64, person: &Served, sound_ms: u64, picture_ms: u64) {
    let words = format!("seed {seed}: {person:?}");
    assert!(person.sound <= Duration::from_millis(sound_ms), "{words}");
    let picture = Duration::from_millis(picture_ms);
    assert!(person.picture <= picture, "{words}");
}

#[test]
fn sound_and_pictures_come_a_few_round_trips_after_the_acceptance() {
    let ms = Duration::from_millis;
    for (seed, patience_ms) in [(1, 0), (2, 0), (3, 3_000), (4, 3_000)] {
        let [caller, callee] = set_up(seed, ms(50), ms(25), ms(patience_ms));
        // Offer and answer over the relay take 100 ms, ICE half a round trip more than the answer, DTLS one.
        judge(seed, &callee, 380, 460);
        judge(seed, &caller, 390, 490);
    }
}

#[test]
fn next_to_the_relay_sound_and_pictures_come_at_once() {
    let ms = Duration::from_millis;
    for (seed, patience_ms) in [(5, 0), (6, 3_000)] {
        let [caller, callee] = set_up(seed, ms(0), ms(15), ms(patience_ms));
        println!("{caller:?} {callee:?}");
        judge(seed, &callee, 200, 200);
        judge(seed, &caller, 200, 200);
    }
}

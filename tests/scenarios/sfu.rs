//! Group calls through the SFU in virtual time: real sessions, real machines, a seeded network.

use std::time::Duration;

use hullo_tests::group_media::{Line, World};

#[test]
fn two_people_hear_and_see_each_other_through_the_sfu() {
    let line = Line {
        delay: Duration::from_millis(15),
        ..Line::default()
    };
    let mut world = World::new(1, 2, |_| line);
    world.join(0);
    world.join(1);
    world.settle(Duration::from_secs(2));
    assert!(world.rosters_agree());
    let (sound, pictures) = world.measure(Duration::from_secs(2));
    assert!(sound >= 98 && pictures >= 98, "{sound} % of the sound, {pictures} % of the pictures");
}

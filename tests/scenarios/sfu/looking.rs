//! Who looks decides what is encoded and sent: wanted layers, from the viewer's screen through the server to the encoder.

use std::time::Duration;

use hullo_proto::group::group_call::Input;
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::wire::{Device, View};
use hullo_tests::group_media::{Line, RATE_FPS, World};

/// Long enough for a wish to reach the sender, and for what was on its way to arrive.
const TOLD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(2);

fn view(width: u32) -> Option<View> {
    Some(View {
        width,
        height: width * 9 / 16,
        fps: RATE_FPS,
    })
}

/// Three people with real encoders; the first shares a screen as well, and all look at all.
fn three_people() -> (World, ParticipantId) {
    let line = Line {
        delay: Duration::from_millis(15),
        ..Line::default()
    };
    let mut world = World::new(6, 3, |_| line);
    (0..3).for_each(|index| world.join(index));
    world.open_cameras();
    world.settle(Duration::from_secs(2));
    world.input(0, Input::Capture(Device::Screen, true));
    world.run(LOOK);
    assert!(world.rosters_agree());
    let by = world.people[0].seats[0].id;
    (world, by)
}

/// Frames that the first one encoded and sent so far: low, middle and high layer of the camera, and the screen.
fn sent(world: &World) -> [u64; 4] {
    world.people[0].seats[0].frames_sent
}

/// Pictures of camera and screen that came of the first to the second and third.
fn came(world: &World, by: ParticipantId) -> [(u64, u64); 2] {
    [1, 2].map(|viewer: usize| {
        let heard = world.people[viewer].seats[0].heard.get(&by);
        heard.map_or((0, 0), |heard| (heard.pictures, heard.screens))
    })
}

#[test]
fn nobody_encodes_or_is_sent_a_picture_that_nobody_looks_at() {
    let (mut world, by) = three_people();
    let before = sent(&world);
    assert!(
        before[..3].iter().sum::<u64>() > 0 && before[3] > 0,
        "{before:?}"
    );
    // All look away: at another page, at a menu, or nowhere.
    for viewer in [1, 2] {
        world.input(viewer, Input::ViewCamera(by, None));
        world.input(viewer, Input::ViewScreen(by, None));
    }
    world.run(TOLD);
    let wanted = &world.people[0].seats[0].wanted;
    assert_eq!((wanted.camera, wanted.screen), ([false; 3], None));
    let (encoded, shown) = (sent(&world), came(&world, by));
    world.run(LOOK);
    assert_eq!(sent(&world), encoded, "encoded for nobody");
    assert_eq!(came(&world, by), shown, "sent to nobody");
    // One looks at the screen alone, and gets that alone; the other still nothing.
    world.input(2, Input::ViewScreen(by, view(320)));
    world.run(TOLD);
    let (encoded, shown) = (sent(&world), came(&world, by));
    world.run(LOOK);
    let (now, there) = (sent(&world), came(&world, by));
    assert_eq!(now[..3], encoded[..3], "the camera, which nobody looks at");
    assert!(now[3] >= encoded[3] + 20, "{now:?} after {encoded:?}");
    assert_eq!(there[0], shown[0], "who looks at nothing is sent nothing");
    assert_eq!(there[1].0, shown[1].0);
    assert!(there[1].1 >= shown[1].1 + 20, "{there:?} after {shown:?}");
    // Sound goes on all the while.
    let quality = world.measure(LOOK);
    assert!(quality.sound_least >= 98, "{quality:?}");
}

#[test]
fn a_small_tile_takes_no_large_layer() {
    let (mut world, by) = three_people();
    // A thumbnail in a grid, and nobody else looks.
    world.input(1, Input::ViewCamera(by, view(80)));
    world.input(2, Input::ViewCamera(by, None));
    world.run(TOLD);
    let small = sent(&world);
    world.run(LOOK);
    let now = sent(&world);
    let layers = |now: [u64; 4], then: [u64; 4]| -> Vec<bool> {
        now[..3]
            .iter()
            .zip(&then[..3])
            .map(|(now, then)| now > then)
            .collect()
    };
    assert_eq!(
        layers(now, small)
            .iter()
            .filter(|is_sent| **is_sent)
            .count(),
        1,
        "one layer serves one small tile: {now:?} after {small:?}"
    );
    let width = world.people[0].seats[0].wanted.camera_view.width;
    assert!(width <= 80, "{width} pixels asked for");
    // The other one makes it large: it gets more than the thumbnail, and the thumbnail stays.
    world.input(2, Input::ViewCamera(by, view(320)));
    world.run(Duration::from_secs(3));
    let shown = &world.people[2].seats[0].screen.shown[&by];
    assert_eq!(shown.last().map(|(_, across)| *across), Some(320));
    // It goes away again: the large layer is not encoded any more.
    world.input(2, Input::ViewCamera(by, None));
    world.run(TOLD);
    let small = sent(&world);
    world.run(LOOK);
    let layers = layers(sent(&world), small);
    assert_eq!(
        layers.iter().filter(|is_sent| **is_sent).count(),
        1,
        "{layers:?}"
    );
    let width = world.people[0].seats[0].wanted.camera_view.width;
    assert!(width <= 80, "{width} pixels are still asked for");
}

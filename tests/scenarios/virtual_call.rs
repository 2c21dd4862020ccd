//! A whole one-to-one call in virtual time: real codecs, ciphers and sessions, a seeded network, no sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hullo::call::engine::Input;
use hullo::call::side::SideState;
use hullo_media::session::Track;
use hullo_proto::call::{CallState, EndReason, Media, Message};
use hullo_tests::world::{Link, World};

const CALLER: usize = 0;
const CALLEE: usize = 1;

fn connected(seed: u64, link: Link) -> World {
    let mut world = World::new(seed, link, Media::Video);
    world.drive_until(Duration::from_secs(2), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.input(CALLEE, Input::Accept(Media::Video));
    world.drive_until(
        Duration::from_secs(10),
        "sound and pictures both ways",
        |world| world.people.iter().all(|person| person.is_served()),
    );
    world
}

fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

#[test]
fn a_call_connects_and_plays_on_a_clean_link() {
    let mut world = connected(
        1,
        Link {
            delay: Duration::from_millis(5),
            ..Link::default()
        },
    );
    world.drive(Duration::from_secs(5));
    for person in &world.people {
        assert!(person.pictures > 140, "{} pictures in 5 s", person.pictures);
        assert!(
            person.blocks_played > 230,
            "{} blocks in 5 s",
            person.blocks_played
        );
        assert!(person.energy > 1.0, "the beep is heard");
        assert_eq!(person.engine.undecryptable(), 0);
        assert!(percentile(&person.card_delays_ms, 0.95) < 60.0);
    }
}

#[test]
fn a_call_connects_and_plays_under_loss_delay_and_jitter() {
    for seed in 1..=3 {
        let link = Link {
            delay: Duration::from_millis(100),
            jitter: Duration::from_millis(30),
            loss: 0.05,
            ..Link::default()
        };
        let mut world = connected(seed, link);
        let before = world
            .people
            .each_ref()
            .map(|person| (person.pictures, person.blocks_played));
        world.drive(Duration::from_secs(10));
        for (person, (pictures, blocks)) in world.people.iter().zip(before) {
            let (pictures, blocks) = (person.pictures - pictures, person.blocks_played - blocks);
            assert!(pictures > 150, "seed {seed}: {pictures} of 300 pictures");
            assert!(blocks > 400, "seed {seed}: {blocks} of 500 blocks");
            // A key frame whose parameter sets alone were lost does not open: its clear part is not what was sealed.
            assert!(person.engine.undecryptable() <= 5, "seed {seed}");
            assert!(!person.is_ended(), "seed {seed}");
        }
    }
}

#[test]
fn an_altered_byte_in_a_sealed_frame_costs_that_frame() {
    let mut world = connected(
        2,
        Link {
            delay: Duration::from_millis(10),
            ..Link::default()
        },
    );
    let altered = Arc::new(Mutex::new(0_u64));
    let count = Arc::clone(&altered);
    let mut frame = 0_usize;
    world.people[CALLEE]
        .engine
        .set_path(Box::new(move |track, bytes| {
            frame += 1;
            let mut bytes = bytes.to_vec();
            if frame.is_multiple_of(20) {
                let at = (frame * 31) % bytes.len();
                bytes[at] ^= 0x10;
                *count.lock().expect("no panic") += 1;
            }
            vec![(track, bytes)]
        }));
    let before = (
        world.people[CALLEE].pictures,
        world.people[CALLEE].blocks_played,
    );
    world.drive(Duration::from_secs(5));
    let callee = &world.people[CALLEE];
    let altered = *altered.lock().expect("no panic");
    assert!(altered > 10, "{altered} frames altered");
    assert_eq!(
        callee.engine.undecryptable(),
        altered,
        "each one dropped and counted"
    );
    assert!(
        callee.pictures > before.0 + 60 && callee.blocks_played > before.1 + 200,
        "the call goes on"
    );
    assert_eq!(world.people[CALLER].engine.undecryptable(), 0);
}

#[test]
fn a_replayed_frame_is_refused() {
    let mut world = connected(3, Link::default());
    let mut first = None;
    world.people[CALLEE]
        .engine
        .set_path(Box::new(move |track, bytes| {
            let old = first.get_or_insert_with(|| (track, bytes.to_vec())).clone();
            vec![
                (track, bytes.to_vec()),
                old.clone(),
                (track, bytes.to_vec()),
            ]
        }));
    let blocks = world.people[CALLEE].blocks_played;
    world.drive(Duration::from_secs(2));
    let callee = &world.people[CALLEE];
    assert!(
        callee.engine.replayed() > 200,
        "{} refused",
        callee.engine.replayed()
    );
    assert!(
        callee.blocks_played - blocks <= 101,
        "nothing is heard twice"
    );
}

#[test]
fn a_frame_moved_to_another_track_is_refused() {
    let mut world = connected(4, Link::default());
    world.people[CALLEE]
        .engine
        .set_path(Box::new(|track, bytes| {
            let other = if track == Track::Audio {
                Track::Video
            } else {
                Track::Audio
            };
            vec![(other, bytes.to_vec())]
        }));
    // Pictures that came before wait for their sound.
    world.drive(hullo_media::lip_sync::HOLD_MAX);
    let before = (
        world.people[CALLEE].pictures,
        world.people[CALLEE].engine.undecryptable(),
    );
    world.drive(Duration::from_secs(1));
    let callee = &world.people[CALLEE];
    assert_eq!(callee.pictures, before.0, "no picture from sound");
    assert!(
        callee.engine.undecryptable() >= before.1 + 50,
        "each one counted"
    );
}

#[test]
fn a_frame_reflected_to_its_sender_is_refused() {
    let mut world = connected(5, Link::default());
    let caught = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&caught);
    world.people[CALLEE]
        .engine
        .set_path(Box::new(move |track, bytes| {
            keep.lock().expect("no panic").push((track, bytes.to_vec()));
            vec![(track, bytes.to_vec())]
        }));
    let mut reflected = 0_u64;
    let counter = Arc::new(Mutex::new(0_u64));
    let count = Arc::clone(&counter);
    world.people[CALLER]
        .engine
        .set_path(Box::new(move |track, bytes| {
            let mut frames = vec![(track, bytes.to_vec())];
            frames.append(&mut caught.lock().expect("no panic"));
            reflected += frames.len() as u64 - 1;
            *count.lock().expect("no panic") = reflected;
            frames
        }));
    let pictures = world.people[CALLER].pictures;
    world.drive(Duration::from_secs(2));
    let reflected = *counter.lock().expect("no panic");
    assert!(reflected > 100, "{reflected} frames came back");
    // Their counters are those of frames that the caller has opened already, or they are no genuine frames to it.
    let engine = &world.people[CALLER].engine;
    assert_eq!(
        engine.undecryptable() + engine.replayed(),
        reflected,
        "none of them opens"
    );
    assert!(
        world.people[CALLER].pictures - pictures <= 62,
        "nothing of it is shown"
    );
    assert!(!world.people[CALLER].is_ended());
}

#[test]
fn mute_and_camera_off_reach_the_other_side_within_a_second() {
    let link = Link {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(20),
        loss: 0.02,
        ..Link::default()
    };
    let mut world = connected(6, link);
    let quiet = SideState {
        muted: true,
        camera: false,
        ..SideState::default()
    };
    world.input(CALLER, Input::Own(quiet));
    world.drive_until(Duration::from_secs(1), "news of the switches", |world| {
        world.people[CALLEE]
            .far
            .is_some_and(|far| far.muted && !far.camera)
    });
    world.input(
        CALLER,
        Input::Own(SideState {
            camera: true,
            ..SideState::default()
        }),
    );
    let pictures = world.people[CALLEE].pictures;
    world.drive_until(Duration::from_secs(2), "pictures again", |world| {
        world.people[CALLEE].pictures > pictures
    });
}

#[test]
fn hanging_up_ends_both_sides_with_the_right_words() {
    let mut world = connected(7, Link::default());
    world.input(CALLER, Input::HangUp);
    world.drive_until(Duration::from_secs(1), "the end", |world| {
        world.people.iter().all(|person| person.is_ended())
    });
    assert_eq!(
        world.people[CALLER].states.last(),
        Some(&CallState::Ended(EndReason::HungUp))
    );
    assert_eq!(
        world.people[CALLEE].states.last(),
        Some(&CallState::Ended(EndReason::FarHungUp))
    );
}

#[test]
fn a_relay_that_goes_away_does_not_end_the_call_and_hanging_up_still_works() {
    let mut world = connected(
        8,
        Link {
            delay: Duration::from_millis(20),
            ..Link::default()
        },
    );
    world.relay_down = true;
    let pictures = world.people[CALLEE].pictures;
    world.drive(Duration::from_secs(5));
    assert!(world.people[CALLEE].pictures > pictures + 140);
    world.input(CALLER, Input::HangUp);
    world.drive_until(Duration::from_secs(3), "the end", |world| {
        world.people[CALLEE].is_ended()
    });
    assert_eq!(
        world.people[CALLEE].states.last(),
        Some(&CallState::Ended(EndReason::FarHungUp))
    );
}

#[test]
fn a_far_side_that_is_gone_ends_the_call_after_the_silence() {
    let mut world = connected(9, Link::default());
    world.relay_down = true;
    world.set_link(Link {
        loss: 1.0,
        ..Link::default()
    });
    world.drive(Duration::from_secs(15));
    assert!(!world.people[CALLER].is_ended(), "a tunnel is no end");
    world.drive_until(Duration::from_secs(40), "the end", |world| {
        world.people[CALLER].is_ended()
    });
    assert_eq!(
        world.people[CALLER].states.last(),
        Some(&CallState::Ended(EndReason::Lost))
    );
}

#[test]
fn silence_that_passes_leaves_the_call_standing() {
    let link = Link {
        delay: Duration::from_millis(10),
        ..Link::default()
    };
    let mut world = connected(10, link);
    world.set_link(Link {
        loss: 1.0,
        ..Link::default()
    });
    world.drive(Duration::from_secs(8));
    world.set_link(link);
    let blocks = world.people[CALLEE].blocks_played;
    world.drive_until(Duration::from_secs(10), "sound again", |world| {
        world.people[CALLEE].blocks_played > blocks + 50
    });
    assert!(!world.people[CALLER].is_ended());
}

#[test]
fn garbage_to_the_media_port_is_dropped() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut world = connected(11, Link::default());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(11);
    let stranger = "10.6.6.6:666".parse().expect("address");
    let friend = "10.0.0.1:5000".parse().expect("address");
    let own = "10.0.0.2:5000".parse().expect("address");
    for round in 0..2_000 {
        let mut bytes = vec![0; rng.random_range(0..1_500)];
        rng.fill(&mut bytes[..]);
        if let (0, Some(first)) = (round % 3, bytes.first_mut()) {
            // What looks like STUN, DTLS and RTP gets further than noise.
            *first = [0, 22, 128][rng.random_range(0..3)];
        }
        let source = if round % 2 == 0 { stranger } else { friend };
        world.input(
            CALLEE,
            Input::Datagram {
                source,
                destination: own,
                bytes: &bytes,
            },
        );
    }
    let blocks = world.people[CALLEE].blocks_played;
    world.drive(Duration::from_secs(2));
    assert!(
        world.people[CALLEE].blocks_played > blocks + 90,
        "the call goes on"
    );
    assert_eq!(
        world.people[CALLEE].engine.undecryptable(),
        0,
        "nothing of it reaches the ciphers"
    );
}

/// Rings, lets the callee accept, and changes the description of its offer on the way.
fn offer_changed(seed: u64, change: impl Fn(&str) -> String + 'static) -> World {
    let mut world = World::new(seed, Link::default(), Media::Video);
    world.drive_until(Duration::from_secs(2), "ringing", |world| {
        world.people[CALLER].states.contains(&CallState::Ringing)
    });
    world.liar = Some(Box::new(move |message| {
        if let Message::Offer(offer) = message {
            offer.sdp = change(&offer.sdp);
        }
    }));
    world.input(CALLEE, Input::Accept(Media::Video));
    world
}

#[test]
fn a_description_that_lies_ends_the_call_in_words() {
    type Lie = fn(&str) -> String;
    let lies: [(&str, Lie); 6] = [
        ("no SDP", |_| "hello".to_owned()),
        ("tracks in another order", |sdp| {
            sdp.replace("a=mid:0", "a=mid:9")
        }),
        ("no fingerprint", |sdp| {
            sdp.lines()
                .filter(|line| !line.contains("fingerprint"))
                .map(|line| format!("{line}\r\n"))
                .collect()
        }),
        ("a codec that is none", |sdp| {
            sdp.replace("opus/48000", "opera/48000")
        }),
        ("too long", |sdp| {
            sdp.to_owned() + &"a=x:y\r\n".repeat(9_000)
        }),
        ("an answer's role in an offer", |sdp| {
            sdp.replace("actpass", "active")
        }),
    ];
    for (seed, (what, lie)) in (20..).zip(lies) {
        let mut world = offer_changed(seed, lie);
        world.drive_until(Duration::from_secs(3), what, |world| {
            world.people.iter().all(|person| person.is_ended())
        });
        let end = world.people[CALLER].states.last();
        assert!(
            matches!(end, Some(CallState::Ended(EndReason::PeerIncompatible(_)))),
            "{what}: {end:?}"
        );
    }
}

#[test]
fn a_wrong_fingerprint_ends_in_a_call_that_never_connected() {
    let mut world = offer_changed(30, |sdp| {
        let at = sdp.find("sha-256 ").expect("a fingerprint") + 8;
        let other = if &sdp[at..=at] == "0" { "1" } else { "0" };
        // On every track: a description that contradicts itself is refused before.
        sdp.replace(
            &sdp[at - 8..at + 10],
            &format!("sha-256 {other}{}", &sdp[at + 1..at + 10]),
        )
    });
    world.drive_until(Duration::from_secs(45), "the end", |world| {
        world.people.iter().all(|person| person.is_ended())
    });
    assert!(
        world
            .people
            .iter()
            .all(|person| person.pictures == 0 && person.blocks_played == 0)
    );
    assert_eq!(
        world.people[CALLER].states.last(),
        Some(&CallState::Ended(EndReason::FailedToConnect))
    );
}

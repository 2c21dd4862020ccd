use super::*;
use hullo_proto::service::sfu::{FromSfu, Relay, Subscription, ToSfu};
use str0m_netem::{Bitrate, DataSize, LossModel, NetemConfig, Probability, RandomLoss};
use world::{CALL, Publishing, World, line, world};

mod hostile;
mod world;

const ALL_LAYERS: Publishing = Publishing {
    voice: true,
    layers: [true; 3],
    frame_bytes: 4_000,
};

fn stranger() -> SocketAddr {
    "203.0.113.9:9".parse().expect("an address")
}

fn lossy(percent: f32) -> NetemConfig {
    line().loss(LossModel::Random(RandomLoss::new(Probability::new(
        percent / 100.0,
    ))))
}

/// How many of what `publisher` sent in all came to `viewer`, per hundred.
fn sound_percent(w: &World, viewer: usize, publisher: usize, since: usize) -> usize {
    let id = w.clients[publisher].id;
    let came: std::collections::HashSet<_> = w.clients[viewer].sound_of(id).into_iter().collect();
    let voices = w.clients[publisher].sent[since..]
        .iter()
        .filter(|(_, _, frame)| frame.len() == 80);
    let (mut all, mut found) = (0, 0);
    for (_, _, frame) in voices {
        all += 1;
        found += usize::from(came.contains(frame));
    }
    found * 100 / all.max(1)
}

#[test]
fn people_hear_of_one_another_and_relay_messages() {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    let (id_a, id_b) = (w.clients[a].id, w.clients[b].id);
    let first = if w.clients[a].heard[0] == FromSfu::Hello(vec![]) {
        (a, b)
    } else {
        (b, a)
    };
    let (first_id, second_id) = (w.clients[first.0].id, w.clients[first.1].id);
    assert_eq!(
        w.clients[first.0].heard[1],
        FromSfu::ParticipantJoined(second_id)
    );
    assert_eq!(w.clients[first.1].heard[0], FromSfu::Hello(vec![first_id]));
    let relay = Relay {
        sender: id_a,
        receiver: id_b,
        encrypted_data: vec![3; 20_000],
    };
    w.say(a, &ToSfu::Relay(relay.clone()));
    w.run(200);
    assert_eq!(w.clients[b].heard.last(), Some(&FromSfu::Relay(relay)));
}

#[test]
fn sealed_frames_pass_untouched_in_spite_of_loss() {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    w.shape(a, lossy(2.0), line());
    w.shape(b, line(), lossy(3.0));
    w.subscribe(b, a, Subscription::Microphone(true));
    w.watch(b, a, 640, 360);
    w.clients[a].publishing = ALL_LAYERS;
    w.run(1_000);
    let since = w.clients[a].sent.len();
    let came_before = w.clients[b].frames.len();
    w.run(5_000);
    let pictures = w.clients[b].pictures_of(w.clients[a].id);
    let untouched = pictures
        .iter()
        .all(|frame| w.clients[a].layer_of(frame).is_some());
    assert!(untouched, "a frame that nobody sent");
    let came = w.clients[b].frames[came_before..]
        .iter()
        .filter(|(_, frame)| frame.len() != 80)
        .count();
    assert!(came >= 5_000 / 33 * 95 / 100, "{came} pictures");
    // Sound has no retransmission: 2 and 3 % are lost on two lines.
    assert!(
        sound_percent(&w, b, a, since) >= 92,
        "{} % of sound",
        sound_percent(&w, b, a, since)
    );
}

#[test]
fn the_layer_follows_the_view() {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    w.clients[a].publishing = Publishing {
        frame_bytes: 2_000,
        ..ALL_LAYERS
    };
    for (view, layer) in [((160, 90), 0), ((640, 360), 2), ((300, 170), 1)] {
        w.watch(b, a, view.0, view.1);
        // Up takes as long as the line needs to be measured.
        w.run(6_000);
        let before = w.clients[b].frames.len();
        w.run(1_000);
        let layers: Vec<_> = w.clients[b].frames[before..]
            .iter()
            .map(|(_, frame)| w.clients[a].layer_of(frame))
            .collect();
        assert!(
            layers.len() >= 28 && layers.iter().all(|&got| got == Some(layer)),
            "{view:?}: {layers:?}"
        );
    }
    let none = Subscription::Camera(None);
    w.subscribe(b, a, none);
    w.run(500);
    let before = w.clients[b].frames.len();
    w.run(1_000);
    assert_eq!(w.clients[b].frames.len(), before, "unsubscribed");
}

#[test]
fn nothing_is_forwarded_to_those_who_did_not_ask() {
    let mut w = world();
    let [a, b, c] = w.join_all(3)[..] else {
        panic!("three")
    };
    w.clients[a].publishing = ALL_LAYERS;
    w.subscribe(b, a, Subscription::Microphone(true));
    w.run(1_000);
    assert!(w.clients[b].sound_of(w.clients[a].id).len() > 40);
    assert!(w.clients[b].pictures_of(w.clients[a].id).is_empty());
    assert!(w.clients[c].frames.is_empty());
}

#[test]
fn sound_is_never_starved_by_pictures() {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    let narrow = line().link(Bitrate::kbps(200), DataSize::kbytes(20));
    w.shape(b, line(), narrow);
    w.subscribe(b, a, Subscription::Microphone(true));
    w.watch(b, a, 640, 360);
    // h alone is 1 Mbit/s.
    w.clients[a].publishing = ALL_LAYERS;
    w.run(1_000);
    let since = w.clients[a].sent.len();
    // Long enough for finding out more than once that the line takes no more, which may delay sound for a moment.
    let mut seconds_poor = 0;
    for _ in 0..44 {
        let since = w.clients[a].sent.len();
        w.run(1_000);
        seconds_poor += usize::from(sound_percent(&w, b, a, since) < 90);
    }
    let percent = sound_percent(&w, b, a, since);
    assert!(percent >= 95, "{percent} % of sound");
    assert!(seconds_poor <= 8, "{seconds_poor} s");
    assert!(w.clients[b].pictures_of(w.clients[a].id).len() > 1_000);
}

/// Layers of `publisher`'s camera that came to `viewer` since it had `since` frames, and how many of each.
fn layers_since(w: &World, viewer: usize, publisher: usize, since: usize) -> [usize; 3] {
    let mut counts = [0; 3];
    for (_, frame) in &w.clients[viewer].frames[since..] {
        if frame.len() != 80
            && let Some(layer) = w.clients[publisher].layer_of(frame)
        {
            counts[layer] += 1;
        }
    }
    counts
}

#[test]
fn each_viewer_gets_the_layer_its_line_carries_and_all_sound_comes_first() {
    let mut w = world();
    let [a, b, ref viewers @ ..] = w.join_all(6)[..] else {
        panic!("six")
    };
    // h is 1 Mbit/s, m a third of it, l a tenth; two voices of 50 kbit/s with all their headers beside it.
    let lines = [None, Some((650, 40)), Some((350, 30)), Some((150, 15))];
    for (&viewer, limit) in viewers.iter().zip(lines) {
        if let Some((kbps, kbytes)) = limit {
            let narrow = line().link(Bitrate::kbps(kbps), DataSize::kbytes(kbytes));
            w.shape(viewer, line(), narrow);
        }
        for speaker in [a, b] {
            w.subscribe(viewer, speaker, Subscription::Microphone(true));
        }
        w.watch(viewer, a, 640, 360);
    }
    w.clients[a].publishing = ALL_LAYERS;
    w.clients[b].publishing.voice = true;
    w.run(10_000);
    let sent = [a, b].map(|speaker| w.clients[speaker].sent.len());
    let came: Vec<_> = viewers
        .iter()
        .map(|&viewer| w.clients[viewer].frames.len())
        .collect();
    w.run(10_000);
    for (place, &viewer) in viewers.iter().enumerate() {
        for (speaker, since) in [a, b].into_iter().zip(sent) {
            let percent = sound_percent(&w, viewer, speaker, since);
            assert!(percent >= 95, "line {place}: {percent} % of sound");
        }
        let counts = layers_since(&w, viewer, a, came[place]);
        let most = (0..3).max_by_key(|&layer| counts[layer]).expect("three");
        match place {
            3 => assert!(counts.iter().sum::<usize>() < 150, "no room: {counts:?}"),
            _ => assert!(
                most == 2 - place && counts[most] > 150,
                "line {place}: {counts:?}"
            ),
        }
    }
}

#[test]
fn our_own_clients_are_told_which_layers_anybody_wants() {
    let mut w = world();
    let [a, b, c] = w.join_all(3)[..] else {
        panic!("three")
    };
    let last = |w: &World| {
        *w.clients[a]
            .layers_wanted
            .last()
            .expect("told at least once")
    };
    assert_eq!(last(&w).camera, [false; 3]);
    w.watch(b, a, 160, 90);
    w.run(300);
    assert_eq!(
        (last(&w).camera, last(&w).camera_view.width),
        ([true, false, false], 160)
    );
    w.watch(c, a, 640, 480);
    w.run(300);
    assert_eq!(
        (last(&w).camera, last(&w).camera_view.height),
        ([true, true, false], 480)
    );
    w.subscribe(b, a, Subscription::Screen(Some(Default::default())));
    w.run(300);
    assert!(last(&w).screen.is_some());
    w.clients[b].close();
    w.clients[c].close();
    w.run(300);
    assert_eq!((last(&w).camera, last(&w).screen), ([false; 3], None));
}

#[test]
fn leaving_is_seen_at_once_and_dying_within_35_s() {
    let mut w = world();
    let [a, b, c] = w.join_all(3)[..] else {
        panic!("three")
    };
    let (id_b, id_c) = (w.clients[b].id, w.clients[c].id);
    w.clients[b].close();
    w.run(300);
    assert_eq!(
        w.clients[a].heard.last(),
        Some(&FromSfu::ParticipantLeft(id_b))
    );
    w.clients[c].is_dead = true;
    w.run(10_000);
    assert_eq!(
        w.clients[a].heard.last(),
        Some(&FromSfu::ParticipantLeft(id_b)),
        "a tunnel of 10 s is survived"
    );
    w.run(15_000);
    assert_eq!(
        w.clients[a].heard.last(),
        Some(&FromSfu::ParticipantLeft(id_c))
    );
    assert_eq!(w.metrics.dropped_silent_total.value(), 1);
    let again = w.join();
    w.run(1_000);
    assert!(![id_b, id_c].contains(&w.clients[again].id));
    assert_eq!(
        w.clients[again].heard[0],
        FromSfu::Hello(vec![w.clients[a].id])
    );
}

#[test]
fn a_client_moves_to_another_address_and_name() {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    w.subscribe(b, a, Subscription::Microphone(true));
    w.clients[a].publishing.voice = true;
    w.run(500);
    w.clients[a].restart_ice("198.51.100.77:6000".parse().expect("an address"));
    w.run(5_000);
    let since = w.clients[a].sent.len();
    w.run(2_000);
    assert!(
        sound_percent(&w, b, a, since) >= 90,
        "{}",
        sound_percent(&w, b, a, since)
    );
    let left = |said: &FromSfu| matches!(said, FromSfu::ParticipantLeft(_));
    assert!(!w.clients[b].heard.iter().any(left), "it never left");
}

#[test]
fn everybody_hears_of_a_stop_at_once() {
    let mut w = world();
    w.join_all(3);
    w.input(Input::Drain);
    let other = Join {
        call_id: CallId::from_bytes([8; 32]),
        dtls_fingerprint: [0; 32],
        has_wanted_channel: false,
        permit: Permit::free(),
    };
    assert_eq!(
        w.forwarder.join(w.now, other).err(),
        Some(JoinError::Unavailable),
        "no new call"
    );
    assert!(w.reserve().is_ok(), "a running one goes on");
    assert!(!w.forwarder.is_idle());
    w.run(100);
    assert!(w.clients.iter().all(|client| client.is_warned));
    w.input(Input::Close);
    w.run(100);
    assert!(w.clients.iter().all(|client| client.is_over) && w.forwarder.is_idle());
}

#[test]
fn places_are_bounded_and_come_back() {
    let mut w = world();
    for _ in 0..8 {
        w.reserve().expect("eight fit");
    }
    assert_eq!(w.reserve().err(), Some(JoinError::Full));
    let elsewhere = |w: &mut World, call: u8| {
        let join = Join {
            call_id: CallId::from_bytes([call; 32]),
            dtls_fingerprint: [0; 32],
            has_wanted_channel: false,
            permit: Permit::free(),
        };
        w.forwarder.join(w.now, join).err()
    };
    for call in 10..13 {
        assert_eq!(elsewhere(&mut w, call), None);
    }
    assert_eq!(
        elsewhere(&mut w, 13),
        Some(JoinError::Unavailable),
        "four calls at once"
    );
    assert!(w.forwarder.peek(w.now, &CallId::from_bytes(CALL)).is_some());
    w.run(30_200);
    assert!(
        w.forwarder.is_idle() && w.forwarder.seats.is_empty(),
        "all given back after 30 s"
    );
    assert!(w.forwarder.peek(w.now, &CallId::from_bytes(CALL)).is_none());
    assert_eq!(elsewhere(&mut w, 13), None);
}

#[test]
fn a_frame_leaves_in_one_train_for_each_viewer() {
    let mut w = world();
    let joined = w.join_all(4);
    w.clients[joined[0]].publishing = Publishing {
        voice: false,
        layers: [false, false, true],
        frame_bytes: 12_000,
    };
    for &viewer in &joined[1..] {
        w.watch(viewer, joined[0], 640, 360);
    }
    w.run(3_000);
    w.runs.clear();
    w.run(1_000);
    // 12 kB are 10 full packets and a rest.
    let trains = w.runs.iter().filter(|&&run| run >= 9).count();
    assert!(trains >= 3 * 28, "{trains} trains: {:?}", w.runs);
}

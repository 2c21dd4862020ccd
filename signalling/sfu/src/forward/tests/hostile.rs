//! Bad input to the media port: counted, bounded, and of no consequence for anybody else.

use super::*;

fn media_goes_on(w: &mut World, a: usize, b: usize) {
    let since = w.clients[a].sent.len();
    w.run(1_000);
    let percent = sound_percent(w, b, a, since);
    assert!(percent >= 90, "{percent} % of sound");
}

/// Two people, one heard by the other.
fn talking() -> (World, usize, usize) {
    let mut w = world();
    let [a, b] = w.join_all(2)[..] else {
        panic!("two")
    };
    w.subscribe(b, a, Subscription::Microphone(true));
    w.clients[a].publishing.voice = true;
    w.run(300);
    (w, a, b)
}

#[test]
fn strangers_get_nothing_and_change_nothing() {
    let (mut w, a, b) = talking();
    let sent = w.forwarder.peers.len();
    for len in 0..=1_500 {
        for first in [0, 1, 22, 0x80, 0x90, 0xff] {
            let mut bytes = vec![0x5a; len];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            w.forwarder.handle_input(
                w.now,
                Input::Datagram {
                    source: stranger(),
                    bytes: &bytes,
                },
            );
        }
        assert!(
            matches!(w.forwarder.poll_output(), Output::Timeout(_)),
            "an answer to a stranger, {len} bytes"
        );
    }
    assert_eq!(w.forwarder.peers.len(), sent);
    assert!(!w.forwarder.addresses.contains_key(&stranger()));
    assert!(
        w.metrics.refused_stranger_total.value() > 4_000
            && w.metrics.refused_stun_total.value() > 1_000
    );
    media_goes_on(&mut w, a, b);
}

#[test]
fn rubbish_of_every_length_from_a_known_address_costs_its_sender_at_most() {
    let (mut w, a, b) = talking();
    let c = w.join();
    w.run(500);
    let source = w.clients[c].address;
    for len in 0..=1_700_usize {
        for (first, second) in [
            (0, 1),
            (22, 254),
            (20, 254),
            (23, 254),
            (0x80, 111),
            (0x90, 96),
            (0x80, 200),
            (0x81, 206),
            (0xbf, 97),
        ] {
            let mut bytes: Vec<u8> = (0..len).map(|at| (at * 31 + len) as u8).collect();
            bytes.splice(0..len.min(2), [first, second].into_iter().take(len.min(2)));
            w.inject(source, &bytes);
        }
    }
    assert_eq!(w.metrics.panics_total.value(), 0);
    media_goes_on(&mut w, a, b);
    let spare = w.clients[b]
        .heard
        .iter()
        .filter(|said| matches!(said, FromSfu::ParticipantLeft(_)))
        .count();
    assert!(spare <= 1);
}

#[test]
fn a_wrong_password_or_name_opens_nothing() {
    let mut w = world();
    let mut response = w.reserve().expect("room");
    response.ice_password = "x".repeat(32);
    let fingerprint = response.dtls_fingerprint;
    let a = w.connect(response, fingerprint);
    let mut response = w.reserve().expect("room");
    response.ice_username_fragment = "y".repeat(16);
    let b = w.connect(response, fingerprint);
    w.run(3_000);
    assert!(w.clients[a].heard.is_empty() && w.clients[b].heard.is_empty());
    assert!(w.forwarder.peers.is_empty() && w.forwarder.addresses.is_empty());
    assert!(w.metrics.refused_stun_total.value() > 2);
}

#[test]
fn a_certificate_that_was_not_announced_never_connects() {
    let mut w = world();
    let join = Join {
        call_id: CallId::from_bytes(CALL),
        dtls_fingerprint: [1; 32],
        has_wanted_channel: true,
        permit: Permit::free(),
    };
    let response = w.forwarder.join(w.now, join).expect("room");
    let fingerprint = response.dtls_fingerprint;
    let a = w.connect(response, fingerprint);
    w.run(2_000);
    assert!(w.clients[a].heard.is_empty());
    assert_eq!(w.metrics.dropped_broken_total.value(), 1);
    assert!(w.forwarder.is_idle(), "its place is free again");
    // And the other way round: a client does not talk to a server with another certificate.
    let response = w.reserve().expect("room");
    let b = w.connect(response, [2; 32]);
    w.run(2_000);
    assert!(w.clients[b].heard.is_empty() && w.clients[b].is_over);
}

#[test]
fn an_address_in_use_cannot_be_taken_by_somebody_who_forges_it() {
    let (mut w, a, b) = talking();
    let (victim, c) = (w.clients[a].address, w.join());
    // The attacker's own proved requests, sent as if from the victim.
    let address = w.clients[c].address;
    w.clients[c].address = victim;
    w.run(300);
    w.clients[c].address = address;
    let owner = w.forwarder.addresses[&victim];
    assert_eq!(
        w.forwarder.peers[owner].as_ref().map(|peer| peer.id),
        Some(w.clients[a].id)
    );
    media_goes_on(&mut w, a, b);
}

#[test]
fn a_flood_of_streams_is_bounded() {
    let (mut w, a, b) = talking();
    let source = w.clients[b].address;
    for ssrc in 0..5_000_u32 {
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 1];
        packet.extend(ssrc.to_be_bytes());
        // One-byte header extension: the MID of b's own microphone.
        let mid = hullo_proto::service::sfu::Mids::of(w.clients[b].id).microphone();
        let mid = mid.as_str().as_bytes();
        packet.extend([0xbe, 0xde, 0, 1, 0x10 | (mid.len() as u8 - 1)]);
        packet.extend(mid);
        packet.resize(20 + 60, 0);
        w.inject(source, &packet);
    }
    assert!(w.metrics.refused_datagram_total.value() > 4_900);
    media_goes_on(&mut w, a, b);
}

#[test]
fn a_flood_of_key_frame_requests_reaches_the_publisher_at_most_twice_a_second() {
    let mut w = world();
    let joined = w.join_all(3);
    w.clients[joined[0]].publishing = Publishing {
        frame_bytes: 2_000,
        voice: false,
        layers: [false, false, true],
    };
    for &viewer in &joined[1..] {
        w.watch(viewer, joined[0], 640, 360);
    }
    w.run(2_000);
    let before = w.clients[joined[0]].key_frames_asked[2];
    let (viewer, mid) = (
        w.forwarder.addresses[&w.clients[joined[1]].address],
        hullo_proto::service::sfu::Mids::of(w.clients[joined[0]].id),
    );
    for _ in 0..1_000 {
        for _ in 0..20 {
            w.forwarder
                .key_frame_wanted(viewer, mid.camera().as_str().into());
        }
        w.run(1);
    }
    w.run(200);
    let asked = w.clients[joined[0]].key_frames_asked[2] - before;
    assert!((1..=3).contains(&asked), "{asked}");
}

#[test]
fn bad_messages_cost_their_sender_only() {
    let (mut w, a, b) = talking();
    let c = w.join();
    w.run(500);
    let (id_a, id_b, id_c) = (w.clients[a].id, w.clients[b].id, w.clients[c].id);
    let heard = (w.clients[a].heard.len(), w.clients[b].heard.len());
    let forged = ToSfu::Relay(Relay {
        sender: id_a,
        receiver: id_b,
        encrypted_data: vec![1; 50],
    });
    let nobody = ToSfu::Relay(Relay {
        sender: id_c,
        receiver: 789.try_into().expect("an id"),
        encrypted_data: vec![1; 50],
    });
    let oneself = ToSfu::Subscribe(id_c, Subscription::Microphone(true));
    for message in [forged, nobody, oneself, ToSfu::Unknown] {
        w.say(c, &message);
    }
    for bytes in [vec![0xff; 40], vec![0x12, 0x80], vec![1]] {
        w.say_bytes(c, &bytes);
    }
    w.run(1_000);
    assert_eq!(
        (w.clients[a].heard.len(), w.clients[b].heard.len()),
        heard,
        "nobody heard anything of it"
    );
    assert_eq!(w.metrics.refused_relay_total.value(), 2);
    assert_eq!(w.metrics.refused_subscription_total.value(), 1);
    assert!(w.metrics.refused_message_total.value() >= 4);
    media_goes_on(&mut w, a, b);
}

#[test]
fn who_does_not_read_is_dropped_and_costs_nobody_else() {
    let (mut w, a, b) = talking();
    let c = w.join();
    w.run(500);
    let id_c = w.clients[c].id;
    // Nothing comes through to c any more, but c still speaks.
    w.shape(
        c,
        line(),
        line().loss(LossModel::Random(RandomLoss::new(Probability::ONE))),
    );
    let relay = Relay {
        sender: w.clients[a].id,
        receiver: id_c,
        encrypted_data: vec![1; 15_000],
    };
    for _ in 0..60 {
        w.say(a, &ToSfu::Relay(relay.clone()));
        w.run(400);
    }
    w.run(22_000);
    assert!(w.clients[b].heard.contains(&FromSfu::ParticipantLeft(id_c)));
    media_goes_on(&mut w, a, b);
}

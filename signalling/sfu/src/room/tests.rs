use super::*;
use hullo_proto::service::sfu::Relay;
use proptest::prelude::*;
use rand::SeedableRng;

struct World {
    room: Room,
    now: Instant,
    metrics: Arc<Metrics>,
    rng: ChaCha20Rng,
}

fn world(participants_max: usize) -> World {
    let (now, metrics) = (Instant::now(), Arc::new(Metrics::default()));
    let clock = Clock::new(now, Duration::from_millis(1_700_000_000_123));
    let room = Room::new(
        now,
        clock,
        participants_max,
        Arc::clone(&metrics),
        ChaCha20Rng::seed_from_u64(1),
    );
    World {
        room,
        now,
        metrics,
        rng: ChaCha20Rng::seed_from_u64(2),
    }
}

impl World {
    fn reserve(&mut self) -> ParticipantId {
        self.room
            .reserve(self.now, Permit::free())
            .expect("not full")
    }

    fn join(&mut self) -> ParticipantId {
        let id = self.reserve();
        self.give(Input::Connected(id));
        self.drain();
        id
    }

    fn give(&mut self, input: Input) {
        self.room.handle_input(self.now, input);
    }

    fn say(&mut self, from: ParticipantId, message: &ToSfu) {
        let bytes = message.encode(&mut self.rng);
        self.give(Input::Message { from, bytes });
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.give(Input::Timeout);
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| match self.room.poll_output() {
            Output::Timeout(_) => None,
            output => Some(output),
        })
        .collect()
    }

    fn said(&mut self) -> Vec<(ParticipantId, FromSfu)> {
        let sent = self.drain().into_iter().filter_map(|output| match output {
            Output::Send { to, bytes, .. } => Some((to, FromSfu::decode(&bytes).expect("ours"))),
            _ => None,
        });
        sent.collect()
    }
}

fn relay(sender: ParticipantId, receiver: ParticipantId) -> ToSfu {
    ToSfu::Relay(Relay {
        sender,
        receiver,
        encrypted_data: vec![5; 90],
    })
}

const VIEW: View = View {
    width: 320,
    height: 180,
    fps: 15,
};

#[test]
fn hello_comes_first_and_joined_before_any_relay_of_the_newcomer() {
    let mut w = world(8);
    let a = w.reserve();
    w.give(Input::Connected(a));
    assert_eq!(w.said(), [(a, FromSfu::Hello(vec![]))]);
    let b = w.reserve();
    w.give(Input::Connected(b));
    w.say(b, &relay(b, a));
    let said = w.said();
    assert_eq!(
        said[..2],
        [
            (b, FromSfu::Hello(vec![a])),
            (a, FromSfu::ParticipantJoined(b))
        ]
    );
    assert!(matches!(&said[2..], [(to, FromSfu::Relay(relay))] if *to == a && relay.sender == b));
}

#[test]
fn leaving_is_told_to_the_others_and_the_id_rests() {
    let mut w = world(8);
    let [a, b, c] = [(); 3].map(|()| w.join());
    w.give(Input::Left(b));
    assert_eq!(
        w.said(),
        [
            (a, FromSfu::ParticipantLeft(b)),
            (c, FromSfu::ParticipantLeft(b))
        ]
    );
    w.give(Input::Left(b));
    assert_eq!(w.said(), [], "only once");
    let d = w.join();
    assert!(
        ![a, b, c].contains(&d),
        "ids are not used again while others remember them"
    );
}

#[test]
fn a_reservation_that_does_not_connect_ends_after_30_s_and_its_id_is_free_at_once() {
    let mut w = world(2);
    let (a, b) = (w.reserve(), w.reserve());
    assert_eq!(w.room.reserve(w.now, Permit::free()), Err(RoomFull));
    assert!(
        matches!(w.room.poll_output(), Output::Timeout(Some(at)) if at == w.now + CONNECT_TIME_MAX)
    );
    w.give(Input::Connected(a));
    w.drain();
    w.wait(CONNECT_TIME_MAX - Duration::from_millis(1));
    assert_eq!(w.drain(), []);
    w.wait(Duration::from_millis(1));
    assert_eq!(
        w.drain(),
        [Output::Remove(b)],
        "nobody was told of it, so nobody hears of its end"
    );
    assert_eq!(w.metrics.reservations_expired_total.value(), 1);
    assert_eq!(w.reserve(), b);
    w.give(Input::Connected(b));
    assert_eq!(w.room.counts(), (2, 0));
    w.give(Input::Connected(b));
    assert_eq!(w.room.counts(), (2, 0), "connects only once");
}

#[test]
fn the_permit_is_given_back_with_the_reservation() {
    let mut w = world(2);
    let (first, second) = (Arc::new(()), Arc::new(()));
    let permit = |arc: &Arc<()>| Permit(Arc::clone(arc));
    let a = w.room.reserve(w.now, permit(&first)).expect("not full");
    w.room.reserve(w.now, permit(&second)).expect("not full");
    assert_eq!(
        (Arc::strong_count(&first), Arc::strong_count(&second)),
        (2, 2)
    );
    w.give(Input::Connected(a));
    assert_eq!(
        (Arc::strong_count(&first), Arc::strong_count(&second)),
        (1, 2)
    );
    w.wait(CONNECT_TIME_MAX);
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn a_call_is_over_when_nobody_is_left_and_nobody_comes() {
    let mut w = world(8);
    let (a, b) = (w.join(), w.reserve());
    w.give(Input::Left(a));
    assert!(!w.room.is_over(), "another still connects");
    w.wait(CONNECT_TIME_MAX);
    assert!(w.room.is_over());
    assert!(matches!(w.drain()[..], [Output::Remove(id)] if id == b));
}

#[test]
fn relays_are_forwarded_byte_for_byte_if_the_sender_is_right_and_the_receiver_exists() {
    let mut w = world(8);
    let [a, b] = [(); 2].map(|()| w.join());
    let gone = w.reserve();
    let mut bytes = relay(a, b).encode(&mut w.rng);
    // iOS pads relays; that is no reason to refuse or to touch them.
    bytes.splice(0..0, [0x0a, 2, 9, 9]);
    w.give(Input::Message {
        from: a,
        bytes: bytes.clone(),
    });
    assert_eq!(
        w.drain(),
        [Output::Send {
            to: b,
            bytes,
            relayed: true
        }]
    );
    for (from, message) in [
        (a, relay(b, b)),
        (b, relay(a, b)),
        (a, relay(a, gone)),
        (a, relay(a, a)),
    ] {
        w.say(from, &message);
    }
    assert_eq!(w.drain(), []);
    assert_eq!(
        (
            w.metrics.relays_total.value(),
            w.metrics.refused_relay_total.value()
        ),
        (1, 4)
    );
}

#[test]
fn nothing_is_heard_from_those_who_are_not_connected() {
    let mut w = world(8);
    let (a, waiting) = (w.join(), w.reserve());
    w.say(waiting, &relay(waiting, a));
    w.say(waiting, &ToSfu::UpdateCallState(vec![1]));
    assert_eq!(w.drain(), []);
    assert_eq!(w.room.peek(w.now).encrypted_call_state, None);
}

#[test]
fn a_call_state_can_be_peeked_for_30_s_after_its_last_update() {
    let mut w = world(8);
    let a = w.join();
    assert_eq!(
        w.room.peek(w.now),
        PeekResponse {
            started_at_ms: 1_700_000_000_123,
            max_participants: 8,
            encrypted_call_state: None
        }
    );
    let state = |w: &World| w.room.peek(w.now).encrypted_call_state;
    w.say(a, &ToSfu::UpdateCallState(vec![1; 40]));
    w.wait(Duration::from_secs(20));
    w.say(a, &ToSfu::UpdateCallState(vec![2; 40]));
    w.wait(Duration::from_millis(29_999));
    assert_eq!(state(&w), Some(vec![2; 40]));
    // Over at once, whether or not the timer ran.
    w.now += Duration::from_millis(1);
    assert_eq!(state(&w), None);
    w.wait(Duration::ZERO);
    assert!(w.room.call_state.is_none());
}

#[test]
fn one_person_alone_is_dropped_after_5_minutes() {
    let mut w = world(8);
    let (a, b) = (w.join(), w.join());
    w.wait(Duration::from_secs(3_600));
    assert_eq!(w.drain(), []);
    w.give(Input::Left(b));
    w.drain();
    w.wait(ALONE_TIME_MAX - Duration::from_millis(1));
    let c = w.join();
    w.wait(Duration::from_secs(60));
    assert_eq!(w.drain(), [], "no longer alone");
    w.give(Input::Left(c));
    w.drain();
    w.wait(ALONE_TIME_MAX);
    assert_eq!(w.drain(), [Output::Remove(a)]);
    assert!(w.room.is_over());
    assert_eq!(w.metrics.calls_ended_alone_total.value(), 1);
}

#[test]
fn subscriptions_are_kept_per_feed_and_end_with_the_publisher() {
    let mut w = world(8);
    let [a, b] = [(); 2].map(|()| w.join());
    w.say(a, &ToSfu::Subscribe(b, Subscription::Microphone(true)));
    w.say(a, &ToSfu::Subscribe(b, Subscription::Camera(Some(VIEW))));
    w.say(a, &ToSfu::Subscribe(b, Subscription::Camera(Some(VIEW))));
    let changed = Output::Watch {
        viewer: a,
        publisher: b,
    };
    assert_eq!(
        w.drain()
            .iter()
            .filter(|&output| *output == changed)
            .count(),
        2,
        "no change, no output"
    );
    assert_eq!(
        w.room.watched(a, b),
        Watched {
            microphone: true,
            camera: Some(VIEW),
            screen: None
        }
    );
    assert_eq!(w.room.watched(b, a), Watched::default());
    w.say(a, &ToSfu::Subscribe(b, Subscription::Screen(Some(VIEW))));
    w.say(a, &ToSfu::Subscribe(b, Subscription::Camera(None)));
    w.say(a, &ToSfu::Subscribe(b, Subscription::Microphone(false)));
    assert_eq!(
        w.room.watched(a, b),
        Watched {
            microphone: false,
            camera: None,
            screen: Some(VIEW)
        }
    );
    w.give(Input::Left(b));
    assert_eq!(w.room.watched(a, b), Watched::default());
}

#[test]
fn subscriptions_to_oneself_and_to_nobody_are_discarded() {
    let mut w = world(8);
    let (a, waiting) = (w.join(), w.reserve());
    for publisher in [a, waiting] {
        w.say(
            a,
            &ToSfu::Subscribe(publisher, Subscription::Microphone(true)),
        );
        assert_eq!(w.room.watched(a, publisher), Watched::default());
    }
    assert_eq!(w.drain(), []);
    assert_eq!(w.metrics.refused_subscription_total.value(), 2);
}

#[test]
fn the_time_is_told_to_those_who_ask() {
    let mut w = world(8);
    let a = w.join();
    w.wait(Duration::from_secs(1));
    w.say(a, &ToSfu::RequestTimestamp);
    assert_eq!(w.said(), [(a, FromSfu::Timestamp(1_700_000_001_123))]);
}

#[test]
fn what_is_no_message_is_counted_and_nothing_else() {
    let mut w = world(8);
    let [a, _b] = [(); 2].map(|()| w.join());
    for bytes in [
        vec![0xff; 9],
        vec![],
        vec![0x7a, 0],
        vec![0; MESSAGE_BYTES_MAX + 1],
        vec![0x12, 200],
    ] {
        w.give(Input::Message { from: a, bytes });
    }
    assert_eq!(w.drain(), []);
    assert_eq!(w.metrics.refused_message_total.value(), 5);
}

#[test]
fn a_flood_is_cut_off_and_disturbs_nobody_else() {
    let mut w = world(8);
    let [a, b, c] = [(); 3].map(|()| w.join());
    let flood = ToSfu::Relay(Relay {
        sender: a,
        receiver: b,
        encrypted_data: vec![5; 8_000],
    });
    for _ in 0..2_000 {
        w.say(a, &flood);
    }
    let bytes: usize = w
        .drain()
        .iter()
        .map(|output| {
            if let Output::Send { bytes, .. } = output {
                bytes.len()
            } else {
                0
            }
        })
        .sum();
    assert!(bytes <= 262_144, "{bytes}");
    assert!(w.metrics.refused_flood_total.value() > 1_900);
    w.say(c, &relay(c, b));
    assert_eq!(w.drain().len(), 1, "another is heard");
    w.wait(Duration::from_secs(5));
    w.say(a, &relay(a, b));
    assert_eq!(w.drain().len(), 1, "and so is the first, later");
}

proptest! {
    #[test]
    fn any_inputs_keep_the_rules(steps in proptest::collection::vec((0..6_u8, 0..6_usize, 0..6_usize, proptest::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        let mut w = world(4);
        let mut ids: Vec<ParticipantId> = Vec::new();
        let mut here: Vec<ParticipantId> = Vec::new();
        for (step, from, to, bytes) in steps {
            let pick = |at: usize| ids.get(at).copied();
            match (step, pick(from), pick(to)) {
                (0, ..) => ids.extend(w.room.reserve(w.now, Permit::free())),
                (1, Some(id), _) => w.give(Input::Connected(id)),
                (2, Some(id), _) => w.give(Input::Left(id)),
                (3, Some(from), _) => w.give(Input::Message { from, bytes }),
                (4, Some(from), Some(to)) => w.say(from, &relay(from, to)),
                _ => w.wait(Duration::from_secs(bytes.len() as u64)),
            }
            for output in w.drain() {
                match output {
                    Output::Send { to, bytes, relayed: false } => match FromSfu::decode(&bytes) {
                        Ok(FromSfu::Hello(others)) => {
                            prop_assert!(!here.contains(&to) && others.iter().all(|id| here.contains(id)));
                            here.push(to);
                        }
                        Ok(FromSfu::ParticipantLeft(id)) => here.retain(|&other| other != id),
                        _ => prop_assert!(here.contains(&to)),
                    },
                    Output::Send { to, .. } => prop_assert!(here.contains(&to)),
                    Output::Remove(id) => here.retain(|&other| other != id),
                    Output::Watch { .. } | Output::Timeout(_) => {}
                }
            }
            let (members, reserved) = w.room.counts();
            prop_assert!(members + reserved <= 4);
            prop_assert!(w.room.outputs.is_empty());
        }
    }
}

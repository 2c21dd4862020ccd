use std::net::SocketAddr;

use hullo_proto::group::key::GroupCallKey;
use hullo_proto::group::media_sender::MediaSender;
use hullo_proto::service::sfu::{HeaderExtensionIds, JoinResponse, SupportedFeatures};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use str0m::media::{Mid, Rid};

use super::*;

fn answer(id: u32, addresses: Vec<SocketAddr>) -> JoinResponse {
    JoinResponse {
        started_at_ms: 0,
        max_participants: 8,
        participant_id: ParticipantId::try_from(id).expect("in range"),
        addresses,
        ice_username_fragment: "fragment0fragment".to_owned(),
        ice_password: "password0password0password0".to_owned(),
        dtls_fingerprint: [1; 32],
        supported_features: SupportedFeatures::SCREEN_SHARE,
        header_extension_ids: HeaderExtensionIds::default(),
    }
}

fn config(answer: JoinResponse) -> GroupSessionConfig {
    GroupSessionConfig {
        answer,
        certificate: Certificate::generate().expect("a certificate"),
        has_wanted_channel: true,
        start_bitrate_bps: 300_000,
        desired_bitrate_bps: 1_000_000,
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_refused() {
    let (now, sfu) = (
        Instant::now(),
        "192.0.2.1:4000".parse().expect("an address"),
    );
    assert_eq!(
        GroupSession::new(now, &config(answer(2, vec![]))).err(),
        Some(GroupSessionError::Addresses)
    );
    // 0 has the streams `!`, `#` and `$`, which all become `_`.
    let unusable = ParticipantId::try_from(0).expect("in range");
    assert_eq!(
        GroupSession::new(now, &config(answer(0, vec![sfu]))).err(),
        Some(GroupSessionError::Mids(unusable))
    );
    assert!(GroupSession::new(now, &config(answer(2, vec![sfu]))).is_ok());
}

/// The SFU's end, without an SFU: answers, and says what it is told to.
struct Far {
    rtc: Rtc,
    messages: str0m::channel::ChannelId,
    wanted: str0m::channel::ChannelId,
    heard: Vec<Vec<u8>>,
    frames: Vec<(Mid, Option<Rid>, Vec<u8>)>,
    timeout: Instant,
    is_open: bool,
}

/// A session and its far end on a perfect line, in virtual time.
struct Pair {
    now: Instant,
    near: GroupSession,
    far: Far,
    events: Vec<Event>,
}

fn sfu_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4_000))
}

fn near_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000))
}

impl Far {
    fn new(now: Instant, answer: &mut JoinResponse, client: &Certificate) -> Self {
        let certificate = Certificate::generate().expect("a certificate");
        answer.dtls_fingerprint = certificate.fingerprint();
        let config = GroupSessionConfig {
            certificate,
            ..config(answer.clone())
        };
        let mut rtc = setup::rtc_config(&config).set_ice_lite(true).build(now);
        rtc.add_local_candidate(Candidate::host(sfu_address(), "udp").expect("valid"));
        let mut api = rtc.direct_api();
        api.set_local_ice_credentials(str0m::ice::IceCreds {
            ufrag: answer.ice_username_fragment.clone(),
            pass: answer.ice_password.clone(),
        });
        api.set_ice_controlling(false);
        api.set_remote_fingerprint(str0m::config::Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: client.fingerprint().to_vec(),
        });
        for track in [Track::Microphone, Track::Camera, Track::Screen] {
            let mid = mid_of(answer.participant_id, track);
            let media = api.declare_media(mid, setup::kind_of(track));
            if track == Track::Camera {
                for layer in Layer::ALL {
                    media.expect_rid_rx(Rid::from(layer.rid()));
                }
            }
        }
        let messages = api.create_data_channel(setup::negotiated("p2s", 0));
        let wanted = api.create_data_channel(setup::negotiated("hullo-wanted", 2));
        api.start_dtls(false).expect("first start");
        api.start_sctp(false);
        Self {
            rtc,
            messages,
            wanted,
            heard: Vec::new(),
            frames: Vec::new(),
            timeout: now,
            is_open: false,
        }
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        loop {
            match self.rtc.poll_output().expect("alive") {
                str0m::Output::Timeout(at) => {
                    self.timeout = at;
                    return sent;
                }
                str0m::Output::Transmit(transmit) => sent.push(transmit.contents.to_vec()),
                str0m::Output::Event(str0m::Event::ChannelData(data)) => self.heard.push(data.data),
                str0m::Output::Event(str0m::Event::ChannelOpen(id, _)) => {
                    self.is_open |= id == self.messages;
                }
                str0m::Output::Event(str0m::Event::MediaData(data)) => {
                    self.frames.push((data.mid, data.rid, data.data.to_vec()));
                }
                str0m::Output::Event(_) => {}
            }
        }
    }
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let mut config = config(answer(2, vec![sfu_address()]));
        let mut far = Far::new(now, &mut config.answer, &config.certificate);
        // The near side's name for itself is learned from its first check, as an SFU does.
        let mut near = GroupSession::new(now, &config).expect("usable");
        let name = near.rtc.direct_api().local_ice_credentials();
        far.rtc.direct_api().set_remote_ice_credentials(name);
        let mut pair = Self {
            now,
            near,
            far,
            events: Vec::new(),
        };
        pair.give(Input::LocalCandidate(near_address()));
        pair
    }

    fn give(&mut self, input: Input<'_>) {
        self.near.handle_input(self.now, input);
        self.pass();
    }

    /// Carries datagrams until both are silent.
    fn pass(&mut self) {
        loop {
            let mut moved = false;
            while let Some(output) = match self.near.poll_output() {
                Output::Timeout(_) => None,
                output => Some(output),
            } {
                match output {
                    Output::Transmit { bytes, .. } => {
                        let receive =
                            Receive::new(Protocol::Udp, near_address(), sfu_address(), &bytes);
                        let input = str0m::Input::Receive(self.now, receive.expect("WebRTC"));
                        self.far.rtc.handle_input(input).expect("alive");
                        self.deliver();
                        moved = true;
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::Timeout(_) => unreachable!("handled above"),
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self) {
        for bytes in self.far.drain() {
            let input = Input::Receive {
                source: sfu_address(),
                destination: near_address(),
                bytes: &bytes,
            };
            self.near.handle_input(self.now, input);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            self.give(Input::Timeout);
            if self.far.timeout <= self.now {
                let input = str0m::Input::Timeout(self.now);
                self.far.rtc.handle_input(input).expect("alive");
                self.deliver();
                self.pass();
            }
        }
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        pair.run(Duration::from_secs(2));
        assert!(pair.near.is_connected() && pair.far.is_open);
        pair.events.clear();
        pair
    }

    fn say(&mut self, channel: str0m::channel::ChannelId, bytes: &[u8]) {
        let mut channel = self.far.rtc.channel(channel).expect("open");
        assert!(channel.write(true, bytes).expect("room"));
        self.deliver();
        self.pass();
    }

    fn stats(&mut self) -> GroupSessionStats {
        self.run(Duration::from_millis(2_100));
        let last = self.events.drain(..).rev().find_map(|event| match event {
            Event::Stats(stats) => Some(*stats),
            _ => None,
        });
        last.expect("figures each second")
    }
}

fn sender() -> MediaSender {
    let key = GroupCallKey::from_bytes([3; 32]);
    MediaSender::new(key.hash(), ChaCha20Rng::seed_from_u64(1))
}

#[test]
fn messages_given_before_the_channel_opens_arrive_in_order() {
    let mut pair = Pair::new();
    for number in 0..5_u8 {
        pair.give(Input::Message(&[number; 300]));
    }
    pair.run(Duration::from_secs(2));
    pair.give(Input::Message(&[5; MESSAGE_BYTES_SENDING_MAX]));
    pair.run(Duration::from_secs(2));
    let first: Vec<_> = pair
        .far
        .heard
        .iter()
        .map(|bytes| (bytes[0], bytes.len()))
        .collect();
    assert_eq!(
        first[..5],
        [(0, 300), (1, 300), (2, 300), (3, 300), (4, 300)]
    );
    assert_eq!(first[5..], [(5, MESSAGE_BYTES_SENDING_MAX)]);
}

#[test]
fn an_sfu_that_does_not_read_costs_the_session_and_not_the_memory() {
    let mut pair = Pair::new();
    let mut given = 0;
    while !pair.near.is_closed() {
        given += 100_000;
        pair.near
            .handle_input(pair.now, Input::Message(&[0; 100_000]));
        while !matches!(pair.near.poll_output(), Output::Timeout(_)) {}
        assert!(given < 3 * UNREAD_BYTES_MAX, "{given} bytes are kept");
    }
    assert_eq!(pair.near.waiting.1, 0);
}

#[test]
fn each_layer_goes_by_its_name_and_a_frame_of_another_track_does_not_go_at_all() {
    let mut pair = Pair::connected();
    let mut sender = sender();
    let mut write = |pair: &mut Pair, track: OwnTrack, of: Track| {
        let frame = sender.seal(of, &[0x10; 30]).expect("valid");
        let captured_at = pair.now;
        pair.give(Input::Write {
            track,
            frame,
            captured_at,
        });
        pair.run(Duration::from_millis(20));
    };
    for track in OwnTrack::ALL {
        write(&mut pair, track, track.track());
    }
    write(&mut pair, OwnTrack::Screen, Track::Camera);
    write(&mut pair, OwnTrack::Microphone, Track::Screen);
    pair.run(Duration::from_millis(500));
    let names: Vec<_> = pair
        .far
        .frames
        .iter()
        .map(|(mid, rid, _)| (*mid, rid.map(|rid| rid.to_string())))
        .collect();
    let mid = |track| mid_of(pair.near.own, track);
    let camera = |rid: &str| (mid(Track::Camera), Some(rid.to_owned()));
    let expected = [
        (mid(Track::Microphone), None),
        camera("l"),
        camera("m"),
        camera("h"),
        (mid(Track::Screen), None),
    ];
    for name in &expected {
        assert!(names.contains(name), "{name:?} is not among {names:?}");
    }
    assert_eq!(names.len(), expected.len());
    assert_eq!(pair.stats().unsent_frames, 2);
}

#[test]
fn what_the_sfu_wants_is_told_and_nonsense_is_counted() {
    let mut pair = Pair::connected();
    let wanted = LayersWanted {
        camera: [true, false, true],
        ..LayersWanted::default()
    };
    let (messages, channel) = (pair.far.messages, pair.far.wanted);
    pair.say(channel, &wanted.encode());
    pair.say(channel, b"nonsense");
    pair.say(channel, &hullo_proto::service::sfu::ENDING);
    pair.say(channel, &[]);
    pair.say(messages, b"anything");
    let told: Vec<_> = pair.events.drain(..).collect();
    assert!(
        matches!(&told[..], [Event::Wanted(told), Event::ServerEnds, Event::Message(said)] if *told == wanted && said == b"anything"),
        "{told:?}"
    );
    assert!(pair.stats().refused_messages >= 1);
}

#[test]
fn key_frames_are_not_asked_for_without_end() {
    let mut pair = Pair::connected();
    for _ in 0..100 {
        pair.near.keyframe_wanted(OwnTrack::Screen);
        pair.run(Duration::from_millis(10));
    }
    let told = pair
        .events
        .iter()
        .filter(|event| matches!(event, Event::KeyframeWanted(OwnTrack::Screen)))
        .count();
    assert!((3..=4).contains(&told), "{told} in a second");
}

#[test]
fn silence_interrupts_and_a_word_resumes() {
    let mut pair = Pair::connected();
    let start = pair.now;
    let mut interrupted_after = None;
    while interrupted_after.is_none() && pair.now < start + Duration::from_secs(10) {
        pair.now += Duration::from_millis(50);
        pair.near.handle_input(pair.now, Input::Timeout);
        // The line is dead: what is sent goes nowhere.
        loop {
            match pair.near.poll_output() {
                Output::Timeout(_) => break,
                Output::Event(Event::Interrupted) => interrupted_after = Some(pair.now - start),
                Output::Transmit { .. } | Output::Event(_) => {}
            }
        }
    }
    let after = interrupted_after.expect("a dead line is noticed");
    assert!(after <= SILENCE_MAX + Duration::from_secs(1), "{after:?}");
    assert!(!pair.near.is_connected());
    pair.run(Duration::from_secs(3));
    assert!(
        pair.events
            .iter()
            .any(|event| matches!(event, Event::Resumed))
    );
    assert!(pair.near.is_connected());
}

#[test]
fn participants_beyond_the_limit_and_ids_of_foreign_servers_are_not_expected() {
    let mut pair = Pair::connected();
    let mut ids = hullo_proto::service::sfu::alphanumeric_ids();
    for _ in 0..PARTICIPANTS_MAX + 20 {
        let id = ids.next().expect("473 of them");
        pair.give(Input::Expect(id));
        pair.give(Input::Expect(id));
    }
    let foreign = ParticipantId::try_from(0).expect("in range");
    pair.give(Input::Expect(foreign));
    assert_eq!(pair.near.people.count(), PARTICIPANTS_MAX);
    for id in hullo_proto::service::sfu::alphanumeric_ids().take(PARTICIPANTS_MAX + 1) {
        pair.give(Input::Forget(id));
    }
    assert_eq!(pair.near.people.count(), 0);
    assert!(pair.near.is_connected());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_datagram_of_the_sfus_address_makes_the_session_panic_or_end(
        datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..1_300), any::<u8>()), 1..60),
        early: bool,
    ) {
        let mut pair = if early { Pair::new() } else { Pair::connected() };
        for (mut bytes, kind) in datagrams {
            // Half of them begin as STUN, DTLS, RTP or RTCP do.
            let starts: [&[u8]; 6] = [&[0, 1], &[22, 254, 253], &[0x80, 111], &[0x90, 96], &[0x80, 200], &[23]];
            if let (Some(start), true) = (starts.get(usize::from(kind % 8)), bytes.len() > 20) {
                bytes[..start.len()].copy_from_slice(start);
            }
            pair.give(Input::Receive { source: sfu_address(), destination: near_address(), bytes: &bytes });
        }
        pair.run(Duration::from_secs(3));
        prop_assert!(pair.near.is_connected());
    }
}

//! Two sessions in virtual time, without loss: set-up, frames, key-frame requests, side channel, goodbye.

use std::collections::VecDeque;

use hullo_proto::frame::{CallSecret, FrameContext, FrameKind, Sealer};

use super::*;

struct Pair {
    now: Instant,
    sessions: [Session; 2],
    events: [Vec<Event>; 2],
    wire: VecDeque<(usize, SocketAddr, SocketAddr, Vec<u8>)>,
    /// Everything overtakes the answers to the offerer's checks.
    answers_late: bool,
}

const ADDRESSES: [&str; 2] = ["10.0.0.1:1000", "10.0.0.2:2000"];

fn config(role: Role) -> SessionConfig {
    SessionConfig {
        pictures: true,
        role,
        answerer_leads: true,
        start_bitrate_bps: 500_000,
        desired_bitrate_bps: 2_000_000,
        side_channel: true,
        peer_takes_parity: true,
    }
}

impl Pair {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary zero of the virtual clock"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let sessions = [
            Session::new(now, &config(Role::Offerer)),
            Session::new(now, &config(Role::Answerer)),
        ];
        Self {
            now,
            sessions,
            events: Default::default(),
            wire: VecDeque::new(),
            answers_late: false,
        }
    }

    fn described() -> Self {
        let mut pair = Self::new();
        for (index, address) in ADDRESSES.iter().enumerate() {
            pair.input(
                index,
                Input::LocalCandidate(LocalCandidate::Host(address.parse().unwrap())),
            );
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let description = pair.sessions[from].describe();
            pair.input(to, Input::Describe(&description));
            for line in pair.sessions[from].local_candidates() {
                pair.input(to, Input::RemoteCandidate(&line));
            }
        }
        pair
    }

    fn connected() -> Self {
        let mut pair = Self::described();
        pair.drive(Duration::from_secs(3), |pair| {
            pair.sessions.iter().all(Session::is_connected)
        });
        pair.drive(Duration::from_secs(2), |pair| {
            pair.events
                .iter()
                .all(|events| events.iter().any(|event| matches!(event, Event::SideOpen)))
        });
        pair
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        self.sessions[index].handle_input(self.now, input).unwrap();
        self.drain(index);
    }

    fn drain(&mut self, index: usize) -> Option<Instant> {
        loop {
            match self.sessions[index].poll_output() {
                Output::Timeout(at) => return at,
                Output::Event(event) => self.events[index].push(event),
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => self.wire.push_back((1 - index, source, destination, bytes)),
            }
        }
    }

    fn arrive(&mut self) -> Option<(usize, SocketAddr, SocketAddr, Vec<u8>)> {
        // RFC 8489 §5: a success response to a Binding request.
        let is_answer = |bytes: &[u8]| bytes.starts_with(&[1, 1]);
        let first = (self.wire.iter())
            .position(|(to, .., bytes)| !(self.answers_late && *to == 0 && is_answer(bytes)));
        self.wire.remove(first.unwrap_or(0))
    }

    /// Runs until `done`; fails at the limit.
    fn drive(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "not within {limit:?}: {:?}", self.events);
            if let Some((to, source, destination, bytes)) = self.arrive() {
                self.input(
                    to,
                    Input::Receive {
                        source,
                        destination,
                        bytes: &bytes,
                    },
                );
                continue;
            }
            let next = (0..2).filter_map(|index| self.drain(index)).min();
            self.now = next
                .unwrap_or(self.now)
                .max(self.now + Duration::from_millis(1));
            for index in 0..2 {
                self.input(index, Input::Timeout);
            }
        }
    }

    fn frames(&self, index: usize, wanted: Track) -> Vec<Vec<u8>> {
        let frame = |event: &Event| match event {
            Event::Frame { track, bytes, .. } if *track == wanted => Some(bytes.to_vec()),
            _ => None,
        };
        self.events[index].iter().filter_map(frame).collect()
    }
}

fn sealer(track: Track) -> Sealer {
    let secret = CallSecret::from_bytes([7; 32]).unwrap();
    Sealer::new(
        FrameContext {
            secret: &secret,
            call_id: [1; 16],
            own_public: [2; 32],
            peer_public: [3; 32],
        },
        track.mid(),
    )
}

#[test]
fn a_first_dtls_message_that_overtakes_the_answer_to_our_check_is_not_lost() {
    let mut pair = Pair::described();
    pair.answers_late = true;
    // A lost one comes again after a second.
    pair.drive(Duration::from_millis(500), |pair| {
        pair.sessions.iter().all(Session::is_connected)
    });
}

#[test]
fn two_sessions_connect_and_sealed_frames_arrive_as_they_left() {
    let mut pair = Pair::connected();
    let (mut audio, mut video) = (sealer(Track::Audio), sealer(Track::Video));
    let mut unit = vec![
        0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5, 0, 0, 0, 1, 0x65,
    ];
    unit.extend((0..5_000_u32).map(|n| (n % 251) as u8));
    for round in 0..10_usize {
        let sound = audio.seal(FrameKind::Audio, &[round as u8; 80]).unwrap();
        let picture = video.seal(FrameKind::VideoKey, &unit).unwrap();
        let sent = [sound.as_bytes().to_vec(), picture.as_bytes().to_vec()];
        for (track, frame) in [(Track::Audio, sound), (Track::Video, picture)] {
            let captured_at = pair.now;
            pair.input(
                0,
                Input::Write {
                    track,
                    frame,
                    captured_at,
                },
            );
        }
        pair.drive(Duration::from_secs(1), |pair| {
            pair.frames(1, Track::Video).len() > round && pair.frames(1, Track::Audio).len() > round
        });
        assert_eq!(pair.frames(1, Track::Audio)[round], sent[0]);
        assert_eq!(pair.frames(1, Track::Video)[round], sent[1]);
        let end = pair.now + Duration::from_millis(20);
        pair.drive(Duration::from_secs(1), |pair| pair.now >= end);
    }
}

#[test]
fn a_key_frame_request_and_a_side_message_reach_the_other_end() {
    let mut pair = Pair::connected();
    let frame = sealer(Track::Video)
        .seal(FrameKind::VideoKey, &[0, 0, 0, 1, 0x65, 9, 9, 9, 9])
        .unwrap();
    let captured_at = pair.now;
    pair.input(
        0,
        Input::Write {
            track: Track::Video,
            frame,
            captured_at,
        },
    );
    pair.drive(Duration::from_secs(1), |pair| {
        !pair.frames(1, Track::Video).is_empty()
    });
    pair.input(1, Input::WantKeyframe);
    pair.drive(Duration::from_secs(1), |pair| {
        pair.events[0]
            .iter()
            .any(|event| matches!(event, Event::KeyframeWanted))
    });
    pair.input(1, Input::Side(b"{\"muted\":true}"));
    pair.drive(Duration::from_secs(1), |pair| {
        pair.events[0]
            .iter()
            .any(|event| matches!(event, Event::Side(message) if message == b"{\"muted\":true}"))
    });
}

#[test]
fn closing_is_heard_by_the_other_end() {
    let mut pair = Pair::connected();
    pair.input(0, Input::Close);
    pair.drive(Duration::from_secs(2), |pair| {
        pair.events[1]
            .iter()
            .any(|event| matches!(event, Event::Closed))
    });
}

#[test]
fn a_description_that_does_not_fit_is_refused() {
    let mut pair = Pair::new();
    let mut own = pair.sessions[0].describe();
    let now = pair.now;
    assert_eq!(
        pair.sessions[0].handle_input(now, Input::Describe(&own)),
        Err(SessionError::WrongKind("an offer"))
    );
    own.kind = crate::sdp::DescriptionKind::Answer;
    assert_eq!(
        pair.sessions[0].handle_input(now, Input::Describe(&own)),
        Err(SessionError::Setup)
    );
    own.setup = crate::sdp::Setup::Active;
    own.tracks[0].codecs[0].payload_type = 0;
    assert_eq!(
        pair.sessions[0].handle_input(now, Input::Describe(&own)),
        Err(SessionError::Codec("Opus"))
    );
}

#[test]
fn a_wrong_fingerprint_never_connects() {
    let mut pair = Pair::new();
    for (index, address) in ADDRESSES.iter().enumerate() {
        pair.input(
            index,
            Input::LocalCandidate(LocalCandidate::Host(address.parse().unwrap())),
        );
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let mut description = pair.sessions[from].describe();
        description.fingerprint[3] ^= 1;
        pair.input(to, Input::Describe(&description));
        for line in pair.sessions[from].local_candidates() {
            pair.input(to, Input::RemoteCandidate(&line));
        }
    }
    let end = pair.now + Duration::from_secs(5);
    pair.drive(Duration::from_secs(6), |pair| pair.now >= end);
    assert!(!pair.sessions.iter().any(Session::is_connected));
}

#[test]
fn garbage_changes_nothing() {
    let mut pair = Pair::connected();
    let (source, destination) = (ADDRESSES[0].parse().unwrap(), ADDRESSES[1].parse().unwrap());
    for length in [0, 1, 12, 20, 100, 1_200, 2_100] {
        for first in [0_u8, 1, 20, 22, 23, 64, 128, 144, 255] {
            let mut bytes = vec![0xa5; length];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            pair.input(
                1,
                Input::Receive {
                    source,
                    destination,
                    bytes: &bytes,
                },
            );
        }
    }
    assert!(pair.sessions[1].is_connected());
    pair.input(0, Input::Side(b"{}"));
    pair.drive(Duration::from_secs(1), |pair| {
        pair.events[1]
            .iter()
            .any(|event| matches!(event, Event::Side(_)))
    });
}

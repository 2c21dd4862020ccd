//! One stay of one person in the call: the call's machine and the session, joined as the program joins them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo_media::group_session::{
    Event as SessionEvent, GroupSession, GroupSessionStats, Input as SessionInput, Layer,
    Output as SessionOutput, OwnTrack,
};
use hullo_media::layers::{plan_camera, plan_screen};
use hullo_proto::group::group_call::{Event, GroupCall, Input, Output};
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Device, View};
use hullo_proto::service::sfu::{LayersWanted, MESSAGE_LEN_MAX};
use str0m_netem::{Netem, NetemConfig};

use super::camera::{Camera, Screen};
use super::content::Content;
use super::lips::Lips;
use super::{Datagram, PICTURE_SIZE, RATE_FPS};

/// Datagrams that one change may cause: a key frame of three layers, retransmissions, a handshake with everybody.
const TRANSMITS_PER_CHANGE_MAX: usize = 600;
/// Larger ones do not pass the internet.
const DATAGRAM_BYTES_MAX: usize = 1_500;
/// Deadlines that a goodbye may take.
const GOODBYE_ROUNDS_MAX: usize = 50;
/// Pixels of every screen.
const SCREEN_SIZE: (u32, u32) = (640, 360);
/// Fastest that the toy decoder asks for a key frame.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// More than any line of these worlds needs: the estimate is not what they are about.
const BUDGET_BPS: u32 = 2_000_000;

/// What one participant heard and saw of another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Sound frames opened.
    pub sound: u64,
    /// Pictures of the camera that a decoder could show.
    pub pictures: u64,
    /// Pictures of the screen that came.
    pub screens: u64,
    /// Frames that did not open.
    pub unopened: u64,
    broken: bool,
    asked_at: Option<Instant>,
}

/// A frame that came, not opened yet.
pub(super) struct Arrived {
    pub(super) participant: ParticipantId,
    pub(super) track: Track,
    pub(super) sealed: Vec<u8>,
    pub(super) contiguous: bool,
    /// Number of its first packet, and its time.
    pub(super) at: (u64, u64),
}

/// See the module.
pub struct Seat {
    /// Our id.
    pub id: ParticipantId,
    /// Our end of the call.
    pub call: GroupCall,
    session: GroupSession,
    /// Where datagrams for it go.
    pub address: SocketAddr,
    pub(super) up: Netem<Datagram>,
    pub(super) down: Netem<Datagram>,
    /// The test card through VP8, in the worlds that have it.
    pub(super) camera: Option<Camera>,
    /// What real cameras showed.
    pub screen: Screen,
    /// Sound is played and pictures are held for it, in the worlds that watch lips.
    pub lips: Option<Lips>,
    /// Everything that came of others.
    pub heard: BTreeMap<ParticipantId, Heard>,
    /// What the SFU last asked for.
    pub wanted: LayersWanted,
    /// Figures of the last second.
    pub stats: Option<GroupSessionStats>,
    /// The connection stands.
    pub connected: bool,
    /// The SFU does not answer.
    pub interrupted: bool,
    /// Its line is dead.
    pub(super) is_cut: bool,
    /// The call is over for this seat, or its connection is.
    pub over: bool,
    /// The user's own wish, apart from what the machine believes.
    pub(super) muted: bool,
    pub(super) on_hold: bool,
    /// Numbers of frames sealed: never one twice.
    last_number: Option<u32>,
    /// Of the camera's layers and the screen.
    keyframes: [bool; 4],
    sending: [bool; 4],
    pictures: u32,
    sounds: u32,
    /// Sound and pictures of the camera that left.
    pub sent: (u64, u64),
    /// Pictures of the screen that left.
    pub screens_sent: u64,
    /// Frames encoded and sealed: low, middle and high layer of the camera, and the screen.
    pub frames_sent: [u64; 4],
    pub(super) arrived: VecDeque<Arrived>,
    pub(super) view: View,
    transmits: usize,
    session_timeout: Option<Instant>,
    call_timeout: Option<Instant>,
    messages: VecDeque<Vec<u8>>,
    others: VecDeque<(ParticipantId, bool)>,
    said: VecDeque<Vec<u8>>,
}

impl Seat {
    pub(super) fn new(
        now: Instant,
        call: GroupCall,
        session: GroupSession,
        address: SocketAddr,
        (up, down): (NetemConfig, NetemConfig),
    ) -> Self {
        let mut seat = Self {
            id: call.participant_id(),
            call,
            session,
            address,
            up: Netem::new(up),
            down: Netem::new(down),
            camera: None,
            screen: Screen::default(),
            lips: None,
            heard: BTreeMap::new(),
            wanted: LayersWanted::default(),
            stats: None,
            connected: false,
            interrupted: false,
            is_cut: false,
            over: false,
            muted: false,
            on_hold: false,
            last_number: None,
            keyframes: [true; 4],
            sending: [false; 4],
            pictures: 0,
            sounds: 0,
            sent: (0, 0),
            screens_sent: 0,
            frames_sent: [0; 4],
            arrived: VecDeque::new(),
            view: View {
                width: PICTURE_SIZE.0,
                height: PICTURE_SIZE.1,
                fps: RATE_FPS,
            },
            transmits: 0,
            session_timeout: None,
            call_timeout: None,
            messages: VecDeque::new(),
            others: VecDeque::new(),
            said: VecDeque::new(),
        };
        seat.session(now, SessionInput::LocalCandidate(address));
        seat
    }

    /// When something of its own is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = [self.session_timeout, self.call_timeout];
        own.into_iter().flatten().min()
    }

    pub(super) fn time_passes(&mut self, now: Instant) {
        if self.session_timeout.is_some_and(|at| at <= now) {
            self.session(now, SessionInput::Timeout);
        }
        if self.call_timeout.is_some_and(|at| at <= now) {
            self.input(now, Input::Timeout);
        }
    }

    /// Gives the call's machine something to do.
    pub fn input(&mut self, now: Instant, input: Input<'_>) {
        match &input {
            Input::Capture(Device::Microphone, on) => self.muted = !on,
            Input::Hold(hold) => self.on_hold = *hold,
            _ => {}
        }
        self.call.handle_input(now, input);
        self.pump(now);
    }

    pub(super) fn session(&mut self, now: Instant, input: SessionInput<'_>) {
        self.transmits = 0;
        self.session.handle_input(now, input);
        self.pump(now);
    }

    /// Passes what each machine says to the other, until both are silent.
    fn pump(&mut self, now: Instant) {
        loop {
            self.drain(now);
            if let Some(bytes) = self.messages.pop_front() {
                self.call.handle_input(now, Input::Received(&bytes));
            } else if let Some((id, here)) = self.others.pop_front() {
                let input = if here {
                    SessionInput::Expect(id)
                } else {
                    SessionInput::Forget(id)
                };
                self.session.handle_input(now, input);
                if here {
                    self.call
                        .handle_input(now, Input::ViewCamera(id, Some(self.view)));
                    self.drain(now);
                    self.call
                        .handle_input(now, Input::ViewScreen(id, Some(View::default())));
                }
            } else if let Some(bytes) = self.said.pop_front() {
                assert!(bytes.len() <= MESSAGE_LEN_MAX, "a message too long");
                self.session
                    .handle_input(now, SessionInput::Message(&bytes));
            } else {
                return;
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.session.poll_output() {
                SessionOutput::Timeout(at) => {
                    self.session_timeout = at;
                    break;
                }
                SessionOutput::Transmit {
                    destination, bytes, ..
                } => {
                    self.transmits += 1;
                    assert!(
                        bytes.len() <= DATAGRAM_BYTES_MAX
                            && self.transmits <= TRANSMITS_PER_CHANGE_MAX,
                        "{} datagrams for one change, the last of {} bytes",
                        self.transmits,
                        bytes.len()
                    );
                    let datagram = Datagram {
                        source: self.address,
                        destination,
                        bytes,
                    };
                    self.up
                        .handle_input(str0m_netem::Input::Packet(now, datagram));
                }
                SessionOutput::Event(event) => self.session_said(event),
            }
        }
        loop {
            match self.call.poll_output() {
                Output::Timeout(at) => {
                    self.call_timeout = at;
                    break;
                }
                Output::Transmit(bytes) => self.said.push_back(bytes),
                Output::Event(event) => self.call_said(&event),
            }
        }
    }

    fn session_said(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Connected => self.connected = true,
            SessionEvent::Interrupted => self.interrupted = true,
            SessionEvent::Resumed => self.interrupted = false,
            SessionEvent::Closed => self.over = true,
            SessionEvent::Message(bytes) => self.messages.push_back(bytes),
            SessionEvent::Wanted(wanted) => self.wanted = wanted,
            SessionEvent::ServerEnds => {}
            SessionEvent::Frame {
                participant,
                track,
                bytes,
                contiguous,
                seq,
                media_time,
            } => self.arrived.push_back(Arrived {
                participant,
                track,
                sealed: bytes.to_vec(),
                contiguous,
                at: (seq, media_time),
            }),
            SessionEvent::KeyframeWanted(OwnTrack::Camera(layer)) => {
                self.keyframes[layer as usize] = true;
            }
            SessionEvent::KeyframeWanted(OwnTrack::Screen) => self.keyframes[3] = true,
            SessionEvent::Stats(stats) => self.stats = Some(*stats),
            SessionEvent::KeyframeWanted(_) | SessionEvent::Estimate(_) => {}
        }
    }

    fn call_said(&mut self, event: &Event) {
        match event {
            Event::ParticipantJoined(id) => self.others.push_back((*id, true)),
            Event::ParticipantLeft(id, _) => {
                self.others.push_back((*id, false));
                self.heard.remove(id);
            }
            Event::Ended(_) => self.over = true,
            _ => {}
        }
    }

    /// Everybody this seat has authenticated.
    #[must_use]
    pub fn roster(&self) -> Vec<ParticipantId> {
        self.call
            .participants()
            .filter(|entry| entry.authenticated)
            .map(|entry| entry.id)
            .collect()
    }

    /// Tries to say something, muted or not: the machine decides, and the user's wish judges it.
    pub(super) fn speak(&mut self, now: Instant, since: Duration) -> Option<Vec<u8>> {
        let content = Content::new(self.id, Track::Microphone, self.sounds, since);
        self.sounds += 1;
        let frame = content.encode(OwnTrack::Microphone, None);
        let sealed = self.call.seal(Track::Microphone, &frame).ok()?;
        assert!(
            !self.muted && !self.on_hold,
            "sound of a muted microphone was sealed"
        );
        let bytes = self.number(&sealed);
        self.write(now, OwnTrack::Microphone, sealed);
        self.sent.0 += u64::from(self.connected);
        Some(bytes)
    }

    /// Encodes what is wanted of the next picture, of the camera and of the screen: what left, sealed.
    pub(super) fn show(&mut self, now: Instant, since: Duration) -> Vec<(Track, Vec<u8>)> {
        let camera = plan_camera(PICTURE_SIZE, &self.wanted, RATE_FPS, BUDGET_BPS);
        let screen = plan_screen(SCREEN_SIZE, self.wanted.screen, RATE_FPS, BUDGET_BPS);
        let layers = Layer::ALL.map(OwnTrack::Camera);
        let plans = layers
            .into_iter()
            .zip(camera)
            .chain([(OwnTrack::Screen, screen)]);
        let number = self.pictures;
        self.pictures += 1;
        let mut all = Vec::new();
        for (index, (track, plan)) in plans.enumerate() {
            let key = self.keyframes[index] || !self.sending[index];
            self.sending[index] = false;
            let Some(plan) = plan else {
                continue;
            };
            let frame = match (&mut self.camera, track) {
                (Some(camera), OwnTrack::Camera(layer)) => {
                    camera.frame(layer, plan, key, (now, since))
                }
                _ => {
                    let content = Content::new(self.id, track.track(), number, since);
                    Some(content.encode(track, key.then_some(plan.size)))
                }
            };
            let Some(frame) = frame else {
                // Left out for want of bits; whoever needs a key frame still needs it.
                (self.sending[index], self.keyframes[index]) = (true, key);
                continue;
            };
            let Ok(sealed) = self.call.seal(track.track(), &frame) else {
                continue;
            };
            assert!(!self.on_hold, "a picture on hold was sealed");
            (self.sending[index], self.keyframes[index]) = (true, false);
            self.frames_sent[index] += 1;
            all.push((track.track(), self.number(&sealed)));
            self.write(now, track, sealed);
        }
        let camera = all
            .iter()
            .filter(|(track, _)| *track == Track::Camera)
            .count();
        self.sent.1 += u64::from(camera > 0);
        self.screens_sent += (all.len() - camera) as u64;
        all
    }

    fn write(
        &mut self,
        now: Instant,
        track: OwnTrack,
        frame: hullo_proto::group::media_frame::SealedGroupFrame,
    ) {
        self.session(
            now,
            SessionInput::Write {
                track,
                frame,
                captured_at: now,
            },
        );
    }

    /// A nonce is never used twice: the counter only grows.
    fn number(&mut self, sealed: &[u8]) -> Vec<u8> {
        let number = u32::from_le_bytes(*sealed.last_chunk().expect("a footer"));
        assert!(
            self.last_number.is_none_or(|last| number == last + 1),
            "frame number {number} after {:?}",
            self.last_number
        );
        self.last_number = Some(number);
        sealed.to_vec()
    }

    /// Opens what came, and judges it: what it says about itself. None for what does not open, and for a real picture.
    pub(super) fn open(
        &mut self,
        (now, since): (Instant, Duration),
        frame: &Arrived,
    ) -> Option<Content> {
        let Arrived {
            participant,
            track,
            sealed,
            contiguous,
            at,
        } = frame;
        let opened = self.call.open(now, *participant, *track, sealed);
        let heard = self.heard.entry(*participant).or_default();
        let Ok(bytes) = opened else {
            heard.unopened += 1;
            return None;
        };
        if *track == Track::Microphone {
            heard.sound += 1;
        } else if *track == Track::Screen {
            heard.screens += 1;
        } else {
            let is_key = bytes.first().is_some_and(|first| first & 1 == 0);
            heard.broken = !is_key && (heard.broken || !contiguous);
            if self.camera.is_some() && !heard.broken {
                heard.broken = !self.screen.show(*participant, &bytes, since);
            }
            heard.pictures += u64::from(!heard.broken);
            let due = heard
                .asked_at
                .is_none_or(|asked| now - asked >= KEYFRAME_INTERVAL);
            if heard.broken && due {
                heard.asked_at = Some(now);
                self.session(now, SessionInput::WantKeyframe(*participant, *track));
            }
        }
        if self.camera.is_some() && *track == Track::Camera {
            return None;
        }
        let content = Content::decode(&bytes, *track);
        let content = content.expect("what opens was made by somebody of this world");
        if let Some(lips) = &mut self.lips {
            match track {
                Track::Microphone => lips.sound(now, *participant, *at, content.captured_at),
                Track::Camera => {
                    let is_key = bytes.first().is_some_and(|first| first & 1 == 0);
                    lips.picture(now, *participant, (at.1, is_key), content.captured_at);
                }
                Track::Screen => {}
            }
        }
        Some(content)
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        self.session(now, SessionInput::Close);
        let mut at = now;
        for _ in 0..GOODBYE_ROUNDS_MAX {
            if self.session.is_closed() {
                break;
            }
            at = at.max(self.session_timeout.unwrap_or(at));
            self.session(at, SessionInput::Timeout);
        }
        assert!(self.session.is_closed(), "a goodbye without end");
        self.over = true;
    }
}

//! A whole one-to-one call as one machine: `x.call.*` messages, session, frame ciphers, side channel. Sans-IO.
//!
//! ```text
//! messages ─▶ CallMachine ─▶ keys ─▶ Sealer/Opener
//! frames   ─▶ seal ─▶ Session ─▶ datagrams ─▶ Session ─▶ open ─▶ frames
//! ```
//!
//! It alone holds the media keys and frame counters of the call, so a nonce cannot be used twice. A frame that does
//! not open costs that frame: it is dropped and counted.

mod ciphers;
mod event;
mod sound;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo_media::frame::EncodedFrame;
use hullo_media::sdp::{Description, DescriptionKind};
use hullo_media::session::{self, Role, SendBudget, Session, SessionConfig, Track};
use hullo_media::sound_link::SoundLink;
use hullo_proto::call::{
    CallEvent, CallKeys, CallMachine, CallState, IceCandidate, Input as MachineInput, Layout,
    Output as MachineOutput,
};
use hullo_proto::frame::{FrameKind, OpenError};

use ciphers::Ciphers;
pub use event::{Event, Input, Output};

use super::side::SideState;

/// Where the rate starts: a call over any line that carries pictures. Higher shows a good picture sooner and floods a
/// thin line; a wide one is found within a second by probing three and six times as much.
const START_BITRATE_BPS: u64 = 300_000;
/// What a call may send in all: beyond it the picture of a terminal does not improve.
const DESIRED_BITRATE_BPS: u64 = 3_000_000;
/// How long a silent connection is kept. Shorter drops calls in tunnels, longer leaves people talking to nobody.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// After the connection closed, the `x.call.end` that says why may still be on its way through the relay.
const CLOSE_GRACE: Duration = Duration::from_millis(1_500);

/// One call.
pub struct Engine {
    machine: CallMachine,
    role: Role,
    addresses: Vec<SocketAddr>,
    session: Option<Session>,
    ciphers: Option<Ciphers>,
    own: SideState,
    /// The line carries no pictures now.
    is_thin: bool,
    far: SideState,
    side_open: bool,
    outputs: VecDeque<Output>,
    undecryptable: u64,
    replayed: u64,
    waits_for_key: bool,
    /// When the silence has lasted too long, and whether the peer said goodbye before it.
    lost_at: Option<(Instant, bool)>,
    ended: bool,
    frames_sent: (u64, u64),
    path: Option<Path>,
    sound: SoundLink,
}

/// Stands where a hostile server would: is given each sealed frame that arrives, says what is delivered instead.
pub type Path = Box<dyn FnMut(Track, &[u8]) -> Vec<(Track, Vec<u8>)> + Send>;

impl Engine {
    /// A call around `machine`, reachable at `addresses` once it is accepted.
    pub fn new(
        now: Instant,
        machine: CallMachine,
        addresses: Vec<SocketAddr>,
        own: SideState,
    ) -> Self {
        let mut engine = Self {
            machine,
            role: Role::Answerer,
            addresses,
            session: None,
            ciphers: None,
            own,
            is_thin: false,
            far: SideState::default(),
            side_open: false,
            outputs: VecDeque::new(),
            undecryptable: 0,
            replayed: 0,
            waits_for_key: true,
            lost_at: None,
            ended: false,
            frames_sent: (0, 0),
            path: None,
            sound: SoundLink::default(),
        };
        engine.pump(now);
        engine
    }

    /// Frames that did not open since the call began.
    pub fn undecryptable(&self) -> u64 {
        self.undecryptable
    }

    /// Frames that came a second time and were refused.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Frames of sound and of pictures that were sealed and handed to the session.
    pub fn frames_sent(&self) -> (u64, u64) {
        self.frames_sent
    }

    /// Puts something between the session and the ciphers, to see what a hostile path can do.
    pub fn set_path(&mut self, path: Path) {
        self.path = Some(path);
    }

    /// Applies one change.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Timeout => self.timeout(now),
            Input::Datagram {
                source,
                destination,
                bytes,
            } => {
                self.session(
                    now,
                    session::Input::Receive {
                        source,
                        destination,
                        bytes,
                    },
                );
            }
            Input::Message(message) => self
                .machine
                .handle_input(now, MachineInput::Message(message)),
            Input::Accept(media) => self
                .machine
                .handle_input(now, MachineInput::Accept { media }),
            Input::Reject { busy: false } => self.machine.handle_input(now, MachineInput::Reject),
            Input::Reject { busy: true } => {
                self.machine.handle_input(now, MachineInput::RejectAsBusy);
            }
            Input::Forgotten => self.machine.handle_input(now, MachineInput::SessionLost),
            Input::HangUp => self.machine.handle_input(now, MachineInput::HangUp),
            Input::Frame(frame) => self.send_frame(now, &frame),
            Input::Own(own) => self.set_own(now, own),
            Input::WantKeyframe => self.session(now, session::Input::WantKeyframe),
        }
        self.pump(now);
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let session = self.session.as_mut().map(Session::poll_output);
        let session = match session {
            Some(session::Output::Timeout(at)) => at,
            _ => None,
        };
        let machine = match self.machine.poll_output() {
            MachineOutput::Timeout(at) => at,
            _ => None,
        };
        Output::Timeout(
            [session, machine, self.lost_at.map(|(at, _)| at)]
                .into_iter()
                .flatten()
                .min(),
        )
    }

    fn timeout(&mut self, now: Instant) {
        self.machine.handle_input(now, MachineInput::Timeout);
        self.session(now, session::Input::Timeout);
        if let Some((_, closed)) = self.lost_at.take_if(|(at, _)| *at <= now) {
            let input = if closed {
                MachineInput::SessionClosed
            } else {
                MachineInput::SessionLost
            };
            self.machine.handle_input(now, input);
        }
    }

    fn session(&mut self, now: Instant, input: session::Input<'_>) {
        if let Some(session) = &mut self.session {
            // Only a description can be refused, and that has its own path.
            let _ = session.handle_input(now, input);
        }
    }

    fn send_frame(&mut self, now: Instant, frame: &EncodedFrame) {
        let track = if frame.kind == FrameKind::Audio {
            Track::Audio
        } else {
            Track::Video
        };
        let silent = match track {
            Track::Audio => self.own.muted,
            Track::Video => !self.own.camera || self.far.want.is_none(),
        };
        let connected = self.session.as_ref().is_some_and(Session::is_connected);
        // What nobody there listens to is not sent either.
        if silent || self.own.hold || self.far.hold || !connected {
            return;
        }
        let Some(ciphers) = &mut self.ciphers else {
            return;
        };
        let sealed = match track {
            Track::Audio => sound::seal(&mut self.sound, &mut ciphers.seal_audio, frame),
            Track::Video => ciphers.seal_video.seal(frame.kind, &frame.data),
        };
        // A frame the layout cannot carry is ours to drop: the next one is as good.
        let Ok(sealed) = sealed else {
            return;
        };
        let sent = if track == Track::Audio {
            &mut self.frames_sent.0
        } else {
            &mut self.frames_sent.1
        };
        *sent += 1;
        if *sent == 1 {
            self.outputs
                .push_back(Output::Event(Event::FirstSent(track)));
        }
        self.session(
            now,
            session::Input::Write {
                track,
                frame: sealed,
                captured_at: frame.captured_at,
            },
        );
    }

    fn set_own(&mut self, now: Instant, own: SideState) {
        let shows = |state: SideState| state.camera && !state.hold;
        let camera_came_on = shows(own) && !shows(self.own);
        if self.own.hold && !own.hold {
            // What came meanwhile was not taken: the picture begins anew.
            self.break_video(now);
        }
        self.own = own;
        self.tell_side(now);
        if camera_came_on {
            self.outputs.push_back(Output::Event(Event::KeyframeWanted));
        }
    }

    /// Tells the far side what we send and want, once it can be told.
    fn tell_side(&mut self, now: Instant) {
        if self.side_open {
            let thin = self.is_thin && self.own.camera;
            let own = sound::with_copies(self.own);
            let told = SideState { thin, ..own };
            self.session(now, session::Input::Side(&told.write()));
        }
    }

    fn take_budget(&mut self, now: Instant, budget: SendBudget) {
        let is_thin = budget.is_thin();
        if std::mem::replace(&mut self.is_thin, is_thin) != is_thin {
            self.tell_side(now);
        }
        self.outputs.push_back(Output::Event(Event::Budget(budget)));
    }

    /// Moves what machine and session have to say to each other and to the outside, until both are quiet.
    fn pump(&mut self, now: Instant) {
        loop {
            let mut quiet = true;
            loop {
                match self.machine.poll_output() {
                    MachineOutput::Timeout(_) => break,
                    MachineOutput::Transmit(message) => {
                        self.outputs.push_back(Output::Send(message))
                    }
                    MachineOutput::Event(event) => self.machine_event(now, event),
                }
                quiet = false;
            }
            while let Some(output) = self.session.as_mut().map(Session::poll_output) {
                match output {
                    session::Output::Timeout(_) => break,
                    session::Output::Transmit {
                        source,
                        destination,
                        bytes,
                    } => {
                        self.outputs.push_back(Output::Transmit {
                            source,
                            destination,
                            bytes,
                        });
                    }
                    session::Output::Event(event) => self.session_event(now, event),
                }
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }

    fn machine_event(&mut self, now: Instant, event: CallEvent) {
        match event {
            CallEvent::State(state) => {
                if matches!(state, CallState::Ended(_)) && !self.ended {
                    self.ended = true;
                    self.lost_at = None;
                    self.ciphers = None;
                    self.session(now, session::Input::Close);
                }
                self.outputs.push_back(Output::Event(Event::State(state)));
            }
            // The user is told by whoever made the machine.
            CallEvent::Incoming { .. } => {}
            CallEvent::MakeOffer { keys } => {
                if self.open_session(now, Role::Offerer, &keys) {
                    self.send_description(now);
                }
            }
            CallEvent::MakeAnswer {
                offer_sdp,
                candidates,
                keys,
            } => {
                if self.open_session(now, Role::Answerer, &keys)
                    && self.apply(now, &offer_sdp, &candidates)
                {
                    self.send_description(now);
                }
            }
            CallEvent::ApplyAnswer { sdp, candidates } => {
                self.apply(now, &sdp, &candidates);
            }
            CallEvent::RemoteCandidates(candidates) => self.add_candidates(now, &candidates),
        }
    }

    /// False when the peer is no Hullo: its frame layout and codecs are not spoken yet.
    fn open_session(&mut self, now: Instant, role: Role, keys: &CallKeys) -> bool {
        if keys.layout != Layout::Hullo {
            let words =
                "the other program is not Hullo, and this version only talks to Hullo".to_owned();
            self.machine
                .handle_input(now, MachineInput::PeerIncompatible(words));
            return false;
        }
        let config = SessionConfig {
            role,
            start_bitrate_bps: START_BITRATE_BPS,
            desired_bitrate_bps: DESIRED_BITRATE_BPS,
            // Every program that speaks our layout has it.
            side_channel: true,
        };
        self.role = role;
        self.session = Some(Session::new(now, &config));
        self.ciphers = Some(Ciphers::new(keys));
        for address in self.addresses.clone() {
            self.session(now, session::Input::LocalCandidate(address));
        }
        true
    }

    fn send_description(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        let description = session.describe();
        let candidate = |line| IceCandidate {
            candidate: line,
            mid: Some(Track::Audio.mid().to_owned()),
            m_line_index: Some(0),
            username_fragment: Some(description.ice_ufrag.clone()),
        };
        let candidates = session
            .local_candidates()
            .into_iter()
            .map(candidate)
            .collect();
        self.machine.handle_input(
            now,
            MachineInput::LocalDescription {
                sdp: description.write(),
                candidates,
            },
        );
    }

    fn peer_kind(&self) -> DescriptionKind {
        match self.role {
            Role::Offerer => DescriptionKind::Answer,
            Role::Answerer => DescriptionKind::Offer,
        }
    }

    fn apply(&mut self, now: Instant, sdp: &str, candidates: &[IceCandidate]) -> bool {
        let described = match Description::parse(self.peer_kind(), sdp) {
            Ok(description) => match &mut self.session {
                Some(session) => session
                    .handle_input(now, session::Input::Describe(&description))
                    .map_err(|e| e.to_string()),
                None => return false,
            },
            Err(error) => Err(error.to_string()),
        };
        if let Err(words) = described {
            self.machine
                .handle_input(now, MachineInput::PeerIncompatible(words));
            return false;
        }
        self.add_candidates(now, candidates);
        true
    }

    fn add_candidates(&mut self, now: Instant, candidates: &[IceCandidate]) {
        for candidate in candidates {
            self.session(now, session::Input::RemoteCandidate(&candidate.candidate));
        }
    }

    fn session_event(&mut self, now: Instant, event: session::Event) {
        let event = match event {
            session::Event::Connected => {
                self.machine
                    .handle_input(now, MachineInput::SessionConnected);
                Event::KeyframeWanted
            }
            session::Event::Interrupted => {
                self.lost_at = Some((now + SILENCE_MAX, false));
                Event::Interrupted
            }
            session::Event::Resumed => {
                self.lost_at = None;
                Event::Resumed
            }
            session::Event::Closed => {
                if !self.ended {
                    self.lost_at = Some((now + CLOSE_GRACE, true));
                }
                return;
            }
            session::Event::Frame {
                track,
                bytes,
                seq: _,
                media_time,
                contiguous,
            } => {
                let mut frames = vec![(track, bytes.to_vec())];
                if let Some(path) = &mut self.path {
                    frames = path(track, &bytes);
                }
                for (track, bytes) in frames {
                    self.receive_frame(now, track, &bytes, media_time, contiguous);
                }
                return;
            }
            session::Event::KeyframeWanted => Event::KeyframeWanted,
            session::Event::Budget(budget) => return self.take_budget(now, budget),
            session::Event::PicturesWait(wait) => Event::PicturesWait(wait),
            session::Event::SideOpen => {
                self.side_open = true;
                return self.tell_side(now);
            }
            session::Event::Side(message) => {
                let Some(far) = SideState::read(&message) else {
                    return;
                };
                let is_back = self.far.hold && !far.hold;
                self.far = far;
                self.sound.set_takes_copies(far.copies);
                if is_back {
                    self.outputs.push_back(Output::Event(Event::KeyframeWanted));
                }
                Event::Far(far)
            }
            session::Event::Stats(stats) => {
                self.sound_measured(now, &stats);
                Event::Stats(stats, self.undecryptable)
            }
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn receive_frame(
        &mut self,
        now: Instant,
        track: Track,
        bytes: &[u8],
        media_time: u64,
        contiguous: bool,
    ) {
        let Some(ciphers) = &mut self.ciphers else {
            return;
        };
        let opener = if track == Track::Audio {
            &mut ciphers.open_audio
        } else {
            &mut ciphers.open_video
        };
        let opened = match opener.open(bytes) {
            Ok(opened) if (opened.kind == FrameKind::Audio) == (track == Track::Audio) => opened,
            // A retransmission that was not needed: no sign of a stranger.
            Err(OpenError::Replayed) => {
                self.replayed += 1;
                return;
            }
            _ => {
                self.undecryptable += 1;
                if track == Track::Video {
                    self.break_video(now);
                }
                return;
            }
        };
        let event = match track {
            Track::Audio => return self.receive_sound(now, opened, media_time),
            Track::Video => {
                if !contiguous && opened.kind != FrameKind::VideoKey {
                    self.break_video(now);
                }
                if opened.kind == FrameKind::VideoKey {
                    self.waits_for_key = false;
                } else if self.waits_for_key {
                    return self.session(now, session::Input::WantKeyframe);
                }
                Event::Video(EncodedFrame {
                    kind: opened.kind,
                    data: opened.frame,
                    captured_at: now,
                })
            }
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn break_video(&mut self, now: Instant) {
        self.waits_for_key = true;
        self.session(now, session::Input::WantKeyframe);
    }
}

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
mod lips;
mod numbers;
mod paths;
mod recovery;
mod sound;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use hullo_media::frame::EncodedFrame;
use hullo_media::lip_sync::HeldPictures;
use hullo_media::reach::{self, StunServer, TurnServer};
use hullo_media::session::{self, Role, SendBudget, Track};
use hullo_media::sound_link::SoundLink;
use hullo_proto::call::{
    CallEvent, CallMachine, CallState, EndReason, Input as MachineInput, Output as MachineOutput,
};
use hullo_proto::frame::{FrameKind, OpenError};

use ciphers::Ciphers;
pub use event::{Event, Input, Output};
pub use paths::Ways;
use paths::{Path as SessionPath, Wanted};
use recovery::Recovery;

use super::side::SideState;

/// Where the rate starts: a call over any line that carries pictures. Higher shows a good picture sooner and floods a
/// thin line; a wide one is found within a second by probing three and six times as much.
const START_BITRATE_BPS: u64 = 300_000;
/// What a call may send in all: beyond it the picture of a terminal does not improve.
const DESIRED_BITRATE_BPS: u64 = 3_000_000;

/// One call.
pub struct Engine {
    machine: CallMachine,
    addresses: Vec<SocketAddr>,
    ways: Ways,
    servers: (Vec<StunServer>, Vec<TurnServer>),
    /// The first carries the call; another beside it is being made or left.
    paths: Vec<SessionPath>,
    wanted: Option<Wanted>,
    /// Media time counts from here, in every session.
    epoch: Option<Instant>,
    last_sound: Option<u64>,
    recovery: Recovery,
    ciphers: Option<Ciphers>,
    /// The far side reads parity over pictures.
    takes_parity: bool,
    /// Who answers leads the search for a way.
    answerer_leads: bool,
    /// A relay refused to carry to an address of the far side: common, and worth telling when the call fails.
    peer_refused: Option<String>,
    own: SideState,
    /// The line carries no pictures now.
    is_thin: bool,
    far: SideState,
    outputs: VecDeque<Output>,
    undecryptable: u64,
    replayed: u64,
    waits_for_key: bool,
    ended: bool,
    frames_sent: (u64, u64),
    path: Option<Path>,
    sound: SoundLink,
    /// The far side's, until their sound plays.
    pictures: HeldPictures<EncodedFrame>,
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
        ways: Ways,
    ) -> Self {
        let mut engine = Self {
            machine,
            addresses,
            ways,
            servers: (Vec::new(), Vec::new()),
            paths: Vec::new(),
            wanted: None,
            epoch: None,
            last_sound: None,
            recovery: Recovery::default(),
            ciphers: None,
            takes_parity: false,
            answerer_leads: false,
            peer_refused: None,
            own,
            is_thin: false,
            far: SideState::default(),
            outputs: VecDeque::new(),
            undecryptable: 0,
            replayed: 0,
            waits_for_key: true,
            ended: false,
            frames_sent: (0, 0),
            path: None,
            sound: SoundLink::default(),
            pictures: HeldPictures::default(),
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
            } => self.datagram(now, source, destination, bytes),
            Input::Servers(stun, turn) => self.set_servers(now, stun, turn),
            Input::Bound(generation, addresses) => self.bound(now, generation, &addresses),
            Input::Local(address) => self.local(now, address),
            Input::LocalGone(ip) => self.local_gone(now, ip),
            Input::Opened(stream, local) => {
                self.stream(now, stream, reach::Input::Opened(stream, local));
            }
            Input::Data(stream, bytes) => {
                self.stream(now, stream, reach::Input::Data(stream, bytes));
            }
            Input::Closed(stream, words) => {
                self.stream(now, stream, reach::Input::Closed(stream, &words));
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
            Input::SoundPlays(clock) => self.sound_plays(now, clock),
        }
        self.pump(now);
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let machine = match self.machine.poll_output() {
            MachineOutput::Timeout(at) => at,
            _ => None,
        };
        let all = [
            self.paths_deadline(),
            machine,
            self.recovery.deadline(),
            self.pictures.deadline(),
        ];
        Output::Timeout(all.into_iter().flatten().min())
    }

    fn timeout(&mut self, now: Instant) {
        self.machine.handle_input(now, MachineInput::Timeout);
        self.paths_timeout(now);
        self.show_pictures(now);
        self.recover(now);
    }

    fn session(&mut self, now: Instant, input: session::Input<'_>) {
        if let Some(path) = self.paths.first_mut() {
            // Only a description can be refused, and that has its own path.
            let _ = path.session.handle_input(now, input);
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
        let connected = (self.paths.first()).is_some_and(|path| path.session.is_connected());
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
        if self.paths.first().is_some_and(|path| path.side_open) {
            let told = self.side_told();
            self.session(now, session::Input::Side(&told));
        }
    }

    fn side_told(&self) -> Vec<u8> {
        let thin = self.is_thin && self.own.camera;
        let own = sound::with_copies(self.own);
        SideState { thin, ..own }.write()
    }

    fn take_budget(&mut self, now: Instant, budget: SendBudget) {
        let is_thin = budget.is_thin();
        if std::mem::replace(&mut self.is_thin, is_thin) != is_thin {
            self.tell_side(now);
        }
        self.sound_may(now, &budget);
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
            while self.pump_path(now) {
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
                    self.recovery = Recovery::default();
                    self.ciphers = None;
                    self.pictures.clear();
                    self.let_go(now, |_| true);
                    self.tell_refusal(&state);
                }
                self.outputs.push_back(Output::Event(Event::State(state)));
            }
            // The user is told by whoever made the machine.
            CallEvent::Incoming { .. } => {}
            CallEvent::MakeOffer { keys } => {
                if self.open_first(now, Role::Offerer, &keys) {
                    self.describe(now, 0);
                }
            }
            CallEvent::MakeAnswer {
                offer_sdp,
                candidates,
                keys,
            } => {
                if self.open_first(now, Role::Answerer, &keys) {
                    match self.apply(now, 0, &offer_sdp, &candidates) {
                        Ok(()) => self.describe(now, 0),
                        Err(words) => self.refuse(now, words),
                    }
                }
            }
            CallEvent::ApplyAnswer { sdp, candidates } => {
                if let Err(words) = self.apply(now, 0, &sdp, &candidates) {
                    self.refuse(now, words);
                }
            }
            CallEvent::MakeRestartOffer { generation } => self.want_path(generation, None),
            CallEvent::MakeRestartAnswer {
                generation,
                offer_sdp,
                candidates,
            } => self.want_path(generation, Some((offer_sdp, candidates))),
            CallEvent::ApplyRestartAnswer {
                generation,
                sdp,
                candidates,
            } => {
                if self.apply(now, generation, &sdp, &candidates).is_err() {
                    self.let_go(now, |path| path.generation == generation);
                }
            }
            CallEvent::RemoteCandidates(candidates) => self.add_candidates(now, &candidates),
        }
    }

    fn tell_refusal(&mut self, state: &CallState) {
        let is_networks = matches!(
            state,
            CallState::Ended(EndReason::FailedToConnect | EndReason::Lost | EndReason::FarHungUp)
        );
        if let Some(words) = self.peer_refused.take().filter(|_| is_networks) {
            let is_trouble = true;
            self.outputs
                .push_back(Output::Event(Event::Step { words, is_trouble }));
        }
    }

    /// The other side's description cannot be used.
    fn refuse(&mut self, now: Instant, words: String) {
        self.machine
            .handle_input(now, MachineInput::PeerIncompatible(words));
    }

    fn session_event(&mut self, now: Instant, generation: u32, event: session::Event) {
        let event = match event {
            session::Event::Connected => return self.stands(now, generation),
            session::Event::Interrupted => return self.silent(now, generation),
            session::Event::Resumed => return self.heard_again(now, generation),
            session::Event::Closed => return self.session_closed(now, generation),
            session::Event::Frame {
                track,
                bytes,
                seq: _,
                media_time,
                contiguous,
            } => {
                let media_time = match track {
                    Track::Audio => self.sound_time(generation, media_time),
                    Track::Video => media_time,
                };
                let mut frames = vec![(track, bytes.to_vec())];
                if let Some(path) = &mut self.path {
                    frames = path(track, &bytes);
                }
                for (track, bytes) in frames {
                    self.receive_frame(now, track, &bytes, media_time, contiguous);
                }
                self.leave_others(now, generation);
                return;
            }
            session::Event::KeyframeWanted => Event::KeyframeWanted,
            // What a session that does not carry the call measured is nobody's.
            session::Event::Budget(_)
            | session::Event::PicturesWait(_)
            | session::Event::Stats(_)
                if !self.is_current(generation) =>
            {
                return;
            }
            session::Event::Budget(budget) => return self.take_budget(now, budget),
            session::Event::PicturesWait(wait) => Event::PicturesWait(wait),
            session::Event::SideOpen => {
                let told = self.side_told();
                if let Some(path) = self.path(generation) {
                    path.side_open = true;
                    let _ = (path.session).handle_input(now, session::Input::Side(&told));
                }
                return;
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
                Event::Stats(self.with_skew(stats), self.undecryptable)
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
        match track {
            Track::Audio => self.receive_sound(now, opened, media_time),
            Track::Video => {
                if !contiguous && opened.kind != FrameKind::VideoKey {
                    self.break_video(now);
                }
                if opened.kind == FrameKind::VideoKey {
                    self.waits_for_key = false;
                } else if self.waits_for_key {
                    return self.session(now, session::Input::WantKeyframe);
                }
                let frame = EncodedFrame {
                    kind: opened.kind,
                    data: opened.frame,
                    captured_at: now,
                };
                self.take_picture(now, media_time, frame);
            }
        }
    }

    fn break_video(&mut self, now: Instant) {
        self.waits_for_key = true;
        self.session(now, session::Input::WantKeyframe);
    }
}

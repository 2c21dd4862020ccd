//! The call of a group as one machine: the protocol's messages and keys, and the session with the server. Sans-IO.
//!
//! ```text
//! frames ─▶ GroupCall::seal ─▶ GroupSession ─▶ datagrams ─▶ GroupSession ─▶ GroupCall::open ─▶ frames
//! handshakes, announcements ─▶ data channel ─▶ server ─▶ data channel ─▶ handshakes, announcements
//! ```
//!
//! It alone holds the media keys and the frame counter, so a nonce cannot be used twice. A frame that does not open
//! costs that frame: it is dropped and counted.

mod lips;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo_media::codec::vp8;
use hullo_media::frame::EncodedFrame;
use hullo_media::group_session::{
    self, Certificate, GroupSession, GroupSessionConfig, GroupSessionError, GroupSessionStats,
    OwnTrack,
};
use hullo_media::jitter::{AudioFrame, SoundClock};
use hullo_proto::frame::FrameKind;
use hullo_proto::group::group_call::{
    self, Event as CallEvent, GroupCall, Input as CallInput, LeftReason, Output as CallOutput,
    Refused,
};
use hullo_proto::group::handshake::Role;
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::key::{KeyError, PublicKey};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::media_receiver::OpenFrameError;
use hullo_proto::group::roster::Entry;
use hullo_proto::group::wire::{Capture, Device, JoinResponse, ParticipantName, View};
use hullo_proto::service::sfu::LayersWanted;
use rand_chacha::ChaCha20Rng;
use thiserror::Error;

use lips::Lips;

use super::end::GroupEnd;
use crate::event::Feed;

/// Where bandwidth estimation starts: a call over any DSL line.
const START_BITRATE_BPS: u64 = 600_000;
/// What we may send in all: beyond it the pictures of a terminal do not improve.
const DESIRED_BITRATE_BPS: u64 = 3_000_000;
/// How long a silent connection is kept. Shorter drops calls in tunnels, longer leaves people talking to nobody.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Pictures of which it is remembered that a layer was sent: more than the encoders' queues hold, two seconds.
const PICTURES_REMEMBERED_MAX: usize = 64;

/// What a call starts from.
pub struct Setup {
    /// The server's answer to the Join request.
    pub answer: JoinResponse,
    /// Whether the server tells which of our pictures anybody wants.
    pub has_wanted_channel: bool,
    /// Who we are, who the others may be, the call's key.
    pub config: group_call::Config,
    /// The certificate whose fingerprint was in the Join request.
    pub certificate: Certificate,
    /// Makes our keys.
    pub rng: ChaCha20Rng,
}

/// The call cannot begin.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The server's answer cannot be used.
    #[error(transparent)]
    Session(#[from] GroupSessionError),
    /// The call's keys cannot be used.
    #[error("the keys of this call cannot be used")]
    Key(#[from] KeyError),
}

/// One change.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time passed.
    Timeout,
    /// A datagram arrived on one of our addresses.
    Datagram {
        /// Its sender.
        source: SocketAddr,
        /// Ours.
        destination: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The group's members are these now, we too.
    Members(BTreeMap<Identity, PublicKey>),
    /// A device goes on or off.
    Capture(Device, bool),
    /// We go away, or come back.
    Hold(bool),
    /// Pictures of somebody are shown at this size now; `None`: not at all.
    View(ParticipantId, Feed, Option<View>),
    /// An encoder made a frame.
    Frame(OwnTrack, EncodedFrame),
    /// Our decoder of this picture cannot go on without a key frame.
    WantKeyframe(ParticipantId, Track),
    /// What of somebody our loudspeaker plays when; `None`: nothing now.
    SoundPlays(ParticipantId, Option<SoundClock>),
    /// We leave.
    Leave,
    /// Another call of the group took this one's place: the connection goes without a word.
    Abandon,
}

/// What comes out.
#[derive(Debug)]
pub enum Output {
    /// A datagram to send.
    Transmit {
        /// From this local address.
        source: SocketAddr,
        /// To this one.
        destination: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Something happened.
    Event(Event),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The server said hello: we are in the call.
    Joined,
    /// The connection went silent; it may come back.
    Interrupted,
    /// It came back.
    Resumed,
    /// Somebody is in the call, and proved to be this member.
    Came(ParticipantId, Identity),
    /// Somebody is gone; true: taken out of the group.
    Went(ParticipantId, bool),
    /// A device of somebody went on or off.
    Captured(ParticipantId, Capture),
    /// Somebody is away, or back.
    OnHold(ParticipantId, bool),
    /// A device of ours is to capture, or to stop.
    OwnCapture(Capture),
    /// What was asked for cannot be; words for the user.
    Refused(String),
    /// A frame of sound, opened.
    Audio(ParticipantId, AudioFrame),
    /// The sound of somebody must have at least this delay, so that the pictures are in time.
    SoundWait(ParticipantId, Duration),
    /// A frame of pictures, opened, when it is to be shown; false: frames before it are missing.
    Picture(ParticipantId, Track, EncodedFrame, bool),
    /// The first frame of a kind left.
    FirstSent(Track),
    /// The encoder of this stream must go on with a key frame.
    KeyframeWanted(OwnTrack),
    /// Which of our pictures anybody wants.
    Wanted(LayersWanted),
    /// The server ends soon.
    ServerEnds,
    /// What the network carries towards the server, bits per second.
    Estimate(u64),
    /// Figures of the last second.
    Stats(Box<GroupSessionStats>),
    /// The call is over for us. `None`: the connection broke before the server said hello.
    Ended(Option<GroupEnd>),
}

/// One call.
pub struct Engine {
    call: GroupCall,
    session: GroupSession,
    outputs: VecDeque<Output>,
    /// Those who proved who they are: nobody else comes or goes, as far as the outside is told.
    proven: BTreeMap<ParticipantId, Identity>,
    /// Pictures of which a frame did not open: the next one follows a hole.
    holes: BTreeSet<(ParticipantId, Track)>,
    undecryptable: BTreeMap<ParticipantId, u64>,
    frames_sent: [u64; 3],
    /// When the last pictures of the camera that were sent were captured.
    pictures_sent: BTreeSet<Instant>,
    is_joined: bool,
    lost_at: Option<Instant>,
    server_ends: bool,
    lips: Lips,
    ended: bool,
    identity: Option<Identity>,
}

impl Engine {
    /// A call that begins to connect, reachable at `addresses`.
    ///
    /// # Errors
    /// The server's answer or the call's key cannot be used.
    pub fn new(now: Instant, setup: Setup, addresses: &[SocketAddr]) -> Result<Self, SetupError> {
        let identity = match &setup.config.role {
            Role::Normal { identity, .. } => Some(*identity),
            Role::Guest { .. } => None,
        };
        let config = GroupSessionConfig {
            answer: setup.answer,
            certificate: setup.certificate,
            has_wanted_channel: setup.has_wanted_channel,
            start_bitrate_bps: START_BITRATE_BPS,
            desired_bitrate_bps: DESIRED_BITRATE_BPS,
        };
        let mut engine = Self {
            session: GroupSession::new(now, &config)?,
            call: GroupCall::new(now, setup.config, setup.rng)?,
            outputs: VecDeque::new(),
            proven: BTreeMap::new(),
            holes: BTreeSet::new(),
            undecryptable: BTreeMap::new(),
            frames_sent: [0; 3],
            pictures_sent: BTreeSet::new(),
            is_joined: false,
            lost_at: None,
            server_ends: false,
            lips: Lips::default(),
            ended: false,
            identity,
        };
        for address in addresses {
            engine.session(now, group_session::Input::LocalCandidate(*address));
        }
        engine.pump(now);
        Ok(engine)
    }

    /// Who we are.
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Whether the server said hello.
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Frames of this participant that did not open.
    pub fn undecryptable(&self, participant: ParticipantId) -> u64 {
        self.undecryptable.get(&participant).copied().unwrap_or(0)
    }

    /// Frames of everybody that did not open.
    pub fn undecryptable_in_all(&self) -> u64 {
        self.undecryptable.values().sum()
    }

    /// What was sealed and handed to the session: frames of the microphone, pictures of the camera (one in several layers
    /// counts once), pictures of the screen.
    pub fn frames_sent(&self) -> [u64; 3] {
        self.frames_sent
    }

    /// How often our media key was made anew, and that of a participant; each modulo 256.
    pub fn epochs(&self, participant: Option<ParticipantId>) -> Option<u8> {
        match participant {
            None => Some(self.call.sending_position().0),
            Some(id) => Some(self.call.receiving_position(id)?.0),
        }
    }

    /// Whether our microphone is on, as the call sees it.
    pub fn is_microphone_on(&self) -> bool {
        self.call.own().captures().microphone
    }

    /// How long the server has said nothing.
    pub fn silence(&self, now: Instant) -> Duration {
        // Who said that it ends is not waited for.
        match self.lost_at {
            Some(_) if self.server_ends => SILENCE_MAX,
            _ => self.session.silence(now),
        }
    }

    /// Whether sound reaches somebody and comes from somebody, or nobody else is there.
    pub fn carries_media(&self) -> bool {
        let is_alone = self.call.participants().next().is_none();
        self.is_joined && !self.ended && (is_alone || !self.proven.is_empty())
    }

    /// Everybody who proved to be a member, with what each does.
    pub fn people(&self) -> impl Iterator<Item = (Identity, Entry)> {
        let all = self.call.participants();
        all.filter_map(|entry| Some((*self.proven.get(&entry.id)?, entry)))
    }

    /// Goes on counting where the connection before this one ended.
    pub fn succeed(&mut self, before: &Self) {
        for (sent, more) in self.frames_sent.iter_mut().zip(before.frames_sent) {
            *sent += more;
        }
        for (id, count) in &before.undecryptable {
            *self.undecryptable.entry(*id).or_default() += count;
        }
    }

    /// Applies one change; drain [`Self::poll_output`] before the next.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Timeout => self.timeout(now),
            Input::Datagram {
                source,
                destination,
                bytes,
            } => self.session(
                now,
                group_session::Input::Receive {
                    source,
                    destination,
                    bytes,
                },
            ),
            Input::Members(members) => self.call(now, CallInput::Members(members)),
            Input::Capture(device, on) => self.call(now, CallInput::Capture(device, on)),
            Input::Hold(hold) => self.call(now, CallInput::Hold(hold)),
            Input::View(id, Feed::Camera, view) => self.call(now, CallInput::ViewCamera(id, view)),
            Input::View(id, Feed::Screen, view) => self.call(now, CallInput::ViewScreen(id, view)),
            Input::Frame(track, frame) => self.send_frame(now, track, &frame),
            Input::WantKeyframe(id, track) => {
                self.session(now, group_session::Input::WantKeyframe(id, track));
            }
            Input::SoundPlays(id, clock) => self.sound_plays(now, id, clock),
            Input::Leave => self.call(now, CallInput::Leave),
            Input::Abandon => {
                self.ended = true;
                self.session(now, group_session::Input::Close);
            }
        }
        self.pump(now);
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let session = match self.session.poll_output() {
            group_session::Output::Timeout(at) => at,
            _ => None,
        };
        let call = match self.call.poll_output() {
            CallOutput::Timeout(at) => at,
            _ => None,
        };
        let deadlines = [session, call, self.lost_at, self.lips.deadline()];
        Output::Timeout(deadlines.into_iter().flatten().min())
    }

    fn call(&mut self, now: Instant, input: CallInput<'_>) {
        self.call.handle_input(now, input);
    }

    fn session(&mut self, now: Instant, input: group_session::Input<'_>) {
        self.session.handle_input(now, input);
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn timeout(&mut self, now: Instant) {
        self.call(now, CallInput::Timeout);
        // One change each: what the first caused is drained before the second.
        self.drain_call(now);
        self.session(now, group_session::Input::Timeout);
        self.show_pictures(now);
        if self.lost_at.take_if(|at| *at <= now).is_some() {
            self.end(now, Some(GroupEnd::Lost));
        }
    }

    fn end(&mut self, now: Instant, end: Option<GroupEnd>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.lost_at = None;
            self.event(Event::Ended(end));
            self.session(now, group_session::Input::Close);
        }
    }

    fn send_frame(&mut self, now: Instant, own: OwnTrack, frame: &EncodedFrame) {
        if self.ended || !self.session.is_connected() {
            return;
        }
        // A device that is off, or a frame that has no place on the wire: the next one is as good.
        let Ok(sealed) = self.call.seal(own.track(), &frame.data) else {
            return;
        };
        if self.is_new_picture(own, frame.captured_at) {
            let sent = &mut self.frames_sent[own.track() as usize];
            *sent += 1;
            if *sent == 1 {
                self.event(Event::FirstSent(own.track()));
            }
        }
        let input = group_session::Input::Write {
            track: own,
            frame: sealed,
            captured_at: frame.captured_at,
        };
        self.session(now, input);
    }

    /// Whether no layer of this picture was sent before. Sound and the screen have no layers.
    fn is_new_picture(&mut self, own: OwnTrack, captured_at: Instant) -> bool {
        if !matches!(own, OwnTrack::Camera(_)) {
            return true;
        }
        let is_new = self.pictures_sent.insert(captured_at);
        if self.pictures_sent.len() > PICTURES_REMEMBERED_MAX {
            self.pictures_sent.pop_first();
        }
        is_new
    }

    /// Moves what the two machines have to say to each other and to the outside, until both are quiet.
    fn pump(&mut self, now: Instant) {
        loop {
            // Before each input of the call everything it said is taken.
            self.drain_call(now);
            match self.session.poll_output() {
                group_session::Output::Timeout(_) => return,
                group_session::Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => self.outputs.push_back(Output::Transmit {
                    source,
                    destination,
                    bytes,
                }),
                group_session::Output::Event(event) => self.session_event(now, event),
            }
        }
    }

    fn drain_call(&mut self, now: Instant) {
        loop {
            match self.call.poll_output() {
                CallOutput::Timeout(_) => return,
                CallOutput::Transmit(message) => {
                    self.session(now, group_session::Input::Message(&message));
                }
                CallOutput::Event(event) => self.call_event(now, event),
            }
        }
    }

    fn call_event(&mut self, now: Instant, event: CallEvent) {
        match event {
            CallEvent::Joined => {
                self.is_joined = true;
                self.event(Event::Joined);
            }
            CallEvent::ParticipantJoined(id) => self.session(now, group_session::Input::Expect(id)),
            CallEvent::Authenticated(id, ParticipantName::Normal(identity, _)) => {
                self.proven.insert(id, identity);
                self.event(Event::Came(id, identity));
            }
            CallEvent::ParticipantLeft(id, reason) => {
                self.session(now, group_session::Input::Forget(id));
                self.holes.retain(|(whose, _)| *whose != id);
                self.lips.forget(id);
                if self.proven.remove(&id).is_some() {
                    self.event(Event::Went(id, reason == LeftReason::Removed));
                }
            }
            CallEvent::Captured(id, capture) => self.event(Event::Captured(id, capture)),
            CallEvent::OnHold(id, hold) => self.event(Event::OnHold(id, hold)),
            CallEvent::OwnCapture(capture) => self.event(Event::OwnCapture(capture)),
            // The screen may ask for somebody who has just left.
            CallEvent::Refused(Refused::NoSuchParticipant) => {}
            CallEvent::Refused(refused) => self.event(Event::Refused(refused.to_string())),
            CallEvent::Warning(warning) => tracing::debug!(?warning, "something was dropped"),
            CallEvent::Ended(reason) => self.end(now, Some(reason.into())),
            // Only calls by link have guests and administrators.
            CallEvent::Authenticated(_, ParticipantName::Guest(_))
            | CallEvent::Administrator(_)
            | CallEvent::Promoted
            | CallEvent::Focus(_) => {}
        }
    }

    fn session_event(&mut self, now: Instant, event: group_session::Event) {
        match event {
            group_session::Event::Connected => {}
            group_session::Event::Interrupted => self.cut_off(now),
            group_session::Event::Resumed => {
                self.lost_at = None;
                self.event(Event::Resumed);
            }
            // It said that it ends, and may come back.
            group_session::Event::Closed if self.server_ends && self.is_joined => self.cut_off(now),
            group_session::Event::Closed => {
                self.end(now, self.is_joined.then_some(GroupEnd::Ended));
            }
            group_session::Event::Message(message) => self.call(now, CallInput::Received(&message)),
            group_session::Event::ServerEnds => {
                self.server_ends = true;
                self.event(Event::ServerEnds);
            }
            group_session::Event::Wanted(wanted) => self.event(Event::Wanted(wanted)),
            group_session::Event::Frame {
                participant,
                track,
                bytes,
                seq,
                media_time,
                contiguous,
            } => match self.call.open(now, participant, track, &bytes) {
                Ok(frame) => {
                    let of = (participant, track);
                    self.receive(now, of, frame, (seq, media_time), contiguous);
                }
                Err(error) => self.not_opened(now, participant, track, error),
            },
            group_session::Event::KeyframeWanted(track) => self.event(Event::KeyframeWanted(track)),
            group_session::Event::Estimate(bps) => self.event(Event::Estimate(bps)),
            group_session::Event::Stats(mut stats) => {
                stats.skew = self.lips.skew();
                self.event(Event::Stats(stats));
            }
        }
    }

    fn cut_off(&mut self, now: Instant) {
        self.lost_at = Some(now + SILENCE_MAX);
        self.event(Event::Interrupted);
    }

    fn receive(
        &mut self,
        now: Instant,
        (participant, track): (ParticipantId, Track),
        data: Vec<u8>,
        (seq, media_time_samples): (u64, u64),
        contiguous: bool,
    ) {
        if track == Track::Microphone {
            // Silence (DTX) is empty; the mixer makes its own.
            if !data.is_empty() {
                let frame = AudioFrame {
                    seq,
                    media_time_samples,
                    data,
                    is_copy: false,
                };
                self.event(Event::Audio(participant, frame));
            }
            return;
        }
        let kind = if vp8::is_key_frame(&data) {
            FrameKind::VideoKey
        } else {
            FrameKind::VideoDelta
        };
        let frame = EncodedFrame {
            kind,
            data,
            captured_at: now,
        };
        let follows_hole = self.holes.remove(&(participant, track)) || !contiguous;
        if track == Track::Camera {
            self.take_picture(now, participant, media_time_samples, (frame, !follows_hole));
        } else {
            self.event(Event::Picture(participant, track, frame, !follows_hole));
        }
    }

    fn not_opened(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        track: Track,
        error: OpenFrameError,
    ) {
        // A retransmission that was not needed, or the last words of somebody who left: no sign of a stranger.
        if matches!(
            error,
            OpenFrameError::Replayed | OpenFrameError::UnknownSender
        ) {
            return;
        }
        // Bounded by the range of the ids.
        *self.undecryptable.entry(participant).or_default() += 1;
        if track != Track::Microphone {
            self.holes.insert((participant, track));
            self.session(now, group_session::Input::WantKeyframe(participant, track));
        }
    }
}

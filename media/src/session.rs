//! One connection between two people: str0m's Direct API behind our own words. Sans-IO.
//!
//! ```text
//! new ── describe() ──▶ peer            SealedFrame ─▶ write ─▶ Transmit
//!     ◀─ handle(Describe / Candidate)   Receive ─▶ Event::Frame
//! ```
//!
//! The session moves sealed frames and knows no key: only a [`SealedFrame`] can be written, and what arrives is
//! handed on unopened. It never reads a clock and owns no socket. After each input it is drained to
//! [`Output::Timeout`] (str0m's single-mutation rule), which [`Session::handle_input`] asserts.
//!
//! Sources: RFC 8445 (ICE), RFC 8829 (roles), str0m 0.25 `direct_api`.

mod audio_clock;
mod early;
mod hearing;
mod parity;
mod path;
mod repair;
mod send;
mod setup;
mod stats;
mod ways;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::frame::SealedFrame;
use str0m::bwe::{Bitrate, BweKind};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::ice::IceCreds;
use str0m::media::KeyframeRequestKind;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Rtc};

pub(crate) use audio_clock::{AudioClock, FRAME_TICKS};
pub use path::SendBudget;
pub use setup::{Role, SessionError, Track};
pub use stats::{SessionStats, TrackStats};

use crate::reach::LocalCandidate;
use crate::sdp::Description;
use hearing::Hearing;

/// Largest datagram taken from the network. Larger ones are no WebRTC.
pub const DATAGRAM_BYTES_MAX: usize = 2_000;

/// Remote candidates taken per session. A description that lists more lies or is broken.
const CANDIDATES_MAX: usize = 32;

/// Side-channel message size: switches and sizes, nothing long.
pub const SIDE_BYTES_MAX: usize = 1_024;

/// Fastest that keyframe requests are repeated. Lower heals sooner, higher spares the sender's rate.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// What the session starts from.
pub struct SessionConfig {
    /// Who wrote the offer.
    pub role: Role,
    /// Who answers controls ICE, rather than who offers (RFC 8445 §6.1.1): both must know. The one who answers knows the
    /// other side's description first and needs no more than one round trip to nominate; the offerer waits for the answer.
    pub answerer_leads: bool,
    /// Estimate to start from, bits per second.
    pub start_bitrate_bps: u64,
    /// What we would like to send in all, bits per second; probing stops there.
    pub desired_bitrate_bps: u64,
    /// Pictures are to be sent from the beginning; they may also come later.
    pub pictures: bool,
    /// Both programs said that they start the side channel.
    pub side_channel: bool,
    /// The peer's program reads parity over the packets of a picture.
    pub peer_takes_parity: bool,
}

/// SCTP stream of the side channel, agreed without a handshake on it.
const SIDE_CHANNEL: u16 = 0;

/// One change.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time passed.
    Timeout,
    /// A datagram arrived.
    Receive {
        /// Who sent it.
        source: SocketAddr,
        /// The local address it came to: a candidate's.
        destination: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// One of our own addresses may be used.
    LocalCandidate(LocalCandidate),
    /// One of them is no longer ours.
    LocalGone(LocalCandidate),
    /// The peer told a candidate, as a `candidate:…` line. Unusable ones are counted and ignored (mDNS, TCP).
    RemoteCandidate(&'a str),
    /// The peer's description.
    Describe(&'a Description),
    /// A frame to send. Before the connection stands, and when the pacer's queue is long, it is dropped and counted.
    Write {
        /// Whose.
        track: Track,
        /// Sealed: nothing else can be written.
        frame: SealedFrame,
        /// When it was captured.
        captured_at: Instant,
    },
    /// The decoder cannot go on without a key frame.
    WantKeyframe,
    /// Pictures wait for one another no longer than this: their sound cannot follow.
    PictureWait(Duration),
    /// A message for the peer's side channel. At most [`SIDE_BYTES_MAX`] bytes.
    Side(&'a [u8]),
    /// Say goodbye.
    Close,
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
    /// ICE and DTLS stand: frames flow.
    Connected,
    /// No answer from the peer for a while; it may come back.
    Interrupted,
    /// It came back.
    Resumed,
    /// The peer closed the connection, or it broke for good.
    Closed,
    /// A sealed frame arrived whole.
    Frame {
        /// Whose.
        track: Track,
        /// Sealed bytes.
        bytes: Arc<[u8]>,
        /// Sequence number of its first packet, unwrapped.
        seq: u64,
        /// RTP time in the track's clock (48 kHz or 90 kHz), unwrapped.
        media_time: u64,
        /// False when packets before it are missing.
        contiguous: bool,
    },
    /// The peer wants a key frame from us.
    KeyframeWanted,
    /// What may be sent from now on.
    Budget(SendBudget),
    /// True: pictures wait too long to be sent, so none should be encoded until it is false.
    PicturesWait(bool),
    /// The side channel stands.
    SideOpen,
    /// A message on the side channel.
    Side(Vec<u8>),
    /// Figures of the last second.
    Stats(Box<SessionStats>),
}

/// One connection to one peer.
pub struct Session {
    rtc: Rtc,
    role: Role,
    epoch: Instant,
    now: Instant,
    outputs: VecDeque<Output>,
    next_timeout: Option<Instant>,
    has_side_channel: bool,
    side: Option<ChannelId>,
    side_open: bool,
    tracks: setup::Tracks,
    described: bool,
    connected: bool,
    hearing: Hearing,
    early: early::Early,
    closed: bool,
    candidates: usize,
    local_candidates: Vec<Candidate>,
    remote_candidates: Vec<Candidate>,
    last_keyframe_request: Option<Instant>,
    path: path::Path,
    repair: repair::Repair,
    parity: (parity::ParityOut, parity::ParityIn),
    stats: stats::Collector,
}

impl Session {
    /// A session that waits for candidates and the peer's description.
    ///
    /// # Panics
    /// Never for input of the peer; DTLS needs the process-wide crypto provider, which this installs.
    pub fn new(now: Instant, config: &SessionConfig) -> Self {
        let (mut rtc, tracks) = setup::rtc(now, config);
        rtc.bwe()
            .set_bitrate(Bitrate::from(0), Bitrate::from(config.desired_bitrate_bps));
        let mut session = Self {
            rtc,
            role: config.role,
            epoch: now,
            now,
            outputs: VecDeque::new(),
            next_timeout: None,
            has_side_channel: config.side_channel,
            side: None,
            side_open: false,
            tracks,
            described: false,
            connected: false,
            hearing: Hearing::default(),
            early: early::Early::default(),
            closed: false,
            candidates: 0,
            local_candidates: Vec::new(),
            remote_candidates: Vec::new(),
            last_keyframe_request: None,
            path: path::Path::new(now, config),
            repair: repair::Repair::default(),
            parity: (
                parity::ParityOut::new(config.peer_takes_parity),
                parity::ParityIn::default(),
            ),
            stats: stats::Collector::default(),
        };
        session.drain();
        session
    }

    /// Our side's description, to be sent to the peer.
    pub fn describe(&mut self) -> Description {
        setup::describe(&mut self.rtc, self.role, &self.tracks)
    }

    /// Counts media time from here rather than from the session's beginning, so that it goes on in a session that takes
    /// another's place.
    pub fn count_from(&mut self, epoch: Instant) {
        self.epoch = epoch;
    }

    /// Our candidates as `candidate:…` lines.
    pub fn local_candidates(&self) -> Vec<String> {
        let lines = self.local_candidates.iter();
        lines.map(Candidate::to_sdp_string).collect()
    }

    /// Whether frames flow.
    pub fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    /// Applies one change, then drains str0m into the queue of outputs.
    ///
    /// # Errors
    /// [`SessionError`] when the peer's description contradicts itself or what we can do. The session stays usable.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), SessionError> {
        self.now = self.now.max(now);
        if self.closed {
            return Ok(());
        }
        let result = self.apply(input);
        self.drain();
        self.take_early();
        self.listen();
        self.tend_path();
        result
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => {
                let own = self.next_timeout.map(|at| self.next_look(at));
                let silence = self.hearing.deadline().filter(|_| !self.closed);
                Output::Timeout([own, silence].into_iter().flatten().min())
            }
        }
    }

    fn apply(&mut self, input: Input<'_>) -> Result<(), SessionError> {
        match input {
            Input::Timeout => self.feed(None),
            Input::Receive {
                source,
                destination,
                bytes,
            } => self.receive(source, destination, bytes),
            Input::LocalCandidate(candidate) => self.add_local(candidate),
            Input::LocalGone(candidate) => self.remove_local(candidate),
            Input::RemoteCandidate(line) => self.remote_candidate(line),
            Input::Describe(description) => return self.apply_description(description),
            Input::Write {
                track,
                frame,
                captured_at,
            } => self.write(track, frame, captured_at),
            Input::WantKeyframe => self.request_keyframe(),
            Input::PictureWait(wait) => self.repair.set_wait_max(wait),
            Input::Side(message) => self.write_side(message),
            Input::Close => {
                // Failing to say goodbye leaves nothing to do: the peer notices by itself.
                let _ = self.rtc.close();
            }
        }
        Ok(())
    }

    fn feed(&mut self, receive: Option<Receive<'_>>) {
        let input = match receive {
            Some(receive) => str0m::Input::Receive(self.now, receive),
            None => str0m::Input::Timeout(self.now),
        };
        if self.rtc.handle_input(input).is_err() {
            self.stats.refused_datagrams += 1;
        }
    }

    fn receive(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        if bytes.len() > DATAGRAM_BYTES_MAX || !self.accepts(source, destination, bytes) {
            let is_kept = !self.connected
                && bytes.len() <= DATAGRAM_BYTES_MAX
                && self.early.keep(source, destination, bytes);
            self.stats.refused_datagrams += u64::from(!is_kept);
            return;
        }
        if !self.connected {
            self.early.heard(source, bytes);
        }
        self.stats.received(bytes.len());
        self.path.received(self.now, bytes);
        self.repair.arrived(self.now, bytes);
        if self.connected && self.hearing.note(self.now, source, bytes) {
            self.outputs.push_back(Output::Event(Event::Resumed));
        }
        if !parity::ParityIn::is_parity(bytes) {
            self.feed_datagram(source, destination, bytes);
        }
        for made in self.parity.1.came(self.now, bytes) {
            self.stats.recovered += 1;
            self.drain();
            self.repair.arrived(self.now, &made);
            self.feed_datagram(source, destination, &made);
        }
    }

    fn feed_datagram(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        match Receive::new(Protocol::Udp, source, destination, bytes) {
            Ok(receive) => self.feed(Some(receive)),
            Err(_) => self.stats.refused_datagrams += 1,
        }
    }

    fn remote_candidate(&mut self, line: &str) {
        self.candidates += 1;
        if self.candidates > CANDIDATES_MAX {
            return;
        }
        match Candidate::from_sdp_string(line.trim()) {
            Ok(candidate) if candidate.proto() == Protocol::Udp => {
                self.remote_candidates.push(candidate.clone());
                self.rtc.add_remote_candidate(candidate);
            }
            _ => self.stats.refused_candidates += 1,
        }
        self.feed(None);
    }

    fn apply_description(&mut self, description: &Description) -> Result<(), SessionError> {
        if self.described {
            return Err(SessionError::DescribedTwice);
        }
        setup::check(self.role, description)?;
        let creds = IceCreds {
            ufrag: description.ice_ufrag.clone(),
            pass: description.ice_pwd.clone(),
        };
        self.rtc.direct_api().set_remote_ice_credentials(creds);
        self.drain();
        setup::expect_streams(&mut self.rtc, description);
        self.drain();
        let active = setup::is_dtls_client(self.role, description);
        if self.rtc.direct_api().start_dtls(active).is_err() {
            return Err(SessionError::Dtls);
        }
        self.drain();
        if self.has_side_channel {
            let mut api = self.rtc.direct_api();
            api.start_sctp(active);
            self.side = Some(api.create_data_channel(ChannelConfig {
                label: "hullo".to_owned(),
                ordered: true,
                reliability: Reliability::Reliable,
                negotiated: Some(SIDE_CHANNEL),
                protocol: String::new(),
            }));
        }
        self.described = true;
        self.feed(None);
        Ok(())
    }

    fn request_keyframe(&mut self) {
        let due = self.last_keyframe_request.is_none_or(|last| {
            self.now.saturating_duration_since(last) >= KEYFRAME_REQUEST_INTERVAL
        });
        if !due || !self.connected {
            return;
        }
        let mid = self.tracks.mid(Track::Video);
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_rx_by_mid(mid, None) else {
            return;
        };
        stream.request_keyframe(KeyframeRequestKind::Pli);
        self.last_keyframe_request = Some(self.now);
        self.stats.keyframe_requests += 1;
    }

    fn write_side(&mut self, message: &[u8]) {
        let Some(mut channel) = self
            .side
            .filter(|_| self.side_open)
            .and_then(|id| self.rtc.channel(id))
        else {
            return;
        };
        if message.len() > SIDE_BYTES_MAX || !matches!(channel.write(false, message), Ok(true)) {
            self.stats.unsent_side += 1;
        }
    }

    /// Moves everything str0m has to say into our queue; the end of each change.
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(at)) => {
                    self.next_timeout = self.rtc.is_alive().then_some(at);
                    break;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    if !self.path.sending(self.now, &transmit.contents) {
                        continue;
                    }
                    self.stats.sent(transmit.contents.len());
                    let (source, destination) = (transmit.source, transmit.destination);
                    let bytes: Vec<u8> = transmit.contents.into();
                    let parity = self.parity.0.leaving(self.now, &bytes);
                    self.transmit(source, destination, bytes);
                    self.transmit_parity(source, destination, parity);
                }
                Ok(str0m::Output::Event(event)) => self.translate(event),
                Err(_) => {
                    self.close();
                    break;
                }
            }
        }
        if !self.rtc.is_alive() {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.next_timeout = None;
            self.outputs.push_back(Output::Event(Event::Closed));
        }
    }

    fn translate(&mut self, event: str0m::Event) {
        let event = match event {
            str0m::Event::Connected if !self.connected => {
                self.connected = true;
                self.hearing.begin(self.now);
                Event::Connected
            }
            str0m::Event::MediaData(data) => {
                let Some(track) = self.tracks.track(data.mid) else {
                    return;
                };
                return self.frame_came(track, data);
            }
            str0m::Event::KeyframeRequest(request)
                if request.mid == self.tracks.mid(Track::Video) =>
            {
                Event::KeyframeWanted
            }
            str0m::Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.path.estimate(estimate.as_u64());
                return;
            }
            str0m::Event::AppSpecificFeedback(feedback) => {
                if self.path.take_report(self.now, &feedback.payload)
                    && let Some(loss) = self.path.random_loss()
                {
                    self.parity.0.lost(self.now, loss);
                }
                return;
            }
            str0m::Event::ChannelOpen(id, _) if Some(id) == self.side => {
                self.side_open = true;
                Event::SideOpen
            }
            str0m::Event::ChannelData(data)
                if Some(data.id) == self.side && data.data.len() <= SIDE_BYTES_MAX =>
            {
                Event::Side(data.data)
            }
            str0m::Event::PeerStats(peer) => {
                let mut stats = self.stats.peer(self.now, &peer, &self.path);
                let pair = peer.selected_candidate_pair.as_ref();
                stats.pair = pair.map(|pair| self.pair_kinds(pair));
                Event::Stats(Box::new(stats))
            }
            str0m::Event::MediaIngressStats(media) => {
                if let Some(track) = self.tracks.track(media.mid) {
                    self.stats.ingress(track, &media);
                }
                return;
            }
            str0m::Event::MediaEgressStats(media) => {
                if let Some(track) = self.tracks.track(media.mid) {
                    self.stats.egress(track, &media);
                }
                return;
            }
            // The close event itself follows when nothing is left to send.
            _ => return,
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// Hands a sound on at once, a picture when its turn has come.
    fn frame_came(&mut self, track: Track, data: str0m::media::MediaData) {
        self.stats.frame(track, data.data.len());
        let (seq, media_time) = (**data.seq_range.start(), data.time.numer());
        let frame = Event::Frame {
            track,
            seq,
            media_time,
            contiguous: data.contiguous,
            bytes: data.data,
        };
        if track == Track::Video {
            let is_lossy = self.parity.1.is_lossy(self.now);
            self.repair.picture(self.now, media_time, frame, is_lossy);
        } else {
            self.path.sound_came(seq);
            self.outputs.push_back(Output::Event(frame));
        }
    }
}

#[cfg(test)]
mod tests;

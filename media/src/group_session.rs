//! Our connection to the SFU of a group call: str0m's Direct API behind our own words. Sans-IO.
//!
//! ```text
//! Certificate ── fingerprint ──▶ Join request          Join answer ─▶ GroupSession::new
//! SealedGroupFrame ─▶ Write ─▶ Transmit                Receive ─▶ Event::Frame
//! GroupCall's Transmit ─▶ Message ─▶ data channel 0    data channel 0 ─▶ Event::Message ─▶ GroupCall's Received
//! GroupCall's ParticipantJoined / Left ─▶ Expect / Forget
//! ```
//!
//! The session moves sealed frames and knows no key: only a [`SealedGroupFrame`] can be written, and what arrives is
//! handed on unopened. It never reads a clock and owns no socket. The contract is that of [`crate::session`]: one change,
//! then drain to [`Output::Timeout`].
//!
//! A person may have two sessions at once: when a connection is lost, a second Join gives a new participant, whose session
//! runs beside the old one until it carries media.
//!
//! Sources: the group-call protocol's facts, section 3; RFC 8445 (ICE), RFC 8852 (rid), str0m 0.25 `direct_api`.

mod contract;
mod people;
mod setup;
mod stats;
mod track;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use std::time::{Duration, Instant};

use hullo_proto::group::media_frame::{SealedGroupFrame, Track};
use hullo_proto::service::sfu::{ENDING, LayersWanted, MESSAGE_LEN_MAX, ParticipantId};
use str0m::bwe::{Bitrate, BweKind};
use str0m::media::{Frequency, KeyframeRequestKind, MediaTime, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, IceConnectionState, Rtc};

pub use contract::{Event, GroupSessionConfig, Input, Output};
pub use people::PARTICIPANTS_MAX;
pub use setup::{Certificate, CertificateError, GroupSessionError};
pub use stats::GroupSessionStats;
pub use track::{Layer, OwnTrack};

use crate::session::{AudioClock, DATAGRAM_BYTES_MAX, FRAME_TICKS};
use people::{Admission, People, forget_stream, ssrc_of_rtp};
use setup::{Channels, OPUS_PT, UNREAD_BYTES_MAX, VP8_PT, mid_of, own_track, rid_of};

/// Pictures of one stream waiting to be paced out; above this the frame is dropped and counted. More means a longer delay
/// before a freeze is noticed, fewer means needless drops at key frames.
const VIDEO_QUEUE_MAX: Duration = Duration::from_millis(250);

/// Fastest that one person's key frame is asked for again. Lower heals sooner, higher spares the sender's rate.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(300);

/// Fastest that key frames of one stream of ours are asked for: an SFU that asks without end must not make every frame one.
const KEYFRAME_WANTED_INTERVAL: Duration = Duration::from_millis(300);

/// Without a datagram of the SFU for this long the connection counts as interrupted: three of the checks that the SFU must
/// answer (the session sends one a second) went unheard. Shorter takes a stumble for an end, longer keeps people talking into
/// nothing.
pub const SILENCE_MAX: Duration = Duration::from_millis(3_500);

/// Local addresses taken per session: each network of this machine, in both IP versions, and where it moved to.
const LOCAL_CANDIDATES_MAX: usize = 32;

/// Longest message given to the SFU: what it must take from a client that announces no limit (RFC 8841 section 6.1), and
/// what our own takes. A call's state for 100 people has a third of it.
pub const MESSAGE_BYTES_SENDING_MAX: usize = 65_536;

/// Bytes of messages that wait for the data channel: it opens within a second, and nobody speaks before the SFU said hello.
const MESSAGE_BYTES_WAITING_MAX: usize = UNREAD_BYTES_MAX;

/// One connection to the SFU.
pub struct GroupSession {
    rtc: Rtc,
    own: ParticipantId,
    channels: Channels,
    epoch: Instant,
    now: Instant,
    outputs: VecDeque<Output>,
    next_timeout: Option<Instant>,
    audio_clock: AudioClock,
    people: People,
    /// Messages that found no room yet, in order, and their bytes.
    waiting: (VecDeque<Vec<u8>>, usize),
    local_candidates: usize,
    connected: bool,
    interrupted: bool,
    closed: bool,
    heard_at: Instant,
    keyframes_asked: BTreeMap<(ParticipantId, Track), Instant>,
    keyframes_told: BTreeMap<OwnTrack, Instant>,
    stats: stats::Collector,
}

impl GroupSession {
    /// A session that waits for [`Input::LocalCandidate`].
    ///
    /// # Errors
    /// The SFU's answer cannot be used.
    pub fn new(now: Instant, config: &GroupSessionConfig) -> Result<Self, GroupSessionError> {
        let (rtc, channels) = setup::rtc(now, config)?;
        let mut session = Self {
            rtc,
            own: config.answer.participant_id,
            channels,
            epoch: now,
            now,
            outputs: VecDeque::new(),
            next_timeout: None,
            audio_clock: AudioClock::default(),
            people: People::new(now),
            waiting: (VecDeque::new(), 0),
            local_candidates: 0,
            connected: false,
            interrupted: false,
            closed: false,
            heard_at: now,
            keyframes_asked: BTreeMap::new(),
            keyframes_told: BTreeMap::new(),
            stats: stats::Collector::default(),
        };
        session.drain();
        Ok(session)
    }

    /// Our id in this session.
    #[must_use]
    pub fn participant_id(&self) -> ParticipantId {
        self.own
    }

    /// Whether frames flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected && !self.interrupted && !self.closed
    }

    /// Whether it is over: after [`Input::Close`] only when the last goodbye is out, which takes some more deadlines.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How long the SFU has said nothing; zero before the connection stands.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        if self.connected && !self.closed {
            now.saturating_duration_since(self.heard_at)
        } else {
            Duration::ZERO
        }
    }

    /// Applies one change, then drains str0m into the queue of outputs. After [`Event::Closed`] nothing changes.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.closed {
            return;
        }
        self.apply(input);
        self.drain();
        self.write_waiting();
        self.look_at_silence();
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => {
                let silence = (self.connected && !self.interrupted && !self.closed)
                    .then(|| self.heard_at + SILENCE_MAX);
                let next = [self.next_timeout, silence];
                Output::Timeout(next.into_iter().flatten().min())
            }
        }
    }

    fn apply(&mut self, input: Input<'_>) {
        match input {
            Input::Timeout => self.feed(None),
            Input::Receive {
                source,
                destination,
                bytes,
            } => self.receive(source, destination, bytes),
            Input::LocalCandidate(address) => self.local_candidate(address),
            Input::Message(message) => self.message(message),
            Input::Expect(id) => {
                if id != self.own && !self.people.expect(&mut self.rtc, id) {
                    tracing::debug!("the streams of a participant are not taken");
                }
            }
            Input::Forget(id) => {
                if id != self.own {
                    self.people.forget(&mut self.rtc, id);
                    self.keyframes_asked.retain(|(whose, _), _| *whose != id);
                }
            }
            Input::Write {
                track,
                frame,
                captured_at,
            } => self.write(track, frame, captured_at),
            Input::WantKeyframe(id, track) => self.request_keyframe(id, track),
            Input::DesiredBitrate(bps) => {
                self.rtc
                    .bwe()
                    .set_bitrate(Bitrate::from(0), Bitrate::from(bps));
            }
            Input::Close => {
                // Without a connection there is nobody to say goodbye to: the SFU notices by itself.
                if !self.connected || self.rtc.close().is_err() {
                    self.close();
                }
            }
        }
    }

    fn feed(&mut self, receive: Option<Receive<'_>>) {
        let input = match receive {
            Some(receive) => str0m::Input::Receive(self.now, receive),
            None => str0m::Input::Timeout(self.now),
        };
        if self.rtc.handle_input(input).is_err() {
            self.stats.current.refused_datagrams += 1;
        }
    }

    fn receive(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        let parse = || Receive::new(Protocol::Udp, source, destination, bytes).ok();
        let accepted = bytes.len() <= DATAGRAM_BYTES_MAX
            && parse()
                .is_some_and(|receive| self.rtc.accepts(&str0m::Input::Receive(self.now, receive)));
        let admission = if accepted {
            ssrc_of_rtp(bytes).map_or(Admission::Admitted, |ssrc| {
                self.people.admit(self.now, ssrc)
            })
        } else {
            Admission::Refused
        };
        match admission {
            Admission::Refused => {
                self.stats.current.refused_datagrams += 1;
                return;
            }
            Admission::Replaces(old) => {
                forget_stream(&mut self.rtc, old);
                self.drain();
            }
            Admission::Admitted => {}
        }
        self.stats.received(bytes.len());
        self.heard_at = self.now;
        self.feed(parse());
    }

    fn local_candidate(&mut self, address: SocketAddr) {
        if self.local_candidates < LOCAL_CANDIDATES_MAX
            && let Ok(candidate) = Candidate::host(address, "udp")
        {
            self.local_candidates += 1;
            self.rtc.add_local_candidate(candidate);
        }
        self.feed(None);
    }

    /// A lost message would put the two ends' counters apart for good, so one that cannot be kept ends the session.
    fn message(&mut self, message: &[u8]) {
        let (queue, bytes) = &mut self.waiting;
        if message.len() > MESSAGE_BYTES_SENDING_MAX
            || *bytes + message.len() > MESSAGE_BYTES_WAITING_MAX
        {
            tracing::warn!("the server does not take our messages: the connection is given up");
            self.close();
            return;
        }
        *bytes += message.len();
        queue.push_back(message.to_vec());
    }

    /// Gives the data channel what waits, one message and one drain at a time.
    fn write_waiting(&mut self) {
        while self.connected && !self.closed {
            let Some(message) = self.waiting.0.front() else {
                return;
            };
            let Some(mut channel) = self.rtc.channel(self.channels.messages) else {
                return;
            };
            match channel.write(true, message) {
                Ok(true) => {
                    let written = self
                        .waiting
                        .0
                        .pop_front()
                        .map_or(0, |message| message.len());
                    self.waiting.1 -= written;
                }
                // No room until the SFU acknowledged some.
                Ok(false) => return,
                Err(_) => return self.close(),
            }
            self.drain();
        }
    }

    fn write(&mut self, track: OwnTrack, frame: SealedGroupFrame, captured_at: Instant) {
        // Nothing goes on the wire for silence (DTX), and a frame sealed for another track would not open.
        if !self.is_connected() || frame.is_empty() || frame.track() != track.track() {
            self.stats.current.unsent_frames += 1;
            return;
        }
        let (mid, rid) = (mid_of(self.own, track.track()), rid_of(track));
        if track != OwnTrack::Microphone && self.queue_delay(track) > VIDEO_QUEUE_MAX {
            self.stats.current.unsent_frames += 1;
            // A hole in the stream: what follows cannot be decoded without a key frame.
            self.keyframe_wanted(track);
            return;
        }
        let since_epoch = captured_at.saturating_duration_since(self.epoch);
        let (pt, time) = if track == OwnTrack::Microphone {
            let ticks = self.audio_clock.ticks(since_epoch, FRAME_TICKS);
            (OPUS_PT, MediaTime::new(ticks, Frequency::FORTY_EIGHT_KHZ))
        } else {
            let ticks = u64::try_from(since_epoch.as_micros() * 9 / 100).unwrap_or(u64::MAX);
            (VP8_PT, MediaTime::new(ticks, Frequency::NINETY_KHZ))
        };
        self.stats.sending(track, frame.len(), frame.is_key_frame());
        let Some(mut writer) = self.rtc.writer(mid) else {
            return;
        };
        if let Some(rid) = rid {
            writer = writer.rid(rid);
        }
        let pt = Pt::new_with_value(pt);
        if writer
            .write(pt, self.now, time, frame.into_bytes())
            .is_err()
        {
            self.stats.current.unsent_frames += 1;
        }
    }

    fn queue_delay(&mut self, track: OwnTrack) -> Duration {
        let (mid, rid) = (mid_of(self.own, track.track()), rid_of(track));
        let now = self.now;
        let mut api = self.rtc.direct_api();
        let info = api
            .stream_tx_by_mid(mid, rid)
            .and_then(|stream| stream.queue_info());
        info.filter(|info| info.packet_count() > 0)
            .and_then(|info| info.first_unsent())
            .map_or(Duration::ZERO, |queued| {
                now.saturating_duration_since(queued)
            })
    }

    fn request_keyframe(&mut self, id: ParticipantId, track: Track) {
        let (mid, now) = (mid_of(id, track), self.now);
        let is_due =
            |last: &Instant| now.saturating_duration_since(*last) >= KEYFRAME_REQUEST_INTERVAL;
        let due = self.keyframes_asked.get(&(id, track)).is_none_or(is_due);
        if !due || !self.connected || self.people.of(mid).is_none() {
            return;
        }
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_rx_by_mid(mid, None) else {
            return;
        };
        stream.request_keyframe(KeyframeRequestKind::Pli);
        self.keyframes_asked.insert((id, track), self.now);
        self.stats.current.keyframe_requests += 1;
    }

    fn keyframe_wanted(&mut self, track: OwnTrack) {
        let due = self.keyframes_told.get(&track).is_none_or(|last| {
            self.now.saturating_duration_since(*last) >= KEYFRAME_WANTED_INTERVAL
        });
        if due {
            self.keyframes_told.insert(track, self.now);
            self.event(Event::KeyframeWanted(track));
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
                    self.stats.sent(transmit.contents.len());
                    self.outputs.push_back(Output::Transmit {
                        source: transmit.source,
                        destination: transmit.destination,
                        bytes: transmit.contents.into(),
                    });
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
            self.waiting = (VecDeque::new(), 0);
            self.event(Event::Closed);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn translate(&mut self, event: str0m::Event) {
        match event {
            str0m::Event::ChannelOpen(id, _) if id == self.channels.messages && !self.connected => {
                self.connected = true;
                self.event(Event::Connected);
            }
            str0m::Event::ChannelData(data) => self.heard(data.id, data.data),
            str0m::Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.set_interrupted(true);
            }
            str0m::Event::MediaData(data) => {
                let Some(from) = self.people.of(data.mid) else {
                    return;
                };
                self.stats.frame(from, data.data.len());
                let (participant, track) = from;
                self.event(Event::Frame {
                    participant,
                    track,
                    seq: **data.seq_range.start(),
                    media_time: data.time.numer(),
                    contiguous: data.contiguous,
                    bytes: data.data,
                });
            }
            str0m::Event::KeyframeRequest(request) => {
                match own_track(self.own, request.mid, request.rid) {
                    Some(OwnTrack::Microphone) | None => {}
                    Some(track) => self.keyframe_wanted(track),
                }
            }
            str0m::Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.stats.current.estimate_bps = Some(estimate.as_u64());
                self.event(Event::Estimate(estimate.as_u64()));
            }
            str0m::Event::PeerStats(peer) => {
                let stats = self.stats.report(&peer);
                self.event(Event::Stats(Box::new(stats)));
            }
            str0m::Event::MediaIngressStats(media) => {
                if let Some(from) = self.people.of(media.mid) {
                    self.stats.ingress(from, &media);
                }
            }
            str0m::Event::MediaEgressStats(media) => {
                if let Some(track) = own_track(self.own, media.mid, media.rid) {
                    self.stats.egress(track, &media);
                }
            }
            // The close event itself follows when nothing is left to send.
            _ => {}
        }
    }

    fn heard(&mut self, channel: str0m::channel::ChannelId, bytes: Vec<u8>) {
        if channel == self.channels.messages && bytes.len() <= MESSAGE_LEN_MAX {
            return self.event(Event::Message(bytes));
        }
        if Some(channel) == self.channels.wanted && bytes == ENDING {
            return self.event(Event::ServerEnds);
        }
        match LayersWanted::decode(&bytes) {
            Ok(wanted) if Some(channel) == self.channels.wanted => {
                self.event(Event::Wanted(wanted));
            }
            _ => self.stats.current.refused_messages += 1,
        }
    }

    /// The library notices only after half a minute that nobody answers.
    fn look_at_silence(&mut self) {
        let silent = self.now.saturating_duration_since(self.heard_at);
        if self.connected {
            self.set_interrupted(silent >= SILENCE_MAX);
        }
    }

    fn set_interrupted(&mut self, interrupted: bool) {
        if self.interrupted != interrupted && self.connected && !self.closed {
            self.interrupted = interrupted;
            self.event(if interrupted {
                Event::Interrupted
            } else {
                Event::Resumed
            });
        }
    }
}

#[cfg(test)]
mod tests;

//! One participant's connection: the WebRTC stack, what it sends and what it is sent.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{CallId, ENDING, LayersWanted, ParticipantId};
use str0m::bwe::{Bitrate, BweKind};
use str0m::channel::ChannelId;
use str0m::ice::IceCreds;
use str0m::media::{KeyframeRequestKind, MediaKind, Mid, Rid};
use str0m::net::{DatagramSend, Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Event as RtcEvent, Input, Output, PacerReason, Reason, Rtc};

use super::down::Down;
use super::keyframe::KeyframeRequests;
use super::layer::{LAYERS, Layer};
use super::line::Line;
use super::source::{Admission, Feed, Sources, Stream};
use super::stack::{
    Connection, PT_OPUS, PT_VP8, RESEND_PACKETS_MAX, RESEND_RATIO_MAX, RESEND_TIME,
    UNREAD_BYTES_MAX,
};
use super::stun::ssrc_of_rtp;

/// Addresses of one participant at once: each network it has, in both IP versions, and one it moved to.
pub(super) const ADDRESSES_MAX: usize = 8;

/// Packets that leave at one time at most: the largest key frame, and more.
const ROUNDS_MAX: usize = 256;
/// The stack's pacer gives out one packet for each deadline, and sets the next a microsecond later when another may go.
const AT_ONCE: Duration = Duration::from_micros(10);

/// Names of the camera layers, lowest first.
const RIDS: [&str; LAYERS] = ["l", "m", "h"];

/// A datagram to send.
pub(super) type Sent = (SocketAddr, DatagramSend);

/// What a connection tells the forwarder.
pub(super) enum Event {
    /// The protocol's data channel is open.
    Connected,
    /// One message of it.
    Message(Vec<u8>),
    /// An RTP packet of one of its streams.
    Packet(Stream, Box<RtpPacket>),
    /// It needs a key frame of what it is sent there.
    KeyframeWanted(Mid),
}

/// The connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side ended it.
    Closed,
    /// It broke a rule of the connection: a wrong certificate, mostly.
    Rule,
    /// Handling it panicked; the fault is ours or the stack's, the cost is this connection's.
    Panic,
}

/// How saying something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// On its way.
    Yes,
    /// Nobody reads: there is no room for it.
    NoRoom,
}

/// See the module.
pub(super) struct Peer {
    rtc: Rtc,
    /// The stack's own time: some microseconds ahead after a train.
    at: Instant,
    messages: ChannelId,
    wanted: Option<ChannelId>,
    wanted_open: bool,
    remote_fragment: String,
    sources: Sources,
    pub(super) call: CallId,
    pub(super) id: ParticipantId,
    pub(super) fragment: String,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) last_heard_at: Instant,
    pub(super) is_connected: bool,
    /// Has output that was not polled yet.
    pub(super) is_dirty: bool,
    pub(super) line: Line,
    pub(super) downs: Vec<Option<Down>>,
    pub(super) camera: Pictures,
    pub(super) screen: Pictures,
    /// Viewers of the microphone: slot and index of the viewer's [`Down`].
    pub(super) listeners: Vec<(usize, usize)>,
    pub(super) wanted_sent: Option<LayersWanted>,
    bitrate_wanted: (u64, u64),
    packets_sent: u64,
}

/// One feed of pictures as published.
#[derive(Default)]
pub(super) struct Pictures {
    pub(super) layers: [Layer; LAYERS],
    pub(super) requests: KeyframeRequests,
    /// Viewers: slot and index of the viewer's [`Down`].
    pub(super) viewers: Vec<(usize, usize)>,
}

impl Peer {
    pub(super) fn new(
        now: Instant,
        connection: Connection,
        call: CallId,
        id: ParticipantId,
        fragment: String,
    ) -> Self {
        Self {
            rtc: connection.rtc,
            at: now,
            messages: connection.messages,
            wanted: connection.wanted,
            wanted_open: false,
            remote_fragment: String::new(),
            sources: Sources::new(now),
            call,
            id,
            fragment,
            addresses: Vec::new(),
            last_heard_at: now,
            is_connected: false,
            is_dirty: false,
            line: Line::default(),
            downs: Vec::new(),
            camera: Pictures::default(),
            screen: Pictures::default(),
            listeners: Vec::new(),
            wanted_sent: None,
            bitrate_wanted: (0, 0),
            packets_sent: 0,
        }
    }

    pub(super) fn pictures(&mut self, feed: Feed) -> Option<&mut Pictures> {
        match feed {
            Feed::Microphone => None,
            Feed::Camera => Some(&mut self.camera),
            Feed::Screen => Some(&mut self.screen),
        }
    }

    pub(super) fn viewers(&mut self, feed: Feed) -> &mut Vec<(usize, usize)> {
        match feed {
            Feed::Microphone => &mut self.listeners,
            Feed::Camera => &mut self.camera.viewers,
            Feed::Screen => &mut self.screen.viewers,
        }
    }

    /// The client's name for itself, learned from a request that its password proved; another one after an ICE restart.
    pub(super) fn learn_remote(&mut self, fragment: &str) {
        if self.remote_fragment != fragment {
            fragment.clone_into(&mut self.remote_fragment);
            // Never used: this side of ICE-lite sends no checks.
            let credentials = IceCreds {
                ufrag: fragment.to_owned(),
                pass: "unused".repeat(4),
            };
            self.rtc
                .direct_api()
                .set_remote_ice_credentials(credentials);
        }
    }

    /// Takes one datagram of this participant and drains what it caused: when it wants to be looked
    /// after again, or `None` if the datagram was refused.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        (source, destination): (SocketAddr, SocketAddr),
        datagram: &[u8],
        sent: &mut Vec<Sent>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Instant>, Broken> {
        if let Some(ssrc) = ssrc_of_rtp(datagram) {
            match self.sources.admit(now, ssrc) {
                Admission::Admitted => {}
                Admission::Replaces(old) => {
                    self.rtc.direct_api().remove_stream_rx(old.into());
                }
                Admission::Refused => return Ok(None),
            }
        }
        let Ok(input) = Receive::new(Protocol::Udp, source, destination, datagram) else {
            return Ok(None);
        };
        self.last_heard_at = now;
        self.at = self.at.max(now);
        let guarded = catch_unwind(AssertUnwindSafe(|| {
            // A packet that the stack refuses costs that packet, unless the stack itself gave up.
            let accepted = self
                .rtc
                .handle_input(Input::Receive(self.at, input))
                .is_ok();
            if !self.rtc.is_alive() {
                return Err(Broken::Rule);
            }
            let deadline = self.drain(sent, events)?;
            Ok(accepted.then_some(deadline))
        }));
        guarded.unwrap_or(Err(Broken::Panic))
    }

    /// Lets time pass, and drains what that and earlier writes caused.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        sent: &mut Vec<Sent>,
        events: &mut Vec<Event>,
    ) -> Result<Instant, Broken> {
        self.is_dirty = false;
        self.at = self.at.max(now);
        let guarded = catch_unwind(AssertUnwindSafe(|| {
            let mut deadline = self.at;
            for _ in 0..ROUNDS_MAX {
                let before = sent.len();
                self.rtc
                    .handle_input(Input::Timeout(self.at))
                    .map_err(|_| Broken::Rule)?;
                deadline = self.drain(sent, events)?;
                if deadline > self.at + AT_ONCE {
                    break;
                }
                // While packets leave, time stands still: the stack's estimator remembers each moment for seconds.
                if sent.len() == before {
                    self.at = self.at.max(deadline);
                }
            }
            Ok(deadline)
        }));
        guarded.unwrap_or(Err(Broken::Panic))
    }

    fn drain(&mut self, sent: &mut Vec<Sent>, events: &mut Vec<Event>) -> Result<Instant, Broken> {
        loop {
            match self.rtc.poll_output().map_err(|_| Broken::Rule)? {
                Output::Timeout(at) if self.rtc.is_alive() => return Ok(at),
                Output::Timeout(_) => return Err(Broken::Closed),
                Output::Transmit(transmit) => {
                    let is_rtp = ssrc_of_rtp(&transmit.contents).is_some();
                    self.packets_sent += u64::from(is_rtp);
                    sent.push((transmit.destination, transmit.contents));
                }
                Output::Event(event) => self.event(event, events)?,
            }
        }
    }

    fn event(&mut self, event: RtcEvent, events: &mut Vec<Event>) -> Result<(), Broken> {
        match event {
            RtcEvent::ChannelOpen(id, _) if id == self.messages => {
                self.is_connected = true;
                events.push(Event::Connected);
            }
            RtcEvent::ChannelOpen(id, _) if Some(id) == self.wanted => self.wanted_open = true,
            RtcEvent::ChannelData(data) if data.id == self.messages => {
                events.push(Event::Message(data.data))
            }
            RtcEvent::ChannelClose(id) if id == self.messages => return Err(Broken::Closed),
            RtcEvent::Closed => return Err(Broken::Closed),
            RtcEvent::RtpPacket(packet) => {
                if let Some(stream) = self.stream_of(&packet) {
                    events.push(Event::Packet(stream, Box::new(packet)));
                }
            }
            RtcEvent::KeyframeRequest(request) => events.push(Event::KeyframeWanted(request.mid)),
            RtcEvent::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.line.estimated(true, estimate.as_u64());
            }
            RtcEvent::PeerStats(stats) => {
                if let Some(estimate) = stats.bwe_tx {
                    self.line.estimated(false, estimate.as_u64());
                }
                // Of all that was sent in the last second, acknowledged packet by packet: seconds sooner than the reports
                // of each feed. When nothing was, the round trip is an old one.
                let acknowledged = stats
                    .egress_loss_fraction
                    .map(|loss| (loss, stats.rtt.unwrap_or_default()));
                self.line
                    .acknowledged(stats.timestamp, acknowledged, self.packets_sent);
            }
            RtcEvent::MediaEgressStats(stats) => {
                // A part of a feed's packets says nothing: some are few. What was lost of all is known already.
                let round_trip = stats.rtt.unwrap_or_default();
                self.line.report(stats.timestamp, 0.0, round_trip);
            }
            _ => {}
        }
        Ok(())
    }

    fn stream_of(&mut self, packet: &RtpPacket) -> Option<Stream> {
        let (ssrc, rtc, id) = (packet.header.ssrc, &mut self.rtc, self.id);
        let stream = self.sources.stream(*ssrc, || {
            let mut api = rtc.direct_api();
            let found = api.stream_rx(&ssrc)?;
            let layer = match found.rid() {
                None => LAYERS - 1,
                Some(rid) => RIDS.iter().position(|name| **name == *rid)?,
            };
            Some((feed_of(id, found.mid())?, layer))
        })?;
        let expected = if stream.0 == Feed::Microphone {
            PT_OPUS
        } else {
            PT_VP8
        };
        (*packet.header.payload_type == expected).then_some(stream)
    }

    /// Says something on the protocol's data channel; `room` is left free for others.
    pub(super) fn say(&mut self, bytes: &[u8], room: usize) -> Said {
        let Some(mut channel) = self.rtc.channel(self.messages) else {
            return Said::NoRoom;
        };
        if channel.buffered_amount() + bytes.len() + room > UNREAD_BYTES_MAX {
            return Said::NoRoom;
        }
        match channel.write(true, bytes) {
            Ok(true) => Said::Yes,
            Ok(false) | Err(_) => Said::NoRoom,
        }
    }

    /// Tells one of our own clients that this server ends. True if something was said.
    pub(super) fn say_ending(&mut self) -> bool {
        let channel = self.wanted.filter(|_| self.wanted_open);
        let channel = channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| matches!(channel.write(true, &ENDING), Ok(true)))
    }

    /// Tells one of our own clients which of its layers anybody watches, if that changed. True if something was said.
    pub(super) fn say_wanted(&mut self, wanted: LayersWanted) -> bool {
        if !self.wanted_open || self.wanted_sent == Some(wanted) {
            return false;
        }
        let Some(mut channel) = self.wanted.and_then(|id| self.rtc.channel(id)) else {
            return false;
        };
        let said = matches!(channel.write(true, &wanted.encode()), Ok(true));
        if said {
            self.wanted_sent = Some(wanted);
        }
        said
    }

    /// Makes room for a feed of somebody else.
    pub(super) fn declare(&mut self, mid: Mid, feed: Feed, ssrc: Ssrc, resent: Ssrc) {
        let (kind, resent) = match feed {
            Feed::Microphone => (MediaKind::Audio, None),
            Feed::Camera | Feed::Screen => (MediaKind::Video, Some(resent)),
        };
        let mut api = self.rtc.direct_api();
        api.declare_media(mid, kind);
        let stream = api.declare_stream_tx(ssrc, resent, mid, None);
        // The publisher paces already; a frame leaves in one train.
        stream.set_unpaced(true);
        if resent.is_some() {
            stream.set_rtx_cache(RESEND_PACKETS_MAX, RESEND_TIME, Some(RESEND_RATIO_MAX));
        }
    }

    /// Forgets a feed of somebody else.
    pub(super) fn forget(&mut self, mid: Mid) {
        self.rtc.direct_api().remove_media(mid);
    }

    /// Whether padding that measures the line is on its way: its portions want to leave in time.
    pub(super) fn is_probing(&self) -> bool {
        matches!(
            self.rtc.last_timeout_reason(),
            Reason::Pacer(PacerReason::Probe1 | PacerReason::Probe2)
        )
    }

    /// Queues a packet.
    pub(super) fn write(&mut self, ssrc: Ssrc, write: RtpWrite) {
        if let Some(stream) = self.rtc.direct_api().stream_tx(&ssrc) {
            stream.write_rtp(write);
        }
    }

    /// Asks this participant for a key frame.
    pub(super) fn ask_key_frame(&mut self, mid: Mid, layer: usize) -> bool {
        let mut api = self.rtc.direct_api();
        // A participant without simulcast sends its only layer without a name.
        let mut asked = false;
        for rid in [Some(Rid::from(RIDS[layer])), None] {
            if let Some(stream) = api.stream_rx_by_mid(mid, rid) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                asked = true;
                break;
            }
        }
        asked
    }

    /// What this participant's line should be able to carry, and what to fill it with at least to find out.
    pub(super) fn want_bitrate(&mut self, least_bps: u64, desired_bps: u64) {
        let (least, desired) = self.bitrate_wanted;
        let is_near = |a: u64, b: u64| a.abs_diff(b) * 10 <= b;
        // Each change may start a probe: measured rates swing a little all the time.
        if is_near(least_bps, least) && is_near(desired_bps, desired) {
            return;
        }
        self.bitrate_wanted = (least_bps, desired_bps);
        self.rtc
            .bwe()
            .set_bitrate(Bitrate::bps(least_bps), Bitrate::bps(desired_bps));
    }

    /// Ends the connection; the other side hears of it.
    pub(super) fn close(&mut self, now: Instant, sent: &mut Vec<Sent>) {
        let _guarded = catch_unwind(AssertUnwindSafe(|| {
            if self.rtc.close().is_ok() {
                let _over = self.rtc.handle_input(Input::Timeout(now));
                let _over = self.drain(sent, &mut Vec::new());
            }
        }));
    }
}

fn feed_of(id: ParticipantId, mid: Mid) -> Option<Feed> {
    let mids = hullo_proto::service::sfu::Mids::of(id);
    [
        (mids.microphone(), Feed::Microphone),
        (mids.camera(), Feed::Camera),
        (mids.screen(), Feed::Screen),
    ]
    .into_iter()
    .find(|(own, _)| *own.as_str() == *mid)
    .map(|(_, feed)| feed)
}

//! What goes into a session with the SFU and what comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hullo_proto::group::media_frame::{SealedGroupFrame, Track};
use hullo_proto::service::sfu::{JoinResponse, LayersWanted, ParticipantId};

use super::{Certificate, GroupSessionStats, OwnTrack};

/// What the session starts from.
pub struct GroupSessionConfig {
    /// What the SFU said to our Join request.
    pub answer: JoinResponse,
    /// The certificate whose fingerprint was in that request.
    pub certificate: Certificate,
    /// The SFU agreed to tell which layers anybody wants.
    pub has_wanted_channel: bool,
    /// Estimate to start from, bits per second.
    pub start_bitrate_bps: u64,
    /// What we would like to send in all, bits per second; probing stops there.
    pub desired_bitrate_bps: u64,
}

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
    LocalCandidate(SocketAddr),
    /// A message for the SFU, in order and never lost while the session lives; at most [`MESSAGE_BYTES_SENDING_MAX`](super::MESSAGE_BYTES_SENDING_MAX).
    Message(&'a [u8]),
    /// This participant is here: its streams are taken from now on.
    Expect(ParticipantId),
    /// This participant is gone: its streams are taken no more.
    Forget(ParticipantId),
    /// A frame to send. Before the connection stands, and when the pacer's queue is long, it is dropped and counted.
    Write {
        /// Which stream of ours; must be of the frame's track.
        track: OwnTrack,
        /// Sealed: nothing else can be written.
        frame: SealedGroupFrame,
        /// When it was captured.
        captured_at: Instant,
    },
    /// The decoder of this picture cannot go on without a key frame.
    WantKeyframe(ParticipantId, Track),
    /// We would like to send so many bits per second in all now; probing stops there.
    DesiredBitrate(u64),
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
    /// The protocol's data channel is open: frames and messages flow.
    Connected,
    /// No answer from the SFU for a while; it may come back.
    Interrupted,
    /// It came back.
    Resumed,
    /// The SFU closed the connection, or it broke for good.
    Closed,
    /// A message of the SFU.
    Message(Vec<u8>),
    /// Which of our pictures anybody watches, and how large at most; nothing before the first of these. An SFU that did not
    /// agree to tell wants [everything](crate::layers::everything_wanted).
    Wanted(LayersWanted),
    /// The SFU ends soon; until then all goes on.
    ServerEnds,
    /// A sealed frame arrived whole.
    Frame {
        /// Whose.
        participant: ParticipantId,
        /// From what it was captured.
        track: Track,
        /// Sealed bytes.
        bytes: Arc<[u8]>,
        /// Sequence number of its first packet, unwrapped; begins anew in each session.
        seq: u64,
        /// RTP time in the track's clock (48 kHz or 90 kHz), unwrapped.
        media_time: u64,
        /// False when packets before it are missing.
        contiguous: bool,
    },
    /// Somebody wants a key frame from us.
    KeyframeWanted(OwnTrack),
    /// What the network carries towards the SFU, bits per second.
    Estimate(u64),
    /// Figures of the last second.
    Stats(Box<GroupSessionStats>),
}

//! Session descriptions of one-to-one calls: our own small writer and parser.
//!
//! A call has four tracks in a fixed order, all on one transport: mid 0 microphone, 1 camera, 2 screen sound, 3 screen
//! picture. Everything else that a description could say is either fixed here or ignored: we do not negotiate, we
//! state.
//!
//! Not here: candidates, which travel beside the description, and the side channel, which needs no m-line.
//!
//! Sources: SDP (RFC 8866), bundling (RFC 9143), ICE (RFC 8839), fingerprints and roles (RFC 8122, RFC 8842), Opus
//! (RFC 7587), H.264 (RFC 6184), retransmission (RFC 4588), SSRC attributes (RFC 5576).

use std::fmt;

pub use hullo_proto::call::DescriptionKind;

mod parse;
mod write;

/// How many tracks a call has.
pub const TRACKS: usize = 4;

/// Longest description taken, in bytes: a browser's has 11,000.
pub const SDP_BYTES_MAX: usize = 32 * 1024;

/// What one side says about its end of the session.
#[derive(Clone, PartialEq, Eq)]
pub struct Description {
    /// Offer or answer. The wire says it beside the text, so the parser is told.
    pub kind: DescriptionKind,
    /// ICE user name fragment: 4 to 256 letters, digits, `+` or `/`.
    pub ice_ufrag: String,
    /// ICE password: 22 to 256 of the same.
    pub ice_pwd: String,
    /// SHA-256 of the side's DTLS certificate.
    pub fingerprint: [u8; 32],
    /// Who opens the DTLS connection.
    pub setup: Setup,
    /// Microphone, camera, screen sound, screen picture: the track's place is its mid.
    pub tracks: [Track; TRACKS],
}

/// One track, as the describing side sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Whether the side sends and receives. A refused track (port 0) is inactive.
    pub direction: Direction,
    /// Codecs in order of preference, at most one of each kind. Never empty when written.
    pub codecs: Vec<Codec>,
    /// What the side sends under, never 0; `None` if it does not say.
    pub ssrc: Option<u32>,
    /// What it sends retransmissions under.
    pub rtx_ssrc: Option<u32>,
    /// Numbers of the header extensions.
    pub extensions: Extensions,
}

/// A codec and the numbers it has in this description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Which one.
    pub kind: CodecKind,
    /// 0 to 127.
    pub payload_type: u8,
    /// That of its retransmissions.
    pub rtx_payload_type: Option<u8>,
}

/// The codecs we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecKind {
    /// Baseline H.264 in packetization mode 1.
    H264,
    /// Opus, 48 kHz.
    Opus,
    /// VP8.
    Vp8,
}

/// Numbers of the header extensions we use, 1 to 14 (RFC 8285 §4.2); `None`: not offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Absolute send time.
    pub abs_send_time: Option<u8>,
    /// The track's mid.
    pub mid: Option<u8>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<u8>,
}

/// Who opens the DTLS connection (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The answerer decides. In every offer, in no answer.
    ActPass,
    /// The answerer.
    Active,
    /// The offerer.
    Passive,
}

/// Which ways a track goes, as the describing side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Neither.
    Inactive,
    /// In.
    RecvOnly,
    /// Out.
    SendOnly,
    /// Both.
    SendRecv,
}

/// What is wrong with a description: its sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More than [`SDP_BYTES_MAX`] bytes.
    #[error("the session description is too long")]
    TooLong,
    /// A control character, or anything but a line break where one belongs.
    #[error("line {0} of the session description holds a control character")]
    ControlCharacter(usize),
    /// Not `v=0` first, or a line that is not a letter, `=` and a value.
    #[error("line {0} of the session description is not SDP")]
    NotSdp(usize),
    /// A line we need has a value that cannot be read.
    #[error("line {0} of the session description cannot be read")]
    Malformed(usize),
    /// Not four m-lines: audio, video, audio, video over DTLS-SRTP, with mids 0 to 3.
    #[error("the session description does not have the four tracks of a call in their order")]
    Tracks,
    /// Not all tracks on one transport with RTP and RTCP on one port.
    #[error("the session description does not put all tracks on one transport")]
    NotBundled,
    /// No user name fragment or password.
    #[error("the session description has no ICE credentials")]
    NoCredentials,
    /// A user name fragment of other than 4 to 256, or a password of other than 22 to 256 letters, digits, `+`, `/`.
    #[error(
        "the ICE credentials of the session description are not of the allowed length or letters"
    )]
    Credentials,
    /// No fingerprint.
    #[error("the session description has no certificate fingerprint")]
    NoFingerprint,
    /// A fingerprint of another hash.
    #[error("the certificate fingerprint of the session description is not SHA-256")]
    NotSha256,
    /// Two tracks, or a track and the session, contradict each other on what the one transport has.
    #[error("the session description contradicts itself about its transport")]
    Contradiction,
    /// No DTLS role, or one that does not fit: an offer leaves it open, an answer settles it.
    #[error("the session description has no fitting DTLS role")]
    Setup,
    /// The same payload type twice in one track.
    #[error("payload type {0} appears twice in one track of the session description")]
    DuplicatePayloadType(u8),
    /// A source number of 0.
    #[error("the session description has a source number of 0")]
    SsrcZero,
    /// The same source number in two tracks, or as media and retransmission.
    #[error("a source number appears twice in the session description")]
    DuplicateSsrc,
    /// More sources in one track than media and its retransmission.
    #[error("a track of the session description has more than one source")]
    TooManySsrcs,
    /// A track in use without any codec we know.
    #[error("a track of the session description has no codec in common with this program")]
    NoCodec,
}

impl Description {
    /// The text, with CRLF line ends.
    pub fn write(&self) -> String {
        write::write(self)
    }

    /// Reads a text. Lines may end in CRLF or LF; what we do not need is ignored.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn parse(kind: DescriptionKind, text: &str) -> Result<Self, SdpError> {
        parse::parse(kind, text)
    }
}

impl Track {
    /// Our own sound track.
    pub fn audio(ssrc: u32) -> Self {
        Self {
            direction: Direction::SendRecv,
            codecs: vec![Codec {
                kind: CodecKind::Opus,
                payload_type: 111,
                rtx_payload_type: None,
            }],
            ssrc: Some(ssrc),
            rtx_ssrc: None,
            extensions: OWN_EXTENSIONS,
        }
    }

    /// Our own picture track.
    pub fn video(ssrc: u32, rtx_ssrc: u32) -> Self {
        Self {
            direction: Direction::SendRecv,
            codecs: vec![Codec {
                kind: CodecKind::H264,
                payload_type: 96,
                rtx_payload_type: Some(97),
            }],
            ssrc: Some(ssrc),
            rtx_ssrc: Some(rtx_ssrc),
            extensions: OWN_EXTENSIONS,
        }
    }

    /// The numbers of a codec, if the track has it.
    pub fn codec(&self, kind: CodecKind) -> Option<Codec> {
        self.codecs.iter().copied().find(|codec| codec.kind == kind)
    }
}

impl fmt::Debug for Description {
    /// Without credentials and fingerprint: they open the way into a call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("kind", &self.kind)
            .field("setup", &self.setup)
            .field("tracks", &self.tracks)
            .finish_non_exhaustive()
    }
}

/// The numbers browsers use too.
const OWN_EXTENSIONS: Extensions = Extensions {
    abs_send_time: Some(2),
    mid: Some(4),
    transport_cc: Some(3),
};

const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const SDES_MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Whether the track with this mid carries sound.
fn is_audio(mid: usize) -> bool {
    mid.is_multiple_of(2)
}

#[cfg(test)]
mod tests;

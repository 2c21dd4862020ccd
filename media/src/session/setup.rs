//! How a session is put together: codecs, tracks, roles, and what a peer's description must say.

use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::config::DtlsVersion;
use str0m::crypto::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::rtp::{Extension, ExtensionMap, Ssrc};
use str0m::{Candidate, Rtc, RtcConfig};
use thiserror::Error;

use super::{AudioClock, SessionConfig};
use crate::reach::LocalCandidate;
use crate::sdp::{
    CodecKind, Description, DescriptionKind, Direction, Setup, Track as DescribedTrack,
};

/// Payload types of our own descriptions, the ones Chromium uses for the same codecs.
pub(super) const OPUS_PT: u8 = 111;
pub(super) const H264_PT: u8 = 96;
pub(super) const H264_RTX_PT: u8 = 97;

/// Constrained Baseline, level 3.1: what openh264 writes and everyone reads.
const H264_PROFILE: u32 = 0x42_e01f;

/// Packets kept for retransmission: about 0.5 s of 2.5 Mbit/s. More costs 1.2 kB each, fewer heal less.
const SEND_BUFFER_VIDEO: usize = 150;

/// One figure a second.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// A check that found the peer is repeated at least so often. Higher notices silence later, lower costs packets.
const STUN_RTO_MAX: Duration = Duration::from_secs(1);

/// Who wrote the offer. The callee does (SimpleX's flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Wrote the offer.
    Offerer,
    /// Wrote the answer.
    Answerer,
}

/// One of the two tracks in use; the screen's pair of m-lines stays silent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// Microphone, mid 0.
    Audio,
    /// Camera, mid 1.
    Video,
}

impl Track {
    /// The track's mid, which is also part of its frame key.
    pub fn mid(self) -> &'static str {
        match self {
            Self::Audio => "0",
            Self::Video => "1",
        }
    }
}

/// The peer's description cannot be used. The peer is at fault.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SessionError {
    /// A second description for one session.
    #[error("the other side described its connection twice")]
    DescribedTwice,
    /// Offer where an answer was due, or the other way round.
    #[error("the other side sent {0}, which is not its turn")]
    WrongKind(&'static str),
    /// Both want to be the same end of DTLS.
    #[error("the other side's description leaves nobody to start the handshake")]
    Setup,
    /// A codec or payload type that was not agreed.
    #[error("the other side does not speak {0} the way Hullo does; it may need an update")]
    Codec(&'static str),
    /// DTLS refused to start.
    #[error("the secure connection could not be started")]
    Dtls,
}

/// Our two tracks and their ids on the wire.
pub(super) struct Tracks {
    audio: Stream,
    video: Stream,
    pub(super) audio_clock: AudioClock,
}

struct Stream {
    mid: Mid,
    ssrc: Ssrc,
    rtx: Option<Ssrc>,
}

impl Tracks {
    pub(super) fn mid(&self, track: Track) -> Mid {
        match track {
            Track::Audio => self.audio.mid,
            Track::Video => self.video.mid,
        }
    }

    /// Whose name reports of the path bear, and what they are about: any of our streams serves for both.
    pub(super) fn report_ssrcs(&self) -> (Ssrc, Ssrc) {
        (self.audio.ssrc, self.audio.ssrc)
    }

    pub(super) fn track(&self, mid: Mid) -> Option<Track> {
        if mid == self.audio.mid {
            Some(Track::Audio)
        } else if mid == self.video.mid {
            Some(Track::Video)
        } else {
            None
        }
    }
}

pub(super) fn rtc(now: Instant, config: &SessionConfig) -> (Rtc, Tracks) {
    str0m::crypto::from_feature_flags().install_process_default();
    let mut extensions = ExtensionMap::empty();
    extensions.set(2, Extension::AbsoluteSendTime);
    extensions.set(3, Extension::TransportSequenceNumber);
    extensions.set(4, Extension::RtpMid);
    let mut rtc_config = RtcConfig::new()
        .clear_codecs()
        .set_extension_map(extensions)
        .enable_bwe(Some(Bitrate::from(config.start_bitrate_bps)))
        .set_stats_interval(Some(STATS_INTERVAL))
        // 1.3 takes a round trip less; 1.2 for peers without it.
        .set_dtls_version(DtlsVersion::Auto)
        // Our own jitter buffer orders sound; str0m's would stall 300 ms after one lost packet.
        .set_reordering_size_audio(0)
        .set_send_buffer_video(SEND_BUFFER_VIDEO);
    rtc_config.set_max_stun_rto(STUN_RTO_MAX);
    let codecs = rtc_config.codec_config();
    codecs.add_config(
        Pt::new_with_value(OPUS_PT),
        None,
        Codec::Opus,
        Frequency::FORTY_EIGHT_KHZ,
        Some(2),
        FormatParams {
            min_p_time: Some(10),
            use_inband_fec: Some(true),
            ..FormatParams::default()
        },
    );
    codecs.add_h264(
        Pt::new_with_value(H264_PT),
        Some(Pt::new_with_value(H264_RTX_PT)),
        true,
        H264_PROFILE,
    );
    let mut rtc = rtc_config.build(now);
    let mut api = rtc.direct_api();
    let leader = if config.answerer_leads {
        Role::Answerer
    } else {
        Role::Offerer
    };
    api.set_ice_controlling(config.role == leader);
    api.enable_twcc_feedback();
    let audio = Stream {
        mid: Mid::from(Track::Audio.mid()),
        ssrc: api.new_ssrc(),
        rtx: None,
    };
    api.declare_media(audio.mid, MediaKind::Audio);
    api.declare_stream_tx(audio.ssrc, None, audio.mid, None);
    let (ssrc, rtx) = (api.new_ssrc(), api.new_ssrc());
    let video = Stream {
        mid: Mid::from(Track::Video.mid()),
        ssrc,
        rtx: Some(rtx),
    };
    api.declare_media(video.mid, MediaKind::Video);
    api.declare_stream_tx(video.ssrc, video.rtx, video.mid, None);
    (
        rtc,
        Tracks {
            audio,
            video,
            audio_clock: AudioClock::default(),
        },
    )
}

/// The address as ICE knows it; `None` for one that nobody can be reached at.
pub(super) fn candidate(local: LocalCandidate) -> Option<Candidate> {
    match local {
        LocalCandidate::Host(address) => Candidate::host(address, "udp"),
        LocalCandidate::Reflexive { address, base } => {
            Candidate::server_reflexive(address, base, "udp")
        }
        LocalCandidate::Relayed { address, base } => Candidate::relayed(address, base, "udp"),
    }
    .ok()
}

/// Our side's description. The screen's two m-lines are declared and stay silent.
pub(super) fn describe(rtc: &mut Rtc, role: Role, tracks: &Tracks) -> Description {
    let api = rtc.direct_api();
    let creds = api.local_ice_credentials();
    let fingerprint = api.local_dtls_fingerprint();
    let fingerprint = fingerprint
        .bytes
        .as_slice()
        .try_into()
        .expect("str0m's own certificate has a SHA-256 fingerprint");
    let (kind, setup) = match role {
        Role::Offerer => (DescriptionKind::Offer, Setup::ActPass),
        Role::Answerer => (DescriptionKind::Answer, Setup::Active),
    };
    let rtx = tracks
        .video
        .rtx
        .expect("the video stream was made with one");
    let silent = |track: DescribedTrack| DescribedTrack {
        direction: Direction::Inactive,
        ssrc: None,
        rtx_ssrc: None,
        ..track
    };
    Description {
        kind,
        ice_ufrag: creds.ufrag,
        ice_pwd: creds.pass,
        fingerprint,
        setup,
        tracks: [
            DescribedTrack::audio(*tracks.audio.ssrc),
            DescribedTrack::video(*tracks.video.ssrc, *rtx),
            silent(DescribedTrack::audio(1)),
            silent(DescribedTrack::video(1, 2)),
        ],
    }
}

/// Refuses what we cannot do or what contradicts itself.
pub(super) fn check(role: Role, description: &Description) -> Result<(), SessionError> {
    match (role, description.kind) {
        (Role::Offerer, DescriptionKind::Offer) => return Err(SessionError::WrongKind("an offer")),
        (Role::Answerer, DescriptionKind::Answer) => {
            return Err(SessionError::WrongKind("an answer"));
        }
        _ => {}
    }
    if role == Role::Offerer && description.setup == Setup::ActPass {
        return Err(SessionError::Setup);
    }
    let [audio, video, ..] = &description.tracks;
    // We state numbers instead of negotiating them: a peer of ours states the same.
    let own = (DescribedTrack::audio(1), DescribedTrack::video(1, 2));
    if audio.codec(CodecKind::Opus) != own.0.codec(CodecKind::Opus)
        || audio.extensions != own.0.extensions
    {
        return Err(SessionError::Codec("Opus"));
    }
    if video.codec(CodecKind::H264) != own.1.codec(CodecKind::H264)
        || video.extensions != own.1.extensions
    {
        return Err(SessionError::Codec("H.264"));
    }
    Ok(())
}

/// Whether we send the first DTLS message.
pub(super) fn is_dtls_client(role: Role, description: &Description) -> bool {
    match role {
        Role::Offerer => description.setup == Setup::Passive,
        // We answer `active` unless the offer wants that for itself.
        Role::Answerer => description.setup != Setup::Active,
    }
}

/// Tells str0m what the peer will send.
pub(super) fn expect_streams(rtc: &mut Rtc, description: &Description) {
    let mut api = rtc.direct_api();
    api.set_remote_fingerprint(Fingerprint {
        hash_func: "sha-256".to_owned(),
        bytes: description.fingerprint.to_vec(),
    });
    for (track, described) in [Track::Audio, Track::Video]
        .into_iter()
        .zip(&description.tracks)
    {
        if let Some(ssrc) = described.ssrc {
            api.expect_stream_rx(
                Ssrc::from(ssrc),
                described.rtx_ssrc.map(Ssrc::from),
                Mid::from(track.mid()),
                None,
            );
        }
    }
}

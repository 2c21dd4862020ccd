//! How a session with the SFU is put together (protocol facts, section 3): the side that the SFU would describe is
//! built here from the Join answer and constants; no SDP is ever written or read.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::group::media_frame::Track;
use hullo_proto::group::mid::Mids;
use hullo_proto::service::sfu::{
    HeaderExtensionIds, JoinResponse, MESSAGE_CHANNEL_ID, MESSAGE_CHANNEL_LABEL, MESSAGE_LEN_MAX,
    ParticipantId, WANTED_CHANNEL_ID, WANTED_CHANNEL_LABEL,
};
use str0m::bwe::Bitrate;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{DtlsCert, Fingerprint};
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid, Rid};
use str0m::rtp::Extension;
use str0m::{Candidate, Rtc, RtcConfig};
use thiserror::Error;

use super::{GroupSessionConfig, Layer, OwnTrack};

/// Payload types, fixed by the protocol.
pub(super) const OPUS_PT: u8 = 111;
pub(super) const VP8_PT: u8 = 96;
const VP8_RTX_PT: u8 = 97;

/// Packets kept for retransmission per picture stream: half a second of 1.2 Mbit/s, and a key frame. More costs 1.2 kB
/// each, fewer heal less.
const SEND_BUFFER_VIDEO: usize = 150;
/// Packets of one picture stream held back for a missing one: more than the largest key frame that is sealed (64 KiB in
/// packets of 1.1 kB); fewer would lose it to one late packet, more would only hold what comes too late.
const REORDER_VIDEO: usize = 80;
/// How often the SFU's answer is asked for at least, once connected.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// One figure a second.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// Datagrams of messages stay below the lower end on every path; media stays below the upper one.
const MTU: RangeInclusive<usize> = 1_150..=1_500;
/// Bytes of messages waiting for the SFU's acknowledgement: far more than a handshake with everybody at once; a fuller
/// buffer means that the SFU does not read.
pub(super) const UNREAD_BYTES_MAX: usize = 1_048_576;

/// No certificate can be made; the machine is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "no certificate could be made for the connection; the cryptography library of this system does not work"
)]
pub struct CertificateError;

/// The certificate of our end of DTLS. Its fingerprint goes into the Join request, so it is made before the session; one
/// is good for several sessions. No `Debug`: it holds a secret key.
#[derive(Clone)]
pub struct Certificate {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    fingerprint: [u8; 32],
}

impl Certificate {
    /// A new one: ECDSA P-256, the only kind that every SFU takes.
    ///
    /// # Errors
    /// The machine is at fault.
    pub fn generate() -> Result<Self, CertificateError> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or(CertificateError)?;
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Ok(Self {
            provider,
            certificate,
            fingerprint,
        })
    }

    /// SHA-256 of it: what the Join request carries.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// The Join answer cannot be used. The SFU is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GroupSessionError {
    /// No address that a datagram could go to.
    #[error("the server named no address that this system can reach")]
    Addresses,
    /// An id whose streams the WebRTC library cannot tell apart.
    #[error(
        "the server gave participant {0} an id that Hullo cannot use; it is no server of Hullo"
    )]
    Mids(ParticipantId),
    /// DTLS refused to start.
    #[error("the secure connection to the server could not be started")]
    Dtls,
}

/// The two data channels.
pub(super) struct Channels {
    pub(super) messages: ChannelId,
    pub(super) wanted: Option<ChannelId>,
}

/// The connection before its first packet.
pub(super) fn rtc(
    now: Instant,
    config: &GroupSessionConfig,
) -> Result<(Rtc, Channels), GroupSessionError> {
    let answer = &config.answer;
    let own = answer.participant_id;
    if !Mids::of(own).survive_alphanumeric() {
        return Err(GroupSessionError::Mids(own));
    }
    let mut rtc = rtc_config(config).build(now);
    let mut reachable = false;
    for &address in &answer.addresses {
        if let Ok(candidate) = Candidate::host(address, "udp") {
            rtc.add_remote_candidate(candidate);
            reachable = true;
        }
    }
    if !reachable {
        return Err(GroupSessionError::Addresses);
    }
    let mut api = rtc.direct_api();
    // The SFU is ICE-lite and waits for our DTLS hello.
    api.set_ice_controlling(true);
    trust(&mut api, answer);
    declare_own(&mut api, own);
    api.enable_twcc_feedback();
    let messages = api.create_data_channel(negotiated(MESSAGE_CHANNEL_LABEL, MESSAGE_CHANNEL_ID));
    let wanted = config
        .has_wanted_channel
        .then(|| api.create_data_channel(negotiated(WANTED_CHANNEL_LABEL, WANTED_CHANNEL_ID)));
    api.start_dtls(true)
        .map_err(|_refused| GroupSessionError::Dtls)?;
    api.start_sctp(true);
    rtc.bwe()
        .set_bitrate(Bitrate::from(0), Bitrate::from(config.desired_bitrate_bps));
    Ok((rtc, Channels { messages, wanted }))
}

pub(super) fn rtc_config(config: &GroupSessionConfig) -> RtcConfig {
    let Certificate {
        provider,
        certificate,
        ..
    } = &config.certificate;
    let mut rtc_config = RtcConfig::new()
        .set_crypto_provider(Arc::clone(provider))
        .set_dtls_cert(certificate.clone())
        .clear_codecs()
        .clear_extension_map()
        .enable_bwe(Some(Bitrate::from(config.start_bitrate_bps)))
        .set_stats_interval(Some(STATS_INTERVAL))
        // Our own jitter buffer orders sound; str0m's would stall 300 ms after one lost packet.
        .set_reordering_size_audio(0)
        .set_reordering_size_video(REORDER_VIDEO)
        .set_send_buffer_video(SEND_BUFFER_VIDEO)
        .set_sctp_max_buffered_amount(UNREAD_BYTES_MAX)
        .set_sctp_max_message_size(u32::try_from(MESSAGE_LEN_MAX).expect("131,072"))
        .set_mtu(MTU);
    rtc_config.set_max_stun_rto(CHECK_INTERVAL);
    for (id, extension) in extensions(&config.answer.header_extension_ids) {
        rtc_config = rtc_config.set_extension(id, extension);
    }
    let codecs = rtc_config.codec_config();
    codecs.add_config(
        OPUS_PT.into(),
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
    codecs.add_config(
        VP8_PT.into(),
        Some(VP8_RTX_PT.into()),
        Codec::Vp8,
        Frequency::NINETY_KHZ,
        None,
        FormatParams::default(),
    );
    rtc_config
}

fn extensions(ids: &HeaderExtensionIds) -> [(u8, Extension); 7] {
    [
        (ids.mid, Extension::RtpMid),
        (ids.rtp_stream_id, Extension::RtpStreamId),
        (ids.repaired_rtp_stream_id, Extension::RepairedRtpStreamId),
        (ids.absolute_send_time, Extension::AbsoluteSendTime),
        (
            ids.transport_wide_congestion_control,
            Extension::TransportSequenceNumber,
        ),
        (ids.video_orientation, Extension::VideoOrientation),
        (ids.time_offset, Extension::TransmissionTimeOffset),
    ]
}

fn trust(api: &mut str0m::change::DirectApi<'_>, answer: &JoinResponse) {
    api.set_remote_ice_credentials(IceCreds {
        ufrag: answer.ice_username_fragment.clone(),
        pass: answer.ice_password.clone(),
    });
    api.set_remote_fingerprint(Fingerprint {
        hash_func: "sha-256".to_owned(),
        bytes: answer.dtls_fingerprint.to_vec(),
    });
}

fn declare_own(api: &mut str0m::change::DirectApi<'_>, own: ParticipantId) {
    for track in [Track::Microphone, Track::Camera, Track::Screen] {
        api.declare_media(mid_of(own, track), kind_of(track));
    }
    for track in OwnTrack::ALL {
        let ssrc = api.new_ssrc();
        let resent = (track != OwnTrack::Microphone).then(|| api.new_ssrc());
        api.declare_stream_tx(ssrc, resent, mid_of(own, track.track()), rid_of(track));
    }
}

pub(super) fn negotiated(label: &str, id: u16) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        negotiated: Some(id),
        ..ChannelConfig::default()
    }
}

/// The stream of a participant's track.
pub(super) fn mid_of(participant: ParticipantId, track: Track) -> Mid {
    let mids = Mids::of(participant);
    let mid = match track {
        Track::Microphone => mids.microphone(),
        Track::Camera => mids.camera(),
        Track::Screen => mids.screen(),
    };
    Mid::from(mid.as_str())
}

pub(super) fn kind_of(track: Track) -> MediaKind {
    match track {
        Track::Microphone => MediaKind::Audio,
        Track::Camera | Track::Screen => MediaKind::Video,
    }
}

/// Only the camera has layers.
pub(super) fn rid_of(track: OwnTrack) -> Option<Rid> {
    match track {
        OwnTrack::Camera(layer) => Some(Rid::from(layer.rid())),
        OwnTrack::Microphone | OwnTrack::Screen => None,
    }
}

/// Which stream of ours `mid` and `rid` name; a camera without a layer is the high one.
pub(super) fn own_track(own: ParticipantId, mid: Mid, rid: Option<Rid>) -> Option<OwnTrack> {
    let track = [Track::Microphone, Track::Camera, Track::Screen]
        .into_iter()
        .find(|&track| mid_of(own, track) == mid)?;
    Some(match track {
        Track::Microphone => OwnTrack::Microphone,
        Track::Screen => OwnTrack::Screen,
        Track::Camera => {
            let named = |layer: &Layer| rid.is_some_and(|rid| *rid == *layer.rid());
            OwnTrack::Camera(Layer::ALL.into_iter().find(named).unwrap_or(Layer::High))
        }
    })
}

//! How the WebRTC stack is set up: what every connection of this SFU has in common (protocol facts, section 3).

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{
    HeaderExtensionIds, MESSAGE_CHANNEL_ID, MESSAGE_CHANNEL_LABEL, MESSAGE_LEN_MAX, Mids,
    ParticipantId, WANTED_CHANNEL_ID, WANTED_CHANNEL_LABEL,
};
use str0m::bwe::Bitrate;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{DtlsCert, Fingerprint};
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::rtp::Extension;
use str0m::{Candidate, Rtc, RtcConfig};

use super::line::ESTIMATE_FIRST_BPS;

/// Opus.
pub(super) const PT_OPUS: u8 = 111;
/// VP8; its retransmissions are [`PT_VP8_RTX`].
pub(super) const PT_VP8: u8 = 96;
/// RTX of VP8.
pub(super) const PT_VP8_RTX: u8 = 97;

/// Packets kept for retransmission, per picture: half a second at 3 Mbit/s, more than a client of ours sends in all.
pub(super) const RESEND_PACKETS_MAX: usize = 160;
/// How long they are kept: two round trips of a bad line.
pub(super) const RESEND_TIME: Duration = Duration::from_millis(500);
/// Of what is sent at most this part may be retransmissions.
pub(super) const RESEND_RATIO_MAX: f32 = 0.25;

/// Bytes of messages a participant has not acknowledged: fuller means that it does not read.
pub(super) const UNREAD_BYTES_MAX: usize = 1_048_576;
/// How often loss and round-trip times are looked at: sound that drowns in pictures is heard after a word.
const STATS_INTERVAL: Duration = Duration::from_millis(250);
/// Datagrams of messages stay below it on every path; media keeps the sender's sizes.
const MTU: RangeInclusive<usize> = 1_150..=1_500;

/// The stack cannot be set up; the machine is wrong.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The cryptography library made no certificate.
    #[error(
        "no certificate could be made for media connections; the cryptography library of this system does not work"
    )]
    Certificate,
}

/// Certificate and settings shared by all connections. No `Debug`: it holds a secret key.
pub struct Stack {
    pub(super) provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    fingerprint: [u8; 32],
    header_extension_ids: HeaderExtensionIds,
}

/// A connection before its first packet.
pub(super) struct Connection {
    pub(super) rtc: Rtc,
    pub(super) messages: ChannelId,
    pub(super) wanted: Option<ChannelId>,
}

/// Who a connection is for and what proves it.
pub(super) struct Credentials<'a> {
    pub(super) fragment: &'a str,
    pub(super) password: &'a str,
    pub(super) client_fingerprint: [u8; 32],
    pub(super) participant: ParticipantId,
    pub(super) has_wanted_channel: bool,
}

impl Stack {
    /// Makes a new certificate: ECDSA P-256, the only kind that all clients take.
    ///
    /// # Errors
    /// The machine is wrong.
    pub fn new() -> Result<Self, StackError> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or(StackError::Certificate)?;
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Ok(Self {
            provider,
            certificate,
            fingerprint,
            header_extension_ids: HeaderExtensionIds::default(),
        })
    }

    /// SHA-256 of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Numbers of the RTP header extensions.
    #[must_use]
    pub fn header_extension_ids(&self) -> HeaderExtensionIds {
        self.header_extension_ids
    }

    /// The SFU's side of what the client writes as *the remote offer*; `addresses` are the announced ones.
    pub(super) fn connect(
        &self,
        now: Instant,
        credentials: &Credentials<'_>,
        addresses: &[SocketAddr],
    ) -> Option<Connection> {
        let mut rtc = self.config().build(now);
        for &address in addresses {
            rtc.add_local_candidate(Candidate::host(address, "udp").ok()?);
        }
        let mut api = rtc.direct_api();
        api.set_local_ice_credentials(IceCreds {
            ufrag: credentials.fragment.to_owned(),
            pass: credentials.password.to_owned(),
        });
        api.set_ice_controlling(false);
        api.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: credentials.client_fingerprint.to_vec(),
        });
        let mids = Mids::of(credentials.participant);
        for (mid, kind) in [
            (mids.microphone(), MediaKind::Audio),
            (mids.camera(), MediaKind::Video),
            (mids.screen(), MediaKind::Video),
        ] {
            api.declare_media(Mid::from(mid.as_str()), kind);
        }
        api.enable_twcc_feedback();
        let messages =
            api.create_data_channel(negotiated(MESSAGE_CHANNEL_LABEL, MESSAGE_CHANNEL_ID));
        let wanted = credentials
            .has_wanted_channel
            .then(|| api.create_data_channel(negotiated(WANTED_CHANNEL_LABEL, WANTED_CHANNEL_ID)));
        api.start_dtls(false).ok()?;
        api.start_sctp(false);
        Some(Connection {
            rtc,
            messages,
            wanted,
        })
    }

    pub(super) fn config(&self) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&self.provider))
            .set_dtls_cert(self.certificate.clone())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .enable_bwe(Some(Bitrate::bps(ESTIMATE_FIRST_BPS)))
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_sctp_max_buffered_amount(UNREAD_BYTES_MAX)
            .set_sctp_max_message_size(u32::try_from(MESSAGE_LEN_MAX).expect("131,072"))
            .set_mtu(MTU)
            .clear_codecs()
            .clear_extension_map();
        let ids = self.header_extension_ids;
        for (id, extension) in [
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
        ] {
            config = config.set_extension(id, extension);
        }
        let opus = FormatParams {
            min_p_time: Some(10),
            use_inband_fec: Some(true),
            use_dtx: Some(true),
            ..FormatParams::default()
        };
        let codecs = config.codec_config();
        codecs.add_config(
            PT_OPUS.into(),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            opus,
        );
        let (vp8, resent): (Pt, Pt) = (PT_VP8.into(), PT_VP8_RTX.into());
        codecs.add_config(
            vp8,
            Some(resent),
            Codec::Vp8,
            Frequency::NINETY_KHZ,
            None,
            FormatParams::default(),
        );
        config
    }
}

fn negotiated(label: &str, id: u16) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        negotiated: Some(id),
        ..ChannelConfig::default()
    }
}

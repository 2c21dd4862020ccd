//! Bodies of the SFU's two HTTP requests and their answers; both sides use these.

use std::net::{IpAddr, SocketAddr};

use super::raw::sfu_http_request as request;
use super::raw::sfu_http_response::{
    self as response, join::RtpHeaderExtensionIds, join::address::Protocol,
};
use super::sfu::SCREEN_SHARE;
use super::{BODY_LEN_MAX, WireError, decode, encode};
use crate::group::id::{CallId, ParticipantId};

/// Addresses of one SFU kept at most: one or two are usual.
const ADDRESSES_MAX: usize = 16;

/// Body of a peek request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeekRequest {
    /// Must equal the id in the address.
    pub call_id: CallId,
}

/// Body of a join request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Must equal the id in the address.
    pub call_id: CallId,
    /// The version the call was announced with.
    pub protocol_version: u32,
    /// SHA-256 of the DER certificate the client will use in DTLS.
    pub dtls_fingerprint: [u8; 32],
}

/// A running call, as the SFU tells it to anyone with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeekResponse {
    /// When the first participant joined, in milliseconds since 1970 by the SFU's clock.
    pub started_at_ms: u64,
    /// How many may join.
    pub max_participants: u32,
    /// The call state as last sent to the SFU, sealed; missing when none was sent or it expired.
    pub encrypted_call_state: Option<Vec<u8>>,
}

/// What is needed to connect to the SFU.
/// No `Debug`: it holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// When the first participant joined, in milliseconds since 1970 by the SFU's clock.
    pub started_at_ms: u64,
    /// How many may join.
    pub max_participants: u32,
    /// The id given to this client.
    pub participant_id: ParticipantId,
    /// Where the SFU listens for UDP, at most 16. At least one is IPv4.
    pub addresses: Vec<SocketAddr>,
    /// ICE username fragment, RFC 8839 characters.
    pub ice_username_fragment: String,
    /// ICE password, RFC 8839 characters.
    pub ice_password: String,
    /// SHA-256 of the DER certificate the SFU will use in DTLS.
    pub dtls_fingerprint: [u8; 32],
    /// What the SFU can do beyond the base text.
    pub supported_features: SupportedFeatures,
    /// Numbers of the RTP header extensions.
    pub header_extension_ids: HeaderExtensionIds,
}

/// Bits of `Join.supported_features` (6.4.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupportedFeatures(pub u64);

impl SupportedFeatures {
    /// Screens are forwarded and timestamps answered.
    pub const SCREEN_SHARE: Self = Self(SCREEN_SHARE);

    /// Whether screens are forwarded and timestamps answered.
    #[must_use]
    pub fn has_screen_share(self) -> bool {
        self.0 & SCREEN_SHARE != 0
    }
}

/// Numbers of the RTP header extensions, each `1..=14`, all different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    pub mid: u8,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    pub rtp_stream_id: u8,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    pub repaired_rtp_stream_id: u8,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`
    pub absolute_send_time: u8,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`
    pub transport_wide_congestion_control: u8,
    /// `urn:3gpp:video-orientation`
    pub video_orientation: u8,
    /// `urn:ietf:params:rtp-hdrext:toffset`
    pub time_offset: u8,
}

impl Default for HeaderExtensionIds {
    /// The table of the base version, for an SFU that names none.
    fn default() -> Self {
        Self {
            mid: 1,
            rtp_stream_id: 2,
            repaired_rtp_stream_id: 3,
            absolute_send_time: 4,
            transport_wide_congestion_control: 5,
            video_orientation: 11,
            time_offset: 12,
        }
    }
}

impl PeekRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// The client is wrong (status 400).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: request::Peek = decode(bytes, BODY_LEN_MAX)?;
        Ok(Self {
            call_id: call_id(&raw.call_id)?,
        })
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&request::Peek {
            call_id: self.call_id.as_bytes().to_vec(),
        })
        .to_vec()
    }
}

impl JoinRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// The client is wrong (status 400).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: request::Join = decode(bytes, BODY_LEN_MAX)?;
        Ok(Self {
            call_id: call_id(&raw.call_id)?,
            protocol_version: raw.protocol_version,
            dtls_fingerprint: fingerprint(&raw.dtls_fingerprint)?,
        })
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let raw = request::Join {
            call_id: self.call_id.as_bytes().to_vec(),
            protocol_version: self.protocol_version,
            dtls_fingerprint: self.dtls_fingerprint.to_vec(),
        };
        encode(&raw).to_vec()
    }
}

impl PeekResponse {
    /// Reads the body.
    ///
    /// # Errors
    /// The SFU is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: response::Peek = decode(bytes, BODY_LEN_MAX)?;
        Ok(Self {
            started_at_ms: raw.started_at,
            max_participants: raw.max_participants,
            encrypted_call_state: raw.encrypted_call_state,
        })
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let raw = response::Peek {
            started_at: self.started_at_ms,
            max_participants: self.max_participants,
            encrypted_call_state: self.encrypted_call_state.clone(),
        };
        encode(&raw).to_vec()
    }
}

impl JoinResponse {
    /// Reads the body. Addresses of unknown protocols are left out.
    ///
    /// # Errors
    /// The SFU is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: response::Join = decode(bytes, BODY_LEN_MAX)?;
        if raw.addresses.len() > ADDRESSES_MAX {
            return Err(WireError::Invalid("addresses"));
        }
        let udp = raw
            .addresses
            .iter()
            .filter(|address| address.protocol == i32::from(Protocol::Udp));
        let addresses = udp.map(socket_address).collect::<Result<Vec<_>, _>>()?;
        if !addresses.iter().any(SocketAddr::is_ipv4) {
            return Err(WireError::Missing("an IPv4 address"));
        }
        Ok(Self {
            started_at_ms: raw.started_at,
            max_participants: raw.max_participants,
            participant_id: raw.participant_id.try_into()?,
            addresses,
            ice_username_fragment: ice_text(raw.ice_username_fragment, 4, "ice_username_fragment")?,
            ice_password: ice_text(raw.ice_password, 22, "ice_password")?,
            dtls_fingerprint: fingerprint(&raw.dtls_fingerprint)?,
            supported_features: SupportedFeatures(raw.supported_features),
            header_extension_ids: raw
                .rtp_header_extension_ids
                .map_or(Ok(HeaderExtensionIds::default()), TryInto::try_into)?,
        })
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let address = |address: &SocketAddr| response::join::Address {
            protocol: Protocol::Udp.into(),
            port: address.port().into(),
            ip: address.ip().to_string(),
        };
        let raw = response::Join {
            started_at: self.started_at_ms,
            max_participants: self.max_participants,
            participant_id: self.participant_id.number(),
            addresses: self.addresses.iter().map(address).collect(),
            ice_username_fragment: self.ice_username_fragment.clone(),
            ice_password: self.ice_password.clone(),
            dtls_fingerprint: self.dtls_fingerprint.to_vec(),
            supported_features: self.supported_features.0,
            rtp_header_extension_ids: Some(self.header_extension_ids.into()),
        };
        encode(&raw).to_vec()
    }
}

fn call_id(bytes: &[u8]) -> Result<CallId, WireError> {
    bytes
        .try_into()
        .map(CallId::from_bytes)
        .map_err(|_| WireError::Invalid("call_id"))
}

fn fingerprint(bytes: &[u8]) -> Result<[u8; 32], WireError> {
    bytes
        .try_into()
        .map_err(|_| WireError::Invalid("dtls_fingerprint"))
}

fn socket_address(raw: &response::join::Address) -> Result<SocketAddr, WireError> {
    let ip: IpAddr = raw.ip.parse().map_err(|_| WireError::Invalid("ip"))?;
    let port = u16::try_from(raw.port)
        .ok()
        .filter(|&port| port != 0)
        .ok_or(WireError::Invalid("port"))?;
    Ok(SocketAddr::new(ip, port))
}

/// Credentials as RFC 8839 section 5.4 allows them; anything else could add lines to a session description.
fn ice_text(text: String, len_min: usize, field: &'static str) -> Result<String, WireError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if (len_min..=256).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(WireError::Invalid(field))
    }
}

impl TryFrom<RtpHeaderExtensionIds> for HeaderExtensionIds {
    type Error = WireError;

    fn try_from(raw: RtpHeaderExtensionIds) -> Result<Self, WireError> {
        let all = [
            raw.mid,
            raw.rtp_stream_id,
            raw.repaired_rtp_stream_id,
            raw.absolute_send_time,
            raw.transport_wide_congestion_control_01,
            raw.video_orientation,
            raw.time_offset,
        ];
        let invalid = || WireError::Invalid("rtp_header_extension_ids");
        let mut seen = 0_u16;
        let mut ids = [0_u8; 7];
        for (id, &number) in ids.iter_mut().zip(&all) {
            *id = u8::try_from(number)
                .ok()
                .filter(|id| (1..=14).contains(id))
                .ok_or_else(invalid)?;
            if seen & (1 << *id) != 0 {
                return Err(invalid());
            }
            seen |= 1 << *id;
        }
        let [
            mid,
            rtp_stream_id,
            repaired_rtp_stream_id,
            absolute_send_time,
            twcc,
            video_orientation,
            time_offset,
        ] = ids;
        Ok(Self {
            mid,
            rtp_stream_id,
            repaired_rtp_stream_id,
            absolute_send_time,
            transport_wide_congestion_control: twcc,
            video_orientation,
            time_offset,
        })
    }
}

impl From<HeaderExtensionIds> for RtpHeaderExtensionIds {
    fn from(ids: HeaderExtensionIds) -> Self {
        Self {
            mid: ids.mid.into(),
            rtp_stream_id: ids.rtp_stream_id.into(),
            repaired_rtp_stream_id: ids.repaired_rtp_stream_id.into(),
            absolute_send_time: ids.absolute_send_time.into(),
            transport_wide_congestion_control_01: ids.transport_wide_congestion_control.into(),
            video_orientation: ids.video_orientation.into(),
            time_offset: ids.time_offset.into(),
        }
    }
}

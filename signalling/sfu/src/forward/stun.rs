//! Whose a datagram is, before any connection sees it.
//!
//! The SFU is never told its clients' ICE credentials (protocol facts, section 3, *str0m traps*, 2): a client is known by the
//! SFU's own username fragment in a binding request, proved by the password of the Join answer.

use std::sync::Arc;

use str0m::crypto::CryptoProvider;
use str0m::ice::StunMessage;

/// Longest datagram taken: an Ethernet frame. The retransmission cache of the WebRTC stack is built for packets below
/// 2,000 bytes.
pub(super) const DATAGRAM_BYTES_MAX: usize = 1_500;

/// What a datagram looks like (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A STUN message.
    Stun,
    /// DTLS, SRTP or SRTCP: of interest only from an address that somebody proved.
    Sealed,
    /// Nothing we know, or too long.
    Nothing,
}

impl Kind {
    pub(super) fn of(datagram: &[u8]) -> Self {
        match datagram {
            _ if datagram.len() > DATAGRAM_BYTES_MAX => Self::Nothing,
            [0..=1, ..] if datagram.len() >= 20 => Self::Stun,
            [20..=63 | 128..=191, _, _, ..] => Self::Sealed,
            _ => Self::Nothing,
        }
    }
}

/// SSRC of an SRTP packet, in clear; `None` for DTLS and SRTCP.
pub(super) fn ssrc_of_rtp(datagram: &[u8]) -> Option<u32> {
    let header: &[u8; 12] = datagram.first_chunk()?;
    // RTCP has packet types 192 to 223 (RFC 5761 section 4).
    let is_rtp = (128..=191).contains(&header[0]) && !(192..=223).contains(&header[1]);
    is_rtp.then(|| u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

/// A binding request with the two username fragments it names.
pub(super) struct BindingRequest<'a> {
    message: StunMessage<'a>,
    /// Ours, which names the connection.
    pub(super) local: String,
    /// The client's.
    pub(super) remote: String,
}

/// Fragments longer than this are refused (RFC 8839 section 5.4).
const FRAGMENT_LEN_MAX: usize = 256;

impl<'a> BindingRequest<'a> {
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let message = StunMessage::parse(datagram)
            .ok()
            .filter(StunMessage::is_binding_request)?;
        let (local, remote) = message.username()?.split_once(':')?;
        if remote.is_empty() || local.len().max(remote.len()) > FRAGMENT_LEN_MAX {
            return None;
        }
        let (local, remote) = (local.to_owned(), remote.to_owned());
        Some(Self {
            message,
            local,
            remote,
        })
    }

    /// Whether it was made with `password`.
    pub(super) fn is_from_holder_of(&self, password: &str, provider: &Arc<CryptoProvider>) -> bool {
        let hmac = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        self.message.verify(password.as_bytes(), hmac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_are_told_apart_by_their_beginning() {
        for (datagram, kind) in [
            (vec![0; 20], Kind::Stun),
            (vec![0; 19], Kind::Nothing),
            (vec![22, 254, 253, 0], Kind::Sealed),
            (vec![0x80, 96, 0, 0], Kind::Sealed),
            (vec![0x80; 1_500], Kind::Sealed),
            (vec![0x80; 1_501], Kind::Nothing),
            (vec![64; 40], Kind::Nothing),
            (vec![], Kind::Nothing),
        ] {
            assert_eq!(
                Kind::of(&datagram),
                kind,
                "{} bytes, {:?}",
                datagram.len(),
                datagram.first()
            );
        }
    }

    #[test]
    fn only_rtp_has_an_ssrc_here() {
        let packet = |second: u8| [0x80, second, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(ssrc_of_rtp(&packet(96)), Some(3));
        assert_eq!(ssrc_of_rtp(&packet(96 | 0x80)), Some(3), "marker");
        assert_eq!(ssrc_of_rtp(&packet(200)), None);
        assert_eq!(ssrc_of_rtp(&packet(96)[..11]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_kind, _ssrc) = (Kind::of(&bytes), ssrc_of_rtp(&bytes));
            let _request = BindingRequest::parse(&bytes);
        }
    }
}

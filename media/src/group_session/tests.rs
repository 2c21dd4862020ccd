use std::net::SocketAddr;

use hullo_proto::service::sfu::{HeaderExtensionIds, SupportedFeatures};

use super::*;

fn answer(id: u32, addresses: Vec<SocketAddr>) -> JoinResponse {
    JoinResponse {
        started_at_ms: 0,
        max_participants: 8,
        participant_id: ParticipantId::try_from(id).expect("in range"),
        addresses,
        ice_username_fragment: "fragment0fragment".to_owned(),
        ice_password: "password0password0password0".to_owned(),
        dtls_fingerprint: [1; 32],
        supported_features: SupportedFeatures::SCREEN_SHARE,
        header_extension_ids: HeaderExtensionIds::default(),
    }
}

fn config(answer: JoinResponse) -> GroupSessionConfig {
    GroupSessionConfig {
        answer,
        certificate: Certificate::generate().expect("a certificate"),
        has_wanted_channel: true,
        start_bitrate_bps: 300_000,
        desired_bitrate_bps: 1_000_000,
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_refused() {
    let (now, sfu) = (
        Instant::now(),
        "192.0.2.1:4000".parse().expect("an address"),
    );
    assert_eq!(
        GroupSession::new(now, &config(answer(2, vec![]))).err(),
        Some(GroupSessionError::Addresses)
    );
    // 0 has the streams `!`, `#` and `$`, which all become `_`.
    let unusable = ParticipantId::try_from(0).expect("in range");
    assert_eq!(
        GroupSession::new(now, &config(answer(0, vec![sfu]))).err(),
        Some(GroupSessionError::Mids(unusable))
    );
    assert!(GroupSession::new(now, &config(answer(2, vec![sfu]))).is_ok());
}

use super::*;
use crate::group::id::{CallId, GroupId, Identity, ParticipantId};
use crate::group::key::{AdministratorKey, GroupCallKey, MediaKey, PublicKey};
use crate::group::nonce::Cookie;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn id() -> impl Strategy<Value = ParticipantId> {
    (0_u32..790).prop_map(|number| number.try_into().expect("in range"))
}

fn identity() -> impl Strategy<Value = Identity> {
    "[*A-Z0-9][A-Z0-9]{7}".prop_map(|text| text.as_str().try_into().expect("valid"))
}

fn name() -> impl Strategy<Value = Name> {
    ".{0,60}".prop_map(|text| Name::new(&text))
}

fn view() -> impl Strategy<Value = View> {
    (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(width, height, fps)| View {
        width,
        height,
        fps,
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..100)
}

fn relay() -> impl Strategy<Value = Relay> {
    (id(), id(), bytes()).prop_map(|(sender, receiver, encrypted_data)| Relay {
        sender,
        receiver,
        encrypted_data,
    })
}

fn to_sfu() -> impl Strategy<Value = ToSfu> {
    prop_oneof![
        relay().prop_map(ToSfu::Relay),
        bytes().prop_map(ToSfu::UpdateCallState),
        (id(), any::<bool>())
            .prop_map(|(id, on)| ToSfu::Subscribe(id, Subscription::Microphone(on))),
        (id(), proptest::option::of(view()))
            .prop_map(|(id, view)| ToSfu::Subscribe(id, Subscription::Camera(view))),
        (id(), proptest::option::of(view()))
            .prop_map(|(id, view)| ToSfu::Subscribe(id, Subscription::Screen(view))),
        Just(ToSfu::RequestTimestamp),
        Just(ToSfu::Unknown),
    ]
}

fn from_sfu() -> impl Strategy<Value = FromSfu> {
    prop_oneof![
        relay().prop_map(FromSfu::Relay),
        proptest::collection::vec(id(), 0..30).prop_map(FromSfu::Hello),
        id().prop_map(FromSfu::ParticipantJoined),
        id().prop_map(FromSfu::ParticipantLeft),
        any::<u64>().prop_map(FromSfu::Timestamp),
        Just(FromSfu::Unknown),
    ]
}

fn capture() -> impl Strategy<Value = Capture> {
    prop_oneof![
        any::<bool>().prop_map(Capture::Microphone),
        any::<bool>().prop_map(Capture::Camera),
        proptest::option::of(any::<u64>()).prop_map(Capture::Screen),
    ]
}

/// What secret-bearing messages are compared by: their encoding without randomness in it.
fn canonical(encode: impl Fn(&mut ChaCha20Rng) -> zeroize::Zeroizing<Vec<u8>>) -> Vec<u8> {
    encode(&mut rng()).to_vec()
}

proptest! {
    #[test]
    fn to_sfu_reads_back(message in to_sfu()) {
        prop_assert_eq!(ToSfu::decode(&message.encode(&mut rng())), Ok(message));
    }

    #[test]
    fn from_sfu_reads_back(message in from_sfu()) {
        prop_assert_eq!(FromSfu::decode(&message.encode(&mut rng())), Ok(message));
    }

    /// *The format must be compatible for the relay case*: the SFU forwards the bytes as they are.
    #[test]
    fn relays_read_the_same_both_ways(relay in relay()) {
        let bytes = ToSfu::Relay(relay.clone()).encode(&mut rng());
        prop_assert_eq!(FromSfu::decode(&bytes), Ok(FromSfu::Relay(relay)));
    }

    #[test]
    fn hellos_read_back(identity in identity(), name in name(), key: [u8; 32], cookie: [u8; 16], guest: bool) {
        let hello = Hello { call_key: PublicKey::from_bytes(key), cookie: Cookie::from_bytes(cookie) };
        let message = if guest { HelloMessage::Guest(name, hello) } else { HelloMessage::Normal(identity, name, hello) };
        prop_assert!(HelloMessage::decode(&message.encode(&mut rng())) == Ok(message));
    }

    #[test]
    fn auths_read_back(key: [u8; 32], cookie: [u8; 16], guest: bool, keys in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<[u8; 32]>()), 1..3)) {
        let media_keys = keys.into_iter().map(|(epoch, ratchet_counter, key)| SentKey { epoch, ratchet_counter, key: MediaKey::from_bytes(key) });
        let auth = Auth { call_key: PublicKey::from_bytes(key), cookie: Cookie::from_bytes(cookie), media_keys: media_keys.collect() };
        let message = if guest { AuthMessage::Guest(auth) } else { AuthMessage::Normal(auth) };
        let encoded = canonical(|rng| message.encode(rng));
        let decoded = AuthMessage::decode(&encoded).expect("own message");
        prop_assert_eq!(canonical(|rng| decoded.encode(rng)), encoded);
    }

    #[test]
    fn capture_states_read_back(state in capture()) {
        let decoded = PeerMessage::decode(&PeerMessage::Capture(state).encode(&mut rng()));
        prop_assert!(matches!(decoded, Ok(PeerMessage::Capture(read)) if read == state));
    }

    #[test]
    fn other_peer_messages_read_back(sealed in bytes(), epoch: u8, ratchet_counter: u8, key: [u8; 32]) {
        let key = SentKey { epoch, ratchet_counter, key: MediaKey::from_bytes(key) };
        for message in [PeerMessage::Admin(sealed), PeerMessage::Rekey(key), PeerMessage::Hold, PeerMessage::Unknown] {
            let encoded = canonical(|rng| message.encode(rng));
            let decoded = PeerMessage::decode(&encoded).expect("own message");
            prop_assert_eq!(canonical(|rng| decoded.encode(rng)), encoded);
        }
    }

    #[test]
    fn admin_messages_read_back(id in id(), key: [u8; 32]) {
        let offs = [ForcedOff::All, ForcedOff::Unknown].into_iter().chain(Device::ALL.map(ForcedOff::Device));
        let messages = [
            AdminMessage::ReportAsAdmin,
            AdminMessage::PromoteToAdmin(AdministratorKey::from_bytes(key)),
            AdminMessage::ForceLeave,
            AdminMessage::ForceFocus(id),
            AdminMessage::Unknown,
        ];
        for message in messages.into_iter().chain(offs.map(AdminMessage::ForceCaptureStateOff)) {
            let encoded = message.encode();
            prop_assert_eq!(AdminMessage::decode(&encoded).expect("own message").encode(), encoded);
        }
    }

    #[test]
    fn call_states_read_back(created_by in id(), created_at_ms: u64, people in proptest::collection::btree_map(id(), (identity(), name(), any::<bool>()), 0..20)) {
        let participants = people.into_iter().map(|(id, (identity, name, guest))| {
            (id, if guest { ParticipantName::Guest(name) } else { ParticipantName::Normal(identity, name) })
        });
        let state = CallState { created_by, created_at_ms, participants: participants.collect() };
        prop_assert_eq!(CallState::decode(&state.encode(&mut rng())), Ok(state));
    }

    #[test]
    fn start_messages_read_back(creator in identity(), id: [u8; 8], protocol_version: u32, key: [u8; 32], sfu_base_url in ".{0,100}") {
        let group = GroupId { creator, id };
        let start = StartMessage { protocol_version, key: GroupCallKey::from_bytes(key), sfu_base_url };
        let (read_group, read) = StartMessage::decode(&start.encode(&group)).expect("own message");
        prop_assert!(read_group == group && read.key.same(&start.key));
        prop_assert_eq!((read.protocol_version, read.sfu_base_url), (start.protocol_version, start.sfu_base_url));
    }

    #[test]
    fn http_bodies_read_back(call_id: [u8; 32], dtls_fingerprint: [u8; 32], protocol_version: u32, started_at_ms: u64, max_participants: u32, state in proptest::option::of(bytes()), participant_id in id(), features: u64, port in 1_u16..) {
        let call_id = CallId::from_bytes(call_id);
        let peek = PeekRequest { call_id };
        prop_assert_eq!(PeekRequest::decode(&peek.encode()), Ok(peek));
        let join = JoinRequest { call_id, protocol_version, dtls_fingerprint };
        prop_assert_eq!(JoinRequest::decode(&join.encode()), Ok(join));
        let peeked = PeekResponse { started_at_ms, max_participants, encrypted_call_state: state };
        prop_assert_eq!(PeekResponse::decode(&peeked.encode()), Ok(peeked));
        let joined = JoinResponse {
            started_at_ms,
            max_participants,
            participant_id,
            addresses: vec![([192, 0, 2, 1], port).into(), ([0x2001_u16, 0xdb8, 0, 0, 0, 0, 0, 1], port).into()],
            ice_username_fragment: "abcd".into(),
            ice_password: "0123456789abcdefABCDEF+/".into(),
            dtls_fingerprint,
            supported_features: SupportedFeatures(features),
            header_extension_ids: HeaderExtensionIds { video_orientation: 6, ..HeaderExtensionIds::default() },
        };
        prop_assert!(JoinResponse::decode(&joined.encode()) == Ok(joined));
    }

    /// Every decoder, on bytes that are usually nothing, and on messages with a part changed.
    #[test]
    fn any_bytes_never_panic(random in proptest::collection::vec(any::<u8>(), 0..200), message in from_sfu(), at: usize, byte: u8) {
        let mut changed = message.encode(&mut rng());
        if !changed.is_empty() {
            let at = at % changed.len();
            changed[at] = byte;
        }
        for bytes in [random, changed] {
            crate::group::fuzz::wire(&bytes);
            crate::group::fuzz::call_state(&bytes);
            crate::group::fuzz::http(&bytes);
            crate::group::fuzz::frame(&bytes);
            crate::group::fuzz::envelope(&bytes);
        }
    }

    #[test]
    fn names_are_short_and_steer_no_terminal(text in "\\PC{0,300}|[\\x00-\\x1f\\x7f-\\u{9f}a]{0,300}") {
        let name = Name::new(&text);
        prop_assert!(name.as_str().len() <= NAME_LEN_MAX && !name.as_str().chars().any(char::is_control));
        prop_assert_eq!(Name::new(name.as_str()), name);
    }

    /// Field 900, as varint or bytes, stands for whatever a later text adds.
    #[test]
    fn unknown_fields_are_skipped(message in to_sfu(), value in 0_u8..128) {
        let mut bytes = message.encode(&mut rng());
        bytes.extend([0xa0, 0x38, value, 0xa2, 0x38, 2, value, value]);
        prop_assert_eq!(ToSfu::decode(&bytes), Ok(message));
    }
}

#[test]
fn padding_is_random_in_length_and_content_and_relays_have_none() {
    let mut rng = rng();
    let lens: std::collections::BTreeSet<_> = (0..200)
        .map(|_| {
            FromSfu::ParticipantJoined(3.try_into().expect("in range"))
                .encode(&mut rng)
                .len()
        })
        .collect();
    assert!(
        lens.len() > 80 && lens.last().is_some_and(|len| *len < 300),
        "{} lengths",
        lens.len()
    );
    let relay = Relay {
        sender: 1.try_into().expect("in range"),
        receiver: 2.try_into().expect("in range"),
        encrypted_data: vec![5; 9],
    };
    assert_eq!(
        ToSfu::Relay(relay.clone()).encode(&mut rng),
        [0x12, 15, 8, 1, 16, 2, 0x22, 9, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    );
    // iOS pads relays; that is read all the same.
    let padded = [
        &[0x0a, 2, 7, 7][..],
        &ToSfu::Relay(relay.clone()).encode(&mut rng),
    ]
    .concat();
    assert_eq!(ToSfu::decode(&padded), Ok(ToSfu::Relay(relay)));
}

#[test]
fn contents_of_later_texts_are_unknown_and_no_errors() {
    // Content 15 of length 1.
    let later = [0x7a, 1, 0];
    assert_eq!(ToSfu::decode(&later), Ok(ToSfu::Unknown));
    assert_eq!(FromSfu::decode(&later), Ok(FromSfu::Unknown));
    assert!(matches!(
        HelloMessage::decode(&later),
        Ok(HelloMessage::Unknown)
    ));
    assert!(matches!(
        AuthMessage::decode(&later),
        Ok(AuthMessage::Unknown)
    ));
    assert!(matches!(
        PeerMessage::decode(&later),
        Ok(PeerMessage::Unknown)
    ));
    assert!(matches!(
        AdminMessage::decode(&later),
        Ok(AdminMessage::Unknown)
    ));
    // A capture state of an unknown device, and of a known one in an unknown state.
    assert!(matches!(
        PeerMessage::decode(&[0x22, 2, 0x7a, 0]),
        Ok(PeerMessage::Unknown)
    ));
    assert!(matches!(
        PeerMessage::decode(&[0x22, 2, 0x0a, 0]),
        Ok(PeerMessage::Unknown)
    ));
    // Forcing device 9 off.
    assert!(matches!(
        AdminMessage::decode(&[0x22, 2, 8, 9]),
        Ok(AdminMessage::ForceCaptureStateOff(ForcedOff::Unknown))
    ));
}

#[test]
fn an_older_screen_on_reads_as_started_at_0() {
    let base = [0x22, 4, 0x1a, 2, 0x0a, 0];
    assert!(matches!(
        PeerMessage::decode(&base),
        Ok(PeerMessage::Capture(Capture::Screen(Some(0))))
    ));
}

#[test]
fn what_is_too_long_or_out_of_range_is_refused() {
    assert_eq!(
        ToSfu::decode(&vec![0; MESSAGE_LEN_MAX + 1]),
        Err(WireError::TooLong(MESSAGE_LEN_MAX + 1))
    );
    assert_eq!(
        PeekResponse::decode(&vec![0; BODY_LEN_MAX + 1]),
        Err(WireError::TooLong(BODY_LEN_MAX + 1))
    );
    // Participant 790 joined.
    assert_eq!(
        FromSfu::decode(&[0x22, 3, 8, 0x96, 6]),
        Err(WireError::Id(IdError::ParticipantId(790)))
    );
    // A media key of epoch 256.
    let long_epoch = [&[0x1a, 37, 8, 0x80, 2, 0x1a, 32][..], &[1; 32]].concat();
    assert!(matches!(
        PeerMessage::decode(&long_epoch),
        Err(WireError::Invalid("epoch"))
    ));
    // A media key of 31 bytes.
    let short_key = [&[0x1a, 33, 0x1a, 31][..], &[1; 31]].concat();
    assert!(matches!(
        PeerMessage::decode(&short_key),
        Err(WireError::Key(KeyError::Length))
    ));
}

#[test]
fn join_responses_that_could_not_be_used_are_refused() {
    let good = JoinResponse {
        started_at_ms: 1,
        max_participants: 2,
        participant_id: 3.try_into().expect("in range"),
        addresses: vec!["192.0.2.1:4433".parse().expect("valid")],
        ice_username_fragment: "abcd".into(),
        ice_password: "0123456789abcdefABCDEF".into(),
        dtls_fingerprint: [7; 32],
        supported_features: SupportedFeatures::default(),
        header_extension_ids: HeaderExtensionIds::default(),
    };
    let bad = [
        JoinResponse {
            addresses: Vec::new(),
            ..good.clone()
        },
        JoinResponse {
            addresses: vec!["[2001:db8::1]:4433".parse().expect("valid")],
            ..good.clone()
        },
        JoinResponse {
            addresses: vec!["192.0.2.1:4433".parse().expect("valid"); 17],
            ..good.clone()
        },
        JoinResponse {
            ice_username_fragment: "abc".into(),
            ..good.clone()
        },
        JoinResponse {
            ice_username_fragment: "abcd\r\na=candidate".into(),
            ..good.clone()
        },
        JoinResponse {
            ice_password: "short".into(),
            ..good.clone()
        },
        JoinResponse {
            header_extension_ids: HeaderExtensionIds {
                mid: 15,
                ..HeaderExtensionIds::default()
            },
            ..good.clone()
        },
        JoinResponse {
            header_extension_ids: HeaderExtensionIds {
                mid: 2,
                ..HeaderExtensionIds::default()
            },
            ..good.clone()
        },
    ];
    assert!(JoinResponse::decode(&good.encode()).is_ok());
    for (index, response) in bad.iter().enumerate() {
        assert!(JoinResponse::decode(&response.encode()).is_err(), "{index}");
    }
    // Without extension ids the base table holds.
    assert_eq!(HeaderExtensionIds::default().time_offset, 12);
}

#[test]
fn debug_shows_no_name() {
    assert_eq!(format!("{:?}", Name::new("Nina")), "Name(4 bytes)");
}

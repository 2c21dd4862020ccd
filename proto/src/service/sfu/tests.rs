use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn id(number: u32) -> ParticipantId {
    number.try_into().expect("in range")
}

fn relay(sender: u32, receiver: u32) -> Vec<u8> {
    let relay = Relay {
        sender: id(sender),
        receiver: id(receiver),
        encrypted_data: vec![7; 300],
    };
    ToSfu::Relay(relay).encode(&mut ChaCha20Rng::seed_from_u64(1))
}

#[test]
fn a_relay_is_recognised_with_and_without_padding() {
    let plain = relay(2, 3);
    let padded = [&[0x0a, 3, 1, 2, 3], &plain[..], &[0x0a, 1, 0]].concat();
    for bytes in [plain, padded] {
        assert_eq!(
            Inspected::of(&bytes),
            Ok(Inspected::Relay {
                sender: id(2),
                receiver: id(3)
            })
        );
    }
}

#[test]
fn messages_for_the_sfu_are_not_relays() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for message in [
        ToSfu::UpdateCallState(vec![1; 40]),
        ToSfu::Subscribe(
            id(3),
            Subscription::Camera(Some(View {
                width: 1,
                height: 2,
                fps: 3,
            })),
        ),
        ToSfu::RequestTimestamp,
        ToSfu::Unknown,
    ] {
        assert_eq!(
            Inspected::of(&message.encode(&mut rng)),
            Ok(Inspected::ForSfu),
            "{message:?}"
        );
    }
}

#[test]
fn what_the_receiver_would_read_otherwise_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (a, b) = (relay(2, 3), relay(2, 4));
    // Field 3 is a call state to the SFU and a Hello to a participant.
    let state = ToSfu::UpdateCallState(vec![]).encode(&mut rng);
    let envelope =
        |inner: &[u8]| [&[0x12, u8::try_from(inner.len()).expect("short")], inner].concat();
    for bad in [
        [&a[..], &b].concat(),
        [&a[..], &state].concat(),
        [&state[..], &a].concat(),
        [&a[..], &[0x7a, 0]].concat(),
        envelope(&[0x08, 2, 0x10, 3, 0x08, 4]),
        envelope(&[0x08, 2]),
        envelope(&[0x10, 2]),
        envelope(&[0x0a, 1, 2, 0x10, 3]),
        // 790 and 2^32 + 2.
        envelope(&[0x08, 0x96, 0x06, 0x10, 3]),
        envelope(&[0x08, 0x82, 0x80, 0x80, 0x80, 0x10, 0x10, 3]),
        a[..a.len() - 1].to_vec(),
        vec![0x13, 0x14],
        vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x07],
        vec![0; MESSAGE_LEN_MAX + 1],
    ] {
        assert!(
            Inspected::of(&bad).is_err(),
            "{:02x?}",
            &bad[..bad.len().min(40)]
        );
    }
}

#[test]
fn wanted_layers_come_back_as_they_were() {
    for bits in 0..16_u8 {
        let view = View {
            width: 640,
            height: 360,
            fps: 30,
        };
        let wanted = LayersWanted {
            camera: std::array::from_fn(|layer| bits & (1 << layer) != 0),
            camera_view: view,
            screen: (bits & 8 != 0).then_some(View {
                width: 65_535,
                ..view
            }),
        };
        assert_eq!(LayersWanted::decode(&wanted.encode()), Ok(wanted));
    }
    let huge = LayersWanted {
        camera_view: View {
            width: 1 << 20,
            height: 9,
            fps: 999,
        },
        ..LayersWanted::default()
    };
    let read = LayersWanted::decode(&huge.encode()).expect("valid");
    assert_eq!(
        read.camera_view,
        View {
            width: 65_535,
            height: 9,
            fps: 255
        }
    );
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _result = LayersWanted::decode(&bytes);
        // Whoever is named a relay must be one for the receiver as well, with the same names.
        if let Ok(Inspected::Relay { sender, receiver }) = Inspected::of(&bytes) {
            let Ok(FromSfu::Relay(relay)) = FromSfu::decode(&bytes) else { panic!("no relay for the receiver") };
            prop_assert_eq!((relay.sender, relay.receiver), (sender, receiver));
        }
    }
}

#![allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to begin at"
)]

use super::*;
use crate::group::key::AdministratorMessageKey;
use crate::group::peer::Said;
use crate::group::wire::PeerMessage;
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;

const GCK: [u8; 32] = [7; 32];

fn identity(seed: u8) -> Identity {
    Identity::try_from(format!("PERSON{:02}", seed % 100).as_str()).expect("valid")
}

fn client_key(seed: u8) -> ClientKey {
    ClientKey::from_bytes([seed; 32])
}

/// One side of a handshake with everything around it.
struct Side {
    local: Local,
    admission: Admission,
    keys: Vec<SentKey>,
    handshake: Handshake,
    done: Option<(Box<Peer>, Vec<SentKey>)>,
    warnings: Vec<WarningKind>,
}

impl Side {
    fn new(seed: u8, guest: bool, new: bool) -> Self {
        let role = if guest {
            Role::Guest {
                name: Name::new("guest"),
            }
        } else {
            Role::Normal {
                identity: identity(seed),
                nickname: Name::new("nick"),
                key: client_key(seed),
            }
        };
        let mut rng = ChaCha20Rng::seed_from_u64(seed.into());
        let call_key = ParticipantCallKey::random(&mut rng);
        let members = (1..=2)
            .map(|seed| (identity(seed), client_key(seed).public()))
            .collect();
        Self {
            local: Local::new(role, &GroupCallKey::from_bytes(GCK), call_key),
            admission: Admission {
                members,
                guests_allowed: true,
                administrators: None,
            },
            keys: vec![SentKey {
                epoch: seed,
                ratchet_counter: 0,
                key: super::super::key::MediaKey::from_bytes([seed; 32]),
            }],
            handshake: if new {
                Handshake::as_new_participant(rng)
            } else {
                Handshake::as_existing_participant(rng)
            },
            done: None,
            warnings: Vec::new(),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            local: &self.local,
            admission: &self.admission,
            media_keys: &self.keys,
        }
    }

    fn members_changed(&mut self) -> Vec<Vec<u8>> {
        let context = Context {
            local: &self.local,
            admission: &self.admission,
            media_keys: &self.keys,
        };
        self.handshake
            .handle_input(Instant::now(), Input::MembersChanged(context));
        self.drain()
    }

    fn receive(&mut self, sealed: &[u8]) -> Vec<Vec<u8>> {
        let context = Context {
            local: &self.local,
            admission: &self.admission,
            media_keys: &self.keys,
        };
        self.handshake
            .handle_input(Instant::now(), Input::Relay(context, sealed));
        self.drain()
    }

    fn start(&mut self) -> Vec<Vec<u8>> {
        let context = Context {
            local: &self.local,
            admission: &self.admission,
            media_keys: &self.keys,
        };
        self.handshake
            .handle_input(Instant::now(), Input::Start(context));
        self.drain()
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        loop {
            match self.handshake.poll_output() {
                Output::Transmit(bytes) => sent.push(bytes),
                Output::AuthSent => {}
                Output::Done(peer, keys) => self.done = Some((peer, keys)),
                Output::Warning(warning) => self.warnings.push(warning),
                Output::Timeout(_) => return sent,
            }
        }
    }

    /// Drives to the state in which only the other side's auth is missing.
    fn await_auth(np: &mut Self, ep: &mut Self) -> (Vec<u8>, Vec<u8>) {
        let hello = np.start().remove(0);
        let mut answer = ep.receive(&hello);
        let mut auth = np.receive(&answer.remove(0));
        (auth.remove(0), answer.remove(0))
    }
}

fn run(np_guest: bool, ep_guest: bool) -> (Side, Side) {
    let (mut np, mut ep) = (Side::new(1, np_guest, true), Side::new(2, ep_guest, false));
    let (np_auth, ep_auth) = Side::await_auth(&mut np, &mut ep);
    assert!(np.receive(&ep_auth).is_empty() && ep.receive(&np_auth).is_empty());
    (np, ep)
}

#[test]
fn all_four_role_pairs_finish_and_exchange_media_keys() {
    for (np_guest, ep_guest) in [(false, false), (true, true), (false, true), (true, false)] {
        let (mut np, mut ep) = run(np_guest, ep_guest);
        assert!(np.warnings.is_empty() && ep.warnings.is_empty());
        let (np_peer, np_keys) = np.done.as_mut().expect("done");
        let (ep_peer, ep_keys) = ep.done.as_mut().expect("done");
        assert_eq!((np_keys[0].epoch, ep_keys[0].epoch), (2, 1));
        assert_eq!(matches!(np_peer.name, ParticipantName::Guest(_)), ep_guest);
        assert_eq!(matches!(ep_peer.name, ParticipantName::Guest(_)), np_guest);
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let sealed = np_peer.seal(&PeerMessage::Hold, &mut rng).expect("fresh");
        assert!(matches!(
            ep_peer.open(&sealed, None),
            Ok(Said::Peer(PeerMessage::Hold))
        ));
    }
}

#[test]
fn each_side_begins_with_the_hello_of_its_role() {
    for (np_guest, ep_guest) in [(false, true), (true, false)] {
        let (mut np, mut ep) = (Side::new(1, np_guest, true), Side::new(2, ep_guest, false));
        let is_guest = |side: &Side, sealed: &[u8]| {
            let plain = side.local.handshake_key.open(sealed).expect("GCHK");
            matches!(HelloMessage::decode(&plain), Ok(HelloMessage::Guest(..)))
        };
        let hello = np.start().remove(0);
        assert_eq!(is_guest(&np, &hello), np_guest);
        let answer = ep.receive(&hello);
        assert_eq!((is_guest(&ep, &answer[0]), answer.len()), (ep_guest, 2));
    }
}

#[test]
fn hello_from_a_non_member_warns_and_is_answered_once_a_member() {
    let (mut np, mut ep) = (Side::new(1, false, true), Side::new(2, false, false));
    let member = ep
        .admission
        .members
        .remove(&identity(1))
        .expect("was there");
    let hello = np.start().remove(0);
    assert!(ep.receive(&hello).is_empty());
    assert_eq!(ep.warnings, [WarningKind::NotAMember]);
    ep.admission.members.insert(identity(1), member);
    assert_eq!(ep.members_changed().len(), 2);
}

#[test]
fn a_new_participant_keeps_hello_and_auth_of_someone_not_yet_a_member() {
    let (mut np, mut ep) = (Side::new(1, false, true), Side::new(2, false, false));
    let member = np
        .admission
        .members
        .remove(&identity(2))
        .expect("was there");
    let hello = np.start().remove(0);
    for answer in ep.receive(&hello) {
        assert!(np.receive(&answer).is_empty());
    }
    assert_eq!(np.warnings, [WarningKind::NotAMember]);
    // Another change of the group does not lose them.
    assert!(np.members_changed().is_empty());
    np.admission.members.insert(identity(2), member);
    let auth = np.members_changed();
    assert_eq!(auth.len(), 1);
    ep.receive(&auth[0]);
    assert!(np.done.is_some() && ep.done.is_some());
}

#[test]
fn a_member_with_another_key_is_not_authenticated() {
    let (mut np, mut ep) = (Side::new(1, false, true), Side::new(2, false, false));
    ep.admission
        .members
        .insert(identity(1), client_key(99).public());
    let (np_auth, ep_auth) = Side::await_auth(&mut np, &mut ep);
    np.receive(&ep_auth);
    ep.receive(&np_auth);
    assert!(np.done.is_none() && ep.done.is_none());
    assert_eq!((np.warnings.len(), ep.warnings.len()), (1, 1));
}

#[test]
fn guest_hello_is_refused_where_guests_are_not_allowed() {
    for (np_guest, ep_guest) in [(true, false), (true, true), (false, true)] {
        let (mut np, mut ep) = (Side::new(1, np_guest, true), Side::new(2, ep_guest, false));
        ep.admission.guests_allowed = false;
        let hello = np.start().remove(0);
        assert!(ep.receive(&hello).is_empty());
        assert_eq!(ep.warnings, [WarningKind::GuestsNotAllowed]);
    }
}

#[test]
fn a_reflected_hello_is_refused_in_await_ep_hello() {
    let mut np = Side::new(1, false, true);
    let hello = np.start().remove(0);
    assert!(np.receive(&hello).is_empty());
    assert_eq!(np.warnings, [WarningKind::Reflected]);
}

#[test]
fn a_reflected_hello_is_refused_in_await_np_hello() {
    let mut ep = Side::new(2, false, false);
    let own = Hello {
        call_key: ep.local.call_key_public,
        cookie: Cookie::from_bytes([1; 16]),
    };
    let same_cookie = Hello {
        call_key: client_key(1).public(),
        cookie: ep.handshake.cookie,
    };
    for hello in [own, same_cookie] {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let plain = HelloMessage::Normal(identity(1), Name::default(), hello).encode(&mut rng);
        let sealed = ep.local.handshake_key.seal(&plain, &mut rng);
        assert!(ep.receive(&sealed).is_empty());
    }
    assert_eq!(
        ep.warnings,
        [WarningKind::Reflected, WarningKind::Reflected]
    );
}

#[test]
fn a_hello_with_the_administrators_key_is_refused() {
    let mut ep = Side::new(2, false, false);
    let public = AdministratorMessageKey::from_bytes([5; 32]).public();
    ep.admission.administrators = Some(public);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let hello = Hello {
        call_key: public,
        cookie: Cookie::from_bytes([1; 16]),
    };
    for hello in [
        HelloMessage::Normal(identity(1), Name::default(), hello.clone()),
        HelloMessage::Guest(Name::default(), hello),
    ] {
        let sealed = ep
            .local
            .handshake_key
            .seal(&hello.encode(&mut rng), &mut rng);
        assert!(ep.receive(&sealed).is_empty());
    }
    assert_eq!(
        ep.warnings,
        [
            WarningKind::AdministratorKeyReused,
            WarningKind::AdministratorKeyReused
        ]
    );
}

#[test]
fn a_hello_with_a_key_of_zeros_is_refused() {
    let mut ep = Side::new(2, false, false);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let hello = Hello {
        call_key: PublicKey::from_bytes([0; 32]),
        cookie: Cookie::from_bytes([1; 16]),
    };
    let plain = HelloMessage::Normal(identity(1), Name::default(), hello).encode(&mut rng);
    let sealed = ep.local.handshake_key.seal(&plain, &mut rng);
    assert!(ep.receive(&sealed).is_empty());
    assert_eq!(ep.warnings, [WarningKind::UnusableKey]);
}

#[test]
fn a_hello_of_unknown_content_is_refused() {
    let mut ep = Side::new(2, false, false);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let sealed = ep
        .local
        .handshake_key
        .seal(&HelloMessage::Unknown.encode(&mut rng), &mut rng);
    assert!(ep.receive(&sealed).is_empty());
    assert_eq!(ep.warnings, [WarningKind::UnknownContent]);
}

/// Hello and GuestHello step 5, Auth and GuestAuth step 1, Envelope step 1: what is not expected does not open.
#[test]
fn a_message_of_another_state_warns_and_changes_nothing() {
    for guest in [false, true] {
        let (mut np, mut ep) = (Side::new(1, guest, true), Side::new(2, guest, false));
        let hello = np.start().remove(0);
        let answer = ep.receive(&hello);
        // An auth while a hello is awaited; a hello while an auth is awaited.
        np.receive(&answer[1]);
        ep.receive(&hello);
        assert_eq!((np.warnings.len(), ep.warnings.len()), (1, 1));
        let auth = np.receive(&answer[0]);
        ep.receive(&auth[0]);
        np.receive(&answer[1]);
        assert!(np.done.is_some() && ep.done.is_some());
        // A hello after the handshake.
        let (peer, _) = ep.done.as_mut().expect("done");
        assert!(matches!(
            peer.open(&hello, None),
            Err(WarningKind::Undecryptable(_))
        ));
    }
}

/// Gives what `np` would have sent as its auth, but with `auth` in it.
fn forge_auth(np: &mut Side, normal: bool, auth: AuthMessage) -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let plain = auth.encode(&mut rng);
    let cookie = np.handshake.cookie;
    match &mut np.handshake.state {
        State::AwaitAuth(AwaitAuth { remote, key }) if normal => {
            let mut pair = Pair::new(
                np.local.call_key.shared(&remote.call_key).expect("usable"),
                cookie,
                remote.cookie,
            );
            pair.seal(&key.seal(&plain, &mut rng)).expect("fresh")
        }
        State::AwaitGuestAuth(AwaitGuestAuth { remote }) => {
            let mut pair = Pair::new(
                np.local.call_key.shared(&remote.call_key).expect("usable"),
                cookie,
                remote.cookie,
            );
            pair.seal(&plain).expect("fresh")
        }
        _ => panic!("not awaiting an auth"),
    }
}

fn check_forged(guest: bool, change: impl Fn(Auth) -> AuthMessage, expected: WarningKind) {
    let (mut np, mut ep) = (Side::new(1, guest, true), Side::new(2, guest, false));
    Side::await_auth(&mut np, &mut ep);
    let auth = Auth {
        call_key: ep.context().local.call_key_public,
        cookie: ep.handshake.cookie,
        media_keys: np.keys.clone(),
    };
    let forged = forge_auth(&mut np, !guest, change(auth));
    ep.receive(&forged);
    assert_eq!(ep.warnings, [expected]);
    assert!(ep.done.is_none());
}

#[test]
fn guest_auth_in_a_normal_handshake_is_refused() {
    check_forged(false, AuthMessage::Guest, WarningKind::WrongAuth);
    check_forged(false, |_| AuthMessage::Unknown, WarningKind::WrongAuth);
}

#[test]
fn auth_in_a_guest_handshake_is_refused() {
    check_forged(true, AuthMessage::Normal, WarningKind::WrongAuth);
    check_forged(true, |_| AuthMessage::Unknown, WarningKind::WrongAuth);
}

#[test]
fn an_auth_that_repeats_another_call_key_is_refused() {
    let other = client_key(50).public();
    check_forged(
        false,
        |auth| {
            AuthMessage::Normal(Auth {
                call_key: other,
                ..auth
            })
        },
        WarningKind::CallKeyMismatch,
    );
    check_forged(
        true,
        |auth| {
            AuthMessage::Guest(Auth {
                call_key: other,
                ..auth
            })
        },
        WarningKind::CallKeyMismatch,
    );
}

#[test]
fn an_auth_that_repeats_another_cookie_is_refused() {
    let other = Cookie::from_bytes([50; 16]);
    check_forged(
        false,
        |auth| {
            AuthMessage::Normal(Auth {
                cookie: other,
                ..auth
            })
        },
        WarningKind::CookieMismatch,
    );
    check_forged(
        true,
        |auth| {
            AuthMessage::Guest(Auth {
                cookie: other,
                ..auth
            })
        },
        WarningKind::CookieMismatch,
    );
}

#[test]
fn an_auth_without_media_keys_is_refused() {
    let missing = || WarningKind::Malformed(crate::group::wire::WireError::Missing("media_keys"));
    check_forged(
        false,
        |auth| {
            AuthMessage::Normal(Auth {
                media_keys: Vec::new(),
                ..auth
            })
        },
        missing(),
    );
    check_forged(
        true,
        |auth| {
            AuthMessage::Guest(Auth {
                media_keys: Vec::new(),
                ..auth
            })
        },
        missing(),
    );
}

#[test]
fn an_unopened_auth_of_another_call_key_is_refused() {
    let (mut np, mut ep) = (Side::new(1, false, true), Side::new(2, false, false));
    let other = GroupCallKey::from_bytes([8; 32]);
    np.local = Local::new(
        Role::Normal {
            identity: identity(1),
            nickname: Name::default(),
            key: client_key(1),
        },
        &other,
        ParticipantCallKey::from_bytes([3; 32]),
    );
    let hello = np.start().remove(0);
    assert!(ep.receive(&hello).is_empty());
    assert!(matches!(ep.warnings[..], [WarningKind::Undecryptable(_)]));
}

proptest! {
    #[test]
    fn any_bytes_never_panic_or_change_a_state(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut np, mut ep) = (Side::new(1, false, true), Side::new(2, false, false));
        prop_assert!(ep.receive(&bytes).is_empty() && np.receive(&bytes).is_empty());
        let (np_auth, ep_auth) = Side::await_auth(&mut np, &mut ep);
        prop_assert!(ep.receive(&bytes).is_empty() && np.receive(&bytes).is_empty());
        np.receive(&ep_auth);
        ep.receive(&np_auth);
        prop_assert!(np.done.is_some() && ep.done.is_some());
    }
}

//! The two handshakes of the file: each message is sealed again byte for byte, and the real
//! machines are driven through the whole exchange.

use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use super::{Check, array, bytes, ensure, number, same, text};
use crate::group::envelope::Pair;
use crate::group::handshake::{Admission, Context, Handshake, Input, Local, Output, Role};
use crate::group::id::{Identity, ParticipantId};
use crate::group::key::{
    AdministratorMessageKey, ClientKey, GroupCallKey, NormalHandshakeKey, ParticipantCallKey,
    PublicKey, SharedKey,
};
use crate::group::nonce::{Cookie, Nonces};
use crate::group::peer::{Peer, Said};
use crate::group::wire::{
    AdminMessage, AuthMessage, Capture, HelloMessage, Name, ParticipantName, PeerMessage, Relay,
    SentKey, ToSfu,
};

const PAIR_KEY: &str = "X25519HSalsa20(PCK,PCK)";
const ADMIN_KEY: &str = "X25519HSalsa20(GCAMK.secret, receiver PCK.public)";

/// One side as the file gives it, with a real machine.
struct Side {
    id: ParticipantId,
    identity: Identity,
    nickname: Name,
    client_key: ClientKey,
    call_key: ParticipantCallKey,
    cookie: Cookie,
    local: Local,
    handshake: Handshake,
    peer: Option<Box<Peer>>,
    received_keys: Vec<SentKey>,
    /// The number its next message must have.
    sequence_number: u64,
}

struct Exchange {
    key: GroupCallKey,
    normal: NormalHandshakeKey,
    administrator: AdministratorMessageKey,
    shared: SharedKey,
    admission: Admission,
    sides: [Side; 2],
}

fn side(v: &Value, key: &GroupCallKey, new: bool) -> Result<Side, String> {
    let client_key = ClientKey::from_bytes(array(v, "ck_secret")?);
    same(v, "ck_public", client_key.public().as_bytes())?;
    let call_key = ParticipantCallKey::from_bytes(array(v, "pck_secret")?);
    same(v, "pck_public", call_key.public().as_bytes())?;
    let cookie = Cookie::from_bytes(array(v, "pcck")?);
    let identity: Identity = text(v, "identity")?.try_into().map_err(|_| "identity")?;
    let nickname = Name::new(text(v, "nickname")?);
    let role = Role::Normal {
        identity,
        nickname: nickname.clone(),
        key: client_key.clone(),
    };
    Ok(Side {
        id: number::<u32>(v, "participant_id")?
            .try_into()
            .map_err(|_| "participant_id")?,
        identity,
        nickname,
        local: Local::new(role, key, call_key.clone()),
        client_key,
        call_key,
        cookie,
        handshake: Handshake::with_cookie(new, cookie, ChaCha20Rng::seed_from_u64(1)),
        peer: None,
        received_keys: Vec::new(),
        sequence_number: 1,
    })
}

fn exchange(v: &Value) -> Result<Exchange, String> {
    let key = GroupCallKey::from_bytes(array(v, "gck")?);
    let hash = key.hash();
    same(v, "gckh", hash.as_bytes())?;
    same(v, "gchk", key.handshake_key().as_bytes())?;
    let administrator = AdministratorMessageKey::from_bytes(array(v, "gcamk_secret")?);
    same(v, "gcamk_public", administrator.public().as_bytes())?;
    let np = side(v.get("np").ok_or("no np")?, &key, true)?;
    let ep = side(v.get("ep").ok_or("no ep")?, &key, false)?;
    let normal = np
        .client_key
        .normal_handshake_key(&ep.client_key.public(), &hash)
        .map_err(|e| e.to_string())?;
    same(v, "gcnhak", normal.as_bytes())?;
    let shared = np
        .call_key
        .shared(&ep.call_key.public())
        .map_err(|e| e.to_string())?;
    same(v, "shared_pck_key", shared.as_bytes())?;
    let members = [&np, &ep]
        .map(|side| (side.identity, side.client_key.public()))
        .into_iter()
        .collect();
    let admission = Admission {
        members,
        guests_allowed: false,
        administrators: Some(administrator.public()),
    };
    Ok(Exchange {
        key,
        normal,
        administrator,
        shared,
        admission,
        sides: [np, ep],
    })
}

pub(super) fn normal(v: &Value) -> Check {
    let mut exchange = exchange(v)?;
    let steps = v
        .get("steps")
        .and_then(Value::as_array)
        .filter(|steps| steps.len() >= 4)
        .ok_or("no steps")?;
    for (index, step) in steps.iter().enumerate() {
        exchange
            .step(step)
            .map_err(|error| format!("step {index}: {error}"))?;
    }
    ensure(
        exchange.sides.iter().all(|side| side.peer.is_some()),
        "the handshake's end",
    )
}

impl Exchange {
    fn step(&mut self, v: &Value) -> Check {
        let from: u32 = number(v, "from")?;
        let to: u32 = number(v, "to")?;
        let sender = self
            .sides
            .iter()
            .position(|side| side.id.number() == from)
            .ok_or("an unknown sender")?;
        let receiver = 1 - sender;
        ensure(self.sides[receiver].id.number() == to, "`to`")?;
        let sealed = bytes(v, "encrypted_data")?;
        let relay = Relay {
            sender: self.sides[sender].id,
            receiver: self.sides[receiver].id,
            encrypted_data: sealed.clone(),
        };
        let relay = ToSfu::Relay(relay);
        same(
            v,
            "p2s_envelope",
            &relay.encode(&mut ChaCha20Rng::seed_from_u64(0)),
        )?;
        ensure(
            ToSfu::decode(&bytes(v, "p2s_envelope")?) == Ok(relay),
            "the decoded p2s_envelope",
        )?;
        match text(v, "message")? {
            "Hello" => self.hello(v, sender, &sealed),
            "Auth" => self.auth(v, sender, &sealed),
            message => self.envelope(v, sender, &sealed, message),
        }
    }

    fn hello(&mut self, v: &Value, sender: usize, sealed: &[u8]) -> Check {
        ensure(text(v, "key")? == "GCHK", "`key`")?;
        let plain = bytes(v, "plain_hello_envelope")?;
        let side = &self.sides[sender];
        ensure(
            self.key
                .handshake_key()
                .seal_with(&array(v, "nonce")?, &plain)
                == sealed,
            "the sealed hello",
        )?;
        match HelloMessage::decode(&plain) {
            Ok(HelloMessage::Normal(identity, nickname, hello)) => {
                ensure(identity == side.identity, "identity")?;
                ensure(nickname == side.nickname, "nickname")?;
                ensure(
                    hello.call_key == side.call_key.public() && hello.cookie == side.cookie,
                    "the hello",
                )?;
            }
            _ => return Err("no normal hello".into()),
        }
        self.receive(1 - sender, sealed)
    }

    fn auth(&mut self, v: &Value, sender: usize, sealed: &[u8]) -> Check {
        ensure(text(v, "outer_key")? == PAIR_KEY, "`outer_key`")?;
        ensure(text(v, "inner_key")? == "GCNHAK", "`inner_key`")?;
        let inner = self
            .normal
            .seal_with(&array(v, "inner_nonce")?, &bytes(v, "plain_auth_envelope")?);
        same(v, "inner_data", &inner[24..])?;
        ensure(
            self.numbered(v, sender, "outer_nonce")?
                .seal(&inner)
                .as_deref()
                == Ok(sealed),
            "the sealed auth",
        )?;
        let listed = v
            .get("media_keys")
            .and_then(Value::as_array)
            .ok_or("no media_keys")?;
        let Ok(AuthMessage::Normal(auth)) = AuthMessage::decode(&bytes(v, "plain_auth_envelope")?)
        else {
            return Err("no normal auth".into());
        };
        let receiver = &self.sides[1 - sender];
        ensure(
            auth.call_key == receiver.call_key.public() && auth.cookie == receiver.cookie,
            "the repeated key or cookie",
        )?;
        self.receive(1 - sender, sealed)?;
        for keys in [&auth.media_keys, &self.sides[1 - sender].received_keys] {
            ensure(keys.len() == listed.len(), "the number of media keys")?;
            for (key, listed) in keys.iter().zip(listed) {
                ensure(key.epoch == number::<u8>(listed, "epoch")?, "epoch")?;
                ensure(
                    key.ratchet_counter == number::<u8>(listed, "ratchet_counter")?,
                    "ratchet_counter",
                )?;
                same(listed, "pcmk", key.key.as_bytes())?;
            }
        }
        Ok(())
    }

    fn envelope(&mut self, v: &Value, sender: usize, sealed: &[u8], message: &str) -> Check {
        ensure(text(v, "key")? == PAIR_KEY, "`key`")?;
        let plain = bytes(v, "plain_envelope")?;
        let mut pair = self.numbered(v, sender, "nonce")?;
        if message.starts_with("encrypted_admin_envelope") {
            ensure(text(v, "admin_key")? == ADMIN_KEY, "`admin_key`")?;
            let receiver = self.sides[1 - sender].call_key.public();
            let key = self
                .administrator
                .shared(&receiver)
                .map_err(|e| e.to_string())?;
            let admin = bytes(v, "admin_plain_envelope")?;
            let resealed = pair.seal_admin(&key, &admin, |inner| {
                // The file's padding, if any, stands outside of the inner envelope.
                let same = matches!(PeerMessage::decode(&plain), Ok(PeerMessage::Admin(sealed)) if sealed == inner);
                if same { plain.clone().into() } else { Vec::new().into() }
            });
            ensure(
                resealed.as_deref() == Ok(sealed),
                "the sealed administrator's message",
            )?;
        } else {
            ensure(
                pair.seal(&plain).as_deref() == Ok(sealed),
                "the sealed message",
            )?;
        }
        let side = &mut self.sides[1 - sender];
        let admin = side
            .call_key
            .shared(&self.administrator.public())
            .map_err(|e| e.to_string())?;
        let peer = side
            .peer
            .as_mut()
            .ok_or("a message before the handshake's end")?;
        let said = peer.open(sealed, Some(&admin)).map_err(|e| e.to_string())?;
        let label = label(&said);
        ensure(
            message.replacen(", later protocol text", "", 1) == label,
            "`message`",
        )
    }

    /// What seals the step: checks its number and nonce against the sender's counter.
    fn numbered(&mut self, v: &Value, sender: usize, nonce: &str) -> Result<Pair, String> {
        let (own, remote) = (self.sides[sender].cookie, self.sides[1 - sender].cookie);
        let side = &mut self.sides[sender];
        let number: u64 = number(v, "pcsn")?;
        ensure(number == side.sequence_number, "`pcsn`")?;
        side.sequence_number += 1;
        same(
            v,
            nonce,
            &Nonces::at(own, number).peek().map_err(|e| e.to_string())?,
        )?;
        Ok(Pair::at(
            SharedKey::from_bytes(*self.shared.as_bytes()),
            Nonces::at(own, number),
            remote,
        ))
    }

    /// Feeds the real machine of the receiver.
    fn receive(&mut self, receiver: usize, sealed: &[u8]) -> Check {
        let side = &mut self.sides[receiver];
        let context = Context {
            local: &side.local,
            admission: &self.admission,
            media_keys: &[],
        };
        side.handshake
            .handle_input(Instant::now(), Input::Relay(context, sealed));
        loop {
            match side.handshake.poll_output() {
                Output::Warning(warning) => return Err(warning.to_string()),
                Output::Done(peer, keys) => {
                    let sender = &self.sides[1 - receiver];
                    let expected =
                        ParticipantName::Normal(sender.identity, sender.nickname.clone());
                    ensure(peer.name == expected, "the authenticated name")?;
                    self.sides[receiver].peer = Some(peer);
                    self.sides[receiver].received_keys = keys;
                    return Ok(());
                }
                Output::Transmit(_) | Output::AuthSent => {}
                Output::Timeout(_) => return Ok(()),
            }
        }
    }
}

fn label(said: &Said) -> String {
    let switch = |on| if on { "on" } else { "off" };
    match said {
        Said::Peer(PeerMessage::Rekey(_)) => "Rekey".into(),
        Said::Peer(PeerMessage::Hold) => "HoldState".into(),
        Said::Peer(PeerMessage::Capture(state)) => {
            let device = match state {
                Capture::Microphone(_) => "microphone",
                Capture::Camera(_) => "camera",
                Capture::Screen(_) => "screen",
            };
            format!("CaptureState({device} {})", switch(state.is_on()))
        }
        Said::Peer(PeerMessage::Admin(_) | PeerMessage::Unknown) => "unknown".into(),
        Said::Admin(message) => format!(
            "encrypted_admin_envelope({})",
            match message {
                AdminMessage::ReportAsAdmin => "ReportAsAdmin".into(),
                AdminMessage::PromoteToAdmin(_) => "PromoteToAdmin".into(),
                AdminMessage::ForceLeave => "ForceLeave".into(),
                AdminMessage::ForceCaptureStateOff(off) => format!("ForceCaptureStateOff {off:?}"),
                AdminMessage::ForceFocus(id) => format!("ForceFocus participant {id}"),
                AdminMessage::Unknown => "unknown".into(),
            }
        ),
    }
}

pub(super) fn guest(v: &Value, handshake: &Value) -> Check {
    let Exchange {
        key,
        shared,
        sides: [np, ep],
        ..
    } = exchange(handshake)?;
    let plain = bytes(v, "plain_guest_hello_envelope")?;
    let sealed = key
        .handshake_key()
        .seal_with(&array(v, "guest_hello_nonce")?, &plain);
    same(v, "guest_hello_encrypted_data", &sealed)?;
    let Ok(HelloMessage::Guest(name, hello)) = HelloMessage::decode(&plain) else {
        return Err("no guest hello".into());
    };
    ensure(
        !name.as_str().is_empty()
            && hello.call_key == np.call_key.public()
            && hello.cookie == np.cookie,
        "the guest hello",
    )?;
    same(
        v,
        "guest_auth_nonce",
        &Nonces::new(np.cookie).peek().map_err(|e| e.to_string())?,
    )?;
    let plain = bytes(v, "guest_auth_plain_envelope")?;
    let sealed_auth = Pair::new(shared, np.cookie, ep.cookie)
        .seal(&plain)
        .map_err(|e| e.to_string())?;
    same(v, "guest_auth_encrypted_data", &sealed_auth)?;
    let Ok(AuthMessage::Guest(auth)) = AuthMessage::decode(&plain) else {
        return Err("no guest auth".into());
    };
    let repeated: (PublicKey, Cookie) = (ep.call_key.public(), ep.cookie);
    ensure(
        (auth.call_key, auth.cookie) == repeated,
        "the repeated key or cookie",
    )?;
    // The real machine of the existing participant takes both.
    let mut machine = Handshake::with_cookie(false, ep.cookie, ChaCha20Rng::seed_from_u64(1));
    let admission = Admission {
        guests_allowed: true,
        ..Admission::default()
    };
    for sealed in [&sealed, &sealed_auth] {
        let context = Context {
            local: &ep.local,
            admission: &admission,
            media_keys: &[],
        };
        machine.handle_input(Instant::now(), Input::Relay(context, sealed));
    }
    loop {
        match machine.poll_output() {
            Output::Done(peer, keys) => {
                ensure(
                    peer.name == ParticipantName::Guest(name),
                    "the guest's name",
                )?;
                return ensure(keys.len() == auth.media_keys.len(), "the media keys");
            }
            Output::Timeout(_) => return Err("the guest handshake did not finish".into()),
            Output::Warning(warning) => return Err(warning.to_string()),
            Output::Transmit(_) | Output::AuthSent => {}
        }
    }
}

//! Two participants prove who they are and exchange their media keys
//! (protocol text, *Handshake*; protocol facts, section 1).
//!
//! ```text
//! new participant    Start ─ send hello ─→ AwaitEpHello ─ on hello: send auth ────────→ AwaitAuth ─ on auth → done
//! existing one       AwaitNpHello ─ on hello: send hello, then auth ──────────────────→ AwaitAuth ─ on auth → done
//! either is a guest  the same with GuestAuth and AwaitGuestAuth; each begins with the hello of its own role
//! ```
//!
//! What goes wrong costs the message: a warning, and the state stays. Nothing here reads a
//! clock: a handshake has no time-out in the text and holds a bounded amount.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;

use super::envelope::Pair;
use super::id::Identity;
use super::key::{
    ClientKey, GroupCallKey, GroupCallKeyHash, HandshakeKey, NormalHandshakeKey,
    ParticipantCallKey, PublicKey, StateKey,
};
use super::nonce::Cookie;
use super::peer::Peer;
use super::warning::WarningKind;
use super::wire::{Auth, AuthMessage, Hello, HelloMessage, Name, ParticipantName, SentKey};

/// Bytes of an auth kept while its sender is no member yet; with full padding one has some 700.
const HELD_AUTH_LEN_MAX: usize = 2_048;

/// Who we are in a call.
pub enum Role {
    /// A member, who proves it by the client key.
    Normal {
        /// Our name on the wire.
        identity: Identity,
        /// Shown to the others; may be empty.
        nickname: Name,
        /// CK.
        key: ClientKey,
    },
    /// A guest, whom others trust on first use.
    Guest {
        /// Self-assigned, shown to the others.
        name: Name,
    },
}

/// Our side of every handshake of one call.
pub struct Local {
    pub(super) role: Role,
    /// One PCK for all participants of the call (the text allows it): a hello of ours that the SFU
    /// reflects is then recognised whomever it pretends to come from.
    pub(super) call_key: ParticipantCallKey,
    call_key_public: PublicKey,
    pub(super) hash: GroupCallKeyHash,
    handshake_key: HandshakeKey,
    pub(super) state_key: StateKey,
}

impl Local {
    /// Derives what a call needs from its key.
    #[must_use]
    pub fn new(role: Role, key: &GroupCallKey, call_key: ParticipantCallKey) -> Self {
        Self {
            role,
            call_key_public: call_key.public(),
            call_key,
            hash: key.hash(),
            handshake_key: key.handshake_key(),
            state_key: key.state_key(),
        }
    }

    /// How others see us.
    #[must_use]
    pub fn name(&self) -> ParticipantName {
        match &self.role {
            Role::Normal {
                identity, nickname, ..
            } => ParticipantName::Normal(*identity, nickname.clone()),
            Role::Guest { name } => ParticipantName::Guest(name.clone()),
        }
    }

    fn hello(&self, cookie: Cookie) -> HelloMessage {
        let hello = Hello {
            call_key: self.call_key_public,
            cookie,
        };
        match &self.role {
            Role::Normal {
                identity, nickname, ..
            } => HelloMessage::Normal(*identity, nickname.clone(), hello),
            Role::Guest { name } => HelloMessage::Guest(name.clone(), hello),
        }
    }
}

/// Who may take part.
#[derive(Clone, Default)]
pub struct Admission {
    /// Members with their client keys, the user included. Identities are names: the key decides.
    pub members: BTreeMap<Identity, PublicKey>,
    /// Only calls by link may allow guests.
    pub guests_allowed: bool,
    /// GCAMK.public, if the call has administrators.
    pub administrators: Option<PublicKey>,
}

/// What a handshake looks at while it handles one input.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Our side.
    pub local: &'a Local,
    /// Who may take part.
    pub admission: &'a Admission,
    /// The applied media key, then the pending one if there is one.
    pub media_keys: &'a [SentKey],
}

/// One change.
pub enum Input<'a> {
    /// We are the new participant: send the first hello.
    Start(Context<'a>),
    /// The other side's `encrypted_data`.
    Relay(Context<'a>, &'a [u8]),
    /// The members changed: a hello that was refused may be accepted now.
    MembersChanged(Context<'a>),
}

/// What came of it.
pub enum Output {
    /// `encrypted_data` for the other side.
    Transmit(Vec<u8>),
    /// The other side is known but for its auth; ours was sent with the context's media keys.
    AuthSent,
    /// The handshake is done: the other side and its media keys (never empty).
    Done(Box<Peer>, Vec<SentKey>),
    /// A message was dropped.
    Warning(WarningKind),
    /// All is drained. A handshake waits for messages only.
    Timeout(Option<Instant>),
}

/// The handshake with one participant.
pub struct Handshake {
    state: State,
    cookie: Cookie,
    rng: ChaCha20Rng,
    outputs: VecDeque<Output>,
}

enum State {
    AwaitEpHello(AwaitEpHello),
    AwaitNpHello(AwaitNpHello),
    AwaitAuth(AwaitAuth),
    AwaitGuestAuth(AwaitGuestAuth),
    /// `Done` was given out, or an edge failed half way; cannot be left.
    Over,
}

/// `await-ep-hello`: we are new, our hello is sent.
#[derive(Default)]
struct AwaitEpHello {
    held: Option<Held>,
}

/// `await-np-hello`: the other side is new and speaks first.
#[derive(Default)]
struct AwaitNpHello {
    held: Option<Held>,
}

/// From someone who is no member *yet*: the group's change may be on its way. Answered when it arrives.
struct Held {
    hello: HelloMessage,
    /// An existing participant sends its auth right behind its hello, and then waits for ours.
    auth: Option<Vec<u8>>,
}

/// `await-auth`: both are normal participants, our auth is sent.
struct AwaitAuth {
    remote: Remote,
    key: NormalHandshakeKey,
}

/// `await-guest-auth`: either is a guest, our guest auth is sent.
struct AwaitGuestAuth {
    remote: Remote,
}

/// The other side after its hello.
struct Remote {
    name: ParticipantName,
    call_key: PublicKey,
    cookie: Cookie,
    pair: Pair,
}

/// A hello that passed its checks.
struct Accepted {
    remote: Remote,
    /// GCNHAK; `None` in a guest handshake.
    key: Option<NormalHandshakeKey>,
}

impl Handshake {
    /// We are the new participant: expects [`Input::Start`] first.
    #[must_use]
    pub fn as_new_participant(mut rng: ChaCha20Rng) -> Self {
        let cookie = Cookie::random(&mut rng);
        Self::with(State::AwaitEpHello(AwaitEpHello::default()), cookie, rng)
    }

    /// The other side is new and speaks first.
    #[must_use]
    pub fn as_existing_participant(mut rng: ChaCha20Rng) -> Self {
        let cookie = Cookie::random(&mut rng);
        Self::with(State::AwaitNpHello(AwaitNpHello::default()), cookie, rng)
    }

    fn with(state: State, cookie: Cookie, rng: ChaCha20Rng) -> Self {
        Self {
            state,
            cookie,
            rng,
            outputs: VecDeque::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn with_cookie(new: bool, cookie: Cookie, rng: ChaCha20Rng) -> Self {
        let state = if new {
            State::AwaitEpHello(AwaitEpHello::default())
        } else {
            State::AwaitNpHello(AwaitNpHello::default())
        };
        Self::with(state, cookie, rng)
    }

    /// Who the other side says to be, once its hello was accepted; proven only when done.
    #[must_use]
    pub fn claimed_name(&self) -> Option<&ParticipantName> {
        match &self.state {
            State::AwaitAuth(AwaitAuth { remote, .. })
            | State::AwaitGuestAuth(AwaitGuestAuth { remote }) => Some(&remote.name),
            State::AwaitEpHello(_) | State::AwaitNpHello(_) | State::Over => None,
        }
    }

    /// Makes one change; drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
        match input {
            Input::Start(context) => self.send_hello(&context),
            Input::Relay(context, sealed) => self.receive(&context, sealed),
            Input::MembersChanged(context) => self.retry(&context),
        }
    }

    /// Drains what the last input caused.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Timeout(None))
    }

    /// *When creating this message as a newly joined participant* (Hello and GuestHello):
    /// 1. Set the participant's handshake state to `await-ep-hello`. 2. Send this message.
    fn send_hello(&mut self, context: &Context<'_>) {
        let plain = context.local.hello(self.cookie).encode(&mut self.rng);
        let sealed = context.local.handshake_key.seal(&plain, &mut self.rng);
        self.outputs.push_back(Output::Transmit(sealed));
    }

    /// *When receiving a relayed message*, step 3: decrypt according to the handshake state.
    fn receive(&mut self, context: &Context<'_>, sealed: &[u8]) {
        match &mut self.state {
            State::AwaitEpHello(AwaitEpHello { held })
            | State::AwaitNpHello(AwaitNpHello { held }) => {
                match (open_hello(context, sealed), held) {
                    (Ok(hello), _) => self.receive_hello(context, hello),
                    (
                        Err(_),
                        Some(Held {
                            auth: auth @ None, ..
                        }),
                    ) if sealed.len() <= HELD_AUTH_LEN_MAX => {
                        *auth = Some(sealed.to_vec());
                    }
                    (Err(warning), _) => self.warn(warning),
                }
            }
            State::AwaitAuth(state) => match state.open(context, &self.cookie, sealed) {
                Ok(keys) => self.finish(keys),
                Err(warning) => self.warn(warning),
            },
            State::AwaitGuestAuth(state) => match state.open(context, &self.cookie, sealed) {
                Ok(keys) => self.finish(keys),
                Err(warning) => self.warn(warning),
            },
            State::Over => {}
        }
    }

    fn retry(&mut self, context: &Context<'_>) {
        let Some(Held { hello, auth }) = self.held().and_then(Option::take) else {
            return;
        };
        self.receive_hello(context, hello);
        match (self.held(), auth) {
            (Some(Some(held)), auth) => held.auth = auth,
            (None, Some(auth)) => self.receive(context, &auth),
            _ => {}
        }
    }

    /// What is held, in the states that hold something.
    fn held(&mut self) -> Option<&mut Option<Held>> {
        match &mut self.state {
            State::AwaitEpHello(AwaitEpHello { held })
            | State::AwaitNpHello(AwaitNpHello { held }) => Some(held),
            State::AwaitAuth(_) | State::AwaitGuestAuth(_) | State::Over => None,
        }
    }

    /// Steps 3 and 4 of Hello and of GuestHello.
    fn receive_hello(&mut self, context: &Context<'_>, hello: HelloMessage) {
        let accepted = match accept(context, &self.cookie, &hello) {
            Ok(accepted) => accepted,
            Err(warning) => {
                if warning == WarningKind::NotAMember
                    && let Some(held) = self.held()
                {
                    *held = Some(Held { hello, auth: None });
                }
                return self.warn(warning);
            }
        };
        // 3.1 (await-np-hello): respond by sending a hello of our own role, immediately followed by an auth.
        // 4.2 (await-ep-hello): respond by sending an auth.
        // The text has a normal participant answer a guest with a GuestHello here; its own flow diagrams
        // (“both always start with sending their respective role's hello variant”) have a Hello. Those win.
        if matches!(self.state, State::AwaitNpHello(_)) {
            self.send_hello(context);
        }
        // 3.2 and 4.3: set the handshake state to `await-auth` (or `await-guest-auth`).
        self.send_auth(context, accepted);
    }

    /// ```text
    /// normal: outer(inner-nonce || XSalsa20-Poly1305(key=GCNHAK, nonce=inner-nonce, data=AuthEnvelope(Auth)))
    /// guest:  outer(AuthEnvelope(GuestAuth))
    /// outer = XSalsa20-Poly1305(key=X25519HSalsa20(PCK, PCK), nonce=PCCK || PCSN+)
    /// ```
    fn send_auth(&mut self, context: &Context<'_>, accepted: Accepted) {
        let Accepted { mut remote, key } = accepted;
        let auth = Auth {
            call_key: remote.call_key,
            cookie: remote.cookie,
            media_keys: context.media_keys.to_vec(),
        };
        let sealed = match &key {
            Some(key) => {
                let plain = AuthMessage::Normal(auth).encode(&mut self.rng);
                remote.pair.seal(&key.seal(&plain, &mut self.rng))
            }
            None => remote
                .pair
                .seal(&AuthMessage::Guest(auth).encode(&mut self.rng)),
        };
        let sealed = sealed.expect("the first of 2^64 numbers is free");
        self.state = match key {
            Some(key) => State::AwaitAuth(AwaitAuth { remote, key }),
            None => State::AwaitGuestAuth(AwaitGuestAuth { remote }),
        };
        self.outputs.push_back(Output::Transmit(sealed));
        self.outputs.push_back(Output::AuthSent);
    }

    /// Auth and GuestAuth, step 4: set the handshake state to `done`.
    fn finish(&mut self, keys: Vec<SentKey>) {
        let (State::AwaitAuth(AwaitAuth { remote, .. })
        | State::AwaitGuestAuth(AwaitGuestAuth { remote })) =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return;
        };
        let peer = Peer::new(remote.name, remote.pair, remote.call_key);
        self.outputs.push_back(Output::Done(Box::new(peer), keys));
    }

    fn warn(&mut self, warning: WarningKind) {
        self.outputs.push_back(Output::Warning(warning));
    }
}

impl AwaitAuth {
    /// *When receiving* `AuthEnvelope`, step 2: both sides are normal, expect `auth`.
    /// Step 1 of Auth (wrong state) shows as a message that does not open.
    fn open(
        &mut self,
        context: &Context<'_>,
        cookie: &Cookie,
        sealed: &[u8],
    ) -> Result<Vec<SentKey>, WarningKind> {
        let (outer, _) = self.remote.pair.open(sealed)?;
        let plain = self.key.open(&outer)?;
        match AuthMessage::decode(&plain)? {
            AuthMessage::Normal(auth) => check_auth(context, cookie, auth),
            AuthMessage::Guest(_) | AuthMessage::Unknown => Err(WarningKind::WrongAuth),
        }
    }
}

impl AwaitGuestAuth {
    /// *When receiving* `AuthEnvelope`, step 1: either side is a guest, expect `guest_auth`.
    fn open(
        &mut self,
        context: &Context<'_>,
        cookie: &Cookie,
        sealed: &[u8],
    ) -> Result<Vec<SentKey>, WarningKind> {
        let (plain, _) = self.remote.pair.open(sealed)?;
        match AuthMessage::decode(&plain)? {
            AuthMessage::Guest(auth) => check_auth(context, cookie, auth),
            AuthMessage::Normal(_) | AuthMessage::Unknown => Err(WarningKind::WrongAuth),
        }
    }
}

/// Auth and GuestAuth:
/// 2. If the repeated `pck` does not equal the local PCK.public, log a warning and abort.
/// 3. If the repeated `pcck` does not equal the local PCCK, log a warning and abort.
fn check_auth(
    context: &Context<'_>,
    cookie: &Cookie,
    auth: Auth,
) -> Result<Vec<SentKey>, WarningKind> {
    if auth.call_key != context.local.call_key_public {
        return Err(WarningKind::CallKeyMismatch);
    }
    if auth.cookie != *cookie {
        return Err(WarningKind::CookieMismatch);
    }
    Ok(auth.media_keys)
}

fn open_hello(context: &Context<'_>, sealed: &[u8]) -> Result<HelloMessage, WarningKind> {
    Ok(HelloMessage::decode(
        &context.local.handshake_key.open(sealed)?,
    )?)
}

/// The checks of Hello and GuestHello, the same in both waiting states.
///
/// Hello as a regular participant:
/// 1. (placeholder) PCK must not be GCAMK.public.
/// 2. If `identity` is not part of the group, log a warning and abort.
///
/// Hello as a guest participant: 1. and 2. map it to a GuestHello and handle that.
///
/// GuestHello:
/// 1. If guests are not allowed, log a warning and abort.
/// 2. (placeholder) as above.
///
/// Both, 4.1: if `pck` or `pcck` reflects ours, log a warning and abort. The text asks for this in
/// `await-ep-hello` only; running clients check in both states, and so do we.
fn accept(
    context: &Context<'_>,
    cookie: &Cookie,
    hello: &HelloMessage,
) -> Result<Accepted, WarningKind> {
    let Context {
        local, admission, ..
    } = *context;
    let (name, hello, member_key) = match (hello, &local.role) {
        (HelloMessage::Unknown, _) => return Err(WarningKind::UnknownContent),
        (HelloMessage::Normal(identity, nickname, hello), Role::Normal { key, .. }) => {
            let member = admission
                .members
                .get(identity)
                .ok_or(WarningKind::NotAMember)?;
            let own = key
                .normal_handshake_key(member, &local.hash)
                .map_err(|_| WarningKind::UnusableKey)?;
            (
                ParticipantName::Normal(*identity, nickname.clone()),
                hello,
                Some(own),
            )
        }
        _ if !admission.guests_allowed => return Err(WarningKind::GuestsNotAllowed),
        // Nothing proves the identity to a guest; it is kept because members come first in call state updates.
        (HelloMessage::Normal(identity, nickname, hello), Role::Guest { .. }) => (
            ParticipantName::Normal(*identity, nickname.clone()),
            hello,
            None,
        ),
        (HelloMessage::Guest(name, hello), _) => {
            (ParticipantName::Guest(name.clone()), hello, None)
        }
    };
    if admission.administrators == Some(hello.call_key) {
        return Err(WarningKind::AdministratorKeyReused);
    }
    if hello.call_key == local.call_key_public || hello.cookie == *cookie {
        return Err(WarningKind::Reflected);
    }
    let shared = local
        .call_key
        .shared(&hello.call_key)
        .map_err(|_| WarningKind::UnusableKey)?;
    let remote = Remote {
        name,
        call_key: hello.call_key,
        cookie: hello.cookie,
        pair: Pair::new(shared, *cookie, hello.cookie),
    };
    Ok(Accepted {
        remote,
        key: member_key,
    })
}

#[cfg(test)]
mod tests;

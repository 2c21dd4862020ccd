//! Between two participants, inside what the SFU relays.

use rand_chacha::rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::raw::Unit;
use super::raw::participant_to_participant::{
    self as peer, CaptureState, HoldState, MediaKey as RawMediaKey, admin,
    capture_state as capture, envelope::Content, handshake,
};
use super::{MESSAGE_LEN_MAX, Name, WireError, decode, encode, padding};
use crate::group::id::{Identity, ParticipantId};
use crate::group::key::{AdministratorKey, MediaKey, PublicKey};
use crate::group::nonce::Cookie;

/// Media keys one `Auth` may carry. The text has one or two (applied, pending); more costs a hostile sender only.
const AUTH_MEDIA_KEYS_MAX: usize = 8;

/// What both variants of a hello tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// PCK.public of the sender towards the receiver.
    pub call_key: PublicKey,
    /// PCCK of the sender towards the receiver.
    pub cookie: Cookie,
}

/// The first message of both sides.
#[derive(Clone, PartialEq, Eq)]
pub enum HelloMessage {
    /// From a normal participant.
    Normal(Identity, Name, Hello),
    /// From a guest, with the self-assigned name.
    Guest(Name, Hello),
    /// Something of a later text.
    Unknown,
}

/// What both variants of an auth tell.
#[derive(Clone)]
pub struct Auth {
    /// The receiver's PCK.public, repeated.
    pub call_key: PublicKey,
    /// The receiver's PCCK, repeated.
    pub cookie: Cookie,
    /// The applied key, then the pending one if there is one. Never empty.
    pub media_keys: Vec<SentKey>,
}

/// The second and last message of both sides.
#[derive(Clone)]
pub enum AuthMessage {
    /// If both are normal participants.
    Normal(Auth),
    /// If either is a guest.
    Guest(Auth),
    /// Something of a later text.
    Unknown,
}

/// A media key (PCMK) with its place in the sender's sequence.
#[derive(Clone)]
pub struct SentKey {
    /// Counts leaves; wraps from 255 to 0.
    pub epoch: u8,
    /// Rounds of the ratchet already applied to `key`.
    pub ratchet_counter: u8,
    /// The key at that ratchet counter.
    pub key: MediaKey,
}

/// A device whose capturing is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// The microphone.
    Microphone,
    /// The camera.
    Camera,
    /// The screen (6.2.0 in this message).
    Screen,
}

impl Device {
    /// All, in the order in which they are announced.
    pub const ALL: [Self; 3] = [Self::Microphone, Self::Camera, Self::Screen];
}

/// What a device does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Microphone on or off.
    Microphone(bool),
    /// Camera on or off.
    Camera(bool),
    /// Screen on since this SFU time (milliseconds since 1970; 0 from older clients), or off.
    Screen(Option<u64>),
}

impl Capture {
    /// Which device this is about.
    #[must_use]
    pub fn device(self) -> Device {
        match self {
            Self::Microphone(_) => Device::Microphone,
            Self::Camera(_) => Device::Camera,
            Self::Screen(_) => Device::Screen,
        }
    }

    /// Whether it captures.
    #[must_use]
    pub fn is_on(self) -> bool {
        match self {
            Self::Microphone(on) | Self::Camera(on) => on,
            Self::Screen(started_at_ms) => started_at_ms.is_some(),
        }
    }

    /// `device` at rest.
    #[must_use]
    pub fn off(device: Device) -> Self {
        match device {
            Device::Microphone => Self::Microphone(false),
            Device::Camera => Self::Camera(false),
            Device::Screen => Self::Screen(None),
        }
    }
}

/// What authenticated participants tell each other.
#[derive(Clone)]
pub enum PeerMessage {
    /// An [`AdminMessage`], sealed once more under the administrator's key.
    Admin(Vec<u8>),
    /// A media key that will be applied soon.
    Rekey(SentKey),
    /// A device was turned on or off.
    Capture(Capture),
    /// The sender is away.
    Hold,
    /// Something of a later text; to be ignored.
    Unknown,
}

/// Which devices an administrator turns off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedOff {
    /// All of them.
    All,
    /// This one.
    Device(Device),
    /// One of a later text: none that could be found.
    Unknown,
}

/// What administrators tell.
#[derive(Clone)]
pub enum AdminMessage {
    /// I am one.
    ReportAsAdmin,
    /// Be one, too.
    PromoteToAdmin(AdministratorKey),
    /// Leave the call.
    ForceLeave,
    /// Stop capturing.
    ForceCaptureStateOff(ForcedOff),
    /// Look at this participant.
    ForceFocus(ParticipantId),
    /// Something of a later text; to be ignored.
    Unknown,
}

impl HelloMessage {
    /// Reads an opened `HelloEnvelope`.
    ///
    /// # Errors
    /// The sender is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: handshake::HelloEnvelope = decode(bytes, MESSAGE_LEN_MAX)?;
        let hello = |call_key: &[u8], cookie: &[u8]| -> Result<Hello, WireError> {
            Ok(Hello {
                call_key: PublicKey::from_slice(call_key)?,
                cookie: Cookie::from_slice(cookie)?,
            })
        };
        Ok(match raw.content {
            None => Self::Unknown,
            Some(handshake::hello_envelope::Content::Hello(raw)) => Self::Normal(
                raw.identity.as_str().try_into()?,
                Name::new(&raw.nickname),
                hello(&raw.pck, &raw.pcck)?,
            ),
            Some(handshake::hello_envelope::Content::GuestHello(raw)) => {
                Self::Guest(Name::new(&raw.name), hello(&raw.pck, &raw.pcck)?)
            }
        })
    }

    /// Writes a `HelloEnvelope` with random padding.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        use handshake::hello_envelope::Content;
        let content = match self {
            Self::Normal(identity, nickname, hello) => Some(Content::Hello(handshake::Hello {
                identity: identity.as_str().to_owned(),
                nickname: nickname.as_str().to_owned(),
                pck: hello.call_key.as_bytes().to_vec(),
                pcck: hello.cookie.as_bytes().to_vec(),
            })),
            Self::Guest(name, hello) => Some(Content::GuestHello(handshake::GuestHello {
                name: name.as_str().to_owned(),
                pck: hello.call_key.as_bytes().to_vec(),
                pcck: hello.cookie.as_bytes().to_vec(),
            })),
            Self::Unknown => None,
        };
        encode(&handshake::HelloEnvelope {
            padding: padding(rng),
            content,
        })
    }
}

impl AuthMessage {
    /// Reads an opened `AuthEnvelope`.
    ///
    /// # Errors
    /// The sender is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use handshake::auth_envelope::Content;
        let raw: handshake::AuthEnvelope = decode(bytes, MESSAGE_LEN_MAX)?;
        let auth =
            |call_key: &[u8], cookie: &[u8], keys: Vec<RawMediaKey>| -> Result<Auth, WireError> {
                if keys.is_empty() {
                    return Err(WireError::Missing("media_keys"));
                }
                if keys.len() > AUTH_MEDIA_KEYS_MAX {
                    return Err(WireError::Invalid("media_keys"));
                }
                Ok(Auth {
                    call_key: PublicKey::from_slice(call_key)?,
                    cookie: Cookie::from_slice(cookie)?,
                    media_keys: keys
                        .iter()
                        .map(SentKey::try_from)
                        .collect::<Result<_, _>>()?,
                })
            };
        Ok(match raw.content {
            None => Self::Unknown,
            Some(Content::Auth(raw)) => Self::Normal(auth(&raw.pck, &raw.pcck, raw.media_keys)?),
            Some(Content::GuestAuth(raw)) => {
                Self::Guest(auth(&raw.pck, &raw.pcck, raw.media_keys)?)
            }
        })
    }

    /// Writes an `AuthEnvelope` with random padding.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        use handshake::auth_envelope::Content;
        let keys = |auth: &Auth| auth.media_keys.iter().map(RawMediaKey::from).collect();
        let content = match self {
            Self::Normal(auth) => Some(Content::Auth(handshake::Auth {
                pck: auth.call_key.as_bytes().to_vec(),
                pcck: auth.cookie.as_bytes().to_vec(),
                media_keys: keys(auth),
            })),
            Self::Guest(auth) => Some(Content::GuestAuth(handshake::GuestAuth {
                pck: auth.call_key.as_bytes().to_vec(),
                pcck: auth.cookie.as_bytes().to_vec(),
                media_keys: keys(auth),
            })),
            Self::Unknown => None,
        };
        encode(&handshake::AuthEnvelope {
            padding: padding(rng),
            content,
        })
    }
}

impl TryFrom<&RawMediaKey> for SentKey {
    type Error = WireError;

    fn try_from(raw: &RawMediaKey) -> Result<Self, WireError> {
        Ok(Self {
            epoch: raw
                .epoch
                .try_into()
                .map_err(|_| WireError::Invalid("epoch"))?,
            ratchet_counter: raw
                .ratchet_counter
                .try_into()
                .map_err(|_| WireError::Invalid("ratchet_counter"))?,
            key: MediaKey::from_slice(&raw.pcmk)?,
        })
    }
}

impl From<&SentKey> for RawMediaKey {
    fn from(sent: &SentKey) -> Self {
        Self {
            epoch: sent.epoch.into(),
            ratchet_counter: sent.ratchet_counter.into(),
            pcmk: sent.key.as_bytes().to_vec(),
        }
    }
}

impl PeerMessage {
    /// Reads an opened post-handshake `Envelope`.
    ///
    /// # Errors
    /// The sender is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: peer::Envelope = decode(bytes, MESSAGE_LEN_MAX)?;
        Ok(match raw.content {
            None => Self::Unknown,
            Some(Content::EncryptedAdminEnvelope(sealed)) => Self::Admin(sealed),
            Some(Content::Rekey(key)) => Self::Rekey((&key).try_into()?),
            Some(Content::CaptureState(state)) => state
                .state
                .and_then(captured)
                .map_or(Self::Unknown, Self::Capture),
            Some(Content::HoldState(_)) => Self::Hold,
        })
    }

    /// Writes a post-handshake `Envelope` with random padding.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        let content = match self {
            Self::Admin(sealed) => Some(Content::EncryptedAdminEnvelope(sealed.clone())),
            Self::Rekey(key) => Some(Content::Rekey(key.into())),
            Self::Capture(state) => Some(Content::CaptureState(CaptureState {
                state: Some((*state).into()),
            })),
            Self::Hold => Some(Content::HoldState(HoldState {})),
            Self::Unknown => None,
        };
        encode(&peer::Envelope {
            padding: padding(rng),
            content,
        })
    }
}

fn captured(raw: capture::State) -> Option<Capture> {
    use capture::{State, camera, microphone, screen};
    match raw {
        State::Microphone(raw) => Some(Capture::Microphone(matches!(
            raw.state?,
            microphone::State::On(_)
        ))),
        State::Camera(raw) => Some(Capture::Camera(matches!(raw.state?, camera::State::On(_)))),
        State::Screen(raw) => Some(Capture::Screen(match raw.state? {
            screen::State::On(on) => Some(on.started_at),
            screen::State::Off(_) => None,
        })),
    }
}

impl From<Capture> for capture::State {
    fn from(state: Capture) -> Self {
        use capture::{camera, microphone, screen};
        let unit = Unit {};
        match state {
            Capture::Microphone(on) => Self::Microphone(capture::Microphone {
                state: Some(if on {
                    microphone::State::On(unit)
                } else {
                    microphone::State::Off(unit)
                }),
            }),
            Capture::Camera(on) => Self::Camera(capture::Camera {
                state: Some(if on {
                    camera::State::On(unit)
                } else {
                    camera::State::Off(unit)
                }),
            }),
            Capture::Screen(started_at_ms) => Self::Screen(capture::Screen {
                state: Some(match started_at_ms {
                    Some(started_at) => screen::State::On(screen::On { started_at }),
                    None => screen::State::Off(unit),
                }),
            }),
        }
    }
}

impl AdminMessage {
    /// Reads an opened `Admin.Envelope`.
    ///
    /// # Errors
    /// The administrator is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use admin::envelope::Content;
        let raw: admin::Envelope = decode(bytes, MESSAGE_LEN_MAX)?;
        Ok(match raw.content {
            None => Self::Unknown,
            Some(Content::ReportAsAdmin(_)) => Self::ReportAsAdmin,
            Some(Content::PromoteToAdmin(promote)) => {
                Self::PromoteToAdmin(AdministratorKey::from_slice(&promote.gcak)?)
            }
            Some(Content::ForceLeave(_)) => Self::ForceLeave,
            Some(Content::ForceCaptureStateOff(off)) => {
                Self::ForceCaptureStateOff(off.device.into())
            }
            Some(Content::ForceFocus(focus)) => Self::ForceFocus(focus.participant_id.try_into()?),
        })
    }

    /// Writes an `Admin.Envelope`; it has no padding of its own, the envelope around it has.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        use admin::envelope::Content;
        let content = match self {
            Self::ReportAsAdmin => Some(Content::ReportAsAdmin(admin::ReportAsAdmin {})),
            Self::PromoteToAdmin(key) => Some(Content::PromoteToAdmin(admin::PromoteToAdmin {
                gcak: key.as_bytes().to_vec(),
            })),
            Self::ForceLeave => Some(Content::ForceLeave(admin::ForceLeave {})),
            Self::ForceCaptureStateOff(off) => {
                Some(Content::ForceCaptureStateOff(admin::ForceCaptureStateOff {
                    device: (*off).into(),
                }))
            }
            Self::ForceFocus(id) => Some(Content::ForceFocus(admin::ForceFocus {
                participant_id: id.number(),
            })),
            Self::Unknown => None,
        };
        encode(&admin::Envelope { content })
    }
}

impl From<i32> for ForcedOff {
    fn from(raw: i32) -> Self {
        use admin::force_capture_state_off::Device as Raw;
        match Raw::try_from(raw) {
            Ok(Raw::All) => Self::All,
            Ok(Raw::Microphone) => Self::Device(Device::Microphone),
            Ok(Raw::Camera) => Self::Device(Device::Camera),
            Ok(Raw::Screen) => Self::Device(Device::Screen),
            Err(_) => Self::Unknown,
        }
    }
}

impl From<ForcedOff> for i32 {
    fn from(off: ForcedOff) -> Self {
        use admin::force_capture_state_off::Device as Raw;
        match off {
            ForcedOff::All => Raw::All.into(),
            ForcedOff::Device(Device::Microphone) => Raw::Microphone.into(),
            ForcedOff::Device(Device::Camera) => Raw::Camera.into(),
            ForcedOff::Device(Device::Screen) => Raw::Screen.into(),
            // A number no text has; receivers find no such device.
            ForcedOff::Unknown => Self::MAX,
        }
    }
}

//! Between a participant and the SFU, over the data channel.

use rand_chacha::rand_core::CryptoRng;

use super::raw::participant_to_participant::OuterEnvelope;
use super::raw::participant_to_sfu::{
    self as to_sfu, ParticipantCamera, ParticipantMicrophone, ParticipantScreen,
    envelope::Content as ToContent, participant_camera as camera,
    participant_microphone as microphone, participant_screen as screen,
};
use super::raw::sfu_to_participant::{self as from_sfu, envelope::Content as FromContent};
use super::raw::{Resolution, SupportedFeature};
use super::{MESSAGE_LEN_MAX, WireError, decode, encode, padding};
use crate::group::id::ParticipantId;

/// The feature bit that says the SFU answers `RequestTimestamp` and forwards screens.
pub(super) const SCREEN_SHARE: u64 = SupportedFeature::ScreenShare as u64;

/// A message from one participant to another; who may read it is decided by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Who sent it, as checked by the SFU.
    pub sender: ParticipantId,
    /// Whom it is for.
    pub receiver: ParticipantId,
    /// What only the receiver can open.
    pub encrypted_data: Vec<u8>,
}

/// The picture somebody can show; all zero means *as you like*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
}

/// Asks the SFU to forward a feed (`true`, `Some`) or to stop (`false`, `None`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// `ParticipantMicrophone`.
    Microphone(bool),
    /// `ParticipantCamera`, with the size and rate wanted.
    Camera(Option<View>),
    /// `ParticipantScreen`, with the size and rate wanted.
    Screen(Option<View>),
}

/// What a participant tells the SFU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSfu {
    /// Pass this on.
    Relay(Relay),
    /// The sealed call state for those who peek.
    UpdateCallState(Vec<u8>),
    /// Start or stop forwarding one feed.
    Subscribe(ParticipantId, Subscription),
    /// Tell me your time (6.2.0).
    RequestTimestamp,
    /// Something of a later text; to be ignored.
    Unknown,
}

/// What the SFU tells a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromSfu {
    /// Another participant says this.
    Relay(Relay),
    /// Who is here, without you. The first message of all.
    Hello(Vec<ParticipantId>),
    /// A participant joined; comes before any relay of theirs.
    ParticipantJoined(ParticipantId),
    /// A participant left.
    ParticipantLeft(ParticipantId),
    /// The SFU's time in milliseconds since 1970 (6.2.0).
    Timestamp(u64),
    /// Something of a later text; to be ignored.
    Unknown,
}

impl TryFrom<OuterEnvelope> for Relay {
    type Error = WireError;

    fn try_from(raw: OuterEnvelope) -> Result<Self, WireError> {
        Ok(Self {
            sender: raw.sender.try_into()?,
            receiver: raw.receiver.try_into()?,
            encrypted_data: raw.encrypted_data,
        })
    }
}

impl From<&Relay> for OuterEnvelope {
    fn from(relay: &Relay) -> Self {
        Self {
            sender: relay.sender.number(),
            receiver: relay.receiver.number(),
            encrypted_data: relay.encrypted_data.clone(),
        }
    }
}

impl ToSfu {
    /// Reads one message of a participant.
    ///
    /// # Errors
    /// The participant is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: to_sfu::Envelope = decode(bytes, MESSAGE_LEN_MAX)?;
        Ok(match raw.content {
            None => Self::Unknown,
            Some(ToContent::Relay(relay)) => Self::Relay(relay.try_into()?),
            Some(ToContent::UpdateCallState(update)) => {
                Self::UpdateCallState(update.encrypted_call_state)
            }
            Some(ToContent::RequestTimestamp(_)) => Self::RequestTimestamp,
            Some(ToContent::RequestParticipantMicrophone(request)) => match request.action {
                None => Self::Unknown,
                Some(action) => {
                    let on = matches!(action, microphone::Action::Subscribe(_));
                    Self::Subscribe(
                        request.participant_id.try_into()?,
                        Subscription::Microphone(on),
                    )
                }
            },
            Some(ToContent::RequestParticipantCamera(request)) => {
                let wanted = match request.action {
                    None => return Ok(Self::Unknown),
                    Some(camera::Action::Subscribe(wanted)) => {
                        Some(view(wanted.desired_resolution, wanted.desired_fps))
                    }
                    Some(camera::Action::Unsubscribe(_)) => None,
                };
                Self::Subscribe(
                    request.participant_id.try_into()?,
                    Subscription::Camera(wanted),
                )
            }
            Some(ToContent::RequestParticipantScreen(request)) => {
                let wanted = match request.action {
                    None => return Ok(Self::Unknown),
                    Some(screen::Action::Subscribe(wanted)) => {
                        Some(view(wanted.desired_resolution, wanted.desired_fps))
                    }
                    Some(screen::Action::Unsubscribe(_)) => None,
                };
                Self::Subscribe(
                    request.participant_id.try_into()?,
                    Subscription::Screen(wanted),
                )
            }
        })
    }

    /// Writes one message; every kind but a relay is padded at random.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Vec<u8> {
        let content = match self {
            Self::Relay(relay) => Some(ToContent::Relay(relay.into())),
            Self::UpdateCallState(state) => {
                Some(ToContent::UpdateCallState(to_sfu::UpdateCallState {
                    encrypted_call_state: state.clone(),
                }))
            }
            Self::Subscribe(participant, subscription) => Some(subscription.content(*participant)),
            Self::RequestTimestamp => {
                Some(ToContent::RequestTimestamp(to_sfu::RequestTimestamp {}))
            }
            Self::Unknown => None,
        };
        let padding = if matches!(self, Self::Relay(_)) {
            Vec::new()
        } else {
            padding(rng)
        };
        encode(&to_sfu::Envelope { padding, content }).to_vec()
    }
}

impl Subscription {
    fn content(self, participant: ParticipantId) -> ToContent {
        let participant_id = participant.number();
        match self {
            Self::Microphone(on) => {
                ToContent::RequestParticipantMicrophone(ParticipantMicrophone {
                    participant_id,
                    action: Some(if on {
                        microphone::Action::Subscribe(microphone::Subscribe {})
                    } else {
                        microphone::Action::Unsubscribe(microphone::Unsubscribe {})
                    }),
                })
            }
            Self::Camera(wanted) => ToContent::RequestParticipantCamera(ParticipantCamera {
                participant_id,
                action: Some(match wanted {
                    Some(view) => camera::Action::Subscribe(camera::Subscribe {
                        desired_resolution: Some(view.resolution()),
                        desired_fps: view.fps,
                    }),
                    None => camera::Action::Unsubscribe(camera::Unsubscribe {}),
                }),
            }),
            Self::Screen(wanted) => ToContent::RequestParticipantScreen(ParticipantScreen {
                participant_id,
                action: Some(match wanted {
                    Some(view) => screen::Action::Subscribe(screen::Subscribe {
                        desired_resolution: Some(view.resolution()),
                        desired_fps: view.fps,
                    }),
                    None => screen::Action::Unsubscribe(screen::Unsubscribe {}),
                }),
            }),
        }
    }
}

impl View {
    fn resolution(self) -> Resolution {
        Resolution {
            width: self.width,
            height: self.height,
        }
    }
}

fn view(resolution: Option<Resolution>, fps: u32) -> View {
    let resolution = resolution.unwrap_or_default();
    View {
        width: resolution.width,
        height: resolution.height,
        fps,
    }
}

impl FromSfu {
    /// Reads one message of the SFU.
    ///
    /// # Errors
    /// The SFU is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let raw: from_sfu::Envelope = decode(bytes, MESSAGE_LEN_MAX)?;
        Ok(match raw.content {
            None => Self::Unknown,
            Some(FromContent::Relay(relay)) => Self::Relay(relay.try_into()?),
            Some(FromContent::Hello(hello)) => {
                let ids = hello
                    .participant_ids
                    .into_iter()
                    .map(ParticipantId::try_from);
                Self::Hello(ids.collect::<Result<_, _>>()?)
            }
            Some(FromContent::ParticipantJoined(joined)) => {
                Self::ParticipantJoined(joined.participant_id.try_into()?)
            }
            Some(FromContent::ParticipantLeft(left)) => {
                Self::ParticipantLeft(left.participant_id.try_into()?)
            }
            Some(FromContent::TimestampResponse(timestamp)) => Self::Timestamp(timestamp.ms),
        })
    }

    /// Writes one message; every kind but a relay is padded at random.
    #[must_use]
    pub fn encode(&self, rng: &mut impl CryptoRng) -> Vec<u8> {
        let content = match self {
            Self::Relay(relay) => Some(FromContent::Relay(relay.into())),
            Self::Hello(ids) => {
                let participant_ids = ids.iter().map(|id| id.number()).collect();
                Some(FromContent::Hello(from_sfu::Hello { participant_ids }))
            }
            Self::ParticipantJoined(id) => Some(FromContent::ParticipantJoined(
                from_sfu::ParticipantJoined {
                    participant_id: id.number(),
                },
            )),
            Self::ParticipantLeft(id) => {
                Some(FromContent::ParticipantLeft(from_sfu::ParticipantLeft {
                    participant_id: id.number(),
                }))
            }
            Self::Timestamp(ms) => Some(FromContent::TimestampResponse(from_sfu::Timestamp {
                ms: *ms,
            })),
            Self::Unknown => None,
        };
        let padding = if matches!(self, Self::Relay(_)) {
            Vec::new()
        } else {
            padding(rng)
        };
        encode(&from_sfu::Envelope { padding, content }).to_vec()
    }
}

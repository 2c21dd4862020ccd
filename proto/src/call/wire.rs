//! How call messages look as JSON, and the limits of what is taken from outside.
//!
//! Source: the call messages of the SimpleX chat protocol, versions 1 to 19. Compressed members are LZString of a JSON
//! text: `rtcSession` of `{"sdp","type"}`, `rtcIceCandidates` of an array of `RTCIceCandidateInit`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lz;
use super::message::{
    Answer, CallId, DescriptionKind, Extra, Hullo, IceCandidate, Invitation, MESSAGE_BYTES_MAX,
    Media, Message, MessageError, Offer, RefusalReason, Restart,
};

/// Longest message read, in bytes: four times what anyone should write.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Longest session description, in bytes: a browser's has 11,000.
const SDP_BYTES_MAX: usize = 32 * 1024;

/// Most candidates in one message: a browser on eight interfaces sends 16 to 32.
pub(super) const CANDIDATES_MAX: usize = 64;

/// Longest candidate, in bytes: real ones have 100 to 250.
const CANDIDATE_BYTES_MAX: usize = 1_024;

/// Longest mid (RFC 5888 has no limit; ours are one digit) and user name fragment (RFC 8839 §5.4), in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Most layouts or codecs a program may list, and the longest name of one in bytes.
const LIST_MAX: usize = 16;
const LIST_ENTRY_BYTES_MAX: usize = 32;

/// Longest name of a person or an event, in characters: what a screen can show.
const SHOWN_CHARS_MAX: usize = 64;

/// What comes before the 32 bytes of an X25519 key in a DER SubjectPublicKeyInfo (RFC 8410 §4).
const DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00,
];

#[derive(Serialize)]
struct EnvelopeOut<P> {
    v: &'static str,
    #[serde(rename = "msgId")]
    message_id: String,
    event: String,
    params: P,
}

#[derive(Deserialize)]
struct EnvelopeIn {
    event: String,
    #[serde(default)]
    params: Value,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct IdParams {
    call_id: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndParams {
    call_id: String,
    #[serde(default)]
    gone: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct InvitationParams {
    call_id: String,
    invitation: InvitationBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    hullo: Option<HulloBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct InvitationBody {
    call_type: CallType,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_dh_pub_key: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct CallType {
    media: String,
    capabilities: Capabilities,
}

#[derive(Deserialize, Serialize)]
struct Capabilities {
    encryption: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferParams {
    call_id: String,
    offer: OfferBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    hullo: Option<HulloBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferBody {
    call_type: CallType,
    rtc_session: RtcSession,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_dh_pub_key: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RtcSession {
    rtc_session: String,
    rtc_ice_candidates: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerParams {
    call_id: String,
    answer: AnswerBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    hullo: Option<HulloBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody {
    rtc_session: RtcSession,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtraParams {
    call_id: String,
    extra: ExtraBody,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtraBody {
    rtc_extra_info: ExtraInfo,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtraInfo {
    rtc_ice_candidates: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedParams {
    call_id: String,
    reason: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RestartParams {
    call_id: String,
    restart: RestartBody,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RestartBody {
    generation: u32,
    rtc_session: RtcSession,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct HulloBody {
    version: u32,
    layouts: Vec<String>,
    codecs: Vec<String>,
    #[serde(default)]
    side_channel: bool,
    #[serde(default)]
    parity: bool,
    #[serde(default)]
    answerer_leads: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct SessionBody {
    sdp: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct CandidateBody {
    candidate: String,
    sdp_mid: Option<String>,
    sdp_m_line_index: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username_fragment: Option<String>,
}

/// Reads one message; see [`Message::parse`].
pub(super) fn parse(json: &[u8]) -> Result<Message, MessageError> {
    if json.len() > READ_BYTES_MAX {
        return Err(MessageError::TooLong(json.len()));
    }
    let EnvelopeIn { event, params } =
        serde_json::from_slice(json).map_err(|error| form(&error))?;
    Ok(match event.as_str() {
        "x.call.inv" => invitation(params)?,
        "x.call.offer" => offer(params)?,
        "x.call.answer" => answer(params)?,
        "x.call.extra" => {
            let ExtraParams { call_id, extra } = read(params)?;
            let candidates = candidates(&extra.rtc_extra_info.rtc_ice_candidates)?;
            Message::Extra(Extra {
                call_id: parse_call_id(&call_id)?,
                candidates,
            })
        }
        "x.call.end" => {
            let EndParams { call_id, gone } = read(params)?;
            let call_id = parse_call_id(&call_id)?;
            if gone {
                Message::Gone(call_id)
            } else {
                Message::End(call_id)
            }
        }
        "x.hullo.ringing" => Message::Ringing(parse_call_id(&read::<IdParams>(params)?.call_id)?),
        "x.hullo.refused" => {
            let RefusedParams { call_id, reason } = read(params)?;
            Message::Refused {
                call_id: parse_call_id(&call_id)?,
                reason: parse_reason(&reason)?,
            }
        }
        "x.hullo.restart" => restart(params)?,
        other => {
            let event = other
                .chars()
                .filter(|character| !character.is_control())
                .take(SHOWN_CHARS_MAX)
                .collect();
            Message::Unknown { event }
        }
    })
}

/// Writes one message; see [`Message::write`].
pub(super) fn write(message: &Message, message_id: [u8; 12]) -> Result<Vec<u8>, MessageError> {
    let params = match message {
        Message::Invitation(invitation) => to_value(InvitationParams {
            call_id: write_call_id(invitation.call_id),
            invitation: InvitationBody {
                call_type: write_call_type(invitation.media, invitation.public_key),
                call_dh_pub_key: invitation.public_key.map(write_key),
            },
            hullo: invitation.hullo.as_ref().map(write_hullo),
        }),
        Message::Offer(offer) => to_value(OfferParams {
            call_id: write_call_id(offer.call_id),
            offer: OfferBody {
                call_type: write_call_type(offer.media, offer.public_key),
                rtc_session: write_session(DescriptionKind::Offer, &offer.sdp, &offer.candidates),
                call_dh_pub_key: offer.public_key.map(write_key),
            },
            hullo: offer.hullo.as_ref().map(write_hullo),
        }),
        Message::Answer(answer) => to_value(AnswerParams {
            call_id: write_call_id(answer.call_id),
            answer: AnswerBody {
                rtc_session: write_session(
                    DescriptionKind::Answer,
                    &answer.sdp,
                    &answer.candidates,
                ),
            },
            hullo: answer.hullo.as_ref().map(write_hullo),
        }),
        Message::Extra(extra) => to_value(ExtraParams {
            call_id: write_call_id(extra.call_id),
            extra: ExtraBody {
                rtc_extra_info: ExtraInfo {
                    rtc_ice_candidates: write_candidates(&extra.candidates),
                },
            },
        }),
        Message::Gone(call_id) => to_value(EndParams {
            call_id: write_call_id(*call_id),
            gone: true,
        }),
        Message::End(call_id) | Message::Ringing(call_id) => to_value(IdParams {
            call_id: write_call_id(*call_id),
        }),
        Message::Refused { call_id, reason } => to_value(RefusedParams {
            call_id: write_call_id(*call_id),
            reason: reason.as_str().into(),
        }),
        Message::Restart(restart) => to_value(RestartParams {
            call_id: write_call_id(restart.call_id),
            restart: RestartBody {
                generation: restart.generation,
                rtc_session: write_session(restart.kind, &restart.sdp, &restart.candidates),
            },
        }),
        Message::Unknown { .. } => panic!("an unknown event is never sent"),
    };
    let envelope = EnvelopeOut {
        v: "1",
        message_id: URL_SAFE.encode(message_id),
        event: message.event().into(),
        params,
    };
    let json =
        serde_json::to_vec(&envelope).expect("strings, numbers and lists always have a JSON form");
    if json.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLong(json.len()));
    }
    Ok(json)
}

fn invitation(params: Value) -> Result<Message, MessageError> {
    let InvitationParams {
        call_id,
        invitation,
        hullo,
    } = read(params)?;
    Ok(Message::Invitation(Invitation {
        call_id: parse_call_id(&call_id)?,
        media: parse_media(&invitation.call_type.media)?,
        public_key: parse_key(&invitation.call_type, invitation.call_dh_pub_key.as_deref())?,
        hullo: hullo.map(parse_hullo).transpose()?,
    }))
}

fn offer(params: Value) -> Result<Message, MessageError> {
    let OfferParams {
        call_id,
        offer,
        hullo,
    } = read(params)?;
    Ok(Message::Offer(Offer {
        call_id: parse_call_id(&call_id)?,
        media: parse_media(&offer.call_type.media)?,
        public_key: parse_key(&offer.call_type, offer.call_dh_pub_key.as_deref())?,
        sdp: description_of(DescriptionKind::Offer, &offer.rtc_session)?,
        candidates: candidates(&offer.rtc_session.rtc_ice_candidates)?,
        hullo: hullo.map(parse_hullo).transpose()?,
    }))
}

fn answer(params: Value) -> Result<Message, MessageError> {
    let AnswerParams {
        call_id,
        answer,
        hullo,
    } = read(params)?;
    Ok(Message::Answer(Answer {
        call_id: parse_call_id(&call_id)?,
        sdp: description_of(DescriptionKind::Answer, &answer.rtc_session)?,
        candidates: candidates(&answer.rtc_session.rtc_ice_candidates)?,
        hullo: hullo.map(parse_hullo).transpose()?,
    }))
}

fn restart(params: Value) -> Result<Message, MessageError> {
    let RestartParams { call_id, restart } = read(params)?;
    let (kind, sdp) = description(&restart.rtc_session)?;
    Ok(Message::Restart(Restart {
        call_id: parse_call_id(&call_id)?,
        generation: restart.generation,
        kind,
        sdp,
        candidates: candidates(&restart.rtc_session.rtc_ice_candidates)?,
    }))
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, MessageError> {
    serde_json::from_value(params).map_err(|error| form(&error))
}

/// Says what is wrong without repeating the sender's bytes, which may hold addresses or control characters.
fn form(error: &serde_json::Error) -> MessageError {
    let text = error.to_string();
    let names_only_our_members =
        text.starts_with("missing field") || text.starts_with("duplicate field");
    MessageError::Form(if names_only_our_members {
        text
    } else if error.is_data() {
        "a member has the wrong type".into()
    } else {
        format!(
            "not JSON at line {}, column {}",
            error.line(),
            error.column()
        )
    })
}

fn parse_call_id(text: &str) -> Result<CallId, MessageError> {
    let bytes = URL_SAFE.decode(text).map_err(|_| MessageError::CallId)?;
    bytes
        .try_into()
        .map(CallId)
        .map_err(|_| MessageError::CallId)
}

fn parse_media(text: &str) -> Result<Media, MessageError> {
    match text {
        "audio" => Ok(Media::Audio),
        "video" => Ok(Media::Video),
        _ => Err(MessageError::Media),
    }
}

/// A key counts only beside the announcement of encryption.
fn parse_key(call_type: &CallType, text: Option<&str>) -> Result<Option<[u8; 32]>, MessageError> {
    let Some(text) = text.filter(|_| call_type.capabilities.encryption) else {
        return Ok(None);
    };
    let der = URL_SAFE.decode(text).map_err(|_| MessageError::Key)?;
    let key = der.strip_prefix(&DER_PREFIX).ok_or(MessageError::Key)?;
    key.try_into().map(Some).map_err(|_| MessageError::Key)
}

fn parse_hullo(body: HulloBody) -> Result<Hullo, MessageError> {
    let HulloBody {
        version,
        layouts,
        codecs,
        side_channel,
        parity,
        answerer_leads,
        name,
    } = body;
    let fits = |list: &[String]| {
        list.len() <= LIST_MAX && list.iter().all(|entry| entry.len() <= LIST_ENTRY_BYTES_MAX)
    };
    let shows = |name: &String| {
        name.chars().count() <= SHOWN_CHARS_MAX && !name.chars().any(char::is_control)
    };
    if !fits(&layouts) || !fits(&codecs) || !name.as_ref().is_none_or(shows) {
        return Err(MessageError::Hullo);
    }
    Ok(Hullo {
        version,
        layouts,
        codecs,
        side_channel,
        parity,
        answerer_leads,
        name,
    })
}

fn parse_reason(text: &str) -> Result<RefusalReason, MessageError> {
    use RefusalReason::{AnsweredElsewhere, Busy, Declined, Unanswered};
    [AnsweredElsewhere, Busy, Declined, Unanswered]
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or(MessageError::Reason)
}

fn description_of(wanted: DescriptionKind, session: &RtcSession) -> Result<String, MessageError> {
    match description(session)? {
        (kind, sdp) if kind == wanted => Ok(sdp),
        _ => Err(MessageError::Description),
    }
}

fn description(session: &RtcSession) -> Result<(DescriptionKind, String), MessageError> {
    let SessionBody { sdp, kind } = unfold("rtcSession", &session.rtc_session)?;
    let kind = match kind.as_str() {
        "offer" => DescriptionKind::Offer,
        "answer" => DescriptionKind::Answer,
        _ => return Err(MessageError::Description),
    };
    if sdp.len() > SDP_BYTES_MAX {
        return Err(MessageError::Description);
    }
    Ok((kind, sdp))
}

fn candidates(compressed: &str) -> Result<Vec<IceCandidate>, MessageError> {
    let bodies: Vec<CandidateBody> = unfold("rtcIceCandidates", compressed)?;
    let fits = |name: &Option<String>| {
        name.as_ref()
            .is_none_or(|name| name.len() <= NAME_BYTES_MAX)
    };
    let ok = |body: &CandidateBody| {
        body.candidate.len() <= CANDIDATE_BYTES_MAX
            && fits(&body.sdp_mid)
            && fits(&body.username_fragment)
    };
    if bodies.len() > CANDIDATES_MAX || !bodies.iter().all(ok) {
        return Err(MessageError::Candidates);
    }
    let candidate = |body: CandidateBody| IceCandidate {
        candidate: body.candidate,
        mid: body.sdp_mid,
        m_line_index: body.sdp_m_line_index,
        username_fragment: body.username_fragment,
    };
    Ok(bodies.into_iter().map(candidate).collect())
}

fn unfold<T: DeserializeOwned>(member: &'static str, compressed: &str) -> Result<T, MessageError> {
    let json = lz::decompress(compressed)
        .map_err(|source| MessageError::Compression { member, source })?;
    serde_json::from_str(&json).map_err(|error| form(&error))
}

fn to_value(params: impl Serialize) -> Value {
    serde_json::to_value(params).expect("strings, numbers and lists always have a JSON form")
}

fn write_call_id(call_id: CallId) -> String {
    URL_SAFE.encode(call_id.0)
}

fn write_call_type(media: Media, public_key: Option<[u8; 32]>) -> CallType {
    let media = match media {
        Media::Audio => "audio",
        Media::Video => "video",
    };
    CallType {
        media: media.into(),
        capabilities: Capabilities {
            encryption: public_key.is_some(),
        },
    }
}

fn write_key(key: [u8; 32]) -> String {
    URL_SAFE.encode([&DER_PREFIX[..], &key].concat())
}

fn write_hullo(hullo: &Hullo) -> HulloBody {
    let Hullo {
        version,
        layouts,
        codecs,
        side_channel,
        parity,
        answerer_leads,
        name,
    } = hullo.clone();
    HulloBody {
        version,
        layouts,
        codecs,
        side_channel,
        parity,
        answerer_leads,
        name,
    }
}

fn write_session(kind: DescriptionKind, sdp: &str, candidates: &[IceCandidate]) -> RtcSession {
    let kind = match kind {
        DescriptionKind::Offer => "offer",
        DescriptionKind::Answer => "answer",
    };
    let session = to_value(SessionBody {
        sdp: sdp.into(),
        kind: kind.into(),
    });
    RtcSession {
        rtc_session: lz::compress(&session.to_string()),
        rtc_ice_candidates: write_candidates(candidates),
    }
}

fn write_candidates(candidates: &[IceCandidate]) -> String {
    let body = |candidate: &IceCandidate| CandidateBody {
        candidate: candidate.candidate.clone(),
        sdp_mid: candidate.mid.clone(),
        sdp_m_line_index: candidate.m_line_index,
        username_fragment: candidate.username_fragment.clone(),
    };
    lz::compress(&to_value(candidates.iter().map(body).collect::<Vec<_>>()).to_string())
}

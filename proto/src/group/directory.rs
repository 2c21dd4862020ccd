//! A token for the SFU from the directory (protocol facts, section 4, *Directory API*).
//!
//! ```text
//! POST ⟨directory⟩/identity/sfu_cred  {"identity", "publicKey"}                     → {"token", "tokenRespKeyPub"}
//! POST the same                       {"identity", "publicKey", "token", "response"} → {"success", "sfuBaseUrl", …}
//! ```
//!
//! `publicKey` is ours: identities are names only, so the directory checks the full key. All within 10 s.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::http::{HttpRequest, HttpResult, SfuInformation};
use super::id::Identity;
use super::key::{ClientKey, PublicKey, blake2b_csp};
use super::wire::BODY_LEN_MAX;
use crate::service::turn::TurnGrant;
use zeroize::Zeroizing;

/// From the first request to the token.
pub const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a token at most, the challenge's and the SFU's. Ours are some hundred bytes.
const TOKEN_LEN_MAX: usize = 8_192;

/// Hostname suffixes kept at most.
const SUFFIXES_MAX: usize = 64;

/// No token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No answer in time, or none at all.
    #[error("the directory server cannot be reached; check the server address and the network")]
    Unreachable,
    /// Too many requests.
    #[error("the directory server asks to wait; try again in a minute")]
    RateLimited,
    /// The answer is no answer.
    #[error("the directory server answered something else than a token")]
    Malformed,
    /// It knows us and refuses, or does not know us.
    #[error("the directory server refused to give a token for this identity")]
    Refused,
}

/// Asks for a token: challenge, response, token. `Done` is given out once.
pub struct DirectorySteps {
    url: String,
    identity: Identity,
    key: ClientKey,
    deadline: Instant,
    state: State,
}

enum State {
    Start,
    AwaitChallenge,
    Respond { token: String, response: String },
    AwaitToken,
    Finished(Result<SfuInformation, DirectoryError>),
    Over,
}

/// What is to be done.
pub enum Output {
    /// Run this, give the result to [`DirectorySteps::handle_input`].
    Request(HttpRequest),
    /// The end.
    Done(Result<SfuInformation, DirectoryError>),
    /// All is drained; give [`Input::Timeout`] then.
    Timeout(Option<Instant>),
}

/// One change.
pub enum Input {
    /// The result of the one request in flight.
    Response(HttpResult),
    /// The deadline passed.
    Timeout,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    identity: &'a str,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Challenge {
    token: String,
    token_resp_key_pub: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    success: bool,
    #[serde(default)]
    sfu_base_url: String,
    #[serde(default)]
    allowed_sfu_hostname_suffixes: Vec<String>,
    #[serde(default)]
    sfu_token: String,
    #[serde(default)]
    expiration: u32,
    turn: Option<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    urls: Vec<String>,
    username: String,
    password: String,
}

impl DirectorySteps {
    /// `directory_url`: the directory's base URL, as the user configured it.
    #[must_use]
    pub fn new(now: Instant, directory_url: &str, identity: Identity, key: ClientKey) -> Self {
        let base = directory_url
            .split_once('#')
            .map_or(directory_url, |(base, _)| base);
        let url = format!("{}/identity/sfu_cred", base.trim_end_matches('/'));
        Self {
            url,
            identity,
            key,
            deadline: now + TOKEN_TIMEOUT,
            state: State::Start,
        }
    }

    /// Makes one change; drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match (&self.state, input) {
            (State::Finished(_) | State::Over, _) => {}
            (_, Input::Timeout) if now < self.deadline => {}
            (_, Input::Timeout | Input::Response(HttpResult::Unreachable)) => {
                self.finish(Err(DirectoryError::Unreachable))
            }
            (_, Input::Response(HttpResult::Response { status: 429, .. })) => {
                self.finish(Err(DirectoryError::RateLimited))
            }
            (_, Input::Response(HttpResult::Response { body, .. }))
                if body.len() > BODY_LEN_MAX =>
            {
                self.finish(Err(DirectoryError::Malformed));
            }
            (State::AwaitChallenge, Input::Response(HttpResult::Response { status, body })) => {
                self.challenged(status, &body)
            }
            (State::AwaitToken, Input::Response(HttpResult::Response { status, body })) => {
                self.finish(answer(status, &body))
            }
            (State::Start | State::Respond { .. }, Input::Response(_)) => {}
        }
    }

    /// Drains what the last input caused.
    pub fn poll_output(&mut self) -> Output {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => {
                self.state = State::AwaitChallenge;
                Output::Request(self.request(None, None))
            }
            State::Respond { token, response } => {
                self.state = State::AwaitToken;
                Output::Request(self.request(Some(&token), Some(&response)))
            }
            State::Finished(result) => Output::Done(result),
            State::Over => Output::Timeout(None),
            state @ (State::AwaitChallenge | State::AwaitToken) => {
                self.state = state;
                Output::Timeout(Some(self.deadline))
            }
        }
    }

    fn request(&self, token: Option<&str>, response: Option<&str>) -> HttpRequest {
        let request = Request {
            identity: self.identity.as_str(),
            public_key: BASE64_STANDARD.encode(self.key.public().as_bytes()),
            token,
            response,
        };
        HttpRequest {
            url: self.url.clone(),
            authorization: None,
            content_type: "application/json",
            body: serde_json::to_vec(&request).expect("strings are always JSON"),
            timeout: TOKEN_TIMEOUT,
        }
    }

    fn challenged(&mut self, status: u16, body: &[u8]) {
        match respond(&self.key, status, body) {
            Ok((token, response)) => self.state = State::Respond { token, response },
            Err(error) => self.finish(Err(error)),
        }
    }

    fn finish(&mut self, result: Result<SfuInformation, DirectoryError>) {
        self.state = State::Finished(result);
    }
}

/// ```text
/// response = base64(BLAKE2b(
///   key=BLAKE2b(key=X25519HSalsa20(CK.secret, tokenRespKeyPub), salt='dir', personal='3ma-csp'),
///   input=token))
/// ```
fn respond(key: &ClientKey, status: u16, body: &[u8]) -> Result<(String, String), DirectoryError> {
    let Ok(challenge) = serde_json::from_slice::<Challenge>(body) else {
        return Err(refusal(status, body));
    };
    if status != 200 || challenge.token.len() > TOKEN_LEN_MAX {
        return Err(DirectoryError::Malformed);
    }
    let decode = |text: &str| {
        BASE64_STANDARD
            .decode(text)
            .map_err(|_| DirectoryError::Malformed)
    };
    let token = decode(&challenge.token)?;
    let public = PublicKey::from_slice(&decode(&challenge.token_resp_key_pub)?)
        .map_err(|_| DirectoryError::Malformed)?;
    let shared = key.shared(&public).map_err(|_| DirectoryError::Malformed)?;
    let response = blake2b_csp(&shared, &token);
    Ok((challenge.token, BASE64_STANDARD.encode(response)))
}

/// Reads the last answer.
///
/// # Errors
/// The directory is wrong, or refuses.
pub fn answer(status: u16, body: &[u8]) -> Result<SfuInformation, DirectoryError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| refusal(status, body))?;
    if !answer.success {
        return Err(DirectoryError::Refused);
    }
    // A token goes into a header: nothing that could end one.
    let is_token = |text: &str| {
        !text.is_empty()
            && text.len() <= TOKEN_LEN_MAX
            && text.bytes().all(|b| b.is_ascii_graphic())
    };
    let too_many = answer.allowed_sfu_hostname_suffixes.len() > SUFFIXES_MAX;
    // One that has run out already would be asked for again and again.
    let is_expired = answer.expiration == 0;
    let is_unusable = !is_token(&answer.sfu_token) || answer.sfu_base_url.is_empty() || is_expired;
    if status != 200 || is_unusable || too_many {
        return Err(DirectoryError::Malformed);
    }
    Ok(SfuInformation {
        base_url: answer.sfu_base_url,
        allowed_hostname_suffixes: answer.allowed_sfu_hostname_suffixes,
        token: answer.sfu_token,
        lifetime: Duration::from_secs(answer.expiration.into()),
        // Without it calls of a group go on: one that cannot be used costs itself alone.
        turn: answer.turn.map(grant).filter(TurnGrant::is_sane),
    })
}

fn grant(turn: Turn) -> TurnGrant {
    TurnGrant {
        urls: turn.urls,
        username: turn.username,
        password: Zeroizing::new(turn.password),
    }
}

fn refusal(status: u16, body: &[u8]) -> DirectoryError {
    #[derive(Deserialize)]
    struct Refusal {
        success: bool,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { success: false }) => DirectoryError::Refused,
        _ if matches!(status, 401 | 403) => DirectoryError::Refused,
        _ if status >= 500 => DirectoryError::Unreachable,
        _ => DirectoryError::Malformed,
    }
}

#[cfg(test)]
mod tests;

//! The directory's side of `POST /identity/sfu_cred` (protocol facts, section 4, *Directory API*): challenge, proof, token.
//!
//! The client's side is [`crate::group::directory`]. Nothing is remembered between the two requests: the challenge
//! carries its expiry and a tag over whom it was made for, so a flood of first requests holds no memory.
//!
//! ```text
//! challenge = expiry 8 (s since 1970, big endian) ‖ random 16 ‖ tag 32
//! tag       = BLAKE2b(key=⟨token key⟩, salt='challenge', personal='hullo-sfu', input=expiry ‖ random ‖ identity ‖ public key)
//! ```

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand_chacha::rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::token::TokenKey;
use crate::group::key::{ClientKey, PublicKey, blake2b_csp};

pub use crate::group::http::SfuInformation;
pub use crate::group::id::Identity;

/// Bytes of a request at most: an identity, a key, a challenge and a response in base64 are some 300.
pub const REQUEST_LEN_MAX: usize = 4_096;

/// Where the request goes.
pub const PATH: &str = "/identity/sfu_cred";

const SIGNED_BYTES: usize = 8 + 16;
const CHALLENGE_BYTES: usize = SIGNED_BYTES + 32;

/// A request is none, or its proof proves nothing; the client is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not the JSON that is asked for.
    #[error("the request is not what the directory takes")]
    Malformed,
    /// The challenge was made for somebody else, with another key, or too long ago.
    #[error("the challenge is not good any more; ask for another")]
    Challenge,
    /// The response was not made with the secret key of the identity.
    #[error("the response does not belong to this identity")]
    Response,
}

/// Who asks, and the proof if it is the second request.
pub struct Request {
    /// A name; proves nothing.
    pub identity: Identity,
    /// The full client key, by which people are told apart.
    pub public_key: [u8; 32],
    /// The challenge and the response to it.
    pub proof: Option<Proof>,
}

/// A challenge given back with its response.
pub struct Proof {
    challenge: Vec<u8>,
    response: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest {
    identity: String,
    public_key: String,
    token: Option<String>,
    response: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawChallenge {
    token: String,
    token_resp_key_pub: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawAnswer<'a> {
    success: bool,
    sfu_base_url: &'a str,
    allowed_sfu_hostname_suffixes: &'a [String],
    sfu_token: &'a str,
    expiration: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<RawTurn<'a>>,
}

/// An addition of ours, ignored by who does not know it.
#[derive(Serialize)]
struct RawTurn<'a> {
    urls: &'a [String],
    username: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct RawRefusal<'a> {
    success: bool,
    error: &'a str,
}

impl Request {
    /// Reads the body.
    ///
    /// # Errors
    /// The client is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > REQUEST_LEN_MAX {
            return Err(RequestError::Malformed);
        }
        let raw: RawRequest = serde_json::from_slice(body).map_err(|_| RequestError::Malformed)?;
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|_| RequestError::Malformed)
        };
        let proof = match (raw.token, raw.response) {
            (None, None) => None,
            (Some(token), Some(response)) => Some(Proof {
                challenge: decode(&token)?,
                response: decode(&response)?,
            }),
            _ => return Err(RequestError::Malformed),
        };
        Ok(Self {
            identity: raw
                .identity
                .as_str()
                .try_into()
                .map_err(|_| RequestError::Malformed)?,
            public_key: decode(&raw.public_key)?
                .try_into()
                .map_err(|_| RequestError::Malformed)?,
            proof,
        })
    }
}

/// Challenges and checks, from the one key the server keeps. No `Debug`: it is a secret.
pub struct Challenger {
    tag_key: TokenKey,
    exchange_key: ClientKey,
}

impl Challenger {
    /// Derives what is needed.
    #[must_use]
    pub fn new(key: &TokenKey) -> Self {
        Self {
            tag_key: key.clone(),
            exchange_key: ClientKey::from_bytes(*key.derived(b"exchange", &[])),
        }
    }

    /// The body that asks for a proof, good before `expires_at_s` (seconds since 1970).
    pub fn challenge(
        &self,
        request: &Request,
        expires_at_s: u64,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let mut bytes = [0; CHALLENGE_BYTES];
        bytes[..8].copy_from_slice(&expires_at_s.to_be_bytes());
        rng.fill_bytes(&mut bytes[8..SIGNED_BYTES]);
        let tag = self.tag(&bytes[..SIGNED_BYTES], request);
        bytes[SIGNED_BYTES..].copy_from_slice(&tag);
        to_json(&RawChallenge {
            token: BASE64_STANDARD.encode(bytes),
            token_resp_key_pub: BASE64_STANDARD.encode(self.exchange_key.public().as_bytes()),
        })
    }

    /// Whether `proof` shows that `request` comes from the holder of its key.
    ///
    /// # Errors
    /// The client is wrong.
    pub fn check(&self, request: &Request, proof: &Proof, now_s: u64) -> Result<(), RequestError> {
        if proof.challenge.len() != CHALLENGE_BYTES {
            return Err(RequestError::Challenge);
        }
        let (signed, tag) = proof.challenge.split_at(SIGNED_BYTES);
        let expires_at_s = u64::from_be_bytes(signed[..8].try_into().expect("8 bytes"));
        if !bool::from(self.tag(signed, request).ct_eq(tag)) || now_s >= expires_at_s {
            return Err(RequestError::Challenge);
        }
        let public = PublicKey::from_bytes(request.public_key);
        let shared = self
            .exchange_key
            .shared(&public)
            .map_err(|_| RequestError::Response)?;
        let expected = blake2b_csp(&shared, &proof.challenge);
        if bool::from(expected.ct_eq(proof.response.as_slice())) {
            Ok(())
        } else {
            Err(RequestError::Response)
        }
    }

    fn tag(&self, signed: &[u8], request: &Request) -> [u8; 32] {
        let input = [signed, request.identity.as_bytes(), &request.public_key];
        *self.tag_key.derived(b"challenge", &input)
    }
}

/// The body that gives a token.
#[must_use]
pub fn granted(information: &SfuInformation) -> Vec<u8> {
    to_json(&RawAnswer {
        success: true,
        sfu_base_url: &information.base_url,
        allowed_sfu_hostname_suffixes: &information.allowed_hostname_suffixes,
        sfu_token: &information.token,
        expiration: information.lifetime.as_secs(),
        turn: information.turn.as_ref().map(|turn| RawTurn {
            urls: &turn.urls,
            username: &turn.username,
            password: &turn.password,
        }),
    })
}

/// The body that refuses, with words for a person.
#[must_use]
pub fn refused(error: &str) -> Vec<u8> {
    to_json(&RawRefusal {
        success: false,
        error,
    })
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::directory::{DirectorySteps, Input, Output};
    use crate::group::http::HttpResult;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use std::time::{Duration, Instant};

    fn challenger() -> Challenger {
        Challenger::new(&TokenKey::from_bytes([9; 32]))
    }

    fn sent(steps: &mut DirectorySteps) -> Request {
        let Output::Request(request) = steps.poll_output() else {
            panic!("no request")
        };
        Request::decode(&request.body).expect("our own client's")
    }

    fn answer(steps: &mut DirectorySteps, body: Vec<u8>) {
        let response = HttpResult::Response { status: 200, body };
        steps.handle_input(Instant::now(), Input::Response(response));
    }

    #[test]
    fn our_own_client_gets_a_token() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::try_from("ABCD2345").expect("valid");
        let key = ClientKey::from_bytes([4; 32]);
        let mut steps = DirectorySteps::new(Instant::now(), "https://d.test", identity, key);
        let first = sent(&mut steps);
        assert!(first.proof.is_none());
        answer(&mut steps, challenger().challenge(&first, 100, &mut rng));
        let second = sent(&mut steps);
        let proof = second.proof.as_ref().expect("the second request has one");
        assert_eq!(challenger().check(&second, proof, 99), Ok(()));
        assert_eq!(
            challenger().check(&second, proof, 100),
            Err(RequestError::Challenge)
        );
        // Nobody else can use it, and no other server takes it.
        let stranger = Request {
            public_key: [5; 32],
            proof: None,
            ..Request::decode(&body_of(&second)).expect("valid")
        };
        assert_eq!(
            challenger().check(&stranger, proof, 99),
            Err(RequestError::Challenge)
        );
        let other = Challenger::new(&TokenKey::from_bytes([8; 32]));
        assert_eq!(
            other.check(&second, proof, 99),
            Err(RequestError::Challenge)
        );
        let wrong = Proof {
            challenge: proof.challenge.clone(),
            response: vec![0; 32],
        };
        assert_eq!(
            challenger().check(&second, &wrong, 99),
            Err(RequestError::Response)
        );
        let information = SfuInformation {
            base_url: "https://s.test".to_owned(),
            allowed_hostname_suffixes: vec!["s.test".to_owned()],
            token: "token".to_owned(),
            lifetime: Duration::from_secs(60),
            turn: None,
        };
        answer(&mut steps, granted(&information));
        assert!(matches!(steps.poll_output(), Output::Done(Ok(got)) if got == information));
    }

    fn body_of(request: &Request) -> Vec<u8> {
        serde_json::json!({
            "identity": request.identity.as_str(),
            "publicKey": BASE64_STANDARD.encode(request.public_key),
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_key_that_gives_zeros_proves_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let request = Request {
            identity: Identity::try_from("ABCD2345").expect("valid"),
            public_key: [0; 32],
            proof: None,
        };
        let body = challenger().challenge(&request, 100, &mut rng);
        let raw: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let challenge = BASE64_STANDARD
            .decode(raw["token"].as_str().expect("text"))
            .expect("base64");
        let proof = Proof {
            challenge,
            response: vec![0; 32],
        };
        assert_eq!(
            challenger().check(&request, &proof, 1),
            Err(RequestError::Response)
        );
    }

    proptest! {
        #[test]
        fn any_body_never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Request::decode(&body).is_err());
        }

        #[test]
        fn any_fields_never_panic(identity in ".{0,10}", key in ".{0,50}", token in ".{0,90}") {
            let body = serde_json::json!({"identity": identity, "publicKey": key, "token": token, "response": token});
            let _result = Request::decode(body.to_string().as_bytes());
        }
    }
}

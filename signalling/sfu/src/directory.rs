//! Who gets a token: `POST /identity/sfu_cred`, the server's side, without any I/O.
//!
//! Tokens name nobody and are remembered nowhere; the SFU checks them with the same key.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hullo_proto::service::directory::{Challenger, Request, SfuInformation, granted, refused};
use hullo_proto::service::token::TokenKey;
use hullo_proto::service::turn::TurnIssuer;
use rand_chacha::ChaCha20Rng;

use crate::rate::{Buckets, Rate};

/// How long a client has to answer a challenge.
const CHALLENGE_LIFE_S: u64 = 60;
/// How long a token is good: a working day of calls, less than a lost telephone is worth.
pub const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3_600);

/// Requests of one address: a household of people who all start their client.
const PER_ADDRESS: Rate = Rate {
    burst: 60,
    count: 1,
    per: Duration::from_secs(1),
};
/// Requests of all: each costs one key exchange, 50 µs.
const PER_SERVER: Rate = Rate {
    burst: 2_000,
    count: 200,
    per: Duration::from_secs(1),
};
/// Tokens of one key: one is good for hours.
const PER_KEY: Rate = Rate {
    burst: 10,
    count: 1,
    per: Duration::from_secs(30),
};
/// Addresses and keys remembered, some 100 bytes each.
const REMEMBERED_MAX: usize = 65_536;

/// Who may have tokens.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Everybody who holds the key they name.
    Open,
    /// Only the holders of these full public keys.
    Only(HashSet<[u8; 32]>),
}

/// What to tell clients about the SFU.
#[derive(Clone)]
pub struct Announcement {
    /// Base URL for new calls, `https`.
    pub base_url: String,
    /// Hostnames of SFUs end with one of these.
    pub allowed_hostname_suffixes: Vec<String>,
    /// TURN servers that carry calls between two, for those who have a token.
    pub turn: Option<TurnIssuer>,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// Whether a token was given.
    pub is_token: bool,
}

/// The machine.
pub struct Directory {
    key: TokenKey,
    challenger: Challenger,
    policy: Policy,
    announcement: Announcement,
    rng: ChaCha20Rng,
    per_address: Buckets<IpAddr>,
    per_key: Buckets<[u8; 32]>,
    per_server: Buckets<()>,
}

impl Directory {
    /// `key`: also the SFU's.
    #[must_use]
    pub fn new(
        key: TokenKey,
        policy: Policy,
        announcement: Announcement,
        rng: ChaCha20Rng,
    ) -> Self {
        Self {
            challenger: Challenger::new(&key),
            key,
            policy,
            announcement,
            rng,
            per_address: Buckets::new(PER_ADDRESS, REMEMBERED_MAX),
            per_key: Buckets::new(PER_KEY, REMEMBERED_MAX),
            per_server: Buckets::new(PER_SERVER, 1),
        }
    }

    /// Answers one request; `now_s`: seconds since 1970, `source`: the client's address where it is known.
    pub fn answer(
        &mut self,
        now: Instant,
        now_s: u64,
        source: Option<IpAddr>,
        body: &[u8],
    ) -> Answer {
        let in_time = source.is_none_or(|source| self.per_address.take(now, source))
            && self.per_server.take(now, ());
        if !in_time {
            return refusal(429, "too many requests, try again in a minute");
        }
        let request = match Request::decode(body) {
            Ok(request) => request,
            Err(error) => return refusal(400, &error.to_string()),
        };
        let Some(proof) = &request.proof else {
            let body = self
                .challenger
                .challenge(&request, now_s + CHALLENGE_LIFE_S, &mut self.rng);
            return Answer {
                status: 200,
                body,
                is_token: false,
            };
        };
        if let Err(error) = self.challenger.check(&request, proof, now_s) {
            return refusal(200, &error.to_string());
        }
        if let Policy::Only(keys) = &self.policy
            && !keys.contains(&request.public_key)
        {
            return refusal(200, "this server gives tokens to its own people only");
        }
        if !self.per_key.take(now, request.public_key) {
            return refusal(429, "too many tokens, use the one you have");
        }
        let information = SfuInformation {
            base_url: self.announcement.base_url.clone(),
            allowed_hostname_suffixes: self.announcement.allowed_hostname_suffixes.clone(),
            token: self.key.issue(now_s + TOKEN_LIFE.as_secs(), &mut self.rng),
            lifetime: TOKEN_LIFE,
            turn: (self.announcement.turn.as_ref())
                .map(|issuer| issuer.grant(now_s + TOKEN_LIFE.as_secs(), &mut self.rng)),
        };
        Answer {
            status: 200,
            body: granted(&information),
            is_token: true,
        }
    }
}

fn refusal(status: u16, error: &str) -> Answer {
    Answer {
        status,
        body: refused(error),
        is_token: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn directory(policy: Policy) -> Directory {
        let announcement = Announcement {
            base_url: "https://s.test".to_owned(),
            allowed_hostname_suffixes: vec!["s.test".to_owned()],
            turn: None,
        };
        Directory::new(
            TokenKey::from_bytes([3; 32]),
            policy,
            announcement,
            ChaCha20Rng::seed_from_u64(1),
        )
    }

    const FIRST: &[u8] =
        br#"{"identity":"ABCD2345","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;

    #[test]
    fn a_first_request_is_challenged_and_rubbish_refused() {
        let (mut directory, now) = (directory(Policy::Open), Instant::now());
        let answer = directory.answer(now, 100, None, FIRST);
        assert_eq!((answer.status, answer.is_token), (200, false));
        assert!(String::from_utf8_lossy(&answer.body).contains("tokenRespKeyPub"));
        for bad in [&b""[..], b"{}", &[b'x'; 100_000]] {
            assert_eq!(directory.answer(now, 100, None, bad).status, 400);
        }
    }

    #[test]
    fn floods_are_refused_and_end() {
        let (mut directory, now) = (directory(Policy::Open), Instant::now());
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut statuses = (0..100).map(|_| directory.answer(now, 100, Some(a), FIRST).status);
        assert!(statuses.any(|status| status == 429));
        assert_eq!(
            directory.answer(now, 100, Some(b), FIRST).status,
            200,
            "another address"
        );
        assert_eq!(
            directory
                .answer(now + Duration::from_secs(5), 105, Some(a), FIRST)
                .status,
            200
        );
        let refused = (0..10_000)
            .filter(|_| directory.answer(now, 100, None, FIRST).status == 429)
            .count();
        assert!(refused > 7_000, "{refused}: of all together");
    }
}

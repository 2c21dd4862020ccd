//! Credentials of a TURN server for a while, made from a secret that it shares with whoever hands them out.
//!
//! ```text
//! user name = ⟨expiry, seconds since 1970⟩ ":" ⟨16 random hexadecimal digits⟩
//! password  = base64(HMAC-SHA1(secret, user name))
//! ```
//!
//! This is coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00). The random part keeps people apart in its quota
//! and names nobody.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_chacha::rand_core::CryptoRng;
use sha1::Sha1;
use zeroize::Zeroizing;

/// Servers named at most: one over each of UDP, TCP and TLS, in two places.
pub const URLS_MAX: usize = 6;
/// Bytes of a URL, a user name or a password at most.
pub const TEXT_BYTES_MAX: usize = 512;

/// Where to have calls carried, and who to be there. No `Debug`: it holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnGrant {
    /// `turn:` and `turns:` URLs (RFC 7065).
    pub urls: Vec<String>,
    /// For all of them.
    pub username: String,
    /// The same.
    pub password: Zeroizing<String>,
}

/// Makes grants. No `Debug`: it holds a secret.
#[derive(Clone)]
pub struct TurnIssuer {
    urls: Vec<String>,
    secret: Zeroizing<Vec<u8>>,
}

impl TurnIssuer {
    /// For these servers (at most [`URLS_MAX`] of them count), which all know the secret.
    #[must_use]
    pub fn new(mut urls: Vec<String>, secret: Zeroizing<Vec<u8>>) -> Self {
        urls.truncate(URLS_MAX);
        Self { urls, secret }
    }

    /// Credentials that are good until `expires_s` (seconds since 1970).
    pub fn grant(&self, expires_s: u64, rng: &mut impl CryptoRng) -> TurnGrant {
        let username = format!("{expires_s}:{:016x}", rng.next_u64());
        let password = password(&self.secret, &username);
        TurnGrant {
            urls: self.urls.clone(),
            username,
            password,
        }
    }
}

impl TurnGrant {
    /// Whether it is within bounds and may stand in messages: printable, and nothing too long.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let is_text = |text: &str| {
            !text.is_empty()
                && text.len() <= TEXT_BYTES_MAX
                && text.bytes().all(|b| b.is_ascii_graphic())
        };
        (1..=URLS_MAX).contains(&self.urls.len())
            && self.urls.iter().all(|url| is_text(url))
            && is_text(&self.username)
            && is_text(&self.password)
    }
}

fn password(secret: &[u8], username: &str) -> Zeroizing<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(username.as_bytes());
    Zeroizing::new(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn the_password_is_what_openssl_computes() {
        // printf 1433895918:506eb4c0ba7d2f7d | openssl dgst -sha1 -hmac "north" -binary | base64
        let want = "ObJ8ZmDUIl+YsezbAXhKT37lXa4=";
        assert_eq!(*password(b"north", "1433895918:506eb4c0ba7d2f7d"), want);
    }

    #[test]
    fn two_grants_differ_and_name_their_end() {
        let secret = Zeroizing::new(b"north".to_vec());
        let issuer = TurnIssuer::new(vec!["turn:turn.example.org".into()], secret);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (one, other) = (issuer.grant(9_000, &mut rng), issuer.grant(9_000, &mut rng));
        assert!(one.username.starts_with("9000:") && one.username != other.username);
        assert!(one.is_sane() && *one.password != *other.password);
        let strange = TurnGrant {
            urls: vec!["turn:a\r\nb".into()],
            ..one
        };
        assert!(!strange.is_sane());
    }
}

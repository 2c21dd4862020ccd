//! HTTP requests as data, and which addresses of an SFU are acceptable.
//!
//! Whoever drives a machine runs the request and gives the result back; nothing here connects.

use std::time::Duration;

use super::id::CallId;
use crate::service::turn::TurnGrant;

/// A request in flight, unique within the machine that handed it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// A `POST` to run. No `Debug`: it carries a token.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to.
    pub url: String,
    /// Value of the `Authorization` header, if there is one.
    pub authorization: Option<String>,
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// After this the machine no longer waits; the request may be dropped.
    pub timeout: Duration,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpResult {
    /// The server answered.
    Response {
        /// Status code.
        status: u16,
        /// Body, cut off by the driver at [`super::wire::BODY_LEN_MAX`] bytes or a little more.
        body: Vec<u8>,
    },
    /// It did not, or not in a way that could be trusted.
    Unreachable,
}

/// What the directory tells about the SFU to use. No `Debug`: it holds a token.
#[derive(Clone, PartialEq, Eq)]
pub struct SfuInformation {
    /// Base URL for new calls.
    pub base_url: String,
    /// Hostnames of SFUs end with one of these.
    pub allowed_hostname_suffixes: Vec<String>,
    /// Opaque; authenticates towards the SFU.
    pub token: String,
    /// How long the token is good from now on.
    pub lifetime: Duration,
    /// TURN servers for calls between two, for as long; an addition of ours.
    pub turn: Option<TurnGrant>,
}

/// An address is none we may send a token to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SfuUrlError {
    /// No absolute URL, or one with credentials or a query.
    #[error("the server address of this call is not a plain URL")]
    Malformed,
    /// Not `https`.
    #[error("the server address of this call does not use https")]
    NotHttps,
    /// Its hostname ends with none of the allowed suffixes.
    #[error("the server of this call is not one of the servers you use")]
    NotAllowed,
}

/// An SFU base URL that passed the checks.
#[derive(Clone, PartialEq, Eq)]
pub struct SfuUrl {
    base: String,
}

impl SfuUrl {
    /// *Ensure the SFU Base URL uses the scheme `https` and the included hostname ends with one of the
    /// Allowed SFU Hostname Suffixes.*
    ///
    /// The test is a plain *ends with*, no dot needed, on the hostname without port. Empty suffixes allow
    /// nothing. A fragment (our addresses carry the certificate pin there) is left out of requests.
    ///
    /// # Errors
    /// Whoever sent the address is wrong.
    pub fn check(
        base_url: &str,
        allowed_hostname_suffixes: &[String],
    ) -> Result<Self, SfuUrlError> {
        let plain = base_url
            .split_once('#')
            .map_or(base_url, |(plain, _)| plain);
        let uri: http::Uri = plain.parse().map_err(|_| SfuUrlError::Malformed)?;
        if uri.scheme_str().ok_or(SfuUrlError::Malformed)? != "https" {
            return Err(SfuUrlError::NotHttps);
        }
        let authority = uri.authority().ok_or(SfuUrlError::Malformed)?;
        if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty()
        {
            return Err(SfuUrlError::Malformed);
        }
        let host = authority.host().to_ascii_lowercase();
        let allows =
            |suffix: &String| !suffix.is_empty() && host.ends_with(&suffix.to_ascii_lowercase());
        if !allowed_hostname_suffixes.iter().any(allows) {
            return Err(SfuUrlError::NotAllowed);
        }
        Ok(Self {
            base: format!("https://{authority}{}", uri.path().trim_end_matches('/')),
        })
    }

    /// `⟨sfu_base_url⟩/v1/peek/⟨call_id-as-hex⟩`
    #[must_use]
    pub fn peek(&self, call_id: &CallId) -> String {
        format!("{}/v1/peek/{}", self.base, call_id.to_hex())
    }

    /// `⟨sfu_base_url⟩/v1/join/⟨call_id-as-hex⟩`
    #[must_use]
    pub fn join(&self, call_id: &CallId) -> String {
        format!("{}/v1/join/{}", self.base, call_id.to_hex())
    }
}

/// *When sending this request* (Peek and Join): 1. use `POST`; 2. set the `Authorization` header to
/// `ThreemaSfuToken ⟨sfu-token⟩`; 3. set the encoded message as body.
pub(super) fn sfu_request(
    url: String,
    token: &str,
    body: Vec<u8>,
    timeout: Duration,
) -> HttpRequest {
    let authorization = Some(format!("ThreemaSfuToken {token}"));
    HttpRequest {
        url,
        authorization,
        content_type: "application/octet-stream",
        body,
        timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(url: &str) -> Result<String, SfuUrlError> {
        let suffixes = [
            "sfu.example.test".to_owned(),
            String::new(),
            "127.0.0.1".to_owned(),
        ];
        SfuUrl::check(url, &suffixes).map(|url| url.base)
    }

    #[test]
    fn https_and_an_allowed_ending_are_required() {
        for (url, base) in [
            ("https://sfu.example.test", "https://sfu.example.test"),
            (
                "https://blasfu.example.test/",
                "https://blasfu.example.test",
            ),
            (
                "https://SFU.Example.test:8443/a/b/",
                "https://SFU.Example.test:8443/a/b",
            ),
            ("https://127.0.0.1:4433/#pin=abc", "https://127.0.0.1:4433"),
        ] {
            assert_eq!(check(url).as_deref(), Ok(base));
        }
        for (url, error) in [
            ("http://sfu.example.test", SfuUrlError::NotHttps),
            (
                "https://sfu.example.test.evil.test",
                SfuUrlError::NotAllowed,
            ),
            (
                "https://evil.test/sfu.example.test",
                SfuUrlError::NotAllowed,
            ),
            ("https://evil.test:443", SfuUrlError::NotAllowed),
            (
                "https://evil.test#sfu.example.test",
                SfuUrlError::NotAllowed,
            ),
            ("https://me:secret@sfu.example.test", SfuUrlError::Malformed),
            ("https://sfu.example.test?x=y", SfuUrlError::Malformed),
            (
                "https://evil.test\\@sfu.example.test",
                SfuUrlError::Malformed,
            ),
            ("https://", SfuUrlError::Malformed),
            ("sfu.example.test", SfuUrlError::Malformed),
            ("", SfuUrlError::Malformed),
        ] {
            assert_eq!(check(url), Err(error), "{url}");
        }
    }

    #[test]
    fn addresses_are_formed_as_the_text_says() {
        let url = SfuUrl::check(
            "https://sfu.example.test/base/",
            &["example.test".to_owned()],
        )
        .expect("allowed");
        let id = CallId::from_bytes([0xab; 32]);
        assert_eq!(
            url.peek(&id),
            format!("https://sfu.example.test/base/v1/peek/{}", "ab".repeat(32))
        );
        assert_eq!(
            url.join(&id),
            format!("https://sfu.example.test/base/v1/join/{}", "ab".repeat(32))
        );
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in ".{0,80}") {
            let _result = check(&text);
            let _result = check(&format!("https://{text}"));
        }
    }
}

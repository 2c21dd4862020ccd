//! Where a server is and which certificate it must show: `https://host:port/#pin=…`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use thiserror::Error;

/// A server's address with the pin of its certificate.
///
/// The pin is SHA-256 over the certificate's SubjectPublicKeyInfo (RFC 7469 §2.4), as base64url without padding: it
/// names the key, so that a server may renew its certificate and every link and contact stays good.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerUrl {
    host: String,
    port: u16,
    pin: [u8; 32],
}

/// Longest host: that of DNS.
const HOST_BYTES_MAX: usize = 253;

/// Why a text is no server URL: the user's to mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServerUrlError {
    /// Another scheme, or none.
    #[error("a server URL looks like https://host:port/#pin=…, as `hullo serve` prints it")]
    NoUrl,
    /// No host, or characters no host has.
    #[error("the server URL has no usable host name or address")]
    Host,
    /// Absent, zero or too large.
    #[error("the server URL needs a port: https://host:port/#pin=…")]
    Port,
    /// Absent, or not 32 bytes.
    #[error(
        "the server URL needs the whole #pin=… part, without it the server cannot be told from an impostor: copy it again"
    )]
    Pin,
}

impl ServerUrl {
    /// Puts a URL together.
    ///
    /// # Errors
    /// A host that is empty, too long, or has characters no host has; port 0.
    pub fn new(host: &str, port: u16, pin: [u8; 32]) -> Result<Self, ServerUrlError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(plain) {
            return Err(ServerUrlError::Host);
        }
        if port == 0 {
            return Err(ServerUrlError::Port);
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            pin,
        })
    }

    /// A DNS name or an IP address (IPv6 without brackets), in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SHA-256 of the SubjectPublicKeyInfo the server must prove to hold.
    pub fn pin(&self) -> &[u8; 32] {
        &self.pin
    }

    /// `host:port`, for people.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "https://{}/#pin={}",
            self.authority(),
            BASE64_URL_SAFE_NO_PAD.encode(self.pin)
        )
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.authority())
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let rest = text
            .trim()
            .strip_prefix("https://")
            .ok_or(ServerUrlError::NoUrl)?;
        let (address, fragment) = rest.split_once('#').ok_or(ServerUrlError::Pin)?;
        let authority = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = authority.rsplit_once(':').ok_or(ServerUrlError::Port)?;
        let bare = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(ServerUrlError::Host)?,
            // Without brackets the last group of an IPv6 address would be taken for the port.
            None if host.contains(':') => return Err(ServerUrlError::Host),
            None => host,
        };
        let port = port.parse().map_err(|_| ServerUrlError::Port)?;
        let pin = fragment.strip_prefix("pin=").ok_or(ServerUrlError::Pin)?;
        let pin = BASE64_URL_SAFE_NO_PAD
            .decode(pin)
            .map_err(|_| ServerUrlError::Pin)?;
        Self::new(bare, port, pin.try_into().map_err(|_| ServerUrlError::Pin)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for host in ["127.0.0.1", "example.org", "fe80::1", "a_b-c"] {
            let url = ServerUrl::new(host, 4433, [0xfb; 32]).unwrap();
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        let url = ServerUrl::new("fe80::1", 1, [0; 32]).unwrap();
        assert!(url.to_string().starts_with("https://[fe80::1]:1/#pin=AAAA"));
    }

    #[test]
    fn each_missing_part_is_named() {
        let pin = "A".repeat(43);
        let check = |text: &str, error| assert_eq!(text.parse::<ServerUrl>(), Err(error), "{text}");
        check("http://a:1/#pin=", ServerUrlError::NoUrl);
        check("", ServerUrlError::NoUrl);
        check(&format!("https://a/#pin={pin}"), ServerUrlError::Port);
        check(&format!("https://a:0/#pin={pin}"), ServerUrlError::Port);
        check(&format!("https://a:65536/#pin={pin}"), ServerUrlError::Port);
        check(&format!("https://:1/#pin={pin}"), ServerUrlError::Host);
        check(&format!("https://a/b:1/#pin={pin}"), ServerUrlError::Host);
        check(&format!("https://::1:1/#pin={pin}"), ServerUrlError::Host);
        check("https://a:1/", ServerUrlError::Pin);
        check("https://a:1/#pin=AAAA", ServerUrlError::Pin);
        check("https://a:1/#pin=!", ServerUrlError::Pin);
    }

    proptest! {
        #[test]
        fn any_text_never_panics_and_reads_to_itself(text in "(https://)?[a-z0-9.:\\[\\]/#=-]{0,40}(#pin=[A-Za-z0-9_-]{43})?") {
            if let Ok(url) = text.parse::<ServerUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}

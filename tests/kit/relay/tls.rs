//! One self-made certificate for a relay under test, and clients that trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name in the certificate.
pub const NAME: &str = "relay.test";

/// Key and certificate of one relay.
pub struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    /// A fresh one.
    ///
    /// # Panics
    /// The machine has no randomness.
    #[expect(clippy::new_without_default, reason = "it makes a key")]
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// Writes certificate and key into the folder, for `--cert` and `--key`.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate)?;
        std::fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }

    /// For a relay in this process.
    ///
    /// # Panics
    /// Never: the texts are our own.
    pub fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own key");
        let config = ServerConfig::builder_with_provider(hullo::net::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|config| {
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![self.der()], key)
            });
        Arc::new(config.expect("key and certificate belong together"))
    }

    /// For its clients.
    ///
    /// # Panics
    /// Never: the texts are our own.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("our own certificate");
        let config = ClientConfig::builder_with_provider(hullo::net::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3 is there");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("our own certificate")
    }
}

//! TLS that trusts one key: the one whose pin stands in the server URL. No authority, no name, no date matters. Only a
//! call's server for which nobody gave a pin is judged by public authorities.

use std::sync::Arc;

use hullo_signalling::server_url::ServerUrl;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The pin of a certificate: SHA-256 of its SubjectPublicKeyInfo (RFC 7469 §2.4).
///
/// # Errors
/// Not a certificate.
pub fn pin(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}

/// The cryptography of every TLS connection here, the same library that the calls use.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whom a server must convince.
#[derive(Clone, Copy)]
pub(super) enum Trust {
    /// It holds the key with this pin; nothing else matters.
    Pin([u8; 32]),
    /// A public authority vouches for its name.
    Public,
}

/// A client that goes on with a server only when that proves to hold the pinned key.
pub(crate) async fn connect(
    url: &ServerUrl,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    connect_to(url.host(), Trust::Pin(*url.pin()), tcp).await
}

/// The same for a name (or an address, IPv6 without brackets) and either kind of trust.
pub(super) async fn connect_to(
    host: &str,
    trust: Trust,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider);
    let config = match trust {
        Trust::Pin(pin) => config
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier { pin, algorithms }))
            .with_no_client_auth(),
        Trust::Public => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
            config
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(|error| error.to_string())?
                .with_root_certificates(RootCertStore { roots })
                .with_no_client_auth()
        }
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|error| words(&error))
}

fn words(error: &std::io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            "the server's certificate is not the one in the link: the server was set up anew, or somebody stands in \
             between. Ask whoever runs it for its URL"
                .to_owned()
        }
        Some(other) => format!("it does not speak TLS 1.3 as we do ({other})"),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        None => error.to_string(),
    }
}

#[derive(Debug)]
struct PinVerifier {
    pin: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Public values: no need to compare in constant time.
        if pin(end_entity)? == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

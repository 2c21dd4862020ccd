//! The server's TLS: a certificate of the operator's own, or one made at the first start and kept.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ServeError;
use crate::net::tls;
use crate::profile::make_folder;

/// The server's TLS and the pin of its key, from `folder/server.pem`, which is made when it is not there.
pub(super) fn tls_config(folder: &Path) -> Result<(Arc<ServerConfig>, [u8; 32]), ServeError> {
    let path = folder.join("server.pem");
    let failed = |reason: String| ServeError::Certificate {
        path: path.clone(),
        reason,
    };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_certificate(&path).map_err(failed)?
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    server_config(&pem, &pem).map_err(failed)
}

pub(super) fn own_tls_config(
    certificate: &Path,
    key: &Path,
) -> Result<(Arc<ServerConfig>, [u8; 32]), ServeError> {
    let failed = |reason: String| ServeError::OwnCertificate {
        path: certificate.to_owned(),
        reason,
    };
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())))
    };
    server_config(&read(certificate)?, &read(key)?).map_err(failed)
}

/// TLS 1.3 with these PEM texts, and the pin of the certificate's key.
fn server_config(certificate: &[u8], key: &[u8]) -> Result<(Arc<ServerConfig>, [u8; 32]), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| words(&error))?;
    let first = certificates
        .first()
        .ok_or("there is no certificate in it")?;
    let pin = tls::pin(first).map_err(|error| words(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| words(&error))?;
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|error| words(&error))?;
    Ok((Arc::new(config), pin))
}

/// Makes key and certificate, in one file of mode 0600. When another process was quicker, its file counts.
fn make_certificate(path: &Path) -> Result<Vec<u8>, String> {
    // The name says nothing: clients trust the key alone.
    let made = rcgen::generate_simple_self_signed(["hullo".to_owned()])
        .map_err(|error| error.to_string())?;
    let pem = made.signing_key.serialize_pem() + &made.cert.pem();
    keep(path, pem.as_bytes()).map_err(|error| error.to_string())
}

/// Writes a file that must not exist yet, with mode 0600 and never seen half written under its name; what then stands
/// there, which is another's when another process was quicker.
pub(super) fn keep(path: &Path, contents: &[u8]) -> io::Result<Vec<u8>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, contents)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(contents.to_vec()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => std::fs::read(path),
        Err(error) => Err(error.error),
    }
}

//! `hullo serve`: the relay on this machine, its certificate kept so that its URL stays the same.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use hullo_relay::server::{Options, Relay, serve_router};
use hullo_relay::store::postgres::{self, PostgresStore};
use hullo_relay::store::sqlite::{self, SqliteStore, Synchronous};
use hullo_relay::store::{MemoryStore, StoreLimits};
use hullo_signalling::server_url::ServerUrl;
use rustix::process::Resource;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::net::tls;
use crate::profile::make_folder;

/// Where a server listens when nobody says otherwise: everywhere.
pub const LISTEN_DEFAULT: &str = "0.0.0.0:4433";

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The address in the URL, when it is another than the one listened on (port forwarding).
    pub announce: Option<IpAddr>,
    /// The profile folder; certificate, key and messages are kept in its `server/`.
    pub folder: PathBuf,
    /// Where messages wait.
    pub store: StoreChoice,
    /// Certificate and key (PEM files) of the operator's own, instead of the one kept in the folder.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Where a relay keeps what waits for its readers.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// `relay.db` in the server's folder.
    Folder,
    /// A file, made when it is not there.
    File(PathBuf),
    /// A PostgreSQL database by its URL, which may hold a password.
    Postgres(String),
    /// Nowhere: everything ends with the process.
    Memory,
}

impl StoreChoice {
    /// Reads `--store`.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None => Self::Folder,
            Some("memory") => Self::Memory,
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Self::Postgres(url.to_owned())
            }
            Some(path) => Self::File(PathBuf::from(path)),
        }
    }
}

// A URL may hold a password.
impl std::fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder => f.write_str("Folder"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
            Self::Memory => f.write_str("Memory"),
        }
    }
}

/// Why there is no server: the user's or the machine's to mend. Exit status 5.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("port {} of {} is taken by another program (another `hullo serve`?): choose another with --listen ADDR:PORT", .0.port(), .0.ip())]
    PortBusy(SocketAddr),
    /// Below 1024 without the right, or an address that is not this machine's.
    #[error("{address} cannot be listened on: {reason}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// The system's words.
        reason: io::Error,
    },
    /// The certificate's file.
    #[error("the server's certificate {} cannot be used: {reason}. Move it away to get a new one (every link made with this server ends then)", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operator's own certificate.
    #[error("the certificate {} and its key cannot be used: {reason}. Give PEM files with --cert and --key", .path.display())]
    OwnCertificate {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file with the messages.
    #[error(transparent)]
    File(#[from] sqlite::OpenError),
    /// The database with the messages.
    #[error(transparent)]
    Database(#[from] postgres::ConnectError),
    /// No randomness, no thread.
    #[error("the server cannot start: {0}")]
    Start(String),
}

/// A running server on a thread of its own; dropping it stops it.
pub struct Server {
    url: ServerUrl,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves when this returns.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn start(options: &ServeOptions) -> Result<Self, ServeError> {
        let system = |error: io::Error| ServeError::Start(error.to_string());
        raise_file_limit();
        let folder = options.folder.join("server");
        let (tls, pin) = match &options.certificate {
            Some((certificate, key)) => own_tls_config(certificate, key)?,
            None => tls_config(&folder)?,
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ServeError::Start(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(system)?;
        let listener = runtime
            .block_on(TcpListener::bind(options.listen))
            .map_err(|reason| match reason.kind() {
                ErrorKind::AddrInUse => ServeError::PortBusy(options.listen),
                _ => ServeError::Listen {
                    address: options.listen,
                    reason,
                },
            })?;
        let address = listener.local_addr().map_err(system)?;
        let host = options.announce.unwrap_or_else(|| reachable(address.ip()));
        let url = ServerUrl::new(&host.to_string(), address.port(), pin)
            .expect("an IP address is a host and a bound port is not 0");
        let (stop, stopped) = oneshot::channel::<()>();
        let relay = runtime.block_on(start_relay(&options.store, &folder, &Options::new(seed)))?;
        let thread = std::thread::Builder::new()
            .name("serve".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // An error is a handle that was dropped: the same wish.
                    let stop = async { drop(stopped.await) };
                    serve_router(listener, tls, relay.router(), stop).await;
                    relay.stop().await;
                });
                // Connections that did not end in time end now.
                runtime.shutdown_background();
            });
        Ok(Self {
            url,
            address,
            stop: Some(stop),
            thread: Some(thread.map_err(system)?),
        })
    }

    /// What to give to people, pin included.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// What is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the server's thread panicked");
        }
    }
}

/// Each connection is an open file, and the usual limit of 1,024 is below what a relay serves.
fn raise_file_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn start_relay(
    store: &StoreChoice,
    folder: &Path,
    options: &Options,
) -> Result<Relay, ServeError> {
    let limits = StoreLimits::default();
    let file = |path: &Path| SqliteStore::open(path, Synchronous::default(), limits);
    let relay = match store {
        StoreChoice::Folder => {
            make_folder(folder).map_err(|error| ServeError::Start(error.to_string()))?;
            Relay::start(file(&folder.join("relay.db"))?, options)
        }
        StoreChoice::File(path) => Relay::start(file(path)?, options),
        StoreChoice::Postgres(url) => {
            let mut name = [0; 8];
            getrandom::fill(&mut name).map_err(|error| ServeError::Start(error.to_string()))?;
            let store = PostgresStore::connect(url, limits, u64::from_le_bytes(name)).await?;
            Relay::start(store, options)
        }
        StoreChoice::Memory => Relay::start(MemoryStore::new(limits), options),
    };
    relay.map_err(|error| ServeError::Start(error.to_string()))
}

/// An address others can use: for "everywhere", the first of this machine that leads outside, IPv4 before IPv6.
fn reachable(listened: IpAddr) -> IpAddr {
    if !listened.is_unspecified() {
        return listened;
    }
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => listened.is_ipv6() && !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()
        .map(|interfaces| {
            interfaces
                .into_iter()
                .map(|interface| interface.ip())
                .filter(usable)
                .collect()
        })
        .unwrap_or_default();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
        .first()
        .copied()
        .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
}

/// The server's TLS and the pin of its key, from `folder/server.pem`, which is made when it is not there.
fn tls_config(folder: &Path) -> Result<(Arc<ServerConfig>, [u8; 32]), ServeError> {
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

fn own_tls_config(
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
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder).map_err(|error| words(&error))?;
    // The name says nothing: clients trust the key alone.
    let made =
        rcgen::generate_simple_self_signed(["hullo".to_owned()]).map_err(|error| words(&error))?;
    let pem = made.signing_key.serialize_pem() + &made.cert.pem();
    // Made with mode 0600, and never seen half written under its name.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| words(&error))?;
    io::Write::write_all(&mut file, pem.as_bytes()).map_err(|error| words(&error))?;
    file.as_file().sync_all().map_err(|error| words(&error))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(pem.into_bytes()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            std::fs::read(path).map_err(|error| words(&error))
        }
        Err(error) => Err(words(&error.error)),
    }
}

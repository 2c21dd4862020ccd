//! `hullo serve`: relay, directory and SFU on this machine, on one TLS port, with media on UDP ports beside it. Its
//! certificate is kept so that its URL stays the same.
//!
//! ```text
//! TCP, TLS   /relay (sealed blocks)   /identity/sfu_cred (tokens)   /v1/peek, /v1/join   /health   /metrics
//! UDP        media of group calls, one port for each shard
//! ```

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, never};
use hullo_relay::server::{Options, Relay, serve_router};
use hullo_relay::store::postgres::{self, PostgresStore};
use hullo_relay::store::sqlite::{self, SqliteStore, Synchronous};
use hullo_relay::store::{MemoryStore, StoreLimits};
use hullo_sfu::server::{Sfu, StartError};
use hullo_signalling::server_url::ServerUrl;
use rustix::process::Resource;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::profile::make_folder;

pub use calls::{CallOptions, MediaPorts};
pub use run::{Wanted, run};
pub use turn::{GUARD, TurnChoice, guard};

mod calls;
mod certificate;
mod operator;
mod run;
mod turn;

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
    /// Group calls.
    pub calls: CallOptions,
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
    /// The key that tokens for calls are made with.
    #[error("the file {} cannot be used: {reason}. Move it away to get a new one (people in calls then need a moment to get new tokens)", .path.display())]
    TokenKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Who may call.
    #[error("the list {} cannot be used: {reason}", .path.display())]
    AllowList {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        reason: String,
    },
    /// The secret shared with TURN servers.
    #[error("the TURN secret {} cannot be used: {reason}", .path.display())]
    TurnSecret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// coturn is to be started and is not there.
    #[error(
        "no TURN server can be started: `turnserver` is not installed (on Debian and Ubuntu: apt-get install coturn)"
    )]
    NoCoturn,
    /// Where coturn is to listen.
    #[error("no TURN server can be started at {address}: {reason}; {advice}")]
    TurnPort {
        /// Its address and port.
        address: SocketAddr,
        /// The system's words.
        reason: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The ports for calls, mostly.
    #[error(transparent)]
    Calls(#[from] StartError),
    /// No randomness, no thread.
    #[error("the server cannot start: {0}")]
    Start(String),
}

/// A running server on a thread of its own; dropping it stops it.
pub struct Server {
    url: ServerUrl,
    address: SocketAddr,
    calls: Option<Arc<Sfu>>,
    media: Option<MediaPorts>,
    turn: Option<turn::Coturn>,
    runtime: Handle,
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
            Some((certificate, key)) => certificate::own_tls_config(certificate, key)?,
            None => certificate::tls_config(&folder)?,
        };
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
        let (issuer, turn) = turn::start(&options.calls.turn, &folder, host)?;
        let started = calls::start(options, &folder, address, host, &url, issuer)?;
        let (calls, media) = started.map(|(sfu, media)| (Arc::new(sfu), media)).unzip();
        let (stop, stopped) = oneshot::channel::<()>();
        let relay = Options::new(seed()?);
        let relay = runtime.block_on(start_relay(&options.store, &folder, &relay))?;
        let router = operator::router(relay.watch(), calls.clone())
            .merge(relay.router())
            .merge(calls.as_ref().map(calls::router).unwrap_or_default());
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new()
            .name("serve".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // An error is a handle that was dropped: the same wish.
                    let stop = async { drop(stopped.await) };
                    serve_router(listener, tls, router, stop).await;
                    relay.stop().await;
                });
                // Connections that did not end in time end now.
                runtime.shutdown_background();
            });
        Ok(Self {
            url,
            address,
            calls,
            media,
            turn,
            runtime: handle,
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

    /// What the operator must know of the TURN server that runs here, if one does.
    pub fn turn_words(&self) -> Option<&'static str> {
        self.turn.as_ref().map(|_| turn::STARTED)
    }

    /// Where media of group calls comes in; `None`: there are none, for want of an IPv4 address.
    pub fn media(&self) -> Option<&MediaPorts> {
        self.media.as_ref()
    }

    /// Sentences for the operator while it serves.
    pub fn news(&self) -> Receiver<String> {
        self.turn.as_ref().map_or_else(never, turn::Coturn::news)
    }

    /// Takes no new call from now on; those that run go on, and `/health` says so.
    pub fn drain(&self) {
        if let Some(calls) = &self.calls {
            calls.drain();
        }
    }

    /// Waits until no call runs, at most `time_max`. True if none does.
    pub fn drained(&self, time_max: Duration) -> bool {
        let wait = |calls: &Arc<Sfu>| self.runtime.block_on(calls.drained(time_max));
        self.calls.as_ref().is_none_or(wait)
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

/// From the operating system's generator.
fn seed() -> Result<[u8; 32], ServeError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| ServeError::Start(error.to_string()))?;
    Ok(seed)
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
    let addresses = outside();
    let first = |wanted: fn(&IpAddr) -> bool| addresses.iter().copied().find(wanted);
    first(IpAddr::is_ipv4)
        .or_else(|| first(IpAddr::is_ipv6).filter(|_| listened.is_ipv6()))
        .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
}

/// This machine's addresses that lead outside.
fn outside() -> Vec<IpAddr> {
    let leads_outside = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = interfaces.iter().map(if_addrs::Interface::ip);
    addresses.filter(leads_outside).collect()
}

#[cfg(test)]
mod tests;

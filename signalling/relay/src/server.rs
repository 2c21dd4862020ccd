//! The relay's port: TLS, HTTP, WebSocket at [`PATH`], and one task that owns the [`Mailbox`].
//!
//! Each connection has one task and one bounded queue of frames towards it; a reader that lets it run full is
//! dropped. A client that is slow with its handshake, its request head or its reading loses its connection, nobody else's.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hullo_proto::service::relay::FRAME_BYTES_MAX;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::mailbox::{CloseReason, ConnectionId, ConnectionLimits, Input, Mailbox, Output};
use crate::store::{MemoryStore, Store, StoreLimits};

/// Where the WebSocket is.
pub const PATH: &str = "/relay";

/// Frames on their way to one connection: its whole window of messages and a burst of answers. Fuller means that
/// it does not read.
const OUTGOING_FRAMES_MAX: usize = 256;
/// Frames on their way to the mailbox from everybody: beyond it connections wait, and so do their clients.
const INCOMING_FRAMES_MAX: usize = 1024;
/// TLS handshakes and request heads in progress; each may hold 30 kB.
const HANDSHAKES_MAX: usize = 256;
/// Of these from one address, so that one client that never goes on does not shut out everybody else.
const HANDSHAKES_PER_ADDRESS_MAX: usize = 32;
/// A whole TLS handshake, and then a request head, on the slowest line worth serving.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// One frame written to a line that still moves; a stalled reader holds 1 MiB until then.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);
/// Clients ping every 20 s; three missed ones are a dead line.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How long connections get to close when the relay stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// What a relay is started with.
#[derive(Clone)]
pub struct Options {
    /// What one connection may do.
    pub connection: ConnectionLimits,
    /// What the store takes.
    pub store: StoreLimits,
    /// WebSockets at once: about 40 kB each when idle.
    pub connections_max: usize,
    /// From the operating system's generator: ids and challenges come of it.
    pub seed: [u8; 32],
}

impl Options {
    /// The usual limits.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            connection: ConnectionLimits::default(),
            store: StoreLimits::default(),
            connections_max: 4096,
            seed,
        }
    }
}

/// A running relay; it ends when its last [`Router`] and this are gone, or by [`Relay::stop`].
pub struct Relay {
    inlet: mpsc::Sender<Incoming>,
    slots: Arc<Semaphore>,
    slots_max: u32,
    mailbox: tokio::task::JoinHandle<()>,
}

enum Incoming {
    Opened(ConnectionId, mpsc::Sender<Outgoing>),
    Frame(ConnectionId, axum::body::Bytes),
    Closed(ConnectionId),
    Stop,
}

enum Outgoing {
    Frame(Vec<u8>),
    Close(CloseReason),
}

#[derive(Clone)]
struct Entrance {
    inlet: mpsc::Sender<Incoming>,
    slots: Arc<Semaphore>,
    next: Arc<std::sync::atomic::AtomicU64>,
}

/// Serves a relay that keeps its queues in memory, until `shutdown` comes true.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) {
    let relay = Relay::start(MemoryStore::new(options.store), &options);
    serve_router(listener, tls, relay.router(), shutdown).await;
    relay.stop().await;
}

/// Serves any routes over TLS, HTTP/1.1 with upgrades, until `shutdown` comes true.
pub async fn serve_router(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Places::default();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => (stream, address.ip()),
                Err(error) => {
                    // Out of file descriptors, mostly: connections that end give some back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&handshakes).try_acquire_owned() else {
            tracing::warn!("too many handshakes at once: a connection was dropped");
            continue;
        };
        let Some(place) = Place::take(&places, address) else {
            tracing::warn!("too many handshakes from one address: a connection was dropped");
            continue;
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            serve_connection(stream, acceptor, router).await;
            drop((slot, place));
        });
    }
}

type Places = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One handshake of an address; given back when dropped.
struct Place {
    places: Places,
    address: IpAddr,
}

impl Place {
    fn take(places: &Places, address: IpAddr) -> Option<Self> {
        let mut counts = places.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        let places = Arc::clone(places);
        Some(Self { places, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // Call set-up is small frames back and forth: never wait to fill a packet.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await else {
        tracing::debug!("a TLS handshake failed");
        return;
    };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIME_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended badly");
    }
}

impl Relay {
    /// Starts the task that owns the mailbox; must be called on a tokio runtime.
    pub fn start(store: impl Store + 'static, options: &Options) -> Self {
        let (inlet, frames) = mpsc::channel(INCOMING_FRAMES_MAX);
        let epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = Instant::now().into_std();
        let rng = ChaCha20Rng::from_seed(options.seed);
        let mailbox = Mailbox::new(store, options.connection, rng, now, epoch);
        let slots_max = u32::try_from(options.connections_max).unwrap_or(u32::MAX);
        Self {
            inlet,
            slots: Arc::new(Semaphore::new(slots_max as usize)),
            slots_max,
            mailbox: tokio::spawn(run_mailbox(mailbox, frames)),
        }
    }

    /// The WebSocket at [`PATH`], and `/health`.
    pub fn router(&self) -> Router {
        let entrance = Entrance {
            inlet: self.inlet.clone(),
            slots: Arc::clone(&self.slots),
            next: Arc::default(),
        };
        Router::new()
            .route(PATH, any(upgrade))
            .route("/health", get(async || "ok\n"))
            .with_state(entrance)
    }

    /// Ends every connection and waits for them, within reason.
    pub async fn stop(self) {
        // A mailbox that is gone already has nothing left to stop.
        let _ = self.inlet.send(Incoming::Stop).await;
        let _ = self.mailbox.await;
        let _ = timeout(STOP_TIME_MAX, self.slots.acquire_many(self.slots_max)).await;
    }
}

async fn upgrade(State(entrance): State<Entrance>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(slot) = Arc::clone(&entrance.slots).try_acquire_owned() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the relay is full, try again later\n",
        )
            .into_response();
    };
    let connection = ConnectionId(
        entrance
            .next
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed),
    );
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(async move |socket| {
            serve_socket(socket, connection, entrance.inlet).await;
            drop(slot);
        })
}

async fn serve_socket(
    mut socket: WebSocket,
    connection: ConnectionId,
    inlet: mpsc::Sender<Incoming>,
) {
    let (sender, mut outgoing) = mpsc::channel(OUTGOING_FRAMES_MAX);
    if inlet
        .send(Incoming::Opened(connection, sender))
        .await
        .is_err()
    {
        return;
    }
    let farewell = loop {
        tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(Outgoing::Frame(bytes)) => {
                    let sent = timeout(WRITE_TIME_MAX, socket.send(Message::Binary(bytes.into()))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        break None;
                    }
                }
                Some(Outgoing::Close(reason)) => break Some((close_code::PROTOCOL, reason.to_string())),
                None => break Some((close_code::AWAY, "the relay stops, or you read too slowly".to_owned())),
            },
            message = timeout(SILENCE_MAX, socket.recv()) => match message {
                // No text is a frame: the mailbox counts it and says so.
                Ok(Some(Ok(message @ (Message::Binary(_) | Message::Text(_))))) => {
                    if inlet.send(Incoming::Frame(connection, message.into_data())).await.is_err() {
                        break Some((close_code::AWAY, "the relay stops".to_owned()));
                    }
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(Message::Close(_))) | None) => break None,
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "a connection broke");
                    break None;
                }
                Err(_) => break Some((close_code::AWAY, "silent for too long".to_owned())),
            },
        }
    };
    let _ = inlet.send(Incoming::Closed(connection)).await;
    if let Some((code, reason)) = farewell {
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        let _ = timeout(WRITE_TIME_MAX, socket.send(close)).await;
    }
}

async fn run_mailbox<S: Store>(mut mailbox: Mailbox<S>, mut frames: mpsc::Receiver<Incoming>) {
    let mut lines: HashMap<ConnectionId, mpsc::Sender<Outgoing>> = HashMap::new();
    let mut deadline = Instant::now();
    loop {
        let incoming = tokio::select! {
            incoming = frames.recv() => match incoming {
                Some(Incoming::Stop) | None => break,
                Some(incoming) => Some(incoming),
            },
            () = tokio::time::sleep_until(deadline) => None,
        };
        let now = Instant::now().into_std();
        match incoming {
            Some(Incoming::Opened(connection, line)) => {
                lines.insert(connection, line);
                mailbox.handle_input(now, Input::Opened { connection });
            }
            Some(Incoming::Frame(connection, bytes)) => {
                mailbox.handle_input(
                    now,
                    Input::Frame {
                        connection,
                        bytes: &bytes,
                    },
                );
            }
            Some(Incoming::Closed(connection)) => {
                lines.remove(&connection);
                mailbox.handle_input(now, Input::Closed { connection });
            }
            Some(Incoming::Stop) | None => mailbox.handle_input(now, Input::Timeout),
        }
        let mut slow = Vec::new();
        deadline = drain(&mut mailbox, &mut lines, &mut slow);
        while let Some(connection) = slow.pop() {
            tracing::debug!("a reader was too slow and is dropped");
            lines.remove(&connection);
            mailbox.handle_input(now, Input::Closed { connection });
            deadline = drain(&mut mailbox, &mut lines, &mut slow);
        }
    }
    tracing::info!(counts = ?mailbox.counts(), "the relay stops");
}

fn drain<S: Store>(
    mailbox: &mut Mailbox<S>,
    lines: &mut HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    slow: &mut Vec<ConnectionId>,
) -> Instant {
    loop {
        let (connection, outgoing) = match mailbox.poll_output() {
            Output::Transmit { connection, bytes } => (connection, Outgoing::Frame(bytes)),
            Output::Close { connection, reason } => (connection, Outgoing::Close(reason)),
            Output::Timeout(deadline) => return Instant::from_std(deadline),
        };
        let full = match lines.get(&connection).map(|line| line.try_send(outgoing)) {
            Some(Err(TrySendError::Full(_))) => true,
            // Closed: its task ends and says so by itself.
            Some(Ok(()) | Err(TrySendError::Closed(_))) | None => false,
        };
        if full && !slow.contains(&connection) {
            slow.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_handshake() {
        let (places, stranger, friend) = (
            Places::default(),
            IpAddr::from([10, 0, 0, 1]),
            IpAddr::from([10, 0, 0, 2]),
        );
        let mut held: Vec<Place> = std::iter::from_fn(|| Place::take(&places, stranger))
            .take(1_000)
            .collect();
        assert_eq!(held.len(), HANDSHAKES_PER_ADDRESS_MAX);
        assert!(Place::take(&places, friend).is_some());
        held.pop();
        assert!(Place::take(&places, stranger).is_some());
        held.clear();
        assert!(
            places.lock().unwrap().is_empty(),
            "nothing is remembered of those who left"
        );
    }
}

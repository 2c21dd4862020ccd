//! The relay's port: TLS, HTTP, WebSocket at [`PATH`], and one task that owns the [`Mailbox`].
//!
//! Each connection has one task and one bounded queue of frames towards it; a reader that lets it run full is
//! dropped. A client that is slow with its handshake, its request head or its reading loses its connection, nobody else's.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use hullo_proto::service::relay::FRAME_BYTES_MAX;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::mailbox::{AddressKey, ConnectionId, Limits, Mailbox};
use crate::store::Store;
use run::{Board, Event, Outgoing, Runner, STOP_TIME_MAX};

mod metrics;
mod run;

/// Where the WebSocket is.
pub const PATH: &str = "/relay";

/// Frames on their way to one connection: its whole window of messages and the answers to a burst of commands, which
/// are small. Fuller means that it does not read.
const OUTGOING_FRAMES_MAX: usize = 2048;
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
/// What a relay is started with.
#[derive(Clone)]
pub struct Options {
    /// What clients may do.
    pub limits: Limits,
    /// WebSockets at once: about 40 kB each when idle.
    pub connections_max: usize,
    /// From the operating system's generator: ids and challenges come of it.
    pub seed: [u8; 32],
}

impl Options {
    /// The usual limits.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            limits: Limits::default(),
            connections_max: 4096,
            seed,
        }
    }
}

/// A running relay; it ends when its last [`Router`] and this are gone, or by [`Relay::stop`].
pub struct Relay {
    inlet: mpsc::Sender<Event>,
    slots: Arc<Semaphore>,
    slots_max: usize,
    board: Board,
    /// The mailbox's thread is still at work.
    working: mpsc::Receiver<Infallible>,
}

#[derive(Clone)]
struct Entrance {
    inlet: mpsc::Sender<Event>,
    slots: Arc<Semaphore>,
    /// Made anew in each process: what hashes addresses.
    hasher: RandomState,
    next: Arc<std::sync::atomic::AtomicU64>,
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
            serve_connection(stream, address, acceptor, router).await;
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

/// Who is at the other end of the connection, as an extension of each request that [`serve_router`] serves.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// The home of its limits: an IPv4 address, or all of an IPv6 network, of which a customer has at least one.
    fn key(self, hasher: &RandomState) -> AddressKey {
        let prefix = match self.0.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        AddressKey(hasher.hash_one((self.0.to_canonical().is_ipv4(), prefix)))
    }
}

async fn serve_connection(
    stream: TcpStream,
    address: IpAddr,
    acceptor: TlsAcceptor,
    router: Router,
) {
    // Call set-up is small frames back and forth: never wait to fill a packet.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await else {
        tracing::debug!("a TLS handshake failed");
        return;
    };
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(address));
        routes.call(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended badly");
    }
}

impl Relay {
    /// Starts the thread that owns the mailbox; must be called on a tokio runtime.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(mut store: impl Store + 'static, options: &Options) -> std::io::Result<Self> {
        let (inlet, events) = mpsc::channel(INCOMING_FRAMES_MAX);
        if let Some(news) = store.elsewhere() {
            tokio::spawn(run::forward(news, inlet.downgrade()));
        }
        let epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = Instant::now().into_std();
        let rng = ChaCha20Rng::from_seed(options.seed);
        let mailbox = Mailbox::new(store, options.limits, rng, now, epoch);
        let board = Board::default();
        let runner = Runner::new(mailbox, board.clone());
        let (is_working, working) = mpsc::channel(1);
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("relay-mailbox".to_owned())
            .spawn(move || {
                runner.run(&runtime, events);
                drop(is_working);
            })?;
        Ok(Self {
            inlet,
            slots: Arc::new(Semaphore::new(options.connections_max)),
            slots_max: options.connections_max,
            board,
            working,
        })
    }

    /// The WebSocket at [`PATH`]. Health and counts are [`Relay::watch`]'s: who serves more than this answers for all.
    pub fn router(&self) -> Router {
        let entrance = Entrance {
            inlet: self.inlet.clone(),
            slots: Arc::clone(&self.slots),
            hasher: RandomState::new(),
            next: Arc::default(),
        };
        Router::new().route(PATH, any(upgrade)).with_state(entrance)
    }

    /// What an operator may see while the relay runs.
    pub fn watch(&self) -> Watch {
        Watch {
            slots: Arc::clone(&self.slots),
            slots_max: self.slots_max,
            board: self.board.clone(),
        }
    }

    /// Carries out what has come, ends every connection and waits for them, within reason; the store is closed then.
    pub async fn stop(mut self) {
        // A mailbox that is gone already has nothing left to stop.
        let _ = self.inlet.send(Event::Stop).await;
        let _ended = self.working.recv().await;
        let all = u32::try_from(self.slots_max).unwrap_or(u32::MAX);
        let _ = timeout(STOP_TIME_MAX, self.slots.acquire_many(all)).await;
    }
}

/// A running relay as its operator sees it: whether it is well, and counts that name nobody.
#[derive(Clone)]
pub struct Watch {
    slots: Arc<Semaphore>,
    slots_max: usize,
    board: Board,
}

impl Watch {
    /// Whether the store took the last batch: clients are refused while it does not.
    pub fn is_well(&self) -> bool {
        self.board.read().is_store_well
    }

    /// The counts in the text format of Prometheus. From afar they would tell when people talk.
    pub fn metrics(&self) -> String {
        let open = self.slots_max - self.slots.available_permits().min(self.slots_max);
        metrics::page(&self.board.read(), open)
    }
}

async fn upgrade(
    State(entrance): State<Entrance>,
    Extension(peer): Extension<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
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
    let address = peer.key(&entrance.hasher);
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(async move |socket| {
            serve_socket(socket, connection, address, entrance.inlet).await;
            drop(slot);
        })
}

async fn serve_socket(
    mut socket: WebSocket,
    connection: ConnectionId,
    address: AddressKey,
    inlet: mpsc::Sender<Event>,
) {
    let (sender, mut outgoing) = mpsc::channel(OUTGOING_FRAMES_MAX);
    if inlet
        .send(Event::Opened(connection, address, sender))
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
                    if inlet.send(Event::Frame(connection, message.into_data())).await.is_err() {
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
    let _ = inlet.send(Event::Closed(connection)).await;
    if let Some((code, reason)) = farewell {
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        let _ = timeout(WRITE_TIME_MAX, socket.send(close)).await;
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

    #[test]
    fn an_address_is_an_ipv4_address_or_an_ipv6_network() {
        let hasher = RandomState::new();
        let key = |text: &str| Peer(text.parse().unwrap()).key(&hasher);
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_ne!(
            key("10.0.0.1"),
            Peer(IpAddr::from([10, 0, 0, 1])).key(&RandomState::new()),
            "another process, another key"
        );
    }
}

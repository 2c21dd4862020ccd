//! The SFU as others see it: shards started and stopped, and the HTTP requests of clients.
//!
//! ```text
//! POST /v1/peek/⟨call id⟩   POST /v1/join/⟨call id⟩   POST /identity/sfu_cred
//! ```
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hullo_proto::service::directory::{PATH as DIRECTORY_PATH, REQUEST_LEN_MAX};
use hullo_proto::service::sfu::{
    CallId, JoinRequest, PROTOCOL_VERSION, PeekRequest, WANTED_HEADER, WANTED_VERSION,
};
use hullo_proto::service::token::{TokenKey, TokenNumber};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::directory::{Announcement, Directory, Policy};
use crate::forward::{Join, JoinError, Settings, Stack, StackError};
use crate::metrics::{Metrics, exposition};
use crate::permit::Permits;
use crate::rate::{Buckets, Rate};
use crate::shard::{Request, Shard};

#[cfg(test)]
mod tests;

/// A request is 70 bytes; later texts may add fields.
const BODY_BYTES_MAX: usize = 4_096;
/// A whole body on the slowest line worth serving.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// A shard answers within a turn; clients wait 5 s for a peek.
const SHARD_TIME_MAX: Duration = Duration::from_secs(3);
/// Joins of one token: a client that reconnects on a bad line, and one device more.
const JOINS: Rate = Rate {
    burst: 32,
    count: 1,
    per: Duration::from_secs(2),
};
/// Tokens remembered for that, some 60 bytes each.
const TOKENS_MAX: usize = 65_536;
/// How often [`Sfu::drained`] looks.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// Status of a join whose protocol version is not spoken here (text, *Join*, step 4).
const UNSUPPORTED_VERSION: u16 = 419;

/// What an SFU is started with. No `Debug`: it holds the token key.
pub struct Options {
    /// Where media comes in. Port 0: any; otherwise shards have this port and those after it.
    pub listen: SocketAddr,
    /// Addresses that clients reach it under: one IPv4 address at least, one IPv6 address at most.
    pub announced: Vec<IpAddr>,
    /// Threads that forward; one for each core that media may take.
    pub shards: usize,
    /// People in one call.
    pub participants_max: usize,
    /// Calls at once on one shard.
    pub calls_max: usize,
    /// Participants of all calls of one shard; about 0.3 MiB each.
    pub participants_total_max: usize,
    /// What tokens are made and checked with; kept across restarts.
    pub token_key: TokenKey,
    /// Who may have tokens.
    pub policy: Policy,
    /// What the directory tells about this SFU.
    pub announcement: Announcement,
    /// From the operating system's generator.
    pub seed: [u8; 32],
}

/// The SFU cannot start; the user or the machine is wrong.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No IPv4 address is announced.
    #[error(
        "calls need an IPv4 address of this machine that others can reach; name one with --announce"
    )]
    NoAddress,
    /// The port is taken, mostly.
    #[error("the UDP port {0} for calls cannot be used: {1}; choose another with --udp ADDR:PORT")]
    Socket(SocketAddr, #[source] io::Error),
    /// See [`StackError`].
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// The client's address, for limits per address: an extension that whoever serves the router may add.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// A running SFU; stops when dropped.
pub struct Sfu(Arc<Inner>);

struct Inner {
    shards: Vec<Shard>,
    metrics: Metrics,
    token_key: TokenKey,
    is_draining: AtomicBool,
    /// Only HTTP requests take this lock, and never across a wait.
    gate: Mutex<Gate>,
}

struct Gate {
    directory: Directory,
    permits: Permits,
    joins: Buckets<TokenNumber>,
}

impl Options {
    /// The usual limits: 64 people in a call; 1,000 calls and 2,000 people on a shard.
    #[must_use]
    pub fn new(
        listen: SocketAddr,
        announced: Vec<IpAddr>,
        token_key: TokenKey,
        announcement: Announcement,
        seed: [u8; 32],
    ) -> Self {
        Self {
            listen,
            announced,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            participants_max: 64,
            calls_max: 1_000,
            participants_total_max: 2_000,
            token_key,
            policy: Policy::Open,
            announcement,
            seed,
        }
    }
}

impl Sfu {
    /// Binds the ports and starts the threads.
    ///
    /// # Errors
    /// The user or the machine is wrong.
    pub fn start(options: Options) -> Result<Self, StartError> {
        if !options.announced.iter().any(IpAddr::is_ipv4) {
            return Err(StartError::NoAddress);
        }
        let mut rng = ChaCha20Rng::from_seed(options.seed);
        let stack = Arc::new(Stack::new()?);
        let settings = Settings {
            addresses: options
                .announced
                .iter()
                .map(|&ip| SocketAddr::new(ip, 0))
                .collect(),
            participants_max: options.participants_max,
            calls_max: options.calls_max,
            participants_total_max: options.participants_total_max,
        };
        let mut shards = Vec::new();
        for index in 0..options.shards.max(1) {
            let mut listen = options.listen;
            if listen.port() != 0 {
                let port = u16::try_from(index)
                    .ok()
                    .and_then(|index| listen.port().checked_add(index));
                let none_left =
                    || StartError::Socket(options.listen, io::ErrorKind::AddrNotAvailable.into());
                listen.set_port(port.ok_or_else(none_left)?);
            }
            let rng = ChaCha20Rng::from_rng(&mut rng);
            let shard = Shard::start(listen, settings.clone(), Arc::clone(&stack), rng);
            shards.push(shard.map_err(|error| StartError::Socket(listen, error))?);
        }
        let rng = ChaCha20Rng::from_rng(&mut rng);
        let directory = Directory::new(
            options.token_key.clone(),
            options.policy,
            options.announcement,
            rng,
        );
        let gate = Gate {
            directory,
            permits: Permits::default(),
            joins: Buckets::new(JOINS, TOKENS_MAX),
        };
        Ok(Self(Arc::new(Inner {
            shards,
            metrics: Metrics::default(),
            token_key: options.token_key,
            is_draining: AtomicBool::new(false),
            gate: Mutex::new(gate),
        })))
    }

    /// What clients ask. Health and counts are [`Self::is_draining`]'s and [`Self::metrics`]': a program that serves more
    /// than this answers for all of it.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/peek/{call_id}", post(peek))
            .route("/v1/join/{call_id}", post(join))
            .route(DIRECTORY_PATH, post(credentials))
            .with_state(Arc::clone(&self.0))
    }

    /// Whether [`Self::drain`] was called: a balancer should send new calls elsewhere.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }

    /// UDP ports, one for each shard.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.0.shards.iter().map(|shard| shard.port).collect()
    }

    /// Takes no more new calls; running ones go on, and people may still join them.
    pub fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
        for shard in &self.0.shards {
            if shard.ask(Request::Drain).is_err() {
                tracing::warn!("a shard is too busy to be told that the server drains");
            }
        }
    }

    /// Waits until no call runs, at most `time_max`. True if none does.
    pub async fn drained(&self, time_max: Duration) -> bool {
        let all_idle = async {
            loop {
                let mut busy = false;
                for shard in &self.0.shards {
                    let (answer, idle) = oneshot::channel();
                    busy |=
                        shard.ask(Request::IsIdle(answer)).is_err() || !idle.await.unwrap_or(true);
                }
                if !busy {
                    return;
                }
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        timeout(time_max, all_idle).await.is_ok()
    }

    /// The counters in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.0.exposition()
    }

    /// What was counted so far: the HTTP side first, then each shard.
    pub fn counters(&self) -> impl Iterator<Item = &Metrics> {
        self.0.parts()
    }
}

impl Drop for Sfu {
    fn drop(&mut self) {
        // Routers may outlive this; their requests then find no shard that answers.
        for shard in &self.0.shards {
            let _busy = shard.ask(Request::Stop);
        }
    }
}

impl Inner {
    fn parts(&self) -> impl Iterator<Item = &Metrics> {
        std::iter::once(&self.metrics).chain(self.shards.iter().map(|shard| &*shard.metrics))
    }

    fn exposition(&self) -> String {
        exposition(&self.parts().collect::<Vec<_>>())
    }

    /// A call lives on one shard, always the same: its id is a hash already.
    fn shard_of(&self, call_id: &CallId) -> &Shard {
        let [.., a, b, c, d] = *call_id.as_bytes();
        &self.shards[u32::from_be_bytes([a, b, c, d]) as usize % self.shards.len()]
    }

    /// *If the Authorization header is missing, the token invalid or expired, respond with 401.*
    fn token(&self, headers: &HeaderMap) -> Result<TokenNumber, StatusCode> {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("ThreemaSfuToken "));
        let token = token.ok_or(StatusCode::UNAUTHORIZED)?;
        self.token_key
            .check(token.trim(), unix_s())
            .map_err(|_| StatusCode::UNAUTHORIZED)
    }
}

async fn peek(
    State(sfu): State<Arc<Inner>>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = try_peek(&sfu, &call_id, &headers, body).await;
    let counted = if answer.is_ok() {
        &sfu.metrics.peeks_total
    } else {
        &sfu.metrics.peeks_refused_total
    };
    counted.add_one();
    answer.map_or_else(IntoResponse::into_response, protobuf)
}

/// *When receiving this request* (Peek), steps 1 to 5.
async fn try_peek(
    sfu: &Inner,
    call_id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, StatusCode> {
    sfu.token(headers)?;
    let body = read(body, BODY_BYTES_MAX).await?;
    let request = PeekRequest::decode(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let call_id = same(request.call_id, call_id)?;
    let (answer, state) = oneshot::channel();
    ask(
        sfu.shard_of(&call_id),
        Request::Peek(call_id, answer),
        state,
    )
    .await?
    .map(|response| response.encode())
    .ok_or(StatusCode::NOT_FOUND)
}

async fn join(
    State(sfu): State<Arc<Inner>>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let wants = headers
        .get(WANTED_HEADER)
        .is_some_and(|value| value.as_bytes() == WANTED_VERSION.to_string().as_bytes());
    let answer = try_join(&sfu, &call_id, &headers, body, wants).await;
    let counted = if answer.is_ok() {
        &sfu.metrics.joins_total
    } else {
        &sfu.metrics.joins_refused_total
    };
    counted.add_one();
    let mut response = answer.map_or_else(IntoResponse::into_response, protobuf);
    if wants && response.status() == StatusCode::OK {
        response
            .headers_mut()
            .insert(WANTED_HEADER, HeaderValue::from(u16::from(WANTED_VERSION)));
    }
    response
}

/// *When receiving this request* (Join), steps 1 to 6.
async fn try_join(
    sfu: &Inner,
    call_id: &str,
    headers: &HeaderMap,
    body: Body,
    wants: bool,
) -> Result<Vec<u8>, StatusCode> {
    let token = sfu.token(headers)?;
    let body = read(body, BODY_BYTES_MAX).await?;
    let request = JoinRequest::decode(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let call_id = same(request.call_id, call_id)?;
    if request.protocol_version != PROTOCOL_VERSION {
        return Err(StatusCode::from_u16(UNSUPPORTED_VERSION).expect("a number of three digits"));
    }
    let permit = {
        let mut gate = sfu.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let in_time = gate.joins.take(Instant::now(), token);
        in_time
            .then(|| gate.permits.take(token))
            .flatten()
            .ok_or(StatusCode::TOO_MANY_REQUESTS)?
    };
    let (answer, place) = oneshot::channel();
    let join = Join {
        call_id,
        dtls_fingerprint: request.dtls_fingerprint,
        has_wanted_channel: wants,
        permit,
    };
    match ask(sfu.shard_of(&call_id), Request::Join(join, answer), place).await? {
        Ok(response) => Ok(response.encode()),
        Err(JoinError::Full) => Err(StatusCode::SERVICE_UNAVAILABLE),
        // 503 would tell the client that the call is full.
        Err(JoinError::Unavailable) => Err(StatusCode::BAD_GATEWAY),
    }
}

async fn credentials(
    State(sfu): State<Arc<Inner>>,
    address: Option<Extension<ClientAddress>>,
    body: Body,
) -> Response {
    let body = match read(body, REQUEST_LEN_MAX).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let source = address.map(|Extension(ClientAddress(ip))| ip);
    let answer = {
        let mut gate = sfu.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.directory
            .answer(Instant::now(), unix_s(), source, &body)
    };
    if answer.is_token {
        sfu.metrics.tokens_total.add_one();
    } else if answer.status != 200 {
        sfu.metrics.tokens_refused_total.add_one();
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/json")], answer.body).into_response()
}

fn protobuf(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

/// *If `call_id` does not equal the Call ID from the URL, respond with 400.*
fn same(call_id: CallId, in_url: &str) -> Result<CallId, StatusCode> {
    let in_url = CallId::from_hex(in_url).map_err(|_| StatusCode::BAD_REQUEST)?;
    (call_id == in_url)
        .then_some(call_id)
        .ok_or(StatusCode::BAD_REQUEST)
}

async fn read(body: Body, bytes_max: usize) -> Result<axum::body::Bytes, StatusCode> {
    match timeout(BODY_TIME_MAX, to_bytes(body, bytes_max)).await {
        Ok(body) => body.map_err(|_too_long| StatusCode::BAD_REQUEST),
        Err(_slow) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn ask<T>(
    shard: &Shard,
    request: Request,
    answer: oneshot::Receiver<T>,
) -> Result<T, StatusCode> {
    shard
        .ask(request)
        .map_err(|_busy| StatusCode::BAD_GATEWAY)?;
    match timeout(SHARD_TIME_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(StatusCode::BAD_GATEWAY),
    }
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

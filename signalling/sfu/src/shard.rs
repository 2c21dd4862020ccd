//! One core's share: a thread, a UDP port, and the calls that live here.
//!
//! Nothing on the way of a packet is shared with another thread; joins and peeks come through a bounded queue.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use hullo_proto::service::sfu::{CallId, JoinResponse, PeekResponse};
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rand_chacha::ChaCha20Rng;
use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::forward::{Forwarder, Input, Join, JoinError, Output, Settings, Stack};
use crate::metrics::Metrics;
use crate::train::Train;

/// Kernel buffers of the port: half a second of 60 Mbit/s while the thread waits for its core.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Requests waiting for the shard; beyond it the server answers that it is busy.
const REQUESTS_MAX: usize = 1_024;
/// Receive calls before anything is sent: bounds the delay of what is due.
const RECEIVES_PER_TURN_MAX: usize = 8;
/// Shortest wait: timers of many connections fire together.
const WAIT_MIN: Duration = Duration::from_millis(1);

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// What the HTTP side asks of a shard.
pub(crate) enum Request {
    /// See [`Forwarder::join`].
    Join(Join, oneshot::Sender<Result<JoinResponse, JoinError>>),
    /// See [`Forwarder::peek`].
    Peek(CallId, oneshot::Sender<Option<PeekResponse>>),
    /// No more new calls.
    Drain,
    /// Whether no call runs any more.
    IsIdle(oneshot::Sender<bool>),
    /// End every connection and the thread.
    Stop,
}

/// A running shard.
pub(crate) struct Shard {
    requests: SyncSender<Request>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) port: u16,
}

/// The shard is busy or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Shard {
    /// Binds `listen` and starts the thread; clients are told `announced` with the port that was bound.
    pub(crate) fn start(
        listen: SocketAddr,
        mut settings: Settings,
        stack: Arc<Stack>,
        rng: ChaCha20Rng,
    ) -> io::Result<Self> {
        let socket = bind(listen)?;
        let port = socket.local_addr()?.port();
        for address in &mut settings.addresses {
            address.set_port(port);
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        let metrics = Arc::new(Metrics::default());
        let state = UdpSocketState::new((&socket).into())?;
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = Instant::now();
        let clock = Clock::new(now, unix);
        let forwarder = Forwarder::new(now, settings, stack, clock, Arc::clone(&metrics), rng);
        let mut turn = Turn {
            poll,
            socket: mio::net::UdpSocket::from_std(socket),
            train: Train::new(state.max_gso_segments()),
            state,
            forwarder,
            metrics: Arc::clone(&metrics),
            inbox,
        };
        turn.poll
            .registry()
            .register(&mut turn.socket, SOCKET, Interest::READABLE)?;
        let thread = std::thread::Builder::new()
            .name("sfu".to_owned())
            .spawn(move || turn.run())?;
        Ok(Self {
            requests,
            waker,
            thread: Some(thread),
            metrics,
            port,
        })
    }

    /// Asks something; the answer comes through the request's own channel.
    pub(crate) fn ask(&self, request: Request) -> Result<(), Busy> {
        match self.requests.try_send(request) {
            Ok(()) => self.waker.wake().map_err(|_| Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }

    /// Ends it and waits for its thread; blocks for a few milliseconds.
    pub(crate) fn stop(&mut self) {
        // A full queue empties within a turn.
        let _gone = self.requests.send(Request::Stop);
        let _gone = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a forwarding thread panicked");
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The kernel gives what its limits allow; less is no reason not to start.
    for result in [
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = result {
            tracing::warn!(%error, "the socket buffer could not be set");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// What the thread owns.
struct Turn {
    poll: Poll,
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    train: Train,
    forwarder: Forwarder,
    metrics: Arc<Metrics>,
    inbox: Receiver<Request>,
}

impl Turn {
    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut buffer = vec![0; BATCH_SIZE * self.state.gro_segments() * 2_048];
        let mut deadline = Instant::now();
        let mut more = false;
        loop {
            let wait = if more {
                Duration::ZERO
            } else {
                deadline
                    .saturating_duration_since(Instant::now())
                    .max(WAIT_MIN)
            };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "waiting for packets failed; this shard stops");
                return;
            }
            if !self.requests() {
                return;
            }
            more = self.receive(&mut buffer);
            let now = Instant::now();
            if now >= deadline {
                self.forwarder.handle_input(now, Input::Timeout);
            }
            deadline = self.send();
        }
    }

    /// False when the shard is to end.
    fn requests(&mut self) -> bool {
        for _ in 0..REQUESTS_MAX {
            let now = Instant::now();
            // Who asked may have gone; that is no concern of ours.
            match self.inbox.try_recv() {
                Ok(Request::Join(join, answer)) => {
                    let _gone = answer.send(self.forwarder.join(now, join));
                }
                Ok(Request::Peek(call, answer)) => {
                    let _gone = answer.send(self.forwarder.peek(now, &call));
                }
                Ok(Request::Drain) => self.forwarder.handle_input(now, Input::Drain),
                Ok(Request::IsIdle(answer)) => {
                    let _gone = answer.send(self.forwarder.is_idle());
                }
                Ok(Request::Stop) | Err(TryRecvError::Disconnected) => {
                    self.forwarder.handle_input(now, Input::Close);
                    self.send();
                    return false;
                }
                Err(TryRecvError::Empty) => return true,
            }
        }
        true
    }

    /// True if more may be waiting.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let size = buffer.len() / BATCH_SIZE;
        for _ in 0..RECEIVES_PER_TURN_MAX {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let mut slices = buffer.chunks_exact_mut(size).map(IoSliceMut::new);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| slices.next().expect("the buffer has as many parts"));
            let count = match self
                .state
                .recv((&self.socket).into(), &mut slices, &mut metas)
            {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // What the network reports about earlier packets ends nobody's connection.
                Err(_) => continue,
            };
            let now = Instant::now();
            for (meta, slice) in metas.iter().zip(&slices).take(count) {
                let bytes = &slice[..meta.len];
                let source = canonical(meta.addr);
                for datagram in bytes.chunks(meta.stride.max(1)) {
                    self.forwarder.handle_input(
                        now,
                        Input::Datagram {
                            source,
                            bytes: datagram,
                        },
                    );
                }
            }
        }
        true
    }

    /// Sends all that is ready; when to look again.
    fn send(&mut self) -> Instant {
        loop {
            match self.forwarder.poll_output() {
                Output::Transmit {
                    destination,
                    contents,
                } => {
                    if !self.train.push(destination, contents.as_ref()) {
                        self.depart();
                        // Alone it always fits.
                        self.train.push(destination, contents.as_ref());
                    }
                }
                Output::Timeout(deadline) => {
                    self.depart();
                    return deadline;
                }
            }
        }
    }

    fn depart(&mut self) {
        let Some((destination, contents, segment, segments)) = self.train.ready() else {
            return;
        };
        let destination = self.mapped(destination);
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: (segments > 1).then_some(segment),
            src_ip: None,
        };
        self.metrics.sends_total.add_one();
        match self.state.try_send((&self.socket).into(), &transmit) {
            Ok(()) => {
                self.metrics.datagrams_sent_total.add(segments as u64);
                self.metrics.bytes_out_total.add(contents.len() as u64);
            }
            // Media is sent again or not missed; waiting would delay everybody.
            Err(_) => self.metrics.sends_dropped_total.add(segments as u64),
        }
        self.train.clear();
    }

    /// A socket for both IP versions wants IPv4 addresses in IPv6 form.
    fn mapped(&self, address: SocketAddr) -> SocketAddr {
        match (self.socket.local_addr(), address) {
            (Ok(SocketAddr::V6(_)), SocketAddr::V4(v4)) => {
                SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port()))
            }
            _ => address,
        }
    }
}

/// An IPv4 address whatever the socket shows it as.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

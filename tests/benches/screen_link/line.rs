//! A narrow, far line: a TCP proxy that lets so many bytes a second through, each so much later, in both directions.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes a second each way: a poor line at home, and what the bar is for.
pub(crate) const RATE: f64 = 100_000.0;
/// Each way: half of the round trip.
pub(crate) const DELAY: Duration = Duration::from_millis(25);
/// Passed on at once: a packet.
const PIECE_BYTES: usize = 1_400;
/// Pieces under way. More than the delay holds at the rate: what is too much waits in the sockets before the line, as it
/// does before a modem.
const PIECES_MAX: usize = 64;

/// The line. Connections end with their ends.
pub(crate) struct Line {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Neither slow nor far.
    is_open: AtomicBool,
    /// Bytes towards the client.
    down: AtomicU64,
}

impl Line {
    /// A line to the server at this port of this machine.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn to(server_port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let to = SocketAddr::from(([127, 0, 0, 1], server_port));
                let Ok(server) = TcpStream::connect(to) else {
                    break;
                };
                for (from, to, is_down) in [(&client, &server, false), (&server, &client, true)] {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        carry(from, to, is_down, &theirs);
                    }
                }
            }
        });
        Ok(Self { port, state })
    }

    /// Where the client connects.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on as fast and near as this machine is.
    pub(crate) fn open(&self) {
        self.state.is_open.store(true, Ordering::Relaxed);
    }

    /// Bytes that came to the client so far.
    pub(crate) fn bytes_down(&self) -> u64 {
        self.state.down.load(Ordering::Relaxed)
    }
}

fn carry(mut from: TcpStream, to: TcpStream, is_down: bool, state: &Arc<State>) {
    let (pieces, arriving) = sync_channel(PIECES_MAX);
    // Best effort: without it small pieces come later, and the figures are worse, not better.
    let _ = to.set_nodelay(true);
    let (state, far) = (Arc::clone(state), Arc::clone(state));
    thread::spawn(move || narrow(&mut from, &pieces, &state));
    thread::spawn(move || arrive(to, &arriving, is_down, &far));
}

/// Takes in no more than the rate.
fn narrow(from: &mut TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>, state: &State) {
    let mut free_at = Instant::now();
    let mut piece = [0; PIECE_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut piece) {
        let mut arrives = Instant::now();
        if !state.is_open.load(Ordering::Relaxed) {
            free_at = free_at.max(arrives) + Duration::from_secs_f64(bytes as f64 / RATE);
            thread::sleep(free_at.saturating_duration_since(arrives));
            arrives = free_at + DELAY;
        }
        if pieces.send((arrives, piece[..bytes].to_vec())).is_err() {
            return;
        }
    }
}

/// Hands over what has come the way.
fn arrive(mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>, is_down: bool, state: &State) {
    for (at, piece) in pieces {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
        if is_down {
            state.down.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    }
    // The other end may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}

//! A UDP relay between the people and the server: everything that goes over the wire passes here, and can be kept.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Longest datagram on the loopback.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Bytes kept: ten seconds of a call of eight are some 20 MB.
const KEPT_BYTES_MAX: usize = 128 << 20;
/// Senders told apart: the people, and those who come back.
const SENDERS_MAX: usize = 64;
/// A thread that waits looks around so often whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The running relay. Dropping it ends it.
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    keeps: AtomicBool,
    datagrams: AtomicU64,
    kept: Mutex<Vec<u8>>,
}

impl Wire {
    /// Takes what comes to `people` on to `server`, and the answers back.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) fn start(people: UdpSocket, server: SocketAddr) -> io::Result<Self> {
        people.set_read_timeout(Some(LOOK_EVERY))?;
        let shared = Arc::new(Shared::default());
        let (here, people) = (Arc::clone(&shared), Arc::new(people));
        thread::spawn(move || here.forward(&people, server));
        Ok(Self { shared })
    }

    /// Keeps what passes from now on, or no longer.
    pub(crate) fn keep(&self, keeps: bool) {
        self.shared.keeps.store(keeps, Relaxed);
    }

    /// What was kept, datagram after datagram.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let mut kept = (self.shared.kept.lock()).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept)
    }

    /// How many datagrams passed.
    pub(crate) fn datagrams(&self) -> u64 {
        self.shared.datagrams.load(Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

impl Shared {
    fn forward(self: Arc<Self>, people: &Arc<UdpSocket>, server: SocketAddr) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut sockets: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        while !self.stop.load(Relaxed) {
            let Ok((length, from)) = people.recv_from(&mut buffer) else {
                continue;
            };
            let bytes = &buffer[..length];
            self.note(bytes);
            if !sockets.contains_key(&from) && sockets.len() < SENDERS_MAX {
                match self.open(people, from, server) {
                    Ok(socket) => drop(sockets.insert(from, socket)),
                    Err(_) => continue,
                }
            }
            if let Some(socket) = sockets.get(&from) {
                // Lost datagrams are what the protocol above expects.
                let _ = socket.send(bytes);
            }
        }
    }

    fn open(
        self: &Arc<Self>,
        people: &Arc<UdpSocket>,
        from: SocketAddr,
        server: SocketAddr,
    ) -> io::Result<Arc<UdpSocket>> {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0")?);
        socket.connect(server)?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let (here, people, back) = (Arc::clone(self), Arc::clone(people), Arc::clone(&socket));
        thread::spawn(move || {
            let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
            while !here.stop.load(Relaxed) {
                if let Ok(length) = back.recv(&mut buffer) {
                    here.note(&buffer[..length]);
                    let _ = people.send_to(&buffer[..length], from);
                }
            }
        });
        Ok(socket)
    }

    fn note(&self, bytes: &[u8]) {
        self.datagrams.fetch_add(1, Relaxed);
        if !self.keeps.load(Relaxed) {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + bytes.len() <= KEPT_BYTES_MAX {
            kept.extend_from_slice(bytes);
        }
    }
}

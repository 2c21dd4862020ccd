//! Connections to TURN servers that are not spoken to by datagram: TCP, and TLS over it, without waiting.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use hullo_media::reach::StreamId;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Streams at a time: two sessions with as many relays as a configuration may have.
const STREAMS_MAX: usize = 16;
/// Media that waits to be written; what is more is dropped, for late sound is worth nothing. About 0.3 s of a call.
const MEDIA_WAITING_MAX: usize = 64 * 1024;
/// All that waits; beyond it the connection is of no use.
const WAITING_MAX: usize = 4 * MEDIA_WAITING_MAX;
/// Read at once from one stream before the others get their turn.
const READ_MAX: usize = 64 * 1024;

/// What a stream has to say.
pub enum StreamEvent {
    /// It stands; our end of it.
    Opened(StreamId, SocketAddr),
    /// Bytes came.
    Data(StreamId, Vec<u8>),
    /// It ended; why, in words.
    Closed(StreamId, String),
}

/// The open streams of a call.
pub struct Streams {
    streams: BTreeMap<StreamId, Stream>,
    tls: Option<Arc<ClientConfig>>,
    failed: Vec<(StreamId, String)>,
}

struct Stream {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    is_open: bool,
    waiting: Vec<u8>,
}

impl Streams {
    /// None yet. `authorities`: certificates trusted beside the public ones.
    pub fn new(authorities: &[CertificateDer<'static>]) -> Self {
        Self {
            streams: BTreeMap::new(),
            tls: client_config(authorities),
            failed: Vec::new(),
        }
    }

    /// Begins to connect; `name`: speak TLS to a server of this name. How it went is said by [`Self::poll`].
    pub fn connect(
        &mut self,
        registry: &Registry,
        token: Token,
        id: StreamId,
        destination: SocketAddr,
        name: Option<&str>,
    ) {
        match self.begin(registry, token, destination, name) {
            Ok(stream) if self.streams.len() < STREAMS_MAX => {
                self.streams.insert(id, stream);
            }
            Ok(_) => self.failed.push((id, "too many connections".to_owned())),
            Err(error) => self.failed.push((id, error.to_string())),
        }
    }

    fn begin(
        &self,
        registry: &Registry,
        token: Token,
        destination: SocketAddr,
        name: Option<&str>,
    ) -> io::Result<Stream> {
        let tls = match (name, &self.tls) {
            (None, _) => None,
            (Some(_), None) => return Err(io::Error::other("TLS is not available")),
            (Some(name), Some(config)) => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(config), name);
                Some(connection.map_err(io::Error::other)?)
            }
        };
        let mut socket = TcpStream::connect(destination)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Stream {
            socket,
            tls,
            is_open: false,
            waiting: Vec::new(),
        })
    }

    /// Sends bytes, or keeps them until the stream takes them.
    pub fn write(&mut self, id: StreamId, bytes: &[u8]) {
        if let Some(stream) = self.streams.get_mut(&id)
            && let Err(error) = stream.write(bytes)
        {
            self.streams.remove(&id);
            self.failed.push((id, error.to_string()));
        }
    }

    /// Closes a stream.
    pub fn disconnect(&mut self, id: StreamId) {
        if let Some(mut stream) = self.streams.remove(&id) {
            if let Some(tls) = &mut stream.tls {
                tls.send_close_notify();
            }
            // The last words are worth one try.
            let _ = stream.flush();
        }
    }

    /// What happened on all streams since the last look. The sockets are edge-triggered: each is read until it is empty,
    /// or the answer is true and another look is due.
    pub fn poll(&mut self) -> (Vec<StreamEvent>, bool) {
        let mut events = Vec::new();
        let mut more = false;
        for (id, stream) in &mut self.streams {
            match stream.advance(*id, &mut events) {
                Ok(has_more) => more |= has_more,
                Err(error) => self.failed.push((*id, words(&error))),
            }
        }
        for (id, words) in std::mem::take(&mut self.failed) {
            self.streams.remove(&id);
            events.push(StreamEvent::Closed(id, words));
        }
        (events, more)
    }
}

impl Stream {
    fn advance(&mut self, id: StreamId, events: &mut Vec<StreamEvent>) -> io::Result<bool> {
        if !self.is_open {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            if let Err(error) = self.socket.peer_addr() {
                return match error.kind() {
                    ErrorKind::NotConnected => Ok(false),
                    _ => Err(error),
                };
            }
            // Messages are small and each matters at once.
            let _ = self.socket.set_nodelay(true);
        }
        self.flush()?;
        let (bytes, more) = self.read()?;
        let shakes_hands = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        if !self.is_open && !shakes_hands {
            self.is_open = true;
            events.push(StreamEvent::Opened(id, self.socket.local_addr()?));
        }
        if !bytes.is_empty() {
            events.push(StreamEvent::Data(id, bytes));
        }
        self.flush()?;
        Ok(more)
    }

    /// What came, and whether more waits.
    fn read(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4_096];
        while bytes.len() < READ_MAX {
            let read = match &mut self.tls {
                None => match self.socket.read(&mut buffer) {
                    Ok(length) => {
                        bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                        Ok(length)
                    }
                    Err(error) => Err(error),
                },
                Some(tls) => match tls.read_tls(&mut self.socket) {
                    Ok(length) => {
                        let state = tls.process_new_packets().map_err(io::Error::other)?;
                        let mut plain = vec![0; state.plaintext_bytes_to_read()];
                        tls.reader().read_exact(&mut plain)?;
                        bytes.append(&mut plain);
                        Ok(length)
                    }
                    Err(error) => Err(error),
                },
            };
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((bytes, false)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((bytes, true))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() > MEDIA_WAITING_MAX && is_media(bytes) {
            return Ok(());
        }
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.waiting.extend_from_slice(bytes),
        }
        self.flush()?;
        if self.waiting.len() > WAITING_MAX {
            return Err(io::Error::other("it takes no more bytes"));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.waiting)?;
            }
        }
        while !self.waiting.is_empty() {
            match self.socket.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// Whether it carries a datagram of the call: ChannelData or a Send indication (RFC 8656 §12.4, §11.1).
fn is_media(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 6 == 1) || bytes.starts_with(&[0x00, 0x16])
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

fn client_config(authorities: &[CertificateDer<'static>]) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    roots.add_parsable_certificates(authorities.iter().cloned());
    let config = ClientConfig::builder_with_provider(crate::net::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(Arc::new(config))
}

//! One connection to one server: TCP, pinned TLS, WebSocket. A task of its own, ended by dropping the [`Line`].

use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use hullo_proto::service::relay::FRAME_BYTES_MAX;
use hullo_proto::service::turn::TurnGrant;
use hullo_signalling::server_url::ServerUrl;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::tls;

/// Each of: finding and reaching the host, the TLS handshake, the WebSocket handshake.
const STAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Keeps the path through address translators open, and finds dead lines.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Three pings without any answer.
const SILENCE_MAX: Duration = Duration::from_secs(65);
/// Frames on their way out: a subscription for each contact after a reconnect, and one block for each.
const OUTGOING_FRAMES_MAX: usize = 4096;
/// Longest reason taken over from a server, which may be anybody's.
const REASON_CHARS_MAX: usize = 200;

/// What a line reports.
pub(super) enum LineEvent {
    Connected,
    Frame(Vec<u8>),
    /// The last one. Why, in words for the user.
    Ended(String),
    /// What the directory beside it gave for calls.
    Turn(Option<TurnGrant>),
}

pub(super) struct Line {
    pub(super) number: u64,
    pub(super) url: ServerUrl,
    outgoing: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl Line {
    /// Starts connecting; must be called on the runtime.
    pub(super) fn open(
        number: u64,
        url: ServerUrl,
        reports: mpsc::Sender<(u64, LineEvent)>,
    ) -> Self {
        let (outgoing, frames) = mpsc::channel(OUTGOING_FRAMES_MAX);
        let own_url = url.clone();
        let task = tokio::spawn(async move {
            let reason = match run(number, &url, frames, &reports).await {
                Ok(()) => "the line was given up".to_owned(),
                Err(reason) => reason,
            };
            // Nobody listens any more when the program ends.
            let _ = reports.send((number, LineEvent::Ended(reason))).await;
        });
        Self {
            number,
            url: own_url,
            outgoing,
            task: task.abort_handle(),
        }
    }

    /// A line that takes nothing any more is dead: its task finds out, and the machine sends everything again.
    pub(super) fn send(&self, bytes: Vec<u8>) {
        if self.outgoing.try_send(bytes).is_err() {
            tracing::warn!("a line takes no more frames");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    number: u64,
    url: &ServerUrl,
    mut frames: mpsc::Receiver<Vec<u8>>,
    reports: &mpsc::Sender<(u64, LineEvent)>,
) -> Result<(), String> {
    let socket = connect(url).await?;
    if reports.send((number, LineEvent::Connected)).await.is_err() {
        return Ok(());
    }
    let (mut sink, stream) = socket.split();
    // The two directions must not wait for one another: both ends could then wait for ever.
    let write = async {
        loop {
            let message = match timeout(PING_EVERY, frames.recv()).await {
                Ok(Some(bytes)) => Message::Binary(bytes.into()),
                Ok(None) => return Ok(()),
                Err(_) => Message::Ping(Vec::new().into()),
            };
            match timeout(SILENCE_MAX, sink.send(message)).await {
                Ok(sent) => sent.map_err(|error| words(&error))?,
                Err(_) => return Err("it does not read what is sent".to_owned()),
            }
        }
    };
    tokio::select! {
        ended = write => ended,
        ended = read(number, stream, reports) => ended,
    }
}

async fn read(
    number: u64,
    mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    reports: &mpsc::Sender<(u64, LineEvent)>,
) -> Result<(), String> {
    loop {
        let message = match timeout(SILENCE_MAX, stream.next()).await {
            Ok(Some(message)) => message.map_err(|error| words(&error))?,
            Ok(None) => return Err("it closed the connection".to_owned()),
            Err(_) => return Err("it fell silent".to_owned()),
        };
        match message {
            Message::Binary(bytes) => {
                if reports
                    .send((number, LineEvent::Frame(bytes.into())))
                    .await
                    .is_err()
                {
                    return Ok(());
                }
            }
            Message::Close(Some(close)) if !close.reason.is_empty() => {
                let printable = close.reason.chars().filter(|c| !c.is_control());
                let reason: String = printable.take(REASON_CHARS_MAX).collect();
                return Err(format!("it closed the connection: {reason}"));
            }
            Message::Close(_) => return Err("it closed the connection".to_owned()),
            Message::Text(_) => return Err("it does not speak our protocol".to_owned()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

pub(super) async fn connect(
    url: &ServerUrl,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, String> {
    let late = |_| "it does not answer".to_owned();
    let tcp = timeout(STAGE_TIME_MAX, TcpStream::connect((url.host(), url.port())))
        .await
        .map_err(late)?
        .map_err(|error| connect_words(&error))?;
    // Call set-up is small frames back and forth: never wait to fill a packet.
    let _ = tcp.set_nodelay(true);
    let tls = timeout(STAGE_TIME_MAX, tls::connect(url, tcp))
        .await
        .map_err(late)??;
    let config = WebSocketConfig::default()
        .read_buffer_size(FRAME_BYTES_MAX)
        .write_buffer_size(0)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let request = format!("wss://{}{}", url.authority(), hullo_relay::server::PATH);
    let upgraded = timeout(
        STAGE_TIME_MAX,
        client_async_with_config(request, tls, Some(config)),
    );
    match upgraded.await.map_err(late)? {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) if response.status().as_u16() == 503 => {
            Err("it is full, trying again".to_owned())
        }
        Err(Error::Http(response)) => Err(format!(
            "it is no relay (it answered {})",
            response.status()
        )),
        Err(error) => Err(words(&error)),
    }
}

fn connect_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there: is the server running?".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            "there is no way to it: is this machine online?".to_owned()
        }
        _ => error.to_string(),
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the connection broke".to_owned()
        }
        Error::Io(error) => error.to_string(),
        Error::ConnectionClosed | Error::AlreadyClosed => "it closed the connection".to_owned(),
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => {
            "it does not speak our protocol".to_owned()
        }
        other => other.to_string(),
    }
}

//! A client of the relay: one connection, commands signed and numbered.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use futures_util::{SinkExt, StreamExt};
use hullo_proto::service::relay::{
    Challenge, Command, RecipientId, RefusedReason, Reply, SenderId,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::tls::NAME;

/// A connection that has said its HELLO.
pub struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    challenge: Challenge,
    number: u32,
    /// Frames that came while an answer was waited for.
    early: VecDeque<Vec<u8>>,
}

/// What became of a command.
#[derive(Debug)]
pub enum Answer {
    /// OK, CREATED, PUBLISHED or CLAIMED: the whole frame.
    Done(Vec<u8>),
    /// REFUSED.
    Refused(RefusedReason),
}

impl Client {
    /// Connects from the address `from` of this machine (any of 127.0.0.0/8 will do).
    ///
    /// # Errors
    /// The relay is not there, or says something unexpected.
    pub async fn connect(
        from: IpAddr,
        to: SocketAddr,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        let tcp = socket.connect(to).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).expect("a name");
        let tls = TlsConnector::from(Arc::clone(tls))
            .connect(name, tcp)
            .await?;
        let (socket, _) = client_async(format!("wss://{NAME}/relay"), tls)
            .await
            .map_err(io::Error::other)?;
        let mut client = Self {
            socket,
            challenge: Challenge([0; 32]),
            number: 0,
            early: VecDeque::new(),
        };
        let hello = client.next().await?;
        match Reply::read(&hello) {
            Ok(Reply::Hello { challenge, .. }) => client.challenge = challenge,
            other => return Err(io::Error::other(format!("no hello: {other:?}"))),
        }
        Ok(client)
    }

    /// The next frame, of those kept first.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        match self.early.pop_front() {
            Some(frame) => Ok(frame),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame.into()),
                Some(Ok(Message::Close(close))) => {
                    return Err(io::Error::other(format!("closed: {close:?}")));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Sends a command and returns its number.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn send(&mut self, key: &SigningKey, command: &Command<'_>) -> io::Result<u32> {
        self.number += 1;
        let frame = command.write(self.number, &self.challenge, |message| {
            key.sign(message).to_bytes()
        });
        let sent = self.socket.send(Message::Binary(frame.into())).await;
        sent.map_err(io::Error::other)?;
        Ok(self.number)
    }

    /// Sends a command and waits for its answer; messages that come first are kept for [`Self::next`].
    ///
    /// # Errors
    /// The connection ended.
    pub async fn ask(&mut self, key: &SigningKey, command: &Command<'_>) -> io::Result<Answer> {
        let sent = self.send(key, command).await?;
        loop {
            let frame = self.receive().await?;
            match answer(&frame) {
                Some((number, refused)) if number == sent => {
                    return Ok(refused.map_or(Answer::Done(frame), Answer::Refused));
                }
                _ => self.early.push_back(frame),
            }
        }
    }

    /// Makes a queue that `key` reads.
    ///
    /// # Errors
    /// The connection ended or the relay refused.
    pub async fn create(&mut self, key: &SigningKey) -> io::Result<(RecipientId, SenderId)> {
        let recipient_key = key.verifying_key().to_bytes();
        match self.ask(key, &Command::Create { recipient_key }).await? {
            Answer::Done(frame) => match Reply::read(&frame) {
                Ok(Reply::Created {
                    recipient, sender, ..
                }) => Ok((recipient, sender)),
                other => Err(io::Error::other(format!("not created: {other:?}"))),
            },
            Answer::Refused(reason) => Err(io::Error::other(format!("{reason:?}"))),
        }
    }

    /// Sends a command that is to be answered with OK.
    ///
    /// # Errors
    /// The connection ended or the relay refused.
    pub async fn ok(&mut self, key: &SigningKey, command: &Command<'_>) -> io::Result<()> {
        match self.ask(key, command).await? {
            Answer::Done(_) => Ok(()),
            Answer::Refused(reason) => Err(io::Error::other(format!("{reason:?}"))),
        }
    }
}

/// The number of the command that this frame answers, and the reason if it was refused.
pub fn answer(frame: &[u8]) -> Option<(u32, Option<RefusedReason>)> {
    match Reply::read(frame).ok()? {
        Reply::Ok { number }
        | Reply::Created { number, .. }
        | Reply::Published { number, .. }
        | Reply::Claimed { number, .. } => Some((number, None)),
        Reply::Refused { number, reason } => Some((number, Some(reason))),
        _ => None,
    }
}

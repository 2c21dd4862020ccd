//! One allocation at one TURN server (RFC 8656), over UDP, or over a stream that somebody else connects and encrypts.
//!
//! The protocol is turn-client-proto's. Here is what it leaves to its user: when to ask for a permission or a channel,
//! how a stream is cut into messages, how long to wait, and what a refusal means in words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::api::{
    DelayedMessageOrChannelSend, Transmit, TransmitBuild, TurnClientApi as _, TurnConfig,
    TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::client::TurnClient;
use turn_client_proto::stun::Instant as TurnInstant;
use turn_client_proto::stun::types::TransportType;
use turn_client_proto::stun::types::attribute::ErrorCode;
use turn_client_proto::stun::types::message::{Message, MessageClass};
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;
use zeroize::Zeroizing;

/// From the first word to the allocation: a connection, TLS and two questions over a slow link. Longer only delays the
/// bad news.
const ALLOCATE_TIME_MAX: Duration = Duration::from_secs(8);
/// Peers that one allocation may talk to: more candidates than any honest peer has.
const PEERS_MAX: usize = 32;
/// A peer that was sent this many datagrams gets a channel: 4 bytes of header in place of 36.
const CHANNEL_AFTER: u32 = 20;
/// Longest message of a stream: a datagram with its header.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// How a TURN server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over a TCP connection.
    Tls,
}

/// A TURN server, its name resolved.
#[derive(Clone)]
pub struct TurnServer {
    /// What people call it: for words, and the name in its certificate.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub carrier: Carrier,
    /// Which of our addresses leads there, where the system said.
    pub via: Option<IpAddr>,
    /// Who we are there.
    pub username: String,
    /// The proof of it. Wiped when dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for TurnServer {
    /// Without who we are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let carrier = self.carrier;
        f.debug_struct("TurnServer")
            .field("carrier", &carrier)
            .finish_non_exhaustive()
    }
}

/// Why a TURN server does not carry a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnTrouble {
    /// 401 upon our credentials: the user's or the server's owner's to mend.
    #[error("it refused the user name or password (401)")]
    Credentials,
    /// 486 or 508: too many calls there.
    #[error("it carries as many calls as it may already ({0})")]
    Full(u16),
    /// Another refusal.
    #[error("it refused with code {0}")]
    Refused(u16),
    /// Nothing came back.
    #[error("it did not answer")]
    Silent,
    /// The connection could not be made, in the system's words.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// It carried the call and does no more.
    #[error("the connection to it was lost")]
    Lost,
}

/// What an allocation has to say.
pub(super) enum RelayOutput {
    Datagram {
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    Write(Vec<u8>),
    Allocated {
        relayed: SocketAddr,
        base: SocketAddr,
    },
    Received {
        peer: SocketAddr,
        bytes: Vec<u8>,
    },
    /// The server does not let us talk to a peer.
    PeerRefused,
    Failed(TurnTrouble),
}

/// One allocation, from the wish to its end.
pub(super) struct Relay {
    server: TurnServer,
    epoch: Instant,
    deadline: Option<Instant>,
    client: Option<TurnClient>,
    inbox: Vec<u8>,
    base: SocketAddr,
    relayed: Option<SocketAddr>,
    peers: BTreeMap<SocketAddr, u32>,
    asked: BTreeSet<IpAddr>,
    failed: bool,
    has_proved: bool,
    refusal: Option<TurnTrouble>,
    wake_at: Option<Instant>,
    outputs: VecDeque<RelayOutput>,
}

impl Relay {
    /// Over UDP it begins at once, from the socket `base`; over a stream when [`Self::opened`] says that it is there.
    pub(super) fn new(now: Instant, server: TurnServer, base: SocketAddr) -> Self {
        let mut relay = Self {
            epoch: now,
            deadline: Some(now + ALLOCATE_TIME_MAX),
            client: None,
            inbox: Vec::new(),
            base,
            relayed: None,
            peers: BTreeMap::new(),
            asked: BTreeSet::new(),
            failed: false,
            has_proved: false,
            refusal: None,
            wake_at: None,
            outputs: VecDeque::new(),
            server,
        };
        if relay.server.carrier == Carrier::Udp {
            let client = TurnClientUdp::allocate(base, relay.server.address, relay.config());
            relay.client = Some(client.into());
            relay.pump(now);
        }
        relay
    }

    pub(super) fn server(&self) -> &TurnServer {
        &self.server
    }

    pub(super) fn base(&self) -> SocketAddr {
        self.base
    }

    pub(super) fn relayed(&self) -> Option<SocketAddr> {
        self.relayed.filter(|_| !self.failed)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The stream stands; `local` is our end of it.
    pub(super) fn opened(&mut self, now: Instant, local: SocketAddr) {
        if self.client.is_none() && !self.failed && self.server.carrier != Carrier::Udp {
            self.base = local;
            let client = TurnClientTcp::allocate(local, self.server.address, self.config());
            self.client = Some(client.into());
            self.pump(now);
        }
    }

    /// The stream ended or never stood, in the system's words.
    pub(super) fn closed(&mut self, words: &str) {
        if self.relayed.is_some() {
            self.fail(TurnTrouble::Lost);
        } else {
            self.fail(TurnTrouble::Unreachable(words.to_owned()));
        }
    }

    /// A datagram of the server, or bytes of its stream.
    pub(super) fn receive(&mut self, now: Instant, bytes: &[u8]) {
        if self.server.carrier == Carrier::Udp {
            self.message(now, bytes);
        } else {
            self.inbox.extend_from_slice(bytes);
            loop {
                match message_length(&self.inbox) {
                    Ok(Some(length)) if self.inbox.len() >= length => {
                        let mut message: Vec<u8> = self.inbox.drain(..length).collect();
                        message.truncate(unpadded_length(&message));
                        self.message(now, &message);
                    }
                    Ok(_) => break,
                    Err(()) => {
                        self.fail(TurnTrouble::Lost);
                        break;
                    }
                }
            }
        }
        self.pump(now);
    }

    /// A datagram for a peer. The first ones are lost while the server is asked for a permission.
    pub(super) fn send(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) {
        let turn_now = self.turn_now(now);
        if self.relayed().is_none() {
            return;
        }
        let Some(client) = &mut self.client else {
            return;
        };
        if !client.have_permission(TransportType::Udp, peer.ip()) {
            if self.asked.len() < PEERS_MAX && self.asked.insert(peer.ip()) {
                // Refused, it is told as an event.
                let _ = client.create_permission(TransportType::Udp, peer.ip(), turn_now);
            }
            return self.pump(now);
        }
        if self.peers.len() < PEERS_MAX || self.peers.contains_key(&peer) {
            let sent = self.peers.entry(peer).or_default();
            *sent = sent.saturating_add(1);
            if *sent == CHANNEL_AFTER {
                // Without one it goes on with longer headers.
                let _ = client.bind_channel(TransportType::Udp, peer, turn_now);
            }
        }
        if let Ok(Some(transmit)) = client.send_to(TransportType::Udp, peer, bytes, turn_now) {
            let transmit: TransmitBuild<DelayedMessageOrChannelSend<&[u8]>> = transmit;
            let bytes = transmit.build().data;
            self.write(bytes);
        }
        self.pump(now);
    }

    /// Gives the allocation back.
    pub(super) fn close(&mut self, now: Instant) {
        let turn_now = self.turn_now(now);
        if let Some(client) = &mut self.client
            && !self.failed
        {
            // What was never allocated need not be given back.
            let _ = client.delete(turn_now);
            self.pump(now);
        }
        self.failed = true;
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        if self.relayed.is_none() && self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.fail(self.refusal.clone().unwrap_or(TurnTrouble::Silent));
        }
        self.pump(now);
    }

    pub(super) fn poll(&mut self) -> Option<RelayOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        if self.failed {
            return None;
        }
        let deadline = self.deadline.filter(|_| self.relayed.is_none());
        [deadline, self.wake_at].into_iter().flatten().min()
    }

    fn config(&self) -> TurnConfig {
        let credentials = TurnCredentials::new(&self.server.username, &self.server.password);
        let mut config = TurnConfig::new(credentials);
        if self.server.address.is_ipv6() {
            // Where the server has it, a relayed address of the family that the path to it has proved.
            config.add_address_family(AddressFamily::IPV6);
        }
        config.set_request_retransmits(
            Duration::from_millis(250),
            Duration::from_secs(1),
            7,
            Duration::from_secs(1),
        );
        config
    }

    fn message(&mut self, now: Instant, bytes: &[u8]) {
        if self.failed {
            return;
        }
        self.note_refusal(bytes);
        let (base, server, turn_now) = (self.base, self.server.address, self.turn_now(now));
        let Some(client) = &mut self.client else {
            return;
        };
        let transport = client.transport();
        let received = client.recv(Transmit::new(bytes, transport, server, base), turn_now);
        if let TurnRecvRet::PeerData(data) = received {
            self.outputs.push_back(RelayOutput::Received {
                peer: data.peer,
                bytes: data.data().to_vec(),
            });
        }
        while let Some(data) = self.client.as_mut().and_then(|it| it.poll_recv(turn_now)) {
            self.outputs.push_back(RelayOutput::Received {
                peer: data.peer,
                bytes: data.data().to_vec(),
            });
        }
    }

    /// Keeps why the server says no: the protocol's machine tells only that it does.
    fn note_refusal(&mut self, bytes: &[u8]) {
        if self.relayed.is_some() {
            return;
        }
        let Ok(message) = Message::from_bytes(bytes) else {
            return;
        };
        if message.class() != MessageClass::Error {
            return;
        }
        let Ok(code) = message.attribute::<ErrorCode>() else {
            return;
        };
        let trouble = match code.code() {
            // The first time it is a question, and an old nonce is no refusal at all.
            401 if !std::mem::replace(&mut self.has_proved, true) => return,
            438 => return,
            401 | 403 | 441 => TurnTrouble::Credentials,
            full @ (486 | 508) => TurnTrouble::Full(full),
            code => TurnTrouble::Refused(code),
        };
        let is_final = trouble == TurnTrouble::Credentials;
        self.refusal = Some(trouble.clone());
        if is_final {
            self.fail(trouble);
        }
    }

    fn pump(&mut self, now: Instant) {
        let turn_now = self.turn_now(now);
        let epoch = self.epoch;
        let mut written = Vec::new();
        let mut events = Vec::new();
        let mut is_closed = false;
        if let Some(client) = &mut self.client {
            // The machine alternates between requests and events; a round without either is its end.
            for _ in 0..PUMP_ROUNDS_MAX {
                let ret = client.poll(turn_now);
                let before = written.len() + events.len();
                while let Some(transmit) = client.poll_transmit(turn_now) {
                    written.push(transmit.data.to_vec());
                }
                while let Some(event) = client.poll_event() {
                    events.push(event);
                }
                match ret {
                    TurnPollRet::Closed => is_closed = true,
                    TurnPollRet::WaitUntil(at) => {
                        let nanos = u64::try_from(at.as_nanos()).unwrap_or(0);
                        // Never at once again: what cannot be sent yet is asked for in a moment.
                        let at = epoch + Duration::from_nanos(nanos);
                        self.wake_at = Some(at.max(now + TICK_MIN));
                    }
                    TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {}
                }
                if written.len() + events.len() == before || is_closed {
                    break;
                }
            }
        }
        for bytes in written {
            self.write(bytes);
        }
        for event in events {
            self.event(event);
        }
        if is_closed && !self.failed {
            let lost = self.relayed.is_some();
            let refusal = self.refusal.clone().unwrap_or(TurnTrouble::Silent);
            self.fail(if lost { TurnTrouble::Lost } else { refusal });
        }
    }

    fn event(&mut self, event: TurnEvent) {
        match event {
            TurnEvent::AllocationCreated(_, relayed) if self.relayed.is_none() => {
                self.relayed = Some(relayed);
                let base = self.base;
                self.outputs
                    .push_back(RelayOutput::Allocated { relayed, base });
            }
            TurnEvent::PermissionCreateFailed(..) => {
                self.outputs.push_back(RelayOutput::PeerRefused);
            }
            TurnEvent::PermissionCreated(..)
            | TurnEvent::AllocationCreated(..)
            | TurnEvent::AllocationCreateFailed(_)
            | TurnEvent::ChannelCreated(..)
            | TurnEvent::ChannelCreateFailed(..)
            | TurnEvent::TcpConnected(_)
            | TurnEvent::TcpConnectFailed(_) => {}
        }
    }

    fn write(&mut self, bytes: Vec<u8>) {
        let source = self.base;
        let mut bytes = bytes;
        if self.server.carrier != Carrier::Udp {
            // On a stream messages begin at multiples of four (RFC 8656 §12.5); those of STUN end there anyway.
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        self.outputs.push_back(match self.server.carrier {
            Carrier::Udp => RelayOutput::Datagram { source, bytes },
            Carrier::Tcp | Carrier::Tls => RelayOutput::Write(bytes),
        });
    }

    fn fail(&mut self, trouble: TurnTrouble) {
        if !std::mem::replace(&mut self.failed, true) {
            self.outputs.push_back(RelayOutput::Failed(trouble));
        }
    }

    fn turn_now(&self, now: Instant) -> TurnInstant {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        TurnInstant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

/// Rounds of the protocol's machine in one go: it settles in two or three.
const PUMP_ROUNDS_MAX: usize = 16;
/// Between two looks at the protocol's machine.
const TICK_MIN: Duration = Duration::from_millis(5);

/// Without what fills ChannelData up to a multiple of four.
fn unpadded_length(message: &[u8]) -> usize {
    match message {
        [first, _, high, low, ..] if first >> 6 == 0b01 => {
            4 + usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => message.len(),
    }
}

/// How long the first message of a stream is, once that can be seen (RFC 8656 §12.5, RFC 8489 §6.2.2).
fn message_length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let [first, _, high, low, ..] = bytes else {
        return Ok(None);
    };
    let body = usize::from(u16::from_be_bytes([*high, *low]));
    let length = match first >> 6 {
        0b00 => 20 + body,
        0b01 => 4 + body.next_multiple_of(4),
        _ => return Err(()),
    };
    if length > MESSAGE_BYTES_MAX {
        return Err(());
    }
    Ok(Some(length))
}

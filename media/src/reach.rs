//! Where one side of a call can be reached: its own addresses, what STUN servers see of them, and relayed addresses at
//! TURN servers. Sans-IO.
//!
//! ```text
//! Local, Servers ─▶ Reach ─▶ Candidate, Gone, Step      datagrams of servers ─▶ Reach ─▶ Received (from a peer)
//! Send (by relay) ─▶ Reach ─▶ Transmit, Write           streams ─ Connect, Opened, Data, Closed
//! ```
//!
//! With [`Policy::RelayOnly`] nothing but relayed candidates ever comes out, and nothing is ever sent but to servers.
//! Names are resolved, sockets bound and TLS spoken by whoever drives this. Sources: RFC 8445 §5.1.1, RFC 8656.

mod kinds;
mod stun;
mod turn;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand_chacha::ChaCha20Rng;

pub use kinds::{Event, Input, LocalCandidate, Output, Policy, Step, StreamId, StunServer};
use stun::{Binding, Due};
pub use stun::{parse as parse_binding, request as binding_request};
pub use turn::{Carrier, TurnServer, TurnTrouble};
use turn::{Relay, RelayOutput};

/// Local addresses taken: more are bridges and containers that no peer reaches.
pub const LOCALS_MAX: usize = 16;
/// Servers of a kind asked, which bounds questions to this times [`LOCALS_MAX`].
const SERVERS_MAX: usize = 8;
/// A relay that was lost or silent is asked again after this; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Times that a relay is asked again in one call.
const RETRIES_MAX: u32 = 6;

struct Retry {
    server: TurnServer,
    at: Instant,
    attempt: u32,
}

struct Slot {
    stream: StreamId,
    relay: Relay,
    attempt: u32,
}

/// The ways to one side of one session.
pub struct Reach {
    policy: Policy,
    rng: ChaCha20Rng,
    locals: Vec<SocketAddr>,
    stun: Vec<StunServer>,
    turn: Vec<TurnServer>,
    bindings: Vec<Binding>,
    relays: Vec<Slot>,
    retries: Vec<Retry>,
    candidates: Vec<LocalCandidate>,
    last_stream: u32,
    is_closed: bool,
    outputs: VecDeque<Output>,
}

impl Reach {
    /// Nothing known yet. `rng` must be seeded from the system's random source: transaction ids come from it.
    /// `first_stream`: numbers of streams begin above it.
    pub fn new(policy: Policy, rng: ChaCha20Rng, first_stream: u32) -> Self {
        Self {
            policy,
            rng,
            locals: Vec::new(),
            stun: Vec::new(),
            turn: Vec::new(),
            bindings: Vec::new(),
            relays: Vec::new(),
            retries: Vec::new(),
            candidates: Vec::new(),
            last_stream: first_stream,
            is_closed: false,
            outputs: VecDeque::new(),
        }
    }

    /// All candidates there are now.
    pub fn candidates(&self) -> &[LocalCandidate] {
        &self.candidates
    }

    /// Whether an address is one of ours at a relay.
    pub fn is_relayed(&self, address: SocketAddr) -> bool {
        self.candidates.iter().any(
            |candidate| matches!(candidate, LocalCandidate::Relayed { address: own, .. } if *own == address),
        )
    }

    /// Whether this is a local socket of this machine.
    pub fn has_local(&self, address: SocketAddr) -> bool {
        self.locals.contains(&address)
    }

    /// The local sockets.
    pub fn locals(&self) -> &[SocketAddr] {
        &self.locals
    }

    /// The local sockets on this address.
    pub fn locals_at(&self, ip: IpAddr) -> Vec<SocketAddr> {
        let locals = self.locals.iter();
        locals.filter(|local| local.ip() == ip).copied().collect()
    }

    /// Whether a datagram belongs here rather than to the session: it comes from a server that we speak to.
    pub fn owns(&self, source: SocketAddr, destination: SocketAddr) -> bool {
        let relays = self.relays.iter().map(|slot| &slot.relay);
        let mut udp = relays.filter(|relay| relay.server().carrier == Carrier::Udp);
        udp.any(|relay| (relay.server().address, relay.base()) == (source, destination))
            || self
                .bindings
                .iter()
                .any(|it| it.is_asking() && (it.server(), it.base()) == (source, destination))
    }

    /// Applies one change.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            _ if self.is_closed => {}
            Input::Timeout => self.timeout(now),
            Input::Local(address) => self.local(now, address),
            Input::LocalGone(address) => self.local_gone(now, address),
            Input::Servers(stun, turn) => self.servers(now, stun, turn),
            Input::Datagram {
                source,
                destination,
                bytes,
            } => self.datagram(now, source, destination, bytes),
            Input::Opened(stream, local) => self.with(stream, |relay| relay.opened(now, local)),
            Input::Data(stream, bytes) => self.with(stream, |relay| relay.receive(now, bytes)),
            Input::Closed(stream, words) => self.with(stream, |relay| relay.closed(words)),
            Input::Send {
                relayed,
                peer,
                bytes,
            } => {
                let mut slots = self.relays.iter_mut();
                if let Some(slot) = slots.find(|slot| slot.relay.relayed() == Some(relayed)) {
                    slot.relay.send(now, peer, bytes);
                }
            }
            Input::Close => self.close(now),
        }
        self.pump(now);
    }

    /// The next thing to do; [`Output::Timeout`] when drained.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.is_closed {
            return Output::Timeout(None);
        }
        let bindings = self.bindings.iter().filter_map(Binding::deadline);
        let relays = (self.relays.iter()).filter_map(|slot| slot.relay.next_timeout());
        let retries = self.retries.iter().map(|retry| retry.at);
        Output::Timeout(bindings.chain(relays).chain(retries).min())
    }

    fn with(&mut self, stream: StreamId, change: impl FnOnce(&mut Relay)) {
        if let Some(slot) = self.relays.iter_mut().find(|slot| slot.stream == stream) {
            change(&mut slot.relay);
        }
    }

    fn timeout(&mut self, now: Instant) {
        let mut asked = Vec::new();
        for binding in &mut self.bindings {
            let (source, destination) = (binding.base(), binding.server());
            match binding.due(now) {
                Some(Due::Ask(bytes)) => asked.push(Output::Transmit {
                    source,
                    destination,
                    bytes,
                }),
                Some(Due::GiveUp) => {
                    let name = (self.stun.iter()).find(|server| server.address == destination);
                    let name = name.map_or_else(String::new, |server| server.name.clone());
                    asked.push(Output::Event(Event::Step(Step::StunSilent(name))));
                }
                None => {}
            }
        }
        self.outputs.extend(asked);
        for slot in &mut self.relays {
            slot.relay.timeout(now);
        }
        let (due, later) = std::mem::take(&mut self.retries)
            .into_iter()
            .partition(|retry| retry.at <= now);
        self.retries = later;
        let due: Vec<Retry> = due;
        for retry in due {
            self.ask_relay(now, retry.server, retry.attempt);
        }
    }

    fn local(&mut self, now: Instant, address: SocketAddr) {
        if self.locals.contains(&address) || self.locals.len() == LOCALS_MAX {
            return;
        }
        self.locals.push(address);
        if self.policy == Policy::All {
            self.found(LocalCandidate::Host(address));
        }
        for server in self.stun.clone() {
            self.ask_stun(now, &server, address);
        }
        // A relay whose way is gone, or that had no socket to be asked from, is asked from here.
        for server in self.turn.clone() {
            let has = |slot: &Slot| slot.relay.server().address == server.address;
            if !self.relays.iter().any(has)
                && !self
                    .retries
                    .iter()
                    .any(|retry| retry.server.address == server.address)
            {
                self.ask_relay(now, server, 0);
            }
        }
    }

    fn local_gone(&mut self, now: Instant, address: SocketAddr) {
        self.locals.retain(|local| *local != address);
        self.bindings.retain(|binding| binding.base() != address);
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.candidates)
            .into_iter()
            .partition(|candidate| candidate.base().ip() == address.ip());
        self.candidates = kept;
        for candidate in gone {
            self.outputs
                .push_back(Output::Event(Event::Gone(candidate)));
        }
        let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.relays)
            .into_iter()
            .partition(|slot| slot.relay.base().ip() == address.ip());
        self.relays = kept;
        for slot in lost {
            if slot.relay.server().carrier != Carrier::Udp {
                self.outputs.push_back(Output::Disconnect(slot.stream));
            }
            self.ask_relay(now, slot.relay.server().clone(), 0);
        }
    }

    fn servers(&mut self, now: Instant, stun: &[StunServer], turn: &[TurnServer]) {
        for server in stun {
            if self.stun.len() < SERVERS_MAX && !self.stun.contains(server) {
                self.stun.push(server.clone());
                for base in self.locals.clone() {
                    self.ask_stun(now, server, base);
                }
            }
        }
        for server in turn {
            let same = |known: &TurnServer| {
                (known.address, known.carrier) == (server.address, server.carrier)
            };
            if self.turn.len() < SERVERS_MAX && !self.turn.iter().any(same) {
                self.turn.push(server.clone());
                self.ask_relay(now, server.clone(), 0);
            }
        }
    }

    fn ask_stun(&mut self, now: Instant, server: &StunServer, base: SocketAddr) {
        // What a server sees of us is our address: where that is not to be told, it need not be known.
        if self.policy == Policy::RelayOnly || server.address.is_ipv4() != base.is_ipv4() {
            return;
        }
        let id = u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        let binding = Binding::new(now, server.address, base, id);
        self.bindings.push(binding);
    }

    fn ask_relay(&mut self, now: Instant, server: TurnServer, attempt: u32) {
        let fits = |local: &&SocketAddr| local.is_ipv4() == server.address.is_ipv4();
        let by_route = self
            .locals
            .iter()
            .find(|local| Some(local.ip()) == server.via);
        let base = by_route.or_else(|| self.locals.iter().find(fits)).copied();
        let base = match (server.carrier, base) {
            (Carrier::Udp, None) => return,
            // The stream has a socket of its own, whose address is known once it stands.
            (Carrier::Tcp | Carrier::Tls, _) => SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0),
            (Carrier::Udp, Some(base)) => base,
        };
        self.last_stream += 1;
        let stream = StreamId(self.last_stream);
        if server.carrier != Carrier::Udp {
            self.outputs.push_back(Output::Connect {
                stream,
                destination: server.address,
                tls: (server.carrier == Carrier::Tls).then(|| server.name.clone()),
            });
        }
        let relay = Relay::new(now, server, base);
        self.relays.push(Slot {
            stream,
            relay,
            attempt,
        });
    }

    fn datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) {
        for binding in &mut self.bindings {
            if let Some(address) = binding.answer(source, destination, bytes) {
                let base = destination;
                let is_first = !(self.candidates.iter())
                    .any(|known| matches!(known, LocalCandidate::Reflexive { .. }));
                if is_first {
                    let step = Event::Step(Step::Reflexive);
                    self.outputs.push_back(Output::Event(step));
                }
                // Without a NAT it is the socket's own address, which is told already.
                if address != base {
                    self.found(LocalCandidate::Reflexive { address, base });
                }
                return;
            }
        }
        for slot in &mut self.relays {
            let relay = &mut slot.relay;
            let is_its = (relay.server().address, relay.base()) == (source, destination);
            if is_its && relay.server().carrier == Carrier::Udp {
                return relay.receive(now, bytes);
            }
        }
    }

    fn found(&mut self, candidate: LocalCandidate) {
        let is_allowed =
            self.policy == Policy::All || matches!(candidate, LocalCandidate::Relayed { .. });
        assert!(is_allowed, "only relayed candidates may be told");
        if !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
            self.outputs
                .push_back(Output::Event(Event::Candidate(candidate)));
        }
    }

    fn close(&mut self, now: Instant) {
        let mut streams = Vec::new();
        for slot in &mut self.relays {
            slot.relay.close(now);
            if slot.relay.server().carrier != Carrier::Udp {
                streams.push(Output::Disconnect(slot.stream));
            }
        }
        self.pump(now);
        self.outputs.extend(streams);
        self.is_closed = true;
    }

    /// Moves what the relays have to say to the outside.
    fn pump(&mut self, now: Instant) {
        let mut said = Vec::new();
        for slot in &mut self.relays {
            while let Some(output) = slot.relay.poll() {
                said.push((slot.stream, output));
            }
        }
        for (stream, output) in said {
            self.relay_output(now, stream, output);
        }
        self.relays.retain(|slot| !slot.relay.has_failed());
    }

    fn relay_output(&mut self, now: Instant, stream: StreamId, output: RelayOutput) {
        let Some(slot) = self.relays.iter().find(|slot| slot.stream == stream) else {
            return;
        };
        let server = slot.relay.server();
        let (name, destination) = (server.name.clone(), server.address);
        match output {
            RelayOutput::Datagram { source, bytes } => self.outputs.push_back(Output::Transmit {
                source,
                destination,
                bytes,
            }),
            RelayOutput::Write(bytes) => self.outputs.push_back(Output::Write(stream, bytes)),
            RelayOutput::Allocated { relayed, base } => {
                let step = Event::Step(Step::Relayed(name));
                self.outputs.push_back(Output::Event(step));
                self.found(LocalCandidate::Relayed {
                    address: relayed,
                    base,
                });
            }
            RelayOutput::Received { peer, bytes } => {
                if let Some(relayed) = slot.relay.relayed() {
                    let event = Event::Received {
                        relayed,
                        peer,
                        bytes,
                    };
                    self.outputs.push_back(Output::Event(event));
                }
            }
            RelayOutput::PeerRefused => {
                let step = Event::Step(Step::PeerRefused(name));
                self.outputs.push_back(Output::Event(step));
            }
            RelayOutput::Failed(trouble) => self.relay_failed(now, stream, trouble),
        }
    }

    fn relay_failed(&mut self, now: Instant, stream: StreamId, trouble: TurnTrouble) {
        let Some(at) = self.relays.iter().position(|slot| slot.stream == stream) else {
            return;
        };
        let Slot { relay, attempt, .. } = self.relays.remove(at);
        let server = relay.server().clone();
        let base = relay.base();
        if server.carrier != Carrier::Udp {
            self.outputs.push_back(Output::Disconnect(stream));
        }
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.candidates).into_iter().partition(
                |it| matches!(it, LocalCandidate::Relayed { base: own, .. } if *own == base),
            );
        self.candidates = kept;
        for candidate in gone {
            self.outputs
                .push_back(Output::Event(Event::Gone(candidate)));
        }
        // A password does not become right by itself.
        let may_heal = trouble != TurnTrouble::Credentials && attempt < RETRIES_MAX;
        let step = Step::RelayFailed(server.name.clone(), trouble);
        self.outputs.push_back(Output::Event(Event::Step(step)));
        if may_heal {
            self.retries.push(Retry {
                at: now + RETRY_FIRST * 2_u32.pow(attempt),
                attempt: attempt + 1,
                server,
            });
        } else if self.policy == Policy::RelayOnly
            && self.relays.is_empty()
            && self.retries.is_empty()
        {
            self.outputs
                .push_back(Output::Event(Event::Step(Step::NoRelay)));
        }
    }
}

#[cfg(test)]
mod tests;

//! Which ways this machine has, without a call: what `hullo doctor` looks at.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use hullo_media::reach::{self, LocalCandidate, Output, Step};
use hullo_media::session::DATAGRAM_BYTES_MAX;
use mio::{Events, Poll, Token};
use rand_chacha::ChaCha20Rng;

use super::servers::{CallServers, Resolved, resolve};
use super::sockets::{Reach, Sockets};
use super::streams::{StreamEvent, Streams};

/// Names that may be on their way at once: as many servers as settings may have.
const NAMES_MAX: usize = 32;
/// Between two looks for names that were found.
const LOOK: Duration = Duration::from_millis(50);
/// After the first STUN server answered the others get so long: which kind of NAT there is takes two.
const OTHERS_TIME_MAX: Duration = Duration::from_secs(1);
/// Of all streams: each is asked whenever the loop turns.
const STREAMS: Token = Token(usize::MAX - 1);

/// What was found.
pub struct Ways {
    /// This machine's addresses.
    pub addresses: Vec<IpAddr>,
    /// Every way to be reached.
    pub candidates: Vec<LocalCandidate>,
    /// What the servers did, in their order.
    pub steps: Vec<Step>,
    /// Names that nobody knows, in words.
    pub unknown: Vec<String>,
}

/// Asks all servers and waits until each has answered or failed, at most `time_max`.
///
/// # Errors
/// The machine's: no address, no poll object.
pub fn look(servers: &CallServers, rng: ChaCha20Rng, time_max: Duration) -> io::Result<Ways> {
    let poll = Poll::new()?;
    let sockets = Sockets::open(poll.registry(), Reach::Network)?;
    let (told, names) = bounded(NAMES_MAX);
    resolve(servers, move |it| {
        // Nobody listens any more when the time is over.
        let _ended = told.try_send(it);
    });
    let addresses = sockets.addresses();
    let mut probe = Probe {
        reach: reach::Reach::new(servers.policy, rng, 0),
        poll,
        sockets,
        streams: Streams::new(&servers.authorities),
        names,
        found: Ways {
            addresses: addresses.iter().map(std::net::SocketAddr::ip).collect(),
            candidates: Vec::new(),
            steps: Vec::new(),
            unknown: Vec::new(),
        },
        deadline: None,
        seen_at: None,
    };
    for address in addresses {
        probe.input(reach::Input::Local(address));
    }
    probe.run(servers, Instant::now() + time_max)?;
    probe.found.candidates = probe.reach.candidates().to_vec();
    probe.input(reach::Input::Close);
    Ok(probe.found)
}

struct Probe {
    reach: reach::Reach,
    poll: Poll,
    sockets: Sockets,
    streams: Streams,
    names: Receiver<Resolved>,
    found: Ways,
    deadline: Option<Instant>,
    /// When the first STUN server answered.
    seen_at: Option<Instant>,
}

impl Probe {
    fn run(&mut self, servers: &CallServers, end: Instant) -> io::Result<()> {
        let mut events = Events::with_capacity(16);
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        while Instant::now() < end && !self.is_done(servers) {
            match self.poll.poll(&mut events, Some(LOOK)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            while let Ok(resolved) = self.names.try_recv() {
                self.resolved(resolved);
            }
            for index in 0..self.sockets.len() {
                while let Some((length, source, destination)) =
                    self.sockets.receive(index, &mut buffer)
                {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if self.reach.owns(source, destination) {
                        self.input(reach::Input::Datagram {
                            source,
                            destination,
                            bytes,
                        });
                    }
                }
            }
            for event in self.streams.poll().0 {
                match event {
                    StreamEvent::Opened(id, local) => self.input(reach::Input::Opened(id, local)),
                    StreamEvent::Data(id, bytes) => self.input(reach::Input::Data(id, &bytes)),
                    StreamEvent::Closed(id, words) => self.input(reach::Input::Closed(id, &words)),
                }
            }
            if self.deadline.is_some_and(|at| at <= Instant::now()) {
                self.input(reach::Input::Timeout);
            }
        }
        Ok(())
    }

    /// Every server has said something, or nothing for too long.
    fn is_done(&self, servers: &CallServers) -> bool {
        let count =
            |wanted: fn(&Step) -> bool| self.found.steps.iter().filter(|step| wanted(step)).count();
        let relays = count(|step| matches!(step, Step::Relayed(_) | Step::RelayFailed(..)));
        let silent = count(|step| matches!(step, Step::StunSilent(_)));
        let asks = servers.policy == reach::Policy::All && !servers.stun.is_empty();
        let has_seen = self
            .seen_at
            .is_some_and(|at| servers.stun.len() < 2 || at.elapsed() >= OTHERS_TIME_MAX);
        let stun_done = !asks || has_seen || silent >= servers.stun.len();
        relays + self.found.unknown.len() >= servers.turn.len() && stun_done
    }

    fn resolved(&mut self, resolved: Resolved) {
        match resolved {
            Resolved::Stun(servers) => self.input(reach::Input::Servers(&servers, &[])),
            Resolved::Turn(servers) => self.input(reach::Input::Servers(&[], &servers)),
            Resolved::Unknown(words) => self.found.unknown.push(words),
        }
    }

    fn input(&mut self, input: reach::Input<'_>) {
        self.reach.handle_input(Instant::now(), input);
        // What was just asked leaves at once.
        self.reach
            .handle_input(Instant::now(), reach::Input::Timeout);
        loop {
            match self.reach.poll_output() {
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => self.sockets.send(source, destination, &bytes),
                Output::Connect {
                    stream,
                    destination,
                    tls,
                } => {
                    let registry = self.poll.registry();
                    let name = tls.as_deref();
                    self.streams
                        .connect(registry, STREAMS, stream, destination, name);
                }
                Output::Write(stream, bytes) => self.streams.write(stream, &bytes),
                Output::Disconnect(stream) => self.streams.disconnect(stream),
                Output::Event(reach::Event::Step(step)) => {
                    if step == Step::Reflexive {
                        self.seen_at.get_or_insert_with(Instant::now);
                    }
                    self.found.steps.push(step);
                }
                Output::Event(_) => {}
            }
        }
    }
}

//! The sessions of one call: the one that carries it, and at times another beside it that is being made or left.
//!
//! Each has sockets of its own, so that a datagram's destination tells whose it is; and its own search for ways.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hullo_media::reach::{
    self, LocalCandidate, Policy, Reach, Step, StreamId, StunServer, TurnServer,
};
use hullo_media::sdp::{Description, DescriptionKind};
use hullo_media::session::{self, Role, Session, SessionConfig, Track};
use hullo_proto::call::{CallKeys, IceCandidate, Input as MachineInput, Layout};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::ciphers::Ciphers;
use super::numbers::shift_after;
use super::{DESIRED_BITRATE_BPS, Engine, Event, Output, START_BITRATE_BPS};

/// A new session that does not stand after this was tried in vain: the next one starts from nothing.
const TRY_TIME_MAX: Duration = Duration::from_secs(10);
/// The old session is kept beside the new one for so long if the new one brings nothing.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(3);
/// Streams of one session: more than its relays can ask for.
const STREAMS_OF_PATH: u32 = 1 << 12;

/// How the other side may be reached.
pub struct Ways {
    /// Which addresses may be told.
    pub policy: Policy,
    /// Seeded from the system's random source.
    pub rng: ChaCha20Rng,
}

impl Ways {
    /// Every way there is.
    pub fn all(rng: ChaCha20Rng) -> Self {
        let policy = Policy::All;
        Self { policy, rng }
    }
}

/// One session and its ways.
pub(super) struct Path {
    pub(super) generation: u32,
    pub(super) session: Session,
    pub(super) side_open: bool,
    role: Role,
    reach: Reach,
    /// Ours, once it was described to the other side: what is found from then on is told after it.
    own_ufrag: Option<String>,
    peer_ufrag: Option<String>,
    /// It is let go then.
    deadline: Option<Instant>,
    /// What its time of sound differs by from that of the call.
    shift: Option<u64>,
}

/// A new session that waits for its sockets.
pub(super) struct Wanted {
    generation: u32,
    offer: Option<(String, Vec<IceCandidate>)>,
}

enum PathOutput {
    Session(session::Output),
    Reach(reach::Output),
}

impl Engine {
    /// False when the peer is no Hullo: its frame layout and codecs are not spoken yet.
    pub(super) fn open_first(&mut self, now: Instant, role: Role, keys: &CallKeys) -> bool {
        if keys.layout != Layout::Hullo {
            let words =
                "the other program is not Hullo, and this version only talks to Hullo".to_owned();
            self.machine
                .handle_input(now, MachineInput::PeerIncompatible(words));
            return false;
        }
        self.ciphers = Some(Ciphers::new(keys));
        self.takes_parity = keys.takes_parity;
        self.answerer_leads = keys.answerer_leads;
        let addresses = self.addresses.clone();
        self.open_path(now, 0, role, &addresses);
        true
    }

    fn open_path(&mut self, now: Instant, generation: u32, role: Role, addresses: &[SocketAddr]) {
        let config = SessionConfig {
            role,
            answerer_leads: self.answerer_leads,
            start_bitrate_bps: START_BITRATE_BPS,
            desired_bitrate_bps: DESIRED_BITRATE_BPS,
            pictures: self.own.camera,
            // Every program that speaks our layout has it.
            side_channel: true,
            peer_takes_parity: self.takes_parity,
        };
        let mut session = Session::new(now, &config);
        session.count_from(*self.epoch.get_or_insert(now));
        let mut seed = [0; 32];
        self.ways.rng.fill_bytes(&mut seed);
        let rng = ChaCha20Rng::from_seed(seed);
        let first_stream = generation.wrapping_mul(STREAMS_OF_PATH);
        let mut reach = Reach::new(self.ways.policy, rng, first_stream);
        for address in addresses {
            reach.handle_input(now, reach::Input::Local(*address));
        }
        let (stun, turn) = &self.servers;
        reach.handle_input(now, reach::Input::Servers(stun, turn));
        reach.handle_input(now, reach::Input::Timeout);
        for candidate in reach.candidates() {
            // Only a description can be refused, and that has its own path.
            let _ = session.handle_input(now, session::Input::LocalCandidate(*candidate));
        }
        let path = Path {
            generation,
            session,
            side_open: false,
            role,
            reach,
            own_ufrag: None,
            peer_ufrag: None,
            deadline: (generation > 0).then(|| now + TRY_TIME_MAX),
            shift: None,
        };
        // Another try makes the one before it pointless.
        self.let_go(now, |old| old.generation > 0 && !old.session.is_connected());
        self.paths.push(path);
    }

    /// Tells the other side where this session is; the machine knows in which message.
    pub(super) fn describe(&mut self, now: Instant, generation: u32) {
        let Some(path) = self.path(generation) else {
            return;
        };
        let description = path.session.describe();
        path.own_ufrag = Some(description.ice_ufrag.clone());
        let lines = path.session.local_candidates();
        let candidates = lines
            .into_iter()
            .map(|line| told(line, &description.ice_ufrag))
            .collect();
        let sdp = description.write();
        self.machine.handle_input(
            now,
            if generation == 0 {
                MachineInput::LocalDescription { sdp, candidates }
            } else {
                MachineInput::RestartDescription {
                    generation,
                    sdp,
                    candidates,
                }
            },
        );
    }

    /// Applies the other side's description; in words why not.
    pub(super) fn apply(
        &mut self,
        now: Instant,
        generation: u32,
        sdp: &str,
        candidates: &[IceCandidate],
    ) -> Result<(), String> {
        let Some(path) = self.path(generation) else {
            return Ok(());
        };
        let kind = match path.role {
            Role::Offerer => DescriptionKind::Answer,
            Role::Answerer => DescriptionKind::Offer,
        };
        let description = Description::parse(kind, sdp).map_err(|error| error.to_string())?;
        path.session
            .handle_input(now, session::Input::Describe(&description))
            .map_err(|error| error.to_string())?;
        path.peer_ufrag = Some(description.ice_ufrag);
        for candidate in candidates {
            path.remote_candidate(now, candidate);
        }
        Ok(())
    }

    /// Candidates found later belong to the session they name, or to the newest.
    pub(super) fn add_candidates(&mut self, now: Instant, candidates: &[IceCandidate]) {
        for candidate in candidates {
            let ufrag = candidate.username_fragment.as_deref();
            let at = (self.paths.iter())
                .position(|path| ufrag.is_some() && path.peer_ufrag.as_deref() == ufrag);
            let path = match at {
                Some(at) => self.paths.get_mut(at),
                None => self.paths.iter_mut().max_by_key(|path| path.generation),
            };
            if let Some(path) = path {
                path.remote_candidate(now, candidate);
            }
        }
    }

    /// A new session beside the old one; first it needs sockets.
    pub(super) fn want_path(
        &mut self,
        generation: u32,
        offer: Option<(String, Vec<IceCandidate>)>,
    ) {
        self.wanted = Some(Wanted { generation, offer });
        self.outputs.push_back(Output::Bind(generation));
    }

    pub(super) fn bound(&mut self, now: Instant, generation: u32, addresses: &[SocketAddr]) {
        let is_it = |wanted: &mut Wanted| wanted.generation == generation;
        let Some(wanted) = self.wanted.take_if(is_it) else {
            return;
        };
        match wanted.offer {
            None => {
                self.open_path(now, generation, Role::Offerer, addresses);
                self.describe(now, generation);
            }
            Some((sdp, candidates)) => {
                self.open_path(now, generation, Role::Answerer, addresses);
                // A description that cannot be used costs this try.
                match self.apply(now, generation, &sdp, &candidates) {
                    Ok(()) => self.describe(now, generation),
                    Err(_) => self.let_go(now, |path| path.generation == generation),
                }
            }
        }
    }

    /// The new session stands: it carries the call from now on.
    pub(super) fn promote(&mut self, now: Instant, generation: u32) {
        let Some(at) = (self.paths.iter()).position(|path| path.generation == generation) else {
            return;
        };
        for path in &mut self.paths {
            path.deadline = Some(now + LEAVE_TIME_MAX);
        }
        let mut path = self.paths.remove(at);
        path.deadline = None;
        self.paths.insert(0, path);
        // Pictures that wait in the old session hold up nothing in the new one.
        self.outputs
            .push_back(Output::Event(Event::PicturesWait(false)));
    }

    pub(super) fn is_current(&self, generation: u32) -> bool {
        self.paths
            .first()
            .is_some_and(|path| path.generation == generation)
    }

    /// Lets sessions go, with a goodbye on the wire.
    pub(super) fn let_go(&mut self, now: Instant, which: impl Fn(&Path) -> bool) {
        for path in &mut self.paths {
            if which(path) {
                let _ = path.session.handle_input(now, session::Input::Close);
                path.reach.handle_input(now, reach::Input::Close);
            }
        }
        self.flush_closing(now, &which);
        for path in self.paths.extract_if(.., |path| which(path)) {
            let sockets = path.reach.locals().to_vec();
            self.outputs.push_back(Output::Release(sockets));
        }
    }

    /// What those that are let go still have to send.
    fn flush_closing(&mut self, now: Instant, which: &impl Fn(&Path) -> bool) {
        let mut sent = Vec::new();
        for path in self.paths.iter_mut().filter(|path| which(path)) {
            loop {
                match path.session.poll_output() {
                    session::Output::Timeout(_) => break,
                    session::Output::Transmit {
                        source,
                        destination,
                        bytes,
                    } => sent.extend(path.transmit(now, source, destination, bytes)),
                    session::Output::Event(_) => {}
                }
            }
            loop {
                match path.reach.poll_output() {
                    reach::Output::Timeout(_) => break,
                    reach::Output::Event(_) => {}
                    output => sent.extend(outside(output)),
                }
            }
        }
        self.outputs.extend(sent);
    }

    pub(super) fn datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) {
        let own = (self.paths.iter()).position(|path| path.reach.has_local(destination));
        let Some(path) = self.paths.get_mut(own.unwrap_or(0)) else {
            return;
        };
        if path.reach.owns(source, destination) {
            let input = reach::Input::Datagram {
                source,
                destination,
                bytes,
            };
            path.reach.handle_input(now, input);
        } else if self.ways.policy == Policy::All {
            let input = session::Input::Receive {
                source,
                destination,
                bytes,
            };
            let _ = path.session.handle_input(now, input);
        }
    }

    pub(super) fn stream(&mut self, now: Instant, stream: StreamId, input: reach::Input<'_>) {
        let generation = stream.0.saturating_sub(1) / STREAMS_OF_PATH;
        if let Some(path) = self.path(generation) {
            path.reach.handle_input(now, input);
        }
    }

    pub(super) fn set_servers(
        &mut self,
        now: Instant,
        stun: Vec<StunServer>,
        turn: Vec<TurnServer>,
    ) {
        for path in &mut self.paths {
            let input = reach::Input::Servers(&stun, &turn);
            path.reach.handle_input(now, input);
            path.reach.handle_input(now, reach::Input::Timeout);
        }
        self.servers.0.extend(stun);
        self.servers.1.extend(turn);
    }

    /// The machine has a new address: one more way for the newest session.
    pub(super) fn local(&mut self, now: Instant, address: SocketAddr) {
        match self.paths.iter_mut().max_by_key(|path| path.generation) {
            Some(path) => {
                path.reach.handle_input(now, reach::Input::Local(address));
                path.reach.handle_input(now, reach::Input::Timeout);
            }
            None => self.addresses.push(address),
        }
    }

    /// The machine has this address no longer.
    pub(super) fn local_gone(&mut self, now: Instant, ip: IpAddr) {
        self.addresses.retain(|address| address.ip() != ip);
        for path in &mut self.paths {
            for local in path.reach.locals_at(ip) {
                path.reach.handle_input(now, reach::Input::LocalGone(local));
            }
        }
    }

    pub(super) fn path(&mut self, generation: u32) -> Option<&mut Path> {
        self.paths
            .iter_mut()
            .find(|path| path.generation == generation)
    }

    pub(super) fn paths_timeout(&mut self, now: Instant) {
        for path in &mut self.paths {
            let _ = path.session.handle_input(now, session::Input::Timeout);
            path.reach.handle_input(now, reach::Input::Timeout);
        }
        self.let_go(now, |path| path.deadline.is_some_and(|at| at <= now));
    }

    pub(super) fn paths_deadline(&mut self) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        for path in &mut self.paths {
            let session = match path.session.poll_output() {
                session::Output::Timeout(at) => at,
                _ => None,
            };
            let reach = match path.reach.poll_output() {
                reach::Output::Timeout(at) => at,
                _ => None,
            };
            let all = [earliest, session, reach, path.deadline];
            earliest = all.into_iter().flatten().min();
        }
        earliest
    }

    /// Takes one thing that a session or its ways have to say. False when all are quiet.
    pub(super) fn pump_path(&mut self, now: Instant) -> bool {
        let Some((generation, output)) = self.paths.iter_mut().find_map(Path::next) else {
            return false;
        };
        match output {
            PathOutput::Session(session::Output::Event(event)) => {
                self.session_event(now, generation, event);
            }
            PathOutput::Session(session::Output::Transmit {
                source,
                destination,
                bytes,
            }) => {
                let path = self.path(generation);
                let sent = path.and_then(|path| path.transmit(now, source, destination, bytes));
                self.outputs.extend(sent);
            }
            PathOutput::Session(session::Output::Timeout(_)) => {}
            PathOutput::Reach(reach::Output::Event(event)) => {
                self.reach_event(now, generation, event);
            }
            PathOutput::Reach(output) => self.outputs.extend(outside(output)),
        }
        true
    }

    fn reach_event(&mut self, now: Instant, generation: u32, event: reach::Event) {
        let Some(path) = self.path(generation) else {
            return;
        };
        match event {
            reach::Event::Candidate(candidate) => self.found(now, generation, candidate),
            reach::Event::Gone(candidate) => {
                let _ = (path.session).handle_input(now, session::Input::LocalGone(candidate));
            }
            reach::Event::Received {
                relayed,
                peer,
                bytes,
            } => {
                let input = session::Input::Receive {
                    source: peer,
                    destination: relayed,
                    bytes: &bytes,
                };
                let _ = path.session.handle_input(now, input);
            }
            reach::Event::Step(step) => {
                let is_trouble = matches!(
                    step,
                    Step::StunSilent(_) | Step::RelayFailed(..) | Step::NoRelay
                );
                let words = step.to_string();
                if matches!(step, Step::PeerRefused(_)) {
                    self.peer_refused = Some(words.clone());
                }
                let event = Event::Step { words, is_trouble };
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    /// One more address of ours: for our own checks, and for the other side if it was told others already.
    fn found(&mut self, now: Instant, generation: u32, candidate: LocalCandidate) {
        let Some(path) = self.path(generation) else {
            return;
        };
        let before = path.session.local_candidates().len();
        let _ = (path.session).handle_input(now, session::Input::LocalCandidate(candidate));
        let lines = path.session.local_candidates();
        let Some(ufrag) = path.own_ufrag.clone() else {
            return;
        };
        let new: Vec<_> = lines.into_iter().skip(before).collect();
        let new = new.into_iter().map(|line| told(line, &ufrag)).collect();
        self.machine
            .handle_input(now, MachineInput::LocalCandidates(new));
    }

    /// RTP time of a frame of sound in the call's own count: each session knows only its last 32 bits.
    pub(super) fn sound_time(&mut self, generation: u32, time: u64) -> u64 {
        let last = self.last_sound;
        let Some(path) = self.path(generation) else {
            return time;
        };
        let shift =
            *(path.shift).get_or_insert_with(|| last.map_or(0, |last| shift_after(last, time)));
        let time = time.wrapping_add(shift);
        self.last_sound = Some(last.map_or(time, |last| last.max(time)));
        time
    }
}

impl Path {
    fn remote_candidate(&mut self, now: Instant, candidate: &IceCandidate) {
        let input = session::Input::RemoteCandidate(&candidate.candidate);
        let _ = self.session.handle_input(now, input);
    }

    fn next(&mut self) -> Option<(u32, PathOutput)> {
        let output = match self.session.poll_output() {
            session::Output::Timeout(_) => match self.reach.poll_output() {
                reach::Output::Timeout(_) => return None,
                output => PathOutput::Reach(output),
            },
            output => PathOutput::Session(output),
        };
        Some((self.generation, output))
    }

    /// Through the relay whose address it leaves from, or from a socket of ours. From an address that is neither (any
    /// more) nothing leaves: the session may not know yet that it is gone.
    fn transmit(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: Vec<u8>,
    ) -> Option<Output> {
        if self.reach.is_relayed(source) {
            let input = reach::Input::Send {
                relayed: source,
                peer: destination,
                bytes: &bytes,
            };
            self.reach.handle_input(now, input);
            return None;
        }
        let is_told = (self.reach.candidates().iter())
            .any(|candidate| matches!(candidate, LocalCandidate::Host(own) if *own == source));
        is_told.then_some(Output::Transmit {
            source,
            destination,
            bytes,
        })
    }
}

/// A candidate as the other side is told it.
fn told(line: String, ufrag: &str) -> IceCandidate {
    IceCandidate {
        candidate: line,
        mid: Some(Track::Audio.mid().to_owned()),
        m_line_index: Some(0),
        username_fragment: Some(ufrag.to_owned()),
    }
}

fn outside(output: reach::Output) -> Option<Output> {
    Some(match output {
        reach::Output::Transmit {
            source,
            destination,
            bytes,
        } => Output::Transmit {
            source,
            destination,
            bytes,
        },
        reach::Output::Connect {
            stream,
            destination,
            tls,
        } => Output::Connect {
            stream,
            destination,
            tls,
        },
        reach::Output::Write(stream, bytes) => Output::Write(stream, bytes),
        reach::Output::Disconnect(stream) => Output::Disconnect(stream),
        reach::Output::Event(_) | reach::Output::Timeout(_) => return None,
    })
}

//! A member that only listens, inside the benchmark: it has what every member has, the call's key and the frames of the
//! others, sealed and opened, which is what must not be found elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hullo::net::{Net, NetEvent};
use hullo::profile::Profile;
use hullo_media::group_session::{
    Certificate, Event as SessionEvent, GroupSession, GroupSessionConfig, Input as SessionInput,
    Output as SessionOutput,
};
use hullo_proto::group::group_call::{Event, GroupCall, Input, Output};
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::key::{GroupCallKey, GroupCallKeyHash};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Device, ParticipantName, View};
use hullo_signalling::lobby::{Entry, Intent, LobbyCommand, LobbyEvent};
use hullo_tests::bench::program::now;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Frames kept of each person and track: of ten seconds.
const FRAMES_MAX: usize = 600;
/// Getting in takes a few requests on this machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events of the network thread that wait: getting in takes a dozen.
const EVENTS_MAX: usize = 1_024;
/// The loop looks around so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A frame as it came and as it was before it was sealed.
#[derive(Clone)]
pub(crate) struct Frame {
    /// From what.
    pub(crate) track: Track,
    /// As the server had it.
    pub(crate) sealed: Vec<u8>,
    /// As the sender's encoder gave it.
    pub(crate) opened: Vec<u8>,
}

/// By the name of the sender.
pub(crate) type Heard = BTreeMap<String, VecDeque<Frame>>;

/// The listening member. Dropping it leaves.
pub(crate) struct Witness {
    /// The call's key.
    pub(crate) key: [u8; 32],
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Witness {
    /// Joins the call of the first group of the profile in `folder`.
    ///
    /// # Errors
    /// It did not get in.
    pub(crate) fn join(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let profile = Profile::open(folder)?;
        let (sender, events) = sync_channel(EVENTS_MAX);
        let net = Net::start(&profile, move |event| {
            // What nobody waits for any more finds no room, and need not.
            let _ = sender.try_send(event);
        })?;
        let certificate = Certificate::generate()?;
        let group = net
            .groups()?
            .first()
            .ok_or("the witness is in no group")?
            .number;
        wait(&events, |event| match event {
            NetEvent::Lobby(LobbyEvent::Running { .. }) => Some(()),
            _ => None,
        })?;
        net.lobby(LobbyCommand::Enter {
            group,
            intent: Intent::OnlyJoin,
            fingerprint: certificate.fingerprint(),
        })?;
        let entry = wait(&events, |event| match event {
            NetEvent::Lobby(LobbyEvent::Connect(entry)) => Some(entry),
            _ => None,
        })?;
        let key = entry.config.key.as_bytes().to_owned();
        let (stop, heard) = (Arc::default(), Arc::default());
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&heard));
        let mut ears = Ears::open(*entry, certificate, told)?;
        let thread = thread::spawn(move || {
            // Profile and network are its own for as long as it listens.
            let _profile = profile;
            ears.listen(&stopped, &net);
        });
        Ok(Self {
            key,
            stop,
            heard,
            thread: Some(thread),
        })
    }

    /// The call's key, hashed: what frame keys are derived with.
    pub(crate) fn key_hash(&self) -> GroupCallKeyHash {
        GroupCallKey::from_bytes(self.key).hash()
    }

    /// The newest frames of everybody.
    pub(crate) fn heard(&self) -> Heard {
        (self.heard.lock().unwrap_or_else(PoisonError::into_inner)).clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there shows in what it heard.
            let _ = thread.join();
        }
    }
}

fn wait<T>(
    events: &Receiver<NetEvent>,
    wanted: impl Fn(NetEvent) -> Option<T>,
) -> Result<T, Box<dyn Error>> {
    let end = now() + PATIENCE;
    loop {
        let event = events.recv_timeout(end.saturating_duration_since(now()))?;
        if let NetEvent::Lobby(LobbyEvent::Failed { reason, .. }) = &event {
            return Err(reason.to_string().into());
        }
        if let Some(found) = wanted(event) {
            return Ok(found);
        }
    }
}

struct Ears {
    socket: UdpSocket,
    call: GroupCall,
    session: GroupSession,
    names: BTreeMap<ParticipantId, String>,
    /// Whose camera is to be asked for.
    views: VecDeque<ParticipantId>,
    heard: Arc<Mutex<Heard>>,
    has_joined: bool,
}

impl Ears {
    fn open(
        entry: Entry,
        certificate: Certificate,
        heard: Arc<Mutex<Heard>>,
    ) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let config = GroupSessionConfig {
            answer: entry.response,
            certificate,
            has_wanted_channel: entry.has_wanted_channel,
            start_bitrate_bps: 300_000,
            desired_bitrate_bps: 300_000,
        };
        let mut session = GroupSession::new(now(), &config)?;
        session.handle_input(now(), SessionInput::LocalCandidate(socket.local_addr()?));
        // Its keys protect nothing: it only listens, to what is made for this.
        let rng = ChaCha20Rng::seed_from_u64(u64::from(std::process::id()));
        let mut ears = Self {
            socket,
            call: GroupCall::new(now(), entry.config, rng)?,
            session,
            names: BTreeMap::new(),
            views: VecDeque::new(),
            heard,
            has_joined: false,
        };
        // It only listens.
        ears.call
            .handle_input(now(), Input::Capture(Device::Microphone, false));
        Ok(ears)
    }

    fn listen(&mut self, stop: &AtomicBool, net: &Net) {
        let mut buffer = [0; 2_000];
        let own = self.socket.local_addr();
        while !stop.load(Relaxed) {
            let due = self.drain(now());
            if let Ok((length, source)) = self.socket.recv_from(&mut buffer)
                && let Ok(destination) = own
            {
                let bytes = &buffer[..length];
                let input = SessionInput::Receive {
                    source,
                    destination,
                    bytes,
                };
                self.session.handle_input(now(), input);
            }
            if due.is_some_and(|at| at <= now()) {
                self.session.handle_input(now(), SessionInput::Timeout);
                self.call.handle_input(now(), Input::Timeout);
            }
            if std::mem::take(&mut self.has_joined) {
                // The network thread is gone only with the witness.
                let _ = net.lobby(LobbyCommand::HelloReceived);
            }
        }
        self.session.handle_input(now(), SessionInput::Close);
        self.drain(now());
    }

    fn drain(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let call_due = self.drain_call(now);
            if let Some(id) = self.views.pop_front() {
                let input = Input::ViewCamera(id, Some(View::default()));
                self.call.handle_input(now, input);
                continue;
            }
            match self.session.poll_output() {
                SessionOutput::Transmit {
                    destination, bytes, ..
                } => {
                    // Lost datagrams are what the protocol expects.
                    let _ = self.socket.send_to(&bytes, destination);
                }
                SessionOutput::Event(SessionEvent::Message(message)) => {
                    self.call.handle_input(now, Input::Received(&message));
                }
                SessionOutput::Event(SessionEvent::Frame {
                    participant,
                    track,
                    bytes,
                    ..
                }) => {
                    if let Ok(opened) = self.call.open(now, participant, track, &bytes) {
                        self.keep(participant, track, &bytes, opened);
                    }
                }
                SessionOutput::Event(_) => {}
                SessionOutput::Timeout(at) => return [at, call_due].into_iter().flatten().min(),
            }
        }
    }

    fn drain_call(&mut self, now: Instant) -> Option<Instant> {
        loop {
            match self.call.poll_output() {
                Output::Timeout(at) => return at,
                Output::Transmit(message) => {
                    self.session
                        .handle_input(now, SessionInput::Message(&message));
                }
                Output::Event(Event::Joined) => self.has_joined = true,
                Output::Event(Event::ParticipantJoined(id)) => {
                    self.session.handle_input(now, SessionInput::Expect(id));
                }
                Output::Event(Event::Authenticated(id, ParticipantName::Normal(_, name))) => {
                    self.names.insert(id, name.as_str().to_owned());
                    // At the source's size; subscribed once the camera is on. One change after the other.
                    self.views.push_back(id);
                }
                Output::Event(_) => {}
            }
        }
    }

    fn keep(&self, id: ParticipantId, track: Track, sealed: &[u8], opened: Vec<u8>) {
        let Some(name) = self.names.get(&id) else {
            return;
        };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let frames = heard.entry(name.clone()).or_default();
        if frames.len() == FRAMES_MAX {
            frames.pop_front();
        }
        frames.push_back(Frame {
            track,
            sealed: sealed.to_vec(),
            opened,
        });
    }
}

//! Two people, their codecs, and a seeded network between them, in one thread under a virtual clock.
//!
//! Everything but str0m's own randomness follows from the seed, so a failure prints it; str0m's cannot be seeded,
//! so tests judge what people would notice, not bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo::call::engine::{Engine, Event, Input, Output, Ways};
use hullo::call::side::SideState;
use hullo_media::codec::{VideoDecoder as _, h264, opus};
use hullo_media::frame::{BLOCK_SAMPLES, EncodedFrame};
use hullo_media::jitter::{
    AudioBuffer as _, AudioBufferStats, JitterBuffer, Pull, SoundClock, TARGET_START,
};
use hullo_media::pipeline::Packer;
use hullo_media::session::{SendBudget, SessionStats};
use hullo_media::sound_policy::SoundSettings;
use hullo_media::source::{AudioSource, CaptureTime, open_mic};
use hullo_proto::call::{CallId, CallMachine, CallState, Invitation, Media, Message};
use hullo_proto::frame::FrameKind;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

mod link;
mod lips;
mod picture;
mod post;

use link::{Datagram, Way};
pub use link::{Line, Link};
pub use lips::Lips;
use picture::Camera;
pub use picture::Seen;
use post::Post;

/// A step moves to the next deadline but never further, so that codecs run on time.
const STEP_MAX: Duration = Duration::from_millis(5);
/// The relay between the two takes this long for a message.
const RELAY_DELAY: Duration = Duration::from_millis(30);
const SOUND_INTERVAL: Duration = Duration::from_millis(20);

/// One end of the call.
pub struct Person {
    /// The call as this person's program runs it.
    pub engine: Engine,
    /// States passed through, in order.
    pub states: Vec<CallState>,
    /// What was said about making or repairing the connection.
    pub steps: Vec<String>,
    /// What the far side last said about itself.
    pub far: Option<SideState>,
    /// What this person sends and wants.
    pub own: SideState,
    /// Pictures decoded.
    pub pictures: u64,
    /// Clocks read from the far test card, with the virtual time at which they were shown.
    pub card_delays_ms: Vec<f64>,
    /// Blocks of sound played that were neither silence nor made up.
    pub blocks_played: u64,
    /// Blocks made up.
    pub blocks_concealed: u64,
    /// Energy of all sound played, sum of squares.
    pub energy: f64,
    /// When blocks were played that were neither silence nor made up, since the world began.
    pub heard_at: Vec<Duration>,
    /// The far side's pictures as they were shown.
    pub seen: Seen,
    /// What this person was told to send, since the world began.
    pub budgets: Vec<(Duration, SendBudget)>,
    /// The session's figures of each second.
    pub stats: Vec<(Duration, SessionStats)>,
    /// How far the far side's beeps and cards came apart.
    pub lips: Lips,
    /// How sound was sent, and since when.
    pub sound: Vec<(Duration, SoundSettings)>,
    /// What the loudspeaker last said.
    pub sound_clock: Option<SoundClock>,
    /// Delay of the sound that played, each 20 ms, milliseconds.
    pub sound_delays_ms: Vec<u64>,
    /// Sockets of this person, the newest last.
    addresses: Vec<SocketAddr>,
    /// No port is used twice.
    last_port: u16,
    inbox: VecDeque<(Instant, Message)>,
    microphone: Box<dyn AudioSource>,
    camera: Camera,
    next_picture: Instant,
    voice: opus::Encoder,
    packer: Packer,
    screen: h264::Decoder,
    buffer: JitterBuffer,
}

/// Changes messages on their way.
pub type Liar = Box<dyn FnMut(&mut Message)>;

/// Two people and what is between them.
pub struct World {
    /// The virtual now.
    pub now: Instant,
    /// Caller and callee.
    pub people: [Person; 2],
    /// Messages never arrive while true: the relay is down.
    pub relay_down: bool,
    /// Datagrams to these ports never arrive: a router has forgotten the way.
    pub dead_ports: Vec<u16>,
    /// What the message channel does to each message: a contact that lies.
    pub liar: Option<Liar>,
    /// What carries messages, if they are not simply there after a while.
    post: Option<Post>,
    seed: u64,
    start: Instant,
    ways: [Way; 2],
    next_sound: Instant,
}

impl World {
    /// A caller who has just called and a callee whose program has not heard of it yet.
    pub fn new(seed: u64, link: Link, media: Media) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary zero of the virtual clock"
        )]
        let now = Instant::now();
        Self::begin(seed, link, media, now, None)
    }

    fn begin(seed: u64, link: Link, media: Media, now: Instant, mut post: Option<Post>) -> Self {
        let rng = |salt: u64| ChaCha20Rng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(salt));
        let own = SideState {
            camera: media == Media::Video,
            ..SideState::default()
        };
        let [caller, callee] = [
            SocketAddr::from(([10, 0, 0, 1], 5_000)),
            SocketAddr::from(([10, 0, 0, 2], 5_000)),
        ];
        let machine = CallMachine::call(CallId([7; 16]), media, rng(1), now);
        let mut alice = Person::new(
            now,
            Engine::new(now, machine, vec![caller], own, Ways::all(rng(3))),
            caller,
            own,
        );
        let mut invitation = alice.invitation();
        let mut now = now;
        if let Some(post) = &mut post {
            (invitation, now) = post.deliver_invitation(invitation);
        }
        let machine =
            CallMachine::incoming(now, invitation, rng(2)).expect("the invitation is good");
        let bob = Person::new(
            now,
            Engine::new(now, machine, vec![callee], own, Ways::all(rng(4))),
            callee,
            own,
        );
        let mut world = Self {
            now,
            people: [alice, bob],
            relay_down: false,
            dead_ports: Vec::new(),
            liar: None,
            post,
            seed,
            start: now,
            ways: [
                Way::new(now, link, seed ^ 0xa),
                Way::new(now, link, seed ^ 0xb),
            ],
            next_sound: now,
        };
        world.drain(0);
        world.drain(1);
        world
    }

    /// Gives one person something to do.
    pub fn input(&mut self, person: usize, input: Input<'_>) {
        if let Input::Own(own) = &input {
            self.people[person].own = *own;
        }
        self.people[person].engine.handle_input(self.now, input);
        self.drain(person);
    }

    /// One person's machine gets another address in place of the one it had.
    pub fn move_to(&mut self, person: usize, ip: [u8; 4]) {
        let old = std::mem::replace(
            &mut self.people[person].addresses,
            vec![SocketAddr::from((ip, 5_000))],
        );
        let new = self.people[person].addresses[0];
        self.input(person, Input::Local(new));
        for address in old {
            self.input(person, Input::LocalGone(address.ip()));
        }
    }

    /// Both links change.
    pub fn set_link(&mut self, link: Link) {
        for person in 0..2 {
            self.set_link_of(person, link);
        }
    }

    /// The link that carries what one person sends changes.
    pub fn set_link_of(&mut self, person: usize, link: Link) {
        self.ways[person].set_link(link, self.seed ^ person as u64);
    }

    /// What the line of one person has carried.
    pub fn line(&self, person: usize) -> &Line {
        self.ways[person].line()
    }

    /// Time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// From now on this person's camera gives frames of exactly the rate that the encoder is told, `fps` a second: a
    /// model that asks for all it may have. Decoded at the other end by looking at its numbers.
    pub fn model_camera(&mut self, person: usize, fps: u32) {
        self.people[person].camera = Camera::model(fps);
        self.people[person].next_picture = self.now;
    }

    /// What the model of a camera sees costs at most this at the encoder's finest, bits per second.
    pub fn set_content(&mut self, person: usize, bps: u32) {
        self.people[person].camera.set_content(bps);
    }

    /// From now on this person's test card is taken `fps` times a second, at most `width` x `height` pixels.
    pub fn card_camera(&mut self, person: usize, fps: u32, size: (u32, u32)) {
        self.people[person].camera = Camera::card(fps, Some(size));
        self.people[person].next_picture = self.now;
    }

    /// Runs until `done` or the limit of virtual time. Panics at the limit with the seed.
    pub fn drive_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) {
        let end = self.now + limit;
        while !done(self) {
            let states = self.people.each_ref().map(|person| person.states.clone());
            assert!(
                self.now < end,
                "seed {}: no {what} within {limit:?}; states {states:?}",
                self.seed
            );
            self.step();
        }
    }

    /// Runs for this much virtual time.
    pub fn drive(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        let mut next = self.now + STEP_MAX;
        for index in 0..2 {
            let person = &mut self.people[index];
            if let Some(at) = person.deadline() {
                next = next.min(at);
            }
            if let Some((at, _)) = person.inbox.front() {
                next = next.min(*at);
            }
            if let Some(at) = self.post.as_ref().and_then(Post::next) {
                next = next.min(at);
            }
            next = next
                .min(self.ways[index].next(self.now + STEP_MAX))
                .min(person.next_picture);
        }
        self.now = next
            .min(self.next_sound)
            .max(self.now + Duration::from_micros(1));
        self.capture();
        self.deliver_post();
        for index in 0..2 {
            self.deliver(index);
            self.people[index]
                .engine
                .handle_input(self.now, Input::Timeout);
            self.drain(index);
        }
    }

    fn capture(&mut self) {
        let at = CaptureTime {
            elapsed: self.now - self.start,
            clock_us: u64::try_from((self.now - self.start).as_micros()).expect("short"),
        };
        let sound = self.now >= self.next_sound;
        for index in 0..2 {
            let mut frames = Vec::new();
            if sound {
                frames.extend(self.play(index, at));
            }
            let person = &mut self.people[index];
            if self.now >= person.next_picture {
                person.next_picture += person.camera.interval();
                if person.own.camera {
                    frames.extend(person.capture_picture(at, self.now));
                }
            }
            for frame in frames {
                self.people[index]
                    .engine
                    .handle_input(self.now, Input::Frame(frame));
                self.drain(index);
            }
        }
        if sound {
            self.next_sound += SOUND_INTERVAL;
        }
    }

    /// One person hears the next block, and says one.
    fn play(&mut self, index: usize, at: CaptureTime) -> Option<EncodedFrame> {
        let person = &mut self.people[index];
        person.play(self.now, at.elapsed);
        let clock = person.buffer.plays_at();
        person.sound_clock = clock;
        let input = Input::SoundPlays(clock);
        person.engine.handle_input(self.now, input);
        self.drain(index);
        self.people[index].capture_sound(at, self.now)
    }

    fn deliver(&mut self, to: usize) {
        while self.people[to]
            .inbox
            .front()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            let (_, message) = self.people[to].inbox.pop_front().expect("looked");
            self.people[to]
                .engine
                .handle_input(self.now, Input::Message(&message));
            self.drain(to);
        }
        // Link `i` carries what person `i` sent.
        let from = 1 - to;
        while let Some(datagram) = self.ways[from].arrive(self.now) {
            let Datagram {
                source,
                destination,
                bytes,
            } = &datagram;
            let input = Input::Datagram {
                source: *source,
                destination: *destination,
                bytes,
            };
            self.people[to].engine.handle_input(self.now, input);
            self.drain(to);
        }
    }

    fn drain(&mut self, index: usize) {
        loop {
            match self.people[index].engine.poll_output() {
                Output::Timeout(_) => return,
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => {
                    let is_known = |at: &SocketAddr| self.people[1 - index].addresses.contains(at);
                    // From an address that is gone nothing leaves.
                    let leaves = self.people[index].addresses.contains(&source);
                    let is_dead = self.dead_ports.contains(&destination.port());
                    if leaves && is_known(&destination) && !is_dead {
                        let datagram = Datagram {
                            source,
                            destination,
                            bytes,
                        };
                        self.ways[index].send(self.now, datagram);
                    }
                }
                Output::Bind(generation) => {
                    let mut address = self.people[index].addresses[0];
                    self.people[index].last_port += 1;
                    address.set_port(self.people[index].last_port);
                    self.people[index].addresses.push(address);
                    let input = Input::Bound(generation, vec![address]);
                    self.people[index].engine.handle_input(self.now, input);
                }
                Output::Release(unused) => {
                    self.people[index]
                        .addresses
                        .retain(|at| !unused.contains(at));
                }
                Output::Connect { .. } | Output::Write(..) | Output::Disconnect(_) => {
                    panic!("nobody has a server in this world")
                }
                Output::Send(mut message) => {
                    if let Some(liar) = &mut self.liar {
                        liar(&mut message);
                    }
                    if let Some(post) = &mut self.post {
                        post.send(self.now, index, &message);
                    } else if !self.relay_down {
                        self.people[1 - index]
                            .inbox
                            .push_back((self.now + RELAY_DELAY, message));
                    }
                }
                Output::Event(event) => {
                    let since = self.now - self.start;
                    let now = self.now;
                    let again = self.people[index].event(event, now, since);
                    if again {
                        self.people[index]
                            .engine
                            .handle_input(now, Input::WantKeyframe);
                    }
                }
            }
        }
    }
}

impl Person {
    fn new(now: Instant, engine: Engine, address: SocketAddr, own: SideState) -> Self {
        let microphone = open_mic(&"test".parse().expect("spec"))
            .expect("opens")
            .expect("is one");
        Self {
            engine,
            states: Vec::new(),
            steps: Vec::new(),
            far: None,
            own,
            pictures: 0,
            card_delays_ms: Vec::new(),
            blocks_played: 0,
            blocks_concealed: 0,
            energy: 0.0,
            heard_at: Vec::new(),
            seen: Seen::default(),
            budgets: Vec::new(),
            stats: Vec::new(),
            lips: Lips::default(),
            sound: Vec::new(),
            sound_clock: None,
            sound_delays_ms: Vec::new(),
            addresses: vec![address],
            last_port: address.port(),
            inbox: VecDeque::new(),
            microphone,
            camera: Camera::card(30, None),
            next_picture: now,
            voice: opus::Encoder::new().expect("opus"),
            packer: Packer::default(),
            screen: h264::Decoder::new().expect("h264"),
            buffer: JitterBuffer::new(Box::new(opus::Decoder::new().expect("opus")), TARGET_START),
        }
    }

    /// Whether the call is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.states.last(), Some(CallState::Ended(_)))
    }

    /// Whether sound and pictures have come.
    pub fn is_served(&self) -> bool {
        self.pictures > 0 && self.blocks_played > 0
    }

    /// What the jitter buffer saw and did.
    pub fn sound_stats(&self) -> AudioBufferStats {
        self.buffer.stats()
    }

    fn invitation(&mut self) -> Invitation {
        loop {
            match self.engine.poll_output() {
                Output::Send(Message::Invitation(invitation)) => return invitation,
                Output::Timeout(_) => panic!("a call begins with an invitation"),
                _ => {}
            }
        }
    }

    fn deadline(&mut self) -> Option<Instant> {
        match self.engine.poll_output() {
            Output::Timeout(at) => at,
            output => panic!("undrained: {output:?}"),
        }
    }

    fn capture_sound(&mut self, at: CaptureTime, now: Instant) -> Option<EncodedFrame> {
        let mut block = [0.0; BLOCK_SAMPLES];
        // A block is complete when its last sample was heard.
        let began = CaptureTime {
            elapsed: at.elapsed.saturating_sub(SOUND_INTERVAL),
            clock_us: at.clock_us.saturating_sub(20_000),
        };
        self.microphone
            .read(began, &mut block)
            .expect("the test microphone always works");
        let (samples, captured_at) = self.packer.block(&block, now - SOUND_INTERVAL)?;
        let data = (self.voice.encode_samples(&samples)).expect("opus encodes any block");
        (!self.own.muted).then_some(EncodedFrame {
            kind: FrameKind::Audio,
            data,
            captured_at,
        })
    }

    fn capture_picture(&mut self, at: CaptureTime, now: Instant) -> Option<EncodedFrame> {
        self.camera.capture(at, now)
    }

    fn play(&mut self, now: Instant, since_start: Duration) {
        let block = match self.buffer.pull(now) {
            Pull::Play(block) => {
                self.blocks_played += 1;
                self.heard_at.push(since_start);
                block
            }
            Pull::Concealed(block) => {
                self.blocks_concealed += 1;
                block
            }
            Pull::Silence => return,
        };
        self.sound_delays_ms.push(self.buffer.stats().delay_ms);
        self.lips.block(since_start, &block);
        self.energy += block
            .iter()
            .map(|sample| f64::from(sample * sample))
            .sum::<f64>();
    }

    /// Takes one event; true when the decoder needs a key frame.
    fn event(&mut self, event: Event, now: Instant, since_start: Duration) -> bool {
        match event {
            Event::State(state) => self.states.push(state),
            Event::Audio(frame) => self.buffer.push(now, frame),
            Event::Video(frame) => {
                self.seen.frame(now, &frame);
                if picture::is_model(&frame.data) {
                    self.pictures += 1;
                    self.seen.shown(now);
                    return false;
                }
                match self.screen.decode(&frame.data) {
                    Ok(Some(picture)) => {
                        self.pictures += 1;
                        self.seen.shown(now);
                        if let Some(ticks) = hullo_media::source::card::read_time_code(&picture) {
                            let delay_ms =
                                since_start.as_secs_f64() * 1_000.0 - f64::from(ticks) / 10.0;
                            self.card_delays_ms.push(delay_ms);
                            self.lips.picture(since_start, delay_ms);
                        }
                    }
                    Ok(None) => {}
                    Err(_) => return true,
                }
            }
            Event::KeyframeWanted => self.camera.request_keyframe(),
            Event::Budget(budget) => {
                self.camera.set_bitrate(budget.pictures_bps);
                self.budgets.push((since_start, budget));
            }
            Event::PicturesWait(waits) => self.camera.set_waits(waits),
            Event::Far(far) => self.far = Some(far),
            Event::Sound(settings) => {
                self.voice.apply(&settings);
                self.packer.set_blocks(settings.blocks);
                self.sound.push((since_start, settings));
            }
            Event::SoundWait(wait) => self.buffer.set_wait(wait),
            Event::Step { words, .. } => self.steps.push(words),
            Event::Stats(stats, _) => self.stats.push((since_start, *stats)),
            Event::Interrupted | Event::Resumed | Event::FirstSent(_) => {}
        }
        false
    }
}

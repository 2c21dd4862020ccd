//! A forwarder and real WebRTC clients in virtual time, with a seeded network between them.

use super::*;
use hullo_proto::service::sfu::{
    ENDING, FromSfu, LayersWanted, MESSAGE_CHANNEL_ID, MESSAGE_CHANNEL_LABEL, Mids, Subscription,
    ToSfu, View, WANTED_CHANNEL_ID, WANTED_CHANNEL_LABEL,
};
use rand::Rng;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::Fingerprint;
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, MediaTime, Mid, Rid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event as RtcEvent, Input as RtcInput, Output as RtcOutput, Rtc};
use str0m_netem::{Netem, NetemConfig};

pub(super) const CALL: [u8; 32] = [7; 32];
const STEP: Duration = Duration::from_millis(1);

/// One datagram on its way.
#[derive(Clone)]
pub(super) struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl str0m_netem::WithLen for Flight {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// What a client publishes each frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Publishing {
    pub(super) voice: bool,
    pub(super) layers: [bool; 3],
    /// Bytes of a frame of h; m and l have a third and a tenth.
    pub(super) frame_bytes: usize,
}

/// A client as the group-call protocol has them.
pub(super) struct Client {
    pub(super) rtc: Rtc,
    pub(super) id: ParticipantId,
    pub(super) address: SocketAddr,
    messages: ChannelId,
    wanted: ChannelId,
    pub(super) heard: Vec<FromSfu>,
    pub(super) layers_wanted: Vec<LayersWanted>,
    /// The SFU said that it ends.
    pub(super) is_warned: bool,
    /// Frames that came, by mid.
    pub(super) frames: Vec<(String, Vec<u8>)>,
    /// Frames that were sent, by mid and layer.
    pub(super) sent: Vec<(String, usize, Vec<u8>)>,
    pub(super) key_frames_asked: [usize; 3],
    pub(super) publishing: Publishing,
    needs_key_frame: [bool; 3],
    pub(super) is_over: bool,
    /// Neither sends nor receives: its process was killed.
    pub(super) is_dead: bool,
    up: Netem<Flight>,
    down: Netem<Flight>,
    next_voice: Instant,
    next_frame: Instant,
    timeout: Instant,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) forwarder: Forwarder,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clients: Vec<Client>,
    client_stack: Stack,
    /// Lengths of runs of datagrams of one size to one destination.
    pub(super) runs: Vec<usize>,
    rng: ChaCha20Rng,
}

pub(super) fn sfu_address() -> SocketAddr {
    "192.0.2.1:4000".parse().expect("an address")
}

pub(super) fn world() -> World {
    let (now, metrics) = (Instant::now(), Arc::new(Metrics::default()));
    let settings = Settings {
        addresses: vec![sfu_address()],
        participants_max: 8,
        calls_max: 4,
        participants_total_max: 16,
    };
    let stack = Arc::new(Stack::new().expect("a certificate"));
    let clock = Clock::new(now, Duration::from_secs(1_700_000_000));
    let rng = ChaCha20Rng::seed_from_u64(1);
    let forwarder = Forwarder::new(now, settings, stack, clock, Arc::clone(&metrics), rng);
    World {
        now,
        forwarder,
        metrics,
        clients: Vec::new(),
        client_stack: Stack::new().expect("a certificate"),
        runs: Vec::new(),
        rng: ChaCha20Rng::seed_from_u64(2),
    }
}

impl World {
    pub(super) fn reserve(&mut self) -> Result<JoinResponse, JoinError> {
        let join = Join {
            call_id: CallId::from_bytes(CALL),
            dtls_fingerprint: self.client_stack.fingerprint(),
            has_wanted_channel: true,
            permit: Permit::free(),
        };
        self.forwarder.join(self.now, join)
    }

    /// A client that begins to connect; its index.
    pub(super) fn join(&mut self) -> usize {
        let response = self.reserve().expect("room");
        let fingerprint = response.dtls_fingerprint;
        self.connect(response, fingerprint)
    }

    pub(super) fn connect(&mut self, join: JoinResponse, sfu_fingerprint: [u8; 32]) -> usize {
        let index = self.clients.len();
        let address = SocketAddr::from(([198, 51, 100, 1 + index as u8], 5_000));
        let client = Client::new(
            self.now,
            &self.client_stack,
            join,
            address,
            sfu_fingerprint,
            index as u64,
        );
        self.clients.push(client);
        index
    }

    /// Clients that are connected.
    pub(super) fn join_all(&mut self, count: usize) -> Vec<usize> {
        let joined: Vec<_> = (0..count).map(|_| self.join()).collect();
        self.run(1_000);
        for &index in &joined {
            assert!(
                matches!(self.clients[index].heard.first(), Some(FromSfu::Hello(_))),
                "client {index} is not connected"
            );
        }
        joined
    }

    pub(super) fn say(&mut self, client: usize, message: &ToSfu) {
        let bytes = message.encode(&mut self.rng);
        self.say_bytes(client, &bytes);
    }

    pub(super) fn say_bytes(&mut self, client: usize, bytes: &[u8]) {
        let client = &mut self.clients[client];
        let accepted = client
            .rtc
            .channel(client.messages)
            .expect("connected")
            .write(true, bytes);
        assert!(accepted.expect("connected"));
        client.timeout = self.now;
    }

    /// `viewer` subscribes, and prepares its own side as the protocol says.
    pub(super) fn subscribe(
        &mut self,
        viewer: usize,
        publisher: usize,
        subscription: Subscription,
    ) {
        let publisher = self.clients[publisher].id;
        self.clients[viewer].expect(publisher);
        self.say(viewer, &ToSfu::Subscribe(publisher, subscription));
    }

    pub(super) fn watch(&mut self, viewer: usize, publisher: usize, width: u32, height: u32) {
        self.subscribe(
            viewer,
            publisher,
            Subscription::Camera(Some(View {
                width,
                height,
                fps: 30,
            })),
        );
    }

    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += STEP;
            self.step();
        }
    }

    /// A datagram from outside the clients' own stacks.
    pub(super) fn inject(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.forwarder
            .handle_input(self.now, Input::Datagram { source, bytes });
        self.deliver_from_sfu();
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.forwarder.handle_input(self.now, input);
        self.deliver_from_sfu();
    }

    fn step(&mut self) {
        let now = self.now;
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if !client.is_dead {
                client.publish(now, &mut self.rng);
                client.step(now);
            }
            for flight in drain(&mut self.clients[index].up, now) {
                assert_eq!(flight.to, sfu_address());
                self.forwarder.handle_input(
                    now,
                    Input::Datagram {
                        source: flight.from,
                        bytes: &flight.bytes,
                    },
                );
            }
        }
        self.forwarder.handle_input(now, Input::Timeout);
        self.deliver_from_sfu();
        for client in self.clients.iter_mut().filter(|client| !client.is_dead) {
            for flight in drain(&mut client.down, now) {
                if flight.to == client.address {
                    client.receive(now, &flight.bytes);
                }
            }
        }
    }

    fn deliver_from_sfu(&mut self) {
        let mut last = None;
        while let Output::Transmit {
            destination,
            contents,
        } = self.forwarder.poll_output()
        {
            let (size, last) = (contents.as_ref().len(), &mut last);
            if *last == Some((destination, size)) {
                *self.runs.last_mut().expect("one began") += 1;
            } else {
                *last = Some((destination, size));
                self.runs.push(1);
            }
            let flight = Flight {
                from: sfu_address(),
                to: destination,
                bytes: contents.as_ref().to_vec(),
            };
            if let Some(client) = self
                .clients
                .iter_mut()
                .find(|client| client.address == destination)
            {
                client
                    .down
                    .handle_input(str0m_netem::Input::Packet(self.now, flight));
            }
        }
    }

    /// Shapes both directions of a client's line.
    pub(super) fn shape(&mut self, client: usize, up: NetemConfig, down: NetemConfig) {
        self.clients[client].up.set_config(up);
        self.clients[client].down.set_config(down);
    }
}

fn drain(netem: &mut Netem<Flight>, now: Instant) -> Vec<Flight> {
    netem.handle_input(str0m_netem::Input::Timeout(now));
    let mut flights = Vec::new();
    while let Some(output) = netem.poll_output() {
        if let str0m_netem::Output::Packet(flight) = output {
            flights.push(flight);
        }
    }
    flights
}

pub(super) fn line() -> NetemConfig {
    NetemConfig::new().latency(Duration::from_millis(10))
}

impl Client {
    fn new(
        now: Instant,
        stack: &Stack,
        join: JoinResponse,
        address: SocketAddr,
        sfu_fingerprint: [u8; 32],
        seed: u64,
    ) -> Self {
        let config = stack
            .config()
            .set_ice_lite(false)
            .enable_bwe(None)
            .set_rtp_mode(false)
            .set_reordering_size_audio(0);
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("valid"));
        for &sfu in &join.addresses {
            rtc.add_remote_candidate(Candidate::host(sfu, "udp").expect("valid"));
        }
        let id = join.participant_id;
        let mut api = rtc.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_ice_credentials(IceCreds {
            ufrag: join.ice_username_fragment.clone(),
            pass: join.ice_password.clone(),
        });
        api.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: sfu_fingerprint.to_vec(),
        });
        let mids = Mids::of(id);
        let microphone = Mid::from(mids.microphone().as_str());
        let camera = Mid::from(mids.camera().as_str());
        api.declare_media(microphone, MediaKind::Audio);
        api.declare_stream_tx(1_000.into(), None, microphone, None);
        api.declare_media(camera, MediaKind::Video);
        for (layer, rid) in ["l", "m", "h"].into_iter().enumerate() {
            let ssrc = 2_000 + 10 * layer as u32;
            api.declare_stream_tx(
                ssrc.into(),
                Some((ssrc + 1).into()),
                camera,
                Some(Rid::from(rid)),
            );
        }
        let channel = |label: &str, id| ChannelConfig {
            label: label.to_owned(),
            negotiated: Some(id),
            ..ChannelConfig::default()
        };
        let messages = api.create_data_channel(channel(MESSAGE_CHANNEL_LABEL, MESSAGE_CHANNEL_ID));
        let wanted = api.create_data_channel(channel(WANTED_CHANNEL_LABEL, WANTED_CHANNEL_ID));
        api.enable_twcc_feedback();
        api.start_dtls(true).expect("first start");
        api.start_sctp(true);
        Self {
            rtc,
            id,
            address,
            messages,
            wanted,
            heard: Vec::new(),
            layers_wanted: Vec::new(),
            is_warned: false,
            frames: Vec::new(),
            sent: Vec::new(),
            key_frames_asked: [0; 3],
            publishing: Publishing::default(),
            needs_key_frame: [true; 3],
            is_over: false,
            is_dead: false,
            up: Netem::new(line().seed(seed)),
            down: Netem::new(line().seed(seed + 100)),
            next_voice: now,
            next_frame: now,
            timeout: now,
        }
    }

    /// Prepares to receive from `publisher`.
    fn expect(&mut self, publisher: ParticipantId) {
        let mids = Mids::of(publisher);
        for (mid, kind) in [
            (mids.microphone(), MediaKind::Audio),
            (mids.camera(), MediaKind::Video),
            (mids.screen(), MediaKind::Video),
        ] {
            let mid = Mid::from(mid.as_str());
            if self.rtc.media(mid).is_none() {
                self.rtc.direct_api().declare_media(mid, kind);
            }
        }
    }

    /// Asks for another username fragment of its own, as an ICE restart does.
    pub(super) fn restart_ice(&mut self, address: SocketAddr) {
        self.address = address;
        self.rtc
            .add_local_candidate(Candidate::host(address, "udp").expect("valid"));
        let fragment = "another1".to_owned();
        self.rtc.direct_api().set_local_ice_credentials(IceCreds {
            ufrag: fragment,
            pass: "another2".repeat(4),
        });
    }

    pub(super) fn close(&mut self) {
        self.rtc.close().expect("alive");
        self.timeout = Instant::now();
    }

    fn publish(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        let connected = !self.heard.is_empty() && !self.is_over;
        if connected && self.publishing.voice && now >= self.next_voice {
            self.next_voice = now + Duration::from_millis(20);
            let mid = Mids::of(self.id).microphone().as_str().to_owned();
            let mut frame = vec![0; 80];
            rng.fill_bytes(&mut frame);
            self.write(now, &mid, None, frame);
        }
        if connected && self.publishing.layers.contains(&true) && now >= self.next_frame {
            self.next_frame = now + Duration::from_millis(33);
            let layers = self.publishing.layers;
            for layer in (0..3).filter(|&layer| layers[layer]) {
                let mid = Mids::of(self.id).camera().as_str().to_owned();
                let bytes = self.publishing.frame_bytes / [10, 3, 1][layer];
                let frame = picture(
                    rng,
                    bytes.max(30),
                    self.needs_key_frame[layer],
                    (160 << layer, 90 << layer),
                );
                self.needs_key_frame[layer] = false;
                self.write(now, &mid, Some(layer), frame);
            }
        }
    }

    fn write(&mut self, now: Instant, mid: &str, layer: Option<usize>, frame: Vec<u8>) {
        let (pt, time) = match layer {
            None => (
                111,
                MediaTime::new(
                    self.sent.len() as u64 * 960,
                    str0m::media::Frequency::FORTY_EIGHT_KHZ,
                ),
            ),
            Some(_) => (
                96,
                MediaTime::from_90khz(
                    (now - self
                        .next_frame
                        .checked_sub(Duration::from_secs(500))
                        .expect("uptime"))
                    .as_millis() as u64
                        * 90,
                ),
            ),
        };
        let mut writer = self.rtc.writer(Mid::from(mid)).expect("declared");
        if let Some(layer) = layer {
            writer = writer.rid(Rid::from(["l", "m", "h"][layer]));
        }
        writer
            .write(pt.into(), now, time, frame.clone())
            .expect("declared");
        self.sent.push((mid.to_owned(), layer.unwrap_or(2), frame));
        self.timeout = now;
        self.drain(now);
    }

    fn step(&mut self, now: Instant) {
        // A packet for each deadline, and several may be due at once.
        for _ in 0..100 {
            if now < self.timeout {
                return;
            }
            self.rtc
                .handle_input(RtcInput::Timeout(now))
                .expect("time passes");
            self.drain(now);
        }
    }

    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(receive) = Receive::new(Protocol::Udp, sfu_address(), self.address, bytes) else {
            return;
        };
        // A refused packet is the SFU's fault in these tests only where the certificate is meant to be wrong.
        let _refused = self.rtc.handle_input(RtcInput::Receive(now, receive));
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(RtcOutput::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(RtcOutput::Transmit(transmit)) => {
                    // The newest address is the one this client has.
                    let flight = Flight {
                        from: self.address,
                        to: transmit.destination,
                        bytes: transmit.contents.to_vec(),
                    };
                    self.up
                        .handle_input(str0m_netem::Input::Packet(now, flight));
                }
                Ok(RtcOutput::Event(event)) => self.event(event),
                Err(_) => {
                    self.is_over = true;
                    self.timeout = now + Duration::from_secs(86_400);
                    return;
                }
            }
        }
    }

    fn event(&mut self, event: RtcEvent) {
        match event {
            RtcEvent::ChannelData(data) if data.id == self.messages => {
                self.heard
                    .push(FromSfu::decode(&data.data).expect("the SFU's"));
            }
            RtcEvent::ChannelData(data) if data.id == self.wanted && data.data == ENDING => {
                self.is_warned = true;
            }
            RtcEvent::ChannelData(data) if data.id == self.wanted => {
                self.layers_wanted
                    .push(LayersWanted::decode(&data.data).expect("the SFU's"));
            }
            RtcEvent::MediaData(data) => {
                self.frames.push((data.mid.to_string(), data.data.to_vec()))
            }
            RtcEvent::KeyframeRequest(request) => {
                let layer = ["l", "m", "h"]
                    .iter()
                    .position(|rid| request.rid.is_some_and(|asked| **rid == *asked));
                let layer = layer.expect("a layer of ours");
                self.key_frames_asked[layer] += 1;
                self.needs_key_frame[layer] = true;
            }
            RtcEvent::Closed => self.is_over = true,
            _ => {}
        }
    }

    /// Frames of `publisher`'s camera that came.
    pub(super) fn pictures_of(&self, publisher: ParticipantId) -> Vec<Vec<u8>> {
        let mid = Mids::of(publisher).camera().as_str().to_owned();
        self.frames
            .iter()
            .filter(|(of, _)| *of == mid)
            .map(|(_, frame)| frame.clone())
            .collect()
    }

    /// Packets of `publisher`'s microphone that came.
    pub(super) fn sound_of(&self, publisher: ParticipantId) -> Vec<Vec<u8>> {
        let mid = Mids::of(publisher).microphone().as_str().to_owned();
        self.frames
            .iter()
            .filter(|(of, _)| *of == mid)
            .map(|(_, frame)| frame.clone())
            .collect()
    }

    /// Which layer of this client `frame` is.
    pub(super) fn layer_of(&self, frame: &[u8]) -> Option<usize> {
        self.sent
            .iter()
            .find(|(_, _, sent)| sent == frame)
            .map(|(_, layer, _)| *layer)
    }
}

/// What a sealed VP8 frame looks like: the clear beginning, and noise.
fn picture(rng: &mut ChaCha20Rng, len: usize, is_key_frame: bool, size: (u16, u16)) -> Vec<u8> {
    let mut frame = vec![0; if is_key_frame { len * 2 } else { len }];
    rng.fill_bytes(&mut frame);
    if is_key_frame {
        frame[0] &= 0xfe;
        frame[3..6].copy_from_slice(&[0x9d, 0x01, 0x2a]);
        frame[6..8].copy_from_slice(&size.0.to_le_bytes());
        frame[8..10].copy_from_slice(&size.1.to_le_bytes());
    } else {
        frame[0] |= 1;
    }
    frame
}

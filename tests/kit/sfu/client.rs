//! A client for load and for watching: one thread, one socket, packets in RTP mode, no codec.
#![allow(clippy::disallowed_methods, reason = "it runs in real time")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use hullo_proto::service::sfu::{
    CallId, JoinRequest, JoinResponse, MESSAGE_CHANNEL_ID, MESSAGE_CHANNEL_LABEL, Mids,
    ParticipantId, Subscription, ToSfu, View,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{DtlsCert, Fingerprint};
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// Why a client did not come in, or ended.
pub type Failure = Box<dyn std::error::Error>;

const PACKETS_PER_FRAME: usize = 16;
const PAYLOAD_BYTES: usize = 1_200 - 60;
/// Where the time stands in a payload: behind the descriptor and the clear beginning of a frame.
const TIME_AT: usize = 16;

/// What a client is for.
#[derive(Clone, Copy)]
pub enum Role {
    /// Sends sound and pictures.
    Publisher,
    /// Sends sound only.
    Speaker,
    /// Takes sound and pictures of this participant.
    Viewer(ParticipantId),
    /// Only says what it is told to.
    Silent,
}

/// The certificate of one client, made before it joins: its fingerprint is part of the request.
pub struct Certificate {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    /// SHA-256 of it.
    pub fingerprint: [u8; 32],
}

impl Certificate {
    /// A fresh one.
    ///
    /// # Errors
    /// The cryptography library makes none.
    pub fn new() -> Result<Self, Failure> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or("no certificate")?;
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Ok(Self {
            provider,
            certificate,
            fingerprint,
        })
    }
}

/// A client in its own thread; ends when dropped.
pub struct Client {
    id: ParticipantId,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    say: mpsc::Sender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    measures_delays: AtomicBool,
    delays_us: Mutex<Vec<u64>>,
    sound_packets: AtomicU64,
    messages: Mutex<Vec<Vec<u8>>>,
    is_over: AtomicBool,
}

impl Client {
    /// Connects with what a Join was answered, and goes on until dropped.
    ///
    /// # Errors
    /// It is not connected within `time_max`.
    pub fn start(
        certificate: Certificate,
        response: JoinResponse,
        role: Role,
        time_max: Duration,
    ) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let config = config(certificate);
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::<Shared>::default());
        let id = response.participant_id;
        let (connected, waiting) = mpsc::sync_channel(1);
        let (say, said) = mpsc::channel();
        let (halt, measured) = (Arc::clone(&stop), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("client".to_owned())
            .spawn(move || {
                let result = Session::new(config, response, socket, role, Arc::clone(&measured))
                    .and_then(|mut session| session.run(&halt, &connected, &said));
                measured.is_over.store(true, Ordering::Relaxed);
                if let Err(failure) = result {
                    let _closed = writeln!(std::io::stderr(), "a client ended: {failure}");
                }
            })?;
        let client = Self {
            id,
            address,
            stop,
            shared,
            say,
            thread: Some(thread),
        };
        waiting
            .recv_timeout(time_max)
            .map_err(|_| format!("a client did not connect within {time_max:?}"))?;
        Ok(client)
    }

    /// Given by the SFU.
    pub fn id(&self) -> ParticipantId {
        self.id
    }

    /// Where its datagrams come from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays are noted from now on.
    pub fn begin_delays(&self) {
        self.shared.measures_delays.store(true, Ordering::Relaxed);
    }

    /// From the publisher's write to this client's read, in microseconds.
    pub fn delays_us(&self) -> Vec<u64> {
        lock(&self.shared.delays_us).clone()
    }

    /// Packets of sound that have come.
    pub fn sound_packets(&self) -> u64 {
        self.shared.sound_packets.load(Ordering::Relaxed)
    }

    /// What the SFU said and passed on, in order.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.messages).clone()
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Relaxed)
    }

    /// Says these bytes on the protocol's channel, whatever they are.
    pub fn say(&self, bytes: Vec<u8>) {
        // A client that is over says nothing.
        let _over = self.say.send(bytes);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(certificate: Certificate) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_crypto_provider(certificate.provider)
        .set_dtls_cert(certificate.certificate)
        .set_rtp_mode(true)
        .clear_codecs()
        .clear_extension_map();
    for (id, extension) in [
        (1, Extension::RtpMid),
        (2, Extension::RtpStreamId),
        (3, Extension::RepairedRtpStreamId),
        (4, Extension::AbsoluteSendTime),
        (5, Extension::TransportSequenceNumber),
    ] {
        config = config.set_extension(id, extension);
    }
    let codecs = config.codec_config();
    codecs.add_config(
        111.into(),
        None,
        Codec::Opus,
        Frequency::FORTY_EIGHT_KHZ,
        Some(2),
        FormatParams::default(),
    );
    codecs.add_config(
        96.into(),
        Some(97.into()),
        Codec::Vp8,
        Frequency::NINETY_KHZ,
        None,
        FormatParams::default(),
    );
    config
}

/// Joins `call_id` at an SFU that is served without TLS.
///
/// # Errors
/// It is not there, or refuses.
pub fn join(
    http: SocketAddr,
    call_id: CallId,
    token: &str,
    fingerprint: [u8; 32],
) -> Result<JoinResponse, Failure> {
    let body = JoinRequest {
        call_id,
        protocol_version: 1,
        dtls_fingerprint: fingerprint,
    }
    .encode();
    let mut stream = TcpStream::connect(http)?;
    write!(
        stream,
        "POST /v1/join/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ThreemaSfuToken {token}\r\nContent-Length: {}\r\n\r\n",
        call_id.to_hex(),
        body.len()
    )?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or("no HTTP answer")?;
    Ok(JoinResponse::decode(&answer[head + 4..])?)
}

struct Session {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    messages: ChannelId,
    role: Role,
    shared: Arc<Shared>,
    is_connected: bool,
    frame: u64,
    voice: u64,
}

impl Session {
    fn new(
        config: RtcConfig,
        join: JoinResponse,
        socket: UdpSocket,
        role: Role,
        shared: Arc<Shared>,
    ) -> Result<Self, Failure> {
        let local = socket.local_addr()?;
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        rtc.add_remote_candidate(Candidate::host(join.addresses[0], "udp")?);
        let mut api = rtc.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_ice_credentials(IceCreds {
            ufrag: join.ice_username_fragment,
            pass: join.ice_password,
        });
        api.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: join.dtls_fingerprint.to_vec(),
        });
        let media_of = if let Role::Viewer(publisher) = role {
            publisher
        } else {
            join.participant_id
        };
        let mids = Mids::of(media_of);
        let (microphone, camera) = (
            Mid::from(mids.microphone().as_str()),
            Mid::from(mids.camera().as_str()),
        );
        api.declare_media(microphone, MediaKind::Audio);
        api.declare_media(camera, MediaKind::Video);
        if matches!(role, Role::Publisher | Role::Speaker) {
            api.declare_stream_tx(1_000.into(), None, microphone, None);
            api.declare_stream_tx(2_000.into(), Some(2_001.into()), camera, None);
        }
        let channel = ChannelConfig {
            label: MESSAGE_CHANNEL_LABEL.to_owned(),
            negotiated: Some(MESSAGE_CHANNEL_ID),
            ..ChannelConfig::default()
        };
        let messages = api.create_data_channel(channel);
        api.enable_twcc_feedback();
        api.start_dtls(true)?;
        api.start_sctp(true);
        Ok(Self {
            rtc,
            socket,
            local,
            messages,
            role,
            shared,
            is_connected: false,
            frame: 0,
            voice: 0,
        })
    }

    fn run(
        &mut self,
        stop: &AtomicBool,
        connected: &mpsc::SyncSender<()>,
        said: &mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; 2_000];
        let mut begun = Instant::now();
        let mut announced = false;
        while !stop.load(Ordering::Relaxed) {
            let mut deadline = self.drain()?;
            if self.is_connected && !announced {
                announced = true;
                begun = Instant::now();
                connected.send(())?;
                self.subscribe()?;
                continue;
            }
            if announced {
                for bytes in said.try_iter() {
                    self.say(&bytes)?;
                }
                deadline = deadline.min(self.drain()?);
            }
            if announced && matches!(self.role, Role::Publisher | Role::Speaker) {
                let next = self.publish(begun)?;
                deadline = deadline.min(next);
            }
            let wait = deadline
                .saturating_duration_since(Instant::now())
                .clamp(Duration::from_micros(100), Duration::from_millis(50));
            self.socket.set_read_timeout(Some(wait))?;
            match self.socket.recv_from(&mut buffer) {
                Ok((len, source)) => {
                    if let Ok(receive) =
                        Receive::new(Protocol::Udp, source, self.local, &buffer[..len])
                    {
                        self.rtc
                            .handle_input(Input::Receive(Instant::now(), receive))?;
                    }
                }
                Err(_) => self.rtc.handle_input(Input::Timeout(Instant::now()))?,
            }
        }
        self.leave();
        Ok(())
    }

    /// Says goodbye, so that the others know at once.
    fn leave(&mut self) {
        if self.rtc.close().is_ok() {
            let _over = self.rtc.handle_input(Input::Timeout(Instant::now()));
            let _over = self.drain();
        }
    }

    fn subscribe(&mut self) -> Result<(), Failure> {
        let Role::Viewer(publisher) = self.role else {
            return Ok(());
        };
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for subscription in [
            Subscription::Microphone(true),
            Subscription::Camera(Some(View::default())),
        ] {
            self.say(&ToSfu::Subscribe(publisher, subscription).encode(&mut rng))?;
        }
        Ok(())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let channel = self.rtc.channel(self.messages);
        let _written = channel.ok_or("the channel is closed")?.write(true, bytes)?;
        Ok(())
    }

    /// Sends what is due; when more is.
    fn publish(&mut self, begun: Instant) -> Result<Instant, Failure> {
        let now = Instant::now();
        let next_frame = begun + Duration::from_micros(33_333) * u32::try_from(self.frame)?;
        let next_voice = begun + Duration::from_millis(20) * u32::try_from(self.voice)?;
        if now >= next_voice {
            let write = RtpWrite::new(
                Pt::from(111),
                self.voice.into(),
                (self.voice * 960) as u32,
                now,
                vec![7; 80],
            );
            self.rtc
                .direct_api()
                .stream_tx(&1_000.into())
                .ok_or("declared")?
                .write_rtp(write);
            self.voice += 1;
        }
        if matches!(self.role, Role::Speaker) {
            self.rtc.handle_input(Input::Timeout(now))?;
            return Ok(self.drain()?.min(next_voice.max(now)));
        }
        if now >= next_frame {
            // A key frame each second, so that nobody waits.
            let is_key_frame = self.frame.is_multiple_of(30);
            for packet in 0..PACKETS_PER_FRAME {
                let mut payload = vec![0x5a; PAYLOAD_BYTES];
                payload[0] = if packet == 0 { 0x10 } else { 0 };
                payload[1] = u8::from(!is_key_frame);
                payload[4..11].copy_from_slice(&[0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
                payload[TIME_AT..TIME_AT + 8].copy_from_slice(&clock_us().to_be_bytes());
                let seq = self.frame * PACKETS_PER_FRAME as u64 + packet as u64;
                let write = RtpWrite::new(
                    Pt::from(96),
                    seq.into(),
                    (self.frame * 3_000) as u32,
                    now,
                    payload,
                )
                .marker(packet + 1 == PACKETS_PER_FRAME)
                .nackable(true);
                self.rtc
                    .direct_api()
                    .stream_tx(&2_000.into())
                    .ok_or("declared")?
                    .write_rtp(write);
            }
            self.frame += 1;
        }
        // A packet for each deadline: a frame is many at once.
        let mut deadline = now;
        for _ in 0..2 * PACKETS_PER_FRAME {
            self.rtc.handle_input(Input::Timeout(now))?;
            deadline = self.drain()?;
            if deadline > now {
                break;
            }
        }
        Ok(deadline.min(next_frame.max(now)).min(next_voice.max(now)))
    }

    fn drain(&mut self) -> Result<Instant, Failure> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    // A full socket loses a packet, as a line would.
                    let _full = self
                        .socket
                        .send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::ChannelOpen(id, _)) if id == self.messages => {
                    self.is_connected = true
                }
                Output::Event(Event::ChannelData(data)) if data.id == self.messages => {
                    lock(&self.shared.messages).push(data.data);
                }
                Output::Event(Event::RtpPacket(packet)) if *packet.header.payload_type == 96 => {
                    self.note_delay(&packet.payload);
                }
                Output::Event(Event::RtpPacket(_)) => {
                    self.shared.sound_packets.fetch_add(1, Ordering::Relaxed);
                }
                Output::Event(Event::Closed) => return Err("the SFU ended the connection".into()),
                Output::Event(_) => {}
            }
        }
    }
}

impl Session {
    fn note_delay(&self, payload: &[u8]) {
        let sent = payload.get(TIME_AT..TIME_AT + 8);
        let sent = sent.and_then(|bytes| bytes.try_into().ok());
        if let Some(sent) = sent.map(u64::from_be_bytes)
            && self.shared.measures_delays.load(Ordering::Relaxed)
        {
            let delay_us = clock_us().saturating_sub(sent);
            lock(&self.shared.delays_us).push(delay_us);
        }
    }
}

fn clock_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

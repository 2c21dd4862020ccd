//! Bad input to every port of a server that runs as a process, while two people are in a call on it: each kind is refused
//! and counted, memory stays bounded, and the two go on hearing one another.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_proto::service::sfu::{
    CallId, FromSfu, JoinRequest, JoinResponse, PROTOCOL_VERSION, PeekRequest, Relay, Subscription,
    ToSfu,
};
use hullo_proto::service::token::TokenKey;
use hullo_tests::relay::process::RelayProcess;
use hullo_tests::relay::tls::{Identity, NAME};
use hullo_tests::sfu::client::{Certificate, Client, Role};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const CALL: [u8; 32] = [3; 32];
/// How long anything may take on a machine that runs other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a server under attack may grow by: its usual buffers, and the connections of those who got in.
const GROWTH_KIB_MAX: u64 = 96 * 1_024;

/// A server, and two people in a call on it: one speaks, the other listens.
struct Attacked {
    server: RelayProcess,
    tls: Arc<ClientConfig>,
    runtime: Runtime,
    key: TokenKey,
    rng: ChaCha20Rng,
    media: SocketAddr,
    speaker: Client,
    listener: Client,
    memory_kib: u64,
    _folder: tempfile::TempDir,
}

impl Attacked {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = Identity::new();
        let program = Path::new(env!("CARGO_BIN_EXE_hullo-under-test"));
        let server =
            RelayProcess::start(program, folder.path(), "memory", &identity).expect("it starts");
        let key = std::fs::read(folder.path().join("server/token.key")).expect("a key");
        let key = TokenKey::from_bytes(key.try_into().expect("32 bytes"));
        let (tls, runtime) = (identity.client(), Runtime::new().expect("a runtime"));
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut enter = |role| {
            let certificate = Certificate::new().expect("a certificate");
            let token = key.issue(u64::MAX, &mut rng);
            let asked = runtime.block_on(post(
                (server.address(), &tls),
                &join_path(CALL),
                &token,
                &join_body(CALL, certificate.fingerprint),
            ));
            let response = JoinResponse::decode(&asked.1).expect("a place");
            let media = response.addresses[0];
            let client = Client::start(certificate, response, role, PATIENCE).expect("connected");
            (client, media)
        };
        let (speaker, media) = enter(Role::Speaker);
        let (listener, _) = enter(Role::Viewer(speaker.id()));
        let memory_kib = resident_kib(server.id());
        let attacked = Self {
            server,
            tls,
            runtime,
            key,
            rng,
            media,
            speaker,
            listener,
            memory_kib,
            _folder: folder,
        };
        attacked.sound_goes_on();
        attacked
    }

    fn token(&mut self) -> String {
        self.key.issue(u64::MAX, &mut self.rng)
    }

    fn post(&self, path: &str, token: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let at = (self.server.address(), &self.tls);
        self.runtime.block_on(post(at, path, token, body))
    }

    fn enter(&mut self, role: Role) -> Client {
        let (certificate, token) = (Certificate::new().expect("a certificate"), self.token());
        let body = join_body(CALL, certificate.fingerprint);
        let (status, answer) = self.post(&join_path(CALL), &token, &body);
        assert_eq!(status, 200);
        let response = JoinResponse::decode(&answer).expect("a place");
        Client::start(certificate, response, role, PATIENCE).expect("connected")
    }

    fn count(&self, name: &str) -> u64 {
        let head = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let page = self.runtime.block_on(async {
            let mut stream = connect(self.server.address(), &self.tls).await;
            stream.write_all(head.as_bytes()).await.expect("sent");
            answer(stream).await.1
        });
        let page = String::from_utf8(page).expect("text");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("hullo_sfu_{name} ")));
        line.and_then(|count| count.parse().ok()).expect(name)
    }

    /// Until the server counted so many more than `before`.
    fn wait_for_count(&self, name: &str, least: u64) {
        until(name, || self.count(name) >= least);
    }

    /// A whole second of sound comes within a time that no break would leave.
    fn sound_goes_on(&self) {
        let before = self.listener.sound_packets();
        until("sound", || self.listener.sound_packets() >= before + 50);
        assert!(!self.speaker.is_over() && !self.listener.is_over());
    }

    /// The two are still there and undisturbed, nobody else is, and the server has not grown.
    fn is_unharmed(&self) {
        self.sound_goes_on();
        until("others to be gone", || self.count("participants") == 2);
        assert_eq!(self.count("panics_total"), 0);
        let grown = resident_kib(self.server.id()).saturating_sub(self.memory_kib);
        assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
    }
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < end, "waiting for {what}");
        // Gives the processor to those who are waited for.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.map(|line| line.trim().trim_end_matches(" kB"));
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn join_path(call: [u8; 32]) -> String {
    format!("/v1/join/{}", CallId::from_bytes(call).to_hex())
}

fn join_body(call: [u8; 32], dtls_fingerprint: [u8; 32]) -> Vec<u8> {
    JoinRequest {
        call_id: CallId::from_bytes(call),
        protocol_version: PROTOCOL_VERSION,
        dtls_fingerprint,
    }
    .encode()
}

async fn connect(address: SocketAddr, tls: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.expect("it listens");
    let name = rustls::pki_types::ServerName::try_from(NAME).expect("a name");
    let connector = TlsConnector::from(Arc::clone(tls));
    connector.connect(name, tcp).await.expect("TLS")
}

fn head(path: &str, token: &str, len: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ThreemaSfuToken {token}\r\n\
         Content-Length: {len}\r\n\r\n"
    )
}

async fn post(
    (address, tls): (SocketAddr, &Arc<ClientConfig>),
    path: &str,
    token: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let mut stream = connect(address, tls).await;
    let head = head(path, token, body.len());
    stream.write_all(head.as_bytes()).await.expect("sent");
    // A server that refuses early may close before the whole body is written.
    let _early = stream.write_all(body).await;
    answer(stream).await
}

async fn answer(mut stream: TlsStream<TcpStream>) -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Closing without TLS's own farewell is as good an end.
    let _reset = read.expect("an end in time");
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (0, bytes);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), bytes.split_off(end + 4))
}

#[test]
fn bad_requests_get_their_status_and_floods_of_joins_end() {
    let mut w = Attacked::new();
    let good = w.token();
    let forged = TokenKey::from_bytes([9; 32]).issue(u64::MAX, &mut ChaCha20Rng::seed_from_u64(2));
    let expired = w.key.issue(1, &mut ChaCha20Rng::seed_from_u64(3));
    let peek_path = format!("/v1/peek/{}", CallId::from_bytes(CALL).to_hex());
    let peek = PeekRequest {
        call_id: CallId::from_bytes(CALL),
    }
    .encode();
    for token in ["", "x", &forged, &expired, &"A".repeat(7_000)] {
        assert_eq!(w.post(&peek_path, token, &peek).0, 401);
        assert_eq!(
            w.post(&join_path(CALL), token, &join_body(CALL, [1; 32])).0,
            401
        );
    }
    let foreign = join_body([4; 32], [1; 32]);
    let large = vec![0; 100_000];
    for body in [&foreign[..], &large, b"\xff\xff\xff", b""] {
        assert_eq!(w.post(&join_path(CALL), &good, body).0, 400);
    }
    assert_eq!(w.post("/v1/join/nothing", &good, &foreign).0, 400);
    assert_eq!(w.post("/identity/sfu_cred", "", &large).0, 400);
    let unknown = PeekRequest {
        call_id: CallId::from_bytes([5; 32]),
    };
    let path = format!("/v1/peek/{}", unknown.call_id.to_hex());
    assert_eq!(w.post(&path, &good, &unknown.encode()).0, 404);

    // One token: three places. Many tokens: as many as fit in a call, and no more.
    let body = join_body(CALL, [1; 32]);
    let statuses: Vec<u16> = (0..40)
        .map(|_| w.post(&join_path(CALL), &good, &body).0)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3);
    assert!(statuses[3..].iter().all(|status| *status == 429));
    let flood = (0..70).map(|_| {
        let token = w.token();
        w.post(&join_path(CALL), &token, &body).0
    });
    let statuses: Vec<u16> = flood.collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        64 - 2 - 3
    );
    assert_eq!(statuses.last(), Some(&503), "the call is full");
    assert!(w.count("joins_refused_total") >= 40);
    w.is_unharmed();
}

#[test]
fn slow_clients_lose_their_connections_and_nobody_elses() {
    let mut w = Attacked::new();
    let token = w.token();
    let slow = w.runtime.block_on(async {
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut stream = connect(w.server.address(), &w.tls).await;
            let head = head(&join_path(CALL), &token, 100);
            stream.write_all(head.as_bytes()).await.expect("sent");
            stream.write_all(b"x").await.expect("sent");
            slow.push(stream);
        }
        slow
    });
    let _newcomer = w.enter(Role::Silent);
    for stream in slow {
        let (status, _) = w.runtime.block_on(answer(stream));
        assert_eq!(status, 408);
    }
    drop(_newcomer);
    w.is_unharmed();
}

#[test]
fn strangers_reach_nobody_with_stun_dtls_or_rtp() {
    let w = Attacked::new();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let before = (
        w.count("refused_stranger_total"),
        w.count("refused_stun_total"),
    );
    let mut sent = 0;
    for len in (0..1_500).step_by(7) {
        // STUN, a DTLS handshake and its data, RTP, RTCP, and what is nothing.
        for first in [0, 1, 20, 22, 23, 0x80, 0x90, 0xbf, 0xff] {
            let mut bytes = vec![0x5a; len];
            bytes.splice(..len.min(1), std::iter::once(first).take(len.min(1)));
            stranger.send_to(&bytes, w.media).expect("sent");
            sent += 1;
        }
        // Not more at once than the kernel keeps for the server.
        if sent % 450 == 0 {
            w.sound_goes_on();
        }
    }
    w.wait_for_count("refused_stranger_total", before.0 + 500);
    w.wait_for_count("refused_stun_total", before.1 + 100);
    stranger.set_nonblocking(true).expect("a socket");
    assert!(
        stranger.recv(&mut [0; 10]).is_err(),
        "no answer to a stranger"
    );
    w.is_unharmed();
}

#[test]
fn a_stranger_in_the_middle_of_a_handshake_changes_nothing() {
    let mut w = Attacked::new();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (media, stop) = (w.media, Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let ended = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100];
        hello.resize(113, 1);
        let mut sent = 0_u64;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            for bytes in [
                &hello[..],
                &[0, 1, 0, 0, 33, 18, 164, 66],
                &[0x80, 111, 0, 1],
            ] {
                stranger.send_to(bytes, media).expect("sent");
                sent += 1;
            }
            std::thread::yield_now();
        }
        sent
    });
    let newcomers: Vec<Client> = (0..3).map(|_| w.enter(Role::Silent)).collect();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(thread.join().expect("no panic") > 0);
    assert!(newcomers.iter().all(|newcomer| !newcomer.is_over()));
    drop(newcomers);
    w.is_unharmed();
}

#[test]
fn another_certificate_than_announced_does_not_come_in() {
    let mut w = Attacked::new();
    let token = w.token();
    let (_, answer) = w.post(&join_path(CALL), &token, &join_body(CALL, [1; 32]));
    let response = JoinResponse::decode(&answer).expect("a place");
    let certificate = Certificate::new().expect("a certificate");
    let started = Client::start(certificate, response, Role::Silent, Duration::from_secs(2));
    assert!(started.is_err());
    w.wait_for_count("dropped_broken_total", 1);
    w.is_unharmed();
}

#[test]
fn bad_messages_reach_nobody_and_good_ones_pass_with_their_padding() {
    let mut w = Attacked::new();
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let attacker = w.enter(Role::Silent);
    let (speaker, listener) = (w.speaker.id(), w.listener.id());
    let relay = |sender, receiver| {
        ToSfu::Relay(Relay {
            sender,
            receiver,
            encrypted_data: vec![7; 60],
        })
    };
    let nobody = 777.try_into().expect("an id");
    let heard = w.listener.messages().len();
    let unknown_people = [
        relay(speaker, listener),
        relay(attacker.id(), nobody),
        relay(attacker.id(), attacker.id()),
    ];
    for message in unknown_people {
        attacker.say(message.encode(&mut rng));
    }
    for publisher in [nobody, attacker.id()] {
        let subscribe = ToSfu::Subscribe(publisher, Subscription::Microphone(true));
        attacker.say(subscribe.encode(&mut rng));
    }
    // No protobuf; an unknown content; two contents at once.
    for bytes in [
        &[0xff; 40][..],
        &[0x12, 0x80],
        &[0x7a, 0],
        &[0x12, 0, 0x12, 0],
    ] {
        attacker.say(bytes.to_vec());
    }
    w.wait_for_count("refused_relay_total", 3);
    w.wait_for_count("refused_subscription_total", 2);
    w.wait_for_count("refused_message_total", 3);
    assert!(!attacker.is_over());
    // A padded relay of its own is nobody's harm, and comes as it was sent.
    let good = relay(attacker.id(), listener).encode(&mut rng);
    attacker.say(good.clone());
    until("the relay", || w.listener.messages().contains(&good));
    let messages = w.listener.messages();
    let others = messages[heard..].iter().filter(|message| **message != good);
    let others = others
        .filter(|message| !matches!(FromSfu::decode(message), Ok(FromSfu::ParticipantJoined(_))));
    assert_eq!(others.count(), 0, "nothing else came of it");
    // A flood of good ones ends at the participant's rate.
    for _ in 0..3_000 {
        attacker.say(good.clone());
    }
    w.wait_for_count("refused_flood_total", 1_000);
    drop(attacker);
    w.is_unharmed();
}

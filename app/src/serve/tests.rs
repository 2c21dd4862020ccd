//! Real sockets, real TLS, real files; one machine.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use axum::body::Body;
use hullo_proto::group::directory::{self, DirectorySteps};
use hullo_proto::group::http::{HttpResult, SfuInformation};
use hullo_proto::group::key::ClientKey;
use hullo_proto::service::sfu::{CallId, JoinRequest, JoinResponse, PROTOCOL_VERSION, PeekRequest};
use hullo_proto::service::token::TokenKey;
use hullo_relay::server::Peer;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::net::tls;

fn options(folder: &Path) -> ServeOptions {
    ServeOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        announce: None,
        folder: folder.to_owned(),
        store: StoreChoice::Memory,
        certificate: None,
        calls: CallOptions::default(),
    }
}

fn started(folder: &Path) -> Server {
    Server::start(&options(folder)).unwrap()
}

/// Status, and the whole answer after it.
fn ask(server: &Server, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let mut tls = tls::connect(server.url(), tcp).await.unwrap();
        let head = format!(
            "{head}Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        tls.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses early may close before the whole body is written.
        let _early = tls.write_all(body).await;
        let mut answer = Vec::new();
        let _reset = tls.read_to_end(&mut answer).await;
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let status = String::from_utf8_lossy(&answer[..end]);
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    })
}

fn get(server: &Server, path: &str) -> (u16, String) {
    let (status, body) = ask(server, &format!("GET {path} HTTP/1.1\r\n"), b"");
    (status, String::from_utf8(body).unwrap())
}

fn post(server: &Server, path: &str, token: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let head = format!("POST {path} HTTP/1.1\r\nAuthorization: ThreemaSfuToken {token}\r\n");
    ask(server, &head, body)
}

fn peek(server: &Server, token: &str) -> u16 {
    let call_id = CallId::from_bytes([1; 32]);
    let path = format!("/v1/peek/{}", call_id.to_hex());
    post(server, &path, token, &PeekRequest { call_id }.encode()).0
}

fn join(server: &Server, call: u8, token: &str) -> (u16, Vec<u8>) {
    let call_id = CallId::from_bytes([call; 32]);
    let request = JoinRequest {
        call_id,
        protocol_version: PROTOCOL_VERSION,
        dtls_fingerprint: [9; 32],
    };
    let path = format!("/v1/join/{}", call_id.to_hex());
    post(server, &path, token, &request.encode())
}

/// A token as the server's own directory would make it.
fn token(folder: &Path) -> String {
    let key = std::fs::read(folder.join("server/token.key")).unwrap();
    let key = TokenKey::from_bytes(key.try_into().unwrap());
    key.issue(u64::MAX, &mut ChaCha20Rng::seed_from_u64(1))
}

/// What the directory says to the holder of a key.
fn fetch(server: &Server, key: [u8; 32]) -> Result<SfuInformation, directory::DirectoryError> {
    let now = tokio::time::Instant::now().into_std();
    let identity = "ABCD2345".try_into().unwrap();
    let mut steps = DirectorySteps::new(now, "https://x", identity, ClientKey::from_bytes(key));
    loop {
        match steps.poll_output() {
            directory::Output::Request(request) => {
                let head = "POST /identity/sfu_cred HTTP/1.1\r\n";
                let (status, body) = ask(server, head, &request.body);
                let answer = HttpResult::Response { status, body };
                steps.handle_input(now, directory::Input::Response(answer));
            }
            directory::Output::Done(result) => return result,
            directory::Output::Timeout(_) => panic!("it waits for nothing"),
        }
    }
}

#[test]
fn one_port_serves_relay_directory_and_calls() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path());
    assert_eq!(get(&server, "/health"), (200, "ok\n".to_owned()));
    assert_eq!(
        get(&server, "/relay").0,
        400,
        "a WebSocket is expected there"
    );
    let (status, counts) = get(&server, "/metrics");
    assert!(status == 200 && counts.contains("\nhullo_relay_connections "));
    assert!(counts.contains("\nhullo_sfu_calls 0\n"), "{counts}");
    let sfu = fetch(&server, [1; 32]).ok().unwrap();
    assert_eq!(sfu.base_url, server.url().to_string(), "with its pin");
    assert_eq!(sfu.allowed_hostname_suffixes, ["127.0.0.1"]);
    assert_eq!(peek(&server, "wrong"), 401);
    assert_eq!(peek(&server, &sfu.token), 404);
    let (status, body) = join(&server, 1, &sfu.token);
    let response = JoinResponse::decode(&body).unwrap();
    let media = server.media().unwrap();
    assert_eq!(status, 200);
    assert!(media.socket_addresses().contains(&response.addresses[0]));
    assert_eq!(response.addresses[0].ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(peek(&server, &sfu.token), 200);
}

#[test]
fn tokens_outlive_a_restart_and_their_key_is_nobody_elses_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let sfu = fetch(&started(folder.path()), [1; 32]).ok().unwrap();
    let path = folder.path().join("server/token.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(peek(&started(folder.path()), &sfu.token), 404);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        peek(&started(folder.path()), &sfu.token),
        401,
        "another key"
    );
    std::fs::write(&path, [1; 31]).unwrap();
    let words = Server::start(&options(folder.path()))
        .err()
        .unwrap()
        .to_string();
    assert!(
        words.contains("31 bytes") && words.contains("Move it away"),
        "{words}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), [1; 31], "left as it is");
}

#[test]
fn a_list_lets_its_people_in_and_nobody_else() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    let list = folder.path().join("people");
    let ann = ClientKey::from_bytes([1; 32]).public();
    let ann = base64::prelude::BASE64_STANDARD.encode(ann.as_bytes());
    std::fs::write(&list, format!("{ann} ann\n")).unwrap();
    options.calls.allow = Some(list.clone());
    let server = Server::start(&options).unwrap();
    assert!(fetch(&server, [1; 32]).is_ok());
    let refused = fetch(&server, [2; 32]).err();
    assert_eq!(refused, Some(directory::DirectoryError::Refused));
    drop(server);
    std::fs::write(&list, format!("{ann}\nann\n")).unwrap();
    let words = Server::start(&options).err().unwrap().to_string();
    assert!(words.contains("line 2"), "{words}");
    options.calls.allow = Some(folder.path().join("nobody"));
    assert!(matches!(
        Server::start(&options),
        Err(ServeError::AllowList { .. })
    ));
}

#[test]
fn a_draining_server_says_so_takes_no_new_call_and_keeps_those_that_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path());
    assert!(server.drained(Duration::from_secs(5)), "nothing runs");
    let token = token(folder.path());
    assert_eq!(join(&server, 1, &token).0, 200);
    server.drain();
    assert_eq!(get(&server, "/health").0, 503);
    assert_eq!(join(&server, 2, &token).0, 502);
    assert_eq!(join(&server, 1, &token).0, 200);
    assert!(!server.drained(Duration::from_millis(200)));
}

#[test]
fn one_address_is_slowed_down_by_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path());
    let first =
        br#"{"identity":"ABCD2345","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let mut asked = (0..200).map(|_| ask(&server, "POST /identity/sfu_cred HTTP/1.1\r\n", first).0);
    // Fewer than the server takes of all together.
    assert!(asked.any(|status| status == 429));
}

#[test]
fn a_taken_udp_port_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut options = options(folder.path());
    options.calls.udp = Some(taken.local_addr().unwrap());
    let words = Server::start(&options).err().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(words.contains(&port) && words.contains("--udp"), "{words}");
}

#[test]
fn counts_are_for_this_machine_and_health_is_for_everybody() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new(StoreLimits::default());
        let relay = Relay::start(store, &Options::new([1; 32])).unwrap();
        let routes = TowerToHyperService::new(operator::router(relay.watch(), None));
        let status = async |path: &str, from: [u8; 4]| {
            let mut request = hyper::Request::new(Body::empty());
            *request.uri_mut() = path.parse().unwrap();
            request.extensions_mut().insert(Peer(IpAddr::from(from)));
            routes.call(request).await.unwrap().status().as_u16()
        };
        let (here, afar) = ([127, 0, 0, 1], [10, 0, 0, 1]);
        assert_eq!(status("/metrics", here).await, 200);
        assert_eq!(status("/metrics", afar).await, 404);
        assert_eq!(status("/health", afar).await, 200);
        relay.stop().await;
    });
}

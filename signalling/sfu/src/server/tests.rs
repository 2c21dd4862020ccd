use super::*;
use hullo_proto::service::sfu::{JoinResponse, PeekResponse};
use std::io::{Read, Write};
use std::net::TcpStream;

/// An SFU behind plain HTTP, in a runtime of its own.
struct Served {
    address: SocketAddr,
    sfu: Arc<Sfu>,
    token: String,
    _runtime: tokio::runtime::Runtime,
}

fn served() -> Served {
    let key = TokenKey::from_bytes([5; 32]);
    let token = key.issue(u64::MAX, &mut ChaCha20Rng::seed_from_u64(1));
    let announcement = Announcement {
        base_url: "https://s.test".to_owned(),
        allowed_hostname_suffixes: vec!["s.test".to_owned()],
        turn: None,
    };
    let local = IpAddr::from([127, 0, 0, 1]);
    let mut options = Options::new(
        SocketAddr::new(local, 0),
        vec![local],
        key,
        announcement,
        [6; 32],
    );
    options.shards = 2;
    options.participants_max = 2;
    let sfu = Arc::new(Sfu::start(options).expect("free ports"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let router = sfu.router();
    runtime.spawn(async move { axum::serve(listener, router).await });
    Served {
        address,
        sfu,
        token,
        _runtime: runtime,
    }
}

impl Served {
    fn send(&self, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("served");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("valid");
        let head = format!(
            "{head}Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // A server that refuses early may close before the whole body is written.
        let _early = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
        answer(stream)
    }

    fn post(&self, path: &str, token: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        self.send(
            &format!("POST {path} HTTP/1.1\r\nAuthorization: ThreemaSfuToken {token}\r\n"),
            body,
        )
    }

    fn join(&self, call: u8, version: u32) -> (u16, String, Vec<u8>) {
        let call_id = CallId::from_bytes([call; 32]);
        let request = JoinRequest {
            call_id,
            protocol_version: version,
            dtls_fingerprint: [9; 32],
        };
        self.post(
            &format!("/v1/join/{}", call_id.to_hex()),
            &self.token,
            &request.encode(),
        )
    }
}

fn answer(mut stream: TcpStream) -> (u16, String, Vec<u8>) {
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes);
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    (status, head.to_ascii_lowercase(), bytes[end + 4..].to_vec())
}

#[test]
fn every_step_of_peek_has_its_status() {
    let served = served();
    let (call_id, other) = (CallId::from_bytes([1; 32]), CallId::from_bytes([2; 32]));
    let path = format!("/v1/peek/{}", call_id.to_hex());
    let body = PeekRequest { call_id }.encode();
    let status = |path: &str, token: &str, body: &[u8]| served.post(path, token, body).0;
    let expired = TokenKey::from_bytes([5; 32]).issue(1, &mut ChaCha20Rng::seed_from_u64(2));
    let forged = TokenKey::from_bytes([4; 32]).issue(u64::MAX, &mut ChaCha20Rng::seed_from_u64(2));
    assert_eq!(
        served.send(&format!("POST {path} HTTP/1.1\r\n"), &body).0,
        401
    );
    for token in ["", "x", &expired, &forged] {
        assert_eq!(status(&path, token, &body), 401);
    }
    assert_eq!(
        status(&path, &forged, b"\xff"),
        401,
        "the token is looked at first"
    );
    for bad in [&b"\xff\xff"[..], b"", &[0; 100_000]] {
        assert_eq!(status(&path, &served.token, bad), 400);
    }
    assert_eq!(
        status(
            &path,
            &served.token,
            &PeekRequest { call_id: other }.encode()
        ),
        400
    );
    assert_eq!(status("/v1/peek/zz", &served.token, &body), 400);
    assert_eq!(status(&path, &served.token, &body), 404);
    assert_eq!(served.join(1, 1).0, 200);
    let (ok, _, peeked) = served.post(
        &path.to_uppercase().replace("/V1/PEEK/", "/v1/peek/"),
        &served.token,
        &body,
    );
    let peeked = PeekResponse::decode(&peeked).expect("ours");
    assert_eq!(
        (ok, peeked.max_participants, peeked.encrypted_call_state),
        (200, 2, None)
    );
    assert!(peeked.started_at_ms > 1_700_000_000_000);
}

#[test]
fn every_step_of_join_has_its_status() {
    let served = served();
    let (call_id, hex) = (CallId::from_bytes([1; 32]), "01".repeat(32));
    let request = JoinRequest {
        call_id,
        protocol_version: 1,
        dtls_fingerprint: [9; 32],
    };
    let post = |token: &str, body: &[u8]| served.post(&format!("/v1/join/{hex}"), token, body).0;
    assert_eq!(post("x", &request.encode()), 401);
    assert_eq!(post(&served.token, &request.encode()[..60]), 400);
    let other = JoinRequest {
        call_id: CallId::from_bytes([2; 32]),
        ..request
    };
    assert_eq!(post(&served.token, &other.encode()), 400);
    for version in [0, 2, 999] {
        assert_eq!(served.join(1, version).0, 419);
    }
    let (status, head, body) = served.join(1, 1);
    let response = JoinResponse::decode(&body).expect("ours");
    assert_eq!(status, 200);
    assert!(!head.contains("hullo-wanted"), "only who asks is answered");
    assert!(
        served.sfu.ports().contains(&response.addresses[0].port())
            && response.supported_features.has_screen_share()
    );
    let head = format!(
        "POST /v1/join/{hex} HTTP/1.1\r\nAuthorization: ThreemaSfuToken {}\r\nHullo-Wanted: 1\r\n",
        served.token
    );
    let (status, head, _) = served.send(&head, &request.encode());
    assert!(status == 200 && head.contains("hullo-wanted: 1"), "{head}");
    assert_eq!(served.join(1, 1).0, 503, "two fit");
}

#[test]
fn a_token_reserves_three_places() {
    let served = served();
    let statuses: Vec<_> = (10..16).map(|call| served.join(call, 1).0).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429]);
    assert!(served.sfu.metrics().contains("\nhullo_sfu_joins_total 3\n"));
    assert!(
        served
            .sfu
            .metrics()
            .contains("\nhullo_sfu_joins_refused_total 3\n")
    );
}

#[test]
fn a_slow_body_is_given_up_and_others_are_served() {
    let served = served();
    let mut slow = TcpStream::connect(served.address).expect("served");
    let head = format!(
        "POST /v1/peek/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ThreemaSfuToken {}\r\nContent-Length: 34\r\n\r\nx",
        "01".repeat(32),
        served.token
    );
    slow.write_all(head.as_bytes()).expect("open");
    assert_eq!(served.join(1, 1).0, 200);
    assert_eq!(answer(slow).0, 408);
}

#[test]
fn draining_is_shown_and_stopping_ends_the_shards() {
    let served = served();
    assert!(!served.sfu.is_draining());
    assert_eq!(served.join(1, 1).0, 200);
    served.sfu.drain();
    assert!(served.sfu.is_draining());
    assert_eq!(served.join(2, 1).0, 502, "no new call");
    assert_eq!(served.join(1, 1).0, 200, "a running one goes on");
    assert!(served.sfu.metrics().contains("hullo_sfu_joins_total 2"));
    assert_eq!(served.post("/v1/leave/1", &served.token, b"").0, 404);
}

#[test]
fn the_directory_answers_and_bounds_its_input() {
    let served = served();
    let first =
        br#"{"identity":"ABCD2345","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;
    let post = |body: &[u8]| served.send("POST /identity/sfu_cred HTTP/1.1\r\n", body);
    let (status, head, body) = post(first);
    assert!(status == 200 && head.contains("application/json"));
    assert!(String::from_utf8_lossy(&body).contains("tokenRespKeyPub"));
    assert_eq!(post(b"{}").0, 400);
    assert_eq!(post(&[b'x'; 100_000]).0, 400);
}

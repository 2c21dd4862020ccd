//! Into a group's call and out of it, through a real server; the SFU's connection itself is said to stand.

use hullo_proto::group::group_call::Scope;
use hullo_proto::group::http::{HttpRequest, HttpResult};
use hullo_proto::group::refresh::PEEK_TIMEOUT;
use hullo_signalling::group::{Group, GroupCommand, GroupEvent, GroupNumber, GroupState};
use hullo_signalling::lobby::{
    EnterError, Entry, Intent, LobbyCommand, LobbyEvent, RunningGroupCall,
};

use super::*;
use crate::net::https;

impl Person {
    fn group_command(&self, command: GroupCommand) {
        self.command(ChannelCommand::Group(command));
    }

    /// The group, once these people are in.
    fn group(&self, people: usize) -> Group {
        self.wait(|event| match event {
            ChannelEvent::Group(GroupEvent::Changed { group }) => {
                let members = group.members.iter().filter(|member| !member.is_invited);
                (group.state == GroupState::In && members.count() == people).then_some(group)
            }
            _ => None,
        })
    }

    fn lobby<T>(&self, wanted: impl Fn(LobbyEvent) -> Option<T>) -> T {
        loop {
            let event = self
                .events
                .recv_timeout(PATIENCE)
                .expect("an event in time");
            if let NetEvent::Lobby(event) = event
                && let Some(found) = wanted(event)
            {
                return found;
            }
        }
    }

    fn enter(
        &self,
        group: GroupNumber,
        intent: Intent,
        fingerprint: u8,
    ) -> Result<Entry, EnterError> {
        let fingerprint = [fingerprint; 32];
        let enter = LobbyCommand::Enter {
            group,
            intent,
            fingerprint,
        };
        self.net.lobby(enter).unwrap();
        self.lobby(|event| match event {
            LobbyEvent::Connect(entry) => Some(Ok(*entry)),
            LobbyEvent::Failed { reason, .. } => Some(Err(reason)),
            _ => None,
        })
    }

    fn established(&self) {
        self.net.lobby(LobbyCommand::HelloReceived).unwrap();
        self.lobby(|event| matches!(event, LobbyEvent::Established { .. }).then_some(()));
    }

    fn running(&self) -> RunningGroupCall {
        self.lobby(|event| match event {
            LobbyEvent::Running { call, .. } => Some(call),
            _ => None,
        })
    }
}

/// Two people in one group on a server of their own.
fn group_of_two(server: &Server) -> (Person, Person, Group, Group) {
    let (ann, bob) = (Person::new("ann"), Person::new("bob"));
    bob.command(ChannelCommand::Add {
        link: ann.invite(server.url()),
    });
    let contact = ann.ready_contact();
    bob.ready_contact();
    ann.group_command(GroupCommand::New {
        name: "hikers".to_owned(),
        server: None,
    });
    let group = ann.group(1).number;
    ann.group_command(GroupCommand::Add { group, contact });
    let (of_ann, of_bob) = (ann.group(2), bob.group(2));
    (ann, bob, of_ann, of_bob)
}

#[test]
fn one_makes_a_call_and_the_other_hears_of_it_and_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let (ann, bob, of_ann, of_bob) = group_of_two(&server);
    assert_eq!(
        bob.enter(of_bob.number, Intent::OnlyJoin, 2).err(),
        Some(EnterError::NotRunning)
    );
    let first = ann.enter(of_ann.number, Intent::CreateOrJoin, 1).unwrap();
    assert!(first.has_wanted_channel && first.config.supported_features.has_screen_share());
    assert!(matches!(&first.config.scope, Scope::Group { members } if members.len() == 2));
    let ports = server.media().unwrap().socket_addresses();
    assert!(ports.contains(&first.response.addresses[0]));
    ann.established();

    let running = bob.running();
    assert_eq!(running.call_id, first.call_id);
    assert_eq!(running.started_at_ms, first.response.started_at_ms);
    assert_eq!(running.participants_max, 64);
    let second = bob.enter(of_bob.number, Intent::CreateOrJoin, 2).unwrap();
    assert_eq!(
        second.call_id, first.call_id,
        "the call that runs, not another"
    );
    assert!(second.response.participant_id != first.response.participant_id);
    bob.established();
    let busy = bob.enter(of_bob.number, Intent::CreateOrJoin, 2).err();
    assert_eq!(busy, Some(EnterError::Busy));
    bob.net.lobby(LobbyCommand::Left).unwrap();
    assert_eq!(
        bob.running().call_id,
        first.call_id,
        "still there without us"
    );
}

#[test]
fn a_server_that_is_gone_is_said_so_and_a_foreign_certificate_gets_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let running = server(&folder, 0).unwrap();
    let (ann, _bob, group, _) = group_of_two(&running);
    let url = running.url().clone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = |pin: Option<[u8; 32]>, path: &str| {
        let request = HttpRequest {
            url: format!("https://{}{path}", url.authority()),
            authorization: Some("ThreemaSfuToken x".to_owned()),
            content_type: "application/octet-stream",
            body: Vec::new(),
            timeout: PEEK_TIMEOUT,
        };
        runtime.block_on(https::post(request, pin, false)).result
    };
    let peek = format!("/v1/peek/{}", "0".repeat(64));
    let status = |result| match result {
        HttpResult::Response { status, .. } => Some(status),
        HttpResult::Unreachable => None,
    };
    assert_eq!(status(asked(Some(*url.pin()), &peek)), Some(401));
    assert_eq!(status(asked(Some([9; 32]), &peek)), None, "another key");
    assert_eq!(
        status(asked(None, &peek)),
        None,
        "no public authority knows it"
    );
    drop(running);
    assert_eq!(status(asked(Some(*url.pin()), &peek)), None);
    let failed = ann.enter(group.number, Intent::CreateOrJoin, 1).err();
    assert!(failed.unwrap().to_string().contains("cannot be reached"));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let pin = tls::pin(made.cert.der()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let thread = std::thread::spawn(move || {
        let mut written = Vec::new();
        for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nx: "] {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut tls = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
            let mut request = [0; 1_024];
            let _some = stream.read(&mut request).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut bytes = 0;
            while stream.write_all(&[b'x'; 10_000]).is_ok() && bytes < 100_000_000 {
                bytes += 10_000;
            }
            written.push(bytes);
        }
        written
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..2 {
        let request = HttpRequest {
            url: format!("https://127.0.0.1:{port}/v1/peek/0"),
            authorization: None,
            content_type: "application/octet-stream",
            body: Vec::new(),
            timeout: Duration::from_secs(10),
        };
        let answer = runtime.block_on(https::post(request, Some(pin), false));
        assert_eq!(answer.result, HttpResult::Unreachable);
    }
    // What kernels and libraries hold comes on top of what is read.
    assert!(
        thread
            .join()
            .unwrap()
            .iter()
            .all(|bytes| *bytes < 20_000_000)
    );
}

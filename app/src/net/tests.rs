//! Real sockets, real TLS, real files; one machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};

use futures_util::{SinkExt, StreamExt};
use hullo_signalling::channel::{ContactId, ContactState, Wish};
use hullo_signalling::server_url::ServerUrl;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::serve::{CallOptions, ServeError, ServeOptions, Server, StoreChoice};

mod calls;

const PATIENCE: Duration = Duration::from_secs(10);

struct Person {
    net: Net,
    events: Receiver<NetEvent>,
    _profile: Profile,
    _folder: tempfile::TempDir,
}

impl Person {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::open(folder.path()).unwrap();
        let (sender, events) = sync_channel(1024);
        let net = Net::start(&profile, move |event| drop(sender.try_send(event))).unwrap();
        net.command(ChannelCommand::SetName(name.to_owned()))
            .unwrap();
        Self {
            net,
            events,
            _profile: profile,
            _folder: folder,
        }
    }

    fn command(&self, command: ChannelCommand) {
        self.net.command(command).unwrap();
    }

    /// The first event `wanted` makes something of.
    fn wait<T>(&self, wanted: impl Fn(ChannelEvent) -> Option<T>) -> T {
        loop {
            if let NetEvent::Channel(event) = self
                .events
                .recv_timeout(PATIENCE)
                .expect("an event in time")
                && let Some(found) = wanted(event)
            {
                return found;
            }
        }
    }

    fn invite(&self, url: &ServerUrl) -> String {
        self.command(ChannelCommand::Invite {
            server: Some(url.clone()),
        });
        self.wait(|event| match event {
            ChannelEvent::InviteReady { link, .. } => Some(link),
            _ => None,
        })
    }

    fn failure(&self) -> (Wish, String) {
        self.wait(|event| match event {
            ChannelEvent::Failed { what, reason } => Some((what, reason.to_string())),
            _ => None,
        })
    }

    fn ready_contact(&self) -> ContactId {
        self.wait(|event| match event {
            ChannelEvent::ContactAdded { contact } | ChannelEvent::ContactChanged { contact } => {
                (contact.state == ContactState::Ready).then_some(contact.id)
            }
            _ => None,
        })
    }

    fn message(&self) -> Vec<u8> {
        self.wait(|event| match event {
            ChannelEvent::Message { payload, .. } => Some(payload),
            _ => None,
        })
    }
}

fn server(folder: &tempfile::TempDir, port: u16) -> Result<Server, ServeError> {
    server_with(folder, port, StoreChoice::Folder)
}

fn server_with(
    folder: &tempfile::TempDir,
    port: u16,
    store: StoreChoice,
) -> Result<Server, ServeError> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Server::start(&ServeOptions {
        listen,
        announce: None,
        folder: folder.path().to_owned(),
        store,
        certificate: None,
        calls: CallOptions {
            udp: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            ..CallOptions::default()
        },
    })
}

#[test]
fn contacts_and_groups_are_told_before_anybody_can_ask() {
    let person = Person::new("alice");
    let first = person.events.try_recv();
    assert!(matches!(first, Ok(NetEvent::Ready { .. })));
}

#[test]
fn two_people_become_contacts_over_a_real_relay_and_exchange_payloads() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let (ann, bob) = (Person::new("ann"), Person::new("bob"));
    let link = ann.invite(server.url());
    bob.command(ChannelCommand::Add { link: link.clone() });
    let (bob_there, ann_there) = (ann.ready_contact(), bob.ready_contact());
    assert_eq!(ann.net.contacts().unwrap()[0].name, "bob");
    assert_eq!(bob.net.contacts().unwrap()[0].name, "ann");
    let long = vec![b'x'; 15_600];
    ann.command(ChannelCommand::Send {
        contact: bob_there,
        payload: long.clone(),
    });
    bob.command(ChannelCommand::Send {
        contact: ann_there,
        payload: b"hello".to_vec(),
    });
    assert_eq!(bob.message(), long);
    assert_eq!(ann.message(), b"hello");

    let cat = Person::new("cat");
    cat.command(ChannelCommand::Add { link });
    let (what, words) = cat.failure();
    assert_eq!(what, Wish::Add);
    assert!(words.contains("used before"), "{words}");
}

#[test]
fn an_errand_leaves_messages_for_the_next_program() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let (ann, bob) = (Person::new("ann"), Person::new("bob"));
    bob.command(ChannelCommand::Add {
        link: ann.invite(server.url()),
    });
    let contact = ann.ready_contact();
    bob.ready_contact();
    let Person {
        net,
        _profile: profile,
        ..
    } = bob;
    net.shutdown();
    ann.command(ChannelCommand::Send {
        contact,
        payload: b"are you there?".to_vec(),
    });
    ann.wait(|event| matches!(event, ChannelEvent::Delivered { waiting: 0, .. }).then_some(()));

    let (sender, events) = sync_channel(1024);
    let errand =
        Net::start_for_errand(&profile, move |event| drop(sender.try_send(event))).unwrap();
    errand
        .command(ChannelCommand::Invite { server: None })
        .unwrap();
    let errand_done = || match events.recv_timeout(PATIENCE).expect("an event in time") {
        NetEvent::Channel(ChannelEvent::InviteReady { .. }) => true,
        NetEvent::Channel(ChannelEvent::Message { .. }) => panic!("an errand reads no messages"),
        _ => false,
    };
    while !errand_done() {}
    errand.shutdown();

    let (sender, events) = sync_channel(1024);
    let _net = Net::start(&profile, move |event| drop(sender.try_send(event))).unwrap();
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event in time");
        if let NetEvent::Channel(ChannelEvent::Message { payload, .. }) = event {
            assert_eq!(payload, b"are you there?");
            break;
        }
    }
}

#[test]
fn many_open_links_keep_nobody_from_one_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let Person {
        net,
        events,
        _profile: profile,
        _folder: kept,
    } = Person::new("ann");
    for _ in 0..50 {
        net.command(ChannelCommand::Invite {
            server: Some(server.url().clone()),
        })
        .unwrap();
    }
    let ready = |events: &Receiver<NetEvent>| loop {
        match events.recv_timeout(PATIENCE).expect("an event in time") {
            NetEvent::Channel(ChannelEvent::InviteReady { .. }) => return,
            NetEvent::Channel(ChannelEvent::Failed { reason, .. }) => panic!("{reason}"),
            _ => {}
        }
    };
    (0..50).for_each(|_| ready(&events));
    net.shutdown();
    // Another start opens a connection for each of them, and for what the user asks.
    let (sender, events) = sync_channel(4096);
    let net = Net::start(&profile, move |event| drop(sender.try_send(event))).unwrap();
    net.command(ChannelCommand::Invite { server: None })
        .unwrap();
    ready(&events);
    drop(kept);
}

#[test]
fn a_farewell_sent_just_before_the_end_still_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let (ann, bob) = (Person::new("ann"), Person::new("bob"));
    bob.command(ChannelCommand::Add {
        link: ann.invite(server.url()),
    });
    let contact = ann.ready_contact();
    bob.ready_contact();
    ann.command(ChannelCommand::Send {
        contact,
        payload: b"bye".to_vec(),
    });
    ann.net.shutdown();
    assert_eq!(bob.message(), b"bye");
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let wrong = ServerUrl::new(server.url().host(), server.url().port(), [7; 32]).unwrap();
    let ann = Person::new("ann");
    ann.command(ChannelCommand::Invite {
        server: Some(wrong),
    });
    let (what, words) = ann.failure();
    assert_eq!(what, Wish::Invite);
    assert!(
        words.contains("certificate is not the one in the link"),
        "{words}"
    );
    ann.invite(server.url());
}

#[test]
fn a_relay_that_is_down_is_named_and_found_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = server_with(&folder, 0, StoreChoice::Memory).unwrap();
    let (url, port) = (first.url().clone(), first.address().port());
    let (ann, bob) = (Person::new("ann"), Person::new("bob"));
    bob.command(ChannelCommand::Add {
        link: ann.invite(&url),
    });
    ann.ready_contact();
    drop(first);
    let state = |wanted: bool| {
        move |event| match event {
            ChannelEvent::ServerState { up, reason, .. } => (up == wanted).then_some(reason),
            _ => None,
        }
    };
    assert!(ann.wait(state(false)).is_some(), "the reason is told");
    ann.command(ChannelCommand::Invite { server: None });
    let (what, words) = ann.failure();
    assert_eq!(what, Wish::Invite);
    assert!(words.contains("is the server running?"), "{words}");

    let again = server_with(&folder, port, StoreChoice::Memory).unwrap();
    assert_eq!(*again.url(), url, "certificate and pin stay");
    ann.wait(state(true));
    let (_, words) = ann.failure();
    assert!(
        words.contains("lost the mailbox shared with bob"),
        "its memory was not on disk: {words}"
    );
}

#[test]
fn a_busy_port_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let first = server(&folder, 0).unwrap();
    let second = server(&folder, first.address().port())
        .err()
        .expect("taken");
    assert!(matches!(second, ServeError::PortBusy(_)));
    assert!(second.to_string().contains("--listen"), "{second}");
}

#[test]
fn a_damaged_certificate_file_is_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(server(&folder, 0).unwrap());
    let path = folder.path().join("server/server.pem");
    std::fs::write(&path, "nonsense").unwrap();
    let error = server(&folder, 0).err().expect("unusable");
    assert!(matches!(error, ServeError::Certificate { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"nonsense");
}

/// Sends one message that is no frame and returns the relay's reason for ending the connection.
async fn send_garbage(url: &ServerUrl, bytes: &[u8]) -> Option<String> {
    let mut socket = line::connect(url).await.unwrap();
    let hello = socket.next().await;
    assert!(matches!(hello, Some(Ok(Message::Binary(_)))));
    socket
        .send(Message::Binary(bytes.to_vec().into()))
        .await
        .unwrap();
    match tokio::time::timeout(PATIENCE, socket.next())
        .await
        .expect("an end in time")
    {
        Some(Ok(Message::Close(Some(close)))) => Some(close.reason.to_string()),
        Some(Ok(other)) => panic!("not an end: {other:?}"),
        Some(Err(_)) | None => None,
    }
}

#[test]
fn garbage_to_the_relay_ends_its_connection_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, 0).unwrap();
    let ann = Person::new("ann");
    ann.invite(server.url());
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(&[0xff; 300]).unwrap();
    let mut rest = Vec::new();
    // The relay may answer with an alert, then it ends; a reset is an end too.
    let _ = plain.read_to_end(&mut rest);
    assert!(rest.len() < 100);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let close = runtime.block_on(send_garbage(server.url(), b"this is no frame"));
    assert!(close.unwrap().contains("no kind of frame"));
    let close = runtime.block_on(send_garbage(server.url(), &[1; 40_000]));
    assert_eq!(close, None, "cut off unread");
    ann.invite(server.url());
}

//! A graceful stop, and what a relay says when it cannot start.

use hullo_proto::service::relay::{BLOCK_BYTES, Command, Reply};
use hullo_tests::relay::client::Client;
use hullo_tests::relay::process::RelayProcess;
use hullo_tests::relay::tls::Identity;

use super::program;

const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn a_stopped_relay_says_goodbye_and_goes_on_later_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("relay.db").display().to_string();
    let identity = Identity::new();
    let mut relay =
        RelayProcess::start(program(), folder.path(), &store, &identity).expect("it starts");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (tls, address) = (identity.client(), relay.address());
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let (recipient, mut relay) = runtime.block_on(async {
        let mut client = Client::connect(HOME, address, &tls).await.expect("up");
        let (recipient, sender) = client.create(&key).await.expect("created");
        let sender_key = key.verifying_key().to_bytes();
        let secure = Command::Secure { sender, sender_key };
        client.ok(&key, &secure).await.expect("secured");
        let block = &[3; BLOCK_BYTES];
        let send = Command::Send { sender, block };
        client.ok(&key, &send).await.expect("stored");
        let stop = tokio::task::spawn_blocking(move || (relay.stop(), relay));
        let farewell = client.next().await.expect_err("it stops");
        assert!(
            farewell.to_string().contains("the relay stops"),
            "{farewell}"
        );
        let (status, stopped) = stop.await.expect("no panic");
        assert_eq!(status.expect("it ends"), Some(0));
        (recipient, stopped)
    });
    let journal = std::fs::metadata(format!("{store}-wal"));
    assert!(journal.is_err(), "everything is in the file");
    relay.resume().expect("it starts again");
    runtime.block_on(async {
        let mut client = Client::connect(HOME, address, &tls).await.expect("up");
        let subscribe = Command::Subscribe { recipient };
        client.ok(&key, &subscribe).await.expect("still there");
        let frame = client.next().await.expect("the message");
        assert!(matches!(Reply::read(&frame), Ok(Reply::Message { block, .. }) if block[0] == 3));
    });
}

#[test]
fn a_relay_that_cannot_start_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let identity = Identity::new();
    let refusal = |store: &str| {
        let started = RelayProcess::start(program(), folder.path(), store, &identity);
        started.err().expect("it must not start").to_string()
    };
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, [b'x'; 5000]).expect("a file");
    let words = refusal(&damaged.display().to_string());
    assert!(
        words.contains("is damaged") && words.contains("left as it is"),
        "{words}"
    );
    assert_eq!(std::fs::read(&damaged).expect("a file"), [b'x'; 5000]);
    let words = refusal("postgres:///nobody?host=/nowhere");
    assert!(words.contains("he database cannot be used"), "{words}");
    let words = refusal("postgres://relay@db.example/hullo");
    assert!(words.contains("unencrypted"), "{words}");
    let store = folder.path().join("relay.db").display().to_string();
    let running = RelayProcess::start(program(), &folder.path().join("a"), &store, &identity);
    let words = refusal(&store);
    assert!(words.contains("end that one first"), "{words}");
    drop(running);
}

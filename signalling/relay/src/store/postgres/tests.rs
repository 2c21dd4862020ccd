use std::cell::Cell;
use std::io::Write;

use postgres_server::PostgresServer;
use tokio::runtime::Runtime;

use super::*;
use crate::store::conformance;

#[path = "../../../../../tests/kit/relay/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the shared kit of all tests with this database"
)]
mod postgres_server;

const NOW: Duration = Duration::from_secs(1_790_000_000);

/// A server, or words on why there is none. One for each test: they end it, too.
fn server() -> Option<(PostgresServer, Runtime)> {
    // Durability is judged where relays and servers are killed; here the disk need not be waited for.
    match PostgresServer::start(&["fsync=off"]) {
        Ok(server) => Some((server, Runtime::new().unwrap())),
        Err(reason) => {
            // Straight to the descriptor: captured output of a passing test is seen by nobody.
            let _ = writeln!(std::io::stderr(), "{reason}");
            None
        }
    }
}

fn connect(server: &PostgresServer, runtime: &Runtime, name: u64) -> PostgresStore {
    let url = server.url();
    let store = PostgresStore::connect(&url, StoreLimits::default(), name);
    runtime.block_on(store).unwrap()
}

fn queue(number: u8) -> NewQueue {
    NewQueue {
        recipient: RecipientId([number; 24]),
        sender: SenderId([number | 0x80; 24]),
        recipient_key: [number; 32],
    }
}

const BLOCK: [u8; BLOCK_BYTES] = [7; BLOCK_BYTES];

#[test]
fn a_database_conforms() {
    let Some((server, runtime)) = server() else {
        return;
    };
    let name = Cell::new(0);
    conformance::check(|limits| {
        name.set(name.get() + 1);
        let mut store = connect(&server, &runtime, name.get());
        store.limits = limits;
        // A rule begins with an empty store.
        store.rows("DELETE FROM hullo_relay.queue", &[]).unwrap();
        store.commit().unwrap();
        store
    });
}

#[test]
fn two_relays_share_queues_and_hear_of_one_another() {
    let Some((server, runtime)) = server() else {
        return;
    };
    let (mut first, mut second) = (connect(&server, &runtime, 1), connect(&server, &runtime, 2));
    let mut news = second.elsewhere().unwrap();
    let mut next = || runtime.block_on(async { timeout(COMMAND_TIME_MAX, news.recv()).await });
    assert_eq!(
        next().unwrap(),
        Some(Elsewhere::Anything),
        "before it listened"
    );
    first.create(NOW, queue(1)).unwrap();
    first.secure(queue(1).sender, [5; 32]).unwrap();
    first.push(NOW, queue(1).sender, &BLOCK).unwrap();
    first.commit().unwrap();
    assert_eq!(next().unwrap(), Some(Elsewhere::Stored(queue(1).recipient)));
    assert_eq!(
        second.waiting(queue(1).recipient, None, 9).unwrap().len(),
        1
    );
    second.commit().unwrap();
    first.subscribed(NOW, queue(1).recipient).unwrap();
    first.commit().unwrap();
    assert_eq!(
        next().unwrap(),
        Some(Elsewhere::Subscribed(queue(1).recipient))
    );
    let code = {
        first.create(NOW, queue(2)).unwrap();
        first.publish(NOW, queue(2).recipient, 7).unwrap()
    };
    first.commit().unwrap();
    assert_eq!(second.claim(NOW, code, [6; 32]).unwrap(), queue(2).sender);
    second.commit().unwrap();
    assert_eq!(first.sender_key(queue(2).sender).unwrap(), Some([6; 32]));
}

#[test]
fn a_lost_database_refuses_is_found_again_and_has_lost_nothing() {
    let Some((mut server, runtime)) = server() else {
        return;
    };
    let mut store = connect(&server, &runtime, 1);
    store.create(NOW, queue(1)).unwrap();
    store.commit().unwrap();
    store.push(NOW, queue(1).sender, &BLOCK).unwrap();
    server.crash();
    assert!(store.commit().is_err(), "not durable, so not confirmed");
    assert!(matches!(
        store.recipient_key(queue(1).recipient),
        Err(StoreError::Failed(_))
    ));
    assert!(store.commit().is_err());
    let mut current = store.link.current.clone();
    runtime
        .block_on(async { timeout(COMMAND_TIME_MAX, current.wait_for(Option::is_none)).await })
        .unwrap()
        .unwrap();
    server.resume().unwrap();
    runtime
        .block_on(async { timeout(COMMAND_TIME_MAX, current.wait_for(Option::is_some)).await })
        .unwrap()
        .unwrap();
    assert!(
        store
            .waiting(queue(1).recipient, None, 9)
            .unwrap()
            .is_empty()
    );
    store.push(NOW, queue(1).sender, &BLOCK).unwrap();
    store.commit().unwrap();
    assert_eq!(store.waiting(queue(1).recipient, None, 9).unwrap().len(), 1);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let Some((server, runtime)) = server() else {
        return;
    };
    let mut store = connect(&server, &runtime, 1);
    let sql = "UPDATE hullo_relay.version SET schema_version = 2";
    store.rows(sql, &[]).unwrap();
    store.commit().unwrap();
    let url = server.url();
    let again = PostgresStore::connect(&url, StoreLimits::default(), 2);
    let error = runtime.block_on(again).err().unwrap();
    assert!(matches!(error, ConnectError::Newer(2)), "{error}");
}

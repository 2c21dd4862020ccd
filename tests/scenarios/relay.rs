//! The relay as a process: killed, stopped, misled, and read by its operator.

use std::io::Write;
use std::path::Path;

use hullo_tests::relay::killing::Killing;
use hullo_tests::relay::postgres::PostgresServer;

mod operator;
mod stopping;

/// The whole program.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hullo-under-test"))
}

/// A database server, or words on why there is none: then the test is skipped, and says so past the capture.
fn postgres(settings: &[&str]) -> Option<PostgresServer> {
    PostgresServer::start(settings)
        .map_err(|reason| {
            let _ = writeln!(std::io::stderr(), "{reason}");
        })
        .ok()
}

/// Enough to hit a relay between a commit and its answers; the benchmark does two hundred.
const KILLING: Killing = Killing {
    kills: 6,
    clients: 8,
    blocks: 320,
    relays: 1,
    seed: 4,
};

#[test]
fn a_killed_relay_with_a_file_loses_doubles_and_reorders_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("relay.db").display().to_string();
    let outcome = KILLING
        .run(program(), &store, folder.path())
        .expect("relays start");
    assert_eq!(outcome.faults, Vec::<String>::new());
    assert_eq!(outcome.shown, KILLING.blocks);
    assert!(outcome.connections > KILLING.clients as u64, "{outcome:?}");
}

#[test]
fn killed_relays_on_one_database_lose_double_and_reorder_nothing() {
    let Some(server) = postgres(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let killing = Killing {
        relays: 2,
        ..KILLING
    };
    let outcome = killing
        .run(program(), &server.url(), folder.path())
        .expect("relays start");
    assert_eq!(outcome.faults, Vec::<String>::new());
    assert_eq!(outcome.shown, killing.blocks);
    assert!(outcome.connections > killing.clients as u64, "{outcome:?}");
}

//! The relay, judged: throughput beside a bare insert loop, latency at half of it, what an idle connection costs, and,
//! with the argument `kill`, relays killed under a crowd.
//!
//! `cargo bench -p hullo-tests --bench relay [-- kill]`; docs/benchmarks.md says what is measured and how.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{BLOCK_BYTES, Command};
use hullo_relay::mailbox::{AddressLimits, ConnectionLimits, Limits};
use hullo_relay::server::{Options, Relay, serve_router};
use hullo_relay::store::sqlite::{SqliteStore, Synchronous};
use hullo_relay::store::{Store, StoreLimits};
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};
use hullo_tests::relay::client::Client;
use hullo_tests::relay::killing::Killing;
use hullo_tests::relay::load::{Load, Pace};
use hullo_tests::relay::postgres::PostgresServer;
use hullo_tests::relay::process::RelayProcess;
use hullo_tests::relay::tls::Identity;
use rusqlite::Connection;
use tokio::net::TcpListener;

/// Both of the relay's file store and of the bare loop.
const SYNCHRONOUS: &str = "FULL";
/// Each measurement.
const LENGTH: Duration = Duration::from_secs(8);
/// Connections in pairs, and the queues among them.
const PAIRS: usize = 40;
const QUEUES: usize = 1000;
/// Inserts per transaction of the second bare loop: a batch such as the relay makes under load.
const BATCH: usize = 32;
/// Connections that do nothing.
const IDLE: usize = 1000;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("relay runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let judged = if std::env::args().any(|argument| argument == "kill") {
        kill()
    } else {
        measure()
    };
    match judged {
        Ok(points) => {
            say(&table(&points));
            let good = points.iter().all(|point| point.verdict != Verdict::Fail);
            if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(failure) => {
            say(&format!("relay: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hullo-under-test"))
}

fn measure() -> Result<Vec<Point>, Failure> {
    let folder = tempfile::tempdir()?;
    say(&format!("bare loops, synchronous = {SYNCHRONOUS}"));
    let single = bare_loop(&folder.path().join("single.db"), 1)?;
    let batched = bare_loop(&folder.path().join("batched.db"), BATCH)?;
    say(&format!(
        "{single:.0} blocks/s alone, {batched:.0} in batches of {BATCH}"
    ));
    let mut points = Vec::new();
    let store = || {
        let path = folder.path().join("relay.db");
        SqliteStore::open(&path, Synchronous::Full, roomy())
    };
    points.extend(judge("file", single, batched, load(store()?)?));
    match PostgresServer::start(&[]) {
        Ok(server) => points.extend(judge_postgres(&server)?),
        Err(reason) => say(&reason.to_string()),
    }
    points.push(idle(folder.path())?);
    Ok(points)
}

/// Rates and latencies of a store under load.
struct Loaded {
    flood: f64,
    flood_p99_ms: Option<f64>,
    half: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

fn judge(store: &str, single: f64, batched: f64, loaded: Loaded) -> Vec<Point> {
    let Loaded {
        flood,
        flood_p99_ms,
        half,
        p50_ms,
        p99_ms,
    } = loaded;
    say(&format!(
        "{store}: {flood:.0} blocks/s through the relay = {:.0} % of the bare loop, {:.0} % of the batched one (p99 {flood_p99_ms:.1?} ms); \
         at {half:.0}/s p50 {p50_ms:.1?} ms, p99 {p99_ms:.1?} ms",
        100.0 * flood / single,
        100.0 * flood / batched,
    ));
    let share = 100.0 * flood / single;
    vec![
        Point::judge(
            &format!("{store}: throughput of bare inserts"),
            "%",
            Bar::AtLeast(35.0),
            &[("", Some(share))],
        ),
        Point::judge(
            &format!("{store}: p99 at half of it"),
            "ms",
            Bar::AtMost(50.0),
            &[("", p99_ms)],
        ),
    ]
}

/// Inserts of blocks and nothing else, into a table like the relay's, with its settings. Blocks a second.
fn bare_loop(path: &Path, batch: usize) -> Result<f64, Failure> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", SYNCHRONOUS)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
    connection.execute_batch(
        "CREATE TABLE message (place INTEGER PRIMARY KEY, stored_at_ms INTEGER NOT NULL, block BLOB NOT NULL) STRICT",
    )?;
    let block = [0x5e_u8; BLOCK_BYTES];
    let started = Instant::now();
    let mut stored = 0_i64;
    while started.elapsed() < LENGTH / 2 {
        let transaction = connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO message VALUES (?1, ?2, ?3)")?;
            for _ in 0..batch {
                stored += 1;
                insert.execute((stored, 1_790_000_000_000_i64, &block[..]))?;
            }
        }
        transaction.commit()?;
    }
    // `as`: thousands.
    Ok(stored as f64 / started.elapsed().as_secs_f64())
}

/// All load comes from this one machine: limits per address and connection would judge the bench, not the relay.
fn unlimited() -> Limits {
    Limits {
        connection: ConnectionLimits {
            created_max: usize::MAX,
            burst_commands: 1_000_000,
            commands_per_second: 1_000_000,
            ..ConnectionLimits::default()
        },
        address: AddressLimits {
            created_per_hour: 1_000_000,
            burst_commands: 1_000_000,
            commands_per_second: 1_000_000,
            ..AddressLimits::default()
        },
    }
}

fn roomy() -> StoreLimits {
    StoreLimits {
        messages_max: 1_000_000,
        ..StoreLimits::default()
    }
}

/// A relay on this store in this process, over real sockets and TLS, and clients beside it on the same cores.
fn load(store: impl Store + 'static) -> Result<Loaded, Failure> {
    let identity = Identity::new();
    let served = runtime()?;
    let relay = served.block_on(async {
        let options = Options {
            limits: unlimited(),
            ..Options::new([1; 32])
        };
        Relay::start(store, &options)
    })?;
    let listener = served.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    served.spawn(serve_router(
        listener,
        identity.server(),
        relay.router(),
        std::future::pending(),
    ));
    let clients = runtime()?;
    let loaded = clients.block_on(async {
        let mut load = Load::prepare(address, &identity.client(), PAIRS, QUEUES).await?;
        let flood = load.run(Pace::Flood, LENGTH).await?;
        let pace = Pace::PerSecond(flood.rate / 2.0);
        let half = load.run(pace, LENGTH).await?;
        Ok::<_, io::Error>(Loaded {
            flood: flood.rate,
            flood_p99_ms: flood.quantile_ms(0.99),
            half: half.rate,
            p50_ms: half.quantile_ms(0.5),
            p99_ms: half.quantile_ms(0.99),
        })
    })?;
    clients.shutdown_background();
    served.block_on(relay.stop());
    Ok(loaded)
}

fn judge_postgres(server: &PostgresServer) -> Result<Vec<Point>, Failure> {
    let runtime = runtime()?;
    let (single, batched) = runtime.block_on(bare_postgres(&server.url()))?;
    say(&format!(
        "PostgreSQL: {single:.0} blocks/s alone, {batched:.0} in batches of {BATCH}"
    ));
    let url = server.url();
    let store = hullo_relay::store::PostgresStore::connect(&url, roomy(), 1);
    let store = runtime.block_on(store)?;
    Ok(judge("PostgreSQL", single, batched, load(store)?))
}

/// The same loops on the database server: one insert a transaction, and a batch of them.
async fn bare_postgres(url: &str) -> Result<(f64, f64), Failure> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE bare (place bigint PRIMARY KEY, stored_at_ms bigint NOT NULL, block bytea NOT NULL); \
             ALTER TABLE bare ALTER COLUMN block SET STORAGE EXTERNAL",
        )
        .await?;
    let insert = client
        .prepare("INSERT INTO bare VALUES ($1, $2, $3)")
        .await?;
    let block = [0x5e_u8; BLOCK_BYTES];
    let mut rates = [0.0; 2];
    let mut place = 0_i64;
    for (rate, batch) in rates.iter_mut().zip([1, BATCH]) {
        let (started, before) = (Instant::now(), place);
        while started.elapsed() < LENGTH / 2 {
            client.batch_execute("BEGIN").await?;
            for _ in 0..batch {
                place += 1;
                let now = 1_790_000_000_000_i64;
                client
                    .execute(&insert, &[&place, &now, &block.as_slice()])
                    .await?;
            }
            client.batch_execute("COMMIT").await?;
        }
        *rate = (place - before) as f64 / started.elapsed().as_secs_f64();
    }
    client.batch_execute("DROP TABLE bare").await?;
    Ok((rates[0], rates[1]))
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// What the program's resident memory grows by with connections that subscribed to one queue and fell silent.
fn idle(folder: &Path) -> Result<Point, Failure> {
    let identity = Identity::new();
    let store = folder.join("idle.db").display().to_string();
    let relay = RelayProcess::start(program(), &folder.join("idle"), &store, &identity)?;
    let (tls, key) = (
        identity.client(),
        ed25519_dalek::SigningKey::from_bytes(&[3; 32]),
    );
    let runtime = runtime()?;
    let mut clients = Vec::new();
    let mut before = 0;
    for number in 0..=IDLE {
        // The first one pays for what all share.
        if number == 1 {
            before = resident_bytes(relay.id())?;
        }
        let [high, low] = u16::try_from(number)?.to_be_bytes();
        let from = IpAddr::from(Ipv4Addr::new(127, 3, high, low));
        clients.push(runtime.block_on(async {
            let mut client = Client::connect(from, relay.address(), &tls).await?;
            let (recipient, _) = client.create(&key).await?;
            let subscribe = Command::Subscribe { recipient };
            client.ok(&key, &subscribe).await?;
            Ok::<_, io::Error>(client)
        })?);
    }
    let grown = resident_bytes(relay.id())?.saturating_sub(before);
    let each = grown as f64 / IDLE as f64 / 1000.0;
    say(&format!("{IDLE} idle connections: {each:.1} kB each"));
    Ok(Point::judge(
        "an idle connection",
        "kB",
        Bar::AtMost(50.0),
        &[("", Some(each))],
    ))
}

fn resident_bytes(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next());
    Ok(kib.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
}

/// Two hundred kills, fifty clients, twenty thousand blocks, on each store.
fn kill() -> Result<Vec<Point>, Failure> {
    let folder = tempfile::tempdir()?;
    let killing = Killing {
        kills: 200,
        clients: 50,
        blocks: 20_000,
        relays: 1,
        seed: 4,
    };
    let store = folder.path().join("relay.db").display().to_string();
    let mut points = vec![judge_kills("file", killing, &store, folder.path())?];
    match PostgresServer::start(&[]) {
        Ok(server) => {
            let killing = Killing {
                relays: 2,
                ..killing
            };
            let (name, store) = ("PostgreSQL, 2 relays", server.url());
            points.push(judge_kills(name, killing, &store, folder.path())?);
        }
        Err(reason) => say(&reason.to_string()),
    }
    Ok(points)
}

fn judge_kills(name: &str, killing: Killing, store: &str, folder: &Path) -> Result<Point, Failure> {
    let started = Instant::now();
    let outcome = killing.run(program(), store, folder)?;
    for fault in outcome.faults.iter().take(20) {
        say(fault);
    }
    say(&format!(
        "{name}: {} kills in {:.0} s, {} of {} blocks shown, {} sent again for want of an answer, {} connections",
        killing.kills,
        started.elapsed().as_secs_f64(),
        outcome.shown,
        killing.blocks,
        outcome.resent,
        outcome.connections,
    ));
    let missing = killing.blocks - outcome.shown.min(killing.blocks);
    let faults = outcome.faults.len() as f64 + missing as f64;
    Ok(Point::judge(
        &format!("{name}: blocks lost, doubled, late"),
        "",
        Bar::AtMost(0.0),
        &[("", Some(faults))],
    ))
}

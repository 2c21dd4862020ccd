//! What an operator finds who reads everything the relay has: nothing but queue ids, their keys, and blocks of one size.

use ed25519_dalek::SigningKey;
use hullo_proto::service::relay::{BLOCK_BYTES, Command};
use hullo_tests::relay::client::Client;
use hullo_tests::relay::process::RelayProcess;
use hullo_tests::relay::tls::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{postgres, program};

const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// As it would stand in a database: text, or the four bytes.
const ADDRESS: [&[u8]; 2] = [b"127.0.0.1", &[127, 0, 0, 1]];

/// One page of the relay, by hand: no HTTP library of the tests'.
async fn page(relay: &RelayProcess, identity: &Identity, path: &str) -> String {
    let tcp = tokio::net::TcpStream::connect(relay.address())
        .await
        .expect("up");
    let name =
        rustls::pki_types::ServerName::try_from(hullo_tests::relay::tls::NAME).expect("a name");
    let tls = tokio_rustls::TlsConnector::from(identity.client());
    let mut stream = tls.connect(name, tcp).await.expect("TLS");
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // Closing without TLS's own farewell is as good an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

/// Two queues with two blocks each, one of them acknowledged, and a code; what the relay then says of itself.
async fn exchange(relay: &RelayProcess, identity: &Identity) -> (Vec<Vec<u8>>, String) {
    let tls = identity.client();
    let mut client = Client::connect(HOME, relay.address(), &tls)
        .await
        .expect("up");
    let mut known = Vec::new();
    for seed in [1, 2] {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let (recipient, sender) = client.create(&key).await.expect("created");
        let sender_key = key.verifying_key().to_bytes();
        let publish = Command::Publish { recipient };
        let published = client.ask(&key, &publish).await.expect("answered");
        assert!(matches!(
            published,
            hullo_tests::relay::client::Answer::Done(_)
        ));
        let secure = Command::Secure { sender, sender_key };
        client.ok(&key, &secure).await.expect("secured");
        for first in 0..2 {
            let mut block = [0x5e; BLOCK_BYTES];
            block[0] = first;
            let block = &block;
            let send = Command::Send { sender, block };
            client.ok(&key, &send).await.expect("stored");
        }
        known.extend([recipient.0.to_vec(), sender.0.to_vec(), sender_key.to_vec()]);
        known.push(key.to_bytes().to_vec());
    }
    (known, page(relay, identity, "/metrics").await)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn check_metrics(metrics: &str, known: &[Vec<u8>]) {
    assert!(
        metrics.contains("hullo_relay_blocks_received_total 4\n"),
        "{metrics}"
    );
    for secret in known {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!contains(metrics.as_bytes(), secret) && !metrics.contains(&hex[..8]));
    }
    assert!(
        !metrics.contains("127.") && !metrics.contains('{'),
        "{metrics}"
    );
}

#[test]
fn the_file_and_the_metrics_tell_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relay.db");
    let identity = Identity::new();
    let store = path.display().to_string();
    let mut relay =
        RelayProcess::start(program(), folder.path(), &store, &identity).expect("it starts");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (known, metrics) = runtime.block_on(exchange(&relay, &identity));
    check_metrics(&metrics, &known);
    relay.stop().expect("it ends");
    let file = std::fs::read(&path).expect("the file");
    for address in ADDRESS {
        assert!(!contains(&file, address), "an address in the file");
    }
    for queue in known.chunks(4) {
        assert!(!contains(&file, &queue[3]), "a secret key in the file");
    }
    let database = rusqlite::Connection::open(&path).expect("a database");
    let columns = columns(&database);
    let allowed = [
        "code.number",
        "code.queue",
        "code.until_ms",
        "message.block",
        "message.place",
        "message.stored_at_ms",
        "queue.next_id",
        "queue.number",
        "queue.read_at_ms",
        "queue.recipient",
        "queue.recipient_key",
        "queue.sender",
        "queue.sender_key",
    ];
    assert_eq!(columns, allowed, "a new column must be thought about here");
    let sizes: (i64, i64, i64) = database
        .query_row(
            "SELECT count(*), min(length(block)), max(length(block)) FROM message",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("rows");
    assert_eq!(sizes, (4, BLOCK_BYTES as i64, BLOCK_BYTES as i64));
}

fn columns(database: &rusqlite::Connection) -> Vec<String> {
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1";
    let mut statement = database.prepare(sql).expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("names")
}

#[test]
fn the_database_tells_nothing() {
    let Some(server) = postgres(&["fsync=off"]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let identity = Identity::new();
    let relay =
        RelayProcess::start(program(), folder.path(), &server.url(), &identity).expect("it starts");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (known, metrics) = exchange(&relay, &identity).await;
        check_metrics(&metrics, &known);
        let connected = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("the database");
        tokio::spawn(connection);
        let sql = "SELECT table_name || '.' || column_name AS name FROM information_schema.columns \
             WHERE table_schema = 'hullo_relay' ORDER BY 1";
        let rows = client.query(sql, &[]).await.expect("rows");
        let columns: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let allowed = [
            "code.number",
            "code.recipient",
            "code.until_ms",
            "message.block",
            "message.id",
            "message.recipient",
            "message.stored_at_ms",
            "queue.next_id",
            "queue.read_at_ms",
            "queue.recipient",
            "queue.recipient_key",
            "queue.sender",
            "queue.sender_key",
            "version.schema_version",
        ];
        assert_eq!(columns, allowed, "a new column must be thought about here");
        let sql =
            "SELECT count(*), min(length(block)), max(length(block)) FROM hullo_relay.message";
        let row = client.query_one(sql, &[]).await.expect("a row");
        let size = BLOCK_BYTES as i32;
        assert_eq!(
            (row.get::<_, i64>(0), row.get(1), row.get(2)),
            (4, size, size)
        );
    });
}

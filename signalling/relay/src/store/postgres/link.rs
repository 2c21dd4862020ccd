//! The connection to the database server: made again when it is lost, and listening to other relays.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hullo_proto::service::relay::{QUEUE_ID_BYTES, RecipientId};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use crate::store::Elsewhere;

/// Of the tables in `schema.sql`.
const SCHEMA_VERSION: i64 = 1;
/// A server that does not answer by then is not there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The first pause before connecting again; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// A database that restarts is found again within seconds.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// News of other relays not yet looked at; more are replaced by [`Elsewhere::Anything`].
const NEWS_MAX: usize = 1024;
/// The server's own limits for one of our sessions: a relay that hangs in the middle of a batch must not hold
/// its rows against others, and no command of ours takes seconds.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '3s'; \
     SET statement_timeout = '5s'; SET client_min_messages = warning; LISTEN hullo_relay";

/// Why there is no store: for the operator to mend.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Not a `postgres://` URL.
    #[error(
        "the database's URL is not understood: {0}. It looks like postgres://user@host/database, or postgres:///database?host=/run/postgresql"
    )]
    Url(String),
    /// Passwords and queue ids would travel readable.
    #[error(
        "the database is on another machine, and this program speaks to it unencrypted: reach it by a tunnel on this machine, or, on a network that is yours alone, say so with ?sslmode=disable"
    )]
    Unencrypted,
    /// No server, no rights, no database.
    #[error("the database cannot be used: {0}")]
    Server(String),
    /// It did not answer.
    #[error("the database server does not answer: is it running, and is the URL right?")]
    Silent,
    /// Made by a later release.
    #[error(
        "the database was written by a newer version of hullo (schema {0}; this one knows {SCHEMA_VERSION}): install that version again. Nothing was changed"
    )]
    Newer(i64),
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(words(&error))
    }
}

/// The server's own words where it has some: the error's say only where it happened.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Reads the URL and refuses what would be sent readable over a network.
pub(super) fn parse(url: &str) -> Result<Config, ConnectError> {
    let mut config: Config = url
        .parse()
        .map_err(|error| ConnectError::Url(words(&error)))?;
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    };
    if config.get_hosts().is_empty() {
        return Err(ConnectError::Url("it names no host".to_owned()));
    }
    if config.get_ssl_mode() != SslMode::Disable && !config.get_hosts().iter().all(local) {
        return Err(ConnectError::Unencrypted);
    }
    config
        .ssl_mode(SslMode::Disable)
        .application_name("hullo-relay")
        .connect_timeout(CONNECT_TIME_MAX);
    Ok(config)
}

/// Makes the tables when there are none.
pub(super) async fn prepare(config: &Config) -> Result<(), ConnectError> {
    let (client, connection) = connect(config).await?;
    let driver = tokio::spawn(connection);
    let prepared = prepare_tables(&client).await;
    drop(client);
    // An error of the connection was an error of the commands, too.
    let _ = driver.await;
    prepared
}

async fn connect(
    config: &Config,
) -> Result<(Client, Connection<Socket, tokio_postgres::tls::NoTlsStream>), ConnectError> {
    let connected = timeout(CONNECT_TIME_MAX, config.connect(NoTls)).await;
    Ok(connected.map_err(|_| ConnectError::Silent)??)
}

async fn prepare_tables(client: &Client) -> Result<(), ConnectError> {
    // Two relays that start at once: the second waits and finds the tables made.
    client
        .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7020584510000000001)")
        .await?;
    let exists = client
        .query_one("SELECT to_regclass('hullo_relay.version') IS NOT NULL", &[])
        .await?;
    if !exists.get::<_, bool>(0) {
        client
            .batch_execute("CREATE SCHEMA IF NOT EXISTS hullo_relay")
            .await?;
        client.batch_execute(include_str!("schema.sql")).await?;
    }
    let version = client
        .query_one("SELECT schema_version FROM hullo_relay.version", &[])
        .await?;
    let found: i64 = version.get(0);
    if found > SCHEMA_VERSION {
        return Err(ConnectError::Newer(found));
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// The store's end: the connection of the moment, if there is one.
pub(super) struct Link {
    pub(super) current: watch::Receiver<Option<Arc<Client>>>,
    /// Told when a connection hangs: it is then given up for a new one.
    pub(super) given_up: Arc<Notify>,
    pub(super) news: Option<mpsc::Receiver<Elsewhere>>,
}

impl Link {
    /// Starts the task that keeps a connection, until the link is dropped. `instance` marks our own news.
    pub(super) fn start(config: Config, instance: String) -> Self {
        let (set_current, current) = watch::channel(None);
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let given_up = Arc::new(Notify::new());
        let keeper = Keeper {
            config,
            instance,
            current: set_current,
            given_up: Arc::clone(&given_up),
            news: sender,
            missed: AtomicBool::new(false),
        };
        tokio::spawn(keeper.keep());
        Self {
            current,
            given_up,
            news: Some(news),
        }
    }
}

struct Keeper {
    config: Config,
    instance: String,
    current: watch::Sender<Option<Arc<Client>>>,
    given_up: Arc<Notify>,
    news: mpsc::Sender<Elsewhere>,
    /// News was thrown away since the last time there was room.
    missed: AtomicBool,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = RETRY_FIRST;
        while !self.current.is_closed() {
            match connect(&self.config).await {
                Ok((client, connection)) => {
                    if self.serve(client, connection).await {
                        pause = RETRY_FIRST;
                    }
                    tracing::warn!(
                        "the connection to the database is lost; clients are refused until it is back"
                    );
                }
                Err(error) => tracing::warn!(%error, "the database is not there"),
            }
            self.current.send_replace(None);
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                () = self.current.closed() => {}
            }
        }
    }

    /// Until the connection ends or is given up; whether it was ever of use.
    async fn serve(
        &self,
        client: Client,
        mut connection: Connection<Socket, tokio_postgres::tls::NoTlsStream>,
    ) -> bool {
        let client = Arc::new(client);
        let begun = AtomicBool::new(false);
        let begin = async {
            if let Err(error) = client.batch_execute(SESSION).await {
                tracing::warn!(
                    error = words(&error),
                    "the database session cannot be set up"
                );
                return;
            }
            begun.store(true, Ordering::Relaxed);
            // Before this connection listened, nobody did.
            self.tell(Elsewhere::Anything);
            self.current.send_replace(Some(Arc::clone(&client)));
            tokio::select! {
                () = self.given_up.notified() => {}
                () = self.current.closed() => {}
            }
        };
        let drive = async {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(news))) => self.hear(news.payload()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::debug!(error = words(&error), "the connection to the database");
                        break;
                    }
                    None => break,
                }
            }
        };
        tokio::select! {
            () = begin => {}
            () = drive => {}
        }
        begun.load(Ordering::Relaxed)
    }

    fn hear(&self, payload: &str) {
        match read_news(payload) {
            Some((instance, _)) if instance == self.instance => {}
            Some((_, news)) => self.tell(news),
            None => tracing::warn!("another program writes into the relays' channel"),
        }
    }

    /// Never waits: who waits for the mailbox here would keep the mailbox from its database.
    fn tell(&self, news: Elsewhere) {
        let missed = self.missed.swap(false, Ordering::Relaxed);
        let news = if missed { Elsewhere::Anything } else { news };
        if self.news.try_send(news).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}

/// What one relay tells the others: its instance, what happened, and to which queue.
pub(super) fn write_news(instance: &str, news: Elsewhere) -> String {
    let (kind, recipient) = match news {
        Elsewhere::Stored(recipient) => ('m', recipient.0),
        Elsewhere::Subscribed(recipient) => ('s', recipient.0),
        Elsewhere::Anything => ('a', [0; QUEUE_ID_BYTES]),
    };
    let mut text = format!("{instance}{kind}");
    for byte in recipient {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Hexadecimal digits of an instance.
pub(super) const INSTANCE_DIGITS: usize = 16;

fn read_news(payload: &str) -> Option<(&str, Elsewhere)> {
    let (instance, rest) = payload.split_at_checked(INSTANCE_DIGITS)?;
    let (kind, digits) = rest.split_at_checked(1)?;
    if digits.len() != 2 * QUEUE_ID_BYTES || !digits.is_ascii() {
        return None;
    }
    let mut id = [0; QUEUE_ID_BYTES];
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    let news = match kind {
        "m" => Elsewhere::Stored(RecipientId(id)),
        "s" => Elsewhere::Subscribed(RecipientId(id)),
        "a" => Elsewhere::Anything,
        _ => return None,
    };
    Some((instance, news))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_read_as_written_and_nothing_else_is() {
        let instance = "0123456789abcdef";
        let recipient = RecipientId(std::array::from_fn(|at| at as u8 * 9));
        for news in [
            Elsewhere::Stored(recipient),
            Elsewhere::Subscribed(recipient),
        ] {
            let text = write_news(instance, news);
            assert_eq!(read_news(&text), Some((instance, news)));
            assert_eq!(read_news(&text[1..]), None);
            assert_eq!(read_news(&text.replace(&text[17..19], "é")), None);
        }
        for other in ["", "hello", "0123456789abcdefé"] {
            assert_eq!(read_news(other), None);
        }
    }

    #[test]
    fn a_database_elsewhere_is_reached_readably_only_when_asked_for() {
        let refused = |url| matches!(parse(url), Err(ConnectError::Unencrypted));
        assert!(refused("postgres://relay@db.example/hullo"));
        assert!(refused("postgres://relay@10.0.0.1/hullo"));
        assert!(!refused(
            "postgres://relay@db.example/hullo?sslmode=disable"
        ));
        for local in [
            "postgres://relay@127.0.0.1/hullo",
            "postgres:///hullo?host=/run/postgresql",
            "postgres://relay@localhost:5433/hullo",
        ] {
            assert!(parse(local).is_ok(), "{local}");
        }
        assert!(matches!(parse("mysql://"), Err(ConnectError::Url(_))));
    }
}

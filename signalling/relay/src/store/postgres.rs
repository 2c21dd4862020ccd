//! The store in a PostgreSQL database, which several relays may share.
//!
//! All commands of a batch are one transaction, as in the file store, and a commit is as durable as the server's
//! `synchronous_commit` makes it (its default, `on`, waits for the disk and for a synchronous standby if there is one).
//! Relays tell one another by NOTIFY, inside the transaction, so that the news comes with the block and never before it.
//!
//! While the database is away every command fails; the mailbox refuses its client with *Storage*, who tries again.
//! Two relays that push to the same queues in opposite order at once would block one another; the server ends that by
//! failing one batch, whose clients try again. A queue has one writer, so it takes one that moves between relays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hullo_proto::service::relay::{BLOCK_BYTES, CodeNumber, MessageId, RecipientId, SenderId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::{
    Block, Elsewhere, NewQueue, Store, StoreError, StoreLimits, StoredMessage, free_number,
};
use count::RowCount;
use link::{INSTANCE_DIGITS, Link, write_news};

pub use link::ConnectError;

mod count;
mod link;
#[cfg(test)]
mod tests;

/// Longest wait for one command; beyond it the connection is given up and the batch refused. More than the server's
/// own limits, so that its words come first.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(8);
/// Another relay may take the chosen code number in the same instant: so often is another chosen.
const PUBLISH_TRIES_MAX: u64 = 8;
/// "When was it read last" is kept to this part of the time after which an unread queue is forgotten (two hours).
const READ_GRAINS: u32 = 1000;

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Queues in a database server. Its commands wait for the network: never to be called on a runtime's own threads.
pub struct PostgresStore {
    runtime: Handle,
    link: Link,
    instance: String,
    limits: StoreLimits,
    session: Option<Session>,
    batch: Batch,
    /// To be told with the commit.
    news: Vec<String>,
    queues: RowCount,
    messages: RowCount,
}

/// One connection and what was prepared on it.
struct Session {
    client: Arc<Client>,
    prepared: HashMap<&'static str, Statement>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Batch {
    None,
    Open,
    /// A command failed: the server undoes all of the batch.
    Broken,
}

impl PostgresStore {
    /// Connects, makes the tables when there are none, and keeps a connection from then on. On a tokio runtime;
    /// `name` is random and tells this relay's news from that of others.
    ///
    /// # Errors
    /// See [`ConnectError`]: the operator's to mend.
    pub async fn connect(url: &str, limits: StoreLimits, name: u64) -> Result<Self, ConnectError> {
        let config = link::parse(url)?;
        link::prepare(&config).await?;
        let instance = format!("{name:0width$x}", width = INSTANCE_DIGITS);
        let mut link = Link::start(config, instance.clone());
        let connected = link.current.wait_for(Option::is_some);
        match timeout(COMMAND_TIME_MAX, connected).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(ConnectError::Silent),
        }
        Ok(Self {
            runtime: Handle::current(),
            link,
            instance,
            limits,
            session: None,
            batch: Batch::None,
            news: Vec::new(),
            queues: RowCount::new("SELECT count(*) FROM hullo_relay.queue"),
            messages: RowCount::new("SELECT count(*) FROM hullo_relay.message"),
        })
    }

    /// Runs one command in the batch's transaction.
    fn rows(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.begin()?;
        self.run(async |session| {
            let statement = session.statement(sql).await?;
            session.client.query(&statement, params).await
        })
    }

    fn row(&mut self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        match self.batch {
            Batch::Open => return Ok(()),
            Batch::Broken => {
                return Err(StoreError::Failed(
                    "an earlier command of the batch failed".to_owned(),
                ));
            }
            Batch::None => {}
        }
        let current = self.link.current.borrow().clone();
        let Some(client) = current.filter(|client| !client.is_closed()) else {
            self.session = None;
            self.batch = Batch::Broken;
            return Err(StoreError::Failed(
                "the database server is away; connecting again".to_owned(),
            ));
        };
        let known = self
            .session
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(&session.client, &client));
        if !known {
            self.session = Some(Session {
                client,
                prepared: HashMap::new(),
            });
        }
        self.batch = Batch::Open;
        self.run(async |session| session.client.batch_execute("BEGIN").await)
    }

    fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(session) = &mut self.session else {
            return Err(StoreError::Failed("there is no session".to_owned()));
        };
        let done = self
            .runtime
            .block_on(async { timeout(COMMAND_TIME_MAX, work(session)).await });
        let failure = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => link::words(&error),
            Err(_) => {
                self.link.given_up.notify_one();
                self.session = None;
                "the database server does not answer".to_owned()
            }
        };
        self.batch = Batch::Broken;
        Err(StoreError::Failed(failure))
    }

    /// Whether the table has room for one more row.
    fn has_room(
        &mut self,
        now: Duration,
        table: Table,
        rows_max: usize,
    ) -> Result<bool, StoreError> {
        let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
        if let Some(sql) = self.count(table).stale(now, rows_max) {
            let rows = self.row(sql, &[])?.map_or(0, |row| row.get(0));
            self.count(table).set(now, rows);
        }
        Ok(self.count(table).rows() < rows_max)
    }

    fn count(&mut self, table: Table) -> &mut RowCount {
        match table {
            Table::Queue => &mut self.queues,
            Table::Message => &mut self.messages,
        }
    }

    fn tell(&mut self, news: Elsewhere) {
        let news = write_news(&self.instance, news);
        if !self.news.contains(&news) {
            self.news.push(news);
        }
    }

    fn read_grain(&self, now: Duration) -> i64 {
        ms(now) - ms(self.limits.queue_idle_max / READ_GRAINS)
    }
}

#[derive(Clone, Copy)]
enum Table {
    Queue,
    Message,
}

impl Session {
    async fn statement(&mut self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Ids in the database are signed; beyond them there are no messages.
fn id(message: MessageId) -> i64 {
    i64::try_from(message.0).unwrap_or(i64::MAX)
}

fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    let bytes: &[u8] = row
        .try_get(column)
        .map_err(|error| StoreError::Failed(link::words(&error)))?;
    bytes
        .try_into()
        .map_err(|_| StoreError::Failed("a row of the database has a wrong length".to_owned()))
}

impl Store for PostgresStore {
    fn create(&mut self, now: Duration, queue: NewQueue) -> Result<(), StoreError> {
        if !self.has_room(now, Table::Queue, self.limits.queues_max)? {
            return Err(StoreError::TooManyQueues);
        }
        let made = self.row(
            "INSERT INTO hullo_relay.queue (recipient, sender, recipient_key, read_at_ms) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1",
            &[
                &queue.recipient.0.as_slice(),
                &queue.sender.0.as_slice(),
                &queue.recipient_key.as_slice(),
                &ms(now),
            ],
        )?;
        made.ok_or(StoreError::IdTaken)?;
        self.queues.add(1);
        Ok(())
    }

    fn recipient_key(&mut self, recipient: RecipientId) -> Result<[u8; 32], StoreError> {
        let sql = "SELECT recipient_key FROM hullo_relay.queue WHERE recipient = $1";
        let row = self.row(sql, &[&recipient.0.as_slice()])?;
        bytes(&row.ok_or(StoreError::NoQueue)?, 0)
    }

    fn sender_key(&mut self, sender: SenderId) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = "SELECT coalesce(sender_key, ''::bytea) FROM hullo_relay.queue WHERE sender = $1";
        let row = self.row(sql, &[&sender.0.as_slice()])?;
        let row = row.ok_or(StoreError::NoQueue)?;
        if row.get::<_, &[u8]>(0).is_empty() {
            return Ok(None);
        }
        bytes(&row, 0).map(Some)
    }

    fn secure(&mut self, sender: SenderId, key: [u8; 32]) -> Result<(), StoreError> {
        let secured = self.row(
            "UPDATE hullo_relay.queue SET sender_key = $2 \
             WHERE sender = $1 AND (sender_key IS NULL OR sender_key = $2) RETURNING 1",
            &[&sender.0.as_slice(), &key.as_slice()],
        )?;
        match secured {
            Some(_) => Ok(()),
            None => {
                self.sender_key(sender)?;
                Err(StoreError::AlreadySecured)
            }
        }
    }

    fn push(
        &mut self,
        now: Duration,
        sender: SenderId,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<RecipientId, StoreError> {
        let room = self.has_room(now, Table::Message, self.limits.messages_max)?;
        let queue_max = i64::try_from(self.limits.queue_messages_max).unwrap_or(i64::MAX);
        let stored = if room {
            self.row(
                "WITH place AS (UPDATE hullo_relay.queue q SET next_id = next_id + 1 WHERE sender = $1 \
                 AND (SELECT count(*) FROM hullo_relay.message m WHERE m.recipient = q.recipient) < $4 \
                 RETURNING recipient, next_id - 1 AS id) \
                 INSERT INTO hullo_relay.message (recipient, id, stored_at_ms, block) \
                 SELECT recipient, id, $2, $3 FROM place RETURNING recipient",
                &[&sender.0.as_slice(), &ms(now), &block.as_slice(), &queue_max],
            )?
        } else {
            None
        };
        let Some(row) = stored else {
            self.sender_key(sender)?;
            return Err(StoreError::QueueFull);
        };
        let recipient = RecipientId(bytes(&row, 0)?);
        self.messages.add(1);
        self.tell(Elsewhere::Stored(recipient));
        Ok(recipient)
    }

    fn waiting(
        &mut self,
        recipient: RecipientId,
        after: Option<MessageId>,
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let after = after.map_or(0, id);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.rows(
            "SELECT id, stored_at_ms, block FROM hullo_relay.message \
             WHERE recipient = $1 AND id > $2 ORDER BY id LIMIT $3",
            &[&recipient.0.as_slice(), &after, &count],
        )?;
        if rows.is_empty() {
            self.recipient_key(recipient)?;
        }
        let message = |row: &Row| {
            let (id, stored_at_ms): (i64, i64) = (row.get(0), row.get(1));
            Ok(StoredMessage {
                id: MessageId(u64::try_from(id).unwrap_or_default()),
                stored_at: Duration::from_millis(u64::try_from(stored_at_ms).unwrap_or_default()),
                block: Block::new(bytes(row, 2)?),
            })
        };
        rows.iter().map(message).collect()
    }

    fn acknowledge(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        up_to: MessageId,
    ) -> Result<(), StoreError> {
        let row = self.row(
            "WITH gone AS (DELETE FROM hullo_relay.message WHERE recipient = $1 AND id <= $2 RETURNING 1), \
             read AS (UPDATE hullo_relay.queue SET read_at_ms = $3 WHERE recipient = $1 AND read_at_ms <= $4) \
             SELECT (SELECT count(*) FROM gone), \
             EXISTS (SELECT FROM hullo_relay.queue WHERE recipient = $1)",
            &[
                &recipient.0.as_slice(),
                &id(up_to),
                &ms(now),
                &self.read_grain(now),
            ],
        )?;
        let row = row.filter(|row| row.get(1)).ok_or(StoreError::NoQueue)?;
        self.messages.add(-row.get::<_, i64>(0));
        Ok(())
    }

    fn subscribed(&mut self, now: Duration, recipient: RecipientId) -> Result<(), StoreError> {
        self.acknowledge(now, recipient, MessageId(0))?;
        self.tell(Elsewhere::Subscribed(recipient));
        Ok(())
    }

    fn publish(
        &mut self,
        now: Duration,
        recipient: RecipientId,
        draw: u64,
    ) -> Result<CodeNumber, StoreError> {
        let sql =
            "SELECT sender_key IS NOT NULL FROM hullo_relay.queue WHERE recipient = $1 FOR UPDATE";
        let row = self.row(sql, &[&recipient.0.as_slice()])?;
        if row.ok_or(StoreError::NoQueue)?.get(0) {
            return Err(StoreError::AlreadySecured);
        }
        let sql = "DELETE FROM hullo_relay.code WHERE until_ms <= $1 OR recipient = $2";
        self.rows(sql, &[&ms(now), &recipient.0.as_slice()])?;
        let until = ms(now + self.limits.code_time_max);
        for attempt in 0..PUBLISH_TRIES_MAX {
            let rows = self.rows("SELECT number FROM hullo_relay.code ORDER BY number", &[])?;
            let number = |row: &Row| u16::try_from(row.get::<_, i32>(0)).ok().map(CodeNumber);
            let taken: Vec<CodeNumber> = rows.iter().filter_map(number).collect();
            let code =
                free_number(&taken, draw.wrapping_add(attempt)).ok_or(StoreError::TooManyCodes)?;
            let made = self.row(
                "INSERT INTO hullo_relay.code (number, recipient, until_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (number) DO NOTHING RETURNING 1",
                &[&i32::from(code.0), &recipient.0.as_slice(), &until],
            )?;
            if made.is_some() {
                return Ok(code);
            }
        }
        Err(StoreError::TooManyCodes)
    }

    fn claim(
        &mut self,
        now: Duration,
        code: CodeNumber,
        key: [u8; 32],
    ) -> Result<SenderId, StoreError> {
        let spent = self.row(
            "WITH spent AS (DELETE FROM hullo_relay.code WHERE number = $1 RETURNING recipient, until_ms) \
             SELECT sender, until_ms FROM spent JOIN hullo_relay.queue USING (recipient)",
            &[&i32::from(code.0)],
        )?;
        let standing = spent.filter(|row| row.get::<_, i64>(1) > ms(now));
        let sender = SenderId(bytes(&standing.ok_or(StoreError::NoCode)?, 0)?);
        self.secure(sender, key)?;
        Ok(sender)
    }

    fn delete(&mut self, recipient: RecipientId) -> Result<(), StoreError> {
        let sql = "DELETE FROM hullo_relay.message WHERE recipient = $1 RETURNING 1";
        let messages = self.rows(sql, &[&recipient.0.as_slice()])?.len();
        let sql = "DELETE FROM hullo_relay.queue WHERE recipient = $1 RETURNING 1";
        let gone = self.row(sql, &[&recipient.0.as_slice()])?;
        gone.ok_or(StoreError::NoQueue)?;
        self.queues.add(-1);
        self.messages.add(-i64::try_from(messages).unwrap_or(0));
        Ok(())
    }

    fn expire(&mut self, now: Duration) -> Result<usize, StoreError> {
        let before = |age: Duration| ms(now.saturating_sub(age));
        let sql = "DELETE FROM hullo_relay.code WHERE until_ms <= $1";
        self.rows(sql, &[&ms(now)])?;
        let row = self.row(
            "WITH gone AS (DELETE FROM hullo_relay.message WHERE stored_at_ms < $1 RETURNING 1) \
             SELECT count(*) FROM gone",
            &[&before(self.limits.message_age_max)],
        )?;
        let messages: i64 = row.map_or(0, |row| row.get(0));
        let row = self.row(
            "WITH gone AS (DELETE FROM hullo_relay.queue WHERE read_at_ms < $1 RETURNING 1) \
             SELECT count(*) FROM gone",
            &[&before(self.limits.queue_idle_max)],
        )?;
        let queues: i64 = row.map_or(0, |row| row.get(0));
        // What idle queues still held went with them, uncounted.
        self.messages.forget();
        self.queues.forget();
        Ok(usize::try_from(messages + queues).unwrap_or_default())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let news = std::mem::take(&mut self.news);
        let batch = std::mem::replace(&mut self.batch, Batch::None);
        let committed = match batch {
            Batch::None => return Ok(()),
            Batch::Broken => {
                if self.session.is_some() {
                    // Best effort: a session that cannot even do this is found closed by the next batch.
                    let _ =
                        self.run(async |session| session.client.batch_execute("ROLLBACK").await);
                }
                Err(StoreError::Failed("the batch was undone".to_owned()))
            }
            Batch::Open => self.run(async |session| {
                if !news.is_empty() {
                    let sql =
                        "SELECT pg_notify('hullo_relay', news) FROM unnest($1::text[]) AS news";
                    let statement = session.statement(sql).await?;
                    session.client.execute(&statement, &[&news]).await?;
                }
                session.client.batch_execute("COMMIT").await
            }),
        };
        self.batch = Batch::None;
        if committed.is_err() {
            self.messages.forget();
            self.queues.forget();
        }
        committed
    }

    fn elsewhere(&mut self) -> Option<mpsc::Receiver<Elsewhere>> {
        self.link.news.take()
    }
}

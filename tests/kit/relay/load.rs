//! Load on a relay: pairs of connections, one writes to queues that the other reads, acknowledges and times.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hullo_proto::service::relay::{BLOCK_BYTES, Command, RecipientId, Reply, SenderId};
use rustls::ClientConfig;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use super::client::Client;

/// Blocks of one pair on their way when as much as possible is sent: what several queues' windows allow.
const WINDOW_BLOCKS: usize = 16;
/// Longest wait for what was sent last.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Times noted and not yet collected.
const TIMES_MAX: usize = 65_536;

/// How a writer paces itself.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As fast as blocks arrive at their readers.
    Flood,
    /// So many blocks a second, by all writers together, whether or not the former arrived.
    PerSecond(f64),
}

/// Pairs that are connected, with their queues made.
pub struct Load {
    pairs: Vec<Pair>,
    began: Instant,
}

struct Pair {
    writer: Client,
    reader: Client,
    key: SigningKey,
    queues: Vec<(RecipientId, SenderId)>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Blocks that reached their readers, a second.
    pub rate: f64,
    /// From when a block was due to when its reader had it; rising.
    pub latencies: Vec<Duration>,
}

impl Measured {
    /// The latency that this share (0 to 1) of the blocks did not exceed, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        // `as`: a rank in a list of at most thousands.
        let rank = (last as f64 * share).round() as usize;
        Some(self.latencies[rank.min(last)].as_secs_f64() * 1000.0)
    }
}

impl Load {
    /// Connects `pairs` pairs and makes `queues` queues in all, all subscribed.
    ///
    /// # Errors
    /// The relay is not there or refuses.
    pub async fn prepare(
        relay: SocketAddr,
        tls: &Arc<ClientConfig>,
        pairs: usize,
        queues: usize,
    ) -> io::Result<Self> {
        let mut made = Vec::new();
        for number in 0..pairs {
            let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
            let from = IpAddr::from(Ipv4Addr::new(127, 2, high, low));
            let mut writer = Client::connect(from, relay, tls).await?;
            let mut reader = Client::connect(from, relay, tls).await?;
            let mut seed = [9; 32];
            seed[..2].copy_from_slice(&[high, low]);
            let key = SigningKey::from_bytes(&seed);
            let sender_key = key.verifying_key().to_bytes();
            let mut pair = Vec::new();
            for _ in 0..queues.div_ceil(pairs) {
                let (recipient, sender) = reader.create(&key).await?;
                let secure = Command::Secure { sender, sender_key };
                writer.ok(&key, &secure).await?;
                let subscribe = Command::Subscribe { recipient };
                reader.ok(&key, &subscribe).await?;
                pair.push((recipient, sender));
            }
            made.push(Pair {
                writer,
                reader,
                key,
                queues: pair,
            });
        }
        Ok(Self {
            pairs: made,
            began: Instant::now(),
        })
    }

    /// Sends for `length` and returns what arrived after the first fifth of it.
    ///
    /// # Errors
    /// A connection broke.
    pub async fn run(&mut self, pace: Pace, length: Duration) -> io::Result<Measured> {
        let start = Instant::now();
        let (from, until) = (start + length / 5, start + length);
        let (sender, mut times) = mpsc::channel(TIMES_MAX);
        let pairs = self.pairs.len();
        let mut tasks = Vec::new();
        for (number, pair) in self.pairs.drain(..).enumerate() {
            let gap = match pace {
                Pace::Flood => None,
                Pace::PerSecond(rate) => Some(Duration::from_secs_f64(pairs as f64 / rate)),
            };
            // The writers' turns are spread over the gap, not all at once.
            let first = start
                + gap
                    .unwrap_or_default()
                    .mul_f64(number as f64 / pairs as f64);
            let clock = Clock {
                began: self.began,
                first,
                gap,
                from,
                until,
            };
            tasks.push(tokio::spawn(pair.exchange(clock, sender.clone())));
        }
        drop(sender);
        let (mut latencies, mut arrived) = (Vec::new(), 0_u32);
        while let Some(time) = times.recv().await {
            latencies.push(time.latency);
            arrived += u32::from(time.is_in_time);
        }
        for task in tasks {
            self.pairs.push(task.await.map_err(io::Error::other)??);
        }
        latencies.sort();
        let measured = (until - from).as_secs_f64();
        Ok(Measured {
            rate: f64::from(arrived) / measured,
            latencies,
        })
    }
}

/// When to send and when to measure.
#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
    first: Instant,
    gap: Option<Duration>,
    from: Instant,
    until: Instant,
}

/// How long one block took; late ones count as latencies and not towards the rate.
struct Time {
    latency: Duration,
    is_in_time: bool,
}

/// Blocks of one pair: how many may be sent, and how many were.
struct Flow {
    window: Semaphore,
    sent: AtomicU64,
}

impl Pair {
    async fn exchange(mut self, clock: Clock, times: mpsc::Sender<Time>) -> io::Result<Self> {
        let flow = Flow {
            window: Semaphore::new(WINDOW_BLOCKS),
            sent: AtomicU64::new(0),
        };
        let (key, queues) = (&self.key, &self.queues);
        let write = write(&mut self.writer, key, queues, clock, &flow);
        let read = read(&mut self.reader, key, clock, &flow, &times);
        let (written, read) = tokio::join!(write, read);
        written.and(read)?;
        Ok(self)
    }
}

async fn write(
    client: &mut Client,
    key: &SigningKey,
    queues: &[(RecipientId, SenderId)],
    clock: Clock,
    flow: &Flow,
) -> io::Result<()> {
    let mut due = clock.first;
    let mut turn = queues.iter().cycle();
    loop {
        tokio::select! {
            biased;
            () = sleep_until(clock.until) => return Ok(()),
            () = ready(clock.gap, due, &flow.window) => {
                if clock.gap.is_none() {
                    due = Instant::now();
                }
                let mut block = [0x5e; BLOCK_BYTES];
                let at = u64::try_from((due - clock.began).as_nanos()).unwrap_or(u64::MAX);
                block[..8].copy_from_slice(&at.to_be_bytes());
                let Some(&(_, sender)) = turn.next() else {
                    return Ok(());
                };
                client.send(key, &Command::Send { sender, block: &block }).await?;
                flow.sent.fetch_add(1, Ordering::Relaxed);
                due += clock.gap.unwrap_or_default();
            }
            answer = client.next() => drop(answer?),
        }
    }
}

async fn ready(gap: Option<Duration>, due: Instant, window: &Semaphore) {
    match gap {
        Some(_) => sleep_until(due).await,
        None => match window.acquire().await {
            // Given back by the reader.
            Ok(permit) => permit.forget(),
            Err(_) => std::future::pending().await,
        },
    }
}

async fn read(
    client: &mut Client,
    key: &SigningKey,
    clock: Clock,
    flow: &Flow,
    times: &mpsc::Sender<Time>,
) -> io::Result<()> {
    let mut received = 0;
    loop {
        // Everything is waited for, so that the next measurement begins with empty queues.
        let is_over = Instant::now() >= clock.until;
        if is_over && received == flow.sent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let wake = if is_over {
            clock.until + DRAIN_MAX
        } else {
            clock.until
        };
        let frame = tokio::select! {
            () = sleep_until(wake) => {
                if is_over {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                continue;
            }
            frame = client.next() => frame?,
        };
        let Ok(Reply::Message {
            recipient,
            message,
            block,
            ..
        }) = Reply::read(&frame)
        else {
            continue;
        };
        received += 1;
        let now = Instant::now();
        let mut at = [0; 8];
        at.copy_from_slice(&block[..8]);
        let due = clock.began + Duration::from_nanos(u64::from_be_bytes(at));
        flow.window.add_permits(1);
        if due >= clock.from {
            let time = Time {
                latency: now.saturating_duration_since(due),
                is_in_time: now <= clock.until,
            };
            // The collector outlives us.
            let _ = times.send(time).await;
        }
        let acknowledge = Command::Acknowledge { recipient, message };
        client.send(key, &acknowledge).await?;
    }
}

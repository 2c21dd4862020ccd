//! Clients that write to one another in a ring while relays die, and notice what a relay did wrong.
//!
//! Each has one queue to read and writes to the next one's. A block names its place in the writer's sequence. A writer
//! goes on when the relay said OK, and otherwise sends the same again, as the program does; so its reader may get a
//! block twice, under two message ids, only if the writer was left without an answer. Everything else is a fault.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hullo_proto::service::relay::{BLOCK_BYTES, Command, MessageId, RecipientId, Reply, SenderId};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Client, answer};

/// Pause before a relay that is not there is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// An answer takes this long at most, or the connection is made anew.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What is asked of the crowd.
#[derive(Clone)]
pub struct Plan {
    /// How many clients; each writes to the next.
    pub clients: usize,
    /// How many blocks each of them sends.
    pub blocks_each: u64,
    /// Where the relays are, all on one store; client `n` uses relay `n % relays`.
    pub relays: Vec<SocketAddr>,
    /// Trusts them.
    pub tls: Arc<ClientConfig>,
}

/// What came out, or what is known so far.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What relays did wrong; empty when all is well.
    pub faults: Vec<String>,
    /// Blocks that their readers were shown, each once.
    pub shown: u64,
    /// Blocks that were sent again because no answer came.
    pub resent: u64,
    /// Connections made.
    pub connections: u64,
}

/// A crowd at work.
pub struct Crowd {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    shared: Arc<Shared>,
    progress: watch::Receiver<u64>,
}

struct Shared {
    faults: Mutex<Vec<String>>,
    /// By writer: blocks sent more than once.
    resent: Vec<Mutex<HashSet<u64>>>,
    shown: AtomicU64,
    connections: AtomicU64,
    progress: watch::Sender<u64>,
}

/// One end of each of two queues.
struct Member {
    number: usize,
    plan: Plan,
    key: SigningKey,
    reads: RecipientId,
    writes: SenderId,
    writer: usize,
    /// Confirmed so far; the next to send.
    sent: u64,
    in_flight: Option<u32>,
    /// Acknowledgements on their way: command number and message.
    acknowledging: HashMap<u32, MessageId>,
    /// Shown so far; the next to come.
    seen: u64,
    /// Ids shown and not known to be acknowledged, and what they held.
    unacknowledged: HashMap<MessageId, u64>,
    /// The newest that the relay promised to forget.
    forgotten: Option<MessageId>,
    shared: Arc<Shared>,
}

impl Crowd {
    /// Makes the queues (all relays must be up) and lets everybody begin.
    ///
    /// # Errors
    /// A relay is not there or refuses.
    pub async fn start(plan: Plan) -> io::Result<Self> {
        let (sender, progress) = watch::channel(0);
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            resent: (0..plan.clients).map(|_| Mutex::default()).collect(),
            shown: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            progress: sender,
        });
        let mut queues = Vec::new();
        let mut client = connect(&plan, 0).await?;
        for number in 0..plan.clients {
            let (recipient, sender) = client.create(&key(number)).await?;
            let writer = key((number + plan.clients - 1) % plan.clients);
            let sender_key = writer.verifying_key().to_bytes();
            let secure = Command::Secure { sender, sender_key };
            client.ok(&writer, &secure).await?;
            queues.push((recipient, sender));
        }
        let members = (0..plan.clients).map(|number| Member {
            number,
            plan: plan.clone(),
            key: key(number),
            reads: queues[number].0,
            writes: queues[(number + 1) % plan.clients].1,
            writer: (number + plan.clients - 1) % plan.clients,
            sent: 0,
            in_flight: None,
            acknowledging: HashMap::new(),
            seen: 0,
            unacknowledged: HashMap::new(),
            forgotten: None,
            shared: Arc::clone(&shared),
        });
        let tasks = members.map(|member| tokio::spawn(member.live())).collect();
        Ok(Self {
            tasks,
            shared,
            progress,
        })
    }

    /// Waits until this many blocks were shown, or all are.
    pub async fn reach(&mut self, shown: u64) {
        // An error is a crowd that has finished.
        let _ = self.progress.wait_for(|now| *now >= shown).await;
    }

    /// Waits until everybody has sent and been shown everything.
    pub async fn finish(self) -> Outcome {
        for task in self.tasks {
            if let Err(error) = task.await {
                self.shared.fault(format!("a client broke: {error}"));
            }
        }
        self.shared.outcome()
    }
}

impl Shared {
    fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(fault);
    }

    fn was_resent(&self, writer: usize, sequence: u64) -> bool {
        let resent = self.resent[writer].lock();
        resent
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&sequence)
    }

    fn outcome(&self) -> Outcome {
        let resent = |set: &Mutex<HashSet<u64>>| {
            set.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
        };
        Outcome {
            faults: self
                .faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            shown: self.shown.load(Ordering::Relaxed),
            resent: self.resent.iter().map(resent).sum(),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

impl Member {
    async fn live(mut self) {
        while !self.is_done() {
            // Whatever ends a connection, the next one goes on where this one was.
            if self.serve().await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    fn is_done(&self) -> bool {
        let all = self.plan.blocks_each;
        self.sent == all && self.seen == all && self.acknowledging.is_empty()
    }

    /// One connection, until it ends or everything is done.
    async fn serve(&mut self) -> io::Result<()> {
        if self.in_flight.take().is_some() {
            self.note_resent();
        }
        self.acknowledging.clear();
        let mut client = timeout(ANSWER_TIME_MAX, connect(&self.plan, self.number)).await??;
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let recipient = self.reads;
        let subscribe = Command::Subscribe { recipient };
        timeout(ANSWER_TIME_MAX, client.ok(&self.key, &subscribe)).await??;
        while !self.is_done() {
            if self.in_flight.is_none() && self.sent < self.plan.blocks_each {
                let block = write_block(self.number, self.sent);
                let send = Command::Send {
                    sender: self.writes,
                    block: &block,
                };
                self.in_flight = Some(client.send(&self.key, &send).await?);
            }
            let frame = timeout(ANSWER_TIME_MAX, client.next()).await??;
            self.take(&mut client, &frame).await?;
        }
        Ok(())
    }

    async fn take(&mut self, client: &mut Client, frame: &[u8]) -> io::Result<()> {
        if let Ok(Reply::Message { message, block, .. }) = Reply::read(frame) {
            self.show(message, read_block(block));
            let acknowledge = Command::Acknowledge {
                recipient: self.reads,
                message,
            };
            let number = client.send(&self.key, &acknowledge).await?;
            self.acknowledging.insert(number, message);
            return Ok(());
        }
        let Some((number, refused)) = answer(frame) else {
            return Ok(());
        };
        if self.in_flight == Some(number) {
            self.in_flight = None;
            match refused {
                None => self.sent += 1,
                // Not stored, as far as the relay knows: a commit whose answer was lost may say this too.
                Some(_) => {
                    self.note_resent();
                    tokio::time::sleep(RETRY).await;
                }
            }
        } else if let Some(message) = self.acknowledging.remove(&number) {
            if refused.is_some() {
                // Once more, over a new connection: the message comes again with it.
                return Err(io::Error::other("an acknowledgement was refused"));
            }
            self.forgotten = self.forgotten.max(Some(message));
            self.unacknowledged.retain(|id, _| *id > message);
        }
        Ok(())
    }

    fn show(&mut self, message: MessageId, (writer, sequence): (usize, u64)) {
        let who = format!("client {}, {message:?}, block {sequence}", self.number);
        if writer != self.writer {
            self.shared.fault(format!("{who}: from a stranger"));
        }
        if self.forgotten.is_some_and(|forgotten| message <= forgotten) {
            self.shared
                .fault(format!("{who}: shown again after it was acknowledged"));
        }
        match self.unacknowledged.insert(message, sequence) {
            // Offered again, since it was not acknowledged.
            Some(before) if before == sequence => return,
            Some(before) => self
                .shared
                .fault(format!("{who}: was block {before} before")),
            None => {}
        }
        if sequence == self.seen {
            self.seen += 1;
            let shown = self.shared.shown.fetch_add(1, Ordering::Relaxed) + 1;
            self.shared.progress.send_replace(shown);
            return;
        }
        if sequence > self.seen {
            let missing = self.seen;
            self.shared
                .fault(format!("{who}: block {missing} is lost or late"));
            self.seen = sequence + 1;
        } else if !self.shared.was_resent(self.writer, sequence) {
            self.shared.fault(format!("{who}: doubled by the relay"));
        }
    }

    fn note_resent(&self) {
        let resent = self.shared.resent[self.number].lock();
        resent
            .unwrap_or_else(PoisonError::into_inner)
            .insert(self.sent);
    }
}

fn key(number: usize) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    SigningKey::from_bytes(&seed)
}

/// Each client has an address of its own: limits per address are judged elsewhere.
async fn connect(plan: &Plan, number: usize) -> io::Result<Client> {
    let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    let from = IpAddr::from(Ipv4Addr::new(127, 1, high, low));
    Client::connect(from, plan.relays[number % plan.relays.len()], &plan.tls).await
}

/// Who wrote it, its place in the sequence, and filling that differs from block to block.
fn write_block(writer: usize, sequence: u64) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let (head, filling) = block.split_at_mut(16);
    head[..8].copy_from_slice(&(writer as u64).to_be_bytes());
    head[8..].copy_from_slice(&sequence.to_be_bytes());
    let mut state = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for bytes in filling.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_be_bytes()[..bytes.len()]);
    }
    block
}

/// What [`write_block`] wrote; a block that was damaged on its way is from a stranger.
fn read_block(block: &[u8; BLOCK_BYTES]) -> (usize, u64) {
    let number = |at: usize| {
        let bytes = block[at..at + 8].try_into();
        u64::from_be_bytes(bytes.expect("eight bytes"))
    };
    let (writer, sequence) = (usize::try_from(number(0)).unwrap_or(usize::MAX), number(8));
    if write_block(writer, sequence) != *block {
        return (usize::MAX, sequence);
    }
    (writer, sequence)
}

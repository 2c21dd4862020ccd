//! The thread that owns the mailbox and its store.
//!
//! A thread of its own, since a store waits for its disk or its network. What came meanwhile is taken as one batch:
//! one transaction, one commit, and then the answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, timeout_at};

use crate::mailbox::{AddressKey, CloseReason, ConnectionId, Counts, Input, Mailbox, Output};
use crate::store::{Elsewhere, Store};

/// Events in one batch. Enough to share a flush of the disk among many clients, few enough that the first of them
/// does not wait long for the last, and that the answers fit the queues towards the clients.
const BATCH_EVENTS_MAX: usize = 256;

/// What the connections' tasks tell the mailbox.
pub(super) enum Event {
    Opened(ConnectionId, AddressKey, mpsc::Sender<Outgoing>),
    Frame(ConnectionId, Bytes),
    Closed(ConnectionId),
    Elsewhere(Elsewhere),
    Stop,
}

/// What the mailbox tells a connection's task.
pub(super) enum Outgoing {
    Frame(Vec<u8>),
    Close(CloseReason),
}

/// What anybody may know about the relay: counts.
#[derive(Clone, Copy)]
pub(super) struct Snapshot {
    pub(super) counts: Counts,
    pub(super) batches: u64,
    /// The store took the last batch.
    pub(super) is_store_well: bool,
}

impl Default for Snapshot {
    /// Before the first batch nothing has failed.
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            batches: 0,
            is_store_well: true,
        }
    }
}

/// Written by the thread, read by whoever asks for metrics.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    pub(super) fn read(&self) -> Snapshot {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, snapshot: Snapshot) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// The mailbox, and the lines to those it talks to.
pub(super) struct Runner<S> {
    mailbox: Mailbox<S>,
    lines: HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    /// Readers that let their line run full.
    slow: Vec<ConnectionId>,
    board: Board,
    batches: u64,
}

impl<S: Store> Runner<S> {
    pub(super) fn new(mailbox: Mailbox<S>, board: Board) -> Self {
        Self {
            mailbox,
            lines: HashMap::new(),
            slow: Vec::new(),
            board,
            batches: 0,
        }
    }

    /// Until [`Event::Stop`], or until nobody is left to send one. What came before it is still carried out.
    pub(super) fn run(mut self, runtime: &Handle, mut events: mpsc::Receiver<Event>) {
        let mut deadline = Instant::now();
        let mut is_stopping = false;
        while !is_stopping {
            let first = runtime.block_on(async { timeout_at(deadline, events.recv()).await });
            match first {
                Ok(Some(event)) => is_stopping = self.take(event),
                Ok(None) => is_stopping = true,
                Err(_) => self.mailbox.handle_input(now(), Input::Timeout),
            }
            for _ in 1..BATCH_EVENTS_MAX {
                match events.try_recv() {
                    Ok(event) if !is_stopping => is_stopping = self.take(event),
                    _ => break,
                }
            }
            deadline = self.give();
        }
        tracing::info!(counts = ?self.mailbox.counts(), "the relay stops");
    }

    /// One event into the mailbox; true for the wish to stop.
    fn take(&mut self, event: Event) -> bool {
        let now = now();
        match event {
            Event::Opened(connection, address, line) => {
                self.lines.insert(connection, line);
                let input = Input::Opened {
                    connection,
                    address,
                };
                self.mailbox.handle_input(now, input);
            }
            Event::Frame(connection, bytes) => {
                let input = Input::Frame {
                    connection,
                    bytes: &bytes,
                };
                self.mailbox.handle_input(now, input);
            }
            Event::Closed(connection) => {
                self.lines.remove(&connection);
                self.mailbox.handle_input(now, Input::Closed { connection });
            }
            Event::Elsewhere(what) => self.mailbox.handle_input(now, Input::Elsewhere(what)),
            Event::Stop => return true,
        }
        false
    }

    /// Commits, hands the outputs out, and says when to come back.
    fn give(&mut self) -> Instant {
        self.batches += 1;
        let mut deadline = self.drain();
        while let Some(connection) = self.slow.pop() {
            tracing::debug!("a reader was too slow and is dropped");
            self.lines.remove(&connection);
            self.mailbox
                .handle_input(now(), Input::Closed { connection });
            deadline = self.drain();
        }
        deadline
    }

    fn publish(&self) {
        self.board.write(Snapshot {
            counts: self.mailbox.counts(),
            batches: self.batches,
            is_store_well: self.mailbox.is_store_well(),
        });
    }

    fn drain(&mut self) -> Instant {
        let mut output = self.mailbox.poll_output();
        // The batch is stored now. The counts come before the answers: who got one finds itself counted.
        self.publish();
        loop {
            let (connection, outgoing) = match output {
                Output::Transmit { connection, bytes } => (connection, Outgoing::Frame(bytes)),
                Output::Close { connection, reason } => (connection, Outgoing::Close(reason)),
                Output::Timeout(deadline) => return Instant::from_std(deadline),
            };
            let sent = self
                .lines
                .get(&connection)
                .map(|line| line.try_send(outgoing));
            // A closed line: its task ends and says so by itself.
            let is_full = matches!(sent, Some(Err(TrySendError::Full(_))));
            if is_full && !self.slow.contains(&connection) {
                self.slow.push(connection);
            }
            output = self.mailbox.poll_output();
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Passes the news of other relays on until nobody gives or takes any.
pub(super) async fn forward(mut news: mpsc::Receiver<Elsewhere>, events: mpsc::WeakSender<Event>) {
    while let Some(what) = news.recv().await {
        let Some(events) = events.upgrade() else {
            return;
        };
        if events.send(Event::Elsewhere(what)).await.is_err() {
            return;
        }
    }
}

/// How long connections get to close when the relay stops.
pub(super) const STOP_TIME_MAX: Duration = Duration::from_secs(2);

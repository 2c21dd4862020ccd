//! Connections that stand ready: with each relay that we write to, one that has had to do with no queue yet. Whoever is
//! written to next gets it, so that no message waits for three round trips of TCP, TLS and WebSocket. The relay learns
//! nothing of it but that this address is connected, which the reading connections tell it anyway.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::RelayChannel;
use super::server::{Purpose, State};
use crate::channel::ServerId;
use crate::server_url::ServerUrl;
use crate::store::StoreError;

/// Relays with a spare connection each; most people write to one or two.
const SPARES_MAX: usize = 4;
/// A new one is made so long after one was taken: a call that is being set up goes first.
const SPARE_AFTER: Duration = Duration::from_secs(5);

/// When spare connections are to be made.
#[derive(Default)]
pub(super) struct Spares {
    is_kept: bool,
    due: Option<Instant>,
}

impl Spares {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl RelayChannel {
    /// From now on a connection stands ready with each relay that contacts of ours read at: for programs that stay.
    pub fn keep_spare_lines(&mut self) {
        self.spares = Spares {
            is_kept: true,
            due: Some(self.now),
        };
    }

    /// The spare connection to this relay, if there is one, for a purpose from now on.
    pub(super) fn take_spare(&mut self, url: &ServerUrl, purpose: Purpose) -> Option<ServerId> {
        if self.spares.is_kept {
            self.spares.due = Some(self.now + SPARE_AFTER);
        }
        let mut servers = self.servers.iter_mut();
        let (id, server) =
            servers.find(|(_, server)| server.purpose == Purpose::Spare && server.url == *url)?;
        server.purpose = purpose;
        if let State::Pausing { .. } = server.state {
            server.hurry(self.now);
        }
        Some(*id)
    }

    /// Makes those that are missing, once their time has come.
    pub(super) fn open_spares(&mut self) {
        if self.spares.due.is_none_or(|due| due > self.now) {
            return;
        }
        self.spares.due = None;
        match self.relays_written_to() {
            Ok(urls) => {
                for url in urls.into_iter().take(SPARES_MAX) {
                    self.line(&url, Purpose::Spare);
                }
            }
            Err(error) => tracing::error!(%error, "no connection is kept ready"),
        }
    }

    /// Whether one is still of use.
    pub(super) fn wants_spare(&self, url: &ServerUrl) -> Result<bool, StoreError> {
        Ok(self.relays_written_to()?.contains(url))
    }

    fn relays_written_to(&self) -> Result<BTreeSet<ServerUrl>, StoreError> {
        let queues = self.store.rows().all_outbound()?;
        Ok(queues.into_iter().map(|queue| queue.server).collect())
    }
}

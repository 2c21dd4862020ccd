//! Relays killed at random moments under a crowd.

use std::io;
use std::path::Path;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::crowd::{Crowd, Outcome, Plan};
use super::process::RelayProcess;
use super::tls::Identity;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Killing {
    /// SIGKILLs in all, spread over the whole exchange.
    pub kills: u64,
    /// Clients, in a ring.
    pub clients: usize,
    /// Blocks in all; a multiple of the clients.
    pub blocks: u64,
    /// Relay processes on the one store.
    pub relays: usize,
    /// Chooses the moments.
    pub seed: u64,
}

/// A kill comes up to this long after the moment of progress it was drawn for: anywhere in a batch.
const DELAY_MAX: Duration = Duration::from_millis(4);

impl Killing {
    /// Runs it with relays of `binary` on `store`, which are left to `folder`.
    ///
    /// # Errors
    /// A relay does not start (again).
    pub fn run(&self, binary: &Path, store: &str, folder: &Path) -> io::Result<Outcome> {
        let identity = Identity::new();
        let relays: io::Result<Vec<RelayProcess>> = (0..self.relays)
            .map(|number| {
                let folder = folder.join(format!("relay-{number}"));
                RelayProcess::start(binary, &folder, store, &identity)
            })
            .collect();
        let relays = relays?;
        let plan = Plan {
            clients: self.clients,
            blocks_each: self.blocks / self.clients as u64,
            relays: relays.iter().map(RelayProcess::address).collect(),
            tls: identity.client(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(self.kill(plan, relays))
    }

    async fn kill(&self, plan: Plan, mut relays: Vec<RelayProcess>) -> io::Result<Outcome> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let mut crowd = Crowd::start(plan).await?;
        // The last stretch is without a kill, so that every kill finds a crowd at work.
        let step = self.blocks / (self.kills + 1);
        for kill in 0..self.kills {
            let at = kill * step + rng.random_range(0..step.max(1));
            crowd.reach(at).await;
            let delay = rng.random_range(Duration::ZERO..DELAY_MAX);
            tokio::time::sleep(delay).await;
            let victim = rng.random_range(0..relays.len());
            relays[victim].kill()?;
            relays[victim].resume()?;
        }
        Ok(crowd.finish().await)
    }
}

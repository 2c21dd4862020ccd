//! What the mailbox remembers of one network address, and what one may do.
//!
//! An address is known by a keyed hash alone, which ends with the process: never stored, never logged. Many people may
//! share one (a home, an office, a carrier's translation), so these limits stop machines, not households.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{CodeNumber, RecipientId};

use super::bucket::Bucket;

/// A keyed hash of an IPv4 address or of an IPv6 network of 64 bits, good for this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(pub u64);

impl std::fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddressKey(…)")
    }
}

/// What all connections of one address may do together; beyond it they are refused, not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections at once. Each contact takes a few of a person's, so this is a household of eager ones.
    pub connections_max: usize,
    /// Queues made in an hour, and at once: two per contact and one per invitation.
    pub created_per_hour: u32,
    /// Commands saved up for a burst: everybody subscribes after the line was down.
    pub burst_commands: u32,
    /// Commands a second in the long run: four busy connections.
    pub commands_per_second: u32,
    /// Code numbers standing at once: who hogs them leaves none to others.
    pub codes_max: usize,
    /// Claims that hit nothing within [`Self::wrong_claims_time`]; more is guessing, not mishearing.
    pub wrong_claims_max: usize,
    /// See [`Self::wrong_claims_max`].
    pub wrong_claims_time: Duration,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            created_per_hour: 600,
            burst_commands: 6000,
            commands_per_second: 400,
            codes_max: 8,
            wrong_claims_max: 10,
            wrong_claims_time: Duration::from_secs(10 * 60),
        }
    }
}

/// Addresses remembered. Beyond it those that are not connected are forgotten at once, spent limits included: some
/// 10 MB at most, and who commands this many networks is not held by limits per address anyway.
const ADDRESSES_MAX: usize = 65_536;

pub(super) struct Addresses {
    limits: AddressLimits,
    known: HashMap<AddressKey, Address>,
}

struct Address {
    connections: usize,
    commands: Bucket,
    created: Bucket,
    /// When they were; at most as many as allowed.
    wrong_claims: VecDeque<Instant>,
    /// At most as many as allowed.
    codes: Vec<StandingCode>,
}

struct StandingCode {
    recipient: RecipientId,
    code: CodeNumber,
    until: Instant,
}

impl Address {
    fn new(now: Instant, limits: AddressLimits) -> Self {
        let per_command = Duration::from_secs(1) / limits.commands_per_second.max(1);
        let per_queue = Duration::from_secs(60 * 60) / limits.created_per_hour.max(1);
        Self {
            connections: 0,
            commands: Bucket::new(now, limits.burst_commands, per_command),
            created: Bucket::new(now, limits.created_per_hour, per_queue),
            wrong_claims: VecDeque::new(),
            codes: Vec::new(),
        }
    }

    fn forget_old(&mut self, now: Instant, limits: &AddressLimits) {
        let within = |at: &Instant| now.saturating_duration_since(*at) < limits.wrong_claims_time;
        self.wrong_claims.retain(within);
        self.codes.retain(|standing| standing.until > now);
    }

    fn is_new(&self, now: Instant) -> bool {
        self.connections == 0
            && self.wrong_claims.is_empty()
            && self.codes.is_empty()
            && self.commands.is_full(now)
            && self.created.is_full(now)
    }
}

impl Addresses {
    pub(super) fn new(limits: AddressLimits) -> Self {
        Self {
            limits,
            known: HashMap::new(),
        }
    }

    /// One connection more; false when it has as many as it may.
    pub(super) fn open(&mut self, now: Instant, key: AddressKey) -> bool {
        if self.known.len() >= ADDRESSES_MAX && !self.known.contains_key(&key) {
            self.known.retain(|_, address| address.connections > 0);
        }
        let limits = self.limits;
        let address = self.entry(now, key);
        let room = address.connections < limits.connections_max;
        if room {
            address.connections += 1;
        }
        room
    }

    /// One connection less.
    pub(super) fn close(&mut self, key: AddressKey) {
        if let Some(address) = self.known.get_mut(&key) {
            address.connections = address.connections.saturating_sub(1);
        }
    }

    pub(super) fn spend_command(&mut self, now: Instant, key: AddressKey) -> bool {
        self.entry(now, key).commands.spend(now)
    }

    pub(super) fn spend_created(&mut self, now: Instant, key: AddressKey) -> bool {
        self.entry(now, key).created.spend(now)
    }

    /// Whether this address may have a number for this queue; a queue that has one merely gets another.
    pub(super) fn may_publish(
        &mut self,
        now: Instant,
        key: AddressKey,
        recipient: RecipientId,
    ) -> bool {
        let limits = self.limits;
        let address = self.entry(now, key);
        address.forget_old(now, &limits);
        let others = address
            .codes
            .iter()
            .filter(|standing| standing.recipient != recipient);
        others.count() < limits.codes_max
    }

    pub(super) fn published(
        &mut self,
        now: Instant,
        key: AddressKey,
        recipient: RecipientId,
        code: CodeNumber,
        until: Instant,
    ) {
        self.spent(code);
        let codes = &mut self.entry(now, key).codes;
        codes.retain(|standing| standing.recipient != recipient);
        codes.push(StandingCode {
            recipient,
            code,
            until,
        });
    }

    /// The number stands no longer, whoever published it.
    pub(super) fn spent(&mut self, code: CodeNumber) {
        for address in self.known.values_mut() {
            address.codes.retain(|standing| standing.code != code);
        }
    }

    /// False when this address has guessed too often lately.
    pub(super) fn may_claim(&mut self, now: Instant, key: AddressKey) -> bool {
        let limits = self.limits;
        let address = self.entry(now, key);
        address.forget_old(now, &limits);
        address.wrong_claims.len() < limits.wrong_claims_max
    }

    pub(super) fn claimed_wrongly(&mut self, now: Instant, key: AddressKey) {
        self.entry(now, key).wrong_claims.push_back(now);
    }

    /// Forgets those that left and owe nothing.
    pub(super) fn tidy(&mut self, now: Instant) {
        let limits = self.limits;
        self.known.retain(|_, address| {
            address.forget_old(now, &limits);
            !address.is_new(now)
        });
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn entry(&mut self, now: Instant, key: AddressKey) -> &mut Address {
        let limits = self.limits;
        let address = self.known.entry(key);
        address.or_insert_with(|| Address::new(now, limits))
    }
}

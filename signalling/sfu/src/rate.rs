//! How often somebody may: token buckets, one or a bounded table of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once, after a long pause.
    pub burst: u32,
    /// How many come back in [`Rate::per`].
    pub count: u32,
    /// The time in which [`Rate::count`] come back.
    pub per: Duration,
}

/// One bucket; begins full.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(now: Instant, rate: Rate) -> Self {
        Self {
            level: f64::from(rate.burst),
            filled_at: now,
        }
    }

    /// Takes `amount` if it is there.
    pub fn take(&mut self, now: Instant, rate: Rate, amount: u32) -> bool {
        self.fill(now, rate);
        let enough = self.level >= f64::from(amount);
        if enough {
            self.level -= f64::from(amount);
        }
        enough
    }

    fn fill(&mut self, now: Instant, rate: Rate) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let back = elapsed * f64::from(rate.count) / rate.per.as_secs_f64();
        self.level = (self.level + back).min(f64::from(rate.burst));
        self.filled_at = self.filled_at.max(now);
    }

    fn is_full(&mut self, now: Instant, rate: Rate) -> bool {
        self.fill(now, rate);
        self.level >= f64::from(rate.burst)
    }
}

/// A bucket for each of many; full ones are forgotten, and when even so too many are left, newcomers are refused.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    keys_max: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// At most `keys_max` are remembered.
    #[must_use]
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self {
            rate,
            keys_max,
            buckets: HashMap::new(),
        }
    }

    /// Takes one from the bucket of `key`.
    pub fn take(&mut self, now: Instant, key: K) -> bool {
        let rate = self.rate;
        if self.buckets.len() >= self.keys_max && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now, rate));
            if self.buckets.len() >= self.keys_max {
                return false;
            }
        }
        self.buckets
            .entry(key)
            .or_insert_with(|| Bucket::new(now, rate))
            .take(now, rate, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 2,
        count: 1,
        per: Duration::from_secs(10),
    };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let now = Instant::now();
        let mut buckets = Buckets::new(RATE, 8);
        assert!(buckets.take(now, 1) && buckets.take(now, 1) && !buckets.take(now, 1));
        assert!(buckets.take(now, 2), "another has its own");
        assert!(!buckets.take(now + Duration::from_secs(9), 1));
        assert!(buckets.take(now + Duration::from_secs(11), 1));
        let later = now + Duration::from_secs(3_600);
        assert!(buckets.take(later, 1) && buckets.take(later, 1) && !buckets.take(later, 1));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_idle() {
        let now = Instant::now();
        let mut buckets = Buckets::new(RATE, 8);
        let taken = (0..100).filter(|&key| buckets.take(now, key)).count();
        assert_eq!((taken, buckets.buckets.len()), (8, 8));
        assert!(buckets.take(now + Duration::from_secs(60), 99));
    }
}

//! How far pictures lie from their sound, in figures.

/// Milliseconds told apart; what lies further off counts as this.
const MS_MAX: usize = 1_000;
/// Pictures of one look at the most: 60 a second for a minute that nobody looked.
const RECENT_MAX: usize = 3_600;

/// How far pictures lay from their sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The middle one since the last look, milliseconds: positive when pictures are late, negative when sound is.
    pub median_ms: i64,
    /// 95 of 100 since the last look were off by no more, either way.
    pub p95_ms: u64,
    /// Half of all so far were off by no more, either way.
    pub all_p50_ms: u64,
    /// 95 of 100 of all so far.
    pub all_p95_ms: u64,
}

/// Counts them.
#[derive(Clone, Debug)]
pub struct SkewMeter {
    recent: Vec<i64>,
    /// Pictures by how far they were off.
    all: Box<[u32; MS_MAX + 1]>,
    count: u64,
}

impl Default for SkewMeter {
    fn default() -> Self {
        Self {
            recent: Vec::new(),
            all: Box::new([0; MS_MAX + 1]),
            count: 0,
        }
    }
}

impl SkewMeter {
    /// A picture was shown so many milliseconds after its sound.
    pub fn note(&mut self, late_ms: i64) {
        if self.recent.len() < RECENT_MAX {
            self.recent.push(late_ms);
        }
        let off = usize::try_from(late_ms.unsigned_abs()).map_or(MS_MAX, |off| off.min(MS_MAX));
        self.all[off] = self.all[off].saturating_add(1);
        self.count += 1;
    }

    /// The figures; `None` where nothing was counted since the last time.
    pub fn take(&mut self) -> Option<Skew> {
        let mut recent = std::mem::take(&mut self.recent);
        if recent.is_empty() {
            return None;
        }
        recent.sort_unstable();
        let median_ms = recent[(recent.len() - 1) / 2];
        let mut off: Vec<u64> = recent.iter().map(|late| late.unsigned_abs()).collect();
        off.sort_unstable();
        Some(Skew {
            median_ms,
            p95_ms: off[(off.len() - 1) * 95 / 100],
            all_p50_ms: self.all(50),
            all_p95_ms: self.all(95),
        })
    }

    fn all(&self, percent: u64) -> u64 {
        let mut left = (self.count.saturating_sub(1)) * percent / 100;
        for (off, &count) in self.all.iter().enumerate() {
            if left < u64::from(count) {
                return off as u64;
            }
            left -= u64::from(count);
        }
        MS_MAX as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_last_look_and_of_all() {
        let mut meter = SkewMeter::default();
        assert_eq!(meter.take(), None);
        (1..=100).for_each(|late| meter.note(-late));
        let skew = meter.take().expect("counted");
        assert_eq!((skew.median_ms, skew.p95_ms), (-51, 95));
        assert_eq!((skew.all_p50_ms, skew.all_p95_ms), (50, 95));
        meter.note(7);
        meter.note(i64::MIN);
        let skew = meter.take().expect("counted");
        assert_eq!((skew.median_ms, skew.p95_ms), (i64::MIN, 7));
        assert_eq!(skew.all_p50_ms, 50);
        assert_eq!(meter.take(), None);
    }
}

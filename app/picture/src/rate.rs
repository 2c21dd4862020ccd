//! One-pass rate control: how much error a byte must save, so that a frame comes out as large as it may be.
//!
//! Before coding, the gain of each cell is known roughly: error shown minus the least error possible. A histogram of
//! gains says how many cells are worth coding at a price. The price of a byte is set so that they fill the budget, and
//! mended while the frame is written. A leaky bucket holds what was saved, so that no second is above its budget.

/// The largest frame, in budgets.
const FRAME_BUDGETS_MAX: f32 = 1.7;
/// How far the bucket can fill, in budgets: with it a frame may take 1.7. Over any 14 frames or more that is at most 5 %
/// above the budget.
const BUCKET_BUDGETS: f32 = FRAME_BUDGETS_MAX - 1.0;
/// Bins of the histogram: sixteen an octave.
const BINS: usize = 640;
/// Bits of a float dropped for its bin: four of the fraction stay.
const BIN_SHIFT: u32 = 19;
/// The bin of a gain of 1/16, below which nothing is worth coding.
const BIN_FIRST: u32 = (127 - 4) << 4;
/// Bytes of a coded cell before any was seen: a glyph, one colour, half a jump.
const CELL_BYTES_START: f32 = 14.0;
/// The share of what a frame showed that goes into the next one's expectations.
const LEARN: f32 = 0.3;
/// Limits of the learned correction, and of how far one row may bend the price.
const CORRECTION: (f32, f32) = (0.1, 4.0);
/// The highest price of a byte: a mosaic, recognisable, some 10 kB for a whole screen. Where that is too much, rows wait for
/// the next frame instead: painting still more coarsely is painting twice.
const LAMBDA_MAX: f32 = 7.0 * 150.0;
/// What a frame aims at, of the budget: the rest is room for what was not foreseen, and not lost, for it fills the bucket.
const AIM: f32 = 0.95;

/// Gains of cells, counted in bins.
#[derive(Debug)]
pub(crate) struct Gains {
    counts: [u32; BINS],
}

impl Gains {
    pub(crate) fn new() -> Self {
        Self { counts: [0; BINS] }
    }

    /// Counts a cell that can gain this much.
    pub(crate) fn add(&mut self, gain: f32) {
        let bin = (gain.to_bits() >> BIN_SHIFT).saturating_sub(BIN_FIRST);
        if gain > 0.0 && bin > 0 {
            self.counts[(bin as usize).min(BINS - 1)] += 1;
        }
    }

    /// Cells that gain more than `gain`.
    fn above(&self, gain: f32) -> u32 {
        let bin = (gain.to_bits() >> BIN_SHIFT).saturating_sub(BIN_FIRST) as usize;
        self.counts[bin.min(BINS - 1)..].iter().sum()
    }

    /// The gain that about `cells` cells reach; less when fewer than half of them would be left otherwise.
    fn threshold(&self, cells: f32) -> f32 {
        let edge = |bin: usize| f32::from_bits((bin as u32 + BIN_FIRST) << BIN_SHIFT);
        let mut above = 0.0;
        for bin in (1..BINS).rev() {
            let here = self.counts[bin] as f32;
            if above + here > cells {
                // Many cells with much the same gain, as in a first paint: rather too many than none.
                let part = if above < 0.5 * cells {
                    1.0
                } else {
                    (cells - above) / here
                };
                return edge(bin + 1) + (edge(bin) - edge(bin + 1)) * part;
            }
            above += here;
        }
        0.0
    }
}

/// The controller: lives as long as the screen.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Bytes saved by earlier frames.
    bucket: f32,
    /// Bytes of an average coded cell.
    cell_bytes: f32,
    /// What frames took, of what was expected.
    correction: f32,
}

/// The plan of one frame.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Bytes it should take.
    target: f32,
    /// Bytes it must not exceed.
    pub(crate) bytes_max: usize,
    /// Price of a byte at the start.
    lambda: f32,
    lambda_min: f32,
    /// Cells expected to be coded at that price.
    expected_cells: f32,
    /// Bytes expected for them.
    expected_bytes: f32,
    gain_min: f32,
    seen_cells: f32,
}

impl Rate {
    pub(crate) fn new() -> Self {
        Self {
            bucket: 0.0,
            cell_bytes: CELL_BYTES_START,
            correction: 1.0,
        }
    }

    /// Plans a frame of `budget` bytes: `lambda_min` is the price of a byte when there are enough.
    pub(crate) fn plan(&mut self, gains: &Gains, budget: usize, lambda_min: f32) -> Plan {
        let budget = budget as f32;
        self.bucket = self.bucket.min(BUCKET_BUDGETS * budget);
        let bytes_max = (budget + self.bucket)
            .min(FRAME_BUDGETS_MAX * budget)
            .max(0.0);
        // A full bucket is spent slowly: what comes next may need it more.
        let target = AIM * budget + 0.25 * self.bucket;
        let bytes = self.cell_bytes * self.correction;
        let (least, most) = (lambda_min, LAMBDA_MAX.max(lambda_min));
        let gain_min = gains
            .threshold(target / bytes)
            .clamp(least * self.cell_bytes, most * self.cell_bytes);
        let expected_cells = gains.above(gain_min) as f32;
        Plan {
            target,
            bytes_max: bytes_max as usize,
            lambda: gain_min / self.cell_bytes,
            lambda_min,
            expected_cells,
            expected_bytes: expected_cells * bytes,
            gain_min,
            seen_cells: 0.0,
        }
    }

    /// Learns from a frame of `cells` coded cells in `bytes` bytes.
    pub(crate) fn learn(&mut self, plan: &Plan, budget: usize, cells: usize, bytes: usize) {
        let (cells, bytes) = (cells as f32, bytes as f32);
        self.bucket = (self.bucket + budget as f32 - bytes).max(0.0);
        if cells > 0.0 {
            self.cell_bytes += LEARN * (bytes / cells - self.cell_bytes);
        }
        if plan.expected_bytes > 0.0 {
            let found = self.correction * bytes / plan.expected_bytes;
            self.correction += LEARN * (found.clamp(CORRECTION.0, CORRECTION.1) - self.correction);
        }
    }
}

impl Plan {
    /// The price of a byte after `bytes` were written and the rows with `gains` looked at.
    pub(crate) fn lambda(&self, bytes: usize) -> f32 {
        let left = (self.expected_cells - self.seen_cells).max(0.0) / self.expected_cells.max(1.0)
            * self.expected_bytes.min(self.target);
        let room = (self.target - bytes as f32).max(1.0);
        // A frame's worth of slack, so that the first rows do not swing the price.
        let slack = 0.15 * self.target;
        let bend = ((left + slack) / (room + slack)).clamp(CORRECTION.0, CORRECTION.1);
        (self.lambda * bend).clamp(self.lambda_min, LAMBDA_MAX.max(self.lambda_min))
    }

    /// Takes note of a cell that was looked at.
    pub(crate) fn saw(&mut self, gain: f32) {
        if gain > self.gain_min {
            self.seen_cells += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gains(all: impl IntoIterator<Item = f32>) -> Gains {
        let mut gains = Gains::new();
        for gain in all {
            gains.add(gain);
        }
        gains
    }

    #[test]
    fn enough_bytes_leave_the_price_alone() {
        let plan = Rate::new().plan(&gains([500.0; 100]), usize::MAX, 70.0);
        assert_eq!(plan.lambda(0), 70.0);
        assert!(plan.bytes_max > 1 << 40);
    }

    #[test]
    fn few_bytes_raise_it_so_that_about_as_many_cells_are_left() {
        let all = gains((1..4000).map(|i| i as f32 * 2.5));
        let plan = Rate::new().plan(&all, 1400, 7.0);
        // 1,400 bytes are some hundred cells: the price leaves those that gain more than 9,750.
        assert!(plan.lambda > 600.0 && plan.lambda < 800.0, "{plan:?}");
        assert!(plan.lambda(1300) > plan.lambda(0), "used up early: dearer");
    }

    #[test]
    fn cells_that_all_gain_the_same_are_not_all_left_out() {
        let plan = Rate::new().plan(&gains([100_000.0; 4000]), 1000, 70.0);
        assert!(plan.expected_cells > 0.0);
    }

    #[test]
    fn no_second_is_above_the_budget_after_a_pause() {
        let mut rate = Rate::new();
        let all = gains([100_000.0; 4000]);
        let mut total = 0;
        for frame in 0..130 {
            let plan = rate.plan(&all, 1000, 70.0);
            assert!(plan.bytes_max <= 1700);
            // A hundred idle frames, then a second of all that may be had.
            let bytes = if frame < 100 { 0 } else { plan.bytes_max };
            total += bytes;
            rate.learn(&plan, 1000, bytes / 14, bytes);
        }
        assert!(total > 30_000 && total <= 31_500, "{total}");
    }

    #[test]
    fn odd_gains_do_no_harm() {
        let all = gains([f32::NAN, f32::INFINITY, -5.0, 0.0, 1e-30, f32::MAX]);
        for budget in [0, 1, usize::MAX] {
            let mut rate = Rate::new();
            let plan = rate.plan(&all, budget, 0.0);
            assert!(plan.lambda(5).is_finite(), "{plan:?}");
            rate.learn(&plan, budget, 0, 0);
        }
    }
}

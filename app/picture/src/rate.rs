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
/// Bins of the histogram: four an octave.
const BINS: usize = 160;
/// Bits of a float dropped for its bin: two of the fraction stay.
const BIN_SHIFT: u32 = 21;
/// The bin of a gain of 1/16, below which nothing is worth coding.
const BIN_FIRST: u32 = (127 - 4) << 2;
/// Bytes of a coded cell before any was seen: a glyph, one colour, half a jump.
const CELL_BYTES_START: f32 = 14.0;
/// The share of what a frame showed that goes into the next one's expectations.
const LEARN: f32 = 0.2;
/// Limits of the learned correction, and of how far one row may bend the price.
const CORRECTION: (f32, f32) = (0.25, 4.0);

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

    /// The least gain that at most `cells` cells reach.
    fn threshold(&self, cells: f32) -> f32 {
        let mut count = 0;
        for bin in (0..BINS).rev() {
            count += self.counts[bin];
            if count as f32 > cells {
                let upper = bin as u32 + 1 + BIN_FIRST;
                return f32::from_bits(upper << BIN_SHIFT);
            }
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
        let target = budget + 0.25 * self.bucket;
        let bytes = self.cell_bytes * self.correction;
        let gain_min = gains
            .threshold(target / bytes)
            .max(lambda_min * self.cell_bytes);
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
        if cells < 8.0 {
            return;
        }
        self.cell_bytes += LEARN * (bytes / cells - self.cell_bytes);
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
        (self.lambda * bend).max(self.lambda_min)
    }

    /// Takes note of a cell that was looked at.
    pub(crate) fn saw(&mut self, gain: f32) {
        if gain > self.gain_min {
            self.seen_cells += 1.0;
        }
    }
}

//! A sound frame with company: copies of earlier packets, and what its sender misses of the other direction.
//!
//! Only between programs that told each other that they read it; kind 4 of the `hullo` layout, all of it sealed.
//!
//! ```text
//! rest  = head (1) ‖ [loss (1) ‖ burst (1)] ‖ n times: distance (1) ‖ length (1) ‖ n copies ‖ newest packet
//! head  = n, 0..=4, + 8 if a loss report follows; all other bits are zero
//! loss  = share of the sender's incoming packets that were lost, in 255ths
//! burst = mean length of a run of lost packets, in eighths
//! ```
//!
//! `distance` says how many frames before this one the copy was the newest packet; 1 is the frame before.

/// Copies in one frame at most: three heal 30 % of random loss, the fourth place is for trying.
pub const COPIES_MAX: usize = 4;
/// Longest copy, in bytes: 40 ms of 51 kbit/s. What is larger is not worth sending twice.
pub const COPY_BYTES_MAX: usize = 255;
/// A report follows the head.
const REPORT: u8 = 8;

/// What one side misses of the packets sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossReport {
    loss: u8,
    burst: u8,
}

impl LossReport {
    /// `loss`: share lost, 0..=1. `burst`: mean length of a run of lost packets, up to 31. Rounded to what the wire holds.
    #[must_use]
    pub fn new(loss: f32, burst: f32) -> Self {
        // A cast of a float saturates.
        Self {
            loss: (loss * 255.0).round() as u8,
            burst: (burst * 8.0).round() as u8,
        }
    }

    /// Share lost, 0..=1.
    #[must_use]
    pub fn loss(self) -> f32 {
        f32::from(self.loss) / 255.0
    }

    /// Mean length of a run of lost packets; 0 without loss.
    #[must_use]
    pub fn burst(self) -> f32 {
        f32::from(self.burst) / 8.0
    }
}

/// An earlier packet once more.
#[derive(Clone, PartialEq, Eq)]
pub struct SoundCopy {
    /// Frames back.
    pub distance: u8,
    /// The packet.
    pub packet: Vec<u8>,
}

/// Packets stay out of logs: they are what people say.
impl std::fmt::Debug for SoundCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bytes of {} frames ago",
            self.packet.len(),
            self.distance
        )
    }
}

/// Writes the inner form. Copies beyond [`COPIES_MAX`], empty ones and those over [`COPY_BYTES_MAX`] are left out.
#[must_use]
pub fn write(newest: &[u8], copies: &[SoundCopy], report: Option<LossReport>) -> Vec<u8> {
    let fits = |copy: &&SoundCopy| (1..=COPY_BYTES_MAX).contains(&copy.packet.len());
    let copies: Vec<_> = copies.iter().filter(fits).take(COPIES_MAX).collect();
    let mut out = vec![copies.len() as u8];
    if let Some(report) = report {
        out[0] |= REPORT;
        out.extend([report.loss, report.burst]);
    }
    for copy in &copies {
        out.extend([copy.distance, copy.packet.len() as u8]);
    }
    copies.iter().for_each(|copy| out.extend(&copy.packet));
    out.extend(newest);
    out
}

/// The parts of the inner form; `None` when they do not add up (the peer is at fault).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Vec<u8>, Vec<SoundCopy>, Option<LossReport>)> {
    let (&head, mut rest) = bytes.split_first()?;
    let count = usize::from(head & !REPORT);
    if count > COPIES_MAX {
        return None;
    }
    let mut report = None;
    if head & REPORT != 0 {
        let [loss, burst, after @ ..] = rest else {
            return None;
        };
        (report, rest) = (
            Some(LossReport {
                loss: *loss,
                burst: *burst,
            }),
            after,
        );
    }
    let (table, mut rest) = rest.split_at_checked(2 * count)?;
    let mut copies = Vec::with_capacity(count);
    for entry in table.chunks_exact(2) {
        let (packet, after) = rest.split_at_checked(usize::from(entry[1]))?;
        if entry[0] == 0 || packet.is_empty() {
            return None;
        }
        copies.push(SoundCopy {
            distance: entry[0],
            packet: packet.to_vec(),
        });
        rest = after;
    }
    (!rest.is_empty()).then(|| (rest.to_vec(), copies, report))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn copies() -> impl Strategy<Value = Vec<SoundCopy>> {
        let packet = proptest::collection::vec(any::<u8>(), 1..=COPY_BYTES_MAX);
        let copy = (1u8.., packet).prop_map(|(distance, packet)| SoundCopy { distance, packet });
        proptest::collection::vec(copy, 0..=COPIES_MAX)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(newest in proptest::collection::vec(any::<u8>(), 1..300), copies in copies(), report in any::<Option<(u8, u8)>>()) {
            let report = report.map(|(loss, burst)| LossReport { loss, burst });
            prop_assert_eq!(parse(&write(&newest, &copies, report)), Some((newest, copies, report)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some((newest, copies, report)) = parse(&bytes) {
                prop_assert_eq!(write(&newest, &copies, report), bytes);
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_description() {
        let copy = |distance, byte| SoundCopy {
            distance,
            packet: vec![byte; 2],
        };
        let report = Some(LossReport::new(0.2, 3.0));
        let bytes = write(&[9], &[copy(2, 5), copy(5, 6)], report);
        assert_eq!(bytes, [10, 51, 24, 2, 2, 5, 2, 5, 5, 6, 6, 9]);
        assert_eq!(write(&[9], &[], None), [0, 9]);
        assert_eq!(
            LossReport::new(7.0, -1.0),
            LossReport {
                loss: 255,
                burst: 0
            }
        );
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for bytes in [
            &[][..],
            &[0],
            &[5, 1, 1, 7, 7],
            &[16, 1],
            &[8, 1],
            &[1, 1, 9, 7],
            &[1, 0, 1, 7, 7],
            &[1, 1, 0, 7],
            &[1, 1, 1, 7],
        ] {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }
}

//! One unbroken stream for a viewer out of whatever is forwarded to it: sequence numbers, timestamps and VP8 picture ids
//! go on without a gap when the layer changes or forwarding pauses.
//!
//! Only offsets are kept, so that a late packet lands where it belongs.

/// A packet that would come this far behind or ahead of the newest is not of this stream any more.
const DISTANCE_MAX: u64 = 3_000;

/// How far the clock moves at least when the source changes: one frame at 30 per second, at 90 kHz.
const FRAME_TICKS: u32 = 3_000;

/// Positions in a source or in what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Extended sequence number.
    pub(super) seq: u64,
    /// RTP timestamp.
    pub(super) time: u32,
    /// VP8 PictureID, 15 bits, and TL0PICIDX where the source has them.
    pub(super) picture: Option<u16>,
    /// See `picture`.
    pub(super) base: Option<u8>,
}

/// Maps a source's positions to the viewer's.
pub(super) struct Rewriter {
    /// First position of the source since [`Rewriter::begin`]; what is older is dropped.
    first: Option<Position>,
    seq_offset: u64,
    time_offset: u32,
    picture_offset: u16,
    base_offset: u8,
    /// Newest position of the source.
    newest_in: u64,
    /// Newest position sent.
    newest: Position,
}

impl Rewriter {
    /// The viewer's numbers begin after `seq` (below 2^15, so that the roll-over counter starts at 0) and `time`.
    pub(super) fn new(seq: u16, time: u32) -> Self {
        Self {
            first: None,
            seq_offset: 0,
            time_offset: 0,
            picture_offset: 0,
            base_offset: 0,
            newest_in: 0,
            newest: Position {
                seq: u64::from(seq & 0x7fff),
                time,
                picture: Some(0),
                base: Some(0),
            },
        }
    }

    /// The next thing forwarded is `source`; `elapsed_ticks` of the RTP clock passed since the last was.
    pub(super) fn begin(&mut self, source: Position, elapsed_ticks: u32) {
        let time = self
            .newest
            .time
            .wrapping_add(elapsed_ticks.max(FRAME_TICKS));
        self.seq_offset = (self.newest.seq + 1).wrapping_sub(source.seq);
        self.time_offset = time.wrapping_sub(source.time);
        if let Some(picture) = source.picture {
            let next = self.newest.picture.unwrap_or(0).wrapping_add(1);
            self.picture_offset = next.wrapping_sub(picture);
        }
        if let Some(base) = source.base {
            self.base_offset = self
                .newest
                .base
                .unwrap_or(0)
                .wrapping_add(1)
                .wrapping_sub(base);
        }
        self.newest_in = source.seq;
        self.first = Some(source);
    }

    /// Where `source` belongs for the viewer; `None` for what is from before the last change or out of all order.
    pub(super) fn rewrite(&mut self, source: Position) -> Option<Position> {
        let first = self.first?;
        let in_order = source.seq >= first.seq
            && source.seq + DISTANCE_MAX > self.newest_in
            && source.seq < self.newest_in + DISTANCE_MAX;
        if !in_order {
            return None;
        }
        let sent = Position {
            seq: source.seq.wrapping_add(self.seq_offset),
            time: source.time.wrapping_add(self.time_offset),
            picture: source
                .picture
                .map(|picture| picture.wrapping_add(self.picture_offset) & 0x7fff),
            base: source.base.map(|base| base.wrapping_add(self.base_offset)),
        };
        if source.seq >= self.newest_in {
            self.newest_in = source.seq;
            self.newest = Position {
                picture: sent.picture.or(self.newest.picture),
                base: sent.base.or(self.newest.base),
                ..sent
            };
        }
        Some(sent)
    }

    /// Nothing is forwarded until the next [`Rewriter::begin`].
    pub(super) fn pause(&mut self) {
        self.first = None;
    }

    /// Whether something is forwarded.
    pub(super) fn is_running(&self) -> bool {
        self.first.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seq: u64, time: u32) -> Position {
        Position {
            seq,
            time,
            picture: None,
            base: None,
        }
    }

    #[test]
    fn numbers_go_on_across_a_change_of_source() {
        let mut rewriter = Rewriter::new(0xffff, 1_000);
        assert_eq!(rewriter.rewrite(at(1, 1)), None, "nothing began");
        rewriter.begin(at(70_000, 500), 0);
        let first = rewriter.rewrite(at(70_000, 500)).expect("runs");
        assert_eq!(first, at(0x8000, 4_000));
        let third = rewriter.rewrite(at(70_002, 3_500)).expect("runs");
        assert_eq!(third, at(0x8002, 7_000));
        assert_eq!(
            rewriter.rewrite(at(70_001, 500)),
            Some(at(0x8001, 4_000)),
            "late, in its place"
        );
        // Another layer, with its own numbers; half a second later.
        rewriter.begin(at(3, 4_000_000_000), 45_000);
        assert_eq!(
            rewriter.rewrite(at(3, 4_000_000_000)),
            Some(at(0x8003, 52_000))
        );
        assert_eq!(
            rewriter.rewrite(at(2, 4_000_000_000)),
            None,
            "from before the change"
        );
        rewriter.pause();
        assert!(!rewriter.is_running());
        assert_eq!(rewriter.rewrite(at(4, 4_000_003_000)), None);
    }

    #[test]
    fn picture_ids_go_on_and_keep_their_width() {
        let source = |seq, picture, base| Position {
            picture: Some(picture),
            base: Some(base),
            ..at(seq, 0)
        };
        let mut rewriter = Rewriter::new(0, 0);
        rewriter.begin(source(10, 0x7ffe, 200), 0);
        let pictures = |sent: Option<Position>| sent.map(|sent| (sent.picture, sent.base));
        assert_eq!(
            pictures(rewriter.rewrite(source(10, 0x7ffe, 200))),
            Some((Some(1), Some(201 - 200)))
        );
        assert_eq!(
            pictures(rewriter.rewrite(source(11, 0x7fff, 200))),
            Some((Some(2), Some(1)))
        );
        assert_eq!(
            pictures(rewriter.rewrite(source(12, 0, 201))),
            Some((Some(3), Some(2)))
        );
        rewriter.begin(source(5, 77, 9), 0);
        assert_eq!(
            pictures(rewriter.rewrite(source(5, 77, 9))),
            Some((Some(4), Some(3)))
        );
    }

    #[test]
    fn a_jump_in_the_source_is_dropped() {
        let mut rewriter = Rewriter::new(0, 0);
        rewriter.begin(at(100_000, 0), 0);
        assert!(rewriter.rewrite(at(100_000, 0)).is_some());
        assert_eq!(rewriter.rewrite(at(100_000 + DISTANCE_MAX, 0)), None);
        assert!(
            rewriter
                .rewrite(at(100_000 + DISTANCE_MAX - 1, 0))
                .is_some()
        );
        assert_eq!(rewriter.rewrite(at(100_000 - 1, 0)), None);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_never_sent_twice(steps in proptest::collection::vec((0..8_u8, 0..40_u64), 1..200)) {
            let mut rewriter = Rewriter::new(7, 7);
            let (mut seq, mut sent) = (1_000_u64, std::collections::HashSet::new());
            let mut given = std::collections::HashSet::new();
            for (step, distance) in steps {
                if step == 0 {
                    seq = distance * 1_000;
                    given.clear();
                    rewriter.begin(at(seq, 0), 0);
                }
                let next = (seq + distance).saturating_sub(10);
                if given.insert(next) && let Some(position) = rewriter.rewrite(at(next, 0)) {
                    prop_assert!(sent.insert(position.seq), "{}", position.seq);
                    seq = seq.max(next);
                }
            }
        }
    }
}

//! Which size of picture is worth sending: what the far side can show, and what the line carries.

/// Pictures never cost more than this, bits per second.
pub(crate) const VIDEO_BITRATE_MAX_BPS: u32 = 2_500_000;
/// A size that was left because the line did not carry it comes back when the line carries this share more, per cent:
/// every change costs a key frame.
const BACK_PERCENT: u64 = 130;

/// A picture size and what it may cost. The default is nothing: nobody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits per second at 30 pictures a second; more shows nothing at that size.
    pub(super) bitrate_bps: u32,
    /// Bits per second under which a smaller size looks better, and a key frame takes longer than a quarter of a second.
    bitrate_bps_min: u32,
}

/// Sizes worth encoding for a window of cells, smallest first.
const STEPS: [Step; 3] = [
    Step {
        width: 160,
        height: 90,
        bitrate_bps: 120_000,
        bitrate_bps_min: 0,
    },
    Step {
        width: 320,
        height: 180,
        bitrate_bps: 400_000,
        bitrate_bps_min: 60_000,
    },
    Step {
        width: 640,
        height: 360,
        bitrate_bps: 1_500_000,
        bitrate_bps_min: 200_000,
    },
];

/// The source's own size, for recordings and programs without a screen. Kept as long as anything can be seen: a
/// recording has the size of its first picture.
pub(super) const SOURCE: Step = Step {
    width: u32::MAX,
    height: u32::MAX,
    bitrate_bps: VIDEO_BITRATE_MAX_BPS,
    bitrate_bps_min: 150_000,
};

impl Step {
    /// This size, or the largest smaller one that pictures of `bps` carry, given the one that is sent `now`.
    pub(super) fn carried_by(self, bps: u32, now: Option<Self>) -> Self {
        let carries = |step: &Self| {
            let is_growing =
                now.is_some_and(|now| now.width > 0 && step.bitrate_bps > now.bitrate_bps);
            let percent = if is_growing { BACK_PERCENT } else { 100 };
            u64::from(step.bitrate_bps_min) * percent <= u64::from(bps) * 100
        };
        if carries(&self) {
            return self;
        }
        let mut smaller = STEPS
            .iter()
            .filter(|step| step.bitrate_bps <= self.bitrate_bps);
        let carried = smaller.rfind(|step| carries(step));
        carried.copied().unwrap_or(STEPS[0])
    }
}

/// One step above the smallest that covers what the far side's cells can show: scaled down there, it is sharper than
/// the bare size at the same rate.
pub(super) fn worth_sending((width, height): (u32, u32)) -> Step {
    let covers = |step: &Step| step.width >= width && step.height >= height;
    let Some(smallest) = STEPS.iter().position(covers) else {
        return SOURCE;
    };
    STEPS.get(smallest + 1).copied().unwrap_or(SOURCE)
}

/// The same size for whoever draws and asks for it; `None`: the source's own.
pub(crate) fn worth_asking(drawn: (u32, u32)) -> Option<(u32, u32)> {
    let step = worth_sending(drawn);
    (step != SOURCE).then_some((step.width, step.height))
}

#[cfg(test)]
mod tests {
    use super::super::side::WANT_SOURCE;
    use super::*;

    #[test]
    fn a_small_window_gets_a_small_picture_and_a_recording_the_whole() {
        assert_eq!(worth_sending((56, 36)).width, 320);
        assert_eq!(worth_sending((160, 90)).width, 320);
        assert_eq!(worth_sending((200, 100)).width, 640);
        assert_eq!(worth_sending((641, 20)), SOURCE);
        assert_eq!(worth_sending(WANT_SOURCE), SOURCE);
    }

    #[test]
    fn a_thin_line_gets_a_smaller_picture_and_does_not_change_it_back_and_forth() {
        assert_eq!(SOURCE.carried_by(2_000_000, None), SOURCE);
        let thin = SOURCE.carried_by(140_000, Some(SOURCE));
        assert_eq!(thin, STEPS[1]);
        assert_eq!(
            SOURCE.carried_by(160_000, Some(thin)),
            thin,
            "only a little more"
        );
        assert_eq!(SOURCE.carried_by(200_000, Some(thin)), SOURCE);
        assert_eq!(SOURCE.carried_by(30_000, None), STEPS[0]);
        let small = worth_sending((56, 36));
        assert_eq!(
            small.carried_by(2_000_000, None),
            small,
            "never more than can be shown"
        );
    }
}

//! Numbers of sound across sessions: each begins at some number of its own, the call goes on counting.

/// RTP time has 32 bits on the wire; both sessions count from the same moment.
const RTP_WRAP: u64 = 1 << 32;
/// Of a longer gap not all that is missing is made up.
const GAP_FRAMES_MAX: u64 = 25;

/// What to add to the numbers of a session whose first frame is `seq` and `time`, so that they go on after `last`.
pub(super) fn shift_after(last_seq: u64, last_time: u64, seq: u64, time: u64) -> (u64, u64) {
    let low = (last_time - last_time % RTP_WRAP).wrapping_add(time % RTP_WRAP);
    let both = [low, low.wrapping_add(RTP_WRAP), low.wrapping_sub(RTP_WRAP)];
    let nearest = both.into_iter().min_by_key(|at| at.abs_diff(last_time));
    let now = nearest.unwrap_or(low);
    let gap = (now.saturating_sub(last_time) / 960).clamp(1, GAP_FRAMES_MAX);
    let next = last_seq.wrapping_add(gap);
    (next.wrapping_sub(seq), now.wrapping_sub(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_of_a_new_session_goes_on_where_the_old_one_stopped() {
        let (seq, time) = shift_after(1_000, 96_000, 7, 96_960);
        assert_eq!((7_u64.wrapping_add(seq), time), (1_001, 0));
        let (seq, _) = shift_after(1_000, 96_000, 40_000, 96_000 + 5 * 960);
        assert_eq!(40_000_u64.wrapping_add(seq), 1_005);
        let (seq, _) = shift_after(1_000, 96_000, 40_000, 9_600_000);
        assert_eq!(40_000_u64.wrapping_add(seq), 1_000 + GAP_FRAMES_MAX);
        let last = 3 * RTP_WRAP - 960;
        let (_, time) = shift_after(1, last, 7, 0);
        assert_eq!(0_u64.wrapping_add(time), 3 * RTP_WRAP);
    }
}

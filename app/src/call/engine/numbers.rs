//! Time of sound across sessions. Packets are counted by the seal, whose count goes on from one session to the next; RTP
//! time has only 32 bits on the wire, and each session guesses the rest anew.

const RTP_WRAP: u64 = 1 << 32;

/// What to add to the time of a session whose first frame is at `time`, so that it goes on near `last`. Both sessions
/// count from the same moment, so they differ by whole turns of 32 bits.
pub(super) fn shift_after(last: u64, time: u64) -> u64 {
    let low = (last - last % RTP_WRAP).wrapping_add(time % RTP_WRAP);
    let all = [low, low.wrapping_add(RTP_WRAP), low.wrapping_sub(RTP_WRAP)];
    let nearest = all.into_iter().min_by_key(|at| at.abs_diff(last));
    nearest.unwrap_or(low).wrapping_sub(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_of_a_new_session_goes_on_where_the_old_one_stopped() {
        assert_eq!(shift_after(96_000, 96_960), 0);
        assert_eq!(shift_after(96_000, 9_600_000), 0, "after a long gap too");
        let last = 3 * RTP_WRAP - 960;
        assert_eq!(shift_after(last, 0), 3 * RTP_WRAP, "over a turn");
        let time = RTP_WRAP - 480;
        assert_eq!(
            time.wrapping_add(shift_after(2 * RTP_WRAP + 480, time)),
            2 * RTP_WRAP - 480
        );
    }
}

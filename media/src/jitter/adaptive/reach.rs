//! How long sound must wait so that copies of lost packets still come in time.

use super::{AudioFrame, JUMP_PACKETS};

/// Packets after which copies that do not come are not waited for any more, 2 s.
const REACH_PACKETS: u32 = 100;

/// How far behind their packets copies come.
#[derive(Default)]
pub(super) struct Reach {
    newest: u64,
    pub(super) packets: u64,
    /// Packets since one came so far behind.
    unseen: u32,
}

impl Reach {
    pub(super) fn see(&mut self, frame: &AudioFrame) {
        if frame.is_copy {
            let packets = self.newest.saturating_sub(frame.seq).min(JUMP_PACKETS);
            if packets >= self.packets {
                (self.packets, self.unseen) = (packets, 0);
            }
            return;
        }
        self.newest = frame.seq;
        self.unseen += 1;
        if self.unseen > REACH_PACKETS {
            (self.packets, self.unseen) = (0, 0);
        }
    }
}

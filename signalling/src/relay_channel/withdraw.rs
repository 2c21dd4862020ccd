//! Links that are out: until when they work, and taking them back.

use std::time::Duration;

use super::RelayChannel;
use crate::channel::{ChannelError, ChannelEvent, CodeEnd, Wish};
use crate::store::{QueueUse, StoreError};

impl RelayChannel {
    /// Until when each open link works, since 1970, the next to end first.
    pub(super) fn open_links(&self) -> Result<Vec<Duration>, StoreError> {
        let queues = self.store.rows().all_inbound()?;
        let mut open: Vec<Duration> = (queues.iter())
            .filter_map(|queue| match queue.used_for {
                QueueUse::Invitation { expires } => Some(expires),
                _ => None,
            })
            .collect();
        open.sort_unstable();
        Ok(open)
    }

    /// From here on nobody becomes a contact by a link or a code that is out.
    pub(super) fn withdraw(&mut self) {
        match self.close_links() {
            Ok(count) => {
                self.end_offer(CodeEnd::Withdrawn);
                self.event(ChannelEvent::Withdrawn { count });
            }
            Err(reason) => self.fail(Wish::Withdraw, ChannelError::from(reason)),
        }
    }

    /// A queue that closes is not read any more; the relay deletes it as soon as it can be told.
    fn close_links(&mut self) -> Result<usize, StoreError> {
        let mut count = 0;
        for queue in self.store.rows().all_inbound()? {
            match queue.used_for {
                QueueUse::Invitation { .. } => count += 1,
                QueueUse::Letter { .. } => {}
                QueueUse::Contact(_) | QueueUse::Closing => continue,
            }
            self.store.rows().close_inbound(queue.recipient)?;
        }
        self.delete_closing()?;
        Ok(count)
    }
}

//! Links that are out: listed, and taken back.

use super::*;

impl Errand<'_> {
    pub(super) fn links(&mut self) -> Result<(), Failure> {
        let own = self.net.own()?;
        self.tell(&Report::links(&own.open_links))
    }

    /// Nobody gets in from the moment this is stored; the server is told as soon as it answers, by whichever program.
    pub(super) fn withdraw(&mut self) -> Result<(), Failure> {
        self.net.command(ChannelCommand::Withdraw)?;
        let count = until(
            &self.events,
            Wish::Withdraw,
            Some(PATIENCE),
            |event| match event {
                ChannelEvent::Withdrawn { count } => Some(count),
                _ => None,
            },
        )?;
        let text = text::withdrawn(count);
        self.tell(&Report::Notice { text })
    }
}

//! Connections that end: because of the server, or because our own store cannot keep what it says.

use super::RelayChannel;
use super::server::{Server, Task};
use crate::channel::{ChannelError, ChannelEvent, ChannelOutput, CodeEnd, ServerId};
use crate::server_url::ServerUrl;
use crate::store::StoreError;

/// Why a connection ends, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The server does nothing wrong: our own store failed.
    pub(super) is_ours: bool,
    pub(super) words: String,
}

impl From<String> for Trouble {
    fn from(words: String) -> Self {
        let is_ours = false;
        Self { is_ours, words }
    }
}

impl From<&str> for Trouble {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self {
            is_ours: true,
            words: error.to_string(),
        }
    }
}

impl RelayChannel {
    /// It answers. Where our own store failed last it did so before, and the trouble is not over with that.
    pub(super) fn tell_up(&mut self, server: ServerUrl) {
        if !self.is_stuck(&server) {
            self.tell_state(server, None);
        }
    }

    /// Something that came from it was kept.
    pub(super) fn tell_kept(&mut self, server: ServerUrl) {
        if self.is_stuck(&server) {
            self.tell_state(server, None);
        }
    }

    fn is_stuck(&self, server: &ServerUrl) -> bool {
        (self.told.get(server)).is_some_and(|told| told.as_ref().is_some_and(|told| told.is_ours))
    }

    /// Says that a server came or went, unless that was said. It is there as long as one connection to it stands.
    pub(super) fn tell_state(&mut self, server: ServerUrl, trouble: Option<Trouble>) {
        let stands = |other: &Server| other.url == server && other.is_up();
        let is_theirs = trouble.as_ref().is_some_and(|trouble| !trouble.is_ours);
        if is_theirs && self.servers.values().any(stands) {
            return;
        }
        if self.told.get(&server) == Some(&trouble) {
            return;
        }
        self.told.insert(server.clone(), trouble.clone());
        self.event(ChannelEvent::ServerState {
            server,
            up: trouble.is_none(),
            is_ours: trouble.as_ref().is_some_and(|trouble| trouble.is_ours),
            reason: trouble.map(|trouble| trouble.words),
        });
    }

    /// A connection is gone, or is given up by us.
    pub(super) fn lost(&mut self, id: ServerId, trouble: Trouble) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let was_up = server.is_up();
        server.lost(self.now, &mut self.rng);
        let (url, purpose) = (server.url.clone(), server.purpose);
        // Who waits for a server that does not even answer is told at once and can act.
        let waiting = if was_up {
            Vec::new()
        } else {
            std::mem::take(&mut server.tasks)
        };
        for task in waiting {
            let (server, reason) = (url.authority(), trouble.words.clone());
            self.fail_task(&url, task, ChannelError::Unreachable { server, reason });
        }
        self.letter_line_lost(purpose, &url, &trouble.words);
        self.tell_state(url, Some(trouble));
        self.retire(id);
    }

    pub(super) fn fail_task(&mut self, url: &ServerUrl, task: Task, reason: ChannelError) {
        let wish = task.wish();
        match task {
            Task::Offer { .. } => self.end_offer(CodeEnd::Failed(reason.to_string())),
            Task::Enter { .. } => self.end_entry(Some(reason)),
            Task::Letter { letter, .. } => {
                tracing::warn!(%reason, "the whole link is given out, without a letter");
                self.give_out(url, *letter, None);
            }
            Task::Invite { .. } | Task::Join { .. } => self.fail(wish, reason),
        }
    }

    pub(super) fn give_up(&mut self, id: ServerId, trouble: impl Into<Trouble>) {
        self.output(ChannelOutput::Disconnect { server: id });
        self.lost(id, trouble.into());
    }
}

//! What scenarios about codes, words and connections do and look at.

use std::collections::BTreeSet;
use std::time::Duration;

use hullo_relay::mailbox::ConnectionId;
use hullo_signalling::channel::{ChannelCommand, ChannelEvent, CodeEnd, PersonChange};

use super::{NAMES, STEPS_MAX, World};

impl World {
    /// The newest link of this person, whole: to be tampered with.
    pub(in crate::messages) fn whole_link(&mut self, person: usize) -> String {
        self.invite(person);
        let whole = self
            .taken(person)
            .iter()
            .rev()
            .find_map(|event| match event {
                ChannelEvent::InviteReady { whole, .. } => Some(whole.clone()),
                _ => None,
            });
        whole.expect("a link")
    }

    /// The newest spoken code of this person.
    pub(in crate::messages) fn code(&self, person: usize) -> Option<String> {
        let codes = self.taken(person).iter().rev();
        codes
            .filter_map(|event| match event {
                ChannelEvent::CodeReady { code, .. } => Some(code.clone()),
                _ => None,
            })
            .next()
    }

    /// How this person's newest code ended.
    pub(in crate::messages) fn code_end(&self, person: usize) -> Option<CodeEnd> {
        let ends = self.taken(person).iter().rev();
        ends.filter_map(|event| match event {
            ChannelEvent::CodeEnded { reason } => Some(reason.clone()),
            _ => None,
        })
        .next()
    }

    /// What went wrong since the start, newest last.
    pub(in crate::messages) fn failures(&self, person: usize) -> Vec<String> {
        let failed = |event: &ChannelEvent| match event {
            ChannelEvent::Failed { reason, .. } => Some(reason.to_string()),
            _ => None,
        };
        self.taken(person).iter().filter_map(failed).collect()
    }

    /// Until nothing is under way within this time: a code stands for minutes.
    pub(in crate::messages) fn settle_within(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        for _ in 0..STEPS_MAX {
            if !self.step_until(until) {
                return;
            }
        }
        panic!("the world of seed {} never comes to rest", self.seed);
    }

    /// Makes a link and a code.
    pub(in crate::messages) fn invite_by_code(&mut self, person: usize) -> String {
        let server = Some(self.url());
        self.command(person, ChannelCommand::InviteCode { server });
        self.settle_within(5);
        self.code(person).expect("a code")
    }

    pub(in crate::messages) fn add(&mut self, person: usize, text: &str) {
        let link = text.to_owned();
        self.command(person, ChannelCommand::Add { link });
        self.settle_within(5);
    }

    pub(in crate::messages) fn change(
        &mut self,
        person: usize,
        other: usize,
        change: PersonChange,
    ) {
        let contact = self.contact(person, other);
        self.command(person, ChannelCommand::Person { contact, change });
        self.settle();
    }

    /// The four words on this person's screen.
    pub(in crate::messages) fn words(&self, person: usize) -> Option<[&'static str; 4]> {
        let words = self.taken(person).iter().rev();
        words
            .filter_map(|event| match event {
                ChannelEvent::WordsReady { words, .. } => Some(*words),
                _ => None,
            })
            .next()
    }

    pub(in crate::messages) fn set_clock(&mut self, person: usize, seconds_ahead: i64) {
        self.clocks_ahead[person] = seconds_ahead;
        self.leave(person);
        self.enter(person);
    }

    pub(in crate::messages) fn profile(&self, person: usize) -> std::path::PathBuf {
        self.folder.path().join(NAMES[person])
    }

    /// The sets of queues that the relay saw on each connection of this person.
    pub(in crate::messages) fn connections(&self, person: usize) -> Vec<&BTreeSet<[u8; 24]>> {
        let own = |connection: &ConnectionId| self.owners.get(connection) == Some(&person);
        let seen = self.seen_by_relay.iter().filter(|(id, _)| own(id));
        seen.map(|(_, queues)| queues).collect()
    }

    /// Connections of this person that stand.
    pub(in crate::messages) fn lines(&self, person: usize) -> usize {
        self.people[person].lines.len()
    }
}

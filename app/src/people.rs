//! What the message channel tells, in the words of the model.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hullo_signalling::channel;
use hullo_signalling::channel::{ChannelEvent, CodeEnd, ContactState, Own, Wish};
use hullo_signalling::group::{Group, GroupEvent, GroupNumber};

use crate::call::sockets::Reach;
use crate::conversation::HistoryEvent;
use crate::event::{Contact, ContactId, Event};
use crate::groups;
use crate::net::NetEvent;

/// A call that began longer ago is no news.
const CALL_NEWS_AGE_MAX: Duration = Duration::from_secs(180);

/// The contacts as last told, and what is known of servers.
#[derive(Default)]
pub struct People {
    contacts: BTreeMap<u64, channel::Contact>,
    groups: BTreeMap<u64, Group>,
    servers: BTreeMap<String, bool>,
}

impl People {
    /// Takes one event; gives what the model must know of it. A [`ChannelEvent::Message`] is not for the model.
    pub fn take(&mut self, event: NetEvent) -> Vec<Event> {
        match event {
            NetEvent::Ready {
                own,
                contacts,
                groups,
            } => {
                self.groups = groups
                    .into_iter()
                    .map(|group| (group.number.0, group))
                    .collect();
                self.contacts = contacts
                    .into_iter()
                    .map(|contact| (contact.id.0, contact))
                    .collect();
                vec![profile(&own), self.list(), self.group_list()]
            }
            NetEvent::Channel(event) => self.take_channel(event),
            NetEvent::History {
                contact,
                before,
                entries,
            } => vec![Event::History(HistoryEvent::Page {
                contact: ContactId(contact.0),
                before,
                entries,
            })],
            NetEvent::Unseen(unseen) => {
                let unseen = unseen.into_iter();
                let unseen = unseen.map(|(contact, unseen)| (ContactId(contact.0), unseen));
                vec![Event::History(HistoryEvent::Unseen(unseen.collect()))]
            }
            NetEvent::Lobby(_) | NetEvent::Turn(_) => Vec::new(),
        }
    }

    /// The groups we are in.
    pub fn groups(&self) -> Vec<Group> {
        self.groups.values().cloned().collect()
    }

    /// The contacts as the channel knows them.
    pub fn contacts(&self) -> Vec<channel::Contact> {
        self.contacts.values().cloned().collect()
    }

    fn group_list(&self) -> Event {
        Event::Groups(self.groups.values().map(groups::line).collect())
    }

    fn take_group(&mut self, event: GroupEvent) -> Vec<Event> {
        let name = |number: GroupNumber| {
            let group = self.groups.get(&number.0);
            group.map_or("a group", |group| group.name.as_str())
        };
        let words = match event {
            GroupEvent::Changed { group } => {
                self.groups.insert(group.number.0, group);
                return vec![self.group_list()];
            }
            GroupEvent::Left { group, .. } => {
                self.groups.remove(&group.0);
                return vec![self.group_list()];
            }
            GroupEvent::Removed { group, name, ended } => {
                self.groups.remove(&group.0);
                let words = if ended {
                    format!("{name} was ended by who made it.")
                } else {
                    format!("You were taken out of {name}.")
                };
                return vec![self.group_list(), Event::GroupNews(words)];
            }
            GroupEvent::CallStarted {
                group,
                from,
                sent_ago,
                ..
            } if sent_ago < CALL_NEWS_AGE_MAX => {
                let by = self.groups.get(&group.0).and_then(|known| {
                    let mut members = known.members.iter();
                    members.find(|member| member.number == from)
                });
                let by = by.map_or(crate::text::UNKNOWN_CONTACT, |member| &member.name);
                let by = by.to_owned();
                return vec![Event::GroupCallStarted { group, by }];
            }
            GroupEvent::CallStarted { .. } => return Vec::new(),
            GroupEvent::CallsForgotten { group } => {
                format!(
                    "Somebody left {}: the next call there has a new key.",
                    name(group)
                )
            }
            GroupEvent::Refused { group, words } => {
                format!("{}: {}", name(group), sentence(&words))
            }
        };
        vec![Event::GroupNews(words)]
    }

    /// Where peers are: on this machine when every known server is.
    pub fn reach(&self) -> Reach {
        if !self.servers.is_empty() && self.servers.values().all(|loopback| *loopback) {
            Reach::Loopback
        } else {
            Reach::Network
        }
    }

    fn take_channel(&mut self, event: ChannelEvent) -> Vec<Event> {
        match event {
            ChannelEvent::InviteReady { link, .. } => vec![Event::Invited { link }],
            ChannelEvent::CodeReady { code, link, .. } => vec![Event::Code { code, link }],
            ChannelEvent::CodeEnded { reason } => vec![Event::CodeEnded {
                words: sentence(&reason.to_string()),
                is_well: matches!(
                    reason,
                    CodeEnd::Used | CodeEnd::Replaced | CodeEnd::Withdrawn
                ),
            }],
            ChannelEvent::SafetyWords { contact, words } => {
                vec![words_event(contact, &words, true)]
            }
            ChannelEvent::WordsReady { contact, words } => {
                vec![words_event(contact, &words, false)]
            }
            ChannelEvent::ContactAdded { contact } | ChannelEvent::ContactChanged { contact } => {
                self.contacts.insert(contact.id.0, contact);
                vec![self.list()]
            }
            ChannelEvent::ContactRemoved { contact } => {
                self.contacts.remove(&contact.0);
                vec![self.list()]
            }
            ChannelEvent::Group(event) => self.take_group(event),
            ChannelEvent::OwnChanged(own) => vec![profile(&own)],
            ChannelEvent::ServerState {
                server,
                up,
                is_ours,
                reason,
            } => {
                let loopback = server
                    .host()
                    .parse::<IpAddr>()
                    .map_or(server.host() == "localhost", |ip| ip.is_loopback());
                self.servers.insert(server.authority(), loopback);
                vec![match reason {
                    Some(reason) if is_ours => Event::Stuck(reason),
                    reason => Event::Server { up, reason },
                }]
            }
            ChannelEvent::Failed { what, reason } => {
                let words = sentence(&reason.to_string());
                vec![match what {
                    Wish::Send(to) => Event::History(HistoryEvent::Unsent(ContactId(to.0), words)),
                    Wish::Add => Event::NotAdded(words),
                    _ => Event::Failed(words),
                }]
            }
            ChannelEvent::Withdrawn { count } => {
                vec![Event::Withdrawn { count }]
            }
            ChannelEvent::History { entry } => vec![Event::History(HistoryEvent::Entry(entry))],
            ChannelEvent::HistoryRemoved { contact, entry } => {
                let contact = ContactId(contact.0);
                vec![Event::History(HistoryEvent::Removed(contact, entry))]
            }
            ChannelEvent::Message { .. }
            | ChannelEvent::Delivered { .. }
            | ChannelEvent::Seen { .. } => Vec::new(),
        }
    }

    fn list(&self) -> Event {
        let mut contacts: Vec<Contact> = self.contacts.values().map(contact).collect();
        contacts.sort_by_key(|contact| contact.name.to_lowercase());
        Event::Contacts(contacts)
    }
}

/// A contact as the model shows it.
pub fn contact(contact: &channel::Contact) -> Contact {
    Contact {
        id: ContactId(contact.id.0),
        name: contact.name.clone(),
        short_id: contact.short_id.clone(),
        verified: contact.verified,
        ready: contact.state == ContactState::Ready,
        blocked: contact.blocked,
        lost: contact.state == ContactState::Lost,
    }
}

fn words_event(contact: channel::ContactId, words: &[&str], is_safety: bool) -> Event {
    Event::Words {
        contact: ContactId(contact.0),
        words: words.join(" "),
        is_safety,
    }
}

/// An error as a sentence: full stop, and a large first letter where a common word stands first. Names and paths
/// keep their case, which may be all that tells two of them apart.
pub fn sentence(words: &str) -> String {
    const COMMON: [&str; 16] = [
        "a", "another", "it", "no", "nobody", "nothing", "port", "somebody", "the", "there",
        "this", "too", "two", "use", "you", "your",
    ];
    let stop = if words.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    let one_line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = one_line.split(' ').next().unwrap_or("");
    if COMMON.contains(&first) {
        let mut letters = one_line.chars();
        let large = letters.next().map(char::to_uppercase).into_iter().flatten();
        return large.chain(letters).collect::<String>() + stop;
    }
    one_line + stop
}

/// The key that servers know us by, as text.
pub fn key(own: &Own) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(own.client_key)
}

fn profile(own: &Own) -> Event {
    Event::Profile {
        name: own.name.clone(),
        short_id: own.short_id.clone(),
        key: key(own),
        has_server: own.server.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence("no such contact"), "No such contact.");
        assert_eq!(
            sentence("med/ok.wav: no Y4M file"),
            "med/ok.wav: no Y4M file."
        );
        assert_eq!(sentence("the file\nis broken"), "The file is broken.");
        assert_eq!(sentence("Use `x`."), "Use `x`.");
        assert_eq!(sentence(""), ".");
    }
}
